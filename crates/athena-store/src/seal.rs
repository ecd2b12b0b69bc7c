//! Sealing the tail of a log into immutable chunks, and taking an item out of them for good.

use crate::Write;
use crate::index_cache::tail_records;
use crate::store::{Intent, Store};
use crate::write::{SEAL_AT, write};
use athena_core::{Ctx, Env, Error, ProjectId, Result};
use athena_db::{Executor, Scalar, Tx, TxOptions, params};
use athena_search::{ItemRef, Record, segment};
use std::collections::HashMap;
use std::sync::Arc;

/// Rows of the tail that one transaction blanks.
const VOID_ROWS: usize = 500;

/// Seals the tails that have grown long.
pub(crate) async fn seal_wanted(env: &Arc<Env>) -> Result<()> {
    for project in env.part::<Store>().take_wanted() {
        seal(env, project).await?;
    }
    Ok(())
}

/// Moves the tail of a project into chunks, one short transaction a chunk.
async fn seal(env: &Arc<Env>, project: ProjectId) -> Result<()> {
    let records = tail_records(env.db(), project, 0).await?;
    let whole = usize::try_from(SEAL_AT).unwrap_or(usize::MAX);
    for batch in records.chunks(whole) {
        for chunk in segment::encode(batch) {
            let rows = segment::decode(&chunk).map_err(Error::internal)?;
            if let (Some((first, _)), Some((last, _))) = (rows.first(), rows.last()) {
                seal_rows(env, project, *first, *last).await?;
            }
        }
    }
    Ok(())
}

/// Stores the rows of a range as one chunk; does nothing if another process was first.
async fn seal_rows(env: &Arc<Env>, project: ProjectId, first: i64, last: i64) -> Result<()> {
    env.db()
        .transaction_with(TxOptions::default(), |tx| {
            Box::pin(async move {
                env.part::<Store>().schema.check(tx).await?;
                replace_rows(tx, project, first, last).await
            })
        })
        .await
}

async fn replace_rows(tx: &Tx<'_>, project: ProjectId, first: i64, last: i64) -> Result<()> {
    let moved = tx
        .execute(
            "UPDATE search_heads SET sealed_seq = :last
             WHERE project_id = :project AND sealed_seq = :before",
            params! { project: project, last: last, before: first - 1 },
        )
        .await?;
    if moved == 0 {
        return Ok(());
    }
    // The head is locked now, so no purge can blank a row between this and the commit. What was
    // read before the lock may hold text that has been purged since.
    let mut rows = tail_records(tx, project, first - 1).await?;
    rows.retain(|(seq, _)| *seq <= last);
    for chunk in segment::encode(&rows) {
        insert_chunk(tx, project, chunk).await?;
    }
    tx.execute(
        "DELETE FROM search_tail WHERE project_id = :project AND seq BETWEEN :first AND :last",
        params! { project: project, first: first, last: last },
    )
    .await?;
    Ok(())
}

async fn insert_chunk(tx: &Tx<'_>, project: ProjectId, chunk: Vec<u8>) -> Result<()> {
    let rows = segment::decode(&chunk).map_err(Error::internal)?;
    let (Some((first, _)), Some((last, _))) = (rows.first(), rows.last()) else {
        return Ok(());
    };
    tx.execute(
        "INSERT INTO search_segments (project_id, first_seq, last_seq, chunk)
         VALUES (:project, :first, :last, :chunk)",
        params! { project: project, first: *first, last: *last, chunk: chunk },
    )
    .await?;
    Ok(())
}

/// Takes every trace of an item out of the search log: its tail rows, and its part of every chunk.
///
/// The numbers of the removed rows go to the tombstone's place: other processes learn of the
/// removal from the [`Record::Remove`] that is logged with it. Returns how many records went.
///
/// # Errors
///
/// What the database fails with.
pub async fn remove_item(write: &Write<'_>, project: ProjectId, item: ItemRef) -> Result<u64> {
    // Locks the head first, so that no chunk is sealed meanwhile.
    lock_head(write.tx(), project).await?;
    let removed = clear_tail(write.tx(), project, item).await?
        + rewrite_chunks(write.tx(), project, item).await?;
    write.log(project, Record::Remove { item });
    Ok(removed)
}

async fn lock_head(tx: &Tx<'_>, project: ProjectId) -> Result<()> {
    tx.execute(
        "UPDATE search_heads SET seq = seq WHERE project_id = :project",
        params! { project: project },
    )
    .await?;
    Ok(())
}

/// Blanks the item's tail rows to tombstones: their numbers stay, what they said goes.
async fn clear_tail(tx: &Tx<'_>, project: ProjectId, item: ItemRef) -> Result<u64> {
    Ok(tx
        .execute(
            "UPDATE search_tail SET record = :tombstone
             WHERE project_id = :project AND kind = :kind AND item_id = :item_id",
            params! {
                tombstone: athena_search::record::encode(&Record::Remove { item }),
                project: project,
                kind: i64::from(item.kind.0),
                item_id: item.id,
            },
        )
        .await?)
}

async fn rewrite_chunks(tx: &Tx<'_>, project: ProjectId, item: ItemRef) -> Result<u64> {
    let chunks: Vec<(i64, Vec<u8>)> = tx
        .fetch_all(
            "SELECT first_seq, chunk FROM search_segments WHERE project_id = :project ORDER BY first_seq",
            params! { project: project },
        )
        .await?;
    let mut removed = 0;
    for (first, chunk) in chunks {
        let mut rows = segment::decode(&chunk).map_err(Error::internal)?;
        let touched = rows.iter_mut().filter(|(_, record)| record.item() == item);
        let count = touched
            .map(|(_, record)| *record = Record::Remove { item })
            .count();
        if count > 0 {
            removed += u64::try_from(count).unwrap_or(0);
            store_chunk(tx, project, first, &rows).await?;
        }
    }
    Ok(removed)
}

/// The projects that have a search log.
pub(crate) async fn logged_projects(db: &impl Executor) -> Result<Vec<ProjectId>> {
    let projects: Vec<Scalar<ProjectId>> = db
        .fetch_all(
            "SELECT project_id FROM search_heads ORDER BY project_id",
            params! {},
        )
        .await?;
    Ok(projects
        .into_iter()
        .map(|Scalar(project)| project)
        .collect())
}

/// Takes out of the search log of a project what later records of the same items have made void, a
/// chunk a transaction.
pub(crate) async fn clear_void(ctx: &Ctx, intent: Intent, project: ProjectId) -> Result<()> {
    // The tail first: what is sealed meanwhile is met again in its chunk.
    let tail = tail_records(ctx.db(), project, 0).await?;
    let begun = Arc::new(beginnings(ctx, project, &tail).await?);
    let void = tail
        .iter()
        .filter(|(seq, record)| is_void(&begun, *seq, record));
    let void: Vec<(i64, ItemRef)> = void.map(|(seq, record)| (*seq, record.item())).collect();
    for rows in void.chunks(VOID_ROWS) {
        let rows = Arc::new(rows.to_vec());
        write(ctx, intent, move |write| {
            let rows = Arc::clone(&rows);
            Box::pin(async move { clear_rows(write.tx(), project, &rows).await })
        })
        .await?;
    }
    for first in chunk_numbers(ctx.db(), project).await? {
        let begun = Arc::clone(&begun);
        write(ctx, intent, move |write| {
            let begun = Arc::clone(&begun);
            Box::pin(async move { clear_chunk(write.tx(), project, first, &begun).await })
        })
        .await?;
    }
    Ok(())
}

/// Where each item was begun anew last: what stands before that is void.
type Beginnings = HashMap<ItemRef, i64>;

async fn beginnings(ctx: &Ctx, project: ProjectId, tail: &[(i64, Record)]) -> Result<Beginnings> {
    let mut begun = Beginnings::new();
    let mut note = |rows: &[(i64, Record)]| {
        for (seq, record) in rows {
            if let Record::Passage { item, n: 0, .. } = record {
                begun.insert(*item, *seq);
            }
        }
    };
    for first in chunk_numbers(ctx.db(), project).await? {
        note(&chunk(ctx.db(), project, first).await?);
    }
    note(tail);
    Ok(begun)
}

fn is_void(begun: &Beginnings, seq: i64, record: &Record) -> bool {
    let is_blank = matches!(record, Record::Remove { .. });
    !is_blank && begun.get(&record.item()).is_some_and(|begun| seq < *begun)
}

async fn clear_rows(tx: &Tx<'_>, project: ProjectId, rows: &[(i64, ItemRef)]) -> Result<()> {
    lock_head(tx, project).await?;
    let rows = rows.iter().map(|(seq, item)| {
        params! {
            tombstone: athena_search::record::encode(&Record::Remove { item: *item }),
            project: project,
            seq: *seq,
        }
    });
    tx.execute_many(
        "UPDATE search_tail SET record = :tombstone WHERE project_id = :project AND seq = :seq",
        rows.collect(),
    )
    .await?;
    Ok(())
}

async fn clear_chunk(
    tx: &Tx<'_>,
    project: ProjectId,
    first: i64,
    begun: &Beginnings,
) -> Result<()> {
    lock_head(tx, project).await?;
    let mut rows = chunk(tx, project, first).await?;
    let mut cleared = false;
    for (seq, record) in &mut rows {
        if is_void(begun, *seq, record) {
            *record = Record::Remove {
                item: record.item(),
            };
            cleared = true;
        }
    }
    match cleared {
        true => store_chunk(tx, project, first, &rows).await,
        false => Ok(()),
    }
}

async fn chunk_numbers(db: &impl Executor, project: ProjectId) -> Result<Vec<i64>> {
    let numbers: Vec<Scalar<i64>> = db
        .fetch_all(
            "SELECT first_seq FROM search_segments WHERE project_id = :project ORDER BY first_seq",
            params! { project: project },
        )
        .await?;
    Ok(numbers.into_iter().map(|Scalar(first)| first).collect())
}

async fn chunk(db: &impl Executor, project: ProjectId, first: i64) -> Result<Vec<(i64, Record)>> {
    let Scalar(bytes): Scalar<Vec<u8>> = db
        .fetch_one(
            "SELECT chunk FROM search_segments WHERE project_id = :project AND first_seq = :first",
            params! { project: project, first: first },
        )
        .await?;
    segment::decode(&bytes).map_err(Error::internal)
}

async fn store_chunk(
    tx: &Tx<'_>,
    project: ProjectId,
    first: i64,
    rows: &[(i64, Record)],
) -> Result<()> {
    let mut chunks = segment::encode(rows);
    // Fewer bytes than before: it was one chunk and stays one.
    let chunk = chunks.pop().filter(|_| chunks.is_empty());
    let chunk =
        chunk.ok_or_else(|| Error::internal("a search chunk grew when an item was removed"))?;
    tx.execute(
        "UPDATE search_segments SET chunk = :chunk WHERE project_id = :project AND first_seq = :first",
        params! { chunk: chunk, project: project, first: first },
    )
    .await?;
    Ok(())
}
