//! Athena and its peers as processes that are asked.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::data::rows_of;
use crate::bench::worker::Worker;
use crate::workspace::last_lines;

/// How long it may take until a process is ready or a question is answered.
const SHORT: Duration = Duration::from_secs(300);
/// How long it may take to store everything or to measure everything that Athena measures by itself.
const LONG: Duration = Duration::from_secs(3_600);

/// A kind of question and a way of asking it.
#[derive(Clone)]
pub(super) struct Offer {
    pub(super) kind: String,
    pub(super) setting: String,
    /// What a target calls it.
    pub(super) role: Option<String>,
    /// Whether it can be asked with a filter.
    pub(super) filters: bool,
}

/// What storing everything took, indexes included.
#[derive(Clone, Copy)]
pub(super) struct Filled {
    pub(super) cpu_s: f64,
    pub(super) rows_per_s: f64,
    pub(super) disk_mb: f64,
}

/// What asking everything took.
pub(super) struct Asked {
    /// Of one question.
    pub(super) cpu_ms: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    /// The rows that each question found; of a slow peer not all questions.
    pub(super) found: Vec<Vec<u64>>,
}

/// One that takes part.
pub(super) struct Contestant {
    pub(super) name: &'static str,
    pub(super) versions: String,
    pub(super) offers: Vec<Offer>,
    pub(super) filled: Option<Filled>,
    /// Rows that are stored one by one in a second.
    pub(super) singles_per_s: Option<f64>,
    worker: Worker,
}

impl Contestant {
    /// Starts a process; what it says on standard error goes into a file of the folder.
    pub(super) fn start(
        name: &'static str,
        command: &mut Command,
        folder: &Path,
    ) -> Result<Contestant> {
        let log = folder.join(format!("{name}.log"));
        command.stderr(File::create(&log)?);
        let mut worker = Worker::start(name, command)?;
        let hello = match worker.read(SHORT) {
            Ok(hello) => accepted(hello)?,
            // Python tells what is missing in its last line.
            Err(error) => bail!("{error:#}: {}", last_lines(&fs::read_to_string(log)?, 1)),
        };
        Ok(Contestant {
            name,
            versions: hello["versions"].as_str().unwrap_or(name).to_owned(),
            offers: hello["offers"]
                .as_array()
                .into_iter()
                .flatten()
                .map(offer)
                .collect(),
            filled: None,
            singles_per_s: None,
            worker,
        })
    }

    /// Has it store everything.
    pub(super) fn fill(&mut self) -> Result<()> {
        let answer = accepted(self.worker.ask(&json!({"do": "fill"}), LONG)?)?;
        self.filled = Some(Filled {
            cpu_s: number(&answer, "cpu_s"),
            rows_per_s: number(&answer, "rows_per_s"),
            disk_mb: number(&answer, "disk_mb"),
        });
        Ok(())
    }

    /// Asks it everything once.
    pub(super) fn ask(&mut self, offer: &Offer, label: Option<&str>) -> Result<Asked> {
        let request =
            json!({"do": "ask", "kind": offer.kind, "setting": offer.setting, "label": label});
        let answer = accepted(self.worker.ask(&request, SHORT)?)?;
        Ok(Asked {
            cpu_ms: number(&answer, "cpu_ms"),
            p50_ms: number(&answer, "p50_ms"),
            p99_ms: number(&answer, "p99_ms"),
            found: rows_of(&answer["found"])?,
        })
    }

    /// Has it store some rows one by one, if it can.
    pub(super) fn store_singles(&mut self) -> Result<()> {
        let answer = accepted(self.worker.ask(&json!({"do": "single"}), SHORT)?)?;
        self.singles_per_s = answer["per_s"].as_f64();
        Ok(())
    }

    /// Has Athena measure what `athena bench search` does.
    pub(super) fn report(&mut self) -> Result<Vec<Value>> {
        let answer = accepted(self.worker.ask(&json!({"do": "report"}), LONG)?)?;
        Ok(answer["items"].as_array().cloned().unwrap_or_default())
    }
}

fn accepted(answer: Value) -> Result<Value> {
    match answer["error"].as_str() {
        Some(error) => bail!("{error}"),
        None => Ok(answer),
    }
}

fn offer(offer: &Value) -> Offer {
    let text = |name: &str| offer[name].as_str().map(str::to_owned);
    Offer {
        kind: text("kind").unwrap_or_default(),
        setting: text("setting").unwrap_or_default(),
        role: text("role"),
        filters: offer["filters"].as_bool().unwrap_or(false),
    }
}

/// Returns a number of an answer; what is none is not comparable with anything.
fn number(answer: &Value, name: &str) -> f64 {
    answer[name].as_f64().unwrap_or(f64::NAN)
}
