//! `pii scan`: personal data in files, as a hook before a commit wants to know of it.
//!
//! Opens no store and needs no key. Values are never shown: an excerpt has the kind in their place.

use crate::commands::{Session, json_text, print, progress, told};
use crate::compose;
use crate::outcome::{self, Outcome, at_path};
use crate::terminal::{Style, one_line, pad, printable};
use athena_core::{Error, Result};
use athena_privacy::{Detector, Finding, Kind};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde::Serialize;
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Folders that hold what others made, and that a walk leaves out.
const LEFT_OUT: [&str; 3] = [".git", "target", "node_modules"];
/// Bytes at the start of a file in which a NUL tells that it is no text.
const BEGINNING: usize = 8 << 10;
/// Bytes of a line that are shown on each side of what was found.
const CONTEXT: usize = 40;
/// Columns of an excerpt.
const EXCERPT: usize = 100;
/// The exit status when something was found.
const FOUND: u8 = 1;
/// The exit status when something could not be read, whatever was found elsewhere.
const UNREAD: u8 = 2;

/// Makes the command.
pub(super) fn command() -> Command {
    Command::new("scan")
        .about("Find personal data and secrets in files")
        .long_about(
            "Find personal data and secrets in files and folders, with the threshold, the allowed values and the \
             patterns of the settings. Values are not shown. No store is opened and no key needed.\n\nFolders are \
             searched to the ground, without .git, target and node_modules. Files that are no text or too large are \
             left out. Ends with status 1 when something is found, with 2 when something cannot be read, and with \
             0 otherwise.",
        )
        .arg(
            Arg::new("paths")
                .value_name("PATH")
                .required(true)
                .num_args(1..)
                .help("Files and folders, or - for standard input"),
        )
        .arg(
            Arg::new("kinds")
                .long("kind")
                .value_name("KIND")
                .action(ArgAction::Append)
                .help("Only this kind, such as email or secret; may be repeated"),
        )
        .arg(
            Arg::new("max-size")
                .long("max-size")
                .value_name("MIB")
                .value_parser(value_parser!(u64).range(1..=1_024))
                .default_value("10")
                .help("Leave out files of more mebibytes [1 to 1024]"),
        )
}

/// Where something was found. Lines and columns count from 1, characters and bytes from 0.
#[derive(Debug, PartialEq, Serialize)]
struct Found {
    path: String,
    kind: String,
    rule: String,
    confidence: f64,
    line: usize,
    column: usize,
    start: usize,
    end: usize,
    byte_start: usize,
    byte_end: usize,
    #[serde(skip)]
    excerpt: String,
}

/// What came of all files.
#[derive(Debug, Default)]
struct Survey {
    found: Vec<Found>,
    files: usize,
    unread: usize,
    no_text: usize,
    too_large: usize,
}

/// What came of one file.
enum Content {
    Text(String),
    NoText,
    TooLarge,
}

/// Looks through files.
pub(super) fn run(session: &Session, matches: &ArgMatches) -> Outcome {
    let detector = compose::detector(&session.settings)?;
    let kinds = wanted_kinds(session, matches)?;
    let max_size = matches
        .get_one::<u64>("max-size")
        .map_or(u64::MAX, |mebibytes| mebibytes << 20);
    let mut survey = Survey::default();
    let mut files = Vec::new();
    for path in matches.get_many::<String>("paths").into_iter().flatten() {
        collect(Path::new(path), &mut files, &mut |error| {
            survey.unread += 1;
            outcome::tell(&error, session.as_json);
        });
    }
    let bar = progress(
        session,
        files.len().try_into().unwrap_or(u64::MAX),
        "scanning",
    );
    for path in &files {
        let found = match read(path, max_size) {
            Ok(Content::Text(text)) => look(path, &text, &detector, &kinds),
            Ok(Content::NoText) => {
                survey.no_text += 1;
                Vec::new()
            }
            Ok(Content::TooLarge) => {
                survey.too_large += 1;
                bar.suspend(|| session.note(&format!("left out {}: too large", path.display())));
                Vec::new()
            }
            Err(error) => {
                survey.unread += 1;
                bar.suspend(|| outcome::tell(&error, session.as_json));
                Vec::new()
            }
        };
        if !session.as_json && !found.is_empty() {
            bar.suspend(|| print(&table(&found, session.style)))?;
        }
        survey.found.extend(found);
        survey.files += 1;
        bar.inc(1);
    }
    bar.finish_and_clear();
    conclude(session, &survey)
}

fn conclude(session: &Session, survey: &Survey) -> Outcome {
    if session.as_json {
        let answer = serde_json::to_value(&survey.found).map_err(Error::internal)?;
        print(&json_text(&answer))?;
    } else {
        session.note(&summary(survey));
    }
    match survey {
        survey if survey.unread > 0 => told(UNREAD),
        survey if !survey.found.is_empty() => told(FOUND),
        _ => Ok(()),
    }
}

/// Reads which kinds are wanted; none stands for all.
fn wanted_kinds(session: &Session, matches: &ArgMatches) -> Result<Vec<String>> {
    let wanted: Vec<String> = matches
        .get_many::<String>("kinds")
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    let patterns = session.settings.privacy.patterns.keys();
    let known: Vec<&str> = Kind::BUILT_IN
        .iter()
        .map(Kind::as_str)
        .chain(patterns.map(String::as_str))
        .collect();
    match wanted.iter().find(|kind| !known.contains(&kind.as_str())) {
        None => Ok(wanted),
        Some(unknown) => {
            let allowed = known.join("`, `");
            Err(Error::invalid(
                "kind",
                format_args!("is `{unknown}`; allowed: `{allowed}`"),
            ))
        }
    }
}

/// Lists the files below a path, in order. Links in folders are not followed.
fn collect(path: &Path, files: &mut Vec<PathBuf>, fail: &mut dyn FnMut(Error)) {
    if path == Path::new("-") {
        return files.push(path.to_owned());
    }
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => walk(path, files, fail),
        Ok(_) => files.push(path.to_owned()),
        Err(error) => fail(at_path("read", path, error)),
    }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>, fail: &mut dyn FnMut(Error)) {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(error) => return fail(at_path("read", folder, error)),
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_file() => files.push(path),
            Ok(kind) if kind.is_dir() => {
                if !LEFT_OUT.iter().any(|name| entry.file_name() == *name) {
                    walk(&path, files, fail);
                }
            }
            Ok(_) => {}
            Err(error) => fail(at_path("read", &path, error)),
        }
    }
}

fn read(path: &Path, max_size: u64) -> Result<Content> {
    let fail = |error| at_path("read", path, error);
    if path == Path::new("-") {
        return content(io::stdin().lock(), max_size).map_err(fail);
    }
    content(File::open(path).map_err(fail)?, max_size).map_err(fail)
}

fn content(mut file: impl Read, max_size: u64) -> io::Result<Content> {
    let mut bytes = Vec::new();
    let beginning = u64::try_from(BEGINNING).unwrap_or(u64::MAX);
    file.by_ref().take(beginning).read_to_end(&mut bytes)?;
    if bytes.contains(&0) {
        return Ok(Content::NoText);
    }
    let rest = (max_size + 1).saturating_sub(beginning);
    file.take(rest).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > max_size) {
        return Ok(Content::TooLarge);
    }
    Ok(Content::Text(into_text(bytes)))
}

/// Turns bytes into text of the same length: what is not UTF-8 becomes a control character each.
fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        let mut text = String::with_capacity(error.as_bytes().len());
        for chunk in error.as_bytes().utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().map(|_| '\u{1a}'));
        }
        text
    })
}

fn look(path: &Path, text: &str, detector: &Detector, kinds: &[String]) -> Vec<Found> {
    let findings = detector.find(text);
    let mut place = Place::default();
    let mut found = Vec::new();
    for (index, finding) in findings.iter().enumerate() {
        place.advance(text, finding.range.start);
        let (line, column, start) = (place.line, place.column, place.character);
        place.advance(text, finding.range.end);
        let kind = finding.kind.as_str();
        if !kinds.is_empty() && !kinds.iter().any(|wanted| wanted == kind) {
            continue;
        }
        found.push(Found {
            path: path.display().to_string(),
            kind: kind.to_owned(),
            rule: finding.rule.to_string(),
            confidence: finding.confidence,
            line: line + 1,
            column: column + 1,
            start,
            end: place.character,
            byte_start: finding.range.start,
            byte_end: finding.range.end,
            excerpt: excerpt(text, &findings, index),
        });
    }
    found
}

/// A place in a text, counted from 0.
#[derive(Debug, Default)]
struct Place {
    byte: usize,
    character: usize,
    line: usize,
    column: usize,
}

impl Place {
    /// Goes on to a byte that is not before this place.
    fn advance(&mut self, text: &str, byte: usize) {
        for c in text[self.byte..byte].chars() {
            self.character += 1;
            self.column += 1;
            if c == '\n' {
                self.line += 1;
                self.column = 0;
            }
        }
        self.byte = byte;
    }
}

/// Returns what stands around a finding on its lines, with the kinds of all findings in place of
/// their values.
fn excerpt(text: &str, findings: &[Finding], index: usize) -> String {
    let window = window(text, &findings[index].masked);
    // Findings are in order and do not overlap: those in the window are next to this one.
    let first = findings[..index]
        .iter()
        .rposition(|finding| finding.range.end <= window.start)
        .map_or(0, |before| before + 1);
    let mut masked = String::new();
    let mut rest = window.start;
    for finding in findings[first..]
        .iter()
        .take_while(|it| it.masked.start < window.end)
    {
        masked.push_str(&text[rest.min(finding.masked.start)..finding.masked.start]);
        masked.push_str(&format!("[{}]", finding.kind));
        rest = finding.masked.end;
    }
    masked.push_str(text.get(rest..window.end).unwrap_or_default());
    one_line(&masked.replace('\r', " "), EXCERPT)
}

/// Returns the part of a text around a range that an excerpt shows, at most to the ends of the lines.
fn window(text: &str, range: &Range<usize>) -> Range<usize> {
    let earliest = text
        .ceil_char_boundary(range.start.saturating_sub(CONTEXT))
        .min(range.start);
    let start = text[earliest..range.start]
        .rfind('\n')
        .map_or(earliest, |newline| earliest + newline + 1);
    let latest = text.floor_char_boundary(range.end + CONTEXT).max(range.end);
    let end = text[range.end..latest]
        .find('\n')
        .map_or(latest, |newline| range.end + newline);
    start..end
}

/// Shows what was found in a file.
fn table(found: &[Found], style: Style) -> String {
    let places: Vec<String> = found
        .iter()
        .map(|it| format!("{}:{}:{}", printable(&it.path), it.line, it.column))
        .collect();
    let width = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or_default();
    let place_width = width(&mut places.iter().map(String::len));
    let kind_width = width(&mut found.iter().map(|it| it.kind.len()));
    let rule_width = width(&mut found.iter().map(|it| it.rule.len()));
    let lines = found.iter().zip(&places).map(|(it, place)| {
        format!(
            "{}  {}  {:.2}  {}  {}\n",
            pad(place, place_width),
            style.cyan(&pad(&it.kind, kind_width)),
            it.confidence,
            style.dim(&pad(&it.rule, rule_width)),
            it.excerpt,
        )
    });
    lines.collect()
}

fn summary(survey: &Survey) -> String {
    let count = |number: usize, one: &str, many: &str| match number {
        1 => format!("1 {one}"),
        number => format!("{number} {many}"),
    };
    let mut text = format!(
        "{} in {}",
        count(survey.found.len(), "finding", "findings"),
        count(survey.files, "file", "files")
    );
    for (number, what) in [
        (survey.no_text, "no text"),
        (survey.too_large, "too large"),
        (survey.unread, "not readable"),
    ] {
        if number > 0 {
            text.push_str(&format!("; {number} {what}"));
        }
    }
    text
}
