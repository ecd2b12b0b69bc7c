//! The stories that tests tell, and the backends that each was told to.
//!
//! A story is a test of the name `…::story::backend`, one for each backend, from one body. Which
//! there are is asked of the test programmes themselves, so that a story which forgot a backend is
//! noticed.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};

use crate::stage::Tally;
use crate::workspace::{cargo, output};

/// The last part of the names of a story's tests.
const BACKENDS: [&str; 3] = ["sqlite", "postgres", "mysql"];

/// Prints the stories of all test programmes and checks that every one has every backend.
///
/// # Errors
///
/// Fails when the test programmes cannot be asked, or when they tell no story at all.
pub(crate) fn check() -> Result<Tally> {
    let mut asked = cargo(&["test", "--workspace", "--tests", "--quiet"]);
    let tests = output(asked.args(["--", "--list", "--format=terse"]))?;
    let stories = collect(&tests);
    ensure!(!stories.is_empty(), "no test tells a story");
    println!(
        "stories: {}, each on {}",
        stories.len(),
        BACKENDS.join(", ")
    );
    for (story, backends) in &stories {
        println!("  {story}{}", lacking(backends));
    }
    let incomplete = stories
        .values()
        .filter(|backends| backends.len() < BACKENDS.len());
    let failed = u64::try_from(incomplete.count())?;
    Ok(Tally {
        passed: u64::from(failed == 0),
        failed,
    })
}

/// Finds the stories among lines of the form `name: test`.
fn collect(tests: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut stories: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in tests.lines() {
        let Some((story, backend)) = line
            .strip_suffix(": test")
            .and_then(|name| name.rsplit_once("::"))
        else {
            continue;
        };
        if BACKENDS.contains(&backend) {
            stories.entry(story).or_default().insert(backend);
        }
    }
    stories
}

fn lacking(backends: &BTreeSet<&str>) -> String {
    let missing: Vec<&str> = BACKENDS
        .into_iter()
        .filter(|backend| !backends.contains(backend))
        .collect();
    if missing.is_empty() {
        return String::new();
    }
    format!("  <-- not told to {}", missing.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stories_are_tests_that_end_in_a_backend() {
        let stories = collect(
            "values::every_type::mysql: test\nvalues::every_type::sqlite: test\n\
             mysql: test\nfaults::kill: test\na::b::postgres: benchmark\n",
        );
        let backends = BTreeSet::from(["mysql", "sqlite"]);
        assert_eq!(lacking(&backends), "  <-- not told to postgres");
        assert_eq!(stories, BTreeMap::from([("values::every_type", backends)]));
        assert_eq!(lacking(&BACKENDS.into()), "");
    }
}
