//! Events in the search log: their words, what filters look at, and how both are made anew.

use super::{Event, SAME_WITHIN, sql};
use crate::items::{self, ItemText};
use athena_core::{Ctx, EventId, ProjectId, Result};
use athena_db::BoxFuture;
use athena_search::{Attributes, ItemRef, Record};
use athena_store::{Derive, Source, Write};
use sha2::{Digest, Sha256};

/// The label of an event's session.
pub(super) const SESSION: &str = "in";
/// The label of an event's type.
pub(super) const TYPE: &str = "event";

/// Events that are read at once.
const PAGE: u32 = 500;

/// Returns what the search calls an event.
pub(super) const fn item(id: EventId) -> ItemRef {
    ItemRef {
        kind: items::EVENT,
        id: id.0,
    }
}

/// Returns the text of an event as it is searched: what happened, what was learned, and the names
/// of what it was about. Diffs and stack traces are kept and not searched.
pub(super) fn text(event: &Event) -> String {
    let mut text = event.content.clone();
    let beside = [
        &event.learned,
        &event.context_task,
        &event.error_type,
        &event.test_name,
        &event.symbol,
        &event.file_path,
    ];
    let tags = event.tags.join(", ");
    let beside = beside.into_iter().flatten().map(String::as_str);
    for line in beside.chain((!tags.is_empty()).then_some(tags.as_str())) {
        text.push('\n');
        text.push_str(line);
    }
    text
}

/// Returns what filters look at.
pub(super) fn attributes(event: &Event) -> Attributes {
    let mut labels = vec![format!("{TYPE}:{}", event.event_type.as_str())];
    labels.extend(
        event
            .session
            .iter()
            .map(|session| format!("{SESSION}:{session}")),
    );
    let state = match event.removed_at {
        None => items::LIVE,
        Some(_) => items::REMOVED,
    };
    Attributes {
        uid: *event.uid.as_bytes(),
        state: state.to_owned(),
        labels,
        time: event.occurred_at.as_microsecond(),
        position: None,
        usefulness: 0,
    }
}

/// Tells search of a change of state.
pub(super) fn log_state(write: &Write<'_>, event: &Event) {
    let record = Record::Attributes {
        item: item(event.id),
        attributes: attributes(event),
    };
    write.log(event.project_id, record);
}

/// Returns what makes two events the same that are told of within ten minutes: what was said of them
/// but for the time and the session, so that two witnesses of one thing make one event.
pub(super) fn identity(event: &Event) -> String {
    let said = serde_json::json!([
        event.event_type,
        event.content,
        event.outcome,
        event.context_cwd,
        event.file_path,
        event.symbol,
        event.test_name,
        event.test_passed,
        event.error_type,
        event.git_commit,
    ]);
    let hash = Sha256::digest(said.to_string());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Logs the events of a project.
#[derive(Debug)]
pub struct LogEvents;

impl Source for LogEvents {
    fn log<'w>(&'w self, write: &'w Write<'_>, project: ProjectId) -> BoxFuture<'w, Result<()>> {
        Box::pin(log_all(write, project))
    }
}

async fn log_all(write: &Write<'_>, project: ProjectId) -> Result<()> {
    let mut last = EventId(0);
    loop {
        let events = sql::all(write.tx(), project, last, PAGE).await?;
        let Some(end) = events.last() else {
            return Ok(());
        };
        last = end.id;
        for event in &events {
            log(write, write.ctx(), event).await?;
        }
    }
}

async fn log(write: &Write<'_>, ctx: &Ctx, event: &Event) -> Result<()> {
    let text = ItemText::prepare(ctx, text(event));
    text.log(write, event.project_id, item(event.id), &attributes(event))
        .await
}

/// The columns that the search log or the hash is made from.
const DERIVED_FROM: [&str; 9] = [
    "content",
    "learned",
    "context_task",
    "context_cwd",
    "error_type",
    "test_name",
    "symbol",
    "file_path",
    "tags",
];

/// Makes the hash and the search records of events anew.
#[derive(Debug)]
pub struct DeriveEvents;

impl Derive for DeriveEvents {
    fn table(&self) -> &'static str {
        "episodic_events"
    }

    fn derive<'w>(
        &'w self,
        write: &'w Write<'_>,
        id: i64,
        columns: &'w [&'static str],
    ) -> BoxFuture<'w, Result<()>> {
        Box::pin(async move {
            let changed = |column: &&str| *column == "session_id" || DERIVED_FROM.contains(column);
            if columns.iter().any(changed)
                && let Some(event) = sql::anywhere(write.tx(), EventId(id)).await?
            {
                identify(write, &event).await?;
                log(write, write.ctx(), &event).await?;
            }
            Ok(())
        })
    }
}

/// Gives an event the hash of its new text. One that was told anew meanwhile, with the new tokens, is
/// the later one of two that are the same, and is removed.
async fn identify(write: &Write<'_>, event: &Event) -> Result<()> {
    let hash = identity(event);
    if event.removed_at.is_none() {
        for same in same(write, event, &hash).await? {
            sql::remove(write.tx(), same, write.now()).await?;
            if let Some(same) = sql::anywhere(write.tx(), same).await? {
                log_state(write, &same);
            }
        }
    }
    sql::set_content_hash(write.tx(), event.id, &hash).await
}

/// Returns the other events that are the same as this one would be with that hash.
pub(super) async fn same(write: &Write<'_>, event: &Event, hash: &str) -> Result<Vec<EventId>> {
    let bucket = event.time_bucket();
    let buckets = vec![bucket - 1, bucket, bucket + 1];
    let found = sql::with_hashes(write.tx(), event.project_id, &[hash], buckets).await?;
    let found = found.into_iter();
    Ok(found
        .filter(|alike| alike.id != event.id && is_same(event, alike))
        .map(|alike| alike.id)
        .collect())
}

/// Whether an event that says the same is the same: it happened at about that time, and no source
/// tells the two apart.
pub(super) fn is_same(event: &Event, alike: &sql::Alike) -> bool {
    let key = alike.idempotency_key.as_deref();
    let gap = alike.occurred_at.as_microsecond() - event.occurred_at.as_microsecond();
    gap.abs() <= SAME_WITHIN && !event.is_told_apart_from(alike.source.as_deref(), key)
}
