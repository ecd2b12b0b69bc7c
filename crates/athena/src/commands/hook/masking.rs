//! The masked form of a call, made without the store: what is kept on disk holds no personal data.
//!
//! The store masks what comes in with its own keys, and cannot be asked for them when it is locked
//! or gone. The key file usually says the same: then the tokens are those that the store would have
//! made. After a change of the key the store alone knows what tokens are made with, and these are
//! tokens of their own. If the file cannot be read, they are made with a key that is forgotten at
//! once. They hide what they stand for in any case, and the vault does not hold it.

use super::spool::Call;
use crate::compose;
use crate::config::Settings;
use athena_core::{Code, Error, Registry, Result};
use athena_privacy::{Keyring, KeyringError, Keys, Masking, Replaced};
use serde_json::Value;
use std::sync::Arc;

/// Masks calls for the disk.
pub(super) struct Masker<'m> {
    masking: Masking,
    registry: &'m Registry,
    keys: Option<Arc<Keys>>,
    settings: &'m Settings,
}

impl<'m> Masker<'m> {
    /// Masks as the settings say.
    ///
    /// # Errors
    ///
    /// For settings that cannot be used.
    pub(super) fn new(settings: &'m Settings, registry: &'m Registry) -> Result<Self> {
        let detector = compose::detector(settings)?;
        Ok(Self {
            masking: Masking::new(detector, settings.privacy.policy),
            registry,
            keys: None,
            settings,
        })
    }

    /// Replaces what is personal in a call.
    ///
    /// # Errors
    ///
    /// When the name of the project is personal, which the store would refuse as well.
    pub(super) fn mask(&mut self, call: &mut Call) -> Result<()> {
        let free = Value::Bool(true);
        let entry = self.registry.get(&call.operation);
        let schema = entry.map_or(&free, |entry| &entry.input);
        let components = self.registry.components();
        let plan = self.masking.plan(schema, components, &mut call.input);
        let plan = plan.map_err(|name| personal(name.kind.as_str()))?;
        if let Some(finding) = self.masking.plan_text(&call.project).first() {
            return Err(personal(finding.kind.as_str()));
        }
        let in_key = call.key.as_deref().map(|key| self.masking.plan_text(key));
        let in_key = in_key.unwrap_or_default();
        if plan.is_empty() && in_key.is_empty() {
            return Ok(());
        }
        let mut replaced = Replaced::with(self.keys()?);
        plan.apply(
            &mut replaced,
            schema,
            components,
            &mut call.input,
            &call.project,
        );
        if let Some(key) = &mut call.key {
            *key = replaced.tokenise(key, &in_key, athena_privacy::EVERYWHERE);
        }
        Ok(())
    }

    fn keys(&mut self) -> Result<Arc<Keys>> {
        if let Some(keys) = &self.keys {
            return Ok(Arc::clone(keys));
        }
        let keys = Arc::new(
            self.own_keys()
                .or_else(|error| {
                    tracing::warn!(%error, "what is kept is masked with a key that is forgotten");
                    Keyring::passing().and_then(|keyring| newest(&keyring))
                })
                .map_err(Error::internal)?,
        );
        self.keys = Some(Arc::clone(&keys));
        Ok(keys)
    }

    /// Returns the keys that the store has, if that can be told without it.
    fn own_keys(&self) -> std::result::Result<Keys, KeyringError> {
        let keyring = compose::keyring(&compose::key_file(self.settings))?.or_first()?;
        newest(&keyring)
    }
}

fn newest(keyring: &Keyring) -> std::result::Result<Keys, KeyringError> {
    keyring
        .newest()
        .map(Keys::of)
        .ok_or_else(|| KeyringError::Empty {
            place: keyring.place(),
        })
}

fn personal(kind: &str) -> Error {
    let message =
        format!("the name of the project holds personal data ({kind}); nothing is kept for it");
    Error::new(Code::InvalidInput, message)
}
