//! `kill -9` under load: what was acknowledged is recalled afterwards.
//!
//! Each round, sixteen clients write over REST and note each acknowledged id on the disk before
//! they go on; at a random moment Athena is killed, or the database server, or both. What was
//! under way is then sent again with its idempotency key, and must not be there twice.

use std::net::SocketAddr;
use std::path::Path;

use athena_testserver::{MariaDb, Postgres};

use crate::acknowledged::{
    Ended, Load, Notes, WRITERS, assert_listed, assert_recalled, noted, write_until_stopped,
};
use crate::http::Client;
use crate::place::Place;
use crate::process::Server;
use crate::random::{Random, word};

const ROUNDS: u64 = 20;

#[test]
fn sqlite_keeps_what_was_acknowledged() {
    let place = Place::sqlite();
    let notes = place.notes();
    let mut random = Random::announced("kill on SQLite");
    let mut server = place.serve();
    for round in 0..ROUNDS {
        let address = server.address;
        let ended = strike(address, &notes, round, &mut random, || server.kill());
        assert!(
            ended.iter().all(|ended| ended.refusal.is_none()),
            "{ended:?}"
        );
        server = place.serve();
        check_round(server.address, &notes, round, &ended);
    }
    check_all(server, &notes);
    place.check_integrity();
}

#[test]
fn postgres_keeps_what_was_acknowledged() {
    if let Some(mut database) = Postgres::start() {
        keeps_what_was_acknowledged(&mut database, "PostgreSQL");
    }
}

#[test]
fn mariadb_keeps_what_was_acknowledged() {
    if let Some(mut database) = MariaDb::start() {
        keeps_what_was_acknowledged(&mut database, "MariaDB");
    }
}

/// A database server that can be killed and started again.
pub(crate) trait Mortal {
    fn url(&self) -> String;
    fn kill(&mut self);
    fn restart(&mut self);
}

macro_rules! mortal {
    ($($server:ty),+) => {$(
        impl Mortal for $server {
            fn url(&self) -> String {
                Self::url(self)
            }

            fn kill(&mut self) {
                Self::kill(self);
            }

            fn restart(&mut self) {
                Self::restart(self);
            }
        }
    )+};
}

mortal!(Postgres, MariaDb);

fn keeps_what_was_acknowledged(database: &mut impl Mortal, name: &str) {
    let place = Place::on(&database.url());
    let notes = place.notes();
    let mut random = Random::announced(&format!("kill on {name}"));
    let mut server = place.serve();
    for round in 0..ROUNDS {
        let address = server.address;
        let ended = match round % 3 {
            0 => {
                let ended = strike(address, &notes, round, &mut random, || database.kill());
                check_refusals(address, &ended);
                database.restart();
                ended
            }
            1 => {
                let ended = strike(address, &notes, round, &mut random, || {
                    database.kill();
                    server.kill();
                });
                database.restart();
                server = place.serve();
                ended
            }
            _ => {
                let ended = strike(address, &notes, round, &mut random, || server.kill());
                server = place.serve();
                ended
            }
        };
        check_round(server.address, &notes, round, &ended);
    }
    check_all(server, &notes);
}

/// Lets the clients write until all of them got going, and strikes at a random moment after that.
fn strike(
    address: SocketAddr,
    notes: &Path,
    round: u64,
    random: &mut Random,
    blow: impl FnOnce(),
) -> Vec<Ended> {
    let load = Load::default();
    let delay = random.millis(50, 700);
    std::thread::scope(|scope| {
        let writers = scope.spawn(|| write_until_stopped(address, notes, round, &load));
        load.wait_for(WRITERS);
        std::thread::sleep(delay);
        blow();
        load.stop();
        writers.join().unwrap()
    })
}

/// A server that loses its database says so: "unavailable", or "perhaps" to a commit on its way.
fn check_refusals(address: SocketAddr, ended: &[Ended]) {
    for refusal in ended.iter().filter_map(|ended| ended.refusal.as_ref()) {
        assert!(
            matches!(
                (refusal.status, refusal.code()),
                (503, "unavailable") | (504, "timeout")
            ),
            "{}",
            refusal.body
        );
    }
    let mut client = Client::new(address);
    for refusal in [
        client.remember("nobody can store this", None).unwrap(),
        client.recall("anything").unwrap(),
        client.get("/readyz").unwrap(),
    ] {
        assert_eq!(
            (refusal.status, refusal.code()),
            (503, "unavailable"),
            "{}",
            refusal.body
        );
    }
}

/// Finds what was acknowledged in a round, and makes up for what was not.
fn check_round(address: SocketAddr, notes: &Path, round: u64, ended: &[Ended]) {
    assert_recalled(address, &noted(notes, Some(round)));
    for request in ended.iter().filter_map(|ended| ended.unknown.as_ref()) {
        request.repeat(address, notes);
    }
}

/// Finds what was acknowledged in all rounds, the repeated requests included.
fn check_all(server: Server, notes: &Path) {
    let all = noted(notes, None);
    eprintln!("{} acknowledged in {ROUNDS} rounds", all.len());
    assert_listed(server.address, &all);
    assert_recalled(server.address, &noted(notes, Some(ROUNDS - 1)));
    let (status, _) = server.stop();
    assert!(status.success());
}

/// The judge itself: a memory that is not there must not pass.
#[test]
#[should_panic(expected = "a memory that was acknowledged is lost")]
fn a_lost_memory_is_noticed() {
    let place = Place::sqlite();
    let notes = place.notes();
    let server = place.serve();
    Notes::open(&notes, 0, 0).add(1, &word(1));
    assert_listed(server.address, &noted(&notes, None));
}
