//! What a search should find, by comparing everything with everything.

use crate::{Labels, Question, Row, dot};

/// How many hits of a question are looked at.
pub const DEPTH: usize = 10;

/// The nearest rows of every question: among all rows, and among those with each label.
#[derive(Debug, Clone)]
pub struct Truth {
    vectors: Vec<Vec<f32>>,
    all: Vec<Nearest>,
    labelled: [Vec<Nearest>; Labels::ALL.len()],
}

/// Cosines and rows, nearest first; of equal ones the earlier row first.
type Nearest = Vec<(f32, u64)>;

impl Truth {
    /// Starts with no rows.
    #[must_use]
    pub fn new(questions: &[Question]) -> Self {
        let nothing = vec![Nearest::new(); questions.len()];
        Self {
            vectors: questions.iter().map(|it| it.vector.clone()).collect(),
            labelled: std::array::from_fn(|_| nothing.clone()),
            all: nothing,
        }
    }

    /// Compares a row with every question. Rows come in the order of their numbers.
    pub fn add(&mut self, number: u64, row: &Row) {
        for (question, vector) in self.vectors.iter().enumerate() {
            let cosine = dot(vector, &row.vector);
            offer(&mut self.all[question], cosine, number);
            for (place, nearest) in self.labelled.iter_mut().enumerate() {
                if row.labels.has(place) {
                    offer(&mut nearest[question], cosine, number);
                }
            }
        }
    }

    /// Returns the rows that each question should find, nearest first: at most ten, fewer only where
    /// there are fewer. `label` is a place in [`Labels::ALL`].
    ///
    /// # Panics
    ///
    /// If there is no such label.
    #[must_use]
    pub fn nearest(&self, label: Option<usize>) -> Vec<Vec<u64>> {
        let found = label.map_or(&self.all, |place| &self.labelled[place]);
        let rows = |nearest: &Nearest| nearest.iter().map(|(_, row)| *row).collect();
        found.iter().map(rows).collect()
    }
}

fn offer(nearest: &mut Nearest, cosine: f32, row: u64) {
    if nearest.len() == DEPTH && nearest[DEPTH - 1].0 >= cosine {
        return;
    }
    let place = nearest.partition_point(|(other, _)| *other >= cosine);
    nearest.insert(place, (cosine, row));
    nearest.truncate(DEPTH);
}

/// Returns the share of what should be found that was found, as the mean over all questions. A
/// question that should find nothing is answered by anything.
#[must_use]
pub fn recall(found: &[Vec<u64>], expected: &[Vec<u64>]) -> f64 {
    let shares = found.iter().zip(expected).map(|(found, expected)| {
        let hits = expected.iter().filter(|row| found.contains(row)).count();
        match expected.len() {
            0 => 1.0,
            wanted => real(hits) / real(wanted),
        }
    });
    shares.sum::<f64>() / real(expected.len()).max(1.0)
}

/// Returns the value below which that share of sorted values lies, from 0 to 1; 0 of nothing.
#[must_use]
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let place = (0..last).find(|place| real(*place) >= share * real(last));
    sorted.get(place.unwrap_or(last)).copied().unwrap_or(0.0)
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn real(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Corpus;

    #[test]
    fn the_nearest_rows_are_found_whatever_the_label() {
        let corpus = Corpus::new();
        let questions: Vec<Question> = (0..4).map(|number| corpus.question(number)).collect();
        let rows: Vec<Row> = (0..300).map(|number| corpus.row(number)).collect();
        let mut truth = Truth::new(&questions);
        for (number, row) in (0..).zip(&rows) {
            truth.add(number, row);
        }
        for label in [None, Some(0), Some(1), Some(2), Some(3)] {
            let expected = questions.iter().map(|question| {
                let passes = |row: &&(u64, &Row)| label.is_none_or(|it| row.1.labels.has(it));
                let numbered: Vec<(u64, &Row)> = (0..).zip(&rows).collect();
                let mut passing: Vec<&(u64, &Row)> = numbered.iter().filter(passes).collect();
                let cosine = |row: &(u64, &Row)| dot(&question.vector, &row.1.vector);
                passing.sort_by(|a, b| cosine(b).total_cmp(&cosine(a)).then(a.0.cmp(&b.0)));
                passing.iter().take(DEPTH).map(|row| row.0).collect()
            });
            assert_eq!(truth.nearest(label), expected.collect::<Vec<Vec<u64>>>());
        }
    }

    #[test]
    fn equal_rows_are_found_in_their_order() {
        let corpus = Corpus::new();
        let mut truth = Truth::new(&[corpus.question(0)]);
        let row = corpus.row(0);
        (0..20).for_each(|number| truth.add(number, &row));
        assert_eq!(truth.nearest(None), [(0..10).collect::<Vec<u64>>()]);
    }

    #[test]
    fn recall_is_the_share_of_what_should_be_found() {
        let expected = [vec![1, 2], vec![3, 4], vec![]];
        let found = [vec![2, 1], vec![9, 3], vec![7]];
        assert!((recall(&found, &expected) - 2.5 / 3.0).abs() < 1e-12);
        assert_eq!(recall(&[], &[]), 0.0);
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let sorted = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(percentile(&sorted, 0.0), 1.0);
        assert_eq!(percentile(&sorted, 0.5), 3.0);
        assert_eq!(percentile(&sorted, 0.99), 4.0);
        assert_eq!(percentile(&[], 0.5), 0.0);
    }
}
