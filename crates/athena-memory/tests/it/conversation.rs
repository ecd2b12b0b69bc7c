//! Sessions, threads and messages.

use crate::privacy::everything;
use athena_core::{Code, Ctx};
use athena_db::{Executor, params};
use athena_privacy::Policy;
use athena_store::rotate;
use athena_testkit::{TestApp, json, logged_records, privacy_with_keys, story};
use serde_json::Value;

/// Makes a thread and returns its id.
async fn thread(app: &TestApp) -> i64 {
    let made = app
        .call("thread.create", json!({"title": "A talk", "session": "s1"}))
        .await;
    made["id"].as_i64().unwrap()
}

/// Adds a message and returns what was answered.
async fn say(app: &TestApp, thread: i64, role: &str, content: &str) -> Value {
    app.call(
        "message.add",
        json!({"thread": thread, "role": role, "content": content}),
    )
    .await
}

/// Returns the contents of the messages that a search finds.
async fn found(app: &TestApp, input: Value) -> Vec<String> {
    let found = app.call("message.search", input).await;
    let hits = found["hits"].as_array().unwrap();
    hits.iter()
        .map(|hit| hit["message"]["content"].as_str().unwrap().to_owned())
        .collect()
}

story! {
    /// Eight who write to one thread at once, from several processes, get numbers without gap or tie.
    async fn many_write_at_once(app: TestApp) {
        let id = thread(app).await;
        let mut processes = Vec::new();
        for _ in 0..4 {
            processes.push(app.another().await);
        }
        let writers = (0..8_usize).map(|writer| {
            let ctx = processes[writer % 4].1.clone();
            async move {
                for number in 0..10 {
                    let input = json!({"thread": id, "role": "user", "content": format!("{writer} says {number}")});
                    app.registry.call("message.add", &ctx, input, None).await.unwrap();
                }
            }
        });
        futures_util::future::join_all(writers).await;
        let listed = app.call("message.list", json!({"thread": id, "limit": 1_000})).await;
        let listed = listed["items"].as_array().unwrap();
        let seqs: Vec<i64> = listed.iter().map(|it| it["seq"].as_i64().unwrap()).collect();
        assert_eq!(seqs, (1..=80).collect::<Vec<i64>>());
        for writer in 0..8 {
            let begins = format!("{writer} says ");
            let own = listed.iter().filter_map(|it| it["content"].as_str().unwrap().strip_prefix(&begins));
            assert!(own.eq((0..10).map(|number| number.to_string())), "each in its own order");
        }
        let got = app.call("thread.get", json!({"thread": id})).await;
        assert_eq!((&got["thread"]["messages"], &got["thread"]["last_seq"]), (&json!(80), &json!(80)));
        assert!(got["thread"]["summary_to_seq"].as_i64().unwrap() > 0, "it was summarised meanwhile");
        for (env, _) in processes {
            env.db().close().await.unwrap();
        }
    }

    /// A list goes both ways, in pages.
    async fn messages_in_order(app: TestApp) {
        let id = thread(app).await;
        let messages: Vec<Value> = (1..=7).map(|number| json!({"role": "user", "content": number.to_string()})).collect();
        let added = app.call("message.add_batch", json!({"thread": id, "messages": messages})).await;
        assert_eq!(added["messages"][6]["seq"], 7);
        for (order, expected) in [("oldest", "1 2 3 4 5 6 7"), ("newest", "7 6 5 4 3 2 1")] {
            let (mut contents, mut input) = (Vec::new(), json!({"thread": id, "order": order, "limit": 3}));
            loop {
                let page = app.call("message.list", input.clone()).await;
                contents.extend(page["items"].as_array().unwrap().iter().map(|it| it["content"].as_str().unwrap().to_owned()));
                if page["next_cursor"].is_null() {
                    break;
                }
                input["cursor"] = page["next_cursor"].clone();
            }
            assert_eq!(contents.join(" "), expected);
        }
    }

    /// Messages are found by their words and by what they mean, in any script, and narrowed.
    async fn finding(app: TestApp) {
        let id = thread(app).await;
        let other = app.call("thread.create", json!({"title": "Other"})).await["id"].as_i64().unwrap();
        say(app, id, "user", "Why does the payment service time out?").await;
        say(app, id, "assistant", "The connection pool is exhausted.").await;
        say(app, other, "user", "次の会議は火曜日です 🎌").await;
        app.call("message.add", json!({"thread": other, "role": "user", "content": "The payment is due", "user": "ada"})).await;
        assert_eq!(found(app, json!({"query": "connection pool"})).await[0], "The connection pool is exhausted.");
        assert_eq!(found(app, json!({"query": "火曜日の会議"})).await[0], "次の会議は火曜日です 🎌");
        let narrowed = [
            (json!({"query": "payment", "thread": id}), "Why does the payment service time out?"),
            (json!({"query": "payment", "session": "s1"}), "Why does the payment service time out?"),
            (json!({"query": "payment", "user": "ada"}), "The payment is due"),
            (json!({"query": "payment pool", "role": "assistant"}), "The connection pool is exhausted."),
        ];
        for (input, expected) in narrowed {
            let all = found(app, input.clone()).await;
            assert_eq!(all[0], expected, "{input}");
        }
        let hit = app.call("message.search", json!({"query": "exhausted", "limit": 1})).await;
        assert_eq!((&hit["hits"][0]["thread_title"], &hit["hits"][0]["session"]), (&json!("A talk"), &json!("s1")));
        assert!(app.recall("connection pool").await.is_empty(), "messages are no memories");

        app.call("thread.remove", json!({"thread": id})).await;
        assert!(found(app, json!({"query": "exhausted"})).await.iter().all(|it| it != "The connection pool is exhausted."));
        app.call("thread.restore", json!({"thread": id})).await;
        assert_eq!(found(app, json!({"query": "exhausted"})).await[0], "The connection pool is exhausted.");
    }

    /// A window never has more tokens than there are, says what it leaves out, and keeps calls and
    /// answers together.
    async fn windows(app: TestApp) {
        let id = thread(app).await;
        for number in 1..=30_usize {
            let content = format!("Message {number} {}", "about the weather ".repeat(number % 5 + 1));
            say(app, id, if number % 2 == 1 { "user" } else { "assistant" }, &content).await;
        }
        app.call("thread.summarise", json!({"thread": id, "to_seq": 20, "max_tokens": 50})).await;
        let call = json!({"thread": id, "role": "assistant", "tool_calls": [{"id": "c1", "function": {"name": "forecast"}}]});
        app.call("message.add", call).await;
        app.call("message.add", json!({"thread": id, "role": "tool", "tool_call_id": "c1", "content": "Rain. ".repeat(10)})).await;
        say(app, id, "assistant", "It will rain.").await;
        for budget in [1, 3, 4, 10, 20, 25, 40, 60, 100, 200, 400, 10_000] {
            let window = app.call("thread.context", json!({"thread": id, "budget_tokens": budget})).await;
            assert!(window["tokens"].as_i64().unwrap() <= budget, "{window}");
            let messages = window["messages"].as_array().unwrap();
            let calls = messages.iter().any(|it| it["tool_calls"].is_array());
            assert!(calls || messages.iter().all(|it| it["role"] != "tool"), "{window}");
            let shown: Vec<i64> = messages.iter().map(|it| it["seq"].as_i64().unwrap()).collect();
            assert!(shown.is_sorted(), "{window}");
            let hidden: Vec<i64> = (1..=33).filter(|seq| !shown.contains(seq)).collect();
            match (hidden.first(), hidden.last()) {
                (Some(first), Some(last)) => {
                    let left_out = json!({"messages": hidden.len(), "first_seq": first, "last_seq": last});
                    assert_eq!(window["left_out"], left_out, "{window}");
                }
                _ => assert_eq!((&window["left_out"], &window["summary"]), (&Value::Null, &Value::Null)),
            }
            if budget == 200 {
                assert!(window["summary"].as_str().unwrap().contains("about the weather"), "{window}");
            }
        }
        let tiny = app.call("thread.context", json!({"thread": id, "budget_tokens": 1})).await;
        assert_eq!((&tiny["messages"], &tiny["left_out"]), (&json!([]), &json!({"messages": 33, "first_seq": 1, "last_seq": 33})));
    }

    /// A summary covers what it says, grows by itself, and is made anew when asked.
    async fn summaries(app: TestApp) {
        let id = thread(app).await;
        say(app, id, "user", "We must migrate the ledger to PostgreSQL before March.").await;
        say(app, id, "assistant", "I will write the ledger migration first.").await;
        let summary = app.call("thread.summarise", json!({"thread": id})).await;
        assert_eq!(summary["covers_up_to_seq"], 2);
        assert!(summary["summary"].as_str().unwrap().contains("migrate the ledger"), "{summary}");
        let messages: Vec<Value> = (0..50).map(|number| json!({"role": "user", "content": format!("Step {number} of the ledger is done.")})).collect();
        app.call("message.add_batch", json!({"thread": id, "messages": messages})).await;
        let stats = app.call("thread.stats", json!({"thread": id})).await;
        assert_eq!((&stats["summary_to_seq"], &stats["not_summarised"]), (&json!(2), &json!(50)));
        say(app, id, "assistant", "The invoices come next.").await;
        let got = app.call("thread.get", json!({"thread": id})).await;
        assert_eq!(got["thread"]["summary_to_seq"], 53);
        assert!(got["summary"].as_str().unwrap().contains("ledger"), "{got}");
        assert_eq!(got["turns"], 2);
        let error = app.refused("thread.summarise", json!({"thread": id, "to_seq": 2})).await;
        assert_eq!(error.field(), Some("to_seq"));
        let anew = app.call("thread.summarise", json!({"thread": id, "to_seq": 2, "anew": true})).await;
        assert_eq!((&anew["covers_up_to_seq"], &anew["summary"]), (&json!(2), &summary["summary"]));
        let error = app.refused("thread.summarise", json!({"thread": id, "to_seq": 99})).await;
        assert_eq!(error.field(), Some("to_seq"));
    }

    /// Closed and archived threads take no messages, and say how to go on; both can be undone.
    async fn states(app: TestApp) {
        let id = thread(app).await;
        for (close, open, state) in [
            ("thread.close", "thread.reopen", "closed"),
            ("thread.archive", "thread.unarchive", "archived"),
        ] {
            app.call(close, json!({"thread": id})).await;
            let error = app.refused("message.add", json!({"thread": id, "role": "user", "content": "x"})).await;
            assert_eq!((error.code(), error.field()), (Code::InvalidState, Some("thread")));
            assert!(error.message().contains(open) && error.message().contains(state), "{error}");
            let listed = app.call("thread.list", json!({"state": state})).await;
            assert_eq!(listed["items"][0]["id"], id);
            assert_eq!(app.call("thread.list", json!({"state": "open"})).await["items"], json!([]));
            app.call(open, json!({"thread": id})).await;
        }
        assert_eq!(say(app, id, "user", "x").await["seq"], 1, "what was refused took no number");
        app.call("thread.remove", json!({"thread": id})).await;
        let error = app.refused("message.add", json!({"thread": id, "role": "user", "content": "x"})).await;
        assert_eq!(error.code(), Code::NotFound);
        assert!(error.message().contains("thread.restore"), "{error}");
        assert_eq!(app.call("thread.list", json!({})).await["items"], json!([]));
        assert_eq!(app.call("thread.list", json!({"state": "removed"})).await["items"][0]["id"], id);
        app.call("thread.restore", json!({"thread": id})).await;
        let updated = app.call("thread.update", json!({"thread": id, "title": "Renamed"})).await;
        assert_eq!((&updated["title"], &updated["session"]), (&json!("Renamed"), &json!("s1")));
    }

    /// A thread whose time is over is not there, and is removed for good soon after.
    async fn expiry(app: TestApp) {
        let short = app.call("thread.create", json!({"ttl_seconds": 60})).await["id"].as_i64().unwrap();
        let long = app.call("thread.create", json!({"ttl_seconds": 60})).await["id"].as_i64().unwrap();
        for id in [short, long] {
            say(app, id, "user", &format!("Quagga number {id}")).await;
        }
        app.call("thread.update", json!({"thread": long, "keep": true})).await;
        app.clock.advance(60);
        assert_eq!(app.refused("thread.get", json!({"thread": short})).await.code(), Code::NotFound);
        assert_eq!(app.call("thread.list", json!({})).await["items"].as_array().unwrap().len(), 1);
        assert_eq!(found(app, json!({"query": "quagga"})).await.len(), 1);
        athena_store::flush(&app.env).await;
        let records = format!("{:?}", logged_records(app.env.db()).await);
        assert!(!records.contains(&format!("thread:{short}")), "{records}");
        assert!(records.contains(&format!("thread:{long}")));
    }

    /// A purge leaves nothing to be found, of a message and of a thread, in summaries neither.
    async fn purging(app: TestApp) {
        let id = thread(app).await;
        let secret = say(app, id, "user", "Zanzibar is the name of the merger. Ask ada.byron@engines.io.").await;
        say(app, id, "assistant", "Understood.").await;
        app.call("thread.summarise", json!({"thread": id})).await;
        let receipt = app.call("message.purge", json!({"id": secret["id"]})).await;
        assert_eq!((&receipt["messages"], &receipt["sealed_values"]), (&json!(1), &json!(2)));
        let got = app.call("thread.get", json!({"thread": id})).await;
        assert_eq!((&got["summary"], &got["thread"]["messages"]), (&Value::Null, &json!(1)));
        assert_eq!(say(app, id, "user", "Zanzibar again").await["seq"], 3, "numbers are not given out twice");
        app.call("thread.remove", json!({"thread": id})).await;
        let receipt = app.call("thread.purge", json!({"thread": id})).await;
        assert_eq!(receipt["messages"], 2);
        assert!(receipt["search_records"].as_u64().unwrap() >= 2);
        assert_eq!(app.refused("thread.restore", json!({"thread": id})).await.code(), Code::NotFound);
        assert!(found(app, json!({"query": "Zanzibar"})).await.is_empty());
        let records = format!("{:?}", logged_records(app.env.db()).await).to_lowercase();
        assert!(!records.contains("zanzibar"), "a word of a purged message is still in the search log");
        if let Some(folder) = app.store.folder() {
            for file in std::fs::read_dir(folder).unwrap() {
                let bytes = std::fs::read(file.unwrap().path()).unwrap();
                assert!(!bytes.windows(8).any(|window| window.eq_ignore_ascii_case(b"zanzibar")), "in a file");
            }
        }
    }

    /// Starting a session again goes on with it; a thread makes its session known.
    async fn sessions(app: TestApp) {
        let first = app.call("session.start", json!({"session": "s1", "agent": "ada", "context": {"branch": "main"}})).await;
        app.clock.advance(10);
        let again = app.call("session.start", json!({"session": "s1"})).await;
        assert_eq!((&again["id"], &again["context"]), (&first["id"], &json!({"branch": "main"})));
        thread(app).await;
        app.call("thread.create", json!({"session": "s2"})).await;
        assert_eq!(app.call("session.get", json!({"session": "s1"})).await["threads"], 1);
        let ended = app.call("session.end", json!({"session": "s1"})).await;
        assert!(ended["ended_at"].is_string());
        let listed = app.call("session.list", json!({"limit": 1})).await;
        assert_eq!(listed["items"][0]["session"], "s2");
        assert!(listed["next_cursor"].is_string());
        assert_eq!(app.call("session.list", json!({"agent": "ada"})).await["items"].as_array().unwrap().len(), 1);
        assert!(app.call("session.start", json!({"session": "s1"})).await["ended_at"].is_null());
        let made_up = app.call("session.start", json!({})).await;
        assert!(!made_up["session"].as_str().unwrap().is_empty());
        let error = app.refused("session.end", json!({"session": "s9"})).await;
        assert_eq!((error.code(), error.field()), (Code::NotFound, Some("session")));
    }

    /// A session is removed for good once it has no threads, and nothing that was said of it stays.
    async fn purging_sessions(app: TestApp) {
        let id = thread(app).await;
        let start = json!({"session": "s1", "context": {"about": "spy@engines.io"}});
        app.registry.call("session.start", &app.ctx, start, Some("k1".to_owned())).await.unwrap();
        app.call("thread.remove", json!({"thread": id})).await;
        let error = app.refused("session.purge", json!({"session": "s1"})).await;
        assert_eq!((error.code(), error.field()), (Code::InvalidState, Some("session")));
        app.call("thread.purge", json!({"thread": id})).await;
        let receipt = app.call("session.purge", json!({"session": "s1"})).await;
        assert_eq!((&receipt["kept_answers"], &receipt["sealed_values"]), (&json!(1), &json!(2)));
        for operation in ["session.get", "session.purge"] {
            let error = app.refused(operation, json!({"session": "s1"})).await;
            assert_eq!((error.code(), error.field()), (Code::NotFound, Some("session")));
        }
    }

    /// A purge takes along the answer that showed a summary.
    async fn purging_answers_with_summaries(app: TestApp) {
        let id = thread(app).await;
        say(app, id, "user", "Zanzibar is where the meeting is held this year.").await;
        let summarise = json!({"thread": id});
        app.registry.call("thread.summarise", &app.ctx, summarise, Some("k1".to_owned())).await.unwrap();
        let receipt = app.call("thread.purge", json!({"thread": id})).await;
        assert_eq!(receipt["kept_answers"], 1);
    }

    /// Who asks where things were left is told; who does not, or too late, is not.
    async fn resuming(app: TestApp) {
        let nothing = app.call("conversation.resume", json!({"prompt": "Where did we leave off?"})).await;
        assert_eq!((&nothing["is_resume_phrase"], &nothing["last_turns"]), (&json!(true), &json!([])));
        let id = thread(app).await;
        for number in 1..=5 {
            say(app, id, "user", &format!("Question {number}")).await;
            app.call("message.add", json!({"thread": id, "role": "assistant", "tool_calls": [{"id": "x"}]})).await;
            say(app, id, "assistant", &format!("Answer {number}")).await;
        }
        app.call("thread.summarise", json!({"thread": id})).await;
        let resumed = app.call("conversation.resume", json!({"prompt": "Hi! WHERE did we leave off?"})).await;
        assert_eq!((&resumed["session"]["session"], &resumed["thread"]["id"]), (&json!("s1"), &json!(id)));
        let turns = resumed["last_turns"].as_array().unwrap();
        let said: Vec<&str> = turns.iter().map(|it| it["user"]["content"].as_str().unwrap()).collect();
        assert_eq!(said, ["Question 3", "Question 4", "Question 5"]);
        assert_eq!(turns[2]["assistant"]["content"], "Answer 5");
        assert!(resumed["summary"].is_string());
        assert!(resumed["options"][0].as_str().unwrap().contains(&format!("thread {id}")));
        let other = app.call("conversation.resume", json!({"prompt": "Add a test"})).await;
        assert_eq!((&other["is_resume_phrase"], &other["thread"]), (&json!(false), &Value::Null));
        let asked = app.call("conversation.resume", json!({})).await;
        assert_eq!((&asked["is_resume_phrase"], &asked["thread"]["id"]), (&json!(false), &json!(id)));
        app.clock.advance(24 * 3_600 + 1);
        let late = app.call("conversation.resume", json!({"prompt": "continue"})).await;
        assert_eq!((&late["thread"], &late["session"]), (&Value::Null, &Value::Null));
    }

    /// A session in which nothing has happened yet, and a thread without messages, hide nothing.
    async fn resuming_in_a_new_session(app: TestApp) {
        let id = thread(app).await;
        say(app, id, "user", "Where is the meeting?").await;
        app.clock.advance(60);
        app.call("session.start", json!({"session": "s9"})).await;
        let resumed = app.call("conversation.resume", json!({})).await;
        assert_eq!((&resumed["session"]["session"], &resumed["thread"]["id"]), (&json!("s1"), &json!(id)));
        app.call("thread.create", json!({"session": "s9"})).await;
        app.call("event.record", json!({"content": "Listed the files", "session": "s9"})).await;
        let resumed = app.call("conversation.resume", json!({})).await;
        assert_eq!(resumed["thread"]["id"], json!(id));
        assert_eq!(resumed["last_turns"][0]["user"]["content"], "Where is the meeting?");
        // A thread of no session is one as well.
        let free = app.call("thread.create", json!({})).await["id"].as_i64().unwrap();
        app.clock.advance(60);
        say(app, free, "user", "And when?").await;
        let resumed = app.call("conversation.resume", json!({})).await;
        assert_eq!((&resumed["session"], &resumed["thread"]["id"]), (&Value::Null, &json!(free)));
    }

    /// Without a thread, the last session in which something happened and the last snapshot that says
    /// something are named.
    async fn resuming_without_a_thread(app: TestApp) {
        app.call("session.start", json!({"session": "s1"})).await;
        app.call("event.record", json!({"content": "The tests pass", "session": "s1"})).await;
        let snapshot = app.call("snapshot.save", json!({"session": "s1", "next_step": "Release it"})).await["id"].clone();
        app.clock.advance(60);
        app.call("snapshot.save", json!({"session": "s2"})).await;
        app.call("session.start", json!({"session": "s2"})).await;
        let resumed = app.call("conversation.resume", json!({})).await;
        assert_eq!((&resumed["session"]["session"], &resumed["thread"]), (&json!("s1"), &Value::Null));
        assert_eq!(resumed["snapshot"]["id"], snapshot);
        let options = resumed["options"].to_string();
        assert!(options.contains(&format!("snapshot {snapshot}")) && options.contains("session `s1`"), "{options}");
        app.clock.advance(24 * 3_600 + 1);
        let late = app.call("conversation.resume", json!({})).await;
        assert_eq!((&late["session"], &late["snapshot"]), (&Value::Null, &Value::Null));
        assert_eq!(late["options"][0], "nothing was going on in the last 24 hours");
    }

    /// What is refused, and how it is said; one mebibyte is fine.
    async fn bad_input(app: TestApp) {
        let id = thread(app).await;
        for (input, code, field) in [
            (json!({"thread": id, "role": "user"}), Code::InvalidInput, "content"),
            (json!({"thread": id, "role": "user", "content": " \n"}), Code::InvalidInput, "content"),
            (json!({"thread": id, "role": "assistant"}), Code::InvalidInput, "content"),
            (json!({"thread": id, "role": "user", "content": "a\u{0}"}), Code::InvalidInput, "content"),
            (json!({"thread": id, "role": "robot", "content": "x"}), Code::InvalidInput, "role"),
            (json!({"thread": id, "role": "tool", "content": "x"}), Code::InvalidInput, "tool_call_id"),
            (json!({"thread": id, "role": "user", "content": "x", "tool_calls": [{"id": "c"}]}), Code::InvalidInput, "tool_calls"),
            (json!({"thread": id, "role": "user", "content": "x", "tokens": -1}), Code::InvalidInput, "tokens"),
            (json!({"thread": id, "role": "user", "content": "a".repeat(1024 * 1024 + 1)}), Code::ContentTooLarge, "content"),
            (json!({"thread": 999, "role": "user", "content": "x"}), Code::NotFound, "thread"),
        ] {
            let error = app.refused("message.add", input).await;
            assert_eq!((error.code(), error.field()), (code, Some(field)), "{error}");
        }
        let batch = json!({"thread": id, "messages": [{"role": "user", "content": "fine"}, {"role": "user"}]});
        assert_eq!(app.refused("message.add_batch", batch).await.field(), Some("messages[1].content"));
        let listed = app.call("message.list", json!({"thread": id})).await;
        assert_eq!(listed["items"], json!([]), "nothing was stored");
        for (operation, input, field) in [
            ("thread.context", json!({"thread": id, "budget_tokens": 0}), "budget_tokens"),
            ("thread.update", json!({"thread": id, "keep": true, "ttl_seconds": 1}), "ttl_seconds"),
            ("thread.list", json!({"state": "asleep"}), "state"),
            ("message.search", json!({"query": " "}), "query"),
        ] {
            let error = app.refused(operation, input).await;
            assert_eq!((error.code(), error.field()), (Code::InvalidInput, Some(field)), "{operation}: {error}");
        }
        app.call("project.create", json!({"name": "elsewhere"})).await;
        let error = app.refused("message.search", json!({"query": "x", "thread": id, "project": "elsewhere"})).await;
        assert_eq!((error.code(), error.field()), (Code::InvalidInput, Some("thread")));

        let mut large = "needle in ".to_owned();
        large.push_str(&"haystack straw ".repeat(69_905));
        large.truncate(1024 * 1024);
        assert_eq!(say(app, id, "user", &large).await["tokens"], 1024 * 256);
        assert_eq!(found(app, json!({"query": "needle"})).await[0].len(), 1024 * 1024);
        let empty = json!({"thread": id, "role": "assistant", "tool_calls": [{"id": "c"}]});
        assert_eq!(app.call("message.add", empty).await["seq"], 2);
        for text in ["👩‍👩‍👧‍👦🏳️‍🌈", "こんにちは世界", "e\u{301}", "\u{202e}evil", "'; DROP TABLE messages; --"] {
            say(app, id, "user", text).await;
            let listed = app.call("message.list", json!({"thread": id, "order": "newest", "limit": 1})).await;
            assert_eq!(listed["items"][0]["content"], text);
        }
    }

    /// A request that is repeated adds its message once.
    async fn repeated_requests(app: TestApp) {
        let id = thread(app).await;
        let input = json!({"thread": id, "role": "user", "content": "Once"});
        for _ in 0..2 {
            let key = Some("k1".to_owned());
            let added = app.registry.call("message.add", &app.ctx, input.clone(), key).await.unwrap();
            assert_eq!(added["seq"], 1);
        }
        let receipt = app.call("thread.purge", json!({"thread": id})).await;
        assert_eq!(receipt["kept_answers"], 1);
    }
    /// A search log that is made anew finds messages again, with all that they are narrowed by.
    async fn a_search_log_made_anew(app: TestApp) {
        let id = thread(app).await;
        say(app, id, "user", "The lighthouse is white").await;
        let gone = app.call("thread.create", json!({})).await["id"].as_i64().unwrap();
        say(app, gone, "user", "The lighthouse was red").await;
        app.call("thread.remove", json!({"thread": gone})).await;
        let forget = "UPDATE search_heads SET format = 0";
        app.env.db().execute(forget, params! {}).await.unwrap();
        let (env, ctx) = app.another().await;
        let ask = json!({"query": "lighthouse", "session": "s1", "role": "user"});
        let answer = app.registry.call("message.search", &ctx, ask, None).await.unwrap();
        assert_eq!(answer["hits"][0]["message"]["content"], "The lighthouse is white");
        app.call("thread.restore", json!({"thread": gone})).await;
        assert_eq!(found(app, json!({"query": "lighthouse", "thread": gone})).await, ["The lighthouse was red"]);
        env.db().close().await.unwrap();
    }

    /// Personal data is replaced for the project of the thread, whatever project calls, and what was
    /// replaced is found; so it is with other tokens, after the secret was changed.
    async fn personal_data(app: TestApp) {
        let (old, new) = ("0f".repeat(31) + "aa", "1e".repeat(31) + "bb");
        let (env, ctx) = app.another_with(privacy_with_keys(Policy::Standard, &old)).await;
        let call = |ctx: Ctx, operation: &'static str, input: Value| async move {
            app.registry.call(operation, &ctx, input, None).await.unwrap()
        };
        call(ctx.clone(), "project.create", json!({"name": "other"})).await;
        let made = json!({"project": "other", "session": "with ada.byron@engines.io"});
        let id = call(ctx.clone(), "thread.create", made).await["id"].clone();
        let said = json!({"thread": id, "role": "user", "content": "Ask ada.byron@engines.io", "user": "ada.byron@engines.io"});
        call(ctx.clone(), "message.add", said).await;
        call(ctx.clone(), "thread.summarise", json!({"thread": id})).await;
        let queued = json!({"project": "other", "title": "Write to ada.byron@engines.io"});
        call(ctx.clone(), "queue.put", queued).await;
        assert!(!everything(app).await.contains("ada.byron"));

        let (rotated, later) = app.another_with(privacy_with_keys(Policy::Standard, &format!("{new},{old}"))).await;
        let before = call(ctx.clone(), "message.list", json!({"thread": id})).await;
        for (round, ctx) in [ctx, later.clone()].into_iter().enumerate() {
            if round > 0 {
                rotate(&rotated, "test", true, &|_| {}).await.unwrap();
            }
            for narrowed in [
                json!({"query": "ada.byron@engines.io", "thread": id}),
                json!({"query": "ask", "project": "other", "session": "with ada.byron@engines.io"}),
                json!({"query": "ask", "project": "other", "user": "ada.byron@engines.io"}),
            ] {
                let found = call(ctx.clone(), "message.search", narrowed).await;
                assert_eq!(found["hits"].as_array().unwrap().len(), 1, "{found}");
            }
        }
        let after = call(later.clone(), "message.list", json!({"thread": id})).await;
        assert_ne!(before["items"][0]["content"], after["items"][0]["content"]);
        let got = call(later.clone(), "thread.get", json!({"thread": id})).await;
        let summary = format!("user: {}", after["items"][0]["content"].as_str().unwrap());
        assert_eq!(got["summary"], summary, "the summary has the same tokens");
        for env in [env, rotated] {
            env.db().close().await.unwrap();
        }
    }
}
