//! The server as its clients see it: over real sockets and pipes, with a toy catalogue behind it.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "tests fail loudly, and share modules"
)]

mod client;
mod faults;
mod mcp_http;
mod mcp_stdio;
mod openapi;
mod rejections;
mod rest;
mod toy;
mod watch;
