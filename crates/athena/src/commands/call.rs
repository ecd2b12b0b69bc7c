//! Operations as commands: the ones with words of their own, and `call NAME` for all.

use super::Session;
use crate::cli::arguments::{self, ProcessStdin};
use crate::cli::generate::{INPUT_JSON, YES};
use crate::cli::{global, render};
use crate::config::nearest;
use crate::outcome::{Outcome, Stop};
use crate::owner::{Reply, ask};
use crate::project;
use athena_core::{Code, Effect, Entry, Error, schema};
use clap::{Arg, ArgMatches, Command};
use serde_json::{Map, Value, json};
use std::io::{self, BufRead, IsTerminal, Write};
use uuid::Uuid;

const NAME: &str = "operation";
const INPUT: &str = "input";

/// Makes the command that calls any operation.
pub(crate) fn command() -> Command {
    Command::new("call")
        .about("Call any operation by its name, with its input as JSON")
        .long_about(
            "Call any operation by its name, with its input as JSON.\n\nThe names are those of the REST API's \
             operation ids, such as `memory.recall`. Without a name, all operations are listed.",
        )
        .arg(Arg::new(NAME).value_name("OPERATION").help("The operation's name, such as memory.recall"))
        .arg(Arg::new(INPUT).value_name("INPUT").help("Its input as a JSON object, from @FILE or from -"))
        .arg(Arg::new(INPUT_JSON).long("input-json").value_name("JSON").help("The same as an option").conflicts_with(INPUT))
}

/// Runs `call`.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Outcome {
    let Some(name) = matches.get_one::<String>(NAME) else {
        return list(session);
    };
    let entry = session
        .registry
        .get(name)
        .ok_or_else(|| unknown(session, name))?;
    let text = matches
        .get_one::<String>(INPUT)
        .or_else(|| matches.get_one::<String>(INPUT_JSON));
    let mut input = match text {
        Some(text) => arguments::whole_input(text, &mut ProcessStdin)?,
        None => Map::new(),
    };
    if let Some(project) = &session.named_project
        && entry.field("project").is_some()
    {
        input
            .entry("project")
            .or_insert_with(|| project.clone().into());
    }
    perform(session, entry, Value::Object(input))
}

/// Runs the command of an operation. People read of options where programs read of fields.
pub(crate) fn run_entry(session: &Session, entry: &Entry, matches: &ArgMatches) -> Outcome {
    run_typed(session, entry, matches).map_err(|stop| match stop {
        Stop::Failed(error) if !session.as_json => {
            arguments::as_typed(error, entry, session.registry.components()).into()
        }
        stop => stop,
    })
}

fn run_typed(session: &Session, entry: &Entry, matches: &ArgMatches) -> Outcome {
    let components = session.registry.components();
    let input = arguments::input(entry, components, matches, &mut ProcessStdin)?;
    if entry.spec.effect == Effect::Destructive && !matches.get_flag(YES) {
        confirm(entry)?;
    }
    perform(session, entry, input)
}

fn perform(session: &Session, entry: &Entry, mut input: Value) -> Outcome {
    // A mistake in the input must not make a store, so it is looked for first.
    schema::accept(&entry.input, session.registry.components(), &mut input)?;
    let changes = entry.spec.effect != Effect::Read;
    // Made again here, a change that the owner may have made answers what it did there.
    let key = changes.then(|| Uuid::now_v7().to_string());
    let directory = std::env::current_dir().unwrap_or_default();
    let project = project::choose(&session.settings, &directory).name;
    let asked = ask(
        &session.settings,
        &project,
        "cli",
        entry.spec.name,
        &input,
        key.as_deref(),
    );
    let shown = |answer: &Value, style| match entry.spec.effect {
        Effect::Write => render::change(entry.spec.name, answer, style),
        Effect::Read | Effect::Destructive => render::answer(answer, style),
    };
    let key = match asked {
        Reply::Done(answer) => return session.show(&answer?, shown),
        Reply::Nobody => None,
        Reply::Lost => key,
    };
    session.with_store(|store| async move {
        let ctx = store.ctx("cli");
        let answer = session.registry.invoke(entry, &ctx, input, key).await?;
        // Shown before the store is closed, which may have to wait for the disk.
        session.show(&answer, shown)
    })
}

/// Asks a person before something is removed for good; programs are taken at their word.
fn confirm(entry: &Entry) -> Outcome {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Ok(());
    }
    let mut err = io::stderr();
    write!(
        err,
        "{} This cannot be undone. Go on? [y/N] ",
        entry.summary
    )?;
    err.flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    if matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Error::new(Code::InvalidInput, "not confirmed; nothing was removed").into())
}

fn list(session: &Session) -> Outcome {
    let items: Vec<Value> = session
        .registry
        .entries()
        .iter()
        .map(|entry| {
            let command = entry.spec.cli.command.join(" ");
            json!({"name": entry.spec.name, "command": command, "description": entry.summary})
        })
        .collect();
    session.show(&json!({ "items": items }), render::answer)
}

fn unknown(session: &Session, name: &str) -> Error {
    let names = session
        .registry
        .entries()
        .iter()
        .map(|entry| entry.spec.name);
    let hint = nearest(name, names).map_or_else(
        || "`athena call` lists the operations".to_owned(),
        |nearest| format!("did you mean `{nearest}`?"),
    );
    Error::new(
        Code::NotFound,
        format!("operation `{name}` does not exist; {hint}"),
    )
}

/// Returns the project that was named on the command line.
pub(crate) fn named_project(matches: &ArgMatches) -> Option<String> {
    super::innermost(matches)
        .try_get_one::<String>(global::PROJECT)
        .ok()
        .flatten()
        .cloned()
}
