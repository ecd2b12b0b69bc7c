//! Keeps an old process from writing into a store that a newer one has migrated, and reads on the
//! way which key the store has.

use athena_core::{Code, Error, Result};
use athena_db::{Executor, MigrationSet, Tx, params};

/// The migrations that this process knows.
#[derive(Debug)]
pub(crate) struct SchemaGuard {
    sets: Vec<String>,
    known: i64,
}

/// Stands in the ledger while the store is the target of a copy: nobody may write meanwhile.
const COPY_MARKER: &str = "athena_copy";

impl SchemaGuard {
    /// Knows these sets; those of others in the same database are none of its business.
    pub(crate) fn knowing(sets: &[&MigrationSet<'_>]) -> Self {
        let known: usize = sets.iter().map(|set| set.files.len()).sum();
        let names = sets.iter().map(|set| set.name).chain([COPY_MARKER]);
        Self {
            sets: names.map(str::to_owned).collect(),
            known: i64::try_from(known).unwrap_or(i64::MAX),
        }
    }

    /// Refuses to write when the store has migrations that this process does not know; returns the
    /// fingerprint of the store's key, if it has one.
    pub(crate) async fn check(&self, tx: &Tx<'_>) -> Result<Option<String>> {
        let (applied, fingerprint): (i64, Option<String>) = tx
            .fetch_one(
                "SELECT COUNT(*), (SELECT fingerprint FROM privacy_key WHERE id = 1)
                 FROM athena_migrations WHERE set_name IN :sets",
                params! { sets: &self.sets },
            )
            .await?;
        if applied > self.known {
            return Err(Error::new(
                Code::NewerStore,
                "a newer version of Athena has migrated this store; restart this process with that version",
            ));
        }
        Ok(fingerprint)
    }
}
