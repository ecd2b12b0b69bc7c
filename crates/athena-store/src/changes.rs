//! What changed, in the order of the commits.
//!
//! Every change that is made through [`write`](crate::write()) leaves one row an item, with a number
//! of the project's own sequence that is given out last: who has seen number *n* never meets a
//! smaller one later. Rows say which item it was and who changed it how, never what it says.

use crate::Write;
use athena_core::{ProjectId, Result};
use athena_db::{Executor, FromRow, Scalar, params};
use athena_search::ItemRef;
use jiff::{SignedDuration, Timestamp};

/// How long changes are kept.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Changes that are removed by one statement.
const SWEPT_AT_ONCE: i64 = 2_000;

/// One change of one item.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Change {
    /// Its number among the changes of the project, from 1.
    pub seq: i64,
    /// What the item is: a [`Kind`](athena_search::Kind) as a number.
    pub kind: i64,
    /// The item's number among its kind.
    pub item_id: i64,
    /// The name of the operation that changed it.
    pub operation: String,
    /// Who changed it.
    pub principal: String,
    /// When.
    pub at: Timestamp,
}

/// Stores changes under their numbers.
pub(crate) async fn append(
    write: &Write<'_>,
    project: ProjectId,
    changed: impl Iterator<Item = (i64, ItemRef)>,
    operation: &str,
) -> Result<()> {
    let principal = &write.ctx().caller().principal;
    let rows = changed.map(|(seq, item)| {
        params! {
            project_id: project,
            seq: seq,
            kind: i64::from(item.kind.0),
            item_id: item.id,
            operation: operation,
            principal: principal.as_str(),
            at: write.now(),
        }
    });
    write
        .tx()
        .execute_many(
            "INSERT INTO changes (project_id, seq, kind, item_id, operation, principal, at)
             VALUES (:project_id, :seq, :kind, :item_id, :operation, :principal, :at)",
            rows.collect(),
        )
        .await?;
    Ok(())
}

/// Returns up to `limit` changes of a project after number `after`, in order.
///
/// # Errors
///
/// What the database fails with.
pub async fn changes(
    db: &impl Executor,
    project: ProjectId,
    after: i64,
    limit: u32,
) -> Result<Vec<Change>> {
    Ok(db
        .fetch_all(
            "SELECT seq, kind, item_id, operation, principal, at FROM changes
             WHERE project_id = :project AND seq > :after ORDER BY seq LIMIT :limit",
            params! { project: project, after: after, limit: i64::from(limit) },
        )
        .await?)
}

/// Returns the number of the last change of a project, 0 before the first.
///
/// # Errors
///
/// What the database fails with.
pub async fn last_change(db: &impl Executor, project: ProjectId) -> Result<i64> {
    let last: Option<Scalar<i64>> = db
        .fetch_opt(
            "SELECT change_seq FROM search_heads WHERE project_id = :project",
            params! { project: project },
        )
        .await?;
    Ok(last.map_or(0, |Scalar(last)| last))
}

/// Removes changes that are older than thirty days, some at a time.
pub(crate) async fn sweep(db: &impl Executor, now: Timestamp) -> Result<()> {
    let before = now.checked_sub(KEPT).unwrap_or(Timestamp::MIN);
    loop {
        let old: Vec<(i64, i64)> = db
            .fetch_all(
                "SELECT project_id, seq FROM changes WHERE at < :before ORDER BY at LIMIT :limit",
                params! { before: before, limit: SWEPT_AT_ONCE },
            )
            .await?;
        if old.is_empty() {
            return Ok(());
        }
        let rows = old.iter().map(|(project, seq)| {
            params! { project: *project, seq: *seq }
        });
        db.execute_many(
            "DELETE FROM changes WHERE project_id = :project AND seq = :seq",
            rows.collect(),
        )
        .await?;
    }
}
