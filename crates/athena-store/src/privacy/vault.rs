//! Sealed values: kept with the change that tokenised them, opened for whoever may have them back.

use super::{Privacy, sql};
use crate::Write;
use athena_core::{Error, Result};
use athena_db::Executor;
use athena_privacy::{EVERYWHERE, Keys, Replaced};
use sql::SealedRow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

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

/// Tokens that one statement asks for.
const BATCH: usize = 500;

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
    let asked = BTreeSet::from([token.to_owned()]);
    let mut values = all_revealed(privacy, db, project, &asked).await?;
    Ok(values.remove(token).map(|value| VaultEntry {
        kind: athena_privacy::token_kind(token)
            .unwrap_or_default()
            .to_owned(),
        value,
    }))
}

/// Returns what tokens of a project stand for, by the token; those whose values are not kept are
/// left out.
///
/// # Errors
///
/// As for [`revealed`].
pub async fn all_revealed(
    privacy: &Privacy,
    db: &impl Executor,
    project: &str,
    tokens: &BTreeSet<String>,
) -> Result<BTreeMap<String, String>> {
    let tokens: Vec<String> = tokens.iter().cloned().collect();
    let mut keys: HashMap<String, Arc<Keys>> = HashMap::new();
    let mut values = BTreeMap::new();
    for tokens in tokens.chunks(BATCH) {
        for row in sql::sealed(db, [project, EVERYWHERE], tokens).await? {
            if !keys.contains_key(&row.fingerprint) {
                let of_row = privacy.sealed_with(db, &row.fingerprint).await?;
                keys.insert(row.fingerprint.clone(), of_row);
            }
            let value = keys[&row.fingerprint]
                .open(&row.project, &row.token, &row.sealed)
                .map_err(Error::internal)?;
            values.insert(row.token, value);
        }
    }
    Ok(values)
}

/// Returns how many values are kept, by kind.
///
/// # Errors
///
/// What the database fails with.
pub async fn vault_sizes(db: &impl Executor) -> Result<BTreeMap<String, i64>> {
    Ok(sql::tokens(db).await?.into_iter().collect())
}
