//! What a backend's own type says about the logical one.

use std::collections::HashSet;

use super::assemble::{CheckFact, ColumnFact};
use super::model::Table;
use crate::dialect::Dialect;
use crate::sql::LogicalType;

/// Returns the logical type that a backend's type stands for by itself.
pub(super) fn infer(dialect: Dialect, fact: &ColumnFact, is_json: bool) -> Option<LogicalType> {
    let raw = fact.raw_type.to_ascii_lowercase();
    let (base, arguments) = split(&raw);
    let whole_number = if fact.key_position > 0 && !fact.identity {
        LogicalType::BigInt
    } else {
        LogicalType::Integer
    };
    Some(match (dialect, base) {
        (_, "json" | "jsonb") => LogicalType::Json,
        (_, "longtext") if is_json => LogicalType::Json,
        (Dialect::MySql, "tinyint") if arguments == [1] => LogicalType::Boolean,
        (_, "integer" | "int" | "bigint" | "smallint" | "tinyint" | "mediumint") => whole_number,
        (_, "real" | "double precision" | "double" | "float") => LogicalType::Real,
        (_, "text" | "longtext" | "mediumtext") => LogicalType::Text,
        (_, "blob" | "longblob" | "mediumblob" | "bytea") => LogicalType::Blob,
        (Dialect::Sqlite, _) => return None,
        (_, "numeric" | "decimal") => match arguments[..] {
            [precision, scale] => LogicalType::Decimal { precision, scale },
            _ => return None,
        },
        (_, "character varying" | "varchar") => match arguments[..] {
            [length] => LogicalType::LimitedText(length),
            _ => LogicalType::Text,
        },
        (Dialect::MySql, "char") if arguments == [36] => LogicalType::Uuid,
        (_, "boolean") => LogicalType::Boolean,
        (_, "uuid") => LogicalType::Uuid,
        (_, "date") => LogicalType::Date,
        (_, "timestamp with time zone" | "datetime") => LogicalType::Timestamp,
        _ => return None,
    })
}

/// Prefers what the migrations wrote down, unless the backend holds something else by now.
pub(super) fn resolve(
    dialect: Dialect,
    recorded: Option<LogicalType>,
    inferred: Option<LogicalType>,
) -> Option<LogicalType> {
    match (recorded, inferred) {
        (Some(recorded), Some(inferred))
            if class(dialect, recorded) != class(dialect, inferred) =>
        {
            Some(inferred)
        }
        (Some(recorded), Some(_)) => Some(recorded),
        (_, inferred) => inferred,
    }
}

/// Maps the types that a backend does not tell apart to one of them.
fn class(dialect: Dialect, kind: LogicalType) -> LogicalType {
    match (dialect, kind) {
        (_, LogicalType::BigInt) => LogicalType::Integer,
        (Dialect::Sqlite, LogicalType::Boolean | LogicalType::Timestamp) => LogicalType::Integer,
        (
            Dialect::Sqlite,
            LogicalType::Decimal { .. }
            | LogicalType::LimitedText(_)
            | LogicalType::Json
            | LogicalType::Uuid
            | LogicalType::Date,
        ) => LogicalType::Text,
        (_, kind) => kind,
    }
}

/// Splits `varchar(40)` and `bigint(20) unsigned` into the name and the numbers.
fn split(raw: &str) -> (&str, Vec<u32>) {
    let Some((base, rest)) = raw.split_once('(') else {
        return (raw, Vec::new());
    };
    let inner = rest.split(')').next().unwrap_or_default();
    let numbers = inner
        .split(',')
        .filter_map(|number| number.trim().parse().ok());
    (base.trim(), numbers.collect())
}

/// Finds the columns that MariaDB keeps as text with a check for JSON.
pub(super) fn json_columns(dialect: Dialect, checks: &[CheckFact]) -> HashSet<(String, String)> {
    let of_mysql = checks.iter().filter(|_| dialect == Dialect::MySql);
    let json = of_mysql.filter_map(|check| {
        let column = json_column(&check.expression)?;
        Some((check.table.clone(), column.to_owned()))
    });
    json.collect()
}

/// Tells whether a check only makes up for a type that the backend lacks.
pub(super) fn stands_in_for_a_type(dialect: Dialect, check: &CheckFact, table: &Table) -> bool {
    match dialect {
        Dialect::Postgres => false,
        Dialect::MySql => json_column(&check.expression).is_some(),
        Dialect::Sqlite => table.columns.iter().any(|column| {
            let name = dialect.quote(&column.name);
            column
                .kind
                .and_then(|kind| kind.sqlite_check(&name))
                .as_deref()
                == Some(check.expression.as_str())
        }),
    }
}

fn json_column(expression: &str) -> Option<&str> {
    let argument = expression.strip_prefix("json_valid(")?.strip_suffix(')')?;
    Some(argument.trim_matches(['"', '`']))
}
