//! Conditional requests: the version of what is answered as its `ETag`.
//!
//! An output with an integer `version` has one. An input with `expected_version` takes it back as
//! `If-Match`; the operation itself compares, inside its transaction.

use crate::problem::Problem;
use athena_core::schema::{self, Components};
use athena_core::{Effect, Entry};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::{Map, Value, json};

/// The input field that `If-Match` stands for.
pub(crate) const EXPECTED_VERSION: &str = "expected_version";

/// A version that nothing ever has.
const NEVER_REACHED: i64 = i64::MAX;

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
/// Weak tags and tags that were never answered match nothing. They become a version that no item
/// reaches, so that the operation says what it says of any version that is not current.
pub(super) fn add_expected_version(
    input: &mut Map<String, Value>,
    entry: &Entry,
    components: &Components,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    if entry.spec.effect == Effect::Read || !headers.contains_key(header::IF_MATCH) {
        return Ok(());
    }
    let Some(field) = entry.field(EXPECTED_VERSION) else {
        let problem = "is not a condition that this operation can check; leave it out";
        return Err(Problem::invalid("If-Match", problem));
    };
    let tags: Vec<&str> = tags(headers, header::IF_MATCH).collect();
    if tags.contains(&"*") {
        return Ok(());
    }
    let mut versions = tags.iter().filter_map(|tag| version(tag));
    let version = match (versions.next(), versions.next()) {
        (version, None) => version.unwrap_or(NEVER_REACHED),
        (_, Some(_)) => return Err(Problem::invalid("If-Match", "must name one version")),
    };
    match input.get(EXPECTED_VERSION) {
        None => drop(input.insert(EXPECTED_VERSION.into(), json!(version))),
        // Two versions are expected: at most one can be current, so the condition fails.
        Some(other) if *other != json!(version) && is_valid(field, components, other) => {
            input.insert(EXPECTED_VERSION.into(), json!(NEVER_REACHED));
        }
        Some(_) => {}
    }
    Ok(())
}

fn is_valid(field: &Value, components: &Components, value: &Value) -> bool {
    schema::accept(field, components, &mut value.clone()).is_ok()
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
