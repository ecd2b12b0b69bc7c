//! One bit a component: a first look at many rows, with a bound of how far it may be off.
//!
//! The codes are those of RaBitQ (Gao & Long 2024, "RaBitQ: Quantizing High-Dimensional Vectors
//! with a Theoretical Error Bound for Approximate Nearest Neighbor Search", SIGMOD). What a rotated
//! unit row `x` differs by from a centre `c`, `r = x − c`, is kept as its signs `s` and three
//! numbers; with a query `q` and `p = q − c`,
//!
//! `q·x = q·c + r·c + p·r`, where `p·r ≈ ‖r‖² / ‖r‖₁ × Σ s·p`.
//!
//! The estimate is unbiased over rotations, and its standard deviation is at most
//! `‖p‖·‖r‖·√((1 − t²) / (t²·(d − 1)))` with `t = ‖r‖₁ / (√d·‖r‖)`.
//!
//! `Σ s·p` is read off tables: four components have sixteen patterns of signs, whose sums a query
//! rounds to six bits each. One shuffle looks up many rows at once, as in André, Kermarrec & Le
//! Scouarnec 2015, "Cache locality is not enough: High-Performance Nearest Neighbor Search with
//! Product Quantization Fast Scan", VLDB; the sums are whole numbers, alike with every [`Kernel`].
//! On processors that count bits fast this still takes fewer instructions than to split the query
//! into bit planes and count, and the six bits make its rounding negligible.

use super::kernel::Kernel;
use super::rotation::round;
use super::{Estimates, LANES, MAX_DIMENSION, PreparedQuery};
use crate::codec::FormatError;

/// Rows of a block: their codes lie side by side, one byte of each row after the other.
pub(super) const BLOCK: usize = 32;

/// How many standard deviations the bounds leave to either side.
pub(super) const DEVIATIONS: f32 = 2.0;

const VERSION: u32 = 1;
const HEADER: usize = 12;

/// The codes of some rows, in the bytes in which they are stored.
///
/// Numbers are little-endian: version, width and rows as `u32`; then `f32`s: the centre (width of
/// them), the slopes, offsets and errors (one a row each); then the blocks: width / 8 × 32 bytes.
/// Rows are filled up to whole blocks.
#[derive(Clone, PartialEq, Eq)]
pub struct Codes {
    width: usize,
    len: usize,
    bytes: Box<[u8]>,
}

/// A block as a kernel reads it.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    /// One array per eight components: their signs, of every row.
    pub(super) columns: &'a [[u8; BLOCK]],
    pub(super) slopes: &'a [[u8; 4]; BLOCK],
    pub(super) offsets: &'a [[u8; 4]; BLOCK],
    pub(super) errors: &'a [[u8; 4]; BLOCK],
}

/// A query made ready for codes around one centre.
#[derive(Debug, Clone)]
pub struct QueryCodes {
    centre: Box<[f32]>,
    pub(super) tables: Tables,
    pub(super) line: Line,
}

/// What the sixteen patterns of four signs add to a sum, as multiples of a step: 0 to 63.
///
/// Each table twice, for shuffles that look up 32 bytes.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    /// Of the components 8j to 8j + 3.
    pub(super) low: Box<[[u8; BLOCK]]>,
    /// Of the components 8j + 4 to 8j + 7.
    pub(super) high: Box<[[u8; BLOCK]]>,
}

/// From a looked-up sum to a cosine: `base + offset + slope × (step × sum + start)`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) base: f32,
    pub(super) step: f32,
    pub(super) start: f32,
    /// What a row's error is multiplied by.
    pub(super) spread: f32,
}

/// Returns the mean of rows at unit length: a good centre for them.
///
/// `rows` is rows × width; without rows, the centre is zero.
///
/// # Panics
/// When there are not as many rows as norms.
#[must_use]
pub fn centre(width: usize, rows: &[i8], inverse_norms: &[f32]) -> Vec<f32> {
    assert_eq!(rows.len(), inverse_norms.len() * width, "rows by width");
    let mut sums = vec![0.0_f64; width];
    for (row, &norm) in rows.chunks_exact(width.max(1)).zip(inverse_norms) {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += f64::from(f32::from(value) * norm);
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "rows stay far below 2^53")]
    let count = inverse_norms.len().max(1) as f64;
    #[expect(clippy::cast_possible_truncation, reason = "rounds to half a unit")]
    sums.into_iter().map(|sum| (sum / count) as f32).collect()
}

impl Codes {
    /// Encodes rows around a centre; `rows` is rows × width, the width that of the centre.
    ///
    /// # Panics
    /// When there are not as many rows as norms, or the width is not a multiple of 64.
    #[must_use]
    pub fn encode(rows: &[i8], inverse_norms: &[f32], centre: &[f32]) -> Self {
        let (width, len) = (centre.len(), inverse_norms.len());
        assert_eq!(rows.len(), len * width, "rows by width");
        let sizes = Sizes::new(width, len).expect("a row is 64 to 65,536 components wide");
        let mut bytes = Vec::with_capacity(sizes.total);
        for number in [VERSION, sizes.width, sizes.len] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        put_floats(&mut bytes, centre.iter().copied());
        let mut blocks = vec![0_u8; sizes.blocks * width / 8 * BLOCK];
        let mut factors = Vec::with_capacity(len);
        for (number, (row, &norm)) in rows.chunks_exact(width).zip(inverse_norms).enumerate() {
            let block = &mut blocks[number / BLOCK * width / 8 * BLOCK..];
            factors.push(encode_row(row, norm, centre, number % BLOCK, block));
        }
        factors.resize(sizes.blocks * BLOCK, Factors::default());
        put_floats(&mut bytes, factors.iter().map(|it| it.slope));
        put_floats(&mut bytes, factors.iter().map(|it| it.offset));
        put_floats(&mut bytes, factors.iter().map(|it| it.error));
        bytes.extend_from_slice(&blocks);
        Self {
            width,
            len,
            bytes: bytes.into(),
        }
    }

    /// Returns the codes as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes bytes that [`Self::as_bytes`] gave, as they are.
    ///
    /// # Errors
    /// When the bytes are of another version, of the wrong length, or hold numbers that no encoding
    /// gives.
    pub fn from_bytes(bytes: Box<[u8]>) -> Result<Self, FormatError> {
        let (numbers, _) = bytes.as_chunks::<4>();
        let &[version, width, len] = numbers.first_chunk().ok_or(FormatError::Truncated)?;
        let [version, width, len] = [version, width, len].map(u32::from_le_bytes);
        if version != VERSION {
            return Err(FormatError::Version {
                found: u8::try_from(version).unwrap_or(u8::MAX),
                known: VERSION.to_le_bytes()[0],
            });
        }
        let sizes = usize::try_from(width)
            .ok()
            .zip(usize::try_from(len).ok())
            .and_then(|(width, len)| Some((width, len, Sizes::new(width, len)?)));
        let Some((width, len, sizes)) = sizes else {
            return Err(FormatError::Corrupt("codes have an impossible size"));
        };
        if bytes.len() != sizes.total {
            return Err(FormatError::Corrupt("codes have the wrong length"));
        }
        let codes = Self { width, len, bytes };
        let floats = width + 3 * sizes.blocks * BLOCK;
        let mut floats = codes.floats(0, floats).iter().copied();
        if !floats.all(|float| f32::from_le_bytes(float).abs() <= 1e6) {
            return Err(FormatError::Corrupt("codes hold an impossible number"));
        }
        Ok(codes)
    }

    /// Returns how many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Tells whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns how many components a row has, with the padding.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Returns what the rows were encoded around: as many components as a row has.
    pub fn centre(&self) -> impl Iterator<Item = f32> + '_ {
        let floats = self.floats(0, self.width).iter();
        floats.map(|float| f32::from_le_bytes(*float))
    }

    fn floats(&self, start: usize, count: usize) -> &[[u8; 4]] {
        &self.bytes[HEADER..].as_chunks().0[start..start + count]
    }

    pub(super) fn blocks(&self) -> impl Iterator<Item = Block<'_>> {
        let count = self.len.div_ceil(BLOCK);
        let factors = |kind| {
            let floats = self.floats(self.width + kind * count * BLOCK, count * BLOCK);
            floats.as_chunks().0.iter()
        };
        let start = HEADER + 4 * (self.width + 3 * count * BLOCK);
        let columns = self.bytes[start..].as_chunks().0.chunks(self.width / 8);
        columns.zip(factors(0)).zip(factors(1).zip(factors(2))).map(
            |((columns, slopes), (offsets, errors))| Block {
                columns,
                slopes,
                offsets,
                errors,
            },
        )
    }
}

impl std::fmt::Debug for Codes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Codes")
            .field("width", &self.width)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

/// How large codes are.
struct Sizes {
    width: u32,
    len: u32,
    blocks: usize,
    total: usize,
}

impl Sizes {
    fn new(width: usize, len: usize) -> Option<Self> {
        let blocks = len.div_ceil(BLOCK);
        let of_rows = blocks.checked_mul(BLOCK * (width / 8 + 3 * size_of::<f32>()))?;
        let total = of_rows.checked_add(HEADER + size_of::<f32>() * width)?;
        let is_possible = (LANES..=MAX_DIMENSION).contains(&width) && width.is_multiple_of(LANES);
        is_possible.then_some(Self {
            width: u32::try_from(width).ok()?,
            len: u32::try_from(len).ok()?,
            blocks,
            total,
        })
    }
}

fn put_floats(out: &mut Vec<u8>, floats: impl Iterator<Item = f32>) {
    out.extend(floats.flat_map(f32::to_le_bytes));
}

#[derive(Debug, Clone, Copy, Default)]
struct Factors {
    /// `‖r‖² / ‖r‖₁`.
    slope: f32,
    /// `r·c`.
    offset: f32,
    /// `‖r‖·√((1 − t²) / (t²·(d − 1)))`.
    error: f32,
}

/// Writes the signs of a row into its lane of a block.
fn encode_row(row: &[i8], norm: f32, centre: &[f32], lane: usize, block: &mut [u8]) -> Factors {
    let mut sums = [[0.0_f64; 8]; 3];
    let eights = row.as_chunks::<8>().0.iter().zip(centre.as_chunks::<8>().0);
    for (byte, (row, centre)) in block.iter_mut().skip(lane).step_by(BLOCK).zip(eights) {
        let rest: [f32; 8] = std::array::from_fn(|n| f32::from(row[n]) * norm - centre[n]);
        for n in 0..8 {
            let (rest, centre) = (f64::from(rest[n]), f64::from(centre[n]));
            sums[0][n] += rest.abs();
            sums[1][n] += rest * rest;
            sums[2][n] += rest * centre;
            *byte |= u8::from(rest >= 0.0) << n;
        }
    }
    let [manhattan, square, offset] = sums.map(super::sum_of_lanes);
    factors(row.len(), manhattan, square, offset)
}

fn factors(width: usize, manhattan: f64, square: f64, offset: f64) -> Factors {
    if manhattan == 0.0 {
        return Factors::default();
    }
    #[expect(clippy::cast_precision_loss, reason = "at most 2^16")]
    let width = width as f64;
    let t_square = (manhattan * manhattan / (width * square)).min(1.0);
    let error = (square * (1.0 - t_square) / (t_square * (width - 1.0))).sqrt();
    #[expect(clippy::cast_possible_truncation, reason = "rounds to half a unit")]
    let [slope, offset, error] = [square / manhattan, offset, error].map(|it| it as f32);
    Factors {
        slope,
        offset,
        error,
    }
}

impl QueryCodes {
    /// Prepares a query for codes, and for all others with the same centre.
    ///
    /// # Panics
    /// When the rows have another width than the query.
    #[must_use]
    pub fn new(query: &PreparedQuery, codes: &Codes) -> Self {
        assert_eq!(query.width(), codes.width, "rows as wide as the query");
        let centre: Box<[f32]> = codes.centre().collect();
        let unit: Vec<f32> = query.unit().collect();
        let pairs = || unit.iter().zip(&centre);
        let rest: Vec<f32> = pairs().map(|(query, centre)| query - centre).collect();
        let (tables, step, least) = Tables::new(&rest);
        let base: f64 = pairs().map(|(q, c)| f64::from(*q) * f64::from(*c)).sum();
        let sum: f64 = rest.iter().map(|value| f64::from(*value)).sum();
        let norm = super::sum_of_squares(&rest).sqrt();
        // Σ s·p is twice the sum where the sign is plus, less the sum of all.
        #[expect(clippy::cast_possible_truncation, reason = "rounds to half a unit")]
        let line = Line {
            base: base as f32,
            step: 2.0 * step,
            start: (2.0 * least - sum) as f32,
            spread: DEVIATIONS * norm as f32,
        };
        Self {
            centre,
            tables,
            line,
        }
    }

    /// Tells whether codes have the centre that this was made for.
    #[must_use]
    pub fn fits(&self, codes: &Codes) -> bool {
        let bits = |value: f32| value.to_bits();
        let centre = self.centre.iter().copied().map(bits);
        centre.eq(codes.centre().map(bits))
    }

    /// Appends an estimate of the cosine with every row; returns the number of the first, to which
    /// those of the others add. Numbers jump to the next multiple of 32 where codes end.
    ///
    /// Where `passes` is given, bit `n % 64` of word `n / 64` says whether row `n` is wanted.
    ///
    /// # Panics
    /// When the codes have another width, or there are fewer bits than rows.
    pub fn scan(&self, codes: &Codes, passes: Option<&[u64]>, estimates: &mut Estimates) -> usize {
        self.scan_with(Kernel::best(), codes, passes, estimates)
    }

    /// [`Self::scan`] by a kernel of one's choice; all give the same estimates.
    ///
    /// # Panics
    /// As [`Self::scan`].
    pub fn scan_with(
        &self,
        kernel: &Kernel,
        codes: &Codes,
        passes: Option<&[u64]>,
        estimates: &mut Estimates,
    ) -> usize {
        assert_eq!(self.centre.len(), codes.width, "rows as wide as the query");
        let bits = passes.map_or(codes.len, |words| words.len() * 64);
        assert!(bits >= codes.len, "a bit for every row");
        let first = estimates.reserve(codes.len);
        kernel.estimate(self, codes, passes, estimates);
        first
    }
}

impl Tables {
    /// Rounds the sums of all patterns; also returns the step of the roundings, and what a sum of
    /// zeros stands for.
    fn new(values: &[f32]) -> (Self, f32, f64) {
        let (fours, _) = values.as_chunks::<4>();
        let range = |four: &[f32; 4]| four.iter().map(|value| value.abs()).sum::<f32>();
        let widest = fours.iter().map(range).fold(0.0, f32::max);
        let step = widest / 63.0;
        let inverse = if step > 0.0 { 1.0 / step } else { 0.0 };
        let least = |four: &[f32; 4]| four.iter().map(|value| value.min(0.0)).sum::<f32>();
        let sum = fours.iter().map(|four| f64::from(least(four))).sum();
        let table = |four: &[f32; 4]| table(four, least(four), inverse);
        let (pairs, _) = fours.as_chunks::<2>();
        let tables = Self {
            low: pairs.iter().map(|[low, _]| table(low)).collect(),
            high: pairs.iter().map(|[_, high]| table(high)).collect(),
        };
        (tables, step, sum)
    }
}

fn table(four: &[f32; 4], least: f32, inverse_step: f32) -> [u8; BLOCK] {
    let mut sums = [-least; 16];
    for (bit, value) in four.iter().enumerate() {
        let (without, with) = sums.split_at_mut(1 << bit);
        for (with, without) in with.iter_mut().zip(without) {
            *with = *without + value;
        }
    }
    let mut table = [0; BLOCK];
    for (at, sum) in sums.iter().enumerate() {
        let steps = round(sum * inverse_step).clamp(0, 63);
        #[expect(clippy::cast_sign_loss, reason = "0 to 63")]
        let steps = steps as u8;
        (table[at], table[at + 16]) = (steps, steps);
    }
    table
}
