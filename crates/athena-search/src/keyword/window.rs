//! A stretch of a segment's rows in which sums grow, word by word.

use std::ops::Range;

use super::scoring::Scoring;
use super::segment::SegmentView;
use crate::bm25::Gain;

/// How many rows a window has, so that its sums stay in the processor's nearest memory. It has more
/// if its last item does.
const ROWS: u32 = 4096;

/// The sums of whole items: the first row of a window is the first of its item, the last the last.
#[derive(Debug, Default)]
pub(super) struct Window {
    rows: Range<u32>,
    first_item: u32,
    /// A bit for each row that has a word; only these have sums that are not zero.
    touched: Vec<u64>,
    passages: Vec<Gain>,
    wholes: Vec<Gain>,
}

impl Window {
    /// Moves to the window that begins with the item of a row.
    pub(super) fn move_to(&mut self, segment: &SegmentView<'_>, row: u32) {
        let start = segment.rows_around(row).start;
        let end = segment.rows.count().min(start.saturating_add(ROWS));
        let end = segment.rows_around(end - 1).end;
        let items = segment.rows.item;
        let (first, last) = (items[start as usize], items[end as usize - 1]);
        self.rows = start..end;
        self.first_item = first;
        let rows = (end - start) as usize;
        // Sums and bits are left zero by `drain`.
        self.touched
            .resize(self.touched.len().max(rows.div_ceil(64)), 0);
        self.passages
            .resize(self.passages.len().max(rows), Gain::default());
        // An item without rows has a number all the same.
        let items = (last - first) as usize + 1;
        self.wholes
            .resize(self.wholes.len().max(items), Gain::default());
    }

    pub(super) fn end(&self) -> u32 {
        self.rows.end
    }

    /// Adds what a word brings to those of its rows that lie in the window.
    pub(super) fn add(
        &mut self,
        scoring: &Scoring,
        segment: &SegmentView<'_>,
        word: usize,
        occurrences: &[(u32, u32)],
    ) {
        let word = scoring.word(word);
        let rows = segment.rows;
        let mut left = occurrences;
        while let Some(&(row, _)) = left.first() {
            let item = rows.item[row as usize];
            let of_item = |(row, _): &&(u32, u32)| rows.item[*row as usize] == item;
            let count = 1 + left[1..].iter().take_while(of_item).count();
            let (passages, others) = left.split_at(count);
            left = others;
            if !segment.passes(item) {
                continue;
            }
            let mut tf = 0_u32;
            for &(row, count) in passages {
                tf = tf.saturating_add(count);
                let place = (row - self.rows.start) as usize;
                self.touched[place / 64] |= 1 << (place % 64);
                let saturation = scoring.passage_saturation(count, rows.len[row as usize]);
                self.passages[place] += word.in_passage(saturation);
            }
            let saturation = scoring.whole_saturation(tf, rows.item_len[item as usize]);
            self.wholes[(item - self.first_item) as usize] += word.in_whole(saturation);
        }
    }

    /// Hands over each item that was touched with its best row and its sums, and forgets them.
    pub(super) fn drain(&mut self, items: &[u32], mut each: impl FnMut(u32, u32, Gain)) {
        let mut best: Option<(u32, u32, Gain)> = None;
        for group in 0..self.touched.len() {
            let mut bits = std::mem::take(&mut self.touched[group]);
            while bits != 0 {
                let place = group * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let gain = std::mem::take(&mut self.passages[place]);
                let row = self.rows.start + u32::try_from(place).unwrap_or(u32::MAX);
                let item = items[row as usize];
                match &mut best {
                    Some(best) if best.0 == item => {
                        if gain.score > best.2.score {
                            (best.1, best.2) = (row, gain);
                        }
                    }
                    _ => {
                        if let Some(found) = best.replace((item, row, gain)) {
                            self.hand_over(found, &mut each);
                        }
                    }
                }
            }
        }
        if let Some(found) = best {
            self.hand_over(found, &mut each);
        }
    }

    fn hand_over(&mut self, found: (u32, u32, Gain), each: &mut impl FnMut(u32, u32, Gain)) {
        let (item, row, passage) = found;
        let whole = std::mem::take(&mut self.wholes[(item - self.first_item) as usize]);
        each(item, row, whole.halves(passage));
    }
}
