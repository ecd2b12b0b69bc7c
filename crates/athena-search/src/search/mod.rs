//! Ranking: every arm over every item in scope, joined, set in context, ordered, explained.
//!
//! [`arms`] asks the indexes, [`blend`] makes one score of what they say, [`dialogue`] adds what
//! turns of a conversation say for each other, [`standing`] what an item has whatever is asked.

mod arms;
mod beginnings;
mod blend;
mod candidate;
mod dates;
mod dialogue;
mod explain;
mod standing;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::analyze::{QueryTerm, query_terms};
use crate::index::Index;
use crate::math::from_units;
use crate::query::{Answer, Ground, Hit, Micros, Mode, Query, Summary};
use crate::record::WHOLE;

use arms::{Likeness, Question, Scope};
use blend::Blend;
use candidate::{Candidate, ONE, keep_best};
use explain::Explained;

pub use beginnings::shorter_stems;
pub use blend::{TABLE_WEIGHT, WORDS_WEIGHT};

/// The `match` below which a hit is rather chance than an answer.
///
/// Chosen on five LoCoMo conversations (hybrid, built-in vectors): 94 % of a conversation's own
/// questions have a hit at or above it, and 7 % of those asked about the other four.
pub const DEFAULT_MIN_MATCH: f64 = 0.12;

/// Answers a query from one or several indexes.
///
/// Word statistics and the best hit, by which each arm is divided, are taken over all indexes
/// together. Where up to 2,000 items of an index pass the filter, or [`Query::exact`] is set, every
/// one is scored by every arm. Of more, each arm names its best, which all arms then score: by
/// words the best exactly, by vectors the nearest of those that may be it by a first look at one bit
/// a component, with a bound of how far that is off; beside a model's vector the built-in one names the
/// nearest of those that have none of the model's. A limit of 0, a text without words and a vector
/// of another model are answered with what is left to go by, which may be nothing. A query vector
/// without direction is none.
#[must_use]
pub fn search(indexes: &[&Index], query: &Query) -> Answer {
    let mut watch = Watch::start(query.clock);
    let words = words(indexes, query);
    let question = Question::new(indexes, &words, query);
    let mut scopes: Vec<Scope<'_>> = indexes
        .iter()
        .enumerate()
        .map(|(number, index)| Scope::by_words(&question, number, index))
        .collect();
    let keywords = watch.lap();
    for scope in &mut scopes {
        scope.by_vectors(&question);
    }
    let vectors = watch.lap();

    let mut candidates = candidates(&scopes);
    let is_dialogue = dialogue::is_dialogue(query, &scopes);
    let blend = Blend::new(&question, &scopes, &candidates, is_dialogue);
    blend.score(&mut candidates);
    if is_dialogue {
        dialogue::add_context(&question, &words, &scopes, &mut candidates);
    }
    candidates.retain(|candidate| candidate.parts.sum() > 0);
    standing::add_standing(query, &scopes, &mut candidates);
    let sums = candidates.iter().map(|candidate| candidate.parts.sum());
    let ranking = Ranking {
        question,
        blend,
        best: sums.fold(ONE, i64::max),
        scopes,
    };
    let considered = candidates.len();
    if let Some(least) = query.min_score {
        candidates.retain(|candidate| ranking.match_of(candidate) >= least);
    }
    keep_best(&mut candidates, query.limit);
    let hits = candidates.iter().map(|it| ranking.hit(it)).collect();
    let scopes = &ranking.scopes;
    let mut summary = Summary {
        items: indexes.iter().map(|index| index.len()).sum(),
        in_scope: scopes.iter().map(Scope::size).sum(),
        candidates: considered,
        without_vector: query.explain.then(|| ranking.without_vector()),
        terms: words.into_iter().map(|word| word.text).collect(),
        filters: query.told_filters(),
        weights: ranking.blend.told(),
        dialogue: is_dialogue,
        divided_by: from_units(ranking.best),
        micros: None,
    };
    summary.micros = query.clock.is_some().then(|| Micros {
        keywords,
        vectors,
        fusion: watch.lap(),
        ..Micros::default()
    });
    Answer { hits, summary }
}

/// The words that rank, and those that the query's beginnings stand for.
fn words(indexes: &[&Index], query: &Query) -> Vec<QueryTerm> {
    if query.mode == Mode::Semantic {
        return Vec::new();
    }
    let mut words = query_terms(&query.text);
    beginnings::add_words(indexes, query, &mut words);
    words
}

/// Everything in scope that an arm finds.
fn candidates(scopes: &[Scope<'_>]) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for scope in scopes {
        let found = scope.found();
        let candidate = |it: arms::Found| Candidate::new(scope.number, scope.uid(it.slot), it);
        candidates.extend(found.into_iter().map(candidate));
    }
    candidates
}

/// A question with its answers scored.
struct Ranking<'a> {
    question: Question<'a>,
    blend: Blend,
    /// The best score where it is above 1, by which all are divided; 1 otherwise.
    best: i64,
    scopes: Vec<Scope<'a>>,
}

impl Ranking<'_> {
    /// The better of the model's cosine and the share of what the words could reach.
    ///
    /// The cosine of a built-in vector is the words once more, blurred; it speaks only where the
    /// words themselves were not asked.
    fn match_of(&self, candidate: &Candidate) -> f64 {
        let share = self.keyword_share(candidate);
        let is_blurred = self.question.model.is_none();
        if is_blurred && self.question.query.mode == Mode::Hybrid {
            return share.clamp(0.0, 1.0);
        }
        let cosine = self.likeness(candidate).map_or(0.0, |it| it.best);
        cosine.max(share).clamp(0.0, 1.0)
    }

    fn keyword_share(&self, candidate: &Candidate) -> f64 {
        let keyword = self.scopes[candidate.scope].keyword(candidate.found.slot);
        self.question.keyword.share(keyword.gain)
    }

    fn likeness(&self, candidate: &Candidate) -> Option<Likeness> {
        self.scopes[candidate.scope].likeness(&self.question, candidate.found.slot)
    }

    fn hit(&self, candidate: &Candidate) -> Hit {
        let scope = &self.scopes[candidate.scope];
        let likeness = self.likeness(candidate);
        let told = candidate.parts.divided(self.best);
        let match_score = self.match_of(candidate);
        let passage = self.passage(candidate);
        let explained = || Explained {
            question: &self.question,
            scope,
            blend: &self.blend,
            candidate,
            told: &told,
            likeness,
        };
        Hit {
            index: candidate.scope,
            item: scope.item(candidate.found.slot),
            uid: candidate.uid,
            score: from_units(told.sum()),
            match_score,
            semantic: likeness.map(|it| it.best),
            keyword: candidate.found.keyword,
            passage,
            explain: self
                .question
                .query
                .explain
                .then(|| explained().explain(passage, match_score, self.keyword_share(candidate))),
        }
    }

    /// The best passage of the arm that adds most.
    fn passage(&self, candidate: &Candidate) -> u32 {
        let scope = &self.scopes[candidate.scope];
        let slot = candidate.found.slot;
        let arms = [
            (Ground::Keyword, Some(scope.keyword(slot).n)),
            (Ground::Builtin, scope.builtin(slot).map(|it| it.n)),
            (Ground::Model, scope.model(slot).map(|it| it.n)),
        ];
        let (mut most, mut passage) = (0, 0);
        for (ground, n) in arms {
            let added = candidate.parts.get(ground);
            if let Some(n) = n.filter(|_| added > most) {
                (most, passage) = (added, n);
            }
        }
        if passage == WHOLE { 0 } else { passage }
    }

    fn without_vector(&self) -> usize {
        if self.question.direction().is_none() {
            return 0;
        }
        let without = |scope: &Scope<'_>| scope.without_vector(&self.question);
        self.scopes.iter().map(without).sum()
    }
}

/// Measures stages with the query's clock, if it has one.
struct Watch {
    clock: Option<fn() -> Duration>,
    last: Duration,
}

impl Watch {
    fn start(clock: Option<fn() -> Duration>) -> Self {
        Self {
            clock,
            last: clock.map_or(Duration::ZERO, |read| read()),
        }
    }

    /// Microseconds since the last lap; 0 without a clock.
    fn lap(&mut self) -> u64 {
        let now = self.clock.map_or(self.last, |read| read());
        let lap = now.saturating_sub(self.last);
        self.last = now;
        u64::try_from(lap.as_micros()).unwrap_or(u64::MAX)
    }
}
