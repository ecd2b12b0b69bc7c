//! One word's rows in bytes.
//!
//! Blocks of [`BLOCK`] occurrences. A block is two bytes with the widths `d` and `t`, then a number
//! of `d` bits for each row (how many rows lie between it and the one before) and one of `t` bits
//! for each count (less one). A list of several blocks begins with the bound of all its rows and an
//! entry for each block: its last row, where it ends, its bound.

use super::bits::{self, pack, packed_len, width};
use super::bound::Bound;
use super::{BLOCK, Cursor, Rows};
use crate::codec::FormatError;

/// How many bytes the entry of a block takes.
const ENTRY: usize = 8 + Bound::BYTES;

/// The rows that have a word, ascending, with how often they have it.
#[derive(Debug, Clone, Copy)]
pub enum List<'a> {
    /// In a sealed segment.
    Packed(PackedList<'a>),
    /// As pairs of row and count; rows ascend and counts are positive.
    Plain(&'a [(u32, u32)]),
}

impl<'a> List<'a> {
    /// Returns how many rows have the word.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Packed(list) => list.count as usize,
            Self::Plain(list) => list.len(),
        }
    }

    /// Tells whether no row has the word.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells whether each row of the list is one of so many.
    #[must_use]
    pub fn fits(&self, rows: u32) -> bool {
        match self {
            Self::Packed(list) => list.rows <= rows,
            Self::Plain(list) => list.last().is_none_or(|(row, _)| *row < rows),
        }
    }

    /// Returns the limits of all rows.
    #[must_use]
    pub fn bound(&self) -> Bound {
        match self {
            Self::Packed(list) => list.bound(),
            Self::Plain(_) => Bound::ANY,
        }
    }

    /// Appends all rows to others. Calls a function with those of each block and how often they have
    /// the word, `None` if each has it once.
    ///
    /// A block that contradicts itself ends the list, as it does for a cursor.
    pub fn read_all(self, rows: &mut Vec<u32>, mut each: impl FnMut(&[u32], Option<&[u32]>)) {
        let (mut block_rows, mut block_counts) = ([0; BLOCK], [0; BLOCK]);
        for block in 0..self.len().div_ceil(BLOCK) {
            let (len, varies) = match self {
                Self::Packed(list) => {
                    let Some(counts) = list.read(block, &mut block_rows) else {
                        return;
                    };
                    counts.get_all(&mut block_counts);
                    (counts.len, counts.width > 0)
                }
                Self::Plain(list) => {
                    let pairs = &list[block * BLOCK..list.len().min((block + 1) * BLOCK)];
                    for (place, (row, count)) in pairs.iter().enumerate() {
                        (block_rows[place], block_counts[place]) = (*row, *count);
                    }
                    (pairs.len(), true)
                }
            };
            rows.extend_from_slice(&block_rows[..len]);
            each(&block_rows[..len], varies.then_some(&block_counts[..len]));
        }
    }

    /// Returns how often the row in a place of the list has the word; 0 where there is none.
    #[must_use]
    pub fn count_at(self, place: usize) -> u32 {
        match self {
            Self::Packed(list) => match list.counts(place / BLOCK) {
                Some(counts) if place % BLOCK < counts.len => counts.get(place % BLOCK),
                _ => 0,
            },
            Self::Plain(list) => list.get(place).map_or(0, |(_, count)| *count),
        }
    }

    /// Returns a cursor in front of the first row.
    #[must_use]
    pub fn cursor(self) -> Cursor<'a> {
        Cursor::new(self)
    }
}

/// A list as it lies in the bytes of a [`Dictionary`](super::Dictionary).
#[derive(Debug, Clone, Copy)]
pub struct PackedList<'a> {
    /// The list and [`bits::PADDING`] bytes behind it, of whatever comes there.
    bytes: &'a [u8],
    count: u32,
    /// How many rows the segment has: none of the list's is as large.
    rows: u32,
}

impl<'a> PackedList<'a> {
    pub(super) fn new(bytes: &'a [u8], count: u32, rows: u32) -> Self {
        Self { bytes, count, rows }
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    fn blocks(&self) -> usize {
        (self.count as usize).div_ceil(BLOCK)
    }

    fn bound(&self) -> Bound {
        match self.bytes.first_chunk() {
            Some(bytes) if self.blocks() > 1 => Bound::from_bytes(*bytes),
            _ => Bound::ANY,
        }
    }

    /// The entry of a block, if there are several.
    fn entry(&self, block: usize) -> Option<&'a [u8; ENTRY]> {
        if self.blocks() < 2 {
            return None;
        }
        self.bytes
            .get(Bound::BYTES + block * ENTRY..)?
            .first_chunk()
    }

    /// The last row that a block can have.
    #[inline]
    pub(super) fn last(&self, block: usize) -> u32 {
        match self.entry(block) {
            Some(&[a, b, c, d, ..]) => u32::from_le_bytes([a, b, c, d]),
            None => self.rows.saturating_sub(1),
        }
    }

    pub(super) fn block_bound(&self, block: usize) -> Bound {
        match self.entry(block) {
            Some(&[_, _, _, _, _, _, _, _, ref bound @ ..]) => Bound::from_bytes(*bound),
            None => Bound::ANY,
        }
    }

    /// Where the bytes of a block begin, and with them those of all that follow.
    fn block_bytes(&self, block: usize) -> Option<&'a [u8]> {
        if self.blocks() < 2 {
            return Some(self.bytes);
        }
        let start = match block.checked_sub(1) {
            Some(before) => {
                let &[_, _, _, _, a, b, c, d, ..] = self.entry(before)?;
                u32::from_le_bytes([a, b, c, d]) as usize
            }
            None => 0,
        };
        let head = Bound::BYTES + self.blocks() * ENTRY;
        self.bytes.get(head..)?.get(start..)
    }

    /// Reads a block's rows; nothing if the bytes contradict themselves.
    ///
    /// Rows are summed up from distances of one or more and end at the row that the block's entry
    /// names, so one comparison at the end proves that they ascend and stay below the segment's.
    pub(super) fn read(&self, block: usize, rows: &mut [u32; BLOCK]) -> Option<Counts<'a>> {
        let (distance, bytes, counts) = self.parts(block)?;
        let first = match block.checked_sub(1) {
            Some(before) => u64::from(self.last(before)) + 1,
            None => 0,
        };
        let last = read_rows(bytes, distance, first, &mut rows[..counts.len])?;
        let fits = match self.entry(block) {
            Some(_) => last == u64::from(self.last(block)),
            None => true,
        };
        (fits && last < u64::from(self.rows)).then_some(counts)
    }

    /// The counts of a block.
    fn counts(&self, block: usize) -> Option<Counts<'a>> {
        self.parts(block).map(|(_, _, counts)| counts)
    }

    /// A block's width of distances, its distances and all that follows, and its counts.
    fn parts(&self, block: usize) -> Option<(u32, &'a [u8], Counts<'a>)> {
        let len = (self.count as usize).checked_sub(block * BLOCK)?.min(BLOCK);
        let (&[distance, tf], bytes) = self.block_bytes(block)?.split_first_chunk()?;
        let (distance, width) = (u32::from(distance), u32::from(tf));
        if distance > u32::BITS || width > u32::BITS || len == 0 {
            return None;
        }
        let counts = Counts {
            bytes: bytes.get(packed_len(distance, len)..)?,
            width,
            len,
        };
        Some((distance, bytes, counts))
    }

    /// Checks that the entries ascend and that every block reads; returns how many bytes it takes.
    ///
    /// A wrong bound goes unnoticed here: that takes the checksum of what the list is part of.
    pub(super) fn check(&self) -> Result<usize, FormatError> {
        const DAMAGED: FormatError = FormatError::Corrupt("a list of rows is damaged");
        let head = match self.blocks() {
            0 | 1 => 0,
            blocks => Bound::BYTES + blocks * ENTRY,
        };
        let mut rows = [0; BLOCK];
        let mut end = 0;
        for block in 0..self.blocks() {
            let bytes = self.block_bytes(block).ok_or(DAMAGED)?;
            let counts = self.read(block, &mut rows).ok_or(DAMAGED)?;
            let tfs = counts
                .bytes
                .len()
                .checked_sub(packed_len(counts.width, counts.len));
            end += bytes.len() - tfs.ok_or(DAMAGED)?;
            if let Some(&[_, _, _, _, a, b, c, d, ..]) = self.entry(block)
                && u32::from_le_bytes([a, b, c, d]) as usize != end
            {
                return Err(DAMAGED);
            }
        }
        Ok(head + end)
    }
}

/// Sums up rows from the distances between them; returns the last.
fn read_rows(bytes: &[u8], width: u32, first: u64, rows: &mut [u32]) -> Option<u64> {
    bits::unpack(bytes, width, rows);
    let mut next = first;
    for row in rows {
        next += u64::from(*row) + 1;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the caller compares the last"
        )]
        let value = (next - 1) as u32;
        *row = value;
    }
    next.checked_sub(1)
}

/// The counts of a block's rows.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts<'a> {
    bytes: &'a [u8],
    width: u32,
    pub(super) len: usize,
}

impl Counts<'_> {
    /// Those of a plain list, which says its counts itself.
    pub(super) fn of_plain(len: usize) -> Self {
        Self {
            len,
            ..Self::default()
        }
    }

    /// Reads all counts, if they are not all 1.
    fn get_all(&self, out: &mut [u32; BLOCK]) {
        if self.width > 0 {
            let out = &mut out[..self.len];
            bits::unpack(self.bytes, self.width, out);
            out.iter_mut()
                .for_each(|count| *count = count.saturating_add(1));
        }
    }

    #[inline]
    pub(super) fn get(&self, place: usize) -> u32 {
        if self.width == 0 {
            return 1;
        }
        bits::get(self.bytes, self.width, place).saturating_add(1)
    }
}

/// Appends a list's bytes.
///
/// # Errors
/// [`FormatError::Corrupt`] if rows do not ascend or are none of the segment's, or a count is 0.
pub(super) fn write(
    postings: &[(u32, u32)],
    rows: Rows<'_>,
    out: &mut Vec<u8>,
) -> Result<(), FormatError> {
    let ascending = postings.is_sorted_by(|a, b| a.0 < b.0);
    let known = postings.last().is_none_or(|last| last.0 < rows.count());
    if !ascending || !known || postings.iter().any(|(_, tf)| *tf == 0) {
        return Err(FormatError::Corrupt("a word's rows are out of order"));
    }
    let mut first = 0;
    if postings.len() <= BLOCK {
        write_block(postings, first, out);
        return Ok(());
    }
    let bounds = block_bounds(postings, rows);
    let all = bounds.iter().copied().fold(Bound::NONE, Bound::join);
    out.extend_from_slice(&all.to_bytes());
    let mut blocks = Vec::new();
    for (block, bound) in postings.chunks(BLOCK).zip(bounds) {
        write_block(block, first, &mut blocks);
        let last = block.last().map_or(0, |(row, _)| *row);
        first = last + 1;
        let end = u32::try_from(blocks.len());
        let end = end.map_err(|_| FormatError::Corrupt("a word has too many rows"))?;
        out.extend_from_slice(&last.to_le_bytes());
        out.extend_from_slice(&end.to_le_bytes());
        out.extend_from_slice(&bound.to_bytes());
    }
    out.extend_from_slice(&blocks);
    Ok(())
}

/// Appends a block whose rows are `first` or larger.
fn write_block(postings: &[(u32, u32)], first: u32, out: &mut Vec<u8>) {
    let before = postings.iter().map(|(row, _)| *row + 1);
    let distances = postings
        .iter()
        .zip(std::iter::once(first).chain(before))
        .map(|((row, _), next)| row - next);
    let tfs = postings.iter().map(|(_, tf)| tf - 1);
    let (distance, tf) = (width(distances.clone()), width(tfs.clone()));
    out.extend([distance, tf].map(|bits| bits.to_le_bytes()[0]));
    pack(distances, distance, out);
    pack(tfs, tf, out);
}

/// The bound of each block.
fn block_bounds(postings: &[(u32, u32)], rows: Rows<'_>) -> Vec<Bound> {
    let item_of = |row: u32| rows.item[row as usize];
    let mut bounds = vec![Bound::NONE; postings.len().div_ceil(BLOCK)];
    let mut start = 0;
    for passages in postings.chunk_by(|a, b| item_of(a.0) == item_of(b.0)) {
        let tf = passages
            .iter()
            .fold(0_u32, |sum, (_, tf)| sum.saturating_add(*tf));
        let item_len = rows.item_len[item_of(passages[0].0) as usize];
        let bound = passages.iter().fold(Bound::NONE, |bound, (row, tf)| {
            bound.with_passage(*tf, rows.len[*row as usize])
        });
        let bound = bound.with_whole(tf, item_len);
        let end = start + passages.len();
        for block in &mut bounds[start / BLOCK..end.div_ceil(BLOCK)] {
            *block = block.join(bound);
        }
        start = end;
    }
    bounds
}
