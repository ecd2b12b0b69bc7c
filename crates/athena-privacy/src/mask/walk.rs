//! Every text in the arguments of a call, in an order that does not depend on what they say.

use athena_core::TEXT_KIND;
use athena_core::schema::{Components, resolve, type_of};
use serde_json::{Map, Value};

/// A text in the arguments.
#[derive(Debug)]
pub(super) struct Leaf<'a> {
    /// The text.
    pub(super) text: &'a mut String,
    /// The name of the field that it is in.
    pub(super) name: &'a str,
    /// The name of the field that this one is in.
    pub(super) parent: Option<&'a str>,
    /// The project that the object around it names.
    pub(super) project: Option<&'a str>,
    /// What it is.
    pub(super) kind: TextKind,
    /// Characters that it may have.
    pub(super) max_length: Option<usize>,
}

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextKind {
    Plain,
    /// A path in the file system.
    Path,
    /// The name of a project.
    Project,
}

/// Digits from which on a bare number may be one of a person.
const FEWEST_DIGITS: usize = 7;

/// A walk over arguments, guided by their schema.
pub(super) struct Walk<'a> {
    components: &'a Components,
}

/// Where the walk is.
#[derive(Clone, Copy)]
struct Place<'a> {
    name: &'a str,
    parent: Option<&'a str>,
    project: Option<&'a str>,
}

type Visit<'v> = &'v mut dyn FnMut(&mut Leaf<'_>);

impl<'a> Walk<'a> {
    pub(super) fn new(components: &'a Components) -> Self {
        Self { components }
    }

    /// Visits every text.
    pub(super) fn over(&self, schema: &Value, arguments: &mut Value, visit: Visit<'_>) {
        let place = Place {
            name: "",
            parent: None,
            project: None,
        };
        self.value(schema, arguments, place, visit);
    }

    fn value(&self, schema: &Value, value: &mut Value, place: Place<'_>, visit: Visit<'_>) {
        let schema = resolve(schema, self.components);
        match value {
            Value::String(text) => self.text(schema, text, place, visit),
            Value::Array(items) => {
                let free = Value::Bool(true);
                let item_schema = schema.get("items").unwrap_or(&free);
                let item_schema = resolve(item_schema, self.components);
                // Vectors: many numbers, none of which is a text.
                if matches!(type_of(item_schema), Some("number" | "integer")) {
                    return;
                }
                for item in items {
                    self.value(item_schema, item, place, visit);
                }
            }
            Value::Object(fields) => self.object(schema, fields, place, visit),
            Value::Number(_) if is_free(schema) => number(value, place, visit),
            Value::Number(_) | Value::Bool(_) | Value::Null => {}
        }
    }

    fn text(&self, schema: &Value, text: &mut String, place: Place<'_>, visit: Visit<'_>) {
        let kind = kind_of(schema);
        if kind == Some("raw") || is_closed(schema, self.components) {
            return;
        }
        let max_length = schema.get("maxLength").and_then(Value::as_u64);
        visit(&mut Leaf {
            text,
            name: place.name,
            parent: place.parent,
            project: place.project,
            kind: match kind {
                Some("path") => TextKind::Path,
                Some("project") => TextKind::Project,
                _ if ["project", "projects"].contains(&place.name) => TextKind::Project,
                _ => TextKind::Plain,
            },
            max_length: max_length.and_then(|length| usize::try_from(length).ok()),
        });
    }

    fn object(
        &self,
        schema: &Value,
        fields: &mut Map<String, Value>,
        place: Place<'_>,
        visit: Visit<'_>,
    ) {
        let declared = schema.get("properties").and_then(Value::as_object);
        let field_schema = |name: &str| declared.and_then(|declared| declared.get(name));
        // Of several candidates any would do: a schema has one.
        let own_project = fields.iter().find_map(|(name, value)| {
            let schema = resolve(field_schema(name)?, self.components);
            let names_it = name == "project" || kind_of(schema) == Some("project");
            value.as_str().filter(|_| names_it).map(str::to_owned)
        });
        for (name, value) in fields.iter_mut() {
            let place = Place {
                name,
                parent: Some(place.name),
                project: own_project.as_deref().or(place.project),
            };
            let schema = field_schema(name).unwrap_or(&Value::Bool(true));
            self.value(schema, value, place, visit);
        }
        if declared.is_none() {
            keys(fields, place, visit);
        }
    }
}

/// Visits the names in an object that no schema describes: `{"a@b.co": 1}` is personal too.
fn keys(fields: &mut Map<String, Value>, place: Place<'_>, visit: Visit<'_>) {
    let names: Vec<String> = fields.keys().cloned().collect();
    for name in names {
        let mut changed = name.clone();
        visit(&mut Leaf {
            text: &mut changed,
            name: "",
            parent: Some(place.name),
            project: place.project,
            kind: TextKind::Plain,
            max_length: None,
        });
        if changed != name
            && let Some(value) = fields.remove(&name)
        {
            fields.insert(changed, value);
        }
    }
}

/// Visits a number as the text that it would be: `{"phone": 491511234567}` is personal too.
fn number(value: &mut Value, place: Place<'_>, visit: Visit<'_>) {
    let digits = value.to_string();
    if digits.len() < FEWEST_DIGITS || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return;
    }
    let mut text = digits.clone();
    visit(&mut Leaf {
        text: &mut text,
        name: place.name,
        parent: place.parent,
        project: place.project,
        kind: TextKind::Plain,
        max_length: None,
    });
    if text != digits {
        *value = Value::String(text);
    }
}

/// Whether a schema leaves open what is there.
fn is_free(schema: &Value) -> bool {
    schema
        .as_object()
        .is_none_or(|schema| !schema.contains_key("type"))
}

/// Whether a text is one of a closed list, a time or an id, which Athena makes sense of itself.
fn is_closed(schema: &Value, components: &Components) -> bool {
    let has = |keyword| schema.get(keyword).is_some();
    has("const") || has("format") || athena_core::schema::choices(schema, components).is_some()
}

/// What a schema says of a text beyond its type.
fn kind_of(schema: &Value) -> Option<&str> {
    schema.get(TEXT_KIND).and_then(Value::as_str)
}
