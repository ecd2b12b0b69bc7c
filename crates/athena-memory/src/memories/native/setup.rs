//! Making the tables, and knowing how complete they are.

use super::{SearchMode, WAY_OUT, refused};
use athena_core::{ModelId, Result};
use athena_db::{Database, Executor, Scalar, Tx, TxOptions, params};

/// The first version of pgvector with iterative scans: before it, an index looked at too little to
/// find what a filter leaves.
const OLDEST: (u32, u32) = (0, 8);
/// The key of the advisory lock that set-ups take: "native" in ASCII.
const LOCK: i64 = 0x6e61_7469_7665;
/// The widest vector that an HNSW index takes as `halfvec`. Wider ones stay out of the tables.
pub(super) const WIDEST: i64 = 4_000;

/// How far the tables are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NativeState {
    /// Every memory is there.
    Complete,
    /// Memories from before are still brought in.
    Filling {
        /// How much is done, 0 to 99.
        percent: i64,
    },
}

/// Makes the tables unless they are there, and says how complete they are.
///
/// # Errors
///
/// [`Code::Unsupported`](athena_core::Code::Unsupported) where the database cannot search: what is
/// missing, and the way out.
pub(super) async fn ready(db: &Database) -> Result<NativeState> {
    SearchMode::Native.check(db.dialect())?;
    check_extension(db).await?;
    if !are_there(db).await? {
        create_extension(db).await?;
        check_version(db).await?;
        db.transaction_with(TxOptions::default(), |tx| Box::pin(make(tx)))
            .await?;
    }
    state(db).await
}

/// Says how complete the tables are, or `None` where there are none. Changes nothing.
///
/// # Errors
///
/// What [`SearchMode::check`] refuses, [`Code::Unsupported`](athena_core::Code::Unsupported) where
/// pgvector is missing or too old, and what the database fails with.
pub async fn native_state(db: &Database) -> Result<Option<NativeState>> {
    SearchMode::Native.check(db.dialect())?;
    check_extension(db).await?;
    if !are_there(db).await? {
        return Ok(None);
    }
    check_version(db).await?;
    let progress = progress(db).await?;
    Ok(Some(progress.state()))
}

/// Makes an index for each model that has none.
///
/// # Errors
///
/// What the database fails with.
pub(super) async fn index_models(db: &Database) -> Result<()> {
    if without_index(db).await?.is_empty() {
        return Ok(());
    }
    db.transaction_with(TxOptions::default(), |tx| {
        Box::pin(async move {
            lock(tx).await?;
            make_indexes(tx).await
        })
    })
    .await
}

/// Whether the tables are there, with the column that goes when pgvector is removed.
async fn are_there(db: &impl Executor) -> Result<bool> {
    let there: Option<Scalar<bool>> = db
        .fetch_opt(
            "SELECT TRUE FROM pg_attribute
             WHERE attrelid = to_regclass('native_passages') AND attname = 'v'",
            params! {},
        )
        .await?;
    Ok(there.is_some())
}

/// Checks that the server has pgvector to offer.
async fn check_extension(db: &impl Executor) -> Result<()> {
    let offered: Option<Scalar<String>> = db
        .fetch_opt(
            "SELECT default_version FROM pg_available_extensions WHERE name = 'vector'",
            params! {},
        )
        .await?;
    match offered {
        Some(_) => Ok(()),
        None => Err(refused(format!(
            "`search.mode` is `native`, and this PostgreSQL server has no pgvector; install it \
             (on Debian the package `postgresql-NN-pgvector`, 0.8 or later) and run \
             `CREATE EXTENSION vector` in this database, {WAY_OUT}"
        ))),
    }
}

/// Creates the extension in the database if this role may.
async fn create_extension(db: &Database) -> Result<()> {
    if version(db).await?.is_some() {
        return Ok(());
    }
    let created: Result<u64> = db
        .transaction_with(TxOptions::default(), |tx| {
            Box::pin(async move {
                lock(tx).await?;
                let create = "CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public";
                Ok(tx.execute(create, params! {}).await?)
            })
        })
        .await;
    match created {
        Ok(_) => Ok(()),
        Err(error) => Err(refused(format!(
            "`search.mode` is `native`, and pgvector is not enabled in this database; have a superuser \
             run `CREATE EXTENSION vector` in it, {WAY_OUT}"
        ))
        .with_source(error)),
    }
}

async fn check_version(db: &impl Executor) -> Result<()> {
    let Some((version, is_visible)) = version(db).await? else {
        return Err(refused(format!(
            "`search.mode` is `native`, and pgvector is not enabled in this database; run \
             `CREATE EXTENSION vector` in it, {WAY_OUT}"
        )));
    };
    if !is_recent(&version) {
        return Err(refused(format!(
            "`search.mode` is `native`, and pgvector {version} has no iterative scans, without which \
             filters lose hits; install 0.8 or later and run `ALTER EXTENSION vector UPDATE`, {WAY_OUT}"
        )));
    }
    if !is_visible {
        return Err(refused(format!(
            "`search.mode` is `native`, and pgvector is in a schema that is not on the search path of \
             this role; run `ALTER EXTENSION vector SET SCHEMA public`, {WAY_OUT}"
        )));
    }
    Ok(())
}

/// Returns the version of pgvector in this database, and whether its types are found by name.
async fn version(db: &impl Executor) -> Result<Option<(String, bool)>> {
    Ok(db
        .fetch_opt(
            "SELECT extversion, to_regtype('vector') IS NOT NULL FROM pg_extension
             WHERE extname = 'vector'",
            params! {},
        )
        .await?)
}

fn is_recent(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let (major, minor) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    (major, minor) >= OLDEST
}

/// Keeps other set-ups away until the commit.
async fn lock(tx: &Tx<'_>) -> Result<()> {
    tx.execute("SELECT pg_advisory_xact_lock(:key)", params! { key: LOCK })
        .await?;
    Ok(())
}

/// Makes the tables, unless somebody else just did.
async fn make(tx: &Tx<'_>) -> Result<()> {
    lock(tx).await?;
    // Changes in flight end first: what they wrote is filled in, what comes later is kept up.
    tx.execute(
        "LOCK TABLE memory_vectors, memory_passages IN SHARE ROW EXCLUSIVE MODE",
        params! {},
    )
    .await?;
    if are_there(tx).await? {
        return Ok(());
    }
    for statement in TABLES {
        tx.execute(statement, params! {}).await?;
    }
    make_indexes(tx).await
}

/// The tables. A digest says what a row was made from.
const TABLES: [&str; 8] = [
    // What is left after pgvector was removed.
    "DROP TABLE IF EXISTS native_passages, native_words, native_state",
    "CREATE TABLE native_passages (
         memory_id BIGINT NOT NULL,
         model_id BIGINT NOT NULL,
         n BIGINT NOT NULL,
         project_id BIGINT NOT NULL,
         digest BIGINT NOT NULL,
         v halfvec NOT NULL,
         PRIMARY KEY (memory_id, model_id, n),
         FOREIGN KEY (memory_id, model_id, n)
             REFERENCES memory_passages (memory_id, model_id, n) ON DELETE CASCADE
     )",
    "ALTER TABLE native_passages ALTER COLUMN v SET STORAGE PLAIN",
    "CREATE INDEX native_passages_project ON native_passages (project_id, model_id)",
    "CREATE TABLE native_words (
         memory_id BIGINT NOT NULL REFERENCES memory_vectors (id) ON DELETE CASCADE,
         part BIGINT NOT NULL,
         project_id BIGINT NOT NULL,
         digest BIGINT NOT NULL,
         words tsvector NOT NULL,
         PRIMARY KEY (memory_id, part)
     )",
    "CREATE INDEX native_words_words ON native_words USING gin (words)",
    "CREATE TABLE native_state (
         id BIGINT PRIMARY KEY,
         filled_to BIGINT NOT NULL,
         filled BOOLEAN NOT NULL
     )",
    "INSERT INTO native_state (id, filled_to, filled) VALUES (1, 0, FALSE)",
];

async fn make_indexes(tx: &Tx<'_>) -> Result<()> {
    for (model, dim) in without_index(tx).await? {
        let statement = format!(
            "CREATE INDEX native_passages_hnsw_{model} ON native_passages
             USING hnsw ((v::halfvec({dim})) halfvec_cosine_ops) WHERE model_id = {model}"
        );
        tx.execute(statement, params! {}).await?;
    }
    Ok(())
}

/// Returns the models whose vectors have no index, with how wide they are.
async fn without_index(db: &impl Executor) -> Result<Vec<(ModelId, i64)>> {
    Ok(db
        .fetch_all(
            "SELECT id, dim FROM embedding_models
         WHERE dim <= :widest AND to_regclass('native_passages_hnsw_' || id) IS NULL
         ORDER BY id",
            params! { widest: WIDEST },
        )
        .await?)
}

/// How far the memories from before have come.
struct Progress {
    filled_to: i64,
    filled: bool,
    /// The newest memory, 0 without one.
    newest: i64,
    /// The newest memory that is in the tables.
    newest_there: i64,
}

impl Progress {
    /// Whether memories came in by another way than a change, such as a copy of a database.
    fn is_behind(&self) -> bool {
        self.filled && self.newest_there < self.newest
    }

    fn state(&self) -> NativeState {
        if self.filled && !self.is_behind() {
            return NativeState::Complete;
        }
        let done = if self.is_behind() { 0 } else { self.filled_to };
        NativeState::Filling {
            percent: (done.saturating_mul(100) / self.newest.max(1)).min(99),
        }
    }
}

async fn progress(db: &impl Executor) -> Result<Progress> {
    let (filled_to, filled, newest, newest_there) = db
        .fetch_one(
            "SELECT filled_to, filled, COALESCE((SELECT max(id) FROM memory_vectors), 0),
                    COALESCE((SELECT max(memory_id) FROM native_words), 0)
             FROM native_state WHERE id = 1",
            params! {},
        )
        .await?;
    Ok(Progress {
        filled_to,
        filled,
        newest,
        newest_there,
    })
}

/// Says how complete the tables are; has them filled again if something came in by another way.
async fn state(db: &Database) -> Result<NativeState> {
    let progress = progress(db).await?;
    if progress.is_behind() {
        db.execute(
            "UPDATE native_state SET filled_to = 0, filled = FALSE WHERE id = 1",
            params! {},
        )
        .await?;
    }
    Ok(progress.state())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iterative_scans_came_with_0_8() {
        for (version, recent) in [
            ("0.8.0", true),
            ("0.8.5", true),
            ("0.10.1", true),
            ("1.0", true),
            ("0.7.4", false),
            ("0.5", false),
            ("", false),
        ] {
            assert_eq!(is_recent(version), recent, "{version}");
        }
    }

    #[test]
    fn progress_is_told_in_percent_and_ends_at_the_newest() {
        let progress = |filled_to, filled, newest, newest_there| Progress {
            filled_to,
            filled,
            newest,
            newest_there,
        };
        let filling = |percent| NativeState::Filling { percent };
        assert_eq!(progress(0, false, 0, 0).state(), filling(0));
        assert_eq!(progress(50, false, 200, 200).state(), filling(25));
        assert_eq!(progress(200, false, 200, 200).state(), filling(99));
        assert_eq!(progress(200, true, 210, 210).state(), NativeState::Complete);
        // Rows that no change wrote.
        assert_eq!(progress(200, true, 210, 200).state(), filling(0));
    }
}
