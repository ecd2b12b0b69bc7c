//! What no file of the repository says.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::workspace::{self, output};

/// Paths of somebody's machine: they mean nothing to a reader.
///
/// Written in two halves, so that this file passes its own check.
const MACHINE_PATHS: &[&str] = &[concat!("/wo", "rk/"), concat!("../sh", "ared")];

/// Checks every file that git knows or would add.
///
/// # Errors
///
/// Fails with a line per finding.
pub(crate) fn check() -> Result<()> {
    let mut findings = Vec::new();
    for path in tracked_files()? {
        // Binary files and ones just deleted have nothing to say.
        let Ok(content) = fs::read_to_string(workspace::root().join(&path)) else {
            continue;
        };
        for (index, line) in content.lines().enumerate() {
            for needle in MACHINE_PATHS.iter().filter(|needle| line.contains(*needle)) {
                findings.push(format!("{path}:{}: mentions `{needle}`", index + 1));
            }
        }
    }
    if !findings.is_empty() {
        bail!("{}", findings.join("\n"));
    }
    Ok(())
}

/// Returns the paths, relative to the root, of all files that are not ignored.
pub(crate) fn tracked_files() -> Result<Vec<String>> {
    let listed = output(
        Command::new("git")
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .current_dir(workspace::root()),
    )
    .context("the files of the repository cannot be listed")?;
    Ok(listed
        .split('\0')
        .filter(|path| !path.is_empty())
        .map(str::to_owned)
        .collect())
}
