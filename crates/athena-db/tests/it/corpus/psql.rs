//! Splits files that were written for `psql` into statements and their tokens.
//!
//! Written for these tests and on purpose without the crate's own lexer, which is what they judge. It follows
//! psql: meta-commands go to the end of their line, a semicolon inside parentheses or the body of a routine
//! ends nothing, data follow behind `COPY .. FROM stdin`.

use std::ops::Range;

/// A statement without its semicolon.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) text: String,
    /// The tokens, comments left out, as places in the text.
    pub(super) tokens: Vec<Token>,
    pub(super) aside: Option<Aside>,
}

/// Why a statement is nothing that a server could be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aside {
    /// It needs `psql` to fill in a `:variable`.
    Variable,
    /// A meta-command stands in the middle of it.
    Command,
    /// It stands where `standard_conforming_strings` is off, which it never is on a connection of Athena.
    Backslashes,
}

#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) place: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A string or a number.
    Literal,
    /// A keyword or a name without quotes.
    Word,
    /// `$1`.
    Positional,
    Other,
}

/// Splits a file.
pub(super) fn split(source: &str) -> Vec<Statement> {
    let mut splitter = Splitter {
        source,
        bytes: source.as_bytes(),
        ..Splitter::default()
    };
    while splitter.at < source.len() {
        splitter.step();
    }
    splitter.end_statement();
    splitter.statements
}

#[derive(Default)]
struct Splitter<'a> {
    source: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// Where the statement begins.
    start: usize,
    tokens: Vec<Token>,
    aside: Option<Aside>,
    parentheses: usize,
    /// How many `BEGIN` and `CASE` are open in the body of a routine.
    begins: usize,
    /// How many blocks of data follow below, once the statements of this line have been sent.
    copies: usize,
    /// A `\;` keeps the statement before it from being sent.
    kept_back: bool,
    /// Backslashes escape in every string.
    escapes: bool,
    statements: Vec<Statement>,
}

/// Meta-commands that send what stands before them.
const SENDERS: &[&str] = &[
    "g",
    "gx",
    "gset",
    "gexec",
    "gdesc",
    "crosstabview",
    "watch",
    "bind",
    "parse",
];

impl Splitter<'_> {
    fn step(&mut self) {
        let (at, rest) = (self.at, &self.source[self.at..]);
        let first = self.bytes[at];
        match first {
            b'\n' if self.copies > 0 && !self.kept_back && self.tokens.is_empty() => {
                self.skip_data()
            }
            _ if first.is_ascii_whitespace() => self.at += 1,
            b'-' if rest.starts_with("--") => self.at = self.line_end(at),
            b'/' if rest.starts_with("/*") => self.at = self.comment_end(at),
            b'\\' => self.command(),
            b';' if self.parentheses == 0 && self.begins == 0 => self.semicolon(),
            b'\'' => self.token(Kind::Literal, self.string_end(at, self.escapes)),
            b'"' => self.token(Kind::Other, self.quoted_end(at, b'"', false)),
            b'$' => self.dollar(),
            b':' => self.colon(),
            b'0'..=b'9' => self.number(),
            b'.' if self.digit(at + 1) => self.number(),
            _ if is_word(first) => self.word(),
            _ => self.symbol(first),
        }
    }

    fn token(&mut self, kind: Kind, end: usize) {
        let place = self.at - self.start..end - self.start;
        self.tokens.push(Token { kind, place });
        self.at = end;
    }

    fn symbol(&mut self, byte: u8) {
        match byte {
            b'(' => self.parentheses += 1,
            b')' => self.parentheses = self.parentheses.saturating_sub(1),
            _ => {}
        }
        self.token(Kind::Other, self.at + 1);
    }

    fn word(&mut self) {
        let (at, rest) = (self.at, &self.source[self.at..]);
        let opens = |prefixes: &[&str]| {
            let matches = |prefix: &&&str| {
                rest.get(..prefix.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
            };
            prefixes
                .iter()
                .find(matches)
                .map(|prefix| at + prefix.len() - 1)
        };
        if let Some(quote) = opens(&["e'"]) {
            self.token(Kind::Literal, self.string_end(quote, true));
        } else if let Some(quote) = opens(&["b'", "x'", "n'", "u&'"]) {
            self.token(Kind::Literal, self.string_end(quote, false));
        } else if let Some(quote) = opens(&["u&\""]) {
            self.token(Kind::Other, self.quoted_end(quote, b'"', false));
        } else {
            self.token(
                Kind::Word,
                self.run_end(at, |byte| {
                    is_word(byte) || byte.is_ascii_digit() || byte == b'$'
                }),
            );
            self.count_begins();
        }
    }

    /// Follows `BEGIN .. END` in `CREATE FUNCTION` and `CREATE PROCEDURE`, as psql does.
    fn count_begins(&mut self) {
        let word = |index: usize| {
            let token = self
                .tokens
                .get(index)
                .filter(|token| token.kind == Kind::Word);
            token.map_or("", |token| &self.source[self.start..][token.place.clone()])
        };
        let is = |index, name: &str| word(index).eq_ignore_ascii_case(name);
        let kind = if is(1, "or") && is(2, "replace") {
            3
        } else {
            1
        };
        if !is(0, "create") || !(is(kind, "function") || is(kind, "procedure")) {
            return;
        }
        let last = self.tokens.len() - 1;
        if is(last, "begin") || self.begins > 0 && is(last, "case") {
            self.begins += 1;
        } else if is(last, "end") {
            self.begins = self.begins.saturating_sub(1);
        }
    }

    fn number(&mut self) {
        let at = self.at;
        let digits = |at| self.run_end(at, |byte| byte.is_ascii_digit() || byte == b'_');
        let mut end = digits(at);
        if self.bytes[at] == b'0'
            && matches!(
                self.bytes.get(at + 1),
                Some(b'x' | b'X' | b'o' | b'O' | b'b' | b'B')
            )
        {
            end = self.run_end(at + 2, |byte| byte.is_ascii_hexdigit() || byte == b'_');
        } else {
            if self.bytes.get(end) == Some(&b'.') && self.bytes.get(end + 1) != Some(&b'.') {
                end = digits(end + 1);
            }
            if matches!(self.bytes.get(end), Some(b'e' | b'E')) {
                let sign = usize::from(matches!(self.bytes.get(end + 1), Some(b'+' | b'-')));
                if self.digit(end + 1 + sign) {
                    end = digits(end + 1 + sign);
                }
            }
        }
        let junk = self.run_end(end, |byte| {
            is_word(byte) || byte.is_ascii_digit() || byte == b'$'
        });
        self.token(
            if junk == end {
                Kind::Literal
            } else {
                Kind::Other
            },
            junk,
        );
    }

    fn dollar(&mut self) {
        let at = self.at;
        if self.digit(at + 1) {
            return self.token(
                Kind::Positional,
                self.run_end(at + 1, |byte| byte.is_ascii_digit()),
            );
        }
        let tag = self.run_end(at + 1, |byte| is_word(byte) || byte.is_ascii_digit());
        if self.bytes.get(tag) != Some(&b'$') {
            return self.token(Kind::Other, at + 1);
        }
        let delimiter = &self.source[at..=tag];
        let body = &self.source[tag + 1..];
        let length = body.find(delimiter).expect("a dollar-quoted literal ends");
        self.token(Kind::Literal, tag + 1 + length + delimiter.len());
    }

    fn colon(&mut self) {
        let rest = &self.source[self.at..];
        if rest.starts_with("::") || rest.starts_with(":=") {
            return self.token(Kind::Other, self.at + 2);
        }
        let name = &rest[1..self.run_end(self.at + 1, is_word) - self.at];
        let variable = !name.is_empty() || rest[1..].starts_with(['\'', '"', '{']);
        if variable && !name.eq_ignore_ascii_case("null") {
            self.aside.get_or_insert(Aside::Variable);
        }
        self.token(Kind::Other, self.at + 1);
    }

    fn command(&mut self) {
        let name = self.at + 1;
        let name = &self.source[name..self.run_end(name, |byte| byte.is_ascii_alphabetic())];
        if self.bytes.get(self.at + 1) == Some(&b';') {
            self.end_statement();
            self.at += 2;
            self.start = self.at;
            self.kept_back = true;
            return;
        }
        if name == "copy" && self.source[self.at..self.line_end(self.at)].ends_with("from stdin") {
            self.copies += 1;
        }
        if self.tokens.is_empty() || SENDERS.contains(&name) {
            self.end_statement();
            self.at = self.line_end(self.at);
            self.start = self.at;
        } else {
            self.aside.get_or_insert(Aside::Command);
            self.at = self.line_end(self.at);
        }
    }

    fn semicolon(&mut self) {
        self.end_statement();
        self.at += 1;
        self.start = self.at;
        self.kept_back = false;
    }

    fn end_statement(&mut self) {
        let tokens = std::mem::take(&mut self.tokens);
        let mut aside = self.aside.take();
        (self.parentheses, self.begins) = (0, 0);
        if tokens.is_empty() {
            return;
        }
        let text = &self.source[self.start..self.at];
        if self.escapes {
            aside = Some(Aside::Backslashes);
        }
        let words = words(text, &tokens);
        if reads_data(&words) {
            self.copies += 1;
        }
        if words.contains(&"standard_conforming_strings".to_owned()) {
            self.escapes = words.last().is_some_and(|word| word == "off");
        }
        let blanks = text.len() - text.trim_start().len();
        let tokens = tokens.into_iter().map(|token| Token {
            place: token.place.start - blanks..token.place.end - blanks,
            ..token
        });
        self.statements.push(Statement {
            text: text.trim().to_owned(),
            tokens: tokens.collect(),
            aside,
        });
    }

    /// Skips the lines up to `\.` for every `COPY` that the server accepted; where one failed, SQL goes on.
    fn skip_data(&mut self) {
        self.at += 1;
        for _ in 0..std::mem::take(&mut self.copies) {
            let rest = &self.source[self.at..];
            let Some(end) = rest
                .split_inclusive('\n')
                .scan(0, |end, line| {
                    *end += line.len();
                    Some((*end, line))
                })
                .find(|(_, line)| line.trim_end() == "\\.")
            else {
                break;
            };
            let goes_on = rest[..end.0].lines().any(is_sql);
            if !goes_on {
                self.at += end.0;
            }
        }
        self.start = self.at;
    }

    fn line_end(&self, at: usize) -> usize {
        self.run_end(at, |byte| byte != b'\n')
    }

    fn comment_end(&self, start: usize) -> usize {
        let mut depth = 0_usize;
        let mut at = start;
        loop {
            let rest = &self.bytes[at..];
            if rest.starts_with(b"/*") {
                depth += 1;
                at += 2;
            } else if rest.starts_with(b"*/") {
                depth -= 1;
                at += 2;
            } else {
                at += 1;
            }
            if depth == 0 {
                return at;
            }
        }
    }

    /// Returns the end of a string and of those that continue it on further lines.
    fn string_end(&self, quote: usize, escapes: bool) -> usize {
        let end = self.quoted_end(quote, b'\'', escapes);
        let mut next = end;
        let mut broken = false;
        loop {
            match self.bytes.get(next) {
                Some(b'\n') => {
                    broken = true;
                    next += 1;
                }
                Some(byte) if byte.is_ascii_whitespace() => next += 1,
                Some(b'-') if self.bytes.get(next + 1) == Some(&b'-') => next = self.line_end(next),
                Some(b'\'') if broken => return self.string_end(next, escapes),
                _ => return end,
            }
        }
    }

    fn quoted_end(&self, start: usize, quote: u8, escapes: bool) -> usize {
        let mut at = start + 1;
        loop {
            at += match self.bytes[at] {
                b'\\' if escapes => 2,
                byte if byte == quote && self.bytes.get(at + 1) == Some(&quote) => 2,
                byte if byte == quote => return at + 1,
                _ => 1,
            };
        }
    }

    fn run_end(&self, start: usize, belongs: impl Fn(u8) -> bool) -> usize {
        let length = self.bytes[start..].iter().position(|&byte| !belongs(byte));
        length.map_or(self.bytes.len(), |length| start + length)
    }

    fn digit(&self, at: usize) -> bool {
        self.bytes.get(at).is_some_and(u8::is_ascii_digit)
    }
}

fn words(text: &str, tokens: &[Token]) -> Vec<String> {
    let word = |token: &Token| text[token.place.clone()].to_ascii_lowercase();
    tokens.iter().map(word).collect()
}

/// Tells whether a statement is a `COPY .. FROM stdin`, which may also be written `stdout`.
fn reads_data(words: &[String]) -> bool {
    let from = |pair: &[String]| pair[0] == "from" && (pair[1] == "stdin" || pair[1] == "stdout");
    words[0] == "copy" && words.windows(2).any(from)
}

/// Tells whether a line cannot be data.
fn is_sql(line: &str) -> bool {
    let words = [
        "copy ", "create ", "insert ", "select ", "drop ", "alter ", "--",
    ];
    words.iter().any(|word| {
        line.get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word))
    })
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}
