//! The plain built-in embedder: vectors made of the words themselves, with nothing to download.
//!
//! Every term of a text adds to some components of the vector, each with a sign of its own; which
//! ones is a matter of its hash ("feature hashing", Weinberger et al., 2009). Half of a term's
//! weight goes to four components for the term itself, which lose less to collisions than one; the
//! other half is spread over its groups of three and four letters, so that `iterate` and
//! `iterable`, or a slip of the keyboard, still point in similar directions. Texts that share words
//! or parts of words then do so too.
//!
//! A document's vector knows nothing of how rare its words are, so it never goes stale; the query
//! carries that weight, taken from the statistics of what is searched. The same text gives the same
//! vector on every machine.

use crate::hash::{FNV_BASIS, fnv1a, fnv1a_step};
use athena_search::analyze::{Role, query_terms, terms};
use athena_search::{TermStatistics, ln};

/// The name under which these vectors are stored. Another way of making them needs another name.
pub const MODEL_NAME: &str = "athena-lexical-v1";

/// The number of components.
pub const DIM: usize = 768;

/// How many components a term adds to by itself.
const SLOTS: u64 = 4;

/// How many letters make a group; the ends of the term count as letters.
const GROUPS: [usize; 2] = [3, 4];

/// Returns the vector of a document's text, of unit length.
///
/// A term counts `1 + ln(occurrences)`; stop words do not count. A text without any word points
/// along the first component, so that it has a direction and matches nothing by more than chance.
#[must_use]
pub fn document_vector(text: &str) -> Vec<f32> {
    let mut words: Vec<String> = terms(text)
        .into_iter()
        .filter(|term| matches!(term.role, Role::Word | Role::Whole))
        .map(|term| term.text)
        .collect();
    words.sort_unstable();
    let mut vector = vec![0.0; DIM];
    for run in words.chunk_by(|a, b| a == b) {
        let count = u32::try_from(run.len()).unwrap_or(u32::MAX);
        add_term(&mut vector, &run[0], weight(count));
    }
    unit(&vector)
}

/// Returns the vector of a query, of unit length, its words weighted by how rare they are.
///
/// A word that nothing contains has the greatest weight of all: it points away from everything.
#[must_use]
pub fn query_vector(text: &str, statistics: &dyn TermStatistics) -> Vec<f32> {
    let mut vector = vec![0.0; DIM];
    for term in query_terms(text) {
        let idf = statistics.idf(&term.text);
        add_term(&mut vector, &term.text, weight(term.count) * idf);
    }
    unit(&vector)
}

fn weight(count: u32) -> f64 {
    1.0 + ln(f64::from(count))
}

/// Adds a term and its groups of letters, each half with the same length.
fn add_term(vector: &mut [f64], term: &str, weight: f64) {
    let hash = fnv1a(term.as_bytes());
    let share = weight / (SLOTS as f64).sqrt();
    for slot in 0..SLOTS {
        let bits = scramble(hash.wrapping_add(slot.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        add_component(vector, bits, share);
    }
    let letters: Vec<char> = std::iter::once('^')
        .chain(term.chars())
        .chain(std::iter::once('$'))
        .collect();
    let groups: Vec<&[char]> = GROUPS
        .iter()
        .flat_map(|length| letters.windows(*length))
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "a term has few letters")]
    let share = weight / (groups.len() as f64).sqrt();
    for group in groups {
        add_component(vector, scramble(!fnv1a_of_letters(group)), share);
    }
}

/// Adds to the component that some bits choose, with the sign they choose.
fn add_component(vector: &mut [f64], bits: u64, weight: f64) {
    let component = ((bits >> 1) % vector.len() as u64) as usize;
    vector[component] += if bits & 1 == 0 { weight } else { -weight };
}

/// Returns the hash of letters as UTF-8.
fn fnv1a_of_letters(letters: &[char]) -> u64 {
    letters.iter().fold(FNV_BASIS, |hash, letter| {
        let mut buffer = [0; 4];
        let bytes = letter.encode_utf8(&mut buffer).as_bytes();
        bytes.iter().fold(hash, fnv1a_step)
    })
}

/// The finaliser of SplitMix64: spreads every bit of a hash over all bits.
fn scramble(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

fn unit(vector: &[f64]) -> Vec<f32> {
    let norm = vector.iter().fold(0.0, |sum, x| sum + x * x).sqrt();
    let mut unit = vec![0.0; vector.len()];
    if norm == 0.0 {
        unit[0] = 1.0;
        return unit;
    }
    for (unit, value) in unit.iter_mut().zip(vector) {
        #[expect(clippy::cast_possible_truncation, reason = "rounded to f32 on purpose")]
        let value = (value / norm) as f32;
        *unit = value;
    }
    unit
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every word is as rare as its length.
    struct ByLength;

    impl TermStatistics for ByLength {
        fn idf(&self, term: &str) -> f64 {
            f64::from(u32::try_from(term.len()).unwrap_or(u32::MAX))
        }
    }

    fn cosine(a: &[f32], b: &[f32]) -> f64 {
        let products = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
        products.sum()
    }

    fn likeness(query: &str, document: &str) -> f64 {
        cosine(&query_vector(query, &ByLength), &document_vector(document))
    }

    #[test]
    fn vectors_have_unit_length() {
        for text in [
            "one",
            "many different words in a row",
            "",
            "🙂",
            "the of and",
            "東京都",
        ] {
            let vector = document_vector(text);
            assert_eq!(vector.len(), DIM);
            assert!((cosine(&vector, &vector) - 1.0).abs() < 1e-5, "{text}");
            let vector = query_vector(text, &ByLength);
            assert!((cosine(&vector, &vector) - 1.0).abs() < 1e-5, "{text}");
        }
    }

    #[test]
    fn shared_words_are_near_and_order_does_not_matter() {
        assert_eq!(
            document_vector("red apples on the table"),
            document_vector("table: the red apple"),
        );
        assert!(likeness("red apple", "an apple that is red") > 0.95);
        assert!(likeness("red apple", "a red car") > 0.3);
        assert!(likeness("red apple", "quarterly budget figures").abs() < 0.2);
    }

    #[test]
    fn a_slip_of_the_keyboard_stays_near() {
        let slip = likeness("postgrseql", "postgresql");
        assert!(slip > 0.25 && slip < 0.9, "{slip}");
        assert!(likeness("iterable", "iterate") > likeness("iterable", "pancake") + 0.1);
    }

    #[test]
    fn the_query_carries_the_weight_of_rare_words() {
        let rare = likeness("on extraordinary", "extraordinary");
        let common = likeness("cat extraordinary", "cat");
        assert!(rare > 0.9);
        assert!(common < 0.5);
    }

    /// Stored vectors must be comparable with those of every later version.
    #[test]
    fn the_model_stays_what_it_is() {
        let vector = document_vector("athena");
        let filled: Vec<(usize, i32)> = vector
            .iter()
            .enumerate()
            .filter(|(_, value)| **value != 0.0)
            .map(|(at, value)| {
                #[expect(clippy::cast_possible_truncation, reason = "within ±1000")]
                let thousandths = (value * 1000.0).round() as i32;
                (at, thousandths)
            })
            .collect();
        let expected = [
            (9, 224),
            (53, 224),
            (107, -371),
            (110, -224),
            (120, 371),
            (151, -224),
            (296, -224),
            (330, 224),
            (407, -224),
            (493, 224),
            (570, -224),
            (636, 371),
            (691, -371),
        ];
        assert_eq!(filled, expected);
    }
}
