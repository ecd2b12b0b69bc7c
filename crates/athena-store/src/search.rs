//! Searching what was committed: catch up, embed the question, rank.

use crate::index_cache::{Cached, Depth};
use crate::segments::sql::Head;
use crate::store::Store;
use athena_core::{Ctx, Error, ModelId, ProjectId, Result};
use athena_search::{Answer, Index, Ingredient, Mode, Query, QueryVector, VectorKind, statistics};
use std::sync::{Arc, LazyLock, RwLockReadGuard};
use std::time::{Duration, Instant};

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
    let mut prepared = prepare(ctx, request).await?;
    let answer = loop {
        let ranked = tokio::task::spawn_blocking(move || {
            let answer = prepared.rank();
            (prepared, answer)
        });
        let answer;
        (prepared, answer) = ranked.await.map_err(Error::internal)?;
        match answer {
            Some(answer) => break answer,
            None => prepared.bring(ctx).await?,
        }
    };
    Ok(Searched {
        answer,
        vector_missing: prepared.vector_missing,
    })
}

/// A question with what it is answered from.
#[derive(Debug)]
pub struct Prepared {
    indexes: Indexes,
    query: Query,
    vector_missing: Option<String>,
    catch_up: Duration,
    embed: Duration,
}

/// Does what [`search`] does before it ranks: brings the indexes up to the last commit and embeds the
/// question.
///
/// # Errors
///
/// As [`search`].
pub async fn prepare(ctx: &Ctx, request: Request) -> Result<Prepared> {
    let store: &Store = ctx.part();
    let start = monotonic();
    let (indexes, heads) = store.indexes.caught_up(ctx, &request.projects).await?;
    let mut indexes = Indexes::new(&request.projects, indexes);
    let caught_up = monotonic();
    let mut query = request.query;
    query.clock = query.explain.then_some(monotonic);
    let mut vector_missing = None;
    if query.mode != Mode::Keyword && query.recipe.has(Ingredient::Model) {
        let heads: Vec<&Head> = heads.values().collect();
        match model_vector(ctx, &heads, &query.text, request.own_vector).await {
            Ok(Asked::With(vector)) => query.vector = vector,
            Ok(Asked::Refused(why)) => vector_missing = Some(why),
            Err(error) if query.mode == Mode::Semantic => return Err(error),
            Err(error) => vector_missing = Some(error.message().to_owned()),
        }
    }
    if query.asks_builtin() {
        query.builtin = builtin_vector(ctx, &mut indexes, &query.text).await?;
    }
    Ok(Prepared {
        indexes,
        query,
        vector_missing,
        catch_up: caught_up - start,
        embed: monotonic() - caught_up,
    })
}

impl Prepared {
    /// Ranks, on this thread: all that is left to do, unless something that this needs is not in
    /// memory; then there is no answer yet.
    #[must_use]
    pub fn rank(&self) -> Option<Answer> {
        let ask = |indexes: &[&Index]| athena_search::search(indexes, &self.query);
        let mut answer = self.indexes.ask(ask)?;
        if let Some(micros) = &mut answer.summary.micros {
            micros.catch_up = microseconds(self.catch_up);
            micros.embed = microseconds(self.embed);
        }
        Some(answer)
    }

    /// Reads what ranking lacked.
    ///
    /// # Errors
    ///
    /// What the database fails with.
    pub async fn bring(&mut self, ctx: &Ctx) -> Result<()> {
        self.indexes.bring(ctx).await
    }
}

/// The indexes that a question is put to.
#[derive(Debug)]
struct Indexes {
    by_project: Vec<(ProjectId, Arc<Cached>)>,
    /// How often something was lacking.
    rounds: u32,
}

/// How often a question reads what it lacks before it reads everything: others may go on replacing
/// what there is.
const ROUNDS: u32 = 8;

impl Indexes {
    fn new(projects: &[ProjectId], indexes: Vec<Arc<Cached>>) -> Self {
        Self {
            by_project: projects.iter().copied().zip(indexes).collect(),
            rounds: 0,
        }
    }

    /// Asks the indexes; no answer if something was not in memory.
    fn ask<T>(&self, question: impl FnOnce(&[&Index]) -> T) -> Option<T> {
        let guards: Vec<RwLockReadGuard<'_, Index>> =
            self.by_project.iter().map(|(_, it)| it.read()).collect();
        let indexes: Vec<&Index> = guards.iter().map(|guard| &**guard).collect();
        let answer = question(&indexes);
        let mut indexes = indexes.into_iter();
        let is_answer = indexes.all(|index| index.is_complete() || index.wanted().is_empty());
        is_answer.then_some(answer)
    }

    /// Reads what was lacking.
    async fn bring(&mut self, ctx: &Ctx) -> Result<()> {
        self.rounds += 1;
        let depth = match self.rounds > ROUNDS {
            true => Depth::All,
            false => Depth::First,
        };
        for (project, index) in &self.by_project {
            index.bring(ctx, *project, depth).await?;
        }
        Ok(())
    }
}

/// The time since this was asked first.
fn monotonic() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Returns the question as a vector of the built-in embedder.
async fn builtin_vector(
    ctx: &Ctx,
    indexes: &mut Indexes,
    text: &str,
) -> Result<Option<QueryVector>> {
    let embedder = ctx.builtin();
    let embed = |indexes: &[&Index]| embedder.embed_query(text, &statistics(indexes));
    let values = loop {
        match indexes.ask(embed) {
            Some(values) => break values,
            None => indexes.bring(ctx).await?,
        }
    };
    known_vector(ctx, &embedder.model().name, values, embedder.kind()).await
}

/// A question's vector, if it has a direction that something can be compared with.
pub(crate) enum Asked {
    With(Option<QueryVector>),
    /// The vectors of a project are of another model; says so, and what to do.
    Refused(String),
}

/// Returns the question as the caller's vector or, without one, as a vector of the model that the
/// settings name.
///
/// Either every project is ranked by that model's vectors or none is: their scores would not
/// compare.
pub(crate) async fn model_vector(
    ctx: &Ctx,
    heads: &[&Head],
    text: &str,
    own_vector: Option<(String, Vec<f32>)>,
) -> Result<Asked> {
    if let Some((name, values)) = own_vector {
        return Ok(Asked::With(model_query(ctx, &name, values).await?));
    }
    let Some(embedder) = ctx.model() else {
        return Ok(Asked::With(None));
    };
    let values = embedder.embed_query(text).await?;
    let name = embedder.model().await?.name;
    let store: &Store = ctx.part();
    let model = store.models.known(ctx.db(), &name, values.len()).await?;
    if let Some(why) = refusal(heads, model, &name) {
        return Ok(Asked::Refused(why));
    }
    Ok(Asked::With(model_query(ctx, &name, values).await?))
}

async fn model_query(ctx: &Ctx, name: &str, values: Vec<f32>) -> Result<Option<QueryVector>> {
    known_vector(ctx, name, values, VectorKind::Model).await
}

/// Says why a model's vectors do not answer in these projects, if they do not.
fn refusal(heads: &[&Head], model: Option<ModelId>, name: &str) -> Option<String> {
    // A model that the store has never met is another one than any that answers.
    let model = model.unwrap_or(ModelId(0));
    let refusing = heads.iter().find(|head| !head.answers(model))?;
    let way_out = match refusing.next_id == Some(model) {
        true => "are being made",
        false => "are not made yet: `athena reembed` makes them",
    };
    Some(format!(
        "words and built-in vectors answer, since the vectors of `{name}` {way_out}"
    ))
}

/// Returns a vector of a question, or `None` if it has no direction or the store has none to
/// compare it with.
pub(crate) async fn known_vector(
    ctx: &Ctx,
    name: &str,
    values: Vec<f32>,
    kind: VectorKind,
) -> Result<Option<QueryVector>> {
    if values.iter().all(|value| *value == 0.0) {
        return Ok(None);
    }
    let store: &Store = ctx.part();
    let Some(model) = store.models.known(ctx.db(), name, values.len()).await? else {
        return Ok(None);
    };
    Ok(Some(QueryVector {
        model: u32::try_from(model.0).map_err(Error::internal)?,
        values,
        kind,
    }))
}
