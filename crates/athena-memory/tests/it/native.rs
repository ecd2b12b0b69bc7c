//! The `native` search mode: PostgreSQL does the search, with pgvector.

use athena_core::{Code, Ctx, Env, Error};
use athena_db::{Database, Dialect, Executor, Scalar, TxOptions, params};
use athena_memory::memories::{NativeState, native_state};
use athena_testkit::{SearchMode, TestApp, TestStore, json, story};
use serde_json::Value;
use std::sync::Arc;

/// A process that searches natively, over the store of an application.
struct Natively<'a> {
    app: &'a TestApp,
    env: Arc<Env>,
    ctx: Ctx,
}

impl<'a> Natively<'a> {
    async fn over(app: &'a TestApp) -> Self {
        Self::on(app, app.store.open().await)
    }

    fn on(app: &'a TestApp, db: Database) -> Self {
        let (env, ctx) = app.another_searching(db, SearchMode::Native);
        Self { app, env, ctx }
    }

    async fn try_call(&self, operation: &str, input: Value) -> Result<Value, Error> {
        self.app
            .registry
            .call(operation, &self.ctx, input, None)
            .await
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

    /// Makes the tables and brings everything in.
    async fn fill(&self) {
        for _ in 0..1_000 {
            if native_state(self.env.db()).await.unwrap() == Some(NativeState::Complete) {
                return;
            }
            athena_store::flush(&self.env).await;
        }
        panic!("the tables are not filled");
    }

    /// Recalls, and makes sure that the database did it.
    async fn recall(&self, mut input: Value) -> Vec<Value> {
        input["explain"] = json!(true);
        let found = self.call("memory.recall", input).await;
        assert_eq!(found["explain"]["search_mode"], "native", "{found}");
        found["hits"].as_array().unwrap().clone()
    }

    async fn contents(&self, input: Value) -> Vec<String> {
        let hits = self.recall(input).await;
        let content = |hit: &Value| hit["content"].as_str().unwrap().to_owned();
        hits.iter().map(content).collect()
    }

    async fn first(&self, query: &str) -> String {
        self.contents(json!({"query": query})).await.swap_remove(0)
    }

    async fn count(&self, sql: &'static str) -> i64 {
        let Scalar(count) = self.env.db().fetch_one(sql, params! {}).await.unwrap();
        count
    }
}

/// Makes an application on PostgreSQL, or `None` in the narrow run.
async fn on_postgres() -> Option<TestApp> {
    Some(TestApp::on(TestStore::postgres().await?).await)
}

async fn remember_all(app: &TestApp, contents: &[&str]) {
    for content in contents {
        app.call("memory.remember", json!({"content": content}))
            .await;
    }
}

const NOTES: [&str; 6] = [
    "We chose PostgreSQL for the billing service.",
    "The billing service retries failed payments three times.",
    "Deployments to staging happen every Friday afternoon.",
    "The cat sleeps on the warm radiator.",
    "Grüße aus Köln: das Büro zieht um.",
    "parse_http_header lives in src/net/headers.rs",
];

story! {
    /// What only PostgreSQL can do is refused elsewhere, with the setting and the way out.
    async fn only_postgres_searches_by_itself(app: TestApp) {
        app.remember("We chose PostgreSQL for the billing service.").await;
        let native = Natively::over(app).await;
        let asked = native.try_call("memory.recall", json!({"query": "billing"})).await;
        if app.env.db().dialect() == Dialect::Postgres {
            assert_eq!(asked.unwrap()["hits"].as_array().unwrap().len(), 1);
        } else {
            let error = asked.unwrap_err();
            assert_eq!(error.code(), Code::Unsupported);
            assert_eq!(error.field(), Some("search.mode"));
            assert!(error.message().starts_with("`search.mode` is `native`, which only PostgreSQL can do"), "{error}");
            assert!(error.message().ends_with("set it to `memory`"), "{error}");
        }
        assert_eq!(app.recall("billing").await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_and_meaning_find() {
    let Some(app) = on_postgres().await else {
        return;
    };
    let native = Natively::over(&app).await;
    native.fill().await;
    remember_all(&app, &NOTES).await;
    for (query, expected) in [
        ("billing payments", NOTES[1]),
        ("when do we deploy to staging", NOTES[2]),
        ("kitten sleeping", NOTES[3]),
        ("grusse aus koln", NOTES[4]),
        ("http header", NOTES[5]),
        (
            "it's a 'quoted' \\ question about cats & (radiators | !)",
            NOTES[3],
        ),
    ] {
        assert_eq!(native.first(query).await, expected, "{query}");
    }
    let by_words = native
        .contents(json!({"query": "billing", "mode": "keyword"}))
        .await;
    assert_eq!(by_words.len(), 2);
    let by_meaning = native
        .contents(json!({"query": "billing", "mode": "semantic"}))
        .await;
    assert_eq!(by_meaning.len(), NOTES.len());
    assert_eq!(
        native
            .contents(json!({"query": "billing", "limit": 2}))
            .await
            .len(),
        2
    );
    assert!(
        native
            .contents(json!({"query": "zzz", "mode": "keyword"}))
            .await
            .is_empty()
    );
    assert!(native.contents(json!({"query": "???"})).await.is_empty());
    assert!(
        native
            .contents(json!({"query": "elephants", "min_score": 0.5}))
            .await
            .is_empty()
    );
    let own = native
        .call(
            "memory.hybrid_search",
            json!({"query_text": "billing payments"}),
        )
        .await;
    assert_eq!(own["hits"][0]["content"], NOTES[1]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signs_narrow() {
    let Some(app) = on_postgres().await else {
        return;
    };
    let native = Natively::over(&app).await;
    native.fill().await;
    remember_all(
        &app,
        &[
            "The connection pool of billing holds forty.",
            "The pool needs a connection to billing.",
            "Connection pools of search hold ten.",
            "Searching is slow in staging.",
        ],
    )
    .await;
    let mut phrase = native
        .contents(json!({"query": "\"connection pool\""}))
        .await;
    phrase.sort();
    assert_eq!(
        phrase,
        [
            "Connection pools of search hold ten.",
            "The connection pool of billing holds forty."
        ]
    );
    assert_eq!(
        native
            .contents(json!({"query": "\"pool needs a connection\"", "limit": 1}))
            .await,
        ["The pool needs a connection to billing."]
    );
    assert_eq!(
        native
            .contents(json!({"query": "connection pool -billing", "mode": "keyword"}))
            .await,
        ["Connection pools of search hold ten."]
    );
    assert_eq!(
        native
            .contents(json!({"query": "searchi*", "mode": "keyword"}))
            .await
            .len(),
        2
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_hold_in_the_statement() {
    let Some(app) = on_postgres().await else {
        return;
    };
    let native = Natively::over(&app).await;
    native.fill().await;
    for (content, kind, tags, session, day) in [
        (
            "The pool holds ten connections",
            "fact",
            json!(["db", "pool"]),
            "s1",
            1,
        ),
        (
            "The pool was made larger",
            "decision",
            json!(["db"]),
            "s1",
            2,
        ),
        (
            "The pool is drained at night",
            "rule",
            json!(["ops"]),
            "s2",
            3,
        ),
    ] {
        let input = json!({
            "content": content, "type": kind, "tags": tags, "session": session,
            "occurred_at": format!("2026-02-0{day}T10:00:00Z"),
        });
        app.call("memory.remember", input).await;
    }
    for (filter, expected) in [
        (json!({"type": ["fact", "rule"]}), 2),
        (json!({"tags": ["db"]}), 2),
        (json!({"tags": ["db", "pool"]}), 1),
        (json!({"session": "s2"}), 1),
        (json!({"after": "2026-02-02T00:00:00Z"}), 2),
        (json!({"before": "2026-02-02T00:00:00Z"}), 1),
        (
            json!({"after": "2026-02-02T10:00:00Z", "before": "2026-02-03T10:00:00Z"}),
            1,
        ),
        (json!({"state": ["consolidated"]}), 0),
        (json!({"domain": "nowhere"}), 0),
    ] {
        for mode in ["keyword", "semantic", "hybrid"] {
            let mut input = json!({"query": "pool", "mode": mode});
            input
                .as_object_mut()
                .unwrap()
                .extend(filter.as_object().unwrap().clone());
            assert_eq!(
                native.recall(input).await.len(),
                expected,
                "{filter} {mode}"
            );
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_takes_effect() {
    let Some(app) = on_postgres().await else {
        return;
    };
    let native = Natively::over(&app).await;
    native.fill().await;
    let id = app.remember("The deployment window is on Friday.").await;
    assert_eq!(
        native.first("deployment window").await,
        "The deployment window is on Friday."
    );

    // A new version takes the place of the old one.
    let update = json!({"id": id, "content": "The deployment window is on Tuesday."});
    let updated = native.call("memory.update", update).await["id"]
        .as_i64()
        .unwrap();
    let window = || json!({"query": "deployment window"});
    assert_eq!(
        native.contents(window()).await,
        ["The deployment window is on Tuesday."]
    );
    let superseded = json!({"query": "deployment window", "state": ["superseded"]});
    assert_eq!(
        native.contents(superseded).await,
        ["The deployment window is on Friday."]
    );

    app.call("memory.forget", json!({"id": updated})).await;
    assert!(native.contents(window()).await.is_empty());
    app.call("memory.restore", json!({"id": updated})).await;
    assert_eq!(native.contents(window()).await.len(), 1);

    // Every version goes, and takes its words and vectors with it.
    let receipt = app.call("memory.purge", json!({"id": updated})).await;
    assert_eq!(
        (&receipt["versions"], &receipt["vectors"]),
        (&json!(2), &json!(2))
    );
    assert!(native.contents(window()).await.is_empty());
    assert_eq!(native.count("SELECT count(*) FROM native_words").await, 0);
    assert_eq!(
        native.count("SELECT count(*) FROM native_passages").await,
        0
    );

    app.remember("Somebody waters the plants.").await;
    assert_eq!(native.first("plants").await, "Somebody waters the plants.");
    app.call("project.delete", json!({"name": "test"})).await;
    app.call("project.create", json!({"name": "test"})).await;
    assert!(native.contents(json!({"query": "plants"})).await.is_empty());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_there_before_is_brought_in() {
    let Some(app) = on_postgres().await else {
        return;
    };
    let facts: Vec<Value> = (0..450)
        .map(|n| json!({"content": format!("Sensor {n} stands in hall {}.", n % 7)}))
        .collect();
    for memories in facts.chunks(225) {
        app.call("memory.remember_batch", json!({"memories": memories}))
            .await;
    }
    let native = Natively::over(&app).await;
    assert_eq!(native_state(native.env.db()).await.unwrap(), None);
    // Until all are there, Athena's own index answers, and says so.
    let early = native
        .call(
            "memory.recall",
            json!({"query": "sensor 449", "explain": true}),
        )
        .await;
    assert!(early["explain"].get("search_mode").is_none());
    assert_eq!(early["hits"][0]["content"], "Sensor 449 stands in hall 1.");
    let note = early["notes"][0].as_str().unwrap();
    assert!(
        note.contains("PostgreSQL's index is 0 % complete"),
        "{note}"
    );
    // One that comes meanwhile is not forgotten.
    app.remember("Sensor 1000 stands outside.").await;
    native.fill().await;
    assert_eq!(
        native.first("sensor 449").await,
        "Sensor 449 stands in hall 1."
    );
    assert_eq!(
        native.first("sensor 1000").await,
        "Sensor 1000 stands outside."
    );
    assert_eq!(native.count("SELECT count(*) FROM native_words").await, 451);
    let all = native
        .recall(json!({"query": "sensor", "limit": 1000}))
        .await;
    assert_eq!(all.len(), 451);

    // Rows that came by another way than a change, as by a copy of the database, are noticed.
    let taken = "DELETE FROM native_words WHERE memory_id > 400";
    native.env.db().execute(taken, params! {}).await.unwrap();
    let another = Natively::over(&app).await;
    let asked = another
        .call("memory.recall", json!({"query": "sensor 1000"}))
        .await;
    assert_eq!(asked["hits"][0]["content"], "Sensor 1000 stands outside.");
    another.fill().await;
    assert_eq!(
        another.count("SELECT count(*) FROM native_words").await,
        451
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_vectors_weights_and_standing_count() {
    let Some(app) = on_postgres().await else {
        return;
    };
    let project = json!({"name": "test", "embedding_dim": 3});
    app.call("project.create", project).await;
    let native = Natively::over(&app).await;
    native.fill().await;
    for (content, embedding, hour) in [
        ("The crimson valve leaks.", [1.0, 0.1, 0.0], "09"),
        ("The azure valve holds.", [0.0, 1.0, 0.1], "10"),
        ("A pump hums.", [0.9, 0.0, 0.1], "11"),
    ] {
        let memory = json!({
            "content": content, "embedding": embedding,
            "occurred_at": format!("2026-03-01T{hour}:00:00Z"),
        });
        app.call("memory.remember", memory).await;
    }
    let red = json!([1.0, 0.0, 0.0]);
    let ask = |more: Value| {
        let mut input = json!({"query": "azure valve", "embedding": red});
        input
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        input
    };
    // By the caller's vector alone, by words alone, and each with its true cosine.
    let by_vector = native.recall(ask(json!({"semantic_weight": 1}))).await;
    assert_eq!(by_vector[0]["content"], "The crimson valve leaks.");
    assert!(by_vector[0]["semantic"].as_f64().unwrap() > 0.99);
    assert!(by_vector[0]["match"].as_f64().unwrap() > 0.99);
    let by_words = native.recall(ask(json!({"keyword_weight": 1}))).await;
    assert_eq!(by_words[0]["content"], "The azure valve holds.");
    assert!(by_words[0]["semantic"].as_f64().unwrap() < 0.1);
    assert_eq!(
        (&by_words[0]["score"], &by_words[0]["match"]),
        (&json!(1.0), &json!(1.0))
    );
    let best = native.recall(ask(json!({"min_score": 0.999}))).await;
    assert_eq!(best.len(), 1);

    // What is added to the ranks turns the order.
    let ages = ask(json!({"recency_weight": 1, "recency_half_life": 0.001}));
    assert_eq!(native.recall(ages).await.len(), 3);
    let newest = ask(json!({"mode": "semantic", "recency_weight": 1, "recency_half_life": 0.05}));
    assert_eq!(native.recall(newest).await[0]["content"], "A pump hums.");
    let pump = by_vector
        .iter()
        .find(|hit| hit["content"] == "A pump hums.")
        .unwrap();
    let vote = json!({"id": pump["id"], "useful": true});
    app.call("memory.feedback", vote).await;
    let useful = ask(json!({"mode": "semantic", "usefulness_weight": 1}));
    let hits = native.recall(useful).await;
    assert_eq!(hits[0]["content"], "A pump hums.");
    for hit in &hits {
        let parts = hit["explain"]["parts"].as_array().unwrap();
        let sum: f64 = parts
            .iter()
            .map(|part| part["contribution"].as_f64().unwrap())
            .sum();
        assert!((sum - hit["score"].as_f64().unwrap()).abs() < 1e-6, "{hit}");
        assert!(hit["score"].as_f64().unwrap() <= 1.0);
    }

    let similar = json!({"embedding": red, "threshold": 0.5});
    let found = native.call("memory.semantic_search", similar).await;
    assert_eq!(found["hits"].as_array().unwrap().len(), 2);
    let wide = json!({"name": "wide", "embedding_dim": 4_001});
    app.call("project.create", wide).await;
    let embedding = vec![0.5; 4_001];
    let memory = json!({"content": "Too wide.", "project": "wide", "embedding": embedding});
    app.call("memory.remember", memory).await;
    let asked = json!({"query": "wide", "project": "wide", "embedding": embedding});
    let error = native.try_call("memory.recall", asked).await.unwrap_err();
    assert_eq!(error.code(), Code::Unsupported);
    assert!(
        error.message().contains("at most 4000 components"),
        "{error}"
    );
    let by_words = json!({"query": "wide", "project": "wide"});
    assert_eq!(native.contents(by_words).await, ["Too wide."]);
    app.finish().await;
}

/// Tells many memories of which few have what filters ask for.
async fn remember_many(app: &TestApp, count: usize) {
    let memories: Vec<Value> = (0..count)
        .map(|n| {
            let mut memory =
                json!({"content": format!("Reading {n} of the pump in hall {}.", n % 9)});
            if n % 400 == 7 {
                memory["tags"] = json!(["odd"]);
            }
            memory
        })
        .collect();
    for memories in memories.chunks(500) {
        app.call("memory.remember_batch", json!({"memories": memories}))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_narrow_filter_costs_no_hit() {
    let Some(app) = on_postgres().await else {
        return;
    };
    remember_many(&app, 2_400).await;
    let native = Natively::over(&app).await;
    native.fill().await;
    native
        .env
        .db()
        .execute("ANALYZE", params! {})
        .await
        .unwrap();
    for mode in ["semantic", "hybrid", "keyword"] {
        let input = json!({"query": "pump reading", "tags": ["odd"], "limit": 50, "mode": mode});
        assert_eq!(native.recall(input).await.len(), 6, "{mode}");
    }
    let wide = json!({"query": "pump reading", "mode": "semantic", "limit": 1000});
    assert_eq!(native.recall(wide).await.len(), 1000);
    // The nearest by the index are the nearest.
    let asked = |exact: bool| {
        let query = "reading of the pump in hall 3";
        json!({"query": query, "mode": "semantic", "limit": 20, "exact": exact})
    };
    let cosines = |hits: Vec<Value>| -> Vec<f64> {
        hits.iter()
            .map(|hit| hit["semantic"].as_f64().unwrap())
            .collect()
    };
    let (by_index, exact) = (
        cosines(native.recall(asked(false)).await),
        cosines(native.recall(asked(true)).await),
    );
    let as_near = by_index
        .iter()
        .filter(|cosine| **cosine >= exact[19] - 1e-6)
        .count();
    assert!(as_near >= 18, "{as_near} of 20: {by_index:?} {exact:?}");

    // Without iterative scans the index itself finds too few of the few: what the settings are for.
    let found = |scan: &'static str| native.reached_through_index(scan);
    assert!(found("off").await < 6);
    assert_eq!(found("relaxed_order").await, 6);
    app.finish().await;
}

impl Natively<'_> {
    /// Counts the memories with the tag `odd` among the six nearest that an index scan finds, and
    /// makes sure that the index is what is scanned.
    async fn reached_through_index(&self, scan: &'static str) -> i64 {
        let tx = self.env.db().begin(TxOptions::default()).await.unwrap();
        for sql in [
            "SELECT vector_dims('[1]'::vector)".to_owned(),
            format!("SET LOCAL hnsw.iterative_scan = {scan}"),
            "SET LOCAL hnsw.max_scan_tuples = 2147483647".to_owned(),
            "SET LOCAL enable_sort = off".to_owned(),
        ] {
            tx.execute(sql, params! {}).await.unwrap();
        }
        let models = "SELECT id, dim FROM embedding_models";
        let (model, dim): (i64, i64) = tx.fetch_one(models, params! {}).await.unwrap();
        let nearest = format!(
            "SELECT p.memory_id FROM native_passages p JOIN memory_vectors m ON m.id = p.memory_id
             WHERE p.model_id = {model} AND m.tags @> '[\"odd\"]'
             ORDER BY p.v::halfvec({dim}) <=>
                 (SELECT v::halfvec({dim}) FROM native_passages ORDER BY memory_id LIMIT 1)
             LIMIT 6"
        );
        let plan: Vec<Scalar<String>> = tx
            .fetch_all(format!("EXPLAIN {nearest}"), params! {})
            .await
            .unwrap();
        let index = format!("Index Scan using native_passages_hnsw_{model}");
        assert!(
            plan.iter().any(|Scalar(line)| line.contains(&index)),
            "{plan:?}"
        );
        let Scalar(count) = tx
            .fetch_one(
                format!("SELECT count(*) FROM ({nearest}) AS found"),
                params! {},
            )
            .await
            .unwrap();
        tx.rollback().await.unwrap();
        count
    }
}

/// Opens a database of its own on the server, as a role that may do nothing but use it.
async fn as_a_guest(app: &TestApp, name: &str) -> (Database, String) {
    let admin = app.env.db();
    for sql in [
        format!("DROP DATABASE IF EXISTS {name}"),
        format!("DROP ROLE IF EXISTS {name}"),
        format!("CREATE ROLE {name} LOGIN PASSWORD 'guest'"),
        format!("CREATE DATABASE {name} TEMPLATE template0"),
    ] {
        admin.execute_alone(sql).await.unwrap();
    }
    let url = athena_testkit::postgres_url().unwrap();
    let at = url.rfind('/').unwrap();
    let as_admin = format!("{}/{name}", &url[..at]);
    let server = &url[url.find('@').unwrap()..at];
    let owner = Database::open(&as_admin).await.unwrap();
    let grant = format!("GRANT ALL ON SCHEMA public TO {name}");
    owner.execute(grant, params! {}).await.unwrap();
    owner.close().await.unwrap();
    let db = Database::open(&format!("postgres://{name}:guest{server}/{name}"))
        .await
        .unwrap();
    (db, as_admin)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_pgvector_the_way_out_is_named_and_memory_mode_works() {
    let Some(app) = on_postgres().await else {
        return;
    };
    let name = format!("athena_guest_{}", std::process::id());
    let (db, as_admin) = as_a_guest(&app, &name).await;
    for set in [&athena_store::MIGRATIONS, &athena_memory::MIGRATIONS] {
        db.migrations(set).up().await.unwrap();
    }
    let ask = json!({"query": "billing"});
    let memory = app.another_searching(db.clone(), SearchMode::Memory);
    let told = json!({"content": "We chose PostgreSQL for billing."});
    app.registry
        .call("memory.remember", &memory.1, told, None)
        .await
        .unwrap();
    let native = Natively::on(&app, db.clone());
    let error = native
        .try_call("memory.recall", ask.clone())
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), error.field()),
        (Code::Unsupported, Some("search.mode"))
    );
    assert_eq!(
        error.message(),
        "`search.mode` is `native`, and pgvector is not enabled in this database; have a superuser run \
         `CREATE EXTENSION vector` in it, or set `search.mode` to `memory`, which needs nothing"
    );
    let found = app
        .registry
        .call("memory.recall", &memory.1, ask.clone(), None)
        .await
        .unwrap();
    assert_eq!(found["hits"].as_array().unwrap().len(), 1);

    // An administrator follows the advice, which is all it takes.
    let admin = Database::open(&as_admin).await.unwrap();
    admin
        .execute("CREATE EXTENSION vector", params! {})
        .await
        .unwrap();
    native.fill().await;
    assert_eq!(
        native.first("billing").await,
        "We chose PostgreSQL for billing."
    );

    // Takes it away again, with the column that needs it: writing goes on, and so does the memory mode.
    admin
        .execute("DROP EXTENSION vector CASCADE", params! {})
        .await
        .unwrap();
    let told = json!({"content": "Billing runs at night."});
    app.registry
        .call("memory.remember", &memory.1, told, None)
        .await
        .unwrap();
    assert!(native.try_call("memory.recall", ask.clone()).await.is_err());
    let error = native
        .try_call("memory.recall", ask.clone())
        .await
        .unwrap_err();
    assert!(
        error.message().contains("CREATE EXTENSION vector"),
        "{error}"
    );
    let found = app
        .registry
        .call("memory.recall", &memory.1, ask, None)
        .await
        .unwrap();
    assert_eq!(found["hits"].as_array().unwrap().len(), 2);

    // And brings it back, while the work in the background met its absence: everything is filled anew.
    athena_store::flush(&native.env).await;
    admin
        .execute("CREATE EXTENSION vector", params! {})
        .await
        .unwrap();
    native.fill().await;
    assert_eq!(native.contents(json!({"query": "billing"})).await.len(), 2);
    admin.close().await.unwrap();
    db.close().await.unwrap();
    for what in ["DATABASE", "ROLE"] {
        let gone = if what == "DATABASE" {
            " WITH (FORCE)"
        } else {
            ""
        };
        app.env
            .db()
            .execute_alone(format!("DROP {what} {name}{gone}"))
            .await
            .unwrap();
    }
    app.finish().await;
}
