//! Agents: who works in a project, what each can do, and who works on what.
//!
//! Work waits in queues. An agent claims items of a queue, which gives it a *lease* on each: a
//! token, and a time until which nobody else gets the item. Who holds the token may complete the
//! item, fail it or give it back; an agent that dies says nothing, and its items are given to
//! others when their leases expire. Every claim is an attempt, and attempts are bounded. The same
//! leases coordinate anything else that has a name, such as a file.
//!
//! Claims of different agents do not wait for each other: on servers each locks the items that it
//! takes and passes over those that another one has locked, and SQLite has one writer at a time
//! anyway. That is also why a claim, a sign of life and a lease leave no row in the changes of the
//! project, whose numbers are given out one transaction after the other: only what puts an item
//! into a queue or ends it does.

mod expiry;
mod ops;
mod sql;
#[cfg(test)]
mod tests;

use crate::stored::stored_as_text;
use athena_core::{AgentId, LeaseId, ProjectId};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

pub use expiry::ExpireLeases;
pub use ops::*;

/// The queue of items that name none.
pub const DEFAULT_QUEUE: &str = "default";
/// Items that an agent works on at once, unless it says otherwise.
pub const DEFAULT_MAX_CONCURRENT: u32 = 5;
/// How long a lease lasts and a sign of life counts, in seconds, unless said otherwise.
pub const DEFAULT_LEASE_SECONDS: u32 = 60;
/// How often an item is tried, unless said otherwise.
pub const DEFAULT_MAX_ATTEMPTS: u32 = 3;
/// The largest payload or result of an item, in bytes of JSON.
pub const MAX_PAYLOAD_BYTES: usize = 1024 * 1024;

/// The kind of resource that a queue item is to its lease.
const QUEUE_RESOURCE: &str = "queue";
/// The longest pause between two attempts of an item.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(10);

/// An agent that was registered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Agent {
    /// Its id in this store.
    pub id: AgentId,
    /// Its id in every store that it is moved to.
    pub uid: Uuid,
    /// The id of its project.
    pub project_id: ProjectId,
    /// The name that it calls itself.
    pub agent: String,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// How many items it works on at once, at most.
    pub max_concurrent: i64,
    /// For how many seconds one sign of life counts.
    pub lease_seconds: i64,
    /// Anything else that it said of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// How many queue items it works on now: its leases that have not expired.
    pub load: i64,
    /// Whether it gave a sign of life within `lease_seconds`.
    pub alive: bool,
    /// How many items it completed.
    pub completed: i64,
    /// How many attempts of its own it said had failed. A lease that expires counts neither way.
    pub failed: i64,
    /// The share of completed items, 0 to 1; 1 before the first.
    pub success_rate: f64,
    /// How long a completed item took it on average, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average_ms: Option<i64>,
    /// When it gave its last sign of life: a heartbeat, a claim, or registering.
    pub last_heartbeat_at: Timestamp,
    /// Who registered it.
    pub principal: String,
    /// When it was registered first.
    pub created_at: Timestamp,
    /// When it was registered last.
    pub updated_at: Timestamp,
}

impl Agent {
    /// Whether it can do everything that is required.
    #[must_use]
    pub fn can(&self, required: &[String]) -> bool {
        required.iter().all(|it| self.capabilities.contains(it))
    }

    /// Returns how many more items it may work on now.
    #[must_use]
    pub fn free(&self) -> i64 {
        (self.max_concurrent - self.load).max(0)
    }

    /// Returns how well suited it is for more work: its success, less the share of its places that
    /// is taken.
    #[must_use]
    pub fn fitness(&self) -> f64 {
        let share = |count: i64| f64::from(i32::try_from(count).unwrap_or(i32::MAX));
        self.success_rate * (share(self.free()) / share(self.max_concurrent.max(1)))
    }
}

/// Returns the share of attempts that were completed; 1 before the first.
fn success_rate(completed: i64, failed: i64) -> f64 {
    let count = |count: i64| f64::from(i32::try_from(count).unwrap_or(i32::MAX));
    match completed.saturating_add(failed) {
        0 => 1.0,
        attempts => count(completed) / count(attempts),
    }
}

/// Returns how long an item rests after so many attempts: two seconds after the first, twice as
/// long each time, up to ten minutes.
fn pause(attempts: i64) -> SignedDuration {
    let doubled = u32::try_from(attempts.clamp(0, 10)).unwrap_or(10);
    SignedDuration::from_secs(1_i64 << doubled).min(LONGEST_PAUSE)
}

/// Returns the time some seconds later.
fn seconds_after(now: Timestamp, seconds: i64) -> Timestamp {
    now.checked_add(SignedDuration::from_secs(seconds))
        .unwrap_or(Timestamp::MAX)
}

/// Where an item of a queue stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueueState {
    /// It waits for somebody who claims it.
    Ready,
    /// Somebody works on it.
    Leased,
    /// It was completed.
    Done,
    /// It was tried as often as it may be.
    Failed,
    /// It was called off.
    Cancelled,
}

impl QueueState {
    /// Returns the name that is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Leased => "leased",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How a lease ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeaseOutcome {
    /// The item was completed.
    Completed,
    /// The attempt failed.
    Failed,
    /// The holder gave it back.
    Released,
    /// The holder was silent for too long.
    Expired,
    /// The item was called off.
    Cancelled,
}

impl LeaseOutcome {
    /// Returns the name that is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }
}

stored_as_text!(QueueState, "a state of a queue item");
stored_as_text!(LeaseOutcome, "an outcome of a lease");

/// An item of a queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QueueItem {
    /// Its id in this store.
    pub id: i64,
    /// Its id in every store that it is moved to.
    pub uid: Uuid,
    /// The id of its project.
    pub project_id: ProjectId,
    /// The queue.
    pub queue: String,
    /// What is to be done, in a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What who does it must know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Map<String, Value>>,
    /// The task that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<i64>,
    /// What an agent must be able to do to get it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    /// How urgent it is, 1 to 10; 10 is claimed first.
    pub priority: i64,
    /// It is not given out before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// How often it is tried at most.
    pub max_attempts: i64,
    /// How often it was given out.
    pub attempts: i64,
    /// Where it stands.
    pub state: QueueState,
    /// Who works on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_by: Option<String>,
    /// Until when nobody else gets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Timestamp>,
    /// What came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Map<String, Value>>,
    /// Why the last attempt that failed did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Who put it there.
    pub principal: String,
    /// When it was put there.
    pub created_at: Timestamp,
    /// When something about it changed last.
    pub updated_at: Timestamp,
    /// When it was done, failed for good or was called off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

/// Somebody's hold on a resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Lease {
    /// Its id in this store.
    pub id: LeaseId,
    /// The id of its project.
    pub project_id: ProjectId,
    /// What is held, such as `file:src/main.rs`; `queue:17` is an item of a queue.
    pub resource: String,
    /// Who holds it.
    pub agent: String,
    /// When it was acquired.
    pub acquired_at: Timestamp,
    /// When it was acquired or renewed last.
    pub heartbeat_at: Timestamp,
    /// When it expires unless it is renewed.
    pub expires_at: Timestamp,
    /// Which attempt of a queue item it is; 1 for other resources.
    pub attempt: i64,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub released_at: Option<Timestamp>,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<LeaseOutcome>,
    /// The queue item.
    #[serde(skip)]
    item: Option<i64>,
}

impl Lease {
    /// Whether it is held at a time.
    fn is_held(&self, now: Timestamp) -> bool {
        self.released_at.is_none() && self.expires_at > now
    }

    /// Returns for how long a renewal lasts unless said otherwise: as long as the last one.
    fn seconds(&self) -> i64 {
        self.expires_at
            .duration_since(self.heartbeat_at)
            .as_secs()
            .max(1)
    }
}
