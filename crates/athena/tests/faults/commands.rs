//! The commands of `athena db` and the names of files, the same on every backend.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::place::Place;
use crate::process::{failure, finish, stderr};

const THINGS: &str = "CREATE TABLE things (
    id INTEGER PRIMARY KEY,
    name TEXT,
    price DECIMAL(10,2),
    born DATE,
    seen_at TIMESTAMP,
    alive BOOLEAN,
    details JSON,
    image BLOB
);";

/// Runs a command as a person would.
fn shown(place: &Place, arguments: &[&str]) -> Output {
    finish(place.athena().args(arguments))
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A folder with one migration, in a place of each backend.
fn places() -> Vec<(Place, String)> {
    let with_folder = |place: Place| {
        let folder = place.notes();
        std::fs::write(folder.join("V001__things.sql"), THINGS).unwrap();
        std::fs::create_dir_all(place.home()).unwrap();
        (place, folder.display().to_string())
    };
    Place::everywhere().into_iter().map(with_folder).collect()
}

/// Brings two rows into the table, with literals as the backend has them.
fn fill(place: &Place, folder: &str) {
    place.answer(&["db", "migrate", "up", "--dir", folder]);
    let (time, alive, image) = match place.url().split_once(':').unwrap().0 {
        "sqlite" => ("1704164645000000", "1", "X'00ff'"),
        "postgres" => ("'2024-01-02T03:04:05Z'", "TRUE", r"'\x00ff'"),
        _ => ("'2024-01-02 03:04:05'", "TRUE", "X'00ff'"),
    };
    place.execute(&format!(
        "INSERT INTO things (name, price, born, seen_at, alive, image)
         VALUES ('a,\"b\"', '12.50', '1999-12-31', {time}, {alive}, {image}), (NULL, NULL, NULL, NULL, NULL, NULL)"
    ));
}

#[test]
fn a_folder_of_migrations_is_planned_applied_and_checked() {
    for (place, folder) in places() {
        let migrate = |action: &str, more: &[&str]| {
            let common = ["db", "migrate", action, "--dir", &folder];
            place.answer(&[&common[..], more].concat())["items"].clone()
        };
        let states = || -> Vec<String> {
            let items = migrate("status", &[]);
            let items = items.as_array().unwrap().iter();
            items
                .map(|item| item["state"].as_str().unwrap().to_owned())
                .collect()
        };
        // A file is made by the first migration, a database on a server is there.
        if place.url().starts_with("sqlite:") {
            let refused = place.run(&["db", "migrate", "plan", "--dir", &folder]);
            assert_eq!(failure(&refused), "not_found");
        } else {
            let plan = migrate("plan", &[]);
            assert_eq!(plan[0]["statements"].as_array().unwrap().len(), 1, "{plan}");
            assert_eq!(states(), ["pending"]);
        }
        assert_eq!(migrate("up", &[])[0]["versions"], json!([1]));
        assert_eq!(migrate("up", &[])[0]["versions"], json!([]));
        assert_eq!(migrate("plan", &[]), json!([]));
        assert_eq!(states(), ["applied"]);
        assert_eq!(migrate("verify", &[]), json!([]));

        // The meaning changed; `repair` takes it as it is.
        let file = format!("{folder}/V001__things.sql");
        std::fs::write(&file, THINGS.replace("(10,2)", "(12,2)")).unwrap();
        assert_eq!(states(), ["edited"]);
        let refused = place.run(&["db", "migrate", "up", "--dir", &folder]);
        assert_eq!(failure(&refused), "invalid_state");
        assert_eq!(migrate("repair", &[]).as_array().unwrap().len(), 1);
        assert_eq!(states(), ["applied"]);

        let second = "ALTER TABLE things ADD COLUMN owner TEXT;";
        std::fs::write(format!("{folder}/V002__owner.sql"), second).unwrap();
        assert_eq!(migrate("baseline", &["2"])[0]["version"], 2);
        assert_eq!(states(), ["applied", "applied"]);
        let drifted = place.run(&["db", "migrate", "verify", "--dir", &folder]);
        assert_eq!(drifted.status.code(), Some(4), "the column was never made");
        assert!(stdout(&drifted).contains("owner"), "{}", stdout(&drifted));

        let schema = place.answer(&["db", "schema", "things"]);
        let columns = schema["items"][0]["columns"].as_array().unwrap();
        let kinds: Vec<&Value> = columns.iter().map(|column| &column["name"]).collect();
        assert_eq!(
            kinds,
            [
                "id", "name", "price", "born", "seen_at", "alive", "details", "image"
            ]
        );
    }
}

#[test]
fn a_statement_shows_the_same_on_every_backend() {
    for (place, folder) in places() {
        fill(&place, &folder);
        let select = "SELECT id, name, price, born, seen_at, alive, image FROM things ORDER BY id";
        let nothing = json!({
            "id": 2, "name": null, "price": null, "born": null, "seen_at": null, "alive": null, "image": null,
        });
        let first = json!({
            "id": 1, "name": "a,\"b\"", "price": "12.50", "born": "1999-12-31",
            "seen_at": "2024-01-02T03:04:05Z", "alive": true, "image": "\\x00ff",
        });
        assert_eq!(
            place.answer(&["db", "sql", select]),
            json!([first, nothing]),
            "{}",
            place.url()
        );
        let csv = shown(&place, &["db", "sql", select, "--format", "csv"]);
        assert_eq!(
            stdout(&csv),
            "id,name,price,born,seen_at,alive,image\r\n\
             1,\"a,\"\"b\"\"\",12.50,1999-12-31,2024-01-02T03:04:05Z,true,\\x00ff\r\n\
             2,,,,,,\r\n"
        );
        let headings = "SELECT id, name AS title FROM things WHERE id < 0";
        let csv = shown(&place, &["db", "sql", headings, "--format", "csv"]);
        assert_eq!(stdout(&csv), "id,title\r\n");

        // The type of the column, whatever it is called here.
        let aliased = "SELECT id + 6 AS alive, alive AS price FROM things WHERE id IN :ids";
        let rows = place.answer(&["db", "sql", aliased, "-p", "ids:=[1, 9]"]);
        assert_eq!(
            rows,
            json!([{"alive": 7, "price": true}]),
            "{}",
            place.url()
        );
    }
}

#[test]
fn a_statement_writes_only_when_it_is_allowed_to() {
    for (place, folder) in places() {
        fill(&place, &folder);
        let update = "UPDATE things SET name = :name, details = :details WHERE id = :id";
        let given = [
            "-p",
            "name=new",
            "--params",
            r#"{"id": 2, "details": {"a": [1]}}"#,
        ];
        let refused = place.run(&[&["db", "sql", update][..], &given].concat());
        assert_eq!(
            (failure(&refused).as_str(), refused.status.code()),
            ("read_only", Some(6))
        );
        assert!(stderr(&refused).contains("--write"), "{}", stderr(&refused));
        let changed = place.answer(&[&["db", "sql", "--write", update][..], &given].concat());
        assert_eq!(changed, json!({"changed": 1}));
        let select = "SELECT name, details FROM things WHERE name = :name";
        let rows = place.answer(&["db", "sql", select, "-p", "name=new"]);
        assert_eq!(rows, json!([{"name": "new", "details": {"a": [1]}}]));

        let missing = place.run(&["db", "sql", select]);
        assert_eq!(failure(&missing), "invalid_input");
        let wrong = shown(
            &place,
            &["db", "sql", "SELECT 1\nFROM things\nWHERE AND id = 1"],
        );
        assert_eq!(wrong.status.code(), Some(2), "{}", stderr(&wrong));
        let said = stderr(&wrong);
        assert!(said.contains("\n  WHERE AND id = 1\n  "), "{said}");
        assert!(said.trim_end().ends_with('^'), "{said}");
    }
}

#[test]
fn a_file_may_have_any_name() {
    let place = Place::sqlite();
    std::fs::create_dir(place.home()).unwrap();
    let names = [
        "what?.db",
        "a#b.db",
        "50%.db",
        "%20.db",
        "with space.db",
        "ünï 面.db",
        "-dash.db",
    ];
    for name in names {
        let home = place.home();
        let store = home.join(name).display().to_string();
        let at =
            |arguments: &[&str]| place.answer(&[arguments, &["--database-url", &store]].concat());
        at(&["remember", "The heron waits at the pond."]);
        assert!(Path::new(&store).exists(), "{name}");
        let backup = home.join(format!("backup {name}")).display().to_string();
        at(&["backup", &backup]);
        assert!(Path::new(&backup).exists(), "{name}");
        let restored = home.join(format!("restored {name}")).display().to_string();
        place.answer(&["restore", &backup, "--to", &restored]);
        let copy = home.join(format!("copy {name}")).display().to_string();
        place.answer(&["db", "copy", "--from", &restored, "--to", &copy]);
        let rows = place.answer(&[
            "db",
            "sql",
            "SELECT count(*) AS n FROM memory_vectors",
            "--url",
            &copy,
        ]);
        assert_eq!(rows, json!([{"n": 1}]), "{name}");
    }
    let url = format!("sqlite:{}", place.home().join("by%20URL.db").display());
    place.answer(&[
        "db",
        "copy",
        "--from",
        &place.home().join("50%.db").display().to_string(),
        "--to",
        &url,
    ]);
    assert!(place.home().join("by URL.db").exists());
    let mut left: Vec<String> = std::fs::read_dir(place.home())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".db"))
        .collect();
    left.sort();
    assert_eq!(left.len(), 4 * names.len() + 1, "{left:?}");
}
