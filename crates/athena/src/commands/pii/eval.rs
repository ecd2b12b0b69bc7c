//! `pii eval`: how well personal data is found, measured on labelled texts.
//!
//! A finding is right if it has the type of a labelled span and overlaps it by at least half of what
//! the two cover together (intersection over union ≥ 0.5); each span and each finding counts once.
//! Precision is the share of findings that are right, recall the share of spans that were found, and
//! F1 their harmonic mean; a share of nothing is 0. `exact` asks for the same boundaries. Only types
//! that the file labels are scored: what it does not label, it says nothing about.

use crate::commands::{Session, json_text, print, progress};
use crate::compose;
use crate::outcome::{Outcome, at_path};
use crate::terminal::{Style, one_line, pad};
use athena_core::{Code, Error, Result};
use athena_privacy::{Detector, Kind, character_ranges};
use clap::{Arg, ArgMatches, Command, value_parser};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::Path;

/// Labels that other sets use for what is one kind here.
const KINDS_OF_SECRETS: [&str; 5] = ["jwt", "private_key", "api_key", "password", "token"];
/// Characters that an error shows on each side.
const CONTEXT: usize = 40;

/// Makes the command.
pub(super) fn command() -> Command {
    Command::new("eval")
        .about("Measure how well personal data is found")
        .long_about(
            "Measure how well personal data is found, on labelled texts: JSON lines of \
             {\"text\", \"spans\": [{\"type\", \"start\", \"end\"}]}, with offsets in characters.\n\nA finding is \
             right if a span of its type overlaps it by at least half of what the two cover together. Each counts \
             once. Only types that the file labels are scored; `jwt`, `private_key`, `api_key`, `password` and \
             `token` are taken for `secret`. The threshold, the allowed values and the patterns are those of the \
             settings.",
        )
        .arg(Arg::new("file").value_name("FILE").required(true).help("The labelled texts"))
        .arg(
            Arg::new("show-errors")
                .long("show-errors")
                .value_name("N")
                .value_parser(value_parser!(usize))
                .default_value("0")
                .help("Show so many spans that were missed and findings that are wrong, with their texts"),
        )
}

/// A labelled text.
#[derive(Debug, Deserialize)]
struct Labelled {
    text: String,
    spans: Vec<Span>,
    #[serde(skip)]
    line: usize,
}

/// Characters of a text that are of a type.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Span {
    #[serde(rename = "type")]
    kind: String,
    start: usize,
    end: usize,
}

/// How often what happened to a type.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    labelled: usize,
    found: usize,
    right: usize,
    exact: usize,
}

/// What is told about a type.
#[derive(Debug, PartialEq, Serialize)]
struct Figures {
    n: usize,
    precision: f64,
    recall: f64,
    f1: f64,
}

/// A span that was missed, or a finding that is wrong.
#[derive(Debug, Serialize)]
struct Mistake {
    error: &'static str,
    r#type: String,
    line: usize,
    start: usize,
    end: usize,
    context: String,
}

/// Measures.
pub(super) fn run(session: &Session, matches: &ArgMatches) -> Outcome {
    let file = matches
        .get_one::<String>("file")
        .map(String::as_str)
        .unwrap_or_default();
    let most_mistakes = matches
        .get_one::<usize>("show-errors")
        .copied()
        .unwrap_or(0);
    let detector = compose::detector(&session.settings)?;
    let texts = read(Path::new(file))?;
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for span in texts.iter().flat_map(|text| &text.spans) {
        tallies.entry(span.kind.clone()).or_default().labelled += 1;
    }
    let mut mistakes = Vec::new();
    let bar = progress(
        session,
        texts.len().try_into().unwrap_or(u64::MAX),
        "measuring",
    );
    for text in &texts {
        score(text, &detector, &mut tallies, &mut |mistake| {
            if mistakes.len() < most_mistakes {
                mistakes.push(mistake);
            }
        });
        bar.inc(1);
    }
    bar.finish_and_clear();
    let unknown = unknown_types(session, &tallies);
    if session.as_json {
        return print(&json_text(&answer(
            texts.len(),
            &tallies,
            &unknown,
            &mistakes,
        )));
    }
    print(&table(texts.len(), &tallies, &mistakes, session.style))?;
    for kind in unknown {
        session.note(&format!("`{kind}` is no type that is looked for"));
    }
    Ok(())
}

/// Reads labelled texts.
fn read(path: &Path) -> Result<Vec<Labelled>> {
    let file = File::open(path).map_err(|error| at_path("read", path, error))?;
    let mut texts = Vec::new();
    for (index, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|error| at_path("read", path, error))?;
        let line = match index {
            0 => line.trim_start_matches('\u{feff}').trim(),
            _ => line.trim(),
        };
        if line.is_empty() {
            continue;
        }
        let text = parse(line, index + 1).map_err(|problem| {
            let message = format!("`{}` line {}: {problem}", path.display(), index + 1);
            Error::new(Code::InvalidInput, message)
        })?;
        texts.push(text);
    }
    if texts.is_empty() {
        let message = format!("`{}` holds no labelled text", path.display());
        return Err(Error::new(Code::InvalidInput, message));
    }
    Ok(texts)
}

/// Reads one labelled text, or says what is wrong with it, without its words.
fn parse(line: &str, number: usize) -> std::result::Result<Labelled, String> {
    let mut labelled: Labelled = serde_json::from_str(line).map_err(|error| {
        let problem = match error.classify() {
            serde_json::error::Category::Data => {
                "must be {\"text\": …, \"spans\": [{\"type\": …, \"start\": …, \"end\": …}, …]}"
            }
            _ => "is no JSON",
        };
        format!("{problem} (column {})", error.column())
    })?;
    labelled.line = number;
    let length = labelled.text.chars().count();
    for (index, span) in labelled.spans.iter_mut().enumerate() {
        if span.start >= span.end || span.end > length {
            return Err(format!(
                "span {} is from {} to {} in a text of {length} characters",
                index + 1,
                span.start,
                span.end
            ));
        }
        if KINDS_OF_SECRETS.contains(&span.kind.as_str()) {
            Kind::Secret.as_str().clone_into(&mut span.kind);
        }
    }
    Ok(labelled)
}

/// Holds what is found in a text against its labels.
fn score(
    labelled: &Labelled,
    detector: &Detector,
    tallies: &mut BTreeMap<String, Tally>,
    tell: &mut dyn FnMut(Mistake),
) {
    let findings = detector.find(&labelled.text);
    let ranges = character_ranges(&labelled.text, &findings);
    let mut missed: Vec<&Span> = labelled.spans.iter().collect();
    for (finding, range) in findings.iter().zip(ranges) {
        let kind = finding.kind.as_str();
        let Some(tally) = tallies.get_mut(kind) else {
            continue;
        };
        tally.found += 1;
        match missed
            .iter()
            .position(|span| span.kind == kind && agree(span, &range))
        {
            Some(index) => {
                let span = missed.remove(index);
                tally.right += 1;
                tally.exact += usize::from(span.start == range.start && span.end == range.end);
            }
            None => tell(mistake("wrong", kind, labelled, range)),
        }
    }
    for span in missed {
        tell(mistake(
            "missed",
            &span.kind,
            labelled,
            span.start..span.end,
        ));
    }
}

/// Whether a span and a finding share at least half of what they cover together.
fn agree(span: &Span, found: &Range<usize>) -> bool {
    let shared = span
        .end
        .min(found.end)
        .saturating_sub(span.start.max(found.start));
    let together = span.end - span.start + found.len() - shared;
    shared > 0 && 2 * shared >= together
}

fn mistake(error: &'static str, kind: &str, labelled: &Labelled, range: Range<usize>) -> Mistake {
    let part = |from: usize, to: usize| -> String {
        labelled.text.chars().skip(from).take(to - from).collect()
    };
    let context = format!(
        "{}«{}»{}",
        part(range.start.saturating_sub(CONTEXT), range.start),
        part(range.start, range.end),
        part(range.end, range.end + CONTEXT)
    );
    Mistake {
        error,
        r#type: kind.to_owned(),
        line: labelled.line,
        start: range.start,
        end: range.end,
        context,
    }
}

impl Tally {
    fn figures(self, right: usize) -> Figures {
        let (precision, recall) = (share(right, self.found), share(right, self.labelled));
        let f1 = share(2 * right, self.found + self.labelled);
        Figures {
            n: self.labelled,
            precision,
            recall,
            f1,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            labelled: self.labelled + other.labelled,
            found: self.found + other.found,
            right: self.right + other.right,
            exact: self.exact + other.exact,
        }
    }
}

fn share(part: usize, whole: usize) -> f64 {
    let real = |count: usize| u32::try_from(count).map_or(f64::INFINITY, f64::from);
    if whole == 0 {
        return 0.0;
    }
    real(part) / real(whole)
}

/// Returns the labelled types that nothing looks for.
fn unknown_types<'a>(session: &Session, tallies: &'a BTreeMap<String, Tally>) -> Vec<&'a str> {
    let patterns = &session.settings.privacy.patterns;
    let is_known = |kind: &str| {
        Kind::BUILT_IN.iter().any(|known| known.as_str() == kind) || patterns.contains_key(kind)
    };
    let types = tallies.keys().map(String::as_str);
    types.filter(|kind| !is_known(kind)).collect()
}

fn total(tallies: &BTreeMap<String, Tally>) -> Tally {
    tallies
        .values()
        .copied()
        .fold(Tally::default(), Tally::plus)
}

fn answer(
    texts: usize,
    tallies: &BTreeMap<String, Tally>,
    unknown: &[&str],
    mistakes: &[Mistake],
) -> Value {
    let by_type = |right: fn(&Tally) -> usize| -> BTreeMap<&str, Figures> {
        let figures = |(kind, tally): (_, &Tally)| (kind, tally.figures(right(tally)));
        tallies
            .iter()
            .map(|(kind, tally)| (kind.as_str(), tally))
            .map(figures)
            .collect()
    };
    let total = total(tallies);
    let mut answer = json!({
        "texts": texts,
        "types": by_type(|tally| tally.right),
        "total": total.figures(total.right),
        "strict": by_type(|tally| tally.exact),
    });
    if !unknown.is_empty() {
        answer["unknown_types"] = json!(unknown);
    }
    if !mistakes.is_empty() {
        answer["errors"] = json!(mistakes);
    }
    answer
}

fn table(
    texts: usize,
    tallies: &BTreeMap<String, Tally>,
    mistakes: &[Mistake],
    style: Style,
) -> String {
    let mut text = format!("{texts} texts\n\n");
    let heading = format!(
        "{}       n   found  precision  recall     f1  exact f1",
        pad("type", 16)
    );
    let _ = writeln!(text, "{}", style.bold(&heading));
    let total = ("total", total(tallies));
    let types = tallies.iter().map(|(kind, tally)| (kind.as_str(), *tally));
    for (kind, tally) in types.chain([total]) {
        let Figures {
            n,
            precision,
            recall,
            f1,
        } = tally.figures(tally.right);
        let exact = tally.figures(tally.exact).f1;
        let _ = writeln!(
            text,
            "{}  {n:>6}  {:>6}  {precision:>9.3}  {recall:>6.3}  {f1:>5.3}  {exact:>8.3}",
            pad(kind, 16),
            tally.found,
        );
    }
    if !mistakes.is_empty() {
        text.push('\n');
    }
    for mistake in mistakes {
        let _ = writeln!(
            text,
            "{}  {}  line {}  {}",
            pad(mistake.error, 6),
            style.cyan(&mistake.r#type),
            mistake.line,
            one_line(&mistake.context, 3 * CONTEXT)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: usize, end: usize) -> Span {
        Span {
            kind: "email".into(),
            start,
            end,
        }
    }

    #[test]
    fn half_of_what_both_cover_is_enough() {
        assert!(agree(&span(0, 10), &(0..10)));
        assert!(agree(&span(0, 10), &(5..10)));
        assert!(agree(&span(0, 5), &(0..10)));
        assert!(!agree(&span(0, 10), &(6..10)));
        assert!(!agree(&span(0, 10), &(10..20)));
    }

    #[test]
    fn figures_are_shares() {
        let tally = Tally {
            labelled: 4,
            found: 2,
            right: 1,
            exact: 0,
        };
        let expected = Figures {
            n: 4,
            precision: 0.5,
            recall: 0.25,
            f1: 1.0 / 3.0,
        };
        assert_eq!(tally.figures(tally.right), expected);
        assert_eq!(Tally::default().figures(0).f1, 0.0);
    }

    #[test]
    fn lines_that_are_wrong_are_told_without_their_words() {
        let wrong = |line: &str| parse(line, 1).unwrap_err();
        assert!(wrong("{\"text\": \"ada").starts_with("is no JSON"));
        let told = wrong(r#"{"text": "ada", "spans": "hunter2"}"#);
        assert!(
            told.starts_with("must be") && !told.contains("hunter2"),
            "{told}"
        );
        assert_eq!(
            wrong(r#"{"text": "ada", "spans": [{"type": "x", "start": 1, "end": 4}]}"#),
            "span 1 is from 1 to 4 in a text of 3 characters"
        );
        let secret = r#"{"text": "ädä", "spans": [{"type": "jwt", "start": 0, "end": 3}]}"#;
        assert_eq!(parse(secret, 1).unwrap().spans[0].kind, "secret");
    }
}
