//! The checksum of a migration: over its tokens, so that reformatting does not count as a change.

use sha2::{Digest, Sha256};

use super::lexer::{Grammar, Lexer};

/// Returns a checksum of a script that ignores white space, comments and the kind of line ends.
///
/// Works for any text in any dialect: where the tokens cannot be made out, the rest counts byte by byte. The
/// letter case of keywords does count.
pub fn token_checksum(script: &str) -> [u8; 32] {
    let script = script.replace("\r\n", "\n");
    let mut lexer = Lexer::new(&script, Grammar::any());
    let mut digest = Sha256::new();
    let mut seen = 0;
    loop {
        match lexer.next_token() {
            Ok(Some(token)) => {
                add(&mut digest, lexer.text(token));
                seen = token.end;
            }
            Ok(None) => break,
            Err(_) => {
                add(&mut digest, &script[seen..]);
                break;
            }
        }
    }
    digest.finalize().into()
}

/// Adds a token with its length in front, so that no two token lists look alike.
fn add(digest: &mut Sha256, token: &str) {
    digest.update((token.len() as u64).to_le_bytes());
    digest.update(token.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::token_checksum;

    fn same(left: &str, right: &str) -> bool {
        token_checksum(left) == token_checksum(right)
    }

    #[test]
    fn white_space_comments_and_line_ends_do_not_matter() {
        let plain = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT DEFAULT 'a\nb');\n";
        assert!(same(plain, &plain.replace('\n', "\r\n")));
        assert!(same(
            plain,
            "-- why\nCREATE TABLE t(id INTEGER PRIMARY KEY,/* c */\tname TEXT DEFAULT 'a\nb') ; -- end"
        ));
    }

    #[test]
    fn every_other_change_matters() {
        assert!(!same("SELECT 'a' 'b'", "SELECT 'a''b'"));
        assert!(!same("SELECT 'a  b'", "SELECT 'a b'"));
        assert!(!same("SELECT ab", "SELECT a b"));
        assert!(!same("SELECT E'\\' -- a'", "SELECT E'\\' -- b'"));
        assert!(!same("SELECT $$-- a$$", "SELECT $$-- b$$"));
        assert!(!same("SELECT /*! 1 */", "SELECT /*! 2 */"));
        assert!(!same("SELECT 'open a  b", "SELECT 'open a b"));
        assert!(!same("", "SELECT 1"));
    }
}
