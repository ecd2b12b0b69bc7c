//! Running an operation over and over, and what that cost.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::Serialize;

use crate::protocol::Cell;

/// What one cell measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Operations done.
    pub operations: u64,
    /// Processor time of this process for each, user and system, in microseconds.
    pub cpu_us: f64,
    /// Operations in a second.
    pub per_second: f64,
    /// The middle latency in microseconds; half of the operations took longer.
    pub p50_us: f64,
    pub p95_us: f64,
    pub p99_us: f64,
}

/// Something done over and over by one task, with what it needs for that: a connection, a handle.
pub trait Run: Send + 'static {
    /// Does it once; `random` differs from run to run.
    fn run(&mut self, random: u64) -> impl Future<Output = Result<()>> + Send;
}

/// Share of a cell's time that is spent warm before it is measured.
const WARM_UP: u32 = 8;

/// Measures tasks that work at the same time, one for each of `tasks`.
///
/// # Errors
///
/// The first failure of an operation.
pub async fn measure<R: Run>(cell: &Cell, tasks: Vec<R>) -> Result<Report> {
    let (tasks, _) = run_all(tasks, cell.time() / WARM_UP).await?;
    let start = Start::now();
    let (_, latencies) = run_all(tasks, cell.time()).await?;
    Ok(start.report(latencies))
}

async fn run_all<R: Run>(tasks: Vec<R>, time: Duration) -> Result<(Vec<R>, Vec<u32>)> {
    let end = Instant::now() + time;
    let started: Vec<_> = (1..)
        .zip(tasks)
        .map(|(seed, mut task)| {
            tokio::spawn(async move {
                let latencies = run_until(&mut task, seed, end).await?;
                anyhow::Ok((task, latencies))
            })
        })
        .collect();
    let mut all = (Vec::new(), Vec::new());
    for task in started {
        let (task, latencies) = task.await??;
        all.0.push(task);
        all.1.extend(latencies);
    }
    Ok(all)
}

async fn run_until<R: Run>(task: &mut R, seed: u64, end: Instant) -> Result<Vec<u32>> {
    let mut stopwatch = Stopwatch::new(seed);
    while stopwatch.before < end {
        task.run(stopwatch.random()).await?;
        stopwatch.lap();
    }
    Ok(stopwatch.latencies)
}

/// Measures blocking operations, each on a thread of its own.
///
/// # Errors
///
/// The first failure of an operation.
pub fn measure_threads<F>(cell: &Cell, mut tasks: Vec<F>) -> Result<Report>
where
    F: FnMut(u64) -> Result<()> + Send,
{
    run_threads(&mut tasks, cell.time() / WARM_UP)?;
    let start = Start::now();
    let latencies = run_threads(&mut tasks, cell.time())?;
    Ok(start.report(latencies))
}

fn run_threads<F>(tasks: &mut [F], time: Duration) -> Result<Vec<u32>>
where
    F: FnMut(u64) -> Result<()> + Send,
{
    let end = Instant::now() + time;
    std::thread::scope(|scope| {
        let started: Vec<_> = (1..)
            .zip(tasks)
            .map(|(seed, task)| {
                scope.spawn(move || {
                    let mut stopwatch = Stopwatch::new(seed);
                    while stopwatch.before < end {
                        task(stopwatch.random())?;
                        stopwatch.lap();
                    }
                    anyhow::Ok(stopwatch.latencies)
                })
            })
            .collect();
        let mut all = Vec::new();
        for thread in started {
            all.extend(thread.join().expect("no task panics")?);
        }
        Ok(all)
    })
}

/// Measures something so small that a clock around each run would be most of it.
pub fn time(cell: &Cell, mut operation: impl FnMut()) -> Report {
    const AT_ONCE: u32 = 1_000;
    let end = Instant::now() + cell.time();
    let start = Start::now();
    let mut latencies = Vec::new();
    while Instant::now() < end {
        let before = Instant::now();
        (0..AT_ONCE).for_each(|_| operation());
        latencies.push(nanoseconds(before.elapsed() / AT_ONCE));
    }
    let batches = latencies.len();
    let mut report = start.report(latencies);
    let at_once = f64::from(AT_ONCE);
    report.operations = u64::try_from(batches).unwrap_or(0) * u64::from(AT_ONCE);
    report.cpu_us /= at_once;
    report.per_second *= at_once;
    report
}

/// Processor time and clock at the beginning.
struct Start {
    cpu: Duration,
    clock: Instant,
}

impl Start {
    fn now() -> Start {
        Start {
            cpu: processor_time(),
            clock: Instant::now(),
        }
    }

    fn report(self, mut latencies: Vec<u32>) -> Report {
        let wall = self.clock.elapsed().as_secs_f64();
        let cpu = (processor_time() - self.cpu).as_secs_f64();
        latencies.sort_unstable();
        let operations = latencies.len() as f64;
        let quantile = |hundredths: usize| {
            let index = latencies.len() * hundredths / 100;
            f64::from(latencies.get(index).copied().unwrap_or(0)) / 1e3
        };
        Report {
            operations: latencies.len() as u64,
            cpu_us: cpu * 1e6 / operations.max(1.0),
            per_second: operations / wall,
            p50_us: quantile(50),
            p95_us: quantile(95),
            p99_us: quantile(99),
        }
    }
}

/// Processor time of this process so far, user and system.
fn processor_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the kernel counts for everyone");
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// Takes the time of one operation after the other, with one look at the clock for each.
struct Stopwatch {
    before: Instant,
    latencies: Vec<u32>,
    state: u64,
}

impl Stopwatch {
    fn new(seed: u64) -> Stopwatch {
        Stopwatch {
            before: Instant::now(),
            latencies: Vec::with_capacity(1 << 16),
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        }
    }

    fn lap(&mut self) {
        let now = Instant::now();
        self.latencies.push(nanoseconds(now - self.before));
        self.before = now;
    }

    /// Returns the next pseudo-random number: xorshift64 by Marsaglia (2003).
    fn random(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }
}

fn nanoseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_nanos()).unwrap_or(u32::MAX)
}
