//! What happened around an event, and what changed since a test passed.

use super::{own_project, there};
use crate::events::links::links;
use crate::events::sql::{self, Filter, Order, Place};
use crate::events::{Event, EventLink};
use athena_core::{Ctx, Error, EventId, Operation, ProjectId, Result, Spec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Returns what happened around an event in its session (without one, in the project): some events
/// before it, some after it, and how they hang together with it in time and by cause.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EventAround")]
pub struct Around {
    /// The event's id.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// How many events to answer at most on each side.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 100))]
    pub limit: u32,
}

fn ten() -> u32 {
    10
}

/// What happened around an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventsAround {
    /// What happened before it, the nearest last.
    pub before: Vec<Event>,
    /// The event.
    pub event: Event,
    /// What happened after it, the nearest first.
    pub after: Vec<Event>,
    /// How it hangs together with these.
    pub links: Vec<EventLink>,
    /// The event that brought it about, if somebody said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Event>,
}

impl Operation for Around {
    const SPEC: Spec = Spec::read("event.around", "/events/{id}/around")
        .command(&["event", "around"])
        .positional(&["id"])
        .short(&[("limit", 'n')]);
    type Output = EventsAround;

    async fn call(self, ctx: &Ctx) -> Result<EventsAround> {
        let event = there(ctx.db(), EventId(self.id), "id").await?;
        let filter = Filter {
            session: event.session.clone(),
            ..Filter::default()
        };
        let place = Some(Place {
            at: event.occurred_at,
            id: event.id,
        });
        let (project, limit) = (event.project_id, self.limit);
        let before = sql::list(ctx.db(), project, &filter, Order::Newest, place, limit);
        let mut before = before.await?;
        before.reverse();
        let after = sql::list(ctx.db(), project, &filter, Order::Oldest, place, limit).await?;
        let earlier = before.iter().flat_map(|earlier| links(earlier, &event));
        let later = after.iter().flat_map(|later| links(&event, later));
        Ok(EventsAround {
            links: earlier.chain(later).collect(),
            cause: cause(ctx, &event).await?,
            before,
            event,
            after,
        })
    }
}

/// Returns the event that brought another one about, if it is known and still there.
async fn cause(ctx: &Ctx, event: &Event) -> Result<Option<Event>> {
    let Some(cause) = event.caused_by else {
        return Ok(None);
    };
    let found = sql::by_ids(ctx.db(), event.project_id, vec![cause.0]).await?;
    Ok(found.into_iter().next())
}

/// Says when a test passed last, when it failed first after that, and what was changed in between:
/// where to look for the reason. The last changes come first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EventChangesSincePass")]
pub struct ChangesSincePass {
    /// The test, as its runs were recorded.
    #[schemars(length(min = 1, max = 500))]
    pub test_name: String,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// How many changes to answer at most.
    #[serde(default = "fifty")]
    #[schemars(range(min = 1, max = 1_000))]
    pub limit: u32,
}

fn fifty() -> u32 {
    50
}

/// When a test passed last, and what happened since.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SinceTestPassed {
    /// The last run that passed; absent if none ever did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_pass: Option<Event>,
    /// The first run after it that failed; absent if none has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_failure: Option<Event>,
    /// The edits, commits and other changes between the two, or until now if it has not failed since;
    /// the last first.
    pub changes: Vec<Event>,
    /// Whether there are earlier changes than those.
    pub more: bool,
}

impl Operation for ChangesSincePass {
    const SPEC: Spec = Spec::read("event.changes_since_pass", "/events/changes-since-pass")
        .command(&["event", "changes-since-pass"])
        .positional(&["test_name"]);
    type Output = SinceTestPassed;

    async fn call(self, ctx: &Ctx) -> Result<SinceTestPassed> {
        let unknown = || {
            let what = format!("a run of the test `{}`", self.test_name);
            Error::not_found(what).with_field("test_name")
        };
        let project = own_project(ctx, self.project.as_deref()).await?;
        let project = project.ok_or_else(unknown)?;
        let runs = |passed| Filter {
            test_name: Some(self.test_name.clone()),
            passed: Some(passed),
            ..Filter::default()
        };
        let last_pass = nearest(ctx, project, &runs(true), Order::Newest, None).await?;
        let since = last_pass.as_ref().map(place);
        let first_failure = nearest(ctx, project, &runs(false), Order::Oldest, since).await?;
        if last_pass.is_none() && first_failure.is_none() {
            return Err(unknown());
        }
        let until = first_failure.as_ref().map(place);
        let (changes, more) = changes(ctx, project, since, until, self.limit).await?;
        Ok(SinceTestPassed {
            last_pass,
            first_failure,
            changes,
            more,
        })
    }
}

/// Returns the first event behind a place.
async fn nearest(
    ctx: &Ctx,
    project: ProjectId,
    filter: &Filter,
    order: Order,
    behind: Option<Place>,
) -> Result<Option<Event>> {
    let found = sql::list(ctx.db(), project, filter, order, behind, 1).await?;
    Ok(found.into_iter().next())
}

/// Returns the last changes between two places, and whether there are more.
async fn changes(
    ctx: &Ctx,
    project: ProjectId,
    since: Option<Place>,
    until: Option<Place>,
    limit: u32,
) -> Result<(Vec<Event>, bool)> {
    let filter = Filter {
        changes: true,
        after: since.map(|place| place.at),
        ..Filter::default()
    };
    let asked = limit.saturating_add(1);
    let mut changes = sql::list(ctx.db(), project, &filter, Order::Newest, until, asked).await?;
    // Of what happened at the very time of the pass, only what was recorded after it.
    changes.retain(|change| {
        since.is_none_or(|since| (change.occurred_at, change.id) > (since.at, since.id))
    });
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = changes.len() > wanted;
    changes.truncate(wanted);
    Ok((changes, more))
}

fn place(event: &Event) -> Place {
    Place {
        at: event.occurred_at,
        id: event.id,
    }
}
