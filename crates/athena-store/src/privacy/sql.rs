//! Statements and rows of keys and sealed values.

use athena_core::{Error, Result};
use athena_db::{Executor, FromRow, Row, params};
use jiff::Timestamp;

/// The key of a store.
#[derive(Debug, Clone)]
pub(super) struct KeyRow {
    /// The fingerprint of the secret.
    pub(super) fingerprint: String,
    /// The key of the tokens, sealed, where it came from an older secret.
    pub(super) token_key: Option<Vec<u8>>,
}

impl FromRow for KeyRow {
    fn from_row(row: &Row) -> athena_db::Result<Self> {
        Ok(Self {
            fingerprint: row.get("fingerprint")?,
            token_key: row.get("token_key")?,
        })
    }
}

/// The id of the one row.
const KEY: i64 = 1;

pub(super) async fn key(db: &impl Executor) -> Result<Option<KeyRow>> {
    Ok(db
        .fetch_opt(
            "SELECT fingerprint, token_key FROM privacy_key WHERE id = :id",
            params! { id: KEY },
        )
        .await?)
}

/// Records a key unless there is one, and returns the fingerprint of the one that there is.
pub(super) async fn claim(db: &impl Executor, fingerprint: &str, now: Timestamp) -> Result<String> {
    db.execute(
        "INSERT INTO privacy_key (id, fingerprint, retokenise, changed_at)
         VALUES (:id, :fingerprint, FALSE, :now)
         ON CONFLICT (id) DO NOTHING",
        params! { id: KEY, fingerprint: fingerprint, now: now },
    )
    .await?;
    let row = key(db).await?;
    row.map(|row| row.fingerprint)
        .ok_or_else(|| Error::internal("the row of the key is gone"))
}

/// A sealed value.
#[derive(Debug, Clone)]
pub(super) struct SealedRow {
    pub(super) project: String,
    pub(super) token: String,
    pub(super) fingerprint: String,
    pub(super) sealed: Vec<u8>,
}

impl FromRow for SealedRow {
    fn from_row(row: &Row) -> athena_db::Result<Self> {
        Ok(Self {
            project: row.get("project")?,
            token: row.get("token")?,
            fingerprint: row.get("fingerprint")?,
            sealed: row.get("sealed")?,
        })
    }
}

pub(super) async fn keep(db: &impl Executor, rows: Vec<SealedRow>, now: Timestamp) -> Result<()> {
    let rows = rows.into_iter().map(|row| {
        params! {
            project: row.project,
            token: row.token,
            fingerprint: row.fingerprint,
            sealed: row.sealed,
            now: now,
        }
    });
    db.execute_many(
        "INSERT INTO pii_vault (project, token, fingerprint, sealed, created_at)
         VALUES (:project, :token, :fingerprint, :sealed, :now)
         ON CONFLICT (project, token) DO NOTHING",
        rows.collect(),
    )
    .await?;
    Ok(())
}

/// Returns the sealed values of tokens in either of two projects.
pub(super) async fn sealed(
    db: &impl Executor,
    [project, other]: [&str; 2],
    tokens: &[String],
) -> Result<Vec<SealedRow>> {
    Ok(db
        .fetch_all(
            "SELECT project, token, fingerprint, sealed FROM pii_vault
             WHERE project IN (:project, :other) AND token IN (:tokens)",
            params! { project: project, other: other, tokens: tokens },
        )
        .await?)
}

pub(super) async fn remove(db: &impl Executor, project: &str, token: &str) -> Result<u64> {
    Ok(db
        .execute(
            "DELETE FROM pii_vault WHERE project = :project AND token = :token",
            params! { project: project, token: token },
        )
        .await?)
}

/// Returns how many values are kept, by the kind in their tokens.
pub(super) async fn tokens(db: &impl Executor) -> Result<Vec<(String, i64)>> {
    let sql = athena_db::sql! {
        sqlite: "SELECT substr(token, 2, instr(token, ':') - 2) AS kind, COUNT(*) FROM pii_vault
                 GROUP BY kind ORDER BY kind",
        postgres: "SELECT split_part(substr(token, 2), ':', 1) AS kind, COUNT(*) FROM pii_vault
                   GROUP BY 1 ORDER BY 1",
        mysql: "SELECT substring_index(substr(token, 2), ':', 1) AS kind, COUNT(*) FROM pii_vault
                GROUP BY kind ORDER BY kind",
    };
    Ok(db.fetch_all(sql, params! {}).await?)
}
