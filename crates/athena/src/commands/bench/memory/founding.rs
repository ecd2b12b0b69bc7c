//! What founding document 004 says an operation takes, and what it takes here.
//!
//! It speaks of a PostgreSQL over TCP and of 10,000 vectors of 768 components. The operations are
//! called without a face in between, as the document's own are.

use super::super::gauge::{milliseconds, real};
use super::{Bench, Caller, made, verdict};
use crate::commands::db::table::Cell;
use athena_core::{Error, Result};
use athena_corpus::{Corpus, DIMENSION, percentile};
use athena_db::{Executor, Params, TxOptions};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// The project of the vectors: the width of the others is another one.
const PROJECT: &str = "founding";
const BATCH: u64 = 500;
/// Callers at the same time: the document's pool has as many connections.
const CALLERS: u64 = 10;

/// A line of the document's table.
#[derive(Debug)]
pub(super) struct Line {
    what: &'static str,
    promised: &'static str,
    measured: Measured,
    met: bool,
}

#[derive(Debug)]
enum Measured {
    Milliseconds { p50: f64, p95: f64 },
    PerSecond(f64),
}

impl Line {
    /// Judges the 95th percentile by the upper end of what is promised.
    fn time(what: &'static str, promised: &'static str, most: f64, times: &[f64]) -> Self {
        let mut sorted = times.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (p50, p95) = (percentile(&sorted, 0.5), percentile(&sorted, 0.95));
        Self {
            what,
            promised,
            measured: Measured::Milliseconds { p50, p95 },
            met: p95 <= most,
        }
    }

    /// Judges by the lower end of what is promised.
    fn rate(what: &'static str, promised: &'static str, least: f64, rate: f64) -> Self {
        Self {
            what,
            promised,
            measured: Measured::PerSecond(rate),
            met: rate >= least,
        }
    }

    /// The rate of times that follow one another.
    fn rate_of(what: &'static str, promised: &'static str, least: f64, times: &[f64]) -> Self {
        let rate = real(made::count(times.len())) / times.iter().sum::<f64>() * 1e3;
        Self::rate(what, promised, least, rate)
    }

    fn measured(&self) -> String {
        match self.measured {
            Measured::Milliseconds { p50, p95 } => format!("{p50:.2} ms, {p95:.2} ms"),
            Measured::PerSecond(rate) => format!("{rate:.0}/s"),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({"what": self.what, "promised": self.promised, "measured": self.measured(), "met": self.met})
    }

    pub(super) fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(self.what),
            Cell::text(self.promised),
            Cell::text(self.measured()),
            verdict(self.met),
        ]
    }
}

/// Fills the project and measures every line.
///
/// # Errors
///
/// What the operations fail with.
pub(super) async fn measure(bench: &Bench<'_>, caller: Caller<'_>) -> Result<Vec<Line>> {
    let founding = Founding {
        caller,
        corpus: &bench.corpus,
        vectors: bench.sizes.vectors,
        runs: if bench.is_quick { 20 } else { 200 },
    };
    founding.fill().await?;
    let mut lines = founding.memories().await?;
    lines.extend(founding.searches().await?);
    lines.extend(founding.others().await?);
    let seconds = if bench.is_quick { 0.5 } else { 4.0 };
    let rate = founding.together(Duration::from_secs_f64(seconds))?;
    lines.push(Line::rate(
        "writes from 10 callers",
        "100 to 200/s",
        100.0,
        rate,
    ));
    Ok(lines)
}

struct Founding<'a> {
    caller: Caller<'a>,
    corpus: &'a Corpus,
    vectors: u64,
    runs: u64,
}

impl Founding<'_> {
    async fn fill(&self) -> Result<()> {
        let project = json!({"name": PROJECT, "embedding_dim": DIMENSION});
        self.caller.call("project.create", project).await?;
        let mut first = 0;
        while first < self.vectors {
            let next = self.vectors.min(first + BATCH);
            let memories: Vec<Value> = (first..next).map(|number| self.memory(number)).collect();
            let input = json!({"memories": memories, "project": PROJECT});
            self.caller.call("memory.import", input).await?;
            first = next;
        }
        // The first search reads the index.
        self.caller
            .call("memory.semantic_search", self.semantic(0))
            .await?;
        Ok(())
    }

    fn memory(&self, number: u64) -> Value {
        let row = self.corpus.row(number);
        let tags: Vec<&str> = row.labels.names().collect();
        json!({"content": row.text, "embedding": row.vector, "tags": tags})
    }

    fn semantic(&self, number: u64) -> Value {
        json!({"embedding": self.corpus.question(number).vector, "project": PROJECT})
    }

    fn hybrid(&self, number: u64) -> Value {
        let question = self.corpus.question(number);
        json!({"query_text": question.text, "embedding": question.vector, "project": PROJECT})
    }

    /// Calls an operation; returns the answer and how long it took, in milliseconds.
    async fn timed(&self, name: &str, input: Value) -> Result<(Value, f64)> {
        let started = Instant::now();
        let answer = self.caller.call(name, input).await?;
        Ok((answer, milliseconds(started.elapsed())))
    }

    async fn times(&self, name: &str, inputs: impl Iterator<Item = Value>) -> Result<Vec<f64>> {
        let mut times = Vec::new();
        for input in inputs {
            times.push(self.timed(name, input).await?.1);
        }
        Ok(times)
    }

    async fn memories(&self) -> Result<Vec<Line>> {
        let (mut ids, mut stores) = (Vec::new(), Vec::new());
        for number in self.vectors..self.vectors + self.runs {
            let mut memory = self.memory(number);
            memory["project"] = json!(PROJECT);
            let (answer, took) = self.timed("memory.remember", memory).await?;
            ids.push(answer["id"].clone());
            stores.push(took);
        }
        let by_id = || ids.iter().map(|id| json!({ "id": id }));
        let gets = self.times("memory.get", by_id()).await?;
        let deletes = self.times("memory.forget", by_id()).await?;
        Ok(vec![
            Line::time("store_memory", "5 to 15 ms", 15.0, &stores),
            Line::time("get_memory", "1 to 5 ms", 5.0, &gets),
            Line::time("delete_memory", "2 to 5 ms", 5.0, &deletes),
            Line::rate_of(
                "writes one after the other",
                "500 to 1000/s",
                500.0,
                &stores,
            ),
        ])
    }

    async fn searches(&self) -> Result<Vec<Line>> {
        let semantic = (0..self.runs).map(|number| self.semantic(number));
        let semantic = self.times("memory.semantic_search", semantic).await?;
        let hybrid = (0..self.runs).map(|number| self.hybrid(number));
        let hybrid = self.times("memory.hybrid_search", hybrid).await?;
        Ok(vec![
            Line::time(
                "semantic_search, 10,000 vectors",
                "10 to 20 ms",
                20.0,
                &semantic,
            ),
            Line::time(
                "hybrid_search, 10,000 vectors",
                "20 to 40 ms",
                40.0,
                &hybrid,
            ),
            Line::rate_of("searches one after the other", "50 to 100/s", 50.0, &hybrid),
        ])
    }

    async fn others(&self) -> Result<Vec<Line>> {
        let now = self.caller.ctx.now();
        let events = (0..self.runs).map(|number| {
            let mut event = made::event(self.corpus, number, now);
            event["project"] = json!(PROJECT);
            event
        });
        let events = self.times("event.record", events).await?;
        let tasks = (0..self.runs).map(
            |number| json!({"title": format!("Task {number}"), "priority": 5, "project": PROJECT}),
        );
        let tasks = self.times("task.create", tasks).await?;
        let transactions = self.transactions().await?;
        Ok(vec![
            Line::time("store_episodic_event", "5 to 10 ms", 10.0, &events),
            Line::time("create_task", "2 to 5 ms", 5.0, &tasks),
            Line::time(
                "a transaction, over its statement",
                "below 1 ms",
                1.0,
                &transactions,
            ),
        ])
    }

    /// Returns what a transaction of one statement takes over the statement alone.
    async fn transactions(&self) -> Result<Vec<f64>> {
        let db = self.caller.ctx.db();
        let mut over = Vec::new();
        for _ in 0..self.runs {
            let started = Instant::now();
            db.execute("SELECT 1", Params::new()).await?;
            let alone = started.elapsed();
            let started = Instant::now();
            let tx = db.begin(TxOptions::default()).await?;
            tx.execute("SELECT 1", Params::new()).await?;
            tx.commit().await?;
            over.push(milliseconds(started.elapsed().saturating_sub(alone)));
        }
        Ok(over)
    }

    /// Returns how many memories a second several callers store together.
    fn together(&self, time: Duration) -> Result<f64> {
        let runtime = Handle::current();
        let next = AtomicU64::new(1 << 19);
        let started = Instant::now();
        let write = async || {
            while started.elapsed() < time {
                let mut memory = self.memory(next.fetch_add(1, Ordering::Relaxed));
                memory["project"] = json!(PROJECT);
                self.caller.call("memory.remember", memory).await?;
            }
            Ok::<(), Error>(())
        };
        std::thread::scope(|scope| {
            let callers: Vec<_> = (0..CALLERS)
                .map(|_| scope.spawn(|| runtime.block_on(write())))
                .collect();
            callers.into_iter().try_for_each(|caller| {
                let ended = caller.join();
                ended.unwrap_or_else(|_| Err(Error::internal("a caller ended early")))
            })
        })?;
        let written = next.load(Ordering::Relaxed) - (1 << 19);
        Ok(real(written) / started.elapsed().as_secs_f64())
    }
}
