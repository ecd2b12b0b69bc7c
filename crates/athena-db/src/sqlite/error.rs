//! SQLite's result codes as portable kinds.

use rusqlite::ffi;

use crate::error::{Error, ErrorKind, Stage};
use crate::plan::Plan;

/// Turns the error of a running statement into ours. What SQLite says about one may quote data;
/// that part is cut off.
pub(super) fn translate(error: rusqlite::Error) -> Error {
    translate_as(error, false)
}

/// Turns the error of a statement that was prepared, or has no parameters, into ours.
pub(super) fn translate_text(error: rusqlite::Error) -> Error {
    translate_as(error, true)
}

/// Turns the error of a commit into ours. A disk that did not confirm it may have it all the same:
/// a process that opens the file later finds it or not.
pub(super) fn translate_commit(error: rusqlite::Error) -> Error {
    let at_disk = error.sqlite_error_code() == Some(rusqlite::ErrorCode::SystemIoFailure);
    let error = translate(error);
    if at_disk {
        error.with_kind(ErrorKind::CommitUnknown)
    } else {
        error
    }
}

/// Turns the error of a statement that could not be prepared into ours, with its place.
pub(super) fn translate_plan(plan: &Plan, error: rusqlite::Error) -> Error {
    let place = place_in(plan, &error);
    let error = translate_text(error);
    match place {
        Some(byte) => plan.locate(error, byte),
        None => error,
    }
}

fn place_in(plan: &Plan, error: &rusqlite::Error) -> Option<usize> {
    let rusqlite::Error::SqlInputError { sql, offset, .. } = error else {
        return None;
    };
    // The cache of statements cuts blanks off the text before it is prepared.
    let begin = plan.text.find(sql.as_str())?;
    Some(begin + usize::try_from(*offset).ok()?)
}

fn translate_as(error: rusqlite::Error, text_alone: bool) -> Error {
    match error {
        rusqlite::Error::SqliteFailure(failure, message) => {
            let message = message.unwrap_or_else(|| failure.to_string());
            failure_of(failure.extended_code, &message, text_alone)
        }
        rusqlite::Error::SqlInputError { error, msg, .. } => {
            failure_of(error.extended_code, &msg, true)
        }
        rusqlite::Error::MultipleStatement => {
            Error::syntax("the text holds several statements; send them one by one")
        }
        rusqlite::Error::Utf8Error(column, _) => Error::mismatch(
            format!("column {}", column + 1),
            "text in UTF-8",
            "other bytes",
        ),
        rusqlite::Error::NulError(_) => Error::syntax("the statement has a NUL character"),
        rusqlite::Error::InvalidParameterCount(..) => Error::unnamed_parameters(),
        _ => Error::new(ErrorKind::Other, "the SQLite driver failed"),
    }
}

/// An error that may say that another connection stands in the way for the moment.
pub(super) trait Busy {
    fn is_busy(&self) -> bool;
}

impl Busy for rusqlite::Error {
    fn is_busy(&self) -> bool {
        matches!(
            self.sqlite_error_code(),
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
        )
    }
}

impl Busy for Error {
    fn is_busy(&self) -> bool {
        *self.kind() == ErrorKind::Busy
    }
}

/// Whether a guard stopped the statement.
pub(super) fn is_interrupted(error: &Error) -> bool {
    *error.kind() == ErrorKind::Timeout(Stage::Statement)
}

fn failure_of(code: i32, message: &str, text_alone: bool) -> Error {
    let kind = kind_of(code, message, text_alone);
    let message = match (&kind, code & 0xff) {
        (ErrorKind::Other, _) if !text_alone => redacted(message),
        (ErrorKind::Timeout(_), _) => {
            "the statement was interrupted because it took too long".to_owned()
        }
        (ErrorKind::Full, _) => "the disk, or the space the database may use, is full".to_owned(),
        (ErrorKind::ReadOnly, _) => "the database, or this transaction, is read-only".to_owned(),
        _ => message.to_owned(),
    };
    let constraint = constraint_of(&kind, &message);
    Error::new(kind, message)
        .with_code(code.to_string())
        .with_constraint(constraint)
}

fn kind_of(code: i32, message: &str, text_alone: bool) -> ErrorKind {
    match code {
        ffi::SQLITE_CONSTRAINT_UNIQUE
        | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
        | ffi::SQLITE_CONSTRAINT_ROWID => unique(message),
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => ErrorKind::ForeignKey,
        ffi::SQLITE_CONSTRAINT_NOTNULL => ErrorKind::NotNull {
            column: columns_of(message).pop(),
        },
        ffi::SQLITE_CONSTRAINT_CHECK => ErrorKind::Check,
        ffi::SQLITE_CONSTRAINT_DATATYPE => mismatch(message),
        _ => match code & 0xff {
            ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED => ErrorKind::Busy,
            ffi::SQLITE_INTERRUPT => ErrorKind::Timeout(Stage::Statement),
            ffi::SQLITE_READONLY => ErrorKind::ReadOnly,
            ffi::SQLITE_FULL => ErrorKind::Full,
            ffi::SQLITE_CANTOPEN | ffi::SQLITE_NOTADB => ErrorKind::Connection,
            ffi::SQLITE_AUTH | ffi::SQLITE_PERM => ErrorKind::Auth,
            ffi::SQLITE_MISMATCH => mismatch(message),
            ffi::SQLITE_ERROR if text_alone => ErrorKind::Syntax { at: None },
            _ => ErrorKind::Other,
        },
    }
}

/// `UNIQUE constraint failed: t.a, t.b`, or `…: index 'name'` for an index over expressions.
fn unique(message: &str) -> ErrorKind {
    let subject = message
        .split_once("failed: ")
        .map_or("", |(_, subject)| subject);
    if let Some(index) = subject.strip_prefix("index '") {
        return ErrorKind::Unique {
            constraint: Some(index.trim_end_matches('\'').to_owned()),
            columns: Vec::new(),
        };
    }
    ErrorKind::Unique {
        constraint: None,
        columns: columns_of(message),
    }
}

/// `… constraint failed: t.a, t.b`
fn columns_of(message: &str) -> Vec<String> {
    let subject = message
        .split_once("failed: ")
        .map_or("", |(_, subject)| subject);
    let columns = subject.split(", ").filter(|name| !name.is_empty());
    columns
        .map(|name| {
            name.rsplit_once('.')
                .map_or(name, |(_, column)| column)
                .to_owned()
        })
        .collect()
}

/// `cannot store TEXT value in INTEGER column t.a`
fn mismatch(message: &str) -> ErrorKind {
    let words: Vec<&str> = message.split(' ').collect();
    match words.as_slice() {
        [
            "cannot",
            "store",
            got,
            "value",
            "in",
            want,
            "column",
            column,
        ] => ErrorKind::Type {
            column: (*column).to_owned(),
            want: (*want).to_owned(),
            got: (*got).to_owned(),
        },
        _ => ErrorKind::Type {
            column: "a column".to_owned(),
            want: "its own type".to_owned(),
            got: "another".to_owned(),
        },
    }
}

fn constraint_of(kind: &ErrorKind, message: &str) -> Option<String> {
    match kind {
        ErrorKind::Check => message
            .split_once("failed: ")
            .map(|(_, name)| name.to_owned()),
        ErrorKind::Unique { constraint, .. } => constraint.clone(),
        _ => None,
    }
}

/// Cuts a message before the first thing it quotes.
fn redacted(message: &str) -> String {
    let end = ["near", "\"", "'", "[", "`", ": "]
        .iter()
        .filter_map(|mark| message.find(mark))
        .min();
    let kept = message[..end.unwrap_or(message.len())].trim_end();
    if kept.is_empty() {
        "the statement failed".to_owned()
    } else {
        kept.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unique_keys_name_their_columns() {
        let columns = |message: &str| match unique(message) {
            ErrorKind::Unique {
                constraint,
                columns,
            } => (constraint, columns.join("+")),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            columns("UNIQUE constraint failed: t.a, t.b"),
            (None, "a+b".to_owned())
        );
        assert_eq!(
            columns("UNIQUE constraint failed: index 'by_lower'"),
            (Some("by_lower".to_owned()), String::new())
        );
    }

    #[test]
    fn messages_of_running_statements_lose_what_they_quote() {
        let check = |message: &str, expected: &str| assert_eq!(redacted(message), expected);
        check("fts5: syntax error near \"secret\"", "fts5");
        check("malformed JSON", "malformed JSON");
        check("bad JSON path: 'secret'", "bad JSON path");
        check("'secret'", "the statement failed");
    }
}
