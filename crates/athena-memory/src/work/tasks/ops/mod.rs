//! Operations on tasks, by what they are for.

mod attempts;
mod create;
mod depend;
mod knowledge;
mod phases;
mod read;
mod ready;
mod remove;
mod update;

pub use attempts::{AttemptRecorded, RecordAttempt};
pub use create::Create;
pub(in crate::work) use depend::check_circle;
pub use depend::{Depend, Dependencies, Undepend};
pub use knowledge::{Knowledge, KnownForTask, RelatedKnowledge, WhyKnown};
pub use phases::{Advance, Block, Complete, Fail, Reopen, Start, Unblock};
pub use read::{FoundTask, FoundTasks, Get, List, ReadHealth, Search, TaskView};
pub use ready::Ready;
pub use remove::{Purge, Remove, Restore, TaskPurged, TaskRemoved};
pub use update::Update;
#[cfg(test)]
pub(in crate::work) use {depend::way, ready::order};

use super::{Phase, Task, TaskStatus, sql};
use crate::work::{check_version, missing, triggers};
use athena_core::{Code, Error, ProjectId, Result, TaskId};
use athena_db::Executor;
use athena_store::Write;
use jiff::Timestamp;

/// Returns a task, removed or not.
async fn existing(db: &impl Executor, id: i64) -> Result<Task> {
    let task = sql::by_id(db, TaskId(id)).await?;
    task.ok_or_else(|| missing("task", id))
}

/// Returns a task that was not removed.
pub(in crate::work) async fn current(db: &impl Executor, id: i64) -> Result<Task> {
    let task = existing(db, id).await?;
    if task.removed_at.is_none() {
        return Ok(task);
    }
    let message = format!("task `{id}` was removed; restore it, or list with `removed`");
    Err(Error::new(Code::NotFound, message).with_field("id"))
}

/// Locks a task against other writers until the commit, and returns it as it is then.
pub(in crate::work) async fn locked(write: &Write<'_>, id: i64) -> Result<Task> {
    sql::lock(write.tx(), TaskId(id)).await?;
    current(write.tx(), id).await
}

/// Changes a task whose text stays as it is.
async fn change(
    write: &Write<'_>,
    id: i64,
    expected_version: Option<i64>,
    edit: impl FnOnce(&mut Task, Timestamp) -> Result<()> + Send,
) -> Result<Task> {
    let mut task = locked(write, id).await?;
    check_version("task", id, task.version, expected_version)?;
    let before = task.phase;
    edit(&mut task, write.now())?;
    store(write, &mut task, before).await?;
    task.tell(write);
    Ok(task)
}

/// Stores a changed task, and does what follows from the change of its phase.
async fn store(write: &Write<'_>, task: &mut Task, before: Phase) -> Result<()> {
    task.version += 1;
    task.updated_at = write.now();
    task.status = TaskStatus::of(task.phase, task.is_blocked());
    sql::update(write.tx(), task).await?;
    match (before.is_final(), task.phase.is_final()) {
        (false, true) => triggers::end(write, task.id).await?,
        (true, false) => {
            sql::count_failures_anew(write.tx(), task.id).await?;
            triggers::resume(write, task.id).await?;
        }
        _ => {}
    }
    let is_completed = task.phase == Phase::Completed;
    if is_completed != (before == Phase::Completed) {
        tell_waiting(write, task).await?;
    }
    if is_completed && before != Phase::Completed {
        triggers::fire_for_completed(write, task.project_id, task.id).await?;
    }
    Ok(())
}

/// Tells those who follow what changes of the tasks that wait for one: it holds them up now, or no
/// longer does.
async fn tell_waiting(write: &Write<'_>, task: &Task) -> Result<()> {
    for id in sql::waiting(write.tx(), task.id).await? {
        write.note(task.project_id, super::item(crate::items::TASK, id));
    }
    Ok(())
}

/// Refuses tasks that are not there, and names the first. None of them is purged before the commit if
/// the project is locked.
async fn check_tasks(
    db: &impl Executor,
    project: ProjectId,
    ids: &[i64],
    field: &str,
) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let found = sql::in_project(db, project, ids).await?;
    match ids.iter().find(|id| !found.contains(id)) {
        None => Ok(()),
        Some(id) => {
            let what = format_args!("task `{id}` of this project");
            Err(Error::not_found(what).with_field(field))
        }
    }
}

/// Refuses a goal that is not there. It is not purged before the commit if the project is locked.
async fn check_goal(db: &impl Executor, project: ProjectId, goal: i64) -> Result<()> {
    if crate::work::goals::in_project(db, project, goal).await? {
        return Ok(());
    }
    let what = format_args!("goal `{goal}` of this project");
    Err(Error::not_found(what).with_field("goal_id"))
}
