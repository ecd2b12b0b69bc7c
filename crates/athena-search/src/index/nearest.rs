//! How near the vectors of items are to a question's.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::Index;
use crate::bitmap::Bitmap;
use crate::segment::{Vectors, number};
use crate::spread::Spread;
use crate::vector::{Estimates, PreparedQuery, QueryCodes, padded};

/// A sum of unit vectors that is shorter than this has no direction but that of rounding.
const LEAST_SUM: f64 = 0.02;

/// How near an item's vectors are to a question's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Nearness {
    /// The cosine of its best passage, ...
    pub(crate) best: f64,
    /// ... which is this one; of equal ones the first.
    pub(crate) n: u32,
    /// The sum of the cosines of its passages, in units of 2⁻⁴⁰.
    sum: i64,
    count: u32,
}

/// The lengths of the sums of items' unit vectors, by model, dimension and slot, once asked for.
#[derive(Debug, Default)]
pub(super) struct Lengths {
    known: Mutex<HashMap<(u32, usize, u32), f64>>,
}

impl Clone for Lengths {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Nearness {
    fn of(cosine: f64, n: u32) -> Self {
        Self {
            best: cosine,
            n,
            sum: to_fixed(cosine),
            count: 1,
        }
    }

    fn add(&mut self, cosine: f64, n: u32) {
        if cosine > self.best || (cosine == self.best && n < self.n) {
            (self.best, self.n) = (cosine, n);
        }
        self.sum += to_fixed(cosine);
        self.count += 1;
    }
}

const ONE: f64 = (1_u64 << 40) as f64;

/// A cosine as an integer, so that sums do not depend on their order.
fn to_fixed(cosine: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "a cosine times 2^40 fits")]
    let fixed = (cosine * ONE).round() as i64;
    fixed
}

fn from_fixed(fixed: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "rounded once, alike everywhere")]
    let sum = fixed as f64 / ONE;
    sum
}

/// What a first look at many vectors finds.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// The slots of items that may be among the nearest, ascending.
    pub(crate) slots: Vec<usize>,
    /// How the cosines are spread, by their estimates.
    pub(crate) spread: Spread,
}

thread_local! {
    /// Memory that one question after the other uses.
    static ESTIMATES: RefCell<Estimates> = RefCell::default();
}

impl Index {
    /// Returns for each slot that passes how near its vectors of a model are, if it has any.
    pub(crate) fn nearness(
        &self,
        model: u32,
        query: &PreparedQuery,
        passing: &Bitmap,
    ) -> Vec<Option<Nearness>> {
        let mut near: Vec<Option<Nearness>> = vec![None; self.slots()];
        let mut products = Vec::new();
        for set in self.vectors(model, query.dimension()) {
            scan(
                set,
                query,
                passing,
                &mut products,
                |slot, n, cosine| match &mut near[slot as usize] {
                    Some(near) => near.add(cosine, n),
                    none => *none = Some(Nearness::of(cosine, n)),
                },
            );
        }
        near
    }

    /// Returns how near the vectors of some items are, those that have any.
    pub(crate) fn nearness_of(
        &self,
        model: u32,
        query: &PreparedQuery,
        slots: &[usize],
    ) -> Vec<(usize, Nearness)> {
        let sets: Vec<&Vectors> = self.vectors(model, query.dimension()).collect();
        let near = |slot: &usize| {
            let mut near: Option<Nearness> = None;
            for set in &sets {
                for row in set.rows(number(*slot)) {
                    let Some((_, n)) = set.owner(row) else {
                        continue;
                    };
                    let cosine = query.cosine(query.dot(set.row(row)), set.inverse_norm(row));
                    match &mut near {
                        Some(near) => near.add(cosine, n),
                        none => *none = Some(Nearness::of(cosine, n)),
                    }
                }
            }
            Some((*slot, near?))
        };
        slots.iter().filter_map(near).collect()
    }

    /// Looks through all vectors of a model by their codes for those that may be the `limit`
    /// nearest; vectors without codes are looked at themselves.
    pub(crate) fn look(
        &self,
        model: u32,
        query: &PreparedQuery,
        passing: &Bitmap,
        limit: usize,
    ) -> Look {
        ESTIMATES.with_borrow_mut(|estimates| {
            estimates.clear();
            let mut look = Look::default();
            let mut coded: Vec<(usize, &Vectors)> = Vec::new();
            let mut queries: Vec<QueryCodes> = Vec::new();
            let mut others: Vec<(f64, u32)> = Vec::new();
            let mut products = Vec::new();
            for set in self.vectors(model, query.dimension()) {
                let Some(codes) = set.codes() else {
                    scan(set, query, passing, &mut products, |slot, _, cosine| {
                        look.spread.add(cosine);
                        others.push((cosine, slot));
                    });
                    continue;
                };
                let known = queries.iter().position(|query| query.fits(codes));
                let known = known.unwrap_or_else(|| {
                    queries.push(QueryCodes::new(query, codes));
                    queries.len() - 1
                });
                let wanted = set.rows_of(passing);
                let first = queries[known].scan(codes, Some(wanted.words()), estimates);
                coded.push((first, set));
            }
            for row in estimates.candidates(limit) {
                let row = row as usize;
                let at = coded.partition_point(|(first, _)| *first <= row) - 1;
                let (first, set) = coded[at];
                look.slots
                    .extend(set.owner(row - first).map(|(slot, _)| slot as usize));
            }
            look.slots.extend(nearest(others, limit));
            look.slots.sort_unstable();
            look.slots.dedup();
            look.spread
                .add_all(estimates.count(), estimates.mean(), estimates.deviation());
            look
        })
    }

    /// Returns the items that have a vector of a model.
    pub(crate) fn with_vector(&self, model: u32, dimension: usize, among: &Bitmap) -> Bitmap {
        let mut with = Bitmap::new(self.slots(), false);
        for set in self.vectors(model, dimension) {
            for row in set.rows_of(among).iter() {
                if let Some((slot, _)) = set.owner(row) {
                    with.insert(slot as usize);
                }
            }
        }
        with
    }

    /// Returns the cosine with the mean of an item's unit vectors; that of its best one where it
    /// has no other, or where they cancel out.
    pub(crate) fn cosine_of_mean(
        &self,
        model: u32,
        dimension: usize,
        slot: usize,
        near: &Nearness,
    ) -> f64 {
        if near.count < 2 {
            return near.best;
        }
        let length = self.length_of_sum(model, dimension, number(slot));
        if length > LEAST_SUM {
            (from_fixed(near.sum) / length).clamp(-1.0, 1.0)
        } else {
            near.best
        }
    }

    fn length_of_sum(&self, model: u32, dimension: usize, slot: u32) -> f64 {
        let key = (model, dimension, slot);
        let known = || {
            let known = self.lengths.known.lock();
            known.unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(length) = known().get(&key) {
            return *length;
        }
        let mut rows: Vec<(u32, &[i8], f32)> = Vec::new();
        for set in self.vectors(model, dimension) {
            let own = set.rows(slot);
            let own = own.filter_map(|row| Some((set.owner(row)?.1, row)));
            rows.extend(own.map(|(n, row)| (n, set.row(row), set.inverse_norm(row))));
        }
        rows.sort_unstable_by_key(|(n, ..)| *n);
        let mut sum = vec![0.0; padded(dimension)];
        for (_, row, inverse_norm) in rows {
            for (sum, value) in sum.iter_mut().zip(row) {
                *sum += f64::from(*value) * f64::from(inverse_norm);
            }
        }
        let length = sum
            .iter()
            .fold(0.0, |sum, value| sum + value * value)
            .sqrt();
        known().insert(key, length);
        length
    }

    /// Forgets the length of the sum of an item's vectors, which has others now.
    pub(super) fn forget_length(&mut self, model: u32, dimension: usize, slot: u32) {
        let known = self.lengths.known.get_mut();
        let known = known.unwrap_or_else(PoisonError::into_inner);
        known.remove(&(model, dimension, slot));
    }
}

/// Calls a function with item, passage and cosine of every row whose item passes.
fn scan(
    set: &Vectors,
    query: &PreparedQuery,
    passing: &Bitmap,
    products: &mut Vec<i32>,
    mut each: impl FnMut(u32, u32, f64),
) {
    let wanted = set.rows_of(passing);
    products.clear();
    products.resize(set.len(), 0);
    query.scan(set.components(), Some(wanted.words()), products);
    for row in wanted.iter() {
        if let Some((slot, n)) = set.owner(row) {
            each(slot, n, query.cosine(products[row], set.inverse_norm(row)));
        }
    }
}

/// The slots of the `limit` nearest, and of those as near as the last of them.
fn nearest(mut found: Vec<(f64, u32)>, limit: usize) -> impl Iterator<Item = usize> {
    let by_cosine = |a: &(f64, u32), b: &(f64, u32)| b.0.total_cmp(&a.0);
    if limit > 0 && found.len() > limit {
        let (_, last, _) = found.select_nth_unstable_by(limit - 1, by_cosine);
        let last = last.0;
        found.retain(|(cosine, _)| *cosine >= last);
    }
    found.into_iter().map(|(_, slot)| slot as usize)
}
