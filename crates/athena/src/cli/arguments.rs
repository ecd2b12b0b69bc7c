//! Turns what was typed into the input of an operation.
//!
//! Values are read as their schema asks; whether they are allowed is checked by the schema itself,
//! once, for every face.

use super::generate::{Field, Form, INPUT_JSON, fields, options};
use super::global;
use crate::dates;
use crate::outcome::at_path;
use athena_core::schema::{self, Components};
use athena_core::{Code, Entry, Error, Result};
use clap::ArgMatches;
use jiff::Zoned;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::io::{IsTerminal, Read};
use std::path::Path;

/// Most bytes that are read from standard input or a file for one field.
const MOST_BYTES: u64 = 64 << 20;

/// Where `-` and piped content are read from.
pub(crate) trait Stdin {
    /// Whether somebody would have to type.
    fn is_terminal(&self) -> bool;

    /// Reads everything as text.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidInput`] for bytes that are not UTF-8, [`Code::ContentTooLarge`] for too many.
    fn read(&mut self) -> Result<String>;
}

/// The standard input of this process.
#[derive(Debug)]
pub(crate) struct ProcessStdin;

impl Stdin for ProcessStdin {
    fn is_terminal(&self) -> bool {
        std::io::stdin().is_terminal()
    }

    fn read(&mut self) -> Result<String> {
        read_text(std::io::stdin().lock(), "standard input")
    }
}

fn read_text(reader: impl Read, name: &str) -> Result<String> {
    let mut bytes = Vec::new();
    reader
        .take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| at_path("read", Path::new(name), error))?;
    if bytes.len() as u64 > MOST_BYTES {
        let limit = MOST_BYTES >> 20;
        return Err(Error::new(
            Code::ContentTooLarge,
            format!("{name} has more than {limit} MiB; use `athena import`"),
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        Error::new(
            Code::InvalidInput,
            format!("{name} is not UTF-8 (at byte {place})"),
        )
        .with_source(error)
    })
}

/// Reads the input of an operation from the command line.
///
/// # Errors
///
/// [`Code::InvalidInput`] for JSON and times that are none; files and standard input fail as they do.
pub(crate) fn input(
    entry: &Entry,
    components: &Components,
    matches: &ArgMatches,
    stdin: &mut dyn Stdin,
) -> Result<Value> {
    let mut input = match matches.try_get_one::<String>(INPUT_JSON).ok().flatten() {
        Some(text) => whole_input(text, stdin)?,
        None => Map::new(),
    };
    for field in fields(entry, components) {
        if let Some(value) = value(&field, components, matches, stdin)? {
            set(&mut input, &field.path, value);
        }
    }
    if entry.field("project").is_some()
        && let Some(project) = matches.get_one::<String>(global::PROJECT)
    {
        input.insert("project".into(), project.clone().into());
    }
    if let Some(field) = entry.spec.cli.stdin {
        fill_from_stdin(entry, field, &mut input, stdin)?;
    }
    Ok(Value::Object(input))
}

/// Reads an object given as JSON, as `@file` or on standard input.
///
/// # Errors
///
/// [`Code::InvalidInput`] for anything but an object.
pub(crate) fn whole_input(text: &str, stdin: &mut dyn Stdin) -> Result<Map<String, Value>> {
    match json("--input-json", text, stdin)? {
        Value::Object(input) => Ok(input),
        _ => Err(Error::new(
            Code::InvalidInput,
            "the input must be a JSON object",
        )),
    }
}

fn value(
    field: &Field<'_>,
    components: &Components,
    matches: &ArgMatches,
    stdin: &mut dyn Stdin,
) -> Result<Option<Value>> {
    let id = field.id();
    if !matches!(matches.try_contains_id(&id), Ok(true)) {
        return Ok(None);
    }
    let one = || matches.get_one::<String>(&id);
    Ok(match field.form {
        Form::On => matches.get_flag(&id).then_some(Value::Bool(true)),
        Form::Off => matches.get_flag(&id).then_some(Value::Bool(false)),
        Form::OnOrOff => one().map(|text| Value::Bool(text == "true")),
        Form::One => one()
            .map(|text| scalar(field, field.schema, components, text))
            .transpose()?,
        Form::Many => {
            let item = schema::resolve(field.schema, components)
                .get("items")
                .unwrap_or(&Value::Null);
            matches
                .get_many::<String>(&id)
                .map(|all| {
                    all.map(|text| scalar(field, item, components, text))
                        .collect()
                })
                .transpose()?
        }
        Form::Json => match one() {
            Some(text) => Some(json(&id, text, stdin)?),
            None => None,
        },
    })
}

/// Reads one value as its schema asks: times in any form that people type.
///
/// # Errors
///
/// [`Code::InvalidInput`] for what should be a time and is none.
fn scalar(field: &Field<'_>, schema: &Value, components: &Components, text: &str) -> Result<Value> {
    let Some(is_date_enough) = takes_time(schema, components) else {
        return Ok(schema::from_text(schema, components, text));
    };
    let way = field.way();
    let typed = dates::typed(text, way, &Zoned::now()).ok_or_else(|| {
        let (given, examples) = (schema::shown_name(text), way.examples());
        let problem = format!("is `{given}`, which is no time; write one as {examples}");
        Error::invalid(&field.id(), problem)
    })?;
    let date = typed.date.filter(|_| is_date_enough);
    Ok(date.unwrap_or(typed.time).into())
}

/// Whether a schema asks for a time, and if it does, whether a date is taken for what it is: a time
/// that is not known better.
pub(crate) fn takes_time(schema: &Value, components: &Components) -> Option<bool> {
    match schema::resolve(schema, components)["format"].as_str() {
        Some("date-time") => Some(false),
        Some("date-or-time") => Some(true),
        _ => None,
    }
}

/// Names the fields in an error by their options: `--tag` for `tags[0]`. Those that are given by
/// position keep their names.
pub(crate) fn as_typed(error: Error, entry: &Entry, components: &Components) -> Error {
    let Some(path) = error.field().map(str::to_owned) else {
        return error;
    };
    let is_in = |id: &str| {
        let rest = path.strip_prefix(id);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.']))
    };
    let names = options(entry, components);
    let Some((_, option)) = names.iter().rfind(|(id, _)| is_in(id)) else {
        return error;
    };
    let mut message = error
        .message()
        .replacen(&format!("`{path}`"), &format!("`{option}`"), 1);
    for (id, option) in &names {
        message = message.replace(
            &format!("given with `{id}`"),
            &format!("given with `{option}`"),
        );
    }
    Error::new(error.code(), message)
        .with_field(path)
        .with_source(error)
}

/// Reads JSON that was typed, or from `@file`, or from standard input.
///
/// # Errors
///
/// [`Code::InvalidInput`] for what is no JSON; files and standard input fail as they do.
pub(crate) fn json(field: &str, text: &str, stdin: &mut dyn Stdin) -> Result<Value> {
    let text = text_of(text, stdin)?;
    serde_json::from_str(&text)
        .map_err(|error| Error::invalid(field, format_args!("is not JSON: {error}")))
}

/// Returns the text that was typed, or that of `@file`, or of standard input for `-`.
///
/// # Errors
///
/// Files and standard input fail as they do.
pub(crate) fn text_of<'a>(text: &'a str, stdin: &mut dyn Stdin) -> Result<Cow<'a, str>> {
    if text == "-" {
        return stdin.read().map(Cow::Owned);
    }
    let Some(path) = text.strip_prefix('@') else {
        return Ok(Cow::Borrowed(text));
    };
    let file =
        std::fs::File::open(path).map_err(|error| at_path("read", Path::new(path), error))?;
    read_text(file, path).map(Cow::Owned)
}

fn set(input: &mut Map<String, Value>, path: &[&str], value: Value) {
    match path {
        [name] => {
            input.insert((*name).to_owned(), value);
        }
        [name, rest @ ..] => {
            let inner = input
                .entry((*name).to_owned())
                .or_insert_with(|| Value::Object(Map::new()));
            if !inner.is_object() {
                *inner = Value::Object(Map::new());
            }
            if let Value::Object(inner) = inner {
                set(inner, rest, value);
            }
        }
        [] => {}
    }
}

/// Reads a field from standard input when it is `-`, or when it is needed, missing and piped.
///
/// An optional field is read only on request: a program that starts Athena may leave its standard
/// input open for ever.
fn fill_from_stdin(
    entry: &Entry,
    field: &str,
    input: &mut Map<String, Value>,
    stdin: &mut dyn Stdin,
) -> Result<()> {
    let asked = match input.get(field) {
        Some(Value::String(text)) => text == "-",
        Some(_) => false,
        None => entry.requires(field) && !stdin.is_terminal(),
    };
    if asked {
        let text = stdin.read()?;
        let text = text.strip_suffix('\n').map_or(text.as_str(), |text| {
            text.strip_suffix('\r').unwrap_or(text)
        });
        input.insert(field.to_owned(), text.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_utf8_is_refused_with_its_place() {
        let error = read_text(&b"ab\xffc"[..], "standard input").unwrap_err();
        assert_eq!(error.to_string(), "standard input is not UTF-8 (at byte 2)");
    }
}
