//! The rows of a store's search log, as opaque bytes.
//!
//! A store writes one row per record, in the transaction that makes it true, and numbers the rows
//! in commit order. Applied to an [`Index`](crate::Index) in that order they give the same index in
//! every process. The bytes carry their version; unknown or damaged bytes are a [`FormatError`].

use crate::codec::{FormatError, Reader, put_bytes, put_signed, put_varint};
use crate::vector::{StoredVector, put_vector, read_vector};

/// The passage number of a vector that stands for an item's whole text: a caller's own embedding.
pub const WHOLE: u32 = u32::MAX;

/// What sort of thing an item is. The search does not care; filters do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Kind(pub u8);

impl Kind {
    /// A memory.
    pub const MEMORY: Self = Self(1);
}

/// Which item of a project a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct ItemRef {
    /// What it is.
    pub kind: Kind,
    /// Its number among its kind, as the store counts.
    pub id: i64,
}

/// What filters and the ranking look at beside the text, and what breaks ties.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes {
    /// The id that is the same in every store; equal scores are ordered by it.
    pub uid: [u8; 16],
    /// The state, one of the store's names.
    pub state: String,
    /// What it is labelled with: `type:decision`, `tag:db`, `session:s1`, `speaker:bob`.
    pub labels: Vec<String>,
    /// When it happened, in microseconds since 1970 UTC.
    pub time: i64,
    /// Its place within its session, where it has one. Turns of a session are ordered by it.
    pub position: Option<i64>,
    /// How useful it has proved, in thousandths: 0 to 1000.
    pub usefulness: u16,
}

impl Attributes {
    /// The most that [`usefulness`](Self::usefulness) can be.
    pub const FULL_USEFULNESS: u16 = 1_000;
}

/// One row of the log.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// A passage of an item. Number 0 comes first and begins the item anew: what was known of an
    /// earlier text is dropped.
    Passage {
        /// The item.
        item: ItemRef,
        /// The passage's number, from 0.
        n: u32,
        /// How many passages the item has.
        of: u32,
        /// On passage 0. Without them an item keeps those it had.
        attributes: Option<Attributes>,
        /// Each term once, with how often it occurs.
        terms: Vec<(String, u32)>,
        /// The length that BM25 normalises by.
        len: u32,
        /// Absent while an embedding is pending.
        vector: Option<StoredVector>,
    },
    /// A vector that came later than its passage, or stands for the whole text ([`WHOLE`]).
    Vector {
        /// The item.
        item: ItemRef,
        /// The passage's number, or [`WHOLE`].
        n: u32,
        /// The vector; it replaces one of the same model.
        vector: StoredVector,
    },
    /// A change of state, type, tags or time.
    Attributes {
        /// The item.
        item: ItemRef,
        /// All attributes as they are now.
        attributes: Attributes,
    },
    /// The end of an item: it leaves results and statistics.
    Remove {
        /// The item.
        item: ItemRef,
    },
}

impl Record {
    /// Returns the item that the record is about.
    #[must_use]
    pub fn item(&self) -> ItemRef {
        match self {
            Self::Passage { item, .. }
            | Self::Vector { item, .. }
            | Self::Attributes { item, .. }
            | Self::Remove { item } => *item,
        }
    }
}

pub(crate) const PASSAGE: u8 = 1;
pub(crate) const VECTOR: u8 = 2;
pub(crate) const ATTRIBUTES: u8 = 3;
pub(crate) const REMOVE: u8 = 4;

pub(crate) const VERSION: u8 = 2;

/// Returns a record as bytes.
#[must_use]
pub fn encode(record: &Record) -> Vec<u8> {
    let mut out = vec![VERSION];
    match record {
        Record::Passage {
            item,
            n,
            of,
            attributes,
            terms,
            len,
            vector,
        } => {
            put_head(&mut out, PASSAGE, *item);
            put_varint(&mut out, u64::from(*n));
            put_varint(&mut out, u64::from(*of));
            put_terms(&mut out, terms);
            put_varint(&mut out, u64::from(*len));
            out.push(u8::from(attributes.is_some()) | u8::from(vector.is_some()) << 1);
            if let Some(attributes) = attributes {
                put_attributes(&mut out, attributes);
            }
            if let Some(vector) = vector {
                put_vector(&mut out, vector);
            }
        }
        Record::Vector { item, n, vector } => {
            put_head(&mut out, VECTOR, *item);
            put_varint(&mut out, u64::from(*n));
            put_vector(&mut out, vector);
        }
        Record::Attributes { item, attributes } => {
            put_head(&mut out, ATTRIBUTES, *item);
            put_attributes(&mut out, attributes);
        }
        Record::Remove { item } => put_head(&mut out, REMOVE, *item),
    }
    out
}

/// Reads a record back.
///
/// # Errors
/// When the bytes are of another version, cut short, or contradict themselves.
pub fn decode(bytes: &[u8]) -> Result<Record, FormatError> {
    let mut reader = Reader::new(bytes);
    let found = reader.byte()?;
    if found != VERSION {
        return Err(FormatError::Version {
            found,
            known: VERSION,
        });
    }
    let tag = reader.byte()?;
    let item = ItemRef {
        kind: Kind(reader.byte()?),
        id: reader.signed()?,
    };
    let record = match tag {
        PASSAGE => read_passage(&mut reader, item)?,
        VECTOR => Record::Vector {
            item,
            n: reader.number()?,
            vector: read_vector(&mut reader)?,
        },
        ATTRIBUTES => Record::Attributes {
            item,
            attributes: read_attributes(&mut reader)?,
        },
        REMOVE => Record::Remove { item },
        _ => return Err(FormatError::Corrupt("a record has an unknown form")),
    };
    reader.end()?;
    Ok(record)
}

fn put_head(out: &mut Vec<u8>, tag: u8, item: ItemRef) {
    out.push(tag);
    out.push(item.kind.0);
    put_signed(out, item.id);
}

fn put_terms(out: &mut Vec<u8>, terms: &[(String, u32)]) {
    put_varint(out, terms.len() as u64);
    for (term, count) in terms {
        put_bytes(out, term.as_bytes());
        put_varint(out, u64::from(*count));
    }
}

fn put_attributes(out: &mut Vec<u8>, attributes: &Attributes) {
    out.extend_from_slice(&attributes.uid);
    put_signed(out, attributes.time);
    put_bytes(out, attributes.state.as_bytes());
    put_varint(out, attributes.labels.len() as u64);
    for label in &attributes.labels {
        put_bytes(out, label.as_bytes());
    }
    put_standing(out, attributes);
}

/// What the ranking alone looks at: the place within the session, and the usefulness.
pub(crate) fn put_standing(out: &mut Vec<u8>, attributes: &Attributes) {
    out.push(u8::from(attributes.position.is_some()));
    if let Some(position) = attributes.position {
        put_signed(out, position);
    }
    put_varint(out, u64::from(attributes.usefulness));
}

/// Reads what [`put_standing`] wrote.
pub(crate) fn read_standing(reader: &mut Reader<'_>) -> Result<(Option<i64>, u16), FormatError> {
    let position = match reader.byte()? {
        0 => None,
        1 => Some(reader.signed()?),
        _ => return Err(FormatError::Corrupt("attributes have unknown flags")),
    };
    let usefulness = u16::try_from(reader.number()?)
        .ok()
        .filter(|usefulness| *usefulness <= Attributes::FULL_USEFULNESS)
        .ok_or(FormatError::Corrupt("a usefulness is above 1"))?;
    Ok((position, usefulness))
}

fn read_passage(reader: &mut Reader<'_>, item: ItemRef) -> Result<Record, FormatError> {
    let n = reader.number()?;
    let of = reader.number()?;
    let mut terms = Vec::new();
    for _ in 0..reader.count()? {
        terms.push((reader.text()?.to_owned(), reader.number()?));
    }
    let len = reader.number()?;
    let flags = reader.byte()?;
    if flags > 3 {
        return Err(FormatError::Corrupt("a passage has unknown flags"));
    }
    Ok(Record::Passage {
        item,
        n,
        of,
        terms,
        len,
        attributes: (flags & 1 != 0)
            .then(|| read_attributes(reader))
            .transpose()?,
        vector: (flags & 2 != 0).then(|| read_vector(reader)).transpose()?,
    })
}

fn read_attributes(reader: &mut Reader<'_>) -> Result<Attributes, FormatError> {
    let mut uid = [0; 16];
    uid.copy_from_slice(reader.take(16)?);
    let time = reader.signed()?;
    let state = reader.text()?.to_owned();
    let labels = (0..reader.count()?)
        .map(|_| Ok(reader.text()?.to_owned()))
        .collect::<Result<_, FormatError>>()?;
    let (position, usefulness) = read_standing(reader)?;
    Ok(Attributes {
        uid,
        state,
        labels,
        time,
        position,
        usefulness,
    })
}
