//! What the search knows of messages.

use super::{Message, called, sql};
use crate::items::{self, ItemText};
use crate::memories::indexing::label;
use athena_core::{MessageId, ProjectId, Result, ThreadId};
use athena_db::BoxFuture;
use athena_search::{Attributes, ItemRef, Record};
use athena_store::{Derive, Source, Write};
use std::collections::HashMap;

/// Messages that are read at once.
const PAGE: i64 = 500;
/// The columns of messages that the search log is made from.
const INDEXED: [&str; 5] = ["content", "name", "tool_calls", "user_id", "role"];

/// Returns what the search calls a message.
pub(super) const fn item(id: MessageId) -> ItemRef {
    ItemRef {
        kind: items::MESSAGE,
        id: id.0,
    }
}

/// Returns the text of a message as it is searched: who says it, what, and which tools are called.
pub(super) fn searched_text(message: &Message) -> String {
    let mut text = match &message.name {
        Some(name) => format!("{name}: {}", message.content),
        None => message.content.clone(),
    };
    for name in message.tool_calls.iter().flatten().filter_map(called) {
        text.push('\n');
        text.push_str(name);
    }
    text
}

/// Returns what filters look at.
pub(super) fn attributes(message: &Message, session: Option<&str>) -> Attributes {
    let mut labels = vec![
        label("thread", &message.thread.to_string()),
        label("by", message.role.as_str()),
    ];
    labels.extend(session.map(|session| label("in", session)));
    labels.extend(message.user.as_deref().map(|user| label("of", user)));
    Attributes {
        uid: *message.uid.as_bytes(),
        state: items::LIVE.to_owned(),
        labels,
        time: message.occurred_at.as_microsecond(),
        position: Some(message.seq),
        usefulness: 0,
    }
}

/// Logs the messages of a project, whatever became of their threads: those are asked when a
/// message is shown.
#[derive(Debug)]
pub struct LogMessages;

impl Source for LogMessages {
    fn log<'w>(&'w self, write: &'w Write<'_>, project: ProjectId) -> BoxFuture<'w, Result<()>> {
        Box::pin(log_all(write, project))
    }
}

async fn log_all(write: &Write<'_>, project: ProjectId) -> Result<()> {
    let mut after = 0;
    loop {
        let messages = sql::all_messages(write.tx(), project, after, PAGE).await?;
        let Some(last) = messages.last() else {
            return Ok(());
        };
        after = last.id.0;
        let mut threads: Vec<i64> = messages.iter().map(|it| it.thread.0).collect();
        threads.sort_unstable();
        threads.dedup();
        let sessions = sql::sessions_of(write.tx(), &threads).await?;
        let sessions: HashMap<i64, Option<String>> = sessions.into_iter().collect();
        for message in &messages {
            let session = sessions.get(&message.thread.0).and_then(Option::as_deref);
            log_one(write, message, session).await?;
        }
    }
}

async fn log_one(write: &Write<'_>, message: &Message, session: Option<&str>) -> Result<()> {
    let text = ItemText::prepare(write.ctx(), searched_text(message));
    let attributes = attributes(message, session);
    text.log(write, message.project, item(message.id), &attributes)
        .await
}

/// Logs messages anew whose tokens were replaced by others.
#[derive(Debug)]
pub struct DeriveMessages;

impl Derive for DeriveMessages {
    fn table(&self) -> &'static str {
        "messages"
    }

    fn derive<'w>(
        &'w self,
        write: &'w Write<'_>,
        id: i64,
        columns: &'w [&'static str],
    ) -> BoxFuture<'w, Result<()>> {
        Box::pin(async move {
            if !columns.iter().any(|column| INDEXED.contains(column)) {
                return Ok(());
            }
            let Some(message) = sql::message_anywhere(write.tx(), MessageId(id)).await? else {
                return Ok(());
            };
            let sessions = sql::sessions_of(write.tx(), &[message.thread.0]).await?;
            let session = sessions.into_iter().find_map(|(_, session)| session);
            log_one(write, &message, session.as_deref()).await
        })
    }
}

/// Says anew which session the messages of a thread belong to, when tokens in its name were
/// replaced by others.
#[derive(Debug)]
pub struct DeriveThreads;

impl Derive for DeriveThreads {
    fn table(&self) -> &'static str {
        "threads"
    }

    fn derive<'w>(
        &'w self,
        write: &'w Write<'_>,
        id: i64,
        columns: &'w [&'static str],
    ) -> BoxFuture<'w, Result<()>> {
        Box::pin(async move {
            match columns.contains(&"session_id") {
                true => label_anew(write, ThreadId(id)).await,
                false => Ok(()),
            }
        })
    }
}

async fn label_anew(write: &Write<'_>, thread: ThreadId) -> Result<()> {
    let sessions = sql::sessions_of(write.tx(), &[thread.0]).await?;
    let session = sessions.into_iter().find_map(|(_, session)| session);
    let mut after = 0;
    loop {
        let messages = sql::messages_after(write.tx(), thread, after, PAGE).await?;
        let Some(last) = messages.last() else {
            return Ok(());
        };
        after = last.seq;
        for message in &messages {
            let record = Record::Attributes {
                item: item(message.id),
                attributes: attributes(message, session.as_deref()),
            };
            write.log(message.project, record);
        }
    }
}
