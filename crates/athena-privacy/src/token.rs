//! Tokens: what stands in a text instead of personal data.
//!
//! A token is `[kind:0123456789abcdef]`: HMAC-SHA-256 of project, kind and normalised value under
//! the store's token key, cut to 64 bits. Equal values of a project have equal tokens in every
//! field, process and database that shares the key; other projects have others.

use crate::key::{Keys, hexadecimal};
use crate::{Kind, normalise};
use ring::hmac;

/// The kind of the token for the domain of an e-mail address, which follows the address's own.
pub const DOMAIN: &str = "domain";
/// The kind of a token for a name that a field policy hides.
pub const NAME: &str = "name";
/// The kind of a token for a whole value whose parts' tokens are longer than its field.
pub const TEXT: &str = "text";
/// Every kind of token that is no kind of finding.
pub const FURTHER_KINDS: [&str; 3] = [DOMAIN, NAME, TEXT];

/// Bytes of the code that a token shows.
const CODE_BYTES: usize = 8;

/// A token and the value that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: String,
    pub(crate) text: String,
}

/// Makes the token of a value.
pub(crate) fn token(keys: &Keys, project: &str, kind: &str, normalised: &str) -> Token {
    let mut code = hmac::Context::with_key(&keys.tokens);
    for part in [project, kind, normalised] {
        // Lengths first: no two lists of parts are the same bytes.
        code.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        code.update(part.as_bytes());
    }
    let code = hexadecimal(&code.sign().as_ref()[..CODE_BYTES]);
    Token {
        kind: kind.to_owned(),
        text: format!("[{kind}:{code}]"),
    }
}

/// Returns the parts of a finding that get tokens of their own: kind, value as it stands, value
/// normalised.
pub(crate) fn parts<'a>(kind: &'a Kind, value: &'a str) -> Vec<(&'a str, &'a str, String)> {
    let normalised = normalise(kind, value).into_owned();
    match (kind, value.rsplit_once('@'), normalised.rsplit_once('@')) {
        (Kind::Email, Some((_, domain)), Some((_, normalised_domain))) => {
            let domain = (DOMAIN, domain, normalised_domain.to_owned());
            vec![(kind.as_str(), value, normalised), domain]
        }
        _ => vec![(kind.as_str(), value, normalised)],
    }
}

/// Returns the kind of a token, if the text is one.
#[must_use]
pub fn token_kind(text: &str) -> Option<&str> {
    let mut found = crate::tokens(text);
    (found.next()? == (0..text.len()))
        .then(|| text[1..].split_once(':'))
        .flatten()
        .map(|(kind, _)| kind)
}
