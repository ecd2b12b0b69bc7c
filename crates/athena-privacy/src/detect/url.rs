//! URLs with credentials, and the secrets in the queries of others.

use std::ops::Range;

use super::email::is_reserved;
use super::scan::Scan;
use super::secret;
use crate::kind::Kind;

const CONFIDENCE: f64 = 0.95;

/// The longest scheme.
const LONGEST_SCHEME: usize = 32;

/// The longest user, password, host and port.
const LONGEST_AUTHORITY: usize = 512;

/// The longest URL that is looked at.
const LONGEST: usize = 4096;

/// Reports the URL whose `://` stands at `colon` if it has credentials, and returns where to go on.
pub(super) fn find(scan: &mut Scan<'_>, colon: usize) -> usize {
    let authority = colon + 3;
    let start = scan.start_of(colon, LONGEST_SCHEME, |b| {
        b.is_ascii_alphanumeric() || matches!(b, b'+' | b'.' | b'-')
    });
    let end = scan.end_of(authority, LONGEST_AUTHORITY, |b| {
        is_url(b) && !matches!(b, b'/' | b'?' | b'#')
    });
    let Some(at) = memchr::memrchr(b'@', &scan.bytes[authority..end]) else {
        return authority;
    };
    let userinfo = &scan.text[authority..authority + at];
    let host = &scan.text[authority + at + 1..end];
    if start == colon
        || host.is_empty()
        || !has_credentials(&scan.text[start..colon], userinfo, host)
    {
        return authority;
    }
    let end = trimmed_end(scan, start..scan.end_of(end, LONGEST, is_url));
    scan.report(Kind::Url, "url_credentials", start..end, CONFIDENCE);
    end.max(authority)
}

fn has_credentials(scheme: &str, userinfo: &str, host: &str) -> bool {
    let name = host.split(':').next().unwrap_or_default();
    match userinfo.split_once(':') {
        Some((_, "")) => is_token(scheme, userinfo.trim_end_matches(':')),
        Some((user, password)) => {
            let stands_in = secret::is_placeholder(password) || is_template(user);
            let sample = secret::is_sample_user(user) || is_reserved(name) || user == password;
            !is_template(password)
                && !is_template(host)
                && !(stands_in && (sample || is_template(user)))
        }
        None => is_token(scheme, userinfo),
    }
}

/// Whether a user without a password is a token, as git takes them.
fn is_token(scheme: &str, user: &str) -> bool {
    scheme.starts_with("http") | scheme.ends_with("http") | scheme.ends_with("https")
        && user.len() >= 16
        && user.bytes().any(|b| b.is_ascii_digit())
        && !is_template(user)
        && !secret::is_placeholder(user)
}

fn is_template(part: &str) -> bool {
    part.contains(['{', '}', '<', '>', '$', '[', '…'])
        || part.contains("***")
        || part.contains("...")
        || (part.starts_with('%') && !part[1..].starts_with(|c: char| c.is_ascii_hexdigit()))
        || part.to_ascii_lowercase().contains("xxxx")
}

/// Whether a byte may stand in a URL within a text.
fn is_url(b: u8) -> bool {
    b > b' '
        && !matches!(
            b,
            b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\' | b'|' | b'^' | 0x7F..
        )
}

/// Returns the end of a URL without the punctuation of the sentence around it.
fn trimmed_end(scan: &Scan<'_>, range: Range<usize>) -> usize {
    let mut end = range.end;
    while let Some(last) = scan.text[range.start..end].chars().next_back() {
        let drop = match last {
            '.' | ',' | ';' | ':' | '!' | '?' | '*' | '_' | '~' => true,
            ')' => unbalanced(scan, &range, end, b'(', b')'),
            ']' => unbalanced(scan, &range, end, b'[', b']'),
            '}' => unbalanced(scan, &range, end, b'{', b'}'),
            _ => false,
        };
        if !drop {
            break;
        }
        end -= last.len_utf8();
    }
    end
}

fn unbalanced(scan: &Scan<'_>, range: &Range<usize>, end: usize, open: u8, close: u8) -> bool {
    let count = |byte| memchr::memchr_iter(byte, &scan.bytes[range.start..end]).count();
    count(close) > count(open)
}
