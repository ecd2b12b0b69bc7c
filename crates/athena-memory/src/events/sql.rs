//! Statements and rows of events.

use super::{ConsolidationStatus, Event, EventType, Outcome, SURPRISING, links};
use crate::conditions::{Conditions, has_tag};
use athena_core::{EventId, MemoryId, ProjectId, Result};
use athena_db::{Dialect, Executor, FromRow, Params, Row, Scalar, params};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

impl FromRow for Event {
    fn from_row(row: &Row) -> athena_db::Result<Self> {
        let metadata: Option<Value> = row.get("metadata")?;
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            uid: row.get("uid")?,
            event_type: row.get("event_type")?,
            content: row.get("content")?,
            outcome: row.get("outcome")?,
            occurred_at: row.get("occurred_at")?,
            precision: row.get("time_precision")?,
            duration_ms: row.get("duration_ms")?,
            session: row.get("session_id")?,
            agent: row.get("agent")?,
            source: row.get("source")?,
            idempotency_key: row.get("idempotency_key")?,
            context_cwd: row.get("context_cwd")?,
            context_files: texts(row, "context_files")?,
            context_task: row.get("context_task")?,
            context_phase: row.get("context_phase")?,
            context_branch: row.get("context_branch")?,
            files_changed: row.get("files_changed")?,
            lines_added: row.get("lines_added")?,
            lines_deleted: row.get("lines_deleted")?,
            file_path: row.get("file_path")?,
            symbol: row.get("symbol")?,
            language: row.get("language")?,
            diff: row.get("diff")?,
            git_commit: row.get("git_commit")?,
            git_author: row.get("git_author")?,
            test_name: row.get("test_name")?,
            test_passed: row.get("test_passed")?,
            error_type: row.get("error_type")?,
            stack_trace: row.get("stack_trace")?,
            metrics: BTreeMap::new(),
            learned: row.get("learned")?,
            tags: texts(row, "tags")?,
            metadata: metadata.and_then(|value| match value {
                Value::Object(map) => Some(map),
                _ => None,
            }),
            surprise: row.get("surprise_score")?,
            confidence: row.get("confidence")?,
            evidence_type: row.get("evidence_type")?,
            evidence_quality: row.get("evidence_quality")?,
            importance: row.get("importance")?,
            actionable: row.get("actionable")?,
            uses: row.get("uses")?,
            last_used_at: row.get("last_used_at")?,
            caused_by: row.get("caused_by")?,
            consolidation_status: row.get("consolidation_status")?,
            consolidated_at: row.get("consolidated_at")?,
            memory_id: row.get("memory_vector_id")?,
            principal: row.get("principal")?,
            created_at: row.get("created_at")?,
            removed_at: row.get("removed_at")?,
        })
    }
}

/// Reads a list of texts.
fn texts(row: &Row, column: &str) -> athena_db::Result<Vec<String>> {
    let list: Value = row.get(column)?;
    Ok(serde_json::from_value(list).unwrap_or_default())
}

/// Everything an [`Event`] is read from but its metrics; a condition on `episodic_events e` follows.
macro_rules! select {
    ($($rest:literal),+) => {
        concat!(
            "SELECT e.id, e.project_id, e.uid, e.session_id, e.agent, e.source, e.idempotency_key,
                    e.event_type, e.content, e.outcome, e.occurred_at, e.time_precision, e.duration_ms,
                    e.context_cwd, e.context_files, e.context_task, e.context_phase, e.context_branch,
                    e.files_changed, e.lines_added, e.lines_deleted, e.file_path, e.symbol, e.language,
                    e.diff, e.git_commit, e.git_author, e.test_name, e.test_passed, e.error_type,
                    e.stack_trace, e.learned, e.tags, e.metadata, e.surprise_score, e.confidence,
                    e.evidence_type, e.evidence_quality, e.importance, e.actionable, e.uses,
                    e.last_used_at, e.caused_by, e.consolidation_status, e.consolidated_at,
                    e.memory_vector_id, e.principal, e.created_at, e.removed_at
             FROM episodic_events e ",
            $($rest),+
        )
    };
}

/// An event about to be stored: it and what only the row holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewRow<'a> {
    /// The event; its `id`, project and surprise are not used.
    pub(super) event: &'a Event,
    pub(super) project: ProjectId,
    pub(super) surprise: Option<f64>,
    pub(super) content_hash: &'a str,
}

/// Stores events with their files and metrics, and returns their ids by `uid`.
pub(super) async fn insert(
    db: &impl Executor,
    rows: &[NewRow<'_>],
) -> Result<HashMap<Uuid, EventId>> {
    db.execute_many(
        "INSERT INTO episodic_events (
             project_id, uid, session_id, agent, source, idempotency_key, event_type, content, outcome,
             occurred_at, time_precision, duration_ms, context_cwd, context_files, context_task,
             context_phase, context_branch, files_changed, lines_added, lines_deleted, file_path, symbol,
             language, diff, git_commit, git_author, test_name, test_passed, error_type, stack_trace,
             learned, tags, metadata, surprise_score, confidence, evidence_type, evidence_quality,
             importance, actionable, uses, last_used_at, caused_by, consolidation_status,
             consolidated_at, memory_vector_id, content_hash, told_by, time_bucket, principal, created_at,
             live_key)
         VALUES (
             :project_id, :uid, :session_id, :agent, :source, :idempotency_key, :event_type, :content, :outcome,
             :occurred_at, :time_precision, :duration_ms, :context_cwd, :context_files, :context_task,
             :context_phase, :context_branch, :files_changed, :lines_added, :lines_deleted, :file_path, :symbol,
             :language, :diff, :git_commit, :git_author, :test_name, :test_passed, :error_type, :stack_trace,
             :learned, :tags, :metadata, :surprise_score, :confidence, :evidence_type, :evidence_quality,
             :importance, :actionable, :uses, :last_used_at, :caused_by, :consolidation_status,
             :consolidated_at, :memory_vector_id, :content_hash, :told_by, :time_bucket, :principal, :created_at,
             :live_key)",
        rows.iter().map(|row| values(*row)).collect(),
    )
    .await?;
    let uids: Vec<Uuid> = rows.iter().map(|row| row.event.uid).collect();
    let ids: Vec<(Uuid, EventId)> = db
        .fetch_all(
            "SELECT uid, id FROM episodic_events WHERE project_id IN :projects AND uid IN :uids",
            params! { projects: projects(rows), uids: uids },
        )
        .await?;
    let ids: HashMap<Uuid, EventId> = ids.into_iter().collect();
    insert_files(db, rows, &ids).await?;
    insert_metrics(db, rows, &ids).await?;
    Ok(ids)
}

fn projects(rows: &[NewRow<'_>]) -> Vec<i64> {
    let mut projects: Vec<i64> = rows.iter().map(|row| row.project.0).collect();
    projects.sort_unstable();
    projects.dedup();
    projects
}

fn values(row: NewRow<'_>) -> Params {
    let e = row.event;
    params! {
        project_id: row.project,
        uid: e.uid,
        session_id: e.session.as_deref(),
        agent: e.agent.as_deref(),
        source: e.source.as_deref(),
        idempotency_key: e.idempotency_key.as_deref(),
        event_type: e.event_type,
        content: &e.content,
        outcome: e.outcome,
        occurred_at: e.occurred_at,
        time_precision: e.precision,
        duration_ms: e.duration_ms,
        context_cwd: e.context_cwd.as_deref(),
        context_files: serde_json::json!(e.context_files),
        context_task: e.context_task.as_deref(),
        context_phase: e.context_phase.as_deref(),
        context_branch: e.context_branch.as_deref(),
        files_changed: e.files_changed,
        lines_added: e.lines_added,
        lines_deleted: e.lines_deleted,
        file_path: e.file_path.as_deref(),
        symbol: e.symbol.as_deref(),
        language: e.language.as_deref(),
        diff: e.diff.as_deref(),
        git_commit: e.git_commit.as_deref(),
        git_author: e.git_author.as_deref(),
        test_name: e.test_name.as_deref(),
        test_passed: e.test_passed,
        error_type: e.error_type.as_deref(),
        stack_trace: e.stack_trace.as_deref(),
        learned: e.learned.as_deref(),
        tags: serde_json::json!(e.tags),
        metadata: e.metadata.clone().map(Value::Object),
        surprise_score: row.surprise,
        confidence: e.confidence,
        evidence_type: e.evidence_type,
        evidence_quality: e.evidence_quality,
        importance: e.importance,
        actionable: e.actionable,
        uses: e.uses,
        last_used_at: e.last_used_at,
        caused_by: e.caused_by,
        consolidation_status: e.consolidation_status,
        consolidated_at: e.consolidated_at,
        memory_vector_id: e.memory_id,
        content_hash: row.content_hash,
        told_by: e.told_by(),
        time_bucket: e.time_bucket(),
        principal: &e.principal,
        created_at: e.created_at,
        live_key: 1_i64,
    }
}

async fn insert_files(
    db: &impl Executor,
    rows: &[NewRow<'_>],
    ids: &HashMap<Uuid, EventId>,
) -> Result<()> {
    let files = rows.iter().flat_map(|row| {
        let id = ids.get(&row.event.uid).copied();
        row.event.files().into_iter().map(move |path| {
            params! { project_id: row.project, event_id: id, path: path }
        })
    });
    db.execute_many(
        "INSERT INTO event_files (project_id, event_id, path) VALUES (:project_id, :event_id, :path)",
        files.collect(),
    )
    .await?;
    Ok(())
}

async fn insert_metrics(
    db: &impl Executor,
    rows: &[NewRow<'_>],
    ids: &HashMap<Uuid, EventId>,
) -> Result<()> {
    let metrics = rows.iter().flat_map(|row| {
        let id = ids.get(&row.event.uid).copied();
        row.event.metrics.iter().map(move |(name, value)| {
            params! { event_id: id, name: name, value: *value }
        })
    });
    db.execute_many(
        "INSERT INTO event_metrics (event_id, name, value) VALUES (:event_id, :name, :value)",
        metrics.collect(),
    )
    .await?;
    Ok(())
}

/// Returns the events that have these keys.
pub(super) async fn with_keys(
    db: &impl Executor,
    project: ProjectId,
    keys: &[&str],
) -> Result<Vec<(String, EventId, Uuid)>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    Ok(db
        .fetch_all(
            "SELECT idempotency_key, id, uid FROM episodic_events
             WHERE project_id = :project AND idempotency_key IN :keys AND live_key = 1",
            params! { project: project, keys: owned(keys) },
        )
        .await?)
}

/// An event that says the same as another one.
#[derive(Debug, Clone, FromRow)]
pub(super) struct Alike {
    pub(super) content_hash: String,
    pub(super) occurred_at: Timestamp,
    pub(super) id: EventId,
    pub(super) uid: Uuid,
    pub(super) source: Option<String>,
    pub(super) idempotency_key: Option<String>,
}

/// Returns the events that say the same as some do, in some spans of ten minutes.
pub(super) async fn with_hashes(
    db: &impl Executor,
    project: ProjectId,
    hashes: &[&str],
    buckets: Vec<i64>,
) -> Result<Vec<Alike>> {
    if hashes.is_empty() {
        return Ok(Vec::new());
    }
    Ok(db
        .fetch_all(
            "SELECT content_hash, occurred_at, id, uid, source, idempotency_key FROM episodic_events
             WHERE project_id = :project AND content_hash IN :hashes AND time_bucket IN :buckets
               AND live_key = 1
             ORDER BY id",
            params! { project: project, hashes: owned(hashes), buckets: buckets },
        )
        .await?)
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Returns those of some events that a project has.
pub(super) async fn in_project(
    db: &impl Executor,
    project: ProjectId,
    ids: &[EventId],
) -> Result<Vec<EventId>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let found: Vec<Scalar<EventId>> = db
        .fetch_all(
            "SELECT id FROM episodic_events WHERE project_id = :project AND id IN :ids AND live_key = 1",
            params! { project: project, ids: numbers(ids) },
        )
        .await?;
    Ok(found.into_iter().map(|Scalar(id)| id).collect())
}

fn numbers(ids: &[EventId]) -> Vec<i64> {
    ids.iter().map(|id| id.0).collect()
}

/// Returns what the last events of a session said up to a time, oldest first: types, outcomes and the
/// beginnings of the texts.
pub(super) async fn said_before(
    db: &impl Executor,
    project: ProjectId,
    session: &str,
    at: Timestamp,
    limit: usize,
    characters: usize,
) -> Result<Vec<(EventType, Option<Outcome>, String)>> {
    let mut said: Vec<(EventType, Option<Outcome>, String)> = db
        .fetch_all(
            "SELECT event_type, outcome, SUBSTR(content, 1, :characters) FROM episodic_events
             WHERE project_id = :project AND session_id = :session AND occurred_at <= :at
               AND live_key = 1
             ORDER BY occurred_at DESC, id DESC
             LIMIT :limit",
            params! {
                characters: i64::try_from(characters).unwrap_or(i64::MAX),
                project: project,
                session: session,
                at: at,
                limit: i64::try_from(limit).unwrap_or(i64::MAX),
            },
        )
        .await?;
    said.reverse();
    Ok(said)
}

/// Returns an event of a project that exists, a removed one too.
pub(super) async fn by_id(db: &impl Executor, id: EventId) -> Result<Option<Event>> {
    let event = db
        .fetch_opt(
            select!(
                "JOIN projects p ON p.id = e.project_id AND p.live_key = 1
                 WHERE e.id = :id"
            ),
            params! { id: id },
        )
        .await?;
    one_with_metrics(db, event).await
}

/// Returns an event, in a project that was deleted too.
pub(super) async fn anywhere(db: &impl Executor, id: EventId) -> Result<Option<Event>> {
    let event = db
        .fetch_opt(select!("WHERE e.id = :id"), params! { id: id })
        .await?;
    one_with_metrics(db, event).await
}

async fn one_with_metrics(db: &impl Executor, event: Option<Event>) -> Result<Option<Event>> {
    let events = with_metrics(db, event.into_iter().collect()).await?;
    Ok(events.into_iter().next())
}

/// Returns those of some events of a project that are there, in any order.
pub(super) async fn by_ids(
    db: &impl Executor,
    project: ProjectId,
    ids: Vec<i64>,
) -> Result<Vec<Event>> {
    let events = db
        .fetch_all(
            select!("WHERE e.project_id = :project AND e.id IN :ids AND e.live_key = 1"),
            params! { project: project, ids: ids },
        )
        .await?;
    with_metrics(db, events).await
}

/// Adds to events what was measured.
async fn with_metrics(db: &impl Executor, mut events: Vec<Event>) -> Result<Vec<Event>> {
    if events.is_empty() {
        return Ok(events);
    }
    let ids: Vec<i64> = events.iter().map(|event| event.id.0).collect();
    let metrics: Vec<(EventId, String, f64)> = db
        .fetch_all(
            "SELECT event_id, name, value FROM event_metrics WHERE event_id IN :ids",
            params! { ids: ids },
        )
        .await?;
    let mut of_event: HashMap<EventId, BTreeMap<String, f64>> = HashMap::new();
    for (id, name, value) in metrics {
        of_event.entry(id).or_default().insert(name, value);
    }
    for event in &mut events {
        event.metrics = of_event.remove(&event.id).unwrap_or_default();
    }
    Ok(events)
}

/// In which order events are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Newest,
    Oldest,
}

/// A place in the order of events: those at it are not listed again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) at: Timestamp,
    pub(super) id: EventId,
}

/// Returns the time of an event, a removed one too: for the place where a page ended.
pub(super) async fn time_of(
    db: &impl Executor,
    project: ProjectId,
    id: EventId,
) -> Result<Option<Timestamp>> {
    let time: Option<Scalar<Timestamp>> = db
        .fetch_opt(
            "SELECT occurred_at FROM episodic_events WHERE id = :id AND project_id = :project",
            params! { id: id, project: project },
        )
        .await?;
    Ok(time.map(|Scalar(time)| time))
}

/// What events are narrowed to.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub(super) session: Option<String>,
    pub(super) types: Vec<EventType>,
    pub(super) outcome: Option<Outcome>,
    pub(super) file: Option<String>,
    pub(super) symbol: Option<String>,
    pub(super) language: Option<String>,
    pub(super) test_name: Option<String>,
    pub(super) agent: Option<String>,
    pub(super) tag: Option<String>,
    pub(super) after: Option<Timestamp>,
    pub(super) before: Option<Timestamp>,
    pub(super) status: Option<ConsolidationStatus>,
    pub(super) failed_tests: bool,
    pub(super) passed: Option<bool>,
    pub(super) surprising: bool,
    pub(super) learned: bool,
    pub(super) changes: bool,
    pub(super) removed: bool,
    /// Only these, if they are said.
    pub(super) ids: Option<Vec<i64>>,
}

/// Returns the conditions that events of a project are narrowed to.
fn conditions(dialect: Dialect, project: ProjectId, filter: &Filter) -> Conditions {
    // Few events belong to a file or are named one by one. The sign keeps SQLite from going over
    // all events of the project in the order of time instead.
    let project_condition = match filter.file.is_some() || filter.ids.is_some() {
        true => "+e.project_id = :project",
        false => "e.project_id = :project",
    };
    let mut all = Conditions {
        text: project_condition.to_owned(),
        params: params! { project: project },
    };
    all.and(match filter.removed {
        true => "e.live_key IS NULL",
        false => "e.live_key = 1",
    });
    all.and_value(
        "e.session_id = :session",
        "session",
        filter.session.as_deref(),
    );
    all.and_value("e.symbol = :symbol", "symbol", filter.symbol.as_deref());
    all.and_value(
        "e.language = :language",
        "language",
        filter.language.as_deref(),
    );
    all.and_value(
        "e.test_name = :test_name",
        "test_name",
        filter.test_name.as_deref(),
    );
    all.and_value("e.agent = :agent", "agent", filter.agent.as_deref());
    all.and_value(with_file(), "file", filter.file.as_deref());
    all.and_value(has_tag!("e", dialect), "tag", filter.tag.as_deref());
    all.and_value("e.outcome = :outcome", "outcome", filter.outcome);
    all.and_value("e.consolidation_status = :status", "status", filter.status);
    all.and_value("e.occurred_at >= :after", "after", filter.after);
    all.and_value("e.occurred_at < :before", "before", filter.before);
    all.and_value("e.test_passed = :passed", "passed", filter.passed);
    all.and_value("e.id IN :ids", "ids", filter.ids.clone());
    and_flags(&mut all, filter);
    all
}

/// Adds the conditions that are on or off.
fn and_flags(all: &mut Conditions, filter: &Filter) {
    if !filter.types.is_empty() {
        all.and_value(
            "e.event_type IN :types",
            "types",
            Some(names(&filter.types)),
        );
    }
    if filter.failed_tests {
        all.and("e.event_type = 'test_run' AND e.test_passed = FALSE");
    }
    if filter.surprising {
        all.and_value(
            "e.surprise_score >= :surprising",
            "surprising",
            Some(SURPRISING),
        );
    }
    if filter.learned {
        all.and("e.learned IS NOT NULL");
    }
    if filter.changes {
        let condition = "(e.event_type IN :changes
                          OR e.git_commit IS NOT NULL AND e.event_type IN :commits)";
        all.and_value(condition, "changes", Some(names(&links::CHANGES)));
        all.params.push("commits", names(&links::COMMITS));
    }
}

/// Keeps what comes behind a place.
fn behind(all: &mut Conditions, order: Order, place: Option<Place>) {
    let Some(place) = place else { return };
    all.and(match order {
        Order::Newest => {
            "(e.occurred_at < :place_at OR e.occurred_at = :place_at AND e.id < :place_id)"
        }
        Order::Oldest => {
            "(e.occurred_at > :place_at OR e.occurred_at = :place_at AND e.id > :place_id)"
        }
    });
    all.params.push("place_at", place.at);
    all.params.push("place_id", place.id);
}

const fn with_file() -> &'static str {
    "e.id IN (SELECT f.event_id FROM event_files f WHERE f.project_id = :project AND f.path = :file)"
}

fn names(types: &[EventType]) -> Vec<String> {
    types
        .iter()
        .map(|event_type| event_type.as_str().to_owned())
        .collect()
}

/// Returns up to `limit` events of a project behind a place.
pub(super) async fn list(
    db: &impl Executor,
    project: ProjectId,
    filter: &Filter,
    order: Order,
    place: Option<Place>,
    limit: u32,
) -> Result<Vec<Event>> {
    let mut conditions = conditions(db.dialect(), project, filter);
    behind(&mut conditions, order, place);
    let order = match order {
        Order::Newest => "e.occurred_at DESC, e.id DESC",
        Order::Oldest => "e.occurred_at, e.id",
    };
    let sql = format!(
        "{}{} ORDER BY {order} LIMIT :limit",
        select!("WHERE "),
        conditions.text
    );
    let params = conditions.params.with("limit", i64::from(limit));
    let events = db.fetch_all(sql, params).await?;
    with_metrics(db, events).await
}

/// What of an event counts for how long things took.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    pub(super) id: EventId,
    pub(super) when: super::When,
    pub(super) duration_ms: Option<i64>,
    pub(super) event_type: EventType,
    pub(super) outcome: Option<Outcome>,
}

impl FromRow for Moment {
    fn from_row(row: &Row) -> athena_db::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            when: super::When {
                at: row.get("occurred_at")?,
                precision: row.get("time_precision")?,
            },
            duration_ms: row.get("duration_ms")?,
            event_type: row.get("event_type")?,
            outcome: row.get("outcome")?,
        })
    }
}

/// Hands over what counts of every event, oldest first.
pub(super) async fn each_moment(
    db: &impl Executor,
    project: ProjectId,
    filter: &Filter,
    mut take: impl FnMut(Moment) + Send,
) -> Result<()> {
    let conditions = conditions(db.dialect(), project, filter);
    let sql = format!(
        "SELECT e.id, e.occurred_at, e.time_precision, e.duration_ms, e.event_type, e.outcome
         FROM episodic_events e WHERE {} ORDER BY e.occurred_at, e.id",
        conditions.text
    );
    let mut moments = db.stream::<Moment>(sql, conditions.params);
    while let Some(moment) = moments.next().await {
        take(moment?);
    }
    Ok(())
}

/// What was measured by one name: how often, the least, the mean and the most.
pub(super) type Measured = (String, i64, f64, f64, f64);

/// Returns what was measured at events, by name.
pub(super) async fn measured(
    db: &impl Executor,
    project: ProjectId,
    filter: &Filter,
) -> Result<Vec<Measured>> {
    let conditions = conditions(db.dialect(), project, filter);
    let sql = format!(
        "SELECT m.name, COUNT(*), MIN(m.value), AVG(m.value), MAX(m.value)
         FROM event_metrics m JOIN episodic_events e ON e.id = m.event_id
         WHERE {} GROUP BY m.name ORDER BY m.name",
        conditions.text
    );
    Ok(db.fetch_all(sql, conditions.params).await?)
}

/// Returns up to `limit` events of a project behind an id, removed ones included.
pub(super) async fn all(
    db: &impl Executor,
    project: ProjectId,
    after: EventId,
    limit: u32,
) -> Result<Vec<Event>> {
    Ok(db
        .fetch_all(
            select!("WHERE e.project_id = :project AND e.id > :after ORDER BY e.id LIMIT :limit"),
            params! { project: project, after: after, limit: i64::from(limit) },
        )
        .await?)
}

/// Locks an event's row until the commit.
pub(super) async fn lock(db: &impl Executor, id: EventId) -> Result<()> {
    db.execute(
        "UPDATE episodic_events SET uses = uses WHERE id = :id",
        params! { id: id },
    )
    .await?;
    Ok(())
}

pub(super) async fn remove(db: &impl Executor, id: EventId, now: Timestamp) -> Result<()> {
    db.execute(
        "UPDATE episodic_events SET removed_at = :now, live_key = NULL WHERE id = :id",
        params! { now: now, id: id },
    )
    .await?;
    Ok(())
}

pub(super) async fn restore(db: &impl Executor, id: EventId) -> Result<()> {
    db.execute(
        "UPDATE episodic_events SET removed_at = NULL, live_key = 1 WHERE id = :id",
        params! { id: id },
    )
    .await?;
    Ok(())
}

pub(super) async fn count_use(db: &impl Executor, id: EventId, now: Timestamp) -> Result<()> {
    db.execute(
        "UPDATE episodic_events SET uses = uses + 1, last_used_at = :now WHERE id = :id",
        params! { now: now, id: id },
    )
    .await?;
    Ok(())
}

/// Notes where an event stands in consolidation; a memory that was named before stays.
pub(super) async fn set_status(
    db: &impl Executor,
    id: EventId,
    status: ConsolidationStatus,
    memory: Option<MemoryId>,
    now: Timestamp,
) -> Result<()> {
    let consolidated_at = (status == ConsolidationStatus::Consolidated).then_some(now);
    db.execute(
        "UPDATE episodic_events
         SET consolidation_status = :status,
             consolidated_at = COALESCE(:consolidated_at, consolidated_at),
             memory_vector_id = COALESCE(:memory, memory_vector_id)
         WHERE id = :id",
        params! { status: status, consolidated_at: consolidated_at, memory: memory, id: id },
    )
    .await?;
    Ok(())
}

/// Whether a project has a memory.
pub(super) async fn has_memory(
    db: &impl Executor,
    project: ProjectId,
    id: MemoryId,
) -> Result<bool> {
    let found: Option<Scalar<i64>> = db
        .fetch_opt(
            "SELECT id FROM memory_vectors
             WHERE id = :id AND project_id = :project AND forgotten_at IS NULL",
            params! { id: id, project: project },
        )
        .await?;
    Ok(found.is_some())
}

/// Notes what makes an event the same as another one.
pub(super) async fn set_content_hash(db: &impl Executor, id: EventId, hash: &str) -> Result<()> {
    db.execute(
        "UPDATE episodic_events SET content_hash = :hash WHERE id = :id",
        params! { hash: hash, id: id },
    )
    .await?;
    Ok(())
}

/// How many rows went with an event.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PurgedRows {
    pub(super) files: u64,
    pub(super) metrics: u64,
    pub(super) kept_answers: u64,
}

/// Returns the texts that belong to an event and are not in its row.
pub(super) async fn texts_beside(db: &impl Executor, id: EventId) -> Result<Vec<String>> {
    let texts: Vec<Scalar<String>> = db
        .fetch_all(
            "SELECT path FROM event_files WHERE event_id = :id
             UNION ALL
             SELECT name FROM event_metrics WHERE event_id = :id",
            params! { id: id },
        )
        .await?;
    Ok(texts.into_iter().map(|Scalar(text)| text).collect())
}

/// Removes an event and everything that hangs on it.
pub(super) async fn purge(db: &impl Executor, id: EventId, uid: Uuid) -> Result<PurgedRows> {
    let by_id = || params! { id: id };
    let files = db
        .execute("DELETE FROM event_files WHERE event_id = :id", by_id())
        .await?;
    let metrics = db
        .execute("DELETE FROM event_metrics WHERE event_id = :id", by_id())
        .await?;
    db.execute(
        "UPDATE episodic_events SET caused_by = NULL WHERE caused_by = :id",
        by_id(),
    )
    .await?;
    db.execute("DELETE FROM episodic_events WHERE id = :id", by_id())
        .await?;
    let kept_answers = db
        .execute(
            "DELETE FROM idempotency_keys WHERE response LIKE :pattern",
            params! { pattern: format!("%{uid}%") },
        )
        .await?;
    Ok(PurgedRows {
        files,
        metrics,
        kept_answers,
    })
}

/// Returns how far a source was read, and when that was noted.
pub(super) async fn source_position(
    db: &impl Executor,
    project: ProjectId,
    source: &str,
) -> Result<Option<(Value, Timestamp)>> {
    Ok(db
        .fetch_opt(
            "SELECT position, updated_at FROM event_source_cursors
             WHERE project_id = :project AND source_id = :source",
            params! { project: project, source: source },
        )
        .await?)
}

pub(super) async fn set_source_position(
    db: &impl Executor,
    project: ProjectId,
    source: &str,
    position: &Value,
    now: Timestamp,
) -> Result<()> {
    db.execute(
        "INSERT INTO event_source_cursors (project_id, source_id, position, updated_at)
         VALUES (:project, :source, :position, :now)
         ON CONFLICT (project_id, source_id) DO UPDATE SET position = :position, updated_at = :now",
        params! { project: project, source: source, position: position.clone(), now: now },
    )
    .await?;
    Ok(())
}

/// Forgets how far a source was read.
pub(super) async fn purge_source_position(
    db: &impl Executor,
    project: ProjectId,
    source: &str,
) -> Result<()> {
    db.execute(
        "DELETE FROM event_source_cursors WHERE project_id = :project AND source_id = :source",
        params! { project: project, source: source },
    )
    .await?;
    Ok(())
}
