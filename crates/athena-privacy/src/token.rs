//! Tokens: what stands in a text instead of personal data.
//!
//! A token is `[kind:0123456789abcdef]`: HMAC-SHA-256 of project, kind and normalised value under
//! the store's token key, cut to 64 bits. Equal values of a project have equal tokens in every
//! field, process and database that shares the key; other projects have others.

use crate::key::{Keys, hexadecimal};
use crate::{Kind, normalise};
use ring::hmac;
use std::borrow::Cow;
use std::ops::Range;

/// The kind of the token for the domain of an e-mail address, which follows the address's own.
pub(crate) const DOMAIN: &str = "domain";
/// The kind of a token for a name that a field policy hides.
pub(crate) const NAME: &str = "name";
/// The kind of a token for a whole value whose parts' tokens are longer than its field.
pub(crate) const TEXT: &str = "text";
/// Every kind of token that is no kind of finding.
pub(crate) const FURTHER_KINDS: [&str; 3] = [DOMAIN, NAME, TEXT];

/// Bytes of the code that a token shows.
const CODE_BYTES: usize = 8;

/// Makes the token of a value.
pub(crate) fn token(keys: &Keys, project: &str, kind: &str, normalised: &str) -> String {
    let mut code = hmac::Context::with_key(&keys.tokens);
    for part in [project, kind, normalised] {
        // Lengths first: no two lists of parts are the same bytes.
        code.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        code.update(part.as_bytes());
    }
    let code = hexadecimal(&code.sign().as_ref()[..CODE_BYTES]);
    format!("[{kind}:{code}]")
}

/// Returns the parts of a finding that get tokens of their own: kind, and value as it stands.
pub(crate) fn parts<'a>(kind: &'a Kind, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let whole = (kind.as_str(), value);
    match (kind, value.rsplit_once('@')) {
        (Kind::Email, Some((_, domain))) => vec![whole, (DOMAIN, domain)],
        _ => vec![whole],
    }
}

/// Returns a value as it is written once for the kind in its token.
pub(crate) fn normalised(kind: &str, value: &str) -> String {
    match kind {
        DOMAIN => normalise(&Kind::Email, value).into_owned(),
        NAME => value.to_lowercase(),
        TEXT => value.to_owned(),
        _ => normalise(&Kind::named(kind), value).into_owned(),
    }
}

impl Keys {
    /// Returns the token that stands for a value of a kind, in a project: for what was kept of it
    /// under another key.
    #[must_use]
    pub fn token_of(&self, project: &str, kind: &str, value: &str) -> String {
        token(self, project, kind, &normalised(kind, value))
    }
}

/// Returns a text with others in place of parts of it. The parts are in order and apart.
#[must_use]
pub(crate) fn replaced<S: AsRef<str>>(
    text: &str,
    parts: impl IntoIterator<Item = (Range<usize>, S)>,
) -> Cow<'_, str> {
    let mut replaced = String::new();
    let mut rest = 0;
    for (part, other) in parts {
        replaced.push_str(&text[rest..part.start]);
        replaced.push_str(other.as_ref());
        rest = part.end;
    }
    if rest == 0 {
        return Cow::Borrowed(text);
    }
    replaced.push_str(&text[rest..]);
    Cow::Owned(replaced)
}

/// Returns a text with others in place of those of its tokens for which `other` has one.
#[must_use]
pub fn with_tokens_replaced<S: AsRef<str>>(
    text: &str,
    mut other: impl FnMut(&str) -> Option<S>,
) -> Cow<'_, str> {
    let parts = crate::tokens(text).filter_map(|range| {
        let other = other(&text[range.clone()])?;
        Some((range, other))
    });
    replaced(text, parts)
}

/// Returns a text with the values of its tokens in their place, as far as `value` knows them. The
/// token of a domain goes with the address that it follows.
pub fn with_values<'v>(text: &str, value: impl Fn(&str) -> Option<&'v str>) -> String {
    let mut address_end = None;
    let parts = crate::tokens(text).filter_map(|range| {
        let token = &text[range.clone()];
        let kind = token_kind(token);
        let value = match kind {
            Some(DOMAIN) if address_end == Some(range.start) => "",
            _ => value(token)?,
        };
        address_end = (kind == Some(Kind::Email.as_str())).then_some(range.end);
        Some((range, value))
    });
    replaced(text, parts).into_owned()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Detector, EVERYWHERE, Replaced, Secret};
    use std::sync::Arc;

    #[test]
    fn a_value_that_was_kept_has_the_token_that_it_was_replaced_by() {
        let secret = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        let keys = Arc::new(Keys::of(&Secret::parse(secret).unwrap()));
        let mut replaced = Replaced::with(Arc::clone(&keys));
        let text = "Ask Ada@Lovelace.ORG or +44 20 7946 0958 x12, card 4111 1111 1111 1111";
        let findings = Detector::new().find(text);
        replaced.tokenise(text, &findings, EVERYWHERE);
        assert!(replaced.values().count() >= 4, "{findings:?}");
        for each in replaced.values() {
            assert_eq!(
                keys.token_of(each.project, each.kind, each.value),
                each.token
            );
        }
    }

    #[test]
    fn values_take_the_place_of_tokens() {
        let text = "to [email:00000000000000aa][domain:00000000000000bb], [phone:00000000000000cc]; \
                    at [domain:00000000000000bb] [domain:00000000000000dd]";
        let value = |token: &str| match token_kind(token)? {
            "email" => Some("ada@lovelace.org"),
            "domain" if token.contains('b') => Some("lovelace.org"),
            _ => None,
        };
        assert_eq!(
            with_values(text, value),
            "to ada@lovelace.org, [phone:00000000000000cc]; at lovelace.org [domain:00000000000000dd]"
        );
        let unknown = "[email:00000000000000aa][domain:00000000000000bb]";
        assert_eq!(with_values(unknown, |_| None), unknown);
    }
}
