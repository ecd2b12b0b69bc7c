//! Summaries: the most telling sentences of a text, in their order.
//!
//! No model is asked, so the same messages have the same summary in every process. A sentence tells
//! much if it says what is spoken of most: each of its words counts by how often all sentences say
//! it, and longer sentences have to say more. What opens a message counts somewhat more, and what a
//! person says. A sentence that mostly repeats a chosen one is passed over.

use super::{Message, Role};
use athena_search::analyze::query_terms;
use athena_search::ln;
use std::collections::{BTreeMap, BTreeSet};

/// The longest sentence that is kept whole, in characters.
const LONGEST: usize = 300;
/// What opens a message counts so much more.
const OPENING: f64 = 1.2;
/// What a person says counts so much more.
const PERSON: f64 = 1.15;
/// What was chosen before counts so much more than what is new: a summary does not forget at once.
const CHOSEN: f64 = 1.1;
/// A sentence repeats another one if so many of its words, in hundredths, are in that one.
const REPEATS: usize = 70;

/// A sentence that may be chosen.
#[derive(Debug)]
struct Sentence {
    /// As it stands in the summary: who says it, and what.
    line: String,
    words: BTreeSet<String>,
    weight: f64,
}

/// Extends a summary by some messages, oldest first, to at most so many tokens.
pub(super) fn extended(summary: Option<&str>, messages: &[Message], tokens: i64) -> String {
    let mut sentences: Vec<Sentence> = summary
        .unwrap_or_default()
        .lines()
        .map(|line| Sentence::new(line.to_owned(), CHOSEN))
        .collect();
    let told = messages
        .iter()
        .filter(|message| matches!(message.role, Role::User | Role::Assistant));
    for message in told {
        for (place, text) in split(&message.content).into_iter().enumerate() {
            let opening = if place == 0 { OPENING } else { 1.0 };
            let person = if message.role == Role::User {
                PERSON
            } else {
                1.0
            };
            let line = format!("{}: {text}", message.role.as_str());
            sentences.push(Sentence::new(line, opening * person));
        }
    }
    sentences.retain(|sentence| !sentence.words.is_empty());
    choose(&sentences, tokens)
}

impl Sentence {
    fn new(line: String, weight: f64) -> Self {
        let said = line
            .split_once(": ")
            .map_or(line.as_str(), |(_, text)| text);
        let words = query_terms(said)
            .into_iter()
            .map(|term| term.text)
            .collect();
        Self {
            line,
            words,
            weight,
        }
    }

    /// Whether it mostly says what another one does.
    fn repeats(&self, other: &Self) -> bool {
        let shared = self.words.intersection(&other.words).count();
        shared * 100 >= self.words.len() * REPEATS
    }
}

/// Returns the lines of the sentences that tell most, in their order.
fn choose(sentences: &[Sentence], tokens: i64) -> String {
    let mut said: BTreeMap<&str, u32> = BTreeMap::new();
    for word in sentences.iter().flat_map(|sentence| &sentence.words) {
        *said.entry(word).or_default() += 1;
    }
    let telling = |sentence: &Sentence| {
        let words = sentence.words.iter();
        let sum: f64 = words
            .map(|word| ln(1.0 + f64::from(said.get(word.as_str()).copied().unwrap_or(0))))
            .sum();
        let count = u32::try_from(sentence.words.len()).unwrap_or(u32::MAX);
        sentence.weight * sum / (f64::from(count) + 2.0).sqrt()
    };
    let mut ranked: Vec<(f64, usize)> = sentences.iter().map(telling).zip(0..).collect();
    ranked.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(&other.1)));
    let mut chosen: BTreeSet<usize> = BTreeSet::new();
    let mut bytes = 0;
    let room = usize::try_from(tokens)
        .unwrap_or(usize::MAX)
        .saturating_mul(4);
    for (_, place) in ranked {
        let sentence = &sentences[place];
        let longer = bytes + sentence.line.len() + 1;
        if longer <= room + 1 && !chosen.iter().any(|it| sentence.repeats(&sentences[*it])) {
            chosen.insert(place);
            bytes = longer;
        }
    }
    let lines: Vec<&str> = chosen
        .into_iter()
        .map(|place| sentences[place].line.as_str())
        .collect();
    lines.join("\n")
}

/// Splits a text into its sentences, cut where they are endless.
fn split(text: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    let mut sentence = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let next = characters.peek();
        let ends = match character {
            '\n' | '。' | '！' | '？' => true,
            '.' | '!' | '?' => next.is_none_or(|next| next.is_whitespace()),
            _ => false,
        };
        sentence.push(if character == '\n' { ' ' } else { character });
        if ends {
            push(&mut sentences, &mut sentence);
        }
    }
    push(&mut sentences, &mut sentence);
    sentences
}

fn push(sentences: &mut Vec<String>, sentence: &mut String) {
    let text = std::mem::take(sentence);
    let text = text.trim();
    if text.is_empty() {
        return;
    }
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => sentences.push(format!("{}…", &text[..end])),
        None => sentences.push(text.to_owned()),
    }
}

#[cfg(test)]
pub(super) fn sentences(text: &str) -> Vec<String> {
    split(text)
}
