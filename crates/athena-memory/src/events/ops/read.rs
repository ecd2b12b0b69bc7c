//! Reading: one event, the timeline, what was learned.

use super::{own_project, there};
use crate::events::activation::activation;
use crate::events::sql::{self, Filter, Order, Place};
use crate::events::{Activation, ConsolidationStatus, Event, EventType, Outcome};
use athena_core::{Code, Ctx, Cursor, Error, EventId, Operation, Page, ProjectId, Result, Spec};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Returns one event by its id, with everything known about it and how present it still is. Reading
/// does not count as use.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EventGet")]
pub struct Get {
    /// The event's id.
    #[schemars(range(min = 1))]
    pub id: i64,
}

/// An event, and how present it still is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventInFull {
    /// The event.
    #[serde(flatten)]
    pub event: Event,
    /// How present it still is.
    #[serde(flatten)]
    pub activation: Activation,
}

impl Operation for Get {
    const SPEC: Spec = Spec::read("event.get", "/events/{id}")
        .command(&["event", "get"])
        .positional(&["id"]);
    type Output = EventInFull;

    async fn call(self, ctx: &Ctx) -> Result<EventInFull> {
        let event = there(ctx.db(), EventId(self.id), "id").await?;
        Ok(EventInFull {
            activation: activation(&event, ctx.now()),
            event,
        })
    }
}

/// In which order events are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventOrder {
    /// The last to happen first.
    #[default]
    Newest,
    /// The first to happen first.
    Oldest,
}

impl From<EventOrder> for Order {
    fn from(order: EventOrder) -> Self {
        match order {
            EventOrder::Newest => Self::Newest,
            EventOrder::Oldest => Self::Oldest,
        }
    }
}

/// Lists what happened in the order of time: all of it, or that of a session, a file, a test, a type.
/// Use it to look back at what was done; to find something by what it says, search the events.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EventTimeline")]
pub struct Timeline {
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// Only events of this session.
    #[schemars(length(min = 1, max = 200))]
    pub session: Option<String>,
    /// Only events of one of these types.
    #[serde(default)]
    #[schemars(length(max = 24))]
    pub event_type: Vec<EventType>,
    /// Only events that ended so.
    pub outcome: Option<Outcome>,
    /// Only events about this file.
    #[schemars(length(min = 1, max = 700))]
    #[schemars(extend("x-text" = "path"))]
    pub file: Option<String>,
    /// Only events about this name in the code.
    #[schemars(length(min = 1, max = 500))]
    #[schemars(extend("x-advanced" = true))]
    pub symbol: Option<String>,
    /// Only events about this programming language.
    #[schemars(length(min = 1, max = 50))]
    #[schemars(extend("x-advanced" = true))]
    pub language: Option<String>,
    /// Only runs of this test.
    #[schemars(length(min = 1, max = 500))]
    pub test_name: Option<String>,
    /// Only what this agent did.
    #[schemars(length(min = 1, max = 200))]
    #[schemars(extend("x-advanced" = true))]
    pub agent: Option<String>,
    /// Only events with this tag.
    #[schemars(length(min = 1, max = 100))]
    pub tag: Option<String>,
    /// Only what happened at this time or later.
    pub after: Option<Timestamp>,
    /// Only what happened before this time.
    pub before: Option<Timestamp>,
    /// Only what happened in the last so many hours.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub hours: Option<u32>,
    /// Only events in this state of consolidation.
    #[schemars(extend("x-advanced" = true))]
    pub status: Option<ConsolidationStatus>,
    /// Only runs of tests that failed.
    #[serde(default)]
    pub failed_tests: bool,
    /// Only very surprising events, with a surprise of 3.5 or more.
    #[serde(default)]
    pub surprising: bool,
    /// List what was removed instead.
    #[serde(default)]
    #[schemars(extend("x-advanced" = true))]
    pub removed: bool,
    /// Which come first.
    #[serde(default)]
    pub order: EventOrder,
    /// How many to answer at most.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 1_000))]
    pub limit: u32,
    /// Where the previous page ended: its `next_cursor`.
    #[schemars(length(max = 15), regex(pattern = r"^c1\.[0-9a-z]{1,12}$"))]
    pub cursor: Option<String>,
}

pub(super) fn default_limit() -> u32 {
    50
}

impl Operation for Timeline {
    const SPEC: Spec = Spec::read("event.list", "/events")
        .command(&["timeline"])
        .short(&[("limit", 'n'), ("event_type", 't')]);
    type Output = Page<Event>;

    async fn call(self, ctx: &Ctx) -> Result<Page<Event>> {
        let filter = Filter {
            session: self.session,
            types: self.event_type,
            outcome: self.outcome,
            file: self.file,
            symbol: self.symbol,
            language: self.language,
            test_name: self.test_name,
            agent: self.agent,
            tag: self.tag,
            after: later(
                self.after,
                self.hours.and_then(|hours| hours_ago(ctx, hours)),
            ),
            before: self.before,
            status: self.status,
            failed_tests: self.failed_tests,
            surprising: self.surprising,
            removed: self.removed,
            ..Filter::default()
        };
        let page = Asked {
            project: self.project.as_deref(),
            order: self.order.into(),
            limit: self.limit,
            cursor: self.cursor.as_deref(),
        };
        page.of(ctx, &filter).await
    }
}

/// Returns the later of two times, as far as they are given.
fn later(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.max(other)
}

/// Returns the time so many hours ago.
pub(super) fn hours_ago(ctx: &Ctx, hours: u32) -> Option<Timestamp> {
    let span = SignedDuration::from_hours(i64::from(hours));
    ctx.now().checked_sub(span).ok()
}

/// A page of events that was asked for.
struct Asked<'a> {
    project: Option<&'a str>,
    order: Order,
    limit: u32,
    cursor: Option<&'a str>,
}

impl Asked<'_> {
    async fn of(&self, ctx: &Ctx, filter: &Filter) -> Result<Page<Event>> {
        let cursor = self.cursor.map(Cursor::parse).transpose()?;
        let Some(project) = own_project(ctx, self.project).await? else {
            return Ok(Page {
                items: Vec::new(),
                next_cursor: None,
            });
        };
        let place = match cursor {
            Some(cursor) => Some(place_of(ctx, project, EventId(cursor.0)).await?),
            None => None,
        };
        let limit = self.limit.saturating_add(1);
        let events = sql::list(ctx.db(), project, filter, self.order, place, limit).await?;
        Ok(Page::from_overfetch(events, self.limit, |event| event.id.0))
    }
}

/// Returns the place where a page ended.
async fn place_of(ctx: &Ctx, project: ProjectId, id: EventId) -> Result<Place> {
    let at = sql::time_of(ctx.db(), project, id).await?.ok_or_else(|| {
        let message =
            "`cursor` ends at an event that is gone or of another project; start again without one";
        Error::new(Code::NotFound, message).with_field("cursor")
    })?;
    Ok(Place { at, id })
}

/// Lists what was learned, with the events that it was learned from, the last first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EventLearned")]
pub struct Learned {
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// Only events of this session.
    #[schemars(length(min = 1, max = 200))]
    pub session: Option<String>,
    /// Only what happened at this time or later.
    pub after: Option<Timestamp>,
    /// Only what happened before this time.
    pub before: Option<Timestamp>,
    /// How many to answer at most.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 1_000))]
    pub limit: u32,
    /// Where the previous page ended: its `next_cursor`.
    #[schemars(length(max = 15), regex(pattern = r"^c1\.[0-9a-z]{1,12}$"))]
    pub cursor: Option<String>,
}

impl Operation for Learned {
    const SPEC: Spec = Spec::read("event.learned", "/events/learned")
        .command(&["learned"])
        .short(&[("limit", 'n')]);
    type Output = Page<Event>;

    async fn call(self, ctx: &Ctx) -> Result<Page<Event>> {
        let filter = Filter {
            session: self.session,
            after: self.after,
            before: self.before,
            learned: true,
            ..Filter::default()
        };
        let page = Asked {
            project: self.project.as_deref(),
            order: Order::Newest,
            limit: self.limit,
            cursor: self.cursor.as_deref(),
        };
        page.of(ctx, &filter).await
    }
}
