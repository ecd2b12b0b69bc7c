//! Tells what a run measured: for people, for programs, and for a later run to compare with.

use super::floors;
use super::metrics::{self, Figures, NAMES};
use super::{Answered, Collection, ModeRun, Plan, Run};
use crate::outcome::at_path;
use crate::terminal::{Style, pad};
use athena_core::{Code, Error, Result};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::path::Path;

/// Returns the machine form of a run: shares, not percentages.
pub(super) fn answer(file: &str, plan: &Plan, collection: &Collection, run: &Run) -> Value {
    let modes: Map<String, Value> = run
        .modes
        .iter()
        .map(|mode| (mode.mode.to_owned(), mode_json(mode)))
        .collect();
    let abstention = run.abstention;
    let docs: usize = collection.scopes.iter().map(|scope| scope.docs.len()).sum();
    let queries: usize = collection
        .scopes
        .iter()
        .map(|scope| scope.queries.len())
        .sum();
    json!({
        "file": file,
        "scopes": collection.scopes.len(),
        "docs": docs,
        "queries": queries,
        "unjudged": collection.unjudged(),
        "depth": plan.depth,
        "without": plan.without.iter().map(|part| part.as_str()).collect::<Vec<_>>(),
        "modes": modes,
        "abstention": {
            "min_score": abstention.floor,
            "own": {"n": abstention.own, "answered": metrics::ratio(abstention.own_answered, abstention.own)},
            "foreign": {"n": abstention.foreign, "silent": metrics::ratio(abstention.foreign_silent, abstention.foreign)},
            "unanswerable": {"n": abstention.unanswerable,
                "silent": metrics::ratio(abstention.unanswerable_silent, abstention.unanswerable)},
        },
    })
}

fn mode_json(run: &ModeRun) -> Value {
    let mut categories: BTreeMap<&str, Vec<&Figures>> = BTreeMap::new();
    for answered in &run.answers {
        categories
            .entry(&answered.category)
            .or_default()
            .push(&answered.figures);
    }
    let by_category: Map<String, Value> = categories
        .into_iter()
        .map(|(category, figures)| {
            (
                category.to_owned(),
                group(figures.len(), metrics::mean(figures.into_iter())),
            )
        })
        .collect();
    let cpu: f64 = run
        .answers
        .iter()
        .map(|answered| answered.cpu.as_secs_f64())
        .sum();
    let mut wall: Vec<f64> = run
        .answers
        .iter()
        .map(|answered| answered.wall.as_secs_f64() * 1e3)
        .collect();
    wall.sort_by(f64::total_cmp);
    let all = metrics::mean(run.answers.iter().map(|answered| &answered.figures));
    json!({
        "all": group(run.answers.len(), all),
        "by_category": by_category,
        "cpu_ms_per_query": cpu * 1e3 / f64::from(u32::try_from(run.answers.len().max(1)).unwrap_or(u32::MAX)),
        "latency_ms": {"p50": metrics::percentile(&wall, 0.5), "p95": metrics::percentile(&wall, 0.95)},
    })
}

fn group(count: usize, figures: Figures) -> Value {
    let mut group = json!({ "n": count });
    for (name, figure) in NAMES.iter().zip(figures) {
        group[*name] = figure.into();
    }
    group
}

/// Returns what `--save` keeps: the answer and every question.
pub(super) fn kept(answer: &Value, run: &Run) -> Value {
    let mut kept = answer.clone();
    let per_mode: Map<String, Value> = run
        .modes
        .iter()
        .map(|mode| {
            (
                mode.mode.to_owned(),
                mode.answers.iter().map(answered_json).collect(),
            )
        })
        .collect();
    kept["answers"] = Value::Object(per_mode);
    kept
}

fn answered_json(answered: &Answered) -> Value {
    let mut line = json!({"scope": answered.scope, "id": answered.id});
    for (name, figure) in NAMES.iter().zip(answered.figures) {
        line[*name] = figure.into();
    }
    line
}

/// A run that was kept: mode, scope and question to figures.
pub(super) type Baseline = HashMap<(String, String, String), Figures>;

/// Reads a run that was kept.
///
/// # Errors
///
/// [`Code::InvalidInput`] for a file that `--save` did not write.
pub(super) fn load(path: &Path) -> Result<Baseline> {
    let text = std::fs::read_to_string(path).map_err(|error| at_path("read", path, error))?;
    let baseline = serde_json::from_str(&text)
        .ok()
        .and_then(|kept: Value| read(&kept));
    baseline.ok_or_else(|| {
        Error::new(
            Code::InvalidInput,
            format!(
                "`{}` is no run that `athena eval --save` kept",
                path.display()
            ),
        )
    })
}

fn read(kept: &Value) -> Option<Baseline> {
    let mut baseline = Baseline::new();
    for (mode, answers) in kept.get("answers")?.as_object()? {
        for line in answers.as_array()? {
            let text = |name: &str| line.get(name).and_then(Value::as_str).map(str::to_owned);
            let mut figures = Figures::default();
            for (figure, name) in figures.iter_mut().zip(NAMES) {
                *figure = line.get(name)?.as_f64()?;
            }
            baseline.insert((mode.clone(), text("scope")?, text("id")?), figures);
        }
    }
    Some(baseline)
}

/// Compares a run with a kept one, over the questions that both have.
pub(super) fn compare(run: &Run, baseline: &Baseline) -> Value {
    let modes: Map<String, Value> = run
        .modes
        .iter()
        .filter_map(|mode| Some((mode.mode.to_owned(), compare_mode(mode, baseline)?)))
        .collect();
    Value::Object(modes)
}

fn compare_mode(run: &ModeRun, baseline: &Baseline) -> Option<Value> {
    let pairs: Vec<(&Figures, &Figures)> = run
        .answers
        .iter()
        .filter_map(|answered| {
            let key = (
                run.mode.to_owned(),
                answered.scope.clone(),
                answered.id.clone(),
            );
            Some((&answered.figures, baseline.get(&key)?))
        })
        .collect();
    let mut compared = json!({ "n": pairs.len() });
    for (index, name) in NAMES.iter().enumerate() {
        let differences: Vec<f64> = pairs
            .iter()
            .map(|(now, then)| now[index] - then[index])
            .collect();
        let interval = metrics::bootstrap(&differences)?;
        compared[*name] =
            json!({"difference": interval.mean, "low": interval.low, "high": interval.high});
    }
    Some(compared)
}

/// Returns a run as tables, in percent.
pub(super) fn text(answer: &Value, style: Style) -> String {
    let mut text = String::new();
    let count = |name: &str| answer[name].as_u64().unwrap_or(0);
    let without: Vec<&str> = answer["without"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let _ = writeln!(
        text,
        "{}: {} documents and {} questions in {} scopes, looked at to depth {}{}",
        answer["file"].as_str().unwrap_or_default(),
        count("docs"),
        count("queries"),
        count("scopes"),
        count("depth"),
        match without[..] {
            [] => String::new(),
            _ => format!(", without {}", without.join(", ")),
        },
    );
    if count("unjudged") > 0 {
        let _ = writeln!(
            text,
            "{} questions without a relevant document were left out",
            count("unjudged")
        );
    }
    let widest = ["recall@10"]
        .iter()
        .chain(&super::MODES)
        .map(|name| name.len())
        .max()
        .unwrap_or(0)
        .max(24);
    let headings = NAMES
        .iter()
        .map(|name| format!("{name:>10}"))
        .collect::<String>();
    let _ = writeln!(
        text,
        "\n{}",
        style.bold(&format!(
            "{}{:>7}{headings}{:>11}",
            pad("", widest),
            "n",
            "CPU ms"
        ))
    );
    for mode in super::MODES {
        let Some(run) = answer["modes"].get(mode) else {
            continue;
        };
        let cpu = format!("{:>11.2}", run["cpu_ms_per_query"].as_f64().unwrap_or(0.0));
        let _ = writeln!(
            text,
            "{}{}{cpu}",
            style.bold(&pad(mode, widest)),
            row(&run["all"])
        );
        for (category, group) in run["by_category"].as_object().into_iter().flatten() {
            let name: String = format!("  {category}").chars().take(widest).collect();
            let _ = writeln!(text, "{}{}", pad(&name, widest), row(group));
        }
    }
    show_abstention(&mut text, &answer["abstention"]);
    if let Some(against) = answer.get("against").and_then(Value::as_object) {
        show_comparison(&mut text, against, style);
    }
    if let Some(checked) = answer.get("floors") {
        floors::show(&mut text, checked, style);
    }
    text
}

fn row(group: &Value) -> String {
    let figures = NAMES
        .iter()
        .map(|name| format!("{:>10.1}", percent(&group[*name])))
        .collect::<String>();
    format!("{:>7}{figures}", group["n"].as_u64().unwrap_or(0))
}

fn percent(share: &Value) -> f64 {
    share.as_f64().unwrap_or(0.0) * 100.0
}

fn show_abstention(text: &mut String, abstention: &Value) {
    let floor = abstention["min_score"].as_f64().unwrap_or(0.0);
    let (own, foreign) = (&abstention["own"], &abstention["foreign"]);
    let _ = writeln!(
        text,
        "\nat match ≥ {floor}: {:.1} % of {} own questions are answered",
        percent(&own["answered"]),
        own["n"].as_u64().unwrap_or(0)
    );
    let silences = [
        (foreign, "of other scopes"),
        (&abstention["unanswerable"], "without a relevant document"),
    ];
    for (asked, which) in silences {
        let count = asked["n"].as_u64().unwrap_or(0);
        if count > 0 {
            let silent = percent(&asked["silent"]);
            let _ = writeln!(
                text,
                "{silent:.1} % of {count} questions {which} get nothing"
            );
        }
    }
}

fn show_comparison(text: &mut String, against: &Map<String, Value>, style: Style) {
    let _ = writeln!(
        text,
        "\n{}",
        style.bold("against the kept run, points [95 % interval]")
    );
    for (mode, compared) in against {
        for name in NAMES {
            let points = |field: &str| percent(&compared[name][field]);
            let _ = writeln!(
                text,
                "  {mode:<9} {name:<10} {:+.1} [{:+.1}, {:+.1}]",
                points("difference"),
                points("low"),
                points("high")
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::eval::Abstention;
    use athena_search::Ingredient;
    use std::time::Duration;

    fn run(figures: [Figures; 2]) -> Run {
        let answered = |id: &str, category: &str, figures: Figures| Answered {
            scope: "s".into(),
            id: id.into(),
            category: category.into(),
            figures,
            cpu: Duration::from_millis(2),
            wall: Duration::from_millis(3),
        };
        let answers = vec![
            answered("1", "a", figures[0]),
            answered("2", "b", figures[1]),
        ];
        let abstention = Abstention {
            floor: 0.3,
            own: 4,
            own_answered: 3,
            foreign: 10,
            foreign_silent: 9,
            unanswerable: 2,
            unanswerable_silent: 1,
        };
        Run {
            modes: vec![ModeRun {
                mode: "hybrid",
                answers,
            }],
            abstention,
        }
    }

    fn report(run: &Run) -> Value {
        let plan = Plan {
            modes: vec!["hybrid"],
            depth: 100,
            foreign: 0,
            floor: 0.3,
            policy: Default::default(),
            without: vec![Ingredient::Date, Ingredient::Role],
        };
        answer("set.jsonl", &plan, &Collection::default(), run)
    }

    #[test]
    fn what_was_left_out_is_told() {
        let answer = report(&run([[1.0; 6], [0.0; 6]]));
        assert_eq!(answer["without"], json!(["date", "role"]));
        let text = text(&answer, Style::plain());
        let first = text.lines().next().unwrap();
        assert!(
            first.ends_with("to depth 100, without date, role"),
            "{first}"
        );
    }

    #[test]
    fn the_machine_form_has_modes_and_categories() {
        let answer = report(&run([[1.0; 6], [0.0; 6]]));
        assert_eq!(answer["modes"]["hybrid"]["all"]["n"], 2);
        assert_eq!(answer["modes"]["hybrid"]["all"]["recall@10"], 0.5);
        assert_eq!(
            answer["modes"]["hybrid"]["by_category"]["a"]["ndcg@10"],
            1.0
        );
        assert_eq!(
            answer["abstention"]["own"],
            json!({"n": 4, "answered": 0.75})
        );
        assert_eq!(
            answer["abstention"]["foreign"],
            json!({"n": 10, "silent": 0.9})
        );
    }

    #[test]
    fn a_kept_run_can_be_compared_with() {
        let then = run([[0.5; 6], [0.5; 6]]);
        let baseline = read(&kept(&report(&then), &then)).unwrap();
        let compared = compare(&run([[1.0; 6], [1.0; 6]]), &baseline);
        assert_eq!(compared["hybrid"]["n"], 2);
        assert_eq!(
            compared["hybrid"]["mrr"],
            json!({"difference": 0.5, "low": 0.5, "high": 0.5})
        );
        assert!(read(&json!({"modes": {}})).is_none());
    }

    #[test]
    fn people_see_percentages() {
        let text = text(&report(&run([[1.0; 6], [0.0; 6]])), Style::plain());
        assert!(text.contains("hybrid") && text.contains("50.0"), "{text}");
        assert!(
            text.contains("at match ≥ 0.3: 75.0 % of 4 own questions are answered"),
            "{text}"
        );
        assert!(
            text.contains("90.0 % of 10 questions of other scopes get nothing"),
            "{text}"
        );
        assert!(
            text.contains("50.0 % of 2 questions without a relevant document get nothing"),
            "{text}"
        );
    }
}
