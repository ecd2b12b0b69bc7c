//! `cargo xtask check`: what continuous integration asks besides tests.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;

use crate::stage::{Stages, Tally};
use crate::workspace::{self, cargo};
use crate::{architecture, licences, text};

/// One of the checks.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stage {
    /// Formatting, by rustfmt.
    Format,
    /// What the project does not say: see `text.rs`.
    Text,
    /// Who may depend on whom: see `architecture.rs`.
    Architecture,
    /// Licences, banned crates and sources, by `deny.toml`.
    Licences,
    /// Lints, with warnings denied.
    Clippy,
    /// The documentation builds, with warnings denied.
    Doc,
}

/// Runs `stages`, or all of them; `false` when one failed.
///
/// # Errors
///
/// None of its own: a failing check is a verdict.
pub(crate) fn run(stages: &[Stage]) -> Result<bool> {
    let mut done = Stages::default();
    for stage in Stage::value_variants() {
        if stages.is_empty() || stages.contains(stage) {
            done.run(stage.name(), || stage.check().map(|()| Tally::PASSED));
        }
    }
    Ok(done.finish(workspace::is_ci()))
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Stage::Format => "format",
            Stage::Text => "text",
            Stage::Architecture => "architecture",
            Stage::Licences => "licences",
            Stage::Clippy => "clippy",
            Stage::Doc => "doc",
        }
    }

    fn check(self) -> Result<()> {
        match self {
            Stage::Format => {
                let mut format = cargo(&["fmt", "--all"]);
                succeed(format.args(["--", "--check", "-l"]))
            }
            Stage::Text => text::check(),
            Stage::Architecture => architecture::check(),
            Stage::Licences => licences::check(),
            Stage::Clippy => {
                let mut clippy = cargo(&["clippy", "--workspace", "--all-targets", "--quiet"]);
                succeed(clippy.args(["--", "-D", "warnings"]))?;
                // Where features can be left out.
                for package in ["athena-db", "athena-embed"] {
                    let narrow = ["--package", package, "--no-default-features", "--quiet"];
                    let mut clippy = cargo(&["clippy", "--all-targets"]);
                    succeed(clippy.args(narrow).args(["--", "-D", "warnings"]))?;
                }
                Ok(())
            }
            Stage::Doc => {
                let mut doc = cargo(&["doc", "--workspace", "--no-deps", "--quiet"]);
                succeed(doc.env("RUSTDOCFLAGS", "-D warnings"))
            }
        }
    }
}

/// Runs `command` with its output shown.
fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().context("cargo cannot be started")?;
    ensure!(status.success(), "ended with {status}");
    Ok(())
}
