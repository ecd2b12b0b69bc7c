//! What is left of removed rows, and how it is wiped.

use athena_core::{Ctx, Result};
use athena_db::{Dialect, ErrorKind, Executor, Scalar, params};

/// Files up to this size are written anew after a purge.
const REWRITTEN_BYTES: i64 = 64 << 20;

/// Wipes what a purge leaves behind where this process can do it; returns what it could not.
///
/// SQLite overwrites removed rows (`secure_delete`), but not what is left of them in the gaps of
/// pages that it rebalances, so the file is written anew if it is not large. Old pages stay in the
/// write-ahead log until that is cut short. A reader that is in the way delays that to a later
/// checkpoint.
///
/// # Errors
///
/// What the database fails with.
pub async fn erase_residue(ctx: &Ctx) -> Result<Vec<String>> {
    let mut owed = Vec::new();
    if ctx.db().dialect() != Dialect::Sqlite {
        return Ok(owed);
    }
    let Scalar(bytes): Scalar<i64> = ctx
        .db()
        .fetch_one(
            "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
            params! {},
        )
        .await?;
    if bytes > REWRITTEN_BYTES || !done_alone(ctx, "VACUUM").await? {
        owed.push("gaps between rows until a `VACUUM` of the file".to_owned());
    }
    if !done_alone(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").await? {
        owed.push("the write-ahead log, held by a reader, until a later checkpoint".to_owned());
    }
    Ok(owed)
}

/// Runs a statement outside of transactions; says whether nobody was in its way.
async fn done_alone(ctx: &Ctx, statement: &'static str) -> Result<bool> {
    match ctx.db().execute_alone(statement).await {
        Ok(_) => Ok(true),
        Err(error) if *error.kind() == ErrorKind::Busy => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Says what may still hold the bytes of removed rows, and how to have that removed too.
#[must_use]
pub fn owed_after_purge(dialect: Dialect) -> Vec<String> {
    let backups = "backups and exports made before: delete or rewrite them".to_owned();
    let mut owed = match dialect {
        Dialect::Sqlite => Vec::new(),
        Dialect::Postgres => vec![
            "statistics of columns until an `ANALYZE` of tables that have rows".to_owned(),
            "dead row versions until a `VACUUM FULL` of the whole database".to_owned(),
            "write-ahead log segments until the server recycles or archives them".to_owned(),
        ],
        Dialect::MySql => vec![
            "free pages until `OPTIMIZE TABLE` of every table".to_owned(),
            "binary and redo logs until the server rotates them".to_owned(),
        ],
    };
    owed.push(backups);
    owed
}
