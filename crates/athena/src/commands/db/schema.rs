//! `db schema`: the tables of a database, in the words of migrations.

use super::table::{Cell, Table as Shown};
use super::{database, explain, require, url_argument, with_database};
use crate::commands::Session;
use crate::outcome::Outcome;
use crate::terminal::Style;
use athena_core::{Code, Error, Result};
use athena_db::schema::{Column, DefaultValue, Generated, Index, IndexKey, OnDelete, Table};
use clap::{Arg, ArgMatches, Command};
use serde_json::json;
use std::fmt::Write;

/// Makes the command.
pub(super) fn command() -> Command {
    Command::new("schema")
        .about("Describe the tables: columns, keys, indexes, constraints")
        .long_about(
            "Describe the tables: columns, keys, indexes, constraints.\n\nTypes are those of migrations, the same on \
             every backend; where a column has none, the backend's own is shown.",
        )
        .arg(Arg::new("table").value_name("TABLE").help("Only this table"))
        .arg(url_argument())
}

/// Describes the tables.
pub(super) fn run(session: &Session, matches: &ArgMatches) -> Outcome {
    let settings = database(session, matches)?;
    let wanted = matches.get_one::<String>("table");
    require(&settings)?;
    let tables = session.block_on(with_database(&settings, true, async |db| {
        let tables = db.schema().tables().await.map_err(explain)?;
        Ok(chosen(tables, wanted)?)
    }))?;
    session.show(&json!({ "items": tables }), |_, style| {
        if tables.is_empty() {
            return "no tables\n".to_owned();
        }
        let described: Vec<String> = tables.iter().map(|table| described(table, style)).collect();
        described.join("\n")
    })
}

fn chosen(tables: Vec<Table>, wanted: Option<&String>) -> Result<Vec<Table>> {
    let Some(wanted) = wanted else {
        return Ok(tables);
    };
    let names: Vec<String> = tables.iter().map(|table| table.name.clone()).collect();
    let chosen: Vec<Table> = tables
        .into_iter()
        .filter(|table| table.name == *wanted)
        .collect();
    if chosen.is_empty() {
        let names = names.iter().map(String::as_str);
        let hint = crate::config::nearest(wanted, names)
            .map(|nearest| format!("; did you mean `{nearest}`?"))
            .unwrap_or_default();
        let message = format!("table `{wanted}` does not exist{hint}");
        return Err(Error::new(Code::NotFound, message));
    }
    Ok(chosen)
}

fn described(table: &Table, style: Style) -> String {
    let mut text = format!("{}\n", style.bold(&table.name));
    let mut columns = Shown::new(["column", "type", "null", "key", "default"]);
    columns.rows = table.columns.iter().map(column).collect();
    for line in columns.text(style).lines() {
        let _ = writeln!(text, "  {line}");
    }
    let mut note = |what: &str, said: String| {
        let _ = writeln!(text, "  {} {said}", style.dim(what));
    };
    for key in &table.unique {
        note("unique", key.columns.join(", "));
    }
    for key in &table.foreign_keys {
        let references = key.references.join(", ");
        let from = key.columns.join(", ");
        let action = on_delete(key.on_delete);
        note(
            "refers",
            format!("{from} to {} ({references}){action}", key.table),
        );
    }
    for index in &table.indexes {
        note("index", format!("{}: {}", index.name, indexed(index)));
    }
    for check in &table.checks {
        note("check", check.expression.clone());
    }
    text
}

fn column(column: &Column) -> Vec<Cell> {
    let kind = match column.kind {
        Some(kind) => kind.to_string(),
        None => column.raw_type.clone(),
    };
    let key = column.primary_key.map(|place| place.to_string());
    let value = match (&column.generated, &column.default) {
        (Some(Generated::Identity), _) => "numbered".to_owned(),
        (Some(Generated::Expression(expression)), _) => format!("always {expression}"),
        (None, Some(default)) => default_value(default).to_owned(),
        (None, None) => String::new(),
    };
    let texts = [
        column.name.clone(),
        kind,
        if column.nullable { "yes" } else { "no" }.to_owned(),
        key.unwrap_or_default(),
        value,
    ];
    texts.into_iter().map(Cell::Text).collect()
}

fn default_value(default: &DefaultValue) -> &str {
    match default {
        DefaultValue::Literal(text) | DefaultValue::Expression(text) => text,
        DefaultValue::CurrentTimestamp => "now",
        DefaultValue::CurrentDate => "today",
    }
}

fn on_delete(action: OnDelete) -> &'static str {
    match action {
        OnDelete::Refuse => "",
        OnDelete::Cascade => ", goes with it",
        OnDelete::SetNull => ", becomes NULL with it",
        OnDelete::SetDefault => ", becomes its default with it",
    }
}

fn indexed(index: &Index) -> String {
    let keys: Vec<String> = index
        .keys
        .iter()
        .map(|key| match key {
            IndexKey::Column { name, descending } => (name, *descending),
            IndexKey::Expression { text, descending } => (text, *descending),
        })
        .map(|(key, descending)| format!("{key}{}", if descending { " desc" } else { "" }))
        .collect();
    let mut text = keys.join(", ");
    if let Some(condition) = &index.condition {
        let _ = write!(text, " where {condition}");
    }
    if index.unique {
        text.push_str(" (unique)");
    }
    text
}
