//! Rows on their way to standard output: a table for people, JSON and CSV for programs.
//!
//! JSON and CSV are written row by row, so a result may be of any size; a table is held back until
//! its widths are known, and therefore limited.

use super::table::{Cell, Table};
use crate::outcome::Outcome;
use crate::terminal::Style;
use athena_db::{LogicalType, ResultColumn, Row, Value};
use serde_json::{Map, Number, Value as Json};
use std::collections::HashMap;
use std::io::Write;

/// The forms of a result, as they are named on the command line.
pub(super) const FORMATS: [&str; 4] = ["table", "json", "jsonl", "csv"];

/// The form of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Columns for a person.
    Table,
    /// One JSON array of objects.
    Json,
    /// A JSON object a line.
    JsonLines,
    /// Comma-separated values with a line of headings; NULL is empty, empty text is `""`.
    Csv,
}

impl Format {
    /// Returns the form of that name.
    pub(super) fn named(name: &str) -> Self {
        match name {
            "json" => Self::Json,
            "jsonl" => Self::JsonLines,
            "csv" => Self::Csv,
            _ => Self::Table,
        }
    }
}

/// Types by table and column.
///
/// SQLite and MySQL do not say that an integer is a time; the migrations have written it down.
pub(super) type Types = HashMap<(String, String), LogicalType>;

/// Writes the rows of one result.
pub(super) struct Output<W> {
    out: W,
    format: Format,
    style: Style,
    /// The columns, known with the first row, and the types in which they were declared.
    names: Vec<String>,
    types: Vec<Option<LogicalType>>,
    started: bool,
    table: Table,
    rows: usize,
}

impl<W: Write> Output<W> {
    pub(super) fn new(out: W, format: Format, style: Style) -> Self {
        Self {
            out,
            format,
            style,
            names: Vec::new(),
            types: Vec::new(),
            started: false,
            table: Table::default(),
            rows: 0,
        }
    }

    /// Writes, or for a table keeps, a row.
    pub(super) fn row(&mut self, row: Row) -> Outcome {
        if !self.started {
            let types = vec![None; row.columns().len()];
            self.start(row.columns().iter(), types)?;
        }
        let first = self.rows == 0;
        self.rows += 1;
        let values = row.into_values().into_iter().zip(&self.types);
        let values = values.map(|(value, logical)| declared(value, *logical));
        match self.format {
            Format::Table => self
                .table
                .rows
                .push(values.map(|value| cell(&value)).collect()),
            Format::Csv => {
                let fields: Vec<String> = values.map(|value| field(&value)).collect();
                write!(self.out, "{}\r\n", fields.join(","))?;
            }
            Format::Json | Format::JsonLines => {
                let object: Map<String, Json> =
                    self.names.iter().cloned().zip(values.map(json)).collect();
                let object = Json::Object(object);
                match (self.format, first) {
                    (Format::Json, true) => write!(self.out, "[\n{object}")?,
                    (Format::Json, false) => write!(self.out, ",\n{object}")?,
                    _ => writeln!(self.out, "{object}")?,
                }
            }
        }
        Ok(())
    }

    /// Tells the columns of a result before its rows.
    pub(super) fn describe(&mut self, columns: &[ResultColumn], declared: &Types) -> Outcome {
        let types = columns.iter().map(|column| {
            let origin = column.origin.as_ref()?;
            declared.get(origin).copied()
        });
        let names = columns.iter().map(|column| column.name.as_str());
        self.start(names, types.collect())
    }

    fn start<'a>(
        &mut self,
        names: impl Iterator<Item = &'a str>,
        types: Vec<Option<LogicalType>>,
    ) -> Outcome {
        self.started = true;
        self.names = distinct(names);
        self.types = types;
        match self.format {
            Format::Table => self.table.headings.clone_from(&self.names),
            Format::Csv => {
                let names: Vec<String> = self.names.iter().map(|name| quoted(name)).collect();
                write!(self.out, "{}\r\n", names.join(","))?;
            }
            Format::Json | Format::JsonLines => {}
        }
        Ok(())
    }

    /// Writes what ends the result, and returns the number of rows.
    pub(super) fn finish(mut self) -> Outcome<usize> {
        match self.format {
            Format::Table if self.rows == 0 => writeln!(self.out, "no rows")?,
            Format::Table => write!(self.out, "{}", self.table.text(self.style))?,
            Format::Json if self.rows == 0 => writeln!(self.out, "[]")?,
            Format::Json => writeln!(self.out, "\n]")?,
            Format::JsonLines | Format::Csv => {}
        }
        self.out.flush()?;
        Ok(self.rows)
    }
}

/// Names that occur again get a number, so that no value is lost in an object.
fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut taken: Vec<String> = Vec::new();
    for name in names {
        let mut candidate = name.to_owned();
        let mut number = 1;
        while taken.contains(&candidate) {
            number += 1;
            candidate = format!("{name}_{number}");
        }
        taken.push(candidate);
    }
    taken
}

/// Reads a value as its column was declared; one that does not fit stays as it is.
fn declared(value: Value, logical: Option<LogicalType>) -> Value {
    match logical.and_then(|logical| value.as_logical(logical)) {
        Some(value) => value,
        None => value,
    }
}

fn cell(value: &Value) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::Int(_) | Value::Real(_) | Value::Decimal(_) => Cell::Number(text(value)),
        value => Cell::text(text(value)),
    }
}

fn field(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        value => quoted(&text(value)),
    }
}

/// Quotes a CSV field where that is needed.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty()
        && !text.contains([',', '"', '\n', '\r'])
        && !text.starts_with(' ')
        && !text.ends_with(' ');
    if plain {
        text.to_owned()
    } else {
        format!("\"{}\"", text.replace('"', "\"\""))
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Real(value) => format!("{value:?}"),
        Value::Decimal(value) => value.to_string(),
        Value::Text(value) => value.clone(),
        Value::Bytes(bytes) => hexadecimal(bytes),
        Value::Uuid(value) => value.to_string(),
        Value::Time(value) => value.to_string(),
        Value::Date(value) => value.to_string(),
        Value::Json(_) | Value::Vector(_) | Value::List(_) => json(value.clone()).to_string(),
    }
}

/// What JSON has no type for is text: decimals (exact), times, UUIDs, bytes in hexadecimal.
fn json(value: Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => value.into(),
        Value::Int(value) => value.into(),
        Value::Real(value) => {
            Number::from_f64(value).map_or_else(|| value.to_string().into(), Json::Number)
        }
        Value::Json(value) => value,
        Value::Vector(numbers) => numbers.into_iter().map(Json::from).collect(),
        Value::List(items) => items.into_iter().map(json).collect(),
        value => text(&value).into(),
    }
}

/// Writes bytes as PostgreSQL does.
fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("\\x");
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        let check = |value: Value, expected: &str| assert_eq!(field(&value), expected);
        check(Value::Null, "");
        check("".into(), "\"\"");
        check("plain text".into(), "plain text");
        check("a,b".into(), "\"a,b\"");
        check("say \"hi\"\n".into(), "\"say \"\"hi\"\"\n\"");
        check(vec![0_u8, 255].into(), "\\x00ff");
        check(1.0.into(), "1.0");
        check(true.into(), "true");
    }

    #[test]
    fn names_that_occur_again_get_a_number() {
        assert_eq!(
            distinct(["a", "b", "a", "a", "a_2"].into_iter()),
            ["a", "b", "a_2", "a_3", "a_2_2"]
        );
    }

    #[test]
    fn a_declared_type_is_used_where_it_fits() {
        let time = declared(Value::Int(1_000_000), Some(LogicalType::Timestamp));
        assert_eq!(text(&time), "1970-01-01T00:00:01Z");
        assert_eq!(
            declared("free text".into(), Some(LogicalType::Timestamp)),
            "free text".into()
        );
    }
}
