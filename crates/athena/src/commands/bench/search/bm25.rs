//! BM25 of every row by the textbook (Robertson and Zaragoza, 2009), to hold the search against.
//!
//! It shares the cutting of texts into terms with the search and nothing else. A row is one passage,
//! so that its score as a whole and as a passage are the same.

use super::answers::Found;
use athena_corpus::{DEPTH, Question};
use athena_search::analyze::{document_terms, query_terms};
use std::collections::HashMap;

const K1: f64 = 1.2;
const B: f64 = 0.75;
/// How far two scores may lie apart, in parts of the larger: sums in another order.
const TOLERANCE: f64 = 1e-9;

/// The terms of all questions in all rows.
#[derive(Debug)]
pub(super) struct Bm25 {
    /// For each question its terms, with how often it says each.
    questions: Vec<Vec<(String, u32)>>,
    /// For each of these terms the rows that have it, with how often.
    postings: HashMap<String, Vec<(u32, u32)>>,
    /// How many terms each row has.
    lengths: Vec<u32>,
}

impl Bm25 {
    /// Starts with no rows.
    pub(super) fn new(questions: &[Question]) -> Self {
        let terms = |question: &Question| {
            let terms = query_terms(&question.text).into_iter();
            terms.map(|term| (term.text, term.count)).collect()
        };
        let questions: Vec<Vec<(String, u32)>> = questions.iter().map(terms).collect();
        let terms = questions.iter().flatten();
        Self {
            postings: terms.map(|(term, _)| (term.clone(), Vec::new())).collect(),
            questions,
            lengths: Vec::new(),
        }
    }

    /// Adds the next row.
    pub(super) fn add(&mut self, text: &str) {
        let row = u32::try_from(self.lengths.len()).unwrap_or(u32::MAX);
        let terms = document_terms(text);
        for (term, count) in &terms.terms {
            if let Some(postings) = self.postings.get_mut(term) {
                postings.push((row, *count));
            }
        }
        self.lengths.push(terms.len);
    }

    /// Returns the share of questions whose hits are the best rows in the right order; rows of equal
    /// scores may stand in any.
    pub(super) fn share_in_order(&self, hits: &[Vec<Found>]) -> f64 {
        let right = |(question, hits): (usize, &Vec<Found>)| {
            let scores = self.scores(question);
            let mut best: Vec<f64> = scores.values().copied().collect();
            best.sort_by(|a, b| b.total_cmp(a));
            best.truncate(DEPTH);
            let right = |(hit, best): (&Found, &f64)| {
                let score = u32::try_from(hit.row).ok().and_then(|row| scores.get(&row));
                score.is_some_and(|score| equal(*score, *best)) && equal(hit.keyword, *best)
            };
            hits.len() == best.len() && hits.iter().zip(&best).all(right)
        };
        let right = hits.iter().enumerate().filter(|it| right(*it)).count();
        super::gauge::real(u64::try_from(right).unwrap_or(0))
            / super::gauge::real(u64::try_from(hits.len().max(1)).unwrap_or(1))
    }

    fn scores(&self, question: usize) -> HashMap<u32, f64> {
        let rows = f64::from(u32::try_from(self.lengths.len()).unwrap_or(u32::MAX));
        let average = self.lengths.iter().map(|it| f64::from(*it)).sum::<f64>() / rows.max(1.0);
        let mut scores = HashMap::new();
        for (term, asked) in &self.questions[question] {
            let postings = &self.postings[term];
            let with_term = f64::from(u32::try_from(postings.len()).unwrap_or(u32::MAX));
            let idf = (1.0 + (rows - with_term + 0.5) / (with_term + 0.5)).ln();
            let weight = (1.0 + f64::from(*asked).ln()) * idf;
            for (row, count) in postings {
                let length = self.lengths.get(*row as usize).copied().unwrap_or(0);
                let count = f64::from(*count);
                let norm = K1 * (1.0 - B + B * f64::from(length) / average);
                *scores.entry(*row).or_insert(0.0) += weight * count * (K1 + 1.0) / (count + norm);
            }
        }
        scores
    }
}

fn equal(a: f64, b: f64) -> bool {
    (a - b).abs() <= TOLERANCE * a.abs().max(b.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(row: u64, keyword: f64) -> Found {
        Found { row, keyword }
    }

    #[test]
    fn only_the_exact_order_counts() {
        let question = Question {
            text: "gamo bistu".into(),
            vector: Vec::new(),
        };
        let mut bm25 = Bm25::new(&[question]);
        for text in [
            "gamo bistu lano",
            "gamo lano vona",
            "tirel",
            "gamo tirel tirel tirel",
        ] {
            bm25.add(text);
        }
        let scores = bm25.scores(0);
        let score = |row: u32| scores[&row];
        assert!(score(0) > score(1) && score(1) > score(3) && scores.len() == 3);
        let right = vec![found(0, score(0)), found(1, score(1)), found(3, score(3))];
        assert_eq!(bm25.share_in_order(std::slice::from_ref(&right)), 1.0);
        let swapped = vec![right[1], right[0], right[2]];
        let missing = right[..2].to_vec();
        let imprecise = vec![found(0, score(0) * 1.001), right[1], right[2]];
        for wrong in [swapped, missing, imprecise] {
            assert_eq!(bm25.share_in_order(&[wrong]), 0.0);
        }
    }
}
