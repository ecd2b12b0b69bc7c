//! The one state machine of a task, and the names that it goes by.

use super::Task;
use crate::stored::stored_as_text;
use crate::work::minutes_between;
use athena_core::{Code, Error, Result};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The phase that a task is in.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// How to do it is being thought about.
    #[default]
    Planning,
    /// It could begin.
    PlanReady,
    /// It is being done.
    Executing,
    /// It is being checked.
    Verifying,
    /// It is done.
    Completed,
    /// It did not work out.
    Failed,
    /// It was given up.
    Abandoned,
}

stored_as_text!(Phase, "a phase of a task");

impl Phase {
    /// Every phase, in the order of a task that goes well, then the ends that do not.
    pub const ALL: [Self; 7] = [
        Self::Planning,
        Self::PlanReady,
        Self::Executing,
        Self::Verifying,
        Self::Completed,
        Self::Failed,
        Self::Abandoned,
    ];

    /// Returns the name that is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planning => "planning",
            Self::PlanReady => "plan_ready",
            Self::Executing => "executing",
            Self::Verifying => "verifying",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
        }
    }

    /// Whether nothing more happens to a task in this phase, unless it is reopened.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Abandoned)
    }

    /// Returns the phases that a task may go to from this one.
    ///
    /// A small task may be completed from anywhere; what is verified was executed. An end is left
    /// only by reopening, which goes back to planning.
    #[must_use]
    pub const fn next(self) -> &'static [Self] {
        use Phase as P;
        match self {
            P::Planning => &[
                P::PlanReady,
                P::Executing,
                P::Completed,
                P::Failed,
                P::Abandoned,
            ],
            P::PlanReady => &[
                P::Planning,
                P::Executing,
                P::Completed,
                P::Failed,
                P::Abandoned,
            ],
            P::Executing => &[
                P::Planning,
                P::Verifying,
                P::Completed,
                P::Failed,
                P::Abandoned,
            ],
            P::Verifying => &[
                P::Planning,
                P::Executing,
                P::Completed,
                P::Failed,
                P::Abandoned,
            ],
            P::Completed | P::Failed | P::Abandoned => &[],
        }
    }

    /// Whether work goes on in it, for which nothing may hold the task up.
    const fn needs_a_free_way(self) -> bool {
        matches!(self, Self::Executing | Self::Verifying | Self::Completed)
    }
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Not begun.
    Pending,
    /// Being done.
    Active,
    /// Held up, by a task that it depends on or by something that somebody named.
    Blocked,
    /// Done.
    Completed,
    /// Tried in vain.
    Failed,
    /// Given up.
    Cancelled,
}

impl TaskStatus {
    /// Returns the status of a task in a phase.
    #[must_use]
    pub const fn of(phase: Phase, is_blocked: bool) -> Self {
        match phase {
            Phase::Completed => Self::Completed,
            Phase::Failed => Self::Failed,
            Phase::Abandoned => Self::Cancelled,
            _ if is_blocked => Self::Blocked,
            Phase::Planning | Phase::PlanReady => Self::Pending,
            Phase::Executing | Phase::Verifying => Self::Active,
        }
    }
}

/// A status as it may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AskedStatus {
    /// Not begun.
    Pending,
    /// Being done.
    Active,
    /// The same as `active`.
    InProgress,
    /// Held up.
    Blocked,
    /// Done.
    Completed,
    /// Tried in vain.
    Failed,
    /// Given up.
    Cancelled,
}

impl AskedStatus {
    /// Returns the phases that tasks of this status are in, and whether something holds them up
    /// where that matters.
    #[must_use]
    pub const fn phases(self) -> (&'static [Phase], Option<bool>) {
        use Phase as P;
        match self {
            Self::Pending => (&[P::Planning, P::PlanReady], Some(false)),
            Self::Active | Self::InProgress => (&[P::Executing, P::Verifying], Some(false)),
            Self::Blocked => (
                &[P::Planning, P::PlanReady, P::Executing, P::Verifying],
                Some(true),
            ),
            Self::Completed => (&[P::Completed], None),
            Self::Failed => (&[P::Failed], None),
            Self::Cancelled => (&[P::Abandoned], None),
        }
    }

    /// Returns the phase that a new task of this status begins in; `blocked` is none.
    #[must_use]
    pub const fn first_phase(self) -> Option<Phase> {
        Some(match self {
            Self::Pending => Phase::Planning,
            Self::Active | Self::InProgress => Phase::Executing,
            Self::Blocked => return None,
            Self::Completed => Phase::Completed,
            Self::Failed => Phase::Failed,
            Self::Cancelled => Phase::Abandoned,
        })
    }
}

/// A phase, by its name or by that of the status that it makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AskedPhase {
    /// How to do it is being thought about.
    Planning,
    /// It could begin.
    PlanReady,
    /// It is being done.
    Executing,
    /// It is being checked.
    Verifying,
    /// It is done.
    Completed,
    /// It did not work out.
    Failed,
    /// It was given up.
    Abandoned,
    /// The same as `planning`.
    Pending,
    /// The same as `executing`.
    Active,
    /// The same as `executing`.
    InProgress,
    /// The same as `abandoned`.
    Cancelled,
}

impl From<AskedPhase> for Phase {
    fn from(asked: AskedPhase) -> Self {
        match asked {
            AskedPhase::Planning | AskedPhase::Pending => Self::Planning,
            AskedPhase::PlanReady => Self::PlanReady,
            AskedPhase::Executing | AskedPhase::Active | AskedPhase::InProgress => Self::Executing,
            AskedPhase::Verifying => Self::Verifying,
            AskedPhase::Completed => Self::Completed,
            AskedPhase::Failed => Self::Failed,
            AskedPhase::Abandoned | AskedPhase::Cancelled => Self::Abandoned,
        }
    }
}

impl Task {
    /// Goes to another phase, if that is allowed from here and nothing is in the way.
    pub(super) fn advance(&mut self, next: Phase, now: Timestamp) -> Result<()> {
        if self.phase == next {
            return Ok(());
        }
        if !self.phase.next().contains(&next) {
            return Err(self.refuse(next));
        }
        if next.needs_a_free_way() {
            self.check_free()?;
        }
        self.enter(next, now);
        Ok(())
    }

    fn refuse(&self, next: Phase) -> Error {
        let way_out = if self.phase.is_final() {
            "reopen it first".to_owned()
        } else {
            let names = self.phase.next().iter();
            let names: Vec<String> = names.map(|it| format!("`{}`", it.as_str())).collect();
            format!("from here it can go to {}", names.join(", "))
        };
        let message = format!(
            "task `{}` is in phase `{}` and cannot go to `{}`; {way_out}",
            self.id,
            self.phase.as_str(),
            next.as_str(),
        );
        Error::new(Code::InvalidState, message).with_field("phase")
    }

    /// Refuses to go on with a task that something holds up.
    fn check_free(&self) -> Result<()> {
        let message = if self.blocked_reason.is_some() {
            format!("task `{}` is blocked; unblock it first", self.id)
        } else if self.unfinished_dependencies > 0 {
            format!(
                "task `{}` depends on {} that are not completed; complete these, or take the dependencies away",
                self.id, self.unfinished_dependencies
            )
        } else {
            return Ok(());
        };
        Err(Error::new(Code::InvalidState, message).with_field("id"))
    }

    /// Begins a phase: what the last one took is noted.
    pub(super) fn enter(&mut self, next: Phase, now: Timestamp) {
        let minutes = minutes_between(self.phase_started_at, now);
        *self.phase_minutes.entry(self.phase).or_default() += minutes;
        self.phase = next;
        self.phase_started_at = now;
        match next {
            Phase::Executing => self.started_at = self.started_at.or(Some(now)),
            Phase::Completed => {
                self.completed_at = Some(now);
                self.completion_percentage = Some(100.0);
            }
            _ => {}
        }
    }

    /// Takes up again what had ended.
    pub(super) fn reopen(&mut self, now: Timestamp) -> Result<()> {
        if !self.phase.is_final() {
            let message = format!(
                "task `{}` is in phase `{}` and was never closed",
                self.id,
                self.phase.as_str()
            );
            return Err(Error::new(Code::InvalidState, message).with_field("id"));
        }
        // The time in which it lay closed was spent on nothing.
        (self.phase, self.phase_started_at) = (Phase::Planning, now);
        (self.completed_at, self.failure_reason) = (None, None);
        if self.completion_percentage == Some(100.0) {
            self.completion_percentage = None;
        }
        Ok(())
    }
}
