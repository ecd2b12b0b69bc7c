//! The lexer: splits SQL into tokens by the rules of one dialect.
//!
//! It knows where literals, quoted names and comments begin and end, because a `:x` inside them is not a
//! parameter. Dialects differ only in the [`Grammar`] they hand in. Whether a token is welcome is for the
//! reader to say; the lexer fails only where a literal, a quoted name or a comment never ends.
//!
//! Tokens are byte ranges of the source and always lie on character boundaries: every token ends next to an
//! ASCII byte or to the end of a run of name bytes, and all bytes from 0x80 up are name bytes.

use super::SqlError;
use crate::dialect::Dialect;

#[cfg(test)]
mod tests;

/// Hands out the tokens of a source one by one; cheap to clone for looking ahead.
#[derive(Clone)]
pub(super) struct Lexer<'a> {
    source: &'a str,
    grammar: &'static Grammar,
    position: usize,
}

/// A token: its kind and the bytes it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// What a token is; as wide as what stands beside it in a [`Token`], which is copied a great deal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Kind {
    /// An unquoted name or keyword.
    Word,
    /// A number, with everything that sticks to it.
    Number,
    /// A string literal of any kind.
    Text,
    /// A quoted name, with its quotes.
    Name,
    /// `:name`, colon included.
    Parameter,
    /// The engine's own parameter syntax: `?`, `?1`, `$1`, `@x`.
    Positional,
    /// Anything else: one character, or one of `::`, `:=` and MySQL's `/*!` and `*/`.
    Symbol,
}

/// What sets one dialect's tokens apart from another's.
#[derive(Debug)]
pub(super) struct Grammar {
    /// `E'..'` knows backslashes, and goes on behind a line break.
    escape_strings: bool,
    /// `$tag$ .. $tag$` is a literal.
    dollar_quotes: bool,
    /// `` `x` `` is a name.
    backticks: bool,
    /// `[x]` is a name.
    brackets: bool,
    /// `/* /* */ */` is one comment.
    nested_comments: bool,
    /// `#` starts a comment.
    hash_comments: bool,
    /// `--` is a comment only before white space.
    dashes_need_space: bool,
    /// `/*! .. */` is code.
    code_comments: bool,
    /// A carriage return ends a line comment.
    return_ends_comment: bool,
    /// A block comment may run to the end of the text.
    open_comments: bool,
    /// `?` is an operator rather than a parameter.
    question_operators: bool,
    /// `$` may start a name.
    dollar_names: bool,
    /// `@x`, `#x`, `:1` are parameters too.
    sigil_parameters: bool,
}

/// What all dialects have in common; the language of migrations.
const COMMON: Grammar = Grammar {
    escape_strings: false,
    dollar_quotes: false,
    backticks: false,
    brackets: false,
    nested_comments: false,
    hash_comments: false,
    dashes_need_space: false,
    code_comments: false,
    return_ends_comment: true,
    open_comments: false,
    question_operators: false,
    dollar_names: false,
    sigil_parameters: false,
};

static POSTGRES: Grammar = Grammar {
    escape_strings: true,
    dollar_quotes: true,
    nested_comments: true,
    question_operators: true,
    ..COMMON
};

static SQLITE: Grammar = Grammar {
    backticks: true,
    brackets: true,
    return_ends_comment: false,
    open_comments: true,
    sigil_parameters: true,
    ..COMMON
};

/// The modes that Athena sets on every MySQL connection are assumed: `ANSI_QUOTES` (`"x"` is a name) and
/// `NO_BACKSLASH_ESCAPES` (a backslash in a literal is a backslash).
static MYSQL: Grammar = Grammar {
    backticks: true,
    hash_comments: true,
    dashes_need_space: true,
    code_comments: true,
    return_ends_comment: false,
    dollar_names: true,
    ..COMMON
};

static MIGRATION: Grammar = COMMON;

/// Takes for a token whatever some dialect takes for one, so that no change hides in a comment that is none.
static ANY: Grammar = Grammar {
    escape_strings: true,
    dollar_quotes: true,
    backticks: true,
    dashes_need_space: false,
    code_comments: true,
    question_operators: true,
    ..COMMON
};

impl Grammar {
    /// Returns the rules of a dialect's own SQL.
    pub(super) fn of(dialect: Dialect) -> &'static Self {
        match dialect {
            Dialect::Sqlite => &SQLITE,
            Dialect::Postgres => &POSTGRES,
            Dialect::MySql => &MYSQL,
        }
    }

    /// Returns the rules of the portable migration language.
    pub(super) fn migration() -> &'static Self {
        &MIGRATION
    }

    /// Returns the rules by which texts of any dialect are compared.
    pub(super) fn any() -> &'static Self {
        &ANY
    }
}

impl<'a> Lexer<'a> {
    pub(super) fn new(source: &'a str, grammar: &'static Grammar) -> Self {
        Self {
            source,
            grammar,
            position: 0,
        }
    }

    /// Returns the next token, or `None` at the end.
    ///
    /// # Errors
    ///
    /// A literal, a quoted name or a comment without end.
    pub(super) fn next_token(&mut self) -> Result<Option<Token>, SqlError> {
        self.skip_blanks()?;
        let start = self.position;
        let Some(first) = self.byte(start) else {
            return Ok(None);
        };
        let (kind, end) = self.scan(start, first)?;
        self.position = end;
        Ok(Some(Token { kind, start, end }))
    }

    /// Goes on reading at the end of a token that a clone has read ahead.
    pub(super) fn skip_to(&mut self, end: usize) {
        self.position = end;
    }

    /// Returns the text of a token.
    pub(super) fn text(&self, token: Token) -> &'a str {
        &self.source[token.start..token.end]
    }

    fn scan(&self, start: usize, first: u8) -> Result<(Kind, usize), SqlError> {
        let grammar = self.grammar;
        Ok(match first {
            b'\'' => (Kind::Text, self.quoted(start, b'\'', "string literal")?),
            b'e' | b'E' if grammar.escape_strings && self.byte(start + 1) == Some(b'\'') => {
                (Kind::Text, self.escape_string(start)?)
            }
            b'"' => (Kind::Name, self.quoted(start, b'"', "quoted name")?),
            b'`' if grammar.backticks => (Kind::Name, self.quoted(start, b'`', "quoted name")?),
            b'[' if grammar.brackets => (Kind::Name, self.bracketed(start)?),
            b'$' if grammar.dollar_names => (Kind::Word, self.name_end(start)),
            b'$' => self.dollar(start)?,
            b':' => self.colon(start),
            b'?' if grammar.sigil_parameters => (Kind::Positional, self.digits_end(start + 1)),
            b'?' if !grammar.question_operators => (Kind::Positional, start + 1),
            b'@' | b'#' if grammar.sigil_parameters && self.is_name_byte(start + 1) => {
                (Kind::Positional, self.name_end(start + 1))
            }
            b'0'..=b'9' => (Kind::Number, self.number_end(start)),
            b'.' if self.is_digit(start + 1) => (Kind::Number, self.number_end(start)),
            _ if starts_name(first) => (Kind::Word, self.name_end(start)),
            _ => (Kind::Symbol, self.symbol_end(start)),
        })
    }

    /// Skips white space and comments.
    fn skip_blanks(&mut self) -> Result<(), SqlError> {
        loop {
            let rest = self.rest(self.position).iter();
            let at = self.position + rest.take_while(|&&byte| is_space(byte)).count();
            self.position = match self.byte(at) {
                Some(b'-') if self.starts_dash_comment(at) => self.line_end(at),
                Some(b'#') if self.grammar.hash_comments => self.line_end(at),
                Some(b'/') if self.starts_block_comment(at) => self.block_end(at)?,
                _ => {
                    self.position = at;
                    return Ok(());
                }
            };
        }
    }

    fn starts_dash_comment(&self, at: usize) -> bool {
        self.rest(at).starts_with(b"--")
            && (!self.grammar.dashes_need_space
                || self
                    .byte(at + 2)
                    .is_none_or(|byte| is_space(byte) || byte.is_ascii_control()))
    }

    fn starts_block_comment(&self, at: usize) -> bool {
        self.rest(at).starts_with(b"/*") && self.code_comment_end(at).is_none()
    }

    /// Returns the end of a `/*!50100` or `/*M!100100` that opens code instead of a comment.
    fn code_comment_end(&self, at: usize) -> Option<usize> {
        let rest = self.rest(at);
        let opener = [&b"/*!"[..], b"/*M!"]
            .into_iter()
            .find(|opener| rest.starts_with(opener))
            .filter(|_| self.grammar.code_comments)?;
        Some(self.digits_end(at + opener.len()))
    }

    fn line_end(&self, at: usize) -> usize {
        let ends =
            |&byte: &u8| byte == b'\n' || (byte == b'\r' && self.grammar.return_ends_comment);
        let length = self.rest(at).iter().position(ends);
        length.map_or(self.source.len(), |length| at + length)
    }

    fn block_end(&self, start: usize) -> Result<usize, SqlError> {
        let mut depth = 1_usize;
        let mut at = start + 2;
        while depth > 0 {
            let rest = self.rest(at);
            if rest.is_empty() {
                return self.open_comment(start);
            } else if rest.starts_with(b"*/") {
                depth -= 1;
                at += 2;
            } else if self.grammar.nested_comments && rest.starts_with(b"/*") {
                depth += 1;
                at += 2;
            } else {
                at += 1;
            }
        }
        Ok(at)
    }

    fn open_comment(&self, start: usize) -> Result<usize, SqlError> {
        if self.grammar.open_comments {
            Ok(self.source.len())
        } else {
            Err(self.error(
                start,
                "the comment that starts here never ends; close it with `*/`",
            ))
        }
    }

    /// Returns the end of a literal or name in which a doubled quote stands for one.
    fn quoted(&self, start: usize, quote: u8, what: &str) -> Result<usize, SqlError> {
        let mut at = start + 1;
        while let Some(length) = self.rest(at).iter().position(|&byte| byte == quote) {
            at += length + 1;
            if self.byte(at) != Some(quote) {
                return Ok(at);
            }
            at += 1;
        }
        Err(self.endless(start, what))
    }

    /// Returns the end of `[x]`, which has no escape.
    fn bracketed(&self, start: usize) -> Result<usize, SqlError> {
        let length = self.rest(start).iter().position(|&byte| byte == b']');
        length
            .map(|length| start + length + 1)
            .ok_or_else(|| self.endless(start, "quoted name"))
    }

    /// Returns the end of `E'..'`, with the parts behind line breaks that continue it.
    fn escape_string(&self, start: usize) -> Result<usize, SqlError> {
        let mut at = start + 2;
        while let Some(byte) = self.byte(at) {
            at += match byte {
                b'\\' => 2,
                b'\'' if self.byte(at + 1) == Some(b'\'') => 2,
                b'\'' => match self.continued(at + 1) {
                    Some(next) => next - at,
                    None => return Ok(at + 1),
                },
                _ => 1,
            };
        }
        Err(self.endless(start, "string literal"))
    }

    /// Returns where a literal goes on if the closing quote before `at` was not its last: the SQL standard
    /// joins literals that are separated by white space with at least one line break.
    fn continued(&self, mut at: usize) -> Option<usize> {
        let mut broken = false;
        loop {
            match self.byte(at)? {
                b'\'' if broken => return Some(at + 1),
                b'\n' | b'\r' => {
                    broken = true;
                    at += 1;
                }
                byte if is_space(byte) => at += 1,
                b'-' if self.starts_dash_comment(at) => at = self.line_end(at),
                _ => return None,
            }
        }
    }

    fn dollar(&self, start: usize) -> Result<(Kind, usize), SqlError> {
        if self.grammar.dollar_quotes
            && let Some(opened) = self.dollar_tag_end(start)
        {
            let tag = &self.source[start..opened];
            return match self.source[opened..].find(tag) {
                Some(length) => Ok((Kind::Text, opened + length + tag.len())),
                None => Err(self.endless(start, "dollar-quoted literal")),
            };
        }
        if self.is_name_byte(start + 1) {
            Ok((Kind::Positional, self.name_end(start + 1)))
        } else {
            Ok((Kind::Symbol, start + 1))
        }
    }

    /// Returns the end of `$tag$`; a tag is a name without `$`, or empty.
    fn dollar_tag_end(&self, start: usize) -> Option<usize> {
        let mut at = start + 1;
        if self.is_digit(at) {
            return None;
        }
        while self.is_name_byte(at) && self.byte(at) != Some(b'$') {
            at += 1;
        }
        (self.byte(at) == Some(b'$')).then_some(at + 1)
    }

    fn colon(&self, start: usize) -> (Kind, usize) {
        match self.byte(start + 1) {
            Some(b':' | b'=') => (Kind::Symbol, start + 2),
            Some(byte) if starts_name(byte) => self.parameter(start),
            Some(b'0'..=b'9' | b'$') if self.grammar.sigil_parameters => {
                (Kind::Positional, self.name_end(start + 1))
            }
            _ => (Kind::Symbol, start + 1),
        }
    }

    fn parameter(&self, start: usize) -> (Kind, usize) {
        let mut end = start + 1;
        while self.is_name_byte(end) && self.byte(end) != Some(b'$') {
            end += 1;
        }
        (Kind::Parameter, end)
    }

    fn symbol_end(&self, start: usize) -> usize {
        if !self.grammar.code_comments {
            start + 1
        } else if let Some(end) = self.code_comment_end(start) {
            end
        } else if self.rest(start).starts_with(b"*/") {
            start + 2
        } else {
            start + 1
        }
    }

    fn number_end(&self, start: usize) -> usize {
        let decimal = !matches!(self.byte(start + 1), Some(b'x' | b'X'));
        let mut at = start + 1;
        while self.continues_number(at, decimal) {
            at += 1;
        }
        at
    }

    fn continues_number(&self, at: usize, decimal: bool) -> bool {
        match self.byte(at) {
            Some(b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'_') => true,
            // Not a number at all then, but `1a$b$` opens no literal.
            Some(b'$' | 0x80..) => !self
                .byte(at - 1)
                .is_some_and(|byte| byte.is_ascii_digit() || byte == b'.'),
            Some(b'.') => self.byte(at + 1) != Some(b'.'),
            Some(b'+' | b'-') => {
                decimal && matches!(self.byte(at - 1), Some(b'e' | b'E')) && self.is_digit(at + 1)
            }
            _ => false,
        }
    }

    fn name_end(&self, start: usize) -> usize {
        let length = self
            .rest(start)
            .iter()
            .position(|&byte| !continues_name(byte));
        length.map_or(self.source.len(), |length| start + length)
    }

    fn digits_end(&self, start: usize) -> usize {
        let digits = self
            .rest(start)
            .iter()
            .take_while(|byte| byte.is_ascii_digit());
        start + digits.count()
    }

    fn is_name_byte(&self, at: usize) -> bool {
        self.byte(at).is_some_and(continues_name)
    }

    fn is_digit(&self, at: usize) -> bool {
        self.byte(at).is_some_and(|byte| byte.is_ascii_digit())
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.source.as_bytes().get(at).copied()
    }

    fn rest(&self, at: usize) -> &'a [u8] {
        self.source.as_bytes().get(at..).unwrap_or_default()
    }

    fn endless(&self, start: usize, what: &str) -> SqlError {
        self.error(start, format!("the {what} that starts here never ends"))
    }

    fn error(&self, offset: usize, message: impl Into<String>) -> SqlError {
        SqlError::at(self.source, offset, message)
    }
}

fn is_space(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & SPACE != 0
}

fn starts_name(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & NAME_START != 0
}

/// Tells whether a byte belongs to a name that has begun.
pub(super) fn continues_name(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & NAME != 0
}

const SPACE: u8 = 1;
const NAME_START: u8 = 2;
const NAME: u8 = 4;

/// What each byte can be: looked up, because every byte of a statement is asked.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0_u8;
    loop {
        classes[byte as usize] = class(byte);
        if byte == u8::MAX {
            break classes;
        }
        byte += 1;
    }
};

const fn class(byte: u8) -> u8 {
    match byte {
        b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => SPACE,
        b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => NAME_START | NAME,
        b'0'..=b'9' | b'$' => NAME,
        _ => 0,
    }
}
