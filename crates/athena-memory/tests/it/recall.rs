//! What recall finds, leaves out and explains.

use athena_core::Code;
use athena_testkit::{TestApp, json, story};
use serde_json::Value;

async fn notebook(app: &TestApp) {
    for (content, kind, tags, session, day) in [
        (
            "We chose PostgreSQL for the billing service",
            "decision",
            json!(["db", "billing"]),
            "s1",
            1,
        ),
        (
            "SQLite runs the command line tool",
            "fact",
            json!(["db", "cli"]),
            "s1",
            2,
        ),
        (
            "Ada prefers tabs over spaces",
            "preference",
            json!(["style"]),
            "s2",
            3,
        ),
        (
            "The billing service retries failed payments three times",
            "fact",
            json!(["billing"]),
            "s2",
            4,
        ),
        (
            "Grüße aus Köln: das Büro zieht um",
            "context",
            json!([]),
            "s3",
            5,
        ),
        ("数据库迁移在星期五进行", "context", json!(["db"]), "s3", 6),
        (
            "parse_http_header lives in src/net/headers.rs",
            "code_snippet",
            json!(["code"]),
            "s3",
            7,
        ),
    ] {
        let input = json!({
            "content": content, "type": kind, "tags": tags, "session": session,
            "occurred_at": format!("2026-02-0{day}T10:00:00Z"),
        });
        app.call("memory.remember", input).await;
    }
}

async fn first(app: &TestApp, query: &str) -> String {
    let found = app.call("memory.recall", json!({"query": query})).await;
    found["hits"][0]["content"]
        .as_str()
        .unwrap_or("nothing")
        .to_owned()
}

/// Returns what the hits say that share a word with the question.
/// Who said what gets something for being no question.
async fn statements(app: &TestApp) -> Vec<String> {
    let asked = json!({"query": "tickets", "explain": true});
    let found = app.call("memory.recall", asked).await;
    let hits = found["hits"].as_array().unwrap();
    assert_eq!(hits.len(), 2, "{found}");
    let tells = |hit: &&Value| {
        let parts = hit["explain"]["parts"].as_array().unwrap();
        parts.iter().any(|part| part["part"] == "statement")
    };
    let speakers = hits.iter().filter(tells);
    let mut speakers: Vec<String> = speakers
        .map(|hit| hit["speaker"].as_str().unwrap().to_owned())
        .collect();
    speakers.sort();
    speakers
}

async fn contents(app: &TestApp, mut input: Value) -> Vec<String> {
    if input.get("mode").is_none() {
        input["mode"] = json!("keyword");
    }
    let found = app.call("memory.recall", input).await;
    let hits = found["hits"].as_array().unwrap();
    hits.iter()
        .map(|hit| hit["content"].as_str().unwrap().to_owned())
        .collect()
}

story! {
    /// Questions in plain words, other forms of words, accents, other scripts, parts of identifiers.
    async fn finds(app: TestApp) {
        notebook(app).await;
        assert_eq!(first(app, "Which database did we choose for billing?").await, "We chose PostgreSQL for the billing service");
        assert_eq!(first(app, "how often is a failing payment retried").await, "The billing service retries failed payments three times");
        assert_eq!(first(app, "grusse aus koln").await, "Grüße aus Köln: das Büro zieht um");
        assert_eq!(first(app, "数据库").await, "数据库迁移在星期五进行");
        assert_eq!(first(app, "http header").await, "parse_http_header lives in src/net/headers.rs");
        assert_eq!(first(app, "headers.rs").await, "parse_http_header lives in src/net/headers.rs");
    }

    /// Text that looks like a query language or like SQL is no error, and its words are found.
    async fn nothing_is_an_error(app: TestApp) {
        notebook(app).await;
        for query in [
            "billing AND (", "\"billing", "billing*", "-billing", "NEAR(billing)", "billing' OR '1'='1",
            "'; DROP TABLE billing; --", "%billing%", ":billing", "$1 billing", "billing\\", "{billing: [}",
        ] {
            assert!(first(app, query).await.contains("billing"), "{query}");
        }
        for query in ["?", "…", "   .", "\u{1F600}", "the of and"] {
            app.call("memory.recall", json!({"query": query})).await;
        }
    }

    /// Words in quotes stand next to each other, `-word` leaves out, `word*` begins words.
    async fn signs(app: TestApp) {
        for content in [
            "The connection pool of billing holds forty.", "The pool needs a connection to billing.",
            "Connection pools of search hold ten.", "Searching is slow in staging.",
        ] {
            app.call("memory.remember", json!({"content": content})).await;
        }
        let ask = |query: &str, limit: u32, mode: &str| json!({"query": query, "limit": limit, "mode": mode});
        for mode in ["keyword", "hybrid"] {
            let mut phrase = contents(app, ask("\"connection pool\"", 10, mode)).await;
            phrase.sort();
            assert_eq!(phrase, ["Connection pools of search hold ten.", "The connection pool of billing holds forty."]);
            assert_eq!(contents(app, ask("\"pool needs a connection\"", 1, mode)).await.len(), 1);
            let apart = app.call("memory.recall", ask("\"forty connection pools\" -search", 10, mode)).await;
            assert!(apart["hits"][0]["content"].as_str().unwrap().contains("forty"), "{apart}");
            assert!(!apart["hits"].to_string().contains("search"), "{apart}");
            assert!(apart["notes"][0].as_str().unwrap().contains("quotes"), "{apart}");
            assert_eq!(
                contents(app, ask("\"connection pool\" -billing", 10, mode)).await,
                ["Connection pools of search hold ten."]
            );
        }
        assert_eq!(contents(app, ask("searchi*", 10, "keyword")).await.len(), 2);
        assert_eq!(contents(app, ask("stag* -connection", 10, "keyword")).await, ["Searching is slow in staging."]);
        assert_eq!(contents(app, ask("-staging", 10, "keyword")).await, ["Searching is slow in staging."]);
        let asked = json!({"query": "pool -search", "explain": true});
        let told = app.call("memory.recall", asked).await;
        assert!(told["explain"]["filters"].as_array().unwrap().contains(&json!("words: none of search")), "{told}");
    }

    /// Filters narrow, alone and together.
    async fn filters(app: TestApp) {
        notebook(app).await;
        let billing = |filter: Value| {
            let mut input = json!({"query": "billing database"});
            input.as_object_mut().unwrap().extend(filter.as_object().unwrap().clone());
            input
        };
        assert_eq!(contents(app, billing(json!({"type": ["decision"]}))).await, ["We chose PostgreSQL for the billing service"]);
        assert_eq!(contents(app, billing(json!({"tags": ["db", "billing"]}))).await, ["We chose PostgreSQL for the billing service"]);
        assert_eq!(contents(app, billing(json!({"session": "s2"}))).await, ["The billing service retries failed payments three times"]);
        let late = billing(json!({"after": "2026-02-03T00:00:00Z", "before": "2026-02-05T00:00:00Z"}));
        assert_eq!(contents(app, late).await, ["The billing service retries failed payments three times"]);
        assert!(contents(app, billing(json!({"tags": ["nosuchtag"]}))).await.is_empty());
        assert!(contents(app, billing(json!({"state": ["consolidated"]}))).await.is_empty());
    }

    /// A filter changes who answers, never how well an answer matches.
    async fn match_does_not_depend_on_filters(app: TestApp) {
        notebook(app).await;
        let query = "billing service payments";
        let all = app.call("memory.recall", json!({"query": query})).await;
        let some = app.call("memory.recall", json!({"query": query, "session": "s2"})).await;
        let narrowed = &some["hits"][0];
        let same = all["hits"].as_array().unwrap().iter().find(|hit| hit["id"] == narrowed["id"]);
        assert_eq!(same.unwrap()["match"], narrowed["match"]);
    }

    /// `min_score` prefers silence to a guess.
    async fn unrelated_questions_get_nothing(app: TestApp) {
        notebook(app).await;
        let ask = |query: &str| json!({"query": query, "min_score": 0.3});
        assert!(contents(app, ask("What is the airspeed of an unladen swallow?")).await.is_empty());
        assert_eq!(contents(app, ask("failed payments retries")).await.len(), 1);
    }

    /// Among people a turn that tells something weighs more than one that only asks.
    async fn who_asks_tells_little(app: TestApp) {
        let mut asks = 0;
        for (speaker, content) in [("Ada", "Did you buy the tickets? :)"), ("Tom", "The tickets? I have them.")] {
            let turn = json!({"content": content, "session": "s1", "speaker": speaker, "type": "context"});
            let told = app.call("memory.remember", turn).await;
            asks = if speaker == "Ada" { told["id"].as_i64().unwrap() } else { asks };
        }
        assert_eq!(statements(app).await, ["Tom"]);
        app.call("memory.update", json!({"id": asks, "content": "I have no tickets."})).await;
        assert_eq!(statements(app).await, ["Ada", "Tom"]);
    }

    /// The printed parts of a score sum to the score.
    async fn explanations_add_up(app: TestApp) {
        notebook(app).await;
        let found = app.call("memory.recall", json!({"query": "billing service database", "explain": true})).await;
        let hits = found["hits"].as_array().unwrap();
        assert!(hits.len() >= 2);
        for hit in hits {
            let parts = hit["explain"]["parts"].as_array().unwrap();
            let ten_millionths = |value: &Value| (value.as_f64().unwrap() * 1e7).round();
            let sum: f64 = parts.iter().map(|part| ten_millionths(&part["contribution"])).sum();
            assert!((sum - ten_millionths(&hit["score"])).abs() < 0.5);
            let by_words = hit["keyword"].as_f64().unwrap() > 0.0;
            assert_eq!(hit["explain"]["terms"].as_array().unwrap().is_empty(), !by_words);
        }
        assert_eq!(found["explain"]["items"], 7);
        let plain = app.call("memory.recall", json!({"query": "billing"})).await;
        assert_eq!(plain["hits"][0]["explain"], json!(null));
    }

    /// Weights, modes and fusion are the caller's if he says so.
    async fn modes_and_weights(app: TestApp) {
        notebook(app).await;
        for mode in ["hybrid", "keyword", "semantic"] {
            let found = contents(app, json!({"query": "billing service PostgreSQL", "mode": mode})).await;
            assert_eq!(found[0], "We chose PostgreSQL for the billing service", "{mode}");
        }
        let input = json!({"query": "billing", "semantic_weight": 0.7, "keyword_weight": 0.3, "fusion": "rrf"});
        assert!(contents(app, input).await.len() >= 2);
        let ask = |weights: Value| async move {
            let mut input = json!({"query": "billing service PostgreSQL", "limit": 3});
            input.as_object_mut().unwrap().extend(weights.as_object().unwrap().clone());
            app.call("memory.recall", input).await
        };
        let both = ask(json!({"semantic_weight": 0.7, "keyword_weight": 0.3})).await;
        assert_eq!(ask(json!({"semantic_weight": 0.7})).await, both, "one share leaves the rest");
        assert_ne!(ask(json!({"keyword_weight": 1.0})).await, both);
        let none = ask(json!({"semantic_weight": 0, "keyword_weight": 0})).await;
        assert_eq!(none, ask(json!({})).await, "no preference is the measured rule");
    }

    /// A project sees its own memories and `personal`; others only when they are named.
    async fn projects_are_apart(app: TestApp) {
        for (project, content) in [
            ("one", "The mascot is a heron"), ("two", "The mascot is a badger"), ("personal", "My mascot is a cat"),
        ] {
            app.call("project.create", json!({"name": project})).await;
            app.call("memory.remember", json!({"content": content, "project": project})).await;
        }
        let mascots = contents(app, json!({"query": "mascot", "project": "one"})).await;
        assert_eq!(mascots.len(), 2);
        assert!(!mascots.contains(&"The mascot is a badger".to_owned()));
        let mascots = contents(app, json!({"query": "mascot", "projects": ["one", "two"]})).await;
        assert_eq!(mascots.len(), 2);
        assert!(!mascots.contains(&"My mascot is a cat".to_owned()));
        let error = app.refused("memory.recall", json!({"query": "mascot", "project": "three"})).await;
        assert_eq!(error.code(), Code::NotFound);
        assert!(error.message().contains("one"), "it names the projects there are");
    }

    /// What has expired is not recalled, and its place goes to the next.
    async fn expired_memories_give_way(app: TestApp) {
        for index in 0..5 {
            let input = json!({"content": format!("Coupon number {index}"), "expires_at": "2026-03-01T12:01:00Z"});
            app.call("memory.remember", input).await;
        }
        let lasting = app.remember("Coupon that lasts").await;
        app.clock.advance(61);
        let found = app.call("memory.recall", json!({"query": "coupon number", "limit": 1})).await;
        assert_eq!(found["hits"][0]["id"], lasting);
    }

    /// Recalling writes nothing at once; use is counted soon after.
    async fn use_is_counted(app: TestApp) {
        let id = app.remember("Counted once").await;
        for _ in 0..3 {
            app.recall("counted").await;
        }
        assert_eq!(app.call("memory.get", json!({"id": id})).await["access_count"], 0);
        athena_store::flush(&app.env).await;
        let memory = app.call("memory.get", json!({"id": id})).await;
        assert_eq!(memory["access_count"], 3);
        assert!(memory["last_retrieved_at"].is_string());
    }

    /// An empty store answers nothing, and that is no error.
    async fn nothing_is_known_yet(app: TestApp) {
        let found = app.call("memory.recall", json!({"query": "anything"})).await;
        assert_eq!(found, json!({"hits": []}));
    }
}
