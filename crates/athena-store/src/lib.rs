//! The one write path and the one search: everything that is remembered passes through here.
//!
//! [`write`](write()) performs a change in one transaction: the gates look at it, the caller's
//! closure stores its rows and logs what search must know, links are inferred, and the log rows
//! get their sequence numbers last, so that commit order is the order of the numbers on every
//! backend. [`search`](search()) brings this process's index up to the last commit first, so a row
//! is found right after its commit, in every process.
//!
//! *Architecture invariant*: no other crate inserts into the search tables.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

mod background;
mod changes;
mod classes;
mod embed_queue;
mod idempotency;
mod index_cache;
mod models;
mod privacy;
mod question;
mod residue;
mod schema_guard;
mod search;
mod segments;
mod spaces;
mod store;
mod write;

pub use background::{Background, flush};
pub use changes::{Change, changes, last_change};
pub use classes::{COLUMN_CLASSES, ColumnClass, TableClasses};
pub use embed_queue::{
    Due, Waiting, claim, done, due, enqueue, hasten, pending, postpone, put_back, requeue, waiting,
};
pub use models::{known_model_id, model_id, models};
pub use privacy::{
    Audited, Privacy, PrivacyState, Progress, Retokenised, Rotated, RotationState, VaultEntry,
    all_revealed, audit, audit_alone, forget_values, privacy_state, respelt, revealed, rotate,
    rotation_state, spelling, tokens_in, vault_sizes,
};
pub use question::{Question, question};
pub use residue::{erase_residue, owed_after_purge};
pub use search::{Prepared, Request, Searched, prepare, search};
pub use segments::{drop_vectors, remove_item, remove_items};
pub use spaces::{Spaces, hold_spaces, put_spaces, spaces, unsettled};
pub use store::{Chore, Derive, Gate, Intent, Link, Mirror, Source, Store};
pub use write::{Write, Written, write};

use athena_db::{MigrationFile, MigrationSet};

/// The tables of the search log, the embedding spaces, the idempotency keys, and of privacy.
pub const MIGRATIONS: MigrationSet = MigrationSet {
    name: "store",
    files: &[
        MigrationFile::new(
            1,
            "search_log",
            include_str!("../migrations/V001__search_log.sql"),
        ),
        MigrationFile::new(
            2,
            "embeddings",
            include_str!("../migrations/V002__embeddings.sql"),
        ),
        MigrationFile::new(
            3,
            "idempotency",
            include_str!("../migrations/V003__idempotency.sql"),
        ),
        MigrationFile::new(
            4,
            "privacy",
            include_str!("../migrations/V004__privacy.sql"),
        ),
        MigrationFile::new(
            5,
            "search_segments",
            include_str!("../migrations/V005__search_segments.sql"),
        ),
        MigrationFile::new(6, "spaces", include_str!("../migrations/V006__spaces.sql")),
        MigrationFile::new(
            7,
            "changes",
            include_str!("../migrations/V007__changes.sql"),
        ),
    ],
};
