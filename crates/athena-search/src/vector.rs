//! Vectors as they are stored, and the products taken with them.
//!
//! A stored vector is unit length in half precision, with all zeros left out of the bytes where
//! that is shorter. Products are summed in f64 in an order that depends on the vectors alone.

use half::f16;

use crate::codec::{FormatError, Reader, put_varint};

/// The largest dimension a vector may have.
pub(crate) const MAX_DIMENSION: usize = 1 << 16;

/// A vector of a model, in the precision in which it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredVector {
    /// The number of the model that made it; the store keeps the names.
    pub model: u32,
    /// Its components; finite, and not all zero.
    pub values: Vec<f16>,
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
    /// All components are zero (or too small to tell): it points nowhere.
    #[error("the vector has no direction: all its components are zero")]
    Zero,
}

impl StoredVector {
    /// Scales a vector to unit length and rounds it to half precision.
    ///
    /// # Errors
    /// When the vector is empty, too long, all zero or holds a number that is not finite.
    pub fn new(model: u32, values: &[f32]) -> Result<Self, VectorError> {
        let unit = unit(values)?;
        let values: Vec<f16> = unit.iter().map(|&value| f16::from_f64(value)).collect();
        if values.iter().all(|value| *value == f16::ZERO) {
            return Err(VectorError::Zero);
        }
        Ok(Self { model, values })
    }

    pub(crate) fn norm(&self) -> f64 {
        let mut sum = 0.0;
        for value in &self.values {
            let value = widen(value.to_bits());
            sum += value * value;
        }
        sum.sqrt()
    }
}

/// Returns the vector scaled to unit length, in f64.
pub(crate) fn unit(values: &[f32]) -> Result<Vec<f64>, VectorError> {
    if values.is_empty() || values.len() > MAX_DIMENSION {
        return Err(VectorError::Dimension(values.len()));
    }
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        return Err(VectorError::NotFinite(at));
    }
    let norm = norm(values.iter().map(|&value| f64::from(value)));
    if norm == 0.0 {
        return Err(VectorError::Zero);
    }
    Ok(values
        .iter()
        .map(|&value| f64::from(value) / norm)
        .collect())
}

/// The length of a vector, summed in order.
pub(crate) fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |sum, value| sum + value * value).sqrt()
}

/// Returns the exact value of a finite half-precision number.
///
/// The exponent is moved by a multiplication with a power of two, which is exact for subnormal
/// numbers too and, unlike a table or a branch, can be done on many lanes at once.
#[inline]
pub(crate) fn widen(bits: u16) -> f64 {
    f64::from(widen_to_f32(bits))
}

#[inline]
fn widen_to_f32(bits: u16) -> f32 {
    const SHIFT: f32 = f32::from_bits(0x7780_0000); // 2^112
    let magnitude = f32::from_bits(u32::from(bits & 0x7fff) << 13) * SHIFT;
    f32::from_bits(magnitude.to_bits() | (u32::from(bits & 0x8000) << 16))
}

/// Returns the product of a query and a stored row of the same dimension.
///
/// Eight partial sums, then a fixed tree: the order never depends on the machine.
pub(crate) fn dot(query: &[f64], row: &[f16]) -> f64 {
    let mut sums = [0.0_f64; 8];
    let (queries, query_rest) = query.as_chunks::<8>();
    let (rows, row_rest) = row.as_chunks::<8>();
    for (query, row) in queries.iter().zip(rows) {
        // Widened together, so that the compiler finds one instruction for several lanes.
        let wide = row.map(|value| widen_to_f32(value.to_bits()));
        for lane in 0..8 {
            sums[lane] += query[lane] * f64::from(wide[lane]);
        }
    }
    for (lane, (query, row)) in query_rest.iter().zip(row_rest).enumerate() {
        sums[lane] += query * widen(row.to_bits());
    }
    ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]))
}

const DENSE: u8 = 0;
const SPARSE: u8 = 1;

pub(crate) fn put_vector(out: &mut Vec<u8>, vector: &StoredVector) {
    put_varint(out, u64::from(vector.model));
    put_varint(out, vector.values.len() as u64);
    let mut sparse = Vec::new();
    let filled = vector.values.iter().filter(|value| **value != f16::ZERO);
    put_varint(&mut sparse, filled.count() as u64);
    let mut next = 0;
    for (at, value) in vector.values.iter().enumerate() {
        if *value != f16::ZERO {
            put_varint(&mut sparse, (at - next) as u64);
            sparse.extend_from_slice(&value.to_le_bytes());
            next = at + 1;
        }
    }
    if sparse.len() < vector.values.len() * 2 {
        out.push(SPARSE);
        out.extend_from_slice(&sparse);
    } else {
        out.push(DENSE);
        for value in &vector.values {
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
}

pub(crate) fn read_vector(reader: &mut Reader<'_>) -> Result<StoredVector, FormatError> {
    let model = reader.number()?;
    let dimension = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
    if dimension == 0 || dimension > MAX_DIMENSION {
        return Err(FormatError::Corrupt("a vector has an impossible dimension"));
    }
    let values = match reader.byte()? {
        DENSE => read_dense(reader, dimension)?,
        SPARSE => read_sparse(reader, dimension)?,
        _ => return Err(FormatError::Corrupt("a vector has an unknown form")),
    };
    if values.iter().all(|value| *value == f16::ZERO) {
        return Err(FormatError::Corrupt("a vector is all zero"));
    }
    Ok(StoredVector { model, values })
}

fn read_dense(reader: &mut Reader<'_>, dimension: usize) -> Result<Vec<f16>, FormatError> {
    let (pairs, _) = reader.take(dimension * 2)?.as_chunks::<2>();
    pairs.iter().map(|pair| finite(*pair)).collect()
}

fn read_sparse(reader: &mut Reader<'_>, dimension: usize) -> Result<Vec<f16>, FormatError> {
    let mut values = vec![f16::ZERO; dimension];
    let mut next = 0_usize;
    for _ in 0..reader.count()? {
        let skip = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
        let at = next.saturating_add(skip);
        let slot = values
            .get_mut(at)
            .ok_or(FormatError::Corrupt("a vector's component is out of range"))?;
        *slot = finite([reader.byte()?, reader.byte()?])?;
        next = at + 1;
    }
    Ok(values)
}

fn finite(bytes: [u8; 2]) -> Result<f16, FormatError> {
    let value = f16::from_le_bytes(bytes);
    if value.is_finite() {
        Ok(value)
    } else {
        Err(FormatError::Corrupt(
            "a vector holds a number that is not finite",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finite_half_widens_exactly() {
        for bits in 0..=u16::MAX {
            let value = f16::from_bits(bits);
            if value.is_finite() {
                assert_eq!(widen(bits).to_bits(), value.to_f64().to_bits(), "{bits:#x}");
            }
        }
    }

    #[test]
    fn vectors_without_direction_are_refused() {
        assert_eq!(StoredVector::new(1, &[]), Err(VectorError::Dimension(0)));
        assert_eq!(StoredVector::new(1, &[0.0, 0.0]), Err(VectorError::Zero));
        assert_eq!(
            StoredVector::new(1, &[1.0, f32::NAN]),
            Err(VectorError::NotFinite(1))
        );
        assert_eq!(
            StoredVector::new(1, &[f32::INFINITY]),
            Err(VectorError::NotFinite(0))
        );
    }

    #[test]
    fn huge_and_tiny_vectors_keep_their_direction() {
        for scale in [1e-30_f32, 1e30] {
            let vector = StoredVector::new(1, &[3.0 * scale, 4.0 * scale]).unwrap();
            assert!((vector.values[0].to_f64() - 0.6).abs() < 1e-3);
            assert!((vector.values[1].to_f64() - 0.8).abs() < 1e-3);
        }
    }

    #[test]
    fn the_product_is_that_of_the_definition() {
        let query: Vec<f64> = (0..29).map(|n| f64::from(n) * 0.25 - 3.0).collect();
        let row: Vec<f16> = (0..29_u16)
            .map(|n| f16::from_f32(f32::from(n) * 0.5))
            .collect();
        let expected: f64 = query.iter().zip(&row).map(|(q, r)| q * r.to_f64()).sum();
        assert!((dot(&query, &row) - expected).abs() < 1e-9);
    }
}
