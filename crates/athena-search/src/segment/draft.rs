//! What a stretch of the log comes to.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::record::{Attributes, ItemRef, Record};
use crate::vector::StoredVector;

/// What is left of a stretch of the log when later records have overtaken earlier ones.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// Items that were begun in it and stayed, in the order of the log.
    pub(crate) items: Vec<DraftItem>,
    slots: HashMap<ItemRef, usize>,
    /// Items that are not what they were before the stretch: removed, or begun anew.
    pub(crate) removed: BTreeSet<ItemRef>,
    /// New attributes of items from before the stretch.
    pub(crate) changed: BTreeMap<ItemRef, Attributes>,
    /// Vectors of items from before the stretch, by item, model, dimension and passage.
    pub(crate) late: BTreeMap<(ItemRef, u32, usize, u32), StoredVector>,
}

/// An item that was begun.
#[derive(Debug)]
pub(crate) struct DraftItem {
    pub(crate) item: ItemRef,
    pub(crate) attributes: Attributes,
    pub(crate) passages: Vec<DraftPassage>,
    /// Vectors by model, dimension and passage.
    pub(crate) vectors: BTreeMap<(u32, usize, u32), StoredVector>,
    gone: bool,
}

/// The words of a passage.
#[derive(Debug)]
pub(crate) struct DraftPassage {
    pub(crate) terms: Vec<(String, u32)>,
    pub(crate) len: u32,
}

impl Draft {
    /// Takes the records of a stretch, in order.
    pub(crate) fn of(records: impl IntoIterator<Item = Record>) -> Self {
        let mut draft = Self::default();
        for record in records {
            draft.apply(record);
        }
        draft.items.retain(|item| !item.gone);
        draft.slots.clear();
        draft
    }

    fn apply(&mut self, record: Record) {
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
                if let Some(begun) = self.passage_of(item, n, attributes) {
                    begun.passages.push(DraftPassage { terms, len });
                    if let Some(vector) = vector {
                        begun.put(n, vector);
                    }
                }
            }
            Record::Vector { item, n, vector } => {
                if let Some(begun) = self.known(item) {
                    begun.put(n, vector);
                } else if !self.removed.contains(&item) {
                    let key = (item, vector.model, vector.dimension(), n);
                    self.late.insert(key, vector);
                }
            }
            Record::Attributes { item, attributes } => {
                if let Some(begun) = self.known(item) {
                    begun.attributes = attributes;
                } else if !self.removed.contains(&item) {
                    self.changed.insert(item, attributes);
                }
            }
            Record::Remove { item } => self.remove(item),
        }
    }

    /// The item that a passage goes to: a new one for passage 0, the last one for its next.
    fn passage_of(
        &mut self,
        item: ItemRef,
        n: u32,
        attributes: Option<Attributes>,
    ) -> Option<&mut DraftItem> {
        if n == 0 {
            let kept = self.known(item).map(|begun| begun.attributes.clone());
            let kept = kept.or_else(|| self.changed.get(&item).cloned());
            self.remove(item);
            self.slots.insert(item, self.items.len());
            self.items.push(DraftItem {
                item,
                attributes: attributes.or(kept).unwrap_or_default(),
                passages: Vec::new(),
                vectors: BTreeMap::new(),
                gone: false,
            });
        }
        let last = self.items.last_mut()?;
        let follows = last.item == item && !last.gone && last.passages.len() == n as usize;
        follows.then_some(last)
    }

    fn known(&mut self, item: ItemRef) -> Option<&mut DraftItem> {
        let slot = *self.slots.get(&item)?;
        self.items.get_mut(slot)
    }

    fn remove(&mut self, item: ItemRef) {
        if let Some(slot) = self.slots.remove(&item) {
            self.items[slot].gone = true;
        }
        self.removed.insert(item);
        self.changed.remove(&item);
        let from = (item, 0, 0, 0);
        let to = (item, u32::MAX, usize::MAX, u32::MAX);
        let late: Vec<_> = self.late.range(from..=to).map(|(key, _)| *key).collect();
        for key in late {
            self.late.remove(&key);
        }
    }
}

impl DraftItem {
    fn put(&mut self, n: u32, vector: StoredVector) {
        self.vectors
            .insert((vector.model, vector.dimension(), n), vector);
    }
}
