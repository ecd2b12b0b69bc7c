//! What becomes of leases whose holders are silent.

use super::ops::note_item;
use super::{LeaseOutcome, sql};
use athena_core::{Ctx, Env, Result};
use athena_db::BoxFuture;
use athena_store::{Chore, Intent, Write, write};
use std::sync::Arc;

/// Leases that end at once.
const AT_ONCE: i64 = 500;

/// Ends leases that have expired, and gives their items to whoever claims them next.
///
/// A claim does the same first, so this is for those who look and do not claim.
#[derive(Debug)]
pub struct ExpireLeases;

impl Chore for ExpireLeases {
    fn run<'a>(&'a self, env: &'a Arc<Env>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let ctx = Ctx::for_own_work(Arc::clone(env));
            if !sql::any_expired(ctx.db(), ctx.now()).await? {
                return Ok(());
            }
            let intent = Intent::new("lease.expire");
            write(&ctx, intent, |write| Box::pin(expire(write))).await
        })
    }
}

/// Ends leases that have expired: an item that may be tried again is ready again, another one has
/// failed. What another transaction is about to change is left to it.
pub(super) async fn expire(write: &Write<'_>) -> Result<()> {
    let (tx, now) = (write.tx(), write.now());
    let expired = sql::lock_expired(tx, now, AT_ONCE).await?;
    if expired.is_empty() {
        return Ok(());
    }
    let leases: Vec<i64> = expired.iter().map(|(lease, _)| lease.0).collect();
    let items: Vec<i64> = expired.iter().filter_map(|(_, item)| *item).collect();
    sql::end_leases(tx, &leases, LeaseOutcome::Expired, now).await?;
    sql::give_back_expired(tx, &items, now).await?;
    for (item, project) in sql::failed_among(tx, &items).await? {
        note_item(write, project, item);
    }
    Ok(())
}
