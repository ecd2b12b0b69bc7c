//! Finding events by what they say.

use crate::events::searched::{SESSION, TYPE};
use crate::events::{Event, EventType, sql};
use crate::items::{self, Find};
use crate::projects;
use athena_core::{Ctx, EventId, Operation, ProjectId, Result, Spec};
use athena_search::Hit;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Searches events by what they say, best first: what happened, what was learned, and the names of
/// files, tests and errors. Each hit has a `score`, relative to this question's best hit, and a
/// `match`, how well it answers by itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EventSearch")]
pub struct Search {
    /// What to look for, in plain words; `-word` leaves out what has the word, and `word*` is any word
    /// that begins so.
    #[schemars(length(min = 1, max = 10_000), regex(pattern = r"\S"))]
    pub query: String,
    /// How many events to answer at most.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 1_000))]
    pub limit: u32,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// Only events of this session.
    #[schemars(length(min = 1, max = 200))]
    pub session: Option<String>,
    /// Only events of this type.
    pub event_type: Option<EventType>,
    /// Only what happened at this time or later.
    pub after: Option<Timestamp>,
    /// Only what happened before this time.
    pub before: Option<Timestamp>,
    /// Only hits whose `match` is at least this; 0.12 gives nothing rather than a guess.
    #[schemars(range(min = 0, max = 1))]
    pub min_score: Option<f64>,
}

fn ten() -> u32 {
    10
}

/// An event that was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventHit {
    /// How it ranks among the hits, 0 to 1.
    pub score: f64,
    /// How well it answers by itself, 0 to 1.
    #[serde(rename = "match")]
    pub match_score: f64,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}

/// The events that were found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventsFound {
    /// The events, best first.
    pub hits: Vec<EventHit>,
}

impl Operation for Search {
    const SPEC: Spec = Spec::query("event.search", "/events/search")
        .command(&["event", "search"])
        .positional(&["query"])
        .short(&[("limit", 'n'), ("event_type", 't')]);
    type Output = EventsFound;

    async fn call(self, ctx: &Ctx) -> Result<EventsFound> {
        let Some(project) = projects::own(ctx, self.project.as_deref()).await? else {
            return Ok(EventsFound { hits: Vec::new() });
        };
        let asked = Asked {
            query: &self.query,
            session: self.session.as_deref(),
            event_type: self.event_type,
            after: self.after,
            before: self.before,
            min_score: self.min_score.unwrap_or(0.0),
            limit: self.limit,
        };
        let found = asked.find(ctx, project.id).await?;
        let hits = found.into_iter().map(|(hit, event)| EventHit {
            score: hit.score,
            match_score: hit.match_score,
            event,
        });
        Ok(EventsFound {
            hits: hits.collect(),
        })
    }
}

/// What is asked of the events of a project.
pub(super) struct Asked<'a> {
    pub(super) query: &'a str,
    pub(super) session: Option<&'a str>,
    pub(super) event_type: Option<EventType>,
    pub(super) after: Option<Timestamp>,
    pub(super) before: Option<Timestamp>,
    /// Only hits that answer at least so well by themselves.
    pub(super) min_score: f64,
    pub(super) limit: u32,
}

impl Asked<'_> {
    /// Returns the hits with their events, best first.
    pub(super) async fn find(&self, ctx: &Ctx, project: ProjectId) -> Result<Vec<(Hit, Event)>> {
        let read = |ids| async move {
            let events = sql::by_ids(ctx.db(), project, ids).await?;
            let events = events.into_iter().map(|event| (event.id.0, event));
            Ok(events.collect())
        };
        self.rows(ctx, project, read).await
    }

    /// Returns the hits with the ids of their events, best first.
    pub(super) async fn find_ids(
        &self,
        ctx: &Ctx,
        project: ProjectId,
    ) -> Result<Vec<(Hit, EventId)>> {
        let read = |ids: Vec<i64>| async move {
            let ids: Vec<EventId> = ids.into_iter().map(EventId).collect();
            let there = sql::in_project(ctx.db(), project, &ids).await?;
            Ok(there.into_iter().map(|id| (id.0, id)).collect())
        };
        self.rows(ctx, project, read).await
    }

    async fn rows<T, F>(
        &self,
        ctx: &Ctx,
        project: ProjectId,
        read: impl Fn(Vec<i64>) -> F,
    ) -> Result<Vec<(Hit, T)>>
    where
        F: Future<Output = Result<Vec<(i64, T)>>>,
    {
        let mut labels = Vec::new();
        labels.extend(self.session.map(|session| (SESSION, session)));
        labels.extend(
            self.event_type
                .map(|event_type| (TYPE, event_type.as_str())),
        );
        let find = Find {
            kind: items::EVENT,
            project,
            text: self.query,
            labels: &labels,
            after: self.after,
            before: self.before,
            limit: self.limit,
        };
        let mut found = find.rows(ctx, read).await?;
        found.retain(|(hit, _)| hit.match_score >= self.min_score);
        Ok(found)
    }
}
