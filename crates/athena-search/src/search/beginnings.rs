//! What the beginning of a word stands for.

use crate::analyze::{QueryTerm, is_stop_word, stem_of};
use crate::index::Index;
use crate::postings::{Dictionary, words_with_prefix};
use crate::query::Query;
use crate::segment::Words;

/// How many words a beginning stands for at most, those that are shorter than it aside.
const MOST_WORDS: usize = 16;

/// What may complete a beginning to a word whose stem is shorter than it, as that of `configurat*`
/// and of `deploym*` is: what is searched are stems.
const ENDINGS: [&str; 19] = [
    "", "s", "es", "ed", "d", "ing", "ng", "g", "ion", "on", "n", "ation", "tion", "ment", "ent",
    "nt", "t", "ly", "y",
];

/// Adds the words that the query's beginnings stand for, the most frequent first.
///
/// They rank as words that the question says, and are asked for no more than one word is: of
/// several only the first counts for what a text could reach.
pub(super) fn add_words(indexes: &[&Index], query: &Query, words: &mut Vec<QueryTerm>) {
    for beginning in &query.beginnings {
        let found = words_of(indexes, beginning);
        let said = stem_of(beginning);
        let is_known = found.contains(&said);
        if !is_known && !found.is_empty() {
            words.retain(|word| word.text != said);
        }
        let mut is_first = !is_known;
        for text in found {
            if words.iter().any(|word| word.text == text) {
                continue;
            }
            words.push(QueryTerm {
                text,
                count: 1,
                whole: false,
                name: false,
                alternative: !is_first,
            });
            is_first = false;
        }
    }
}

/// The words of letters and digits that begin so, or are the stem of what begins so, the most
/// frequent first. Tokens, paths and addresses are no words to begin, and stop words say nothing.
fn words_of(indexes: &[&Index], beginning: &str) -> Vec<String> {
    let frequency = |word: &str| -> u64 {
        let items = indexes.iter().map(|index| index.frequency(word).items);
        items.sum()
    };
    let parts = indexes.iter().flat_map(|index| index.parts());
    let words = parts.map(|part| &part.passages.words);
    let sealed = words.clone().flat_map(|it| it.dictionaries_for(beginning));
    let sealed: Vec<Dictionary<'_>> = sealed.collect();
    let growing = words.flat_map(Words::growing);
    let mut found = words_with_prefix(&sealed, growing, beginning, MOST_WORDS, |word| {
        if word.chars().all(char::is_alphanumeric) && !is_stop_word(word) {
            frequency(word)
        } else {
            0
        }
    });
    for stem in shorter_stems(beginning) {
        if !found.contains(&stem) && frequency(&stem) > 0 {
            found.push(stem);
        }
    }
    found
}

/// Returns the stems that words with a beginning may have and that do not begin so themselves: as
/// short as the beginning or shorter.
#[must_use]
pub fn shorter_stems(beginning: &str) -> Vec<String> {
    let mut stems: Vec<String> = Vec::new();
    for ending in ENDINGS {
        let stem = stem_of(&format!("{beginning}{ending}"));
        if beginning.starts_with(&stem) && !stems.contains(&stem) {
            stems.push(stem);
        }
    }
    stems
}
