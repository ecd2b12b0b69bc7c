//! Work: goals, tasks, what they wait for, what reminds of them, and where a session stood.
//!
//! A task has one state, its [phase](tasks::Phase); the status that people and the founding document
//! speak of is derived from it. That a task is blocked, or waits for a trigger, is never stored
//! either: it follows from rows that say so, at the moment it is asked. So finishing a task frees
//! those that depend on it in the same commit, and no row can be left behind.
//!
//! Changes that could close a circle, of goals or of dependencies, lock their project's row first:
//! of two that are made at once, the second sees the first.

pub mod goals;
pub mod snapshots;
pub mod tasks;
#[cfg(test)]
mod tests;
pub mod triggers;

use crate::projects;
use athena_core::{Code, Ctx, Error, ProjectId, Result};
use athena_db::{BoxFuture, Executor, Scalar, params};
use athena_search::{Attributes, ItemRef, Kind};
use athena_store::Write;
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

/// Characters that the text of a goal or a task may have beside its title.
const MAX_DESCRIPTION: usize = 100_000;

/// Returns a query for the name of the project of the row `:id` of a table.
macro_rules! project_name_of {
    ($table:literal) => {
        concat!(
            "SELECT p.name FROM ",
            $table,
            " t JOIN projects p ON p.id = t.project_id WHERE t.id = :id AND p.live_key = 1"
        )
    };
}

/// Something that an input names by `id`, for finding out which project it belongs to.
#[derive(Debug, Clone, Copy)]
struct Named {
    /// What it is called in errors.
    what: &'static str,
    statement: &'static str,
}

const GOAL: Named = Named {
    what: "goal",
    statement: project_name_of!("prospective_goals"),
};
const TASK: Named = Named {
    what: "task",
    statement: project_name_of!("prospective_tasks"),
};

impl Named {
    /// Returns the project of what an input names by `id`.
    fn home<'a>(self, ctx: &'a Ctx, input: &'a Value) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(async move {
            let id = input["id"].as_i64().unwrap_or_default();
            let name: Option<Scalar<String>> = ctx
                .db()
                .fetch_opt(self.statement, params! { id: id })
                .await?;
            match name {
                Some(Scalar(name)) => Ok(Some(name)),
                None => Err(missing(self.what, id)),
            }
        })
    }
}

/// Says that what `id` names does not exist.
fn missing(what: &str, id: i64) -> Error {
    Error::not_found(format_args!("{what} `{id}`")).with_field("id")
}

/// Makes changes to what hangs together in a project wait for each other until the commit.
async fn lock_project(write: &Write<'_>, project: ProjectId) -> Result<()> {
    write
        .tx()
        .execute(
            "UPDATE projects SET last_modified = last_modified WHERE id = :id",
            params! { id: project },
        )
        .await?;
    Ok(())
}

/// Removes kept answers to idempotent requests that show what has this `uid`.
async fn purge_answers(write: &Write<'_>, uid: Uuid) -> Result<u64> {
    Ok(write
        .tx()
        .execute(
            "DELETE FROM idempotency_keys WHERE response LIKE :pattern",
            params! { pattern: format!("%{uid}%") },
        )
        .await?)
}

/// Returns the one project of a call about one project, if it has anything yet.
async fn own_project(ctx: &Ctx, name: Option<&str>) -> Result<Option<ProjectId>> {
    Ok(projects::own(ctx, name).await?.map(|project| project.id))
}

/// Refuses a change of something that has changed since the caller read it.
fn check_version(what: &str, id: i64, version: i64, expected: Option<i64>) -> Result<()> {
    match expected {
        Some(expected) if expected != version => {
            let message = format!(
                "{what} `{id}` has version {version}, not {expected}; read it again and repeat the change"
            );
            Err(Error::new(Code::PreconditionFailed, message).with_field("expected_version"))
        }
        _ => Ok(()),
    }
}

/// Refuses a description that is longer than what is kept.
fn check_description(text: Option<&str>) -> Result<()> {
    let length = text.map_or(0, |text| text.chars().count());
    if length <= MAX_DESCRIPTION {
        return Ok(());
    }
    let message = format!(
        "`description` has {length} characters, at most {MAX_DESCRIPTION} are allowed; remember the details and name the memories in `related_memory_ids`"
    );
    Err(Error::new(Code::ContentTooLarge, message).with_field("description"))
}

/// Drops what is finer than the microseconds that are stored.
fn whole_microseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

/// Returns what is searched of a title and what is said about it.
fn searched_text(title: &str, description: Option<&str>) -> String {
    match description {
        Some(description) => format!("{title}\n\n{description}"),
        None => title.to_owned(),
    }
}

/// Returns what filters of the search look at.
fn attributes(uid: Uuid, labels: Vec<String>, is_removed: bool, time: Timestamp) -> Attributes {
    let state = match is_removed {
        true => crate::items::REMOVED,
        false => crate::items::LIVE,
    };
    Attributes {
        uid: *uid.as_bytes(),
        state: state.to_owned(),
        labels,
        time: time.as_microsecond(),
        position: None,
        usefulness: 0,
    }
}

const fn item(kind: Kind, id: i64) -> ItemRef {
    ItemRef { kind, id }
}

/// Reads a list of ids from a column.
fn ids_from(value: Value) -> Vec<i64> {
    serde_json::from_value(value).unwrap_or_default()
}

/// Returns how many minutes passed; none if the clock went backwards.
fn minutes_between(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0) / 60.0
}

/// Says that the item that a page ended with is no longer there.
fn left_since() -> Error {
    let message = "`cursor` names an item that has left this list since; start again without one";
    Error::new(Code::NotFound, message).with_field("cursor")
}

/// Returns what follows the item that a page ended with, and whether more follows.
///
/// For lists whose order cannot be told from a row alone: all of their keys are at hand, in order.
fn after_cursor<T>(
    items: Vec<T>,
    cursor: Option<i64>,
    limit: u32,
    key: impl Fn(&T) -> i64,
) -> Result<athena_core::Page<T>> {
    let start = match cursor {
        None => 0,
        Some(cursor) => {
            let last = items.iter().position(|item| key(item) == cursor);
            last.ok_or_else(left_since)? + 1
        }
    };
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let rest = items.into_iter().skip(start).take(wanted.saturating_add(1));
    Ok(athena_core::Page::from_overfetch(
        rest.collect(),
        limit,
        key,
    ))
}
