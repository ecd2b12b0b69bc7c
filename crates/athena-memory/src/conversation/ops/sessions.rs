//! Sessions: when an agent works.

use crate::conversation::Session;
use crate::conversation::sql::{self, NewSession};
use crate::projects;
use crate::removal::{collect_tokens, forget_answers};
use athena_core::{
    Code, Ctx, Cursor, Error, Operation, Page, PageRequest, ProjectId, Result, Spec,
};
use athena_db::Executor;
use athena_store::{Intent, Write, forget_values, write};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// Starts a session, or goes on with the one of that name. Threads that are made in it belong
/// together.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionStart {
    /// Its name; made up unless given.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"\S"))]
    pub session: Option<String>,
    /// Which agent works in it.
    #[schemars(length(min = 1, max = 200))]
    pub agent: Option<String>,
    /// What is worth knowing about it; takes the place of what was known.
    pub context: Option<Map<String, Value>>,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
}

impl Operation for SessionStart {
    const SPEC: Spec = Spec::act("session.start", "/sessions")
        .idempotent()
        .command(&["session", "start"])
        .positional(&["session"]);
    type Output = Session;

    async fn call(self, ctx: &Ctx) -> Result<Session> {
        let name = self.session.clone();
        let name = name.unwrap_or_else(|| Uuid::now_v7().to_string());
        let start = Arc::new((self, name));
        write(ctx, Intent::new("session.start"), move |write| {
            let start = Arc::clone(&start);
            Box::pin(async move {
                let (start, name) = &*start;
                let project = projects::for_writing(write, start.project.as_deref()).await?;
                let new = NewSession {
                    session: name,
                    agent: start.agent.as_deref(),
                    context: start.context.clone().map(Value::Object),
                    principal: &write.ctx().caller().principal,
                    now: write.now(),
                };
                sql::insert_session(write.tx(), project.id, &new).await?;
                sql::reopen_session(write.tx(), project.id, &new).await?;
                existing(write.tx(), project.id, name).await
            })
        })
        .await
    }
}

/// Makes the session of a thread known, if it is not yet.
pub(super) async fn ensure(
    write: &Write<'_>,
    project: ProjectId,
    session: &str,
    agent: Option<&str>,
) -> Result<()> {
    let new = NewSession {
        session,
        agent,
        context: None,
        principal: &write.ctx().caller().principal,
        now: write.now(),
    };
    sql::insert_session(write.tx(), project, &new).await?;
    sql::touch_session(write.tx(), project, session, write.now()).await
}

async fn existing(db: &impl Executor, project: ProjectId, name: &str) -> Result<Session> {
    sql::session(db, project, name).await?.ok_or_else(|| {
        let message =
            format!("session `{name}` does not exist in this project; `session.start` starts it");
        Error::new(Code::NotFound, message).with_field("session")
    })
}

/// Returns the project of a call about one that must exist.
async fn project_of(db: &impl Executor, ctx: &Ctx, name: Option<&str>) -> Result<ProjectId> {
    projects::named(db, name.unwrap_or(ctx.project())).await
}

/// Ends a session. Its threads stay, and starting it again goes on with it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionEnd {
    /// Its name.
    #[schemars(length(min = 1, max = 200))]
    pub session: String,
    /// What is worth knowing about it at its end; takes the place of what was known.
    pub context: Option<Map<String, Value>>,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
}

impl Operation for SessionEnd {
    const SPEC: Spec = Spec::act("session.end", "/sessions/{session}/end")
        .idempotent()
        .command(&["session", "end"])
        .positional(&["session"]);
    type Output = Session;

    async fn call(self, ctx: &Ctx) -> Result<Session> {
        let end = Arc::new(self);
        write(ctx, Intent::new("session.end"), move |write| {
            let end = Arc::clone(&end);
            Box::pin(async move {
                let tx = write.tx();
                let project = project_of(tx, write.ctx(), end.project.as_deref()).await?;
                let session = existing(tx, project, &end.session).await?;
                let context = end.context.clone().map(Value::Object);
                sql::end_session(tx, session.id, context, write.now()).await?;
                existing(tx, project, &end.session).await
            })
        })
        .await
    }
}

/// Returns a session by its name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionGet {
    /// Its name.
    #[schemars(length(min = 1, max = 200))]
    pub session: String,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
}

impl Operation for SessionGet {
    const SPEC: Spec = Spec::read("session.get", "/sessions/{session}")
        .command(&["session", "get"])
        .positional(&["session"]);
    type Output = Session;

    async fn call(self, ctx: &Ctx) -> Result<Session> {
        let project = project_of(ctx.db(), ctx, self.project.as_deref()).await?;
        existing(ctx.db(), project, &self.session).await
    }
}

/// Removes a session for good, with what was known about it. One that has threads is refused: purge
/// those first. This cannot be undone.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionPurge {
    /// Its name.
    #[schemars(length(min = 1, max = 200))]
    pub session: String,
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
}

/// What was removed for good with a session, and what the database still owes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SessionPurgeReceipt {
    /// The session's `uid`.
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

impl Operation for SessionPurge {
    const SPEC: Spec = Spec::act("session.purge", "/sessions/{session}/purge")
        .destructive()
        .command(&["session", "purge"])
        .positional(&["session"])
        .errors(&[Code::InvalidState]);
    type Output = SessionPurgeReceipt;

    async fn call(self, ctx: &Ctx) -> Result<SessionPurgeReceipt> {
        let purge = Arc::new(self);
        let mut receipt = write(ctx, Intent::new("session.purge"), move |write| {
            let purge = Arc::clone(&purge);
            Box::pin(async move { purge_session(write, &purge).await })
        })
        .await?;
        receipt.owed.extend(athena_store::erase_residue(ctx).await?);
        Ok(receipt)
    }
}

async fn purge_session(write: &Write<'_>, purge: &SessionPurge) -> Result<SessionPurgeReceipt> {
    let (tx, now) = (write.tx(), write.now());
    let project = project_of(tx, write.ctx(), purge.project.as_deref()).await?;
    // Who makes a thread in it takes the same lock first.
    sql::touch_session(tx, project, &purge.session, now).await?;
    let session = existing(tx, project, &purge.session).await?;
    let threads = sql::threads_ever(tx, project, &session.session).await?;
    if threads > 0 {
        let message = format!(
            "the session has {threads} threads, removed ones included; purge them first with \
             `thread.purge`"
        );
        return Err(Error::new(Code::InvalidState, message).with_field("session"));
    }
    let mut tokens = BTreeSet::new();
    collect_tokens(&mut tokens, &session)?;
    sql::purge_session(tx, session.id).await?;
    let name = projects::name(tx, project).await?;
    Ok(SessionPurgeReceipt {
        uid: session.uid,
        purged_at: now,
        kept_answers: forget_answers(tx, &[session.uid]).await?,
        sealed_values: forget_values(write, &name, &tokens).await?,
        owed: athena_store::owed_after_purge(tx.dialect()),
    })
}

/// Lists sessions, newest first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionList {
    /// The project, by name; the surroundings' own unless given.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// Only sessions of this agent.
    #[schemars(length(min = 1, max = 200))]
    pub agent: Option<String>,
    /// How many to answer at most.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 1_000))]
    pub limit: u32,
    /// Where the previous page ended: its `next_cursor`.
    #[schemars(length(max = 15), regex(pattern = r"^c1\.[0-9a-z]{1,12}$"))]
    pub cursor: Option<String>,
}

fn default_limit() -> u32 {
    50
}

impl Operation for SessionList {
    const SPEC: Spec = Spec::read("session.list", "/sessions")
        .command(&["session", "list"])
        .short(&[("limit", 'n')]);
    type Output = Page<Session>;

    async fn call(self, ctx: &Ctx) -> Result<Page<Session>> {
        let page = PageRequest {
            limit: self.limit,
            cursor: self.cursor.as_deref().map(Cursor::parse).transpose()?,
        };
        let sessions = match projects::own(ctx, self.project.as_deref()).await? {
            Some(project) => {
                sql::sessions(ctx.db(), project.id, self.agent.as_deref(), page).await?
            }
            None => Vec::new(),
        };
        Ok(Page::from_overfetch(sessions, self.limit, |session| {
            session.id
        }))
    }
}
