//! Making dictionaries: of sorted words, and of other dictionaries.

use super::dictionary::{FORMAT, GROUP};
use super::{Dictionary, END, Rows, Words, bits, list};
use crate::codec::{FormatError, put_bytes, put_varint};

/// Makes the bytes of a [`Dictionary`] of words that come in order.
#[derive(Debug)]
pub struct DictionaryBuilder<'a> {
    rows: Rows<'a>,
    words: u32,
    groups: Vec<u8>,
    entries: Vec<u8>,
    lists: Vec<u8>,
    first: String,
    last: String,
}

impl<'a> DictionaryBuilder<'a> {
    /// Begins a dictionary over the rows of a segment, for which [`Rows::check`] holds.
    #[must_use]
    pub fn new(rows: Rows<'a>) -> Self {
        Self {
            rows,
            words: 0,
            groups: Vec::new(),
            entries: Vec::new(),
            lists: Vec::new(),
            first: String::new(),
            last: String::new(),
        }
    }

    /// Returns the first word, if there is any.
    #[must_use]
    pub fn first(&self) -> Option<&str> {
        (self.words > 0).then_some(&*self.first)
    }

    /// Returns how many bytes the words and their lists take so far.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.groups.len() + self.entries.len() + self.lists.len()
    }

    /// Appends a word with the rows that have it, ascending, and how often; without rows, nothing.
    ///
    /// # Errors
    /// [`FormatError::Corrupt`] if the word is not above the one before, if rows do not ascend or
    /// are none of the segment's, if a count is 0, or if the whole exceeds 4 GiB.
    pub fn push(&mut self, word: &str, postings: &[(u32, u32)]) -> Result<(), FormatError> {
        if postings.is_empty() {
            return Ok(());
        }
        if self.words > 0 && *word <= *self.last {
            return Err(FormatError::Corrupt("words are out of order"));
        }
        let shared = self.begin_entry(word)?;
        let further = self.further_passages(postings);
        let list_at = self.lists.len();
        list::write(postings, self.rows, &mut self.lists)?;
        put_varint(&mut self.entries, shared as u64);
        put_bytes(&mut self.entries, &word.as_bytes()[shared..]);
        put_varint(&mut self.entries, postings.len() as u64);
        put_varint(&mut self.entries, further);
        put_varint(&mut self.entries, (self.lists.len() - list_at) as u64);
        if self.words == 0 {
            word.clone_into(&mut self.first);
        }
        self.words += 1;
        word.clone_into(&mut self.last);
        Ok(())
    }

    /// Begins a group if the last one is full; returns how many bytes the word need not repeat.
    fn begin_entry(&mut self, word: &str) -> Result<usize, FormatError> {
        if (self.words as usize).is_multiple_of(GROUP) {
            for place in [self.entries.len(), self.lists.len()] {
                self.groups.extend_from_slice(&fixed(place)?);
            }
            return Ok(0);
        }
        let pairs = self.last.bytes().zip(word.bytes());
        Ok(pairs.take_while(|(a, b)| a == b).count())
    }

    /// How many of a word's rows are not the first of their item.
    fn further_passages(&self, postings: &[(u32, u32)]) -> u64 {
        let item_of = |posting: &(u32, u32)| self.rows.item[posting.0 as usize];
        let pairs = postings.windows(2);
        pairs
            .filter(|it| item_of(&it[0]) == item_of(&it[1]))
            .count() as u64
    }

    /// Returns the bytes.
    ///
    /// # Errors
    /// [`FormatError::Corrupt`] if words or lists exceed 4 GiB.
    pub fn finish(self) -> Result<Vec<u8>, FormatError> {
        let mut out = vec![FORMAT];
        out.extend_from_slice(&self.rows.count().to_le_bytes());
        out.extend_from_slice(&self.words.to_le_bytes());
        out.extend_from_slice(&fixed(self.entries.len())?);
        out.extend_from_slice(&fixed(self.lists.len())?);
        for part in [self.groups, self.entries, self.lists] {
            out.extend_from_slice(&part);
        }
        out.extend_from_slice(&[0; bits::PADDING]);
        Ok(out)
    }
}

fn fixed(place: usize) -> Result<[u8; 4], FormatError> {
    let place = u32::try_from(place);
    let place = place.map_err(|_| FormatError::Corrupt("a dictionary exceeds 4 GiB"))?;
    Ok(place.to_le_bytes())
}

/// A dictionary that goes into another.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// The words.
    pub dictionary: Dictionary<'a>,
    /// Each row's number in the new segment; [`END`] for one that is gone, as for those missing.
    pub rows: &'a [u32],
}

/// Makes one dictionary of several, without the rows that are gone.
///
/// A word of which nothing is left does not occur in the new bytes. One part alone, with some rows
/// gone, is how a purge makes a segment anew.
///
/// # Errors
/// As [`DictionaryBuilder::push`]: two rows become one, or a new number is none of `rows`.
pub fn merge(parts: &[Part<'_>], rows: Rows<'_>) -> Result<Vec<u8>, FormatError> {
    let mut builder = DictionaryBuilder::new(rows);
    let mut heads: Vec<(Words<'_>, &[u32])> = parts
        .iter()
        .map(|part| (part.dictionary.words(), part.rows))
        .collect();
    heads.retain_mut(|(words, _)| words.advance());
    let mut postings = Vec::new();
    let mut kept = Vec::new();
    while let Some(word) = heads.iter().map(|(words, _)| words.word()).min() {
        let word = word.to_owned();
        kept.clear();
        for (words, numbers) in heads.iter().filter(|(words, _)| words.word() == word) {
            postings.clear();
            words.entry().list.cursor().take_below(END, &mut postings);
            let moved = postings.iter().filter_map(|&(row, count)| {
                let &row = numbers.get(row as usize)?;
                (row != END).then_some((row, count))
            });
            kept.extend(moved);
        }
        kept.sort_unstable();
        builder.push(&word, &kept)?;
        heads.retain_mut(|(words, _)| words.word() != word || words.advance());
    }
    builder.finish()
}
