//! Schemas as tools show them: everything a model needs to call, in few bytes.
//!
//! A client sends the list of tools to its model with every conversation. So references are
//! written out, enumerations are plain lists, and what the registry says anyway when it refuses
//! (how long a text may be, how many items a list may have) is left out.
//!
//! A field that is marked `"x-advanced": true` in its schema, and a list of numbers, which no
//! model can write, are not shown in the list of tools. They are accepted all the same, and
//! `search_tools` shows them.

use athena_core::schema::{self, Components};
use serde_json::{Map, Value, json};

/// The keyword that marks a field as too special for the list of tools.
const ADVANCED: &str = "x-advanced";

/// How much of a schema is shown, and how deep: objects below that are any object.
#[derive(Clone, Copy, PartialEq)]
enum Detail {
    /// All of an input.
    Input,
    /// What a model needs of an input.
    Tool,
    /// What is always in an output, and of what type.
    Output,
}

impl Detail {
    fn depth(self) -> usize {
        match self {
            Self::Input | Self::Tool => 4,
            Self::Output => 3,
        }
    }

    fn keywords(self) -> &'static [&'static str] {
        match self {
            Self::Input => &[
                "type",
                "required",
                "default",
                "minimum",
                "maximum",
                "minLength",
                "maxLength",
                "minItems",
                "maxItems",
                "pattern",
            ],
            Self::Tool => &["type", "required", "default", "minimum", "maximum"],
            Self::Output => &["type"],
        }
    }

    fn has_descriptions(self) -> bool {
        self != Self::Output
    }
}

/// Returns the schema of an input with all its fields.
pub(super) fn input(schema: &Value, components: &Components) -> Value {
    let detail = Detail::Input;
    let mut outline = Outline { components, detail }.write(schema, detail.depth());
    if schema["additionalProperties"] == false {
        outline["additionalProperties"] = json!(false);
    }
    outline
}

/// Returns the schema of an input with the fields that the list of tools shows.
///
/// It does not say that there are no others.
pub(super) fn tool_input(schema: &Value, components: &Components) -> Value {
    let detail = Detail::Tool;
    Outline { components, detail }.write(schema, detail.depth())
}

/// Returns the shape of an output.
pub(super) fn output(schema: &Value, components: &Components) -> Value {
    let detail = Detail::Output;
    Outline { components, detail }.write(schema, detail.depth())
}

/// Returns the first paragraph of a text, as one line.
pub(super) fn first_paragraph(text: &str) -> String {
    text.split("\n\n")
        .next()
        .unwrap_or(text)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

struct Outline<'a> {
    components: &'a Components,
    detail: Detail,
}

impl Outline<'_> {
    fn write(&self, schema: &Value, depth: usize) -> Value {
        let target = schema::resolve(schema, self.components);
        let mut outline = Map::new();
        if let Some(choices) = schema::choices(schema, self.components) {
            self.write_choices(&mut outline, choices);
        } else {
            self.write_keywords(&mut outline, target);
            self.write_parts(&mut outline, target, depth);
        }
        let description = schema
            .get("description")
            .or_else(|| target.get("description"));
        if self.detail.has_descriptions()
            && let Some(text) = description.and_then(Value::as_str)
        {
            outline.insert("description".into(), json!(first_sentence(text)));
        }
        Value::Object(outline)
    }

    fn write_choices(&self, outline: &mut Map<String, Value>, choices: Vec<Value>) {
        if choices.iter().all(Value::is_string) {
            outline.insert("type".into(), json!("string"));
        }
        if self.detail != Detail::Output {
            outline.insert("enum".into(), Value::Array(choices));
        }
    }

    fn write_keywords(&self, outline: &mut Map<String, Value>, schema: &Value) {
        for keyword in self.detail.keywords() {
            let value = schema.get(keyword).filter(|value| !says_nothing(value));
            if let Some(value) = value {
                outline.insert((*keyword).into(), value.clone());
            }
        }
    }

    /// Writes what is inside of objects and arrays.
    fn write_parts(&self, outline: &mut Map<String, Value>, schema: &Value, depth: usize) {
        if depth == 0 {
            outline.remove("required");
            return;
        }
        if let Some(Value::Object(properties)) = schema.get("properties") {
            let properties = properties
                .iter()
                .filter(|(name, property)| self.shows(schema, name, property))
                .map(|(name, property)| (name.clone(), self.write(property, depth - 1)));
            outline.insert("properties".into(), Value::Object(properties.collect()));
        }
        if let Some(items) = schema.get("items") {
            let mut items = self.write(items, depth - 1);
            if self.detail == Detail::Tool
                && let Some(items) = items.as_object_mut()
            {
                items.remove("description");
            }
            outline.insert("items".into(), items);
        }
        for keyword in ["anyOf", "oneOf"] {
            if let Some(Value::Array(branches)) = schema.get(keyword) {
                let branches = branches.iter().map(|branch| self.write(branch, depth - 1));
                outline.insert(keyword.into(), Value::Array(branches.collect()));
            }
        }
    }

    fn shows(&self, schema: &Value, name: &str, property: &Value) -> bool {
        let is_required = schema["required"]
            .as_array()
            .is_some_and(|names| names.iter().any(|required| required == name));
        match self.detail {
            Detail::Input => true,
            Detail::Output => is_required,
            Detail::Tool => is_required || !self.is_advanced(property),
        }
    }

    fn is_advanced(&self, property: &Value) -> bool {
        let shape = schema::resolve(property, self.components);
        let is_numbers = shape["type"] == "array"
            && schema::resolve(&shape["items"], self.components)["type"] == "number";
        is_numbers || property[ADVANCED] == true || shape[ADVANCED] == true
    }
}

/// Whether a keyword's value is what holds without it.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Bool(is_set) => !is_set,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        bound => *bound == json!(i64::MIN) || *bound == json!(i64::MAX),
    }
}

fn first_sentence(text: &str) -> String {
    let paragraph = first_paragraph(text);
    let sentence = paragraph
        .split_once(". ")
        .map_or(paragraph.as_str(), |(sentence, _)| sentence);
    sentence.strip_suffix('.').unwrap_or(sentence).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn components() -> Components {
        let components = json!({
            "Kind": {"oneOf": [
                {"const": "fact", "type": "string", "description": "Something that is so."},
                {"const": "plan", "type": "string", "description": "Something to be done."},
            ]},
            "Node": {"type": "object", "required": ["id"], "properties": {
                "id": {"type": "integer", "format": "int64", "minimum": i64::MIN, "maximum": i64::MAX},
                "next": {"$ref": "#/components/schemas/Node"},
            }},
        });
        components.as_object().unwrap().clone()
    }

    #[test]
    fn inputs_keep_what_a_caller_needs() {
        let schema = json!({"type": "object", "additionalProperties": false, "required": ["kind"], "properties": {
            "kind": {"$ref": "#/components/schemas/Kind", "description": "What it is. Rarely\nneeded."},
            "limit": {"type": "integer", "format": "int64", "minimum": 1, "maximum": i64::MAX, "default": 10},
            "title": {"type": "string", "maxLength": 9},
            "vector": {"type": "array", "items": {"type": "number"}},
            "depth": {"type": "integer", "x-advanced": true},
        }});
        let kind = json!({"type": "string", "enum": ["fact", "plan"], "description": "What it is"});
        let limit = json!({"type": "integer", "minimum": 1, "default": 10});
        assert_eq!(
            tool_input(&schema, &components()),
            json!({"type": "object", "required": ["kind"], "properties": {
                "kind": kind, "limit": limit, "title": {"type": "string"},
            }})
        );
        assert_eq!(
            input(&schema, &components())["properties"],
            json!({
                "kind": kind, "limit": limit, "title": {"type": "string", "maxLength": 9},
                "vector": {"type": "array", "items": {"type": "number"}}, "depth": {"type": "integer"},
            })
        );
    }

    #[test]
    fn outputs_are_what_is_always_there() {
        let schema = json!({"type": "object", "required": ["kind", "node", "nodes"], "properties": {
            "kind": {"$ref": "#/components/schemas/Kind"},
            "node": {"$ref": "#/components/schemas/Node"},
            "nodes": {"type": "array", "items": {"$ref": "#/components/schemas/Node"}},
            "note": {"type": "string"},
        }});
        let node = json!({"type": "object", "properties": {"id": {"type": "integer"}}});
        assert_eq!(
            output(&schema, &components()),
            json!({"type": "object", "properties": {
                "kind": {"type": "string"}, "node": node, "nodes": {"type": "array", "items": node},
            }})
        );
    }

    #[test]
    fn schemas_that_contain_themselves_end() {
        let node = json!({"$ref": "#/components/schemas/Node"});
        let text = input(&node, &components()).to_string();
        assert_eq!(text.matches("next").count(), 4, "{text}");
    }
}
