//! What an agent knows: projects and memories.
//!
//! One folder an aggregate, with four files that open in this order: `mod.rs` (what it is, its
//! types), `sql.rs` (statements and rows), `ops.rs` or `ops/` (operations), `tests.rs`. Everything that is
//! written goes through [`athena_store::write`](athena_store::write()), everything that is searched
//! through [`athena_store::search`](athena_store::search()).

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

pub mod agents;
mod batch;
mod catalogue;
pub mod changes;
mod conditions;
pub mod context;
pub mod conversation;
pub mod events;
mod glob;
mod items;
pub mod memories;
pub mod paths;
pub mod priority;
pub mod privacy;
pub mod projects;
mod removal;
mod stored;
pub mod work;

pub use catalogue::{COLUMN_CLASSES, MIGRATIONS, catalogue, store, wire};
