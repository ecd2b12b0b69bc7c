//! Operations on triggers and reminders.

use super::firing::{self, fire_due, first_due};
use super::{Happening, Reminder, Trigger, TriggerType, fire_for_events, sql};
use crate::items;
use crate::projects;
use crate::work::tasks::{self, Phase, Task};
use crate::work::{
    TASK, after_cursor, item, lock_project, missing, own_project, whole_microseconds,
};
use athena_core::{
    Code, Ctx, Cursor, Error, Operation, Page, ProjectId, Result, Spec, TaskId, TriggerId,
};
use athena_db::{BoxFuture, Executor};
use athena_store::{Intent, Write, write};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

/// Makes a trigger: you are reminded of the task when it fires, and until then the task is not ready.
/// It fires at a time or by a schedule, when something happens (`trigger notify`, and every event that
/// is recorded), or when another task is completed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TriggerCreate")]
#[schemars(extend("not" = {"anyOf": [
    {"required": ["due_at", "schedule"]},
    {"required": ["due_at", "time_zone"]}
]}))]
pub struct Create {
    /// The task that it reminds of.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// What sort of thing fires it. `time` takes `due_at` or `schedule`; `event` takes `event_type`,
    /// `outcome`, `content`, `path`; `context` takes `location`, `path`, `tags`; `file` takes `path`;
    /// `dependency` takes `depends_on`. All that is given must hold.
    #[serde(rename = "type")]
    pub trigger_type: TriggerType,
    /// The time at which it fires once.
    pub due_at: Option<Timestamp>,
    /// When it fires again and again: `daily 09:00`, `weekly mon 09:00`, `every 15m`, `every 2h`,
    /// `every 1d`.
    #[schemars(length(min = 1, max = 100))]
    pub schedule: Option<String>,
    /// The time zone of a `schedule`, such as `Europe/Berlin`; UTC unless given. Where clocks change,
    /// times of day are kept.
    #[schemars(length(min = 1, max = 100))]
    pub time_zone: Option<String>,
    /// The type of event, such as `test_run`.
    #[schemars(length(min = 1, max = 50), regex(pattern = r"\S"))]
    pub event_type: Option<String>,
    /// The outcome of the event, such as `failure`.
    #[schemars(length(min = 1, max = 50), regex(pattern = r"\S"))]
    pub outcome: Option<String>,
    /// What the event's text contains; letters of both cases are the same.
    #[schemars(length(min = 1, max = 1_000), regex(pattern = r"\S"))]
    pub content: Option<String>,
    /// The file, or a pattern: `src/auth.rs`, `src/**/*.rs`. Without a root it is looked for in any
    /// folder.
    #[schemars(length(min = 1, max = 1_000), regex(pattern = r"\S"))]
    #[schemars(extend("x-text" = "path"))]
    pub path: Option<String>,
    /// Where you are, such as a branch or a machine.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"\S"))]
    pub location: Option<String>,
    /// What you are about: one of these is enough.
    #[serde(default)]
    #[schemars(
        length(max = 64),
        inner(length(min = 1, max = 100), regex(pattern = r"\S"))
    )]
    pub tags: Vec<String>,
    /// The task that is completed, of the same project.
    #[schemars(range(min = 1))]
    pub depends_on: Option<i64>,
}

impl Operation for Create {
    const SPEC: Spec = Spec::create("trigger.create", "/tasks/{id}/triggers")
        .command(&["trigger", "add"])
        .positional(&["id", "type"])
        .errors(&[Code::Conflict, Code::InvalidState]);
    type Output = Trigger;

    fn home<'a>(ctx: &'a Ctx, input: &'a Value) -> BoxFuture<'a, Result<Option<String>>> {
        TASK.home(ctx, input)
    }

    async fn call(self, ctx: &Ctx) -> Result<Trigger> {
        self.check()?;
        let this = Arc::new(self);
        write(ctx, Intent::new("trigger.create"), move |write| {
            let this = Arc::clone(&this);
            Box::pin(async move { this.store(write).await })
        })
        .await
    }
}

impl Create {
    /// Refuses what does not belong to the type, and a trigger that names nothing.
    fn check(&self) -> Result<()> {
        use TriggerType as T;
        let given = [
            ("due_at", self.due_at.is_some(), &[T::Time][..]),
            ("schedule", self.schedule.is_some(), &[T::Time]),
            ("time_zone", self.time_zone.is_some(), &[T::Time]),
            ("event_type", self.event_type.is_some(), &[T::Event]),
            ("outcome", self.outcome.is_some(), &[T::Event]),
            ("content", self.content.is_some(), &[T::Event]),
            (
                "path",
                self.path.is_some(),
                &[T::Event, T::Context, T::File],
            ),
            ("location", self.location.is_some(), &[T::Context]),
            ("tags", !self.tags.is_empty(), &[T::Context]),
            ("depends_on", self.depends_on.is_some(), &[T::Dependency]),
        ];
        let own = self.trigger_type;
        for (field, is_given, types) in given {
            if is_given && !types.contains(&own) {
                let problem = format!("does not belong to a trigger of type `{}`", own.as_str());
                return Err(Error::invalid(field, problem));
            }
        }
        let needed = given
            .iter()
            .filter(|(field, _, types)| *field != "time_zone" && types.contains(&own));
        let needed: Vec<(&str, bool)> = needed.map(|(field, given, _)| (*field, *given)).collect();
        if !needed.iter().any(|(_, given)| *given) {
            let names: Vec<String> = needed
                .iter()
                .map(|(field, _)| format!("`{field}`"))
                .collect();
            let problem = format!("is `{}`, which needs {}", own.as_str(), names.join(" or "));
            return Err(Error::invalid("type", problem));
        }
        if self.depends_on == Some(self.id) {
            let message = "`depends_on` is the task itself, which cannot wait for itself";
            return Err(Error::new(Code::Conflict, message).with_field("depends_on"));
        }
        Ok(())
    }

    async fn store(&self, write: &Write<'_>) -> Result<Trigger> {
        if let Some(on) = self.depends_on {
            self.lock_with(write, on).await?;
        }
        let task = tasks::locked(write, self.id).await?;
        if task.phase.is_final() {
            let message = format!("task `{}` has ended; reopen it first", task.id);
            return Err(Error::new(Code::InvalidState, message).with_field("id"));
        }
        let awaited = self.awaited(write, task.project_id).await?;
        let is_completed = |awaited: &Task| awaited.phase == Phase::Completed;
        if let Some(awaited) = awaited.as_ref().filter(|awaited| !is_completed(awaited)) {
            tasks::check_circle(write, task.project_id, self.id, awaited.id.0).await?;
        }
        let mut trigger = self.trigger(write, &task);
        trigger.next_due_at = first_due(&trigger, write.now())?;
        trigger.id = sql::insert(write.tx(), &trigger).await?;
        if let Some(awaited) = awaited.filter(is_completed) {
            firing::fire_completed(write, &trigger, awaited.id).await?;
        }
        firing::tell(write, &trigger);
        write.note(task.project_id, task.item());
        existing(write.tx(), trigger.id.0).await
    }

    /// Locks the task and the one that it is to wait for, the older one first: who completes that one
    /// now finds the trigger, or is found by it. The project is locked before, as for all that could
    /// close a circle.
    async fn lock_with(&self, write: &Write<'_>, on: i64) -> Result<()> {
        let project = tasks::current(write.tx(), self.id).await?.project_id;
        lock_project(write, project).await?;
        for id in [self.id.min(on), self.id.max(on)] {
            tasks::lock(write.tx(), TaskId(id)).await?;
        }
        Ok(())
    }

    /// Returns the task that it waits for, if it waits for one.
    async fn awaited(&self, write: &Write<'_>, project: ProjectId) -> Result<Option<Task>> {
        let Some(id) = self.depends_on else {
            return Ok(None);
        };
        let awaited = tasks::by_id(write.tx(), TaskId(id)).await?;
        let awaited = awaited.filter(|it| it.project_id == project && it.removed_at.is_none());
        let unknown = || {
            let what = format_args!("task `{id}` of this project");
            Error::not_found(what).with_field("depends_on")
        };
        awaited.ok_or_else(unknown).map(Some)
    }

    fn trigger(&self, write: &Write<'_>, task: &Task) -> Trigger {
        let this = self.clone();
        Trigger {
            id: TriggerId(0),
            project_id: task.project_id,
            task_id: task.id,
            task_uid: task.uid,
            trigger_type: this.trigger_type,
            due_at: this.due_at.map(whole_microseconds),
            schedule: this.schedule,
            time_zone: this.time_zone,
            next_due_at: None,
            event_type: this.event_type,
            outcome: this.outcome,
            content: this.content,
            path: this.path,
            location: this.location,
            tags: this.tags,
            depends_on: this.depends_on.map(TaskId),
            fired_count: 0,
            last_fired_at: None,
            principal: write.ctx().caller().principal.clone(),
            created_at: write.now(),
        }
    }
}

async fn existing(db: &impl Executor, id: i64) -> Result<Trigger> {
    let trigger = sql::by_id(db, id).await?;
    trigger.ok_or_else(|| missing("trigger", id))
}

/// Lists triggers, newest first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TriggerList")]
pub struct List {
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// Only triggers of this task.
    #[schemars(range(min = 1))]
    pub task_id: Option<i64>,
    /// How many to answer at most.
    #[serde(default = "fifty")]
    #[schemars(range(min = 1, max = 1_000))]
    pub limit: u32,
    /// Where the previous page ended: its `next_cursor`.
    #[schemars(length(max = 15), regex(pattern = r"^c1\.[0-9a-z]{1,12}$"))]
    pub cursor: Option<String>,
}

fn fifty() -> u32 {
    50
}

impl Operation for List {
    const SPEC: Spec = Spec::read("trigger.list", "/triggers")
        .command(&["trigger", "list"])
        .short(&[("limit", 'n')]);
    type Output = Page<Trigger>;

    async fn call(self, ctx: &Ctx) -> Result<Page<Trigger>> {
        let cursor = self.cursor.as_deref().map(Cursor::parse).transpose()?;
        let before = cursor.map_or(i64::MAX, |cursor| cursor.0);
        let triggers = match own_project(ctx, self.project.as_deref()).await? {
            Some(project) => sql::list(ctx.db(), project, self.task_id, before, self.limit).await?,
            None => Vec::new(),
        };
        Ok(Page::from_overfetch(triggers, self.limit, |it| it.id.0))
    }
}

/// Removes a trigger, with the reminders that it made. Its task stays, and no longer waits for it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TriggerRemove")]
pub struct Remove {
    /// The trigger's id.
    #[schemars(range(min = 1))]
    pub id: i64,
}

/// A trigger that was removed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TriggerRemoved {
    /// The id it had.
    pub id: TriggerId,
    /// The task that it reminded of.
    pub task_id: TaskId,
    /// When it was removed.
    pub removed_at: Timestamp,
}

impl Operation for Remove {
    const SPEC: Spec = Spec::remove("trigger.remove", "/triggers/{id}")
        .command(&["trigger", "remove"])
        .positional(&["id"]);
    type Output = TriggerRemoved;

    async fn call(self, ctx: &Ctx) -> Result<TriggerRemoved> {
        let id = self.id;
        write(ctx, Intent::new("trigger.remove"), move |write| {
            Box::pin(async move {
                let trigger = existing(write.tx(), id).await?;
                sql::remove(write.tx(), id).await?;
                firing::tell(write, &trigger);
                write.note(trigger.project_id, item(items::TASK, trigger.task_id.0));
                Ok(TriggerRemoved {
                    id: trigger.id,
                    task_id: trigger.task_id,
                    removed_at: write.now(),
                })
            })
        })
        .await
    }
}

/// Tells what is going on, such as a file that was opened or tests that failed. Triggers that wait for
/// it fire, and the reminders that they make are answered.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TriggerNotify")]
#[schemars(extend("anyOf" = [
    {"required": ["files"], "properties": {"files": {"minItems": 1}}},
    {"required": ["event_type"]},
    {"required": ["outcome"]},
    {"required": ["content"]},
    {"required": ["location"]},
    {"required": ["tags"], "properties": {"tags": {"minItems": 1}}}
]))]
pub struct Notify {
    /// The files that were opened or changed.
    #[serde(default)]
    #[schemars(length(max = 1_000))]
    #[schemars(extend("items" = {"type": "string", "minLength": 1, "maxLength": 4_096, "x-text": "path"}))]
    pub files: Vec<String>,
    /// The type of what happened, such as `test_run`.
    #[schemars(length(min = 1, max = 50))]
    pub event_type: Option<String>,
    /// How it ended, such as `failure`.
    #[schemars(length(min = 1, max = 50))]
    pub outcome: Option<String>,
    /// What it says.
    #[schemars(length(min = 1, max = 100_000))]
    pub content: Option<String>,
    /// Where you are, such as a branch or a machine.
    #[schemars(length(min = 1, max = 200))]
    pub location: Option<String>,
    /// What it is about.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(min = 1, max = 100)))]
    pub tags: Vec<String>,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
}

/// The reminders that were made.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Notified {
    /// The reminders.
    pub reminders: Vec<Reminder>,
}

impl Operation for Notify {
    const SPEC: Spec =
        Spec::act("trigger.notify", "/triggers/notify").command(&["trigger", "notify"]);
    type Output = Notified;

    async fn call(self, ctx: &Ctx) -> Result<Notified> {
        let this = Arc::new(self);
        write(ctx, Intent::new("trigger.notify"), move |write| {
            let this = Arc::clone(&this);
            Box::pin(async move {
                let project = projects::for_writing(write, this.project.as_deref()).await?;
                Ok(Notified {
                    reminders: fire_for_events(write, project.id, &[this.happening()]).await?,
                })
            })
        })
        .await
    }
}

impl Notify {
    fn happening(&self) -> Happening<'_> {
        Happening {
            event_type: self.event_type.as_deref(),
            outcome: self.outcome.as_deref(),
            content: self.content.as_deref(),
            files: &self.files,
            locations: [self.location.as_deref(), None],
            tags: &self.tags,
            at: None,
        }
    }
}

/// Lists what you should be told of now, the most urgent first: tasks that are overdue, what reminders
/// were made of and nobody acknowledged, tasks that are due soon. Each says why.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ReminderDue")]
pub struct DueNow {
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// How many hours ahead to look for tasks that are due.
    #[serde(default = "a_day")]
    #[schemars(range(min = 0, max = 8_784))]
    pub within_hours: u32,
    /// How many to answer at most.
    #[serde(default = "fifty")]
    #[schemars(range(min = 1, max = 1_000))]
    pub limit: u32,
    /// Where the previous page ended: its `next_cursor`.
    #[schemars(length(max = 15), regex(pattern = r"^c1\.[0-9a-z]{1,12}$"))]
    pub cursor: Option<String>,
}

fn a_day() -> u32 {
    24
}

/// A task that you should be told of.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DueTask {
    /// Why, in words.
    pub reasons: Vec<String>,
    /// Whether it should have been done already.
    pub overdue: bool,
    /// The reminders of it that nobody acknowledged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reminders: Vec<Reminder>,
    /// The task.
    pub task: Task,
}

impl Operation for DueNow {
    const SPEC: Spec = Spec::read("reminder.due", "/reminders")
        .command(&["due"])
        .short(&[("limit", 'n')]);
    type Output = Page<DueTask>;

    async fn call(self, ctx: &Ctx) -> Result<Page<DueTask>> {
        let cursor = self.cursor.as_deref().map(Cursor::parse).transpose()?;
        let Some(project) = own_project(ctx, self.project.as_deref()).await? else {
            return Ok(Page::from_overfetch(Vec::new(), self.limit, |_| 0));
        };
        catch_up(ctx).await?;
        let now = ctx.now();
        let ahead = SignedDuration::from_hours(i64::from(self.within_hours));
        let before = now.checked_add(ahead).unwrap_or(Timestamp::MAX);
        let mut reminders: HashMap<i64, Vec<Reminder>> = HashMap::new();
        for reminder in sql::open_reminders(ctx.db(), project, now).await? {
            reminders
                .entry(reminder.task_id.0)
                .or_default()
                .push(reminder);
        }
        let reminded: Vec<i64> = reminders.keys().copied().collect();
        let mut due = tasks::due_or_reminded(ctx.db(), project, before, &reminded).await?;
        due.sort_by_key(|task| {
            let is_reminded = reminders.contains_key(&task.id);
            let rank = match task.due_at {
                Some(due) if due < now => 0,
                _ if is_reminded => 1,
                _ => 2,
            };
            (
                rank,
                Reverse(task.priority),
                task.due_at.is_none(),
                task.due_at,
                task.id,
            )
        });
        let page = after_cursor(due, cursor.map(|it| it.0), self.limit, |task| task.id)?;
        let ids: Vec<i64> = page.items.iter().map(|task| task.id).collect();
        let mut tasks = tasks::by_ids(ctx.db(), &ids).await?;
        tasks.sort_by_key(|task| ids.iter().position(|id| *id == task.id.0));
        let items = tasks.into_iter().map(|task| {
            let reminders = reminders.remove(&task.id.0).unwrap_or_default();
            due_task(task, reminders, now, before)
        });
        Ok(Page {
            items: items.collect(),
            next_cursor: page.next_cursor,
        })
    }
}

/// Fires what fell due while nothing ran. A store that cannot be written is answered from as it is.
async fn catch_up(ctx: &Ctx) -> Result<()> {
    match fire_due(ctx.env()).await {
        Err(error) if error.code() == Code::ReadOnly => Ok(()),
        done => done,
    }
}

fn due_task(task: Task, reminders: Vec<Reminder>, now: Timestamp, before: Timestamp) -> DueTask {
    let overdue = task.due_at.is_some_and(|due| due < now);
    let due = task.due_at.filter(|due| *due <= before).map(|due| {
        let span = in_words(due.duration_since(now).abs());
        match overdue {
            true => format!("it is overdue by {span}"),
            false => format!("it is due in {span}"),
        }
    });
    let reminded = reminders.iter().map(|reminder| reminder.reason.clone());
    DueTask {
        reasons: due.into_iter().chain(reminded).collect(),
        overdue,
        reminders,
        task,
    }
}

/// Says a length of time in its two largest units.
pub(crate) fn in_words(length: SignedDuration) -> String {
    let minutes = length.as_mins();
    let (days, hours, minutes) = (minutes / 1_440, minutes / 60 % 24, minutes % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes}m"),
        (0, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

/// Acknowledges a reminder: it is not shown again. Its trigger may make another one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ReminderAcknowledge")]
pub struct Acknowledge {
    /// The reminder's id.
    #[schemars(range(min = 1))]
    pub id: i64,
}

impl Operation for Acknowledge {
    const SPEC: Spec = Spec::act("reminder.acknowledge", "/reminders/{id}/acknowledge")
        .idempotent()
        .command(&["reminder", "acknowledge"])
        .positional(&["id"]);
    type Output = Reminder;

    async fn call(self, ctx: &Ctx) -> Result<Reminder> {
        let id = self.id;
        write(ctx, Intent::new("reminder.acknowledge"), move |write| {
            Box::pin(async move {
                reminder(write, id).await?;
                sql::acknowledge(write.tx(), id, write.now()).await?;
                changed(write, id).await
            })
        })
        .await
    }
}

async fn reminder(write: &Write<'_>, id: i64) -> Result<Reminder> {
    let reminder = sql::reminder(write.tx(), id).await?;
    reminder.ok_or_else(|| missing("reminder", id))
}

/// Reads a reminder back after a change, and tells those who follow what changes.
async fn changed(write: &Write<'_>, id: i64) -> Result<Reminder> {
    let reminder = reminder(write, id).await?;
    let trigger = existing(write.tx(), reminder.trigger_id.0).await?;
    firing::tell(write, &trigger);
    Ok(reminder)
}

/// Keeps a reminder quiet until a time, whether or not its trigger fires again before.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ReminderSnooze")]
pub struct Snooze {
    /// The reminder's id.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// Until when.
    pub until: Timestamp,
}

impl Operation for Snooze {
    const SPEC: Spec = Spec::act("reminder.snooze", "/reminders/{id}/snooze")
        .idempotent()
        .command(&["reminder", "snooze"])
        .positional(&["id", "until"])
        .errors(&[Code::InvalidState]);
    type Output = Reminder;

    async fn call(self, ctx: &Ctx) -> Result<Reminder> {
        let (id, until) = (self.id, whole_microseconds(self.until));
        write(ctx, Intent::new("reminder.snooze"), move |write| {
            Box::pin(async move {
                if reminder(write, id).await?.acknowledged_at.is_some() {
                    let message = format!("reminder `{id}` was acknowledged and is not shown");
                    return Err(Error::new(Code::InvalidState, message).with_field("id"));
                }
                sql::snooze(write.tx(), id, until).await?;
                changed(write, id).await
            })
        })
        .await
    }
}
