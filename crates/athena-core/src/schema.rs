//! JSON Schemas of inputs and outputs, in the one form that all faces share.
//!
//! Schemas come from the Rust types through `schemars` and are normalised: no unions with null (an
//! optional field is one that may be absent), integers are 64-bit with their bounds stated, and
//! named types are references to `#/components/schemas/…`. The same form is checked at run time,
//! so a limit that is documented is a limit that holds.

use crate::{Error, Result};
use serde_json::{Map, Value, json};

/// The named schemas of a registry, by name.
pub type Components = Map<String, Value>;

const REFERENCE: &str = "#/components/schemas/";
/// The pattern of text that shows something. Other patterns are what an operation checks by itself.
const VISIBLE: &str = r"\S";
/// Values longer than this many characters are not repeated in errors.
const SHOWN_CHARS: usize = 40;

/// Brings a schema, and every schema inside it, into the form that all faces share.
pub fn normalise(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            require_no_nullable(object);
            unwrap_nullable(object);
            bound_integers(object);
            if object.get("default") == Some(&Value::Null) {
                object.remove("default");
            }
            object.values_mut().for_each(normalise);
        }
        Value::Array(items) => items.iter_mut().for_each(normalise),
        _ => {}
    }
}

/// Makes fields that may be null optional: an answer leaves them out rather than say null.
fn require_no_nullable(object: &mut Map<String, Value>) {
    let Some(properties) = object.get("properties").and_then(Value::as_object) else {
        return;
    };
    let nullable: Vec<String> = properties
        .iter()
        .filter(|(_, property)| is_nullable(property))
        .map(|(name, _)| name.clone())
        .collect();
    let Some(Value::Array(required)) = object.get_mut("required") else {
        return;
    };
    required.retain(|name| !nullable.iter().any(|nullable| name == nullable));
    if required.is_empty() {
        object.remove("required");
    }
}

fn is_nullable(schema: &Value) -> bool {
    let has = |keyword: &str, null: &Value| {
        schema
            .get(keyword)
            .and_then(Value::as_array)
            .is_some_and(|values| values.contains(null))
    };
    let null_type = json!({"type": "null"});
    has("type", &json!("null"))
        || has("enum", &Value::Null)
        || has("anyOf", &null_type)
        || has("oneOf", &null_type)
}

/// Turns "X or null" into X: absence says what null would.
fn unwrap_nullable(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    for keyword in ["anyOf", "oneOf"] {
        let Some(Value::Array(branches)) = object.get_mut(keyword) else {
            continue;
        };
        branches.retain(|branch| branch != &json!({"type": "null"}));
        if let [Value::Object(only)] = branches.as_slice() {
            let only = only.clone();
            object.remove(keyword);
            for (key, value) in only {
                object.entry(key).or_insert(value);
            }
        }
    }
}

/// States the bounds that a Rust integer type implies, with the one format that clients know.
fn bound_integers(object: &mut Map<String, Value>) {
    let type_name = object.get("type").and_then(Value::as_str);
    if type_name != Some("integer") {
        if type_name == Some("number") {
            object.remove("format");
        }
        return;
    }
    let (minimum, maximum) = match object.get("format").and_then(Value::as_str) {
        Some("uint8") => (0, i64::from(u8::MAX)),
        Some("uint16") => (0, i64::from(u16::MAX)),
        Some("uint32") => (0, i64::from(u32::MAX)),
        Some("uint64" | "uint") => (0, i64::MAX),
        Some("int32") => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    };
    object.insert("format".into(), json!("int64"));
    object.entry("minimum").or_insert(json!(minimum));
    object.entry("maximum").or_insert(json!(maximum));
}

/// Follows a reference to the schema it names; other schemas are returned as they are.
#[must_use]
pub fn resolve<'a>(schema: &'a Value, components: &'a Components) -> &'a Value {
    schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|reference| reference.strip_prefix(REFERENCE))
        .and_then(|name| components.get(name))
        .map_or(schema, |target| resolve(target, components))
}

/// Returns a schema that stands alone: the named schemas it needs are in its `$defs`.
#[must_use]
pub fn standalone(schema: &Value, components: &Components) -> Value {
    let mut needed = Vec::new();
    collect_references(schema, components, &mut needed);
    let mut alone = schema.clone();
    if !needed.is_empty() {
        needed.sort_unstable();
        let definitions: Map<_, _> = needed
            .iter()
            .map(|name| (name.clone(), components[name.as_str()].clone()))
            .collect();
        if let Value::Object(object) = &mut alone {
            object.insert("$defs".into(), Value::Object(definitions));
        }
    }
    localise_references(&mut alone);
    alone
}

fn collect_references(schema: &Value, components: &Components, needed: &mut Vec<String>) {
    match schema {
        Value::Object(object) => {
            let name = object
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|reference| reference.strip_prefix(REFERENCE));
            if let Some(name) = name
                && let Some(target) = components.get(name)
                && !needed.iter().any(|known| known == name)
            {
                needed.push(name.to_owned());
                collect_references(target, components, needed);
            }
            object
                .values()
                .for_each(|value| collect_references(value, components, needed));
        }
        Value::Array(items) => {
            items
                .iter()
                .for_each(|value| collect_references(value, components, needed));
        }
        _ => {}
    }
}

fn localise_references(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get_mut("$ref")
                && let Some(name) = reference.strip_prefix(REFERENCE)
            {
                *reference = format!("#/$defs/{name}");
            }
            object.values_mut().for_each(localise_references);
        }
        Value::Array(items) => items.iter_mut().for_each(localise_references),
        _ => {}
    }
}

/// Prepares arguments for an operation: drops nulls of optional fields, turns whole floats into
/// integers, then checks every limit that the schema states.
///
/// # Errors
///
/// [`Code::InvalidInput`](crate::Code::InvalidInput) naming the field, what is wrong with it and
/// what is allowed.
pub fn accept(schema: &Value, components: &Components, value: &mut Value) -> Result<()> {
    tidy(schema, components, value, false);
    check(schema, components, value, "")
}

/// Removes the nulls that stand for absent fields from an answer.
pub fn prune(schema: &Value, components: &Components, value: &mut Value) {
    tidy(schema, components, value, true);
}

fn tidy(schema: &Value, components: &Components, value: &mut Value, answer: bool) {
    let schema = resolve(schema, components);
    match value {
        Value::Object(object) => {
            let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
                return;
            };
            let required = |name: &str| {
                schema
                    .get("required")
                    .and_then(Value::as_array)
                    .is_some_and(|names| names.iter().any(|required| required == name))
            };
            object.retain(|name, value| {
                !(value.is_null() && properties.contains_key(name) && (answer || !required(name)))
            });
            for (name, value) in object {
                if let Some(property) = properties.get(name) {
                    tidy(property, components, value, answer);
                }
            }
        }
        Value::Array(items) => {
            let element = schema.get("items").map(|it| resolve(it, components));
            if let Some(element) = element.filter(|element| !is_any_number(element)) {
                items
                    .iter_mut()
                    .for_each(|item| tidy(element, components, item, answer));
            }
        }
        Value::Number(number) if type_of(schema) == Some("integer") => {
            if let Some(whole) = whole_number(number) {
                *value = json!(whole);
            }
        }
        _ => {}
    }
}

/// Returns the type that a schema names, if it names one.
#[must_use]
pub fn type_of(schema: &Value) -> Option<&str> {
    schema.get("type")?.as_str()
}

/// Tells whether a schema allows every number and nothing else, such as for components of a vector:
/// there are many, and nothing to be said of each.
fn is_any_number(schema: &Value) -> bool {
    let only = schema.as_object().is_some_and(|schema| schema.len() == 1);
    only && type_of(schema) == Some("number")
}

/// Reads a float that is a whole number in range: JSON Schema counts `3.0` as an integer.
fn whole_number(number: &serde_json::Number) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let float = number.as_f64().filter(|_| number.is_f64())?;
    if float.fract() != 0.0 || float.abs() > EXACT {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole and within ±2^53")]
    Some(float as i64)
}

/// Checks a value against a schema in the normalised form.
fn check(schema: &Value, components: &Components, value: &Value, path: &str) -> Result<()> {
    let schema = resolve(schema, components);
    let Some(object) = schema.as_object() else {
        return Ok(());
    };
    check_branches(object, components, value, path)?;
    check_exclusions(object, components, value, path)?;
    check_type(object, value, path)?;
    check_choice(object, value, path)?;
    match value {
        Value::String(text) => check_length(object, text, path),
        Value::Number(number) => check_range(object, number, path),
        Value::Array(items) => check_items(object, components, items, path),
        Value::Object(fields) => check_fields(object, components, fields, path),
        _ => Ok(()),
    }
}

/// Refuses NUL in what no schema describes, such as metadata.
fn check_free_form(value: &Value, path: &str) -> Result<()> {
    let refused = || Err(refuse(path, "must not contain a NUL character"));
    match value {
        Value::String(text) if text.contains('\0') => refused(),
        Value::Array(items) => items
            .iter()
            .try_for_each(|item| check_free_form(item, path)),
        Value::Object(fields) if fields.keys().any(|key| key.contains('\0')) => refused(),
        Value::Object(fields) => fields
            .values()
            .try_for_each(|field| check_free_form(field, path)),
        _ => Ok(()),
    }
}

fn check_branches(
    schema: &Map<String, Value>,
    components: &Components,
    value: &Value,
    path: &str,
) -> Result<()> {
    for keyword in ["anyOf", "oneOf"] {
        let Some(branches) = schema.get(keyword).and_then(Value::as_array) else {
            continue;
        };
        if let Some(choices) = constants(branches, components) {
            if !choices.iter().any(|choice| choice == value) {
                return Err(not_one_of(value, &choices, path));
            }
        } else if !branches
            .iter()
            .any(|branch| check(branch, components, value, path).is_ok())
        {
            return Err(refuse(path, &none_of(branches)));
        }
    }
    Ok(())
}

/// Refuses fields that exclude each other: `not` names those that cannot be given together, and may
/// say of what value; several such sets are its `anyOf`.
fn check_exclusions(
    schema: &Map<String, Value>,
    components: &Components,
    value: &Value,
    path: &str,
) -> Result<()> {
    let Some(excluded) = schema.get("not") else {
        return Ok(());
    };
    let sets = excluded.get("anyOf").and_then(Value::as_array);
    for set in sets.map_or(std::slice::from_ref(excluded), Vec::as_slice) {
        let names = set.get("required").and_then(Value::as_array);
        let names: Vec<&str> = names
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if let [others @ .., last] = names.as_slice()
            && check(set, components, value, path).is_ok()
        {
            let others: Vec<String> = others.iter().map(|name| format!("`{name}`")).collect();
            let problem = format!(
                "cannot be given with {}; leave one out",
                others.join(" and ")
            );
            return Err(refuse(&join(path, last), &problem));
        }
    }
    Ok(())
}

/// Says what is missing where each form needs a field, as in "query or vector".
fn none_of(branches: &[Value]) -> String {
    let needed: Vec<String> = branches
        .iter()
        .filter_map(|branch| {
            branch["required"][0]
                .as_str()
                .map(|name| format!("`{name}`"))
        })
        .collect();
    if needed.len() == branches.len() {
        format!("needs {}", needed.join(" or "))
    } else {
        "has none of the forms that are allowed".to_owned()
    }
}

/// Returns the values of an enumeration that `schemars` wrote as one branch per documented value.
fn constants(branches: &[Value], components: &Components) -> Option<Vec<Value>> {
    let mut all = Vec::new();
    for branch in branches {
        let branch = resolve(branch, components);
        match (branch.get("const"), branch.get("enum")) {
            (Some(value), _) => all.push(value.clone()),
            (None, Some(Value::Array(values))) => all.extend(values.iter().cloned()),
            _ => return None,
        }
    }
    Some(all)
}

/// Returns the values that an enumeration allows, or `None` for any other schema.
#[must_use]
pub fn choices(schema: &Value, components: &Components) -> Option<Vec<Value>> {
    let schema = resolve(schema, components);
    if let Some(Value::Array(values)) = schema.get("enum") {
        return Some(values.clone());
    }
    ["oneOf", "anyOf"]
        .iter()
        .find_map(|keyword| schema.get(*keyword).and_then(Value::as_array))
        .and_then(|branches| constants(branches, components))
}

fn check_type(schema: &Map<String, Value>, value: &Value, path: &str) -> Result<()> {
    let wanted = match schema.get("type") {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => return Ok(()),
    };
    let fits = |name: &&str| match *name {
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        name => name == type_name(value),
    };
    if wanted.iter().any(fits) {
        return Ok(());
    }
    Err(refuse(
        path,
        &format!(
            "must be {}, not {}",
            article(wanted[0]),
            article(type_name(value))
        ),
    ))
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn article(type_name: &str) -> String {
    match type_name {
        "null" => "null".into(),
        "integer" | "array" | "object" => format!("an {type_name}"),
        other => format!("a {other}"),
    }
}

fn check_choice(schema: &Map<String, Value>, value: &Value, path: &str) -> Result<()> {
    if let Some(constant) = schema.get("const")
        && constant != value
    {
        return Err(not_one_of(value, std::slice::from_ref(constant), path));
    }
    match schema.get("enum").and_then(Value::as_array) {
        Some(choices) if !choices.contains(value) => Err(not_one_of(value, choices, path)),
        _ => Ok(()),
    }
}

fn not_one_of(value: &Value, choices: &[Value], path: &str) -> Error {
    let allowed: Vec<String> = choices.iter().map(shown).collect();
    refuse(
        path,
        &format!("is {}; allowed: {}", shown(value), allowed.join(", ")),
    )
}

/// Shows a scalar in backticks; longer or structured values only by their type.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if text.chars().count() <= SHOWN_CHARS => {
            format!("`{}`", text.escape_debug())
        }
        Value::Number(_) | Value::Bool(_) | Value::Null => format!("`{value}`"),
        other => article(type_name(other)),
    }
}

/// Returns a name for an error. A long one is not repeated: nobody could tell whether what is left
/// of it, when it is cut, is personal.
#[must_use]
pub fn shown_name(name: &str) -> &str {
    match name.char_indices().nth(SHOWN_CHARS) {
        None => name,
        Some(_) => "…",
    }
}

fn check_length(schema: &Map<String, Value>, text: &str, path: &str) -> Result<()> {
    // No backend but SQLite stores NUL, so none does.
    if text.contains('\0') {
        return Err(refuse(path, "must not contain a NUL character"));
    }
    if schema.get("format") == Some(&json!("date-time")) && text.starts_with(['-', '+']) {
        return Err(refuse(
            path,
            "must be a time of the years 0 to 9999, as in RFC 3339",
        ));
    }
    let length = text.chars().count() as u64;
    if schema.get("pattern") == Some(&json!(VISIBLE)) && text.trim().is_empty() && length > 0 {
        return Err(refuse(path, "must not be blank"));
    }
    let bound = |keyword| schema.get(keyword).and_then(Value::as_u64);
    if let Some(minimum) = bound("minLength").filter(|minimum| length < *minimum) {
        let problem = if minimum == 1 {
            "must not be empty".to_owned()
        } else {
            format!("must have at least {minimum} characters, has {length}")
        };
        return Err(refuse(path, &problem));
    }
    if let Some(maximum) = bound("maxLength").filter(|maximum| length > *maximum) {
        return Err(refuse(
            path,
            &format!("must have at most {maximum} characters, has {length}"),
        ));
    }
    Ok(())
}

fn check_range(schema: &Map<String, Value>, number: &serde_json::Number, path: &str) -> Result<()> {
    let outside =
        |keyword: &str, beyond: fn(f64, f64) -> bool, beyond_whole: fn(i64, i64) -> bool| {
            let bound = schema.get(keyword)?;
            let out = match (number.as_i64(), bound.as_i64()) {
                (Some(number), Some(bound)) => beyond_whole(number, bound),
                _ => beyond(number.as_f64()?, bound.as_f64()?),
            };
            out.then(|| bound.clone())
        };
    let low = outside("minimum", |n, b| n < b, |n, b| n < b);
    let high = outside("maximum", |n, b| n > b, |n, b| n > b);
    let out_of_range = number.is_u64()
        && number.as_i64().is_none()
        && schema.get("type") == Some(&json!("integer"));
    match (low, high) {
        (Some(minimum), _) => Err(refuse(
            path,
            &format!("must be at least {minimum}, is {number}"),
        )),
        (_, Some(maximum)) => Err(refuse(
            path,
            &format!("must be at most {maximum}, is {number}"),
        )),
        _ if out_of_range => Err(refuse(
            path,
            &format!("must be at most {}, is {number}", i64::MAX),
        )),
        _ => Ok(()),
    }
}

fn check_items(
    schema: &Map<String, Value>,
    components: &Components,
    items: &[Value],
    path: &str,
) -> Result<()> {
    let length = items.len() as u64;
    let bound = |keyword| schema.get(keyword).and_then(Value::as_u64);
    if let Some(minimum) = bound("minItems").filter(|minimum| length < *minimum) {
        return Err(refuse(
            path,
            &format!("must have at least {minimum} items, has {length}"),
        ));
    }
    if let Some(maximum) = bound("maxItems").filter(|maximum| length > *maximum) {
        return Err(refuse(
            path,
            &format!("must have at most {maximum} items, has {length}"),
        ));
    }
    let Some(element) = schema.get("items") else {
        return Ok(());
    };
    let element = resolve(element, components);
    if is_any_number(element) && items.iter().all(Value::is_number) {
        return Ok(());
    }
    // The path is only written for an error.
    let fails = |item: &Value| check(element, components, item, "").is_err();
    match items.iter().position(fails) {
        None => Ok(()),
        Some(index) => check(
            element,
            components,
            &items[index],
            &format!("{path}[{index}]"),
        ),
    }
}

fn check_fields(
    schema: &Map<String, Value>,
    components: &Components,
    fields: &Map<String, Value>,
    path: &str,
) -> Result<()> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let required = schema.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            return Err(refuse(&join(path, name), "is required"));
        }
    }
    for (name, value) in fields {
        match properties.and_then(|properties| properties.get(name)) {
            Some(property) => check(property, components, value, &join(path, name))?,
            None => check_unknown_field(schema, components, name, value, path)?,
        }
    }
    Ok(())
}

fn check_unknown_field(
    schema: &Map<String, Value>,
    components: &Components,
    name: &str,
    value: &Value,
    path: &str,
) -> Result<()> {
    match schema.get("additionalProperties") {
        Some(Value::Bool(false)) => {
            let known = schema.get("properties").and_then(Value::as_object);
            let known: Vec<&str> = known
                .into_iter()
                .flatten()
                .map(|(name, _)| name.as_str())
                .collect();
            let problem = format!("is not a known field; known: {}", known.join(", "));
            Err(refuse(&join(path, shown_name(name)), &problem))
        }
        Some(additional @ Value::Object(_)) => {
            check(additional, components, value, &join(path, name))
        }
        _ if name.contains('\0') => Err(refuse(path, "must not contain a NUL character")),
        _ => check_free_form(value, &join(path, name)),
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn refuse(path: &str, problem: &str) -> Error {
    if path.is_empty() {
        Error::new(crate::Code::InvalidInput, format!("the input {problem}"))
    } else {
        Error::invalid(path, problem)
    }
}

/// Reads the text of a query parameter or command-line option as the type its schema asks for.
///
/// Text that does not read as that type stays a string, which [`accept`] then refuses by name.
#[must_use]
pub fn from_text(schema: &Value, components: &Components, text: &str) -> Value {
    let schema = resolve(schema, components);
    let parsed = match schema.get("type").and_then(Value::as_str) {
        Some("integer" | "number") => serde_json::from_str(text).ok().filter(Value::is_number),
        Some("boolean") => text.parse().ok().map(Value::Bool),
        Some("array" | "object") => serde_json::from_str(text).ok(),
        None if schema.get("anyOf").is_none()
            && schema.get("oneOf").is_none()
            && schema.get("enum").is_none() =>
        {
            serde_json::from_str(text).ok()
        }
        _ => None,
    };
    parsed.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Whether a schema describes an array, so that its option or parameter may be repeated.
#[must_use]
pub fn is_array(schema: &Value, components: &Components) -> bool {
    resolve(schema, components).get("type") == Some(&json!("array"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(schema: Value, value: Value) -> String {
        let mut schema = schema;
        normalise(&mut schema);
        let mut value = value;
        accept(&schema, &Components::new(), &mut value)
            .expect_err("must be refused")
            .to_string()
    }

    #[test]
    fn optional_is_absent_and_never_null() {
        let mut schema = json!({"type": "object", "properties": {
            "limit": {"type": ["integer", "null"], "format": "uint32", "default": null},
            "kind": {"anyOf": [{"$ref": "#/components/schemas/Kind"}, {"type": "null"}]},
        }});
        normalise(&mut schema);
        assert_eq!(
            schema,
            json!({"type": "object", "properties": {
                "limit": {"type": "integer", "format": "int64", "minimum": 0, "maximum": 4_294_967_295_u32},
                "kind": {"$ref": "#/components/schemas/Kind"},
            }})
        );
        let mut answer = json!({"type": "object", "required": ["id", "note"], "properties": {
            "id": {"type": "string"}, "note": {"type": ["string", "null"]},
        }});
        normalise(&mut answer);
        assert_eq!(answer["required"], json!(["id"]));
        let mut value = json!({"limit": null});
        accept(&schema, &Components::new(), &mut value).expect("null stands for absent");
        assert_eq!(value, json!({}));
    }

    #[test]
    fn whole_floats_are_integers() {
        let schema = json!({"type": "object", "properties": {"id": {"type": "integer"}}});
        let mut value = json!({"id": 3.0});
        accept(&schema, &Components::new(), &mut value).expect("3.0 is whole");
        assert_eq!(value, json!({"id": 3}));
        assert_eq!(
            refused(schema, json!({"id": 3.5})),
            "`id` must be an integer, not a number"
        );
    }

    #[test]
    fn refusals_name_field_value_and_what_is_allowed() {
        let schema = json!({"type": "object", "additionalProperties": false, "required": ["text"], "properties": {
            "text": {"type": "string", "minLength": 1},
            "state": {"enum": ["new", "old"]},
            "tags": {"type": "array", "items": {"type": "string", "maxLength": 3}, "maxItems": 2},
            "share": {"type": "number", "minimum": 0, "maximum": 1},
        }});
        let check = |value, expected: &str| assert_eq!(refused(schema.clone(), value), expected);
        check(json!({}), "`text` is required");
        check(json!({"text": ""}), "`text` must not be empty");
        check(json!({"text": 1}), "`text` must be a string, not a number");
        check(
            json!({"text": "a", "state": "mid"}),
            "`state` is `mid`; allowed: `new`, `old`",
        );
        check(
            json!({"text": "a", "tags": ["abcd"]}),
            "`tags[0]` must have at most 3 characters, has 4",
        );
        check(
            json!({"text": "a", "tags": ["a", "b", "c"]}),
            "`tags` must have at most 2 items, has 3",
        );
        check(
            json!({"text": "a", "share": 1.5}),
            "`share` must be at most 1, is 1.5",
        );
        check(
            json!({"text": "a", "x": 1}),
            "`x` is not a known field; known: share, state, tags, text",
        );
        check(json!([]), "the input must be an object, not an array");
    }

    #[test]
    fn fields_that_exclude_each_other_are_named() {
        let schema = json!({
            "type": "object", "properties": {
                "due": {"type": "string"}, "never": {"type": "boolean"}, "number": {"type": "integer"},
                "name": {"type": "string"},
            },
            "not": {"anyOf": [
                {"required": ["number", "name"]},
                {"required": ["due", "never"], "properties": {"never": {"const": true}}},
            ]},
        });
        let check = |value, expected: &str| assert_eq!(refused(schema.clone(), value), expected);
        check(
            json!({"number": 1, "name": "one"}),
            "`name` cannot be given with `number`; leave one out",
        );
        check(
            json!({"due": "now", "never": true}),
            "`never` cannot be given with `due`; leave one out",
        );
        let mut value = json!({"due": "now", "never": false, "name": "one", "number": null});
        accept(&schema, &Components::new(), &mut value).expect("nothing is said twice");
    }

    #[test]
    fn text_that_must_show_something_is_not_blank() {
        let schema = json!({"type": "object", "properties": {"text": {"type": "string", "pattern": VISIBLE}}});
        assert_eq!(
            refused(schema, json!({"text": " \t\u{c}"})),
            "`text` must not be blank"
        );
    }

    #[test]
    fn long_values_are_not_repeated() {
        let message = refused(
            json!({"type": "object", "properties": {"state": {"enum": ["a"]}}}),
            json!({"state": "x".repeat(41)}),
        );
        assert_eq!(message, "`state` is a string; allowed: `a`");
    }

    #[test]
    fn standalone_schemas_carry_what_they_name() {
        let components = json!({
            "A": {"properties": {"b": {"$ref": "#/components/schemas/B"}}}, "B": {"type": "string"}, "C": {},
        });
        let alone = standalone(
            &json!({"$ref": "#/components/schemas/A"}),
            components.as_object().expect("an object"),
        );
        assert_eq!(
            alone,
            json!({"$ref": "#/$defs/A", "$defs": {
                "A": {"properties": {"b": {"$ref": "#/$defs/B"}}}, "B": {"type": "string"},
            }})
        );
    }
}
