//! Randomness that can be repeated, and words that occur once.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Pseudo-random numbers: splitmix64 by Steele, Lea and Flood (2014).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Starts from `ATHENA_TEST_SEED` or the clock, and prints the seed.
    pub(crate) fn announced(test: &str) -> Self {
        let seed = match std::env::var("ATHENA_TEST_SEED") {
            Ok(seed) => seed.parse().expect("`ATHENA_TEST_SEED` is a number"),
            Err(_) => from_clock(),
        };
        eprintln!("{test}: ATHENA_TEST_SEED={seed}");
        Self(seed)
    }

    /// Returns a number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// Returns a time between two numbers of milliseconds.
    pub(crate) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

fn from_clock() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::from(now.subsec_nanos()) ^ now.as_secs()
}

/// Returns a word for a number below 2^40, another one for each.
///
/// Consonants alone: no stemmer, list of stop words or splitter touches it. Neighbours differ in
/// most letters.
pub(crate) fn word(number: u64) -> String {
    const LETTERS: &[u8; 16] = b"bcdfghjklmnpqrtv";
    const SPREAD: u64 = 0x9e_3779_b97f;
    let scattered = number.wrapping_mul(SPREAD);
    (0..10)
        .map(|place| char::from(LETTERS[usize::try_from((scattered >> (4 * place)) & 15).unwrap()]))
        .collect()
}

#[test]
fn words_occur_once() {
    let words: std::collections::HashSet<String> = (0..100_000).map(word).collect();
    assert_eq!(words.len(), 100_000);
}
