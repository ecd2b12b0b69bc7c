//! Values assigned to names that say they are secret: settings, literals, headers, elements.

use std::ops::Range;

use super::super::context::ends_with_escape;
use super::super::scan::{Scan, is_word};
use super::name::{self, Strength};
use super::value::{self, Style};
use crate::kind::Kind;

/// The rule of a value next to a name.
pub(super) const RULE: &str = "assigned_secret";

/// Reports the value after the `=` or `:` at a position if the name before it announces a secret.
pub(in super::super) fn assigned(scan: &mut Scan<'_>, position: usize) {
    let sign = scan.at(position);
    let (before, after) = (scan.before(position), scan.at(position + 1));
    let compares =
        matches!(before, b'=' | b'!' | b'<' | b'>' | b'~') || (after == b'=' && sign == b'=');
    if (compares && !is_equal_to_literal(scan, position))
        || (sign == b':' && (before == b':' || after == b':'))
    {
        return;
    }
    let name_end = name_end(scan, position);
    let name_start = name_start(scan, name_end);
    let name = &scan.bytes[name_start..name_end];
    if name_start == name_end || !(name::is_candidate(name) || name == b"value") {
        return;
    }
    let Some(strength) = strength(scan, name_start..name_end) else {
        return;
    };
    // What is compared with a password is as often a word of a test as a password.
    if compares && strength != Strength::Token {
        return;
    }
    let value = value_start(scan, position + 1, sign);
    report_value(scan, name_start, position, value, strength);
}

/// Reports the value after the wide colon at a position: `密码：…`.
pub(in super::super) fn after_wide_colon(scan: &mut Scan<'_>, position: usize) {
    let name = name_start(scan, position)..position;
    let Some(strength) = strength(scan, name.clone()) else {
        return;
    };
    let value = value_start(scan, position + '：'.len_utf8(), b':');
    report_value(scan, name.start, position, value, strength);
}

/// Whether the sign at a position ends `==` or `!=` with a literal behind it.
fn is_equal_to_literal(scan: &Scan<'_>, position: usize) -> bool {
    let literal = scan.end_of(position + 1, 2, |b| b == b' ');
    scan.at(position) == b'='
        && matches!(scan.before(position), b'=' | b'!')
        && matches!(scan.at(literal), b'"' | b'\'')
}

/// Reports the content of the element whose `>` stands at a position, as in `<password>x</password>`.
pub(in super::super) fn element(scan: &mut Scan<'_>, position: usize) {
    if !is_word(scan.before(position)) || scan.at(position + 1) == b'<' {
        return;
    }
    let start = name_start(scan, position);
    if scan.before(start) != b'<' || !name::is_candidate(&scan.bytes[start..position]) {
        return;
    }
    let Some(strength) = name::strength(&scan.text[start..position]) else {
        return;
    };
    let end = scan.end_of(position + 1, value::LONGEST, |b| !matches!(b, b'<' | b'\n'));
    if scan.has(end, b"</") {
        report(scan, position + 1..end, strength, Style::Quoted);
    }
}

/// Reports the whole text if it is the value of a field whose name announces a secret.
pub(in super::super) fn whole_field(scan: &mut Scan<'_>) {
    let Some(strength) = name::strength(&scan.field.name) else {
        return;
    };
    let trimmed = scan.text.trim();
    let start = scan.text.len() - scan.text.trim_start().len();
    let range = start..start + trimmed.len();
    let scheme = ["Bearer ", "bearer ", "Basic ", "Token ", "token "]
        .iter()
        .find(|scheme| trimmed.starts_with(**scheme));
    let range = range.start + scheme.map_or(0, |scheme| scheme.len())..range.end;
    if range.is_empty() {
        return;
    }
    let plausible = value::confidence(&scan.text[range.clone()], strength, Style::Quoted);
    if let Some(confidence) = plausible {
        scan.report(Kind::Secret, RULE, range, confidence.max(0.85));
    }
}

/// Reports a value if it can be a secret.
pub(super) fn report(scan: &mut Scan<'_>, range: Range<usize>, strength: Strength, style: Style) {
    let Some(text) = scan.text.get(range.clone()).filter(|text| !text.is_empty()) else {
        return;
    };
    if let Some(confidence) = value::confidence(text, strength, style) {
        scan.report(Kind::Secret, RULE, range, confidence);
    }
}

/// Returns the end of the name before a sign, without white space, quotation marks and emphasis.
fn name_end(scan: &Scan<'_>, position: usize) -> usize {
    scan.start_of(position, 8, |b| {
        matches!(
            b,
            b' ' | b'\t'
                | b'"'
                | b'\''
                | b'`'
                | b'*'
                | b']'
                | b'\\'
                | b'?'
                | b':'
                | b'|'
                | b')'
                | b'='
                | b'!'
        )
    })
}

fn name_start(scan: &Scan<'_>, end: usize) -> usize {
    let start = scan.start_of(end, name::LONGEST, |b| {
        is_word(b) || matches!(b, b'-' | b'.') || b >= 0x80
    });
    let start = match start < end && ends_with_escape(&scan.bytes[..=start]) {
        true => start + 1,
        false => start,
    };
    let boundary = (start..end).find(|position| scan.text.is_char_boundary(*position));
    boundary.unwrap_or(end)
}

/// Returns what a name announces, with the words before it in a sentence: `API key:`.
fn strength(scan: &Scan<'_>, name: Range<usize>) -> Option<Strength> {
    let text = &scan.text[name.clone()];
    let own = name::strength(text);
    let in_query = matches!(scan.before(name.start), b'?' | b'&');
    if in_query && text.to_ascii_lowercase().ends_with("signature") {
        return Some(Strength::Token);
    }
    if own.is_some() || scan.before(name.start) != b' ' {
        return own;
    }
    if text == "value" {
        return attribute(scan, name.start).and_then(name::strength);
    }
    let earlier = name_start(scan, name.start - 1);
    name::strength(&scan.text[earlier..name.end])
}

/// Returns the name that the attribute before `value` gives: `<add key="ApiSecret" value="…">`.
fn attribute<'t>(scan: &Scan<'t>, value: usize) -> Option<&'t str> {
    let line = scan
        .text
        .get(scan.start_of(value, 96, |b| b != b'\n')..value)?;
    let (before, name) = line.trim_end().strip_suffix('"')?.rsplit_once('"')?;
    let named = ["key=", "name=", "Key=", "Name="];
    named
        .iter()
        .any(|attribute| before.ends_with(attribute))
        .then_some(name)
}

/// Returns where the value begins after a sign.
fn value_start(scan: &Scan<'_>, start: usize, sign: u8) -> usize {
    let start = if matches!(scan.at(start), b'=' | b'>') {
        start + 1
    } else {
        start
    };
    let start = if sign == b':' {
        scan.end_of(start, 2, |b| b == b'*')
    } else {
        start
    };
    scan.end_of(start, 16, |b| matches!(b, b' ' | b'\t'))
}

fn report_value(scan: &mut Scan<'_>, name: usize, sign: usize, start: usize, strength: Strength) {
    let start = after_scheme(scan, after_prefix(scan, start));
    let (open, quote) = opening(scan, start);
    if let Some(quote) = quote {
        if let Some(end) = closing(scan, open, quote) {
            let inner = after_scheme(scan, open);
            report(scan, inner..end, strength, Style::Quoted);
        }
        return;
    }
    let end = bare_end(scan, start);
    let style = style(scan, name, sign, start..end);
    report(scan, start..end, strength, style);
}

/// Steps over the letter before a literal, as in `b"x"`, and an annotation, as in `str = "x"`.
fn after_prefix(scan: &Scan<'_>, start: usize) -> usize {
    let types: [&[u8]; 5] = [
        b"str = ",
        b"string = ",
        b"String = ",
        b"&str = ",
        b"&'static str = ",
    ];
    if let Some(annotation) = types.iter().find(|annotation| scan.has(start, annotation)) {
        return start + annotation.len();
    }
    let literal = matches!(scan.at(start), b'b' | b'r' | b'f' | b'u' | b'@')
        && matches!(scan.at(start + 1), b'"' | b'\'');
    start + usize::from(literal)
}

/// Steps over the scheme of an `Authorization` header.
fn after_scheme(scan: &Scan<'_>, start: usize) -> usize {
    let schemes: [&[u8]; 8] = [
        b"Bearer ", b"bearer ", b"Basic ", b"basic ", b"Token ", b"token ", b"ApiKey ", b"token=",
    ];
    schemes
        .iter()
        .find(|scheme| scan.has(start, scheme))
        .map_or(start, |scheme| start + scheme.len())
}

/// Returns where the content begins and the quotation mark before it, with its escapes.
fn opening<'t>(scan: &Scan<'t>, start: usize) -> (usize, Option<&'t [u8]>) {
    let marks = scan.end_of(start, 8, |b| matches!(b, b'\\' | b'"' | b'\'' | b'`'));
    let triple = scan.has(start, b"\"\"\"") || scan.has(start, b"'''");
    let slashes = scan.end_of(start, 4, |b| b == b'\\');
    if marks == start || slashes == marks {
        return (start, None);
    }
    let end = if triple { start + 3 } else { slashes + 1 };
    (end, Some(&scan.bytes[start..end]))
}

/// Returns where a literal ends that was opened by these marks.
fn closing(scan: &Scan<'_>, start: usize, marks: &[u8]) -> Option<usize> {
    let limit = (start + value::LONGEST).min(scan.bytes.len());
    let content = scan.bytes.get(start..limit)?;
    let mut end = memchr::memmem::find(content, marks)?;
    while marks.len() == 1
        && end > 0
        && content[end - 1] == b'\\'
        && content.get(end - 2) != Some(&b'\\')
    {
        end += 1 + memchr::memchr(marks[0], &content[end + 1..])?;
    }
    (memchr::memchr(b'\n', &content[..end]).is_none()).then_some(start + end)
}

/// Returns the end of a value without quotation marks.
pub(super) fn bare_end(scan: &Scan<'_>, start: usize) -> usize {
    let mut end = scan.end_of(start, value::LONGEST + 1, |b| {
        b > b' ' && !matches!(b, b'"' | b'\'' | b'`' | b';' | b'<' | b'|' | b'\\' | 0x7F)
    });
    if let Some(next) = next_parameter(&scan.bytes[start..end]) {
        end = start + next;
    }
    if let Some(stop) = scan.bytes[start..end]
        .windows(2)
        .position(|pair| pair == b"),")
    {
        end = start + stop;
    }
    while end > start {
        let drop = match scan.at(end - 1) {
            b',' | b'.' | b':' | b'?' => true,
            b'*' => scan.has(end - 1, b"*"),
            b')' => !scan.bytes[start..end].contains(&b'('),
            b']' => !scan.bytes[start..end].contains(&b'['),
            b'}' => !scan.bytes[start..end].contains(&b'{'),
            _ => false,
        };
        if !drop {
            break;
        }
        end -= 1;
    }
    let end = scan.text.floor_char_boundary(end);
    match memchr::memchr(b',', &scan.bytes[start..end]) {
        Some(comma)
            if scan.bytes[start + comma..end].contains(&b'=')
                || scan.bytes[start + comma..end].contains(&b':') =>
        {
            start + comma
        }
        _ => end,
    }
}

/// Returns where a query's next parameter begins.
fn next_parameter(value: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'&', value).find(|sign| {
        let rest = &value[sign + 1..];
        let name = rest
            .iter()
            .take_while(|b| is_word(**b) || matches!(b, b'-' | b'.'))
            .count();
        rest.is_empty() || name > 0 && matches!(rest.get(name), Some(b'=' | b';'))
    })
}

/// Returns how a value without quotation marks stands: as a setting only where no name of a variable
/// could stand.
fn style(scan: &Scan<'_>, name: usize, sign: usize, value: Range<usize>) -> Style {
    let equals = scan.at(sign) == b'=';
    let tight = !matches!(scan.before(sign), b' ' | b'\t') && value.start == sign + 1;
    let next = scan.at(value.end);
    let name = &scan.bytes[name..sign];
    let upper = name.iter().any(u8::is_ascii_uppercase) && !name.iter().any(u8::is_ascii_lowercase);
    let option = name.starts_with(b"--");
    let ends_line = matches!(
        next,
        0 | b'\n' | b'\r' | b';' | b' ' | b'"' | b'&' | b'<' | b'\''
    );
    if equals
        && tight
        && ends_line
        && (upper || option || next == b';' || next == b'&' || name[0].is_ascii_uppercase())
    {
        Style::Setting
    } else {
        Style::Bare
    }
}
