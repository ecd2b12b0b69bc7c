//! What turns text into vectors, as seen by everything that needs one.
//!
//! A process has a built-in embedder, whose vectors are computed inside every write and every
//! question, and it may have a model besides, whose vectors follow.

use crate::Result;
use athena_search::{TermStatistics, VectorKind};
use futures_util::future::BoxFuture;
use std::fmt;
use std::sync::Arc;

/// The identity of an embedding space: vectors compare only within one model.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EmbeddingModel {
    /// Stable name, such as `athena-table-1` or `ollama/nomic-embed-text`.
    pub name: String,
    /// Number of components of each vector.
    pub dim: usize,
}

/// The vectors of several passages, in the order in which they were asked for.
pub type PassageVectors = Vec<Vec<f32>>;

/// What makes the vectors of a process.
#[derive(Clone)]
pub struct Embedders {
    /// Always there.
    pub builtin: Arc<dyn BuiltinEmbedder>,
    /// What the settings name besides, if they name something.
    pub model: Option<Arc<dyn Embedder>>,
}

impl fmt::Debug for Embedders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedders")
            .field("builtin", &self.builtin.model())
            .field("model", &self.model.is_some())
            .finish()
    }
}

/// Turns text into vectors by a computation that is cheap enough for every write, and cannot fail.
///
/// The same text gives the same bits on every machine.
pub trait BuiltinEmbedder: Send + Sync {
    /// Returns the model whose space the vectors belong to.
    fn model(&self) -> EmbeddingModel;

    /// Returns how the vectors are made, which decides how far ranking trusts them.
    fn kind(&self) -> VectorKind;

    /// Embeds a passage, as `[f32; dim]` of length 1, or all zeros when nothing in it can be
    /// embedded.
    fn embed(&self, passage: &str) -> Vec<f32>;

    /// Embeds a query, likewise.
    ///
    /// `statistics` holds how rare each term is in what is searched.
    fn embed_query(&self, query: &str, statistics: &dyn TermStatistics) -> Vec<f32>;
}

/// Turns passages and queries into vectors of one model, in its own time.
pub trait Embedder: Send + Sync {
    /// Returns the model whose space the vectors belong to.
    ///
    /// # Errors
    ///
    /// [`Code::Unavailable`](crate::Code::Unavailable) when the width is not known yet and the
    /// provider that knows it does not answer.
    fn model(&self) -> BoxFuture<'_, Result<EmbeddingModel>>;

    /// Embeds passages, each as `[f32; dim]` of length 1.
    ///
    /// # Errors
    ///
    /// [`Code::Unavailable`](crate::Code::Unavailable) or [`Code::Timeout`](crate::Code::Timeout)
    /// when a provider does not answer after its retries.
    fn embed<'a>(&'a self, passages: &'a [&'a str]) -> BoxFuture<'a, Result<PassageVectors>>;

    /// Embeds a query, `[f32; dim]` of length 1, or all zeros when nothing in it can be embedded.
    ///
    /// # Errors
    ///
    /// As for [`embed`](Self::embed).
    fn embed_query<'a>(&'a self, query: &'a str) -> BoxFuture<'a, Result<Vec<f32>>>;
}
