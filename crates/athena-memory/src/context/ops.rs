//! Asking for a brief.

use super::brief::compose;
use super::gather::{Occasion, gather};
use super::{Brief, KnownItem};
use crate::paths::PathName;
use athena_core::{Ctx, Operation, Result, Spec};
use schemars::JsonSchema;
use serde::Deserialize;

/// Returns the brief for a prompt: the rules and preferences that hold, the tasks that are due or that
/// it is about, what is aimed at, what is known about it, and what happened last, newest first, within
/// a budget of tokens. Ask for it when a
/// session or a task begins. Each item says why it is there; what was left out is named.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// What is about to be answered or done; a brief without it says where things stand.
    #[schemars(length(min = 1, max = 10_000))]
    pub prompt: Option<String>,
    /// The files that it is about: rules with a scope hold only for theirs.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub files: Vec<PathName>,
    /// The project, by name; the surroundings' own, and `personal`, unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// How many tokens the text may take, at four bytes a token.
    #[serde(default = "default_budget")]
    #[schemars(range(max = 100_000))]
    pub budget_tokens: u32,
    /// The `version` of the brief that you have: if it is still the same, it is not repeated.
    #[schemars(extend("x-advanced" = true))]
    pub known_version: Option<i64>,
    /// The items of earlier briefs that you have, each as `kind:id@version`: what has not changed
    /// since is left out, but for where the last session ended.
    #[serde(default)]
    #[schemars(length(max = 1_000))]
    #[schemars(extend("x-advanced" = true))]
    pub known_items: Vec<KnownItem>,
}

fn default_budget() -> u32 {
    800
}

impl Operation for Context {
    const SPEC: Spec = Spec::read("context.brief", "/context")
        .tool("context")
        .command(&["context"])
        .positional(&["prompt"])
        .stdin("prompt");
    type Output = Brief;

    async fn call(self, ctx: &Ctx) -> Result<Brief> {
        let prompt = self.prompt.as_deref().map(str::trim);
        let occasion = Occasion {
            project: self.project.as_deref(),
            prompt: prompt.filter(|prompt| !prompt.is_empty()),
            files: &self.files,
            known: &self.known_items,
        };
        let mut candidates = gather(ctx, &occasion).await?;
        candidates.retain(|candidate| !candidate.is_among(&self.known_items));
        Ok(compose(candidates, self.budget_tokens, self.known_version))
    }
}
