//! Operations on snapshots.

use super::{GoalBrief, Snapshot, SnapshotView, Todo, sql};
use crate::items;
use crate::projects;
use crate::work::{goals, item, missing, own_project, purge_answers, tasks};
use athena_core::{Code, Ctx, Cursor, Error, Operation, Page, ProjectId, Result, SnapshotId, Spec};
use athena_db::Executor;
use athena_store::{Intent, Write, forget_values, tokens_in, write};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

/// Tasks, and goals, that a snapshot names at most.
const NAMED: i64 = 50;

/// Takes a snapshot of a session: what was done, what went wrong, what to do next, with the tasks that
/// are open and the goals that are active now. The next session goes on from it (`snapshot latest`).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SnapshotSave")]
pub struct Save {
    /// What was done and found out.
    #[schemars(length(min = 1, max = 100_000))]
    pub summary: Option<String>,
    /// What to do next.
    #[schemars(length(min = 1, max = 10_000))]
    pub next_step: Option<String>,
    /// The session.
    #[schemars(length(min = 1, max = 200))]
    pub session: Option<String>,
    /// What went wrong last.
    #[serde(default)]
    #[schemars(length(max = 100), inner(length(min = 1, max = 10_000)))]
    pub failures: Vec<String>,
    /// The list of the session.
    #[serde(default)]
    #[schemars(length(max = 500))]
    #[schemars(extend("x-advanced" = true))]
    pub todos: Vec<Todo>,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
}

impl Operation for Save {
    const SPEC: Spec = Spec::create("snapshot.save", "/snapshots")
        .command(&["snapshot", "save"])
        .positional(&["summary"])
        .stdin("summary");
    type Output = SnapshotView;

    async fn call(self, ctx: &Ctx) -> Result<SnapshotView> {
        let new = Arc::new((Uuid::now_v7(), self));
        write(ctx, Intent::new("snapshot.save"), move |write| {
            let new = Arc::clone(&new);
            Box::pin(async move {
                let (uid, save) = &*new;
                let project = projects::for_writing(write, save.project.as_deref()).await?;
                let mut snapshot = save.snapshot(write, project.id, *uid).await?;
                snapshot.id = sql::insert(write.tx(), &snapshot).await?;
                write.note(project.id, item(items::SNAPSHOT, snapshot.id.0));
                view(write.tx(), snapshot).await
            })
        })
        .await
    }
}

impl Save {
    async fn snapshot(&self, write: &Write<'_>, project: ProjectId, uid: Uuid) -> Result<Snapshot> {
        let this = self.clone();
        Ok(Snapshot {
            id: SnapshotId(0),
            uid,
            project_id: project,
            session: this.session,
            taken_at: write.now(),
            summary: this.summary,
            next_step: this.next_step,
            failures: this.failures,
            todos: this.todos,
            task_ids: tasks::open_ids(write.tx(), project, NAMED).await?,
            goal_ids: goals::active(write.tx(), project, NAMED).await?,
            principal: write.ctx().caller().principal.clone(),
        })
    }
}

/// Shows the tasks and goals of a snapshot as they are now.
async fn view(db: &impl Executor, snapshot: Snapshot) -> Result<SnapshotView> {
    let mut found = goals::by_ids(db, &snapshot.goal_ids).await?;
    found.sort_by_key(|goal| snapshot.goal_ids.iter().position(|id| *id == goal.id.0));
    Ok(SnapshotView {
        tasks: tasks::briefs(db, &snapshot.task_ids).await?,
        goals: found.into_iter().map(GoalBrief::from).collect(),
        snapshot,
    })
}

/// Returns the latest snapshot of a project or of one session, to go on from.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SnapshotLatest")]
pub struct Latest {
    /// The session; any unless given.
    #[schemars(length(min = 1, max = 200))]
    pub session: Option<String>,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
}

impl Operation for Latest {
    const SPEC: Spec = Spec::read("snapshot.latest", "/snapshots/latest")
        .command(&["snapshot", "latest"])
        .positional(&["session"]);
    type Output = SnapshotView;

    async fn call(self, ctx: &Ctx) -> Result<SnapshotView> {
        let session = self.session.as_deref();
        let latest = match own_project(ctx, self.project.as_deref()).await? {
            Some(project) => sql::list(ctx.db(), project, session, i64::MAX, 0).await?,
            None => Vec::new(),
        };
        match latest.into_iter().next() {
            Some(snapshot) => view(ctx.db(), snapshot).await,
            None => {
                let message = "there is no snapshot yet; `athena snapshot save` takes one";
                Err(Error::new(Code::NotFound, message))
            }
        }
    }
}

/// Lists snapshots of sessions, newest first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SnapshotList")]
pub struct List {
    /// Only snapshots of this session.
    #[schemars(length(min = 1, max = 200))]
    pub session: Option<String>,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// How many to answer at most.
    #[serde(default = "fifty")]
    #[schemars(range(min = 1, max = 1_000))]
    pub limit: u32,
    /// Where the previous page ended: its `next_cursor`.
    #[schemars(length(max = 15), regex(pattern = r"^c1\.[0-9a-z]{1,12}$"))]
    pub cursor: Option<String>,
}

fn fifty() -> u32 {
    50
}

impl Operation for List {
    const SPEC: Spec = Spec::read("snapshot.list", "/snapshots")
        .command(&["snapshot", "list"])
        .short(&[("limit", 'n')]);
    type Output = Page<Snapshot>;

    async fn call(self, ctx: &Ctx) -> Result<Page<Snapshot>> {
        let cursor = self.cursor.as_deref().map(Cursor::parse).transpose()?;
        let before = cursor.map_or(i64::MAX, |cursor| cursor.0);
        let session = self.session.as_deref();
        let snapshots = match own_project(ctx, self.project.as_deref()).await? {
            Some(project) => sql::list(ctx.db(), project, session, before, self.limit).await?,
            None => Vec::new(),
        };
        Ok(Page::from_overfetch(snapshots, self.limit, |it| it.id.0))
    }
}

/// Returns a snapshot of a session, with its tasks and goals as they are now.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SnapshotGet")]
pub struct Get {
    /// The snapshot's id.
    #[schemars(range(min = 1))]
    pub id: i64,
}

impl Operation for Get {
    const SPEC: Spec = Spec::read("snapshot.get", "/snapshots/{id}")
        .command(&["snapshot", "get"])
        .positional(&["id"]);
    type Output = SnapshotView;

    async fn call(self, ctx: &Ctx) -> Result<SnapshotView> {
        let snapshot = existing(ctx.db(), self.id).await?;
        view(ctx.db(), snapshot).await
    }
}

async fn existing(db: &impl Executor, id: i64) -> Result<Snapshot> {
    let snapshot = sql::by_id(db, id).await?;
    snapshot.ok_or_else(|| missing("snapshot", id))
}

/// Removes a snapshot for good. This cannot be undone; its tasks and goals stay.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SnapshotPurge")]
pub struct Purge {
    /// The snapshot's id.
    #[schemars(range(min = 1))]
    pub id: i64,
}

/// What was removed for good with a snapshot, and what the database still owes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SnapshotPurged {
    /// The snapshot's `uid`.
    pub uid: Uuid,
    /// When it was removed.
    pub purged_at: Timestamp,
    /// How many kept answers to idempotent requests were removed.
    pub kept_answers: u64,
    /// How many sealed personal values were removed that nothing else mentions.
    pub sealed_values: u64,
    /// What may still hold its bytes, and how to have that removed too.
    pub owed: Vec<String>,
}

impl Operation for Purge {
    const SPEC: Spec = Spec::act("snapshot.purge", "/snapshots/{id}/purge")
        .destructive()
        .command(&["snapshot", "purge"])
        .positional(&["id"]);
    type Output = SnapshotPurged;

    async fn call(self, ctx: &Ctx) -> Result<SnapshotPurged> {
        let id = self.id;
        let mut purged = write(ctx, Intent::new("snapshot.purge"), move |write| {
            Box::pin(async move { purge(write, id).await })
        })
        .await?;
        purged.owed.extend(athena_store::erase_residue(ctx).await?);
        Ok(purged)
    }
}

async fn purge(write: &Write<'_>, id: i64) -> Result<SnapshotPurged> {
    let snapshot = existing(write.tx(), id).await?;
    let tokens = tokens_in(&serde_json::to_string(&snapshot).map_err(Error::internal)?);
    let name = projects::name(write.tx(), snapshot.project_id).await?;
    sql::purge(write.tx(), id).await?;
    write.note(snapshot.project_id, item(items::SNAPSHOT, id));
    Ok(SnapshotPurged {
        uid: snapshot.uid,
        purged_at: write.now(),
        kept_answers: purge_answers(write, snapshot.uid).await?,
        sealed_values: forget_values(write, &name, &tokens).await?,
        owed: athena_store::owed_after_purge(write.tx().dialect()),
    })
}
