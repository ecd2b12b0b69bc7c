//! Made-up events, tasks and messages, and a few sums.

use super::fill::PROJECT_DAYS;
use athena_corpus::Corpus;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// Returns the middle value, the upper one of two; 0 of nothing.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Returns a length as a count.
pub(super) fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Returns the time of a number of so many: they lie evenly in the days of the project.
pub(super) fn time_of(number: u64, all: u64, now: Timestamp) -> Timestamp {
    let span = PROJECT_DAYS * 24 * 60 * 60;
    let ago = span - span * number / all.max(1);
    let ago = SignedDuration::from_secs(i64::try_from(ago).unwrap_or(0));
    now.checked_sub(ago).unwrap_or(now)
}

/// Returns a path that some hundred events are about.
pub(super) fn file(number: u64) -> String {
    format!("src/part_{}/file_{}.rs", number % 40, number % 23)
}

/// Returns the name of a session: a hundred numbers in a row are of the same one.
pub(super) fn session(number: u64) -> String {
    format!("session-{}", number / 100)
}

/// Returns the name of a test.
pub(super) fn test(number: u64) -> String {
    format!("part_{}::finds_what_is_there", number % 50)
}

/// Returns a memory as `memory.remember_batch` takes it: mostly facts, with some decisions, rules and
/// preferences among them.
pub(super) fn memory(corpus: &Corpus, number: u64) -> Value {
    let row = corpus.row(number);
    let (kind, priority) = match number % 1_000 {
        0 => ("rule", Some(number % 10 + 1)),
        1 => ("preference", Some(5)),
        2..=50 => ("decision", None),
        51..=200 => ("pattern", None),
        _ => ("fact", None),
    };
    let domain = match number % 3 {
        0 => "memory",
        1 => "planning",
        _ => "storage",
    };
    let mut memory = json!({
        "content": row.text,
        "type": kind,
        "session": session(number),
        "domain": domain,
        "tags": row.labels.names().collect::<Vec<&str>>(),
    });
    if let Some(priority) = priority {
        memory["priority"] = json!(priority);
    }
    memory
}

/// Returns an event as `event.record` takes it: what a day with an agent leaves behind.
pub(super) fn event(corpus: &Corpus, number: u64, at: Timestamp) -> Value {
    let text = corpus.row(number).text;
    let file = file(number);
    let mut event = json!({
        "content": text,
        "occurred_at": at.to_string(),
        "session": session(number),
        "agent": format!("agent-{}", number % 5),
        "source": "bench",
        "idempotency_key": format!("event-{number}"),
        "duration_ms": number % 10_000,
        "tags": [format!("tag-{}", number % 30)],
    });
    let more = match number % 10 {
        0..=3 => {
            json!({"event_type": "tool_execution", "outcome": "success", "context_files": [file]})
        }
        4 | 5 => {
            json!({"event_type": "file_change", "outcome": "success", "file_path": file, "language": "rust",
            "lines_added": number % 90, "lines_deleted": number % 40})
        }
        6 => {
            json!({"event_type": "test_run", "test_name": test(number), "test_passed": number % 70 != 6,
            "outcome": if number % 70 == 6 { "failure" } else { "success" }})
        }
        7 => {
            json!({"event_type": "error", "outcome": "failure", "error_type": "timeout", "file_path": file})
        }
        8 => json!({"event_type": "decision", "learned": text}),
        _ => json!({"event_type": "conversation"}),
    };
    if let (Some(event), Value::Object(more)) = (event.as_object_mut(), more) {
        event.extend(more);
    }
    event
}

#[cfg(test)]
mod tests {
    use super::{median, time_of};
    use jiff::Timestamp;

    #[test]
    fn times_lie_in_the_days_of_the_project() {
        let now: Timestamp = "2026-03-05T00:00:00Z".parse().unwrap();
        assert_eq!(time_of(0, 100, now).to_string(), "2025-12-05T00:00:00Z");
        assert_eq!(time_of(50, 100, now).to_string(), "2026-01-19T00:00:00Z");
        assert!(time_of(99, 100, now) < now);
    }

    #[test]
    fn medians_do_not_care_for_order() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(Vec::new()), 0.0);
    }
}
