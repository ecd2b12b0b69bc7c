//! The stories of projects and memories, each told to every backend.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod agents;
mod bad_input;
mod changes;
mod context;
mod conversation;
mod coverage;
mod embedding;
mod events;
mod exchange;
mod idempotency;
mod lifecycle;
mod native;
mod parity;
mod privacy;
mod recall;
mod reembed;
mod rotation;
mod schema;
mod search_log;
mod searching;
mod seed_004;
mod typed;
mod work;
