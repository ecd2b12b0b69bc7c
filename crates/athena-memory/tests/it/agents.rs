//! Agents, the queue that they share, and leases.

use athena_core::{Clock, Code};
use athena_db::{Executor, Scalar, params};
use athena_testkit::{TestApp, json, story};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeSet;

/// Registers an agent that can do some things.
async fn register(app: &TestApp, agent: &str, capabilities: &[&str]) -> Value {
    let input = json!({"agent": agent, "capabilities": capabilities, "max_concurrent": 100});
    app.call("agent.register", input).await
}

/// Puts an item and returns its id.
async fn put(app: &TestApp, item: Value) -> i64 {
    app.call("queue.put", item).await["id"].as_i64().unwrap()
}

/// Claims one item and returns what was claimed; null if there was none.
async fn claim(app: &TestApp, agent: &str) -> Value {
    app.call("queue.claim", json!({"agent": agent})).await["items"][0].clone()
}

async fn figures(app: &TestApp) -> Value {
    app.call("queue.stats", json!({})).await["queues"][0].clone()
}

story! {
    /// Of many agents in several processes that claim at once, each item goes to one, and all go.
    async fn everything_is_claimed_once(app: TestApp) {
        let items: Vec<Value> = (0..500).map(|number| json!({"title": format!("Item {number}")})).collect();
        let batch = app.call("queue.put_batch", json!({"items": items})).await;
        assert_eq!(batch["items"].as_array().unwrap().len(), 500);
        for number in 0..8 {
            register(app, &format!("worker {number}"), &[]).await;
        }
        let mut processes = Vec::new();
        for _ in 0..4 {
            processes.push(app.another().await);
        }
        let workers = (0..8).map(|number| {
            let ctx = processes[number % 4].1.clone();
            async move {
                let mut mine = Vec::new();
                loop {
                    let input = json!({"agent": format!("worker {number}"), "limit": 7});
                    let claimed = app.registry.call("queue.claim", &ctx, input, None).await.unwrap();
                    let claimed = claimed["items"].as_array().unwrap().clone();
                    if claimed.is_empty() {
                        return mine;
                    }
                    for item in claimed {
                        mine.push(item["item"]["id"].as_i64().unwrap());
                        let done = json!({"token": item["token"], "result": {"by": number}});
                        app.registry.call("queue.complete", &ctx, done, None).await.unwrap();
                    }
                }
            }
        });
        let claimed = futures_util::future::join_all(workers).await.concat();
        let each: BTreeSet<i64> = claimed.iter().copied().collect();
        assert_eq!((claimed.len(), each.len()), (500, 500));
        let stats = figures(app).await;
        assert_eq!((&stats["done"], &stats["ready"], &stats["leased"]), (&json!(500), &json!(0), &json!(0)));
        let agents = app.call("agent.list", json!({"limit": 3})).await;
        assert_eq!(agents["items"].as_array().unwrap().len(), 3);
        assert!(agents["next_cursor"].is_string());
        for (env, _) in processes {
            env.db().close().await.unwrap();
        }
    }

    /// Two who claim at once the only item: one gets it, the other nothing.
    async fn two_claims_of_one_item(app: TestApp) {
        register(app, "ada", &[]).await;
        register(app, "bob", &[]).await;
        let id = put(app, json!({"title": "The only one"})).await;
        let (one, two) = tokio::join!(claim(app, "ada"), claim(app, "bob"));
        assert_ne!(one.is_null(), two.is_null());
        let item = app.call("queue.get", json!({"id": id})).await;
        assert_eq!((&item["state"], &item["attempts"]), (&json!("leased"), &json!(1)));
        let holder = if one.is_null() { "bob" } else { "ada" };
        assert_eq!(item["held_by"], holder);
        let leases = app.call("lease.list", json!({})).await;
        assert_eq!(leases["items"][0]["resource"], format!("queue:{id}"));
    }

    /// What is urgent comes first, then what is old; what must wait waits.
    async fn the_order_of_the_queue(app: TestApp) {
        register(app, "ada", &[]).await;
        let mut ids = Vec::new();
        for priority in [5, 1, 10, 5] {
            ids.push(put(app, json!({"title": "x", "priority": priority})).await);
        }
        put(app, json!({"title": "later", "priority": 10, "not_before": "2026-03-01T12:10:00Z"})).await;
        put(app, json!({"title": "elsewhere", "queue": "other"})).await;
        let claimed = app.call("queue.claim", json!({"agent": "ada", "limit": 100, "lease_seconds": 3_600})).await;
        let order: Vec<i64> = claimed["items"].as_array().unwrap().iter()
            .map(|it| it["item"]["id"].as_i64().unwrap()).collect();
        assert_eq!(order, [ids[2], ids[0], ids[3], ids[1]]);
        let stats = app.call("queue.stats", json!({})).await;
        assert_eq!(stats["queues"][0]["delayed"], 1);
        assert_eq!((&stats["queues"][1]["queue"], &stats["queues"][1]["ready"]), (&json!("other"), &json!(1)));
        app.clock.advance(600);
        assert_eq!(claim(app, "ada").await["item"]["title"], "later");
    }

    /// A holder that dies loses its item to another; when it comes back it is told who has it.
    async fn a_dead_holder(app: TestApp) {
        register(app, "ada", &[]).await;
        register(app, "bob", &[]).await;
        let id = put(app, json!({"title": "Long work"})).await;
        let first = claim(app, "ada").await;
        assert!(claim(app, "bob").await.is_null());
        app.clock.advance(50);
        let renewed = app.call("queue.heartbeat", json!({"token": first["token"]})).await;
        assert_eq!(renewed["expires_at"], "2026-03-01T12:01:50Z");
        app.clock.advance(59);
        assert!(claim(app, "bob").await.is_null());
        app.clock.advance(1);
        assert_eq!(figures(app).await["expired"], 1);
        let error = app.refused("queue.heartbeat", json!({"token": first["token"]})).await;
        assert_eq!((error.code(), error.field()), (Code::InvalidState, Some("token")));

        let second = claim(app, "bob").await;
        assert_eq!((&second["item"]["id"], &second["item"]["attempts"]), (&json!(id), &json!(2)));
        for (operation, input) in [
            ("queue.heartbeat", json!({"token": first["token"]})),
            ("queue.complete", json!({"token": first["token"]})),
            ("queue.fail", json!({"token": first["token"], "error": "x"})),
            ("queue.release", json!({"token": first["token"]})),
        ] {
            let error = app.refused(operation, input).await;
            assert_eq!(error.code(), Code::Conflict, "{operation}: {error}");
            assert!(error.message().contains("`bob`"), "{error}");
        }
        app.call("queue.complete", json!({"token": second["token"], "result": {"ok": true}})).await;
        let item = app.call("queue.get", json!({"id": id})).await;
        assert_eq!((&item["state"], &item["result"]), (&json!("done"), &json!({"ok": true})));
        let again = app.call("queue.complete", json!({"token": second["token"]})).await;
        assert_eq!(again["state"], "done", "the same again, and counted once");
        assert_eq!(app.call("agent.get", json!({"agent": "bob"})).await["completed"], 1);
    }

    /// Attempts are bounded, whether they fail or fall silent, and rest in between.
    async fn attempts_are_bounded(app: TestApp) {
        register(app, "ada", &[]).await;
        let failing = put(app, json!({"title": "Fails", "max_attempts": 2})).await;
        let first = claim(app, "ada").await;
        let failed = app.call("queue.fail", json!({"token": first["token"], "error": "no disk"})).await;
        assert_eq!((&failed["state"], &failed["not_before"]), (&json!("ready"), &json!("2026-03-01T12:00:02Z")));
        assert!(claim(app, "ada").await.is_null(), "it rests");
        app.clock.advance(2);
        let second = claim(app, "ada").await;
        let failed = app.call("queue.fail", json!({"token": second["token"], "error": "no disk again"})).await;
        assert_eq!(failed["state"], "failed");
        let item = app.call("queue.get", json!({"id": failing})).await;
        assert_eq!((&item["last_error"], &item["attempts"]), (&json!("no disk again"), &json!(2)));

        let silent = put(app, json!({"title": "Falls silent", "max_attempts": 2})).await;
        for _ in 0..2 {
            assert_eq!(claim(app, "ada").await["item"]["id"], silent);
            app.clock.advance(61);
        }
        athena_store::flush(&app.env).await;
        let item = app.call("queue.get", json!({"id": silent})).await;
        assert_eq!(item["state"], "failed");
        assert!(item["last_error"].as_str().unwrap().contains("expired"), "{item}");

        let agent = app.call("agent.get", json!({"agent": "ada"})).await;
        assert_eq!((&agent["failed"], &agent["success_rate"]), (&json!(2), &json!(0.0)));
        let again = app.call("queue.retry", json!({"id": silent})).await;
        assert_eq!((&again["state"], &again["attempts"]), (&json!("ready"), &json!(0)));
        assert_eq!(claim(app, "ada").await["item"]["id"], silent);

        put(app, json!({"title": "Hopeless"})).await;
        let hopeless = claim(app, "ada").await;
        let failed = app.call("queue.fail", json!({"token": hopeless["token"], "error": "never", "permanent": true})).await;
        assert_eq!(failed["state"], "failed");
    }

    /// What is given back counts as no attempt; what is called off is lost to its holder.
    async fn giving_back_and_calling_off(app: TestApp) {
        register(app, "ada", &[]).await;
        let id = put(app, json!({"title": "Maybe"})).await;
        let held = claim(app, "ada").await;
        let released = app.call("queue.release", json!({"token": held["token"]})).await;
        assert_eq!((&released["state"], &released["attempts"]), (&json!("ready"), &json!(0)));
        let held = claim(app, "ada").await;
        let cancelled = app.call("queue.cancel", json!({"id": id, "reason": "not needed"})).await;
        assert_eq!(cancelled["state"], "cancelled");
        let error = app.refused("queue.complete", json!({"token": held["token"]})).await;
        assert_eq!(error.code(), Code::InvalidState);
        assert!(error.message().contains("cancelled"), "{error}");
        assert!(claim(app, "ada").await.is_null());
        app.call("queue.retry", json!({"id": id})).await;
        let held = claim(app, "ada").await;
        app.call("queue.complete", json!({"token": held["token"]})).await;
        assert_eq!(app.refused("queue.cancel", json!({"id": id})).await.code(), Code::InvalidState);
        assert_eq!(app.refused("queue.retry", json!({"id": id})).await.code(), Code::InvalidState);
        let listed = app.call("queue.list", json!({"state": "done"})).await;
        assert_eq!(listed["items"][0]["id"], id);
        assert_eq!(app.call("queue.list", json!({"state": "ready"})).await["items"], json!([]));
    }

    /// An agent gets only what it can do, and no more than it works on at once.
    async fn capabilities_and_load(app: TestApp) {
        app.call("agent.register", json!({"agent": "ada", "capabilities": ["rust"], "max_concurrent": 2})).await;
        app.call("agent.register", json!({"agent": "bob", "capabilities": ["rust", "sql"], "max_concurrent": 4})).await;
        let both = put(app, json!({"title": "Both", "requires": ["sql", "rust"], "priority": 9})).await;
        for _ in 0..3 {
            put(app, json!({"title": "Either"})).await;
        }
        let route = app.call("agent.route", json!({"requires": ["rust"]})).await;
        assert_eq!(route["agents"].as_array().unwrap().len(), 2);
        let claimed = app.call("queue.claim", json!({"agent": "ada", "limit": 10})).await;
        assert_eq!((claimed["items"].as_array().unwrap().len(), &claimed["free"]), (2, &json!(0)));
        assert!(claimed["items"].as_array().unwrap().iter().all(|it| it["item"]["id"] != both));
        assert!(claim(app, "ada").await.is_null(), "it is full");
        let ada = app.call("agent.get", json!({"agent": "ada"})).await;
        assert_eq!((&ada["load"], &ada["alive"]), (&json!(2), &json!(true)));
        assert_eq!(claim(app, "bob").await["item"]["id"], both);

        let route = app.call("agent.route", json!({"requires": ["rust"]})).await;
        assert_eq!(route["agents"].as_array().unwrap().len(), 1, "who is full is passed over");
        assert_eq!((&route["agents"][0]["agent"], &route["agents"][0]["fitness"]), (&json!("bob"), &json!(0.75)));
        assert_eq!(app.call("agent.route", json!({"requires": ["go"]})).await["agents"], json!([]));

        app.clock.advance(50);
        let beat = app.call("agent.heartbeat", json!({"agent": "ada", "renew_seconds": 60})).await;
        assert_eq!(beat["renewed"], 2);
        app.clock.advance(50);
        assert_eq!(app.call("agent.get", json!({"agent": "ada"})).await["load"], 2);
        let bob = app.call("agent.get", json!({"agent": "bob"})).await;
        assert_eq!((&bob["load"], &bob["alive"]), (&json!(0), &json!(false)));
        assert_eq!(app.call("agent.route", json!({})).await["agents"], json!([]), "one is full, one is silent");
        assert_eq!(app.call("agent.route", json!({"silent": true})).await["agents"][0]["agent"], "bob");
    }

    /// A heartbeat that promises less than a lease has left does not make it shorter the next time.
    async fn a_heartbeat_keeps_the_length_of_leases(app: TestApp) {
        register(app, "ada", &[]).await;
        let lease = json!({"resource": "file:a", "agent": "ada", "lease_seconds": 40});
        let lease = app.call("lease.acquire", lease).await;
        app.clock.advance(15);
        app.call("agent.heartbeat", json!({"agent": "ada", "renew_seconds": 5})).await;
        let renewed = app.call("lease.renew", json!({"token": lease["token"]})).await;
        let until: Timestamp = renewed["expires_at"].as_str().unwrap().parse().unwrap();
        assert_eq!(until.duration_since(Clock::now(&*app.clock)).as_secs(), 40);
    }

    /// Registering again says everything anew and keeps what was achieved; removing can be undone.
    async fn registering(app: TestApp) {
        let first = register(app, "ada", &["rust", "rust"]).await;
        assert_eq!(first["capabilities"], json!(["rust"]));
        put(app, json!({"title": "x"})).await;
        let held = claim(app, "ada").await;
        app.clock.advance(3);
        app.call("queue.complete", json!({"token": held["token"]})).await;
        let again = register(app, "ada", &["sql"]).await;
        assert_eq!((&again["id"], &again["capabilities"]), (&first["id"], &json!(["sql"])));
        assert_eq!((&again["completed"], &again["average_ms"]), (&json!(1), &json!(3_000)));
        app.call("agent.remove", json!({"agent": "ada"})).await;
        let error = app.refused("queue.claim", json!({"agent": "ada"})).await;
        assert_eq!((error.code(), error.field()), (Code::NotFound, Some("agent")));
        assert!(error.message().contains("agent.register"), "{error}");
        assert_eq!(app.call("agent.list", json!({})).await["items"], json!([]));
        assert_eq!(register(app, "ada", &[]).await["completed"], 1);
        let receipt = app.call("agent.purge", json!({"agent": "ada"})).await;
        assert_eq!(receipt["leases"], 1);
        assert_eq!(register(app, "ada", &[]).await["completed"], 0);
    }

    /// Anything with a name can be leased by one at a time.
    async fn leases_of_other_things(app: TestApp) {
        let acquire = |agent: &str| json!({"resource": "file:src/main.rs", "agent": agent});
        let (one, two) = tokio::join!(
            app.try_call("lease.acquire", acquire("ada")),
            app.try_call("lease.acquire", acquire("bob")),
        );
        let (held, error) = match (one, two) {
            (Ok(held), Err(error)) | (Err(error), Ok(held)) => (held, error),
            both => panic!("one must win: {both:?}"),
        };
        assert_eq!((error.code(), error.field()), (Code::Conflict, Some("resource")));
        app.call("lease.renew", json!({"token": held["token"], "lease_seconds": 100})).await;
        app.clock.advance(99);
        assert_eq!(app.refused("lease.acquire", acquire("eve")).await.code(), Code::Conflict);
        app.clock.advance(1);
        let taken = app.call("lease.acquire", acquire("eve")).await;
        for operation in ["lease.renew", "lease.release"] {
            let error = app.refused(operation, json!({"token": held["token"]})).await;
            assert_eq!(error.code(), Code::Conflict);
            assert!(error.message().contains("`eve`"), "{error}");
        }
        let listed = app.call("lease.list", json!({"kind": "file"})).await;
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);
        for _ in 0..2 {
            let released = app.call("lease.release", json!({"token": taken["token"]})).await;
            assert_eq!(released["outcome"], "released");
        }
        assert_eq!(app.call("lease.list", json!({})).await["items"], json!([]));
        assert_eq!(app.call("lease.list", json!({"ended": true})).await["items"].as_array().unwrap().len(), 2);
        app.call("lease.acquire", acquire("ada")).await;
        let other = json!({"resource": "file:src/lib.rs", "agent": "ada"});
        app.call("lease.acquire", other).await;
    }

    /// Who only ever held leases is purged too, with what was held.
    async fn purging_who_was_never_registered(app: TestApp) {
        let acquire = json!({"resource": "mail:spy@engines.io", "agent": "eve"});
        let held = app.registry.call("lease.acquire", &app.ctx, acquire, Some("k1".to_owned())).await.unwrap();
        let error = app.refused("agent.purge", json!({"agent": "eve"})).await;
        assert_eq!((error.code(), error.field()), (Code::InvalidState, Some("agent")));
        let release = json!({"token": held["token"]});
        app.registry.call("lease.release", &app.ctx, release, Some("k2".to_owned())).await.unwrap();
        let receipt = app.call("agent.purge", json!({"agent": "eve"})).await;
        assert_eq!((&receipt["leases"], &receipt["kept_answers"], &receipt["sealed_values"]), (&json!(1), &json!(2), &json!(2)));
        assert_eq!(app.call("lease.list", json!({"ended": true})).await["items"], json!([]));
        assert_eq!(app.refused("agent.purge", json!({"agent": "eve"})).await.code(), Code::NotFound);
    }

    /// What was over can be removed for good; what is worked on cannot.
    async fn purging(app: TestApp) {
        register(app, "ada", &[]).await;
        let first = put(app, json!({"title": "Call ada.byron@engines.io"})).await;
        put(app, json!({"title": "Second"})).await;
        let held = claim(app, "ada").await;
        let error = app.refused("queue.purge", json!({"id": first})).await;
        assert_eq!((error.code(), error.field()), (Code::InvalidState, Some("id")));
        app.call("queue.complete", json!({"token": held["token"]})).await;
        let early = app.call("queue.purge", json!({"before": "2026-03-01T11:00:00Z"})).await;
        assert_eq!(early["items"], 0);
        let receipt = app.call("queue.purge", json!({})).await;
        assert_eq!((&receipt["items"], &receipt["leases"], &receipt["more"]), (&json!(1), &json!(1), &json!(false)));
        assert_eq!(receipt["sealed_values"], 2);
        assert_eq!(app.refused("queue.get", json!({"id": first})).await.code(), Code::NotFound);
        assert_eq!(figures(app).await["ready"], 1);
    }

    /// What is refused, and how it is said.
    async fn bad_input(app: TestApp) {
        for (operation, input, code, field) in [
            ("queue.put", json!({"title": "x", "priority": 11}), Code::InvalidInput, "priority"),
            ("queue.put", json!({"payload": {"x": "a".repeat(1024 * 1024)}}), Code::ContentTooLarge, "payload"),
            ("queue.put_batch", json!({"items": [{"title": "fine"}, {}]}), Code::InvalidInput, "items[1]"),
            ("queue.put_batch", json!({"items": []}), Code::InvalidInput, "items"),
            ("queue.get", json!({"id": 7}), Code::NotFound, "id"),
            ("queue.claim", json!({"agent": "nobody", "limit": 101}), Code::InvalidInput, "limit"),
            ("queue.complete", json!({"token": "x"}), Code::InvalidInput, "token"),
            ("queue.complete", json!({"token": "00000000-0000-0000-0000-000000000000"}), Code::NotFound, "token"),
            ("queue.list", json!({"state": "asleep"}), Code::InvalidInput, "state"),
            ("agent.register", json!({"agent": " "}), Code::InvalidInput, "agent"),
            ("agent.register", json!({"agent": "a", "max_concurrent": 0}), Code::InvalidInput, "max_concurrent"),
            ("lease.acquire", json!({"resource": "main.rs", "agent": "a"}), Code::InvalidInput, "resource"),
            ("lease.acquire", json!({"resource": "queue:1", "agent": "a"}), Code::Denied, "resource"),
        ] {
            let error = app.refused(operation, input).await;
            assert_eq!((error.code(), error.field()), (code, Some(field)), "{operation}: {error}");
        }
        let error = app.refused("queue.put", json!({})).await.to_string();
        assert_eq!(error, "the input needs `title` or `payload` or `task_id`");
        register(app, "ada", &[]).await;
        assert_eq!(app.refused("agent.get", json!({"agent": "eve"})).await.code(), Code::NotFound);
        assert_eq!(app.call("queue.list", json!({})).await["items"], json!([]), "nothing was stored");
        put(app, json!({"title": "x"})).await;
        let token = claim(app, "ada").await["token"].clone();
        assert_eq!(app.refused("lease.release", json!({"token": token})).await.field(), Some("token"));
        let lease = app.call("lease.acquire", json!({"resource": "file:x", "agent": "ada"})).await;
        assert_eq!(app.refused("queue.complete", json!({"token": lease["token"]})).await.field(), Some("token"));
    }

    /// Those who follow what changes learn of items that come and end, and of nothing in between.
    async fn what_followers_learn(app: TestApp) {
        register(app, "ada", &[]).await;
        let id = put(app, json!({"title": "x", "max_attempts": 1})).await;
        let held = claim(app, "ada").await;
        app.call("queue.heartbeat", json!({"token": held["token"]})).await;
        app.call("agent.heartbeat", json!({"agent": "ada"})).await;
        app.clock.advance(60);
        athena_store::flush(&app.env).await;
        assert_eq!(app.call("queue.get", json!({"id": id})).await["state"], "failed");
        let changes: Vec<Scalar<String>> = app.env.db()
            .fetch_all("SELECT operation FROM changes ORDER BY seq", params! {}).await.unwrap();
        let changes: Vec<String> = changes.into_iter().map(|Scalar(operation)| operation).collect();
        assert_eq!(changes, ["agent.register", "queue.put", "lease.expire"]);
    }
}
