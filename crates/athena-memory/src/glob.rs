//! Patterns of paths.

/// Whether a path is one that a pattern means.
///
/// `*` stands for anything but a separator, `?` for one such character, and `**` for any number of
/// whole folders. A pattern that does not begin at a root (`/`, `~` or a drive) means files of that
/// ending in any folder: `src/auth.rs` means `~/shop/src/auth.rs` too. Separators may lean either way.
pub(crate) fn matches_path(pattern: &str, path: &str) -> bool {
    let (pattern, path) = (pattern.replace('\\', "/"), path.replace('\\', "/"));
    let pattern = pattern.strip_prefix("./").unwrap_or(&pattern);
    let path = path.strip_prefix("./").unwrap_or(&path);
    let wanted: Vec<&str> = pattern.split('/').collect();
    let parts: Vec<&str> = path.split('/').collect();
    if begins_at_a_root(pattern) {
        return matches_parts(&wanted, &parts);
    }
    (0..parts.len()).any(|start| matches_parts(&wanted, &parts[start..]))
}

/// Says why a pattern can mean no file that somebody has in mind, if it cannot.
///
/// Brackets and braces stand for themselves, as in `app/[id]/page.tsx`; those that are not closed are
/// a slip.
pub(crate) fn problem_of(pattern: &str) -> Option<&'static str> {
    let pattern = pattern.replace('\\', "/");
    if !closes_what_it_opens(&pattern) {
        return Some(
            "has a bracket without its counterpart; `*`, `**` and `?` stand for other text",
        );
    }
    let parts = pattern.trim_start_matches('/');
    if parts.split('/').any(|part| part.trim().is_empty()) {
        return Some("has an empty part, which no file has; `src/**` is all below `src`");
    }
    None
}

/// Whether every bracket and brace has its counterpart.
fn closes_what_it_opens(pattern: &str) -> bool {
    let mut open = Vec::new();
    pattern.chars().all(|c| match c {
        '[' | '{' => {
            open.push(c);
            true
        }
        ']' => open.pop() == Some('['),
        '}' => open.pop() == Some('{'),
        _ => true,
    }) && open.is_empty()
}

fn begins_at_a_root(pattern: &str) -> bool {
    let is_drive = pattern.as_bytes().get(1) == Some(&b':');
    is_drive || pattern.starts_with('/') || pattern == "~" || pattern.starts_with("~/")
}

/// Matches whole folder names; each pair of positions is looked at once.
fn matches_parts(pattern: &[&str], parts: &[&str]) -> bool {
    let fits = |wanted: &str, part: &str| {
        let (wanted, part): (Vec<char>, Vec<char>) =
            (wanted.chars().collect(), part.chars().collect());
        matches_run(
            &wanted,
            &part,
            |it| *it == '*',
            |it, c| *it == '?' || it == c,
        )
    };
    matches_run(pattern, parts, |it| *it == "**", |it, part| fits(it, part))
}

/// Matches a sequence against a pattern some of whose items stand for any number of items.
///
/// Only the last such item met is ever tried with more, so it takes at most the product of both
/// lengths, whatever the pattern.
fn matches_run<T>(
    pattern: &[T],
    items: &[T],
    is_any: impl Fn(&T) -> bool,
    fits: impl Fn(&T, &T) -> bool,
) -> bool {
    let (mut at, mut next) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while next < items.len() {
        if at < pattern.len() && is_any(&pattern[at]) {
            retry = Some((at, next));
            at += 1;
        } else if at < pattern.len() && fits(&pattern[at], &items[next]) {
            at += 1;
            next += 1;
        } else if let Some((any, from)) = retry {
            retry = Some((any, from + 1));
            (at, next) = (any + 1, from + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(is_any)
}
