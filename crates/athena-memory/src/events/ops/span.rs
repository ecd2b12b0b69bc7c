//! How long things took, what came first, and how far apart two events are.

use super::read::hours_ago;
use super::search::Asked;
use super::{own_project, there};
use crate::events::sql::{self, Filter, Measured, Moment};
use crate::events::when::length_text;
use crate::events::{EventType, Outcome, Precision, When};
use athena_core::{Ctx, EventId, Operation, Result, Spec};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Says how long something went on: the first and the last of the events that are asked for, the time
/// between them, the longest pause, and how many there are of each kind. Ask it "how long did it
/// take", "when did it begin" and "when was the last time".
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EventSpanOf")]
pub struct SpanOf {
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// Only events that say this, in plain words: the thousand best, as far as a search gives them at
    /// least half the score of its best hit and a `match` of at least `min_score`.
    #[schemars(length(min = 1, max = 10_000), regex(pattern = r"\S"))]
    pub query: Option<String>,
    /// How well an event must answer `query`, 0 to 1.
    #[serde(default = "answering")]
    #[schemars(range(min = 0, max = 1))]
    #[schemars(extend("x-advanced" = true))]
    pub min_score: f64,
    /// Only events of this session.
    #[schemars(length(min = 1, max = 200))]
    pub session: Option<String>,
    /// Only events of this type.
    pub event_type: Option<EventType>,
    /// Only events that ended so.
    pub outcome: Option<Outcome>,
    /// Only events about this file.
    #[schemars(length(min = 1, max = 700))]
    #[schemars(extend("x-text" = "path"))]
    pub file: Option<String>,
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
}

/// The share of the best hit's score that an event must have to be about the same.
const AS_GOOD_AS: f64 = 0.5;

/// Below this match, an event is a guess.
fn answering() -> f64 {
    0.12
}

/// How long something went on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct EventSpan {
    /// How many events there are.
    pub count: u64,
    /// The first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<EventMoment>,
    /// The last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<EventMoment>,
    /// The milliseconds from the first to the last.
    pub elapsed_ms: i64,
    /// The same for people, such as `2d 3h`.
    pub elapsed: String,
    /// The sum of the durations that were recorded, in milliseconds.
    pub duration_ms: i64,
    /// The same for people.
    pub duration: String,
    /// The longest time between two events that follow each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest_gap: Option<Gap>,
    /// How many events of each type there are.
    pub types: BTreeMap<String, u64>,
    /// How many events ended in each way.
    pub outcomes: BTreeMap<String, u64>,
    /// What was measured at them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Measurement>,
}

/// An event and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventMoment {
    /// The event.
    pub id: EventId,
    /// When it happened, or the beginning of the day, month or year.
    pub occurred_at: Timestamp,
    /// How exactly that is known.
    pub precision: Precision,
}

/// The time between two events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "EventGap")]
pub struct Gap {
    /// The earlier one.
    pub from: EventId,
    /// The later one.
    pub to: EventId,
    /// How many milliseconds lie between them.
    pub gap_ms: i64,
    /// The same for people.
    pub gap: String,
}

/// What was measured by one name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "EventMeasurement")]
pub struct Measurement {
    /// The name.
    pub name: String,
    /// How often it was measured.
    pub count: i64,
    /// The least.
    pub min: f64,
    /// The mean.
    pub mean: f64,
    /// The most.
    pub max: f64,
}

/// The most events that a question in words is answered from.
const BEST: u32 = 1_000;

impl Operation for SpanOf {
    const SPEC: Spec = Spec::read("event.span", "/events/span")
        .command(&["event", "span"])
        .positional(&["query"])
        .short(&[("event_type", 't')]);
    type Output = EventSpan;

    async fn call(self, ctx: &Ctx) -> Result<EventSpan> {
        let Some(project) = own_project(ctx, self.project.as_deref()).await? else {
            return Ok(Tally::default().finish(Vec::new()));
        };
        let after = self
            .after
            .max(self.hours.and_then(|hours| hours_ago(ctx, hours)));
        let mut filter = Filter {
            session: self.session,
            types: self.event_type.into_iter().collect(),
            outcome: self.outcome,
            file: self.file,
            test_name: self.test_name,
            agent: self.agent,
            tag: self.tag,
            after,
            before: self.before,
            ..Filter::default()
        };
        if let Some(query) = &self.query {
            let asked = Asked {
                query,
                session: filter.session.as_deref(),
                event_type: self.event_type,
                after,
                before: self.before,
                min_score: self.min_score,
                limit: BEST,
            };
            let mut found = asked.find_ids(ctx, project).await?;
            // Who asks how long something took means what says it, not all that shares a word.
            let best = found.first().map_or(0.0, |(hit, _)| hit.score);
            found.retain(|(hit, _)| hit.score >= best * AS_GOOD_AS);
            filter.ids = Some(found.into_iter().map(|(_, id)| id.0).collect());
        }
        let mut tally = Tally::default();
        sql::each_moment(ctx.db(), project, &filter, |moment| tally.add(moment)).await?;
        Ok(tally.finish(sql::measured(ctx.db(), project, &filter).await?))
    }
}

/// What is known after some events, oldest first.
#[derive(Debug, Default)]
struct Tally {
    span: EventSpan,
}

impl Tally {
    fn add(&mut self, moment: Moment) {
        let span = &mut self.span;
        span.count += 1;
        span.duration_ms = span
            .duration_ms
            .saturating_add(moment.duration_ms.unwrap_or(0));
        *span
            .types
            .entry(moment.event_type.as_str().to_owned())
            .or_default() += 1;
        if let Some(outcome) = moment.outcome {
            *span
                .outcomes
                .entry(outcome.as_str().to_owned())
                .or_default() += 1;
        }
        let this = EventMoment {
            id: moment.id,
            occurred_at: moment.when.at,
            precision: moment.when.precision,
        };
        if let Some(last) = span.last {
            let gap_ms = milliseconds(last.occurred_at, this.occurred_at);
            if span
                .longest_gap
                .as_ref()
                .is_none_or(|longest| gap_ms > longest.gap_ms)
            {
                span.longest_gap = Some(Gap {
                    from: last.id,
                    to: this.id,
                    gap_ms,
                    gap: length_text(gap_ms),
                });
            }
        }
        span.first.get_or_insert(this);
        span.last = Some(this);
    }

    fn finish(self, measured: Vec<Measured>) -> EventSpan {
        let mut span = self.span;
        if let (Some(first), Some(last)) = (span.first, span.last) {
            span.elapsed_ms = milliseconds(first.occurred_at, last.occurred_at);
        }
        span.elapsed = length_text(span.elapsed_ms);
        span.duration = length_text(span.duration_ms);
        let measured = measured.into_iter();
        span.metrics = measured
            .map(|(name, count, min, mean, max)| Measurement {
                name,
                count,
                min,
                mean,
                max,
            })
            .collect();
        span
    }
}

/// Returns the milliseconds from one time to another.
fn milliseconds(from: Timestamp, to: Timestamp) -> i64 {
    (to.as_microsecond() - from.as_microsecond()) / 1_000
}

/// Says which of two events came first, and how far they are apart. Where only the day, month or year
/// of one is known, the answer may be that nobody can tell.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EventCompare")]
pub struct Compare {
    /// The id of the first event.
    #[schemars(range(min = 1))]
    pub first: i64,
    /// The id of the second event.
    #[schemars(range(min = 1))]
    pub second: i64,
}

/// When one event happened, seen from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "EventRelation")]
pub enum Relation {
    /// The first came before the second.
    Before,
    /// The first came after the second.
    After,
    /// Both happened at the same time.
    SameTime,
    /// Their days, months or years overlap: nobody can tell.
    Undetermined,
}

/// How two events stand in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "EventsCompared")]
pub struct Compared {
    /// When the first happened, seen from the second.
    pub relation: Relation,
    /// How many milliseconds lie between them at least.
    pub gap_ms: i64,
    /// How many milliseconds lie between them at most; more than `gap_ms` where a time is not known
    /// exactly.
    pub gap_at_most_ms: i64,
    /// The time between them for people, such as `2d 3h` or `2d 3h to 3d 3h`.
    pub gap: String,
    /// The first event.
    pub first: EventMoment,
    /// The second event.
    pub second: EventMoment,
}

impl Operation for Compare {
    const SPEC: Spec = Spec::read("event.compare", "/events/compare")
        .command(&["event", "compare"])
        .positional(&["first", "second"]);
    type Output = Compared;

    async fn call(self, ctx: &Ctx) -> Result<Compared> {
        let first = there(ctx.db(), EventId(self.first), "first").await?;
        let second = there(ctx.db(), EventId(self.second), "second").await?;
        let moment = |event: &crate::events::Event| EventMoment {
            id: event.id,
            occurred_at: event.occurred_at,
            precision: event.precision,
        };
        Ok(compared(moment(&first), moment(&second)))
    }
}

pub(in crate::events) fn compared(first: EventMoment, second: EventMoment) -> Compared {
    let (one, other) = (when(first), when(second));
    let exact = [first, second]
        .iter()
        .all(|it| it.precision == Precision::Exact);
    let relation = match () {
        () if exact && one.at == other.at => Relation::SameTime,
        () if one.end() <= other.at => Relation::Before,
        () if other.end() <= one.at => Relation::After,
        () => Relation::Undetermined,
    };
    let least = match relation {
        Relation::Before => milliseconds(one.end(), other.at),
        Relation::After => milliseconds(other.end(), one.at),
        Relation::SameTime | Relation::Undetermined => 0,
    };
    let most = milliseconds(one.at, other.end()).max(milliseconds(other.at, one.end()));
    let gap = match (length_text(least), length_text(most)) {
        (least, most) if least == most => least,
        (least, most) => format!("{least} to {most}"),
    };
    Compared {
        relation,
        gap_ms: least,
        gap_at_most_ms: most,
        gap,
        first,
        second,
    }
}

fn when(moment: EventMoment) -> When {
    When {
        at: moment.occurred_at,
        precision: moment.precision,
    }
}
