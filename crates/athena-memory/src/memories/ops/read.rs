//! Reading: one memory, a list, a history.

use super::{existing, own_project};
use crate::memories::sql::{self, ListFilter};
use crate::memories::{ConsolidationState, Memory, MemoryType};
use athena_core::{Code, Ctx, Cursor, Error, MemoryId, Operation, Page, PageRequest, Result, Spec};
use athena_db::Executor;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

/// Returns one memory by its id, with everything known about it. Reading does not count as use.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// The memory's id.
    #[schemars(range(min = 1))]
    pub id: i64,
}

impl Operation for Get {
    const SPEC: Spec = Spec::read("memory.get", "/memories/{id}")
        .tool("get")
        .command(&["get"])
        .positional(&["id"]);
    type Output = Memory;

    async fn call(self, ctx: &Ctx) -> Result<Memory> {
        remembered(ctx.db(), MemoryId(self.id)).await
    }
}

/// Returns the memory, unless it was forgotten.
pub(super) async fn remembered(db: &impl Executor, id: MemoryId) -> Result<Memory> {
    let memory = existing(db, id).await?;
    if memory.forgotten_at.is_none() {
        return Ok(memory);
    }
    let message = format!("memory `{id}` was forgotten; restore it, or list with `forgotten`");
    Err(Error::new(Code::NotFound, message).with_field("id"))
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

/// Returns all versions of a memory, oldest first, each with the reason for the change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// The id of any of its versions.
    #[schemars(range(min = 1))]
    pub id: i64,
}

impl Operation for History {
    const SPEC: Spec = Spec::read("memory.history", "/memories/{id}/history")
        .command(&["history"])
        .positional(&["id"]);
    type Output = Page<Memory>;

    async fn call(self, ctx: &Ctx) -> Result<Page<Memory>> {
        let memory = remembered(ctx.db(), MemoryId(self.id)).await?;
        Ok(Page {
            items: sql::versions(ctx.db(), memory.project_id, memory.lineage).await?,
            next_cursor: None,
        })
    }
}
