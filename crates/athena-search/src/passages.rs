//! How a text is cut into passages, and what text of a turn is indexed at all.

use std::ops::Range;

use crate::analyze::is_unspaced;

/// About how many words make a passage.
const PASSAGE_WORDS: usize = 80;
/// A run without spaces counts as a word for every so many characters.
const LONG_WORD: usize = 64;
/// In scripts without spaces, so many characters count as a word.
const UNSPACED_WORD: usize = 2;

/// Returns the text of a turn as it is indexed and embedded: `speaker: text [shares caption]`.
///
/// People ask for "what Caroline said", so the speaker belongs to what is searched; a picture is
/// found by its caption. Empty parts are left out.
#[must_use]
pub fn indexed_text(speaker: Option<&str>, text: &str, caption: Option<&str>) -> String {
    let mut whole = String::with_capacity(text.len() + 32);
    if let Some(speaker) = speaker.filter(|speaker| !speaker.is_empty()) {
        whole.push_str(speaker);
        whole.push_str(": ");
    }
    whole.push_str(text);
    if let Some(caption) = caption.filter(|caption| !caption.is_empty()) {
        whole.push_str(" [shares ");
        whole.push_str(caption);
        whole.push(']');
    }
    whole
}

/// Returns the byte ranges of a text's passages, in order; never none.
///
/// A text of n words has m = max(1, ⌊n/80 + ½⌋) passages; passage i is made of the words
/// [n·i/m, n·(i+1)/m). The ranges start at a word and end after one, so white space between
/// passages belongs to none; a text without words is one passage over all of it.
#[must_use]
pub fn passages(text: &str) -> Vec<Range<usize>> {
    let words = words(text);
    let count = words.len();
    if count == 0 {
        return std::iter::once(0..text.len()).collect();
    }
    let parts = ((count + PASSAGE_WORDS / 2) / PASSAGE_WORDS).max(1);
    (0..parts)
        .map(|part| {
            let first = &words[count * part / parts];
            let last = &words[count * (part + 1) / parts - 1];
            first.start..last.end
        })
        .collect()
}

/// The white-space words, with endless ones cut into pieces of a word's size.
fn words(text: &str) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut weight = 0;
    for (at, c) in text.char_indices() {
        if c.is_whitespace() {
            close(&mut words, start, at, &mut weight);
            continue;
        }
        if weight >= LONG_WORD {
            close(&mut words, start, at, &mut weight);
        }
        if weight == 0 {
            start = at;
        }
        weight += if is_unspaced(c) {
            LONG_WORD / UNSPACED_WORD
        } else {
            1
        };
    }
    close(&mut words, start, text.len(), &mut weight);
    words
}

fn close(words: &mut Vec<Range<usize>>, start: usize, end: usize, weight: &mut usize) {
    if *weight > 0 {
        words.push(start..end);
        *weight = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sizes(words: usize) -> Vec<usize> {
        let text = vec!["word"; words].join(" ");
        passages(&text)
            .into_iter()
            .map(|range| text[range].split_whitespace().count())
            .collect()
    }

    #[test]
    fn parts_are_about_eighty_words() {
        assert_eq!(sizes(1), [1]);
        assert_eq!(sizes(119), [119]);
        assert_eq!(sizes(120), [60, 60]);
        assert_eq!(sizes(200), [66, 67, 67]);
        assert_eq!(sizes(800), [80; 10]);
    }

    #[test]
    fn empty_text_is_one_passage() {
        assert_eq!(passages("")[..], vec![0..0; 1]);
        assert_eq!(passages(" \n ")[..], vec![0..3; 1]);
    }

    #[test]
    fn text_without_spaces_is_cut_too() {
        assert_eq!(passages(&"猫".repeat(1600)).len(), 10);
        assert!(passages(&"x".repeat(1 << 20)).len() > 100);
    }

    #[test]
    fn a_turn_carries_its_speaker_and_caption() {
        assert_eq!(
            indexed_text(Some("Caroline"), "Look!", Some("a cat")),
            "Caroline: Look! [shares a cat]"
        );
        assert_eq!(indexed_text(None, "plain", Some("")), "plain");
    }

    proptest! {
        #[test]
        fn every_word_is_in_exactly_one_passage(text in "[a-z猫é \n]{0,600}") {
            let mut end = 0;
            for range in passages(&text) {
                prop_assert!(range.start >= end);
                prop_assert!(text[end..range.start].trim().is_empty());
                end = range.end;
            }
            prop_assert!(text[end..].trim().is_empty());
        }
    }
}
