//! One process holds the index, the others hand their calls to it.

use crate::athena::{Athena, mode};
use crate::mcp::Mcp;
use rustix::process::Signal;
use serde_json::json;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

/// Runs a command and tells whether the owner did it.
fn handed_over(athena: &Athena, arguments: &[&str]) -> bool {
    let output = athena
        .command(arguments)
        .env("ATHENA_LOG", "athena=debug")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}: {said}");
    said.contains("the owner does it")
}

#[test]
fn commands_hand_their_calls_to_a_process_that_stays() {
    let athena = Athena::new();
    assert!(!handed_over(
        &athena,
        &["remember", "There is no owner yet"]
    ));
    let mut mcp = Mcp::start(&athena, "mcp.log");
    assert!(mcp.owns());
    assert_eq!(mode(&athena.home().join("owner.sock")), 0o600);
    assert!(handed_over(
        &athena,
        &["remember", "The staging server is called bertha"]
    ));
    assert!(handed_over(&athena, &["recall", "staging server"]));
    let hits = mcp.call("recall", json!({"query": "staging server"}));
    assert_eq!(
        hits["hits"][0]["content"],
        "The staging server is called bertha"
    );
    // An error is the same whoever found it.
    let alone = athena.run(&["get", "4711"]);
    mcp.end();
    assert!(!athena.home().join("owner.sock").exists());
    let own = athena.run(&["get", "4711"]);
    assert_eq!((alone.status, &alone.err), (own.status, &own.err));
    assert!(!handed_over(&athena, &["recall", "staging server"]));
}

#[test]
fn nobody_is_served_who_would_do_something_else() {
    let athena = Athena::new();
    let mcp = Mcp::start(&athena, "mcp.log");
    let mut command = athena.command(&["remember", "Mail ada@lovelace.org"]);
    command
        .env("ATHENA_PII_VAULT", "off")
        .env("ATHENA_LOG", "athena=debug");
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!said.contains("the owner does it"), "{said}");
    assert!(handed_over(&athena, &["list"]));
    mcp.end();
}

#[test]
fn further_processes_follow_and_the_next_call_takes_over() {
    let athena = Athena::new();
    let first = Mcp::start(&athena, "first.log");
    let mut second = Mcp::start(&athena, "second.log");
    let mut third = Mcp::start(&athena, "third.log");
    assert!(first.owns() && !second.owns() && !third.owns());
    second.call("remember", json!({"content": "Told by the second"}));
    assert!(!second.owns());
    first.kill();
    // The socket of the dead one is still there.
    assert!(athena.home().join("owner.sock").exists());
    let hits = third.call("recall", json!({"query": "told second"}));
    assert_eq!(hits["hits"][0]["content"], "Told by the second");
    assert!(third.owns(), "{}", third.said());
    second.call("remember", json!({"content": "Told to the third"}));
    assert!(!second.owns());
    assert!(handed_over(&athena, &["recall", "third"]));
    second.end();
    third.end();
}

#[test]
fn of_many_that_begin_at_once_one_is_the_owner() {
    let athena = Athena::new();
    let athena = &athena;
    let mut all: Vec<Mcp> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..6)
            .map(|number| scope.spawn(move || Mcp::start(athena, &format!("{number}.log"))))
            .collect();
        starts
            .into_iter()
            .map(|start| start.join().unwrap())
            .collect()
    });
    for (number, mcp) in all.iter_mut().enumerate() {
        mcp.call(
            "remember",
            json!({"content": format!("Told by number {number}")}),
        );
    }
    let owners = all.iter().filter(|mcp| mcp.owns()).count();
    assert_eq!(owners, 1);
    assert_eq!(athena.contents().len(), 6);
    all.into_iter().for_each(Mcp::end);
}

#[test]
fn killing_the_owner_loses_nothing_and_doubles_nothing() {
    let athena = Athena::new();
    let athena = &athena;
    let owner = Mcp::start(athena, "first.log");
    let (told, owner) = std::thread::scope(|scope| {
        let mut owner = owner;
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                scope.spawn(move || {
                    (0..12)
                        .map(|number| {
                            let text = format!("Writer {writer} told number {number}");
                            let answer = athena.json(&["remember", &text, "--session", "s"]);
                            assert_eq!(answer["duplicate"], false, "{text}");
                            text
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        for round in 0..3 {
            owner.call("recall", json!({"query": "writer told number"}));
            owner.kill();
            owner = Mcp::start(athena, &format!("{round}.log"));
        }
        let told = writers
            .into_iter()
            .flat_map(|writer| writer.join().unwrap());
        let mut told: Vec<String> = told.collect();
        told.sort();
        (told, owner)
    });
    assert_eq!(athena.contents(), told);
    owner.end();
}

#[test]
fn an_owner_that_stands_still_is_not_waited_for_without_end() {
    let athena = Athena::new();
    let mcp = Mcp::start(&athena, "mcp.log");
    assert!(mcp.owns());
    athena.json(&["remember", "The staging server is called bertha"]);
    // It takes this call, and stands still in the middle of it.
    let mut caller = athena
        .command(&["changes", "--after", "1", "--wait-seconds", "4", "--json"])
        .env("ATHENA_LOG", "athena=debug")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(caller.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("the owner does it") {
        assert_ne!(log.read_line(&mut said).unwrap(), 0, "{said}");
    }
    mcp.signal(Signal::STOP);
    log.read_to_string(&mut said).unwrap();
    assert!(caller.wait().unwrap().success(), "{said}");
    assert!(
        said.contains("the owner does it") && said.contains("the owner went away"),
        "{said}"
    );
    // Whoever comes now does without it.
    let found = athena.json(&["recall", "staging server"]);
    assert_eq!(
        found["hits"][0]["content"],
        "The staging server is called bertha"
    );
    mcp.signal(Signal::CONT);
    mcp.end();
}

#[test]
fn a_home_with_a_long_path_has_no_owner() {
    let athena = Athena::new();
    let home = athena.path(&"long".repeat(30));
    let run = |arguments: &[&str]| {
        let mut command = athena.command(arguments);
        command.env("ATHENA_HOME", &home);
        command
    };
    let mut mcp = run(&["mcp"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let stored = run(&["remember", "It works as well"]).output().unwrap();
    assert!(stored.status.success(), "{stored:?}");
    drop(mcp.stdin.take());
    mcp.wait().unwrap();
}
