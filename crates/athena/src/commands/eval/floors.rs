//! What a run must reach: floors in percent, kept beside a collection.
//!
//! A floor is what was measured, less one and a half questions of its group (`150 / n` points) for
//! a category or a share of silence, and less a point for the whole. A category then fails when
//! two of its questions are lost, and the whole before small losses in many categories add up
//! unseen. Besides, hybrid may not be more than a point below its better arm on the whole.

use super::MODES;
use super::metrics::NAMES;
use crate::outcome::at_path;
use crate::terminal::{Style, pad};
use athena_core::{Code, Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// The exit status when a floor is not reached.
pub(super) const UNMET: u8 = 1;

/// The figures that are kept.
const KEPT: [&str; 2] = ["recall@10", "ndcg@10"];
/// How far hybrid may be below its better arm, in points.
const BELOW_BETTER_ARM: f64 = 1.0;
/// How far the whole may fall, in points.
const MARGIN_OF_ALL: f64 = 1.0;
/// How far a category may fall, in points times its questions: one and a half of them.
const MARGIN_OF_GROUP: f64 = 150.0;
/// The group of all questions.
const ALL: &str = "all";
/// The shares of abstention: what is asked, and the field with the share.
const ABSTENTION: [(&str, &str); 3] = [
    ("own", "answered"),
    ("foreign", "silent"),
    ("unanswerable", "silent"),
];
/// Differences below this are rounding.
const ROUNDING: f64 = 1e-9;

/// The floors of a collection.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Floors {
    /// By mode, group (a category or `all`) and figure, in percent.
    #[serde(default)]
    mode: BTreeMap<String, BTreeMap<String, BTreeMap<String, f64>>>,
    /// Shares of questions that are answered (`own`) or met with silence, in percent.
    #[serde(default)]
    abstention: BTreeMap<String, f64>,
}

/// A figure that is too low.
#[derive(Debug, PartialEq, Serialize)]
struct Miss<'a> {
    mode: &'a str,
    group: &'a str,
    figure: &'a str,
    /// The least that it may be, in percent.
    floor: f64,
    /// What it is, in percent; absent for a group without questions.
    found: Option<f64>,
}

/// Reads floors.
///
/// # Errors
///
/// [`Code::InvalidInput`] for a file of another form, and for a name that nothing measured has.
pub(super) fn load(path: &Path) -> Result<Floors> {
    let text = std::fs::read_to_string(path).map_err(|error| at_path("read", path, error))?;
    parse(&text).map_err(|problem| {
        Error::new(
            Code::InvalidInput,
            format!("`{}` has no floors: {problem}", path.display()),
        )
    })
}

fn parse(text: &str) -> Result<Floors, String> {
    let floors: Floors = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    for (mode, groups) in &floors.mode {
        known("mode", mode, &MODES)?;
        for figure in groups.values().flat_map(BTreeMap::keys) {
            known("figure", figure, &NAMES)?;
        }
    }
    for name in floors.abstention.keys() {
        known("abstention", name, &ABSTENTION.map(|(name, _)| name))?;
    }
    Ok(floors)
}

fn known(what: &str, name: &str, allowed: &[&str]) -> Result<(), String> {
    if allowed.contains(&name) {
        return Ok(());
    }
    Err(format!(
        "`{name}` is no {what}; allowed: `{}`",
        allowed.join("`, `")
    ))
}

/// Compares a run's answer with its floors, over the modes that were asked for: how many figures
/// were compared, and those that are too low.
pub(super) fn check(answer: &Value, floors: &Floors) -> Value {
    let mut compared = 0;
    let mut misses = Vec::new();
    let mut least = |mode, group, figure, floor, found: Option<f64>| {
        compared += 1;
        if found.is_none_or(|found| found + ROUNDING < floor) {
            misses.push(Miss {
                mode,
                group,
                figure,
                floor,
                found,
            });
        }
    };
    for (mode, groups) in &floors.mode {
        if answer["modes"].get(mode).is_none() {
            continue;
        }
        for (group, figures) in groups {
            for (figure, floor) in figures {
                least(
                    mode,
                    group,
                    figure,
                    *floor,
                    found(answer, mode, group, figure),
                );
            }
        }
    }
    for (name, share) in ABSTENTION {
        if let Some(floor) = floors.abstention.get(name) {
            let found = percent(&answer["abstention"][name][share]);
            least("abstention", name, share, *floor, found);
        }
    }
    for figure in KEPT {
        let arms = MODES.iter().filter(|mode| **mode != "hybrid");
        let best = arms.filter_map(|arm| found(answer, arm, ALL, figure));
        let hybrid = found(answer, "hybrid", ALL, figure);
        if let (Some(best), Some(_)) = (best.reduce(f64::max), hybrid) {
            least("hybrid", ALL, figure, best - BELOW_BETTER_ARM, hybrid);
        }
    }
    json!({ "compared": compared, "misses": misses })
}

/// Returns the floors that a run may set, less the margins, rounded down to a tenth.
pub(super) fn of(answer: &Value) -> Floors {
    let mut floors = Floors::default();
    for (mode, run) in answer["modes"].as_object().into_iter().flatten() {
        let groups = floors.mode.entry(mode.clone()).or_default();
        let categories = run["by_category"].as_object().into_iter().flatten();
        let categories = categories.map(|(name, group)| (name.as_str(), group));
        for (name, group) in categories.chain([(ALL, &run["all"])]) {
            let margin = if name == ALL {
                MARGIN_OF_ALL
            } else {
                group_margin(&group["n"])
            };
            let kept = KEPT.iter().filter_map(|figure| {
                Some((
                    (*figure).to_owned(),
                    less(percent(&group[*figure])?, margin),
                ))
            });
            groups.insert(name.to_owned(), kept.collect());
        }
    }
    for (name, share) in ABSTENTION {
        let asked = &answer["abstention"][name];
        if asked["n"].as_u64().is_some_and(|n| n > 0)
            && let Some(found) = percent(&asked[share])
        {
            let floor = less(found, group_margin(&asked["n"]));
            floors.abstention.insert(name.to_owned(), floor);
        }
    }
    floors
}

/// Writes floors to a file.
///
/// # Errors
///
/// A file that cannot be written.
pub(super) fn save(floors: &Floors, path: &Path) -> Result<()> {
    std::fs::write(path, toml_text(floors)).map_err(|error| at_path("write", path, error))
}

/// Returns floors as TOML, one line a group, so that a difference shows what it belongs to.
fn toml_text(floors: &Floors) -> String {
    let mut text = "# In percent. Written by `athena eval --save-floors`.\n".to_owned();
    for (mode, groups) in &floors.mode {
        let _ = writeln!(text, "\n[mode.{mode}]");
        for (group, figures) in groups {
            let figures: Vec<String> = figures
                .iter()
                .map(|(figure, floor)| format!("{figure:?} = {floor:.1}"))
                .collect();
            let _ = writeln!(text, "{group:?} = {{ {} }}", figures.join(", "));
        }
    }
    let _ = writeln!(text, "\n[abstention]");
    for (name, floor) in &floors.abstention {
        let _ = writeln!(text, "{name} = {floor:.1}");
    }
    text
}

/// Whether nothing was too low.
pub(super) fn are_met(checked: &Value) -> bool {
    checked["misses"].as_array().is_some_and(Vec::is_empty)
}

/// Tells what was too low.
pub(super) fn show(text: &mut String, checked: &Value, style: Style) {
    let compared = checked["compared"].as_u64().unwrap_or(0);
    let misses = checked["misses"].as_array().map_or(&[][..], Vec::as_slice);
    if misses.is_empty() {
        let _ = writeln!(text, "\nall of {compared} floors are reached");
        return;
    }
    let count = misses.len();
    let heading = format!("{count} of {compared} figures are below their floors");
    let _ = writeln!(text, "\n{}", style.bold(&heading));
    for miss in misses {
        let name = |field: &str| miss[field].as_str().unwrap_or_default().to_owned();
        let found = miss["found"]
            .as_f64()
            .map_or_else(|| "no question".to_owned(), |found| format!("{found:.1}"));
        let _ = writeln!(
            text,
            "  {}{}{}{found:>11}, floor {:.1}",
            pad(&name("mode"), 12),
            pad(&name("group"), 20),
            pad(&name("figure"), 11),
            miss["floor"].as_f64().unwrap_or(0.0),
        );
    }
}

fn found(answer: &Value, mode: &str, group: &str, figure: &str) -> Option<f64> {
    let run = answer["modes"].get(mode)?;
    let group = if group == ALL {
        &run["all"]
    } else {
        run["by_category"].get(group)?
    };
    percent(&group[figure])
}

fn percent(share: &Value) -> Option<f64> {
    share.as_f64().map(|share| share * 100.0)
}

fn group_margin(n: &Value) -> f64 {
    MARGIN_OF_GROUP / n.as_f64().unwrap_or(1.0).max(1.0)
}

fn less(found: f64, margin: f64) -> f64 {
    ((found - margin).max(0.0) * 10.0 + ROUNDING).floor() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(n: u32, recall: f64, ndcg: f64) -> Value {
        json!({"n": n, "recall@10": recall, "ndcg@10": ndcg})
    }

    fn run(semantic: f64, category: f64) -> Value {
        let mode = |all: f64| json!({"all": group(200, all, all), "by_category": {"typo": group(20, category, 0.5)}});
        json!({
            "modes": {"keyword": mode(0.7), "semantic": mode(semantic), "hybrid": mode(0.8)},
            "abstention": {"own": {"n": 200, "answered": 0.9}, "foreign": {"n": 0, "silent": 0.0},
                "unanswerable": {"n": 50, "silent": 0.5}},
        })
    }

    fn missed(answer: &Value, floors: &Floors) -> Vec<String> {
        let checked = check(answer, floors);
        let misses = checked["misses"].as_array().unwrap().iter();
        misses
            .map(|miss| {
                format!("{} {} {}", miss["mode"], miss["group"], miss["figure"]).replace('"', "")
            })
            .collect()
    }

    #[test]
    fn floors_are_what_was_measured_less_a_margin() {
        let floors = of(&run(0.8, 0.95));
        assert_eq!(floors.mode["hybrid"]["all"]["ndcg@10"], 79.0);
        assert_eq!(floors.mode["hybrid"]["typo"]["recall@10"], 87.5);
        assert_eq!(
            floors.abstention,
            BTreeMap::from([("own".to_owned(), 89.2), ("unanswerable".to_owned(), 47.0)])
        );
        assert_eq!(parse(&toml_text(&floors)).unwrap(), floors);
    }

    #[test]
    fn a_run_reaches_its_own_floors_and_fails_with_two_questions_less() {
        let floors = of(&run(0.8, 0.95));
        assert_eq!(missed(&run(0.8, 0.95), &floors), Vec::<String>::new());
        assert_eq!(
            missed(&run(0.8, 0.85), &floors),
            [
                "hybrid typo recall@10",
                "keyword typo recall@10",
                "semantic typo recall@10"
            ]
        );
    }

    #[test]
    fn hybrid_keeps_up_with_its_better_arm() {
        assert!(missed(&run(0.81, 0.9), &Floors::default()).is_empty());
        assert_eq!(
            missed(&run(0.82, 0.9), &Floors::default()),
            ["hybrid all recall@10", "hybrid all ndcg@10"]
        );
    }

    #[test]
    fn a_group_without_questions_fails_and_a_mode_that_was_not_asked_does_not() {
        let floors =
            "[mode.hybrid]\nnobody = {\"recall@10\" = 0.0}\n[mode.keyword]\nall = {mrr = 100.0}";
        let floors = parse(floors).unwrap();
        let answer = json!({"modes": {"hybrid": {"all": group(1, 1.0, 1.0), "by_category": {}}}});
        let checked = check(&answer, &floors);
        let mut text = String::new();
        show(&mut text, &checked, Style::plain());
        assert!(!are_met(&checked));
        assert!(
            text.contains("1 of 1 figures") && text.contains("no question, floor 0.0"),
            "{text}"
        );
    }

    #[test]
    fn other_names_are_refused() {
        let problem = |text: &str| parse(text).unwrap_err();
        assert!(problem("[mode.best]").starts_with("`best` is no mode; allowed: `keyword`"));
        assert!(
            problem("[mode.hybrid]\nall = {\"recall@3\" = 1.0}")
                .starts_with("`recall@3` is no figure")
        );
        assert!(problem("[abstention]\nall = 1.0").starts_with("`all` is no abstention"));
        assert!(problem("[floor]").contains("unknown field"));
        assert!(problem("mode").contains("expected"));
    }
}
