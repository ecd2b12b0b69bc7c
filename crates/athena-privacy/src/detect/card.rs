//! Numbers of payment cards: an issuer's prefix and length, and Luhn's check digit.

use std::ops::Range;

use super::context::{self, Cue};
use super::national;
use super::scan::{Scan, is_word};
use crate::kind::Kind;

/// Issuers: the name, the first and last prefix, and the lengths.
#[rustfmt::skip]
const ISSUERS: [(&str, u32, u32, &[usize]); 20] = [
    ("visa", 4, 4, &[13, 16, 19]),
    ("mastercard", 51, 55, &[16]),
    ("mastercard", 2221, 2720, &[16]),
    ("amex", 34, 34, &[15]),
    ("amex", 37, 37, &[15]),
    ("discover", 6011, 6011, &[16, 17, 18, 19]),
    ("discover", 644, 649, &[16, 17, 18, 19]),
    ("discover", 65, 65, &[16, 17, 18, 19]),
    ("jcb", 35, 35, &[16, 17, 18, 19]),
    ("jcb", 2131, 2131, &[15]),
    ("jcb", 1800, 1800, &[15]),
    ("diners", 300, 305, &[14, 16]),
    ("diners", 3095, 3095, &[14]),
    ("diners", 36, 36, &[14]),
    ("diners", 38, 39, &[14]),
    ("unionpay", 62, 62, &[16, 17, 18, 19]),
    ("unionpay", 81, 81, &[16]),
    ("maestro", 50, 50, &[12, 13, 14, 15, 16, 17, 18, 19]),
    ("maestro", 56, 69, &[12, 13, 14, 15, 16, 17, 18, 19]),
    ("mir", 2200, 2204, &[16, 17, 18, 19]),
];

/// Words near a card's number, whatever other number is spoken of too.
const WORDS: [&str; 9] = [
    "card",
    "cards",
    "visa",
    "mastercard",
    "amex",
    "payment*",
    "kreditkarte",
    "tarjeta",
    "carte",
];

/// Reports a number if the digits can be one.
pub(super) fn find(scan: &mut Scan<'_>, digits: &[u8], range: Range<usize>, grouped: bool) {
    if digits.iter().all(|d| *d == digits[0]) || !luhn(digits) {
        return;
    }
    if is_part(scan, &range) || national::is_chinese(digits) {
        return;
    }
    let issuer = issuer(digits);
    let confidence = match (context::cue(scan, &range), issuer) {
        (Some(Cue::Card), Some(_)) => 0.98,
        (Some(Cue::Identifier), Some(_)) if context::mentions(scan, &range, &WORDS) => 0.85,
        (Some(Cue::Card), None) => 0.75,
        (Some(Cue::Identifier), None)
            if digits.len() == 16 && context::mentions(scan, &range, &WORDS) =>
        {
            0.72
        }
        (_, None) => return,
        (Some(Cue::Identifier | Cue::Version), _) => 0.4,
        (_, Some("maestro")) if !grouped || digits.len() != 16 => 0.6,
        (_, Some(_)) if grouped => 0.9,
        (_, Some(_)) if digits.len() == 16 || digits.len() == 15 => 0.8,
        (_, Some("visa" | "diners")) => 0.72,
        _ => 0.6,
    };
    scan.report(
        Kind::CreditCard,
        issuer.unwrap_or("card"),
        range,
        confidence,
    );
}

/// Whether groups of four before and after go on with the same number: that of an account.
fn is_part(scan: &Scan<'_>, range: &Range<usize>) -> bool {
    let four = |group: Option<&[u8]>| {
        group.is_some_and(|group| {
            group.iter().all(u8::is_ascii_alphanumeric) && group.iter().any(u8::is_ascii_digit)
        })
    };
    let before = range.start.saturating_sub(5)..range.start.saturating_sub(1);
    scan.before(range.start) == b' '
        && scan.at(range.end) == b' '
        && four(scan.bytes.get(before.clone()))
        && !is_word(scan.before(before.start))
        && four(scan.bytes.get(range.end + 1..range.end + 5))
        && !is_word(scan.at(range.end + 5))
}

fn issuer(digits: &[u8]) -> Option<&'static str> {
    let known = ISSUERS.iter().find(|(_, first, last, lengths)| {
        let prefix = prefix(digits, first.ilog10() as usize + 1);
        (*first..=*last).contains(&prefix) && lengths.contains(&digits.len())
    });
    known.map(|(name, ..)| *name)
}

fn prefix(digits: &[u8], length: usize) -> u32 {
    digits
        .iter()
        .take(length)
        .fold(0, |number, d| number * 10 + u32::from(d - b'0'))
}

/// Whether the last of some ASCII digits is Luhn's check digit of the others.
pub(super) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, d)| {
            let digit = u32::from(d - b'0');
            let doubled = if index % 2 == 1 { digit * 2 } else { digit };
            if doubled > 9 { doubled - 9 } else { doubled }
        })
        .sum();
    sum.is_multiple_of(10)
}
