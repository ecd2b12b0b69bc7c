//! SQL as text: named parameters and the portable migration language.
//!
//! Everything here is a pure function from text to text; no connection, no driver. One lexer, driven by a
//! table per dialect, serves two readers:
//!
//! - [`rewrite`] turns `:name` into what a driver understands. It changes parameters (and the `IN` before a
//!   list) and never another byte. [`SourceMap`] leads back from its output to the caller's text, and
//!   [`expand_lists`] makes room for lists where a database has no parameter for one.
//! - [`translate`] turns a migration written in the portable subset into statements for one dialect, and
//!   refuses what it does not know, by line and column. [`columns`] and [`column_changes`] tell which logical
//!   types the script declares, [`token_checksum`] tells whether a script changed in meaning.
//!
//! What is deliberately absent: this is not a validator. Queries pass through [`rewrite`] unparsed, the server
//! judges them.

use std::fmt;

mod checksum;
mod ddl;
mod declaration;
mod fingerprint;
mod insert;
mod lexer;
mod lists;
mod mysql;
mod named;
mod source_map;
mod split;
mod translate;
mod words;

pub use self::checksum::token_checksum;
pub use self::ddl::{ColumnChange, ColumnDef, LogicalType, column_changes, columns};
pub(crate) use self::declaration::{IndexText, TableText};
pub(crate) use self::fingerprint::fingerprint;
pub(crate) use self::insert::{Conflict, InsertShape};
pub use self::lists::{Expanded, expand_lists};
#[cfg(feature = "mysql")]
pub(crate) use self::mysql::Keyed;
pub(crate) use self::mysql::{Form, Refusal, Statement, native_statement, translate_statement};
pub use self::named::{Rewritten, Slot, rewrite};
pub use self::source_map::SourceMap;
pub use self::translate::translate;
pub(crate) use self::words::words;

pub(crate) use self::split::{changes_rows, split};
pub(crate) use self::translate::SQLITE_NOW;

/// A piece of SQL text that cannot be accepted, and where it is.
///
/// The message names keywords and identifiers, never the content of a literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What is wrong and the way out.
    pub message: String,
}

impl SqlError {
    /// Makes an error about a text that is not there.
    pub(crate) fn nowhere(message: impl Into<String>) -> Self {
        Self::at("", 0, message)
    }

    /// Places a message at a byte offset of the source.
    fn at(source: &str, offset: usize, message: impl Into<String>) -> Self {
        let (line, column) = line_and_column(source, offset);
        Self {
            line,
            column,
            message: message.into(),
        }
    }
}

/// Returns the line and the column, both from 1 and in characters, of a byte of a text.
pub(crate) fn line_and_column(source: &str, offset: usize) -> (u32, u32) {
    let before = &source[..source.floor_char_boundary(offset)];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
    (
        u32::try_from(line).unwrap_or(u32::MAX),
        u32::try_from(column).unwrap_or(u32::MAX),
    )
}

impl fmt::Display for SqlError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "line {}, column {}: {}",
            self.line, self.column, self.message
        )
    }
}

impl std::error::Error for SqlError {}
