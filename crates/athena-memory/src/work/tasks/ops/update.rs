//! Changing what a task says.

use super::{check_goal, current, locked, store};
use crate::items::ItemText;
use crate::priority::{PriorityName, chosen};
use crate::work::tasks::{Phase, Task, TaskKind};
use crate::work::{TASK, check_description, check_version, lock_project, whole_microseconds};
use athena_core::{Code, Ctx, Error, GoalId, Operation, Result, Spec};
use athena_db::BoxFuture;
use athena_store::{Intent, Write, write};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Changes what a task says: what is given changes, all else stays. Its phase has commands of its
/// own, such as `task start`, `task complete` and `task advance`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TaskUpdate")]
#[schemars(extend("not" = {"anyOf": [
    {"required": ["priority", "priority_name"]},
    {"required": ["due_at", "no_due_at"], "properties": {"no_due_at": {"const": true}}}
]}))]
pub struct Update {
    /// The task's id.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// What is to be done, in one line.
    #[schemars(length(min = 1, max = 500), regex(pattern = r"\S"))]
    pub title: Option<String>,
    /// What that means in detail.
    pub description: Option<String>,
    /// How urgent it is, 1 to 10.
    #[schemars(range(min = 1, max = 10))]
    pub priority: Option<i64>,
    /// How urgent it is in a word, in place of the number: low (3), medium (5), high (7), critical (10).
    pub priority_name: Option<PriorityName>,
    /// When it must be done.
    pub due_at: Option<Timestamp>,
    /// It need not be done by any time.
    #[serde(default)]
    #[schemars(extend("x-advanced" = true))]
    pub no_due_at: bool,
    /// The goal that it belongs to, of the same project; 0 for none.
    #[schemars(range(min = 0))]
    pub goal_id: Option<i64>,
    /// Who does it.
    #[schemars(length(min = 1, max = 200))]
    pub assignee: Option<String>,
    /// How many minutes it should take.
    #[schemars(range(min = 0, max = 5_256_000))]
    pub estimated_minutes: Option<f64>,
    /// How many minutes it took.
    #[schemars(range(min = 0, max = 5_256_000))]
    #[schemars(extend("x-advanced" = true))]
    pub actual_minutes: Option<f64>,
    /// How far it is, 0 to 100; not of a task that is completed.
    #[schemars(range(min = 0, max = 100))]
    pub completion_percentage: Option<f64>,
    /// What sort of thing it is.
    #[schemars(extend("x-advanced" = true))]
    pub kind: Option<TaskKind>,
    /// How it is said while it is being done.
    #[schemars(length(min = 1, max = 500))]
    #[schemars(extend("x-advanced" = true))]
    pub active_form: Option<String>,
    /// Everything that must hold for it to be done, from now on.
    #[schemars(length(max = 100), inner(length(min = 1, max = 2_000)))]
    #[schemars(extend("x-advanced" = true))]
    pub acceptance: Option<Vec<String>>,
    /// How it is to be done.
    #[schemars(extend("x-advanced" = true))]
    pub plan: Option<Map<String, Value>>,
    /// What was learned by it.
    #[schemars(length(min = 1, max = 100_000))]
    #[schemars(extend("x-advanced" = true))]
    pub lessons: Option<String>,
    /// All memories that have to do with it from now on.
    #[schemars(length(max = 100), inner(range(min = 1)))]
    #[schemars(extend("x-advanced" = true))]
    pub related_memory_ids: Option<Vec<i64>>,
    /// All pieces of code that have to do with it from now on.
    #[schemars(length(max = 100), inner(range(min = 1)))]
    #[schemars(extend("x-advanced" = true))]
    pub related_code_ids: Option<Vec<i64>>,
    /// How many attempts may fail before it fails.
    #[schemars(range(min = 1, max = 1_000))]
    #[schemars(extend("x-advanced" = true))]
    pub max_cycles: Option<i64>,
    /// The version that you changed; the update is refused if there is a newer one.
    #[schemars(range(min = 1))]
    #[schemars(extend("x-advanced" = true))]
    pub expected_version: Option<i64>,
}

impl Operation for Update {
    const SPEC: Spec = Spec::change("task.update", "/tasks/{id}")
        .command(&["task", "update"])
        .positional(&["id"])
        .errors(&[Code::InvalidState, Code::PreconditionFailed]);
    type Output = Task;

    fn home<'a>(ctx: &'a Ctx, input: &'a Value) -> BoxFuture<'a, Result<Option<String>>> {
        TASK.home(ctx, input)
    }

    async fn call(mut self, ctx: &Ctx) -> Result<Task> {
        self.priority = chosen(self.priority, self.priority_name);
        check_description(self.description.as_deref())?;
        // The text is split and embedded before the transaction, from what the task says now.
        let text = match self.title.is_some() || self.description.is_some() {
            true => {
                let mut task = current(ctx.db(), self.id).await?;
                self.rename(&mut task);
                Some((task.text(), ItemText::prepare(ctx, task.text())))
            }
            false => None,
        };
        let update = Arc::new((self, text));
        write(ctx, Intent::new("task.update"), move |write| {
            let update = Arc::clone(&update);
            Box::pin(async move { update.0.perform(write, update.1.as_ref()).await })
        })
        .await
    }
}

impl Update {
    fn rename(&self, task: &mut Task) {
        if let Some(title) = &self.title {
            task.title.clone_from(title);
        }
        if self.description.is_some() {
            task.description.clone_from(&self.description);
        }
    }

    async fn perform(&self, write: &Write<'_>, text: Option<&(String, ItemText)>) -> Result<Task> {
        let goal = self.goal_id.filter(|goal| *goal != 0);
        if goal.is_some() {
            lock_project(write, current(write.tx(), self.id).await?.project_id).await?;
        }
        let mut task = locked(write, self.id).await?;
        check_version("task", self.id, task.version, self.expected_version)?;
        if let Some(goal) = goal {
            check_goal(write.tx(), task.project_id, goal).await?;
        }
        self.check_percentage(&task)?;
        let phase = task.phase;
        self.apply(&mut task);
        store(write, &mut task, phase).await?;
        match text {
            Some((prepared, text)) if *prepared == task.text() => task.log(write, text).await?,
            Some(_) => {
                let message = "the task was changed by somebody else a moment ago; try again";
                return Err(Error::new(Code::Busy, message));
            }
            None => task.tell(write),
        }
        Ok(task)
    }

    /// Refuses to say of a completed task how far it is.
    fn check_percentage(&self, task: &Task) -> Result<()> {
        if self.completion_percentage.is_none() || task.phase != Phase::Completed {
            return Ok(());
        }
        let message = format!(
            "task `{}` is completed, which is 100; reopen it before saying otherwise",
            task.id
        );
        Err(Error::new(Code::InvalidState, message).with_field("completion_percentage"))
    }

    fn apply(&self, task: &mut Task) {
        fn set<T: Clone>(field: &mut T, given: Option<&T>) {
            if let Some(given) = given {
                field.clone_from(given);
            }
        }
        fn set_optional<T: Clone>(field: &mut Option<T>, given: Option<&T>) {
            if let Some(given) = given {
                *field = Some(given.clone());
            }
        }
        self.rename(task);
        task.priority = self.priority.unwrap_or(task.priority);
        task.due_at = match (self.no_due_at, self.due_at) {
            (true, _) => None,
            (false, given) => given.map(whole_microseconds).or(task.due_at),
        };
        if let Some(goal) = self.goal_id {
            task.goal_id = (goal != 0).then_some(GoalId(goal));
        }
        set(&mut task.kind, self.kind.as_ref());
        set(&mut task.max_cycles, self.max_cycles.as_ref());
        set(&mut task.acceptance, self.acceptance.as_ref());
        set(
            &mut task.related_memory_ids,
            self.related_memory_ids.as_ref(),
        );
        set(&mut task.related_code_ids, self.related_code_ids.as_ref());
        set_optional(&mut task.assignee, self.assignee.as_ref());
        set_optional(&mut task.estimated_minutes, self.estimated_minutes.as_ref());
        set_optional(&mut task.actual_minutes, self.actual_minutes.as_ref());
        let percentage = self.completion_percentage.as_ref();
        set_optional(&mut task.completion_percentage, percentage);
        set_optional(&mut task.active_form, self.active_form.as_ref());
        set_optional(&mut task.plan, self.plan.as_ref());
        set_optional(&mut task.lessons, self.lessons.as_ref());
    }
}
