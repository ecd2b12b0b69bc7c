//! What is searched: one project's items, words and vectors, in memory.
//!
//! An [`Index`] is made of sealed [`Segment`]s and a tail that grows record by record. A *slot* is
//! an item's number in it: a segment's items have the slots from its base on. Slots depend on the
//! order of arrival and therefore never leave this crate, nor does any result depend on them.

use std::collections::{BTreeSet, HashMap};
use std::sync::OnceLock;

use crate::bitmap::Bitmap;
use crate::codec::FormatError;
use crate::query::Filter;
use crate::record::{Attributes, ItemRef, Record};
use crate::segment::{
    BLANK, Chunk, ChunkKind, Items, Names, Occurrences, Passages, Places, Segment, Vectors, Wanted,
    absent, absent_count, bring, number, pairs, set_of, wanted,
};
use crate::vector::StoredVector;

mod having;
mod nearest;
pub(crate) mod sessions;

use nearest::Lengths;
pub(crate) use nearest::{Look, Nearness};
use sessions::Sessions;

/// One project's searchable items.
#[derive(Debug, Clone, Default)]
pub struct Index {
    applied: i64,
    sealed: i64,
    names: Names,
    /// In the order of the log.
    segments: Vec<Part>,
    tail: Part,
    /// The items that are there, by slot.
    live: Bitmap,
    counts: Counts,
    /// The items that have a vector, by its model and dimension; some of them may be gone.
    holders: Holders,
    lengths: Lengths,
    /// Made when asked for, dropped with the next change.
    sessions: OnceLock<Sessions>,
}

/// What an index counts; removed items are not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct IndexStatistics {
    /// How many items there are.
    pub items: u64,
    /// How many passages they have.
    pub passages: u64,
    /// How many words the passages have.
    pub words: u64,
    /// How many different terms occur.
    pub terms: u64,
    /// How many vectors there are, of every model.
    pub vectors: u64,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) items: u64,
    pub(crate) passages: u64,
    pub(crate) words: u64,
}

/// An item is looked up in a list in the time in which so many occurrences are read.
const LOOK_UP: usize = 32;

type Holders = HashMap<(u32, usize), Bitmap>;

/// Chunks of an attached segment that are not in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Absent {
    /// The first ordinal that the segment covers.
    pub first_seq: i64,
    /// What the chunk holds.
    pub kind: ChunkKind,
    /// Its number among those of its kind.
    pub part: u32,
}

/// A segment in its place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Part {
    /// The first ordinal that it covers.
    first_seq: i64,
    /// The slot of its first item, a multiple of 64.
    pub(crate) base: usize,
    pub(crate) items: Items,
    pub(crate) passages: Passages,
    /// By model; the owners are slots.
    pub(crate) vectors: Vec<Vectors>,
    /// Where its items are.
    places: PlacesOf,
    /// How many of its items are gone.
    gone: usize,
}

/// Where the items of a part are.
#[derive(Debug, Clone)]
enum PlacesOf {
    Sealed(Places),
    Growing(HashMap<ItemRef, u32>),
}

impl Default for PlacesOf {
    fn default() -> Self {
        Self::Growing(HashMap::new())
    }
}

/// Where a word occurs in each of an index's parts.
pub(crate) type InParts<'a> = Vec<Option<Occurrences<'a>>>;

/// Where a word occurs in the live passages of some indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Frequency {
    pub(crate) items: u64,
    pub(crate) passages: u64,
}

impl Index {
    /// Returns an empty index.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the ordinal up to which the log is applied; 0 before the first.
    #[must_use]
    pub fn applied(&self) -> i64 {
        self.applied
    }

    /// Returns the last ordinal that the attached segments cover.
    #[must_use]
    pub fn sealed(&self) -> i64 {
        self.sealed
    }

    /// Declares the log applied up to an ordinal, where the rows between left nothing behind.
    pub fn advance(&mut self, seq: i64) {
        self.applied = self.applied.max(seq);
    }

    /// Returns how many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.counts.items).unwrap_or(usize::MAX)
    }

    /// Tells whether there is nothing to find.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.items == 0
    }

    /// Tells whether an item is in the index.
    #[must_use]
    pub fn contains(&self, item: ItemRef) -> bool {
        self.slot(item).is_some()
    }

    /// Counts what is in the index; walks all of its words.
    #[must_use]
    pub fn statistics(&self) -> IndexStatistics {
        let mut words: BTreeSet<String> = BTreeSet::new();
        for part in self.parts() {
            part.passages.words.each(|word, occurrences| {
                if self.frequency_in(part, &occurrences).passages > 0 {
                    words.insert(word.to_owned());
                }
            });
        }
        let vectors = self.parts().flat_map(|part| &part.vectors);
        let is_live = |owner: Option<(u32, u32)>| {
            owner.is_some_and(|(owner, _)| self.live.contains(owner as usize))
        };
        let live = |set: &Vectors| {
            (0..set.len())
                .filter(|row| is_live(set.owner(*row)))
                .count()
        };
        IndexStatistics {
            items: self.counts.items,
            passages: self.counts.passages,
            words: self.counts.words,
            terms: words.len() as u64,
            vectors: vectors.map(|set| live(set) as u64).sum(),
        }
    }

    /// Returns about how many bytes of memory the index takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let part = |part: &Part| {
            let vectors = part.vectors.iter().map(Vectors::bytes).sum::<usize>();
            part.items.bytes() + part.passages.bytes() + vectors
        };
        self.parts().map(part).sum::<usize>() + self.live.words().len() * 8
    }

    /// Attaches the segment that follows those that are attached.
    ///
    /// It takes the place of everything that was applied one by one: what follows the segment in
    /// the log is to be applied again.
    pub fn attach(&mut self, segment: Segment) {
        self.drop_tail();
        self.sessions.take();
        self.applied = segment.last_seq();
        self.sealed = segment.last_seq();
        let names = self.names_of(&segment);
        for item in &segment.earlier.removed {
            self.remove(*item);
        }
        for (at, item) in segment.earlier.changed.iter().enumerate() {
            let attributes = segment.earlier.attributes(at, &segment.names);
            self.change(*item, &attributes);
        }
        let base = number(self.tail.base);
        let mut vectors = segment.vectors;
        for set in &mut vectors {
            set.reassign(|owner| Some(base + owner));
        }
        for mut set in segment.earlier.vectors {
            set.reassign(|owner| self.slot(segment.earlier.late[owner as usize]));
            self.retire_replaced(&set);
            vectors.push(set);
        }
        let mut items = segment.items;
        items.renumber(&names);
        items.end();
        let part = Part {
            first_seq: segment.first,
            base: self.tail.base,
            places: PlacesOf::Sealed(items.places()),
            items,
            passages: segment.passages,
            vectors,
            gone: 0,
        };
        self.adopt(part);
    }

    /// The segment's names as this index numbers them.
    fn names_of(&mut self, segment: &Segment) -> Vec<u32> {
        (0..number(segment.names.len()))
            .map(|name| self.names.number(segment.names.text(name)))
            .collect()
    }

    /// Puts a part in the place of the empty tail, which moves behind it.
    fn adopt(&mut self, mut part: Part) {
        let end = part.base + part.items.len();
        self.live.grow(end);
        for at in 0..part.items.len() {
            if part.items.item(at) == BLANK {
                part.gone += 1;
                continue;
            }
            self.live.insert(part.base + at);
            self.counts.items += 1;
            self.counts.words += u64::from(part.items.lens[at]);
        }
        let rows = part.passages.items.iter();
        let is_live = |item: &&u32| self.live.contains(part.base + **item as usize);
        self.counts.passages += rows.filter(is_live).count() as u64;
        self.tail.base = end.next_multiple_of(64);
        hold(&mut self.holders, &part.vectors);
        self.segments.push(part);
    }

    /// Makes what searches of many records that were applied go faster; changes no answer but by
    /// what codes may miss.
    pub fn settle(&mut self) {
        self.tail.vectors.iter_mut().for_each(Vectors::settle);
    }

    /// Applies a record of the log; one that was applied before changes nothing.
    ///
    /// A passage that does not follow the one before it, a vector or attributes for an item that is
    /// not there (it was removed meanwhile) are skipped.
    pub fn apply(&mut self, seq: i64, record: Record) {
        if seq <= self.applied {
            return;
        }
        self.applied = seq;
        self.sessions.take();
        match record {
            Record::Passage {
                item,
                n,
                attributes,
                terms,
                len,
                vector,
                ..
            } => {
                if let Some(at) = self.tail_item(item, n, attributes) {
                    let words = terms.iter().map(|(word, count)| (word.as_str(), *count));
                    self.tail.push_passage(at, words, len);
                    self.counts.passages += 1;
                    self.counts.words += u64::from(len);
                    if let Some(vector) = vector {
                        self.set_vector(number(self.tail.base) + at, n, &vector);
                    }
                }
            }
            Record::Vector { item, n, vector } => {
                if let Some(slot) = self.slot(item) {
                    self.set_vector(slot, n, &vector);
                }
            }
            Record::Attributes { item, attributes } => self.change(item, &attributes),
            Record::Remove { item } => self.remove(item),
        }
    }

    /// The item of the tail that a passage goes to: a new one for passage 0, the last one for its
    /// next.
    fn tail_item(&mut self, item: ItemRef, n: u32, attributes: Option<Attributes>) -> Option<u32> {
        if n == 0 {
            let kept = self.slot(item).map(|slot| self.attributes(slot));
            self.remove(item);
            let attributes = attributes.or(kept).unwrap_or_default();
            let at = self.tail.begin(item, &attributes, &mut self.names);
            let slot = self.tail.base + at as usize;
            self.live.grow(slot + 1);
            self.live.insert(slot);
            self.counts.items += 1;
            return Some(at);
        }
        let last = self.tail.items.len().checked_sub(1)?;
        let follows = self.tail.items.item(last) == item
            && self.live.contains(self.tail.base + last)
            && self.tail.passages.rows_of(number(last)).len() == n as usize;
        follows.then(|| number(last))
    }

    fn set_vector(&mut self, slot: u32, n: u32, vector: &StoredVector) {
        let key = (vector.model, vector.dimension());
        for part in self.segments.iter_mut().chain([&mut self.tail]) {
            for set in part.vectors.iter_mut().filter(|set| set.key() == key) {
                set.retire(slot, n);
            }
        }
        set_of(&mut self.tail.vectors, key.0, key.1).push(slot, n, vector);
        let held = self.holders.entry(key).or_default();
        held.grow(slot as usize + 1);
        held.insert(slot as usize);
        self.forget_length(key.0, key.1, slot);
    }

    /// Retires the rows that those of a set take the place of.
    fn retire_replaced(&mut self, set: &Vectors) {
        for (slot, n) in (0..set.len()).filter_map(|row| set.owner(row)) {
            let others = self.segments.iter_mut().flat_map(|part| &mut part.vectors);
            for other in others.filter(|other| other.key() == set.key()) {
                other.retire(slot, n);
            }
            self.forget_length(set.model, set.dimension, slot);
        }
    }

    fn change(&mut self, item: ItemRef, attributes: &Attributes) {
        let Some(slot) = self.slot(item) else {
            return;
        };
        let names = &mut self.names;
        let parts = self.segments.iter_mut().chain([&mut self.tail]);
        if let Some((part, at)) = within(parts, slot as usize) {
            part.items.change(at, attributes, names);
        }
    }

    fn remove(&mut self, item: ItemRef) {
        let Some(slot) = self.slot(item) else {
            return;
        };
        self.live.remove(slot as usize);
        self.counts.items -= 1;
        let parts = self.segments.iter_mut().chain([&mut self.tail]);
        if let Some((part, at)) = within(parts, slot as usize) {
            part.gone += 1;
            self.counts.words -= u64::from(part.items.lens[at]);
            self.counts.passages -= part.passages.rows_of(number(at)).len() as u64;
        }
    }

    /// Forgets what was applied one by one.
    fn drop_tail(&mut self) {
        for at in 0..self.tail.items.len() {
            if self.live.contains(self.tail.base + at) {
                self.remove(self.tail.items.item(at));
            }
        }
        let held = !self.tail.vectors.is_empty();
        self.tail = Part {
            base: self.tail.base,
            ..Part::default()
        };
        if held {
            self.holders.clear();
            for part in &self.segments {
                hold(&mut self.holders, &part.vectors);
            }
        }
    }
}

/// What is read when a question needs it.
impl Index {
    /// Returns the chunks that questions met and that are not in memory, of segments that were
    /// [opened](Segment::open) without them.
    ///
    /// An answer counts only if there are none behind it: [`bring`](Self::bring) them and ask again.
    #[must_use]
    pub fn wanted(&self) -> Vec<Absent> {
        self.lacking(|part| wanted(&part.passages, part.vectors.iter()))
    }

    /// Tells whether all chunks are in memory.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.absent_count() == 0
    }

    /// Returns how many chunks are not in memory.
    #[must_use]
    pub fn absent_count(&self) -> usize {
        let segments = self.segments.iter();
        segments
            .map(|part| absent_count(&part.passages, part.vectors.iter()))
            .sum()
    }

    /// Returns all chunks that are not in memory.
    #[must_use]
    pub fn absent(&self) -> Vec<Absent> {
        self.lacking(|part| absent(&part.passages, part.vectors.iter()))
    }

    fn lacking(&self, of: impl Fn(&Part) -> Vec<(ChunkKind, u32)>) -> Vec<Absent> {
        let mut all = Vec::new();
        for segment in &self.segments {
            let absent = |(kind, part)| Absent {
                first_seq: segment.first_seq,
                kind,
                part,
            };
            all.extend(of(segment).into_iter().map(absent));
        }
        all
    }

    /// Takes a chunk of the attached segment that begins with an ordinal; one that is there already
    /// changes nothing.
    ///
    /// # Errors
    /// When no attached segment begins so, and as [`Segment::open`].
    pub fn bring(&mut self, first_seq: i64, chunk: &Chunk) -> Result<(), FormatError> {
        let mut segments = self.segments.iter_mut();
        let part = segments.find(|part| part.first_seq == first_seq);
        let part = part.ok_or(FormatError::Corrupt("a chunk is of no segment"))?;
        let mut sets: Vec<&mut Vectors> = part.vectors.iter_mut().collect();
        bring(&mut part.passages, &mut sets, chunk)
    }
}

/// What searching reads.
impl Index {
    /// Returns the parts in the order of the log, the one that grows last.
    pub(crate) fn parts(&self) -> impl DoubleEndedIterator<Item = &Part> + Clone {
        self.segments.iter().chain([&self.tail])
    }

    /// Returns a number above every slot.
    pub(crate) fn slots(&self) -> usize {
        self.tail.base + self.tail.items.len()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// Returns the part that a slot is in, and its number there.
    pub(crate) fn place(&self, slot: usize) -> (&Part, usize) {
        within(self.parts(), slot).unwrap_or((&self.tail, 0))
    }

    pub(crate) fn item(&self, slot: usize) -> ItemRef {
        let (part, at) = self.place(slot);
        part.items.item(at)
    }

    pub(crate) fn uid(&self, slot: usize) -> [u8; 16] {
        let (part, at) = self.place(slot);
        part.items.uid(at)
    }

    /// When an item happened, in microseconds since 1970 UTC.
    pub(crate) fn time(&self, slot: usize) -> i64 {
        let (part, at) = self.place(slot);
        part.items.time(at)
    }

    /// The place of an item within its session, if it was told.
    pub(crate) fn position(&self, slot: usize) -> Option<i64> {
        let (part, at) = self.place(slot);
        part.items.position(at)
    }

    /// How useful an item has proved, in thousandths.
    pub(crate) fn usefulness(&self, slot: usize) -> u16 {
        let (part, at) = self.place(slot);
        part.items.usefulness(at)
    }

    /// The numbers of an item's labels.
    fn labels(&self, slot: usize) -> &[u32] {
        let (part, at) = self.place(slot);
        part.items.labels(at)
    }

    /// The turns of conversations.
    pub(crate) fn sessions(&self) -> &Sessions {
        self.sessions.get_or_init(|| Sessions::of(self))
    }

    /// Returns the slot of an item that is there.
    fn slot(&self, item: ItemRef) -> Option<u32> {
        let slots = self.parts().rev().filter_map(|part| part.find(item));
        let mut live = slots.filter(|slot| self.live.contains(*slot));
        live.next().map(number)
    }

    fn attributes(&self, slot: u32) -> Attributes {
        let (part, at) = self.place(slot as usize);
        part.items.attributes(at, &self.names)
    }

    /// Returns the vectors of a model, a set for each part that has any, and for late ones.
    pub(crate) fn vectors(&self, model: u32, dimension: usize) -> impl Iterator<Item = &Vectors> {
        let sets = self.parts().flat_map(|part| &part.vectors);
        sets.filter(move |set| set.key() == (model, dimension))
    }

    /// Returns the items that a filter lets through, by slot.
    pub(crate) fn passing(&self, filter: &Filter) -> Bitmap {
        let wanted = Wanted::new(filter, &self.names);
        let mut passing = self.live.clone();
        if !wanted.is_everything() {
            for part in self.parts() {
                part.items.filter(&wanted, part.base, &mut passing);
            }
        }
        passing
    }

    /// Returns where a word occurs.
    pub(crate) fn occurrences(&self, word: &str) -> InParts<'_> {
        let parts = self.parts();
        parts.map(|part| part.passages.words.get(word)).collect()
    }

    /// Counts the live passages and items that have a word.
    pub(crate) fn frequency(&self, word: &str) -> Frequency {
        self.frequency_of(&self.occurrences(word))
    }

    /// Counts the live passages and items that have the word of which all occurrences are given.
    pub(crate) fn frequency_of(&self, occurrences: &[Option<Occurrences<'_>>]) -> Frequency {
        let mut total = Frequency::default();
        for (part, occurrences) in self.parts().zip(occurrences) {
            if let Some(occurrences) = occurrences {
                let frequency = self.frequency_in(part, occurrences);
                total.items += frequency.items;
                total.passages += frequency.passages;
            }
        }
        total
    }

    fn frequency_in(&self, part: &Part, occurrences: &Occurrences<'_>) -> Frequency {
        if part.gone == 0 {
            return Frequency {
                items: u64::from(occurrences.items),
                passages: u64::from(occurrences.passages),
            };
        }
        if part.gone < occurrences.list.len() / LOOK_UP {
            return self.frequency_without_gone(part, occurrences);
        }
        let mut frequency = Frequency::default();
        let mut before = None;
        for (row, _) in pairs(occurrences.list).iter() {
            let item = part.passages.items[*row as usize];
            if self.live.contains(part.base + item as usize) {
                frequency.passages += 1;
                frequency.items += u64::from(before != Some(item));
                before = Some(item);
            }
        }
        frequency
    }

    /// All occurrences but those in items that are gone, each of which is looked up.
    fn frequency_without_gone(&self, part: &Part, occurrences: &Occurrences<'_>) -> Frequency {
        let mut frequency = Frequency {
            items: u64::from(occurrences.items),
            passages: u64::from(occurrences.passages),
        };
        let mut cursor = occurrences.list.cursor();
        for item in self.live.missing(part.base, part.items.len()) {
            let rows = part.passages.rows_of(number(item));
            let mut row = cursor.seek(number(rows.start));
            let has_word = u64::from(rows.contains(&(row as usize)));
            frequency.items = frequency.items.saturating_sub(has_word);
            while rows.contains(&(row as usize)) {
                frequency.passages = frequency.passages.saturating_sub(1);
                cursor.advance();
                row = cursor.row();
            }
        }
        frequency
    }
}

impl Part {
    fn begin(&mut self, item: ItemRef, attributes: &Attributes, names: &mut Names) -> u32 {
        let at = number(self.items.len());
        self.items.push(item, attributes, names);
        if let PlacesOf::Growing(places) = &mut self.places {
            places.insert(item, at);
        }
        at
    }

    fn push_passage<'w>(
        &mut self,
        item: u32,
        words: impl Iterator<Item = (&'w str, u32)>,
        len: u32,
    ) {
        self.passages.push(item, words, len);
        let whole = &mut self.items.lens[item as usize];
        *whole = whole.saturating_add(len);
    }

    /// Returns the slot of an item, gone or not.
    fn find(&self, item: ItemRef) -> Option<usize> {
        let at = match &self.places {
            PlacesOf::Sealed(places) => self.items.find(item, places)?,
            PlacesOf::Growing(places) => *places.get(&item)? as usize,
        };
        Some(self.base + at)
    }
}

/// Notes whose vectors some sets hold.
fn hold(holders: &mut Holders, sets: &[Vectors]) {
    for set in sets {
        let held = holders.entry(set.key()).or_default();
        for (slot, _) in (0..set.len()).filter_map(|row| set.owner(row)) {
            held.grow(slot as usize + 1);
            held.insert(slot as usize);
        }
    }
}

/// The part that a slot is in, and its number there.
fn within<T>(parts: impl Iterator<Item = T>, slot: usize) -> Option<(T, usize)>
where
    T: std::borrow::Borrow<Part>,
{
    let mut found = None;
    for part in parts {
        let base = part.borrow().base;
        if base > slot {
            break;
        }
        found = Some((part, slot - base));
    }
    found
}
