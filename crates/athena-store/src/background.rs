//! What a process does by itself: chores, sealing, sweeping.

use crate::store::Store;
use crate::{changes, idempotency, segments};
use athena_core::{Env, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How often chores run.
const PERIOD: Duration = Duration::from_secs(1);
/// How long the last run may take when a process ends.
const LAST_FLUSH: Duration = Duration::from_secs(3);
/// How many periods pass between two sweeps.
const SWEEP_EVERY: u64 = 600;

/// The background work of a long-lived process.
#[derive(Debug)]
pub struct Background {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    env: Arc<Env>,
}

impl Background {
    /// Starts it on the current runtime.
    #[must_use]
    pub fn start(env: &Arc<Env>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run(Arc::clone(env), stopped));
        Self {
            stop,
            task,
            env: Arc::clone(env),
        }
    }

    /// Ends it after what is left to do.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "background work ended early");
        }
        if tokio::time::timeout(LAST_FLUSH, flush(&self.env))
            .await
            .is_err()
        {
            tracing::warn!("the last background work did not end in time");
        }
    }
}

/// Does once what background work does: one-shot commands call it before they end.
///
/// Failures are logged; the work is taken up again by the next process.
pub async fn flush(env: &Arc<Env>) {
    for chore in &env.part::<Store>().chores {
        report("a chore", chore.run(env).await);
    }
    report("sealing", segments::tend(env).await);
}

async fn run(env: Arc<Env>, mut stopped: watch::Receiver<bool>) {
    for period in 1_u64.. {
        let stop = tokio::select! {
            () = tokio::time::sleep(PERIOD) => false,
            _ = stopped.wait_for(|stop| *stop) => true,
        };
        if stop {
            return;
        }
        // Ending does not wait for a provider: what was claimed is taken up again later.
        let stop = tokio::select! {
            () = flush(&env) => false,
            _ = stopped.wait_for(|stop| *stop) => true,
        };
        if stop {
            return;
        }
        if period % SWEEP_EVERY == 0 {
            let swept = idempotency::sweep(env.db(), jiff::Timestamp::now()).await;
            report("sweeping", swept.map(|_| ()));
            report(
                "sweeping",
                changes::sweep(env.db(), jiff::Timestamp::now()).await,
            );
        }
    }
}

fn report(work: &str, result: Result<()>) {
    if let Err(error) = result {
        tracing::warn!(work, code = %error.code(), cause = ?std::error::Error::source(&error), "background work failed");
    }
}
