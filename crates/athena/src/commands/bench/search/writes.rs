//! Storing one by one, and searching while somebody stores.

use super::super::gauge::{self, Syncer};
use super::super::place::{PROJECT, Place};
use super::super::report::{Report, Target::AtLeast, Target::AtMost};
use super::answers::{Asker, Mode, Pass};
use super::fill::record;
use super::stages::Bench;
use crate::outcome::{Outcome, at_path};
use athena_core::{Error, Result};
use athena_corpus::{Corpus, made_up, percentile};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// How often a few syncs and a few memories take turns, so that a phase of the disk meets both.
const TURNS: u64 = 10;
/// How many of each in a turn.
const IN_TURN: u64 = 10;
/// Measures both; memories get the numbers after those of the rows.
///
/// # Errors
///
/// What the operations and the file system fail with.
pub(super) async fn measure(
    asker: &Asker<'_>,
    bench: &Bench<'_>,
    idle: &Pass,
    report: &mut Report,
) -> Outcome {
    let (corpus, place, next) = (&bench.corpus, bench.place, bench.plan.rows);
    let stored = one_by_one(asker, corpus, place, next).await?;
    let rate = gauge::real(TURNS * IN_TURN) / stored.took.as_secs_f64();
    report.push(
        "remember.per_s",
        "storing one by one",
        rate,
        "memories/s",
        None,
    );
    if !stored.syncs.is_empty() {
        let sync = percentile(&stored.syncs, 0.5);
        report.push("fdatasync.ms", "a page to the disk, p50", sync, "ms", None);
        report.push(
            "remember.of_fdatasync",
            "storing one by one, of what the disk allows",
            rate * sync / 1e3,
            "",
            Some(AtLeast(0.8)),
        );
    }
    report.push(
        "remember.found_at_once",
        "found right after its commit",
        stored.found,
        "",
        Some(AtLeast(1.0)),
    );

    let while_writing = during_writes(asker, corpus, next + TURNS * IN_TURN)?;
    let (p99, idle) = (percentile(&while_writing, 0.99), idle.wall_ms(0.99));
    report.push(
        "writing.p99_ms",
        "by both, while somebody stores: p99",
        p99,
        "ms",
        None,
    );
    report.push(
        "writing.p99_ratio",
        "the same over that of an idle store",
        p99 / idle,
        "×",
        Some(AtMost(3.0)),
    );
    Ok(())
}

/// Returns how many memories a second are stored one by one; they get numbers that no others have.
///
/// # Errors
///
/// What the operations and the file system fail with.
pub(super) async fn rate(asker: &Asker<'_>, bench: &Bench<'_>) -> Result<f64> {
    let next = bench.plan.rows + (1 << 20);
    let stored = one_by_one(asker, &bench.corpus, bench.place, next).await?;
    Ok(gauge::real(TURNS * IN_TURN) / stored.took.as_secs_f64())
}

struct Stored {
    took: Duration,
    /// How long a page took to the disk, in milliseconds, sorted.
    syncs: Vec<f64>,
    /// The share that was found right away.
    found: f64,
}

async fn one_by_one(
    asker: &Asker<'_>,
    corpus: &Corpus,
    place: &Place,
    next: u64,
) -> Result<Stored> {
    let unwritable = |error| at_path("write to", place.folder().unwrap_or(Path::new("")), error);
    let syncer = place.folder().map(Syncer::new).transpose();
    let mut syncer = syncer.map_err(unwritable)?;
    let (mut took, mut syncs, mut found) = (Duration::ZERO, Vec::new(), 0);
    for turn in 0..TURNS {
        for _ in 0..IN_TURN {
            if let Some(syncer) = &mut syncer {
                syncs.push(gauge::milliseconds(syncer.sync().map_err(unwritable)?));
            }
        }
        for number in 0..IN_TURN {
            let (input, word) = memory(corpus, next + turn * IN_TURN + number);
            let started = Instant::now();
            let answer = remember(asker, input).await?;
            took += started.elapsed();
            found += u64::from(finds(asker, &word, &answer["id"]).await?);
        }
    }
    syncs.sort_by(f64::total_cmp);
    Ok(Stored {
        took,
        syncs,
        found: gauge::real(found) / gauge::real(TURNS * IN_TURN),
    })
}

/// Returns a memory with a word that no other one has.
fn memory(corpus: &Corpus, number: u64) -> (Value, String) {
    let row = corpus.row(number);
    // Twice as long as the words of rows, and its beginning is left alone by every stemmer.
    let half = made_up(u32::try_from(number % (1 << 21)).unwrap_or(0));
    let word = format!("{half}{half}");
    let mut input = record(number, &row);
    input["content"] = json!(format!("{} {word}", row.text));
    (input, word)
}

async fn remember(asker: &Asker<'_>, input: Value) -> Result<Value> {
    asker
        .registry
        .call("memory.remember", asker.ctx, input, None)
        .await
}

async fn finds(asker: &Asker<'_>, word: &str, id: &Value) -> Result<bool> {
    let input = json!({"query": word, "mode": "keyword", "limit": 1, "project": PROJECT});
    Ok(asker.ask(input).await?["hits"][0]["id"] == *id)
}

/// Asks everything while another client stores without a pause; returns how long the answers took, in
/// milliseconds, sorted.
fn during_writes(asker: &Asker<'_>, corpus: &Corpus, next: u64) -> Result<Vec<f64>> {
    let runtime = Handle::current();
    let done = AtomicBool::new(false);
    let (walls, written) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            runtime.block_on(async {
                for number in next.. {
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    remember(asker, memory(corpus, number).0).await?;
                }
                Ok(())
            })
        });
        let walls = scope.spawn(|| {
            let walls = runtime.block_on(ask_twice(asker));
            done.store(true, Ordering::Relaxed);
            walls
        });
        let early = || Error::internal("a client ended early");
        (
            walls.join().unwrap_or_else(|_| Err(early())),
            writer.join().unwrap_or_else(|_| Err(early())),
        )
    });
    written?;
    walls
}

async fn ask_twice(asker: &Asker<'_>) -> Result<Vec<f64>> {
    let mut walls = Vec::new();
    for input in [
        asker.inputs(Mode::Hybrid, None),
        asker.inputs(Mode::Hybrid, None),
    ]
    .concat()
    {
        let started = Instant::now();
        asker.ask(input).await?;
        walls.push(gauge::milliseconds(started.elapsed()));
    }
    walls.sort_by(f64::total_cmp);
    Ok(walls)
}
