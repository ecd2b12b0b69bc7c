//! What it takes to open a store and to keep it open: a process of its own finds out, because the
//! memory of one that has stored everything says nothing.

use super::super::gauge::{cpu_time, memory, milliseconds};
use super::super::place::Place;
use super::answers::{Asker, Mode};
use crate::commands::{Session, print};
use crate::outcome::{Outcome, at_path};
use athena_core::{Error, Result};
use athena_corpus::{Corpus, QUESTIONS};
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use std::time::Instant;

/// How many processes are started; the middle one counts.
const PROCESSES: usize = 3;

/// What opening took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opened {
    /// CPU time until the first answer, in milliseconds.
    pub(super) cpu_ms: f64,
    /// Time until the first answer, in milliseconds.
    pub(super) wall_ms: f64,
    /// How much memory the process gained until every question was answered, in MB.
    pub(super) grown_mb: Option<f64>,
}

/// Opens a store in processes of their own.
///
/// # Errors
///
/// When this program cannot be started again or fails.
pub(super) fn measure(place: &Place) -> Result<Opened> {
    let mut all = (0..PROCESSES)
        .map(|_| in_new_process(place))
        .collect::<Result<Vec<Opened>>>()?;
    all.sort_by(|a, b| a.cpu_ms.total_cmp(&b.cpu_ms));
    Ok(all[all.len() / 2])
}

fn in_new_process(place: &Place) -> Result<Opened> {
    let program = std::env::current_exe().map_err(Error::internal)?;
    let output = Command::new(&program)
        .args(["bench", "search", "--reopen", "--json"])
        // Not an argument, which every user of the machine could read: it may hold a password.
        .env("ATHENA_DATABASE_URL", place.url())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| at_path("start", &program, error))?;
    let answer: Value = serde_json::from_slice(&output.stdout).map_err(Error::internal)?;
    let number = |name: &str| answer[name].as_f64();
    let opened = || {
        Some(Opened {
            cpu_ms: number("cpu_ms")?,
            wall_ms: number("wall_ms")?,
            grown_mb: number("grown_mb"),
        })
    };
    opened().ok_or_else(|| Error::internal("the process that opened the store told nothing"))
}

/// Is that process.
pub(super) fn run(session: &Session) -> Outcome {
    let corpus = Corpus::new();
    let questions = corpus.questions(QUESTIONS);
    let place = Place::of_settings(session);
    let answer = session.block_on(async {
        let before = memory();
        let (cpu, started) = (cpu_time(), Instant::now());
        let store = place.open().await?;
        let ctx = store.ctx("bench");
        let asker = Asker {
            registry: &session.registry,
            ctx: &ctx,
            questions: &questions,
        };
        let mut inputs = asker.inputs(Mode::Hybrid, None).into_iter();
        if let Some(first) = inputs.next() {
            asker.ask(first).await?;
        }
        let (cpu, wall) = (cpu_time().saturating_sub(cpu), started.elapsed());
        for input in inputs {
            asker.ask(input).await?;
        }
        let after = memory();
        store.close().await?;
        let grown = before
            .zip(after)
            .map(|(before, after)| after.resident - before.resident);
        Ok(json!({
            "cpu_ms": milliseconds(cpu),
            "wall_ms": milliseconds(wall),
            "grown_mb": grown,
            "peak_mb": after.map(|after| after.peak),
        }))
    })?;
    print(&format!("{answer}\n"))
}
