//! What a hook takes, from the start of its process to its end: so long an agent waits for it.

use super::super::gauge::{milliseconds, real};
use super::super::place::{KEY, PROJECT};
use super::super::report::{Report, Target::AtMost};
use super::{Bench, made};
use crate::config::PRIVACY_KEY;
use crate::outcome::at_path;
use athena_core::{Error, Result};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Instant;
use tempfile::TempDir;

/// How often each hook runs.
const RUNS: u64 = 25;
/// Ticks of the kernel's clock in a second, as it counts for programs on every Linux.
const TICKS: f64 = 100.0;

/// Runs hooks with and without a process that owns the store.
///
/// # Errors
///
/// When this program cannot be started again.
pub(super) fn measure(bench: &Bench<'_>, report: &mut Report) -> Result<()> {
    let program = std::env::current_exe().map_err(Error::internal)?;
    let home = tempfile::tempdir().map_err(Error::internal)?;
    let starter = Starter {
        bench,
        program,
        home,
        runs: if bench.is_quick { 3 } else { RUNS },
    };
    starter.both("alone", "", report)?;
    let owner = starter.own()?;
    starter.both("owned", ", beside an `athena mcp`", report)?;
    owner.end()
}

struct Starter<'a> {
    bench: &'a Bench<'a>,
    program: PathBuf,
    home: TempDir,
    runs: u64,
}

/// What an agent sends, and what a hook may take.
struct Hook {
    event: &'static str,
    most_ms: f64,
    input: Value,
}

impl Starter<'_> {
    fn both(&self, id: &str, when: &str, report: &mut Report) -> Result<()> {
        // With an owner beside it, a hook need not open the index.
        let most_ms = if when.is_empty() { 150.0 } else { 50.0 };
        for (name, event) in [("post_tool", "post-tool"), ("user_prompt", "user-prompt")] {
            let (mut walls, before) = (Vec::new(), cpu_of_children());
            for number in 0..self.runs {
                let input = self.input(event, number, id);
                walls.push(self.run(&Hook {
                    event,
                    most_ms,
                    input,
                })?);
            }
            let cpu = cpu_of_children()
                .zip(before)
                .map(|(after, before)| after - before);
            let what = format!("hook {event}{when}");
            let wall = made::median(walls);
            let target = Some(AtMost(most_ms));
            report.push(
                format!("{name}_{id}.wall_ms"),
                format!("{what}: time"),
                wall,
                "ms",
                target,
            );
            if let Some(cpu) = cpu {
                let cpu = cpu / real(self.runs);
                report.push(
                    format!("{name}_{id}.cpu_ms"),
                    format!("{what}: CPU"),
                    cpu,
                    "ms",
                    target,
                );
            }
        }
        Ok(())
    }

    fn input(&self, event: &str, number: u64, id: &str) -> Value {
        let text = self.bench.corpus.question(number % 100).text;
        match event {
            "post-tool" => json!({
                "session_id": "hooked",
                "cwd": self.home.path(),
                "hook_event_name": "PostToolUse",
                "tool_name": "Edit",
                "tool_use_id": format!("{id}-{number}"),
                "tool_input": {"file_path": made::file(number), "old_string": text, "new_string": format!("{text} {number}")},
                "tool_response": {"filePath": made::file(number), "success": true},
            }),
            _ => json!({
                "session_id": "hooked",
                "cwd": self.home.path(),
                "hook_event_name": "UserPromptSubmit",
                "prompt": format!("{text} {id} {number}"),
            }),
        }
    }

    /// Prepares this program with the store that was filled.
    fn athena(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ATHENA_") {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .env("ATHENA_HOME", self.home.path())
            .env("ATHENA_DATABASE_URL", self.bench.place.url())
            .env("ATHENA_PROJECT", PROJECT)
            .env(PRIVACY_KEY, KEY)
            .current_dir(self.home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        command
    }

    /// Runs a hook; returns how long it took, in milliseconds.
    fn run(&self, hook: &Hook) -> Result<f64> {
        // Far more than it may take, so that what is too slow is seen and not cut off.
        let arguments = ["hook", hook.event, "--timeout-ms", "20000"];
        let started = Instant::now();
        let mut child = self.start(&arguments)?;
        let mut input = child.stdin.take().ok_or_else(no_pipe)?;
        let sent = input.write_all(hook.input.to_string().as_bytes());
        sent.map_err(Error::internal)?;
        drop(input);
        let output = child.wait_with_output().map_err(Error::internal)?;
        let took = milliseconds(started.elapsed());
        if output.status.success() {
            return Ok(took);
        }
        let message = format!(
            "the hook `{}` failed; {} ms are its target",
            hook.event, hook.most_ms
        );
        Err(Error::internal(message))
    }

    fn start(&self, arguments: &[&str]) -> Result<Child> {
        let mut command = self.athena(arguments);
        let failed = |error| at_path("start", Path::new(&self.program), error);
        command.spawn().map_err(failed)
    }

    /// Starts the process that owns the store, and asks it once, so that it has the index.
    fn own(&self) -> Result<OwnerProcess> {
        let mut child = self.start(&["mcp"])?;
        let mut input = child.stdin.take().ok_or_else(no_pipe)?;
        let mut output = BufReader::new(child.stdout.take().ok_or_else(no_pipe)?);
        let question = self.bench.corpus.question(0).text;
        let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}});
        let recall = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {
            "name": "recall", "arguments": {"query": question}}});
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let mut line = String::new();
        for (message, is_answered) in [(initialize, true), (initialized, false), (recall, true)] {
            writeln!(input, "{message}").map_err(Error::internal)?;
            if is_answered {
                line.clear();
                output.read_line(&mut line).map_err(Error::internal)?;
            }
        }
        let answer: Value = serde_json::from_str(&line).map_err(Error::internal)?;
        if answer["result"]["isError"] == json!(false) {
            return Ok(OwnerProcess { child, input });
        }
        Err(Error::internal(format!("`athena mcp` answered {answer}")))
    }
}

/// An `athena mcp` with nobody else at its pipes.
struct OwnerProcess {
    child: Child,
    input: ChildStdin,
}

impl OwnerProcess {
    /// Closes its input, whereupon it ends.
    fn end(self) -> Result<()> {
        let Self { mut child, input } = self;
        drop(input);
        child.wait().map_err(Error::internal)?;
        Ok(())
    }
}

fn no_pipe() -> Error {
    Error::internal("a process was started without a pipe")
}

/// Returns the CPU time of the processes that ended, in milliseconds, where the system tells it.
fn cpu_of_children() -> Option<f64> {
    let line = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name before them is in parentheses and may hold anything.
    let (_, rest) = line.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(13);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS * 1e3)
}
