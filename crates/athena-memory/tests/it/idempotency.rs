//! A request with a key is performed once.

use athena_core::Code;
use athena_testkit::{TestApp, json, story};
use serde_json::Value;

async fn with_key(app: &TestApp, key: &str, content: &str) -> Result<Value, athena_core::Error> {
    let input = json!({"content": content});
    app.registry
        .call("memory.remember", &app.ctx, input, Some(key.to_owned()))
        .await
}

story! {
    /// The same request answers the same, another one with the same key is refused.
    async fn once(app: TestApp) {
        let first = with_key(app, "k1", "told once").await.unwrap();
        let again = with_key(app, "k1", "told once").await.unwrap();
        assert_eq!(first, again);
        assert_eq!(again["duplicate"], false, "it is the first answer, not a new look");
        let error = with_key(app, "k1", "told otherwise").await.unwrap_err();
        assert_eq!(error.code(), Code::IdempotencyMismatch);
        with_key(app, "k2", "told otherwise").await.unwrap();
    }

    /// A request that failed left nothing behind, its key included.
    async fn a_failure_keeps_no_key(app: TestApp) {
        assert!(with_key(app, "k1", " ").await.is_err());
        with_key(app, "k1", "now it is right").await.unwrap();
    }

    /// A day later the key is free.
    async fn keys_expire(app: TestApp) {
        with_key(app, "k1", "today").await.unwrap();
        app.clock.advance(24 * 3_600 + 1);
        with_key(app, "k1", "tomorrow").await.unwrap();
    }

    /// A repeated change answers what the first did, though it could not be made again.
    async fn changes_too(app: TestApp) {
        let id = app.remember("The limit is 10").await;
        app.call("project.create", json!({"name": "short-lived"})).await;
        let update = json!({"id": id, "content": "The limit is 20", "expected_version": 1});
        for (operation, input) in
            [("memory.update", update), ("project.delete", json!({"name": "short-lived"}))]
        {
            let call = || app.registry.call(operation, &app.ctx, input.clone(), Some(operation.to_owned()));
            let first = call().await.unwrap();
            assert_eq!(call().await.unwrap(), first, "{operation}");
        }
    }

    /// Sixteen at once are one.
    async fn at_once(app: TestApp) {
        let calls = (0..16).map(|_| with_key(app, "race", "told by all"));
        let answers = futures_util::future::join_all(calls).await;
        let answers: Vec<Value> = answers.into_iter().map(Result::unwrap).collect();
        assert!(answers.iter().all(|answer| answer == &answers[0]));
    }
}
