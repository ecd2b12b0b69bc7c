//! What aggregates share when they remove things for good.

use athena_core::{Error, Result};
use athena_db::{Executor, params};
use athena_store::tokens_in;
use serde::Serialize;
use serde_json::Value;
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
    remove_answers(db, kept.iter().filter(|(_, _, it)| shows(it))).await
}

/// Removes kept answers to idempotent requests in which one of some texts stands by itself: for what
/// has a name and no `uid`, such as what a lease is on.
pub(crate) async fn forget_answers_saying(
    db: &impl Executor,
    texts: &BTreeSet<String>,
) -> Result<u64> {
    if texts.is_empty() {
        return Ok(0);
    }
    let kept: Vec<(String, String, String)> = db
        .fetch_all(
            "SELECT principal, idempotency_key, response FROM idempotency_keys
             WHERE response IS NOT NULL",
            params! {},
        )
        .await?;
    let says = |response: &str| {
        let answer: Value = serde_json::from_str(response).unwrap_or_default();
        says_any(&answer, texts)
    };
    remove_answers(db, kept.iter().filter(|(_, _, it)| says(it))).await
}

/// Removes kept answers, and counts them.
async fn remove_answers<'a>(
    db: &impl Executor,
    answers: impl Iterator<Item = &'a (String, String, String)>,
) -> Result<u64> {
    let rows = answers
        .map(|(principal, key, _)| params! { principal: principal.as_str(), key: key.as_str() });
    let rows: Vec<_> = rows.collect();
    let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    db.execute_many(
        "DELETE FROM idempotency_keys WHERE principal = :principal AND idempotency_key = :key",
        rows,
    )
    .await?;
    Ok(count)
}

/// Whether one of some texts stands by itself somewhere in an answer.
fn says_any(answer: &Value, texts: &BTreeSet<String>) -> bool {
    match answer {
        Value::String(text) => texts.contains(text),
        Value::Array(items) => items.iter().any(|item| says_any(item, texts)),
        Value::Object(fields) => fields.values().any(|field| says_any(field, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
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
