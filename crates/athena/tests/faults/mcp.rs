//! A client of `athena mcp` over standard input and output: JSON-RPC, one message a line.
//!
//! Several threads may call at once; answers find the caller by their id.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use serde_json::{Value, json};

use crate::process::{PATIENCE, append_to, wait};

/// A running `athena mcp`; killed when dropped.
#[derive(Debug)]
pub(crate) struct Mcp {
    child: Child,
    stdin: Mutex<Option<ChildStdin>>,
    waiting: Arc<Waiting>,
    next: AtomicU64,
    log: PathBuf,
}

/// Who waits for which answer.
type Waiting = Mutex<HashMap<u64, mpsc::Sender<Value>>>;

impl Mcp {
    /// Starts a process and shakes hands with it; what it says besides goes to `log`.
    pub(crate) fn start(mut command: Command, log: PathBuf) -> Self {
        let mut child = command
            .arg("mcp")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(append_to(&log))
            .spawn()
            .unwrap();
        let waiting = Arc::new(Waiting::default());
        let stdout = child.stdout.take().unwrap();
        std::thread::spawn({
            let waiting = Arc::clone(&waiting);
            move || deliver(stdout, &waiting)
        });
        let mcp = Self {
            stdin: Mutex::new(child.stdin.take()),
            child,
            waiting,
            next: AtomicU64::new(1),
            log,
        };
        mcp.initialize();
        mcp
    }

    /// Calls a tool and returns its structured answer, or the text of its error.
    pub(crate) fn call(&self, tool: &str, arguments: &Value) -> Result<Value, String> {
        let answer = self.ask(
            "tools/call",
            &json!({ "name": tool, "arguments": arguments }),
        )?;
        let result = &answer["result"];
        if result["isError"] == json!(false) {
            Ok(result["structuredContent"].clone())
        } else {
            Err(answer.to_string())
        }
    }

    /// Closes its standard input, and returns how it ended and what it said besides.
    pub(crate) fn stop(mut self) -> (ExitStatus, String) {
        drop(self.stdin.lock().unwrap().take());
        let status = wait(&mut self.child);
        (status, std::fs::read_to_string(&self.log).unwrap())
    }

    fn initialize(&self) {
        let hello = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": { "name": "faults", "version": "1" },
        });
        let answer = self.ask("initialize", &hello).unwrap();
        assert_eq!(answer["result"]["serverInfo"]["name"], "athena", "{answer}");
        let done = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        self.send(&done).unwrap();
    }

    fn ask(&self, method: &str, params: &Value) -> Result<Value, String> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = mpsc::channel();
        self.waiting.lock().unwrap().insert(id, sender);
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.send(&request).map_err(|error| error.to_string())?;
        answer
            .recv_timeout(PATIENCE)
            .map_err(|_| format!("`{method}` was not answered"))
    }

    fn send(&self, message: &Value) -> std::io::Result<()> {
        let mut stdin = self.stdin.lock().unwrap();
        stdin
            .as_mut()
            .unwrap()
            .write_all(format!("{message}\n").as_bytes())
    }
}

impl Drop for Mcp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Hands out answers until the process closes its output.
fn deliver(stdout: ChildStdout, waiting: &Waiting) {
    for line in BufReader::new(stdout).lines() {
        let message: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let id = message["id"].as_u64();
        if let Some(caller) = id.and_then(|id| waiting.lock().unwrap().remove(&id)) {
            let _ = caller.send(message);
        }
    }
    // Whoever still waits is told at once.
    waiting.lock().unwrap().clear();
}
