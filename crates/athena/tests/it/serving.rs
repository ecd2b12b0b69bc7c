//! `serve` and `mcp` as processes.

use crate::athena::Athena;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// A server on a free port.
struct Serving {
    process: Child,
    address: String,
    /// What it writes to standard error.
    log: String,
}

impl Serving {
    /// Starts one.
    fn start(athena: &Athena, options: &[&str]) -> Self {
        let arguments = [&["serve", "--port", "0", "--json"], options].concat();
        let log = athena.file("serve.log", "");
        let mut process = athena
            .command(&arguments)
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url: Value = serde_json::from_str(&line).unwrap();
        let address = url["url"].as_str().unwrap().strip_prefix("http://");
        let address = address.unwrap().to_owned();
        Self {
            process,
            address,
            log,
        }
    }

    /// Asks it to stop, and returns what it left on standard error.
    fn stop(mut self) -> String {
        let killed = Command::new("kill")
            .args(["-TERM", &self.process.id().to_string()])
            .status()
            .unwrap();
        assert!(killed.success());
        let status = self.process.wait().unwrap();
        let log = std::fs::read_to_string(&self.log).unwrap();
        assert!(status.success(), "{log}");
        log
    }
}

#[test]
fn serve_answers_and_ends_with_a_signal() {
    let athena = Athena::new();
    let server = Serving::start(&athena, &[]);
    let address = &server.address;
    let stored = request(
        address,
        "POST",
        "/api/v1/memories",
        r#"{"content": "over HTTP"}"#,
    );
    assert!(stored.starts_with("HTTP/1.1 201"), "{stored}");
    assert!(request(address, "GET", "/readyz", "").starts_with("HTTP/1.1 200"));
    // Another process on the same file sees what the server stored.
    assert_eq!(athena.contents(), ["over HTTP"]);
    assert_eq!(server.stop(), "");
}

#[test]
fn nothing_personal_reaches_the_log_of_a_server() {
    let athena = Athena::new();
    let server = Serving::start(&athena, &["-vvv"]);
    let about = r#"{"content": "ask ada@lovelace.org"}"#;
    for (method, path, body) in [
        ("POST", "/api/v1/memories", about),
        ("GET", "/api/v1/memories?tag=ada@lovelace.org", ""),
        ("GET", "/api/v1/ada@lovelace.org?to=ada%40lovelace.org", ""),
        ("POST", "/mcp?to=ada@lovelace.org", about),
    ] {
        request(&server.address, method, path, body);
    }
    let log = server.stop();
    assert!(log.contains("answered"), "requests were logged: {log}");
    assert!(!log.contains("lovelace"), "{log}");
}

fn request(address: &str, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_port_that_is_taken_is_named() {
    let athena = Athena::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let ran = athena.run(&["serve", "--port", &port]);
    assert_eq!(ran.status, 4, "{ran:?}");
    assert!(ran.err.contains("is taken"), "{ran:?}");
}

#[test]
fn mcp_speaks_on_standard_input_and_output_alone() {
    let athena = Athena::new();
    let messages = [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {
            "name": "remember", "arguments": {"content": "over MCP"}}}),
    ];
    let input: String = messages
        .iter()
        .map(|message| format!("{message}\n"))
        .collect();
    let ran = athena.piped(&["mcp"], input.as_bytes());
    assert_eq!(ran.status, 0, "{ran:?}");
    let answers: Vec<Value> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers[0]["result"]["serverInfo"]["name"], "athena");
    assert!(
        answers
            .iter()
            .any(|answer| answer["id"] == 2 && answer["result"]["isError"] != true),
        "{answers:?}"
    );
    assert_eq!(athena.contents(), ["over MCP"]);
}
