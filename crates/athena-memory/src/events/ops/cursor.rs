//! How far sources of events were read, so that the next time goes on from there.

use super::own_project;
use crate::events::sql;
use crate::projects;
use crate::removal::{collect_tokens, forget_answers_saying};
use athena_core::{Ctx, Error, Operation, Result, Spec};
use athena_db::Executor;
use athena_store::{Intent, Write, forget_values, tokens_in, write};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Says how far a source of events was read: what was noted when it was read last.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EventSourceCursorGet")]
pub struct SourceCursor {
    /// The source, such as `git:main`.
    #[schemars(length(min = 1, max = 500))]
    pub source: String,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
}

/// How far a source of events was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "EventSourcePosition")]
pub struct SourcePosition {
    /// The source.
    pub source: String,
    /// What was noted, as it was given; absent if nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Map<String, Value>>,
    /// When it was noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
}

impl Operation for SourceCursor {
    const SPEC: Spec = Spec::read("event.cursor", "/event-cursor");
    type Output = SourcePosition;

    async fn call(self, ctx: &Ctx) -> Result<SourcePosition> {
        let noted = match own_project(ctx, self.project.as_deref()).await? {
            Some(project) => sql::source_position(ctx.db(), project, &self.source).await?,
            None => None,
        };
        let (position, updated_at) = noted.unzip();
        Ok(SourcePosition {
            source: self.source,
            position: position.and_then(|position| match position {
                Value::Object(map) => Some(map),
                _ => None,
            }),
            updated_at,
        })
    }
}

/// Notes how far a source of events was read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EventSourceCursorSet")]
pub struct SetSourceCursor {
    /// The source, such as `git:main`.
    #[schemars(length(min = 1, max = 500))]
    pub source: String,
    /// How far it was read, in whatever form the source goes on from.
    pub position: Map<String, Value>,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
}

impl Operation for SetSourceCursor {
    const SPEC: Spec = Spec::act("event.set_cursor", "/event-cursor").idempotent();
    type Output = SourcePosition;

    async fn call(self, ctx: &Ctx) -> Result<SourcePosition> {
        let set = Arc::new(self);
        write(ctx, Intent::new("event.set_cursor"), move |write| {
            let set = Arc::clone(&set);
            Box::pin(async move {
                let project = projects::for_writing(write, set.project.as_deref()).await?;
                let position = Value::Object(set.position.clone());
                let (tx, now) = (write.tx(), write.now());
                sql::set_source_position(tx, project.id, &set.source, &position, now).await?;
                Ok(SourcePosition {
                    source: set.source.clone(),
                    position: Some(set.position.clone()),
                    updated_at: Some(now),
                })
            })
        })
        .await
    }
}

/// Forgets for good how far a source of events was read: the next time begins anew. This cannot be
/// undone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EventSourceCursorPurge")]
pub struct PurgeSourceCursor {
    /// The source, such as `git:main`.
    #[schemars(length(min = 1, max = 500))]
    pub source: String,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
}

/// What was removed for good, and what the database still owes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "EventSourceCursorPurged")]
pub struct SourceCursorPurged {
    /// When it was removed.
    pub purged_at: Timestamp,
    /// How many kept answers to idempotent requests were removed.
    pub kept_answers: u64,
    /// How many sealed personal values were removed that nothing else mentions.
    pub sealed_values: u64,
    /// What may still hold its bytes, and how to have that removed too.
    pub owed: Vec<String>,
}

impl Operation for PurgeSourceCursor {
    const SPEC: Spec = Spec::act("event.purge_cursor", "/event-cursor/purge").destructive();
    type Output = SourceCursorPurged;

    async fn call(self, ctx: &Ctx) -> Result<SourceCursorPurged> {
        let purge = Arc::new(self);
        let mut receipt = write(ctx, Intent::new("event.purge_cursor"), move |write| {
            let purge = Arc::clone(&purge);
            Box::pin(async move { purge_cursor(write, &purge).await })
        })
        .await?;
        receipt.owed.extend(athena_store::erase_residue(ctx).await?);
        Ok(receipt)
    }
}

async fn purge_cursor(write: &Write<'_>, purge: &PurgeSourceCursor) -> Result<SourceCursorPurged> {
    let tx = write.tx();
    let name = purge.project.as_deref().unwrap_or(write.ctx().project());
    let project = projects::named(tx, name).await?;
    let noted = sql::source_position(tx, project, &purge.source).await?;
    let Some((position, _)) = noted else {
        let what = format_args!("a cursor of the source `{}`", purge.source);
        return Err(Error::not_found(what).with_field("source"));
    };
    let mut tokens = tokens_in(&purge.source);
    collect_tokens(&mut tokens, &position)?;
    sql::purge_source_position(tx, project, &purge.source).await?;
    let sources = BTreeSet::from([purge.source.clone()]);
    Ok(SourceCursorPurged {
        purged_at: write.now(),
        kept_answers: forget_answers_saying(tx, &sources).await?,
        sealed_values: forget_values(write, name, &tokens).await?,
        owed: athena_store::owed_after_purge(tx.dialect()),
    })
}
