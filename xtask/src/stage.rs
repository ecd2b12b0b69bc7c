//! Runs the stages of a command, times each, and sums up at the end.
//!
//! A failed stage does not stop the ones after it: one run shows everything that is wrong.

use std::io::{BufRead, BufReader, Read, Write};
use std::ops::AddAssign;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// The stages that ran, in order, and what could not run.
#[derive(Default)]
pub(crate) struct Stages {
    done: Vec<Stage>,
    not_run: Vec<String>,
}

struct Stage {
    name: String,
    took: Duration,
    outcome: Result<Tally, String>,
}

/// How many checks of a stage passed and failed.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Stages {
    /// Runs one stage; returns whether nothing failed in it.
    pub(crate) fn run(&mut self, name: &str, stage: impl FnOnce() -> Result<Tally>) -> bool {
        println!("==> {name}");
        let started = Instant::now();
        let outcome = stage().map_err(|error| format!("{error:#}"));
        let took = started.elapsed();
        if let Err(error) = &outcome {
            eprintln!("{name}: {error}");
        }
        let good = matches!(outcome, Ok(Tally { failed: 0, .. }));
        println!(
            "<== {name}: {} in {:.1} s",
            if good { "ok" } else { "FAILED" },
            took.as_secs_f64()
        );
        self.done.push(Stage {
            name: name.to_owned(),
            took,
            outcome,
        });
        good
    }

    /// Notes by name that something could not run, and why.
    pub(crate) fn not_run(&mut self, name: &str, why: &str) {
        self.not_run.push(format!("{name}: {why}"));
    }

    /// Prints the time and the verdict of each stage and, last, `N passed, N failed`.
    ///
    /// Returns whether all is well. A stage that broke down counts as one failure; what could
    /// not run counts as a failure in continuous integration.
    pub(crate) fn finish(self, unrunnable_is_failure: bool) -> bool {
        let mut total = Tally::default();
        println!();
        for stage in &self.done {
            let verdict = match &stage.outcome {
                Ok(tally) => {
                    total += *tally;
                    tally.describe()
                }
                Err(_) => {
                    total.failed += 1;
                    "FAILED".to_owned()
                }
            };
            println!(
                "{:<28} {:>7.1} s  {verdict}",
                stage.name,
                stage.took.as_secs_f64()
            );
        }
        for entry in &self.not_run {
            println!("NOT RUN  {entry}");
            total.failed += u64::from(unrunnable_is_failure);
        }
        println!("{} passed, {} failed", total.passed, total.failed);
        total.failed == 0
    }
}

impl Tally {
    /// One thing that passed: a stage that is a single check.
    pub(crate) const PASSED: Tally = Tally {
        passed: 1,
        failed: 0,
    };

    fn describe(self) -> String {
        match self {
            Tally {
                passed: 0 | 1,
                failed: 0,
            } => "ok".to_owned(),
            Tally { passed, failed } => format!("{passed} passed, {failed} failed"),
        }
    }

    /// Reads the summary line of nextest, of cargo's own test runner, or of a client suite.
    ///
    /// `None` for every other line.
    pub(crate) fn from_line(line: &str) -> Option<Tally> {
        let line = line.trim();
        let counts = if let Some(rest) = line.strip_prefix("Summary [") {
            rest.split_once("tests run:")
                .or_else(|| rest.split_once("test run:"))?
                .1
        } else if let Some(rest) = line.strip_prefix("test result: ") {
            rest.split_once(". ")?.1
        } else if line.starts_with(|first: char| first.is_ascii_digit())
            && line.contains(" passed, ")
            && line.ends_with(" failed")
        {
            line
        } else {
            return None;
        };
        let mut tally = Tally::default();
        for part in counts.split([',', ';']) {
            let mut words = part.split_whitespace();
            let Some(Ok(count)) = words.next().map(str::parse::<u64>) else {
                continue;
            };
            match words.next() {
                Some("passed") => tally.passed += count,
                Some("failed" | "timed" | "exec") => tally.failed += count,
                _ => {}
            }
        }
        Some(tally)
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Runs a test program, shows its output as it comes, and adds up the summaries in it.
///
/// A program that fails without a summary that says so counts as one failure.
///
/// # Errors
///
/// Fails when the program cannot be started.
pub(crate) fn run_tests(command: &mut Command) -> Result<Tally> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("`{name}` cannot be started"))?;
    let tally = Mutex::new(Tally::default());
    let stdout = child.stdout.take();
    let stderr = child.stderr.take();
    std::thread::scope(|scope| {
        scope.spawn(|| forward(stdout, &mut std::io::stdout(), &tally));
        scope.spawn(|| forward(stderr, &mut std::io::stderr(), &tally));
    });
    let status = child.wait()?;
    let mut tally = tally.into_inner().expect("no reader panicked");
    if !status.success() && tally.failed == 0 {
        eprintln!("`{name}` ended with {status}");
        tally.failed = 1;
    }
    Ok(tally)
}

/// Copies lines until the program closes its end, noting every summary.
fn forward(from: Option<impl Read>, to: &mut impl Write, tally: &Mutex<Tally>) {
    let Some(from) = from else { return };
    let mut reader = BufReader::new(from);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
        // A closed terminal must not stop the tests.
        let _ = to.write_all(&line);
        if let Some(found) = Tally::from_line(&String::from_utf8_lossy(&line)) {
            *tally.lock().expect("no reader panicked") += found;
        }
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn reads_every_kind_of_summary() {
        let check = |line: &str, passed, failed| {
            assert_eq!(Tally::from_line(line), Some(Tally { passed, failed }));
        };
        check(
            "     Summary [   0.011s] 3 tests run: 3 passed, 0 skipped",
            3,
            0,
        );
        check("Summary [ 1.0s] 1 test run: 1 passed, 2 skipped", 1, 0);
        check(
            "Summary [  61.2s] 9 tests run: 5 passed (1 slow), 2 failed, 1 timed out, 1 exec failed, 4 skipped",
            5,
            4,
        );
        check(
            "test result: FAILED. 7 passed; 2 failed; 0 ignored; 0 measured; 1 filtered out; finished in 0.00s",
            7,
            2,
        );
        check("12 passed, 0 failed", 12, 0);
    }

    #[test]
    fn other_lines_are_no_summary() {
        for line in [
            "test parse ... ok",
            "3 tests passed",
            "",
            "Summary of the day",
        ] {
            assert_eq!(Tally::from_line(line), None, "{line}");
        }
    }
}
