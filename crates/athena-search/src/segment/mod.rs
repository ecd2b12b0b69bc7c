//! A stretch of the log as columns: items, passages, words and vectors.
//!
//! A [`Segment`] is made of the records of a stretch ([`Segment::build`]), holds what they come to,
//! and is stored as [`Chunk`]s that are read back without looking at single rows. It never
//! changes, but for what [`Segment::blank`] and [`Segment::drop_vectors`] take out for good. What a stretch did to items from
//! before it (other attributes, late vectors, their end) is kept beside, and takes effect when the
//! segment is attached to an [`Index`](crate::Index).

mod chunk;
mod draft;
mod items;
mod names;
mod pages;
mod vectors;
mod words;

use std::collections::{BTreeSet, HashSet};

use crate::codec::{FormatError, Reader, put_bytes, put_varint};
use crate::record::{Attributes, ItemRef, Kind, Record};
pub(crate) use chunk::VERSION;
pub use chunk::{CHUNK_BYTES, Chunk, ChunkKind};
use chunk::{framed, joined, opened, put_column, read_column, read_column_of, split};
use draft::Draft;
pub(crate) use items::{BLANK, Items, Places, Wanted};
pub(crate) use names::Names;
use pages::Pages;
pub(crate) use vectors::Vectors;
use words::Sealed;
pub(crate) use words::{Occurrences, Passages, Words, pairs};

/// What a stretch of the log comes to.
#[derive(Debug, Clone, Default)]
pub struct Segment {
    pub(crate) first: i64,
    last: i64,
    /// States and labels; the items' numbers are of these.
    pub(crate) names: Names,
    pub(crate) items: Items,
    pub(crate) passages: Passages,
    /// Vectors of the items, by model.
    pub(crate) vectors: Vec<Vectors>,
    /// What happened to items from before.
    pub(crate) earlier: Earlier,
}

/// What a stretch did to items from before it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Earlier {
    /// Items that are gone, or begun anew in the stretch.
    pub(crate) removed: Vec<ItemRef>,
    /// Items with other attributes, with the numbers of these in `attributes`.
    pub(crate) changed: Vec<ItemRef>,
    attributes: Items,
    /// Items that vectors came for, ...
    pub(crate) late: Vec<ItemRef>,
    /// ... whose owners are numbers in `late`.
    pub(crate) vectors: Vec<Vectors>,
}

impl Earlier {
    /// Returns the new attributes of the item with a number in `changed`.
    pub(crate) fn attributes(&self, at: usize, names: &Names) -> Attributes {
        self.attributes.attributes(at, names)
    }
}

/// Returns a count as a number within a segment or an index.
pub(crate) fn number(count: usize) -> u32 {
    u32::try_from(count).expect("an index in memory has fewer than 2^32 rows")
}

impl Segment {
    /// Returns what records come to, whose ordinals are `first` to `last`.
    ///
    /// The passages of an item must follow one another; one that does not is left out.
    ///
    /// # Errors
    /// When the words exceed 4 GiB.
    pub fn build(
        first: i64,
        last: i64,
        records: impl IntoIterator<Item = Record>,
    ) -> Result<Self, FormatError> {
        let draft = Draft::of(records);
        let mut segment = Self {
            first,
            last,
            ..Self::default()
        };
        for begun in &draft.items {
            let item = segment.begin(begun.item, &begun.attributes);
            for passage in &begun.passages {
                let words = passage
                    .terms
                    .iter()
                    .map(|(word, count)| (word.as_str(), *count));
                segment.push_passage(item, words, passage.len);
            }
            for ((model, dimension, n), vector) in &begun.vectors {
                set_of(&mut segment.vectors, *model, *dimension).push(item, *n, vector);
            }
        }
        segment.earlier.removed = draft.removed.into_iter().collect();
        for (item, attributes) in draft.changed {
            segment.earlier.changed.push(item);
            let held = &mut segment.earlier.attributes;
            held.push(item, &attributes, &mut segment.names);
        }
        for ((item, model, dimension, n), vector) in draft.late {
            let earlier = &mut segment.earlier;
            if earlier.late.last() != Some(&item) {
                earlier.late.push(item);
            }
            let owner = number(earlier.late.len() - 1);
            set_of(&mut earlier.vectors, model, dimension).push(owner, n, &vector);
        }
        segment.seal_words(|_| true)?;
        let late = segment.earlier.vectors.iter_mut();
        segment
            .vectors
            .iter_mut()
            .chain(late)
            .for_each(Vectors::seal);
        Ok(segment)
    }

    /// Returns what segments come to that follow one another.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn merge(segments: &[Self]) -> Result<Self, FormatError> {
        let first = segments.first().map_or(1, Self::first_seq);
        let last = segments.last().map_or(0, Self::last_seq);
        Self::build(first, last, segments.iter().flat_map(Self::records))
    }

    /// Returns the first ordinal that the segment covers.
    #[must_use]
    pub fn first_seq(&self) -> i64 {
        self.first
    }

    /// Returns the last ordinal that the segment covers.
    #[must_use]
    pub fn last_seq(&self) -> i64 {
        self.last
    }

    /// Returns how many passages there are.
    #[must_use]
    pub fn passages(&self) -> usize {
        self.passages.len()
    }

    /// Returns the items that were begun in the stretch.
    pub fn items(&self) -> impl Iterator<Item = ItemRef> + '_ {
        let items = (0..self.items.len()).map(|at| self.items.item(at));
        items.filter(|item| *item != BLANK)
    }

    /// Returns every item that the segment says something about.
    pub fn mentioned(&self) -> impl Iterator<Item = ItemRef> + '_ {
        let earlier = self.earlier.changed.iter().chain(&self.earlier.late);
        self.items().chain(earlier.copied())
    }

    /// Returns the records that come to this segment.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let mut records: Vec<Record> = self
            .earlier
            .removed
            .iter()
            .map(|item| Record::Remove { item: *item })
            .collect();
        for (at, item) in self.earlier.changed.iter().enumerate() {
            records.push(Record::Attributes {
                item: *item,
                attributes: self.earlier.attributes(at, &self.names),
            });
        }
        for vectors in &self.earlier.vectors {
            let item = |owner| self.earlier.late[owner as usize];
            records.extend(vector_records(vectors, item));
        }
        records.extend(self.passage_records());
        for vectors in &self.vectors {
            let item = |owner| self.items.item(owner as usize);
            records.extend(vector_records(vectors, item));
        }
        records
    }

    fn passage_records(&self) -> Vec<Record> {
        let mut terms: Vec<Vec<(String, u32)>> = vec![Vec::new(); self.passages.len()];
        self.passages.words.each(|word, occurrences| {
            for (row, count) in pairs(occurrences.list).iter() {
                terms[*row as usize].push((word.to_owned(), *count));
            }
        });
        let mut records = Vec::with_capacity(terms.len());
        let mut terms = terms.into_iter();
        for at in 0..self.items.len() {
            let rows = self.passages.rows_of(number(at));
            let of = number(rows.len());
            for (n, row) in (0..).zip(rows) {
                let terms = terms.next().unwrap_or_default();
                if self.items.item(at) != BLANK {
                    records.push(Record::Passage {
                        item: self.items.item(at),
                        n,
                        of,
                        attributes: (n == 0).then(|| self.items.attributes(at, &self.names)),
                        terms,
                        len: self.passages.lens[row],
                        vector: None,
                    });
                }
            }
        }
        records
    }

    /// Takes out for good what the segment says about items; returns how many records that were.
    ///
    /// What is left stays where it is, so that few of the chunks become others.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn blank(&mut self, gone: &HashSet<ItemRef>) -> Result<usize, FormatError> {
        let nothing = self.names.number("");
        let mut blanked = HashSet::new();
        let mut count = 0;
        for at in 0..self.items.len() {
            if gone.contains(&self.items.item(at)) {
                let item = number(at);
                let rows = self.passages.rows_of(item);
                count += rows.len();
                self.passages.lens[rows].fill(0);
                self.vectors.iter_mut().for_each(|set| set.blank(item));
                self.items.blank(at, nothing);
                blanked.insert(item);
            }
        }
        count += self.blank_earlier(gone, nothing);
        if count > 0 {
            let items = self.passages.items.clone();
            self.seal_words(|row| !blanked.contains(&items[row as usize]))?;
            self.forget_names();
        }
        Ok(count)
    }

    /// Takes out for good the vectors of models; returns how many that were.
    pub fn drop_vectors(&mut self, models: &HashSet<u32>) -> usize {
        let mut count = 0;
        for sets in [&mut self.vectors, &mut self.earlier.vectors] {
            sets.retain(|set| {
                let goes = models.contains(&set.model);
                count += if goes { set.len() } else { 0 };
                !goes
            });
        }
        count
    }

    fn blank_earlier(&mut self, gone: &HashSet<ItemRef>, nothing: u32) -> usize {
        let mut count = 0;
        let earlier = &mut self.earlier;
        for (at, item) in earlier.changed.iter_mut().enumerate() {
            if gone.contains(item) {
                earlier.attributes.blank(at, nothing);
                *item = BLANK;
                count += 1;
            }
        }
        for (owner, item) in (0..).zip(&mut earlier.late) {
            if gone.contains(item) {
                earlier.vectors.iter_mut().for_each(|set| set.blank(owner));
                *item = BLANK;
                count += 1;
            }
        }
        count
    }

    /// Drops the names that nothing has any more.
    fn forget_names(&mut self) {
        let mut kept = Names::default();
        let used = self
            .items
            .numbers()
            .chain(self.earlier.attributes.numbers());
        let used: HashSet<u32> = used.collect();
        let numbers: Vec<u32> = (0..number(self.names.len()))
            .map(|old| match used.contains(&old) {
                true => kept.number(self.names.text(old)),
                false => 0,
            })
            .collect();
        self.items.renumber(&numbers);
        self.earlier.attributes.renumber(&numbers);
        self.names = kept;
    }

    /// Adds an item without passages; returns its number.
    pub(crate) fn begin(&mut self, item: ItemRef, attributes: &Attributes) -> u32 {
        self.items.push(item, attributes, &mut self.names);
        number(self.items.len() - 1)
    }

    /// Adds a passage of the last item.
    pub(crate) fn push_passage<'w>(
        &mut self,
        item: u32,
        words: impl Iterator<Item = (&'w str, u32)>,
        len: u32,
    ) {
        self.passages.push(item, words, len);
        let whole = &mut self.items.lens[item as usize];
        *whole = whole.saturating_add(len);
    }

    /// Makes a dictionary of the words of the rows that stay.
    fn seal_words(&mut self, keep: impl Fn(u32) -> bool) -> Result<(), FormatError> {
        let rows = self.passages.rows(&self.items.lens);
        self.passages.words = Words::Sealed(self.passages.words.sealed(rows, keep)?);
        Ok(())
    }
}

/// Returns the vectors of a model, which are made if there are none.
pub(crate) fn set_of(sets: &mut Vec<Vectors>, model: u32, dimension: usize) -> &mut Vectors {
    let known = sets
        .iter()
        .position(|set| (set.model, set.dimension) == (model, dimension));
    let at = known.unwrap_or_else(|| {
        sets.push(Vectors::new(model, dimension));
        sets.len() - 1
    });
    &mut sets[at]
}

fn vector_records(vectors: &Vectors, item: impl Fn(u32) -> ItemRef) -> Vec<Record> {
    let record = |row: usize| {
        let (owner, n) = vectors.owner(row)?;
        let vector = vectors.vector(row);
        let item = item(owner);
        Some(Record::Vector { item, n, vector })
    };
    (0..vectors.len()).filter_map(record).collect()
}

/// The bytes.
impl Segment {
    /// Returns the segment as chunks.
    #[must_use]
    pub fn chunks(&self) -> Vec<Chunk> {
        let mut items = Vec::new();
        put_varint(&mut items, u64::from(crate::ANALYZER_VERSION));
        put_varint(&mut items, self.names.len() as u64);
        for name in 0..number(self.names.len()) {
            put_bytes(&mut items, self.names.text(name).as_bytes());
        }
        self.items.put(&mut items);
        put_refs(&mut items, &self.earlier.removed);
        put_refs(&mut items, &self.earlier.changed);
        self.earlier.attributes.put(&mut items);
        put_refs(&mut items, &self.earlier.late);

        let mut passages = Vec::new();
        put_column(&mut passages, &self.passages.items);
        put_column(&mut passages, &self.passages.lens);

        let mut vectors = Vec::new();
        let mut codes = Vec::new();
        for sets in [&self.vectors, &self.earlier.vectors] {
            put_varint(&mut vectors, sets.len() as u64);
            for set in sets {
                set.put_head(&mut vectors);
                set.put_codes(&mut codes);
            }
        }
        let bodies = [
            split(ChunkKind::Items, &items),
            split(ChunkKind::Passages, &passages),
            split(ChunkKind::Vectors, &vectors),
            split(ChunkKind::Codes, &codes),
        ];
        let mut chunks: Vec<Chunk> = bodies.into_iter().flatten().collect();
        if let Words::Sealed(words) = &self.passages.words {
            let mut directory = Vec::new();
            words.put_firsts(&mut directory);
            chunks.extend(split(ChunkKind::Directory, &directory));
            let dictionaries = (0..).zip(words.dictionaries());
            chunks.extend(dictionaries.map(|(part, it)| framed(ChunkKind::Words, part, it)));
        }
        let sets = self.vectors.iter().chain(&self.earlier.vectors);
        let pages = (0..).zip(sets.flat_map(Vectors::put_pages));
        chunks.extend(pages.map(|(part, it)| framed(ChunkKind::Components, part, &it)));
        chunks
    }

    /// Reads a segment back from all of its chunks, in any order.
    ///
    /// # Errors
    /// When a chunk is missing, of another version, fails its checksum, or contradicts another.
    pub fn from_chunks(first: i64, last: i64, chunks: Vec<Chunk>) -> Result<Self, FormatError> {
        let segment = Self::open(first, last, chunks)?;
        let sets = segment.vectors.iter().chain(&segment.earlier.vectors);
        match absent_count(&segment.passages, sets) {
            0 => Ok(segment),
            _ => Err(FormatError::Corrupt("a chunk is missing")),
        }
    }

    /// Reads a segment back from its chunks of the kinds [`ChunkKind::FIRST`] and any others, in any
    /// order. What is missing is brought to the [index](crate::Index) that the segment is attached to;
    /// nothing else may be done with it.
    ///
    /// # Errors
    /// As [`from_chunks`](Self::from_chunks).
    pub fn open(first: i64, last: i64, mut chunks: Vec<Chunk>) -> Result<Self, FormatError> {
        chunks.sort_unstable_by_key(|chunk| (chunk.kind, chunk.part));
        let mut segment = Self {
            first,
            last,
            ..Self::default()
        };
        segment.read_items(&joined(&chunks, ChunkKind::Items)?)?;
        segment.read_passages(&joined(&chunks, ChunkKind::Passages)?)?;
        segment.read_directory(&joined(&chunks, ChunkKind::Directory)?)?;
        segment.read_vectors(
            &joined(&chunks, ChunkKind::Vectors)?,
            &joined(&chunks, ChunkKind::Codes)?,
        )?;
        let sets = segment
            .vectors
            .iter_mut()
            .chain(&mut segment.earlier.vectors);
        let mut sets: Vec<&mut Vectors> = sets.collect();
        for chunk in &chunks {
            if ChunkKind::LATER.contains(&chunk.kind) {
                bring(&mut segment.passages, &mut sets, chunk)?;
            }
        }
        Ok(segment)
    }

    fn read_directory(&mut self, body: &[u8]) -> Result<(), FormatError> {
        let reader = &mut Reader::new(body);
        self.passages.words = Words::Sealed(Sealed::read_firsts(reader)?);
        reader.end()
    }

    fn read_items(&mut self, body: &[u8]) -> Result<(), FormatError> {
        let reader = &mut Reader::new(body);
        let analyzer = reader.number()?;
        if analyzer != crate::ANALYZER_VERSION {
            return Err(FormatError::Analyzer {
                found: analyzer,
                known: crate::ANALYZER_VERSION,
            });
        }
        for _ in 0..reader.count()? {
            self.names.number(reader.text()?);
        }
        let names = self.names.len();
        self.items = Items::read(reader, names)?;
        self.earlier.removed = read_refs(reader)?;
        self.earlier.changed = read_refs(reader)?;
        self.earlier.attributes = Items::read(reader, names)?;
        self.earlier.late = read_refs(reader)?;
        if self.earlier.attributes.len() != self.earlier.changed.len() {
            return Err(FormatError::Corrupt("columns differ in length"));
        }
        reader.end()
    }

    fn read_passages(&mut self, body: &[u8]) -> Result<(), FormatError> {
        let reader = &mut Reader::new(body);
        self.passages.items = read_column(reader)?;
        self.passages.lens = read_column_of(reader, self.passages.items.len())?;
        self.passages.rows(&self.items.lens).check()?;
        reader.end()
    }

    fn read_vectors(&mut self, heads: &[u8], codes: &[u8]) -> Result<(), FormatError> {
        let (heads, codes) = (&mut Reader::new(heads), &mut Reader::new(codes));
        let owners = [self.items.len(), self.earlier.late.len()];
        let sets = [&mut self.vectors, &mut self.earlier.vectors];
        for (sets, owners) in sets.into_iter().zip(owners) {
            for _ in 0..heads.count()? {
                let mut set = Vectors::read(heads, owners)?;
                set.read_codes(codes)?;
                sets.push(set);
            }
        }
        heads.end()?;
        codes.end()
    }
}

/// Takes one of the chunks that are brought one by one; the sets of vectors are those of the segment,
/// in its order.
pub(crate) fn bring(
    passages: &mut Passages,
    sets: &mut [&mut Vectors],
    chunk: &Chunk,
) -> Result<(), FormatError> {
    let bytes = opened(&chunk.bytes)?;
    let mut part = chunk.part as usize;
    match chunk.kind {
        ChunkKind::Words => {
            let rows = passages.len();
            match &mut passages.words {
                Words::Sealed(sealed) => sealed.bring(part, bytes, rows),
                Words::Growing(_) => Ok(()),
            }
        }
        ChunkKind::Components => {
            for set in sets {
                let pages = set.page_count();
                if part < pages {
                    return set.bring(part, bytes);
                }
                part -= pages;
            }
            Err(FormatError::Corrupt("components are of no vector"))
        }
        _ => Err(FormatError::Corrupt(
            "a chunk is of a kind that is read at first",
        )),
    }
}

/// Returns the chunks that are not there, of those that are brought one by one.
pub(crate) fn absent<'a>(
    passages: &Passages,
    sets: impl Iterator<Item = &'a Vectors>,
) -> Vec<(ChunkKind, u32)> {
    lacking(passages, sets, Pages::missing)
}

/// Returns the chunks that questions met and that are not there.
pub(crate) fn wanted<'a>(
    passages: &Passages,
    sets: impl Iterator<Item = &'a Vectors>,
) -> Vec<(ChunkKind, u32)> {
    lacking(passages, sets, Pages::wanted)
}

/// Returns how many chunks are not there.
pub(crate) fn absent_count<'a>(
    passages: &Passages,
    sets: impl Iterator<Item = &'a Vectors>,
) -> usize {
    let words = match &passages.words {
        Words::Sealed(sealed) => sealed.pages().absent_count(),
        Words::Growing(_) => 0,
    };
    words + sets.map(|set| set.pages().absent_count()).sum::<usize>()
}

fn lacking<'a>(
    passages: &Passages,
    sets: impl Iterator<Item = &'a Vectors>,
    of: fn(&Pages) -> BTreeSet<u32>,
) -> Vec<(ChunkKind, u32)> {
    let mut lacking = Vec::new();
    if let Words::Sealed(sealed) = &passages.words {
        lacking.extend(
            of(sealed.pages())
                .into_iter()
                .map(|at| (ChunkKind::Words, at)),
        );
    }
    let mut first = 0;
    for set in sets {
        let pages = of(set.pages()).into_iter();
        lacking.extend(pages.map(|page| (ChunkKind::Components, first + page)));
        first += number(set.page_count());
    }
    lacking
}

fn put_refs(out: &mut Vec<u8>, items: &[ItemRef]) {
    let kinds: Vec<u8> = items.iter().map(|item| item.kind.0).collect();
    let ids: Vec<i64> = items.iter().map(|item| item.id).collect();
    put_column(out, &kinds);
    put_column(out, &ids);
}

fn read_refs(reader: &mut Reader<'_>) -> Result<Vec<ItemRef>, FormatError> {
    let kinds: Vec<u8> = read_column(reader)?;
    let ids: Vec<i64> = read_column_of(reader, kinds.len())?;
    let pairs = kinds.into_iter().zip(ids);
    Ok(pairs
        .map(|(kind, id)| ItemRef {
            kind: Kind(kind),
            id,
        })
        .collect())
}
