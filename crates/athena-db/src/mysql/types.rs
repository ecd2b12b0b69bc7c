//! Values on their way to and from MySQL.
//!
//! A parameter goes as what it is in the programme: the server does not tell what it expects. Text
//! therefore never travels as a number, because MySQL compares a text column with a number by
//! turning the column into one. Columns are read by the type that the server reports; what it does
//! not tell apart from text (JSON on MariaDB, UUIDs) is text, and [`FromValue`](crate::FromValue)
//! makes the wanted type of it.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::{Column, Value as Raw};

use crate::error::{Error, Result};
use crate::value::{Value, to_bytes};

/// The character set that says "no text".
const BINARY: u16 = 63;

/// The bytes that a value takes in a packet, roughly and never less.
pub(super) fn size_of(raw: &Raw) -> usize {
    match raw {
        Raw::Bytes(bytes) => bytes.len() + 9,
        _ => 16,
    }
}

/// Encodes a parameter of this name; lists are taken apart before.
pub(super) fn encode(name: &str, value: &Value) -> Result<Raw> {
    Ok(match value {
        Value::Null => Raw::NULL,
        Value::Bool(value) => Raw::Int((*value).into()),
        Value::Int(value) => Raw::Int(*value),
        Value::Real(value) if value.is_finite() => Raw::Double(*value),
        Value::Real(_) => return Err(Error::mismatch(name, "a finite number", "infinity")),
        Value::Decimal(value) => text(value.to_string()),
        Value::Text(value) => text(value.clone()),
        Value::Bytes(value) => Raw::Bytes(value.clone()),
        Value::Json(value) => text(value.to_string()),
        Value::Uuid(value) => text(value.to_string()),
        Value::Time(value) => encode_time(name, *value)?,
        Value::Date(value) => encode_date(name, *value)?,
        Value::Vector(value) => Raw::Bytes(to_bytes(value)),
        Value::List(_) => return Err(Error::mismatch(name, "a single value", "a list")),
    })
}

fn text(text: String) -> Raw {
    Raw::Bytes(text.into_bytes())
}

/// The finer part of a second is cut off, as everywhere; the server would round it.
fn encode_time(name: &str, value: Timestamp) -> Result<Raw> {
    let cut = Timestamp::from_microsecond(value.as_microsecond()).unwrap_or(value);
    let at = cut.to_zoned(TimeZone::UTC).datetime();
    let (year, month, day) = calendar(name, at.date())?;
    Ok(Raw::Date(
        year,
        month,
        day,
        at.hour().unsigned_abs(),
        at.minute().unsigned_abs(),
        at.second().unsigned_abs(),
        at.subsec_nanosecond().unsigned_abs() / 1000,
    ))
}

fn encode_date(name: &str, value: Date) -> Result<Raw> {
    let (year, month, day) = calendar(name, value)?;
    Ok(Raw::Date(year, month, day, 0, 0, 0, 0))
}

fn calendar(name: &str, date: Date) -> Result<(u16, u8, u8)> {
    match u16::try_from(date.year()) {
        Ok(year @ 1..) => Ok((year, date.month().unsigned_abs(), date.day().unsigned_abs())),
        _ => Err(outside(name)),
    }
}

fn outside(name: &str) -> Error {
    Error::mismatch(name, "a time of the years 1 to 9999", "another year")
}

/// Decodes a value of the binary protocol.
pub(super) fn decode(column: &Column, raw: Raw) -> Result<Value> {
    let unreadable = |what: &str| Error::mismatch(column.name_str(), "a readable value", what);
    Ok(match raw {
        Raw::NULL => Value::Null,
        Raw::Int(value) if is_boolean(column, value) => Value::Bool(value != 0),
        Raw::Int(value) => Value::Int(value),
        Raw::UInt(value) => i64::try_from(value)
            .map(Value::Int)
            .map_err(|_| unreadable("an unsigned integer beyond 64 bits with sign"))?,
        Raw::Float(value) => Value::Real(value.into()),
        Raw::Double(value) => Value::Real(value),
        Raw::Bytes(bytes) => {
            decode_bytes(column, bytes).ok_or_else(|| unreadable("other bytes"))?
        }
        Raw::Date(year, month, day, hour, minute, second, micros) => {
            let date = civil_date(year, month, day).ok_or_else(|| unreadable("a zero date"))?;
            if column.column_type() == ColumnType::MYSQL_TYPE_DATE {
                Value::Date(date)
            } else {
                let time = timestamp(date, hour, minute, second, micros);
                Value::Time(time.ok_or_else(|| unreadable("a time outside the calendar"))?)
            }
        }
        Raw::Time(negative, days, hours, minutes, seconds, micros) => {
            let sign = if negative { "-" } else { "" };
            let hours = days.saturating_mul(24).saturating_add(hours.into());
            Value::Text(format!(
                "{sign}{hours:02}:{minutes:02}:{seconds:02}.{micros:06}"
            ))
        }
    })
}

/// `BOOLEAN` is `TINYINT(1)`; one that holds another number is a number.
fn is_boolean(column: &Column, value: i64) -> bool {
    column.column_type() == ColumnType::MYSQL_TYPE_TINY
        && column.column_length() == 1
        && matches!(value, 0 | 1)
}

fn decode_bytes(column: &Column, bytes: Vec<u8>) -> Option<Value> {
    match column.column_type() {
        ColumnType::MYSQL_TYPE_DECIMAL | ColumnType::MYSQL_TYPE_NEWDECIMAL => {
            let text = String::from_utf8(bytes).ok()?;
            text.parse().ok().map(Value::Decimal)
        }
        ColumnType::MYSQL_TYPE_JSON => serde_json::from_slice(&bytes).ok().map(Value::Json),
        ColumnType::MYSQL_TYPE_BIT | ColumnType::MYSQL_TYPE_GEOMETRY => Some(Value::Bytes(bytes)),
        _ if column.character_set() == BINARY && !is_enumerated(column) => {
            Some(Value::Bytes(bytes))
        }
        _ => String::from_utf8(bytes).ok().map(Value::Text),
    }
}

fn is_enumerated(column: &Column) -> bool {
    let flags = column.flags();
    flags.intersects(ColumnFlags::ENUM_FLAG | ColumnFlags::SET_FLAG)
}

fn civil_date(year: u16, month: u8, day: u8) -> Option<Date> {
    Date::new(
        i16::try_from(year).ok()?,
        i8::try_from(month).ok()?,
        i8::try_from(day).ok()?,
    )
    .ok()
}

fn timestamp(date: Date, hour: u8, minute: u8, second: u8, micros: u32) -> Option<Timestamp> {
    let time = jiff::civil::Time::new(
        i8::try_from(hour).ok()?,
        i8::try_from(minute).ok()?,
        i8::try_from(second).ok()?,
        i32::try_from(micros.checked_mul(1000)?).ok()?,
    )
    .ok()?;
    let zoned = DateTime::from_parts(date, time).to_zoned(TimeZone::UTC);
    zoned.ok().map(|zoned| zoned.timestamp())
}
