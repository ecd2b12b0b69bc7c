//! Conditional requests: the version of what is answered as its `ETag`.
//!
//! An output with an integer `version` has one. An input with `expected_version` takes it back as
//! `If-Match`; the operation itself compares, inside its transaction.

use crate::problem::{Kind, Problem};
use athena_core::schema::{self, Components};
use athena_core::{Code, Effect, Entry};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::{Map, Value, json};

/// The input field that `If-Match` stands for.
pub(crate) const EXPECTED_VERSION: &str = "expected_version";

/// Whether an operation answers a version.
pub(crate) fn has_version(entry: &Entry) -> bool {
    entry.output["properties"]["version"]["type"] == "integer"
}

/// Returns the `ETag` of an output that has a version.
pub(super) fn etag(entry: &Entry, output: &Value) -> Option<HeaderValue> {
    let version = output
        .get("version")
        .and_then(Value::as_i64)
        .filter(|_| has_version(entry))?;
    HeaderValue::try_from(format!("\"{version}\"")).ok()
}

/// Whether the client says that it has what this `ETag` names.
pub(super) fn is_known(request: &HeaderMap, etag: &HeaderValue) -> bool {
    tags(request, header::IF_NONE_MATCH)
        .any(|known| known == "*" || known.trim_start_matches("W/").as_bytes() == etag.as_bytes())
}

/// Adds the version that `If-Match` names as the one that the caller expects.
///
/// A condition that cannot hold fails whatever the current version is: weak tags and tags that
/// were never answered match nothing.
pub(super) fn add_expected_version(
    input: &mut Map<String, Value>,
    entry: &Entry,
    components: &Components,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    if entry.spec.effect == Effect::Read || !headers.contains_key(header::IF_MATCH) {
        return Ok(());
    }
    if entry.field(EXPECTED_VERSION).is_none() {
        let problem = "is not a condition that this operation can check; leave it out";
        return Err(Problem::invalid("If-Match", problem));
    }
    let tags: Vec<&str> = tags(headers, header::IF_MATCH).collect();
    if tags.contains(&"*") {
        return Ok(());
    }
    // What else is wrong with the input comes first: conditions are about requests that are right.
    schema::accept(&entry.input, components, &mut Value::Object(input.clone()))?;
    let mut versions = tags.iter().filter_map(|tag| version(tag));
    let version = match (versions.next(), versions.next()) {
        (Some(version), None) => version,
        (None, _) => return Err(unmet("`If-Match` names no version that was ever answered")),
        (Some(_), Some(_)) => return Err(Problem::invalid("If-Match", "must name one version")),
    };
    match input.insert(EXPECTED_VERSION.into(), json!(version)) {
        Some(other) if other != json!(version) => Err(unmet(
            "`If-Match` and `expected_version` name two versions; one at most can be current",
        )),
        _ => Ok(()),
    }
}

fn unmet(detail: &'static str) -> Problem {
    Problem::new(Kind::Operation(Code::PreconditionFailed), detail)
}

/// Returns the entity tags of a list header.
fn tags(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let lists = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).map(str::trim)
}

/// Reads a tag that [`etag`] wrote.
fn version(tag: &str) -> Option<i64> {
    let digits = tag.strip_prefix('"')?.strip_suffix('"')?;
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())?
}
