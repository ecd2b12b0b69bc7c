//! Putting a segment in the place of what it covers, a few chunks a transaction.

use super::sql;
use crate::store::Store;
use athena_core::{Env, ProjectId, Result};
use athena_db::{BoxFuture, Executor, Tx, TxOptions, params};
use athena_search::segment::{Chunk, Segment};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// Bytes of chunks that one transaction writes, and one chunk more: a writer beside it waits for no
/// more than that.
const BYTES: usize = 4 << 20;
/// Chunks that one transaction removes; most are of a few KiB.
const CHUNKS: usize = 256;
/// Rows of the tail that one transaction removes.
const TAIL_ROWS: i64 = 1_000;

/// A segment that is not finished so long after it was begun has lost its maker; one that comes
/// back all the same finds it gone and starts again.
const ABANDONED_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// What a new segment takes the place of.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// Rows of the tail, from the first that is not sealed.
    Tail,
    /// Segments, by id.
    Segments(Vec<i64>),
}

/// Publishes a segment that was made of what was there when `purged` was read.
///
/// Returns whether it counts now. It does not where something was purged meanwhile, or another
/// process was first; what was written of it is removed then.
pub(super) async fn publish(
    env: &Arc<Env>,
    project: ProjectId,
    segment: Segment,
    purged: i64,
    place: Place,
) -> Result<bool> {
    let segment = Arc::new(segment);
    let id = begin(env, project, &segment).await?;
    for chunks in loads(segment.chunks()) {
        let chunks = Arc::new(chunks);
        let goes_on = transaction(env, move |tx| {
            let chunks = Arc::clone(&chunks);
            Box::pin(async move {
                // Locks the row: a purge that finds it takes it away with all of its chunks.
                if !sql::is_unfinished(tx, project, id).await? {
                    return Ok(false);
                }
                sql::put_chunks(tx, project, id, chunks.iter()).await?;
                Ok(true)
            })
        });
        if !goes_on.await? {
            return Ok(false);
        }
    }
    let place = Arc::new(place);
    let counts = {
        let (segment, place) = (Arc::clone(&segment), Arc::clone(&place));
        transaction(env, move |tx| {
            let (segment, place) = (Arc::clone(&segment), Arc::clone(&place));
            Box::pin(async move { take_place(tx, project, id, &segment, purged, &place).await })
        })
        .await?
    };
    if counts && matches!(*place, Place::Tail) {
        remove_tail(env, project, segment.last_seq()).await?;
    }
    remove_orphans(env, project).await?;
    Ok(counts)
}

/// Cuts chunks into what one transaction writes each.
fn loads(chunks: Vec<Chunk>) -> Vec<Vec<Chunk>> {
    let mut loads = Vec::new();
    let mut load = Vec::new();
    let mut bytes = 0;
    for chunk in chunks {
        bytes += chunk.bytes.len();
        load.push(chunk);
        if bytes >= BYTES {
            loads.push(std::mem::take(&mut load));
            bytes = 0;
        }
    }
    if !load.is_empty() {
        loads.push(load);
    }
    loads
}

async fn begin(env: &Arc<Env>, project: ProjectId, segment: &Arc<Segment>) -> Result<i64> {
    let segment = Arc::clone(segment);
    transaction(env, move |tx| {
        let segment = Arc::clone(&segment);
        Box::pin(async move { sql::begin_segment(tx, project, &segment, Timestamp::now()).await })
    })
    .await
}

/// Makes a segment count in the place of what it covers, if that is still what it was made of.
async fn take_place(
    tx: &Tx<'_>,
    project: ProjectId,
    id: i64,
    segment: &Segment,
    purged: i64,
    place: &Place,
) -> Result<bool> {
    sql::lock_head(tx, project).await?;
    if !is_current(tx, project, segment, purged, place).await? {
        sql::remove_segments(tx, project, &[id]).await?;
        return Ok(false);
    }
    if !sql::finish_segment(tx, project, id).await? {
        return Ok(false);
    }
    match place {
        Place::Tail => {
            tx.execute(
                "UPDATE search_heads SET sealed_seq = :last WHERE project_id = :project",
                params! { last: segment.last_seq(), project: project },
            )
            .await?;
        }
        Place::Segments(old) => {
            sql::remove_segments(tx, project, old).await?;
            sql::count_replaced(tx, project).await?;
        }
    }
    Ok(true)
}

async fn is_current(
    tx: &Tx<'_>,
    project: ProjectId,
    segment: &Segment,
    purged: i64,
    place: &Place,
) -> Result<bool> {
    let Some(head) = sql::head(tx, project).await? else {
        return Ok(false);
    };
    let is_there = match place {
        Place::Tail => head.sealed_seq == segment.first_seq() - 1,
        Place::Segments(old) => {
            let rows = sql::segments(tx, project, segment.first_seq() - 1).await?;
            old.iter().all(|id| rows.iter().any(|row| row.id == *id))
        }
    };
    Ok(is_there && head.purged == purged)
}

/// Removes rows of the tail that a segment covers, some at a time.
pub(super) async fn remove_tail(env: &Arc<Env>, project: ProjectId, sealed: i64) -> Result<()> {
    loop {
        let Some(first) = sql::first_of_tail(env.db(), project, sealed).await? else {
            return Ok(());
        };
        let last = sealed.min(first + TAIL_ROWS - 1);
        transaction(env, move |tx| {
            Box::pin(async move { sql::remove_tail(tx, project, first, last).await })
        })
        .await?;
    }
}

/// Removes segments that a process which was killed left unfinished.
pub(super) async fn remove_abandoned(env: &Arc<Env>, project: ProjectId) -> Result<()> {
    let before = Timestamp::now() - ABANDONED_AFTER;
    transaction(env, move |tx| {
        Box::pin(async move { sql::remove_unfinished(tx, project, before).await })
    })
    .await
}

/// Removes chunks whose segment is gone, some at a time.
pub(super) async fn remove_orphans(env: &Arc<Env>, project: ProjectId) -> Result<()> {
    loop {
        let orphans = Arc::new(sql::orphans(env.db(), project, CHUNKS).await?);
        if orphans.is_empty() {
            return Ok(());
        }
        transaction(env, move |tx| {
            let orphans = Arc::clone(&orphans);
            Box::pin(async move { sql::remove_chunks(tx, project, orphans.iter()).await })
        })
        .await?;
    }
}

/// Runs a short transaction of background work, unless a newer version has migrated the store.
async fn transaction<T: Send>(
    env: &Arc<Env>,
    change: impl for<'t> Fn(&'t Tx<'_>) -> BoxFuture<'t, Result<T>> + Send + Sync,
) -> Result<T> {
    let change = &change;
    env.db()
        .transaction_with(TxOptions::default(), |tx| {
            Box::pin(async move {
                env.part::<Store>().schema.check(tx).await?;
                change(tx).await
            })
        })
        .await
}
