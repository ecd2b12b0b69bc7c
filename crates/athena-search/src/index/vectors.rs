//! The vectors of one model: full ones row by row, those with gaps component by component.
//!
//! The built-in lexical vectors have many zeros, and the queries made with them consist of few
//! components: going through only those is several times less work than a scan, because all other
//! components stay untouched in memory. Which form a vector takes depends on its values alone.

use std::collections::HashMap;
use std::sync::OnceLock;

use half::f16;

use super::{GONE, renumber, slot};
use crate::vector::{dot, widen};

/// Below this dimension every vector is kept as a row.
const LEAST_GAPPY_DIMENSION: usize = 64;

#[derive(Debug, Clone)]
pub(crate) struct Vectors {
    dimension: usize,
    rows: Vec<Row>,
    full: Vec<f16>,
    gappy: Columns,
    gone: usize,
    /// The length of the sum of an item's unit vectors, by item slot.
    means: HashMap<u32, OnceLock<Option<f64>>>,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    item: u32,
    place: Place,
    norm: f64,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    /// The number of a full row.
    Full(u32),
    /// The number within every column.
    Gappy(u32),
}

/// Vectors stored by component: one column a component, one half-precision value a vector.
#[derive(Debug, Clone, Default)]
struct Columns {
    len: usize,
    columns: Vec<Vec<u16>>,
}

impl Vectors {
    pub(crate) fn new(dimension: usize) -> Self {
        Self {
            dimension,
            rows: Vec::new(),
            full: Vec::new(),
            gappy: Columns::default(),
            gone: 0,
            means: HashMap::new(),
        }
    }

    pub(crate) fn live(&self) -> usize {
        self.rows.len() - self.gone
    }

    pub(crate) fn gone(&self) -> usize {
        self.gone
    }

    pub(crate) fn push(&mut self, item: u32, values: &[f16], norm: f64) -> u32 {
        let row = slot(self.rows.len());
        let filled = values.iter().filter(|value| **value != f16::ZERO).count();
        let is_gappy =
            self.dimension >= LEAST_GAPPY_DIMENSION && filled * 16 <= self.dimension * 15;
        let place = if is_gappy {
            Place::Gappy(self.gappy.push(values))
        } else {
            let number = slot(self.full.len() / self.dimension);
            self.full.extend_from_slice(values);
            Place::Full(number)
        };
        self.rows.push(Row { item, place, norm });
        row
    }

    pub(crate) fn remove(&mut self, row: u32) {
        let row = &mut self.rows[row as usize];
        if row.item != GONE {
            self.means.remove(&row.item);
            row.item = GONE;
            self.gone += 1;
        }
    }

    pub(crate) fn forget_mean(&mut self, item: u32) {
        self.means.insert(item, OnceLock::new());
    }

    /// Returns the cosine of every row with a query of unit length.
    ///
    /// Rows whose item is not wanted hold no meaningful value.
    pub(crate) fn cosines(&self, query: &[f64], wanted: &[bool]) -> Vec<f64> {
        let gappy = self.gappy.products(query);
        let cosine = |row: &Row| {
            if row.item == GONE || !wanted[row.item as usize] {
                return 0.0;
            }
            let product = match row.place {
                Place::Full(number) => dot(query, self.full_row(number)),
                Place::Gappy(number) => gappy[number as usize],
            };
            (product / row.norm).clamp(-1.0, 1.0)
        };
        self.rows.iter().map(cosine).collect()
    }

    fn full_row(&self, number: u32) -> &[f16] {
        let start = number as usize * self.dimension;
        &self.full[start..start + self.dimension]
    }

    fn values(&self, place: Place) -> Vec<f16> {
        match place {
            Place::Full(number) => self.full_row(number).to_vec(),
            Place::Gappy(number) => self.gappy.row(number),
        }
    }

    /// Returns the length of the sum of an item's unit vectors, given its rows in passage order;
    /// `None` where they cancel out.
    pub(crate) fn sum_norm(&self, item: u32, rows: impl Iterator<Item = u32>) -> Option<f64> {
        let compute = || self.compute_sum_norm(rows);
        *self.means.get(&item)?.get_or_init(compute)
    }

    fn compute_sum_norm(&self, rows: impl Iterator<Item = u32>) -> Option<f64> {
        let mut sum = vec![0.0; self.dimension];
        for row in rows {
            let row = self.rows[row as usize];
            for (sum, value) in sum.iter_mut().zip(self.values(row.place)) {
                *sum += widen(value.to_bits()) / row.norm;
            }
        }
        Some(crate::vector::norm(sum.into_iter())).filter(|norm| *norm > 1e-6)
    }

    /// Drops the rows that are gone and renumbers; returns the new number of each row.
    pub(crate) fn compact(&mut self, item_slots: &[u32]) -> Vec<u32> {
        let row_slots = renumber(self.rows.iter().map(|row| row.item != GONE));
        let mut kept = Self::new(self.dimension);
        for row in self.rows.iter().filter(|row| row.item != GONE) {
            let item = item_slots[row.item as usize];
            kept.push(item, &self.values(row.place), row.norm);
            kept.means.insert(item, OnceLock::new());
        }
        *self = kept;
        row_slots
    }
}

impl Columns {
    fn push(&mut self, values: &[f16]) -> u32 {
        let number = slot(self.len);
        self.columns.resize_with(values.len(), Vec::new);
        for (column, value) in self.columns.iter_mut().zip(values) {
            column.push(value.to_bits());
        }
        self.len += 1;
        number
    }

    fn row(&self, number: u32) -> Vec<f16> {
        let value = |column: &Vec<u16>| f16::from_bits(column[number as usize]);
        self.columns.iter().map(value).collect()
    }

    /// The product of every vector with a query, summed in the order of the components.
    fn products(&self, query: &[f64]) -> Vec<f64> {
        let mut products = vec![0.0; self.len];
        for (column, &weight) in self.columns.iter().zip(query) {
            if weight != 0.0 {
                for (product, value) in products.iter_mut().zip(column) {
                    *product += weight * widen(*value);
                }
            }
        }
        products
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoredVector;

    const DIMENSION: usize = 96;

    /// Row n of a mixture: every third one full, the others with gaps.
    fn stored(n: usize) -> StoredVector {
        let values: Vec<f32> = (0..DIMENSION)
            .map(|at| {
                let is_gap = !n.is_multiple_of(3) && (at + n).is_multiple_of(4);
                let angle = u16::try_from(at * 31 + n * 17).unwrap();
                if is_gap {
                    0.0
                } else {
                    f32::from(angle).sin() + 1.5
                }
            })
            .collect();
        StoredVector::new(1, &values).unwrap()
    }

    fn filled(count: usize) -> Vectors {
        let mut vectors = Vectors::new(DIMENSION);
        for n in 0..count {
            let vector = stored(n);
            let item = slot(n / 2);
            assert_eq!(vectors.push(item, &vector.values, vector.norm()), slot(n));
            vectors.forget_mean(item);
        }
        vectors
    }

    fn cosine(query: &[f64], vector: &StoredVector) -> f64 {
        let pairs = query.iter().zip(&vector.values);
        pairs.map(|(q, value)| q * value.to_f64()).sum::<f64>() / vector.norm()
    }

    fn queries() -> [Vec<f64>; 2] {
        let full: Vec<f64> = (0..DIMENSION).map(|at| (at as f64).cos() / 7.0).collect();
        let mut few = vec![0.0; DIMENSION];
        (few[3], few[40]) = (0.6, -0.8);
        [full, few]
    }

    #[test]
    fn both_forms_give_the_cosine() {
        let vectors = filled(12);
        assert_eq!(vectors.gappy.len, 8);
        for query in queries() {
            let cosines = vectors.cosines(&query, &[true; 6]);
            for (n, found) in cosines.into_iter().enumerate() {
                assert!((found - cosine(&query, &stored(n))).abs() < 1e-12, "{n}");
            }
        }
    }

    #[test]
    fn compaction_keeps_what_stays() {
        let mut vectors = filled(12);
        let query = &queries()[0];
        let before = vectors.cosines(query, &[true; 6]);
        let norm = vectors.sum_norm(5, [10, 11].into_iter());
        for row in [0, 1, 4, 5] {
            vectors.remove(row);
        }
        assert_eq!((vectors.live(), vectors.gone()), (8, 4));
        let item_slots = [GONE, 0, GONE, 1, 2, 3];
        let row_slots = vectors.compact(&item_slots);
        let expected = [GONE, GONE, 0, 1, GONE, GONE, 2, 3, 4, 5, 6, 7];
        assert_eq!(row_slots, expected);
        let after = vectors.cosines(query, &[true; 4]);
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
            let vector = StoredVector::new(1, &values).unwrap();
            vectors.push(0, &vector.values, vector.norm());
        }
        vectors.forget_mean(0);
        assert_eq!(vectors.sum_norm(0, [0, 1].into_iter()), None);
    }
}
