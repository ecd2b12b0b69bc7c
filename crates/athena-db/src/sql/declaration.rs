//! Reads what SQLite keeps as text only: checks, generated columns, the names of constraints, and
//! the expressions of indexes.
//!
//! The text has been accepted by SQLite, so this looks for the clauses it wants and passes over
//! everything else; what it cannot make out is absent, never an error.

use super::lexer::{Grammar, Kind, Lexer, Token};
use crate::dialect::Dialect;

/// What the text of a table says beyond the pragmas.
#[derive(Debug, Default)]
pub(crate) struct TableText {
    /// The check constraints: their names and their conditions.
    pub(crate) checks: Vec<(Option<String>, String)>,
    generated: Vec<(String, String)>,
    unique: Vec<(String, Vec<String>)>,
    foreign: Vec<(String, Vec<String>)>,
}

/// What the text of an index says beyond the pragmas.
#[derive(Debug, Default)]
pub(crate) struct IndexText {
    /// The columns and expressions, without their direction.
    pub(crate) keys: Vec<String>,
    /// The condition of a partial index.
    pub(crate) condition: Option<String>,
}

impl TableText {
    /// Reads a `CREATE TABLE` as SQLite keeps it.
    pub(crate) fn read(sql: &str) -> Self {
        let text = Text::new(sql);
        let mut table = Self::default();
        for definition in text.parts(text.position("(")) {
            Definition::new(&text, definition).read(&mut table);
        }
        table
    }

    /// Returns the expression of a generated column.
    pub(crate) fn generated(&self, column: &str) -> Option<String> {
        let found = self.generated.iter().find(|(name, _)| name == column);
        found.map(|(_, expression)| expression.clone())
    }

    /// Returns the name given to the unique constraint over these columns.
    pub(crate) fn unique_name(&self, columns: &[&str]) -> Option<String> {
        name_of(&self.unique, columns)
    }

    /// Returns the name given to the foreign key over these columns.
    pub(crate) fn foreign_key_name(&self, columns: &[&str]) -> Option<String> {
        name_of(&self.foreign, columns)
    }
}

impl IndexText {
    /// Reads a `CREATE INDEX` as SQLite keeps it.
    pub(crate) fn read(sql: &str) -> Self {
        let text = Text::new(sql);
        let open = text.position("(");
        let keys = text.parts(open).into_iter().map(|part| text.key(part));
        let keys = keys.collect();
        let after = text.group_end(open);
        let condition = text
            .word(after)
            .filter(|word| word == "WHERE")
            .map(|_| text.slice(after + 1, text.tokens.len()));
        Self { keys, condition }
    }
}

fn name_of(constraints: &[(String, Vec<String>)], columns: &[&str]) -> Option<String> {
    let found = constraints.iter().find(|(_, names)| names == columns);
    found.map(|(name, _)| name.clone())
}

/// A text and its tokens; positions count tokens.
struct Text<'a> {
    source: &'a str,
    tokens: Vec<Token>,
}

/// One column or constraint of a table.
struct Definition<'a> {
    text: &'a Text<'a>,
    next: usize,
    end: usize,
    /// The column; `None` for a constraint of the table.
    column: Option<String>,
}

type Range = std::ops::Range<usize>;

impl<'a> Text<'a> {
    fn new(source: &'a str) -> Self {
        let mut lexer = Lexer::new(source, Grammar::of(Dialect::Sqlite));
        let mut tokens = Vec::new();
        while let Ok(Some(token)) = lexer.next_token() {
            tokens.push(token);
        }
        Self { source, tokens }
    }

    fn position(&self, symbol: &str) -> usize {
        let found = (0..self.tokens.len()).find(|&at| self.symbol(at) == Some(symbol));
        found.unwrap_or(self.tokens.len())
    }

    fn str(&self, at: usize) -> &'a str {
        let token = self.tokens.get(at);
        token.map_or("", |token| &self.source[token.start..token.end])
    }

    fn symbol(&self, at: usize) -> Option<&'a str> {
        let token = self.tokens.get(at)?;
        (token.kind == Kind::Symbol).then(|| self.str(at))
    }

    /// Returns a word in upper case.
    fn word(&self, at: usize) -> Option<String> {
        let token = self.tokens.get(at)?;
        (token.kind == Kind::Word).then(|| self.str(at).to_ascii_uppercase())
    }

    /// Returns a name without its quotes.
    fn name(&self, at: usize) -> String {
        let text = self.str(at);
        match text.as_bytes().first() {
            Some(&quote @ (b'"' | b'`' | b'\'')) => {
                let quote = char::from(quote).to_string();
                text[1..text.len() - 1].replace(&quote.repeat(2), &quote)
            }
            Some(b'[') => text[1..text.len() - 1].to_owned(),
            _ => text.to_owned(),
        }
    }

    /// Returns the source from one token up to another.
    fn slice(&self, first: usize, end: usize) -> String {
        match (self.tokens.get(first), end.checked_sub(1)) {
            (Some(token), Some(last)) if last >= first => {
                let end = self
                    .tokens
                    .get(last)
                    .map_or(self.source.len(), |last| last.end);
                self.source[token.start..end].to_owned()
            }
            _ => String::new(),
        }
    }

    /// Returns the position behind the `)` that closes the group at a `(`.
    fn group_end(&self, open: usize) -> usize {
        let mut depth = 0_usize;
        for at in open..self.tokens.len() {
            match self.symbol(at) {
                Some("(") => depth += 1,
                Some(")") => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return at + 1;
            }
        }
        self.tokens.len()
    }

    /// Splits the group at a `(` at its commas.
    fn parts(&self, open: usize) -> Vec<Range> {
        let end = self.group_end(open).saturating_sub(1);
        let mut parts = Vec::new();
        let mut first = open + 1;
        let mut at = first;
        while at < end {
            match self.symbol(at) {
                Some("(") => at = self.group_end(at),
                Some(",") => {
                    parts.push(first..at);
                    at += 1;
                    first = at;
                }
                _ => at += 1,
            }
        }
        if first < end {
            parts.push(first..end);
        }
        parts
    }

    fn names(&self, open: usize) -> Vec<String> {
        let parts = self.parts(open).into_iter();
        parts.map(|part| self.name(part.start)).collect()
    }

    /// Returns a key of an index without its direction and its outer parentheses.
    fn key(&self, mut part: Range) -> String {
        if matches!(self.word(part.end - 1).as_deref(), Some("ASC" | "DESC")) {
            part.end -= 1;
        }
        if self.symbol(part.start) == Some("(") && self.group_end(part.start) == part.end {
            part = part.start + 1..part.end - 1;
        }
        self.slice(part.start, part.end)
    }
}

impl<'a> Definition<'a> {
    fn new(text: &'a Text<'a>, range: Range) -> Self {
        let is_constraint = matches!(
            text.word(range.start).as_deref(),
            Some("CONSTRAINT" | "PRIMARY" | "UNIQUE" | "CHECK" | "FOREIGN")
        );
        let column = (!is_constraint).then(|| text.name(range.start));
        Self {
            text,
            next: range.start + usize::from(column.is_some()),
            end: range.end,
            column,
        }
    }

    fn read(mut self, table: &mut TableText) {
        let mut name = None;
        while self.next < self.end {
            let at = self.next;
            self.next += 1;
            let Some(word) = self.text.word(at) else {
                if self.text.symbol(at) == Some("(") {
                    self.next = self.text.group_end(at);
                }
                continue;
            };
            match word.as_str() {
                "CONSTRAINT" => {
                    name = Some(self.text.name(self.next));
                    self.next += 1;
                }
                "CHECK" => table.checks.push((name.take(), self.group())),
                "AS" => {
                    let expression = self.group();
                    table
                        .generated
                        .extend(self.column.clone().map(|column| (column, expression)));
                }
                "PRIMARY" => name = None,
                "UNIQUE" => table.unique.extend(self.columns(name.take())),
                "FOREIGN" => {
                    self.next += 1;
                    table.foreign.extend(self.columns(name.take()));
                }
                "REFERENCES" if self.column.is_some() => {
                    table.foreign.extend(self.columns(name.take()));
                }
                _ => {}
            }
        }
    }

    /// Returns what stands in the parentheses that come next, and moves past them.
    fn group(&mut self) -> String {
        let open = self.next;
        self.next = self.text.group_end(open);
        self.text.slice(open + 1, self.next.saturating_sub(1))
    }

    /// Returns a named constraint with the columns that it is about.
    fn columns(&self, name: Option<String>) -> Option<(String, Vec<String>)> {
        let columns = match &self.column {
            Some(column) => vec![column.clone()],
            None => self.text.names(self.next),
        };
        Some((name?, columns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_tells_its_checks_and_names() {
        let table = TableText::read(
            "CREATE TABLE \"a(b\" (id INTEGER PRIMARY KEY, [o w] INT CONSTRAINT fk REFERENCES o (id),
               s TEXT DEFAULT ('(,') CONSTRAINT \"not \"\"empty\"\"\" CHECK (s <> ')' AND (1)), -- CHECK (x)
               l INT GENERATED ALWAYS AS (CASE WHEN s IS NULL THEN 1 END) STORED,
               CHECK (id > 0), CONSTRAINT u UNIQUE (s, `l`), FOREIGN KEY (s, l) REFERENCES p (a, b)) STRICT",
        );
        assert_eq!(
            table.checks,
            [
                (
                    Some("not \"empty\"".to_owned()),
                    "s <> ')' AND (1)".to_owned()
                ),
                (None, "id > 0".to_owned())
            ]
        );
        assert_eq!(
            table.generated("l").unwrap(),
            "CASE WHEN s IS NULL THEN 1 END"
        );
        assert_eq!(table.unique_name(&["s", "l"]).unwrap(), "u");
        assert_eq!(table.foreign_key_name(&["o w"]).unwrap(), "fk");
        assert_eq!(table.foreign_key_name(&["s", "l"]), None);
    }

    #[test]
    fn an_index_tells_its_expressions() {
        let index =
            IndexText::read("CREATE INDEX i ON t ((lower(a)), b DESC, a || ')') WHERE c IS NULL");
        assert_eq!(index.keys, ["lower(a)", "b", "a || ')'"]);
        assert_eq!(index.condition.unwrap(), "c IS NULL");
        assert_eq!(IndexText::read("CREATE INDEX i ON t (a)").condition, None);
    }

    #[test]
    fn nonsense_is_no_error() {
        for text in [
            "",
            "(",
            ")",
            "CREATE TABLE t (a, CHECK",
            "CREATE TABLE t (CONSTRAINT",
            "CREATE INDEX i ON t ((a)",
            "'",
        ] {
            TableText::read(text);
            IndexText::read(text);
        }
    }
}
