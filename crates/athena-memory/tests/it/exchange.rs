//! Moving between stores without loss.

use athena_testkit::{TestApp, TestStore, json, story};
use serde_json::Value;

async fn export(app: &TestApp) -> Vec<Value> {
    let mut records = Vec::new();
    let mut input = json!({"limit": 3});
    loop {
        let page = app.call("memory.export", input.clone()).await;
        records.extend(page["items"].as_array().unwrap().iter().cloned());
        match page.get("next_cursor") {
            Some(cursor) => input["cursor"] = cursor.clone(),
            None => return records,
        }
    }
}

story! {
    /// Everything comes back: versions, forgotten ones, vectors, relations, times.
    async fn a_round_trip_loses_nothing(app: TestApp) {
        let full = json!({
            "content": "Alles über die Datenbank", "type": "decision", "tags": ["a", "b,c", "ü"], "session": "s",
            "speaker": "Ada", "role": "user", "occurred_at": "2025-12-31T23:59:59.123456Z", "domain": "planning",
            "metadata": {"nested": {"null": null, "list": [1, 2.5, "three"]}, "0000000000000123": "0000123"},
            "caption": "a chart", "position": 7, "source": "import", "agent": "bot", "external_id": "D1:3",
            "confidence": 0.25, "trust": 0.5, "valid_from": "2025-01-01T00:00:00Z", "valid_until": "2027-01-01T00:00:00Z",
            "expires_at": "2030-01-01T00:00:00Z", "content_type": "markdown", "event_type": "chat",
            "code_language": "rust", "code_hash": "abc", "embedding": vec![0.5; 768],
        });
        let first = app.call("memory.remember", full).await["id"].as_i64().unwrap();
        let second = app.call("memory.update", json!({"id": first, "content": "Neu", "reason": "weil"})).await;
        let other = app.remember("Something else").await;
        app.call("memory.relate", json!({"id": second["id"], "to": other, "relation": "explains", "strength": 0.25})).await;
        let gone = app.remember("Forgotten but kept").await;
        app.call("memory.forget", json!({"id": gone, "reason": "old"})).await;
        app.call("memory.update_access_stats", json!({"id": other})).await;

        let records = export(app).await;
        assert_eq!(records.len(), 4);
        let copy = TestApp::on(TestStore::sqlite().await).await;
        copy.clock.advance(1_000);
        let imported = copy.call("memory.import", json!({"memories": records})).await;
        assert_eq!((&imported["imported"], &imported["skipped"]), (&json!(4), &json!(0)));
        assert_eq!(export(&copy).await, records);
        let again = copy.call("memory.import", json!({"memories": records})).await;
        assert_eq!((&again["imported"], &again["skipped"]), (&json!(0), &json!(4)));

        let question = json!({"query": "Neu", "explain": true});
        let (here, there) = (app.call("memory.recall", question.clone()).await, copy.call("memory.recall", question).await);
        assert_eq!(here["hits"][0]["uid"], there["hits"][0]["uid"]);
        assert_eq!(here["hits"][0]["score"], there["hits"][0]["score"]);
        copy.finish().await;
    }

    /// Links between two calls are made when the second one names the records again.
    async fn links_may_point_forwards(app: TestApp) {
        let uid = |n: u8| format!("01900000-0000-7000-8000-00000000000{n}");
        let old = json!({
            "uid": uid(1), "content": "old words", "superseded_by": uid(2),
            "relations": [{"to": uid(2), "relation": "precedes", "strength": 1.0}],
        });
        let new = json!({"uid": uid(2), "lineage": uid(1), "version": 2, "content": "new words"});
        app.call("memory.import", json!({"memories": [old]})).await;
        app.call("memory.import", json!({"memories": [new]})).await;
        let again = app.call("memory.import", json!({"memories": [old, new]})).await;
        assert_eq!((&again["imported"], &again["skipped"]), (&json!(0), &json!(2)));
        let id = app.recall("new words").await[0];
        let history = app.call("memory.history", json!({"id": id})).await;
        assert_eq!(history["items"][0]["superseded_by"], id);
        let relations = app.call("memory.relations", json!({"id": id})).await;
        assert_eq!(relations["items"].as_array().unwrap().len(), 1);
    }

    /// A version whose successor never comes is current, and not lost from view.
    async fn an_orphan_is_current(app: TestApp) {
        let old = json!({
            "content": "the lonely version", "superseded_by": "01900000-0000-7000-8000-000000000009",
        });
        app.call("memory.import", json!({"memories": [old]})).await;
        assert_eq!(app.recall("lonely version").await.len(), 1);
    }

    /// A project can be taken from its export again after it was deleted, and another project may
    /// hold the same records without either seeing the other's.
    async fn records_belong_to_their_project(app: TestApp) {
        let id = app.remember("The well is deep").await;
        app.call("memory.update", json!({"id": id, "content": "The well is dry"})).await;
        let records = export(app).await;
        app.call("project.create", json!({"name": "copy"})).await;
        let import = |project: &str| json!({"memories": records, "project": project});
        assert_eq!(app.call("memory.import", import("copy")).await["imported"], 2);
        let copied = app.call("memory.recall", json!({"query": "well", "project": "copy"})).await;
        app.call("memory.purge", json!({"id": copied["hits"][0]["id"]})).await;
        assert_eq!(app.recall("well dry").await.len(), 1, "the original stays");
        app.call("project.delete", json!({"name": "test"})).await;
        app.call("project.create", json!({"name": "test"})).await;
        assert_eq!(app.call("memory.import", import("test")).await["imported"], 2);
        assert_eq!(app.recall("well dry").await.len(), 1);
    }

    /// A record needs nothing but a text.
    async fn a_bare_record(app: TestApp) {
        app.call("memory.import", json!({"memories": [{"content": "only this"}]})).await;
        assert_eq!(app.recall("only this").await.len(), 1);
    }
}
