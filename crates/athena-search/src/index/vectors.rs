//! The vectors of one model: rows of bytes, one after another.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::{GONE, renumber, slot};
use crate::vector::{PreparedQuery, StoredVector, padded};

/// A sum of unit vectors that is shorter than this has no direction but that of rounding.
const LEAST_SUM: f64 = 0.02;

#[derive(Debug, Clone)]
pub(crate) struct Vectors {
    /// Components of a row.
    width: usize,
    /// The item of each row.
    items: Vec<u32>,
    /// Rows × width.
    values: Vec<i8>,
    inverse_norms: Vec<f32>,
    gone: usize,
    /// The length of the sum of an item's unit vectors, by item slot.
    means: HashMap<u32, OnceLock<Option<f64>>>,
}

impl Vectors {
    pub(crate) fn new(dimension: usize) -> Self {
        Self {
            width: padded(dimension),
            items: Vec::new(),
            values: Vec::new(),
            inverse_norms: Vec::new(),
            gone: 0,
            means: HashMap::new(),
        }
    }

    pub(crate) fn live(&self) -> usize {
        self.items.len() - self.gone
    }

    pub(crate) fn gone(&self) -> usize {
        self.gone
    }

    pub(crate) fn push(&mut self, item: u32, vector: &StoredVector) -> u32 {
        self.push_row(item, vector.values(), vector.inverse_norm())
    }

    fn push_row(&mut self, item: u32, values: &[i8], inverse_norm: f32) -> u32 {
        let row = slot(self.items.len());
        self.items.push(item);
        self.values.extend_from_slice(values);
        self.inverse_norms.push(inverse_norm);
        row
    }

    pub(crate) fn remove(&mut self, row: u32) {
        let item = &mut self.items[row as usize];
        if *item != GONE {
            self.means.remove(item);
            *item = GONE;
            self.gone += 1;
        }
    }

    pub(crate) fn forget_mean(&mut self, item: u32) {
        self.means.insert(item, OnceLock::new());
    }

    /// Returns the cosine of every row with a query.
    ///
    /// Rows whose item is not wanted hold no meaningful value.
    pub(crate) fn cosines(&self, query: &PreparedQuery, wanted: &[bool]) -> Vec<f64> {
        let mut products = vec![0; self.items.len()];
        query.scan(&self.values, Some(&self.passes(wanted)), &mut products);
        let rows = products.iter().zip(&self.inverse_norms);
        rows.map(|(&product, &norm)| query.cosine(product, norm))
            .collect()
    }

    /// A bit for each row whose item is wanted.
    fn passes(&self, wanted: &[bool]) -> Vec<u64> {
        let is_wanted = |item: &u32| *item != GONE && wanted[*item as usize];
        let word = |items: &[u32]| {
            let bits = (0..).zip(items);
            bits.fold(0, |word, (at, item)| {
                word | u64::from(is_wanted(item)) << at
            })
        };
        self.items.chunks(64).map(word).collect()
    }

    fn row(&self, row: usize) -> &[i8] {
        &self.values[row * self.width..(row + 1) * self.width]
    }

    /// Returns the length of the sum of an item's unit vectors, given its rows in passage order;
    /// `None` where they cancel out.
    pub(crate) fn sum_norm(&self, item: u32, rows: impl Iterator<Item = u32>) -> Option<f64> {
        let compute = || self.compute_sum_norm(rows);
        *self.means.get(&item)?.get_or_init(compute)
    }

    fn compute_sum_norm(&self, rows: impl Iterator<Item = u32>) -> Option<f64> {
        let mut sum = vec![0.0; self.width];
        for row in rows {
            let row = row as usize;
            let norm = f64::from(self.inverse_norms[row]);
            for (sum, value) in sum.iter_mut().zip(self.row(row)) {
                *sum += f64::from(*value) * norm;
            }
        }
        let square = sum.iter().fold(0.0, |square, value| square + value * value);
        Some(square.sqrt()).filter(|norm| *norm > LEAST_SUM)
    }

    /// Drops the rows that are gone and renumbers; returns the new number of each row.
    pub(crate) fn compact(&mut self, item_slots: &[u32]) -> Vec<u32> {
        let row_slots = renumber(self.items.iter().map(|item| *item != GONE));
        let mut kept = Self {
            width: self.width,
            ..Self::new(0)
        };
        for (row, &item) in self.items.iter().enumerate() {
            if item != GONE {
                let item = item_slots[item as usize];
                kept.push_row(item, self.row(row), self.inverse_norms[row]);
                kept.means.insert(item, OnceLock::new());
            }
        }
        *self = kept;
        row_slots
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIMENSION: usize = 96;

    fn stored(n: usize) -> StoredVector {
        let value = |at| f32::from(u16::try_from(at * 31 + n * 17).unwrap()).sin() + 0.5;
        let values: Vec<f32> = (0..DIMENSION).map(value).collect();
        StoredVector::new(1, &values).unwrap()
    }

    fn filled(count: usize) -> Vectors {
        let mut vectors = Vectors::new(DIMENSION);
        for n in 0..count {
            let item = slot(n / 2);
            assert_eq!(vectors.push(item, &stored(n)), slot(n));
            vectors.forget_mean(item);
        }
        vectors
    }

    fn query() -> PreparedQuery {
        let values: Vec<f32> = (0..DIMENSION).map(|at| (at as f32).cos() / 7.0).collect();
        PreparedQuery::new(&values).unwrap()
    }

    #[test]
    fn every_wanted_row_gets_its_cosine() {
        let vectors = filled(140);
        let mut wanted = vec![true; 70];
        (wanted[0], wanted[33]) = (false, false);
        let query = query();
        let cosines = vectors.cosines(&query, &wanted);
        for (n, found) in cosines.into_iter().enumerate() {
            let expected = query.cosine_with(&stored(n));
            assert!(!wanted[n / 2] || found == expected, "{n}");
        }
    }

    #[test]
    fn compaction_keeps_what_stays() {
        let mut vectors = filled(12);
        let query = query();
        let before = vectors.cosines(&query, &[true; 6]);
        let norm = vectors.sum_norm(5, [10, 11].into_iter());
        assert!(norm.is_some());
        for row in [0, 1, 4, 5] {
            vectors.remove(row);
        }
        assert_eq!((vectors.live(), vectors.gone()), (8, 4));
        let item_slots = [GONE, 0, GONE, 1, 2, 3];
        let row_slots = vectors.compact(&item_slots);
        let expected = [GONE, GONE, 0, 1, GONE, GONE, 2, 3, 4, 5, 6, 7];
        assert_eq!(row_slots, expected);
        let after = vectors.cosines(&query, &[true; 4]);
        for (old, new) in row_slots
            .iter()
            .enumerate()
            .filter(|(_, new)| **new != GONE)
        {
            assert_eq!(after[*new as usize].to_bits(), before[old].to_bits());
        }
        assert_eq!(vectors.sum_norm(3, [6, 7].into_iter()), norm);
        assert_eq!((vectors.live(), vectors.gone()), (8, 0));
    }

    #[test]
    fn vectors_that_cancel_out_have_no_mean() {
        let mut vectors = Vectors::new(2);
        for values in [[1.0, 0.0], [-1.0, 0.0]] {
            vectors.push(0, &StoredVector::new(1, &values).unwrap());
        }
        vectors.forget_mean(0);
        assert_eq!(vectors.sum_norm(0, [0, 1].into_iter()), None);
    }
}
