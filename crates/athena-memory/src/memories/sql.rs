//! Statements and rows of memories.

use super::{ConsolidationState, Memory, MemoryType, quality};
use crate::conditions::{Conditions, has_tag};
use athena_core::{MemoryId, PageRequest, ProjectId, Result};
use athena_db::{Dialect, Executor, FromRow, Row, Scalar, params};
use jiff::Timestamp;
use std::collections::HashMap;
use uuid::Uuid;

impl FromRow for Memory {
    fn from_row(row: &Row) -> athena_db::Result<Self> {
        let tags: serde_json::Value = row.get("tags")?;
        let metadata: Option<serde_json::Value> = row.get("metadata")?;
        let (usefulness, confidence) = (row.get("usefulness_score")?, row.get("confidence")?);
        let access_count = row.get("access_count")?;
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            uid: row.get("uid")?,
            lineage: row.get("lineage")?,
            version: row.get("version")?,
            superseded_by: row.get("superseded_by")?,
            superseded_at: row.get("superseded_at")?,
            update_reason: row.get("update_reason")?,
            content: row.get("content")?,
            content_type: row.get("content_type")?,
            memory_type: row.get("memory_type")?,
            domain: row.get("domain")?,
            priority: row.get("priority")?,
            scope: row.get("scope")?,
            tags: serde_json::from_value(tags).unwrap_or_default(),
            metadata: metadata.and_then(|value| match value {
                serde_json::Value::Object(map) => Some(map),
                _ => None,
            }),
            session: row.get("session_id")?,
            speaker: row.get("speaker")?,
            role: row.get("role")?,
            caption: row.get("caption")?,
            position: row.get("position")?,
            event_type: row.get("event_type")?,
            code_language: row.get("code_language")?,
            code_hash: row.get("code_hash")?,
            source: row.get("source")?,
            agent: row.get("agent")?,
            trust: row.get("trust")?,
            external_id: row.get("external_id")?,
            confidence,
            usefulness,
            quality: quality(usefulness, confidence, access_count),
            access_count,
            state: row.get("consolidation_state")?,
            consolidated_at: row.get("consolidated_at")?,
            occurred_at: row.get("occurred_at")?,
            valid_from: row.get("valid_from")?,
            valid_until: row.get("valid_until")?,
            expires_at: row.get("expires_at")?,
            principal: row.get("principal")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            last_accessed: row.get("last_accessed")?,
            last_retrieved_at: row.get("last_retrieved_at")?,
            forgotten_at: row.get("forgotten_at")?,
            forget_reason: row.get("forget_reason")?,
        })
    }
}

/// The columns that a [`Memory`] is read from.
macro_rules! columns {
    () => {
        "m.id, m.project_id, m.uid, m.lineage, m.version, m.superseded_by, m.update_reason,
                    m.content, m.content_type, m.memory_type, m.domain, m.tags, m.metadata,
                    m.session_id, m.speaker, m.role, m.caption, m.position, m.event_type,
                    m.code_language, m.code_hash, m.source, m.agent, m.trust, m.external_id,
                    m.confidence, m.usefulness_score, m.access_count, m.consolidation_state,
                    m.consolidated_at, m.occurred_at, m.valid_from, m.valid_until, m.expires_at,
                    m.principal, m.created_at, m.updated_at, m.last_accessed, m.last_retrieved_at,
                    m.forgotten_at, m.forget_reason, m.priority, m.scope, m.superseded_at"
    };
}

/// The columns that a [`Memory`] is read from, of `memory_vectors m`: for statements that are built.
pub(super) const COLUMNS: &str = columns!();

/// Everything a [`Memory`] is read from, of any project; further clauses follow.
macro_rules! select_anywhere {
    ($($rest:literal),+) => {
        concat!("SELECT ", columns!(), " FROM memory_vectors m ", $($rest),+)
    };
}

/// Everything a [`Memory`] is read from, of projects that exist; further conditions follow.
macro_rules! select {
    ($($rest:literal),+) => {
        select_anywhere!("JOIN projects p ON p.id = m.project_id AND p.live_key = 1 ", $($rest),+)
    };
}

/// A version about to be stored: the memory and what only the row holds.
#[derive(Debug, Clone)]
pub(super) struct NewRow<'a> {
    /// The memory; its `id` is not used.
    pub(super) memory: &'a Memory,
    /// What makes it the same as another one.
    pub(super) content_hash: &'a str,
}

impl NewRow<'_> {
    fn is_current(&self) -> bool {
        self.memory.forgotten_at.is_none() && self.memory.state != ConsolidationState::Superseded
    }
}

/// Stores a version and returns its id, or `None` if a current one says the same.
pub(super) async fn insert(db: &impl Executor, row: &NewRow<'_>) -> Result<Option<MemoryId>> {
    let m = row.memory;
    let id: Option<Scalar<MemoryId>> = db
        .fetch_opt(
            "INSERT INTO memory_vectors (
                 project_id, uid, lineage, version, superseded_by, update_reason, content, content_type,
                 content_hash, memory_type, domain, tags, metadata, session_id, speaker, role, caption,
                 position, event_type, code_language, code_hash, source, agent, trust, external_id,
                 confidence, usefulness_score, access_count, consolidation_state, consolidated_at,
                 occurred_at, valid_from, valid_until, expires_at, principal, created_at, updated_at,
                 last_accessed, last_retrieved_at, forgotten_at, forget_reason, live_key, priority, scope,
                 superseded_at)
             VALUES (
                 :project_id, :uid, :lineage, :version, :superseded_by, :update_reason, :content, :content_type,
                 :content_hash, :memory_type, :domain, :tags, :metadata, :session_id, :speaker, :role, :caption,
                 :position, :event_type, :code_language, :code_hash, :source, :agent, :trust, :external_id,
                 :confidence, :usefulness_score, :access_count, :consolidation_state, :consolidated_at,
                 :occurred_at, :valid_from, :valid_until, :expires_at, :principal, :created_at, :updated_at,
                 :last_accessed, :last_retrieved_at, :forgotten_at, :forget_reason, :live_key, :priority, :scope,
                 :superseded_at)
             ON CONFLICT (project_id, content_hash, live_key) DO NOTHING
             RETURNING id",
            params! {
                project_id: m.project_id,
                uid: m.uid,
                lineage: m.lineage,
                version: m.version,
                superseded_by: m.superseded_by,
                update_reason: m.update_reason.as_deref(),
                content: &m.content,
                content_type: &m.content_type,
                content_hash: row.content_hash,
                memory_type: m.memory_type,
                domain: &m.domain,
                tags: serde_json::json!(m.tags),
                metadata: m.metadata.clone().map(serde_json::Value::Object),
                session_id: m.session.as_deref(),
                speaker: m.speaker.as_deref(),
                role: m.role.as_deref(),
                caption: m.caption.as_deref(),
                position: m.position,
                event_type: m.event_type.as_deref(),
                code_language: m.code_language.as_deref(),
                code_hash: m.code_hash.as_deref(),
                source: m.source.as_deref(),
                agent: m.agent.as_deref(),
                trust: m.trust,
                external_id: m.external_id.as_deref(),
                confidence: m.confidence,
                usefulness_score: m.usefulness,
                access_count: m.access_count,
                consolidation_state: m.state,
                consolidated_at: m.consolidated_at,
                occurred_at: m.occurred_at,
                valid_from: m.valid_from,
                valid_until: m.valid_until,
                expires_at: m.expires_at,
                principal: &m.principal,
                created_at: m.created_at,
                updated_at: m.updated_at,
                last_accessed: m.last_accessed,
                last_retrieved_at: m.last_retrieved_at,
                forgotten_at: m.forgotten_at,
                forget_reason: m.forget_reason.as_deref(),
                live_key: row.is_current().then_some(1_i64),
                priority: m.priority,
                scope: m.scope.as_deref(),
                superseded_at: m.superseded_at,
            },
        )
        .await?;
    Ok(id.map(|Scalar(id)| id))
}

/// Returns the current memory that says the same, if there is one.
pub(super) async fn same(
    db: &impl Executor,
    project: ProjectId,
    content_hash: &str,
) -> Result<Option<(MemoryId, Uuid)>> {
    Ok(db
        .fetch_opt(
            "SELECT id, uid FROM memory_vectors
             WHERE project_id = :project AND content_hash = :hash AND live_key = 1",
            params! { project: project, hash: content_hash },
        )
        .await?)
}

pub(super) async fn by_id(db: &impl Executor, id: MemoryId) -> Result<Option<Memory>> {
    Ok(db
        .fetch_opt(select!("WHERE m.id = :id"), params! { id: id })
        .await?)
}

/// Returns those of the memories that are there, in the order of their ids.
pub(crate) async fn by_ids(db: &impl Executor, ids: &[MemoryId]) -> Result<Vec<Memory>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    Ok(db
        .fetch_all(
            select!("WHERE m.id IN :ids ORDER BY m.id"),
            params! { ids: ids.iter().map(|id| id.0).collect::<Vec<_>>() },
        )
        .await?)
}

/// Returns a version, in a project that was deleted too.
pub(super) async fn anywhere(db: &impl Executor, id: MemoryId) -> Result<Option<Memory>> {
    Ok(db
        .fetch_opt(select_anywhere!("WHERE m.id = :id"), params! { id: id })
        .await?)
}

/// Notes what makes a version the same as another one.
pub(super) async fn set_content_hash(
    db: &impl Executor,
    id: MemoryId,
    content_hash: &str,
) -> Result<()> {
    db.execute(
        "UPDATE memory_vectors SET content_hash = :hash WHERE id = :id",
        params! { hash: content_hash, id: id },
    )
    .await?;
    Ok(())
}

/// Removes the vectors of a version's passages; a caller's own embedding of it stays.
pub(super) async fn remove_passage_vectors(db: &impl Executor, id: MemoryId) -> Result<()> {
    db.execute(
        "DELETE FROM memory_passages WHERE memory_id = :id AND n >= 0",
        params! { id: id },
    )
    .await?;
    Ok(())
}

/// Returns the version of that `uid` in a project.
pub(super) async fn id_of_uid(
    db: &impl Executor,
    project: ProjectId,
    uid: Uuid,
) -> Result<Option<MemoryId>> {
    let id: Option<Scalar<MemoryId>> = db
        .fetch_opt(
            "SELECT id FROM memory_vectors WHERE project_id = :project AND uid = :uid",
            params! { project: project, uid: uid },
        )
        .await?;
    Ok(id.map(|Scalar(id)| id))
}

/// Returns those of some versions that a project has, by `uid`.
pub(super) async fn ids_of_uids(
    db: &impl Executor,
    project: ProjectId,
    uids: &[Uuid],
) -> Result<HashMap<Uuid, MemoryId>> {
    let mut found = HashMap::new();
    for uids in uids.chunks(500) {
        let rows: Vec<(Uuid, MemoryId)> = db
            .fetch_all(
                "SELECT uid, id FROM memory_vectors WHERE project_id = :project AND uid IN :uids",
                params! { project: project, uids: uids.to_vec() },
            )
            .await?;
        found.extend(rows);
    }
    Ok(found)
}

pub(super) async fn content_hash(db: &impl Executor, id: MemoryId) -> Result<String> {
    let Scalar(hash) = db
        .fetch_one(
            "SELECT content_hash FROM memory_vectors WHERE id = :id",
            params! { id: id },
        )
        .await?;
    Ok(hash)
}

/// Returns those of the memories that are current and not expired, in any order.
pub(super) async fn current(
    db: &impl Executor,
    ids: &[MemoryId],
    states: &[&str],
    now: Timestamp,
) -> Result<Vec<Memory>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    Ok(db
        .fetch_all(
            select!(
                "WHERE m.id IN :ids
                   AND m.forgotten_at IS NULL
                   AND m.consolidation_state IN :states
                   AND (m.expires_at IS NULL OR m.expires_at > :now)"
            ),
            params! {
                ids: ids.iter().map(|id| id.0).collect::<Vec<_>>(),
                states: states.iter().map(|state| (*state).to_owned()).collect::<Vec<_>>(),
                now: now,
            },
        )
        .await?)
}

/// Returns those of the memories that were current and not expired at a moment, in any order.
///
/// Where nothing says when a version was replaced, it was when its successor was stored.
pub(super) async fn believed(
    db: &impl Executor,
    ids: &[MemoryId],
    at: Timestamp,
) -> Result<Vec<Memory>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    Ok(db
        .fetch_all(
            select!(
                "LEFT JOIN memory_vectors s ON s.id = m.superseded_by
                 WHERE m.id IN :ids
                   AND m.created_at <= :at
                   AND (m.forgotten_at IS NULL OR m.forgotten_at > :at)
                   AND (m.superseded_by IS NULL OR COALESCE(m.superseded_at, s.created_at) > :at)
                   AND (m.expires_at IS NULL OR m.expires_at > :at)"
            ),
            params! {
                ids: ids.iter().map(|id| id.0).collect::<Vec<_>>(),
                at: at,
            },
        )
        .await?)
}

/// Returns the rules and preferences of projects that are current and not expired, those that
/// matter most first.
pub(crate) async fn standing(
    db: &impl Executor,
    projects: &[ProjectId],
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Memory>> {
    // The sign keeps SQLite from going over all current memories: few of them are rules.
    Ok(db
        .fetch_all(
            select!(
                "WHERE m.project_id IN :projects
                   AND m.memory_type IN ('rule', 'preference')
                   AND +m.live_key = 1
                   AND (m.expires_at IS NULL OR m.expires_at > :now)
                   AND (m.valid_from IS NULL OR m.valid_from <= :now)
                   AND (m.valid_until IS NULL OR m.valid_until > :now)
                 ORDER BY COALESCE(m.priority, 5) DESC, m.memory_type DESC, m.id DESC
                 LIMIT :limit"
            ),
            params! {
                projects: projects.iter().map(|project| project.0).collect::<Vec<_>>(),
                now: now,
                limit: i64::from(limit),
            },
        )
        .await?)
}

/// Returns all versions of a memory, oldest first.
pub(super) async fn versions(
    db: &impl Executor,
    project: ProjectId,
    lineage: Uuid,
) -> Result<Vec<Memory>> {
    Ok(db
        .fetch_all(
            select!(
                "WHERE m.project_id = :project AND m.lineage = :lineage ORDER BY m.version, m.id"
            ),
            params! { project: project, lineage: lineage },
        )
        .await?)
}

/// Locks all versions of a memory until the commit, and returns how many there are.
pub(super) async fn lock_versions(
    db: &impl Executor,
    project: ProjectId,
    lineage: Uuid,
) -> Result<u64> {
    Ok(db
        .execute(
            "UPDATE memory_vectors SET version = version
             WHERE project_id = :project AND lineage = :lineage",
            params! { project: project, lineage: lineage },
        )
        .await?)
}

/// What a list of memories is narrowed to.
#[derive(Debug, Clone, Default)]
pub(super) struct ListFilter {
    pub(super) state: Option<ConsolidationState>,
    pub(super) memory_type: Option<MemoryType>,
    pub(super) tag: Option<String>,
    pub(super) domain: Option<String>,
    pub(super) session: Option<String>,
    pub(super) after: Option<Timestamp>,
    pub(super) before: Option<Timestamp>,
    pub(super) forgotten: bool,
}

/// Returns one more than the page asks for, newest first.
pub(super) async fn list(
    db: &impl Executor,
    projects: &[ProjectId],
    filter: &ListFilter,
    page: PageRequest,
) -> Result<Vec<Memory>> {
    let Conditions { mut text, params } = listing(db.dialect(), projects, filter, page);
    text.push_str(" ORDER BY m.id DESC LIMIT :limit");
    Ok(db.fetch_all(text, params).await?)
}

/// Returns the statement of a list.
fn listing(
    dialect: Dialect,
    projects: &[ProjectId],
    filter: &ListFilter,
    page: PageRequest,
) -> Conditions {
    let projects: Vec<i64> = projects.iter().map(|project| project.0).collect();
    let mut all = Conditions {
        text: select!("WHERE m.project_id IN :projects").to_owned(),
        params: params! { projects: projects, limit: i64::from(page.limit) + 1 },
    };
    all.and(match filter.forgotten {
        true => "m.forgotten_at IS NOT NULL",
        false => "m.forgotten_at IS NULL",
    });
    if filter.state.is_none() {
        all.and("m.consolidation_state <> 'superseded'");
    }
    let time = "COALESCE(m.occurred_at, m.created_at)";
    let cursor = page.cursor.map_or(i64::MAX, |cursor| cursor.0);
    // Even on the first page: with it, SQLite reads the newest from an index and does not sort.
    all.and_value("m.id < :before_id", "before_id", Some(cursor));
    all.and_value("m.consolidation_state = :state", "state", filter.state);
    all.and_value("m.memory_type = :type", "type", filter.memory_type);
    all.and_value("m.domain = :domain", "domain", filter.domain.as_deref());
    all.and_value(
        "m.session_id = :session",
        "session",
        filter.session.as_deref(),
    );
    all.and_value(&format!("{time} >= :after"), "after", filter.after);
    all.and_value(&format!("{time} < :before"), "before", filter.before);
    all.and_value(has_tag!("m", dialect), "tag", filter.tag.as_deref());
    all
}

/// Returns one more version than the page asks for, forgotten and superseded ones included, oldest
/// first.
pub(super) async fn all(
    db: &impl Executor,
    projects: &[ProjectId],
    page: PageRequest,
) -> Result<Vec<Memory>> {
    Ok(db
        .fetch_all(
            select!("WHERE m.project_id IN :projects AND m.id > :after ORDER BY m.id LIMIT :limit"),
            params! {
                projects: projects.iter().map(|project| project.0).collect::<Vec<_>>(),
                after: page.cursor.map_or(0, |cursor| cursor.0),
                limit: i64::from(page.limit) + 1,
            },
        )
        .await?)
}

/// Marks a version as replaced by another one.
pub(super) async fn supersede(
    db: &impl Executor,
    id: MemoryId,
    by: MemoryId,
    now: Timestamp,
) -> Result<()> {
    db.execute(
        "UPDATE memory_vectors
         SET superseded_by = :by, consolidation_state = 'superseded', live_key = NULL,
             superseded_at = :now, updated_at = :now
         WHERE id = :id",
        params! { by: by, now: now, id: id },
    )
    .await?;
    Ok(())
}

/// Takes a version out of the set of current ones, so that another may take its place.
pub(super) async fn release(db: &impl Executor, id: MemoryId) -> Result<()> {
    db.execute(
        "UPDATE memory_vectors SET live_key = NULL WHERE id = :id",
        params! { id: id },
    )
    .await?;
    Ok(())
}

/// Locks a version's row until the commit: of two writers, the second sees what the first did.
pub(super) async fn lock(db: &impl Executor, id: MemoryId) -> Result<()> {
    db.execute(
        "UPDATE memory_vectors SET version = version WHERE id = :id",
        params! { id: id },
    )
    .await?;
    Ok(())
}

/// Notes which version replaced one that came from another store; its times stay as they came.
pub(super) async fn set_superseded(db: &impl Executor, id: MemoryId, by: MemoryId) -> Result<()> {
    db.execute(
        "UPDATE memory_vectors
         SET superseded_by = :by, consolidation_state = 'superseded', live_key = NULL
         WHERE id = :id",
        params! { by: by, id: id },
    )
    .await?;
    Ok(())
}

/// Makes a version current that came without its successor.
pub(super) async fn revive(db: &impl Executor, id: MemoryId) -> Result<()> {
    db.execute(
        "UPDATE memory_vectors SET consolidation_state = 'unconsolidated', live_key = 1
         WHERE id = :id AND forgotten_at IS NULL",
        params! { id: id },
    )
    .await?;
    Ok(())
}

pub(super) async fn forget(
    db: &impl Executor,
    id: MemoryId,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<()> {
    db.execute(
        "UPDATE memory_vectors
         SET forgotten_at = :now, forget_reason = :reason, live_key = NULL, updated_at = :now
         WHERE id = :id",
        params! { now: now, reason: reason, id: id },
    )
    .await?;
    Ok(())
}

pub(super) async fn restore(db: &impl Executor, id: MemoryId, now: Timestamp) -> Result<()> {
    db.execute(
        "UPDATE memory_vectors
         SET forgotten_at = NULL, forget_reason = NULL, live_key = 1, updated_at = :now
         WHERE id = :id",
        params! { now: now, id: id },
    )
    .await?;
    Ok(())
}

pub(super) async fn set_state(
    db: &impl Executor,
    id: MemoryId,
    state: ConsolidationState,
    now: Timestamp,
) -> Result<()> {
    let consolidated_at = (state == ConsolidationState::Consolidated).then_some(now);
    db.execute(
        "UPDATE memory_vectors
         SET consolidation_state = :state,
             consolidated_at = COALESCE(:consolidated_at, consolidated_at),
             updated_at = :now
         WHERE id = :id",
        params! { state: state, consolidated_at: consolidated_at, now: now, id: id },
    )
    .await?;
    Ok(())
}

/// Counts uses of a memory, and notes when it was retrieved.
pub(super) async fn count_access(
    db: &impl Executor,
    id: MemoryId,
    times: i64,
    at: Timestamp,
) -> Result<u64> {
    Ok(db
        .execute(
            "UPDATE memory_vectors
             SET access_count = access_count + :times, last_accessed = :at, last_retrieved_at = :at
             WHERE id = :id",
            params! { times: times, at: at, id: id },
        )
        .await?)
}

pub(super) async fn set_usefulness(
    db: &impl Executor,
    id: MemoryId,
    usefulness: f64,
    now: Timestamp,
) -> Result<()> {
    db.execute(
        "UPDATE memory_vectors SET usefulness_score = :usefulness, updated_at = :now WHERE id = :id",
        params! { usefulness: usefulness, now: now, id: id },
    )
    .await?;
    Ok(())
}

pub(super) async fn add_feedback(
    db: &impl Executor,
    id: MemoryId,
    useful: bool,
    note: Option<&str>,
    principal: &str,
    now: Timestamp,
) -> Result<()> {
    db.execute(
        "INSERT INTO memory_feedback (memory_id, useful, note, principal, created_at)
         VALUES (:id, :useful, :note, :principal, :now)",
        params! { id: id, useful: useful, note: note, principal: principal, now: now },
    )
    .await?;
    Ok(())
}

/// Returns how many votes said that a memory was useful, and how many there are.
pub(super) async fn feedback_counts(db: &impl Executor, id: MemoryId) -> Result<(i64, i64)> {
    Ok(db
        .fetch_one(
            "SELECT COALESCE(SUM(CASE WHEN useful THEN 1 ELSE 0 END), 0), COUNT(*)
             FROM memory_feedback WHERE memory_id = :id",
            params! { id: id },
        )
        .await?)
}

/// Returns memories that were retrieved since `since` and are open to change, latest first.
pub(super) async fn labile(
    db: &impl Executor,
    projects: &[ProjectId],
    since: Timestamp,
    limit: i64,
) -> Result<Vec<Memory>> {
    Ok(db
        .fetch_all(
            select!(
                "WHERE m.project_id IN :projects
                   AND m.consolidation_state IN ('labile', 'consolidated')
                   AND m.last_retrieved_at >= :since
                   AND m.forgotten_at IS NULL
                 ORDER BY m.last_retrieved_at DESC, m.id DESC
                 LIMIT :limit"
            ),
            params! {
                projects: projects.iter().map(|project| project.0).collect::<Vec<_>>(),
                since: since,
                limit: limit,
            },
        )
        .await?)
}

/// Stores the vectors of passages; those of the same model and number are replaced.
pub(super) async fn put_vectors(
    db: &impl Executor,
    vectors: impl IntoIterator<Item = (MemoryId, &super::indexing::PassageVector)>,
) -> Result<()> {
    let rows = vectors.into_iter().map(|(id, vector)| {
        params! {
            memory_id: id,
            model_id: i64::from(vector.stored.model),
            n: vector.row_number(),
            start_offset: i64::try_from(vector.range.start).unwrap_or(i64::MAX),
            end_offset: i64::try_from(vector.range.end).unwrap_or(i64::MAX),
            e: vector.bytes(),
        }
    });
    db.execute_many(
        "INSERT INTO memory_passages (memory_id, model_id, n, start_offset, end_offset, e)
         VALUES (:memory_id, :model_id, :n, :start_offset, :end_offset, :e)
         ON CONFLICT (memory_id, model_id, n) DO UPDATE
         SET start_offset = :start_offset, end_offset = :end_offset, e = :e",
        rows.collect(),
    )
    .await?;
    Ok(())
}

/// Returns a caller's own embedding of a memory: the model and the bytes.
pub(super) async fn own_vectors(db: &impl Executor, id: MemoryId) -> Result<Vec<(i64, Vec<u8>)>> {
    Ok(db
        .fetch_all(
            "SELECT model_id, e FROM memory_passages WHERE memory_id = :id AND n = -1 ORDER BY model_id",
            params! { id: id },
        )
        .await?)
}

/// Returns the stored vectors of memories: memory, model, passage (-1 for the whole text), bytes.
pub(super) async fn vectors_of(
    db: &impl Executor,
    ids: &[MemoryId],
) -> Result<Vec<(MemoryId, i64, i64, Vec<u8>)>> {
    Ok(db
        .fetch_all(
            "SELECT memory_id, model_id, n, e FROM memory_passages WHERE memory_id IN :ids
             ORDER BY memory_id, model_id, n",
            params! { ids: ids.iter().map(|id| id.0).collect::<Vec<_>>() },
        )
        .await?)
}

/// Returns those of the memories whose vectors are still to come.
pub(super) async fn vectors_pending(db: &impl Executor, ids: &[MemoryId]) -> Result<Vec<MemoryId>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let pending: Vec<Scalar<MemoryId>> = db
        .fetch_all(
            "SELECT item_id FROM embed_queue WHERE kind = 1 AND item_id IN :ids ORDER BY item_id",
            params! { ids: ids.iter().map(|id| id.0).collect::<Vec<_>>() },
        )
        .await?;
    Ok(pending.into_iter().map(|Scalar(id)| id).collect())
}

pub(super) async fn relate(
    db: &impl Executor,
    project: ProjectId,
    relation: &super::ops::Relation,
    principal: &str,
    now: Timestamp,
) -> Result<i64> {
    let Scalar(id) = db
        .fetch_one(
            "INSERT INTO memory_relationships (project_id, from_memory_id, to_memory_id, relationship_type,
                                               strength, principal, created_at)
             VALUES (:project, :from_id, :to_id, :kind, :strength, :principal, :now)
             ON CONFLICT (from_memory_id, to_memory_id, relationship_type) DO UPDATE SET strength = :strength
             RETURNING id",
            params! {
                project: project,
                from_id: relation.from,
                to_id: relation.to,
                kind: &relation.relation,
                strength: relation.strength,
                principal: principal,
                now: now,
            },
        )
        .await?;
    Ok(id)
}

/// Returns the relations of a memory, in both directions, oldest first.
pub(super) async fn relations(
    db: &impl Executor,
    id: MemoryId,
    limit: i64,
) -> Result<Vec<super::ops::Relation>> {
    let rows: Vec<(MemoryId, MemoryId, String, f64)> = db
        .fetch_all(
            "SELECT from_memory_id, to_memory_id, relationship_type, strength
             FROM memory_relationships
             WHERE from_memory_id = :id OR to_memory_id = :id
             ORDER BY id
             LIMIT :limit",
            params! { id: id, limit: limit },
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|(from, to, relation, strength)| super::ops::Relation {
            from,
            to,
            relation,
            strength,
        })
        .collect())
}

/// Returns the relations from memories, oldest first: from which one, to what `uid`, which relation and
/// how strong.
pub(super) async fn relations_from(
    db: &impl Executor,
    ids: &[MemoryId],
) -> Result<Vec<(MemoryId, Uuid, String, f64)>> {
    Ok(db
        .fetch_all(
            "SELECT r.from_memory_id, m.uid, r.relationship_type, r.strength
             FROM memory_relationships r
             JOIN memory_vectors m ON m.id = r.to_memory_id
             JOIN projects p ON p.id = m.project_id AND p.live_key = 1
             WHERE r.from_memory_id IN :ids
             ORDER BY r.id",
            params! { ids: ids.iter().map(|id| id.0).collect::<Vec<_>>() },
        )
        .await?)
}

/// Returns the `uid` of each of the memories that is there.
pub(super) async fn uids(db: &impl Executor, ids: &[MemoryId]) -> Result<Vec<(MemoryId, Uuid)>> {
    Ok(db
        .fetch_all(
            "SELECT m.id, m.uid FROM memory_vectors m
             JOIN projects p ON p.id = m.project_id AND p.live_key = 1
             WHERE m.id IN :ids",
            params! { ids: ids.iter().map(|id| id.0).collect::<Vec<_>>() },
        )
        .await?)
}

/// Returns the vectors of the whole texts of memories, of models with a name; those of an older model
/// come first.
pub(super) async fn vectors_named(
    db: &impl Executor,
    ids: &[MemoryId],
    model: &str,
) -> Result<Vec<(MemoryId, Vec<u8>)>> {
    Ok(db
        .fetch_all(
            "SELECT v.memory_id, v.e FROM memory_passages v
             JOIN embedding_models k ON k.id = v.model_id
             WHERE v.memory_id IN :ids AND v.n = -1 AND k.name = :model
             ORDER BY v.memory_id, v.model_id",
            params! { ids: ids.iter().map(|id| id.0).collect::<Vec<_>>(), model: model },
        )
        .await?)
}

/// Removes a version and everything that hangs on it; returns how many rows of each went.
pub(super) async fn purge_version(db: &impl Executor, id: MemoryId) -> Result<PurgedRows> {
    let by_id = || params! { id: id };
    db.execute(
        "DELETE FROM embed_queue WHERE kind = 1 AND item_id = :id",
        by_id(),
    )
    .await?;
    Ok(PurgedRows {
        passages: db
            .execute("DELETE FROM memory_passages WHERE memory_id = :id", by_id())
            .await?,
        relations: db
            .execute(
                "DELETE FROM memory_relationships WHERE from_memory_id = :id OR to_memory_id = :id",
                by_id(),
            )
            .await?,
        feedback: db
            .execute("DELETE FROM memory_feedback WHERE memory_id = :id", by_id())
            .await?,
        versions: db
            .execute("DELETE FROM memory_vectors WHERE id = :id", by_id())
            .await?,
    })
}

/// Returns the texts that belong to a version and are not in its row.
pub(super) async fn texts_beside(db: &impl Executor, id: MemoryId) -> Result<Vec<String>> {
    let texts: Vec<Scalar<String>> = db
        .fetch_all(
            "SELECT note FROM memory_feedback WHERE memory_id = :id AND note IS NOT NULL
             UNION ALL
             SELECT relationship_type FROM memory_relationships
             WHERE from_memory_id = :id OR to_memory_id = :id",
            params! { id: id },
        )
        .await?;
    Ok(texts.into_iter().map(|Scalar(text)| text).collect())
}

/// How many rows went with a version.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PurgedRows {
    pub(super) versions: u64,
    pub(super) passages: u64,
    pub(super) relations: u64,
    pub(super) feedback: u64,
}

/// Removes kept answers to idempotent requests that show the memory.
pub(super) async fn purge_answers(db: &impl Executor, lineage: Uuid) -> Result<u64> {
    Ok(db
        .execute(
            "DELETE FROM idempotency_keys WHERE response LIKE :pattern",
            params! { pattern: format!("%{lineage}%") },
        )
        .await?)
}
