//! Adding messages, reading them in order, and finding them.

use super::threads::check_open;
use super::{existing_thread, home_of_thread, note_thread, summarise};
use crate::conversation::indexing::{attributes, item, searched_text};
use crate::conversation::{MAX_MESSAGE_BYTES, Message, Role, estimated_tokens, sql};
use crate::items::{self, Find, ItemText};
use crate::projects;
use athena_core::{
    Code, Ctx, Cursor, Error, MessageId, Operation, Page, ProjectId, Result, Spec, ThreadId,
};
use athena_db::BoxFuture;
use athena_store::{Intent, Write, write};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;
use uuid::Uuid;

/// Adds a message to a thread. It gets the next number, whoever writes at the same time. The summary
/// of the thread is extended by itself once many messages are not covered by it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageAdd {
    /// The thread's id.
    #[schemars(range(min = 1))]
    pub thread: i64,
    /// Who says it.
    pub role: Role,
    /// What is said; at most 1 MiB. Only an assistant that calls tools may say nothing.
    #[serde(default)]
    pub content: String,
    /// The name of who says it, or of the tool that answers.
    #[schemars(length(min = 1, max = 200))]
    pub name: Option<String>,
    /// The call that a tool answers; the `role` `tool` requires it.
    #[schemars(length(min = 1, max = 200))]
    pub tool_call_id: Option<String>,
    /// The tools that the assistant calls, each an object with an `id`.
    #[schemars(length(min = 1, max = 128))]
    pub tool_calls: Option<Vec<Map<String, Value>>>,
    /// The model that made it.
    #[schemars(length(min = 1, max = 200))]
    #[schemars(extend("x-advanced" = true))]
    pub model: Option<String>,
    /// How many tokens it has; estimated as a quarter of its bytes unless given.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    #[schemars(extend("x-advanced" = true))]
    pub tokens: Option<i64>,
    /// The person whose conversation it is.
    #[schemars(length(min = 1, max = 200))]
    pub user: Option<String>,
    /// Anything else that belongs to it.
    #[schemars(extend("x-advanced" = true))]
    pub metadata: Option<Map<String, Value>>,
    /// When it was said; now unless given.
    #[schemars(extend("x-advanced" = true))]
    pub occurred_at: Option<Timestamp>,
}

/// A message of a batch; see `message.add` for the fields.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DraftMessage {
    /// Who says it.
    pub role: Role,
    /// What is said; at most 1 MiB.
    #[serde(default)]
    pub content: String,
    /// The name of who says it, or of the tool that answers.
    #[schemars(length(min = 1, max = 200))]
    pub name: Option<String>,
    /// The call that a tool answers.
    #[schemars(length(min = 1, max = 200))]
    pub tool_call_id: Option<String>,
    /// The tools that the assistant calls, each an object with an `id`.
    #[schemars(length(min = 1, max = 128))]
    pub tool_calls: Option<Vec<Map<String, Value>>>,
    /// The model that made it.
    #[schemars(length(min = 1, max = 200))]
    pub model: Option<String>,
    /// How many tokens it has; estimated unless given.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub tokens: Option<i64>,
    /// The person whose conversation it is.
    #[schemars(length(min = 1, max = 200))]
    pub user: Option<String>,
    /// Anything else that belongs to it.
    pub metadata: Option<Map<String, Value>>,
    /// When it was said; now unless given.
    pub occurred_at: Option<Timestamp>,
}

/// A message that is checked and prepared for the search, before the transaction.
#[derive(Debug, Clone)]
struct Prepared {
    /// The message; its ids, number and project are not known yet.
    message: Message,
    text: ItemText,
}

impl DraftMessage {
    fn prepare(self, ctx: &Ctx) -> Result<Prepared> {
        self.check()?;
        let now = ctx.now();
        let tokens = self.tokens.unwrap_or_else(|| self.estimate());
        let occurred_at = self.occurred_at.and_then(|time| {
            // Finer parts than are stored are dropped.
            Timestamp::from_microsecond(time.as_microsecond()).ok()
        });
        let message = Message {
            id: MessageId(0),
            uid: Uuid::now_v7(),
            thread: ThreadId(0),
            seq: 0,
            role: self.role,
            content: self.content,
            name: self.name,
            tool_call_id: self.tool_call_id,
            tool_calls: self.tool_calls,
            model: self.model,
            tokens,
            user: self.user,
            metadata: self.metadata,
            occurred_at: occurred_at.unwrap_or(now),
            principal: ctx.caller().principal.clone(),
            created_at: now,
            project: ProjectId(0),
        };
        let text = ItemText::prepare(ctx, searched_text(&message));
        Ok(Prepared { message, text })
    }

    fn check(&self) -> Result<()> {
        let calls = self.tool_calls.is_some();
        if calls && self.role != Role::Assistant {
            let problem = "can be given for the role `assistant` only: others call no tools";
            return Err(Error::invalid("tool_calls", problem));
        }
        if self.role == Role::Tool && self.tool_call_id.is_none() {
            let problem = "is required for the role `tool`: it names the call that is answered";
            return Err(Error::invalid("tool_call_id", problem));
        }
        if self.content.trim().is_empty() && !calls {
            let problem = "must not be blank, unless an assistant calls tools";
            return Err(Error::invalid("content", problem));
        }
        if self.content.len() <= MAX_MESSAGE_BYTES {
            return Ok(());
        }
        let message = format!(
            "`content` has {} bytes, at most {MAX_MESSAGE_BYTES} are allowed; split it into several messages",
            self.content.len()
        );
        Err(Error::new(Code::ContentTooLarge, message).with_field("content"))
    }

    /// Estimates the tokens of what a model would be shown.
    fn estimate(&self) -> i64 {
        let calls = self.tool_calls.as_ref();
        let calls = calls.and_then(|calls| serde_json::to_string(calls).ok());
        let name = self.name.as_deref().unwrap_or_default();
        estimated_tokens(&format!("{name}{}", self.content))
            + calls.as_deref().map_or(0, estimated_tokens)
    }
}

/// A message that was added.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AddedMessage {
    /// Its id in this store.
    pub id: MessageId,
    /// Its id in every store that it is moved to.
    pub uid: Uuid,
    /// Its number in the thread.
    pub seq: i64,
    /// How many tokens it has.
    pub tokens: i64,
}

impl Operation for MessageAdd {
    const SPEC: Spec =
        Spec::create("message.add", "/threads/{thread}/messages").errors(&[Code::InvalidState]);
    type Output = AddedMessage;

    fn home<'a>(ctx: &'a Ctx, input: &'a Value) -> BoxFuture<'a, Result<Option<String>>> {
        home_of_thread(ctx, input)
    }

    async fn call(self, ctx: &Ctx) -> Result<AddedMessage> {
        let draft = DraftMessage {
            role: self.role,
            content: self.content,
            name: self.name,
            tool_call_id: self.tool_call_id,
            tool_calls: self.tool_calls,
            model: self.model,
            tokens: self.tokens,
            user: self.user,
            metadata: self.metadata,
            occurred_at: self.occurred_at,
        };
        let messages = vec![draft.prepare(ctx)?];
        let added = add(ctx, "message.add", self.thread, messages).await?;
        let message = added.messages.into_iter().next();
        message.ok_or_else(|| Error::internal("a message was added and is not there"))
    }
}

/// Adds several messages to a thread, which get numbers without a gap: all of them, or none if one
/// is refused.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageAddBatch {
    /// The thread's id.
    #[schemars(range(min = 1))]
    pub thread: i64,
    /// The messages, oldest first.
    #[schemars(length(min = 1, max = 1_000))]
    pub messages: Vec<DraftMessage>,
}

/// Messages that were added, in their order.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AddedMessages {
    /// One answer a message.
    pub messages: Vec<AddedMessage>,
}

impl Operation for MessageAddBatch {
    const SPEC: Spec = Spec::create("message.add_batch", "/threads/{thread}/messages/batch")
        .errors(&[Code::InvalidState]);
    type Output = AddedMessages;

    fn home<'a>(ctx: &'a Ctx, input: &'a Value) -> BoxFuture<'a, Result<Option<String>>> {
        home_of_thread(ctx, input)
    }

    async fn call(self, ctx: &Ctx) -> Result<AddedMessages> {
        let own = ctx.clone();
        let drafts = self.messages;
        // Embedding a thousand messages takes its time: not on a thread that others wait for.
        let prepared = tokio::task::spawn_blocking(move || prepare_all(&own, drafts));
        let messages = prepared.await.map_err(Error::internal)??;
        add(ctx, "message.add_batch", self.thread, messages).await
    }
}

fn prepare_all(ctx: &Ctx, drafts: Vec<DraftMessage>) -> Result<Vec<Prepared>> {
    let drafts = drafts.into_iter().enumerate();
    let prepared = drafts.map(|(index, draft)| {
        draft.prepare(ctx).map_err(|error| {
            let field = format!("messages[{index}].{}", error.field().unwrap_or("content"));
            let message = format!("messages[{index}]: {}", error.message());
            Error::new(error.code(), message).with_field(field)
        })
    });
    prepared.collect()
}

async fn add(
    ctx: &Ctx,
    operation: &'static str,
    thread: i64,
    messages: Vec<Prepared>,
) -> Result<AddedMessages> {
    let intent = Intent::new(operation).of_items(messages.len());
    let messages = Arc::new(messages);
    let added = write(ctx, intent, move |write| {
        let messages = Arc::clone(&messages);
        Box::pin(async move { store(write, ThreadId(thread), &messages).await })
    })
    .await?;
    summarise::extend_if_long(ctx, thread).await;
    Ok(added)
}

async fn store(
    write: &Write<'_>,
    thread: ThreadId,
    messages: &[Prepared],
) -> Result<AddedMessages> {
    let (tx, now) = (write.tx(), write.now());
    let count = i64::try_from(messages.len()).map_err(Error::internal)?;
    sql::take_numbers(tx, thread, count).await?;
    let thread = existing_thread(tx, thread.0, now).await?;
    check_open(&thread)?;
    let first = thread.last_seq - count + 1;
    let numbered = messages.iter().zip(first..);
    let mut rows: Vec<Message> = numbered
        .map(|(prepared, seq)| Message {
            thread: thread.id,
            project: thread.project_id,
            seq,
            ..prepared.message.clone()
        })
        .collect();
    sql::insert_messages(tx, &rows).await?;
    sql::note_message(tx, thread.id, now).await?;
    if let Some(session) = &thread.session {
        sql::touch_session(tx, thread.project_id, session, now).await?;
    }
    let ids = sql::ids_from(tx, thread.id, first).await?;
    for (row, id) in rows.iter_mut().zip(ids) {
        row.id = id;
    }
    for (row, prepared) in rows.iter().zip(messages) {
        let attributes = attributes(row, thread.session.as_deref());
        let logged = prepared
            .text
            .log(write, row.project, item(row.id), &attributes);
        logged.await?;
    }
    note_thread(write, thread.project_id, thread.id);
    let added = rows.into_iter().map(|row| AddedMessage {
        id: row.id,
        uid: row.uid,
        seq: row.seq,
        tokens: row.tokens,
    });
    Ok(AddedMessages {
        messages: added.collect(),
    })
}

/// In which order messages are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageOrder {
    /// The last one first.
    Newest,
    /// The first one first.
    #[default]
    Oldest,
}

/// Lists the messages of a thread in their order, or the newest first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageList {
    /// The thread's id.
    #[schemars(range(min = 1))]
    pub thread: i64,
    /// In which order; `oldest` first unless given.
    #[serde(default)]
    pub order: MessageOrder,
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

impl Operation for MessageList {
    const SPEC: Spec = Spec::read("message.list", "/threads/{thread}/messages")
        .command(&["message", "list"])
        .positional(&["thread"])
        .short(&[("limit", 'n')]);
    type Output = Page<Message>;

    async fn call(self, ctx: &Ctx) -> Result<Page<Message>> {
        let cursor = self.cursor.as_deref().map(Cursor::parse).transpose()?;
        let thread = existing_thread(ctx.db(), self.thread, ctx.now()).await?;
        let limit = i64::from(self.limit) + 1;
        let messages = match self.order {
            MessageOrder::Oldest => {
                let after = cursor.map_or(0, |cursor| cursor.0);
                sql::messages_after(ctx.db(), thread.id, after, limit).await?
            }
            MessageOrder::Newest => {
                let before = cursor.map_or(i64::MAX, |cursor| cursor.0);
                sql::messages_before(ctx.db(), thread.id, before, limit).await?
            }
        };
        Ok(Page::from_overfetch(messages, self.limit, |message| {
            message.seq
        }))
    }
}

/// Finds messages by words and by meaning, in all threads of a project or in one. Quote a "phrase"
/// to require its words, and put `-` before a word that must not occur.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageSearch {
    /// What to look for.
    #[schemars(length(min = 1, max = 10_000), regex(pattern = r"\S"))]
    pub query: String,
    /// Only messages of this thread.
    #[schemars(range(min = 1))]
    pub thread: Option<i64>,
    /// Only messages of threads of this session.
    #[schemars(length(min = 1, max = 200))]
    pub session: Option<String>,
    /// Only messages of this person's conversations.
    #[schemars(length(min = 1, max = 200))]
    pub user: Option<String>,
    /// Only messages of this role.
    pub role: Option<Role>,
    /// Only what was said at this time or later.
    pub after: Option<Timestamp>,
    /// Only what was said before this time.
    pub before: Option<Timestamp>,
    /// The project, by name; that of `thread`, or the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// How many to answer at most.
    #[serde(default = "default_hits")]
    #[schemars(range(min = 1, max = 100))]
    pub limit: u32,
}

fn default_hits() -> u32 {
    10
}

/// Messages that were found.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct FoundMessages {
    /// The messages, the best first.
    pub hits: Vec<MessageHit>,
}

/// A message that was found.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MessageHit {
    /// How well it fits, 0 to 1.
    pub score: f64,
    /// The message.
    pub message: Message,
    /// What its thread is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_title: Option<String>,
    /// The session of its thread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

impl Operation for MessageSearch {
    const SPEC: Spec = Spec::query("message.search", "/messages/search")
        .command(&["message", "search"])
        .positional(&["query"])
        .short(&[("limit", 'n')]);
    type Output = FoundMessages;

    fn home<'a>(ctx: &'a Ctx, input: &'a Value) -> BoxFuture<'a, Result<Option<String>>> {
        home_of_thread(ctx, input)
    }

    async fn call(self, ctx: &Ctx) -> Result<FoundMessages> {
        let Some(project) = self.searched(ctx).await? else {
            return Ok(FoundMessages { hits: Vec::new() });
        };
        let thread = self.thread.map(|id| id.to_string());
        let labels = [
            ("thread", thread.as_deref()),
            ("in", self.session.as_deref()),
            ("of", self.user.as_deref()),
            ("by", self.role.map(Role::as_str)),
        ];
        let labels: Vec<(&str, &str)> = labels
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect();
        let find = Find {
            kind: items::MESSAGE,
            project,
            text: &self.query,
            labels: &labels,
            after: self.after,
            before: self.before,
            limit: self.limit,
        };
        // It borrows nothing, so that the search may wait for it on any thread.
        let own = ctx.clone();
        let read = move |ids: Vec<i64>| {
            let ctx = own.clone();
            async move {
                let rows = sql::shown(ctx.db(), &ids, ctx.now()).await?.into_iter();
                Ok(rows.map(|row| (row.0.id.0, row)).collect())
            }
        };
        let found = find.rows(ctx, read).await?.into_iter();
        let hits = found.map(|(hit, (message, thread_title, session))| MessageHit {
            score: hit.score,
            message,
            thread_title,
            session,
        });
        Ok(FoundMessages {
            hits: hits.collect(),
        })
    }
}

impl MessageSearch {
    /// Returns the project that is searched; none if the surroundings' own has nothing yet.
    async fn searched(&self, ctx: &Ctx) -> Result<Option<ProjectId>> {
        let named = projects::own(ctx, self.project.as_deref()).await?;
        let Some(id) = self.thread else {
            return Ok(named.map(|project| project.id));
        };
        let thread = existing_thread(ctx.db(), id, ctx.now()).await?;
        let named = named.filter(|_| self.project.is_some());
        match named.filter(|project| project.id != thread.project_id) {
            Some(project) => {
                let problem = format!("is of another project than `{}`", project.name);
                Err(Error::invalid("thread", problem))
            }
            None => Ok(Some(thread.project_id)),
        }
    }
}
