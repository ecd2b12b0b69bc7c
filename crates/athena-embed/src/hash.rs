//! FNV-1a, 64 bits (Fowler, Noll, Vo): the same hash on every machine and in every version.

/// What the hash of nothing is.
pub(crate) const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// Returns the hash of some bytes.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(FNV_BASIS, fnv1a_step)
}

/// Returns the hash with one byte more.
pub(crate) fn fnv1a_step(hash: u64, byte: &u8) -> u64 {
    (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
}
