//! Everything that turns text into vectors for Athena.
//!
//! [`build`] makes the embedders that an [`EmbedderConfig`] asks for: the one [built in](builtin()),
//! which needs no network and no model file, and perhaps one that asks a server over HTTP (Ollama,
//! llama.cpp, or any endpoint that speaks OpenAI's `/v1/embeddings`).
//!
//! What it promises:
//! - **Vectors are checked before anyone sees them.** Their number, order and width fit the
//!   request, every component is finite, and each has length 1.
//! - **A server that misbehaves costs bounded time and memory.** Every request has a timeout, all
//!   attempts together have a deadline, and an answer has a size limit.
//! - **Errors and logs hold neither text nor keys**: they name the provider, the host and the
//!   status.
//!
//! What it deliberately does not do: choose a model, download one, cache vectors, or fall back from
//! one provider to another. Vectors of two models do not compare, so a silent fallback would
//! corrupt a store.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod builtin;
mod config;
mod hash;
mod http;
pub mod lexical;
mod remote;
mod retry;
#[cfg(feature = "semantic-table")]
pub mod table;
mod wire;

#[cfg(feature = "semantic-table")]
pub use builtin::TableEmbedder;
pub use builtin::{LexicalEmbedder, builtin};
pub use config::{EmbedderConfig, Provider, SECTION, Secret};
pub use remote::HttpEmbedder;
pub use retry::Backoff;

use athena_core::{Embedder, Embedders, Result};
use std::sync::Arc;

/// Makes the embedders that the configuration asks for.
///
/// Nothing is sent: a server is first asked when its vectors (or their width) are needed, so
/// Athena starts while the server is down.
///
/// # Errors
///
/// [`Code::InvalidInput`](athena_core::Code::InvalidInput) naming the setting and the way out.
///
/// # Examples
///
/// ```
/// use athena_embed::{EmbedderConfig, Provider, build};
///
/// let config = EmbedderConfig {
///     provider: Provider::Ollama,
///     model: Some("nomic-embed-text".into()),
///     query_prefix: "search_query: ".into(),
///     document_prefix: "search_document: ".into(),
///     ..EmbedderConfig::default()
/// };
/// let embedders = build(&config)?;
/// assert!(embedders.model.is_some());
/// # Ok::<(), athena_core::Error>(())
/// ```
pub fn build(config: &EmbedderConfig) -> Result<Embedders> {
    config.check()?;
    let model: Option<Arc<dyn Embedder>> = match config.provider {
        Provider::Builtin => None,
        Provider::Ollama | Provider::LlamaCpp | Provider::OpenAi => {
            Some(Arc::new(HttpEmbedder::new(config)?))
        }
    };
    Ok(Embedders {
        builtin: builtin(),
        model,
    })
}
