//! The faces of Athena, each driven as its clients do.

use super::needles::in_url;
use crate::athena::{Athena, Ran};
use athena_core::{Effect, Entry, Method};
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// What a face answered.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Whether the operation was performed.
    pub(crate) ok: bool,
    /// Its output.
    pub(crate) output: Value,
    /// All that the face said.
    pub(crate) said: String,
}

/// A way to call operations.
pub(crate) trait Face {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Calls an operation; `key` is a promise to repeat nothing but this, where there is a place
    /// for it.
    fn call(&mut self, entry: &Entry, input: &Value, key: &str) -> Reply;
}

/// A server with everything that it says in files.
pub(crate) struct Server {
    child: Child,
    /// Host and port.
    pub(crate) address: String,
}

impl Server {
    /// Starts `serve` with its log in a folder.
    pub(crate) fn start(athena: &Athena, with: &dyn Fn(&mut Command), logs: &Path) -> Self {
        let mut command = athena.command(&["serve", "--port", "0", "--json"]);
        with(&mut command);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(File::create(logs.join("serve.log")).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let url: Value = serde_json::from_str(&line).unwrap();
        let address = url["url"].as_str().unwrap().trim_start_matches("http://");
        Self {
            child,
            address: address.to_owned(),
        }
    }

    /// Asks it to end and waits for that.
    pub(crate) fn stop(mut self) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
        assert!(self.child.wait().unwrap().success());
    }
}

/// What a server answered over HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// A connection that is kept.
pub(crate) struct Http {
    address: String,
    stream: BufReader<TcpStream>,
}

impl Http {
    pub(crate) fn connect(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            stream: BufReader::new(TcpStream::connect(address).unwrap()),
        }
    }

    /// Sends a request and reads its answer.
    pub(crate) fn send(&mut self, method: &str, target: &str, headers: &str, body: &str) -> Answer {
        let length = match body.is_empty() {
            true => String::new(),
            false => format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                body.len()
            ),
        };
        let host = &self.address;
        let request =
            format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{headers}{length}\r\n{body}");
        if self.is_closed() {
            *self = Self::connect(&self.address);
        }
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        let answer = self.read();
        if answer.head.contains("connection: close") {
            *self = Self::connect(&self.address);
        }
        answer
    }

    /// Whether the server has closed the connection, which was idle for too long.
    fn is_closed(&self) -> bool {
        let stream = self.stream.get_ref();
        stream.set_nonblocking(true).unwrap();
        let is_closed =
            !matches!(stream.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
        stream.set_nonblocking(false).unwrap();
        is_closed
    }

    fn read(&mut self) -> Answer {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(
                self.stream.read_line(&mut head).unwrap(),
                0,
                "the server went: {head}"
            );
        }
        head.make_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head.split("content-length: ").nth(1);
        let length = length.map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        Answer {
            status,
            head,
            body: String::from_utf8(body).unwrap(),
        }
    }
}

/// REST.
pub(crate) struct Rest(pub(crate) Http);

impl Face for Rest {
    fn name(&self) -> &'static str {
        "rest"
    }

    fn call(&mut self, entry: &Entry, input: &Value, key: &str) -> Reply {
        let mut fields = input.as_object().unwrap().clone();
        let mut target = "/api/v1".to_owned();
        for segment in entry.spec.http.path.split('/').skip(1) {
            let field = segment
                .strip_prefix('{')
                .and_then(|it| it.strip_suffix('}'));
            let text = field.map(|field| text_of(&fields.remove(field).unwrap()));
            target = format!(
                "{target}/{}",
                text.map_or(segment.to_owned(), |text| in_url(&text))
            );
        }
        let body = match entry.spec.http.method {
            Method::Post | Method::Patch => Value::Object(fields).to_string(),
            Method::Get | Method::Delete => {
                target = format!("{target}?{}", query(&fields));
                String::new()
            }
        };
        let headers = match entry.spec.effect {
            Effect::Read => String::new(),
            _ => format!("Idempotency-Key: {key}\r\n"),
        };
        let answer = self
            .0
            .send(entry.spec.http.method.as_str(), &target, &headers, &body);
        Reply {
            ok: (200..300).contains(&answer.status),
            output: serde_json::from_str(&answer.body).unwrap_or(Value::Null),
            said: answer.head + &answer.body,
        }
    }
}

fn query(fields: &Map<String, Value>) -> String {
    let pairs = fields.iter().flat_map(|(name, value)| {
        let values = match value {
            Value::Array(items) => items.iter().map(text_of).collect(),
            one => vec![text_of(one)],
        };
        values
            .into_iter()
            .map(move |text| format!("{name}={}", in_url(&text)))
    });
    pairs.collect::<Vec<_>>().join("&")
}

fn text_of(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// MCP over HTTP.
pub(crate) struct McpHttp(pub(crate) Http);

impl Face for McpHttp {
    fn name(&self) -> &'static str {
        "mcp over http"
    }

    fn call(&mut self, entry: &Entry, input: &Value, _key: &str) -> Reply {
        let said = self.say(&tool_call(entry, input));
        reply(said)
    }
}

impl McpHttp {
    /// Sends a message as it is and returns what came back.
    pub(crate) fn say(&mut self, message: &str) -> String {
        let headers =
            "Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2025-11-25\r\n";
        let answer = self.0.send("POST", "/mcp", headers, message);
        answer.body
    }
}

/// MCP over standard input and output.
pub(crate) struct McpStdio {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl McpStdio {
    pub(crate) fn start(athena: &Athena, with: &dyn Fn(&mut Command), logs: &Path) -> Self {
        let mut command = athena.command(&["mcp", "--project", "default"]);
        with(&mut command);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(logs.join("mcp.log")).unwrap())
            .spawn()
            .unwrap();
        let mut face = Self {
            input: child.stdin.take().unwrap(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
        };
        let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}});
        face.say(&hello.to_string());
        face.tell(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string());
        face
    }

    fn tell(&mut self, message: &str) {
        writeln!(self.input, "{message}").unwrap();
    }

    /// Sends a message and returns the next one.
    pub(crate) fn say(&mut self, message: &str) -> String {
        self.tell(message);
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }

    /// Closes its input and waits until it has ended.
    pub(crate) fn stop(mut self) {
        drop(self.input);
        assert!(self.child.wait().unwrap().success());
    }
}

impl Face for McpStdio {
    fn name(&self) -> &'static str {
        "mcp"
    }

    fn call(&mut self, entry: &Entry, input: &Value, _key: &str) -> Reply {
        let said = self.say(&tool_call(entry, input));
        reply(said)
    }
}

fn tool_call(entry: &Entry, input: &Value) -> String {
    let (name, arguments) = match entry.spec.tool {
        Some(tool) => (tool, input.clone()),
        None => (
            "call_tool",
            json!({"name": entry.spec.name, "arguments": input}),
        ),
    };
    json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {
        "name": name, "arguments": arguments}})
    .to_string()
}

fn reply(said: String) -> Reply {
    let message: Value = serde_json::from_str(&said).unwrap();
    let result = &message["result"];
    Reply {
        ok: result.is_object() && result["isError"] != true,
        output: result["structuredContent"].clone(),
        said,
    }
}

/// The command line: `call` with its input in an argument or piped, and commands with options.
pub(crate) struct Cli<'a> {
    pub(crate) athena: &'a Athena,
    pub(crate) with: &'a dyn Fn(&mut Command),
    /// How often it was called.
    pub(crate) calls: usize,
}

/// Longer inputs are piped: an argument holds 128 KiB.
const LONGEST_ARGUMENT: usize = 100_000;

impl Face for Cli<'_> {
    fn name(&self) -> &'static str {
        "cli"
    }

    fn call(&mut self, entry: &Entry, input: &Value, _key: &str) -> Reply {
        self.calls += 1;
        let text = input.to_string();
        let ran = match self.calls % 3 {
            0 if text.len() < LONGEST_ARGUMENT => self.run(&["call", entry.spec.name, &text], ""),
            1 if text.len() < LONGEST_ARGUMENT && !entry.spec.cli.command.is_empty() => {
                let arguments = as_typed(entry, input.as_object().unwrap());
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                self.run(&arguments, "")
            }
            _ => self.run(&["call", entry.spec.name, "-"], &text),
        };
        Reply {
            ok: ran.status == 0,
            output: serde_json::from_str(&ran.out).unwrap_or(Value::Null),
            said: ran.out + &ran.err,
        }
    }
}

impl Cli<'_> {
    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str], stdin: &str) -> Ran {
        let mut command = self.athena.command(&[arguments, &["--json"]].concat());
        (self.with)(&mut command);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            // It may end without reading all of it.
            scope.spawn(move || input.write_all(stdin.as_bytes()).ok());
            child.wait_with_output().unwrap().into()
        })
    }
}

/// Writes an input as a person types it.
fn as_typed(entry: &Entry, input: &Map<String, Value>) -> Vec<String> {
    let mut words: Vec<String> = entry
        .spec
        .cli
        .command
        .iter()
        .map(ToString::to_string)
        .collect();
    for (name, value) in input
        .iter()
        .filter(|(name, _)| !entry.spec.cli.positional.contains(&name.as_str()))
    {
        let option = name.replace('_', "-");
        match value {
            Value::Bool(true) => words.push(format!("--{option}")),
            Value::Bool(false) => {}
            Value::Object(_) => words.push(format!("--{option}-json={value}")),
            Value::Array(items) => {
                let one = option.strip_suffix('s').unwrap_or(&option);
                words.extend(
                    items
                        .iter()
                        .map(|item| format!("--{one}={}", text_of(item))),
                );
            }
            one => words.push(format!("--{option}={}", text_of(one))),
        }
    }
    let positional = entry
        .spec
        .cli
        .positional
        .iter()
        .filter_map(|name| input.get(*name));
    words.extend(positional.map(text_of));
    words
}
