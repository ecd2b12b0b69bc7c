//! Named parameters: `:name` becomes what the driver of a dialect understands.
//!
//! A name starts with a letter or `_` and goes on with letters, digits and `_`, as far as it can. Literals,
//! quoted names and comments are left alone, `::` is a cast and `:=` an assignment. `IN :ids` and `IN (:ids)`
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

use std::collections::HashMap;
use std::fmt::Write;

use super::SqlError;
use super::lexer::{Grammar, Kind, Lexer, Token, continues_name};
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
}

/// A value that a statement wants.
///
/// A name that stands both for a list and for a single value has one slot for each.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The name without its colon.
    pub name: String,
    /// Whether the text around it was rewritten for a list: an array on PostgreSQL, a JSON array on SQLite,
    /// on MySQL a `?` to be repeated.
    pub list: bool,
}

/// Replaces the named parameters of a statement by placeholders of the dialect.
///
/// A repeated name gets the same slot on PostgreSQL and SQLite; MySQL has only nameless placeholders, so there
/// every occurrence has its own slot. Text outside parameters comes back byte by byte; the only exception is a
/// space where a PostgreSQL placeholder would otherwise grow together with the word before it.
///
/// # Errors
///
/// A literal or comment without end, a NUL byte, positional parameters (`?` outside PostgreSQL, `$1`), `::`
/// outside PostgreSQL, and parameter syntax of the engine itself (`@x`, `:1` on SQLite) that would be bound to
/// NULL unseen.
pub fn rewrite(dialect: Dialect, sql: &str) -> Result<Rewritten, SqlError> {
    if let Some(offset) = sql.bytes().position(|byte| byte == 0) {
        return Err(SqlError::at(sql, offset, "SQL text cannot hold a NUL byte"));
    }
    let mut rewriter = Rewriter::new(dialect, sql);
    while let Some(token) = rewriter.lexer.next_token()? {
        rewriter.take(token)?;
    }
    rewriter.copy_until(sql.len());
    Ok(Rewritten {
        text: rewriter.text,
        slots: rewriter.slots,
    })
}

struct Rewriter<'a> {
    dialect: Dialect,
    source: &'a str,
    lexer: Lexer<'a>,
    text: String,
    /// How much of the source is in `text` already.
    copied: usize,
    slots: Vec<Slot>,
    /// The number of each (name, list) that was seen; unused where placeholders have no numbers.
    numbers: HashMap<(&'a str, bool), usize>,
    previous: Option<Token>,
    /// For each open parenthesis: whether it belongs to `POSITION(a IN b)`, whose `IN` takes no list.
    parentheses: Vec<bool>,
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
            slots: Vec::new(),
            numbers: HashMap::new(),
            previous: None,
            parentheses: Vec::new(),
        }
    }

    fn take(&mut self, token: Token) -> Result<(), SqlError> {
        match token.kind {
            Kind::Parameter => self.parameter(token)?,
            Kind::Positional => return Err(self.positional(token)),
            Kind::Word if self.is_word(token, "IN") => self.take_in(token)?,
            Kind::Symbol => self.symbol(token)?,
            Kind::Word | Kind::Number | Kind::Text | Kind::Name => {}
        }
        self.previous = Some(token);
        Ok(())
    }

    fn symbol(&mut self, token: Token) -> Result<(), SqlError> {
        match self.lexer.text(token) {
            "(" => {
                let position = self
                    .previous
                    .is_some_and(|word| self.is_word(word, "POSITION"));
                self.parentheses.push(position);
            }
            ")" => {
                self.parentheses.pop();
            }
            "::" if self.dialect != Dialect::Postgres => {
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

    fn take_in(&mut self, word: Token) -> Result<(), SqlError> {
        if self.parentheses.last() == Some(&true) {
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
                self.replace(not, "<>");
                self.replace(word, "ALL");
            }
            None => self.replace(word, "= ANY"),
        }
    }

    fn list_parameter(&mut self, list: &List) -> Result<(), SqlError> {
        self.check_name(list.parameter)?;
        let number = self.slot(list.parameter, true);
        self.copy_until(list.parameter.start);
        self.copied = list.parameter.end;
        let (open, close) = if list.parenthesised {
            ("", "")
        } else {
            ("(", ")")
        };
        self.text.push_str(open);
        match self.dialect {
            Dialect::Sqlite => {
                self.text.push_str("SELECT value FROM json_each(");
                self.placeholder(number);
                self.text.push(')');
            }
            Dialect::Postgres | Dialect::MySql => self.placeholder(number),
        }
        self.text.push_str(close);
        self.copy_until(list.end);
        Ok(())
    }

    fn parameter(&mut self, token: Token) -> Result<(), SqlError> {
        self.check_name(token)?;
        let number = self.slot(token, false);
        self.copy_until(token.start);
        self.copied = token.end;
        if self.dialect == Dialect::Postgres && self.text.bytes().last().is_some_and(continues_name)
        {
            self.text.push(' ');
        }
        self.placeholder(number);
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

    /// Returns the slot number of a parameter, from 1.
    fn slot(&mut self, token: Token, list: bool) -> usize {
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
            });
        }
        number
    }

    fn placeholder(&mut self, number: usize) {
        let written = match self.dialect {
            Dialect::Sqlite => write!(self.text, "?{number}"),
            Dialect::Postgres => write!(self.text, "${number}"),
            Dialect::MySql => self.text.write_char('?'),
        };
        debug_assert!(written.is_ok(), "writing to a string cannot fail");
    }

    fn replace(&mut self, token: Token, by: &str) {
        self.copy_until(token.start);
        self.text.push_str(by);
        self.copied = token.end;
    }

    fn copy_until(&mut self, end: usize) {
        self.text.push_str(&self.source[self.copied..end]);
        self.copied = end;
    }

    fn is_word(&self, token: Token, word: &str) -> bool {
        token.kind == Kind::Word && self.lexer.text(token).eq_ignore_ascii_case(word)
    }

    fn positional(&self, token: Token) -> SqlError {
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
