//! The operations that are no tool of their own: found by words, called by name.

use crate::mcp::{outline, tools};
use athena_core::{Effect, Entry, Error, Registry, Result, schema};
use rmcp::model::Tool;
use serde_json::{Value, json};
use std::sync::Arc;

/// The tool that finds operations.
pub(super) const SEARCH: &str = "search_tools";
/// The tool that calls them.
pub(super) const CALL: &str = "call_tool";

const DEFAULT_LIMIT: usize = 5;
const MAXIMUM_LIMIT: usize = 50;

/// A call of an operation by its name.
pub(super) struct Call {
    pub(super) name: String,
    pub(super) arguments: Value,
}

/// Makes the two tools.
pub(super) fn tools() -> [Tool; 2] {
    let search = Tool::new(
        SEARCH,
        "Finds operations that are not listed as tools, with their arguments. Without words, lists all names.",
        tools::object(search_input()),
    );
    let call = Tool::new(
        CALL,
        "Runs an operation that search_tools found.",
        tools::object(call_input()),
    );
    [
        search
            .with_raw_output_schema(Arc::new(tools::object(search_output())))
            .with_annotations(tools::annotations(Effect::Read, true, tools::title(SEARCH))),
        call.with_annotations(tools::annotations(
            Effect::Destructive,
            false,
            tools::title(CALL),
        )),
    ]
}

fn search_input() -> Value {
    json!({"type": "object", "additionalProperties": false, "properties": {
        "query": {"type": "string", "maxLength": 200, "description": "Words of what you want to do"},
        "limit": {"type": "integer", "minimum": 1, "maximum": MAXIMUM_LIMIT, "default": DEFAULT_LIMIT},
    }})
}

fn search_output() -> Value {
    let operation = json!({"type": "object", "properties": {
        "name": {"type": "string"},
        "description": {"type": "string"},
    }});
    json!({"type": "object", "properties": {"operations": {"type": "array", "items": operation}}})
}

fn call_input() -> Value {
    json!({"type": "object", "additionalProperties": false, "required": ["name"], "properties": {
        "name": {"type": "string", "description": "Such as `memory.list`"},
        "arguments": {"type": "object", "default": {}},
    }})
}

/// Returns the operations that agents may call.
pub(super) fn entries(registry: &Registry) -> impl Iterator<Item = &Entry> {
    let entries = registry.entries().iter();
    entries.filter(|entry| entry.spec.for_agents)
}

/// Finds the operations whose name and description share most words with the query.
pub(super) fn search(registry: &Registry, mut arguments: Value) -> Result<Value> {
    schema::accept(&search_input(), registry.components(), &mut arguments)?;
    let limit = arguments["limit"]
        .as_u64()
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(DEFAULT_LIMIT);
    let query = arguments["query"].as_str().unwrap_or("");
    let wanted: Vec<String> = words(query).collect();
    if wanted.is_empty() {
        return Ok(json!({"operations": entries(registry).map(brief).collect::<Vec<_>>()}));
    }
    let mut ranked: Vec<(usize, &Entry)> = entries(registry)
        .map(|entry| (score(entry, &wanted), entry))
        .filter(|(score, _)| *score > 0)
        .collect();
    // Stable: equals stay in the order of the registry.
    ranked.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    let found: Vec<Value> = ranked
        .iter()
        .take(limit)
        .map(|(_, entry)| full(registry, entry))
        .collect();
    Ok(json!({"operations": found}))
}

/// Reads the arguments of a call by name.
pub(super) fn call(mut arguments: Value) -> Result<Call> {
    schema::accept(&call_input(), &schema::Components::new(), &mut arguments)?;
    let name = arguments["name"].as_str().unwrap_or_default().to_owned();
    if name == CALL || name == SEARCH {
        return Err(Error::invalid(
            "name",
            format_args!("is `{name}`, which is a tool of its own"),
        ));
    }
    let arguments = arguments
        .get_mut("arguments")
        .map_or_else(|| json!({}), Value::take);
    Ok(Call { name, arguments })
}

fn brief(entry: &Entry) -> Value {
    json!({"name": entry.spec.name, "description": entry.summary})
}

fn full(registry: &Registry, entry: &Entry) -> Value {
    let effect = match entry.spec.effect {
        Effect::Read => "read",
        Effect::Write => "write",
        Effect::Destructive => "destructive",
    };
    json!({
        "name": entry.spec.name,
        "description": entry.description,
        "effect": effect,
        "arguments": outline::input(&entry.input, registry.components()),
    })
}

/// Counts the wanted words: three for one in the name, one for one in the description.
fn score(entry: &Entry, wanted: &[String]) -> usize {
    let name: Vec<String> = words(entry.spec.name).collect();
    let description: Vec<String> = words(&entry.description).collect();
    let has = |known: &[String], word: &str| {
        known.iter().any(|known| {
            known.starts_with(word) || word.starts_with(known.as_str()) && known.len() > 3
        })
    };
    wanted
        .iter()
        .map(|word| 3 * usize::from(has(&name, word)) + usize::from(has(&description, word)))
        .sum()
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use athena_core::{Ctx, Operation, Spec};
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    /// Tells what only people may hear.
    #[derive(Deserialize, JsonSchema)]
    struct Tell {}

    #[derive(Serialize, JsonSchema)]
    struct Told {}

    impl Operation for Tell {
        const SPEC: Spec = Spec::act("people.tell", "/tell").not_for_agents();
        type Output = Told;

        async fn call(self, _ctx: &Ctx) -> Result<Told> {
            Ok(Told {})
        }
    }

    #[test]
    fn what_is_not_for_agents_is_neither_listed_nor_found_nor_called() {
        let registry = Registry::new().with::<Tell>();
        for query in [json!({}), json!({"query": "tell people"})] {
            let found = search(&registry, query).unwrap();
            assert_eq!(found, json!({"operations": []}));
        }
        assert!(tools::entry(&registry, "people.tell").is_none());
        assert!(tools::all(&registry).is_empty());
    }
}
