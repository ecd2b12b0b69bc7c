//! JSON as its text: digit for digit, and in one form where backends write it differently.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;

/// Documents that go deeper than this are refused rather than followed.
const DEEPEST: usize = 500;

/// The longest number that is written out; one with a larger exponent keeps it.
const LONGEST: u64 = 400;

/// Writes a document so that two are the same bytes if and only if they are the same document;
/// `None` for text that is no JSON.
///
/// Members are sorted, the last of several with one name counts, and numbers have one form, because
/// PostgreSQL keeps nothing else. No digit of a number is lost.
pub(super) fn canonical(text: &str) -> Option<Vec<u8>> {
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    let mut scanner = Scanner { text, at: 0 };
    let mut out = Vec::with_capacity(text.len());
    scanner.value(&mut out, 0)?;
    Some(out)
}

/// Whether a string of the document holds the character U+0000, which is always escaped.
pub(super) fn holds_nul(text: &str) -> bool {
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let escape = &rest[at + 1..];
        if escape.starts_with("u0000") {
            return true;
        }
        let mut chars = escape.chars();
        chars.next();
        rest = chars.as_str();
    }
    false
}

/// Adds the length and the bytes, so that what follows cannot be taken for a part of it.
pub(super) fn write(out: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    out.push(kind);
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend(bytes);
}

/// Reads a text that is known to be JSON.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl Scanner<'_> {
    fn value(&mut self, out: &mut Vec<u8>, depth: usize) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        match self.peek()? {
            b'{' => self.object(out, depth),
            b'[' => self.array(out, depth),
            b'"' => {
                write(out, b't', self.string()?.as_bytes());
                Some(())
            }
            b't' => self.word("true", out, b"b\x01"),
            b'f' => self.word("false", out, b"b\x00"),
            b'n' => self.word("null", out, b"0"),
            _ => {
                write(out, b'n', plain(self.number()).as_bytes());
                Some(())
            }
        }
    }

    fn object(&mut self, out: &mut Vec<u8>, depth: usize) -> Option<()> {
        let mut members = BTreeMap::new();
        self.at += 1;
        while self.peek()? != b'}' {
            let name = self.string()?;
            self.skip(b':');
            let mut member = Vec::new();
            self.value(&mut member, depth + 1)?;
            members.insert(name, member);
            self.skip(b',');
        }
        self.at += 1;
        write(out, b'o', &(members.len() as u64).to_le_bytes());
        for (name, member) in members {
            write(out, b't', name.as_bytes());
            out.extend(member);
        }
        Some(())
    }

    fn array(&mut self, out: &mut Vec<u8>, depth: usize) -> Option<()> {
        let mut items = Vec::new();
        let mut count: u64 = 0;
        self.at += 1;
        while self.peek()? != b']' {
            self.value(&mut items, depth + 1)?;
            count += 1;
            self.skip(b',');
        }
        self.at += 1;
        write(out, b'l', &count.to_le_bytes());
        out.extend(items);
        Some(())
    }

    fn string(&mut self) -> Option<String> {
        self.peek()?;
        let start = self.at;
        let mut escaped = false;
        let inner = self.text.as_bytes()[start + 1..].iter();
        let length = inner.take_while(|byte| {
            let ends = **byte == b'"' && !escaped;
            escaped = **byte == b'\\' && !escaped;
            !ends
        });
        self.at = start + 1 + length.count() + 1;
        // Half of a pair that stands for one character is no text.
        serde_json::from_str(self.text.get(start..self.at)?).ok()
    }

    fn number(&mut self) -> &str {
        let rest = &self.text[self.at..];
        let belongs = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
        let length = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn word(&mut self, word: &str, out: &mut Vec<u8>, form: &[u8]) -> Option<()> {
        self.at += word.len();
        out.extend(form);
        Some(())
    }

    /// Returns the next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        let blank = |byte: &&u8| matches!(**byte, b' ' | b'\t' | b'\n' | b'\r');
        self.at += rest.iter().take_while(blank).count();
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip(&mut self, byte: u8) {
        if self.peek() == Some(byte) {
            self.at += 1;
        }
    }
}

/// Writes `1`, `1.0`, `10e-1` and `1e0` alike, with all digits.
fn plain(number: &str) -> String {
    let (sign, number) = match number.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", number),
    };
    let (digits, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return "0".to_owned();
    }
    let length = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
    let shift = length(digits) - length(fraction);
    let written = exponent.parse::<i64>().ok();
    // The place of the point behind the first significant digit.
    let Some(point) = written.and_then(|written| written.checked_add(shift)) else {
        let exponent = exponent.trim_start_matches(['+', '0']);
        return format!("{sign}{significant}e{exponent}+{shift}");
    };
    if point.unsigned_abs() > LONGEST {
        return format!("{sign}{significant}e{point}");
    }
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or_default());
    let behind = length(significant) - point;
    if behind <= 0 {
        return format!("{sign}{significant}{}", zeros(-behind));
    }
    match usize::try_from(point) {
        Ok(point) if point > 0 => {
            let (whole, fraction) = significant.split_at(point);
            format!("{sign}{whole}.{fraction}")
        }
        _ => format!("{sign}0.{}{significant}", zeros(-point)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_form_and_all_its_digits() {
        for (number, expected) in [
            ("0", "0"),
            ("-0.0e5", "0"),
            ("1", "1"),
            ("1.0", "1"),
            ("10e-1", "1"),
            ("1E2", "100"),
            ("-1.50", "-1.5"),
            ("0.0015", "0.0015"),
            ("15e-4", "0.0015"),
            ("12345678901234567890123.4500", "12345678901234567890123.45"),
            ("1.000000000000000000001", "1.000000000000000000001"),
            ("-1.50e-30", "-0.0000000000000000000000000000015"),
            ("1e25", "10000000000000000000000000"),
            ("1e999", "1e1000"),
            ("10e998", "1e1000"),
            ("1e-99999999999999999999", "1e-99999999999999999999+1"),
            ("1e+099999999999999999999", "1e99999999999999999999+1"),
            ("0.1e-9223372036854775808", "1e-9223372036854775808"),
            ("0.01e-9223372036854775808", "1e-9223372036854775808+-1"),
            ("1e9223372036854775806", "1e9223372036854775807"),
        ] {
            assert_eq!(plain(number), expected, "{number}");
        }
        assert_eq!(plain("1e400"), plain("0.1e401"));
        for (left, right) in [
            ("1e999", "1e998"),
            ("1e9223372036854775807", "10e9223372036854775807"),
            ("1e9223372036854775807", "1e9223372036854775806"),
            ("1e99999999999999999999", "10e99999999999999999999"),
            ("1e-99999999999999999999", "0.1e-99999999999999999999"),
        ] {
            assert_ne!(plain(left), plain(right), "{left} {right}");
        }
    }

    #[test]
    fn the_same_document_has_one_form() {
        for (left, right) in [
            (
                r#"{"b": [1, 1.0, 1e2], "a": null}"#,
                r#"{"a":null,"b":[1.0,1,100]}"#,
            ),
            (r#"{"a": 1, "a": 2}"#, r#"{"a": 2}"#),
            (" [ true , false , { } , [ ] ] ", "[true,false,{},[]]"),
            (
                r#"{"n": [12345678901234567890123, 0.12345678901234567890, -1.50e-30, 1e25], "t": "\\u0000é"}"#,
                r#"{"n": [12345678901234567890123, 0.12345678901234567890, -0.00000000000000000000000000000150, 10000000000000000000000000], "t": "\\u0000é"}"#,
            ),
            (r#""\u00e9\n\"\\""#, "\"é\\n\\\"\\\\\""),
        ] {
            assert!(canonical(left).is_some(), "{left}");
            assert_eq!(canonical(left), canonical(right), "{left}");
        }
    }

    #[test]
    fn different_documents_differ() {
        let documents = [
            "null",
            "0",
            "\"0\"",
            "\"\"",
            "[]",
            "{}",
            "[[],[]]",
            "[[[]]]",
            "[1,2]",
            "[2,1]",
            "[\"a,b\"]",
            "[\"a\",\"b\"]",
            "1.00000000000000000001",
            "1",
            "true",
            "false",
            r#"{"a":{}}"#,
            r#"{"a":[]}"#,
        ];
        for (index, left) in documents.iter().enumerate() {
            for right in &documents[..index] {
                assert_ne!(canonical(left), canonical(right), "{left} {right}");
            }
        }
    }

    #[test]
    fn what_is_no_json_has_no_form() {
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        for text in [
            "",
            "no JSON",
            "[1,]",
            "{\"a\"}",
            "\"\\ud800\"",
            "1 2",
            "nul",
            &deep(1_000_000),
        ] {
            assert_eq!(canonical(text), None);
        }
        assert!(canonical(&deep(DEEPEST)).is_some());
    }

    #[test]
    fn an_escaped_nul_is_found() {
        assert!(holds_nul(r#"{"a": "x\u0000"}"#));
        assert!(holds_nul(r#""\\\u0000""#));
        assert!(!holds_nul(r#"["\\u0000"]"#));
    }
}
