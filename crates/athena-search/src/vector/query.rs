//! A query made ready for products with stored rows.

#[cfg(target_arch = "x86_64")]
use super::kernel::x86::Halves;
use super::kernel::{Kernel, Rows, Wanted};
use super::rotation::{peak, round};
use super::{PEAK, StoredVector, VectorError, rotated};

/// A query's vector: rotated like the rows it is compared with, and rounded to 16 bits.
///
/// The components are scaled so that no product with a row leaves an `i32`. By Cauchy-Schwarz
/// `|Σ q·x| ≤ ‖q‖·‖x‖`, and a row of `d` components has `‖x‖ ≤ 127·√d`; so `‖q‖`, which rounding
/// lengthens by `√d / 2` at most, is kept below `2³¹ / (127·√d)`. That limit is what counts above
/// 40,000 components; below it the components use the 16 bits.
#[derive(Debug, Clone)]
pub struct PreparedQuery {
    dimension: usize,
    pub(super) values: Box<[i16]>,
    #[cfg(target_arch = "x86_64")]
    pub(super) halves: Halves,
    scale: f64,
}

/// The largest component: `256 × 127 + 127`, so that it splits into two signed bytes.
const LARGEST: f32 = 32_639.0;

impl PreparedQuery {
    /// Prepares a vector.
    ///
    /// # Errors
    /// When the vector is empty, too long, all zero or holds a number that is not finite.
    pub fn new(values: &[f32]) -> Result<Self, VectorError> {
        let rotated = rotated(Kernel::best(), values)?;
        let factor = (LARGEST / peak(&rotated)).min(longest(rotated.len()));
        #[expect(clippy::cast_possible_truncation, reason = "within ±32,639")]
        let rounded = rotated.iter().map(|value| round(value * factor) as i16);
        let rounded: Box<[i16]> = rounded.collect();
        let square = |&value: &i16| i64::from(value) * i64::from(value);
        #[expect(clippy::cast_precision_loss, reason = "below 2^16 × 2^30")]
        let norm = (rounded.iter().map(square).sum::<i64>() as f64).sqrt();
        Ok(Self {
            dimension: values.len(),
            #[cfg(target_arch = "x86_64")]
            halves: Halves::new(&rounded),
            values: rounded,
            scale: 1.0 / norm,
        })
    }

    /// Returns how many components the original vector has.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Returns how many components a row must have.
    #[must_use]
    pub fn width(&self) -> usize {
        self.values.len()
    }

    /// Returns the exact product with a row.
    ///
    /// # Panics
    /// When the row has another width.
    #[must_use]
    pub fn dot(&self, row: &[i8]) -> i32 {
        assert_eq!(row.len(), self.width(), "a row of another width");
        let mut product = [0];
        self.scan(row, None, &mut product);
        product[0]
    }

    /// Computes the exact products with rows that follow one another: `rows` is rows × width.
    ///
    /// Where `passes` is given, bit `n % 64` of word `n / 64` says whether row `n` is wanted; the
    /// products of the others stay what they were.
    ///
    /// # Panics
    /// When there are not as many rows as products, or fewer bits than rows.
    pub fn scan(&self, rows: &[i8], passes: Option<&[u64]>, products: &mut [i32]) {
        self.scan_with(Kernel::best(), rows, passes, products);
    }

    /// [`Self::scan`] by a kernel of one's choice; all give the same products.
    ///
    /// # Panics
    /// As [`Self::scan`].
    pub fn scan_with(
        &self,
        kernel: &Kernel,
        rows: &[i8],
        passes: Option<&[u64]>,
        products: &mut [i32],
    ) {
        assert_eq!(rows.len(), products.len() * self.width(), "rows by width");
        let bits = passes.map_or(products.len(), |words| words.len() * 64);
        assert!(bits >= products.len(), "a bit for every row");
        let rows = Rows {
            values: rows,
            wanted: passes.map_or(Wanted::All, Wanted::Bits),
        };
        kernel.dots(self, rows, products);
    }

    /// Computes the exact products with some of the rows, given their numbers.
    ///
    /// # Panics
    /// When there is not a product for every number, or a number has no row.
    pub fn dots(&self, rows: &[i8], numbers: &[u32], products: &mut [i32]) {
        assert_eq!(numbers.len(), products.len(), "a product for every number");
        let rows = Rows {
            values: rows,
            wanted: Wanted::Numbers(numbers),
        };
        Kernel::best().dots(self, rows, products);
    }

    /// The components at unit length.
    pub(super) fn unit(&self) -> impl Iterator<Item = f32> + '_ {
        #[expect(clippy::cast_possible_truncation, reason = "rounds to half a unit")]
        let unit = |value: &i16| (f64::from(*value) * self.scale) as f32;
        self.values.iter().map(unit)
    }

    /// Returns the cosine that a product stands for, given the row's
    /// [inverse norm](StoredVector::inverse_norm): within [−1, 1].
    #[must_use]
    pub fn cosine(&self, product: i32, inverse_norm: f32) -> f64 {
        (f64::from(product) * (self.scale * f64::from(inverse_norm))).clamp(-1.0, 1.0)
    }

    /// Returns the cosine with a stored vector of the same dimension.
    ///
    /// # Panics
    /// When the vector has another width.
    #[must_use]
    pub fn cosine_with(&self, vector: &StoredVector) -> f64 {
        self.cosine(self.dot(vector.values()), vector.inverse_norm())
    }
}

/// The length that a query of so many components may have; see [`PreparedQuery`].
fn longest(width: usize) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "at most 2^16")]
    let root = (width as f32).sqrt();
    // A thousandth less, for the rounding of the rotation and of this.
    2_145_000_000.0 / (f32::from(PEAK) * root) - root / 2.0
}
