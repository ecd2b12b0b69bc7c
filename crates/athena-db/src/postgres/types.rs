//! Values on their way to and from PostgreSQL, in the types that the server reports.
//!
//! Types without a form of their own here (`interval`, `inet`) can be sent as text and must be
//! cast to text to be read.

use std::error::Error as StdError;
use std::ops::Deref;

use bytes::{BufMut, BytesMut};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use postgres_types::{Format, FromSql, IsNull, Kind, ToSql, Type, to_sql_checked};
use tokio_postgres::Column;
use uuid::Uuid;

use crate::decimal::Decimal;
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::source::Cells;
use crate::value::{Raw, Value, to_bytes};

/// Microseconds from 1970 to 2000, where PostgreSQL's clock starts.
const EPOCH: i64 = 946_684_800_000_000;

/// The same clock's first day.
const FIRST_DAY: Date = jiff::civil::date(2000, 1, 1);

/// The signs of a `NUMERIC`; zero is plus.
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const MINUS_INFINITY: u16 = 0xF000;

/// A parameter in the bytes that the server wants.
pub(super) struct Parameter<'a> {
    bytes: Option<Encoded<'a>>,
    format: Format,
}

/// Bytes that cost no memory where a value has them or they are few.
enum Encoded<'a> {
    Lent(&'a [u8]),
    Eight([u8; 8]),
    Made(Vec<u8>),
}

impl std::fmt::Debug for Parameter<'_> {
    /// The driver writes parameters into its log; what they hold stays out of it.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.bytes.as_ref().map(|bytes| bytes.len());
        formatter
            .debug_struct("Parameter")
            .field("bytes", &bytes)
            .finish()
    }
}

/// Why a value cannot be a parameter.
#[derive(Debug)]
pub(super) enum Misfit {
    /// The integer is too large for the inferred type; comparing it as a 64-bit one may still make sense.
    Range(usize),
    /// It does not fit.
    Type(Error),
}

/// Encodes the values for the reported parameter types.
pub(super) fn encode_all<'a>(
    plan: &Plan,
    values: &'a [Value],
    types: &[Type],
) -> Result<Vec<Parameter<'a>>, Misfit> {
    if values.len() != types.len() {
        return Err(Misfit::Type(Error::unnamed_parameters()));
    }
    let pairs = values.iter().zip(types).enumerate();
    pairs
        .map(|(index, (value, ty))| {
            encode(value, ty).map_err(|reason| misfit(plan, index, value, ty, reason))
        })
        .collect()
}

/// The type to declare for a value where the server cannot infer one.
pub(super) fn type_of(value: &Value) -> Type {
    match value {
        Value::Null => Type::UNKNOWN,
        Value::Bool(_) => Type::BOOL,
        Value::Int(_) => Type::INT8,
        Value::Real(_) => Type::FLOAT8,
        Value::Text(_) => Type::TEXT,
        Value::Bytes(_) => Type::BYTEA,
        Value::Json(_) => Type::JSONB,
        Value::Uuid(_) => Type::UUID,
        Value::Time(_) => Type::TIMESTAMPTZ,
        Value::Decimal(_) => Type::NUMERIC,
        Value::Date(_) => Type::DATE,
        Value::Vector(_) => Type::FLOAT4_ARRAY,
        Value::List(items) => array_of(items.iter().find(|item| **item != Value::Null)),
    }
}

/// The array type for columns of values, where values of the type have a binary form here.
pub(super) fn array_type(element: &Type) -> Option<Type> {
    let array = match *element {
        Type::BOOL => Type::BOOL_ARRAY,
        Type::INT2 => Type::INT2_ARRAY,
        Type::INT4 => Type::INT4_ARRAY,
        Type::INT8 => Type::INT8_ARRAY,
        Type::FLOAT4 => Type::FLOAT4_ARRAY,
        Type::FLOAT8 => Type::FLOAT8_ARRAY,
        Type::NUMERIC => Type::NUMERIC_ARRAY,
        Type::TEXT => Type::TEXT_ARRAY,
        Type::VARCHAR => Type::VARCHAR_ARRAY,
        Type::BPCHAR => Type::BPCHAR_ARRAY,
        Type::BYTEA => Type::BYTEA_ARRAY,
        Type::UUID => Type::UUID_ARRAY,
        Type::DATE => Type::DATE_ARRAY,
        Type::TIMESTAMP => Type::TIMESTAMP_ARRAY,
        Type::TIMESTAMPTZ => Type::TIMESTAMPTZ_ARRAY,
        Type::JSON => Type::JSON_ARRAY,
        Type::JSONB => Type::JSONB_ARRAY,
        _ => return None,
    };
    Some(array)
}

/// Encodes one parameter of many rows as an array.
pub(super) fn encode_column<'a>(
    plan: &Plan,
    index: usize,
    values: impl ExactSizeIterator<Item = &'a Value> + Clone,
    ty: &Type,
) -> Result<Parameter<'static>, Misfit> {
    let bytes = array(values.clone(), ty).map_err(|_| blame(plan, index, values, ty))?;
    Ok(Parameter::binary(Encoded::Made(bytes)))
}

/// Appends a value to a row in the binary format of `COPY`.
pub(super) fn encode_field(
    plan: &Plan,
    index: usize,
    value: &Value,
    ty: &Type,
    out: &mut BytesMut,
) -> Result<(), Misfit> {
    element(value, ty, out).map_err(|reason| misfit(plan, index, value, ty, reason))
}

/// Finds the value that does not fit.
fn blame<'a>(
    plan: &Plan,
    index: usize,
    mut values: impl Iterator<Item = &'a Value>,
    ty: &Type,
) -> Misfit {
    let culprit = values.find_map(|value| {
        let reason = element(value, ty, &mut BytesMut::new()).err()?;
        Some(misfit(plan, index, value, ty, reason))
    });
    culprit.unwrap_or(Misfit::Range(index))
}

fn array_of(item: Option<&Value>) -> Type {
    match item {
        Some(Value::Bool(_)) => Type::BOOL_ARRAY,
        Some(Value::Int(_)) => Type::INT8_ARRAY,
        Some(Value::Real(_)) => Type::FLOAT8_ARRAY,
        Some(Value::Bytes(_)) => Type::BYTEA_ARRAY,
        Some(Value::Json(_)) => Type::JSONB_ARRAY,
        Some(Value::Uuid(_)) => Type::UUID_ARRAY,
        Some(Value::Time(_)) => Type::TIMESTAMPTZ_ARRAY,
        Some(Value::Decimal(_)) => Type::NUMERIC_ARRAY,
        Some(Value::Date(_)) => Type::DATE_ARRAY,
        _ => Type::TEXT_ARRAY,
    }
}

enum Reason {
    Range,
    Kind,
}

fn misfit(plan: &Plan, index: usize, value: &Value, ty: &Type, reason: Reason) -> Misfit {
    match reason {
        Reason::Range if !matches!(value, Value::List(_)) => Misfit::Range(index),
        Reason::Range => Misfit::Type(Error::mismatch(
            plan.parameter(index),
            ty.name(),
            "numbers beyond its range",
        )),
        Reason::Kind => Misfit::Type(Error::mismatch(
            plan.parameter(index),
            ty.name(),
            value.type_name(),
        )),
    }
}

fn encode<'a>(value: &'a Value, ty: &Type) -> Result<Parameter<'a>, Reason> {
    if let Some(bytes) = plain(value, ty) {
        return Ok(Parameter::binary(bytes));
    }
    if let Kind::Domain(inner) = ty.kind() {
        return encode(value, inner);
    }
    if matches!(value, Value::Null) {
        return Ok(Parameter {
            bytes: None,
            format: Format::Binary,
        });
    }
    match as_text(value, ty) {
        Some(text) => Ok(Parameter {
            bytes: Some(Encoded::Lent(text.as_bytes())),
            format: Format::Text,
        }),
        None => Ok(Parameter::binary(Encoded::Made(binary(value, ty)?))),
    }
}

/// What is best left to the server's own parser.
fn as_text<'a>(value: &'a Value, ty: &Type) -> Option<&'a str> {
    match (value, ty.clone()) {
        (Value::Text(value), Type::NUMERIC | Type::DATE) => Some(value),
        (Value::Text(value), _) if !has_binary_form(ty) => Some(value),
        _ => None,
    }
}

fn has_binary_form(ty: &Type) -> bool {
    is_text(ty)
        || matches!(ty.kind(), Kind::Array(_))
        || matches!(
            *ty,
            Type::BOOL
                | Type::INT2
                | Type::INT4
                | Type::INT8
                | Type::OID
                | Type::FLOAT4
                | Type::FLOAT8
                | Type::BYTEA
                | Type::UUID
                | Type::TIMESTAMP
                | Type::TIMESTAMPTZ
                | Type::DATE
                | Type::NUMERIC
                | Type::JSON
                | Type::JSONB
        )
        || ty.name() == "vector"
}

fn is_text(ty: &Type) -> bool {
    matches!(
        *ty,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN
    ) || matches!(ty.kind(), Kind::Enum(_))
        || ty.name() == "citext"
}

/// The usual pairs, before anybody looks at kinds and names of types.
fn plain<'a>(value: &'a Value, ty: &Type) -> Option<Encoded<'a>> {
    match (value, ty) {
        (Value::Int(value), &Type::INT8) => Some(Encoded::Eight(value.to_be_bytes())),
        (Value::Text(text), &Type::TEXT | &Type::VARCHAR) => Some(Encoded::Lent(text.as_bytes())),
        _ => None,
    }
}

/// What is not [`plain`].
fn binary(value: &Value, ty: &Type) -> Result<Vec<u8>, Reason> {
    if let Kind::Array(element) = ty.kind() {
        return match value {
            Value::List(items) => array(items.iter(), element),
            Value::Vector(vector) => {
                let items: Vec<Value> = vector.iter().map(|number| Value::from(*number)).collect();
                array(items.iter(), element)
            }
            _ => Err(Reason::Kind),
        };
    }
    if is_text(ty) {
        return text(value).map(String::into_bytes).ok_or(Reason::Kind);
    }
    if ty.name() == "vector" {
        return match value {
            Value::Vector(vector) => pgvector(vector),
            _ => Err(Reason::Kind),
        };
    }
    match (ty.clone(), value) {
        (Type::BOOL, Value::Bool(value)) => Ok(vec![u8::from(*value)]),
        (Type::INT2, Value::Int(value)) => {
            in_range(i16::try_from(*value)).map(|value| value.to_be_bytes().to_vec())
        }
        (Type::INT4, Value::Int(value)) => {
            in_range(i32::try_from(*value)).map(|value| value.to_be_bytes().to_vec())
        }
        (Type::OID, Value::Int(value)) => {
            in_range(u32::try_from(*value)).map(|value| value.to_be_bytes().to_vec())
        }
        (Type::FLOAT4, value) => number(value).map(|value| narrow(value).to_be_bytes().to_vec()),
        (Type::FLOAT8, value) => number(value).map(|value| value.to_be_bytes().to_vec()),
        (Type::BYTEA, Value::Bytes(bytes)) => Ok(bytes.clone()),
        (Type::BYTEA, Value::Vector(vector)) => Ok(to_bytes(vector)),
        (Type::UUID, Value::Uuid(uuid)) => Ok(uuid.as_bytes().to_vec()),
        (Type::UUID, Value::Text(text)) => Uuid::try_parse(text)
            .map(|uuid| uuid.as_bytes().to_vec())
            .map_err(|_| Reason::Kind),
        (Type::TIMESTAMPTZ | Type::TIMESTAMP, value) => {
            time(value).map(|value| value.to_be_bytes().to_vec())
        }
        (Type::DATE, value) => date(value).map(|date| days(date).to_be_bytes().to_vec()),
        (Type::NUMERIC, Value::Real(value)) if !value.is_finite() => Ok(no_number(*value)),
        (Type::NUMERIC, value) => numeric(&decimal(value)?),
        (Type::JSON, value) => json(value).map(String::into_bytes),
        (Type::JSONB, value) => json(value).map(|text| [&[1], text.as_bytes()].concat()),
        _ => Err(Reason::Kind),
    }
}

fn in_range<T, E>(value: Result<T, E>) -> Result<T, Reason> {
    value.map_err(|_| Reason::Range)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Uuid(uuid) => Some(uuid.to_string()),
        Value::Json(json) => Some(json.to_string()),
        Value::Decimal(decimal) => Some(decimal.to_string()),
        Value::Date(date) => Some(date.to_string()),
        _ => None,
    }
}

/// Days since 2000.
fn days(date: Date) -> i32 {
    (date - FIRST_DAY).get_days()
}

/// Digits to base 10,000: how many, the power of the first, the sign, the places shown.
fn numeric(value: &Decimal) -> Result<Vec<u8>, Reason> {
    let (whole, fraction) = value.halves();
    let whole = whole.trim_start_matches('-');
    let whole = format!(
        "{}{whole}",
        "0".repeat(whole.len().next_multiple_of(4) - whole.len())
    );
    let padding = fraction.len().next_multiple_of(4) - fraction.len();
    let digits = format!("{whole}{fraction}{}", "0".repeat(padding));
    let groups = digits.as_bytes().chunks(4).map(|group| {
        group
            .iter()
            .fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'))
    });
    let mut bytes = Vec::with_capacity(8 + digits.len() / 2);
    bytes.put_i16(in_range(i16::try_from(digits.len() / 4))?);
    bytes.put_i16(in_range(i16::try_from(whole.len() / 4))? - 1);
    bytes.put_u16(if value.is_negative() { NEGATIVE } else { 0 });
    bytes.put_u16(in_range(u16::try_from(fraction.len()))?);
    groups.for_each(|group| bytes.put_u16(group));
    Ok(bytes)
}

/// pgvector's form: the number of dimensions, a reserved number, the numbers.
fn pgvector(vector: &[f32]) -> Result<Vec<u8>, Reason> {
    let dimensions = i16::try_from(vector.len()).map_err(|_| Reason::Range)?;
    let mut bytes = Vec::with_capacity(4 + vector.len() * 4);
    bytes.put_i16(dimensions);
    bytes.put_i16(0);
    vector.iter().for_each(|number| bytes.put_f32(*number));
    Ok(bytes)
}

fn number(value: &Value) -> Result<f64, Reason> {
    match value {
        Value::Real(value) => Ok(*value),
        #[expect(
            clippy::cast_precision_loss,
            reason = "SQL converts integers to doubles the same way"
        )]
        Value::Int(value) => Ok(*value as f64),
        _ => Err(Reason::Kind),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the column asks for single precision"
)]
fn narrow(value: f64) -> f32 {
    value as f32
}

fn time(value: &Value) -> Result<i64, Reason> {
    let time = match value {
        Value::Time(time) => *time,
        Value::Text(text) => text.parse::<Timestamp>().map_err(|_| Reason::Kind)?,
        _ => return Err(Reason::Kind),
    };
    time.as_microsecond().checked_sub(EPOCH).ok_or(Reason::Kind)
}

fn date(value: &Value) -> Result<Date, Reason> {
    match value {
        Value::Date(date) => Ok(*date),
        Value::Time(time) => Ok(time.to_zoned(TimeZone::UTC).date()),
        Value::Text(text) => text.parse().map_err(|_| Reason::Kind),
        _ => Err(Reason::Kind),
    }
}

fn decimal(value: &Value) -> Result<Decimal, Reason> {
    match value {
        Value::Decimal(decimal) => Ok(decimal.clone()),
        Value::Int(value) => Ok((*value).into()),
        Value::Real(value) => value.to_string().parse().map_err(|_| Reason::Kind),
        Value::Text(text) => text.parse().map_err(|_| Reason::Kind),
        _ => Err(Reason::Kind),
    }
}

/// What a `NUMERIC` is that has no digits.
fn no_number(value: f64) -> Vec<u8> {
    let sign = match value {
        f64::INFINITY => INFINITY,
        f64::NEG_INFINITY => MINUS_INFINITY,
        _ => NAN,
    };
    [[0; 2], [0; 2], sign.to_be_bytes(), [0; 2]].concat()
}

/// Text for a JSON column is a JSON document, as it is on SQLite.
fn json(value: &Value) -> Result<String, Reason> {
    match value {
        Value::Json(json) => Ok(json.to_string()),
        Value::Text(text) if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() => {
            Ok(text.clone())
        }
        _ => Err(Reason::Kind),
    }
}

fn array<'a>(
    items: impl ExactSizeIterator<Item = &'a Value> + Clone,
    ty: &Type,
) -> Result<Vec<u8>, Reason> {
    let length = i32::try_from(items.len()).map_err(|_| Reason::Range)?;
    let has_nulls = items.clone().any(|item| *item == Value::Null);
    let mut bytes = BytesMut::with_capacity(20 + items.len() * 12);
    bytes.put_i32(i32::from(length > 0));
    bytes.put_i32(i32::from(has_nulls));
    bytes.put_u32(ty.oid());
    if length > 0 {
        bytes.put_i32(length);
        bytes.put_i32(1);
    }
    for item in items {
        element(item, ty, &mut bytes)?;
    }
    Ok(bytes.into())
}

/// Appends a value with its length before it.
fn element(value: &Value, ty: &Type, out: &mut BytesMut) -> Result<(), Reason> {
    if *value == Value::Null {
        out.put_i32(-1);
        return Ok(());
    }
    let encoded = match plain(value, ty) {
        Some(encoded) => encoded,
        None => Encoded::Made(binary(value, ty)?),
    };
    out.put_i32(i32::try_from(encoded.len()).map_err(|_| Reason::Range)?);
    out.extend_from_slice(&encoded);
    Ok(())
}

impl<'a> Parameter<'a> {
    fn binary(bytes: Encoded<'a>) -> Self {
        Self {
            bytes: Some(bytes),
            format: Format::Binary,
        }
    }
}

impl Deref for Encoded<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Lent(bytes) => bytes,
            Self::Eight(bytes) => bytes,
            Self::Made(bytes) => bytes,
        }
    }
}

impl ToSql for Parameter<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match &self.bytes {
            None => Ok(IsNull::Yes),
            Some(bytes) => {
                out.extend_from_slice(bytes);
                Ok(IsNull::No)
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        self.format
    }

    to_sql_checked!();
}

/// A row in the message that it came with.
impl Cells for tokio_postgres::Row {
    fn raw(&self, index: usize) -> Option<Raw<'_>> {
        let Lent(raw) = self.try_get(index).ok()?;
        raw
    }

    fn value(&self, index: usize) -> Result<Value> {
        let Decoded(value) = self
            .try_get(index)
            .map_err(|_| unreadable(&self.columns()[index]))?;
        Ok(value)
    }
}

fn unreadable(column: &Column) -> Error {
    let got = format!(
        "the type `{}` or a value that has no counterpart; cast it to text",
        column.type_().name()
    );
    Error::mismatch(column.name(), "a readable type", got)
}

/// What a column's value is before it is decoded, if it is anything then.
struct Lent<'a>(Option<Raw<'a>>);

impl<'a> FromSql<'a> for Lent<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(lend(ty, raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(Some(Raw::Null)))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A column's value; a type that cannot be read is the error.
struct Decoded(Value);

impl<'a> FromSql<'a> for Decoded {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        decode(ty, raw).map(Self).ok_or_else(|| "unreadable".into())
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(Value::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Reads what needs no memory of its own.
fn lend<'a>(ty: &Type, raw: &'a [u8]) -> Option<Raw<'a>> {
    Some(match *ty {
        Type::TEXT | Type::VARCHAR => Raw::Text(std::str::from_utf8(raw).ok()?),
        Type::BOOL => Raw::Bool(*raw.first()? != 0),
        Type::INT2 => Raw::Int(i16::from_be_bytes(raw.try_into().ok()?).into()),
        Type::INT4 => Raw::Int(i32::from_be_bytes(raw.try_into().ok()?).into()),
        Type::INT8 => Raw::Int(i64::from_be_bytes(raw.try_into().ok()?)),
        Type::OID => Raw::Int(u32::from_be_bytes(raw.try_into().ok()?).into()),
        Type::FLOAT4 => Raw::Real(f32::from_be_bytes(raw.try_into().ok()?).into()),
        Type::FLOAT8 => Raw::Real(f64::from_be_bytes(raw.try_into().ok()?)),
        Type::BYTEA => Raw::Bytes(raw),
        Type::UUID => Raw::Uuid(Uuid::from_slice(raw).ok()?),
        Type::TIMESTAMP | Type::TIMESTAMPTZ => Raw::Time(decode_time(raw)?),
        Type::DATE => Raw::Date(decode_date(raw)?),
        Type::VOID => Raw::Null,
        _ => return lend_by_kind(ty, raw),
    })
}

fn lend_by_kind<'a>(ty: &Type, raw: &'a [u8]) -> Option<Raw<'a>> {
    match ty.kind() {
        Kind::Domain(inner) => lend(inner, raw),
        _ if is_text(ty) => std::str::from_utf8(raw).ok().map(Raw::Text),
        _ => None,
    }
}

fn decode(ty: &Type, raw: &[u8]) -> Option<Value> {
    if let Some(raw) = lend(ty, raw) {
        return Some(raw.into());
    }
    Some(match *ty {
        Type::CHAR => Value::Text(char::from(*raw.first()?).to_string()),
        Type::NUMERIC => decode_numeric(raw)?,
        Type::JSON => Value::Json(serde_json::from_slice(raw).ok()?),
        Type::JSONB => Value::Json(serde_json::from_slice(raw.strip_prefix(&[1])?).ok()?),
        _ => return decode_by_kind(ty, raw),
    })
}

/// Reads what is no type of its own, or one that the server numbers itself.
fn decode_by_kind(ty: &Type, raw: &[u8]) -> Option<Value> {
    match ty.kind() {
        Kind::Domain(inner) => decode(inner, raw),
        Kind::Array(element) => decode_array(element, raw),
        _ if ty.name() == "vector" => decode_pgvector(raw),
        _ => None,
    }
}

/// `infinity` has no place on our time line.
fn decode_time(raw: &[u8]) -> Option<Timestamp> {
    let micros = i64::from_be_bytes(raw.try_into().ok()?);
    Timestamp::from_microsecond(micros.checked_add(EPOCH)?).ok()
}

fn decode_date(raw: &[u8]) -> Option<Date> {
    let days = i32::from_be_bytes(raw.try_into().ok()?);
    FIRST_DAY
        .checked_add(jiff::Span::new().try_days(days).ok()?)
        .ok()
}

fn decode_pgvector(raw: &[u8]) -> Option<Value> {
    let (numbers, []) = raw.get(4..)?.as_chunks::<4>() else {
        return None;
    };
    let numbers = numbers.iter().copied().map(f32::from_be_bytes);
    Some(Value::Vector(numbers.collect()))
}

fn decode_array(element: &Type, raw: &[u8]) -> Option<Value> {
    let mut reader = Reader(raw);
    let dimensions = reader.int()?;
    let (_flags, _oid) = (reader.int()?, reader.int()?);
    if dimensions == 0 {
        return Some(Value::List(Vec::new()));
    }
    if dimensions != 1 {
        return None;
    }
    let (length, _lower) = (reader.int()?, reader.int()?);
    let items = (0..length).map(|_| match usize::try_from(reader.int()?) {
        Err(_) => Some(Value::Null),
        Ok(size) => decode(element, reader.take(size)?),
    });
    items.collect::<Option<Vec<Value>>>().map(Value::List)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, size: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(size)?;
        self.0 = tail;
        Some(head)
    }

    fn int(&mut self) -> Option<i32> {
        self.take(4)?.try_into().ok().map(i32::from_be_bytes)
    }

    fn short(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }
}

/// Digits to base 10,000: how many, the power of the first, the sign, the places shown.
fn decode_numeric(raw: &[u8]) -> Option<Value> {
    let mut reader = Reader(raw);
    let count = reader.short()?;
    let weight = reader.short()?.cast_signed();
    let sign = reader.short()?;
    let places = reader.short()?;
    let digits = (0..count)
        .map(|_| reader.short())
        .collect::<Option<Vec<u16>>>()?;
    let sign = match sign {
        0x0000 => "",
        NEGATIVE => "-",
        NAN => return Some(Value::Real(f64::NAN)),
        INFINITY => return Some(Value::Real(f64::INFINITY)),
        MINUS_INFINITY => return Some(Value::Real(f64::NEG_INFINITY)),
        _ => return None,
    };
    let digit = |power: i16| {
        usize::try_from(weight - power)
            .ok()
            .and_then(|index| digits.get(index))
            .copied()
            .unwrap_or(0)
    };
    let whole: String = (0..=weight.max(0))
        .rev()
        .map(|power| format!("{:04}", digit(power)))
        .collect();
    let groups = i16::try_from(places.div_ceil(4)).ok()?;
    let fraction: String = (1..=groups)
        .map(|power| format!("{:04}", digit(-power)))
        .collect();
    let fraction = fraction.get(..usize::from(places)).unwrap_or(&fraction);
    let text = format!("{sign}{whole}.{fraction}");
    text.parse().ok().map(Value::Decimal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(weight: i16, sign: u16, places: u16, digits: &[u16]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.put_u16(u16::try_from(digits.len()).unwrap());
        bytes.put_i16(weight);
        bytes.put_u16(sign);
        bytes.put_u16(places);
        digits.iter().for_each(|digit| bytes.put_u16(*digit));
        bytes
    }

    #[test]
    fn numbers_are_read_digit_by_digit() {
        let check = |bytes: Vec<u8>, expected: &str| match decode_numeric(&bytes) {
            Some(Value::Decimal(decimal)) => assert_eq!(decimal.as_str(), expected),
            other => panic!("{other:?}"),
        };
        check(numeric(0, 0, 0, &[]), "0");
        check(numeric(1, 0, 0, &[1, 2345]), "12345");
        check(numeric(2, 0x4000, 0, &[3]), "-300000000");
        check(numeric(0, 0, 2, &[12, 3400]), "12.34");
        check(numeric(-1, 0x4000, 4, &[25]), "-0.0025");
        check(numeric(-2, 0, 8, &[1]), "0.00000001");
    }

    #[test]
    fn numbers_are_written_as_they_are_read() {
        for text in [
            "0",
            "-1",
            "9999",
            "10000",
            "123456789.000100020003",
            "-0.00001",
            "0.5",
        ] {
            let decimal: Decimal = text.parse().unwrap();
            let bytes = super::numeric(&decimal).unwrap_or_else(|_| panic!("{text}"));
            match decode_numeric(&bytes) {
                Some(Value::Decimal(read)) => assert_eq!(read.as_str(), text),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn infinity_has_no_digits() {
        assert_eq!(
            decode_numeric(&no_number(f64::NEG_INFINITY)),
            Some(Value::Real(f64::NEG_INFINITY))
        );
    }

    #[test]
    fn days_come_back() {
        for text in [
            "2000-01-01",
            "1999-12-31",
            "2024-02-29",
            "-000044-03-15",
            "9999-12-31",
        ] {
            let date: Date = text.parse().unwrap();
            let read = decode(&Type::DATE, &days(date).to_be_bytes());
            assert_eq!(read, Some(Value::Date(date)));
        }
    }

    #[test]
    fn the_log_of_the_driver_gets_no_values() {
        let secret = Value::from("secret");
        let parameter = encode(&secret, &Type::TEXT).unwrap_or_else(|_| panic!());
        assert_eq!(format!("{parameter:?}"), "Parameter { bytes: Some(6) }");
    }

    #[test]
    fn broken_bytes_are_no_panic() {
        for ty in [
            Type::NUMERIC,
            Type::INT8_ARRAY,
            Type::JSONB,
            Type::UUID,
            Type::TIMESTAMPTZ,
            Type::BOOL,
            Type::DATE,
        ] {
            for length in 0..12 {
                let _ = decode(&ty, &vec![0x7f; length]);
            }
        }
    }
}
