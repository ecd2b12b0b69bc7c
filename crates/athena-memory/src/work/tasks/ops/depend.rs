//! What a task waits for.

use super::{check_tasks, current};
use crate::work::tasks::{TaskBrief, sql};
use crate::work::{TASK, lock_project};
use athena_core::{Code, Ctx, Error, Operation, ProjectId, Result, Spec, TaskId};
use athena_db::BoxFuture;
use athena_store::{Intent, Write, write};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{HashMap, HashSet, VecDeque};

/// Makes a task depend on another one: it is blocked until that one is completed. Saying it twice
/// does no harm; a circle is refused, and named.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TaskDepend")]
pub struct Depend {
    /// The task that waits.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// The task that must be completed first, of the same project.
    #[schemars(range(min = 1))]
    pub depends_on: i64,
}

/// What a task depends on.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Dependencies {
    /// The task's id.
    pub id: TaskId,
    /// The tasks that it depends on.
    pub depends_on: Vec<TaskBrief>,
}

impl Operation for Depend {
    const SPEC: Spec = Spec::act("task.depend", "/tasks/{id}/dependencies")
        .idempotent()
        .command(&["task", "depend"])
        .positional(&["id", "depends_on"])
        .errors(&[Code::Conflict]);
    type Output = Dependencies;

    fn home<'a>(ctx: &'a Ctx, input: &'a Value) -> BoxFuture<'a, Result<Option<String>>> {
        TASK.home(ctx, input)
    }

    async fn call(self, ctx: &Ctx) -> Result<Dependencies> {
        if self.id == self.depends_on {
            let message = "`depends_on` is the task itself, which cannot wait for itself";
            return Err(Error::new(Code::Conflict, message).with_field("depends_on"));
        }
        write(ctx, Intent::new("task.depend"), move |write| {
            Box::pin(async move { depend(write, self).await })
        })
        .await
    }
}

async fn depend(write: &Write<'_>, input: Depend) -> Result<Dependencies> {
    let project = current(write.tx(), input.id).await?.project_id;
    lock_project(write, project).await?;
    check_tasks(write.tx(), project, &[input.depends_on], "depends_on").await?;
    check_circle(write, project, input.id, input.depends_on).await?;
    let principal = &write.ctx().caller().principal;
    let on = [input.depends_on];
    sql::depend(write.tx(), TaskId(input.id), &on, principal, write.now()).await?;
    answer(write, input.id).await
}

/// Refuses to let a task wait for another one that waits for it, be it through further tasks, and names
/// the way. The project must be locked.
pub(in crate::work) async fn check_circle(
    write: &Write<'_>,
    project: ProjectId,
    id: i64,
    on: i64,
) -> Result<()> {
    let edges = sql::dependencies(write.tx(), project).await?;
    let Some(way) = way(&edges, on, id) else {
        return Ok(());
    };
    let way: Vec<String> = way.iter().map(|id| format!("`{id}`")).collect();
    let message = format!(
        "task `{id}` cannot wait for `{on}`, which waits for it: {}; take one of these dependencies or triggers away first",
        way.join(" → ")
    );
    Err(Error::new(Code::Conflict, message).with_field("depends_on"))
}

/// Returns the shortest way along dependencies from one task to another, ends included.
pub(in crate::work) fn way(edges: &[(i64, i64)], from: i64, to: i64) -> Option<Vec<i64>> {
    let mut next: HashMap<i64, Vec<i64>> = HashMap::new();
    for (id, on) in edges {
        next.entry(*id).or_default().push(*on);
    }
    let mut came_from: HashMap<i64, i64> = HashMap::new();
    let mut seen = HashSet::from([from]);
    let mut waiting = VecDeque::from([from]);
    while let Some(at) = waiting.pop_front() {
        if at == to {
            let mut way = vec![to];
            while let Some(before) = way.last().and_then(|last| came_from.get(last)) {
                way.push(*before);
            }
            way.reverse();
            return Some(way);
        }
        for on in next.get(&at).into_iter().flatten() {
            if seen.insert(*on) {
                came_from.insert(*on, at);
                waiting.push_back(*on);
            }
        }
    }
    None
}

async fn answer(write: &Write<'_>, id: i64) -> Result<Dependencies> {
    let task = current(write.tx(), id).await?;
    write.note(task.project_id, task.item());
    let on = sql::depends_on(write.tx(), task.id).await?;
    Ok(Dependencies {
        id: task.id,
        depends_on: sql::briefs(write.tx(), &on).await?,
    })
}

/// Takes a dependency away. Taking away one that is not there changes nothing.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TaskUndepend")]
pub struct Undepend {
    /// The task that waits.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// The task that it no longer waits for.
    #[schemars(range(min = 1))]
    pub depends_on: i64,
}

impl Operation for Undepend {
    const SPEC: Spec = Spec::remove("task.undepend", "/tasks/{id}/dependencies/{depends_on}")
        .command(&["task", "undepend"])
        .positional(&["id", "depends_on"]);
    type Output = Dependencies;

    async fn call(self, ctx: &Ctx) -> Result<Dependencies> {
        write(ctx, Intent::new("task.undepend"), move |write| {
            Box::pin(async move {
                current(write.tx(), self.id).await?;
                sql::undepend(write.tx(), TaskId(self.id), self.depends_on).await?;
                answer(write, self.id).await
            })
        })
        .await
    }
}
