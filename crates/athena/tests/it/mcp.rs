//! A client of the binary over MCP.

use crate::athena::Athena;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

/// An `mcp` process with a client at its pipes.
pub(crate) struct Mcp {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    log: PathBuf,
    calls: u64,
}

impl Mcp {
    /// Starts it; what it logs goes to the file of that name.
    pub(crate) fn start(athena: &Athena, name: &str) -> Self {
        let log = PathBuf::from(athena.file(name, ""));
        let mut process = athena
            .command(&["mcp"])
            .env("ATHENA_LOG", "athena=debug")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut mcp = Self {
            input: process.stdin.take().unwrap(),
            output: BufReader::new(process.stdout.take().unwrap()),
            process,
            log,
            calls: 0,
        };
        mcp.ask(
            "initialize",
            &json!({
                "protocolVersion": "2025-06-18", "capabilities": {},
                "clientInfo": {"name": "test", "version": "1"},
            }),
        );
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        writeln!(mcp.input, "{initialized}").unwrap();
        mcp
    }

    /// Sends a request and waits for its answer.
    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.calls += 1;
        let message =
            json!({"jsonrpc": "2.0", "id": self.calls, "method": method, "params": params});
        writeln!(self.input, "{message}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("{error}: {line:?}: {}", self.said()))
    }

    /// Calls a tool, which must succeed, and returns its answer.
    pub(crate) fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let answer = self.ask("tools/call", &json!({"name": tool, "arguments": arguments}));
        assert_eq!(
            answer["result"]["isError"],
            json!(false),
            "{answer}: {}",
            self.said()
        );
        answer["result"]["structuredContent"].clone()
    }

    /// Returns what it logged so far.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Whether it holds the store for the others.
    pub(crate) fn owns(&self) -> bool {
        self.said().contains("this process owns the store")
    }

    /// Lets it stand still, or go on.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Kills it without a warning.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Closes its input, whereupon it ends.
    pub(crate) fn end(self) {
        let Self {
            mut process, input, ..
        } = self;
        drop(input);
        assert!(process.wait().unwrap().success());
    }
}
