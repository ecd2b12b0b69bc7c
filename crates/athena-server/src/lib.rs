//! Athena over a socket and over pipes: REST, MCP and the endpoints that operators watch.
//!
//! Everything here is made from the [`Registry`](athena_core::Registry): one handler serves every
//! REST route, one serves every MCP tool, and the OpenAPI document is written from the same
//! schemas that are checked at run time. The crate knows no aggregate.
//!
//! What it promises:
//! - **Every rejection speaks.** Whatever is wrong with a request, the answer is a problem
//!   document (RFC 9457), or a JSON-RPC error on `/mcp`, with a stable code.
//! - **No client can hold it.** Headers, bodies, operations, connections and requests in flight
//!   are all bounded ([`Limits`]).
//! - **This machine only.** Until there are API keys it binds to loopback, and answers only
//!   requests whose `Host` and `Origin` are loopback too, so that no web page reaches it through
//!   the browser.
//!
//! What it deliberately does not do: open the store, read configuration, or print anything.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod app;
mod body;
mod door;
mod health;
mod limits;
pub mod mcp;
mod metrics;
pub mod openapi;
mod problem;
mod rest;
mod server;

pub use app::Performer;
pub use limits::Limits;
pub use server::{Server, ServerBuilder, check_bind};
