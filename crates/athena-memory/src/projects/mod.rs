//! Projects: what an agent works on, and the boundary of what it sees.
//!
//! A memory belongs to one project. A name and a path are each unique among the projects that
//! exist; a deleted project keeps its memories, out of sight, and blocks neither.

mod ops;
mod sql;

use athena_core::ProjectId;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use ops::{Create, Delete, Deleted, Get, GetByPath, List, ProjectAccessed, UpdateAccess};
pub(crate) use ops::{Known, all, embedding_dim, for_reading, for_writing, name, named, own};

/// The project that is searched along with any other, if it exists.
pub const PERSONAL: &str = "personal";
/// Components of the vectors that callers bring, unless the project says otherwise.
pub const DEFAULT_EMBEDDING_DIM: u32 = 768;
/// Seconds between two consolidations, unless the project says otherwise.
pub const DEFAULT_CONSOLIDATION_INTERVAL: u32 = 3_600;

/// A project.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Project {
    /// Its id in this store.
    pub id: ProjectId,
    /// Its name, unique among the projects that exist.
    pub name: String,
    /// The folder it lives in, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its main programming language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Its main framework.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub framework: Option<String>,
    /// Components of the vectors that callers may bring to it.
    pub embedding_dim: u32,
    /// Seconds between two consolidations.
    pub consolidation_interval: u32,
    /// How many current memories it has.
    pub memory_count: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_accessed: Timestamp,
    /// When its own fields last changed.
    pub last_modified: Timestamp,
}
