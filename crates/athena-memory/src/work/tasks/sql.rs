//! Statements and rows of tasks, dependencies and attempts.

use super::{Attempt, AttemptOutcome, Phase, Task, TaskBrief, TaskStatus};
use crate::work::{ids_from, left_since};
use athena_core::{ProjectId, Result, TaskId};
use athena_db::{Executor, FromRow, Row, Scalar, params};
use jiff::Timestamp;

/// Tasks that are read at once for a new search log.
const PORTION: i64 = 500;

impl FromRow for Task {
    fn from_row(row: &Row) -> athena_db::Result<Self> {
        let phase: Phase = row.get("phase")?;
        let blocked_reason: Option<String> = row.get("blocked_reason")?;
        let unfinished_dependencies: i64 = row.get("unfinished")?;
        let (triggers, fired): (i64, i64) = (row.get("triggers")?, row.get("fired_triggers")?);
        let is_blocked = blocked_reason.is_some() || unfinished_dependencies > 0;
        let acceptance: serde_json::Value = row.get("acceptance")?;
        let minutes: serde_json::Value = row.get("phase_minutes")?;
        let plan: Option<serde_json::Value> = row.get("plan")?;
        Ok(Self {
            id: row.get("id")?,
            uid: row.get("uid")?,
            project_id: row.get("project_id")?,
            version: row.get("version")?,
            title: row.get("title")?,
            description: row.get("description")?,
            active_form: row.get("active_form")?,
            kind: row.get("kind")?,
            status: TaskStatus::of(phase, is_blocked),
            phase,
            phase_started_at: row.get("phase_started_at")?,
            phase_minutes: serde_json::from_value(minutes).unwrap_or_default(),
            blocked_reason,
            unfinished_dependencies,
            awaits_trigger: triggers > 0 && fired == 0,
            failure_reason: row.get("failure_reason")?,
            priority: row.get("priority")?,
            goal_id: row.get("goal_id")?,
            parent_task_id: row.get("parent_task_id")?,
            assignee: row.get("assignee")?,
            estimated_minutes: row.get("estimated_minutes")?,
            actual_minutes: row.get("actual_minutes")?,
            due_at: row.get("due_at")?,
            related_memory_ids: ids_from(row.get("related_memory_ids")?),
            related_code_ids: ids_from(row.get("related_code_ids")?),
            completion_percentage: row.get("completion_percentage")?,
            success_rate: row.get("success_rate")?,
            lessons: row.get("lessons")?,
            acceptance: serde_json::from_value(acceptance).unwrap_or_default(),
            plan: plan.and_then(|plan| match plan {
                serde_json::Value::Object(plan) => Some(plan),
                _ => None,
            }),
            attempts: row.get("attempts")?,
            failed_attempts: row.get("failed_attempts")?,
            max_cycles: row.get("max_cycles")?,
            principal: row.get("principal")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            started_at: row.get("started_at")?,
            completed_at: row.get("completed_at")?,
            removed_at: row.get("removed_at")?,
        })
    }
}

/// Counts the tasks that a task `t` depends on and that are not completed.
///
/// One that failed or was given up holds the task up all the same, until somebody takes the
/// dependency away; one that was removed does not.
macro_rules! unfinished {
    () => {
        "(SELECT COUNT(*) FROM task_dependencies d
          JOIN prospective_tasks o ON o.id = d.depends_on
          WHERE d.task_id = t.id AND o.live_key = 1 AND o.phase <> 'completed')"
    };
}

/// Whether a trigger `r` can still hold its task up: one that waits for a task which was removed
/// does not.
macro_rules! can_hold_up {
    () => {
        "(r.depends_on IS NULL
          OR EXISTS (SELECT 1 FROM prospective_tasks o WHERE o.id = r.depends_on AND o.live_key = 1))"
    };
}

/// Everything a [`Task`] is read from, of any project; further clauses follow.
macro_rules! select_anywhere {
    ($($rest:expr),+) => {
        concat!(
            "SELECT t.id, t.uid, t.project_id, t.version, t.title, t.description, t.active_form, t.kind,
                    t.phase, t.phase_started_at, t.phase_minutes, t.blocked_reason, t.failure_reason,
                    t.priority, t.goal_id, t.parent_task_id, t.assignee, t.estimated_minutes,
                    t.actual_minutes, t.due_at, t.related_memory_ids, t.related_code_ids,
                    t.completion_percentage, t.success_rate, t.lessons, t.acceptance, t.plan,
                    t.attempts, t.max_cycles, t.principal, t.created_at, t.updated_at, t.started_at,
                    t.completed_at, t.removed_at,
                    ", unfinished!(), " AS unfinished,
                    (SELECT COUNT(*) FROM task_triggers r
                     WHERE r.task_id = t.id AND ", can_hold_up!(), ") AS triggers,
                    (SELECT COUNT(*) FROM task_triggers r
                     WHERE r.task_id = t.id AND r.fired_count > 0) AS fired_triggers,
                    (SELECT COUNT(*) FROM task_attempts a
                     WHERE a.task_id = t.id AND a.outcome = 'failure') AS failed_attempts
             FROM prospective_tasks t ",
            $($rest),+
        )
    };
}

/// Everything a [`Task`] is read from, of projects that exist; further conditions follow.
macro_rules! select {
    ($($rest:expr),+) => {
        select_anywhere!("JOIN projects p ON p.id = t.project_id AND p.live_key = 1 ", $($rest),+)
    };
}

/// Stores a new task and returns its id.
pub(super) async fn insert(db: &impl Executor, task: &Task) -> Result<TaskId> {
    let Scalar(id) = db
        .fetch_one(
            "INSERT INTO prospective_tasks (
                 project_id, uid, version, title, description, active_form, kind, phase,
                 phase_started_at, phase_minutes, blocked_reason, failure_reason, priority, goal_id,
                 parent_task_id, assignee, estimated_minutes, actual_minutes, due_at,
                 related_memory_ids, related_code_ids, completion_percentage, lessons, acceptance,
                 plan, attempts, failures_from, max_cycles, principal, created_at, updated_at, started_at,
                 completed_at, live_key)
             VALUES (
                 :project_id, :uid, 1, :title, :description, :active_form, :kind, :phase,
                 :created_at, :phase_minutes, :blocked_reason, :failure_reason, :priority, :goal_id,
                 :parent_task_id, :assignee, :estimated_minutes, :actual_minutes, :due_at,
                 :related_memory_ids, :related_code_ids, :completion_percentage, :lessons, :acceptance,
                 :plan, 0, 0, :max_cycles, :principal, :created_at, :created_at, :started_at,
                 :completed_at, 1)
             RETURNING id",
            params! {
                project_id: task.project_id,
                uid: task.uid,
                title: &task.title,
                description: task.description.as_deref(),
                active_form: task.active_form.as_deref(),
                kind: task.kind,
                phase: task.phase,
                phase_minutes: serde_json::json!(task.phase_minutes),
                blocked_reason: task.blocked_reason.as_deref(),
                failure_reason: task.failure_reason.as_deref(),
                priority: task.priority,
                goal_id: task.goal_id,
                parent_task_id: task.parent_task_id,
                assignee: task.assignee.as_deref(),
                estimated_minutes: task.estimated_minutes,
                actual_minutes: task.actual_minutes,
                due_at: task.due_at,
                related_memory_ids: serde_json::json!(task.related_memory_ids),
                related_code_ids: serde_json::json!(task.related_code_ids),
                completion_percentage: task.completion_percentage,
                lessons: task.lessons.as_deref(),
                acceptance: serde_json::json!(task.acceptance),
                plan: task.plan.clone().map(serde_json::Value::Object),
                max_cycles: task.max_cycles,
                principal: &task.principal,
                created_at: task.created_at,
                started_at: task.started_at,
                completed_at: task.completed_at,
            },
        )
        .await?;
    Ok(id)
}

/// Stores a task as it is now.
pub(super) async fn update(db: &impl Executor, task: &Task) -> Result<()> {
    db.execute(
        "UPDATE prospective_tasks
         SET version = :version, title = :title, description = :description,
             active_form = :active_form, kind = :kind, phase = :phase,
             phase_started_at = :phase_started_at, phase_minutes = :phase_minutes,
             blocked_reason = :blocked_reason, failure_reason = :failure_reason,
             priority = :priority, goal_id = :goal_id, assignee = :assignee,
             estimated_minutes = :estimated_minutes, actual_minutes = :actual_minutes,
             due_at = :due_at, related_memory_ids = :related_memory_ids,
             related_code_ids = :related_code_ids, completion_percentage = :completion_percentage,
             success_rate = :success_rate, lessons = :lessons, acceptance = :acceptance, plan = :plan,
             attempts = :attempts, max_cycles = :max_cycles, updated_at = :updated_at,
             started_at = :started_at, completed_at = :completed_at, removed_at = :removed_at,
             live_key = :live_key
         WHERE id = :id",
        params! {
            version: task.version,
            title: &task.title,
            description: task.description.as_deref(),
            active_form: task.active_form.as_deref(),
            kind: task.kind,
            phase: task.phase,
            phase_started_at: task.phase_started_at,
            phase_minutes: serde_json::json!(task.phase_minutes),
            blocked_reason: task.blocked_reason.as_deref(),
            failure_reason: task.failure_reason.as_deref(),
            priority: task.priority,
            goal_id: task.goal_id,
            assignee: task.assignee.as_deref(),
            estimated_minutes: task.estimated_minutes,
            actual_minutes: task.actual_minutes,
            due_at: task.due_at,
            related_memory_ids: serde_json::json!(task.related_memory_ids),
            related_code_ids: serde_json::json!(task.related_code_ids),
            completion_percentage: task.completion_percentage,
            success_rate: task.success_rate,
            lessons: task.lessons.as_deref(),
            acceptance: serde_json::json!(task.acceptance),
            plan: task.plan.clone().map(serde_json::Value::Object),
            attempts: task.attempts,
            max_cycles: task.max_cycles,
            updated_at: task.updated_at,
            started_at: task.started_at,
            completed_at: task.completed_at,
            removed_at: task.removed_at,
            live_key: task.removed_at.is_none().then_some(1_i64),
            id: task.id,
        },
    )
    .await?;
    Ok(())
}

/// Locks a task's row until the commit.
pub(in crate::work) async fn lock(db: &impl Executor, id: TaskId) -> Result<()> {
    db.execute(
        "UPDATE prospective_tasks SET version = version WHERE id = :id",
        params! { id: id },
    )
    .await?;
    Ok(())
}

pub(in crate::work) async fn by_id(db: &impl Executor, id: TaskId) -> Result<Option<Task>> {
    Ok(db
        .fetch_opt(select!("WHERE t.id = :id"), params! { id: id })
        .await?)
}

/// Returns a task, in a project that was deleted too.
pub(super) async fn anywhere(db: &impl Executor, id: TaskId) -> Result<Option<Task>> {
    Ok(db
        .fetch_opt(select_anywhere!("WHERE t.id = :id"), params! { id: id })
        .await?)
}

/// Returns those of the tasks that were not removed, in the order of their ids.
pub(in crate::work) async fn by_ids(db: &impl Executor, ids: &[i64]) -> Result<Vec<Task>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    Ok(db
        .fetch_all(
            select!("WHERE t.id IN :ids AND t.live_key = 1 ORDER BY t.id"),
            params! { ids: ids.to_vec() },
        )
        .await?)
}

/// Returns those of the ids that are tasks of a project and were not removed.
pub(super) async fn in_project(
    db: &impl Executor,
    project: ProjectId,
    ids: &[i64],
) -> Result<Vec<i64>> {
    let found: Vec<Scalar<i64>> = db
        .fetch_all(
            "SELECT id FROM prospective_tasks
             WHERE project_id = :project AND live_key = 1 AND id IN :ids ORDER BY id",
            params! { project: project, ids: ids.to_vec() },
        )
        .await?;
    Ok(found.into_iter().map(|Scalar(id)| id).collect())
}

/// What a list of tasks is narrowed to.
#[derive(Debug, Clone, Default)]
pub(super) struct ListFilter {
    pub(super) phases: Vec<Phase>,
    /// Only what is held up, or only what is not.
    pub(super) blocked: Option<bool>,
    pub(super) goal: Option<i64>,
    pub(super) parent: Option<i64>,
    pub(super) assignee: Option<String>,
    pub(super) due_before: Option<Timestamp>,
    pub(super) removed: bool,
    /// The last task of the page before.
    pub(super) cursor: Option<i64>,
}

/// Returns one more than `limit` tasks: the most urgent first, of these the one that is due first.
pub(super) async fn list(
    db: &impl Executor,
    project: ProjectId,
    filter: &ListFilter,
    limit: u32,
) -> Result<Vec<Task>> {
    let after: Option<(i64, Option<Timestamp>)> = match filter.cursor {
        Some(id) => {
            db.fetch_opt(
                "SELECT priority, due_at FROM prospective_tasks WHERE id = :id",
                params! { id: id },
            )
            .await?
        }
        None => Some((i64::MAX, None)),
    };
    let (priority, due) = after.ok_or_else(left_since)?;
    let never = never();
    let phases = filter.phases.iter().map(|phase| phase.as_str().to_owned());
    Ok(db
        .fetch_all(
            select!(
                "WHERE t.project_id = :project
                   AND (CASE WHEN :removed THEN t.removed_at IS NOT NULL ELSE t.removed_at IS NULL END)
                   AND t.phase IN :phases
                   AND (:any_block OR (CASE WHEN t.blocked_reason IS NOT NULL OR ",
                unfinished!(),
                " > 0 THEN 1 ELSE 0 END) = :blocked)
                   AND (:any_goal OR t.goal_id = :goal)
                   AND (:any_parent OR t.parent_task_id = :parent)
                   AND (:any_assignee OR t.assignee = :assignee)
                   AND (:any_due OR t.due_at < :due_before)
                   AND (t.priority < :priority OR (t.priority = :priority
                        AND (COALESCE(t.due_at, :never) > :due
                             OR (COALESCE(t.due_at, :never) = :due AND t.id > :after))))
                 ORDER BY t.priority DESC, COALESCE(t.due_at, :never), t.id
                 LIMIT :limit"
            ),
            params! {
                project: project,
                removed: filter.removed,
                phases: phases.collect::<Vec<_>>(),
                any_block: filter.blocked.is_none(),
                blocked: i64::from(filter.blocked.unwrap_or_default()),
                any_goal: filter.goal.is_none(),
                goal: filter.goal.unwrap_or_default(),
                any_parent: filter.parent.is_none(),
                parent: filter.parent.unwrap_or_default(),
                any_assignee: filter.assignee.is_none(),
                assignee: filter.assignee.as_deref().unwrap_or_default(),
                any_due: filter.due_before.is_none(),
                due_before: filter.due_before.unwrap_or(never),
                priority: priority,
                never: never,
                due: due.unwrap_or(never),
                after: filter.cursor.unwrap_or_default(),
                limit: i64::from(limit) + 1,
            },
        )
        .await?)
}

/// A time after all others, in place of none where times are compared.
fn never() -> Timestamp {
    // 9999-01-01, which every database can tell.
    Timestamp::from_second(253_370_764_800).unwrap_or(Timestamp::MAX)
}

/// What decides the order of tasks that are ready.
#[derive(Debug, Clone, Copy, FromRow)]
pub(in crate::work) struct ReadyKey {
    pub(in crate::work) id: i64,
    pub(in crate::work) due_at: Option<Timestamp>,
    pub(in crate::work) priority: i64,
    pub(in crate::work) goal_id: Option<i64>,
    pub(in crate::work) goal_priority: i64,
}

/// Returns the tasks of a project that nothing is in the way of, in any order, whatever becomes of
/// their goals. A trigger whose time has come is in nobody's way, whether or not it was seen to fire.
pub(super) async fn ready(
    db: &impl Executor,
    project: ProjectId,
    assignee: Option<&str>,
    now: Timestamp,
) -> Result<Vec<ReadyKey>> {
    Ok(db
        .fetch_all(
            concat!(
                "SELECT t.id, t.due_at, t.priority, g.id AS goal_id,
                        COALESCE(g.priority, 0) AS goal_priority
                 FROM prospective_tasks t
                 LEFT JOIN prospective_goals g ON g.id = t.goal_id AND g.live_key = 1
                 WHERE t.project_id = :project AND t.live_key = 1
                   AND t.phase IN ('planning', 'plan_ready', 'executing', 'verifying')
                   AND t.blocked_reason IS NULL
                   AND (:any_assignee OR t.assignee IS NULL OR t.assignee = :assignee)
                   AND (NOT EXISTS (SELECT 1 FROM task_triggers r
                                    WHERE r.task_id = t.id AND ",
                can_hold_up!(),
                ")
                        OR EXISTS (SELECT 1 FROM task_triggers r
                                   WHERE r.task_id = t.id
                                     AND (r.fired_count > 0 OR r.next_due_at <= :now)))
                   AND ",
                unfinished!(),
                " = 0"
            ),
            params! {
                project: project,
                any_assignee: assignee.is_none(),
                assignee: assignee.unwrap_or_default(),
                now: now,
            },
        )
        .await?)
}

/// A task that somebody should be told of.
#[derive(Debug, Clone, FromRow)]
pub(in crate::work) struct Due {
    pub(in crate::work) id: i64,
    pub(in crate::work) due_at: Option<Timestamp>,
    pub(in crate::work) priority: i64,
}

/// Returns the open tasks of a project that are due before a time, and the given ones.
pub(in crate::work) async fn due_or_reminded(
    db: &impl Executor,
    project: ProjectId,
    before: Timestamp,
    reminded: &[i64],
) -> Result<Vec<Due>> {
    Ok(db
        .fetch_all(
            "SELECT t.id, t.due_at, t.priority FROM prospective_tasks t
             WHERE t.project_id = :project AND t.live_key = 1
               AND t.phase IN ('planning', 'plan_ready', 'executing', 'verifying')
               AND (t.due_at <= :before OR t.id IN :reminded)",
            params! { project: project, before: before, reminded: reminded.to_vec() },
        )
        .await?)
}

/// Returns the ids of the open tasks of a project: those in work first, then the most urgent.
pub(in crate::work) async fn open_ids(
    db: &impl Executor,
    project: ProjectId,
    limit: i64,
) -> Result<Vec<i64>> {
    let ids: Vec<Scalar<i64>> = db
        .fetch_all(
            "SELECT id FROM prospective_tasks
             WHERE project_id = :project AND live_key = 1
               AND phase IN ('planning', 'plan_ready', 'executing', 'verifying')
             ORDER BY CASE WHEN phase IN ('executing', 'verifying') THEN 0 ELSE 1 END,
                      priority DESC, id
             LIMIT :limit",
            params! { project: project, limit: limit },
        )
        .await?;
    Ok(ids.into_iter().map(|Scalar(id)| id).collect())
}

/// Returns what lists of other things show of those of the tasks that are there, in their order.
pub(in crate::work) async fn briefs(db: &impl Executor, ids: &[i64]) -> Result<Vec<TaskBrief>> {
    let tasks = by_ids(db, ids).await?;
    let found = ids.iter();
    let found = found.filter_map(|id| tasks.iter().find(|task| task.id.0 == *id));
    Ok(found.map(Task::brief).collect())
}

/// Returns some tasks of a project after an id, removed ones included.
pub(super) async fn portion(
    db: &impl Executor,
    project: ProjectId,
    after: i64,
) -> Result<Vec<Task>> {
    Ok(db
        .fetch_all(
            select_anywhere!(
                "WHERE t.project_id = :project AND t.id > :after ORDER BY t.id LIMIT :limit"
            ),
            params! { project: project, after: after, limit: PORTION },
        )
        .await?)
}

/// Makes a task depend on others; what it depends on already stays.
pub(super) async fn depend(
    db: &impl Executor,
    id: TaskId,
    on: &[i64],
    principal: &str,
    now: Timestamp,
) -> Result<()> {
    let rows = on.iter().map(|on| {
        params! { id: id, depends_on: *on, principal: principal, now: now }
    });
    db.execute_many(
        "INSERT INTO task_dependencies (task_id, depends_on, dependency_type, principal, created_at)
         VALUES (:id, :depends_on, 'blocks', :principal, :now)
         ON CONFLICT (task_id, depends_on) DO NOTHING",
        rows.collect(),
    )
    .await?;
    Ok(())
}

/// Takes a dependency away, if it is there.
pub(super) async fn undepend(db: &impl Executor, id: TaskId, on: i64) -> Result<()> {
    db.execute(
        "DELETE FROM task_dependencies WHERE task_id = :id AND depends_on = :on",
        params! { id: id, on: on },
    )
    .await?;
    Ok(())
}

/// Returns who waits for what in a project: every dependency, and every trigger that waits for a task
/// and has not fired.
pub(super) async fn dependencies(
    db: &impl Executor,
    project: ProjectId,
) -> Result<Vec<(i64, i64)>> {
    Ok(db
        .fetch_all(
            "SELECT d.task_id, d.depends_on FROM task_dependencies d
             JOIN prospective_tasks t ON t.id = d.task_id
             WHERE t.project_id = :project
             UNION
             SELECT r.task_id, r.depends_on FROM task_triggers r
             WHERE r.project_id = :project AND r.depends_on IS NOT NULL AND r.fired_count = 0
             ORDER BY task_id, depends_on",
            params! { project: project },
        )
        .await?)
}

/// Returns the ids of the tasks that a task depends on.
pub(super) async fn depends_on(db: &impl Executor, id: TaskId) -> Result<Vec<i64>> {
    let ids: Vec<Scalar<i64>> = db
        .fetch_all(
            "SELECT depends_on FROM task_dependencies WHERE task_id = :id ORDER BY depends_on",
            params! { id: id },
        )
        .await?;
    Ok(ids.into_iter().map(|Scalar(id)| id).collect())
}

/// Returns the ids of the tasks that depend on a task.
pub(super) async fn dependents(db: &impl Executor, id: TaskId) -> Result<Vec<i64>> {
    let ids: Vec<Scalar<i64>> = db
        .fetch_all(
            "SELECT task_id FROM task_dependencies WHERE depends_on = :id ORDER BY task_id",
            params! { id: id },
        )
        .await?;
    Ok(ids.into_iter().map(|Scalar(id)| id).collect())
}

/// Returns the ids of the tasks that wait for a task: those that depend on it, and those with a
/// trigger that fires when it is completed.
pub(super) async fn waiting(db: &impl Executor, id: TaskId) -> Result<Vec<i64>> {
    let ids: Vec<Scalar<i64>> = db
        .fetch_all(
            "SELECT task_id FROM task_dependencies WHERE depends_on = :id
             UNION
             SELECT task_id FROM task_triggers WHERE depends_on = :id AND fired_count = 0",
            params! { id: id },
        )
        .await?;
    Ok(ids.into_iter().map(|Scalar(id)| id).collect())
}

/// Stores an attempt.
pub(super) async fn add_attempt(
    db: &impl Executor,
    id: TaskId,
    attempt: &Attempt,
    principal: &str,
) -> Result<()> {
    db.execute(
        "INSERT INTO task_attempts (task_id, number, outcome, error_type, lesson, replan_reason,
                                    minutes, principal, started_at, ended_at)
         VALUES (:id, :number, :outcome, :error_type, :lesson, :replan_reason, :minutes, :principal,
                 :started_at, :ended_at)",
        params! {
            id: id,
            number: attempt.number,
            outcome: attempt.outcome,
            error_type: attempt.error_type.as_deref(),
            lesson: attempt.lesson.as_deref(),
            replan_reason: attempt.replan_reason.as_deref(),
            minutes: attempt.minutes,
            principal: principal,
            started_at: attempt.started_at,
            ended_at: attempt.ended_at,
        },
    )
    .await?;
    Ok(())
}

/// Counts the failures of a task that was reopened anew.
pub(super) async fn count_failures_anew(db: &impl Executor, id: TaskId) -> Result<()> {
    db.execute(
        "UPDATE prospective_tasks SET failures_from = attempts WHERE id = :id",
        params! { id: id },
    )
    .await?;
    Ok(())
}

/// Returns how many attempts at a task failed since it was planned anew, or reopened, last.
pub(super) async fn failures_since_plan(db: &impl Executor, id: TaskId) -> Result<i64> {
    let Scalar(failures) = db
        .fetch_one(
            "SELECT COUNT(*) FROM task_attempts
             WHERE task_id = :id AND outcome = :failure
               AND number > (SELECT COALESCE(MAX(number), 0) FROM task_attempts
                             WHERE task_id = :id AND replan_reason IS NOT NULL)
               AND number > (SELECT failures_from FROM prospective_tasks WHERE id = :id)",
            params! { id: id, failure: AttemptOutcome::Failure },
        )
        .await?;
    Ok(failures)
}

/// Returns the latest attempts at a task, the latest first.
pub(super) async fn attempts(db: &impl Executor, id: TaskId, limit: i64) -> Result<Vec<Attempt>> {
    Ok(db
        .fetch_all(
            "SELECT number, outcome, error_type, lesson, replan_reason, minutes, started_at, ended_at
             FROM task_attempts WHERE task_id = :id ORDER BY number DESC LIMIT :limit",
            params! { id: id, limit: limit },
        )
        .await?)
}

/// Returns the texts that belong to a task and are not in its row.
pub(super) async fn texts_beside(db: &impl Executor, id: TaskId) -> Result<Vec<String>> {
    let texts: Vec<Scalar<String>> = db
        .fetch_all(
            "SELECT lesson FROM task_attempts WHERE task_id = :id AND lesson IS NOT NULL
             UNION ALL
             SELECT error_type FROM task_attempts WHERE task_id = :id AND error_type IS NOT NULL
             UNION ALL
             SELECT replan_reason FROM task_attempts WHERE task_id = :id AND replan_reason IS NOT NULL
             UNION ALL
             SELECT event_type FROM task_triggers WHERE task_id = :id AND event_type IS NOT NULL
             UNION ALL
             SELECT outcome FROM task_triggers WHERE task_id = :id AND outcome IS NOT NULL
             UNION ALL
             SELECT content FROM task_triggers WHERE task_id = :id AND content IS NOT NULL
             UNION ALL
             SELECT path FROM task_triggers WHERE task_id = :id AND path IS NOT NULL
             UNION ALL
             SELECT location FROM task_triggers WHERE task_id = :id AND location IS NOT NULL
             UNION ALL
             SELECT reason FROM reminders WHERE task_id = :id",
            params! { id: id },
        )
        .await?;
    let tags: Vec<Scalar<serde_json::Value>> = db
        .fetch_all(
            "SELECT tags FROM task_triggers WHERE task_id = :id",
            params! { id: id },
        )
        .await?;
    let texts = texts.into_iter().map(|Scalar(text)| text);
    Ok(texts
        .chain(tags.into_iter().map(|Scalar(tags)| tags.to_string()))
        .collect())
}

/// How many rows went with a task.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PurgedRows {
    pub(super) attempts: u64,
    pub(super) dependencies: u64,
    pub(super) triggers: u64,
    pub(super) reminders: u64,
}

/// Removes a task for good, with all that hangs on it; its parts stay and belong to none. Triggers of
/// other tasks that wait for it go too, for they can never fire; those that have fired stay.
pub(super) async fn purge(db: &impl Executor, id: TaskId) -> Result<PurgedRows> {
    let by_id = || params! { id: id };
    db.execute(
        "UPDATE prospective_tasks SET parent_task_id = NULL, version = version + 1
         WHERE parent_task_id = :id",
        by_id(),
    )
    .await?;
    db.execute(
        "UPDATE task_triggers SET depends_on = NULL WHERE depends_on = :id AND fired_count > 0",
        by_id(),
    )
    .await?;
    let rows = PurgedRows {
        reminders: db
            .execute("DELETE FROM reminders WHERE task_id = :id", by_id())
            .await?,
        triggers: db
            .execute(
                "DELETE FROM task_triggers WHERE task_id = :id OR depends_on = :id",
                by_id(),
            )
            .await?,
        attempts: db
            .execute("DELETE FROM task_attempts WHERE task_id = :id", by_id())
            .await?,
        dependencies: db
            .execute(
                "DELETE FROM task_dependencies WHERE task_id = :id OR depends_on = :id",
                by_id(),
            )
            .await?,
    };
    db.execute("DELETE FROM prospective_tasks WHERE id = :id", by_id())
        .await?;
    Ok(rows)
}
