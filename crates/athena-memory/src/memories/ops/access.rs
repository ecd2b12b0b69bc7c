//! Counting use: by an explicit call, and quietly with every recall.
//!
//! Recall writes nothing. What it found is counted in memory and stored at most once a second by
//! [`FlushRetrievals`]; a count that is lost with a killed process was never promised.

use super::existing;
use crate::memories::sql;
use athena_core::{Ctx, Env, MemoryId, Operation, Result, Spec};
use athena_db::BoxFuture;
use athena_store::{Chore, Intent, write};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts one use of a memory, now. Recalling counts by itself; call this when a memory was used in
/// another way.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateAccessStats {
    /// The memory's id.
    #[schemars(range(min = 1))]
    pub id: i64,
}

/// How often a memory was used.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AccessStats {
    /// The memory's id.
    pub id: MemoryId,
    /// How often it was used.
    pub access_count: i64,
    /// When it was used last.
    pub last_accessed: Timestamp,
}

impl Operation for UpdateAccessStats {
    const SPEC: Spec = Spec::act("memory.update_access_stats", "/memories/{id}/access");
    type Output = AccessStats;

    async fn call(self, ctx: &Ctx) -> Result<AccessStats> {
        let id = MemoryId(self.id);
        write(
            ctx,
            Intent::new("memory.update_access_stats"),
            move |write| {
                Box::pin(async move {
                    let memory = existing(write.tx(), id).await?;
                    sql::count_access(write.tx(), id, 1, write.now()).await?;
                    Ok(AccessStats {
                        id,
                        access_count: memory.access_count + 1,
                        last_accessed: write.now(),
                    })
                })
            },
        )
        .await
    }
}

/// What was recalled since it was stored last.
#[derive(Debug, Default)]
pub struct Retrievals(Mutex<BTreeMap<MemoryId, (i64, Timestamp)>>);

impl Retrievals {
    /// Counts one retrieval of each memory.
    pub fn count(&self, ids: impl IntoIterator<Item = MemoryId>, at: Timestamp) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for id in ids {
            let entry = counts.entry(id).or_insert((0, at));
            *entry = (entry.0 + 1, entry.1.max(at));
        }
    }

    fn take(&self) -> BTreeMap<MemoryId, (i64, Timestamp)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Stores what was counted.
#[derive(Debug)]
pub struct FlushRetrievals;

impl Chore for FlushRetrievals {
    fn run<'a>(&'a self, env: &'a Arc<Env>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let counts = Arc::new(env.part::<Retrievals>().take());
            if counts.is_empty() {
                return Ok(());
            }
            let ctx = Ctx::for_own_work(Arc::clone(env));
            let intent = Intent::new("memory.count_retrievals").of_items(counts.len());
            write(&ctx, intent, move |write| {
                let counts = Arc::clone(&counts);
                Box::pin(async move {
                    for (id, (times, at)) in &*counts {
                        sql::count_access(write.tx(), *id, *times, *at).await?;
                    }
                    Ok(())
                })
            })
            .await
        })
    }
}
