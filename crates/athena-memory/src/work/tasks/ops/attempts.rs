//! How it went: attempts, their lessons, and when to plan anew.

use super::{locked, store};
use crate::work::tasks::{Attempt, AttemptOutcome, Phase, Task, sql};
use crate::work::{TASK, whole_microseconds};
use athena_core::{Code, Ctx, Error, Operation, Result, Spec};
use athena_db::BoxFuture;
use athena_store::{Intent, Write, write};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Records an attempt at a task with what was learned by it. After as many failures as the task's
/// `max_cycles` it fails, unless it is planned anew with a reason.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TaskAttempt")]
pub struct RecordAttempt {
    /// The task's id.
    #[schemars(range(min = 1))]
    pub id: i64,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// What was learned by it.
    #[schemars(length(min = 1, max = 100_000))]
    pub lesson: Option<String>,
    /// What sort of error it ended with.
    #[schemars(length(min = 1, max = 200))]
    pub error_type: Option<String>,
    /// Plan the task anew for this reason: it goes back to planning, and failures are counted from 0.
    #[schemars(length(min = 1, max = 10_000), regex(pattern = r"\S"))]
    pub replan_reason: Option<String>,
    /// How many minutes it took.
    #[schemars(range(min = 0, max = 5_256_000))]
    pub minutes: Option<f64>,
    /// When it began; as many minutes ago as it took, unless given.
    #[schemars(extend("x-advanced" = true))]
    pub started_at: Option<Timestamp>,
}

/// An attempt that was recorded, and what follows from it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AttemptRecorded {
    /// The attempt.
    pub attempt: Attempt,
    /// Whether the task should be planned anew: it failed, or succeeds less than every second time.
    pub suggest_replan: bool,
    /// How many more attempts may fail before the task does.
    pub failures_left: i64,
    /// The task.
    pub task: Task,
}

impl Operation for RecordAttempt {
    const SPEC: Spec = Spec::create("task.attempt", "/tasks/{id}/attempts")
        .command(&["task", "attempt"])
        .positional(&["id", "outcome"])
        .errors(&[Code::InvalidState]);
    type Output = AttemptRecorded;

    fn home<'a>(ctx: &'a Ctx, input: &'a Value) -> BoxFuture<'a, Result<Option<String>>> {
        TASK.home(ctx, input)
    }

    async fn call(self, ctx: &Ctx) -> Result<AttemptRecorded> {
        let this = Arc::new(self);
        write(ctx, Intent::new("task.attempt"), move |write| {
            let this = Arc::clone(&this);
            Box::pin(async move { record(write, &this).await })
        })
        .await
    }
}

async fn record(write: &Write<'_>, input: &RecordAttempt) -> Result<AttemptRecorded> {
    let mut task = locked(write, input.id).await?;
    if task.phase.is_final() {
        let message = format!(
            "task `{}` is in phase `{}` and takes no attempts; reopen it first",
            task.id,
            task.phase.as_str()
        );
        return Err(Error::new(Code::InvalidState, message).with_field("id"));
    }
    let attempt = input.attempt(task.attempts + 1, write.now());
    let principal = &write.ctx().caller().principal;
    sql::add_attempt(write.tx(), task.id, &attempt, principal).await?;
    let failures = sql::failures_since_plan(write.tx(), task.id).await?;
    let phase = task.phase;
    task.count(&attempt);
    if input.replan_reason.is_some() {
        task.advance(Phase::Planning, write.now())?;
    } else if attempt.outcome == AttemptOutcome::Failure && failures >= task.max_cycles {
        task.advance(Phase::Failed, write.now())?;
        let reason = format!("{failures} attempts failed without a new plan");
        task.failure_reason = Some(reason);
    }
    store(write, &mut task, phase).await?;
    task.tell(write);
    Ok(AttemptRecorded {
        suggest_replan: input.replan_reason.is_none() && task.should_be_replanned(&attempt),
        failures_left: (task.max_cycles - failures).max(0),
        attempt,
        task,
    })
}

impl RecordAttempt {
    fn attempt(&self, number: i64, now: Timestamp) -> Attempt {
        let took = self.minutes.map(|minutes| minutes * 60.0);
        let took = took.and_then(|seconds| SignedDuration::try_from_secs_f64(seconds).ok());
        let began = took.and_then(|took| now.checked_sub(took).ok());
        Attempt {
            number,
            outcome: self.outcome,
            error_type: self.error_type.clone(),
            lesson: self.lesson.clone(),
            replan_reason: self.replan_reason.clone(),
            minutes: self.minutes,
            started_at: self.started_at.or(began).map(whole_microseconds),
            ended_at: now,
        }
    }
}

impl Task {
    fn count(&mut self, attempt: &Attempt) {
        self.attempts += 1;
        if attempt.outcome == AttemptOutcome::Failure {
            self.failed_attempts += 1;
        }
        let number = |count: i64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        let succeeded = number(self.attempts - self.failed_attempts);
        self.success_rate = Some(succeeded / number(self.attempts));
    }

    /// Whether an attempt that failed, or too few that succeeded, ask for another plan.
    fn should_be_replanned(&self, attempt: &Attempt) -> bool {
        let seldom = self.attempts >= 3 && self.success_rate.is_some_and(|rate| rate < 0.5);
        attempt.outcome == AttemptOutcome::Failure || seldom
    }
}
