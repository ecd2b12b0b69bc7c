//! What each operation that reads costs.

use super::super::gauge::{cpu_time, milliseconds};
use super::inputs::Asked;
use super::{Caller, made, verdict};
use crate::commands::db::table::Cell;
use athena_core::{Effect, Error, Result};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What an operation that reads may cost, in milliseconds of CPU time.
pub(super) const MOST_MS: f64 = 5.0;
/// How long one input is asked, unless it is so slow or so quick that this many calls say more.
const ENOUGH: Duration = Duration::from_millis(150);
pub(super) const LEAST_CALLS: usize = 5;
pub(super) const MOST_CALLS: usize = 40;

/// An operation that reads, and what its inputs cost, the dearest first.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) name: &'static str,
    inputs: Vec<Cost>,
}

/// What an input costs: medians.
#[derive(Debug)]
struct Cost {
    what: &'static str,
    cpu_ms: f64,
    wall_ms: f64,
    bytes: usize,
}

impl Read {
    /// Returns the CPU time of its dearest input.
    pub(super) fn cpu_ms(&self) -> f64 {
        self.inputs.first().map_or(0.0, |cost| cost.cpu_ms)
    }

    /// Returns the longest time of an input.
    pub(super) fn wall_ms(&self) -> f64 {
        let walls = self.inputs.iter().map(|cost| cost.wall_ms);
        walls.fold(0.0, f64::max)
    }

    /// Whether it costs no more than it may.
    pub(super) fn is_quick(&self) -> bool {
        self.cpu_ms() < MOST_MS
    }

    pub(super) fn to_json(&self) -> Value {
        let inputs = self.inputs.iter().map(|cost| {
            json!({"what": cost.what, "cpu_ms": cost.cpu_ms, "wall_ms": cost.wall_ms, "answer_bytes": cost.bytes})
        });
        json!({
            "name": self.name,
            "cpu_ms": self.cpu_ms(),
            "wall_ms": self.wall_ms(),
            "met": self.is_quick(),
            "inputs": inputs.collect::<Vec<_>>(),
        })
    }

    pub(super) fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(self.name),
            Cell::Number(format!("{:.2}", self.cpu_ms())),
            Cell::Number(format!("{:.2}", self.wall_ms())),
            Cell::text(self.inputs.first().map_or("", |cost| cost.what)),
            verdict(self.is_quick()),
        ]
    }
}

/// Measures every operation that reads; the dearest comes first.
///
/// # Errors
///
/// An operation that has no inputs, and what the operations fail with.
pub(super) async fn measure(
    caller: Caller<'_>,
    asked: Vec<Asked>,
    most_calls: usize,
    bar: &ProgressBar,
) -> Result<Vec<Read>> {
    let mut reads: Vec<Read> = names(caller).map(Read::unmeasured).collect();
    for asked in asked {
        let name = asked.name;
        let read = reads.iter_mut().find(|read| read.name == name);
        let unknown = || Error::internal(format!("`{name}` is no operation that reads"));
        let cost = cost(caller, &asked, most_calls).await?;
        read.ok_or_else(unknown)?.inputs.push(cost);
        bar.inc(1);
    }
    for read in &mut reads {
        if read.inputs.is_empty() {
            let name = read.name;
            return Err(Error::internal(format!("`{name}` has no inputs")));
        }
        read.inputs.sort_by(|a, b| b.cpu_ms.total_cmp(&a.cpu_ms));
    }
    reads.sort_by(|a, b| b.cpu_ms().total_cmp(&a.cpu_ms()));
    Ok(reads)
}

impl Read {
    fn unmeasured(name: &'static str) -> Self {
        Self {
            name,
            inputs: Vec::new(),
        }
    }
}

fn names(caller: Caller<'_>) -> impl Iterator<Item = &'static str> {
    let reading = |entry: &&athena_core::Entry| entry.spec.effect == Effect::Read;
    let entries = caller.registry.entries().iter().filter(reading);
    entries.map(|entry| entry.spec.name)
}

/// Asks again and again; what is read the first time is not counted.
async fn cost(caller: Caller<'_>, asked: &Asked, most_calls: usize) -> Result<Cost> {
    let Asked { name, what, input } = asked;
    let failed = |error: Error| {
        let message = format!("`{name}` with {input}: {}", error.message());
        Error::new(error.code(), message)
    };
    let answer = caller.call(name, input.clone()).await.map_err(failed)?;
    let (mut cpus, mut walls, begun) = (Vec::new(), Vec::new(), Instant::now());
    while cpus.len() < LEAST_CALLS || begun.elapsed() < ENOUGH && cpus.len() < most_calls {
        let input = input.clone();
        let (cpu, started) = (cpu_time(), Instant::now());
        caller.call(name, input).await?;
        walls.push(milliseconds(started.elapsed()));
        cpus.push(milliseconds(cpu_time().saturating_sub(cpu)));
    }
    Ok(Cost {
        what,
        cpu_ms: made::median(cpus),
        wall_ms: made::median(walls),
        bytes: answer.to_string().len(),
    })
}
