//! The audit log: who did what that must not go unseen.

use crate::Write;
use athena_core::Result;
use athena_db::{Executor, params};
use std::collections::BTreeSet;

/// Something that is recorded.
#[derive(Debug, Clone, Copy)]
pub struct Audited<'a> {
    /// What was done, such as `pii.reveal`.
    pub action: &'static str,
    /// In which project.
    pub project: Option<&'a str>,
    /// To what: a token, never a value.
    pub subject: Option<&'a str>,
    /// Why, as the caller says.
    pub reason: Option<&'a str>,
    /// How it went, such as `revealed` or `not_found`.
    pub outcome: &'static str,
}

/// Records something as part of a change.
///
/// # Errors
///
/// What the database fails with.
pub async fn audit(write: &Write<'_>, audited: Audited<'_>) -> Result<()> {
    write
        .tx()
        .execute(
            "INSERT INTO audit_log (at, principal, action, project, subject, reason, outcome)
             VALUES (:now, :principal, :action, :project, :subject, :reason, :outcome)",
            params! {
                now: write.now(),
                principal: &write.ctx().caller().principal,
                action: audited.action,
                project: audited.project,
                subject: audited.subject,
                reason: audited.reason,
                outcome: audited.outcome,
            },
        )
        .await?;
    Ok(())
}

/// Takes tokens out of the log, with what they stood for gone: that something was done to them, and
/// why, stays.
pub(super) async fn blank(write: &Write<'_>, tokens: &BTreeSet<String>) -> Result<()> {
    let subjects = tokens
        .iter()
        .map(|token| params! { blank: blanked(token), token: token });
    write
        .tx()
        .execute_many(
            "UPDATE audit_log SET subject = :blank WHERE subject = :token",
            subjects.collect(),
        )
        .await?;
    if tokens.is_empty() {
        return Ok(());
    }
    let reasons: Vec<(i64, String)> = write
        .tx()
        .fetch_all(
            "SELECT id, reason FROM audit_log WHERE reason LIKE '%:________________]%' ORDER BY id",
            params! {},
        )
        .await?;
    for (id, reason) in reasons {
        let without = without(&reason, tokens);
        if without != reason {
            write
                .tx()
                .execute(
                    "UPDATE audit_log SET reason = :reason WHERE id = :id",
                    params! { reason: without, id: id },
                )
                .await?;
        }
    }
    Ok(())
}

/// Blanks those tokens in a text that are among these.
fn without(text: &str, tokens: &BTreeSet<String>) -> String {
    let mut without = String::with_capacity(text.len());
    let mut rest = 0;
    for range in athena_privacy::tokens(text) {
        if tokens.contains(&text[range.clone()]) {
            without.push_str(&text[rest..range.start]);
            without.push_str(&blanked(&text[range.clone()]));
            rest = range.end;
        }
    }
    without.push_str(&text[rest..]);
    without
}

/// Returns what stands in the place of a token.
fn blanked(token: &str) -> String {
    let kind = athena_privacy::token_kind(token).unwrap_or("token");
    format!("[{kind}:purged]")
}
