//! The audit log: who did what that must not go unseen.

use super::mentions::ANY_TOKEN;
use crate::store::Intent;
use crate::{Write, write};
use athena_core::{Ctx, Result};
use athena_db::{Executor, params};
use athena_privacy::with_tokens_replaced;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

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

/// Records something that is no part of a change, such as a look at what is sealed.
///
/// # Errors
///
/// What the database fails with.
pub async fn audit_alone(ctx: &Ctx, audited: Audited<'_>) -> Result<()> {
    let Audited {
        action, outcome, ..
    } = audited;
    let texts = [audited.project, audited.subject, audited.reason];
    let texts = Arc::new(texts.map(|text| text.map(str::to_owned)));
    write(ctx, Intent::new(action), move |write| {
        let texts = Arc::clone(&texts);
        Box::pin(async move {
            let [project, subject, reason] = texts.each_ref().map(Option::as_deref);
            let audited = Audited {
                action,
                project,
                subject,
                reason,
                outcome,
            };
            audit(write, audited).await
        })
    })
    .await
}

/// Takes tokens out of the log, with what they stood for gone: that something was done to them, and
/// why, stays.
pub(super) async fn blank(write: &Write<'_>, tokens: &BTreeSet<String>) -> Result<()> {
    if tokens.is_empty() {
        return Ok(());
    }
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
    let reasons: Vec<(i64, String)> = write
        .tx()
        .fetch_all(
            "SELECT id, reason FROM audit_log WHERE reason LIKE :pattern ORDER BY id",
            params! { pattern: ANY_TOKEN },
        )
        .await?;
    for (id, reason) in reasons {
        let blank = |token: &str| tokens.contains(token).then(|| blanked(token));
        if let Cow::Owned(without) = with_tokens_replaced(&reason, blank) {
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

/// Returns what stands in the place of a token.
fn blanked(token: &str) -> String {
    let kind = athena_privacy::token_kind(token).unwrap_or("token");
    format!("[{kind}:purged]")
}
