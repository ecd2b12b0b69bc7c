//! Takes back what the earlier calls of an import stored, when a later one fails.
//!
//! Every record of an import has a `uid` before it is sent, and every row that the import makes has
//! an id above all that were there before. Both together tell its memories from those of others
//! who write at the same time.

use athena_core::{Ctx, Registry, Result};
use serde_json::{Value, json};
use std::collections::HashSet;

/// What may have to be taken back.
#[derive(Debug, Default)]
pub(super) struct Undo {
    /// The newest id before the import; `None` when one call stores everything and undoes itself.
    newest: Option<u64>,
    uids: HashSet<String>,
}

/// The lists that together hold every memory of a project.
const LISTS: [&str; 3] = ["current", "superseded", "forgotten"];

impl Undo {
    /// Notes what is there before the first call.
    ///
    /// # Errors
    ///
    /// As `memory.list`.
    pub(super) async fn prepare(registry: &Registry, ctx: &Ctx) -> Result<Self> {
        let mut newest = 0;
        for list in LISTS {
            let page = match page(registry, ctx, list, None, 1).await {
                Err(error) if error.is_not_found() => continue,
                page => page?,
            };
            newest = newest.max(page["items"][0]["id"].as_u64().unwrap_or(0));
        }
        Ok(Self {
            newest: Some(newest),
            uids: HashSet::new(),
        })
    }

    /// Whether what is there was noted.
    pub(super) fn is_prepared(&self) -> bool {
        self.newest.is_some()
    }

    /// Notes records that are about to be stored.
    pub(super) fn note(&mut self, records: &[Value]) {
        if self.newest.is_some() {
            self.uids.extend(
                records
                    .iter()
                    .filter_map(|record| record["uid"].as_str())
                    .map(str::to_owned),
            );
        }
    }

    /// Purges what was stored; says what could not be.
    pub(super) async fn run(&self, registry: &Registry, ctx: &Ctx) -> Option<String> {
        let newest = self.newest.filter(|_| !self.uids.is_empty())?;
        match self.purge(registry, ctx, newest).await {
            Ok(()) => None,
            Err(error) => Some(format!(
                "warning: what was imported before the failure could not be taken back ({error}); import the file \
                 again when the cause is gone: what is known is skipped"
            )),
        }
    }

    async fn purge(&self, registry: &Registry, ctx: &Ctx, newest: u64) -> Result<()> {
        for list in LISTS {
            for id in self.stored(registry, ctx, list, newest).await? {
                // An earlier purge may have taken this version along with its lineage.
                match registry
                    .call("memory.purge", ctx, json!({ "id": id }), None)
                    .await
                {
                    Err(error) if !error.is_not_found() => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Returns the ids of this import's memories in a list.
    async fn stored(
        &self,
        registry: &Registry,
        ctx: &Ctx,
        list: &str,
        newest: u64,
    ) -> Result<Vec<u64>> {
        let mut ids = Vec::new();
        let mut cursor = None;
        loop {
            let page = match page(registry, ctx, list, cursor, 500).await {
                Err(error) if error.is_not_found() => return Ok(ids),
                page => page?,
            };
            for item in page["items"].as_array().into_iter().flatten() {
                let id = item["id"].as_u64().unwrap_or(0);
                if id <= newest {
                    return Ok(ids);
                }
                // A version of a lineage that was here before stays: purging takes all of a lineage.
                let is_ours = |field: &str| {
                    item[field]
                        .as_str()
                        .is_some_and(|uid| self.uids.contains(uid))
                };
                if is_ours("uid") && is_ours("lineage") {
                    ids.push(id);
                }
            }
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                return Ok(ids);
            }
        }
    }
}

async fn page(
    registry: &Registry,
    ctx: &Ctx,
    list: &str,
    cursor: Option<String>,
    limit: u32,
) -> Result<Value> {
    let mut input = json!({"limit": limit, "cursor": cursor});
    match list {
        "superseded" => input["state"] = list.into(),
        "forgotten" => input["forgotten"] = true.into(),
        _ => {}
    }
    registry.call("memory.list", ctx, input, None).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::{self, Store};
    use athena_db::Durability;
    use athena_embed::EmbedderConfig;

    #[tokio::test]
    async fn only_what_was_imported_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let embedders = athena_embed::build(&EmbedderConfig::default()).unwrap();
        let path = folder.path().join("undo.db");
        let store = Store::open_file(
            &path,
            Durability::Normal,
            embedders,
            compose::passing_privacy(athena_privacy::Policy::default()).unwrap(),
            "p",
        )
        .await
        .unwrap();
        let (registry, ctx) = (compose::registry(), store.ctx("cli"));
        let remember = async |content: &str| {
            registry
                .call("memory.remember", &ctx, json!({ "content": content }), None)
                .await
                .unwrap()
        };
        let known = remember("before").await;
        let mut undo = Undo::prepare(&registry, &ctx).await.unwrap();
        let records = [
            json!({"uid": "01890000-0000-7000-8000-000000000001", "content": "ours"}),
            json!({"uid": "01890000-0000-7000-8000-000000000002", "content": "ours, forgotten", "forgotten_at": "2024-03-15T00:00:00Z"}),
            json!({"uid": known["uid"], "content": "known"}),
        ];
        undo.note(&records);
        let imported = registry
            .call("memory.import", &ctx, json!({ "memories": records }), None)
            .await
            .unwrap();
        assert_eq!(imported["imported"], 2);
        remember("meanwhile, by somebody else").await;

        assert_eq!(undo.run(&registry, &ctx).await, None);
        let page = registry
            .call("memory.export", &ctx, json!({}), None)
            .await
            .unwrap();
        let left: Vec<&str> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|item| item["content"].as_str())
            .collect();
        assert_eq!(left, ["before", "meanwhile, by somebody else"]);
        store.close().await.unwrap();
    }

    #[test]
    fn an_import_of_one_call_has_nothing_to_take_back() {
        let mut undo = Undo::default();
        undo.note(&[json!({"uid": "u"})]);
        assert!(undo.uids.is_empty());
    }
}
