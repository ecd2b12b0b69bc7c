//! The identity of a statement: its text without what differs from run to run.

use sha2::{Digest, Sha256};

use super::lexer::{Grammar, Kind, Lexer};
use crate::dialect::Dialect;

/// Returns a text with `?` for every literal and without comments and needless blanks, and a hash
/// of it. Where the tokens cannot be made out, the rest is left away.
pub(crate) fn fingerprint(dialect: Dialect, sql: &str) -> (u64, String) {
    let mut lexer = Lexer::new(sql, Grammar::of(dialect));
    let mut text = String::with_capacity(sql.len());
    let mut end = 0;
    while let Ok(Some(token)) = lexer.next_token() {
        if token.start > end && !text.is_empty() {
            text.push(' ');
        }
        match token.kind {
            Kind::Text | Kind::Number => text.push('?'),
            Kind::Word | Kind::Name | Kind::Symbol | Kind::Parameter | Kind::Positional => {
                text.push_str(lexer.text(token));
            }
        }
        end = token.end;
    }
    let digest = Sha256::digest(text.as_bytes());
    let hash = digest
        .iter()
        .take(8)
        .fold(0, |hash, byte| hash << 8 | u64::from(*byte));
    (hash, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_blanks_and_comments_do_not_matter() {
        let (hash, text) = fingerprint(
            Dialect::Sqlite,
            "SELECT a -- why\n  FROM t WHERE b = 'secret' AND c>1.5 AND d = :d",
        );
        assert_eq!(text, "SELECT a FROM t WHERE b = ? AND c>? AND d = :d");
        let (same, _) = fingerprint(
            Dialect::Sqlite,
            "SELECT a FROM t WHERE b = 'other' AND c>2 AND d = :d",
        );
        assert_eq!(hash, same);
    }
}
