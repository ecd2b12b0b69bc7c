//! A client of the REST interface that keeps its connection, on the standard library alone.
//!
//! It knows what Athena answers with: a `content-length` and JSON.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

/// Longer than any answer takes: a hanging server must not hang the test.
const PATIENCE: Duration = Duration::from_secs(90);

/// A connection to one server.
#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
}

/// What the server said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            connection: None,
        }
    }

    /// Remembers a text; with a key, the same request may be made again.
    pub(crate) fn remember(&mut self, content: &str, key: Option<&str>) -> io::Result<Answer> {
        self.post("/api/v1/memories", &json!({ "content": content }), key)
    }

    /// Recalls the best hit for a query.
    pub(crate) fn recall(&mut self, query: &str) -> io::Result<Answer> {
        let question = json!({ "query": query, "limit": 1 });
        self.post("/api/v1/memories/recall", &question, None)
    }

    pub(crate) fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"))
    }

    pub(crate) fn post(
        &mut self,
        path: &str,
        body: &Value,
        key: Option<&str>,
    ) -> io::Result<Answer> {
        let body = body.to_string();
        let key = key.map_or_else(String::new, |key| format!("idempotency-key: {key}\r\n"));
        self.ask(&format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{key}content-length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    /// Sends a request and reads the answer; a failure closes the connection.
    fn ask(&mut self, request: &str) -> io::Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(self.address)?,
        };
        connection.get_mut().write_all(request.as_bytes())?;
        let (answer, stays_open) = read_answer(&mut connection)?;
        if stays_open {
            self.connection = Some(connection);
        }
        Ok(answer)
    }
}

impl Answer {
    /// Returns the id of what was remembered.
    pub(crate) fn id(&self) -> i64 {
        self.body["id"].as_i64().expect("an answer with an id")
    }

    /// Returns the code of a problem.
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

fn connect(address: SocketAddr) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(BufReader::new(stream))
}

fn read_answer(connection: &mut BufReader<TcpStream>) -> io::Result<(Answer, bool)> {
    let status = read_line(connection)?;
    let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
    let mut length = 0;
    let mut stays_open = true;
    loop {
        let line = read_line(connection)?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        stays_open &= line != "connection: close";
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body)?;
    let answer = Answer {
        status: status.ok_or(io::ErrorKind::InvalidData)?,
        body: serde_json::from_slice(&body)?,
    };
    Ok((answer, stays_open))
}

fn read_line(connection: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    if connection.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}
