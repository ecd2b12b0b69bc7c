//! What the binary does: operations through [`call`], and the commands that are no operations.
//!
//! Each command is one file: its arguments in `command()`, its work in `run()`. [`Session`] holds
//! what all of them are given.

pub(crate) mod backup;
pub(crate) mod bench;
pub(crate) mod call;
pub(crate) mod commits;
pub(crate) mod db;
pub(crate) mod doctor;
pub(crate) mod eval;
pub(crate) mod export;
pub(crate) mod hook;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod mcp;
pub(crate) mod model;
pub(crate) mod pii;
pub(crate) mod quickstart;
pub(crate) mod reembed;
pub(crate) mod serve;

use crate::cli::{self, global};
use crate::compose::{self, Store};
use crate::config::{Environment, Flags, Settings};
use crate::outcome::{Outcome, Stop};
use crate::terminal::{self, Style};
use athena_core::{Code, Error, Registry};
use clap::{ArgMatches, Command};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use std::future::Future;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;
use tokio::runtime::Runtime;

/// What every command is given.
pub(crate) struct Session {
    /// All operations.
    pub(crate) registry: Registry,
    /// What is in force.
    pub(crate) settings: Settings,
    /// The environment that the settings were read from.
    pub(crate) environment: Environment,
    /// Whether answers and errors are JSON.
    pub(crate) as_json: bool,
    /// Whether progress and warnings are unwanted.
    pub(crate) quiet: bool,
    /// How answers look to a person.
    pub(crate) style: Style,
    /// The project that was named on the command line, which must exist.
    pub(crate) named_project: Option<String>,
}

/// Returns the commands that are no operations, each with the heading of the help.
pub(crate) fn others() -> Vec<(&'static str, Command)> {
    vec![
        ("Data", import::command()),
        ("Data", export::command()),
        ("Data", commits::command()),
        ("Data", backup::backup_command()),
        ("Data", backup::restore_command()),
        ("Data", reembed::command()),
        ("Data", eval::command()),
        ("Data", bench::command()),
        ("Data", db::command()),
        ("Privacy", pii::command()),
        ("Serving", serve::command()),
        ("Serving", mcp::command()),
        ("Set-up", quickstart::command()),
        ("Set-up", init::command()),
        ("Set-up", hook::command()),
        ("Set-up", doctor::command()),
        ("Set-up", model::command()),
        ("Set-up", call::command()),
    ]
}

/// Runs the command that was asked for.
pub(crate) fn run(session: Session, matches: &ArgMatches) -> Outcome {
    if let Some((entry, matches)) = cli::selected(&session.registry, matches) {
        return call::run_entry(&session, entry, matches);
    }
    match matches.subcommand() {
        Some(("call", matches)) => call::run(&session, matches),
        Some(("import", matches)) => import::run(&session, matches),
        Some(("export", matches)) => export::run(&session, matches),
        Some(("record-commits", matches)) => commits::run(&session, matches),
        Some(("reembed", matches)) => reembed::run(&session, matches),
        Some(("eval", matches)) => eval::run(&session, matches),
        Some(("backup", matches)) => backup::backup(&session, matches),
        Some(("restore", matches)) => backup::restore(&session, matches),
        Some(("bench", matches)) => bench::run(&session, matches),
        Some(("db", matches)) => db::run(&session, matches),
        Some(("pii", matches)) => pii::run(&session, matches),
        Some(("serve", _)) => serve::run(session),
        Some(("mcp", _)) => mcp::run(session),
        Some(("quickstart", matches)) => quickstart::run(&session, matches),
        Some(("init", matches)) => init::run(&session, matches),
        Some(("doctor", _)) => doctor::run(&session),
        Some(("model", matches)) => model::run(&session, matches),
        _ => Err(Error::new(
            Code::InvalidInput,
            "this is no command; `athena --help` lists them",
        )
        .into()),
    }
}

/// Reads the settings that options set.
pub(crate) fn flags(matches: &ArgMatches) -> Flags {
    let named = [
        ("home", global::HOME),
        ("config", global::CONFIG),
        ("project", global::PROJECT),
        ("database.url", global::DATABASE_URL),
        ("server.host", serve::HOST),
        ("server.port", serve::PORT),
    ];
    let matches = innermost(matches);
    let given = |id: &str| matches.try_get_one::<String>(id).ok().flatten().cloned();
    named
        .into_iter()
        .filter_map(|(key, id)| Some((key, given(id)?)))
        .collect()
}

/// Returns the matches of the command itself; global options are there as well.
pub(crate) fn innermost(matches: &ArgMatches) -> &ArgMatches {
    matches
        .subcommand()
        .map_or(matches, |(_, inner)| innermost(inner))
}

impl Session {
    /// Runs a short piece of work with an open store, and closes the store whatever came of it.
    pub(crate) fn with_store<T, F>(&self, work: impl FnOnce(Store) -> F) -> Outcome<T>
    where
        F: Future<Output = Outcome<T>>,
    {
        self.block_on(async {
            let store = Store::open(&self.settings).await?;
            let result = work(store.clone()).await;
            hook::hand_in(&self.registry, &self.settings, &store).await;
            store.close().await?;
            result
        })
    }

    /// Runs a future on a small runtime.
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = Outcome<T>>) -> Outcome<T> {
        let runtime = compose::small_runtime().map_err(Error::internal)?;
        runtime.block_on(work)
    }

    /// Runs long work until it is done or a signal comes; then what it holds is dropped.
    pub(crate) fn block_on_long<T>(
        &self,
        consequence: &'static str,
        work: impl Future<Output = Outcome<T>>,
    ) -> Outcome<T> {
        let runtime = compose::small_runtime().map_err(Error::internal)?;
        Self::finish_long(runtime, consequence, work)
    }

    /// Runs long work on a runtime until it is done or a signal comes.
    pub(crate) fn finish_long<T>(
        runtime: Runtime,
        consequence: &'static str,
        work: impl Future<Output = Outcome<T>>,
    ) -> Outcome<T> {
        let outcome = runtime.block_on(async {
            let interruption = serve::interruption()?;
            tokio::select! {
                outcome = work => outcome,
                signal = interruption => Err(Stop::Interrupted {
                    signal: signal.number,
                    name: signal.name,
                    consequence,
                }),
            }
        });
        // A statement that a thread still runs must not hold the process.
        runtime.shutdown_background();
        outcome
    }

    /// Shows an answer: JSON, or what `render` makes of it.
    pub(crate) fn show(
        &self,
        answer: &Value,
        render: impl FnOnce(&Value, Style) -> String,
    ) -> Outcome {
        let text = if self.as_json {
            json_text(answer)
        } else {
            render(answer, self.style)
        };
        print(&text)
    }

    /// Whether progress is wanted and would be seen.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.quiet && !self.as_json && terminal::stderr_is_terminal()
    }

    /// Tells something besides the answer.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            // Nobody is left to be told when standard error is closed.
            let _ = writeln!(io::stderr(), "{}", terminal::printable(text));
        }
    }
}

/// Returns JSON for a program, one line, or for a person who looks at it.
pub(crate) fn json_text(answer: &Value) -> String {
    let text = if io::stdout().is_terminal() {
        format!("{answer:#}")
    } else {
        answer.to_string()
    };
    format!("{text}\n")
}

/// Writes to standard output.
pub(crate) fn print(text: &str) -> Outcome {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Returns a field of an answer, which an operation of ours has written.
pub(crate) fn integer(answer: &Value, name: &str) -> u64 {
    answer.get(name).and_then(Value::as_u64).unwrap_or_default()
}

/// Shows that work goes on whose length nobody knows, if somebody would see it.
pub(crate) async fn busy<T>(
    session: &Session,
    what: &'static str,
    work: impl Future<Output = T>,
) -> T {
    if !session.shows_progress() {
        return work.await;
    }
    let bar = ProgressBar::new_spinner().with_message(what);
    bar.enable_steady_tick(Duration::from_millis(100));
    let done = work.await;
    bar.finish_and_clear();
    done
}

/// Makes a progress bar, which is invisible when nobody would see it.
pub(crate) fn progress(session: &Session, length: u64, what: &'static str) -> ProgressBar {
    if !session.shows_progress() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} [{bar:40}] {human_pos}/{human_len} {eta}");
    ProgressBar::new(length)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_message(what)
}

/// Ends a command that has told its own failure.
pub(crate) fn told(status: u8) -> Outcome {
    Err(Stop::Told(status))
}
