//! Personal data: found, and replaced by tokens before it is stored.
//!
//! A [`Detector`] finds it. [`Masking`] puts tokens in its place, in all arguments of a call and
//! before the operation sees them. The tokens are made with [`Keys`], which a [`Keyring`] holds;
//! the same keys seal the values for whoever may have them back.
//!
//! *Architecture invariant*: this crate knows no database. It reads and writes one file, the key.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

mod detect;
mod key;
mod keyring;
mod kind;
mod mask;
mod normalise;
mod policy;
mod token;
mod vault;

pub use detect::{Detector, PatternError, character_ranges, home_prefix, tokens};
pub use key::{Keys, Secret, SecretError, TokenKey};
pub use keyring::{Keyring, KeyringError};
pub use kind::{Finding, Kind};
pub use mask::{EVERYWHERE, Masking, PersonalName, Plan, Replaced, TokenValue};
pub use normalise::normalise;
pub use policy::{Policy, Strategy, UnknownPolicy};
pub use token::{token_kind, with_tokens_replaced, with_values};
pub use vault::SealError;
