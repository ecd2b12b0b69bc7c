//! Items whose vectors are still to come: a provider that is slow or away delays no write.

use crate::Write;
use athena_core::{Ctx, ModelId, ProjectId, Result};
use athena_db::{Executor, FromRow, Scalar, Tx, TxOptions, params};
use athena_search::{ItemRef, Kind};
use jiff::{SignedDuration, Timestamp};

/// How long a claimed item is left alone by other processes.
const LEASE: SignedDuration = SignedDuration::from_mins(2);
/// The longest pause between two attempts for one item.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(10);
/// The pause of an item that was not at fault.
const SHORT_PAUSE: SignedDuration = SignedDuration::from_secs(5);

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

/// How many items wait, and how often the one was tried that was tried least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct Waiting {
    /// How many.
    pub items: i64,
    /// How often at least; 0 for none.
    pub attempts: i64,
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

/// Puts items of a project into the queue, but for those that wait already.
///
/// # Errors
///
/// What the database fails with.
pub async fn requeue(write: &Write<'_>, project: ProjectId, items: &[ItemRef]) -> Result<()> {
    let rows = items.iter().map(|item| {
        params! { kind: i64::from(item.kind.0), item_id: item.id, project_id: project, now: write.now() }
    });
    write
        .tx()
        .execute_many(
            "INSERT INTO embed_queue (kind, item_id, project_id, attempts, next_attempt_at)
             VALUES (:kind, :item_id, :project_id, 0, :now)
             ON CONFLICT (kind, item_id) DO NOTHING",
            rows.collect(),
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
    let rows = db
        .fetch_all(
            "SELECT item_id, project_id, attempts FROM embed_queue
             WHERE kind = :kind AND next_attempt_at <= :now
             ORDER BY next_attempt_at, item_id
             LIMIT :limit",
            params! { kind: i64::from(kind.0), now: now, limit: i64::from(limit) },
        )
        .await?;
    Ok(dues(kind, rows))
}

/// Likewise, of the projects where vectors of a model are wanted.
async fn due_for(
    tx: &Tx<'_>,
    kind: Kind,
    model: ModelId,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Due>> {
    let rows = tx
        .fetch_all(
            "SELECT q.item_id, q.project_id, q.attempts FROM embed_queue q
             JOIN search_heads h ON h.project_id = q.project_id
             WHERE q.kind = :kind AND q.next_attempt_at <= :now
               AND COALESCE(h.next_id, h.model_id, :model) = :model
             ORDER BY q.next_attempt_at, q.item_id
             LIMIT :limit",
            params! { kind: i64::from(kind.0), model: model, now: now, limit: i64::from(limit) },
        )
        .await?;
    Ok(dues(kind, rows))
}

fn dues(kind: Kind, rows: Vec<(i64, ProjectId, i64)>) -> Vec<Due> {
    let due = |(id, project, attempts)| Due {
        item: ItemRef { kind, id },
        project,
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
    };
    rows.into_iter().map(due).collect()
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

/// Returns how many items of a kind wait in a project, up to the item `last`.
///
/// # Errors
///
/// What the database fails with.
pub async fn waiting(
    db: &impl Executor,
    kind: Kind,
    project: ProjectId,
    last: i64,
) -> Result<Waiting> {
    Ok(db
        .fetch_one(
            "SELECT COUNT(*) AS items, COALESCE(MIN(attempts), 0) AS attempts FROM embed_queue
             WHERE kind = :kind AND project_id = :project AND item_id <= :last",
            params! { kind: i64::from(kind.0), project: project, last: last },
        )
        .await?)
}

/// Takes up to `limit` due items of a kind for two minutes, oldest first, of the projects where
/// vectors of a model are wanted; of all projects where the model is not known.
///
/// What another process takes at the same time is left out.
///
/// # Errors
///
/// What the database fails with.
pub async fn claim(ctx: &Ctx, kind: Kind, model: Option<ModelId>, limit: u32) -> Result<Vec<Due>> {
    let now = ctx.now();
    ctx.db()
        .transaction_with(TxOptions::default(), move |tx| {
            Box::pin(async move {
                let mut found = match model {
                    Some(model) => due_for(tx, kind, model, now, limit).await?,
                    None => due(tx, kind, now, limit).await?,
                };
                // All take rows in one order, so that nobody waits for one who waits for him.
                found.sort_unstable_by_key(|due| due.item.id);
                let mut claimed = Vec::with_capacity(found.len());
                for due in found {
                    if take(tx, &due, now).await? {
                        claimed.push(due);
                    }
                }
                Ok(claimed)
            })
        })
        .await
}

async fn take(tx: &Tx<'_>, due: &Due, now: Timestamp) -> Result<bool> {
    let taken = tx
        .execute(
            "UPDATE embed_queue SET attempts = attempts + 1, next_attempt_at = :next
             WHERE kind = :kind AND item_id = :item_id AND attempts = :attempts",
            params! {
                next: after(now, LEASE),
                kind: i64::from(due.item.kind.0),
                item_id: due.item.id,
                attempts: i64::from(due.attempts),
            },
        )
        .await?;
    Ok(taken == 1)
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
    let attempts = i64::from(due.attempts.saturating_add(1));
    attempt_at(ctx, due.item, after(ctx.now(), pause), attempts).await
}

/// Puts a claimed item that was not at fault back, for a few seconds; the attempt does not count.
///
/// # Errors
///
/// What the database fails with.
pub async fn put_back(ctx: &Ctx, due: &Due) -> Result<()> {
    let next = after(ctx.now(), SHORT_PAUSE);
    attempt_at(ctx, due.item, next, i64::from(due.attempts)).await
}

async fn attempt_at(ctx: &Ctx, item: ItemRef, next: Timestamp, attempts: i64) -> Result<()> {
    ctx.db()
        .execute(
            "UPDATE embed_queue SET next_attempt_at = :next, attempts = :attempts
             WHERE kind = :kind AND item_id = :item_id",
            params! {
                next: next,
                attempts: attempts,
                kind: i64::from(item.kind.0),
                item_id: item.id,
            },
        )
        .await?;
    Ok(())
}

/// Makes everything due that waits in a project, what processes have claimed that were killed as
/// well.
///
/// # Errors
///
/// What the database fails with.
pub async fn hasten(write: &Write<'_>, kind: Kind, project: ProjectId) -> Result<()> {
    write
        .tx()
        .execute(
            "UPDATE embed_queue SET next_attempt_at = :now
             WHERE kind = :kind AND project_id = :project AND next_attempt_at > :now",
            params! { now: write.now(), kind: i64::from(kind.0), project: project },
        )
        .await?;
    Ok(())
}

fn after(now: Timestamp, pause: SignedDuration) -> Timestamp {
    now.checked_add(pause).unwrap_or(Timestamp::MAX)
}
