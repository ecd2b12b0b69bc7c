//! How a task goes from phase to phase.

use super::change;
use crate::work::TASK;
use crate::work::tasks::{AskedPhase, Phase, Task};
use athena_core::{Code, Ctx, Error, Operation, Result, Spec};
use athena_db::BoxFuture;
use athena_store::{Intent, write};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// Takes a task to another phase. From planning it goes to plan_ready, executing, verifying and
/// completed; it may go back to planning, and end as failed or abandoned. The names of statuses are
/// understood too.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TaskAdvance")]
pub struct Advance {
    /// The task's id.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// The phase that it goes to.
    pub phase: AskedPhase,
    /// The version that you read; the change is refused if there is a newer one.
    #[schemars(range(min = 1))]
    #[schemars(extend("x-advanced" = true))]
    pub expected_version: Option<i64>,
}

impl Operation for Advance {
    const SPEC: Spec = Spec::act("task.advance", "/tasks/{id}/advance")
        .idempotent()
        .command(&["task", "advance"])
        .positional(&["id", "phase"])
        .errors(&[Code::InvalidState, Code::PreconditionFailed]);
    type Output = Task;

    fn home<'a>(ctx: &'a Ctx, input: &'a Value) -> BoxFuture<'a, Result<Option<String>>> {
        TASK.home(ctx, input)
    }

    async fn call(self, ctx: &Ctx) -> Result<Task> {
        let this = Arc::new(self);
        write(ctx, Intent::new("task.advance"), move |write| {
            let this = Arc::clone(&this);
            Box::pin(async move {
                change(write, this.id, this.expected_version, |task, now| {
                    task.advance(Phase::from(this.phase), now)
                })
                .await
            })
        })
        .await
    }
}

/// Starts a task: it goes to the phase executing. One that is blocked cannot be started.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TaskStart")]
pub struct Start {
    /// The task's id.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// The version that you read; the change is refused if there is a newer one.
    #[schemars(range(min = 1))]
    #[schemars(extend("x-advanced" = true))]
    pub expected_version: Option<i64>,
}

impl Operation for Start {
    const SPEC: Spec = Spec::act("task.start", "/tasks/{id}/start")
        .idempotent()
        .command(&["task", "start"])
        .positional(&["id"])
        .errors(&[Code::InvalidState, Code::PreconditionFailed]);
    type Output = Task;

    fn home<'a>(ctx: &'a Ctx, input: &'a Value) -> BoxFuture<'a, Result<Option<String>>> {
        TASK.home(ctx, input)
    }

    async fn call(self, ctx: &Ctx) -> Result<Task> {
        let this = Arc::new(self);
        write(ctx, Intent::new("task.start"), move |write| {
            let this = Arc::clone(&this);
            Box::pin(async move {
                change(write, this.id, this.expected_version, |task, now| {
                    task.advance(Phase::Executing, now)
                })
                .await
            })
        })
        .await
    }
}

/// Completes a task. Tasks that depended on it are free at once, and triggers that waited for it
/// fire.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TaskComplete")]
pub struct Complete {
    /// The task's id.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// What was learned by it.
    #[schemars(length(min = 1, max = 100_000))]
    pub lessons: Option<String>,
    /// How many minutes it took; the time in execution and verification unless given.
    #[schemars(range(min = 0, max = 5_256_000))]
    pub actual_minutes: Option<f64>,
    /// The version that you read; the change is refused if there is a newer one.
    #[schemars(range(min = 1))]
    #[schemars(extend("x-advanced" = true))]
    pub expected_version: Option<i64>,
}

impl Operation for Complete {
    const SPEC: Spec = Spec::act("task.complete", "/tasks/{id}/complete")
        .idempotent()
        .command(&["task", "complete"])
        .positional(&["id"])
        .errors(&[Code::InvalidState, Code::PreconditionFailed]);
    type Output = Task;

    fn home<'a>(ctx: &'a Ctx, input: &'a Value) -> BoxFuture<'a, Result<Option<String>>> {
        TASK.home(ctx, input)
    }

    async fn call(self, ctx: &Ctx) -> Result<Task> {
        let this = Arc::new(self);
        write(ctx, Intent::new("task.complete"), move |write| {
            let this = Arc::clone(&this);
            Box::pin(async move {
                change(write, this.id, this.expected_version, |task, now| {
                    task.advance(Phase::Completed, now)?;
                    task.lessons = this.lessons.clone().or_else(|| task.lessons.take());
                    task.actual_minutes = this.actual_minutes.or(task.actual_minutes);
                    Ok(())
                })
                .await
            })
        })
        .await
    }
}

/// Ends a task as failed. It can be reopened.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TaskFail")]
pub struct Fail {
    /// The task's id.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// Why it failed.
    #[schemars(length(min = 1, max = 10_000), regex(pattern = r"\S"))]
    pub reason: String,
    /// What was learned by it.
    #[schemars(length(min = 1, max = 100_000))]
    pub lessons: Option<String>,
    /// The version that you read; the change is refused if there is a newer one.
    #[schemars(range(min = 1))]
    #[schemars(extend("x-advanced" = true))]
    pub expected_version: Option<i64>,
}

impl Operation for Fail {
    const SPEC: Spec = Spec::act("task.fail", "/tasks/{id}/fail")
        .idempotent()
        .command(&["task", "fail"])
        .positional(&["id", "reason"])
        .errors(&[Code::InvalidState, Code::PreconditionFailed]);
    type Output = Task;

    fn home<'a>(ctx: &'a Ctx, input: &'a Value) -> BoxFuture<'a, Result<Option<String>>> {
        TASK.home(ctx, input)
    }

    async fn call(self, ctx: &Ctx) -> Result<Task> {
        let this = Arc::new(self);
        write(ctx, Intent::new("task.fail"), move |write| {
            let this = Arc::clone(&this);
            Box::pin(async move {
                change(write, this.id, this.expected_version, |task, now| {
                    task.advance(Phase::Failed, now)?;
                    task.failure_reason = Some(this.reason.clone());
                    task.lessons = this.lessons.clone().or_else(|| task.lessons.take());
                    Ok(())
                })
                .await
            })
        })
        .await
    }
}

/// Marks a task as held up by something that is no task. It goes on once it is unblocked.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TaskBlock")]
pub struct Block {
    /// The task's id.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// What it is held up by.
    #[schemars(length(min = 1, max = 10_000), regex(pattern = r"\S"))]
    pub reason: String,
    /// The version that you read; the change is refused if there is a newer one.
    #[schemars(range(min = 1))]
    #[schemars(extend("x-advanced" = true))]
    pub expected_version: Option<i64>,
}

impl Operation for Block {
    const SPEC: Spec = Spec::act("task.block", "/tasks/{id}/block")
        .idempotent()
        .command(&["task", "block"])
        .positional(&["id", "reason"])
        .errors(&[Code::InvalidState, Code::PreconditionFailed]);
    type Output = Task;

    fn home<'a>(ctx: &'a Ctx, input: &'a Value) -> BoxFuture<'a, Result<Option<String>>> {
        TASK.home(ctx, input)
    }

    async fn call(self, ctx: &Ctx) -> Result<Task> {
        let this = Arc::new(self);
        write(ctx, Intent::new("task.block"), move |write| {
            let this = Arc::clone(&this);
            Box::pin(async move {
                change(write, this.id, this.expected_version, |task, _| {
                    check_open(task)?;
                    task.blocked_reason = Some(this.reason.clone());
                    Ok(())
                })
                .await
            })
        })
        .await
    }
}

/// Takes away what somebody said holds a task up. Dependencies hold it up all the same.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TaskUnblock")]
pub struct Unblock {
    /// The task's id.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// The version that you read; the change is refused if there is a newer one.
    #[schemars(range(min = 1))]
    #[schemars(extend("x-advanced" = true))]
    pub expected_version: Option<i64>,
}

impl Operation for Unblock {
    const SPEC: Spec = Spec::act("task.unblock", "/tasks/{id}/unblock")
        .idempotent()
        .command(&["task", "unblock"])
        .positional(&["id"])
        .errors(&[Code::InvalidState, Code::PreconditionFailed]);
    type Output = Task;

    fn home<'a>(ctx: &'a Ctx, input: &'a Value) -> BoxFuture<'a, Result<Option<String>>> {
        TASK.home(ctx, input)
    }

    async fn call(self, ctx: &Ctx) -> Result<Task> {
        let this = Arc::new(self);
        write(ctx, Intent::new("task.unblock"), move |write| {
            let this = Arc::clone(&this);
            Box::pin(async move {
                change(write, this.id, this.expected_version, |task, _| {
                    task.blocked_reason = None;
                    Ok(())
                })
                .await
            })
        })
        .await
    }
}

/// Takes up again a task that was completed, failed or abandoned: it goes back to planning, and
/// failures are counted from 0. Tasks that depend on it wait for it again.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TaskReopen")]
pub struct Reopen {
    /// The task's id.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// The version that you read; the change is refused if there is a newer one.
    #[schemars(range(min = 1))]
    #[schemars(extend("x-advanced" = true))]
    pub expected_version: Option<i64>,
}

impl Operation for Reopen {
    const SPEC: Spec = Spec::act("task.reopen", "/tasks/{id}/reopen")
        .command(&["task", "reopen"])
        .positional(&["id"])
        .errors(&[Code::InvalidState, Code::PreconditionFailed]);
    type Output = Task;

    fn home<'a>(ctx: &'a Ctx, input: &'a Value) -> BoxFuture<'a, Result<Option<String>>> {
        TASK.home(ctx, input)
    }

    async fn call(self, ctx: &Ctx) -> Result<Task> {
        let this = Arc::new(self);
        write(ctx, Intent::new("task.reopen"), move |write| {
            let this = Arc::clone(&this);
            Box::pin(async move {
                change(write, this.id, this.expected_version, |task, now| {
                    task.reopen(now)
                })
                .await
            })
        })
        .await
    }
}

/// Refuses to hold up what has ended.
fn check_open(task: &Task) -> Result<()> {
    if !task.phase.is_final() {
        return Ok(());
    }
    let message = format!(
        "task `{}` is in phase `{}` and cannot be blocked; reopen it first",
        task.id,
        task.phase.as_str()
    );
    Err(Error::new(Code::InvalidState, message).with_field("id"))
}
