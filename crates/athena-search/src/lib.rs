//! The search engine: words, passages, postings, vectors and the way they are ranked.
//!
//! Pure functions and structures in memory. The crate does no I/O, starts no thread and waits for
//! nothing; it knows no SQL and no Athena type. A store keeps the bytes that [`record`] and
//! [`segment`] make, feeds the decoded records to an [`Index`] in the order of their ordinals, and
//! asks [`search`].
//!
//! What it promises:
//! - **The same answer everywhere.** Results depend on what is indexed, never on the order in which
//!   it arrived, on row numbers, or on the machine: sums run in a fixed order without fused
//!   multiply-add, products of vectors are whole numbers, logarithms are computed here, scores compare as integers of 1e-7 and ties break
//!   by uid.
//! - **Exact.** Every item that passes the filters is scored by both arms; there is no candidate
//!   list that could miss one.
//! - **Bytes are data.** Corrupt or foreign bytes are an error, never a panic.
//!
//! What it deliberately does not do: parse a query language (a user's text is words, but for the few
//! signs of [`analyze::QuerySyntax`]), approximate, or persist.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod analyze;
pub mod keyword;
pub mod passages;
pub mod postings;
pub mod record;
pub mod segment;
pub mod vector;

mod bitmap;
mod bm25;
mod codec;
mod index;
mod math;
mod query;
mod recipe;
mod search;
mod spread;

pub use analyze::ANALYZER_VERSION;
pub use bm25::{Statistics, TermStatistics, statistics};
pub use codec::FormatError;
pub use index::{Absent, Index, IndexStatistics};
pub use math::ln;
pub use query::{
    Answer, Arm, Explain, Filter, Fusion, Ground, Hit, Micros, Mode, Part, Query, QueryVector,
    Recency, Shares, Summary, TermMatch, VectorKind, VectorState, Weights,
};
pub use recipe::{Ingredient, Recipe};
pub use record::{Attributes, ItemRef, Kind, Record, WHOLE};
pub use search::{DEFAULT_MIN_MATCH, TABLE_WEIGHT, WORDS_WEIGHT, search, shorter_stems};
pub use vector::{PreparedQuery, StoredVector, VectorError};

/// The form of what a search log holds: of its records, its segments and the analysed words.
///
/// What was logged in another form is to be made anew from the items.
pub const FORMAT: i64 =
    ((ANALYZER_VERSION as i64) << 16) | ((record::VERSION as i64) << 8) | segment::VERSION as i64;
