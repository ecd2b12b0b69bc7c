//! The `athena` binary: reads the command line and the settings, and runs one command.
//!
//! Start with [`commands`] for what it does, [`cli`] for how operations become commands,
//! [`config`] for the settings and [`compose`] for how the parts are wired.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

mod cli;
mod commands;
mod compose;
mod config;
mod dates;
mod logging;
mod outcome;
mod owner;
mod project;
mod staging;
mod terminal;

use athena_core::{Code, Error};
use athena_privacy::Masking;
use clap::error::ErrorKind;
use cli::{Needed, global};
use commands::Session;
use outcome::{Outcome, Stop};
use std::borrow::Cow;
use std::ffi::OsString;
use std::process::ExitCode;
use terminal::Style;

fn main() -> ExitCode {
    compose::keep_files_private();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    // A hook has its own way through: it ends well whatever happens.
    if commands::hook::is_asked_for(&arguments) {
        return commands::hook::main(&arguments);
    }
    let as_json = arguments
        .iter()
        .take_while(|argument| *argument != "--")
        .any(|argument| argument == "--json");
    outcome::conclude(run(&arguments, as_json), as_json)
}

fn run(arguments: &[OsString], as_json: bool) -> Outcome {
    let registry = compose::registry();
    let matches = match cli::command(&registry, commands::others(), &Needed::by(arguments))
        .try_get_matches_from(arguments)
    {
        Ok(matches) => matches,
        Err(error) => return misused(&error, as_json),
    };
    let inner = commands::innermost(&matches);
    let quiet = inner.get_flag(global::QUIET);
    let environment = config::Environment::of_process()?;
    let settings = config::load(&commands::flags(&matches), &environment)?;
    let style = Style::of_stdout();
    logging::start(
        &logging::level(&settings.log, quiet, inner.get_count(global::VERBOSE)),
        style.colour && terminal::stderr_is_terminal(),
    );
    let named_project = commands::call::named_project(&matches);
    commands::run(
        Session {
            registry,
            settings,
            environment,
            as_json,
            quiet,
            style,
            named_project,
        },
        &matches,
    )
}

/// Shows the help that was asked for, or tells what is wrong with the command line.
fn misused(error: &clap::Error, as_json: bool) -> Outcome {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        return Ok(error.print()?);
    }
    if as_json && error.kind() != ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let text = error.to_string();
        let message = text
            .lines()
            .take_while(|line| !line.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        let message = message
            .strip_prefix("error: ")
            .unwrap_or(&message)
            .to_owned();
        return Err(Error::new(Code::InvalidInput, message).into());
    }
    match Masking::default().redact(&error.to_string()) {
        Cow::Borrowed(_) => error.print()?,
        Cow::Owned(redacted) => eprint!("{redacted}"),
    }
    Err(Stop::Told(outcome::exit_status(Code::InvalidInput)))
}
