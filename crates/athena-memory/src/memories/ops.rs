//! Operations on memories: telling, reading, changing, forgetting.

use super::indexing::{self, CALLER_MODEL, IndexedText, PassageVector};
use super::sql::{self, ListFilter, NewRow};
use super::{ConsolidationState, MAX_CONTENT_BYTES, Memory, MemoryType, quality};
use crate::projects;
use athena_core::{
    Code, Ctx, Cursor, Error, MemoryId, Operation, Page, PageRequest, ProjectId, Result, Spec,
};
use athena_db::Executor;
use athena_store::{Intent, Write, enqueue, remove_item, write};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
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
        .errors(&[Code::EmbeddingMismatch]);
    type Output = Remembered;

    async fn call(self, ctx: &Ctx) -> Result<Remembered> {
        let wait = self.wait_embedded;
        let draft = Arc::new(Draft::prepare(ctx, self).await?);
        let intent = Intent::new("memory.remember");
        let remembered = write(ctx, intent, move |write| {
            let draft = Arc::clone(&draft);
            Box::pin(async move {
                let project = projects::for_writing(write, draft.project.as_deref()).await?;
                draft.store(write, project).await
            })
        })
        .await?;
        if wait && !remembered.duplicate && !ctx.embedder().is_inline() {
            super::embedding::embed_now(&ctx.clone().without_idempotency(), remembered.id).await?;
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
    const SPEC: Spec =
        Spec::create("memory.remember_batch", "/memories/batch").errors(&[Code::EmbeddingMismatch]);
    type Output = RememberedBatch;

    async fn call(self, ctx: &Ctx) -> Result<RememberedBatch> {
        let mut drafts = Vec::with_capacity(self.memories.len());
        for (index, mut memory) in self.memories.into_iter().enumerate() {
            memory.project = memory.project.or_else(|| self.project.clone());
            drafts.push(
                Draft::prepare(ctx, memory)
                    .await
                    .map_err(|error| in_item(error, index))?,
            );
        }
        let drafts = Arc::new(drafts);
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
    for (index, draft) in drafts.iter().enumerate() {
        let project = projects::for_writing(write, draft.project.as_deref()).await?;
        memories.push(
            draft
                .store(write, project)
                .await
                .map_err(|error| in_item(error, index))?,
        );
    }
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

/// Says which item of a batch an error is about.
pub(super) fn in_item(error: Error, index: usize) -> Error {
    if error.database().is_some() {
        return error;
    }
    let field = match error.field() {
        Some(field) => format!("memories[{index}].{field}"),
        None => format!("memories[{index}]"),
    };
    Error::new(
        error.code(),
        format!("memories[{index}]: {}", error.message()),
    )
    .with_field(field)
}

/// Something to be remembered, checked, split and embedded: all that is done before the
/// transaction begins.
#[derive(Debug)]
pub(super) struct Draft {
    project: Option<String>,
    memory: Memory,
    content_hash: String,
    text: IndexedText,
    inline: Option<InlineVectors>,
    embedding: Option<Vec<f32>>,
}

#[derive(Debug)]
struct InlineVectors {
    model: athena_core::EmbeddingModel,
    vectors: Vec<Vec<f32>>,
}

impl Draft {
    /// Checks and prepares.
    async fn prepare(ctx: &Ctx, remember: Remember) -> Result<Self> {
        let content_hash = identity(
            remember.memory_type,
            &remember.content,
            remember.session.as_deref(),
            remember.speaker.as_deref(),
            remember.occurred_at,
        );
        let project = remember.project.clone();
        let embedding = remember.embedding.clone();
        let memory = new_memory(ctx, remember);
        Self::of(ctx, memory, content_hash, project, embedding).await
    }

    /// Prepares a version that is made already.
    pub(super) async fn of(
        ctx: &Ctx,
        memory: Memory,
        content_hash: String,
        project: Option<String>,
        embedding: Option<Vec<f32>>,
    ) -> Result<Self> {
        check_content(&memory.content)?;
        let text = IndexedText::of(&memory);
        let inline = match text.embed_inline(ctx).await? {
            Some(vectors) => Some(InlineVectors {
                model: ctx.embedder().model().await?,
                vectors,
            }),
            None => None,
        };
        Ok(Self {
            project,
            memory,
            content_hash,
            text,
            inline,
            embedding,
        })
    }

    /// Stores it, unless it is known already.
    async fn store(&self, write: &Write<'_>, project: ProjectId) -> Result<Remembered> {
        if let Some((id, uid)) = sql::same(write.tx(), project, &self.content_hash).await? {
            return Ok(Remembered {
                id,
                uid,
                project_id: project,
                duplicate: true,
            });
        }
        let Some(id) = self.insert(write, project).await? else {
            // Somebody else told it meanwhile.
            let same = sql::same(write.tx(), project, &self.content_hash).await?;
            let (id, uid) =
                same.ok_or_else(|| Error::new(Code::Busy, "it was told and forgotten meanwhile"))?;
            return Ok(Remembered {
                id,
                uid,
                project_id: project,
                duplicate: true,
            });
        };
        Ok(Remembered {
            id,
            uid: self.memory.uid,
            project_id: project,
            duplicate: false,
        })
    }

    /// Stores the version with its vectors and tells search of it; `None` if a current one says the
    /// same.
    pub(super) async fn insert(
        &self,
        write: &Write<'_>,
        project: ProjectId,
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
        let mut vectors = Vec::new();
        match &self.inline {
            Some(inline) => {
                let model = write.model_id(&inline.model.name, inline.model.dim).await?;
                vectors = self.text.vectors(model, &inline.vectors)?;
            }
            None => enqueue(write, project, indexing::item(memory.id)).await?,
        }
        if let Some(embedding) = &self.embedding {
            vectors.push(self.callers_vector(write, project, embedding).await?);
        }
        for vector in &vectors {
            sql::put_vector(write.tx(), memory.id, vector).await?;
        }
        for record in self.text.records(&memory, &vectors) {
            write.log(project, record);
        }
        Ok(Some(memory.id))
    }

    async fn callers_vector(
        &self,
        write: &Write<'_>,
        project: ProjectId,
        embedding: &[f32],
    ) -> Result<PassageVector> {
        let wanted = projects::embedding_dim(write.tx(), project).await?;
        indexing::check_embedding(embedding, wanted)?;
        let model = write.model_id(CALLER_MODEL, embedding.len()).await?;
        indexing::callers_vector(embedding, wanted, model, self.text.whole())
    }
}

/// Checks the text of a memory.
pub(super) fn check_content(content: &str) -> Result<()> {
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
        update_reason: None,
        content: remember.content,
        content_type: remember.content_type.unwrap_or_else(|| "text".into()),
        memory_type: remember.memory_type,
        domain: remember.domain.unwrap_or_else(|| "memory".into()),
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
pub(super) fn identity(
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

/// Returns one memory by its id, with everything known about it. Reading does not count as use.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// The memory's id.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// Return it even if it was forgotten.
    #[serde(default)]
    #[schemars(extend("x-advanced" = true))]
    pub forgotten: bool,
}

impl Operation for Get {
    const SPEC: Spec = Spec::read("memory.get", "/memories/{id}")
        .tool("get")
        .command(&["get"])
        .positional(&["id"]);
    type Output = Memory;

    async fn call(self, ctx: &Ctx) -> Result<Memory> {
        remembered(ctx.db(), MemoryId(self.id), self.forgotten).await
    }
}

/// Returns the memory, unless it was forgotten and forgotten ones are not wanted.
async fn remembered(db: &impl Executor, id: MemoryId, forgotten: bool) -> Result<Memory> {
    let memory = existing(db, id).await?;
    if memory.forgotten_at.is_none() || forgotten {
        return Ok(memory);
    }
    let message = format!("memory `{id}` was forgotten; restore it, or ask with `forgotten`");
    Err(Error::new(Code::NotFound, message).with_field("id"))
}

/// Returns the memory, or says that it does not exist.
pub(super) async fn existing(db: &impl Executor, id: MemoryId) -> Result<Memory> {
    sql::by_id(db, id)
        .await?
        .ok_or_else(|| Error::not_found(format_args!("memory `{id}`")).with_field("id"))
}

/// Lists memories, newest first, without ranking them: for looking around, checking and exporting.
/// To find what matters for a question, recall it instead.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// Only memories in this state. Superseded versions are listed only when asked for here.
    pub state: Option<ConsolidationState>,
    /// Only memories of this type.
    #[serde(rename = "type")]
    pub memory_type: Option<MemoryType>,
    /// Only memories with this tag.
    #[schemars(length(min = 1, max = 100))]
    pub tag: Option<String>,
    /// Only memories of this domain.
    #[schemars(length(min = 1, max = 50))]
    pub domain: Option<String>,
    /// Only memories of this session.
    #[schemars(length(min = 1, max = 200))]
    pub session: Option<String>,
    /// Only what happened at this time or later.
    pub after: Option<Timestamp>,
    /// Only what happened before this time.
    pub before: Option<Timestamp>,
    /// List what was forgotten instead.
    #[serde(default)]
    pub forgotten: bool,
    /// How many to answer at most.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 1_000))]
    pub limit: u32,
    /// Where the previous page ended: its `next_cursor`.
    #[schemars(length(max = 15), regex(pattern = r"^c1\.[0-9a-z]{1,12}$"))]
    pub cursor: Option<String>,
}

fn default_limit() -> u32 {
    50
}

impl Operation for List {
    const SPEC: Spec = Spec::read("memory.list", "/memories")
        .command(&["list"])
        .short(&[("limit", 'n'), ("type", 't')]);
    type Output = Page<Memory>;

    async fn call(self, ctx: &Ctx) -> Result<Page<Memory>> {
        let cursor = self.cursor.as_deref().map(Cursor::parse).transpose()?;
        let projects = own_project(ctx, self.project.as_deref()).await?;
        let filter = ListFilter {
            state: self.state,
            memory_type: self.memory_type,
            tag: self.tag,
            domain: self.domain,
            session: self.session,
            after: self.after,
            before: self.before,
            forgotten: self.forgotten,
        };
        let page = PageRequest {
            limit: self.limit,
            cursor,
        };
        let memories = sql::list(ctx.db(), &projects, &filter, page).await?;
        Ok(Page::from_overfetch(memories, self.limit, |memory| {
            memory.id.0
        }))
    }
}

/// Returns the project of a call about one project; none if the surroundings' own has nothing yet.
pub(super) async fn own_project(ctx: &Ctx, name: Option<&str>) -> Result<Vec<ProjectId>> {
    match name {
        Some(name) => Ok(vec![projects::named(ctx.db(), name).await?]),
        None => match projects::named(ctx.db(), ctx.project()).await {
            Ok(id) => Ok(vec![id]),
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            Err(error) => Err(error),
        },
    }
}

/// Changes a memory: the new text becomes a new version with its own id, and the old version stays
/// in the history. Use it when something is no longer so, rather than remembering the opposite.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Update {
    /// The memory's id: that of its current version.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// The new text; the old one is kept unless given.
    #[schemars(length(min = 1), regex(pattern = r"\S"))]
    pub content: Option<String>,
    /// Why it changes.
    #[schemars(length(min = 1, max = 10_000))]
    pub reason: Option<String>,
    /// What sort of thing it says now.
    #[serde(rename = "type")]
    pub memory_type: Option<MemoryType>,
    /// All its tags from now on.
    #[schemars(length(max = 64), inner(length(min = 1, max = 100)))]
    pub tags: Option<Vec<String>>,
    /// Everything else that belongs to it from now on.
    #[schemars(extend("x-advanced" = true))]
    pub metadata: Option<Map<String, Value>>,
    /// How sure it is now.
    #[schemars(range(min = 0, max = 1))]
    pub confidence: Option<f64>,
    /// Until when it holds.
    #[schemars(extend("x-advanced" = true))]
    pub valid_until: Option<Timestamp>,
    /// When it goes out of recall by itself.
    #[schemars(extend("x-advanced" = true))]
    pub expires_at: Option<Timestamp>,
    /// Your own vector for the new text.
    #[schemars(length(min = 1, max = 65_536))]
    pub embedding: Option<Vec<f32>>,
    /// The version that you changed; the update is refused if there is a newer one.
    #[schemars(range(min = 1))]
    #[schemars(extend("x-advanced" = true))]
    pub expected_version: Option<i64>,
}

/// A memory's new version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Updated {
    /// The id of the new version.
    pub id: MemoryId,
    /// The new version's id in every store that it is moved to.
    pub uid: Uuid,
    /// The id of the version that it replaced.
    pub replaced: MemoryId,
    /// The number of the new version.
    pub version: i64,
}

impl Operation for Update {
    const SPEC: Spec = Spec::change("memory.update", "/memories/{id}")
        .tool("update")
        .command(&["update"])
        .positional(&["id", "content"])
        .short(&[("reason", 'r'), ("type", 't')])
        .stdin("content")
        .errors(&[
            Code::Conflict,
            Code::InvalidState,
            Code::PreconditionFailed,
            Code::EmbeddingMismatch,
        ]);
    type Output = Updated;

    async fn call(self, ctx: &Ctx) -> Result<Updated> {
        let old = existing(ctx.db(), MemoryId(self.id)).await?;
        check_current(&old, self.expected_version)?;
        let next = next_version(ctx, &old, &self);
        let hash = identity(
            next.memory_type,
            &next.content,
            next.session.as_deref(),
            next.speaker.as_deref(),
            next.occurred_at,
        );
        let draft = Arc::new(Draft::of(ctx, next, hash, None, self.embedding).await?);
        let intent = Intent::new("memory.update").in_project(old.project_id);
        let (id, expected) = (old.id, self.expected_version);
        write(ctx, intent, move |write| {
            let draft = Arc::clone(&draft);
            Box::pin(async move { replace(write, id, expected, &draft).await })
        })
        .await
    }
}

fn check_current(memory: &Memory, expected_version: Option<i64>) -> Result<()> {
    if let Some(next) = memory.superseded_by {
        let code = if expected_version.is_some() {
            Code::PreconditionFailed
        } else {
            Code::InvalidState
        };
        let message = format!(
            "memory `{}` was replaced by `{next}`; update that one",
            memory.id
        );
        return Err(Error::new(code, message).with_field("id"));
    }
    if memory.forgotten_at.is_some() {
        let message = format!("memory `{}` was forgotten; restore it first", memory.id);
        return Err(Error::new(Code::InvalidState, message).with_field("id"));
    }
    match expected_version {
        Some(expected) if expected != memory.version => {
            let message = format!(
                "memory `{}` has version {}, not {expected}; read it again and repeat the change",
                memory.id, memory.version
            );
            Err(Error::new(Code::PreconditionFailed, message).with_field("expected_version"))
        }
        _ => Ok(()),
    }
}

fn next_version(ctx: &Ctx, old: &Memory, update: &Update) -> Memory {
    let now = ctx.now();
    let update = update.clone();
    let confidence = update.confidence.unwrap_or(old.confidence);
    Memory {
        uid: Uuid::now_v7(),
        version: old.version + 1,
        update_reason: update.reason,
        content: update.content.unwrap_or_else(|| old.content.clone()),
        memory_type: update.memory_type.unwrap_or(old.memory_type),
        tags: update.tags.unwrap_or_else(|| old.tags.clone()),
        metadata: update.metadata.or_else(|| old.metadata.clone()),
        confidence,
        quality: quality(old.usefulness, confidence, old.access_count),
        valid_until: update
            .valid_until
            .map(whole_microseconds)
            .or(old.valid_until),
        expires_at: update.expires_at.map(whole_microseconds).or(old.expires_at),
        state: ConsolidationState::Unconsolidated,
        consolidated_at: None,
        principal: ctx.caller().principal.clone(),
        created_at: now,
        updated_at: now,
        ..old.clone()
    }
}

/// Stores the next version in place of the current one.
async fn replace(
    write: &Write<'_>,
    id: MemoryId,
    expected: Option<i64>,
    draft: &Draft,
) -> Result<Updated> {
    let old = locked(write, id).await?;
    check_current(&old, expected)?;
    if let Some((same, _)) = sql::same(write.tx(), old.project_id, &draft.content_hash).await?
        && same != old.id
    {
        let message =
            format!("memory `{same}` says the same already; forget one of the two instead");
        return Err(Error::new(Code::Conflict, message).with_field("content"));
    }
    sql::release(write.tx(), old.id).await?;
    let next = draft.insert(write, old.project_id).await?.ok_or_else(|| {
        Error::new(
            Code::Conflict,
            "another memory says the same since a moment ago",
        )
        .with_field("content")
    })?;
    sql::supersede(write.tx(), old.id, next, write.now()).await?;
    let superseded = Memory {
        state: ConsolidationState::Superseded,
        ..old
    };
    write.log(
        superseded.project_id,
        indexing::attributes_record(&superseded),
    );
    Ok(Updated {
        id: next,
        uid: draft.memory.uid,
        replaced: id,
        version: draft.memory.version,
    })
}

/// Returns all versions of a memory, oldest first, each with the reason for the change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// The id of any of its versions.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// Return it even if the memory was forgotten.
    #[serde(default)]
    pub forgotten: bool,
}

impl Operation for History {
    const SPEC: Spec = Spec::read("memory.history", "/memories/{id}/history")
        .command(&["history"])
        .positional(&["id"]);
    type Output = Page<Memory>;

    async fn call(self, ctx: &Ctx) -> Result<Page<Memory>> {
        let memory = remembered(ctx.db(), MemoryId(self.id), self.forgotten).await?;
        Ok(Page {
            items: sql::versions(ctx.db(), memory.lineage).await?,
            next_cursor: None,
        })
    }
}

/// Forgets a memory: it is no longer recalled. It can be restored until it is purged.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Forget {
    /// The memory's id.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// Why it is forgotten.
    #[schemars(length(min = 1, max = 10_000))]
    pub reason: Option<String>,
}

/// A memory that was forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Forgotten {
    /// The memory's id.
    pub id: MemoryId,
    /// When it was forgotten.
    pub forgotten_at: Timestamp,
}

impl Operation for Forget {
    const SPEC: Spec = Spec::remove("memory.forget", "/memories/{id}")
        .tool("forget")
        .command(&["forget"])
        .positional(&["id"])
        .short(&[("reason", 'r')])
        .errors(&[Code::InvalidState]);
    type Output = Forgotten;

    async fn call(self, ctx: &Ctx) -> Result<Forgotten> {
        let forget = Arc::new(self);
        write(ctx, Intent::new("memory.forget"), move |write| {
            let forget = Arc::clone(&forget);
            Box::pin(async move { forget_one(write, &forget).await })
        })
        .await
    }
}

async fn forget_one(write: &Write<'_>, forget: &Forget) -> Result<Forgotten> {
    let memory = locked(write, MemoryId(forget.id)).await?;
    if let Some(forgotten_at) = memory.forgotten_at {
        return Ok(Forgotten {
            id: memory.id,
            forgotten_at,
        });
    }
    check_current(&memory, None)?;
    sql::forget(write.tx(), memory.id, forget.reason.as_deref(), write.now()).await?;
    changed(write, memory.id).await?;
    Ok(Forgotten {
        id: memory.id,
        forgotten_at: write.now(),
    })
}

/// Locks a memory against other writers until the commit, and returns it as it is then.
pub(super) async fn locked(write: &Write<'_>, id: MemoryId) -> Result<Memory> {
    sql::lock(write.tx(), id).await?;
    existing(write.tx(), id).await
}

/// Reads a memory back after a change and tells search of its state.
pub(super) async fn changed(write: &Write<'_>, id: MemoryId) -> Result<Memory> {
    let memory = existing(write.tx(), id).await?;
    write.log(memory.project_id, indexing::attributes_record(&memory));
    Ok(memory)
}

/// Restores a memory that was forgotten.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// The memory's id.
    #[schemars(range(min = 1))]
    pub id: i64,
}

impl Operation for Restore {
    const SPEC: Spec = Spec::act("memory.restore", "/memories/{id}/restore")
        .idempotent()
        .command(&["restore"])
        .positional(&["id"])
        .errors(&[Code::Conflict]);
    type Output = Memory;

    async fn call(self, ctx: &Ctx) -> Result<Memory> {
        let id = MemoryId(self.id);
        write(ctx, Intent::new("memory.restore"), move |write| {
            Box::pin(async move { restore_one(write, id).await })
        })
        .await
    }
}

async fn restore_one(write: &Write<'_>, id: MemoryId) -> Result<Memory> {
    let memory = locked(write, id).await?;
    if memory.forgotten_at.is_none() {
        return Ok(memory);
    }
    let hash = sql::content_hash(write.tx(), id).await?;
    if let Some((same, _)) = sql::same(write.tx(), memory.project_id, &hash).await? {
        let message =
            format!("memory `{same}` says the same already and is current; forget it first");
        return Err(Error::new(Code::Conflict, message).with_field("id"));
    }
    sql::restore(write.tx(), id, write.now()).await?;
    changed(write, id).await
}

/// Removes a memory for good, with all its versions, vectors, relations and traces in the search
/// index. This cannot be undone. The receipt says what was removed and what is still owed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Purge {
    /// The id of any of its versions.
    #[schemars(range(min = 1))]
    pub id: i64,
}

/// What was removed for good, and what the database still owes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PurgeReceipt {
    /// The `uid` of the memory's first version.
    pub lineage: Uuid,
    /// When it was removed.
    pub purged_at: Timestamp,
    /// How many versions were removed.
    pub versions: u64,
    /// How many vectors were removed.
    pub vectors: u64,
    /// How many relations were removed.
    pub relations: u64,
    /// How many votes were removed.
    pub feedback: u64,
    /// How many records of the search log were blanked.
    pub search_records: u64,
    /// How many kept answers to idempotent requests were removed.
    pub kept_answers: u64,
    /// What may still hold its bytes, and how to have that removed too.
    pub owed: Vec<String>,
}

impl Operation for Purge {
    const SPEC: Spec = Spec::act("memory.purge", "/memories/{id}/purge")
        .destructive()
        .command(&["purge"])
        .positional(&["id"]);
    type Output = PurgeReceipt;

    async fn call(self, ctx: &Ctx) -> Result<PurgeReceipt> {
        let id = MemoryId(self.id);
        let receipt = write(ctx, Intent::new("memory.purge"), move |write| {
            Box::pin(async move { purge_one(write, id).await })
        })
        .await?;
        athena_store::erase_residue(ctx).await?;
        Ok(receipt)
    }
}

async fn purge_one(write: &Write<'_>, id: MemoryId) -> Result<PurgeReceipt> {
    let memory = locked(write, id).await?;
    let mut receipt = PurgeReceipt {
        lineage: memory.lineage,
        purged_at: write.now(),
        versions: 0,
        vectors: 0,
        relations: 0,
        feedback: 0,
        search_records: 0,
        kept_answers: sql::purge_answers(write.tx(), memory.lineage).await?,
        owed: athena_store::owed_after_purge(write.tx().dialect()),
    };
    for version in sql::versions(write.tx(), memory.lineage).await? {
        receipt.search_records +=
            remove_item(write, version.project_id, indexing::item(version.id)).await?;
        let rows = sql::purge_version(write.tx(), version.id).await?;
        receipt.versions += rows.versions;
        receipt.vectors += rows.passages;
        receipt.relations += rows.relations;
        receipt.feedback += rows.feedback;
    }
    Ok(receipt)
}

/// Relates one memory to another, such as "contradicts", "follows" or "explains". Relating the same
/// two in the same way again sets the strength anew.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Relate {
    /// The memory that the relation starts from.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// The memory that it leads to, of the same project.
    #[schemars(range(min = 1))]
    pub to: i64,
    /// How they are related.
    #[schemars(length(min = 1, max = 50))]
    pub relation: String,
    /// How strongly; 1 unless given.
    #[schemars(range(min = 0, max = 1))]
    pub strength: Option<f64>,
}

/// A relation between two memories.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Relation {
    /// The memory that the relation starts from.
    pub from: MemoryId,
    /// The memory that it leads to.
    pub to: MemoryId,
    /// How they are related.
    pub relation: String,
    /// How strongly, 0 to 1.
    pub strength: f64,
}

/// A relation that was stored.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Related {
    /// The relation's id.
    pub id: i64,
}

impl Operation for Relate {
    const SPEC: Spec = Spec::create("memory.relate", "/memories/{id}/relations")
        .errors(&[Code::Conflict])
        .idempotent()
        .command(&["relate"])
        .positional(&["id", "to"]);
    type Output = Related;

    async fn call(self, ctx: &Ctx) -> Result<Related> {
        let relate = Arc::new(self);
        write(ctx, Intent::new("memory.relate"), move |write| {
            let relate = Arc::clone(&relate);
            Box::pin(async move { relate_two(write, &relate).await })
        })
        .await
    }
}

async fn relate_two(write: &Write<'_>, relate: &Relate) -> Result<Related> {
    let from = existing(write.tx(), MemoryId(relate.id)).await?;
    let to = sql::by_id(write.tx(), MemoryId(relate.to)).await?;
    let to = to
        .filter(|to| to.project_id == from.project_id && to.id != from.id)
        .ok_or_else(|| {
            let message = format!(
                "`to` must be another memory of the same project, `{}` is not",
                relate.to
            );
            Error::new(Code::Conflict, message).with_field("to")
        })?;
    let relation = Relation {
        from: from.id,
        to: to.id,
        relation: relate.relation.clone(),
        strength: relate.strength.unwrap_or(1.0),
    };
    let principal = &write.ctx().caller().principal;
    let id = sql::relate(
        write.tx(),
        from.project_id,
        &relation,
        principal,
        write.now(),
    )
    .await?;
    Ok(Related { id })
}

/// Lists the relations of a memory, in both directions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Relations {
    /// The memory's id.
    #[schemars(range(min = 1))]
    pub id: i64,
}

impl Operation for Relations {
    const SPEC: Spec = Spec::read("memory.relations", "/memories/{id}/relations")
        .command(&["relations"])
        .positional(&["id"]);
    type Output = Page<Relation>;

    async fn call(self, ctx: &Ctx) -> Result<Page<Relation>> {
        let memory = remembered(ctx.db(), MemoryId(self.id), false).await?;
        Ok(Page {
            items: sql::relations(ctx.db(), memory.id, 10_000).await?,
            next_cursor: None,
        })
    }
}

/// Says whether a memory was useful. Votes make its usefulness: the share of useful ones.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Feedback {
    /// The memory's id.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// Whether it was useful.
    pub useful: bool,
    /// What was good or bad about it.
    #[schemars(length(min = 1, max = 10_000))]
    pub note: Option<String>,
}

/// A memory's usefulness after a vote.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct FeedbackGiven {
    /// The memory's id.
    pub id: MemoryId,
    /// The share of useful votes, 0 to 1.
    pub usefulness: f64,
    /// How many votes there are.
    pub votes: i64,
}

impl Operation for Feedback {
    const SPEC: Spec = Spec::create("memory.feedback", "/memories/{id}/feedback")
        .command(&["feedback"])
        .positional(&["id", "useful"]);
    type Output = FeedbackGiven;

    async fn call(self, ctx: &Ctx) -> Result<FeedbackGiven> {
        let feedback = Arc::new(self);
        write(ctx, Intent::new("memory.feedback"), move |write| {
            let feedback = Arc::clone(&feedback);
            Box::pin(async move { vote(write, &feedback).await })
        })
        .await
    }
}

async fn vote(write: &Write<'_>, feedback: &Feedback) -> Result<FeedbackGiven> {
    let memory = locked(write, MemoryId(feedback.id)).await?;
    let principal = &write.ctx().caller().principal;
    let note = feedback.note.as_deref();
    sql::add_feedback(
        write.tx(),
        memory.id,
        feedback.useful,
        note,
        principal,
        write.now(),
    )
    .await?;
    let (useful, votes) = sql::feedback_counts(write.tx(), memory.id).await?;
    let share = |count: i64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let usefulness = share(useful) / share(votes).max(1.0);
    sql::set_usefulness(write.tx(), memory.id, usefulness, write.now()).await?;
    Ok(FeedbackGiven {
        id: memory.id,
        usefulness,
        votes,
    })
}

/// The states whose memories are recalled unless a call says otherwise.
pub(super) fn live_states() -> Vec<String> {
    ConsolidationState::LIVE
        .iter()
        .map(|state| state.as_str().to_owned())
        .collect()
}
