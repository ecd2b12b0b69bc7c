//! The same memories give the same answers, scores included, on every backend and in every order.

use athena_db::Dialect;
use athena_testkit::{TestApp, TestStore, json};
use serde_json::Value;
use uuid::Uuid;

const MEMORIES: usize = 500;
const SEED: u64 = 0x5eed_a7e4;

/// A generator whose numbers are the same everywhere (Steele, Lea, Flood: SplitMix64, 2014).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

const WORDS: [&str; 40] = [
    "server",
    "deploys",
    "friday",
    "database",
    "index",
    "slow",
    "query",
    "cache",
    "memory",
    "agent",
    "ada",
    "grace",
    "linus",
    "prefers",
    "tabs",
    "spaces",
    "decided",
    "postgres",
    "sqlite",
    "rust",
    "python",
    "bug",
    "fixed",
    "release",
    "version",
    "token",
    "budget",
    "meeting",
    "tuesday",
    "customer",
    "invoice",
    "payment",
    "retry",
    "timeout",
    "network",
    "cluster",
    "backup",
    "restore",
    "naïve",
    "数据库",
];

fn sentence(numbers: &mut Numbers, words: usize) -> String {
    (0..words)
        .map(|_| WORDS[numbers.below(WORDS.len())])
        .collect::<Vec<_>>()
        .join(" ")
}

fn uid(index: usize) -> String {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + index as u128).to_string()
}

fn records(numbers: &mut Numbers) -> Vec<Value> {
    let kinds = ["fact", "decision", "pattern"];
    (0..MEMORIES)
        .map(|index| {
            let words = 3 + numbers.below(if index % 20 == 0 { 300 } else { 20 });
            json!({
                "uid": uid(index), "content": format!("{} {}", sentence(numbers, words), index % 50),
                "type": kinds[index % 3], "tags": [format!("t{}", index % 5)], "session": format!("s{}", index % 7),
                "occurred_at": format!("2026-01-{:02}T08:00:00Z", 1 + index % 28), "created_at": "2026-02-01T00:00:00Z",
            })
        })
        .collect()
}

fn queries(numbers: &mut Numbers) -> Vec<Value> {
    (0..50)
        .map(|index| {
            let words = 1 + numbers.below(5);
            let mut query =
                json!({"query": sentence(numbers, words), "limit": 25, "explain": index % 10 == 0});
            match index % 8 {
                1 => query["type"] = json!(["decision"]),
                3 => query["tags"] = json!(["t2"]),
                5 => query["session"] = json!("s3"),
                7 => query["after"] = json!("2026-01-14T00:00:00Z"),
                _ => {}
            }
            query["mode"] = json!(["hybrid", "keyword", "semantic"][index % 3]);
            query
        })
        .collect()
}

/// Imports everything in an order of its own, over several writers, then changes a third of it.
async fn fill(app: &TestApp, records: &[Value], order_seed: u64, writers: usize) {
    let mut numbers = Numbers(order_seed);
    let mut shuffled = records.to_vec();
    numbers.shuffle(&mut shuffled);
    app.call("project.create", json!({"name": "test"})).await;
    let (env, other) = app.another().await;
    let writes = (0..writers).map(|writer| {
        let ctx = if writer == 0 { &app.ctx } else { &other };
        let mine: Vec<Value> = shuffled
            .iter()
            .skip(writer)
            .step_by(writers)
            .cloned()
            .collect();
        async move {
            for batch in mine.chunks(17) {
                app.registry
                    .call("memory.import", ctx, json!({"memories": batch}), None)
                    .await
                    .unwrap();
            }
        }
    });
    futures_util::future::join_all(writes).await;
    env.db().close().await.unwrap();

    let ids = ids_by_uid(app).await;
    let mut order: Vec<usize> = (0..MEMORIES).step_by(3).collect();
    numbers.shuffle(&mut order);
    for index in order {
        let id = ids[&uid(index)];
        match index % 2 {
            0 => {
                app.call("memory.forget", json!({"id": id})).await;
            }
            _ => {
                app.call(
                    "memory.update_consolidation_state",
                    json!({"id": id, "state": "labile"}),
                )
                .await;
            }
        }
    }
    // Superseded versions come with their successors: an import is the only way to choose both uids.
    let successors: Vec<Value> = (1..MEMORIES)
        .step_by(9)
        .flat_map(|index| {
            let old = json!({
                "uid": uid(MEMORIES + index), "content": format!("old word on {index}"),
                "superseded_by": uid(2 * MEMORIES + index), "created_at": "2026-02-01T00:00:00Z",
            });
            let new = json!({
                "uid": uid(2 * MEMORIES + index), "lineage": uid(MEMORIES + index), "version": 2,
                "content": format!("new word on {index} server"), "created_at": "2026-02-01T00:00:00Z",
            });
            [old, new]
        })
        .collect();
    app.call("memory.import", json!({"memories": successors}))
        .await;
}

async fn ids_by_uid(app: &TestApp) -> std::collections::HashMap<String, i64> {
    let mut ids = std::collections::HashMap::new();
    let mut input = json!({"limit": 1_000});
    loop {
        let page = app.call("memory.list", input.clone()).await;
        for memory in page["items"].as_array().unwrap() {
            ids.insert(
                memory["uid"].as_str().unwrap().to_owned(),
                memory["id"].as_i64().unwrap(),
            );
        }
        match page.get("next_cursor") {
            Some(cursor) => input["cursor"] = cursor.clone(),
            None => return ids,
        }
    }
}

async fn answers(app: &TestApp, queries: &[Value]) -> Vec<Vec<(String, String, String)>> {
    let mut answers = Vec::new();
    for query in queries {
        let found = app.call("memory.recall", query.clone()).await;
        let hits = found["hits"].as_array().unwrap();
        let told = |hit: &Value| {
            (
                hit["uid"].to_string(),
                hit["score"].to_string(),
                hit["match"].to_string(),
            )
        };
        answers.push(hits.iter().map(told).collect());
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn same_answers_everywhere() {
    let mut numbers = Numbers(SEED);
    let (records, queries) = (records(&mut numbers), queries(&mut numbers));

    let first = TestApp::on(TestStore::sqlite().await).await;
    fill(&first, &records, 1, 1).await;
    let expected = answers(&first, &queries).await;
    first.finish().await;
    let found: usize = expected.iter().map(Vec::len).sum();
    assert!(found > 500, "the queries find something: {found}");

    let second = TestApp::on(TestStore::sqlite().await).await;
    fill(&second, &records, 2, 2).await;
    assert_eq!(
        answers(&second, &queries).await,
        expected,
        "another order on SQLite"
    );
    second.finish().await;

    for dialect in [Dialect::Postgres, Dialect::MySql] {
        let Some(store) = TestStore::on(dialect).await else {
            return;
        };
        let app = TestApp::on(store).await;
        fill(&app, &records, 3, 2).await;
        let found = answers(&app, &queries).await;
        assert_eq!(found, expected, "two writers on {dialect}");
        app.finish().await;
    }
}
