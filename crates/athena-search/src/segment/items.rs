//! The items of a segment, column by column.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::chunk::{put_column, read_column, read_column_of};
use super::names::Names;
use crate::bitmap::Bitmap;
use crate::codec::{FormatError, Reader};
use crate::query::Filter;
use crate::record::{Attributes, ItemRef, Kind};

/// Items by number, ascending in the order of the log.
#[derive(Debug, Clone, Default)]
pub(crate) struct Items {
    kinds: Vec<u8>,
    ids: Vec<i64>,
    uids: Vec<[u8; 16]>,
    times: Vec<i64>,
    positions: Vec<i64>,
    usefulness: Vec<u16>,
    states: Vec<u32>,
    /// Where each item's labels end; they start where the ones before end.
    label_ends: Vec<u32>,
    labels: Vec<u32>,
    /// Labels that were changed, by item.
    relabelled: HashMap<u32, Box<[u32]>>,
    /// The items of each label, where no more items come; made when asked for.
    by_label: Option<OnceLock<ByLabel>>,
    /// The words of each item's whole text.
    pub(crate) lens: Vec<u32>,
    seen: Seen,
}

/// The kinds and states that items have or had: a filter that lets all of them through need not
/// look at single items.
#[derive(Debug, Clone, Default)]
struct Seen {
    kinds: Vec<u8>,
    states: Vec<u32>,
}

/// For each label its items: those between its end and that of the one before.
#[derive(Debug, Clone, Default)]
struct ByLabel {
    ends: Vec<u32>,
    items: Vec<u32>,
}

/// For each kind the places of its items, by id.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    by_kind: Vec<(u8, Vec<u32>)>,
}

/// A filter with its names as an index knows them.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    filter: &'a Filter,
    states: Vec<u32>,
    groups: Vec<Vec<u32>>,
}

/// The position of an item that has none.
const NOWHERE: i64 = i64::MIN;

/// What an item is called that was taken out for good.
pub(crate) const BLANK: ItemRef = ItemRef {
    kind: Kind(u8::MAX),
    id: i64::MIN,
};

impl<'a> Wanted<'a> {
    pub(crate) fn new(filter: &'a Filter, names: &Names) -> Self {
        let known = |wanted: &[String]| -> Vec<u32> {
            wanted.iter().filter_map(|name| names.id(name)).collect()
        };
        Self {
            filter,
            states: known(&filter.states),
            groups: filter.labels.iter().map(|group| known(group)).collect(),
        }
    }

    /// Tells whether everything passes.
    pub(crate) fn is_everything(&self) -> bool {
        *self.filter == Filter::default()
    }
}

impl Items {
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Returns about how many bytes of memory the items take.
    pub(crate) fn bytes(&self) -> usize {
        // Kind, id, uid, time, position, usefulness, state, end of labels, length.
        const ITEM: usize = 1 + 8 + 16 + 8 + 8 + 2 + 4 + 4 + 4;
        let by_label = self.by_label.as_ref().and_then(OnceLock::get);
        let by_label = by_label.map_or(0, |it| it.items.len() + it.ends.len());
        self.len() * ITEM + (self.labels.len() + by_label) * 4 + self.relabelled.len() * 64
    }

    pub(crate) fn item(&self, at: usize) -> ItemRef {
        ItemRef {
            kind: Kind(self.kinds[at]),
            id: self.ids[at],
        }
    }

    pub(crate) fn uid(&self, at: usize) -> [u8; 16] {
        self.uids[at]
    }

    pub(crate) fn time(&self, at: usize) -> i64 {
        self.times[at]
    }

    /// Returns the place of an item within its session, if it was told.
    pub(crate) fn position(&self, at: usize) -> Option<i64> {
        Some(self.positions[at]).filter(|position| *position != NOWHERE)
    }

    /// Returns how useful an item has proved, in thousandths.
    pub(crate) fn usefulness(&self, at: usize) -> u16 {
        self.usefulness[at]
    }

    /// Returns the labels of an item.
    pub(crate) fn labels(&self, at: usize) -> &[u32] {
        if !self.relabelled.is_empty()
            && let Some(labels) = u32::try_from(at)
                .ok()
                .and_then(|at| self.relabelled.get(&at))
        {
            return labels;
        }
        let start = if at == 0 { 0 } else { self.label_ends[at - 1] };
        &self.labels[start as usize..self.label_ends[at] as usize]
    }

    pub(crate) fn push(&mut self, item: ItemRef, attributes: &Attributes, names: &mut Names) {
        let (state, labels) = numbered(attributes, names);
        self.kinds.push(item.kind.0);
        self.ids.push(item.id);
        self.uids.push(attributes.uid);
        self.times.push(attributes.time);
        self.positions.push(attributes.position.unwrap_or(NOWHERE));
        self.usefulness.push(attributes.usefulness);
        self.states.push(state);
        self.labels.extend(labels);
        self.label_ends.push(super::number(self.labels.len()));
        self.lens.push(0);
        self.seen.note(item.kind.0, state);
    }

    /// Gives an item other attributes.
    pub(crate) fn change(&mut self, at: usize, attributes: &Attributes, names: &mut Names) {
        let (state, labels) = numbered(attributes, names);
        self.uids[at] = attributes.uid;
        self.times[at] = attributes.time;
        self.positions[at] = attributes.position.unwrap_or(NOWHERE);
        self.usefulness[at] = attributes.usefulness;
        self.states[at] = state;
        self.seen.note(self.kinds[at], state);
        if *self.labels(at) != *labels {
            self.relabelled.insert(super::number(at), labels.into());
        }
    }

    pub(crate) fn attributes(&self, at: usize, names: &Names) -> Attributes {
        Attributes {
            uid: self.uids[at],
            state: names.text(self.states[at]).to_owned(),
            labels: self
                .labels(at)
                .iter()
                .map(|label| names.text(*label).to_owned())
                .collect(),
            time: self.times[at],
            position: self.position(at),
            usefulness: self.usefulness[at],
        }
    }

    /// Returns where items are, if no more come.
    pub(crate) fn places(&self) -> Places {
        let mut places = Places::default();
        for (at, kind) in self.kinds.iter().enumerate() {
            if *kind != BLANK.kind.0 {
                places.of_kind(*kind).push(super::number(at));
            }
        }
        for (_, places) in &mut places.by_kind {
            // They mostly ascend already.
            if !places.is_sorted_by_key(|at| self.ids[*at as usize]) {
                places.sort_by_key(|at| self.ids[*at as usize]);
            }
        }
        places
    }

    /// Returns the number of an item by what [`places`](Self::places) returned.
    pub(crate) fn find(&self, item: ItemRef, places: &Places) -> Option<usize> {
        let mut kinds = places.by_kind.iter();
        let (_, places) = kinds.find(|(kind, _)| *kind == item.kind.0)?;
        let id = |at: &u32| self.ids[*at as usize];
        // Most of what is looked for came after all that is here.
        let is_within = places.first().is_some_and(|at| id(at) <= item.id)
            && places.last().is_some_and(|at| id(at) >= item.id);
        let found = is_within.then(|| places.binary_search_by_key(&item.id, id));
        found?.ok().map(|found| places[found] as usize)
    }

    /// Declares that no more items come: a filter need not look at every item for its labels.
    pub(crate) fn end(&mut self) {
        self.by_label = Some(OnceLock::new());
    }

    /// Keeps in a set of items, those from `base` on, the ones that a filter lets through. `base` is
    /// a multiple of 64.
    pub(crate) fn filter(&self, wanted: &Wanted<'_>, base: usize, passing: &mut Bitmap) {
        let filter = wanted.filter;
        let own = base..base + self.len();
        if !filter.kinds.is_empty() {
            let passes = |kind: &u8| filter.kinds.contains(&Kind(*kind));
            if !self.seen.kinds.iter().all(passes) {
                passing.keep(own.clone(), |at| passes(&self.kinds[at]));
            }
        }
        if !filter.states.is_empty() {
            let passes = |state: &u32| wanted.states.contains(state);
            if !self.seen.states.iter().all(passes) {
                passing.keep(own.clone(), |at| passes(&self.states[at]));
            }
        }
        if let Some(after) = filter.after {
            passing.keep(own.clone(), |at| self.times[at] >= after);
        }
        if let Some(before) = filter.before {
            passing.keep(own, |at| self.times[at] < before);
        }
        for group in &wanted.groups {
            passing.intersect_from(base, &self.with_any(group), self.len());
        }
    }

    /// The items that have any of some labels.
    fn with_any(&self, group: &[u32]) -> Bitmap {
        let mut found = Bitmap::new(self.len(), false);
        let has = |at: usize| group.iter().any(|label| self.labels(at).contains(label));
        let Some(by_label) = &self.by_label else {
            (0..self.len())
                .filter(|at| has(*at))
                .for_each(|at| found.insert(at));
            return found;
        };
        let by_label = by_label.get_or_init(|| ByLabel::of(self));
        for label in group {
            for item in by_label.items(*label) {
                found.insert(*item as usize);
            }
        }
        for at in self.relabelled.keys() {
            found.set(*at as usize, has(*at as usize));
        }
        found
    }
}

/// The bytes.
impl Items {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_column(out, &self.kinds);
        put_column(out, &self.ids);
        put_column(out, &self.uids);
        put_column(out, &self.times);
        put_column(out, &self.positions);
        put_column(out, &self.usefulness);
        put_column(out, &self.states);
        let mut ends = Vec::with_capacity(self.len());
        let mut labels = Vec::with_capacity(self.labels.len());
        for at in 0..self.len() {
            labels.extend_from_slice(self.labels(at));
            ends.push(super::number(labels.len()));
        }
        put_column(out, &ends);
        put_column(out, &labels);
        put_column(out, &self.lens);
    }

    /// Reads items whose states and labels are below `names`.
    pub(super) fn read(reader: &mut Reader<'_>, names: usize) -> Result<Self, FormatError> {
        let kinds: Vec<u8> = read_column(reader)?;
        let count = kinds.len();
        let mut items = Self {
            kinds,
            ids: read_column_of(reader, count)?,
            uids: read_column_of(reader, count)?,
            times: read_column_of(reader, count)?,
            positions: read_column_of(reader, count)?,
            usefulness: read_column_of(reader, count)?,
            states: read_column_of(reader, count)?,
            label_ends: read_column_of(reader, count)?,
            labels: read_column(reader)?,
            lens: read_column_of(reader, count)?,
            relabelled: HashMap::new(),
            by_label: None,
            seen: Seen::default(),
        };
        let numbers = items.states.iter().chain(&items.labels);
        let ends = items.label_ends.is_sorted()
            && items.label_ends.last().copied().unwrap_or(0) as usize == items.labels.len();
        if !ends || numbers.copied().any(|number| number as usize >= names) {
            return Err(FormatError::Corrupt(
                "the labels of items contradict themselves",
            ));
        }
        if items
            .usefulness
            .iter()
            .any(|it| *it > Attributes::FULL_USEFULNESS)
        {
            return Err(FormatError::Corrupt("a usefulness is above 1"));
        }
        items.see();
        Ok(items)
    }

    /// Notes what kinds and states there are; items that were taken out for good have none.
    fn see(&mut self) {
        self.seen = Seen::default();
        let mut last = (BLANK.kind.0, 0);
        for of in self.kinds.iter().copied().zip(self.states.iter().copied()) {
            if of != last && of.0 != BLANK.kind.0 {
                self.seen.note(of.0, of.1);
                last = of;
            }
        }
    }

    /// Returns the numbers of all states and labels, repetitions included.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        let labels = (0..self.len()).flat_map(|at| self.labels(at));
        self.states.iter().chain(labels).copied()
    }

    /// Replaces the numbers of states and labels by others.
    pub(crate) fn renumber(&mut self, numbers: &[u32]) {
        let relabelled = self.relabelled.values_mut().flatten();
        let all = self.states.iter_mut().chain(&mut self.labels);
        for number in all.chain(relabelled) {
            *number = numbers[*number as usize];
        }
        self.see();
    }

    /// Makes an item say nothing.
    pub(super) fn blank(&mut self, at: usize, nothing: u32) {
        self.kinds[at] = BLANK.kind.0;
        self.ids[at] = BLANK.id;
        self.uids[at] = [0; 16];
        self.times[at] = 0;
        self.positions[at] = NOWHERE;
        self.usefulness[at] = 0;
        self.states[at] = nothing;
        self.lens[at] = 0;
        self.relabelled.insert(super::number(at), Box::default());
    }
}

impl Seen {
    fn note(&mut self, kind: u8, state: u32) {
        if !self.kinds.contains(&kind) {
            self.kinds.push(kind);
        }
        if !self.states.contains(&state) {
            self.states.push(state);
        }
    }
}

impl ByLabel {
    fn of(items: &Items) -> Self {
        let all =
            || (0..items.len()).flat_map(|at| items.labels(at).iter().map(move |it| (*it, at)));
        let labels = all().map(|(label, _)| label as usize + 1).max();
        let mut ends = vec![0_u32; labels.unwrap_or(0)];
        for (label, _) in all() {
            ends[label as usize] += 1;
        }
        let mut total = 0;
        for end in &mut ends {
            // Where its items begin; each that is put moves it on.
            (*end, total) = (total, total + *end);
        }
        let mut grouped = vec![0; total as usize];
        for (label, at) in all() {
            let place = &mut ends[label as usize];
            grouped[*place as usize] = super::number(at);
            *place += 1;
        }
        Self {
            ends,
            items: grouped,
        }
    }

    fn items(&self, label: u32) -> &[u32] {
        let label = label as usize;
        let Some(end) = self.ends.get(label) else {
            return &[];
        };
        let start = if label == 0 { 0 } else { self.ends[label - 1] };
        &self.items[start as usize..*end as usize]
    }
}

impl Places {
    fn of_kind(&mut self, kind: u8) -> &mut Vec<u32> {
        let known = self.by_kind.iter().position(|(of, _)| *of == kind);
        let at = known.unwrap_or_else(|| {
            self.by_kind.push((kind, Vec::new()));
            self.by_kind.len() - 1
        });
        &mut self.by_kind[at].1
    }
}

/// The state and the labels as numbers, each label once.
fn numbered(attributes: &Attributes, names: &mut Names) -> (u32, Vec<u32>) {
    let mut labels: Vec<u32> = attributes
        .labels
        .iter()
        .map(|it| names.number(it))
        .collect();
    labels.sort_unstable();
    labels.dedup();
    (names.number(&attributes.state), labels)
}
