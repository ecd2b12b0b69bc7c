//! Estimated cosines of many rows, and which of those rows deserve an exact one.

use super::codes::{BLOCK, Block, Codes, DEVIATIONS, Line, QueryCodes, Tables};
use super::rotation::round;

/// Sums of estimates are whole multiples of this, so that their order has no say in them.
const UNITS: f32 = 4096.0;

/// The estimated cosines of rows, in blocks, as scans append them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Estimates {
    /// Negative infinity where a row is not wanted.
    values: Vec<f32>,
    errors: Vec<f32>,
    /// The largest estimate of each block.
    peaks: Vec<f32>,
    /// The largest sum of an estimate and its error of each block.
    bounds: Vec<f32>,
    sums: Sums,
}

/// Bit n at place n: a table, because the compiler makes lanes of it more readily than of shifts.
const BITS: [u32; BLOCK] = {
    let mut bits = [1; BLOCK];
    let mut at = 1;
    while at < BLOCK {
        bits[at] = bits[at - 1] << 1;
        at += 1;
    }
    bits
};

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Sums {
    count: usize,
    values: i64,
    squares: i64,
    /// Of the squares of the errors.
    errors: i64,
}

impl Estimates {
    /// Returns room for estimates.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all estimates, but keeps their room.
    pub fn clear(&mut self) {
        self.values.clear();
        self.errors.clear();
        self.peaks.clear();
        self.bounds.clear();
        self.sums = Sums::default();
    }

    /// Returns the estimates by number: negative infinity for those that are no wanted row.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Returns by number how far the exact cosine may be from the estimate: two standard deviations,
    /// which leave out five rows of a hundred.
    #[must_use]
    pub fn errors(&self) -> &[f32] {
        &self.errors
    }

    /// Returns how many rows were wanted.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sums.count
    }

    /// Returns the mean of the estimates, to 1e-4; 0 without any.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.sums.mean(self.sums.values) / f64::from(UNITS)
    }

    /// Returns the standard deviation of the exact cosines, to about 1e-3; 0 without any.
    ///
    /// That of the estimates is larger: their errors, which do not depend on the cosines, come to it.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        let square = |sum: i64| self.sums.mean(sum) / f64::from(UNITS) / f64::from(UNITS);
        let mean = self.mean();
        let errors = square(self.sums.errors) / f64::from(DEVIATIONS * DEVIATIONS);
        (square(self.sums.squares) - mean * mean - errors)
            .max(0.0)
            .sqrt()
    }

    /// Returns the numbers of the rows that may be among the best `limit`, ascending.
    ///
    /// A row may be if its upper bound reaches the `limit`-th best lower bound. At least
    /// `100 + 0.03 %` of the rows are returned, and at most `1000 + 0.2 %` (or `limit`), the best
    /// estimates, and those that are equal to the last of them: which of equal rows came first is
    /// nothing that a result may depend on.
    #[must_use]
    pub fn candidates(&self, limit: usize) -> Vec<u32> {
        let least = limit.max(100 + self.count() * 3 / 10_000);
        let most = limit.max(1000 + self.count() / 500);
        let least = self.nth_best(least);
        // Of so many rows, whose lower bounds are some of all that there are.
        let mut lower = Vec::new();
        let above = |value: f32, _| value >= least;
        self.each_row(
            |peak, _| peak >= least,
            above,
            |_, value, error| {
                lower.push(value - error);
            },
        );
        let bound = nth_largest(&mut lower, limit);
        let has_some = |peak: f32, upper: f32| peak >= least || upper >= bound;
        let reaches = |value: f32, error: f32| value >= least || value + error >= bound;
        let mut count = 0;
        self.each_mask(has_some, reaches, |_, mask| {
            count += mask.count_ones() as usize
        });
        let last = match count > most {
            true => self.nth_best(most),
            false => f32::NEG_INFINITY,
        };
        let mut numbers = Vec::with_capacity(count.min(2 * most));
        self.each_row(
            |peak, upper| peak >= last && has_some(peak, upper),
            |value, error| value >= last && reaches(value, error),
            |number, _, _| numbers.push(number),
        );
        numbers
    }

    /// The n-th best estimate: no less than the n-th largest of the blocks' best ones.
    fn nth_best(&self, n: usize) -> f32 {
        let first = nth_largest(&mut self.peaks.clone(), n);
        let mut values = Vec::new();
        self.each_row(
            |peak, _| peak >= first,
            |value, _| value >= first,
            |_, value, _| values.push(value),
        );
        nth_largest(&mut values, n)
    }

    /// Calls a function with number, estimate and error of every wanted row that passes a test, in
    /// the blocks of which the best estimate and the best upper bound pass one.
    #[inline(always)]
    fn each_row(
        &self,
        block: impl Fn(f32, f32) -> bool,
        row: impl Fn(f32, f32) -> bool,
        mut each: impl FnMut(u32, f32, f32),
    ) {
        self.each_mask(block, row, |number, mut mask| {
            let first = u32::try_from(number * BLOCK).unwrap_or(u32::MAX);
            let (values, errors) = self.block(number);
            while mask != 0 {
                let at = mask.trailing_zeros();
                mask &= mask - 1;
                each(first + at, values[at as usize], errors[at as usize]);
            }
        });
    }

    /// As [`each_row`](Self::each_row), with the number of a block and a bit for each of its rows.
    #[inline(always)]
    fn each_mask(
        &self,
        block: impl Fn(f32, f32) -> bool,
        row: impl Fn(f32, f32) -> bool,
        mut each: impl FnMut(usize, u32),
    ) {
        for (number, (&peak, &upper)) in self.peaks.iter().zip(&self.bounds).enumerate() {
            if peak == f32::NEG_INFINITY || !block(peak, upper) {
                continue;
            }
            let (values, errors) = self.block(number);
            let mut mask = 0;
            // A plain loop: the compiler makes lanes of it.
            for at in 0..BLOCK {
                let is_wanted = values[at] > f32::NEG_INFINITY && row(values[at], errors[at]);
                mask |= if is_wanted { BITS[at] } else { 0 };
            }
            if mask != 0 {
                each(number, mask);
            }
        }
    }

    /// The estimates and errors of a block.
    fn block(&self, block: usize) -> (&[f32; BLOCK], &[f32; BLOCK]) {
        let (values, errors) = (self.values.as_chunks().0, self.errors.as_chunks().0);
        (&values[block], &errors[block])
    }

    /// Makes room for so many rows more; returns the number that the first will have.
    pub(super) fn reserve(&mut self, rows: usize) -> usize {
        let blocks = rows.div_ceil(BLOCK);
        self.values.reserve(blocks * BLOCK);
        self.errors.reserve(blocks * BLOCK);
        self.peaks.reserve(blocks);
        self.bounds.reserve(blocks);
        self.values.len()
    }

    #[inline(always)]
    fn push(&mut self, line: Line, block: Block<'_>, wanted: u32, sums: [u32; BLOCK]) {
        // Plain loops: the compiler makes lanes of them.
        let mut values = [0.0; BLOCK];
        let mut errors = [0.0; BLOCK];
        for at in 0..BLOCK {
            #[expect(clippy::cast_precision_loss, reason = "below 2^21")]
            let sum = sums[at].cast_signed() as f32;
            let rest = f32::from_le_bytes(block.slopes[at]) * (line.step * sum + line.start);
            values[at] = line.base + f32::from_le_bytes(block.offsets[at]) + rest;
            errors[at] = line.spread * f32::from_le_bytes(block.errors[at]);
        }
        if wanted != u32::MAX {
            for (at, value) in values.iter_mut().enumerate() {
                if wanted & BITS[at] == 0 {
                    *value = f32::NEG_INFINITY;
                }
            }
        }
        let (mut peak, mut bound) = (i32::MIN, i32::MIN);
        let mut sums = (0_i32, 0_u32, 0_u32);
        for at in 0..BLOCK {
            let value = values[at];
            let counted = if value > f32::NEG_INFINITY {
                value
            } else {
                0.0
            };
            let units = round(counted.clamp(-2.0, 2.0) * UNITS);
            sums.0 += units;
            sums.1 += (units * units).cast_unsigned();
            let error = if value > f32::NEG_INFINITY {
                errors[at]
            } else {
                0.0
            };
            let units = round(error.clamp(0.0, 2.0) * UNITS);
            sums.2 += (units * units).cast_unsigned();
            peak = peak.max(ordered(value));
            bound = bound.max(ordered(value + errors[at]));
        }
        self.values.extend_from_slice(&values);
        self.errors.extend_from_slice(&errors);
        self.peaks.push(from_ordered(peak));
        self.bounds.push(from_ordered(bound));
        self.sums.count += wanted.count_ones() as usize;
        self.sums.values += i64::from(sums.0);
        self.sums.squares += i64::from(sums.1);
        self.sums.errors += i64::from(sums.2);
    }

    /// Appends a block of which no row is wanted.
    fn push_unwanted(&mut self) {
        self.values.extend_from_slice(&[f32::NEG_INFINITY; BLOCK]);
        self.errors.extend_from_slice(&[0.0; BLOCK]);
        self.peaks.push(f32::NEG_INFINITY);
        self.bounds.push(f32::NEG_INFINITY);
    }
}

impl Sums {
    #[expect(clippy::cast_precision_loss, reason = "rounded once, alike everywhere")]
    fn mean(&self, sum: i64) -> f64 {
        sum as f64 / self.count.max(1) as f64
    }
}

/// Puts the n largest first and returns the last of them: negative infinity if there are fewer,
/// infinity for none.
fn nth_largest(values: &mut [f32], n: usize) -> f32 {
    if n == 0 {
        return f32::INFINITY;
    }
    if values.len() < n {
        return f32::NEG_INFINITY;
    }
    *values
        .select_nth_unstable_by(n - 1, |a, b| b.total_cmp(a))
        .1
}

/// An integer for a float, in the same order.
#[inline(always)]
fn ordered(value: f32) -> i32 {
    let bits = value.to_bits().cast_signed();
    bits ^ ((bits >> 31).cast_unsigned() >> 1).cast_signed()
}

/// The float of an integer that [`ordered`] gave.
#[inline(always)]
fn from_ordered(bits: i32) -> f32 {
    let bits = bits ^ ((bits >> 31).cast_unsigned() >> 1).cast_signed();
    f32::from_bits(bits.cast_unsigned())
}

/// Estimates every wanted row, given how to look up the sums of a block.
///
/// Always inlined, so that each kernel gets it in its own instructions.
#[inline(always)]
pub(super) fn estimate(
    query: &QueryCodes,
    codes: &Codes,
    passes: Option<&[u64]>,
    estimates: &mut Estimates,
    sums: impl Fn(&Tables, &[[u8; BLOCK]]) -> [u32; BLOCK],
) {
    for (number, block) in codes.blocks().enumerate() {
        let wanted = wanted(number, codes.len(), passes);
        if wanted == 0 {
            estimates.push_unwanted();
        } else {
            let sums = sums(&query.tables, block.columns);
            estimates.push(query.line, block, wanted, sums);
        }
    }
}

/// A bit for each wanted row of a block.
#[inline(always)]
fn wanted(block: usize, rows: usize, passes: Option<&[u64]>) -> u32 {
    let present = (rows - block * BLOCK).min(BLOCK);
    let present = u32::MAX >> (BLOCK - present);
    let passing = passes.map_or(u64::MAX, |words| words[block / 2] >> (block % 2 * BLOCK));
    #[expect(clippy::cast_possible_truncation, reason = "the lower half of a word")]
    let passing = passing as u32;
    present & passing
}
