//! Items whose vectors are still to come: a provider that is slow or away delays no write.

use crate::Write;
use athena_core::{Ctx, ProjectId, Result};
use athena_db::{Executor, Scalar, params};
use athena_search::{ItemRef, Kind};
use jiff::{SignedDuration, Timestamp};

/// How long a claimed item is left alone by other processes.
const LEASE: SignedDuration = SignedDuration::from_mins(2);
/// The longest pause between two attempts for one item.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(10);

/// An item that waits for its vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The item.
    pub item: ItemRef,
    /// Its project.
    pub project: ProjectId,
    /// How often it was tried.
    pub attempts: u32,
}

/// Puts an item into the queue, as part of the change that stores it.
///
/// # Errors
///
/// What the database fails with.
pub async fn enqueue(write: &Write<'_>, project: ProjectId, item: ItemRef) -> Result<()> {
    write
        .tx()
        .execute(
            "INSERT INTO embed_queue (kind, item_id, project_id, attempts, next_attempt_at)
             VALUES (:kind, :item_id, :project_id, 0, :now)
             ON CONFLICT (kind, item_id) DO UPDATE SET attempts = 0, next_attempt_at = :now",
            params! { kind: i64::from(item.kind.0), item_id: item.id, project_id: project, now: write.now() },
        )
        .await?;
    Ok(())
}

/// Returns up to `limit` items of a kind whose next attempt is due, oldest first.
///
/// # Errors
///
/// What the database fails with.
pub async fn due(db: &impl Executor, kind: Kind, now: Timestamp, limit: u32) -> Result<Vec<Due>> {
    let rows: Vec<(i64, ProjectId, i64)> = db
        .fetch_all(
            "SELECT item_id, project_id, attempts FROM embed_queue
             WHERE kind = :kind AND next_attempt_at <= :now
             ORDER BY next_attempt_at, item_id
             LIMIT :limit",
            params! { kind: i64::from(kind.0), now: now, limit: i64::from(limit) },
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|(id, project, attempts)| Due {
            item: ItemRef { kind, id },
            project,
            attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
        })
        .collect())
}

/// Returns how many items of a kind wait.
///
/// # Errors
///
/// What the database fails with.
pub async fn pending(db: &impl Executor, kind: Kind) -> Result<i64> {
    let Scalar(count) = db
        .fetch_one(
            "SELECT COUNT(*) FROM embed_queue WHERE kind = :kind",
            params! { kind: i64::from(kind.0) },
        )
        .await?;
    Ok(count)
}

/// Takes an item for two minutes; `false` if another process was first.
///
/// # Errors
///
/// What the database fails with.
pub async fn claim(ctx: &Ctx, due: &Due) -> Result<bool> {
    let claimed = ctx
        .db()
        .execute(
            "UPDATE embed_queue SET attempts = attempts + 1, next_attempt_at = :next
             WHERE kind = :kind AND item_id = :item_id AND attempts = :attempts",
            params! {
                next: ctx.now().checked_add(LEASE).unwrap_or(Timestamp::MAX),
                kind: i64::from(due.item.kind.0),
                item_id: due.item.id,
                attempts: i64::from(due.attempts),
            },
        )
        .await?;
    Ok(claimed == 1)
}

/// Takes an item out of the queue.
///
/// # Errors
///
/// What the database fails with.
pub async fn done(db: &impl Executor, item: ItemRef) -> Result<()> {
    db.execute(
        "DELETE FROM embed_queue WHERE kind = :kind AND item_id = :item_id",
        params! { kind: i64::from(item.kind.0), item_id: item.id },
    )
    .await?;
    Ok(())
}

/// Puts the next attempt of a claimed item off, twice as long each time, up to ten minutes.
///
/// # Errors
///
/// What the database fails with.
pub async fn postpone(ctx: &Ctx, due: &Due) -> Result<()> {
    let pause = SignedDuration::from_secs(1 << due.attempts.min(10)).min(LONGEST_PAUSE);
    ctx.db()
        .execute(
            "UPDATE embed_queue SET next_attempt_at = :next
             WHERE kind = :kind AND item_id = :item_id",
            params! {
                next: ctx.now().checked_add(pause).unwrap_or(Timestamp::MAX),
                kind: i64::from(due.item.kind.0),
                item_id: due.item.id,
            },
        )
        .await?;
    Ok(())
}
