//! What the times, kinds and files of two events say about how they hang together.
//!
//! The numbers are those of the founding project's `episodic` layer. Nothing of this is stored: it
//! follows from the rows whenever it is asked for.

use super::{Event, EventType, Outcome};
use athena_core::EventId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const MINUTE: f64 = 60.0;
const HOUR: f64 = 3_600.0;
const DAY: f64 = 86_400.0;

/// How two events hang together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventLink {
    /// The earlier event.
    pub from: EventId,
    /// The later event.
    pub to: EventId,
    /// What speaks for it.
    pub kind: LinkKind,
    /// What `to` is to `from`: `immediately_after`, `shortly_after` or `later_after` in time;
    /// `fixes`, `reacts_to`, `makes_pass`, `carries_out` or `resolves` by cause; `caused_by` if somebody said so.
    pub relation: String,
    /// How strongly, 0 to 1.
    pub strength: f64,
}

/// What speaks for a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// Their times: within a minute 0.9, within an hour 0.7, else 0.9 less one a day and at least 0.3.
    Temporal,
    /// Their kinds, in one session and within an hour: 0.5 + 0.2 · nearness in time + 0.2 · the share
    /// of files they have in common + 0.1 for the session.
    Inferred,
    /// Who recorded the later one said so.
    Told,
}

/// Returns how two events hang together, of which the first is the earlier one.
pub(super) fn links(earlier: &Event, later: &Event) -> Vec<EventLink> {
    let link = |kind, relation: &str, strength| EventLink {
        from: earlier.id,
        to: later.id,
        kind,
        relation: relation.to_owned(),
        strength,
    };
    let (relation, strength) = in_time(gap(earlier, later));
    let mut links = vec![link(LinkKind::Temporal, relation, strength)];
    if let Some(relation) = by_cause(earlier, later) {
        let strength = causal_strength(earlier, later);
        links.push(link(LinkKind::Inferred, relation, strength));
    }
    if later.caused_by == Some(earlier.id) {
        links.push(link(LinkKind::Told, "caused_by", 1.0));
    }
    links
}

/// Returns the seconds from one event to a later one.
fn gap(earlier: &Event, later: &Event) -> f64 {
    let gap = later.occurred_at.duration_since(earlier.occurred_at);
    gap.as_secs_f64().max(0.0)
}

/// Returns what a gap in seconds means, and how strongly.
pub(super) fn in_time(gap: f64) -> (&'static str, f64) {
    if gap < MINUTE {
        ("immediately_after", 0.9)
    } else if gap < HOUR {
        ("shortly_after", 0.7)
    } else {
        ("later_after", (0.9 - gap / DAY).max(0.3))
    }
}

/// Returns what the later event may be to the earlier one; the first rule that holds.
fn by_cause(earlier: &Event, later: &Event) -> Option<&'static str> {
    let near = earlier.session.is_some()
        && earlier.session == later.session
        && gap(earlier, later) <= HOUR;
    if !near {
        return None;
    }
    let rules = [
        (
            "fixes",
            is_error(earlier) && is_fix(later) && overlap(earlier, later) > 0.0,
        ),
        ("reacts_to", is_failure(earlier) && is_change(later)),
        ("makes_pass", is_change(earlier) && is_pass(later)),
        ("carries_out", is_decision(earlier) && is_action(later)),
        (
            "resolves",
            earlier.event_type == EventType::Debugging && is_success(later),
        ),
    ];
    let holding = rules.into_iter().find(|(_, holds)| *holds);
    holding.map(|(relation, _)| relation)
}

fn causal_strength(earlier: &Event, later: &Event) -> f64 {
    let nearness = 1.0 - gap(earlier, later) / HOUR;
    0.5 + 0.2 * nearness + 0.2 * overlap(earlier, later) + 0.1
}

/// Returns the share of their files that both have.
fn overlap(one: &Event, other: &Event) -> f64 {
    let (one, other) = (one.files(), other.files());
    let shared = one.iter().filter(|file| other.contains(file)).count();
    let all = one.len() + other.len() - shared;
    if all == 0 {
        return 0.0;
    }
    let number = |count| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    number(shared) / number(all)
}

fn is_error(event: &Event) -> bool {
    matches!(event.event_type, EventType::Error | EventType::BugDiscovery)
}

fn is_failure(event: &Event) -> bool {
    is_error(event) || event.outcome == Some(Outcome::Failure) || event.test_passed == Some(false)
}

fn is_success(event: &Event) -> bool {
    event.event_type == EventType::Success || event.outcome == Some(Outcome::Success)
}

fn is_fix(event: &Event) -> bool {
    is_change(event) && !is_failure(event) || event.event_type == EventType::Success
}

/// Whether an event changed the software.
pub(super) fn is_change(event: &Event) -> bool {
    let is_commit = event.git_commit.is_some() && COMMITS.contains(&event.event_type);
    CHANGES.contains(&event.event_type) || is_commit
}

/// The types of events that change the software.
pub(super) const CHANGES: [EventType; 5] = [
    EventType::FileChange,
    EventType::CodeEdit,
    EventType::Refactoring,
    EventType::DependencyChange,
    EventType::MergeConflict,
];

/// The types of events that change the software if they name a commit: the one they made. Others,
/// such as a run of tests or a deployment, name the commit that they ran on.
pub(super) const COMMITS: [EventType; 3] = [
    EventType::Action,
    EventType::ToolExecution,
    EventType::Success,
];

fn is_pass(event: &Event) -> bool {
    event.event_type == EventType::TestRun && (event.test_passed == Some(true) || is_success(event))
}

fn is_decision(event: &Event) -> bool {
    matches!(
        event.event_type,
        EventType::Decision | EventType::ArchDecision
    )
}

fn is_action(event: &Event) -> bool {
    let acts = [
        EventType::Action,
        EventType::ToolExecution,
        EventType::Deployment,
    ];
    acts.contains(&event.event_type) || is_change(event)
}
