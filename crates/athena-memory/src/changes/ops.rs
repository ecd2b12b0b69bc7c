//! Following what changes.

use super::{Change, Changes};
use crate::items::kind_name;
use crate::projects::{self, Known};
use athena_core::{Ctx, Operation, Result, Spec};
use athena_search::Kind;
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::{Duration, Instant};

/// How often a call that waits looks whether something has changed.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Lists what changed in a project, in the order of the commits: for agents that share it. Ask again
/// with the answered `after` to go on; nothing is repeated or skipped. Over REST,
/// `Accept: text/event-stream` follows without end, and `Last-Event-ID` resumes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ChangeList")]
pub struct List {
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// The number of the last change that is known; from the first that is kept unless given.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub after: i64,
    /// How many to answer at most.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 1_000))]
    pub limit: u32,
    /// How long to wait for a change if there is none yet, in seconds.
    #[serde(default)]
    #[schemars(range(max = 30))]
    pub wait_seconds: u32,
}

fn default_limit() -> u32 {
    100
}

impl Operation for List {
    const SPEC: Spec = Spec::read("change.list", "/changes")
        .command(&["changes"])
        .short(&[("limit", 'n')])
        .followed();
    type Output = Changes;

    async fn call(self, ctx: &Ctx) -> Result<Changes> {
        let until = Instant::now() + Duration::from_secs(self.wait_seconds.into());
        loop {
            let changes = self.list(ctx).await?;
            if !changes.items.is_empty() || changes.missed || Instant::now() >= until {
                return Ok(changes);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl List {
    async fn list(&self, ctx: &Ctx) -> Result<Changes> {
        let Some(Known { id: project, .. }) = projects::own(ctx, self.project.as_deref()).await?
        else {
            return Ok(Changes {
                items: Vec::new(),
                after: self.after,
                last: 0,
                missed: false,
            });
        };
        // Read first: what is committed later is beyond it, or in the list.
        let last = athena_store::last_change(ctx.db(), project).await?;
        let changes = athena_store::changes(ctx.db(), project, self.after, self.limit).await?;
        let missed = match changes.first() {
            Some(first) => first.seq > self.after + 1,
            // Beyond the last one, the store went back to an earlier state: what came since has
            // numbers that seem to be known.
            None => last != self.after,
        };
        let items: Vec<Change> = changes.into_iter().map(change).collect();
        let newest = items.last().map(|item| item.seq);
        Ok(Changes {
            after: newest.unwrap_or(last),
            last: newest.unwrap_or(0).max(last),
            items,
            missed,
        })
    }
}

fn change(stored: athena_store::Change) -> Change {
    let kind = u8::try_from(stored.kind).ok().map(Kind);
    let name = kind.and_then(kind_name);
    Change {
        seq: stored.seq,
        // A later version of Athena may know more kinds.
        kind: name.map_or_else(|| format!("kind-{}", stored.kind), str::to_owned),
        id: stored.item_id,
        operation: stored.operation,
        principal: stored.principal,
        at: stored.at,
    }
}
