//! Operations on events, by what they are for.

mod around;
mod change;
mod cursor;
mod purge;
mod read;
mod record;
mod search;
mod span;

pub use around::{Around, ChangesSincePass, EventsAround, SinceTestPassed};
pub use change::{
    Consolidate, EventConsolidated, EventRemoved, EventUsed, MarkUsed, Remove, Restore,
};
pub use cursor::{
    PurgeSourceCursor, SetSourceCursor, SourceCursor, SourceCursorPurged, SourcePosition,
};
pub use purge::{EventPurged, Purge};
pub use read::{EventInFull, EventOrder, Get, Learned, Timeline};
pub use record::{BatchStats, Record, RecordBatch, Recorded, RecordedBatch};
pub use search::{EventHit, EventsFound, Search};
#[cfg(test)]
pub(super) use span::compared;
pub use span::{Compare, Compared, EventMoment, EventSpan, Gap, Measurement, Relation, SpanOf};

use super::{Event, searched, sql};
use crate::projects;
use athena_core::{Code, Ctx, Error, EventId, ProjectId, Result};
use athena_db::Executor;
use athena_store::Write;

/// Returns the event, removed or not, or says that it does not exist.
async fn existing(db: &impl Executor, id: EventId) -> Result<Event> {
    sql::by_id(db, id)
        .await?
        .ok_or_else(|| Error::not_found(format_args!("event `{id}`")).with_field("id"))
}

/// Returns the event that a field names, unless it was removed.
async fn there(db: &impl Executor, id: EventId, field: &str) -> Result<Event> {
    let event = existing(db, id)
        .await
        .map_err(|error| error.with_field(field))?;
    if event.removed_at.is_none() {
        return Ok(event);
    }
    let message = format!("event `{id}` was removed; restore it, or list with `removed`");
    Err(Error::new(Code::NotFound, message).with_field(field))
}

/// Locks an event against other writers until the commit, and returns it as it is then.
async fn locked(write: &Write<'_>, id: EventId) -> Result<Event> {
    sql::lock(write.tx(), id).await?;
    existing(write.tx(), id).await
}

/// Reads an event back after a change, and tells search and those who follow what changes.
async fn changed(write: &Write<'_>, id: EventId) -> Result<Event> {
    let event = existing(write.tx(), id).await?;
    searched::log_state(write, &event);
    Ok(event)
}

/// Returns the project of a call about one project; none if the surroundings' own has nothing yet.
async fn own_project(ctx: &Ctx, name: Option<&str>) -> Result<Option<ProjectId>> {
    Ok(projects::own(ctx, name).await?.map(|project| project.id))
}
