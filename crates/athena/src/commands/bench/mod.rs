//! `bench`: what Athena does on this machine, measured on made-up memories.

pub(crate) mod gauge;
mod memory;
mod place;
mod report;
mod search;

use super::Session;
use crate::outcome::Outcome;
use athena_core::{Code, Error};
use clap::{ArgMatches, Command};

/// Makes the group of commands.
pub(crate) fn command() -> Command {
    Command::new("bench")
        .about("Measure Athena on this machine")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(search::command())
        .subcommand(memory::command())
}

/// Runs the command that was asked for.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Outcome {
    match matches.subcommand() {
        Some(("search", matches)) => search::run(session, matches),
        Some(("memory", matches)) => memory::run(session, matches),
        _ => Err(Error::new(
            Code::InvalidInput,
            "this is no command; `athena bench --help` lists them",
        )
        .into()),
    }
}
