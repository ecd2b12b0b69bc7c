//! A segment as ranking sees it.

use std::ops::Range;

use crate::postings::{List, Rows};

/// A segment's rows, which of its items may answer, and the lists of the query's words.
#[derive(Debug, Clone, Default)]
pub struct SegmentView<'a> {
    /// The rows; [`Rows::check`] holds.
    pub rows: Rows<'a>,
    /// A bit for each item, the first in the lowest bit of the first number: whether it may answer.
    /// Items without a bit may not. Absent, all may.
    pub passes: Option<&'a [u64]>,
    /// The list of each word of the query, in the query's order; `None` where it does not occur.
    /// One that names other rows than there are counts as such.
    pub lists: Vec<Option<List<'a>>>,
    /// The rows' [`Rows::lone_lengths`]; absent, they are made for each query that needs them.
    pub lone: Option<&'a [u8]>,
}

impl SegmentView<'_> {
    #[inline]
    pub(super) fn passes(&self, item: u32) -> bool {
        self.passes.is_none_or(|passes| {
            let word = passes.get(item as usize / 64);
            word.is_some_and(|word| word >> (item % 64) & 1 == 1)
        })
    }

    /// Whether every item may answer.
    pub(super) fn all_pass(&self) -> bool {
        self.passes.is_none_or(|passes| {
            let items = self.rows.item_len.len();
            let all = passes.get(..items / 64);
            let all = all
                .is_some_and(|words| words.iter().fold(u64::MAX, |all, it| all & it) == u64::MAX);
            let rest = passes
                .get(items / 64)
                .map_or(0, |word| word.trailing_ones() as usize);
            all && rest >= items % 64
        })
    }

    /// The first row of the item that has this one.
    pub(super) fn first_row(&self, row: u32) -> u32 {
        let items = self.rows.item;
        let item = items[row as usize];
        let before = items[..row as usize].iter().rev();
        let before = before.take_while(|other| **other == item).count();
        row - u32::try_from(before).unwrap_or(row)
    }

    /// The rows of the item that has this one.
    pub(super) fn rows_around(&self, row: u32) -> Range<u32> {
        let items = self.rows.item;
        let at = row as usize;
        let same = |other: &&u32| **other == items[at];
        let before = items[..at].iter().rev().take_while(same).count();
        let after = items[at..].iter().take_while(same).count();
        // Row numbers are 32 bits wide, so counts of rows are too.
        let number = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        number(at - before)..number(at + after)
    }

    /// The rows of an item; empty if it has none.
    pub(super) fn rows_of(&self, item: u32) -> Range<u32> {
        let first = self.rows.item.partition_point(|other| *other < item);
        match self.rows.item.get(first) {
            Some(found) if *found == item => {
                self.rows_around(u32::try_from(first).unwrap_or(u32::MAX))
            }
            _ => 0..0,
        }
    }
}
