//! Working on what waits: claims, and what holders of leases say.

use super::{
    check_size, existing_item, home_of_lease, locked_lease, lost, note_item, project_of,
    registered, until,
};
use crate::agents::expiry::expire;
use crate::agents::sql::{self, NewLease, Next};
use crate::agents::{
    Agent, DEFAULT_LEASE_SECONDS, DEFAULT_QUEUE, Lease, LeaseOutcome, QueueItem, QueueState, pause,
    seconds_after,
};
use athena_core::{Code, Ctx, Error, Operation, ProjectId, Result, Spec};
use athena_db::BoxFuture;
use athena_store::{Intent, Write, write};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// Candidates that are read at once.
const PAGE: i64 = 500;

/// Claims items of a queue for an agent: the most urgent first, then the oldest, of those that need
/// nothing that it cannot do. No two agents get the same item. Complete, fail or release each with
/// its token before its lease expires, or renew the lease; what expires is given to others.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "QueueClaim")]
pub struct Claim {
    /// The agent, which must be registered.
    #[schemars(length(min = 1, max = 200))]
    pub agent: String,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// The queue; `default` unless given.
    #[schemars(length(min = 1, max = 100))]
    pub queue: Option<String>,
    /// How many items to claim at most. The agent never holds more than its `max_concurrent`.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100))]
    pub limit: u32,
    /// For how many seconds nobody else gets them; 60 unless given.
    #[schemars(range(min = 1, max = 86_400))]
    pub lease_seconds: Option<u32>,
}

fn one() -> u32 {
    1
}

/// What was claimed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Claimed {
    /// The items, in the order of the queue; none if nothing waits that the agent can do.
    pub items: Vec<ClaimedItem>,
    /// How many more items the agent may hold now.
    pub free: i64,
}

/// An item that was claimed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ClaimedItem {
    /// Proves the hold on the item: pass it to `queue.complete`, `queue.fail`, `queue.release` and
    /// `queue.heartbeat`.
    pub token: Uuid,
    /// Until when nobody else gets it.
    pub expires_at: Timestamp,
    /// The item.
    pub item: QueueItem,
}

impl Operation for Claim {
    const SPEC: Spec = Spec::act("queue.claim", "/queue/claim")
        .command(&["queue", "claim"])
        .positional(&["agent"])
        .short(&[("limit", 'n')]);
    type Output = Claimed;

    async fn call(self, ctx: &Ctx) -> Result<Claimed> {
        let items = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let intent = Intent::new("queue.claim").of_items(items);
        let claim = Arc::new(self);
        write(ctx, intent, move |write| {
            let claim = Arc::clone(&claim);
            Box::pin(async move { perform(write, &claim).await })
        })
        .await
    }
}

async fn perform(write: &Write<'_>, claim: &Claim) -> Result<Claimed> {
    let (tx, now) = (write.tx(), write.now());
    let project = project_of(tx, write.ctx(), claim.project.as_deref()).await?;
    let agent = registered(tx, project, &claim.agent, now).await?;
    // The row stays locked: two claims of one agent count each other's leases.
    sql::beat(tx, agent.id, now, seconds_after(now, agent.lease_seconds)).await?;
    let agent = registered(tx, project, &claim.agent, now).await?;
    expire(write).await?;
    let wanted = agent.free().min(i64::from(claim.limit));
    let queue = claim.queue.as_deref().unwrap_or(DEFAULT_QUEUE);
    let taken = take(write, project, queue, &agent, wanted).await?;
    let seconds = claim.lease_seconds.unwrap_or(DEFAULT_LEASE_SECONDS);
    let items = lease_all(write, project, &agent, &taken, until(now, seconds)).await?;
    let held = i64::try_from(items.len()).unwrap_or(i64::MAX);
    Ok(Claimed {
        free: agent.free() - held,
        items,
    })
}

/// Locks up to so many items that an agent can do; returns each with the attempts before.
///
/// No more are locked than are taken: another claim at the same time passes over these and gets
/// the next ones.
async fn take(
    write: &Write<'_>,
    project: ProjectId,
    queue: &str,
    agent: &Agent,
    wanted: i64,
) -> Result<Vec<(i64, i64)>> {
    let (tx, now) = (write.tx(), write.now());
    let wanted = usize::try_from(wanted).unwrap_or(0);
    let mut taken: Vec<(i64, i64)> = Vec::with_capacity(wanted);
    let mut after = (0, 0);
    while taken.len() < wanted {
        let page = sql::candidates(tx, project, queue, now, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = (last.turn, last.id);
        let fitting = page.iter().filter(|it| agent.can(&it.requires));
        let fitting: Vec<i64> = fitting.map(|it| it.id).collect();
        let mut rest = &fitting[..];
        while taken.len() < wanted && !rest.is_empty() {
            let next = rest.len().min(wanted - taken.len());
            let (tried, left) = rest.split_at(next);
            taken.extend(sql::lock_ready(tx, tried).await?);
            rest = left;
        }
    }
    Ok(taken)
}

/// Gives an agent leases on items that were locked, and returns them in the order of the queue.
async fn lease_all(
    write: &Write<'_>,
    project: ProjectId,
    agent: &Agent,
    taken: &[(i64, i64)],
    expires_at: Timestamp,
) -> Result<Vec<ClaimedItem>> {
    let (tx, now) = (write.tx(), write.now());
    let ids: Vec<i64> = taken.iter().map(|(id, _)| *id).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let leases = taken.iter().map(|(id, attempts)| {
        let (kind, name) = sql::item_resource(*id);
        NewLease {
            kind,
            name,
            item: Some(*id),
            agent: &agent.agent,
            token: Uuid::now_v7(),
            attempt: attempts + 1,
            now,
            expires_at,
        }
    });
    let leases: Vec<NewLease<'_>> = leases.collect();
    sql::mark_leased(tx, &ids, now).await?;
    sql::insert_leases(tx, project, &leases).await?;
    let tokens: HashMap<i64, Uuid> = ids
        .iter()
        .copied()
        .zip(leases.iter().map(|lease| lease.token))
        .collect();
    let mut items = sql::items_by_ids(tx, &ids).await?;
    items.sort_by_key(|item| (-item.priority, item.id));
    let claimed = items.into_iter().filter_map(|item| {
        let token = *tokens.get(&item.id)?;
        Some(ClaimedItem {
            token,
            expires_at,
            item,
        })
    });
    Ok(claimed.collect())
}

/// A lease on an item, locked, and the item.
struct Held {
    lease: Lease,
    item: QueueItem,
}

/// Locks the lease of a token and returns it with its item; `Err` if it is held no more, unless it
/// ended just as the caller wants: a call that is repeated says the same again.
async fn held(write: &Write<'_>, token: Uuid, wanted: Option<LeaseOutcome>) -> Result<Held> {
    let lease = locked_lease(write, token).await?;
    let Some(item) = lease.item else {
        let problem = "is not that of a queue item; use `lease.renew` or `lease.release`";
        return Err(Error::invalid("token", problem));
    };
    if !lease.is_held(write.now()) && (lease.outcome.is_none() || lease.outcome != wanted) {
        return Err(lost(write, &lease).await?);
    }
    let item = existing_item(write.tx(), item).await?;
    Ok(Held { lease, item })
}

impl Held {
    /// Ends the lease and says how the item goes on.
    async fn end(
        &self,
        write: &Write<'_>,
        outcome: LeaseOutcome,
        next: &Next<'_>,
    ) -> Result<LeaseEnded> {
        if self.lease.released_at.is_none() {
            let (tx, now) = (write.tx(), write.now());
            sql::end_leases(tx, &[self.lease.id.0], outcome, now).await?;
            sql::set_next(tx, self.item.id, next, now).await?;
        }
        let item = existing_item(write.tx(), self.item.id).await?;
        Ok(LeaseEnded {
            id: item.id,
            state: item.state,
            attempts: item.attempts,
            not_before: item.not_before,
        })
    }
}

/// Where an item stands after its holder let go of it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LeaseEnded {
    /// The item's id.
    pub id: i64,
    /// Where it stands.
    pub state: QueueState,
    /// How often it was given out.
    pub attempts: i64,
    /// It is not given out again before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
}

/// Renews the lease of a queue item, so that nobody else gets it while it is worked on.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueueHeartbeat {
    /// The token that the claim answered.
    #[schemars(extend("x-text" = "raw"))]
    pub token: Uuid,
    /// For how many seconds from now; as long as before unless given.
    #[schemars(range(min = 1, max = 86_400))]
    pub lease_seconds: Option<u32>,
}

impl Operation for QueueHeartbeat {
    const SPEC: Spec = Spec::act("queue.heartbeat", "/queue/heartbeat")
        .idempotent()
        .command(&["queue", "heartbeat"])
        .positional(&["token"])
        .errors(&[Code::Conflict, Code::InvalidState]);
    type Output = Lease;

    async fn call(self, ctx: &Ctx) -> Result<Lease> {
        write(ctx, Intent::new("queue.heartbeat"), move |write| {
            Box::pin(async move {
                let held = held(write, self.token, None).await?;
                super::leases::renew(write, &held.lease, self.token, self.lease_seconds).await
            })
        })
        .await
    }
}

/// Completes a queue item. Completing it again with the same token changes nothing.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "QueueComplete")]
pub struct Complete {
    /// The token that the claim answered.
    #[schemars(extend("x-text" = "raw"))]
    pub token: Uuid,
    /// What came of it; at most 1 MiB.
    pub result: Option<Map<String, Value>>,
}

impl Operation for Complete {
    const SPEC: Spec = Spec::act("queue.complete", "/queue/complete")
        .idempotent()
        .command(&["queue", "complete"])
        .positional(&["token"])
        .errors(&[Code::Conflict, Code::InvalidState]);
    type Output = LeaseEnded;

    fn home<'a>(ctx: &'a Ctx, input: &'a Value) -> BoxFuture<'a, Result<Option<String>>> {
        home_of_lease(ctx, input)
    }

    async fn call(self, ctx: &Ctx) -> Result<LeaseEnded> {
        check_size("result", self.result.as_ref())?;
        let complete = Arc::new(self);
        write(ctx, Intent::new("queue.complete"), move |write| {
            let complete = Arc::clone(&complete);
            Box::pin(async move { finish(write, &complete).await })
        })
        .await
    }
}

async fn finish(write: &Write<'_>, complete: &Complete) -> Result<LeaseEnded> {
    let held = held(write, complete.token, Some(LeaseOutcome::Completed)).await?;
    let (lease, item) = (&held.lease, &held.item);
    let next = Next {
        state: QueueState::Done,
        attempts: item.attempts,
        not_before: None,
        result: complete.result.as_ref(),
        last_error: item.last_error.as_deref(),
    };
    let ended = held.end(write, LeaseOutcome::Completed, &next).await?;
    if lease.released_at.is_none() {
        let took = write.now().duration_since(lease.acquired_at).as_millis();
        let took = i64::try_from(took).unwrap_or(i64::MAX).max(0);
        sql::count_completed(write.tx(), lease.project_id, &lease.agent, took).await?;
        note_item(write, item.project_id, item.id);
    }
    Ok(ended)
}

/// Says that an attempt at a queue item failed. The item is given out again after a pause that
/// doubles each time, until it was tried as often as it may be.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "QueueFail")]
pub struct Fail {
    /// The token that the claim answered.
    #[schemars(extend("x-text" = "raw"))]
    pub token: Uuid,
    /// Why.
    #[schemars(length(min = 1, max = 10_000))]
    pub error: String,
    /// Do not try again: it would fail again.
    #[serde(default)]
    #[schemars(extend("x-advanced" = true))]
    pub permanent: bool,
}

impl Operation for Fail {
    const SPEC: Spec = Spec::act("queue.fail", "/queue/fail")
        .idempotent()
        .command(&["queue", "fail"])
        .positional(&["token", "error"])
        .errors(&[Code::Conflict, Code::InvalidState]);
    type Output = LeaseEnded;

    fn home<'a>(ctx: &'a Ctx, input: &'a Value) -> BoxFuture<'a, Result<Option<String>>> {
        home_of_lease(ctx, input)
    }

    async fn call(self, ctx: &Ctx) -> Result<LeaseEnded> {
        let fail = Arc::new(self);
        write(ctx, Intent::new("queue.fail"), move |write| {
            let fail = Arc::clone(&fail);
            Box::pin(async move { give_up(write, &fail).await })
        })
        .await
    }
}

async fn give_up(write: &Write<'_>, fail: &Fail) -> Result<LeaseEnded> {
    let held = held(write, fail.token, Some(LeaseOutcome::Failed)).await?;
    let (lease, item) = (&held.lease, &held.item);
    let again = !fail.permanent && item.attempts < item.max_attempts;
    let rest = write.now().checked_add(pause(item.attempts));
    let next = Next {
        state: match again {
            true => QueueState::Ready,
            false => QueueState::Failed,
        },
        attempts: item.attempts,
        not_before: again.then(|| rest.unwrap_or(Timestamp::MAX)),
        result: None,
        last_error: Some(&fail.error),
    };
    let ended = held.end(write, LeaseOutcome::Failed, &next).await?;
    if lease.released_at.is_none() {
        sql::count_failed(write.tx(), lease.project_id, &lease.agent).await?;
        note_item(write, item.project_id, item.id);
    }
    Ok(ended)
}

/// Gives a queue item back untouched. The attempt does not count.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "QueueRelease")]
pub struct Release {
    /// The token that the claim answered.
    #[schemars(extend("x-text" = "raw"))]
    pub token: Uuid,
}

impl Operation for Release {
    const SPEC: Spec = Spec::act("queue.release", "/queue/release")
        .idempotent()
        .command(&["queue", "release"])
        .positional(&["token"])
        .errors(&[Code::Conflict, Code::InvalidState]);
    type Output = LeaseEnded;

    async fn call(self, ctx: &Ctx) -> Result<LeaseEnded> {
        write(ctx, Intent::new("queue.release"), move |write| {
            Box::pin(async move {
                let held = held(write, self.token, Some(LeaseOutcome::Released)).await?;
                let next = Next {
                    state: QueueState::Ready,
                    attempts: (held.item.attempts - 1).max(0),
                    not_before: None,
                    result: None,
                    last_error: held.item.last_error.as_deref(),
                };
                held.end(write, LeaseOutcome::Released, &next).await
            })
        })
        .await
    }
}
