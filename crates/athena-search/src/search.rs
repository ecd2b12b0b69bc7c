//! Ranking: both arms over every item in scope, joined, ordered, explained.

use std::cmp::Reverse;

use crate::analyze::query_terms;
use crate::bm25::{Gain, KeywordQuery};
use crate::index::{GONE, Index, Item};
use crate::math::{from_units, ln, to_units};
use crate::query::{
    Answer, Arm, Explain, Filter, Fusion, Hit, Mode, Part, Query, QueryVector, Summary, TermMatch,
    VectorKind, VectorState, Weights,
};
use crate::record::WHOLE;
use crate::vector::PreparedQuery;

/// The `match` below which a hit is rather chance than an answer.
///
/// Chosen on five LoCoMo conversations (hybrid, built-in vectors): 94 % of a conversation's own
/// questions have a hit at or above it, and 7 % of those asked about the other four.
pub const DEFAULT_MIN_MATCH: f64 = 0.12;

/// The share of the built-in lexical vector beside the keywords.
///
/// Chosen on LoCoMo, BEAM, MetaTool and CoSQA: there the hybrid is within 0.2 points of the better
/// of its arms (recall@10 and nDCG@10) and up to 2 points above it.
pub const LEXICAL_WEIGHT: f64 = 0.3;

/// The least cosine that is a likeness: what rounding to bytes can make of none.
const LEAST_COSINE: f64 = 2e-3;

/// Scopes with fewer vectors than this say nothing about how far a cosine stands out.
const LEAST_FOR_RULE: usize = 20;
const WEIGHT_IN_SMALL_SCOPE: f64 = 0.6;

/// Answers a query from one or several indexes.
///
/// Word statistics and the best hit, by which each arm is divided, are taken over all indexes
/// together. Every item that passes the filter is scored by both arms; nothing is approximate. A
/// limit of 0, a text without words and a vector of another model are answered with what is left
/// to go by, which may be nothing. A query vector without direction is none.
#[must_use]
pub fn search(indexes: &[&Index], query: &Query) -> Answer {
    let ranking = Ranking::new(indexes, query);
    let mut candidates = ranking.candidates();
    let in_scope = ranking.scopes.iter().map(Scope::size).sum();
    let blend = ranking.blend(&candidates);
    ranking.score(&mut candidates, &blend);
    candidates.retain(|candidate| candidate.score() > 0);
    let considered = candidates.len();
    if let Some(least) = query.min_score {
        candidates.retain(|candidate| ranking.match_of(candidate) >= least);
    }
    keep_best(&mut candidates, query.limit);
    Answer {
        hits: candidates
            .iter()
            .map(|candidate| ranking.hit(candidate, &blend))
            .collect(),
        summary: Summary {
            items: indexes.iter().map(|index| index.len()).sum(),
            in_scope,
            candidates: considered,
            without_vector: ranking.without_vector(),
            terms: ranking.words(),
            filters: describe(&query.filter),
            semantic_weight: blend.share(),
        },
    }
}

/// The vector that ranks beside the words: a model's if there is one.
fn asked(query: &Query) -> Option<&QueryVector> {
    query.vector.as_ref().or(query.builtin.as_ref())
}

/// A query made ready, with what each arm found.
struct Ranking<'a> {
    query: &'a Query,
    keyword: KeywordQuery,
    vector: Option<PreparedQuery>,
    scopes: Vec<Scope<'a>>,
}

/// One index: which of its items pass, and their scores by slot.
struct Scope<'a> {
    index: &'a Index,
    passes: Vec<bool>,
    keyword: Vec<Keyword>,
    semantic: Vec<Option<Semantic>>,
}

#[derive(Clone, Copy, Default)]
struct Keyword {
    whole: Gain,
    /// The best passage's.
    passage: Gain,
    n: u32,
}

#[derive(Clone, Copy)]
struct Semantic {
    /// The best passage's cosine.
    best: f64,
    n: u32,
    /// What ranks: the best cosine, for a model's vectors half that and half the whole item's.
    rank: f64,
}

/// An item that an arm found.
struct Candidate {
    scope: usize,
    slot: usize,
    uid: [u8; 16],
    keyword: f64,
    semantic: f64,
    semantic_units: i64,
    keyword_units: i64,
}

impl Candidate {
    fn score(&self) -> i64 {
        self.semantic_units + self.keyword_units
    }

    /// Best first; equal scores by uid, then by place in the question (one item may be in two).
    fn order(&self) -> (Reverse<i64>, [u8; 16], usize) {
        (Reverse(self.score()), self.uid, self.scope)
    }
}

/// How the two arms become one score.
struct Blend {
    /// The share of the vectors; the keywords have the rest.
    semantic: f64,
    best_keyword: f64,
    best_semantic: f64,
    rrf: Option<u32>,
}

impl Blend {
    fn share(&self) -> Option<f64> {
        self.rrf.is_none().then_some(self.semantic)
    }
}

impl<'a> Ranking<'a> {
    fn new(indexes: &[&'a Index], query: &'a Query) -> Self {
        let words = if query.mode == Mode::Semantic {
            Vec::new()
        } else {
            query_terms(&query.text)
        };
        let vector = match (asked(query), query.mode) {
            (Some(vector), Mode::Semantic | Mode::Hybrid) => {
                PreparedQuery::new(&vector.values).ok()
            }
            _ => None,
        };
        let mut ranking = Self {
            query,
            keyword: KeywordQuery::new(indexes, &words, query),
            vector,
            scopes: Vec::new(),
        };
        ranking.scopes = indexes
            .iter()
            .enumerate()
            .map(|(number, index)| ranking.scope(number, index))
            .collect();
        ranking
    }

    fn scope(&self, number: usize, index: &'a Index) -> Scope<'a> {
        let passes = passing(index, &self.query.filter);
        Scope {
            keyword: self.score_words(number, index, &passes),
            semantic: self.score_vectors(index, &passes),
            index,
            passes,
        }
    }

    /// BM25 of every item: the whole text's, and the best passage's.
    ///
    /// Each sum grows in the order of the query's words, so slots have no say in it.
    fn score_words(&self, number: usize, index: &Index, passes: &[bool]) -> Vec<Keyword> {
        let mut scores = vec![Keyword::default(); index.items.len()];
        let mut by_passage = vec![Gain::default(); index.passages.len()];
        let mut whole_tf = vec![0_u32; index.items.len()];
        let mut touched = Vec::new();
        for term in &self.keyword.terms {
            let Some(postings) = index.postings(self.query.spelt(number, &term.text)) else {
                continue;
            };
            for &(passage, tf) in &postings.list {
                let Passed(item, len) = match passed(index, passes, passage) {
                    Some(passed) => passed,
                    None => continue,
                };
                by_passage[passage as usize] += self.keyword.in_passage(term, tf, len);
                if whole_tf[item] == 0 {
                    touched.push(item);
                }
                whole_tf[item] = whole_tf[item].saturating_add(tf);
            }
            for item in touched.drain(..) {
                let tf = std::mem::take(&mut whole_tf[item]);
                scores[item].whole += self.keyword.in_whole(term, tf, index.items[item].len);
            }
        }
        for (passage, gain) in index.passages.iter().zip(by_passage) {
            if gain.score > 0.0 {
                scores[passage.item as usize].offer(gain, passage.n);
            }
        }
        scores
    }

    /// The cosines of every item that has a vector of the query's model.
    fn score_vectors(&self, index: &Index, passes: &[bool]) -> Vec<Option<Semantic>> {
        let mut scores = vec![None; index.items.len()];
        let (Some(direction), Some(vector)) = (&self.vector, asked(self.query)) else {
            return scores;
        };
        let Some((set, vectors)) = index.vectors(vector.model, direction.dimension()) else {
            return scores;
        };
        let cosines = vectors.cosines(direction, passes);
        for (slot, item) in index.items.iter().enumerate() {
            if !passes[slot] {
                continue;
            }
            let places = || item.vectors.iter().filter(|place| place.set == set);
            let mut sum = 0.0;
            let mut count = 0;
            let mut best: Option<Semantic> = None;
            for place in places() {
                let cosine = cosines[place.row as usize];
                sum += cosine;
                count += 1;
                if best.is_none_or(|best| cosine > best.best) {
                    best = Some(Semantic {
                        best: cosine,
                        n: place.n,
                        rank: cosine,
                    });
                }
            }
            if let Some(best) = &mut best
                && count > 1
                && vector.kind == VectorKind::Model
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

    /// Everything in scope that shares a word or a direction with the query.
    fn candidates(&self) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for (number, scope) in self.scopes.iter().enumerate() {
            for (slot, item) in scope.index.items.iter().enumerate() {
                let keyword = scope.keyword[slot].total().score;
                let semantic = scope.semantic[slot].map_or(0.0, |it| it.rank);
                // Square to the query, but for rounding.
                let semantic = if semantic < LEAST_COSINE {
                    0.0
                } else {
                    semantic
                };
                if keyword > 0.0 || semantic > 0.0 {
                    candidates.push(Candidate {
                        scope: number,
                        slot,
                        uid: item.uid,
                        keyword,
                        semantic,
                        semantic_units: 0,
                        keyword_units: 0,
                    });
                }
            }
        }
        candidates
    }

    fn blend(&self, candidates: &[Candidate]) -> Blend {
        let best = |arm: fn(&Candidate) -> f64| candidates.iter().map(arm).fold(0.0, f64::max);
        let mut blend = Blend {
            semantic: 0.0,
            best_keyword: best(|candidate| candidate.keyword),
            best_semantic: best(|candidate| candidate.semantic),
            rrf: None,
        };
        blend.semantic = match (self.query.mode, self.query.weights.and_then(Weights::share)) {
            (Mode::Keyword, _) => 0.0,
            (Mode::Semantic, _) => 1.0,
            (Mode::Hybrid, Some(share)) => share,
            // An arm that has nothing to say leaves the score to the other.
            (Mode::Hybrid, None) if blend.best_semantic <= 0.0 => 0.0,
            (Mode::Hybrid, None) if blend.best_keyword <= 0.0 => 1.0,
            (Mode::Hybrid, None) => self.rule(candidates, &blend),
        };
        if let (Mode::Hybrid, Fusion::Rrf { k }) = (self.query.mode, self.query.fusion) {
            blend.rrf = Some(k);
            blend.semantic = self.query.weights.and_then(Weights::share).unwrap_or(0.5);
        }
        blend
    }

    /// The share of the vectors where the caller names none.
    ///
    /// The lexical vector's is fixed. A model's grows with how far its best hit stands out from
    /// the scope's cosines (beyond what so many items give by chance), and shrinks with how far the
    /// keywords' best hit stands out from the next nine.
    fn rule(&self, candidates: &[Candidate], blend: &Blend) -> f64 {
        if asked(self.query).is_none_or(|it| it.kind != VectorKind::Model) {
            return LEXICAL_WEIGHT;
        }
        let ranks = || {
            let semantic = self.scopes.iter().flat_map(|scope| &scope.semantic);
            semantic.flatten().map(|semantic| semantic.rank)
        };
        let count = ranks().count();
        if count < LEAST_FOR_RULE {
            return WEIGHT_IN_SMALL_SCOPE;
        }
        let z = standing_out(ranks(), count);
        let mut keywords: Vec<f64> = candidates.iter().map(|it| it.keyword).collect();
        keywords.sort_unstable_by(|a, b| b.total_cmp(a));
        let next: f64 = keywords.iter().skip(1).take(9).sum();
        let g = 1.0 - next / 9.0 / blend.best_keyword;
        (0.394 + 0.4 * z - 0.6 * g).clamp(0.0, 1.0)
    }

    fn score(&self, candidates: &mut [Candidate], blend: &Blend) {
        if let Some(k) = blend.rrf {
            let semantic = |candidate: &Candidate| candidate.semantic;
            let keyword = |candidate: &Candidate| candidate.keyword;
            for (place, candidate) in ranked(candidates, semantic).enumerate() {
                candidate.semantic_units = to_units(blend.semantic * reciprocal(k, place));
            }
            for (place, candidate) in ranked(candidates, keyword).enumerate() {
                let units = to_units((1.0 - blend.semantic) * reciprocal(k, place));
                candidate.keyword_units = units.min(to_units(1.0) - candidate.semantic_units);
            }
            return;
        }
        for candidate in candidates {
            let semantic = relative(candidate.semantic, blend.best_semantic);
            let keyword = relative(candidate.keyword, blend.best_keyword);
            candidate.semantic_units = to_units(blend.semantic * semantic);
            let units = to_units((1.0 - blend.semantic) * keyword);
            candidate.keyword_units = units.min(to_units(1.0) - candidate.semantic_units);
        }
    }

    /// The better of the cosine and the share of what the words could reach.
    ///
    /// A lexical vector's cosine is the words once more, blurred by collisions; it speaks only
    /// where the words themselves were not asked.
    fn match_of(&self, candidate: &Candidate) -> f64 {
        let share = self.keyword_share(candidate);
        let blurred = asked(self.query).is_some_and(|it| it.kind != VectorKind::Model);
        if blurred && self.query.mode == Mode::Hybrid {
            return share.clamp(0.0, 1.0);
        }
        let cosine = self.semantic(candidate).map_or(0.0, |it| it.best);
        cosine.max(share).clamp(0.0, 1.0)
    }

    fn keyword_share(&self, candidate: &Candidate) -> f64 {
        let keyword = self.scopes[candidate.scope].keyword[candidate.slot];
        self.keyword.share(keyword.total())
    }

    fn semantic(&self, candidate: &Candidate) -> Option<Semantic> {
        self.scopes[candidate.scope].semantic[candidate.slot]
    }

    fn hit(&self, candidate: &Candidate, blend: &Blend) -> Hit {
        let scope = &self.scopes[candidate.scope];
        let semantic = self.semantic(candidate);
        let passage = match semantic {
            Some(it) if candidate.semantic_units > candidate.keyword_units => it.n,
            _ => scope.keyword[candidate.slot].n,
        };
        let passage = if passage == WHOLE { 0 } else { passage };
        Hit {
            index: candidate.scope,
            item: scope.index.items[candidate.slot].item,
            uid: candidate.uid,
            score: from_units(candidate.score()),
            match_score: self.match_of(candidate),
            semantic: semantic.map(|it| it.best),
            keyword: candidate.keyword,
            passage,
            explain: self
                .query
                .explain
                .then(|| self.explain(candidate, blend, passage)),
        }
    }

    fn explain(&self, candidate: &Candidate, blend: &Blend, passage: u32) -> Explain {
        let semantic = self.semantic(candidate);
        let mut found_by = Vec::new();
        if candidate.keyword > 0.0 {
            found_by.push(Arm::Keyword);
        }
        if candidate.semantic > 0.0 {
            found_by.push(Arm::Semantic);
        }
        Explain {
            score: from_units(candidate.score()),
            parts: parts(self.query.mode, candidate, blend),
            found_by,
            passage,
            terms: self.matches(candidate),
            vector: match (&self.vector, semantic) {
                (None, _) => VectorState::NotAsked,
                (Some(_), Some(_)) => VectorState::Scored,
                (Some(_), None) => VectorState::Pending,
            },
            match_score: self.match_of(candidate),
            cosine: semantic.map(|it| it.best),
            keyword_share: self.keyword_share(candidate),
        }
    }

    /// The query's words that an item has, with what each adds.
    fn matches(&self, candidate: &Candidate) -> Vec<TermMatch> {
        let scope = &self.scopes[candidate.scope];
        let item = &scope.index.items[candidate.slot];
        let best = scope.keyword[candidate.slot].n;
        let mut matches = Vec::new();
        for term in &self.keyword.terms {
            let spelt = self.query.spelt(candidate.scope, &term.text);
            let Some(postings) = scope.index.postings(spelt) else {
                continue;
            };
            let mut tf = 0_u32;
            let mut contribution = 0.0;
            for (passage, count) in occurrences(&postings.list, item) {
                tf = tf.saturating_add(count);
                let passage = scope.index.passages[passage as usize];
                if passage.n == best {
                    contribution += 0.5 * self.keyword.in_passage(term, count, passage.len).score;
                }
            }
            if tf > 0 {
                contribution += 0.5 * self.keyword.in_whole(term, tf, item.len).score;
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

    fn without_vector(&self) -> usize {
        if self.vector.is_none() {
            return 0;
        }
        let lacking = |scope: &Scope<'_>| {
            let pairs = scope.passes.iter().zip(&scope.semantic);
            pairs
                .filter(|(passes, it)| **passes && it.is_none())
                .count()
        };
        self.scopes.iter().map(lacking).sum()
    }

    fn words(&self) -> Vec<String> {
        self.keyword
            .terms
            .iter()
            .map(|it| it.text.clone())
            .collect()
    }
}

impl Keyword {
    fn total(self) -> Gain {
        self.whole.halves(self.passage)
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

impl Scope<'_> {
    fn size(&self) -> usize {
        self.passes.iter().filter(|passes| **passes).count()
    }
}

impl Weights {
    /// The share of the vectors, if the weights say anything.
    fn share(self) -> Option<f64> {
        let usable = |weight: f64| if weight > 0.0 { weight.min(1e9) } else { 0.0 };
        let (semantic, keyword) = (usable(self.semantic), usable(self.keyword));
        (semantic + keyword > 0.0).then(|| semantic / (semantic + keyword))
    }
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

/// Puts the best in front, in order, and drops the rest.
fn keep_best(candidates: &mut Vec<Candidate>, limit: usize) {
    if limit == 0 {
        candidates.clear();
        return;
    }
    if candidates.len() > limit {
        candidates.select_nth_unstable_by_key(limit - 1, Candidate::order);
        candidates.truncate(limit);
    }
    candidates.sort_unstable_by_key(Candidate::order);
}

/// Those an arm found, in its order; equal values by uid.
fn ranked(
    candidates: &mut [Candidate],
    value: impl Fn(&Candidate) -> f64,
) -> impl Iterator<Item = &mut Candidate> {
    candidates.sort_unstable_by(|a, b| {
        let order = value(b).total_cmp(&value(a));
        order.then_with(|| (a.uid, a.scope).cmp(&(b.uid, b.scope)))
    });
    let found = candidates.partition_point(|candidate| value(candidate) > 0.0);
    candidates[..found].iter_mut()
}

/// 1 for the first place, falling as 1 / (k + place).
fn reciprocal(k: u32, place: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "places stay far below 2^53")]
    let place = place as f64 + 1.0;
    (f64::from(k) + 1.0) / (f64::from(k) + place)
}

fn relative(value: f64, best: f64) -> f64 {
    if best > 0.0 { value / best } else { 0.0 }
}

/// How many standard deviations the best cosine lies above the mean, divided by what the best of
/// so many would reach by chance: `(max − mean) / sd / √(2 ln n)`.
///
/// Summed as integers, so that the order of the items has no say in it.
fn standing_out(values: impl Iterator<Item = f64>, count: usize) -> f64 {
    const SCALE: f64 = (1_u64 << 30) as f64;
    let (mut best, mut sum, mut squares) = (f64::MIN, 0_i128, 0_i128);
    for value in values {
        #[expect(clippy::cast_possible_truncation, reason = "a cosine times 2^30 fits")]
        let scaled = i128::from((value * SCALE).round() as i64);
        best = best.max(value);
        sum += scaled;
        squares += scaled * scaled;
    }
    #[expect(clippy::cast_precision_loss, reason = "rounded once, alike everywhere")]
    let (n, sum, squares) = (
        count as f64,
        sum as f64 / SCALE,
        squares as f64 / SCALE / SCALE,
    );
    let mean = sum / n;
    let deviation = (squares / n - mean * mean).max(0.0).sqrt();
    if deviation > 0.0 {
        (best - mean) / deviation / (2.0 * ln(n)).sqrt()
    } else {
        0.0
    }
}

fn parts(mode: Mode, candidate: &Candidate, blend: &Blend) -> Vec<Part> {
    let part = |arm, weight: f64, units| {
        let contribution = from_units(units);
        Part {
            arm,
            weight,
            value: relative(contribution, weight),
            contribution,
        }
    };
    let semantic = part(Arm::Semantic, blend.semantic, candidate.semantic_units);
    let keyword = part(Arm::Keyword, 1.0 - blend.semantic, candidate.keyword_units);
    match mode {
        Mode::Keyword => vec![keyword],
        Mode::Semantic => vec![semantic],
        Mode::Hybrid => vec![semantic, keyword],
    }
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

fn describe(filter: &Filter) -> Vec<String> {
    let mut filters = Vec::new();
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
