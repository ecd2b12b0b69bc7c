//! Making tasks.

use super::{check_goal, check_tasks};
use crate::items::ItemText;
use crate::priority::{DEFAULT_PRIORITY, PriorityName, chosen};
use crate::projects;
use crate::work::tasks::{AskedStatus, Phase, Task, TaskKind, TaskStatus, sql};
use crate::work::{check_description, lock_project, whole_microseconds};
use athena_core::{Ctx, Error, GoalId, Operation, ProjectId, Result, Spec, TaskId};
use athena_store::{Intent, Write, write};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// Creates a task: something to be done. It may belong to a goal, depend on other tasks, and be due;
/// a trigger (`trigger create`) reminds of it when something happens.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TaskCreate")]
#[schemars(extend("not" = {"required": ["priority", "priority_name"]}))]
pub struct Create {
    /// What is to be done, in one line.
    #[schemars(length(min = 1, max = 500), regex(pattern = r"\S"))]
    pub title: String,
    /// What that means in detail.
    pub description: Option<String>,
    /// How urgent it is, 1 to 10; 5 unless given.
    #[schemars(range(min = 1, max = 10))]
    pub priority: Option<i64>,
    /// How urgent it is in a word, in place of the number: low (3), medium (5), high (7), critical (10).
    pub priority_name: Option<PriorityName>,
    /// When it must be done.
    pub due_at: Option<Timestamp>,
    /// The goal that it belongs to, of the same project.
    #[schemars(range(min = 1))]
    pub goal_id: Option<i64>,
    /// The tasks that must be completed before it, of the same project.
    #[serde(default)]
    #[schemars(length(max = 100), inner(range(min = 1)))]
    pub depends_on: Vec<i64>,
    /// The task that it is a part of, of the same project.
    #[schemars(range(min = 1))]
    pub parent_task_id: Option<i64>,
    /// Who does it.
    #[schemars(length(min = 1, max = 200))]
    pub assignee: Option<String>,
    /// How many minutes it should take.
    #[schemars(range(min = 0, max = 5_256_000))]
    pub estimated_minutes: Option<f64>,
    /// Where it stands; pending unless given. What is blocked is given by `blocked_reason`.
    #[schemars(extend("x-advanced" = true))]
    pub status: Option<AskedStatus>,
    /// What it is held up by.
    #[schemars(length(min = 1, max = 10_000))]
    #[schemars(extend("x-advanced" = true))]
    pub blocked_reason: Option<String>,
    /// What sort of thing it is; a task unless given.
    #[serde(default)]
    #[schemars(extend("x-advanced" = true))]
    pub kind: TaskKind,
    /// How it is said while it is being done, such as `Running the tests`.
    #[schemars(length(min = 1, max = 500))]
    #[schemars(extend("x-advanced" = true))]
    pub active_form: Option<String>,
    /// What must hold for it to be done.
    #[serde(default)]
    #[schemars(length(max = 100), inner(length(min = 1, max = 2_000)))]
    #[schemars(extend("x-advanced" = true))]
    pub acceptance: Vec<String>,
    /// How it is to be done.
    #[schemars(extend("x-advanced" = true))]
    pub plan: Option<Map<String, Value>>,
    /// Memories that have to do with it.
    #[serde(default)]
    #[schemars(length(max = 100), inner(range(min = 1)))]
    #[schemars(extend("x-advanced" = true))]
    pub related_memory_ids: Vec<i64>,
    /// Pieces of code that have to do with it.
    #[serde(default)]
    #[schemars(length(max = 100), inner(range(min = 1)))]
    #[schemars(extend("x-advanced" = true))]
    pub related_code_ids: Vec<i64>,
    /// How many attempts may fail before it fails, unless it is planned anew.
    #[serde(default = "five")]
    #[schemars(range(min = 1, max = 1_000))]
    #[schemars(extend("x-advanced" = true))]
    pub max_cycles: i64,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
}

fn five() -> i64 {
    5
}

impl Operation for Create {
    const SPEC: Spec = Spec::create("task.create", "/tasks")
        .command(&["task", "add"])
        .positional(&["title"])
        .short(&[("priority", 'p')]);
    type Output = Task;

    async fn call(mut self, ctx: &Ctx) -> Result<Task> {
        self.priority = chosen(self.priority, self.priority_name);
        check_description(self.description.as_deref())?;
        let task = self.task(ctx)?;
        let text = ItemText::prepare(ctx, task.text());
        let new = Arc::new((self, task, text));
        write(ctx, Intent::new("task.create"), move |write| {
            let new = Arc::clone(&new);
            Box::pin(async move { store_new(write, &new.0, &new.1, &new.2).await })
        })
        .await
    }
}

impl Create {
    /// Whether it names a goal or other tasks.
    fn names_others(&self) -> bool {
        self.goal_id.is_some() || self.parent_task_id.is_some() || !self.depends_on.is_empty()
    }

    /// Makes the task that it asks for, but for its ids.
    fn task(&self, ctx: &Ctx) -> Result<Task> {
        let now = ctx.now();
        let phase = match self.status {
            None => Phase::Planning,
            Some(status) => status.first_phase().unwrap_or_default(),
        };
        if self.status == Some(AskedStatus::Blocked) && self.blocked_reason.is_none() {
            let problem = "is `blocked`; give what it is held up by as `blocked_reason`";
            return Err(Error::invalid("status", problem));
        }
        if phase != Phase::Planning
            && (self.blocked_reason.is_some() || !self.depends_on.is_empty())
        {
            let problem = "must be `pending` or `blocked` for a task that waits for something";
            return Err(Error::invalid("status", problem));
        }
        let this = self.clone();
        let is_completed = phase == Phase::Completed;
        Ok(Task {
            id: TaskId(0),
            uid: Uuid::now_v7(),
            project_id: ProjectId(0),
            version: 1,
            title: this.title,
            description: this.description,
            active_form: this.active_form,
            kind: this.kind,
            status: TaskStatus::of(phase, this.blocked_reason.is_some()),
            phase,
            phase_started_at: now,
            phase_minutes: BTreeMap::new(),
            blocked_reason: this.blocked_reason,
            unfinished_dependencies: 0,
            awaits_trigger: false,
            failure_reason: None,
            priority: this.priority.unwrap_or(DEFAULT_PRIORITY),
            goal_id: this.goal_id.map(GoalId),
            parent_task_id: this.parent_task_id.map(TaskId),
            assignee: this.assignee,
            estimated_minutes: this.estimated_minutes,
            actual_minutes: None,
            due_at: this.due_at.map(whole_microseconds),
            related_memory_ids: this.related_memory_ids,
            related_code_ids: this.related_code_ids,
            completion_percentage: is_completed.then_some(100.0),
            success_rate: None,
            lessons: None,
            acceptance: this.acceptance,
            plan: this.plan,
            attempts: 0,
            failed_attempts: 0,
            max_cycles: this.max_cycles,
            principal: ctx.caller().principal.clone(),
            created_at: now,
            updated_at: now,
            started_at: (phase == Phase::Executing).then_some(now),
            completed_at: is_completed.then_some(now),
            removed_at: None,
        })
    }
}

async fn store_new(
    write: &Write<'_>,
    create: &Create,
    task: &Task,
    text: &ItemText,
) -> Result<Task> {
    let project = projects::for_writing(write, create.project.as_deref()).await?;
    let project = project.id;
    let mut task = Task {
        project_id: project,
        ..task.clone()
    };
    if create.names_others() {
        lock_project(write, project).await?;
    }
    if let Some(goal) = create.goal_id {
        check_goal(write.tx(), project, goal).await?;
    }
    let parent: Vec<i64> = create.parent_task_id.into_iter().collect();
    check_tasks(write.tx(), project, &parent, "parent_task_id").await?;
    check_tasks(write.tx(), project, &create.depends_on, "depends_on").await?;
    task.id = sql::insert(write.tx(), &task).await?;
    let principal = &write.ctx().caller().principal;
    sql::depend(
        write.tx(),
        task.id,
        &create.depends_on,
        principal,
        write.now(),
    )
    .await?;
    task.log(write, text).await?;
    super::current(write.tx(), task.id.0).await
}
