//! One way of writing for values that are written in many.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::kind::Kind;

/// Returns the value as it is written once for its kind, so that equal values are equal texts.
///
/// An e-mail address is in lower case; a telephone number `+` and digits, with its extension after
/// `x`; a card's and a person's number capitals and digits; an IBAN the same; an address of the
/// internet protocol its canonical form; a path without a separator at its end. Other kinds are
/// returned as they are.
#[must_use]
pub fn normalise<'v>(kind: &Kind, value: &'v str) -> Cow<'v, str> {
    match kind {
        Kind::Email => email(value),
        Kind::Phone => Cow::Owned(phone(value)),
        Kind::CreditCard | Kind::Iban | Kind::UsSsn | Kind::NationalId => {
            Cow::Owned(identifier(value))
        }
        Kind::IpAddress => ip(value),
        Kind::Path => Cow::Borrowed(path(value)),
        Kind::Url | Kind::Secret | Kind::Custom(_) => Cow::Borrowed(value),
    }
}

fn email(value: &str) -> Cow<'_, str> {
    let visible = |c: &char| !is_invisible(*c);
    if value.chars().all(|c| !c.is_uppercase() && visible(&c)) && !value.contains("%40") {
        return Cow::Borrowed(value);
    }
    let value = value.replace("%40", "@");
    Cow::Owned(
        value
            .chars()
            .filter(visible)
            .flat_map(char::to_lowercase)
            .collect(),
    )
}

fn phone(value: &str) -> String {
    let lower = value.to_lowercase();
    let mark = lower.find(['x', 'e', 'д', ',']).unwrap_or(lower.len());
    let (number, extension) = lower.split_at(mark);
    let number = number.replace("(0)", "");
    let digits: String = number.chars().filter_map(digit).collect();
    let extension: String = extension.chars().filter_map(digit).collect();
    let international = number
        .trim_start_matches(['(', ' '])
        .starts_with(['+', '＋']);
    let mut normal = match digits.strip_prefix("00") {
        Some(rest) if !international => format!("+{rest}"),
        _ if international => format!("+{digits}"),
        _ => digits,
    };
    if !extension.is_empty() {
        normal.push('x');
        normal.push_str(&extension);
    }
    normal
}

fn identifier(value: &str) -> String {
    let keep = |c: char| digit(c).or_else(|| c.is_alphanumeric().then_some(c));
    value
        .chars()
        .filter_map(keep)
        .flat_map(char::to_uppercase)
        .collect()
}

fn ip(value: &str) -> Cow<'_, str> {
    let Ok(address) = value.parse::<IpAddr>() else {
        return Cow::Borrowed(value);
    };
    let canonical = address.to_string();
    if canonical == value {
        Cow::Borrowed(value)
    } else {
        Cow::Owned(canonical)
    }
}

fn path(value: &str) -> &str {
    let trimmed = value.trim_end_matches(['/', '\\']);
    if trimmed.is_empty() { value } else { trimmed }
}

/// Returns a digit of any of the scripts that are found as ASCII.
fn digit(c: char) -> Option<char> {
    let zero = match c {
        '0'..='9' => return Some(c),
        '\u{660}'..='\u{669}' => 0x660,
        '\u{6f0}'..='\u{6f9}' => 0x6f0,
        '\u{966}'..='\u{96f}' => 0x966,
        '\u{ff10}'..='\u{ff19}' => 0xff10,
        _ => return None,
    };
    char::from_digit(u32::from(c) - zero, 10)
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: &Kind, values: &[&str], expected: &str) {
        for value in values {
            assert_eq!(normalise(kind, value), expected, "{value}");
            assert_eq!(normalise(kind, expected), expected);
        }
    }

    #[test]
    fn equal_values_are_written_once() {
        check(
            &Kind::Email,
            &["Ada@Corp.COM", "ada@corp.com", "ada%40corp.com"],
            "ada@corp.com",
        );
        check(&Kind::Email, &["Ärger@münchen.DE"], "ärger@münchen.de");
        check(
            &Kind::Phone,
            &["+44 (0)20 7946-0958", "0044 20 7946 0958"],
            "+442079460958",
        );
        check(
            &Kind::Phone,
            &["(555) 123-4567 ext. 12", "555.123.4567x12"],
            "5551234567x12",
        );
        check(&Kind::Phone, &["+４９ ３０ １２３４５６"], "+4930123456");
        check(
            &Kind::CreditCard,
            &["4111-1111 1111 1111"],
            "4111111111111111",
        );
        check(
            &Kind::Iban,
            &["de89 3704 0044 0532 0130 00"],
            "DE89370400440532013000",
        );
        check(&Kind::NationalId, &["ab 12-34.56 c"], "AB123456C");
        check(&Kind::IpAddress, &["2A00:1450:0:0::0:1"], "2a00:1450::1");
        check(&Kind::Path, &["/home/ada/", "/home/ada"], "/home/ada");
        check(&Kind::Path, &[r"C:\Users\ada\"], r"C:\Users\ada");
        check(&Kind::Secret, &["aB cD"], "aB cD");
    }
}
