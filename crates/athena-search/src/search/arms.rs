//! What each arm finds in one index: by words, by the built-in vector, by the model's.
//!
//! Here, and where conversations are looked up, is all that ranking asks of an [`Index`].

use std::cell::RefCell;

use crate::analyze::QueryTerm;
use crate::bitmap::Bitmap;
use crate::bm25::{Gain, KeywordQuery};
use crate::index::{Index, Look, Nearness, Part};
use crate::keyword::{Scored, Scratch, SegmentView, score_all, score_items, top_k};
use crate::postings::Cursor;
use crate::query::{Mode, Query, QueryVector, TermMatch, VectorKind};
use crate::recipe::Ingredient;
use crate::record::ItemRef;
use crate::segment::number;
use crate::spread::Spread;
use crate::vector::PreparedQuery;

/// The least cosine that is a likeness: what rounding to bytes can make of none.
const LEAST_COSINE: f64 = 2e-3;

/// A question made ready for the arms.
pub(super) struct Question<'a> {
    pub(super) query: &'a Query,
    pub(super) keyword: KeywordQuery<'a>,
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

    /// The model and the dimension of what it is compared with.
    fn key(&self) -> (u32, usize) {
        (self.vector.model, self.prepared.dimension())
    }
}

impl<'a> Question<'a> {
    pub(super) fn new(indexes: &[&'a Index], words: &[QueryTerm], query: &'a Query) -> Self {
        let has = |ingredient, vector: &'a Option<QueryVector>| {
            let is_asked = query.mode != Mode::Keyword && query.recipe.has(ingredient);
            Direction::of(vector.as_ref().filter(|_| is_asked))
        };
        let model = has(Ingredient::Model, &query.vector);
        let asks_builtin = query.asks_builtin() || model.is_none();
        Self {
            query,
            keyword: KeywordQuery::new(indexes, words, query),
            builtin: has(Ingredient::Builtin, &query.builtin).filter(|_| asks_builtin),
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
    /// The items that may answer, ascending by slot, where not every item that passes is scored.
    looked: Option<Vec<usize>>,
    /// Ascending by slot.
    keyword: Vec<Keyword>,
    builtin: Likenesses,
    model: Likenesses,
}

/// What a vector says of items, and how its cosines are spread over all that pass.
#[derive(Default)]
struct Likenesses {
    /// Ascending by slot.
    of: Vec<(usize, Likeness)>,
    spread: Spread,
}

/// Up to so many items that pass, every one is scored by every arm.
const EXACT_SCOPE: usize = 2_000;

/// So many items the words name at least in larger scopes, where they are not alone.
const LEAST_LOOKED: usize = 200;
/// So many of the nearest are looked for as if they were asked for at least.
const LEAST_NEAREST: usize = 10;

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
        let query = question.query;
        let mut passes = index.passing(&query.filter);
        for word in &query.having {
            index.keep_having(query.spelt(number, word), &mut passes);
        }
        for word in &query.lacking {
            index.keep_lacking(query.spelt(number, word), &mut passes);
        }
        let size = passes.count();
        let is_exact = query.exact || size <= EXACT_SCOPE;
        let mut scope = Self {
            number,
            index,
            passes,
            size,
            looked: (!is_exact).then(Vec::new),
            keyword: Vec::new(),
            builtin: Likenesses::default(),
            model: Likenesses::default(),
        };
        scope.keyword = scope.score_words(question);
        scope
    }

    /// Scores by vectors.
    pub(super) fn by_vectors(&mut self, question: &Question<'_>) {
        if self.looked.is_none() {
            self.builtin = self.likenesses(question.builtin.as_ref());
            self.model = self.likenesses(question.model.as_ref());
            return;
        }
        // The built-in vector is a blurred model's: it finds what has no better one.
        let unmodelled = question.model.as_ref().map(|model| self.without(model));
        let builtin = self.look(
            question,
            question.builtin.as_ref(),
            unmodelled.as_ref().unwrap_or(&self.passes),
        );
        let model = self.look(question, question.model.as_ref(), &self.passes);
        let looks = [builtin, model];
        let words = self.keyword.iter().map(|keyword| keyword.slot);
        let mut slots: Vec<usize> = words.collect();
        slots.extend(looks.iter().flat_map(|look| &look.slots));
        slots.sort_unstable();
        slots.dedup();
        self.add_words_of(question, &slots);
        let [builtin, model] = looks.map(|look| look.spread);
        self.builtin = self.likenesses_of(question.builtin.as_ref(), &slots, builtin);
        self.model = self.likenesses_of(question.model.as_ref(), &slots, model);
        self.looked = Some(slots);
    }

    /// How many items pass the filters.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Everything that passes and shares a word or a direction with the question; in a large scope
    /// the best of it.
    pub(super) fn found(&self) -> Vec<Found> {
        let mut keywords = self.keyword.iter().peekable();
        let mut builtin = self.builtin.of.iter().peekable();
        let mut model = self.model.of.iter().peekable();
        let mut found = Vec::new();
        loop {
            let next = [
                keywords.peek().map(|it| it.slot),
                builtin.peek().map(|it| it.0),
                model.peek().map(|it| it.0),
            ];
            let Some(slot) = next.into_iter().flatten().min() else {
                return found;
            };
            let by_words = keywords.next_if(|it| it.slot == slot);
            let it = Found {
                slot,
                keyword: by_words.map_or(0.0, |it| it.gain.score),
                builtin: rank(builtin.next_if(|it| it.0 == slot)),
                model: rank(model.next_if(|it| it.0 == slot)),
            };
            if it.keyword > 0.0 || it.builtin > 0.0 || it.model > 0.0 {
                found.push(it);
            }
        }
    }

    pub(super) fn item(&self, slot: usize) -> ItemRef {
        self.index.item(slot)
    }

    pub(super) fn uid(&self, slot: usize) -> [u8; 16] {
        self.index.uid(slot)
    }

    /// How many words an item has, stop words apart.
    pub(super) fn words(&self, slot: usize) -> u32 {
        let (part, item) = self.index.place(slot);
        part.items.lens[item]
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
        self.builtin.get(slot)
    }

    pub(super) fn model(&self, slot: usize) -> Option<Likeness> {
        self.model.get(slot)
    }

    /// What the reported vector says: the model's where the question has one.
    pub(super) fn likeness(&self, question: &Question<'_>, slot: usize) -> Option<Likeness> {
        if question.model.is_some() {
            self.model(slot)
        } else {
            self.builtin(slot)
        }
    }

    /// How the model's cosines are spread over everything that has a vector of it.
    pub(super) fn model_spread(&self) -> Spread {
        self.model.spread
    }

    /// How many items pass without a vector to compare.
    pub(super) fn without_vector(&self, question: &Question<'_>) -> usize {
        let direction = question.direction();
        direction.map_or(0, |direction| self.without(direction).count())
    }

    /// What passes without a vector of the direction's model.
    fn without(&self, direction: &Direction<'_>) -> Bitmap {
        let (model, dimension) = direction.key();
        self.index.without_vector(model, dimension, &self.passes)
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
fn rank(likeness: Option<&(usize, Likeness)>) -> f64 {
    likeness
        .map(|(_, likeness)| likeness.rank)
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

thread_local! {
    /// Memory that one question after the other uses.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// The words.
impl Scope<'_> {
    /// BM25 of every item that passes and has a word, in a large scope of the best; ascending by
    /// slot.
    fn score_words(&self, question: &Question<'_>) -> Vec<Keyword> {
        if question.keyword.terms.is_empty() {
            return Vec::new();
        }
        let parts: Vec<&Part> = self.index.parts().collect();
        let views = self.views(question, &parts);
        let scoring = question.keyword.scoring(question.query.recipe);
        let mut found = Vec::new();
        SCRATCH.with_borrow_mut(|scratch| {
            let mut keep = |it: Scored| found.push(found_by_words(parts[it.segment], it));
            if self.looked.is_none() {
                score_all(&scoring, &views, scratch, keep);
            } else {
                let limit = self.depth(question);
                // The margin keeps what ties once scores are whole units.
                let best = top_k(&scoring, &views, limit, 2e-7, scratch);
                best.into_iter().for_each(&mut keep);
            }
        });
        found.sort_unstable_by_key(|it| it.slot);
        found
    }

    /// Scores by words what vectors found beside those that words did.
    fn add_words_of(&mut self, question: &Question<'_>, slots: &[usize]) {
        let mut known = self.keyword.iter().peekable();
        let is_new = |slot: &&usize| {
            while known.next_if(|it| it.slot < **slot).is_some() {}
            known.peek().is_none_or(|it| it.slot != **slot)
        };
        let slots: Vec<usize> = slots.iter().filter(is_new).copied().collect();
        let found = self.words_of(question, &slots);
        self.keyword.extend(found);
        self.keyword.sort_unstable_by_key(|it| it.slot);
    }

    /// BM25 of those of some items that have a word.
    fn words_of(&self, question: &Question<'_>, slots: &[usize]) -> Vec<Keyword> {
        if question.keyword.terms.is_empty() {
            return Vec::new();
        }
        let parts: Vec<&Part> = self.index.parts().collect();
        let views = self.views(question, &parts);
        let scoring = question.keyword.scoring(question.query.recipe);
        let mut rest = slots;
        let mut found = Vec::new();
        SCRATCH.with_borrow_mut(|scratch| {
            for (at, part) in parts.iter().enumerate() {
                let end = part.base + part.items.len();
                let count = rest.partition_point(|slot| *slot < end);
                let (own, later) = rest.split_at(count);
                rest = later;
                let items: Vec<u32> = own.iter().map(|slot| number(slot - part.base)).collect();
                let scored = score_items(&scoring, &views, at, &items, scratch);
                found.extend(scored.into_iter().map(|it| found_by_words(part, it)));
            }
        });
        found
    }

    /// The parts as ranking by words sees them.
    fn views<'b>(&'b self, question: &'b Question<'_>, parts: &[&'b Part]) -> Vec<SegmentView<'b>> {
        let view = |(at, part): (usize, &&'b Part)| {
            let found = question.keyword.in_part(self.number, at);
            SegmentView {
                rows: part.passages.rows(&part.items.lens),
                passes: Some(&self.passes.words()[part.base / 64..]),
                lists: found.map(|it| it.map(|it| it.list)).collect(),
                lone: Some(part.passages.lone(&part.items.lens)),
            }
        };
        parts.iter().enumerate().map(view).collect()
    }

    /// How many items the words name: as many as are asked for where nothing else has a say, more
    /// for vectors and for what turns say for each other.
    fn depth(&self, question: &Question<'_>) -> usize {
        let query = question.query;
        if query.is_about_words_alone() && self.index.sessions().turns.is_empty() {
            return query.limit;
        }
        LEAST_LOOKED.max(query.limit.saturating_mul(2))
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

/// The vectors.
impl Scope<'_> {
    /// The cosines of every item that passes and has a vector of the direction's model.
    fn likenesses(&self, direction: Option<&Direction<'_>>) -> Likenesses {
        let Some(direction) = direction else {
            return Likenesses::default();
        };
        let model = direction.vector.model;
        let near = self
            .index
            .nearness(model, &direction.prepared, &self.passes);
        let near = near.into_iter().enumerate();
        let of =
            near.filter_map(|(slot, near)| Some((slot, self.likeness_of(direction, slot, near?))));
        let mut found = Likenesses {
            of: of.collect(),
            spread: Spread::default(),
        };
        for (_, likeness) in &found.of {
            found.spread.add(likeness.rank);
        }
        found
    }

    /// Those of some items that may be the nearest in a large scope.
    fn look(
        &self,
        question: &Question<'_>,
        direction: Option<&Direction<'_>>,
        among: &Bitmap,
    ) -> Look {
        let direction = direction.filter(|_| !among.is_empty());
        direction.map_or_else(Look::default, |direction| {
            let limit = question.query.limit.max(LEAST_NEAREST);
            let model = direction.vector.model;
            self.index.look(model, &direction.prepared, among, limit)
        })
    }

    /// The cosines of those of some items that have a vector of the direction's model.
    fn likenesses_of(
        &self,
        direction: Option<&Direction<'_>>,
        slots: &[usize],
        mut spread: Spread,
    ) -> Likenesses {
        let Some(direction) = direction else {
            return Likenesses::default();
        };
        let model = direction.vector.model;
        let near = self.index.nearness_of(model, &direction.prepared, slots);
        let of = near
            .into_iter()
            .map(|(slot, near)| (slot, self.likeness_of(direction, slot, near)));
        let of: Vec<_> = of.collect();
        of.iter()
            .for_each(|(_, likeness)| spread.note(likeness.rank));
        Likenesses { of, spread }
    }

    fn likeness_of(&self, direction: &Direction<'_>, slot: usize, near: Nearness) -> Likeness {
        let (model, dimension) = direction.key();
        let rank = match direction.vector.kind {
            VectorKind::Model => {
                let of_mean = self.index.cosine_of_mean(model, dimension, slot, &near);
                0.5 * near.best + 0.5 * of_mean
            }
            VectorKind::Words | VectorKind::Table => near.best,
        };
        Likeness {
            best: near.best,
            n: near.n,
            rank,
        }
    }
}

impl Likenesses {
    fn get(&self, slot: usize) -> Option<Likeness> {
        let at = self.of.binary_search_by_key(&slot, |(slot, _)| *slot);
        at.ok().map(|at| self.of[at].1)
    }
}
