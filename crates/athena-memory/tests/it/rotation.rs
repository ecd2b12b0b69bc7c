//! Moving a store to another key: what stays, who is refused, and what a cut in the middle leaves.

use crate::privacy::everything;
use crate::search_log::{Held, HeldGate};
use athena_core::{Ctx, Env, EnvBuilder, Error, Operation, Registry, Result, Spec};
use athena_db::{BoxFuture, Executor, Scalar, params};
use athena_memory::events::DeriveEvents;
use athena_memory::memories::{DeriveMemories, Retrievals, Searching};
use athena_privacy::{Detector, Keyring, KeyringError, Masking, Policy};
use athena_search::Record;
use athena_store::{
    Gate, Intent, Privacy, Rotated, Store, Write, revealed, rotate, rotation_state, write,
};
use athena_testkit::{Code, TestApp, json, logged_records, story};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

story! {
    /// Values open with the new key, tokens stay, and the old key alone is good for nothing.
    async fn the_store_moves_to_a_new_key(app: TestApp) {
        let keys = KeyFile::new();
        let process = Process::start(app, keys.opener()).await;
        let id = process.remember("Ask ann@corp.io or bob@corp.io").await;
        let values = process.values().await;
        assert_eq!(values.len(), 3);
        let old = keys.lines();

        let rotated = process.rotate().await.unwrap();
        assert_eq!((rotated.resealed, rotated.unopened), (3, 0));
        assert_eq!(keys.lines()[1..], old);
        assert_eq!(process.values().await, values);
        assert_eq!(process.recall("bob@corp.io").await, [id]);
        let again = process.call("memory.remember", json!({"content": "Ask ann@corp.io or bob@corp.io"})).await;
        assert_eq!(again.unwrap()["id"], id, "its tokens are the same");

        let late = Process::start(app, given(&old[0])).await;
        let refused = late.call("memory.remember", json!({"content": "Ask carl@corp.io"})).await;
        assert_eq!(refused.unwrap_err().code(), Code::InvalidState);
        let refused = late.call("memory.forget", json!({"id": id})).await;
        assert_eq!(refused.unwrap_err().code(), Code::InvalidState);
        let token = values.keys().next().unwrap();
        assert!(late.reveal(token).await.is_err());
        let early = Process::start(app, given(&keys.lines()[0])).await;
        assert_eq!(early.values().await, values);
        assert_eq!(outcomes(app).await, ["begun", "finished"]);
        for process in [process, late, early] {
            process.end().await;
        }
    }

    /// A rotation that is cut off between any two of its transactions is taken up where it was.
    async fn a_cut_anywhere_is_made_good(app: TestApp) {
        let keys = KeyFile::new();
        let process = Process::start(app, keys.opener()).await;
        // More values than one batch has.
        let addresses: Vec<String> = (0..600).map(|number| format!("a{number}@corp.io")).collect();
        process.remember(&addresses.join(" ")).await;
        let values = process.values().await;
        assert_eq!(values.len(), 601);
        let mut cuts = 0;
        loop {
            let cut = Process::gated(app, keys.opener(), CutAfter::transactions(cuts)).await;
            let held = keys.lines();
            let ended = cut.rotate().await;
            cut.end().await;
            if ended.is_ok() {
                break;
            }
            assert_eq!(process.values().await, values, "cut after {cuts}");
            assert_eq!(process.recall("a7@corp.io").await.len(), 1, "cut after {cuts}");
            process.rotate().await.unwrap();
            assert_eq!(keys.lines().len(), held.len() + 1, "one secret for one rotation");
            assert_eq!(process.values().await, values, "cut after {cuts}");
            assert_eq!(rotation_state(app.env.db()).await.unwrap(), None);
            assert_eq!(fingerprints(app).await, 1, "cut after {cuts}");
            cuts += 1;
        }
        assert_eq!(cuts, 5, "look, take, seal, seal, finish");
        process.end().await;
    }

    /// A key that was given cannot be added to: whoever gives it puts the new one in front.
    async fn a_given_key_is_rotated_by_its_giver(app: TestApp) {
        let (old, new) = ("0f".repeat(31) + "aa", "1e".repeat(31) + "bb");
        let process = Process::start(app, given(&old)).await;
        process.remember("Ask ann@corp.io").await;
        let values = process.values().await;
        let refused = process.rotate().await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidState);
        assert!(refused.message().contains("in front of it"), "{refused}");
        let next = Process::start(app, given(&format!("{new},{old}"))).await;
        next.rotate().await.unwrap();
        let alone = Process::start(app, given(&new)).await;
        assert_eq!(alone.values().await, values);
        for process in [process, next, alone] {
            process.end().await;
        }
    }

    /// A server goes on over a rotation by another process: an input that was masked before is
    /// refused once, and may be sent again.
    async fn a_server_goes_on(app: TestApp) {
        let keys = KeyFile::new();
        let held = Arc::new(Held::default());
        let server = Process::start(app, keys.opener()).await;
        server.remember("Ask ann@corp.io").await;
        let registry = Registry::new().with::<SlowNote>();
        let env = environment(app, keys.opener(), |store| store).await;
        let env = env.part(Arc::clone(&held)).build();
        let ctx = Ctx::for_caller(env, "slow").with_project("test");
        let slow = tokio::spawn(async move {
            let input = json!({"content": "Ask bob@corp.io"});
            let first = registry.call("test.slow_note", &ctx, input.clone(), None).await;
            let second = registry.call("test.slow_note", &ctx, input, None).await;
            ctx.db().close().await.unwrap();
            (first, second)
        });
        held.begun.notified().await;
        let other = Process::start(app, keys.opener()).await;
        other.rotate().await.unwrap();
        held.go.notify_one();
        held.begun.notified().await;
        held.go.notify_one();
        let (first, second) = slow.await.unwrap();
        assert_eq!(first.unwrap_err().code(), Code::Busy);
        second.unwrap();
        server.remember("Ask carl@corp.io").await;
        assert_eq!(fingerprints(app).await, 1);
        server.end().await;
        other.end().await;
    }

    /// A rotation waits for those who write with the old key: nothing is sealed with it afterwards.
    async fn writers_are_waited_for(app: TestApp) {
        let keys = KeyFile::new();
        let held = Arc::new(Held::default());
        let gate = HeldGate::waiting(&held);
        let process = Process::start(app, keys.opener()).await;
        process.remember("Ask ann@corp.io").await;
        let writer = Process::gated(app, keys.opener(), gate).await;
        let writing = tokio::spawn(async move {
            writer.remember("Ask bob@corp.io").await;
            writer.end().await;
        });
        held.begun.notified().await;
        let mut rotation = Box::pin(process.rotate());
        let early = tokio::time::timeout(Duration::from_millis(200), &mut rotation).await;
        assert!(early.is_err(), "it waits");
        held.go.notify_one();
        rotation.await.unwrap();
        writing.await.unwrap();
        assert_eq!(fingerprints(app).await, 1);
        assert_eq!(process.values().await.len(), 3);
        process.end().await;
    }

    /// New tokens take the place of the old ones everywhere, wherever it is cut off; asking for a
    /// value finds as much as before.
    async fn new_tokens_take_the_place_of_old_ones(app: TestApp) {
        let keys = KeyFile::new();
        let process = Process::start(app, keys.opener()).await;
        let id = fill(&process).await;
        let mut values = process.values().await;
        let mut cuts = 0;
        loop {
            let found = process.found().await;
            let cut = Process::gated(app, keys.opener(), CutAfter::transactions(cuts)).await;
            let ended = cut.retokenise().await;
            cut.end().await;
            if let Ok(rotated) = &ended {
                let done = rotated.retokenised.unwrap();
                assert_eq!((done.tokens, done.kept), (values.len() as u64, 1));
                assert!(done.rows >= 6, "{done:?}");
            } else {
                process.retokenise().await.unwrap();
            }
            let renewed = process.values().await;
            assert_eq!(sorted(&values), sorted(&renewed), "cut after {cuts}");
            let everything = everything(app).await;
            for old in values.keys() {
                assert!(!everything.contains(&old[1..old.len() - 1]), "cut after {cuts}: {old}");
            }
            assert!(everything.contains("[email:0123456789abcdef]"));
            assert_eq!(process.found().await, found, "cut after {cuts}");
            assert_eq!(rotation_state(app.env.db()).await.unwrap(), None);
            values = renewed;
            if ended.is_ok() {
                break;
            }
            cuts += 1;
        }
        assert!(cuts > 8, "{cuts} cuts");
        let again = process.call("memory.remember", json!({"content": "Ask ann@corpora.io", "type": "decision"})).await;
        assert_eq!(again.unwrap()["id"], id, "its hash is that of the new tokens");
        let early = Process::start(app, given(&keys.lines()[0])).await;
        assert_eq!(early.values().await, values, "the new key alone is enough");
        for process in [process, early] {
            process.end().await;
        }
    }

    /// What was told again while new tokens are on their way is the same memory in the end.
    async fn what_was_told_meanwhile_is_one_memory(app: TestApp) {
        let keys = KeyFile::new();
        let process = Process::start(app, keys.opener()).await;
        let id = process.remember("Ask ann@corpora.io").await;
        let cut = Process::gated(app, keys.opener(), CutAfter::transactions(2)).await;
        cut.retokenise().await.unwrap_err();
        let meanwhile = process.remember("Ask ann@corpora.io").await;
        assert_ne!(meanwhile, id, "its token is another by now");
        process.retokenise().await.unwrap();
        assert_eq!(process.recall("ann@corpora.io").await, [id]);
        assert_eq!(process.remember("Ask ann@corpora.io").await, id);
        let gone = process.call("memory.get", json!({"id": meanwhile})).await.unwrap();
        assert_eq!(gone["superseded_by"], id);
        cut.end().await;
        process.end().await;
    }

    /// An event that was told again meanwhile is one event in the end, and found by its value.
    async fn an_event_told_meanwhile_is_one_event(app: TestApp) {
        let keys = KeyFile::new();
        let process = Process::start(app, keys.opener()).await;
        let event = json!({"content": "Called ann@corpora.io", "tags": ["ann@corpora.io"], "file_path": "/home/ann/a.rs"});
        let first = process.call("event.record", event.clone()).await.unwrap();
        let cut = Process::gated(app, keys.opener(), CutAfter::transactions(2)).await;
        cut.retokenise().await.unwrap_err();
        let meanwhile = process.call("event.record", event.clone()).await.unwrap();
        assert_eq!(meanwhile["duplicate"], false, "its token is another by now");
        process.retokenise().await.unwrap();
        let found = process.call("event.search", json!({"query": "ann@corpora.io", "min_score": 0.12})).await.unwrap();
        let hits = found["hits"].as_array().unwrap();
        assert_eq!((hits.len(), &hits[0]["id"]), (1, &first["id"]));
        let again = process.call("event.record", event).await.unwrap();
        assert_eq!((&again["id"], &again["duplicate"]), (&first["id"], &json!(true)));
        let gone = process.call("event.get", json!({"id": meanwhile["id"]})).await;
        assert_eq!(gone.unwrap_err().code(), Code::NotFound);
        cut.end().await;
        process.end().await;
    }

    /// Old tokens leave the sealed chunks of the search log too.
    async fn old_tokens_leave_sealed_chunks(app: TestApp) {
        let keys = KeyFile::new();
        let process = Process::start(app, keys.opener()).await;
        let id = process.remember("Ask ann@corpora.io").await;
        for batch in 0..9 {
            let memories: Vec<_> = (0..1_000)
                .map(|index| json!({"content": format!("row {} of the ledger", batch * 1_000 + index)}))
                .collect();
            process.call("memory.remember_batch", json!({"memories": memories})).await.unwrap();
        }
        athena_store::flush(process.ctx.env()).await;
        let old = process.values().await;
        assert!(logged_terms(app).await.iter().any(|term| old.keys().any(|token| token.contains(term))));
        process.retokenise().await.unwrap();
        let terms = logged_terms(app).await;
        for token in old.keys() {
            let code = token.trim_end_matches(']').rsplit(':').next().unwrap();
            assert!(!terms.iter().any(|term| term.contains(code)), "{token}");
        }
        let fresh = Process::start(app, keys.opener()).await;
        assert_eq!(fresh.recall("ann@corpora.io").await[0], id);
        assert_eq!(fresh.recall("ledger row 4242").await.len(), process.recall("ledger row 4242").await.len());
        for process in [process, fresh] {
            process.end().await;
        }
    }
}

/// Puts personal data into every table that may hold some, and returns a memory's id.
async fn fill(process: &Process) -> i64 {
    let input = json!({"content": "Ask ann@corpora.io", "type": "decision", "tags": ["ann@corpora.io"],
                       "metadata": {"ann@corpora.io": ["bob@corpora.io"]}, "speaker": "bob@corpora.io"});
    let id = process.call("memory.remember", input).await.unwrap()["id"].clone();
    let same = json!({"content": "Ask ann@corpora.io", "type": "decision"});
    let id_of_same = process.call("memory.remember", same).await.unwrap()["id"].clone();
    let token = process.values().await.into_keys().next().unwrap();
    let unknown = "[email:0123456789abcdef]";
    let long = format!("{}carl@corpora.io {unknown}", "A long story. ".repeat(400));
    let third = process
        .call("memory.remember", json!({"content": long}))
        .await
        .unwrap()["id"]
        .clone();
    for (operation, input) in [
        (
            "memory.update",
            json!({"id": id, "content": "Ask dan@corpora.io", "reason": "ann@corpora.io left"}),
        ),
        (
            "memory.feedback",
            json!({"id": third, "useful": true, "note": "ann@corpora.io says so"}),
        ),
        (
            "memory.relate",
            json!({"id": third, "to": id_of_same, "relation": "of ann@corpora.io"}),
        ),
        (
            "project.create",
            json!({"name": "other", "description": "Of eve@corpora.io"}),
        ),
        (
            "pii.reveal",
            json!({"token": token, "reason": "ann@corpora.io asked"}),
        ),
    ] {
        process.call(operation, input).await.unwrap();
    }
    let forgotten = process.remember("Forget fred@corpora.io").await;
    process
        .call(
            "memory.forget",
            json!({"id": forgotten, "reason": "fred@corpora.io asked"}),
        )
        .await
        .unwrap();
    let key = Some("of ann@corpora.io".to_owned());
    let input = json!({"content": "Once for gus@corpora.io"});
    process
        .registry
        .call("memory.remember", &process.ctx, input, key)
        .await
        .unwrap();
    id_of_same.as_i64().unwrap()
}

fn sorted(values: &BTreeMap<String, String>) -> Vec<&str> {
    let mut values: Vec<&str> = values.values().map(String::as_str).collect();
    values.sort_unstable();
    values
}

/// Every term in the search log of the app's store, in its tail and in its segments.
async fn logged_terms(app: &TestApp) -> Vec<String> {
    let Scalar(segments): Scalar<i64> = app
        .env
        .db()
        .fetch_one("SELECT COUNT(*) FROM search_segments", params! {})
        .await
        .unwrap();
    assert!(segments > 0);
    let mut terms = Vec::new();
    for record in logged_records(app.env.db()).await {
        if let Record::Passage { terms: found, .. } = record {
            terms.extend(found.into_iter().map(|(term, _)| term));
        }
    }
    terms
}

/// A key file of a test's own.
struct KeyFile {
    folder: tempfile::TempDir,
}

impl KeyFile {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("pii.key")
    }

    fn opener(&self) -> Opener {
        let path = self.path();
        Box::new(move || Keyring::file(&path))
    }

    /// The secrets, the newest first.
    fn lines(&self) -> Vec<String> {
        secrets(&self.path())
    }
}

fn secrets(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

type Opener = Box<dyn Fn() -> std::result::Result<Keyring, KeyringError> + Send + Sync>;

fn given(secrets: &str) -> Opener {
    let secrets = secrets.to_owned();
    Box::new(move || Keyring::given("the key of the test", &secrets))
}

/// A process with a keyring of its own at the app's store.
struct Process {
    registry: Arc<Registry>,
    ctx: Ctx,
}

impl Process {
    async fn start(app: &TestApp, opener: Opener) -> Self {
        Self::with(app, opener, |store| store).await
    }

    async fn gated(app: &TestApp, opener: Opener, gate: impl Gate + 'static) -> Self {
        Self::with(app, opener, |store| store.with_gate(gate)).await
    }

    async fn with(app: &TestApp, opener: Opener, hooks: impl FnOnce(Store) -> Store) -> Self {
        let env = environment(app, opener, hooks).await.build();
        Self {
            registry: Arc::clone(&app.registry),
            ctx: Ctx::for_caller(env, "test").with_project("test"),
        }
    }

    async fn call(&self, operation: &str, input: Value) -> Result<Value> {
        self.registry.call(operation, &self.ctx, input, None).await
    }

    async fn remember(&self, content: &str) -> i64 {
        let input = json!({"content": content});
        let remembered = self.call("memory.remember", input).await.unwrap();
        remembered["id"].as_i64().unwrap()
    }

    async fn recall(&self, query: &str) -> Vec<i64> {
        let found = self.call("memory.recall", json!({"query": query})).await;
        let found = found.unwrap();
        let hits = found["hits"].as_array().unwrap().iter();
        hits.map(|hit| hit["id"].as_i64().unwrap()).collect()
    }

    async fn rotate(&self) -> Result<Rotated> {
        rotate(self.ctx.env(), "test", false, &|_| {}).await
    }

    async fn retokenise(&self) -> Result<Rotated> {
        rotate(self.ctx.env(), "test", true, &|_| {}).await
    }

    /// What is found by values.
    async fn found(&self) -> Vec<Vec<i64>> {
        let mut found = Vec::new();
        for name in ["ann", "carl", "dan", "gus"] {
            let mut ids = self.recall(&format!("{name}@corpora.io")).await;
            assert!(!ids.is_empty(), "{name}");
            ids.sort_unstable();
            found.push(ids);
        }
        found
    }

    async fn reveal(&self, token: &str) -> Result<Option<String>> {
        let store: &Store = self.ctx.part();
        let mut entry = revealed(store.privacy(), self.ctx.db(), "test", token).await?;
        if entry.is_none() {
            entry = revealed(store.privacy(), self.ctx.db(), "other", token).await?;
        }
        Ok(entry.map(|entry| entry.value))
    }

    /// Every token with its value.
    async fn values(&self) -> BTreeMap<String, String> {
        let sql = "SELECT token FROM pii_vault ORDER BY token";
        let tokens: Vec<Scalar<String>> = self.ctx.db().fetch_all(sql, params! {}).await.unwrap();
        let mut values = BTreeMap::new();
        for Scalar(token) in tokens {
            let value = self.reveal(&token).await.unwrap().unwrap();
            values.insert(token, value);
        }
        values
    }

    async fn end(self) {
        self.ctx.db().close().await.unwrap();
    }
}

async fn environment(
    app: &TestApp,
    opener: Opener,
    hooks: impl FnOnce(Store) -> Store,
) -> EnvBuilder {
    let masking = Masking::new(Detector::default(), Policy::Standard);
    let privacy = Privacy::new(masking, opener, true);
    let known = [&athena_store::MIGRATIONS, &athena_memory::MIGRATIONS];
    let store = Store::new(&known, athena_memory::COLUMN_CLASSES, Arc::clone(&privacy));
    Env::builder(app.store.open().await, app.env.embedders().clone())
        .masker(privacy)
        .part(hooks(
            store.with_derive(DeriveMemories).with_derive(DeriveEvents),
        ))
        .part(Retrievals::default())
        .part(Searching::default())
        .part(athena_search::Recipe::default())
}

/// The fingerprints that values of the app's store are sealed with.
async fn fingerprints(app: &TestApp) -> usize {
    let sql = "SELECT DISTINCT fingerprint FROM pii_vault ORDER BY fingerprint";
    let found: Vec<Scalar<String>> = app.env.db().fetch_all(sql, params! {}).await.unwrap();
    found.len()
}

/// What the audit log says of rotations.
async fn outcomes(app: &TestApp) -> Vec<String> {
    let sql = "SELECT outcome FROM audit_log WHERE action = 'pii.rotate' ORDER BY id";
    let found: Vec<Scalar<String>> = app.env.db().fetch_all(sql, params! {}).await.unwrap();
    found.into_iter().map(|Scalar(outcome)| outcome).collect()
}

/// Ends a rotation before a transaction, as if the process had been killed there.
struct CutAfter {
    left: AtomicUsize,
}

impl CutAfter {
    fn transactions(count: usize) -> Self {
        let left = AtomicUsize::new(count);
        Self { left }
    }
}

impl Gate for CutAfter {
    fn check<'w>(&'w self, _: &'w Write<'_>, intent: &'w Intent) -> BoxFuture<'w, Result<()>> {
        assert_eq!(intent.operation, "pii.rotate");
        let one_less = |left: usize| left.checked_sub(1);
        let passed = self
            .left
            .try_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        let cut = passed
            .map(drop)
            .map_err(|_| Error::new(Code::Denied, "cut off"));
        Box::pin(std::future::ready(cut))
    }
}

/// Takes a note, long after its input was masked.
#[derive(Debug, Deserialize, JsonSchema)]
struct SlowNote {
    content: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Noted {
    content: String,
}

impl Operation for SlowNote {
    const SPEC: Spec = Spec::create("test.slow_note", "/slow");
    type Output = Noted;

    async fn call(self, ctx: &Ctx) -> Result<Noted> {
        let held: &Arc<Held> = ctx.part();
        held.begun.notify_one();
        held.go.notified().await;
        let kept = write(ctx, Intent::new("test.slow_note"), |_| {
            Box::pin(std::future::ready(Ok(())))
        });
        kept.await?;
        Ok(Noted {
            content: self.content,
        })
    }
}
