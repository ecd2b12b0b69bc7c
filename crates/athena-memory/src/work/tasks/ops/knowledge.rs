//! What is known that has to do with a task.

use super::current;
use crate::memories::{self, Memory, Recall};
use crate::projects;
use crate::work::tasks::Task;
use athena_core::{Ctx, Error, MemoryId, Operation, Result, Spec, TaskId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Only memories that answer at least so well are shown: nothing rather than a guess.
const MIN_MATCH: f64 = 0.12;

/// Returns what is known that has to do with a task: the memories that it names, and those that its
/// title recalls. Ask it before you begin.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TaskKnowledge")]
pub struct Knowledge {
    /// The task's id.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// How many memories to recall at most, beside those that it names.
    #[serde(default = "five")]
    #[schemars(range(min = 1, max = 100))]
    pub limit: u32,
}

fn five() -> u32 {
    5
}

/// Why a memory is shown with a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhyKnown {
    /// The task names it.
    Named,
    /// It answers the task's title.
    Recalled,
}

/// A memory that has to do with a task.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct KnownForTask {
    /// The memory's id.
    pub id: MemoryId,
    /// Why it is shown.
    pub reason: WhyKnown,
    /// How well it answers the title, 0 to 1, where it was recalled.
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    pub match_score: Option<f64>,
    /// The text.
    pub content: String,
}

/// What is known that has to do with a task.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RelatedKnowledge {
    /// The task's id.
    pub id: TaskId,
    /// The memories: those that the task names, then those that were recalled, best first.
    pub memories: Vec<KnownForTask>,
}

impl Operation for Knowledge {
    const SPEC: Spec = Spec::read("task.knowledge", "/tasks/{id}/knowledge")
        .command(&["task", "knowledge"])
        .positional(&["id"])
        .short(&[("limit", 'n')]);
    type Output = RelatedKnowledge;

    async fn call(self, ctx: &Ctx) -> Result<RelatedKnowledge> {
        let task = current(ctx.db(), self.id).await?;
        let mut known: Vec<KnownForTask> = named(ctx, &task).await?;
        let recalled = recall(ctx, &task, self.limit).await?;
        let new: Vec<KnownForTask> = recalled
            .into_iter()
            .filter(|memory| !known.iter().any(|it| it.id == memory.id))
            .collect();
        known.extend(new);
        Ok(RelatedKnowledge {
            id: task.id,
            memories: known,
        })
    }
}

/// Returns the memories that a task names, in its order, as far as they are still known.
async fn named(ctx: &Ctx, task: &Task) -> Result<Vec<KnownForTask>> {
    let ids: Vec<MemoryId> = task
        .related_memory_ids
        .iter()
        .copied()
        .map(MemoryId)
        .collect();
    let memories = memories::by_ids(ctx.db(), &ids).await?;
    let may_be_shown = |it: &&Memory| it.project_id == task.project_id && it.forgotten_at.is_none();
    let found = ids
        .iter()
        .filter_map(|id| memories.iter().filter(may_be_shown).find(|it| it.id == *id));
    Ok(found
        .map(|memory| KnownForTask {
            id: memory.id,
            reason: WhyKnown::Named,
            match_score: None,
            content: memory.content.clone(),
        })
        .collect())
}

/// Returns the memories that a task's title recalls, best first.
async fn recall(ctx: &Ctx, task: &Task, limit: u32) -> Result<Vec<KnownForTask>> {
    // A title is no question: what has a meaning in one is taken out of it.
    let query = task.title.replace(['"', '-', '*'], " ");
    if query.trim().is_empty() {
        return Ok(Vec::new());
    }
    let project = projects::name(ctx.db(), task.project_id).await?;
    let input = json!({
        "query": query, "limit": limit, "min_score": MIN_MATCH, "project": project,
    });
    let recall: Recall = serde_json::from_value(input).map_err(Error::internal)?;
    let recalled = recall.call(ctx).await?;
    let hits = recalled.hits.into_iter();
    let hits = hits.filter(|hit| hit.project_id == task.project_id);
    Ok(hits
        .map(|hit| KnownForTask {
            id: hit.id,
            reason: WhyKnown::Recalled,
            match_score: Some(hit.match_score),
            content: hit.content,
        })
        .collect())
}
