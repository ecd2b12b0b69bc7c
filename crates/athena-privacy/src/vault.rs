//! The vault: values sealed so that whoever may can have them back.
//!
//! ChaCha20-Poly1305 (RFC 8439) with a random nonce in front. Project and token are bound in: a row
//! that is moved to another project or token does not open.

use crate::key::{Keys, TokenKey};
use ring::aead::{Aad, NONCE_LEN, Nonce};
use ring::rand::{SecureRandom, SystemRandom};

/// Why something sealed does not open, or cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It was sealed with another key or for another place, or its bytes were changed.
    #[error("it was sealed with another key, for another place, or was changed since")]
    Closed,
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes")]
    Random,
}

/// What the seal of a token key is bound to, where a value's is bound to project and token.
const TOKEN_KEY_PLACE: (&str, &str) = ("", "the key of the tokens");

impl Keys {
    /// Seals the value of a token of a project.
    ///
    /// # Errors
    ///
    /// [`SealError::Random`].
    pub fn seal(&self, project: &str, token: &str, value: &str) -> Result<Vec<u8>, SealError> {
        self.seal_bytes((project, token), value.as_bytes())
    }

    /// Opens what [`seal`](Self::seal) sealed.
    ///
    /// # Errors
    ///
    /// [`SealError::Closed`].
    pub fn open(&self, project: &str, token: &str, sealed: &[u8]) -> Result<String, SealError> {
        let value = self.open_bytes((project, token), sealed)?;
        String::from_utf8(value).map_err(|_| SealError::Closed)
    }

    /// Seals the key of the tokens, to hand it on to the next secret.
    ///
    /// # Errors
    ///
    /// [`SealError::Random`].
    pub fn seal_token_key(&self, token_key: &TokenKey) -> Result<Vec<u8>, SealError> {
        self.seal_bytes(TOKEN_KEY_PLACE, token_key.bytes())
    }

    /// Opens what [`seal_token_key`](Self::seal_token_key) sealed.
    ///
    /// # Errors
    ///
    /// [`SealError::Closed`].
    pub fn open_token_key(&self, sealed: &[u8]) -> Result<TokenKey, SealError> {
        let bytes = self.open_bytes(TOKEN_KEY_PLACE, sealed)?;
        TokenKey::from_bytes(&bytes).ok_or(SealError::Closed)
    }

    fn seal_bytes(&self, place: (&str, &str), value: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new()
            .fill(&mut nonce)
            .map_err(|_| SealError::Random)?;
        let mut sealed = value.to_vec();
        self.vault
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                bound(place),
                &mut sealed,
            )
            .map_err(|_| SealError::Closed)?;
        sealed.splice(0..0, nonce);
        Ok(sealed)
    }

    fn open_bytes(&self, place: (&str, &str), sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (nonce, sealed) = sealed
            .split_at_checked(NONCE_LEN)
            .ok_or(SealError::Closed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Closed)?;
        let mut value = sealed.to_vec();
        let length = self
            .vault
            .open_in_place(nonce, bound(place), &mut value)
            .map_err(|_| SealError::Closed)?
            .len();
        value.truncate(length);
        Ok(value)
    }
}

fn bound((project, token): (&str, &str)) -> Aad<Vec<u8>> {
    let mut bytes = u64::try_from(project.len())
        .unwrap_or(u64::MAX)
        .to_le_bytes()
        .to_vec();
    bytes.extend_from_slice(project.as_bytes());
    bytes.extend_from_slice(token.as_bytes());
    Aad::from(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    #[test]
    fn opens_for_its_key_project_and_token_alone() {
        let keys = Keys::of(&Secret::generate().unwrap());
        let sealed = keys.seal("billing", "[email:00]", "a@b.co").unwrap();
        assert_eq!(
            keys.open("billing", "[email:00]", &sealed).as_deref(),
            Ok("a@b.co")
        );
        let other = Keys::of(&Secret::generate().unwrap());
        let closed = Err(SealError::Closed);
        assert_eq!(other.open("billing", "[email:00]", &sealed), closed);
        assert_eq!(keys.open("b", "illing[email:00]", &sealed), closed);
        assert_eq!(keys.open("billing", "[email:01]", &sealed), closed);
        assert_eq!(keys.open("billing", "[email:00]", &sealed[..5]), closed);
        let mut changed = sealed.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(keys.open("billing", "[email:00]", &changed), closed);
        assert_ne!(
            sealed,
            keys.seal("billing", "[email:00]", "a@b.co").unwrap()
        );
    }

    #[test]
    fn the_key_of_the_tokens_is_handed_on() {
        let old = Keys::of(&Secret::generate().unwrap());
        let secret = Secret::generate().unwrap();
        let sealed = Keys::of(&secret).seal_token_key(old.token_key()).unwrap();
        let opened = Keys::of(&secret).open_token_key(&sealed).unwrap();
        let new = Keys::with_tokens(&secret, opened);
        assert_eq!(new.token_key(), old.token_key());
        assert_ne!(new.fingerprint(), old.fingerprint());
    }
}
