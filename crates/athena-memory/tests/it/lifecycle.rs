//! A memory from its first telling to its purge.

use athena_core::Code;
use athena_testkit::{json, logged_records, story};

story! {
    /// Telling the same thing twice stores it once; in another session, at another time or by
    /// another speaker it is another thing.
    async fn the_same_is_stored_once(app: TestApp) {
        let told = json!({"content": "We deploy on Fridays", "session": "s1", "occurred_at": "2026-02-01T09:00:00Z"});
        let first = app.call("memory.remember", told.clone()).await;
        assert_eq!(first["duplicate"], false);
        let again = app.call("memory.remember", told.clone()).await;
        assert_eq!((&again["id"], &again["uid"], &again["duplicate"]), (&first["id"], &first["uid"], &json!(true)));
        for (field, value) in [
            ("session", json!("s2")),
            ("occurred_at", json!("2026-02-02T09:00:00Z")),
            ("speaker", json!("Ada")),
            ("type", json!("decision")),
        ] {
            let mut other = told.clone();
            other[field] = value;
            assert_eq!(app.call("memory.remember", other).await["duplicate"], false, "{field}");
        }
    }

    /// What was forgotten can be told anew.
    async fn a_forgotten_one_does_not_block(app: TestApp) {
        let first = app.remember("The staging server is called bertha").await;
        app.call("memory.forget", json!({"id": first, "reason": "renamed"})).await;
        let second = app.remember("The staging server is called bertha").await;
        assert_ne!(first, second);
        assert_eq!(app.recall("staging server").await, [second]);
        let error = app.refused("memory.restore", json!({"id": first})).await;
        assert_eq!(error.code(), Code::Conflict);
    }

    /// An update makes a version; the old one stays in the history and out of recall.
    async fn updates_make_versions(app: TestApp) {
        let first = app.remember("The API listens on port 8080").await;
        let update = json!({"id": first, "content": "The API listens on port 9090", "reason": "moved", "confidence": 0.5});
        let second = app.call("memory.update", update).await;
        assert_eq!((&second["version"], &second["replaced"]), (&json!(2), &json!(first)));
        assert_eq!(app.recall("API port").await, [second["id"].as_i64().unwrap()]);

        let history = app.call("memory.history", json!({"id": first})).await;
        let history = history["items"].as_array().unwrap();
        assert_eq!(history.len(), 2);
        assert_eq!(history[0]["content"], "The API listens on port 8080");
        assert_eq!(history[0]["state"], "superseded");
        assert_eq!(history[1]["update_reason"], "moved");
        assert_eq!(history[0]["superseded_by"], second["id"]);
        assert_eq!(history[0]["lineage"], history[1]["lineage"]);

        let error = app.refused("memory.update", json!({"id": first, "content": "x"})).await;
        assert_eq!(error.code(), Code::InvalidState);
        assert!(error.message().contains(&second["id"].to_string()), "it names the current version");
        let superseded = app.call("memory.recall", json!({"query": "API port", "state": ["superseded"]})).await;
        assert_eq!(superseded["hits"][0]["id"], first);
    }

    /// What was replaced was not forgotten, so it cannot be restored; its text comes back by the way
    /// that the error names.
    async fn what_was_replaced_is_not_restored(app: TestApp) {
        let first = app.remember("The API listens on port 8080").await;
        assert_eq!(app.call("memory.restore", json!({"id": first})).await["id"], first);
        let second = json!({"content": "The API listens on port 9090", "replaces": [first]});
        let second = app.call("memory.remember", second).await["id"].clone();
        let error = app.refused("memory.restore", json!({"id": first})).await;
        assert_eq!((error.code(), error.field()), (Code::InvalidState, Some("id")));
        let says = format!("memory `{first}` was not forgotten: it was replaced by `{second}`; ");
        assert!(error.message().starts_with(&says), "{error}");
        let back = json!({"id": second, "content": "The API listens on port 8080"});
        let back = app.call("memory.update", back).await["id"].as_i64().unwrap();
        assert_eq!(app.recall("API port").await, [back]);
    }

    /// Of two writers who read the same version, one wins and the other is told.
    async fn an_expected_version_is_kept_to(app: TestApp) {
        let id = app.remember("The limit is 10").await;
        let update = |content: &str| json!({"id": id, "content": content, "expected_version": 1});
        let (one, two) = tokio::join!(
            app.try_call("memory.update", update("The limit is 20")),
            app.try_call("memory.update", update("The limit is 30")),
        );
        assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1);
        let loser = one.err().or(two.err()).unwrap();
        assert_eq!(loser.code(), Code::PreconditionFailed);
        let error = app.refused("memory.update", json!({"id": id, "expected_version": 7, "content": "x"})).await;
        assert_eq!(error.code(), Code::PreconditionFailed);
    }

    /// Many who tell the same at once store it once, and none is refused.
    async fn the_same_told_at_once(app: TestApp) {
        let tell = || app.call("memory.remember", json!({"content": "Everybody saw the outage"}));
        let told = futures_util::future::join_all((0..16).map(|_| tell())).await;
        assert!(told.iter().all(|answer| answer["id"] == told[0]["id"]));
        assert_eq!(told.iter().filter(|answer| answer["duplicate"] == false).count(), 1);
        let votes = (0..8).map(|vote| {
            app.call("memory.feedback", json!({"id": told[0]["id"], "useful": vote % 4 != 0}))
        });
        futures_util::future::join_all(votes).await;
        let memory = app.call("memory.get", json!({"id": told[0]["id"]})).await;
        assert_eq!(memory["usefulness"], 0.75);
    }

    /// Updating to what another memory says already is refused, and names that one.
    async fn an_update_does_not_make_duplicates(app: TestApp) {
        let kept = app.remember("Tea is at four").await;
        let other = app.remember("Tea is at five").await;
        let error = app.refused("memory.update", json!({"id": other, "content": "Tea is at four"})).await;
        assert_eq!(error.code(), Code::Conflict);
        assert!(error.message().contains(&format!("`{kept}`")));
        assert_eq!(app.recall("tea five").await.len(), 2, "nothing changed");
    }

    /// Forgetting and restoring, again and again.
    async fn forgetting_can_be_undone(app: TestApp) {
        let id = app.remember("The password policy wants 14 characters").await;
        for _ in 0..3 {
            app.call("memory.forget", json!({"id": id})).await;
            assert!(app.recall("password policy").await.is_empty());
            assert_eq!(app.refused("memory.get", json!({"id": id})).await.code(), Code::NotFound);
            assert_eq!(app.call("memory.list", json!({})).await["items"], json!([]));
            assert_eq!(app.call("memory.list", json!({"forgotten": true})).await["items"][0]["id"], id);
            let restored = app.call("memory.restore", json!({"id": id})).await;
            assert_eq!(restored["forgotten_at"], json!(null));
            assert_eq!(app.recall("password policy").await, [id]);
        }
    }

    /// A purge takes every version, what hangs on it and every trace in the search tables.
    async fn a_purge_leaves_nothing(app: TestApp) {
        let first = app.remember("Zanzibar is the code name of the merger").await;
        let second = app.call("memory.update", json!({"id": first, "content": "Zanzibar was cancelled"})).await;
        let other = app.remember("Unrelated: the printer is on floor two").await;
        app.call("memory.relate", json!({"id": second["id"], "to": other, "relation": "mentions"})).await;
        app.call("memory.feedback", json!({"id": second["id"], "useful": true})).await;

        let receipt = app.call("memory.purge", json!({"id": first})).await;
        assert_eq!(receipt["versions"], 2);
        assert_eq!(receipt["vectors"], 2);
        assert_eq!(receipt["relations"], 1);
        assert_eq!(receipt["feedback"], 1);
        assert!(receipt["search_records"].as_u64().unwrap() >= 2);
        assert!(!receipt["owed"].as_array().unwrap().is_empty());
        assert!(app.recall("Zanzibar").await.is_empty());
        assert_eq!(app.recall("printer floor").await, [other]);

        let records = format!("{:?}", logged_records(app.env.db()).await).to_lowercase();
        assert!(!records.contains("zanzibar"), "a word of a purged memory is still in the search log");
        if let Some(folder) = app.store.folder() {
            for file in std::fs::read_dir(folder).unwrap() {
                let bytes = std::fs::read(file.unwrap().path()).unwrap();
                assert!(!bytes.windows(8).any(|window| window.eq_ignore_ascii_case(b"zanzibar")), "in a file");
            }
        }
    }

    /// The id of a purged memory is never given out again.
    async fn ids_are_not_reused(app: TestApp) {
        let first = app.remember("Gone for good").await;
        app.call("memory.purge", json!({"id": first})).await;
        assert_ne!(app.remember("Something else").await, first);
    }

    /// Two memories are related once in each way, whatever the order of calls.
    async fn relations(app: TestApp) {
        let (one, two) = (app.remember("Cause").await, app.remember("Effect").await);
        let relate = |strength| json!({"id": one, "to": two, "relation": "causes", "strength": strength});
        let first = app.call("memory.relate", relate(0.5)).await;
        let again = app.call("memory.relate", relate(0.9)).await;
        assert_eq!(first["id"], again["id"]);
        let listed = app.call("memory.relations", json!({"id": two})).await;
        assert_eq!(listed["items"], json!([{"from": one, "to": two, "relation": "causes", "strength": 0.9}]));
        let error = app.refused("memory.relate", json!({"id": one, "to": one, "relation": "is"})).await;
        assert_eq!(error.field(), Some("to"));
        let error = app.refused("memory.relate", json!({"id": one, "to": 999_999, "relation": "is"})).await;
        assert_eq!((error.code(), error.field()), (Code::Conflict, Some("to")));
    }

    /// Votes make usefulness, and usefulness makes quality.
    async fn feedback(app: TestApp) {
        let id = app.remember("Restart the worker after a deploy").await;
        for useful in [true, true, false, true] {
            app.call("memory.feedback", json!({"id": id, "useful": useful})).await;
        }
        let memory = app.call("memory.get", json!({"id": id})).await;
        assert_eq!(memory["usefulness"], 0.75);
        assert!((memory["quality"].as_f64().unwrap() - (0.5 * 0.75 + 0.3)).abs() < 1e-12);
    }

    /// A list is paged without repeating or skipping, while others write.
    async fn lists_are_paged(app: TestApp) {
        for index in 0..25 {
            app.remember(&format!("Entry number {index}")).await;
        }
        let mut seen = Vec::new();
        let mut cursor = json!(null);
        loop {
            let mut input = json!({"limit": 10});
            if cursor.is_string() {
                input["cursor"] = cursor.clone();
            }
            let page = app.call("memory.list", input).await;
            seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].as_i64().unwrap()));
            app.remember(&format!("Written meanwhile, after {}", seen.len())).await;
            cursor = page["next_cursor"].clone();
            if cursor.is_null() {
                break;
            }
        }
        assert_eq!(seen.len(), 25);
        assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "newest first, none twice");
    }

    /// A deleted project takes its memories out of sight and frees its name.
    async fn deleting_a_project(app: TestApp) {
        app.call("project.create", json!({"name": "old"})).await;
        let id = app.call("memory.remember", json!({"content": "hidden soon", "project": "old"})).await["id"].clone();
        app.call("project.delete", json!({"name": "old"})).await;
        assert_eq!(app.refused("memory.get", json!({"id": id})).await.code(), Code::NotFound);
        assert_eq!(app.refused("project.get", json!({"name": "old"})).await.code(), Code::NotFound);
        app.call("project.create", json!({"name": "old"})).await;
        let list = app.call("memory.list", json!({"project": "old"})).await;
        assert_eq!(list["items"], json!([]));
    }
}
