//! Sums over the content of tables that are equal on every backend.
//!
//! Each row is hashed over its typed values, and the hashes are added up: backends sort text in
//! different ways, and a sum needs no order.

use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use super::TableDigest;
use super::layout::Layout;
use crate::error::Result;
use crate::executor::Executor;
use crate::params::Params;
use crate::row::Row;
use crate::value::{Value, to_bytes};

/// The rows of one table so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) rows: u64,
    sum: u128,
}

impl Digest {
    /// Reads a table, telling now and then how many rows that were.
    pub(super) async fn of(
        db: &impl Executor,
        layout: &Layout,
        mut progress: impl FnMut(u64) + Send,
    ) -> Result<Self> {
        let mut rows = db.stream::<Row>(layout.select(db.dialect()), Params::new());
        let mut digest = Self::default();
        while let Some(row) = rows.next().await {
            digest.add(&layout.typed(row?)?);
            if digest.rows.is_multiple_of(256) {
                progress(digest.rows);
            }
        }
        progress(digest.rows);
        Ok(digest)
    }

    /// Adds a row, and returns its size in bytes.
    pub(super) fn add(&mut self, row: &[Value]) -> usize {
        let mut bytes = Vec::new();
        row.iter().for_each(|value| write_value(&mut bytes, value));
        let hash = Sha256::digest(&bytes);
        let half: [u8; 16] = std::array::from_fn(|index| hash[index]);
        self.sum = self.sum.wrapping_add(u128::from_le_bytes(half));
        self.rows += 1;
        bytes.len()
    }

    pub(super) fn of_table(&self, table: &str) -> TableDigest {
        TableDigest {
            table: table.to_owned(),
            rows: self.rows,
            digest: format!("{:032x}", self.sum),
        }
    }
}

/// Writes a value so that two are the same bytes if and only if they are the same value.
fn write_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(b'0'),
        Value::Bool(value) => out.extend([b'b', u8::from(*value)]),
        Value::Int(value) => write(out, b'i', &value.to_le_bytes()),
        // SQLite keeps no negative zero.
        Value::Real(value) => write(out, b'r', &(value + 0.0).to_bits().to_le_bytes()),
        Value::Decimal(value) => write(out, b'd', shortest(value.as_str()).as_bytes()),
        Value::Text(value) => write(out, b't', value.as_bytes()),
        Value::Bytes(value) => write(out, b'x', value),
        Value::Vector(value) => write(out, b'x', &to_bytes(value)),
        Value::Json(value) => {
            out.push(b'j');
            write_json(out, value);
        }
        Value::Uuid(value) => write(out, b'u', value.as_bytes()),
        Value::Time(value) => write(out, b'm', &value.as_microsecond().to_le_bytes()),
        Value::Date(value) => write(out, b'c', value.to_string().as_bytes()),
        Value::List(items) => {
            write(out, b'l', &(items.len() as u64).to_le_bytes());
            items.iter().for_each(|item| write_value(out, item));
        }
    }
}

fn write(out: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    out.push(kind);
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend(bytes);
}

/// Leaves out zeros behind the point that count for nothing.
fn shortest(decimal: &str) -> &str {
    if decimal.contains('.') {
        decimal.trim_end_matches('0').trim_end_matches('.')
    } else {
        decimal
    }
}

/// Members are sorted and numbers have one form, because PostgreSQL keeps neither as it was.
fn write_json(out: &mut Vec<u8>, json: &Json) {
    match json {
        Json::Null => out.push(b'0'),
        Json::Bool(value) => out.extend([b'b', u8::from(*value)]),
        Json::Number(number) => write(out, b'n', plain(number).as_bytes()),
        Json::String(text) => write(out, b't', text.as_bytes()),
        Json::Array(items) => {
            write(out, b'l', &(items.len() as u64).to_le_bytes());
            items.iter().for_each(|item| write_json(out, item));
        }
        Json::Object(members) => {
            write(out, b'o', &(members.len() as u64).to_le_bytes());
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            for (name, member) in members {
                write(out, b't', name.as_bytes());
                write_json(out, member);
            }
        }
    }
}

/// Writes `1`, `1.0` and `1e0` alike.
fn plain(number: &serde_json::Number) -> String {
    if number.is_i64() || number.is_u64() {
        return number.to_string();
    }
    number.as_f64().map_or_else(
        || number.to_string(),
        |real| shortest(&format!("{}", real + 0.0)).to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn digest(value: impl Into<Value>) -> Digest {
        let mut digest = Digest::default();
        digest.add(&[value.into()]);
        digest
    }

    #[test]
    fn the_same_value_has_the_same_digest() {
        let decimal = |text: &str| Value::Decimal(text.parse().unwrap());
        assert_eq!(digest(decimal("1.50")), digest(decimal("1.5")));
        assert_eq!(digest(decimal("100")), digest(decimal("100.00")));
        assert_ne!(digest(decimal("100")), digest(decimal("1")));
        assert_eq!(digest(-0.0), digest(0.0));
        let parse = |text: &str| Value::Json(serde_json::from_str(text).unwrap());
        assert_eq!(
            digest(parse(r#"{"b": [1, 1.0, 1e2], "a": null}"#)),
            digest(parse(r#"{"a": null, "b": [1.0, 1, 100]}"#))
        );
        assert_eq!(
            digest(parse("1e25")),
            digest(parse("10000000000000000000000000"))
        );
    }

    #[test]
    fn different_values_differ() {
        let values = [
            Value::Null,
            Value::Bool(false),
            Value::Int(0),
            Value::Real(0.0),
            Value::from("0"),
            Value::from(""),
            Value::Bytes(Vec::new()),
            Value::Bytes(vec![b'0']),
            Value::Json(json!(null)),
            Value::Json(json!(0)),
            Value::Json(json!("0")),
            Value::Json(json!([])),
            Value::Json(json!({})),
            Value::Json(json!([[], []])),
            Value::Json(json!([[[]]])),
        ];
        for (index, left) in values.iter().enumerate() {
            for right in &values[..index] {
                assert_ne!(
                    digest(left.clone()),
                    digest(right.clone()),
                    "{left:?} {right:?}"
                );
            }
        }
    }

    #[test]
    fn order_does_not_count_and_repetition_does() {
        let sum = |rows: &[i64]| {
            let mut digest = Digest::default();
            rows.iter().for_each(|row| {
                digest.add(&[Value::Int(*row)]);
            });
            digest
        };
        assert_eq!(sum(&[1, 2, 3]), sum(&[3, 1, 2]));
        assert_ne!(sum(&[1, 1, 2]), sum(&[1, 2, 2]));
    }
}
