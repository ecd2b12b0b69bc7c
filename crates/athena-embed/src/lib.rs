//! Everything that turns text into vectors for Athena.
//!
//! [`build`] makes the embedders that an [`EmbedderConfig`] asks for: the one [built in](builtin()),
//! which needs no network and no model file, and perhaps a model's: one that a server runs and
//! that is asked over HTTP (Ollama, llama.cpp, or any endpoint that speaks OpenAI's
//! `/v1/embeddings`), or one in a local folder that this process runs (feature `local-model`).
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
#[cfg(feature = "local-model")]
mod local;
mod remote;
mod retry;
#[cfg(feature = "semantic-table")]
pub mod table;
mod wire;

#[cfg(feature = "semantic-table")]
pub use builtin::TableEmbedder;
pub use builtin::{LexicalEmbedder, builtin};
pub use config::{EmbedderConfig, Provider, SECTION, Secret};
#[cfg(feature = "local-model")]
pub use local::LocalEmbedder;
pub use remote::HttpEmbedder;
pub use retry::Backoff;

use athena_core::{Embedder, Embedders, Result};
use std::path::Path;
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
        Provider::Local => Some(local_model(config)?),
        Provider::Ollama | Provider::LlamaCpp | Provider::OpenAi => {
            Some(Arc::new(HttpEmbedder::new(config)?))
        }
    };
    Ok(Embedders {
        builtin: builtin(),
        model,
    })
}

/// A model in a folder, that was tried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderModel {
    /// Number of components of each vector.
    pub dim: usize,
    /// The files that it consists of, relative to the folder.
    pub files: Vec<&'static str>,
}

/// Reads a model from its folder and embeds a text, to see that it works.
///
/// # Errors
///
/// [`Code::InvalidInput`](athena_core::Code::InvalidInput) naming the file, what is wrong with it,
/// and the way out; [`Code::Unsupported`](athena_core::Code::Unsupported) without the feature
/// `local-model`.
pub fn check_folder(folder: &Path) -> Result<FolderModel> {
    #[cfg(feature = "local-model")]
    return local::check_folder(folder);
    #[cfg(not(feature = "local-model"))]
    return Err(left_out(folder));
}

fn local_model(config: &EmbedderConfig) -> Result<Arc<dyn Embedder>> {
    #[cfg(feature = "local-model")]
    return Ok(Arc::new(LocalEmbedder::new(config)?));
    #[cfg(not(feature = "local-model"))]
    return Err(left_out(config.folder()?));
}

#[cfg(not(feature = "local-model"))]
fn left_out(folder: &Path) -> athena_core::Error {
    let message = format!(
        "this build cannot run the model in `{}`; build with the feature `local-model`, or let \
         Ollama or llama.cpp run it",
        folder.display()
    );
    athena_core::Error::new(athena_core::Code::Unsupported, message)
}
