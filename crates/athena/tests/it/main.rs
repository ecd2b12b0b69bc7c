//! The binary as its users meet it: real processes, real files, no network.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod athena;
mod bench;
mod canary;
mod client;
mod commits;
mod db;
mod exits;
mod hooking;
mod init;
mod mcp;
mod moving;
mod owner;
mod privacy;
mod recall;
mod searching;
mod serving;
mod showing;
mod using;
mod week;
