//! How much one client may ask of the server.

use std::time::Duration;

/// The bounds within which requests are served.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The longest body in bytes, 8 MiB by default.
    ///
    /// Content of 1 MiB takes up to 6 MiB as JSON, when every byte of it has to be escaped.
    pub body_bytes: usize,
    /// How long a client may take to send its request line and headers, 30 s by default.
    ///
    /// A connection on which no further request arrives is closed after the same time.
    pub header_timeout: Duration,
    /// How long a client may take to send a body, 30 s by default.
    pub body_timeout: Duration,
    /// How long an operation may take, 60 s by default.
    pub operation_timeout: Duration,
    /// How many connections may be open, 1,024 by default.
    pub connections: usize,
    /// How many requests may be in flight, 256 by default.
    pub requests: usize,
    /// How long running requests may take to end after a shutdown began, 10 s by default.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 8 << 20,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            operation_timeout: Duration::from_secs(60),
            connections: 1024,
            requests: 256,
            grace: Duration::from_secs(10),
        }
    }
}
