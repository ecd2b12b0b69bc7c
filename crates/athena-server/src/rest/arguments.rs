//! Where the arguments of a request are, and how they become one input.
//!
//! An argument has one place: the path, else the body of a `POST` or `PATCH`, else the query.
//! Anything in another place is refused rather than ignored, because an argument that silently has
//! no effect is worse than an error.

use crate::problem::{Kind, Problem};
use athena_core::{Entry, schema};
use axum::http::{HeaderMap, header};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;

type Arguments = Map<String, Value>;

/// Returns the names of the fields in a path, in order.
pub(crate) fn path_fields(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

/// Reads the decoded fields of a path.
pub(super) fn from_path<'a>(
    entry: &Entry,
    components: &schema::Components,
    texts: impl Iterator<Item = &'a str>,
) -> Arguments {
    path_fields(entry.spec.http.path)
        .zip(texts)
        .map(|(name, text)| {
            let field = entry.field(name).unwrap_or(&Value::Null);
            (name.to_owned(), schema::from_text(field, components, text))
        })
        .collect()
}

/// Adds the parameters of a query.
pub(super) fn add_query(
    input: &mut Arguments,
    entry: &Entry,
    components: &schema::Components,
    query: &str,
) -> Result<(), Problem> {
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
        add_parameter(input, entry, components, &decode(name)?, &decode(text)?)?;
    }
    Ok(())
}

fn add_parameter(
    input: &mut Arguments,
    entry: &Entry,
    components: &schema::Components,
    name: &str,
    text: &str,
) -> Result<(), Problem> {
    let in_path = || path_fields(entry.spec.http.path).any(|field| field == name);
    let Some(field) = entry.field(name).filter(|_| !in_path()) else {
        let known: Vec<&str> = entry
            .fields()
            .map(|(name, _)| name)
            .filter(|name| path_fields(entry.spec.http.path).all(|field| field != *name))
            .collect();
        return Err(Problem::invalid(
            schema::shown_name(name),
            format_args!("is not a known parameter; known: {}", known.join(", ")),
        ));
    };
    if schema::is_array(field, components) {
        let element = schema::resolve(field, components)
            .get("items")
            .unwrap_or(&Value::Null);
        let item = schema::from_text(element, components, text);
        match input
            .entry(name.to_owned())
            .or_insert_with(|| Value::Array(Vec::new()))
        {
            Value::Array(items) => items.push(item),
            _ => unreachable!("only this function adds parameters of an array's name"),
        }
    } else if input
        .insert(name.to_owned(), schema::from_text(field, components, text))
        .is_some()
    {
        return Err(Problem::invalid(
            name,
            "is given twice, and takes one value",
        ));
    }
    Ok(())
}

/// Decodes a name or value of a query: `+` is a space, `%XX` a byte of UTF-8.
fn decode(text: &str) -> Result<String, Problem> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => match (rest.next().and_then(hex), rest.next().and_then(hex)) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => {
                    return Err(Problem::malformed(
                        "the query has a `%` without two hex digits; write it as `%25`",
                    ));
                }
            },
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| {
        Problem::malformed("the query is not UTF-8; percent-encode its bytes as UTF-8")
    })
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

/// Writes text as one segment of a path.
pub(super) fn percent_encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// Returns the path of a request as it may be shown.
pub(crate) fn redacted_path<'a>(
    path: &'a str,
    redact: impl Fn(&str) -> Cow<'_, str>,
) -> Cow<'a, str> {
    // In a path a plus is a plus.
    let plain = decode(&path.replace('+', "%2B")).unwrap_or_default();
    match redact(&plain) {
        Cow::Borrowed(_) => Cow::Borrowed(path),
        Cow::Owned(redacted) => {
            let segments = redacted.split('/').map(percent_encode);
            Cow::Owned(segments.collect::<Vec<_>>().join("/"))
        }
    }
}

/// Refuses a query where the arguments travel in the body.
pub(super) fn refuse_query(query: Option<&str>) -> Result<(), Problem> {
    match query {
        None | Some("") => Ok(()),
        Some(_) => Err(Problem::malformed(
            "the arguments of this operation belong into the body, not the query",
        )),
    }
}

/// Refuses a body where the arguments travel in the query.
pub(super) fn refuse_body(headers: &HeaderMap) -> Result<(), Problem> {
    let is_empty = headers
        .get(header::CONTENT_LENGTH)
        .is_none_or(|length| length == "0");
    if is_empty && !headers.contains_key(header::TRANSFER_ENCODING) {
        return Ok(());
    }
    Err(Problem::malformed(
        "the arguments of this operation belong into the query, not a body",
    ))
}

/// Adds the fields of a JSON body; no body is an empty object.
pub(super) fn add_body(
    input: &mut Arguments,
    entry: &Entry,
    components: &schema::Components,
    headers: &HeaderMap,
    bytes: &[u8],
) -> Result<(), Problem> {
    if bytes.is_empty() {
        return Ok(());
    }
    check_media_type(headers)?;
    let fields = parse_object(bytes)?;
    refuse_nulls(&entry.input, components, &fields, "")?;
    for (name, value) in fields {
        if input.contains_key(&name) {
            return Err(Problem::invalid(&name, "belongs into the path only"));
        }
        input.insert(name, value);
    }
    Ok(())
}

/// Checks that a body says it is JSON.
pub(crate) fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    let mut parts = media_type.split(';').map(str::trim);
    let is_json = parts
        .next()
        .is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    let is_utf8 = parts.all(|parameter| {
        parameter.split_once('=').is_none_or(|(name, value)| {
            !name.eq_ignore_ascii_case("charset")
                || value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
    });
    if is_json && is_utf8 {
        return Ok(());
    }
    Err(Problem::new(
        Kind::UnsupportedMediaType,
        "the body must be JSON in UTF-8, sent with `Content-Type: application/json`",
    ))
}

fn parse_object(bytes: &[u8]) -> Result<Arguments, Problem> {
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{') {
        return serde_json::from_slice::<Fields>(bytes)
            .map(|fields| fields.0)
            .map_err(|error| not_json(&error));
    }
    match serde_json::from_slice::<Value>(bytes) {
        Ok(_) => Err(Problem::malformed("the body must be a JSON object")),
        Err(error) => Err(not_json(&error)),
    }
}

fn not_json(error: &serde_json::Error) -> Problem {
    let place = format!("line {}, column {}", error.line(), error.column());
    match error.classify() {
        Category::Data => {
            Problem::malformed(format!("the body has the same field twice ({place})"))
        }
        _ => Problem::malformed(format!("the body is not valid JSON ({place})")),
    }
}

/// The fields of an object, each given once.
struct Fields(Arguments);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Fields, A::Error> {
        let mut fields = Arguments::new();
        while let Some((name, value)) = access.next_entry::<String, Value>()? {
            if fields.insert(name, value).is_some() {
                return Err(A::Error::custom("a field is given twice"));
            }
        }
        Ok(Fields(fields))
    }
}

/// Refuses `null` for a field that has a schema.
///
/// The registry would take it as absent. Over REST that would make a `PATCH` with `null`, which
/// elsewhere means "clear this", do nothing and answer that all is well.
fn refuse_nulls(
    schema: &Value,
    components: &schema::Components,
    fields: &Arguments,
    path: &str,
) -> Result<(), Problem> {
    let properties = schema::resolve(schema, components).get("properties");
    for (name, value) in fields {
        let Some(property) = properties.and_then(|properties| properties.get(name)) else {
            continue;
        };
        refuse_null(property, components, value, &format!("{path}{name}"))?;
    }
    Ok(())
}

fn refuse_null(
    schema: &Value,
    components: &schema::Components,
    value: &Value,
    path: &str,
) -> Result<(), Problem> {
    match value {
        Value::Null if has_type(schema::resolve(schema, components)) => Err(Problem::invalid(
            path,
            "must not be null; leave it out instead",
        )),
        Value::Object(fields) => refuse_nulls(schema, components, fields, &format!("{path}.")),
        Value::Array(items) => match schema::resolve(schema, components).get("items") {
            Some(element) => items.iter().enumerate().try_for_each(|(index, item)| {
                refuse_null(element, components, item, &format!("{path}[{index}]"))
            }),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Whether a schema says anything about the type; one that does not allows null.
fn has_type(schema: &Value) -> bool {
    ["type", "enum", "const", "oneOf", "anyOf", "allOf"]
        .iter()
        .any(|keyword| schema.get(keyword).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn queries_are_decoded_strictly() {
        assert_eq!(decode("a+b%20c%C3%A4").unwrap(), "a b cä");
        for text in ["%", "%4", "%zz", "%C3", "%ff"] {
            assert!(decode(text).is_err(), "{text}");
        }
    }

    #[test]
    fn segments_survive_encoding() {
        assert_eq!(percent_encode("a b/ä~"), "a%20b%2F%C3%A4~");
    }

    #[test]
    fn bodies_are_objects_with_each_field_once() {
        let detail = |body: &str| {
            let problem = parse_object(body.as_bytes()).unwrap_err();
            problem
                .detail()
                .split(" (line 1, column ")
                .next()
                .unwrap()
                .to_owned()
        };
        assert_eq!(
            parse_object(br#" {"a": {"b": 1}}"#).unwrap(),
            json!({"a": {"b": 1}}).as_object().unwrap().clone()
        );
        assert_eq!(detail("[1]"), "the body must be a JSON object");
        assert_eq!(detail(r#""secret""#), "the body must be a JSON object");
        assert_eq!(
            detail(r#"{"a": 1, "a": 2}"#),
            "the body has the same field twice"
        );
        assert_eq!(detail(r#"{"a": secret}"#), "the body is not valid JSON");
        assert_eq!(detail(r#"{"a": "\ud800"}"#), "the body is not valid JSON");
        assert_eq!(
            detail(&format!(r#"{{"a": {}"#, "[".repeat(5000))),
            "the body is not valid JSON"
        );
    }

    #[test]
    fn media_types_must_be_json_in_utf8() {
        let check = |media_type: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, media_type.parse().unwrap());
            check_media_type(&headers).is_ok()
        };
        assert!(check("application/json"));
        assert!(check("Application/JSON; charset=\"UTF-8\""));
        assert!(!check("application/json; charset=latin1"));
        assert!(!check("text/plain"));
        assert!(check_media_type(&HeaderMap::new()).is_err());
    }

    #[test]
    fn null_is_refused_where_a_schema_says_otherwise() {
        let schema = json!({"properties": {
            "title": {"type": "string"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "source": {"properties": {"url": {"type": "string"}}},
            "anything": {},
            "metadata": {"type": "object", "additionalProperties": true},
        }});
        let check = |value: Value| {
            refuse_nulls(
                &schema,
                &schema::Components::new(),
                value.as_object().unwrap(),
                "",
            )
            .map_err(|problem| problem.detail().to_owned())
        };
        assert!(check(json!({"title": "a", "anything": null, "metadata": {"a": null}})).is_ok());
        for (value, field) in [
            (json!({"title": null}), "title"),
            (json!({"tags": ["a", null]}), "tags[1]"),
            (json!({"source": {"url": null}}), "source.url"),
        ] {
            assert_eq!(
                check(value).unwrap_err(),
                format!("`{field}` must not be null; leave it out instead")
            );
        }
    }
}
