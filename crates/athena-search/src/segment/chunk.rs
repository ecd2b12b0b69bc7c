//! The bytes of a segment: chunks of one kind each, with version and checksum.

use std::borrow::Cow;

use crate::codec::{FormatError, Reader, put_varint};

/// The size that a chunk does not exceed where what it holds can be cut.
pub const CHUNK_BYTES: usize = 1 << 20;

pub(crate) const VERSION: u8 = 4;
/// The version and the checksum.
const HEAD_BYTES: usize = 5;

/// A part of a segment's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// What it holds.
    pub kind: ChunkKind,
    /// Its number among those of its kind, from 0.
    pub part: u32,
    /// The bytes, which carry their version and a checksum.
    pub bytes: Vec<u8>,
}

/// What a chunk holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ChunkKind {
    /// Items with their attributes, and what happened to items of earlier segments.
    Items = 1,
    /// The passages of the items.
    Passages = 2,
    /// Words and where they occur: a dictionary each.
    Words = 3,
    /// Whose vectors there are, of which model.
    Vectors = 4,
    /// The components of the vectors: those of a few rows each.
    Components = 5,
    /// The codes of the vectors.
    Codes = 6,
    /// With which words the dictionaries begin.
    Directory = 7,
}

impl ChunkKind {
    const ALL: [Self; 7] = [
        Self::Items,
        Self::Passages,
        Self::Words,
        Self::Vectors,
        Self::Components,
        Self::Codes,
        Self::Directory,
    ];

    /// What is read one by one, as questions need it.
    pub const LATER: [Self; 2] = [Self::Words, Self::Components];

    /// What is read before a segment is asked anything.
    pub const FIRST: [Self; 5] = [
        Self::Items,
        Self::Passages,
        Self::Vectors,
        Self::Codes,
        Self::Directory,
    ];

    /// Returns the number that stands for the kind in a store.
    #[must_use]
    pub fn number(self) -> i64 {
        self as i64
    }

    /// Returns the kind that a number stands for.
    ///
    /// # Errors
    /// When it stands for none.
    pub fn from_number(number: i64) -> Result<Self, FormatError> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.number() == number)
            .ok_or(FormatError::Corrupt("a chunk is of an unknown kind"))
    }
}

/// Returns one body as chunks.
pub(super) fn split(kind: ChunkKind, body: &[u8]) -> Vec<Chunk> {
    (0..)
        .zip(body.chunks(CHUNK_BYTES - HEAD_BYTES))
        .map(|(part, piece)| framed(kind, part, piece))
        .collect()
}

/// Returns a piece of a body with version and checksum.
pub(super) fn framed(kind: ChunkKind, part: u32, piece: &[u8]) -> Chunk {
    let mut bytes = Vec::with_capacity(piece.len() + HEAD_BYTES);
    bytes.push(VERSION);
    bytes.extend_from_slice(&crc32fast::hash(piece).to_le_bytes());
    bytes.extend_from_slice(piece);
    Chunk { kind, part, bytes }
}

/// Returns what a kind's chunks hold, which must be all there and in order.
fn pieces(chunks: &[Chunk], kind: ChunkKind) -> Result<Vec<&[u8]>, FormatError> {
    let own = chunks.iter().filter(|chunk| chunk.kind == kind);
    (0..)
        .zip(own)
        .map(|(part, chunk)| match chunk.part == part {
            true => opened(&chunk.bytes),
            false => Err(FormatError::Corrupt("a chunk is missing")),
        })
        .collect()
}

/// Returns the body that a kind's chunks hold together.
pub(super) fn joined(chunks: &[Chunk], kind: ChunkKind) -> Result<Cow<'_, [u8]>, FormatError> {
    let pieces = pieces(chunks, kind)?;
    Ok(match pieces[..] {
        [piece] => Cow::Borrowed(piece),
        _ => Cow::Owned(pieces.concat()),
    })
}

/// Returns what a chunk holds, once version and checksum are found right.
pub(super) fn opened(bytes: &[u8]) -> Result<&[u8], FormatError> {
    let (&found, rest) = bytes.split_first().ok_or(FormatError::Truncated)?;
    if found != VERSION {
        return Err(FormatError::Version {
            found,
            known: VERSION,
        });
    }
    let (sum, piece) = rest
        .split_first_chunk::<4>()
        .ok_or(FormatError::Truncated)?;
    if *sum != crc32fast::hash(piece).to_le_bytes() {
        return Err(FormatError::Corrupt("a chunk fails its checksum"));
    }
    Ok(piece)
}

/// Numbers of a fixed width, little-endian, as a column.
pub(super) trait Fixed: Copy {
    const BYTES: usize;
    fn put(self, out: &mut Vec<u8>);
    fn read(bytes: &[u8]) -> Self;
}

macro_rules! fixed {
    ($($number:ty),*) => {$(
        impl Fixed for $number {
            const BYTES: usize = size_of::<Self>();
            fn put(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn read(bytes: &[u8]) -> Self {
                Self::from_le_bytes(bytes.try_into().unwrap_or_default())
            }
        }
    )*};
}

fixed!(u8, i8, u16, u32, i64, f32);

impl Fixed for [u8; 16] {
    const BYTES: usize = 16;
    fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self);
    }
    fn read(bytes: &[u8]) -> Self {
        bytes.try_into().unwrap_or_default()
    }
}

pub(super) fn put_column<T: Fixed>(out: &mut Vec<u8>, column: &[T]) {
    put_varint(out, column.len() as u64);
    out.reserve(column.len() * T::BYTES);
    for value in column {
        value.put(out);
    }
}

pub(super) fn read_column<T: Fixed>(reader: &mut Reader<'_>) -> Result<Vec<T>, FormatError> {
    let count = reader.count()?;
    let bytes = count.checked_mul(T::BYTES).ok_or(FormatError::Truncated)?;
    Ok(reader
        .take(bytes)?
        .chunks_exact(T::BYTES)
        .map(T::read)
        .collect())
}

/// Reads a column that must be as long as another.
pub(super) fn read_column_of<T: Fixed>(
    reader: &mut Reader<'_>,
    len: usize,
) -> Result<Vec<T>, FormatError> {
    let column = read_column(reader)?;
    if column.len() == len {
        Ok(column)
    } else {
        Err(FormatError::Corrupt("columns differ in length"))
    }
}
