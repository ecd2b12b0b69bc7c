//! Personal data never reaches the store, and whoever may can have it back.

use athena_core::{Ctx, Error};
use athena_db::{Dialect, Executor, Scalar, params};
use athena_privacy::{Keyring, Masking, Policy};
use athena_store::{Privacy, Store};
use athena_testkit::{Code, TestApp, json, privacy, privacy_with_keys, story};
use serde_json::Value;
use std::sync::Arc;

const ADDRESS: &str = "ada.byron@engines.io";
const OTHER: &str = "c.babbage@engines.io";

story! {
    /// Founding document 000, test 1: an event with an address in its text and in its author, a
    /// path below a home, and a stack trace with such a path.
    async fn pii_flow_end_to_end(app: TestApp) {
        let remembered = app.call("memory.remember", event()).await;
        assert!(remembered["masked"]["email"].as_u64() >= Some(2), "{remembered}");
        assert!(remembered["masked"]["path"].as_u64() >= Some(2), "{remembered}");

        let kept = app.call("memory.get", json!({"id": remembered["id"]})).await;
        let text = kept["content"].as_str().unwrap();
        assert!(text.starts_with("Fixed the login for [email:") && text.ends_with(" today"), "{text}");
        let metadata = &kept["metadata"];
        assert!(metadata["git_author"].as_str().unwrap().starts_with("[name:"), "{metadata}");
        assert_eq!(metadata["file_path"], "~/projects/engine/auth.py");
        assert!(metadata["stack_trace"].as_str().unwrap().contains("/projects/engine/auth.py\", line 3"));
        assert_eq!(metadata["diff"], "[diff redacted]");
        for personal in [ADDRESS, "ada.byron", "/home/ada", "Ada Byron"] {
            assert!(!everything(app).await.contains(personal), "{personal}");
        }
        assert_eq!(app.recall(&format!("what did {ADDRESS} need?")).await.len(), 1);
    }

    /// Founding document 000, test 2: one address has one token, in every field and process;
    /// another address has another.
    async fn pii_deterministic_tokenization(app: TestApp) {
        let mut tokens = Vec::new();
        for (number, address) in [ADDRESS, "Ada.Byron@Engines.io", ADDRESS, OTHER].iter().enumerate() {
            let content = format!("{address} wrote letter {number}");
            let id = app.call("memory.remember", json!({"content": content, "speaker": address})).await["id"].clone();
            let kept = app.call("memory.get", json!({"id": id})).await;
            let speaker = kept["speaker"].as_str().unwrap().to_owned();
            assert!(kept["content"].as_str().unwrap().starts_with(&speaker), "{kept}");
            tokens.push(speaker);
        }
        assert_eq!(tokens[0], tokens[1]);
        assert_eq!(tokens[0], tokens[2]);
        assert_ne!(tokens[0], tokens[3]);
        // The domain, the second token, is the same for both.
        assert_eq!(tokens[0].split_once("][").unwrap().1, tokens[3].split_once("][").unwrap().1);

        let (env, ctx) = app.another().await;
        let elsewhere = registry_call(app, &ctx, "memory.remember", json!({"content": ADDRESS})).await.unwrap();
        let kept = app.call("memory.get", json!({"id": elsewhere["id"]})).await;
        assert_eq!(kept["content"], tokens[0]);
        env.db().close().await.unwrap();
    }

    /// Founding document 000, test 8, the half about privacy: a sentence with an address and a path
    /// below a home loses both.
    async fn privacy_and_efficiency_together(app: TestApp) {
        let content = format!("{ADDRESS} left the plans in /home/ada/plans.txt");
        let id = app.remember(&content).await;
        let kept = app.call("memory.get", json!({"id": id})).await;
        let text = kept["content"].as_str().unwrap();
        assert!(!text.contains("ada"), "{text}");
        assert!(text.ends_with("/plans.txt") && text.contains(" left the plans in [path:"), "{text}");
    }

    /// A token that an agent writes back stays one token, wherever it writes it.
    async fn tokens_stay_tokens(app: TestApp) {
        let id = app.remember(&format!("Write to {ADDRESS}.")).await;
        let text = content(app, id).await;
        let again = app.call("memory.update", json!({
            "id": id, "content": format!("Not: {text}"), "reason": text, "metadata": {"git_author": &text[9..]},
        })).await;
        assert!(again.get("masked").is_none_or(|masked| masked.get("email").is_none()), "{again}");
        let kept = app.call("memory.get", json!({"id": again["id"]})).await;
        assert_eq!(kept["content"], format!("Not: {text}"));
        assert_eq!(kept["update_reason"], text);
        assert_eq!(kept["metadata"]["git_author"], text[9..]);
    }

    /// An address that is asked for is found in every searched project, though each has its own
    /// token for it; filters find it too.
    async fn questions_find_what_was_masked(app: TestApp) {
        app.call("project.create", json!({"name": "personal"})).await;
        for (project, content) in [("test", "is the lead"), ("personal", "likes tea")] {
            app.call("project.create", json!({"name": project, "get_or_create": true})).await;
            app.call("memory.remember", json!({
                "content": format!("{ADDRESS} {content}"), "project": project, "tags": [ADDRESS], "session": ADDRESS,
            })).await;
            app.call("memory.remember", json!({"content": format!("{OTHER} {content}"), "project": project})).await;
        }
        let question = json!({"query": ADDRESS, "mode": "keyword", "explain": true});
        let found = app.call("memory.recall", question).await;
        let hits = found["hits"].as_array().unwrap();
        let texts: Vec<&str> = hits.iter().map(|hit| hit["content"].as_str().unwrap()).collect();
        assert!(texts[..2].iter().any(|text| text.ends_with("is the lead")), "{found:#}");
        assert!(texts[..2].iter().any(|text| text.ends_with("likes tea")), "{found:#}");
        // The domain is shared: the others follow behind.
        assert!(hits[1]["score"].as_f64() > hits[2]["score"].as_f64(), "{found:#}");
        for filter in [json!({"tags": [ADDRESS]}), json!({"session": ADDRESS})] {
            let mut question = filter;
            question["query"] = json!("the lead likes tea");
            assert_eq!(app.call("memory.recall", question.clone()).await["hits"].as_array().unwrap().len(), 2);
        }
        let listed = app.call("memory.list", json!({"session": ADDRESS})).await;
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);
        assert!(!everything(app).await.contains(ADDRESS));
    }

    /// What a token stands for is revealed within its project, for a reason, and every attempt is on
    /// record.
    async fn reveals_are_audited(app: TestApp) {
        let id = app.remember(&format!("Write to {ADDRESS}.")).await;
        app.call("project.create", json!({"name": "other"})).await;
        let text = content(app, id).await;
        let token = &text["Write to ".len()..text.find("][").unwrap() + 1];

        let reveal = json!({"token": token, "reason": format!("to answer {ADDRESS}")});
        let revealed = app.call("pii.reveal", reveal.clone()).await;
        assert_eq!(revealed["value"], ADDRESS);
        assert_eq!(revealed["kind"], "email");

        let mut elsewhere = reveal.clone();
        elsewhere["project"] = json!("other");
        assert_eq!(app.refused("pii.reveal", elsewhere).await.code(), Code::NotFound);
        let unknown = json!({"token": "[email:0000000000000000]", "reason": "x"});
        assert_eq!(app.refused("pii.reveal", unknown).await.code(), Code::NotFound);
        let error = app.refused("pii.reveal", json!({"token": ADDRESS, "reason": "x"})).await;
        assert_eq!(error.code(), Code::InvalidInput);
        assert!(!error.to_string().contains("ada"), "{error}");
        assert_eq!(app.refused("pii.reveal", json!({"token": token})).await.field(), Some("reason"));

        let blank = app.refused("pii.reveal", json!({"token": token, "reason": " "})).await;
        assert_eq!(blank.field(), Some("reason"));

        let log: Vec<(String, String, String)> = app.env.db().fetch_all(
            "SELECT project, outcome, reason FROM audit_log WHERE action = 'pii.reveal' ORDER BY id", params! {},
        ).await.unwrap();
        let outcomes: Vec<(&str, &str)> = log.iter().map(|(project, outcome, _)| (&**project, &**outcome)).collect();
        assert_eq!(outcomes, [("test", "revealed"), ("other", "not_found"), ("test", "not_found")]);
        assert!(log[0].2.starts_with("to answer [email:"), "{log:?}");
    }

    /// A purge takes along what only the purged memory said.
    async fn purges_take_sealed_values_along(app: TestApp) {
        let purged = app.remember(&format!("{ADDRESS} met {OTHER}.")).await;
        app.call("memory.feedback", json!({"id": purged, "useful": true, "note": "call +44 20 7946 0958"})).await;
        let stays = app.remember(&format!("{OTHER} stays.")).await;
        let text = content(app, purged).await;
        let token = &text[..text.find("][").unwrap() + 1];
        app.call("pii.reveal", json!({"token": token, "reason": "to see it"})).await;

        let receipt = app.call("memory.purge", json!({"id": purged})).await;
        assert!(receipt["sealed_values"].as_u64() >= Some(1), "{receipt}");
        assert_eq!(app.refused("pii.reveal", json!({"token": token, "reason": "again"})).await.code(), Code::NotFound);
        let kept = content(app, stays).await;
        let kept = &kept[..kept.find("][").unwrap() + 1];
        assert_eq!(app.call("pii.reveal", json!({"token": kept, "reason": "x"})).await["value"], OTHER);
        let subjects = app.env.db().fetch_all::<Scalar<String>>(
            "SELECT subject FROM audit_log WHERE outcome = 'revealed' ORDER BY id", params! {},
        ).await.unwrap();
        assert_eq!(subjects[0].0, "[email:purged]");
    }

    /// A purge takes along too what a text said once and no longer does, and what was only asked for.
    async fn purges_take_along_what_nothing_mentions(app: TestApp) {
        let task = app.call("task.create", json!({"title": format!("Write to {ADDRESS}.")})).await;
        app.call("task.update", json!({"id": task["id"], "title": "Write."})).await;
        app.call("agent.register", json!({"agent": "ada"})).await;
        app.call("queue.claim", json!({"agent": "ada", "queue": format!("for {ADDRESS}")})).await;
        let stays = app.remember(&format!("{OTHER} stays.")).await;
        let receipt = app.call("task.purge", json!({"id": task["id"]})).await;
        // Both addresses are of one domain, which stays.
        assert_eq!(receipt["sealed_values"], 1, "{receipt}");
        let kept: Vec<Scalar<String>> = app.env.db().fetch_all("SELECT token FROM pii_vault", params! {}).await.unwrap();
        let kept: std::collections::BTreeSet<String> = kept.into_iter().map(|Scalar(token)| token).collect();
        assert_eq!(kept, athena_store::tokens_in(&content(app, stays).await));
    }

    /// A process with another key changes nothing, and says why; reading goes on.
    async fn another_key_writes_nothing(app: TestApp) {
        let id = app.remember(&format!("Write to {ADDRESS}.")).await;
        let key = "a1".repeat(31) + "00";
        let (env, ctx) = app.another_with(privacy_with_keys(Policy::Standard, &key)).await;
        for content in ["nothing personal", ADDRESS] {
            let error = registry_call(app, &ctx, "memory.remember", json!({"content": content})).await.unwrap_err();
            assert_eq!(error.code(), Code::InvalidState);
            let message = error.to_string();
            assert!(message.contains("ATHENA_PII_KEY") && message.contains("is tokenised with the key"), "{message}");
            assert!(!message.contains(&key), "{message}");
        }
        let read = registry_call(app, &ctx, "memory.get", json!({"id": id})).await.unwrap();
        assert!(read["content"].as_str().unwrap().starts_with("Write to [email:"));
        let asked = registry_call(app, &ctx, "memory.recall", json!({"query": ADDRESS})).await.unwrap_err();
        assert_eq!(asked.code(), Code::InvalidState);
        let status = registry_call(app, &ctx, "pii.status", json!({})).await.unwrap();
        assert_eq!(status["key_held"], false);
        env.db().close().await.unwrap();
    }

    /// The key file is made with the first write; without it, or open to others, nothing is written.
    async fn the_key_file_is_needed_and_private(app: TestApp) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("home").join("pii.key");
        let (env, ctx) = app.another_with(in_file(&path)).await;
        let remember = |content| registry_call(app, &ctx, "memory.remember", json!({"content": content}));
        assert!(registry_call(app, &ctx, "memory.recall", json!({"query": ADDRESS})).await.is_ok());
        assert!(!path.exists());
        remember(ADDRESS).await.unwrap();
        let kept = std::fs::read(&path).unwrap();
        env.db().close().await.unwrap();

        let path = &path;
        let refused = async |wanted: &'static str| {
            let (env, ctx) = app.another_with(in_file(path)).await;
            let error = registry_call(app, &ctx, "memory.remember", json!({"content": "x"})).await.unwrap_err();
            assert_eq!(error.code(), Code::InvalidState);
            assert!(error.to_string().contains(wanted), "{error}");
            env.db().close().await.unwrap();
        };
        std::fs::remove_file(path).unwrap();
        refused("does not exist").await;
        assert!(!path.exists(), "a key of no use was made");
        std::fs::write(path, "what is this").unwrap();
        refused("others may read").await;
        make_private(path);
        refused("has 12 characters").await;
        std::fs::write(path, &kept).unwrap();
        let (env, ctx) = app.another_with(in_file(path)).await;
        registry_call(app, &ctx, "memory.remember", json!({"content": OTHER})).await.unwrap();
        env.db().close().await.unwrap();
    }

    /// `debug`, the named exception, lets content through; the answer says that nothing was masked.
    async fn debug_lets_content_through(app: TestApp) {
        let (env, ctx) = app.another_with(privacy(Policy::Debug)).await;
        let answer = registry_call(app, &ctx, "memory.remember", json!({"content": ADDRESS})).await.unwrap();
        assert!(answer.get("masked").is_none());
        assert_eq!(content(app, answer["id"].as_i64().unwrap()).await, ADDRESS);
        assert_eq!(registry_call(app, &ctx, "pii.status", json!({})).await.unwrap()["policy"], "debug");
        env.db().close().await.unwrap();
    }

    /// Without a vault tokens are one-way.
    async fn without_a_vault_nothing_can_be_revealed(app: TestApp) {
        let key = "5eb1a0c4d7f3926b8e0d41a7c95f36e2b4780d1f6ca3e95d27f8b04a613ce97d";
        let one_way = Privacy::new(Masking::default(), || Keyring::given("test", key), false);
        let (env, ctx) = app.another_with(one_way).await;
        let id = registry_call(app, &ctx, "memory.remember", json!({"content": ADDRESS})).await.unwrap()["id"].clone();
        let text = content(app, id.as_i64().unwrap()).await;
        let token = &text[..text.find("][").unwrap() + 1];
        let error = app.refused("pii.reveal", json!({"token": token, "reason": "x"})).await;
        assert_eq!(error.code(), Code::NotFound);
        env.db().close().await.unwrap();
    }

    /// Two requests with one idempotency key are compared as they are stored, and the key is masked.
    async fn idempotency_keeps_no_personal_data(app: TestApp) {
        let call = |content| {
            let key = Some(format!("for {ADDRESS}"));
            app.registry.call("memory.remember", &app.ctx, json!({"content": content}), key)
        };
        let first = call(ADDRESS).await.unwrap();
        assert_eq!(call("Ada.Byron@engines.io").await.unwrap(), first);
        assert_eq!(call(OTHER).await.unwrap_err().code(), Code::IdempotencyMismatch);
        assert!(!everything(app).await.contains("ada.byron"));
    }

    /// Errors name the field and what it holds by kind, never the value.
    async fn errors_hold_no_personal_data(app: TestApp) {
        let refused = [
            ("project.create", json!({"name": ADDRESS}), "name"),
            ("memory.remember", json!({"content": "x", "project": ADDRESS}), "project"),
            ("memory.remember", json!({"content": "x", "type": ADDRESS}), "type"),
            ("memory.remember", json!({"content": "x", ADDRESS: 1}), ""),
            ("memory.list", json!({"cursor": ADDRESS}), "cursor"),
        ];
        for (operation, input, field) in refused {
            let error = app.refused(operation, input).await;
            assert_eq!(error.code(), Code::InvalidInput);
            assert!(!format!("{error} {:?}", error.field()).contains("ada.byron"), "{error}");
            assert!(error.to_string().contains(field), "{error}");
        }
        let (env, ctx) = app.another().await;
        let ctx = ctx.with_project(ADDRESS);
        let error = registry_call(app, &ctx, "memory.list", json!({})).await.unwrap_err();
        assert!(error.to_string().contains("ATHENA_PROJECT"), "{error}");
        env.db().close().await.unwrap();
    }

    /// The home in a project's path becomes `~`, and the path is found as it was given.
    async fn paths_of_projects_are_relative_to_the_home(app: TestApp) {
        let path = "/home/ada/engine";
        let project = app.call("project.create", json!({"name": "engine", "path": path})).await;
        assert_eq!(project["path"], "~/engine");
        for path in [path, "~/engine"] {
            let found = app.call("project.get_by_path", json!({"path": path})).await;
            assert_eq!(found["id"], project["id"]);
        }
        let error = app.refused("project.create", json!({"name": "engine 2", "path": path})).await;
        assert_eq!(error.code(), Code::Conflict);
        assert!(!error.to_string().contains("/home/ada"), "{error}");
    }
}

/// An event as founding document 000 describes it, in the words of today's operations.
fn event() -> Value {
    let path = "/home/ada/projects/engine/auth.py";
    json!({
        "content": format!("Fixed the login for {ADDRESS} today"),
        "metadata": {
            "git_author": format!("Ada Byron <{ADDRESS}>"),
            "file_path": path,
            "stack_trace": format!("Traceback:\n  File \"{path}\", line 3, in login"),
            "diff": "-old\n+new",
        },
    })
}

async fn content(app: &TestApp, id: i64) -> String {
    let kept = app.call("memory.get", json!({"id": id})).await;
    kept["content"].as_str().unwrap().to_owned()
}

async fn registry_call(
    app: &TestApp,
    ctx: &Ctx,
    operation: &str,
    input: Value,
) -> Result<Value, Error> {
    app.registry.call(operation, ctx, input, None).await
}

/// Returns every text and every byte string in the store that could be read as text.
pub(crate) async fn everything(app: &TestApp) -> String {
    let store: &Store = app.ctx.part();
    let mut all = String::new();
    for (table, column) in store.text_columns() {
        let text = match app.env.db().dialect() {
            Dialect::MySql => "CHAR",
            Dialect::Sqlite | Dialect::Postgres => "TEXT",
        };
        let sql =
            format!("SELECT CAST({column} AS {text}) FROM {table} WHERE {column} IS NOT NULL");
        let rows: Vec<Scalar<String>> = app.env.db().fetch_all(sql, params! {}).await.unwrap();
        for Scalar(text) in rows {
            all.push_str(&text);
            all.push('\n');
        }
    }
    let records: Vec<Scalar<Vec<u8>>> = app
        .env
        .db()
        .fetch_all("SELECT record FROM search_tail", params! {})
        .await
        .unwrap();
    for Scalar(record) in records {
        all.push_str(&String::from_utf8_lossy(&record));
    }
    all
}

fn in_file(path: &std::path::Path) -> Arc<Privacy> {
    let path = path.to_owned();
    Privacy::new(Masking::default(), move || Keyring::file(&path), true)
}

fn make_private(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
