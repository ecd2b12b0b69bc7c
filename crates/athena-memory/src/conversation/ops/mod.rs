//! Operations on sessions, threads and messages, by what they are for.

mod context;
mod messages;
mod purge;
mod resuming;
mod sessions;
mod summarise;
mod threads;

pub use context::{LeftOut, ThreadContext, ThreadWindow};
pub use messages::{
    AddedMessage, AddedMessages, DraftMessage, FoundMessages, MessageAdd, MessageAddBatch,
    MessageHit, MessageList, MessageOrder, MessageSearch,
};
pub(super) use purge::purge_thread;
pub use purge::{MessagePurge, ThreadPurge, ThreadPurgeReceipt};
pub use resuming::{Resume, Resumed, Turn};
pub use sessions::{
    SessionEnd, SessionGet, SessionList, SessionPurge, SessionPurgeReceipt, SessionStart,
};
pub use summarise::{Summarised, ThreadSummarise};
pub use threads::{
    RoleFigures, ThreadArchive, ThreadClose, ThreadCreate, ThreadDetails, ThreadFigures, ThreadGet,
    ThreadList, ThreadRemove, ThreadReopen, ThreadRestore, ThreadState, ThreadStats,
    ThreadUnarchive, ThreadUpdate,
};

use super::{Thread, sql};
use crate::{items, projects};
use athena_core::{Code, Ctx, Error, ProjectId, Result, ThreadId};
use athena_db::{BoxFuture, Executor};
use athena_search::ItemRef;
use athena_store::Write;
use jiff::Timestamp;
use serde_json::Value;

/// Returns a thread, removed ones included, or says that it does not exist. One that has expired
/// does not, whether or not it is still to be removed.
async fn kept_thread(db: &impl Executor, id: i64, now: Timestamp) -> Result<Thread> {
    let thread = sql::thread(db, ThreadId(id)).await?;
    thread
        .filter(|thread| thread.expires_at.is_none_or(|at| at > now))
        .ok_or_else(|| Error::not_found(format_args!("thread `{id}`")).with_field("thread"))
}

/// Returns a thread that is there.
async fn existing_thread(db: &impl Executor, id: i64, now: Timestamp) -> Result<Thread> {
    let thread = kept_thread(db, id, now).await?;
    if thread.is_there(now) {
        return Ok(thread);
    }
    let message = format!("thread `{id}` was removed; restore it with `thread.restore`");
    Err(Error::new(Code::NotFound, message).with_field("thread"))
}

/// Locks a thread against other writers until the commit, and returns it as it is then.
async fn locked_thread(write: &Write<'_>, id: i64) -> Result<Thread> {
    sql::lock_thread(write.tx(), ThreadId(id)).await?;
    existing_thread(write.tx(), id, write.now()).await
}

/// Returns the project of the thread that an input names by `thread`, if it names one.
fn home_of_thread<'a>(ctx: &'a Ctx, input: &'a Value) -> BoxFuture<'a, Result<Option<String>>> {
    Box::pin(async move {
        let Some(id) = input["thread"].as_i64() else {
            return Ok(None);
        };
        let thread = kept_thread(ctx.db(), id, ctx.now()).await?;
        projects::name(ctx.db(), thread.project_id).await.map(Some)
    })
}

/// Tells those who follow what changes of a thread.
fn note_thread(write: &Write<'_>, project: ProjectId, id: ThreadId) {
    let kind = items::THREAD;
    write.note(project, ItemRef { kind, id: id.0 });
}
