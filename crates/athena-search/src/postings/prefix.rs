//! Which words begin alike.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use super::{Dictionary, Words};

/// Returns the most frequent words that begin with a prefix, at most `limit`, most frequent first.
///
/// `growing` are the words that no dictionary has yet, in any order, with whatever else is there.
/// Each word is asked once for its frequency, over all that is searched: what the dictionaries
/// count may be gone. A word that occurs nowhere is left out; equally frequent ones come in their
/// own order. So the answer depends on what is indexed alone, not on where it lies.
#[must_use]
pub fn words_with_prefix<'w>(
    dictionaries: &[Dictionary<'_>],
    growing: impl IntoIterator<Item = &'w str>,
    prefix: &str,
    limit: usize,
    mut frequency: impl FnMut(&str) -> u64,
) -> Vec<String> {
    let begins = |word: &&str| word.starts_with(prefix);
    let mut growing: BTreeSet<&str> = growing.into_iter().filter(begins).collect();
    let advance = |words: &mut Words<'_>| words.advance() && words.word().starts_with(prefix);
    let mut sealed: Vec<Words<'_>> = dictionaries
        .iter()
        .map(|dictionary| dictionary.words_from(prefix))
        .collect();
    sealed.retain_mut(advance);
    // The least frequent on top; of equally frequent ones the last.
    let mut best: BinaryHeap<(Reverse<u64>, String)> = BinaryHeap::new();
    loop {
        let heads = sealed.iter().map(Words::word);
        let Some(word) = heads.chain(growing.first().copied()).min() else {
            break;
        };
        let word = word.to_owned();
        let found = (Reverse(frequency(&word)), word.clone());
        if found.0.0 > 0 && best.len() < limit {
            best.push(found);
        } else if let Some(mut least) = best.peek_mut()
            && found < *least
        {
            *least = found;
        }
        growing.remove(word.as_str());
        sealed.retain_mut(|words| words.word() != word || advance(words));
    }
    let best = best.into_sorted_vec();
    best.into_iter().map(|(_, word)| word).collect()
}
