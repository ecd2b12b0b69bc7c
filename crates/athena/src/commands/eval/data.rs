//! The form of a test collection: documents and judged questions, one a line.
//!
//! `{"kind": "doc", "scope", "id", "text"}` with optional `speaker`, `caption`, `session`, `date`
//! and `order`, and `{"kind": "query", "scope", "id", "text", "cat", "rel": {document: grade}}`.
//! A scope is indexed by itself. Other fields are ignored.

use crate::dates;
use crate::outcome::at_path;
use athena_core::{Code, Error, Result};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// A test collection.
#[derive(Debug, Default)]
pub(crate) struct Collection {
    /// Its scopes, in the order of their first lines.
    pub(crate) scopes: Vec<Scope>,
}

/// Documents that are searched together, with their questions.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    /// Its name.
    pub(crate) name: String,
    /// Its documents, in the order of the file.
    pub(crate) docs: Vec<Doc>,
    /// Its questions, in the order of the file.
    pub(crate) queries: Vec<Query>,
    /// Its questions without a relevant document: no ranking of theirs is worth anything.
    pub(crate) unanswerable: Vec<Query>,
}

impl Collection {
    /// Returns how many questions have no relevant document.
    pub(crate) fn unjudged(&self) -> usize {
        self.scopes
            .iter()
            .map(|scope| scope.unanswerable.len())
            .sum()
    }
}

/// A document.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Doc {
    /// Its name within the scope.
    pub(crate) id: String,
    /// What it says.
    pub(crate) text: String,
    #[serde(default)]
    speaker: Option<String>,
    #[serde(default)]
    caption: Option<String>,
    #[serde(default)]
    session: Option<Value>,
    #[serde(default)]
    date: Option<Value>,
    #[serde(default)]
    order: Option<i64>,
}

/// A question.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    /// Its name within the scope.
    pub(crate) id: String,
    /// What is asked.
    pub(crate) text: String,
    /// Its category.
    pub(crate) category: String,
    /// The documents that answer it.
    pub(crate) relevant: BTreeSet<String>,
}

#[derive(Deserialize)]
struct QueryLine {
    id: String,
    text: String,
    #[serde(default)]
    cat: Option<String>,
    #[serde(default)]
    rel: BTreeMap<String, f64>,
}

/// Reads a collection.
///
/// # Errors
///
/// [`Code::InvalidInput`] naming the first line that has another form.
pub(crate) fn read(path: &Path) -> Result<Collection> {
    let file = File::open(path).map_err(|error| at_path("read", path, error))?;
    parse(BufReader::new(file)).map_err(|(line, problem)| {
        Error::new(
            Code::InvalidInput,
            format!("`{}` line {line}: {problem}", path.display()),
        )
    })
}

fn parse(reader: impl BufRead) -> Result<Collection, (usize, String)> {
    let mut collection = Collection::default();
    let mut places: HashMap<String, usize> = HashMap::new();
    for (index, line) in reader.lines().enumerate() {
        let fail = |problem: String| (index + 1, problem);
        let line = line.map_err(|error| fail(error.to_string()))?;
        if line.trim().is_empty() {
            continue;
        }
        let value: Value = serde_json::from_str(&line).map_err(|error| fail(error.to_string()))?;
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let kind = text("kind").ok_or_else(|| fail("`kind` is required".into()))?;
        let name = text("scope").ok_or_else(|| fail("`scope` is required".into()))?;
        let place = *places.entry(name.clone()).or_insert_with(|| {
            collection.scopes.push(Scope {
                name,
                ..Scope::default()
            });
            collection.scopes.len() - 1
        });
        let scope = &mut collection.scopes[place];
        match kind.as_str() {
            "doc" => scope
                .docs
                .push(serde_json::from_value(value).map_err(|error| fail(error.to_string()))?),
            "query" => {
                let line: QueryLine =
                    serde_json::from_value(value).map_err(|error| fail(error.to_string()))?;
                let query = Query::from(line);
                if query.relevant.is_empty() {
                    scope.unanswerable.push(query);
                } else {
                    scope.queries.push(query);
                }
            }
            other => {
                return Err(fail(format!(
                    "`kind` is `{other}`; allowed: `doc`, `query`"
                )));
            }
        }
    }
    Ok(collection)
}

impl From<QueryLine> for Query {
    fn from(line: QueryLine) -> Self {
        let relevant = line.rel.into_iter().filter(|(_, grade)| *grade > 0.0);
        Self {
            id: line.id,
            text: line.text,
            category: line.cat.unwrap_or_else(|| "none".into()),
            relevant: relevant.map(|(doc, _)| doc).collect(),
        }
    }
}

impl Doc {
    /// Returns the record that `memory.import` stores; `None` for a document that says nothing.
    pub(crate) fn record(&self) -> Option<Map<String, Value>> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        let (speaker, mut caption) = (given(&self.speaker), given(&self.caption));
        let content = if self.text.trim().is_empty() {
            caption.take()?
        } else {
            self.text.clone()
        };
        let role = speaker
            .clone()
            .filter(|speaker| matches!(speaker.as_str(), "user" | "assistant"));
        let session = match &self.session {
            Some(Value::String(session)) => Some(session.clone()),
            Some(Value::Number(session)) => Some(session.to_string()),
            _ => None,
        };
        let fields = [
            ("content", Some(Value::from(content))),
            ("type", speaker.is_some().then(|| "context".into())),
            ("external_id", Some(self.id.clone().into())),
            ("speaker", speaker.map(Value::from)),
            ("role", role.map(Value::from)),
            ("caption", caption.map(Value::from)),
            ("session", session.map(Value::from)),
            ("position", self.order.map(Value::from)),
            (
                "occurred_at",
                self.date.as_ref().and_then(dates::read).map(Value::from),
            ),
        ];
        Some(
            fields
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?)))
                .collect(),
        )
    }
}

/// Documents that are one memory, because they say the same: by the name of the first.
pub(crate) type Twins = HashMap<String, Vec<String>>;

/// Returns the records of a scope, and which documents each stands for.
pub(crate) fn records(scope: &Scope) -> (Vec<Value>, Twins) {
    let mut records = Vec::new();
    let mut twins = Twins::new();
    let mut firsts: HashMap<[Value; 5], String> = HashMap::new();
    for doc in &scope.docs {
        let Some(record) = doc.record() else { continue };
        let same = ["content", "type", "session", "speaker", "occurred_at"]
            .map(|name| record.get(name).cloned().unwrap_or_default());
        let first = firsts.entry(same).or_insert_with(|| {
            records.push(Value::Object(record));
            doc.id.clone()
        });
        twins.entry(first.clone()).or_default().push(doc.id.clone());
    }
    (records, twins)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn scopes_keep_their_documents_and_judged_questions() {
        let text = r#"{"kind":"doc","scope":"a","id":"1","text":"x","speaker":"Maya","session":2,"date":"8 May 2023","order":0,"caption":""}
{"kind":"query","scope":"a","id":"q","text":"x?","cat":"c","rel":{"1":1,"2":0}}

{"kind":"query","scope":"b","id":"q","text":"x?","rel":{"1":0}}"#;
        let collection = parse(text.as_bytes()).unwrap();
        assert_eq!((collection.scopes.len(), collection.unjudged()), (2, 1));
        let scope = &collection.scopes[0];
        assert_eq!(scope.queries[0].relevant, BTreeSet::from(["1".to_owned()]));
        assert_eq!(
            Value::Object(scope.docs[0].record().unwrap()),
            json!({"content": "x", "type": "context", "external_id": "1", "speaker": "Maya", "session": "2",
                "position": 0, "occurred_at": "2023-05-08T00:00:00Z"})
        );
    }

    #[test]
    fn pictures_without_words_are_known_by_their_caption() {
        let doc = |text: &str, caption: &str| -> Doc {
            serde_json::from_value(json!({"id": "1", "text": text, "caption": caption})).unwrap()
        };
        assert_eq!(doc("", "a dog").record().unwrap()["content"], "a dog");
        assert_eq!(doc("look", "a dog").record().unwrap()["caption"], "a dog");
        assert!(doc(" ", "").record().is_none());
    }

    #[test]
    fn documents_that_say_the_same_are_one_memory() {
        let doc =
            |id: &str, text: &str| serde_json::from_value(json!({"id": id, "text": text})).unwrap();
        let scope = Scope {
            docs: vec![doc("1", "a"), doc("2", "b"), doc("3", "a")],
            ..Scope::default()
        };
        let (records, twins) = records(&scope);
        assert_eq!(records.len(), 2);
        assert_eq!(twins["1"], ["1", "3"]);
    }

    #[test]
    fn other_lines_are_named() {
        let problem = |text: &str| parse(text.as_bytes()).unwrap_err();
        assert_eq!(
            problem("\n{\"kind\":\"x\",\"scope\":\"a\"}"),
            (2, "`kind` is `x`; allowed: `doc`, `query`".into())
        );
        assert_eq!(
            problem("{\"kind\":\"doc\"}"),
            (1, "`scope` is required".into())
        );
        assert_eq!(problem("{").0, 1);
    }
}
