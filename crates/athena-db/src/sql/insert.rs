//! The shape of an `INSERT INTO t (a, b) VALUES (:a, :b) …`, which may travel with many rows at once.

use std::ops::Range;

use super::lexer::{Grammar, Kind, Lexer, Token};
use crate::dialect::Dialect;

/// Where the parts of an `INSERT` of one row stand in its rewritten text.
///
/// Only such statements have one that mean the same when many rows are inserted by one of them:
/// every value is a parameter, a literal or a word like `CURRENT_TIMESTAMP`, cast at most, and no
/// parameter stands behind the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InsertShape {
    /// The table as it was written, with its schema.
    pub(crate) table: Range<usize>,
    /// The columns as they were written, without the parentheses; absent if none are named.
    pub(crate) columns: Option<Range<usize>>,
    /// From `VALUES` to the end of the row.
    pub(crate) values: Range<usize>,
    /// What stands between the parentheses of the row.
    pub(crate) row: Range<usize>,
    /// The placeholders in the row, in their order.
    pub(crate) placeholders: Vec<Range<usize>>,
    /// Whether the row holds nothing but placeholders.
    pub(crate) plain: bool,
    pub(crate) conflict: Conflict,
    /// Whether the statement returns rows.
    pub(crate) returning: bool,
}

/// What an `INSERT` does about rows that exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// It fails.
    Fail,
    /// It leaves them alone: `ON CONFLICT … DO NOTHING`.
    Ignore,
    /// It changes them: `ON CONFLICT … DO UPDATE`, `ON DUPLICATE KEY UPDATE`.
    Update,
}

impl InsertShape {
    /// Returns the shape of a rewritten statement, if it has one.
    pub(crate) fn of(dialect: Dialect, text: &str) -> Option<Self> {
        Reader::new(dialect, text)?.read()
    }

    /// Returns what stands behind the row: `ON CONFLICT …`, `RETURNING …`, blanks, a semicolon.
    pub(crate) fn tail<'a>(&self, text: &'a str) -> &'a str {
        text[self.values.end..].trim_end_matches(|c: char| c == ';' || c.is_whitespace())
    }
}

/// A statement as a list of tokens, read from left to right.
struct Reader<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    next: usize,
}

impl<'a> Reader<'a> {
    fn new(dialect: Dialect, text: &'a str) -> Option<Self> {
        let mut lexer = Lexer::new(text, Grammar::of(dialect));
        let mut tokens = Vec::new();
        while let Some(token) = lexer.next_token().ok()? {
            tokens.push(token);
        }
        while tokens
            .last()
            .is_some_and(|last| text[last.start..last.end] == *";")
        {
            tokens.pop();
        }
        Some(Self {
            text,
            tokens,
            next: 0,
        })
    }

    fn read(mut self) -> Option<InsertShape> {
        self.word("INSERT")?;
        self.word("INTO")?;
        let table = self.table()?;
        let columns = match self.peek()? {
            token if self.is(token, "(") => Some(self.parenthesised()?),
            _ => None,
        };
        let start = self.word("VALUES")?.start;
        let row = self.parenthesised()?;
        let values = start..self.tokens[self.next - 1].end;
        let inside: Vec<Token> = self.between(&row).collect();
        if inside.iter().any(|token| self.is(*token, "DEFAULT")) {
            return None;
        }
        let placeholders: Vec<_> = inside
            .iter()
            .filter(|token| token.kind == Kind::Positional)
            .map(|token| token.start..token.end)
            .collect();
        let plain = inside
            .iter()
            .all(|token| token.kind == Kind::Positional || self.is(*token, ","));
        let (conflict, returning) = self.tail()?;
        let shape = InsertShape {
            table,
            columns,
            values,
            row,
            placeholders,
            plain,
            conflict,
            returning,
        };
        (!shape.placeholders.is_empty()).then_some(shape)
    }

    fn table(&mut self) -> Option<Range<usize>> {
        let first = self.name()?;
        let mut end = first.end;
        while self.peek().is_some_and(|token| self.is(token, ".")) {
            self.next += 1;
            end = self.name()?.end;
        }
        Some(first.start..end)
    }

    /// Reads `( … )` without parentheses inside, and returns what stands between.
    fn parenthesised(&mut self) -> Option<Range<usize>> {
        let open = self.take()?;
        if !self.is(open, "(") {
            return None;
        }
        loop {
            let token = self.take()?;
            if self.is(token, ")") {
                return Some(open.end..token.start);
            }
            if self.is(token, "(") {
                return None;
            }
        }
    }

    /// Reads what stands behind the row; a parameter or another row there has no shape.
    fn tail(&mut self) -> Option<(Conflict, bool)> {
        let rest = &self.tokens[self.next..];
        let has = |word| rest.iter().any(|token| self.is(*token, word));
        if rest.iter().any(|token| token.kind == Kind::Positional) {
            return None;
        }
        let Some(first) = rest.first() else {
            return Some((Conflict::Fail, false));
        };
        if self.is(*first, "RETURNING") {
            return Some((Conflict::Fail, true));
        }
        let conflict = if has("UPDATE") {
            Conflict::Update
        } else {
            Conflict::Ignore
        };
        self.is(*first, "ON")
            .then_some((conflict, has("RETURNING")))
    }

    fn name(&mut self) -> Option<Token> {
        let token = self.take()?;
        matches!(token.kind, Kind::Word | Kind::Name).then_some(token)
    }

    fn word(&mut self, word: &str) -> Option<Token> {
        let token = self.take()?;
        self.is(token, word).then_some(token)
    }

    fn between(&self, range: &Range<usize>) -> impl Iterator<Item = Token> {
        let range = range.clone();
        self.tokens
            .iter()
            .copied()
            .filter(move |token| token.start >= range.start && token.end <= range.end)
    }

    fn is(&self, token: Token, text: &str) -> bool {
        matches!(token.kind, Kind::Word | Kind::Symbol)
            && self.text[token.start..token.end].eq_ignore_ascii_case(text)
    }

    fn peek(&self) -> Option<Token> {
        self.tokens.get(self.next).copied()
    }

    fn take(&mut self) -> Option<Token> {
        let token = self.peek()?;
        self.next += 1;
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::rewrite;

    #[track_caller]
    fn shape(dialect: Dialect, sql: &str) -> (InsertShape, String) {
        let text = rewrite(dialect, sql).unwrap().text;
        (InsertShape::of(dialect, &text).unwrap(), text)
    }

    #[track_caller]
    fn check_none(sql: &str) {
        for dialect in [Dialect::Postgres, Dialect::MySql] {
            let text = rewrite(dialect, sql).unwrap().text;
            assert_eq!(InsertShape::of(dialect, &text), None, "{sql}");
        }
    }

    #[test]
    fn the_parts_are_found() {
        let sql = "insert /* x */ INTO \"s\".t (a, \"b c\")\nVALUES (:a, :b) ON CONFLICT (a) DO NOTHING ;";
        let (shape, text) = shape(Dialect::Postgres, sql);
        assert_eq!(&text[shape.table.clone()], "\"s\".t");
        assert_eq!(&text[shape.columns.clone().unwrap()], "a, \"b c\"");
        assert_eq!(&text[shape.values.clone()], "VALUES ($1, $2)");
        assert_eq!(&text[shape.row.clone()], "$1, $2");
        assert_eq!(shape.tail(&text), " ON CONFLICT (a) DO NOTHING");
        assert_eq!(shape.placeholders.len(), 2);
        assert_eq!((shape.conflict, shape.returning), (Conflict::Ignore, false));
        assert!(shape.plain);
    }

    #[test]
    fn literals_casts_and_words_may_stand_in_the_row() {
        let (shape, _) = shape(
            Dialect::Postgres,
            "INSERT INTO t VALUES (:a::jsonb, 'x', CURRENT_TIMESTAMP, -1, :a) RETURNING id",
        );
        assert_eq!((shape.columns, shape.plain), (None, false));
        assert_eq!((shape.conflict, shape.returning), (Conflict::Fail, true));
        assert_eq!(shape.placeholders.len(), 2);
    }

    #[test]
    fn updates_of_existing_rows_are_told_apart() {
        for (dialect, sql) in [
            (
                Dialect::Postgres,
                "INSERT INTO t (a) VALUES (:a) ON CONFLICT (a) DO UPDATE SET a = excluded.a RETURNING a",
            ),
            (
                Dialect::MySql,
                "INSERT INTO t (a) VALUES (:a) ON DUPLICATE KEY UPDATE a = VALUES(a)",
            ),
        ] {
            assert_eq!(shape(dialect, sql).0.conflict, Conflict::Update);
        }
    }

    #[test]
    fn what_would_mean_something_else_in_bulk_has_no_shape() {
        check_none("INSERT INTO t (a) VALUES ((SELECT max(a) FROM t) + :a)");
        check_none("INSERT INTO t (a) VALUES (f(:a))");
        check_none("INSERT INTO t (a, b) VALUES (:a, DEFAULT)");
        check_none("INSERT INTO t (a) VALUES (:a), (:b)");
        check_none("INSERT INTO t (a) VALUES (1)");
        check_none("INSERT INTO t (a) SELECT :a");
        check_none("WITH x AS (SELECT 1) INSERT INTO t (a) VALUES (:a)");
        check_none("INSERT INTO t (a) VALUES (:a) ON CONFLICT (a) DO UPDATE SET a = :b");
        check_none("UPDATE t SET a = :a");
        check_none("INSERT INTO t (a) VALUES (:a");
    }
}
