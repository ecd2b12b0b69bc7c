//! BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009) with k1 = 1.2 and
//! b = 0.75, and the statistics it needs.

use crate::analyze::QueryTerm;
use crate::index::{InParts, Index};
use crate::keyword::{Scoring, Word};
use crate::math::{ln, log_count};
use crate::query::Query;
use crate::recipe::Recipe;
use crate::segment::Occurrences;

const K1: f64 = 1.2;
const B: f64 = 0.75;

/// How rare words are in what is searched.
///
/// An embedder that weighs the words of a query asks this; the search itself uses the same numbers.
pub trait TermStatistics {
    /// Returns the inverse document frequency of an analysed term over all passages:
    /// `ln(1 + (N − df + ½)/(df + ½))`, the largest for a term that never occurs.
    fn idf(&self, term: &str) -> f64;
}

/// The statistics of several indexes taken together.
#[derive(Debug, Clone)]
pub struct Statistics<'a> {
    indexes: Vec<&'a Index>,
}

/// Returns the statistics of indexes that are searched together.
#[must_use]
pub fn statistics<'a>(indexes: &[&'a Index]) -> Statistics<'a> {
    Statistics {
        indexes: indexes.to_vec(),
    }
}

impl TermStatistics for Statistics<'_> {
    fn idf(&self, term: &str) -> f64 {
        let passages = self
            .indexes
            .iter()
            .map(|index| index.counts().passages)
            .sum();
        let with_term = self.indexes.iter().map(|it| it.frequency(term).passages);
        idf(passages, with_term.sum())
    }
}

fn idf(count: u64, with_term: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
    let (count, with_term) = (count as f64, with_term as f64);
    ln(1.0 + (count - with_term + 0.5) / (with_term + 0.5))
}

/// A term of a query with its weights over whole texts and over passages.
#[derive(Debug, Clone)]
pub(crate) struct WeightedTerm {
    pub(crate) text: String,
    pub(crate) count: u32,
    pub(crate) passage_idf: f64,
    /// `(1 + ln count) · idf` over whole texts.
    pub(crate) whole_weight: f64,
    /// `(1 + ln count) · idf` over passages.
    pub(crate) passage_weight: f64,
    /// `(1 + ln count) · (1 + idf)` over passages: what the word counts for `match`.
    match_weight: f64,
}

/// A query's words and the statistics of the scope they are asked of.
#[derive(Debug, Clone)]
pub(crate) struct KeywordQuery<'a> {
    pub(crate) terms: Vec<WeightedTerm>,
    /// Where each term occurs: by term, index and part.
    found: Vec<Vec<InParts<'a>>>,
    whole_average: f64,
    passage_average: f64,
    /// What a text would reach for `match` that says every word endlessly.
    ceiling: f64,
}

impl<'a> KeywordQuery<'a> {
    pub(crate) fn new(indexes: &[&'a Index], words: &[QueryTerm], query: &Query) -> Self {
        let (mut items, mut passages, mut length) = (0, 0, 0);
        for index in indexes {
            let counts = index.counts();
            items += counts.items;
            passages += counts.passages;
            length += counts.words;
        }
        let mut ceiling = 0.0;
        let mut terms = Vec::with_capacity(words.len());
        let mut found = Vec::with_capacity(words.len());
        for word in words {
            let in_index = |(number, index): (usize, &&'a Index)| {
                index.occurrences(query.spelt(number, &word.text))
            };
            let in_indexes: Vec<_> = indexes.iter().enumerate().map(in_index).collect();
            let (mut with_items, mut with_passages) = (0, 0);
            for (index, found) in indexes.iter().zip(&in_indexes) {
                let frequency = index.frequency_of(found);
                with_items += frequency.items;
                with_passages += frequency.passages;
            }
            found.push(in_indexes);
            let repetition = log_count(word.count);
            let term = WeightedTerm {
                text: word.text.clone(),
                count: word.count,
                passage_idf: idf(passages, with_passages),
                whole_weight: repetition * idf(items, with_items),
                passage_weight: repetition * idf(passages, with_passages),
                match_weight: repetition * (1.0 + idf(passages, with_passages)),
            };
            ceiling += term.match_weight * asked(word, with_passages > 0) * (K1 + 1.0);
            terms.push(term);
        }
        Self {
            terms,
            found,
            whole_average: average(length, items),
            passage_average: average(length, passages),
            ceiling,
        }
    }

    /// Returns where each term occurs in a part of an index, both by number.
    pub(crate) fn in_part(
        &self,
        index: usize,
        part: usize,
    ) -> impl Iterator<Item = Option<Occurrences<'a>>> {
        self.found.iter().map(move |found| found[index][part])
    }

    /// What a term that occurs `tf` times in a whole text adds to its score.
    pub(crate) fn in_whole(&self, term: &WeightedTerm, tf: u32, len: u32) -> Gain {
        Gain::new(
            term.whole_weight,
            term,
            saturation(tf, length_norm(len, self.whole_average)),
        )
    }

    /// What a term that occurs `tf` times in a passage adds to its score.
    pub(crate) fn in_passage(&self, term: &WeightedTerm, tf: u32, len: u32) -> Gain {
        Gain::new(
            term.passage_weight,
            term,
            saturation(tf, length_norm(len, self.passage_average)),
        )
    }

    /// Returns what ranks items by these words, with the parts of a text that a recipe uses.
    pub(crate) fn scoring(&self, recipe: Recipe) -> Scoring {
        let halves = recipe.halves();
        let word = |term: &WeightedTerm| Word {
            whole: 2.0 * halves.0 * term.whole_weight,
            passage: 2.0 * halves.1 * term.passage_weight,
            toward_match: term.match_weight,
        };
        let words = self.terms.iter().map(word).collect();
        Scoring::new(words, self.whole_average, self.passage_average)
    }

    /// A text's gain as a share of what the query's words could reach.
    ///
    /// The weight of a word is 1 + idf here: in a store of three memories every word is common,
    /// and one that is in all of them still answers a question about it.
    pub(crate) fn share(&self, gain: Gain) -> f64 {
        if self.ceiling > 0.0 {
            gain.toward_match / self.ceiling
        } else {
            0.0
        }
    }
}

/// What words add to the score of a text, and to its `match`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Gain {
    pub(crate) score: f64,
    pub(crate) toward_match: f64,
}

impl Gain {
    fn new(weight: f64, term: &WeightedTerm, saturation: f64) -> Self {
        Self {
            score: weight * saturation,
            toward_match: term.match_weight * saturation,
        }
    }

    /// Half of one, half of the other.
    pub(crate) fn halves(self, other: Self) -> Self {
        Self {
            score: 0.5 * self.score + 0.5 * other.score,
            toward_match: 0.5 * self.toward_match + 0.5 * other.toward_match,
        }
    }
}

impl std::ops::AddAssign for Gain {
    fn add_assign(&mut self, other: Self) {
        self.score += other.score;
        self.toward_match += other.toward_match;
    }
}

/// How often over a word of the query is asked for, when it comes to `match`.
///
/// A name that nothing contains counts three times: a question about somebody unknown here is
/// about something else, however many of its other words occur. An unknown identifier asks for no
/// more than its parts do, and a second word of one beginning for no more than the first.
fn asked(word: &QueryTerm, known: bool) -> f64 {
    match (known, word.whole, word.name) {
        _ if word.alternative => 0.0,
        (false, true, _) => 0.0,
        (false, false, true) => 3.0,
        _ => 1.0,
    }
}

fn average(total: u64, count: u64) -> f64 {
    if total == 0 || count == 0 {
        return 1.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
    let average = total as f64 / count as f64;
    average
}

/// What the length of a text adds to the divisor of [`saturation`].
pub(crate) fn length_norm(len: u32, average: f64) -> f64 {
    K1 * ((1.0 - B) + B * f64::from(len) / average)
}

/// How much of its weight a word brings to a text that says it `tf` times: from 0 towards k1 + 1.
pub(crate) fn saturation(tf: u32, length_norm: f64) -> f64 {
    let tf = f64::from(tf);
    tf * (K1 + 1.0) / (tf + length_norm)
}

/// The largest [`saturation`] among texts that say a word at most `tf` times (none: any number of
/// times) and have at least `len_per_tf` words for each time.
///
/// Divided by tf, the saturation is (k1 + 1) / (1 + k1·(1 − b)/tf + k1·b·(len/tf)/average): it only
/// falls when 1/tf or len/tf grow.
pub(crate) fn saturation_bound(tf: Option<u32>, len_per_tf: f64, average: f64) -> f64 {
    let rarity = tf.map_or(0.0, |tf| 1.0 / f64::from(tf));
    (K1 + 1.0) / (1.0 + K1 * (1.0 - B) * rarity + K1 * B * len_per_tf / average)
}
