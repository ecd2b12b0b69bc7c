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

/// So many of the nearest are handed to the words and to other vectors, where fewer are asked for.
const HANDED_OVER: usize = 100;

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

/// The nearest of many vectors.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// The slots of their items, ascending.
    pub(crate) slots: Vec<usize>,
    /// How the cosines of all are spread, by their estimates.
    pub(crate) spread: Spread,
}

/// Memory that one question after the other uses.
#[derive(Debug, Default)]
struct Scratch {
    estimates: Estimates,
    products: Vec<i32>,
    /// The cosine and the item of each vector that was compared in full.
    found: Vec<(f64, u32)>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
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
            let wanted = set.rows_of(passing);
            scan(set, query, 0, &wanted, &mut products, |slot, n, cosine| {
                add(&mut near[slot as usize], cosine, n);
            });
        }
        near
    }

    /// Returns how near the vectors of some items are, those that have any. `slots` ascend.
    pub(crate) fn nearness_of(
        &self,
        model: u32,
        query: &PreparedQuery,
        slots: &[usize],
    ) -> Vec<(usize, Nearness)> {
        let mut near: Vec<Option<Nearness>> = vec![None; slots.len()];
        let (mut places, mut rows, mut products) = (Vec::new(), Vec::new(), Vec::new());
        for set in self.vectors(model, query.dimension()) {
            let owners = set.owners();
            let start = slots.partition_point(|slot| *slot < owners.start);
            let own = slots[start..].iter().enumerate();
            places.clear();
            rows.clear();
            for (at, slot) in own.take_while(|(_, slot)| **slot < owners.end) {
                for row in set.rows(number(*slot)) {
                    places.push(start + at);
                    rows.push(number(row));
                }
            }
            if !set.has(rows.iter().map(|row| *row as usize)) {
                continue;
            }
            products.clear();
            products.resize(rows.len(), 0);
            query.dots(set.components(), &rows, &mut products);
            for ((place, row), product) in places.iter().zip(&rows).zip(&products) {
                let row = *row as usize;
                if let Some((_, n)) = set.owner(row) {
                    let cosine = query.cosine(*product, set.inverse_norm(row));
                    add(&mut near[*place], cosine, n);
                }
            }
        }
        let near = slots.iter().zip(near);
        near.filter_map(|(slot, near)| Some((*slot, near?)))
            .collect()
    }

    /// Returns the `limit` nearest vectors of a model, more of the nearest as far as they were seen
    /// (up to [`HANDED_OVER`]), and those as near as the last of them.
    ///
    /// All are looked through by their codes, and those that may be among the `limit` nearest are
    /// compared in full; so are vectors without codes.
    pub(crate) fn look(
        &self,
        model: u32,
        query: &PreparedQuery,
        passing: &Bitmap,
        limit: usize,
    ) -> Look {
        SCRATCH.with_borrow_mut(|scratch| {
            let Scratch {
                estimates,
                products,
                found,
            } = scratch;
            estimates.clear();
            found.clear();
            let mut spread = Spread::default();
            let mut coded: Vec<(usize, &Vectors)> = Vec::new();
            let mut queries: Vec<QueryCodes> = Vec::new();
            for set in self.vectors(model, query.dimension()) {
                let wanted = set.rows_of(passing);
                if let Some(codes) = set.codes() {
                    let known = queries.iter().position(|query| query.fits(codes));
                    let known = known.unwrap_or_else(|| {
                        queries.push(QueryCodes::new(query, codes));
                        queries.len() - 1
                    });
                    let first = queries[known].scan(codes, Some(wanted.words()), estimates);
                    coded.push((first, set));
                }
                let from = set.coded();
                scan(set, query, from, &wanted, products, |slot, _, cosine| {
                    spread.add(cosine);
                    found.push((cosine, slot));
                });
            }
            let candidates = estimates.candidates(limit);
            let mut rest = candidates.as_slice();
            while let Some(row) = rest.first() {
                let at = coded.partition_point(|(first, _)| *first <= *row as usize) - 1;
                let (first, set) = coded[at];
                let end = coded.get(at + 1).map_or(usize::MAX, |(first, _)| *first);
                let (own, later) = rest.split_at(rest.partition_point(|row| (*row as usize) < end));
                rest = later;
                let rows: Vec<u32> = own.iter().map(|row| row - number(first)).collect();
                compare(set, query, &rows, products, found);
            }
            let mut slots: Vec<usize> = nearest(found, limit.max(HANDED_OVER)).collect();
            slots.sort_unstable();
            slots.dedup();
            spread.add_all(estimates.count(), estimates.mean(), estimates.deviation());
            Look { slots, spread }
        })
    }

    /// Returns those of some items that have no vector of a model.
    pub(crate) fn without_vector(&self, model: u32, dimension: usize, among: &Bitmap) -> Bitmap {
        let mut without = among.clone();
        if let Some(with) = self.holders.get(&(model, dimension)) {
            without.subtract(with);
        }
        without
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
            if !set.has(set.rows(slot)) {
                return 0.0;
            }
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

/// Adds a passage's cosine to what is known of its item.
fn add(near: &mut Option<Nearness>, cosine: f64, n: u32) {
    match near {
        Some(near) => near.add(cosine, n),
        none => *none = Some(Nearness::of(cosine, n)),
    }
}

/// Calls a function with item, passage and cosine of every wanted row from a multiple of 64 on.
fn scan(
    set: &Vectors,
    query: &PreparedQuery,
    from: usize,
    wanted: &Bitmap,
    products: &mut Vec<i32>,
    mut each: impl FnMut(u32, u32, f64),
) {
    let rows = set.len() - from;
    let wanted = wanted.slice(from, rows);
    if !set.has(wanted.iter().map(|at| from + at)) {
        return;
    }
    products.clear();
    products.resize(rows, 0);
    let components = &set.components()[from * query.width()..];
    query.scan(components, Some(wanted.words()), products);
    for at in wanted.iter() {
        let row = from + at;
        if let Some((slot, n)) = set.owner(row) {
            each(slot, n, query.cosine(products[at], set.inverse_norm(row)));
        }
    }
}

/// Compares some rows in full.
fn compare(
    set: &Vectors,
    query: &PreparedQuery,
    rows: &[u32],
    products: &mut Vec<i32>,
    found: &mut Vec<(f64, u32)>,
) {
    if !set.has(rows.iter().map(|row| *row as usize)) {
        return;
    }
    products.clear();
    products.resize(rows.len(), 0);
    query.dots(set.components(), rows, products);
    for (row, product) in rows.iter().zip(products) {
        let row = *row as usize;
        if let Some((slot, _)) = set.owner(row) {
            found.push((query.cosine(*product, set.inverse_norm(row)), slot));
        }
    }
}

/// The slots of the `limit` nearest, and of those as near as the last of them.
fn nearest(found: &mut Vec<(f64, u32)>, limit: usize) -> impl Iterator<Item = usize> {
    let by_cosine = |a: &(f64, u32), b: &(f64, u32)| b.0.total_cmp(&a.0);
    if limit > 0 && found.len() > limit {
        let (_, last, _) = found.select_nth_unstable_by(limit - 1, by_cosine);
        let last = last.0;
        found.retain(|(cosine, _)| *cosine >= last);
    }
    found.iter().map(|(_, slot)| *slot as usize)
}
