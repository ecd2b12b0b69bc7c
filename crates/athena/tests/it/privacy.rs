//! Personal data, as the command line shows it: in files, in the log, in the store.

use crate::athena::Athena;
use serde_json::{Value, json};

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
    let (told, logged): (Vec<&str>, Vec<&str>) =
        ran.err.lines().partition(|line| line.starts_with("error"));
    assert!(
        told[0].contains(ADDRESS),
        "whoever typed it may read it: {ran:?}"
    );
    let logged = logged.join("\n");
    assert!(logged.contains("database `[email]`"), "{ran:?}");
    assert!(!logged.contains(ADDRESS), "{ran:?}");
}
