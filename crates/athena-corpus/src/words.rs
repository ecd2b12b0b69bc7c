//! Made-up words that occur as often as words do.

use crate::Random;

/// Words with the frequencies that Zipf and Mandelbrot found in texts: the word of rank r occurs in
/// proportion to 1 / (r + 2.7), ranks counted from 1.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    words: Vec<String>,
    /// For each word the share of text up to it.
    shares: Vec<f64>,
}

impl Vocabulary {
    /// Makes a vocabulary of `size` words, at least one.
    #[must_use]
    pub fn new(size: u32) -> Self {
        let ranks = 1..=size.max(1);
        let mut sum = 0.0;
        let mut shares: Vec<f64> = ranks
            .clone()
            .map(|rank| {
                sum += 1.0 / (f64::from(rank) + 2.7);
                sum
            })
            .collect();
        shares.iter_mut().for_each(|share| *share /= sum);
        Self {
            words: ranks.map(|rank| made_up(rank - 1)).collect(),
            shares,
        }
    }

    /// Draws a word as texts use them.
    pub fn draw(&self, random: &mut Random) -> &str {
        let at = random.share();
        let rank = self.shares.partition_point(|share| *share < at);
        self.word(rank)
    }

    /// Returns the word of a rank, counted from 0; the last one for a rank beyond it.
    #[must_use]
    pub fn word(&self, rank: usize) -> &str {
        &self.words[rank.min(self.words.len() - 1)]
    }
}

/// Returns a word for a number below 2^21: two syllables below 2^14, three above; never the same one
/// twice, because what a syllable begins with never begins the end of another.
#[must_use]
pub fn made_up(number: u32) -> String {
    const ONSETS: [&str; 16] = [
        "b", "ch", "d", "f", "g", "k", "l", "m", "n", "p", "r", "st", "t", "tr", "v", "z",
    ];
    const RIMES: [&str; 8] = ["a", "el", "i", "on", "u", "ar", "en", "o"];
    let (syllables, bits) = if number < 1 << 14 { (2, 14) } else { (3, 21) };
    // An odd factor only reorders the numbers below a power of two.
    let mut rest = number.wrapping_mul(0x9e37_79b1) & ((1 << bits) - 1);
    let mut word = String::new();
    for _ in 0..syllables {
        word.push_str(ONSETS[(rest & 15) as usize]);
        word.push_str(RIMES[(rest >> 4 & 7) as usize]);
        rest >>= 7;
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_word_stands_for_two_numbers() {
        let words: HashSet<String> = (0..60_000).map(made_up).collect();
        assert_eq!(words.len(), 60_000);
    }

    #[test]
    fn few_words_are_most_of_a_text() {
        let vocabulary = Vocabulary::new(50_000);
        let mut random = Random::new(3);
        let common: HashSet<&str> = (0..100).map(|rank| vocabulary.word(rank)).collect();
        let drawn = (0..10_000).filter(|_| common.contains(vocabulary.draw(&mut random)));
        assert!((3_000..4_500).contains(&drawn.count()));
    }
}
