//! Answers that are one record: its fields one to a line, and what is nested in it as tables.

use super::record::{Field, Look, Record, choose, is_noise, is_record, look, rank};
use super::table::{self, COLUMN_WIDTH};
use super::value::{fits_a_cell, says_something, scalar};
use crate::terminal::{Style, columns, one_line, printable, wrap};
use serde_json::{Map, Value};
use std::fmt::Write;

/// The order of what is nested, where the alphabet has none: what was before comes first.
const NESTED: &[&str] = &["cause", "before", "event", "after"];
/// An answer to a change that has at most so many fields is shown whole.
const FEW_FIELDS: usize = 5;
/// What a text keeps in a line.
const TEXT_LEAST: usize = 20;

/// Shows fields one to a line, and below them what is nested.
pub(super) fn show(text: &mut String, fields: &Map<String, Value>, indent: usize, style: Style) {
    let record = Record::of(fields);
    let mut shown: Vec<(&String, &Value)> = fields
        .iter()
        .filter(|(_, value)| says_something(value))
        .collect();
    let nested = |name: &str| {
        let place = NESTED.iter().position(|known| *known == name);
        place.unwrap_or(NESTED.len())
    };
    shown.sort_by_key(|(name, value)| (is_nested(value), rank(name), nested(name)));
    // A record that stands alone is what was asked for; beside a list it is one of several.
    let has_list = shown.iter().any(|(_, value)| records(value).is_some());
    let margin = " ".repeat(indent);
    let is_below = |value: &Value| match value {
        Value::Object(inner) => !(has_list && is_record(inner)),
        Value::Array(items) => !fits_a_cell(value) || items.iter().any(is_long),
        _ => false,
    };
    let beside = shown.iter().filter(|(_, value)| !is_below(value));
    let widest = beside.map(|(name, _)| name.len()).max().unwrap_or(0);
    let start = indent + widest + 2;
    let room = style.width.saturating_sub(start).max(TEXT_LEAST);
    for (name, value) in shown {
        let label = style.dim(&format!("{}:", name.replace('_', " ")));
        if is_below(value) {
            let _ = writeln!(text, "{margin}{label}");
            show_value(text, value, indent + 2, style);
            continue;
        }
        let gap = " ".repeat(widest - name.len() + 1);
        let lines = match value {
            Value::Object(inner) => vec![line(&Record::of(inner), "", room)],
            _ => wrap(&record.shown(name), room),
        };
        let joined = lines.join(&format!("\n{}", " ".repeat(start)));
        let _ = writeln!(text, "{margin}{label}{gap}{joined}");
    }
}

fn is_nested(value: &Value) -> bool {
    value.is_object() || records(value).is_some()
}

fn is_long(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() > COLUMN_WIDTH)
}

/// Returns the records of a list of records.
fn records(value: &Value) -> Option<Vec<&Map<String, Value>>> {
    let items = value.as_array().filter(|items| !items.is_empty())?;
    items.iter().map(Value::as_object).collect()
}

/// Shows any value below a heading.
pub(super) fn show_value(text: &mut String, value: &Value, indent: usize, style: Style) {
    let margin = " ".repeat(indent);
    let room = style.width.saturating_sub(indent).max(TEXT_LEAST);
    if let Some(records) = records(value) {
        let lines = match messages(&records) {
            Some(messages) => transcript(&messages, room, style),
            None => table::lines(&records, room, style),
        };
        for line in &lines {
            let _ = writeln!(text, "{margin}{line}");
        }
        if !lines.is_empty() {
            return;
        }
    }
    match value {
        Value::Object(fields) => show(text, fields, indent, style),
        Value::Array(items) => items
            .iter()
            .for_each(|item| show_value(text, item, indent, style)),
        other => {
            for line in wrap(&scalar(other), room) {
                let _ = writeln!(text, "{margin}{line}");
            }
        }
    }
}

/// Returns messages in the order in which they were said, if records are messages or turns of them.
fn messages<'a>(records: &[&'a Map<String, Value>]) -> Option<Vec<&'a Map<String, Value>>> {
    let is_message = |object: &Map<String, Value>| {
        object.get("role").is_some_and(Value::is_string)
            && object.get("content").is_some_and(Value::is_string)
    };
    let mut all = Vec::new();
    for record in records {
        if is_message(record) {
            all.push(*record);
            continue;
        }
        for value in record.values() {
            all.push(value.as_object().filter(|object| is_message(object))?);
        }
    }
    all.sort_by_key(|message| message.get("seq").and_then(Value::as_u64));
    Some(all)
}

/// Returns what was said, each message after its role.
fn transcript(messages: &[&Map<String, Value>], room: usize, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    for message in messages {
        let said = |name: &str| {
            message
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let role = printable(said("role"));
        let content = wrap(
            &format!("{role}: {}", said("content")),
            room.saturating_sub(2).max(TEXT_LEAST),
        );
        for (index, line) in content.into_iter().enumerate() {
            match line.strip_prefix(&*role).filter(|_| index == 0) {
                Some(rest) => lines.push(format!("{}{rest}", style.cyan(&role))),
                None => lines.push(format!("  {line}").trim_end().to_owned()),
            }
        }
    }
    lines
}

/// Shows what a change made of something: what tells most in a line, then what belongs to it.
///
/// `kind` is the word for what was changed, such as `task`. A short answer is shown whole.
pub(super) fn show_change(
    text: &mut String,
    fields: &Map<String, Value>,
    kind: &str,
    style: Style,
) {
    let record = Record::of(fields);
    let told = record.fields().iter().filter(|field| !is_noise(field.name));
    let (short, nested): (Vec<&Field<'_>>, Vec<&Field<'_>>) =
        told.partition(|field| fits_a_cell(field.value));
    let is_short = short.len() <= FEW_FIELDS;
    if is_short {
        show_whole(text, &record, &short, kind, style);
    } else {
        let parts = parts(&record, &choose(std::slice::from_ref(&record)), kind);
        let alone = style.width.saturating_sub(2);
        for line in flow(&cut(parts, style.width, alone), style.width) {
            let _ = writeln!(text, "{line}");
        }
    }
    if let Some(masked) = fields.get("masked").and_then(Value::as_object) {
        let counts = masked.iter().map(|(kind, count)| format!("{kind} {count}"));
        let counts = counts.collect::<Vec<_>>().join(", ");
        let line = style.yellow(&format!("masked: {}", printable(&counts)));
        let _ = writeln!(text, "{line}");
    }
    // Of a long record only records are told: they are what the change was about. What stands beside
    // the record is the answer's own.
    let is_beside = record.fields().iter().any(|field| field.is_inner);
    let belongs = |field: &&&Field<'_>| {
        !field.is_inner && (is_short || is_beside || is_list_or_record(field))
    };
    for field in nested.iter().filter(belongs) {
        show_nested(text, field, style);
    }
}

fn is_list_or_record(field: &Field<'_>) -> bool {
    let is_record = field.value.as_object().is_some_and(is_record);
    is_record || records(field.value).is_some()
}

/// Shows all that a short answer says, on one line if it fits.
fn show_whole(
    text: &mut String,
    record: &Record<'_>,
    short: &[&Field<'_>],
    kind: &str,
    style: Style,
) {
    let mut names: Vec<&str> = short.iter().map(|field| field.name).collect();
    names.sort_by_key(|name| (rank(name), *name));
    let parts = parts(record, &names, kind).into_iter();
    let line = parts.map(|(part, _)| part).collect::<Vec<_>>().join("  ");
    if columns(&line) > style.width || line.contains('\n') {
        let owned = short
            .iter()
            .map(|field| (field.name.to_owned(), field.value.clone()));
        show(text, &owned.collect(), 0, style);
    } else if !line.is_empty() {
        let _ = writeln!(text, "{line}");
    }
}

/// Shows what belongs to a changed record: a record in a line, all else below its name.
fn show_nested(text: &mut String, field: &Field<'_>, style: Style) {
    let label = field.name.replace('_', " ");
    let heading = style.dim(&format!("{label}:"));
    match field.value {
        Value::Object(inner) if is_record(inner) => {
            let _ = writeln!(text, "{}", line(&Record::of(inner), &label, style.width));
        }
        Value::Object(inner) => {
            let room = style.width.saturating_sub(label.len() + 2);
            let _ = writeln!(text, "{heading} {}", line(&Record::of(inner), "", room));
        }
        value => {
            let _ = writeln!(text, "{heading}");
            show_value(text, value, 2, style);
        }
    }
}

/// Returns what tells most about a record in a line, its texts cut to the room.
fn line(record: &Record<'_>, kind: &str, room: usize) -> String {
    let parts = parts(record, &choose(std::slice::from_ref(record)), kind);
    cut(parts, room, TEXT_LEAST).join("  ")
}

/// Cuts the texts among the parts of a line to what the others leave; to `otherwise` if that is too
/// little to be read.
fn cut(parts: Vec<(String, bool)>, room: usize, otherwise: usize) -> Vec<String> {
    let texts = parts.iter().filter(|(_, is_text)| *is_text).count();
    let short = parts.iter().filter(|(_, is_text)| !is_text);
    let others: usize = short.map(|(part, _)| columns(part)).sum();
    let left = room.saturating_sub(others + 2 * parts.len().saturating_sub(1));
    let share = match left / texts.max(1) {
        share if share < TEXT_LEAST => otherwise,
        share => share,
    };
    let cut =
        |(part, is_text): (String, bool)| one_line(&part, if is_text { share } else { usize::MAX });
    parts.into_iter().map(cut).collect()
}

/// Sets parts side by side, in as few lines as they need.
fn flow(parts: &[String], room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(line) if columns(line) + 2 + columns(part) <= room => {
                line.push_str("  ");
                line.push_str(part);
            }
            Some(_) => lines.push(format!("  {part}")),
            None => lines.push(part.clone()),
        }
    }
    lines
}

/// Returns the parts of a line, each with whether it is a text. The id comes first, after the kind.
fn parts(record: &Record<'_>, names: &[&str], kind: &str) -> Vec<(String, bool)> {
    let (ids, others): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| **name == "id");
    let id = |name: &str| match kind {
        "" => record.part(name),
        kind => format!("{kind} {}", record.shown(name)),
    };
    let ids = ids.into_iter().map(|name| (id(name), false));
    let part = |name: &str| (record.part(name), look(name) == Look::Text);
    ids.chain(others.into_iter().map(part)).collect()
}
