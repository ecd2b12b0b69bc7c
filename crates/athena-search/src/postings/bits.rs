//! Numbers of a fixed number of bits, one behind the other, the first in the lowest bits.

/// How many bytes must follow packed numbers, so that each can be read as part of eight bytes.
pub(super) const PADDING: usize = 8;

/// Appends numbers that need at most `width` ≤ 32 bits each; the last byte is filled with zeros.
pub(super) fn pack(values: impl Iterator<Item = u32>, width: u32, out: &mut Vec<u8>) {
    let (mut pending, mut filled) = (0_u64, 0);
    for value in values {
        pending |= u64::from(value) << filled;
        filled += width;
        while filled >= 8 {
            out.push(pending.to_le_bytes()[0]);
            pending >>= 8;
            filled -= 8;
        }
    }
    if filled > 0 {
        out.push(pending.to_le_bytes()[0]);
    }
}

/// How many bytes `count` packed numbers take.
pub(super) fn packed_len(width: u32, count: usize) -> usize {
    (count * width as usize).div_ceil(8)
}

/// How many bits the largest of some numbers needs.
pub(super) fn width(values: impl Iterator<Item = u32>) -> u32 {
    u32::BITS - values.fold(0, |all, value| all | value).leading_zeros()
}

/// Returns the number at a place, 0 where the bytes (and their padding) end before.
#[inline]
pub(super) fn get(bytes: &[u8], width: u32, place: usize) -> u32 {
    let bit = place * width as usize;
    let word = bytes.get(bit / 8..).and_then(<[u8]>::first_chunk);
    let word = u64::from_le_bytes(*word.unwrap_or(&[0; 8]));
    #[expect(clippy::cast_possible_truncation, reason = "masked to 32 bits at most")]
    let value = ((word >> (bit % 8)) & mask(width)) as u32;
    value
}

fn mask(width: u32) -> u64 {
    (1_u64 << width.min(32)) - 1
}
