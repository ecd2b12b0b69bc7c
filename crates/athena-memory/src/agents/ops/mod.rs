//! Operations on agents, queues and leases, by what they are for.

mod leases;
mod purge;
mod queue;
mod registry;
mod work;

#[cfg(test)]
pub(super) use leases::resource;
pub use leases::{Acquire, Acquired, LeaseList, LeaseRelease, Renew};
pub use purge::{AgentPurge, AgentPurgeReceipt, QueuePurge, QueuePurgeReceipt};
pub use queue::{
    Cancel, DraftItem, Put, PutBatch, PutItem, PutItems, QueueFigures, QueueGet, QueueList,
    QueueStatistics, QueueStats, Retry,
};
pub use registry::{
    AgentBeat, AgentGet, AgentHeartbeat, AgentList, AgentRemove, AgentRemoved, AgentRoute,
    Register, RoutedAgent, RoutedAgents,
};
pub use work::{Claim, Claimed, ClaimedItem, Complete, Fail, LeaseEnded, QueueHeartbeat, Release};

use super::{Agent, Lease, LeaseOutcome, QueueItem, seconds_after, sql};
use crate::{items, projects};
use athena_core::{Code, Ctx, Error, ProjectId, Result};
use athena_db::{BoxFuture, Executor};
use athena_search::ItemRef;
use athena_store::Write;
use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

/// Returns the project of a call about one that must exist: the one it names, else the
/// surroundings' own.
async fn project_of(db: &impl Executor, ctx: &Ctx, name: Option<&str>) -> Result<ProjectId> {
    projects::named(db, name.unwrap_or(ctx.project())).await
}

/// Returns an agent, or says that it is not registered.
async fn registered(
    db: &impl Executor,
    project: ProjectId,
    name: &str,
    now: Timestamp,
) -> Result<Agent> {
    sql::agent(db, project, name, now).await?.ok_or_else(|| {
        let message = format!(
            "agent `{name}` is not registered in this project; register it with `agent.register`"
        );
        Error::new(Code::NotFound, message).with_field("agent")
    })
}

/// Returns a queue item, or says that it does not exist.
async fn existing_item(db: &impl Executor, id: i64) -> Result<QueueItem> {
    sql::item(db, id)
        .await?
        .ok_or_else(|| Error::not_found(format_args!("queue item `{id}`")).with_field("id"))
}

/// Returns the project of the queue item that an input names by `id`.
fn home_of_item<'a>(ctx: &'a Ctx, input: &'a Value) -> BoxFuture<'a, Result<Option<String>>> {
    Box::pin(async move {
        let item = existing_item(ctx.db(), input["id"].as_i64().unwrap_or_default()).await?;
        projects::name(ctx.db(), item.project_id).await.map(Some)
    })
}

/// Returns the project of the lease that an input names by `token`.
fn home_of_lease<'a>(ctx: &'a Ctx, input: &'a Value) -> BoxFuture<'a, Result<Option<String>>> {
    Box::pin(async move {
        let token = Uuid::parse_str(input["token"].as_str().unwrap_or_default());
        let token = token.map_err(|_| Error::invalid("token", "must be the token of a lease"))?;
        let lease = existing_lease(ctx.db(), token).await?;
        projects::name(ctx.db(), lease.project_id).await.map(Some)
    })
}

async fn existing_lease(db: &impl Executor, token: Uuid) -> Result<Lease> {
    sql::lease(db, token).await?.ok_or_else(|| {
        Error::new(
            Code::NotFound,
            "no lease has this token; a claim answers one",
        )
        .with_field("token")
    })
}

/// Locks a lease against other writers until the commit, and returns it as it is then.
async fn locked_lease(write: &Write<'_>, token: Uuid) -> Result<Lease> {
    sql::lock_lease(write.tx(), token).await?;
    existing_lease(write.tx(), token).await
}

/// Says that a lease is held no more, and who has the resource now.
async fn lost(write: &Write<'_>, lease: &Lease) -> Result<Error> {
    let ended = match lease.outcome {
        None | Some(LeaseOutcome::Expired) => format!("expired at {}", lease.expires_at),
        Some(outcome) => format!("ended already: {}", outcome.as_str()),
    };
    let (kind, name) = lease.resource.split_once(':').unwrap_or_default();
    let holder = sql::holder(write.tx(), lease.project_id, kind, name).await?;
    let holder = holder.filter(|it| it.id != lease.id && it.is_held(write.now()));
    let resource = &lease.resource;
    let error = match holder {
        Some(holder) => {
            let message = format!(
                "the lease of `{resource}` {ended}, and it was given to `{}` until {}; \
                 leave it to that agent and claim something else",
                holder.agent, holder.expires_at
            );
            Error::new(Code::Conflict, message)
        }
        None => {
            let message = format!(
                "the lease of `{resource}` {ended}; it is nobody's now: claim or acquire again \
                 what is to be worked on, and renew leases before they expire"
            );
            Error::new(Code::InvalidState, message)
        }
    };
    Ok(error.with_field("token"))
}

/// Tells those who follow what changes of a queue item.
pub(super) fn note_item(write: &Write<'_>, project: ProjectId, id: i64) {
    let kind = items::QUEUE_ITEM;
    write.note(project, ItemRef { kind, id });
}

/// Returns the time at which a lease of some seconds ends.
fn until(now: Timestamp, seconds: u32) -> Timestamp {
    seconds_after(now, i64::from(seconds))
}

/// Refuses objects that are too large to be handed around.
fn check_size(field: &str, object: Option<&Map<String, Value>>) -> Result<()> {
    let Some(object) = object else {
        return Ok(());
    };
    let bytes = serde_json::to_string(object)
        .map_err(Error::internal)?
        .len();
    if bytes <= super::MAX_PAYLOAD_BYTES {
        return Ok(());
    }
    let message = format!(
        "`{field}` has {bytes} bytes as JSON, at most {} are allowed; store it elsewhere and say where",
        super::MAX_PAYLOAD_BYTES
    );
    Err(Error::new(Code::ContentTooLarge, message).with_field(field))
}
