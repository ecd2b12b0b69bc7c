//! How surprising an event is after those before it.
//!
//! The founding document weighs a prediction error with 0.6 and a gain of information with 0.4. Both
//! are taken here over the words of the session's last events:
//!
//! - *prediction error*: the share `p` of the event's words that none of them has, as far as it goes
//!   beyond the share `m` that is usual among them (each against the others): `(p - m) / (1 - m)`,
//!   0 if it does not. Where every event speaks of something new, one more that does is no surprise.
//! - *gain of information*: the mean of `-log2` of the words' smoothed frequencies in them, as a share
//!   of what a word that was never met gives.
//!
//! The sum is scaled to 0 to 5; 3.5 needs both, and means very surprising.

use super::{Event, EventType, Outcome};
use std::collections::{HashMap, HashSet, VecDeque};

/// Events that are looked back at.
pub(super) const WINDOW: usize = 5;
/// Characters of an event that are looked at.
pub(super) const LOOKED_AT: usize = 2_000;
/// With fewer events before it, nothing can be expected of one.
const ENOUGH: usize = 2;

/// The words of an event: those of its text, its type and its outcome, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words(HashSet<String>);

impl Words {
    /// Reads the words of an event.
    pub(super) fn of(event: &Event) -> Self {
        Self::new(event.event_type, event.outcome, &event.content)
    }

    /// Reads the words of a text.
    pub(super) fn new(event_type: EventType, outcome: Option<Outcome>, content: &str) -> Self {
        let end = content
            .char_indices()
            .nth(LOOKED_AT)
            .map_or(content.len(), |(end, _)| end);
        let words = content[..end].split(|letter: char| !letter.is_alphanumeric());
        let mut words: HashSet<String> = words
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        words.insert(format!("type:{}", event_type.as_str()));
        words.extend(outcome.map(|outcome| format!("outcome:{}", outcome.as_str())));
        Self(words)
    }
}

/// The last events of a session, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Window(VecDeque<Words>);

impl Window {
    /// Adds the next event, and says how surprising it is: nothing if too little came before it.
    pub(super) fn next(&mut self, words: Words) -> Option<f64> {
        let surprise = (self.0.len() >= ENOUGH).then(|| self.surprise(&words));
        if self.0.len() == WINDOW {
            self.0.pop_front();
        }
        self.0.push_back(words);
        surprise
    }

    fn surprise(&self, words: &Words) -> f64 {
        let new = share_new(words, self.0.iter());
        let usual = self.usually_new();
        let error = if new > usual {
            (new - usual) / (1.0 - usual)
        } else {
            0.0
        };
        5.0 * (0.6 * error + 0.4 * self.information(words))
    }

    /// Returns the mean share of an event's words that the others lack.
    fn usually_new(&self) -> f64 {
        let shares = self.0.iter().enumerate().map(|(index, words)| {
            let others = self
                .0
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != index);
            share_new(words, others.map(|(_, words)| words))
        });
        shares.sum::<f64>() / count(self.0.len())
    }

    /// Returns the information of words, as a share of what unknown ones have.
    fn information(&self, words: &Words) -> f64 {
        let mut frequencies: HashMap<&str, usize> = HashMap::new();
        for word in self.0.iter().flat_map(|event| &event.0) {
            *frequencies.entry(word).or_default() += 1;
        }
        let all = frequencies.values().sum::<usize>() + frequencies.len() + 1;
        // In whole numbers, so that the order of a set does not show in the last digit.
        let mut by_frequency: HashMap<usize, usize> = HashMap::new();
        for word in &words.0 {
            let frequency = frequencies.get(word.as_str()).copied().unwrap_or(0);
            *by_frequency.entry(frequency).or_default() += 1;
        }
        let mut by_frequency: Vec<(usize, usize)> = by_frequency.into_iter().collect();
        by_frequency.sort_unstable();
        let bits = |frequency: usize| (count(all) / count(frequency + 1)).log2();
        let met = by_frequency
            .iter()
            .map(|(frequency, words)| count(*words) * bits(*frequency));
        met.sum::<f64>() / (count(words.0.len()) * bits(0))
    }
}

/// Returns the share of words that none of the others has.
fn share_new<'a>(words: &Words, others: impl Iterator<Item = &'a Words> + Clone) -> f64 {
    let new = words
        .0
        .iter()
        .filter(|word| !others.clone().any(|other| other.0.contains(*word)));
    count(new.count()) / count(words.0.len())
}

/// Returns a count as a number that can be divided.
fn count(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
