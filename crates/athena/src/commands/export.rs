//! `export`: all memories of a project, one record a line.
//!
//! A record holds everything about a version of a memory, forgotten ones included, so that
//! `athena import` makes the same of it in another store. Tokens stay tokens, unless their values
//! are asked for with a reason. Then the records are read twice: the first time for their tokens, so
//! that the audit log has its entry before the first value is written.

use super::Session;
use crate::compose::Store;
use crate::outcome::{Outcome, Stop, at_path};
use athena_core::{Ctx, Error, Operation, Registry, Result, Spec};
use athena_store::{Audited, audit_alone};
use clap::{Arg, ArgAction, ArgMatches, Command};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
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
        .arg(
            Arg::new("reveal")
                .long("reveal")
                .action(ArgAction::SetTrue)
                .requires("reason")
                .help("Put the values that are kept in place of their tokens; the audit log gets an entry"),
        )
        .arg(
            Arg::new("reason")
                .long("reason")
                .short('r')
                .value_name("TEXT")
                .requires("reveal")
                .help("Why the values are needed, for the audit log"),
        )
}

/// Exports a project.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Outcome {
    let reason = matches.get_one::<String>("reason").map(String::as_str);
    let Some(path) = matches
        .get_one::<String>("output")
        .filter(|path| *path != "-")
    else {
        let mut out = BufWriter::new(io::stdout().lock());
        write_records(session, reason, &mut out)?;
        return Ok(out.flush()?);
    };
    let path = Path::new(path);
    let written = to_file(session, reason, path)?;
    let Written { records, revealed } = written;
    let mut answer = json!({"file": path.display().to_string(), "records": records});
    if reason.is_some() {
        answer["revealed"] = revealed.into();
    }
    session.show(&answer, |_, _| {
        format!("exported {records} records to {}\n", path.display())
    })
}

/// How much was exported.
struct Written {
    records: usize,
    revealed: usize,
}

fn to_file(session: &Session, reason: Option<&str>, path: &Path) -> Outcome<Written> {
    let fail = |error: io::Error| Stop::Failed(at_path("write", path, error));
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(fail)?;
    let mut out = BufWriter::new(file.as_file_mut());
    let written = write_records(session, reason, &mut out)?;
    out.flush().map_err(fail)?;
    drop(out);
    file.as_file().sync_all().map_err(fail)?;
    file.persist(path).map_err(|error| fail(error.error))?;
    Ok(written)
}

fn write_records(session: &Session, reason: Option<&str>, out: &mut dyn Write) -> Outcome<Written> {
    session.with_store(|store| async move {
        let values = match reason {
            Some(reason) => reveal(session, &store, reason).await?,
            None => BTreeMap::new(),
        };
        let mut records = 0;
        let mut kept_back = BTreeSet::new();
        each_record(session, &store, |mut record| {
            records += 1;
            if reason.is_some() {
                each_text(&mut record, &mut |text| {
                    let tokens = athena_store::tokens_in(text);
                    kept_back.extend(tokens.into_iter().filter(|it| !values.contains_key(it)));
                    let value = |token: &str| values.get(token).map(String::as_str);
                    *text = athena_privacy::with_values(text, value);
                });
            }
            Ok(writeln!(out, "{record}")?)
        })
        .await?;
        if !kept_back.is_empty() {
            session.note(&format!(
                "{} tokens stay in their places: what they stand for is not kept",
                kept_back.len()
            ));
        }
        Ok(Written {
            records,
            revealed: values.len(),
        })
    })
}

/// Returns what the tokens of all records stand for, once the audit log says so.
async fn reveal(
    session: &Session,
    store: &Store,
    reason: &str,
) -> Outcome<BTreeMap<String, String>> {
    let mut tokens = BTreeSet::new();
    each_record(session, store, |mut record| {
        each_text(&mut record, &mut |text| {
            tokens.extend(athena_store::tokens_in(text));
        });
        Ok(())
    })
    .await?;
    let input = json!({"tokens": tokens, "reason": reason, "project": session.named_project});
    let operations = Registry::new().with::<RevealAll>();
    let mut answer = operations
        .call(RevealAll::SPEC.name, &store.ctx("cli"), input, None)
        .await?;
    Ok(serde_json::from_value(answer["values"].take()).map_err(Error::internal)?)
}

/// Reveals what the tokens of an export stand for, with one entry in the audit log.
///
/// It is an operation so that its input is masked as every other, and one of this command alone.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RevealAll {
    /// The tokens, with their brackets.
    tokens: BTreeSet<String>,
    /// Why they are needed.
    #[schemars(length(min = 1, max = 1_000), regex(pattern = r"\S"))]
    reason: String,
    /// The project whose tokens they are, by name; the surroundings' own unless given.
    project: Option<String>,
}

/// What tokens stand for.
#[derive(Debug, Serialize, JsonSchema)]
struct AllRevealed {
    /// The values that are kept, by their tokens.
    values: BTreeMap<String, String>,
}

impl Operation for RevealAll {
    const SPEC: Spec = Spec::act("pii.reveal_all", "/pii/reveal-all")
        .admin()
        .not_for_agents();
    type Output = AllRevealed;

    async fn call(self, ctx: &Ctx) -> Result<AllRevealed> {
        if self.reason.trim().is_empty() {
            return Err(Error::invalid("reason", "must not be empty"));
        }
        let project = self.project.as_deref().unwrap_or(ctx.project()).to_owned();
        let privacy = ctx.part::<athena_store::Store>().privacy();
        let values = athena_store::all_revealed(privacy, ctx.db(), &project, &self.tokens).await?;
        let subject = format!("{} tokens of an export", values.len());
        let audited = Audited {
            action: "pii.reveal",
            project: Some(&project),
            subject: Some(&subject),
            reason: Some(&self.reason),
            outcome: "revealed",
        };
        audit_alone(ctx, audited).await?;
        Ok(AllRevealed { values })
    }
}

/// Calls `with` for every string in a record, names of fields included.
fn each_text(record: &mut Value, with: &mut dyn FnMut(&mut String)) {
    match record {
        Value::String(text) => with(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each_text(item, with)),
        Value::Object(fields) => {
            let changed = std::mem::take(fields)
                .into_iter()
                .map(|(mut name, mut field)| {
                    with(&mut name);
                    each_text(&mut field, with);
                    (name, field)
                });
            fields.extend(changed);
        }
        _ => {}
    }
}

async fn each_record(
    session: &Session,
    store: &Store,
    mut with: impl FnMut(Value) -> Outcome,
) -> Outcome {
    let ctx = store.ctx("cli");
    let mut cursor: Option<String> = None;
    loop {
        let input = page_of(session, cursor);
        let mut page = session
            .registry
            .call("memory.export", &ctx, input, None)
            .await?;
        if let Value::Array(records) = page["items"].take() {
            records.into_iter().try_for_each(&mut with)?;
        }
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return Ok(());
        }
    }
}

fn page_of(session: &Session, cursor: Option<String>) -> Value {
    json!({"limit": PAGE, "cursor": cursor, "project": session.named_project})
}
