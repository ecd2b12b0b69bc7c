//! Athena without a face: the operations over a fresh store.

use crate::{FixedClock, TestStore};
use athena_core::{Ctx, Embedder, Embedders, Env, Error, Registry};
use athena_db::Database;
use athena_memory::memories::{SearchMode, Searching};
use athena_privacy::{Detector, Keyring, Masking, Policy};
use athena_store::{Privacy, Store};
use serde_json::{Value, json};
use std::sync::Arc;

/// The operations over a fresh store, with a clock that stands still.
#[derive(Debug)]
pub struct TestApp {
    /// The store.
    pub store: TestStore,
    /// The clock, which starts at noon of 2026-03-01.
    pub clock: Arc<FixedClock>,
    /// The operations.
    pub registry: Arc<Registry>,
    /// What calls share.
    pub env: Arc<Env>,
    /// The context of calls: principal `test`, project `test`.
    pub ctx: Ctx,
}

impl TestApp {
    /// Migrates a store and wires the operations around it.
    pub async fn on(store: TestStore) -> Self {
        let db = store.open().await;
        for set in [&athena_store::MIGRATIONS, &athena_memory::MIGRATIONS] {
            db.migrations(set).up().await.unwrap();
        }
        Self::wire(store, db, noon())
    }

    /// Opens the same store again, as another process would.
    pub async fn another(&self) -> (Arc<Env>, Ctx) {
        self.another_with(privacy(Policy::Standard)).await
    }

    /// Opens the same store again, as a process with another key or policy would.
    pub async fn another_with(&self, privacy: Arc<Privacy>) -> (Arc<Env>, Ctx) {
        let env = environment(self.store.open().await, &self.clock, privacy);
        (
            Arc::clone(&env),
            Ctx::for_caller(env, "another").with_project("test"),
        )
    }

    /// Opens the same store again, as a process whose settings name a model would.
    pub async fn another_with_model(&self, model: Arc<dyn Embedder>) -> (Arc<Env>, Ctx) {
        self.another_with_embedders(embedders(Some(model))).await
    }

    /// Opens the same store again, as a process with other embedders would.
    pub async fn another_with_embedders(&self, embedders: Embedders) -> (Arc<Env>, Ctx) {
        let env =
            Env::builder(self.store.open().await, embedders).clock(Arc::clone(&self.clock) as _);
        let env = athena_memory::wire(env, privacy(Policy::Standard)).build();
        let ctx = Ctx::for_caller(Arc::clone(&env), "another").with_project("test");
        (env, ctx)
    }

    /// Opens the same store by another handle, as a process that searches in that mode would.
    #[must_use]
    pub fn another_searching(&self, db: Database, mode: SearchMode) -> (Arc<Env>, Ctx) {
        let env = Env::builder(db, embedders(None)).clock(Arc::clone(&self.clock) as _);
        let env = athena_memory::wire(env, privacy(Policy::Standard)).part(Searching::by(mode));
        let env = env.build();
        let ctx = Ctx::for_caller(Arc::clone(&env), "another").with_project("test");
        (env, ctx)
    }

    /// Opens the same store again, as a process with other settings would: `change` is told its part
    /// for writing and searching.
    pub async fn another_with_store(&self, change: impl FnOnce(Store) -> Store) -> (Arc<Env>, Ctx) {
        let clock = Arc::clone(&self.clock);
        process(self.store.open().await, clock, change)
    }

    fn wire(store: TestStore, db: Database, clock: Arc<FixedClock>) -> Self {
        let env = environment(db, &clock, privacy(Policy::Standard));
        let ctx = Ctx::for_caller(Arc::clone(&env), "test").with_project("test");
        let registry = Arc::new(athena_memory::catalogue(Registry::new()));
        Self {
            store,
            clock,
            registry,
            env,
            ctx,
        }
    }

    /// Performs an operation that must succeed.
    pub async fn call(&self, operation: &str, input: Value) -> Value {
        match self.try_call(operation, input).await {
            Ok(output) => output,
            Err(error) => panic!(
                "{operation}: {error} ({:?})",
                std::error::Error::source(&error)
            ),
        }
    }

    /// Performs an operation.
    ///
    /// # Errors
    ///
    /// What it fails with.
    pub async fn try_call(&self, operation: &str, input: Value) -> Result<Value, Error> {
        self.registry.call(operation, &self.ctx, input, None).await
    }

    /// Performs an operation that must fail, and returns why.
    pub async fn refused(&self, operation: &str, input: Value) -> Error {
        match self.try_call(operation, input).await {
            Ok(output) => panic!("{operation} must fail, answered {output}"),
            Err(error) => error,
        }
    }

    /// Remembers a fact and returns its id.
    pub async fn remember(&self, content: &str) -> i64 {
        self.call("memory.remember", json!({"content": content}))
            .await["id"]
            .as_i64()
            .unwrap()
    }

    /// Recalls and returns the ids of the hits.
    pub async fn recall(&self, query: &str) -> Vec<i64> {
        ids(&self.call("memory.recall", json!({"query": query})).await)
    }

    /// Ends the test: closes and removes the store.
    pub async fn finish(self) {
        self.env.db().close().await.unwrap();
        self.store.finish().await;
    }
}

/// Opens a store whose [`TestApp`] is in another process; `change` is told its part for writing and
/// searching.
pub fn open_process(db: Database, change: impl FnOnce(Store) -> Store) -> (Arc<Env>, Ctx) {
    process(db, noon(), change)
}

fn process(
    db: Database,
    clock: Arc<FixedClock>,
    change: impl FnOnce(Store) -> Store,
) -> (Arc<Env>, Ctx) {
    let privacy = privacy(Policy::Standard);
    let env = Env::builder(db, embedders(None)).clock(clock);
    let env = athena_memory::wire(env, Arc::clone(&privacy))
        .part(change(athena_memory::store(privacy)))
        .build();
    let ctx = Ctx::for_caller(Arc::clone(&env), "another").with_project("test");
    (env, ctx)
}

fn noon() -> Arc<FixedClock> {
    Arc::new(FixedClock::at("2026-03-01T12:00:00Z"))
}

/// Returns the ids of recalled memories, best first.
fn ids(recalled: &Value) -> Vec<i64> {
    let hits = recalled["hits"].as_array().unwrap();
    hits.iter().map(|hit| hit["id"].as_i64().unwrap()).collect()
}

fn environment(db: Database, clock: &Arc<FixedClock>, privacy: Arc<Privacy>) -> Arc<Env> {
    let clock = Arc::clone(clock);
    let env = Env::builder(db, embedders(None)).clock(clock);
    athena_memory::wire(env, privacy).build()
}

fn embedders(model: Option<Arc<dyn Embedder>>) -> Embedders {
    Embedders {
        builtin: athena_embed::builtin(),
        model,
    }
}

/// The key of every test's store.
const KEY: &str = "5eb1a0c4d7f3926b8e0d41a7c95f36e2b4780d1f6ca3e95d27f8b04a613ce97d";

/// Returns privacy with a policy and the key of the tests.
#[must_use]
pub fn privacy(policy: Policy) -> Arc<Privacy> {
    privacy_with_keys(policy, KEY)
}

/// Returns privacy with a policy and keys, the newest first, with commas between them.
#[must_use]
pub fn privacy_with_keys(policy: Policy, keys: &str) -> Arc<Privacy> {
    let keys = keys.to_owned();
    let keyring = move || Keyring::given("the key of the tests", &keys);
    Privacy::new(Masking::new(Detector::default(), policy), keyring, true)
}
