//! The embedder that every Athena has: hashed words, no network, no model file.

use crate::lexical;
use athena_core::{Embedder, EmbeddingModel, PassageVectors, Result};
use athena_search::TermStatistics;
use athena_search::analyze::query_terms;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

/// Embeds by hashing words and parts of words, in this process.
///
/// The same text gives the same bits on every machine. A passage without words points along the
/// first component; a query without words is all zeros.
#[derive(Debug, Clone, Copy, Default)]
pub struct BuiltinEmbedder;

impl Embedder for BuiltinEmbedder {
    fn model(&self) -> BoxFuture<'_, Result<EmbeddingModel>> {
        let model = EmbeddingModel {
            name: lexical::MODEL_NAME.to_owned(),
            dim: lexical::DIM,
        };
        ready(Ok(model)).boxed()
    }

    fn is_inline(&self) -> bool {
        true
    }

    fn is_lexical(&self) -> bool {
        true
    }

    fn embed<'a>(&'a self, passages: &'a [&'a str]) -> BoxFuture<'a, Result<PassageVectors>> {
        let vectors = passages
            .iter()
            .map(|passage| lexical::document_vector(passage))
            .collect();
        ready(Ok(vectors)).boxed()
    }

    fn embed_query<'a>(
        &'a self,
        query: &'a str,
        statistics: &'a (dyn TermStatistics + Sync),
    ) -> BoxFuture<'a, Result<Vec<f32>>> {
        let vector = if query_terms(query).is_empty() {
            vec![0.0; lexical::DIM]
        } else {
            lexical::query_vector(query, statistics)
        };
        ready(Ok(vector)).boxed()
    }
}
