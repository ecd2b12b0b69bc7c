//! Where words occur: packed lists of rows, and the sorted dictionary over them.
//!
//! A *row* is a passage's number within a segment; the passages of an item are neighbouring rows
//! ([`Rows`]). A [`List`] says for one word which rows have it, and how often: packed in bytes in a
//! sealed segment, plain pairs in the part that still grows. A [`Cursor`] walks either. A
//! [`Dictionary`] holds all words of a segment in order, each with its list; it is used as it lies
//! in its bytes, made by a [`DictionaryBuilder`] and never changed: [`merge`] makes a new one in
//! which nothing is left of the rows, and of the words, that are gone.
//!
//! Bytes are data: [`Dictionary::check`] reads everything once and says what is wrong. What walks
//! unchecked or damaged bytes all the same finds too little, but neither panics nor runs on.

mod bits;
mod bound;
mod build;
mod cursor;
mod dictionary;
mod list;
mod prefix;
#[cfg(test)]
mod tests;

pub use bound::{Bound, Impact};
pub use build::{DictionaryBuilder, Part, merge};
pub use cursor::{Cursor, END};
pub use dictionary::{Dictionary, Entry, Words};
pub use list::{List, PackedList};
pub use prefix::words_with_prefix;

use crate::codec::FormatError;

/// How many occurrences a block of a list has; the last one may have fewer.
pub const BLOCK: usize = 128;

/// The passages of a segment: whose they are and how long.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rows<'a> {
    /// Each row's item, ascending: the passages of an item are neighbours, in their order.
    pub item: &'a [u32],
    /// Each row's length in words, as BM25 counts them.
    pub len: &'a [u32],
    /// Each item's length in words.
    pub item_len: &'a [u32],
}

impl Rows<'_> {
    /// What [`lone_lengths`](Self::lone_lengths) says of all other rows.
    pub const NOT_LONE: u8 = u8::MAX;

    /// Returns for each row that is the only one of its item, has the item's length and is shorter
    /// than [`NOT_LONE`](Self::NOT_LONE) its length, and that for every other.
    #[must_use]
    pub fn lone_lengths(&self) -> Vec<u8> {
        let mut lengths: Vec<u8> = self
            .item
            .iter()
            .zip(self.len)
            .map(|(item, len)| match self.item_len.get(*item as usize) {
                Some(whole) if whole == len => u8::try_from(*len).unwrap_or(Self::NOT_LONE),
                _ => Self::NOT_LONE,
            })
            .collect();
        for (row, pair) in self.item.windows(2).enumerate() {
            if pair[0] == pair[1] {
                lengths[row..row + 2].fill(Self::NOT_LONE);
            }
        }
        lengths
    }

    /// Returns how many rows there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::try_from(self.item.len()).unwrap_or(END)
    }

    /// Checks that the columns fit together; everything else here takes that for granted.
    ///
    /// # Errors
    /// [`FormatError::Corrupt`] if the columns differ in length, have 2³² − 1 rows or more, if items
    /// do not ascend, or if an item has no length.
    pub fn check(&self) -> Result<(), FormatError> {
        if self.len.len() != self.item.len() || self.item.len() >= END as usize {
            return Err(FormatError::Corrupt("the columns of rows differ in length"));
        }
        if !self.item.is_sorted() {
            return Err(FormatError::Corrupt("the items of rows do not ascend"));
        }
        match self.item.last() {
            Some(&last) if last as usize >= self.item_len.len() => {
                Err(FormatError::Corrupt("a row's item has no length"))
            }
            _ => Ok(()),
        }
    }
}
