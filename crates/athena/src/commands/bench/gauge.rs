//! What the operating system says about this process and this machine.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// Returns the CPU time of this process, all its threads included.
pub(crate) fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// Returns a duration in milliseconds.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Returns a count as a number that ratios are made of.
#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
pub(crate) fn real(count: u64) -> f64 {
    count as f64
}

/// The memory that a process occupies, in MB.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    /// Now.
    pub(super) resident: f64,
    /// At most since it began.
    pub(super) peak: f64,
}

/// Returns the memory of this process, where the system tells it.
pub(super) fn memory() -> Option<Memory> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let field = |name: &str| -> Option<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes * 1024.0 / 1e6)
    };
    Some(Memory {
        resident: field("VmRSS:")?,
        peak: field("VmHWM:")?,
    })
}

/// Describes the machine and what else it has to do.
pub(super) fn machine() -> String {
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = information
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or(std::env::consts::ARCH, |(_, model)| model);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    match load {
        "" => format!("{processors} × {model}"),
        load => format!("{processors} × {model}, load {load} before it began"),
    }
}

/// Returns the size of all files in a folder, in MB.
///
/// # Errors
///
/// When the folder cannot be read.
pub(super) fn size_of_folder(folder: &Path) -> io::Result<f64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(real(bytes) / 1e6)
}

/// A file whose pages are written again and again, as a database's log is.
#[derive(Debug)]
pub(super) struct Syncer {
    file: File,
    next: u64,
}

impl Syncer {
    /// Bytes of a page.
    const PAGE: usize = 4_096;
    /// Pages of the file.
    const PAGES: u64 = 256;

    /// Makes the file in a folder, all of it on the disk.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        let mut file = File::create(folder.join("synced"))?;
        for _ in 0..Self::PAGES {
            file.write_all(&[0; Self::PAGE])?;
        }
        file.sync_all()?;
        Ok(Self { file, next: 0 })
    }

    /// Writes a page and waits until it is on the disk; returns how long that took.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(super) fn sync(&mut self) -> io::Result<Duration> {
        let started = Instant::now();
        if self.next.is_multiple_of(Self::PAGES) {
            self.file.rewind()?;
        }
        self.file.write_all(&[1; Self::PAGE])?;
        rustix::fs::fdatasync(&self.file)?;
        self.next += 1;
        Ok(started.elapsed())
    }
}

/// Returns how fast one thread reads memory, in bytes a second: the best of nine times.
pub(super) fn read_bandwidth() -> f64 {
    let words = vec![1_u64; 1 << 25];
    let best = (0..9)
        .map(|_| {
            let started = Instant::now();
            let sum = black_box(&words).iter().fold(0_u64, |sum, word| sum ^ word);
            black_box(sum);
            started.elapsed()
        })
        .min()
        .unwrap_or_default();
    real(u64::try_from(words.len() * 8).unwrap_or(u64::MAX)) / best.as_secs_f64().max(1e-9)
}
