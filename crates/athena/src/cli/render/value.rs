//! Single values: times in the reader's zone, numbers short, lists with commas.

use super::record::{Look, look};
use crate::terminal::printable;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

/// Whether a value says something.
pub(super) fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

/// Whether a value can be shown on one line.
pub(super) fn fits_a_cell(value: &Value) -> bool {
    match value {
        Value::Object(_) => false,
        Value::Array(items) => items
            .iter()
            .all(|item| !item.is_object() && !item.is_array()),
        _ => true,
    }
}

/// Shows a value of a field. `precision` says how exactly its record knows when it happened.
pub(super) fn shown(name: &str, value: &Value, precision: Option<&str>) -> String {
    match value {
        Value::Null => String::new(),
        Value::Array(items) => items.iter().map(scalar).collect::<Vec<_>>().join(", "),
        Value::String(text) => time(name, text, precision).unwrap_or_else(|| scalar(value)),
        other => scalar(other),
    }
}

/// Shows a value that is no time.
pub(super) fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => printable(text).into_owned(),
        Value::Number(number) if number.is_f64() => {
            let rounded = format!("{:.4}", number.as_f64().unwrap_or_default());
            rounded
                .trim_end_matches('0')
                .trim_end_matches('.')
                .to_owned()
        }
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        other => other.to_string(),
    }
}

/// Shows a time; `None` for what is none, or is prose that happens to be one.
fn time(name: &str, text: &str, precision: Option<&str>) -> Option<String> {
    if name == "value" || look(name) == Look::Text {
        return None;
    }
    let time: Timestamp = text.parse().ok()?;
    let date = match precision.filter(|_| name == "occurred_at") {
        Some("day") => "%Y-%m-%d",
        Some("month") => "%Y-%m",
        Some("year") => "%Y",
        _ => return Some(local(time, &TimeZone::system())),
    };
    // A date is the same for everybody: in another zone it would be another one.
    Some(time.to_zoned(TimeZone::UTC).strftime(date).to_string())
}

fn local(time: Timestamp, zone: &TimeZone) -> String {
    time.to_zoned(zone.clone())
        .strftime("%Y-%m-%d %H:%M")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn times_are_shown_in_the_readers_zone() {
        let time: Timestamp = "2024-03-15T23:30:00Z".parse().unwrap();
        assert_eq!(
            local(time, &TimeZone::fixed(jiff::tz::offset(1))),
            "2024-03-16 00:30"
        );
    }

    #[test]
    fn a_time_is_shown_as_exactly_as_it_is_known() {
        let check = |precision: &str, expected: &str| {
            let first = json!("2026-03-01T00:00:00Z");
            assert_eq!(shown("occurred_at", &first, Some(precision)), expected);
        };
        check("day", "2026-03-01");
        check("month", "2026-03");
        check("year", "2026");
    }

    #[test]
    fn prose_is_no_time() {
        let text = json!("2026-03-01T00:00:00Z");
        assert_eq!(shown("content", &text, None), "2026-03-01T00:00:00Z");
        assert_eq!(
            shown("deadline", &text, None).len(),
            "2026-03-01 00:00".len()
        );
        assert_eq!(shown("status", &json!("pending"), None), "pending");
    }
}
