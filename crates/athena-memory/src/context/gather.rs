//! What may be in a brief, each from the aggregate that knows it.

use super::brief::Candidate;
use super::{HOOK_SOURCE, KnownItem, Section};
use crate::conversation::{Message, Resume, Resumed};
use crate::events::{self, Event, EventType};
use crate::memories::{Memory, MemoryType, Recall, RecalledMemory, standing};
use crate::paths::PathName;
use crate::priority::DEFAULT_PRIORITY;
use crate::projects::{self, Known};
use crate::work::snapshots::{self, Snapshot};
use crate::work::triggers::{DueNow, DueTask, in_words};
use crate::work::{goals, tasks};
use athena_core::{Ctx, Error, Operation, Result};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::cmp::Reverse;

/// The lowest `match` at which a memory is told without being asked for: unrelated ones stay below.
const FLOOR: f64 = 0.12;
/// How many memories a brief tells at most.
const KNOWN: u32 = 8;
/// How many rules and preferences are looked at.
const STANDING: u32 = 200;
/// How many due tasks, other tasks, goals and events a brief tells at most.
const DUE: u32 = 7;
const TASKS: usize = 5;
const GOALS: u32 = 5;
const EVENTS: usize = 5;
/// How many tasks and events are looked at for them.
const LOOKED_AT: u32 = 30;
/// How many snapshots are looked at for one that says something.
const SNAPSHOTS: u32 = 20;
/// How far back a brief without a prompt looks for events, in hours.
const RECENT_HOURS: u32 = 7 * 24;
/// The types of events that say something by themselves.
const TELLING: [EventType; 9] = [
    EventType::Decision,
    EventType::Error,
    EventType::TestRun,
    EventType::Deployment,
    EventType::BugDiscovery,
    EventType::ArchDecision,
    EventType::Discovery,
    EventType::Learning,
    EventType::SessionCheckpoint,
];
/// What a snapshot is called.
const SNAPSHOT: &str = "snapshot";
/// The least trust that lets somebody's words stand as a rule.
const TRUSTED: f64 = 0.5;

/// What a brief is for.
#[derive(Debug)]
pub(super) struct Occasion<'a> {
    /// The project that was named.
    pub(super) project: Option<&'a str>,
    /// What is about to be answered or done.
    pub(super) prompt: Option<&'a str>,
    /// The files that it is about.
    pub(super) files: &'a [PathName],
    /// What the reader has from earlier briefs.
    pub(super) known: &'a [KnownItem],
}

impl Occasion<'_> {
    /// Returns the input of an operation, with the project that was named, and without what is null.
    fn with(&self, mut input: Value) -> Value {
        if let Some(fields) = input.as_object_mut() {
            fields.extend(self.project.map(|name| ("project".to_owned(), json!(name))));
            fields.retain(|_, value| !value.is_null());
        }
        input
    }
}

/// Returns everything that may be in a brief, in the order in which it matters within its section.
pub(super) async fn gather(ctx: &Ctx, occasion: &Occasion<'_>) -> Result<Vec<Candidate>> {
    let (mut candidates, known) = tokio::try_join!(around(ctx, occasion), known(ctx, occasion))?;
    candidates.extend(known);
    Ok(candidates)
}

/// Returns everything but what is known about the prompt.
async fn around(ctx: &Ctx, occasion: &Occasion<'_>) -> Result<Vec<Candidate>> {
    let projects = projects::for_reading(ctx, occasion.project, &[]).await?;
    let mut candidates = rules(ctx, occasion, &projects).await?;
    if projects::own(ctx, occasion.project).await?.is_some() {
        let snapshot = last_snapshot(ctx, occasion).await?;
        let resumed = resumed(ctx, occasion, snapshot.as_ref()).await?;
        let told = snapshot.filter(|snapshot| is_told(snapshot, &resumed, occasion));
        candidates.extend(resumed);
        candidates.extend(open_tasks(ctx, occasion).await?);
        candidates.extend(goals(ctx, occasion).await?);
        candidates.extend(happened(ctx, occasion, told.as_ref()).await?);
    }
    Ok(candidates)
}

/// Asks an operation of this crate as part of this call.
async fn ask<O: Operation>(ctx: &Ctx, input: Value) -> Result<O::Output> {
    let operation: O = serde_json::from_value(input).map_err(Error::internal)?;
    // Boxed, for the compiler follows futures that lie in each other only so deep.
    Box::pin(operation.call(ctx)).await
}

/// Returns the last snapshot that says something.
async fn last_snapshot(ctx: &Ctx, occasion: &Occasion<'_>) -> Result<Option<Snapshot>> {
    let asked = occasion.with(json!({"limit": SNAPSHOTS}));
    let snapshots = ask::<snapshots::List>(ctx, asked).await?;
    let mut snapshots = snapshots.items.into_iter();
    Ok(snapshots.find(|snapshot| !parts(snapshot).is_empty()))
}

/// Whether this brief or an earlier one tells of a snapshot.
fn is_told(snapshot: &Snapshot, resumed: &[Candidate], occasion: &Occasion<'_>) -> bool {
    let is_it = |it: &Candidate| it.kind == SNAPSHOT && it.id == snapshot.id.0;
    resumed.iter().any(is_it)
        || occasion
            .known
            .iter()
            .any(|it| it.is(SNAPSHOT, snapshot.id.0))
}

/// Returns where the last session ended: for one that begins, or asks for it.
async fn resumed(
    ctx: &Ctx,
    occasion: &Occasion<'_>,
    last: Option<&Snapshot>,
) -> Result<Vec<Candidate>> {
    let talk: Resumed =
        ask::<Resume>(ctx, occasion.with(json!({"prompt": occasion.prompt}))).await?;
    if occasion.prompt.is_some() && !talk.is_resume_phrase {
        return Ok(Vec::new());
    }
    let mut candidates = Vec::new();
    candidates.extend(last.map(|last| snapshot(last, ctx.now())));
    let turns = talk.last_turns.into_iter();
    candidates.extend(turns.flat_map(|turn| {
        let messages = [Some(turn.user), turn.assistant];
        messages.into_iter().flatten().map(said)
    }));
    Ok(candidates)
}

fn snapshot(snapshot: &Snapshot, now: Timestamp) -> Candidate {
    let age = in_words(now.duration_since(snapshot.taken_at).abs());
    Candidate {
        section: Section::Resume,
        kind: SNAPSHOT,
        id: snapshot.id.0,
        text: format!("{age} ago, {}", parts(snapshot).join(", ")),
        reason: "where the last session ended".to_owned(),
        news: None,
    }
}

/// Returns what a snapshot says.
fn parts(snapshot: &Snapshot) -> Vec<String> {
    let named = |what: &str, text: &Option<String>| {
        text.as_ref().map(|text| format!("{what}: {}", text.trim()))
    };
    let failures = (!snapshot.failures.is_empty()).then(|| snapshot.failures.join("; "));
    let parts = [
        named("summary", &snapshot.summary),
        named("next step", &snapshot.next_step),
        named("failed", &failures),
    ];
    parts.into_iter().flatten().collect()
}

fn said(message: Message) -> Candidate {
    Candidate {
        section: Section::Resume,
        kind: "message",
        id: message.id.0,
        text: format!("{}: {}", message.role.as_str(), message.content),
        reason: "one of the last turns".to_owned(),
        news: None,
    }
}

/// Returns the tasks that somebody should be told of, then those that the prompt is about, each once.
async fn open_tasks(ctx: &Ctx, occasion: &Occasion<'_>) -> Result<Vec<Candidate>> {
    let due = ask::<DueNow>(ctx, occasion.with(json!({"limit": DUE}))).await?;
    let mut candidates: Vec<Candidate> = due.items.into_iter().map(due_task).collect();
    if let Some(prompt) = occasion.prompt {
        let asked = occasion.with(json!({"query": prompt, "limit": LOOKED_AT}));
        let found = ask::<tasks::Search>(ctx, asked).await?;
        let open = found
            .hits
            .into_iter()
            .filter(|hit| hit.match_score >= FLOOR && !hit.task.phase.is_final())
            .filter(|hit| candidates.iter().all(|due| due.id != hit.task.id.0))
            .take(TASKS)
            .map(|hit| matching_task(hit.task))
            .collect::<Vec<_>>();
        candidates.extend(open);
    }
    Ok(candidates)
}

fn due_task(due: DueTask) -> Candidate {
    let reason = due.reasons.join("; ");
    // How long it still is changes by the minute, and is no news.
    let reminders: Vec<i64> = due.reminders.iter().map(|it| it.id).collect();
    let news = format!("{} {} {reminders:?}", due.task.title, due.overdue);
    Candidate {
        section: Section::Tasks,
        kind: "task",
        id: due.task.id.0,
        text: format!("{} ({reason})", due.task.title),
        reason,
        news: Some(news),
    }
}

fn matching_task(task: tasks::Task) -> Candidate {
    Candidate {
        section: Section::Tasks,
        kind: "task",
        id: task.id.0,
        text: task.title,
        reason: "it matches the prompt".to_owned(),
        news: None,
    }
}

/// Returns what is aimed at, the most urgent first.
async fn goals(ctx: &Ctx, occasion: &Occasion<'_>) -> Result<Vec<Candidate>> {
    let asked = occasion.with(json!({"status": "active", "limit": GOALS}));
    let goals = ask::<goals::List>(ctx, asked).await?;
    let candidates = goals.items.into_iter().map(|goal| Candidate {
        section: Section::Goals,
        kind: "goal",
        id: goal.id.0,
        text: format!("{} ({:.0} % done)", goal.name, goal.completion_percentage),
        reason: format!("an active goal with priority {}", goal.priority),
        news: None,
    });
    Ok(candidates.collect())
}

/// Returns the events that the prompt is about, or else those of the last days that say something:
/// the last to happen first.
async fn happened(
    ctx: &Ctx,
    occasion: &Occasion<'_>,
    told: Option<&Snapshot>,
) -> Result<Vec<Candidate>> {
    let is_new = |event: &Event| !is_prompt(event) && !is_checkpoint_of(event, told);
    if let Some(prompt) = occasion.prompt {
        let asked = json!({"query": prompt, "limit": LOOKED_AT, "min_score": FLOOR});
        let found = ask::<events::Search>(ctx, occasion.with(asked)).await?;
        let hits = found.hits.into_iter().filter(|hit| is_new(&hit.event));
        let mut hits: Vec<_> = hits.take(EVENTS).collect();
        hits.sort_by_key(|hit| Reverse((hit.event.occurred_at, hit.event.id)));
        let candidates = hits.into_iter().map(|hit| {
            let reason = format!(
                "it is about the prompt, with a match of {:.2}",
                hit.match_score
            );
            event(hit.event, reason)
        });
        return Ok(candidates.collect());
    }
    let asked = json!({"event_type": TELLING, "hours": RECENT_HOURS, "limit": LOOKED_AT});
    let last = ask::<events::Timeline>(ctx, occasion.with(asked)).await?;
    let reason = || "one of the last things that happened".to_owned();
    let events = last.items.into_iter().filter(is_new).take(EVENTS);
    Ok(events.map(|it| event(it, reason())).collect())
}

/// Whether an event is what the user said to an agent: its words are in the prompt, or were.
fn is_prompt(event: &Event) -> bool {
    event.event_type == EventType::Conversation && event.source.as_deref() == Some(HOOK_SOURCE)
}

/// Whether an event says what a snapshot does that is told.
fn is_checkpoint_of(event: &Event, told: Option<&Snapshot>) -> bool {
    let summary = told.and_then(|snapshot| snapshot.summary.as_deref());
    event.event_type == EventType::SessionCheckpoint
        && summary.is_some_and(|summary| summary.trim() == event.content.trim())
}

fn event(event: Event, reason: String) -> Candidate {
    let time = event.occurred_at.strftime("%Y-%m-%d %H:%M");
    let kind = event.event_type.as_str();
    let outcome = event
        .outcome
        .map_or_else(String::new, |outcome| format!(" {}", outcome.as_str()));
    Candidate {
        section: Section::Recent,
        kind: "event",
        id: event.id.0,
        text: format!("{time} {kind}{outcome}: {}", event.content),
        reason,
        news: None,
    }
}

/// Returns the rules and preferences that hold here.
async fn rules(ctx: &Ctx, occasion: &Occasion<'_>, projects: &[Known]) -> Result<Vec<Candidate>> {
    let ids: Vec<_> = projects.iter().map(|project| project.id).collect();
    let standing = standing(ctx.db(), &ids, ctx.now(), STANDING).await?;
    let holding = standing
        .into_iter()
        .filter(|memory| memory.trust >= TRUSTED && is_about(memory, occasion.files));
    Ok(holding.map(|memory| rule(memory, projects)).collect())
}

/// Whether a rule is about any of the files; one without a scope is about everything.
fn is_about(memory: &Memory, files: &[PathName]) -> bool {
    match &memory.scope {
        Some(pattern) => files
            .iter()
            .any(|file| crate::glob::matches_path(pattern, &file.0)),
        None => true,
    }
}

fn rule(memory: Memory, projects: &[Known]) -> Candidate {
    let (section, name) = match memory.memory_type {
        MemoryType::Rule => (Section::Rules, "rule"),
        _ => (Section::Preferences, "preference"),
    };
    let project = projects.iter().find(|it| it.id == memory.project_id);
    let project = project.map_or("", |project| project.name.as_str());
    let priority = memory.priority.unwrap_or(DEFAULT_PRIORITY);
    let scope = memory.scope.as_deref();
    let scope = scope.map_or_else(String::new, |scope| format!(", about `{scope}`"));
    Candidate {
        section,
        kind: "memory",
        id: memory.id.0,
        reason: format!("a {name} of `{project}` with priority {priority}{scope}"),
        text: memory.content,
        news: None,
    }
}

/// Returns what is known about the prompt, above the floor.
async fn known(ctx: &Ctx, occasion: &Occasion<'_>) -> Result<Vec<Candidate>> {
    let Some(prompt) = occasion.prompt else {
        return Ok(Vec::new());
    };
    let recall = Recall {
        query: prompt.to_owned(),
        project: occasion.project.map(str::to_owned),
        limit: KNOWN,
        min_score: Some(FLOOR),
        types: vec![
            MemoryType::Fact,
            MemoryType::Pattern,
            MemoryType::Decision,
            MemoryType::Context,
            MemoryType::CodeSnippet,
        ],
        ..Recall::default()
    };
    // Boxed, for the compiler follows futures that lie in each other only so deep.
    let recalled = Box::pin(recall.answer(ctx)).await?;
    Ok(recalled.hits.into_iter().map(told).collect())
}

fn told(memory: RecalledMemory) -> Candidate {
    let when = memory.occurred_at.unwrap_or(memory.created_at);
    let day = when.strftime("%Y-%m-%d");
    let text = match &memory.speaker {
        Some(speaker) => format!("{speaker} ({day}): {}", memory.content),
        None => format!("{} ({day})", memory.content),
    };
    Candidate {
        section: Section::Known,
        kind: "memory",
        id: memory.id.0,
        reason: format!(
            "answers the prompt with a match of {:.2}",
            memory.match_score
        ),
        text,
        news: None,
    }
}
