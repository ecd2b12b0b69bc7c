//! Asking, and how long the answers take.

use super::super::gauge::{cpu_time, milliseconds, real};
use super::super::place::PROJECT;
use athena_core::{Ctx, Error, ProjectId, Registry, Result};
use athena_corpus::{DEPTH, Labels, Question, percentile};
use athena_memory::memories::CALLER_MODEL;
use athena_search::Query;
use athena_store::{Request, prepare};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// How often everything is asked; the round that took the least CPU time counts.
const ROUNDS: usize = 3;

/// A way of looking.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mode {
    Semantic,
    Keyword,
    Hybrid,
}

impl Mode {
    /// Returns the name that `memory.recall` knows it by.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Semantic => "semantic",
            Self::Keyword => "keyword",
            Self::Hybrid => "hybrid",
        }
    }

    /// Returns what the index calls it.
    fn of_index(self) -> athena_search::Mode {
        match self {
            Self::Semantic => athena_search::Mode::Semantic,
            Self::Keyword => athena_search::Mode::Keyword,
            Self::Hybrid => athena_search::Mode::Hybrid,
        }
    }

    /// Returns what people call it.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Semantic => "by meaning",
            Self::Keyword => "by words",
            Self::Hybrid => "by both",
        }
    }
}

/// Asks questions.
#[derive(Debug)]
pub(super) struct Asker<'a> {
    pub(super) registry: &'a Registry,
    pub(super) ctx: &'a Ctx,
    pub(super) questions: &'a [Question],
}

/// All questions, asked once.
#[derive(Debug)]
pub(super) struct Pass {
    /// Mean CPU time of a question, in milliseconds.
    pub(super) cpu_ms: f64,
    /// How long each took, in milliseconds, sorted.
    walls: Vec<f64>,
    /// What each found, best first.
    pub(super) hits: Vec<Vec<Found>>,
}

/// A row that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Found {
    pub(super) row: u64,
    /// Its BM25 score.
    pub(super) keyword: f64,
}

impl Asker<'_> {
    /// Asks everything several times, after a few questions that do not count, and returns the round
    /// that took the least CPU time. `label` is a place in [`Labels::ALL`].
    pub(super) async fn best_pass(&self, mode: Mode, label: Option<usize>) -> Result<Pass> {
        let mut best = self.one_pass(mode, label).await?;
        for _ in 1..ROUNDS {
            best = best.or_cheaper(self.pass(self.inputs(mode, label)).await?);
        }
        Ok(best)
    }

    /// As [`Self::best_pass`], but only what the index does in memory: from a question and its vector
    /// to the ids, as libraries without a database do.
    pub(super) async fn best_index_pass(&self, mode: Mode) -> Result<Pass> {
        let mut best = self.index_pass(mode).await?;
        for _ in 1..ROUNDS {
            best = best.or_cheaper(self.index_pass(mode).await?);
        }
        Ok(best)
    }

    /// Asks the index everything once.
    pub(super) async fn index_pass(&self, mode: Mode) -> Result<Pass> {
        let name = json!({ "name": PROJECT });
        let project = self.registry.call("project.get", self.ctx, name, None);
        let project = project.await?["id"].as_i64().map(ProjectId);
        let project = project.ok_or_else(|| Error::internal("a project has no id"))?;
        let (mut timing, mut answers) = (Timing::default(), Vec::new());
        for question in self.questions {
            let mut prepared = prepare(self.ctx, request(project, mode, question)).await?;
            let answer = loop {
                let watch = Watch::start();
                if let Some(answer) = prepared.rank() {
                    timing.add(&watch);
                    break answer;
                }
                prepared.bring(self.ctx).await?;
            };
            answers.push(answer.hits);
        }
        let mut hits = Vec::with_capacity(answers.len());
        for answer in answers {
            let mut found = Vec::with_capacity(answer.len());
            for hit in answer {
                let id = json!({"id": hit.item.id});
                let memory = self.registry.call("memory.get", self.ctx, id, None).await?;
                let row = row_of(&memory).ok_or_else(no_row)?;
                found.push(Found {
                    row,
                    keyword: hit.keyword,
                });
            }
            hits.push(found);
        }
        Ok(timing.pass(hits))
    }

    /// Asks everything once, after a few questions that do not count.
    pub(super) async fn one_pass(&self, mode: Mode, label: Option<usize>) -> Result<Pass> {
        let inputs = self.inputs(mode, label);
        self.pass(inputs.iter().take(20).cloned().collect()).await?;
        self.pass(inputs).await
    }

    /// Asks one question.
    pub(super) async fn ask(&self, input: Value) -> Result<Value> {
        self.registry
            .call("memory.recall", self.ctx, input, None)
            .await
    }

    /// Returns the questions as `memory.recall` takes them.
    pub(super) fn inputs(&self, mode: Mode, label: Option<usize>) -> Vec<Value> {
        let label = label.and_then(|place| Labels::ALL.get(place));
        let input = |question: &Question| {
            let mut input = json!({"query": question.text, "mode": mode.name(), "limit": DEPTH});
            if !matches!(mode, Mode::Keyword) {
                input["embedding"] = json!(question.vector);
            }
            if let Some((name, _)) = label {
                input["tags"] = json!([name]);
            }
            input
        };
        self.questions.iter().map(input).collect()
    }

    async fn pass(&self, inputs: Vec<Value>) -> Result<Pass> {
        let (mut timing, mut hits) = (Timing::default(), Vec::with_capacity(inputs.len()));
        for input in inputs {
            let watch = Watch::start();
            let answer = self.ask(input).await?;
            timing.add(&watch);
            hits.push(found(&answer)?);
        }
        Ok(timing.pass(hits))
    }

    /// Returns how many questions a second are answered when so many clients ask at once, each all
    /// questions from a place of its own.
    pub(super) fn rate(&self, mode: Mode, clients: usize) -> Result<f64> {
        let runtime = Handle::current();
        let mut all: Vec<Vec<Value>> = vec![self.inputs(mode, None); clients];
        for (client, inputs) in all.iter_mut().enumerate() {
            let from = client * inputs.len() / clients;
            inputs.rotate_left(from);
        }
        let asked: u64 = all
            .iter()
            .map(|inputs| u64::try_from(inputs.len()).unwrap_or(0))
            .sum();
        let started = Instant::now();
        let done: Result<Vec<()>> = std::thread::scope(|scope| {
            let client = |inputs: Vec<Value>| {
                let runtime = runtime.clone();
                scope.spawn(move || {
                    runtime.block_on(async {
                        for input in inputs {
                            self.ask(input).await?;
                        }
                        Ok(())
                    })
                })
            };
            let clients: Vec<_> = all.into_iter().map(client).collect();
            let ended = clients.into_iter().map(|client| {
                client
                    .join()
                    .unwrap_or_else(|_| Err(Error::internal("a client ended early")))
            });
            ended.collect()
        });
        done?;
        Ok(real(asked) / started.elapsed().as_secs_f64())
    }
}

/// A question to the index of a project.
fn request(project: ProjectId, mode: Mode, question: &Question) -> Request {
    let own_vector = || (CALLER_MODEL.to_owned(), question.vector.clone());
    Request {
        projects: vec![project],
        query: Query {
            text: question.text.clone(),
            mode: mode.of_index(),
            limit: DEPTH,
            ..Query::default()
        },
        own_vector: (!matches!(mode, Mode::Keyword)).then(own_vector),
    }
}

/// When a question was asked.
struct Watch {
    cpu: Duration,
    wall: Instant,
}

impl Watch {
    fn start() -> Self {
        Self {
            cpu: cpu_time(),
            wall: Instant::now(),
        }
    }
}

/// What questions took.
#[derive(Default)]
struct Timing {
    cpu: Duration,
    walls: Vec<f64>,
}

impl Timing {
    /// Adds a question that was answered now.
    fn add(&mut self, watch: &Watch) {
        self.walls.push(milliseconds(watch.wall.elapsed()));
        self.cpu += cpu_time().saturating_sub(watch.cpu);
    }

    fn pass(mut self, hits: Vec<Vec<Found>>) -> Pass {
        self.walls.sort_by(f64::total_cmp);
        let count = u64::try_from(self.walls.len().max(1)).unwrap_or(u64::MAX);
        Pass {
            cpu_ms: milliseconds(self.cpu) / real(count),
            walls: self.walls,
            hits,
        }
    }
}

impl Pass {
    fn or_cheaper(self, other: Self) -> Self {
        if other.cpu_ms < self.cpu_ms {
            other
        } else {
            self
        }
    }

    /// Returns how long that share of the questions took at most, in milliseconds.
    pub(super) fn wall_ms(&self, share: f64) -> f64 {
        percentile(&self.walls, share)
    }

    /// Returns the rows that each question found.
    pub(super) fn rows(&self) -> Vec<Vec<u64>> {
        let rows = |hits: &Vec<Found>| hits.iter().map(|found| found.row).collect();
        self.hits.iter().map(rows).collect()
    }
}

/// Returns the rows of an answer.
fn found(answer: &Value) -> Result<Vec<Found>> {
    let hits = answer["hits"].as_array().into_iter().flatten();
    let found = |hit: &Value| {
        Some(Found {
            row: row_of(hit)?,
            keyword: hit["keyword"].as_f64()?,
        })
    };
    hits.map(found).collect::<Option<_>>().ok_or_else(no_row)
}

/// Returns the row that a memory was made of.
fn row_of(memory: &Value) -> Option<u64> {
    memory["external_id"].as_str()?.parse().ok()
}

fn no_row() -> Error {
    Error::internal("a hit stands for no row")
}
