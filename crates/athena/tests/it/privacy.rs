//! Personal data, as the command line shows it: in files, in the log, in the store.

use crate::athena::{Athena, Ran};
use serde_json::{Value, json};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

const ADDRESS: &str = "ada@lovelace.org";

#[test]
fn a_scan_tells_places_and_not_values() {
    let athena = Athena::new();
    let file = athena.file("notes.txt", "Grüße\nan ada@lovelace.org\n");
    let ran = athena.run(&["pii", "scan", &file]);
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(
        ran.out.starts_with(&format!("{file}:2:4  email")),
        "{ran:?}"
    );
    assert!(ran.out.ends_with("an [email]\n"), "{ran:?}");
    assert_eq!(ran.err, "1 finding in 1 file\n");
    assert!(!ran.out.contains("ada"), "{ran:?}");

    let ran = athena.run(&["pii", "scan", &file, "--json"]);
    assert_eq!(ran.status, 1);
    let found: Value = serde_json::from_str(&ran.out).unwrap();
    let confidence = &found[0]["confidence"];
    assert!(confidence.as_f64().unwrap() > 0.7);
    assert_eq!(
        found,
        json!([{
            "path": file, "kind": "email", "rule": "email", "confidence": confidence, "line": 2, "column": 4,
            "start": 9, "end": 25, "byte_start": 11, "byte_end": 27,
        }])
    );
    assert!(!athena.home().exists(), "no store was made");
}

#[test]
fn a_scan_looks_through_folders_and_leaves_out_what_is_no_text() {
    let athena = Athena::new();
    for folder in ["src/deep", "src/.git", "src/node_modules/a", "src/target"] {
        std::fs::create_dir_all(athena.path(folder)).unwrap();
        athena.file(&format!("{folder}/a.txt"), ADDRESS);
    }
    athena.file("src/binary", &format!("\0{ADDRESS}"));
    athena.file("src/large", &format!("{}{ADDRESS}", " ".repeat(1 << 20)));
    std::fs::write(
        athena.path("src/latin1"),
        b"Gr\xfc\xdfe an ada@lovelace.org\r\n",
    )
    .unwrap();
    std::os::unix::fs::symlink(athena.path("src"), athena.path("src/again")).unwrap();
    let ran = athena.run(&["pii", "scan", &athena.path("src"), "--max-size", "1"]);
    assert_eq!(ran.status, 1, "{ran:?}");
    let places: Vec<&str> = ran
        .out
        .lines()
        .map(|line| line.split("  ").next().unwrap())
        .collect();
    let place = |name: &str, column: usize| format!("{}:1:{column}", athena.path(name));
    assert_eq!(
        places,
        [place("src/deep/a.txt", 1), place("src/latin1", 10)]
    );
    assert!(
        ran.err
            .ends_with("2 findings in 4 files; 1 no text; 1 too large\n"),
        "{ran:?}"
    );
    let named = athena.run(&["pii", "scan", &athena.path("src/target")]);
    assert_eq!(named.status, 1, "a folder that is named is looked through");
}

#[test]
fn a_scan_ends_with_a_status_for_hooks() {
    let athena = Athena::new();
    let scan = |arguments: &[&str], stdin: &str| {
        let arguments = [&["pii", "scan"], arguments].concat();
        athena.piped(&arguments, stdin.as_bytes())
    };
    assert_eq!(scan(&["-"], "nothing here").status, 0);
    assert_eq!(scan(&["-"], ADDRESS).status, 1);
    assert_eq!(scan(&["-", "--kind", "phone"], ADDRESS).status, 0);
    assert_eq!(
        scan(&["-", "--kind", "phone", "--kind", "email"], ADDRESS).status,
        1
    );
    let quiet = scan(&["-", "--quiet"], "nothing here");
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""));

    let missing = athena.path("none.txt");
    let ran = scan(&["-", &missing], ADDRESS);
    assert_eq!(ran.status, 2, "{ran:?}");
    assert!(
        ran.err.contains("error[not_found]") && ran.err.contains("none.txt"),
        "{ran:?}"
    );
    assert!(
        ran.out.starts_with("-:1:1"),
        "the rest was looked at: {ran:?}"
    );
    let ran = scan(&["-", "--kind", "emil"], ADDRESS);
    assert_eq!(ran.status, 2);
    assert!(
        ran.err.contains("`kind` is `emil`; allowed: `email`"),
        "{ran:?}"
    );
}

#[test]
fn detection_is_measured_on_labelled_texts() {
    let athena = Athena::new();
    // The first is found, with one sign too few; the second is not labelled, and so is wrong; the
    // third is not found; nothing is said about types that no line labels.
    let lines = "\u{feff}{\"text\": \"Grüße an ada@lovelace.org.\", \"spans\": [{\"type\": \"email\", \"start\": 9, \"end\": 26}]}\r\n\
                 {\"text\": \"to bob@corp.org\", \"spans\": []}\r\n\r\n\
                 {\"text\": \"ask ada\", \"spans\": [{\"type\": \"email\", \"start\": 4, \"end\": 7}, {\"type\": \"shoe_size\", \"start\": 0, \"end\": 3}]}\n";
    let file = athena.file("labelled.jsonl", lines);
    let answer = athena.json(&["pii", "eval", &file, "--show-errors", "9"]);
    let half = json!({"n": 2, "precision": 0.5, "recall": 0.5, "f1": 0.5});
    let none = |n: u32| json!({"n": n, "precision": 0.0, "recall": 0.0, "f1": 0.0});
    assert_eq!(answer["texts"], 3);
    assert_eq!(
        answer["types"],
        json!({"email": half, "shoe_size": none(1)})
    );
    assert_eq!(answer["strict"]["email"], none(2));
    assert_eq!(answer["unknown_types"], json!(["shoe_size"]));
    let errors = answer["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 3);
    assert_eq!(errors[0]["context"], "to «bob@corp.org»");
    assert_eq!(
        (&errors[0]["error"], &errors[0]["line"]),
        (&json!("wrong"), &json!(2))
    );

    let ran = athena.run(&["pii", "eval", &file]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(
        ran.out.contains("email") && ran.out.contains("total"),
        "{ran:?}"
    );
    assert_eq!(ran.err, "`shoe_size` is no type that is looked for\n");
}

#[test]
fn a_labelled_line_that_is_wrong_is_named() {
    let athena = Athena::new();
    let file = athena.file(
        "x.jsonl",
        "{\"text\": \"a\", \"spans\": []}\n{\"text\": \"hunter2\"}\n",
    );
    let ran = athena.run(&["pii", "eval", &file]);
    assert_eq!(ran.status, 2, "{ran:?}");
    assert!(ran.err.contains("x.jsonl` line 2: must be"), "{ran:?}");
    assert!(!ran.err.contains("hunter2"), "{ran:?}");
    let empty = athena.run(&["pii", "eval", &athena.file("y.jsonl", "\n")]);
    assert!(empty.err.contains("holds no labelled text"), "{empty:?}");
}

#[test]
fn nothing_personal_reaches_the_log() {
    let athena = Athena::new();
    let remembered = athena.run(&["-vvv", "remember", "Ask ada@lovelace.org", "--json"]);
    assert_eq!(remembered.status, 0, "{remembered:?}");
    serde_json::from_str::<Value>(&remembered.out).unwrap();
    assert!(!remembered.err.contains(ADDRESS), "{remembered:?}");

    let url = format!("postgresql://user@127.0.0.1:1/{ADDRESS}");
    let ran = athena.run(&["-vvv", "--database-url", &url, "remember", "x"]);
    // Nor the error: where an agent typed the command, its answer is kept.
    assert_eq!(ran.err.matches("database `[email]`").count(), 3, "{ran:?}");
    assert!(!ran.err.contains(ADDRESS), "{ran:?}");
}

/// Returns the contents of an export.
fn exported(athena: &Athena, options: &[&str]) -> (Vec<String>, String) {
    let ran = athena.run(&[&["export"], options].concat());
    assert_eq!(ran.status, 0, "{ran:?}");
    let content = |line: &str| {
        let record: Value = serde_json::from_str(line).unwrap();
        record["content"].as_str().unwrap().to_owned()
    };
    (ran.out.lines().map(content).collect(), ran.err)
}

#[test]
fn an_export_holds_values_only_for_a_reason() {
    let athena = Athena::new();
    let said = "ask ada@lovelace.org, or bob@corp.org";
    let metadata = json!({"by": {ADDRESS: ["eve@snoop.org"]}}).to_string();
    athena.json(&["remember", said, "--metadata-json", &metadata]);
    let (contents, _) = exported(&athena, &[]);
    assert!(contents[0].starts_with("ask [email:"), "{contents:?}");
    assert!(!contents[0].contains("lovelace"), "{contents:?}");

    let reveal = [
        "--reveal",
        "--reason",
        "moving house, says ada@lovelace.org",
    ];
    let (contents, told) = exported(&athena, &reveal);
    assert_eq!((contents[0].as_str(), told.as_str()), (said, ""));
    let audit = athena.json(&[
        "db",
        "sql",
        "SELECT subject, reason, outcome FROM audit_log",
    ]);
    let entry = &audit[0];
    assert_eq!(entry["subject"], "6 tokens of an export");
    assert!(
        entry["reason"]
            .as_str()
            .unwrap()
            .starts_with("moving house, says [email:"),
        "{audit}"
    );

    let file = athena.path("e.jsonl");
    let answer = athena.json(&[&["export", "--output", &file], &reveal[..]].concat());
    assert_eq!(answer, json!({"file": file, "records": 1, "revealed": 6}));
    let record: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(record["content"], said);
    assert_eq!(record["metadata"].to_string(), metadata);
}

#[test]
fn an_export_without_values_or_without_a_reason_reveals_nothing() {
    let athena = Athena::new();
    let mut command = athena.command(&["remember", "ask ada@lovelace.org"]);
    assert!(
        command
            .env("ATHENA_PII_VAULT", "off")
            .output()
            .unwrap()
            .status
            .success()
    );
    let (contents, told) = exported(&athena, &["--reveal", "--reason", "why not"]);
    assert!(contents[0].starts_with("ask [email:"), "{contents:?}");
    assert_eq!(
        told,
        "2 tokens stay in their places: what they stand for is not kept\n"
    );

    for options in [
        &["--reveal"][..],
        &["--reveal", "--reason", " "],
        &["--reason", "x"],
    ] {
        let ran = athena.run(&[&["export"], options].concat());
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{ran:?}");
    }
    std::fs::remove_file(athena.home().join("pii.key")).unwrap();
    let ran = athena.run(&["export", "--reveal", "--reason", "without the key"]);
    assert_eq!((ran.status, ran.out.as_str()), (4, ""), "{ran:?}");
    assert!(
        ran.err
            .contains("use the key file that the store was made with"),
        "{ran:?}"
    );
}

/// Runs `doctor` and returns the status, and what it says of a check: status, detail, way out.
fn doctor(command: &mut std::process::Command, check: &str) -> (i32, Vec<[String; 3]>) {
    let ran = Ran::from(command.output().unwrap());
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let findings = answer["checks"].as_array().unwrap().iter();
    let findings = findings
        .filter(|finding| finding["check"] == check)
        .map(|finding| ["status", "detail", "way_out"].map(|field| text(&finding[field])));
    (ran.status, findings.collect())
}

#[test]
fn doctor_shows_the_policy_and_makes_no_key() {
    let athena = Athena::new();
    let check = |variables: &[(&str, &str)]| {
        let mut command = athena.command(&["doctor", "--json"]);
        doctor(command.envs(variables.iter().copied()), "privacy")
    };
    let standard = "policy standard, threshold 0.7; values are kept, sealed";
    assert_eq!(
        check(&[]),
        (0, vec![["ok", standard, ""].map(String::from)])
    );
    let (status, debug) = check(&[
        ("ATHENA_PII_FIELD_POLICY_MODE", "debug"),
        ("ATHENA_PII_VAULT", "off"),
        ("ATHENA_PII_CUSTOM_PATTERNS", r#"{"employee": "E[0-9]{6}"}"#),
    ]);
    assert_eq!((status, debug[0][0].as_str()), (0, "warning"));
    assert_eq!(
        debug[0][1],
        "policy debug, threshold 0.7, 1 pattern of your own; values are not kept and cannot be revealed; \
         personal data reaches the store as it is"
    );
    let (_, key) = doctor(&mut athena.command(&["doctor", "--json"]), "privacy key");
    assert!(
        key[0][1].ends_with("pii.key` is made at the first write"),
        "{key:?}"
    );
    assert!(!athena.home().exists());
}

#[test]
fn doctor_knows_whether_the_key_is_the_stores() {
    let athena = Athena::new();
    athena.json(&["remember", "x"]);
    let file = athena.home().join("pii.key");
    let check = |name: &str| doctor(&mut athena.command(&["doctor", "--json"]), name);
    let (status, key) = check("privacy key");
    assert_eq!((status, key.len()), (0, 2), "{key:?}");
    let fingerprint = key[0][1].split(' ').next().unwrap();
    assert_eq!(
        key[0][1],
        format!("{fingerprint} from `{}`", file.display())
    );
    assert!(key[1][1].starts_with("keep a copy"), "{key:?}");
    let held = check("store key").1;
    assert_eq!(
        held[0][..2],
        ["ok".to_owned(), format!("{fingerprint}, which is held")]
    );
    assert_eq!(held.len(), 1, "{held:?}");

    // As a rotation leaves it that was cut off.
    let cut_off = "UPDATE privacy_key SET previous = '0123456789abcdef'";
    athena.json(&["db", "sql", cut_off, "--write"]);
    let (status, moving) = check("store key");
    let expected =
        format!("the move from key 0123456789abcdef to key {fingerprint} is not complete");
    assert_eq!(
        (status, &moving[1]),
        (
            0,
            &[
                "warning".to_owned(),
                expected,
                "athena pii rotate".to_owned()
            ]
        )
    );

    std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let (status, key) = check("privacy key");
    assert_eq!((status, key[0][0].as_str()), (1, "failed"), "{key:?}");
    assert!(key[0][2].starts_with("chmod 600"), "{key:?}");

    std::fs::remove_file(&file).unwrap();
    let (status, store) = check("store key");
    assert_eq!((status, store[0][0].as_str()), (1, "failed"), "{store:?}");
    assert!(store[0][1].contains(fingerprint), "{store:?}");
    assert!(store[0][2].starts_with("use the key file"), "{store:?}");
    assert!(!file.exists());

    let another = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    let mut command = athena.command(&["doctor", "--json"]);
    let (_, key) = doctor(command.env("ATHENA_PII_KEY", another), "privacy key");
    assert!(key[0][1].ends_with(" from ATHENA_PII_KEY"), "{key:?}");
    assert!(!key[0][1].contains(&another[..16]), "{key:?}");
    let ran = Ran::from(command.output().unwrap());
    assert_eq!(ran.status, 1, "another key is not the store's");
    assert!(
        !ran.out.contains(another) && !ran.out.contains("nothing reads it"),
        "{ran:?}"
    );
}

#[test]
fn the_debug_policy_is_loud() {
    let athena = Athena::new();
    let debug = |arguments: &[&str]| {
        let mut command = athena.command(arguments);
        Ran::from(
            command
                .env("ATHENA_PII_FIELD_POLICY_MODE", "debug")
                .output()
                .unwrap(),
        )
    };
    let ran = debug(&["--quiet", "remember", "ask ada@lovelace.org", "--json"]);
    assert!(
        ran.err
            .starts_with("WARNING: the privacy policy is `debug` (set by ATHENA_PII_FIELD_"),
        "{ran:?}"
    );
    assert_eq!(athena.contents(), ["ask ada@lovelace.org"]);
    assert!(
        debug(&["mcp"])
            .err
            .starts_with("WARNING: the privacy policy")
    );
}

#[test]
fn the_settings_say_what_is_personal() {
    let athena = Athena::new();
    std::fs::create_dir_all(athena.home()).unwrap();
    athena.file(
        "home/config.toml",
        "[privacy]\nallow = [\"ada@lovelace.org\", \"@corp.org\"]\n[privacy.patterns]\nemployee = \"E[0-9]{6}\"\n",
    );
    let text = "ada@lovelace.org, bob@corp.org, eve@snoop.org, E123456";
    let ran = athena.piped(&["pii", "scan", "-", "--json"], text.as_bytes());
    let found: Vec<Value> = serde_json::from_str(&ran.out).unwrap();
    let kinds: Vec<&Value> = found.iter().map(|it| &it["kind"]).collect();
    assert_eq!(kinds, ["email", "employee"], "{ran:?}");
    let only = ["pii", "scan", "-", "--kind", "employee"];
    assert_eq!(athena.piped(&only, text.as_bytes()).out.lines().count(), 1);
    athena.json(&["remember", text]);
    let stored = athena.contents().remove(0);
    assert!(
        stored.starts_with("ada@lovelace.org, bob@corp.org, [email:"),
        "{stored}"
    );
    assert!(stored.contains(", [employee:"), "{stored}");

    let mut command = athena.command(&["pii", "scan", "-"]);
    let sure = Ran::from(
        command
            .env("ATHENA_PII_CONFIDENCE_THRESHOLD", "1")
            .output()
            .unwrap(),
    );
    assert_eq!(sure.status, 0, "{sure:?}");
}

#[test]
fn a_pattern_that_cannot_be_used_is_named() {
    let athena = Athena::new();
    for (patterns, problem) in [
        (
            r#"{"employee": "E[0-9"}"#,
            "`employee` is no regular expression that can be used: error: unclosed character class",
        ),
        (r#"{"employee": "x*"}"#, "`employee` matches the empty text"),
        (r#"{"email": "x"}"#, "`email` is taken"),
        (
            r#"{"Employee No": "x"}"#,
            "`Employee No` is not of the form [a-z]",
        ),
    ] {
        for arguments in [&["remember", "x"][..], &["pii", "scan", "-"], &["mcp"]] {
            let mut command = athena.command(arguments);
            let ran = Ran::from(
                command
                    .env("ATHENA_PII_CUSTOM_PATTERNS", patterns)
                    .output()
                    .unwrap(),
            );
            assert_eq!(ran.status, 2, "{ran:?}");
            assert!(
                ran.err
                    .starts_with("error[invalid_input]: `privacy.patterns`: the pattern"),
                "{ran:?}"
            );
            assert!(ran.err.contains(problem), "{ran:?}");
            assert!(
                ran.err.ends_with("(set by ATHENA_PII_CUSTOM_PATTERNS)\n"),
                "{ran:?}"
            );
        }
        let mut command = athena.command(&["doctor", "--json"]);
        let (status, found) = doctor(
            command.env("ATHENA_PII_CUSTOM_PATTERNS", patterns),
            "privacy",
        );
        assert_eq!((status, found[0][0].as_str()), (1, "failed"), "{found:?}");
    }
    assert!(!athena.home().exists());
}
