//! Reading: one task, lists, searches, how well it goes.

use super::current;
use crate::items::{Find, TASK as TASK_KIND};
use crate::work::tasks::sql::{self, ListFilter};
use crate::work::tasks::{AskedPhase, AskedStatus, Attempt, Health, Phase, Task, TaskBrief};
use crate::work::{own_project, triggers};
use athena_core::{Ctx, Cursor, GoalId, Operation, Page, Result, Spec};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Attempts that are shown with a task.
const ATTEMPTS_SHOWN: i64 = 20;

/// Returns a task with what it depends on, what depends on it, the last attempts, its triggers and
/// how well it goes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TaskGet")]
pub struct Get {
    /// The task's id.
    #[schemars(range(min = 1))]
    pub id: i64,
}

/// A task with what belongs to it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TaskView {
    /// The task.
    #[serde(flatten)]
    pub task: Task,
    /// The tasks that it depends on.
    pub depends_on: Vec<TaskBrief>,
    /// The tasks that depend on it.
    pub dependents: Vec<TaskBrief>,
    /// The last twenty attempts at it, the latest first.
    pub last_attempts: Vec<Attempt>,
    /// What reminds of it.
    pub triggers: Vec<triggers::Trigger>,
    /// How well it goes.
    pub health: Health,
}

impl Operation for Get {
    const SPEC: Spec = Spec::read("task.get", "/tasks/{id}")
        .command(&["task", "get"])
        .positional(&["id"]);
    type Output = TaskView;

    async fn call(self, ctx: &Ctx) -> Result<TaskView> {
        let db = ctx.db();
        let task = current(db, self.id).await?;
        let depends_on = sql::depends_on(db, task.id).await?;
        let dependents = sql::dependents(db, task.id).await?;
        Ok(TaskView {
            depends_on: sql::briefs(db, &depends_on).await?,
            dependents: sql::briefs(db, &dependents).await?,
            last_attempts: sql::attempts(db, task.id, ATTEMPTS_SHOWN).await?,
            triggers: triggers::of_task(db, task.id).await?,
            health: task.health(ctx.now()),
            task,
        })
    }
}

/// Lists tasks, the most urgent first, of these the one that is due first. For what to do next, ask
/// `task ready` instead.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TaskList")]
pub struct List {
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// Only tasks that stand so.
    pub status: Option<AskedStatus>,
    /// Only tasks in this phase.
    pub phase: Option<AskedPhase>,
    /// Only tasks of this goal.
    #[schemars(range(min = 1))]
    pub goal_id: Option<i64>,
    /// Only parts of this task.
    #[schemars(range(min = 1))]
    #[schemars(extend("x-advanced" = true))]
    pub parent_task_id: Option<i64>,
    /// Only what this person or agent does.
    #[schemars(length(min = 1, max = 200))]
    pub assignee: Option<String>,
    /// Only what is due before this time.
    pub due_before: Option<Timestamp>,
    /// List what was removed instead.
    #[serde(default)]
    #[schemars(extend("x-advanced" = true))]
    pub removed: bool,
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
    const SPEC: Spec = Spec::read("task.list", "/tasks")
        .command(&["task", "list"])
        .short(&[("limit", 'n')]);
    type Output = Page<Task>;

    async fn call(self, ctx: &Ctx) -> Result<Page<Task>> {
        let cursor = self.cursor.as_deref().map(Cursor::parse).transpose()?;
        let tasks = match own_project(ctx, self.project.as_deref()).await? {
            Some(project) => {
                let filter = self.filter(cursor);
                sql::list(ctx.db(), project, &filter, self.limit).await?
            }
            None => Vec::new(),
        };
        Ok(Page::from_overfetch(tasks, self.limit, |task| task.id.0))
    }
}

impl List {
    fn filter(&self, cursor: Option<Cursor>) -> ListFilter {
        let (mut phases, blocked) = match self.status {
            Some(status) => {
                let (phases, blocked) = status.phases();
                (phases.to_vec(), blocked)
            }
            None => (Phase::ALL.to_vec(), None),
        };
        if let Some(phase) = self.phase {
            phases.retain(|it| *it == Phase::from(phase));
        }
        ListFilter {
            phases,
            blocked,
            goal: self.goal_id,
            parent: self.parent_task_id,
            assignee: self.assignee.clone(),
            due_before: self.due_before,
            removed: self.removed,
            cursor: cursor.map(|cursor| cursor.0),
        }
    }
}

/// Says how well a task goes: whether it takes longer than estimated, how often it failed, whether
/// something holds it up.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TaskHealth")]
pub struct ReadHealth {
    /// The task's id.
    #[schemars(range(min = 1))]
    pub id: i64,
}

impl Operation for ReadHealth {
    const SPEC: Spec = Spec::read("task.health", "/tasks/{id}/health")
        .command(&["task", "health"])
        .positional(&["id"]);
    type Output = Health;

    async fn call(self, ctx: &Ctx) -> Result<Health> {
        let task = current(ctx.db(), self.id).await?;
        Ok(task.health(ctx.now()))
    }
}

/// Searches tasks by what they say, best first: in other words too.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TaskSearch")]
pub struct Search {
    /// What to look for, in plain words.
    #[schemars(length(min = 1, max = 10_000), regex(pattern = r"\S"))]
    pub query: String,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// Only tasks that stand so.
    pub status: Option<AskedStatus>,
    /// Only tasks of this goal.
    #[schemars(range(min = 1))]
    pub goal_id: Option<i64>,
    /// How many to answer at most.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 1_000))]
    pub limit: u32,
}

fn ten() -> u32 {
    10
}

/// A task that was found.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct FoundTask {
    /// How it ranks among the hits, up to 1.
    pub score: f64,
    /// How well it answers by itself, 0 to 1.
    #[serde(rename = "match")]
    pub match_score: f64,
    /// The task.
    #[serde(flatten)]
    pub task: Task,
}

/// Tasks that were found.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct FoundTasks {
    /// The hits, best first.
    pub hits: Vec<FoundTask>,
}

impl Operation for Search {
    const SPEC: Spec = Spec::query("task.search", "/tasks/search")
        .command(&["task", "search"])
        .positional(&["query"])
        .short(&[("limit", 'n')]);
    type Output = FoundTasks;

    async fn call(self, ctx: &Ctx) -> Result<FoundTasks> {
        let Some(project) = own_project(ctx, self.project.as_deref()).await? else {
            return Ok(FoundTasks { hits: Vec::new() });
        };
        let label = self.goal_id.map(|goal| goal.to_string());
        let labels: Vec<(&str, &str)> = label.iter().map(|goal| ("goal", goal.as_str())).collect();
        let find = Find {
            kind: TASK_KIND,
            project,
            text: &self.query,
            labels: &labels,
            after: None,
            before: None,
            limit: self.limit,
        };
        let wanted = self.status.map(AskedStatus::phases);
        // The goal that a task was found by may have been purged since.
        let goal = self.goal_id.map(GoalId);
        let found = find
            .rows(ctx, |ids| async move {
                let tasks = sql::by_ids(ctx.db(), &ids).await?.into_iter();
                let tasks = tasks.filter(|task| goal.is_none() || task.goal_id == goal);
                let tasks = tasks.filter(|task| stands_so(task, wanted));
                Ok(tasks.map(|task| (task.id.0, task)).collect())
            })
            .await?;
        let hits = found.into_iter().map(|(hit, task)| FoundTask {
            score: hit.score,
            match_score: hit.match_score,
            task,
        });
        Ok(FoundTasks {
            hits: hits.collect(),
        })
    }
}

/// Whether a task is in one of some phases, and held up or not, as was asked for.
fn stands_so(task: &Task, wanted: Option<(&[Phase], Option<bool>)>) -> bool {
    wanted.is_none_or(|(phases, blocked)| {
        phases.contains(&task.phase) && blocked.is_none_or(|it| it == task.is_blocked())
    })
}
