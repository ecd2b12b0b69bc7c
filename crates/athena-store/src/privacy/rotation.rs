//! Moving a store to the newest secret of its keyring.
//!
//! First, in one transaction, the store takes the new secret as its own: from then on nobody writes
//! with the old one. Then the values are sealed anew, a batch a transaction. The row of the key says
//! how far it is, and what is done is never done again: a rotation that was cut off anywhere goes on
//! when it is asked for again.

use super::retokenise::{self, Retokenised};
use super::sql::{self, KeyRow, Resealed, SealedRow};
use super::{Audited, Privacy, another_key, audit, unusable};
use crate::store::{Intent, Store};
use crate::{Write, erase_residue, write};
use athena_core::{Code, Ctx, Env, Error, Result};
use athena_db::Executor;
use athena_privacy::{Keyring, Keys, Secret, token_kind};
use std::collections::HashMap;
use std::sync::Arc;

/// What rotations are called in the audit log, and before gates.
pub(super) const ACTION: &str = "pii.rotate";

/// Values that one transaction seals anew.
const BATCH: u32 = 500;

/// What taking the key may wait for those who write with the old one, in items' times.
const PATIENCE: usize = 1_000;

/// A rotation under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationState {
    /// The fingerprint of the key that the store moves from.
    pub from: String,
    /// The fingerprint of the key that it moves to, and that it works with already.
    pub to: String,
    /// Whether it gets new tokens too.
    pub retokenise: bool,
}

/// What a rotation has done since it was asked for last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// The fingerprint of the key that the store had.
    pub from: String,
    /// The fingerprint of the key that it has now.
    pub to: String,
    /// How many values were sealed anew.
    pub resealed: u64,
    /// How many values do not open with the key that they are said to be sealed with; they stay.
    pub unopened: u64,
    /// What was done to the tokens, if there are new ones.
    pub retokenised: Option<Retokenised>,
}

/// How far a step of a rotation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub step: &'static str,
    /// How much of it is done.
    pub done: u64,
    /// How much there is.
    pub of: u64,
}

/// Whoever wants to hear how far it is.
pub(super) type Told<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// Returns the rotation that is under way, if one is.
///
/// # Errors
///
/// What the database fails with.
pub async fn rotation_state(db: &impl Executor) -> Result<Option<RotationState>> {
    Ok(sql::key(db).await?.and_then(|row| under_way(&row)))
}

fn under_way(row: &KeyRow) -> Option<RotationState> {
    Some(RotationState {
        from: row.previous.clone()?,
        to: row.fingerprint.clone(),
        retokenise: row.retokenise,
    })
}

/// Moves the store to the newest secret of the keyring, or ends the move that is under way.
///
/// A key file gets a new secret first, if its newest one is the store's own already. The audit log
/// names `principal` as who did it, and `told` hears how far it is.
///
/// # Errors
///
/// What the database fails with, [`Code::InvalidState`] when there is nothing to rotate or no
/// secret to rotate to, and [`Code::Conflict`] when another process ends the rotation meanwhile.
pub async fn rotate(
    env: &Arc<Env>,
    principal: &str,
    retokenise: bool,
    told: Told<'_>,
) -> Result<Rotated> {
    let ctx = &Ctx::for_own_work(Arc::clone(env)).asked_by(principal);
    let store: &Store = ctx.part();
    let rotation = Arc::new(begin(ctx, &store.privacy, retokenise).await?);
    let mut vault = Vault::new(&store.privacy, ctx, &rotation).await?;
    let (resealed, unopened) = vault.reseal(ctx, told).await?;
    let retokenised = match rotation.retokenise {
        true => Some(retokenise::retokenise(ctx, &rotation.to, told).await?),
        false => None,
    };
    finish(ctx, &rotation).await?;
    erase_residue(ctx).await?;
    Ok(Rotated {
        from: rotation.from.clone(),
        to: rotation.to.clone(),
        resealed,
        unopened,
        retokenised,
    })
}

async fn begin(ctx: &Ctx, privacy: &Privacy, retokenise: bool) -> Result<RotationState> {
    let row = sql::key(ctx.db()).await?.ok_or_else(|| {
        let message = "nothing was written to this store yet, so it has no key to rotate";
        Error::new(Code::InvalidState, message)
    })?;
    if let Some(state) = under_way(&row) {
        return going_on(state, retokenise);
    }
    // A store that cannot be written to must say so before a secret is added for it.
    write(ctx, Intent::new(ACTION), |write| {
        Box::pin(sql::lock_key(write.tx()))
    })
    .await?;
    let current = privacy.unlock(&row)?;
    let keyring = with_next(privacy.keyring()?, &row.fingerprint)?;
    let next = keyring
        .newest()
        .ok_or_else(|| another_key(&keyring, &row.fingerprint))?;
    take(ctx, &current, next, retokenise).await
}

fn going_on(state: RotationState, retokenise: bool) -> Result<RotationState> {
    if retokenise && !state.retokenise {
        let message = "a rotation that keeps the tokens is under way; run `athena pii rotate` to end it, and then this";
        return Err(Error::new(Code::InvalidState, message));
    }
    Ok(state)
}

/// Returns the keyring with a newest secret that is not the store's own.
fn with_next(keyring: Keyring, fingerprint: &str) -> Result<Keyring> {
    let is_own = |secret: &Secret| secret.fingerprint() == fingerprint;
    if !keyring.newest().is_some_and(is_own) {
        return Ok(keyring);
    }
    if keyring.path().is_none() {
        let message = format!(
            "the newest key of {place} is the store's own already ({fingerprint}); put a new one in front of it, \
             with a comma between them, and run this again",
            place = keyring.place()
        );
        return Err(Error::new(Code::InvalidState, message));
    }
    keyring.add().map_err(unusable)
}

/// Makes a secret the store's own. Tokens that stay have their key handed on.
async fn take(ctx: &Ctx, current: &Keys, next: &Secret, retokenise: bool) -> Result<RotationState> {
    let handed_on = match retokenise {
        true => None,
        false => Some(Keys::of(next).seal_token_key(current.token_key())),
    };
    let row = Arc::new(KeyRow {
        fingerprint: next.fingerprint(),
        token_key: handed_on.transpose().map_err(Error::internal)?,
        previous: Some(current.fingerprint().to_owned()),
        retokenise,
    });
    let state = under_way(&row).ok_or_else(|| Error::internal("a rotation without a start"))?;
    let from = state.from.clone();
    let intent = Intent::new(ACTION).of_items(PATIENCE);
    write(ctx, intent, move |write| {
        let (row, from) = (Arc::clone(&row), from.clone());
        Box::pin(async move {
            if !sql::replace_key(write.tx(), &from, &row, write.now()).await? {
                return Err(overtaken());
            }
            note(write, "begun").await
        })
    })
    .await?;
    Ok(state)
}

async fn finish(ctx: &Ctx, rotation: &Arc<RotationState>) -> Result<()> {
    let state = Arc::clone(rotation);
    write(ctx, Intent::new(ACTION), move |write| {
        let state = Arc::clone(&state);
        Box::pin(async move {
            check_current(write, &state.to).await?;
            sql::forget_previous(write.tx(), write.now()).await?;
            note(write, "finished").await
        })
    })
    .await
}

async fn note(write: &Write<'_>, outcome: &'static str) -> Result<()> {
    let audited = Audited {
        action: ACTION,
        project: None,
        subject: None,
        reason: None,
        outcome,
    };
    audit(write, audited).await
}

/// Makes sure that the store still moves to this key, and that it does so until the commit.
pub(super) async fn check_current(write: &Write<'_>, to: &str) -> Result<()> {
    match under_way(&sql::hold_key(write.tx()).await?) {
        Some(state) if state.to == to => Ok(()),
        _ => Err(overtaken()),
    }
}

fn overtaken() -> Error {
    Error::new(
        Code::Conflict,
        "another process has rotated the key of this store meanwhile",
    )
}

pub(super) fn told_of(step: &'static str, done: usize, of: usize) -> Progress {
    let count = |count| u64::try_from(count).unwrap_or(u64::MAX);
    Progress {
        step,
        done: count(done),
        of: count(of),
    }
}

/// The values of a store, with the keys to open and to seal them.
struct Vault<'a> {
    privacy: &'a Privacy,
    keys: Arc<Keys>,
    /// Whether each value gets a new token too.
    retokenise: bool,
    openers: HashMap<String, Arc<Keys>>,
}

impl<'a> Vault<'a> {
    async fn new(privacy: &'a Privacy, ctx: &Ctx, rotation: &RotationState) -> Result<Self> {
        let keys = privacy.keys(ctx.db()).await?;
        if keys.fingerprint() != rotation.to {
            return Err(overtaken());
        }
        Ok(Self {
            privacy,
            keys,
            retokenise: rotation.retokenise,
            openers: HashMap::new(),
        })
    }

    /// Seals every value that is sealed with another key; returns how many, and how many do not
    /// open.
    ///
    /// One pass is enough: since the key was taken nothing is sealed with another.
    async fn reseal(&mut self, ctx: &Ctx, told: Told<'_>) -> Result<(u64, u64)> {
        let of = sql::count_sealed_otherwise(ctx.db(), self.keys.fingerprint()).await?;
        let of = u64::try_from(of).unwrap_or_default();
        let (mut resealed, mut unopened, mut done) = (0, 0, 0);
        let mut last = (String::new(), String::new());
        loop {
            let rows = self.next_rows(ctx, &last).await?;
            let Some(row) = rows.last() else {
                return Ok((resealed, unopened));
            };
            last = (row.project.clone(), row.token.clone());
            let count = rows.len() as u64;
            let batch = self.seal_anew(ctx, rows).await?;
            unopened += count - batch.len() as u64;
            resealed += store(ctx, batch, self.keys.fingerprint()).await?;
            done += count;
            let step = "sealing values";
            told(Progress { step, done, of });
        }
    }

    async fn next_rows(&self, ctx: &Ctx, last: &(String, String)) -> Result<Vec<SealedRow>> {
        let after = (last.0.as_str(), last.1.as_str());
        sql::sealed_otherwise(ctx.db(), self.keys.fingerprint(), after, BATCH).await
    }

    async fn seal_anew(&mut self, ctx: &Ctx, rows: Vec<SealedRow>) -> Result<Vec<Resealed>> {
        let mut batch = Vec::with_capacity(rows.len());
        for row in rows {
            let opener = self.opener(ctx, &row.fingerprint).await?;
            let Ok(value) = opener.open(&row.project, &row.token, &row.sealed) else {
                continue;
            };
            let from = row.fingerprint.clone();
            let renewed = self.new_row(&row, &value)?;
            let row = self.sealed(row.project, row.token, &value)?;
            batch.push(Resealed { row, from, renewed });
        }
        Ok(batch)
    }

    /// Returns the row of the token that takes the place of another, if one does.
    fn new_row(&self, old: &SealedRow, value: &str) -> Result<Option<SealedRow>> {
        let Some(kind) = token_kind(&old.token).filter(|_| self.retokenise) else {
            return Ok(None);
        };
        let token = self.keys.token_of(&old.project, kind, value);
        self.sealed(old.project.clone(), token, value).map(Some)
    }

    fn sealed(&self, project: String, token: String, value: &str) -> Result<SealedRow> {
        let sealed = self.keys.seal(&project, &token, value);
        Ok(SealedRow {
            fingerprint: self.keys.fingerprint().to_owned(),
            sealed: sealed.map_err(Error::internal)?,
            project,
            token,
        })
    }

    async fn opener(&mut self, ctx: &Ctx, fingerprint: &str) -> Result<Arc<Keys>> {
        if let Some(keys) = self.openers.get(fingerprint) {
            return Ok(Arc::clone(keys));
        }
        let keys = self.privacy.sealed_with(ctx.db(), fingerprint).await?;
        self.openers
            .insert(fingerprint.to_owned(), Arc::clone(&keys));
        Ok(keys)
    }
}

async fn store(ctx: &Ctx, batch: Vec<Resealed>, to: &str) -> Result<u64> {
    let intent = Intent::new(ACTION).of_items(batch.len());
    let batch = Arc::new((batch, to.to_owned()));
    write(ctx, intent, move |write| {
        let batch = Arc::clone(&batch);
        Box::pin(async move {
            check_current(write, &batch.1).await?;
            let new: Vec<SealedRow> = batch.0.iter().filter_map(|it| it.renewed.clone()).collect();
            if !new.is_empty() {
                sql::keep(write.tx(), new, write.now()).await?;
            }
            sql::reseal(write.tx(), &batch.0).await
        })
    })
    .await
}
