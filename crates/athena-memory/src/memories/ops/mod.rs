//! Operations on memories, by what they are for.

mod access;
mod change;
mod exchange;
mod feedback;
mod purge;
mod read;
mod recall;
mod reembed;
mod relations;
mod remember;
mod state;

pub use access::{AccessStats, FlushRetrievals, Retrievals, UpdateAccessStats};
pub use change::{Forget, Forgotten, Restore, Update, Updated};
pub use exchange::{Export, Import, Imported, MemoryRecord, RelationRecord};
pub use feedback::{Feedback, FeedbackGiven};
pub use purge::{Purge, PurgeReceipt};
pub use read::{Get, History, List};
pub use recall::{
    Fusion, HybridHit, HybridMemories, HybridSearch, Mode, Recall, Recalled, RecalledMemory,
    SemanticHit, SemanticSearch, SimilarMemories,
};
pub use reembed::{Reembed, ReembedAsked, ReembedProject};
pub use relations::{Relate, Related, Relation, Relations};
#[cfg(test)]
pub(super) use remember::check_content;
pub(super) use remember::identity;
pub use remember::{Remember, RememberBatch, Remembered, RememberedBatch};
pub use state::{
    LabileMemories, LabileMemory, ReconsolidationWindow, StateChanged, UpdateConsolidationState,
};

use super::{Memory, indexing, sql};
use crate::projects;
use athena_core::{Ctx, Error, MemoryId, ProjectId, Result};
use athena_db::{BoxFuture, Executor};
use athena_store::Write;
use serde_json::Value;

/// Returns the memory, or says that it does not exist.
pub(super) async fn existing(db: &impl Executor, id: MemoryId) -> Result<Memory> {
    sql::by_id(db, id)
        .await?
        .ok_or_else(|| Error::not_found(format_args!("memory `{id}`")).with_field("id"))
}

/// Returns the project of the memory that an input names by `id`.
pub(super) fn home_of_memory<'a>(
    ctx: &'a Ctx,
    input: &'a Value,
) -> BoxFuture<'a, Result<Option<String>>> {
    Box::pin(async move {
        let id = MemoryId(input["id"].as_i64().unwrap_or_default());
        let memory = existing(ctx.db(), id).await?;
        projects::name(ctx.db(), memory.project_id).await.map(Some)
    })
}

/// Locks a memory against other writers until the commit, and returns it as it is then.
pub(super) async fn locked(write: &Write<'_>, id: MemoryId) -> Result<Memory> {
    sql::lock(write.tx(), id).await?;
    existing(write.tx(), id).await
}

/// Reads a memory back after a change and tells search of its state.
pub(super) async fn changed(write: &Write<'_>, id: MemoryId) -> Result<Memory> {
    let memory = existing(write.tx(), id).await?;
    write.log(memory.project_id, indexing::attributes_record(&memory));
    Ok(memory)
}

/// Returns the project of a call about one project; none if the surroundings' own has nothing yet.
pub(super) async fn own_project(ctx: &Ctx, name: Option<&str>) -> Result<Vec<ProjectId>> {
    let own = projects::own(ctx, name).await?;
    Ok(own.into_iter().map(|project| project.id).collect())
}
