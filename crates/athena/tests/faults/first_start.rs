//! Several processes that make the same store at the same moment.

use std::process::{Command, Stdio};

use crate::place::Place;
use crate::process;

const PROCESSES: usize = 4;

#[test]
fn first_starts_at_once_make_one_store() {
    for _ in 0..8 {
        check(&Place::sqlite());
    }
    for make in [Place::postgres, Place::mysql] {
        for place in (0..3).map_while(|_| make()) {
            check(&place);
        }
    }
}

fn check(place: &Place) {
    let texts: Vec<String> = (0..PROCESSES)
        .map(|number| format!("start {number}"))
        .collect();
    let started: Vec<_> = texts
        .iter()
        .map(|text| spawn(place.athena().args(["remember", text])))
        .collect();
    for child in started {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", process::stderr(&output));
        assert_eq!(process::stderr(&output), "");
    }
    let listed = place.answer(&["list"]);
    let mut contents: Vec<&str> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["content"].as_str().unwrap())
        .collect();
    contents.sort_unstable();
    assert_eq!(contents, texts);
}

fn spawn(command: &mut Command) -> std::process::Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}
