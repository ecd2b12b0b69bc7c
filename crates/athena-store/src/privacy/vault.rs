//! Sealed values: kept with the change that tokenised them, opened for whoever may have them back.

use super::{Privacy, sql};
use crate::Write;
use athena_core::{Error, Result};
use athena_db::Executor;
use athena_privacy::{EVERYWHERE, Replaced};
use sql::SealedRow;
use std::collections::BTreeMap;

/// What a token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultEntry {
    /// The kind in the token.
    pub kind: String,
    /// The value, as it stood where it was met first.
    pub value: String,
}

/// Keeps the values of a call.
pub(super) async fn keep(write: &Write<'_>, replaced: &Replaced) -> Result<()> {
    let keys = replaced.keys();
    let mut rows = Vec::new();
    for each in replaced.values() {
        rows.push(SealedRow {
            project: each.project.to_owned(),
            token: each.token.to_owned(),
            fingerprint: keys.fingerprint().to_owned(),
            sealed: keys
                .seal(each.project, each.token, each.value)
                .map_err(Error::internal)?,
        });
    }
    match rows.is_empty() {
        true => Ok(()),
        false => sql::keep(write.tx(), rows, write.now()).await,
    }
}

/// Returns what a token of a project stands for; `None` if it is no token of this project, or one
/// whose value was not kept.
///
/// # Errors
///
/// What the database fails with, and when this process does not hold the store's key.
pub async fn revealed(
    privacy: &Privacy,
    db: &impl Executor,
    project: &str,
    token: &str,
) -> Result<Option<VaultEntry>> {
    let row = match sql::sealed(db, project, token).await? {
        Some(row) => row,
        None => match sql::sealed(db, EVERYWHERE, token).await? {
            Some(row) => row,
            None => return Ok(None),
        },
    };
    let keys = privacy.sealed_with(db, &row.fingerprint).await?;
    let value = keys
        .open(&row.project, &row.token, &row.sealed)
        .map_err(Error::internal)?;
    let kind = athena_privacy::token_kind(token)
        .unwrap_or_default()
        .to_owned();
    Ok(Some(VaultEntry { kind, value }))
}

/// Returns how many values are kept, by kind.
///
/// # Errors
///
/// What the database fails with.
pub async fn vault_sizes(db: &impl Executor) -> Result<BTreeMap<String, i64>> {
    Ok(sql::tokens(db).await?.into_iter().collect())
}
