//! Events from their recording to their purge.

use athena_core::Code;
use athena_db::{Executor, params};
use athena_testkit::{TestApp, json, logged_records, story};
use serde_json::Value;

async fn record(app: &TestApp, event: Value) -> i64 {
    let recorded = app.call("event.record", event).await;
    assert_eq!(recorded["duplicate"], false, "{recorded}");
    recorded["id"].as_i64().unwrap()
}

/// The ids of the events of a list.
fn ids(list: &Value) -> Vec<i64> {
    let items = list.as_array().unwrap();
    items
        .iter()
        .map(|item| item["id"].as_i64().unwrap())
        .collect()
}

async fn timeline(app: &TestApp, input: Value) -> Vec<i64> {
    ids(&app.call("event.list", input).await["items"])
}

async fn found(app: &TestApp, query: &str) -> Vec<i64> {
    ids(&app
        .call("event.search", json!({"query": query, "min_score": 0.12}))
        .await["hits"])
}

/// Whether two numbers are the same but for rounding.
fn near(number: &Value, wanted: f64) -> bool {
    (number.as_f64().unwrap() - wanted).abs() < 1e-9
}

story! {
    /// What goes in comes back, and what was not said has its default.
    async fn everything_is_kept(app: TestApp) {
        let cause = record(app, json!({"content": "The build broke", "event_type": "error"})).await;
        let event = json!({
            "content": "Repaired the parser", "event_type": "code_edit", "outcome": "success",
            "occurred_at": "2026-02-28T09:30:00.123456Z", "duration_ms": 90_000, "session": "s1",
            "agent": "builder", "source": "hook", "idempotency_key": "call-7", "learned": "Tokens may be empty",
            "tags": ["parser", "fix"], "context_cwd": "/srv/app", "context_files": ["src/a.rs", "src/b.rs"],
            "context_task": "Make the build pass", "context_phase": "repair", "context_branch": "main",
            "files_changed": 2, "lines_added": 10, "lines_deleted": 3, "file_path": "src/a.rs",
            "symbol": "parse", "language": "rust", "git_commit": "dbb0a89",
            "test_name": "parses", "error_type": "ParseError", "stack_trace": "at parse", "surprise": 2.5,
            "metrics": {"speed": 1.5, "score": 3.0}, "metadata": {"more": [1, 2]}, "confidence": 0.9,
            "evidence_type": "inferred", "evidence_quality": 0.8, "importance": 0.75, "actionable": true,
            "caused_by": cause,
        });
        let id = record(app, event.clone()).await;
        let kept = app.call("event.get", json!({"id": id})).await;
        for (field, value) in event.as_object().unwrap() {
            assert_eq!(&kept[field], value, "{field}");
        }
        assert_eq!(kept["precision"], "exact");
        assert_eq!(kept["consolidation_status"], "unconsolidated");
        assert_eq!(kept["created_at"], "2026-03-01T12:00:00Z");
        assert_eq!(kept["principal"], "test");
        let plain = app.call("event.get", json!({"id": cause})).await;
        for (field, value) in [
            ("occurred_at", json!("2026-03-01T12:00:00Z")), ("confidence", json!(1.0)),
            ("importance", json!(0.5)), ("evidence_type", json!("observed")), ("uses", json!(0)),
            ("surprise", json!(null)), ("metrics", json!(null)), ("suggestion", json!(null)),
        ] {
            assert_eq!(plain[field], value, "{field}");
        }
    }

    /// The same twice within ten minutes is one event, whoever tells of it; later it is another one.
    async fn two_witnesses_make_one_event(app: TestApp) {
        let commit = json!({"content": "Fix the parser", "event_type": "code_edit", "git_commit": "abc", "session": "hook"});
        let first = app.call("event.record", commit.clone()).await;
        app.clock.advance(300);
        let mut other = commit.clone();
        other["session"] = json!("command line");
        let again = app.call("event.record", other).await;
        assert_eq!((&again["id"], &again["uid"], &again["duplicate"]), (&first["id"], &first["uid"], &json!(true)));
        app.clock.advance(301);
        assert_ne!(record(app, commit.clone()).await, first["id"].as_i64().unwrap());
        for (field, value) in [("outcome", json!("failure")), ("git_commit", json!("def")), ("event_type", json!("refactoring"))] {
            let mut other = commit.clone();
            other[field] = value;
            record(app, other).await;
        }
    }

    /// An event with a key is kept once by it, whatever else is said; another project has its own.
    async fn a_key_is_used_once(app: TestApp) {
        app.call("project.create", json!({"name": "other"})).await;
        let keyed = |content: &str| json!({"content": content, "idempotency_key": "k1"});
        let first = app.call("event.record", keyed("Said so")).await;
        app.clock.advance(86_400);
        let again = app.call("event.record", keyed("Said otherwise")).await;
        assert_eq!((&again["id"], &again["duplicate"]), (&first["id"], &json!(true)));
        let mut elsewhere = keyed("Said so");
        elsewhere["project"] = json!("other");
        assert_ne!(record(app, elsewhere).await, first["id"].as_i64().unwrap());
    }

    /// Ten thousand of one kind are one, told in batches and by several at once.
    async fn ten_thousand_of_one_kind(app: TestApp) {
        let same: Vec<Value> = (0..1_000).map(|_| json!({"content": "The sensor fired"})).collect();
        let first = app.call("event.record_batch", json!({"events": same})).await;
        assert_eq!(first["stats"], json!({"total": 1_000, "inserted": 1, "skipped_duplicate": 999, "skipped_existing": 0}));
        let tell = || app.call("event.record_batch", json!({"events": same}));
        for told in futures_util::future::join_all((0..9).map(|_| tell())).await {
            assert_eq!(told["stats"], json!({"total": 1_000, "inserted": 0, "skipped_duplicate": 999, "skipped_existing": 1}));
            assert_eq!(told["events"][999]["id"], first["events"][0]["id"]);
        }
        assert_eq!(timeline(app, json!({})).await.len(), 1);
    }

    /// Of many who record the same new events at once, one stores each, and none is refused.
    async fn the_same_recorded_at_once(app: TestApp) {
        let events: Vec<Value> = (0..20).map(|index| json!({"content": format!("Alarm number {index}")})).collect();
        let tell = || app.call("event.record_batch", json!({"events": events}));
        let told = futures_util::future::join_all((0..8).map(|_| tell())).await;
        let inserted: u64 = told.iter().map(|told| told["stats"]["inserted"].as_u64().unwrap()).sum();
        assert_eq!(inserted, 20);
        assert!(told.iter().all(|told| ids(&told["events"]) == ids(&told["events"])));
        assert_eq!(timeline(app, json!({"limit": 100})).await.len(), 20);
        let single = || app.call("event.record", json!({"content": "Everybody saw it"}));
        let told = futures_util::future::join_all((0..16).map(|_| single())).await;
        assert!(told.iter().all(|one| one["id"] == told[0]["id"]));
    }

    /// A batch is stored as a whole, in its order, or not at all.
    async fn batches(app: TestApp) {
        app.call("project.create", json!({"name": "other"})).await;
        let events = json!([
            {"content": "One", "occurred_at": "2026-02-01T10:00:00Z"},
            {"content": "Two", "occurred_at": "2026-02-01T09:00:00Z", "project": "other"},
            {"content": "One", "occurred_at": "2026-02-01T10:09:00Z"},
            {"content": "One", "occurred_at": "2026-02-01T10:18:00Z"},
            {"content": "Three", "idempotency_key": "k"},
            {"content": "Four", "idempotency_key": "k"},
        ]);
        let told = app.call("event.record_batch", json!({"events": events})).await;
        assert_eq!(told["stats"], json!({"total": 6, "inserted": 4, "skipped_duplicate": 2, "skipped_existing": 0}));
        let got = ids(&told["events"]);
        assert_eq!((got[2], got[5]), (got[0], got[4]));
        assert_ne!(got[3], got[0]);
        assert_eq!(timeline(app, json!({"order": "oldest"})).await, [got[0], got[3], got[4]]);
        assert_eq!(timeline(app, json!({"project": "other"})).await, [got[1]]);

        let bad = json!({"events": [{"content": "Fine"}, {"content": "Fine too"}, {"content": " "}]});
        let error = app.refused("event.record_batch", bad).await;
        assert_eq!((error.code(), error.field()), (Code::InvalidInput, Some("events[2].content")));
        let bad = json!({"events": [{"content": "Fine"}, {"content": "Caused", "caused_by": 999}]});
        let error = app.refused("event.record_batch", bad).await;
        assert_eq!((error.code(), error.field()), (Code::NotFound, Some("events[1].caused_by")));
        let bad = json!({"events": [{"content": "Fine", "caused_by": 999}]});
        assert_eq!(app.refused("event.record_batch", bad).await.field(), Some("events[0].caused_by"));
        let bad = json!({"events": [{"content": "Fine", "occurred_at": "soon"}]});
        assert_eq!(app.refused("event.record_batch", bad).await.field(), Some("events[0].occurred_at"));
        assert!(found(app, "Fine").await.is_empty(), "nothing of these batches stays");
    }

    /// The timeline is ordered by time, however the events were told, and paged without repeating.
    async fn the_order_of_time(app: TestApp) {
        let mut told = Vec::new();
        for index in 0..12 {
            // Told backwards, three at a time at the same moment.
            let day = 20 - index / 3;
            let event = json!({"content": format!("Step {index}"), "session": "s", "occurred_at": format!("2026-02-{day}T08:00:00Z")});
            told.push(record(app, event).await);
        }
        let mut wanted: Vec<i64> = Vec::new();
        for group in told.chunks(3) {
            wanted.extend(group.iter().rev());
        }
        let mut seen = Vec::new();
        let mut input = json!({"limit": 5});
        loop {
            let page = app.call("event.list", input.clone()).await;
            seen.extend(ids(&page["items"]));
            let late = json!({"content": format!("Meanwhile {}", seen.len()), "occurred_at": "2026-03-01T00:00:00Z"});
            record(app, late).await;
            if page["next_cursor"].is_null() {
                break;
            }
            input["cursor"] = page["next_cursor"].clone();
        }
        assert_eq!(seen, wanted);
        wanted.reverse();
        assert_eq!(timeline(app, json!({"session": "s", "order": "oldest"})).await, wanted);
        let error = app.refused("event.list", json!({"cursor": "c1.zzzz"})).await;
        assert_eq!(error.field(), Some("cursor"));
    }

    /// Each filter keeps what it names.
    async fn filters(app: TestApp) {
        let edit = record(app, json!({
            "content": "Edited", "event_type": "code_edit", "session": "s1", "agent": "ada", "tags": ["red", "blue"],
            "file_path": "src/lib.rs", "symbol": "main", "language": "rust", "occurred_at": "2026-03-01T08:00:00Z",
        })).await;
        let failed = record(app, json!({
            "content": "Failed", "event_type": "test_run", "outcome": "failure", "test_name": "it works",
            "context_files": ["src/lib.rs", "src/main.rs"], "surprise": 3.5, "occurred_at": "2026-03-01T09:00:00Z",
        })).await;
        let passed = record(app, json!({
            "content": "Passed", "event_type": "test_run", "test_passed": true, "test_name": "it works",
            "surprise": 3.4, "learned": "Check twice", "occurred_at": "2026-03-01T10:00:00Z",
        })).await;
        for (filter, wanted) in [
            (json!({}), vec![passed, failed, edit]),
            (json!({"session": "s1"}), vec![edit]),
            (json!({"event_type": ["code_edit"]}), vec![edit]),
            (json!({"event_type": ["code_edit", "test_run"]}), vec![passed, failed, edit]),
            (json!({"outcome": "failure"}), vec![failed]),
            (json!({"outcome": "success"}), vec![passed]),
            (json!({"file": "src/lib.rs"}), vec![failed, edit]),
            (json!({"file": "src/main.rs"}), vec![failed]),
            (json!({"symbol": "main"}), vec![edit]),
            (json!({"language": "rust"}), vec![edit]),
            (json!({"test_name": "it works"}), vec![passed, failed]),
            (json!({"agent": "ada"}), vec![edit]),
            (json!({"tag": "blue"}), vec![edit]),
            (json!({"tag": "green"}), vec![]),
            (json!({"after": "2026-03-01T09:00:00Z"}), vec![passed, failed]),
            (json!({"before": "2026-03-01T09:00:00Z"}), vec![edit]),
            (json!({"hours": 3}), vec![passed, failed]),
            (json!({"hours": 30, "after": "2026-03-01T09:30:00Z"}), vec![passed]),
            (json!({"failed_tests": true}), vec![failed]),
            (json!({"surprising": true}), vec![failed]),
            (json!({"status": "consolidated"}), vec![]),
            (json!({"file": "src/lib.rs", "event_type": ["test_run"], "outcome": "success"}), vec![]),
        ] {
            assert_eq!(timeline(app, filter.clone()).await, wanted, "{filter}");
        }
        let learned = app.call("event.learned", json!({})).await;
        assert_eq!(ids(&learned["items"]), [passed]);
        assert_eq!(learned["items"][0]["learned"], "Check twice");
        assert_eq!(app.call("event.learned", json!({"before": "2026-03-01T10:00:00Z"})).await["items"], json!([]));
    }

    /// Times that are known by day, month or year, and what can be said of their order.
    async fn approximate_times(app: TestApp) {
        let at = |content: &str, time: &str| json!({"content": content, "occurred_at": time});
        let year = record(app, at("Founded", "2025")).await;
        let month = record(app, at("Moved", "2026-02")).await;
        let day = record(app, at("Launched", "2026-02-10")).await;
        let exact = record(app, at("Celebrated", "2026-02-12T20:00:00+01:00")).await;
        let kept = app.call("event.get", json!({"id": month})).await;
        assert_eq!((&kept["occurred_at"], &kept["precision"]), (&json!("2026-02-01T00:00:00Z"), &json!("month")));
        assert_eq!(timeline(app, json!({"order": "oldest"})).await, [year, month, day, exact]);

        let compare = async |first: i64, second: i64| {
            app.call("event.compare", json!({"first": first, "second": second})).await
        };
        assert_eq!(compare(year, exact).await["relation"], "before");
        assert_eq!(compare(exact, year).await["relation"], "after");
        assert_eq!(compare(month, day).await["relation"], "undetermined");
        assert_eq!(compare(exact, exact).await["relation"], "same_time");
        let days = compare(day, exact).await;
        assert_eq!((&days["relation"], &days["gap"]), (&json!("before"), &json!("1d 19h to 2d 19h")));
        assert_eq!(days["gap_ms"], 43 * 3_600_000);
    }

    /// Milliseconds, as the founding document has them, are another way to say the same.
    async fn milliseconds(app: TestApp) {
        let id = record(app, json!({"content": "Then", "timestamp": 1_770_000_000_123_i64})).await;
        assert_eq!(app.call("event.get", json!({"id": id})).await["occurred_at"], "2026-02-02T02:40:00.123Z");
        let both = json!({"content": "Both", "timestamp": 1_770_000_000_000_i64, "occurred_at": "2026-02-02T02:40:00Z"});
        let error = app.refused("event.record", both).await;
        assert_eq!((error.code(), error.field()), (Code::InvalidInput, Some("timestamp")));
        for timestamp in [i64::MAX, i64::MIN] {
            let error = app.refused("event.record", json!({"content": "Never", "timestamp": timestamp})).await;
            assert_eq!((error.code(), error.field()), (Code::InvalidInput, Some("timestamp")));
        }
        let error = app.refused("event.record", json!({"content": "Never", "timestamp": 18_446_744_073_709_551_615_u64})).await;
        assert_eq!(error.field(), Some("timestamp"));
    }

    /// What is refused says what is wrong, and nothing is stored.
    async fn bad_input(app: TestApp) {
        app.call("project.create", json!({"name": "other"})).await;
        let foreign = app.call("event.record", json!({"content": "Elsewhere", "project": "other"})).await["id"].clone();
        let with = |field: &str, value: Value| {
            let mut event = json!({"content": "x"});
            event[field] = value;
            event
        };
        for (event, code, field, says) in [
            (with("content", json!("")), Code::InvalidInput, "content", "must not be empty"),
            (with("content", json!(" \n")), Code::InvalidInput, "content", "must not be blank"),
            (with("content", json!("a\u{0}")), Code::InvalidInput, "content", "NUL"),
            (with("content", json!("a".repeat(1024 * 1024 + 1))), Code::ContentTooLarge, "content", "1048577 bytes"),
            (with("event_type", json!("party")), Code::InvalidInput, "event_type", "`conversation`"),
            (with("outcome", json!("great")), Code::InvalidInput, "outcome", "`partial`"),
            (with("occurred_at", json!("next week")), Code::InvalidInput, "occurred_at", "`2026-03`"),
            (with("occurred_at", json!("2026-02-30")), Code::InvalidInput, "occurred_at", "`2026-03`"),
            (with("evidence_quality", json!(1.5)), Code::InvalidInput, "evidence_quality", "at most 1"),
            (with("evidence_type", json!("rumour")), Code::InvalidInput, "evidence_type", "`external`"),
            (with("importance", json!(-0.1)), Code::InvalidInput, "importance", "at least 0"),
            (with("duration_ms", json!(-1)), Code::InvalidInput, "duration_ms", "at least 0"),
            (with("caused_by", json!(999_999)), Code::NotFound, "caused_by", "of the same project"),
            (with("caused_by", foreign.clone()), Code::NotFound, "caused_by", "of the same project"),
            (with("metrics", json!({"": 1})), Code::InvalidInput, "metrics", "names"),
            (with("project", json!("nowhere")), Code::NotFound, "project", "athena project create"),
            (with("colour", json!(1)), Code::InvalidInput, "colour", "known: "),
        ] {
            let error = app.refused("event.record", event).await;
            assert_eq!((error.code(), error.field()), (code, Some(field)), "{error}");
            assert!(error.message().contains(says), "{error}");
        }
        assert!(timeline(app, json!({})).await.is_empty());
        let error = app.refused("event.get", json!({"id": 999_999})).await;
        assert_eq!((error.code(), error.field()), (Code::NotFound, Some("id")));
        let error = app.refused("event.compare", json!({"first": foreign, "second": 999_999})).await;
        assert_eq!((error.code(), error.field()), (Code::NotFound, Some("second")));
        let error = app.refused("event.changes_since_pass", json!({"test_name": "unknown"})).await;
        assert_eq!((error.code(), error.field()), (Code::NotFound, Some("test_name")));
        let error = app.refused("event.record_batch", json!({"events": []})).await;
        assert_eq!(error.field(), Some("events"));
    }

    /// A mebibyte is fine, and found.
    async fn all_that_is_allowed(app: TestApp) {
        let mut large = "needle in ".to_owned();
        large.push_str(&"haystack straw ".repeat(69_905));
        large.truncate(1024 * 1024);
        let id = record(app, json!({"content": large})).await;
        assert_eq!(found(app, "needle").await, [id]);
        assert_eq!(app.call("event.get", json!({"id": id})).await["content"].as_str().unwrap().len(), 1024 * 1024);
        for content in ["👩‍👩‍👧‍👦🏳️‍🌈", "שלום עולם", "こんにちは世界", "'; DROP TABLE episodic_events; --"] {
            let id = record(app, json!({"content": content, "tags": [content], "session": content})).await;
            assert_eq!(timeline(app, json!({"tag": content, "session": content})).await, [id]);
        }
    }

    /// Events are found by what they say, what was learned, and the names of what they are about.
    async fn searching(app: TestApp) {
        let parser = record(app, json!({"content": "Repaired the tokenizer", "session": "s1", "event_type": "code_edit", "learned": "Whitespace may be exotic", "file_path": "src/grammar.rs"})).await;
        let server = record(app, json!({"content": "Deployed to the staging server", "session": "s2", "event_type": "deployment", "occurred_at": "2026-02-01"})).await;
        app.remember("The tokenizer belongs to the parser team").await;
        assert_eq!(found(app, "tokenizer").await, [parser]);
        assert_eq!(found(app, "exotic whitespace").await[0], parser);
        assert_eq!(found(app, "grammar.rs").await[0], parser);
        let asked = app.call("event.search", json!({"query": "staging server"})).await;
        assert_eq!(asked["hits"][0]["id"], server);
        assert!(asked["hits"][0]["score"].as_f64().unwrap() > 0.0 && asked["hits"][0]["match"].is_f64());
        for (filter, value) in [("session", json!("s1")), ("event_type", json!("code_edit")), ("after", json!("2026-02-15T00:00:00Z"))] {
            let mut input = json!({"query": "tokenizer staging server", "min_score": 0.05});
            input[filter] = value;
            assert_eq!(ids(&app.call("event.search", input).await["hits"]), [parser], "{filter}");
        }
        let recalled = app.recall("staging server").await;
        assert!(recalled.len() <= 1, "events are no memories: {recalled:?}");
    }

    /// How long something went on, and what it consisted of.
    async fn spans(app: TestApp) {
        let empty = app.call("event.span", json!({})).await;
        assert_eq!((&empty["count"], &empty["elapsed"]), (&json!(0), &json!("0s")));
        let mut told = Vec::new();
        for (content, hour, outcome, speed) in [("Build one", 1, "failure", 10.0), ("Build two", 2, "success", 20.0), ("Build three", 7, "success", 60.0)] {
            told.push(record(app, json!({
                "content": content, "session": "s", "event_type": "deployment", "outcome": outcome,
                "duration_ms": 60_000, "metrics": {"speed": speed}, "occurred_at": format!("2026-02-0{hour}T12:30:00Z"),
            })).await);
        }
        record(app, json!({"content": "Had lunch", "occurred_at": "2026-02-20"})).await;
        let span = app.call("event.span", json!({"session": "s"})).await;
        assert_eq!(span["count"], 3);
        assert_eq!((&span["first"]["id"], &span["last"]["id"]), (&json!(told[0]), &json!(told[2])));
        assert_eq!((&span["elapsed_ms"], &span["elapsed"]), (&json!(6 * 86_400_000), &json!("6d")));
        assert_eq!((&span["duration_ms"], &span["duration"]), (&json!(180_000), &json!("3m")));
        assert_eq!(span["longest_gap"], json!({"from": told[1], "to": told[2], "gap_ms": 5 * 86_400_000, "gap": "5d"}));
        assert_eq!(span["types"], json!({"deployment": 3}));
        assert_eq!(span["outcomes"], json!({"failure": 1, "success": 2}));
        assert_eq!(span["metrics"], json!([{"name": "speed", "count": 3, "min": 10.0, "mean": 30.0, "max": 60.0}]));
        let lunch = app.call("event.span", json!({"query": "lunch"})).await;
        assert_eq!((&lunch["count"], &lunch["first"]["precision"]), (&json!(1), &json!("day")));
        assert_eq!(app.call("event.span", json!({"outcome": "success"})).await["count"], 2);
    }

    /// What happened around an event, and why.
    async fn around(app: TestApp) {
        let at = |minute: u32, event_type: &str, more: Value| {
            let mut event = json!({
                "content": format!("{event_type} at {minute}"), "event_type": event_type, "session": "s",
                "occurred_at": format!("2026-02-01T10:{minute:02}:00Z"),
            });
            event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            event
        };
        let decision = record(app, at(0, "decision", json!({}))).await;
        let error = record(app, at(10, "error", json!({"file_path": "a.rs"}))).await;
        let fix = record(app, at(25, "code_edit", json!({"file_path": "a.rs", "caused_by": error}))).await;
        let run = record(app, at(40, "test_run", json!({"outcome": "success"}))).await;
        record(app, json!({"content": "Elsewhere", "session": "other", "occurred_at": "2026-02-01T10:26:00Z"})).await;

        let around = app.call("event.around", json!({"id": fix})).await;
        assert_eq!(ids(&around["before"]), [decision, error]);
        assert_eq!(ids(&around["after"]), [run]);
        assert_eq!(around["cause"]["id"], error);
        let links = around["links"].as_array().unwrap();
        let link = |from: i64, to: i64, kind: &str| {
            links.iter().find(|link| link["from"] == from && link["to"] == to && link["kind"] == kind)
        };
        let fixes = link(error, fix, "inferred").unwrap();
        assert_eq!(fixes["relation"], "fixes");
        assert!(near(&fixes["strength"], 0.5 + 0.2 * 0.75 + 0.2 + 0.1), "{fixes}");
        assert_eq!(link(decision, fix, "inferred").unwrap()["relation"], "carries_out");
        assert_eq!(link(fix, run, "inferred").unwrap()["relation"], "makes_pass");
        assert_eq!(link(error, fix, "told").unwrap()["strength"], 1.0);
        assert_eq!(link(fix, run, "temporal").unwrap()["relation"], "shortly_after");
        let nearest = app.call("event.around", json!({"id": fix, "limit": 1})).await;
        assert_eq!(ids(&nearest["before"]), [error]);
    }

    /// When a test passed last, and what was changed since.
    async fn since_a_test_passed(app: TestApp) {
        let run = |day: u32, passed: bool| json!({
            "content": format!("Ran on {day}"), "event_type": "test_run", "test_name": "it works", "test_passed": passed,
            "occurred_at": format!("2026-02-{day:02}T10:00:00Z"),
        });
        let change = |day: u32| json!({
            "content": format!("Changed on {day}"), "event_type": "file_change", "occurred_at": format!("2026-02-{day:02}T12:00:00Z"),
        });
        let early = record(app, change(1)).await;
        let first_failure = record(app, run(2, false)).await;
        let never = app.call("event.changes_since_pass", json!({"test_name": "it works"})).await;
        assert_eq!((&never["last_pass"], &never["first_failure"]["id"]), (&json!(null), &json!(first_failure)));
        assert_eq!(ids(&never["changes"]), [early]);

        record(app, change(3)).await;
        let pass = record(app, run(4, true)).await;
        let one = record(app, change(5)).await;
        let commit = record(app, json!({"content": "Merged", "git_commit": "abc", "occurred_at": "2026-02-06"})).await;
        record(app, json!({"content": "Talked", "event_type": "conversation", "occurred_at": "2026-02-06"})).await;
        // What names the commit that it ran on has changed nothing.
        for event_type in ["deployment", "test_run", "code_review"] {
            let ran = json!({"content": "Ran", "event_type": event_type, "git_commit": "abc", "occurred_at": "2026-02-07"});
            record(app, ran).await;
        }
        let passing = app.call("event.changes_since_pass", json!({"test_name": "it works"})).await;
        assert_eq!(passing["first_failure"], json!(null));
        let failure = record(app, run(8, false)).await;
        record(app, change(9)).await;
        record(app, run(10, false)).await;
        let since = app.call("event.changes_since_pass", json!({"test_name": "it works"})).await;
        assert_eq!((&since["last_pass"]["id"], &since["first_failure"]["id"]), (&json!(pass), &json!(failure)));
        assert_eq!((ids(&since["changes"]), &since["more"]), (vec![commit, one], &json!(false)));
        let last = app.call("event.changes_since_pass", json!({"test_name": "it works", "limit": 1})).await;
        assert_eq!((ids(&last["changes"]), &last["more"]), (vec![commit], &json!(true)));
    }

    /// Use, consolidation, and what is suggested.
    async fn use_and_consolidation(app: TestApp) {
        let id = record(app, json!({"content": "Found the cause", "importance": 0.9})).await;
        app.clock.advance(10 * 86_400);
        let before = app.call("event.get", json!({"id": id})).await;
        assert!(near(&before["activation"], -0.5 * 240_f64.ln() + 1.5), "{before}");
        assert_eq!(app.call("event.mark_used", json!({"id": id})).await["uses"], 1);
        assert_eq!(app.call("event.mark_used", json!({"id": id})).await["uses"], 2);
        let used = app.call("event.get", json!({"id": id})).await;
        assert_eq!((&used["uses"], &used["suggestion"]), (&json!(2), &json!("consolidate")));
        assert!(used["activation"].as_f64() > before["activation"].as_f64());

        let memory = app.remember("The cause is known").await;
        let error = app.refused("event.consolidate", json!({"id": id, "status": "consolidated", "memory": 999_999})).await;
        assert_eq!((error.code(), error.field()), (Code::NotFound, Some("memory")));
        let done = app.call("event.consolidate", json!({"id": id, "status": "consolidated", "memory": memory})).await;
        assert_eq!((&done["from"], &done["status"], &done["memory_id"]), (&json!("unconsolidated"), &json!("consolidated"), &json!(memory)));
        assert!(done["consolidated_at"].is_string());
        assert_eq!(timeline(app, json!({"status": "consolidated"})).await, [id]);
        let after = app.call("event.get", json!({"id": id})).await;
        assert_eq!(after["suggestion"], json!(null));
    }

    /// An event of a session is compared with those before it, in a batch as one by one.
    async fn surprise(app: TestApp) {
        let step = |index: usize, session: &str| json!({
            "content": format!("Ran the unit tests of module {index}, all passed"), "session": session,
            "occurred_at": format!("2026-02-01T10:{index:02}:00Z"),
        });
        let odd = |session: &str| json!({
            "content": "Power failure destroyed both disks", "event_type": "error", "outcome": "failure", "session": session,
            "occurred_at": "2026-02-01T11:00:00Z", "agent": session,
        });
        let mut last = 0;
        for index in 0..6 {
            last = record(app, step(index, "single")).await;
        }
        let usual = app.call("event.get", json!({"id": last})).await["surprise"].as_f64().unwrap();
        let surprising = record(app, odd("single")).await;
        let surprise = app.call("event.get", json!({"id": surprising})).await["surprise"].clone();
        assert!(usual < 3.5 && surprise.as_f64().unwrap() >= 3.5, "{usual} {surprise}");
        assert_eq!(timeline(app, json!({"surprising": true})).await, [surprising]);

        app.call("project.create", json!({"name": "batch"})).await;
        let mut events: Vec<Value> = (0..6).map(|index| step(index, "single")).collect();
        events.insert(0, odd("single"));
        let told = app.call("event.record_batch", json!({"project": "batch", "events": events})).await;
        let same = app.call("event.get", json!({"id": told["events"][0]["id"]})).await;
        assert_eq!(same["surprise"], surprise);
    }

    /// Removing can be undone, unless the event was recorded anew.
    async fn removing(app: TestApp) {
        let told = json!({"content": "Pushed the wrong button", "idempotency_key": "b1"});
        let id = record(app, told.clone()).await;
        for _ in 0..2 {
            app.call("event.remove", json!({"id": id})).await;
            assert!(found(app, "wrong button").await.is_empty());
            assert!(timeline(app, json!({})).await.is_empty());
            assert_eq!(timeline(app, json!({"removed": true})).await, [id]);
            for operation in ["event.get", "event.mark_used", "event.around"] {
                assert_eq!(app.refused(operation, json!({"id": id})).await.code(), Code::NotFound);
            }
            let restored = app.call("event.restore", json!({"id": id})).await;
            assert_eq!(restored["removed_at"], json!(null));
            assert_eq!(found(app, "wrong button").await, [id]);
        }
        app.call("event.remove", json!({"id": id})).await;
        let anew = record(app, told).await;
        let error = app.refused("event.restore", json!({"id": id})).await;
        assert_eq!(error.code(), Code::Conflict);
        assert!(error.message().contains(&format!("`{anew}`")), "{error}");
    }

    /// A purge leaves nothing, neither of the event nor of what it mentions.
    async fn purging(app: TestApp) {
        let cause = record(app, json!({
            "content": "Zanzibar was leaked to spy@engines.io", "context_files": ["zanzibar.txt"], "file_path": "zanzibar.txt",
            "metrics": {"leaks": 1.0}, "learned": "Keep Zanzibar quiet",
        })).await;
        let effect = record(app, json!({"content": "Meetings were called", "caused_by": cause})).await;
        assert_eq!(app.call("event.get", json!({"id": effect})).await["caused_by"], cause);
        let receipt = app.call("event.purge", json!({"id": cause})).await;
        assert_eq!((&receipt["files"], &receipt["metrics"]), (&json!(1), &json!(1)), "{receipt}");
        assert!(receipt["sealed_values"].as_u64().unwrap() >= 1, "{receipt}");
        assert!(receipt["search_records"].as_u64().unwrap() >= 1);
        assert_eq!(app.refused("event.restore", json!({"id": cause})).await.code(), Code::NotFound);
        assert_eq!(app.call("event.get", json!({"id": effect})).await["caused_by"], json!(null));
        let records = format!("{:?}", logged_records(app.env.db()).await).to_lowercase();
        assert!(!records.contains("zanzibar"), "a word of a purged event is still in the search log");
        if let Some(folder) = app.store.folder() {
            for file in std::fs::read_dir(folder).unwrap() {
                let bytes = std::fs::read(file.unwrap().path()).unwrap();
                assert!(!bytes.windows(8).any(|window| window.eq_ignore_ascii_case(b"zanzibar")), "in a file");
            }
        }
    }

    /// Personal data is replaced wherever it is told, and files are found by either form of their path.
    async fn personal_data(app: TestApp) {
        let id = record(app, json!({
            "content": "Wrote to ada.byron@engines.io", "git_author": "ada.byron@engines.io", "diff": "+ ada.byron@engines.io",
            "file_path": "/home/ada/src/auth.py", "stack_trace": "File \"/home/ada/src/auth.py\", line 3",
        })).await;
        let kept = app.call("event.get", json!({"id": id})).await;
        let text = kept.to_string();
        assert!(!text.contains("ada.byron@engines.io") && !text.contains("/home/ada"), "{text}");
        assert_eq!((&kept["file_path"], &kept["diff"]), (&json!("~/src/auth.py"), &json!("[diff redacted]")));
        assert!(kept["git_author"].as_str().unwrap().starts_with("[email:"), "{text}");
        for path in ["/home/ada/src/auth.py", "~/src/auth.py"] {
            assert_eq!(timeline(app, json!({"file": path})).await, [id], "{path}");
        }
    }

    /// Another process finds what was recorded, also where the search log was made anew.
    async fn found_by_another_process(app: TestApp) {
        let id = record(app, json!({"content": "The heron landed"})).await;
        let removed = record(app, json!({"content": "The heron left"})).await;
        app.call("event.remove", json!({"id": removed})).await;
        for step in ["UPDATE search_heads SET seq = seq", "UPDATE search_heads SET format = 0"] {
            app.env.db().execute(step, params! {}).await.unwrap();
            let (env, ctx) = app.another().await;
            let found = app.registry.call("event.search", &ctx, json!({"query": "heron"}), None).await.unwrap();
            assert_eq!(ids(&found["hits"]), [id], "{step}");
            env.db().close().await.unwrap();
        }
    }

    /// How far a source was read is kept for each source of each project.
    async fn sources(app: TestApp) {
        let git = json!({"source": "git:main"});
        assert_eq!(app.call("event.cursor", git.clone()).await, json!({"source": "git:main"}));
        for head in ["abc", "def"] {
            app.clock.advance(1);
            let set = app.call("event.set_cursor", json!({"source": "git:main", "position": {"head": head}})).await;
            assert_eq!(app.call("event.cursor", git.clone()).await, set);
            assert_eq!(set["position"], json!({"head": head}));
        }
        assert_eq!(app.call("event.cursor", json!({"source": "git:other"})).await, json!({"source": "git:other"}));
    }

    /// How far a source was read is forgotten for good, with what was said about it.
    async fn purging_sources(app: TestApp) {
        let source = json!({"source": "mail of spy@engines.io"});
        let set = json!({"source": source["source"], "position": {"to": "ada.byron@engines.io"}});
        let noted = app.registry.call("event.set_cursor", &app.ctx, set, Some("k1".to_owned())).await.unwrap();
        assert_eq!(app.call("event.cursor", source.clone()).await["position"], noted["position"]);
        let receipt = app.call("event.purge_cursor", source.clone()).await;
        assert_eq!((&receipt["kept_answers"], &receipt["sealed_values"]), (&json!(1), &json!(3)));
        assert_eq!(app.call("event.cursor", source.clone()).await["position"], json!(null));
        let error = app.refused("event.purge_cursor", source).await;
        assert_eq!((error.code(), error.field()), (Code::NotFound, Some("source")));
    }

    /// Commits that were read twice are stored once.
    async fn commits(app: TestApp) {
        let log = "commit dbb0a89dee6d7cec6a003dd18e19c59c5203bcc8\0ada.byron@engines.io\0\
            2026-02-28T10:00:00+01:00\0Close the gap\n\0\0\n10\t3\tsrc/items.rs\0";
        let records = athena_memory::events::parse(log).unwrap();
        let batch = json!({"events": records});
        assert_eq!(app.call("event.record_batch", batch.clone()).await["stats"]["inserted"], 1);
        app.clock.advance(86_400);
        assert_eq!(app.call("event.record_batch", batch).await["stats"]["skipped_existing"], 1);
        let listed = app.call("event.list", json!({"file": "src/items.rs"})).await;
        assert_eq!(listed["items"][0]["lines_added"], 10);
        assert_eq!(listed["items"][0]["occurred_at"], "2026-02-28T09:00:00Z");
    }
}
