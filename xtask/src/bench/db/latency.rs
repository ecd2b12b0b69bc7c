//! The latencies that founding document 004 expects, on PostgreSQL: by REST, so that what an agent
//! waits for is in them, and over TCP.
//!
//! The store has 10,000 memories with vectors of 768 dimensions, as in the document. What the
//! document lists and Athena has no operation for is not in the table.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use athena_corpus::Random;
use serde_json::{Value, json};

use crate::bench::client::Client;
use crate::bench::corpus::Corpus;
use crate::bench::process::{Home, Server};

/// The name of this part for `--only`.
pub(super) const NAME: &str = "postgres latency";

/// Memories that are searched.
const MEMORIES: u64 = 10_000;
/// Dimensions of a vector.
const DIMENSIONS: usize = 768;
/// Groups of memories whose vectors are alike.
const TOPICS: u64 = 100;
/// Clients that write at the same time: the document's pool has as many connections.
const CLIENTS: u64 = 10;

/// One line of the table.
pub(super) struct Latency {
    pub(super) what: &'static str,
    /// What the document expects.
    pub(super) expected: &'static str,
    pub(super) measured: Measured,
    pub(super) met: bool,
}

/// What was measured.
pub(super) enum Measured {
    Milliseconds { p50: f64, p95: f64 },
    PerSecond(f64),
}

impl Latency {
    /// Judges by the upper end of what the document expects, against the 95th percentile.
    fn of(what: &'static str, expected: &'static str, most: f64, mut times: Vec<f64>) -> Latency {
        times.sort_by(f64::total_cmp);
        let quantile = |hundredths: usize| times[times.len() * hundredths / 100] * 1e3;
        let (p50, p95) = (quantile(50), quantile(95));
        Latency {
            what,
            expected,
            measured: Measured::Milliseconds { p50, p95 },
            met: p95 <= most,
        }
    }

    /// Judges by the lower end of what the document expects.
    fn rate(what: &'static str, expected: &'static str, least: f64, rate: f64) -> Latency {
        Latency {
            what,
            expected,
            measured: Measured::PerSecond(rate),
            met: rate >= least,
        }
    }

    pub(super) fn measured(&self) -> String {
        match self.measured {
            Measured::Milliseconds { p50, p95 } => format!("{p50:.1} ms, {p95:.1} ms"),
            Measured::PerSecond(rate) => format!("{rate:.0}/s"),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let measured = match self.measured {
            Measured::Milliseconds { p50, p95 } => json!({ "p50_ms": p50, "p95_ms": p95 }),
            Measured::PerSecond(rate) => json!({ "per_second": rate }),
        };
        json!({
            "what": self.what,
            "expected": self.expected,
            "measured": measured,
            "met": self.met,
        })
    }
}

/// Fills a store and measures.
pub(super) fn run(home: &Home, quick: bool) -> Result<Vec<Latency>> {
    let (memories, runs) = if quick { (500, 20) } else { (MEMORIES, 300) };
    let corpus = Corpus::new();
    let server = Server::start(home)?;
    let mut client = Client::connect(server.address)?;
    eprintln!("storing {memories} memories with vectors");
    fill(&mut client, &corpus, memories)?;
    // The first search reads the index; nobody else does.
    search(&mut client, "semantic", &semantic(memories))?;
    eprintln!("measuring latencies");
    let mut lines = stored(&mut client, &corpus, memories, runs)?;
    lines.extend(searched(&mut client, &corpus, memories, runs)?);
    let together = if quick { 0.5 } else { 4.0 };
    let rate = write_together(&server, &corpus, Duration::from_secs_f64(together))?;
    let what = "writes from 10 clients";
    lines.push(Latency::rate(what, "100 to 200/s", 100.0, rate));
    Ok(lines)
}

fn fill(client: &mut Client, corpus: &Corpus, memories: u64) -> Result<()> {
    let numbers: Vec<u64> = (0..memories).collect();
    for chunk in numbers.chunks(100) {
        let batch: Vec<Value> = chunk.iter().map(|number| memory(corpus, *number)).collect();
        client.call("POST", "/memories/batch", &json!({ "memories": batch }))?;
    }
    Ok(())
}

/// Stores, gets and deletes single memories.
fn stored(client: &mut Client, corpus: &Corpus, from: u64, runs: u64) -> Result<Vec<Latency>> {
    let mut ids = Vec::new();
    let mut stores = Vec::new();
    for number in from..from + runs {
        let memory = memory(corpus, number);
        let (answer, took) = timed(|| client.call("POST", "/memories", &memory))?;
        stores.push(took);
        ids.push(answer["id"].as_i64().context("a memory without an id")?);
    }
    let mut each = |method| {
        let mut call = |id| timed(|| client.call(method, &format!("/memories/{id}"), &Value::Null));
        let times = ids.iter().map(|id| call(id).map(|(_, took)| took));
        times.collect::<Result<Vec<f64>>>()
    };
    let (gets, deletes) = (each("GET")?, each("DELETE")?);
    let rate = stores.len() as f64 / stores.iter().sum::<f64>();
    Ok(vec![
        Latency::of("`store_memory`", "5 to 15 ms", 15.0, stores),
        Latency::of("`get_memory`", "1 to 5 ms", 5.0, gets),
        Latency::of("`delete_memory`", "2 to 5 ms", 5.0, deletes),
        Latency::rate("writes one after the other", "500 to 1,000/s", 500.0, rate),
    ])
}

fn searched(
    client: &mut Client,
    corpus: &Corpus,
    memories: u64,
    runs: u64,
) -> Result<Vec<Latency>> {
    let (mut by_meaning, mut by_both) = (Vec::new(), Vec::new());
    for number in 0..runs {
        by_meaning.push(search(client, "semantic", &semantic(memories + number))?);
        let question = json!({
            "query_text": corpus.question(number, memories),
            "embedding": vector(memories + number),
        });
        by_both.push(search(client, "hybrid", &question)?);
    }
    let rate = by_both.len() as f64 / by_both.iter().sum::<f64>();
    Ok(vec![
        Latency::of(
            "`semantic_search`, 10,000 vectors",
            "10 to 20 ms",
            20.0,
            by_meaning,
        ),
        Latency::of(
            "`hybrid_search`, 10,000 vectors",
            "20 to 40 ms",
            40.0,
            by_both,
        ),
        Latency::rate(
            "hybrid searches one after the other",
            "50 to 100/s",
            50.0,
            rate,
        ),
    ])
}

fn semantic(number: u64) -> Value {
    json!({ "embedding": vector(number) })
}

/// Searches, and fails when nothing is found: that would be quick and no search.
fn search(client: &mut Client, kind: &str, question: &Value) -> Result<f64> {
    let path = format!("/memories/{kind}-search");
    let (answer, took) = timed(|| client.call("POST", &path, question))?;
    let found = answer["hits"]
        .as_array()
        .is_some_and(|hits| !hits.is_empty());
    ensure!(found, "the {kind} search finds nothing");
    Ok(took)
}

/// Returns how many memories a second are stored from all clients together.
fn write_together(server: &Server, corpus: &Corpus, time: Duration) -> Result<f64> {
    let started = Instant::now();
    let written: Result<Vec<u32>> = std::thread::scope(|scope| {
        let writer = |client: u64| {
            let mut connection = Client::connect(server.address)?;
            let mut written = 0;
            while started.elapsed() < time {
                let number = (client + 1) << 32 | u64::from(written);
                connection.call("POST", "/memories", &memory(corpus, number))?;
                written += 1;
            }
            Ok(written)
        };
        let writers: Vec<_> = (0..CLIENTS)
            .map(|client| scope.spawn(move || writer(client)))
            .collect();
        let join = |writer: std::thread::ScopedJoinHandle<'_, _>| writer.join().expect("no panic");
        writers.into_iter().map(join).collect()
    });
    let written: u32 = written?.iter().sum();
    Ok(f64::from(written) / started.elapsed().as_secs_f64())
}

fn memory(corpus: &Corpus, number: u64) -> Value {
    json!({
        "content": format!("{} {number}", corpus.memory(number)),
        "type": "fact",
        "embedding": vector(number),
    })
}

/// Returns the vector of a number: that of its topic, and as much noise.
fn vector(number: u64) -> Vec<f64> {
    let mut topic = Random::new(number % TOPICS);
    let mut noise = Random::new(!number);
    let component = |_| topic.share() - 0.5 + (noise.share() - 0.5);
    (0..DIMENSIONS).map(component).collect()
}

fn timed<T>(call: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
    let started = Instant::now();
    let answer = call()?;
    Ok((answer, started.elapsed().as_secs_f64()))
}
