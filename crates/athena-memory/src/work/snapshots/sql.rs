//! Statements and rows of snapshots.

use super::Snapshot;
use crate::work::ids_from;
use athena_core::{ProjectId, Result, SnapshotId};
use athena_db::{Executor, FromRow, Row, Scalar, params};

impl FromRow for Snapshot {
    fn from_row(row: &Row) -> athena_db::Result<Self> {
        let failures: serde_json::Value = row.get("failures")?;
        let todos: serde_json::Value = row.get("todos")?;
        Ok(Self {
            id: row.get("id")?,
            uid: row.get("uid")?,
            project_id: row.get("project_id")?,
            session: row.get("session_id")?,
            taken_at: row.get("taken_at")?,
            summary: row.get("summary")?,
            next_step: row.get("next_step")?,
            failures: serde_json::from_value(failures).unwrap_or_default(),
            todos: serde_json::from_value(todos).unwrap_or_default(),
            task_ids: ids_from(row.get("task_ids")?),
            goal_ids: ids_from(row.get("goal_ids")?),
            principal: row.get("principal")?,
        })
    }
}

/// Everything a [`Snapshot`] is read from, of projects that exist; further conditions follow.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT s.id, s.uid, s.project_id, s.session_id, s.taken_at, s.summary, s.next_step,
                    s.failures, s.todos, s.task_ids, s.goal_ids, s.principal
             FROM session_snapshots s
             JOIN projects p ON p.id = s.project_id AND p.live_key = 1 ",
            $rest
        )
    };
}

/// Stores a new snapshot and returns its id.
pub(super) async fn insert(db: &impl Executor, snapshot: &Snapshot) -> Result<SnapshotId> {
    let Scalar(id) = db
        .fetch_one(
            "INSERT INTO session_snapshots (project_id, uid, session_id, summary, next_step, task_ids,
                                            goal_ids, failures, todos, principal, taken_at)
             VALUES (:project_id, :uid, :session, :summary, :next_step, :task_ids, :goal_ids,
                     :failures, :todos, :principal, :taken_at)
             RETURNING id",
            params! {
                project_id: snapshot.project_id,
                uid: snapshot.uid,
                session: snapshot.session.as_deref(),
                summary: snapshot.summary.as_deref(),
                next_step: snapshot.next_step.as_deref(),
                task_ids: serde_json::json!(snapshot.task_ids),
                goal_ids: serde_json::json!(snapshot.goal_ids),
                failures: serde_json::json!(snapshot.failures),
                todos: serde_json::json!(snapshot.todos),
                principal: &snapshot.principal,
                taken_at: snapshot.taken_at,
            },
        )
        .await?;
    Ok(id)
}

pub(super) async fn by_id(db: &impl Executor, id: i64) -> Result<Option<Snapshot>> {
    Ok(db
        .fetch_opt(select!("WHERE s.id = :id"), params! { id: id })
        .await?)
}

/// Returns one more than `limit` snapshots of a project, newest first.
///
/// By their numbers: clocks of several machines may differ, and the last one written is the one to
/// go on from.
pub(super) async fn list(
    db: &impl Executor,
    project: ProjectId,
    session: Option<&str>,
    before: i64,
    limit: u32,
) -> Result<Vec<Snapshot>> {
    Ok(db
        .fetch_all(
            select!(
                "WHERE s.project_id = :project AND s.id < :before
                   AND (:any_session OR s.session_id = :session)
                 ORDER BY s.id DESC LIMIT :limit"
            ),
            params! {
                project: project,
                before: before,
                any_session: session.is_none(),
                session: session.unwrap_or_default(),
                limit: i64::from(limit) + 1,
            },
        )
        .await?)
}

/// Removes a snapshot for good.
pub(super) async fn purge(db: &impl Executor, id: i64) -> Result<()> {
    db.execute(
        "DELETE FROM session_snapshots WHERE id = :id",
        params! { id: id },
    )
    .await?;
    Ok(())
}
