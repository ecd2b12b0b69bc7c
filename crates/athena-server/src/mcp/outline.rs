//! Schemas as tools show them: everything a model needs to call, in few bytes.
//!
//! A client sends the list of tools to its model with every conversation. So references are
//! written out, enumerations are plain lists, the bounds of 64-bit integers are left out, and
//! outputs are shapes without prose. The registry checks arguments against the full schema, and
//! says what is wrong with them.

use athena_core::schema::{self, Components};
use serde_json::{Map, Value, json};

/// How deep objects are described; what is inside of deeper ones is any object.
const INPUT_DEPTH: usize = 4;
const OUTPUT_DEPTH: usize = 3;

/// What an input is checked against and a model can use.
const INPUT_KEYWORDS: [&str; 10] = [
    "type",
    "required",
    "default",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "pattern",
];

/// Returns the schema of an input, with its descriptions shortened to a sentence.
pub(super) fn input(schema: &Value, components: &Components) -> Value {
    let mut outline = Outline {
        components,
        is_input: true,
    }
    .write(schema, INPUT_DEPTH);
    if schema["additionalProperties"] == false {
        outline["additionalProperties"] = json!(false);
    }
    outline
}

/// Returns the shape of an output.
pub(super) fn output(schema: &Value, components: &Components) -> Value {
    Outline {
        components,
        is_input: false,
    }
    .write(schema, OUTPUT_DEPTH)
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
    is_input: bool,
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
        if self.is_input
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
        if self.is_input {
            outline.insert("enum".into(), Value::Array(choices));
        }
    }

    fn write_keywords(&self, outline: &mut Map<String, Value>, schema: &Value) {
        let keywords: &[&str] = if self.is_input {
            &INPUT_KEYWORDS
        } else {
            &["type", "required"]
        };
        for keyword in keywords {
            match schema.get(keyword) {
                Some(bound) if *bound == json!(i64::MIN) || *bound == json!(i64::MAX) => {}
                Some(value) => drop(outline.insert((*keyword).into(), value.clone())),
                None => {}
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
                .map(|(name, property)| (name.clone(), self.write(property, depth - 1)));
            outline.insert("properties".into(), Value::Object(properties.collect()));
        }
        if let Some(items) = schema.get("items") {
            outline.insert("items".into(), self.write(items, depth - 1));
        }
        for keyword in ["anyOf", "oneOf"] {
            if let Some(Value::Array(branches)) = schema.get(keyword) {
                let branches = branches.iter().map(|branch| self.write(branch, depth - 1));
                outline.insert(keyword.into(), Value::Array(branches.collect()));
            }
        }
    }
}

fn first_sentence(text: &str) -> String {
    let paragraph = first_paragraph(text);
    paragraph.split_once(". ").map_or_else(
        || paragraph.strip_suffix('.').unwrap_or(&paragraph).to_owned(),
        |(sentence, _)| sentence.to_owned(),
    )
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
        }});
        assert_eq!(
            input(&schema, &components()),
            json!({"type": "object", "additionalProperties": false, "required": ["kind"], "properties": {
                "kind": {"type": "string", "enum": ["fact", "plan"], "description": "What it is"},
                "limit": {"type": "integer", "minimum": 1, "default": 10},
            }})
        );
    }

    #[test]
    fn outputs_are_shapes_of_limited_depth() {
        let node = json!({"$ref": "#/components/schemas/Node"});
        assert_eq!(
            output(&node, &components()),
            json!({"type": "object", "required": ["id"], "properties": {
                "id": {"type": "integer"},
                "next": {"type": "object", "required": ["id"], "properties": {
                    "id": {"type": "integer"},
                    "next": {"type": "object", "required": ["id"], "properties": {
                        "id": {"type": "integer"},
                        "next": {"type": "object"},
                    }},
                }},
            }})
        );
    }
}
