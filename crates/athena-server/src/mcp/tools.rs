//! The list of tools.

use crate::mcp::{directory, outline};
use athena_core::{Effect, Entry, Registry};
use rmcp::model::{Tool, ToolAnnotations};
use serde_json::Value;
use std::sync::Arc;

/// Returns the list of tools as clients receive it, to measure and compare it.
///
/// # Panics
///
/// Never: tools are made of JSON.
#[must_use]
pub fn tool_list(registry: &Registry) -> String {
    serde_json::to_string(&all(registry)).expect("tools are made of JSON")
}

/// Makes the tools: those that operations name, in the order of the registry, then the two that
/// reach all other operations, if there are any.
pub(super) fn all(registry: &Registry) -> Vec<Tool> {
    let entries = registry.entries();
    let named = entries
        .iter()
        .filter_map(|entry| Some(tool(registry, entry, entry.spec.tool?)));
    let has_others = directory::entries(registry).any(|entry| entry.spec.tool.is_none());
    named
        .chain(has_others.then(directory::tools).into_iter().flatten())
        .collect()
}

/// Finds an operation that agents may call by its name or that of its tool.
pub(super) fn entry<'a>(registry: &'a Registry, name: &str) -> Option<&'a Entry> {
    directory::entries(registry)
        .find(|entry| entry.spec.name == name || entry.spec.tool == Some(name))
}

fn tool(registry: &Registry, entry: &Entry, name: &'static str) -> Tool {
    let description = outline::first_paragraph(&entry.description);
    let input = object(outline::tool_input(&entry.input, registry.components()));
    let output = object(outline::output(&entry.output, registry.components()));
    Tool::new(name, description, input)
        .with_raw_output_schema(Arc::new(output))
        .with_annotations(annotations(
            entry.spec.effect,
            entry.spec.idempotent,
            title(name),
        ))
}

pub(super) fn annotations(effect: Effect, is_idempotent: bool, title: String) -> ToolAnnotations {
    ToolAnnotations::with_title(title)
        .read_only(effect == Effect::Read)
        .destructive(effect == Effect::Destructive)
        .idempotent(is_idempotent)
        .open_world(false)
}

/// Turns `search_tools` into `Search tools`.
pub(super) fn title(name: &str) -> String {
    let words = name.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

pub(super) fn object(schema: Value) -> serde_json::Map<String, Value> {
    match schema {
        Value::Object(object) => object,
        _ => unreachable!("schemas of inputs and outputs are objects"),
    }
}
