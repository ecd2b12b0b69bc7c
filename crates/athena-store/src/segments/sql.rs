//! The rows of segments and of the tail before them.

use athena_core::{Error, ModelId, ProjectId, Result};
use athena_db::{Executor, FromRow, Scalar, Tx, params};
use athena_search::segment::{Chunk, ChunkKind, Segment};
use athena_search::{Record, record};
use jiff::Timestamp;

/// The head of a project's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub(crate) struct Head {
    pub(crate) project_id: ProjectId,
    /// The last number given out.
    pub(crate) seq: i64,
    /// The last number that segments cover.
    pub(crate) sealed_seq: i64,
    /// How often segments gave place to others.
    pub(crate) replaced: i64,
    /// How often something was taken out for good.
    pub(crate) purged: i64,
    /// The form of what is in the log.
    pub(crate) format: i64,
    /// The model whose vectors everything has or waits for, if it is known.
    pub(crate) model_id: Option<ModelId>,
    /// The model that is to take its place.
    pub(crate) next_id: Option<ModelId>,
}

impl Head {
    /// Whether the vectors of a model answer here.
    ///
    /// Those of the model that has all of them do. Where no model is known to, those that there are
    /// answer, but for a model whose vectors are being made.
    pub(crate) fn answers(&self, model: ModelId) -> bool {
        match self.model_id {
            Some(answering) => answering == model,
            None => self.next_id != Some(model),
        }
    }
}

/// A segment that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub(crate) struct SegmentRow {
    pub(crate) id: i64,
    pub(crate) first_seq: i64,
    pub(crate) last_seq: i64,
    pub(crate) passages: i64,
}

/// Everything a [`Head`] is read from; the condition follows.
macro_rules! select_heads {
    ($rest:literal) => {
        concat!(
            "SELECT project_id, seq, sealed_seq, replaced, purged, format, model_id, next_id
             FROM search_heads ",
            $rest
        )
    };
}

/// Returns the heads of projects; those without writes have none.
pub(crate) async fn heads(db: &impl Executor, projects: &[ProjectId]) -> Result<Vec<Head>> {
    // A lookup by one key is quicker than a list of one.
    if let [project] = projects {
        return Ok(head(db, *project).await?.into_iter().collect());
    }
    let projects: Vec<i64> = projects.iter().map(|project| project.0).collect();
    Ok(db
        .fetch_all(
            select_heads!("WHERE project_id IN :projects"),
            params! { projects: projects },
        )
        .await?)
}

/// Returns the head of a project that was written to.
pub(crate) async fn head(db: &impl Executor, project: ProjectId) -> Result<Option<Head>> {
    Ok(db
        .fetch_opt(
            select_heads!("WHERE project_id = :project"),
            params! { project: project },
        )
        .await?)
}

/// Locks the head of a project until the transaction ends.
pub(crate) async fn lock_head(tx: &Tx<'_>, project: ProjectId) -> Result<()> {
    tx.execute(
        "UPDATE search_heads SET seq = seq WHERE project_id = :project",
        params! { project: project },
    )
    .await?;
    Ok(())
}

/// Returns the projects that have a search log.
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

/// Returns the segments that count and begin after a number, in order.
pub(crate) async fn segments(
    db: &impl Executor,
    project: ProjectId,
    after: i64,
) -> Result<Vec<SegmentRow>> {
    Ok(db
        .fetch_all(
            "SELECT id, first_seq, last_seq, passages FROM search_segments
             WHERE project_id = :project AND first_seq > :after AND ready = TRUE
             ORDER BY first_seq",
            params! { project: project, after: after },
        )
        .await?)
}

/// Returns a segment's chunks.
pub(crate) async fn chunks(
    db: &impl Executor,
    project: ProjectId,
    segment: i64,
) -> Result<Vec<Chunk>> {
    let rows: Vec<ChunkRow> = db
        .fetch_all(
            "SELECT kind, part, bytes FROM search_chunks
             WHERE project_id = :project AND segment_id = :segment
             ORDER BY kind, part",
            params! { project: project, segment: segment },
        )
        .await?;
    rows.into_iter().map(chunk).collect()
}

/// Returns a segment's chunks of some kinds.
pub(crate) async fn chunks_of_kinds(
    db: &impl Executor,
    project: ProjectId,
    segment: i64,
    kinds: &[ChunkKind],
) -> Result<Vec<Chunk>> {
    let kinds: Vec<i64> = kinds.iter().map(|kind| kind.number()).collect();
    let rows: Vec<ChunkRow> = db
        .fetch_all(
            "SELECT kind, part, bytes FROM search_chunks
             WHERE project_id = :project AND segment_id = :segment AND kind IN :kinds",
            params! { project: project, segment: segment, kinds: kinds },
        )
        .await?;
    rows.into_iter().map(chunk).collect()
}

/// Returns chunks of a kind of a segment, those that are there.
pub(crate) async fn some_chunks(
    db: &impl Executor,
    project: ProjectId,
    segment: i64,
    kind: ChunkKind,
    parts: Vec<i64>,
) -> Result<Vec<Chunk>> {
    let rows: Vec<ChunkRow> = db
        .fetch_all(
            "SELECT kind, part, bytes FROM search_chunks
             WHERE project_id = :project AND segment_id = :segment AND kind = :kind
                 AND part IN :parts",
            params! { project: project, segment: segment, kind: kind.number(), parts: parts },
        )
        .await?;
    rows.into_iter().map(chunk).collect()
}

type ChunkRow = (i64, i64, Vec<u8>);

fn chunk((kind, part, bytes): ChunkRow) -> Result<Chunk> {
    Ok(Chunk {
        kind: ChunkKind::from_number(kind).map_err(Error::internal)?,
        part: u32::try_from(part).map_err(Error::internal)?,
        bytes,
    })
}

/// Reads a segment.
pub(crate) async fn segment(
    db: &impl Executor,
    project: ProjectId,
    row: &SegmentRow,
) -> Result<Segment> {
    let chunks = chunks(db, project, row.id).await?;
    Segment::from_chunks(row.first_seq, row.last_seq, chunks).map_err(Error::internal)
}

/// Adds a segment that does not count yet; returns its id.
pub(crate) async fn begin_segment(
    tx: &Tx<'_>,
    project: ProjectId,
    segment: &Segment,
    now: Timestamp,
) -> Result<i64> {
    let Scalar(id) = tx
        .fetch_one(
            "INSERT INTO search_segments (project_id, first_seq, last_seq, passages, ready, created_at)
             VALUES (:project, :first, :last, :passages, FALSE, :now) RETURNING id",
            params! {
                project: project,
                first: segment.first_seq(),
                last: segment.last_seq(),
                passages: i64::try_from(segment.passages()).map_err(Error::internal)?,
                now: now,
            },
        )
        .await?;
    Ok(id)
}

/// Tells whether a segment is still there and does not count yet, and locks its row.
pub(crate) async fn is_unfinished(tx: &Tx<'_>, project: ProjectId, segment: i64) -> Result<bool> {
    let locked = tx
        .execute(
            "UPDATE search_segments SET ready = FALSE
             WHERE project_id = :project AND id = :segment AND ready = FALSE",
            params! { project: project, segment: segment },
        )
        .await?;
    Ok(locked == 1)
}

/// Makes a segment count; `false` if it is not there to be finished any more.
pub(crate) async fn finish_segment(tx: &Tx<'_>, project: ProjectId, segment: i64) -> Result<bool> {
    let finished = tx
        .execute(
            "UPDATE search_segments SET ready = TRUE
             WHERE project_id = :project AND id = :segment AND ready = FALSE",
            params! { project: project, segment: segment },
        )
        .await?;
    Ok(finished == 1)
}

/// Removes segments that were begun before a time and do not count; their chunks are left for
/// whoever removes [`orphans`].
pub(crate) async fn remove_unfinished(
    tx: &Tx<'_>,
    project: ProjectId,
    before: Timestamp,
) -> Result<()> {
    tx.execute(
        "DELETE FROM search_segments
         WHERE project_id = :project AND ready = FALSE AND created_at < :before",
        params! { project: project, before: before },
    )
    .await?;
    Ok(())
}

/// Stores chunks, each in the place of one with the same number.
pub(crate) async fn put_chunks(
    tx: &Tx<'_>,
    project: ProjectId,
    segment: i64,
    chunks: impl IntoIterator<Item = &Chunk>,
) -> Result<()> {
    let rows = chunks.into_iter().map(|chunk| {
        params! {
            project: project,
            segment: segment,
            kind: chunk.kind.number(),
            part: i64::from(chunk.part),
            bytes: chunk.bytes.clone(),
        }
    });
    tx.execute_many(
        "INSERT INTO search_chunks (project_id, segment_id, kind, part, bytes)
         VALUES (:project, :segment, :kind, :part, :bytes)
         ON CONFLICT (project_id, segment_id, kind, part) DO UPDATE SET bytes = excluded.bytes",
        rows.collect(),
    )
    .await?;
    Ok(())
}

/// Which chunk of a project: segment, kind and part.
pub(crate) type ChunkKey = (i64, i64, i64);

/// Removes chunks.
pub(crate) async fn remove_chunks(
    tx: &Tx<'_>,
    project: ProjectId,
    keys: impl IntoIterator<Item = &ChunkKey>,
) -> Result<()> {
    let rows = keys.into_iter().map(|(segment, kind, part)| {
        params! { project: project, segment: *segment, kind: *kind, part: *part }
    });
    tx.execute_many(
        "DELETE FROM search_chunks
         WHERE project_id = :project AND segment_id = :segment AND kind = :kind AND part = :part",
        rows.collect(),
    )
    .await?;
    Ok(())
}

/// Removes segments from those that count; their chunks are left for whoever removes
/// [`orphans`].
pub(crate) async fn remove_segments(
    tx: &Tx<'_>,
    project: ProjectId,
    segments: &[i64],
) -> Result<u64> {
    Ok(tx
        .execute(
            "DELETE FROM search_segments WHERE project_id = :project AND id IN :segments",
            params! { project: project, segments: segments.to_vec() },
        )
        .await?)
}

/// Returns up to `limit` chunks whose segment is gone.
pub(crate) async fn orphans(
    db: &impl Executor,
    project: ProjectId,
    limit: usize,
) -> Result<Vec<ChunkKey>> {
    Ok(db
        .fetch_all(
            "SELECT segment_id, kind, part FROM search_chunks
             WHERE project_id = :project AND segment_id NOT IN
                 (SELECT id FROM search_segments WHERE project_id = :project)
             LIMIT :limit",
            params! { project: project, limit: i64::try_from(limit).map_err(Error::internal)? },
        )
        .await?)
}

/// Returns the first number of the tail's rows that is at most `last`.
pub(crate) async fn first_of_tail(
    db: &impl Executor,
    project: ProjectId,
    last: i64,
) -> Result<Option<i64>> {
    let Scalar(first) = db
        .fetch_one(
            "SELECT MIN(seq) FROM search_tail WHERE project_id = :project AND seq <= :last",
            params! { project: project, last: last },
        )
        .await?;
    Ok(first)
}

/// Removes the rows of the tail from one number to another.
pub(crate) async fn remove_tail(
    tx: &Tx<'_>,
    project: ProjectId,
    first: i64,
    last: i64,
) -> Result<()> {
    tx.execute(
        "DELETE FROM search_tail WHERE project_id = :project AND seq BETWEEN :first AND :last",
        params! { project: project, first: first, last: last },
    )
    .await?;
    Ok(())
}

/// Puts a record in the place of another one in the tail, if that is still there.
pub(crate) async fn put_tail_record(
    tx: &Tx<'_>,
    project: ProjectId,
    seq: i64,
    record: &Record,
) -> Result<()> {
    tx.execute(
        "UPDATE search_tail SET record = :record WHERE project_id = :project AND seq = :seq",
        params! { record: record::encode(record), project: project, seq: seq },
    )
    .await?;
    Ok(())
}

/// Notes that segments are not what they were, so that processes read them again.
pub(crate) async fn count_replaced(tx: &Tx<'_>, project: ProjectId) -> Result<()> {
    tx.execute(
        "UPDATE search_heads SET replaced = replaced + 1 WHERE project_id = :project",
        params! { project: project },
    )
    .await?;
    Ok(())
}

/// Returns at most `limit` rows of the tail after a number, in order.
pub(crate) async fn tail_records(
    db: &impl Executor,
    project: ProjectId,
    from: i64,
    limit: i64,
) -> Result<Vec<(i64, Record)>> {
    let rows: Vec<(i64, Vec<u8>)> = db
        .fetch_all(
            "SELECT seq, record FROM search_tail
             WHERE project_id = :project AND seq > :from
             ORDER BY seq LIMIT :limit",
            params! { project: project, from: from, limit: limit },
        )
        .await?;
    rows.into_iter()
        .map(|(seq, bytes)| Ok((seq, record::decode(&bytes).map_err(Error::internal)?)))
        .collect()
}
