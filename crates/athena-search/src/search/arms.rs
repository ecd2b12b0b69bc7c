//! What each arm finds in one index: by words, by the built-in vector, by the model's.
//!
//! Here, and where conversations are looked up, is all that ranking asks of an [`Index`].

use crate::analyze::QueryTerm;
use crate::bm25::{Gain, KeywordQuery};
use crate::index::{GONE, Index, Item};
use crate::query::{Filter, Mode, Query, QueryVector, TermMatch, VectorKind};
use crate::recipe::{Ingredient, Recipe};
use crate::record::ItemRef;
use crate::vector::PreparedQuery;

/// The least cosine that is a likeness: what rounding to bytes can make of none.
const LEAST_COSINE: f64 = 2e-3;

/// A question made ready for the arms.
pub(super) struct Question<'a> {
    pub(super) query: &'a Query,
    pub(super) keyword: KeywordQuery,
    pub(super) builtin: Option<Direction<'a>>,
    pub(super) model: Option<Direction<'a>>,
}

/// A query's vector as a direction.
pub(super) struct Direction<'a> {
    pub(super) vector: &'a QueryVector,
    prepared: PreparedQuery,
}

impl<'a> Direction<'a> {
    /// A vector without direction is none.
    fn of(vector: Option<&'a QueryVector>) -> Option<Self> {
        let vector = vector?;
        let prepared = PreparedQuery::new(&vector.values).ok()?;
        Some(Self { vector, prepared })
    }
}

impl<'a> Question<'a> {
    pub(super) fn new(indexes: &[&Index], words: &[QueryTerm], query: &'a Query) -> Self {
        let has = |ingredient, vector: &'a Option<QueryVector>| {
            let is_asked = query.mode != Mode::Keyword && query.recipe.has(ingredient);
            Direction::of(vector.as_ref().filter(|_| is_asked))
        };
        let model = has(Ingredient::Model, &query.vector);
        // By meaning alone, the model's is the better guess where there are two.
        let is_alone = query.mode == Mode::Semantic && model.is_some();
        Self {
            query,
            keyword: KeywordQuery::new(indexes, words, query),
            builtin: has(Ingredient::Builtin, &query.builtin).filter(|_| !is_alone),
            model,
        }
    }

    /// The vector whose cosines are reported.
    pub(super) fn direction(&self) -> Option<&Direction<'a>> {
        self.model.as_ref().or(self.builtin.as_ref())
    }
}

/// One index: which of its items pass, and what each arm says of them, by slot.
pub(super) struct Scope<'a> {
    /// Its place among the indexes that are asked.
    pub(super) number: usize,
    pub(super) index: &'a Index,
    pub(super) passes: Vec<bool>,
    keyword: Vec<Keyword>,
    builtin: Vec<Option<Likeness>>,
    model: Vec<Option<Likeness>>,
}

/// What the words say of an item.
#[derive(Clone, Copy, Default)]
pub(super) struct Keyword {
    whole: Gain,
    /// The best passage's.
    passage: Gain,
    pub(super) n: u32,
}

/// What a vector says of an item.
#[derive(Clone, Copy)]
pub(super) struct Likeness {
    /// The best passage's cosine.
    pub(super) best: f64,
    pub(super) n: u32,
    /// What ranks: the best cosine, for a model's vectors half that and half the whole item's.
    pub(super) rank: f64,
}

/// An item that may answer, with what ranks it in each arm: 0 where the arm does not find it.
#[derive(Clone, Copy)]
pub(super) struct Found {
    pub(super) slot: usize,
    pub(super) keyword: f64,
    pub(super) builtin: f64,
    pub(super) model: f64,
}

impl Found {
    /// An item that no arm finds.
    pub(super) fn by_no_arm(slot: usize) -> Self {
        Self {
            slot,
            keyword: 0.0,
            builtin: 0.0,
            model: 0.0,
        }
    }
}

impl<'a> Scope<'a> {
    /// Filters, and scores by words.
    pub(super) fn by_words(question: &Question<'_>, number: usize, index: &'a Index) -> Self {
        let passes = passing(index, &question.query.filter);
        Self {
            keyword: score_words(question, number, index, &passes),
            builtin: Vec::new(),
            model: Vec::new(),
            number,
            index,
            passes,
        }
    }

    /// Scores by vectors.
    pub(super) fn by_vectors(&mut self, question: &Question<'_>) {
        self.builtin = likenesses(question.builtin.as_ref(), self.index, &self.passes);
        self.model = likenesses(question.model.as_ref(), self.index, &self.passes);
    }

    /// How many items pass the filters.
    pub(super) fn size(&self) -> usize {
        self.passes.iter().filter(|passes| **passes).count()
    }

    /// Everything that passes and shares a word or a direction with the question.
    pub(super) fn found(&self, recipe: Recipe) -> impl Iterator<Item = Found> {
        let is_found =
            |found: &Found| found.keyword > 0.0 || found.builtin > 0.0 || found.model > 0.0;
        (0..self.passes.len())
            .map(move |slot| Found {
                slot,
                keyword: self.keyword[slot].total(recipe).score,
                builtin: rank(self.builtin[slot]),
                model: rank(self.model[slot]),
            })
            .filter(is_found)
    }

    pub(super) fn item(&self, slot: usize) -> ItemRef {
        self.index.items[slot].item
    }

    pub(super) fn uid(&self, slot: usize) -> [u8; 16] {
        self.index.items[slot].uid
    }

    /// When an item happened, in microseconds since 1970 UTC.
    pub(super) fn time(&self, slot: usize) -> i64 {
        self.index.items[slot].time
    }

    /// How useful an item proved, in thousandths.
    pub(super) fn usefulness(&self, slot: usize) -> u16 {
        self.index.items[slot].usefulness
    }

    pub(super) fn keyword(&self, slot: usize) -> Keyword {
        self.keyword[slot]
    }

    pub(super) fn builtin(&self, slot: usize) -> Option<Likeness> {
        self.builtin[slot]
    }

    pub(super) fn model(&self, slot: usize) -> Option<Likeness> {
        self.model[slot]
    }

    /// What the reported vector says: the model's where the question has one.
    pub(super) fn likeness(&self, question: &Question<'_>, slot: usize) -> Option<Likeness> {
        if question.model.is_some() {
            self.model[slot]
        } else {
            self.builtin[slot]
        }
    }

    /// The model's ranking cosines of everything that has a vector of it.
    pub(super) fn model_ranks(&self) -> impl Iterator<Item = f64> {
        self.model.iter().flatten().map(|likeness| likeness.rank)
    }

    /// How many items pass without a vector to compare.
    pub(super) fn without_vector(&self, question: &Question<'_>) -> usize {
        let lacks = |slot: &usize| self.passes[*slot] && self.likeness(question, *slot).is_none();
        (0..self.passes.len()).filter(lacks).count()
    }

    /// The question's words that an item has, with what each adds.
    pub(super) fn matches(&self, question: &Question<'_>, slot: usize) -> Vec<TermMatch> {
        let item = &self.index.items[slot];
        let best = self.keyword[slot].n;
        let (whole, passage) = shares_of_text(question.query.recipe);
        let mut matches = Vec::new();
        for term in &question.keyword.terms {
            let spelt = question.query.spelt(self.number, &term.text);
            let Some(postings) = self.index.postings(spelt) else {
                continue;
            };
            let mut tf = 0_u32;
            let mut contribution = 0.0;
            for (place, count) in occurrences(&postings.list, item) {
                tf = tf.saturating_add(count);
                let place = self.index.passages[place as usize];
                if place.n == best {
                    let gain = question.keyword.in_passage(term, count, place.len);
                    contribution += passage * gain.score;
                }
            }
            if tf > 0 {
                contribution += whole * question.keyword.in_whole(term, tf, item.len).score;
                matches.push(TermMatch {
                    term: term.text.clone(),
                    idf: term.passage_idf,
                    query_count: term.count,
                    tf,
                    contribution,
                });
            }
        }
        matches
    }
}

impl Keyword {
    /// Half the whole text's, half the best passage's.
    pub(super) fn total(self, recipe: Recipe) -> Gain {
        if recipe.has(Ingredient::Passages) {
            self.whole.halves(self.passage)
        } else {
            self.whole
        }
    }

    /// Keeps the better passage; of two equal ones the earlier.
    fn offer(&mut self, gain: Gain, n: u32) {
        let best = self.passage.score;
        if gain.score > best || (gain.score == best && n < self.n) {
            self.passage = gain;
            self.n = n;
        }
    }
}

/// The shares of the whole text and of the best passage.
fn shares_of_text(recipe: Recipe) -> (f64, f64) {
    if recipe.has(Ingredient::Passages) {
        (0.5, 0.5)
    } else {
        (1.0, 0.0)
    }
}

/// What ranks; square to the question, but for rounding, is no likeness.
fn rank(likeness: Option<Likeness>) -> f64 {
    likeness
        .map(|likeness| likeness.rank)
        .filter(|rank| *rank >= LEAST_COSINE)
        .unwrap_or(0.0)
}

/// BM25 of every item: the whole text's, and the best passage's.
///
/// Each sum grows in the order of the question's words, so slots have no say in it.
fn score_words(
    question: &Question<'_>,
    number: usize,
    index: &Index,
    passes: &[bool],
) -> Vec<Keyword> {
    let keyword = &question.keyword;
    let mut scores = vec![Keyword::default(); index.items.len()];
    let mut by_passage = vec![Gain::default(); index.passages.len()];
    let mut whole_tf = vec![0_u32; index.items.len()];
    let mut touched = Vec::new();
    for term in &keyword.terms {
        let Some(postings) = index.postings(question.query.spelt(number, &term.text)) else {
            continue;
        };
        for &(passage, tf) in &postings.list {
            let Passed(item, len) = match passed(index, passes, passage) {
                Some(passed) => passed,
                None => continue,
            };
            by_passage[passage as usize] += keyword.in_passage(term, tf, len);
            if whole_tf[item] == 0 {
                touched.push(item);
            }
            whole_tf[item] = whole_tf[item].saturating_add(tf);
        }
        for item in touched.drain(..) {
            let tf = std::mem::take(&mut whole_tf[item]);
            scores[item].whole += keyword.in_whole(term, tf, index.items[item].len);
        }
    }
    for (passage, gain) in index.passages.iter().zip(by_passage) {
        if gain.score > 0.0 {
            scores[passage.item as usize].offer(gain, passage.n);
        }
    }
    scores
}

/// The cosines of every item that has a vector of the direction's model, by slot.
fn likenesses(
    direction: Option<&Direction<'_>>,
    index: &Index,
    passes: &[bool],
) -> Vec<Option<Likeness>> {
    let mut scores = vec![None; index.items.len()];
    let Some(direction) = direction else {
        return scores;
    };
    let is_models = direction.vector.kind == VectorKind::Model;
    let Some((set, vectors)) =
        index.vectors(direction.vector.model, direction.prepared.dimension())
    else {
        return scores;
    };
    let cosines = vectors.cosines(&direction.prepared, passes);
    for (slot, item) in index.items.iter().enumerate() {
        if !passes[slot] {
            continue;
        }
        let places = || item.vectors.iter().filter(|place| place.set == set);
        let mut sum = 0.0;
        let mut count = 0;
        let mut best: Option<Likeness> = None;
        for place in places() {
            let cosine = cosines[place.row as usize];
            sum += cosine;
            count += 1;
            if best.is_none_or(|best| cosine > best.best) {
                best = Some(Likeness {
                    best: cosine,
                    n: place.n,
                    rank: cosine,
                });
            }
        }
        if let Some(best) = &mut best
            && count > 1
            && is_models
        {
            let slot = crate::index::slot(slot);
            if let Some(norm) = vectors.sum_norm(slot, places().map(|place| place.row)) {
                best.rank = 0.5 * best.best + 0.5 * sum / norm;
            }
        }
        scores[slot] = best;
    }
    scores
}

/// A passage's item slot and length.
struct Passed(usize, u32);

fn passed(index: &Index, passes: &[bool], passage: u32) -> Option<Passed> {
    let passage = index.passages[passage as usize];
    let item = passage.item as usize;
    (passage.item != GONE && passes[item]).then_some(Passed(item, passage.len))
}

/// Which items of an index a filter lets through, by slot.
fn passing(index: &Index, filter: &Filter) -> Vec<bool> {
    let states: Vec<u32> = ids(index, &filter.states);
    let groups: Vec<Vec<u32>> = filter.labels.iter().map(|it| ids(index, it)).collect();
    let passes = |item: &Item| {
        item.live
            && (filter.kinds.is_empty() || filter.kinds.contains(&item.item.kind))
            && (filter.states.is_empty() || states.contains(&item.state))
            && filter.after.is_none_or(|after| item.time >= after)
            && filter.before.is_none_or(|before| item.time < before)
            && groups.iter().all(|group| {
                group
                    .iter()
                    .any(|label| item.labels.binary_search(label).is_ok())
            })
    };
    index.items.iter().map(passes).collect()
}

/// The numbers of the names that the index knows.
fn ids(index: &Index, names: &[String]) -> Vec<u32> {
    names
        .iter()
        .filter_map(|name| index.name_id(name))
        .collect()
}

/// An item's passages in a posting list, with their counts.
fn occurrences<'a>(
    list: &'a [(u32, u32)],
    item: &'a Item,
) -> impl Iterator<Item = (u32, u32)> + 'a {
    item.passages.iter().filter_map(|passage| {
        let at = list
            .binary_search_by_key(passage, |(other, _)| *other)
            .ok()?;
        Some(list[at])
    })
}
