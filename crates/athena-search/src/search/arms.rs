//! What each arm finds in one index: by words, by the built-in vector, by the model's.
//!
//! Here, and where conversations are looked up, is all that ranking asks of an [`Index`].

use std::cell::RefCell;

use crate::analyze::QueryTerm;
use crate::bitmap::Bitmap;
use crate::bm25::{Gain, KeywordQuery, WeightedTerm};
use crate::index::{Index, Nearness, Part};
use crate::keyword::{Scored, Scratch, SegmentView, score_all};
use crate::postings::Cursor;
use crate::query::{Mode, Query, QueryVector, TermMatch, VectorKind};
use crate::recipe::Ingredient;
use crate::record::ItemRef;
use crate::segment::number;
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

/// One index: which of its items pass, and what each arm says of them.
pub(super) struct Scope<'a> {
    /// Its place among the indexes that are asked.
    pub(super) number: usize,
    pub(super) index: &'a Index,
    pub(super) passes: Bitmap,
    size: usize,
    /// Ascending by slot.
    keyword: Vec<Keyword>,
    builtin: Vec<Option<Likeness>>,
    model: Vec<Option<Likeness>>,
}

/// What the words say of an item.
#[derive(Clone, Copy, Default)]
pub(super) struct Keyword {
    slot: usize,
    /// Half the whole text's, half the best passage's.
    pub(super) gain: Gain,
    /// The best passage.
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
        let passes = index.passing(&question.query.filter);
        Self {
            keyword: by_words(question, number, index, &passes),
            builtin: Vec::new(),
            model: Vec::new(),
            number,
            index,
            size: passes.count(),
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
        self.size
    }

    /// Everything that passes and shares a word or a direction with the question.
    pub(super) fn found(&self) -> impl Iterator<Item = Found> {
        let mut keywords = self.keyword.iter().peekable();
        let is_found =
            |found: &Found| found.keyword > 0.0 || found.builtin > 0.0 || found.model > 0.0;
        self.passes
            .iter()
            .map(move |slot| Found {
                slot,
                keyword: keywords
                    .next_if(|keyword| keyword.slot == slot)
                    .map_or(0.0, |keyword| keyword.gain.score),
                builtin: rank(self.builtin[slot]),
                model: rank(self.model[slot]),
            })
            .filter(is_found)
    }

    pub(super) fn item(&self, slot: usize) -> ItemRef {
        self.index.item(slot)
    }

    pub(super) fn uid(&self, slot: usize) -> [u8; 16] {
        self.index.uid(slot)
    }

    /// When an item happened, in microseconds since 1970 UTC.
    pub(super) fn time(&self, slot: usize) -> i64 {
        self.index.time(slot)
    }

    /// How useful an item proved, in thousandths.
    pub(super) fn usefulness(&self, slot: usize) -> u16 {
        self.index.usefulness(slot)
    }

    /// What the words say of an item; nothing where it has none of them.
    pub(super) fn keyword(&self, slot: usize) -> Keyword {
        let at = self.keyword.binary_search_by_key(&slot, |it| it.slot);
        at.map_or_else(|_| Keyword::default(), |at| self.keyword[at])
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
        let lacks = |slot: &usize| self.likeness(question, *slot).is_none();
        self.passes.iter().filter(lacks).count()
    }

    /// The question's words that an item has, with what each adds.
    pub(super) fn matches(&self, question: &Question<'_>, slot: usize) -> Vec<TermMatch> {
        let (part, item) = self.index.place(slot);
        let rows = part.passages.rows_of(number(item));
        let best = self.keyword(slot).n;
        let (whole, passage) = question.query.recipe.halves();
        let mut matches = Vec::new();
        for term in &question.keyword.terms {
            let spelt = question.query.spelt(self.number, &term.text);
            let Some(occurrences) = part.passages.words.get(spelt) else {
                continue;
            };
            let mut tf = 0_u32;
            let mut contribution = 0.0;
            let mut cursor = occurrences.list.cursor();
            while let Some((n, count)) = next_within(&mut cursor, &rows) {
                tf = tf.saturating_add(count);
                if n == best {
                    let len = part.passages.lens[rows.start + n as usize];
                    let gain = question.keyword.in_passage(term, count, len);
                    contribution += passage * gain.score;
                }
            }
            if tf > 0 {
                contribution += whole
                    * question
                        .keyword
                        .in_whole(term, tf, part.items.lens[item])
                        .score;
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

/// What ranks; square to the question, but for rounding, is no likeness.
fn rank(likeness: Option<Likeness>) -> f64 {
    likeness
        .map(|likeness| likeness.rank)
        .filter(|rank| *rank >= LEAST_COSINE)
        .unwrap_or(0.0)
}

/// The next passage of an item that a cursor finds: its number, and how often it has the word.
fn next_within(cursor: &mut Cursor<'_>, rows: &std::ops::Range<usize>) -> Option<(u32, u32)> {
    let row = cursor.seek(number(rows.start)) as usize;
    if !rows.contains(&row) {
        return None;
    }
    let count = cursor.count();
    cursor.advance();
    Some((number(row - rows.start), count))
}

/// BM25 of every item that passes and has a word, ascending by slot.
fn by_words(
    question: &Question<'_>,
    number: usize,
    index: &Index,
    passes: &Bitmap,
) -> Vec<Keyword> {
    if question.keyword.terms.is_empty() {
        return Vec::new();
    }
    let parts: Vec<&Part> = index.parts().collect();
    let views: Vec<SegmentView<'_>> = parts
        .iter()
        .map(|part| view(question, number, part, passes))
        .collect();
    let scoring = question.keyword.scoring(question.query.recipe);
    SCRATCH.with_borrow_mut(|scratch| {
        let mut found = Vec::new();
        score_all(&scoring, &views, scratch, |it| {
            found.push(found_by_words(parts[it.segment], it));
        });
        found
    })
}

thread_local! {
    /// Memory that one question after the other uses.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// A part as ranking by words sees it.
fn view<'a>(
    question: &Question<'_>,
    number: usize,
    part: &'a Part,
    passes: &'a Bitmap,
) -> SegmentView<'a> {
    let list = |term: &WeightedTerm| {
        let spelt = question.query.spelt(number, &term.text);
        Some(part.passages.words.get(spelt)?.list)
    };
    SegmentView {
        rows: part.passages.rows(&part.items.lens),
        passes: Some(&passes.words()[part.base / 64..]),
        lists: question.keyword.terms.iter().map(list).collect(),
    }
}

fn found_by_words(part: &Part, scored: Scored) -> Keyword {
    let first = part.passages.first_row(scored.item);
    Keyword {
        slot: part.base + scored.item as usize,
        gain: Gain {
            score: scored.score,
            toward_match: scored.toward_match,
        },
        n: scored.row - first,
    }
}

/// The cosines of every item that has a vector of the direction's model, by slot.
fn likenesses(
    direction: Option<&Direction<'_>>,
    index: &Index,
    passes: &Bitmap,
) -> Vec<Option<Likeness>> {
    let Some(direction) = direction else {
        return vec![None; index.slots()];
    };
    let is_models = direction.vector.kind == VectorKind::Model;
    let model = direction.vector.model;
    let likeness = |(slot, near): (usize, Option<Nearness>)| {
        let near = near?;
        let of_mean = || {
            let dimension = direction.prepared.dimension();
            index.cosine_of_mean(model, dimension, slot, &near)
        };
        Some(Likeness {
            best: near.best,
            n: near.n,
            rank: if is_models {
                0.5 * near.best + 0.5 * of_mean()
            } else {
                near.best
            },
        })
    };
    let near = index.nearness(model, &direction.prepared, passes);
    near.into_iter().enumerate().map(likeness).collect()
}
