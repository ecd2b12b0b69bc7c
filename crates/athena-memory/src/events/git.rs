//! Commits as events, from what `git log` says.

use super::{EventType, Outcome, Record, When};
use athena_core::{Code, Error, Result};
use std::collections::BTreeSet;

/// What to call `git` with, so that [`parse`] can read what it says; a range of commits may follow.
///
/// Everything ends with a NUL, which occurs neither in messages nor in names nor in paths. A commit
/// comes after those that it was made from: many have the same second, and are then ordered by it.
pub const GIT_LOG_ARGUMENTS: [&str; 9] = [
    "log",
    "-z",
    "--topo-order",
    "--reverse",
    "--numstat",
    "--no-renames",
    "--no-color",
    "--no-show-signature",
    "--format=commit %H%x00%ae%x00%aI%x00%B%x00",
];

/// Files of a commit that are listed; all of them are counted.
const LISTED_FILES: usize = 1_000;
/// Characters of a path that is listed.
const PATH_CHARS: usize = 700;
/// Characters of an author that are kept.
const AUTHOR_CHARS: usize = 500;

/// Reads what `git` said when it was called with [`GIT_LOG_ARGUMENTS`]: one event a commit, in the
/// same order, with the commit's id as its key.
///
/// # Errors
///
/// [`Code::InvalidInput`] for any other text.
pub fn parse(log: &str) -> Result<Vec<Record>> {
    let mut tokens = log
        .split('\0')
        .map(|token| token.trim_start_matches('\n'))
        .peekable();
    let mut records = Vec::new();
    while let Some(token) = tokens.next() {
        if token.is_empty() {
            continue;
        }
        let id = token.strip_prefix("commit ").filter(|id| is_commit(id));
        let id = id.ok_or_else(|| unreadable(records.len()))?;
        let mut field = || tokens.next().ok_or_else(|| unreadable(records.len()));
        let (author, time, message) = (field()?, field()?, field()?);
        let at = When::parse(time).ok_or_else(|| unreadable(records.len()))?;
        let mut files = Files::default();
        while let Some(token) = tokens.next_if(|token| !is_header(token)) {
            if !token.is_empty() && !files.add(token) {
                return Err(unreadable(records.len()));
            }
        }
        records.push(record(id, author, at, message, files));
    }
    Ok(records)
}

fn is_commit(id: &str) -> bool {
    matches!(id.len(), 40 | 64) && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_header(token: &str) -> bool {
    token.strip_prefix("commit ").is_some_and(is_commit)
}

fn unreadable(commits: usize) -> Error {
    let message = format!(
        "this is not what `git {}` says: it cannot be read after {commits} commits",
        GIT_LOG_ARGUMENTS.join(" ")
    );
    Error::new(Code::InvalidInput, message)
}

/// What the commit changed.
#[derive(Debug, Default)]
struct Files {
    paths: Vec<String>,
    count: i64,
    added: i64,
    deleted: i64,
}

impl Files {
    /// Adds a line as in `10<tab>3<tab>src/lib.rs`; binary files have `-` for numbers.
    fn add(&mut self, line: &str) -> bool {
        let mut parts = line.splitn(3, '\t');
        let (Some(added), Some(deleted), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            return false;
        };
        let (Some(added), Some(deleted)) = (lines(added), lines(deleted)) else {
            return false;
        };
        self.count += 1;
        self.added = self.added.saturating_add(added);
        self.deleted = self.deleted.saturating_add(deleted);
        let is_listed = !path.is_empty() && path.chars().count() <= PATH_CHARS;
        if is_listed && self.paths.len() < LISTED_FILES {
            self.paths.push(path.to_owned());
        }
        true
    }

    /// Returns the programming languages of the files that are listed.
    fn languages(&self) -> BTreeSet<&'static str> {
        self.paths
            .iter()
            .filter_map(|path| language(path))
            .collect()
    }
}

fn lines(number: &str) -> Option<i64> {
    match number {
        "-" => Some(0),
        number => number.parse().ok().filter(|lines| *lines >= 0),
    }
}

fn record(id: &str, author: &str, at: When, message: &str, files: Files) -> Record {
    let languages = files.languages();
    let mut languages = languages.into_iter();
    let (language, another) = (languages.next(), languages.next());
    let event_type = match language {
        Some(_) => EventType::CodeEdit,
        None => EventType::FileChange,
    };
    Record {
        content: said(message),
        event_type,
        outcome: Some(Outcome::Success),
        occurred_at: Some(at),
        idempotency_key: Some(id.to_owned()),
        source: Some("git".to_owned()),
        git_commit: Some(id.to_owned()),
        git_author: author_of(author),
        language: language.filter(|_| another.is_none()).map(str::to_owned),
        files_changed: Some(files.count),
        lines_added: Some(files.added),
        lines_deleted: Some(files.deleted),
        context_files: files.paths,
        ..Record::default()
    }
}

/// Returns the address of an author, if there is one.
fn author_of(author: &str) -> Option<String> {
    let author = author.trim();
    (!author.is_empty()).then(|| author.chars().take(AUTHOR_CHARS).collect())
}

/// Returns the message, cut to what an event may hold.
fn said(message: &str) -> String {
    let message = match message.trim() {
        "" => "(a commit without a message)",
        message => message,
    };
    message[..message.floor_char_boundary(super::MAX_CONTENT_BYTES)].to_owned()
}

/// Returns the programming language of a file, by how its name ends.
fn language(path: &str) -> Option<&'static str> {
    let (_, ending) = path.rsplit_once('.')?;
    Some(match ending {
        "rs" => "rust",
        "py" | "pyi" => "python",
        "js" | "mjs" | "cjs" | "jsx" => "javascript",
        "ts" | "mts" | "tsx" => "typescript",
        "go" => "go",
        "java" => "java",
        "kt" | "kts" => "kotlin",
        "c" | "h" => "c",
        "cc" | "cpp" | "cxx" | "hh" | "hpp" => "c++",
        "cs" => "c#",
        "rb" => "ruby",
        "php" => "php",
        "swift" => "swift",
        "scala" => "scala",
        "sh" | "bash" => "shell",
        "sql" => "sql",
        _ => return None,
    })
}
