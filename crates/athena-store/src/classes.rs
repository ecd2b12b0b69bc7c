//! What may be personal in each column, declared where the column is made.
//!
//! Every column that Athena stores has a class; a test of the schema fails for one without. Inputs
//! are masked before an operation sees them, so the classes say what may be met where: in which
//! columns tokens stand, and which are made from them.

/// How the write path treats what goes into a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnClass {
    /// Prose, titles, metadata, events, messages: personal data is replaced by tokens.
    Tokenised,
    /// Paths: the user's home becomes `~`, and lookups are normalised alike.
    HomeRelative,
    /// Bytes that must come back as they went in: scanned, reported, sealed, never indexed.
    Exact,
    /// Made from tokenised text, such as terms and vectors: made anew when tokens change.
    Derived,
    /// Bytes that Athena itself has sealed.
    Sealed,
    /// Numbers, times, names from a closed list and what Athena makes up itself.
    Plain,
}

/// The classes of one table's columns.
#[derive(Debug, Clone, Copy)]
pub struct TableClasses {
    /// The table.
    pub table: &'static str,
    /// Each of its columns, by name.
    pub columns: &'static [(&'static str, ColumnClass)],
}

impl TableClasses {
    /// Returns the columns that hold text with tokens.
    pub fn texts(&self) -> impl Iterator<Item = &'static str> + use<> {
        let tokenised = |class| matches!(class, Tokenised | HomeRelative);
        self.columns
            .iter()
            .filter(move |(_, class)| tokenised(*class))
            .map(|(name, _)| *name)
    }
}

use ColumnClass::{Derived, HomeRelative, Plain, Sealed, Tokenised};

/// The classes of this crate's own columns.
pub const COLUMN_CLASSES: &[TableClasses] = &[
    TableClasses {
        table: "search_tail",
        columns: &[
            ("project_id", Plain),
            ("seq", Plain),
            ("kind", Plain),
            ("item_id", Plain),
            ("record", Derived),
        ],
    },
    TableClasses {
        table: "search_segments",
        columns: &[
            ("id", Plain),
            ("project_id", Plain),
            ("first_seq", Plain),
            ("last_seq", Plain),
            ("passages", Plain),
            ("ready", Plain),
            ("created_at", Plain),
        ],
    },
    TableClasses {
        table: "search_chunks",
        columns: &[
            ("project_id", Plain),
            ("segment_id", Plain),
            ("kind", Plain),
            ("part", Plain),
            ("bytes", Derived),
        ],
    },
    TableClasses {
        table: "search_heads",
        columns: &[
            ("project_id", Plain),
            ("seq", Plain),
            ("sealed_seq", Plain),
            ("replaced", Plain),
            ("purged", Plain),
            ("format", Plain),
            ("builtin_id", Plain),
            ("builtin_to", Plain),
            ("model_id", Plain),
            ("next_id", Plain),
            ("queued_to", Plain),
            ("cleared_to", Plain),
            ("change_seq", Plain),
        ],
    },
    TableClasses {
        table: "changes",
        columns: &[
            ("project_id", Plain),
            ("seq", Plain),
            ("kind", Plain),
            ("item_id", Plain),
            ("operation", Plain),
            ("principal", Plain),
            ("at", Plain),
        ],
    },
    TableClasses {
        table: "embedding_models",
        columns: &[
            ("id", Plain),
            ("name", Plain),
            ("dim", Plain),
            ("created_at", Plain),
        ],
    },
    TableClasses {
        table: "embed_queue",
        columns: &[
            ("kind", Plain),
            ("item_id", Plain),
            ("project_id", Plain),
            ("attempts", Plain),
            ("next_attempt_at", Plain),
        ],
    },
    TableClasses {
        table: "idempotency_keys",
        columns: &[
            ("principal", Plain),
            ("idempotency_key", Tokenised),
            ("request_hash", Plain),
            ("response", Tokenised),
            ("created_at", Plain),
        ],
    },
    TableClasses {
        table: "privacy_key",
        columns: &[
            ("id", Plain),
            ("fingerprint", Plain),
            ("token_key", Sealed),
            ("previous", Plain),
            ("retokenise", Plain),
            ("changed_at", Plain),
        ],
    },
    TableClasses {
        table: "pii_vault",
        columns: &[
            ("project", Plain),
            ("token", Tokenised),
            ("fingerprint", Plain),
            ("sealed", Sealed),
            ("renewed", Tokenised),
            ("created_at", Plain),
        ],
    },
    TableClasses {
        table: "audit_log",
        columns: &[
            ("id", Plain),
            ("at", Plain),
            ("principal", Plain),
            ("action", Plain),
            ("project", Plain),
            ("subject", Tokenised),
            ("reason", Tokenised),
            ("outcome", Plain),
        ],
    },
];
