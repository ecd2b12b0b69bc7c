//! What is left of removed rows, and how it is wiped.

use athena_core::{Ctx, Result};
use athena_db::{Dialect, ErrorKind};

/// Wipes what a purge leaves behind where this process can do it; returns what it could not.
///
/// SQLite overwrites removed rows (`secure_delete`), but their old pages stay in the write-ahead
/// log until it is cut short. A reader that is in the way delays that to a later checkpoint.
///
/// # Errors
///
/// What the database fails with.
pub async fn erase_residue(ctx: &Ctx) -> Result<Option<String>> {
    if ctx.db().dialect() != Dialect::Sqlite {
        return Ok(None);
    }
    let checkpoint = ctx.db().execute_alone("PRAGMA wal_checkpoint(TRUNCATE)");
    match checkpoint.await {
        Ok(_) => Ok(None),
        Err(error) if *error.kind() == ErrorKind::Busy => Ok(Some(
            "the write-ahead log, held by a reader, until a later checkpoint".to_owned(),
        )),
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
