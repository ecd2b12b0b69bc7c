//! The invariants of ARCHITECTURE.md that a machine can check.

use std::fs;

use anyhow::{Result, bail};

use crate::metadata::Metadata;
use crate::text::tracked_files;
use crate::workspace;

/// The crates from the bottom up: one may depend on those in the lines above its own.
const LAYERS: &[&[&str]] = &[
    &["athena-corpus", "athena-db-derive"],
    &["athena-db", "athena-search"],
    &["athena-core"],
    &["athena-privacy"],
    &["athena-store"],
    &["athena-memory", "athena-skills", "athena-embed"],
    &["athena-tools"],
    &["athena-server"],
    &["athena"],
];

/// Crates that only development uses: they may depend on any layer, no layer on them.
const DEVELOPMENT: &[&str] = &[
    "athena-testdb",
    "athena-testkit",
    "athena-testserver",
    "xtask",
];

/// An outside crate and the only packages that may depend on it, tests excluded.
struct Confined {
    name: &'static str,
    to: &'static [&'static str],
    /// Also through somebody else's crate; otherwise only our own packages are asked.
    everywhere: bool,
}

const CONFINED: &[Confined] = &[
    // Drivers: only the database layer knows what it talks to.
    driver("rusqlite", &["athena-db"]),
    driver("libsqlite3-sys", &["athena-db", "rusqlite"]),
    driver("mysql_async", &["athena-db"]),
    driver("tokio-postgres", &["athena-db"]),
    // HTTP: only the server listens. Test servers that misbehave on purpose use dev-dependencies.
    ours("axum", &["athena-server"]),
    ours("hyper", &["athena-server"]),
    ours("hyper-util", &["athena-server"]),
    ours("rmcp", &["athena-server"]),
    // One place reaches out.
    ours("reqwest", &["athena-embed"]),
    // The terminal.
    ours("clap", &["athena", "xtask"]),
    ours("indicatif", &["athena"]),
    // Libraries return errors that a caller can act on.
    ours("anyhow", &["athena", "athena-testkit", "xtask"]),
];

const fn driver(name: &'static str, to: &'static [&'static str]) -> Confined {
    Confined {
        name,
        to,
        everywhere: true,
    }
}

const fn ours(name: &'static str, to: &'static [&'static str]) -> Confined {
    Confined {
        name,
        to,
        everywhere: false,
    }
}

/// The most packages the binary may be built from on Linux. Raising it is a decision: it was 260
/// before the driver for MySQL came with some thirty.
const PACKAGE_CEILING: usize = 270;

/// Checks all of it and names every violation.
///
/// # Errors
///
/// Fails when an invariant does not hold.
pub(crate) fn check() -> Result<()> {
    let metadata = Metadata::read(Some("x86_64-unknown-linux-gnu"))?;
    let mut violations = Vec::new();
    for member in metadata.members() {
        for dependency in member.dependencies.iter().filter(|each| !each.is_dev) {
            violations.extend(layer_violation(&member.name, &dependency.name));
        }
    }
    for confined in CONFINED {
        violations.extend(confinement_violations(&metadata, confined));
    }
    let size = metadata.closure_size("athena");
    println!("athena is built from {size} packages, of at most {PACKAGE_CEILING}");
    if size > PACKAGE_CEILING {
        violations.push(format!(
            "athena is built from {size} packages, more than {PACKAGE_CEILING}"
        ));
    }
    violations.extend(foreign_tail_writers()?);
    if !violations.is_empty() {
        bail!("{}", violations.join("\n"));
    }
    Ok(())
}

fn layer_violation(from: &str, to: &str) -> Option<String> {
    let layer = |name: &str| LAYERS.iter().position(|layer| layer.contains(&name));
    if DEVELOPMENT.contains(&to) && !DEVELOPMENT.contains(&from) {
        return Some(format!(
            "`{from}` depends on `{to}`, which is for tests only"
        ));
    }
    if DEVELOPMENT.contains(&from) {
        return None;
    }
    let Some(own) = layer(from) else {
        return Some(format!(
            "`{from}` has no layer; give it one in xtask/src/architecture.rs"
        ));
    };
    match layer(to) {
        Some(other) if other >= own => {
            Some(format!("`{from}` depends on `{to}`, which is not below it"))
        }
        None if to.starts_with("athena") => Some(format!(
            "`{to}` has no layer; give it one in xtask/src/architecture.rs"
        )),
        _ => None,
    }
}

fn confinement_violations(metadata: &Metadata, confined: &Confined) -> Vec<String> {
    let is_asked = |source: &Option<String>| confined.everywhere || source.is_none();
    metadata
        .dependents(confined.name)
        .filter(|package| is_asked(&package.source))
        .filter(|package| !confined.to.contains(&package.name.as_str()))
        .map(|package| {
            format!(
                "`{}` depends on `{}`, which only {:?} may",
                package.name, confined.name, confined.to
            )
        })
        .collect()
}

/// Returns the sources outside `athena-store` that write into the log of the search engine.
fn foreign_tail_writers() -> Result<Vec<String>> {
    let mut violations = Vec::new();
    for path in tracked_files()? {
        let is_source = path.ends_with(".rs") || path.ends_with(".sql");
        if !is_source || !path.starts_with("crates/") || path.starts_with("crates/athena-store/") {
            continue;
        }
        let Ok(source) = fs::read_to_string(workspace::root().join(&path)) else {
            continue;
        };
        if writes_tail(&source) {
            violations.push(format!(
                "`{path}` inserts into search_tail; only athena-store may"
            ));
        }
    }
    Ok(violations)
}

fn writes_tail(source: &str) -> bool {
    let words: Vec<&str> = source
        .split(|each: char| !each.is_alphanumeric() && each != '_')
        .filter(|word| !word.is_empty())
        .collect();
    words.windows(3).any(|three| {
        let is = |index: usize, word: &str| three[index].eq_ignore_ascii_case(word);
        is(0, "insert") && is(1, "into") && is(2, "search_tail")
    })
}

#[cfg(test)]
mod tests {
    use super::{layer_violation, writes_tail};

    #[test]
    fn dependencies_point_down() {
        assert_eq!(layer_violation("athena-core", "athena-db"), None);
        assert_eq!(layer_violation("athena", "athena-search"), None);
        assert_eq!(layer_violation("athena-testkit", "athena-store"), None);
        assert_eq!(layer_violation("athena-db", "serde"), None);
        for (from, to) in [
            ("athena-db", "athena-search"),
            ("athena-db", "athena-core"),
            ("athena-embed", "athena-memory"),
            ("athena-store", "athena-testkit"),
            ("athena-new", "serde"),
            ("athena-core", "athena-new"),
        ] {
            assert!(layer_violation(from, to).is_some(), "{from} -> {to}");
        }
    }

    #[test]
    fn finds_the_statement_however_it_is_laid_out() {
        assert!(writes_tail("\"INSERT INTO search_tail (seq)\""));
        assert!(writes_tail("insert  into\n    search_tail("));
        assert!(!writes_tail("SELECT 1 FROM search_tail"));
        assert!(!writes_tail("INSERT INTO search_tail_old"));
    }
}
