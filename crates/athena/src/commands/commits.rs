//! `record-commits`: the commits of a repository as events, each once.
//!
//! How far a branch was read is kept in the store, so the next run reads what came since.

use super::{Session, json_text, print, progress};
use crate::compose::Store;
use crate::outcome::Outcome;
use crate::project;
use athena_core::{Code, Error, Registry, Result};
use athena_memory::events::{GIT_LOG_ARGUMENTS, Record, parse};
use clap::{Arg, ArgMatches, Command};
use serde_json::{Value, json};
use std::fs;
use std::io::ErrorKind;
use std::process::{Command as Process, Output};

/// Commits in one call.
const BATCH: usize = 1_000;
/// Characters of a commit's id that people are shown.
const SHORT: usize = 7;

const FOLDER: &str = "folder";
const BRANCH: &str = "branch";

/// Makes the command.
pub(crate) fn command() -> Command {
    Command::new("record-commits")
        .about("Record the commits of a git repository as events")
        .long_about(
            "Record the commits of a git repository as events, each once: with its time, author, message, files and \
             lines. How far the branch was read is kept, so the next run reads what came since. They go to the \
             project of the repository, unless one is named.",
        )
        .arg(Arg::new(FOLDER).value_name("FOLDER").default_value(".").help("A folder in the repository"))
        .arg(
            Arg::new(BRANCH)
                .long(BRANCH)
                .short('b')
                .value_name("NAME")
                .default_value("HEAD")
                .help("The branch, tag or commit to read up to"),
        )
}

/// Records what came since the last run.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Outcome {
    let given = |id: &str| matches.get_one::<String>(id).map_or("", String::as_str);
    let repository = Repository {
        folder: given(FOLDER),
        branch: given(BRANCH),
    };
    let Some(head) = repository.head()? else {
        return show(session, &repository.answer(None, 0, 0));
    };
    session.with_store(|store| async move {
        let answer = record(session, &store, &repository, &head).await?;
        show(session, &answer)
    })
}

fn show(session: &Session, answer: &Value) -> Outcome {
    if session.as_json {
        return print(&json_text(answer));
    }
    let count = |name: &str| super::integer(answer, name);
    let (recorded, known) = (count("recorded"), count("known"));
    print(&match answer["head"].as_str() {
        None => "recorded 0 commits; the branch has none yet\n".to_owned(),
        Some(head) if recorded + known == 0 => {
            let short: String = head.chars().take(SHORT).collect();
            format!("nothing new since {short}\n")
        }
        Some(_) => {
            let plural = if recorded == 1 { "commit" } else { "commits" };
            let verb = if known == 1 { "was" } else { "were" };
            format!("recorded {recorded} {plural}; {known} {verb} known already\n")
        }
    })
}

async fn record(
    session: &Session,
    store: &Store,
    repository: &Repository<'_>,
    head: &str,
) -> Result<Value> {
    let directory = fs::canonicalize(repository.folder).map_err(Error::internal)?;
    let project = project::choose(&session.settings, &directory).name;
    let calls = Calls {
        session,
        store,
        project: &project,
    };
    let source = repository.source();
    let noted = calls
        .make("event.cursor", json!({ "source": source }))
        .await?;
    let commits = repository.commits(noted["position"]["commit"].as_str(), head)?;
    let (mut recorded, mut known) = (0, 0);
    let bar = progress(
        session,
        u64::try_from(commits.len()).unwrap_or(0),
        "commits",
    );
    for batch in commits.chunks(BATCH) {
        let answer = calls
            .make("event.record_batch", json!({ "events": batch }))
            .await?;
        let inserted = super::integer(&answer["stats"], "inserted");
        let told = u64::try_from(batch.len()).unwrap_or(0);
        recorded += inserted;
        known += told.saturating_sub(inserted);
        bar.inc(told);
    }
    bar.finish_and_clear();
    // Last: a run that is cut begins again where this one did, and records nothing twice.
    let position = json!({"source": source, "position": {"commit": head}});
    calls.make("event.set_cursor", position).await?;
    Ok(repository.answer(Some(head), recorded, known))
}

/// Calls operations for the project that was named, or else that of the repository.
struct Calls<'a> {
    session: &'a Session,
    store: &'a Store,
    /// The project of the repository.
    project: &'a str,
}

impl Calls<'_> {
    async fn make(&self, operation: &str, mut input: Value) -> Result<Value> {
        if let (Some(project), Some(input)) = (&self.session.named_project, input.as_object_mut()) {
            input.insert("project".into(), json!(project));
        }
        let registry: &Registry = &self.session.registry;
        let ctx = self.store.ctx("cli").with_project(self.project);
        registry.call(operation, &ctx, input, None).await
    }
}

/// A branch of a repository.
struct Repository<'a> {
    folder: &'a str,
    branch: &'a str,
}

impl Repository<'_> {
    /// Returns the name under which the store keeps how far the branch was read.
    fn source(&self) -> String {
        format!("git:{}", self.branch)
    }

    fn answer(&self, head: Option<&str>, recorded: u64, known: u64) -> Value {
        json!({"source": self.source(), "head": head, "recorded": recorded, "known": known})
    }

    /// Returns the id of the newest commit; none if the branch has no commits yet.
    fn head(&self) -> Result<Option<String>> {
        let branch = format!("{}^{{commit}}", self.branch);
        let output = self.git(&[
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &branch,
        ])?;
        if output.status.success() {
            let head = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            return Ok(Some(head));
        }
        if self.is_unborn()? {
            return Ok(None);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let why = said
            .lines()
            .next()
            .unwrap_or("it is no branch, tag or commit");
        let message = format!("cannot read `{}` of `{}`: {why}", self.branch, self.folder);
        Err(Error::new(Code::InvalidInput, message).with_field(BRANCH))
    }

    /// Whether the branch, which leads to no commit, is the one that the first commit will be on.
    fn is_unborn(&self) -> Result<bool> {
        let output = self.git(&["symbolic-ref", "--quiet", "HEAD"])?;
        let current = String::from_utf8_lossy(&output.stdout);
        let named = current.trim().strip_prefix("refs/heads/");
        Ok(output.status.success() && (self.branch == "HEAD" || named == Some(self.branch)))
    }

    /// Reads the commits behind one that was read before, if that is still behind this one.
    fn commits(&self, since: Option<&str>, head: &str) -> Result<Vec<Record>> {
        let range = match since {
            Some(since) if self.is_behind(since, head)? => format!("{since}..{head}"),
            _ => head.to_owned(),
        };
        let arguments = [&GIT_LOG_ARGUMENTS[..], &[&range, "--"]].concat();
        let output = self.git(&arguments)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let message = format!("`git log` failed: {}", said.trim());
            return Err(Error::new(Code::Unavailable, message));
        }
        parse(&String::from_utf8_lossy(&output.stdout))
    }

    /// Whether a commit is one of those that led to another; it may be gone after a rebase.
    fn is_behind(&self, since: &str, head: &str) -> Result<bool> {
        let output = self.git(&["merge-base", "--is-ancestor", since, head])?;
        Ok(output.status.success())
    }

    fn git(&self, arguments: &[&str]) -> Result<Output> {
        let run = Process::new("git")
            .args(["-C", self.folder])
            .args(arguments)
            .output();
        run.map_err(|error| {
            let message = match error.kind() {
                ErrorKind::NotFound => "`git` is not installed, or not on the PATH".to_owned(),
                _ => format!("`git` cannot be run: {error}"),
            };
            Error::new(Code::Unavailable, message).with_source(error)
        })
    }
}
