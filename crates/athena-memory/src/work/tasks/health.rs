//! How well a task goes.

use super::{Phase, Task};
use crate::work::minutes_between;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How well a task goes, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthLevel {
    /// Nothing stands out.
    Healthy,
    /// Two attempts failed, or the score is below a half.
    Warning,
    /// It is blocked, or five attempts failed.
    Critical,
}

/// How well a task goes.
///
/// The score is 1, less `min(0.3, 0.1 · v)` when it took more than half again as long as estimated
/// (`v` is by how much, as a share), plus 0.1 when it was completed in less than half the time, less
/// `min(0.4, 0.05 · errors)`, less 0.2 while it is blocked; within 0 and 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// How well it goes, 0 to 1.
    pub score: f64,
    /// The same in a word.
    pub level: HealthLevel,
    /// How many attempts failed.
    pub errors: i64,
    /// Whether something holds it up.
    pub blocked: bool,
    /// How many minutes were spent on it: as somebody said, else in execution and verification.
    pub spent_minutes: f64,
    /// By which share of the estimate that is more, or less when negative.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overrun: Option<f64>,
}

impl Task {
    /// Says how well it goes.
    pub(super) fn health(&self, now: Timestamp) -> Health {
        let blocked = !self.phase.is_final() && self.is_blocked();
        let spent_minutes = self.spent_minutes(now);
        let estimated = self.estimated_minutes.filter(|minutes| *minutes > 0.0);
        let overrun = estimated.map(|estimated| (spent_minutes - estimated) / estimated);
        let errors = self.failed_attempts;
        let score = score(overrun, self.phase == Phase::Completed, errors, blocked);
        Health {
            score,
            level: level(score, errors, blocked),
            errors,
            blocked,
            spent_minutes,
            overrun,
        }
    }

    fn spent_minutes(&self, now: Timestamp) -> f64 {
        let worked = [Phase::Executing, Phase::Verifying];
        let noted = worked.iter().filter_map(|it| self.phase_minutes.get(it));
        let running = match worked.contains(&self.phase) {
            true => minutes_between(self.phase_started_at, now),
            false => 0.0,
        };
        let noted: f64 = noted.sum();
        self.actual_minutes.unwrap_or(noted + running)
    }
}

/// Returns the score; see [`Health`].
pub(in crate::work) fn score(
    overrun: Option<f64>,
    is_completed: bool,
    errors: i64,
    blocked: bool,
) -> f64 {
    let time = match overrun {
        Some(over) if over > 0.5 => -(0.1 * over).min(0.3),
        Some(over) if over < -0.5 && is_completed => 0.1,
        _ => 0.0,
    };
    let errors = f64::from(u8::try_from(errors).unwrap_or(u8::MAX));
    let held_up = if blocked { 0.2 } else { 0.0 };
    (1.0 + time - (0.05 * errors).min(0.4) - held_up).clamp(0.0, 1.0)
}

/// Returns the word for a score.
pub(in crate::work) fn level(score: f64, errors: i64, blocked: bool) -> HealthLevel {
    if blocked || errors >= 5 {
        HealthLevel::Critical
    } else if score < 0.5 || errors >= 2 {
        HealthLevel::Warning
    } else {
        HealthLevel::Healthy
    }
}
