//! Leases of anything that has a name.

use super::{locked_lease, lost, until};
use crate::agents::sql::{self, LeaseFilter, NewLease};
use crate::agents::{DEFAULT_LEASE_SECONDS, Lease, LeaseOutcome, QUEUE_RESOURCE, seconds_after};
use crate::projects;
use athena_core::{Code, Ctx, Cursor, Error, Operation, Page, PageRequest, Result, Spec};
use athena_store::{Intent, Write, write};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

/// Acquires a lease on something that only one agent should touch at a time, such as
/// `file:src/main.rs` or `task:17`. It is refused while somebody else holds it, and ends by itself
/// unless it is renewed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LeaseAcquire")]
pub struct Acquire {
    /// What it is: a kind and a name, with a colon between.
    #[schemars(
        length(min = 3, max = 551),
        regex(pattern = r"^[A-Za-z0-9_.\-]{1,50}:\S[\s\S]{0,499}$")
    )]
    pub resource: String,
    /// Who wants it; need not be registered.
    #[schemars(length(min = 1, max = 200))]
    pub agent: String,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// For how many seconds; 60 unless given.
    #[schemars(range(min = 1, max = 86_400))]
    pub lease_seconds: Option<u32>,
}

/// A lease that was acquired.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "LeaseAcquired")]
pub struct Acquired {
    /// Proves the hold: pass it to `lease.renew` and `lease.release`.
    pub token: Uuid,
    /// What is held.
    pub resource: String,
    /// When it ends unless it is renewed.
    pub expires_at: Timestamp,
}

impl Operation for Acquire {
    const SPEC: Spec = Spec::create("lease.acquire", "/leases")
        .command(&["lease", "acquire"])
        .positional(&["resource", "agent"])
        .errors(&[Code::Conflict, Code::Denied]);
    type Output = Acquired;

    async fn call(self, ctx: &Ctx) -> Result<Acquired> {
        resource(&self.resource)?;
        let acquire = Arc::new(self);
        write(ctx, Intent::new("lease.acquire"), move |write| {
            let acquire = Arc::clone(&acquire);
            Box::pin(async move { take(write, &acquire).await })
        })
        .await
    }
}

/// Splits a resource into its kind and its name.
pub(in crate::agents) fn resource(text: &str) -> Result<(&str, &str)> {
    let parts = text.split_once(':');
    let plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-' | '.');
    let parts = parts.filter(|(kind, name)| {
        !kind.is_empty()
            && kind.len() <= 50
            && kind.chars().all(plain)
            && !name.is_empty()
            && !name.starts_with(char::is_whitespace)
            && name.chars().count() <= 500
    });
    match parts {
        Some((QUEUE_RESOURCE, _)) => {
            let message = "`resource` must not be an item of a queue; claim it with `queue.claim`";
            Err(Error::new(Code::Denied, message).with_field("resource"))
        }
        Some(parts) => Ok(parts),
        None => Err(Error::invalid(
            "resource",
            "must be a kind of up to 50 letters, digits, `_`, `-` and `.`, a colon and a name of up \
             to 500 characters that begins with a visible one, such as `file:src/main.rs`",
        )),
    }
}

async fn take(write: &Write<'_>, acquire: &Acquire) -> Result<Acquired> {
    let (tx, now) = (write.tx(), write.now());
    let project = projects::for_writing(write, acquire.project.as_deref()).await?;
    let (kind, name) = resource(&acquire.resource)?;
    let seconds = acquire.lease_seconds.unwrap_or(DEFAULT_LEASE_SECONDS);
    let lease = NewLease {
        kind,
        name: name.to_owned(),
        item: None,
        agent: &acquire.agent,
        token: Uuid::now_v7(),
        attempt: 1,
        now,
        expires_at: until(now, seconds),
    };
    if let Some(holder) = sql::holder(tx, project.id, kind, name).await?
        && !holder.is_held(now)
    {
        sql::end_expired(tx, holder.id, now).await?;
    }
    if sql::insert_lease(tx, project.id, &lease).await? {
        return Ok(Acquired {
            token: lease.token,
            resource: acquire.resource.clone(),
            expires_at: lease.expires_at,
        });
    }
    Err(match sql::holder(tx, project.id, kind, name).await? {
        Some(holder) => {
            let message = format!(
                "`{}` is held by `{}` until {}; wait for its release, or until then",
                acquire.resource, holder.agent, holder.expires_at
            );
            Error::new(Code::Conflict, message).with_field("resource")
        }
        None => Error::new(Code::Busy, "it was held and released meanwhile; try again"),
    })
}

/// Renews a lease.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LeaseRenew")]
pub struct Renew {
    /// The token that acquiring it answered.
    #[schemars(extend("x-text" = "raw"))]
    pub token: Uuid,
    /// For how many seconds from now; as long as before unless given.
    #[schemars(range(min = 1, max = 86_400))]
    pub lease_seconds: Option<u32>,
}

impl Operation for Renew {
    const SPEC: Spec = Spec::act("lease.renew", "/leases/renew")
        .idempotent()
        .command(&["lease", "renew"])
        .positional(&["token"])
        .errors(&[Code::Conflict, Code::InvalidState]);
    type Output = Lease;

    async fn call(self, ctx: &Ctx) -> Result<Lease> {
        write(ctx, Intent::new("lease.renew"), move |write| {
            Box::pin(async move {
                let lease = locked_lease(write, self.token).await?;
                if !lease.is_held(write.now()) {
                    return Err(lost(write, &lease).await?);
                }
                renew(write, &lease, self.token, self.lease_seconds).await
            })
        })
        .await
    }
}

/// Renews a lease that was locked and is held.
pub(super) async fn renew(
    write: &Write<'_>,
    lease: &Lease,
    token: Uuid,
    seconds: Option<u32>,
) -> Result<Lease> {
    let now = write.now();
    let seconds = seconds.map_or_else(|| lease.seconds(), i64::from);
    sql::renew_lease(write.tx(), lease.id, now, seconds_after(now, seconds)).await?;
    super::existing_lease(write.tx(), token).await
}

/// Releases a lease, so that others may have what was held. Releasing it again changes nothing.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeaseRelease {
    /// The token that acquiring it answered.
    #[schemars(extend("x-text" = "raw"))]
    pub token: Uuid,
}

impl Operation for LeaseRelease {
    const SPEC: Spec = Spec::act("lease.release", "/leases/release")
        .idempotent()
        .command(&["lease", "release"])
        .positional(&["token"])
        .errors(&[Code::Conflict, Code::InvalidState]);
    type Output = Lease;

    async fn call(self, ctx: &Ctx) -> Result<Lease> {
        write(ctx, Intent::new("lease.release"), move |write| {
            Box::pin(async move { release(write, self.token).await })
        })
        .await
    }
}

async fn release(write: &Write<'_>, token: Uuid) -> Result<Lease> {
    let lease = locked_lease(write, token).await?;
    if lease.item.is_some() {
        let problem =
            "is that of a queue item; use `queue.complete`, `queue.fail` or `queue.release`";
        return Err(Error::invalid("token", problem));
    }
    if lease.outcome == Some(LeaseOutcome::Released) {
        return Ok(lease);
    }
    if !lease.is_held(write.now()) {
        return Err(lost(write, &lease).await?);
    }
    let outcome = LeaseOutcome::Released;
    sql::end_leases(write.tx(), &[lease.id.0], outcome, write.now()).await?;
    super::existing_lease(write.tx(), token).await
}

/// Lists leases, newest first: who holds what.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeaseList {
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// Only leases of this agent.
    #[schemars(length(min = 1, max = 200))]
    pub agent: Option<String>,
    /// Only leases of resources of this kind, such as `file`; `queue` for items of queues.
    #[schemars(length(min = 1, max = 50))]
    pub kind: Option<String>,
    /// List those too that have ended.
    #[serde(default)]
    pub ended: bool,
    /// How many to answer at most.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 1_000))]
    pub limit: u32,
    /// Where the previous page ended: its `next_cursor`.
    #[schemars(length(max = 15), regex(pattern = r"^c1\.[0-9a-z]{1,12}$"))]
    pub cursor: Option<String>,
}

fn default_limit() -> u32 {
    50
}

impl Operation for LeaseList {
    const SPEC: Spec = Spec::read("lease.list", "/leases")
        .command(&["lease", "list"])
        .short(&[("limit", 'n')]);
    type Output = Page<Lease>;

    async fn call(self, ctx: &Ctx) -> Result<Page<Lease>> {
        let page = PageRequest {
            limit: self.limit,
            cursor: self.cursor.as_deref().map(Cursor::parse).transpose()?,
        };
        let filter = LeaseFilter {
            agent: self.agent.as_deref(),
            kind: self.kind.as_deref(),
            ended: self.ended,
        };
        let leases = match projects::own(ctx, self.project.as_deref()).await? {
            Some(project) => sql::leases(ctx.db(), project.id, &filter, ctx.now(), page).await?,
            None => Vec::new(),
        };
        Ok(Page::from_overfetch(leases, self.limit, |lease| lease.id.0))
    }
}
