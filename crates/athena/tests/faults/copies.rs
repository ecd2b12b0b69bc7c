//! Copies, backups and restores of whole stores by real processes: while the store is in use, and
//! across a `kill -9` half-way.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use athena_db::TableDigest;
use athena_testserver::{MariaDb, Postgres};
use serde_json::{Value, json};

use crate::acknowledged::{Acknowledged, Load, WRITERS, assert_listed, noted, write_until_stopped};
use crate::kill::Mortal;
use crate::place::Place;
use crate::process::{PATIENCE, append_to, failure, wait};
use crate::random::{Random, word};

const SUBJECTS: [&str; 8] = [
    "the heron",
    "a lighthouse",
    "the invoice",
    "our parser",
    "die Brücke",
    "図書館",
    "the retry queue",
    "Ines",
];
const PREDICATES: [&str; 6] = [
    "waits for the tide",
    "was rewritten in March",
    "prefers rye bread",
    "needs two approvals",
    "steht am Fluss",
    "has three hundred steps",
];
const QUESTIONS: [&str; 8] = [
    "Who waits for the tide?",
    "What was rewritten?",
    "rye bread",
    "approvals for the invoice",
    "図書館",
    "Brücke Fluss",
    "\"three hundred steps\" lighthouse",
    "retry queue in March",
];

/// Memories of the store that goes through all backends.
const MEMORIES: u64 = 10_000;

/// Makes a record for `athena import`.
fn record(number: u64, random: &mut Random) -> Value {
    let pick = |from: &[&str], random: &mut Random| {
        let bound = u64::try_from(from.len()).unwrap();
        from[usize::try_from(random.below(bound)).unwrap()].to_owned()
    };
    let (subject, predicate) = (pick(&SUBJECTS, random), pick(&PREDICATES, random));
    json!({
        "content": format!("{subject} {predicate}, as noted under {} on page {number}.", word(number)),
        "tags": [pick(&SUBJECTS, random), format!("t{}", number % 7)],
        "metadata": {"page": number, "share": 0.1 * number as f64, "deep": {"": [null, true, 1e3]}},
        "session": format!("session {}", number / 20),
        "speaker": pick(&["Ines", "Tomás", "O'Neill"], random),
    })
}

/// Fills a store with what memories can be: versions, forgotten ones, links, feedback, keys.
fn fill(place: &Place, memories: u64) {
    let mut random = Random::announced("a store to copy");
    let lines: String = (0..memories)
        .map(|number| format!("{}\n", record(number, &mut random)))
        .collect();
    let file = place.log("memories").with_extension("jsonl");
    std::fs::write(&file, lines).unwrap();
    let imported = place.answer(&["import", &file.display().to_string()]);
    assert_eq!(imported["imported"], memories);
    for id in 1..=10_u32 {
        let text = format!("Corrected: {} is what page {id} says.", word(id.into()));
        place.answer(&["update", &id.to_string(), &text, "--reason", "was wrong"]);
    }
    for id in 11..=20_u32 {
        place.answer(&["forget", &id.to_string(), "--reason", "no longer so"]);
        let (from, to) = ((id + 10).to_string(), (id + 20).to_string());
        place.answer(&["relate", &from, &to, "--relation", "follows"]);
        place.answer(&["feedback", &to, "true"]);
    }
    // The newest id is gone for good and must not be given out again.
    let purged = place.answer(&["remember", "to be purged"])["id"].to_string();
    place.answer(&["purge", &purged]);
    let server = place.serve();
    for key in ["first", "second"] {
        let answer = server
            .client()
            .remember(&format!("kept under the {key} key"), Some(key))
            .unwrap();
        assert_eq!(answer.status, 201);
    }
    let (status, log) = server.stop();
    assert!(status.success(), "{log}");
    place.answer(&["project", "create", "another"]);
    place.answer(&["remember", "and one more", "--project", "another"]);
}

/// What every search finds, with all scores, and what is told about single memories.
fn answers(place: &Place) -> Vec<Value> {
    let server = place.serve();
    let mut client = server.client();
    let mut all = Vec::new();
    for question in QUESTIONS {
        for mode in ["keyword", "semantic", "hybrid"] {
            let asked = json!({"query": question, "mode": mode, "limit": 20});
            let answer = client
                .post("/api/v1/memories/recall", &asked, None)
                .unwrap();
            assert_eq!(answer.status, 200, "{}", answer.body);
            all.push(answer.body);
        }
    }
    let found = all.iter().filter(|answer| answer["hits"][0].is_object());
    assert!(
        found.count() > all.len() / 2,
        "the questions find something"
    );
    for path in [
        "/api/v1/memories/5/history",
        "/api/v1/memories/25/relations",
    ] {
        let answer = client.get(path).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        all.push(answer.body);
    }
    server.stop();
    all
}

/// A place that every backend is copied to, one after the other, and SQLite in the end.
fn targets() -> Vec<Place> {
    let mut targets: Vec<Place> = Place::everywhere().into_iter().skip(1).collect();
    targets.push(Place::sqlite());
    targets
}

fn prepare_home(place: &Place) {
    std::fs::create_dir_all(place.home()).unwrap();
}

fn totals(tables: &[TableDigest]) -> Vec<(String, u64, String)> {
    let mut totals: Vec<_> = tables
        .iter()
        .filter(|table| table.table != "athena_backup")
        .map(|table| (table.table.clone(), table.rows, table.digest.clone()))
        .collect();
    totals.sort();
    totals
}

#[test]
fn a_store_goes_through_all_backends_and_comes_back_equal() {
    let first = Place::sqlite();
    fill(&first, MEMORIES);
    let expected = totals(&first.digests());
    let mut from = first.url().to_owned();
    let targets = targets();
    for target in &targets {
        prepare_home(target);
        let copied = first.answer(&["db", "copy", "--from", &from, "--to", target.url()]);
        assert_eq!(copied["left_out"], json!([]));
        assert_eq!(totals(&target.digests()), expected, "{from}");
        from = target.url().to_owned();
    }
    // Only now, because searches leave their traces.
    let found = answers(&first);
    for target in &targets {
        assert_eq!(answers(target), found);
        let id = target.answer(&["remember", "the next one"])["id"]
            .as_i64()
            .unwrap();
        assert_eq!(
            id,
            15 + i64::try_from(MEMORIES).unwrap(),
            "the number behind the last one that was ever given out"
        );
    }
}

#[test]
fn a_copy_that_was_killed_is_resumed() {
    let first = Place::sqlite();
    fill(&first, 2_500);
    let expected = totals(&first.digests());
    for target in targets() {
        prepare_home(&target);
        let arguments = [
            "db",
            "copy",
            "--from",
            first.url(),
            "--to",
            target.url(),
            "--json",
        ];
        let mut child = first
            .athena()
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(append_to(&target.log("copy")))
            .spawn()
            .unwrap();
        wait_for_rows(&target);
        child.kill().unwrap();
        child.wait().unwrap();

        let refused = target.run(&["list"]);
        assert_eq!(failure(&refused), "invalid_state");
        let copied = first.answer(&arguments[..6]);
        assert!(
            copied["resumed_rows"].as_u64().unwrap() >= 1_000,
            "{copied}"
        );
        assert_eq!(copied["started_over"], false);
        assert_eq!(totals(&target.digests()), expected);

        let again = first.run(&arguments[..6]);
        assert_eq!(failure(&again), "conflict");
        assert_eq!(totals(&target.digests()), expected);
    }
    assert_eq!(
        totals(&first.digests()),
        expected,
        "the source is as it was"
    );
}

#[test]
fn a_copy_goes_on_after_postgres_was_killed() {
    if let Some(mut database) = Postgres::start() {
        goes_on_after_the_server_was_killed(&mut database);
    }
}

#[test]
fn a_copy_goes_on_after_mariadb_was_killed() {
    if let Some(mut database) = MariaDb::start() {
        goes_on_after_the_server_was_killed(&mut database);
    }
}

/// The server dies as the target, and then as the source.
fn goes_on_after_the_server_was_killed(database: &mut impl Mortal) {
    let first = Place::sqlite();
    fill(&first, 2_500);
    let expected = totals(&first.digests());
    let server = Place::on(&database.url());
    let last = Place::sqlite();
    prepare_home(&last);
    for (from, to) in [(first.url(), &server), (server.url(), &last)] {
        let arguments = ["db", "copy", "--from", from, "--to", to.url()];
        let mut child = first
            .athena()
            .args(arguments)
            .arg("--json")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(append_to(&to.log("copy")))
            .spawn()
            .unwrap();
        wait_for_rows(to);
        database.kill();
        let status = wait(&mut child);
        let said = std::fs::read_to_string(to.log("copy")).unwrap();
        assert_eq!(status.code(), Some(5), "{said}");
        database.restart();

        assert_eq!(failure(&to.run(&["list"])), "invalid_state");
        let copied = first.answer(&arguments);
        assert!(copied["resumed_rows"].as_u64().unwrap() > 0, "{copied}");
        assert_eq!(totals(&to.digests()), expected);
    }
    assert_eq!(totals(&first.digests()), expected);
}

pub(crate) fn wait_for_rows(target: &Place) {
    let deadline = Instant::now() + PATIENCE;
    while target.rows("memory_vectors") == 0 {
        assert!(Instant::now() < deadline, "no row arrives");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_backup_under_load_is_restored_into_every_backend() {
    for place in Place::everywhere() {
        fill(&place, 200);
        let notes = place.notes();
        let file = place.log("backup").with_extension("db");
        let file = file.display().to_string();
        let server = place.serve();
        let load = Load::default();
        let (backup, before) = std::thread::scope(|scope| {
            let writers = scope.spawn(|| write_until_stopped(server.address, &notes, 0, &load));
            load.wait_for(4 * WRITERS);
            let before = noted(&notes, None);
            let backup = place.answer(&["backup", &file]);
            load.stop();
            writers.join().unwrap();
            (backup, before)
        });
        server.stop();
        check_restores(&place, &file, &backup, &before);
    }
}

/// Restores a backup everywhere and compares; what was acknowledged before it was made is in it.
fn check_restores(place: &Place, file: &str, backup: &Value, acknowledged: &[Acknowledged]) {
    let manifest: Vec<TableDigest> = serde_json::from_value(backup["tables"].clone()).unwrap();
    let expected = totals(&manifest);
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert!(!Path::new(&format!("{file}-wal")).exists());
    let mut found: Option<Vec<Value>> = None;
    for target in Place::everywhere() {
        prepare_home(&target);
        let restored = target.answer(&["restore", file]);
        assert_eq!(restored["left_out"], json!([]));
        assert_eq!(totals(&target.digests()), expected);
        let refused = target.run(&["restore", file]);
        assert_eq!(failure(&refused), "conflict");
        let server = target.serve();
        assert_listed(server.address, acknowledged);
        server.stop();
        let answers = answers(&target);
        match &found {
            Some(found) => assert_eq!(&answers, found),
            None => found = Some(answers),
        }
    }
    assert!(place.rows("memory_vectors") >= i64::try_from(acknowledged.len()).unwrap());
}

#[test]
fn a_damaged_backup_is_refused() {
    let place = Place::sqlite();
    fill(&place, 30);
    let file = place.log("backup").with_extension("db");
    let path = file.display().to_string();
    place.answer(&["backup", &path]);
    let again = place.run(&["backup", &path]);
    assert_eq!(failure(&again), "conflict");

    let mut bytes = std::fs::read(&file).unwrap();
    let needle = b"Corrected: ";
    let found = bytes
        .windows(needle.len())
        .position(|window| window == needle);
    bytes[found.unwrap()] = b'K';
    std::fs::write(&file, bytes).unwrap();
    let target = Place::sqlite();
    let refused = target.run(&["restore", &path]);
    assert_eq!(failure(&refused), "invalid_state");
    assert!(!target.home().exists(), "nothing was made");

    let store = place.home().join("athena.db").display().to_string();
    let refused = target.run(&["restore", &store]);
    assert_eq!(failure(&refused), "invalid_input");
    let missing = target.run(&["restore", "7"]);
    assert_eq!(failure(&missing), "not_found");
}
