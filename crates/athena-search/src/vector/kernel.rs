//! The inner loops, in the instructions of the machine at hand.
//!
//! Each kernel is the same arithmetic on whole numbers, or on single floats without any sum across
//! lanes: which one runs changes the time and no bit of a result. The choice is made once.
#![expect(
    unsafe_code,
    reason = "instructions beyond the baseline can only be called so"
)]

use std::sync::LazyLock;

use super::{Codes, Estimates, PreparedQuery, QueryCodes};

/// Columns whose looked-up values, 63 at most and two a column, fit 16 bits when added.
const COLUMNS: usize = 512;

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
    estimate: unsafe fn(&QueryCodes, &Codes, Option<&[u64]>, &mut Estimates),
}

/// Rows of bytes, one after another, and which of them are wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) values: &'a [i8],
    pub(super) wanted: Wanted<'a>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted<'a> {
    All,
    /// Those whose bit is set: `n % 64` of word `n / 64`.
    Bits(&'a [u64]),
    /// Those with these numbers; products are in their order.
    Numbers(&'a [u32]),
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

#[cfg(test)]
thread_local! {
    static CHOSEN: std::cell::Cell<Option<&'static Kernel>> = const { std::cell::Cell::new(None) };
}

impl Kernel {
    /// Returns the fastest kernel of this machine.
    #[must_use]
    pub fn best() -> &'static Self {
        #[cfg(test)]
        if let Some(kernel) = CHOSEN.get() {
            return kernel;
        }
        &kernels()[0]
    }

    /// Makes this kernel the [`best`](Self::best) one for what is done on this thread.
    #[cfg(test)]
    pub(crate) fn chosen<T>(&'static self, act: impl FnOnce() -> T) -> T {
        CHOSEN.set(Some(self));
        let done = act();
        CHOSEN.set(None);
        done
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

    pub(super) fn estimate(
        &self,
        query: &QueryCodes,
        codes: &Codes,
        passes: Option<&[u64]>,
        estimates: &mut Estimates,
    ) {
        // SAFETY: as in `rotate`.
        unsafe { (self.estimate)(query, codes, passes, estimates) }
    }
}

/// Takes the products of the wanted rows, four at a time.
///
/// Always inlined, so that each kernel gets it in its own instructions.
#[inline(always)]
fn in_fours(
    query: &PreparedQuery,
    rows: Rows<'_>,
    products: &mut [i32],
    four: impl Fn([&[i8]; 4]) -> [i32; 4],
) {
    let count = products.len();
    let row = |number: usize| &rows.values[number * query.width()..][..query.width()];
    let itself = |number| (number, number);
    match rows.wanted {
        Wanted::All => each_four((0..count).map(itself), row, products, four),
        Wanted::Bits(words) => each_four(set_bits(words, count).map(itself), row, products, four),
        Wanted::Numbers(numbers) => {
            let places = numbers.iter().map(|number| *number as usize).enumerate();
            each_four(places, row, products, four);
        }
    }
}

/// Takes the product of each place's row, given places with the numbers of their rows.
#[inline(always)]
fn each_four<'a>(
    mut places: impl Iterator<Item = (usize, usize)>,
    row: impl Fn(usize) -> &'a [i8],
    products: &mut [i32],
    four: impl Fn([&[i8]; 4]) -> [i32; 4],
) {
    while let Some(first) = places.next() {
        // The last batch repeats its first row where it has fewer.
        let mut batch = [first; 4];
        for place in &mut batch[1..] {
            *place = places.next().unwrap_or(first);
        }
        let found = four(batch.map(|(_, number)| row(number)));
        for ((place, _), product) in batch.into_iter().zip(found) {
            products[place] = product;
        }
    }
}

/// The numbers of the bits set, ascending, below a count.
#[inline(always)]
fn set_bits(words: &[u64], count: usize) -> impl Iterator<Item = usize> {
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
