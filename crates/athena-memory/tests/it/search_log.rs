//! Commit order, catching up, sealing.

use athena_core::{Ctx, Env};
use athena_db::{BoxFuture, Dialect, Executor, Scalar, params};
use athena_memory::memories::Retrievals;
use athena_store::{Gate, Intent, Store, Write};
use athena_testkit::{TestApp, json, story};
use std::sync::Arc;
use tokio::sync::Notify;

story! {
    /// What one process commits, another finds with its next question.
    async fn other_processes_catch_up(app: TestApp) {
        let (env, other) = app.another().await;
        let ask = json!({"query": "lighthouse"});
        let found = app.registry.call("memory.recall", &other, ask.clone(), None).await.unwrap();
        assert_eq!(found["hits"], json!([]));
        let id = app.remember("The lighthouse is white").await;
        let found = app.registry.call("memory.recall", &other, ask.clone(), None).await.unwrap();
        assert_eq!(found["hits"][0]["id"], id);
        app.call("memory.forget", json!({"id": id})).await;
        let found = app.registry.call("memory.recall", &other, ask.clone(), None).await.unwrap();
        assert_eq!(found["hits"], json!([]));
        app.call("memory.restore", json!({"id": id})).await;
        app.call("memory.purge", json!({"id": id})).await;
        let found = app.registry.call("memory.recall", &other, ask, None).await.unwrap();
        assert_eq!(found["hits"], json!([]));
        env.db().close().await.unwrap();
    }

    /// Two writers: the one that began first commits last, and both are found at once.
    ///
    /// A server lets the second overtake; SQLite has one writer, so there the second follows.
    async fn commits_in_reverse_order(app: TestApp) {
        app.remember("makes the project").await;
        let overtaking = app.env.db().dialect() != Dialect::Sqlite;
        let held = Arc::new(Held::default());
        let gate = HeldGate { held: Arc::clone(&held), wait: overtaking };
        let slow_env = gated(app, gate).await;
        let slow_ctx = Ctx::for_caller(Arc::clone(&slow_env), "slow").with_project("test");
        let registry = Arc::clone(&app.registry);
        let slow = tokio::spawn(async move {
            let input = json!({"content": "slow tortoise"});
            registry.call("memory.remember", &slow_ctx, input, None).await.unwrap();
        });
        held.begun.notified().await;
        app.remember("quick heron").await;
        assert_eq!(with_word(app, "heron").await, 1, "found right after its commit");
        if overtaking {
            assert_eq!(with_word(app, "tortoise").await, 0, "not committed yet");
        }
        held.go.notify_one();
        slow.await.unwrap();
        assert_eq!(with_word(app, "tortoise").await, 1);
        assert_eq!(with_word(app, "heron").await, 1);
        slow_env.db().close().await.unwrap();
    }

    /// A long tail is sealed; what was found before is found after, here and in a fresh process.
    async fn sealing_changes_nothing(app: TestApp) {
        for batch in 0..9 {
            let memories: Vec<_> = (0..1_000)
                .map(|index| json!({"content": format!("row {} of the ledger, colour c{}", batch * 1_000 + index, index % 97)}))
                .collect();
            app.call("memory.remember_batch", json!({"memories": memories})).await;
        }
        let question = json!({"query": "ledger row 4242 colour c13", "limit": 20});
        let before = app.call("memory.recall", question.clone()).await;
        assert!(count(app, "search_tail").await >= 8_192);
        abandon_a_segment(app).await;
        athena_store::flush(&app.env).await;
        assert_eq!(count(app, "search_segments WHERE ready = FALSE").await, 0);
        assert_eq!(count(app, "search_chunks WHERE kind = 99").await, 0);
        assert!(count(app, "search_tail").await < 8_192);
        assert!(count(app, "search_segments").await > 0);
        let (env, fresh) = app.another().await;
        let after = app.registry.call("memory.recall", &fresh, question.clone(), None).await.unwrap();
        assert_eq!(scores(&before), scores(&after));

        let id = before["hits"][0]["id"].clone();
        let receipt = app.call("memory.purge", json!({"id": id})).await;
        assert!(receipt["search_records"].as_u64().unwrap() >= 1);
        for ctx in [&app.ctx, &fresh] {
            let found = app.registry.call("memory.recall", ctx, question.clone(), None).await.unwrap();
            assert!(found["hits"].as_array().unwrap().iter().all(|hit| hit["id"] != id));
        }
        env.db().close().await.unwrap();
    }
}

/// Where a held write and the test meet.
#[derive(Default)]
pub(crate) struct Held {
    pub(crate) begun: Notify,
    pub(crate) go: Notify,
}

/// Holds a write open, in its transaction, until it is let go.
pub(crate) struct HeldGate {
    held: Arc<Held>,
    wait: bool,
}

impl HeldGate {
    /// Waits to be let go on every backend.
    pub(crate) fn waiting(held: &Arc<Held>) -> Self {
        let held = Arc::clone(held);
        Self { held, wait: true }
    }
}

impl Gate for HeldGate {
    fn check<'w>(
        &'w self,
        _: &'w Write<'_>,
        _: &'w Intent,
    ) -> BoxFuture<'w, athena_core::Result<()>> {
        Box::pin(async move {
            self.held.begun.notify_one();
            if self.wait {
                self.held.go.notified().await;
            }
            Ok(())
        })
    }
}

/// Opens the app's store again, with a gate.
async fn gated(app: &TestApp, gate: HeldGate) -> Arc<Env> {
    Env::builder(app.store.open().await, app.env.embedders().clone())
        .part(
            Store::new(
                &[&athena_store::MIGRATIONS, &athena_memory::MIGRATIONS],
                athena_memory::COLUMN_CLASSES,
                athena_testkit::privacy(athena_privacy::Policy::Standard),
            )
            .with_gate(gate),
        )
        .part(Retrievals::default())
        .part(athena_search::Recipe::default())
        .build()
}

/// Leaves what a process leaves that is killed while it writes a segment.
async fn abandon_a_segment(app: &TestApp) {
    let db = app.env.db();
    db.execute(
        "INSERT INTO search_segments
             (id, project_id, first_seq, last_seq, passages, ready, created_at)
         SELECT 1000000, project_id, 1, 8192, 8192, FALSE, :at FROM search_heads",
        params! { at: jiff::Timestamp::UNIX_EPOCH },
    )
    .await
    .unwrap();
    db.execute(
        "INSERT INTO search_chunks (project_id, segment_id, kind, part, bytes)
         SELECT project_id, 1000000, 99, 0, :bytes FROM search_heads",
        params! { bytes: vec![1_u8, 2, 3] },
    )
    .await
    .unwrap();
}

/// How many memories have a word.
async fn with_word(app: &TestApp, word: &str) -> usize {
    let question = json!({"query": word, "mode": "keyword"});
    let found = app.call("memory.recall", question).await;
    found["hits"].as_array().unwrap().len()
}

async fn count(app: &TestApp, table: &str) -> i64 {
    let Scalar(rows) = app
        .env
        .db()
        .fetch_one(format!("SELECT COUNT(*) FROM {table}"), params! {})
        .await
        .unwrap();
    rows
}

fn scores(found: &serde_json::Value) -> Vec<(String, String)> {
    let hits = found["hits"].as_array().unwrap();
    hits.iter()
        .map(|hit| (hit["uid"].to_string(), hit["score"].to_string()))
        .collect()
}
