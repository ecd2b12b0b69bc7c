//! What an agent is shown of a thread.

use super::existing_thread;
use crate::conversation::context::window;
use crate::conversation::{Message, Thread, sql};
use athena_core::{Ctx, Operation, Result, Spec, ThreadId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Messages that are read at once.
const PAGE: i64 = 200;

/// Returns what fits a number of tokens of a thread: its newest messages, oldest of them first, and
/// a summary of what was before if not all fit. Never more than the budget, and no answer of a tool
/// without the message that called it.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThreadContext {
    /// The thread's id.
    #[schemars(range(min = 1))]
    pub thread: i64,
    /// How many tokens there are; 4000 unless given.
    #[serde(default = "default_budget")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub budget_tokens: i64,
}

fn default_budget() -> i64 {
    4_000
}

/// What fits of a thread.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ThreadWindow {
    /// The thread.
    pub thread: ThreadId,
    /// Sentences of messages up to `summary_to_seq`, one a line; absent when all messages are shown,
    /// when there is none yet and when it does not fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The last message that the thread's summary covers; 0 for none.
    pub summary_to_seq: i64,
    /// The messages, oldest first.
    pub messages: Vec<Message>,
    /// How many tokens summary and messages have together.
    pub tokens: i64,
    /// What is not shown; absent if everything is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<LeftOut>,
}

/// Messages that are not shown.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LeftOut {
    /// How many.
    pub messages: i64,
    /// The number of the first.
    pub first_seq: i64,
    /// The number of the last.
    pub last_seq: i64,
}

impl Operation for ThreadContext {
    const SPEC: Spec = Spec::read("thread.context", "/threads/{thread}/context")
        .command(&["thread", "context"])
        .positional(&["thread"]);
    type Output = ThreadWindow;

    async fn call(self, ctx: &Ctx) -> Result<ThreadWindow> {
        let thread = existing_thread(ctx.db(), self.thread, ctx.now()).await?;
        let (newest, complete) = newest(ctx, thread.id, self.budget_tokens).await?;
        let read: Vec<i64> = newest.iter().map(|message| message.seq).collect();
        let summary = thread.summary.as_deref();
        let window = window(newest, complete, summary, self.budget_tokens);
        let left_out = left_out(ctx, &thread, &read, &window.messages).await?;
        Ok(ThreadWindow {
            thread: thread.id,
            summary: window.summary,
            summary_to_seq: thread.summary_to_seq,
            messages: window.messages,
            tokens: window.tokens,
            left_out,
        })
    }
}

/// Reads the newest messages of a thread, newest first, until they are more than fit; says whether
/// these are all.
async fn newest(ctx: &Ctx, thread: ThreadId, budget: i64) -> Result<(Vec<Message>, bool)> {
    let mut messages: Vec<Message> = Vec::new();
    let mut tokens = 0;
    while tokens <= budget {
        let before = messages.last().map_or(i64::MAX, |message| message.seq);
        let page = sql::messages_before(ctx.db(), thread, before, PAGE).await?;
        if page.is_empty() {
            return Ok((messages, true));
        }
        tokens += page.iter().map(|message| message.tokens).sum::<i64>();
        messages.extend(page);
    }
    Ok((messages, false))
}

/// Says what is not shown: `read` are the numbers that were looked at, newest first.
async fn left_out(
    ctx: &Ctx,
    thread: &Thread,
    read: &[i64],
    shown: &[Message],
) -> Result<Option<LeftOut>> {
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let messages = thread.messages.max(count(read.len())) - count(shown.len());
    if messages <= 0 {
        return Ok(None);
    }
    let first = sql::messages_after(ctx.db(), thread.id, 0, 1).await?.pop();
    let is_shown = |seq: &i64| shown.iter().any(|message| message.seq == *seq);
    let hidden = read.iter().copied().filter(|seq| !is_shown(seq));
    let earliest_shown = shown.first().map_or(i64::MAX, |message| message.seq);
    // What was not read lies before all that was.
    let last_unread = read.last().map_or(0, |seq| seq - 1);
    let first_seq = match first {
        Some(message) if message.seq < earliest_shown => message.seq,
        _ => hidden.clone().min().unwrap_or(0),
    };
    Ok(Some(LeftOut {
        messages,
        first_seq,
        last_seq: hidden.max().unwrap_or(last_unread),
    }))
}
