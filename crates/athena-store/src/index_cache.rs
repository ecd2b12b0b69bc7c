//! The indexes of this process, one a project, and how they catch up with the log.

use crate::write::heads;
use athena_core::{Ctx, Error, ProjectId, Result};
use athena_db::{Executor, Tx, TxOptions, params};
use athena_search::{Index, Record, record, segment};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// An index that searches read and catching up writes.
pub(crate) type SharedIndex = Arc<RwLock<Index>>;

/// The indexes of the projects that this process has searched.
#[derive(Debug, Default)]
pub(crate) struct IndexCache {
    by_project: Mutex<HashMap<ProjectId, SharedIndex>>,
}

impl IndexCache {
    /// Returns the indexes of the projects, each up to the last commit.
    pub(crate) async fn caught_up(
        &self,
        ctx: &Ctx,
        projects: &[ProjectId],
    ) -> Result<Vec<SharedIndex>> {
        let indexes: Vec<SharedIndex> = projects
            .iter()
            .map(|project| self.index(*project))
            .collect();
        let heads: HashMap<ProjectId, i64> = heads(ctx.db(), projects).await?.into_iter().collect();
        for (project, index) in projects.iter().zip(&indexes) {
            let head = heads.get(project).copied().unwrap_or(0);
            if applied(index) < head {
                catch_up(ctx, *project, index).await?;
            }
        }
        Ok(indexes)
    }

    fn index(&self, project: ProjectId) -> SharedIndex {
        let mut by_project = self
            .by_project
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Arc::clone(by_project.entry(project).or_default())
    }
}

fn applied(index: &SharedIndex) -> i64 {
    index
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .applied()
}

/// Reads what the index has not seen yet, in one snapshot, and applies it.
async fn catch_up(ctx: &Ctx, project: ProjectId, index: &SharedIndex) -> Result<()> {
    let from = applied(index);
    let snapshot = ctx.db().begin(TxOptions::read_only()).await?;
    let sealed = sealed_seq(&snapshot, project).await?;
    let mut records = Vec::new();
    if sealed > from {
        records = segment_records(&snapshot, project, from).await?;
    }
    records.extend(tail_records(&snapshot, project, from).await?);
    snapshot.rollback().await?;
    let mut index = index.write().unwrap_or_else(PoisonError::into_inner);
    for (seq, record) in records {
        index.apply(seq, record);
    }
    Ok(())
}

async fn sealed_seq(db: &Tx<'_>, project: ProjectId) -> Result<i64> {
    let row: Option<(i64,)> = db
        .fetch_opt(
            "SELECT sealed_seq FROM search_heads WHERE project_id = :project",
            params! { project: project },
        )
        .await?;
    Ok(row.map_or(0, |(sealed,)| sealed))
}

async fn segment_records(db: &Tx<'_>, project: ProjectId, from: i64) -> Result<Vec<(i64, Record)>> {
    let chunks: Vec<(Vec<u8>,)> = db
        .fetch_all(
            "SELECT chunk FROM search_segments
             WHERE project_id = :project AND last_seq > :from
             ORDER BY first_seq",
            params! { project: project, from: from },
        )
        .await?;
    let mut records = Vec::new();
    for (chunk,) in chunks {
        records.extend(segment::decode(&chunk).map_err(Error::internal)?);
    }
    Ok(records)
}

pub(crate) async fn tail_records(
    db: &impl Executor,
    project: ProjectId,
    from: i64,
) -> Result<Vec<(i64, Record)>> {
    let rows: Vec<(i64, Vec<u8>)> = db
        .fetch_all(
            "SELECT seq, record FROM search_tail
             WHERE project_id = :project AND seq > :from
             ORDER BY seq",
            params! { project: project, from: from },
        )
        .await?;
    rows.into_iter()
        .map(|(seq, bytes)| Ok((seq, record::decode(&bytes).map_err(Error::internal)?)))
        .collect()
}
