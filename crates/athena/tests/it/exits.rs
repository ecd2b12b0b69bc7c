//! How the binary fails: exit status, one line of text, or JSON.

use crate::athena::Athena;
use athena_db::{Database, Executor, params};
use serde_json::Value;

#[track_caller]
fn check(athena: &Athena, arguments: &[&str], status: i32, says: &str) {
    let ran = athena.run(arguments);
    assert_eq!(ran.status, status, "{arguments:?}: {ran:?}");
    assert!(ran.err.contains(says), "{arguments:?}: {ran:?}");
    assert_eq!(ran.out, "", "{arguments:?}");
}

#[test]
fn failures_have_a_status_and_a_line() {
    let athena = Athena::new();
    athena.json(&["remember", "x"]);
    check(
        &athena,
        &["get", "42"],
        3,
        "error[not_found]: memory `42` does not exist",
    );
    check(
        &athena,
        &["get", "none"],
        2,
        "error[invalid_input]: `id` must be an integer",
    );
    check(&athena, &["remember", " "], 2, "error[invalid_input]");
    check(
        &athena,
        &["recall", "x", "--limit", "0"],
        2,
        "`--limit` must be at least 1, is 0",
    );
    check(&athena, &["remember", "y", "--type", "facts"], 2, "fact");
    check(
        &athena,
        &["list", "--state", "nowhere"],
        2,
        "unconsolidated",
    );
    check(&athena, &["recal", "x"], 2, "recall");
    check(
        &athena,
        &["recall", "x", "--project", "nowhere"],
        3,
        "project `nowhere` does not exist",
    );
    check(
        &athena,
        &["call", "memory.recal"],
        3,
        "did you mean `memory.recall`?",
    );
    check(
        &athena,
        &["project", "create", "default"],
        4,
        "error[conflict]",
    );
    check(
        &athena,
        &["serve", "--host", "192.0.2.1"],
        7,
        "error[denied]",
    );
    check(
        &athena,
        &["import", &athena.path("none.jsonl")],
        3,
        "none.jsonl",
    );
}

#[test]
fn programs_get_errors_as_json() {
    let athena = Athena::new();
    for (arguments, code) in [
        (vec!["get", "42", "--json"], "not_found"),
        (vec!["recal", "--json"], "invalid_input"),
        (vec!["get", "--json"], "invalid_input"),
    ] {
        let ran = athena.run(&arguments);
        let error: Value = serde_json::from_str(&ran.err).unwrap();
        assert_eq!(error["error"]["code"], code, "{ran:?}");
        assert_eq!(ran.out, "");
    }
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let athena = Athena::new();
    let ran = athena.piped(&["remember"], b"ab\xff");
    assert_eq!(
        (ran.status, ran.err.as_str()),
        (
            2,
            "error[invalid_input]: standard input is not UTF-8 (at byte 2)\n"
        )
    );
    let ran = athena.piped(&["remember"], b"a\0b");
    assert_eq!(ran.status, 2, "{ran:?}");
    let ran = athena.piped(&["remember"], &vec![b'x'; (1 << 20) + 1]);
    assert_eq!(ran.status, 2, "{ran:?}");
    assert!(ran.err.starts_with("error[content_too_large]"), "{ran:?}");
    assert_eq!(
        athena
            .piped(&["remember"], "é".repeat(1 << 19).as_bytes())
            .status,
        0
    );
}

#[test]
fn mistakes_do_not_make_a_store() {
    let athena = Athena::new();
    check(&athena, &["recall", ""], 2, "`query` must not be empty");
    assert!(!athena.home().exists());
}

#[test]
fn a_read_only_store_can_be_read() {
    let athena = Athena::new();
    athena.json(&["remember", "still readable"]);
    let url = format!(
        "sqlite:{}?mode=ro",
        athena.home().join("athena.db").display()
    );
    let hits = athena.json(&["--database-url", &url, "recall", "readable"]);
    assert_eq!(hits["hits"][0]["content"], "still readable");
    check(
        &athena,
        &["--database-url", &url, "remember", "x"],
        6,
        "error[read_only]",
    );
    let ran = athena.run(&["--database-url", &url, "doctor"]);
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.out.contains("FAILED   writing"), "{ran:?}");
}

#[test]
fn a_store_of_a_newer_version_is_left_alone() {
    let athena = Athena::new();
    athena.json(&["remember", "x"]);
    let url = format!("sqlite:{}", athena.home().join("athena.db").display());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let db = Database::open(&url).await.unwrap();
        let sql = "INSERT INTO athena_migrations (set_name, version, name, checksum, dialect, statements_done, started_at, finished_at)
                   SELECT set_name, 999, name, checksum, dialect, statements_done, started_at, finished_at
                   FROM athena_migrations WHERE set_name = 'memory' AND version = 1";
        assert_eq!(db.execute(sql, params! {}).await.unwrap(), 1);
        db.close().await.unwrap();
    });
    check(&athena, &["remember", "y"], 6, "error[newer_store]");
    let ran = athena.run(&["doctor"]);
    assert_eq!(ran.status, 1);
    assert!(ran.out.contains("newer version"), "{ran:?}");
}

#[test]
fn an_unreachable_server_is_an_error_and_not_another_store() {
    let athena = Athena::new();
    // Port 9 of the loopback interface: nobody listens there.
    let url = "postgresql://u:hunter2@127.0.0.1:9/d";
    let ran = athena.run(&["--database-url", url, "remember", "x"]);
    assert_eq!(ran.status, 5, "{ran:?}");
    assert!(!ran.err.contains("hunter2"), "{ran:?}");
    assert!(!athena.home().join("athena.db").exists());

    let fallback = athena
        .command(&["--database-url", url, "remember", "x"])
        .env("ATHENA_DB_FALLBACK", "sqlite")
        .output()
        .unwrap();
    assert!(fallback.status.success());
    assert!(
        String::from_utf8_lossy(&fallback.stderr).contains("WARNING: ATHENA_DB_FALLBACK=sqlite")
    );
    assert_eq!(athena.contents(), ["x"]);
}

#[test]
fn settings_that_cannot_work_are_named() {
    let athena = Athena::new();
    let config = athena.file("c.toml", "[embedder]\nprovidr = \"ollama\"\n");
    check(
        &athena,
        &["list", "--config", &config],
        2,
        "did you mean `embedder.provider`?",
    );
    let config = athena.file("c.toml", "[embedder]\nprovider = \"ollama\"\n");
    check(
        &athena,
        &["list", "--config", &config],
        2,
        "`embedder.model` is missing",
    );
}
