//! What to do next.

use crate::work::tasks::Task;
use crate::work::tasks::sql::{self, ReadyKey};
use crate::work::{after_cursor, goals, own_project};
use athena_core::{Ctx, Cursor, Operation, Page, ProjectId, Result, Spec};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use std::cmp::Reverse;

/// Lists what can be done now, what to do first first: tasks that no unfinished dependency, no named
/// reason and no trigger that is still to fire holds up, and whose goal is not paused or cancelled, nor
/// one that it serves. Overdue ones come first, then the most urgent, of these the one that is due
/// first, then the one with the most urgent goal.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TaskReady")]
pub struct Ready {
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// Only what this person or agent does, or nobody yet.
    #[schemars(length(min = 1, max = 200))]
    pub assignee: Option<String>,
    /// How many to answer at most.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 1_000))]
    pub limit: u32,
    /// Where the previous page ended: its `next_cursor`.
    #[schemars(length(max = 15), regex(pattern = r"^c1\.[0-9a-z]{1,12}$"))]
    pub cursor: Option<String>,
}

fn ten() -> u32 {
    10
}

impl Operation for Ready {
    const SPEC: Spec = Spec::read("task.ready", "/tasks/ready")
        .command(&["task", "ready"])
        .short(&[("limit", 'n')]);
    type Output = Page<Task>;

    async fn call(self, ctx: &Ctx) -> Result<Page<Task>> {
        let cursor = self.cursor.as_deref().map(Cursor::parse).transpose()?;
        let mut ready = match own_project(ctx, self.project.as_deref()).await? {
            Some(project) => self.ready(ctx, project).await?,
            None => Vec::new(),
        };
        let now = ctx.now();
        ready.sort_by_key(|key| order(key, now));
        let page = after_cursor(ready, cursor.map(|it| it.0), self.limit, |key| key.id)?;
        let ids: Vec<i64> = page.items.iter().map(|key| key.id).collect();
        let mut tasks = sql::by_ids(ctx.db(), &ids).await?;
        tasks.sort_by_key(|task| ids.iter().position(|id| *id == task.id.0));
        Ok(Page {
            items: tasks,
            next_cursor: page.next_cursor,
        })
    }
}

impl Ready {
    /// Returns what is ready, in any order.
    async fn ready(&self, ctx: &Ctx, project: ProjectId) -> Result<Vec<ReadyKey>> {
        let assignee = self.assignee.as_deref();
        let mut ready = sql::ready(ctx.db(), project, assignee, ctx.now()).await?;
        if ready.iter().any(|task| task.goal_id.is_some()) {
            let aside = goals::set_aside(ctx.db(), project).await?;
            ready.retain(|task| task.goal_id.is_none_or(|goal| !aside.contains(&goal)));
        }
        Ok(ready)
    }
}

/// What to do first comes first.
type Order = (
    bool,
    Reverse<i64>,
    bool,
    Option<Timestamp>,
    Reverse<i64>,
    i64,
);

/// Returns what orders tasks that are ready.
pub(in crate::work) fn order(key: &ReadyKey, now: Timestamp) -> Order {
    let is_overdue = key.due_at.is_some_and(|due| due < now);
    (
        !is_overdue,
        Reverse(key.priority),
        key.due_at.is_none(),
        key.due_at,
        Reverse(key.goal_priority),
        key.id,
    )
}
