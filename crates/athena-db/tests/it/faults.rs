//! Faults of the disk, and what a commit group does about them.

use athena_db::{Dialect, ErrorKind, Executor, Result, Row, Scalar, TxOptions, params};

use crate::backends::{Store, story};

async fn insert(db: &impl Executor, id: i64, size: i64) -> Result<u64> {
    db.execute(
        "INSERT INTO t (id, body) VALUES (:id, zeroblob(:size))",
        params! { id: id, size: size },
    )
    .await
}

/// A full disk takes SQLite's whole transaction along, neighbours included.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_takes_only_those_who_do_not_fit() {
    let store = Store::sqlite().await;
    store.create("t (id BIGINT PRIMARY KEY, body BLOB)").await;
    store
        .db
        .execute_alone("PRAGMA max_page_count = 60")
        .await
        .unwrap();
    for round in 0..5 {
        let gate = store.db.begin(TxOptions::default()).await.unwrap();
        let tasks: Vec<_> = (1..=30)
            .map(|number| {
                let (db, id) = (store.db.clone(), round * 100 + number);
                tokio::spawn(async move {
                    match number % 3 {
                        0 => insert(&db, id, 10_000_000).await,
                        1 => insert(&db, id, 10).await,
                        _ => {
                            db.transaction(TxOptions::default(), |tx| {
                                Box::pin(async move { insert(tx, id, 10).await })
                            })
                            .await
                        }
                    }
                })
            })
            .collect();
        tokio::task::yield_now().await;
        gate.rollback().await.unwrap();
        for (number, task) in (1..).zip(tasks) {
            let result = task.await.unwrap();
            match number % 3 {
                0 => assert_eq!(*result.unwrap_err().kind(), ErrorKind::Full),
                _ => assert_eq!(result.unwrap(), 1, "{number}"),
            }
        }
    }
    assert_eq!(store.count("t").await, 100);
    let broken: Vec<Row> = store
        .db
        .fetch_all("PRAGMA integrity_check", params! {})
        .await
        .unwrap();
    assert_eq!(broken[0].get_at::<String>(0).unwrap(), "ok");
}

#[tokio::test]
async fn a_transaction_that_fills_the_disk_is_told_so_and_undone() {
    let store = Store::sqlite().await;
    store.create("t (id BIGINT PRIMARY KEY, body BLOB)").await;
    store
        .db
        .execute_alone("PRAGMA max_page_count = 60")
        .await
        .unwrap();
    let full = store
        .db
        .transaction(TxOptions::default(), |tx| {
            Box::pin(async move {
                insert(tx, 1, 10).await?;
                insert(tx, 2, 10_000_000).await
            })
        })
        .await;
    assert_eq!(*full.unwrap_err().kind(), ErrorKind::Full);
    let tx = store.db.begin(TxOptions::default()).await.unwrap();
    insert(&tx, 1, 10).await.unwrap();
    assert_eq!(
        *insert(&tx, 2, 10_000_000).await.unwrap_err().kind(),
        ErrorKind::Full
    );
    tx.commit().await.unwrap_err();
    assert_eq!(store.count("t").await, 0);
    insert(&store.db, 1, 10).await.unwrap();
    assert_eq!(store.count("t").await, 1);
}

story! {
    #[tokio::test]
    async fn statements_that_want_no_transaction_run_outside_one(store: Store) {
        store.create("t (id BIGINT PRIMARY KEY)").await;
        let vacuum = athena_db::sql! {
            sqlite: "VACUUM",
            postgres: "VACUUM",
            mysql: "OPTIMIZE TABLE t",
        };
        store.db.execute_alone(vacuum.clone()).await.unwrap();
        store.db.execute(vacuum, params! {}).await.unwrap();
        if let Some(path) = store.path() {
            store
                .db
                .execute_alone("PRAGMA wal_checkpoint(TRUNCATE)")
                .await
                .unwrap();
            let log = std::fs::metadata(path.with_extension("db-wal")).unwrap();
            assert_eq!(log.len(), 0);
            let keys: Vec<Row> = store
                .db
                .fetch_all("PRAGMA foreign_keys", params! {})
                .await
                .unwrap();
            assert!(keys[0].get_at::<bool>(0).unwrap());
            // What sets something reaches the writer, never a pooled reader.
            store
                .db
                .fetch_all::<Row>("PRAGMA query_only = OFF", params! {})
                .await
                .unwrap();
            let tx = store.db.begin(TxOptions::read_only()).await.unwrap();
            let error = tx
                .execute("INSERT INTO t (id) VALUES (1)", params! {})
                .await
                .unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::ReadOnly);
        }
    }
}

#[tokio::test]
async fn connections_that_the_server_ends_are_replaced() {
    let Some(store) = Store::on(Dialect::Postgres).await else {
        return;
    };
    store.create("t (id BIGINT PRIMARY KEY, body BYTEA)").await;
    let name = format!("ended_{}", std::process::id());
    let db = store
        .builder()
        .application_name(name.as_str())
        .max_connections(3)
        .min_connections(3)
        .open()
        .await
        .unwrap();
    for round in 0..5 {
        let tx = db.begin(TxOptions::default()).await.unwrap();
        tx.execute("INSERT INTO t (id) VALUES (1000)", params! {})
            .await
            .unwrap();
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = :name";
        let Scalar(ended): Scalar<i64> = store
            .db
            .fetch_one(end, params! { name: name.as_str() })
            .await
            .unwrap();
        assert!(ended > 0);
        let error = tx
            .execute("INSERT INTO t (id) VALUES (2000)", params! {})
            .await
            .unwrap_err();
        assert!(error.is_connection(), "{error:?}");
        tx.commit().await.unwrap_err();
        // A read is repeated; a write that met the end of its connection says that it does not know.
        let rows: Vec<Row> = db.fetch_all("SELECT id FROM t", params! {}).await.unwrap();
        assert_eq!(rows.len(), round);
        let id = i64::try_from(round).unwrap();
        match db
            .execute("INSERT INTO t (id) VALUES (:id)", params! { id: id })
            .await
        {
            Ok(count) => assert_eq!(count, 1),
            Err(error) => assert_eq!(*error.kind(), ErrorKind::CommitUnknown, "{error:?}"),
        }
        db.execute(
            "INSERT INTO t (id) VALUES (:id) ON CONFLICT (id) DO NOTHING",
            params! { id: id },
        )
        .await
        .unwrap();
    }
}
