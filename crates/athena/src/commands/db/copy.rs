//! `db copy`: a whole store from any backend to any other. Backups are made and restored with it.

use super::explain;
use crate::commands::{Session, progress};
use crate::compose::{self, MIGRATIONS};
use crate::config::{DatabaseSettings, redact, sqlite_url, store_file};
use crate::outcome::Outcome;
use athena_core::Result;
use athena_db::{Copied, CopyOptions, CopyProgress, CopyStage, Database, copy_database};
use clap::{Arg, ArgMatches, Command};
use serde_json::json;
use std::fmt::Write;

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
                .help("The empty database: sqlite:PATH, postgresql://… or mysql://…"),
        )
}

/// Copies.
pub(super) fn run(session: &Session, matches: &ArgMatches) -> Outcome {
    let settings = |option: &str| {
        let mut settings = session.settings.database.clone();
        if let Some(url) = matches.get_one::<String>(option) {
            settings.url.clone_from(url);
        }
        settings
    };
    let (from, to) = (settings("from"), settings("to"));
    let copied = session.block_on(async {
        let source = open_source(&from).await?;
        let copied = copy_into(session, &source, &source_name(&from.url), &to).await;
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
    name: &str,
    to: &DatabaseSettings,
) -> Result<Copied> {
    compose::prepare_home_for(&session.settings, to)?;
    let builder = compose::patient(compose::builder(to));
    let target = builder.open().await.map_err(explain)?;
    let copied = copy(session, source, name, &target).await;
    target.close().await?;
    copied
}

/// Copies a store and shows how far that is.
pub(crate) async fn copy(
    session: &Session,
    source: &Database,
    name: &str,
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
    let options = CopyOptions {
        source: name,
        sets: &MIGRATIONS,
    };
    let copied = copy_database(source, target, &options, &mut on_progress).await;
    bar.finish_and_clear();
    Ok(copied?)
}

/// Returns what names a source, the same from every directory and without its password.
pub(crate) fn source_name(url: &str) -> String {
    let file = store_file(url).and_then(|path| std::fs::canonicalize(path).ok());
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
