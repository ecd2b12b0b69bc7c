//! What `doctor` says of privacy: what is found and kept, where the key is, and whether it is the
//! store's. Nothing is made: a home without a key has none afterwards.

use super::Finding;
use crate::compose;
use crate::config::Settings;
use athena_core::Error;
use athena_db::Database;
use athena_privacy::{KeyringError, Policy};
use athena_store::{RotationState, privacy_state, rotation_state};

/// Says what happens to personal data.
pub(super) fn policy(settings: &Settings) -> Finding {
    const CHECK: &str = "privacy";
    if let Err(error) = compose::detector(settings) {
        return Finding::failed(
            CHECK,
            error.to_string(),
            "correct the pattern, or remove it",
        );
    }
    let privacy = &settings.privacy;
    let vault = match privacy.keeps_values {
        true => "values are kept, sealed",
        false => "values are not kept and cannot be revealed",
    };
    let patterns = match privacy.patterns.len() {
        0 => String::new(),
        1 => ", 1 pattern of your own".to_owned(),
        number => format!(", {number} patterns of your own"),
    };
    let detail = format!(
        "policy {}, threshold {}{patterns}; {vault}",
        privacy.policy.as_str(),
        privacy.threshold
    );
    match privacy.policy {
        Policy::Debug => Finding::warning(
            CHECK,
            format!("{detail}; personal data reaches the store as it is"),
            "set privacy.policy to standard",
        ),
        Policy::Standard | Policy::Compliance => Finding::ok(CHECK, detail),
    }
}

/// Says where the key is.
pub(super) fn key(settings: &Settings) -> Vec<Finding> {
    const CHECK: &str = "privacy key";
    let keyring = match compose::keyring(&compose::key_file(settings)) {
        Ok(keyring) => keyring,
        Err(error) => return vec![unusable(CHECK, &error)],
    };
    let place = keyring.place();
    let Some(newest) = keyring.newest() else {
        return vec![Finding::ok(
            CHECK,
            format!("{place} is made at the first write"),
        )];
    };
    let fingerprint = newest.fingerprint();
    let mut findings = vec![Finding::ok(CHECK, format!("{fingerprint} from {place}"))];
    if keyring.path().is_some() {
        let detail =
            format!("keep a copy of {place}: without it nothing can be written or revealed");
        findings.push(Finding::note(CHECK, detail));
    }
    findings
}

fn unusable(check: &'static str, error: &KeyringError) -> Finding {
    let way_out = match error {
        KeyringError::Exposed { path, .. } => {
            format!(
                "chmod 600 {}, and consider `athena pii rotate`",
                path.display()
            )
        }
        _ => "bring back a copy of it, or correct it".to_owned(),
    };
    Finding::failed(check, error.to_string(), way_out)
}

/// Says whether the key is the store's. A store without a key is not mentioned.
pub(super) async fn store_key(db: &Database, settings: &Settings) -> Vec<Finding> {
    const CHECK: &str = "store key";
    let looked = async {
        let privacy = compose::privacy(settings)?;
        let Some(fingerprint) = privacy_state(&privacy, db).await?.fingerprint else {
            return Ok(Vec::new());
        };
        let detail = match privacy.keys(db).await {
            Ok(_) => format!("{fingerprint}, which is held"),
            Err(error) => return Ok(vec![not_held(CHECK, &error)]),
        };
        let mut findings = vec![Finding::ok(CHECK, detail)];
        findings.extend(
            rotation_state(db)
                .await?
                .map(|state| unfinished(CHECK, &state)),
        );
        Ok::<_, Error>(findings)
    };
    looked
        .await
        .unwrap_or_else(|error| vec![Finding::note(CHECK, format!("unknown: {error}"))])
}

fn unfinished(check: &'static str, state: &RotationState) -> Finding {
    let RotationState { from, to, .. } = state;
    Finding::warning(
        check,
        format!("the move from key {from} to key {to} is not complete"),
        "athena pii rotate",
    )
}

fn not_held(check: &'static str, error: &Error) -> Finding {
    // The message ends with the way out.
    let message = error.message();
    let (detail, way_out) = message
        .rsplit_once("; ")
        .unwrap_or((message, "look at the log"));
    Finding::failed(check, detail, way_out)
}
