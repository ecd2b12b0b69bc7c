//! Threads whose time is over.

use super::ops::purge_thread;
use super::sql;
use athena_core::{Ctx, Env, Result};
use athena_db::BoxFuture;
use athena_store::{Chore, Intent, write};
use std::sync::Arc;

/// Threads that go in one run.
const AT_ONCE: i64 = 20;

/// Removes threads for good that have expired.
///
/// What removed rows leave in the gaps of a file is wiped by the next purge that somebody asks for.
#[derive(Debug)]
pub struct PurgeExpiredThreads;

impl Chore for PurgeExpiredThreads {
    fn run<'a>(&'a self, env: &'a Arc<Env>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let ctx = Ctx::for_own_work(Arc::clone(env));
            let expired = sql::expired(ctx.db(), ctx.now(), AT_ONCE).await?;
            if expired.is_empty() {
                return Ok(());
            }
            for id in expired {
                let intent = Intent::new("thread.expire").of_items(200);
                write(&ctx, intent, move |write| {
                    Box::pin(async move {
                        // A thread that was given more time meanwhile stays.
                        sql::lock_thread(write.tx(), id).await?;
                        let thread = sql::thread_anywhere(write.tx(), id).await?;
                        let over = |at| at <= write.now();
                        match thread.filter(|thread| thread.expires_at.is_some_and(over)) {
                            Some(thread) => purge_thread(write, &thread).await.map(|_| ()),
                            None => Ok(()),
                        }
                    })
                })
                .await?;
            }
            Ok(())
        })
    }
}
