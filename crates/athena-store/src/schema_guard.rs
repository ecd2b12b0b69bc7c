//! Keeps an old process from writing into a store that a newer one has migrated.

use athena_core::{Code, Error, Result};
use athena_db::{Executor, Scalar, Tx, params};

/// How many migrations this process knows.
#[derive(Debug)]
pub(crate) struct SchemaGuard {
    known: i64,
}

impl SchemaGuard {
    /// Knows that many migrations.
    pub(crate) fn knowing(migrations: usize) -> Self {
        Self {
            known: i64::try_from(migrations).unwrap_or(i64::MAX),
        }
    }

    /// Refuses to write when the store has migrations that this process does not know.
    pub(crate) async fn check(&self, tx: &Tx<'_>) -> Result<()> {
        let Scalar(applied) = tx
            .fetch_one::<Scalar<i64>>("SELECT COUNT(*) FROM athena_migrations", params! {})
            .await?;
        if applied > self.known {
            return Err(Error::new(
                Code::NewerStore,
                "a newer version of Athena has migrated this store; restart this process with that version",
            ));
        }
        Ok(())
    }
}
