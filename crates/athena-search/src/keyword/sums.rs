//! A sum for each item of a segment: no less than what the words that were added bring to it.

use super::segment::SegmentView;
use super::units::{Table, Units};
use crate::postings::{BLOCK, List, Rows};

/// How many rows have a peak in common, and how many are compared at once.
const GROUP: usize = 32;

/// Up to this part of the peaks, the largest are seldom in one group with others as large.
const FEW_PEAKS: usize = 4;

/// The sums of a segment's items in [`Units`], each in the place of the item's first row.
#[derive(Debug, Default)]
pub(super) struct Sums {
    units: Vec<u16>,
    /// The largest of each [`GROUP`] of sums.
    peaks: Vec<u16>,
    /// Where the largest are sorted out.
    largest: Vec<u16>,
}

/// What words are added by.
pub(super) struct Adding<'a> {
    pub(super) units: &'a Units<'a>,
    pub(super) segment: &'a SegmentView<'a>,
    /// The segment's [`Rows::lone_lengths`].
    pub(super) lone: &'a [u8],
    /// Whether there is no item that may not answer.
    pub(super) all_pass: bool,
}

impl Sums {
    /// Starts with zeros.
    pub(super) fn begin(&mut self, rows: usize) {
        let groups = rows.div_ceil(GROUP);
        self.units.clear();
        self.units.resize(groups * GROUP, 0);
        self.peaks.clear();
        self.peaks.resize(groups.next_multiple_of(GROUP), 0);
    }

    /// Adds what a word brings to the items that pass, and appends its rows to others.
    pub(super) fn add(
        &mut self,
        adding: &Adding<'_>,
        word: usize,
        list: List<'_>,
        rows: &mut Vec<u32>,
    ) {
        let table = adding.units.table(word);
        let segment = adding.segment;
        let passes = |row: u32| segment.passes(segment.rows.item[row as usize]);
        list.read_all(rows, |rows, counts| {
            let all_lone = match (counts, adding.all_pass) {
                (None, true) => self.add_once(adding, table, rows, |_| true),
                (None, false) => self.add_once(adding, table, rows, passes),
                (Some(counts), true) => {
                    self.add_often(adding, word, table, (rows, counts), |_| true)
                }
                (Some(counts), false) => {
                    self.add_often(adding, word, table, (rows, counts), passes)
                }
            };
            if !all_lone {
                self.add_others(adding, word, rows, counts.unwrap_or(&[1; BLOCK]));
            }
        });
    }

    /// Adds what a word brings to items of one passage that have it once; tells whether all were
    /// such items.
    #[inline]
    fn add_once(
        &mut self,
        adding: &Adding<'_>,
        table: &Table,
        rows: &[u32],
        passes: impl Fn(u32) -> bool,
    ) -> bool {
        let mut longest = 0;
        for &row in rows {
            let len = adding.lone[row as usize];
            longest = longest.max(len);
            if passes(row) {
                self.add_to(row, table[0][usize::from(len)]);
            }
        }
        longest < Rows::NOT_LONE
    }

    /// As [`add_once`](Self::add_once), for any counts.
    #[inline]
    fn add_often(
        &mut self,
        adding: &Adding<'_>,
        word: usize,
        table: &Table,
        (rows, counts): (&[u32], &[u32]),
        passes: impl Fn(u32) -> bool,
    ) -> bool {
        let mut longest = 0;
        for (&row, &tf) in rows.iter().zip(counts) {
            let len = adding.lone[row as usize];
            longest = longest.max(len);
            if passes(row) {
                let units = match table.get((tf as usize).wrapping_sub(1)) {
                    Some(units) => units[usize::from(len)],
                    None if len == Rows::NOT_LONE => 0,
                    None => adding.units.of_lone(word, tf, len),
                };
                self.add_to(row, units);
            }
        }
        longest < Rows::NOT_LONE
    }

    /// Adds what a word brings to all other items.
    ///
    /// One with rows in two blocks gets no less than if they were in one: of its occurrences the
    /// first bring the most.
    #[cold]
    fn add_others(&mut self, adding: &Adding<'_>, word: usize, rows: &[u32], counts: &[u32]) {
        let Adding { segment, units, .. } = adding;
        let columns = segment.rows;
        let mut place = 0;
        while let Some(&first) = rows.get(place) {
            if adding.lone[first as usize] != Rows::NOT_LONE {
                place += 1;
                continue;
            }
            let item = columns.item[first as usize];
            let (mut tf, mut passage) = (0_u32, 0.0_f64);
            while let Some((&row, &count)) = rows.get(place).zip(counts.get(place))
                && columns.item[row as usize] == item
            {
                tf = tf.saturating_add(count);
                passage = passage.max(units.in_passage(count, columns.len[row as usize]));
                place += 1;
            }
            if segment.passes(item) {
                let whole = units.in_whole(tf, columns.item_len[item as usize]);
                let added = units.at_most(word, whole, passage);
                self.add_to(segment.first_row(first), added);
            }
        }
    }

    #[inline]
    fn add_to(&mut self, row: u32, units: u16) {
        let place = row as usize;
        let sum = &mut self.units[place];
        *sum = sum.saturating_add(units);
        let peak = &mut self.peaks[place / GROUP];
        *peak = (*peak).max(*sum);
    }

    /// A number that `k` sums or more are no smaller than, and not many more; 0 where fewer are
    /// above.
    pub(super) fn kth(&mut self, k: usize) -> u16 {
        let mut largest = std::mem::take(&mut self.largest);
        largest.clear();
        largest.extend_from_slice(&self.peaks);
        let mut kth = nth_largest(&mut largest, k);
        if k > self.peaks.len() / FEW_PEAKS {
            largest.clear();
            self.each_from(kth.max(1), |_, sum| largest.push(sum));
            kth = nth_largest(&mut largest, k);
        }
        self.largest = largest;
        kth
    }

    /// Tells whether more than so many sums are no smaller than one.
    pub(super) fn more_than(&self, count: usize, least: u16) -> bool {
        let mut found = 0;
        self.groups_from(least).any(|(_, mask)| {
            found += mask.count_ones() as usize;
            found > count
        })
    }

    /// Calls a function with each sum that is no smaller than one, and its place.
    #[inline]
    pub(super) fn each_from(&self, least: u16, mut each: impl FnMut(usize, u16)) {
        for (group, mask) in self.groups_from(least) {
            for place in ones(mask) {
                let place = group * GROUP + place;
                each(place, self.units[place]);
            }
        }
    }

    /// The groups with sums that are no smaller than one, and which of theirs are.
    fn groups_from(&self, least: u16) -> impl Iterator<Item = (usize, u32)> {
        let (groups, _) = self.units.as_chunks();
        let (peaks, _) = self.peaks.as_chunks();
        let found = peaks.iter().enumerate().flat_map(move |(at, peaks)| {
            ones(not_below(peaks, least)).map(move |place| at * GROUP + place)
        });
        found.map(move |group| (group, not_below(&groups[group], least)))
    }
}

/// A bit for each number: whether it is no smaller than one.
#[inline]
fn not_below(numbers: &[u16; GROUP], least: u16) -> u32 {
    let bits = numbers.iter().enumerate();
    bits.fold(0, |mask, (place, number)| {
        mask | u32::from(*number >= least) << place
    })
}

/// The places of the bits that are set.
#[inline]
fn ones(mut mask: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = (mask != 0).then(|| mask.trailing_zeros() as usize)?;
        mask &= mask - 1;
        Some(place)
    })
}

/// The k-th largest of some numbers, which change their places; 0 if there are fewer.
fn nth_largest(numbers: &mut [u16], k: usize) -> u16 {
    match k.checked_sub(1) {
        Some(nth) if nth < numbers.len() => *numbers.select_nth_unstable_by(nth, |a, b| b.cmp(a)).1,
        _ => 0,
    }
}
