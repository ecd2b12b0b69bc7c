//! Conversations: which items are turns of one session, in which order, and who speaks.
//!
//! The labels `session:…`, `speaker:…` and `role:…` say it. A turn is an item with a session. The
//! order is that of the positions where every turn of the session has one, and of time otherwise;
//! ties break by uid. It is made at the first question after a change, not with every question.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::{Index, Item, slot};
use crate::analyze::{Role, terms};

const SESSION: &str = "session:";
const SPEAKER: &str = "speaker:";
const ROLE: &str = "role:";
const USER: &str = "role:user";
const ASSISTANT: &str = "role:assistant";

/// The turns of an index, those of a session one after the other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sessions {
    pub(crate) turns: Vec<Turn>,
    /// The turns of each session.
    sessions: Vec<Range<usize>>,
    /// The turn of each item slot that is one.
    by_slot: HashMap<u32, usize>,
    /// The words of each speaker's name.
    pub(crate) names: Vec<Vec<String>>,
}

/// An item that was said in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) slot: usize,
    /// The number of the session.
    pub(crate) session: usize,
    /// Whether the user says it to an assistant: some other turn of the session is an assistant's.
    pub(crate) is_users: bool,
    /// The place of the speaker's name in [`Sessions::names`].
    pub(crate) speaker: Option<usize>,
}

impl Sessions {
    pub(super) fn of(index: &Index) -> Self {
        let labels = Labels::of(index);
        let mut by_session: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (slot, item) in index.items.iter().enumerate().filter(|(_, it)| it.live) {
            if let Some(session) = labels.first_of(item, &labels.sessions) {
                by_session.entry(session).or_default().push(slot);
            }
        }
        let mut sessions = Self {
            names: labels.names.clone(),
            ..Self::default()
        };
        for slots in by_session.into_values() {
            sessions.add(index, &labels, slots);
        }
        sessions
    }

    fn add(&mut self, index: &Index, labels: &Labels, mut slots: Vec<usize>) {
        let item = |slot: &usize| &index.items[*slot];
        let are_placed = slots.iter().all(|slot| item(slot).position.is_some());
        slots.sort_unstable_by_key(|slot| {
            let item = item(slot);
            (item.position.filter(|_| are_placed), item.time, item.uid)
        });
        let has_assistant = slots.iter().any(|slot| labels.is_assistants(item(slot)));
        let start = self.turns.len();
        let session = self.sessions.len();
        for slot in slots {
            let item = &index.items[slot];
            self.by_slot.insert(super::slot(slot), self.turns.len());
            self.turns.push(Turn {
                slot,
                session,
                is_users: has_assistant && labels.is_users(item),
                speaker: labels.speaker(item),
            });
        }
        self.sessions.push(start..self.turns.len());
    }

    /// The turn that an item is.
    pub(crate) fn turn(&self, item: usize) -> Option<usize> {
        self.by_slot.get(&slot(item)).copied()
    }

    /// The turns of each session, in order.
    pub(crate) fn sessions(&self) -> &[Range<usize>] {
        &self.sessions
    }
}

/// The numbers of the labels that tell turns.
struct Labels {
    sessions: HashMap<u32, u32>,
    /// The place of the name, by the label's number.
    speakers: HashMap<u32, u32>,
    names: Vec<Vec<String>>,
    user: Option<u32>,
    assistant: Option<u32>,
}

impl Labels {
    fn of(index: &Index) -> Self {
        let mut labels = Self {
            sessions: HashMap::new(),
            speakers: HashMap::new(),
            names: Vec::new(),
            user: index.name_id(USER),
            assistant: index.name_id(ASSISTANT),
        };
        for (label, id) in &index.names {
            if label.starts_with(SESSION) {
                labels.sessions.insert(*id, *id);
            } else if let Some(speaker) = label.strip_prefix(SPEAKER)
                && index
                    .name_id(&format!("{ROLE}{}", speaker.to_lowercase()))
                    .is_none()
            {
                labels.speakers.insert(*id, slot(labels.names.len()));
                labels.names.push(name(speaker));
            }
        }
        labels
    }

    fn first_of(&self, item: &Item, numbers: &HashMap<u32, u32>) -> Option<u32> {
        item.labels
            .iter()
            .find_map(|label| numbers.get(label))
            .copied()
    }

    fn speaker(&self, item: &Item) -> Option<usize> {
        self.first_of(item, &self.speakers)
            .map(|place| place as usize)
    }

    fn is_users(&self, item: &Item) -> bool {
        self.user.is_some_and(|label| has(item, label))
    }

    fn is_assistants(&self, item: &Item) -> bool {
        self.assistant.is_some_and(|label| has(item, label))
    }
}

fn has(item: &Item, label: u32) -> bool {
    item.labels.binary_search(&label).is_ok()
}

/// The words of a name as they are looked for in a question; initials are none.
fn name(speaker: &str) -> Vec<String> {
    terms(speaker)
        .into_iter()
        .filter(|term| term.role == Role::Word && term.text.chars().nth(1).is_some())
        .map(|term| term.text)
        .collect()
}
