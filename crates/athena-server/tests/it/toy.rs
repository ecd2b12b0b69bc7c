//! A small catalogue to serve: notes in memory, and calls that misbehave on demand.

use athena_core::{
    BuiltinEmbedder, Code, Ctx, Cursor, Embedders, EmbeddingModel, Env, Error, Operation, Page,
    Registry, Result, Spec,
};
use athena_db::Database;
use athena_search::{TermStatistics, VectorKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Returns the operations on notes.
pub fn notes(registry: Registry) -> Registry {
    registry
        .with::<CreateNote>()
        .with::<GetNote>()
        .with::<ListNotes>()
        .with::<UpdateNote>()
        .with::<DeleteNote>()
        .with::<SearchNotes>()
}

/// Returns the operations that misbehave or tell what they were called with.
pub fn calls(registry: Registry) -> Registry {
    registry
        .with::<InspectCall>()
        .with::<FailCall>()
        .with::<WaitCall>()
}

/// Makes an environment with an empty notebook.
pub async fn env() -> Arc<Env> {
    let db = Database::open("sqlite::memory:")
        .await
        .expect("a database in memory opens");
    let embedders = Embedders {
        builtin: Arc::new(NoEmbedder),
        model: None,
    };
    Env::builder(db, embedders)
        .part(Notebook::default())
        .part(Gate::default())
        .build()
}

/// The notes, and how many there ever were.
#[derive(Debug, Default)]
pub struct Notebook(Mutex<(i64, BTreeMap<i64, Note>)>);

impl Notebook {
    fn open(&self) -> MutexGuard<'_, (i64, BTreeMap<i64, Note>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where calls wait for a test.
#[derive(Debug, Default)]
pub struct Gate {
    /// Notified when a call has begun to wait.
    pub arrived: Notify,
    /// Lets one call go on.
    pub open: Notify,
    /// Notified when a call went on.
    pub passed: Notify,
}

/// A note.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Note {
    /// Its id.
    id: i64,
    /// What it is about.
    title: String,
    /// What kind it is.
    kind: Kind,
    /// Its labels.
    tags: Vec<String>,
    /// Where it comes from.
    source: Option<Source>,
    /// How often it was written.
    version: i64,
}

/// What kind a note is.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// Something that is so.
    #[default]
    Fact,
    /// Something to be done.
    Plan,
}

/// Where a note comes from.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Source {
    /// The page.
    url: String,
    /// The line on it.
    line: Option<u32>,
}

/// Where a new note comes from.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewSource {
    /// The page.
    url: String,
    /// The line on it.
    line: Option<u32>,
}

fn no_note(id: i64) -> Error {
    Error::not_found(format_args!("note `{id}`"))
}

/// Writes a note down. Use it for what should still be known tomorrow.
///
/// The same note can be written twice.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateNote {
    /// What it is about.
    #[schemars(length(min = 1, max = 100))]
    title: String,
    /// What kind it is.
    #[serde(default)]
    kind: Kind,
    /// Its labels.
    #[serde(default)]
    #[schemars(length(max = 8), inner(length(min = 1, max = 20)))]
    tags: Vec<String>,
    /// Where it comes from.
    source: Option<NewSource>,
}

impl Operation for CreateNote {
    const SPEC: Spec = Spec::create("note.create", "/notes").tool("note");
    type Output = Note;

    async fn call(self, ctx: &Ctx) -> Result<Note> {
        let mut notebook = ctx.part::<Notebook>().open();
        notebook.0 += 1;
        let Self {
            title,
            kind,
            tags,
            source,
        } = self;
        let source = source.map(|NewSource { url, line }| Source { url, line });
        let note = Note {
            id: notebook.0,
            title,
            kind,
            tags,
            source,
            version: 1,
        };
        notebook.1.insert(note.id, note.clone());
        Ok(note)
    }
}

/// Reads a note.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GetNote {
    /// Its id.
    id: i64,
}

impl Operation for GetNote {
    const SPEC: Spec = Spec::read("note.get", "/notes/{id}").tool("get");
    type Output = Note;

    async fn call(self, ctx: &Ctx) -> Result<Note> {
        ctx.part::<Notebook>()
            .open()
            .1
            .get(&self.id)
            .cloned()
            .ok_or_else(|| no_note(self.id))
    }
}

/// Lists notes, newest first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListNotes {
    /// Only notes with all of these labels.
    #[serde(default)]
    #[schemars(length(max = 8), inner(length(min = 1, max = 20)))]
    tags: Vec<String>,
    /// Only notes of this kind.
    kind: Option<Kind>,
    /// How many to answer at most.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 100))]
    limit: u32,
    /// Where the previous page ended.
    #[schemars(regex(pattern = r"^c1\.-?[0-9a-z]{1,12}$"))]
    cursor: Option<String>,
}

fn default_limit() -> u32 {
    20
}

impl Operation for ListNotes {
    const SPEC: Spec = Spec::read("note.list", "/notes");
    type Output = Page<Note>;

    async fn call(self, ctx: &Ctx) -> Result<Page<Note>> {
        let before = self
            .cursor
            .as_deref()
            .map(Cursor::parse)
            .transpose()?
            .map_or(i64::MAX, |cursor| cursor.0);
        let limit = usize::try_from(self.limit).map_err(Error::internal)?;
        let notebook = ctx.part::<Notebook>().open();
        let notes = notebook.1.values().rev().filter(|note| {
            note.id < before
                && self.tags.iter().all(|tag| note.tags.contains(tag))
                && self.kind.is_none_or(|kind| kind == note.kind)
        });
        Ok(Page::from_overfetch(
            notes.take(limit + 1).cloned().collect(),
            self.limit,
            |note| note.id,
        ))
    }
}

/// Changes the title of a note.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UpdateNote {
    /// Its id.
    id: i64,
    /// What it is about.
    #[schemars(length(min = 1, max = 100))]
    title: Option<String>,
    /// Refuses when this is not its version.
    expected_version: Option<i64>,
}

impl Operation for UpdateNote {
    const SPEC: Spec =
        Spec::change("note.update", "/notes/{id}").errors(&[Code::PreconditionFailed]);
    type Output = Note;

    async fn call(self, ctx: &Ctx) -> Result<Note> {
        let mut notebook = ctx.part::<Notebook>().open();
        let note = notebook
            .1
            .get_mut(&self.id)
            .ok_or_else(|| no_note(self.id))?;
        if self
            .expected_version
            .is_some_and(|expected| expected != note.version)
        {
            let detail = format!(
                "note `{}` has version `{}` by now; read it again",
                note.id, note.version
            );
            return Err(Error::new(Code::PreconditionFailed, detail));
        }
        if let Some(title) = self.title {
            note.title = title;
        }
        note.version += 1;
        Ok(note.clone())
    }
}

/// Removes a note for good.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DeleteNote {
    /// Its id.
    id: i64,
    /// Why.
    #[schemars(length(max = 200))]
    reason: Option<String>,
}

/// What was removed.
#[derive(Debug, Serialize, JsonSchema)]
struct Deleted {
    /// The id it had.
    id: i64,
    /// Why.
    reason: Option<String>,
}

impl Operation for DeleteNote {
    const SPEC: Spec = Spec::remove("note.delete", "/notes/{id}").destructive();
    type Output = Deleted;

    async fn call(self, ctx: &Ctx) -> Result<Deleted> {
        let removed = ctx.part::<Notebook>().open().1.remove(&self.id);
        removed
            .map(|note| Deleted {
                id: note.id,
                reason: self.reason,
            })
            .ok_or_else(|| no_note(self.id))
    }
}

/// Finds notes by words.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SearchNotes {
    /// The words.
    #[schemars(length(min = 1, max = 200))]
    query: String,
    /// How many to answer at most.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 100))]
    limit: u32,
}

/// What was found.
#[derive(Debug, Serialize, JsonSchema)]
struct Found {
    /// The notes, oldest first.
    hits: Vec<Note>,
}

impl Operation for SearchNotes {
    const SPEC: Spec = Spec::query("note.search", "/notes/search").tool("search");
    type Output = Found;

    async fn call(self, ctx: &Ctx) -> Result<Found> {
        let limit = usize::try_from(self.limit).map_err(Error::internal)?;
        let notebook = ctx.part::<Notebook>().open();
        let hits = notebook
            .1
            .values()
            .filter(|note| note.title.contains(&self.query));
        Ok(Found {
            hits: hits.take(limit).cloned().collect(),
        })
    }
}

/// Tells what it was called with.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct InspectCall {}

/// What a call was called with.
#[derive(Debug, Serialize, JsonSchema)]
struct Inspected {
    /// Who called.
    principal: String,
    /// For which project.
    project: String,
    /// With which idempotency key.
    idempotency_key: Option<String>,
}

impl Operation for InspectCall {
    const SPEC: Spec = Spec::act("call.inspect", "/calls/inspect");
    type Output = Inspected;

    async fn call(self, ctx: &Ctx) -> Result<Inspected> {
        Ok(Inspected {
            principal: ctx.caller().principal.clone(),
            project: ctx.project().to_owned(),
            idempotency_key: ctx.idempotency().map(|idempotency| idempotency.key.clone()),
        })
    }
}

/// Fails in a chosen way.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FailCall {
    /// The code, or `panic`.
    code: String,
}

/// Nothing.
#[derive(Debug, Serialize, JsonSchema)]
struct Nothing {}

impl Operation for FailCall {
    const SPEC: Spec = Spec::act("call.fail", "/calls/fail").errors(&Code::ALL);
    type Output = Nothing;

    async fn call(self, _ctx: &Ctx) -> Result<Nothing> {
        assert_ne!(self.code, "panic", "asked to");
        let code = Code::ALL
            .into_iter()
            .find(|code| code.as_str() == self.code);
        match code {
            Some(code) => Err(Error::new(code, "asked to").with_source("the secret cause")),
            None => Err(Error::invalid("code", "is no code")),
        }
    }
}

/// Waits until a test lets it go on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WaitCall {}

impl Operation for WaitCall {
    const SPEC: Spec = Spec::act("call.wait", "/calls/wait");
    type Output = Nothing;

    async fn call(self, ctx: &Ctx) -> Result<Nothing> {
        let gate = ctx.part::<Gate>();
        gate.arrived.notify_one();
        gate.open.notified().await;
        gate.passed.notify_one();
        Ok(Nothing {})
    }
}

/// Notes are not embedded.
#[derive(Debug)]
struct NoEmbedder;

impl BuiltinEmbedder for NoEmbedder {
    fn model(&self) -> EmbeddingModel {
        EmbeddingModel {
            name: "none".into(),
            dim: 1,
        }
    }

    fn kind(&self) -> VectorKind {
        VectorKind::Words
    }

    fn embed(&self, _passage: &str) -> Vec<f32> {
        vec![1.0]
    }

    fn embed_query(&self, _query: &str, _statistics: &dyn TermStatistics) -> Vec<f32> {
        vec![1.0]
    }
}

/// Returns the input of a note, for tests that send one.
pub fn note(title: &str) -> Value {
    serde_json::json!({"title": title})
}
