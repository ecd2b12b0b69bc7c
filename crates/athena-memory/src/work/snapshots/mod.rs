//! Snapshots of sessions: where somebody stood, so that the next session can go on from there.
//!
//! A snapshot keeps the ids of the open tasks and the active goals, and shows them as they are when it
//! is read: what was purged since is gone from it too.

mod ops;
mod sql;

use super::goals::Goal;
use super::tasks::TaskBrief;
use athena_core::{ProjectId, SnapshotId};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use ops::{Get, Latest, List, Purge, Save, SnapshotPurged};

/// Something on the list of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Todo {
    /// What is to be done.
    #[schemars(length(min = 1, max = 2_000))]
    pub content: String,
    /// Where it stands, in the words of whoever keeps the list, such as `in_progress`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 50))]
    pub status: Option<String>,
    /// How it is said while it is being done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2_000))]
    pub active_form: Option<String>,
}

/// A snapshot of a session, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Snapshot {
    /// Its id in this store.
    pub id: SnapshotId,
    /// Its id in every store that it is moved to.
    pub uid: Uuid,
    /// The id of its project.
    pub project_id: ProjectId,
    /// The session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// What was done and found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_step: Option<String>,
    /// What went wrong last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<String>,
    /// The list of the session.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub todos: Vec<Todo>,
    /// The ids of the tasks that were open, those in work first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub task_ids: Vec<i64>,
    /// The ids of the goals that were active, the most urgent first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub goal_ids: Vec<i64>,
    /// Who took it.
    pub principal: String,
}

/// A snapshot of a session with the tasks and goals in it, as they are now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SnapshotView {
    /// The snapshot.
    #[serde(flatten)]
    pub snapshot: Snapshot,
    /// The tasks that were open then.
    pub tasks: Vec<TaskBrief>,
    /// The goals that were active then.
    pub goals: Vec<GoalBrief>,
}

/// What a snapshot shows of a goal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GoalBrief {
    /// Its id.
    pub id: i64,
    /// Its id in every store that it is moved to: a purge finds by it what shows the goal.
    pub uid: Uuid,
    /// What is to be reached.
    pub name: String,
    /// Where it stands.
    pub status: super::goals::GoalStatus,
    /// How urgent it is, 1 to 10.
    pub priority: i64,
}

impl From<Goal> for GoalBrief {
    fn from(goal: Goal) -> Self {
        Self {
            id: goal.id.0,
            uid: goal.uid,
            name: goal.name,
            status: goal.status,
            priority: goal.priority,
        }
    }
}
