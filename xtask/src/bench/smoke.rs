//! The numbers that a release should not lose: start, memory, writes, recall, size.

use std::fs::{self, File};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::client::Client;
use super::corpus::Corpus;
use super::process::{Home, Server};
use super::{Measure, Target, median};
use crate::workspace;

/// Memories of the store that processes start on.
const SMALL: u64 = 1_000;
/// Memories of the store that is recalled from.
const LARGE: u64 = 10_000;
/// Starts of a process.
const STARTS: u64 = 21;
/// Runs of a server.
const RUNS: u64 = 5;
/// Clients that write at the same time.
const CLIENTS: u64 = 16;
/// How long they write in one run.
const WRITE_FOR: Duration = Duration::from_secs(4);
/// Recalls in one run: enough for the kernel's count in hundredths of a second.
const RECALLS: u64 = 200;
/// Calls of `fdatasync` before and after each run of writes.
const SYNCS: usize = 150;

/// Measures everything.
pub(super) fn run(binary: &Path) -> Result<Vec<Measure>> {
    let folder = Folder::new(binary)?;
    let corpus = Corpus::new();
    let small = folder.store("small", &corpus, SMALL)?;
    let large = folder.store("large", &corpus, LARGE)?;
    let mut measures = starts(&small, &corpus)?;
    measures.push(idle_memory(&small, &corpus)?);
    measures.extend(writes(&folder, &corpus)?);
    measures.push(recalls(&large, &corpus)?);
    measures.push(size(binary)?);
    Ok(measures)
}

/// A directory below `target/`, removed at the end.
struct Folder {
    path: PathBuf,
    binary: PathBuf,
}

impl Folder {
    fn new(binary: &Path) -> Result<Folder> {
        let path = workspace::target().join(format!("bench-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Folder {
            path,
            binary: binary.to_owned(),
        })
    }

    fn home(&self, name: &str) -> Home {
        Home {
            binary: self.binary.clone(),
            path: self.path.join(name),
            database: None,
        }
    }

    /// Makes a store of so many memories.
    fn store(&self, name: &str, corpus: &Corpus, memories: u64) -> Result<Home> {
        eprintln!("importing {memories} memories");
        let home = self.home(name);
        home.import((0..memories).map(|number| corpus.memory(number)))?;
        Ok(home)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Starts processes on the small store, the two kinds in turn.
fn starts(home: &Home, corpus: &Corpus) -> Result<Vec<Measure>> {
    eprintln!("starting processes");
    let mut recalls = Vec::new();
    let mut initializes = Vec::new();
    for number in 0..STARTS {
        let question = corpus.question(number, SMALL);
        recalls.push(milliseconds(home.time_recall(&question)?));
        initializes.push(milliseconds(home.time_initialize()?));
    }
    Ok(vec![
        Measure {
            name: "process start to first recall, 1,000 memories",
            unit: "ms",
            target: Target::Below(50.0),
            runs: recalls,
        },
        Measure {
            name: "process start to answered MCP initialize, 1,000 memories",
            unit: "ms",
            target: Target::Below(20.0),
            runs: initializes,
        },
    ])
}

/// Looks at a server that has recalled once and has had nothing to do since.
fn idle_memory(home: &Home, corpus: &Corpus) -> Result<Measure> {
    eprintln!("watching an idle server");
    let mut runs = Vec::new();
    for number in 0..RUNS {
        let server = Server::start(home)?;
        Client::connect(server.address)?.recall(&corpus.question(number, SMALL))?;
        thread::sleep(Duration::from_secs(2));
        runs.push(server.resident()?);
    }
    Ok(Measure {
        name: "idle memory of serve after a recall, 1,000 memories",
        unit: "MB",
        target: Target::Below(40.0),
        runs,
    })
}

/// Writes from many clients, each run on a fresh store beside the file whose syncs are timed.
fn writes(folder: &Folder, corpus: &Corpus) -> Result<Vec<Measure>> {
    eprintln!("writing from {CLIENTS} clients");
    let (mut rates, mut syncs, mut ratios, mut costs) = (vec![], vec![], vec![], vec![]);
    for run in 0..RUNS {
        let server = Server::start(&folder.home(&format!("writes-{run}")))?;
        let mut times = time_syncs(&folder.path)?;
        let before = server.processor_time()?;
        let (written, took) = write_from_all(server.address, corpus)?;
        let used = server.processor_time()? - before;
        times.extend(time_syncs(&folder.path)?);
        let (sync, rate) = (median(&times), written / took.as_secs_f64());
        rates.push(rate);
        syncs.push(sync * 1e3);
        ratios.push(rate * sync);
        costs.push(milliseconds(used) / written);
    }
    Ok(vec![
        Measure {
            name: "remember at FULL from 16 clients, times 1 / fdatasync",
            unit: "x",
            target: Target::AtLeast(5.0),
            runs: ratios,
        },
        Measure {
            name: "  remembered a second",
            unit: "/s",
            target: Target::None,
            runs: rates,
        },
        Measure {
            name: "  fdatasync of 4 KiB, median of each run",
            unit: "ms",
            target: Target::None,
            runs: syncs,
        },
        Measure {
            name: "  processor time of the server for each",
            unit: "ms",
            target: Target::None,
            runs: costs,
        },
    ])
}

/// Returns how many memories were acknowledged, and in which time.
fn write_from_all(address: SocketAddr, corpus: &Corpus) -> Result<(f64, Duration)> {
    // Connected, and the project made, before the clock starts.
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(Client::connect(address)?);
    }
    clients[0].remember("the first memory makes the project")?;
    let next = AtomicU64::new(0);
    let started = Instant::now();
    let written: Result<Vec<u32>> = thread::scope(|scope| {
        let writers: Vec<_> = clients
            .iter_mut()
            .map(|client| scope.spawn(|| write_until(started + WRITE_FOR, client, &next, corpus)))
            .collect();
        writers
            .into_iter()
            .map(|writer| writer.join().expect("no writer panics"))
            .collect()
    });
    let took = started.elapsed();
    Ok((written?.into_iter().map(f64::from).sum(), took))
}

fn write_until(
    end: Instant,
    client: &mut Client,
    next: &AtomicU64,
    corpus: &Corpus,
) -> Result<u32> {
    let mut written = 0;
    while Instant::now() < end {
        let number = next.fetch_add(1, Ordering::Relaxed);
        client.remember(&corpus.memory(number))?;
        written += 1;
    }
    Ok(written)
}

/// Times the appending of 4 KiB and its way to the disk, in seconds.
fn time_syncs(folder: &Path) -> Result<Vec<f64>> {
    let path = folder.join("syncs");
    let mut file = File::create(&path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.write_all(&[0x5a; 4096])?;
        let started = Instant::now();
        file.sync_data()?;
        times.push(started.elapsed().as_secs_f64());
    }
    fs::remove_file(path)?;
    Ok(times)
}

/// Recalls over the large store, one question after the other.
fn recalls(home: &Home, corpus: &Corpus) -> Result<Measure> {
    eprintln!("recalling from {LARGE} memories");
    let server = Server::start(home)?;
    let mut client = Client::connect(server.address)?;
    client.recall(&corpus.question(0, LARGE))?;
    let mut runs = Vec::new();
    for run in 0..RUNS {
        let before = server.processor_time()?;
        for number in run * RECALLS..(run + 1) * RECALLS {
            client.recall(&corpus.question(number, LARGE))?;
        }
        let used = server.processor_time()? - before;
        runs.push(milliseconds(used) / RECALLS as f64);
    }
    Ok(Measure {
        name: "recall from 10,000 memories, processor time",
        unit: "ms",
        target: Target::Below(5.0),
        runs,
    })
}

fn size(binary: &Path) -> Result<Measure> {
    let bytes = u32::try_from(fs::metadata(binary)?.len())?;
    Ok(Measure {
        name: "the binary, stripped",
        unit: "MB",
        target: Target::Below(30.0),
        runs: vec![f64::from(bytes) / 1e6],
    })
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
