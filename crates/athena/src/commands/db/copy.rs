//! `db copy`: a whole store from any backend to any other. Backups are made and restored with it.

use super::{explain, named_database};
use crate::commands::{Session, progress};
use crate::compose::{self, MIGRATIONS};
use crate::config::{DatabaseSettings, redact};
use crate::outcome::Outcome;
use athena_core::{Code, Error, Result};
use athena_db::{
    Copied, CopyError, CopyOptions, CopyProgress, CopyStage, Database, ErrorKind,
    check_copy_source, copy_database, sqlite_file, sqlite_url,
};
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::json;
use std::fmt::Write;
use std::path::Path;

/// The option that allows to leave out what others made.
pub(crate) const LEAVE_OUT_FOREIGN: &str = "leave-out-foreign";

/// What a signal means for a copy.
pub(crate) const INTERRUPTED: &str = "start it again to go on where it stopped";

/// Makes the command.
pub(super) fn command() -> Command {
    Command::new("copy")
        .about("Copy a whole store into an empty database of any backend")
        .long_about(
            "Copy a whole store into an empty database of any backend, with all ids, versions and vectors.\n\nThe \
             source is read in one snapshot and never written; it may be in use. The target must be empty and not in \
             use. A copy that was interrupted goes on when it is started again, and until it is complete the target \
             cannot be opened as a store. In the end all tables are read back and compared.",
        )
        .arg(
            Arg::new("from")
                .long("from")
                .value_name("URL")
                .help("The store to copy [default: the configured one]"),
        )
        .arg(
            Arg::new("to")
                .long("to")
                .value_name("URL")
                .required(true)
                .help("The empty database: a path, sqlite:PATH, postgresql://… or mysql://…"),
        )
        .arg(leave_out_foreign_argument())
}

/// Copies.
pub(super) fn run(session: &Session, matches: &ArgMatches) -> Outcome {
    let from = named_database(session, matches, "from")?;
    let to = named_database(session, matches, "to")?;
    let leave_out_foreign = matches.get_flag(LEAVE_OUT_FOREIGN);
    let copied = session.block_on_long(INTERRUPTED, async {
        let source = open_source(&from).await?;
        let name = source_name(&from.url);
        let copied = copy_into(session, &source, &options(&name, leave_out_foreign), &to).await;
        source.close().await?;
        Ok(copied?)
    })?;
    let answer = json!({
        "from": redact(&from.url), "to": redact(&to.url), "rows": rows(&copied), "tables": copied.tables,
        "resumed_rows": copied.resumed_rows, "started_over": copied.started_over, "left_out": copied.left_out,
    });
    session.show(&answer, |answer, _| {
        summary(
            &copied,
            &format!("copied to {}", answer["to"].as_str().unwrap_or_default()),
        )
    })
}

/// Opens a store to read it whole.
pub(crate) async fn open_source(settings: &DatabaseSettings) -> Result<Database> {
    let builder = compose::patient(compose::builder(settings)).read_only(true);
    builder.open().await.map_err(explain)
}

/// Copies a store into the database that the settings name.
pub(crate) async fn copy_into(
    session: &Session,
    source: &Database,
    options: &CopyOptions<'_>,
    to: &DatabaseSettings,
) -> Result<Copied> {
    // Opening the target may create it, so the source comes first.
    let checked = check_copy_source(source, options).await;
    checked.map_err(advise)?;
    compose::prepare_home_for(&session.settings, to)?;
    let created = sqlite_file(&to.url).filter(|file| !file.exists());
    let copied = open_and_copy(session, source, options, to).await;
    if let (Err(error), Some(file)) = (&copied, created)
        && error.code() == Code::StorageFull
    {
        remove_store(&file);
    }
    copied
}

async fn open_and_copy(
    session: &Session,
    source: &Database,
    options: &CopyOptions<'_>,
    to: &DatabaseSettings,
) -> Result<Copied> {
    let builder = compose::patient(compose::builder(to));
    let target = builder.open().await.map_err(explain)?;
    let copied = copy(session, source, options, &target).await;
    let closed = target.close().await;
    let copied = copied?;
    closed?;
    Ok(copied)
}

/// Removes a file that does not fit on its disk, and what belongs to it.
fn remove_store(file: &Path) {
    for suffix in ["", "-wal", "-shm", "-turn"] {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        // What cannot be removed is an unfinished copy, which nobody can open.
        let _ = std::fs::remove_file(name);
    }
}

/// Returns what a copy of a whole store is to do.
pub(crate) fn options(source: &str, leave_out_foreign: bool) -> CopyOptions<'_> {
    CopyOptions {
        source,
        sets: &MIGRATIONS,
        leave_out_foreign,
    }
}

/// Makes the option that allows to leave out what others made.
pub(crate) fn leave_out_foreign_argument() -> Arg {
    Arg::new(LEAVE_OUT_FOREIGN)
        .long(LEAVE_OUT_FOREIGN)
        .action(ArgAction::SetTrue)
        .help("Go on without the tables of other sets of migrations, which only their programme can bring back")
}

/// Tells what the database said, which names the table, and adds the way out to a refusal.
pub(crate) fn advise(error: athena_db::Error) -> Error {
    let said = error.to_string();
    let foreign = matches!(error.kind(), ErrorKind::Copy(CopyError::Foreign { .. }));
    let error = Error::from(error);
    let message = match error.code() {
        _ if foreign => format!(
            "{said}; move these with the database's own tools, and add `--{LEAVE_OUT_FOREIGN}` to go on without them"
        ),
        Code::Internal => said,
        _ => return error,
    };
    Error::new(error.code(), message).with_source(error)
}

/// Copies a store and shows how far that is.
pub(crate) async fn copy(
    session: &Session,
    source: &Database,
    options: &CopyOptions<'_>,
    target: &Database,
) -> Result<Copied> {
    let bar = progress(session, 0, "copying");
    let mut on_progress = |progress: CopyProgress<'_>| {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
        bar.set_message(match progress.stage {
            CopyStage::Copying => format!("copying {}", progress.table),
            CopyStage::Verifying => format!("comparing {}", progress.table),
        });
    };
    let copied = copy_database(source, target, options, &mut on_progress).await;
    bar.finish_and_clear();
    copied.map_err(advise)
}

/// Returns what names a source, the same from every directory and without its password.
pub(crate) fn source_name(url: &str) -> String {
    let file = sqlite_file(url).and_then(|path| std::fs::canonicalize(path).ok());
    file.map_or_else(|| redact(url), |path| sqlite_url(&path))
}

/// Counts the rows of all tables.
pub(crate) fn rows(copied: &Copied) -> u64 {
    copied.tables.iter().map(|table| table.rows).sum()
}

/// Says what a copy did, after what it was for.
pub(crate) fn summary(copied: &Copied, what: &str) -> String {
    let tables = copied.tables.len();
    let mut text = format!(
        "{what}: {} rows in {tables} tables, compared and equal\n",
        rows(copied)
    );
    if copied.started_over {
        text.push_str(
            "the source had changed since an earlier run, whose rows were removed first\n",
        );
    } else if copied.resumed_rows > 0 {
        let _ = writeln!(
            text,
            "{} of them had been copied by an earlier run",
            copied.resumed_rows
        );
    }
    if !copied.left_out.is_empty() {
        let _ = writeln!(
            text,
            "not copied, because not Athena's: {}",
            copied.left_out.join(", ")
        );
    }
    text
}
