//! Asking for the vectors of the configured model.

use crate::memories::reembed::begin;
use crate::projects;
use athena_core::{Ctx, Operation, ProjectId, Result, Spec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Gives every memory of a project the vectors of the embedding model that the settings name.
///
/// For after the model was changed, and for what was told before there was one. The work is done in
/// the background, goes on where it was after an interruption, and what there was answers until all
/// of it is done. Asking again is harmless, and gives vectors to memories that have none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reembed {
    /// The project; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// Do so in every project of the store.
    #[serde(default)]
    pub all: bool,
}

/// What was asked for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ReembedAsked {
    /// The model that the settings name; none stands for the built-in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The projects.
    pub projects: Vec<ReembedProject>,
}

/// What is to be done in a project.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ReembedProject {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: String,
    /// How many memories have no vectors of the model yet.
    pub lacking: u64,
}

impl Operation for Reembed {
    const SPEC: Spec = Spec::act("memory.reembed", "/memories/reembed").idempotent();
    type Output = ReembedAsked;

    async fn call(self, ctx: &Ctx) -> Result<ReembedAsked> {
        let model = match ctx.model() {
            Some(embedder) => Some(embedder.model().await?.name),
            None => None,
        };
        let wanted = match self.all {
            true => projects::all(ctx.db()).await?,
            false => {
                let name = self.project.as_deref().unwrap_or(ctx.project());
                vec![(projects::named(ctx.db(), name).await?, name.to_owned())]
            }
        };
        let mut projects = Vec::with_capacity(wanted.len());
        for (id, name) in wanted {
            let lacking = begin(ctx, id).await?;
            projects.push(ReembedProject { id, name, lacking });
        }
        Ok(ReembedAsked { model, projects })
    }
}
