//! The scenarios of founding document 004, as far as they are about projects and memories, with
//! assertions that its authors' tests lacked.

use athena_core::Code;
use athena_db::{Dialect, Executor, Scalar, TxOptions, params};
use athena_testkit::{TestApp, json, story};

/// A 768-wide vector: all components the same, as in the founding document.
fn parallel() -> Vec<f32> {
    vec![0.1; 768]
}

/// A 768-wide unit vector along one axis.
fn axis(index: usize) -> Vec<f32> {
    let mut vector = vec![0.0; 768];
    vector[index] = 1.0;
    vector
}

async fn store(app: &TestApp, content: &str, embedding: Vec<f32>) -> i64 {
    let input = json!({
        "content": content, "type": "fact", "domain": "memory", "tags": ["test", "vector"],
        "embedding": embedding,
    });
    app.call("memory.remember", input).await["id"]
        .as_i64()
        .unwrap()
}

story! {
    /// 1: initialising twice is harmless.
    async fn s01_initialise(app: TestApp) {
        for set in [&athena_store::MIGRATIONS, &athena_memory::MIGRATIONS] {
            let applied = app.env.db().migrations(set).up().await.unwrap();
            assert!(applied.versions.is_empty(), "nothing is left to do");
        }
        assert_eq!(app.call("project.list", json!({})).await["items"], json!([]));
    }

    /// 2: a borrowed connection answers.
    async fn s02_connection(app: TestApp) {
        let tx = app.env.db().begin(TxOptions::read_only()).await.unwrap();
        let Scalar(one): Scalar<i64> = tx.fetch_one("SELECT 1", params! {}).await.unwrap();
        assert_eq!(one, 1);
        tx.rollback().await.unwrap();
    }

    /// 3: the tables of projects and memories have the names that the document gives them.
    async fn s03_schema(app: TestApp) {
        let tables = app.env.db().schema().table_names().await.unwrap();
        let wanted = [
            "projects", "memory_vectors", "memory_relationships", "episodic_events", "prospective_goals",
            "prospective_tasks",
        ];
        for table in wanted {
            assert!(tables.iter().any(|name| name == table), "{table} is missing from {tables:?}");
        }
        for later in ["code_metadata", "code_dependencies", "planning_decisions", "planning_scenarios"] {
            assert!(!tables.iter().any(|name| name == later), "{later} has no use yet");
        }
    }

    /// 4 and 5: a project is created, and found by its path; a second one of that name is refused.
    async fn s04_s05_projects(app: TestApp) {
        let input = json!({"name": "test_project", "path": "/test/path", "language": "python"});
        let project = app.call("project.create", input.clone()).await;
        assert!(project["id"].is_i64());
        assert_eq!((&project["name"], &project["path"]), (&json!("test_project"), &json!("/test/path")));
        assert_eq!(project["embedding_dim"], 768);

        let found = app.call("project.get_by_path", json!({"path": "/test/path"})).await;
        assert_eq!(found, project);

        let error = app.refused("project.create", input).await;
        assert_eq!((error.code(), error.field()), (Code::Conflict, Some("name")));
        let error = app.refused("project.create", json!({"name": "other", "path": "/test/path"})).await;
        assert_eq!((error.code(), error.field()), (Code::Conflict, Some("path")));
        let again = app.call("project.create", json!({"name": "test_project", "get_or_create": true})).await;
        assert_eq!(again["id"], project["id"]);
    }

    /// 6: use is noted, and the project is found afterwards.
    async fn s06_access(app: TestApp) {
        let before = app.call("project.create", json!({"name": "used"})).await;
        app.clock.advance(60);
        app.call("project.update_access", json!({"name": "used"})).await;
        let after = app.call("project.get", json!({"name": "used"})).await;
        assert!(after["last_accessed"].as_str() > before["last_accessed"].as_str());
        assert_eq!(after["created_at"], before["created_at"]);
    }

    /// 7 and 8: a memory with a vector is stored, and comes back as it went in.
    async fn s07_s08_store_and_get(app: TestApp) {
        let id = store(app, "Test memory content", parallel()).await;
        let memory = app.call("memory.get", json!({"id": id})).await;
        assert_eq!(memory["id"], id);
        assert_eq!(memory["content"], "Test memory content");
        assert_eq!(memory["type"], "fact");
        assert_eq!(memory["domain"], "memory");
        assert_eq!(memory["tags"], json!(["test", "vector"]));
        assert_eq!(memory["quality"], 0.3, "a new memory is as sure as it says and was never used");
    }

    /// 9: a deleted memory is gone from recall, and purged from everything; deleting nothing says so.
    async fn s09_delete(app: TestApp) {
        let id = store(app, "To be deleted", parallel()).await;
        let forgotten = app.call("memory.forget", json!({"id": id})).await;
        assert!(forgotten["forgotten_at"].is_string());
        assert!(app.recall("deleted").await.is_empty());
        let receipt = app.call("memory.purge", json!({"id": id})).await;
        assert_eq!(receipt["versions"], 1);
        assert_eq!(app.refused("memory.get", json!({"id": id})).await.code(), Code::NotFound);
        assert_eq!(app.refused("memory.forget", json!({"id": id})).await.code(), Code::NotFound);
    }

    /// 10: one use counts as one; reading does not count.
    async fn s10_access_stats(app: TestApp) {
        let id = store(app, "Access test", parallel()).await;
        let stats = app.call("memory.update_access_stats", json!({"id": id})).await;
        assert_eq!(stats["access_count"], 1);
        for _ in 0..3 {
            app.call("memory.get", json!({"id": id})).await;
        }
        let memory = app.call("memory.get", json!({"id": id})).await;
        assert_eq!(memory["access_count"], 1);
        assert_eq!(memory["last_accessed"], memory["last_retrieved_at"]);
        assert!((memory["quality"].as_f64().unwrap() - 0.302).abs() < 1e-12);
    }

    /// 11: semantic search finds by vector alone, the nearest first.
    async fn s11_semantic_search(app: TestApp) {
        for index in 0..5 {
            store(app, &format!("Memory {index}"), axis(index)).await;
        }
        let mut question = axis(3);
        question[1] = 0.5;
        let input = json!({"embedding": question, "limit": 5, "threshold": 0.0});
        let found = app.call("memory.semantic_search", input).await;
        let hits = found["hits"].as_array().unwrap();
        assert_eq!(hits[0]["content"], "Memory 3");
        assert_eq!(hits[1]["content"], "Memory 1");
        assert!(hits.iter().all(|hit| hit["semantic_similarity"].as_f64().unwrap() >= 0.0));
        let input = json!({"embedding": question, "limit": 5, "threshold": 0.8});
        let found = app.call("memory.semantic_search", input).await;
        assert_eq!(found["hits"].as_array().unwrap().len(), 1, "only one is that near");
    }

    /// 12: hybrid search does not leave new memories out, and words decide between equal vectors.
    async fn s12_hybrid_search(app: TestApp) {
        for content in [
            "Database optimization strategies",
            "Query techniques for large tables",
            "Machine learning optimization techniques",
            "Cooking pasta at home",
        ] {
            store(app, content, parallel()).await;
        }
        let input = json!({
            "query_text": "optimization techniques", "embedding": parallel(), "limit": 5,
            "semantic_weight": 0.7, "keyword_weight": 0.3,
        });
        let found = app.call("memory.hybrid_search", input).await;
        let hits = found["hits"].as_array().unwrap();
        assert_eq!(hits[0]["content"], "Machine learning optimization techniques");
        for hit in hits {
            assert!(hit["hybrid_score"].is_f64() && hit["keyword_rank"].is_f64());
            assert!((hit["semantic_similarity"].as_f64().unwrap() - 1.0).abs() < 1e-3);
        }
    }

    /// 13: the states of consolidation, and what they refuse.
    async fn s13_states(app: TestApp) {
        let id = store(app, "Consolidation test", parallel()).await;
        let state = |state| json!({"id": id, "state": state});
        let memory = app.call("memory.get", json!({"id": id})).await;
        assert_eq!(memory["state"], "unconsolidated");
        let error = app.refused("memory.update_consolidation_state", state("consolidated")).await;
        assert_eq!(error.code(), Code::InvalidState);
        app.call("memory.update_consolidation_state", state("consolidating")).await;
        let changed = app.call("memory.update_consolidation_state", state("consolidated")).await;
        assert_eq!(changed["from"], "consolidating");
        assert!(changed["consolidated_at"].is_string());
        let error = app.refused("memory.update_consolidation_state", state("superseded")).await;
        assert_eq!(error.code(), Code::InvalidState);
        let memory = app.call("memory.get", json!({"id": id})).await;
        assert_eq!(memory["state"], "consolidated");
        assert_eq!(memory["created_at"], "2026-03-01T12:00:00Z");
    }

    /// 14: a labile memory is in the window once it was retrieved, and leaves it with time.
    async fn s14_reconsolidation_window(app: TestApp) {
        let id = store(app, "Labile memory test", parallel()).await;
        app.call("memory.update_consolidation_state", json!({"id": id, "state": "labile"})).await;
        let window = json!({"window_minutes": 60});
        let listed = app.call("memory.reconsolidation_window", window.clone()).await;
        assert_eq!(listed["memories"], json!([]), "never retrieved");

        assert_eq!(app.recall("labile memory").await, [id]);
        athena_store::flush(&app.env).await;
        app.clock.advance(90);
        let listed = app.call("memory.reconsolidation_window", window.clone()).await;
        assert_eq!(listed["memories"][0]["memory"]["id"], id);
        assert_eq!(listed["memories"][0]["seconds_since_retrieval"], 90);

        app.clock.advance(3_600);
        let listed = app.call("memory.reconsolidation_window", window).await;
        assert_eq!(listed["memories"], json!([]), "the window has passed");
    }

    /// 17: an event with a time in milliseconds is stored, and comes back as it went in.
    async fn s17_event(app: TestApp) {
        let event = json!({
            "content": "Learned about async/await", "event_type": "learning", "outcome": "success", "session": "session_001",
            "timestamp": 1_762_900_000_000_i64, "context_cwd": "/project", "learned": "Concurrency patterns", "confidence": 0.9,
        });
        let id = app.call("event.record", event).await["id"].clone();
        assert!(id.is_i64());
        let kept = app.call("event.get", json!({"id": id})).await;
        assert_eq!((&kept["event_type"], &kept["context_cwd"]), (&json!("learning"), &json!("/project")));
        assert_eq!((&kept["learned"], &kept["confidence"]), (&json!("Concurrency patterns"), &json!(0.9)));
        assert_eq!(kept["occurred_at"], "2025-11-11T22:26:40Z");
    }

    /// 15 and 16: a task and a goal are made with a priority, and have ids.
    async fn s15_s16_tasks_and_goals(app: TestApp) {
        let task = json!({"title": "Test task", "description": "Do it", "priority": 8, "status": "pending"});
        let task = app.call("task.create", task).await;
        assert!(task["id"].is_i64());
        assert_eq!((&task["priority"], &task["status"]), (&json!(8), &json!("pending")));
        let goal = app.call("goal.create", json!({"name": "Test goal", "priority": 9})).await;
        assert!(goal["id"].is_i64());
        assert_eq!((&goal["priority"], &goal["status"]), (&json!(9), &json!("active")));
    }

    /// 19: what happens in a transaction happens as a whole, or not at all.
    async fn s19_transaction(app: TestApp) {
        let good = json!({"content": "first of two"});
        let blank = json!({"content": "   "});
        let error = app.refused("memory.remember_batch", json!({"memories": [good, blank]})).await;
        assert_eq!(error.field(), Some("memories[1].content"));
        assert!(app.recall("first of two").await.is_empty(), "nothing of the batch stays");
        let batch = json!({"memories": [good, {"content": "second of two"}]});
        let stored = app.call("memory.remember_batch", batch).await;
        assert_eq!(stored["stored"], 2);
        assert_eq!(app.recall("two").await.len(), 2);
    }

    /// 20: a project that does not exist is an answer of its own.
    async fn s20_missing_project(app: TestApp) {
        let error = app.refused("project.get_by_path", json!({"path": "/nonexistent/path"})).await;
        assert_eq!(error.code(), Code::NotFound);
        let error = app.refused("project.get", json!({"name": "nowhere"})).await;
        assert_eq!((error.code(), error.field()), (Code::NotFound, Some("project")));
    }

    /// 21: the backend says which it is.
    async fn s21_backends(app: TestApp) {
        let health = app.env.db().ping().await.unwrap();
        let product = match app.env.db().dialect() {
            Dialect::Sqlite => "SQLite ",
            Dialect::Postgres => "PostgreSQL ",
            Dialect::MySql => "MariaDB ",
        };
        assert!(health.version.starts_with(product), "{}", health.version);
    }
}
