//! Sums over the content of tables that are equal on every backend.
//!
//! Each row is hashed over its typed values, and the hashes are added up: backends sort text in
//! different ways, and a sum needs no order.

use sha2::{Digest as _, Sha256};

use super::TableDigest;
use super::json::{self, write};
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
            digest.add(&layout.typed(row?)?.encoded);
            if digest.rows.is_multiple_of(256) {
                progress(digest.rows);
            }
        }
        progress(digest.rows);
        Ok(digest)
    }

    /// Adds a row as [`encode`] wrote its values.
    pub(super) fn add(&mut self, encoded: &[u8]) {
        let hash = Sha256::digest(encoded);
        let half: [u8; 16] = std::array::from_fn(|index| hash[index]);
        self.sum = self.sum.wrapping_add(u128::from_le_bytes(half));
        self.rows += 1;
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
pub(super) fn encode(out: &mut Vec<u8>, value: &Value) {
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
            // What serde writes is JSON, if perhaps too deep for one form.
            let document = json::canonical(&value.to_string()).unwrap_or_default();
            encode_json(out, &document);
        }
        Value::Uuid(value) => write(out, b'u', value.as_bytes()),
        Value::Time(value) => write(out, b'm', &value.as_microsecond().to_le_bytes()),
        Value::Date(value) => write(out, b'c', value.to_string().as_bytes()),
        Value::List(items) => {
            write(out, b'l', &(items.len() as u64).to_le_bytes());
            items.iter().for_each(|item| encode(out, item));
        }
    }
}

/// Writes a document in its canonical form.
pub(super) fn encode_json(out: &mut Vec<u8>, canonical: &[u8]) {
    out.push(b'j');
    out.extend(canonical);
}

/// Leaves out zeros behind the point that count for nothing.
fn shortest(decimal: &str) -> &str {
    if decimal.contains('.') {
        decimal.trim_end_matches('0').trim_end_matches('.')
    } else {
        decimal
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn digest(value: impl Into<Value>) -> Digest {
        let mut encoded = Vec::new();
        encode(&mut encoded, &value.into());
        let mut digest = Digest::default();
        digest.add(&encoded);
        digest
    }

    #[test]
    fn the_same_value_has_the_same_digest() {
        let decimal = |text: &str| Value::Decimal(text.parse().unwrap());
        assert_eq!(digest(decimal("1.50")), digest(decimal("1.5")));
        assert_eq!(digest(decimal("100")), digest(decimal("100.00")));
        assert_ne!(digest(decimal("100")), digest(decimal("1")));
        assert_eq!(digest(-0.0), digest(0.0));
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
            for row in rows {
                digest.add(&row.to_le_bytes());
            }
            digest
        };
        assert_eq!(sum(&[1, 2, 3]), sum(&[3, 1, 2]));
        assert_ne!(sum(&[1, 1, 2]), sum(&[1, 2, 2]));
    }
}
