//! Taking items out of the log for good.

use super::rebuild::{discard, is_unreadable};
use super::sql::{self, SegmentRow};
use crate::Write;
use crate::store::Intent;
use crate::write::write;
use athena_core::{Ctx, Error, ModelId, ProjectId, Result};
use athena_db::{Executor, Tx, params};
use athena_search::segment::{Chunk, Segment};
use athena_search::{ItemRef, Record};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Rows of the tail that one transaction blanks.
const VOID_ROWS: usize = 500;

/// Takes every trace of an item out of the search log: its tail rows, and its part of every
/// segment.
///
/// The numbers of the removed rows go to the tombstone's place: other processes learn of the
/// removal from the [`Record::Remove`] that is logged with it. Returns how many records went.
///
/// # Errors
///
/// What the database fails with.
pub async fn remove_item(write: &Write<'_>, project: ProjectId, item: ItemRef) -> Result<u64> {
    remove_items(write, project, &[item]).await
}

/// Takes every trace of some items out of the search log, as [`remove_item`] does of one; each
/// segment is read once.
///
/// # Errors
///
/// What the database fails with.
pub async fn remove_items(write: &Write<'_>, project: ProjectId, items: &[ItemRef]) -> Result<u64> {
    if items.is_empty() {
        return Ok(0);
    }
    // Locks the head first, so that no segment begins to count meanwhile.
    sql::lock_head(write.tx(), project).await?;
    forget_unfinished(write.tx(), project).await?;
    let mut removed = 0;
    for item in items {
        removed += clear_tail(write.tx(), project, *item).await?;
    }
    let gone: HashSet<ItemRef> = items.iter().copied().collect();
    match clear_segments(write.tx(), project, &gone).await {
        Ok(blanked) => removed += blanked,
        // Nobody can tell what is in it; the rows know all that it should say.
        Err(error) if is_unreadable(&error) => discard(write.tx(), project).await?,
        Err(error) => return Err(error),
    }
    for item in items {
        write.log(project, Record::Remove { item: *item });
    }
    Ok(removed)
}

async fn clear_segments(tx: &Tx<'_>, project: ProjectId, items: &HashSet<ItemRef>) -> Result<u64> {
    let mut removed = 0;
    for row in sql::segments(tx, project, 0).await? {
        removed += blank(tx, project, &row, items).await?;
    }
    Ok(removed)
}

/// Removes segments that others are still making from what is about to go, and chunks that wait
/// to be removed; counts the purge, so that those others start again.
async fn forget_unfinished(tx: &Tx<'_>, project: ProjectId) -> Result<()> {
    let unfinished = [
        "DELETE FROM search_segments WHERE project_id = :project AND ready = FALSE",
        "DELETE FROM search_chunks WHERE project_id = :project AND segment_id NOT IN
             (SELECT id FROM search_segments WHERE project_id = :project)",
        "DELETE FROM search_tail WHERE project_id = :project AND seq <=
             (SELECT sealed_seq FROM search_heads WHERE project_id = :project)",
        "UPDATE search_heads SET purged = purged + 1 WHERE project_id = :project",
    ];
    for statement in unfinished {
        tx.execute(statement, params! { project: project }).await?;
    }
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

/// Blanks items in a segment, and stores the chunks that are others now.
async fn blank(
    tx: &Tx<'_>,
    project: ProjectId,
    row: &SegmentRow,
    items: &HashSet<ItemRef>,
) -> Result<u64> {
    let mut segment = sql::segment(tx, project, row).await?;
    let blanked = segment.blank(items).map_err(Error::internal)?;
    if blanked > 0 {
        restore(tx, project, row, &segment).await?;
    }
    u64::try_from(blanked).map_err(Error::internal)
}

/// Stores those chunks of a segment that are others than what is stored.
async fn restore(
    tx: &Tx<'_>,
    project: ProjectId,
    row: &SegmentRow,
    segment: &Segment,
) -> Result<()> {
    let before: HashMap<_, Vec<u8>> = sql::chunks(tx, project, row.id)
        .await?
        .into_iter()
        .map(|chunk| (key(row, &chunk), chunk.bytes))
        .collect();
    let after = segment.chunks();
    let is_other = |chunk: &&Chunk| before.get(&key(row, chunk)) != Some(&chunk.bytes);
    sql::put_chunks(tx, project, row.id, after.iter().filter(is_other)).await?;
    let kept: HashSet<_> = after.iter().map(|chunk| key(row, chunk)).collect();
    let gone = before.keys().filter(|key| !kept.contains(key));
    sql::remove_chunks(tx, project, gone).await
}

fn key(row: &SegmentRow, chunk: &Chunk) -> sql::ChunkKey {
    (row.id, chunk.kind.number(), i64::from(chunk.part))
}

/// Takes out of the search log of a project what later records of the same items have made void, a
/// segment a transaction.
pub(crate) async fn clear_void(ctx: &Ctx, intent: Intent, project: ProjectId) -> Result<()> {
    // The tail first: what is sealed meanwhile is met again in its segment.
    let tail = sql::tail_records(ctx.db(), project, 0, i64::MAX).await?;
    let mut begun = Beginnings::new();
    for row in sql::segments(ctx.db(), project, 0).await? {
        let segment = sql::segment(ctx.db(), project, &row).await?;
        begun.extend(segment.items().map(|item| (item, row.first_seq)));
    }
    begun.extend(tail.iter().filter_map(|(seq, record)| match record {
        Record::Passage { item, n: 0, .. } => Some((*item, *seq)),
        _ => None,
    }));
    let begun = Arc::new(begun);
    let is_void = |(seq, record): &&(i64, Record)| {
        let is_blank = matches!(record, Record::Remove { .. });
        !is_blank && begun.get(&record.item()).is_some_and(|begun| seq < begun)
    };
    let void: Vec<(i64, ItemRef)> = tail
        .iter()
        .filter(is_void)
        .map(|(seq, record)| (*seq, record.item()))
        .collect();
    for rows in void.chunks(VOID_ROWS) {
        let rows = Arc::new(rows.to_vec());
        write(ctx, intent, move |write| {
            let rows = Arc::clone(&rows);
            Box::pin(async move { clear_rows(write.tx(), project, &rows).await })
        })
        .await?;
    }
    for row in sql::segments(ctx.db(), project, 0).await? {
        let begun = Arc::clone(&begun);
        write(ctx, intent, move |write| {
            let begun = Arc::clone(&begun);
            Box::pin(async move { clear_segment(write.tx(), project, &row, &begun).await })
        })
        .await?;
    }
    Ok(())
}

/// Where each item was begun anew last: what stands before that is void.
type Beginnings = HashMap<ItemRef, i64>;

async fn clear_rows(tx: &Tx<'_>, project: ProjectId, rows: &[(i64, ItemRef)]) -> Result<()> {
    sql::lock_head(tx, project).await?;
    forget_unfinished(tx, project).await?;
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

async fn clear_segment(
    tx: &Tx<'_>,
    project: ProjectId,
    row: &SegmentRow,
    begun: &Beginnings,
) -> Result<()> {
    sql::lock_head(tx, project).await?;
    forget_unfinished(tx, project).await?;
    let segment = sql::segment(tx, project, row).await?;
    let is_void = |item: &ItemRef| begun.get(item).is_some_and(|begun| row.last_seq < *begun);
    let void: HashSet<ItemRef> = segment.mentioned().filter(is_void).collect();
    if !void.is_empty() {
        blank(tx, project, row, &void).await?;
    }
    Ok(())
}

/// Takes the vectors of models out of the search log of a project, some rows or a segment a
/// transaction; processes that hold them read the log again after the next write.
///
/// # Errors
///
/// What the database fails with.
pub async fn drop_vectors(
    ctx: &Ctx,
    intent: Intent,
    project: ProjectId,
    models: &[ModelId],
) -> Result<()> {
    let models: Result<HashSet<u32>> = models
        .iter()
        .map(|model| u32::try_from(model.0).map_err(Error::internal))
        .collect();
    let models = Arc::new(models?);
    // The tail first: what is sealed meanwhile is met again in its segment.
    let tail = sql::tail_records(ctx.db(), project, 0, i64::MAX).await?;
    let without: Vec<(i64, Option<Record>)> = tail
        .into_iter()
        .filter_map(|(seq, record)| Some((seq, without_vectors(record, &models)?)))
        .collect();
    for rows in without.chunks(VOID_ROWS) {
        let rows = Arc::new(rows.to_vec());
        write(ctx, intent, move |write| {
            let rows = Arc::clone(&rows);
            Box::pin(async move { replace_rows(write.tx(), project, &rows).await })
        })
        .await?;
    }
    // Once more after a pass that found some: segments may have been merged meanwhile.
    while drop_from_segments(ctx, intent, project, &models).await? {}
    Ok(())
}

/// Takes the vectors of models out of every segment; returns whether there were any.
async fn drop_from_segments(
    ctx: &Ctx,
    intent: Intent,
    project: ProjectId,
    models: &Arc<HashSet<u32>>,
) -> Result<bool> {
    let mut any = false;
    for row in sql::segments(ctx.db(), project, 0).await? {
        let models = Arc::clone(models);
        any |= write(ctx, intent, move |write| {
            let models = Arc::clone(&models);
            Box::pin(async move { drop_from_segment(write.tx(), project, &row, &models).await })
        })
        .await?;
    }
    Ok(any)
}

/// Returns what takes the place of a record that holds a vector of one of the models, which may be
/// nothing.
#[expect(
    clippy::option_option,
    reason = "nothing to do, or nothing to put there"
)]
fn without_vectors(record: Record, models: &HashSet<u32>) -> Option<Option<Record>> {
    match record {
        Record::Vector { vector, .. } if models.contains(&vector.model) => Some(None),
        Record::Passage {
            item,
            n,
            of,
            attributes,
            terms,
            len,
            vector: Some(vector),
        } if models.contains(&vector.model) => Some(Some(Record::Passage {
            item,
            n,
            of,
            attributes,
            terms,
            len,
            vector: None,
        })),
        _ => None,
    }
}

async fn replace_rows(
    tx: &Tx<'_>,
    project: ProjectId,
    rows: &[(i64, Option<Record>)],
) -> Result<()> {
    sql::lock_head(tx, project).await?;
    forget_unfinished(tx, project).await?;
    for (seq, record) in rows {
        match record {
            Some(record) => sql::put_tail_record(tx, project, *seq, record).await?,
            None => sql::remove_tail(tx, project, *seq, *seq).await?,
        }
    }
    Ok(())
}

async fn drop_from_segment(
    tx: &Tx<'_>,
    project: ProjectId,
    row: &SegmentRow,
    models: &HashSet<u32>,
) -> Result<bool> {
    sql::lock_head(tx, project).await?;
    if !sql::segments(tx, project, 0).await?.contains(row) {
        return Ok(true);
    }
    let mut segment = sql::segment(tx, project, row).await?;
    if segment.drop_vectors(models) == 0 {
        return Ok(false);
    }
    forget_unfinished(tx, project).await?;
    restore(tx, project, row, &segment).await?;
    sql::count_replaced(tx, project).await?;
    Ok(true)
}
