//! `serve` and `mcp` as processes.

use crate::athena::Athena;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

#[test]
fn serve_answers_and_ends_with_a_signal() {
    let athena = Athena::new();
    let mut server = athena
        .command(&["serve", "--port", "0", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(server.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let url: Value = serde_json::from_str(&line).unwrap();
    let address = url["url"]
        .as_str()
        .unwrap()
        .strip_prefix("http://")
        .unwrap()
        .to_owned();

    let stored = request(
        &address,
        "POST",
        "/api/v1/memories",
        r#"{"content": "over HTTP"}"#,
    );
    assert!(stored.starts_with("HTTP/1.1 201"), "{stored}");
    assert!(request(&address, "GET", "/readyz", "").starts_with("HTTP/1.1 200"));
    // Another process on the same file sees what the server stored.
    assert_eq!(athena.contents(), ["over HTTP"]);

    let killed = Command::new("kill")
        .args(["-TERM", &server.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    assert!(server.wait().unwrap().success());
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
