//! The vectors of one model: dense rows side by side, sparse ones as lists by component.
//!
//! The built-in lexical vectors are mostly zeros, and so are the queries made with them: going
//! through the lists of the query's few components is twenty times less work than a scan. Which
//! form a vector takes depends on its values alone.

use std::collections::HashMap;
use std::sync::OnceLock;

use half::f16;

use super::{GONE, renumber, slot};
use crate::vector::{Direction, widen};

/// Below this dimension every vector is dense.
const LEAST_SPARSE_DIMENSION: usize = 64;

#[derive(Debug, Clone)]
pub(crate) struct Vectors {
    dimension: usize,
    rows: Vec<Row>,
    dense: Vec<f16>,
    sparse: Vec<Component>,
    gone: usize,
    /// The length of the sum of an item's unit vectors, by item slot.
    means: HashMap<u32, OnceLock<Option<f64>>>,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    item: u32,
    /// The number of the dense row; `GONE` for a sparse one.
    dense: u32,
    norm: f64,
}

/// The rows in which a component is not zero, and its values as half-precision bits.
#[derive(Debug, Clone, Default)]
struct Component {
    rows: Vec<u32>,
    values: Vec<u16>,
}

impl Vectors {
    pub(crate) fn new(dimension: usize) -> Self {
        Self {
            dimension,
            rows: Vec::new(),
            dense: Vec::new(),
            sparse: Vec::new(),
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
        let is_sparse = self.dimension >= LEAST_SPARSE_DIMENSION && filled * 2 <= self.dimension;
        let dense = if is_sparse {
            self.push_sparse(row, values);
            GONE
        } else {
            let dense = slot(self.dense.len() / self.dimension);
            self.dense.extend_from_slice(values);
            dense
        };
        self.rows.push(Row { item, dense, norm });
        row
    }

    fn push_sparse(&mut self, row: u32, values: &[f16]) {
        self.sparse.resize_with(self.dimension, Component::default);
        for (component, value) in self.sparse.iter_mut().zip(values) {
            if *value != f16::ZERO {
                component.rows.push(row);
                component.values.push(value.to_bits());
            }
        }
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
    pub(crate) fn cosines(&self, query: &Direction, wanted: &[bool]) -> Vec<f64> {
        let mut cosines = vec![0.0; self.rows.len()];
        for (component, &weight) in self.sparse.iter().zip(&query.values) {
            if weight != 0.0 {
                for (&row, &value) in component.rows.iter().zip(&component.values) {
                    cosines[row as usize] += weight * widen(value);
                }
            }
        }
        for (cosine, row) in cosines.iter_mut().zip(&self.rows) {
            if row.item == GONE || !wanted[row.item as usize] {
                continue;
            }
            if row.dense != GONE {
                *cosine = query.dot(self.dense_row(row.dense));
            }
            *cosine = (*cosine / row.norm).clamp(-1.0, 1.0);
        }
        cosines
    }

    fn dense_row(&self, dense: u32) -> &[f16] {
        let start = dense as usize * self.dimension;
        &self.dense[start..start + self.dimension]
    }

    /// Returns the length of the sum of an item's unit vectors, given its rows in passage order.
    ///
    /// `None` where a row is sparse (such vectors are compared passage by passage only) or where
    /// the vectors cancel out.
    pub(crate) fn sum_norm(&self, item: u32, rows: impl Iterator<Item = u32>) -> Option<f64> {
        let compute = || self.compute_sum_norm(rows);
        *self.means.get(&item)?.get_or_init(compute)
    }

    fn compute_sum_norm(&self, rows: impl Iterator<Item = u32>) -> Option<f64> {
        let mut sum = vec![0.0; self.dimension];
        for row in rows {
            let row = self.rows[row as usize];
            if row.dense == GONE {
                return None;
            }
            for (sum, value) in sum.iter_mut().zip(self.dense_row(row.dense)) {
                *sum += widen(value.to_bits()) / row.norm;
            }
        }
        Some(crate::vector::norm(sum.into_iter())).filter(|norm| *norm > 1e-6)
    }

    /// Drops the rows that are gone and renumbers; returns the new number of each row.
    pub(crate) fn compact(&mut self, item_slots: &[u32]) -> Vec<u32> {
        let row_slots = renumber(self.rows.iter().map(|row| row.item != GONE));
        let old = std::mem::take(&mut self.rows);
        let mut dense = Vec::new();
        for mut row in old.into_iter().filter(|row| row.item != GONE) {
            row.item = item_slots[row.item as usize];
            if row.dense != GONE {
                let values = self.dense_row(row.dense).to_vec();
                row.dense = slot(dense.len() / self.dimension);
                dense.extend(values);
            }
            self.rows.push(row);
        }
        self.dense = dense;
        for component in &mut self.sparse {
            component.compact(&row_slots);
        }
        self.gone = 0;
        self.means = self
            .rows
            .iter()
            .map(|row| (row.item, OnceLock::new()))
            .collect();
        row_slots
    }
}

impl Component {
    fn compact(&mut self, row_slots: &[u32]) {
        let kept: Vec<(u32, u16)> = self
            .rows
            .iter()
            .zip(&self.values)
            .map(|(row, value)| (row_slots[*row as usize], *value))
            .filter(|(row, _)| *row != GONE)
            .collect();
        (self.rows, self.values) = kept.into_iter().unzip();
    }
}
