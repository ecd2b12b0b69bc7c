//! What may be in a brief, each from the aggregate that knows it.

use super::Section;
use super::brief::Candidate;
use crate::memories::{DEFAULT_PRIORITY, Memory, MemoryType, Recall, RecalledMemory, standing};
use crate::paths::PathName;
use crate::projects::{self, Known};
use athena_core::{Ctx, Result};

/// The lowest `match` at which a memory is told without being asked for: unrelated ones stay below.
const FLOOR: f64 = 0.12;
/// How many memories a brief tells at most.
const KNOWN: u32 = 8;
/// How many rules and preferences are looked at.
const STANDING: u32 = 200;
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

/// Returns everything that may be in a brief, in the order in which it matters within its section.
pub(super) async fn gather(ctx: &Ctx, occasion: &Occasion<'_>) -> Result<Vec<Candidate>> {
    let projects = projects::for_reading(ctx, occasion.project, &[]).await?;
    let mut candidates = rules(ctx, occasion, &projects).await?;
    candidates.extend(known(ctx, occasion).await?);
    Ok(candidates)
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
