//! Searching what was committed: catch up, embed the question, rank.

use crate::index_cache::SharedIndex;
use crate::models::known_model_id;
use crate::store::Store;
use athena_core::{Ctx, Error, ProjectId, Result};
use athena_search::{
    Answer, Index, Mode, Query, QueryVector, TermStatistics, VectorKind, statistics,
};
use std::sync::{PoisonError, RwLockReadGuard};

/// A question to the store.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where to look; hits say by position which project they belong to.
    pub projects: Vec<ProjectId>,
    /// What is asked. Its vectors are filled in here.
    pub query: Query,
    /// The caller's own vector, with the name of its model; the store embeds the text otherwise.
    pub own_vector: Option<(String, Vec<f32>)>,
}

/// What was found, and how the question was embedded.
#[derive(Debug, Clone)]
pub struct Searched {
    /// The hits and what was looked at.
    pub answer: Answer,
    /// Why the question has no vector, if it should have one.
    pub vector_missing: Option<String>,
}

/// Answers a question from everything that was committed before it was asked.
///
/// A provider that does not answer costs the semantic arm and not the answer: what keywords find is
/// returned, with the reason in [`Searched::vector_missing`].
///
/// # Errors
///
/// What the database fails with, and the provider's error when only vectors were asked for.
pub async fn search(ctx: &Ctx, request: Request) -> Result<Searched> {
    let store: &Store = ctx.part();
    let indexes = store.indexes.caught_up(ctx, &request.projects).await?;
    let mut query = request.query;
    let mut vector_missing = None;
    if query.mode != Mode::Keyword {
        match query_vector(ctx, &indexes, &query.text, request.own_vector).await {
            Ok(Some(vector)) if vector.kind == VectorKind::Model => query.vector = Some(vector),
            Ok(vector) => query.builtin = vector,
            Err(error) if query.mode == Mode::Semantic => return Err(error),
            Err(error) => vector_missing = Some(error.message().to_owned()),
        }
    }
    let answer = tokio::task::spawn_blocking(move || rank(&indexes, &query))
        .await
        .map_err(Error::internal)?;
    Ok(Searched {
        answer,
        vector_missing,
    })
}

fn rank(indexes: &[SharedIndex], query: &Query) -> Answer {
    let guards = read(indexes);
    let indexes: Vec<&Index> = guards.iter().map(|guard| &**guard).collect();
    athena_search::search(&indexes, query)
}

fn read(indexes: &[SharedIndex]) -> Vec<RwLockReadGuard<'_, Index>> {
    indexes
        .iter()
        .map(|index| index.read().unwrap_or_else(PoisonError::into_inner))
        .collect()
}

/// Returns the question as a vector, or `None` if the store has none to compare it with.
async fn query_vector(
    ctx: &Ctx,
    indexes: &[SharedIndex],
    text: &str,
    own_vector: Option<(String, Vec<f32>)>,
) -> Result<Option<QueryVector>> {
    let (name, values, kind) = match own_vector {
        Some((name, values)) => (name, values, VectorKind::Model),
        None => {
            let rarity = Rarity { indexes };
            let values = ctx.embedder().embed_query(text, &rarity).await?;
            (
                ctx.embedder().model().await?.name,
                values,
                if ctx.embedder().is_lexical() {
                    VectorKind::Words
                } else {
                    VectorKind::Model
                },
            )
        }
    };
    if values.iter().all(|value| *value == 0.0) {
        return Ok(None);
    }
    let Some(model) = known_model_id(ctx.db(), &name, values.len()).await? else {
        return Ok(None);
    };
    let model = u32::try_from(model.0).map_err(Error::internal)?;
    Ok(Some(QueryVector {
        model,
        values,
        kind,
    }))
}

/// How rare terms are in the searched projects.
struct Rarity<'a> {
    indexes: &'a [SharedIndex],
}

impl TermStatistics for Rarity<'_> {
    fn idf(&self, term: &str) -> f64 {
        let guards = read(self.indexes);
        let indexes: Vec<&Index> = guards.iter().map(|guard| &**guard).collect();
        statistics(&indexes).idf(term)
    }
}
