//! The least that speaks REST to Athena: one connection that stays open, JSON both ways.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

/// A connection to one server.
pub(super) struct Client(BufReader<TcpStream>);

impl Client {
    pub(super) fn connect(address: SocketAddr) -> Result<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Client(BufReader::new(stream)))
    }

    pub(super) fn remember(&mut self, content: &str) -> Result<()> {
        self.call("POST", "/memories", &json!({ "content": content }))
            .map(drop)
    }

    /// Recalls, and fails when nothing is found: that would be quick and no recall.
    pub(super) fn recall(&mut self, query: &str) -> Result<()> {
        let answer = self.call("POST", "/memories/recall", &json!({ "query": query }))?;
        let found = answer["hits"]
            .as_array()
            .is_some_and(|hits| !hits.is_empty());
        ensure!(found, "`{query}` recalls nothing");
        Ok(())
    }

    /// Calls an operation; one without arguments wants `null`.
    pub(super) fn call(&mut self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let request = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(request.as_bytes())?;
        let status = self.line()?;
        let mut length = 0;
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        let mut answer = vec![0; length];
        self.0.read_exact(&mut answer)?;
        ensure!(
            status.starts_with("HTTP/1.1 2"),
            "{path}: {status}: {}",
            String::from_utf8_lossy(&answer)
        );
        serde_json::from_slice(&answer).context("the answer is no JSON")
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.0.read_line(&mut line)? > 0, "the server hung up");
        Ok(line.trim_end().to_owned())
    }
}
