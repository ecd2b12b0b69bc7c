//! The passages of a segment and the words they have.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use crate::codec::FormatError;
use crate::postings::{Dictionary, DictionaryBuilder, List, Rows};

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
    /// As the bytes of a [`Dictionary`].
    Sealed(Vec<u8>),
    /// As lists that grow.
    Growing(HashMap<Box<str>, Growing>),
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
        let words = match &self.words {
            Words::Sealed(bytes) => bytes.len(),
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
            Self::Sealed(bytes) => {
                let entry = Dictionary::open(bytes).ok()?.get(word)?;
                Some(Occurrences {
                    items: entry.items,
                    passages: entry.passages,
                    list: entry.list,
                })
            }
            Self::Growing(lists) => lists.get(word).map(Growing::occurrences),
        }
    }

    /// Returns the dictionary of words that are sealed.
    pub(crate) fn dictionary(&self) -> Option<Dictionary<'_>> {
        match self {
            Self::Sealed(bytes) => Dictionary::open(bytes).ok(),
            Self::Growing(_) => None,
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
            Self::Sealed(bytes) => {
                let Ok(dictionary) = Dictionary::open(bytes) else {
                    return;
                };
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
            Self::Growing(lists) => {
                for (word, growing) in lists {
                    visit(word, growing.occurrences());
                }
            }
        }
    }

    /// Returns the bytes of a dictionary over the rows that pass; words of no such row are left
    /// out.
    ///
    /// # Errors
    /// When they exceed 4 GiB.
    pub(crate) fn sealed(
        &self,
        rows: Rows<'_>,
        keep: impl Fn(u32) -> bool,
    ) -> Result<Vec<u8>, FormatError> {
        let mut lists: BTreeMap<Box<str>, Vec<(u32, u32)>> = BTreeMap::new();
        self.each(|word, occurrences| {
            let list = pairs(occurrences.list);
            let kept: Vec<_> = list.iter().copied().filter(|(row, _)| keep(*row)).collect();
            if !kept.is_empty() {
                lists.insert(word.into(), kept);
            }
        });
        let mut builder = DictionaryBuilder::new(rows);
        for (word, list) in &lists {
            builder.push(word, list)?;
        }
        builder.finish()
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
