//! What may be in a brief, each from the aggregate that knows it.

use super::Section;
use super::brief::Candidate;
use crate::conversation::{Message, Resume, Resumed};
use crate::events::{self, Event, EventType, Outcome};
use crate::memories::{Memory, MemoryType, Recall, RecalledMemory, standing};
use crate::paths::PathName;
use crate::priority::DEFAULT_PRIORITY;
use crate::projects::{self, Known};
use crate::work::goals;
use crate::work::snapshots::{Latest, Snapshot};
use crate::work::triggers::{DueNow, in_words};
use athena_core::{Ctx, Error, Operation, Result};
use jiff::Timestamp;
use serde_json::{Value, json};

/// The lowest `match` at which a memory is told without being asked for: unrelated ones stay below.
const FLOOR: f64 = 0.12;
/// How many memories a brief tells at most.
const KNOWN: u32 = 8;
/// How many rules and preferences are looked at.
const STANDING: u32 = 200;
/// How many due tasks, goals and events a brief tells at most.
const DUE: u32 = 7;
const GOALS: u32 = 5;
const EVENTS: u32 = 5;
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
    let projects = projects::for_reading(ctx, occasion.project, &[]).await?;
    let mut candidates = rules(ctx, occasion, &projects).await?;
    if projects::own(ctx, occasion.project).await?.is_some() {
        candidates.extend(resumed(ctx, occasion).await?);
        candidates.extend(due(ctx, occasion).await?);
        candidates.extend(goals(ctx, occasion).await?);
        candidates.extend(happened(ctx, occasion).await?);
    }
    candidates.extend(known(ctx, occasion).await?);
    Ok(candidates)
}

/// Asks an operation of this crate as part of this call.
async fn ask<O: Operation>(ctx: &Ctx, input: Value) -> Result<O::Output> {
    let operation: O = serde_json::from_value(input).map_err(Error::internal)?;
    // Boxed, for the compiler follows futures that lie in each other only so deep.
    Box::pin(operation.call(ctx)).await
}

/// Returns where the last session ended: for one that begins, or asks for it.
async fn resumed(ctx: &Ctx, occasion: &Occasion<'_>) -> Result<Vec<Candidate>> {
    let mut candidates = Vec::new();
    let talk: Resumed =
        ask::<Resume>(ctx, occasion.with(json!({"prompt": occasion.prompt}))).await?;
    if occasion.prompt.is_some() && !talk.is_resume_phrase {
        return Ok(candidates);
    }
    match ask::<Latest>(ctx, occasion.with(json!({}))).await {
        Ok(view) => candidates.extend(snapshot(view.snapshot, ctx.now())),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error),
    }
    let turns = talk.last_turns.into_iter();
    candidates.extend(turns.flat_map(|turn| {
        let messages = [Some(turn.user), turn.assistant];
        messages.into_iter().flatten().map(said)
    }));
    Ok(candidates)
}

fn snapshot(snapshot: Snapshot, now: Timestamp) -> Option<Candidate> {
    let named = |what: &str, text: &Option<String>| {
        text.as_ref().map(|text| format!("{what}: {}", text.trim()))
    };
    let failures = (!snapshot.failures.is_empty()).then(|| snapshot.failures.join("; "));
    let parts = [
        named("summary", &snapshot.summary),
        named("next step", &snapshot.next_step),
        named("failed", &failures),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let age = in_words(now.duration_since(snapshot.taken_at).abs());
    (!parts.is_empty()).then(|| Candidate {
        section: Section::Resume,
        kind: "snapshot",
        id: snapshot.id.0,
        text: format!("{age} ago, {}", parts.join(", ")),
        reason: "where the last session ended".to_owned(),
    })
}

fn said(message: Message) -> Candidate {
    Candidate {
        section: Section::Resume,
        kind: "message",
        id: message.id.0,
        text: format!("{}: {}", message.role.as_str(), message.content),
        reason: "one of the last turns".to_owned(),
    }
}

/// Returns the tasks that somebody should be told of.
async fn due(ctx: &Ctx, occasion: &Occasion<'_>) -> Result<Vec<Candidate>> {
    let due = ask::<DueNow>(ctx, occasion.with(json!({"limit": DUE}))).await?;
    let candidates = due.items.into_iter().map(|due| {
        let reason = due.reasons.join("; ");
        Candidate {
            section: Section::Due,
            kind: "task",
            id: due.task.id.0,
            text: format!("{} ({reason})", due.task.title),
            reason,
        }
    });
    Ok(candidates.collect())
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
    });
    Ok(candidates.collect())
}

/// Returns the events that the prompt is about, or else those of the last days that say something.
async fn happened(ctx: &Ctx, occasion: &Occasion<'_>) -> Result<Vec<Candidate>> {
    if let Some(prompt) = occasion.prompt {
        let asked = json!({"query": prompt, "limit": EVENTS, "min_score": FLOOR});
        let found = ask::<events::Search>(ctx, occasion.with(asked)).await?;
        let hits = found.hits.into_iter().map(|hit| {
            let reason = format!(
                "it is about the prompt, with a match of {:.2}",
                hit.match_score
            );
            event(hit.event, reason)
        });
        return Ok(hits.collect());
    }
    let asked = json!({"event_type": TELLING, "hours": RECENT_HOURS, "limit": EVENTS});
    let last = ask::<events::Timeline>(ctx, occasion.with(asked)).await?;
    let reason = || "one of the last things that happened".to_owned();
    let events = last.items.into_iter().map(|it| event(it, reason()));
    Ok(events.collect())
}

fn event(event: Event, reason: String) -> Candidate {
    let time = event.occurred_at.strftime("%Y-%m-%d %H:%M");
    let outcome = event.outcome.map_or("", Outcome::as_str);
    let kind = event.event_type.as_str();
    Candidate {
        section: Section::Recent,
        kind: "event",
        id: event.id.0,
        text: format!("{time} {kind} {outcome}: {}", event.content),
        reason,
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
    }
}
