//! Privacy in the write path: which key a store works with, and the masking of every input.
//!
//! The first change to a store records the fingerprint of its key. From then on a process that does
//! not hold that key changes nothing there: its tokens would be others, and nobody could tell.

mod audit;
mod mentions;
mod retokenise;
mod rotation;
mod sql;
mod vault;

pub use audit::{Audited, audit, audit_alone};
pub use mentions::{forget_values, tokens_in};
pub use retokenise::Retokenised;
pub use rotation::{Progress, Rotated, RotationState, rotate, rotation_state};
pub use vault::{VaultEntry, all_revealed, revealed, vault_sizes};

use crate::Write;
use athena_core::{Call, Code, Ctx, DEFAULT_PROJECT, Effect, Error, Masked, Masker, Result};
use athena_db::{BoxFuture, Executor, Tx};
use athena_privacy::{EVERYWHERE, Keyring, KeyringError, Keys, Masking, Replaced, tokens};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// What a process knows of privacy: what is personal, and where its keys are.
pub struct Privacy {
    masking: Masking,
    keyring: OpenKeyring,
    keeps_values: bool,
    /// The keys of the store as they were last, to be held against its fingerprint.
    active: RwLock<Option<Arc<Keys>>>,
}

/// Opens the keyring anew: the file may have changed, and most processes never need it.
type OpenKeyring = Box<dyn Fn() -> Result<Keyring, KeyringError> + Send + Sync>;

impl Privacy {
    /// Masks as `masking` says with the keys that `keyring` opens; `keeps_values` seals what tokens
    /// stand for into the vault.
    pub fn new(
        masking: Masking,
        keyring: impl Fn() -> Result<Keyring, KeyringError> + Send + Sync + 'static,
        keeps_values: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            masking,
            keyring: Box::new(keyring),
            keeps_values,
            active: RwLock::default(),
        })
    }

    /// Masks with a key that ends with the process: for stores that do so too.
    ///
    /// # Errors
    ///
    /// When the operating system gives no random bytes.
    pub fn passing(masking: Masking) -> Result<Arc<Self>> {
        let keyring = Keyring::passing().map_err(unusable)?;
        Ok(Self::new(masking, move || Ok(keyring.clone()), true))
    }

    /// Returns what is personal, and what happens to it.
    #[must_use]
    pub fn masking(&self) -> &Masking {
        &self.masking
    }

    /// Whether values are kept, sealed.
    #[must_use]
    pub fn keeps_values(&self) -> bool {
        self.keeps_values
    }

    /// Opens the keyring.
    ///
    /// # Errors
    ///
    /// When it cannot be used.
    pub fn keyring(&self) -> Result<Keyring> {
        (self.keyring)().map_err(unusable)
    }

    /// Returns the keys that a store works with, or that it will work with.
    ///
    /// # Errors
    ///
    /// What the database fails with, and when the keyring does not hold the store's key.
    pub async fn keys(&self, db: &impl Executor) -> Result<Arc<Keys>> {
        match sql::key(db).await? {
            Some(row) => self.unlock(&row),
            None => {
                let keyring = self.keyring()?.or_first().map_err(unusable)?;
                let newest = keyring.newest().ok_or_else(|| no_key(&keyring))?;
                Ok(Arc::new(Keys::of(newest)))
            }
        }
    }

    /// Returns the keys of a store with this row.
    fn unlock(&self, row: &sql::KeyRow) -> Result<Arc<Keys>> {
        if let Some(keys) = self
            .active()
            .filter(|it| it.fingerprint() == row.fingerprint)
        {
            return Ok(keys);
        }
        let keyring = self.keyring()?;
        let secret = keyring
            .with_fingerprint(&row.fingerprint)
            .ok_or_else(|| another_key(&keyring, &row.fingerprint))?;
        let mut keys = Keys::of(secret);
        if let Some(sealed) = &row.token_key {
            let token_key = keys.open_token_key(sealed).map_err(Error::internal)?;
            keys = Keys::with_tokens(secret, token_key);
        }
        let keys = Arc::new(keys);
        *self.active.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&keys));
        Ok(keys)
    }

    /// Returns keys that open what was sealed under a fingerprint: the store's own, or those that a
    /// rotation under way moves from.
    async fn sealed_with(&self, db: &impl Executor, fingerprint: &str) -> Result<Arc<Keys>> {
        let keys = self.keys(db).await?;
        if keys.fingerprint() == fingerprint {
            return Ok(keys);
        }
        let keyring = self.keyring()?;
        let secret = keyring.with_fingerprint(fingerprint);
        let secret = secret.ok_or_else(|| another_key(&keyring, fingerprint))?;
        Ok(Arc::new(Keys::of(secret)))
    }

    fn active(&self) -> Option<Arc<Keys>> {
        self.active
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Makes sure that this process holds the key of a store that it is about to change, and that
    /// the input of the call was masked with it. `stored` is the store's fingerprint, if it has one.
    pub(crate) async fn check(&self, ctx: &Ctx, tx: &Tx<'_>, stored: Option<String>) -> Result<()> {
        let stored = match stored {
            Some(stored) => stored,
            None => self.claim(ctx, tx).await?,
        };
        if let Some(replaced) = ctx.masked::<Replaced>()
            && replaced.keys().fingerprint() != sql::hold_key(tx).await?.fingerprint
        {
            return Err(Error::new(
                Code::Busy,
                "the key of this store was changed a moment ago; try again",
            ));
        }
        if self
            .active()
            .is_some_and(|keys| keys.fingerprint() == stored)
        {
            return Ok(());
        }
        let row = sql::key(tx).await?;
        let row = row.ok_or_else(|| Error::internal("the row of the key is gone"))?;
        self.unlock(&row).map(drop)
    }

    /// Records the key of a store that has none yet, and returns its fingerprint.
    async fn claim(&self, ctx: &Ctx, tx: &Tx<'_>) -> Result<String> {
        let keyring = self.keyring()?.or_first().map_err(unusable)?;
        let newest = keyring.newest().ok_or_else(|| no_key(&keyring))?;
        sql::claim(tx, &newest.fingerprint(), ctx.now()).await
    }
}

impl Masker for Privacy {
    fn mask<'a>(&'a self, ctx: &'a Ctx, call: Call<'a>) -> BoxFuture<'a, Result<Masked>> {
        Box::pin(self.mask_call(ctx, call))
    }

    fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.masking.redact(text)
    }
}

impl Privacy {
    async fn mask_call(&self, ctx: &Ctx, call: Call<'_>) -> Result<Masked> {
        let schema = &call.entry.input;
        let plan = self.masking.plan(schema, call.components, call.input);
        let plan = plan.map_err(|name| personal_name(&name.field, name.kind.as_str()))?;
        if let Some(project) = call.project.as_deref() {
            self.check_project(project)?;
        }
        let key_findings = call
            .idempotency_key
            .as_deref()
            .map(|key| self.masking.plan_text(key))
            .unwrap_or_default();
        if plan.is_empty() && key_findings.is_empty() {
            return Ok(Masked::default());
        }
        let home = match call.entry.home(ctx, call.input).await? {
            Some(home) => home,
            None => named_project(call.input)
                .or(call.project.as_deref())
                .unwrap_or(DEFAULT_PROJECT)
                .to_owned(),
        };
        let keys = match call.entry.spec.effect {
            Effect::Read => self.keys_for_reading(ctx.db()).await?,
            _ => self.keys(ctx.db()).await?,
        };
        if let Some(key) = call.idempotency_key.as_mut() {
            let mut aside = Replaced::with(Arc::clone(&keys));
            *key = aside.tokenise(key, &key_findings, EVERYWHERE);
        }
        let mut replaced = Replaced::with(keys);
        plan.apply(&mut replaced, schema, call.components, call.input, &home);
        Ok(Masked {
            counts: replaced.counts().clone(),
            values: Some(Arc::new(replaced)),
        })
    }

    /// Returns the keys of a store to look for tokens with. A store without a key has no tokens:
    /// any key finds as much in it.
    async fn keys_for_reading(&self, db: &impl Executor) -> Result<Arc<Keys>> {
        match sql::key(db).await? {
            Some(row) => self.unlock(&row),
            None => {
                let keyring = Keyring::passing().map_err(unusable)?;
                let secret = keyring.newest().ok_or_else(|| no_key(&keyring))?;
                Ok(Arc::new(Keys::of(secret)))
            }
        }
    }

    fn check_project(&self, name: &str) -> Result<()> {
        match self.masking.plan_text(name).first() {
            Some(finding) => Err(personal_name("project", finding.kind.as_str())),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Privacy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Privacy")
            .field("policy", &self.masking.policy())
            .field("keeps_values", &self.keeps_values)
            .finish_non_exhaustive()
    }
}

/// Keeps what tokens of a call stand for, sealed, as part of its change.
pub(crate) async fn keep_values(write: &Write<'_>, privacy: &Privacy) -> Result<()> {
    match write.ctx().masked::<Replaced>() {
        Some(replaced) if privacy.keeps_values => vault::keep(write, replaced).await,
        _ => Ok(()),
    }
}

/// The key of a store, as this process sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivacyState {
    /// The fingerprint of the store's key; `None` before the first write.
    pub fingerprint: Option<String>,
    /// Whether this process holds it, or could claim the store with its own.
    pub key_held: bool,
}

/// Returns which key a store has, and whether this process holds it. Nothing is made or changed.
///
/// # Errors
///
/// What the database fails with.
pub async fn privacy_state(privacy: &Privacy, db: &impl Executor) -> Result<PrivacyState> {
    let row = sql::key(db).await?;
    Ok(PrivacyState {
        key_held: match &row {
            Some(row) => privacy.unlock(row).is_ok(),
            None => privacy.keyring().is_ok(),
        },
        fingerprint: row.map(|row| row.fingerprint),
    })
}

/// Returns how the terms of a text's tokens are spelt in another project: for words of a question
/// that is asked of both.
#[must_use]
pub fn spelling(ctx: &Ctx, text: &str, from: &str, to: &str) -> HashMap<String, String> {
    let term = |token: &str| token.trim_matches(['[', ']']).to_owned();
    tokens(text)
        .map(|range| &text[range])
        .map(|token| (term(token), term(&respelt(ctx, token, from, to))))
        .filter(|(here, there)| here != there)
        .collect()
}

/// Returns a text with the tokens that the call made for its own project replaced by those of
/// another.
#[must_use]
pub fn respelt<'a>(ctx: &Ctx, text: &'a str, from: &str, to: &str) -> Cow<'a, str> {
    match ctx.masked::<Replaced>() {
        Some(replaced) => replaced.respelt(text, from, to),
        None => Cow::Borrowed(text),
    }
}

fn named_project(input: &serde_json::Value) -> Option<&str> {
    input.get("project")?.as_str()
}

fn personal_name(field: &str, kind: &str) -> Error {
    let problem = format!(
        "holds personal data ({kind}), and names of projects are shown everywhere; \
         choose another name, or set one with `--project` or ATHENA_PROJECT"
    );
    Error::invalid(field, problem)
}

fn unusable(error: KeyringError) -> Error {
    Error::new(Code::InvalidState, error.to_string())
}

fn no_key(keyring: &Keyring) -> Error {
    Error::new(
        Code::InvalidState,
        format!("{} holds no key", keyring.place()),
    )
}

fn another_key(keyring: &Keyring, fingerprint: &str) -> Error {
    let place = keyring.place();
    let held = match keyring.newest() {
        Some(newest) => format!("{place} holds {}", newest.fingerprint()),
        None => format!("{place} does not exist"),
    };
    let message = format!(
        "the personal data of this store is tokenised with the key {fingerprint}, and {held}; \
         use the key file that the store was made with, or set ATHENA_PII_KEY to its key"
    );
    Error::new(Code::InvalidState, message)
}
