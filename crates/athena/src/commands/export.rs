//! `export`: all memories of a project, one record a line.
//!
//! A record holds everything about a version of a memory, forgotten ones included, so that
//! `athena import` makes the same of it in another store.

use super::Session;
use crate::outcome::{Outcome, Stop, at_path};
use clap::{Arg, ArgMatches, Command};
use serde_json::{Value, json};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Records in one call.
const PAGE: u32 = 500;

/// Makes the command.
pub(crate) fn command() -> Command {
    Command::new("export")
        .about("Export a project's memories, one record a line")
        .long_about(
            "Export a project's memories as JSON Lines: every version, forgotten ones included, oldest first. \
             `athena import` brings them into any store without loss.",
        )
        .arg(
            Arg::new("output")
                .long("output")
                .short('o')
                .value_name("FILE")
                .help("Write to this file, which appears when it is complete [default: standard output]"),
        )
}

/// Exports a project.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Outcome {
    let Some(path) = matches
        .get_one::<String>("output")
        .filter(|path| *path != "-")
    else {
        let mut out = BufWriter::new(io::stdout().lock());
        write_records(session, &mut out)?;
        return Ok(out.flush()?);
    };
    let path = Path::new(path);
    let records = to_file(session, path)?;
    let answer = json!({"file": path.display().to_string(), "records": records});
    session.show(&answer, |_, _| {
        format!("exported {records} records to {}\n", path.display())
    })
}

fn to_file(session: &Session, path: &Path) -> Outcome<usize> {
    let fail = |error: io::Error| Stop::Failed(at_path("write", path, error));
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(fail)?;
    let mut out = BufWriter::new(file.as_file_mut());
    let records = write_records(session, &mut out)?;
    out.flush().map_err(fail)?;
    drop(out);
    file.as_file().sync_all().map_err(fail)?;
    file.persist(path).map_err(|error| fail(error.error))?;
    Ok(records)
}

fn write_records(session: &Session, out: &mut dyn Write) -> Outcome<usize> {
    session.with_store(|store| async move {
        let ctx = store.ctx("cli");
        let mut records = 0;
        let mut cursor: Option<String> = None;
        loop {
            let input = page_of(session, cursor);
            let page = session
                .registry
                .call("memory.export", &ctx, input, None)
                .await?;
            for record in page["items"].as_array().into_iter().flatten() {
                writeln!(out, "{record}")?;
                records += 1;
            }
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                return Ok(records);
            }
        }
    })
}

fn page_of(session: &Session, cursor: Option<String>) -> Value {
    json!({"limit": PAGE, "cursor": cursor, "project": session.named_project})
}
