//! How memories are related.

use super::read::remembered;
use super::{existing, home_of_memory};
use crate::memories::sql;
use athena_core::{Code, Ctx, Error, MemoryId, Operation, Page, Result, Spec};
use athena_db::BoxFuture;
use athena_store::{Intent, Write, write};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Relates one memory to another, such as "contradicts", "follows" or "explains". Relating the same
/// two in the same way again sets the strength anew.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Relate {
    /// The memory that the relation starts from.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// The memory that it leads to, of the same project.
    #[schemars(range(min = 1))]
    pub to: i64,
    /// How they are related.
    #[schemars(length(min = 1, max = 50))]
    pub relation: String,
    /// How strongly; 1 unless given.
    #[schemars(range(min = 0, max = 1))]
    pub strength: Option<f64>,
}

/// A relation between two memories.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Relation {
    /// The memory that the relation starts from.
    pub from: MemoryId,
    /// The memory that it leads to.
    pub to: MemoryId,
    /// How they are related.
    pub relation: String,
    /// How strongly, 0 to 1.
    pub strength: f64,
}

/// A relation that was stored.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Related {
    /// The relation's id.
    pub id: i64,
}

impl Operation for Relate {
    const SPEC: Spec = Spec::create("memory.relate", "/memories/{id}/relations")
        .errors(&[Code::Conflict])
        .idempotent()
        .command(&["relate"])
        .positional(&["id", "to"]);
    type Output = Related;

    fn home<'a>(ctx: &'a Ctx, input: &'a Value) -> BoxFuture<'a, Result<Option<String>>> {
        home_of_memory(ctx, input)
    }

    async fn call(self, ctx: &Ctx) -> Result<Related> {
        let relate = Arc::new(self);
        write(ctx, Intent::new("memory.relate"), move |write| {
            let relate = Arc::clone(&relate);
            Box::pin(async move { relate_two(write, &relate).await })
        })
        .await
    }
}

async fn relate_two(write: &Write<'_>, relate: &Relate) -> Result<Related> {
    let from = existing(write.tx(), MemoryId(relate.id)).await?;
    let to = sql::by_id(write.tx(), MemoryId(relate.to)).await?;
    let to = to
        .filter(|to| to.project_id == from.project_id && to.id != from.id)
        .ok_or_else(|| {
            let message = format!(
                "`to` must be another memory of the same project, `{}` is not",
                relate.to
            );
            Error::new(Code::Conflict, message).with_field("to")
        })?;
    let relation = Relation {
        from: from.id,
        to: to.id,
        relation: relate.relation.clone(),
        strength: relate.strength.unwrap_or(1.0),
    };
    let principal = &write.ctx().caller().principal;
    let id = sql::relate(
        write.tx(),
        from.project_id,
        &relation,
        principal,
        write.now(),
    )
    .await?;
    Ok(Related { id })
}

/// Lists the relations of a memory, in both directions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Relations {
    /// The memory's id.
    #[schemars(range(min = 1))]
    pub id: i64,
}

impl Operation for Relations {
    const SPEC: Spec = Spec::read("memory.relations", "/memories/{id}/relations")
        .command(&["relations"])
        .positional(&["id"]);
    type Output = Page<Relation>;

    async fn call(self, ctx: &Ctx) -> Result<Page<Relation>> {
        let memory = remembered(ctx.db(), MemoryId(self.id)).await?;
        Ok(Page {
            items: sql::relations(ctx.db(), memory.id, 10_000).await?,
            next_cursor: None,
        })
    }
}
