//! Everything this crate offers, in one list.

use crate::{memories, privacy, projects, work};
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
        MigrationFile::new(4, "work", include_str!("../migrations/V004__work.sql")),
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
        .with::<projects::Create>()
        .with::<projects::Get>()
        .with::<projects::GetByPath>()
        .with::<projects::List>()
        .with::<projects::UpdateAccess>()
        .with::<projects::Delete>()
        .with::<privacy::Scan>()
        .with::<privacy::Reveal>()
        .with::<privacy::Status>()
        .with::<work::goals::Create>()
        .with::<work::goals::Get>()
        .with::<work::goals::List>()
        .with::<work::goals::Update>()
        .with::<work::goals::Remove>()
        .with::<work::goals::Restore>()
        .with::<work::goals::Purge>()
        .with::<work::tasks::Create>()
        .with::<work::tasks::Get>()
        .with::<work::tasks::List>()
        .with::<work::tasks::Search>()
        .with::<work::tasks::Ready>()
        .with::<work::tasks::Update>()
        .with::<work::tasks::Advance>()
        .with::<work::tasks::Start>()
        .with::<work::tasks::Complete>()
        .with::<work::tasks::Fail>()
        .with::<work::tasks::Block>()
        .with::<work::tasks::Unblock>()
        .with::<work::tasks::Reopen>()
        .with::<work::tasks::Depend>()
        .with::<work::tasks::Undepend>()
        .with::<work::tasks::RecordAttempt>()
        .with::<work::tasks::ReadHealth>()
        .with::<work::tasks::Knowledge>()
        .with::<work::tasks::Remove>()
        .with::<work::tasks::Restore>()
        .with::<work::tasks::Purge>()
        .with::<work::triggers::Create>()
        .with::<work::triggers::List>()
        .with::<work::triggers::Remove>()
        .with::<work::triggers::Notify>()
        .with::<work::triggers::DueNow>()
        .with::<work::triggers::Acknowledge>()
        .with::<work::triggers::Snooze>()
        .with::<work::snapshots::Save>()
        .with::<work::snapshots::Latest>()
        .with::<work::snapshots::List>()
        .with::<work::snapshots::Get>()
        .with::<work::snapshots::Purge>()
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
        .with_chore(work::triggers::FireDue)
        .with_derive(memories::DeriveMemories)
        .with_derive(work::goals::DeriveGoals)
        .with_derive(work::tasks::DeriveTasks)
        .with_source(memories::LogMemories)
        .with_source(work::goals::LogGoals)
        .with_source(work::tasks::LogTasks)
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
        table: "prospective_goals",
        columns: &[
            ("id", Plain),
            ("project_id", Plain),
            ("uid", Plain),
            ("version", Plain),
            ("name", Tokenised),
            ("description", Tokenised),
            ("goal_type", Plain),
            ("priority", Plain),
            ("status", Plain),
            ("completion_percentage", Plain),
            ("estimated_completion_date", Plain),
            ("deadline", Plain),
            ("parent_goal_id", Plain),
            ("related_memory_ids", Plain),
            ("principal", Plain),
            ("created_at", Plain),
            ("updated_at", Plain),
            ("completed_at", Plain),
            ("removed_at", Plain),
            ("live_key", Plain),
        ],
    },
    TableClasses {
        table: "prospective_tasks",
        columns: &[
            ("id", Plain),
            ("project_id", Plain),
            ("uid", Plain),
            ("version", Plain),
            ("title", Tokenised),
            ("description", Tokenised),
            ("active_form", Tokenised),
            ("kind", Plain),
            ("phase", Plain),
            ("phase_started_at", Plain),
            ("phase_minutes", Plain),
            ("blocked_reason", Tokenised),
            ("failure_reason", Tokenised),
            ("priority", Plain),
            ("goal_id", Plain),
            ("parent_task_id", Plain),
            ("assignee", Tokenised),
            ("estimated_minutes", Plain),
            ("actual_minutes", Plain),
            ("due_at", Plain),
            ("related_memory_ids", Plain),
            ("related_code_ids", Plain),
            ("completion_percentage", Plain),
            ("success_rate", Plain),
            ("lessons", Tokenised),
            ("acceptance", Tokenised),
            ("plan", Tokenised),
            ("attempts", Plain),
            ("max_cycles", Plain),
            ("principal", Plain),
            ("created_at", Plain),
            ("updated_at", Plain),
            ("started_at", Plain),
            ("completed_at", Plain),
            ("removed_at", Plain),
            ("live_key", Plain),
        ],
    },
    TableClasses {
        table: "task_dependencies",
        columns: &[
            ("task_id", Plain),
            ("depends_on", Plain),
            ("dependency_type", Plain),
            ("principal", Plain),
            ("created_at", Plain),
        ],
    },
    TableClasses {
        table: "task_attempts",
        columns: &[
            ("id", Plain),
            ("task_id", Plain),
            ("number", Plain),
            ("outcome", Plain),
            ("error_type", Tokenised),
            ("lesson", Tokenised),
            ("replan_reason", Tokenised),
            ("minutes", Plain),
            ("principal", Plain),
            ("started_at", Plain),
            ("ended_at", Plain),
        ],
    },
    TableClasses {
        table: "task_triggers",
        columns: &[
            ("id", Plain),
            ("project_id", Plain),
            ("task_id", Plain),
            ("trigger_type", Plain),
            ("due_at", Plain),
            ("schedule", Plain),
            ("time_zone", Plain),
            ("next_due_at", Plain),
            ("event_type", Tokenised),
            ("outcome", Tokenised),
            ("content", Tokenised),
            ("path", HomeRelative),
            ("location", Tokenised),
            ("tags", Tokenised),
            ("depends_on", Plain),
            ("fired_count", Plain),
            ("last_fired_at", Plain),
            ("principal", Plain),
            ("created_at", Plain),
        ],
    },
    TableClasses {
        table: "reminders",
        columns: &[
            ("id", Plain),
            ("project_id", Plain),
            ("task_id", Plain),
            ("trigger_id", Plain),
            ("due_at", Plain),
            ("fired_at", Plain),
            ("missed", Plain),
            ("reason", Tokenised),
            ("snoozed_until", Plain),
            ("acknowledged_at", Plain),
            ("open_key", Plain),
        ],
    },
    TableClasses {
        table: "session_snapshots",
        columns: &[
            ("id", Plain),
            ("project_id", Plain),
            ("uid", Plain),
            ("session_id", Tokenised),
            ("summary", Tokenised),
            ("next_step", Tokenised),
            ("task_ids", Plain),
            ("goal_ids", Plain),
            ("failures", Tokenised),
            ("todos", Tokenised),
            ("principal", Plain),
            ("taken_at", Plain),
        ],
    },
];
