//! Other people's packages from PyPI and npm, pinned by a list in the repository and installed once
//! per content of that list.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::workspace::output;

/// Makes the virtual environment `venv` with what `list` names, and nothing that those depend on:
/// a list is complete. Returns its interpreter.
///
/// # Errors
///
/// Fails when Python cannot make one, or a package cannot be had.
pub(crate) fn python(venv: &Path, list: &Path) -> Result<PathBuf> {
    let python = venv.join("bin/python");
    install_once(list, &venv.join("installed"), || {
        output(
            Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(venv),
        )
        .context("no virtual environment (on Debian: apt-get install python3-venv)")?;
        output(
            Command::new(&python)
                .args(["-m", "pip", "install", "--quiet", "--no-deps"])
                .args(["--disable-pip-version-check", "--only-binary=:all:"])
                .arg("--requirement")
                .arg(list),
        )
        .context("the Python packages cannot be installed")
    })?;
    Ok(python)
}

/// Returns the folder of a Python package in a virtual environment.
///
/// # Errors
///
/// Fails when it is not there.
pub(crate) fn python_package(venv: &Path, name: &str) -> Result<PathBuf> {
    for version in fs::read_dir(venv.join("lib")).context("no virtual environment")? {
        let package = version?.path().join("site-packages").join(name);
        if package.is_dir() {
            return Ok(package);
        }
    }
    bail!("`{}` holds no package `{name}`", venv.display())
}

/// Calls `install` unless it already ran for this content of `list`.
///
/// # Errors
///
/// What `install` fails with, and a list that cannot be read.
pub(crate) fn install_once(
    list: &Path,
    marker: &Path,
    install: impl FnOnce() -> Result<String>,
) -> Result<()> {
    let wanted =
        fs::read_to_string(list).with_context(|| format!("`{}` cannot be read", list.display()))?;
    if fs::read_to_string(marker).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    println!("installing what `{}` lists", list.display());
    install()?;
    fs::write(marker, wanted)?;
    Ok(())
}
