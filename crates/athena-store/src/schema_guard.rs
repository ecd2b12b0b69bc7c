//! Keeps an old process from writing into a store that a newer one has migrated.

use athena_core::{Code, Error, Result};
use athena_db::{Executor, Scalar, Tx, params};
use std::sync::atomic::{AtomicI64, Ordering};

/// How many migrations this process found when it first wrote.
///
/// Opening a store migrates it, so that number is what this process knows; any more came from a
/// newer version later.
#[derive(Debug, Default)]
pub(crate) struct SchemaGuard {
    known: AtomicI64,
}

impl SchemaGuard {
    /// Refuses to write when the store has migrations that this process does not know.
    pub(crate) async fn check(&self, tx: &Tx<'_>) -> Result<()> {
        let Scalar(applied) = tx
            .fetch_one::<Scalar<i64>>("SELECT COUNT(*) FROM athena_migrations", params! {})
            .await?;
        let known =
            match self
                .known
                .compare_exchange(0, applied, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => applied,
                Err(known) => known,
            };
        if applied > known {
            return Err(Error::new(
                Code::NewerStore,
                "a newer version of Athena has migrated this store; restart this process with that version",
            ));
        }
        Ok(())
    }
}
