//! The embedders that every Athena has: no network, no model file.

use crate::lexical;
#[cfg(feature = "semantic-table")]
use crate::table;
use athena_core::{BuiltinEmbedder, EmbeddingModel};
use athena_search::analyze::query_terms;
use athena_search::{TermStatistics, VectorKind};
use std::sync::Arc;

/// Returns the built-in embedder: the table with the feature `semantic-table`, hashed words without.
#[must_use]
pub fn builtin() -> Arc<dyn BuiltinEmbedder> {
    #[cfg(feature = "semantic-table")]
    return Arc::new(TableEmbedder);
    #[cfg(not(feature = "semantic-table"))]
    return Arc::new(LexicalEmbedder);
}

/// Embeds by adding up the rows of word pieces: see [`table`].
#[cfg(feature = "semantic-table")]
#[derive(Debug, Clone, Copy, Default)]
pub struct TableEmbedder;

#[cfg(feature = "semantic-table")]
impl BuiltinEmbedder for TableEmbedder {
    fn model(&self) -> EmbeddingModel {
        EmbeddingModel {
            name: table::MODEL_NAME.to_owned(),
            dim: table::DIM,
        }
    }

    fn kind(&self) -> VectorKind {
        VectorKind::Table
    }

    fn embed(&self, passage: &str) -> Vec<f32> {
        table::document_vector(passage)
    }

    fn embed_query(&self, query: &str, statistics: &dyn TermStatistics) -> Vec<f32> {
        table::query_vector(query, statistics)
    }
}

/// Embeds by hashing words and parts of words: see [`lexical`].
///
/// A passage without words points along the first component; a query without words is all zeros.
#[derive(Debug, Clone, Copy, Default)]
pub struct LexicalEmbedder;

impl BuiltinEmbedder for LexicalEmbedder {
    fn model(&self) -> EmbeddingModel {
        EmbeddingModel {
            name: lexical::MODEL_NAME.to_owned(),
            dim: lexical::DIM,
        }
    }

    fn kind(&self) -> VectorKind {
        VectorKind::Words
    }

    fn embed(&self, passage: &str) -> Vec<f32> {
        lexical::document_vector(passage)
    }

    fn embed_query(&self, query: &str, statistics: &dyn TermStatistics) -> Vec<f32> {
        if query_terms(query).is_empty() {
            return vec![0.0; lexical::DIM];
        }
        lexical::query_vector(query, statistics)
    }
}
