//! `db`: the database itself, for those who want to look behind the operations.
//!
//! Everything here speaks SQL and tables, never memories, and opens the database without bringing
//! its schema up to date.

pub(super) mod bench;
pub(super) mod copy;
mod migrate;
mod output;
mod parameters;
mod schema;
mod sql;
pub(super) mod table;
mod translate;

use super::Session;
use crate::cli::arguments::{self, Stdin};
use crate::compose;
use crate::config::{DatabaseSettings, database_url};
use crate::outcome::Outcome;
use athena_core::{Code, Error, Result};
use athena_db::{Database, ErrorKind, sqlite_file};
use clap::{Arg, ArgMatches, Command};
use std::borrow::Cow;

const URL: &str = "url";
const SQL: &str = "sql";

/// Makes the group of commands.
pub(crate) fn command() -> Command {
    Command::new("db")
        .about("Work with the database: SQL, translation, schema, migrations, copies")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(sql::command())
        .subcommand(translate::command())
        .subcommand(schema::command())
        .subcommand(migrate::command())
        .subcommand(copy::command())
        .subcommand(bench::command())
}

/// Runs the command that was asked for.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Outcome {
    match matches.subcommand() {
        Some(("sql", matches)) => sql::run(session, matches),
        Some(("bench", matches)) => bench::run(session, matches),
        Some(("copy", matches)) => copy::run(session, matches),
        Some(("migrate", matches)) => migrate::run(session, matches),
        Some(("schema", matches)) => schema::run(session, matches),
        Some(("translate", matches)) => translate::run(session, matches),
        _ => Err(Error::new(
            Code::InvalidInput,
            "this is no command; `athena db --help` lists them",
        )
        .into()),
    }
}

/// The option that names another database than the configured one.
fn url_argument() -> Arg {
    Arg::new(URL)
        .long("url")
        .value_name("URL")
        .help("The database [default: the configured store]")
}

/// The text of a statement or script.
fn sql_argument(help: &'static str) -> Arg {
    Arg::new(SQL).value_name("SQL").help(help)
}

/// Returns the text of a statement: typed, from `@file`, or from standard input.
fn sql_text<'a>(matches: &'a ArgMatches, stdin: &mut dyn Stdin) -> Result<Cow<'a, str>> {
    match matches.get_one::<String>(SQL) {
        Some(text) => arguments::text_of(text, stdin),
        None if stdin.is_terminal() => Err(Error::invalid(
            SQL,
            "is missing: write the statement, @FILE, or - for standard input",
        )),
        None => stdin.read().map(Cow::Owned),
    }
}

/// Returns the settings of the database that is meant.
fn database(session: &Session, matches: &ArgMatches) -> Result<DatabaseSettings> {
    named_database(session, matches, URL)
}

/// Returns the settings with the database that an option names, if it was given.
pub(super) fn named_database(
    session: &Session,
    matches: &ArgMatches,
    option: &str,
) -> Result<DatabaseSettings> {
    let mut settings = session.settings.database.clone();
    if let Some(named) = matches.get_one::<String>(option) {
        settings.url = database_url(named).map_err(|problem| Error::invalid(option, problem))?;
    }
    Ok(settings)
}

/// Says so if the database is a file that is not there: only migrations make one.
fn require(settings: &DatabaseSettings) -> Outcome {
    if let Some(file) = sqlite_file(&settings.url).filter(|file| !file.exists()) {
        let message = format!(
            "there is no database at `{}`; `athena remember` makes a store, and `athena db migrate up` one without memories",
            file.display()
        );
        return Err(Error::new(Code::NotFound, message).into());
    }
    Ok(())
}

/// Runs a piece of work with a database and closes it, whatever came of the work.
async fn with_database<T>(
    settings: &DatabaseSettings,
    read_only: bool,
    work: impl AsyncFnOnce(&Database) -> Outcome<T>,
) -> Outcome<T> {
    let db = compose::patient(compose::builder(settings))
        .read_only(read_only)
        .open()
        .await
        .map_err(explain)?;
    let result = work(&db).await;
    db.close().await.map_err(explain)?;
    result
}

/// Tells everything that the database said: who writes SQL must see it.
fn explain(error: athena_db::Error) -> Error {
    let said = match error.kind() {
        ErrorKind::ReadOnly => format!("{error}; add `--write` if the statement is to write"),
        _ => error.to_string(),
    };
    let error = Error::from(error);
    let code = match error.code() {
        Code::Internal => Code::InvalidInput,
        code => code,
    };
    Error::new(code, said).with_source(error)
}
