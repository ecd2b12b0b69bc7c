//! A question as vectors, for a search that reads no index of this process.

use crate::search::{Asked, known_vector, model_vector};
use crate::segments::sql::{self, Head};
use athena_core::{Ctx, ProjectId, Result};
use athena_search::{Mode, QueryVector, TermStatistics};

/// A question as vectors.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// By the built-in embedder, if it has a direction and the store has vectors to compare.
    pub builtin: Option<QueryVector>,
    /// The caller's own, or by the model that the settings name, likewise.
    pub model: Option<QueryVector>,
    /// Why there is no vector of the model, if there should be one.
    pub vector_missing: Option<String>,
}

/// Makes vectors of a question to some projects. Without an index nothing says how rare its words are, so all of them
/// weigh the same.
///
/// # Errors
///
/// What the database fails with, and the provider's error when only vectors were asked for.
pub async fn question(
    ctx: &Ctx,
    projects: &[ProjectId],
    mode: Mode,
    text: &str,
    own_vector: Option<(String, Vec<f32>)>,
) -> Result<Question> {
    let mut question = Question::default();
    if mode == Mode::Keyword {
        return Ok(question);
    }
    let embedder = ctx.builtin();
    let values = embedder.embed_query(text, &Alike);
    question.builtin = known_vector(ctx, &embedder.model().name, values, embedder.kind()).await?;
    let heads = sql::heads(ctx.db(), projects).await?;
    let heads: Vec<&Head> = heads.iter().collect();
    match model_vector(ctx, &heads, text, own_vector).await {
        Ok(Asked::With(vector)) => question.model = vector,
        Ok(Asked::Refused(why)) => question.vector_missing = Some(why),
        Err(error) if mode == Mode::Semantic => return Err(error),
        Err(error) => question.vector_missing = Some(error.message().to_owned()),
    }
    Ok(question)
}

/// Every word is as rare as any other.
struct Alike;

impl TermStatistics for Alike {
    fn idf(&self, _: &str) -> f64 {
        1.0
    }
}
