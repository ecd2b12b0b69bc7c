//! Everything this crate offers, in one list.

use crate::{changes, context, events, memories, privacy, projects};
use athena_core::{EnvBuilder, Registry};
use athena_db::{MigrationFile, MigrationSet};
use athena_search::Recipe;
use athena_store::{ColumnClass, Privacy, Store, TableClasses};
use std::sync::Arc;

/// The tables of this crate.
pub const MIGRATIONS: MigrationSet = MigrationSet {
    name: "memory",
    files: &[
        MigrationFile::new(
            1,
            "projects",
            include_str!("../migrations/V001__projects.sql"),
        ),
        MigrationFile::new(
            2,
            "memories",
            include_str!("../migrations/V002__memories.sql"),
        ),
        MigrationFile::new(
            7,
            "typed_memories",
            include_str!("../migrations/V007__typed_memories.sql"),
        ),
        MigrationFile::new(3, "events", include_str!("../migrations/V003__events.sql")),
    ],
};

/// Lists the operations of this crate.
#[must_use]
pub fn catalogue(registry: Registry) -> Registry {
    registry
        .with::<memories::Remember>()
        .with::<memories::Recall>()
        .with::<memories::Get>()
        .with::<memories::Update>()
        .with::<memories::Forget>()
        .with::<memories::List>()
        .with::<memories::History>()
        .with::<memories::Restore>()
        .with::<memories::Purge>()
        .with::<memories::RememberBatch>()
        .with::<memories::SemanticSearch>()
        .with::<memories::HybridSearch>()
        .with::<memories::Relate>()
        .with::<memories::Relations>()
        .with::<memories::UpdateAccessStats>()
        .with::<memories::Feedback>()
        .with::<memories::UpdateConsolidationState>()
        .with::<memories::ReconsolidationWindow>()
        .with::<memories::Export>()
        .with::<memories::Import>()
        .with::<memories::Reembed>()
        .with::<events::Record>()
        .with::<events::RecordBatch>()
        .with::<events::Get>()
        .with::<events::Timeline>()
        .with::<events::Search>()
        .with::<events::SpanOf>()
        .with::<events::Compare>()
        .with::<events::Around>()
        .with::<events::ChangesSincePass>()
        .with::<events::Learned>()
        .with::<events::MarkUsed>()
        .with::<events::Consolidate>()
        .with::<events::Remove>()
        .with::<events::Restore>()
        .with::<events::Purge>()
        .with::<events::SourceCursor>()
        .with::<events::SetSourceCursor>()
        .with::<projects::Create>()
        .with::<projects::Get>()
        .with::<projects::GetByPath>()
        .with::<projects::List>()
        .with::<projects::UpdateAccess>()
        .with::<projects::Delete>()
        .with::<changes::List>()
        .with::<context::Context>()
        .with::<privacy::Scan>()
        .with::<privacy::Reveal>()
        .with::<privacy::Status>()
}

/// Puts what these operations need into an environment: the store, its chores, the counters, and
/// what takes personal data out of every input.
#[must_use]
pub fn wire(env: EnvBuilder, privacy: Arc<Privacy>) -> EnvBuilder {
    let store = store(Arc::clone(&privacy));
    env.masker(privacy)
        .part(store)
        .part(memories::Retrievals::default())
        .part(memories::Searching::default())
        .part(Recipe::default())
}

/// Makes the store that these operations need.
#[must_use]
pub fn store(privacy: Arc<Privacy>) -> Store {
    let known = [&athena_store::MIGRATIONS, &MIGRATIONS];
    Store::new(&known, COLUMN_CLASSES, privacy)
        .with_chore(memories::FlushRetrievals)
        .with_chore(memories::EmbedPending)
        .with_chore(memories::Reembedding)
        .with_chore(memories::FillNative)
        .with_derive(memories::DeriveMemories)
        .with_source(memories::LogMemories)
        .with_derive(events::DeriveEvents)
        .with_source(events::LogEvents)
        .with_mirror(memories::KeepNative)
}

use ColumnClass::{Derived, HomeRelative, Plain, Tokenised};

/// The privacy class of every column of this crate's tables.
pub const COLUMN_CLASSES: &[TableClasses] = &[
    TableClasses {
        table: "projects",
        columns: &[
            ("id", Plain),
            ("name", Plain),
            ("path", HomeRelative),
            ("description", Tokenised),
            ("language", Tokenised),
            ("framework", Tokenised),
            ("embedding_dim", Plain),
            ("consolidation_interval", Plain),
            ("principal", Plain),
            ("created_at", Plain),
            ("last_accessed", Plain),
            ("last_modified", Plain),
            ("deleted_at", Plain),
            ("live_key", Plain),
        ],
    },
    TableClasses {
        table: "memory_vectors",
        columns: &[
            ("id", Plain),
            ("project_id", Plain),
            ("uid", Plain),
            ("lineage", Plain),
            ("version", Plain),
            ("superseded_by", Plain),
            ("superseded_at", Plain),
            ("priority", Plain),
            ("scope", HomeRelative),
            ("update_reason", Tokenised),
            ("content", Tokenised),
            ("content_type", Tokenised),
            ("content_hash", Plain),
            ("memory_type", Plain),
            ("domain", Tokenised),
            ("tags", Tokenised),
            ("metadata", Tokenised),
            ("session_id", Tokenised),
            ("speaker", Tokenised),
            ("role", Tokenised),
            ("caption", Tokenised),
            ("position", Plain),
            ("event_type", Tokenised),
            ("code_language", Tokenised),
            ("code_hash", Tokenised),
            ("source", Tokenised),
            ("agent", Tokenised),
            ("trust", Plain),
            ("external_id", Tokenised),
            ("confidence", Plain),
            ("usefulness_score", Plain),
            ("access_count", Plain),
            ("consolidation_state", Plain),
            ("consolidated_at", Plain),
            ("occurred_at", Plain),
            ("valid_from", Plain),
            ("valid_until", Plain),
            ("expires_at", Plain),
            ("principal", Tokenised),
            ("created_at", Plain),
            ("updated_at", Plain),
            ("last_accessed", Plain),
            ("last_retrieved_at", Plain),
            ("forgotten_at", Plain),
            ("forget_reason", Tokenised),
            ("live_key", Plain),
        ],
    },
    TableClasses {
        table: "memory_passages",
        columns: &[
            ("memory_id", Plain),
            ("model_id", Plain),
            ("n", Plain),
            ("start_offset", Plain),
            ("end_offset", Plain),
            ("e", Derived),
        ],
    },
    TableClasses {
        table: "memory_relationships",
        columns: &[
            ("id", Plain),
            ("project_id", Plain),
            ("from_memory_id", Plain),
            ("to_memory_id", Plain),
            ("relationship_type", Tokenised),
            ("strength", Plain),
            ("principal", Plain),
            ("created_at", Plain),
        ],
    },
    TableClasses {
        table: "memory_feedback",
        columns: &[
            ("id", Plain),
            ("memory_id", Plain),
            ("useful", Plain),
            ("note", Tokenised),
            ("principal", Plain),
            ("created_at", Plain),
        ],
    },
    TableClasses {
        table: "episodic_events",
        columns: &[
            ("id", Plain),
            ("project_id", Plain),
            ("uid", Plain),
            ("session_id", Tokenised),
            ("agent", Tokenised),
            ("source", Tokenised),
            ("idempotency_key", Tokenised),
            ("event_type", Plain),
            ("content", Tokenised),
            ("outcome", Plain),
            ("occurred_at", Plain),
            ("time_precision", Plain),
            ("duration_ms", Plain),
            ("context_cwd", HomeRelative),
            ("context_files", HomeRelative),
            ("context_task", Tokenised),
            ("context_phase", Tokenised),
            ("context_branch", Tokenised),
            ("files_changed", Plain),
            ("lines_added", Plain),
            ("lines_deleted", Plain),
            ("file_path", HomeRelative),
            ("symbol", Tokenised),
            ("language", Tokenised),
            ("diff", Tokenised),
            ("git_commit", Tokenised),
            ("git_author", Tokenised),
            ("test_name", Tokenised),
            ("test_passed", Plain),
            ("error_type", Tokenised),
            ("stack_trace", Tokenised),
            ("learned", Tokenised),
            ("tags", Tokenised),
            ("metadata", Tokenised),
            ("surprise_score", Plain),
            ("confidence", Plain),
            ("evidence_type", Plain),
            ("evidence_quality", Plain),
            ("importance", Plain),
            ("actionable", Plain),
            ("uses", Plain),
            ("last_used_at", Plain),
            ("caused_by", Plain),
            ("consolidation_status", Plain),
            ("consolidated_at", Plain),
            ("memory_vector_id", Plain),
            ("content_hash", Plain),
            ("time_bucket", Plain),
            ("principal", Tokenised),
            ("created_at", Plain),
            ("removed_at", Plain),
            ("live_key", Plain),
        ],
    },
    TableClasses {
        table: "event_files",
        columns: &[
            ("id", Plain),
            ("project_id", Plain),
            ("event_id", Plain),
            ("path", HomeRelative),
        ],
    },
    TableClasses {
        table: "event_metrics",
        columns: &[
            ("id", Plain),
            ("event_id", Plain),
            ("name", Tokenised),
            ("value", Plain),
        ],
    },
    TableClasses {
        table: "event_source_cursors",
        columns: &[
            ("id", Plain),
            ("project_id", Plain),
            ("source_id", Tokenised),
            ("position", Tokenised),
            ("updated_at", Plain),
        ],
    },
];
