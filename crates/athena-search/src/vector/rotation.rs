//! A fixed rotation that spreads every vector evenly over its components.
//!
//! Signs are flipped by a fixed generator and the Walsh-Hadamard transform mixes the largest power
//! of two of the components from the front, then both again from the back, then the halves are
//! folded into each other; all that twice (after Ailon & Chazelle 2009, "The fast
//! Johnson-Lindenstrauss transform"). Every step is orthogonal, so products and lengths stay. It
//! depends on the padded dimension alone, and each number is made by the same additions in the same
//! order everywhere: many lanes at once change no bit.

use super::LANES;

const ROUNDS: u64 = 2;

/// Rotates a vector of a multiple of 64 components in place.
///
/// Always inlined, so that each kernel gets it in its own instructions.
#[inline(always)]
pub(super) fn rotate(values: &mut [f32]) {
    let width = values.len();
    let power = 1_usize << width.ilog2();
    for round in 0..ROUNDS {
        flip_signs(values, 2 * round);
        hadamard(&mut values[..power]);
        if power < width {
            flip_signs(values, 2 * round + 1);
            hadamard(&mut values[width - power..]);
            fold(values);
        }
    }
}

/// Flips the sign of about half the components.
#[inline(always)]
fn flip_signs(values: &mut [f32], step: u64) {
    let (chunks, _) = values.as_chunks_mut::<32>();
    for (number, chunk) in (0..).zip(chunks) {
        let signs = random(step << 32 | number);
        for (at, value) in (0..).zip(chunk) {
            *value = f32::from_bits(value.to_bits() ^ (signs << at & 0x8000_0000));
        }
    }
}

/// SplitMix64 by counter (Steele, Lea & Flood 2014); the upper half of its output.
#[inline(always)]
fn random(counter: u64) -> u32 {
    let mut bits = (counter + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((bits ^ bits >> 31) >> 32) as u32
}

/// The Walsh-Hadamard transform of a power of two of components, at the same length.
#[inline(always)]
fn hadamard(values: &mut [f32]) {
    #[expect(clippy::cast_precision_loss, reason = "a power of two up to 2^16")]
    let factor = 1.0 / (values.len() as f32).sqrt();
    let (chunks, _) = values.as_chunks_mut::<16>();
    for chunk in chunks {
        butterfly::<1>(chunk);
        butterfly::<2>(chunk);
        butterfly::<4>(chunk);
        butterfly::<8>(chunk);
        for value in chunk {
            *value *= factor;
        }
    }
    let mut stride = 16;
    while stride < values.len() {
        for pair in values.chunks_exact_mut(2 * stride) {
            let (left, right) = pair.split_at_mut(stride);
            sum_and_difference(left, right);
        }
        stride *= 2;
    }
}

#[inline(always)]
fn butterfly<const STRIDE: usize>(chunk: &mut [f32; 16]) {
    *chunk = std::array::from_fn(|at| {
        let other = chunk[at ^ STRIDE];
        if at & STRIDE == 0 {
            chunk[at] + other
        } else {
            other - chunk[at]
        }
    });
}

#[inline(always)]
fn sum_and_difference(left: &mut [f32], right: &mut [f32]) {
    for (left, right) in left.iter_mut().zip(right) {
        (*left, *right) = (*left + *right, *left - *right);
    }
}

/// Mixes each component of the front half with its counterpart of the back half.
#[inline(always)]
fn fold(values: &mut [f32]) {
    let half = values.len() / 2;
    let (left, right) = values.split_at_mut(half);
    sum_and_difference(left, right);
    for value in values {
        *value *= std::f32::consts::FRAC_1_SQRT_2;
    }
}

/// Rounds to integers, the largest component to ±127; ties to the even one.
#[inline(always)]
pub(super) fn round_to_bytes(values: &[f32], out: &mut [i8]) {
    let factor = f32::from(super::PEAK) / peak(values);
    for (value, out) in values.iter().zip(out) {
        #[expect(clippy::cast_possible_truncation, reason = "within ±127")]
        let rounded = round(value * factor) as i8;
        *out = rounded;
    }
}

/// The largest absolute value.
#[inline(always)]
pub(super) fn peak(values: &[f32]) -> f32 {
    // The bits of positive numbers are ordered as they are.
    let bits = values.iter().map(|value| value.abs().to_bits());
    f32::from_bits(bits.fold(0, u32::max))
}

/// The nearest integer of a number within ±2²², ties to the even one.
#[inline(always)]
pub(super) fn round(value: f32) -> i32 {
    // At this magnitude the last bit of a float counts ones.
    const ONES: f32 = 12_582_912.0; // 1.5 × 2^23
    (value + ONES).to_bits().cast_signed() - ONES.to_bits().cast_signed()
}

const _: () = assert!(LANES.is_multiple_of(32));
