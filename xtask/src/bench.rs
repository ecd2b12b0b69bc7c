//! `cargo xtask bench`: how fast and how small the released binary is, and how fast its parts are.
//!
//! A benchmark prints what it measured beside what was aimed at. It decides no test: a number of
//! one machine on one day says little, its medians over some runs say more, and the processor time
//! and the ratios among them say most.
//!
//! The stores lie below `target/`, because a temporary directory is often kept in memory, where
//! waiting for the disk costs nothing.

mod client;
mod corpus;
mod db;
mod memory;
mod page;
mod peers;
mod process;
mod python;
mod smoke;
mod worker;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Subcommand;
use serde_json::{Value, json};

use crate::workspace::{self, cargo};

/// The benchmarks.
#[derive(Clone, Subcommand)]
pub(crate) enum Bench {
    /// Start, memory, writes, recall and size of the release, in a minute or two.
    Smoke {
        /// Prints JSON, every run of every measure included.
        #[arg(long)]
        json: bool,
        /// Measures this binary, such as one of an older version, and builds none.
        #[arg(long, value_name = "FILE")]
        binary: Option<PathBuf>,
    },
    /// The database layer beside the raw drivers, sqlx and SQLAlchemy, in half an hour or so.
    Db(db::Options),
    /// Searching beside pgvector, Qdrant, LanceDB, Chroma, sqlite-vec, FAISS and tantivy, in less than
    /// an hour.
    Peers(peers::Options),
    /// What each operation costs in a store of 100,000 memories and 100,000 events, in some minutes.
    Memory(memory::Options),
}

/// Builds the release, unless there is one already, and runs a benchmark on it.
///
/// # Errors
///
/// Fails when something cannot be measured; a missed target is no failure.
pub(crate) fn run(bench: Bench) -> Result<()> {
    match bench {
        Bench::Smoke { json, binary } => smoke(json, binary),
        Bench::Db(options) => db::run(&options),
        Bench::Peers(options) => peers::run(&options),
        Bench::Memory(options) => memory::run(&options),
    }
}

fn smoke(json: bool, binary: Option<PathBuf>) -> Result<()> {
    let binary = released(binary.as_deref())?;
    let surroundings = surroundings();
    let measures = smoke::run(&binary)?;
    if json {
        println!("{:#}", to_json(&measures, &surroundings));
    } else {
        println!("{surroundings}");
        print_table(&measures);
    }
    Ok(())
}

/// Returns a given binary of Athena's, or builds the release.
fn released(binary: Option<&Path>) -> Result<PathBuf> {
    match binary {
        Some(binary) => {
            fs::canonicalize(binary).with_context(|| format!("there is no `{}`", binary.display()))
        }
        None => build(),
    }
}

/// Says what else the machine had to do: numbers of a busy machine are worth little.
fn surroundings() -> String {
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = information
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processors", |(_, model)| model);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    format!("{processors} × {model}, load {load} before it began")
}

fn build() -> Result<PathBuf> {
    eprintln!("building the release");
    let build = ["build", "--release", "--quiet", "--package", "athena"];
    ensure!(cargo(&build).status()?.success(), "it does not build");
    Ok(workspace::target().join("release/athena"))
}

/// One thing that was measured, several times.
struct Measure {
    name: &'static str,
    unit: &'static str,
    target: Target,
    runs: Vec<f64>,
}

/// What a median should be.
#[derive(Clone, Copy)]
enum Target {
    Below(f64),
    AtLeast(f64),
    /// Nothing: it explains another measure.
    None,
}

impl Measure {
    fn median(&self) -> f64 {
        median(&self.runs)
    }

    /// Whether the median is as it should be, where it should be something.
    fn met(&self) -> Option<bool> {
        match self.target {
            Target::Below(bound) => Some(self.median() < bound),
            Target::AtLeast(bound) => Some(self.median() >= bound),
            Target::None => None,
        }
    }

    fn target(&self) -> String {
        match self.target {
            Target::Below(bound) => format!("< {bound} {}", self.unit),
            Target::AtLeast(bound) => format!(">= {bound} {}", self.unit),
            Target::None => String::new(),
        }
    }

    /// Returns the smallest and the largest run.
    fn range(&self) -> (f64, f64) {
        let smallest = self.runs.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = self.runs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (smallest, largest)
    }
}

/// Returns the middle value, the upper one of two; 0 of nothing.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

fn print_table(measures: &[Measure]) {
    println!(
        "{:<58} {:>12} {:>23} {:>5}  {:<12} verdict",
        "", "median", "range", "runs", "target"
    );
    for measure in measures {
        let (smallest, largest) = measure.range();
        let verdict = match measure.met() {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        println!(
            "{:<58} {:>12} {:>23} {:>5}  {:<12} {verdict}",
            measure.name,
            format!("{:.2} {}", measure.median(), measure.unit),
            format!("{smallest:.2} to {largest:.2}"),
            measure.runs.len(),
            measure.target(),
        );
    }
}

fn to_json(measures: &[Measure], surroundings: &str) -> Value {
    let measures: Vec<Value> = measures
        .iter()
        .map(|measure| {
            json!({
                "name": measure.name,
                "unit": measure.unit,
                "median": measure.median(),
                "runs": measure.runs,
                "target": measure.target(),
                "met": measure.met(),
            })
        })
        .collect();
    json!({ "bench": "smoke", "surroundings": surroundings, "measures": measures })
}

#[cfg(test)]
mod tests {
    use super::{Measure, Target, median};

    #[test]
    fn medians_do_not_care_for_order() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 3.0);
        assert_eq!(median(&[]), 0.0);
    }

    #[test]
    fn targets_are_judged_by_the_median() {
        let met = |target, runs: &[f64]| {
            let (name, unit, runs) = ("", "", runs.to_vec());
            Measure {
                name,
                unit,
                target,
                runs,
            }
            .met()
        };
        assert_eq!(met(Target::Below(5.0), &[1.0, 4.9, 100.0]), Some(true));
        assert_eq!(met(Target::Below(5.0), &[5.0]), Some(false));
        assert_eq!(met(Target::AtLeast(5.0), &[5.0]), Some(true));
        assert_eq!(met(Target::None, &[5.0]), None);
    }
}
