//! Telling: one thing or several, each stored once.

use super::change::take_place;
use crate::batch::{in_item, prepare_all};
use crate::glob::problem_of;
use crate::memories::embedding::{embed_now, want_model_vectors};
use crate::memories::indexing::{self, CALLER_MODEL, IndexedText, PassageVector};
use crate::memories::sql::{self, NewRow};
use crate::memories::{ConsolidationState, MAX_CONTENT_BYTES, Memory, MemoryType, quality};
use crate::projects::{self, Known};
use athena_core::{Code, Ctx, Error, MemoryId, Operation, ProjectId, Result, Spec};
use athena_search::analyze::DocumentTerms;
use athena_store::{Intent, Write, write};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use uuid::Uuid;

/// Remembers one thing: a fact, a decision, a preference, a piece of a conversation. Tell it
/// whenever something was learned that will matter later. What is already known is not stored
/// twice: the answer then names the existing memory and says `duplicate`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Remember {
    /// The text, in full sentences that make sense by themselves; at most 1 MiB.
    #[schemars(length(min = 1), regex(pattern = r"\S"))]
    pub content: String,
    /// What sort of thing it says; `fact` unless given.
    #[serde(default, rename = "type")]
    pub memory_type: MemoryType,
    /// Words to find and filter it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 100)))]
    pub tags: Vec<String>,
    /// The project it belongs to, by name; the surroundings' own unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// The session it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub session: Option<String>,
    /// Who said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub speaker: Option<String>,
    /// The role of who said it, such as `user`, `assistant` or `tool`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 50))]
    #[schemars(extend("x-advanced" = true))]
    pub role: Option<String>,
    /// When what it says happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<Timestamp>,
    /// The field it belongs to, such as `planning` or `code-analysis`; `memory` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 50))]
    #[schemars(extend("x-advanced" = true))]
    pub domain: Option<String>,
    /// Anything else that belongs to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-advanced" = true))]
    pub metadata: Option<Map<String, Value>>,
    /// What a picture that came with it shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 10_000))]
    #[schemars(extend("x-advanced" = true))]
    pub caption: Option<String>,
    /// Its place in the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-advanced" = true))]
    pub position: Option<i64>,
    /// Where it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500))]
    #[schemars(extend("x-advanced" = true))]
    pub source: Option<String>,
    /// Which agent tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    #[schemars(extend("x-advanced" = true))]
    pub agent: Option<String>,
    /// Its id where it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    #[schemars(extend("x-advanced" = true))]
    pub external_id: Option<String>,
    /// How sure it is; 1 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub confidence: Option<f64>,
    /// How much a rule or a preference matters, 1 to 10; 5 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    #[schemars(extend("x-advanced" = true))]
    pub priority: Option<i64>,
    /// The paths that a rule or a preference is about, such as `src/**/*.rs`; everywhere unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500), regex(pattern = r"\S"))]
    #[schemars(extend("x-text" = "path", "x-advanced" = true))]
    pub scope: Option<String>,
    /// The ids of memories that are no longer so because of this one: they leave recall and name it
    /// as their successor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(range(min = 1)))]
    #[schemars(extend("x-advanced" = true))]
    pub replaces: Vec<i64>,
    /// How far its source is trusted; 1 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    #[schemars(extend("x-advanced" = true))]
    pub trust: Option<f64>,
    /// From when on it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-advanced" = true))]
    pub valid_from: Option<Timestamp>,
    /// Until when it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-advanced" = true))]
    pub valid_until: Option<Timestamp>,
    /// When it goes out of recall by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// What the text is; `text` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 50))]
    #[schemars(extend("x-advanced" = true))]
    pub content_type: Option<String>,
    /// The kind of event it was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 50))]
    #[schemars(extend("x-advanced" = true))]
    pub event_type: Option<String>,
    /// The language of a piece of code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 50))]
    #[schemars(extend("x-advanced" = true))]
    pub code_language: Option<String>,
    /// The hash of a piece of code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    #[schemars(extend("x-advanced" = true))]
    pub code_hash: Option<String>,
    /// Your own vector for the whole text, as wide as the project's `embedding_dim`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65_536))]
    pub embedding: Option<Vec<f32>>,
    /// Wait until a provider's vectors are stored too; they follow in the background otherwise.
    #[serde(default)]
    #[schemars(extend("x-advanced" = true))]
    pub wait_embedded: bool,
}

/// What was remembered.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Remembered {
    /// The memory's id.
    pub id: MemoryId,
    /// The memory's id in every store that it is moved to.
    pub uid: Uuid,
    /// The id of its project.
    pub project_id: ProjectId,
    /// Whether it was known already; nothing was stored then.
    pub duplicate: bool,
}

impl Operation for Remember {
    const SPEC: Spec = Spec::create("memory.remember", "/memories")
        .tool("remember")
        .command(&["remember"])
        .positional(&["content"])
        .short(&[("type", 't')])
        .stdin("content")
        .errors(&[Code::Conflict, Code::EmbeddingMismatch]);
    type Output = Remembered;

    async fn call(self, ctx: &Ctx) -> Result<Remembered> {
        let wait = self.wait_embedded;
        let draft = Arc::new(Draft::prepare(ctx, self)?);
        let intent = Intent::new("memory.remember").of_items(draft.text.ranges.len());
        let remembered = write(ctx, intent, move |write| {
            let draft = Arc::clone(&draft);
            Box::pin(async move {
                let project = projects::for_writing(write, draft.project.as_deref()).await?;
                let mut vectors = NewVectors::default();
                let remembered = draft.store(write, &project, &mut vectors).await?;
                vectors.store(write).await?;
                Ok(remembered)
            })
        })
        .await?;
        if wait && !remembered.duplicate && ctx.model().is_some() {
            embed_now(&ctx.clone().without_idempotency(), remembered.id).await?;
        }
        Ok(remembered)
    }
}

/// Remembers several things at once: all of them, or none if one is refused.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RememberBatch {
    /// What to remember, in order. Items without a `project` belong to the batch's.
    #[schemars(length(min = 1, max = 1_000))]
    pub memories: Vec<Remember>,
    /// The project of items that name none.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
}

/// What was remembered, in the order in which it was told.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RememberedBatch {
    /// One answer an item.
    pub memories: Vec<Remembered>,
    /// How many were stored.
    pub stored: usize,
    /// How many were known already.
    pub duplicates: usize,
}

impl Operation for RememberBatch {
    const SPEC: Spec = Spec::create("memory.remember_batch", "/memories/batch")
        .errors(&[Code::Conflict, Code::EmbeddingMismatch]);
    type Output = RememberedBatch;

    async fn call(self, ctx: &Ctx) -> Result<RememberedBatch> {
        let Self {
            mut memories,
            project,
        } = self;
        for memory in &mut memories {
            memory.project = memory.project.take().or_else(|| project.clone());
        }
        let drafts = Arc::new(prepare_all(ctx, "memories", memories, Draft::prepare).await?);
        write(
            ctx,
            Intent::new("memory.remember_batch").of_items(drafts.len()),
            move |write| {
                let drafts = Arc::clone(&drafts);
                Box::pin(async move { store_all(write, &drafts).await })
            },
        )
        .await
    }
}

async fn store_all(write: &Write<'_>, drafts: &[Draft]) -> Result<RememberedBatch> {
    let mut memories = Vec::with_capacity(drafts.len());
    let mut known: HashMap<Option<&str>, Known> = HashMap::new();
    let mut vectors = NewVectors::default();
    for (index, draft) in drafts.iter().enumerate() {
        let name = draft.project.as_deref();
        let project = match known.entry(name) {
            Entry::Occupied(project) => project.into_mut(),
            Entry::Vacant(place) => place.insert(projects::for_writing(write, name).await?),
        };
        let stored = draft.store(write, project, &mut vectors).await;
        memories.push(stored.map_err(|error| in_item("memories", error, index))?);
    }
    vectors.store(write).await?;
    let duplicates = memories
        .iter()
        .filter(|remembered| remembered.duplicate)
        .count();
    Ok(RememberedBatch {
        stored: memories.len() - duplicates,
        duplicates,
        memories,
    })
}

/// The vectors of memories that a transaction stores, stored many at a time.
#[derive(Debug, Default)]
pub(super) struct NewVectors(Vec<(MemoryId, PassageVector)>);

/// So many vectors are stored by one statement, or a few more.
const VECTORS_AT_ONCE: usize = 256;

impl NewVectors {
    async fn add(
        &mut self,
        write: &Write<'_>,
        id: MemoryId,
        vectors: Vec<PassageVector>,
    ) -> Result<()> {
        self.0
            .extend(vectors.into_iter().map(|vector| (id, vector)));
        if self.0.len() >= VECTORS_AT_ONCE {
            self.store(write).await?;
        }
        Ok(())
    }

    /// Stores what is left; to be called before the transaction ends.
    pub(super) async fn store(&mut self, write: &Write<'_>) -> Result<()> {
        let vectors = std::mem::take(&mut self.0);
        sql::put_vectors(write.tx(), vectors.iter().map(|(id, vector)| (*id, vector))).await
    }
}

/// Something to be remembered, checked, split and embedded: all that is done before the
/// transaction begins.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) memory: Memory,
    pub(super) content_hash: String,
    project: Option<String>,
    text: IndexedText,
    /// The words of the passages.
    terms: Vec<DocumentTerms>,
    /// The built-in vectors of the passages.
    builtin: Vec<Vec<f32>>,
    embedding: Option<Vec<f32>>,
    /// The memories that it takes the place of.
    replaces: Vec<MemoryId>,
}

impl Draft {
    /// Checks and prepares.
    fn prepare(ctx: &Ctx, remember: Remember) -> Result<Self> {
        let scope = remember.scope.as_deref();
        check_standing(remember.memory_type, remember.priority, scope)?;
        let content_hash = identity(
            remember.memory_type,
            &remember.content,
            remember.session.as_deref(),
            remember.speaker.as_deref(),
            remember.occurred_at,
        );
        let project = remember.project.clone();
        let embedding = remember.embedding.clone();
        let replaces = remember.replaces.iter().copied().map(MemoryId).collect();
        let memory = new_memory(ctx, remember);
        Ok(Self {
            replaces,
            ..Self::of(ctx, memory, content_hash, project, embedding)?
        })
    }

    /// Prepares a version that is made already.
    pub(super) fn of(
        ctx: &Ctx,
        memory: Memory,
        content_hash: String,
        project: Option<String>,
        embedding: Option<Vec<f32>>,
    ) -> Result<Self> {
        check_content(&memory.content)?;
        let text = IndexedText::of(&memory);
        let builtin = text.embed_builtin(ctx);
        Ok(Self {
            project,
            memory,
            content_hash,
            terms: text.terms(),
            text,
            builtin,
            embedding,
            replaces: Vec::new(),
        })
    }

    /// Stores it, unless it is known already.
    async fn store(
        &self,
        write: &Write<'_>,
        project: &Known,
        vectors: &mut NewVectors,
    ) -> Result<Remembered> {
        let stored = self.insert(write, project.id, Some(project.embedding_dim), vectors);
        let (id, uid, duplicate) = match stored.await? {
            Some(id) => (id, self.memory.uid, false),
            None => {
                let same = sql::same(write.tx(), project.id, &self.content_hash).await?;
                let (id, uid) = same
                    .ok_or_else(|| Error::new(Code::Busy, "it was told and forgotten meanwhile"))?;
                (id, uid, true)
            }
        };
        for old in &self.replaces {
            take_place(write, *old, id, project.id).await?;
        }
        Ok(Remembered {
            id,
            uid,
            project_id: project.id,
            duplicate,
        })
    }

    /// Stores the version, tells search of it and hands over its vectors, which are to be stored in the
    /// same transaction; `None` if a current one says the same. `width` is that of the vectors that
    /// callers bring to the project, looked up if it is not given.
    pub(super) async fn insert(
        &self,
        write: &Write<'_>,
        project: ProjectId,
        width: Option<u32>,
        new: &mut NewVectors,
    ) -> Result<Option<MemoryId>> {
        let mut memory = self.memory.clone();
        memory.project_id = project;
        match sql::insert(
            write.tx(),
            &NewRow {
                memory: &memory,
                content_hash: &self.content_hash,
            },
        )
        .await?
        {
            Some(id) => memory.id = id,
            None => return Ok(None),
        }
        let builtin = write.builtin_id().await?;
        let mut vectors = self.text.vectors(builtin, &self.builtin)?;
        want_model_vectors(write, &memory).await?;
        if let Some(embedding) = &self.embedding {
            let width = match width {
                Some(width) => width,
                None => projects::embedding_dim(write.tx(), project).await?,
            };
            vectors.push(self.callers_vector(write, width, embedding).await?);
        }
        let terms = self.terms.clone();
        for record in self.text.records(
            indexing::item(memory.id),
            &indexing::attributes(&memory),
            terms,
            &vectors,
        ) {
            write.log(project, record);
        }
        new.add(write, memory.id, vectors).await?;
        Ok(Some(memory.id))
    }

    async fn callers_vector(
        &self,
        write: &Write<'_>,
        width: u32,
        embedding: &[f32],
    ) -> Result<PassageVector> {
        indexing::check_embedding(embedding, width)?;
        let model = write.model_id(CALLER_MODEL, embedding.len()).await?;
        indexing::callers_vector(embedding, width, model, self.text.whole())
    }
}

/// Checks the priority and the scope: only rules and preferences have a priority.
pub(super) fn check_standing(
    memory_type: MemoryType,
    priority: Option<i64>,
    scope: Option<&str>,
) -> Result<()> {
    let stands = matches!(memory_type, MemoryType::Rule | MemoryType::Preference);
    if priority.is_some() && !stands {
        let problem = format!(
            "is for a `rule` or a `preference`, and this is a `{}`; leave it out, or give another `type`",
            memory_type.as_str()
        );
        return Err(Error::invalid("priority", problem));
    }
    match scope.and_then(problem_of) {
        Some(problem) => Err(Error::invalid("scope", problem)),
        None => Ok(()),
    }
}

/// Checks the text of a memory.
pub(in crate::memories) fn check_content(content: &str) -> Result<()> {
    if content.trim().is_empty() {
        return Err(Error::invalid("content", "must not be blank"));
    }
    if content.len() > MAX_CONTENT_BYTES {
        let message = format!(
            "`content` has {} bytes, at most {MAX_CONTENT_BYTES} are allowed; split it into several memories",
            content.len()
        );
        return Err(Error::new(Code::ContentTooLarge, message).with_field("content"));
    }
    Ok(())
}

fn new_memory(ctx: &Ctx, remember: Remember) -> Memory {
    let (now, uid) = (ctx.now(), Uuid::now_v7());
    let confidence = remember.confidence.unwrap_or(1.0);
    Memory {
        id: MemoryId(0),
        project_id: ProjectId(0),
        uid,
        lineage: uid,
        version: 1,
        superseded_by: None,
        superseded_at: None,
        update_reason: None,
        content: remember.content,
        content_type: remember.content_type.unwrap_or_else(|| "text".into()),
        memory_type: remember.memory_type,
        domain: remember.domain.unwrap_or_else(|| "memory".into()),
        priority: remember.priority,
        scope: remember.scope,
        tags: remember.tags,
        metadata: remember.metadata,
        session: remember.session,
        speaker: remember.speaker,
        role: remember.role,
        caption: remember.caption,
        position: remember.position,
        event_type: remember.event_type,
        code_language: remember.code_language,
        code_hash: remember.code_hash,
        source: remember.source,
        agent: remember.agent,
        trust: remember.trust.unwrap_or(1.0),
        external_id: remember.external_id,
        confidence,
        usefulness: 0.0,
        quality: quality(0.0, confidence, 0),
        access_count: 0,
        state: ConsolidationState::Unconsolidated,
        consolidated_at: None,
        occurred_at: remember.occurred_at.map(whole_microseconds),
        valid_from: remember.valid_from.map(whole_microseconds),
        valid_until: remember.valid_until.map(whole_microseconds),
        expires_at: remember.expires_at.map(whole_microseconds),
        principal: ctx.caller().principal.clone(),
        created_at: now,
        updated_at: now,
        last_accessed: None,
        last_retrieved_at: None,
        forgotten_at: None,
        forget_reason: None,
    }
}

/// Drops what is finer than the microseconds that are stored.
pub(super) fn whole_microseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

/// Returns what makes two memories of a project the same: type, text, session, time and speaker.
pub(in crate::memories) fn identity(
    memory_type: MemoryType,
    content: &str,
    session: Option<&str>,
    speaker: Option<&str>,
    occurred_at: Option<Timestamp>,
) -> String {
    let occurred_at = occurred_at.map(|time| time.as_microsecond().to_string());
    let mut hasher = Sha256::new();
    for part in [
        Some(memory_type.as_str()),
        Some(content),
        session,
        speaker,
        occurred_at.as_deref(),
    ] {
        // The length keeps parts apart; an absent part is not an empty one.
        hasher.update(
            part.map_or(u64::MAX, |part| part.len() as u64)
                .to_le_bytes(),
        );
        hasher.update(part.unwrap_or_default().as_bytes());
    }
    hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
