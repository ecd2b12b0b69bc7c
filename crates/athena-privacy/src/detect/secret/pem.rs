//! Blocks with private keys, whole or torn off.

use super::super::scan::{Scan, is_word};
use super::{name, spoken};
use crate::kind::Kind;

/// The rule that finds blocks with private keys.
pub(in super::super) const PRIVATE_KEY: &str = "private_key";

/// The longest label of a block.
const LONGEST_LABEL: usize = 64;

/// From how many characters on a line in the middle of a block is key material.
const FULL_LINE: usize = 32;

/// The least key material of a block.
const LEAST: usize = 24;

/// Reports what begins with the dashes at `start`, a block or an option such as `--password x`, and
/// returns where to go on.
pub(in super::super) fn dashes(scan: &mut Scan<'_>, start: usize) -> usize {
    let end = scan.end_of(start, usize::MAX, |b| b == b'-');
    match end - start {
        1 => spoken::letter_option(scan, start),
        2 => option(scan, end),
        4 | 5 if scan.at(end) == b'B' || scan.has(end, b" BEGIN") => {
            return block(scan, start, end).unwrap_or(end);
        }
        _ => {}
    }
    end
}

/// Reports the value after the name of an option.
fn option(scan: &mut Scan<'_>, start: usize) {
    let end = scan.end_of(start, 48, |b| is_word(b) || b == b'-');
    if scan.at(end) != b' ' {
        return;
    }
    if let Some(strength) = name::strength(&scan.text[start..end]) {
        spoken::option_value(scan, end + 1, strength);
    }
}

/// Reports the block that begins at `start` and returns its end.
fn block(scan: &mut Scan<'_>, start: usize, label: usize) -> Option<usize> {
    let after = scan.end_of(label, LONGEST_LABEL, |b| {
        b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ' || b == b'2'
    });
    let text = scan.text[label..after].trim();
    let body = scan.end_of(after, 5, |b| b == b'-');
    if !text.starts_with("BEGIN ") || !text.contains("PRIVATE KEY") || body - after < 4 {
        return None;
    }
    let (end, material) = body_end(scan, body);
    if material < LEAST {
        return None;
    }
    let confidence = if scan.before(end) == b'-' { 0.99 } else { 0.9 };
    scan.report(Kind::Secret, PRIVATE_KEY, start..end, confidence);
    Some(end)
}

/// Returns the end of what follows a first line, with its last line if it has one, and how many
/// characters of key material there are.
fn body_end(scan: &Scan<'_>, start: usize) -> (usize, usize) {
    let mut end = start;
    let mut material = 0;
    let mut short = false;
    let mut position = start;
    loop {
        position = skip_space(scan, position);
        if let Some(closed) = last_line(scan, position) {
            return (closed, material);
        }
        if let Some(header) = header(scan, position) {
            position = header;
            continue;
        }
        let line = scan.end_of(position, usize::MAX, is_material);
        let length = line - position;
        if length == 0 || short || is_prose(scan, position, line) {
            return (end, material);
        }
        material += length;
        short = length < FULL_LINE;
        end = line;
        position = line;
    }
}

/// Steps over white space, also written as escapes, and what joins the lines of a literal.
fn skip_space(scan: &Scan<'_>, start: usize) -> usize {
    let mut position = start;
    loop {
        position += match (scan.at(position), scan.at(position + 1)) {
            (b'\\', b'n' | b'r' | b't' | b'\\' | b'"') => 2,
            (
                b' ' | b'\n' | b'\r' | b'\t' | b'"' | b'\'' | b'+' | b'|' | b'#' | b'>' | b','
                | b'\\',
                _,
            ) => 1,
            _ => return position,
        };
    }
}

/// Returns the end of the block's last line if it begins here.
fn last_line(scan: &Scan<'_>, start: usize) -> Option<usize> {
    let label = scan.end_of(start, 5, |b| b == b'-');
    let text = scan.bytes.get(label..)?;
    let text = text.strip_prefix(b" ").unwrap_or(text);
    if label - start < 4 || !text.starts_with(b"END ") {
        return None;
    }
    let dashes = scan.end_of(label, LONGEST_LABEL, |b| {
        b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' '
    });
    Some(scan.end_of(dashes, 5, |b| b == b'-'))
}

/// Returns the end of a line such as `Proc-Type: 4,ENCRYPTED`.
fn header(scan: &Scan<'_>, start: usize) -> Option<usize> {
    let name = scan.end_of(start, 24, |b| b.is_ascii_alphanumeric() || b == b'-');
    let known = [
        "Proc-Type",
        "DEK-Info",
        "Version",
        "Comment",
        "Hash",
        "Charset",
        "Subject",
    ];
    let is_header = known.contains(&&scan.text[start..name]) && scan.has(name, b": ");
    is_header.then(|| scan.end_of(name, 160, |b| b != b'\n' && b != b'\\'))
}

fn is_material(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=')
}

/// Whether a short line is a word of a sentence rather than the end of a key.
fn is_prose(scan: &Scan<'_>, start: usize, end: usize) -> bool {
    end - start < FULL_LINE
        && last_line(scan, skip_space(scan, end)).is_none()
        && (scan.at(end) == b' '
            || scan.text[start..end]
                .bytes()
                .all(|b| b.is_ascii_alphabetic()))
}
