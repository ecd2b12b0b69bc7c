//! The OpenAPI 3.1 document, written from the registry.
//!
//! It is exact: what it allows is accepted, what it forbids is refused, and every status that an
//! operation can answer is listed. Both come from the same schemas, which are also checked at run
//! time.

use crate::problem::{self, Kind};
use crate::rest::{self, EXPECTED_VERSION, IDEMPOTENCY_KEY_CHARS};
use athena_core::{Code, Effect, Entry, Method, Registry, schema};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const PROBLEM: &str = "Problem";
const JSON: &str = "Json";

/// A NUL character, and text without one, as regular expressions.
const NUL: &str = r"\u0000";
const NO_NUL: &str = r"^[^\u0000]*$";

/// Returns the document of all operations of a registry.
///
/// # Panics
///
/// If a type of the registry is called `Problem` or `Json`, the names of the document's own schemas.
#[must_use]
pub fn document(registry: &Registry) -> Value {
    let mut schemas = registry.components().clone();
    schemas.values_mut().for_each(forbid_nul);
    for (name, schema) in [(PROBLEM, problem_schema()), (JSON, json_schema())] {
        let taken = schemas.insert(name.into(), schema);
        assert!(
            taken.is_none(),
            "the schema name `{name}` is taken by the document itself"
        );
    }
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for entry in registry.entries() {
        let path = paths
            .entry(format!("{}{}", rest::PREFIX, entry.spec.http.path))
            .or_default();
        path.insert(
            entry.spec.http.method.as_str().to_ascii_lowercase(),
            operation(registry, entry),
        );
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Athena",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Persistent memory for AI agents.",
            "description": INTRODUCTION,
            "license": {"name": "Apache-2.0 OR MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": tags(registry),
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

const INTRODUCTION: &str = "Every operation is also an MCP tool, at `/mcp`, and a command of the `athena` program.\n\n\
Errors are problem documents (RFC 9457); their `code` is stable and the same on every face. \
`GET` routes answer `HEAD` too. A request may carry an `X-Request-Id`; every answer does. \
Writes take an `Idempotency-Key`: a repeated request with the same key answers what the first one did. \
Lists answer `next_cursor` until they end.";

fn tags(registry: &Registry) -> Vec<Value> {
    let mut names: Vec<&str> = Vec::new();
    for entry in registry.entries() {
        let name = tag(entry);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
        .into_iter()
        .map(|name| json!({"name": name}))
        .collect()
}

fn tag(entry: &Entry) -> &'static str {
    entry
        .spec
        .name
        .split_once('.')
        .map_or(entry.spec.name, |(aggregate, _)| aggregate)
}

fn operation(registry: &Registry, entry: &Entry) -> Value {
    let mut operation = json!({
        "operationId": entry.spec.name,
        "tags": [tag(entry)],
        "summary": entry.summary,
        "description": entry.description,
        "parameters": parameters(registry, entry),
        "responses": responses(registry, entry),
    });
    if entry.spec.http.method.has_body()
        && let Some(body) = request_body(entry)
    {
        operation["requestBody"] = body;
    }
    operation
}

fn parameters(registry: &Registry, entry: &Entry) -> Vec<Value> {
    let in_path: Vec<&str> = rest::path_fields(entry.spec.http.path).collect();
    let mut parameters: Vec<Value> = in_path
        .iter()
        .map(|name| parameter(registry, entry, name, "path"))
        .collect();
    if !entry.spec.http.method.has_body() {
        let in_query = entry
            .fields()
            .map(|(name, _)| name)
            .filter(|name| !in_path.contains(name));
        parameters.extend(in_query.map(|name| parameter(registry, entry, name, "query")));
    }
    parameters.extend(headers(entry));
    parameters
}

fn parameter(registry: &Registry, entry: &Entry, name: &str, place: &str) -> Value {
    let mut field = entry.field(name).cloned().unwrap_or_default();
    forbid_nul(&mut field);
    let mut parameter = json!({
        "name": name,
        "in": place,
        "required": place == "path" || entry.requires(name),
    });
    if let Some(description) = description(&field) {
        parameter["description"] = description;
    }
    let shape = schema::resolve(&field, registry.components());
    if shape["type"] == "object" {
        parameter["content"] = json!({"application/json": {"schema": field}});
    } else {
        if shape["type"] == "array" {
            parameter["style"] = json!("form");
            parameter["explode"] = json!(true);
        }
        parameter["schema"] = field;
    }
    parameter
}

fn description(field: &Value) -> Option<Value> {
    field.get("description").cloned()
}

/// The headers that an operation reads.
fn headers(entry: &Entry) -> Vec<Value> {
    let header = |name: &str, description: &str, schema: Value| json!({"name": name, "in": "header", "required": false, "description": description, "schema": schema});
    let mut headers = Vec::new();
    if entry.spec.effect != Effect::Read {
        headers.push(header(
            "Idempotency-Key",
            "Makes a repeated request answer what the first one did.",
            json!({"type": "string", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_CHARS, "pattern": "^[!-~]+$"}),
        ));
    }
    if entry.spec.effect != Effect::Read && entry.field(EXPECTED_VERSION).is_some() {
        headers.push(header(
            "If-Match",
            "The `ETag` that was last answered; another version by now is refused with 412.",
            json!({"type": "string"}),
        ));
    }
    if has_not_modified(entry) {
        headers.push(header(
            "If-None-Match",
            "The `ETag` that was last answered; nothing newer is 304.",
            json!({"type": "string"}),
        ));
    }
    headers
}

fn has_not_modified(entry: &Entry) -> bool {
    entry.spec.http.method == Method::Get && rest::has_version(entry)
}

/// States in the schemas what holds for all text, the text in free-form objects included: it has
/// no NUL character.
fn forbid_nul(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            match object.get("type").and_then(Value::as_str) {
                Some("string") => forbid_nul_in_text(object),
                Some("object") => forbid_nul_in_free_form(object),
                _ => {}
            }
            object.values_mut().for_each(forbid_nul);
        }
        Value::Array(items) => items.iter_mut().for_each(forbid_nul),
        _ => {}
    }
}

fn forbid_nul_in_text(schema: &mut Map<String, Value>) {
    if schema.contains_key("pattern") {
        schema.insert("not".into(), json!({"pattern": NUL}));
    } else if !["enum", "const", "format"]
        .iter()
        .any(|keyword| schema.contains_key(*keyword))
    {
        schema.insert("pattern".into(), json!(NO_NUL));
    }
}

fn forbid_nul_in_free_form(schema: &mut Map<String, Value>) {
    let is_free = !schema.contains_key("properties") && !schema.contains_key("$ref");
    if is_free
        && schema
            .get("additionalProperties")
            .is_none_or(|additional| *additional == true)
    {
        schema.insert("propertyNames".into(), json!({"pattern": NO_NUL}));
        schema.insert("additionalProperties".into(), reference(JSON));
    }
}

/// Any JSON value.
fn json_schema() -> Value {
    json!({
        "description": "Any JSON value.",
        "oneOf": [
            {"type": "null"},
            {"type": "boolean"},
            {"type": "number"},
            {"type": "string", "pattern": NO_NUL},
            {"type": "array", "items": reference(JSON)},
            {"type": "object", "propertyNames": {"pattern": NO_NUL}, "additionalProperties": reference(JSON)},
        ],
    })
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The input without what is in the path, or nothing if nothing is left.
fn request_body(entry: &Entry) -> Option<Value> {
    let mut body = entry.input.clone();
    forbid_nul(&mut body);
    for name in rest::path_fields(entry.spec.http.path) {
        if let Some(properties) = body["properties"].as_object_mut() {
            properties.remove(name);
        }
        if let Some(required) = body.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|required| required != name);
        }
    }
    if body["properties"].as_object().is_none_or(Map::is_empty) {
        return None;
    }
    let has_required = body["required"]
        .as_array()
        .is_some_and(|required| !required.is_empty());
    if !has_required && let Some(body) = body.as_object_mut() {
        body.remove("required");
    }
    // Where one of several fields must be there, no body at all will not do either.
    let is_required = has_required || body.get("anyOf").is_some();
    Some(json!({"required": is_required, "content": {"application/json": {"schema": body}}}))
}

fn responses(registry: &Registry, entry: &Entry) -> Value {
    let mut responses = Map::new();
    responses.insert(entry.spec.http.status.to_string(), success(registry, entry));
    if has_not_modified(entry) {
        let description = "What `If-None-Match` names is still the newest.";
        responses.insert(
            "304".into(),
            json!({"description": description, "headers": {"ETag": etag()}}),
        );
    }
    for (status, kinds) in kinds_by_status(entry) {
        responses.insert(status.to_string(), failure(status, &kinds));
    }
    Value::Object(responses)
}

fn success(registry: &Registry, entry: &Entry) -> Value {
    let mut headers = json!({"X-Request-Id": text_header("The id of the request, for the log.")});
    if rest::has_version(entry) {
        headers["ETag"] = etag();
    }
    if location_of(registry, entry).is_some() {
        headers["Location"] = text_header("Where it can be read.");
    }
    let mut content = json!({"application/json": {"schema": entry.output}});
    if entry.spec.followed {
        content[rest::EVENT_STREAM] = json!({"schema": {
            "type": "string",
            "description": "Each item as an event, without end: its `seq` is the id.",
        }});
    }
    json!({
        "description": entry.output.get("description").cloned().unwrap_or_else(|| json!("Done.")),
        "headers": headers,
        "content": content,
    })
}

fn failure(status: u16, kinds: &[Kind]) -> Value {
    let codes: Vec<String> = kinds
        .iter()
        .map(|kind| format!("`{}`", kind.code()))
        .collect();
    let mut headers = json!({"X-Request-Id": text_header("The id of the request, for the log.")});
    if status == 405 {
        headers["Allow"] = text_header("The methods that this path knows.");
    }
    if status == 503 {
        headers["Retry-After"] = json!({
            "description": "After how many seconds to try again.",
            "schema": {"type": "integer", "minimum": 0},
        });
    }
    json!({
        "description": format!("Problem with code {}.", codes.join(" or ")),
        "headers": headers,
        "content": {problem::MEDIA_TYPE: {"schema": reference(PROBLEM)}},
    })
}

fn etag() -> Value {
    text_header("The version in quotes, for `If-Match` and `If-None-Match`.")
}

fn text_header(description: &str) -> Value {
    json!({"description": description, "schema": {"type": "string"}})
}

/// Everything that can go wrong with a request for this operation.
fn kinds_by_status(entry: &Entry) -> BTreeMap<u16, Vec<Kind>> {
    let mut kinds: Vec<Kind> = entry
        .error_codes()
        .into_iter()
        .map(Kind::Operation)
        .collect();
    kinds.extend([Kind::ForeignOrigin, Kind::MethodNotAllowed]);
    if entry.spec.http.method.has_body() {
        kinds.extend([Kind::RequestTimeout, Kind::UnsupportedMediaType]);
    }
    if entry.field(EXPECTED_VERSION).is_some() {
        kinds.push(Kind::Operation(Code::PreconditionFailed));
    }
    let mut by_status: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
    for kind in kinds {
        let same = by_status.entry(kind.status().as_u16()).or_default();
        if !same.contains(&kind) {
            same.push(kind);
        }
    }
    by_status
}

/// Finds the operation that reads one of what this operation makes, and the field that names it.
pub(crate) fn location_of<'a>(
    registry: &'a Registry,
    entry: &Entry,
) -> Option<(&'a Entry, &'static str)> {
    if entry.spec.http.status != 201 {
        return None;
    }
    registry.entries().iter().find_map(|reader| {
        let field = reader
            .spec
            .http
            .path
            .strip_prefix(entry.spec.http.path)?
            .strip_prefix('/')?;
        let field = field.strip_prefix('{')?.strip_suffix('}')?;
        let is_answered = entry.output["properties"].get(field).is_some();
        (reader.spec.http.method == Method::Get && is_answered).then_some((reader, field))
    })
}

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "description": "A problem document (RFC 9457).",
        "required": ["type", "title", "status", "detail", "instance", "code", "request_id"],
        "properties": {
            "type": {"type": "string", "format": "uri", "description": "The kind of problem: `urn:athena:problem:` and its code."},
            "title": {"type": "string", "description": "The kind of problem in words."},
            "status": {"type": "integer", "format": "int64", "minimum": 400, "maximum": 599, "description": "The HTTP status."},
            "detail": {"type": "string", "description": "What was wrong this time, and the way out."},
            "instance": {"type": "string", "format": "uri-reference", "description": "The path that was asked for."},
            "code": {"type": "string", "description": "The stable code, such as `not_found`."},
            "request_id": {"type": "string", "description": "The id of the request, for the log."},
            "errors": {
                "type": "array",
                "description": "The arguments that caused it.",
                "items": {
                    "type": "object",
                    "required": ["field", "detail"],
                    "properties": {
                        "field": {"type": "string", "description": "The argument, such as `tags[2]`."},
                        "detail": {"type": "string", "description": "What is wrong with it."},
                    },
                },
            },
        },
    })
}
