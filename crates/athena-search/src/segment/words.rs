//! The passages of a segment and the words they have.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::OnceLock;

use super::pages::Pages;
use crate::codec::{FormatError, Reader, put_bytes, put_varint};
use crate::postings::{Dictionary, DictionaryBuilder, List, Rows};

/// A dictionary ends with the word by which it reaches so many bytes: what is read for one word.
const DICTIONARY_BYTES: usize = 16 << 10;

/// Passages, row by row, with the words they have.
#[derive(Debug, Clone, Default)]
pub(crate) struct Passages {
    /// The item of each passage; those of an item are neighbours.
    pub(crate) items: Vec<u32>,
    /// The words of each passage, as BM25 counts them.
    pub(crate) lens: Vec<u32>,
    pub(crate) words: Words,
    /// Their [`Rows::lone_lengths`], made when asked for.
    lone: OnceLock<Vec<u8>>,
}

/// Where words occur.
#[derive(Debug, Clone)]
pub(crate) enum Words {
    /// As dictionaries.
    Sealed(Sealed),
    /// As lists that grow.
    Growing(HashMap<Box<str>, Growing>),
}

/// All words in order, cut into [`Dictionary`]s, so that one is read without the others.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sealed {
    /// The first word of each dictionary.
    firsts: Vec<Box<str>>,
    /// Their bytes; none where they are not there.
    dictionaries: Vec<Vec<u8>>,
    pages: Pages,
}

/// Where a word occurs in a segment that grows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Growing {
    list: Vec<(u32, u32)>,
    items: u32,
}

/// Where a word occurs in a segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Occurrences<'a> {
    pub(crate) items: u32,
    pub(crate) passages: u32,
    pub(crate) list: List<'a>,
}

impl Default for Words {
    fn default() -> Self {
        Self::Growing(HashMap::new())
    }
}

impl Passages {
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn rows<'a>(&'a self, item_len: &'a [u32]) -> Rows<'a> {
        Rows {
            item: &self.items,
            len: &self.lens,
            item_len,
        }
    }

    /// Returns the rows' [`Rows::lone_lengths`].
    pub(crate) fn lone(&self, item_len: &[u32]) -> &[u8] {
        self.lone.get_or_init(|| self.rows(item_len).lone_lengths())
    }

    /// Returns about how many bytes of memory the passages and their words take.
    pub(crate) fn bytes(&self) -> usize {
        let words: usize = match &self.words {
            Words::Sealed(sealed) => sealed.dictionaries.iter().map(Vec::len).sum(),
            Words::Growing(lists) => {
                let lists = lists.iter();
                // The entry in the map, the word, and the pairs.
                lists
                    .map(|(word, it)| 64 + word.len() + it.list.len() * 8)
                    .sum()
            }
        };
        self.len() * 9 + words
    }

    /// Adds a passage of the last item, with its words, each once.
    pub(crate) fn push<'w>(
        &mut self,
        item: u32,
        words: impl Iterator<Item = (&'w str, u32)>,
        len: u32,
    ) {
        self.lone.take();
        let row = super::number(self.len());
        let first = self.first_row(item);
        self.items.push(item);
        self.lens.push(len);
        let Words::Growing(lists) = &mut self.words else {
            return;
        };
        for (word, count) in words.filter(|(_, count)| *count > 0) {
            let growing = match lists.get_mut(word) {
                Some(growing) => growing,
                None => lists.entry(word.into()).or_default(),
            };
            match growing.list.last_mut() {
                Some((last, before)) if *last == row => *before = before.saturating_add(count),
                last => {
                    let is_new = last.is_none_or(|(last, _)| *last < first);
                    growing.items += u32::from(is_new);
                    growing.list.push((row, count));
                }
            }
        }
    }

    /// The first row of an item, or the one that it will have.
    pub(crate) fn first_row(&self, item: u32) -> u32 {
        super::number(self.items.partition_point(|other| *other < item))
    }

    /// Returns the rows of an item.
    pub(crate) fn rows_of(&self, item: u32) -> std::ops::Range<usize> {
        let start = self.first_row(item) as usize;
        let count = self.items[start..].partition_point(|other| *other == item);
        start..start + count
    }
}

impl Words {
    /// Returns where a word occurs.
    pub(crate) fn get(&self, word: &str) -> Option<Occurrences<'_>> {
        match self {
            Self::Sealed(sealed) => {
                let entry = sealed.dictionary_for(word)?.get(word)?;
                Some(Occurrences {
                    items: entry.items,
                    passages: entry.passages,
                    list: entry.list,
                })
            }
            Self::Growing(lists) => lists.get(word).map(Growing::occurrences),
        }
    }

    /// Returns the dictionaries in which sealed words with a prefix may be.
    pub(crate) fn dictionaries_for(&self, prefix: &str) -> Vec<Dictionary<'_>> {
        match self {
            Self::Sealed(sealed) => sealed.dictionaries_for(prefix),
            Self::Growing(_) => Vec::new(),
        }
    }

    /// Returns the words that are not sealed, in no order.
    pub(crate) fn growing(&self) -> impl Iterator<Item = &str> {
        let lists = match self {
            Self::Sealed(_) => None,
            Self::Growing(lists) => Some(lists),
        };
        lists.into_iter().flatten().map(|(word, _)| &**word)
    }

    /// Calls a function with every word, in no order.
    pub(crate) fn each(&self, mut visit: impl FnMut(&str, Occurrences<'_>)) {
        match self {
            Self::Sealed(sealed) => {
                for dictionary in sealed.dictionaries_for("") {
                    let mut words = dictionary.words();
                    while words.advance() {
                        let entry = words.entry();
                        let occurrences = Occurrences {
                            items: entry.items,
                            passages: entry.passages,
                            list: entry.list,
                        };
                        visit(words.word(), occurrences);
                    }
                }
            }
            Self::Growing(lists) => {
                for (word, growing) in lists {
                    visit(word, growing.occurrences());
                }
            }
        }
    }

    /// Returns dictionaries over the rows that pass; words of no such row are left out.
    ///
    /// What was sealed before is cut as it was, so that most dictionaries stay the same bytes.
    ///
    /// # Errors
    /// When one exceeds 4 GiB.
    pub(crate) fn sealed(
        &self,
        rows: Rows<'_>,
        keep: impl Fn(u32) -> bool,
    ) -> Result<Sealed, FormatError> {
        let mut sealed = Sealed::default();
        match self {
            Self::Sealed(before) => {
                for dictionary in before.dictionaries_for("") {
                    let mut words = dictionary.words();
                    let mut builder = DictionaryBuilder::new(rows);
                    while words.advance() {
                        let list = pairs(words.entry().list);
                        let list = list.iter().copied().filter(|(row, _)| keep(*row));
                        builder.push(words.word(), &list.collect::<Vec<_>>())?;
                    }
                    sealed.push(builder)?;
                }
            }
            Self::Growing(lists) => {
                let mut words: Vec<(&str, &Growing)> =
                    lists.iter().map(|(word, it)| (&**word, it)).collect();
                words.sort_unstable_by_key(|(word, _)| *word);
                let mut builder = DictionaryBuilder::new(rows);
                for (word, growing) in words {
                    let list = growing.list.iter().copied();
                    let list = list.filter(|(row, _)| keep(*row));
                    builder.push(word, &list.collect::<Vec<_>>())?;
                    if builder.bytes() >= DICTIONARY_BYTES {
                        let full = std::mem::replace(&mut builder, DictionaryBuilder::new(rows));
                        sealed.push(full)?;
                    }
                }
                sealed.push(builder)?;
            }
        }
        Ok(sealed)
    }
}

impl Sealed {
    /// Adds a dictionary whose words follow those before, unless it has none.
    fn push(&mut self, builder: DictionaryBuilder<'_>) -> Result<(), FormatError> {
        let Some(first) = builder.first() else {
            return Ok(());
        };
        self.firsts.push(first.into());
        self.dictionaries.push(builder.finish()?);
        Ok(())
    }

    /// The dictionary in which a word is, if it is sealed.
    fn dictionary_for(&self, word: &str) -> Option<Dictionary<'_>> {
        let after = self.firsts.partition_point(|first| **first <= *word);
        self.dictionary(after.checked_sub(1)?)
    }

    fn dictionaries_for(&self, prefix: &str) -> Vec<Dictionary<'_>> {
        let firsts = &self.firsts;
        let start = firsts.partition_point(|first| **first <= *prefix);
        let end = firsts.partition_point(|it| **it <= *prefix || it.starts_with(prefix));
        (start.saturating_sub(1)..end)
            .filter_map(|at| self.dictionary(at))
            .collect()
    }

    fn dictionary(&self, at: usize) -> Option<Dictionary<'_>> {
        let is_there = self.pages.has(at);
        let bytes = is_there.then(|| &self.dictionaries[at]);
        bytes.and_then(|bytes| Dictionary::open(bytes).ok())
    }
}

/// The bytes.
impl Sealed {
    pub(super) fn put_firsts(&self, out: &mut Vec<u8>) {
        put_varint(out, self.firsts.len() as u64);
        for first in &self.firsts {
            put_bytes(out, first.as_bytes());
        }
    }

    /// Reads what [`put_firsts`](Self::put_firsts) wrote; the dictionaries are to be brought.
    pub(super) fn read_firsts(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let count = reader.count()?;
        let mut firsts: Vec<Box<str>> = Vec::with_capacity(count);
        for _ in 0..count {
            firsts.push(reader.text()?.into());
        }
        if !firsts.is_sorted_by(|a, b| a < b) {
            return Err(FormatError::Corrupt("dictionaries are out of order"));
        }
        Ok(Self {
            firsts,
            dictionaries: vec![Vec::new(); count],
            pages: Pages::absent(count),
        })
    }

    /// Returns the dictionaries, as bytes.
    pub(super) fn dictionaries(&self) -> &[Vec<u8>] {
        &self.dictionaries
    }

    pub(super) fn pages(&self) -> &Pages {
        &self.pages
    }

    /// Takes the bytes of a dictionary, over so many rows.
    pub(super) fn bring(
        &mut self,
        at: usize,
        bytes: &[u8],
        rows: usize,
    ) -> Result<(), FormatError> {
        let first = self.firsts.get(at).ok_or(FormatError::Corrupt(
            "there are more dictionaries than were announced",
        ))?;
        let dictionary = Dictionary::open(bytes)?;
        let mut words = dictionary.words();
        if dictionary.rows() as usize != rows || !words.advance() || words.word() != &**first {
            return Err(FormatError::Corrupt("the words are of other passages"));
        }
        if self.pages.arrive(at) {
            self.dictionaries[at] = bytes.to_vec();
        }
        Ok(())
    }
}

impl Growing {
    fn occurrences(&self) -> Occurrences<'_> {
        Occurrences {
            items: self.items,
            passages: super::number(self.list.len()),
            list: List::Plain(&self.list),
        }
    }
}

/// Returns a list as pairs of row and count.
pub(crate) fn pairs(list: List<'_>) -> Cow<'_, [(u32, u32)]> {
    match list {
        List::Plain(pairs) => Cow::Borrowed(pairs),
        packed @ List::Packed(_) => {
            let mut pairs = Vec::with_capacity(packed.len());
            packed.cursor().take_below(u32::MAX, &mut pairs);
            Cow::Owned(pairs)
        }
    }
}
