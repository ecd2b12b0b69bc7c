//! Many records as a few immutable chunks.
//!
//! A chunk holds the same rows as the log, by column and with one dictionary of strings, so that it
//! is a fraction of their size and opens with a few reads. Each chunk stands by itself, carries
//! its version and a checksum, and is at most 1 MiB unless a single record is larger.

use std::collections::BTreeSet;

use crate::codec::{FormatError, Reader, put_signed, put_varint};
use crate::record::{self, Attributes, ItemRef, Kind, Record};
use crate::vector::{put_vector, read_vector};

/// The size that a chunk does not exceed.
pub const CHUNK_BYTES: usize = 1 << 20;

const VERSION: u8 = 2;
const HAS_ATTRIBUTES: u8 = 0x10;
const HAS_VECTOR: u8 = 0x20;

/// Returns records with their ordinals as chunks, in the same order.
#[must_use]
pub fn encode(rows: &[(i64, Record)]) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    let mut start = 0;
    let mut size = 0;
    for (at, (_, record)) in rows.iter().enumerate() {
        // Columns with a dictionary are smaller than rows, so this fills a chunk by about half.
        let row = record::encode(record).len();
        if size + row > 2 * CHUNK_BYTES && at > start {
            encode_within(&rows[start..at], &mut chunks);
            start = at;
            size = 0;
        }
        size += row;
    }
    if start < rows.len() {
        encode_within(&rows[start..], &mut chunks);
    }
    chunks
}

/// Halves what turns out too large.
fn encode_within(rows: &[(i64, Record)], chunks: &mut Vec<Vec<u8>>) {
    let chunk = encode_chunk(rows);
    if chunk.len() > CHUNK_BYTES && rows.len() > 1 {
        let (left, right) = rows.split_at(rows.len() / 2);
        encode_within(left, chunks);
        encode_within(right, chunks);
    } else {
        chunks.push(chunk);
    }
}

/// Reads a chunk back.
///
/// # Errors
/// When the bytes are of another version, cut short, fail their checksum or contradict themselves.
pub fn decode(chunk: &[u8]) -> Result<Vec<(i64, Record)>, FormatError> {
    let Some((&found, rest)) = chunk.split_first() else {
        return Err(FormatError::Truncated);
    };
    if found != VERSION {
        return Err(FormatError::Version {
            found,
            known: VERSION,
        });
    }
    let (sum, body) = rest.split_at_checked(8).ok_or(FormatError::Truncated)?;
    if sum != checksum(body).to_le_bytes() {
        return Err(FormatError::Corrupt("a chunk fails its checksum"));
    }
    decode_body(&mut Reader::new(body))
}

fn encode_chunk(rows: &[(i64, Record)]) -> Vec<u8> {
    let dictionary = Dictionary::of(rows);
    let mut body = Vec::new();
    dictionary.put(&mut body);
    put_varint(&mut body, rows.len() as u64);
    for (_, record) in rows {
        body.push(shape(record));
    }
    put_deltas(&mut body, rows.iter().map(|(seq, _)| *seq));
    for (_, record) in rows {
        body.push(record.item().kind.0);
    }
    put_deltas(&mut body, rows.iter().map(|(_, record)| record.item().id));
    for (_, record) in rows {
        put_numbers(&mut body, record, &dictionary);
    }
    for attributes in rows.iter().filter_map(|(_, record)| attributes_of(record)) {
        put_attributes(&mut body, attributes, &dictionary);
    }
    for (_, record) in rows {
        if let Record::Passage {
            vector: Some(vector),
            ..
        }
        | Record::Vector { vector, .. } = record
        {
            put_vector(&mut body, vector);
        }
    }
    let mut chunk = vec![VERSION];
    chunk.extend_from_slice(&checksum(&body).to_le_bytes());
    chunk.extend_from_slice(&body);
    chunk
}

/// The form of a record, and which of the later columns it has a part in.
fn shape(record: &Record) -> u8 {
    match record {
        Record::Passage {
            attributes, vector, ..
        } => {
            let attributes = u8::from(attributes.is_some()) * HAS_ATTRIBUTES;
            record::PASSAGE | attributes | (u8::from(vector.is_some()) * HAS_VECTOR)
        }
        Record::Vector { .. } => record::VECTOR | HAS_VECTOR,
        Record::Attributes { .. } => record::ATTRIBUTES | HAS_ATTRIBUTES,
        Record::Remove { .. } => record::REMOVE,
    }
}

fn attributes_of(record: &Record) -> Option<&Attributes> {
    match record {
        Record::Passage { attributes, .. } => attributes.as_ref(),
        Record::Attributes { attributes, .. } => Some(attributes),
        Record::Vector { .. } | Record::Remove { .. } => None,
    }
}

fn put_deltas(out: &mut Vec<u8>, values: impl Iterator<Item = i64>) {
    let mut before = 0_i64;
    for value in values {
        put_signed(out, value.wrapping_sub(before));
        before = value;
    }
}

fn put_numbers(out: &mut Vec<u8>, record: &Record, dictionary: &Dictionary<'_>) {
    match record {
        Record::Passage {
            n, of, terms, len, ..
        } => {
            put_varint(out, u64::from(*n));
            put_varint(out, u64::from(*of));
            put_varint(out, u64::from(*len));
            put_varint(out, terms.len() as u64);
            let mut before = 0_i64;
            for (term, count) in terms {
                let place = dictionary.place(term);
                put_signed(out, place - before);
                put_varint(out, u64::from(*count));
                before = place;
            }
        }
        Record::Vector { n, .. } => put_varint(out, u64::from(*n)),
        Record::Attributes { .. } | Record::Remove { .. } => {}
    }
}

fn put_attributes(out: &mut Vec<u8>, attributes: &Attributes, dictionary: &Dictionary<'_>) {
    out.extend_from_slice(&attributes.uid);
    put_signed(out, attributes.time);
    put_signed(out, dictionary.place(&attributes.state));
    put_varint(out, attributes.labels.len() as u64);
    for label in &attributes.labels {
        put_signed(out, dictionary.place(label));
    }
    record::put_standing(out, attributes);
}

/// Every string of a chunk once, sorted, each stored as what differs from the one before.
struct Dictionary<'a> {
    entries: Vec<&'a str>,
}

impl<'a> Dictionary<'a> {
    fn of(rows: &'a [(i64, Record)]) -> Self {
        let mut entries = BTreeSet::new();
        for (_, record) in rows {
            if let Record::Passage { terms, .. } = record {
                entries.extend(terms.iter().map(|(term, _)| term.as_str()));
            }
            if let Some(attributes) = attributes_of(record) {
                entries.insert(attributes.state.as_str());
                entries.extend(attributes.labels.iter().map(String::as_str));
            }
        }
        Self {
            entries: entries.into_iter().collect(),
        }
    }

    #[expect(
        clippy::cast_possible_wrap,
        reason = "a place in a list in memory is far below 2^63"
    )]
    fn place(&self, entry: &str) -> i64 {
        self.entries.partition_point(|other| *other < entry) as i64
    }

    fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.entries.len() as u64);
        let mut before: &[u8] = &[];
        for entry in &self.entries {
            let entry = entry.as_bytes();
            let shared = entry.iter().zip(before).take_while(|(a, b)| a == b).count();
            let shared = u8::try_from(shared).unwrap_or(u8::MAX);
            out.push(shared);
            crate::codec::put_bytes(out, &entry[usize::from(shared)..]);
            before = entry;
        }
    }
}

fn decode_body(reader: &mut Reader<'_>) -> Result<Vec<(i64, Record)>, FormatError> {
    let dictionary = read_dictionary(reader)?;
    let count = reader.count()?;
    let shapes = reader.take(count)?;
    let seqs = read_deltas(reader, count)?;
    let kinds = reader.take(count)?;
    let ids = read_deltas(reader, count)?;
    let mut rows = Vec::with_capacity(count);
    for at in 0..count {
        let item = ItemRef {
            kind: Kind(kinds[at]),
            id: ids[at],
        };
        rows.push((
            seqs[at],
            read_numbers(reader, shapes[at], item, &dictionary)?,
        ));
    }
    for (at, (_, record)) in rows.iter_mut().enumerate() {
        if shapes[at] & HAS_ATTRIBUTES != 0 {
            set_attributes(record, read_attributes(reader, &dictionary)?);
        }
    }
    for (at, row) in rows.iter_mut().enumerate() {
        if shapes[at] & HAS_VECTOR != 0 {
            set_vector(&mut row.1, reader)?;
        }
    }
    reader.end()?;
    Ok(rows)
}

fn read_dictionary(reader: &mut Reader<'_>) -> Result<Vec<String>, FormatError> {
    let mut entries: Vec<String> = Vec::new();
    for _ in 0..reader.count()? {
        let shared = usize::from(reader.byte()?);
        let before = entries.last().map_or(&[][..], |entry| entry.as_bytes());
        let head = before
            .get(..shared)
            .ok_or(FormatError::Corrupt("a string shares more than there is"))?;
        let entry = [head, reader.bytes()?].concat();
        let entry =
            String::from_utf8(entry).map_err(|_| FormatError::Corrupt("a text is not UTF-8"))?;
        entries.push(entry);
    }
    Ok(entries)
}

fn read_deltas(reader: &mut Reader<'_>, count: usize) -> Result<Vec<i64>, FormatError> {
    let mut value = 0_i64;
    (0..count)
        .map(|_| {
            value = value.wrapping_add(reader.signed()?);
            Ok(value)
        })
        .collect()
}

fn read_numbers(
    reader: &mut Reader<'_>,
    shape: u8,
    item: ItemRef,
    dictionary: &[String],
) -> Result<Record, FormatError> {
    let flags = shape & (HAS_ATTRIBUTES | HAS_VECTOR);
    match (shape & !(HAS_ATTRIBUTES | HAS_VECTOR), flags) {
        (record::PASSAGE, _) => Ok(Record::Passage {
            item,
            n: reader.number()?,
            of: reader.number()?,
            len: reader.number()?,
            terms: read_terms(reader, dictionary)?,
            attributes: None,
            vector: None,
        }),
        (record::VECTOR, HAS_VECTOR) => Ok(Record::Vector {
            item,
            n: reader.number()?,
            vector: crate::StoredVector::unread(),
        }),
        (record::ATTRIBUTES, HAS_ATTRIBUTES) => Ok(Record::Attributes {
            item,
            attributes: Attributes::default(),
        }),
        (record::REMOVE, 0) => Ok(Record::Remove { item }),
        _ => Err(FormatError::Corrupt("a record has an unknown form")),
    }
}

fn read_terms(
    reader: &mut Reader<'_>,
    dictionary: &[String],
) -> Result<Vec<(String, u32)>, FormatError> {
    let mut place = 0_i64;
    (0..reader.count()?)
        .map(|_| {
            place = place.wrapping_add(reader.signed()?);
            Ok((entry(dictionary, place)?, reader.number()?))
        })
        .collect()
}

fn entry(dictionary: &[String], place: i64) -> Result<String, FormatError> {
    usize::try_from(place)
        .ok()
        .and_then(|place| dictionary.get(place))
        .cloned()
        .ok_or(FormatError::Corrupt("a string is not in the dictionary"))
}

fn read_attributes(
    reader: &mut Reader<'_>,
    dictionary: &[String],
) -> Result<Attributes, FormatError> {
    let mut uid = [0; 16];
    uid.copy_from_slice(reader.take(16)?);
    let time = reader.signed()?;
    let state = entry(dictionary, reader.signed()?)?;
    let labels = (0..reader.count()?)
        .map(|_| entry(dictionary, reader.signed()?))
        .collect::<Result<_, _>>()?;
    let (position, usefulness) = record::read_standing(reader)?;
    Ok(Attributes {
        uid,
        state,
        labels,
        time,
        position,
        usefulness,
    })
}

fn set_attributes(record: &mut Record, read: Attributes) {
    match record {
        Record::Passage { attributes, .. } => *attributes = Some(read),
        Record::Attributes { attributes, .. } => *attributes = read,
        Record::Vector { .. } | Record::Remove { .. } => {}
    }
}

fn set_vector(record: &mut Record, reader: &mut Reader<'_>) -> Result<(), FormatError> {
    let read = read_vector(reader)?;
    match record {
        Record::Passage { vector, .. } => *vector = Some(read),
        Record::Vector { vector, .. } => *vector = read,
        Record::Attributes { .. } | Record::Remove { .. } => {}
    }
    Ok(())
}

/// FNV-1a, 64 bits: enough to notice a flipped bit or a torn write.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
