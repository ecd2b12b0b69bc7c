//! BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009) with k1 = 1.2 and
//! b = 0.75, and the statistics it needs.

use crate::analyze::QueryTerm;
use crate::index::Index;
use crate::math::{ln, log_count};

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
        let passages = self.indexes.iter().map(|index| index.counts().1).sum();
        let postings = self.indexes.iter().filter_map(|index| index.postings(term));
        idf(passages, postings.map(|it| u64::from(it.passages)).sum())
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
}

/// A query's words and the statistics of the scope they are asked of.
#[derive(Debug, Clone)]
pub(crate) struct KeywordQuery {
    pub(crate) terms: Vec<WeightedTerm>,
    whole_average: f64,
    passage_average: f64,
    /// What a text could reach that says every word endlessly.
    pub(crate) ceiling: f64,
}

impl KeywordQuery {
    pub(crate) fn new(indexes: &[&Index], words: &[QueryTerm]) -> Self {
        let (mut items, mut passages, mut length) = (0, 0, 0);
        for index in indexes {
            let counts = index.counts();
            items += counts.0;
            passages += counts.1;
            length += counts.2;
        }
        let mut ceiling = 0.0;
        let mut terms = Vec::with_capacity(words.len());
        for word in words {
            let postings = indexes.iter().filter_map(|it| it.postings(&word.text));
            let (with_items, with_passages) = postings.fold((0, 0), |(items, passages), it| {
                (
                    items + u64::from(it.items),
                    passages + u64::from(it.passages),
                )
            });
            let repetition = log_count(word.count);
            let term = WeightedTerm {
                text: word.text.clone(),
                count: word.count,
                passage_idf: idf(passages, with_passages),
                whole_weight: repetition * idf(items, with_items),
                passage_weight: repetition * idf(passages, with_passages),
            };
            // An identifier that nobody wrote asks for no more than its parts do.
            if with_passages > 0 || !word.whole {
                ceiling += 0.5 * (term.whole_weight + term.passage_weight) * (K1 + 1.0);
            }
            terms.push(term);
        }
        Self {
            terms,
            whole_average: average(length, items),
            passage_average: average(length, passages),
            ceiling,
        }
    }

    /// What a term that occurs `tf` times in a whole text adds to its score.
    pub(crate) fn in_whole(&self, term: &WeightedTerm, tf: u32, len: u32) -> f64 {
        term.whole_weight * saturation(tf, len, self.whole_average)
    }

    /// What a term that occurs `tf` times in a passage adds to its score.
    pub(crate) fn in_passage(&self, term: &WeightedTerm, tf: u32, len: u32) -> f64 {
        term.passage_weight * saturation(tf, len, self.passage_average)
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

fn saturation(tf: u32, len: u32, average: f64) -> f64 {
    let tf = f64::from(tf);
    tf * (K1 + 1.0) / (tf + K1 * ((1.0 - B) + B * f64::from(len) / average))
}
