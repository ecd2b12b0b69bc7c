//! `athena db`: SQL, translation and the schema, without operations in between.

use crate::athena::Athena;
use serde_json::{Value, json};

/// A store with two memories.
fn with_memories() -> Athena {
    let athena = Athena::new();
    athena.json(&["remember", "The heron waits at the pond.", "--tag", "bird"]);
    athena.json(&["remember", "面白い本, \"quoted\"\nand a second line"]);
    athena
}

#[test]
fn statements_take_named_parameters() {
    let athena = with_memories();
    let sql = "SELECT id, tags, created_at > :then AS recent, forgotten_at FROM memory_vectors
               WHERE id IN :ids AND memory_type <> :type ORDER BY id";
    let rows = athena.json(&[
        "db",
        "sql",
        sql,
        "-p",
        "ids:=[1, 7]",
        "--params",
        r#"{"type": "x"}"#,
        "-p",
        "then=5",
    ]);
    assert_eq!(
        rows,
        json!([{"id": 1, "tags": ["bird"], "recent": 1, "forgotten_at": null}])
    );

    let raw = athena.json(&[
        "db",
        "sql",
        "SELECT tags FROM memory_vectors WHERE id = 1",
        "--raw",
    ]);
    assert_eq!(raw, json!([{"tags": "[\"bird\"]"}]));
    let ran = athena.piped(
        &["db", "sql", "--json"],
        b"SELECT created_at AS made FROM projects",
    );
    let rows: Value = serde_json::from_str(&ran.out).unwrap();
    assert!(rows[0]["made"].as_str().unwrap().ends_with('Z'), "{ran:?}");

    let ran = athena.run(&["db", "sql", "SELECT :ids", "--param", "id=1"]);
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("did you mean the given `id`?"), "{ran:?}");
}

#[test]
fn a_statement_writes_only_when_it_is_allowed_to() {
    let athena = with_memories();
    let delete = "DELETE FROM memory_feedback";
    let ran = athena.run(&["db", "sql", delete]);
    assert_eq!(ran.status, 6, "{ran:?}");
    assert!(ran.err.contains("--write"), "{ran:?}");

    let ran = athena.run(&[
        "db",
        "sql",
        "--write",
        "UPDATE projects SET description = :d",
        "-p",
        "d=x",
    ]);
    assert_eq!(
        (ran.status, ran.out.as_str()),
        (0, "1 row changed\n"),
        "{ran:?}"
    );
    let returned = athena.json(&[
        "db",
        "sql",
        "--write",
        "UPDATE projects SET language = 'Rust' RETURNING description, language",
    ]);
    assert_eq!(returned, json!([{"description": "x", "language": "Rust"}]));
    let kept = athena.json(&["db", "sql", "SELECT language FROM projects"]);
    assert_eq!(kept, json!([{"language": "Rust"}]));
}

#[test]
fn results_have_the_form_that_is_asked_for() {
    let athena = with_memories();
    let sql = "SELECT id, content, source FROM memory_vectors ORDER BY id";
    let csv = athena.run(&["db", "sql", sql, "--format", "csv"]).out;
    assert_eq!(
        csv,
        "id,content,source\r\n1,The heron waits at the pond.,\r\n2,\"面白い本, \"\"quoted\"\"\nand a second line\",\r\n"
    );
    let lines = athena.run(&["db", "sql", sql, "--format", "jsonl"]).out;
    let ids: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone())
        .collect();
    assert_eq!(ids, [1, 2]);
    let ran = athena.run(&["db", "sql", sql, "--limit", "1"]);
    assert_eq!(
        ran.out,
        "id  content                       source\n 1  The heron waits at the pond.  NULL\n"
    );
    assert!(ran.err.contains("only the first 1 rows"), "{ran:?}");
    assert_eq!(
        athena.json(&["db", "sql", "SELECT 1 WHERE 1 = 0"]),
        json!([])
    );
}

#[test]
fn a_type_is_that_of_the_column_and_not_of_its_name() {
    let athena = with_memories();
    let sql = "SELECT length(content) AS created_at, id AS forgotten_at, tags AS t, 7 AS tags FROM memory_vectors WHERE id = 1";
    assert_eq!(
        athena.json(&["db", "sql", sql]),
        json!([{"created_at": 28, "forgotten_at": 1, "t": ["bird"], "tags": 7}])
    );
}

#[test]
fn an_empty_result_has_its_headings_in_csv() {
    let athena = with_memories();
    for (sql, write) in [
        (
            "SELECT id, content AS \"a,b\" FROM memory_vectors WHERE id < 0",
            false,
        ),
        (
            "UPDATE memory_vectors SET content = 'x' WHERE id < 0 RETURNING id, content AS \"a,b\"",
            true,
        ),
    ] {
        let mut arguments = vec!["db", "sql", sql, "--format", "csv"];
        arguments.extend(write.then_some("--write"));
        let ran = athena.run(&arguments);
        assert_eq!(
            (ran.status, ran.out.as_str()),
            (0, "id,\"a,b\"\r\n"),
            "{ran:?}"
        );
    }
}

#[test]
fn many_rows_are_written_as_they_come() {
    let athena = with_memories();
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
               SELECT i, 'row ' || i AS text FROM n";
    let ran = athena.run(&["db", "sql", sql, "--format", "jsonl"]);
    assert_eq!(ran.out.lines().count(), 200_000);
    assert_eq!(
        ran.out.lines().last(),
        Some(r#"{"i":200000,"text":"row 200000"}"#)
    );
}

#[test]
fn mistakes_are_shown_where_they_are() {
    let athena = with_memories();
    let ran = athena.run(&["db", "sql", "SELECT 1\nFORM projects"]);
    assert_eq!(ran.status, 2, "{ran:?}");
    assert!(ran.err.contains("near \"projects\""), "{ran:?}");
    let ran = athena.run(&["db", "sql", "COMMIT"]);
    assert_eq!(ran.status, 8, "{ran:?}");
    let ran = athena.run(&["db", "sql", "SELECT 1", "--url", "oracle://x"]);
    assert!(ran.err.contains("unknown scheme `oracle`"), "{ran:?}");

    let elsewhere = Athena::new();
    let ran = elsewhere.run(&["db", "sql", "SELECT 1"]);
    assert_ne!(ran.status, 0);
    assert!(!elsewhere.home().exists(), "a read makes no store");
}

#[test]
fn translation_needs_no_store() {
    let athena = Athena::new();
    let answer = athena.json(&[
        "db",
        "translate",
        "SELECT 1 WHERE a IN :ids AND b = :b OR c = :b",
    ]);
    let sql: Vec<&str> = answer["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["sql"].as_str().unwrap())
        .collect();
    assert_eq!(
        sql,
        [
            "SELECT 1 WHERE a IN (SELECT value FROM json_each(?1)) AND b = ?2 OR c = ?2",
            "SELECT 1 WHERE a = ANY ($1) AND b = $2 OR c = $2",
            "SELECT 1 WHERE a IN (?) AND b = ? OR c = ?",
        ]
    );
    let file = athena.file(
        "m.sql",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, at TIMESTAMP);",
    );
    let ran = athena.run(&[
        "db",
        "translate",
        &format!("@{file}"),
        "--migration",
        "-d",
        "mysql",
    ]);
    assert!(ran.out.contains("DATETIME(6)"), "{ran:?}");
    let ran = athena.run(&["db", "translate", "SELECT a::int", "-d", "sqlite"]);
    assert_eq!(ran.status, 2, "{ran:?}");
    let ran = athena.run(&["db", "translate", "SELECT a::int"]);
    assert_eq!(ran.status, 2, "one backend of three refuses");
    assert!(ran.out.contains("SELECT a::int"), "{ran:?}");
    assert!(!athena.home().exists());
}

#[test]
fn a_batch_is_answered_line_by_line() {
    let athena = Athena::new();
    let question = |id: u32| json!({"id": id, "dialect": "postgres", "sql": format!("SELECT {id}, :a, ':b', :a::text, :c")});
    let input: String = (0..5_000).map(|id| format!("{}\n", question(id))).collect();
    let ran = athena.piped(&["db", "translate", "--batch"], input.as_bytes());
    assert_eq!(ran.status, 0, "{ran:?}");
    let answers: Vec<Value> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), 5_000);
    for (id, answer) in (0_u32..).zip(answers) {
        let sql = format!("SELECT {id}, $1, ':b', $1::text, $2");
        assert_eq!(answer, json!({"id": id, "sql": sql, "params": ["a", "c"]}));
    }
}

#[test]
fn the_schema_is_described() {
    let athena = with_memories();
    let answer = athena.json(&["db", "schema", "memory_passages"]);
    let table = &answer["items"][0];
    assert_eq!(table["foreign_keys"][0]["table"], "memory_vectors");
    let shown = athena.run(&["db", "schema", "memory_passages"]).out;
    assert!(
        shown.contains("refers memory_id to memory_vectors (id), goes with it"),
        "{shown}"
    );
    let ran = athena.run(&["db", "schema", "memory_passage"]);
    assert_eq!(ran.status, 3);
    assert!(
        ran.err.contains("did you mean `memory_passages`?"),
        "{ran:?}"
    );
}

#[test]
fn migrations_are_looked_at_and_applied() {
    let athena = with_memories();
    let status = athena.json(&["db", "migrate", "status"]);
    let items = status["items"].as_array().unwrap();
    assert!(
        items.iter().all(|item| item["state"] == "applied"),
        "{status}"
    );
    assert!(items.iter().any(|item| item["set"] == "memory"));
    assert_eq!(athena.json(&["db", "migrate", "plan"])["items"], json!([]));
    let ran = athena.run(&["db", "migrate", "verify"]);
    assert_eq!(
        (ran.status, ran.out.as_str()),
        (0, "the tables are as the migrations made them\n")
    );

    athena.run(&["db", "sql", "--write", "DROP INDEX memory_vectors_type"]);
    let ran = athena.run(&["db", "migrate", "verify", "--set", "memory"]);
    assert_eq!(ran.status, 4, "{ran:?}");
    assert!(ran.out.contains("memory_vectors_type"), "{ran:?}");
    let ran = athena.run(&["db", "migrate", "status", "--set", "memori"]);
    assert_eq!(ran.status, 3, "{ran:?}");
    assert!(ran.err.contains("did you mean `memory`?"), "{ran:?}");
}

#[test]
fn a_folder_of_migrations_is_a_set_of_its_own() {
    let athena = Athena::new();
    let folder = athena.path("migrations");
    std::fs::create_dir(&folder).unwrap();
    let write = |name: &str, text: &str| std::fs::write(format!("{folder}/{name}"), text).unwrap();
    write(
        "V001__notes.sql",
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, done BOOLEAN NOT NULL);",
    );
    write(
        "V002__title.sql",
        "ALTER TABLE notes ADD COLUMN title TEXT;",
    );
    let url = format!("sqlite:{}", athena.path("notes.db"));
    let migrate = |action: &str, more: &[&str]| {
        let common = ["db", "migrate", action, "--dir", &folder, "--url", &url];
        athena.json(&[&common[..], more].concat())
    };
    let marked = migrate("baseline", &["1"]);
    assert_eq!(marked["items"], json!([{"set": "app", "version": 1}]));
    let plan = migrate("plan", &[]);
    assert_eq!(plan["items"][0]["version"], 2);
    assert!(
        plan["items"][0]["statements"][0]
            .as_str()
            .unwrap()
            .contains("ADD COLUMN")
    );
    athena.run(&[
        "db",
        "sql",
        "--url",
        &url,
        "--write",
        "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT)",
    ]);
    let applied = migrate("up", &[]);
    assert_eq!(applied["items"][0]["versions"], json!([2]));
    write(
        "V002__title.sql",
        "ALTER TABLE notes ADD COLUMN title TEXT; -- the same",
    );
    assert_eq!(migrate("repair", &[])["items"], json!([]));
    let ran = athena.run(&["db", "migrate", "verify", "--dir", &folder, "--url", &url]);
    assert_eq!(
        ran.status, 4,
        "the table that was made by hand lacks a column: {ran:?}"
    );
    assert!(ran.out.contains("done"), "{ran:?}");
}

#[test]
fn measuring_leaves_nothing_behind() {
    let athena = with_memories();
    let files = || {
        let mut names: Vec<_> = std::fs::read_dir(athena.home())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    let before = files();
    let answer = athena.json(&["db", "bench", "-n", "20"]);
    let items = answer["items"].as_array().unwrap();
    assert_eq!(items.len(), 5);
    for item in items {
        assert!(item["per_second"].as_f64().unwrap() > 0.0, "{item}");
        assert!(item["p50_us"].as_f64() <= item["p99_us"].as_f64(), "{item}");
    }
    assert_eq!(files(), before);
}
