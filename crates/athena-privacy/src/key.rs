//! Keys: one secret of an installation, and what is derived from it.
//!
//! The secret is never used itself. Tokens, the vault and the fingerprint that a store remembers
//! each have a key of their own, derived with HKDF-SHA-256 (RFC 5869), so none tells another.

use ring::aead::{CHACHA20_POLY1305, LessSafeKey, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use ring::{hkdf, hmac};
use std::fmt;

/// Bytes of a secret, and of each key that is derived from it.
const KEY_BYTES: usize = 32;

/// The secret of an installation: 32 random bytes, written as 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; KEY_BYTES]);

/// Why a text is no secret. It never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It has another length.
    #[error(
        "has {0} characters; a key has 64 hexadecimal digits, such as `openssl rand -hex 32` makes"
    )]
    Length(usize),
    /// It has other characters.
    #[error("has a character that is no hexadecimal digit")]
    Digit,
    /// It is one that anybody could guess.
    #[error("repeats one byte; a key is random")]
    Weak,
    /// The operating system gives no random bytes.
    #[error("cannot be made: the operating system gives no random bytes")]
    Random,
}

impl Secret {
    /// Makes a new one.
    ///
    /// # Errors
    ///
    /// [`SecretError::Random`] when the operating system gives no random bytes.
    pub fn generate() -> Result<Self, SecretError> {
        let mut bytes = [0; KEY_BYTES];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| SecretError::Random)?;
        Ok(Self(bytes))
    }

    /// Reads one from hexadecimal digits.
    ///
    /// # Errors
    ///
    /// When it is anything else, or plainly not random.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let digits = text.trim().as_bytes();
        if digits.len() != 2 * KEY_BYTES {
            return Err(SecretError::Length(text.trim().chars().count()));
        }
        let mut bytes = [0; KEY_BYTES];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
            let pair = str::from_utf8(pair).map_err(|_| SecretError::Digit)?;
            if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(SecretError::Digit);
            }
            *byte = u8::from_str_radix(pair, 16).map_err(|_| SecretError::Digit)?;
        }
        if bytes.iter().all(|byte| *byte == bytes[0]) {
            return Err(SecretError::Weak);
        }
        Ok(Self(bytes))
    }

    /// Returns the hexadecimal digits, for the key file.
    #[must_use]
    pub fn reveal(&self) -> String {
        hexadecimal(&self.0)
    }

    fn derive(&self, purpose: &[u8]) -> [u8; KEY_BYTES] {
        let mut key = [0; KEY_BYTES];
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"athena privacy 1");
        salt.extract(&self.0)
            .expand(&[purpose], hkdf::HKDF_SHA256)
            .and_then(|expanded| expanded.fill(&mut key))
            .expect("32 bytes are one block of HKDF-SHA-256");
        key
    }

    /// Returns what a store remembers of it: 16 hexadecimal digits that tell nothing else.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hexadecimal(&self.derive(b"fingerprint")[..8])
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.fingerprint())
    }
}

/// The keys that a store works with.
#[derive(Clone)]
pub struct Keys {
    fingerprint: String,
    token_key: TokenKey,
    pub(crate) tokens: hmac::Key,
    pub(crate) vault: LessSafeKey,
}

/// The key of a store's tokens. It outlives the secret it came from: a rotation that keeps the
/// tokens hands it on, sealed under the next secret.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenKey([u8; KEY_BYTES]);

impl TokenKey {
    /// Returns the bytes, to be sealed.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Takes bytes that were sealed.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl Keys {
    /// Derives the keys of a store that was made with this secret.
    #[must_use]
    pub fn of(secret: &Secret) -> Self {
        Self::with_tokens(secret, TokenKey(secret.derive(b"tokens")))
    }

    /// Derives the keys of a store whose tokens were made with an older secret.
    #[must_use]
    pub fn with_tokens(secret: &Secret, token_key: TokenKey) -> Self {
        let vault = UnboundKey::new(&CHACHA20_POLY1305, &secret.derive(b"vault"))
            .expect("a key of ChaCha20-Poly1305 has 32 bytes");
        Self {
            fingerprint: secret.fingerprint(),
            tokens: hmac::Key::new(hmac::HMAC_SHA256, token_key.bytes()),
            token_key,
            vault: LessSafeKey::new(vault),
        }
    }

    /// Returns the fingerprint of the secret.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Returns the key of the tokens.
    #[must_use]
    pub fn token_key(&self) -> &TokenKey {
        &self.token_key
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.fingerprint)
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey")
    }
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    use fmt::Write;
    let mut digits = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    #[test]
    fn a_secret_is_64_hexadecimal_digits() {
        assert_eq!(Secret::parse(SOME).unwrap().reveal(), SOME);
        assert_eq!(
            Secret::parse(&format!("\n{SOME}\n")),
            Secret::parse(&SOME.to_uppercase())
        );
        assert_eq!(Secret::parse("abc"), Err(SecretError::Length(3)));
        assert_eq!(Secret::parse(&"é".repeat(32)), Err(SecretError::Digit));
        assert_eq!(
            Secret::parse(&SOME.replacen('0', "+", 1)),
            Err(SecretError::Digit)
        );
        assert_eq!(Secret::parse(&"00".repeat(32)), Err(SecretError::Weak));
    }

    #[test]
    fn neither_debug_form_nor_fingerprint_holds_the_secret() {
        let secret = Secret::parse(SOME).unwrap();
        let shown = format!("{secret:?} {:?}", Keys::of(&secret));
        assert!(!shown.contains(&SOME[..8]), "{shown}");
        assert_eq!(secret.fingerprint().len(), 16);
        assert_ne!(
            secret.fingerprint(),
            Secret::generate().unwrap().fingerprint()
        );
    }
}
