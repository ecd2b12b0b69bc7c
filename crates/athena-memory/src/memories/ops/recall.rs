//! Finding memories by what they say.

use super::Retrievals;
use crate::memories::indexing::{CALLER_MODEL, FORGOTTEN, check_embedding, label, searched_text};
use crate::memories::native::{self, Native};
use crate::memories::{ConsolidationState, Memory, MemoryType, sql};
use crate::projects::{self, Known};
use athena_core::{Code, Ctx, Error, MemoryId, Operation, ProjectId, Result, Spec};
use athena_search::analyze::{Phrase, QuerySyntax};
use athena_search::{Answer, Filter, Hit, Ingredient, Kind, Query, Recency, Recipe, Weights};
use athena_store::{Request, respelt, search, spelling};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Recalls what is known about something, best first. Ask it before you answer, decide or begin,
/// with a question or a few words; what was said in other words is found too. Each hit has a
/// `score`, relative to this question's best hit, and a `match`, how well it answers by itself.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("not" = {
    "required": ["as_of", "state"], "properties": {"state": {"minItems": 1}}
}))]
pub struct Recall {
    /// What to look for, in plain words. Words `"in quotes"` must stand next to each other (where
    /// nothing has them so, they are words, and `notes` says it), `-word` leaves out what has the word,
    /// and `word*` is any word that begins so. All else is words.
    #[schemars(length(min = 1, max = 10_000))]
    pub query: String,
    /// How many memories to answer at most.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 1_000))]
    pub limit: u32,
    /// The project, by name; the surroundings' own, and `personal`, unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// More projects to look into, by name. `personal` is left out unless it is named.
    #[serde(default)]
    #[schemars(length(max = 100), inner(length(min = 1, max = 255)))]
    #[schemars(extend("x-advanced" = true))]
    pub projects: Vec<String>,
    /// Only memories of one of these types.
    #[serde(default, rename = "type")]
    #[schemars(length(max = 7))]
    pub types: Vec<MemoryType>,
    /// Only memories with all of these tags.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(min = 1, max = 100)))]
    pub tags: Vec<String>,
    /// Only memories of this session.
    #[schemars(length(min = 1, max = 200))]
    pub session: Option<String>,
    /// Only what this person said.
    #[schemars(length(min = 1, max = 200))]
    pub speaker: Option<String>,
    /// Only memories of this domain.
    #[schemars(length(min = 1, max = 50))]
    #[schemars(extend("x-advanced" = true))]
    pub domain: Option<String>,
    /// Only memories in one of these states; all but superseded ones unless given.
    #[serde(default)]
    #[schemars(length(max = 6))]
    #[schemars(extend("x-advanced" = true))]
    pub state: Vec<ConsolidationState>,
    /// Only what happened at this time or later.
    pub after: Option<Timestamp>,
    /// Only what happened before this time.
    pub before: Option<Timestamp>,
    /// Answer as it would have been answered then: with what was believed at that time, whatever was
    /// changed, replaced or forgotten since.
    pub as_of: Option<Timestamp>,
    /// Only hits whose `match` is at least this; 0.12 gives nothing rather than a guess.
    #[schemars(range(min = 0, max = 1))]
    pub min_score: Option<f64>,
    /// How to look.
    #[serde(default)]
    #[schemars(extend("x-advanced" = true))]
    pub mode: Mode,
    /// The share of meaning in the score, in place of the measured rule. The shares' sum divides;
    /// one alone leaves the rest to the other.
    #[schemars(range(min = 0, max = 1))]
    #[schemars(extend("x-advanced" = true))]
    pub semantic_weight: Option<f64>,
    /// The share of words in the score.
    #[schemars(range(min = 0, max = 1))]
    #[schemars(extend("x-advanced" = true))]
    pub keyword_weight: Option<f64>,
    /// How the two are joined.
    #[serde(default)]
    #[schemars(extend("x-advanced" = true))]
    pub fusion: Fusion,
    /// Your own vector for the question, compared with vectors that came with memories.
    #[schemars(length(min = 1, max = 65_536))]
    pub embedding: Option<Vec<f32>>,
    /// How far newer memories are preferred: what one of this moment gets on top of its score, 0 to
    /// 1. Nothing unless given.
    #[schemars(range(min = 0, max = 1))]
    #[schemars(extend("x-advanced" = true))]
    pub recency_weight: Option<f64>,
    /// The age in days at which half of `recency_weight` is left.
    #[serde(default = "ninety")]
    #[schemars(range(min = 0.001, max = 36_500))]
    #[schemars(extend("x-advanced" = true))]
    pub recency_half_life: f64,
    /// How far memories that proved useful (see `feedback`) are preferred: what full usefulness adds
    /// to a score, 0 to 1. Nothing unless given.
    #[schemars(range(min = 0, max = 1))]
    #[schemars(extend("x-advanced" = true))]
    pub usefulness_weight: Option<f64>,
    /// Say for each hit how it came by its score, and how long each stage took.
    #[serde(default)]
    pub explain: bool,
    /// Compare with every memory in full. Beyond 2,000 the vectors are looked through by short
    /// codes first, which misses next to nothing and takes a fraction of the time.
    #[serde(default)]
    #[schemars(extend("x-advanced" = true))]
    pub exact: bool,
    /// Whether turns of a conversation speak for each other.
    #[serde(skip)]
    #[schemars(skip)]
    pub(crate) context: Context,
}

/// Whether turns of a conversation speak for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Context {
    /// If what is searched is a conversation.
    #[default]
    Counts,
    /// Each memory stands for itself.
    Ignored,
}

const MICROSECONDS_OF_A_DAY: f64 = 86_400e6;

/// How many rows are read by one statement at most: as many as a call may want.
const ROWS_AT_ONCE: usize = 1_000;

fn ten() -> u32 {
    10
}

/// Three months, as the founding documents have it.
fn ninety() -> f64 {
    90.0
}

/// How to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// By words and by meaning.
    #[default]
    Hybrid,
    /// By words only.
    Keyword,
    /// By meaning only.
    Semantic,
}

/// How the two ways of looking are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fusion {
    /// A weighted sum of normalised scores.
    #[default]
    Weighted,
    /// Reciprocal ranks, k = 60.
    Rrf,
}

/// What was recalled.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Recalled {
    /// The hits, best first.
    pub hits: Vec<RecalledMemory>,
    /// What the search should have done but could not, such as asking a provider that is away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What was looked at, if an explanation was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explain: Option<Value>,
}

/// A memory that was recalled: what matters for using it. `get` returns everything about it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RecalledMemory {
    /// The memory's id.
    pub id: MemoryId,
    /// The memory's id in every store that it is moved to.
    pub uid: Uuid,
    /// The id of its project.
    pub project_id: ProjectId,
    /// How it ranks among the hits, up to 1.
    pub score: f64,
    /// How well it answers by itself, 0 to 1.
    #[serde(rename = "match")]
    pub match_score: f64,
    /// The cosine of its best passage, where it has a vector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub semantic: Option<f64>,
    /// Its BM25 score.
    pub keyword: f64,
    /// The text.
    pub content: String,
    /// What sort of thing it says.
    #[serde(rename = "type")]
    pub memory_type: MemoryType,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The session it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Who said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,
    /// When what it says happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<Timestamp>,
    /// When it was stored.
    pub created_at: Timestamp,
    /// How sure it is, 0 to 1.
    pub confidence: f64,
    /// 1 for the first version.
    pub version: i64,
    /// The memory that says now what is so, where this one was replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<MemoryId>,
    /// How much a rule or a preference matters, 1 to 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// The paths that it is about, as a pattern; everywhere without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Its id where it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// How it came by its score, if asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explain: Option<Value>,
}

impl Operation for Recall {
    const SPEC: Spec = Spec::query("memory.recall", "/memories/recall")
        .tool("recall")
        .command(&["recall"])
        .positional(&["query"])
        .short(&[("limit", 'n'), ("type", 't')])
        .stdin("query")
        .errors(&[Code::EmbeddingMismatch]);
    type Output = Recalled;

    async fn call(self, ctx: &Ctx) -> Result<Recalled> {
        self.answer(ctx).await
    }
}

impl Recall {
    /// Recalls: what the operation does, for others of this crate.
    pub(crate) async fn answer(self, ctx: &Ctx) -> Result<Recalled> {
        let explain = self.explain;
        let found = find(ctx, &self).await?;
        ctx.part::<Retrievals>()
            .count(found.hits.iter().map(|(_, memory)| memory.id), ctx.now());
        let pending = match explain {
            true => pending_vectors(ctx, &found.hits).await?,
            false => Vec::new(),
        };
        let summary = explain.then(|| found.summary()).transpose()?;
        let hits = found
            .hits
            .into_iter()
            .map(|(hit, memory)| recalled(hit, memory, &pending))
            .collect();
        Ok(Recalled {
            hits,
            notes: found.notes,
            explain: summary,
        })
    }
}

async fn pending_vectors(ctx: &Ctx, hits: &[(Hit, Memory)]) -> Result<Vec<MemoryId>> {
    let ids: Vec<MemoryId> = hits.iter().map(|(_, memory)| memory.id).collect();
    sql::vectors_pending(ctx.db(), &ids).await
}

fn recalled(hit: Hit, memory: Memory, pending: &[MemoryId]) -> RecalledMemory {
    let mut explain = hit
        .explain
        .and_then(|explain| serde_json::to_value(explain).ok());
    if let Some(Value::Object(explain)) = &mut explain
        && pending.contains(&memory.id)
    {
        explain.insert("vector".into(), Value::String("pending".into()));
    }
    RecalledMemory {
        id: memory.id,
        uid: memory.uid,
        project_id: memory.project_id,
        score: hit.score,
        match_score: hit.match_score,
        semantic: hit.semantic,
        keyword: hit.keyword,
        content: memory.content,
        memory_type: memory.memory_type,
        tags: memory.tags,
        session: memory.session,
        speaker: memory.speaker,
        occurred_at: memory.occurred_at,
        created_at: memory.created_at,
        confidence: memory.confidence,
        version: memory.version,
        superseded_by: memory.superseded_by,
        priority: memory.priority,
        scope: memory.scope,
        external_id: memory.external_id,
        explain,
    }
}

/// What a search found, with the rows.
struct Found {
    hits: Vec<(Hit, Memory)>,
    answer: Answer,
    notes: Vec<String>,
    reading_rows: Duration,
    /// How long the database took, if it did the search.
    database: Option<Duration>,
}

impl Found {
    fn by_database(found: native::NativeFound) -> Self {
        Self {
            hits: found.hits,
            answer: Answer {
                hits: Vec::new(),
                summary: found.summary,
            },
            notes: found.notes,
            reading_rows: Duration::ZERO,
            database: Some(found.took),
        }
    }

    /// Returns what was looked at.
    fn summary(&self) -> Result<Value> {
        let mut summary = self.answer.summary.clone();
        if let Some(micros) = &mut summary.micros {
            micros.rows = microseconds(self.reading_rows);
        }
        let mut summary = serde_json::to_value(summary).map_err(Error::internal)?;
        if let Some(took) = self.database {
            summary["search_mode"] = "native".into();
            summary["statement_micros"] = microseconds(took).into();
        }
        Ok(summary)
    }
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Searches as the question says. Where nothing says its quoted words next to each other, they are
/// words like the others: people also quote what they do not mean to the letter.
async fn find(ctx: &Ctx, recall: &Recall) -> Result<Found> {
    let mut syntax = QuerySyntax::parse(&recall.query);
    let found = find_by(ctx, recall, &syntax).await?;
    if !found.hits.is_empty() || syntax.phrases.is_empty() {
        return Ok(found);
    }
    syntax.phrases.clear();
    let mut found = find_by(ctx, recall, &syntax).await?;
    if !found.hits.is_empty() {
        found.notes.push(QUOTED_AS_WORDS.to_owned());
    }
    Ok(found)
}

/// What is told where nothing has a phrase.
const QUOTED_AS_WORDS: &str =
    "nothing says what stands in quotes word for word, so it was searched as words";

/// Searches, then reads the rows and checks them again: what was forgotten or has expired meanwhile,
/// or has a phrase's words apart, gives its place to the next.
async fn find_by(ctx: &Ctx, recall: &Recall, syntax: &QuerySyntax) -> Result<Found> {
    let weights = weights(recall);
    let projects = projects::for_reading(ctx, recall.project.as_deref(), &recall.projects).await?;
    let projects = comparable(recall, projects)?;
    let home = recall.project.as_deref().unwrap_or(ctx.project());
    let spelling = |it: &Known| spelling(ctx, &recall.query, home, &it.name);
    let spellings: Vec<_> = projects.iter().map(spelling).collect();
    let labels = labels(ctx, recall, home, &projects);
    let wanted = usize::try_from(recall.limit).unwrap_or(usize::MAX);
    let states = states(recall);
    let phrases: Vec<Vec<Phrase>> = spellings
        .iter()
        .map(|spelling| syntax.phrases.iter().map(|it| it.spelt(spelling)).collect())
        .collect();
    let request = |ask| Request {
        projects: projects.iter().map(|it| it.id).collect(),
        query: Query {
            spellings: spellings.clone(),
            recipe: recipe(ctx, recall),
            recency: recency(recall, ctx.now()),
            ..query(recall, syntax, weights, states.clone(), labels.clone(), ask)
        },
        own_vector: recall
            .embedding
            .clone()
            .map(|values| (CALLER_MODEL.to_owned(), values)),
    };
    let keeps = |hit: &Hit, memory: &Memory| has_phrases(&phrases[hit.index], memory);
    let mut not_native = None;
    if recall.as_of.is_none() {
        match native::recall(ctx, wanted, request, keeps).await? {
            Native::Found(found) => return Ok(Found::by_database(*found)),
            Native::Elsewhere(note) => not_native = note,
        }
    }
    let mut ask = wanted;
    let mut reading_rows = Duration::ZERO;
    loop {
        let searched = search(ctx, request(ask)).await?;
        let candidates = searched.answer.hits.len();
        let start = Instant::now();
        let read = Read {
            states: &states,
            as_of: recall.as_of,
            phrases: &phrases,
            wanted,
        };
        let hits = read.rows(ctx, &searched.answer).await?;
        reading_rows += start.elapsed();
        if hits.len() == wanted || candidates < ask {
            let notes = searched.vector_missing.into_iter().chain(not_native);
            return Ok(Found {
                hits,
                notes: notes.collect(),
                answer: searched.answer,
                reading_rows,
                database: None,
            });
        }
        ask *= 4;
    }
}

/// Returns the projects whose vectors compare with the caller's own, if it brought one.
///
/// A project that was named must fit; `personal`, which was not, is left out if it does not.
fn comparable(recall: &Recall, projects: Vec<Known>) -> Result<Vec<Known>> {
    let Some(embedding) = &recall.embedding else {
        return Ok(projects);
    };
    let mut fitting = Vec::with_capacity(projects.len());
    for project in projects {
        let fits = check_embedding(embedding, project.embedding_dim);
        let mut named = recall.project.iter().chain(&recall.projects);
        let is_named = named.any(|named| *named == project.name);
        if project.name != projects::PERSONAL || is_named {
            fits?;
        } else if fits.is_err() {
            continue;
        }
        fitting.push(project);
    }
    Ok(fitting)
}

/// Which rows of the hits are answered.
struct Read<'a> {
    /// The states that count.
    states: &'a [String],
    /// The moment whose rows count, if it is not now.
    as_of: Option<Timestamp>,
    /// The phrases that a memory must have, by project.
    phrases: &'a [Vec<Phrase>],
    /// How many are wanted.
    wanted: usize,
}

impl Read<'_> {
    async fn rows(&self, ctx: &Ctx, answer: &Answer) -> Result<Vec<(Hit, Memory)>> {
        let states: Vec<&str> = self.states.iter().map(String::as_str).collect();
        let mut found = Vec::with_capacity(self.wanted.min(answer.hits.len()));
        for hits in answer.hits.chunks(ROWS_AT_ONCE) {
            let ids: Vec<MemoryId> = hits.iter().map(|hit| MemoryId(hit.item.id)).collect();
            let rows = match self.as_of {
                Some(at) => sql::believed(ctx.db(), &ids, at).await?,
                None => sql::current(ctx.db(), &ids, &states, ctx.now()).await?,
            };
            let mut rows: HashMap<i64, Memory> = rows
                .into_iter()
                .map(|memory| (memory.id.0, memory))
                .collect();
            let hits = hits
                .iter()
                .filter_map(|hit| Some((hit, rows.remove(&hit.item.id)?)))
                .filter(|(hit, memory)| has_phrases(&self.phrases[hit.index], memory))
                .map(|(hit, memory)| (hit.clone(), memory));
            found.extend(hits.take(self.wanted - found.len()));
            if found.len() == self.wanted {
                break;
            }
        }
        Ok(found)
    }
}

/// Whether a memory has the words of every phrase next to each other.
fn has_phrases(phrases: &[Phrase], memory: &Memory) -> bool {
    if phrases.is_empty() {
        return true;
    }
    let text = searched_text(memory);
    phrases.iter().all(|phrase| phrase.is_in(&text))
}

/// Returns the shares that the caller chose; one alone leaves the rest to the other.
fn weights(recall: &Recall) -> Option<Weights> {
    let (semantic, keyword) = match (recall.semantic_weight, recall.keyword_weight) {
        (None, None) | (Some(0.0), Some(0.0)) => return None,
        (Some(semantic), Some(keyword)) => (semantic, keyword),
        (Some(semantic), None) => (semantic, 1.0 - semantic),
        (None, Some(keyword)) => (1.0 - keyword, keyword),
    };
    Some(Weights { semantic, keyword })
}

fn states(recall: &Recall) -> Vec<String> {
    if recall.as_of.is_some() {
        // What was believed then may be anything by now; the rows tell.
        let mut states = live_states();
        states.push(ConsolidationState::Superseded.as_str().to_owned());
        states.push(FORGOTTEN.to_owned());
        return states;
    }
    if recall.state.is_empty() {
        return live_states();
    }
    recall
        .state
        .iter()
        .map(|state| state.as_str().to_owned())
        .collect()
}

fn query(
    recall: &Recall,
    syntax: &QuerySyntax,
    weights: Option<Weights>,
    states: Vec<String>,
    labels: Vec<Vec<String>>,
    limit: usize,
) -> Query {
    Query {
        spellings: Vec::new(),
        text: syntax.words.clone(),
        having: syntax.phrase_terms(),
        lacking: syntax.excluded.clone(),
        beginnings: syntax.beginnings.clone(),
        builtin: None,
        vector: None,
        mode: match recall.mode {
            Mode::Hybrid => athena_search::Mode::Hybrid,
            Mode::Keyword => athena_search::Mode::Keyword,
            Mode::Semantic => athena_search::Mode::Semantic,
        },
        weights,
        fusion: match recall.fusion {
            Fusion::Weighted => athena_search::Fusion::Weighted,
            Fusion::Rrf => athena_search::Fusion::Rrf { k: 60 },
        },
        filter: Filter {
            kinds: vec![Kind::MEMORY],
            states,
            labels,
            after: recall.after.map(Timestamp::as_microsecond),
            before: recall.before.map(Timestamp::as_microsecond),
        },
        limit,
        min_score: recall.min_score,
        recency: None,
        usefulness_weight: recall.usefulness_weight.unwrap_or(0.0),
        explain: recall.explain,
        exact: recall.exact,
        recipe: Recipe::default(),
        clock: None,
    }
}

/// Returns the parts of the ranking that take part here.
fn recipe(ctx: &Ctx, recall: &Recall) -> Recipe {
    let recipe = *ctx.part::<Recipe>();
    match recall.context {
        Context::Counts => recipe,
        Context::Ignored => recipe.without(Ingredient::Dialogue),
    }
}

fn recency(recall: &Recall, now: Timestamp) -> Option<Recency> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "days that the schema allows are far below 2^63 microseconds; a cast saturates"
    )]
    let half_life = (recall.recency_half_life * MICROSECONDS_OF_A_DAY) as i64;
    Some(Recency {
        weight: recall.recency_weight?,
        half_life,
        now: now.as_microsecond(),
    })
}

/// Returns the labels that a hit must have: one of each group, as the projects spell it.
fn labels(ctx: &Ctx, recall: &Recall, home: &str, projects: &[Known]) -> Vec<Vec<String>> {
    let spelt = |name: &str, value: &str| -> Vec<String> {
        let mut labels: Vec<String> = projects
            .iter()
            .map(|project| label(name, &respelt(ctx, value, home, &project.name)))
            .collect();
        labels.dedup();
        labels
    };
    let mut groups: Vec<Vec<String>> = recall.tags.iter().map(|tag| spelt("tag", tag)).collect();
    if !recall.types.is_empty() {
        groups.push(
            recall
                .types
                .iter()
                .map(|kind| label("type", kind.as_str()))
                .collect(),
        );
    }
    let single = [
        ("session", &recall.session),
        ("speaker", &recall.speaker),
        ("domain", &recall.domain),
    ];
    groups.extend(
        single
            .iter()
            .filter_map(|(name, value)| Some(spelt(name, value.as_deref()?))),
    );
    groups
}

/// Finds memories whose vectors point the same way as a question's: seed 004's semantic search. Give
/// a text, a vector of your own, or both.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("anyOf" = [{"required": ["query"]}, {"required": ["embedding"]}]))]
pub struct SemanticSearch {
    /// The question in words; it is embedded unless you bring a vector.
    #[schemars(length(min = 1, max = 10_000))]
    pub query: Option<String>,
    /// Your own vector for the question.
    #[schemars(length(min = 1, max = 65_536))]
    pub embedding: Option<Vec<f32>>,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// How many memories to answer at most.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 1_000))]
    pub limit: u32,
    /// The lowest cosine that counts.
    #[serde(default = "default_threshold")]
    #[schemars(range(min = -1, max = 1))]
    pub threshold: f64,
}

fn default_threshold() -> f64 {
    0.3
}

/// Memories by similarity.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SimilarMemories {
    /// The hits, most similar first.
    pub hits: Vec<SemanticHit>,
    /// What the search should have done but could not, such as asking a provider that is away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A memory with its similarity.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SemanticHit {
    /// The memory's id.
    pub id: MemoryId,
    /// The memory's text.
    pub content: String,
    /// What sort of thing it says.
    pub memory_type: MemoryType,
    /// The cosine of its best passage.
    pub semantic_similarity: f64,
}

impl Operation for SemanticSearch {
    const SPEC: Spec = Spec::query("memory.semantic_search", "/memories/semantic-search")
        .errors(&[Code::EmbeddingMismatch]);
    type Output = SimilarMemories;

    async fn call(self, ctx: &Ctx) -> Result<SimilarMemories> {
        let recall = Recall {
            query: self.query.unwrap_or_default(),
            embedding: self.embedding,
            project: self.project,
            limit: self.limit,
            mode: Mode::Semantic,
            ..Recall::default()
        };
        let found = find(ctx, &recall).await?;
        let hits = found.hits.into_iter().filter_map(|(hit, memory)| {
            let semantic_similarity = hit.semantic.filter(|cosine| *cosine >= self.threshold)?;
            Some(SemanticHit {
                id: memory.id,
                content: memory.content,
                memory_type: memory.memory_type,
                semantic_similarity,
            })
        });
        Ok(SimilarMemories {
            hits: hits.collect(),
            notes: found.notes,
        })
    }
}

/// Finds memories by meaning and words with fixed shares: seed 004's hybrid search. Each memory stands
/// for itself. For everyday use `recall` chooses the shares by a measured rule, and lets the turns
/// of a conversation speak for each other.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HybridSearch {
    /// The question in words.
    #[schemars(length(min = 1, max = 10_000))]
    pub query_text: String,
    /// Your own vector for the question; the text is embedded unless given.
    #[schemars(length(min = 1, max = 65_536))]
    pub embedding: Option<Vec<f32>>,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// How many memories to answer at most.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 1_000))]
    pub limit: u32,
    /// The share of meaning. The shares need not sum to 1: their sum divides.
    #[serde(default = "seven_tenths")]
    #[schemars(range(min = 0, max = 1))]
    pub semantic_weight: f64,
    /// The share of words.
    #[serde(default = "three_tenths")]
    #[schemars(range(min = 0, max = 1))]
    pub keyword_weight: f64,
    /// Only memories in this state; all but superseded ones unless given.
    pub consolidation_state: Option<ConsolidationState>,
}

fn seven_tenths() -> f64 {
    0.7
}

fn three_tenths() -> f64 {
    0.3
}

/// Memories by both.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct HybridMemories {
    /// The hits, best first.
    pub hits: Vec<HybridHit>,
    /// What the search should have done but could not, such as asking a provider that is away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A memory with the parts of its score.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct HybridHit {
    /// The memory's id.
    pub id: MemoryId,
    /// The memory's text.
    pub content: String,
    /// What sort of thing it says.
    pub memory_type: MemoryType,
    /// The cosine of its best passage; 0 without a vector.
    pub semantic_similarity: f64,
    /// Its BM25 score.
    pub keyword_rank: f64,
    /// How it ranks among the hits, up to 1.
    pub hybrid_score: f64,
}

impl Operation for HybridSearch {
    const SPEC: Spec = Spec::query("memory.hybrid_search", "/memories/hybrid-search")
        .errors(&[Code::EmbeddingMismatch]);
    type Output = HybridMemories;

    async fn call(self, ctx: &Ctx) -> Result<HybridMemories> {
        let recall = Recall {
            query: self.query_text,
            embedding: self.embedding,
            project: self.project,
            limit: self.limit,
            semantic_weight: Some(self.semantic_weight),
            keyword_weight: Some(self.keyword_weight),
            context: Context::Ignored,
            state: self.consolidation_state.into_iter().collect(),
            ..Recall::default()
        };
        let found = find(ctx, &recall).await?;
        let hits = found.hits.into_iter().map(|(hit, memory)| HybridHit {
            id: memory.id,
            content: memory.content,
            memory_type: memory.memory_type,
            semantic_similarity: hit.semantic.unwrap_or(0.0),
            keyword_rank: hit.keyword,
            hybrid_score: hit.score,
        });
        Ok(HybridMemories {
            hits: hits.collect(),
            notes: found.notes,
        })
    }
}

/// The states whose memories are recalled unless a call says otherwise.
fn live_states() -> Vec<String> {
    ConsolidationState::LIVE
        .iter()
        .map(|state| state.as_str().to_owned())
        .collect()
}
