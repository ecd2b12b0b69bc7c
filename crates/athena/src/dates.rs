//! Reads times: those that people type, and the many ways in which files write dates.

use jiff::civil::{Date, DateTime};
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};
use serde_json::Value;

/// Fields in which a length of time leads ahead: `--due-at 3d` is in three days. In all others it
/// leads back: `--after 3d`, `--as-of 3d` or `--occurred-at 3d` was three days ago.
const AHEAD: &[&str] = &[
    "deadline",
    "due_at",
    "due_before",
    "estimated_completion_date",
    "expires_at",
    "not_before",
    "until",
    "valid_until",
];

/// Which way a length of time such as `3d` leads from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the past.
    Back,
    /// To the future.
    Ahead,
}

impl Way {
    /// Returns the way of a field of an input.
    pub(crate) fn of(field: &str) -> Self {
        if AHEAD.contains(&field) {
            Self::Ahead
        } else {
            Self::Back
        }
    }

    /// Returns examples of what can be typed, for help and errors.
    pub(crate) fn examples(self) -> &'static str {
        match self {
            Self::Back => {
                "2026-03-05T14:30, 2026-03-05, 2026-03, 2026, now, today, yesterday, or 3d for 3 days ago (w, d, h, m)"
            }
            Self::Ahead => {
                "2026-03-05T14:30, 2026-03-05, 2026-03, 2026, now, today, tomorrow, or 3d for in 3 days (w, d, h, m)"
            }
        }
    }
}

/// A time that was typed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Typed {
    /// The time in RFC 3339; of a date the local midnight at which it begins.
    pub(crate) time: String,
    /// As much of the date as was typed, if no time of day was.
    pub(crate) date: Option<String>,
}

/// Reads a time that was typed; `None` for what is no time.
///
/// That is a time of RFC 3339, which is left as it is, a local time, a date or the year or the month
/// alone, `now`, `today`, `yesterday`, `tomorrow`, or a length of time from now.
pub(crate) fn typed(text: &str, way: Way, now: &Zoned) -> Option<Typed> {
    let text = text.trim();
    if text.parse::<Timestamp>().is_ok() {
        return Some(Typed {
            time: text.to_owned(),
            date: None,
        });
    }
    let from_now = if text == "now" {
        Some(now.clone())
    } else {
        length(text, way).and_then(|length| now.checked_add(length).ok())
    };
    if let Some(time) = from_now {
        return Some(Typed {
            time: time.timestamp().to_string(),
            date: None,
        });
    }
    let date = match text {
        "today" => Some(now.date()),
        "yesterday" => now.date().yesterday().ok(),
        "tomorrow" => now.date().tomorrow().ok(),
        _ => None,
    };
    let date = date.map_or_else(|| text.to_owned(), |date| date.to_string());
    let local = begin(&date)?;
    let time = local.to_zoned(now.time_zone().clone()).ok()?.timestamp();
    let is_date = matches!(date.len(), 4 | 7 | 10);
    Some(Typed {
        time: time.to_string(),
        date: is_date.then_some(date),
    })
}

/// Reads a length of time: `2w`, `3d`, `2h` or `30m`.
fn length(text: &str, way: Way) -> Option<Span> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: i64 = digits.parse().ok()?;
    let count = if way == Way::Back { -count } else { count };
    let span = Span::new();
    let span = match unit {
        "w" => span.try_weeks(count),
        "d" => span.try_days(count),
        "h" => span.try_hours(count),
        "m" => span.try_minutes(count),
        _ => return None,
    };
    span.ok()
}

/// Reads a local time, or the beginning of a date, a month or a year.
fn begin(text: &str) -> Option<DateTime> {
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let whole = match text.len() {
        4 if is_number(text) => format!("{text}-01-01"),
        7 if is_number(&text.replacen('-', "", 1)) => format!("{text}-01"),
        _ => text.to_owned(),
    };
    whole
        .parse::<DateTime>()
        .or_else(|_| whole.parse::<Date>().map(|date| date.at(0, 0, 0, 0)))
        .ok()
}

/// Forms of dates with a time of day.
const WITH_TIME: &[&str] = &[
    "%I:%M %p on %d %B, %Y",
    "%I:%M %p, %d %B %Y",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d %H:%M:%S",
    "%Y/%m/%d (%a) %H:%M",
];
/// Forms of dates alone.
const DATES: &[&str] = &[
    "%B-%d-%Y",
    "%d %B, %Y",
    "%d %B %Y",
    "%B %d, %Y",
    "%b %d, %Y",
    "%d %b %Y",
    "%Y/%m/%d",
];
/// Numbers beyond this are milliseconds: as seconds they would be after the year 5000.
const MOST_SECONDS: f64 = 1e11;

/// Reads a time as UTC, in RFC 3339; `None` for what is no time.
pub(crate) fn read(value: &Value) -> Option<String> {
    let time = match value {
        Value::Number(number) => since_epoch(number.as_f64()?),
        Value::String(text) => text_time(text.trim()),
        _ => None,
    };
    time.map(|time| time.to_string())
}

fn since_epoch(number: f64) -> Option<Timestamp> {
    let seconds = if number.abs() > MOST_SECONDS {
        number / 1_000.0
    } else {
        number
    };
    let whole = jiff::SignedDuration::try_from_secs_f64(seconds).ok()?;
    let micros = i64::try_from(whole.as_micros()).ok()?;
    Timestamp::from_microsecond(micros).ok()
}

fn text_time(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    if let Ok(number) = text.parse::<f64>() {
        return since_epoch(number);
    }
    let utc = |local: DateTime| {
        local
            .to_zoned(TimeZone::UTC)
            .ok()
            .map(|zoned| zoned.timestamp())
    };
    if let Ok(local) = text.parse::<DateTime>() {
        return utc(local);
    }
    // Names of days and months are read in any case, am and pm too.
    let parse = |form: &&str| strtime::parse(form, text).ok();
    let local = WITH_TIME
        .iter()
        .filter_map(parse)
        .find_map(|time| time.to_datetime().ok());
    let local = local.or_else(|| {
        let date: Option<Date> = DATES
            .iter()
            .filter_map(parse)
            .find_map(|time| time.to_date().ok());
        date.map(|date| date.at(0, 0, 0, 0))
    });
    utc(local?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Returns what is read at half past ten on 5 March 2026, two hours east of Greenwich.
    fn at_half_past_ten(text: &str, way: Way) -> Option<Typed> {
        let now: Timestamp = "2026-03-05T08:30:00Z".parse().unwrap();
        typed(
            text,
            way,
            &now.to_zoned(TimeZone::fixed(jiff::tz::offset(2))),
        )
    }

    #[test]
    fn what_people_type_is_read_in_their_zone() {
        let check = |text: &str, time: &str, date: Option<&str>| {
            let expected = Typed {
                time: time.to_owned(),
                date: date.map(str::to_owned),
            };
            assert_eq!(at_half_past_ten(text, Way::Back), Some(expected), "{text}");
        };
        check("2024-03-15", "2024-03-14T22:00:00Z", Some("2024-03-15"));
        check("2024-03-15 12:30", "2024-03-15T10:30:00Z", None);
        check("2024-03-15T12:30", "2024-03-15T10:30:00Z", None);
        check(
            "2024-03-15T12:30:00+05:00",
            "2024-03-15T12:30:00+05:00",
            None,
        );
        check("2024-03", "2024-02-29T22:00:00Z", Some("2024-03"));
        check("2024", "2023-12-31T22:00:00Z", Some("2024"));
        check("now", "2026-03-05T08:30:00Z", None);
        check("today", "2026-03-04T22:00:00Z", Some("2026-03-05"));
        check("yesterday", "2026-03-03T22:00:00Z", Some("2026-03-04"));
        check("tomorrow", "2026-03-05T22:00:00Z", Some("2026-03-06"));
    }

    #[test]
    fn lengths_of_time_lead_where_the_field_does() {
        let check = |field: &str, text: &str, expected: &str| {
            let read = at_half_past_ten(text, Way::of(field)).unwrap();
            assert_eq!(read.time, expected, "{field} {text}");
        };
        check("after", "2h", "2026-03-05T06:30:00Z");
        check("as_of", "30m", "2026-03-05T08:00:00Z");
        check("occurred_at", "3d", "2026-03-02T08:30:00Z");
        check("due_at", "3d", "2026-03-08T08:30:00Z");
        check("until", "2w", "2026-03-19T08:30:00Z");
    }

    #[test]
    fn what_is_no_time_is_not_guessed() {
        for text in [
            "soon",
            "",
            "3",
            "d",
            "-3d",
            "3y",
            "2026-13",
            "20xx",
            "99999999999999999999d",
            "9999999999w",
        ] {
            assert_eq!(at_half_past_ten(text, Way::Back), None, "{text}");
        }
    }

    #[test]
    fn dates_of_many_forms_are_read() {
        let check = |given: Value, expected: &str| {
            assert_eq!(read(&given).as_deref(), Some(expected), "{given}")
        };
        check(json!("1:56 pm on 8 May, 2023"), "2023-05-08T13:56:00Z");
        check(json!("12:05 am on 1 January, 2024"), "2024-01-01T00:05:00Z");
        check(json!("March-15-2024"), "2024-03-15T00:00:00Z");
        check(json!("8 May 2023"), "2023-05-08T00:00:00Z");
        check(json!("May 8, 2023"), "2023-05-08T00:00:00Z");
        check(json!("2023-05-08"), "2023-05-08T00:00:00Z");
        check(json!("2023-05-08 10:30"), "2023-05-08T10:30:00Z");
        check(json!("2023-05-08T10:30:00+02:00"), "2023-05-08T08:30:00Z");
        check(json!("2023/05/20 (Sat) 02:21"), "2023-05-20T02:21:00Z");
        check(json!(1_700_000_000), "2023-11-14T22:13:20Z");
        check(json!(1_700_000_000_500_i64), "2023-11-14T22:13:20.5Z");
        check(json!(1_700_000_000.25), "2023-11-14T22:13:20.25Z");
        check(json!("1700000000"), "2023-11-14T22:13:20Z");
    }

    #[test]
    fn what_is_no_date_is_left_out() {
        for given in [
            json!(""),
            json!("soon"),
            json!("32 May 2023"),
            json!(null),
            json!(1e300),
            json!(["x"]),
        ] {
            assert_eq!(read(&given), None, "{given}");
        }
    }
}
