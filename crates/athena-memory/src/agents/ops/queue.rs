//! What waits in queues.

use super::{check_size, existing_item, home_of_item, note_item};
use crate::agents::sql::{self, ItemFilter, NewItem, Next};
use crate::agents::{DEFAULT_MAX_ATTEMPTS, DEFAULT_QUEUE, LeaseOutcome, QueueItem, QueueState};
use crate::priority::DEFAULT_PRIORITY;
use crate::projects;
use athena_core::{Code, Ctx, Cursor, Error, Operation, Page, PageRequest, Result, Spec};
use athena_db::BoxFuture;
use athena_store::{Intent, Write, write};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;
use uuid::Uuid;

/// Puts an item of work into a queue, where agents claim it. Each item is given to one agent at a
/// time, whatever process asks, and again to another one if the first fails or falls silent.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "QueuePut")]
#[schemars(extend("anyOf" = [{"required": ["title"]}, {"required": ["payload"]}, {"required": ["task_id"]}]))]
pub struct Put {
    /// What is to be done, in a line.
    #[schemars(length(min = 1, max = 500))]
    pub title: Option<String>,
    /// What who does it must know; at most 1 MiB.
    pub payload: Option<Map<String, Value>>,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// The queue; `default` unless given.
    #[schemars(length(min = 1, max = 100))]
    pub queue: Option<String>,
    /// What an agent must be able to do to get it.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(min = 1, max = 100)))]
    pub requires: Vec<String>,
    /// How urgent it is, 1 to 10; 10 is claimed first, 5 unless given.
    #[schemars(range(min = 1, max = 10))]
    pub priority: Option<u8>,
    /// The task that it is about.
    #[schemars(range(min = 1))]
    #[schemars(extend("x-advanced" = true))]
    pub task_id: Option<i64>,
    /// Do not give it out before this time.
    #[schemars(extend("x-advanced" = true))]
    pub not_before: Option<Timestamp>,
    /// How often it is tried at most; 3 unless given.
    #[schemars(range(min = 1, max = 1_000))]
    #[schemars(extend("x-advanced" = true))]
    pub max_attempts: Option<u32>,
}

/// An item of a batch; see `queue.put` for the fields.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "QueueDraftItem")]
#[schemars(extend("anyOf" = [{"required": ["title"]}, {"required": ["payload"]}, {"required": ["task_id"]}]))]
pub struct DraftItem {
    /// What is to be done, in a line.
    #[schemars(length(min = 1, max = 500))]
    pub title: Option<String>,
    /// What who does it must know; at most 1 MiB.
    pub payload: Option<Map<String, Value>>,
    /// The queue; the batch's unless given.
    #[schemars(length(min = 1, max = 100))]
    pub queue: Option<String>,
    /// What an agent must be able to do to get it.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(min = 1, max = 100)))]
    pub requires: Vec<String>,
    /// How urgent it is, 1 to 10; 10 is claimed first, 5 unless given.
    #[schemars(range(min = 1, max = 10))]
    pub priority: Option<u8>,
    /// The task that it is about.
    #[schemars(range(min = 1))]
    pub task_id: Option<i64>,
    /// Do not give it out before this time.
    pub not_before: Option<Timestamp>,
    /// How often it is tried at most; 3 unless given.
    #[schemars(range(min = 1, max = 1_000))]
    pub max_attempts: Option<u32>,
}

impl DraftItem {
    /// Checks it and fills in what it leaves out.
    fn prepare(self, queue: Option<&str>) -> Result<NewItem> {
        check_size("payload", self.payload.as_ref())?;
        let queue = self.queue.or_else(|| queue.map(str::to_owned));
        Ok(NewItem {
            uid: Uuid::now_v7(),
            queue: queue.unwrap_or_else(|| DEFAULT_QUEUE.to_owned()),
            title: self.title,
            payload: self.payload.map(Value::Object),
            task_id: self.task_id,
            requires: self.requires,
            priority: self.priority.map_or(DEFAULT_PRIORITY, i64::from),
            not_before: self.not_before,
            max_attempts: i64::from(self.max_attempts.unwrap_or(DEFAULT_MAX_ATTEMPTS)),
        })
    }
}

/// An item that was put into a queue.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "QueuePutItem")]
pub struct PutItem {
    /// Its id in this store.
    pub id: i64,
    /// Its id in every store that it is moved to.
    pub uid: Uuid,
}

impl Operation for Put {
    const SPEC: Spec = Spec::create("queue.put", "/queue/items")
        .command(&["queue", "put"])
        .positional(&["title"]);
    type Output = PutItem;

    async fn call(self, ctx: &Ctx) -> Result<PutItem> {
        let draft = DraftItem {
            title: self.title,
            payload: self.payload,
            queue: self.queue,
            requires: self.requires,
            priority: self.priority,
            task_id: self.task_id,
            not_before: self.not_before,
            max_attempts: self.max_attempts,
        };
        let items = vec![draft.prepare(None)?];
        let put = put(ctx, "queue.put", items, self.project).await?;
        let item = put.items.into_iter().next();
        item.ok_or_else(|| Error::internal("an item was put and is not there"))
    }
}

/// Puts several items of work into a queue: all of them, or none if one is refused.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "QueuePutBatch")]
pub struct PutBatch {
    /// The items, in order.
    #[schemars(length(min = 1, max = 1_000))]
    pub items: Vec<DraftItem>,
    /// The queue of items that name none; `default` unless given.
    #[schemars(length(min = 1, max = 100))]
    pub queue: Option<String>,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
}

/// Items that were put into queues, in their order.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "QueuePutItems")]
pub struct PutItems {
    /// One answer an item.
    pub items: Vec<PutItem>,
}

impl Operation for PutBatch {
    const SPEC: Spec = Spec::create("queue.put_batch", "/queue/items/batch");
    type Output = PutItems;

    async fn call(self, ctx: &Ctx) -> Result<PutItems> {
        let queue = self.queue.as_deref();
        let drafts = self.items.into_iter().enumerate();
        let items = drafts.map(|(index, draft)| {
            draft.prepare(queue).map_err(|error| {
                let field = format!("items[{index}].{}", error.field().unwrap_or("title"));
                let message = format!("items[{index}]: {}", error.message());
                Error::new(error.code(), message).with_field(field)
            })
        });
        let items = items.collect::<Result<Vec<NewItem>>>()?;
        put(ctx, "queue.put_batch", items, self.project).await
    }
}

async fn put(
    ctx: &Ctx,
    operation: &'static str,
    items: Vec<NewItem>,
    project: Option<String>,
) -> Result<PutItems> {
    let intent = Intent::new(operation).of_items(items.len());
    let put = Arc::new((items, project));
    write(ctx, intent, move |write| {
        let put = Arc::clone(&put);
        Box::pin(async move {
            let (items, project) = &*put;
            let project = projects::for_writing(write, project.as_deref()).await?;
            let principal = &write.ctx().caller().principal;
            let ids = sql::insert_items(write.tx(), project.id, items, principal, write.now());
            let ids = ids.await?;
            for id in &ids {
                note_item(write, project.id, *id);
            }
            let items = ids.into_iter().zip(items);
            let items = items.map(|(id, item)| PutItem { id, uid: item.uid });
            Ok(PutItems {
                items: items.collect(),
            })
        })
    })
    .await
}

/// Returns an item of a queue: where it stands, who works on it, what came of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueueGet {
    /// The item's id.
    #[schemars(range(min = 1))]
    pub id: i64,
}

impl Operation for QueueGet {
    const SPEC: Spec = Spec::read("queue.get", "/queue/items/{id}")
        .command(&["queue", "get"])
        .positional(&["id"]);
    type Output = QueueItem;

    async fn call(self, ctx: &Ctx) -> Result<QueueItem> {
        existing_item(ctx.db(), self.id).await
    }
}

/// Lists items of queues, newest first, whatever their state.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueueList {
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// Only items of this queue.
    #[schemars(length(min = 1, max = 100))]
    pub queue: Option<String>,
    /// Only items in this state.
    pub state: Option<QueueState>,
    /// Only items about this task.
    #[schemars(range(min = 1))]
    pub task_id: Option<i64>,
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

impl Operation for QueueList {
    const SPEC: Spec = Spec::read("queue.list", "/queue/items")
        .command(&["queue", "list"])
        .short(&[("limit", 'n')]);
    type Output = Page<QueueItem>;

    async fn call(self, ctx: &Ctx) -> Result<Page<QueueItem>> {
        let page = PageRequest {
            limit: self.limit,
            cursor: self.cursor.as_deref().map(Cursor::parse).transpose()?,
        };
        let filter = ItemFilter {
            queue: self.queue.as_deref(),
            state: self.state,
            task_id: self.task_id,
        };
        let items = match projects::own(ctx, self.project.as_deref()).await? {
            Some(project) => sql::items(ctx.db(), project.id, &filter, page).await?,
            None => Vec::new(),
        };
        Ok(Page::from_overfetch(items, self.limit, |item| item.id))
    }
}

/// Says how many items of each queue stand where.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueueStats {
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// Only this queue.
    #[schemars(length(min = 1, max = 100))]
    pub queue: Option<String>,
}

/// How many items of each queue stand where.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct QueueStatistics {
    /// The queues, by name.
    pub queues: Vec<QueueFigures>,
}

/// How many items of a queue stand where.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct QueueFigures {
    /// The queue.
    pub queue: String,
    /// Items that wait for somebody who claims them.
    pub ready: i64,
    /// Items that wait for their time.
    pub delayed: i64,
    /// Items that somebody works on.
    pub leased: i64,
    /// Items whose holders have been silent for too long; the next claim gives them out again.
    pub expired: i64,
    /// Items that were completed.
    pub done: i64,
    /// Items that were tried as often as they may be.
    pub failed: i64,
    /// Items that were called off.
    pub cancelled: i64,
    /// When the oldest item that waits was put there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_ready_at: Option<Timestamp>,
}

impl Operation for QueueStats {
    const SPEC: Spec = Spec::read("queue.stats", "/queue/stats").command(&["queue", "stats"]);
    type Output = QueueStatistics;

    async fn call(self, ctx: &Ctx) -> Result<QueueStatistics> {
        let counts = match projects::own(ctx, self.project.as_deref()).await? {
            Some(project) => {
                sql::counts(ctx.db(), project.id, self.queue.as_deref(), ctx.now()).await?
            }
            None => Vec::new(),
        };
        let queues = counts.into_iter().map(|it| QueueFigures {
            queue: it.queue,
            ready: it.ready,
            delayed: it.resting,
            leased: it.leased,
            expired: it.expired,
            done: it.done,
            failed: it.failed,
            cancelled: it.cancelled,
            oldest_ready_at: it.oldest_ready_at,
        });
        Ok(QueueStatistics {
            queues: queues.collect(),
        })
    }
}

/// Calls an item off. Who works on it loses the lease. `queue.retry` undoes it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "QueueCancel")]
pub struct Cancel {
    /// The item's id.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// Why.
    #[schemars(length(min = 1, max = 10_000))]
    pub reason: Option<String>,
}

impl Operation for Cancel {
    const SPEC: Spec = Spec::act("queue.cancel", "/queue/items/{id}/cancel")
        .idempotent()
        .command(&["queue", "cancel"])
        .positional(&["id"])
        .errors(&[Code::InvalidState]);
    type Output = QueueItem;

    fn home<'a>(ctx: &'a Ctx, input: &'a Value) -> BoxFuture<'a, Result<Option<String>>> {
        home_of_item(ctx, input)
    }

    async fn call(self, ctx: &Ctx) -> Result<QueueItem> {
        let cancel = Arc::new(self);
        write(ctx, Intent::new("queue.cancel"), move |write| {
            let cancel = Arc::clone(&cancel);
            Box::pin(async move { call_off(write, &cancel).await })
        })
        .await
    }
}

/// Locks an item, and the lease on it before that, as those do who hold one.
async fn locked_item(write: &Write<'_>, id: i64) -> Result<QueueItem> {
    sql::lock_lease_of(write.tx(), id).await?;
    sql::lock_item(write.tx(), id).await?;
    existing_item(write.tx(), id).await
}

async fn call_off(write: &Write<'_>, cancel: &Cancel) -> Result<QueueItem> {
    let (tx, now) = (write.tx(), write.now());
    let item = locked_item(write, cancel.id).await?;
    match item.state {
        QueueState::Cancelled => return Ok(item),
        QueueState::Done | QueueState::Failed => {
            let message = format!(
                "queue item `{}` is {}; only what waits or is worked on can be called off",
                item.id,
                item.state.as_str()
            );
            return Err(Error::new(Code::InvalidState, message).with_field("id"));
        }
        QueueState::Ready | QueueState::Leased => {}
    }
    sql::end_lease_of(tx, item.id, LeaseOutcome::Cancelled, now).await?;
    let next = Next {
        state: QueueState::Cancelled,
        attempts: item.attempts,
        not_before: None,
        result: None,
        last_error: cancel.reason.as_deref().or(item.last_error.as_deref()),
    };
    sql::set_next(tx, item.id, &next, now).await?;
    note_item(write, item.project_id, item.id);
    existing_item(tx, item.id).await
}

/// Puts an item back into its queue that has failed or was called off, with all its attempts anew.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "QueueRetry")]
pub struct Retry {
    /// The item's id.
    #[schemars(range(min = 1))]
    pub id: i64,
}

impl Operation for Retry {
    const SPEC: Spec = Spec::act("queue.retry", "/queue/items/{id}/retry")
        .idempotent()
        .command(&["queue", "retry"])
        .positional(&["id"])
        .errors(&[Code::InvalidState]);
    type Output = QueueItem;

    async fn call(self, ctx: &Ctx) -> Result<QueueItem> {
        let id = self.id;
        write(ctx, Intent::new("queue.retry"), move |write| {
            Box::pin(async move { try_again(write, id).await })
        })
        .await
    }
}

async fn try_again(write: &Write<'_>, id: i64) -> Result<QueueItem> {
    let (tx, now) = (write.tx(), write.now());
    let item = locked_item(write, id).await?;
    match item.state {
        QueueState::Ready => return Ok(item),
        QueueState::Done | QueueState::Leased => {
            let message = format!(
                "queue item `{id}` is {}; only what has failed or was called off is tried again: \
                 put a new item",
                item.state.as_str()
            );
            return Err(Error::new(Code::InvalidState, message).with_field("id"));
        }
        QueueState::Failed | QueueState::Cancelled => {}
    }
    let next = Next {
        state: QueueState::Ready,
        attempts: 0,
        not_before: None,
        result: None,
        last_error: item.last_error.as_deref(),
    };
    sql::set_next(tx, id, &next, now).await?;
    note_item(write, item.project_id, id);
    existing_item(tx, id).await
}
