//! From a word to its stem, by Snowball's stemmer (Porter 2001) for its script.
//!
//! The script decides, no language is guessed: words of Latin letters are stemmed as English, of
//! Cyrillic ones as Russian, of Greek ones as Greek. Snowball's Arabic stemmer is left out, it
//! takes letters of nouns for articles and finds less than the whole words do.

use std::cell::RefCell;
use std::sync::LazyLock;

use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization;

use super::{WordMemo, fold};

static ENGLISH: LazyLock<Stemmer> = LazyLock::new(|| Stemmer::create(Algorithm::English));
static RUSSIAN: LazyLock<Stemmer> = LazyLock::new(|| Stemmer::create(Algorithm::Russian));
static GREEK: LazyLock<Stemmer> = LazyLock::new(|| Stemmer::create(Algorithm::Greek));

thread_local! {
    static ENGLISH_STEMS: RefCell<WordMemo<String>> = RefCell::default();
}

/// Returns the stem of a word, given as it is written and folded; nothing else is stemmed.
pub(super) fn stem(written: &str, folded: &str) -> String {
    if folded.bytes().all(|byte| byte.is_ascii_lowercase()) {
        let english = |word: &str| ENGLISH.stem(word).into_owned();
        return ENGLISH_STEMS.with_borrow_mut(|stems| stems.get(folded, english));
    }
    if folded.chars().all(is_cyrillic) {
        // The endings that it knows have й, which folding makes и.
        let composed: String = written.nfc().collect();
        let lower = composed.to_lowercase().replace('ё', "е");
        return fold(&RUSSIAN.stem(&lower));
    }
    if folded.chars().all(is_greek) {
        return GREEK.stem(folded).into_owned();
    }
    folded.to_owned()
}

fn is_cyrillic(c: char) -> bool {
    matches!(c, '\u{400}'..='\u{52f}')
}

fn is_greek(c: char) -> bool {
    matches!(c, '\u{370}'..='\u{3ff}')
}
