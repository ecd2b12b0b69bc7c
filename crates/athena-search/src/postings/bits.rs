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
    low(eight_bytes(bytes, bit / 8) >> (bit % 8), width)
}

/// Reads as many numbers as there is room for; those behind the end of the bytes are 0.
pub(super) fn unpack(bytes: &[u8], width: u32, out: &mut [u32]) {
    // Eight bytes hold so many numbers, wherever in its first byte the first one begins: behind a
    // group of 8 it is the first bit, of 4 the first or fifth, of 2 an even one.
    match width {
        0..=8 => unpack_groups::<8>(bytes, width, out),
        9..=15 => unpack_groups::<4>(bytes, width, out),
        16..=29 => unpack_groups::<2>(bytes, width, out),
        _ => unpack_groups::<1>(bytes, width, out),
    }
}

fn unpack_groups<const GROUP: usize>(bytes: &[u8], width: u32, out: &mut [u32]) {
    let mut bit = 0;
    let (groups, rest) = out.as_chunks_mut::<GROUP>();
    for group in groups {
        unpack_group(bytes, width, bit, group);
        bit += GROUP * width as usize;
    }
    unpack_group(bytes, width, bit, rest);
}

#[inline]
fn unpack_group(bytes: &[u8], width: u32, bit: usize, out: &mut [u32]) {
    let mut word = eight_bytes(bytes, bit / 8) >> (bit % 8);
    for value in out {
        *value = low(word, width);
        word >>= width;
    }
}

#[inline]
fn eight_bytes(bytes: &[u8], at: usize) -> u64 {
    let word = bytes.get(at..).and_then(<[u8]>::first_chunk);
    u64::from_le_bytes(*word.unwrap_or(&[0; 8]))
}

#[inline]
fn low(word: u64, width: u32) -> u32 {
    let mask = (1_u64 << width.min(u32::BITS)) - 1;
    #[expect(clippy::cast_possible_truncation, reason = "masked to 32 bits at most")]
    let value = (word & mask) as u32;
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_width_come_back() {
        for bits in 0..=u32::BITS {
            let mask = low(u64::MAX, bits);
            let values: Vec<u32> = (0..131_u32)
                .map(|n| n.wrapping_mul(0x9e37_79b9) & mask)
                .collect();
            let mut bytes = Vec::new();
            pack(values.iter().copied(), bits, &mut bytes);
            assert_eq!(bytes.len(), packed_len(bits, values.len()));
            assert!(width(values.iter().copied()) <= bits);
            bytes.extend([0xff; PADDING]);
            let mut read = vec![7; values.len()];
            unpack(&bytes, bits, &mut read);
            assert_eq!(read, values, "{bits} bits");
            for (place, value) in values.iter().enumerate() {
                assert_eq!(get(&bytes, bits, place), *value);
            }
        }
    }
}
