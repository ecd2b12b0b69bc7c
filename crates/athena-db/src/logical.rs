//! A stored value as its logical type has it, whatever the backend stored it as.

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::decimal::Decimal;
use crate::sql::LogicalType;
use crate::value::{FromValue, Value};

impl Value {
    /// Returns the value in the form of a logical type, or `None` if it does not fit.
    ///
    /// SQLite and MySQL store some types as others (see [`Value`]); with the type that a migration
    /// declared, the same row reads the same on every backend. `NULL` fits every type.
    ///
    /// ```
    /// use athena_db::{LogicalType, Value};
    ///
    /// assert_eq!(Value::Int(1).as_logical(LogicalType::Boolean), Some(Value::Bool(true)));
    /// assert_eq!(Value::Int(2).as_logical(LogicalType::Boolean), None);
    /// ```
    #[must_use]
    pub fn as_logical(&self, logical: LogicalType) -> Option<Self> {
        match logical {
            _ if *self == Self::Null => Some(Self::Null),
            LogicalType::Integer | LogicalType::BigInt => i64::from_value(self).map(Self::Int),
            LogicalType::Real => f64::from_value(self).map(Self::Real),
            LogicalType::Decimal { .. } => Decimal::from_value(self).map(Self::Decimal),
            LogicalType::Boolean => bool::from_value(self).map(Self::Bool),
            LogicalType::Text | LogicalType::LimitedText(_) => {
                String::from_value(self).map(Self::Text)
            }
            LogicalType::Json => Json::from_value(self).map(Self::Json),
            LogicalType::Uuid => Uuid::from_value(self).map(Self::Uuid),
            LogicalType::Date => Date::from_value(self).map(Self::Date),
            LogicalType::Timestamp => Timestamp::from_value(self).map(Self::Time),
            LogicalType::Blob => Vec::from_value(self).map(Self::Bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sqlite_stores_reads_as_what_was_declared() {
        let check = |stored: Value, logical: LogicalType, expected: Value| {
            assert_eq!(stored.as_logical(logical), Some(expected), "{logical}");
        };
        let uuid = Uuid::from_u128(0x0123);
        check(Value::Int(0), LogicalType::Boolean, Value::Bool(false));
        check(
            Value::Int(1_000_000),
            LogicalType::Timestamp,
            Value::Time(Timestamp::from_second(1).unwrap()),
        );
        check(uuid.to_string().into(), LogicalType::Uuid, uuid.into());
        check(
            "{\"a\":[1]}".into(),
            LogicalType::Json,
            Value::Json(serde_json::json!({"a": [1]})),
        );
        check(
            "1.50".into(),
            LogicalType::Decimal {
                precision: 5,
                scale: 2,
            },
            Value::Decimal("1.50".parse().unwrap()),
        );
        check(Value::Null, LogicalType::Uuid, Value::Null);
        assert_eq!(Value::Int(1).as_logical(LogicalType::Blob), None);
        assert_eq!(Value::from("no UUID").as_logical(LogicalType::Uuid), None);
    }
}
