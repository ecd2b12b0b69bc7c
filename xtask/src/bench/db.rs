//! `cargo xtask bench db`: the database layer beside its drivers and its peers.
//!
//! Every contestant is a process of its own that waits while another one works; in each round each
//! measures each cell once, one right after the other, so that they meet the same machine. What
//! counts is processor time, of the best round; a rate is compared within its round.

mod contestant;
mod latency;
mod page;
mod score;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use serde_json::json;

use super::process::Home;
use crate::guard::Guard;
use crate::services::{self, ALL};
use crate::workspace;
use contestant::{Cell, Contestant};
use latency::Latency;
use score::{ROWS, Row, Score};

/// What to measure and where to put it.
#[derive(Clone, clap::Args)]
pub(crate) struct Options {
    /// Prints JSON, every run of every cell included.
    #[arg(long)]
    json: bool,
    /// One short round: it says that everything runs, and little about speed.
    #[arg(long)]
    quick: bool,
    /// Measures on this database alone.
    #[arg(long)]
    backend: Option<Backend>,
    /// How often each cell is measured.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Measures only cells whose names contain this, such as `sqlite point` or `latency`.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Asks this binary of Athena's for the latencies, and builds none.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Puts the results into this page, between its marks.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

/// A database that is measured on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum Backend {
    Sqlite,
    Postgres,
    Mysql,
}

impl Backend {
    pub(super) fn name(self) -> &'static str {
        match self {
            Backend::Sqlite => "sqlite",
            Backend::Postgres => "postgres",
            Backend::Mysql => "mysql",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Backend::Sqlite => "SQLite",
            Backend::Postgres => "PostgreSQL",
            Backend::Mysql => "MariaDB",
        }
    }

    /// The service of the tests that has it, by name.
    pub(super) fn service(self) -> Option<&'static str> {
        match self {
            Backend::Sqlite => None,
            Backend::Postgres => Some("postgres"),
            Backend::Mysql => Some("mariadb"),
        }
    }
}

/// Measures everything and says so.
///
/// # Errors
///
/// Fails when a contestant cannot be built or started; a cell that fails is shown as failed, and a
/// missed target is no failure.
pub(super) fn run(options: &Options) -> Result<()> {
    if let Some(path) = &options.write {
        page::check(path)?;
    }
    let surroundings = super::surroundings();
    let places = Places::prepare(options)?;
    let mut contestants = contestant::start_all()?;
    let rows: Vec<&Row> = ROWS.iter().filter(|row| options.wants(row)).collect();
    let scores = measure(options, &places, &mut contestants, &rows)?;
    let latencies = match options.wants_named(latency::NAME) {
        true => latencies(options, &places, &mut contestants[0])?,
        false => Vec::new(),
    };
    let results = Results {
        surroundings,
        versions: places.versions(&contestants),
        contestants: contestants.iter().map(Contestant::name).collect(),
        rounds: options.rounds(),
        scores,
        latencies,
    };
    if let Some(path) = &options.write {
        page::write(path, &results)?;
    }
    match options.json {
        true => println!("{:#}", results.to_json()),
        false => println!("{}", page::render(&results)),
    }
    Ok(())
}

/// Everything that was measured.
pub(super) struct Results {
    surroundings: String,
    versions: Vec<String>,
    contestants: Vec<&'static str>,
    rounds: u32,
    scores: Vec<Score>,
    latencies: Vec<Latency>,
}

impl Results {
    fn to_json(&self) -> serde_json::Value {
        json!({
            "bench": "db",
            "surroundings": self.surroundings,
            "versions": self.versions,
            "rounds": self.rounds,
            "cells": self.scores.iter().map(Score::to_json).collect::<Vec<_>>(),
            "latencies": self.latencies.iter().map(Latency::to_json).collect::<Vec<_>>(),
        })
    }
}

impl Options {
    fn rounds(&self) -> u32 {
        if self.quick { 1 } else { self.rounds }
    }

    fn seconds(&self) -> f64 {
        if self.quick { 0.1 } else { 0.4 }
    }

    fn wants(&self, row: &Row) -> bool {
        self.backend.is_none_or(|backend| backend == row.backend) && self.wants_named(&row.name())
    }

    fn wants_named(&self, name: &str) -> bool {
        self.only
            .as_ref()
            .is_none_or(|text| name.contains(text.as_str()))
    }
}

/// Measures Athena on a fresh database of the server's, if there is a server.
fn latencies(options: &Options, places: &Places, raw: &mut Contestant) -> Result<Vec<Latency>> {
    let Some(url) = places.url(Backend::Postgres) else {
        return Ok(Vec::new());
    };
    let (server, _) = url.rsplit_once('/').context("the URL names no database")?;
    raw.prepare(&places.cell(Backend::Postgres, "make-database", ITEMS))?;
    let home = Home {
        binary: super::released(options.binary.as_deref())?,
        path: places.directory.join("home"),
        database: Some(format!("{server}/athena_bench")),
    };
    let latencies = latency::run(&home, options.quick);
    raw.prepare(&places.cell(Backend::Postgres, "drop-database", ITEMS))?;
    latencies
}

fn measure(
    options: &Options,
    places: &Places,
    contestants: &mut [Contestant],
    rows: &[&'static Row],
) -> Result<Vec<Score>> {
    let mut scores: Vec<Score> = rows.iter().map(|row| Score::new(row)).collect();
    let raw = &mut contestants[0];
    for (backend, _) in &places.servers {
        raw.prepare(&places.cell(*backend, "fill", ITEMS))?;
    }
    for round in 1..=options.rounds() {
        for score in &mut scores {
            eprint!("\r\x1b[Kround {round}: {}", score.row.name());
            for turn in 0..contestants.len() {
                // Nobody is always the first to find a cold cache.
                let index = (turn + round as usize) % contestants.len();
                places.make_ready(score.row, &mut contestants[0])?;
                let mut cell = places.cell(score.row.backend, score.row.operation, INSERTS);
                if !score.row.writes() {
                    cell = places.cell(score.row.backend, score.row.operation, ITEMS);
                }
                cell.tasks = score.row.tasks;
                cell.seconds = options.seconds();
                let contestant = &mut contestants[index];
                score.add(contestant.name(), round, contestant.measure(&cell)?);
            }
        }
    }
    eprintln!("\r\x1b[K");
    for (backend, _) in &places.servers {
        contestants[0].prepare(&places.cell(*backend, "clear", ITEMS))?;
    }
    Ok(scores)
}

/// SQLite's file with the rows that are read.
const ITEMS: &str = "items.db";
/// SQLite's file that is written to.
const INSERTS: &str = "inserts.db";

/// The databases: a directory below `target/`, because a temporary directory is often kept in
/// memory, and the servers that tests use.
struct Places {
    directory: PathBuf,
    servers: Vec<(Backend, String)>,
    server_versions: Vec<String>,
    /// Stops the servers when we end.
    _guard: Option<Guard>,
}

impl Places {
    fn prepare(options: &Options) -> Result<Places> {
        let directory = workspace::target().join(format!("bench-db-{}", std::process::id()));
        fs::create_dir_all(&directory)?;
        let mut places = Places {
            directory,
            servers: Vec::new(),
            server_versions: Vec::new(),
            _guard: None,
        };
        for backend in Backend::value_variants() {
            if options.backend.is_none_or(|wanted| wanted == *backend) {
                places.find(*backend)?;
            }
        }
        Ok(places)
    }

    /// Uses the caller's server if there is one, else starts that of the tests.
    fn find(&mut self, backend: Backend) -> Result<()> {
        let Some(name) = backend.service() else {
            self.servers.push((backend, String::new()));
            return Ok(());
        };
        let service = ALL.iter().copied().find(|service| service.name() == name);
        let service = service.with_context(|| format!("there is no service `{name}`"))?;
        if let Ok(url) = std::env::var(format!("{}_URL", service.variables())) {
            self.servers.push((backend, url));
            self.server_versions
                .push(format!("{} of the caller", backend.title()));
            return Ok(());
        }
        let guard = || self._guard.take().map_or_else(Guard::start, Ok);
        let (started, guard) = services::start_for_tests(&[service], guard)?;
        self._guard = Some(guard);
        for (_, server) in started {
            self.server_versions.push(server.describe());
            self.servers.push((backend, server.url));
        }
        Ok(())
    }

    fn url(&self, backend: Backend) -> Option<&str> {
        let found = self
            .servers
            .iter()
            .find(|(candidate, _)| *candidate == backend);
        found.map(|(_, url)| url.as_str())
    }

    fn cell(&self, backend: Backend, operation: &'static str, file: &str) -> Cell {
        let database = match backend {
            Backend::Sqlite => self.directory.join(file).to_string_lossy().into_owned(),
            _ => self.url(backend).unwrap_or_default().to_owned(),
        };
        Cell {
            backend,
            operation,
            tasks: 1,
            seconds: 0.1,
            database,
        }
    }

    /// Gives a cell that writes an empty table.
    fn make_ready(&self, row: &Row, raw: &mut Contestant) -> Result<()> {
        if !row.writes() {
            return Ok(());
        }
        if row.backend == Backend::Sqlite {
            remove_all(&self.directory, INSERTS)?;
        }
        raw.prepare(&self.cell(row.backend, "empty", INSERTS))
    }

    fn versions(&self, contestants: &[Contestant]) -> Vec<String> {
        let contestants = contestants.iter().map(Contestant::versions);
        contestants
            .chain(self.server_versions.iter().cloned())
            .collect()
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        // It is below `target/`; what cannot be removed now goes with that.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Removes a SQLite file and what lies beside it.
fn remove_all(directory: &Path, file: &str) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(file) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}
