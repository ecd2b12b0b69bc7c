//! Facts that give place to others, and what was believed when.

use athena_core::Code;
use athena_testkit::{TestApp, json, story};

async fn believed(app: &TestApp, query: &str, as_of: &str) -> Vec<String> {
    let asked = json!({"query": query, "as_of": as_of});
    let recalled = app.call("memory.recall", asked).await;
    let hits = recalled["hits"].as_array().unwrap().iter();
    hits.map(|hit| hit["content"].as_str().unwrap().to_owned())
        .collect()
}

story! {
    /// What takes the place of something else is its successor: the old one leaves recall, and says
    /// by what it was replaced.
    async fn a_replaced_fact_names_its_successor(app: TestApp) {
        let (one, two) = (app.remember("The office is in Berlin").await, app.remember("The whole office sits in Berlin Mitte").await);
        let told = json!({"content": "The office moved to Hamburg", "replaces": [one, two]});
        let next = app.call("memory.remember", told.clone()).await["id"].as_i64().unwrap();
        assert_eq!(app.recall("where is the office").await, [next]);
        for old in [one, two] {
            let old = app.call("memory.get", json!({"id": old})).await;
            assert_eq!((&old["superseded_by"], &old["state"]), (&json!(next), &json!("superseded")));
            assert_eq!(old["superseded_at"], "2026-03-01T12:00:00Z");
        }
        // Told again, it is known, and what it replaced is replaced already.
        assert_eq!(app.call("memory.remember", told).await["duplicate"], true);
        let history = app.call("memory.recall", json!({"query": "office", "state": ["superseded"]})).await;
        assert_eq!(history["hits"][0]["superseded_by"], next);
        let moved = app.call("memory.export", json!({})).await;
        assert_eq!(moved["items"].as_array().unwrap().iter().filter(|it| it["superseded_at"].is_string()).count(), 2);
    }

    /// Nothing is replaced by halves: what cannot be replaced refuses the whole call.
    async fn what_cannot_be_replaced(app: TestApp) {
        let one = app.remember("The office is in Berlin").await;
        let gone = app.remember("The office is in Bonn").await;
        app.call("memory.forget", json!({"id": gone})).await;
        let other = app.call("project.create", json!({"name": "elsewhere"})).await["name"].clone();
        let foreign = app.call("memory.remember", json!({"content": "The office is in Rome", "project": other})).await["id"].clone();
        for (replaces, code) in [
            (json!([one, 4_711]), Code::NotFound),
            (json!([one, gone]), Code::InvalidState),
            (json!([one, foreign]), Code::InvalidInput),
            (json!([0]), Code::InvalidInput),
        ] {
            let told = json!({"content": "The office moved to Hamburg", "replaces": replaces});
            let error = app.refused("memory.remember", told).await;
            assert_eq!(error.code(), code, "{error}");
            assert!(error.field().unwrap().starts_with("replaces"), "{error:?}");
        }
        let error = app.refused("memory.remember", json!({"content": "The office is in Berlin", "replaces": [one]})).await;
        assert_eq!(error.code(), Code::Conflict);
        assert_eq!(app.recall("office").await, [one]);
    }

    /// A question as of a time is answered with what was believed then.
    async fn what_was_believed_then(app: TestApp) {
        app.clock.set("2026-03-02T09:00:00Z");
        let first = app.remember("The API listens on port 8080").await;
        let dropped = app.remember("The API speaks XML on a second port").await;
        app.clock.set("2026-03-03T09:00:00Z");
        let second = app.call("memory.update", json!({"id": first, "content": "The API listens on port 9090"})).await["id"].clone();
        app.call("memory.forget", json!({"id": dropped})).await;
        app.clock.set("2026-03-05T09:00:00Z");
        let third = json!({"content": "The API listens on a socket", "replaces": [second], "expires_at": "2026-03-06T00:00:00Z"});
        app.call("memory.remember", third).await;
        app.clock.set("2026-03-09T09:00:00Z");

        assert_eq!(believed(app, "API listens", "2026-03-01T00:00:00Z").await, Vec::<String>::new());
        let monday = believed(app, "API listens port", "2026-03-02T18:00:00Z").await;
        assert_eq!(monday, ["The API listens on port 8080", "The API speaks XML on a second port"]);
        assert_eq!(believed(app, "API listens port", "2026-03-04T00:00:00Z").await, ["The API listens on port 9090"]);
        assert_eq!(believed(app, "API listens port", "2026-03-05T09:00:00Z").await, ["The API listens on a socket"]);
        // It has expired by itself, so nothing is believed now.
        assert_eq!(believed(app, "API listens port", "2026-03-09T09:00:00Z").await, Vec::<String>::new());
        assert_eq!(app.recall("API listens port").await, Vec::<i64>::new());
        let error = app.refused("memory.recall", json!({"query": "x", "as_of": "2026-03-04T00:00:00Z", "state": ["labile"]})).await;
        assert_eq!(error.field(), Some("state"));
    }

    /// A rule keeps its priority and the paths that it is about, through changes and moves.
    async fn rules_have_priority_and_scope(app: TestApp) {
        let rule = json!({"content": "No unsafe code here", "type": "rule", "priority": 9, "scope": "crates/**/*.rs"});
        let id = app.call("memory.remember", rule).await["id"].clone();
        let next = app.call("memory.update", json!({"id": id, "priority": 10})).await["id"].clone();
        let rule = app.call("memory.get", json!({"id": next})).await;
        assert_eq!((&rule["priority"], &rule["scope"]), (&json!(10), &json!("crates/**/*.rs")));
        let records = app.call("memory.export", json!({})).await["items"].clone();
        app.call("project.create", json!({"name": "copy"})).await;
        app.call("memory.import", json!({"memories": records, "project": "copy"})).await;
        let copied = app.call("memory.recall", json!({"query": "unsafe code", "project": "copy", "projects": ["copy"]})).await;
        assert_eq!((&copied["hits"][0]["priority"], &copied["hits"][0]["scope"]), (&json!(10), &json!("crates/**/*.rs")));
        for priority in [0, 11] {
            let rule = json!({"content": "x", "type": "rule", "priority": priority});
            assert_eq!(app.refused("memory.remember", rule).await.field(), Some("priority"));
        }
        // Brackets that are closed are part of a name.
        let page = json!({"content": "No state in pages", "type": "rule", "scope": "app/[id]/{all}/page.tsx"});
        app.call("memory.remember", page).await;
    }

    /// What could never take effect is refused: a pattern that means no file, and the priority of
    /// what is no rule.
    async fn settings_without_effect_are_refused(app: TestApp) {
        for scope in ["[[[", "src/[ab", "src/{a,b", "a]b", "{[}]", "src/", "src//a.rs", "/", " "] {
            let rule = json!({"content": "x", "type": "rule", "scope": scope});
            let error = app.refused("memory.remember", rule).await;
            assert_eq!((error.code(), error.field()), (Code::InvalidInput, Some("scope")), "{scope}: {error}");
        }
        let fact = app.remember("The API listens on port 8080").await;
        let rule = json!({"content": "Never push to main", "type": "rule", "priority": 3});
        let rule = app.call("memory.remember", rule).await["id"].clone();
        for (operation, input, field) in [
            ("memory.remember", json!({"content": "x", "priority": 9}), "priority"),
            ("memory.update", json!({"id": fact, "priority": 9}), "priority"),
            ("memory.update", json!({"id": rule, "scope": "[[["}), "scope"),
        ] {
            let error = app.refused(operation, input).await;
            assert_eq!((error.code(), error.field()), (Code::InvalidInput, Some(field)), "{error}");
        }
        // A rule may become a fact, and a fact a rule.
        let fact = app.call("memory.update", json!({"id": rule, "type": "fact"})).await["id"].clone();
        app.call("memory.update", json!({"id": fact, "type": "rule", "priority": 9})).await;
    }
}
