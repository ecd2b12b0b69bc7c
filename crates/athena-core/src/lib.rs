//! The vocabulary of Athena: what a capability is, what it is called with, and how it fails.
//!
//! A capability is one [`Operation`]. It is listed in a [`Registry`], and every face (REST, MCP,
//! command line, tool files) is made from that registry: nobody writes a handler, a transfer type
//! or a help text twice. An operation receives a [`Ctx`] and answers a value or an [`Error`] with
//! a stable [`Code`].
//!
//! This crate performs no I/O of its own. It names the database, the clock and the embedder that
//! operations use, and leaves opening them to the binary.

mod clock;
mod ctx;
mod embedder;
mod error;
mod ids;
mod masker;
mod operation;
mod page;
mod registry;
pub mod schema;

pub use clock::{Clock, SystemClock};
pub use ctx::{Caller, Ctx, DEFAULT_PROJECT, Env, EnvBuilder, Idempotency};
pub use embedder::{BuiltinEmbedder, Embedder, Embedders, EmbeddingModel, PassageVectors};
pub use error::{Code, Error, Result};
pub use ids::{
    AgentId, EventId, GoalId, LeaseId, MemoryId, MessageId, ModelId, ProjectId, SnapshotId, TaskId,
    ThreadId, TriggerId,
};
pub use masker::{Call, Masked, Masker, TEXT_KIND};
pub use operation::{Cli, Effect, Http, Method, Operation, Scope, Spec};
pub use page::{Cursor, Page, PageRequest};
pub use registry::{Entry, Registry};
