//! What the words of a query weigh.

use crate::bm25::{Gain, length_norm, saturation};
use crate::postings::Bound;

/// Lengths up to here have their norms computed once.
const TABLED: u32 = 256;

/// What one word of a query weighs; none of the weights is negative.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Word {
    /// Over whole texts: `(1 + ln count) · idf`.
    pub whole: f64,
    /// Over passages: `(1 + ln count) · idf`.
    pub passage: f64,
    /// What it counts for `match`.
    pub toward_match: f64,
}

impl Word {
    fn usable(&self) -> bool {
        let weights = [self.whole, self.passage, self.toward_match];
        weights.iter().all(|it| it.is_finite() && *it >= 0.0)
    }

    pub(super) fn in_whole(&self, saturation: f64) -> Gain {
        Gain {
            score: self.whole * saturation,
            toward_match: self.toward_match * saturation,
        }
    }

    pub(super) fn in_passage(&self, saturation: f64) -> Gain {
        Gain {
            score: self.passage * saturation,
            toward_match: self.toward_match * saturation,
        }
    }
}

/// The words of a query, each once, and the average lengths of what is searched.
///
/// Statistics come from the caller: over everything live, whatever the segments still hold.
#[derive(Debug, Clone)]
pub struct Scoring {
    words: Vec<Word>,
    whole: Norms,
    passage: Norms,
}

impl Scoring {
    /// Makes words ready for averages in words, above 0.
    ///
    /// A word whose weights are not finite or are negative counts for nothing.
    #[must_use]
    pub fn new(mut words: Vec<Word>, whole_average: f64, passage_average: f64) -> Self {
        for word in words.iter_mut().filter(|word| !word.usable()) {
            *word = Word {
                whole: 0.0,
                passage: 0.0,
                toward_match: 0.0,
            };
        }
        Self {
            words,
            whole: Norms::new(whole_average),
            passage: Norms::new(passage_average),
        }
    }

    /// How many words there are.
    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    /// What no score exceeds.
    pub(super) fn ceiling(&self) -> f64 {
        let words = 0..self.words.len();
        words.map(|word| self.at_most(word, Bound::ANY)).sum()
    }

    pub(super) fn word(&self, word: usize) -> Word {
        self.words[word]
    }

    pub(super) fn whole_saturation(&self, tf: u32, len: u32) -> f64 {
        saturation(tf, self.whole.of(len))
    }

    pub(super) fn passage_saturation(&self, tf: u32, len: u32) -> f64 {
        saturation(tf, self.passage.of(len))
    }

    /// What a word adds at most to the score of an item within a bound.
    pub(super) fn at_most(&self, word: usize, bound: Bound) -> f64 {
        let word = self.words[word];
        let whole = word.whole * bound.whole.saturation(self.whole.average);
        let passage = word.passage * bound.passage.saturation(self.passage.average);
        0.5 * whole + 0.5 * passage
    }
}

/// What lengths mean for BM25, for one average.
#[derive(Debug, Clone)]
struct Norms {
    average: f64,
    short: Vec<f64>,
}

impl Norms {
    fn new(average: f64) -> Self {
        let average = if average > 0.0 { average } else { 1.0 };
        Self {
            average,
            short: (0..TABLED).map(|len| length_norm(len, average)).collect(),
        }
    }

    #[inline]
    fn of(&self, len: u32) -> f64 {
        match self.short.get(len as usize) {
            Some(norm) => *norm,
            None => length_norm(len, self.average),
        }
    }
}
