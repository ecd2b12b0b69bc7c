//! The words of a segment in order, each with its list.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | format |
//! | 4 × 4 | numbers of rows and of words, lengths of the words' and of the lists' bytes |
//! | 8 a group | where a group of 16 words begins, and the list of its first word |
//! | … | words: how many bytes are those of the word before, the others, and three numbers |
//! | … | lists |
//! | 8 | zeros |
//!
//! Fixed numbers are little-endian, the others of variable length. A group's first word stands in
//! full, so that a word is found by halving the groups and reading one of them.

use std::cmp::Ordering;

use super::list::PackedList;
use super::{List, bits};
use crate::codec::{FormatError, Reader};

pub(super) const FORMAT: u8 = 1;
pub(super) const GROUP: usize = 16;
const GROUP_BYTES: usize = 8;

const DAMAGED: FormatError = FormatError::Corrupt("the dictionary is damaged");

/// The words of a segment, as they lie in its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Dictionary<'a> {
    rows: u32,
    words: u32,
    groups: &'a [u8],
    entries: &'a [u8],
    /// The lists and the padding behind them.
    lists: &'a [u8],
}

/// Where a word occurs in a segment.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// How many rows have it.
    pub passages: u32,
    /// How many items have it.
    pub items: u32,
    /// Which rows, and how often.
    pub list: List<'a>,
}

impl<'a> Dictionary<'a> {
    /// Takes bytes of a [`DictionaryBuilder`](super::DictionaryBuilder) as they are. Costs nothing; [`Self::check`] reads them.
    ///
    /// # Errors
    /// [`FormatError::Version`] for another format, [`FormatError::Truncated`] or
    /// [`FormatError::Corrupt`] if the parts are not as long as the head says.
    pub fn open(bytes: &'a [u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(bytes);
        let found = reader.byte()?;
        if found != FORMAT {
            return Err(FormatError::Version {
                found,
                known: FORMAT,
            });
        }
        let [rows, words, entries, lists] = [
            fixed(&mut reader)?,
            fixed(&mut reader)?,
            fixed(&mut reader)?,
            fixed(&mut reader)?,
        ];
        let groups = (words as usize).div_ceil(GROUP) * GROUP_BYTES;
        let dictionary = Self {
            rows,
            words,
            groups: reader.take(groups)?,
            entries: reader.take(entries as usize)?,
            lists: reader.take(lists as usize + bits::PADDING)?,
        };
        reader.end()?;
        Ok(dictionary)
    }

    /// Reads everything once: words ascend, counts are possible, each list has that many rows,
    /// ascending, each one of the segment's.
    ///
    /// Takes a few nanoseconds for each occurrence. The limits kept for ranking are not checked;
    /// that takes a checksum of the bytes.
    ///
    /// # Errors
    /// [`FormatError::Corrupt`] if anything is not so.
    pub fn check(&self) -> Result<(), FormatError> {
        let mut words = self.words();
        let mut before = Vec::new();
        for number in 0..self.len() {
            if number % GROUP == 0
                && self.group(number / GROUP) != Some(words.entries.next_places())
            {
                return Err(DAMAGED);
            }
            if !words.advance() || (number > 0 && words.word <= before) {
                return Err(DAMAGED);
            }
            before.clone_from(&words.word);
            words.entries.check()?;
        }
        let end = (self.entries.len(), self.lists.len() - bits::PADDING);
        if words.entries.next_places() == end {
            Ok(())
        } else {
            Err(DAMAGED)
        }
    }

    /// Returns how many rows the segment has.
    #[must_use]
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Returns how many words there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words as usize
    }

    /// Tells whether there is no word.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words == 0
    }

    /// Returns where a word occurs.
    #[must_use]
    pub fn get(&self, word: &str) -> Option<Entry<'a>> {
        let word = word.as_bytes();
        let mut entry = self.group_for(word)?;
        // How many of the word's first bytes the entry before has.
        let mut known = 0;
        for _ in 0..GROUP {
            let (shared, rest) = entry.next_word()?;
            if shared < known {
                return None;
            }
            if shared == known {
                let common = common_prefix(rest, &word[known..]);
                known += common;
                match rest[common..].first().cmp(&word.get(known)) {
                    Ordering::Less => {}
                    Ordering::Equal => return Some(entry.entry()),
                    Ordering::Greater => return None,
                }
            }
        }
        None
    }

    /// Returns all words, in order.
    #[must_use]
    pub fn words(&self) -> Words<'a> {
        Words::new(*self, 0)
    }

    /// Returns the words that are not below a prefix, in order.
    ///
    /// Those that begin with it come first.
    #[must_use]
    pub fn words_from(&self, prefix: &str) -> Words<'a> {
        let group = self.groups_up_to(prefix.as_bytes()).saturating_sub(1);
        let mut words = Words::new(*self, group);
        let mut before = words.clone();
        while words.advance() && *words.word < *prefix.as_bytes() {
            before.clone_from(&words);
        }
        before
    }

    /// How many groups begin with a word that is not above this one.
    fn groups_up_to(&self, word: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.groups.len() / GROUP_BYTES);
        while low < high {
            let middle = low + (high - low) / 2;
            let first = Entries::new(*self, middle).next_word();
            if first.is_some_and(|(_, first)| first <= word) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The group in which a word would be.
    fn group_for(&self, word: &[u8]) -> Option<Entries<'a>> {
        let group = self.groups_up_to(word).checked_sub(1)?;
        Some(Entries::new(*self, group))
    }

    /// Where a group's words and lists begin.
    fn group(&self, group: usize) -> Option<(usize, usize)> {
        let bytes = self.groups.get(group * GROUP_BYTES..)?;
        let &[a, b, c, d, e, f, g, h] = bytes.first_chunk()?;
        let entries = u32::from_le_bytes([a, b, c, d]) as usize;
        Some((entries, u32::from_le_bytes([e, f, g, h]) as usize))
    }
}

fn fixed(reader: &mut Reader<'_>) -> Result<u32, FormatError> {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(reader.take(4)?);
    Ok(u32::from_le_bytes(bytes))
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// The entries of a dictionary, one after the other.
#[derive(Debug, Clone)]
struct Entries<'a> {
    dictionary: Dictionary<'a>,
    rest: &'a [u8],
    lists_at: usize,
    list_len: usize,
    passages: u32,
    items: u32,
}

impl<'a> Entries<'a> {
    fn new(dictionary: Dictionary<'a>, group: usize) -> Self {
        let (entries_at, lists_at) = dictionary.group(group).unwrap_or_default();
        Self {
            dictionary,
            rest: dictionary.entries.get(entries_at..).unwrap_or_default(),
            lists_at,
            list_len: 0,
            passages: 0,
            items: 0,
        }
    }

    /// Reads an entry: how many bytes its word shares with the one before, and the others. `None`
    /// at the end and where the bytes make no sense.
    fn next_word(&mut self) -> Option<(usize, &'a [u8])> {
        let mut reader = Reader::new(self.rest);
        let shared = reader.number().ok()?;
        let word = reader.bytes().ok()?;
        self.passages = reader.number().ok()?;
        self.items = self.passages.checked_sub(reader.number().ok()?)?;
        self.lists_at = self.lists_at.saturating_add(self.list_len);
        self.list_len = reader.number().ok()? as usize;
        self.rest = reader.rest();
        Some((shared as usize, word))
    }

    /// Where the next entry and its list begin.
    fn next_places(&self) -> (usize, usize) {
        let entries_at = self.dictionary.entries.len() - self.rest.len();
        (entries_at, self.lists_at.saturating_add(self.list_len))
    }

    fn check(&self) -> Result<(), FormatError> {
        let list = self.packed();
        let counts = 0 < self.items && self.items <= self.passages;
        if counts && list.count() == self.passages && list.check()? == self.list_len {
            Ok(())
        } else {
            Err(DAMAGED)
        }
    }

    fn packed(&self) -> PackedList<'a> {
        let end = self.lists_at.saturating_add(self.list_len + bits::PADDING);
        let bytes = self.dictionary.lists.get(self.lists_at..end);
        let Dictionary { rows, .. } = self.dictionary;
        match bytes {
            Some(bytes) => PackedList::new(bytes, self.passages, rows),
            None => PackedList::new(&[], 0, rows),
        }
    }

    fn entry(&self) -> Entry<'a> {
        Entry {
            passages: self.passages,
            items: self.items,
            list: List::Packed(self.packed()),
        }
    }
}

/// The words of a dictionary in order: a place that begins in front of the first.
#[derive(Debug, Clone)]
pub struct Words<'a> {
    entries: Entries<'a>,
    word: Vec<u8>,
    left: usize,
}

impl<'a> Words<'a> {
    /// Of a group and those behind it.
    fn new(dictionary: Dictionary<'a>, group: usize) -> Self {
        Self {
            entries: Entries::new(dictionary, group),
            word: Vec::new(),
            left: dictionary.len().saturating_sub(group * GROUP),
        }
    }

    /// Moves to the next word; false if there is none.
    pub fn advance(&mut self) -> bool {
        let moved = self.left > 0 && self.read().is_some();
        self.left = if moved { self.left - 1 } else { 0 };
        moved
    }

    fn read(&mut self) -> Option<()> {
        let (shared, rest) = self.entries.next_word()?;
        if shared > self.word.len() {
            return None;
        }
        self.word.truncate(shared);
        self.word.extend_from_slice(rest);
        std::str::from_utf8(&self.word).ok().map(|_| ())
    }

    /// Returns the word here.
    #[must_use]
    pub fn word(&self) -> &str {
        std::str::from_utf8(&self.word).unwrap_or_default()
    }

    /// Returns where the word here occurs.
    #[must_use]
    pub fn entry(&self) -> Entry<'a> {
        self.entries.entry()
    }
}
