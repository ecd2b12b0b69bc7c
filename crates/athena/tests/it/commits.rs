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
