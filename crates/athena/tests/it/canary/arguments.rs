//! Arguments of operations, made from their schemas, with personal data wherever text may stand.

use super::needs::{Given, Known, given};
use super::values::Canary;
use athena_core::schema::{self, Components};
use athena_core::{Entry, TEXT_KIND};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The most that is put into one text, in characters.
const TEXT_CHARS: usize = 20_000;

/// The values that are still to be written.
pub(crate) struct Feed<'a>(Vec<&'a Canary>);

impl<'a> Feed<'a> {
    /// Begins with all of them.
    pub(crate) fn of(canaries: &'a [Canary]) -> Self {
        // The next is taken from the end.
        Self(canaries.iter().rev().collect())
    }

    /// Begins anew behind what is left, once that is little.
    pub(crate) fn go_on(&mut self, canaries: &'a [Canary]) {
        if self.0.len() < canaries.len() / 2 {
            let left = std::mem::take(&mut self.0);
            self.0 = canaries.iter().rev().chain(left).collect();
        }
    }

    /// Takes the next one of those that are suitable.
    pub(crate) fn next(&mut self, suits: impl Fn(&Canary) -> bool) -> Option<&'a Canary> {
        let at = self.0.iter().rposition(|canary| suits(canary))?;
        Some(self.0.remove(at))
    }
}

/// How many values of each kind were put somewhere.
pub(crate) type Put = BTreeMap<&'static str, u64>;

/// Makes the arguments of one call.
pub(crate) struct Arguments<'a, 'c> {
    pub(crate) components: &'a Components,
    pub(crate) feed: &'a mut Feed<'c>,
    pub(crate) known: &'a Known,
    /// The operation.
    pub(crate) operation: &'static str,
    /// Counts the calls.
    pub(crate) turn: usize,
    /// A word that is in no other call.
    pub(crate) word: &'a str,
    /// How many values of each kind were put in.
    pub(crate) put: Put,
}

impl Arguments<'_, '_> {
    /// Returns the arguments.
    pub(crate) fn of(&mut self, entry: &Entry) -> Value {
        self.value("", &entry.input, true).unwrap_or_default()
    }

    fn value(&mut self, name: &str, schema: &Value, required: bool) -> Option<Value> {
        let schema = schema::resolve(schema, self.components);
        match given(self.operation, name, self.turn) {
            Some(Given::Named(what)) => return Some(self.known.get(what).clone()),
            Some(Given::Always(json)) => return serde_json::from_str(json).unwrap(),
            Some(Given::Nothing) => return None,
            Some(Given::Behind(start)) => return self.behind(start, name, schema),
            None => {}
        }
        if let Some(choices) = schema::choices(schema, self.components) {
            return choices.into_iter().next();
        }
        match (name, schema["type"].as_str()) {
            ("to", Some("integer")) => Some(self.known.get("other").clone()),
            (_, Some("string")) => self.text(name, schema, required).map(Value::from),
            (_, Some("integer" | "number")) => required.then(|| schema["minimum"].clone()),
            (_, Some("boolean")) => required.then_some(Value::Bool(true)),
            (_, Some("array")) => self.list(name, schema),
            (_, Some("object")) if schema.get("properties").is_none() => Some(self.open(schema)),
            // A number or a name.
            _ if schema["type"].is_array() => None,
            _ => Some(self.object(schema)),
        }
    }

    /// Returns personal text behind a beginning that a field must have.
    fn behind(&mut self, start: &str, name: &str, schema: &Value) -> Option<Value> {
        // What is masked may be longer, and has to fit too.
        let most = schema["maxLength"].as_u64().map(|most| most / 2);
        let text = self.prose(name, most, true)?;
        Some(format!("{start}{text}").into())
    }

    fn object(&mut self, schema: &Value) -> Value {
        let fields = schema["properties"].as_object().into_iter().flatten();
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let mut object = Map::new();
        for (name, field) in fields {
            let is_required = required.iter().any(|it| it == name);
            if let Some(value) = self.value(name, field, is_required) {
                object.insert(name.clone(), value);
            }
        }
        Value::Object(object)
    }

    fn list(&mut self, name: &str, schema: &Value) -> Option<Value> {
        let item = schema::resolve(&schema["items"], self.components);
        if name == "projects" || matches!(item["type"].as_str(), Some("number" | "integer")) {
            return None;
        }
        let length = if name == "relations" { 1 } else { 2 };
        let items: Vec<Value> = (0..length)
            .filter_map(|_| self.value("", item, true))
            .collect();
        (!items.is_empty()).then_some(Value::Array(items))
    }

    fn text(&mut self, name: &str, schema: &Value, required: bool) -> Option<String> {
        let is_free = match schema["pattern"].as_str() {
            None => true,
            Some(pattern) => [r"\S", r"^[^\u0000]*$"].contains(&pattern),
        };
        match (name, schema["format"].as_str(), schema[TEXT_KIND].as_str()) {
            ("name", _, Some("project")) => Some(self.known_text("project")),
            ("project", ..) => None,
            ("to", Some("uuid"), _) => Some(self.known_text("uid")),
            (_, Some(_), _) => None,
            _ if !is_free => None,
            (_, _, Some("path")) => self.path(),
            _ => self.prose(name, schema["maxLength"].as_u64(), required),
        }
    }

    fn known_text(&self, what: &str) -> String {
        self.known.get(what).as_str().unwrap().to_owned()
    }

    fn path(&mut self) -> Option<String> {
        let home = self.feed.next(|canary| canary.kind == "path")?;
        *self.put.entry(home.kind).or_default() += 1;
        Some(format!("{}/{}", home.value, self.word))
    }

    /// Returns as many values, with the words around them, as there is room for.
    fn prose(&mut self, name: &str, most: Option<u64>, required: bool) -> Option<String> {
        let most = most.map_or(TEXT_CHARS, |most| {
            usize::try_from(most).unwrap().min(TEXT_CHARS)
        });
        let mut text = String::new();
        if name == "content" {
            text = format!("The word is {}.", self.word);
        }
        while let Some(canary) = self
            .feed
            .next(|it| text.len() + 1 + it.phrase.len() <= most)
        {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&canary.phrase);
            // All of a diff is redacted as one, whatever is in it.
            if name != "diff" {
                *self.put.entry(canary.kind).or_default() += 1;
            }
        }
        if text.is_empty() && required {
            text = self.word.chars().take(most).collect();
        }
        (!text.is_empty()).then_some(text)
    }

    /// Returns an object with names of its own.
    fn open(&mut self, schema: &Value) -> Value {
        match schema["additionalProperties"]["type"].as_str() {
            Some("number") => {
                json!({self.one(|it| it.kind != "secret" && it.phrase.len() < 50): 1.5})
            }
            _ => self.metadata(),
        }
    }

    /// Returns an object that no schema describes: values, nested ones, names and numbers.
    fn metadata(&mut self) -> Value {
        let mut object = Map::new();
        object.insert("note".into(), json!({"said": [self.one(|_| true)]}));
        object.insert(self.one(|it| it.kind != "secret"), json!("as a name"));
        for (name, kind) in [("phone", "phone"), ("card_number", "credit_card")] {
            if let Some(canary) = self.feed.next(|it| it.kind == kind) {
                *self.put.entry(canary.kind).or_default() += 1;
                let digits = canary.needles.iter().find_map(|it| it.parse::<u64>().ok());
                object.insert(name.into(), json!(digits));
            }
        }
        Value::Object(object)
    }

    fn one(&mut self, suits: impl Fn(&Canary) -> bool) -> String {
        let Some(canary) = self.feed.next(suits) else {
            return self.word.to_owned();
        };
        *self.put.entry(canary.kind).or_default() += 1;
        canary.phrase.clone()
    }
}
