//! The inner loops, in the instructions of the machine at hand.
//!
//! Each kernel is the same arithmetic on whole numbers, or on single floats without any sum across
//! lanes: which one runs changes the time and no bit of a result. The choice is made once.
#![expect(
    unsafe_code,
    reason = "instructions beyond the baseline can only be called so"
)]

use std::sync::LazyLock;

use super::PreparedQuery;

#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;
#[cfg(target_arch = "x86_64")]
pub(super) mod x86;

/// One set of instructions, of those that this machine has.
#[derive(Debug)]
pub struct Kernel {
    name: &'static str,
    rotate: unsafe fn(&mut [f32]),
    round: unsafe fn(&[f32], &mut [i8]),
    dots: unsafe fn(&PreparedQuery, Rows<'_>, &mut [i32]),
}

/// Rows of bytes, one after another, and which of them are wanted: bit `n % 64` of word `n / 64`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) values: &'a [i8],
    pub(super) passes: Option<&'a [u64]>,
}

/// Returns the kernels that this machine can run, the fastest first.
#[must_use]
pub fn kernels() -> &'static [Kernel] {
    static KERNELS: LazyLock<Vec<Kernel>> = LazyLock::new(available);
    &KERNELS
}

#[cfg(target_arch = "x86_64")]
fn available() -> Vec<Kernel> {
    let mut kernels = Vec::new();
    if x86::has_avx512() {
        kernels.push(x86::AVX512);
    }
    if x86::has_avx2() {
        kernels.push(x86::AVX2);
    }
    kernels.push(scalar::SCALAR);
    kernels
}

#[cfg(target_arch = "aarch64")]
fn available() -> Vec<Kernel> {
    vec![neon::NEON, scalar::SCALAR]
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn available() -> Vec<Kernel> {
    vec![scalar::SCALAR]
}

impl Kernel {
    /// Returns the fastest kernel of this machine.
    #[must_use]
    pub fn best() -> &'static Self {
        &kernels()[0]
    }

    /// Returns the name: `avx512`, `avx2`, `neon` or `scalar`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn rotate(&self, values: &mut [f32]) {
        // SAFETY: `available` lists a kernel only where the machine has its instructions.
        unsafe { (self.rotate)(values) }
    }

    pub(super) fn round(&self, values: &[f32], out: &mut [i8]) {
        // SAFETY: as in `rotate`.
        unsafe { (self.round)(values, out) }
    }

    pub(super) fn dots(&self, query: &PreparedQuery, rows: Rows<'_>, products: &mut [i32]) {
        // SAFETY: as in `rotate`.
        unsafe { (self.dots)(query, rows, products) }
    }
}

/// Takes the products of the wanted rows, four at a time.
#[inline(always)]
fn in_fours(rows: Rows<'_>, products: &mut [i32], four: impl Fn([&[i8]; 4]) -> [i32; 4]) {
    let count = products.len();
    match rows.passes {
        None => {
            each_four(rows.values, 0..count, products, four);
        }
        Some(words) => {
            each_four(rows.values, set_bits(words, count), products, four);
        }
    }
}

#[inline(always)]
fn each_four(
    rows: &[i8],
    mut numbers: impl Iterator<Item = usize>,
    products: &mut [i32],
    four: impl Fn([&[i8]; 4]) -> [i32; 4],
) {
    let width = rows.len().checked_div(products.len()).unwrap_or(0);
    let row = |number: usize| &rows[number * width..(number + 1) * width];
    while let Some(first) = numbers.next() {
        // The last batch repeats its first row where it has fewer.
        let mut batch = [first; 4];
        for place in &mut batch[1..] {
            *place = numbers.next().unwrap_or(first);
        }
        for (number, product) in batch.into_iter().zip(four(batch.map(row))) {
            products[number] = product;
        }
    }
}

/// The numbers of the bits set, ascending, below a count.
#[inline(always)]
pub(super) fn set_bits(words: &[u64], count: usize) -> impl Iterator<Item = usize> {
    let in_word = |(at, &word): (usize, &u64)| {
        let mut rest = word;
        std::iter::from_fn(move || {
            let bit = rest.trailing_zeros() as usize;
            rest &= rest.wrapping_sub(1);
            (bit < 64).then_some(at * 64 + bit)
        })
    };
    let numbers = words.iter().enumerate().flat_map(in_word);
    numbers.take_while(move |number| *number < count)
}
