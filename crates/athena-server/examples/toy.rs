//! Serves a toy catalogue of notes, to try outside judges (schemathesis, MCP conformance) on.
//!
//! `cargo run -p athena-server --example toy -- [PORT | mcp]`

use athena_core::{Ctx, Registry};
use athena_server::{Server, mcp};
use std::sync::Arc;

#[path = "../tests/it/toy.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "shared with the tests, which use all of it"
)]
mod toy;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let registry = Arc::new(toy::notes(Registry::new()));
    let env = toy::env().await;
    let argument = std::env::args().nth(1).unwrap_or_else(|| "7717".into());
    if argument == "mcp" {
        mcp::serve_stdio(registry, Ctx::for_caller(env, "mcp")).await?;
        return Ok(());
    }
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", argument.parse()?)).await?;
    Server::builder(registry, env)
        .serve(listener, std::future::pending())
        .await?;
    Ok(())
}
