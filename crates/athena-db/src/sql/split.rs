//! Takes a script apart at its semicolons, for a database that must be given one statement at a time.

use super::SqlError;
use super::lexer::{Grammar, Kind, Lexer, Token};
use crate::dialect::Dialect;

/// Splits a script in a dialect's own SQL into its statements, without their semicolons.
///
/// A semicolon inside the body of a trigger, procedure, function or event ends nothing.
///
/// # Errors
///
/// A literal, a quoted name or a comment without end.
pub(crate) fn split(dialect: Dialect, script: &str) -> Result<Vec<String>, SqlError> {
    let mut lexer = Lexer::new(script, Grammar::of(dialect));
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next_token()? {
        tokens.push(token);
    }
    let mut statements = Vec::new();
    let mut rest = &tokens[..];
    while !rest.is_empty() {
        let length = statement_length(script, rest);
        if let (Some(first), Some(last)) = (rest.first(), rest[..length].last()) {
            statements.push(script[first.start..last.end].to_owned());
        }
        rest = rest.get(length + 1..).unwrap_or_default();
    }
    Ok(statements
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect())
}

/// Tells whether a statement changes rows, so that a transaction can undo it.
pub(crate) fn changes_rows(dialect: Dialect, statement: &str) -> bool {
    let mut lexer = Lexer::new(statement, Grammar::of(dialect));
    let first = lexer.next_token().ok().flatten();
    first.is_some_and(|token| {
        let word = lexer.text(token).to_ascii_uppercase();
        matches!(
            word.as_str(),
            "INSERT" | "UPDATE" | "DELETE" | "REPLACE" | "WITH"
        )
    })
}

/// Returns the number of tokens before the semicolon that ends the first statement.
fn statement_length(script: &str, tokens: &[Token]) -> usize {
    let word = |at: usize| -> Option<String> {
        let token = tokens.get(at).filter(|token| token.kind == Kind::Word)?;
        Some(script[token.start..token.end].to_ascii_uppercase())
    };
    let mut has_body = false;
    let mut depth = 0_usize;
    for at in 0..tokens.len() {
        match word(at).as_deref() {
            Some("TRIGGER" | "PROCEDURE" | "FUNCTION" | "EVENT") if creates(&word, at) => {
                has_body = true;
            }
            Some("BEGIN" | "CASE") if has_body && !ends(&word, at) => depth += 1,
            Some("END") if has_body && !closes_a_loop(&word, at) => {
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
        if depth == 0 && &script[tokens[at].start..tokens[at].end] == ";" {
            return at;
        }
    }
    tokens.len()
}

fn creates(word: &impl Fn(usize) -> Option<String>, at: usize) -> bool {
    word(0).as_deref() == Some("CREATE") && at > 0
}

/// `END CASE` ends, it does not begin.
fn ends(word: &impl Fn(usize) -> Option<String>, at: usize) -> bool {
    at > 0 && word(at - 1).as_deref() == Some("END")
}

/// What these close was not counted when it was opened.
fn closes_a_loop(word: &impl Fn(usize) -> Option<String>, at: usize) -> bool {
    matches!(
        word(at + 1).as_deref(),
        Some("IF" | "LOOP" | "WHILE" | "REPEAT")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(script: &str, expected: &[&str]) {
        assert_eq!(split(Dialect::MySql, script).unwrap(), expected);
    }

    #[test]
    fn semicolons_outside_literals_end_statements() {
        check("", &[]);
        check(" ; ;; -- nothing\n", &[]);
        check(
            "SELECT ';' -- ;\n; SELECT `;`",
            &["SELECT ';'", "SELECT `;`"],
        );
        check(
            "/* ; */ CREATE TABLE t (a INT);\n",
            &["CREATE TABLE t (a INT)"],
        );
    }

    #[test]
    fn bodies_stay_whole() {
        let body = "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW BEGIN IF new.x IS NULL THEN SET new.x = CASE WHEN 1 THEN 2 END; END IF; CASE new.y WHEN 1 THEN BEGIN END; END CASE; END";
        check(&format!("{body}; SELECT 1"), &[body, "SELECT 1"]);
        check(
            "CREATE TABLE begin_ (a INT); BEGIN; COMMIT",
            &["CREATE TABLE begin_ (a INT)", "BEGIN", "COMMIT"],
        );
    }

    #[test]
    fn data_is_told_from_definitions() {
        assert!(changes_rows(
            Dialect::MySql,
            "-- why\n insert INTO t VALUES (1)"
        ));
        assert!(!changes_rows(Dialect::MySql, "CREATE TABLE t (a INT)"));
        assert!(!changes_rows(Dialect::MySql, ""));
    }
}
