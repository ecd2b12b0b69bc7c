//! How present an event still is.

use super::{ConsolidationStatus, Event, Outcome};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How present an event still is, and what might be done with it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Activation {
    /// `-0.5 · ln(hours since its last use, or since it happened; at least 0.1)
    /// + 0.1 · ln(uses; at least 1) + 1 if consolidated + 1.5 if importance is above 0.7
    /// + 1 if actionable + 0.5 if it was a success`.
    pub activation: f64,
    /// What might be done with it, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<Suggestion>,
}

/// What might be done with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Suggestion {
    /// It is seven days old and was of use: keep what it taught.
    Consolidate,
    /// It is thirty days old, matters little and was not used for seven days: put it away.
    Archive,
}

/// A day in hours.
const DAY: f64 = 24.0;

/// Says how present an event is at a time.
pub(super) fn activation(event: &Event, now: Timestamp) -> Activation {
    let age = hours_between(event.occurred_at, now);
    let idle = event
        .last_used_at
        .map_or(age, |used| hours_between(used, now));
    let uses = f64::from(u32::try_from(event.uses.max(1)).unwrap_or(u32::MAX));
    let bonuses = [
        (
            1.0,
            event.consolidation_status == ConsolidationStatus::Consolidated,
        ),
        (1.5, event.importance > 0.7),
        (1.0, event.actionable),
        (0.5, event.outcome == Some(Outcome::Success)),
    ];
    let bonus: f64 = bonuses
        .iter()
        .filter(|(_, has)| *has)
        .map(|(bonus, _)| bonus)
        .sum();
    Activation {
        activation: -0.5 * idle.max(0.1).ln() + 0.1 * uses.ln() + bonus,
        suggestion: suggestion(event, age, idle),
    }
}

fn suggestion(event: &Event, age: f64, idle: f64) -> Option<Suggestion> {
    use ConsolidationStatus as S;
    let status = event.consolidation_status;
    if status != S::Archived && event.importance < 0.3 && age >= 30.0 * DAY && idle >= 7.0 * DAY {
        return Some(Suggestion::Archive);
    }
    let settled = matches!(status, S::Consolidated | S::Archived);
    (!settled && event.uses > 0 && age >= 7.0 * DAY).then_some(Suggestion::Consolidate)
}

/// Returns the hours from one time to a later one; 0 for one that is still to come.
fn hours_between(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0) / 3_600.0
}
