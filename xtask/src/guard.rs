//! Stops what a test run started, however that run ends.
//!
//! A test run may end by Ctrl-C, by a panic, or by `kill -9`. It therefore starts a second
//! process, outside its process group, whose standard input is a pipe that only the run holds
//! open. When the pipe closes, the guard gives up its use of the services.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::services;

/// A running guard; dropping it closes the pipe and waits until the services were given up.
pub(crate) struct Guard(Child);

impl Guard {
    /// Starts a guard and waits until it holds the services.
    pub(crate) fn start() -> Result<Guard> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("guard")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the guard cannot be started")?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        ensure!(line == READY, "the guard did not start");
        Ok(Guard(child))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        if let Err(error) = self.0.wait() {
            eprintln!("the guard of the services is lost: {error}");
        }
    }
}

const READY: &str = "holding\n";

/// Is the guard: holds the services until standard input closes.
pub(crate) fn run() -> Result<()> {
    let users = services::users_lock()?;
    users.lock_shared()?;
    let mut stdout = std::io::stdout();
    stdout.write_all(READY.as_bytes())?;
    stdout.flush()?;
    let mut sink = Vec::new();
    // An error means as much as the end: the other side is gone.
    let _ = std::io::stdin().read_to_end(&mut sink);
    drop(users);
    services::stop_if_unused()
}
