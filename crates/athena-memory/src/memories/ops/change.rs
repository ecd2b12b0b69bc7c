//! Changing: new versions, forgetting and restoring.

use super::remember::{Draft, NewVectors, check_standing, identity, whole_microseconds};
use super::{changed, existing, home_of_memory, locked};
use crate::memories::{ConsolidationState, Memory, MemoryType, indexing, quality, sql};
use athena_core::{Code, Ctx, Error, MemoryId, Operation, ProjectId, Result, Spec};
use athena_db::BoxFuture;
use athena_store::{Intent, Write, write};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;
use uuid::Uuid;

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
    /// How much a rule or a preference matters now, 1 to 10.
    #[schemars(range(min = 1, max = 10))]
    #[schemars(extend("x-advanced" = true))]
    pub priority: Option<i64>,
    /// The paths that a rule or a preference is about now, such as `src/**/*.rs`.
    #[schemars(length(min = 1, max = 500), regex(pattern = r"\S"))]
    #[schemars(extend("x-text" = "path", "x-advanced" = true))]
    pub scope: Option<String>,
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

    fn home<'a>(ctx: &'a Ctx, input: &'a Value) -> BoxFuture<'a, Result<Option<String>>> {
        home_of_memory(ctx, input)
    }

    async fn call(self, ctx: &Ctx) -> Result<Updated> {
        let old = existing(ctx.db(), MemoryId(self.id)).await?;
        if ctx.idempotency().is_none() {
            // A repeated request must meet its first answer before it meets its own effect.
            check_current(&old, self.expected_version)?;
        }
        let next = next_version(ctx, &old, &self);
        check_standing(next.memory_type, self.priority, self.scope.as_deref())?;
        let hash = identity(
            next.memory_type,
            &next.content,
            next.session.as_deref(),
            next.speaker.as_deref(),
            next.occurred_at,
        );
        let draft = Arc::new(Draft::of(ctx, next, hash, None, self.embedding)?);
        let intent = Intent::new("memory.update").in_project(old.project_id);
        let (id, expected) = (old.id, self.expected_version);
        let read = Arc::new(old);
        write(ctx, intent, move |write| {
            let (draft, read) = (Arc::clone(&draft), Arc::clone(&read));
            Box::pin(async move { replace(write, id, expected, &read, &draft).await })
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
        priority: update.priority.or(old.priority),
        scope: update.scope.or_else(|| old.scope.clone()),
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
    read: &Memory,
    draft: &Draft,
) -> Result<Updated> {
    let old = locked(write, id).await?;
    check_current(&old, expected)?;
    if (&old.content, &old.tags, &old.metadata) != (&read.content, &read.tags, &read.metadata) {
        // Only a move to another key changes a version in place.
        let message = "the tokens of this memory were changed a moment ago; try again";
        return Err(Error::new(Code::Busy, message));
    }
    if let Some((same, _)) = sql::same(write.tx(), old.project_id, &draft.content_hash).await?
        && same != old.id
    {
        let message =
            format!("memory `{same}` says the same already; forget one of the two instead");
        return Err(Error::new(Code::Conflict, message).with_field("content"));
    }
    sql::release(write.tx(), old.id).await?;
    let mut vectors = NewVectors::default();
    let next = draft
        .insert(write, old.project_id, None, &mut vectors)
        .await?
        .ok_or_else(|| {
            Error::new(
                Code::Conflict,
                "another memory says the same since a moment ago",
            )
            .with_field("content")
        })?;
    vectors.store(write).await?;
    supersede(write, old, next).await?;
    Ok(Updated {
        id: next,
        uid: draft.memory.uid,
        replaced: id,
        version: draft.memory.version,
    })
}

/// Marks a version as replaced, and tells search of it.
async fn supersede(write: &Write<'_>, old: Memory, by: MemoryId) -> Result<()> {
    sql::supersede(write.tx(), old.id, by, write.now()).await?;
    let superseded = Memory {
        state: ConsolidationState::Superseded,
        ..old
    };
    write.log(
        superseded.project_id,
        indexing::attributes_record(&superseded),
    );
    Ok(())
}

/// Marks a memory as replaced by another one of the same project, which says what is so now.
pub(super) async fn take_place(
    write: &Write<'_>,
    id: MemoryId,
    by: MemoryId,
    project: ProjectId,
) -> Result<()> {
    let refused = |error: Error| error.with_field("replaces");
    let old = locked(write, id).await.map_err(refused)?;
    if old.superseded_by == Some(by) {
        return Ok(());
    }
    if old.project_id != project {
        let message = format!("memory `{id}` is of another project; forget it there instead");
        return Err(refused(Error::new(Code::InvalidInput, message)));
    }
    if id == by {
        let message = format!("memory `{id}` says the same; nothing is to be replaced");
        return Err(refused(Error::new(Code::Conflict, message)));
    }
    check_current(&old, None).map_err(refused)?;
    supersede(write, old, by).await
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

    fn home<'a>(ctx: &'a Ctx, input: &'a Value) -> BoxFuture<'a, Result<Option<String>>> {
        home_of_memory(ctx, input)
    }

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

/// Restores a memory that was forgotten. One that was replaced is refused: its successor is to be
/// updated instead.
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
        .command(&["unforget"])
        .positional(&["id"])
        .errors(&[Code::Conflict, Code::InvalidState]);
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
        return match memory.superseded_by {
            Some(next) => Err(replaced_not_forgotten(id, next)),
            None => Ok(memory),
        };
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

fn replaced_not_forgotten(id: MemoryId, next: MemoryId) -> Error {
    let message = format!(
        "memory `{id}` was not forgotten: it was replaced by `{next}`; to have its text again, update \
         `{next}` with it"
    );
    Error::new(Code::InvalidState, message).with_field("id")
}
