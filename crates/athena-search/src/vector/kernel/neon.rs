//! 64-bit ARM, where every machine has NEON.

use std::arch::aarch64::*;

use super::{COLUMNS, Kernel, Rows, in_fours, scalar};
use crate::vector::codes::{BLOCK, Tables};
use crate::vector::{Codes, Estimates, PreparedQuery, QueryCodes, estimates};

/// Rotation and rounding are plain loops that the compiler turns into NEON by itself.
pub(super) const NEON: Kernel = Kernel {
    name: "neon",
    dots,
    estimate,
    ..scalar::SCALAR
};

fn dots(query: &PreparedQuery, rows: Rows<'_>, products: &mut [i32]) {
    in_fours(query, rows, products, |rows| {
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

fn estimate(query: &QueryCodes, codes: &Codes, passes: Option<&[u64]>, out: &mut Estimates) {
    estimates::estimate(query, codes, passes, out, |tables, columns| {
        // SAFETY: NEON belongs to the baseline of this architecture.
        unsafe { sums(tables, columns) }
    });
}

/// Two columns at a time: four looked-up values, 252 at most, are added in bytes.
#[inline]
#[target_feature(enable = "neon")]
fn sums(tables: &Tables, columns: &[[u8; BLOCK]]) -> [u32; BLOCK] {
    let mut sums = [0; BLOCK];
    let tables = tables.low.chunks(COLUMNS).zip(tables.high.chunks(COLUMNS));
    for (columns, (low, high)) in columns.chunks(COLUMNS).zip(tables) {
        let mut words = [vdupq_n_u16(0); 4];
        let tables = low.as_chunks::<2>().0.iter().zip(high.as_chunks::<2>().0);
        for (columns, (low, high)) in columns.as_chunks::<2>().0.iter().zip(tables) {
            for half in 0..2 {
                let left = look_up(&columns[0], &low[0], &high[0], half);
                let right = look_up(&columns[1], &low[1], &high[1], half);
                let sum = vaddq_u8(left, right);
                words[2 * half] = vaddw_u8(words[2 * half], vget_low_u8(sum));
                words[2 * half + 1] = vaddw_high_u8(words[2 * half + 1], sum);
            }
        }
        let mut added = [0_u16; BLOCK];
        for (words, added) in words.into_iter().zip(added.as_chunks_mut::<8>().0) {
            // SAFETY: 16 bytes are written, as many as there are.
            unsafe { vst1q_u16(added.as_mut_ptr(), words) };
        }
        for (sum, added) in sums.iter_mut().zip(added) {
            *sum += u32::from(added);
        }
    }
    sums
}

/// What the signs of 16 rows look up, the first or the second half of a block.
#[inline]
#[target_feature(enable = "neon")]
fn look_up(signs: &[u8; 32], low: &[u8; 32], high: &[u8; 32], half: usize) -> uint8x16_t {
    let signs = load(&signs.as_chunks::<16>().0[half]);
    let low_signs = vandq_u8(signs, vdupq_n_u8(15));
    let high_signs = vshrq_n_u8::<4>(signs);
    vaddq_u8(
        vqtbl1q_u8(load(&low.as_chunks::<16>().0[half]), low_signs),
        vqtbl1q_u8(load(&high.as_chunks::<16>().0[half]), high_signs),
    )
}

#[inline]
#[target_feature(enable = "neon")]
fn load(bytes: &[u8; 16]) -> uint8x16_t {
    // SAFETY: 16 bytes are read, as many as there are.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}
