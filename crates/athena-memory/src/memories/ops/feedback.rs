//! Whether memories proved useful.

use super::{home_of_memory, locked};
use crate::memories::{Memory, indexing, sql};
use athena_core::{Ctx, MemoryId, Operation, Result, Spec};
use athena_db::BoxFuture;
use athena_store::{Intent, Write, write};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Says whether a memory was useful. Votes make its usefulness: the share of useful ones.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Feedback {
    /// The memory's id.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// Whether it was useful.
    pub useful: bool,
    /// What was good or bad about it.
    #[schemars(length(min = 1, max = 10_000))]
    pub note: Option<String>,
}

/// A memory's usefulness after a vote.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct FeedbackGiven {
    /// The memory's id.
    pub id: MemoryId,
    /// The share of useful votes, 0 to 1.
    pub usefulness: f64,
    /// How many votes there are.
    pub votes: i64,
}

impl Operation for Feedback {
    const SPEC: Spec = Spec::create("memory.feedback", "/memories/{id}/feedback")
        .command(&["feedback"])
        .positional(&["id", "useful"]);
    type Output = FeedbackGiven;

    fn home<'a>(ctx: &'a Ctx, input: &'a Value) -> BoxFuture<'a, Result<Option<String>>> {
        home_of_memory(ctx, input)
    }

    async fn call(self, ctx: &Ctx) -> Result<FeedbackGiven> {
        let feedback = Arc::new(self);
        write(ctx, Intent::new("memory.feedback"), move |write| {
            let feedback = Arc::clone(&feedback);
            Box::pin(async move { vote(write, &feedback).await })
        })
        .await
    }
}

async fn vote(write: &Write<'_>, feedback: &Feedback) -> Result<FeedbackGiven> {
    let memory = locked(write, MemoryId(feedback.id)).await?;
    let principal = &write.ctx().caller().principal;
    let note = feedback.note.as_deref();
    sql::add_feedback(
        write.tx(),
        memory.id,
        feedback.useful,
        note,
        principal,
        write.now(),
    )
    .await?;
    let (useful, votes) = sql::feedback_counts(write.tx(), memory.id).await?;
    let share = |count: i64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let usefulness = share(useful) / share(votes).max(1.0);
    sql::set_usefulness(write.tx(), memory.id, usefulness, write.now()).await?;
    let voted = Memory {
        usefulness,
        ..memory
    };
    write.log(voted.project_id, indexing::attributes_record(&voted));
    Ok(FeedbackGiven {
        id: voted.id,
        usefulness,
        votes,
    })
}
