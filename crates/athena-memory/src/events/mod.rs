//! Events: what happened, when, and with which outcome.
//!
//! An event is recorded once and not rewritten: what changes about it is its place in consolidation
//! and how often it was of use. The order of events is the order of their times, whenever they were
//! told: one that comes late takes its place among the others. The table keeps the name that the
//! founding document gave it, `episodic_events`.

/// Makes an enumeration whose values are stored under the names that people write.
macro_rules! closed_list {
    (
        $(#[$meta:meta])* $list:ident, $what:literal:
        $($(#[$doc:meta])* $value:ident = $name:literal,)+
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum $list {
            $($(#[$doc])* #[serde(rename = $name)] $value,)+
        }

        impl $list {
            /// Returns the name that is stored.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $name,)+
                }
            }
        }

        stored_as_text!($list, $what);
    };
}

mod activation;
mod git;
mod links;
mod ops;
mod searched;
mod sql;
mod surprise;
#[cfg(test)]
mod tests;
mod when;

use crate::stored::stored_as_text;
use athena_core::{EventId, MemoryId, ProjectId};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use uuid::Uuid;

pub use activation::{Activation, Suggestion};
pub use git::{GIT_LOG_ARGUMENTS, parse};
pub use links::{EventLink, LinkKind};
pub use ops::*;
pub use searched::{DeriveEvents, LogEvents};
pub use when::{Precision, When};

/// The largest text an event may hold, in bytes.
pub const MAX_CONTENT_BYTES: usize = 1024 * 1024;
/// From this surprise on an event is a surprising one.
pub const SURPRISING: f64 = 3.5;
/// So near to each other, in microseconds, the same twice is one event: ten minutes.
const SAME_WITHIN: i64 = 600_000_000;

closed_list! {
    /// What sort of thing happened.
    #[derive(Default)]
    EventType, "a type of event":
    /// Something was said.
    Conversation = "conversation",
    /// Something was done.
    #[default]
    Action = "action",
    /// Something was decided.
    Decision = "decision",
    /// Something went wrong.
    Error = "error",
    /// Something worked.
    Success = "success",
    /// Files were changed.
    FileChange = "file_change",
    /// Tests ran.
    TestRun = "test_run",
    /// Something was deployed.
    Deployment = "deployment",
    /// Code was put in better order.
    Refactoring = "refactoring",
    /// A fault was looked for.
    Debugging = "debugging",
    /// A tool was used.
    ToolExecution = "tool_execution",
    /// A session came to a point that it can go on from.
    SessionCheckpoint = "session_checkpoint",
    /// Something was found out.
    Discovery = "discovery",
    /// Something was learned.
    Learning = "learning",
    /// Something was noticed.
    Observation = "observation",
    /// Something was thought over.
    Reflection = "reflection",
    /// Code was written.
    CodeEdit = "code_edit",
    /// A name in the code was looked up.
    SymbolLookup = "symbol_lookup",
    /// A fault was found.
    BugDiscovery = "bug_discovery",
    /// Speed or memory was measured.
    PerfProfile = "perf_profile",
    /// Code was reviewed.
    CodeReview = "code_review",
    /// The structure of the software was decided.
    ArchDecision = "arch_decision",
    /// A dependency was added, removed or updated.
    DependencyChange = "dependency_change",
    /// Two changes contradicted each other.
    MergeConflict = "merge_conflict",
}

closed_list! {
    /// How it ended.
    Outcome, "an outcome":
    /// Well.
    Success = "success",
    /// Badly.
    Failure = "failure",
    /// Well in part.
    Partial = "partial",
    /// Not yet.
    Ongoing = "ongoing",
}

closed_list! {
    /// How it is known.
    #[derive(Default)]
    Evidence, "a type of evidence":
    /// It was seen.
    #[default]
    Observed = "observed",
    /// What was seen suggests it.
    Inferred = "inferred",
    /// It follows from what is known.
    Deduced = "deduced",
    /// It is assumed.
    Hypothetical = "hypothetical",
    /// It was learned from many cases.
    Learned = "learned",
    /// Somebody else says so.
    External = "external",
}

closed_list! {
    /// Where an event stands in consolidation, in which lasting knowledge is made of events.
    #[derive(Default)]
    ConsolidationStatus, "a consolidation status":
    /// New.
    #[default]
    Unconsolidated = "unconsolidated",
    /// Being looked at.
    Consolidating = "consolidating",
    /// What it taught is kept elsewhere.
    Consolidated = "consolidated",
    /// Kept for the record.
    Archived = "archived",
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// The id of the project it belongs to.
    pub project_id: ProjectId,
    /// Its id in every store that it is moved to.
    pub uid: Uuid,
    /// What sort of thing happened.
    pub event_type: EventType,
    /// What happened.
    pub content: String,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// When it happened: the first moment of a day, month or year if no more is known.
    pub occurred_at: Timestamp,
    /// How exactly `occurred_at` is known.
    pub precision: Precision,
    /// How long it took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<i64>,
    /// The session it happened in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Which agent did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Where the record comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Its id where it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The folder it happened in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_cwd: Option<String>,
    /// The files it was about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context_files: Vec<String>,
    /// The task it was part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_task: Option<String>,
    /// The phase of the work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_phase: Option<String>,
    /// The branch of the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_branch: Option<String>,
    /// How many files were changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files_changed: Option<i64>,
    /// How many lines were added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines_added: Option<i64>,
    /// How many lines were deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines_deleted: Option<i64>,
    /// The one file it was about first of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_path: Option<String>,
    /// The function, type or other name in the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    /// The programming language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// What was changed, as a diff; a marker in its place, unless the privacy policy keeps diffs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
    /// The commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git_commit: Option<String>,
    /// Who made the commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git_author: Option<String>,
    /// The test that ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_name: Option<String>,
    /// Whether it passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_passed: Option<bool>,
    /// The sort of error, such as `TypeError`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// Where in the code it went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack_trace: Option<String>,
    /// What was measured, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
    /// What was learned from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learned: Option<String>,
    /// Its tags, in the order in which they were given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Anything else that came with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// How surprising it was, about 0 to 5; from 3.5 on very.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub surprise: Option<f64>,
    /// How sure it is, 0 to 1.
    pub confidence: f64,
    /// How it is known.
    pub evidence_type: Evidence,
    /// How good the evidence is, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence_quality: Option<f64>,
    /// How much it matters, 0 to 1.
    pub importance: f64,
    /// Whether something is to be done about it.
    pub actionable: bool,
    /// How often it was of use.
    pub uses: i64,
    /// When it was of use last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
    /// The event that brought it about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caused_by: Option<EventId>,
    /// Where it stands in consolidation.
    pub consolidation_status: ConsolidationStatus,
    /// When it was consolidated last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consolidated_at: Option<Timestamp>,
    /// The memory that what it taught is kept in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_id: Option<MemoryId>,
    /// Who recorded it.
    pub principal: String,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// When it was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed_at: Option<Timestamp>,
}

impl Event {
    /// Returns what keeps this event and another one that says the same apart: nothing without a key.
    fn told_by(&self) -> String {
        let Some(key) = &self.idempotency_key else {
            return String::new();
        };
        let source = self.source.as_deref().unwrap_or_default();
        let digest = Sha256::digest(format!("{source}\0{key}"));
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether one source has told this event and another one, each with a key of its own.
    fn is_told_apart_from(&self, source: Option<&str>, key: Option<&str>) -> bool {
        match (&self.idempotency_key, key) {
            (Some(own), Some(key)) => own != key && self.source.as_deref() == source,
            _ => false,
        }
    }

    /// Returns the files it is about, each once: its own first.
    fn files(&self) -> Vec<&str> {
        let mut files: Vec<&str> = Vec::new();
        for file in self.file_path.iter().chain(&self.context_files) {
            if !files.contains(&file.as_str()) {
                files.push(file);
            }
        }
        files
    }

    /// Returns which ten minutes it happened in.
    fn time_bucket(&self) -> i64 {
        time_bucket(self.occurred_at)
    }
}

/// Returns which ten minutes since 1970 a time is in.
fn time_bucket(time: Timestamp) -> i64 {
    time.as_microsecond().div_euclid(SAME_WITHIN)
}
