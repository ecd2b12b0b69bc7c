//! Goals: what is to be reached, as a tree whose leaves are tasks.

mod ops;
mod progress;
mod sql;

use super::{attributes, item, searched_text};
use crate::items::{self, ItemText};
use crate::stored::stored_as_text;
use athena_core::{GoalId, ProjectId, Result};
use athena_db::BoxFuture;
use athena_search::{Attributes, ItemRef, Record};
use athena_store::{Derive, Source, Write};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use ops::{
    Create, Get, GoalPurged, GoalRemoved, GoalView, List, Purge, Remove, Restore, Update,
};
pub(super) use sql::{active, by_ids, in_project, set_aside};

/// What part a goal plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GoalType {
    /// Wanted for itself.
    #[default]
    Primary,
    /// A step towards another goal.
    Subgoal,
    /// Something to keep up rather than to reach.
    Maintenance,
}

impl GoalType {
    /// Returns the name that is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Subgoal => "subgoal",
            Self::Maintenance => "maintenance",
        }
    }
}

/// Where a goal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GoalStatus {
    /// Being worked towards.
    #[default]
    Active,
    /// Put aside.
    Paused,
    /// Reached.
    Completed,
    /// Given up.
    Cancelled,
}

impl GoalStatus {
    /// Returns the name that is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }
}

stored_as_text!(GoalType, "a goal type");
stored_as_text!(GoalStatus, "a goal status");

/// A goal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Goal {
    /// Its id in this store.
    pub id: GoalId,
    /// Its id in every store that it is moved to.
    pub uid: Uuid,
    /// The id of its project.
    pub project_id: ProjectId,
    /// Counts its changes, from 1.
    pub version: i64,
    /// What is to be reached.
    pub name: String,
    /// What that means in detail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What part it plays.
    pub goal_type: GoalType,
    /// How urgent it is, 1 to 10.
    pub priority: i64,
    /// Where it stands.
    pub status: GoalStatus,
    /// How far it is, 0 to 100: as it was set by hand, else by its tasks and subgoals.
    pub completion_percentage: f64,
    /// Whether that was set by hand.
    pub completion_by_hand: bool,
    /// When it is thought to be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_completion_date: Option<Timestamp>,
    /// When it must be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// The goal that it serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_goal_id: Option<GoalId>,
    /// Memories that have to do with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related_memory_ids: Vec<i64>,
    /// Who made it.
    pub principal: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// When it was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// When it was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed_at: Option<Timestamp>,
}

impl Goal {
    /// Returns what is searched of it.
    fn text(&self) -> String {
        searched_text(&self.name, self.description.as_deref())
    }

    fn item(&self) -> ItemRef {
        item(items::GOAL, self.id.0)
    }

    fn attributes(&self) -> Attributes {
        attributes(
            self.uid,
            Vec::new(),
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
}

/// Logs the goals of a project for a search log that is made anew.
#[derive(Debug)]
pub struct LogGoals;

impl Source for LogGoals {
    fn log<'w>(&'w self, write: &'w Write<'_>, project: ProjectId) -> BoxFuture<'w, Result<()>> {
        Box::pin(async move {
            let mut after = 0;
            loop {
                let goals = sql::portion(write.tx(), project, after).await?;
                let Some(last) = goals.last() else {
                    return Ok(());
                };
                after = last.id.0;
                for goal in &goals {
                    let text = ItemText::prepare(write.ctx(), goal.text());
                    goal.log(write, &text).await?;
                }
            }
        })
    }
}

/// Makes the search records of goals anew when their tokens change.
#[derive(Debug)]
pub struct DeriveGoals;

impl Derive for DeriveGoals {
    fn table(&self) -> &'static str {
        "prospective_goals"
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
                .any(|it| ["name", "description"].contains(it))
            {
                return Ok(());
            }
            let Some(goal) = sql::anywhere(write.tx(), GoalId(id)).await? else {
                return Ok(());
            };
            let text = ItemText::prepare(write.ctx(), goal.text());
            goal.log(write, &text).await
        })
    }
}
