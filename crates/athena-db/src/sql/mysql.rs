//! Single statements of the portable form, as MySQL wants them.
//!
//! | portable | MySQL |
//! |---|---|
//! | `ON CONFLICT (..) DO UPDATE SET a = excluded.a` | `ON DUPLICATE KEY UPDATE a = VALUES(a)` |
//! | `ON CONFLICT (..) DO NOTHING` | the insert alone (the duplicate is forgiven), or a change of nothing |
//! | `UPDATE .. RETURNING ..`, `WITH .. UPDATE ..`, `WITH .. DELETE ..` | by the keys of the rows, in steps |
//! | `WITH .. INSERT .. SELECT ..` | `INSERT .. WITH .. SELECT ..` |
//! | `DELETE FROM t AS x ..` | `DELETE x FROM t AS x ..` |
//! | `INSERT INTO t DEFAULT VALUES` | `INSERT INTO t () VALUES ()` |
//! | `a IS DISTINCT FROM b`, `a IS NOT DISTINCT FROM b` | `a <=> b = 0`, `a <=> b` |
//! | `CAST(a AS TEXT)` and other types | `CAST(a AS CHAR)` … |
//! | `ORDER BY a NULLS LAST` | `ORDER BY (a) IS NULL, a` |
//! | `CURRENT_TIMESTAMP` | `CURRENT_TIMESTAMP(6)` |
//! | `LENGTH(a)`, which counts characters | `CHAR_LENGTH(a)` |
//!
//! Everything happens on tokens and on the text with its `:name` parameters. What has no counterpart is
//! refused by name; what is not looked for passes, and the server judges it. Two things that MySQL does
//! differently cannot be seen in the text and stay: `7 / 2` is 3.5, and `DO UPDATE` takes a conflict with any
//! unique key of the table.

use std::ops::Range;

use super::SqlError;
use super::lexer::{Grammar, Kind, Lexer, Token};
use super::source_map::SourceMap;
use crate::dialect::Dialect;

#[cfg(test)]
mod tests;

/// A statement for MySQL, still with its `:name` parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    /// The text; of a [`Form::Keyed`] one only its parameters matter.
    pub(crate) text: String,
    /// How it is run.
    pub(crate) form: Form,
    /// The table that it writes to, without quotes.
    pub(crate) table: Option<String>,
    /// What was changed, step by step.
    pub(crate) maps: Vec<SourceMap>,
}

/// How a statement is run, and what its count of rows means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it stands.
    Plain,
    /// An insert of one row; a duplicate of these columns (or any, if none are named) inserts nothing.
    InsertOrSkip(Vec<String>),
    /// An insert that leaves duplicates as they are; only those inserted count.
    Skip,
    /// An insert that changes duplicates; every row counts once.
    Upsert,
    /// In steps: finds and locks rows, changes them by their keys, and reads them.
    Keyed(Box<Keyed>),
}

/// The parts of a statement that is run by the keys of its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keyed {
    /// `WITH ..`, or nothing.
    pub(crate) with: String,
    /// The table as written, with its alias.
    pub(crate) table: String,
    /// What names the table in front of a column: its alias or itself.
    pub(crate) name: String,
    /// `SET ..`; of a `DELETE` nothing.
    pub(crate) set: Option<String>,
    /// The columns that `SET` assigns, without quotes.
    pub(crate) assigned: Vec<String>,
    /// `WHERE .. ORDER BY .. LIMIT ..`, or nothing.
    pub(crate) filter: String,
    /// What comes behind `RETURNING`.
    pub(crate) returning: Option<String>,
}

impl Statement {
    /// A statement that needs no translation.
    pub(crate) fn plain(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            form: Form::Plain,
            table: None,
            maps: Vec::new(),
        }
    }
}

/// Why a statement is not translated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is no SQL.
    Text(SqlError),
    /// MySQL has nothing like it; the message names it.
    NoCounterpart(SqlError),
}

impl From<SqlError> for Refusal {
    fn from(error: SqlError) -> Self {
        Self::Text(error)
    }
}

/// Translates a statement.
///
/// # Errors
///
/// A literal or comment without end, and what has no counterpart on MySQL.
pub(crate) fn translate_statement(sql: &str) -> Result<Statement, Refusal> {
    let (sql, colons) = hide_colons(sql)?.apply(sql);
    let (sql, expressions) = translate_expressions(&sql)?.apply(&sql);
    let (sql, nulls) = order_nulls(&sql)?.apply(&sql);
    let mut statement = Parts::read(&sql)?.statement()?;
    statement.maps.splice(0..0, [colons, expressions, nulls]);
    Ok(statement)
}

/// Takes a statement that was written for MySQL.
///
/// # Errors
///
/// A literal or comment without end.
pub(crate) fn native_statement(sql: &str) -> Result<Statement, Refusal> {
    let (text, colons) = hide_colons(sql)?.apply(sql);
    let table = Parts::read(&text)?.target();
    Ok(Statement {
        text,
        form: Form::Plain,
        table,
        maps: vec![colons],
    })
}

/// Sees to it that the driver finds no `:x` in a literal, a comment or a quoted name.
///
/// The driver looks for parameters of its own by rules that are not the server's: to it, a backslash before
/// a quote hides the quote. A literal is split behind the colon, MySQL joins neighbours; a comment is dropped.
/// A name cannot be split; for its sake the driver is made to believe that all is one comment.
fn hide_colons(sql: &str) -> Result<Edits, Refusal> {
    let parts = Parts::read(sql)?;
    let named =
        |token: &Token| token.kind == Kind::Name && holds_parameter(&sql[token.start..token.end]);
    let asleep = parts.tokens.iter().any(named);
    let mut edits = Edits::default();
    if asleep {
        edits.insert(0, SLEEP);
    }
    let mut end = 0;
    for (index, token) in parts.tokens.iter().enumerate() {
        let (gap, text) = (&sql[end..token.start], parts.text(index));
        if holds_parameter(gap) || (asleep && !gap.trim().is_empty()) {
            edits.replace(end..token.start, " ");
        }
        end = token.end;
        match token.kind {
            Kind::Text => split_literal(token, text, asleep, &mut edits),
            Kind::Symbol if asleep && text == "*/" => edits.insert(token.end, SLEEP),
            Kind::Name if asleep && text.contains("*/") => {
                let what = "a quoted name with `*/`, beside one with a colon before a letter,";
                return Err(parts.refuse(index, what));
            }
            _ => {}
        }
    }
    if !sql[end..].trim().is_empty() {
        edits.replace(end..sql.len(), "");
    }
    Ok(edits)
}

/// To the driver a comment without end: it takes the end of an empty one for its first letter.
const SLEEP: &str = "/**/";

/// Splits a literal where the driver would see a parameter or, `asleep`, the end of a comment.
fn split_literal(token: &Token, text: &str, asleep: bool, edits: &mut Edits) {
    for at in parameters_in(text) {
        edits.insert(token.start + at + 1, "' '");
    }
    for (at, _) in text.match_indices("*/").filter(|_| asleep) {
        edits.insert(token.start + at + 1, "' '");
    }
}

fn holds_parameter(text: &str) -> bool {
    parameters_in(text).next().is_some()
}

/// Where the driver would see a parameter: a colon before a small letter or `_`.
fn parameters_in(text: &str) -> impl Iterator<Item = usize> {
    let pairs = text.as_bytes().windows(2).enumerate();
    pairs
        .filter(|(_, pair)| pair[0] == b':' && matches!(pair[1], b'a'..=b'z' | b'_'))
        .map(|(at, _)| at)
}

/// Translates what may stand anywhere in a statement.
fn translate_expressions(sql: &str) -> Result<Edits, Refusal> {
    let parts = Parts::read(sql)?;
    let mut edits = Edits::default();
    for index in 0..parts.tokens.len() {
        match parts.word(index).as_str() {
            "CAST" if parts.is(index + 1, "(") => parts.cast(index, &mut edits)?,
            "IS" => parts.distinct(index, &mut edits),
            "CURRENT_TIMESTAMP" if !parts.is(index + 1, "(") => {
                edits.insert(parts.tokens[index].end, "(6)");
            }
            "LENGTH" if parts.is(index + 1, "(") => {
                edits.replace(parts.range(index), "CHAR_LENGTH");
            }
            "FILTER" if parts.is(index + 1, "(") && parts.is(index + 2, "WHERE") => {
                return Err(parts.refuse(index, "`FILTER`"));
            }
            "ILIKE" => return Err(parts.refuse(index, "`ILIKE`")),
            _ => {}
        }
    }
    Ok(edits)
}

/// Makes keys of their own for nulls that are to come first or last; MySQL takes them for the lowest.
fn order_nulls(sql: &str) -> Result<Edits, Refusal> {
    let parts = Parts::read(sql)?;
    let mut edits = Edits::default();
    // For each depth: where the current item of an `ORDER BY` starts.
    let mut items: Vec<Option<usize>> = Vec::new();
    for index in 0..parts.tokens.len() {
        let depth = parts.depths[index];
        items.resize(depth + 1, None);
        let ordered = parts.is(index, "BY") && index > 0 && parts.is(index - 1, "ORDER");
        if ordered || (items[depth].is_some() && parts.is(index, ",")) {
            items[depth] = Some(index + 1);
        } else if let Some(first) = items[depth]
            && parts.is(index, "NULLS")
        {
            parts.null_order(first, index, &mut edits)?;
        }
    }
    Ok(edits)
}

/// A statement as tokens.
struct Parts<'a> {
    source: &'a str,
    tokens: Vec<Token>,
    /// How many parentheses are open around each token; they themselves stand outside.
    depths: Vec<usize>,
}

impl<'a> Parts<'a> {
    fn read(source: &'a str) -> Result<Self, SqlError> {
        let mut lexer = Lexer::new(source, Grammar::of(Dialect::MySql));
        let (mut tokens, mut depths) = (Vec::new(), Vec::new());
        let mut depth = 0_usize;
        while let Some(token) = lexer.next_token()? {
            let text = lexer.text(token);
            if text == ")" {
                depth = depth.saturating_sub(1);
            }
            tokens.push(token);
            depths.push(depth);
            if text == "(" {
                depth += 1;
            }
        }
        Ok(Self {
            source,
            tokens,
            depths,
        })
    }

    fn text(&self, index: usize) -> &'a str {
        self.tokens
            .get(index)
            .map_or("", |token| &self.source[token.start..token.end])
    }

    /// The text of a word in capitals; of everything else nothing.
    fn word(&self, index: usize) -> String {
        match self.tokens.get(index) {
            Some(token) if token.kind == Kind::Word => self.text(index).to_ascii_uppercase(),
            _ => String::new(),
        }
    }

    /// Whether this word or symbol stands there.
    fn is(&self, index: usize, text: &str) -> bool {
        self.tokens.get(index).is_some_and(|token| {
            matches!(token.kind, Kind::Word | Kind::Symbol)
                && self.text(index).eq_ignore_ascii_case(text)
        })
    }

    fn range(&self, index: usize) -> Range<usize> {
        self.tokens[index].start..self.tokens[index].end
    }

    /// Where a token starts; behind the last one the end.
    fn start(&self, index: usize) -> usize {
        self.tokens
            .get(index)
            .map_or(self.source.len(), |token| token.start)
    }

    /// The text from one token up to another.
    fn between(&self, from: usize, to: usize) -> &'a str {
        let end = self.start(to).max(self.start(from));
        self.source[self.start(from)..end].trim_end()
    }

    /// Finds a word outside all parentheses.
    fn find(&self, from: usize, word: &str) -> Option<usize> {
        (from..self.tokens.len()).find(|&index| self.depths[index] == 0 && self.is(index, word))
    }

    /// The token behind the parenthesis that closes the one at `open`.
    fn behind(&self, open: usize) -> usize {
        let depth = self.depths[open];
        let close = (open + 1..self.tokens.len()).find(|&index| self.depths[index] == depth);
        close.map_or(self.tokens.len(), |close| close + 1)
    }

    /// A name, perhaps with the database in front, and the token behind it.
    fn name(&self, from: usize) -> (String, usize) {
        let mut name = unquoted(self.text(from));
        let mut next = from + 1;
        while self.is(next, ".") {
            name.push('.');
            name.push_str(&unquoted(self.text(next + 1)));
            next += 2;
        }
        (name, next)
    }

    fn refuse(&self, index: usize, what: &str) -> Refusal {
        Refusal::NoCounterpart(SqlError::at(self.source, self.start(index), what))
    }

    /// `CAST(x AS type)`: other names for types.
    fn cast(&self, index: usize, edits: &mut Edits) -> Result<(), Refusal> {
        let end = self.behind(index + 1) - 1;
        let depth = self.depths[index + 1] + 1;
        let named = (index + 2..end).rfind(|&at| self.depths[at] == depth && self.is(at, "AS"));
        let Some(named) = named else { return Ok(()) };
        let first = named + 1;
        // A length belongs to the type and stays.
        let length = (first..end).find(|&at| self.is(at, "(")).unwrap_or(end);
        let words: Vec<String> = (first..length).map(|at| self.word(at)).collect();
        let sized = length < end;
        let name = match words.join(" ").as_str() {
            "TEXT" | "VARCHAR" | "CHARACTER VARYING" => "CHAR",
            "INTEGER" | "INT" | "BIGINT" | "SMALLINT" => "SIGNED",
            "REAL" | "DOUBLE PRECISION" | "FLOAT8" => "DOUBLE",
            "NUMERIC" => "DECIMAL",
            // Without a length the server would cut the fraction off.
            "DECIMAL" if !sized => return Err(self.refuse(first, "`DECIMAL` without its digits")),
            "BLOB" | "BYTEA" => "BINARY",
            "TIMESTAMP" | "TIMESTAMPTZ" | "TIMESTAMP WITH TIME ZONE" => "DATETIME(6)",
            "BOOLEAN" | "BOOL" => return Err(self.refuse(first, "a cast to BOOLEAN")),
            "JSON" | "JSONB" => return Err(self.refuse(first, "a cast to JSON")),
            _ => return Ok(()),
        };
        if name == "DECIMAL" && !sized {
            return Err(self.refuse(first, "`NUMERIC` without its digits"));
        }
        edits.replace(self.start(first)..self.tokens[length - 1].end, name);
        Ok(())
    }

    /// `IS [NOT] DISTINCT FROM`.
    fn distinct(&self, index: usize, edits: &mut Edits) {
        let negated = self.is(index + 1, "NOT");
        let word = index + 1 + usize::from(negated);
        if !self.is(word, "DISTINCT") || !self.is(word + 1, "FROM") {
            return;
        }
        edits.replace(self.start(index)..self.tokens[word + 1].end, "<=>");
        if !negated {
            let last = self.operand_end(word + 2);
            edits.insert(self.tokens[last].end, " = 0");
        }
    }

    /// The last token of the operand of a comparison that starts here.
    fn operand_end(&self, first: usize) -> usize {
        const ENDS: &[&str] = &[
            "AND",
            "OR",
            "XOR",
            "THEN",
            "ELSE",
            "END",
            "WHEN",
            "ORDER",
            "GROUP",
            "LIMIT",
            "HAVING",
            "UNION",
            "EXCEPT",
            "INTERSECT",
            "RETURNING",
            "FOR",
            "ON",
            "IS",
            "AS",
            "WINDOW",
            "JOIN",
            "LEFT",
            "INNER",
            "CROSS",
            "WHERE",
            ",",
            ";",
            "=",
            "<",
            ">",
        ];
        let depth = self.depths.get(first).copied().unwrap_or(0);
        let mut cases = 0_usize;
        let mut last = first.min(self.tokens.len() - 1);
        for index in first..self.tokens.len() {
            if self.depths[index] < depth {
                break;
            }
            let inside = self.depths[index] > depth;
            if !inside && cases == 0 && ENDS.iter().any(|end| self.is(index, end)) {
                break;
            }
            if !inside {
                cases += usize::from(self.is(index, "CASE"));
                cases -= usize::from(cases > 0 && self.is(index, "END"));
            }
            last = index;
        }
        last
    }

    /// `x [ASC | DESC] NULLS FIRST | LAST`, of which `first` starts `x` and `nulls` is the third word.
    ///
    /// A column may have the name `nulls`; then neither word stands behind it.
    fn null_order(&self, first: usize, nulls: usize, edits: &mut Edits) -> Result<(), Refusal> {
        let is_order = self.is(nulls + 1, "FIRST") || self.is(nulls + 1, "LAST");
        if nulls <= first || !is_order {
            return Ok(());
        }
        let descending = self.is(nulls - 1, "DESC");
        let end = if descending || self.is(nulls - 1, "ASC") {
            nulls - 1
        } else {
            nulls
        };
        let to_front = self.is(nulls + 1, "FIRST");
        edits.replace(self.tokens[nulls - 1].end..self.tokens[nulls + 1].end, "");
        if to_front != descending {
            return Ok(());
        }
        if end == first + 1 && self.tokens[first].kind == Kind::Number {
            return Err(self.refuse(nulls, "`NULLS` with the number of a column"));
        }
        let test = if to_front { "IS NOT NULL" } else { "IS NULL" };
        let key = format!("({}) {test}, ", self.between(first, end));
        edits.insert(self.start(first), key);
        Ok(())
    }

    fn statement(&self) -> Result<Statement, Refusal> {
        let verb = self.verb();
        match self.word(verb).as_str() {
            "INSERT" => self.insert(verb),
            "UPDATE" => self.update(verb),
            "DELETE" => self.delete(verb),
            _ => Ok(self.plain(Edits::default())),
        }
    }

    fn plain(&self, edits: Edits) -> Statement {
        let (text, map) = edits.apply(self.source);
        Statement {
            text,
            form: Form::Plain,
            table: self.target(),
            maps: vec![map],
        }
    }

    /// The first word behind a `WITH`.
    fn verb(&self) -> usize {
        if !self.is(0, "WITH") {
            return 0;
        }
        let verbs = ["SELECT", "INSERT", "UPDATE", "DELETE", "VALUES"];
        (1..self.tokens.len())
            .find(|&index| {
                self.depths[index] == 0
                    && self.is(index - 1, ")")
                    && verbs.iter().any(|verb| self.is(index, verb))
            })
            .unwrap_or(0)
    }

    /// The table that the statement writes to.
    fn target(&self) -> Option<String> {
        let verb = self.verb();
        let at = match self.word(verb).as_str() {
            "INSERT" | "REPLACE" | "DELETE" => verb + 2,
            "UPDATE" => verb + 1,
            _ => return None,
        };
        (at < self.tokens.len()).then(|| self.name(at).0)
    }

    fn insert(&self, verb: usize) -> Result<Statement, Refusal> {
        if !self.is(verb + 1, "INTO") {
            return Err(self.refuse(verb, "an `INSERT` without `INTO`"));
        }
        let (_, mut next) = self.name(verb + 2);
        if self.is(next, "AS") {
            return Err(self.refuse(next, "an alias for the table of an `INSERT`"));
        }
        if self.is(next, "(") {
            next = self.behind(next);
        }
        let source = next;
        let conflict = (source..self.tokens.len()).find(|&index| {
            self.depths[index] == 0 && self.is(index, "ON") && self.is(index + 1, "CONFLICT")
        });
        let returning = self.find(source, "RETURNING").unwrap_or(self.end());
        let end = conflict.unwrap_or(returning);
        let one_row = self.is_one_row(source, end);
        let mut edits = Edits::default();
        if verb > 0 {
            edits.replace(0..self.start(verb), "");
            edits.insert(self.start(source), &self.source[..self.start(verb)]);
        }
        if self.is(source, "DEFAULT") && self.is(source + 1, "VALUES") {
            let words = self.start(source)..self.tokens[source + 1].end;
            edits.replace(words, "() VALUES ()");
        }
        let form = match conflict {
            None => Form::Plain,
            Some(conflict) => {
                let (form, clause) = self.conflict(conflict, returning, one_row, verb)?;
                let words = self.start(conflict)..self.tokens[returning - 1].end;
                edits.replace(words, clause);
                form
            }
        };
        Ok(Statement {
            form,
            ..self.plain(edits)
        })
    }

    /// Where a trailing semicolon stands, or the end.
    fn end(&self) -> usize {
        self.find(0, ";").unwrap_or(self.tokens.len())
    }

    /// Whether `VALUES (..)` is all there is.
    fn is_one_row(&self, source: usize, end: usize) -> bool {
        self.is(source, "VALUES") && self.is(source + 1, "(") && self.behind(source + 1) == end
    }

    /// `ON CONFLICT [(..)] DO ..`: what it means and what to write for it.
    fn conflict(
        &self,
        conflict: usize,
        end: usize,
        one_row: bool,
        verb: usize,
    ) -> Result<(Form, String), Refusal> {
        let mut next = conflict + 2;
        let mut columns = Vec::new();
        if self.is(next, "(") {
            let behind = self.behind(next);
            columns = (next + 1..behind - 1)
                .filter(|&index| !self.is(index, ","))
                .map(|index| unquoted(self.text(index)))
                .collect();
            next = behind;
        }
        if !self.is(next, "DO") {
            return Err(self.refuse(next, "`ON CONFLICT` with a condition or a constraint"));
        }
        if self.is(next + 1, "NOTHING") {
            return self.skip(columns, conflict, end, one_row, verb);
        }
        let sets = self.is(next + 1, "UPDATE") && self.is(next + 2, "SET");
        if !sets || next + 3 > end {
            return Err(self.refuse(next, "`DO` without `UPDATE SET` or `NOTHING`"));
        }
        if self.is(next + 3, "(") {
            return Err(self.refuse(next + 3, "an assignment of several columns at once"));
        }
        if let Some(condition) = self.find(next, "WHERE").filter(|&at| at < end) {
            return Err(self.refuse(condition, "`DO UPDATE` with `WHERE`"));
        }
        let assignments = self.with_values_for_excluded(next + 3, end);
        Ok((
            Form::Upsert,
            format!("ON DUPLICATE KEY UPDATE {assignments}"),
        ))
    }

    fn skip(
        &self,
        columns: Vec<String>,
        conflict: usize,
        end: usize,
        one_row: bool,
        verb: usize,
    ) -> Result<(Form, String), Refusal> {
        if one_row {
            return Ok((Form::InsertOrSkip(columns), String::new()));
        }
        if end < self.end() {
            return Err(self.refuse(conflict, "`DO NOTHING` with several rows and `RETURNING`"));
        }
        let (_, behind) = self.name(verb + 2);
        let table = self.between(verb + 2, behind);
        let column = columns.first().cloned().or_else(|| {
            self.is(behind, "(")
                .then(|| unquoted(self.text(behind + 1)))
        });
        let Some(column) = column else {
            return Err(self.refuse(conflict, "`DO NOTHING` without the name of a column"));
        };
        let column = format!("{table}.\"{}\"", column.replace('"', "\"\""));
        Ok((
            Form::Skip,
            format!("ON DUPLICATE KEY UPDATE {column} = {column}"),
        ))
    }

    /// `excluded.x` becomes `VALUES(x)`.
    fn with_values_for_excluded(&self, from: usize, to: usize) -> String {
        let mut edits = Edits::default();
        for index in from..to {
            if self.is(index, "EXCLUDED")
                && self.is(index + 1, ".")
                && let Some(column) = self.tokens.get(index + 2)
            {
                let name = self.text(index + 2);
                edits.replace(self.start(index)..column.end, format!("VALUES({name})"));
            }
        }
        let (start, end) = (self.start(from), self.start(to));
        edits.shift(start);
        edits.apply(self.source[start..end].trim_end()).0
    }

    fn update(&self, verb: usize) -> Result<Statement, Refusal> {
        let Some(set) = self.find(verb, "SET") else {
            return Ok(self.plain(Edits::default()));
        };
        let end = self.end();
        let returning = self.find(set, "RETURNING").unwrap_or(end);
        if let Some(from) = self.find(set, "FROM").filter(|&at| at < returning) {
            return Err(self.refuse(from, "`UPDATE` with `FROM`"));
        }
        if self.is(set + 1, "(") {
            return Err(self.refuse(set + 1, "an assignment of several columns at once"));
        }
        if verb == 0 && returning == end {
            return Ok(self.plain(Edits::default()));
        }
        let filter = ["WHERE", "ORDER", "LIMIT"]
            .iter()
            .filter_map(|word| self.find(set, word))
            .min()
            .unwrap_or(returning)
            .min(returning);
        let keyed = Keyed {
            with: self.source[..self.start(verb)].to_owned(),
            table: self.between(verb + 1, set).to_owned(),
            name: self.table_name(verb + 1, set),
            set: Some(self.between(set, filter).to_owned()),
            assigned: self.assigned(set + 1, filter),
            filter: self.between(filter, returning).to_owned(),
            returning: self.returning(returning, end),
        };
        Ok(self.keyed(keyed))
    }

    fn delete(&self, verb: usize) -> Result<Statement, Refusal> {
        if !self.is(verb + 1, "FROM") {
            return Ok(self.plain(Edits::default()));
        }
        let end = self.end();
        let returning = self.find(verb, "RETURNING").unwrap_or(end);
        if let Some(using) = self.find(verb, "USING").filter(|&at| at < returning) {
            return Err(self.refuse(using, "`DELETE` with `USING`"));
        }
        let filter = ["WHERE", "ORDER", "LIMIT"]
            .iter()
            .filter_map(|word| self.find(verb, word))
            .min()
            .unwrap_or(returning)
            .min(returning);
        let (_, behind) = self.name(verb + 2);
        let aliased = behind < filter;
        if verb == 0 && !aliased {
            return Ok(self.plain(Edits::default()));
        }
        let name = self.table_name(verb + 2, filter);
        if verb == 0 && returning == end {
            let mut edits = Edits::default();
            edits.insert(self.tokens[verb].end, format!(" {name}"));
            return Ok(self.plain(edits));
        }
        let keyed = Keyed {
            with: self.source[..self.start(verb)].to_owned(),
            table: self.between(verb + 2, filter).to_owned(),
            name,
            set: None,
            assigned: Vec::new(),
            filter: self.between(filter, returning).to_owned(),
            returning: self.returning(returning, end),
        };
        Ok(self.keyed(keyed))
    }

    fn keyed(&self, keyed: Keyed) -> Statement {
        Statement {
            form: Form::Keyed(Box::new(keyed)),
            ..self.plain(Edits::default())
        }
    }

    fn returning(&self, returning: usize, end: usize) -> Option<String> {
        (returning < end).then(|| self.between(returning + 1, end).to_owned())
    }

    /// What names a table of `t`, `t x` or `t AS x` in front of a column.
    fn table_name(&self, from: usize, to: usize) -> String {
        let (_, behind) = self.name(from);
        if behind < to {
            self.text(to - 1).to_owned()
        } else {
            self.between(from, behind).to_owned()
        }
    }

    /// The columns in front of each `=` of an assignment list.
    fn assigned(&self, from: usize, to: usize) -> Vec<String> {
        let starts = (from..to)
            .filter(|&index| index == from || (self.depths[index] == 0 && self.is(index - 1, ",")));
        let column = |start: usize| {
            let (name, _) = self.name(start);
            name.rsplit('.').next().unwrap_or_default().to_owned()
        };
        starts.map(column).collect()
    }
}

fn unquoted(name: &str) -> String {
    for quote in ['"', '`'] {
        let inner = name
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote));
        if let Some(inner) = inner {
            return inner.replace(&quote.to_string().repeat(2), &quote.to_string());
        }
    }
    name.to_owned()
}

/// Replacements in a text, applied together.
#[derive(Default)]
struct Edits(Vec<(Range<usize>, String)>);

impl Edits {
    fn replace(&mut self, range: Range<usize>, text: impl Into<String>) {
        self.0.push((range, text.into()));
    }

    fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.replace(at..at, text);
    }

    /// Counts from a later beginning.
    fn shift(&mut self, by: usize) {
        for (range, _) in &mut self.0 {
            *range = range.start - by..range.end - by;
        }
    }

    /// Returns the changed text and what was changed.
    fn apply(mut self, source: &str) -> (String, SourceMap) {
        self.0.sort_by_key(|(range, _)| (range.start, range.end));
        let mut text = String::with_capacity(source.len() + 16);
        let mut map = SourceMap::default();
        let mut copied = 0;
        for (range, replacement) in self.0 {
            text.push_str(&source[copied..range.start]);
            let start = text.len();
            text.push_str(&replacement);
            copied = range.end;
            map.note(range, start..text.len());
        }
        text.push_str(&source[copied..]);
        (text, map)
    }
}
