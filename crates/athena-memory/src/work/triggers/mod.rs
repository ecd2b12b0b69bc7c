//! Triggers: what makes a task worth a reminder, and the reminders that were made.
//!
//! A trigger fires when its time comes, when something happens that it describes, or when the task
//! that it waits for is completed. What fell due while nothing ran is made up for by whichever
//! process looks next: once, with the number of times that were missed.

mod condition;
mod firing;
mod ops;
mod schedule;
mod sql;

use crate::stored::stored_as_text;
use athena_core::{ProjectId, TaskId, TriggerId};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use firing::FireDue;
pub(super) use firing::{end, fire_for_completed, rest, resume};
pub use ops::{
    Acknowledge, Create, DueNow, DueTask, List, Notified, Notify, Remove, Snooze, TriggerRemoved,
};
#[cfg(test)]
pub(super) use schedule::Schedule;
pub(super) use sql::of_task;
pub(crate) use {condition::Happening, firing::fire_for_events, ops::in_words};

/// What sort of thing fires a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TriggerType {
    /// A time, once or again and again.
    Time,
    /// Something that happens, such as a test run that fails.
    Event,
    /// What somebody is doing: where, on which file, on which subject.
    Context,
    /// Another task that is completed.
    Dependency,
    /// A file that is opened or changed.
    File,
}

impl TriggerType {
    /// Returns the name that is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Event => "event",
            Self::Context => "context",
            Self::Dependency => "dependency",
            Self::File => "file",
        }
    }
}

stored_as_text!(TriggerType, "a type of trigger");

/// A trigger of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trigger {
    /// Its id in this store.
    pub id: TriggerId,
    /// The id of its project.
    pub project_id: ProjectId,
    /// The task that it reminds of.
    pub task_id: TaskId,
    /// The task's `uid`.
    pub task_uid: Uuid,
    /// What sort of thing fires it.
    #[serde(rename = "type")]
    pub trigger_type: TriggerType,
    /// The time at which it fires once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// When it fires again and again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// The time zone of the schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// When it fires next, while its task is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_due_at: Option<Timestamp>,
    /// The type of event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// The outcome of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// What the event's text contains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The file, or a pattern of files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Where somebody is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// What somebody is about, one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The task that is completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<TaskId>,
    /// How often it fired.
    pub fired_count: i64,
    /// When it fired last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_fired_at: Option<Timestamp>,
    /// Who made it.
    pub principal: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A reminder: a trigger fired, and nobody has acknowledged it yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, athena_db::FromRow)]
pub struct Reminder {
    /// Its id in this store.
    pub id: i64,
    /// The task that it reminds of.
    pub task_id: TaskId,
    /// The task's `uid`.
    pub task_uid: Uuid,
    /// The trigger that fired.
    pub trigger_id: TriggerId,
    /// When it should have been made; when it was, unless nothing ran then.
    pub due_at: Timestamp,
    /// When it was made.
    pub fired_at: Timestamp,
    /// How many times before that one were missed, or went by without an answer.
    pub missed: i64,
    /// Why it was made.
    pub reason: String,
    /// Until when it keeps quiet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snoozed_until: Option<Timestamp>,
    /// When somebody took note of it, or its task ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged_at: Option<Timestamp>,
}
