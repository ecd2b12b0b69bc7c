//! E-mail addresses, found from their `@` or `%40`.

use std::ops::Range;

use super::scan::Scan;
use crate::kind::Kind;

const CONFIDENCE: f64 = 0.95;

/// The longest local part, in characters.
const LONGEST_LOCAL: usize = 64;

/// The longest domain, in bytes.
const LONGEST_DOMAIN: usize = 253;

/// Endings of file names and units that look like top-level domains.
#[rustfmt::skip]
const NOT_TOP_LEVEL: [&str; 37] = [
    "png", "jpg", "jpeg", "gif", "svg", "webp", "ico", "bmp", "avif", "css", "scss", "js", "mjs",
    "cjs", "jsx", "tsx", "ts", "json", "html", "htm", "xml", "yaml", "yml", "toml", "lock", "txt",
    "pdf", "tgz", "gz", "exe", "dll", "service", "socket", "timer", "target", "slice", "mount",
];

/// What stands before the label of an outer scope in Kotlin: `this@Outer.field`.
const SCOPES: [&str; 5] = ["this", "super", "return", "break", "continue"];

/// Users of version control over ssh.
const REPOSITORY_USERS: [&str; 6] = ["git", "hg", "svn", "gitea", "gitlab", "gogs"];

/// Reports the address whose sign stands at `at` and whose domain begins at `domain`.
pub(super) fn find(scan: &mut Scan<'_>, at: usize, domain: usize) {
    let Some(local) = local(scan, at) else { return };
    let Some(end) = domain_end(scan, domain) else {
        return;
    };
    let host = &scan.text[domain..end];
    if SCOPES.contains(&&scan.text[local.clone()]) {
        return;
    }
    if is_reserved(host) || is_version(host) || is_remote(scan, &local, at, end) {
        return;
    }
    scan.report(Kind::Email, "email", local.start..end, CONFIDENCE);
}

/// Whether a domain is one of those that stand in examples, which belong to nobody.
pub(super) fn is_reserved(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let mut labels = host.rsplit('.');
    match labels.next() {
        Some("example" | "test" | "invalid" | "localhost") => true,
        Some("com" | "org" | "net" | "edu") => labels.next() == Some("example"),
        _ => false,
    }
}

/// Returns where the local part stands.
fn local(scan: &Scan<'_>, at: usize) -> Option<Range<usize>> {
    if scan.before(at) == b'"' {
        return quoted_local(scan, at);
    }
    let mut start = at;
    let characters = scan.text[..at].char_indices().rev().take(LONGEST_LOCAL + 1);
    for (count, (position, c)) in characters.enumerate() {
        if !is_local(c) {
            break;
        }
        if count == LONGEST_LOCAL {
            return None;
        }
        start = position;
    }
    start = after_escape(scan, start, at);
    let trimmed = scan.text[start..at].trim_start_matches(['.', '\'', '-', '%', '+', '&', '_']);
    let underscored = scan.text[start..at - trimmed.len()]
        .trim_end_matches('_')
        .len();
    let start = if underscored == 0 {
        start
    } else {
        at - trimmed.len()
    };
    let valid = !trimmed.is_empty() && !trimmed.ends_with('.') && !trimmed.contains("..");
    (valid && !is_in_authority(scan, start)).then_some(start..at)
}

/// Returns where a local part in quotation marks stands.
fn quoted_local(scan: &Scan<'_>, at: usize) -> Option<Range<usize>> {
    let close = at - 1;
    let open = scan.start_of(close, LONGEST_LOCAL, |b| !matches!(b, b'"' | b'\n' | b'@'));
    let quoted = scan.before(open) == b'"' && open < close;
    (quoted && !super::scan::is_word(scan.before(open - 1))).then(|| open - 1..at)
}

/// Steps over the rest of an escape such as `\n` or `\u003c` before a local part.
fn after_escape(scan: &Scan<'_>, start: usize, at: usize) -> usize {
    if scan.before(start) != b'\\' {
        return start;
    }
    let length = match scan.at(start) {
        b'u' => 5,
        b'x' => 3,
        b'n' | b'r' | b't' => 1,
        _ => 0,
    };
    if start + length < at && scan.text.is_char_boundary(start + length) {
        start + length
    } else {
        start
    }
}

/// Whether what would be the local part belongs to the credentials of a URL.
fn is_in_authority(scan: &Scan<'_>, start: usize) -> bool {
    let from = scan.start_of(start, 128, |b| {
        b.is_ascii_graphic() && !matches!(b, b'/' | b'?' | b'"' | b'\'')
    });
    scan.bytes[..from].ends_with(b"://")
}

/// Returns the end of the domain that begins at `start`.
fn domain_end(scan: &Scan<'_>, start: usize) -> Option<usize> {
    let mut end = start;
    let mut dots = 0;
    let mut valid = None;
    loop {
        let label = label_end(scan.text, end)?;
        let text = &scan.text[end..label];
        if dots > 0 && is_top_level(text) && !begins_sentence(&scan.text[start..end], text) {
            valid = Some(label);
        }
        if scan.at(label) != b'.' || label - start > LONGEST_DOMAIN {
            break;
        }
        end = label + 1;
        dots += 1;
        if label_end(scan.text, end).is_none() {
            break;
        }
    }
    let end = valid?;
    let last = scan.text[start..end].rsplit('.').next()?;
    let continues = matches!(scan.at(end), b'_' | b'(' | b'@') || is_hyphenated(scan, end);
    (!continues && !NOT_TOP_LEVEL.contains(&last.to_ascii_lowercase().as_str())).then_some(end)
}

fn is_hyphenated(scan: &Scan<'_>, end: usize) -> bool {
    scan.at(end) == b'-' && scan.at(end + 1).is_ascii_alphanumeric()
}

/// Returns the end of the label that begins at `start`.
///
/// Ideographs belong to a label that begins with one, not to one in letters.
fn label_end(text: &str, start: usize) -> Option<usize> {
    let rest = text.get(start..)?;
    let first = rest.chars().next()?;
    let ideographs = is_ideograph(first);
    let belongs = |c: char| {
        c.is_ascii_alphanumeric() || c == '-' || is_european(c) || (ideographs && is_ideograph(c))
    };
    let length = rest
        .chars()
        .take(64)
        .take_while(|c| belongs(*c))
        .map(char::len_utf8)
        .sum::<usize>();
    let label = rest[..length].trim_end_matches('-');
    (!label.is_empty() && !label.starts_with('-')).then_some(start + label.len())
}

fn is_top_level(label: &str) -> bool {
    label.starts_with("xn--")
        || (label.chars().count() >= 2 && label.chars().all(|c| c.is_alphabetic()))
}

/// Whether a label begins the next sentence, as `Then` in `a@corp.com.Then`.
fn begins_sentence(before: &str, label: &str) -> bool {
    let capital = label.starts_with(|c: char| c.is_ascii_uppercase())
        && label.chars().skip(1).any(|c| c.is_ascii_lowercase());
    capital
        && before.contains('.')
        && !before.chars().any(|c| c.is_ascii_uppercase())
        && before.trim_end_matches('.').contains('.')
}

/// Whether a domain is a version of a package or the scale of an image.
fn is_version(host: &str) -> bool {
    let mut labels = host.split('.');
    let first = labels.next().unwrap_or_default();
    let second = labels.next().unwrap_or_default();
    let digits = first.trim_start_matches(['v', 'V']);
    let numeric = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    (numeric(digits) && second.starts_with(|c: char| c.is_ascii_digit()))
        || first
            .strip_suffix(['x', 'X'])
            .is_some_and(|scale| scale.len() == 1 && numeric(scale))
}

/// Whether the address is the remote of a repository or a host for ssh.
fn is_remote(scan: &Scan<'_>, local: &Range<usize>, at: usize, end: usize) -> bool {
    let user = &scan.text[local.start..at];
    let before = scan.text[..local.start].trim_end_matches(' ');
    let command = ["ssh", "scp", "sftp", "rsync"].iter().any(|name| {
        before
            .strip_suffix(name)
            .is_some_and(|rest| !rest.ends_with(|c: char| c.is_alphanumeric()))
    });
    if command && before.len() < local.start {
        return true;
    }
    if scan.at(end) != b':' {
        return false;
    }
    let path = scan.end_of(end + 1, 64, |b| {
        b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~')
    });
    let directory = scan.at(path) == b'/' && !scan.has(path, b"//");
    directory || (REPOSITORY_USERS.contains(&user) && path > end + 1)
}

fn is_local(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || matches!(c, '.' | '_' | '%' | '+' | '-' | '\'' | '&')
        || is_european(c)
        || matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}

/// Whether a letter is Latin, Greek or Cyrillic and not ASCII.
fn is_european(c: char) -> bool {
    matches!(c, '\u{c0}'..='\u{24f}' | '\u{370}'..='\u{52f}' | '\u{1e00}'..='\u{1fff}')
        && c.is_alphabetic()
        || matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{600}'..='\u{6ff}' | '\u{900}'..='\u{dff}' | '\u{e00}'..='\u{e7f}'
        | '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}')
        && c.is_alphabetic()
}
