//! A line of JSON for a line of JSON.

use std::future::Future;
use std::io::{BufRead, Write};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::json;

use crate::measure::Report;

/// One thing to measure.
#[derive(Debug, Clone, Deserialize)]
pub struct Cell {
    pub backend: Backend,
    pub operation: Operation,
    /// How many do it at the same time.
    pub tasks: usize,
    pub seconds: f64,
    /// The path of a SQLite file or the URL of a server.
    pub database: String,
}

/// The database that a cell is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    Sqlite,
    Postgres,
    Mysql,
}

/// What is done over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Not measured: makes and fills `bench_items`.
    Fill,
    /// Not measured: makes an empty `bench_inserts`.
    Empty,
    /// Not measured: removes both tables.
    Clear,
    /// Not measured: makes an empty database `athena_bench` on the server.
    MakeDatabase,
    /// Not measured: removes it.
    DropDatabase,
    /// One row by its key.
    Point,
    /// A thousand rows in order.
    Read,
    /// One row in a transaction of its own. SQLite: `synchronous = NORMAL`.
    Insert,
    /// As [`Operation::Insert`], on the disk before it is acknowledged.
    InsertDurable,
    /// A hundred rows in one transaction.
    Batch,
    /// As [`Operation::Batch`], by the means that a contestant has for rows in bulk.
    Bulk,
    /// An empty transaction: begin and commit.
    Transaction,
    /// Finding what is known about a statement.
    PlanHit,
    /// [`Operation::PlanHit`] and putting five parameters into their order.
    Bind,
    /// Reading a statement of 1 kB for the first time.
    FirstParse,
}

/// What a contestant makes of a cell.
#[derive(Debug)]
pub enum Answer {
    Measured(Report),
    /// It was something to do and not to measure.
    Done,
    /// It has no means to do this.
    Unsupported,
}

/// One that is measured.
pub trait Contestant {
    /// Names what is measured, with versions.
    fn versions(&self) -> String;

    /// Measures a cell.
    ///
    /// # Errors
    ///
    /// Whatever went wrong; the next cell can be asked for.
    fn run(&self, cell: &Cell) -> impl Future<Output = Result<Answer>>;
}

impl Cell {
    pub(crate) fn time(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

/// Answers cells until standard input ends.
///
/// # Errors
///
/// Fails when the other side is gone or speaks something else.
pub fn serve(contestant: &impl Contestant) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    say(&json!({ "versions": contestant.versions() }))?;
    for line in std::io::stdin().lock().lines() {
        let cell: Cell = serde_json::from_str(&line?).context("that is no cell")?;
        let answer = match runtime.block_on(contestant.run(&cell)) {
            Ok(Answer::Measured(report)) => serde_json::to_value(report)?,
            Ok(Answer::Done) => json!({}),
            Ok(Answer::Unsupported) => json!({ "unsupported": true }),
            Err(error) => json!({ "error": format!("{error:#}") }),
        };
        say(&answer)?;
    }
    Ok(())
}

fn say(value: &serde_json::Value) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{value}")?;
    Ok(stdout.flush()?)
}
