//! The keywords of a statement, for those who must know what it is about.

use super::lexer::{Grammar, Kind, Lexer};
use crate::dialect::Dialect;

/// Returns the unquoted words of a statement up to where it cannot be made out any more.
pub(crate) fn words(dialect: Dialect, sql: &str) -> impl Iterator<Item = &str> {
    let mut lexer = Lexer::new(sql, Grammar::of(dialect));
    std::iter::from_fn(move || {
        while let Ok(Some(token)) = lexer.next_token() {
            if token.kind == Kind::Word {
                return Some(lexer.text(token));
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::words;
    use crate::dialect::Dialect::{self, MySql, Postgres};

    #[track_caller]
    fn check(dialect: Dialect, sql: &str, expected: &[&str]) {
        assert_eq!(words(dialect, sql).collect::<Vec<_>>(), expected, "{sql}");
    }

    #[test]
    fn comments_literals_and_quoted_names_hold_no_words() {
        check(
            Postgres,
            " -- BEGIN\n /* /* x */ */ (SELECT 'a b', \"c d\" || $$e$$ FROM t)",
            &["SELECT", "FROM", "t"],
        );
        check(MySql, "/*!50100 BEGIN */ # x", &["BEGIN"]);
        check(Postgres, "-- only a comment", &[]);
        check(Postgres, "SELECT a, 'never ends", &["SELECT", "a"]);
    }
}
