//! The audit log: who did what that must not go unseen.

use crate::Write;
use athena_core::Result;
use athena_db::{Executor, params};

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

/// Takes a token out of the log, with what it stood for gone: that something was done to it stays.
pub(super) async fn blank(write: &Write<'_>, token: &str) -> Result<()> {
    let kind = athena_privacy::token_kind(token).unwrap_or("token");
    write
        .tx()
        .execute(
            "UPDATE audit_log SET subject = :blank WHERE subject = :token",
            params! { blank: format!("[{kind}:purged]"), token: token },
        )
        .await?;
    Ok(())
}
