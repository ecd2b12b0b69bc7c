//! Statements and rows of sessions, threads and messages.

use super::{Message, Role, Session, Thread};
use athena_core::{MessageId, PageRequest, ProjectId, Result, ThreadId};
use athena_db::{Executor, FromRow, Row, Scalar, params};
use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

/// Reads an object, if there is one.
fn object(row: &Row, name: &str) -> athena_db::Result<Option<Map<String, Value>>> {
    let value: Option<Value> = row.get(name)?;
    Ok(value.and_then(|value| match value {
        Value::Object(map) => Some(map),
        _ => None,
    }))
}

impl FromRow for Session {
    fn from_row(row: &Row) -> athena_db::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            uid: row.get("uid")?,
            project_id: row.get("project_id")?,
            session: row.get("session_id")?,
            agent: row.get("agent")?,
            context: object(row, "context")?,
            threads: row.get("threads")?,
            started_at: row.get("started_at")?,
            last_active_at: row.get("last_active_at")?,
            ended_at: row.get("ended_at")?,
            principal: row.get("principal")?,
        })
    }
}

/// Everything a [`Session`] is read from; conditions follow.
macro_rules! select_sessions {
    ($($rest:literal),*) => {
        concat!(
            "SELECT s.id, s.uid, s.project_id, s.session_id, s.agent, s.context, s.started_at,
                    s.last_active_at, s.ended_at, s.principal,
                    (SELECT COUNT(*) FROM threads t
                     WHERE t.project_id = s.project_id AND t.session_id = s.session_id
                       AND t.live_key = 1) AS threads
             FROM sessions s ",
            $($rest),*
        )
    };
}

/// A session about to be started.
#[derive(Debug)]
pub(super) struct NewSession<'a> {
    pub(super) session: &'a str,
    pub(super) agent: Option<&'a str>,
    pub(super) context: Option<Value>,
    pub(super) principal: &'a str,
    pub(super) now: Timestamp,
}

/// Starts a session, unless it is known already.
pub(super) async fn insert_session(
    db: &impl Executor,
    project: ProjectId,
    new: &NewSession<'_>,
) -> Result<()> {
    db.execute(
        "INSERT INTO sessions (project_id, uid, session_id, agent, context, started_at,
                               last_active_at, principal)
         VALUES (:project, :uid, :session, :agent, :context, :now, :now, :principal)
         ON CONFLICT (project_id, session_id) DO NOTHING",
        params! {
            project: project,
            uid: Uuid::now_v7(),
            session: new.session,
            agent: new.agent,
            context: new.context.clone(),
            now: new.now,
            principal: new.principal,
        },
    )
    .await?;
    Ok(())
}

/// Goes on with a session: it is active now, and has not ended. What is not given stays.
pub(super) async fn reopen_session(
    db: &impl Executor,
    project: ProjectId,
    new: &NewSession<'_>,
) -> Result<()> {
    let mut text = "UPDATE sessions SET last_active_at = :now, ended_at = NULL".to_owned();
    let mut params = params! { now: new.now, project: project, session: new.session };
    if let Some(agent) = new.agent {
        text.push_str(", agent = :agent");
        params.push("agent", agent);
    }
    if let Some(context) = &new.context {
        text.push_str(", context = :context");
        params.push("context", context.clone());
    }
    text.push_str(" WHERE project_id = :project AND session_id = :session");
    db.execute(text, params).await?;
    Ok(())
}

/// Notes that something happens in a session.
pub(super) async fn touch_session(
    db: &impl Executor,
    project: ProjectId,
    session: &str,
    now: Timestamp,
) -> Result<()> {
    db.execute(
        "UPDATE sessions SET last_active_at = :now
         WHERE project_id = :project AND session_id = :session",
        params! { now: now, project: project, session: session },
    )
    .await?;
    Ok(())
}

pub(super) async fn end_session(
    db: &impl Executor,
    id: i64,
    context: Option<Value>,
    now: Timestamp,
) -> Result<()> {
    let mut text = "UPDATE sessions SET ended_at = :now, last_active_at = :now".to_owned();
    let mut params = params! { now: now, id: id };
    if let Some(context) = context {
        text.push_str(", context = :context");
        params.push("context", context);
    }
    text.push_str(" WHERE id = :id AND ended_at IS NULL");
    db.execute(text, params).await?;
    Ok(())
}

/// Returns how many threads a session has, removed ones included.
pub(super) async fn threads_ever(
    db: &impl Executor,
    project: ProjectId,
    session: &str,
) -> Result<i64> {
    let Scalar(count) = db
        .fetch_one(
            "SELECT COUNT(*) FROM threads WHERE project_id = :project AND session_id = :session",
            params! { project: project, session: session },
        )
        .await?;
    Ok(count)
}

/// Removes a session for good.
pub(super) async fn purge_session(db: &impl Executor, id: i64) -> Result<()> {
    db.execute("DELETE FROM sessions WHERE id = :id", params! { id: id })
        .await?;
    Ok(())
}

pub(super) async fn session(
    db: &impl Executor,
    project: ProjectId,
    name: &str,
) -> Result<Option<Session>> {
    Ok(db
        .fetch_opt(
            select_sessions!("WHERE s.project_id = :project AND s.session_id = :name"),
            params! { project: project, name: name },
        )
        .await?)
}

/// Returns one more than the page asks for, newest first.
pub(super) async fn sessions(
    db: &impl Executor,
    project: ProjectId,
    agent: Option<&str>,
    page: PageRequest,
) -> Result<Vec<Session>> {
    let mut text = select_sessions!("WHERE s.project_id = :project AND s.id < :before").to_owned();
    let mut params = params! {
        project: project,
        before: page.cursor.map_or(i64::MAX, |cursor| cursor.0),
        limit: i64::from(page.limit) + 1,
    };
    if let Some(agent) = agent {
        text.push_str(" AND s.agent = :agent");
        params.push("agent", agent);
    }
    text.push_str(" ORDER BY s.id DESC LIMIT :limit");
    Ok(db.fetch_all(text, params).await?)
}

/// Returns the session with events that was active last, if that was at a time or later.
pub(super) async fn last_eventful_session(
    db: &impl Executor,
    project: ProjectId,
    since: Timestamp,
) -> Result<Option<Session>> {
    Ok(db
        .fetch_opt(
            select_sessions!(
                "WHERE s.project_id = :project AND s.last_active_at >= :since
                   AND EXISTS (SELECT 1 FROM episodic_events e
                               WHERE e.project_id = s.project_id AND e.session_id = s.session_id
                                 AND e.live_key = 1)
                 ORDER BY s.last_active_at DESC, s.id DESC LIMIT 1"
            ),
            params! { project: project, since: since },
        )
        .await?)
}

impl FromRow for Thread {
    fn from_row(row: &Row) -> athena_db::Result<Self> {
        let next_seq: i64 = row.get("next_seq")?;
        Ok(Self {
            id: row.get("id")?,
            uid: row.get("uid")?,
            project_id: row.get("project_id")?,
            session: row.get("session_id")?,
            title: row.get("title")?,
            agent: row.get("agent")?,
            metadata: object(row, "metadata")?,
            messages: row.get("message_count")?,
            tokens: row.get("token_count")?,
            last_seq: next_seq - 1,
            summary_to_seq: row.get("summary_to_seq")?,
            last_message_at: row.get("last_message_at")?,
            archived_at: row.get("archived_at")?,
            closed_at: row.get("closed_at")?,
            expires_at: row.get("expires_at")?,
            removed_at: row.get("removed_at")?,
            principal: row.get("principal")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            summary: row.get("summary")?,
        })
    }
}

/// Everything a [`Thread`] is read from, of projects that exist; conditions follow.
macro_rules! select_threads {
    ($($rest:literal),*) => {
        select_threads_anywhere!("JOIN projects p ON p.id = t.project_id AND p.live_key = 1 ", $($rest),*)
    };
}

/// Everything a [`Thread`] is read from, of any project; conditions follow.
macro_rules! select_threads_anywhere {
    ($($rest:literal),*) => {
        concat!(
            "SELECT t.id, t.uid, t.project_id, t.session_id, t.title, t.agent, t.metadata,
                    t.next_seq, t.summary, t.summary_to_seq, t.last_message_at, t.archived_at,
                    t.closed_at, t.expires_at, t.removed_at, t.principal, t.created_at, t.updated_at,
                    (SELECT COUNT(*) FROM messages c WHERE c.thread_id = t.id) AS message_count,
                    (SELECT COALESCE(SUM(c.tokens), 0) FROM messages c
                     WHERE c.thread_id = t.id) AS token_count
             FROM threads t ",
            $($rest),*
        )
    };
}

/// A thread about to be made.
#[derive(Debug)]
pub(super) struct NewThread<'a> {
    pub(super) uid: Uuid,
    pub(super) session: Option<&'a str>,
    pub(super) title: Option<&'a str>,
    pub(super) agent: Option<&'a str>,
    pub(super) metadata: Option<Value>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) principal: &'a str,
    pub(super) now: Timestamp,
}

pub(super) async fn insert_thread(
    db: &impl Executor,
    project: ProjectId,
    new: &NewThread<'_>,
) -> Result<ThreadId> {
    let Scalar(id) = db
        .fetch_one(
            "INSERT INTO threads (project_id, uid, session_id, title, agent, metadata, next_seq,
                                  summary_to_seq, summary_tokens, expires_at, principal, created_at,
                                  updated_at, live_key)
             VALUES (:project, :uid, :session, :title, :agent, :metadata, 1, 0, 0, :expires_at,
                     :principal, :now, :now, 1)
             RETURNING id",
            params! {
                project: project,
                uid: new.uid,
                session: new.session,
                title: new.title,
                agent: new.agent,
                metadata: new.metadata.clone(),
                expires_at: new.expires_at,
                principal: new.principal,
                now: new.now,
            },
        )
        .await?;
    Ok(id)
}

/// Returns a thread, removed and expired ones included.
pub(super) async fn thread(db: &impl Executor, id: ThreadId) -> Result<Option<Thread>> {
    Ok(db
        .fetch_opt(select_threads!("WHERE t.id = :id"), params! { id: id })
        .await?)
}

/// Returns a thread, of a project that was deleted too.
pub(super) async fn thread_anywhere(db: &impl Executor, id: ThreadId) -> Result<Option<Thread>> {
    Ok(db
        .fetch_opt(
            select_threads_anywhere!("WHERE t.id = :id"),
            params! { id: id },
        )
        .await?)
}

/// Locks a thread's row until the commit.
pub(super) async fn lock_thread(db: &impl Executor, id: ThreadId) -> Result<()> {
    take_numbers(db, id, 0).await
}

/// Takes the next numbers of a thread; its row stays locked until the commit, so that whoever
/// writes at the same time gets the ones after them.
pub(super) async fn take_numbers(db: &impl Executor, id: ThreadId, count: i64) -> Result<()> {
    db.execute(
        "UPDATE threads SET next_seq = next_seq + :count WHERE id = :id",
        params! { count: count, id: id },
    )
    .await?;
    Ok(())
}

/// What a list of threads is narrowed to.
#[derive(Debug)]
pub(super) struct ThreadFilter<'a> {
    pub(super) session: Option<&'a str>,
    pub(super) agent: Option<&'a str>,
    /// What the columns of its state say.
    pub(super) state: &'static str,
}

/// Returns one more than the page asks for, newest first.
pub(super) async fn threads(
    db: &impl Executor,
    project: ProjectId,
    filter: &ThreadFilter<'_>,
    now: Timestamp,
    page: PageRequest,
) -> Result<Vec<Thread>> {
    let mut text = select_threads!(
        "WHERE t.project_id = :project AND t.id < :before
           AND (t.expires_at IS NULL OR t.expires_at > :now)"
    )
    .to_owned();
    let mut params = params! {
        project: project,
        before: page.cursor.map_or(i64::MAX, |cursor| cursor.0),
        now: now,
        limit: i64::from(page.limit) + 1,
    };
    text.push_str(filter.state);
    if let Some(session) = filter.session {
        text.push_str(" AND t.session_id = :session");
        params.push("session", session);
    }
    if let Some(agent) = filter.agent {
        text.push_str(" AND t.agent = :agent");
        params.push("agent", agent);
    }
    text.push_str(" ORDER BY t.id DESC LIMIT :limit");
    Ok(db.fetch_all(text, params).await?)
}

/// Returns the thread that was written to last, if that was at a time or later; none that is empty,
/// archived, removed or expired.
pub(super) async fn last_thread(
    db: &impl Executor,
    project: ProjectId,
    since: Timestamp,
    now: Timestamp,
) -> Result<Option<Thread>> {
    Ok(db
        .fetch_opt(
            select_threads!(
                "WHERE t.project_id = :project AND t.live_key = 1 AND t.archived_at IS NULL
                   AND (t.expires_at IS NULL OR t.expires_at > :now)
                   AND t.last_message_at >= :since
                 ORDER BY t.last_message_at DESC, t.id DESC LIMIT 1"
            ),
            params! { project: project, now: now, since: since },
        )
        .await?)
}

/// Stores what may change of a thread.
pub(super) async fn update_thread(
    db: &impl Executor,
    thread: &Thread,
    now: Timestamp,
) -> Result<()> {
    db.execute(
        "UPDATE threads
         SET title = :title, agent = :agent, metadata = :metadata, archived_at = :archived_at,
             closed_at = :closed_at, expires_at = :expires_at, removed_at = :removed_at,
             live_key = :live_key, updated_at = :now
         WHERE id = :id",
        params! {
            title: thread.title.as_deref(),
            agent: thread.agent.as_deref(),
            metadata: thread.metadata.clone().map(Value::Object),
            archived_at: thread.archived_at,
            closed_at: thread.closed_at,
            expires_at: thread.expires_at,
            removed_at: thread.removed_at,
            live_key: thread.removed_at.is_none().then_some(1_i64),
            now: now,
            id: thread.id,
        },
    )
    .await?;
    Ok(())
}

pub(super) async fn note_message(db: &impl Executor, id: ThreadId, now: Timestamp) -> Result<()> {
    db.execute(
        "UPDATE threads SET last_message_at = :now, updated_at = :now WHERE id = :id",
        params! { now: now, id: id },
    )
    .await?;
    Ok(())
}

/// Stores a summary, unless another one was stored since it was read how far the last one went.
pub(super) async fn put_summary(
    db: &impl Executor,
    id: ThreadId,
    from: i64,
    to: i64,
    summary: Option<&str>,
    tokens: i64,
) -> Result<bool> {
    let stored = db
        .execute(
            "UPDATE threads SET summary = :summary, summary_to_seq = :to_seq, summary_tokens = :tokens
             WHERE id = :id AND summary_to_seq = :from_seq",
            params! { summary: summary, to_seq: to, tokens: tokens, id: id, from_seq: from },
        )
        .await?;
    Ok(stored == 1)
}

/// Removes a summary that covers a message.
pub(super) async fn drop_summary(db: &impl Executor, id: ThreadId, covering: i64) -> Result<()> {
    db.execute(
        "UPDATE threads SET summary = NULL, summary_to_seq = 0, summary_tokens = 0
         WHERE id = :id AND summary_to_seq >= :seq",
        params! { id: id, seq: covering },
    )
    .await?;
    Ok(())
}

/// Returns threads that have expired.
pub(super) async fn expired(
    db: &impl Executor,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<ThreadId>> {
    let ids: Vec<Scalar<ThreadId>> = db
        .fetch_all(
            "SELECT id FROM threads WHERE expires_at <= :now ORDER BY expires_at, id LIMIT :limit",
            params! { now: now, limit: limit },
        )
        .await?;
    Ok(ids.into_iter().map(|Scalar(id)| id).collect())
}

/// Removes a thread with its messages; returns how many messages went.
pub(super) async fn purge_thread(db: &impl Executor, id: ThreadId) -> Result<u64> {
    let messages = db
        .execute(
            "DELETE FROM messages WHERE thread_id = :id",
            params! { id: id },
        )
        .await?;
    db.execute("DELETE FROM threads WHERE id = :id", params! { id: id })
        .await?;
    Ok(messages)
}

impl FromRow for Message {
    fn from_row(row: &Row) -> athena_db::Result<Self> {
        let calls: Option<Value> = row.get("tool_calls")?;
        Ok(Self {
            id: row.get("id")?,
            uid: row.get("uid")?,
            thread: row.get("thread_id")?,
            seq: row.get("seq")?,
            role: row.get("role")?,
            content: row.get("content")?,
            name: row.get("name")?,
            tool_call_id: row.get("tool_call_id")?,
            tool_calls: calls.and_then(|calls| serde_json::from_value(calls).ok()),
            model: row.get("model")?,
            tokens: row.get("tokens")?,
            user: row.get("user_id")?,
            metadata: object(row, "metadata")?,
            occurred_at: row.get("occurred_at")?,
            principal: row.get("principal")?,
            created_at: row.get("created_at")?,
            project: row.get("project_id")?,
        })
    }
}

/// Everything a [`Message`] is read from; conditions follow.
macro_rules! select_messages {
    ($($rest:literal),*) => {
        concat!(
            "SELECT m.id, m.uid, m.project_id, m.thread_id, m.seq, m.role, m.content, m.name,
                    m.tool_call_id, m.tool_calls, m.model, m.tokens, m.user_id, m.metadata,
                    m.occurred_at, m.principal, m.created_at
             FROM messages m ",
            $($rest),*
        )
    };
}

/// Stores messages that have their numbers.
pub(super) async fn insert_messages(db: &impl Executor, messages: &[Message]) -> Result<()> {
    let rows = messages.iter().map(|message| {
        params! {
            project: message.project,
            thread: message.thread,
            uid: message.uid,
            seq: message.seq,
            role: message.role,
            content: message.content.as_str(),
            name: message.name.as_deref(),
            tool_call_id: message.tool_call_id.as_deref(),
            tool_calls: message.tool_calls.as_ref().map(|calls| serde_json::json!(calls)),
            model: message.model.as_deref(),
            tokens: message.tokens,
            user: message.user.as_deref(),
            metadata: message.metadata.clone().map(Value::Object),
            occurred_at: message.occurred_at,
            principal: message.principal.as_str(),
            created_at: message.created_at,
        }
    });
    db.execute_many(
        "INSERT INTO messages (project_id, thread_id, uid, seq, role, content, name, tool_call_id,
                               tool_calls, model, tokens, user_id, metadata, occurred_at, principal,
                               created_at)
         VALUES (:project, :thread, :uid, :seq, :role, :content, :name, :tool_call_id, :tool_calls,
                 :model, :tokens, :user, :metadata, :occurred_at, :principal, :created_at)",
        rows.collect(),
    )
    .await?;
    Ok(())
}

/// Returns the ids of a thread's messages from one number on, in their order.
pub(super) async fn ids_from(
    db: &impl Executor,
    thread: ThreadId,
    first: i64,
) -> Result<Vec<MessageId>> {
    let ids: Vec<Scalar<MessageId>> = db
        .fetch_all(
            "SELECT id FROM messages WHERE thread_id = :thread AND seq >= :first ORDER BY seq",
            params! { thread: thread, first: first },
        )
        .await?;
    Ok(ids.into_iter().map(|Scalar(id)| id).collect())
}

/// Returns a message, of a project that exists.
pub(super) async fn message(db: &impl Executor, id: MessageId) -> Result<Option<Message>> {
    Ok(db
        .fetch_opt(
            select_messages!(
                "JOIN projects p ON p.id = m.project_id AND p.live_key = 1 WHERE m.id = :id"
            ),
            params! { id: id },
        )
        .await?)
}

/// Returns a message, of a project that was deleted too.
pub(super) async fn message_anywhere(db: &impl Executor, id: MessageId) -> Result<Option<Message>> {
    Ok(db
        .fetch_opt(select_messages!("WHERE m.id = :id"), params! { id: id })
        .await?)
}

/// Returns up to `limit` messages of a thread after a number, oldest first.
pub(super) async fn messages_after(
    db: &impl Executor,
    thread: ThreadId,
    after: i64,
    limit: i64,
) -> Result<Vec<Message>> {
    Ok(db
        .fetch_all(
            select_messages!(
                "WHERE m.thread_id = :thread AND m.seq > :after ORDER BY m.seq LIMIT :limit"
            ),
            params! { thread: thread, after: after, limit: limit },
        )
        .await?)
}

/// Returns up to `limit` messages of a thread before a number, newest first.
pub(super) async fn messages_before(
    db: &impl Executor,
    thread: ThreadId,
    before: i64,
    limit: i64,
) -> Result<Vec<Message>> {
    Ok(db
        .fetch_all(
            select_messages!(
                "WHERE m.thread_id = :thread AND m.seq < :before ORDER BY m.seq DESC LIMIT :limit"
            ),
            params! { thread: thread, before: before, limit: limit },
        )
        .await?)
}

/// Returns those of the messages that may be shown, with the titles of their threads: a thread that
/// was removed or has expired shows nothing.
pub(super) async fn shown(
    db: &impl Executor,
    ids: &[i64],
    now: Timestamp,
) -> Result<Vec<(Message, Option<String>, Option<String>)>> {
    let rows: Vec<ShownRow> = db
        .fetch_all(
            "SELECT m.id, m.uid, m.project_id, m.thread_id, m.seq, m.role, m.content, m.name,
                    m.tool_call_id, m.tool_calls, m.model, m.tokens, m.user_id, m.metadata,
                    m.occurred_at, m.principal, m.created_at,
                    t.title AS thread_title, t.session_id AS thread_session
             FROM messages m
             JOIN threads t ON t.id = m.thread_id AND t.live_key = 1
             JOIN projects p ON p.id = m.project_id AND p.live_key = 1
             WHERE m.id IN :ids AND (t.expires_at IS NULL OR t.expires_at > :now)",
            params! { ids: ids.to_vec(), now: now },
        )
        .await?;
    let rows = rows.into_iter();
    Ok(rows
        .map(|row| (row.message, row.title, row.session))
        .collect())
}

/// A message with what is shown of its thread.
struct ShownRow {
    message: Message,
    title: Option<String>,
    session: Option<String>,
}

impl FromRow for ShownRow {
    fn from_row(row: &Row) -> athena_db::Result<Self> {
        Ok(Self {
            message: Message::from_row(row)?,
            title: row.get("thread_title")?,
            session: row.get("thread_session")?,
        })
    }
}

/// Returns messages of a project after an id with the session of each, whatever became of their
/// threads.
pub(super) async fn all_messages(
    db: &impl Executor,
    project: ProjectId,
    after: i64,
    limit: i64,
) -> Result<Vec<Message>> {
    Ok(db
        .fetch_all(
            select_messages!(
                "WHERE m.project_id = :project AND m.id > :after ORDER BY m.id LIMIT :limit"
            ),
            params! { project: project, after: after, limit: limit },
        )
        .await?)
}

/// Returns the sessions of threads.
pub(super) async fn sessions_of(
    db: &impl Executor,
    threads: &[i64],
) -> Result<Vec<(i64, Option<String>)>> {
    Ok(db
        .fetch_all(
            "SELECT id, session_id FROM threads WHERE id IN :ids",
            params! { ids: threads.to_vec() },
        )
        .await?)
}

/// Returns how many messages of each role a thread has, and how many tokens these have.
pub(super) async fn by_role(db: &impl Executor, thread: ThreadId) -> Result<Vec<(Role, i64, i64)>> {
    Ok(db
        .fetch_all(
            "SELECT role, COUNT(*), COALESCE(SUM(tokens), 0) FROM messages
             WHERE thread_id = :thread GROUP BY role ORDER BY role",
            params! { thread: thread },
        )
        .await?)
}

/// Returns how many turns a thread has: messages of a person that the agent answered.
pub(super) async fn turns(db: &impl Executor, thread: ThreadId) -> Result<i64> {
    let Scalar(turns) = db
        .fetch_one(
            "SELECT COUNT(*) FROM (
                 SELECT role, LEAD(role) OVER (ORDER BY seq) AS answer FROM messages
                 WHERE thread_id = :thread AND role IN ('user', 'assistant')
             ) said
             WHERE role = 'user' AND answer = 'assistant'",
            params! { thread: thread },
        )
        .await?;
    Ok(turns)
}

/// Removes a message.
pub(super) async fn purge_message(db: &impl Executor, id: MessageId) -> Result<u64> {
    Ok(db
        .execute("DELETE FROM messages WHERE id = :id", params! { id: id })
        .await?)
}
