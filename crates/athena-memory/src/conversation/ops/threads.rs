//! Threads, from the first to the last day.

use super::{existing_thread, home_of_thread, locked_thread, note_thread, sessions};
use crate::conversation::sql::{self, NewThread, ThreadFilter};
use crate::conversation::{Role, Thread};
use crate::projects;
use athena_core::{Code, Ctx, Cursor, Error, Operation, Page, PageRequest, Result, Spec, ThreadId};
use athena_db::BoxFuture;
use athena_store::{Intent, Write, write};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;
use uuid::Uuid;

/// Makes a thread: a conversation that messages are added to.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThreadCreate {
    /// What it is about.
    #[schemars(length(min = 1, max = 500))]
    pub title: Option<String>,
    /// The session that it belongs to; started if there is none of that name.
    #[schemars(length(min = 1, max = 200))]
    pub session: Option<String>,
    /// Which agent it is with.
    #[schemars(length(min = 1, max = 200))]
    pub agent: Option<String>,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// Anything else that belongs to it.
    #[schemars(extend("x-advanced" = true))]
    pub metadata: Option<Map<String, Value>>,
    /// After how many seconds it is removed for good; never unless given.
    #[schemars(range(min = 1, max = 3_153_600_000_i64))]
    #[schemars(extend("x-advanced" = true))]
    pub ttl_seconds: Option<i64>,
}

impl Operation for ThreadCreate {
    const SPEC: Spec = Spec::create("thread.create", "/threads")
        .command(&["thread", "create"])
        .positional(&["title"]);
    type Output = Thread;

    async fn call(self, ctx: &Ctx) -> Result<Thread> {
        let create = Arc::new((self, Uuid::now_v7()));
        write(ctx, Intent::new("thread.create"), move |write| {
            let create = Arc::clone(&create);
            Box::pin(async move { store_new(write, &create.0, create.1).await })
        })
        .await
    }
}

async fn store_new(write: &Write<'_>, create: &ThreadCreate, uid: Uuid) -> Result<Thread> {
    let project = projects::for_writing(write, create.project.as_deref()).await?;
    if let Some(session) = &create.session {
        sessions::ensure(write, project.id, session, create.agent.as_deref()).await?;
    }
    let new = NewThread {
        uid,
        session: create.session.as_deref(),
        title: create.title.as_deref(),
        agent: create.agent.as_deref(),
        metadata: create.metadata.clone().map(Value::Object),
        expires_at: create.ttl_seconds.map(|ttl| after(write.now(), ttl)),
        principal: &write.ctx().caller().principal,
        now: write.now(),
    };
    let id = sql::insert_thread(write.tx(), project.id, &new).await?;
    note_thread(write, project.id, id);
    existing_thread(write.tx(), id.0, write.now()).await
}

fn after(now: Timestamp, seconds: i64) -> Timestamp {
    now.checked_add(SignedDuration::from_secs(seconds))
        .unwrap_or(Timestamp::MAX)
}

/// Returns a thread with its summary and the number of its turns.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThreadGet {
    /// The thread's id.
    #[schemars(range(min = 1))]
    pub thread: i64,
}

/// A thread with what is computed of it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ThreadDetails {
    /// The thread.
    pub thread: Thread,
    /// How many messages of a person the agent answered.
    pub turns: i64,
    /// The most telling sentences of the messages up to `summary_to_seq`, one a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

impl Operation for ThreadGet {
    const SPEC: Spec = Spec::read("thread.get", "/threads/{thread}")
        .command(&["thread", "get"])
        .positional(&["thread"]);
    type Output = ThreadDetails;

    async fn call(self, ctx: &Ctx) -> Result<ThreadDetails> {
        let mut thread = existing_thread(ctx.db(), self.thread, ctx.now()).await?;
        Ok(ThreadDetails {
            turns: sql::turns(ctx.db(), thread.id).await?,
            summary: thread.summary.take(),
            thread,
        })
    }
}

/// Which threads are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ThreadState {
    /// Those that take messages.
    Open,
    /// Those that were closed.
    Closed,
    /// Those that were archived.
    Archived,
    /// Those that were removed and can be restored.
    Removed,
    /// All but archived and removed ones.
    #[default]
    Current,
}

impl ThreadState {
    /// Returns the conditions on the columns of a thread.
    const fn conditions(self) -> &'static str {
        match self {
            Self::Open => " AND t.live_key = 1 AND t.archived_at IS NULL AND t.closed_at IS NULL",
            Self::Closed => " AND t.live_key = 1 AND t.closed_at IS NOT NULL",
            Self::Archived => " AND t.live_key = 1 AND t.archived_at IS NOT NULL",
            Self::Removed => " AND t.live_key IS NULL",
            Self::Current => " AND t.live_key = 1 AND t.archived_at IS NULL",
        }
    }
}

/// Lists threads, newest first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThreadList {
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// Only threads of this session.
    #[schemars(length(min = 1, max = 200))]
    pub session: Option<String>,
    /// Only threads with this agent.
    #[schemars(length(min = 1, max = 200))]
    pub agent: Option<String>,
    /// Which threads; all but archived and removed ones unless given.
    #[serde(default)]
    pub state: ThreadState,
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

impl Operation for ThreadList {
    const SPEC: Spec = Spec::read("thread.list", "/threads")
        .command(&["thread", "list"])
        .short(&[("limit", 'n')]);
    type Output = Page<Thread>;

    async fn call(self, ctx: &Ctx) -> Result<Page<Thread>> {
        let page = PageRequest {
            limit: self.limit,
            cursor: self.cursor.as_deref().map(Cursor::parse).transpose()?,
        };
        let filter = ThreadFilter {
            session: self.session.as_deref(),
            agent: self.agent.as_deref(),
            state: self.state.conditions(),
        };
        let threads = match projects::own(ctx, self.project.as_deref()).await? {
            Some(project) => sql::threads(ctx.db(), project.id, &filter, ctx.now(), page).await?,
            None => Vec::new(),
        };
        Ok(Page::from_overfetch(threads, self.limit, |thread| {
            thread.id.0
        }))
    }
}

/// Changes what a thread is called, whom it is with, what belongs to it or how long it is kept. What
/// is not given stays.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("not" = {
    "required": ["keep", "ttl_seconds"], "properties": {"keep": {"const": true}}
}))]
pub struct ThreadUpdate {
    /// The thread's id.
    #[schemars(range(min = 1))]
    pub thread: i64,
    /// What it is about.
    #[schemars(length(min = 1, max = 500))]
    pub title: Option<String>,
    /// Which agent it is with.
    #[schemars(length(min = 1, max = 200))]
    pub agent: Option<String>,
    /// Anything else that belongs to it; takes the place of what did.
    pub metadata: Option<Map<String, Value>>,
    /// After how many seconds from now it is removed for good.
    #[schemars(range(min = 1, max = 3_153_600_000_i64))]
    pub ttl_seconds: Option<i64>,
    /// Keep it for good, whatever was said before.
    #[serde(default)]
    #[schemars(extend("x-advanced" = true))]
    pub keep: bool,
}

impl Operation for ThreadUpdate {
    const SPEC: Spec = Spec::change("thread.update", "/threads/{thread}")
        .idempotent()
        .command(&["thread", "update"])
        .positional(&["thread", "title"]);
    type Output = Thread;

    fn home<'a>(ctx: &'a Ctx, input: &'a Value) -> BoxFuture<'a, Result<Option<String>>> {
        home_of_thread(ctx, input)
    }

    async fn call(self, ctx: &Ctx) -> Result<Thread> {
        let update = self;
        change(ctx, "thread.update", update.thread, move |thread, now| {
            if update.title.is_some() {
                thread.title.clone_from(&update.title);
            }
            if update.agent.is_some() {
                thread.agent.clone_from(&update.agent);
            }
            if update.metadata.is_some() {
                thread.metadata.clone_from(&update.metadata);
            }
            if update.keep {
                thread.expires_at = None;
            }
            if let Some(ttl) = update.ttl_seconds {
                thread.expires_at = Some(after(now, ttl));
            }
            Ok(())
        })
        .await
    }
}

/// Changes a thread that is there, under its lock.
async fn change(
    ctx: &Ctx,
    operation: &'static str,
    id: i64,
    how: impl Fn(&mut Thread, Timestamp) -> Result<()> + Send + Sync + 'static,
) -> Result<Thread> {
    let how = Arc::new(how);
    write(ctx, Intent::new(operation), move |write| {
        let how = Arc::clone(&how);
        Box::pin(async move {
            let mut thread = locked_thread(write, id).await?;
            how(&mut thread, write.now())?;
            sql::update_thread(write.tx(), &thread, write.now()).await?;
            note_thread(write, thread.project_id, thread.id);
            super::kept_thread(write.tx(), id, write.now()).await
        })
    })
    .await
}

/// Declares operations that do one thing to a thread and can be repeated.
macro_rules! acts {
    ($($(#[$doc:meta])* $name:ident = $spec:expr, $operation:literal, $how:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// The thread's id.
            #[schemars(range(min = 1))]
            pub thread: i64,
        }

        impl Operation for $name {
            const SPEC: Spec = $spec.positional(&["thread"]);
            type Output = Thread;

            async fn call(self, ctx: &Ctx) -> Result<Thread> {
                let how: fn(&mut Thread, Timestamp) = $how;
                let how = move |thread: &mut Thread, now: Timestamp| {
                    how(thread, now);
                    Ok(())
                };
                change(ctx, $operation, self.thread, how).await
            }
        }
    )+};
}

acts! {
    /// Closes a thread: it stays in sight and takes no more messages. `thread.reopen` undoes it.
    ThreadClose = Spec::act("thread.close", "/threads/{thread}/close")
        .idempotent()
        .command(&["thread", "close"]),
        "thread.close",
        |thread, now| thread.closed_at = thread.closed_at.or(Some(now));
    /// Opens a closed thread again.
    ThreadReopen = Spec::act("thread.reopen", "/threads/{thread}/reopen")
        .idempotent()
        .command(&["thread", "reopen"]),
        "thread.reopen",
        |thread, _| thread.closed_at = None;
    /// Archives a thread: it is out of the way, is found still, and takes no messages.
    /// `thread.unarchive` undoes it.
    ThreadArchive = Spec::act("thread.archive", "/threads/{thread}/archive")
        .idempotent()
        .command(&["thread", "archive"]),
        "thread.archive",
        |thread, now| thread.archived_at = thread.archived_at.or(Some(now));
    /// Takes a thread out of the archive.
    ThreadUnarchive = Spec::act("thread.unarchive", "/threads/{thread}/unarchive")
        .idempotent()
        .command(&["thread", "unarchive"]),
        "thread.unarchive",
        |thread, _| thread.archived_at = None;
    /// Removes a thread: neither it nor its messages are found. `thread.restore` undoes it,
    /// `thread.purge` removes it for good.
    ThreadRemove = Spec::remove("thread.remove", "/threads/{thread}")
        .command(&["thread", "remove"]),
        "thread.remove",
        |thread, now| thread.removed_at = thread.removed_at.or(Some(now));
}

/// Restores a thread that was removed.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThreadRestore {
    /// The thread's id.
    #[schemars(range(min = 1))]
    pub thread: i64,
}

impl Operation for ThreadRestore {
    const SPEC: Spec = Spec::act("thread.restore", "/threads/{thread}/restore")
        .idempotent()
        .command(&["thread", "restore"])
        .positional(&["thread"]);
    type Output = Thread;

    async fn call(self, ctx: &Ctx) -> Result<Thread> {
        write(ctx, Intent::new("thread.restore"), move |write| {
            Box::pin(async move {
                let (tx, now) = (write.tx(), write.now());
                sql::lock_thread(tx, ThreadId(self.thread)).await?;
                let mut thread = super::kept_thread(tx, self.thread, now).await?;
                thread.removed_at = None;
                sql::update_thread(tx, &thread, now).await?;
                note_thread(write, thread.project_id, thread.id);
                existing_thread(tx, self.thread, now).await
            })
        })
        .await
    }
}

/// Says how a thread is made up: its messages and tokens by role, its turns, what its summary
/// covers.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThreadStats {
    /// The thread's id.
    #[schemars(range(min = 1))]
    pub thread: i64,
}

/// How a thread is made up.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ThreadFigures {
    /// How many messages it has.
    pub messages: i64,
    /// How many tokens its messages have.
    pub tokens: i64,
    /// How many messages of a person the agent answered.
    pub turns: i64,
    /// Messages and tokens by role.
    pub roles: Vec<RoleFigures>,
    /// The last message that its summary covers; 0 for none.
    pub summary_to_seq: i64,
    /// How many messages came after that.
    pub not_summarised: i64,
}

/// What those of one role say in a thread.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RoleFigures {
    /// The role.
    pub role: Role,
    /// How many messages.
    pub messages: i64,
    /// How many tokens these have.
    pub tokens: i64,
}

impl Operation for ThreadStats {
    const SPEC: Spec = Spec::read("thread.stats", "/threads/{thread}/stats")
        .command(&["thread", "stats"])
        .positional(&["thread"]);
    type Output = ThreadFigures;

    async fn call(self, ctx: &Ctx) -> Result<ThreadFigures> {
        let thread = existing_thread(ctx.db(), self.thread, ctx.now()).await?;
        let roles = sql::by_role(ctx.db(), thread.id).await?.into_iter();
        let roles = roles.map(|(role, messages, tokens)| RoleFigures {
            role,
            messages,
            tokens,
        });
        Ok(ThreadFigures {
            messages: thread.messages,
            tokens: thread.tokens,
            turns: sql::turns(ctx.db(), thread.id).await?,
            roles: roles.collect(),
            summary_to_seq: thread.summary_to_seq,
            not_summarised: thread.last_seq - thread.summary_to_seq,
        })
    }
}

/// Refuses messages for a thread that takes none.
pub(super) fn check_open(thread: &Thread) -> Result<()> {
    let (what, way_out) = match (thread.closed_at, thread.archived_at) {
        (Some(_), _) => ("closed", "thread.reopen"),
        (None, Some(_)) => ("archived", "thread.unarchive"),
        (None, None) => return Ok(()),
    };
    let message = format!(
        "thread `{}` is {what} and takes no messages; open it with `{way_out}`, or make a new one \
         with `thread.create`",
        thread.id
    );
    Err(Error::new(Code::InvalidState, message).with_field("thread"))
}
