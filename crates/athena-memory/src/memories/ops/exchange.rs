//! Moving memories between stores without loss: records that name each other by `uid`.

use super::remember::{Draft, NewVectors, identity, whole_microseconds};
use super::{Relation, changed, own_project};
use crate::batch::{in_item, prepare_all};
use crate::memories::indexing;
use crate::memories::sql;
use crate::memories::{ConsolidationState, Memory, MemoryType};
use crate::projects::{self, Known};
use athena_core::{
    Code, Ctx, Cursor, MemoryId, Operation, Page, PageRequest, ProjectId, Result, Spec,
};
use athena_store::{Intent, Write, write};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// A memory as it is moved between stores: everything about one version, with other versions and
/// memories named by their `uid`. All but `content` may be left out.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemoryRecord {
    /// The text.
    #[schemars(length(min = 1), regex(pattern = r"\S"))]
    pub content: String,
    /// Its id in every store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<Uuid>,
    /// The `uid` of its first version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lineage: Option<Uuid>,
    /// 1 for the first version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub version: Option<i64>,
    /// The `uid` of the version that replaced it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<Uuid>,
    /// When that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub superseded_at: Option<Timestamp>,
    /// Why this version was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_reason: Option<String>,
    /// What sort of thing it says; `fact` unless given.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub memory_type: Option<MemoryType>,
    /// What the text is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 50))]
    pub content_type: Option<String>,
    /// The field it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 50))]
    pub domain: Option<String>,
    /// How much a rule or a preference matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub priority: Option<i64>,
    /// The paths that it is about, as a pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500))]
    #[schemars(extend("x-text" = "path"))]
    pub scope: Option<String>,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 100)))]
    pub tags: Vec<String>,
    /// Anything else that came with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// The session it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub session: Option<String>,
    /// Who said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub speaker: Option<String>,
    /// The role of who said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 50))]
    pub role: Option<String>,
    /// What a picture that came with it shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 10_000))]
    pub caption: Option<String>,
    /// Its place in the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<i64>,
    /// The kind of event it was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 50))]
    pub event_type: Option<String>,
    /// The language of a piece of code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 50))]
    pub code_language: Option<String>,
    /// The hash of a piece of code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub code_hash: Option<String>,
    /// Where it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500))]
    pub source: Option<String>,
    /// Which agent told it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub agent: Option<String>,
    /// How far its source is trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub trust: Option<f64>,
    /// Its id where it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub external_id: Option<String>,
    /// How sure it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub confidence: Option<f64>,
    /// How useful it has proved.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub usefulness: Option<f64>,
    /// How often it was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub access_count: Option<i64>,
    /// Where it stands in consolidation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<ConsolidationState>,
    /// When it was consolidated last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consolidated_at: Option<Timestamp>,
    /// When what it says happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<Timestamp>,
    /// From when on it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Timestamp>,
    /// Until when it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    /// When it goes out of recall by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Who wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub principal: Option<String>,
    /// When this version was stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When something about this version changed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
    /// When it was used last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_accessed: Option<Timestamp>,
    /// When it was recalled last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_retrieved_at: Option<Timestamp>,
    /// When it was forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forgotten_at: Option<Timestamp>,
    /// Why it was forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forget_reason: Option<String>,
    /// The caller's own vector for the whole text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65_536))]
    pub embedding: Option<Vec<f32>>,
    /// What it is related to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relations: Vec<RelationRecord>,
}

/// A relation that starts from a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RelationRecord {
    /// The `uid` of the memory that it leads to.
    pub to: Uuid,
    /// How they are related.
    #[schemars(length(min = 1, max = 50))]
    pub relation: String,
    /// How strongly.
    #[schemars(range(min = 0, max = 1))]
    pub strength: f64,
}

/// Returns a project's memories as records that another store can import: every version, forgotten
/// ones included, oldest first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Export {
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// How many to answer at most.
    #[serde(default = "hundred")]
    #[schemars(range(min = 1, max = 1_000))]
    pub limit: u32,
    /// Where the previous page ended: its `next_cursor`.
    #[schemars(length(max = 15), regex(pattern = r"^c1\.[0-9a-z]{1,12}$"))]
    pub cursor: Option<String>,
}

fn hundred() -> u32 {
    100
}

impl Operation for Export {
    const SPEC: Spec = Spec::read("memory.export", "/export");
    type Output = Page<MemoryRecord>;

    async fn call(self, ctx: &Ctx) -> Result<Page<MemoryRecord>> {
        let cursor = self.cursor.as_deref().map(Cursor::parse).transpose()?;
        let projects = own_project(ctx, self.project.as_deref()).await?;
        let page = PageRequest {
            limit: self.limit,
            cursor,
        };
        let memories = sql::all(ctx.db(), &projects, page).await?;
        let page = Page::from_overfetch(memories, self.limit, |memory| memory.id.0);
        let mut beside = Beside::of(ctx, &page.items).await?;
        let items = page.items.into_iter().map(|memory| beside.record(memory));
        Ok(Page {
            items: items.collect(),
            next_cursor: page.next_cursor,
        })
    }
}

/// What is stored of memories beside them.
struct Beside {
    successors: HashMap<MemoryId, Uuid>,
    relations: HashMap<MemoryId, Vec<RelationRecord>>,
    /// The vectors that callers brought.
    embeddings: HashMap<MemoryId, Vec<f32>>,
}

impl Beside {
    async fn of(ctx: &Ctx, memories: &[Memory]) -> Result<Self> {
        let db = ctx.db();
        let ids: Vec<MemoryId> = memories.iter().map(|memory| memory.id).collect();
        let successors: Vec<MemoryId> = memories
            .iter()
            .filter_map(|memory| memory.superseded_by)
            .collect();
        let mut relations: HashMap<MemoryId, Vec<RelationRecord>> = HashMap::new();
        for (from, to, relation, strength) in sql::relations_from(db, &ids).await? {
            let own = relations.entry(from).or_default();
            own.push(RelationRecord {
                to,
                relation,
                strength,
            });
        }
        let mut embeddings = HashMap::new();
        for (id, bytes) in sql::vectors_named(db, &ids, indexing::CALLER_MODEL).await? {
            let floats = || indexing::floats(&bytes);
            embeddings.entry(id).or_insert_with(floats);
        }
        Ok(Self {
            successors: sql::uids(db, &successors).await?.into_iter().collect(),
            relations,
            embeddings,
        })
    }

    fn record(&mut self, memory: Memory) -> MemoryRecord {
        let successor = memory.superseded_by;
        let superseded_by = successor.and_then(|id| self.successors.get(&id).copied());
        let relations = self.relations.remove(&memory.id).unwrap_or_default();
        let embedding = self.embeddings.remove(&memory.id);
        MemoryRecord {
            uid: Some(memory.uid),
            lineage: Some(memory.lineage),
            version: Some(memory.version),
            superseded_by,
            superseded_at: memory.superseded_at,
            priority: memory.priority,
            scope: memory.scope,
            embedding,
            relations,
            update_reason: memory.update_reason,
            content: memory.content,
            memory_type: Some(memory.memory_type),
            content_type: Some(memory.content_type),
            domain: Some(memory.domain),
            tags: memory.tags,
            metadata: memory.metadata,
            session: memory.session,
            speaker: memory.speaker,
            role: memory.role,
            caption: memory.caption,
            position: memory.position,
            event_type: memory.event_type,
            code_language: memory.code_language,
            code_hash: memory.code_hash,
            source: memory.source,
            agent: memory.agent,
            trust: Some(memory.trust),
            external_id: memory.external_id,
            confidence: Some(memory.confidence),
            usefulness: Some(memory.usefulness),
            access_count: Some(memory.access_count),
            state: Some(memory.state),
            consolidated_at: memory.consolidated_at,
            occurred_at: memory.occurred_at,
            valid_from: memory.valid_from,
            valid_until: memory.valid_until,
            expires_at: memory.expires_at,
            principal: Some(memory.principal),
            created_at: Some(memory.created_at),
            updated_at: Some(memory.updated_at),
            last_accessed: memory.last_accessed,
            last_retrieved_at: memory.last_retrieved_at,
            forgotten_at: memory.forgotten_at,
            forget_reason: memory.forget_reason,
        }
    }
}

/// Imports memories that another store exported, or that were written down elsewhere: all of them,
/// or none if one is refused. A record whose `uid` or text is known already is skipped.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// The records. A version comes before or together with the one that replaced it.
    #[schemars(length(min = 1, max = 100_000))]
    pub memories: Vec<MemoryRecord>,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
}

/// What was imported.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Imported {
    /// The id of the project.
    pub project_id: ProjectId,
    /// How many records were stored.
    pub imported: usize,
    /// How many were known already.
    pub skipped: usize,
}

impl Operation for Import {
    const SPEC: Spec = Spec::create("memory.import", "/import")
        .idempotent()
        .errors(&[Code::Conflict, Code::EmbeddingMismatch]);
    type Output = Imported;

    async fn call(self, ctx: &Ctx) -> Result<Imported> {
        let items = prepare_all(ctx, "memories", self.memories, Item::prepare).await?;
        let items = Arc::new((items, self.project));
        let intent = Intent::new("memory.import").of_items(items.0.len());
        write(ctx, intent, move |write| {
            let items = Arc::clone(&items);
            Box::pin(async move {
                let (items, project) = &*items;
                let project = projects::for_writing(write, project.as_deref()).await?;
                store_all(write, &project, items).await
            })
        })
        .await
    }
}

/// A record, prepared for storing.
struct Item {
    uid: Uuid,
    superseded_by: Option<Uuid>,
    relations: Vec<RelationRecord>,
    content_hash: String,
    draft: Draft,
}

impl Item {
    fn prepare(ctx: &Ctx, mut record: MemoryRecord) -> Result<Self> {
        let (superseded_by, embedding) = (record.superseded_by, record.embedding.take());
        let relations = std::mem::take(&mut record.relations);
        let memory = memory(ctx, record, superseded_by.is_some());
        let content_hash = identity(
            memory.memory_type,
            &memory.content,
            memory.session.as_deref(),
            memory.speaker.as_deref(),
            memory.occurred_at,
        );
        Ok(Self {
            uid: memory.uid,
            superseded_by,
            relations,
            draft: Draft::of(ctx, memory, content_hash.clone(), None, embedding)?,
            content_hash,
        })
    }
}

fn memory(ctx: &Ctx, record: MemoryRecord, superseded: bool) -> Memory {
    let now = ctx.now();
    let uid = record.uid.unwrap_or_else(Uuid::now_v7);
    let created_at = record.created_at.map_or(now, whole_microseconds);
    let state = match record.state {
        _ if superseded => ConsolidationState::Superseded,
        // A superseded version whose successor is not known would be lost from view.
        None | Some(ConsolidationState::Superseded) => ConsolidationState::Unconsolidated,
        Some(state) => state,
    };
    Memory {
        id: MemoryId(0),
        project_id: ProjectId(0),
        uid,
        lineage: record.lineage.unwrap_or(uid),
        version: record.version.unwrap_or(1),
        superseded_by: None,
        superseded_at: record.superseded_at.map(whole_microseconds),
        priority: record.priority,
        scope: record.scope,
        update_reason: record.update_reason,
        content: record.content,
        content_type: record.content_type.unwrap_or_else(|| "text".into()),
        memory_type: record.memory_type.unwrap_or_default(),
        domain: record.domain.unwrap_or_else(|| "memory".into()),
        tags: record.tags,
        metadata: record.metadata,
        session: record.session,
        speaker: record.speaker,
        role: record.role,
        caption: record.caption,
        position: record.position,
        event_type: record.event_type,
        code_language: record.code_language,
        code_hash: record.code_hash,
        source: record.source,
        agent: record.agent,
        trust: record.trust.unwrap_or(1.0),
        external_id: record.external_id,
        confidence: record.confidence.unwrap_or(1.0),
        usefulness: record.usefulness.unwrap_or(0.0),
        quality: 0.0,
        access_count: record.access_count.unwrap_or(0),
        state,
        consolidated_at: record.consolidated_at.map(whole_microseconds),
        occurred_at: record.occurred_at.map(whole_microseconds),
        valid_from: record.valid_from.map(whole_microseconds),
        valid_until: record.valid_until.map(whole_microseconds),
        expires_at: record.expires_at.map(whole_microseconds),
        principal: record
            .principal
            .unwrap_or_else(|| ctx.caller().principal.clone()),
        created_at,
        updated_at: record.updated_at.map_or(created_at, whole_microseconds),
        last_accessed: record.last_accessed.map(whole_microseconds),
        last_retrieved_at: record.last_retrieved_at.map(whole_microseconds),
        forgotten_at: record.forgotten_at.map(whole_microseconds),
        forget_reason: record.forget_reason,
    }
}

async fn store_all(write: &Write<'_>, project: &Known, items: &[Item]) -> Result<Imported> {
    let uids: Vec<Uuid> = items.iter().map(|item| item.uid).collect();
    let mut known = sql::ids_of_uids(write.tx(), project.id, &uids).await?;
    let mut present = Vec::with_capacity(items.len());
    let mut imported = 0;
    let mut vectors = NewVectors::default();
    for (index, item) in items.iter().enumerate() {
        if !known.contains_key(&item.uid) {
            let width = Some(project.embedding_dim);
            let stored = item.draft.insert(write, project.id, width, &mut vectors);
            let stored = stored
                .await
                .map_err(|error| in_item("memories", error, index))?;
            imported += usize::from(stored.is_some());
            known.extend(stored.map(|id| (item.uid, id)));
        }
        present.extend(known.get(&item.uid).map(|id| (*id, item)));
    }
    vectors.store(write).await?;
    // Records that came with an earlier call are connected too: links may point forwards.
    for (id, item) in &present {
        connect(write, project.id, *id, item).await?;
    }
    Ok(Imported {
        project_id: project.id,
        imported,
        skipped: items.len() - imported,
    })
}

/// Restores what refers to other records, as far as the store has them.
async fn connect(write: &Write<'_>, project: ProjectId, id: MemoryId, item: &Item) -> Result<()> {
    if let Some(next) = item.superseded_by {
        match sql::id_of_uid(write.tx(), project, next).await? {
            Some(next) => sql::set_superseded(write.tx(), id, next).await?,
            // Without its successor it would be lost from view.
            None if sql::same(write.tx(), project, &item.content_hash)
                .await?
                .is_none() =>
            {
                sql::revive(write.tx(), id).await?;
            }
            None => {}
        }
        changed(write, id).await?;
    }
    for relation in &item.relations {
        if let Some(to) = sql::id_of_uid(write.tx(), project, relation.to).await? {
            let relation = Relation {
                from: id,
                to,
                relation: relation.relation.clone(),
                strength: relation.strength,
            };
            let principal = &write.ctx().caller().principal;
            sql::relate(write.tx(), project, &relation, principal, write.now()).await?;
        }
    }
    Ok(())
}
