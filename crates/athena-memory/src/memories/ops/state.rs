//! The states of consolidation, and the window in which a recalled memory is open to change.

use super::{changed, locked, own_project};
use crate::memories::{ConsolidationState, Memory, sql};
use athena_core::{Code, Ctx, Error, MemoryId, Operation, Result, Spec};
use athena_store::{Intent, Write, write};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Moves a memory to another state of consolidation. The cycle is unconsolidated, consolidating,
/// consolidated, labile, reconsolidating, consolidated; any current memory may become labile.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateConsolidationState {
    /// The memory's id.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// The state it goes to. `superseded` is reached only by an update.
    pub state: ConsolidationState,
}

/// A memory's state after a change.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct StateChanged {
    /// The memory's id.
    pub id: MemoryId,
    /// The state it was in.
    pub from: ConsolidationState,
    /// The state it is in.
    pub state: ConsolidationState,
    /// When it was consolidated last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consolidated_at: Option<Timestamp>,
}

impl Operation for UpdateConsolidationState {
    const SPEC: Spec = Spec::act("memory.update_consolidation_state", "/memories/{id}/state")
        .idempotent()
        .errors(&[Code::InvalidState]);
    type Output = StateChanged;

    async fn call(self, ctx: &Ctx) -> Result<StateChanged> {
        write(
            ctx,
            Intent::new("memory.update_consolidation_state"),
            move |write| {
                let update = self.clone();
                Box::pin(
                    async move { change_state(write, MemoryId(update.id), update.state).await },
                )
            },
        )
        .await
    }
}

async fn change_state(
    write: &Write<'_>,
    id: MemoryId,
    next: ConsolidationState,
) -> Result<StateChanged> {
    let memory = locked(write, id).await?;
    if !memory.state.may_become(next) {
        let message = format!(
            "memory `{id}` is `{}` and cannot become `{}`",
            memory.state.as_str(),
            next.as_str()
        );
        return Err(Error::new(Code::InvalidState, message).with_field("state"));
    }
    sql::set_state(write.tx(), id, next, write.now()).await?;
    let after = changed(write, id).await?;
    Ok(StateChanged {
        id,
        from: memory.state,
        state: after.state,
        consolidated_at: after.consolidated_at,
    })
}

/// Lists the memories that are open to change: consolidated or labile ones that were recalled within
/// the window, the latest first. Once the window has passed they count as settled again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReconsolidationWindow {
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// How long a memory stays open after a recall.
    #[serde(default = "default_window")]
    #[schemars(range(min = 1, max = 10_080))]
    pub window_minutes: u32,
    /// How many to answer at most.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 1_000))]
    pub limit: u32,
}

fn default_window() -> u32 {
    60
}

fn default_limit() -> u32 {
    100
}

/// A memory that is open to change.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LabileMemory {
    /// How many seconds ago it was recalled.
    pub seconds_since_retrieval: i64,
    /// The memory.
    pub memory: Memory,
}

/// The memories that are open to change.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LabileMemories {
    /// The memories, the latest recalled first.
    pub memories: Vec<LabileMemory>,
}

impl Operation for ReconsolidationWindow {
    const SPEC: Spec = Spec::read("memory.reconsolidation_window", "/reconsolidation-window");
    type Output = LabileMemories;

    async fn call(self, ctx: &Ctx) -> Result<LabileMemories> {
        let now = ctx.now();
        let window = SignedDuration::from_mins(i64::from(self.window_minutes));
        let since = now.checked_sub(window).unwrap_or(Timestamp::MIN);
        let projects = own_project(ctx, self.project.as_deref()).await?;
        let memories = sql::labile(ctx.db(), &projects, since, i64::from(self.limit)).await?;
        let memories = memories.into_iter().map(|memory| {
            let retrieved = memory.last_retrieved_at.unwrap_or(now);
            LabileMemory {
                seconds_since_retrieval: now.duration_since(retrieved).as_secs().max(0),
                memory,
            }
        });
        Ok(LabileMemories {
            memories: memories.collect(),
        })
    }
}
