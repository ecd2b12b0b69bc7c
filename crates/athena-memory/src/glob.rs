//! Patterns of paths: `*` and `?` within a name, `**` across names.

/// Whether a path is one of those that a pattern means.
///
/// `*` is any part of a name, `?` any one character of it, and `**` any number of whole names. A
/// pattern without a slash is about names wherever they are (`*.rs`), one with a slash about the path
/// from its end (`src/*.rs` is `…/src/a.rs` too); one that begins with a slash about the whole path.
pub(crate) fn matches(pattern: &str, path: &str) -> bool {
    let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
    let wanted: Vec<&str> = pattern.split('/').filter(|name| !name.is_empty()).collect();
    if wanted.is_empty() {
        return false;
    }
    if pattern.starts_with('/') || pattern.starts_with("~/") {
        return names_match(&wanted, &names);
    }
    (0..=names.len()).any(|from| names_match(&wanted, &names[from..]))
}

/// Whether all names are what the pattern's names say, in order.
fn names_match(wanted: &[&str], names: &[&str]) -> bool {
    // Which beginnings of the names the pattern so far may be about.
    let mut reached = vec![false; names.len() + 1];
    reached[0] = true;
    for name in wanted {
        let mut next = vec![false; names.len() + 1];
        if *name == "**" {
            let mut any = false;
            for (place, reached) in next.iter_mut().zip(&reached) {
                any |= reached;
                *place = any;
            }
        } else {
            for at in 0..names.len() {
                next[at + 1] = reached[at] && name_matches(name, names[at]);
            }
        }
        reached = next;
    }
    reached[names.len()]
}

/// Whether a name is what a pattern without slashes says.
fn name_matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    // Where the last `*` stands, and what it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(wanted) if *wanted == '?' || *wanted == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    n = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_are_about_paths() {
        for (pattern, path) in [
            ("*.rs", "src/deep/main.rs"),
            ("src/*.rs", "src/main.rs"),
            ("src/*.rs", "/home/ada/shop/src/main.rs"),
            ("src/**/*.rs", "src/main.rs"),
            ("src/**/*.rs", "src/a/b/c.rs"),
            ("**", "anything/at/all"),
            ("docs/**", "docs/a/b.md"),
            ("m?in.rs", "main.rs"),
            ("*a*b*", "xxaybz"),
            ("/etc/*.conf", "/etc/a.conf"),
            ("~/notes/**", "~/notes/a.md"),
            ("größe?.txt", "größen.txt"),
        ] {
            assert!(matches(pattern, path), "{pattern} is about {path}");
        }
        for (pattern, path) in [
            ("*.rs", "main.rst"),
            ("src/*.rs", "src/a/main.rs"),
            ("src/**/*.rs", "lib/main.rs"),
            ("", "a"),
            ("/", "a"),
            ("/etc/*.conf", "/usr/etc/a.conf"),
            ("m?in.rs", "min.rs"),
            ("docs/**", "documents/a.md"),
        ] {
            assert!(!matches(pattern, path), "{pattern} is not about {path}");
        }
    }

    #[test]
    fn no_pattern_takes_forever() {
        let pattern = "*a".repeat(60) + "b";
        assert!(!matches(&pattern, &"a".repeat(2_000)));
        let pattern = "**/".repeat(60) + "x";
        assert!(!matches(&pattern, &"a/".repeat(500)));
    }
}
