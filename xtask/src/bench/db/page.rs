//! The results as Markdown.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;

use super::score::{Goal, Score};
use super::{Backend, Results};
use crate::bench::page::{self, Table, short};

/// The name of the bench in a page.
const NAME: &str = "db";

/// Makes sure that a page has a place for the results.
pub(super) fn check(path: &Path) -> Result<()> {
    page::check(path, NAME)
}

/// Puts the results into a page, in place of the ones before.
pub(super) fn write(path: &Path, results: &Results) -> Result<()> {
    page::write(path, NAME, &render(results))
}

/// Shows all results.
pub(super) fn render(results: &Results) -> String {
    let mut text = format!("Machine: {}.\n", results.surroundings);
    for version in &results.versions {
        let _ = writeln!(text, "- {version}");
    }
    let _ = writeln!(text, "\nRounds: {}.", results.rounds);
    for backend in Backend::value_variants() {
        let scores = results
            .scores
            .iter()
            .filter(|score| score.row.backend == *backend);
        let scores: Vec<&Score> = scores.collect();
        if !scores.is_empty() {
            let _ = write!(text, "\n### {}\n\n", backend.title());
            text.push_str(&verdicts(&scores, &results.contestants));
            text.push('\n');
            text.push_str(&details(&scores, &results.contestants));
        }
    }
    if !results.latencies.is_empty() {
        text.push_str(&latencies(results));
    }
    text
}

/// Processor time in microseconds, or operations a second where the goal is about those.
fn verdicts(scores: &[&Score], contestants: &[&'static str]) -> String {
    let mut table = Table::new(&["", "reached", "target", ""], contestants);
    for score in scores {
        let verdict = match score.met() {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "",
        };
        let mut cells = vec![
            score.row.title(),
            score.reached().unwrap_or_default(),
            score.goal(),
            verdict.to_owned(),
        ];
        cells.extend(contestants.iter().map(|name| figure(score, name)));
        table.add(&cells);
    }
    let failures = scores.iter().flat_map(|score| {
        let name = score.row.name();
        score
            .failures()
            .map(move |(who, why)| format!("\n`{who}` failed at `{name}`: {why}\n"))
    });
    let failures: String = failures.collect();
    table.text + &failures
}

fn figure(score: &Score, contestant: &str) -> String {
    if matches!(score.row.goal, Goal::Rate { .. }) {
        let rate = score.middle(contestant, |sample| sample.per_second);
        return rate.map_or_else(String::new, |rate| format!("{}/s", short(rate)));
    }
    let Some(cpu) = score.cpu(contestant) else {
        return String::new();
    };
    match score.cpu_ratio(contestant) {
        Some(ratio) if contestant != "raw" => format!("{} µs ({ratio:.2}×)", short(cpu)),
        _ => format!("{} µs", short(cpu)),
    }
}

/// Operations a second and latencies in microseconds, the middle of all rounds.
fn details(scores: &[&Score], contestants: &[&'static str]) -> String {
    let mut table = Table::new(&["operations/s; p50 / p99 of one in µs"], contestants);
    for score in scores {
        let of = |name: &&str| -> Option<String> {
            let rate = score.middle(name, |sample| sample.per_second)?;
            let p50 = score.middle(name, |sample| sample.p50_us)?;
            let p99 = score.middle(name, |sample| sample.p99_us)?;
            Some(format!("{}; {} / {}", short(rate), short(p50), short(p99)))
        };
        let mut cells = vec![score.row.title()];
        cells.extend(contestants.iter().map(|name| of(name).unwrap_or_default()));
        table.add(&cells);
    }
    table.text
}

fn latencies(results: &Results) -> String {
    let mut table = Table::new(&["", "expected", "p50, p95", ""], &[]);
    for latency in &results.latencies {
        let verdict = if latency.met { "met" } else { "**missed**" };
        table.add(&[
            latency.what.to_owned(),
            latency.expected.to_owned(),
            latency.measured(),
            verdict.to_owned(),
        ]);
    }
    format!("\n### Latencies of founding document 004\n\n{}", table.text)
}
