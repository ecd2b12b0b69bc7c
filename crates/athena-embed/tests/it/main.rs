//! Embedders against real servers on real sockets, misbehaving ones included.
#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

mod builtin;
mod faults;
#[cfg(feature = "local-model")]
mod local;
mod requests;
mod secrets;
mod server;
mod vectors;

use athena_core::{Embedder, Error};
use athena_embed::{Backoff, EmbedderConfig, Provider, build};
use athena_search::TermStatistics;
use server::Server;
use std::sync::Arc;
use std::time::Duration;

/// The settings of an embedder that asks `server` and repeats at once.
fn config(provider: Provider, server: &Server) -> EmbedderConfig {
    let at_once = Duration::from_micros(10);
    EmbedderConfig {
        provider,
        url: Some(server.url()),
        model: Some("test-model".into()),
        backoff: Backoff {
            first: at_once,
            longest: at_once,
        },
        ..EmbedderConfig::default()
    }
}

/// An Ollama embedder that asks `server`; most faults do not depend on the provider.
fn ollama(server: &Server) -> Arc<dyn Embedder> {
    model(&config(Provider::Ollama, server)).unwrap()
}

/// The embedder that asks the server of a configuration.
fn model(config: &EmbedderConfig) -> Result<Arc<dyn Embedder>, Error> {
    Ok(build(config)?.model.unwrap())
}

/// Embeds one passage.
async fn embed_one(embedder: &dyn Embedder) -> Result<Vec<Vec<f32>>, Error> {
    embedder.embed(&["canary-passage"]).await
}

/// Statistics of an empty project.
struct Empty;

impl TermStatistics for Empty {
    fn idf(&self, _term: &str) -> f64 {
        1.0
    }
}
