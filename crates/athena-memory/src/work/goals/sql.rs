//! Statements and rows of goals.

use super::progress::{Progress, Standing, with_those_below};
use super::{Goal, GoalStatus};
use crate::work::{ids_from, left_since};
use athena_core::{GoalId, ProjectId, Result};
use athena_db::{Executor, FromRow, Row, Scalar, params};
use std::collections::HashSet;

/// Goals that are read at once for a new search log.
const PORTION: i64 = 500;

impl FromRow for Goal {
    fn from_row(row: &Row) -> athena_db::Result<Self> {
        let by_hand: Option<f64> = row.get("completion_percentage")?;
        Ok(Self {
            id: row.get("id")?,
            uid: row.get("uid")?,
            project_id: row.get("project_id")?,
            version: row.get("version")?,
            name: row.get("name")?,
            description: row.get("description")?,
            goal_type: row.get("goal_type")?,
            priority: row.get("priority")?,
            status: row.get("status")?,
            completion_percentage: by_hand.unwrap_or_default(),
            completion_by_hand: by_hand.is_some(),
            estimated_completion_date: row.get("estimated_completion_date")?,
            deadline: row.get("deadline")?,
            parent_goal_id: row.get("parent_goal_id")?,
            related_memory_ids: ids_from(row.get("related_memory_ids")?),
            principal: row.get("principal")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            completed_at: row.get("completed_at")?,
            removed_at: row.get("removed_at")?,
        })
    }
}

/// Everything a [`Goal`] is read from, of any project; further clauses follow.
macro_rules! select_anywhere {
    ($($rest:literal),+) => {
        concat!(
            "SELECT g.id, g.uid, g.project_id, g.version, g.name, g.description, g.goal_type, g.priority,
                    g.status, g.completion_percentage, g.estimated_completion_date, g.deadline,
                    g.parent_goal_id, g.related_memory_ids, g.principal, g.created_at, g.updated_at,
                    g.completed_at, g.removed_at
             FROM prospective_goals g ",
            $($rest),+
        )
    };
}

/// Everything a [`Goal`] is read from, of projects that exist; further conditions follow.
macro_rules! select {
    ($($rest:literal),+) => {
        select_anywhere!("JOIN projects p ON p.id = g.project_id AND p.live_key = 1 ", $($rest),+)
    };
}

fn by_hand(goal: &Goal) -> Option<f64> {
    goal.completion_by_hand
        .then_some(goal.completion_percentage)
}

/// Stores a new goal and returns its id.
pub(super) async fn insert(db: &impl Executor, goal: &Goal) -> Result<GoalId> {
    let Scalar(id) = db
        .fetch_one(
            "INSERT INTO prospective_goals (
                 project_id, uid, version, name, description, goal_type, priority, status,
                 completion_percentage, estimated_completion_date, deadline, parent_goal_id,
                 related_memory_ids, principal, created_at, updated_at, completed_at, live_key)
             VALUES (
                 :project_id, :uid, 1, :name, :description, :goal_type, :priority, :status,
                 :completion_percentage, :estimated_completion_date, :deadline, :parent_goal_id,
                 :related_memory_ids, :principal, :created_at, :created_at, :completed_at, 1)
             RETURNING id",
            params! {
                project_id: goal.project_id,
                uid: goal.uid,
                name: &goal.name,
                description: goal.description.as_deref(),
                goal_type: goal.goal_type,
                priority: goal.priority,
                status: goal.status,
                completion_percentage: by_hand(goal),
                estimated_completion_date: goal.estimated_completion_date,
                deadline: goal.deadline,
                parent_goal_id: goal.parent_goal_id,
                related_memory_ids: serde_json::json!(goal.related_memory_ids),
                principal: &goal.principal,
                created_at: goal.created_at,
                completed_at: goal.completed_at,
            },
        )
        .await?;
    Ok(id)
}

/// Stores a goal as it is now.
pub(super) async fn update(db: &impl Executor, goal: &Goal) -> Result<()> {
    db.execute(
        "UPDATE prospective_goals
         SET version = :version, name = :name, description = :description, goal_type = :goal_type,
             priority = :priority, status = :status, completion_percentage = :completion_percentage,
             estimated_completion_date = :estimated_completion_date, deadline = :deadline,
             parent_goal_id = :parent_goal_id, related_memory_ids = :related_memory_ids,
             updated_at = :updated_at, completed_at = :completed_at, removed_at = :removed_at,
             live_key = :live_key
         WHERE id = :id",
        params! {
            version: goal.version,
            name: &goal.name,
            description: goal.description.as_deref(),
            goal_type: goal.goal_type,
            priority: goal.priority,
            status: goal.status,
            completion_percentage: by_hand(goal),
            estimated_completion_date: goal.estimated_completion_date,
            deadline: goal.deadline,
            parent_goal_id: goal.parent_goal_id,
            related_memory_ids: serde_json::json!(goal.related_memory_ids),
            updated_at: goal.updated_at,
            completed_at: goal.completed_at,
            removed_at: goal.removed_at,
            live_key: goal.removed_at.is_none().then_some(1_i64),
            id: goal.id,
        },
    )
    .await?;
    Ok(())
}

/// Locks a goal's row until the commit.
pub(super) async fn lock(db: &impl Executor, id: GoalId) -> Result<()> {
    db.execute(
        "UPDATE prospective_goals SET version = version WHERE id = :id",
        params! { id: id },
    )
    .await?;
    Ok(())
}

pub(super) async fn by_id(db: &impl Executor, id: GoalId) -> Result<Option<Goal>> {
    Ok(db
        .fetch_opt(select!("WHERE g.id = :id"), params! { id: id })
        .await?)
}

/// Returns a goal, in a project that was deleted too.
pub(super) async fn anywhere(db: &impl Executor, id: GoalId) -> Result<Option<Goal>> {
    Ok(db
        .fetch_opt(select_anywhere!("WHERE g.id = :id"), params! { id: id })
        .await?)
}

/// Whether a goal that was not removed is in a project.
pub(in crate::work) async fn in_project(
    db: &impl Executor,
    project: ProjectId,
    id: i64,
) -> Result<bool> {
    let found: Option<Scalar<i64>> = db
        .fetch_opt(
            "SELECT id FROM prospective_goals
             WHERE id = :id AND project_id = :project AND live_key = 1",
            params! { id: id, project: project },
        )
        .await?;
    Ok(found.is_some())
}

/// Returns those of the goals that were not removed, in the order of their ids.
pub(in crate::work) async fn by_ids(db: &impl Executor, ids: &[i64]) -> Result<Vec<Goal>> {
    Ok(db
        .fetch_all(
            select!("WHERE g.id IN :ids AND g.live_key = 1 ORDER BY g.id"),
            params! { ids: ids.to_vec() },
        )
        .await?)
}

/// Returns the ids of the most urgent active goals of a project.
pub(in crate::work) async fn active(
    db: &impl Executor,
    project: ProjectId,
    limit: i64,
) -> Result<Vec<i64>> {
    let ids: Vec<Scalar<i64>> = db
        .fetch_all(
            "SELECT id FROM prospective_goals
             WHERE project_id = :project AND live_key = 1 AND status = 'active'
             ORDER BY priority DESC, id LIMIT :limit",
            params! { project: project, limit: limit },
        )
        .await?;
    Ok(ids.into_iter().map(|Scalar(id)| id).collect())
}

/// What a list of goals is narrowed to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ListFilter {
    pub(super) status: Option<GoalStatus>,
    pub(super) parent: Option<i64>,
    pub(super) removed: bool,
    /// The last goal of the page before.
    pub(super) cursor: Option<i64>,
}

/// Returns one more than `limit` goals, the most urgent first.
pub(super) async fn list(
    db: &impl Executor,
    project: ProjectId,
    filter: ListFilter,
    limit: u32,
) -> Result<Vec<Goal>> {
    let priority: Option<Scalar<i64>> = match filter.cursor {
        Some(id) => {
            db.fetch_opt(
                "SELECT priority FROM prospective_goals WHERE id = :id",
                params! { id: id },
            )
            .await?
        }
        None => Some(Scalar(i64::MAX)),
    };
    let Scalar(priority) = priority.ok_or_else(left_since)?;
    Ok(db
        .fetch_all(
            select!(
                "WHERE g.project_id = :project
                   AND (CASE WHEN :removed THEN g.removed_at IS NOT NULL ELSE g.removed_at IS NULL END)
                   AND (:any_status OR g.status = :status)
                   AND (:any_parent OR g.parent_goal_id = :parent)
                   AND (g.priority < :priority OR (g.priority = :priority AND g.id > :after))
                 ORDER BY g.priority DESC, g.id
                 LIMIT :limit"
            ),
            params! {
                project: project,
                removed: filter.removed,
                any_status: filter.status.is_none(),
                status: filter.status.unwrap_or_default(),
                any_parent: filter.parent.is_none(),
                parent: filter.parent.unwrap_or_default(),
                priority: priority,
                after: filter.cursor.unwrap_or_default(),
                limit: i64::from(limit) + 1,
            },
        )
        .await?)
}

/// Returns some goals of a project after an id, removed ones included.
pub(super) async fn portion(
    db: &impl Executor,
    project: ProjectId,
    after: i64,
) -> Result<Vec<Goal>> {
    Ok(db
        .fetch_all(
            select_anywhere!(
                "WHERE g.project_id = :project AND g.id > :after ORDER BY g.id LIMIT :limit"
            ),
            params! { project: project, after: after, limit: PORTION },
        )
        .await?)
}

/// Returns where all goals of a project stand, removed ones left out.
pub(super) async fn progress(db: &impl Executor, project: ProjectId) -> Result<Progress> {
    type Row = (i64, Option<i64>, GoalStatus, Option<f64>, i64, f64);
    let rows: Vec<Row> = db
        .fetch_all(
            "SELECT g.id, g.parent_goal_id, g.status, g.completion_percentage,
                    COALESCE(k.tasks, 0) AS tasks, COALESCE(k.progress, 0.0) AS progress
             FROM prospective_goals g
             LEFT JOIN (
                 SELECT t.goal_id, COUNT(*) AS tasks,
                        SUM(CASE WHEN t.phase = 'completed' THEN 100.0
                                 ELSE COALESCE(t.completion_percentage, 0.0) END) AS progress
                 FROM prospective_tasks t
                 WHERE t.project_id = :project AND t.live_key = 1 AND t.goal_id IS NOT NULL
                   AND t.phase <> 'abandoned'
                 GROUP BY t.goal_id
             ) k ON k.goal_id = g.id
             WHERE g.project_id = :project AND g.live_key = 1",
            params! { project: project },
        )
        .await?;
    let standings = rows.into_iter().map(|row| {
        let (id, parent, status, by_hand, tasks, progress) = row;
        let standing = Standing {
            parent,
            status,
            by_hand,
            tasks,
            progress,
        };
        (id, standing)
    });
    Ok(Progress::of(standings))
}

/// Returns the ids of the goals of a project that are paused or cancelled, and of all that serve them.
pub(in crate::work) async fn set_aside(
    db: &impl Executor,
    project: ProjectId,
) -> Result<HashSet<i64>> {
    let goals: Vec<(i64, Option<i64>, GoalStatus)> = db
        .fetch_all(
            "SELECT id, parent_goal_id, status FROM prospective_goals
             WHERE project_id = :project AND live_key = 1",
            params! { project: project },
        )
        .await?;
    let is_aside =
        |status: GoalStatus| matches!(status, GoalStatus::Paused | GoalStatus::Cancelled);
    let aside = goals.iter().filter(|(_, _, status)| is_aside(*status));
    let aside: Vec<i64> = aside.map(|(id, _, _)| *id).collect();
    let parents = goals.iter().map(|(id, parent, _)| (*id, *parent));
    Ok(with_those_below(parents, aside))
}

/// Returns how many tasks a goal has in each phase, removed ones left out.
pub(super) async fn task_counts(db: &impl Executor, id: GoalId) -> Result<Vec<(String, i64)>> {
    Ok(db
        .fetch_all(
            "SELECT phase, COUNT(*) FROM prospective_tasks
             WHERE goal_id = :id AND live_key = 1 GROUP BY phase ORDER BY phase",
            params! { id: id },
        )
        .await?)
}

/// Removes a goal for good, and takes it out of what belonged to it; returns how many tasks and
/// goals those were.
pub(super) async fn purge(db: &impl Executor, id: GoalId) -> Result<(u64, u64)> {
    let by_id = || params! { id: id };
    let tasks = db
        .execute(
            "UPDATE prospective_tasks SET goal_id = NULL, version = version + 1 WHERE goal_id = :id",
            by_id(),
        )
        .await?;
    let goals = db
        .execute(
            "UPDATE prospective_goals SET parent_goal_id = NULL, version = version + 1
             WHERE parent_goal_id = :id",
            by_id(),
        )
        .await?;
    db.execute("DELETE FROM prospective_goals WHERE id = :id", by_id())
        .await?;
    Ok((tasks, goals))
}
