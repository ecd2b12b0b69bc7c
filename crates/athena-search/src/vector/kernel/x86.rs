//! x86-64: AVX-512 with VNNI (Cascade Lake and later, Zen 4 and later), and AVX2.

use std::arch::x86_64::*;

use super::{COLUMNS, Kernel, Rows, in_fours};
use crate::vector::codes::{BLOCK, Tables};
use crate::vector::{Codes, Estimates, LANES, PreparedQuery, QueryCodes, estimates, rotation};

pub(super) const AVX512: Kernel = Kernel {
    name: "avx512",
    // Wider instructions are no faster there.
    rotate: rotate_avx2,
    round: round_avx2,
    dots: dots_avx512,
    estimate: estimate_avx512,
};

pub(super) const AVX2: Kernel = Kernel {
    name: "avx2",
    rotate: rotate_avx2,
    round: round_avx2,
    dots: dots_avx2,
    estimate: estimate_avx2,
};

pub(super) fn has_avx512() -> bool {
    has_avx2()
        && is_x86_feature_detected!("avx512f")
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
fn dots_avx512(query: &PreparedQuery, rows: Rows<'_>, products: &mut [i32]) {
    in_fours(query, rows, products, |rows| {
        four_avx512(&query.halves, rows)
    });
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
    let [a, b, c, d] = rows.map(|row| row.as_chunks::<LANES>().0);
    let query_parts = query.high.iter().zip(&query.low);
    for ((query, (a, b)), (c, d)) in query_parts.zip(a.iter().zip(b)).zip(c.iter().zip(d)) {
        let query_high = load_512(query.0);
        let query_low = load_512(query.1);
        for (n, row) in [a, b, c, d].into_iter().enumerate() {
            let lifted = _mm512_xor_si512(load_512(row), lift);
            high[n] = _mm512_dpbusd_epi32(high[n], lifted, query_high);
            low[n] = _mm512_dpbusd_epi32(low[n], lifted, query_low);
        }
    }
    std::array::from_fn(|n| {
        let sum = _mm512_add_epi32(_mm512_slli_epi32::<8>(high[n]), low[n]);
        _mm512_reduce_add_epi32(sum).wrapping_sub(query.lift)
    })
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn estimate_avx512(query: &QueryCodes, codes: &Codes, passes: Option<&[u64]>, out: &mut Estimates) {
    estimates::estimate(query, codes, passes, out, |tables, columns| {
        sums_avx512(tables, columns)
    });
}

/// Two columns of 32 rows at a time; four looked-up values, 252 at most, are added in bytes.
///
/// Those of odd rows are then added in 16 bits by themselves, those of even rows together with
/// them: `all = even + 256 × odd`, modulo 2¹⁶.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn sums_avx512(tables: &Tables, columns: &[[u8; BLOCK]]) -> [u32; BLOCK] {
    let mut sums = [0; BLOCK];
    let tables = tables.low.chunks(COLUMNS).zip(tables.high.chunks(COLUMNS));
    for (columns, (low, high)) in columns.chunks(COLUMNS).zip(tables) {
        let mut all = _mm512_setzero_si512();
        let mut odd = _mm512_setzero_si512();
        let tables = fours(low).iter().zip(fours(high));
        for (columns, (low, high)) in fours(columns).iter().zip(tables) {
            prefetch(columns);
            let left = look_up_512(&columns[0], &low[0], &high[0]);
            let right = look_up_512(&columns[1], &low[1], &high[1]);
            let sum = _mm512_add_epi8(left, right);
            all = _mm512_add_epi16(all, sum);
            odd = _mm512_add_epi16(odd, _mm512_srli_epi16::<8>(sum));
        }
        let even = _mm512_sub_epi16(all, _mm512_slli_epi16::<8>(odd));
        add_rows(&mut sums, halves_added(even), halves_added(odd));
    }
    sums
}

/// Asks for what follows a page later, where the processor itself would stop at the page's end.
#[inline]
#[target_feature(enable = "sse")]
fn prefetch<T>(here: &[T; 2]) {
    let ahead = here.as_ptr().cast::<i8>().wrapping_add(4096);
    _mm_prefetch::<_MM_HINT_T0>(ahead);
    _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(64));
}

/// Columns in twos and these in pairs: a width is a multiple of 64 components.
#[inline]
fn fours(columns: &[[u8; BLOCK]]) -> &[[[u8; 2 * BLOCK]; 2]] {
    columns.as_flattened().as_chunks().0.as_chunks().0
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn look_up_512(signs: &[u8; 64], low: &[u8; 64], high: &[u8; 64]) -> __m512i {
    let mask = _mm512_set1_epi8(15);
    let signs = load_512(signs);
    let low_signs = _mm512_and_si512(signs, mask);
    let high_signs = _mm512_and_si512(_mm512_srli_epi16::<4>(signs), mask);
    _mm512_add_epi8(
        _mm512_shuffle_epi8(load_512(low), low_signs),
        _mm512_shuffle_epi8(load_512(high), high_signs),
    )
}

#[inline]
#[target_feature(enable = "avx512f")]
fn halves_added(words: __m512i) -> __m256i {
    let upper = _mm512_extracti64x4_epi64::<1>(words);
    _mm256_add_epi16(_mm512_castsi512_si256(words), upper)
}

/// Adds the sums of even and of odd rows to those of all.
#[inline]
#[target_feature(enable = "avx2")]
fn add_rows(sums: &mut [u32; BLOCK], even: __m256i, odd: __m256i) {
    let mut words = [[0_u16; 16]; 2];
    // SAFETY: 32 bytes are written, as many as there are; no alignment is asked for.
    unsafe {
        _mm256_storeu_si256(words[0].as_mut_ptr().cast(), even);
        _mm256_storeu_si256(words[1].as_mut_ptr().cast(), odd);
    }
    for (at, pair) in sums.as_chunks_mut::<2>().0.iter_mut().enumerate() {
        pair[0] += u32::from(words[0][at]);
        pair[1] += u32::from(words[1][at]);
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_512<T>(bytes: &[T; 64]) -> __m512i {
    const { assert!(size_of::<T>() == 1) };
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
    in_fours(query, rows, products, |rows| four_avx2(query, rows));
}

#[inline]
#[target_feature(enable = "avx2")]
fn four_avx2(query: &PreparedQuery, rows: [&[i8]; 4]) -> [i32; 4] {
    let mut sums = [_mm256_setzero_si256(); 4];
    let [a, b, c, d] = rows.map(|row| row.as_chunks::<16>().0);
    let values = query.values.as_chunks::<16>().0.iter();
    for ((values, (a, b)), (c, d)) in values.zip(a.iter().zip(b)).zip(c.iter().zip(d)) {
        let values = load_256(values);
        for (n, row) in [a, b, c, d].into_iter().enumerate() {
            let row = _mm256_cvtepi8_epi16(load_128(row));
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

#[target_feature(enable = "avx2")]
fn estimate_avx2(query: &QueryCodes, codes: &Codes, passes: Option<&[u64]>, out: &mut Estimates) {
    estimates::estimate(query, codes, passes, out, |tables, columns| {
        sums_avx2(tables, columns)
    });
}

/// As [`sums_avx512`], one column at a time.
#[inline]
#[target_feature(enable = "avx2")]
fn sums_avx2(tables: &Tables, columns: &[[u8; BLOCK]]) -> [u32; BLOCK] {
    let mut sums = [0; BLOCK];
    let tables = tables.low.chunks(COLUMNS).zip(tables.high.chunks(COLUMNS));
    for (columns, (low, high)) in columns.chunks(COLUMNS).zip(tables) {
        let mut all = _mm256_setzero_si256();
        let mut odd = _mm256_setzero_si256();
        let tables = low.as_chunks::<2>().0.iter().zip(high.as_chunks::<2>().0);
        for (columns, (low, high)) in columns.as_chunks::<2>().0.iter().zip(tables) {
            let left = look_up_256(&columns[0], &low[0], &high[0]);
            let right = look_up_256(&columns[1], &low[1], &high[1]);
            let sum = _mm256_add_epi8(left, right);
            all = _mm256_add_epi16(all, sum);
            odd = _mm256_add_epi16(odd, _mm256_srli_epi16::<8>(sum));
        }
        let even = _mm256_sub_epi16(all, _mm256_slli_epi16::<8>(odd));
        add_rows(&mut sums, even, odd);
    }
    sums
}

#[inline]
#[target_feature(enable = "avx2")]
fn look_up_256(signs: &[u8; 32], low: &[u8; 32], high: &[u8; 32]) -> __m256i {
    let mask = _mm256_set1_epi8(15);
    let signs = load_256(signs);
    let low_signs = _mm256_and_si256(signs, mask);
    let high_signs = _mm256_and_si256(_mm256_srli_epi16::<4>(signs), mask);
    _mm256_add_epi8(
        _mm256_shuffle_epi8(load_256(low), low_signs),
        _mm256_shuffle_epi8(load_256(high), high_signs),
    )
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_256<T, const N: usize>(values: &[T; N]) -> __m256i {
    const { assert!(size_of::<T>() * N == 32) };
    // SAFETY: 32 bytes are read, as many as there are; no alignment is asked for.
    unsafe { _mm256_loadu_si256(values.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_128(bytes: &[i8; 16]) -> __m128i {
    // SAFETY: 16 bytes are read, as many as there are; no alignment is asked for.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}
