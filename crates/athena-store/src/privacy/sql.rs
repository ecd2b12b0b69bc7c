//! Statements and rows of keys and sealed values.

use athena_core::{Error, Result};
use athena_db::{Executor, FromRow, Row, Scalar, params};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// The key of a store.
#[derive(Debug, Clone)]
pub(super) struct KeyRow {
    /// The fingerprint of the secret.
    pub(super) fingerprint: String,
    /// The key of the tokens, sealed, where it came from an older secret.
    pub(super) token_key: Option<Vec<u8>>,
    /// The fingerprint that a rotation under way moves from.
    pub(super) previous: Option<String>,
    /// Whether that rotation makes new tokens too.
    pub(super) retokenise: bool,
}

impl FromRow for KeyRow {
    fn from_row(row: &Row) -> athena_db::Result<Self> {
        Ok(Self {
            fingerprint: row.get("fingerprint")?,
            token_key: row.get("token_key")?,
            previous: row.get("previous")?,
            retokenise: row.get("retokenise")?,
        })
    }
}

/// The id of the one row.
const KEY: i64 = 1;

pub(super) async fn key(db: &impl Executor) -> Result<Option<KeyRow>> {
    Ok(db
        .fetch_opt(
            "SELECT fingerprint, token_key, previous, retokenise FROM privacy_key WHERE id = :id",
            params! { id: KEY },
        )
        .await?)
}

/// Keeps the key as it is until the commit, and returns it.
///
/// Nothing needs to be locked on SQLite, where whoever writes is alone.
pub(super) async fn hold_key(db: &impl Executor) -> Result<KeyRow> {
    macro_rules! select {
        ($lock:literal) => {
            concat!(
                "SELECT fingerprint, token_key, previous, retokenise FROM privacy_key WHERE id = :id",
                $lock
            )
        };
    }
    let sql = athena_db::sql! {
        sqlite: select!(""),
        postgres: select!(" FOR SHARE"),
        mysql: select!(" LOCK IN SHARE MODE"),
    };
    Ok(db.fetch_one(sql, params! { id: KEY }).await?)
}

/// Waits for those who hold the key, and makes others wait until the commit.
pub(super) async fn lock_key(db: &impl Executor) -> Result<()> {
    db.execute(
        "UPDATE privacy_key SET fingerprint = fingerprint WHERE id = :id",
        params! { id: KEY },
    )
    .await?;
    Ok(())
}

/// Replaces the key, if it is still the one that `from` names; says whether it was.
pub(super) async fn replace_key(
    db: &impl Executor,
    from: &str,
    row: &KeyRow,
    now: Timestamp,
) -> Result<bool> {
    let changed = db
        .execute(
            "UPDATE privacy_key
             SET fingerprint = :fingerprint, token_key = :token_key, previous = :previous,
                 retokenise = :retokenise, changed_at = :now
             WHERE id = :id AND fingerprint = :from",
            params! {
                id: KEY,
                fingerprint: &row.fingerprint,
                token_key: row.token_key.clone(),
                previous: row.previous.as_deref(),
                retokenise: row.retokenise,
                now: now,
                from: from,
            },
        )
        .await?;
    Ok(changed == 1)
}

/// Notes that nothing is left of the previous key.
pub(super) async fn forget_previous(db: &impl Executor, now: Timestamp) -> Result<()> {
    db.execute(
        "UPDATE privacy_key SET previous = NULL, retokenise = FALSE, changed_at = :now WHERE id = :id",
        params! { now: now, id: KEY },
    )
    .await?;
    Ok(())
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

/// Returns up to `limit` values that are sealed with another key, those after a project's token, in
/// the order of the table.
pub(super) async fn sealed_otherwise(
    db: &impl Executor,
    fingerprint: &str,
    (project, token): (&str, &str),
    limit: u32,
) -> Result<Vec<SealedRow>> {
    Ok(db
        .fetch_all(
            "SELECT project, token, fingerprint, sealed FROM pii_vault
             WHERE project >= :project AND (project > :project OR token > :token)
               AND fingerprint <> :fingerprint
             ORDER BY project, token
             LIMIT :limit",
            params! {
                project: project,
                token: token,
                fingerprint: fingerprint,
                limit: i64::from(limit),
            },
        )
        .await?)
}

/// Returns how many values are sealed with another key.
pub(super) async fn count_sealed_otherwise(db: &impl Executor, fingerprint: &str) -> Result<i64> {
    let Scalar(count) = db
        .fetch_one(
            "SELECT COUNT(*) FROM pii_vault WHERE fingerprint <> :fingerprint",
            params! { fingerprint: fingerprint },
        )
        .await?;
    Ok(count)
}

/// A value that is sealed anew.
#[derive(Debug, Clone)]
pub(super) struct Resealed {
    /// The row as it becomes.
    pub(super) row: SealedRow,
    /// The fingerprint that it is sealed with until now.
    pub(super) from: String,
    /// The row of the token that takes the place of its own.
    pub(super) renewed: Option<SealedRow>,
}

/// Seals values anew, those that are still as they were; returns how many.
pub(super) async fn reseal(db: &impl Executor, rows: &[Resealed]) -> Result<u64> {
    let rows = rows.iter().map(|Resealed { row, from, renewed }| {
        params! {
            fingerprint: &row.fingerprint,
            sealed: row.sealed.clone(),
            renewed: renewed.as_ref().map(|row| row.token.as_str()),
            project: &row.project,
            token: &row.token,
            from: from,
        }
    });
    Ok(db
        .execute_many(
            "UPDATE pii_vault SET fingerprint = :fingerprint, sealed = :sealed, renewed = :renewed
             WHERE project = :project AND token = :token AND fingerprint = :from",
            rows.collect(),
        )
        .await?)
}

/// A token that another takes the place of.
#[derive(Debug, Clone)]
pub(super) struct RenewedRow {
    pub(super) project: String,
    pub(super) token: String,
    pub(super) renewed: String,
}

impl FromRow for RenewedRow {
    fn from_row(row: &Row) -> athena_db::Result<Self> {
        Ok(Self {
            project: row.get("project")?,
            token: row.get("token")?,
            renewed: row.get("renewed")?,
        })
    }
}

/// Returns up to `limit` tokens that others take the place of, those after a project's token, in the
/// order of the table.
pub(super) async fn renewed(
    db: &impl Executor,
    (project, token): (&str, &str),
    limit: u32,
) -> Result<Vec<RenewedRow>> {
    Ok(db
        .fetch_all(
            "SELECT project, token, renewed FROM pii_vault
             WHERE project >= :project AND (project > :project OR token > :token)
               AND renewed IS NOT NULL
             ORDER BY project, token
             LIMIT :limit",
            params! { project: project, token: token, limit: i64::from(limit) },
        )
        .await?)
}

/// Removes tokens that others have taken the place of; returns how many.
pub(super) async fn remove_renewed(db: &impl Executor, rows: &[RenewedRow]) -> Result<u64> {
    let rows = rows
        .iter()
        .map(|row| params! { project: &row.project, token: &row.token });
    Ok(db
        .execute_many(
            "DELETE FROM pii_vault
             WHERE project = :project AND token = :token AND renewed IS NOT NULL",
            rows.collect(),
        )
        .await?)
}

/// Keeps tokens that others were to take the place of.
pub(super) async fn keep_old(db: &impl Executor, tokens: &[String]) -> Result<()> {
    db.execute(
        "UPDATE pii_vault SET renewed = NULL WHERE token IN :tokens",
        params! { tokens: tokens },
    )
    .await?;
    Ok(())
}

/// Returns how many of these tokens have a value that is kept.
pub(super) async fn count_kept(db: &impl Executor, tokens: &[String]) -> Result<i64> {
    let Scalar(count) = db
        .fetch_one(
            "SELECT COUNT(DISTINCT token) FROM pii_vault WHERE token IN :tokens",
            params! { tokens: tokens },
        )
        .await?;
    Ok(count)
}

/// Returns the tokens of a project whose values are kept, but for those that are to take the place
/// of others and are mentioned only then.
pub(super) async fn kept(db: &impl Executor, project: &str) -> Result<BTreeSet<String>> {
    let tokens: Vec<Scalar<String>> = db
        .fetch_all(
            "SELECT token FROM pii_vault WHERE project = :project AND token NOT IN
                 (SELECT renewed FROM pii_vault WHERE renewed IS NOT NULL)",
            params! { project: project },
        )
        .await?;
    Ok(tokens.into_iter().map(|Scalar(token)| token).collect())
}

pub(super) async fn remove(
    db: &impl Executor,
    project: &str,
    tokens: &BTreeSet<String>,
) -> Result<u64> {
    let tokens = tokens
        .iter()
        .map(|token| params! { project: project, token: token });
    Ok(db
        .execute_many(
            "DELETE FROM pii_vault WHERE project = :project AND token = :token",
            tokens.collect(),
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
