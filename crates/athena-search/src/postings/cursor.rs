//! Walking a list in ascending order.

use super::list::{Counts, List};
use super::{BLOCK, Bound};

/// What a cursor says at the end: no row has this number.
pub const END: u32 = u32::MAX;

/// A place in a list; it only moves forward.
///
/// Blocks are read when one of their rows is asked for, so stepping over them costs next to
/// nothing. A cursor allocates nothing.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    list: List<'a>,
    block: usize,
    blocks: usize,
    /// The rows of the block, once it is read.
    rows: [u32; BLOCK],
    counts: Counts<'a>,
    place: usize,
    is_read: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(list: List<'a>) -> Self {
        Self {
            list,
            block: 0,
            blocks: list.len().div_ceil(BLOCK),
            rows: [0; BLOCK],
            counts: Counts::default(),
            place: 0,
            is_read: false,
        }
    }

    /// Returns the row here, [`END`] behind the last.
    #[inline]
    pub fn row(&mut self) -> u32 {
        if self.read() {
            self.rows[self.place]
        } else {
            END
        }
    }

    /// Returns how often the row here has the word; 0 behind the last.
    #[inline]
    pub fn count(&mut self) -> u32 {
        if self.read() {
            self.count_at(self.place)
        } else {
            0
        }
    }

    /// Moves to the next row.
    #[inline]
    pub fn advance(&mut self) {
        if self.read() {
            self.place += 1;
            if self.place == self.counts.len {
                self.enter(self.block + 1);
            }
        }
    }

    /// Moves to the first row that is not below `row` (stays if the one here is not) and returns it.
    #[inline]
    pub fn seek(&mut self, row: u32) -> u32 {
        if self.skip_to(row).is_none() || !self.read() {
            return END;
        }
        let rest = &self.rows[self.place..self.counts.len];
        self.place += rest.partition_point(|other| *other < row);
        if self.place == self.counts.len {
            // Only where one block without an entry ends before.
            self.enter(self.block + 1);
        }
        self.row()
    }

    /// Moves to the block in which the first row not below `row` lies, without reading it, and
    /// returns the block's bound: that of the item of that row. `None` if there is no such row.
    pub fn skip_to(&mut self, row: u32) -> Option<Bound> {
        if self.block < self.blocks && self.last(self.block) < row {
            self.enter(self.first_block_to(row));
        }
        (self.block < self.blocks).then(|| self.block_bound())
    }

    /// Returns the bound of the block here: every item that has a row in it is within.
    #[must_use]
    pub fn block_bound(&self) -> Bound {
        match self.list {
            List::Packed(list) => list.block_bound(self.block),
            List::Plain(_) => Bound::ANY,
        }
    }

    /// Appends the rows below `end` with their counts, and moves behind them.
    pub fn take_below(&mut self, end: u32, out: &mut Vec<(u32, u32)>) {
        while self.read() {
            let rows = &self.rows[self.place..self.counts.len];
            let taken = if rows.last().is_some_and(|last| *last < end) {
                rows.len()
            } else {
                rows.partition_point(|row| *row < end)
            };
            let places = self.place..self.place + taken;
            match self.list {
                List::Packed(_) => {
                    let counts = places.clone().map(|place| self.counts.get(place));
                    out.extend(rows.iter().copied().zip(counts));
                }
                List::Plain(list) => {
                    let start = self.block * BLOCK;
                    out.extend_from_slice(&list[start + places.start..start + places.end]);
                }
            }
            self.place = places.end;
            if self.place < self.counts.len {
                return;
            }
            self.enter(self.block + 1);
        }
    }

    fn count_at(&self, place: usize) -> u32 {
        match self.list {
            List::Packed(_) => self.counts.get(place),
            List::Plain(list) => list[self.block * BLOCK + place].1,
        }
    }

    fn last(&self, block: usize) -> u32 {
        match self.list {
            List::Packed(list) => list.last(block),
            List::Plain(list) => list[list.len().min((block + 1) * BLOCK) - 1].0,
        }
    }

    /// The first block behind this one that ends at `row` or later, by doubling steps and halving.
    fn first_block_to(&self, row: u32) -> usize {
        let (mut below, mut step) = (self.block, 1);
        while below + step < self.blocks && self.last(below + step) < row {
            below += step;
            step *= 2;
        }
        let mut above = self.blocks.min(below + step);
        while above - below > 1 {
            let middle = below + (above - below) / 2;
            if self.last(middle) < row {
                below = middle;
            } else {
                above = middle;
            }
        }
        above
    }

    fn enter(&mut self, block: usize) {
        self.block = block;
        self.place = 0;
        self.is_read = false;
    }

    /// Reads the block here; false behind the last one. A block that contradicts itself ends the
    /// list.
    #[inline]
    fn read(&mut self) -> bool {
        self.is_read || self.read_block()
    }

    fn read_block(&mut self) -> bool {
        if self.block >= self.blocks {
            return false;
        }
        let read = match self.list {
            List::Packed(list) => list.read(self.block, &mut self.rows),
            List::Plain(list) => {
                let start = self.block * BLOCK;
                let block = &list[start..list.len().min(start + BLOCK)];
                for (kept, (row, _)) in self.rows.iter_mut().zip(block) {
                    *kept = *row;
                }
                Some(Counts::of_plain(block.len()))
            }
        };
        match read {
            Some(counts) => self.counts = counts,
            None => self.block = self.blocks,
        }
        self.is_read = read.is_some();
        self.is_read
    }
}
