//! Hooks as an agent runs them: whatever happens, they end well and say nothing odd.

use crate::athena::{Athena, Ran, mode};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

/// Long enough for the slowest machine: what is tested here is not the time.
const PATIENT: [&str; 2] = ["--timeout-ms", "60000"];

fn hook(athena: &Athena, event: &str, input: &[u8]) -> Ran {
    athena.piped(&[&["hook", event], &PATIENT[..]].concat(), input)
}

/// A hook that ends well and says nothing.
#[track_caller]
fn silent(ran: &Ran) {
    assert_eq!(
        (ran.status, ran.out.as_str(), ran.err.as_str()),
        (0, "", "")
    );
}

fn log(athena: &Athena) -> String {
    fs::read_to_string(athena.home().join("hooks.log")).unwrap_or_default()
}

/// Returns the lines that are kept for later.
fn kept(athena: &Athena) -> Vec<Value> {
    files(athena)
        .iter()
        .flat_map(|path| {
            let text = fs::read_to_string(path).unwrap();
            let lines: Vec<Value> = text
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok())
                .collect();
            lines
        })
        .collect()
}

fn files(athena: &Athena) -> Vec<PathBuf> {
    let entries = fs::read_dir(athena.home().join("spool"));
    entries
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "jsonl"))
        .collect()
}

fn edit(number: usize) -> Vec<u8> {
    json!({
        "session_id": "s1",
        "cwd": "/nowhere",
        "hook_event_name": "PostToolUse",
        "tool_name": "Bash",
        "tool_use_id": format!("use-{number}"),
        "tool_input": {"command": "mail ada@lovelace.org"},
        "tool_response": {"stdout": "sent to ada@lovelace.org", "stderr": ""},
    })
    .to_string()
    .into_bytes()
}

#[test]
fn the_events_are_listed() {
    let ran = Athena::new().run(&["hook", "--list"]);
    assert_eq!(ran.status, 0);
    for name in [
        "session-start",
        "user-prompt",
        "post-tool",
        "pre-compact",
        "session-end",
    ] {
        assert!(ran.out.contains(name), "{}", ran.out);
    }
    let items = Athena::new().json(&["hook", "--list"]);
    assert_eq!(items["items"][0]["client_name"], "SessionStart");
}

#[test]
fn whatever_is_sent_ends_well() {
    let deep = [vec![b'['; 200_000], vec![b']'; 200_000]].concat();
    let long = format!("{{\"prompt\": \"{}\"}}", "x".repeat(5 << 20));
    for (input, says) in [
        (b"".as_slice(), "is empty"),
        (b" \n\t", "is empty"),
        (b"{", "is no JSON"),
        (b"nonsense", "is no JSON"),
        (b"[]", "is no JSON object"),
        (b"7", "is no JSON object"),
        (b"{\"prompt\": \"\xff\xfe\"}", "is no JSON"),
        (&deep, "is no JSON"),
        (long.as_bytes(), "is longer than"),
    ] {
        for event in [
            "session-start",
            "user-prompt",
            "post-tool",
            "pre-compact",
            "session-end",
        ] {
            let athena = Athena::new();
            silent(&hook(&athena, event, input));
            assert!(log(&athena).contains(says), "`{says}`: {}", log(&athena));
            assert_eq!(mode(&athena.home().join("hooks.log")), 0o600);
            assert!(!athena.home().join("athena.db").exists());
        }
    }
    let athena = Athena::new();
    silent(&hook(&athena, "post-tool", &vec![b' '; 100 << 20]));
    assert!(log(&athena).contains("is longer than"));
}

#[test]
fn fields_of_any_kind_end_well() {
    let athena = Athena::new();
    for odd in [
        json!(null),
        json!(7),
        json!([]),
        json!({}),
        json!("\u{0}"),
        json!("x".repeat(9_000)),
    ] {
        let names = [
            "session_id",
            "transcript_path",
            "cwd",
            "hook_event_name",
            "prompt",
            "tool_name",
            "tool_input",
            "tool_response",
            "tool_use_id",
            "source",
            "reason",
            "trigger",
        ];
        let input: Value = names
            .iter()
            .map(|name| ((*name).to_owned(), odd.clone()))
            .collect();
        for event in [
            "session-start",
            "user-prompt",
            "post-tool",
            "pre-compact",
            "session-end",
        ] {
            let ran = hook(&athena, event, input.to_string().as_bytes());
            assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{event}: {ran:?}");
        }
    }
}

#[test]
fn a_wrong_command_line_ends_well() {
    let athena = Athena::new();
    for arguments in [
        vec!["hook"],
        vec!["hook", "nonsense"],
        vec!["hook", "post-tool", "--nonsense"],
        vec!["hook", "post-tool", "--timeout-ms", "soon"],
        vec!["hook", "post-tool", "more"],
    ] {
        let ran = athena.run(&arguments);
        silent(&ran);
    }
    assert_eq!(log(&athena).lines().count(), 5, "{}", log(&athena));
    for options in [&["-v"][..], &["--project", "shop"], &["--json"]] {
        let ran = athena.run(&[options, &["hook", "post-tool", "--nonsense"]].concat());
        assert_eq!((ran.status, ran.out.as_str()), (0, ""), "{options:?}");
    }
    let ran = athena.run(&["hook", "nonsense", "-v"]);
    assert_eq!((ran.status, ran.out.as_str()), (0, ""));
    assert!(
        ran.err.contains("the events are session-start"),
        "{}",
        ran.err
    );
    let ran = athena.run(&["hook", "--help"]);
    assert_eq!(ran.status, 0);
    assert!(ran.out.contains("--timeout-ms"), "{}", ran.out);
}

#[test]
fn settings_that_cannot_be_used_end_well() {
    let athena = Athena::new();
    fs::create_dir(athena.home()).unwrap();
    fs::write(athena.home().join("config.toml"), "nonsense = [").unwrap();
    silent(&hook(&athena, "post-tool", &edit(1)));
    assert!(log(&athena).contains("config.toml"), "{}", log(&athena));
}

#[test]
fn a_pipe_that_nobody_closes_is_not_waited_for() {
    let athena = Athena::new();
    let mut child = athena
        .command(&["hook", "post-tool", "--timeout-ms", "200"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"{\"tool_name\":").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    drop(stdin);
}

#[test]
fn what_a_locked_store_cannot_take_is_kept_masked() {
    let athena = Athena::new();
    athena.json(&["remember", "x"]);
    let holder = rusqlite::Connection::open(athena.home().join("athena.db")).unwrap();
    holder
        .execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; CREATE TABLE held (id INTEGER)",
        )
        .unwrap();
    // The time of the hook ends before the patience with the lock.
    let ran = athena.piped(&["hook", "post-tool", "--timeout-ms", "4000"], &edit(1));
    silent(&ran);
    let ran = athena.piped(&["hook", "post-tool", "--timeout-ms", "4000"], &edit(2));
    silent(&ran);
    let lines = kept(&athena);
    assert_eq!(lines.len(), 2, "{}", log(&athena));
    assert_eq!(lines[0]["operation"], "event.record");
    assert_eq!(lines[0]["input"]["idempotency_key"], "hook:s1:use-1");
    let [file] = files(&athena).try_into().unwrap();
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(file.parent().unwrap()), 0o700);
    let text = fs::read_to_string(&file).unwrap();
    assert!(!text.contains("lovelace"), "{text}");
    assert!(text.contains("[email:"), "{text}");
    assert!(!log(&athena).contains("lovelace"), "{}", log(&athena));
    holder.execute_batch("ROLLBACK").unwrap();
}

#[test]
fn a_session_whose_beginning_was_kept_is_ended() {
    let athena = Athena::new();
    athena.json(&["remember", "x"]);
    let holder = rusqlite::Connection::open(athena.home().join("athena.db")).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let impatient = ["hook", "session-start", "--timeout-ms", "3000"];
    silent(&athena.piped(&impatient, &edit(1)));
    assert_eq!(
        kept(&athena)[0]["operation"],
        "session.start",
        "{}",
        log(&athena)
    );
    holder.execute_batch("ROLLBACK").unwrap();
    silent(&hook(&athena, "session-end", &edit(1)));
    assert!(files(&athena).is_empty(), "{}", log(&athena));
    let sessions = athena.json(&["session", "list"]);
    assert!(sessions["items"][0]["ended_at"].is_string(), "{sessions}");
}

#[test]
fn a_store_that_cannot_be_reached_costs_nothing() {
    let athena = Athena::new();
    let url = "postgres://nobody@127.0.0.1:1/none";
    for (number, event) in ["post-tool", "session-end", "session-start"]
        .iter()
        .enumerate()
    {
        let arguments = [&["hook", event, "--database-url", url], &PATIENT[..]].concat();
        silent(&athena.piped(&arguments, &edit(number)));
    }
    let operations: Vec<Value> = kept(&athena)
        .iter()
        .map(|line| line["operation"].clone())
        .collect();
    let expected = [
        "event.record",
        "event.record",
        "snapshot.save",
        "session.end",
        "session.start",
    ];
    assert_eq!(operations, expected);
    // It is another store's: nobody else hands it in.
    athena.json(&["remember", "y"]);
    assert_eq!(kept(&athena).len(), 5);
}

#[test]
fn without_a_key_nothing_personal_is_kept() {
    let athena = Athena::new();
    fs::create_dir(athena.home()).unwrap();
    fs::write(athena.home().join("pii.key"), "no key at all\n").unwrap();
    let arguments = [
        "hook",
        "post-tool",
        "--database-url",
        "postgres://nobody@127.0.0.1:1/none",
    ];
    silent(&athena.piped(&[&arguments[..], &PATIENT[..]].concat(), &edit(1)));
    let lines = kept(&athena);
    assert_eq!(lines.len(), 1, "{}", log(&athena));
    assert!(!lines[0].to_string().contains("lovelace"), "{}", lines[0]);
    assert!(
        log(&athena).contains("a key that is forgotten"),
        "{}",
        log(&athena)
    );
}

/// Returns what a hook tells the agent.
fn told(athena: &Athena, event: &str, session: &str, prompt: &str) -> String {
    let input =
        json!({"session_id": session, "cwd": "/nowhere", "prompt": prompt, "reason": "exit"});
    let ran = hook(athena, event, input.to_string().as_bytes());
    assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{}", log(athena));
    let answer: Value = serde_json::from_str(&ran.out).unwrap_or_default();
    let text = answer["hookSpecificOutput"]["additionalContext"].as_str();
    text.unwrap_or_default().to_owned()
}

#[test]
fn a_session_is_told_everything_once() {
    let athena = Athena::new();
    athena.json(&["remember", "Never push to main", "--type", "rule"]);
    athena.json(&["remember", "Answer briefly", "--type", "preference"]);
    athena.json(&["goal", "add", "Ship the shop"]);
    athena.json(&[
        "task",
        "add",
        "Renew the certificate",
        "--due-at",
        "2026-01-01T00:00:00Z",
    ]);
    let start = told(&athena, "session-start", "s1", "");
    for part in [
        "Never push",
        "Answer briefly",
        "Ship the shop",
        "Renew the certificate",
    ] {
        assert!(start.contains(part), "{part}: {start}");
    }
    let list = athena.home().join("told");
    assert_eq!(mode(&list), 0o700);
    let [file] = fs::read_dir(&list)
        .unwrap()
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    let file = file.unwrap().path();
    assert_eq!(mode(&file), 0o600);
    assert!(!fs::read_to_string(&file).unwrap().contains("push"));

    for _ in 0..3 {
        assert_eq!(told(&athena, "user-prompt", "s1", "hi"), "");
    }
    athena.json(&["remember", "Ask before deleting", "--type", "rule"]);
    let next = told(&athena, "user-prompt", "s1", "hi");
    assert!(
        next.contains("Ask before deleting") && !next.contains("Never push"),
        "{next}"
    );
    assert_eq!(told(&athena, "user-prompt", "s1", "hi"), "");

    // Another session knows nothing, and neither does one whose context was replaced, or whose list
    // cannot be read.
    assert!(told(&athena, "user-prompt", "s2", "hi").contains("Never push"));
    told(&athena, "pre-compact", "s1", "");
    assert!(told(&athena, "user-prompt", "s1", "hi").contains("Never push"));
    fs::write(&file, "no list").unwrap();
    assert!(told(&athena, "user-prompt", "s1", "hi").contains("Never push"));
    assert!(told(&athena, "session-start", "s1", "").contains("Never push"));
    told(&athena, "session-end", "s1", "");
    assert!(!file.exists());
}

#[test]
fn a_session_is_not_told_its_own_words() {
    let athena = Athena::new();
    athena.json(&[
        "record",
        "The parser is written anew",
        "--event-type",
        "decision",
    ]);
    told(&athena, "session-start", "s1", "");
    told(&athena, "user-prompt", "s1", "Why is the parser slow?");
    told(&athena, "session-end", "s1", "");
    let start = told(&athena, "session-start", "s2", "");
    assert_eq!(
        start.matches("The session ended (exit).").count(),
        1,
        "{start}"
    );
    assert!(
        start.contains(" decision: The parser is written anew"),
        "{start}"
    );
    assert_eq!(
        told(&athena, "user-prompt", "s2", "Why is the parser slow?"),
        ""
    );
    assert_eq!(
        told(&athena, "user-prompt", "s2", "Why is the parser slow?"),
        ""
    );
}

#[test]
fn a_torn_line_does_not_stop_a_command() {
    let athena = Athena::new();
    let spool = athena.home().join("spool");
    fs::create_dir_all(&spool).unwrap();
    let file = spool.join("default-2026-03-05.jsonl");
    fs::write(&file, b"{\"operation\":\"event.rec\xff").unwrap();
    athena.json(&["remember", "x"]);
    assert!(!file.exists());
    let aside = fs::read_to_string(spool.join("aside.txt")).unwrap();
    assert_eq!(aside, "{\"operation\":\"event.rec\u{fffd}\n");
}
