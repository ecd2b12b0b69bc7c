//! Shows answers to people: tables, ranked hits, and fields one to a line.
//!
//! The form follows from the answer's shape alone (a page has `items`, a search has `hits`), and what
//! is shown of a record from the names of its fields ([`record`]), so a new operation is shown well
//! without a line here. What a change made is told in a line, what was asked for in full. Machines
//! ask for `--json`.

mod fields;
mod hits;
mod record;
mod table;
mod value;

use crate::terminal::{Style, printable};
use serde_json::{Map, Value};
use std::fmt::Write;

/// Returns an answer as text that ends with a line break.
pub(crate) fn answer(value: &Value, style: Style) -> String {
    let mut text = String::new();
    match value {
        Value::Object(object) => {
            if !show_list(&mut text, object, style) {
                fields::show(&mut text, object, 0, style);
            }
        }
        other => {
            let _ = writeln!(text, "{}", value::scalar(other));
        }
    }
    or_else(text, "nothing here\n")
}

/// Returns what an operation that changes something answered, as text that ends with a line break.
/// `name` is that of the operation.
pub(crate) fn change(name: &str, value: &Value, style: Style) -> String {
    let Value::Object(object) = value else {
        return answer(value, style);
    };
    let mut text = String::new();
    if !show_list(&mut text, object, style) {
        fields::show_change(&mut text, object, kind(name), style);
    }
    or_else(text, "done\n")
}

fn or_else(text: String, nothing: &str) -> String {
    if text.is_empty() {
        nothing.into()
    } else {
        text
    }
}

/// Returns the word for what an operation is about: that of its name, as a rule.
fn kind(name: &str) -> &str {
    match name.split('.').next().unwrap_or_default() {
        "queue" => "item",
        kind => kind,
    }
}

/// Shows an answer whose shape says what it is: a brief, hits or a page.
fn show_list(text: &mut String, object: &Map<String, Value>, style: Style) -> bool {
    let list = |name: &str| object.get(name).and_then(Value::as_array);
    if let Some(brief) = object.get("text").and_then(Value::as_str)
        && object.contains_key("left_out")
    {
        show_brief(text, brief, object, style);
    } else if let Some(hits) = list("hits") {
        hits::show(text, hits, object, style);
    } else if let Some(items) = list("items") {
        show_page(text, items, object, style);
    } else {
        return false;
    }
    true
}

/// A text that was made to be read, and how many things found no room in it.
fn show_brief(text: &mut String, brief: &str, answer: &Map<String, Value>, style: Style) {
    let unchanged = answer.get("unchanged") == Some(&Value::Bool(true));
    match brief.trim_end() {
        "" if unchanged => text.push_str("nothing new\n"),
        "" => {}
        brief => brief.lines().for_each(|line| {
            let _ = writeln!(text, "{}", printable(line));
        }),
    }
    let left_out = answer.get("left_out").and_then(Value::as_array);
    if let Some(count) = left_out.map(Vec::len).filter(|count| *count > 0) {
        let more = format!("{count} more found no room; raise --budget-tokens");
        let _ = writeln!(text, "{}", style.dim(&more));
    }
}

fn show_page(text: &mut String, items: &[Value], answer: &Map<String, Value>, style: Style) {
    let records: Option<Vec<&Map<String, Value>>> = items.iter().map(Value::as_object).collect();
    if items.is_empty() {
        let _ = writeln!(text, "nothing here");
    } else if let Some(records) = records {
        for line in table::lines(&records, style.width, style) {
            let _ = writeln!(text, "{line}");
        }
    } else {
        for item in items {
            let _ = writeln!(text, "{}", value::scalar(item));
        }
    }
    if let Some(cursor) = answer.get("next_cursor").and_then(Value::as_str) {
        let _ = writeln!(text, "{}", style.dim(&format!("more: --cursor {cursor}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::columns;
    use serde_json::json;

    fn shown(value: Value) -> String {
        answer(&value, Style::plain())
    }

    #[test]
    fn hits_are_a_ranked_list() {
        let text = shown(json!({"hits": [{
            "id": 42, "content": "We use SQLite.\nIt is enough.", "memory_type": "decision", "tags": ["db"],
            "score": 0.91234, "match": 0.5, "explain": {"keyword": 0.6, "vector": {"state": "pending"}},
        }]}));
        assert_eq!(
            text,
            " 1.  score 0.912  match 0.500  decision  #db  id 42\n    We use SQLite.\n    It is enough.\n    why:\n      \
             keyword: 0.6\n      vector:\n        state: pending\n"
        );
        assert_eq!(shown(json!({"hits": []})), "nothing that matches\n");
    }

    #[test]
    fn a_hits_score_is_explained_in_three_lines() {
        let text = shown(json!({"hits": [{
            "id": 42, "content": "We use SQLite.", "score": 0.75, "explain": {
                "score": 0.75, "cosine": 0.5, "vector": "scored", "found_by": ["keyword", "builtin"],
                "parts": [
                    {"part": "builtin", "weight": 0.4, "value": 0.5, "contribution": 0.2},
                    {"part": "keyword", "weight": 0.6, "value": 0.91667, "contribution": 0.55},
                ],
                "terms": [{"term": "sqlite", "tf": 2, "contribution": 1.25}, {"term": "use", "tf": 1, "contribution": 0.5}],
            },
        }]}));
        assert_eq!(
            text,
            " 1.  score 0.750  id 42\n    We use SQLite.\n    why:\n      0.750 = builtin 0.200 + keyword 0.550\n      \
             words: sqlite ×2 1.25, use 0.50\n      found by: keyword, builtin; cosine 0.500\n"
        );
    }

    #[test]
    fn pages_are_tables() {
        let text = shown(json!({
            "items": [
                {"id": 7, "memory_type": "fact", "tags": ["a", "b"], "content": "short", "metadata": {"x": 1}},
                {"id": 12, "memory_type": "decision", "tags": [], "content": format!("long {}", "word ".repeat(40))},
            ],
            "next_cursor": "c1.z",
        }));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "ID  MEMORY TYPE  TAGS  CONTENT");
        assert_eq!(lines[1], "7   fact         a, b  short");
        assert!(
            lines[2].starts_with("12  decision           long word") && lines[2].ends_with('…'),
            "{}",
            lines[2]
        );
        assert!(columns(lines[2]) <= Style::plain().width);
        assert_eq!(lines[3], "more: --cursor c1.z");
        assert_eq!(shown(json!({"items": []})), "nothing here\n");
        assert_eq!(shown(json!({"memories": []})), "nothing here\n");
    }

    #[test]
    fn objects_are_fields_one_to_a_line() {
        let text =
            shown(json!({"uid": "u", "id": 1, "duplicate": false, "tags": [], "score": 0.5}));
        assert_eq!(
            text,
            "id:        1\nduplicate: no\nscore:     0.5\nuid:       u\n"
        );
    }

    #[test]
    fn hostile_content_cannot_move_the_cursor() {
        let text =
            shown(json!({"items": [{"id": 1, "content": "a\u{1b}[2J\u{7}b", "name": "x\u{1b}c"}]}));
        assert!(
            !text.contains('\u{1b}') && !text.contains('\u{7}'),
            "{text:?}"
        );
    }
    #[test]
    fn hits_say_what_they_are_and_show_their_text() {
        let text = shown(json!({"hits": [
            {"score": 1.0, "match": 0.5, "thread_title": "Login", "session": "s",
             "message": {"id": 3, "seq": 1, "role": "user", "content": "How is it done?"}},
        ]}));
        assert_eq!(
            text,
            " 1.  score 1.000  match 0.500  Login  user  id 3\n    How is it done?\n"
        );
        let text = shown(json!({"hits": [
            {"score": 1.0, "id": 3, "title": "Fix it", "status": "pending", "priority": 8, "description": "Now"},
        ]}));
        assert_eq!(
            text,
            " 1.  score 1.000  pending  priority 8  id 3\n    Fix it\n"
        );
    }

    #[test]
    fn nested_records_are_tables_and_one_beside_them_is_a_line() {
        let event =
            |id: i64| json!({"id": id, "uid": "u", "event_type": "error", "content": "It broke"});
        let text = shown(json!({
            "after": [event(3)], "before": [event(1)], "event": event(2),
            "links": [{"from": 1, "to": 2, "relation": "caused", "strength": 0.5}],
        }));
        assert_eq!(
            text,
            "before:\n  ID  EVENT TYPE  CONTENT\n  1   error       It broke\n\
             event: id 2  error  It broke\n\
             after:\n  ID  EVENT TYPE  CONTENT\n  3   error       It broke\n\
             links:\n  FROM  RELATION  TO  STRENGTH\n  1     caused    2   0.5\n"
        );
        let alone = shown(json!({"thread": {"id": 1, "title": "Login", "uid": "u"}, "turns": 2}));
        assert_eq!(
            alone,
            "turns: 2\nthread:\n  id:    1\n  title: Login\n  uid:   u\n"
        );
    }

    #[test]
    fn messages_are_a_transcript() {
        let said = |seq: i64, role: &str, content: &str| json!({"id": seq + 7, "seq": seq, "role": role, "content": content});
        let (question, answer) = (said(1, "user", "How?"), said(2, "assistant", "So:\n  so"));
        let expected = "thread: 1\nmessages:\n  user: How?\n  assistant: So:\n      so\n";
        assert_eq!(
            shown(json!({"thread": 1, "messages": [question, answer]})),
            expected
        );
        let turns = shown(json!({"last_turns": [{"assistant": answer, "user": question}]}));
        assert_eq!(
            turns,
            "last turns:\n  user: How?\n  assistant: So:\n      so\n"
        );
    }

    #[test]
    fn a_change_is_told_in_a_line() {
        let check = |name: &str, answer: Value, expected: &str| {
            assert_eq!(change(name, &answer, Style::plain()), expected);
        };
        let task = json!({
            "id": 1, "uid": "u", "version": 1, "title": "Fix the login", "status": "pending", "priority": 8,
            "attempts": 0, "awaits_trigger": false, "failed_attempts": 0, "kind": "task", "max_cycles": 5,
            "phase_minutes": {"planning": 1}, "principal": "cli", "project_id": 1, "unfinished_dependencies": 0,
        });
        check(
            "task.create",
            task.clone(),
            "task 1  Fix the login  pending  priority 8\n",
        );
        check(
            "task.attempt",
            json!({"task": task, "attempt": {"number": 1, "outcome": "failure", "lesson": "Ask"}, "failures_left": 4,
                "masked": {"email": 1, "path": 2}}),
            "task 1  Fix the login  pending  priority 8\nmasked: email 1, path 2\n\
             attempt: number 1  failure  Ask\n",
        );
        check(
            "memory.remember",
            json!({"id": 2, "uid": "u", "duplicate": false, "project_id": 1}),
            "memory 2  duplicate no\n",
        );
        check(
            "lease.acquire",
            json!({"resource": "file:a", "token": "t".repeat(36), "id": 3}),
            &format!("lease 3  file:a  token {}\n", "t".repeat(36)),
        );
        check(
            "queue.claim",
            json!({"items": [{"token": "t".repeat(36), "item": {"id": 1, "title": "Build"}}]}),
            &format!("ID  TITLE  TOKEN\n1   Build  {}\n", "t".repeat(36)),
        );
        check(
            "message.add",
            json!({"id": 5, "seq": 2, "tokens": 6}),
            "message 5  seq 2  tokens 6\n",
        );
        check("trigger.notify", json!({"reminders": []}), "done\n");
    }

    #[test]
    fn a_text_that_finds_no_room_in_a_line_gets_one_of_its_own() {
        let reason = "its time came, and nobody was there to hear it";
        let reminder = json!({
            "id": 1, "task_id": 2, "trigger_id": 3, "location": "in the long corridor", "schedule": "on every day",
            "agent": "the builder", "session": "the morning", "reason": reason,
        });
        assert_eq!(
            change("reminder.snooze", &reminder, Style::plain()),
            format!(
                "reminder 1  task id 2  schedule on every day  location in the long corridor  session the morning\n  \
                 agent the builder  {reason}\n"
            )
        );
    }

    #[test]
    fn a_short_answer_is_never_cut() {
        let value = format!("{}\nsecond", "word ".repeat(30));
        let text = change(
            "pii.reveal",
            &json!({"kind": "address", "value": value}),
            Style::plain(),
        );
        assert!(text.starts_with("kind:  address\nvalue: word"), "{text}");
        assert!(text.ends_with("second\n"), "{text}");
    }
}
