//! Taking tasks away, for a while or for good.

use super::{existing, tell_waiting};
use crate::projects;
use crate::work::tasks::{Task, sql};
use crate::work::{lock_project, purge_answers, triggers};
use athena_core::{Ctx, Error, Operation, Result, Spec, TaskId};
use athena_db::Executor;
use athena_store::{Intent, Write, forget_values, remove_item, tokens_in, write};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Removes a task. It holds up nothing any more, and can be restored until it is purged.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TaskRemove")]
pub struct Remove {
    /// The task's id.
    #[schemars(range(min = 1))]
    pub id: i64,
}

/// A task that was removed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TaskRemoved {
    /// The task's id.
    pub id: TaskId,
    /// When it was removed.
    pub removed_at: Timestamp,
}

impl Operation for Remove {
    const SPEC: Spec = Spec::remove("task.remove", "/tasks/{id}")
        .command(&["task", "remove"])
        .positional(&["id"]);
    type Output = TaskRemoved;

    async fn call(self, ctx: &Ctx) -> Result<TaskRemoved> {
        let id = self.id;
        write(ctx, Intent::new("task.remove"), move |write| {
            Box::pin(async move {
                sql::lock(write.tx(), TaskId(id)).await?;
                let mut task = existing(write.tx(), id).await?;
                let removed_at = task.removed_at.unwrap_or(write.now());
                if task.removed_at.is_none() {
                    task.removed_at = Some(removed_at);
                    store_changed(write, &mut task).await?;
                    triggers::rest(write, task.id).await?;
                    tell_waiting(write, &task).await?;
                }
                Ok(TaskRemoved {
                    id: task.id,
                    removed_at,
                })
            })
        })
        .await
    }
}

async fn store_changed(write: &Write<'_>, task: &mut Task) -> Result<()> {
    task.version += 1;
    task.updated_at = write.now();
    sql::update(write.tx(), task).await?;
    task.tell(write);
    Ok(())
}

/// Restores a task that was removed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TaskRestore")]
pub struct Restore {
    /// The task's id.
    #[schemars(range(min = 1))]
    pub id: i64,
}

impl Operation for Restore {
    const SPEC: Spec = Spec::act("task.restore", "/tasks/{id}/restore")
        .idempotent()
        .command(&["task", "restore"])
        .positional(&["id"]);
    type Output = Task;

    async fn call(self, ctx: &Ctx) -> Result<Task> {
        let id = self.id;
        write(ctx, Intent::new("task.restore"), move |write| {
            Box::pin(async move {
                sql::lock(write.tx(), TaskId(id)).await?;
                let mut task = existing(write.tx(), id).await?;
                if task.removed_at.is_some() {
                    task.removed_at = None;
                    store_changed(write, &mut task).await?;
                    if !task.phase.is_final() {
                        triggers::resume(write, task.id).await?;
                    }
                    tell_waiting(write, &task).await?;
                }
                Ok(task)
            })
        })
        .await
    }
}

/// Removes a task for good, with its attempts, dependencies, triggers, reminders and every trace in
/// the search index. Triggers of other tasks that still wait for it go too. This cannot be undone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TaskPurge")]
pub struct Purge {
    /// The task's id.
    #[schemars(range(min = 1))]
    pub id: i64,
}

/// What was removed for good with a task, and what the database still owes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TaskPurged {
    /// The task's `uid`.
    pub uid: Uuid,
    /// When it was removed.
    pub purged_at: Timestamp,
    /// How many attempts were removed.
    pub attempts: u64,
    /// How many dependencies were removed.
    pub dependencies: u64,
    /// How many triggers were removed.
    pub triggers: u64,
    /// How many reminders were removed.
    pub reminders: u64,
    /// How many records of the search log were blanked.
    pub search_records: u64,
    /// How many kept answers to idempotent requests were removed.
    pub kept_answers: u64,
    /// How many sealed personal values were removed that nothing else mentions.
    pub sealed_values: u64,
    /// What may still hold its bytes, and how to have that removed too.
    pub owed: Vec<String>,
}

impl Operation for Purge {
    const SPEC: Spec = Spec::act("task.purge", "/tasks/{id}/purge")
        .destructive()
        .command(&["task", "purge"])
        .positional(&["id"]);
    type Output = TaskPurged;

    async fn call(self, ctx: &Ctx) -> Result<TaskPurged> {
        let id = self.id;
        let mut purged = write(ctx, Intent::new("task.purge"), move |write| {
            Box::pin(async move { purge(write, id).await })
        })
        .await?;
        purged.owed.extend(athena_store::erase_residue(ctx).await?);
        Ok(purged)
    }
}

async fn purge(write: &Write<'_>, id: i64) -> Result<TaskPurged> {
    let project = existing(write.tx(), id).await?.project_id;
    lock_project(write, project).await?;
    sql::lock(write.tx(), TaskId(id)).await?;
    let task = existing(write.tx(), id).await?;
    let mut texts = sql::texts_beside(write.tx(), task.id).await?;
    texts.push(serde_json::to_string(&task).map_err(Error::internal)?);
    let tokens: BTreeSet<String> = texts.iter().flat_map(|text| tokens_in(text)).collect();
    let name = projects::name(write.tx(), project).await?;
    let search_records = remove_item(write, project, task.item()).await?;
    tell_waiting(write, &task).await?;
    let rows = sql::purge(write.tx(), task.id).await?;
    Ok(TaskPurged {
        uid: task.uid,
        purged_at: write.now(),
        attempts: rows.attempts,
        dependencies: rows.dependencies,
        triggers: rows.triggers,
        reminders: rows.reminders,
        search_records,
        kept_answers: purge_answers(write, task.uid).await?,
        sealed_values: forget_values(write, &name, &tokens).await?,
        owed: athena_store::owed_after_purge(write.tx().dialect()),
    })
}
