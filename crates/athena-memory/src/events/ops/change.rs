//! What changes about an event: its use, its place in consolidation, and whether it is there.

use super::{changed, locked, there};
use crate::events::{ConsolidationStatus, Event, searched, sql};
use athena_core::{Code, Ctx, Error, EventId, MemoryId, Operation, Result, Spec};
use athena_store::{Intent, Write, write};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Counts one use of an event, now: it was of help, or something was done because of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EventMarkUsed")]
pub struct MarkUsed {
    /// The event's id.
    #[schemars(range(min = 1))]
    pub id: i64,
}

/// How often an event was of use.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct EventUsed {
    /// The event's id.
    pub id: EventId,
    /// How often it was of use.
    pub uses: i64,
    /// When it was of use last.
    pub last_used_at: Timestamp,
}

impl Operation for MarkUsed {
    const SPEC: Spec = Spec::act("event.mark_used", "/events/{id}/use");
    type Output = EventUsed;

    async fn call(self, ctx: &Ctx) -> Result<EventUsed> {
        let id = EventId(self.id);
        write(ctx, Intent::new("event.mark_used"), move |write| {
            Box::pin(async move {
                let event = locked_there(write, id).await?;
                sql::count_use(write.tx(), id, write.now()).await?;
                write.note(event.project_id, searched::item(id));
                Ok(EventUsed {
                    id,
                    uses: event.uses + 1,
                    last_used_at: write.now(),
                })
            })
        })
        .await
    }
}

/// Locks an event that was not removed.
async fn locked_there(write: &Write<'_>, id: EventId) -> Result<Event> {
    sql::lock(write.tx(), id).await?;
    there(write.tx(), id, "id").await
}

/// Notes where an event stands in consolidation, and which memory keeps what it taught.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EventConsolidate")]
pub struct Consolidate {
    /// The event's id.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// Where it stands now.
    pub status: ConsolidationStatus,
    /// The id of the memory that keeps what it taught, of the same project.
    #[schemars(range(min = 1))]
    pub memory: Option<i64>,
}

/// Where an event stands in consolidation.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct EventConsolidated {
    /// The event's id.
    pub id: EventId,
    /// Where it stood before.
    pub from: ConsolidationStatus,
    /// Where it stands now.
    pub status: ConsolidationStatus,
    /// When it was consolidated last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consolidated_at: Option<Timestamp>,
    /// The memory that keeps what it taught.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_id: Option<MemoryId>,
}

impl Operation for Consolidate {
    const SPEC: Spec = Spec::act("event.consolidate", "/events/{id}/consolidation").idempotent();
    type Output = EventConsolidated;

    async fn call(self, ctx: &Ctx) -> Result<EventConsolidated> {
        let (id, status) = (EventId(self.id), self.status);
        let memory = self.memory.map(MemoryId);
        write(ctx, Intent::new("event.consolidate"), move |write| {
            Box::pin(async move { consolidate(write, id, status, memory).await })
        })
        .await
    }
}

async fn consolidate(
    write: &Write<'_>,
    id: EventId,
    status: ConsolidationStatus,
    memory: Option<MemoryId>,
) -> Result<EventConsolidated> {
    let before = locked_there(write, id).await?;
    if let Some(memory) = memory
        && !sql::has_memory(write.tx(), before.project_id, memory).await?
    {
        let error = Error::not_found(format_args!("memory `{memory}` of the same project"));
        return Err(error.with_field("memory"));
    }
    sql::set_status(write.tx(), id, status, memory, write.now()).await?;
    write.note(before.project_id, searched::item(id));
    let after = there(write.tx(), id, "id").await?;
    Ok(EventConsolidated {
        id,
        from: before.consolidation_status,
        status: after.consolidation_status,
        consolidated_at: after.consolidated_at,
        memory_id: after.memory_id,
    })
}

/// Removes an event: it goes out of the timeline and the search, and can be restored.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EventRemove")]
pub struct Remove {
    /// The event's id.
    #[schemars(range(min = 1))]
    pub id: i64,
}

/// An event that was removed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct EventRemoved {
    /// The event's id.
    pub id: EventId,
    /// When it was removed.
    pub removed_at: Timestamp,
}

impl Operation for Remove {
    const SPEC: Spec = Spec::remove("event.remove", "/events/{id}")
        .command(&["event", "remove"])
        .positional(&["id"]);
    type Output = EventRemoved;

    async fn call(self, ctx: &Ctx) -> Result<EventRemoved> {
        let id = EventId(self.id);
        write(ctx, Intent::new("event.remove"), move |write| {
            Box::pin(async move {
                let event = locked(write, id).await?;
                if event.removed_at.is_none() {
                    sql::remove(write.tx(), id, write.now()).await?;
                    changed(write, id).await?;
                }
                Ok(EventRemoved {
                    id,
                    removed_at: event.removed_at.unwrap_or_else(|| write.now()),
                })
            })
        })
        .await
    }
}

/// Restores an event that was removed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EventRestore")]
pub struct Restore {
    /// The event's id.
    #[schemars(range(min = 1))]
    pub id: i64,
}

impl Operation for Restore {
    const SPEC: Spec = Spec::act("event.restore", "/events/{id}/restore")
        .idempotent()
        .command(&["event", "restore"])
        .positional(&["id"])
        .errors(&[Code::Conflict]);
    type Output = Event;

    async fn call(self, ctx: &Ctx) -> Result<Event> {
        let id = EventId(self.id);
        write(ctx, Intent::new("event.restore"), move |write| {
            Box::pin(async move { restore_one(write, id).await })
        })
        .await
    }
}

async fn restore_one(write: &Write<'_>, id: EventId) -> Result<Event> {
    let event = locked(write, id).await?;
    if event.removed_at.is_none() {
        return Ok(event);
    }
    if let Some(same) = recorded_anew(write, &event).await? {
        let message = format!("event `{same}` says the same and is there; remove it first");
        return Err(Error::new(Code::Conflict, message).with_field("id"));
    }
    sql::restore(write.tx(), id).await?;
    changed(write, id).await
}

/// Returns the event that was recorded in the place of one that was removed, if there is one.
async fn recorded_anew(write: &Write<'_>, event: &Event) -> Result<Option<EventId>> {
    let keys: Vec<&str> = event.idempotency_key.as_deref().into_iter().collect();
    let keyed = sql::with_keys(write.tx(), event.project_id, &keys).await?;
    if let Some((_, same, _)) = keyed.first() {
        return Ok(Some(*same));
    }
    let same = searched::same(write, event, &searched::identity(event)).await?;
    Ok(same.into_iter().next())
}
