//! Statements and rows of agents, queues and leases.

use super::{Agent, Lease, LeaseOutcome, QUEUE_RESOURCE, QueueItem, QueueState, success_rate};
use athena_core::{AgentId, LeaseId, PageRequest, ProjectId, Result};
use athena_db::{Executor, FromRow, Params, Row, Scalar, params, sql};
use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

/// Reads a list of texts.
fn texts(row: &Row, name: &str) -> athena_db::Result<Vec<String>> {
    let list: Value = row.get(name)?;
    Ok(serde_json::from_value(list).unwrap_or_default())
}

/// Reads an object, if there is one.
fn object(row: &Row, name: &str) -> athena_db::Result<Option<Map<String, Value>>> {
    let value: Option<Value> = row.get(name)?;
    Ok(value.and_then(|value| match value {
        Value::Object(map) => Some(map),
        _ => None,
    }))
}

impl FromRow for Agent {
    fn from_row(row: &Row) -> athena_db::Result<Self> {
        let (completed, failed): (i64, i64) = (row.get("completed")?, row.get("failed")?);
        let (total_ms, alive): (i64, i64) = (row.get("total_ms")?, row.get("alive")?);
        Ok(Self {
            id: row.get("id")?,
            uid: row.get("uid")?,
            project_id: row.get("project_id")?,
            agent: row.get("agent_id")?,
            capabilities: texts(row, "capabilities")?,
            max_concurrent: row.get("max_concurrent")?,
            lease_seconds: row.get("lease_seconds")?,
            metadata: object(row, "metadata")?,
            load: row.get("open_leases")?,
            alive: alive != 0,
            completed,
            failed,
            success_rate: success_rate(completed, failed),
            average_ms: total_ms.checked_div(completed),
            last_heartbeat_at: row.get("last_heartbeat_at")?,
            principal: row.get("principal")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

/// Everything an [`Agent`] is read from, at the time `:now`; conditions follow.
macro_rules! select_agents {
    ($($rest:literal),*) => {
        concat!(
            "SELECT a.id, a.uid, a.project_id, a.agent_id, a.capabilities, a.max_concurrent,
                    a.lease_seconds, a.metadata, a.completed, a.failed, a.total_ms,
                    a.last_heartbeat_at, a.principal, a.created_at, a.updated_at,
                    CASE WHEN a.alive_until > :now THEN 1 ELSE 0 END AS alive,
                    (SELECT COUNT(*) FROM leases l
                     WHERE l.project_id = a.project_id AND l.agent_id = a.agent_id
                       AND l.live_key = 1 AND l.expires_at > :now
                       AND l.item_id IS NOT NULL) AS open_leases
             FROM agents a ",
            $($rest),*
        )
    };
}

pub(super) async fn agent(
    db: &impl Executor,
    project: ProjectId,
    name: &str,
    now: Timestamp,
) -> Result<Option<Agent>> {
    Ok(db
        .fetch_opt(
            select_agents!(
                "WHERE a.project_id = :project AND a.agent_id = :name AND a.live_key = 1"
            ),
            params! { now: now, project: project, name: name },
        )
        .await?)
}

/// Returns one more than the page asks for, newest first.
pub(super) async fn agents(
    db: &impl Executor,
    project: ProjectId,
    now: Timestamp,
    page: PageRequest,
) -> Result<Vec<Agent>> {
    Ok(db
        .fetch_all(
            select_agents!(
                "WHERE a.project_id = :project AND a.live_key = 1 AND a.id < :before
                 ORDER BY a.id DESC LIMIT :limit"
            ),
            params! {
                now: now,
                project: project,
                before: page.cursor.map_or(i64::MAX, |cursor| cursor.0),
                limit: i64::from(page.limit) + 1,
            },
        )
        .await?)
}

/// What an agent says of itself.
#[derive(Debug)]
pub(super) struct NewAgent<'a> {
    pub(super) agent: &'a str,
    pub(super) capabilities: &'a [String],
    pub(super) max_concurrent: i64,
    pub(super) lease_seconds: i64,
    pub(super) metadata: Option<Value>,
    pub(super) principal: &'a str,
    pub(super) now: Timestamp,
    pub(super) alive_until: Timestamp,
}

/// Makes an agent known, or renews what is known of one that is registered.
pub(super) async fn put_agent(
    db: &impl Executor,
    project: ProjectId,
    new: &NewAgent<'_>,
) -> Result<AgentId> {
    let Scalar(id) = db
        .fetch_one(
            "INSERT INTO agents (project_id, uid, agent_id, capabilities, max_concurrent,
                                 lease_seconds, metadata, completed, failed, total_ms,
                                 last_heartbeat_at, alive_until, principal, created_at, updated_at,
                                 live_key)
             VALUES (:project, :uid, :agent, :capabilities, :max_concurrent, :lease_seconds,
                     :metadata, 0, 0, 0, :now, :alive_until, :principal, :now, :now, 1)
             ON CONFLICT (project_id, agent_id, live_key) DO UPDATE
             SET capabilities = :capabilities, max_concurrent = :max_concurrent,
                 lease_seconds = :lease_seconds, metadata = :metadata, last_heartbeat_at = :now,
                 alive_until = :alive_until, updated_at = :now
             RETURNING id",
            params! {
                project: project,
                uid: Uuid::now_v7(),
                agent: new.agent,
                capabilities: serde_json::json!(new.capabilities),
                max_concurrent: new.max_concurrent,
                lease_seconds: new.lease_seconds,
                metadata: new.metadata.clone(),
                now: new.now,
                alive_until: new.alive_until,
                principal: new.principal,
            },
        )
        .await?;
    Ok(id)
}

/// Has the agent of that name back that was removed last, unless one is registered.
pub(super) async fn revive_agent(db: &impl Executor, project: ProjectId, name: &str) -> Result<()> {
    let newest: Option<(AgentId, Option<i64>)> = db
        .fetch_opt(
            "SELECT id, live_key FROM agents WHERE project_id = :project AND agent_id = :name
             ORDER BY COALESCE(live_key, 0) DESC, id DESC LIMIT 1",
            params! { project: project, name: name },
        )
        .await?;
    if let Some((id, None)) = newest {
        db.execute(
            "UPDATE agents SET live_key = 1, removed_at = NULL WHERE id = :id",
            params! { id: id },
        )
        .await?;
    }
    Ok(())
}

/// Notes a sign of life; the agent's row is locked until the commit.
pub(super) async fn beat(
    db: &impl Executor,
    id: AgentId,
    now: Timestamp,
    alive_until: Timestamp,
) -> Result<()> {
    db.execute(
        "UPDATE agents SET last_heartbeat_at = :now, alive_until = :until WHERE id = :id",
        params! { now: now, until: alive_until, id: id },
    )
    .await?;
    Ok(())
}

pub(super) async fn remove_agent(db: &impl Executor, id: AgentId, now: Timestamp) -> Result<()> {
    db.execute(
        "UPDATE agents SET live_key = NULL, removed_at = :now, updated_at = :now WHERE id = :id",
        params! { now: now, id: id },
    )
    .await?;
    Ok(())
}

/// Counts a completed item of an agent, if it is registered still.
pub(super) async fn count_completed(
    db: &impl Executor,
    project: ProjectId,
    name: &str,
    milliseconds: i64,
) -> Result<()> {
    db.execute(
        "UPDATE agents SET completed = completed + 1, total_ms = total_ms + :milliseconds
         WHERE project_id = :project AND agent_id = :name AND live_key = 1",
        params! { milliseconds: milliseconds, project: project, name: name },
    )
    .await?;
    Ok(())
}

/// Counts a failed attempt of an agent, if it is registered still.
pub(super) async fn count_failed(db: &impl Executor, project: ProjectId, name: &str) -> Result<()> {
    db.execute(
        "UPDATE agents SET failed = failed + 1
         WHERE project_id = :project AND agent_id = :name AND live_key = 1",
        params! { project: project, name: name },
    )
    .await?;
    Ok(())
}

impl FromRow for Lease {
    fn from_row(row: &Row) -> athena_db::Result<Self> {
        let (kind, name): (String, String) = (row.get("resource_kind")?, row.get("resource_id")?);
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            resource: format!("{kind}:{name}"),
            agent: row.get("agent_id")?,
            acquired_at: row.get("acquired_at")?,
            heartbeat_at: row.get("heartbeat_at")?,
            expires_at: row.get("expires_at")?,
            attempt: row.get("attempt")?,
            released_at: row.get("released_at")?,
            outcome: row.get("outcome")?,
            item: row.get("item_id")?,
        })
    }
}

/// Everything a [`Lease`] is read from; conditions follow.
macro_rules! select_leases {
    ($($rest:literal),*) => {
        concat!(
            "SELECT l.id, l.project_id, l.resource_kind, l.resource_id, l.item_id, l.agent_id,
                    l.acquired_at, l.heartbeat_at, l.expires_at, l.attempt, l.released_at, l.outcome
             FROM leases l ",
            $($rest),*
        )
    };
}

/// Returns the lease of a token.
pub(super) async fn lease(db: &impl Executor, token: Uuid) -> Result<Option<Lease>> {
    Ok(db
        .fetch_opt(
            select_leases!("WHERE l.token = :token"),
            params! { token: token },
        )
        .await?)
}

/// Locks the lease of a token until the commit.
pub(super) async fn lock_lease(db: &impl Executor, token: Uuid) -> Result<()> {
    db.execute(
        "UPDATE leases SET attempt = attempt WHERE token = :token",
        params! { token: token },
    )
    .await?;
    Ok(())
}

/// Locks the lease of a queue item until the commit, if there is one.
pub(super) async fn lock_lease_of(db: &impl Executor, item: i64) -> Result<()> {
    db.execute(
        "UPDATE leases SET attempt = attempt WHERE item_id = :item AND live_key = 1",
        params! { item: item },
    )
    .await?;
    Ok(())
}

/// Returns who holds a resource, expired or not.
pub(super) async fn holder(
    db: &impl Executor,
    project: ProjectId,
    kind: &str,
    name: &str,
) -> Result<Option<Lease>> {
    Ok(db
        .fetch_opt(
            select_leases!(
                "WHERE l.project_id = :project AND l.resource_kind = :kind
                   AND l.resource_id = :name AND l.live_key = 1"
            ),
            params! { project: project, kind: kind, name: name },
        )
        .await?)
}

/// What a list of leases is narrowed to.
#[derive(Debug)]
pub(super) struct LeaseFilter<'a> {
    pub(super) agent: Option<&'a str>,
    pub(super) kind: Option<&'a str>,
    /// Those that have ended too.
    pub(super) ended: bool,
}

/// Returns one more than the page asks for, newest first.
pub(super) async fn leases(
    db: &impl Executor,
    project: ProjectId,
    filter: &LeaseFilter<'_>,
    now: Timestamp,
    page: PageRequest,
) -> Result<Vec<Lease>> {
    let mut text = select_leases!("WHERE l.project_id = :project AND l.id < :before").to_owned();
    let mut params = params! {
        project: project,
        before: page.cursor.map_or(i64::MAX, |cursor| cursor.0),
        limit: i64::from(page.limit) + 1,
    };
    if let Some(agent) = filter.agent {
        text.push_str(" AND l.agent_id = :agent");
        params.push("agent", agent);
    }
    if let Some(kind) = filter.kind {
        text.push_str(" AND l.resource_kind = :kind");
        params.push("kind", kind);
    }
    if !filter.ended {
        text.push_str(" AND l.live_key = 1 AND l.expires_at > :now");
        params.push("now", now);
    }
    text.push_str(" ORDER BY l.id DESC LIMIT :limit");
    Ok(db.fetch_all(text, params).await?)
}

/// A lease about to be given.
#[derive(Debug)]
pub(super) struct NewLease<'a> {
    pub(super) kind: &'a str,
    pub(super) name: String,
    pub(super) item: Option<i64>,
    pub(super) agent: &'a str,
    pub(super) token: Uuid,
    pub(super) attempt: i64,
    pub(super) now: Timestamp,
    pub(super) expires_at: Timestamp,
}

impl NewLease<'_> {
    fn params(&self, project: ProjectId) -> Params {
        params! {
            project: project,
            kind: self.kind,
            name: self.name.as_str(),
            item: self.item,
            agent: self.agent,
            token: self.token,
            now: self.now,
            expires_at: self.expires_at,
            attempt: self.attempt,
        }
    }
}

/// Stores a lease, unless somebody holds the resource.
pub(super) async fn insert_lease(
    db: &impl Executor,
    project: ProjectId,
    lease: &NewLease<'_>,
) -> Result<bool> {
    let id: Option<Scalar<LeaseId>> = db
        .fetch_opt(
            "INSERT INTO leases (project_id, resource_kind, resource_id, item_id, agent_id, token,
                                 acquired_at, heartbeat_at, expires_at, attempt, live_key)
             VALUES (:project, :kind, :name, :item, :agent, :token, :now, :now, :expires_at,
                     :attempt, 1)
             ON CONFLICT (project_id, resource_kind, resource_id, live_key) DO NOTHING
             RETURNING id",
            lease.params(project),
        )
        .await?;
    Ok(id.is_some())
}

/// Stores leases of items that were locked.
pub(super) async fn insert_leases(
    db: &impl Executor,
    project: ProjectId,
    leases: &[NewLease<'_>],
) -> Result<()> {
    let rows = leases.iter().map(|lease| lease.params(project));
    db.execute_many(
        "INSERT INTO leases (project_id, resource_kind, resource_id, item_id, agent_id, token,
                             acquired_at, heartbeat_at, expires_at, attempt, live_key)
         VALUES (:project, :kind, :name, :item, :agent, :token, :now, :now, :expires_at,
                 :attempt, 1)",
        rows.collect(),
    )
    .await?;
    Ok(())
}

/// Puts the end of a lease off.
pub(super) async fn renew_lease(
    db: &impl Executor,
    id: LeaseId,
    now: Timestamp,
    until: Timestamp,
) -> Result<()> {
    db.execute(
        "UPDATE leases SET heartbeat_at = :now, expires_at = :until WHERE id = :id",
        params! { now: now, until: until, id: id },
    )
    .await?;
    Ok(())
}

/// Puts the end of an agent's leases off that have not expired, and returns how many there are.
pub(super) async fn renew_leases_of(
    db: &impl Executor,
    project: ProjectId,
    name: &str,
    now: Timestamp,
    until: Timestamp,
) -> Result<u64> {
    Ok(db
        .execute(
            // A lease that ends later keeps its length, which the two times tell. In this order:
            // MySQL takes the new value of a column in what follows.
            "UPDATE leases SET heartbeat_at = CASE WHEN expires_at > :until THEN heartbeat_at ELSE :now END,
                               expires_at = CASE WHEN expires_at > :until THEN expires_at ELSE :until END
             WHERE project_id = :project AND agent_id = :name AND live_key = 1
               AND expires_at > :now",
            params! { now: now, until: until, project: project, name: name },
        )
        .await?)
}

/// Ends leases.
pub(super) async fn end_leases(
    db: &impl Executor,
    ids: &[i64],
    outcome: LeaseOutcome,
    now: Timestamp,
) -> Result<()> {
    db.execute(
        "UPDATE leases SET live_key = NULL, released_at = :now, outcome = :outcome
         WHERE id IN :ids AND live_key = 1",
        params! { now: now, outcome: outcome, ids: ids.to_vec() },
    )
    .await?;
    Ok(())
}

/// Ends the lease of an item, if it has one.
pub(super) async fn end_lease_of(
    db: &impl Executor,
    item: i64,
    outcome: LeaseOutcome,
    now: Timestamp,
) -> Result<()> {
    db.execute(
        "UPDATE leases SET live_key = NULL, released_at = :now, outcome = :outcome
         WHERE item_id = :item AND live_key = 1",
        params! { now: now, outcome: outcome, item: item },
    )
    .await?;
    Ok(())
}

/// Whether there is a lease to be ended because it has expired.
pub(super) async fn any_expired(db: &impl Executor, now: Timestamp) -> Result<bool> {
    let found: Option<Scalar<i64>> = db
        .fetch_opt(
            "SELECT id FROM leases WHERE live_key = 1 AND expires_at <= :now
             ORDER BY expires_at LIMIT 1",
            params! { now: now },
        )
        .await?;
    Ok(found.is_some())
}

/// Locks leases that have expired, with their items, but for those that others have locked.
///
/// They are found first and locked by their keys: a server that sorts what it locks would lock all
/// of it.
pub(super) async fn lock_expired(
    db: &impl Executor,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<(LeaseId, Option<i64>)>> {
    let found: Vec<Scalar<i64>> = db
        .fetch_all(
            "SELECT id FROM leases WHERE live_key = 1 AND expires_at <= :now
             ORDER BY expires_at, id LIMIT :limit",
            params! { now: now, limit: limit },
        )
        .await?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = found.into_iter().map(|Scalar(id)| id).collect();
    let statement = sql! {
        sqlite: "SELECT id, item_id FROM leases
                 WHERE id IN :ids AND live_key = 1 AND expires_at <= :now",
        postgres: "SELECT id, item_id FROM leases
                   WHERE id IN :ids AND live_key = 1 AND expires_at <= :now FOR UPDATE SKIP LOCKED",
        mysql: "SELECT id, item_id FROM leases
                WHERE id IN :ids AND live_key = 1 AND expires_at <= :now FOR UPDATE SKIP LOCKED",
    };
    Ok(db
        .fetch_all(statement, params! { ids: ids, now: now })
        .await?)
}

impl FromRow for QueueItem {
    fn from_row(row: &Row) -> athena_db::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            uid: row.get("uid")?,
            project_id: row.get("project_id")?,
            queue: row.get("queue")?,
            title: row.get("title")?,
            payload: object(row, "payload")?,
            task_id: row.get("task_id")?,
            requires: texts(row, "requires")?,
            priority: row.get("priority")?,
            not_before: row.get("not_before")?,
            max_attempts: row.get("max_attempts")?,
            attempts: row.get("attempts")?,
            state: row.get("state")?,
            held_by: row.get("held_by")?,
            held_until: row.get("held_until")?,
            result: object(row, "result")?,
            last_error: row.get("last_error")?,
            principal: row.get("principal")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            finished_at: row.get("finished_at")?,
        })
    }
}

/// Everything a [`QueueItem`] is read from, of projects that exist; conditions follow.
macro_rules! select_items {
    ($($rest:literal),*) => {
        concat!(
            "SELECT q.id, q.uid, q.project_id, q.queue, q.title, q.payload, q.task_id, q.requires,
                    q.priority, q.not_before, q.max_attempts, q.attempts, q.state, q.result,
                    q.last_error, q.principal, q.created_at, q.updated_at, q.finished_at,
                    l.agent_id AS held_by, l.expires_at AS held_until
             FROM queue_items q
             JOIN projects p ON p.id = q.project_id AND p.live_key = 1
             LEFT JOIN leases l ON l.item_id = q.id AND l.live_key = 1 ",
            $($rest),*
        )
    };
}

pub(super) async fn item(db: &impl Executor, id: i64) -> Result<Option<QueueItem>> {
    Ok(db
        .fetch_opt(select_items!("WHERE q.id = :id"), params! { id: id })
        .await?)
}

/// Returns items by their ids, in any order.
pub(super) async fn items_by_ids(db: &impl Executor, ids: &[i64]) -> Result<Vec<QueueItem>> {
    Ok(db
        .fetch_all(
            select_items!("WHERE q.id IN :ids"),
            params! { ids: ids.to_vec() },
        )
        .await?)
}

/// What a list of items is narrowed to.
#[derive(Debug)]
pub(super) struct ItemFilter<'a> {
    pub(super) queue: Option<&'a str>,
    pub(super) state: Option<QueueState>,
    pub(super) task_id: Option<i64>,
}

/// Returns one more than the page asks for, newest first.
pub(super) async fn items(
    db: &impl Executor,
    project: ProjectId,
    filter: &ItemFilter<'_>,
    page: PageRequest,
) -> Result<Vec<QueueItem>> {
    let mut text = select_items!("WHERE q.project_id = :project AND q.id < :before").to_owned();
    let mut params = params! {
        project: project,
        before: page.cursor.map_or(i64::MAX, |cursor| cursor.0),
        limit: i64::from(page.limit) + 1,
    };
    if let Some(queue) = filter.queue {
        text.push_str(" AND q.queue = :queue");
        params.push("queue", queue);
    }
    if let Some(state) = filter.state {
        text.push_str(" AND q.state = :state");
        params.push("state", state);
    }
    if let Some(task) = filter.task_id {
        text.push_str(" AND q.task_id = :task");
        params.push("task", task);
    }
    text.push_str(" ORDER BY q.id DESC LIMIT :limit");
    Ok(db.fetch_all(text, params).await?)
}

/// An item about to be put into a queue.
#[derive(Debug, Clone)]
pub(super) struct NewItem {
    pub(super) uid: Uuid,
    pub(super) queue: String,
    pub(super) title: Option<String>,
    pub(super) payload: Option<Value>,
    pub(super) task_id: Option<i64>,
    pub(super) requires: Vec<String>,
    pub(super) priority: i64,
    pub(super) not_before: Option<Timestamp>,
    pub(super) max_attempts: i64,
}

/// Stores items, and returns their ids in the same order.
pub(super) async fn insert_items(
    db: &impl Executor,
    project: ProjectId,
    items: &[NewItem],
    principal: &str,
    now: Timestamp,
) -> Result<Vec<i64>> {
    let rows = items.iter().map(|item| {
        params! {
            project: project,
            uid: item.uid,
            queue: item.queue.as_str(),
            title: item.title.as_deref(),
            payload: item.payload.clone(),
            task_id: item.task_id,
            requires: serde_json::json!(item.requires),
            priority: item.priority,
            turn: 10 - item.priority,
            not_before: item.not_before,
            max_attempts: item.max_attempts,
            principal: principal,
            now: now,
        }
    });
    db.execute_many(
        "INSERT INTO queue_items (project_id, uid, queue, title, payload, task_id, requires,
                                  priority, turn, not_before, max_attempts, attempts, state,
                                  principal, created_at, updated_at)
         VALUES (:project, :uid, :queue, :title, :payload, :task_id, :requires, :priority, :turn,
                 :not_before, :max_attempts, 0, 'ready', :principal, :now, :now)",
        rows.collect(),
    )
    .await?;
    let mut known = std::collections::HashMap::with_capacity(items.len());
    for items in items.chunks(500) {
        let uids: Vec<Uuid> = items.iter().map(|item| item.uid).collect();
        let rows: Vec<(Uuid, i64)> = db
            .fetch_all(
                "SELECT uid, id FROM queue_items WHERE project_id = :project AND uid IN :uids",
                params! { project: project, uids: uids },
            )
            .await?;
        known.extend(rows);
    }
    Ok(items
        .iter()
        .filter_map(|item| known.get(&item.uid).copied())
        .collect())
}

/// An item that may be claimed.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) id: i64,
    pub(super) turn: i64,
    pub(super) requires: Vec<String>,
}

impl FromRow for Candidate {
    fn from_row(row: &Row) -> athena_db::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            turn: row.get("turn")?,
            requires: texts(row, "requires")?,
        })
    }
}

/// Returns items that may be claimed now, in the order in which they are given out, after a place
/// in that order.
pub(super) async fn candidates(
    db: &impl Executor,
    project: ProjectId,
    queue: &str,
    now: Timestamp,
    after: (i64, i64),
    limit: i64,
) -> Result<Vec<Candidate>> {
    Ok(db
        .fetch_all(
            "SELECT id, turn, requires FROM queue_items
             WHERE project_id = :project AND queue = :queue AND state = 'ready'
               AND (turn > :turn OR turn = :turn AND id > :id)
               AND (not_before IS NULL OR not_before <= :now)
             ORDER BY turn, id LIMIT :limit",
            params! {
                project: project,
                queue: queue,
                turn: after.0,
                id: after.1,
                now: now,
                limit: limit,
            },
        )
        .await?)
}

/// Locks those of some items that are ready still and that nobody else has locked; returns each
/// with the number of attempts before.
pub(super) async fn lock_ready(db: &impl Executor, ids: &[i64]) -> Result<Vec<(i64, i64)>> {
    let statement = sql! {
        sqlite: "SELECT id, attempts FROM queue_items WHERE id IN :ids AND state = 'ready'",
        postgres: "SELECT id, attempts FROM queue_items WHERE id IN :ids AND state = 'ready'
                   FOR UPDATE SKIP LOCKED",
        mysql: "SELECT id, attempts FROM queue_items WHERE id IN :ids AND state = 'ready'
                FOR UPDATE SKIP LOCKED",
    };
    Ok(db
        .fetch_all(statement, params! { ids: ids.to_vec() })
        .await?)
}

/// Counts an attempt of items that were locked.
pub(super) async fn mark_leased(db: &impl Executor, ids: &[i64], now: Timestamp) -> Result<()> {
    db.execute(
        "UPDATE queue_items
         SET state = 'leased', attempts = attempts + 1, not_before = NULL, updated_at = :now
         WHERE id IN :ids",
        params! { now: now, ids: ids.to_vec() },
    )
    .await?;
    Ok(())
}

/// Gives items back whose leases have expired, and gives up those that were tried often enough.
pub(super) async fn give_back_expired(
    db: &impl Executor,
    ids: &[i64],
    now: Timestamp,
) -> Result<()> {
    db.execute(
        "UPDATE queue_items
         SET state = 'failed', finished_at = :now, updated_at = :now, last_error = :reason
         WHERE id IN :ids AND state = 'leased' AND attempts >= max_attempts",
        params! {
            now: now,
            reason: "the lease of the last attempt expired: its holder was silent for too long",
            ids: ids.to_vec(),
        },
    )
    .await?;
    db.execute(
        "UPDATE queue_items SET state = 'ready', updated_at = :now
         WHERE id IN :ids AND state = 'leased'",
        params! { now: now, ids: ids.to_vec() },
    )
    .await?;
    Ok(())
}

/// Returns those of some items that have failed, with their projects.
pub(super) async fn failed_among(db: &impl Executor, ids: &[i64]) -> Result<Vec<(i64, ProjectId)>> {
    Ok(db
        .fetch_all(
            "SELECT id, project_id FROM queue_items WHERE id IN :ids AND state = 'failed'",
            params! { ids: ids.to_vec() },
        )
        .await?)
}

/// How an item goes on.
#[derive(Debug)]
pub(super) struct Next<'a> {
    pub(super) state: QueueState,
    pub(super) attempts: i64,
    pub(super) not_before: Option<Timestamp>,
    pub(super) result: Option<&'a Map<String, Value>>,
    pub(super) last_error: Option<&'a str>,
}

/// Stores how an item goes on.
pub(super) async fn set_next(
    db: &impl Executor,
    id: i64,
    next: &Next<'_>,
    now: Timestamp,
) -> Result<()> {
    let finished = !matches!(next.state, QueueState::Ready | QueueState::Leased);
    db.execute(
        "UPDATE queue_items
         SET state = :state, attempts = :attempts, not_before = :not_before, result = :result,
             last_error = :last_error, finished_at = :finished_at, updated_at = :now
         WHERE id = :id",
        params! {
            state: next.state,
            attempts: next.attempts,
            not_before: next.not_before,
            result: next.result.cloned().map(Value::Object),
            last_error: next.last_error,
            finished_at: finished.then_some(now),
            now: now,
            id: id,
        },
    )
    .await?;
    Ok(())
}

/// How many items of a queue stand where.
#[derive(Debug, FromRow)]
pub(super) struct QueueCounts {
    pub(super) queue: String,
    pub(super) ready: i64,
    pub(super) resting: i64,
    pub(super) leased: i64,
    pub(super) expired: i64,
    pub(super) done: i64,
    pub(super) failed: i64,
    pub(super) cancelled: i64,
    pub(super) oldest_ready_at: Option<Timestamp>,
}

/// Counts the items of each queue of a project, or of one.
pub(super) async fn counts(
    db: &impl Executor,
    project: ProjectId,
    queue: Option<&str>,
    now: Timestamp,
) -> Result<Vec<QueueCounts>> {
    let mut text = "SELECT q.queue,
            COUNT(CASE WHEN q.state = 'ready' AND (q.not_before IS NULL OR q.not_before <= :now)
                       THEN 1 END) AS ready,
            COUNT(CASE WHEN q.state = 'ready' AND q.not_before > :now THEN 1 END) AS resting,
            COUNT(CASE WHEN q.state = 'leased' AND l.expires_at > :now THEN 1 END) AS leased,
            COUNT(CASE WHEN q.state = 'leased' AND l.expires_at <= :now THEN 1 END) AS expired,
            COUNT(CASE WHEN q.state = 'done' THEN 1 END) AS done,
            COUNT(CASE WHEN q.state = 'failed' THEN 1 END) AS failed,
            COUNT(CASE WHEN q.state = 'cancelled' THEN 1 END) AS cancelled,
            MIN(CASE WHEN q.state = 'ready' THEN q.created_at END) AS oldest_ready_at
         FROM queue_items q
         LEFT JOIN leases l ON l.item_id = q.id AND l.live_key = 1
         WHERE q.project_id = :project"
        .to_owned();
    let mut params = params! { now: now, project: project };
    if let Some(queue) = queue {
        text.push_str(" AND q.queue = :queue");
        params.push("queue", queue);
    }
    text.push_str(" GROUP BY q.queue ORDER BY q.queue");
    Ok(db.fetch_all(text, params).await?)
}

/// Returns items of a project that are over, those that ended first first.
pub(super) async fn finished(
    db: &impl Executor,
    project: ProjectId,
    queue: Option<&str>,
    before: Timestamp,
    limit: i64,
) -> Result<Vec<i64>> {
    let mut text = "SELECT id FROM queue_items
         WHERE project_id = :project AND finished_at IS NOT NULL AND finished_at <= :before"
        .to_owned();
    let mut params = params! { project: project, before: before, limit: limit };
    if let Some(queue) = queue {
        text.push_str(" AND queue = :queue");
        params.push("queue", queue);
    }
    text.push_str(" ORDER BY finished_at, id LIMIT :limit");
    let ids: Vec<Scalar<i64>> = db.fetch_all(text, params).await?;
    Ok(ids.into_iter().map(|Scalar(id)| id).collect())
}

/// Removes items with their leases; returns how many of each went.
pub(super) async fn purge_items(db: &impl Executor, ids: &[i64]) -> Result<(u64, u64)> {
    let by_ids = || params! { ids: ids.to_vec() };
    let leases = db
        .execute("DELETE FROM leases WHERE item_id IN :ids", by_ids())
        .await?;
    let items = db
        .execute("DELETE FROM queue_items WHERE id IN :ids", by_ids())
        .await?;
    Ok((items, leases))
}

/// Returns the kind and name of the resource that a queue item is.
pub(super) fn item_resource(id: i64) -> (&'static str, String) {
    (QUEUE_RESOURCE, id.to_string())
}

/// Locks an item until the commit.
pub(super) async fn lock_item(db: &impl Executor, id: i64) -> Result<()> {
    db.execute(
        "UPDATE queue_items SET attempts = attempts WHERE id = :id",
        params! { id: id },
    )
    .await?;
    Ok(())
}

/// Ends a lease that has expired, unless it was renewed meanwhile.
pub(super) async fn end_expired(db: &impl Executor, id: LeaseId, now: Timestamp) -> Result<()> {
    db.execute(
        "UPDATE leases SET live_key = NULL, released_at = :now, outcome = 'expired'
         WHERE id = :id AND live_key = 1 AND expires_at <= :now",
        params! { now: now, id: id },
    )
    .await?;
    Ok(())
}

/// Returns the agents that ever had a name, those that were removed included.
pub(super) async fn agents_ever(
    db: &impl Executor,
    project: ProjectId,
    name: &str,
    now: Timestamp,
) -> Result<Vec<Agent>> {
    Ok(db
        .fetch_all(
            select_agents!("WHERE a.project_id = :project AND a.agent_id = :name ORDER BY a.id"),
            params! { now: now, project: project, name: name },
        )
        .await?)
}

/// Returns every lease that an agent of a name ever had and that is still recorded.
pub(super) async fn leases_ever(
    db: &impl Executor,
    project: ProjectId,
    name: &str,
) -> Result<Vec<Lease>> {
    Ok(db
        .fetch_all(
            select_leases!("WHERE l.project_id = :project AND l.agent_id = :name ORDER BY l.id"),
            params! { project: project, name: name },
        )
        .await?)
}

/// Whether an agent has a lease that has not ended.
pub(super) async fn holds_any(db: &impl Executor, project: ProjectId, name: &str) -> Result<bool> {
    let Scalar(count): Scalar<i64> = db
        .fetch_one(
            "SELECT COUNT(*) FROM leases
             WHERE project_id = :project AND agent_id = :name AND live_key = 1",
            params! { project: project, name: name },
        )
        .await?;
    Ok(count > 0)
}

/// Removes the agents of a name and the record of their leases; returns how many leases went.
pub(super) async fn purge_agent(db: &impl Executor, project: ProjectId, name: &str) -> Result<u64> {
    let by_name = || params! { project: project, name: name };
    let leases = db
        .execute(
            "DELETE FROM leases WHERE project_id = :project AND agent_id = :name",
            by_name(),
        )
        .await?;
    db.execute(
        "DELETE FROM agents WHERE project_id = :project AND agent_id = :name",
        by_name(),
    )
    .await?;
    Ok(leases)
}
