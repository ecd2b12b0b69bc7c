//! Parameters of a statement as they are typed.
//!
//! `name=value` guesses: what reads as a JSON number, `true`, `false` or `null` is that, everything
//! else is text. `name:type=value` says it, and `name:=json` takes a JSON value, lists included.

use crate::cli::arguments::{self, Stdin};
use athena_core::{Code, Error, Result};
use athena_db::{Params, Value};
use clap::{Arg, ArgAction, ArgMatches};
use serde_json::Value as Json;

const PARAM: &str = "param";
const PARAMS: &str = "params";

/// The types that can be said.
const TYPES: &str = "text, int, real, decimal, bool, json, uuid, time, date or bytes";

/// Makes the options.
pub(super) fn arguments() -> [Arg; 2] {
    [
        Arg::new(PARAM)
            .long("param")
            .short('p')
            .value_name("NAME=VALUE")
            .action(ArgAction::Append)
            .help("A parameter: name=value, name:=JSON or name:type=value; may be repeated")
            .long_help(format!(
                "A parameter of the statement; may be repeated.\n\n`name=value` guesses: a number, true, false or \
                 null as in JSON, else text. `name:=JSON` takes any JSON value, such as a list for `IN :name`. \
                 `name:type=value` says the type: {TYPES} (in hexadecimal)."
            )),
        Arg::new(PARAMS)
            .long("params")
            .value_name("JSON")
            .help("Parameters as a JSON object, from @FILE or from -"),
    ]
}

/// Reads all parameters; those of `--param` come last.
pub(super) fn read(matches: &ArgMatches, stdin: &mut dyn Stdin) -> Result<Params> {
    let mut params = Params::new();
    if let Some(text) = matches.get_one::<String>(PARAMS) {
        let Json::Object(members) = arguments::json("--params", text, stdin)? else {
            return Err(Error::invalid("--params", "must be a JSON object"));
        };
        for (name, value) in members {
            let value = from_json(value).ok_or_else(|| nested(&name))?;
            params.push(name, value);
        }
    }
    for text in matches.get_many::<String>(PARAM).into_iter().flatten() {
        let (name, value) = parse(text)?;
        params.push(name, value);
    }
    Ok(params)
}

fn parse(text: &str) -> Result<(String, Value)> {
    let (head, value) = text.split_once('=').ok_or_else(|| {
        let problem = format!("`{text}` is not of the form name=value");
        Error::new(Code::InvalidInput, problem).with_field("--param")
    })?;
    let (name, kind) = match head.split_once(':') {
        Some((name, kind)) => (name, Some(kind)),
        None => (head, None),
    };
    let value = match kind {
        None => guess(value),
        Some("") => {
            let json = serde_json::from_str(value)
                .map_err(|error| Error::invalid(name, format_args!("is not JSON: {error}")))?;
            from_json(json).ok_or_else(|| nested(name))?
        }
        Some(kind) => typed(name, kind, value)?,
    };
    Ok((name.to_owned(), value))
}

/// What reads as a JSON scalar is one; `007` and `+1` are text.
fn guess(text: &str) -> Value {
    match serde_json::from_str::<Json>(text) {
        Ok(json @ (Json::Null | Json::Bool(_) | Json::Number(_))) if text == text.trim() => {
            from_json(json).unwrap_or_else(|| text.into())
        }
        _ => text.into(),
    }
}

/// Turns JSON into a value; an object is a JSON document, an array a list of scalars.
fn from_json(json: Json) -> Option<Value> {
    Some(match json {
        Json::Null => Value::Null,
        Json::Bool(value) => value.into(),
        Json::String(text) => text.into(),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None if number.is_u64() => Value::Decimal(number.to_string().parse().ok()?),
            None => number.as_f64()?.into(),
        },
        Json::Array(items) => {
            let scalars = items.into_iter().map(|item| match item {
                Json::Array(_) => None,
                item => from_json(item),
            });
            Value::List(scalars.collect::<Option<_>>()?)
        }
        object @ Json::Object(_) => Value::Json(object),
    })
}

fn nested(name: &str) -> Error {
    Error::invalid(
        name,
        format_args!("is a list of lists; write `{name}:json=…` for a JSON document"),
    )
}

fn typed(name: &str, kind: &str, text: &str) -> Result<Value> {
    let value = match kind {
        "text" => Some(text.into()),
        "int" => text.parse().ok().map(Value::Int),
        "real" => text.parse().ok().map(Value::Real),
        "decimal" => text.parse().ok().map(Value::Decimal),
        "bool" => text.parse().ok().map(Value::Bool),
        "json" => serde_json::from_str(text).ok().map(Value::Json),
        "uuid" => text.parse().ok().map(Value::Uuid),
        "time" => text.parse().ok().map(Value::Time),
        "date" => text.parse().ok().map(Value::Date),
        "bytes" => hexadecimal(text).map(Value::Bytes),
        _ => {
            let problem = format!("has the unknown type `{kind}`; it may be {TYPES}");
            return Err(Error::invalid(name, problem));
        }
    };
    value.ok_or_else(|| Error::invalid(name, format_args!("is no `{kind}`")))
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let byte = |pair: &[u8; 2]| {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()
    };
    pairs.iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn types_are_guessed_or_said() {
        let check = |typed: &str, name: &str, value: Value| {
            assert_eq!(parse(typed).unwrap(), (name.to_owned(), value), "{typed}");
        };
        check("a=7", "a", Value::Int(7));
        check("a=-2.5", "a", Value::Real(-2.5));
        check("a=0007", "a", "0007".into());
        check("a=", "a", "".into());
        check("a= 7", "a", " 7".into());
        check("a=null", "a", Value::Null);
        check("a=true", "a", Value::Bool(true));
        check("a=b=c", "a", "b=c".into());
        check("a=[1]", "a", "[1]".into());
        check(
            "a=18446744073709551615",
            "a",
            Value::Decimal("18446744073709551615".parse().unwrap()),
        );
        check(
            "a:=[1, \"x\"]",
            "a",
            Value::List(vec![Value::Int(1), "x".into()]),
        );
        check("a:={\"b\": [[]]}", "a", Value::Json(json!({"b": [[]]})));
        check("a:json=[1]", "a", Value::Json(json!([1])));
        check("a:text=7", "a", "7".into());
        check("a:bytes=00fF", "a", Value::Bytes(vec![0, 255]));
        check(
            "a:time=1970-01-01T00:00:01Z",
            "a",
            Value::Time(jiff::Timestamp::from_second(1).unwrap()),
        );
    }

    #[test]
    fn mistakes_name_the_way_out() {
        let check = |typed: &str, expected: &str| {
            assert_eq!(parse(typed).unwrap_err().to_string(), expected);
        };
        check("a", "`a` is not of the form name=value");
        check("a:int=x", "`a` is no `int`");
        check("a:bytes=0", "`a` is no `bytes`");
        check(
            "a:number=1",
            "`a` has the unknown type `number`; it may be text, int, real, decimal, bool, json, uuid, time, date or bytes",
        );
        check(
            "a:=[[1]]",
            "`a` is a list of lists; write `a:json=…` for a JSON document",
        );
    }
}
