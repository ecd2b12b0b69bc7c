//! International bank account numbers: a country's length, and 1 modulo 97.

use super::scan::{Scan, is_word};
use crate::kind::Kind;

const CONFIDENCE: f64 = 0.97;

/// A number that checks and has a character more or less than its country says.
const MISCOUNTED: f64 = 0.8;

/// Countries and the lengths of their numbers.
#[rustfmt::skip]
const LENGTHS: [(&[u8; 2], usize); 89] = [
    (b"AD", 24), (b"AE", 23), (b"AL", 28), (b"AT", 20), (b"AZ", 28), (b"BA", 20), (b"BE", 16),
    (b"BG", 22), (b"BH", 22), (b"BI", 27), (b"BR", 29), (b"BY", 28), (b"CH", 21), (b"CR", 22),
    (b"CY", 28), (b"CZ", 24), (b"DE", 22), (b"DJ", 27), (b"DK", 18), (b"DO", 28), (b"EE", 20),
    (b"EG", 29), (b"ES", 24), (b"FI", 18), (b"FK", 18), (b"FO", 18), (b"FR", 27), (b"GB", 22),
    (b"GE", 22), (b"GI", 23), (b"GL", 18), (b"GR", 27), (b"GT", 28), (b"HN", 28), (b"HR", 21),
    (b"HU", 28), (b"IE", 22), (b"IL", 23), (b"IQ", 23), (b"IS", 26), (b"IT", 27), (b"JO", 30),
    (b"KW", 30), (b"KZ", 20), (b"LB", 28), (b"LC", 32), (b"LI", 21), (b"LT", 20), (b"LU", 20),
    (b"LV", 21), (b"LY", 25), (b"MC", 27), (b"MD", 24), (b"ME", 22), (b"MK", 19), (b"MN", 20),
    (b"MR", 27), (b"MT", 31), (b"MU", 30), (b"NI", 28), (b"NL", 18), (b"NO", 15), (b"OM", 23),
    (b"PK", 24), (b"PL", 28), (b"PS", 29), (b"PT", 25), (b"QA", 29), (b"RO", 24), (b"RS", 22),
    (b"RU", 33), (b"SA", 24), (b"SC", 31), (b"SD", 18), (b"SE", 24), (b"SI", 19), (b"SK", 24),
    (b"SM", 27), (b"SO", 23), (b"ST", 25), (b"SV", 28), (b"TL", 23), (b"TN", 24), (b"TR", 26),
    (b"UA", 29), (b"VA", 22), (b"VG", 24), (b"XK", 20), (b"YE", 30),
];

/// Reports the number that begins at `start`.
pub(super) fn find(scan: &mut Scan<'_>, start: usize) {
    if !scan.at(start + 2).is_ascii_digit() || !scan.at(start + 3).is_ascii_digit() {
        return;
    }
    let country = [scan.at(start), scan.at(start + 1)].map(|b| b.to_ascii_uppercase());
    let Ok(known) = LENGTHS.binary_search_by(|(code, _)| (*code).cmp(&country)) else {
        return;
    };
    let length = LENGTHS[known].1;
    for (length, confidence) in [
        (length, CONFIDENCE),
        (length - 1, MISCOUNTED),
        (length + 1, MISCOUNTED),
    ] {
        if let Some(end) = end(scan, start, length)
            && remainder(&scan.bytes[start..end]) == 1
        {
            scan.report(Kind::Iban, "iban", start..end, confidence);
            return;
        }
    }
}

/// Returns where `length` letters and digits from `start` on end, with single separators between.
fn end(scan: &Scan<'_>, start: usize, length: usize) -> Option<usize> {
    let mut end = start;
    for count in 0..length {
        if count > 0 && count % 2 == 0 {
            end += separator(scan, end);
        }
        if !scan.at(end).is_ascii_alphanumeric() {
            return None;
        }
        end += 1;
    }
    (!is_word(scan.at(end))).then_some(end)
}

/// Returns the length of a space, dash or no-break space.
fn separator(scan: &Scan<'_>, position: usize) -> usize {
    match scan.at(position) {
        b' ' | b'-' => 1,
        0xC2 if scan.at(position + 1) == 0xA0 => 2,
        0xE2 if scan.has(position, "\u{202f}".as_bytes()) => 3,
        _ => 0,
    }
}

/// Returns the number modulo 97, its first four characters moved to the end.
fn remainder(number: &[u8]) -> u32 {
    let mut rotated = number[4..]
        .iter()
        .chain(&number[..4])
        .filter(|b| b.is_ascii_alphanumeric());
    rotated
        .try_fold(0, |rest, b| {
            let digit = char::from(*b).to_digit(36)?;
            Some((if digit > 9 { rest * 100 } else { rest * 10 } + digit) % 97)
        })
        .unwrap_or(0)
}
