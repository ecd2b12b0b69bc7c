//! Vectors as they are stored, and the products taken with them.
//!
//! A vector is scaled to unit length, rotated and rounded to one signed byte a
//! component. The rotation keeps every angle and spreads what a vector has to say evenly over its
//! components, so that rounding costs every vector alike: cosines are off by less than 2e-3,
//! whatever model made the vector, and by 3e-4 as a rule at 768 components.
//!
//! A query is rotated too and rounded to 16 bits ([`PreparedQuery`]), so that its product with a
//! row is an integer that every machine computes alike, whichever [`Kernel`] does it.
//!
//! Among many rows, [`Codes`] of a bit a component say first which are worth that product.

use crate::codec::{FormatError, Reader, put_varint};

mod codes;
mod estimates;
mod kernel;
mod query;
mod rotation;

pub use codes::{Codes, QueryCodes, centre};
pub use estimates::Estimates;
pub use kernel::{Kernel, kernels};
pub use query::PreparedQuery;

/// The largest dimension a vector may have.
pub const MAX_DIMENSION: usize = 1 << 16;

/// Rows are padded with zeros, before they are rotated, to a multiple of this many components.
pub const LANES: usize = 64;

/// The largest component of a row; −128 does not occur.
const PEAK: i8 = i8::MAX;

/// A vector of a model, in the precision in which it is indexed.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredVector {
    /// The number of the model that made it; the store keeps the names.
    pub model: u32,
    dimension: usize,
    values: Box<[i8]>,
    inverse_norm: f32,
}

/// Why a vector cannot be stored or searched with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VectorError {
    /// It has no components, or more than 65,536.
    #[error("a vector needs 1 to 65536 components, this one has `{0}`")]
    Dimension(usize),
    /// A component is NaN or infinite.
    #[error("component `{0}` of the vector is not a finite number")]
    NotFinite(usize),
    /// All components are zero: it points nowhere.
    #[error("the vector has no direction: all its components are zero")]
    Zero,
}

impl StoredVector {
    /// Scales a vector to unit length, rotates it and rounds it to bytes.
    ///
    /// # Errors
    /// When the vector is empty, too long, all zero or holds a number that is not finite.
    pub fn new(model: u32, values: &[f32]) -> Result<Self, VectorError> {
        Self::new_with(Kernel::best(), model, values)
    }

    /// [`Self::new`] by a kernel of one's choice; all give the same vector.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn new_with(kernel: &Kernel, model: u32, values: &[f32]) -> Result<Self, VectorError> {
        let mut rounded = vec![0_i8; padded(values.len())];
        kernel.round(&rotated(kernel, values)?, &mut rounded);
        Ok(Self::from_row(model, values.len(), rounded.into()))
    }

    pub(crate) fn from_row(model: u32, dimension: usize, values: Box<[i8]>) -> Self {
        Self {
            model,
            dimension,
            inverse_norm: inverse_norm(&values),
            values,
        }
    }

    /// Returns how many components the original vector has.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Returns the rotated components, within ±127; [`padded`] to more than the original has.
    #[must_use]
    pub fn values(&self) -> &[i8] {
        &self.values
    }

    /// Returns what scales the components to unit length.
    #[must_use]
    pub fn inverse_norm(&self) -> f32 {
        self.inverse_norm
    }
}

/// Returns how many components a row has for vectors of a dimension: the next multiple of 64.
#[must_use]
pub fn padded(dimension: usize) -> usize {
    dimension.next_multiple_of(LANES)
}

/// Returns a vector scaled to unit length.
///
/// # Errors
/// When the vector is empty, too long, all zero or holds a number that is not finite.
pub fn unit(values: &[f32]) -> Result<Vec<f32>, VectorError> {
    let mut scaled = Vec::new();
    push_unit(values, &mut scaled)?;
    Ok(scaled)
}

fn push_unit(values: &[f32], out: &mut Vec<f32>) -> Result<(), VectorError> {
    if values.is_empty() || values.len() > MAX_DIMENSION {
        return Err(VectorError::Dimension(values.len()));
    }
    // The square of any f32 is a normal f64, and no sum of 65,536 of them overflows.
    let square = sum_of_squares(values);
    if square == 0.0 {
        return Err(VectorError::Zero);
    }
    if !square.is_finite() {
        let at = values.iter().position(|value| !value.is_finite());
        return Err(VectorError::NotFinite(at.unwrap_or_default()));
    }
    let factor = 1.0 / square.sqrt();
    #[expect(clippy::cast_possible_truncation, reason = "rounds to half a unit")]
    out.extend(
        values
            .iter()
            .map(|&value| (f64::from(value) * factor) as f32),
    );
    Ok(())
}

/// Sums in eight lanes and a fixed tree: the order never depends on the machine.
fn sum_of_squares(values: &[f32]) -> f64 {
    let mut lanes = [0.0_f64; 8];
    let (chunks, rest) = values.as_chunks::<8>();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += f64::from(value) * f64::from(value);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane += f64::from(value) * f64::from(value);
    }
    sum_of_lanes(lanes)
}

fn sum_of_lanes([a, b, c, d, e, f, g, h]: [f64; 8]) -> f64 {
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// A vector at unit length, padded and rotated.
fn rotated(kernel: &Kernel, values: &[f32]) -> Result<Vec<f32>, VectorError> {
    let width = padded(values.len());
    let mut rotated = Vec::with_capacity(width.min(MAX_DIMENSION));
    push_unit(values, &mut rotated)?;
    rotated.resize(width, 0.0);
    kernel.rotate(&mut rotated);
    Ok(rotated)
}

/// One by the length of a row; the sum of its squares is an exact integer below 2³¹.
fn inverse_norm(row: &[i8]) -> f32 {
    let square = |&value: &i8| i32::from(value) * i32::from(value);
    let sum: i32 = row.iter().map(square).sum();
    #[expect(clippy::cast_possible_truncation, reason = "rounds to half a unit")]
    let inverse = (1.0 / f64::from(sum).sqrt()) as f32;
    inverse
}

/// The form of a vector's bytes: rotated, one byte a component. Forms 0 and 1 were half-precision.
const ROTATED: u8 = 2;

pub(crate) fn put_vector(out: &mut Vec<u8>, vector: &StoredVector) {
    put_varint(out, u64::from(vector.model));
    put_varint(out, vector.dimension as u64);
    out.push(ROTATED);
    out.extend(vector.values.iter().map(|value| value.cast_unsigned()));
}

pub(crate) fn read_vector(reader: &mut Reader<'_>) -> Result<StoredVector, FormatError> {
    let model = reader.number()?;
    let dimension = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
    if dimension == 0 || dimension > MAX_DIMENSION {
        return Err(FormatError::Corrupt("a vector has an impossible dimension"));
    }
    if reader.byte()? != ROTATED {
        return Err(FormatError::Corrupt("a vector has an unknown form"));
    }
    let row = reader.take(padded(dimension))?;
    let row: Box<[i8]> = row.iter().map(|byte| byte.cast_signed()).collect();
    let peak = row.iter().map(|value| value.unsigned_abs()).max();
    // Rounding scales the largest component to ±127, so that any other peak is damage.
    if peak != Some(PEAK.unsigned_abs()) {
        return Err(FormatError::Corrupt("a vector is not of unit length"));
    }
    Ok(StoredVector::from_row(model, dimension, row))
}

#[cfg(test)]
mod tests;
