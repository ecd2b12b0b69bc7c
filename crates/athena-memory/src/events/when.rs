//! Times as people know them: to the microsecond, or just the day, the month or the year.

use crate::stored::stored_as_text;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

closed_list! {
    /// How exactly a time is known.
    Precision, "a precision":
    /// To the moment.
    Exact = "exact",
    /// It was on that day.
    Day = "day",
    /// It was in that month.
    Month = "month",
    /// It was in that year.
    Year = "year",
}

/// When something happened: a time of RFC 3339, or a date of which only the year or the month is known.
/// Dates are those of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct When {
    /// The time, or the beginning of the span.
    pub at: Timestamp,
    /// How long the span is.
    pub precision: Precision,
}

/// What may be written.
const FORMS: &str = "a time such as `2026-03-05T14:30:00Z`, or as much of the date as is known: \
                     `2026-03-05`, `2026-03` or `2026`";

impl When {
    /// A time that is known exactly; what is finer than a microsecond is dropped.
    #[must_use]
    pub fn exactly(time: Timestamp) -> Self {
        Self {
            at: Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time),
            precision: Precision::Exact,
        }
    }

    /// Reads one of the forms; none for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let of = |date: String, precision| {
            let date: Date = date.parse().ok()?;
            let at = date.to_zoned(TimeZone::UTC).ok()?.timestamp();
            Some(Self { at, precision })
        };
        let digits = |text: &str| {
            text.bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'-')
        };
        match text.len() {
            4 if digits(text) => of(format!("{text}-01-01"), Precision::Year),
            7 if digits(text) => of(format!("{text}-01"), Precision::Month),
            10 if digits(text) => of(text.to_owned(), Precision::Day),
            _ if text.starts_with(['-', '+']) => None,
            _ => text.parse().ok().map(Self::exactly),
        }
    }

    /// Returns the first moment that it can no longer have been: for an exact time that time itself.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        let span = match self.precision {
            Precision::Exact => return self.at,
            Precision::Day => Span::new().days(1),
            Precision::Month => Span::new().months(1),
            Precision::Year => Span::new().years(1),
        };
        let end = self.at.to_zoned(TimeZone::UTC).checked_add(span);
        end.map_or(Timestamp::MAX, |end| end.timestamp())
    }
}

impl std::fmt::Display for When {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let date = self.at.to_zoned(TimeZone::UTC).date();
        match self.precision {
            Precision::Exact => self.at.fmt(f),
            Precision::Day => date.fmt(f),
            Precision::Month => write!(f, "{:04}-{:02}", date.year(), date.month()),
            Precision::Year => write!(f, "{:04}", date.year()),
        }
    }
}

impl Serialize for When {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format_args!("`{text}` is not {FORMS}")))
    }
}

impl JsonSchema for When {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "When".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "date-or-time",
            "anyOf": [
                {"format": "date-time"},
                {"format": "date"},
                {"pattern": "^[0-9]{4}(-(0[1-9]|1[0-2]))?$"},
            ],
            "description": "A time of RFC 3339, or a date as `2026-03-05`, `2026-03` or `2026`.",
            "minLength": 4,
            "maxLength": 40,
        })
    }
}

/// Writes a length of time for people, by its two largest units: `2d 3h`, `5m 12s`, `340ms`.
#[must_use]
pub(super) fn length_text(milliseconds: i64) -> String {
    const UNITS: [(&str, u64); 5] = [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    let mut rest = milliseconds.unsigned_abs();
    let mut parts = Vec::new();
    for (name, unit) in UNITS {
        let count = rest / unit;
        rest %= unit;
        if count > 0 {
            parts.push(format!("{count}{name}"));
        } else if !parts.is_empty() {
            break;
        }
        if parts.len() == 2 {
            break;
        }
    }
    if parts.is_empty() {
        parts.push("0s".to_owned());
    }
    parts.join(" ")
}
