//! A disk that takes what is written and does not confirm it.
//!
//! `strace` lets the calls that wait for the disk fail for a while. A machine that does not allow it
//! fails the test in continuous integration and is told so elsewhere.

use std::process::Command;

use crate::acknowledged::{Notes, assert_listed, assert_recalled, noted};
use crate::place::{Place, same};
use crate::process::Server;
use crate::random::word;

/// Which of the calls fail on each thread, counted from 1.
const FAILING: std::ops::RangeInclusive<u64> = 20..=30;

#[test]
fn what_the_disk_does_not_confirm_is_not_acknowledged() {
    let test = "sync::what_the_disk_does_not_confirm_is_not_acknowledged";
    if !may_trace(test) {
        return;
    }
    let place = Place::sqlite();
    // The tables are made without trouble.
    place.answer(&["remember", "written while the disk was well"]);
    let notes = place.notes();
    let server = Server::start(with_failing_disk(&place.athena()), place.log("serve"));
    let mut client = server.client();
    let mut acknowledged = Notes::open(&notes, 0, 0);
    let (mut refused, mut recovered) = (0, 0);
    for number in 0..200 {
        let word = word(number);
        let answer = client.remember(&format!("{word} was said"), None).unwrap();
        if answer.status == 201 {
            acknowledged.add(answer.id(), &word);
            recovered += u32::from(refused > 0);
        } else {
            // Perhaps it is stored, perhaps not: that is what "timeout" says of a write.
            let refusal = (answer.status, answer.code());
            assert_eq!(refusal, (504, "timeout"), "{}", answer.body);
            refused += 1;
            recovered = 0;
        }
        if recovered > 20 {
            break;
        }
    }
    assert!(refused > 0, "no call failed");
    assert!(recovered > 20, "the server does not recover by itself");
    let acknowledged = noted(&notes, None);
    assert_recalled(server.address, &acknowledged);
    server.kill();
    let server = place.serve();
    assert_listed(server.address, &acknowledged);
    assert_recalled(server.address, &acknowledged);
    server.stop();
    place.check_integrity();
}

/// Returns the same command under `strace`, which leaves it the child of whoever starts it.
fn with_failing_disk(command: &Command) -> Command {
    let fault = format!(
        "inject=fsync,fdatasync:error=EIO:when={}..{}",
        FAILING.start(),
        FAILING.end()
    );
    let mut traced = Command::new("strace");
    traced.args(["-D", "-f", "-qq", "--output=/dev/null"]);
    traced.args(["-e", "trace=fsync,fdatasync", "-e", &fault]);
    traced.arg(command.get_program());
    same(command, traced)
}

fn may_trace(test: &str) -> bool {
    let mut trial = Command::new("strace");
    trial.args(["-f", "-qq", "--output=/dev/null", "true"]);
    let allowed = trial.output().is_ok_and(|output| output.status.success());
    let told = format!("{test}: NOT RUN, this machine has no `strace` or does not allow it");
    assert!(allowed || std::env::var_os("CI").is_none(), "{told}");
    if !allowed {
        eprintln!("{told}");
    }
    allowed
}
