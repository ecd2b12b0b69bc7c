//! Reads the many ways in which files write dates.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use serde_json::Value;

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
