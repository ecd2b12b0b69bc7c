//! Removing for good, with a receipt.

use super::locked;
use crate::events::{Event, searched, sql};
use crate::projects;
use athena_core::{Ctx, Error, EventId, Operation, Result, Spec};
use athena_db::Executor;
use athena_store::{Intent, Write, forget_values, remove_item, tokens_in, write};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Removes an event for good, with its files, its numbers and its traces in the search index. This
/// cannot be undone. The receipt says what was removed and what is still owed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EventPurge")]
pub struct Purge {
    /// The event's id.
    #[schemars(range(min = 1))]
    pub id: i64,
}

/// What was removed for good, and what the database still owes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct EventPurged {
    /// The `uid` of the event.
    pub uid: Uuid,
    /// When it was removed.
    pub purged_at: Timestamp,
    /// How many mentions of files were removed.
    pub files: u64,
    /// How many numbers that were measured were removed.
    pub metrics: u64,
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
    const SPEC: Spec = Spec::act("event.purge", "/events/{id}/purge")
        .destructive()
        .command(&["event", "purge"])
        .positional(&["id"]);
    type Output = EventPurged;

    async fn call(self, ctx: &Ctx) -> Result<EventPurged> {
        let id = EventId(self.id);
        let mut receipt = write(ctx, Intent::new("event.purge"), move |write| {
            Box::pin(async move { purge_one(write, id).await })
        })
        .await?;
        receipt.owed.extend(athena_store::erase_residue(ctx).await?);
        Ok(receipt)
    }
}

async fn purge_one(write: &Write<'_>, id: EventId) -> Result<EventPurged> {
    let event = locked(write, id).await?;
    let project = projects::name(write.tx(), event.project_id).await?;
    let tokens = tokens_of(write, &event).await?;
    let search_records = remove_item(write, event.project_id, searched::item(id)).await?;
    let rows = sql::purge(write.tx(), id, event.uid).await?;
    Ok(EventPurged {
        uid: event.uid,
        purged_at: write.now(),
        files: rows.files,
        metrics: rows.metrics,
        search_records,
        kept_answers: rows.kept_answers,
        sealed_values: forget_values(write, &project, &tokens).await?,
        owed: athena_store::owed_after_purge(write.tx().dialect()),
    })
}

/// Returns the tokens in everything that is removed with an event.
async fn tokens_of(write: &Write<'_>, event: &Event) -> Result<BTreeSet<String>> {
    let mut texts = sql::texts_beside(write.tx(), event.id).await?;
    texts.push(serde_json::to_string(event).map_err(Error::internal)?);
    Ok(texts.iter().flat_map(|text| tokens_in(text)).collect())
}
