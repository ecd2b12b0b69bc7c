//! The processes that are measured.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use super::Backend;
use crate::bench::python;
use crate::bench::worker::Worker;
use crate::workspace::{self, cargo};

/// One thing to measure, or to prepare.
pub(super) struct Cell {
    pub(super) backend: Backend,
    pub(super) operation: &'static str,
    pub(super) tasks: u32,
    pub(super) seconds: f64,
    /// The path of a SQLite file or the URL of a server.
    pub(super) database: String,
}

/// What a contestant measured.
#[derive(Clone, Copy)]
pub(super) struct Sample {
    pub(super) cpu_us: f64,
    pub(super) per_second: f64,
    pub(super) p50_us: f64,
    pub(super) p95_us: f64,
    pub(super) p99_us: f64,
}

/// What came of a cell.
pub(super) enum Measured {
    Sample(Sample),
    Unsupported,
    Failed(String),
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// A running contestant; killed when dropped.
pub(super) struct Contestant {
    name: &'static str,
    versions: String,
    worker: Worker,
}

/// Builds and starts all contestants, the raw drivers first.
pub(super) fn start_all() -> Result<Vec<Contestant>> {
    let athena = build("athena")?;
    let peers = build("peers")?;
    let mut started = vec![
        Contestant::start("raw", Command::new(&athena).arg("raw"))?,
        Contestant::start("athena", Command::new(&athena).arg("athena"))?,
        Contestant::start("sqlx", &mut Command::new(&peers))?,
    ];
    match python::with("bench/peers/python/requirements.txt") {
        Ok((python, _)) => {
            let worker = workspace::root().join("bench/peers/python/worker.py");
            for name in ["sqlalchemy", "sqlalchemy-async"] {
                let mut command = Command::new(&python);
                started.push(Contestant::start(name, command.arg(&worker).arg(name))?);
            }
        }
        Err(error) => eprintln!("SQLAlchemy is not measured: {error:#}"),
    }
    Ok(started)
}

/// Builds the contestants of one of the workspaces below `bench/`.
fn build(workspace: &str) -> Result<std::path::PathBuf> {
    eprintln!("building bench/{workspace}");
    let target = workspace::target().join("bench").join(workspace);
    let manifest = format!("bench/{workspace}/Cargo.toml");
    let mut build = cargo(&[
        "build",
        "--release",
        "--quiet",
        "--manifest-path",
        &manifest,
    ]);
    build.arg("--target-dir").arg(&target);
    ensure!(
        build.status()?.success(),
        "bench/{workspace} does not build"
    );
    Ok(target.join(format!("release/bench-{workspace}")))
}

impl Contestant {
    fn start(name: &'static str, command: &mut Command) -> Result<Contestant> {
        let mut worker = Worker::start(name, command)?;
        let hello = worker.read(PATIENCE)?;
        Ok(Contestant {
            name,
            versions: hello["versions"].as_str().unwrap_or_default().to_owned(),
            worker,
        })
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn versions(&self) -> String {
        self.versions.clone()
    }

    /// Has it do something that is not measured.
    pub(super) fn prepare(&mut self, cell: &Cell) -> Result<()> {
        let answer = self.ask(cell)?;
        if let Some(error) = answer["error"].as_str() {
            bail!("`{}` on {}: {error}", cell.operation, cell.backend.name());
        }
        Ok(())
    }

    pub(super) fn measure(&mut self, cell: &Cell) -> Result<Measured> {
        let answer = self.ask(cell)?;
        if let Some(error) = answer["error"].as_str() {
            return Ok(Measured::Failed(error.to_owned()));
        }
        let number = |name: &str| answer[name].as_f64();
        let sample = || {
            Some(Sample {
                cpu_us: number("cpu_us")?,
                per_second: number("per_second")?,
                p50_us: number("p50_us")?,
                p95_us: number("p95_us")?,
                p99_us: number("p99_us")?,
            })
        };
        Ok(sample().map_or(Measured::Unsupported, Measured::Sample))
    }

    fn ask(&mut self, cell: &Cell) -> Result<Value> {
        let cell = json!({
            "backend": cell.backend.name(),
            "operation": cell.operation,
            "tasks": cell.tasks,
            "seconds": cell.seconds,
            "database": cell.database,
        });
        self.worker.ask(&cell, PATIENCE)
    }
}
