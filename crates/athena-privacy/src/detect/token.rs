//! The tokens that already stand in a text, which are never found again.

use std::ops::Range;

use memchr::memchr_iter;

/// The number of hexadecimal digits in a token.
const DIGITS: usize = 16;

/// The longest name of a kind.
const LONGEST_NAME: usize = 32;

/// Returns where tokens such as `[email:0123456789abcdef]` stand in a text, in bytes.
pub fn tokens(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let bytes = text.as_bytes();
    memchr_iter(b'[', bytes).filter_map(move |start| token_at(bytes, start).map(|end| start..end))
}

/// Returns the end of the token that begins at `start`, if one does.
pub(super) fn token_at(bytes: &[u8], start: usize) -> Option<usize> {
    let rest = bytes.get(start..)?.strip_prefix(b"[")?;
    let name = rest
        .iter()
        .take(LONGEST_NAME)
        .take_while(|b| is_name(**b))
        .count();
    let digits = rest[name..].strip_prefix(b":")?.get(..=DIGITS)?;
    let well_formed = rest.first().is_some_and(u8::is_ascii_lowercase)
        && digits[..DIGITS]
            .iter()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        && digits[DIGITS] == b']';
    well_formed.then_some(start + name + DIGITS + 3)
}

/// Whether a range touches one of the tokens, which are ordered.
pub(super) fn overlaps(tokens: &[Range<usize>], range: &Range<usize>) -> bool {
    let next = tokens.partition_point(|token| token.end <= range.start);
    tokens
        .get(next)
        .is_some_and(|token| token.start < range.end)
}

fn is_name(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'
}
