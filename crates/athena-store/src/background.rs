//! What a process does by itself: chores, sealing, sweeping.

use crate::store::Store;
use crate::{idempotency, seal};
use athena_core::{Env, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How often chores run.
const PERIOD: Duration = Duration::from_secs(1);
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
        flush(&self.env).await;
    }
}

/// Does once what background work does: one-shot commands call it before they end.
///
/// Failures are logged; the work is taken up again by the next process.
pub async fn flush(env: &Arc<Env>) {
    report("chores", chores(env).await);
    report("sealing", seal::seal_wanted(env).await);
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
        flush(&env).await;
        if period % SWEEP_EVERY == 0 {
            let swept = idempotency::sweep(env.db(), jiff::Timestamp::now()).await;
            report("sweeping", swept.map(|_| ()));
        }
    }
}

async fn chores(env: &Arc<Env>) -> Result<()> {
    for chore in &env.part::<Store>().chores {
        chore.run(env).await?;
    }
    Ok(())
}

fn report(work: &str, result: Result<()>) {
    if let Err(error) = result {
        tracing::warn!(work, code = %error.code(), cause = ?std::error::Error::source(&error), "background work failed");
    }
}
