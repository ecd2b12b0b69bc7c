//! Statements and rows of triggers and reminders.

use super::condition::Happening;
use super::{Reminder, Trigger};
use athena_core::{ProjectId, Result, TaskId, TriggerId};
use athena_db::{Executor, FromRow, Row, Scalar, params};
use jiff::Timestamp;
use std::collections::BTreeSet;

impl FromRow for Trigger {
    fn from_row(row: &Row) -> athena_db::Result<Self> {
        let tags: serde_json::Value = row.get("tags")?;
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            task_id: row.get("task_id")?,
            task_uid: row.get("task_uid")?,
            trigger_type: row.get("trigger_type")?,
            due_at: row.get("due_at")?,
            schedule: row.get("schedule")?,
            time_zone: row.get("time_zone")?,
            next_due_at: row.get("next_due_at")?,
            event_type: row.get("event_type")?,
            outcome: row.get("outcome")?,
            content: row.get("content")?,
            path: row.get("path")?,
            location: row.get("location")?,
            tags: serde_json::from_value(tags).unwrap_or_default(),
            depends_on: row.get("depends_on")?,
            fired_count: row.get("fired_count")?,
            last_fired_at: row.get("last_fired_at")?,
            principal: row.get("principal")?,
            created_at: row.get("created_at")?,
        })
    }
}

/// Everything a [`Trigger`] is read from, of projects that exist; further conditions follow.
macro_rules! select {
    ($($rest:literal),+) => {
        concat!(
            "SELECT r.id, r.project_id, r.task_id, t.uid AS task_uid, r.trigger_type, r.due_at,
                    r.schedule, r.time_zone, r.next_due_at, r.event_type, r.outcome, r.content, r.path,
                    r.location, r.tags, r.depends_on, r.fired_count, r.last_fired_at, r.principal,
                    r.created_at
             FROM task_triggers r
             JOIN projects p ON p.id = r.project_id AND p.live_key = 1
             JOIN prospective_tasks t ON t.id = r.task_id ",
            $($rest),+
        )
    };
}

/// Everything a [`Reminder`] is read from, of tasks that were not removed; further conditions follow.
macro_rules! select_reminders {
    ($($rest:literal),+) => {
        concat!(
            "SELECT m.id, m.task_id, t.uid AS task_uid, m.trigger_id, m.due_at, m.fired_at, m.missed,
                    m.reason, m.snoozed_until, m.acknowledged_at
             FROM reminders m
             JOIN projects p ON p.id = m.project_id AND p.live_key = 1
             JOIN prospective_tasks t ON t.id = m.task_id AND t.live_key = 1 ",
            $($rest),+
        )
    };
}

/// Stores a new trigger and returns its id.
pub(super) async fn insert(db: &impl Executor, trigger: &Trigger) -> Result<TriggerId> {
    let Scalar(id) = db
        .fetch_one(
            "INSERT INTO task_triggers (
                 project_id, task_id, trigger_type, due_at, schedule, time_zone, next_due_at, event_type,
                 outcome, content, path, location, tags, depends_on, fired_count, principal, created_at)
             VALUES (
                 :project_id, :task_id, :trigger_type, :due_at, :schedule, :time_zone, :next_due_at,
                 :event_type, :outcome, :content, :path, :location, :tags, :depends_on, 0, :principal,
                 :created_at)
             RETURNING id",
            params! {
                project_id: trigger.project_id,
                task_id: trigger.task_id,
                trigger_type: trigger.trigger_type,
                due_at: trigger.due_at,
                schedule: trigger.schedule.as_deref(),
                time_zone: trigger.time_zone.as_deref(),
                next_due_at: trigger.next_due_at,
                event_type: trigger.event_type.as_deref(),
                outcome: trigger.outcome.as_deref(),
                content: trigger.content.as_deref(),
                path: trigger.path.as_deref(),
                location: trigger.location.as_deref(),
                tags: serde_json::json!(trigger.tags),
                depends_on: trigger.depends_on,
                principal: &trigger.principal,
                created_at: trigger.created_at,
            },
        )
        .await?;
    Ok(id)
}

pub(super) async fn by_id(db: &impl Executor, id: i64) -> Result<Option<Trigger>> {
    Ok(db
        .fetch_opt(select!("WHERE r.id = :id"), params! { id: id })
        .await?)
}

/// Returns the triggers of a task, oldest first.
pub(in crate::work) async fn of_task(db: &impl Executor, id: TaskId) -> Result<Vec<Trigger>> {
    Ok(db
        .fetch_all(
            select!("WHERE r.task_id = :id ORDER BY r.id"),
            params! { id: id },
        )
        .await?)
}

/// Returns one more than `limit` triggers of a project, newest first.
pub(super) async fn list(
    db: &impl Executor,
    project: ProjectId,
    task: Option<i64>,
    before: i64,
    limit: u32,
) -> Result<Vec<Trigger>> {
    Ok(db
        .fetch_all(
            select!(
                "WHERE r.project_id = :project AND r.id < :before AND t.live_key = 1
                   AND (:any_task OR r.task_id = :task)
                 ORDER BY r.id DESC LIMIT :limit"
            ),
            params! {
                project: project,
                before: before,
                any_task: task.is_none(),
                task: task.unwrap_or_default(),
                limit: i64::from(limit) + 1,
            },
        )
        .await?)
}

/// The most names of files that triggers are looked up by; with more, all that wait for files are read.
const NAMES: usize = 20;

/// Returns the triggers of open tasks of a project that some of what happens may fire, oldest first.
/// Most are told to wait for something else by the database, and need not be read.
pub(super) async fn of_happenings(
    db: &impl Executor,
    project: ProjectId,
    happenings: &[Happening<'_>],
) -> Result<Vec<Trigger>> {
    let set = |values: &mut dyn Iterator<Item = &str>| -> Vec<String> {
        let values: BTreeSet<String> = values.map(str::to_owned).collect();
        values.into_iter().collect()
    };
    let all = || happenings.iter();
    let types: BTreeSet<String> = all().flat_map(Happening::types).collect();
    let names = set(&mut all().flat_map(|it| it.files).map(|file| file_name(file)));
    let mut params = params! {
        project: project,
        types: types.into_iter().collect::<Vec<_>>(),
        event_types: set(&mut all().filter_map(|it| it.event_type)),
        outcomes: set(&mut all().filter_map(|it| it.outcome)),
    };
    let path = match names.len() {
        0 => "r.path IS NULL".to_owned(),
        1..=NAMES => {
            let mut path = "(r.path IS NULL OR r.path LIKE '%*%' OR r.path LIKE '%?%'".to_owned();
            for (number, name) in names.iter().enumerate() {
                let parameter = format!("name_{number}");
                path.push_str(" OR r.path LIKE :");
                path.push_str(&parameter);
                params.push(parameter, format!("%{name}"));
            }
            path + ")"
        }
        _ => "TRUE".to_owned(),
    };
    let text = format!(
        "{} AND {path} ORDER BY r.id",
        select!(
            "WHERE r.project_id = :project AND r.trigger_type IN :types AND t.live_key = 1
               AND t.phase IN ('planning', 'plan_ready', 'executing', 'verifying')
               AND (r.event_type IS NULL OR r.event_type IN :event_types)
               AND (r.outcome IS NULL OR r.outcome IN :outcomes)"
        )
    );
    Ok(db.fetch_all(text, params).await?)
}

/// Returns the last part of a path: that of a pattern is the same or has a wildcard. What `LIKE` takes
/// for a wildcard in it finds too many, never too few.
fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// Returns the triggers of open tasks that wait for a task, oldest first.
pub(super) async fn waiting_for(
    db: &impl Executor,
    project: ProjectId,
    id: TaskId,
) -> Result<Vec<Trigger>> {
    Ok(db
        .fetch_all(
            select!(
                "WHERE r.depends_on = :id AND r.project_id = :project AND t.live_key = 1
                   AND t.phase IN ('planning', 'plan_ready', 'executing', 'verifying')
                 ORDER BY r.id"
            ),
            params! { id: id, project: project },
        )
        .await?)
}

/// Whether any trigger has fallen due: one look into an index.
pub(super) async fn is_any_due(db: &impl Executor, now: Timestamp) -> Result<bool> {
    let due: Option<Scalar<i64>> = db
        .fetch_opt(
            "SELECT id FROM task_triggers WHERE next_due_at <= :now LIMIT 1",
            params! { now: now },
        )
        .await?;
    Ok(due.is_some())
}

/// Returns triggers that have fallen due, in projects that were deleted too, the longest due first.
pub(super) async fn due(db: &impl Executor, now: Timestamp, limit: i64) -> Result<Vec<Trigger>> {
    Ok(db
        .fetch_all(
            "SELECT r.id, r.project_id, r.task_id, t.uid AS task_uid, r.trigger_type, r.due_at,
                    r.schedule, r.time_zone, r.next_due_at, r.event_type, r.outcome, r.content, r.path,
                    r.location, r.tags, r.depends_on, r.fired_count, r.last_fired_at, r.principal,
                    r.created_at
             FROM task_triggers r
             JOIN prospective_tasks t ON t.id = r.task_id
             WHERE r.next_due_at <= :now ORDER BY r.next_due_at, r.id LIMIT :limit",
            params! { now: now, limit: limit },
        )
        .await?)
}

/// Takes a trigger that was seen due; says whether nobody else took it before.
pub(super) async fn claim(
    db: &impl Executor,
    id: TriggerId,
    seen: Timestamp,
    next: Option<Timestamp>,
) -> Result<bool> {
    let claimed = db
        .execute(
            "UPDATE task_triggers SET next_due_at = :next WHERE id = :id AND next_due_at = :seen",
            params! { next: next, id: id, seen: seen },
        )
        .await?;
    Ok(claimed == 1)
}

/// Sets when a trigger is due next.
pub(super) async fn set_next(
    db: &impl Executor,
    id: TriggerId,
    next: Option<Timestamp>,
) -> Result<()> {
    db.execute(
        "UPDATE task_triggers SET next_due_at = :next WHERE id = :id",
        params! { next: next, id: id },
    )
    .await?;
    Ok(())
}

/// Lets no trigger of a task fall due.
pub(super) async fn rest(db: &impl Executor, id: TaskId) -> Result<()> {
    db.execute(
        "UPDATE task_triggers SET next_due_at = NULL WHERE task_id = :id AND next_due_at IS NOT NULL",
        params! { id: id },
    )
    .await?;
    Ok(())
}

/// Closes the reminders of a task.
pub(super) async fn close(db: &impl Executor, id: TaskId, now: Timestamp) -> Result<()> {
    db.execute(
        "UPDATE reminders SET acknowledged_at = :now, open_key = NULL
         WHERE task_id = :id AND open_key = 1",
        params! { now: now, id: id },
    )
    .await?;
    Ok(())
}

/// Counts that a trigger fired.
pub(super) async fn count_fired(db: &impl Executor, id: TriggerId, now: Timestamp) -> Result<()> {
    db.execute(
        "UPDATE task_triggers SET fired_count = fired_count + 1, last_fired_at = :now WHERE id = :id",
        params! { now: now, id: id },
    )
    .await?;
    Ok(())
}

/// Makes the reminder of a trigger, or brings the open one that it has up to date: one that keeps quiet
/// does so all the same.
pub(super) async fn remind(
    db: &impl Executor,
    trigger: &Trigger,
    due: Timestamp,
    missed: i64,
    reason: &str,
    now: Timestamp,
) -> Result<Reminder> {
    let Scalar(id): Scalar<i64> = db
        .fetch_one(
            "INSERT INTO reminders (project_id, task_id, trigger_id, due_at, fired_at, missed, reason,
                                    open_key)
             VALUES (:project, :task, :trigger, :due, :now, :missed, :reason, 1)
             ON CONFLICT (trigger_id, open_key) DO UPDATE
             SET due_at = :due, fired_at = :now, missed = reminders.missed + 1 + :missed,
                 reason = :reason
             RETURNING id",
            params! {
                project: trigger.project_id,
                task: trigger.task_id,
                trigger: trigger.id,
                due: due,
                now: now,
                missed: missed,
                reason: reason,
            },
        )
        .await?;
    Ok(db
        .fetch_one(
            "SELECT m.id, m.task_id, t.uid AS task_uid, m.trigger_id, m.due_at, m.fired_at, m.missed,
                    m.reason, m.snoozed_until, m.acknowledged_at
             FROM reminders m JOIN prospective_tasks t ON t.id = m.task_id WHERE m.id = :id",
            params! { id: id },
        )
        .await?)
}

/// Returns a reminder with its project.
pub(super) async fn reminder(db: &impl Executor, id: i64) -> Result<Option<Reminder>> {
    Ok(db
        .fetch_opt(select_reminders!("WHERE m.id = :id"), params! { id: id })
        .await?)
}

/// Returns the reminders of open tasks of a project that nobody acknowledged, oldest first; those
/// that keep quiet are left out.
pub(super) async fn open_reminders(
    db: &impl Executor,
    project: ProjectId,
    now: Timestamp,
) -> Result<Vec<Reminder>> {
    Ok(db
        .fetch_all(
            select_reminders!(
                "WHERE m.project_id = :project AND m.open_key = 1
                   AND (m.snoozed_until IS NULL OR m.snoozed_until <= :now)
                   AND t.phase IN ('planning', 'plan_ready', 'executing', 'verifying')
                 ORDER BY m.due_at, m.id"
            ),
            params! { project: project, now: now },
        )
        .await?)
}

/// Notes that somebody took note of a reminder.
pub(super) async fn acknowledge(db: &impl Executor, id: i64, now: Timestamp) -> Result<()> {
    db.execute(
        "UPDATE reminders SET acknowledged_at = :now, open_key = NULL WHERE id = :id AND open_key = 1",
        params! { now: now, id: id },
    )
    .await?;
    Ok(())
}

/// Keeps a reminder quiet until a time.
pub(super) async fn snooze(db: &impl Executor, id: i64, until: Timestamp) -> Result<()> {
    db.execute(
        "UPDATE reminders SET snoozed_until = :until WHERE id = :id",
        params! { until: until, id: id },
    )
    .await?;
    Ok(())
}

/// Removes a trigger with its reminders.
pub(super) async fn remove(db: &impl Executor, id: i64) -> Result<()> {
    db.execute(
        "DELETE FROM reminders WHERE trigger_id = :id",
        params! { id: id },
    )
    .await?;
    db.execute(
        "DELETE FROM task_triggers WHERE id = :id",
        params! { id: id },
    )
    .await?;
    Ok(())
}
