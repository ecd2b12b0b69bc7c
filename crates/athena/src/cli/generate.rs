//! Makes a command of an operation: its fields become positionals and options.
//!
//! The rules, so that every command is alike:
//! - a field that the operation names positional is given by position, every other as `--field`;
//! - a list is a repeated option in the singular, `--tag a --tag b`, but for the few that are no
//!   plurals, such as `--replaces`;
//! - an object is flattened one level, `--source-file`; a map, a deeper object or a list of objects
//!   is `--field-json`, which takes JSON, `@file` or `-`;
//! - a yes/no field is `--field`, or `--no-field` when yes is the default;
//! - the field `project` is the option that every command takes;
//! - limits and defaults are stated in the help. They are checked by the schema, in one place.

use super::arguments::takes_time;
use super::{RESERVED, help};
use crate::dates::Way;
use athena_core::schema::{self, Components};
use athena_core::{Effect, Entry};
use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Arg, ArgAction, Command};
use serde_json::Value;

/// Id of the option that takes a whole input.
pub(crate) const INPUT_JSON: &str = "@input-json";
/// Id of the option that answers the question before a removal for good.
pub(crate) const YES: &str = "@yes";

/// Lists whose names are verbs: in the singular they would say something else. Both are taken.
const VERBS: &[&str] = &["replaces", "requires"];

/// One field of an input, or of an object in it, as the command line takes it.
#[derive(Debug)]
pub(crate) struct Field<'a> {
    /// The path in the input: one name, or two for a flattened object.
    pub(crate) path: Vec<&'a str>,
    /// Its schema.
    pub(crate) schema: &'a Value,
    /// How it is typed.
    pub(crate) form: Form,
    required: bool,
}

/// How a field is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// One value.
    One,
    /// An option that may be repeated.
    Many,
    /// `--field`.
    On,
    /// `--no-field`.
    Off,
    /// `--field` or `--field=false`.
    OnOrOff,
    /// JSON, `@file` or `-`.
    Json,
}

impl Field<'_> {
    /// Returns the id of the argument.
    pub(crate) fn id(&self) -> String {
        self.path.join(".")
    }

    /// Returns the name that its argument is made of.
    fn name(&self) -> String {
        self.path.join("-").replace('_', "-")
    }

    /// Returns which way a length of time leads in it.
    pub(crate) fn way(&self) -> Way {
        Way::of(self.path.last().copied().unwrap_or_default())
    }

    /// Returns its place among the positionals of an operation.
    fn place(&self, entry: &Entry) -> Option<usize> {
        let mut positional = entry.spec.cli.positional.iter();
        positional.position(|positional| self.path == [*positional])
    }
}

/// Returns the fields of an operation as the command line takes them.
pub(crate) fn fields<'a>(entry: &'a Entry, components: &'a Components) -> Vec<Field<'a>> {
    let mut fields = Vec::new();
    for (name, schema) in entry.fields() {
        if name == "project" && schema::resolve(schema, components)["type"] == "string" {
            continue;
        }
        let required = entry.requires(name);
        match flattened(schema, components) {
            Some(inner) => fields.extend(inner.into_iter().map(|(inner, schema)| Field {
                path: vec![name, inner],
                schema,
                form: form(schema, components),
                required: false,
            })),
            None => fields.push(Field {
                path: vec![name],
                schema,
                form: form(schema, components),
                required,
            }),
        }
    }
    fields
}

/// Returns the fields of an object that can be flattened: a struct without objects in it.
fn flattened<'a>(
    schema: &'a Value,
    components: &'a Components,
) -> Option<Vec<(&'a str, &'a Value)>> {
    let properties = schema::resolve(schema, components)
        .get("properties")?
        .as_object()?;
    let fields: Vec<_> = properties
        .iter()
        .map(|(name, schema)| (name.as_str(), schema))
        .collect();
    let flat = fields.iter().all(|(_, schema)| {
        schema::resolve(schema, components)
            .get("properties")
            .is_none()
    });
    (flat && !fields.is_empty()).then_some(fields)
}

fn form(schema: &Value, components: &Components) -> Form {
    let resolved = schema::resolve(schema, components);
    if schema::choices(schema, components).is_some() {
        return Form::One;
    }
    match resolved["type"].as_str() {
        Some("boolean") => match schema.get("default").or_else(|| resolved.get("default")) {
            Some(Value::Bool(true)) => Form::Off,
            Some(Value::Bool(false)) => Form::On,
            _ => Form::OnOrOff,
        },
        Some("string" | "integer" | "number") => Form::One,
        Some("array") => {
            let item = resolved.get("items").unwrap_or(&Value::Null);
            let kind = schema::resolve(item, components)["type"]
                .as_str()
                .unwrap_or_default();
            let simple =
                schema::choices(item, components).is_some() || matches!(kind, "string" | "integer");
            if simple { Form::Many } else { Form::Json }
        }
        _ => Form::Json,
    }
}

/// Makes the command of an operation without its arguments, for lists of commands.
pub(crate) fn summary(entry: &Entry) -> Command {
    let name = entry
        .spec
        .cli
        .command
        .last()
        .copied()
        .unwrap_or(entry.spec.name);
    Command::new(name).about(help::short(&entry.summary))
}

/// Makes the command of an operation. `may_be_whole` says whether the input may be given as a whole,
/// so that nothing else is required.
pub(crate) fn command(entry: &Entry, components: &Components, may_be_whole: bool) -> Command {
    let command = arguments(summary(entry), entry, components, may_be_whole)
        .long_about(help::reflow(&entry.description));
    let command = command.arg(
        Arg::new(INPUT_JSON)
            .long("input-json")
            .value_name("JSON")
            .help("Take the whole input as JSON, from @FILE or from -; other options replace its fields")
            .display_order(900),
    );
    if entry.spec.effect == Effect::Destructive {
        return command.arg(
            Arg::new(YES)
                .long("yes")
                .short('y')
                .help("Do not ask before removing for good")
                .action(ArgAction::SetTrue)
                .display_order(900),
        );
    }
    command
}

/// Adds the arguments of an operation to a command.
fn arguments(
    mut command: Command,
    entry: &Entry,
    components: &Components,
    may_be_whole: bool,
) -> Command {
    let fields = fields(entry, components);
    let names: Vec<String> = fields.iter().map(Field::name).collect();
    for field in &fields {
        let arg = argument(entry, components, field, &names);
        let is_required = field.required && entry.spec.cli.stdin != Some(field.path[0]);
        command = command.arg(match (is_required, may_be_whole) {
            (false, _) => arg,
            (true, true) => arg.required_unless_present(INPUT_JSON),
            (true, false) => arg.required(true),
        });
    }
    command
}

/// Returns the option of each field that has one, by the field's id: `--tag` for `tags`.
pub(crate) fn options(entry: &Entry, components: &Components) -> Vec<(String, String)> {
    let fields = fields(entry, components);
    let names: Vec<String> = fields.iter().map(Field::name).collect();
    let with_options = fields.iter().filter(|field| field.place(entry).is_none());
    with_options
        .map(|field| (field.id(), format!("--{}", option(field, &names).0)))
        .collect()
}

fn argument(entry: &Entry, components: &Components, field: &Field<'_>, names: &[String]) -> Arg {
    let name = field.name();
    let cli = &entry.spec.cli;
    let place = field.place(entry);
    let mut arg = Arg::new(field.id());
    arg = match place {
        Some(place) => arg.index(place + 1).value_name(name.to_uppercase()),
        None => {
            let (long, alias) = option(field, names);
            arg.long(long).aliases(alias)
        }
    };
    if let Some((_, short)) = cli.short.iter().find(|(short, _)| field.path == [*short])
        && place.is_none()
    {
        arg = arg.short(*short);
    }
    arg = match field.form {
        Form::On | Form::Off => arg.action(ArgAction::SetTrue),
        Form::OnOrOff => arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_name("BOOL")
            .value_parser(["true", "false"]),
        Form::Many => arg.action(ArgAction::Append),
        Form::One | Form::Json => arg.action(ArgAction::Set),
    };
    if place.is_none() && !matches!(field.form, Form::On | Form::Off | Form::OnOrOff) {
        arg = arg.value_name(value_name(field, components, &name));
    }
    arg = with_values(arg, field, components)
        .allow_negative_numbers(!matches!(field.form, Form::On | Form::Off));
    with_help(arg, field, components)
}

/// Returns the option of a field, and a silent alias: that of a list is named in the singular, with
/// the plural as the alias.
fn option(field: &Field<'_>, names: &[String]) -> (String, Option<String>) {
    let name = field.name();
    match field.form {
        Form::Off => (format!("no-{name}"), None),
        Form::Json => (format!("{name}-json"), None),
        Form::Many => match singular(&name) {
            Some(one) if names.contains(&one) || RESERVED.contains(&one.as_str()) => {
                (option_name(&name), None)
            }
            Some(one) if VERBS.contains(&name.as_str()) => (name, Some(one)),
            Some(one) => (one, Some(name)),
            None => (option_name(&name), None),
        },
        Form::One | Form::On | Form::OnOrOff => (option_name(&name), None),
    }
}

/// Returns the option of a field, out of the way of those that every command takes.
fn option_name(name: &str) -> String {
    if RESERVED.contains(&name) {
        format!("{name}-value")
    } else {
        name.to_owned()
    }
}

fn singular(name: &str) -> Option<String> {
    if let Some(stem) = name.strip_suffix("ies") {
        return Some(format!("{stem}y"));
    }
    for ending in ["sses", "xes", "ches", "shes"] {
        if name.ends_with(ending) {
            return name.strip_suffix("es").map(str::to_owned);
        }
    }
    name.strip_suffix('s')
        .filter(|stem| !stem.ends_with('s') && !stem.is_empty())
        .map(str::to_owned)
}

fn value_name(field: &Field<'_>, components: &Components, name: &str) -> String {
    if field.form == Form::Json {
        return "JSON".into();
    }
    let mut schema = schema::resolve(field.schema, components);
    if field.form == Form::Many
        && let Some(item) = schema.get("items")
    {
        schema = schema::resolve(item, components);
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("integer"), _) => "N".into(),
        (Some("number"), _) => "NUMBER".into(),
        (_, Some("date-time" | "date-or-time")) => "TIME".into(),
        _ => singular(name)
            .filter(|_| field.form == Form::Many && !VERBS.contains(&name))
            .unwrap_or_else(|| name.to_owned())
            .rsplit('-')
            .next()
            .unwrap_or(name)
            .to_uppercase(),
    }
}

/// Offers the values of an enumeration, each with its documentation.
fn with_values(arg: Arg, field: &Field<'_>, components: &Components) -> Arg {
    let schema = match field.form {
        Form::One => field.schema,
        Form::Many => schema::resolve(field.schema, components)
            .get("items")
            .unwrap_or(&Value::Null),
        _ => return arg,
    };
    let Some(choices) = schema::choices(schema, components) else {
        return arg;
    };
    let docs = documented(schema, components);
    let values: Vec<PossibleValue> = choices
        .iter()
        .filter_map(Value::as_str)
        .map(|choice| {
            let value = PossibleValue::new(choice.to_owned());
            match docs.iter().find(|(known, _)| *known == choice) {
                Some((_, doc)) => value.help(help::short(&help::first_sentence(doc))),
                None => value,
            }
        })
        .collect();
    if values.len() == choices.len() {
        arg.value_parser(PossibleValuesParser::new(values))
    } else {
        arg
    }
}

/// Returns the documented values of an enumeration.
fn documented<'a>(schema: &'a Value, components: &'a Components) -> Vec<(&'a str, &'a str)> {
    let branches = schema::resolve(schema, components)
        .get("oneOf")
        .and_then(Value::as_array);
    branches
        .into_iter()
        .flatten()
        .filter_map(|branch| {
            Some((
                branch.get("const")?.as_str()?,
                branch.get("description")?.as_str()?,
            ))
        })
        .collect()
}

fn with_help(arg: Arg, field: &Field<'_>, components: &Components) -> Arg {
    let resolved = schema::resolve(field.schema, components);
    let text = field
        .schema
        .get("description")
        .or_else(|| resolved.get("description"))
        .and_then(Value::as_str)
        .unwrap_or_default();
    let mut limits = limits(field, resolved);
    if takes_time(field.schema, components).is_some() {
        limits.push_str(&format!(" [{}]", field.way().examples()));
    }
    let first = format!("{}{limits}", help::short(&help::first_sentence(text)));
    let whole = help::reflow(text);
    if help::first_sentence(text) == whole.split_whitespace().collect::<Vec<_>>().join(" ") {
        return arg.help(first);
    }
    arg.help(first).long_help(format!("{whole}{limits}"))
}

/// States range and default as they are typed.
fn limits(field: &Field<'_>, resolved: &Value) -> String {
    let mut text = String::new();
    let bound = |keyword: &str| {
        field
            .schema
            .get(keyword)
            .or_else(|| resolved.get(keyword))
            .filter(|bound| !implied(bound))
            .cloned()
    };
    if matches!(field.form, Form::One) {
        match (bound("minimum"), bound("maximum")) {
            (Some(low), Some(high)) => {
                text.push_str(&format!(" [{} to {}]", number(&low), number(&high)))
            }
            (Some(low), None) if low.as_f64() != Some(0.0) => {
                text.push_str(&format!(" [at least {}]", number(&low)))
            }
            (None, Some(high)) => text.push_str(&format!(" [at most {}]", number(&high))),
            _ => {}
        }
    }
    let default = field
        .schema
        .get("default")
        .or_else(|| resolved.get("default"));
    match default {
        Some(Value::String(value)) if !value.is_empty() => {
            text.push_str(&format!(" [default: {value}]"))
        }
        Some(value @ Value::Number(_)) => text.push_str(&format!(" [default: {}]", number(value))),
        _ => {}
    }
    text
}

/// Whether a bound only says which integer type is behind it.
fn implied(bound: &Value) -> bool {
    let types = [
        i64::MIN,
        i64::MAX,
        i64::from(i32::MIN),
        i64::from(i32::MAX),
        i64::from(u32::MAX),
        i64::from(u16::MAX),
    ];
    bound.as_i64().is_some_and(|bound| types.contains(&bound))
}

/// Shows a number as a person writes it: 1 rather than 1.0.
fn number(value: &Value) -> String {
    match value.as_i64() {
        Some(whole) => whole.to_string(),
        None => value
            .as_f64()
            .map_or_else(|| value.to_string(), |real| real.to_string()),
    }
}
