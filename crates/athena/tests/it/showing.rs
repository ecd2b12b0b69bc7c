//! What a person sees: lists, changes and times as the terminal shows them.

use crate::athena::Athena;

/// Runs a command, which must succeed, and returns what it shows.
fn shown(athena: &Athena, arguments: &[&str]) -> String {
    let ran = athena.run(arguments);
    assert_eq!(ran.status, 0, "{arguments:?}: {ran:?}");
    ran.out
}

/// Returns a table's headings.
fn headings(text: &str) -> Vec<&str> {
    let first = text.lines().next().unwrap_or_default();
    first
        .split("  ")
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .collect()
}

#[test]
fn work_is_listed_by_what_it_is() {
    let athena = Athena::new();
    let added = shown(
        &athena,
        &[
            "task",
            "add",
            "Fix the login",
            "--priority",
            "8",
            "--due-at",
            "2026-12-01T17:00:00Z",
        ],
    );
    assert_eq!(
        added,
        "task 1  Fix the login  pending  priority 8  due 2026-12-01 17:00  planning\n"
    );
    shown(
        &athena,
        &["task", "add", "Test the login", "--due-at", "2026-01-01"],
    );
    let tasks = shown(&athena, &["task", "list"]);
    assert_eq!(
        headings(&tasks),
        ["ID", "TITLE", "STATUS", "PRIORITY", "DUE AT", "PHASE"]
    );
    assert!(
        tasks.contains("Fix the login") && tasks.contains("2026-12-01 17:00"),
        "{tasks}"
    );
    let due = shown(&athena, &["due"]);
    for expected in [
        "Test the login",
        "2026-01-01 00:00",
        "REASONS",
        "it is overdue by",
    ] {
        assert!(due.contains(expected), "`{expected}`: {due}");
    }
    let started = shown(&athena, &["task", "start", "1"]);
    assert!(
        started.starts_with("task 1  Fix the login  active"),
        "{started}"
    );
    assert_eq!(started.lines().count(), 1, "{started}");
    let whole = shown(&athena, &["task", "get", "1"]);
    assert!(
        whole.contains("uid:") && whole.contains("max cycles:"),
        "{whole}"
    );
    shown(
        &athena,
        &["trigger", "add", "1", "event", "--event-type", "test_run"],
    );
    let triggers = shown(&athena, &["trigger", "list"]);
    assert!(
        headings(&triggers).starts_with(&["ID", "TASK ID"]),
        "{triggers}"
    );
    assert!(triggers.contains("test_run"), "{triggers}");
    let changes = shown(&athena, &["changes"]);
    assert_eq!(
        headings(&changes),
        ["SEQ", "ID", "OPERATION", "AT", "KIND", "PRINCIPAL"]
    );
}

#[test]
fn what_happened_is_listed_with_its_kind_and_to_its_precision() {
    let athena = Athena::new();
    for (content, at) in [
        ("On a day", "2026-03-02"),
        ("In a month", "2026-03"),
        ("In a year", "2025"),
    ] {
        let record = [
            "record",
            content,
            "--event-type",
            "deployment",
            "--outcome",
            "success",
        ];
        shown(&athena, &[&record[..], &["--occurred-at", at]].concat());
    }
    let timeline = |zone: &str| {
        let output = athena
            .command(&["timeline"])
            .env("TZ", zone)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    for zone in ["UTC", "America/New_York"] {
        let text = timeline(zone);
        assert_eq!(
            headings(&text),
            ["ID", "EVENT TYPE", "OUTCOME", "OCCURRED AT", "CONTENT"]
        );
        let expected = [
            ("On a day", "  2026-03-02  "),
            ("In a month", "  2026-03  "),
            ("In a year", "  2025  "),
        ];
        for (content, at) in expected {
            let line = text.lines().find(|line| line.ends_with(content)).unwrap();
            assert!(line.contains(at), "{zone}: {line}");
        }
    }
    let event = shown(&athena, &["event", "get", "1"]);
    assert!(
        event.contains("occurred at:          2026-03-02\n"),
        "{event}"
    );
}

#[test]
fn times_are_typed_as_lengths_days_and_months() {
    let athena = Athena::new();
    athena.json(&["remember", "Long ago", "--occurred-at", "2020-03"]);
    athena.json(&["remember", "Just now", "--occurred-at", "30m"]);
    let listed = |arguments: &[&str]| {
        let page = athena.json(&[&["list"], arguments].concat());
        let items = page["items"].as_array().unwrap().clone();
        items
            .iter()
            .map(|item| item["content"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(listed(&["--after", "2h"]), ["Just now"]);
    assert_eq!(listed(&["--before", "1w"]), ["Long ago"]);
    assert_eq!(
        listed(&["--after", "2020-02", "--before", "2020-04"]),
        ["Long ago"]
    );
    let ran = athena.run(&["list", "--after", "soon"]);
    assert_eq!(ran.status, 2, "{ran:?}");
    assert!(
        ran.err
            .contains("`--after` is `soon`, which is no time; write one as 2026-03-05T14:30"),
        "{ran:?}"
    );
    let ran = athena.run(&["list", "--after", "soon", "--json"]);
    let error: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!(error["error"]["field"], "after");
}

#[test]
fn rules_are_listed_with_their_priority_and_errors_name_options() {
    let athena = Athena::new();
    shown(
        &athena,
        &[
            "remember",
            "Never push to main",
            "--type",
            "rule",
            "--priority",
            "9",
        ],
    );
    let rules = shown(&athena, &["list", "--type", "rule"]);
    assert_eq!(
        headings(&rules),
        ["ID", "TYPE", "PRIORITY", "CREATED AT", "CONTENT"]
    );
    let ran = athena.run(&["remember", "x", "--replaces", "many"]);
    assert_eq!(ran.status, 2, "{ran:?}");
    assert!(
        ran.err.contains("`--replaces` must be an integer"),
        "{ran:?}"
    );
}

#[test]
fn a_thread_reads_like_a_conversation() {
    let athena = Athena::new();
    shown(&athena, &["thread", "create", "About the login"]);
    for (role, content) in [("user", "How is it done?"), ("assistant", "With a token.")] {
        let input = serde_json::json!({"thread": 1, "role": role, "content": content}).to_string();
        athena.json(&["call", "message.add", &input]);
    }
    let threads = shown(&athena, &["thread", "list"]);
    assert!(threads.contains("About the login"), "{threads}");
    let messages = shown(&athena, &["message", "list", "1"]);
    assert!(
        headings(&messages).starts_with(&["SEQ", "ID", "ROLE"]),
        "{messages}"
    );
    let found = shown(&athena, &["message", "search", "token"]);
    assert!(found.contains("    With a token.\n"), "{found}");
    let context = shown(&athena, &["thread", "context", "1"]);
    assert!(
        context.ends_with("messages:\n  user: How is it done?\n  assistant: With a token.\n"),
        "{context}"
    );
}
