//! The built-in embedder: vectors made of the words themselves, with nothing to download.
//!
//! Every term of a text adds to four components of the vector, each with a sign of its own; which
//! ones is a matter of its hash. Texts that share words then point in similar directions. Four
//! slots a term lose less to collisions than one ("feature hashing", Weinberger et al., 2009).
//!
//! A document's vector knows nothing of how rare its words are, so it never goes stale; the query
//! carries that weight, taken from the statistics of what is searched. The same text gives the same
//! vector on every machine.

use athena_search::analyze::{Role, query_terms, terms};
use athena_search::{TermStatistics, ln};

/// The name under which these vectors are stored. Another way of making them needs another name.
pub const MODEL_NAME: &str = "athena-lexical-v1";

/// The number of components.
pub const DIM: usize = 768;

/// How many components a term adds to.
const SLOTS: u64 = 4;

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

fn add_term(vector: &mut [f64], term: &str, weight: f64) {
    let hash = fnv1a(term.as_bytes());
    for slot in 0..SLOTS {
        let bits = scramble(hash.wrapping_add(slot.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        #[expect(
            clippy::cast_possible_truncation,
            reason = "below the dimension of the vector"
        )]
        let component = ((bits >> 1) % vector.len() as u64) as usize;
        vector[component] += if bits & 1 == 0 { weight } else { -weight };
    }
}

/// FNV-1a, 64 bits.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
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
