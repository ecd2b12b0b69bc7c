//! The values that travel between a programme and a database.
//!
//! [`Value`] is what can be bound and read; `From` makes one of the obvious Rust types, and
//! [`FromValue`] turns one back. Times have microseconds everywhere, finer parts are cut off.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::decimal::Decimal;

/// A value of a parameter or a column.
///
/// Some databases have fewer types than this. SQLite reads booleans as `Int`, times as `Int`
/// (microseconds since 1970), decimals, dates, JSON and UUIDs as `Text`; vectors are `Bytes` there
/// and on MySQL, where JSON is `Text` too. [`FromValue`] knows that; use it rather than matching.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// SQL `NULL`.
    Null,
    /// A boolean.
    Bool(bool),
    /// A 64-bit integer; fits every integer column whose range holds it.
    Int(i64),
    /// A double. NaN is refused as a parameter, because SQLite would store `NULL`.
    Real(f64),
    /// An exact decimal number.
    Decimal(Decimal),
    /// Text without NUL characters.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A JSON document.
    Json(Json),
    /// A UUID.
    Uuid(Uuid),
    /// A moment in UTC, to the microsecond.
    Time(Timestamp),
    /// A day of the calendar.
    Date(Date),
    /// A vector of single-precision numbers; stored as little-endian bytes where there is no type
    /// for it (pgvector's `vector` and `real[]` are known on PostgreSQL).
    Vector(Vec<f32>),
    /// A list, for `IN :ids` (and for array columns on PostgreSQL).
    List(Vec<Value>),
}

impl Value {
    /// Names the type for messages; never the value.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "an integer",
            Self::Real(_) => "a real number",
            Self::Decimal(_) => "a decimal number",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::Json(_) => "JSON",
            Self::Uuid(_) => "a UUID",
            Self::Time(_) => "a time",
            Self::Date(_) => "a date",
            Self::Vector(_) => "a vector",
            Self::List(_) => "a list",
        }
    }
}

/// A Rust type that a column can be read into.
///
/// # Errors
///
/// The error names what was wanted; [`Row`](crate::Row) adds the column and what was there.
pub trait FromValue: Sized + Send + 'static {
    /// What fits, in words: "an integer".
    const WANT: &'static str;

    /// Converts, or returns `None` if the value does not fit.
    fn from_value(value: &Value) -> Option<Self>;

    /// Converts a value that nobody else wants, moving text and bytes; leaves it alone if it does
    /// not fit.
    fn take(value: &mut Value) -> Option<Self> {
        Self::from_value(value)
    }
}

/// A type whose `Vec` becomes a [`Value::List`]. `u8` and `f32` are none: `Vec<u8>` is bytes and
/// `Vec<f32>` a vector.
pub trait ListItem: Into<Value> {}

impl FromValue for Value {
    const WANT: &'static str = "anything";

    fn from_value(value: &Value) -> Option<Self> {
        Some(value.clone())
    }

    fn take(value: &mut Value) -> Option<Self> {
        Some(std::mem::replace(value, Self::Null))
    }
}

impl<T: FromValue> FromValue for Option<T> {
    const WANT: &'static str = T::WANT;

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }

    fn take(value: &mut Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::take(value).map(Some),
        }
    }
}

impl<T: FromValue + ListItem> FromValue for Vec<T> {
    const WANT: &'static str = "a list";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::List(items) => items.iter().map(T::from_value).collect(),
            _ => None,
        }
    }
}

impl FromValue for bool {
    const WANT: &'static str = "a boolean";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(value) => Some(*value),
            Value::Int(0) => Some(false),
            Value::Int(1) => Some(true),
            _ => None,
        }
    }
}

macro_rules! integers {
    ($($type:ty: $want:literal),+ $(,)?) => {$(
        impl FromValue for $type {
            const WANT: &'static str = $want;

            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::Int(value) => Self::try_from(*value).ok(),
                    Value::Decimal(value) => Self::try_from(value.to_i64()?).ok(),
                    _ => None,
                }
            }
        }
    )+};
}

integers! {
    i64: "an integer",
    i32: "an integer of 32 bits",
    i16: "an integer of 16 bits",
    i8: "an integer of 8 bits",
    u64: "an integer that is not negative",
    u32: "an integer of 32 bits that is not negative",
    u16: "an integer of 16 bits that is not negative",
    u8: "an integer of 8 bits that is not negative",
    usize: "an integer that is not negative",
}

impl FromValue for f64 {
    const WANT: &'static str = "a real number";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Real(value) => Some(*value),
            #[expect(
                clippy::cast_precision_loss,
                reason = "SQL converts integers to doubles the same way"
            )]
            Value::Int(value) => Some(*value as Self),
            Value::Decimal(value) => Some(value.to_f64()),
            _ => None,
        }
    }
}

impl FromValue for f32 {
    const WANT: &'static str = "a real number";

    #[expect(
        clippy::cast_possible_truncation,
        reason = "asking for an f32 asks for its precision"
    )]
    fn from_value(value: &Value) -> Option<Self> {
        f64::from_value(value).map(|value| value as Self)
    }
}

impl FromValue for String {
    const WANT: &'static str = "text";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(value) => Some(value.clone()),
            Value::Json(value) => Some(value.to_string()),
            Value::Uuid(value) => Some(value.to_string()),
            Value::Decimal(value) => Some(value.to_string()),
            Value::Date(value) => Some(value.to_string()),
            _ => None,
        }
    }

    fn take(value: &mut Value) -> Option<Self> {
        match value {
            Value::Text(value) => Some(std::mem::take(value)),
            value => Self::from_value(value),
        }
    }
}

impl FromValue for Arc<str> {
    const WANT: &'static str = "text";

    fn from_value(value: &Value) -> Option<Self> {
        String::from_value(value).map(Into::into)
    }
}

impl FromValue for Vec<u8> {
    const WANT: &'static str = "bytes";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Bytes(value) => Some(value.clone()),
            _ => None,
        }
    }

    fn take(value: &mut Value) -> Option<Self> {
        match value {
            Value::Bytes(value) => Some(std::mem::take(value)),
            value => Self::from_value(value),
        }
    }
}

impl FromValue for bytes::Bytes {
    const WANT: &'static str = "bytes";

    fn from_value(value: &Value) -> Option<Self> {
        Vec::from_value(value).map(|bytes: Vec<u8>| Self::from(bytes))
    }

    fn take(value: &mut Value) -> Option<Self> {
        Vec::take(value).map(|bytes: Vec<u8>| Self::from(bytes))
    }
}

impl FromValue for Json {
    const WANT: &'static str = "JSON";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Json(value) => Some(value.clone()),
            Value::Text(text) => serde_json::from_str(text).ok(),
            _ => None,
        }
    }

    fn take(value: &mut Value) -> Option<Self> {
        match value {
            Value::Json(value) => Some(std::mem::take(value)),
            value => Self::from_value(value),
        }
    }
}

impl FromValue for Uuid {
    const WANT: &'static str = "a UUID";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Uuid(value) => Some(*value),
            Value::Text(text) => Self::try_parse(text).ok(),
            Value::Bytes(bytes) => Self::from_slice(bytes).ok(),
            _ => None,
        }
    }
}

impl FromValue for Timestamp {
    const WANT: &'static str = "a time";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Time(value) => Some(*value),
            Value::Int(micros) => Self::from_microsecond(*micros).ok(),
            _ => None,
        }
    }
}

impl FromValue for Decimal {
    const WANT: &'static str = "a decimal number";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Decimal(value) => Some(value.clone()),
            Value::Int(value) => Some((*value).into()),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        }
    }
}

impl FromValue for Date {
    const WANT: &'static str = "a date";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Date(value) => Some(*value),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        }
    }
}

impl FromValue for Vec<f32> {
    const WANT: &'static str = "a vector";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Vector(value) => Some(value.clone()),
            Value::Bytes(bytes) => from_bytes(bytes),
            Value::List(items) => items.iter().map(f32::from_value).collect(),
            _ => None,
        }
    }

    fn take(value: &mut Value) -> Option<Self> {
        match value {
            Value::Vector(value) => Some(std::mem::take(value)),
            value => Self::from_value(value),
        }
    }
}

/// The stored form of a vector: little-endian single-precision numbers, one after the other.
pub(crate) fn to_bytes(vector: &[f32]) -> Vec<u8> {
    vector
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}

fn from_bytes(bytes: &[u8]) -> Option<Vec<f32>> {
    let (numbers, []) = bytes.as_chunks::<4>() else {
        return None;
    };
    Some(numbers.iter().copied().map(f32::from_le_bytes).collect())
}

macro_rules! scalars {
    ($($type:ty => |$value:ident| $convert:expr),+ $(,)?) => {$(
        impl From<$type> for Value {
            fn from($value: $type) -> Self {
                $convert
            }
        }

        impl From<&$type> for Value {
            fn from(value: &$type) -> Self {
                Self::from(value.clone())
            }
        }

        impl ListItem for $type {}
    )+};
}

scalars! {
    bool => |value| Self::Bool(value),
    i64 => |value| Self::Int(value),
    i32 => |value| Self::Int(value.into()),
    i16 => |value| Self::Int(value.into()),
    i8 => |value| Self::Int(value.into()),
    u32 => |value| Self::Int(value.into()),
    u16 => |value| Self::Int(value.into()),
    f64 => |value| Self::Real(value),
    Decimal => |value| Self::Decimal(value),
    Date => |value| Self::Date(value),
    String => |value| Self::Text(value),
    Arc<str> => |value| Self::Text(value.as_ref().to_owned()),
    Json => |value| Self::Json(value),
    Uuid => |value| Self::Uuid(value),
    Timestamp => |value| Self::Time(value),
    bytes::Bytes => |value| Self::Bytes(value.into()),
}

impl From<f32> for Value {
    fn from(value: f32) -> Self {
        Self::Real(value.into())
    }
}

impl From<Vec<f32>> for Value {
    fn from(value: Vec<f32>) -> Self {
        Self::Vector(value)
    }
}

impl From<&Vec<f32>> for Value {
    fn from(value: &Vec<f32>) -> Self {
        Self::Vector(value.clone())
    }
}

impl From<&[f32]> for Value {
    fn from(value: &[f32]) -> Self {
        Self::Vector(value.to_vec())
    }
}

impl From<u8> for Value {
    fn from(value: u8) -> Self {
        Self::Int(value.into())
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<&&str> for Value {
    fn from(value: &&str) -> Self {
        Self::Text((*value).to_owned())
    }
}

impl From<Cow<'_, str>> for Value {
    fn from(value: Cow<'_, str>) -> Self {
        Self::Text(value.into_owned())
    }
}

impl ListItem for &str {}
impl ListItem for Cow<'_, str> {}
impl ListItem for Value {}
impl ListItem for Vec<u8> {}
impl<T: ListItem> ListItem for Option<T> {}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

impl From<&Vec<u8>> for Value {
    fn from(value: &Vec<u8>) -> Self {
        Self::Bytes(value.clone())
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(value.to_vec())
    }
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(value: [u8; N]) -> Self {
        Self::Bytes(value.to_vec())
    }
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(value: &[u8; N]) -> Self {
        Self::Bytes(value.to_vec())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<T: ListItem> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}

impl<T: ListItem + Clone> From<&Vec<T>> for Value {
    fn from(values: &Vec<T>) -> Self {
        Self::from(values.as_slice())
    }
}

impl<T: ListItem + Clone> From<&[T]> for Value {
    fn from(values: &[T]) -> Self {
        Self::List(values.iter().cloned().map(Into::into).collect())
    }
}

impl<T: ListItem, const N: usize> From<[T; N]> for Value {
    fn from(values: [T; N]) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}
