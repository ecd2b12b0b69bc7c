//! Conditional requests: the version of what is answered as its `ETag`.
//!
//! An output with an integer `version` has one. An input with `expected_version` takes it back as
//! `If-Match`; the operation itself compares, inside its transaction.

use crate::problem::Problem;
use athena_core::{Effect, Entry};
use axum::http::{HeaderMap, HeaderValue, header};
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
    let known = request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    known
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .any(|known| {
            known == "*" || known.strip_prefix("W/").unwrap_or(known).as_bytes() == etag.as_bytes()
        })
}

/// Adds the version that `If-Match` names as the one that the caller expects.
pub(super) fn add_expected_version(
    input: &mut Map<String, Value>,
    entry: &Entry,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    const NAME: &str = "If-Match";
    let mut values = headers.get_all(header::IF_MATCH).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Ok(()),
        (Some(_), _) if entry.spec.effect == Effect::Read => return Ok(()),
        (Some(_), Some(_)) => return Err(Problem::invalid(NAME, "is given twice")),
        (Some(value), None) => value.to_str().unwrap_or(""),
    };
    if entry.field(EXPECTED_VERSION).is_none() {
        return Err(Problem::invalid(
            NAME,
            "is not a condition that this operation can check; leave it out",
        ));
    }
    if value == "*" {
        return Ok(());
    }
    let digits = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'));
    let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let version: i64 = digits
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| {
            Problem::invalid(
                NAME,
                "must be one `ETag` as it was answered, such as `\"3\"`",
            )
        })?;
    if input
        .insert(EXPECTED_VERSION.into(), json!(version))
        .is_some()
    {
        return Err(Problem::invalid(
            EXPECTED_VERSION,
            "and `If-Match` say the same thing; give one of them",
        ));
    }
    Ok(())
}
