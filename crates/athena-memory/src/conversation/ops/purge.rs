//! Removing for good, with a receipt.

use super::{existing_thread, note_thread, summarise};
use crate::conversation::indexing::item;
use crate::conversation::{Message, Thread, sql};
use crate::projects;
use crate::removal::{collect_tokens, forget_answers};
use athena_core::{Code, Ctx, Error, MessageId, Operation, Result, Spec, ThreadId};
use athena_db::Executor;
use athena_store::{Intent, Write, forget_values, remove_items, write};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Messages that are read at once.
const PAGE: i64 = 500;

/// Removes a thread for good, with its messages, its summary and every trace in the search index.
/// This cannot be undone. The receipt says what was removed and what is still owed.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThreadPurge {
    /// The thread's id; it may have been removed already.
    #[schemars(range(min = 1))]
    pub thread: i64,
}

/// What was removed for good.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ThreadPurgeReceipt {
    /// The thread.
    pub thread: ThreadId,
    /// When it was removed.
    pub purged_at: Timestamp,
    /// How many messages were removed.
    pub messages: u64,
    /// How many records of the search log were blanked.
    pub search_records: u64,
    /// How many kept answers to idempotent requests were removed.
    pub kept_answers: u64,
    /// How many sealed personal values were removed that nothing else mentions.
    pub sealed_values: u64,
    /// What may still hold its bytes, and how to have that removed too.
    pub owed: Vec<String>,
}

impl Operation for ThreadPurge {
    const SPEC: Spec = Spec::act("thread.purge", "/threads/{thread}/purge")
        .destructive()
        .command(&["thread", "purge"])
        .positional(&["thread"]);
    type Output = ThreadPurgeReceipt;

    async fn call(self, ctx: &Ctx) -> Result<ThreadPurgeReceipt> {
        let thread = super::kept_thread(ctx.db(), self.thread, ctx.now()).await?;
        let items = usize::try_from(thread.messages).unwrap_or(usize::MAX);
        let intent = Intent::new("thread.purge").of_items(items);
        let mut receipt = write(ctx, intent, move |write| {
            Box::pin(async move {
                sql::lock_thread(write.tx(), ThreadId(self.thread)).await?;
                let thread = super::kept_thread(write.tx(), self.thread, write.now()).await?;
                purge_thread(write, &thread).await
            })
        })
        .await?;
        receipt.owed.extend(athena_store::erase_residue(ctx).await?);
        Ok(receipt)
    }
}

/// Removes a thread that is locked, with everything that hangs on it.
pub(in crate::conversation) async fn purge_thread(
    write: &Write<'_>,
    thread: &Thread,
) -> Result<ThreadPurgeReceipt> {
    let mut tokens = BTreeSet::new();
    collect_tokens(&mut tokens, thread)?;
    collect_tokens(&mut tokens, &thread.summary)?;
    let (mut uids, mut items, mut after) = (vec![thread.uid], Vec::new(), 0);
    loop {
        let page = sql::messages_after(write.tx(), thread.id, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        for message in &page {
            collect_tokens(&mut tokens, message)?;
            uids.push(message.uid);
            items.push(item(message.id));
        }
    }
    let search_records = remove_items(write, thread.project_id, &items).await?;
    let messages = sql::purge_thread(write.tx(), thread.id).await?;
    note_thread(write, thread.project_id, thread.id);
    receipt(write, thread, messages, search_records, &uids, &tokens).await
}

async fn receipt(
    write: &Write<'_>,
    thread: &Thread,
    messages: u64,
    search_records: u64,
    uids: &[Uuid],
    tokens: &BTreeSet<String>,
) -> Result<ThreadPurgeReceipt> {
    let tx = write.tx();
    let project = projects::name(tx, thread.project_id).await?;
    Ok(ThreadPurgeReceipt {
        thread: thread.id,
        purged_at: write.now(),
        messages,
        search_records,
        kept_answers: forget_answers(tx, uids).await?,
        sealed_values: forget_values(write, &project, tokens).await?,
        owed: athena_store::owed_after_purge(tx.dialect()),
    })
}

/// Removes one message for good. Its number is not given out again. A summary that covers it is
/// removed too, because it may hold its sentences, and made anew when the thread is long. This
/// cannot be undone.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MessagePurge {
    /// The message's id.
    #[schemars(range(min = 1))]
    pub id: i64,
}

impl Operation for MessagePurge {
    const SPEC: Spec = Spec::act("message.purge", "/messages/{id}/purge")
        .destructive()
        .command(&["message", "purge"])
        .positional(&["id"]);
    type Output = ThreadPurgeReceipt;

    async fn call(self, ctx: &Ctx) -> Result<ThreadPurgeReceipt> {
        let id = MessageId(self.id);
        let mut receipt = write(ctx, Intent::new("message.purge"), move |write| {
            Box::pin(async move {
                let message = existing(write, id).await?;
                // All who write to a thread take its lock first.
                sql::lock_thread(write.tx(), message.thread).await?;
                let message = existing(write, id).await?;
                purge_message(write, &message).await
            })
        })
        .await?;
        receipt.owed.extend(athena_store::erase_residue(ctx).await?);
        summarise::extend_if_long(ctx, receipt.thread.0).await;
        Ok(receipt)
    }
}

async fn existing(write: &Write<'_>, id: MessageId) -> Result<Message> {
    let message = sql::message(write.tx(), id).await?;
    message.ok_or_else(|| {
        Error::new(Code::NotFound, format!("message `{id}` does not exist")).with_field("id")
    })
}

async fn purge_message(write: &Write<'_>, message: &Message) -> Result<ThreadPurgeReceipt> {
    let thread = existing_thread(write.tx(), message.thread.0, write.now()).await?;
    let mut tokens = BTreeSet::new();
    collect_tokens(&mut tokens, message)?;
    sql::drop_summary(write.tx(), thread.id, message.seq).await?;
    let search_records = remove_items(write, message.project, &[item(message.id)]).await?;
    let messages = sql::purge_message(write.tx(), message.id).await?;
    note_thread(write, thread.project_id, thread.id);
    // Answers that show the thread hold its summary.
    let uids = [message.uid, thread.uid];
    receipt(write, &thread, messages, search_records, &uids, &tokens).await
}
