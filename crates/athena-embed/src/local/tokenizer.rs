//! From text to the ids of word pieces, as BERT does it (Devlin et al., 2019).
//!
//! Text is cleaned, lower-cased and freed of accents as `tokenizer.json` says, cut at white space,
//! around punctuation and around Chinese characters, and each word into the longest pieces of the
//! vocabulary.

use super::fault::Fault;
use regex::Regex;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::Path;
use std::sync::LazyLock;
use unicode_normalization::UnicodeNormalization;

/// Cuts texts into pieces.
pub(super) struct Tokenizer {
    vocabulary: HashMap<String, u32>,
    continuing: String,
    longest_word: usize,
    is_lowered: bool,
    strips_accents: bool,
    begin: u32,
    end: u32,
    unknown: u32,
}

#[derive(Deserialize)]
struct Description {
    normalizer: Option<Normalizer>,
    model: Model,
}

#[derive(Deserialize)]
struct Normalizer {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    lowercase: bool,
    #[serde(default)]
    strip_accents: Option<bool>,
}

#[derive(Deserialize)]
struct Model {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    unk_token: String,
    #[serde(default = "continuing")]
    continuing_subword_prefix: String,
    #[serde(default = "longest_word")]
    max_input_chars_per_word: usize,
    #[serde(default)]
    vocab: serde_json::Value,
}

fn continuing() -> String {
    "##".into()
}

const fn longest_word() -> usize {
    100
}

impl Tokenizer {
    /// Reads `tokenizer.json`; every id is below `pieces`.
    pub(super) fn read(path: &Path, pieces: usize) -> Result<Self, Fault> {
        let json = std::fs::read(path).map_err(|error| Fault::unreadable(path, error))?;
        let description: Description = serde_json::from_slice(&json)
            .map_err(|_| Fault::corrupt(path, "is no description of a tokenizer"))?;
        let model = description.model;
        if model.kind != "WordPiece" {
            let problem = format!("describes a tokenizer of the kind `{}`", model.kind);
            return Err(Fault::unsupported(path, problem));
        }
        let normalizer = description
            .normalizer
            .filter(|normalizer| normalizer.kind == "BertNormalizer")
            .ok_or_else(|| Fault::unsupported(path, "does not normalise text as BERT does"))?;
        let vocabulary: HashMap<String, u32> = serde_json::from_value(model.vocab)
            .map_err(|_| Fault::corrupt(path, "has a damaged vocabulary"))?;
        if vocabulary.values().any(|id| *id as usize >= pieces) {
            return Err(Fault::corrupt(path, "has more pieces than config.json"));
        }
        let marker = |name: &str| {
            let found = vocabulary.get(name).copied();
            found.ok_or_else(|| Fault::corrupt(path, format!("has no piece `{name}`")))
        };
        Ok(Self {
            begin: marker("[CLS]")?,
            end: marker("[SEP]")?,
            unknown: marker(&model.unk_token)?,
            continuing: model.continuing_subword_prefix,
            longest_word: model.max_input_chars_per_word,
            is_lowered: normalizer.lowercase,
            strips_accents: normalizer.strip_accents.unwrap_or(normalizer.lowercase),
            vocabulary,
        })
    }

    /// Returns the ids of a text between its end markers, at most `most` of them.
    pub(super) fn ids(&self, text: &str, most: usize) -> Vec<u32> {
        let mut ids = vec![self.begin];
        let most = most.saturating_sub(1);
        for word in words(&self.normalise(text)) {
            self.cut(word, &mut ids);
            // The rest of a long text has no say.
            if ids.len() >= most {
                ids.truncate(most);
                break;
            }
        }
        ids.push(self.end);
        ids
    }

    fn normalise(&self, text: &str) -> String {
        let mut clean = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '\0' | '\u{fffd}' => {}
                c if c.is_whitespace() => clean.push(' '),
                c if c.is_control() || is_in(&FORMAT, c) => {}
                c if is_chinese(c) => clean.extend([' ', c, ' ']),
                c => clean.push(c),
            }
        }
        if self.strips_accents {
            clean = clean.nfd().filter(|c| !is_in(&ACCENTS, *c)).collect();
        }
        if self.is_lowered {
            clean = clean.to_lowercase();
        }
        clean
    }

    /// Adds the pieces of a word, or the one for unknown words if a part of it is none.
    fn cut(&self, word: &str, ids: &mut Vec<u32>) {
        let before = ids.len();
        let mut at = 0;
        let mut candidate = String::new();
        let is_too_long = word.chars().count() > self.longest_word;
        while at < word.len() && !is_too_long {
            let ends = word[at..]
                .char_indices()
                .map(|(start, c)| at + start + c.len_utf8());
            let ends: Vec<usize> = ends.collect();
            let longest = ends.iter().rev().find_map(|&end| {
                candidate.clear();
                if at > 0 {
                    candidate.push_str(&self.continuing);
                }
                candidate.push_str(&word[at..end]);
                Some((end, *self.vocabulary.get(&candidate)?))
            });
            let Some((end, id)) = longest else { break };
            ids.push(id);
            at = end;
        }
        if at < word.len() {
            ids.truncate(before);
            ids.push(self.unknown);
        }
    }
}

/// Cuts at white space, and makes every punctuation mark a word.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace().flat_map(|run| {
        let mut rest = run;
        std::iter::from_fn(move || {
            let first = rest.chars().next()?;
            let end = match is_punctuation(first) {
                true => first.len_utf8(),
                false => rest.find(is_punctuation).unwrap_or(rest.len()),
            };
            let (word, tail) = rest.split_at(end);
            rest = tail;
            Some(word)
        })
    })
}

fn is_punctuation(c: char) -> bool {
    match c.is_ascii() {
        true => c.is_ascii_punctuation(),
        false => !c.is_alphanumeric() && is_in(&PUNCTUATION, c),
    }
}

/// The blocks that BERT calls Chinese; Japanese kana and Korean are words like others.
fn is_chinese(c: char) -> bool {
    matches!(c,
        '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' | '\u{20000}'..='\u{2a6df}'
        | '\u{2a700}'..='\u{2b73f}' | '\u{2b740}'..='\u{2b81f}' | '\u{2b820}'..='\u{2ceaf}'
        | '\u{f900}'..='\u{faff}' | '\u{2f800}'..='\u{2fa1f}')
}

type Class = LazyLock<Option<Regex>>;

static PUNCTUATION: Class = LazyLock::new(|| Regex::new(r"^\p{P}$").ok());
static ACCENTS: Class = LazyLock::new(|| Regex::new(r"^\p{Mn}$").ok());
/// Characters without a shape, such as the mark of the writing direction.
static FORMAT: Class = LazyLock::new(|| Regex::new(r"^[\p{Cf}\p{Co}\p{Cn}]$").ok());

/// Whether a character is of a Unicode class; those of ASCII are known without asking.
fn is_in(class: &Class, c: char) -> bool {
    !c.is_ascii()
        && class
            .as_ref()
            .is_some_and(|class| class.is_match(c.encode_utf8(&mut [0; 4])))
}
