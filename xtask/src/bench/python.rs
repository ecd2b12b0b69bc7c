//! Pythons with packages, below `target/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::workspace::{self, output};

/// Makes a Python with the packages that a file of the checkout lists, each by itself: returns where
/// the Python is, and for each package that is not to be had why.
///
/// # Errors
///
/// Fails when there is no `python3` with `venv`, or nothing that is listed can be installed.
pub(super) fn with(requirements: &str) -> Result<(PathBuf, Vec<(String, String)>)> {
    let listed = fs::read_to_string(workspace::root().join(requirements))?;
    let environment = workspace::target()
        .join("bench")
        .join(requirements.replace('/', "-"));
    let python = environment.join("bin/python");
    let marker = environment.join("installed");
    if fs::read_to_string(&marker).is_ok_and(|installed| installed == listed) {
        return Ok((python, Vec::new()));
    }
    eprintln!("installing what {requirements} lists");
    if !python.exists() {
        output(
            Command::new("python3")
                .args(["-m", "venv"])
                .arg(&environment),
        )
        .context(
            "a virtual environment cannot be made (on Debian: apt-get install python3-venv)",
        )?;
    }
    let packages: Vec<&str> = listed.lines().filter(|line| !line.is_empty()).collect();
    let failures: Vec<(String, String)> = packages
        .iter()
        .filter_map(|package| Some(((*package).to_owned(), install(&python, package).err()?)))
        .map(|(package, error)| (package, format!("{error:#}")))
        .collect();
    if failures.len() == packages.len() {
        let (package, error) = failures.into_iter().next().unwrap_or_default();
        bail!("{package}: {error}");
    }
    if failures.is_empty() {
        fs::write(marker, listed)?;
    }
    Ok((python, failures))
}

fn install(python: &Path, package: &str) -> Result<()> {
    let options = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary=:all:",
    ];
    output(Command::new(python).args(options).arg(package))?;
    Ok(())
}
