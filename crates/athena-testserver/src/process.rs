//! Processes and waiting for them.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Pid;

/// How long a process may take to start or to end before the test gives up on it.
const PATIENCE: Duration = Duration::from_secs(90);

/// Waits for something that comes by itself; gives up on it after a long time.
pub(crate) fn wait_until(mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !happened() {
        assert!(
            Instant::now() < deadline,
            "it did not happen in {PATIENCE:?}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs a command to its end; one that fails fails the test.
pub(crate) fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

/// Opens a file to which a process appends what it says.
pub(crate) fn append_to(path: &Path) -> Stdio {
    let file = File::options().create(true).append(true).open(path);
    file.unwrap().into()
}

/// Returns a port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Returns the processes whose parent is `parent`.
pub(crate) fn children_of(parent: Pid) -> Vec<Pid> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
        .filter_map(Pid::from_raw)
        .filter(|pid| {
            stat(*pid).is_some_and(|(_, its_parent)| its_parent == parent.as_raw_nonzero().get())
        })
        .collect()
}

/// Whether there is such a process; one that has ended and was not yet collected is none.
pub(crate) fn is_alive(pid: Pid) -> bool {
    stat(pid).is_some_and(|(state, _)| state != "Z")
}

/// Returns the state and the parent of a process.
fn stat(pid: Pid) -> Option<(String, i32)> {
    let line = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The name before them is in parentheses and may hold anything.
    let (_, rest) = line.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}
