//! Holds the dependencies to `deny.toml`: licences, banned crates, sources.
//!
//! `cargo deny` does this where it is installed. Where it is not, the same lists are read here
//! and compared with `cargo metadata`, which needs nothing but cargo. The reader knows the
//! few shapes our own file uses, not TOML, and refuses to find nothing.

use std::fs;

use anyhow::{Context as _, Result, bail, ensure};

use crate::metadata::{Metadata, Package};
use crate::workspace::{self, cargo, has_cargo_subcommand};

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Checks licences, bans and sources.
///
/// # Errors
///
/// Fails with a line per package that `deny.toml` does not allow.
pub(crate) fn check() -> Result<()> {
    if has_cargo_subcommand("deny") {
        let status = cargo(&["deny"])
            .args(["check", "bans", "licenses", "sources"])
            .status()?;
        ensure!(status.success(), "cargo deny ended with {status}");
        return Ok(());
    }
    println!("cargo-deny is not installed: comparing `cargo metadata` with deny.toml");
    let policy = Policy::read()?;
    let metadata = Metadata::read(None)?;
    let violations: Vec<String> = metadata
        .packages
        .iter()
        .filter_map(|package| policy.violation(package))
        .collect();
    if !violations.is_empty() {
        bail!("{}", violations.join("\n"));
    }
    println!("{} packages are within deny.toml", metadata.packages.len());
    Ok(())
}

/// The lists of `deny.toml`.
struct Policy {
    licences: Vec<String>,
    banned: Vec<String>,
}

impl Policy {
    fn read() -> Result<Policy> {
        let text = fs::read_to_string(workspace::root().join("deny.toml"))
            .context("deny.toml cannot be read")?;
        let policy = Policy {
            licences: strings(&text, "licenses", "allow"),
            banned: strings(&text, "bans", "deny"),
        };
        ensure!(
            !policy.licences.is_empty() && !policy.banned.is_empty(),
            "deny.toml has another shape than xtask/src/licences.rs reads"
        );
        Ok(policy)
    }

    fn violation(&self, package: &Package) -> Option<String> {
        let name = format!("`{} {}`", package.name, package.version);
        if let Some(source) = &package.source
            && source != CRATES_IO
        {
            return Some(format!("{name} comes from `{source}`"));
        }
        if self.banned.contains(&package.name) {
            return Some(format!("{name} is banned"));
        }
        match &package.licence {
            None => Some(format!("{name} states no licence")),
            Some(licence) if !is_allowed(licence, &self.licences) => {
                Some(format!("{name} is under `{licence}`"))
            }
            Some(_) => None,
        }
    }
}

/// Returns the first string of every line of the list `key` in `[section]`.
///
/// An entry stands on a line of its own, plain or as `{ crate = "name", … }`.
fn strings(text: &str, section: &str, key: &str) -> Vec<String> {
    text.lines()
        .map(str::trim)
        .skip_while(|line| *line != format!("[{section}]"))
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .skip_while(|line| *line != format!("{key} = ["))
        .skip(1)
        .take_while(|line| *line != "]")
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split('"').nth(1))
        .map(str::to_owned)
        .collect()
}

/// Returns whether the SPDX expression can be met with `allowed` licences alone.
///
/// `/`, which old manifests use, means OR. An expression that cannot be read is not allowed.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let verdict = either(&mut words, allowed);
    verdict == Some(true) && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn either(words: &mut Words<'_>, allowed: &[String]) -> Option<bool> {
    let mut verdict = both(words, allowed)?;
    while words.next_if_eq(&"OR").is_some() {
        verdict |= both(words, allowed)?;
    }
    Some(verdict)
}

fn both(words: &mut Words<'_>, allowed: &[String]) -> Option<bool> {
    let mut verdict = licence(words, allowed)?;
    while words.next_if_eq(&"AND").is_some() {
        verdict &= licence(words, allowed)?;
    }
    Some(verdict)
}

fn licence(words: &mut Words<'_>, allowed: &[String]) -> Option<bool> {
    let word = words.next()?;
    if word == "(" {
        let verdict = either(words, allowed)?;
        words.next_if_eq(&")")?;
        return Some(verdict);
    }
    let mut name = word.to_owned();
    if words.next_if_eq(&"WITH").is_some() {
        name = format!("{name} WITH {}", words.next()?);
    }
    Some(allowed.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::{is_allowed, strings};

    #[test]
    fn expressions_are_read_as_spdx_means_them() {
        let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
        let check = |expression, expected| {
            assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
        };
        check("MIT", true);
        check("MIT OR GPL-3.0", true);
        check("GPL-3.0/MIT", true);
        check("MIT AND GPL-3.0", false);
        check("(MIT OR GPL-3.0) AND ISC", true);
        check("GPL-3.0 OR MIT AND GPL-2.0", false);
        check("Apache-2.0 WITH LLVM-exception OR GPL-3.0", true);
        check("Apache-2.0", false);
        check("", false);
        check("MIT AND", false);
        check("(MIT", false);
        check("MIT ISC", false);
    }

    #[test]
    fn lists_are_found_in_their_section() {
        let text = "[bans]\ndeny = [\n  { crate = \"a\", reason = \"b\" },\n  # \"c\"\n]\n\n\
                    [licenses]\nallow = [\n  \"MIT\",\n  \"ISC\",\n]\n";
        assert_eq!(strings(text, "licenses", "allow"), ["MIT", "ISC"]);
        assert_eq!(strings(text, "bans", "deny"), ["a"]);
        assert!(strings(text, "bans", "allow").is_empty());
    }
}
