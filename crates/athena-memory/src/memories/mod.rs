//! Memories: what was told to Athena, version by version.
//!
//! A memory is never changed in place: an update adds a version and marks the old one as
//! superseded by it. Forgetting takes it out of recall and can be undone; purging takes every
//! version away for good and answers a receipt. The table keeps the name that the founding
//! document gave it, `memory_vectors`.

mod embedding;
pub(crate) mod indexing;
mod native;
mod ops;
mod reembed;
mod relog;
mod retokenise;
mod sql;
#[cfg(test)]
mod tests;
mod vectors;

use crate::stored::stored_as_text;
use athena_core::{MemoryId, ProjectId};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use embedding::EmbedPending;
pub use indexing::CALLER_MODEL;
pub use native::{FillNative, KeepNative, NativeState, SearchMode, Searching, native_state};
pub use ops::*;
pub use reembed::{ReembedProgress, Reembedding, reembed};
pub use relog::LogMemories;
pub use retokenise::DeriveMemories;
pub(crate) use sql::standing;

pub(crate) use sql::by_ids;

/// The largest text a memory may hold, in bytes.
pub const MAX_CONTENT_BYTES: usize = 1024 * 1024;

/// What sort of thing a memory says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MemoryType {
    /// Something that is so.
    #[default]
    Fact,
    /// Something that keeps happening, or a way that keeps working.
    Pattern,
    /// Something that was decided, and why.
    Decision,
    /// What was going on: a turn of a conversation, a situation.
    Context,
    /// A piece of code.
    CodeSnippet,
    /// What somebody likes or wants done.
    Preference,
    /// What must be kept to.
    Rule,
}

impl MemoryType {
    /// Returns the name that is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fact => "fact",
            Self::Pattern => "pattern",
            Self::Decision => "decision",
            Self::Context => "context",
            Self::CodeSnippet => "code_snippet",
            Self::Preference => "preference",
            Self::Rule => "rule",
        }
    }
}

/// Where a memory stands in consolidation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConsolidationState {
    /// New.
    #[default]
    Unconsolidated,
    /// Being looked at.
    Consolidating,
    /// Settled.
    Consolidated,
    /// Recalled a short while ago, and open to change.
    Labile,
    /// Being changed after a recall.
    Reconsolidating,
    /// Replaced by a newer version.
    Superseded,
}

impl ConsolidationState {
    /// Returns the name that is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unconsolidated => "unconsolidated",
            Self::Consolidating => "consolidating",
            Self::Consolidated => "consolidated",
            Self::Labile => "labile",
            Self::Reconsolidating => "reconsolidating",
            Self::Superseded => "superseded",
        }
    }

    /// The states of memories that are current.
    pub const LIVE: [Self; 5] = [
        Self::Unconsolidated,
        Self::Consolidating,
        Self::Consolidated,
        Self::Labile,
        Self::Reconsolidating,
    ];

    /// Whether a memory may go from this state to another.
    ///
    /// The cycle is unconsolidated → consolidating → consolidated → labile → reconsolidating →
    /// consolidated. Any current memory may become labile. Only an update supersedes.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        use ConsolidationState as S;
        match (self, next) {
            (S::Superseded, _) | (_, S::Superseded) => false,
            (_, S::Labile)
            | (S::Unconsolidated, S::Consolidating)
            | (S::Consolidating | S::Reconsolidating | S::Labile, S::Consolidated)
            | (S::Labile, S::Reconsolidating) => true,
            (from, to) => from == to,
        }
    }
}

stored_as_text!(MemoryType, "a memory type");
stored_as_text!(ConsolidationState, "a consolidation state");

/// One version of a memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Memory {
    /// The id of this version.
    pub id: MemoryId,
    /// The id of the project it belongs to.
    pub project_id: ProjectId,
    /// The id of this version in every store that it is moved to.
    pub uid: Uuid,
    /// The `uid` of the first version; all versions share it.
    pub lineage: Uuid,
    /// 1 for the first version.
    pub version: i64,
    /// The version that replaced this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<MemoryId>,
    /// When that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub superseded_at: Option<Timestamp>,
    /// Why this version was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_reason: Option<String>,
    /// The text.
    pub content: String,
    /// What the text is, such as `text` or `markdown`.
    pub content_type: String,
    /// What sort of thing it says.
    #[serde(rename = "type")]
    pub memory_type: MemoryType,
    /// The field it belongs to, such as `memory`, `planning` or `code-analysis`.
    pub domain: String,
    /// How much a rule or a preference matters, 1 to 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// The paths that it is about, as a pattern; everywhere without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Its tags, in the order in which they were given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Anything else that came with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
    /// The session it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Who said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,
    /// The role of who said it, such as `user`, `assistant` or `tool`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// What a picture that came with it shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// Its place in the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<i64>,
    /// The kind of event it was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// The language of a piece of code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code_language: Option<String>,
    /// The hash of a piece of code, as its source computed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code_hash: Option<String>,
    /// Where it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Which agent told it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// How far its source is trusted, 0 to 1.
    pub trust: f64,
    /// Its id where it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// How sure it is, 0 to 1.
    pub confidence: f64,
    /// How useful it has proved, 0 to 1.
    pub usefulness: f64,
    /// `0.5 · usefulness + 0.3 · confidence + 0.2 · min(access_count / 100, 1)`.
    pub quality: f64,
    /// How often it was used.
    pub access_count: i64,
    /// Where it stands in consolidation.
    pub state: ConsolidationState,
    /// When it was consolidated last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consolidated_at: Option<Timestamp>,
    /// When what it says happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<Timestamp>,
    /// From when on it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Timestamp>,
    /// Until when it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    /// When it goes out of recall by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Who wrote it.
    pub principal: String,
    /// When this version was stored.
    pub created_at: Timestamp,
    /// When something about this version changed last.
    pub updated_at: Timestamp,
    /// When it was used last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_accessed: Option<Timestamp>,
    /// When it was recalled last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_retrieved_at: Option<Timestamp>,
    /// When it was forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forgotten_at: Option<Timestamp>,
    /// Why it was forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forget_reason: Option<String>,
}

/// Returns the quality of a memory, as seed 004 defines it.
#[must_use]
pub fn quality(usefulness: f64, confidence: f64, access_count: i64) -> f64 {
    let accesses = f64::from(i32::try_from(access_count.clamp(0, 100)).unwrap_or(100));
    0.5 * usefulness + 0.3 * confidence + 0.2 * (accesses / 100.0)
}
