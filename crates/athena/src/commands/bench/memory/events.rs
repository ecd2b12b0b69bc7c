//! Recording events one by one, beside what the disk allows.

use super::super::gauge::{self, Syncer};
use super::super::report::{Report, Target::AtLeast};
use super::{Bench, Caller, made};
use crate::outcome::at_path;
use athena_core::{Error, Result};
use athena_corpus::Corpus;
use serde_json::Value;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// How often syncs, one caller and several take turns, so that a phase of the disk meets all three.
const TURNS: u64 = 8;
/// Syncs of a turn, and events of one caller.
const IN_TURN: u64 = 25;
/// Callers at the same time, and how many events each records in a turn.
const CALLERS: u64 = 16;
const OF_EACH: u64 = 10;

/// Measures; the events get numbers that no others have.
///
/// # Errors
///
/// What the operations and the file system fail with.
pub(super) async fn measure(
    bench: &Bench<'_>,
    caller: Caller<'_>,
    report: &mut Report,
) -> Result<()> {
    let folder = bench.place.folder();
    let unwritable = |error| at_path("write to", folder.unwrap_or(Path::new("")), error);
    let mut syncer = folder.map(Syncer::new).transpose().map_err(unwritable)?;
    let recorder = Recorder {
        caller,
        corpus: &bench.corpus,
        next: AtomicU64::new(bench.sizes.events),
    };
    let (mut syncs, mut alone, mut together) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        if let Some(syncer) = &mut syncer {
            for _ in 0..IN_TURN {
                syncs.push(gauge::milliseconds(syncer.sync().map_err(unwritable)?));
            }
        }
        alone.push(recorder.alone().await?);
        together.push(recorder.together()?);
    }
    let sync = made::median(syncs);
    if sync > 0.0 {
        report.push("fdatasync.ms", "a page to the disk, p50", sync, "ms", None);
    }
    let mut push = |id: &str, what: &str, took: &[Duration], events: u64| {
        let seconds = took.iter().map(Duration::as_secs_f64).sum::<f64>();
        let rate = gauge::real(events) / seconds;
        let what = format!("event.record, {what}");
        report.push(format!("{id}.per_s"), &what, rate, "events/s", None);
        if sync > 0.0 {
            let what = format!("{what}: of what the disk allows one after the other");
            let share = rate * sync / 1e3;
            report.push(
                format!("{id}.of_fdatasync"),
                what,
                share,
                "×",
                Some(AtLeast(0.8)),
            );
        }
    };
    push("record_1", "one caller", &alone, TURNS * IN_TURN);
    push(
        "record_16",
        "16 callers",
        &together,
        TURNS * CALLERS * OF_EACH,
    );
    Ok(())
}

struct Recorder<'a> {
    caller: Caller<'a>,
    corpus: &'a Corpus,
    next: AtomicU64,
}

impl Recorder<'_> {
    fn event(&self) -> Value {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        made::event(self.corpus, number, self.caller.ctx.now())
    }

    /// Records events that are made up already; returns how long that took.
    async fn record(&self, events: Vec<Value>) -> Result<Duration> {
        let started = Instant::now();
        for event in events {
            self.caller.call("event.record", event).await?;
        }
        Ok(started.elapsed())
    }

    async fn alone(&self) -> Result<Duration> {
        self.record((0..IN_TURN).map(|_| self.event()).collect())
            .await
    }

    /// Records from several threads; returns how long it took until the last was done.
    fn together(&self) -> Result<Duration> {
        let runtime = Handle::current();
        let of_each = || (0..OF_EACH).map(|_| self.event()).collect::<Vec<Value>>();
        let prepared: Vec<Vec<Value>> = (0..CALLERS).map(|_| of_each()).collect();
        let started = Instant::now();
        std::thread::scope(|scope| {
            let record = |events| {
                let runtime = &runtime;
                scope.spawn(move || runtime.block_on(self.record(events)))
            };
            let callers: Vec<_> = prepared.into_iter().map(record).collect();
            callers.into_iter().try_for_each(|caller| {
                let ended = caller.join();
                ended.unwrap_or_else(|_| Err(Error::internal("a caller ended early")))?;
                Ok::<(), Error>(())
            })
        })?;
        Ok(started.elapsed())
    }
}
