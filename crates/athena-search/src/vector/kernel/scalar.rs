//! What every machine can do, and the definition of what the other kernels compute.

use super::{Kernel, Rows, in_fours};
use crate::vector::codes::{BLOCK, Tables};
use crate::vector::{Codes, Estimates, PreparedQuery, QueryCodes, estimates, rotation};

pub(super) const SCALAR: Kernel = Kernel {
    name: "scalar",
    rotate,
    round,
    dots,
    estimate,
};

fn rotate(values: &mut [f32]) {
    rotation::rotate(values);
}

fn round(values: &[f32], out: &mut [i8]) {
    rotation::round_to_bytes(values, out);
}

fn dots(query: &PreparedQuery, rows: Rows<'_>, products: &mut [i32]) {
    in_fours(query, rows, products, |rows| {
        rows.map(|row| dot(&query.values, row))
    });
}

fn dot(query: &[i16], row: &[i8]) -> i32 {
    let product = |(&q, &x): (&i16, &i8)| i32::from(q) * i32::from(x);
    let products = query.iter().zip(row).map(product);
    products.fold(0, i32::wrapping_add)
}

fn estimate(query: &QueryCodes, codes: &Codes, passes: Option<&[u64]>, out: &mut Estimates) {
    estimates::estimate(query, codes, passes, out, sums);
}

/// Adds up what the signs of each row look up.
fn sums(tables: &Tables, columns: &[[u8; BLOCK]]) -> [u32; BLOCK] {
    let mut sums = [0; BLOCK];
    for ((column, low), high) in columns.iter().zip(&tables.low).zip(&tables.high) {
        for (sum, signs) in sums.iter_mut().zip(column) {
            let (low, high) = (low[usize::from(signs & 15)], high[usize::from(signs >> 4)]);
            *sum += u32::from(low + high);
        }
    }
    sums
}
