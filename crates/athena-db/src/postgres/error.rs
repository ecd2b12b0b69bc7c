//! SQLSTATE codes as portable kinds.

use std::error::Error as _;
use std::time::Duration;

use tokio_postgres::error::{DbError, ErrorPosition};

use crate::dialect::Dialect;
use crate::error::{Error, ErrorKind, Stage};
use crate::plan::Plan;

/// The plan of a prepared statement no longer fits the tables it reads.
pub(super) const STALE_PLAN: &str = "cached plan must not change result type";

/// The type of a parameter of a prepared statement is gone; another may have its name.
pub(super) const STALE_TYPE: &str = "cache lookup failed for type";

/// Turns a driver error into ours. The server's detail and its messages about data quote values
/// and stay behind.
pub(super) fn translate(error: &tokio_postgres::Error) -> Error {
    match error.as_db_error() {
        Some(error) => from_server(error),
        None if error.is_closed() || is_io(error) => Error::new(
            ErrorKind::Connection,
            "the connection to PostgreSQL was lost",
        ),
        None => Error::new(ErrorKind::Other, "the PostgreSQL driver failed"),
    }
}

/// Describes why no connection came about, with the place and without the password.
pub(super) fn cannot_connect(error: &tokio_postgres::Error, place: &str) -> Error {
    if let Some(error) = error.as_db_error() {
        let known = from_server(error);
        let kind = if *known.kind() == ErrorKind::Auth {
            ErrorKind::Auth
        } else {
            ErrorKind::Connection
        };
        let message = format!("cannot connect to PostgreSQL at {place}: {known}");
        return Error::new(kind, message).with_code(error.code().code());
    }
    let cause = error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string);
    Error::new(
        ErrorKind::Connection,
        format!("cannot connect to PostgreSQL at {place}: {cause}"),
    )
}

/// Says that no connection came about in time.
pub(super) fn connect_timed_out(limit: Duration, place: &str) -> Error {
    Error::new(
        ErrorKind::Timeout(Stage::Connect),
        format!("cannot connect to PostgreSQL at {place}: no answer within {limit:?}"),
    )
}

/// Turns the error of a statement that could not be prepared into ours, with its place.
pub(super) fn translate_plan(plan: &Plan, error: &tokio_postgres::Error) -> Error {
    let translated = translate(error);
    match error.as_db_error().and_then(DbError::position) {
        Some(ErrorPosition::Original(character)) => {
            let before = plan
                .text
                .chars()
                .take((*character as usize).saturating_sub(1));
            plan.locate(translated, before.map(char::len_utf8).sum())
        }
        _ => translated,
    }
}

/// Whether the server could not tell the type of a parameter, and of which one (from 0).
pub(super) fn ambiguous_parameter(error: &tokio_postgres::Error) -> Option<Option<usize>> {
    let error = error.as_db_error()?;
    if !matches!(error.code().code(), "42P18" | "42P08") {
        return None;
    }
    let number = error.message().split_once('$').map(|(_, rest)| rest);
    let number = number.map(|rest| {
        rest.split(|c: char| !c.is_ascii_digit())
            .next()
            .unwrap_or_default()
    });
    Some(
        number
            .and_then(|number| number.parse::<usize>().ok())
            .and_then(|number| number.checked_sub(1)),
    )
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    error
        .source()
        .is_some_and(|source| source.is::<std::io::Error>())
}

fn from_server(error: &DbError) -> Error {
    let code = error.code().code();
    let kind = kind_of(code, error);
    let message = match &kind {
        ErrorKind::Type { .. } => {
            format!("a value does not fit its type or range (SQLSTATE {code})")
        }
        ErrorKind::Timeout(_) => {
            "the statement was interrupted because it took too long".to_owned()
        }
        ErrorKind::Full => "the server's disk is full".to_owned(),
        _ if code.starts_with("22") => {
            format!("the statement met data that it cannot process (SQLSTATE {code})")
        }
        _ => error.message().to_owned(),
    };
    Error::new(kind, message)
        .with_code(code)
        .with_constraint(error.constraint().map(str::to_owned))
}

fn kind_of(code: &str, error: &DbError) -> ErrorKind {
    match code {
        "23505" => ErrorKind::Unique {
            constraint: error.constraint().map(str::to_owned),
            columns: error.detail().map(key_columns).unwrap_or_default(),
        },
        "23503" | "23001" => ErrorKind::ForeignKey,
        "23502" => ErrorKind::NotNull {
            column: error.column().map(str::to_owned),
        },
        // Text that is too long for its column: on SQLite a check constraint does the same.
        "23514" | "22001" => ErrorKind::Check,
        "40001" => ErrorKind::Serialization,
        "40P01" => ErrorKind::Deadlock,
        "55P03" => ErrorKind::Busy,
        "57014" => ErrorKind::Timeout(Stage::Statement),
        "25P03" | "25P04" => ErrorKind::Timeout(Stage::Transaction),
        "25006" => ErrorKind::ReadOnly,
        "25P02" => ErrorKind::TxAborted,
        "53100" => ErrorKind::Full,
        "42501" => ErrorKind::Auth,
        "22003" | "22007" | "22008" | "22021" | "22030" | "22032" | "22P02" | "22P03" | "22P05"
        | "42804" => wrong_type(error),
        "0A000" => ErrorKind::Unsupported {
            feature: error.message().to_owned(),
            dialect: Dialect::Postgres,
        },
        "53300" | "57P01" | "57P02" | "57P03" | "57P05" | "3D000" => ErrorKind::Connection,
        _ if code.starts_with("08") => ErrorKind::Connection,
        _ if code.starts_with("28") => ErrorKind::Auth,
        _ if code.starts_with("42") || code == "3F000" => ErrorKind::Syntax { at: None },
        _ => ErrorKind::Other,
    }
}

fn wrong_type(error: &DbError) -> ErrorKind {
    let column = error.column().unwrap_or("a value").to_owned();
    let want = error.datatype().unwrap_or("its type and range").to_owned();
    ErrorKind::Type {
        column,
        want,
        got: "another value".to_owned(),
    }
}

/// `Key (a, b)=(…) already exists.`: the names, and nothing behind them.
fn key_columns(detail: &str) -> Vec<String> {
    let names = detail
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(")=("));
    let names = names.map_or("", |(names, _)| names);
    names
        .split(", ")
        .filter(|name| !name.is_empty())
        .map(|name| name.trim_matches('"').to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_columns_stop_before_the_values() {
        assert_eq!(
            key_columns("Key (project_id, name)=(1, secret) already exists."),
            ["project_id", "name"]
        );
        assert_eq!(key_columns("Key (\"Id\")=(a)=(b) already exists."), ["Id"]);
        assert!(key_columns("nothing of the kind").is_empty());
    }
}
