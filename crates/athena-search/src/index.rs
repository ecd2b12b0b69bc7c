//! What is searched: one project's items, postings and vectors, in memory.
//!
//! An [`Index`] is fed with the records of a log, in order, and forgets nothing else than what the
//! log says. Slots (the numbers of items, passages, terms and vector rows in here) depend on the
//! order of arrival and therefore never leave this crate, nor does any result depend on them.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::record::{Attributes, ItemRef, Record};
use crate::vector::StoredVector;

pub(crate) mod sessions;
pub(crate) mod vectors;

use sessions::Sessions;
use vectors::Vectors;

/// The item slot of a passage or vector row whose item is gone.
pub(crate) const GONE: u32 = u32::MAX;

/// One project's searchable items.
#[derive(Debug, Clone, Default)]
pub struct Index {
    applied: i64,
    slots: HashMap<ItemRef, u32>,
    pub(crate) items: Vec<Item>,
    pub(crate) passages: Vec<Passage>,
    terms: HashMap<Box<str>, u32>,
    postings: Vec<Postings>,
    names: HashMap<Box<str>, u32>,
    /// Vectors by model and dimension: one cannot be compared with the other.
    vectors: Vec<((u32, usize), Vectors)>,
    live: Counts,
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
struct Counts {
    items: u64,
    passages: u64,
    words: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) item: ItemRef,
    pub(crate) uid: [u8; 16],
    pub(crate) state: u32,
    pub(crate) labels: Box<[u32]>,
    pub(crate) time: i64,
    pub(crate) position: Option<i64>,
    /// In thousandths.
    pub(crate) usefulness: u16,
    pub(crate) live: bool,
    /// The words of the whole text.
    pub(crate) len: u32,
    /// Passage slots, ascending.
    pub(crate) passages: Vec<u32>,
    /// Each term with the number of passages that have it, ascending by term.
    terms: Vec<(u32, u32)>,
    /// Vector rows, ascending by set and passage number.
    pub(crate) vectors: Vec<VectorPlace>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct VectorPlace {
    pub(crate) set: u32,
    pub(crate) n: u32,
    pub(crate) row: u32,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Passage {
    pub(crate) item: u32,
    pub(crate) n: u32,
    pub(crate) len: u32,
}

/// Where a term occurs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Postings {
    /// How many live items have it.
    pub(crate) items: u32,
    /// How many live passages have it.
    pub(crate) passages: u32,
    /// Passage slot, ascending, and how often; may name passages that are gone.
    pub(crate) list: Vec<(u32, u32)>,
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

    /// Declares the log applied up to an ordinal, where the rows between left nothing behind.
    pub fn advance(&mut self, seq: i64) {
        self.applied = self.applied.max(seq);
    }

    /// Returns how many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.live.items).unwrap_or(usize::MAX)
    }

    /// Tells whether there is nothing to find.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live.items == 0
    }

    /// Tells whether an item is in the index.
    #[must_use]
    pub fn contains(&self, item: ItemRef) -> bool {
        self.slots.contains_key(&item)
    }

    /// Counts what is in the index.
    #[must_use]
    pub fn statistics(&self) -> IndexStatistics {
        let used = |postings: &&Postings| postings.passages > 0;
        IndexStatistics {
            items: self.live.items,
            passages: self.live.passages,
            words: self.live.words,
            terms: self.postings.iter().filter(used).count() as u64,
            vectors: self
                .vectors
                .iter()
                .map(|(_, vectors)| vectors.live() as u64)
                .sum(),
        }
    }

    /// Applies a record of the log; one that was applied before changes nothing.
    ///
    /// A passage beyond the first, a vector or attributes for an item that is not there (it was
    /// removed meanwhile) are skipped.
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
                if let Some(slot) = self.slot_for_passage(item, n, attributes) {
                    self.add_passage(slot, n, &terms, len);
                    if let Some(vector) = vector {
                        self.set_vector(slot, n, &vector);
                    }
                }
            }
            Record::Vector { item, n, vector } => {
                if let Some(&slot) = self.slots.get(&item) {
                    self.set_vector(slot, n, &vector);
                }
            }
            Record::Attributes { item, attributes } => {
                if let Some(&slot) = self.slots.get(&item) {
                    self.set_attributes(slot, attributes);
                }
            }
            Record::Remove { item } => self.remove(item),
        }
        self.compact_if_worthwhile();
    }

    /// The slot that a passage goes to: a new one for passage 0, the item's for a new later one.
    fn slot_for_passage(
        &mut self,
        item: ItemRef,
        n: u32,
        attributes: Option<Attributes>,
    ) -> Option<u32> {
        let known = self.slots.get(&item).copied();
        if n > 0 {
            let slot = known?;
            let passages = &self.items[slot as usize].passages;
            let has = |slot: &u32| self.passages[*slot as usize].n == n;
            return (!passages.iter().any(has)).then_some(slot);
        }
        let kept = known.map(|slot| self.items[slot as usize].clone());
        self.remove(item);
        let slot = self.add_item(item);
        if let Some(attributes) = attributes {
            self.set_attributes(slot, attributes);
        } else if let Some(old) = kept {
            let new = &mut self.items[slot as usize];
            (new.uid, new.state, new.labels) = (old.uid, old.state, old.labels);
            (new.time, new.position, new.usefulness) = (old.time, old.position, old.usefulness);
        }
        Some(slot)
    }

    fn add_item(&mut self, item: ItemRef) -> u32 {
        let slot = slot(self.items.len());
        let state = self.name("");
        self.items.push(Item {
            item,
            uid: [0; 16],
            state,
            labels: Box::default(),
            time: 0,
            position: None,
            usefulness: 0,
            live: true,
            len: 0,
            passages: Vec::new(),
            terms: Vec::new(),
            vectors: Vec::new(),
        });
        self.slots.insert(item, slot);
        self.live.items += 1;
        slot
    }

    fn set_attributes(&mut self, slot: u32, attributes: Attributes) {
        let state = self.name(&attributes.state);
        let mut labels: Vec<u32> = attributes.labels.iter().map(|it| self.name(it)).collect();
        labels.sort_unstable();
        labels.dedup();
        let item = &mut self.items[slot as usize];
        item.uid = attributes.uid;
        item.state = state;
        item.labels = labels.into();
        item.time = attributes.time;
        item.position = attributes.position;
        item.usefulness = attributes.usefulness;
    }

    fn add_passage(&mut self, item_slot: u32, n: u32, terms: &[(String, u32)], len: u32) {
        let passage = slot(self.passages.len());
        self.passages.push(Passage {
            item: item_slot,
            n,
            len,
        });
        let mut ids: Vec<(u32, u32)> = terms.iter().map(|(t, tf)| (self.term(t), *tf)).collect();
        ids.sort_unstable();
        ids.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            kept.1 = kept.1.saturating_add(u32::from(same) * next.1);
            same
        });
        for &(term, tf) in &ids {
            let postings = &mut self.postings[term as usize];
            postings.list.push((passage, tf));
            postings.passages += 1;
        }
        let item = &mut self.items[item_slot as usize];
        item.passages.push(passage);
        item.len = item.len.saturating_add(len);
        let (merged, new) = merge_counts(&item.terms, &ids);
        item.terms = merged;
        for term in new {
            self.postings[term as usize].items += 1;
        }
        self.live.passages += 1;
        self.live.words += u64::from(len);
    }

    fn set_vector(&mut self, item_slot: u32, n: u32, vector: &StoredVector) {
        let key = (vector.model, vector.dimension());
        let set = match self.vectors.iter().position(|(other, _)| *other == key) {
            Some(set) => set,
            None => {
                self.vectors.push((key, Vectors::new(key.1)));
                self.vectors.len() - 1
            }
        };
        let vectors = &mut self.vectors[set].1;
        let row = vectors.push(item_slot, vector);
        let set = slot(set);
        let places = &mut self.items[item_slot as usize].vectors;
        match places.binary_search_by_key(&(set, n), |place| (place.set, place.n)) {
            Ok(at) => {
                vectors.remove(places[at].row);
                places[at].row = row;
            }
            Err(at) => places.insert(at, VectorPlace { set, n, row }),
        }
        vectors.forget_mean(item_slot);
    }

    fn remove(&mut self, item: ItemRef) {
        let Some(slot) = self.slots.remove(&item) else {
            return;
        };
        let item = &mut self.items[slot as usize];
        item.live = false;
        let terms = std::mem::take(&mut item.terms);
        let passages = std::mem::take(&mut item.passages);
        let vectors = std::mem::take(&mut item.vectors);
        self.live.items -= 1;
        self.live.passages -= passages.len() as u64;
        for passage in passages {
            let passage = &mut self.passages[passage as usize];
            passage.item = GONE;
            self.live.words -= u64::from(passage.len);
        }
        for (term, passages) in terms {
            let postings = &mut self.postings[term as usize];
            postings.items -= 1;
            postings.passages -= passages;
        }
        for place in vectors {
            self.vectors[place.set as usize].1.remove(place.row);
        }
    }

    fn term(&mut self, term: &str) -> u32 {
        if let Some(&id) = self.terms.get(term) {
            return id;
        }
        let id = slot(self.postings.len());
        self.terms.insert(term.into(), id);
        self.postings.push(Postings::default());
        id
    }

    fn name(&mut self, name: &str) -> u32 {
        if let Some(&id) = self.names.get(name) {
            return id;
        }
        let id = slot(self.names.len());
        self.names.insert(name.into(), id);
        id
    }

    /// The number of a state or label, if any item ever had it.
    pub(crate) fn name_id(&self, name: &str) -> Option<u32> {
        self.names.get(name).copied()
    }

    pub(crate) fn postings(&self, term: &str) -> Option<&Postings> {
        let id = *self.terms.get(term)?;
        Some(&self.postings[id as usize])
    }

    /// The vectors of a model, with the number by which items refer to them.
    pub(crate) fn vectors(&self, model: u32, dimension: usize) -> Option<(u32, &Vectors)> {
        let key = (model, dimension);
        let set = self.vectors.iter().position(|(other, _)| *other == key)?;
        Some((slot(set), &self.vectors[set].1))
    }

    /// Drops what is gone once it is a third of everything: each item is moved a bounded number of
    /// times, and a search never steps over more dead rows than half its live ones.
    fn compact_if_worthwhile(&mut self) {
        let gone = self.items.len() as u64 - self.live.items;
        let rows: usize = self.vectors.iter().map(|(_, vectors)| vectors.gone()).sum();
        if gone > 64 + self.live.items / 2 || rows as u64 > 64 + self.live.passages / 2 {
            self.compact();
        }
    }

    fn compact(&mut self) {
        let item_slots = renumber(self.items.iter().map(|item| item.live));
        let passage_slots = renumber(self.passages.iter().map(|it| it.item != GONE));
        self.items.retain(|item| item.live);
        self.passages.retain(|passage| passage.item != GONE);
        for passage in &mut self.passages {
            passage.item = item_slots[passage.item as usize];
        }
        for postings in &mut self.postings {
            postings.list.retain_mut(|(passage, _)| {
                *passage = passage_slots[*passage as usize];
                *passage != GONE
            });
            postings.list.shrink_to_fit();
        }
        let row_slots: Vec<Vec<u32>> = self
            .vectors
            .iter_mut()
            .map(|(_, vectors)| vectors.compact(&item_slots))
            .collect();
        for item in &mut self.items {
            for passage in &mut item.passages {
                *passage = passage_slots[*passage as usize];
            }
            for place in &mut item.vectors {
                place.row = row_slots[place.set as usize][place.row as usize];
            }
        }
        self.slots
            .values_mut()
            .for_each(|slot| *slot = item_slots[*slot as usize]);
        self.forget_unused_terms();
    }

    /// A removed text leaves no word of its own behind.
    fn forget_unused_terms(&mut self) {
        let term_slots = renumber(self.postings.iter().map(|it| it.passages > 0));
        self.postings.retain(|postings| postings.passages > 0);
        self.terms.retain(|_, id| {
            *id = term_slots[*id as usize];
            *id != GONE
        });
        for item in &mut self.items {
            for (term, _) in &mut item.terms {
                *term = term_slots[*term as usize];
            }
        }
    }

    /// The turns of conversations.
    pub(crate) fn sessions(&self) -> &Sessions {
        self.sessions.get_or_init(|| Sessions::of(self))
    }

    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        (self.live.items, self.live.passages, self.live.words)
    }
}

/// New numbers for those that stay, `GONE` for the others.
pub(crate) fn renumber(stays: impl Iterator<Item = bool>) -> Vec<u32> {
    let mut next = 0;
    stays
        .map(|stays| {
            if stays {
                next += 1;
                next - 1
            } else {
                GONE
            }
        })
        .collect()
}

/// Counts one more passage for each of its terms; also returns the terms that were not there.
fn merge_counts(known: &[(u32, u32)], passage: &[(u32, u32)]) -> (Vec<(u32, u32)>, Vec<u32>) {
    let mut merged = Vec::with_capacity(known.len() + passage.len());
    let mut new = Vec::new();
    let mut known = known.iter().copied().peekable();
    for &(term, _) in passage {
        while let Some(before) = known.next_if(|(other, _)| *other < term) {
            merged.push(before);
        }
        if let Some((_, count)) = known.next_if(|(other, _)| *other == term) {
            merged.push((term, count + 1));
        } else {
            merged.push((term, 1));
            new.push(term);
        }
    }
    merged.extend(known);
    (merged, new)
}

pub(crate) fn slot(count: usize) -> u32 {
    u32::try_from(count)
        .ok()
        .filter(|slot| *slot != GONE)
        .expect("an index in memory has fewer than 2^32 rows")
}
