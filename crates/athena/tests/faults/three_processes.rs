//! Three processes on one file: a server and two agents that each started `athena mcp`.
//!
//! Nobody is told that the database is locked, nothing is lost, and what one wrote the others find at
//! once. In one home they would hand their calls to one of them, so each has a home of its own.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::acknowledged::{Acknowledged, assert_best, assert_listed};
use crate::http::Client;
use crate::mcp::Mcp;
use crate::place::Place;
use crate::process::Server;
use crate::random::word;

/// How long they write at least.
const DURATION: Duration = Duration::from_secs(60);

/// How many memories they write at least.
const WRITES: u64 = 5_000;

/// A machine that takes longer than this hangs rather than works.
const GIVE_UP: Duration = Duration::from_secs(900);

/// How many memories are recalled once more at the end.
const SAMPLE: usize = 1_500;

/// Callers of each process at the same time.
const CALLERS: u64 = 4;

/// Every so many writes, another process is asked for what was just written.
const ASK_EVERY: u64 = 4;

#[test]
fn three_processes_share_one_file() {
    let place = Place::sqlite();
    let processes = Processes::start(&place);
    let acknowledged = write_from_all(&processes);
    eprintln!("{} acknowledged by three processes", acknowledged.len());
    check_recalled(&processes, &acknowledged);
    processes.stop();
    let server = place.serve();
    assert_listed(server.address, &acknowledged);
    server.stop();
    place.check_integrity();
}

/// The three.
#[derive(Debug)]
struct Processes {
    server: Server,
    agents: [Mcp; 2],
}

/// One caller's way to one process.
enum Way<'a> {
    Rest(Client),
    Mcp(&'a Mcp),
}

impl Processes {
    /// Starts all of them at once on a store that does not exist yet.
    fn start(place: &Place) -> Self {
        let agent = |name: &str| Mcp::start(place.athena_apart(name), place.log(name));
        std::thread::scope(|scope| {
            let one = scope.spawn(|| agent("agent-1"));
            let other = scope.spawn(|| agent("agent-2"));
            Self {
                server: place.serve(),
                agents: [one.join().unwrap(), other.join().unwrap()],
            }
        })
    }

    fn way(&self, process: u64) -> Way<'_> {
        match process % 3 {
            0 => Way::Rest(self.server.client()),
            1 => Way::Mcp(&self.agents[0]),
            _ => Way::Mcp(&self.agents[1]),
        }
    }

    /// Ends all of them; each must end well and must have had nothing to complain about.
    fn stop(self) {
        let [one, other] = self.agents;
        for (name, (status, log)) in [
            ("serve", self.server.stop()),
            ("agent 1", one.stop()),
            ("agent 2", other.stop()),
        ] {
            assert!(status.success(), "{name}: {status}\n{log}");
            assert!(
                !log.contains("WARN") && !log.contains("ERROR"),
                "{name}: {log}"
            );
            assert!(!log.contains("locked"), "{name}: {log}");
        }
    }
}

impl Way<'_> {
    fn remember(&mut self, content: &str) -> Result<i64, String> {
        let answer = match self {
            Self::Rest(client) => rest(client.remember(content, None), 201)?,
            Self::Mcp(agent) => agent.call("remember", &json!({ "content": content }))?,
        };
        answer["id"]
            .as_i64()
            .ok_or_else(|| format!("no id in {answer}"))
    }

    fn recall(&mut self, query: &str) -> Result<Value, String> {
        match self {
            Self::Rest(client) => rest(client.recall(query), 200),
            Self::Mcp(agent) => agent.call("recall", &json!({ "query": query, "limit": 1 })),
        }
    }
}

fn rest(answer: std::io::Result<crate::http::Answer>, status: u16) -> Result<Value, String> {
    let answer = answer.map_err(|error| error.to_string())?;
    if answer.status == status {
        Ok(answer.body)
    } else {
        Err(answer.body.to_string())
    }
}

/// Writes through all three until both the time and the number are reached.
fn write_from_all(processes: &Processes) -> Vec<Acknowledged> {
    let acknowledged = Mutex::new(Vec::new());
    let count = AtomicU64::new(0);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for caller in 0..3 * CALLERS {
            let (acknowledged, count) = (&acknowledged, &count);
            scope.spawn(move || {
                let mut own = processes.way(caller);
                let mut another = processes.way(caller + 1 + caller / 3 % 2);
                let mut number = 0;
                while started.elapsed() < DURATION || count.load(Ordering::Relaxed) < WRITES {
                    assert!(started.elapsed() < GIVE_UP, "too few writes come through");
                    let memory = write_one(&mut own, caller, number);
                    if number % ASK_EVERY == 0 {
                        assert_best(&another.recall(&memory.word).unwrap(), &memory);
                    }
                    acknowledged.lock().unwrap().push(memory);
                    count.fetch_add(1, Ordering::Relaxed);
                    number += 1;
                }
            });
        }
    });
    acknowledged.into_inner().unwrap()
}

fn write_one(process: &mut Way<'_>, caller: u64, number: u64) -> Acknowledged {
    let word = word(caller << 24 | number);
    let content = format!("caller {caller} noted {word}");
    Acknowledged {
        id: process.remember(&content).unwrap(),
        word,
    }
}

/// Asks each process for a share of a sample; that all are there is checked by listing them.
fn check_recalled(processes: &Processes, acknowledged: &[Acknowledged]) {
    let sample = acknowledged.len().div_ceil(SAMPLE).max(1);
    std::thread::scope(|scope| {
        for process in 0..3 {
            scope.spawn(move || {
                let mut way = processes.way(process);
                let offset = usize::try_from(process).unwrap() * sample;
                for memory in acknowledged.iter().skip(offset).step_by(3 * sample) {
                    assert_best(&way.recall(&memory.word).unwrap(), memory);
                }
            });
        }
    });
}
