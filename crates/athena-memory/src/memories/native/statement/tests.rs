//! The statement as PostgreSQL plans it, and what it weighs.

use super::*;
use crate::memories::{NativeState, native_state};
use athena_db::{Scalar, TxOptions, params};
use athena_search::{Filter, VectorKind};
use athena_testkit::{SearchMode, TestApp, TestStore, json};

fn question(dim: usize) -> Question {
    let mut values = vec![0.0; dim];
    values[0] = 1.0;
    Question {
        builtin: Some(QueryVector {
            model: 1,
            values,
            kind: VectorKind::Table,
        }),
        ..Question::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_indexes_are_scanned() {
    let Some(store) = TestStore::postgres().await else {
        return;
    };
    let app = TestApp::on(store).await;
    let mut memories = vec![json!({"content": "The pool holds ten connections."})];
    memories.extend((0..400).map(|n| json!({"content": format!("Hall {n} is being aired.")})));
    app.call("memory.remember_batch", json!({"memories": memories}))
        .await;
    let db = app.store.open().await;
    let (env, _) = app.another_searching(db.clone(), SearchMode::Native);
    while native_state(&db).await.unwrap() != Some(NativeState::Complete) {
        athena_store::flush(&env).await;
    }
    // What was added last stands in a list that costs a scan, until somebody puts it into place.
    let clean = "SELECT gin_clean_pending_list('native_words_words')";
    db.fetch_rows(clean, params! {}, 1).await.unwrap();
    db.execute("ANALYZE", params! {}).await.unwrap();
    let Scalar(dim): Scalar<i64> = db
        .fetch_one("SELECT dim FROM embedding_models WHERE id = 1", params! {})
        .await
        .unwrap();
    let query = Query {
        text: "the pool".into(),
        limit: 10,
        filter: Filter {
            states: vec!["unconsolidated".into()],
            ..Filter::default()
        },
        ..Query::default()
    };
    let question = question(usize::try_from(dim).unwrap());
    let statement = Statement::new(&query, &[ProjectId(1)], question, Timestamp::now());
    let tx = db.begin(TxOptions::read_only()).await.unwrap();
    // So few rows are sorted faster; what is asked here is whether the indexes serve.
    for way in ["seqscan", "sort"] {
        let off = format!("SET LOCAL enable_{way} = off");
        tx.execute(off, params! {}).await.unwrap();
    }
    let plan = async |taken| -> String {
        let explain = format!("EXPLAIN {}", statement.text(taken));
        let lines: Vec<Scalar<String>> = tx
            .fetch_all(explain, statement.params(taken))
            .await
            .unwrap();
        lines.into_iter().map(|Scalar(line)| line + "\n").collect()
    };
    let by_index = plan(Taken::Nearest(100)).await;
    assert!(
        by_index.contains("Index Scan using native_passages_hnsw_1"),
        "{by_index}"
    );
    assert!(
        by_index.contains("Bitmap Index Scan on native_words_words"),
        "{by_index}"
    );
    let one_by_one = plan(Taken::All).await;
    assert!(!one_by_one.contains("hnsw"), "{one_by_one}");
    tx.rollback().await.unwrap();
    db.close().await.unwrap();
    app.finish().await;
}

#[test]
fn shares_sum_to_one_and_follow_the_weights() {
    let shares = |weights, mode| {
        let query = Query {
            text: "the pool".into(),
            weights,
            mode,
            ..Query::default()
        };
        let question = match mode {
            Mode::Keyword => Question::default(),
            _ => question(2),
        };
        Statement::new(&query, &[], question, Timestamp::UNIX_EPOCH).shares()
    };
    let weights = |semantic, keyword| Some(Weights { semantic, keyword });
    assert_eq!(
        shares(None, Mode::Hybrid),
        [(Ground::Builtin, 0.5), (Ground::Keyword, 0.5)]
    );
    assert_eq!(
        shares(weights(3.0, 1.0), Mode::Hybrid),
        [(Ground::Builtin, 0.75), (Ground::Keyword, 0.25)]
    );
    assert_eq!(
        shares(weights(0.0, 1.0), Mode::Hybrid),
        [(Ground::Keyword, 1.0)]
    );
    assert_eq!(
        shares(weights(0.0, 1.0), Mode::Semantic),
        [(Ground::Builtin, 1.0)]
    );
    assert_eq!(shares(None, Mode::Keyword), [(Ground::Keyword, 1.0)]);
}
