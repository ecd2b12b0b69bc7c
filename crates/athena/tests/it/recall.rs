//! Recall on our own collection, held to its floors.

use crate::athena::Athena;
use serde_json::Value;
use std::path::PathBuf;

fn kept(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("eval");
    folder.join(name).display().to_string()
}

#[test]
fn recall_reaches_its_floors() {
    let athena = Athena::new();
    let ran = athena.run(&[
        "eval",
        &kept("memories.jsonl"),
        "--foreign",
        "20",
        "--floors",
        &kept("floors.toml"),
    ]);
    assert_eq!(ran.status, 0, "{}\n{}", ran.out, ran.err);
}

#[test]
fn a_floor_that_is_not_reached_fails_and_is_named() {
    let athena = Athena::new();
    let lines = [
        r#"{"kind": "doc", "scope": "a", "id": "1", "text": "The heron waits at the pond."}"#,
        r#"{"kind": "doc", "scope": "a", "id": "2", "text": "The kingfisher waits at the river."}"#,
        r#"{"kind": "query", "scope": "a", "id": "q1", "text": "river", "cat": "where", "rel": {"1": 1}}"#,
        r#"{"kind": "query", "scope": "a", "id": "q2", "text": "volcano", "cat": "none", "rel": {}}"#,
    ];
    let file = athena.file("set.jsonl", &lines.join("\n"));
    let floors = athena.file("floors.toml", "[mode.keyword]\nwhere = {mrr = 50.0}\n");
    let arguments = ["eval", &file, "--mode", "keyword", "--floors", &floors];
    let ran = athena.run(&arguments);
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.out.contains("1 of 1 figures are below"), "{ran:?}");
    let ran = athena.run(&[&arguments[..], &["--json"]].concat());
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(report["floors"]["misses"][0]["group"], "where");
    assert_eq!(report["abstention"]["unanswerable"]["silent"], 1.0);

    let reached = athena.path("reached.toml");
    athena.json(&["eval", &file, "--save-floors", &reached]);
    let again = athena.json(&["eval", &file, "--floors", &reached]);
    assert_eq!(again["floors"]["misses"].as_array().unwrap().len(), 0);

    let typo = athena.file("typo.toml", "[mode.keywords]\n");
    let ran = athena.run(&["eval", &file, "--floors", &typo]);
    assert_eq!(ran.status, 2, "{ran:?}");
    assert!(ran.err.contains("`keywords` is no mode"), "{ran:?}");
}

/// The collection is read by people too: it says of every question what it is for.
#[test]
fn the_collection_has_what_its_floors_name() {
    let lines = std::fs::read_to_string(kept("memories.jsonl")).unwrap();
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (docs, queries): (Vec<&Value>, Vec<&Value>) =
        lines.iter().partition(|line| line["kind"] == "doc");
    assert!(docs.len() >= 600 && queries.len() >= 300);
    let name = |line: &Value, field: &str| line[field].as_str().unwrap().to_owned();
    let docs: std::collections::HashSet<(String, String)> = docs
        .iter()
        .map(|doc| (name(doc, "scope"), name(doc, "id")))
        .collect();
    let floors = std::fs::read_to_string(kept("floors.toml")).unwrap();
    for query in queries {
        let relevant = query["rel"].as_object().unwrap();
        for doc in relevant.keys() {
            assert!(
                docs.contains(&(name(query, "scope"), doc.clone())),
                "{query}"
            );
        }
        let category = name(query, "cat");
        assert_eq!(relevant.is_empty(), category == "unanswerable", "{query}");
        assert!(floors.contains(&category), "`{category}` has no floor");
    }
}
