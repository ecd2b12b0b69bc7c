//! Everything this crate offers, in one list.

use crate::{agents, changes, context, conversation, events, memories, privacy, projects, work};
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
        MigrationFile::new(3, "events", include_str!("../migrations/V003__events.sql")),
        MigrationFile::new(4, "work", include_str!("../migrations/V004__work.sql")),
        MigrationFile::new(5, "agents", include_str!("../migrations/V005__agents.sql")),
        MigrationFile::new(
            6,
            "conversation",
            include_str!("../migrations/V006__conversation.sql"),
        ),
        MigrationFile::new(
            7,
            "typed_memories",
            include_str!("../migrations/V007__typed_memories.sql"),
        ),
        MigrationFile::new(
            8,
            "task_standings",
            include_str!("../migrations/V008__task_standings.sql"),
        ),
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
        .with::<events::PurgeSourceCursor>()
        .with::<projects::Create>()
        .with::<projects::Get>()
        .with::<projects::GetByPath>()
        .with::<projects::List>()
        .with::<projects::UpdateAccess>()
        .with::<projects::Delete>()
        .with::<changes::List>()
        .with::<context::Context>()
        .with::<agents::Register>()
        .with::<agents::AgentGet>()
        .with::<agents::AgentList>()
        .with::<agents::AgentHeartbeat>()
        .with::<agents::AgentRoute>()
        .with::<agents::AgentRemove>()
        .with::<agents::AgentPurge>()
        .with::<agents::Put>()
        .with::<agents::PutBatch>()
        .with::<agents::Claim>()
        .with::<agents::QueueHeartbeat>()
        .with::<agents::Complete>()
        .with::<agents::Fail>()
        .with::<agents::Release>()
        .with::<agents::QueueGet>()
        .with::<agents::QueueList>()
        .with::<agents::QueueStats>()
        .with::<agents::Cancel>()
        .with::<agents::Retry>()
        .with::<agents::QueuePurge>()
        .with::<agents::Acquire>()
        .with::<agents::Renew>()
        .with::<agents::LeaseRelease>()
        .with::<agents::LeaseList>()
        .with::<conversation::SessionStart>()
        .with::<conversation::SessionEnd>()
        .with::<conversation::SessionGet>()
        .with::<conversation::SessionList>()
        .with::<conversation::SessionPurge>()
        .with::<conversation::ThreadCreate>()
        .with::<conversation::ThreadGet>()
        .with::<conversation::ThreadList>()
        .with::<conversation::ThreadUpdate>()
        .with::<conversation::ThreadClose>()
        .with::<conversation::ThreadReopen>()
        .with::<conversation::ThreadArchive>()
        .with::<conversation::ThreadUnarchive>()
        .with::<conversation::ThreadRemove>()
        .with::<conversation::ThreadRestore>()
        .with::<conversation::ThreadPurge>()
        .with::<conversation::ThreadStats>()
        .with::<conversation::ThreadSummarise>()
        .with::<conversation::ThreadContext>()
        .with::<conversation::MessageAdd>()
        .with::<conversation::MessageAddBatch>()
        .with::<conversation::MessageList>()
        .with::<conversation::MessageSearch>()
        .with::<conversation::MessagePurge>()
        .with::<conversation::Resume>()
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
        .with_chore(agents::ExpireLeases)
        .with_chore(conversation::PurgeExpiredThreads)
        .with_derive(conversation::DeriveMessages)
        .with_derive(conversation::DeriveThreads)
        .with_source(conversation::LogMessages)
        .with_chore(work::triggers::FireDue)
        .with_derive(work::goals::DeriveGoals)
        .with_derive(work::tasks::DeriveTasks)
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
            ("told_by", Plain),
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
    TableClasses {
        table: "agents",
        columns: &[
            ("id", Plain),
            ("project_id", Plain),
            ("uid", Plain),
            ("agent_id", Tokenised),
            ("capabilities", Tokenised),
            ("max_concurrent", Plain),
            ("lease_seconds", Plain),
            ("metadata", Tokenised),
            ("completed", Plain),
            ("failed", Plain),
            ("total_ms", Plain),
            ("last_heartbeat_at", Plain),
            ("alive_until", Plain),
            ("principal", Tokenised),
            ("created_at", Plain),
            ("updated_at", Plain),
            ("removed_at", Plain),
            ("live_key", Plain),
        ],
    },
    TableClasses {
        table: "queue_items",
        columns: &[
            ("id", Plain),
            ("project_id", Plain),
            ("uid", Plain),
            ("queue", Tokenised),
            ("title", Tokenised),
            ("payload", Tokenised),
            ("task_id", Plain),
            ("requires", Tokenised),
            ("priority", Plain),
            ("turn", Plain),
            ("not_before", Plain),
            ("max_attempts", Plain),
            ("attempts", Plain),
            ("state", Plain),
            ("result", Tokenised),
            ("last_error", Tokenised),
            ("principal", Tokenised),
            ("created_at", Plain),
            ("updated_at", Plain),
            ("finished_at", Plain),
        ],
    },
    TableClasses {
        table: "leases",
        columns: &[
            ("id", Plain),
            ("project_id", Plain),
            ("resource_kind", Plain),
            ("resource_id", Tokenised),
            ("item_id", Plain),
            ("agent_id", Tokenised),
            ("token", Plain),
            ("acquired_at", Plain),
            ("heartbeat_at", Plain),
            ("expires_at", Plain),
            ("attempt", Plain),
            ("released_at", Plain),
            ("outcome", Plain),
            ("live_key", Plain),
        ],
    },
    TableClasses {
        table: "sessions",
        columns: &[
            ("id", Plain),
            ("project_id", Plain),
            ("uid", Plain),
            ("session_id", Tokenised),
            ("agent", Tokenised),
            ("context", Tokenised),
            ("started_at", Plain),
            ("last_active_at", Plain),
            ("ended_at", Plain),
            ("principal", Tokenised),
        ],
    },
    TableClasses {
        table: "threads",
        columns: &[
            ("id", Plain),
            ("project_id", Plain),
            ("uid", Plain),
            ("session_id", Tokenised),
            ("title", Tokenised),
            ("agent", Tokenised),
            ("metadata", Tokenised),
            ("next_seq", Plain),
            ("summary", Tokenised),
            ("summary_to_seq", Plain),
            ("summary_tokens", Plain),
            ("last_message_at", Plain),
            ("archived_at", Plain),
            ("closed_at", Plain),
            ("expires_at", Plain),
            ("removed_at", Plain),
            ("principal", Tokenised),
            ("created_at", Plain),
            ("updated_at", Plain),
            ("live_key", Plain),
        ],
    },
    TableClasses {
        table: "messages",
        columns: &[
            ("id", Plain),
            ("project_id", Plain),
            ("thread_id", Plain),
            ("uid", Plain),
            ("seq", Plain),
            ("role", Plain),
            ("content", Tokenised),
            ("name", Tokenised),
            ("tool_call_id", Tokenised),
            ("tool_calls", Tokenised),
            ("model", Tokenised),
            ("tokens", Plain),
            ("user_id", Tokenised),
            ("metadata", Tokenised),
            ("occurred_at", Plain),
            ("principal", Tokenised),
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
            ("failures_from", Plain),
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
