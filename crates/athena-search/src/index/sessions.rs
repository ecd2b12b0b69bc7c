//! Conversations: which items are turns of one session, in which order, and who speaks.
//!
//! The labels `session:…`, `speaker:…` and `role:…` say it, and `said:question` of what only asks. A
//! turn is an item of a session that has a speaker or a role: what was noted in a session, but said
//! by nobody, stands for itself. The order is that of the positions where every turn of the session
//! has one, and of time otherwise; ties break by uid. It is made at the first question after a
//! change, not with every question.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use super::Index;
use crate::analyze::{Role, terms};
use crate::segment::number;

const SESSION: &str = "session:";
const SPEAKER: &str = "speaker:";
const ROLE: &str = "role:";
const USER: &str = "role:user";
const ASSISTANT: &str = "role:assistant";
const QUESTION: &str = "said:question";

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
    /// Whether it is no question, in a session without an assistant.
    pub(crate) tells: bool,
    /// The place of the speaker's name in [`Sessions::names`].
    pub(crate) speaker: Option<usize>,
}

impl Sessions {
    pub(super) fn of(index: &Index) -> Self {
        let labels = Labels::of(index);
        if labels.sessions.is_empty() || labels.voices.is_empty() {
            return Self::default();
        }
        let mut by_session: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for slot in index.live.iter() {
            if let Some(session) = labels.session_of_turn(index.labels(slot)) {
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
        let are_placed = slots.iter().all(|slot| index.position(*slot).is_some());
        slots.sort_unstable_by_key(|slot| {
            let position = index.position(*slot).filter(|_| are_placed);
            (position, index.time(*slot), index.uid(*slot))
        });
        let is_assistants = |slot: &usize| has(index.labels(*slot), labels.assistant);
        let has_assistant = slots.iter().any(is_assistants);
        let start = self.turns.len();
        let session = self.sessions.len();
        for slot in slots {
            let own = index.labels(slot);
            self.by_slot.insert(number(slot), self.turns.len());
            self.turns.push(Turn {
                slot,
                session,
                is_users: has_assistant && has(own, labels.user),
                tells: !has_assistant && !has(own, labels.question),
                speaker: labels.speaker(own),
            });
        }
        self.sessions.push(start..self.turns.len());
    }

    /// The turn that an item is.
    pub(crate) fn turn(&self, item: usize) -> Option<usize> {
        self.by_slot.get(&number(item)).copied()
    }

    /// The turns of each session, in order.
    pub(crate) fn sessions(&self) -> &[Range<usize>] {
        &self.sessions
    }
}

/// The numbers of the labels that tell turns.
struct Labels {
    sessions: HashMap<u32, u32>,
    /// Speakers and roles.
    voices: HashSet<u32>,
    speakers: HashMap<u32, Speaker>,
    names: Vec<Vec<String>>,
    user: Option<u32>,
    assistant: Option<u32>,
    question: Option<u32>,
}

/// A speaker's label.
#[derive(Clone, Copy)]
struct Speaker {
    /// The place of the name.
    name: usize,
    /// The label of the role that is called the same: `user` as the user's name is none.
    role: Option<u32>,
}

impl Labels {
    fn of(index: &Index) -> Self {
        let mut labels = Self {
            sessions: HashMap::new(),
            voices: HashSet::new(),
            speakers: HashMap::new(),
            names: Vec::new(),
            user: index.names.id(USER),
            assistant: index.names.id(ASSISTANT),
            question: index.names.id(QUESTION),
        };
        for (label, id) in index.names.iter() {
            if label.starts_with(SPEAKER) || label.starts_with(ROLE) {
                labels.voices.insert(id);
            }
            if label.starts_with(SESSION) {
                labels.sessions.insert(id, id);
            } else if let Some(speaker) = label.strip_prefix(SPEAKER) {
                let role = index.names.id(&format!("{ROLE}{}", speaker.to_lowercase()));
                let name = labels.names.len();
                labels.speakers.insert(id, Speaker { name, role });
                labels.names.push(words_of(speaker));
            }
        }
        labels
    }

    /// The session of an item that somebody said.
    fn session_of_turn(&self, own: &[u32]) -> Option<u32> {
        let is_said = own.iter().any(|label| self.voices.contains(label));
        first_of(own, &self.sessions).filter(|_| is_said)
    }

    fn speaker(&self, own: &[u32]) -> Option<usize> {
        let Speaker { name, role } = first_of(own, &self.speakers)?;
        let is_role = role.is_some_and(|role| own.contains(&role));
        (!is_role).then_some(name)
    }
}

/// Whether an item has a label, which nothing may have.
fn has(own: &[u32], label: Option<u32>) -> bool {
    label.is_some_and(|label| own.contains(&label))
}

/// What is noted of the first label that something is noted of.
fn first_of<T: Copy>(own: &[u32], noted: &HashMap<u32, T>) -> Option<T> {
    own.iter().find_map(|label| noted.get(label)).copied()
}

/// The words of a name as they are looked for in a question; initials are none.
fn words_of(speaker: &str) -> Vec<String> {
    terms(speaker)
        .into_iter()
        .filter(|term| term.role == Role::Word && term.text.chars().nth(1).is_some())
        .map(|term| term.text)
        .collect()
}
