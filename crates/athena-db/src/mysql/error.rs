//! Error codes of MySQL and MariaDB as portable kinds.
//!
//! The server's messages quote values freely. What is passed on are the names in them, cut out by
//! position, and whole messages only where they hold nothing but names.

use mysql_async::{DriverError, Error as DriverFailure, ServerError};

use crate::dialect::Dialect;
use crate::error::{Error, ErrorKind, Stage};
use crate::plan::Plan;

/// A row with the same key exists.
const DUPLICATE: u16 = 1062;

/// Turns a driver error into ours.
pub(super) fn translate(error: &DriverFailure) -> Error {
    match error {
        DriverFailure::Server(error) => from_server(error),
        DriverFailure::Io(_) | DriverFailure::Driver(DriverError::ConnectionClosed) => {
            Error::new(ErrorKind::Connection, "the connection to MySQL was lost")
        }
        DriverFailure::Driver(DriverError::PacketTooLarge) => Error::new(
            ErrorKind::Connection,
            "the server sent a packet that is larger than its own limit",
        ),
        _ => Error::new(ErrorKind::Connection, "the MySQL driver failed"),
    }
}

/// Turns the error of a statement into ours, with its place if the server gives it away.
pub(super) fn translate_plan(plan: &Plan, error: &DriverFailure) -> Error {
    let translated = translate(error);
    let place = match error {
        DriverFailure::Server(error) => place_in(&plan.text, error.code, &error.message),
        _ => None,
    };
    match place {
        Some(byte) => plan.locate(translated, byte),
        None => translated,
    }
}

/// Describes why no connection came about, with the place and without the password.
pub(super) fn cannot_connect(error: &DriverFailure, place: &str) -> Error {
    let (kind, cause, code) = match error {
        DriverFailure::Server(error) => {
            let known = from_server(error);
            let kind = match known.kind() {
                ErrorKind::Auth => ErrorKind::Auth,
                _ => ErrorKind::Connection,
            };
            (kind, known.to_string(), Some(error.code.to_string()))
        }
        DriverFailure::Io(error) => (ErrorKind::Connection, error.to_string(), None),
        DriverFailure::Driver(DriverError::NoClientSslFlagFromServer) => (
            ErrorKind::Connection,
            "the server does not speak TLS".to_owned(),
            None,
        ),
        DriverFailure::Driver(error) => (ErrorKind::Connection, error.to_string(), None),
        _ => (ErrorKind::Connection, "the driver failed".to_owned(), None),
    };
    let error = Error::new(kind, format!("cannot connect to MySQL at {place}: {cause}"));
    match code {
        Some(code) => error.with_code(code),
        None => error,
    }
}

/// Says which key a row met; the server names the key but not its columns.
pub(super) fn unique_violation(error: Error, key: &str, columns: Vec<String>) -> Error {
    error.with_kind(ErrorKind::Unique {
        constraint: Some(key.to_owned()),
        columns,
    })
}

fn from_server(error: &ServerError) -> Error {
    let kind = kind_of(error);
    let message = match &kind {
        ErrorKind::Unique { constraint, .. } => format!(
            "a row with the same value of the unique key{} exists",
            constraint
                .as_ref()
                .map_or_else(String::new, |key| format!(" `{key}`"))
        ),
        ErrorKind::ForeignKey => "a referenced row is missing or a row is still referenced".into(),
        ErrorKind::NotNull { column } => format!(
            "{} needs a value",
            column
                .as_ref()
                .map_or_else(|| "a column".to_owned(), |column| format!("`{column}`"))
        ),
        ErrorKind::Check => "a value breaks a check constraint or is too long".into(),
        ErrorKind::Type { column, .. } => format!("a value does not fit `{column}`"),
        ErrorKind::Timeout(_) => "the statement was interrupted because it took too long".into(),
        ErrorKind::Busy => "a lock was not released in time".into(),
        ErrorKind::Deadlock => "the transaction was chosen to break a deadlock".into(),
        ErrorKind::Full => "the server's disk is full".into(),
        ErrorKind::Syntax { .. } if error.code == 1064 => syntax_message(&error.message),
        ErrorKind::Other => format!("the server failed with its error {}", error.code),
        _ => error.message.clone(),
    };
    let constraint = match &kind {
        ErrorKind::Unique { constraint, .. } => constraint.clone(),
        ErrorKind::ForeignKey | ErrorKind::Check => constraint_name(&error.message),
        _ => None,
    };
    Error::new(kind, message)
        .with_code(error.code.to_string())
        .with_constraint(constraint)
}

fn kind_of(error: &ServerError) -> ErrorKind {
    let message = error.message.as_str();
    match error.code {
        1022 | DUPLICATE | 1586 | 1859 => ErrorKind::Unique {
            constraint: key_name(message),
            columns: Vec::new(),
        },
        1216 | 1217 | 1451 | 1452 | 1834 => ErrorKind::ForeignKey,
        1048 | 1364 => ErrorKind::NotNull {
            column: quoted(message),
        },
        // Text that is too long for its column: on SQLite a check constraint does the same.
        1406 | 3819 | 4025 => ErrorKind::Check,
        // The row changed since the snapshot was taken, or the table did.
        1020 | 1412 | 1615 => ErrorKind::Serialization,
        1213 => ErrorKind::Deadlock,
        1205 | 3572 => ErrorKind::Busy,
        1317 | 1969 | 3024 => ErrorKind::Timeout(Stage::Statement),
        1290 | 1792 | 1836 => ErrorKind::ReadOnly,
        1021 | 1114 => ErrorKind::Full,
        1026 if message.contains("28") => ErrorKind::Full,
        1044 | 1045 | 1130 | 1142 | 1143 | 1227 | 1251 | 1370 | 1698 | 1820 | 1862 => {
            ErrorKind::Auth
        }
        1264 | 1265 | 1292 | 1366 | 1367 | 1411 | 1426 | 1690 | 3140 | 4078 => wrong_type(message),
        1235 | 1286 | 1295 | 1970 => ErrorKind::Unsupported {
            feature: message.to_owned(),
            dialect: Dialect::MySql,
        },
        1040 | 1049 | 1053 | 1129 | 1152..=1161 | 1203 | 1927 => ErrorKind::Connection,
        1050..=1052
        | 1054..=1061
        | 1063..=1076
        | 1083
        | 1091
        | 1109
        | 1111
        | 1115
        | 1118
        | 1128
        | 1136
        | 1146
        | 1149
        | 1166
        | 1170
        | 1176
        | 1210
        | 1221
        | 1222
        | 1239
        | 1241
        | 1242
        | 1247
        | 1248
        | 1267
        | 1271
        | 1273
        | 1305
        | 1318
        | 1327
        | 1347
        | 1351
        | 1353
        | 1356
        | 1424
        | 1553
        | 1568
        | 1582
        | 1583
        | 1630
        | 1822
        | 1824
        | 3105
        | 4161 => ErrorKind::Syntax { at: None },
        _ => ErrorKind::Other,
    }
}

fn wrong_type(message: &str) -> ErrorKind {
    ErrorKind::Type {
        column: column_name(message).unwrap_or_else(|| "a value".to_owned()),
        want: "its type and range".to_owned(),
        got: "another value".to_owned(),
    }
}

/// `… for key 'name'`; MySQL 8 writes `'table.name'`. The value stands before, hence from the end.
fn key_name(message: &str) -> Option<String> {
    let name = message.rsplit_once("for key '")?.1.strip_suffix('\'')?;
    let name = name.rsplit_once('.').map_or(name, |(_, name)| name);
    Some(name.to_owned())
}

/// `… for column 'name' at row 1` or `` … for column `db`.`table`.`name` at row 1 ``.
fn column_name(message: &str) -> Option<String> {
    let rest = message.rsplit_once("for column ")?.1;
    let name = rest.rsplit_once(" at row ").map_or(rest, |(name, _)| name);
    let name = name.rsplit_once("`.`").map_or(name, |(_, name)| name);
    Some(name.trim_matches(['`', '\'']).to_owned())
}

/// ``CONSTRAINT `name` …``, or MySQL's `Check constraint 'name' …`.
fn constraint_name(message: &str) -> Option<String> {
    let rest = message
        .rsplit_once("CONSTRAINT `")
        .map(|(_, rest)| (rest, '`'))
        .or_else(|| {
            let rest = message.strip_prefix("Check constraint '")?;
            Some((rest, '\''))
        });
    let (rest, quote) = rest?;
    rest.split(quote).next().map(str::to_owned)
}

/// Where in a statement the mistake is that a message describes.
fn place_in(text: &str, code: u16, message: &str) -> Option<usize> {
    match code {
        // `… near 'the rest of the statement, cut short' at line 2`.
        1064 => {
            let (rest, line) = message.split_once(" near '")?.1.rsplit_once("' at line ")?;
            find_rest(text, rest, line.parse().ok()?)
        }
        // `Unknown column 'name' in …`, `Table 'database.name' doesn't exist`.
        1054 | 1146 => {
            let name = quoted(message)?;
            let name = name
                .rsplit_once('.')
                .map_or(name.as_str(), |(_, name)| name);
            find_name(text, name)
        }
        _ => None,
    }
}

/// The place from which a statement goes on with a text that may have been cut short.
fn find_rest(text: &str, rest: &str, line: usize) -> Option<usize> {
    if rest.is_empty() {
        return Some(text.trim_end().len());
    }
    let is_there = |at: &usize| text[..*at].matches('\n').count() + 1 == line;
    // A text that was not cut is the end, and may stand elsewhere in the line as well.
    let end = text.strip_suffix(rest).map(str::len);
    let places = text.match_indices(rest).map(|(at, _)| at);
    end.into_iter().chain(places).find(is_there)
}

/// The first place where a name stands that is not a part of another.
fn find_name(text: &str, name: &str) -> Option<usize> {
    let continues = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let stands_alone = |at: &usize| {
        !text[..*at].ends_with(continues) && !text[at + name.len()..].starts_with(continues)
    };
    let places = text.match_indices(name).map(|(at, _)| at);
    places.into_iter().find(stands_alone)
}

/// The first quoted name.
fn quoted(message: &str) -> Option<String> {
    message.split('\'').nth(1).map(str::to_owned)
}

/// Of the text that the server quotes only the first word is told, if it is one.
fn syntax_message(message: &str) -> String {
    let near = message.split_once(" near '").map_or("", |(_, near)| near);
    let word: String = near
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    let line = message
        .rsplit_once(" at line ")
        .map_or("", |(_, line)| line);
    let place = match word.as_str() {
        "" => String::new(),
        word => format!(" near `{word}`"),
    };
    format!("syntax error{place} at line {line}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_values_are_not() {
        assert_eq!(
            key_name("Duplicate entry 'it's for key 'x'-1' for key 'by_name'").unwrap(),
            "by_name"
        );
        assert_eq!(
            key_name("Duplicate entry '1' for key 't.PRIMARY'").unwrap(),
            "PRIMARY"
        );
        assert_eq!(
            column_name("Incorrect integer value: 'secret' for column `d`.`t`.`whole` at row 1"),
            Some("whole".to_owned())
        );
        assert_eq!(
            column_name("Out of range value for column 'n' at row 3"),
            Some("n".to_owned())
        );
        assert_eq!(
            constraint_name("CONSTRAINT `positive` failed for `d`.`t`"),
            Some("positive".to_owned())
        );
        assert_eq!(quoted("Column 'a' cannot be null"), Some("a".to_owned()));
    }

    #[test]
    fn a_syntax_error_does_not_quote_what_follows_it() {
        let message = "You have an error in your SQL syntax; check the manual that corresponds to \
                       your MariaDB server version for the right syntax to use near \
                       'FORM t WHERE name = 'secret'' at line 2";
        assert_eq!(
            syntax_message(message),
            "syntax error near `FORM` at line 2"
        );
        let message = "… near ''secret'' at line 1";
        assert_eq!(syntax_message(message), "syntax error at line 1");
    }

    #[test]
    fn mistakes_have_places() {
        let text = "SELECT names, name\nFORM t; FORM t";
        let check = |code, message: &str, expected| {
            assert_eq!(place_in(text, code, message), expected, "{message}");
        };
        check(1064, "… near 'FORM t; FORM t' at line 2", Some(19));
        check(1064, "… near 'FORM t' at line 1", None);
        check(1064, "… near 't' at line 2", Some(32));
        check(1064, "… near '' at line 2", Some(33));
        check(1064, "… near 'name' at line 1", Some(7));
        check(1064, "…", None);
        check(1054, "Unknown column 'name' in 'SELECT'", Some(14));
        check(1146, "Table 'd.t' doesn't exist", Some(24));
        check(1062, "Duplicate entry 'name' for key 'x'", None);
    }
}
