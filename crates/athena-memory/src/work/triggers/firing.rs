//! Firing: a reminder is made, and a task that waited is ready.

use super::condition::Happening;
use super::schedule::Schedule;
use super::{Reminder, Trigger, TriggerType, sql};
use crate::items;
use crate::work::item;
use crate::work::tasks::{self, Phase};
use athena_core::{Ctx, Env, ProjectId, Result, TaskId};
use athena_db::BoxFuture;
use athena_store::{Chore, Intent, Write, write};
use jiff::Timestamp;
use std::sync::Arc;

/// Triggers that fire in one transaction.
const AT_ONCE: i64 = 100;

/// Fires triggers whose time has come.
#[derive(Debug)]
pub struct FireDue;

impl Chore for FireDue {
    fn run<'a>(&'a self, env: &'a Arc<Env>) -> BoxFuture<'a, Result<()>> {
        Box::pin(fire_due(env))
    }
}

/// Fires every trigger whose time has come, in this process or in another that is at it too.
pub(super) async fn fire_due(env: &Arc<Env>) -> Result<()> {
    let ctx = Ctx::for_own_work(Arc::clone(env));
    while sql::is_any_due(ctx.db(), ctx.now()).await? {
        let seen = write(&ctx, Intent::new("trigger.fire"), |write| {
            Box::pin(fire_some(write))
        })
        .await?;
        if seen == 0 {
            break;
        }
    }
    Ok(())
}

async fn fire_some(write: &Write<'_>) -> Result<usize> {
    let now = write.now();
    let due = sql::due(write.tx(), now, AT_ONCE).await?;
    for trigger in &due {
        let Some(seen) = trigger.next_due_at else {
            continue;
        };
        let (last, missed, next) = came(trigger, seen, now);
        if sql::claim(write.tx(), trigger.id, seen, next).await? {
            let reason = match (&trigger.schedule, missed) {
                (None, _) => format!("its time came at {last}"),
                (Some(schedule), 0) => format!("`{schedule}` came at {last}"),
                (Some(schedule), missed) => {
                    format!("`{schedule}` came at {last}, and {missed} times before unnoticed")
                }
            };
            fire(write, trigger, last, missed, &reason).await?;
        }
    }
    Ok(due.len())
}

/// Returns the last time at which a trigger should have fired, how often it should have before, and
/// when it fires next. A zone that this machine no longer knows ends a schedule.
fn came(trigger: &Trigger, due: Timestamp, now: Timestamp) -> (Timestamp, i64, Option<Timestamp>) {
    let schedule = trigger.schedule.as_deref();
    let schedule = schedule.map(|it| Schedule::parse(it, trigger.time_zone.as_deref()));
    let caught_up = match schedule {
        Some(schedule) => schedule.and_then(|schedule| schedule.catch_up(due, now)),
        None => return (due, 0, None),
    };
    match caught_up {
        Ok((last, missed, next)) => (last, missed, Some(next)),
        Err(error) => {
            tracing::warn!(trigger = trigger.id.0, %error, "a schedule came to its end");
            (due, 0, None)
        }
    }
}

/// Makes the reminder of a trigger.
async fn fire(
    write: &Write<'_>,
    trigger: &Trigger,
    due: Timestamp,
    missed: i64,
    reason: &str,
) -> Result<Reminder> {
    sql::count_fired(write.tx(), trigger.id, write.now()).await?;
    let reminder = sql::remind(write.tx(), trigger, due, missed, reason, write.now()).await?;
    tell(write, trigger);
    write.note(trigger.project_id, item(items::TASK, trigger.task_id.0));
    Ok(reminder)
}

/// Tells those who follow what changes of a trigger.
pub(super) fn tell(write: &Write<'_>, trigger: &Trigger) {
    write.note(trigger.project_id, item(items::TRIGGER, trigger.id.0));
}

/// Fires what waits for something like what happens, as part of the change that says so.
pub(crate) async fn fire_for_events(
    write: &Write<'_>,
    project: ProjectId,
    happenings: &[Happening<'_>],
) -> Result<Vec<Reminder>> {
    if happenings
        .iter()
        .all(|happening| happening.types().is_empty())
    {
        return Ok(Vec::new());
    }
    let waiting = sql::of_happenings(write.tx(), project, happenings).await?;
    let mut reminders = Vec::new();
    for trigger in waiting {
        // Of several at once, the last one is what people are reminded of.
        let mut answered = happenings.iter().rev();
        if let Some(reason) = answered.find_map(|happening| trigger.answers(happening)) {
            reminders.push(fire(write, &trigger, write.now(), 0, &reason).await?);
        }
    }
    Ok(reminders)
}

/// Fires what waits for a task that is completed.
pub(in crate::work) async fn fire_for_completed(
    write: &Write<'_>,
    project: ProjectId,
    id: TaskId,
) -> Result<()> {
    for trigger in sql::waiting_for(write.tx(), project, id).await? {
        fire_completed(write, &trigger, id).await?;
    }
    Ok(())
}

/// Fires a trigger that waits for a task which is completed.
pub(super) async fn fire_completed(write: &Write<'_>, trigger: &Trigger, id: TaskId) -> Result<()> {
    let reason = format!("task `{id}` is completed");
    fire(write, trigger, write.now(), 0, &reason).await?;
    Ok(())
}

/// Lets no trigger of a task that has ended fall due, and closes its reminders.
pub(in crate::work) async fn end(write: &Write<'_>, id: TaskId) -> Result<()> {
    rest(write, id).await?;
    sql::close(write.tx(), id, write.now()).await
}

/// Lets no trigger of a task fall due: the task has ended, or was removed.
pub(in crate::work) async fn rest(write: &Write<'_>, id: TaskId) -> Result<()> {
    sql::rest(write.tx(), id).await
}

/// Lets the triggers of a task fall due again, from now on, and fires those whose task was completed
/// meanwhile.
pub(in crate::work) async fn resume(write: &Write<'_>, id: TaskId) -> Result<()> {
    for trigger in sql::of_task(write.tx(), id).await? {
        match (trigger.trigger_type, trigger.depends_on) {
            (TriggerType::Time, _) => {
                let next = first_due(&trigger, write.now())?;
                sql::set_next(write.tx(), trigger.id, next).await?;
            }
            (TriggerType::Dependency, Some(awaited)) if trigger.fired_count == 0 => {
                fire_if_completed(write, &trigger, awaited).await?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Fires a trigger if the task that it waits for is completed, removed since or not.
async fn fire_if_completed(write: &Write<'_>, trigger: &Trigger, awaited: TaskId) -> Result<()> {
    // Who completes it now finds the trigger, or is found here.
    tasks::lock(write.tx(), awaited).await?;
    match tasks::by_id(write.tx(), awaited).await? {
        Some(task) if task.phase == Phase::Completed => {
            fire_completed(write, trigger, awaited).await
        }
        _ => Ok(()),
    }
}

/// Returns when a trigger is due first, or again after it rested: one with a single time only if it
/// has not fired.
pub(super) fn first_due(trigger: &Trigger, now: Timestamp) -> Result<Option<Timestamp>> {
    match &trigger.schedule {
        Some(schedule) => {
            let schedule = Schedule::parse(schedule, trigger.time_zone.as_deref())?;
            schedule.next_after(now).map(Some)
        }
        None => Ok(trigger.due_at.filter(|_| trigger.fired_count == 0)),
    }
}
