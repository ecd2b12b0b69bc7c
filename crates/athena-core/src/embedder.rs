//! What turns text into vectors, as seen by everything that needs one.

use crate::Result;
use athena_search::TermStatistics;
use futures_util::future::BoxFuture;

/// The identity of an embedding space: vectors compare only within one model.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EmbeddingModel {
    /// Stable name, such as `athena-lexical-v1` or `ollama/nomic-embed-text`.
    pub name: String,
    /// Number of components of each vector.
    pub dim: usize,
}

/// The vectors of several passages, in the order in which they were asked for.
pub type PassageVectors = Vec<Vec<f32>>;

/// Turns passages and queries into vectors of one model.
pub trait Embedder: Send + Sync {
    /// Returns the model whose space the vectors belong to.
    ///
    /// # Errors
    ///
    /// [`Code::Unavailable`](crate::Code::Unavailable) when the width is not known yet and the
    /// provider that knows it does not answer.
    fn model(&self) -> BoxFuture<'_, Result<EmbeddingModel>>;

    /// Whether embedding is a computation in this process, cheap enough to run inside a write.
    ///
    /// Providers over the network answer `false`: their vectors follow the write through the
    /// embedding queue.
    fn is_inline(&self) -> bool;

    /// Whether the space counts shared words rather than meaning.
    ///
    /// Ranking gives such vectors less weight, and results are labelled so.
    fn is_lexical(&self) -> bool;

    /// Embeds passages, each as `[f32; dim]` of length 1.
    ///
    /// # Errors
    ///
    /// [`Code::Unavailable`](crate::Code::Unavailable) or [`Code::Timeout`](crate::Code::Timeout)
    /// when a provider does not answer after its retries.
    fn embed<'a>(&'a self, passages: &'a [&'a str]) -> BoxFuture<'a, Result<PassageVectors>>;

    /// Embeds a query, `[f32; dim]` of length 1, or all zeros when nothing in it can be embedded.
    ///
    /// `statistics` holds how rare each term is in the searched projects: the built-in embedder
    /// weighs the query with it, others ignore it.
    ///
    /// # Errors
    ///
    /// As for [`embed`](Self::embed).
    fn embed_query<'a>(
        &'a self,
        query: &'a str,
        statistics: &'a (dyn TermStatistics + Sync),
    ) -> BoxFuture<'a, Result<Vec<f32>>>;
}
