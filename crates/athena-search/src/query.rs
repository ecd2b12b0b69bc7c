//! What is asked, and what is answered.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;

use crate::recipe::{Ingredient, Recipe};
use crate::record::{ItemRef, Kind};

/// A question to one or several indexes.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// The words. Nothing in them is syntax;
    /// [`QuerySyntax`](crate::analyze::QuerySyntax) takes what is out before.
    pub text: String,
    /// The analysed words that every hit has, whatever ranks it.
    pub having: Vec<String>,
    /// The analysed words that no hit has.
    pub lacking: Vec<String>,
    /// Beginnings of words: what starts with one of them ranks as if `text` said it.
    pub beginnings: Vec<String>,
    /// Words that some of the searched indexes spell in their own way, by index: the analysed word of
    /// `text`, and that index's. Shorter than the list of indexes, or empty, where all spell alike.
    pub spellings: Vec<HashMap<String, String>>,
    /// The same question as a vector of the built-in embedder.
    pub builtin: Option<QueryVector>,
    /// The same question as a vector of a model, or of the caller's own.
    pub vector: Option<QueryVector>,
    /// Which arms rank.
    pub mode: Mode,
    /// The shares of the arms; absent, the measured rule decides.
    pub weights: Option<Weights>,
    /// How the arms are joined.
    pub fusion: Fusion,
    /// Which items may answer.
    pub filter: Filter,
    /// How many hits at most.
    pub limit: usize,
    /// Leaves out hits whose `match` is lower.
    pub min_score: Option<f64>,
    /// How far newer items are preferred; not at all unless given.
    pub recency: Option<Recency>,
    /// What full usefulness adds to a score; nothing by default, and a negative weight or one that
    /// is not a number adds nothing.
    pub usefulness_weight: f64,
    /// Whether each hit says how it came by its score.
    pub explain: bool,
    /// Whether every item that passes is scored by every arm, however many there are.
    pub exact: bool,
    /// Which parts of the ranking take part.
    pub recipe: Recipe,
    /// Reads a clock that never goes back; the stages of the search are timed if there is one. The
    /// search itself knows no clock, and no result depends on this one.
    pub clock: Option<fn() -> Duration>,
}

/// How far newer items are preferred: an item of age `a` gets `weight · ½^(a / half_life)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recency {
    /// What an item of this moment gets; negative or not a number adds nothing.
    pub weight: f64,
    /// The age at which half of the weight is left, in microseconds; at least one.
    pub half_life: i64,
    /// The moment from which ages count, in microseconds since 1970 UTC. What lies after it has no
    /// age.
    pub now: i64,
}

impl Query {
    /// Says in words what every hit has to fulfil.
    #[must_use]
    pub fn told_filters(&self) -> Vec<String> {
        let filter = &self.filter;
        let mut filters = Vec::new();
        if !self.having.is_empty() {
            filters.push(format!("words: all of {}", self.having.join(", ")));
        }
        if !self.lacking.is_empty() {
            filters.push(format!("words: none of {}", self.lacking.join(", ")));
        }
        if !filter.kinds.is_empty() {
            let kinds: Vec<String> = filter.kinds.iter().map(|kind| kind.0.to_string()).collect();
            filters.push(format!("kind: {}", kinds.join(" or ")));
        }
        if !filter.states.is_empty() {
            filters.push(format!("state: {}", filter.states.join(" or ")));
        }
        for group in &filter.labels {
            filters.push(format!("label: {}", group.join(" or ")));
        }
        if let Some(after) = filter.after {
            filters.push(format!("time: from {after}"));
        }
        if let Some(before) = filter.before {
            filters.push(format!("time: before {before}"));
        }
        filters
    }

    /// Tells whether the built-in embedder's vector is asked: by meaning alone, the model's is the
    /// better guess where there are two.
    #[must_use]
    pub fn asks_builtin(&self) -> bool {
        let has_model = self.vector.is_some() && self.recipe.has(Ingredient::Model);
        match self.mode {
            Mode::Keyword => false,
            Mode::Hybrid => true,
            Mode::Semantic => !has_model,
        }
    }

    /// Tells whether nothing but words orders and chooses the hits, unless they are turns.
    pub(crate) fn is_about_words_alone(&self) -> bool {
        let is_useful = self.usefulness_weight > 0.0;
        let standing = self.recency.is_some() || is_useful;
        self.mode == Mode::Keyword && self.min_score.is_none() && !standing
    }

    /// Returns how an index spells a word.
    pub(crate) fn spelt<'a>(&'a self, index: usize, word: &'a str) -> &'a str {
        self.spellings
            .get(index)
            .and_then(|spelling| spelling.get(word))
            .map_or(word, String::as_str)
    }
}

/// A question as a vector.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryVector {
    /// The model; only stored vectors of the same model and dimension are compared.
    pub model: u32,
    /// The components; any length but zero, it is the direction that counts.
    pub values: Vec<f32>,
    /// How the vector was made, which decides how far it is trusted beside the keywords.
    pub kind: VectorKind,
}

/// How a vector was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VectorKind {
    /// From the words themselves, hashed.
    Words,
    /// From the built-in table of tokens.
    Table,
    /// By a model, or by the caller.
    Model,
}

/// Which arms rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Words only.
    Keyword,
    /// Vectors only.
    Semantic,
    /// Both.
    #[default]
    Hybrid,
}

/// The shares of the arms in a hybrid score. They need not sum to 1: their sum divides.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Weights {
    /// The share of the vectors; negative or not a number counts as 0.
    pub semantic: f64,
    /// The share of the keywords; negative or not a number counts as 0.
    pub keyword: f64,
}

/// How the arms are joined in a hybrid score.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Fusion {
    /// A weighted mean of the arms, each divided by the query's best hit.
    #[default]
    Weighted,
    /// Reciprocal rank fusion (Cormack, Clarke, Büttcher, 2009), scaled so that first in both
    /// arms is 1.
    Rrf {
        /// How slowly the weight falls with the rank; 60 is usual.
        k: u32,
    },
}

/// Which items may answer. Empty lists and absent bounds let everything pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Any of these kinds.
    pub kinds: Vec<Kind>,
    /// Any of these states.
    pub states: Vec<String>,
    /// Of each group, any label: a conjunction of disjunctions.
    pub labels: Vec<Vec<String>>,
    /// At this time or later, in microseconds since 1970 UTC.
    pub after: Option<i64>,
    /// Earlier than this time, in microseconds since 1970 UTC.
    pub before: Option<i64>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The hits, best first.
    pub hits: Vec<Hit>,
    /// What the search looked at.
    pub summary: Summary,
}

/// What a search looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// How many items there are.
    pub items: usize,
    /// How many of them pass the filters.
    pub in_scope: usize,
    /// How many of those the query finds, `min_score` apart: by a word, by a direction, or beside a
    /// turn of a conversation that it finds so.
    pub candidates: usize,
    /// How many items in scope have no vector of the query's model (yet), if an explanation was asked
    /// for.
    pub without_vector: Option<usize>,
    /// The query's words as they were searched.
    pub terms: Vec<String>,
    /// The filters that were applied, in words.
    pub filters: Vec<String>,
    /// The shares of the arms in the score; absent with rank fusion.
    pub weights: Option<Shares>,
    /// Whether the scope was taken for a conversation: then its turns speak for each other.
    pub dialogue: bool,
    /// The sum of the parts of the best hit where that is above 1: what all of them were divided by.
    pub divided_by: f64,
    /// How long each stage took, if a clock was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub micros: Option<Micros>,
}

/// The shares of the arms; their sum is 1, or 0 where nothing was to be found.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Shares {
    /// Of the words.
    pub keyword: f64,
    /// Of the built-in vector.
    pub builtin: f64,
    /// Of the model's vector.
    pub model: f64,
}

/// How long each stage of an answer took, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Micros {
    /// Reading what was committed since the last search.
    pub catch_up: u64,
    /// Making vectors of the question.
    pub embed: u64,
    /// Filtering, and scoring by words.
    pub keywords: u64,
    /// Scoring by vectors.
    pub vectors: u64,
    /// Joining the arms, the terms of the conversation, ordering and explaining.
    pub fusion: u64,
    /// Reading the rows of the hits.
    pub rows: u64,
}

/// An item that answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Which of the searched indexes has it.
    pub index: usize,
    /// The item.
    pub item: ItemRef,
    /// The id that is the same in every store.
    pub uid: [u8; 16],
    /// How it ranks among the hits of this query, in [0, 1], in steps of 1e-7.
    pub score: f64,
    /// How well it answers by itself, in [0, 1]: the better of the model's cosine and the share that
    /// it has of what the query's words could reach, words that nothing contains included. Beside a
    /// built-in vector it is that share alone.
    pub match_score: f64,
    /// The cosine of its best passage, if it has a vector of the query's model; of the built-in one
    /// where the query has no other.
    pub semantic: Option<f64>,
    /// Its BM25 score: half the whole text's, half the best passage's.
    pub keyword: f64,
    /// The number of its best passage.
    pub passage: u32,
    /// How it came by its score, if asked.
    pub explain: Option<Explain>,
}

/// How a hit came by its score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explain {
    /// The score; the contributions of the parts add up to it exactly, at seven decimals.
    pub score: f64,
    /// The parts: those of the arms that were asked, and what else added something.
    pub parts: Vec<Part>,
    /// The ways in which it would have been found alone.
    pub found_by: Vec<Arm>,
    /// The best passage.
    pub passage: u32,
    /// The query's words that it has.
    pub terms: Vec<TermMatch>,
    /// Whether it has a vector to compare.
    pub vector: VectorState,
    /// How well it answers by itself.
    #[serde(rename = "match")]
    pub match_score: f64,
    /// The cosine of the best passage.
    pub cosine: Option<f64>,
    /// The BM25 score as a share of what the query's words could reach.
    pub keyword_share: f64,
}

/// What one thing adds to a score.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Part {
    /// What adds it.
    pub part: Ground,
    /// Its weight.
    pub weight: f64,
    /// Its value; an arm's is 1 for its best hit.
    pub value: f64,
    /// What it adds to the score, in steps of 1e-7: `weight · value`, divided like the score.
    pub contribution: f64,
}

/// What can add to a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ground {
    /// The likeness by the model's vector.
    Model,
    /// The likeness by the built-in vector.
    Builtin,
    /// The words.
    Keyword,
    /// That the user said it, in a chat with an assistant.
    User,
    /// The turn before, by its arms.
    Previous,
    /// The turn after, by its arms.
    Next,
    /// The turns two away, by their arms.
    Near,
    /// The best turns of the session.
    Session,
    /// That it is no question, in a conversation without an assistant.
    Statement,
    /// A date that the question names.
    Date,
    /// That the question names who said it.
    Speaker,
    /// How new it is.
    Recency,
    /// How useful it proved.
    Usefulness,
}

/// A way of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// By words.
    Keyword,
    /// By the built-in vector.
    Builtin,
    /// By the model's vector.
    Model,
    /// As a neighbour of a turn that was found, or by a date that the question names.
    Dialogue,
}

/// A word that query and hit share.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TermMatch {
    /// The analysed word.
    pub term: String,
    /// Its inverse document frequency over all passages.
    pub idf: f64,
    /// How often the query says it.
    pub query_count: u32,
    /// How often the item says it.
    pub tf: u32,
    /// What it adds to the BM25 score.
    pub contribution: f64,
}

/// Whether a hit could be compared by vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VectorState {
    /// It was.
    Scored,
    /// It has no vector of the query's model yet.
    Pending,
    /// The query had no vector, or keywords alone were asked for.
    NotAsked,
}
