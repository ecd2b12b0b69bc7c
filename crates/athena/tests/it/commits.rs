//! Commits as events, from a real repository.

use crate::athena::Athena;
use std::path::Path;
use std::process::Command;

fn git(folder: &Path, arguments: &[&str]) {
    let output = Command::new("git")
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@lovelace.org"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

/// Commits a file, at a time in seconds if one is given.
fn commit(folder: &Path, name: &str, time: Option<u32>) {
    std::fs::write(folder.join(name), "one\ntwo\n").unwrap();
    git(folder, &["add", "."]);
    let mut command = Command::new("git");
    command
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@lovelace.org"])
        .args(["commit", "--quiet", "--message", &format!("Add {name}")])
        .current_dir(folder);
    if let Some(time) = time {
        let time = format!("@{time} +0000");
        command.env("GIT_AUTHOR_DATE", &time);
        command.env("GIT_COMMITTER_DATE", &time);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Runs a command in a folder; returns what it prints.
#[track_caller]
fn run_in(athena: &Athena, folder: &Path, arguments: &[&str]) -> String {
    let mut command = athena.command(arguments);
    command.env("PATH", "/usr/bin:/bin").current_dir(folder);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_repository_without_commits_has_none() {
    let athena = Athena::new();
    let folder = athena.path("new");
    let folder = Path::new(&folder);
    std::fs::create_dir(folder).unwrap();
    git(folder, &["init", "--quiet", "--initial-branch=main"]);
    for arguments in [
        &["record-commits"][..],
        &["record-commits", "--branch", "main"],
    ] {
        let said = run_in(&athena, folder, arguments);
        assert_eq!(said, "recorded 0 commits; the branch has none yet\n");
    }
    let mut command = athena.command(&["record-commits", "--branch", "other"]);
    command.env("PATH", "/usr/bin:/bin").current_dir(folder);
    assert_eq!(command.output().unwrap().status.code(), Some(2));
}

#[test]
fn commits_of_one_second_keep_their_order() {
    let athena = Athena::new();
    let folder = athena.path("shop");
    let folder = Path::new(&folder);
    std::fs::create_dir(folder).unwrap();
    git(folder, &["init", "--quiet", "--initial-branch=main"]);
    for name in ["a.rs", "b.rs", "c.rs"] {
        commit(folder, name, Some(1_772_000_000));
    }
    let said = run_in(&athena, folder, &["record-commits"]);
    assert_eq!(said, "recorded 3 commits; 0 were known already\n");
    let timeline = run_in(
        &athena,
        folder,
        &["timeline", "--order", "oldest", "--json"],
    );
    let timeline: serde_json::Value = serde_json::from_str(&timeline).unwrap();
    let items = timeline["items"].as_array().unwrap().iter();
    let said: Vec<&str> = items.map(|it| it["content"].as_str().unwrap()).collect();
    assert_eq!(said, ["Add a.rs", "Add b.rs", "Add c.rs"]);
    let again = run_in(&athena, folder, &["record-commits"]);
    assert!(again.starts_with("nothing new since "), "{again}");
    let commit = again.trim().rsplit(' ').next().unwrap();
    git(folder, &["rev-parse", "--verify", commit]);
}

#[test]
fn two_repositories_with_one_name_share_nothing() {
    let athena = Athena::new();
    let [first, second] = ["red/api", "blue/api"].map(|name| athena.path(name));
    let [first, second] = [Path::new(&first), Path::new(&second)];
    for (folder, file) in [(first, "red.rs"), (second, "blue.rs")] {
        std::fs::create_dir_all(folder).unwrap();
        git(folder, &["init", "--quiet", "--initial-branch=main"]);
        commit(folder, file, None);
    }
    run_in(
        &athena,
        first,
        &["remember", "The red key is under the mat"],
    );
    // From the one folder, the commits of the other.
    let other = second.to_str().unwrap();
    let said = run_in(&athena, first, &["record-commits", other]);
    assert_eq!(said, "recorded 1 commit; 0 were known already\n");
    let timeline = |folder| run_in(&athena, folder, &["timeline"]);
    assert!(timeline(second).contains("Add blue.rs"));
    assert!(!timeline(first).contains("Add blue.rs"));
    assert!(!run_in(&athena, second, &["recall", "red key"]).contains("under the mat"));
    assert!(run_in(&athena, first, &["recall", "red key"]).contains("under the mat"));
    let doctor = run_in(&athena, second, &["doctor"]);
    assert!(doctor.contains("blue-api"), "{doctor}");
}

#[test]
fn commits_are_recorded_once() {
    let athena = Athena::new();
    let folder = athena.path("shop");
    let folder = Path::new(&folder);
    std::fs::create_dir(folder).unwrap();
    git(folder, &["init", "--quiet", "--initial-branch=main"]);
    let commit = |name: &str| {
        std::fs::write(folder.join(name), "one\ntwo\n").unwrap();
        git(folder, &["add", "."]);
        git(
            folder,
            &[
                "commit",
                "--quiet",
                "--message",
                &format!("Add {name}\n\nFor ada@lovelace.org"),
            ],
        );
    };
    commit("login.rs");
    commit("token.rs");
    let record = || {
        let mut command = athena.command(&["record-commits", "--json"]);
        command.env("PATH", "/usr/bin:/bin").current_dir(folder);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (answer["recorded"].clone(), answer["known"].clone())
    };
    assert_eq!(record(), (2.into(), 0.into()));
    assert_eq!(record(), (0.into(), 0.into()));
    commit("clock.rs");
    assert_eq!(record(), (1.into(), 0.into()));
    // A rebase takes the last commit that was read away: all are looked at again.
    git(
        folder,
        &["commit", "--quiet", "--amend", "--message", "Add the clock"],
    );
    assert_eq!(record(), (1.into(), 2.into()));

    let mut command = athena.command(&["timeline", "--file", "token.rs", "--json"]);
    let output = command.current_dir(folder).output().unwrap();
    let timeline = String::from_utf8(output.stdout).unwrap();
    assert!(
        timeline.contains("Add token.rs") && !timeline.contains("lovelace"),
        "{timeline}"
    );

    let outside = athena.run(&["record-commits", "/"]);
    assert_eq!(outside.status, 2, "{outside:?}");
    assert!(outside.err.contains("not a git repository"), "{outside:?}");
    let mut command = athena.command(&["record-commits", "--branch", "no-such"]);
    let output = command
        .env("PATH", "/usr/bin:/bin")
        .current_dir(folder)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("no-such")
    );
}
