//! 64-bit ARM, where every machine has NEON.

use std::arch::aarch64::*;

use super::{Kernel, Rows, in_fours, scalar};
use crate::vector::PreparedQuery;

/// Rotation and rounding are plain loops that the compiler turns into NEON by itself.
pub(super) const NEON: Kernel = Kernel {
    name: "neon",
    dots,
    ..scalar::SCALAR
};

fn dots(query: &PreparedQuery, rows: Rows<'_>, products: &mut [i32]) {
    in_fours(rows, products, |rows| {
        // SAFETY: NEON belongs to the baseline of this architecture.
        rows.map(|row| unsafe { dot(&query.values, row) })
    });
}

#[inline]
#[target_feature(enable = "neon")]
fn dot(query: &[i16], row: &[i8]) -> i32 {
    let mut sums = [vdupq_n_s32(0); 2];
    let pairs = query.as_chunks::<8>().0.iter().zip(row.as_chunks::<8>().0);
    for (query, row) in pairs {
        // SAFETY: 16 and 8 bytes are read, as many as the arrays have.
        let (query, row) = unsafe { (vld1q_s16(query.as_ptr()), vld1_s8(row.as_ptr())) };
        let row = vmovl_s8(row);
        sums[0] = vmlal_s16(sums[0], vget_low_s16(query), vget_low_s16(row));
        sums[1] = vmlal_high_s16(sums[1], query, row);
    }
    vaddvq_s32(vaddq_s32(sums[0], sums[1]))
}
