//! Search when something is against it: other backends, other processes, kills, damage.

mod first;
mod killed;
mod sameness;
mod together;
mod unreadable;
mod workload;

use athena_core::{Code, Ctx, Env, Registry};
use athena_db::{Database, Executor, Scalar, params};
use athena_testkit::{TestApp, TestStore, json};
use serde_json::Value;
use std::sync::Arc;

/// A process at a store, which seals as early as it is told.
pub(crate) struct Process {
    registry: Arc<Registry>,
    env: Arc<Env>,
    ctx: Ctx,
}

impl Process {
    /// Starts one at the app's store that makes a segment of every so many rows.
    async fn start(app: &TestApp, segment_rows: u32) -> Self {
        let (env, ctx) = app
            .another_with_store(|store| store.with_segment_rows(segment_rows))
            .await;
        Self::of(env, ctx)
    }

    fn of(env: Arc<Env>, ctx: Ctx) -> Self {
        Self {
            registry: Arc::new(athena_memory::catalogue(Registry::new())),
            env,
            ctx,
        }
    }

    async fn try_call(&self, operation: &str, input: Value) -> Result<Value, athena_core::Error> {
        self.registry.call(operation, &self.ctx, input, None).await
    }

    async fn call(&self, operation: &str, input: Value) -> Value {
        match self.try_call(operation, input).await {
            Ok(output) => output,
            Err(error) => panic!(
                "{operation}: {error} ({:?})",
                std::error::Error::source(&error)
            ),
        }
    }

    /// Makes the project that the workload belongs to.
    async fn prepare(&self) {
        let project = json!({"name": "test", "embedding_dim": workload::DIMENSION});
        self.call("project.create", project).await;
    }

    async fn import(&self, memories: Vec<Value>) {
        self.call("memory.import", json!({"memories": memories}))
            .await;
    }

    /// Seals and merges.
    async fn flush(&self) {
        athena_store::flush(&self.env).await;
    }

    /// What it answers: the hits by the ids that are the same everywhere, with all scores.
    async fn answer(&self, question: &Value) -> Vec<Value> {
        let found = self.call("memory.recall", question.clone()).await;
        let hits = found["hits"].as_array().unwrap();
        hits.iter()
            .map(|hit| {
                json!([
                    hit["uid"],
                    hit["score"],
                    hit["match"],
                    hit["semantic"],
                    hit["keyword"]
                ])
            })
            .collect()
    }

    async fn answers(&self, questions: &[Value]) -> Vec<Vec<Value>> {
        let mut answers = Vec::with_capacity(questions.len());
        for question in questions {
            answers.push(self.answer(question).await);
        }
        answers
    }

    /// The number in a workload's memory, by the id that it has in this store.
    async fn ids(&self) -> std::collections::BTreeMap<u64, i64> {
        let mut ids = std::collections::BTreeMap::new();
        let mut input = json!({"limit": 1_000});
        loop {
            let page = self.call("memory.list", input.clone()).await;
            for memory in page["items"].as_array().unwrap() {
                let number = workload::number(memory["uid"].as_str().unwrap());
                ids.insert(number, memory["id"].as_i64().unwrap());
            }
            match page.get("next_cursor") {
                Some(cursor) => input["cursor"] = cursor.clone(),
                None => return ids,
            }
        }
    }

    /// Whether a memory of the workload is found by the word that it has alone.
    async fn finds(&self, number: u64) -> bool {
        let question = json!({"query": workload::name(number), "mode": "keyword", "limit": 1});
        !self.answer(&question).await.is_empty()
    }

    async fn end(self) {
        self.env.db().close().await.unwrap();
    }
}

/// Asks the same of two processes; a difference names its question.
fn assert_same(questions: &[Value], found: &[Vec<Value>], expected: &[Vec<Value>], whose: &str) {
    for ((question, found), expected) in questions.iter().zip(found).zip(expected) {
        assert_eq!(found, expected, "{whose}: {question}");
    }
}

/// A process at an SQLite store of its own with these memories of the workload, nothing of which is
/// sealed: nothing has ever happened to it.
async fn undisturbed(numbers: impl Iterator<Item = u64>) -> (TestApp, Process) {
    let app = TestApp::on(TestStore::sqlite().await).await;
    let process = Process::start(&app, u32::MAX).await;
    process.prepare().await;
    let numbers: Vec<u64> = numbers.collect();
    for some in numbers.chunks(500) {
        process
            .import(some.iter().copied().map(workload::memory).collect())
            .await;
    }
    assert_eq!(count(process.env.db(), "search_segments").await, 0);
    (app, process)
}

async fn count(db: &Database, table: &str) -> i64 {
    let sql = format!("SELECT COUNT(*) FROM {table}");
    let Scalar(rows) = db.fetch_one(sql, params! {}).await.unwrap();
    rows
}

/// Counts what nothing refers to any more, of each sort: unfinished segments, chunks without a
/// segment, rows of the tail that a segment covers.
async fn leftovers(db: &Database) -> [i64; 3] {
    [
        count(db, "search_segments WHERE ready = FALSE").await,
        count(
            db,
            "search_chunks WHERE segment_id NOT IN (SELECT id FROM search_segments)",
        )
        .await,
        count(
            db,
            "search_tail t JOIN search_heads h ON h.project_id = t.project_id
             WHERE t.seq <= h.sealed_seq",
        )
        .await,
    ]
}

/// A call that may come too late for its project.
fn or_gone(answer: Result<Value, athena_core::Error>) -> Option<Value> {
    match answer {
        Ok(answer) => Some(answer),
        Err(error) => {
            assert_eq!(error.code(), Code::NotFound, "{error}");
            None
        }
    }
}
