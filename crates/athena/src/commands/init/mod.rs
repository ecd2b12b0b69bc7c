//! `init`: connects Claude Code with Athena, and disconnects it again.
//!
//! Connected means two things: hooks, by which an agent's session is recorded and told what is
//! known, and the MCP server. Both are entries in settings files that belong to somebody else. So
//! every change is shown first, goes into the text without touching the rest of it ([`json_text`]),
//! and can be taken back exactly ([`ledger`]).

mod entries;
mod files;
mod json_text;
mod ledger;
#[cfg(test)]
mod tests;

use super::{Session, print};
use crate::compose;
use crate::config::{Settings, Source};
use crate::outcome::{Outcome, at_path};
use crate::terminal::{Style, printable};
use athena_core::{Code, Error, Result};
use clap::{Arg, ArgAction, ArgMatches, Command};
use entries::{Content, Launch, OPTIONS};
use files::{Found, refused};
use ledger::{Ledger, Traces};
use serde_json::{Value, json};
use similar::TextDiff;
use std::fmt::Write as _;
use std::io::{self, BufRead, IsTerminal, Write as _};
use std::path::{Path, PathBuf};

const GLOBAL: &str = "global";
const LOCAL: &str = "local";
const UNINSTALL: &str = "uninstall";
const DRY_RUN: &str = "dry-run";
const YES: &str = "yes";

/// Lines that a diff shows around a change.
const CONTEXT_LINES: usize = 3;
/// Permissions of new files that a project shares.
const SHARED: u32 = 0o644;
/// Permissions of new files that are one person's.
const PRIVATE: u32 = 0o600;

/// Makes the command.
pub(crate) fn command() -> Command {
    let flag = |id: &'static str, help: &'static str| {
        Arg::new(id).long(id).action(ArgAction::SetTrue).help(help)
    };
    Command::new("init")
        .about("Connect Claude Code with Athena: hooks and the MCP server")
        .long_about(
            "Connect Claude Code with Athena, in the settings of this project: hooks, by which its sessions are \
             recorded and told what is known, and the MCP server. Shows what would change in which file and asks \
             before anything is written. Nothing else in the files is touched, and --uninstall takes out exactly \
             what was put in.",
        )
        .arg(flag(GLOBAL, "For all projects of this user, in the home directory").conflicts_with(LOCAL))
        .arg(flag(LOCAL, "For this user in this project, in files that are not shared"))
        .arg(flag(UNINSTALL, "Take out what was put in"))
        .arg(flag(DRY_RUN, "Show what would change, and change nothing").conflicts_with(YES))
        .arg(flag(YES, "Do not ask").short('y'))
}

/// Connects or disconnects.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Outcome {
    let scope = Scope::of(matches);
    let places = Places::of_process()?;
    let home = absolute(&session.settings.home);
    let mut ledger = Ledger::read(&home)?;
    let uninstall = matches.get_flag(UNINSTALL);
    if !uninstall {
        check_database(&session.settings)?;
    }
    let launch = Launch::of(&session.settings);
    let changes = scope
        .targets(&places)
        .into_iter()
        .map(|target| Change::plan(&target, uninstall, &launch, &ledger))
        .collect::<Result<Vec<_>>>()?;
    let changes: Vec<Change> = changes.into_iter().filter(Change::is_one).collect();
    let dry_run = matches.get_flag(DRY_RUN);
    if !session.as_json {
        print(&shown(&changes, uninstall, session.style))?;
    }
    let done = !dry_run && !changes.is_empty();
    if done {
        if !matches.get_flag(YES) {
            confirm()?;
        }
        if !uninstall {
            compose::prepare_home(&session.settings)?;
        }
        perform(&changes, uninstall, &mut ledger, &home)?;
    }
    if session.as_json {
        let answer = json!({
            "scope": scope.name(),
            "installed": !uninstall,
            "changed": done,
            "dry_run": dry_run,
            "files": changes.iter().map(Change::described).collect::<Vec<_>>(),
        });
        return print(&super::json_text(&answer));
    }
    if done {
        let told = if uninstall {
            "Disconnected."
        } else {
            "Connected. Sessions that start from now on are remembered."
        };
        print(&format!("{told}\n"))?;
    }
    Ok(())
}

/// For whom the settings are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Project,
    Local,
    Global,
}

/// Where the settings of an agent are.
#[derive(Debug)]
struct Places {
    /// The root of the project.
    project: PathBuf,
    /// The folder of the user's settings.
    user: PathBuf,
    /// The file of the user's MCP servers.
    servers: PathBuf,
}

/// A file and what it is to hold.
#[derive(Debug)]
struct Target {
    file: PathBuf,
    content: Content,
    mode: u32,
}

impl Scope {
    fn of(matches: &ArgMatches) -> Self {
        if matches.get_flag(GLOBAL) {
            Self::Global
        } else if matches.get_flag(LOCAL) {
            Self::Local
        } else {
            Self::Project
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Local => LOCAL,
            Self::Global => GLOBAL,
        }
    }

    fn targets(self, places: &Places) -> [Target; 2] {
        let (settings, servers, below, mode) = match self {
            Self::Project => (
                places.project.join(".claude/settings.json"),
                places.project.join(".mcp.json"),
                Vec::new(),
                SHARED,
            ),
            Self::Local => (
                places.project.join(".claude/settings.local.json"),
                places.servers.clone(),
                vec!["projects".to_owned(), places.project.display().to_string()],
                PRIVATE,
            ),
            Self::Global => (
                places.user.join("settings.json"),
                places.servers.clone(),
                Vec::new(),
                PRIVATE,
            ),
        };
        let target = |file, content| Target {
            file,
            content,
            mode,
        };
        [
            target(settings, Content::Hooks),
            target(servers, Content::Server(below)),
        ]
    }
}

impl Places {
    fn of_process() -> Result<Self> {
        let directory =
            std::env::current_dir().map_err(|error| at_path("read", Path::new("."), error))?;
        // A worktree has settings of its own, as any other folder with a `.git`.
        let root = directory
            .ancestors()
            .find(|directory| directory.join(".git").exists());
        let project = root.unwrap_or(&directory).to_owned();
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        if let Some(user) = set("CLAUDE_CONFIG_DIR").map(PathBuf::from) {
            return Ok(Self {
                project,
                servers: user.join(".claude.json"),
                user,
            });
        }
        let home = set("HOME").map(PathBuf::from).ok_or_else(|| {
            Error::new(
                Code::InvalidInput,
                "HOME is not set, so there is no telling where the user's settings are; set it",
            )
        })?;
        Ok(Self {
            project,
            user: home.join(".claude"),
            servers: home.join(".claude.json"),
        })
    }
}

impl Launch {
    /// An agent has neither this command line nor all of this environment, so what they say is named.
    fn of(settings: &Settings) -> Self {
        let own = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("athena"));
        let program = if is_on_path(&own) {
            "athena".to_owned()
        } else {
            own.display().to_string()
        };
        let path = |path: &Path| absolute(path).display().to_string();
        let home = (*settings.source("home") != Source::Default).then(|| path(&settings.home));
        let usual = settings.home.join("config.toml");
        let config = settings.file.as_deref().filter(|file| *file != usual);
        let project = is_of_this_call(settings, "project").then(|| settings.project.clone());
        let options = OPTIONS
            .into_iter()
            .zip([home, config.map(path), project.flatten()])
            .filter_map(|(option, value)| Some([option.to_owned(), value?]))
            .flatten()
            .collect();
        Self { program, options }
    }
}

/// Whether a setting comes from the command line or the environment, which an agent does not have.
fn is_of_this_call(settings: &Settings, key: &str) -> bool {
    matches!(
        settings.source(key),
        Source::Flag(_) | Source::Environment(_)
    )
}

/// Refuses a database that an agent would not find: its URL may hold a password, which does not belong
/// into files that are shared.
fn check_database(settings: &Settings) -> Result<()> {
    if !is_of_this_call(settings, "database.url") {
        return Ok(());
    }
    let message = format!(
        "`database.url` is set by {}, which an agent does not have; put it into the configuration file `{}`",
        settings.source("database.url"),
        settings.home.join("config.toml").display()
    );
    Err(Error::new(Code::InvalidInput, message).with_field("database.url"))
}

/// Whether the name `athena` finds this program.
fn is_on_path(own: &Path) -> bool {
    let Ok(own) = own.canonicalize() else {
        return false;
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join("athena"))
        .find(|candidate| candidate.is_file())
        .and_then(|found| found.canonicalize().ok())
        .is_some_and(|found| found == own)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// What happens to one file.
#[derive(Debug)]
struct Change {
    content: Content,
    found: Found,
    /// The text that it gets; `None` if it goes.
    after: Option<String>,
    traces: Traces,
}

impl Change {
    fn plan(target: &Target, uninstall: bool, launch: &Launch, ledger: &Ledger) -> Result<Self> {
        let found = Found::read(&target.file, target.mode)?;
        let failed = |problem: json_text::Problem| {
            refused(
                &found.path,
                problem.line,
                &format!("{}; nothing was changed", problem.message),
            )
        };
        let (after, traces) = match (&found.text, uninstall) {
            (None, true) => (None, Traces::default()),
            (Some(text), true) => {
                // Earlier versions wrote nothing down of what they had changed.
                let traces = ledger.of(&found.path);
                let traces = traces.filter(|traces| !traces.entries.is_empty());
                let rest = target.content.take_out(text, traces).map_err(failed)?;
                let made = traces.is_some_and(|traces| traces.file);
                let empty = rest.trim() == "{}" && rest != *text;
                (
                    (!(made && empty)).then_some(rest),
                    traces.cloned().unwrap_or_default(),
                )
            }
            (text, false) => {
                let before = text.as_deref().unwrap_or("{}\n");
                let (after, mut traces) = target.content.put(before, launch).map_err(failed)?;
                if text.is_none() {
                    traces.file = true;
                    let folder = found.path.parent();
                    traces.folder = folder.filter(|it| !it.exists()).map(Path::to_owned);
                }
                (Some(after), traces)
            }
        };
        Ok(Self {
            content: target.content.clone(),
            found,
            after,
            traces,
        })
    }

    /// Whether anything changes.
    fn is_one(&self) -> bool {
        self.found.text != self.after
    }

    fn action(&self) -> &'static str {
        match (&self.found.text, &self.after) {
            (None, _) => "create",
            (_, None) => "remove",
            _ => "change",
        }
    }

    fn diff(&self) -> String {
        let path = self.found.path.display().to_string();
        let name = |text: &Option<String>| match text {
            Some(_) => path.clone(),
            None => "/dev/null".to_owned(),
        };
        let before = self.found.text.as_deref().unwrap_or_default();
        let after = self.after.as_deref().unwrap_or_default();
        TextDiff::from_lines(before, after)
            .unified_diff()
            .context_radius(CONTEXT_LINES)
            .header(&name(&self.found.text), &name(&self.after))
            .to_string()
    }

    fn described(&self) -> Value {
        json!({"path": self.found.path, "action": self.action(), "diff": self.diff()})
    }

    /// Puts the file back as it was found.
    fn undo(&self) {
        if let Err(error) = self.found.write(self.found.text.as_deref()) {
            tracing::error!(%error, "could not put a file back as it was");
        }
    }
}

/// Writes all files, or none.
fn perform(changes: &[Change], uninstall: bool, ledger: &mut Ledger, home: &Path) -> Result<()> {
    for change in changes {
        change.found.check_unchanged()?;
    }
    if !uninstall {
        // Before the files: what was written down and not made harms nobody.
        for change in changes {
            ledger.add(&change.found.path, change.traces.clone());
        }
        ledger.write(home)?;
    }
    for (index, change) in changes.iter().enumerate() {
        if let Err(error) = change.found.write(change.after.as_deref()) {
            changes[..index].iter().for_each(Change::undo);
            return Err(error);
        }
    }
    if uninstall {
        for change in changes {
            remove_folder(change);
            ledger.forget(&change.found.path, |entry| change.content.has(entry));
        }
        ledger.write(home)?;
    }
    Ok(())
}

/// Removes the folder that was made for a file, if nothing else is in it by now.
fn remove_folder(change: &Change) {
    if let (None, Some(folder)) = (&change.after, &change.traces.folder)
        && let Err(error) = std::fs::remove_dir(folder)
    {
        tracing::debug!(%error, "a folder stays");
    }
}

/// Asks a person; a program says so beforehand.
fn confirm() -> Outcome {
    let unanswered = |message| Err(Error::new(Code::InvalidInput, message).into());
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return unanswered(
            "nobody is here to be asked, so nothing was changed; use --yes to go on",
        );
    }
    let mut err = io::stderr();
    write!(err, "Change these files? [y/N] ")?;
    err.flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    if matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    unanswered("not confirmed; nothing was changed")
}

fn shown(changes: &[Change], uninstall: bool, style: Style) -> String {
    if changes.is_empty() {
        let text = if uninstall {
            "Nothing of Athena's is here.\n"
        } else {
            "Everything is connected; nothing to change.\n"
        };
        return text.to_owned();
    }
    let mut text = String::new();
    for change in changes {
        for line in change.diff().lines() {
            let line = printable(line.trim_end_matches('\r'));
            let line = match line.as_bytes().first() {
                Some(b'+') => style.green(&line),
                Some(b'-') => style.red(&line),
                Some(b'@') => style.cyan(&line),
                _ => line.into_owned(),
            };
            let _ = writeln!(text, "{line}");
        }
    }
    text
}
