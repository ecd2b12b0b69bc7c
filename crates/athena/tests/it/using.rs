//! Remembering and recalling from a terminal.

use crate::athena::{Athena, mode};
use serde_json::json;

#[test]
fn quickstart_works_on_a_machine_that_has_nothing() {
    let athena = Athena::new();
    for _ in 0..2 {
        let ran = athena.run(&["quickstart"]);
        assert_eq!(ran.status, 0, "{ran:?}");
        assert_eq!(ran.err, "");
        for expected in [
            "Marta in accounting",
            "retried eight times",
            "three workers",
            "claude mcp add athena",
            "\"servers\"",
        ] {
            assert!(
                ran.out.contains(expected),
                "`{expected}` is not in\n{}",
                ran.out
            );
        }
    }
    let answer = athena.json(&["quickstart", "--temporary"]);
    for (index, expected) in ["We chose PostgreSQL", "A failed webhook", "Refunds above"]
        .iter()
        .enumerate()
    {
        let first = &answer["answers"][index]["hits"][0];
        assert!(
            first["content"].as_str().unwrap().starts_with(expected),
            "{first}"
        );
        assert!(first["explain"].is_object(), "{first}");
    }
    assert!(!std::path::Path::new(answer["store"].as_str().unwrap()).exists());
}

#[test]
fn what_is_remembered_is_recalled() {
    let athena = Athena::new();
    let remembered = athena.json(&[
        "remember",
        "We ship on Tuesdays.",
        "-t",
        "decision",
        "--tag",
        "release",
        "--tag",
        "habit",
    ]);
    assert_eq!(remembered["duplicate"], json!(false));
    assert_eq!(
        athena.json(&["remember", "We ship on Tuesdays.", "-t", "decision"])["id"],
        remembered["id"]
    );
    let ran = athena.piped(
        &["remember"],
        "Der Kühlschrank 🧊 steht im Keller.\n".as_bytes(),
    );
    assert_eq!(ran.status, 0, "{ran:?}");

    let hits = athena.json(&["recall", "When do we ship?"]);
    assert_eq!(hits["hits"][0]["content"], "We ship on Tuesdays.");
    assert_eq!(hits["hits"][0]["tags"], json!(["release", "habit"]));
    let text = athena.run(&["recall", "kuhlschrank"]).out;
    assert!(
        text.contains("Der Kühlschrank 🧊 steht im Keller."),
        "{text}"
    );
    assert_eq!(
        athena.json(&["recall", "quantum chromodynamics", "--min-score", "0.3"])["hits"],
        json!([])
    );
}

#[test]
fn versions_are_kept_and_forgetting_can_be_undone() {
    let athena = Athena::new();
    athena.json(&["remember", "The port is 80."]);
    let updated = athena.json(&["update", "1", "The port is 8080.", "--reason", "moved"]);
    let id = updated["id"].to_string();
    let history = athena.json(&["history", &id]);
    assert_eq!(history["items"].as_array().map(Vec::len), Some(2));
    athena.json(&["forget", &id, "--reason", "gone"]);
    assert_eq!(athena.contents(), Vec::<String>::new());
    athena.json(&["unforget", &id]);
    assert_eq!(athena.contents(), ["The port is 8080."]);
    let receipt = athena.json(&["purge", &id]);
    assert_eq!(receipt["versions"], 2);
    assert_eq!(athena.run(&["get", &id]).status, 3);
}

#[test]
fn the_home_is_for_its_owner_alone() {
    let athena = Athena::new();
    athena.json(&["remember", "a secret"]);
    assert_eq!(mode(&athena.home()), 0o700);
    assert_eq!(mode(&athena.home().join("athena.db")), 0o600);
}

#[test]
fn the_project_is_the_git_repository() {
    let athena = Athena::new();
    let shop = athena.path("shop/src");
    std::fs::create_dir_all(&shop).unwrap();
    std::fs::create_dir(athena.path("shop/.git")).unwrap();
    let ran = athena
        .command(&["remember", "in the shop"])
        .current_dir(&shop)
        .output()
        .unwrap();
    assert!(ran.status.success());
    let projects = athena.json(&["project", "list"]);
    assert_eq!(projects["items"][0]["name"], "shop");
    assert_eq!(
        athena.json(&["recall", "shop", "--project", "shop"])["hits"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    assert_eq!(athena.json(&["recall", "shop"])["hits"], json!([]));
}

#[test]
fn every_operation_can_be_called_by_name() {
    let athena = Athena::new();
    let answer = athena.json(&["call", "memory.remember", r#"{"content": "by name"}"#]);
    assert_eq!(answer["duplicate"], json!(false));
    let ran = athena.piped(
        &["call", "memory.recall", "-", "--json"],
        br#"{"query": "name"}"#,
    );
    assert!(ran.out.contains("by name"), "{ran:?}");
    let listed = athena.json(&["call"]);
    assert!(
        listed["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|item| item["name"] == "memory.hybrid_search")
    );
}

#[test]
fn doctor_tells_where_settings_come_from_without_touching_anything() {
    let athena = Athena::new();
    let output = athena
        .command(&["doctor", "--json", "--project", "p"])
        .env("ATHENA_PORT", "7000")
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success(), "{report}");
    let setting = |key: &str| {
        report["settings"]
            .as_array()
            .unwrap()
            .iter()
            .find(|s| s["key"] == key)
            .unwrap()
            .clone()
    };
    assert_eq!(
        setting("server.port"),
        json!({"key": "server.port", "value": "7000", "source": "ATHENA_PORT"})
    );
    assert_eq!(setting("project")["source"], "--project");
    assert_eq!(setting("embedder.provider")["source"], "default");
    assert!(!athena.home().exists());

    athena.json(&["remember", "x"]);
    let report = athena.json(&["doctor"]);
    let checks: Vec<&str> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["check"].as_str().unwrap())
        .collect();
    for check in [
        "home",
        "database",
        "schema",
        "writing",
        "durability",
        "disk",
        "embedder",
    ] {
        assert!(checks.contains(&check), "{check}: {checks:?}");
    }
}
