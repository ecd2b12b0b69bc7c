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

    /// Lends the value, unless only its owner can make sense of it.
    #[inline]
    fn raw(&self) -> Option<Raw<'_>> {
        Some(match self {
            Self::Null => Raw::Null,
            Self::Bool(value) => Raw::Bool(*value),
            Self::Int(value) => Raw::Int(*value),
            Self::Real(value) => Raw::Real(*value),
            Self::Text(text) => Raw::Text(text),
            Self::Bytes(bytes) => Raw::Bytes(bytes),
            Self::Uuid(value) => Raw::Uuid(*value),
            Self::Time(value) => Raw::Time(*value),
            Self::Date(value) => Raw::Date(*value),
            Self::Decimal(_) | Self::Json(_) | Self::Vector(_) | Self::List(_) => return None,
        })
    }
}

/// A value that a driver still holds: those that need no memory of their own to be looked at.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub enum Raw<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Real(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
    Uuid(Uuid),
    Time(Timestamp),
    Date(Date),
}

impl From<Raw<'_>> for Value {
    #[inline]
    fn from(raw: Raw<'_>) -> Self {
        match raw {
            Raw::Null => Self::Null,
            Raw::Bool(value) => Self::Bool(value),
            Raw::Int(value) => Self::Int(value),
            Raw::Real(value) => Self::Real(value),
            Raw::Text(text) => Self::Text(text.to_owned()),
            Raw::Bytes(bytes) => Self::Bytes(bytes.to_vec()),
            Raw::Uuid(value) => Self::Uuid(value),
            Raw::Time(value) => Self::Time(value),
            Raw::Date(value) => Self::Date(value),
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

    /// Converts a value where it lies, to the same as if it had become a [`Value`].
    #[doc(hidden)]
    fn from_raw(raw: Raw<'_>) -> Option<Self> {
        Self::take(&mut raw.into())
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

    #[inline]
    fn from_raw(raw: Raw<'_>) -> Option<Self> {
        match raw {
            Raw::Null => Some(None),
            raw => T::from_raw(raw).map(Some),
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
        Self::from_raw(value.raw()?)
    }

    #[inline]
    fn from_raw(raw: Raw<'_>) -> Option<Self> {
        match raw {
            Raw::Bool(value) => Some(value),
            Raw::Int(0) => Some(false),
            Raw::Int(1) => Some(true),
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
                    Value::Decimal(value) => Self::try_from(value.to_i64()?).ok(),
                    value => Self::from_raw(value.raw()?),
                }
            }

            #[inline]
            fn from_raw(raw: Raw<'_>) -> Option<Self> {
                match raw {
                    Raw::Int(value) => Self::try_from(value).ok(),
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
            Value::Decimal(value) => Some(value.to_f64()),
            value => Self::from_raw(value.raw()?),
        }
    }

    #[inline]
    fn from_raw(raw: Raw<'_>) -> Option<Self> {
        match raw {
            Raw::Real(value) => Some(value),
            #[expect(
                clippy::cast_precision_loss,
                reason = "SQL converts integers to doubles the same way"
            )]
            Raw::Int(value) => Some(value as Self),
            _ => None,
        }
    }
}

impl FromValue for f32 {
    const WANT: &'static str = "a real number";

    fn from_value(value: &Value) -> Option<Self> {
        f64::from_value(value).map(narrow)
    }

    #[inline]
    fn from_raw(raw: Raw<'_>) -> Option<Self> {
        f64::from_raw(raw).map(narrow)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "asking for an f32 asks for its precision"
)]
fn narrow(value: f64) -> f32 {
    value as f32
}

impl FromValue for String {
    const WANT: &'static str = "text";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Json(value) => Some(value.to_string()),
            Value::Decimal(value) => Some(value.to_string()),
            value => Self::from_raw(value.raw()?),
        }
    }

    fn take(value: &mut Value) -> Option<Self> {
        match value {
            Value::Text(value) => Some(std::mem::take(value)),
            value => Self::from_value(value),
        }
    }

    #[inline]
    fn from_raw(raw: Raw<'_>) -> Option<Self> {
        match raw {
            Raw::Text(text) => Some(text.to_owned()),
            Raw::Uuid(value) => Some(value.to_string()),
            Raw::Date(value) => Some(value.to_string()),
            _ => None,
        }
    }
}

impl FromValue for Arc<str> {
    const WANT: &'static str = "text";

    fn from_value(value: &Value) -> Option<Self> {
        String::from_value(value).map(Into::into)
    }

    #[inline]
    fn from_raw(raw: Raw<'_>) -> Option<Self> {
        match raw {
            Raw::Text(text) => Some(text.into()),
            raw => String::from_raw(raw).map(Into::into),
        }
    }
}

impl FromValue for Vec<u8> {
    const WANT: &'static str = "bytes";

    fn from_value(value: &Value) -> Option<Self> {
        Self::from_raw(value.raw()?)
    }

    fn take(value: &mut Value) -> Option<Self> {
        match value {
            Value::Bytes(value) => Some(std::mem::take(value)),
            value => Self::from_value(value),
        }
    }

    #[inline]
    fn from_raw(raw: Raw<'_>) -> Option<Self> {
        match raw {
            Raw::Bytes(bytes) => Some(bytes.to_vec()),
            _ => None,
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

    #[inline]
    fn from_raw(raw: Raw<'_>) -> Option<Self> {
        Vec::from_raw(raw).map(|bytes: Vec<u8>| Self::from(bytes))
    }
}

impl FromValue for Json {
    const WANT: &'static str = "JSON";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Json(value) => Some(value.clone()),
            value => Self::from_raw(value.raw()?),
        }
    }

    fn take(value: &mut Value) -> Option<Self> {
        match value {
            Value::Json(value) => Some(std::mem::take(value)),
            value => Self::from_value(value),
        }
    }

    fn from_raw(raw: Raw<'_>) -> Option<Self> {
        match raw {
            Raw::Text(text) => serde_json::from_str(text).ok(),
            _ => None,
        }
    }
}

impl FromValue for Uuid {
    const WANT: &'static str = "a UUID";

    fn from_value(value: &Value) -> Option<Self> {
        Self::from_raw(value.raw()?)
    }

    #[inline]
    fn from_raw(raw: Raw<'_>) -> Option<Self> {
        match raw {
            Raw::Uuid(value) => Some(value),
            Raw::Text(text) => Self::try_parse(text).ok(),
            Raw::Bytes(bytes) => Self::from_slice(bytes).ok(),
            _ => None,
        }
    }
}

impl FromValue for Timestamp {
    const WANT: &'static str = "a time";

    fn from_value(value: &Value) -> Option<Self> {
        Self::from_raw(value.raw()?)
    }

    #[inline]
    fn from_raw(raw: Raw<'_>) -> Option<Self> {
        match raw {
            Raw::Time(value) => Some(value),
            Raw::Int(micros) => Self::from_microsecond(micros).ok(),
            _ => None,
        }
    }
}

impl FromValue for Decimal {
    const WANT: &'static str = "a decimal number";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Decimal(value) => Some(value.clone()),
            value => Self::from_raw(value.raw()?),
        }
    }

    fn from_raw(raw: Raw<'_>) -> Option<Self> {
        match raw {
            Raw::Int(value) => Some(value.into()),
            Raw::Text(text) => text.parse().ok(),
            _ => None,
        }
    }
}

impl FromValue for Date {
    const WANT: &'static str = "a date";

    fn from_value(value: &Value) -> Option<Self> {
        Self::from_raw(value.raw()?)
    }

    fn from_raw(raw: Raw<'_>) -> Option<Self> {
        match raw {
            Raw::Date(value) => Some(value),
            Raw::Text(text) => text.parse().ok(),
            _ => None,
        }
    }
}

impl FromValue for Vec<f32> {
    const WANT: &'static str = "a vector";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Vector(value) => Some(value.clone()),
            Value::List(items) => items.iter().map(f32::from_value).collect(),
            value => Self::from_raw(value.raw()?),
        }
    }

    fn take(value: &mut Value) -> Option<Self> {
        match value {
            Value::Vector(value) => Some(std::mem::take(value)),
            value => Self::from_value(value),
        }
    }

    fn from_raw(raw: Raw<'_>) -> Option<Self> {
        match raw {
            Raw::Bytes(bytes) => from_bytes(bytes),
            _ => None,
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
