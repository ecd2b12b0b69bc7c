//! How far sources of events were read, so that the next time goes on from there.

use super::own_project;
use crate::events::sql;
use crate::projects;
use athena_core::{Ctx, Operation, Result, Spec};
use athena_store::{Intent, write};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
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
