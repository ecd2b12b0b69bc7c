//! Values on their way into and out of SQLite.
//!
//! Booleans travel as integers, times as integers (microseconds since 1970), decimals, dates, JSON
//! and UUIDs as text, vectors as bytes, lists as a JSON array for `json_each`.

use rusqlite::types::{ToSqlOutput, Value as Sqlite, ValueRef};
use serde_json::Value as Json;

use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::source::Cells;
use crate::value::{Raw, Value, to_bytes};

/// Binds the values to a prepared statement, in slot order.
pub(super) fn bind(
    statement: &mut rusqlite::Statement<'_>,
    plan: &Plan,
    values: &[Value],
) -> Result<()> {
    for (index, value) in values.iter().enumerate() {
        if matches!(value, Value::List(_)) && !plan.slots.get(index).is_some_and(|slot| slot.list) {
            return Err(Error::mismatch(
                plan.parameter(index),
                "a single value",
                value.type_name(),
            ));
        }
        let encoded = encode(value)
            .map_err(|got| Error::mismatch(plan.parameter(index), "a list of scalars", got))?;
        statement
            .raw_bind_parameter(index + 1, encoded)
            .map_err(super::error::translate)?;
    }
    Ok(())
}

/// The row that a statement stands at.
impl Cells for rusqlite::Row<'_> {
    #[inline]
    fn raw(&self, index: usize) -> Option<Raw<'_>> {
        Some(match self.get_ref(index).ok()? {
            ValueRef::Null => Raw::Null,
            ValueRef::Integer(value) => Raw::Int(value),
            ValueRef::Real(value) => Raw::Real(value),
            ValueRef::Text(bytes) => Raw::Text(std::str::from_utf8(bytes).ok()?),
            ValueRef::Blob(bytes) => Raw::Bytes(bytes),
        })
    }

    #[inline]
    fn value(&self, index: usize) -> Result<Value> {
        let raw = self.raw(index).map(Value::from);
        raw.ok_or_else(|| not_text(self, index))
    }
}

#[cold]
fn not_text(row: &rusqlite::Row<'_>, index: usize) -> Error {
    let column = row.as_ref().column_name(index).unwrap_or_default();
    Error::mismatch(column, "text in UTF-8", "other bytes")
}

fn encode(value: &Value) -> Result<ToSqlOutput<'_>, &'static str> {
    Ok(match value {
        Value::Null => ToSqlOutput::Owned(Sqlite::Null),
        Value::Bool(value) => ToSqlOutput::Owned(Sqlite::Integer((*value).into())),
        Value::Int(value) => ToSqlOutput::Owned(Sqlite::Integer(*value)),
        Value::Real(value) => ToSqlOutput::Owned(Sqlite::Real(*value)),
        Value::Text(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
        Value::Bytes(value) => ToSqlOutput::Borrowed(ValueRef::Blob(value)),
        Value::Json(value) => ToSqlOutput::Owned(Sqlite::Text(value.to_string())),
        Value::Uuid(value) => ToSqlOutput::Owned(Sqlite::Text(value.to_string())),
        Value::Time(value) => ToSqlOutput::Owned(Sqlite::Integer(value.as_microsecond())),
        Value::Decimal(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_str().as_bytes())),
        Value::Date(value) => ToSqlOutput::Owned(Sqlite::Text(value.to_string())),
        Value::Vector(value) => ToSqlOutput::Owned(Sqlite::Blob(to_bytes(value))),
        Value::List(items) => {
            let items = items
                .iter()
                .map(list_item)
                .collect::<Result<Vec<Json>, _>>()?;
            ToSqlOutput::Owned(Sqlite::Text(Json::Array(items).to_string()))
        }
    })
}

/// What `json_each` must yield so that it compares equal to the stored form of the value.
fn list_item(value: &Value) -> Result<Json, &'static str> {
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bool(value) => i64::from(*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Real(value) => (*value).into(),
        Value::Text(value) => value.as_str().into(),
        Value::Json(value) => value.to_string().into(),
        Value::Uuid(value) => value.to_string().into(),
        Value::Time(value) => value.as_microsecond().into(),
        Value::Decimal(value) => value.as_str().into(),
        Value::Date(value) => value.to_string().into(),
        Value::Bytes(_) | Value::Vector(_) | Value::List(_) => return Err(value.type_name()),
    })
}
