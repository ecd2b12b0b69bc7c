//! Summaries that go along with their threads.

use super::{existing_thread, note_thread};
use crate::conversation::summary::extended;
use crate::conversation::{
    DEFAULT_SUMMARY_TOKENS, Message, SUMMARISE_AFTER, Thread, estimated_tokens, sql,
};
use athena_core::{Code, Ctx, Error, Operation, Result, Spec, ThreadId};
use athena_store::{Intent, write};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

/// Messages that are read at once.
const PAGE: i64 = 500;

/// Extends the summary of a thread by its newer messages: sentences taken from them, those that
/// tell most, in their order. This happens by itself when many messages are not covered.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThreadSummarise {
    /// The thread's id.
    #[schemars(range(min = 1))]
    pub thread: i64,
    /// The last message to cover; the last one of the thread unless given.
    #[schemars(range(min = 1))]
    pub to_seq: Option<i64>,
    /// How many tokens the summary has at most; 400 unless given.
    #[schemars(range(min = 10, max = 100_000))]
    pub max_tokens: Option<u32>,
    /// Make it anew from the first message on.
    #[serde(default)]
    #[schemars(extend("x-advanced" = true))]
    pub anew: bool,
}

/// The summary of a thread.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Summarised {
    /// The thread.
    pub thread: ThreadId,
    /// The thread's `uid`: a purge finds by it what shows the summary.
    pub uid: Uuid,
    /// The sentences, one a line.
    pub summary: String,
    /// The last message that it covers.
    pub covers_up_to_seq: i64,
    /// How many tokens it has, estimated.
    pub tokens: i64,
}

impl Operation for ThreadSummarise {
    const SPEC: Spec = Spec::act("thread.summarise", "/threads/{thread}/summarise")
        .idempotent()
        .command(&["thread", "summarise"])
        .positional(&["thread"])
        .errors(&[Code::InvalidState]);
    type Output = Summarised;

    async fn call(self, ctx: &Ctx) -> Result<Summarised> {
        let thread = existing_thread(ctx.db(), self.thread, ctx.now()).await?;
        let to = self.to_seq.unwrap_or(thread.last_seq);
        if to > thread.last_seq {
            let message = format!(
                "`to_seq` is {to}, but the last message is {}",
                thread.last_seq
            );
            return Err(Error::new(Code::NotFound, message).with_field("to_seq"));
        }
        if to < thread.summary_to_seq && !self.anew {
            let message = format!(
                "`to_seq` is {to}, but the summary covers {} messages already; pass `anew` to make it anew",
                thread.summary_to_seq
            );
            return Err(Error::new(Code::InvalidState, message).with_field("to_seq"));
        }
        let tokens = i64::from(self.max_tokens.unwrap_or(DEFAULT_SUMMARY_TOKENS));
        extend(ctx, "thread.summarise", &thread, to, tokens, self.anew).await
    }
}

/// Extends the summary of a thread if many messages are not covered by it.
///
/// The messages are stored already, so nothing that goes wrong here is the caller's business: the
/// next message brings the next attempt.
pub(super) async fn extend_if_long(ctx: &Ctx, thread: i64) {
    let ctx = ctx.clone().without_idempotency();
    if let Err(error) = try_extend(&ctx, thread).await {
        tracing::warn!(code = %error.code(), "the summary of a thread was not extended");
    }
}

async fn try_extend(ctx: &Ctx, thread: i64) -> Result<()> {
    let thread = existing_thread(ctx.db(), thread, ctx.now()).await?;
    if thread.last_seq - thread.summary_to_seq <= SUMMARISE_AFTER {
        return Ok(());
    }
    let tokens = i64::from(DEFAULT_SUMMARY_TOKENS);
    let to = thread.last_seq;
    let extended = extend(ctx, "thread.summarise", &thread, to, tokens, false).await;
    match extended {
        // Somebody else who adds messages did it meanwhile.
        Err(error) if error.code() == Code::Busy => Ok(()),
        other => other.map(|_| ()),
    }
}

/// Makes a summary before the transaction, and stores it unless another one was stored meanwhile.
async fn extend(
    ctx: &Ctx,
    operation: &'static str,
    thread: &Thread,
    to: i64,
    tokens: i64,
    anew: bool,
) -> Result<Summarised> {
    let from = if anew { 0 } else { thread.summary_to_seq };
    let messages = messages_between(ctx, thread.id, from, to).await?;
    let former = thread.summary.clone().filter(|_| !anew);
    let made = tokio::task::spawn_blocking(move || extended(former.as_deref(), &messages, tokens));
    let summary = Arc::new(made.await.map_err(Error::internal)?);
    let (id, uid) = (thread.id, thread.uid);
    let (project, before) = (thread.project_id, thread.summary_to_seq);
    let kept = Arc::clone(&summary);
    write(ctx, Intent::new(operation), move |write| {
        let summary = Arc::clone(&kept);
        Box::pin(async move {
            let text = Some(summary.as_str()).filter(|text| !text.is_empty());
            let tokens = estimated_tokens(&summary);
            if !sql::put_summary(write.tx(), id, before, to, text, tokens).await? {
                let message = "the thread was summarised or changed meanwhile; try again";
                return Err(Error::new(Code::Busy, message));
            }
            note_thread(write, project, id);
            Ok(Summarised {
                thread: id,
                uid,
                tokens,
                summary: summary.to_string(),
                covers_up_to_seq: to,
            })
        })
    })
    .await
}

/// Reads the messages of a thread after a number, up to one.
async fn messages_between(
    ctx: &Ctx,
    thread: ThreadId,
    mut after: i64,
    to: i64,
) -> Result<Vec<Message>> {
    let mut all = Vec::new();
    while after < to {
        let page = sql::messages_after(ctx.db(), thread, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        all.extend(page.into_iter().filter(|message| message.seq <= to));
    }
    Ok(all)
}
