//! What aggregates share when they remove things for good.

use athena_core::{Error, Result};
use athena_db::{Executor, params};
use athena_store::tokens_in;
use serde::Serialize;
use std::collections::{BTreeSet, HashSet};
use uuid::Uuid;

/// What a `uid` begins with in a kept answer.
const UID: &str = "\"uid\":\"";

/// Removes kept answers to idempotent requests that show one of some things.
pub(crate) async fn forget_answers(db: &impl Executor, uids: &[Uuid]) -> Result<u64> {
    let kept: Vec<(String, String, String)> = db
        .fetch_all(
            "SELECT principal, idempotency_key, response FROM idempotency_keys
             WHERE response LIKE :pattern",
            params! { pattern: format!("%{UID}%") },
        )
        .await?;
    let gone: HashSet<&Uuid> = uids.iter().collect();
    let shows = |response: &str| uids_in(response).any(|uid| gone.contains(&uid));
    let rows = kept.iter().filter(|(_, _, response)| shows(response));
    let rows: Vec<_> = rows
        .map(|(principal, key, _)| params! { principal: principal.as_str(), key: key.as_str() })
        .collect();
    let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    db.execute_many(
        "DELETE FROM idempotency_keys WHERE principal = :principal AND idempotency_key = :key",
        rows,
    )
    .await?;
    Ok(count)
}

/// Returns the `uid`s in an answer.
fn uids_in(response: &str) -> impl Iterator<Item = Uuid> + '_ {
    response.match_indices(UID).filter_map(|(at, _)| {
        let start = at + UID.len();
        Uuid::parse_str(response.get(start..start + 36)?).ok()
    })
}

/// Adds the tokens in everything that is known of something.
pub(crate) fn collect_tokens(tokens: &mut BTreeSet<String>, gone: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string(gone).map_err(Error::internal)?;
    tokens.extend(tokens_in(&text));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_are_found_wherever_they_stand() {
        let (one, two) = (Uuid::now_v7(), Uuid::now_v7());
        let answer = format!(r#"{{"uid":"{one}","items":[{{"uid":"{two}"}},{{"uid":"x"}}]}}"#);
        assert_eq!(uids_in(&answer).collect::<Vec<_>>(), [one, two]);
    }
}
