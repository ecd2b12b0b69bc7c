//! The pass over the bytes.

use std::ops::Range;
use std::sync::Arc;

use super::context::Field;
use super::{digits, email, iban, ip, national, path, secret, token, url};
use crate::kind::{Finding, Kind};

/// A text that is being looked through, and what was found in it.
pub(super) struct Scan<'t> {
    pub(super) text: &'t str,
    pub(super) bytes: &'t [u8],
    pub(super) field: &'t Field,
    threshold: f64,
    findings: Vec<Finding>,
    tokens: Vec<Range<usize>>,
}

/// What to do at a byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Pass,
    Word,
    At,
    Percent,
    Colon,
    Equals,
    Greater,
    Slash,
    Backslash,
    Tilde,
    Bracket,
    Dash,
    Foreign,
}

const ACTIONS: [Action; 256] = actions();

/// Bits of [`CLASSES`]: a byte that words are made of, and of which sort.
const WORD: u8 = 1;
const DIGIT: u8 = 2;
const UPPER: u8 = 4;
const NOT_HEX: u8 = 8;

const CLASSES: [u8; 256] = classes();

impl<'t> Scan<'t> {
    pub(super) fn new(text: &'t str, field: &'t Field, threshold: f64) -> Self {
        let bytes = text.as_bytes();
        Self {
            text,
            bytes,
            field,
            threshold,
            findings: Vec::new(),
            tokens: Vec::new(),
        }
    }

    /// Returns the byte at a position, 0 beyond the end.
    #[inline]
    pub(super) fn at(&self, position: usize) -> u8 {
        self.bytes.get(position).copied().unwrap_or(0)
    }

    /// Returns the byte before a position, 0 at the beginning.
    #[inline]
    pub(super) fn before(&self, position: usize) -> u8 {
        position.checked_sub(1).map_or(0, |before| self.at(before))
    }

    /// Whether the bytes from a position on are these.
    #[inline]
    pub(super) fn has(&self, position: usize, expected: &[u8]) -> bool {
        self.bytes
            .get(position..)
            .is_some_and(|rest| rest.starts_with(expected))
    }

    /// Returns the end of the bytes from `start` on that satisfy a condition, at most `limit` many.
    #[inline]
    pub(super) fn end_of(&self, start: usize, limit: usize, is: impl Fn(u8) -> bool) -> usize {
        let rest = self.bytes.get(start..).unwrap_or_default();
        start + rest.iter().take(limit).take_while(|b| is(**b)).count()
    }

    /// Returns the start of the bytes up to `end` that satisfy a condition, at most `limit` many.
    #[inline]
    pub(super) fn start_of(&self, end: usize, limit: usize, is: impl Fn(u8) -> bool) -> usize {
        end - self.bytes[..end]
            .iter()
            .rev()
            .take(limit)
            .take_while(|b| is(**b))
            .count()
    }

    /// Notes a finding that is masked as a whole.
    pub(super) fn report(&mut self, kind: Kind, rule: &str, range: Range<usize>, confidence: f64) {
        self.report_masking(kind, rule, range.clone(), range, confidence);
    }

    /// Notes a finding of which a part is masked, unless it is too unsure.
    pub(super) fn report_masking(
        &mut self,
        kind: Kind,
        rule: &str,
        range: Range<usize>,
        masked: Range<usize>,
        confidence: f64,
    ) {
        if confidence < self.threshold {
            return;
        }
        let whole = self
            .text
            .get(range.clone())
            .is_some_and(|value| !value.is_empty());
        if whole && self.text.get(masked.clone()).is_some() {
            self.findings.push(Finding {
                kind,
                rule: Arc::from(rule),
                range,
                masked,
                confidence,
            });
        }
    }

    /// Returns how much was found so far.
    pub(super) fn found(&self) -> usize {
        self.findings.len()
    }

    /// Returns what was found, in no order, and the tokens that were met, in order.
    pub(super) fn finish(self) -> (Vec<Finding>, Vec<Range<usize>>) {
        (self.findings, self.tokens)
    }

    /// Looks through the text.
    pub(super) fn run(&mut self) {
        let mut position = 0;
        while let Some(&byte) = self.bytes.get(position) {
            position = match ACTIONS[usize::from(byte)] {
                Action::Pass => position + 1,
                Action::Word => self.word(position),
                action => self.mark(action, position).max(position + 1),
            };
        }
    }

    /// Looks at a byte that is no part of a word and returns where to go on.
    fn mark(&mut self, action: Action, position: usize) -> usize {
        match action {
            Action::At => email::find(self, position, position + 1),
            Action::Percent if self.has(position, b"%40") => {
                email::find(self, position, position + 3);
            }
            Action::Colon if self.has(position, b"://") => return url::find(self, position),
            Action::Colon | Action::Equals => secret::assigned(self, position),
            Action::Greater => secret::element(self, position),
            Action::Slash => return path::unix(self, position),
            Action::Backslash => return path::share(self, position),
            Action::Tilde => return path::tilde(self, position),
            Action::Bracket => return self.bracket(position),
            Action::Dash => return secret::dashes(self, position),
            Action::Foreign if digits::is_foreign_digit(self.bytes, position) => {
                return digits::find(self, position, position);
            }
            Action::Foreign if self.has(position, "：".as_bytes()) => {
                secret::after_wide_colon(self, position);
            }
            _ => {}
        }
        position + 1
    }

    /// Steps over a token.
    fn bracket(&mut self, position: usize) -> usize {
        let Some(end) = token::token_at(self.bytes, position) else {
            return position + 1;
        };
        self.tokens.push(position..end);
        end
    }

    /// Looks at a run of letters, digits and underscores, and returns where to go on.
    fn word(&mut self, start: usize) -> usize {
        let mut seen = 0;
        let mut end = start;
        while let Some(&byte) = self.bytes.get(end) {
            let class = CLASSES[usize::from(byte)];
            if class & WORD == 0 {
                break;
            }
            seen |= class;
            end += 1;
        }
        if end - start <= 4
            && seen & NOT_HEX == 0
            && self.at(end) == b':'
            && let Some(end) = ip::v6(self, start)
        {
            return end;
        }
        if self.at(start).is_ascii_digit() {
            return digits::find(self, start, end);
        }
        let next = secret::word(self, start, end).unwrap_or(end);
        if seen & DIGIT != 0 {
            iban::find(self, start);
            national::find_word(self, start, end);
        } else if end - start <= 2 {
            self.short_word(start, end, seen);
        }
        next
    }

    fn short_word(&mut self, start: usize, end: usize, seen: u8) {
        if end - start == 1 && self.at(end) == b':' {
            path::drive(self, start);
        }
        if seen & UPPER != 0 && matches!(self.at(end), b' ' | b'-') {
            national::find_word(self, start, end);
        }
    }
}

/// Whether words are made of a byte.
#[inline]
pub(super) fn is_word(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & WORD != 0
}

const fn actions() -> [Action; 256] {
    let mut table = [Action::Pass; 256];
    let mut byte: u8 = 0;
    loop {
        table[byte as usize] = match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' => Action::Word,
            b'@' => Action::At,
            b'%' => Action::Percent,
            b':' => Action::Colon,
            b'=' => Action::Equals,
            b'>' => Action::Greater,
            b'/' => Action::Slash,
            b'\\' => Action::Backslash,
            b'~' => Action::Tilde,
            b'[' => Action::Bracket,
            b'-' => Action::Dash,
            0xD9 | 0xDB | 0xE0 | 0xEF => Action::Foreign,
            _ => Action::Pass,
        };
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte: u8 = 0;
    loop {
        table[byte as usize] = match byte {
            b'0'..=b'9' => WORD | DIGIT,
            b'A'..=b'F' => WORD | UPPER,
            b'a'..=b'f' => WORD,
            b'G'..=b'Z' => WORD | UPPER | NOT_HEX,
            b'g'..=b'z' | b'_' => WORD | NOT_HEX,
            _ => 0,
        };
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}
