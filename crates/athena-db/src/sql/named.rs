//! Named parameters: `:name` becomes what the driver of a dialect understands.
//!
//! A name starts with a letter or `_` and goes on with letters, digits and `_`, as far as it can. Literals,
//! quoted names and comments are left alone, `::` is a cast and `:=` an assignment. Between the bounds of a
//! PostgreSQL slice a colon that touches the bound before it separates, as in `a[1:n]`; a bound that is itself a
//! parameter has a colon of its own, as in `a[:lo : :hi]`. `IN :ids` and `IN (:ids)`
//! bind a list as one parameter, so that one statement serves every length:
//!
//! | | `:name` | `x IN :ids` | `x NOT IN (:ids)` |
//! |---|---|---|---|
//! | PostgreSQL | `$1` | `x = ANY ($1)` | `x <> ALL ($1)` |
//! | SQLite | `?1` | `x IN (SELECT value FROM json_each(?1))` | `x NOT IN (SELECT ..)` |
//! | MySQL | `?` | `x IN (?)`, to be expanded | `x NOT IN (?)` |
//!
//! On PostgreSQL `IN` thereby takes the precedence of `=`: write parentheses where a comparison stands beside
//! it, as in `(a IN :ids) = :b`.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::SqlError;
use super::lexer::{Grammar, Kind, Lexer, Token, continues_name};
use super::source_map::SourceMap;
use crate::dialect::Dialect;

#[cfg(test)]
mod tests;

/// A statement with placeholders in the syntax of its dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// The text for the driver.
    pub text: String,
    /// What to bind, in the order of the placeholders' numbers.
    pub slots: Vec<Slot>,
    /// Where the text differs from its source.
    pub map: SourceMap,
}

/// A value that a statement wants.
///
/// A name that stands both for a list and for a single value has one slot for each.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The name without its colon.
    pub name: String,
    /// Whether the text around it was rewritten for a list: an array on PostgreSQL, a JSON array on SQLite,
    /// on MySQL a `?` to be repeated (see [`expand_lists`](super::expand_lists)).
    pub list: bool,
    /// The byte of the rewritten text at which its first placeholder starts; on MySQL there is no other.
    pub at: usize,
}

/// Replaces the named parameters of a statement by placeholders of the dialect.
///
/// A repeated name gets the same slot on PostgreSQL and SQLite; MySQL has only nameless placeholders, so there
/// every occurrence has its own slot. Text outside parameters comes back byte by byte; the only exception is a
/// space where a PostgreSQL placeholder would otherwise grow together with the word before it.
///
/// # Errors
///
/// A literal or comment without end, a NUL byte, positional parameters (`?` outside PostgreSQL; `$1` beside
/// names, while a statement like `PREPARE` may hold it), `::` outside PostgreSQL, and parameter syntax of the
/// engine itself (`@x`, `:1` on SQLite) that would be bound to NULL unseen.
pub fn rewrite(dialect: Dialect, sql: &str) -> Result<Rewritten, SqlError> {
    if let Some(offset) = sql.find('\0') {
        return Err(SqlError::at(sql, offset, "SQL text cannot hold a NUL byte"));
    }
    let mut rewriter = Rewriter::new(dialect, sql);
    while let Some(token) = rewriter.lexer.next_token()? {
        rewriter.take(token)?;
    }
    rewriter.finish()
}

struct Rewriter<'a> {
    dialect: Dialect,
    source: &'a str,
    lexer: Lexer<'a>,
    text: String,
    /// How much of the source is in `text` already.
    copied: usize,
    map: SourceMap,
    slots: Vec<Slot>,
    /// The number of each (name, list) that was seen; unused where placeholders have no numbers.
    numbers: BTreeMap<(&'a str, bool), usize>,
    previous: Option<Token>,
    brackets: Vec<Bracket>,
    /// The first `$1` of a PostgreSQL statement.
    positional: Option<Token>,
}

/// An open bracket, by what the text in it may mean.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bracket {
    /// A parenthesis like any other.
    Round,
    /// `POSITION(a IN b)`, whose `IN` takes no list.
    Position,
    /// `a[1:n]` and `JSON_OBJECT(k:v)` on PostgreSQL, where a colon separates.
    Colons,
}

/// A list parameter found behind `IN`.
struct List {
    parameter: Token,
    parenthesised: bool,
    /// Where the lexer goes on.
    end: usize,
}

impl<'a> Rewriter<'a> {
    fn new(dialect: Dialect, source: &'a str) -> Self {
        Self {
            dialect,
            source,
            lexer: Lexer::new(source, Grammar::of(dialect)),
            text: String::with_capacity(source.len() + 16),
            copied: 0,
            map: SourceMap::default(),
            slots: Vec::new(),
            numbers: BTreeMap::new(),
            previous: None,
            brackets: Vec::new(),
            positional: None,
        }
    }

    fn finish(mut self) -> Result<Rewritten, SqlError> {
        self.copy_until(self.source.len());
        match self.positional {
            Some(token) if !self.slots.is_empty() => Err(self.not_named(token)),
            _ => Ok(Rewritten {
                text: self.text,
                slots: self.slots,
                map: self.map,
            }),
        }
    }

    fn take(&mut self, mut token: Token) -> Result<(), SqlError> {
        match token.kind {
            Kind::Parameter if self.is_separator(token) => {
                token.kind = Kind::Symbol;
                token.end = token.start + 1;
                self.lexer.skip_to(token.end);
            }
            Kind::Parameter => self.parameter(token)?,
            Kind::Positional => self.positional(token)?,
            Kind::Word if self.is_word(token, "IN") => self.take_in(token)?,
            Kind::Symbol => self.symbol(token)?,
            Kind::Word | Kind::Number | Kind::Text | Kind::Name => {}
        }
        self.previous = Some(token);
        Ok(())
    }

    fn symbol(&mut self, token: Token) -> Result<(), SqlError> {
        match &self.source.as_bytes()[token.start..token.end] {
            b"(" => self.brackets.push(self.parenthesis()),
            b"[" => self.brackets.push(Bracket::Colons),
            b")" | b"]" => {
                self.brackets.pop();
            }
            b"::" if self.dialect != Dialect::Postgres => {
                let message = format!(
                    "`::` is a cast only on PostgreSQL, not on {}; write CAST(x AS type)",
                    self.dialect
                );
                return Err(self.error(token, message));
            }
            _ => {}
        }
        Ok(())
    }

    /// Tells what the parenthesis behind the previous word is for.
    fn parenthesis(&self) -> Bracket {
        let follows = |word| self.previous.is_some_and(|token| self.is_word(token, word));
        if follows("POSITION") {
            Bracket::Position
        } else if self.dialect == Dialect::Postgres
            && (follows("JSON_OBJECT") || follows("JSON_OBJECTAGG"))
        {
            Bracket::Colons
        } else {
            Bracket::Round
        }
    }

    /// Tells whether the colon of what looks like a parameter stands between two expressions: as in `a[1:n]`,
    /// `a[:f(x)]`, `a[1 :NULL]` and `JSON_OBJECT(k:v)`, none of which would make sense with a parameter.
    fn is_separator(&self, token: Token) -> bool {
        if self.dialect != Dialect::Postgres || self.brackets.last() != Some(&Bracket::Colons) {
            return false;
        }
        let before = self.previous.filter(|before| before.end == token.start);
        self.source[token.end..].starts_with('(')
            || self.lexer.text(token).eq_ignore_ascii_case(":null")
            || before.is_some_and(|before| self.ends_operand(before))
    }

    fn ends_operand(&self, token: Token) -> bool {
        match token.kind {
            Kind::Symbol => matches!(self.lexer.text(token), ")" | "]"),
            _ => true,
        }
    }

    fn take_in(&mut self, word: Token) -> Result<(), SqlError> {
        if self.brackets.last() == Some(&Bracket::Position) {
            return Ok(());
        }
        let Some(list) = self.list_behind()? else {
            return Ok(());
        };
        if self.dialect == Dialect::Postgres {
            self.write_any_or_all(word);
        }
        self.list_parameter(&list)?;
        self.lexer.skip_to(list.end);
        Ok(())
    }

    /// Looks ahead for `:ids` or `(:ids)`.
    fn list_behind(&self) -> Result<Option<List>, SqlError> {
        let mut ahead = self.lexer.clone();
        let Some(first) = ahead.next_token()? else {
            return Ok(None);
        };
        if first.kind == Kind::Parameter {
            return Ok(Some(List {
                parameter: first,
                parenthesised: false,
                end: first.end,
            }));
        }
        if self.lexer.text(first) != "(" {
            return Ok(None);
        }
        let (Some(parameter), Some(close)) = (ahead.next_token()?, ahead.next_token()?) else {
            return Ok(None);
        };
        let is_list = parameter.kind == Kind::Parameter && self.lexer.text(close) == ")";
        Ok(is_list.then_some(List {
            parameter,
            parenthesised: true,
            end: close.end,
        }))
    }

    /// Writes `= ANY` for `IN` and `<> ALL` for `NOT IN`, keeping what stands between the words.
    fn write_any_or_all(&mut self, word: Token) {
        match self.previous.filter(|&not| self.is_word(not, "NOT")) {
            Some(not) => {
                self.replace(not, |text| text.push_str("<>"));
                self.replace(word, |text| text.push_str("ALL"));
            }
            None => self.replace(word, |text| text.push_str("= ANY")),
        }
    }

    fn list_parameter(&mut self, list: &List) -> Result<(), SqlError> {
        let (open, close) = match (self.dialect, list.parenthesised) {
            (Dialect::Sqlite, true) => ("SELECT value FROM json_each(", ")"),
            (Dialect::Sqlite, false) => ("(SELECT value FROM json_each(", "))"),
            (Dialect::Postgres | Dialect::MySql, true) => ("", ""),
            (Dialect::Postgres | Dialect::MySql, false) => ("(", ")"),
        };
        self.bind(list.parameter, true, open, close)?;
        self.copy_until(list.end);
        Ok(())
    }

    fn parameter(&mut self, token: Token) -> Result<(), SqlError> {
        let before = self.source[..token.start].bytes().last();
        let grows_together =
            self.dialect == Dialect::Postgres && before.is_some_and(continues_name);
        self.bind(token, false, if grows_together { " " } else { "" }, "")
    }

    /// Writes a placeholder for a parameter, between two pieces of text.
    fn bind(&mut self, token: Token, list: bool, open: &str, close: &str) -> Result<(), SqlError> {
        self.check_name(token)?;
        self.copy_until(token.start);
        let number = self.slot(token, list, self.text.len() + open.len());
        let dialect = self.dialect;
        self.replace(token, |text| {
            text.push_str(open);
            write_placeholder(text, dialect, number);
            text.push_str(close);
        });
        Ok(())
    }

    /// Refuses what would be read differently from how it looks.
    fn check_name(&self, token: Token) -> Result<(), SqlError> {
        if self.source[token.end..].starts_with('$') {
            let message = format!(
                "the parameter `{}` is followed by `$`; names hold letters, digits and `_`",
                self.lexer.text(token)
            );
            return Err(self.error(token, message));
        }
        if self.source[..token.start].ends_with('\\') {
            let message = "a backslash does not escape a colon; `:name` is always a parameter outside literals";
            return Err(self.error(token, message));
        }
        Ok(())
    }

    /// Returns the slot number, from 1, of a parameter whose placeholder will stand `at` this byte.
    fn slot(&mut self, token: Token, list: bool, at: usize) -> usize {
        let name = &self.source[token.start + 1..token.end];
        let next = self.slots.len() + 1;
        let number = match self.dialect {
            Dialect::MySql => next,
            Dialect::Sqlite | Dialect::Postgres => {
                *self.numbers.entry((name, list)).or_insert(next)
            }
        };
        if number == next {
            self.slots.push(Slot {
                name: name.to_owned(),
                list,
                at,
            });
        }
        number
    }

    /// Lets something else be written for a token, and notes where.
    fn replace(&mut self, token: Token, write: impl FnOnce(&mut String)) {
        self.copy_until(token.start);
        let start = self.text.len();
        write(&mut self.text);
        self.map
            .note(token.start..token.end, start..self.text.len());
        self.copied = token.end;
    }

    fn copy_until(&mut self, end: usize) {
        self.text.push_str(&self.source[self.copied..end]);
        self.copied = end;
    }

    fn is_word(&self, token: Token, word: &str) -> bool {
        token.kind == Kind::Word
            && token.end - token.start == word.len()
            && self.lexer.text(token).eq_ignore_ascii_case(word)
    }

    /// Lets `$1` stand in a statement of PostgreSQL without names, such as `PREPARE`; refuses all other
    /// parameters that are not named.
    fn positional(&mut self, token: Token) -> Result<(), SqlError> {
        let numbered = self.source[token.start + 1..].starts_with(|c: char| c.is_ascii_digit());
        if self.dialect != Dialect::Postgres || !numbered {
            return Err(self.not_named(token));
        }
        self.positional.get_or_insert(token);
        Ok(())
    }

    fn not_named(&self, token: Token) -> SqlError {
        let message = format!(
            "`{}` is parameter syntax of the engine; Athena takes only `:name`, starting with a letter or `_`",
            self.lexer.text(token)
        );
        self.error(token, message)
    }

    fn error(&self, token: Token, message: impl Into<String>) -> SqlError {
        SqlError::at(self.source, token.start, message)
    }
}

fn write_placeholder(text: &mut String, dialect: Dialect, number: usize) {
    match dialect {
        Dialect::Sqlite => text.push('?'),
        Dialect::Postgres => text.push('$'),
        Dialect::MySql => return text.push('?'),
    }
    let written = match u8::try_from(number) {
        Ok(digit @ 0..=9) => text.write_char(char::from(b'0' + digit)),
        _ => write!(text, "{number}"),
    };
    debug_assert!(written.is_ok(), "writing to a string cannot fail");
}
