//! What is refused, how it is said, and that nothing is lost by it.

use athena_core::Code;
use athena_testkit::{TestApp, json, story};
use serde_json::Value;

async fn check(app: &TestApp, operation: &str, input: Value, code: Code, field: &str, says: &str) {
    let error = app.refused(operation, input).await;
    assert_eq!(
        (error.code(), error.field()),
        (code, Some(field)),
        "{error}"
    );
    assert!(error.message().contains(says), "{error}");
}

story! {
    /// Empty, too large, NUL, of the wrong kind.
    async fn texts(app: TestApp) {
        let remember = |content: Value| json!({"content": content});
        check(app, "memory.remember", remember(json!("")), Code::InvalidInput, "content", "must not be empty").await;
        check(app, "memory.remember", remember(json!(" \n\t")), Code::InvalidInput, "content", "must not be blank").await;
        check(app, "memory.remember", remember(json!("a\u{0}b")), Code::InvalidInput, "content", "NUL").await;
        check(app, "memory.remember", remember(json!(7)), Code::InvalidInput, "content", "must be a string, not a number").await;
        check(app, "memory.remember", json!({}), Code::InvalidInput, "content", "is required").await;
        let large = "a".repeat(1024 * 1024 + 1);
        check(app, "memory.remember", remember(json!(large)), Code::ContentTooLarge, "content", "1048577 bytes").await;
        check(app, "memory.remember", json!({"content": "x", "tags": ["a\u{0}"]}), Code::InvalidInput, "tags[0]", "NUL").await;
        assert_eq!(app.call("memory.list", json!({})).await["items"], json!([]));
    }

    /// One mebibyte is fine, and so is everything that Unicode has.
    async fn all_that_is_allowed(app: TestApp) {
        let mut large = "needle in ".to_owned();
        large.push_str(&"haystack straw ".repeat(69_905));
        large.truncate(1024 * 1024);
        let id = app.remember(&large).await;
        assert_eq!(app.recall("needle").await, [id]);
        assert_eq!(app.call("memory.get", json!({"id": id})).await["content"].as_str().unwrap().len(), 1024 * 1024);
        for text in ["👩‍👩‍👧‍👦🏳️‍🌈", "שלום עולם", "مرحبا بالعالم", "こんにちは世界", "e\u{301}", "\u{202e}evil", "a\r\nb", "'; DROP TABLE memory_vectors; --"] {
            let id = app.remember(text).await;
            assert_eq!(app.call("memory.get", json!({"id": id})).await["content"], text);
        }
        let greeting = app.call("memory.recall", json!({"query": "世界"})).await;
        assert_eq!(greeting["hits"][0]["content"], "こんにちは世界");
    }

    /// Unknown names say what there is.
    async fn names(app: TestApp) {
        check(app, "memory.remember", json!({"content": "x", "type": "guess"}), Code::InvalidInput, "type", "allowed: `fact`").await;
        check(app, "memory.remember", json!({"content": "x", "project": "nowhere"}), Code::NotFound, "project", "athena project create").await;
        check(app, "memory.remember", json!({"content": "x", "colour": 1}), Code::InvalidInput, "colour", "known: ").await;
        check(app, "memory.list", json!({"state": "asleep"}), Code::InvalidInput, "state", "`unconsolidated`").await;
        check(app, "memory.recall", json!({"query": "x", "mode": "psychic"}), Code::InvalidInput, "mode", "`hybrid`").await;
        check(app, "memory.recall", json!({"query": "x", "limit": 0}), Code::InvalidInput, "limit", "at least 1").await;
        check(app, "memory.recall", json!({"query": "x", "after": "yesterday"}), Code::InvalidInput, "after", "cannot be read").await;
        check(app, "memory.list", json!({"cursor": "zzz"}), Code::InvalidInput, "cursor", "cursor").await;
        check(app, "memory.get", json!({"id": 424_242}), Code::NotFound, "id", "`424242`").await;
        check(app, "memory.get", json!({"id": "1"}), Code::InvalidInput, "id", "an integer").await;
        check(app, "project.create", json!({"name": "  "}), Code::InvalidInput, "name", "blank").await;
    }

    /// Vectors of the wrong width, or with components that are no numbers.
    async fn vectors(app: TestApp) {
        let with = |embedding: Value| json!({"content": "x", "embedding": embedding});
        check(app, "memory.remember", with(json!([0.1, 0.2])), Code::EmbeddingMismatch, "embedding", "768").await;
        check(app, "memory.remember", with(json!([])), Code::InvalidInput, "embedding", "at least 1").await;
        check(app, "memory.remember", with(json!(["NaN"])), Code::InvalidInput, "embedding[0]", "number").await;
        let mut huge = vec![json!(0.1); 768];
        huge[5] = json!(1e300);
        check(app, "memory.remember", with(json!(huge)), Code::InvalidInput, "embedding[5]", "finite").await;
        check(app, "memory.remember", with(json!(vec![0.0; 768])), Code::EmbeddingMismatch, "embedding", "zero").await;
        let ask = json!({"query": "x", "embedding": [1.0]});
        let tiny: Vec<f32> = (0_i16..768).map(|at| f32::from(at - 300) * 1e-42).collect();
        let id = app.call("memory.remember", with(json!(tiny))).await["id"].clone();
        let found = app.call("memory.semantic_search", json!({"embedding": tiny})).await;
        assert_eq!(found["hits"][0]["id"], id, "denormal numbers have a direction");
        assert!(found["hits"][0]["semantic_similarity"].as_f64().unwrap() > 0.99);
        let zero = json!({"query": "x", "embedding": vec![0.0; 768]});
        check(app, "memory.recall", zero, Code::EmbeddingMismatch, "embedding", "zero").await;
        let endless = json!({"query": "word ".repeat(1_000_000)});
        check(app, "memory.recall", endless, Code::InvalidInput, "query", "10000").await;
        app.remember("something to look at").await;
        check(app, "memory.recall", ask, Code::EmbeddingMismatch, "embedding", "768").await;
    }

    /// One bad item refuses the batch, and says which it is.
    async fn batches(app: TestApp) {
        let batch = json!({"memories": [{"content": "fine"}, {"content": "x", "confidence": 1.5}]});
        check(app, "memory.remember_batch", batch, Code::InvalidInput, "memories[1].confidence", "at most 1").await;
        let batch = json!({"memories": [{"content": "fine"}, {"content": "x", "embedding": [1.0]}]});
        check(app, "memory.remember_batch", batch, Code::EmbeddingMismatch, "memories[1].embedding", "768").await;
        assert_eq!(app.call("memory.list", json!({})).await["items"], json!([]));
    }
}
