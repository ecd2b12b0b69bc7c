//! A process that is asked for measurements: a line of JSON in, a line of JSON out.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// A running process; killed when dropped.
pub(super) struct Worker {
    name: String,
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Worker {
    /// Starts it.
    pub(super) fn start(name: impl Into<String>, command: &mut Command) -> Result<Worker> {
        let name = name.into();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("`{name}` cannot be started"))?;
        let stdout = child.stdout.take().context("no output")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(stdout).lines().map_while(Result::ok);
            lines
                .map_while(|line| sender.send(line).ok())
                .for_each(drop);
        });
        Ok(Worker {
            name,
            stdin: child.stdin.take().context("no input")?,
            child,
            lines,
        })
    }

    /// Asks, and waits for the answer.
    pub(super) fn ask(&mut self, request: &Value, patience: Duration) -> Result<Value> {
        writeln!(self.stdin, "{request}").with_context(|| format!("`{}` has ended", self.name))?;
        self.read(patience)
    }

    /// Waits for an answer; the first says what the process is.
    pub(super) fn read(&mut self, patience: Duration) -> Result<Value> {
        let name = &self.name;
        match self.lines.recv_timeout(patience) {
            Ok(line) => {
                serde_json::from_str(&line).with_context(|| format!("`{name}` says: {line}"))
            }
            Err(RecvTimeoutError::Timeout) => bail!("no answer within {} s", patience.as_secs()),
            Err(RecvTimeoutError::Disconnected) => bail!("`{name}` has ended"),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It holds nothing that anybody needs.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
