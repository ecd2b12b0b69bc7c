//! Scoring: everything, the best, or what is named.

use std::borrow::Cow;
use std::ops::{Range, RangeInclusive};

use super::Scored;
use super::best::Best;
use super::scoring::Scoring;
use super::segment::SegmentView;
use super::sums::{Adding, Sums};
use super::units::Units;
use super::window::Window;
use crate::bm25::Gain;
use crate::postings::{Cursor, END, List, Rows};

/// Queries of more words are scored exhaustively: their bounds add up to more than anything
/// reaches, so leaving out would only cost.
const MOST_WORDS: usize = 32;

/// As many occurrences are added in the time that one item is looked up in a list; fewer where
/// items have several passages.
const LOOK_UP: usize = 16;
const LOOK_UP_SEVERAL: usize = 4;

/// With fewer occurrences for each item that is asked for, most have to be scored anyway; more are
/// needed where items have several passages, whose bounds are loose.
const FOR_EACH: usize = 4;
const FOR_EACH_SEVERAL: usize = 64;

/// Fewer occurrences than this part of the rows are scored in the time that it takes to begin sums
/// for all rows.
const FEW: usize = 64;

/// Lists that have less than this part of a segment's rows are added without asking whether that
/// pays.
const SHORT_LIST: usize = 16;

/// By how much of the sum of all bounds a bound may be too low, for having been added up in another
/// order than the score: far above what rounding does to [`MOST_WORDS`] words.
const ROUNDING: f64 = 1e-12;

/// Memory that one search after the other uses.
#[derive(Debug, Default)]
pub struct Scratch {
    window: Window,
    found: Vec<(u32, u32)>,
    sums: Sums,
    candidates: Vec<Candidate>,
    passages: Vec<Passage>,
    /// For each word of a query.
    rows: Vec<Vec<u32>>,
    counts: Vec<Vec<u32>>,
}

/// An item that may be among the best.
#[derive(Debug, Clone)]
struct Candidate {
    item: u32,
    rows: Range<u32>,
    /// The item's length and that of its passage, if it has one [lone](Rows::lone_lengths).
    lone: Option<u32>,
    /// No less than what the words that were looked at bring.
    at_most: f64,
    whole: Gain,
}

/// The sum of a passage of a candidate.
#[derive(Debug, Clone, Copy, Default)]
struct Passage {
    gain: Gain,
    has_word: bool,
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
        Search::new(scoring, segments, number, scratch).run_all(scratch, &mut each);
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
    let units = (scoring.len() <= MOST_WORDS)
        .then(|| Units::of(scoring))
        .flatten();
    // The largest first: what many items reach leaves out most of the others.
    let mut order: Vec<usize> = (0..segments.len()).collect();
    order.sort_by_key(|number| std::cmp::Reverse(segments[*number].rows.item.len()));
    for number in order {
        let search = Search::new(scoring, segments, number, scratch);
        match &units {
            Some(units) if search.pays(k) => search.run(units, k, &mut best, scratch),
            _ => search.run_all(scratch, &mut |scored| best.offer(scored)),
        }
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
    let mut search = Search::new(scoring, segments, segment, scratch);
    let mut candidates = std::mem::take(&mut scratch.candidates);
    candidates.clear();
    candidates.extend(items.into_iter().filter_map(|item| {
        let rows = search.segment.rows_of(item);
        let passes = search.segment.passes(item) && !rows.is_empty();
        passes.then(|| Candidate::new(item, rows, None, 0.0))
    }));
    search.look_up(&mut candidates, f64::NEG_INFINITY);
    let mut scored = Vec::new();
    search.sum_up(&mut candidates, &mut scratch.passages, |it| {
        if it.score > 0.0 {
            scored.push(it);
        }
    });
    scratch.candidates = candidates;
    search.finish(scratch);
    scored
}

impl Candidate {
    fn new(item: u32, rows: Range<u32>, lone: Option<u32>, at_most: f64) -> Self {
        Self {
            item,
            rows,
            lone,
            at_most,
            whole: Gain::default(),
        }
    }

    fn passage_len(&self, segment: &SegmentView<'_>, row: u32) -> u32 {
        match self.lone {
            Some(len) => len,
            None => segment.rows.len[row as usize],
        }
    }

    fn whole_len(&self, segment: &SegmentView<'_>) -> u32 {
        match self.lone {
            Some(len) => len,
            None => segment.rows.item_len[self.item as usize],
        }
    }
}

/// A query in one segment.
struct Search<'a> {
    scoring: &'a Scoring,
    segment: &'a SegmentView<'a>,
    number: usize,
    /// In the query's order.
    lanes: Vec<Lane<'a>>,
    rounding: f64,
}

/// A word of the query that the segment has.
struct Lane<'a> {
    word: usize,
    list: List<'a>,
    /// What the word adds at most to the score of an item.
    at_most: f64,
    /// Whether the sums have the word. Then `rows` are all of the list, otherwise those that were
    /// looked up.
    added: bool,
    rows: Vec<u32>,
    /// How often the rows that were looked up have the word.
    counts: Vec<u32>,
}

impl<'a> Search<'a> {
    fn new(
        scoring: &'a Scoring,
        segments: &'a [SegmentView<'a>],
        number: usize,
        scratch: &mut Scratch,
    ) -> Self {
        let segment = &segments[number];
        let words = segment.lists.iter().take(scoring.len()).enumerate();
        let lists = words.filter_map(|(word, list)| Some((word, (*list)?)));
        let lanes: Vec<Lane<'a>> = lists
            .filter(|(_, list)| !list.is_empty() && list.fits(segment.rows.count()))
            .map(|(word, list)| Lane {
                word,
                list,
                at_most: scoring.at_most(word, list.bound()),
                added: false,
                rows: scratch.rows.pop().unwrap_or_default(),
                counts: scratch.counts.pop().unwrap_or_default(),
            })
            .collect();
        let sum: f64 = lanes.iter().map(|lane| lane.at_most).sum();
        Self {
            scoring,
            segment,
            number,
            lanes,
            rounding: ROUNDING * sum,
        }
    }

    /// Gives back the memory.
    fn finish(self, scratch: &mut Scratch) {
        for lane in self.lanes {
            scratch.rows.push(lane.rows);
            scratch.counts.push(lane.counts);
        }
    }

    /// Whether there are items of several passages: adding words to these costs more, and bounds
    /// are loose.
    fn has_several(&self) -> bool {
        self.segment.rows.item.len() > self.segment.rows.item_len.len()
    }

    /// Whether leaving out pays: not where most has to be scored, nor where there is little.
    fn pays(&self, k: usize) -> bool {
        let for_each = match self.has_several() {
            true => FOR_EACH_SEVERAL,
            false => FOR_EACH,
        };
        let rows = self.segment.rows.item.len();
        let occurrences: usize = self.lanes.iter().map(|lane| lane.list.len()).sum();
        occurrences > k.saturating_mul(for_each).max(rows / FEW)
    }

    fn run_all(self, scratch: &mut Scratch, each: &mut impl FnMut(Scored)) {
        let Scratch { window, found, .. } = scratch;
        let lanes = self
            .lanes
            .iter()
            .map(|lane| (lane.word, lane.list.cursor()));
        let mut lanes: Vec<(usize, Cursor<'_>)> = lanes.collect();
        while let Some(next) = lanes.iter_mut().map(|(_, cursor)| cursor.row()).min()
            && next != END
        {
            window.move_to(self.segment, next);
            for (word, cursor) in &mut lanes {
                found.clear();
                cursor.take_below(window.end(), found);
                window.add(self.scoring, self.segment, *word, found);
            }
            window.drain(self.segment.rows.item, |item, row, gain| {
                if gain.score > 0.0 {
                    each(self.scored(item, row, gain));
                }
            });
        }
        self.finish(scratch);
    }

    /// Offers all that may be among the best.
    fn run(mut self, units: &Units<'_>, k: usize, best: &mut Best, scratch: &mut Scratch) {
        let sum: f64 = self.lanes.iter().map(|lane| lane.at_most).sum();
        if self.reaches(sum, best.threshold()) {
            let lone = match self.segment.lone {
                Some(lone) if lone.len() == self.segment.rows.item.len() => Cow::Borrowed(lone),
                _ => Cow::Owned(self.segment.rows.lone_lengths()),
            };
            let adding = Adding {
                units,
                segment: self.segment,
                lone: &lone,
                all_pass: self.segment.all_pass(),
            };
            let known = best.threshold();
            let kth = if known > 0.0 { None } else { Some(k) };
            let (rest, kth) = self.add_words(&adding, known, kth, &mut scratch.sums);
            if let Some(kth) = kth {
                // Those that look best set a threshold for all others.
                self.offer(&adding, kth..=u16::MAX, best, scratch);
            }
            let end = kth.map_or(u16::MAX, |kth| kth - 1);
            let least = units.least(best.threshold() - rest);
            self.offer(&adding, least..=end, best, scratch);
        }
        self.finish(scratch);
    }

    /// Adds words to the sums, those that bring much with few occurrences first, until it costs
    /// less to look the others up. Returns what these bring at most, and the k-th largest sum if
    /// that was asked for.
    fn add_words(
        &mut self,
        adding: &Adding<'_>,
        known: f64,
        k: Option<usize>,
        sums: &mut Sums,
    ) -> (f64, Option<u16>) {
        #[expect(clippy::cast_precision_loss, reason = "only an order")]
        let worth = |lane: &Lane<'_>| lane.at_most / lane.list.len() as f64;
        let mut order: Vec<usize> = (0..self.lanes.len()).collect();
        order.sort_by(|a, b| worth(&self.lanes[*b]).total_cmp(&worth(&self.lanes[*a])));
        let look_up = match self.has_several() {
            true => LOOK_UP_SEVERAL,
            false => LOOK_UP,
        };
        let rows = self.segment.rows.item.len();
        sums.begin(rows);
        for (place, number) in order.iter().enumerate() {
            let left = &order[place..];
            let rest = left.iter().map(|lane| self.lanes[*lane].at_most).sum();
            let len = self.lanes[*number].list.len();
            if place > 0 && len >= rows / SHORT_LIST {
                let kth = k.map(|k| sums.kth(k).max(1));
                let known = kth.map_or(known, |kth| adding.units.score(kth));
                let least = adding.units.least(known - rest);
                if least > 1 && !sums.more_than(len / look_up, least) {
                    return (rest, kth);
                }
            }
            let lane = &mut self.lanes[*number];
            lane.rows.clear();
            sums.add(adding, lane.word, lane.list, &mut lane.rows);
            lane.added = true;
        }
        (0.0, k.map(|k| sums.kth(k).max(1)))
    }

    /// Offers the items whose sums are within a range, unless other words leave them below the
    /// threshold.
    fn offer(
        &mut self,
        adding: &Adding<'_>,
        range: RangeInclusive<u16>,
        best: &mut Best,
        scratch: &mut Scratch,
    ) {
        let segment = self.segment;
        let candidates = &mut scratch.candidates;
        candidates.clear();
        scratch.sums.each_from(*range.start(), |row, sum| {
            if sum <= *range.end() {
                let first = u32::try_from(row).unwrap_or(u32::MAX);
                let (rows, lone) = match adding.lone[row] {
                    Rows::NOT_LONE => (segment.rows_around(first), None),
                    len => (first..first + 1, Some(u32::from(len))),
                };
                let item = segment.rows.item[row];
                candidates.push(Candidate::new(item, rows, lone, adding.units.score(sum)));
            }
        });
        self.look_up(candidates, best.threshold());
        self.sum_up(candidates, &mut scratch.passages, |scored| {
            best.offer(scored)
        });
    }

    fn reaches(&self, at_most: f64, threshold: f64) -> bool {
        at_most + self.rounding >= threshold
    }

    /// Looks up the words that were not added, and drops the candidates that turn out to stay
    /// below a threshold; candidates ascend.
    fn look_up(&mut self, candidates: &mut Vec<Candidate>, threshold: f64) {
        let lanes = 0..self.lanes.len();
        let mut order: Vec<usize> = lanes.filter(|it| !self.lanes[*it].added).collect();
        order.sort_by(|a, b| self.lanes[*b].at_most.total_cmp(&self.lanes[*a].at_most));
        for (place, number) in order.iter().enumerate() {
            let later = order[place + 1..].iter();
            let rest: f64 = later.map(|lane| self.lanes[*lane].at_most).sum();
            let lane = &mut self.lanes[*number];
            let mut rows = std::mem::take(&mut lane.rows);
            let mut counts = std::mem::take(&mut lane.counts);
            rows.clear();
            counts.clear();
            let (word, mut cursor) = (lane.word, lane.list.cursor());
            candidates.retain_mut(|candidate| {
                if let Some(bound) = cursor.skip_to(candidate.rows.start) {
                    let in_block = self.scoring.at_most(word, bound);
                    if !self.reaches(candidate.at_most + in_block + rest, threshold) {
                        return false;
                    }
                    let found = (&mut rows, &mut counts);
                    candidate.at_most += self.look_up_in(&mut cursor, word, candidate, found);
                }
                self.reaches(candidate.at_most + rest, threshold)
            });
            let lane = &mut self.lanes[*number];
            (lane.rows, lane.counts) = (rows, counts);
        }
    }

    /// Collects a word's occurrences in an item; returns no less than what they add to its score.
    fn look_up_in(
        &self,
        cursor: &mut Cursor<'_>,
        word: usize,
        candidate: &Candidate,
        (rows, counts): (&mut Vec<u32>, &mut Vec<u32>),
    ) -> f64 {
        let mut tf = 0_u32;
        let mut passage = 0.0_f64;
        let mut row = cursor.seek(candidate.rows.start);
        while row < candidate.rows.end {
            let count = cursor.count();
            rows.push(row);
            counts.push(count);
            tf = tf.saturating_add(count);
            let len = candidate.passage_len(self.segment, row);
            passage = passage.max(self.scoring.passage_saturation(count, len));
            cursor.advance();
            row = cursor.row();
        }
        if tf == 0 {
            return 0.0;
        }
        let len = candidate.whole_len(self.segment);
        let whole = self.scoring.whole_saturation(tf, len);
        let word = self.scoring.word(word);
        0.5 * word.whole * whole + 0.5 * word.passage * passage
    }

    /// Scores candidates, which ascend, from the rows of all words, in the query's order.
    fn sum_up(
        &self,
        candidates: &mut [Candidate],
        passages: &mut Vec<Passage>,
        mut each: impl FnMut(Scored),
    ) {
        let count = candidates.iter().map(|it| it.rows.len()).sum();
        passages.clear();
        passages.resize(count, Passage::default());
        for lane in &self.lanes {
            self.add_exactly(lane, candidates, passages);
        }
        let mut left = &passages[..];
        for candidate in candidates {
            let (own, others) = left.split_at(candidate.rows.len());
            left = others;
            let mut best: Option<(u32, Gain)> = None;
            for (row, passage) in candidate.rows.clone().zip(own) {
                let is_better = |best: (u32, Gain)| passage.gain.score > best.1.score;
                if passage.has_word && best.is_none_or(is_better) {
                    best = Some((row, passage.gain));
                }
            }
            if let Some((row, gain)) = best {
                each(self.scored(candidate.item, row, candidate.whole.halves(gain)));
            }
        }
    }

    /// Adds what a word brings to candidates.
    fn add_exactly(&self, lane: &Lane<'_>, candidates: &mut [Candidate], passages: &mut [Passage]) {
        let word = self.scoring.word(lane.word);
        let step = lane.rows.len() / (candidates.len() + 1);
        let (mut place, mut first) = (0, 0);
        for candidate in candidates {
            place = first_from(&lane.rows, place, step, candidate.rows.start);
            let mut tf = 0_u32;
            while let Some(&row) = lane
                .rows
                .get(place)
                .filter(|row| **row < candidate.rows.end)
            {
                let count = lane.count(place);
                tf = tf.saturating_add(count);
                let len = candidate.passage_len(self.segment, row);
                let saturation = self.scoring.passage_saturation(count, len);
                let passage = &mut passages[first + (row - candidate.rows.start) as usize];
                passage.gain += word.in_passage(saturation);
                passage.has_word = true;
                place += 1;
            }
            if tf > 0 {
                let len = candidate.whole_len(self.segment);
                candidate.whole += word.in_whole(self.scoring.whole_saturation(tf, len));
            }
            first += candidate.rows.len();
        }
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
    /// How often the row in a place has the word.
    fn count(&self, place: usize) -> u32 {
        if self.added {
            self.list.count_at(place)
        } else {
            self.counts[place]
        }
    }
}

/// The first place from one on whose row is not below another, by doubling a step and halving.
fn first_from(rows: &[u32], place: usize, step: usize, row: u32) -> usize {
    let (mut from, mut step) = (place, step.max(1));
    while rows.get(from + step - 1).is_some_and(|other| *other < row) {
        from += step;
        step *= 2;
    }
    let end = rows.len().min(from + step);
    let from = from.min(end);
    from + rows[from..end].partition_point(|other| *other < row)
}
