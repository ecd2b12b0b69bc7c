//! `pii`: personal data, in files and in the store.
//!
//! What is here needs more than an operation has: files, or the key. The group takes up the
//! operations whose commands begin with its name, such as `pii reveal`.

mod eval;
mod rotate;
mod scan;

use super::Session;
use crate::outcome::Outcome;
use athena_core::{Code, Error};
use clap::{ArgMatches, Command};

/// Makes the group of commands.
pub(crate) fn command() -> Command {
    Command::new("pii")
        .about("Find personal data in files; see what the store keeps of it, reveal it, rotate its key")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(scan::command())
        .subcommand(eval::command())
        .subcommand(rotate::command())
}

/// Runs the command that was asked for.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Outcome {
    match matches.subcommand() {
        Some(("scan", matches)) => scan::run(session, matches),
        Some(("eval", matches)) => eval::run(session, matches),
        Some(("rotate", matches)) => rotate::run(session, matches),
        _ => Err(Error::new(
            Code::InvalidInput,
            "this is no command; `athena pii --help` lists them",
        )
        .into()),
    }
}
