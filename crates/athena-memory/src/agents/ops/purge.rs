//! Removing for good, with a receipt.

use super::{existing_item, project_of};
use crate::agents::{QueueItem, QueueState, sql};
use crate::projects;
use crate::removal::{collect_tokens, forget_answers, forget_answers_saying};
use athena_core::{Code, Ctx, Error, Operation, ProjectId, Result, Spec};
use athena_db::Executor;
use athena_store::{Intent, Write, forget_values, write};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// Items that are removed at once, at most.
const AT_ONCE: i64 = 1_000;

/// Removes items of queues for good that are done, have failed or were called off: one by its `id`,
/// or all that were over at a time, a thousand at once. This cannot be undone.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueuePurge {
    /// The item to remove; `queue` and `before` do not matter then. One that waits goes too.
    #[schemars(range(min = 1))]
    pub id: Option<i64>,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// Only items of this queue.
    #[schemars(length(min = 1, max = 100))]
    pub queue: Option<String>,
    /// Only items that were over by this time; now unless given.
    pub before: Option<Timestamp>,
}

/// What was removed for good.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct QueuePurgeReceipt {
    /// When it was removed.
    pub purged_at: Timestamp,
    /// How many items were removed.
    pub items: u64,
    /// How many leases on them were removed.
    pub leases: u64,
    /// How many kept answers to idempotent requests were removed.
    pub kept_answers: u64,
    /// How many sealed personal values were removed that nothing else mentions.
    pub sealed_values: u64,
    /// Whether there may be more to remove: call it again.
    pub more: bool,
    /// What may still hold its bytes, and how to have that removed too.
    pub owed: Vec<String>,
}

impl Operation for QueuePurge {
    const SPEC: Spec = Spec::act("queue.purge", "/queue/purge")
        .destructive()
        .command(&["queue", "purge"])
        .errors(&[Code::InvalidState]);
    type Output = QueuePurgeReceipt;

    async fn call(self, ctx: &Ctx) -> Result<QueuePurgeReceipt> {
        let purge = Arc::new(self);
        let intent = Intent::new("queue.purge").of_items(100);
        let mut receipt = write(ctx, intent, move |write| {
            let purge = Arc::clone(&purge);
            Box::pin(async move { purge_items(write, &purge).await })
        })
        .await?;
        receipt.owed.extend(athena_store::erase_residue(ctx).await?);
        Ok(receipt)
    }
}

async fn purge_items(write: &Write<'_>, purge: &QueuePurge) -> Result<QueuePurgeReceipt> {
    let (project, items) = match purge.id {
        Some(id) => {
            let item = removable(write, id).await?;
            (item.project_id, vec![item])
        }
        None => over(write, purge).await?,
    };
    let ids: Vec<i64> = items.iter().map(|item| item.id).collect();
    let mut tokens = BTreeSet::new();
    let uids: Vec<Uuid> = items.iter().map(|item| item.uid).collect();
    for item in &items {
        collect_tokens(&mut tokens, item)?;
        super::note_item(write, project, item.id);
    }
    let tx = write.tx();
    let (gone, leases) = sql::purge_items(tx, &ids).await?;
    let name = projects::name(tx, project).await?;
    Ok(QueuePurgeReceipt {
        purged_at: write.now(),
        items: gone,
        leases,
        kept_answers: forget_answers(tx, &uids).await?,
        sealed_values: forget_values(write, &name, &tokens).await?,
        more: purge.id.is_none() && i64::try_from(ids.len()).is_ok_and(|count| count == AT_ONCE),
        owed: athena_store::owed_after_purge(tx.dialect()),
    })
}

/// Returns an item that nobody works on.
async fn removable(write: &Write<'_>, id: i64) -> Result<QueueItem> {
    sql::lock_lease_of(write.tx(), id).await?;
    sql::lock_item(write.tx(), id).await?;
    let item = existing_item(write.tx(), id).await?;
    if item.state != QueueState::Leased {
        return Ok(item);
    }
    let message = format!("queue item `{id}` is being worked on; cancel it first");
    Err(Error::new(Code::InvalidState, message).with_field("id"))
}

/// Returns items that are over.
async fn over(write: &Write<'_>, purge: &QueuePurge) -> Result<(ProjectId, Vec<QueueItem>)> {
    let tx = write.tx();
    let project = project_of(tx, write.ctx(), purge.project.as_deref()).await?;
    let before = purge.before.unwrap_or(write.now());
    let queue = purge.queue.as_deref();
    let ids = sql::finished(tx, project, queue, before, AT_ONCE).await?;
    Ok((project, sql::items_by_ids(tx, &ids).await?))
}

/// Removes an agent for good, with the record of what it held, whether or not it was registered.
/// Items that it worked on stay. This cannot be undone.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentPurge {
    /// Its name; it may have been removed already.
    #[schemars(length(min = 1, max = 200))]
    pub agent: String,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
}

/// What was removed for good with an agent.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AgentPurgeReceipt {
    /// When it was removed.
    pub purged_at: Timestamp,
    /// How many leases were removed.
    pub leases: u64,
    /// How many kept answers to idempotent requests were removed.
    pub kept_answers: u64,
    /// How many sealed personal values were removed that nothing else mentions.
    pub sealed_values: u64,
    /// What may still hold its bytes, and how to have that removed too.
    pub owed: Vec<String>,
}

impl Operation for AgentPurge {
    const SPEC: Spec = Spec::act("agent.purge", "/agents/{agent}/purge")
        .destructive()
        .command(&["agent", "purge"])
        .positional(&["agent"])
        .errors(&[Code::InvalidState]);
    type Output = AgentPurgeReceipt;

    async fn call(self, ctx: &Ctx) -> Result<AgentPurgeReceipt> {
        let purge = Arc::new(self);
        let mut receipt = write(ctx, Intent::new("agent.purge"), move |write| {
            let purge = Arc::clone(&purge);
            Box::pin(async move { purge_agent(write, &purge).await })
        })
        .await?;
        receipt.owed.extend(athena_store::erase_residue(ctx).await?);
        Ok(receipt)
    }
}

async fn purge_agent(write: &Write<'_>, purge: &AgentPurge) -> Result<AgentPurgeReceipt> {
    let (tx, now) = (write.tx(), write.now());
    let project = project_of(tx, write.ctx(), purge.project.as_deref()).await?;
    let agents = sql::agents_ever(tx, project, &purge.agent, now).await?;
    let held = sql::leases_ever(tx, project, &purge.agent).await?;
    if agents.is_empty() && held.is_empty() {
        let unknown = Error::not_found(format_args!("agent `{}`", purge.agent));
        return Err(unknown.with_field("agent"));
    }
    // Leases that have expired give their items back before they are forgotten.
    crate::agents::expiry::expire(write).await?;
    if sql::holds_any(tx, project, &purge.agent).await? {
        let message = format!(
            "agent `{}` holds leases; wait until they end, or cancel what it works on",
            purge.agent
        );
        return Err(Error::new(Code::InvalidState, message).with_field("agent"));
    }
    let mut tokens = BTreeSet::new();
    for agent in &agents {
        collect_tokens(&mut tokens, agent)?;
        let kind = crate::items::AGENT;
        let id = agent.id.0;
        write.note(project, athena_search::ItemRef { kind, id });
    }
    let mut names = BTreeSet::from([purge.agent.clone()]);
    for lease in &held {
        collect_tokens(&mut tokens, lease)?;
        names.insert(lease.resource.clone());
    }
    let uids: Vec<Uuid> = agents.iter().map(|agent| agent.uid).collect();
    let leases = sql::purge_agent(tx, project, &purge.agent).await?;
    let name = projects::name(tx, project).await?;
    Ok(AgentPurgeReceipt {
        purged_at: now,
        leases,
        // Leases have no `uid`: their answers are known by what was held and by whom.
        kept_answers: forget_answers(tx, &uids).await? + forget_answers_saying(tx, &names).await?,
        sealed_values: forget_values(write, &name, &tokens).await?,
        owed: athena_store::owed_after_purge(tx.dialect()),
    })
}
