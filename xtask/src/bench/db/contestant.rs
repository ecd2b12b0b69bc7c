//! The processes that are measured.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::Backend;
use crate::workspace::{self, cargo, output};

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

/// A running contestant; killed when dropped.
pub(super) struct Contestant {
    name: &'static str,
    versions: String,
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
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
    match python() {
        Ok(python) => {
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

/// Makes a Python with the packages of the worker, below `target/`.
fn python() -> Result<std::path::PathBuf> {
    let environment = workspace::target().join("bench/python");
    let python = environment.join("bin/python");
    let requirements = workspace::root().join("bench/peers/python/requirements.txt");
    if !python.exists() {
        output(
            Command::new("python3")
                .args(["-m", "venv"])
                .arg(&environment),
        )?;
    }
    output(&mut pip_install(&python, &requirements))?;
    Ok(python)
}

fn pip_install(python: &Path, requirements: &Path) -> Command {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--requirement"])
        .arg(requirements);
    pip
}

impl Contestant {
    fn start(name: &'static str, command: &mut Command) -> Result<Contestant> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("`{name}` cannot be started"))?;
        let mut contestant = Contestant {
            name,
            versions: String::new(),
            stdin: child.stdin.take().context("no input")?,
            stdout: BufReader::new(child.stdout.take().context("no output")?),
            child,
        };
        let hello = contestant.read()?;
        contestant.versions = hello["versions"].as_str().unwrap_or_default().to_owned();
        Ok(contestant)
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
        writeln!(self.stdin, "{cell}")?;
        self.read()
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("`{}` has ended", self.name))
    }
}

impl Drop for Contestant {
    fn drop(&mut self) {
        // It holds nothing that anybody needs.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
