//! x86-64: AVX-512 with VNNI (Cascade Lake and later, Zen 4 and later), and AVX2.

use std::arch::x86_64::*;

use super::{Kernel, Rows, in_fours};
use crate::vector::{LANES, PreparedQuery, rotation};

pub(super) const AVX512: Kernel = Kernel {
    name: "avx512",
    rotate: rotate_avx512,
    round: round_avx512,
    dots: dots_avx512,
};

pub(super) const AVX2: Kernel = Kernel {
    name: "avx2",
    rotate: rotate_avx2,
    round: round_avx2,
    dots: dots_avx2,
};

pub(super) fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vnni")
}

pub(super) fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2")
}

/// A query's components, each as `256 × high + low`.
#[derive(Debug, Clone)]
pub(in crate::vector) struct Halves {
    high: Box<[[i8; LANES]]>,
    low: Box<[[i8; LANES]]>,
    /// `128 × Σ component`, modulo 2³².
    lift: i32,
}

impl Halves {
    /// Splits components within ±32,639.
    pub(in crate::vector) fn new(values: &[i16]) -> Self {
        let (high, low): (Vec<i8>, Vec<i8>) = values.iter().map(|value| split(*value)).unzip();
        let sum = values.iter().map(|value| i32::from(*value)).sum::<i32>();
        Self {
            high: high.as_chunks().0.into(),
            low: low.as_chunks().0.into(),
            lift: sum.wrapping_mul(128),
        }
    }
}

fn split(value: i16) -> (i8, i8) {
    let [low, _] = value.to_le_bytes();
    let low = low.cast_signed();
    let [high, _] = ((value - i16::from(low)) >> 8).to_le_bytes();
    (high.cast_signed(), low)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn rotate_avx512(values: &mut [f32]) {
    rotation::rotate(values);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn round_avx512(values: &[f32], out: &mut [i8]) {
    rotation::round_to_bytes(values, out);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn dots_avx512(query: &PreparedQuery, rows: Rows<'_>, products: &mut [i32]) {
    in_fours(rows, products, |rows| four_avx512(&query.halves, rows));
}

/// The instruction multiplies unsigned bytes with signed ones. So a row's bytes are lifted by 128,
/// which `128 × Σ q` takes back: `Σ q·x = 256 × Σ high·(x + 128) + Σ low·(x + 128) − 128 × Σ q`,
/// all modulo 2³², and the product fits.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn four_avx512(query: &Halves, rows: [&[i8]; 4]) -> [i32; 4] {
    let lift = _mm512_set1_epi8(-128);
    let mut high = [_mm512_setzero_si512(); 4];
    let mut low = [_mm512_setzero_si512(); 4];
    let rows = rows.map(|row| row.as_chunks::<LANES>().0);
    for (at, (query_high, query_low)) in query.high.iter().zip(&query.low).enumerate() {
        let query_high = load_512(query_high);
        let query_low = load_512(query_low);
        for n in 0..4 {
            let lifted = _mm512_xor_si512(load_512(&rows[n][at]), lift);
            high[n] = _mm512_dpbusd_epi32(high[n], lifted, query_high);
            low[n] = _mm512_dpbusd_epi32(low[n], lifted, query_low);
        }
    }
    std::array::from_fn(|n| {
        let sum = _mm512_add_epi32(_mm512_slli_epi32::<8>(high[n]), low[n]);
        _mm512_reduce_add_epi32(sum).wrapping_sub(query.lift)
    })
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_512(bytes: &[i8; 64]) -> __m512i {
    // SAFETY: 64 bytes are read, as many as there are; no alignment is asked for.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
fn rotate_avx2(values: &mut [f32]) {
    rotation::rotate(values);
}

#[target_feature(enable = "avx2")]
fn round_avx2(values: &[f32], out: &mut [i8]) {
    rotation::round_to_bytes(values, out);
}

#[target_feature(enable = "avx2")]
fn dots_avx2(query: &PreparedQuery, rows: Rows<'_>, products: &mut [i32]) {
    in_fours(rows, products, |rows| four_avx2(query, rows));
}

#[inline]
#[target_feature(enable = "avx2")]
fn four_avx2(query: &PreparedQuery, rows: [&[i8]; 4]) -> [i32; 4] {
    let mut sums = [_mm256_setzero_si256(); 4];
    let rows = rows.map(|row| row.as_chunks::<16>().0);
    for (at, values) in query.values.as_chunks::<16>().0.iter().enumerate() {
        let values = load_16_words(values);
        for n in 0..4 {
            let row = _mm256_cvtepi8_epi16(load_128(&rows[n][at]));
            sums[n] = _mm256_add_epi32(sums[n], _mm256_madd_epi16(values, row));
        }
    }
    sums.map(|sum| horizontal_sum(sum))
}

#[inline]
#[target_feature(enable = "avx2")]
fn horizontal_sum(sum: __m256i) -> i32 {
    let sum = _mm_add_epi32(
        _mm256_castsi256_si128(sum),
        _mm256_extracti128_si256::<1>(sum),
    );
    let sum = _mm_add_epi32(sum, _mm_shuffle_epi32::<0b01_00_11_10>(sum));
    let sum = _mm_add_epi32(sum, _mm_shuffle_epi32::<0b10_11_00_01>(sum));
    _mm_cvtsi128_si32(sum)
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_16_words(words: &[i16; 16]) -> __m256i {
    // SAFETY: 32 bytes are read, as many as there are; no alignment is asked for.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_128(bytes: &[i8; 16]) -> __m128i {
    // SAFETY: 16 bytes are read, as many as there are; no alignment is asked for.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}
