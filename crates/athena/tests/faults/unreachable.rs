//! A database server that cannot be reached: a clear error, soon, without the password.

use std::net::{Ipv4Addr, TcpListener};

use crate::place::{Place, bare_athena};
use crate::process::{failure, finish, stderr};

const PASSWORD: &str = "hunter2-never-shown";

#[test]
fn nobody_listens() {
    // Bound and not listening would be better still; a port that was just free is as good.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    check(&format!("athena:{PASSWORD}@127.0.0.1:{port}/athena"));
}

#[test]
fn the_server_never_answers() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = silent.local_addr().unwrap().port();
    check(&format!("athena:{PASSWORD}@127.0.0.1:{port}/athena"));
}

#[test]
fn the_host_does_not_exist() {
    check(&format!("athena:{PASSWORD}@database.invalid/athena"));
}

#[test]
fn the_password_is_wrong() {
    for url in [athena_testkit::postgres_url(), athena_testkit::mysql_url()] {
        let Some(url) = url else { return };
        let (scheme, _) = url.split_once("://").unwrap();
        let (_, server) = url.rsplit_once('@').unwrap();
        let place = Place::on(&format!("{scheme}://athena:{PASSWORD}@{server}"));
        let output = place.run(&["remember", "not stored"]);
        assert!(!output.status.success());
        let said = stderr(&output);
        assert!(!said.contains(PASSWORD), "{said}");
        assert!(!failure(&output).is_empty());
    }
}

/// Every command says that the database is unavailable, and keeps no secret in what it says.
fn check(rest_of_url: &str) {
    for scheme in ["postgres", "mysql"] {
        check_place(&Place::on(&format!("{scheme}://{rest_of_url}")));
    }
}

fn check_place(place: &Place) {
    std::thread::scope(|scope| {
        for arguments in [
            ["remember", "not stored"],
            ["recall", "anything"],
            ["serve", "--port=0"],
            ["mcp", "--project=faults"],
        ] {
            scope.spawn(move || check_command(place, &arguments));
        }
        scope.spawn(|| check_doctor(place));
    });
    assert!(
        !place.home().join("athena.db").exists(),
        "quietly written elsewhere"
    );
}

fn check_command(place: &Place, arguments: &[&str]) {
    let output = place.run(arguments);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(5), "{arguments:?}: {said}");
    assert_eq!(failure(&output), "unavailable", "{said}");
    assert!(!said.contains(PASSWORD), "{said}");
    assert!(output.stdout.is_empty());
}

fn check_doctor(place: &Place) {
    let output = place.run(&["doctor"]);
    let report = String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{report}");
    assert!(!report.contains(PASSWORD), "{report}");
}

/// The way back to the embedded store exists, and is loud.
#[test]
fn falling_back_must_be_asked_for() {
    let place = Place::on(&format!("postgres://athena:{PASSWORD}@127.0.0.1:1/athena"));
    let output = finish(
        bare_athena()
            .env("ATHENA_HOME", place.home())
            .env("ATHENA_DATABASE_URL", place.url())
            .env("ATHENA_DB_FALLBACK", "sqlite")
            .args(["remember", "written elsewhere", "--quiet"]),
    );
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("WARNING"), "{said}");
    assert!(!said.contains(PASSWORD), "{said}");
    assert!(place.home().join("athena.db").exists());
}
