//! Paths below somebody's home, of which the home is masked.

use std::ops::Range;

use super::scan::{Scan, is_word};
use crate::kind::Kind;

const CONFIDENCE: f64 = 0.9;

/// The longest path that is looked at, in bytes.
const LONGEST: usize = 1024;

/// The longest name of a user, in bytes.
const LONGEST_USER: usize = 64;

/// Where homes are on Unix.
const HOMES: [&str; 6] = [
    "/home/",
    "/Users/",
    "/var/home/",
    "/export/home/",
    "/usr/home/",
    "/data/home/",
];

/// Where a drive of Windows is mounted on Unix, before the letter.
const DRIVES: [&str; 3] = ["/mnt/", "/cygdrive/", "/"];

/// Names of folders beside those of users, and of users who are nobody.
#[rustfmt::skip]
const NOBODY: [&str; 24] = [
    "user", "username", "user_name", "user-name", "yourname", "your_name", "your-name", "youruser",
    "your_user", "your-user", "your_username", "your-username", "yourusername", "name", "you",
    "shared", "public", "default", "all users", "default user", "linuxbrew", "someuser", "xxx", "foo",
];

/// Pages of web sites that live below `/home/`.
#[rustfmt::skip]
const PAGES: [&str; 34] = [
    "index", "dashboard", "about", "settings", "profile", "login", "logout", "page", "feed",
    "contact", "news", "menu", "main", "home", "products", "overview", "search", "help", "blog",
    "welcome", "explore", "account", "accounts", "notifications", "messages", "featured", "latest",
    "popular", "sections", "widgets", "banner", "hero", "api", "garden",
];

/// What stands before a path that is a route of a web site.
#[rustfmt::skip]
const BEFORE_ROUTES: [&str; 22] = [
    "GET ", "POST ", "PUT ", "DELETE ", "PATCH ", "HEAD ", "OPTIONS ", "href=", "src=", "action=",
    " to=", "get(", "post(", "put(", "delete(", "route(", "Mapping(", "push(", "navigate(",
    "redirect(", "url(", "Route path=",
];

/// Returns the part of a path, in bytes, that is a home with its user's name.
///
/// That is `/home/alice` or `/root` on Linux, `/Users/alice` on macOS, `C:\Users\alice` on Windows in
/// any way of writing and mounting it, `~` and `~alice`. A path elsewhere has none, nor has one with
/// a placeholder for the user.
#[must_use]
pub fn home_prefix(path: &str) -> Option<Range<usize>> {
    let start = match path.strip_prefix("file://") {
        Some(rest) => path.len() - rest.len() + rest.find('/')?,
        None => 0,
    };
    let rest = &path[start..];
    let home = unix_home(rest)
        .or_else(|| tilde_home(rest))
        .or_else(|| share_home(rest))
        .or_else(|| drive_home(rest));
    home.map(|home| start + home.start..start + home.end)
}

/// Reports the path whose first slash stands at `start` and returns where to go on.
pub(super) fn unix(scan: &mut Scan<'_>, start: usize) -> usize {
    if !scan.at(start + 1).is_ascii_alphabetic()
        || !(is_boundary(scan, start) || is_after_file_scheme(scan, start))
        || is_route(scan, start)
    {
        return start + 1;
    }
    let window = window(scan, start);
    let Some(home) = unix_home(window) else {
        return start + 1;
    };
    let is_root = window.starts_with("/root");
    if is_root && scan.at(start + home.end) != b'/' {
        return start + 1;
    }
    report(
        scan,
        start,
        start + home.start..start + home.end,
        Style::Unix,
    )
}

/// Reports the path whose `~` stands at `start` and returns where to go on.
pub(super) fn tilde(scan: &mut Scan<'_>, start: usize) -> usize {
    if super::secret::azure(scan, start) || !is_boundary(scan, start) {
        return start + 1;
    }
    let window = window(scan, start);
    let Some(home) = tilde_home(window) else {
        return start + 1;
    };
    let after = scan.at(start + home.end);
    let named = home.end > 1;
    let beyond = scan.at(start + home.end + 1);
    let is_path = after == b'/' && (!named || is_word(beyond) || beyond == b'.')
        || after == b'\\' && !named && beyond.is_ascii_alphabetic();
    if !is_path {
        return start + 1;
    }
    report(scan, start, start..start + home.end, Style::Unix)
}

/// Reports the path on a drive whose letter stands at `start`.
pub(super) fn drive(scan: &mut Scan<'_>, start: usize) {
    if !matches!(scan.at(start + 2), b'\\' | b'/') {
        return;
    }
    if let Some(home) = drive_home(window(scan, start)) {
        report(
            scan,
            start,
            start + home.start..start + home.end,
            Style::Windows,
        );
    }
}

/// Reports the path on a server whose backslashes begin at `start` and returns where to go on.
pub(super) fn share(scan: &mut Scan<'_>, start: usize) -> usize {
    let end = scan.end_of(start, usize::MAX, |b| b == b'\\');
    if !matches!(end - start, 2 | 4) || !is_boundary(scan, start) {
        return end;
    }
    let Some(home) = share_home(window(scan, start)) else {
        return end;
    };
    report(scan, start, start..start + home.end, Style::Windows)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Unix,
    Windows,
}

fn window<'t>(scan: &Scan<'t>, start: usize) -> &'t str {
    let end = scan
        .text
        .floor_char_boundary((start + LONGEST).min(scan.text.len()));
    &scan.text[start..end]
}

fn report(scan: &mut Scan<'_>, start: usize, home: Range<usize>, style: Style) -> usize {
    let end = end(scan, start, home.end, style);
    let resume = home.end;
    scan.report_masking(Kind::Path, "home_path", start..end, home, CONFIDENCE);
    resume
}

/// Whether a path may begin at a position.
fn is_boundary(scan: &Scan<'_>, start: usize) -> bool {
    match scan.before(start) {
        b'/' | b'.' | b'-' | b'~' | b'\\' | b'%' | b'@' | b'+' | b'}' | b'$' | b'?' | b'&'
        | b'#' => is_escape(scan, start),
        b')' | b']' => scan.before(start) == b']',
        byte => !is_word(byte) || is_escape(scan, start),
    }
}

/// Whether the letter before a position belongs to an escape such as `\n`.
fn is_escape(scan: &Scan<'_>, start: usize) -> bool {
    matches!(scan.before(start), b'n' | b't' | b'r') && scan.before(start - 1) == b'\\'
}

fn is_after_file_scheme(scan: &Scan<'_>, start: usize) -> bool {
    scan.bytes[..start].ends_with(b"file://") || scan.bytes[..start].ends_with(b"file://localhost")
}

/// Whether a path is a route of a web site rather than a file.
fn is_route(scan: &Scan<'_>, start: usize) -> bool {
    let before = scan.text[..start].trim_end_matches(['"', '\'', '`']);
    if BEFORE_ROUTES.iter().any(|end| before.ends_with(end)) {
        return true;
    }
    let end = scan.end_of(start, LONGEST, |b| b.is_ascii_graphic());
    scan.has(end, b" HTTP/")
}

fn unix_home(path: &str) -> Option<Range<usize>> {
    if let Some(rest) = path.strip_prefix("/root") {
        return (rest.is_empty() || rest.starts_with('/')).then_some(0..5);
    }
    if let Some(home) = HOMES.iter().find(|home| path.starts_with(**home)) {
        let user = unix_user(&path[home.len()..])?;
        let route = PAGES.contains(&user) || user.contains(".htm") || user.ends_with(".php");
        let number = user.bytes().all(|b| b.is_ascii_digit());
        return (!route && !number).then_some(0..home.len() + user.len());
    }
    let mounted = DRIVES.iter().find_map(|prefix| {
        let rest = path.strip_prefix(prefix)?;
        let users = rest
            .get(1..)?
            .strip_prefix("/Users/")
            .or_else(|| rest.get(1..)?.strip_prefix("/users/"));
        users.filter(|_| rest.starts_with(|c: char| c.is_ascii_alphabetic()))
    })?;
    let user = windows_user(mounted, "/")?;
    Some(0..path.len() - mounted.len() + user.len())
}

fn unix_user(path: &str) -> Option<&str> {
    let belongs = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '+');
    let end = path.find(|c| !belongs(c)).unwrap_or(path.len());
    let followed = path[end..].starts_with(['$', '{', '<', '*', '%', '[', '…']);
    let user = path[..end].trim_end_matches('.');
    let user = if path[end..].starts_with('/') {
        &path[..end]
    } else {
        user
    };
    (!followed && !user.starts_with('.') && is_somebody(user)).then_some(user)
}

fn tilde_home(path: &str) -> Option<Range<usize>> {
    let rest = path.strip_prefix('~')?;
    let name = rest.bytes().take_while(|b| {
        b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'.')
    });
    let name = &rest[..name.count()];
    let ends = matches!(rest.as_bytes().get(name.len()), None | Some(b'/' | b'\\'));
    let valid =
        name.is_empty() || (name.as_bytes()[0].is_ascii_lowercase() && !name.ends_with('.'));
    (ends && valid && !NOBODY.contains(&name)).then_some(0..1 + name.len())
}

/// Returns the home on a drive, also behind `\\?\` or the slash of a `file:` URL.
fn drive_home(path: &str) -> Option<Range<usize>> {
    let rest = path
        .strip_prefix(r"\\?\")
        .or_else(|| path.strip_prefix('/'))
        .unwrap_or(path);
    let start = path.len() - rest.len();
    let after = rest.get(1..)?.strip_prefix(':')?;
    let (separator, folders) = separated(after)?;
    if !rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let users = folder(folders, "Users", separator)
        .or_else(|| folder(folders, "Documents and Settings", separator))?;
    let user = windows_user(users, separator)?;
    Some(start..path.len() - users.len() + user.len())
}

/// Returns the home on a server.
fn share_home(path: &str) -> Option<Range<usize>> {
    let separator = [r"\\", r"\"]
        .into_iter()
        .find(|one| path.starts_with(&one.repeat(2)))?;
    let mut rest = &path[separator.len() * 2..];
    for _ in 0..4 {
        let end = rest.find(separator)?;
        let name = &rest[..end];
        if name.is_empty() || name.contains([' ', '"', '\n', '?', ':', '<', '*']) {
            return None;
        }
        rest = &rest[end + separator.len()..];
        let users = ["Users", "home"]
            .iter()
            .find_map(|name| folder(rest, name, separator));
        if let Some(users) = users {
            let user = windows_user(users, separator)?;
            return Some(0..path.len() - users.len() + user.len());
        }
    }
    None
}

/// Returns the separator that a path begins with, and what follows it.
fn separated(path: &str) -> Option<(&'static str, &str)> {
    [r"\\", r"\", "/"]
        .into_iter()
        .find_map(|one| Some((one, path.strip_prefix(one)?)))
}

/// Returns what follows a folder's name in any case and a separator.
fn folder<'p>(path: &'p str, name: &str, separator: &str) -> Option<&'p str> {
    let matches = path.get(..name.len())?.eq_ignore_ascii_case(name);
    path[name.len()..]
        .strip_prefix(separator)
        .filter(|_| matches)
}

/// Returns the name of a user, which may have spaces if a separator follows within three words.
fn windows_user<'p>(path: &'p str, separator: &str) -> Option<&'p str> {
    let stop = |c: char| {
        matches!(
            c,
            '\\' | '/'
                | '"'
                | '<'
                | '>'
                | '|'
                | '?'
                | '*'
                | ':'
                | '\n'
                | '\r'
                | '%'
                | '$'
                | '{'
                | ','
                | ';'
                | '`'
                | '('
                | ')'
                | '\t'
        )
    };
    let end = path.find(stop).unwrap_or(path.len());
    let whole = &path[..end];
    if path[end..].starts_with(['%', '$', '{', '<']) && end == 0 {
        return None;
    }
    let closes = path[end..].starts_with(separator) || path[end..].starts_with('"');
    let capital = whole.starts_with(|c: char| c.is_uppercase());
    let spaced = whole.contains(' ')
        && closes
        && (capital || is_nobody(whole))
        && whole.split(' ').count() <= 3;
    let user = if spaced {
        whole
    } else {
        whole.split([' ', '\'']).next()?
    };
    let user = if closes && user.len() == whole.len() {
        user
    } else {
        user.trim_end_matches(['.', '!'])
    };
    is_somebody(user).then_some(user)
}

fn is_nobody(user: &str) -> bool {
    NOBODY.contains(&user.to_lowercase().as_str())
}

fn is_somebody(user: &str) -> bool {
    !user.is_empty()
        && user.len() <= LONGEST_USER
        && !is_nobody(user)
        && user.contains(|c: char| c.is_alphanumeric())
}

/// Returns the end of a path whose home ends at `from`.
fn end(scan: &Scan<'_>, start: usize, from: usize, style: Style) -> usize {
    if let Some(end) = quoted_end(scan, start, from) {
        return end;
    }
    let limit = scan
        .text
        .floor_char_boundary((start + LONGEST).min(scan.text.len()));
    let escaped = scan.text[start + 2..from.max(start + 2)].contains(r"\\");
    let mut end = from;
    while end < limit {
        end += match scan.at(end) {
            b' ' if continues_after_space(scan, end, style) => 1,
            b'\\' if style == Style::Unix && scan.at(end + 1) == b' ' => 2,
            b'\\' if style == Style::Unix && !scan.has(start, b"~\\") => break,
            b'\\' if escaped && scan.at(end + 1) != b'\\' => break,
            b'\\' if escaped => 2,
            0..=b' ' | 0x7F | b'"' | b'\'' | b'`' | b'<' | b'>' | b'|' | b';' | b',' | b':' => {
                break;
            }
            b if b < 0x80 => 1,
            _ => match scan.text[end..].chars().next() {
                Some(c) if c.is_alphanumeric() => c.len_utf8(),
                _ => break,
            },
        };
    }
    trimmed(scan, from, end.min(limit))
}

/// Returns the end of a path that stands in quotation marks and has spaces.
fn quoted_end(scan: &Scan<'_>, start: usize, from: usize) -> Option<usize> {
    let quote = scan.before(start);
    if !matches!(quote, b'"' | b'\'' | b'`') {
        return None;
    }
    let end = scan.end_of(from, 256, |b| {
        b != quote && !matches!(b, b'\n' | b',' | b';' | b'|' | b'"')
    });
    let path = &scan.bytes[from..end];
    let last_space = memchr::memrchr(b' ', path)?;
    let tail = &path[last_space..];
    let is_path = tail.contains(&b'/') || tail.contains(&b'\\') || tail.contains(&b'.');
    let plain = !path
        .windows(2)
        .any(|pair| matches!(pair, b" -" | b": " | b" /" | b" ~" | b"&&"));
    (scan.at(end) == quote && is_path && plain && !path.contains(&b':')).then_some(end)
}

/// Whether the name of a folder goes on after a space, as in `Application Support/`.
fn continues_after_space(scan: &Scan<'_>, space: usize, style: Style) -> bool {
    let separator = if style == Style::Windows { b'\\' } else { b'/' };
    let mut position = space;
    for _ in 0..4 {
        let word = position + 1;
        let capital = scan.at(word).is_ascii_uppercase() || scan.at(word).is_ascii_digit();
        let end = scan.end_of(word, 32, |b| {
            b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'&' | b'(' | b')')
        });
        if scan.at(end) == separator && end > word {
            return capital || style == Style::Windows && scan.at(end + 1).is_ascii_alphanumeric();
        }
        if scan.has(word, b"- ") {
            position = word + 1;
            continue;
        }
        if scan.at(end) != b' ' || !capital {
            return false;
        }
        position = end;
    }
    false
}

/// Returns the end without the punctuation of the sentence around a path.
fn trimmed(scan: &Scan<'_>, from: usize, mut end: usize) -> usize {
    while end > from {
        let path = &scan.bytes[from..end];
        let drop = match scan.at(end - 1) {
            b'.' | b'!' | b'?' | b'*' | b'&' => true,
            b')' => !path.contains(&b'('),
            b']' => !path.contains(&b'['),
            b'}' => !path.contains(&b'{'),
            _ => false,
        };
        if !drop {
            break;
        }
        end -= 1;
    }
    end
}
