//! Scoring: everything, the best, or what is named.

use std::ops::Range;

use super::Scored;
use super::best::Best;
use super::scoring::Scoring;
use super::segment::SegmentView;
use super::window::Window;
use crate::bm25::Gain;
use crate::postings::{Bound, Cursor, END};

/// Queries of more words are scored exhaustively: their bounds add up to more than anything
/// reaches, so leaving out would only cost.
const MOST_WORDS: usize = 32;

/// The share of all occurrences, of the weightiest words, from which a first threshold is taken.
const FORERUN: usize = 8;

/// By how much of the sum of all bounds a bound may be too low, for having been added up in another
/// order than the score: far above what rounding does to [`MOST_WORDS`] words.
const ROUNDING: f64 = 1e-12;

/// Memory that one search after the other uses.
#[derive(Debug, Default)]
pub struct Scratch {
    window: Window,
    candidates: Vec<Candidate>,
    hits: Vec<Hit>,
    passages: Vec<Gain>,
}

/// An item that may be among the best, with what its words that were added up bring.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    item: u32,
    row: u32,
    score: f64,
}

/// A word that a row has, by lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Hit {
    lane: usize,
    row: u32,
    count: u32,
}

/// Hands over every item that passes and has a word of the query, in the order of segments and
/// items.
pub fn score_all(
    scoring: &Scoring,
    segments: &[SegmentView<'_>],
    scratch: &mut Scratch,
    mut each: impl FnMut(Scored),
) {
    for number in 0..segments.len() {
        Search::new(scoring, segments, number, |_| true).run_all(&mut scratch.window, &mut each);
    }
}

/// Returns the `k` best items, best first, and every other whose score lies no further below the
/// k-th than `margin` times the best.
///
/// With a margin of 0 these are those that tie with the k-th. Equal scores come in the order of
/// segments and items. Exactly the first that [`score_all`] would give, to the bit.
#[must_use]
pub fn top_k(
    scoring: &Scoring,
    segments: &[SegmentView<'_>],
    k: usize,
    margin: f64,
    scratch: &mut Scratch,
) -> Vec<Scored> {
    if k == 0 {
        return Vec::new();
    }
    let mut best = Best::of(k, margin, scoring.ceiling());
    if scoring.len() <= MOST_WORDS {
        best.raise_floor(floor(scoring, segments, k, scratch));
    }
    for number in 0..segments.len() {
        Search::new(scoring, segments, number, |_| true).run(&mut best, scratch);
    }
    best.finish()
}

/// Returns those of the given items of a segment that pass and have a word of the query, ascending.
#[must_use]
pub fn score_items(
    scoring: &Scoring,
    segments: &[SegmentView<'_>],
    segment: usize,
    items: &[u32],
    scratch: &mut Scratch,
) -> Vec<Scored> {
    let mut items = items.to_vec();
    items.sort_unstable();
    items.dedup();
    let mut search = Search::new(scoring, segments, segment, |_| true);
    let scored = items.into_iter().filter_map(|item| {
        let passes = search.segment.passes(item);
        let rows = search.segment.rows_of(item);
        (passes && !rows.is_empty()).then(|| search.score(item, rows, scratch))?
    });
    scored.collect()
}

/// A score that at least `k` items reach: what the weightiest words alone bring to the best of them.
///
/// Leaving words out of a sum of positive numbers makes it smaller, with rounding too: adding is
/// monotone in floating point.
fn floor(scoring: &Scoring, segments: &[SegmentView<'_>], k: usize, scratch: &mut Scratch) -> f64 {
    let mut words: Vec<usize> = (0..scoring.len()).collect();
    words.sort_by(|a, b| {
        let weight = |word: usize| scoring.at_most(word, Bound::ANY);
        weight(*b).total_cmp(&weight(*a))
    });
    let occurrences = |word: usize| -> usize {
        let lists = segments
            .iter()
            .filter_map(|it| it.lists.get(word).copied()?);
        lists.map(|list| list.len()).sum()
    };
    let all: usize = segments.iter().map(SegmentView::occurrences).sum();
    let mut left = all / FORERUN;
    words.retain(|word| {
        let fits = occurrences(*word) <= left;
        left = if fits { left - occurrences(*word) } else { 0 };
        fits
    });
    let mut best = Best::of(k, 0.0, 0.0);
    for number in 0..segments.len() {
        let search = Search::new(scoring, segments, number, |word| words.contains(&word));
        search.run(&mut best, scratch);
    }
    best.threshold()
}

/// A query in one segment.
struct Search<'a> {
    scoring: &'a Scoring,
    segment: &'a SegmentView<'a>,
    number: usize,
    /// In the query's order.
    lanes: Vec<Lane<'a>>,
    /// The lanes by what they bring at most, ascending.
    by_bound: Vec<usize>,
    rounding: f64,
}

/// A word of the query that the segment has.
struct Lane<'a> {
    word: usize,
    cursor: Cursor<'a>,
    /// What the word adds at most to the score of an item.
    at_most: f64,
    /// Whether an item without any other word could be among the best.
    leads: bool,
    /// The word's rows in the window, if it leads, and how many of them are passed.
    found: Vec<(u32, u32)>,
    passed: usize,
}

impl<'a> Search<'a> {
    fn new(
        scoring: &'a Scoring,
        segments: &'a [SegmentView<'a>],
        number: usize,
        takes_part: impl Fn(usize) -> bool,
    ) -> Self {
        let segment = &segments[number];
        let words = segment.lists.iter().take(scoring.len()).enumerate();
        let lists = words.filter_map(|(word, list)| Some((word, (*list)?)));
        let lanes: Vec<Lane<'a>> = lists
            .filter(|(word, list)| takes_part(*word) && !list.is_empty())
            .filter(|(_, list)| list.fits(segment.rows.count()))
            .map(|(word, list)| Lane {
                word,
                cursor: list.cursor(),
                at_most: scoring.at_most(word, list.bound()),
                leads: true,
                found: Vec::new(),
                passed: 0,
            })
            .collect();
        let mut by_bound: Vec<usize> = (0..lanes.len()).collect();
        by_bound.sort_by(|a, b| lanes[*a].at_most.total_cmp(&lanes[*b].at_most));
        let sum: f64 = lanes.iter().map(|lane| lane.at_most).sum();
        Self {
            scoring,
            segment,
            number,
            lanes,
            by_bound,
            rounding: ROUNDING * sum,
        }
    }

    fn run_all(mut self, window: &mut Window, each: &mut impl FnMut(Scored)) {
        while let Some(next) = self.next_row() {
            self.add_up(next, window);
            window.drain(self.segment.rows.item, |item, row, gain| {
                if gain.score > 0.0 {
                    each(self.scored(item, row, gain));
                }
            });
        }
    }

    /// The first row that a leading word has.
    fn next_row(&mut self) -> Option<u32> {
        let leading = self.lanes.iter_mut().filter(|lane| lane.leads);
        let next = leading.map(|lane| lane.cursor.row()).min();
        next.filter(|row| *row != END)
    }

    fn run(mut self, best: &mut Best, scratch: &mut Scratch) {
        // How many lanes no longer lead, and what these bring at most together.
        let (mut following, mut rest) = (0, 0.0);
        loop {
            while let Some(&lane) = self.by_bound.get(following)
                && self.scoring.len() <= MOST_WORDS
                && !self.reaches(best, rest + self.lanes[lane].at_most)
            {
                rest += self.lanes[lane].at_most;
                self.lanes[lane].leads = false;
                following += 1;
            }
            let Some(next) = self.next_row() else {
                return;
            };
            self.add_up(next, &mut scratch.window);
            if following == 0 {
                self.offer_all(best, &mut scratch.window);
            } else {
                self.offer_candidates(best, scratch, following, rest);
            }
        }
    }

    fn reaches(&self, best: &Best, at_most: f64) -> bool {
        at_most + self.rounding >= best.threshold()
    }

    /// Moves the window and adds up the leading words in it, in the query's order.
    fn add_up(&mut self, next: u32, window: &mut Window) {
        window.move_to(self.segment, next);
        for lane in self.lanes.iter_mut().filter(|lane| lane.leads) {
            lane.found.clear();
            lane.passed = 0;
            lane.cursor.take_below(window.end(), &mut lane.found);
            window.add(self.scoring, self.segment, lane.word, &lane.found);
        }
    }

    /// Where all words lead, the sums are the scores.
    fn offer_all(&self, best: &mut Best, window: &mut Window) {
        window.drain(self.segment.rows.item, |item, row, gain| {
            best.offer(self.scored(item, row, gain));
        });
    }

    fn offer_candidates(
        &mut self,
        best: &mut Best,
        scratch: &mut Scratch,
        following: usize,
        rest: f64,
    ) {
        let mut candidates = std::mem::take(&mut scratch.candidates);
        let window = &mut scratch.window;
        window.drain(self.segment.rows.item, |item, row, gain| {
            if self.reaches(best, gain.score + rest) {
                let score = gain.score;
                candidates.push(Candidate { item, row, score });
            }
        });
        for candidate in candidates.drain(..) {
            if let Some(scored) = self.complete(candidate, best, scratch, following, rest) {
                best.offer(scored);
            }
        }
        scratch.candidates = candidates;
    }

    /// The score of an item, unless the words that do not lead leave it below the threshold.
    fn complete(
        &mut self,
        candidate: Candidate,
        best: &Best,
        scratch: &mut Scratch,
        following: usize,
        mut rest: f64,
    ) -> Option<Scored> {
        let mut known = candidate.score;
        if !self.reaches(best, known + rest) {
            return None;
        }
        let rows = self.segment.rows_around(candidate.row);
        scratch.hits.clear();
        for place in (0..following).rev() {
            let number = self.by_bound[place];
            rest = (rest - self.lanes[number].at_most).max(0.0);
            let lane = &mut self.lanes[number];
            let Some(bound) = lane.cursor.skip_to(rows.start) else {
                continue;
            };
            let in_block = self.scoring.at_most(lane.word, bound);
            if !self.reaches(best, known + in_block + rest) {
                return None;
            }
            known += self.look_up(number, &rows, &mut scratch.hits);
            if !self.reaches(best, known + rest) {
                return None;
            }
        }
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            if lane.leads {
                lane.take_found(number, &rows, &mut scratch.hits);
            }
        }
        scratch.hits.sort_unstable();
        Some(self.sum_up(candidate.item, rows, scratch))
    }

    /// The score of an item from all words, wherever it is; `None` if it has none.
    fn score(&mut self, item: u32, rows: Range<u32>, scratch: &mut Scratch) -> Option<Scored> {
        scratch.hits.clear();
        for lane in 0..self.lanes.len() {
            self.look_up(lane, &rows, &mut scratch.hits);
        }
        let scored = self.sum_up(item, rows, scratch);
        (scored.score > 0.0).then_some(scored)
    }

    /// Collects a word's occurrences in an item; returns no less than what they add to its score.
    fn look_up(&mut self, lane: usize, rows: &Range<u32>, hits: &mut Vec<Hit>) -> f64 {
        let Lane { cursor, word, .. } = &mut self.lanes[lane];
        let mut tf = 0_u32;
        let mut passage = 0.0_f64;
        let mut row = cursor.seek(rows.start);
        while row < rows.end {
            let count = cursor.count();
            hits.push(Hit { lane, row, count });
            tf = tf.saturating_add(count);
            let len = self.segment.rows.len[row as usize];
            passage = passage.max(self.scoring.passage_saturation(count, len));
            cursor.advance();
            row = cursor.row();
        }
        if tf == 0 {
            return 0.0;
        }
        let item = self.segment.rows.item[rows.start as usize];
        let len = self.segment.rows.item_len[item as usize];
        let whole = self.scoring.whole_saturation(tf, len);
        let word = self.scoring.word(*word);
        0.5 * word.whole * whole + 0.5 * word.passage * passage
    }

    /// An item's score from its hits, which are sorted.
    fn sum_up(&self, item: u32, rows: Range<u32>, scratch: &mut Scratch) -> Scored {
        let columns = self.segment.rows;
        let mut whole = Gain::default();
        let passages = &mut scratch.passages;
        passages.clear();
        passages.resize((rows.end - rows.start) as usize, Gain::default());
        for hits in scratch.hits.chunk_by(|a, b| a.lane == b.lane) {
            let word = self.scoring.word(self.lanes[hits[0].lane].word);
            let mut tf = 0_u32;
            for hit in hits {
                tf = tf.saturating_add(hit.count);
                let len = columns.len[hit.row as usize];
                let saturation = self.scoring.passage_saturation(hit.count, len);
                passages[(hit.row - rows.start) as usize] += word.in_passage(saturation);
            }
            let len = columns.item_len[item as usize];
            whole += word.in_whole(self.scoring.whole_saturation(tf, len));
        }
        let mut best = (rows.start, Gain::default());
        for (row, passage) in rows.zip(passages.iter()) {
            if passage.score > best.1.score {
                best = (row, *passage);
            }
        }
        self.scored(item, best.0, whole.halves(best.1))
    }

    fn scored(&self, item: u32, row: u32, gain: Gain) -> Scored {
        Scored {
            segment: self.number,
            item,
            row,
            score: gain.score,
            toward_match: gain.toward_match,
        }
    }
}

impl Lane<'_> {
    /// Collects the word's occurrences in an item from those in the window; items ascend.
    fn take_found(&mut self, number: usize, rows: &Range<u32>, hits: &mut Vec<Hit>) {
        let left = &self.found[self.passed..];
        self.passed += left.partition_point(|(row, _)| *row < rows.start);
        let left = self.found[self.passed..].iter();
        for &(row, count) in left.take_while(|(row, _)| *row < rows.end) {
            let lane = number;
            hits.push(Hit { lane, row, count });
        }
    }
}
