//! `db migrate`: the migrations of the store, or of a folder.

use super::table::{Cell, Table};
use super::{database, explain, require, url_argument, with_database};
use crate::commands::Session;
use crate::compose::MIGRATIONS;
use crate::config::nearest;
use crate::outcome::{Outcome, exit_status};
use crate::terminal::Style;
use athena_core::{Code, Error, Result};
use athena_db::{
    Database, MigrationFolder, MigrationSet, MigrationState, MigrationStatus, Migrator, Planned,
};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::{Value, json};
use std::fmt::Write;

/// The name of a folder's set, unless another is given.
const FOLDER_SET: &str = "app";

/// Makes the group of commands.
pub(super) fn command() -> Command {
    Command::new("migrate")
        .about("Show, apply, check and mend the migrations of a store")
        .long_about(
            "Show, apply, check and mend the migrations of a store.\n\nEvery command that opens a store applies what \
             is missing by itself; these are for looking first, and for folders of migrations of your own (--dir).",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(with_set(Command::new("status").about("List the migrations and how the store stands to them")))
        .subcommand(with_set(
            Command::new("plan").about("Show the statements that would be run, in the database's own SQL"),
        ))
        .subcommand(with_set(Command::new("up").about("Apply what is missing")).args([
            Arg::new("allow-gaps")
                .long("allow-gaps")
                .action(ArgAction::SetTrue)
                .help("Also apply migrations older than the newest applied one"),
            Arg::new("no-backup")
                .long("no-backup")
                .action(ArgAction::SetTrue)
                .help("Make no copy of an SQLite file before it is changed"),
        ]))
        .subcommand(with_set(
            Command::new("verify").about("Compare the tables with what the applied migrations make"),
        ))
        .subcommand(with_set(
            Command::new("repair").about("Make the ledger fit migrations that were edited or renumbered"),
        ))
        .subcommand(with_set(
            Command::new("baseline")
                .about("Mark migrations as applied without running them")
                .long_about(
                    "Mark migrations as applied without running them: for a store that came to its tables in another \
                     way. With `--from ia_migrations`, what that ledger in the same database lists is marked.",
                )
                .arg(
                    Arg::new("version")
                        .value_name("VERSION")
                        .value_parser(value_parser!(u32).range(1..))
                        .required_unless_present("from")
                        .conflicts_with("from")
                        .help("The last version that the store has already"),
                )
                .arg(
                    Arg::new("from")
                        .long("from")
                        .value_name("LEDGER")
                        .value_parser(PossibleValuesParser::new(["ia_migrations"]))
                        .help("Take over what this ledger lists"),
                )
                .arg(
                    Arg::new("type")
                        .long("type")
                        .value_name("TYPE")
                        .value_parser(PossibleValuesParser::new(["app", "system"]))
                        .default_value("app")
                        .requires("from")
                        .help("Which of its migrations"),
                ),
        ))
}

fn with_set(command: Command) -> Command {
    command.args([
        Arg::new("set")
            .long("set")
            .value_name("NAME")
            .help("The set of migrations [default: all of Athena's, or `app` of --dir]"),
        Arg::new("dir")
            .long("dir")
            .value_name("DIR")
            .help("Read the migrations from this folder: V001__name.sql, V001__name.mysql.sql"),
        url_argument(),
    ])
}

/// Runs the command that was asked for.
pub(super) fn run(session: &Session, matches: &ArgMatches) -> Outcome {
    let Some((action, matches)) = matches.subcommand() else {
        return Err(Error::new(Code::InvalidInput, "say what to do with the migrations").into());
    };
    let folder = matches
        .get_one::<String>("dir")
        .map(MigrationFolder::read)
        .transpose()
        .map_err(explain)?;
    let files = folder.as_ref().map(MigrationFolder::files);
    let set = matches.get_one::<String>("set");
    let sets: Vec<MigrationSet<'_>> = match &files {
        Some(files) => vec![MigrationSet {
            name: set.map_or(FOLDER_SET, String::as_str),
            files,
        }],
        None => known_sets(set)?,
    };
    let reads = matches!(action, "status" | "plan" | "verify");
    let settings = database(session, matches)?;
    if reads {
        require(&settings)?;
    }
    session.block_on(with_database(&settings, reads, async |db| match action {
        "status" => status(session, db, &sets).await,
        "plan" => plan(session, db, &sets).await,
        "up" => up(session, db, &sets, matches).await,
        "verify" => verify(session, db, &sets).await,
        "repair" => repair(session, db, &sets).await,
        _ => baseline(session, db, &sets, matches).await,
    }))
}

fn known_sets(name: Option<&String>) -> Result<Vec<MigrationSet<'static>>> {
    let Some(name) = name else {
        return Ok(MIGRATIONS.into_iter().copied().collect());
    };
    let found = MIGRATIONS.into_iter().find(|set| set.name == name);
    found.map(|set| vec![*set]).ok_or_else(|| {
        let names = MIGRATIONS.map(|set| set.name);
        let hint = nearest(name, names.into_iter()).map_or_else(
            || format!("there are {}", names.join(", ")),
            |nearest| format!("did you mean `{nearest}`?"),
        );
        let message = format!("the set of migrations `{name}` does not exist; {hint}");
        Error::new(Code::NotFound, message)
    })
}

async fn status(session: &Session, db: &Database, sets: &[MigrationSet<'_>]) -> Outcome {
    let mut items = Vec::new();
    let mut table = Table::new(["set", "version", "name", "state", "applied"]);
    for set in sets {
        for migration in db.migrations(set).status().await.map_err(explain)? {
            let (state, at) = state(&migration);
            table.rows.push(vec![
                Cell::text(set.name),
                Cell::Number(migration.version.to_string()),
                Cell::text(migration.name.clone()),
                Cell::text(state.clone()),
                Cell::text(at.clone().unwrap_or_default()),
            ]);
            items.push(json!({
                "set": set.name, "version": migration.version, "name": migration.name, "state": state, "applied_at": at,
            }));
        }
    }
    session.show(&json!({ "items": items }), |_, style| table.text(style))
}

fn state(migration: &MigrationStatus) -> (String, Option<String>) {
    match migration.state {
        MigrationState::Applied(at) => ("applied".into(), Some(at.to_string())),
        MigrationState::Changed(at) => ("edited".into(), Some(at.to_string())),
        MigrationState::Unknown(at) => ("unknown".into(), Some(at.to_string())),
        MigrationState::Pending => ("pending".into(), None),
        MigrationState::HalfApplied(done) => (format!("stopped after {done} statements"), None),
        _ => ("something newer".into(), None),
    }
}

async fn plan(session: &Session, db: &Database, sets: &[MigrationSet<'_>]) -> Outcome {
    let mut plans: Vec<(&str, Planned)> = Vec::new();
    for set in sets {
        let planned = db.migrations(set).plan().await.map_err(explain)?;
        plans.extend(planned.into_iter().map(|planned| (set.name, planned)));
    }
    let items: Vec<Value> = plans
        .iter()
        .map(|(set, planned)| {
            json!({
                "set": set, "version": planned.version, "name": planned.name, "file": planned.file,
                "statements": planned.statements, "done": planned.done,
            })
        })
        .collect();
    session.show(&json!({ "items": items }), |_, style| {
        planned(&plans, style)
    })
}

fn planned(plans: &[(&str, Planned)], style: Style) -> String {
    if plans.is_empty() {
        return "nothing to do\n".into();
    }
    let mut text = String::new();
    for (set, planned) in plans {
        let title = format!("-- {set}: {}", planned.file);
        let _ = writeln!(text, "{}", style.bold(&title));
        for (index, statement) in planned.statements.iter().enumerate() {
            let done = if index < planned.done {
                "-- done: "
            } else {
                ""
            };
            let _ = writeln!(text, "{done}{statement};");
        }
        text.push('\n');
    }
    text
}

async fn up(
    session: &Session,
    db: &Database,
    sets: &[MigrationSet<'_>],
    matches: &ArgMatches,
) -> Outcome {
    let mut items = Vec::new();
    for set in sets {
        let mut migrator: Migrator<'_> = db.migrations(set);
        if matches.get_flag("allow-gaps") {
            migrator = migrator.allow_gaps();
        }
        if matches.get_flag("no-backup") {
            migrator = migrator.without_backup();
        }
        let applied = migrator.up().await.map_err(explain)?;
        items.push(json!({
            "set": set.name, "versions": applied.versions, "current": applied.current, "backup": applied.backup,
        }));
    }
    session.show(&json!({ "items": items }), |_, _| {
        items.iter().map(applied).collect()
    })
}

fn applied(item: &Value) -> String {
    let set = item["set"].as_str().unwrap_or_default();
    let versions: Vec<String> = item["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(Value::to_string)
        .collect();
    let mut text = match versions.as_slice() {
        [] => format!("{set}: at version {}, nothing to do\n", item["current"]),
        versions => format!("{set}: applied {}\n", versions.join(", ")),
    };
    if let Some(backup) = item["backup"].as_str() {
        let _ = writeln!(text, "{set}: the store as it was is in {backup}");
    }
    text
}

async fn verify(session: &Session, db: &Database, sets: &[MigrationSet<'_>]) -> Outcome {
    let mut items = Vec::new();
    let mut table = Table::new(["set", "table", "part", "expected", "found"]);
    let or_nothing = |text: &Option<String>| text.clone().map_or(Cell::Null, Cell::text);
    for set in sets {
        for difference in db.migrations(set).verify().await.map_err(explain)? {
            table.rows.push(vec![
                Cell::text(set.name),
                Cell::text(difference.table.clone()),
                or_nothing(&difference.part),
                or_nothing(&difference.expected),
                or_nothing(&difference.found),
            ]);
            let mut item = json!(difference);
            item["set"] = set.name.into();
            items.push(item);
        }
    }
    session.show(
        &json!({ "items": items }),
        |items, style| match items["items"].as_array().is_some_and(Vec::is_empty) {
            true => "the tables are as the migrations made them\n".into(),
            false => table.text(style),
        },
    )?;
    match items.is_empty() {
        true => Ok(()),
        false => crate::commands::told(exit_status(Code::InvalidState)),
    }
}

async fn repair(session: &Session, db: &Database, sets: &[MigrationSet<'_>]) -> Outcome {
    let mut items = Vec::new();
    for set in sets {
        for repaired in db.migrations(set).repair().await.map_err(explain)? {
            let mut item = json!(repaired);
            item["set"] = set.name.into();
            items.push(item);
        }
    }
    show_lines(session, &items, "repair")
}

async fn baseline(
    session: &Session,
    db: &Database,
    sets: &[MigrationSet<'_>],
    matches: &ArgMatches,
) -> Outcome {
    let [set] = sets else {
        let problem = "is needed: say which set of migrations to mark";
        return Err(Error::invalid("--set", problem).into());
    };
    let migrator = db.migrations(set);
    let items: Vec<Value> = match matches.get_one::<u32>("version") {
        Some(version) => {
            let marked = migrator.baseline(*version).await.map_err(explain)?;
            marked
                .into_iter()
                .map(|version| json!({"set": set.name, "version": version}))
                .collect()
        }
        None => {
            let kind = matches
                .get_one::<String>("type")
                .map_or("app", String::as_str);
            let adopted = migrator
                .baseline_from_ia_migrations(kind)
                .await
                .map_err(explain)?;
            let with_set = adopted.into_iter().map(|adopted| {
                let mut item = json!(adopted);
                item["set"] = set.name.into();
                item
            });
            with_set.collect()
        }
    };
    show_lines(session, &items, "same_text")
}

/// Shows migrations of which something was written down, with one thing to know about each.
fn show_lines(session: &Session, items: &[Value], detail: &str) -> Outcome {
    session.show(&json!({ "items": items }), |_, _| {
        if items.is_empty() {
            return "nothing to do\n".into();
        }
        let line = |item: &Value| {
            let mut line = format!(
                "{} {}",
                item["set"].as_str().unwrap_or_default(),
                item["version"]
            );
            if let Some(name) = item["name"].as_str() {
                let _ = write!(line, " {name}");
            }
            match &item[detail] {
                Value::Bool(false) => line.push_str(": not the same text as was applied"),
                Value::String(text) => line.push_str(&format!(": {text}")),
                Value::Object(_) => line.push_str(&format!(": {}", item[detail])),
                _ => {}
            }
            line + "\n"
        };
        items.iter().map(line).collect()
    })
}
