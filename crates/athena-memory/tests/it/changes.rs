//! Following what changes.

use athena_core::Ctx;
use athena_testkit::{TestApp, json, story};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

async fn after(app: &TestApp, seq: i64) -> Value {
    app.call("change.list", json!({"after": seq})).await
}

/// Returns what each item of an answer is about: its number, kind, id and operation.
fn told(changes: &Value) -> Vec<(i64, String, i64, String)> {
    let items = changes["items"].as_array().unwrap().iter();
    items
        .map(|item| {
            (
                item["seq"].as_i64().unwrap(),
                item["kind"].as_str().unwrap().to_owned(),
                item["id"].as_i64().unwrap(),
                item["operation"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

story! {
    /// Every change of a memory is told once, with who made it how, and never what it says.
    async fn changes_are_told_in_order(app: TestApp) {
        assert_eq!(after(app, 0).await, json!({"items": [], "after": 0, "last": 0, "missed": false}));
        let first = app.remember("The API listens on port 8080").await;
        app.remember("The API listens on port 8080").await;
        let second = app.call("memory.update", json!({"id": first, "content": "It listens on 9090"})).await["id"].as_i64().unwrap();
        app.call("memory.forget", json!({"id": second})).await;
        let changes = after(app, 0).await;
        let memory = |seq, id, operation: &str| (seq, "memory".to_owned(), id, operation.to_owned());
        assert_eq!(told(&changes), [
            memory(1, first, "memory.remember"),
            memory(2, first, "memory.update"),
            memory(3, second, "memory.update"),
            memory(4, second, "memory.forget"),
        ]);
        assert_eq!((&changes["after"], &changes["last"]), (&json!(4), &json!(4)));
        assert!(changes["items"].as_array().unwrap().iter().all(|item| item["principal"] == "test"));
        assert!(!changes.to_string().contains("9090"), "{changes}");
        // From where a follower stands, a page at a time.
        let page = app.call("change.list", json!({"after": 1, "limit": 2})).await;
        assert_eq!((told(&page).len(), &page["after"], &page["last"]), (2, &json!(3), &json!(4)));
        assert_eq!(told(&after(app, 4).await), []);
    }

    /// What Athena does by itself changes nothing that others look at.
    async fn own_work_is_not_told(app: TestApp) {
        let id = app.remember("Deploys happen on Thursdays").await;
        let last = after(app, 0).await["last"].clone();
        app.recall("deploys").await;
        app.call("memory.update_access_stats", json!({"id": id})).await;
        athena_store::flush(&app.env).await;
        assert_eq!(after(app, 0).await["last"], last);
    }

    /// A call that waits answers as soon as another process has committed.
    async fn a_change_ends_the_wait(app: TestApp) {
        let (_other, ctx) = app.another().await;
        let registry = Arc::clone(&app.registry);
        let told = tokio::spawn(async move {
            let wait = json!({"after": 0, "wait_seconds": 30});
            registry.call("change.list", &ctx, wait, None).await.unwrap()
        });
        tokio::task::yield_now().await;
        app.remember("Somebody has said something").await;
        assert_eq!(told.await.unwrap()["items"].as_array().unwrap().len(), 1);
    }

    /// Writers in several processes, and a follower that misses nothing and sees nothing twice.
    async fn a_follower_misses_nothing(app: TestApp) {
        let mut writers = Vec::new();
        for writer in 0..4 {
            let (_env, ctx) = app.another().await;
            let registry = Arc::clone(&app.registry);
            writers.push(tokio::spawn(async move { tell(&registry, &ctx, writer).await }));
        }
        let (mut seen, mut at) = (Vec::new(), 0);
        while seen.len() < 100 {
            let changes = app.call("change.list", json!({"after": at, "limit": 7, "wait_seconds": 30})).await;
            assert_eq!(changes["missed"], false);
            seen.extend(told(&changes));
            at = changes["after"].as_i64().unwrap();
        }
        for writer in writers {
            writer.await.unwrap();
        }
        let numbers: Vec<i64> = seen.iter().map(|change| change.0).collect();
        assert_eq!(numbers, (1..=100).collect::<Vec<_>>());
        let items: BTreeSet<i64> = seen.iter().map(|change| change.2).collect();
        assert_eq!(items.len(), 100);
    }

    /// Beyond the last number the store went back to a backup: who follows is told to read anew, and goes
    /// on from there. Bad numbers are refused by name.
    async fn bad_numbers(app: TestApp) {
        app.remember("One thing").await;
        assert_eq!(after(app, 900).await, json!({"items": [], "after": 1, "last": 1, "missed": true}));
        for (field, value) in [("after", json!(-1)), ("limit", json!(0)), ("wait_seconds", json!(31)), ("after", json!("x"))] {
            let error = app.refused("change.list", json!({field: value})).await;
            assert_eq!(error.field(), Some(field));
        }
    }
}

async fn tell(registry: &athena_core::Registry, ctx: &Ctx, writer: usize) {
    for number in 0..25 {
        let text = json!({"content": format!("Writer {writer} says {number}")});
        registry
            .call("memory.remember", ctx, text, None)
            .await
            .unwrap();
    }
}
