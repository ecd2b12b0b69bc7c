//! Operations of privacy.

use athena_core::{Code, Ctx, Error, Operation, Result, Spec};
use athena_privacy::{character_ranges, token_kind};
use athena_store::{Audited, Privacy, Store, audit_alone, privacy_state, revealed, vault_sizes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Finds personal data in a text: addresses, numbers, paths, keys and other secrets. The text is
/// looked at and neither stored nor logged, and the answer says where things are but not what.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PiiScan")]
pub struct Scan {
    /// The text; at most 10 million characters.
    #[schemars(length(max = 10_000_000), extend("x-text" = "raw"))]
    pub text: String,
}

/// What was found.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PiiScanned")]
pub struct Scanned {
    /// Each thing, in the order of the text.
    pub findings: Vec<Found>,
    /// How many of each kind.
    pub counts: BTreeMap<String, u64>,
}

/// A thing that was found.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PiiFound")]
pub struct Found {
    /// What it is, such as `email`.
    pub kind: String,
    /// Which rule found it, such as `aws_access_key`.
    pub rule: String,
    /// The character that it starts with, from 0.
    pub start: usize,
    /// The character behind its last.
    pub end: usize,
    /// The byte that it starts with.
    pub byte_start: usize,
    /// The byte behind its last.
    pub byte_end: usize,
    /// How sure the rule is, 0 to 1.
    pub confidence: f64,
}

impl Operation for Scan {
    const SPEC: Spec = Spec::query("pii.scan", "/pii/scan");
    type Output = Scanned;

    async fn call(self, ctx: &Ctx) -> Result<Scanned> {
        let privacy = Arc::clone(ctx.part::<Store>().privacy());
        tokio::task::spawn_blocking(move || scan(&privacy, &self.text))
            .await
            .map_err(Error::internal)
    }
}

fn scan(privacy: &Privacy, text: &str) -> Scanned {
    let findings = privacy.masking().detector().find(text);
    let characters = character_ranges(text, &findings);
    let mut counts = BTreeMap::new();
    for finding in &findings {
        *counts.entry(finding.kind.to_string()).or_default() += 1;
    }
    let found = findings.into_iter().zip(characters);
    Scanned {
        findings: found
            .map(|(finding, characters)| Found {
                kind: finding.kind.to_string(),
                rule: finding.rule.to_string(),
                start: characters.start,
                end: characters.end,
                byte_start: finding.range.start,
                byte_end: finding.range.end,
                confidence: finding.confidence,
            })
            .collect(),
        counts,
    }
}

/// Reveals what a token stands for. Who reveals what, and why, is written into the audit log,
/// whether it succeeds or not.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PiiReveal")]
pub struct Reveal {
    /// The token with its brackets, such as `[email:7f3a9c0011223344]`.
    #[schemars(
        length(min = 1, max = 64),
        regex(pattern = r"^\[[a-z][a-z0-9_]{0,31}:[0-9a-f]{16}\]$")
    )]
    pub token: String,
    /// Why it is needed.
    #[schemars(length(min = 1, max = 1_000), regex(pattern = r"\S"))]
    pub reason: String,
    /// The project whose token it is, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
}

/// What a token stands for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PiiRevealed")]
pub struct Revealed {
    /// The token.
    pub token: String,
    /// What it is, such as `email`.
    pub kind: String,
    /// The value, as it stood where it was met first.
    pub value: String,
}

impl Operation for Reveal {
    const SPEC: Spec = Spec::act("pii.reveal", "/pii/reveal")
        .admin()
        .not_for_agents()
        .command(&["pii", "reveal"])
        .positional(&["token"])
        .short(&[("reason", 'r')])
        .errors(&[Code::InvalidState]);
    type Output = Revealed;

    async fn call(self, ctx: &Ctx) -> Result<Revealed> {
        if token_kind(&self.token).is_none() {
            let problem = "is no token; tokens look like `[email:7f3a9c0011223344]`";
            return Err(Error::invalid("token", problem));
        }
        // The answer must not be kept: it is the one that holds personal data.
        let ctx = ctx.clone().without_idempotency();
        let project = self.project.clone();
        let project = project.unwrap_or_else(|| ctx.project().to_owned());
        let privacy = ctx.part::<Store>().privacy();
        let entry = revealed(privacy, ctx.db(), &project, &self.token).await;
        let outcome = match &entry {
            Ok(Some(_)) => "revealed",
            Ok(None) => "not_found",
            Err(_) => "failed",
        };
        let audited = Audited {
            action: "pii.reveal",
            project: Some(&project),
            subject: Some(&self.token),
            reason: Some(&self.reason),
            outcome,
        };
        audit_alone(&ctx, audited).await?;
        let entry = entry?.ok_or_else(|| {
            let message = format!(
                "token `{}` stands for nothing that this project keeps: it is another project's, \
                 its value was purged, or the vault was off",
                self.token
            );
            Error::new(Code::NotFound, message).with_field("token")
        })?;
        Ok(Revealed {
            token: self.token,
            kind: entry.kind,
            value: entry.value,
        })
    }
}

/// Shows how personal data is treated: the policy, the key, and how many values are kept sealed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PiiStatus")]
pub struct Status {}

/// How personal data is treated.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PiiStatusAnswer")]
pub struct StatusAnswer {
    /// The field policy: `standard`, `compliance`, or `debug`, which lets everything through.
    pub policy: String,
    /// Whether values are kept, sealed, to be revealed.
    pub vault: bool,
    /// The fingerprint of the store's key; absent before the first write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whether this process holds that key: without it nothing can be written or revealed.
    pub key_held: bool,
    /// How many values are kept, by kind.
    pub kept: BTreeMap<String, i64>,
}

impl Operation for Status {
    const SPEC: Spec = Spec::read("pii.status", "/pii").command(&["pii", "status"]);
    type Output = StatusAnswer;

    async fn call(self, ctx: &Ctx) -> Result<StatusAnswer> {
        let privacy = ctx.part::<Store>().privacy();
        let state = privacy_state(privacy, ctx.db()).await?;
        Ok(StatusAnswer {
            policy: privacy.masking().policy().as_str().to_owned(),
            vault: privacy.keeps_values(),
            key: state.fingerprint,
            key_held: state.key_held,
            kept: vault_sizes(ctx.db()).await?,
        })
    }
}
