//! Athena's own processes.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::http::Client;

/// How long a process may take to start or to end before the test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A running `athena serve`; killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Kept open: a server whose output is gone may fail for that reason alone.
    _stdout: BufReader<ChildStdout>,
    log: PathBuf,
}

impl Server {
    /// Starts a server on a free port and waits until it listens.
    ///
    /// `command` is an `athena` without arguments; what it says goes to the file `log`.
    pub(crate) fn start(mut command: Command, log: PathBuf) -> Self {
        let mut child = command
            .args(["serve", "--port", "0", "--json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(append_to(&log))
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let Some(address) = address(&line) else {
            let _ = child.kill();
            panic!("the server did not start: {line}{}", read(&log));
        };
        Self {
            child,
            address,
            _stdout: stdout,
            log,
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// Kills it as `kill -9` does, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, and returns everything it said.
    pub(crate) fn stop(mut self) -> (ExitStatus, String) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).unwrap();
        (wait(&mut self.child), read(&self.log))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end and returns what it said; one that hangs is killed.
pub(crate) fn finish(command: &mut Command) -> Output {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let status = wait(&mut child);
    Output {
        status,
        stdout: stdout.join().unwrap(),
        stderr: stderr.join().unwrap(),
    }
}

/// Waits for the end of a process; one that does not end is killed and fails the test.
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("a process did not end in {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Opens a file to which a process appends what it says.
pub(crate) fn append_to(path: &std::path::Path) -> Stdio {
    let file = std::fs::File::options()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    file.into()
}

/// Returns what was said on standard error.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Returns the code of a command's failure, from its `--json` form.
pub(crate) fn failure(output: &Output) -> String {
    let said = stderr(output);
    let object = said
        .lines()
        .find_map(|line| serde_json::from_str::<Value>(line).ok());
    let code = object.and_then(|object| object["error"]["code"].as_str().map(str::to_owned));
    code.unwrap_or_else(|| panic!("no error in `{said}`, status {}", output.status))
}

fn address(line: &str) -> Option<SocketAddr> {
    let object: Value = serde_json::from_str(line).ok()?;
    object["url"]
        .as_str()?
        .strip_prefix("http://")?
        .parse()
        .ok()
}

fn read(path: &std::path::Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn drain(from: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut said = Vec::new();
        if let Some(mut from) = from {
            from.read_to_end(&mut said).unwrap();
        }
        said
    })
}
