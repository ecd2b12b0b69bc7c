//! The results as Markdown.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use super::score::{Goal, Score};
use super::{Backend, Results};

/// Where the results stand in a page; what is around them stays.
const BEGIN: &str = "<!-- begin: cargo xtask bench db -->";
const END: &str = "<!-- end: cargo xtask bench db -->";

/// Puts the results into a page, in place of the ones before.
pub(super) fn write(path: &Path, results: &Results) -> Result<()> {
    let page =
        fs::read_to_string(path).with_context(|| format!("`{}` cannot be read", path.display()))?;
    let replaced = replace(&page, &render(results))
        .with_context(|| format!("`{}` has no place for results: {BEGIN}", path.display()))?;
    Ok(fs::write(path, replaced)?)
}

fn replace(page: &str, results: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{results}{END}{after}"))
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

/// A table of Markdown.
struct Table {
    text: String,
}

impl Table {
    fn new(columns: &[&str], more: &[&str]) -> Table {
        let columns = [columns, more].concat();
        let text = format!(
            "| {} |\n|{}\n",
            columns.join(" | "),
            "---|".repeat(columns.len())
        );
        Table { text }
    }

    fn add(&mut self, cells: &[String]) {
        let _ = writeln!(self.text, "| {} |", cells.join(" | "));
    }
}

/// Shows three digits of a number.
fn short(number: f64) -> String {
    match number {
        number if number >= 99_950.0 => format!("{:.0} k", number / 1e3),
        number if number >= 9_995.0 => format!("{:.1} k", number / 1e3),
        number if number >= 99.95 => format!("{number:.0}"),
        number if number >= 9.995 => format!("{number:.1}"),
        number if number >= 0.9995 => format!("{number:.2}"),
        number => format!("{number:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, END, replace, short};

    #[test]
    fn results_take_the_place_of_the_ones_before() {
        let page = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        let expected = format!("before\n{BEGIN}\nnew\n{END}\nafter\n");
        assert_eq!(replace(&page, "new\n"), Some(expected));
        assert_eq!(replace("a page without marks", "new\n"), None);
    }

    #[test]
    fn numbers_have_three_digits() {
        let shown = [0.0314, 1.234, 12.34, 123.4, 1_234.0, 12_340.0, 123_400.0].map(short);
        assert_eq!(
            shown,
            ["0.031", "1.23", "12.3", "123", "1234", "12.3 k", "123 k"]
        );
    }
}
