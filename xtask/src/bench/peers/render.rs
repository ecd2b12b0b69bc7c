//! The results as Markdown.

use std::fmt::Write as _;

use athena_corpus::Labels;

use super::score::{Figures, GOALS, Score, cheapest};
use super::{ATHENA, KINDS, Results};
use crate::bench::page::{Table, short};

/// Rows from which on the targets apply.
const AIMED_AT: u64 = 100_000;

/// Shows all results; `chart` is the name of a picture beside the page.
pub(super) fn page(results: &Results, chart: Option<&str>) -> String {
    let mut text = format!("Machine: {}.\n", results.surroundings);
    for storing in &results.storing {
        let _ = writeln!(text, "- {}: {}", storing.name, storing.versions);
    }
    let _ = writeln!(
        text,
        "\nCommand: `cargo xtask bench peers --rows {} --rounds {}`.",
        results.rows, results.rounds
    );
    if let Some(chart) = chart {
        let _ = writeln!(
            text,
            "\n![CPU time of a question, by kind and engine]({chart})"
        );
    }
    text.push_str(&targets(results));
    for kind in KINDS {
        text.push_str(&questions(results, kind));
    }
    text.push_str(&filters(results));
    text.push_str(&storing(results));
    text.push_str(&absent(results));
    text
}

/// What was aimed at, and what was reached.
fn targets(results: &Results) -> String {
    let mut table = Table::new(&["", "target", "reached", ""], &[]);
    for item in &results.own {
        let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
        let (Some(value), Some(met)) = (item["value"].as_f64(), item["met"].as_bool()) else {
            continue;
        };
        let reached = format!("{} {}", short(value), text("unit"));
        let target = format!("{} {}", text("target"), text("unit"));
        table.add(&[text("what"), target, reached, verdict(met)]);
    }
    for goal in GOALS {
        let Some((ratio, setting)) = goal.reached(&results.scores) else {
            continue;
        };
        let judged = results.rows >= AIMED_AT;
        table.add(&[
            goal.title(),
            if judged {
                format!("≥ {} ×", short(goal.ratio))
            } else {
                String::new()
            },
            format!("{} × ({setting})", short(ratio)),
            if judged {
                verdict(ratio >= goal.ratio)
            } else {
                String::new()
            },
        ]);
    }
    format!("\n### {} rows: targets\n\n{}", results.rows, table.text)
}

fn verdict(met: bool) -> String {
    if met { "met" } else { "**missed**" }.to_owned()
}

/// One kind of question, without a filter.
fn questions(results: &Results, kind: &str) -> String {
    let scores = || {
        results
            .scores
            .iter()
            .filter(move |score| score.offer.kind == kind && score.label.is_none())
    };
    let own = cheapest(&results.scores, kind, ATHENA, None, 0.0).and_then(|score| score.best);
    let mut table = Table::new(
        &[
            "",
            "recall@10",
            "CPU ms",
            "of Athena's",
            "p50 / p99 ms",
            "questions",
        ],
        &[],
    );
    for score in scores() {
        let Some(best) = score.best else { continue };
        let ratio = own.map(|own| format!("{} ×", short(best.cpu_ms / own.cpu_ms)));
        table.add(&[
            name(score),
            best.recall
                .map_or_else(String::new, |recall| format!("{recall:.4}")),
            short(best.cpu_ms),
            ratio.unwrap_or_default(),
            format!("{} / {}", short(best.p50_ms), short(best.p99_ms)),
            best.questions.to_string(),
        ]);
    }
    let failures = scores().filter_map(|score| {
        let why = score.failure.as_ref()?;
        Some(format!("\n{} failed: {why}\n", name(score)))
    });
    let failures: String = failures.collect();
    format!(
        "\n### {} rows: {kind}\n\n{}{failures}",
        results.rows, table.text
    )
}

fn name(score: &Score) -> String {
    match score.name {
        ATHENA => format!("**{ATHENA}**: {}", score.offer.setting),
        name => format!("{name}: {}", score.offer.setting),
    }
}

/// Directions with filters: recall, rows of ten, CPU time.
fn filters(results: &Results) -> String {
    let titles: Vec<String> = Labels::ALL
        .iter()
        .map(|(_, share)| format!("{} %", share * 100.0))
        .collect();
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    let mut table = Table::new(&["recall@10, rows of 10, CPU ms"], &titles);
    let with_label = |label| {
        results
            .scores
            .iter()
            .filter(move |score| score.label == Some(label))
    };
    for (place, first) in with_label(Labels::ALL[0].0).enumerate() {
        let mut cells = vec![name(first)];
        for (label, _) in Labels::ALL {
            let best = with_label(label).nth(place).and_then(|score| score.best);
            cells.push(best.map_or_else(|| "failed".to_owned(), filtered));
        }
        table.add(&cells);
    }
    format!(
        "\n### {} rows: semantic with a filter\n\n{}",
        results.rows, table.text
    )
}

fn filtered(best: Figures) -> String {
    let recall = best.recall.unwrap_or_default();
    format!("{recall:.3}, {:.1}, {}", best.rows, short(best.cpu_ms))
}

fn storing(results: &Results) -> String {
    let mut table = Table::new(
        &[
            "",
            "rows/s, indexes included",
            "CPU s",
            "one by one /s",
            "disk MB",
        ],
        &[],
    );
    for storing in &results.storing {
        table.add(&[
            storing.name.to_owned(),
            short(storing.filled.rows_per_s),
            short(storing.filled.cpu_s),
            storing.singles_per_s.map_or_else(String::new, short),
            short(storing.filled.disk_mb),
        ]);
    }
    format!("\n### {} rows: storing\n\n{}", results.rows, table.text)
}

fn absent(results: &Results) -> String {
    let lines = results
        .absent
        .iter()
        .map(|(who, why)| format!("- {who}: {}\n", why.replace('\n', " ")));
    let lines: String = lines.collect();
    match lines.is_empty() {
        true => String::new(),
        false => format!("\n### {} rows: left out\n\n{lines}", results.rows),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::contestant::Filled;
    use super::super::score::tests::score;
    use super::super::{Results, Storing};
    use super::*;
    use serde_json::json;

    /// Results of a run that has not taken place.
    pub(in crate::bench::peers) fn results(rows: u64) -> Results {
        let mut filtered = score("athena", "semantic", "recall", 0.2, 1.0);
        filtered.label = Some("half");
        let mut failed = score("chroma", "semantic", "HNSW", 1.0, 1.0);
        failed.best = None;
        failed.failure = Some("no space".to_owned());
        let filled = Filled {
            cpu_s: 1.0,
            rows_per_s: 5_000.0,
            disk_mb: 300.0,
        };
        Results {
            rows,
            rounds: 3,
            surroundings: "2 × a machine".to_owned(),
            scores: vec![
                score("athena", "semantic", "recall", 0.25, 1.0),
                score("faiss", "semantic", "ef 32", 0.2, 0.995),
                failed,
                score("sqlite", "semantic", "exact", 50.0, 1.0),
                filtered,
            ],
            storing: vec![Storing {
                name: "athena",
                versions: "athena 1".to_owned(),
                filled,
                singles_per_s: None,
            }],
            own: vec![
                json!({"what": "disk", "value": 301.0, "unit": "MB", "target": "≤ 300", "met": false}),
                json!({"what": "p50", "value": 1.0, "unit": "ms", "target": null, "met": null}),
            ],
            absent: vec![("tantivy".to_owned(), "not\nto be had".to_owned())],
        }
    }

    #[test]
    fn nobody_is_dropped_silently() {
        let text = page(&results(100_000), Some("chart.svg"));
        for expected in [
            "| disk | ≤ 300 MB | 301 MB | **missed** |\n",
            "| semantic: CPU of sqlite over Athena's | ≥ 150 × | 200 × (exact) | met |\n",
            "| **athena**: recall | 1.0000 | 0.250 | 1.00 × | 1.00 / 2.00 | 4 |\n",
            "| faiss: ef 32 | 0.9950 | 0.200 | 0.800 × | 1.00 / 2.00 | 4 |\n",
            "\nchroma: HNSW failed: no space\n",
            "- tantivy: not to be had\n",
            "| **athena**: recall | 1.000, 2.0, 0.200 | failed | failed | failed |\n",
            "![CPU time of a question, by kind and engine](chart.svg)\n",
            "- athena: athena 1\n",
        ] {
            assert!(text.contains(expected), "{expected} is not in {text}");
        }
        assert!(!text.contains("p50 |"), "{text}");
    }

    #[test]
    fn a_small_run_decides_nothing() {
        let text = page(&results(10_000), None);
        let expected = "| semantic: CPU of sqlite over Athena's |  | 200 × (exact) |  |\n";
        assert!(text.contains(expected), "{text}");
        assert!(!text.contains("!["), "{text}");
    }
}
