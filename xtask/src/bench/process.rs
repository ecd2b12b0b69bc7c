//! Athena's processes and what the kernel says about them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::workspace::output;

/// A home of Athena's and the binary that works on it.
#[derive(Clone)]
pub(super) struct Home {
    pub(super) binary: PathBuf,
    pub(super) path: PathBuf,
    /// The URL of its database; the home's own file unless given.
    pub(super) database: Option<String>,
}

impl Home {
    /// Prepares an `athena` with the settings that a new user has.
    fn athena(&self) -> Command {
        let mut command = Command::new(&self.binary);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ATHENA_") {
                command.env_remove(name);
            }
        }
        command
            .env("ATHENA_HOME", &self.path)
            .env("ATHENA_PROJECT", "bench")
            .stdin(Stdio::null());
        if let Some(url) = &self.database {
            command.env("ATHENA_DATABASE_URL", url);
        }
        command
    }

    /// Imports texts.
    pub(super) fn import(&self, texts: impl Iterator<Item = String>) -> Result<()> {
        let file = self.path.with_extension("jsonl");
        let lines: Vec<String> = texts
            .map(|text| json!({ "content": text }).to_string() + "\n")
            .collect();
        fs::write(&file, lines.concat())?;
        output(self.athena().arg("import").arg(&file).arg("--json"))?;
        Ok(())
    }

    /// Returns how long it takes from the start of `athena recall` to its whole answer.
    ///
    /// The answer is one line; what the process still tidies up is not waited for.
    pub(super) fn time_recall(&self, question: &str) -> Result<Duration> {
        let started = Instant::now();
        let mut child = self
            .athena()
            .args(["recall", question, "--json"])
            .stdout(Stdio::piped())
            .spawn()?;
        let answer = first_line(&mut child)?;
        let took = started.elapsed();
        ensure!(child.wait()?.success(), "`recall` failed");
        let found = answer["hits"]
            .as_array()
            .is_some_and(|hits| !hits.is_empty());
        ensure!(found, "`{question}` recalls nothing");
        Ok(took)
    }

    /// Returns how long it takes from the start of `athena mcp` to its answer to `initialize`.
    pub(super) fn time_initialize(&self) -> Result<Duration> {
        let started = Instant::now();
        let mut child = self
            .athena()
            .arg("mcp")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().context("no input")?;
        stdin.write_all(format!("{HELLO}\n").as_bytes())?;
        let answer = first_line(&mut child)?;
        let took = started.elapsed();
        drop(stdin);
        child.wait()?;
        ensure!(answer["result"]["protocolVersion"].is_string(), "{answer}");
        Ok(took)
    }
}

/// Reads the first line of what a process says, which is JSON.
fn first_line(child: &mut Child) -> Result<Value> {
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
    serde_json::from_str(&line).context("the answer is no JSON")
}

const HELLO: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;

/// A running `athena serve`; stopped when dropped.
pub(super) struct Server {
    child: Child,
    pub(super) address: SocketAddr,
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    pub(super) fn start(home: &Home) -> Result<Server> {
        let mut child = home
            .athena()
            .args(["serve", "--port", "0", "--json"])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut stdout = BufReader::new(child.stdout.take().context("no output")?);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        let announced: Value = serde_json::from_str(&line).context("the server did not start")?;
        let url = announced["url"].as_str().unwrap_or_default();
        let address = url.strip_prefix("http://").unwrap_or_default().parse()?;
        Ok(Server {
            child,
            address,
            _stdout: stdout,
        })
    }

    /// Returns the memory that it occupies, in MB.
    pub(super) fn resident(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .context("no VmRSS")?;
        let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kibibytes * 1024.0 / 1e6)
    }

    /// Returns the processor time that it has used.
    pub(super) fn processor_time(&self) -> Result<Duration> {
        let line = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name before them is in parentheses and may hold anything.
        let (_, rest) = line.rsplit_once(") ").context("no name")?;
        let ticks = |field: usize| -> Result<f64> {
            Ok(rest.split(' ').nth(field).context("no times")?.parse()?)
        };
        let ticks = ticks(11)? + ticks(12)?;
        Ok(Duration::from_secs_f64(ticks / ticks_per_second()?))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing of what it holds is needed any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ticks_per_second() -> Result<f64> {
    Ok(output(Command::new("getconf").arg("CLK_TCK"))?
        .trim()
        .parse()?)
}
