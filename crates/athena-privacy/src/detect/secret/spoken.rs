//! Secrets in sentences and commands: `the password is …`, `Bearer …`, `--token …`.

use std::ops::Range;

use super::super::scan::{Scan, is_word};
use super::assigned::{RULE, bare_end, report};
use super::name::Strength;
use super::value::{self, Style};
use crate::kind::Kind;

/// How many words may stand between `password` and `is`.
const REACH: usize = 7;

/// Reports the secret that a word announces.
#[inline]
pub(super) fn find(scan: &mut Scan<'_>, start: usize, end: usize) {
    let word = &scan.bytes[start..end];
    match (word.len(), word[0] | 0x20) {
        (6, b'b') if word.eq_ignore_ascii_case(b"bearer") => bearer(scan, end),
        (5, b'b') if word == b"Basic" || word == b"basic" => basic(scan, end),
        (11, b'r') if word == b"requirepass" => command_value(scan, end),
        (2, b'b') if word.eq_ignore_ascii_case(b"by") => identified_by(scan, start, end),
        (2 | 3 | 6 | 8 | 10, b'p')
        | (5, b't' | b's')
        | (6, b's' | b'a')
        | (3, b'k')
        | (8 | 10, b'c') => {
            if let Some(strength) = announced(scan, start..end) {
                let end = end
                    + if scan.has(end, "ña".as_bytes()) {
                        3
                    } else {
                        0
                    };
                announcement(scan, end, strength);
            }
        }
        _ => {}
    }
}

/// Reports the value after the name of an option.
pub(super) fn option_value(scan: &mut Scan<'_>, start: usize, strength: Strength) {
    let quote = scan.at(start);
    if matches!(quote, b'"' | b'\'') {
        let end = scan.end_of(start + 1, value::LONGEST, |b| b != quote && b != b'\n');
        report(scan, start + 1..end, strength, Style::Quoted);
    } else if quote != b'-' {
        let end = bare_end(scan, start);
        report(scan, start..end, strength, Style::Setting);
    }
}

/// Reports the password that a command takes with a letter: `docker login -p …`, `curl -u name:…`.
pub(super) fn letter_option(scan: &mut Scan<'_>, dash: usize) {
    const COMMANDS: [(u8, &[&str]); 3] = [
        (
            b'p',
            &[
                "docker", "sshpass", "podman", "az", "helm", "skopeo", "crane", "oc",
            ],
        ),
        (b'a', &["redis-cli", "keydb-cli", "valkey-cli"]),
        (b'u', &["curl", "http", "https", "wget", "xh"]),
    ];
    let letter = scan.at(dash + 1);
    let Some((_, commands)) = COMMANDS.iter().find(|(option, _)| *option == letter) else {
        return;
    };
    if scan.before(dash) != b' ' || scan.at(dash + 2) != b' ' {
        return;
    }
    let line = scan.start_of(dash, 120, |b| b != b'\n');
    let line = scan.text.get(line..dash).unwrap_or_default();
    let mut words = line.split([' ', '/', '`', '$']);
    let Some(command) = words.find(|word| commands.contains(word)) else {
        return;
    };
    // Elsewhere the letter stands for a port or a profile.
    if letter == b'p' && command != "sshpass" && !words.any(|word| word == "login") {
        return;
    }
    if letter == b'u' {
        credentials(scan, dash + 3);
    } else {
        command_value(scan, dash + 2);
    }
}

/// Reports what follows the colon of `name:password`.
fn credentials(scan: &mut Scan<'_>, start: usize) {
    let start = start + usize::from(matches!(scan.at(start), b'"' | b'\''));
    let name = scan.end_of(start, 64, |b| is_word(b) || matches!(b, b'-' | b'.' | b'@'));
    if name > start && scan.at(name) == b':' {
        let end = bare_end(scan, name + 1);
        report(scan, name + 1..end, Strength::Password, Style::Setting);
    }
}

/// Reports the value after a word of a command, with or without quotation marks.
fn command_value(scan: &mut Scan<'_>, space: usize) {
    if scan.at(space) == b' ' {
        option_value(scan, space + 1, Strength::Password);
    }
}

/// Reports the literal of `IDENTIFIED BY '…'`.
fn identified_by(scan: &mut Scan<'_>, start: usize, end: usize) {
    let said = scan
        .bytes
        .get(start.saturating_sub(11)..start)
        .is_some_and(|before| before.eq_ignore_ascii_case(b"identified "));
    if said && scan.at(end) == b' ' && scan.at(end + 1) == b'\'' {
        option_value(scan, end + 1, Strength::Password);
    }
}

fn announced(scan: &Scan<'_>, range: Range<usize>) -> Option<Strength> {
    let mut buffer = [0; 10];
    let word = buffer.get_mut(..range.len())?;
    word.copy_from_slice(&scan.bytes[range.clone()]);
    word.make_ascii_lowercase();
    match &*word {
        b"password" | b"passwd" | b"pwd" | b"passphrase" | b"passwort" | b"passcode" | b"pw"
        | b"senha" | b"contrasena" => Some(Strength::Password),
        b"contrase" if scan.has(range.end, "ña".as_bytes()) => Some(Strength::Password),
        b"token" | b"secret" | b"apikey" | b"credential" => Some(Strength::Token),
        b"key" => {
            let before = scan.text[..range.start].trim_end_matches([' ', '-']);
            let qualified = [
                "API",
                "api",
                "Api",
                "access",
                "secret",
                "private",
                "Secret",
                "Access",
                "license",
                "encryption",
                "master",
            ];
            qualified
                .iter()
                .any(|word| before.ends_with(word))
                .then_some(Strength::Token)
        }
        _ => None,
    }
}

/// Reports the value after `is` within the sentence, or right after the word.
fn announcement(scan: &mut Scan<'_>, end: usize, strength: Strength) {
    if scan.at(end) != b' ' {
        return;
    }
    let mut position = end + 1;
    for distance in 0..=REACH {
        let word = scan.end_of(position, 48, |b| b.is_ascii_graphic());
        if distance == 0 && said(scan, position, strength) {
            return;
        }
        let text = &scan.bytes[position..word];
        if matches!(
            text,
            b"is"
                | b"was"
                | b"is:"
                | b"as"
                | b"to"
                | b"ist"
                | b"lautet"
                | b"es"
                | b"est"
                | b"="
                | b"->"
                | b"=>"
                | b"are"
                | b"of"
                | b"with"
        ) && scan.at(word) == b' '
            && said(scan, scan.end_of(word, 4, |b| b == b' '), strength)
        {
            return;
        }
        if text.ends_with(b":") && scan.at(word) == b' ' {
            said(scan, word + 1, strength);
            return;
        }
        let ends = text.is_empty() || matches!(text[text.len() - 1], b'.' | b'!' | b'?' | b';');
        if ends || scan.at(word) != b' ' {
            return;
        }
        position = word + 1;
    }
}

/// Reports the value at a position of a sentence, and returns whether there was one.
fn said(scan: &mut Scan<'_>, start: usize, strength: Strength) -> bool {
    let start = scan.end_of(start, 2, |b| b == b'*');
    let quote = scan.at(start);
    let before = scan.found();
    if matches!(quote, b'"' | b'\'' | b'`') {
        let end = scan.end_of(start + 1, 128, |b| b != quote && b != b'\n');
        if scan.at(end) == quote {
            report(scan, start + 1..end, strength, Style::Quoted);
        }
    } else {
        let end = bare_end(scan, start);
        let end = if scan.before(end) == b'!'
            && !scan.text[start..end].bytes().any(|b| b.is_ascii_digit())
        {
            end - 1
        } else {
            end
        };
        if !is_measure(&scan.text[start..end]) {
            report(scan, start..end, strength, Style::Prose);
        }
    }
    scan.found() > before
}

/// Whether a word of a sentence is a number with a unit or a name rather than a secret.
fn is_measure(word: &str) -> bool {
    let letters =
        word.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | '-' | '/'));
    let ordinal = letters.len() < word.len() && letters.len() <= 3 || letters.contains("-char");
    let hyphenated = word.split('-').all(|part| {
        part.bytes().all(|b| b.is_ascii_lowercase()) || part.bytes().all(|b| b.is_ascii_digit())
    });
    ordinal && word.len() < 8
        || letters.starts_with("-")
        || hyphenated && word.contains('-') && word.len() < 16
}

/// Reports the token after `Bearer`.
fn bearer(scan: &mut Scan<'_>, end: usize) {
    if scan.at(end) != b' ' {
        return;
    }
    let token = scan.end_of(end + 1, value::LONGEST, |b| {
        is_word(b) || matches!(b, b'-' | b'.' | b'~' | b'+' | b'/' | b'=')
    });
    let token = scan.start_of(token, 2, |b| b == b'.');
    let padding = scan.start_of(token, 2, |b| b == b'=');
    if token > end + 16 && !scan.bytes[end..padding].contains(&b'=') {
        report(scan, end + 1..token, Strength::Token, Style::Quoted);
    }
}

/// Reports the credentials after `Basic`: base64 of a name, a colon and a password.
fn basic(scan: &mut Scan<'_>, end: usize) {
    let token = scan.end_of(end + 1, value::LONGEST, |b| {
        b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=')
    });
    if scan.at(end) == b' ' && token > end + 8 && decodes_to_pair(&scan.bytes[end + 1..token]) {
        scan.report(Kind::Secret, RULE, end + 1..token, 0.9);
    }
}

/// Whether base64 decodes to printable text with a colon in it.
fn decodes_to_pair(text: &[u8]) -> bool {
    let sextet = |b: &u8| match b {
        b'A'..=b'Z' => Some(b - b'A'),
        b'a'..=b'z' => Some(b - b'a' + 26),
        b'0'..=b'9' => Some(b - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let mut bits = 0_u32;
    let mut count = 0;
    let mut colon = false;
    for value in text.iter().map_while(sextet) {
        bits = (bits << 6 | u32::from(value)) & 0xFFFF;
        count += 6;
        if count >= 8 {
            count -= 8;
            let byte = (bits >> count) & 0xFF;
            if byte < 32 || byte == 127 {
                return false;
            }
            colon |= byte == u32::from(b':');
        }
    }
    colon
}
