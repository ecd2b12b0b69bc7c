//! Removing for good, with a receipt.

use super::locked;
use crate::memories::{Memory, indexing, sql};
use crate::projects;
use athena_core::{Ctx, Error, MemoryId, Operation, Result, Spec};
use athena_db::Executor;
use athena_store::{Intent, Write, forget_values, remove_item, tokens_in, write};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Removes a memory for good, with all its versions, vectors, relations and traces in the search
/// index. This cannot be undone. The receipt says what was removed and what is still owed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Purge {
    /// The id of any of its versions.
    #[schemars(range(min = 1))]
    pub id: i64,
}

/// What was removed for good, and what the database still owes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PurgeReceipt {
    /// The `uid` of the memory's first version.
    pub lineage: Uuid,
    /// When it was removed.
    pub purged_at: Timestamp,
    /// How many versions were removed.
    pub versions: u64,
    /// How many vectors were removed.
    pub vectors: u64,
    /// How many relations were removed.
    pub relations: u64,
    /// How many votes were removed.
    pub feedback: u64,
    /// How many records of the search log were blanked.
    pub search_records: u64,
    /// How many kept answers to idempotent requests were removed.
    pub kept_answers: u64,
    /// How many sealed personal values were removed that nothing else mentions.
    #[serde(default)]
    pub sealed_values: u64,
    /// What may still hold its bytes, and how to have that removed too.
    pub owed: Vec<String>,
}

impl Operation for Purge {
    const SPEC: Spec = Spec::act("memory.purge", "/memories/{id}/purge")
        .destructive()
        .command(&["purge"])
        .positional(&["id"]);
    type Output = PurgeReceipt;

    async fn call(self, ctx: &Ctx) -> Result<PurgeReceipt> {
        let id = MemoryId(self.id);
        let mut receipt = write(ctx, Intent::new("memory.purge"), move |write| {
            Box::pin(async move { purge_one(write, id).await })
        })
        .await?;
        receipt.owed.extend(athena_store::erase_residue(ctx).await?);
        Ok(receipt)
    }
}

async fn purge_one(write: &Write<'_>, id: MemoryId) -> Result<PurgeReceipt> {
    let memory = locked(write, id).await?;
    let versions = all_versions(write, &memory).await?;
    let mut receipt = PurgeReceipt {
        lineage: memory.lineage,
        purged_at: write.now(),
        versions: 0,
        vectors: 0,
        relations: 0,
        feedback: 0,
        search_records: 0,
        kept_answers: sql::purge_answers(write.tx(), memory.lineage).await?,
        sealed_values: 0,
        owed: athena_store::owed_after_purge(write.tx().dialect()),
    };
    let project = projects::name(write.tx(), memory.project_id).await?;
    let mut tokens = BTreeSet::new();
    for version in versions {
        tokens.extend(tokens_of(write, &version).await?);
        receipt.search_records +=
            remove_item(write, version.project_id, indexing::item(version.id)).await?;
        let rows = sql::purge_version(write.tx(), version.id).await?;
        receipt.versions += rows.versions;
        receipt.vectors += rows.passages;
        receipt.relations += rows.relations;
        receipt.feedback += rows.feedback;
    }
    receipt.sealed_values = forget_values(write, &project, &tokens).await?;
    Ok(receipt)
}

/// Returns the tokens in everything that is removed with a version.
async fn tokens_of(write: &Write<'_>, version: &Memory) -> Result<BTreeSet<String>> {
    let mut texts = sql::texts_beside(write.tx(), version.id).await?;
    texts.push(serde_json::to_string(version).map_err(Error::internal)?);
    Ok(texts.iter().flat_map(|text| tokens_in(text)).collect())
}

/// Locks and returns all versions, those included that another writer adds meanwhile.
async fn all_versions(write: &Write<'_>, memory: &Memory) -> Result<Vec<Memory>> {
    loop {
        let locked = sql::lock_versions(write.tx(), memory.project_id, memory.lineage).await?;
        let versions = sql::versions(write.tx(), memory.project_id, memory.lineage).await?;
        if u64::try_from(versions.len()).ok() == Some(locked) {
            return Ok(versions);
        }
    }
}
