//! Filling the store, by the operations that users call.

use super::super::gauge::{cpu_time, milliseconds, real};
use super::super::place::PROJECT;
use super::super::report::{Report, Target::AtLeast};
use super::{Bench, Caller, made, progress};
use athena_core::{Error, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long the project has been worked on.
pub(super) const PROJECT_DAYS: u64 = 90;
/// Where the project lies.
pub(super) const PATH: &str = "/srv/bench";
/// Things in one call, where an operation takes several.
const BATCH: u64 = 1_000;
/// Callers of an operation that takes one thing.
const CALLERS: usize = 16;

/// What was stored, by the ids that reads are asked with.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) memories: Vec<i64>,
    pub(super) events: Vec<i64>,
    pub(super) goals: Vec<i64>,
    pub(super) tasks: Vec<i64>,
    pub(super) threads: Vec<i64>,
    pub(super) items: Vec<i64>,
    pub(super) snapshots: Vec<i64>,
    /// Texts like those that were stored.
    pub(super) texts: Vec<String>,
    /// The time at which it was stored.
    pub(super) now: Timestamp,
}

/// How long batches took, making them up not counted.
#[derive(Debug, Default)]
struct Taken {
    wall: Duration,
    cpu: Duration,
}

/// Stores everything.
///
/// # Errors
///
/// What the operations fail with.
pub(super) async fn all(
    bench: &Bench<'_>,
    caller: Caller<'_>,
    report: &mut Report,
) -> Result<Stored> {
    let bar = progress(bench.session, bench.sizes.all(), "storing");
    let stored = Filler {
        bench,
        caller,
        bar: &bar,
        now: Timestamp::now(),
    }
    .fill(report)
    .await;
    bar.finish_and_clear();
    stored
}

struct Filler<'a> {
    bench: &'a Bench<'a>,
    caller: Caller<'a>,
    bar: &'a ProgressBar,
    now: Timestamp,
}

impl Filler<'_> {
    async fn fill(&self, report: &mut Report) -> Result<Stored> {
        let Bench { corpus, sizes, .. } = self.bench;
        let project = json!({"name": PROJECT, "path": PATH});
        self.caller.call("project.create", project).await?;
        let cursor = json!({"source": "git", "position": {"commit": "c0ffee"}});
        self.caller.call("event.set_cursor", cursor).await?;
        let (memories, taken) = self
            .batches(
                "memory.remember_batch",
                "memories",
                sizes.memories,
                |number| made::memory(corpus, number),
            )
            .await?;
        push_rate(
            report,
            "memories",
            "memory.remember_batch",
            sizes.memories,
            &taken,
            None,
        );
        let (events, taken) = self
            .batches("event.record_batch", "events", sizes.events, |number| {
                made::event(
                    corpus,
                    number,
                    made::time_of(number, sizes.events, self.now),
                )
            })
            .await?;
        push_rate(
            report,
            "events",
            "event.record_batch",
            sizes.events,
            &taken,
            Some(2_000.0),
        );
        let started = Instant::now();
        let goals = self.goals().await?;
        let tasks = self.tasks(&goals).await?;
        self.about_tasks(&tasks).await?;
        let threads = self.conversations().await?;
        let items = self.work(&tasks).await?;
        let snapshots = self.snapshots().await?;
        self.relations(&memories).await?;
        let rest = started.elapsed().as_secs_f64();
        report.push(
            "rest.s",
            "tasks, messages and the rest, one by one",
            rest,
            "s",
            None,
        );
        Ok(Stored {
            memories,
            events,
            goals,
            tasks,
            threads,
            items,
            snapshots,
            texts: (0..20).map(|number| corpus.question(number).text).collect(),
            now: self.now,
        })
    }

    /// Stores things in batches; returns their ids and how long that took.
    async fn batches(
        &self,
        name: &str,
        field: &str,
        all: u64,
        make: impl Fn(u64) -> Value,
    ) -> Result<(Vec<i64>, Taken)> {
        let (mut ids, mut taken) = (Vec::new(), Taken::default());
        let mut first = 0;
        while first < all {
            let next = all.min(first + BATCH);
            let things: Vec<Value> = (first..next).map(&make).collect();
            let (cpu, started) = (cpu_time(), Instant::now());
            let answer = self.caller.call(name, json!({ field: things })).await?;
            taken.wall += started.elapsed();
            taken.cpu += cpu_time().saturating_sub(cpu);
            ids.extend(ids_of(&answer[field]));
            self.bar.inc(next - first);
            first = next;
        }
        Ok((ids, taken))
    }

    /// Calls an operation for each input, some at the same time; returns the answers in order.
    async fn each(
        &self,
        name: &str,
        inputs: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<Value>> {
        stream::iter(inputs)
            .map(|input| self.caller.call(name, input))
            .buffered(CALLERS)
            .inspect_ok(|_| self.bar.inc(1))
            .try_collect()
            .await
    }

    async fn goals(&self) -> Result<Vec<i64>> {
        let Bench { corpus, sizes, .. } = self.bench;
        let inputs = (0..sizes.goals).map(|number| {
            json!({"name": format!("Goal {number}"), "description": corpus.row(number).text, "priority": number % 10 + 1})
        });
        ids(&self.each("goal.create", inputs).await?)
    }

    /// Stores tasks; every third waits for the one before it, and half of them have been worked on.
    async fn tasks(&self, goals: &[i64]) -> Result<Vec<i64>> {
        let Bench { corpus, sizes, .. } = self.bench;
        let inputs = (0..sizes.tasks).map(|number| {
            let mut task = json!({
                "title": format!("Task {number}: {}", first_words(&corpus.row(number).text)),
                "description": corpus.row(number).text,
                "priority": number % 10 + 1,
                "goal_id": pick(goals, number),
                "assignee": format!("agent-{}", number % 5),
                "estimated_minutes": 30,
            });
            if number % 4 == 0 {
                let hours = SignedHours::from(number);
                task["due_at"] = json!(hours.after(self.now));
            }
            task
        });
        let tasks = ids(&self.each("task.create", inputs).await?)?;
        let waiting = tasks.windows(2).step_by(3);
        let depend = waiting.map(|pair| json!({"id": pair[1], "depends_on": pair[0]}));
        self.each("task.depend", depend).await?;
        let begun = |ids: Vec<i64>| ids.into_iter().map(|id| json!({ "id": id }));
        let free: Vec<i64> = tasks.iter().copied().step_by(3).collect();
        let (worked_on, done) = free.split_at(free.len() / 2);
        self.each("task.start", begun(worked_on.to_vec())).await?;
        self.each("task.start", begun(done.to_vec())).await?;
        self.each("task.complete", begun(done.to_vec())).await?;
        Ok(tasks)
    }

    /// Stores attempts at tasks and triggers of them. Tasks that are done have none.
    async fn about_tasks(&self, tasks: &[i64]) -> Result<()> {
        let waiting: Vec<i64> = tasks.iter().copied().skip(1).step_by(3).collect();
        let attempts = waiting.iter().step_by(2).map(|id| {
            json!({"id": id, "outcome": "failure", "error_type": "timeout", "lesson": "The server was not started", "minutes": 12})
        });
        self.each("task.attempt", attempts).await?;
        let triggers = waiting.iter().zip(0_u64..).map(|(id, number)| match number % 3 {
            0 => json!({"id": id, "type": "time", "due_at": SignedHours::from(number).after(self.now)}),
            1 => json!({"id": id, "type": "file", "path": made::file(number)}),
            _ => json!({"id": id, "type": "event", "event_type": "test_run", "outcome": "failure"}),
        });
        self.each("trigger.create", triggers).await?;
        Ok(())
    }

    async fn conversations(&self) -> Result<Vec<i64>> {
        let Bench { corpus, sizes, .. } = self.bench;
        let sessions = (0..sizes.threads)
            .map(|number| json!({"session": format!("session-{number}"), "agent": format!("agent-{}", number % 5)}));
        self.each("session.start", sessions).await?;
        let threads = (0..sizes.threads)
            .map(|number| json!({"title": format!("Thread {number}"), "session": format!("session-{number}")}));
        let threads = ids(&self.each("thread.create", threads).await?)?;
        let told = threads.iter().zip(0_u64..).map(|(thread, number)| {
            let first = number * sizes.messages;
            let messages = (first..first + sizes.messages).map(|number| {
                let role = if number % 2 == 0 { "user" } else { "assistant" };
                json!({"role": role, "content": corpus.row(number).text})
            });
            json!({"thread": thread, "messages": messages.collect::<Vec<_>>()})
        });
        self.each("message.add_batch", told).await?;
        Ok(threads)
    }

    /// Stores agents, items in queues, some of them claimed, and leases.
    async fn work(&self, tasks: &[i64]) -> Result<Vec<i64>> {
        let sizes = &self.bench.sizes;
        let agents = (0..sizes.agents).map(|number| {
            json!({"agent": format!("agent-{number}"), "capabilities": ["rust", format!("part-{}", number % 7)], "max_concurrent": 100})
        });
        self.each("agent.register", agents).await?;
        let (items, _) = self
            .batches("queue.put_batch", "items", sizes.items, |number| {
                json!({"title": format!("Item {number}"), "queue": format!("queue-{}", number % 5),
                    "requires": ["rust"], "priority": number % 10 + 1, "task_id": pick(tasks, number)})
            })
            .await?;
        let claims = (0..sizes.agents)
            .map(|number| json!({"agent": format!("agent-{number}"), "queue": format!("queue-{}", number % 5), "limit": 20}));
        self.each("queue.claim", claims).await?;
        let leases = (0..sizes.leases).map(|number| {
            let agent = format!("agent-{}", number % sizes.agents);
            json!({"resource": format!("file:{}-{number}", made::file(number)), "agent": agent, "lease_seconds": 86_400})
        });
        self.each("lease.acquire", leases).await?;
        Ok(items)
    }

    async fn snapshots(&self) -> Result<Vec<i64>> {
        let Bench { corpus, sizes, .. } = self.bench;
        let inputs = (0..sizes.snapshots).map(|number| {
            json!({"session": format!("session-{number}"), "summary": corpus.row(number).text,
                "next_step": "Run the tests again", "todos": [{"content": "Write the tests", "status": "in_progress"}]})
        });
        let answers = self.each("snapshot.save", inputs).await?;
        ids(&answers)
    }

    /// Relates some memories to the one that was stored before.
    async fn relations(&self, memories: &[i64]) -> Result<()> {
        let pairs = memories.windows(2).step_by(100);
        let inputs = pairs.map(|pair| json!({"id": pair[1], "to": pair[0], "relation": "follows"}));
        self.each("memory.relate", inputs).await?;
        Ok(())
    }
}

/// Hours before and after now.
struct SignedHours(i64);

impl From<u64> for SignedHours {
    fn from(number: u64) -> Self {
        Self(i64::try_from(number % 1_000).unwrap_or(0) - 200)
    }
}

impl SignedHours {
    fn after(&self, now: Timestamp) -> String {
        let span = jiff::SignedDuration::from_hours(self.0);
        now.checked_add(span).unwrap_or(now).to_string()
    }
}

/// Returns one of several; none of none.
fn pick(ids: &[i64], number: u64) -> Option<i64> {
    let place = number.checked_rem(made::count(ids.len()))?;
    ids.get(usize::try_from(place).ok()?).copied()
}

fn first_words(text: &str) -> String {
    text.split(' ').take(6).collect::<Vec<_>>().join(" ")
}

fn ids_of(things: &Value) -> Vec<i64> {
    let things = things.as_array().into_iter().flatten();
    things.filter_map(|thing| thing["id"].as_i64()).collect()
}

fn ids(answers: &[Value]) -> Result<Vec<i64>> {
    let id = |answer: &Value| {
        let id = answer["id"].as_i64();
        id.ok_or_else(|| Error::internal("what was stored has no id"))
    };
    answers.iter().map(id).collect()
}

fn push_rate(
    report: &mut Report,
    id: &str,
    name: &str,
    count: u64,
    taken: &Taken,
    target: Option<f64>,
) {
    let count = real(count);
    let rate = count / taken.wall.as_secs_f64();
    let unit = "/s";
    report.push(
        format!("{id}.per_s"),
        format!("{name}, batches of {BATCH}"),
        rate,
        unit,
        target.map(AtLeast),
    );
    let cpu = milliseconds(taken.cpu) * 1e3 / count;
    report.push(
        format!("{id}.cpu_us"),
        format!("{name}: CPU of one"),
        cpu,
        "µs",
        None,
    );
}
