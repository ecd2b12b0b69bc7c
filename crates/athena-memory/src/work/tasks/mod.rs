//! Tasks: what is to be done, in which phase it is, what it waits for, and how it went so far.

mod health;
mod ops;
mod phase;
mod sql;

use super::{attributes, item, searched_text};
use crate::items::{self, ItemText};
use crate::memories::indexing::label;
use crate::stored::stored_as_text;
use athena_core::{GoalId, ProjectId, Result, TaskId};
use athena_db::BoxFuture;
use athena_search::{Attributes, ItemRef, Record};
use athena_store::{Derive, Source, Write};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

pub use health::{Health, HealthLevel};
pub use ops::*;
pub use phase::{AskedPhase, AskedStatus, Phase, TaskStatus};
pub(super) use sql::{briefs, by_id, by_ids, due_or_reminded, lock, open_ids};
#[cfg(test)]
pub(super) use {health::level, health::score, ops::order, ops::way, sql::ReadyKey};

/// What sort of thing a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// Something to do.
    #[default]
    Task,
    /// A point to have reached.
    Milestone,
}

impl TaskKind {
    /// Returns the name that is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Milestone => "milestone",
        }
    }
}

stored_as_text!(TaskKind, "a kind of task");

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// It did what it should.
    Success,
    /// It did not.
    Failure,
}

impl AttemptOutcome {
    /// Returns the name that is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

stored_as_text!(AttemptOutcome, "the outcome of an attempt");

/// One go at a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, athena_db::FromRow)]
pub struct Attempt {
    /// Counts the attempts at the task, from 1.
    pub number: i64,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// What sort of error it ended with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// What was learned by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lesson: Option<String>,
    /// Why the task was planned anew after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replan_reason: Option<String>,
    /// How many minutes it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minutes: Option<f64>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Timestamp,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Task {
    /// Its id in this store.
    pub id: TaskId,
    /// Its id in every store that it is moved to.
    pub uid: Uuid,
    /// The id of its project.
    pub project_id: ProjectId,
    /// Counts its changes, from 1.
    pub version: i64,
    /// What is to be done.
    pub title: String,
    /// What that means in detail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How it is said while it is being done, such as `Running the tests`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_form: Option<String>,
    /// What sort of thing it is.
    pub kind: TaskKind,
    /// Where it stands, by its phase and by what it waits for.
    pub status: TaskStatus,
    /// The phase that it is in.
    pub phase: Phase,
    /// Since when it has been in that phase.
    pub phase_started_at: Timestamp,
    /// How many minutes it spent in each phase that it has left.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub phase_minutes: BTreeMap<Phase, f64>,
    /// What it is held up by, if somebody said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_reason: Option<String>,
    /// How many tasks that it depends on are not completed.
    pub unfinished_dependencies: i64,
    /// Whether it has triggers, none of which has fired; one whose task was removed does not count.
    pub awaits_trigger: bool,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<String>,
    /// How urgent it is, 1 to 10.
    pub priority: i64,
    /// The goal that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goal_id: Option<GoalId>,
    /// The task that it is a part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_task_id: Option<TaskId>,
    /// Who does it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
    /// How many minutes it should take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_minutes: Option<f64>,
    /// How many minutes it took, as somebody said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual_minutes: Option<f64>,
    /// When it must be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// Memories that have to do with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related_memory_ids: Vec<i64>,
    /// Pieces of code that have to do with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related_code_ids: Vec<i64>,
    /// How far it is, 0 to 100, as somebody said; 100 once it is completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_percentage: Option<f64>,
    /// The share of its attempts that succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_rate: Option<f64>,
    /// What was learned by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lessons: Option<String>,
    /// What must hold for it to be done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acceptance: Vec<String>,
    /// How it is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<serde_json::Map<String, serde_json::Value>>,
    /// How many attempts were made at it.
    pub attempts: i64,
    /// How many of them failed.
    pub failed_attempts: i64,
    /// How many attempts may fail before it fails, unless it is planned anew or reopened.
    pub max_cycles: i64,
    /// Who made it.
    pub principal: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// When work on it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it was completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// When it was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed_at: Option<Timestamp>,
}

/// What lists of other things show of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskBrief {
    /// Its id.
    pub id: TaskId,
    /// Its id in every store that it is moved to: a purge finds by it what shows the task.
    pub uid: Uuid,
    /// What is to be done.
    pub title: String,
    /// Where it stands.
    pub status: TaskStatus,
    /// How urgent it is, 1 to 10.
    pub priority: i64,
}

impl Task {
    /// Returns what is searched of it.
    fn text(&self) -> String {
        searched_text(&self.title, self.description.as_deref())
    }

    pub(super) fn item(&self) -> ItemRef {
        item(items::TASK, self.id.0)
    }

    fn attributes(&self) -> Attributes {
        let goal = self.goal_id.map(|goal| label("goal", &goal.to_string()));
        attributes(
            self.uid,
            goal.into_iter().collect(),
            self.removed_at.is_some(),
            self.created_at,
        )
    }

    /// Tells search, and those who follow what changes, of a change that left the text as it was.
    fn tell(&self, write: &Write<'_>) {
        let record = Record::Attributes {
            item: self.item(),
            attributes: self.attributes(),
        };
        write.log(self.project_id, record);
    }

    /// Puts its text into the search log.
    async fn log(&self, write: &Write<'_>, text: &ItemText) -> Result<()> {
        text.log(write, self.project_id, self.item(), &self.attributes())
            .await
    }

    /// Whether something holds it up.
    fn is_blocked(&self) -> bool {
        self.blocked_reason.is_some() || self.unfinished_dependencies > 0
    }

    /// Says what lists of other things show of it.
    pub(super) fn brief(&self) -> TaskBrief {
        TaskBrief {
            id: self.id,
            uid: self.uid,
            title: self.title.clone(),
            status: self.status,
            priority: self.priority,
        }
    }
}

/// Logs the tasks of a project for a search log that is made anew.
#[derive(Debug)]
pub struct LogTasks;

impl Source for LogTasks {
    fn log<'w>(&'w self, write: &'w Write<'_>, project: ProjectId) -> BoxFuture<'w, Result<()>> {
        Box::pin(async move {
            let mut after = 0;
            loop {
                let tasks = sql::portion(write.tx(), project, after).await?;
                let Some(last) = tasks.last() else {
                    return Ok(());
                };
                after = last.id.0;
                for task in &tasks {
                    let text = ItemText::prepare(write.ctx(), task.text());
                    task.log(write, &text).await?;
                }
            }
        })
    }
}

/// Makes the search records of tasks anew when their tokens change.
#[derive(Debug)]
pub struct DeriveTasks;

impl Derive for DeriveTasks {
    fn table(&self) -> &'static str {
        "prospective_tasks"
    }

    fn derive<'w>(
        &'w self,
        write: &'w Write<'_>,
        id: i64,
        columns: &'w [&'static str],
    ) -> BoxFuture<'w, Result<()>> {
        Box::pin(async move {
            if !columns
                .iter()
                .any(|it| ["title", "description"].contains(it))
            {
                return Ok(());
            }
            let Some(task) = sql::anywhere(write.tx(), TaskId(id)).await? else {
                return Ok(());
            };
            let text = ItemText::prepare(write.ctx(), task.text());
            task.log(write, &text).await
        })
    }
}
