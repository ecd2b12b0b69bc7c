//! What every machine can do, and the definition of what the other kernels compute.

use super::{Kernel, Rows, in_fours};
use crate::vector::{PreparedQuery, rotation};

pub(super) const SCALAR: Kernel = Kernel {
    name: "scalar",
    rotate,
    round,
    dots,
};

fn rotate(values: &mut [f32]) {
    rotation::rotate(values);
}

fn round(values: &[f32], out: &mut [i8]) {
    rotation::round_to_bytes(values, out);
}

fn dots(query: &PreparedQuery, rows: Rows<'_>, products: &mut [i32]) {
    in_fours(rows, products, |rows| {
        rows.map(|row| dot(&query.values, row))
    });
}

fn dot(query: &[i16], row: &[i8]) -> i32 {
    let product = |(&q, &x): (&i16, &i8)| i32::from(q) * i32::from(x);
    let products = query.iter().zip(row).map(product);
    products.fold(0, i32::wrapping_add)
}
