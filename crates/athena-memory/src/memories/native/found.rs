//! A row of the answer.

use crate::memories::Memory;
use athena_db::{FromRow, Row};
use athena_search::Ground;

/// A row of the answer.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) memory: Memory,
    /// Its place from 1 among those that an arm named.
    keyword_place: Option<i64>,
    builtin_place: Option<i64>,
    model_place: Option<i64>,
    /// Its `ts_rank`.
    pub(super) rank: f64,
    /// How many of the question's words it has.
    pub(super) words: f64,
    /// The cosines of its best passages.
    pub(super) builtin: Option<f64>,
    pub(super) model: Option<f64>,
    /// The number of the best passage by the model, or else by the built-in vector.
    pub(super) passage: Option<i64>,
    /// How many memories the arms named altogether.
    pub(super) considered: i64,
}

impl Found {
    pub(super) fn place(&self, ground: Ground) -> Option<i64> {
        match ground {
            Ground::Keyword => self.keyword_place,
            Ground::Builtin => self.builtin_place,
            Ground::Model => self.model_place,
            _ => None,
        }
    }
}

impl FromRow for Found {
    fn from_row(row: &Row) -> athena_db::Result<Self> {
        Ok(Self {
            memory: Memory::from_row(row)?,
            keyword_place: row.get("keyword_place")?,
            builtin_place: row.get("builtin_place")?,
            model_place: row.get("model_place")?,
            rank: row.get("rank")?,
            words: row.get("words")?,
            builtin: row.get("builtin_cosine")?,
            model: row.get("model_cosine")?,
            passage: row.get("passage")?,
            considered: row.get("considered")?,
        })
    }
}
