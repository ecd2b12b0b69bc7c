//! Backups that are interrupted, and stores that no backup may be made of.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::copies::wait_for_rows;
use crate::place::Place;
use crate::process::{PATIENCE, append_to, failure, finish, stderr, wait};
use crate::random::word;

/// Enough that a backup takes a while.
const MEMORIES: u64 = 3_000;

fn fill(place: &Place, memories: u64) {
    let lines: String = (0..memories)
        .map(|number| {
            let content = format!("{} is what page {number} says.", word(number));
            format!("{}\n", json!({ "content": content }))
        })
        .collect();
    let file = place.log("memories").with_extension("jsonl");
    std::fs::write(&file, lines).unwrap();
    let imported = place.answer(&["import", &file.display().to_string()]);
    assert_eq!(imported["imported"], memories);
}

/// Starts a backup into a folder of its own, and waits until it has begun to write.
fn started(place: &Place, folder: &Path) -> Child {
    let child = place
        .athena()
        .args(["backup", &folder.join("b.db").display().to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(append_to(&place.log("backup")))
        .spawn()
        .unwrap();
    wait_for_entries(folder);
    child
}

fn wait_for_entries(folder: &Path) {
    let deadline = Instant::now() + PATIENCE;
    while names(folder).is_empty() {
        assert!(Instant::now() < deadline, "the backup does not begin");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn an_interrupted_backup_leaves_nothing_behind() {
    for place in Place::everywhere() {
        fill(&place, MEMORIES);
        let folder = place.notes();
        for (signal, status, name) in [(Signal::INT, 130, "SIGINT"), (Signal::TERM, 143, "SIGTERM")]
        {
            let mut child = started(&place, &folder);
            kill_process(Pid::from_child(&child), signal).unwrap();
            let ended = wait(&mut child);
            let said = std::fs::read_to_string(place.log("backup")).unwrap();
            assert_eq!(ended.code(), Some(status), "{said}");
            assert!(
                said.contains(&format!("error[interrupted]: stopped by {name}")),
                "{said}"
            );
            assert_eq!(names(&folder), [""; 0]);
        }

        let mut child = started(&place, &folder);
        child.kill().unwrap();
        child.wait().unwrap();
        let left = names(&folder);
        assert_eq!(left.len(), 1, "{left:?}");
        assert!(left[0].starts_with(".athena-backup-"), "{left:?}");
        // The next one cleans up, and is whole.
        let file = folder.join("b.db").display().to_string();
        place.answer(&["backup", &file]);
        assert_eq!(names(&folder), ["b.db"]);
        let target = Place::sqlite();
        target.answer(&["restore", &file]);
        assert_eq!(
            target.rows("memory_vectors"),
            i64::try_from(MEMORIES).unwrap()
        );
    }
}

/// Nobody who reads a pipe wants a bar in it, and a programme gets its answer as JSON.
#[test]
fn an_interruption_is_told_in_the_form_that_is_asked_for() {
    let place = Place::sqlite();
    fill(&place, MEMORIES);
    let folder = place.notes();
    let file = folder.join("b.db").display().to_string();
    let mut child = place
        .athena()
        .args(["backup", &file, "--json"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(append_to(&place.log("backup")))
        .spawn()
        .unwrap();
    wait_for_entries(&folder);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(wait(&mut child).code(), Some(130));
    let said = std::fs::read_to_string(place.log("backup")).unwrap();
    let error: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(error["error"]["code"], "interrupted");

    let output = finish(place.athena().args(["backup", &file]));
    assert_eq!(stderr(&output), "");
    assert!(output.status.success());
}

/// A restore that is stopped goes on later; nothing of it but the target is left.
#[test]
fn an_interrupted_restore_goes_on() {
    let place = Place::sqlite();
    fill(&place, MEMORIES);
    let file = place
        .log("backup")
        .with_extension("db")
        .display()
        .to_string();
    place.answer(&["backup", &file]);
    for target in Place::everywhere() {
        let mut child = target
            .athena()
            .args(["restore", &file])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(append_to(&target.log("restore")))
            .spawn()
            .unwrap();
        wait_for_rows(&target);
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        assert_eq!(wait(&mut child).code(), Some(143));
        let said = std::fs::read_to_string(target.log("restore")).unwrap();
        assert!(said.contains("start it again to go on"), "{said}");
        let restored = target.answer(&["restore", &file]);
        assert!(restored["resumed_rows"].as_u64().unwrap() > 0, "{restored}");
        assert_eq!(
            target.rows("memory_vectors"),
            i64::try_from(MEMORIES).unwrap()
        );
    }
}

/// Tables of another set of migrations: told about, left out on request, no hindrance later.
#[test]
fn what_others_made_is_left_out_on_request() {
    for place in Place::everywhere() {
        place.answer(&["remember", "The heron waits at the pond."]);
        let migrations = place.notes();
        let text = "CREATE TABLE notes (id INTEGER PRIMARY KEY);";
        std::fs::write(migrations.join("V001__notes.sql"), text).unwrap();
        let folder = migrations.display().to_string();
        place.answer(&[
            "db",
            "migrate",
            "up",
            "--dir",
            &folder,
            "--url",
            place.url(),
        ]);

        let file = place
            .log("backup")
            .with_extension("db")
            .display()
            .to_string();
        let target = Place::sqlite();
        for arguments in [
            &["backup", &file][..],
            &["db", "copy", "--to", target.url()],
        ] {
            let refused = place.run(arguments);
            assert_eq!(failure(&refused), "conflict");
            let said = stderr(&refused);
            for part in ["`app`", "notes", "--leave-out-foreign"] {
                assert!(said.contains(part), "{said}");
            }
        }
        assert!(!Path::new(&file).exists());
        assert!(!target.home().exists(), "a refused copy makes no target");

        let made = place.answer(&["backup", &file, "--leave-out-foreign"]);
        assert_eq!(made["left_out"], json!(["notes"]));
        target.answer(&["restore", &file]);
        assert_eq!(
            target.answer(&["list"])["items"].as_array().unwrap().len(),
            1
        );
        let copy = Place::sqlite();
        std::fs::create_dir(copy.home()).unwrap();
        let copied = place.answer(&["db", "copy", "--to", copy.url(), "--leave-out-foreign"]);
        assert_eq!(copied["left_out"], json!(["notes"]));
    }
}

/// A backup that could not be restored is no backup.
#[test]
fn a_store_that_is_not_whole_is_not_backed_up() {
    let unfinished = "INSERT INTO athena_migrations (set_name, version, name, checksum, dialect, statements_done)
                      VALUES ('athena_copy', 1, 'elsewhere', 'x', 'sqlite', 1)";
    let half =
        "UPDATE athena_migrations SET finished_at = NULL WHERE set_name = 'store' AND version = 1";
    for (statement, code, part) in [
        (
            unfinished,
            "invalid_state",
            "unfinished copy of `elsewhere`",
        ),
        (half, "", "migration 1"),
    ] {
        for place in Place::everywhere() {
            place.answer(&["remember", "The heron waits at the pond."]);
            place.execute(statement);
            let file = place
                .log("backup")
                .with_extension("db")
                .display()
                .to_string();
            let refused = place.run(&["backup", &file]);
            let found = failure(&refused);
            assert!(code.is_empty() || found == code, "{found}");
            assert!(stderr(&refused).contains(part), "{}", stderr(&refused));
            assert!(!Path::new(&file).exists());
        }
    }
    let empty = Place::sqlite();
    std::fs::create_dir(empty.home()).unwrap();
    empty.execute("CREATE TABLE t (id INTEGER)");
    let file = empty
        .log("backup")
        .with_extension("db")
        .display()
        .to_string();
    let refused = empty.run(&["backup", &file]);
    assert!(
        stderr(&refused).contains("no store of Athena"),
        "{}",
        stderr(&refused)
    );
}

#[test]
fn a_wrong_source_makes_no_target() {
    let place = Place::sqlite();
    std::fs::create_dir(place.home()).unwrap();
    let other = format!("sqlite:{}", place.home().join("other.db").display());
    let target = place.home().join("target.db");
    let to = format!("sqlite:{}", target.display());
    // A file that is not there, a file that is no store, a server that is not there.
    for from in [
        &other,
        "sqlite:/dev/null",
        "postgresql://nobody@127.0.0.1:1/none",
    ] {
        let refused = place.run(&["db", "copy", "--from", from, "--to", &to]);
        assert!(!refused.status.success());
        failure(&refused);
        assert!(!target.exists(), "{from}");
    }
    let restored = place.run(&["restore", "/dev/null", "--to", &to]);
    assert_eq!(failure(&restored), "not_found");
    assert!(!target.exists());
}
