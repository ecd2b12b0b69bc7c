//! Disks that are full, or that cannot be written to.
//!
//! They are small file systems in memory. Mounting needs a mount namespace of one's own, so each
//! test runs itself again inside one: nothing stays mounted, however the test ends. A machine that
//! does not allow it fails the test in continuous integration and is told so elsewhere.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::acknowledged::{Acknowledged, Notes, assert_recalled, noted};
use crate::http::Client;
use crate::place::{Place, same};
use crate::process::{failure, finish, stderr};
use crate::random::word;

/// Set in the test's second run.
const INSIDE: &str = "ATHENA_TEST_MOUNTS";

#[test]
fn a_full_disk_loses_nothing_and_recovers() {
    if !inside_own_namespace("disk::a_full_disk_loses_nothing_and_recovers") {
        return;
    }
    let place = on_small_disk("8m");
    let ballast = place.home().join("ballast");
    std::fs::create_dir(place.home()).unwrap();
    std::fs::write(&ballast, vec![1; 3 << 20]).unwrap();
    let notes = place.notes();
    let server = place.serve();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (notes, address) = (&notes, server.address);
            scope.spawn(move || fill(&mut Client::new(address), writer, notes));
        }
    });
    let acknowledged = noted(&notes, None);
    eprintln!(
        "{} acknowledged before the disk was full",
        acknowledged.len()
    );
    assert!(!acknowledged.is_empty());
    assert_recalled(server.address, &acknowledged);
    check_commands_on_full_disk(&place, &acknowledged[0]);

    std::fs::remove_file(ballast).unwrap();
    let mut client = server.client();
    let answer = client.remember("there is room again", None).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_recalled(server.address, &acknowledged);
    server.kill();
    let server = place.serve();
    assert_recalled(server.address, &acknowledged);
    server.stop();
    place.check_integrity();
}

/// Writes until the disk is full, and goes on a little to see that it stays so.
fn fill(client: &mut Client, writer: u64, notes: &Path) {
    let mut notes = Notes::open(notes, 0, writer);
    let mut refused = 0;
    for number in 0.. {
        let word = word(writer << 20 | number);
        let content = format!("{word} {}", "and much more was said ".repeat(200));
        let answer = client.remember(&content, None).unwrap();
        if answer.status == 201 {
            notes.add(answer.id(), &word);
            continue;
        }
        assert_eq!(
            (answer.status, answer.code()),
            (507, "storage_full"),
            "{}",
            answer.body
        );
        refused += 1;
        if refused == 5 {
            return;
        }
    }
}

fn check_commands_on_full_disk(place: &Place, memory: &Acknowledged) {
    let content = "and this is too much ".repeat(5_000);
    let output = place.run(&["remember", &content]);
    assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
    assert_eq!(failure(&output), "storage_full");
    let recalled = place.answer(&["recall", &memory.word, "--limit=1"]);
    assert_eq!(recalled["hits"][0]["id"], memory.id, "{recalled}");
}

/// What does not fit is not begun: no backup under its name, no store that is half there.
#[test]
fn what_does_not_fit_leaves_nothing_behind() {
    if !inside_own_namespace("disk::what_does_not_fit_leaves_nothing_behind") {
        return;
    }
    let place = Place::sqlite();
    for number in 0..8 {
        let content = format!(
            "{} {}",
            word(number),
            "and much more was said ".repeat(4_000)
        );
        place.answer(&["remember", &content]);
    }
    let backup = place.log("backup").with_extension("db");
    let backup = backup.display().to_string();
    place.answer(&["backup", &backup]);
    let small = on_small_disk("1m");
    let disk = small.home().parent().unwrap();
    let target = disk.join("target.db").display().to_string();
    for arguments in [
        &["backup", &target][..],
        &["restore", &backup, "--to", &target],
        &["db", "copy", "--to", &target],
    ] {
        let refused = place.run(arguments);
        assert_eq!(failure(&refused), "storage_full", "{}", stderr(&refused));
        assert_eq!(refused.status.code(), Some(6));
        let left: Vec<_> = std::fs::read_dir(disk).unwrap().flatten().collect();
        assert!(left.is_empty(), "{arguments:?}: {left:?}");
    }
    assert_eq!(list_length(&place), 8);
}

#[test]
fn a_read_only_file_is_named_as_such() {
    let place = Place::sqlite();
    place.answer(&["remember", "written while it was possible"]);
    let file = place.home().join("athena.db");
    set_mode(&file, 0o444);
    let output = finish(
        without_overriding_permissions(&place.athena()).args(["remember", "too late", "--json"]),
    );
    assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
    assert_eq!(failure(&output), "read_only");
    set_mode(&file, 0o600);
    place.answer(&["remember", "written when it was possible again"]);
    assert_eq!(list_length(&place), 2);
}

#[test]
fn a_read_only_disk_is_refused() {
    if !inside_own_namespace("disk::a_read_only_disk_is_refused") {
        return;
    }
    let place = on_small_disk("8m");
    place.answer(&["remember", "written while it was possible"]);
    let disk = place.home().parent().unwrap();
    succeed(Command::new("mount").args(["-o", "remount,ro"]).arg(disk));
    let output = place.run(&["remember", "written too late"]);
    assert_eq!(failure(&output), "read_only", "{}", stderr(&output));
    let recalled = place.answer(&["recall", "written while it was possible"]);
    assert_eq!(recalled["hits"].as_array().unwrap().len(), 1, "{recalled}");
    succeed(Command::new("mount").args(["-o", "remount,rw"]).arg(disk));
    place.answer(&["remember", "written when it was possible again"]);
    assert_eq!(list_length(&place), 2);
}

fn list_length(place: &Place) -> usize {
    place.answer(&["list"])["items"].as_array().unwrap().len()
}

fn set_mode(file: &Path, mode: u32) {
    std::fs::set_permissions(file, Permissions::from_mode(mode)).unwrap();
}

/// Returns the same command for a process that file permissions bind, even if it is root's.
fn without_overriding_permissions(command: &Command) -> Command {
    if !rustix::process::geteuid().is_root() {
        return same(command, Command::new(command.get_program()));
    }
    let mut bound = Command::new("setpriv");
    bound
        .arg("--bounding-set=-dac_override,-dac_read_search")
        .arg(command.get_program());
    same(command, bound)
}

#[test]
fn a_file_that_is_no_store_is_refused() {
    let place = Place::sqlite();
    std::fs::create_dir(place.home()).unwrap();
    std::fs::write(
        place.home().join("athena.db"),
        "no database\n".repeat(1_000),
    )
    .unwrap();
    for arguments in [["remember", "anything"], ["recall", "anything"]] {
        let output = place.run(&arguments);
        assert!(!output.status.success());
        let said = stderr(&output);
        assert!(said.contains("athena.db"), "{said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

/// Makes a place on a file system of that size, in memory.
fn on_small_disk(size: &str) -> Place {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let options = format!("size={size},mode=700");
    succeed(
        Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(&disk),
    );
    Place::at(folder, disk.join("home"))
}

/// Whether this is the run inside; the run outside only starts it and waits.
fn inside_own_namespace(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let Some(unshare) = unshare() else {
        let told = format!("{test}: NOT RUN, this machine allows no mount namespace");
        assert!(std::env::var_os("CI").is_none(), "{told}");
        eprintln!("{told}");
        return false;
    };
    let output = finish(
        Command::new("unshare")
            .args(unshare)
            .arg(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(INSIDE, "1"),
    );
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
    false
}

/// Returns how to enter a mount namespace: as root directly, else as root of a user namespace.
fn unshare() -> Option<&'static [&'static str]> {
    const WAYS: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
    WAYS.into_iter().find(|way| {
        let tried = Command::new("unshare").args(*way).arg("true").output();
        tried.is_ok_and(|output| output.status.success())
    })
}

fn succeed(command: &mut Command) {
    let output = finish(command);
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
}
