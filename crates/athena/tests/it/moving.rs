//! Import and export.

use crate::athena::Athena;
use serde_json::{Value, json};

#[test]
fn a_malformed_line_keeps_the_whole_file_out() {
    let athena = Athena::new();
    let good: String = (0..30)
        .map(|i| format!("{{\"content\": \"memory {i}\"}}\n"))
        .collect();
    let file = athena.file("m.jsonl", &format!("{good}{{\"content\": 7}}\n{{broken\n"));
    let ran = athena.run(&["import", &file]);
    assert_eq!(ran.status, 2, "{ran:?}");
    assert!(
        ran.err.contains(
            "line 31: `content` must be a string, not a number; another line is wrong too"
        ),
        "{ran:?}"
    );
    assert!(!athena.home().exists(), "nothing was written");

    let partial = athena.json(&["import", &file, "--partial"]);
    assert_eq!(partial["imported"], 30);
    let lines: Vec<&Value> = partial["malformed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| &m["line"])
        .collect();
    assert_eq!(lines, [31, 32]);
    assert_eq!(athena.contents().len(), 30);
    let again = athena.json(&["import", &file, "--partial"]);
    assert_eq!(
        (&again["imported"], &again["skipped"]),
        (&json!(0), &json!(30))
    );
}

#[test]
fn a_project_that_is_misspelt_is_not_made() {
    let athena = Athena::new();
    let file = athena.file("m.jsonl", "{\"content\": \"a memory\"}\n");
    let import = ["import", &file, "--project", "shop"];
    let ran = athena.run(&import);
    assert_eq!(ran.status, 3, "{ran:?}");
    assert!(
        ran.err.contains("project `shop` does not exist")
            && ran.err.contains("athena project create"),
        "{ran:?}"
    );
    assert_eq!(athena.json(&["project", "list"])["items"], json!([]));
    let made = athena.json(&[&import[..], &["--create-project"]].concat());
    assert_eq!(
        (&made["imported"], &made["project"]),
        (&json!(1), &json!("shop"))
    );
    let again = athena.json(&import);
    assert_eq!(
        (&again["imported"], &again["skipped"]),
        (&json!(0), &json!(1))
    );
}

#[test]
fn files_of_many_forms_are_told_apart() {
    let athena = Athena::new();
    let import = |name: &str, text: &str| {
        let answer = athena.json(&["import", &athena.file(name, text), "--tag", "imported"]);
        (
            answer["format"].as_str().unwrap().to_owned(),
            answer["imported"].as_u64().unwrap(),
        )
    };
    assert_eq!(
        import("a.txt", "One paragraph.\n\nAnother one."),
        ("text".into(), 2)
    );
    assert_eq!(import("b.md", "# Head\n\nBody.\n"), ("markdown".into(), 1));
    let chat = r#"[{"role":"system","content":"s"},{"role":"user","content":"question"},{"role":"assistant","content":"answer"}]"#;
    assert_eq!(import("c.json", chat), ("messages".into(), 2));
    let session = r#"{"type":"user","sessionId":"s1","uuid":"u1","timestamp":"2025-01-02T03:04:05Z","message":{"role":"user","content":"fix it"}}"#;
    assert_eq!(import("d.jsonl", session), ("claude-code".into(), 1));
    let turn = athena.json(&["list", "--session", "s1"]);
    assert_eq!(turn["items"][0]["speaker"], "user");
    assert_eq!(turn["items"][0]["tags"], json!(["imported"]));
    assert_eq!(turn["items"][0]["occurred_at"], "2025-01-02T03:04:05Z");

    let ran = athena.piped(&["import", "-", "--json"], b"From a pipe.\n");
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(athena.contents().contains(&"From a pipe.".to_owned()));
}

#[test]
fn an_export_is_imported_without_loss() {
    let athena = Athena::new();
    athena.json(&[
        "remember",
        "first",
        "--tag",
        "a",
        "--metadata-json",
        r#"{"deep": {"x": [1, 2.5]}}"#,
    ]);
    athena.json(&[
        "remember",
        "second",
        "--speaker",
        "Ines",
        "--occurred-at",
        "2024-03-15",
    ]);
    athena.json(&["update", "1", "first, changed", "--reason", "because"]);
    athena.json(&["forget", "2"]);
    athena.json(&["relate", "3", "2", "--relation", "follows"]);
    let file = athena.path("export.jsonl");
    assert_eq!(athena.json(&["export", "--output", &file])["records"], 3);

    let other = Athena::new();
    assert_eq!(other.json(&["import", &file])["imported"], 3);
    let exported = other.run(&["export"]).out;
    let records = |text: &str| -> Vec<Value> {
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    assert_eq!(
        records(&exported),
        records(&std::fs::read_to_string(&file).unwrap())
    );
}

#[test]
fn large_files_go_in_several_calls() {
    let athena = Athena::new();
    let text: String = (0..2_100)
        .map(|i| format!("{{\"content\": \"note number {i}\"}}\n"))
        .collect();
    let answer = athena.json(&["import", &athena.file("large.jsonl", &text)]);
    assert_eq!(
        (&answer["records"], &answer["imported"]),
        (&json!(2_100), &json!(2_100))
    );
    let exported = athena.run(&["export"]).out;
    assert_eq!(exported.lines().count(), 2_100);
}

#[test]
fn eval_measures_a_collection() {
    let athena = Athena::new();
    let doc = |scope: &str, id: &str, text: &str| json!({"kind": "doc", "scope": scope, "id": id, "text": text});
    let query = |scope: &str, id: &str, text: &str, cat: &str, rel: &str| json!({"kind": "query", "scope": scope, "id": id, "text": text, "cat": cat, "rel": {rel: 1}});
    let lines = [
        doc("a", "1", "The heron waits at the pond."),
        doc("a", "2", "Bread needs flour, water and salt."),
        doc("b", "1", "The lighthouse has three hundred steps."),
        query("a", "q1", "Where does the heron wait?", "where", "1"),
        query("a", "q2", "What does bread need?", "what", "2"),
        query("b", "q1", "How many steps has the lighthouse?", "what", "1"),
    ];
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let (file, saved) = (athena.file("set.jsonl", &text), athena.path("run.json"));
    let report = athena.json(&["eval", &file, "--save", &saved]);
    let modes = report["modes"].as_object().unwrap();
    assert_eq!(
        modes.keys().collect::<Vec<_>>(),
        ["hybrid", "keyword", "semantic"]
    );
    assert_eq!(modes["keyword"]["all"]["n"], 3);
    assert_eq!(modes["keyword"]["all"]["recall@1"], 1.0);
    assert_eq!(modes["hybrid"]["by_category"]["what"]["n"], 2);
    assert_eq!(report["abstention"]["foreign"]["n"], 3);
    assert_eq!(report["abstention"]["foreign"]["silent"], 1.0);

    let again = athena.json(&["eval", &file, "--against", &saved]);
    assert_eq!(
        again["against"]["keyword"]["mrr"],
        json!({"difference": 0.0, "low": 0.0, "high": 0.0})
    );
    let ran = athena.run(&["eval", &file, "--against", &file]);
    assert_eq!(ran.status, 2, "{ran:?}");
}
