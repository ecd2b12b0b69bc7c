//! Many at once: tasks, handles, processes.

use std::time::Duration;

use athena_db::{Database, ErrorKind, Executor, Result, Row, Scalar, Stage, TxOptions, params};

use crate::backends::{Store, story};

const TABLE: &str = "t (id BIGINT PRIMARY KEY, worker BIGINT NOT NULL)";

async fn insert(db: &impl Executor, id: i64, worker: i64) -> Result<u64> {
    db.execute(
        "INSERT INTO t (id, worker) VALUES (:id, :worker)",
        params! { id: id, worker: worker },
    )
    .await
}

story! {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn sixteen_writers_lose_nothing(store: Store) {
        store.create(TABLE).await;
        let workers: Vec<_> = (0..16)
            .map(|worker| {
                let db = store.db.clone();
                tokio::spawn(async move {
                    for number in 0..25 {
                        let id = worker * 1000 + number;
                        if number % 2 == 0 {
                            insert(&db, id, worker).await.unwrap();
                        } else {
                            db.transaction(TxOptions::default(), |tx| {
                                Box::pin(async move { insert(tx, id, worker).await })
                            })
                            .await
                            .unwrap();
                        }
                        let Scalar(seen): Scalar<i64> = db
                            .fetch_one("SELECT count(*) FROM t WHERE id = :id", params! { id: id })
                            .await
                            .unwrap();
                        assert_eq!(seen, 1, "a read after an acknowledged write sees it");
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.await.unwrap();
        }
        assert_eq!(store.count("t").await, 400);
    }
}

story! {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn several_handles_share_a_store_without_being_told_it_is_locked(store: Store) {
        store.create(TABLE).await;
        let mut workers = Vec::new();
        for worker in 0..4 {
            let db = store.another().await;
            workers.push(tokio::spawn(async move {
                for number in 0..40 {
                    let id = worker * 1000 + number;
                    insert(&db, id, worker).await.unwrap();
                    // Read, then write: where a lock is upgraded half-way, this is what fails.
                    db.transaction(TxOptions::default(), |tx| {
                        Box::pin(async move {
                            let Scalar(count): Scalar<i64> = tx
                                .fetch_one(
                                    "SELECT count(*) FROM t WHERE worker = :worker",
                                    params! { worker: worker },
                                )
                                .await?;
                            insert(tx, id + 500, worker).await?;
                            Ok(count)
                        })
                    })
                    .await
                    .unwrap();
                }
                db.close().await.unwrap();
            }));
        }
        for worker in workers {
            worker.await.unwrap();
        }
        assert_eq!(store.count("t").await, 320);
    }
}

story! {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_failing_neighbour_hurts_nobody(store: Store) {
        store.create(TABLE).await;
        insert(&store.db, 0, 0).await.unwrap();
        // The open transaction holds SQLite's writer, so that the rest must meet in one group.
        let gate = store.db.begin(TxOptions::default()).await.unwrap();
        let tasks: Vec<_> = (1..=60)
            .map(|id| {
                let db = store.db.clone();
                tokio::spawn(async move {
                    match id % 4 {
                        0 => insert(&db, 0, id).await,
                        1 => insert(&db, id, id).await,
                        2 => {
                            db.transaction(TxOptions::default(), |tx| {
                                Box::pin(async move { insert(tx, id, id).await })
                            })
                            .await
                        }
                        _ => {
                            db.transaction(TxOptions::default(), |tx| {
                                Box::pin(async move {
                                    insert(tx, id, id).await?;
                                    insert(tx, 0, id).await
                                })
                            })
                            .await
                        }
                    }
                })
            })
            .collect();
        tokio::task::yield_now().await;
        gate.rollback().await.unwrap();
        for (id, task) in (1_i64..).zip(tasks) {
            let result = task.await.unwrap();
            match id % 4 {
                0 | 3 => assert!(result.unwrap_err().is_unique_violation(), "{id}"),
                _ => assert_eq!(result.unwrap(), 1, "{id}"),
            }
        }
        assert_eq!(store.count("t").await, 31);
    }
}

story! {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn concurrent_changes_of_one_row_add_up(store: Store) {
        store.create(TABLE).await;
        insert(&store.db, 1, 0).await.unwrap();
        let options = TxOptions::default().with_isolation(athena_db::Isolation::Serializable);
        let tasks: Vec<_> = (0..12)
            .map(|_| {
                let db = store.db.clone();
                tokio::spawn(async move {
                    db.transaction(options, |tx| {
                        Box::pin(async move {
                            let Scalar(value): Scalar<i64> = tx
                                .fetch_one("SELECT worker FROM t WHERE id = 1", params! {})
                                .await?;
                            tx.execute(
                                "UPDATE t SET worker = :value WHERE id = 1",
                                params! { value: value + 1 },
                            )
                            .await
                        })
                    })
                    .await
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap(), 1);
        }
        let Scalar(sum): Scalar<i64> = store
            .db
            .fetch_one("SELECT worker FROM t", params! {})
            .await
            .unwrap();
        assert_eq!(sum, 12);
    }
}

story! {
    #[tokio::test]
    async fn an_exhausted_pool_says_how_long_it_was_waited_for(store: Store) {
        let db = store.builder().max_connections(1).acquire_timeout(Duration::from_millis(50)).open().await.unwrap();
        let held = db.begin(TxOptions::read_only()).await.unwrap();
        let error = db.begin(TxOptions::read_only()).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::PoolExhausted { waited, .. } if *waited >= Duration::from_millis(50)), "{error:?}");
        drop(held);
        // A dropped PostgreSQL transaction is rolled back in the background first.
        let again = store.builder().max_connections(1).open().await.unwrap();
        assert_eq!(again.fetch_all::<Row>("SELECT 1", params! {}).await.unwrap().len(), 1);
    }
}

story! {
    #[tokio::test]
    async fn slow_statements_are_interrupted_and_leave_the_connection_usable(store: Store) {
        let db = store.builder().max_connections(1).statement_timeout(Duration::from_millis(100)).open().await.unwrap();
        let slow = athena_db::sql! {
            sqlite: "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
            postgres: "SELECT pg_sleep(60)",
            mysql: "SELECT sleep(60)",
        };
        let error = db.fetch_all::<Row>(slow.clone(), params! {}).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Timeout(Stage::Statement), "{error}");
        let Scalar(one): Scalar<i64> = db.fetch_one("SELECT CAST(1 AS BIGINT)", params! {}).await.unwrap();
        assert_eq!(one, 1);

        // The same when the caller goes away.
        let abandoned = tokio::time::timeout(Duration::from_millis(20), db.fetch_all::<Row>(slow, params! {})).await;
        assert!(abandoned.is_err());
        let Scalar(one): Scalar<i64> = db.fetch_one("SELECT CAST(1 AS BIGINT)", params! {}).await.unwrap();
        assert_eq!(one, 1);
    }
}

story! {
    #[tokio::test]
    async fn a_transaction_with_an_abandoned_statement_is_not_used_again(store: Store) {
        store.create(TABLE).await;
        let tx = store.db.begin(TxOptions::default()).await.unwrap();
        insert(&tx, 1, 1).await.unwrap();
        {
            let slow = athena_db::sql! {
                sqlite: "INSERT INTO t (id, worker) SELECT i, 1 FROM (WITH RECURSIVE n (i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n LIMIT 300000) SELECT i FROM n)",
                postgres: "INSERT INTO t (id, worker) SELECT 10, 1 FROM pg_sleep(60)",
                mysql: "INSERT INTO t (id, worker) SELECT 10, sleep(60)",
            };
            let mut statement = std::pin::pin!(tx.execute(slow, params! {}));
            let polled = std::future::poll_fn(|context| std::task::Poll::Ready(statement.as_mut().poll(context))).await;
            assert!(polled.is_pending());
        }
        assert_eq!(*insert(&tx, 3, 1).await.unwrap_err().kind(), ErrorKind::TxAborted);
        assert_eq!(*tx.commit().await.unwrap_err().kind(), ErrorKind::TxAborted);
        assert_eq!(store.count("t").await, 0);
        insert(&store.db, 4, 1).await.unwrap();
    }
}

#[tokio::test]
async fn a_memory_database_is_shared_by_its_clones_and_by_nobody_else() {
    let one = Database::open("sqlite::memory:").await.unwrap();
    let other = Database::open("sqlite::memory:").await.unwrap();
    one.execute("CREATE TABLE t (id INTEGER PRIMARY KEY) STRICT", params! {})
        .await
        .unwrap();
    assert_eq!(one.clone().schema().table_names().await.unwrap(), ["t"]);
    assert!(other.schema().table_names().await.unwrap().is_empty());
}

story! {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn two_connections_serve_two_hundred_clients(store: Store) {
        store.create(TABLE).await;
        let db = store.builder().max_connections(2).open().await.unwrap();
        let clients: Vec<_> = (0..200)
            .map(|id| {
                let db = db.clone();
                tokio::spawn(async move {
                    insert(&db, id, id).await?;
                    let read = "SELECT worker FROM t WHERE id = :id";
                    let Scalar(worker): Scalar<i64> =
                        db.fetch_one(read, params! { id: id }).await?;
                    let snapshot = db.begin(TxOptions::read_only()).await?;
                    let all = snapshot
                        .fetch_all::<Row>("SELECT id FROM t", params! {})
                        .await?;
                    snapshot.commit().await?;
                    Ok::<_, athena_db::Error>((worker, all.len()))
                })
            })
            .collect();
        for (id, client) in (0..).zip(clients) {
            let (worker, seen) = client.await.unwrap().unwrap();
            assert!(worker == id && seen > 0);
        }
        let health = db.ping().await.unwrap();
        assert!(health.size <= 2 && health.waiting == 0, "{health:?}");
        assert_eq!(store.count("t").await, 200);
        db.close().await.unwrap();
    }
}

story! {
    #[tokio::test]
    async fn a_stream_that_is_dropped_gives_its_connection_back(store: Store) {
        store.create(TABLE).await;
        let rows = (0..5_000)
            .map(|id| params! { id: id, worker: id })
            .collect();
        let fill = "INSERT INTO t (id, worker) VALUES (:id, :worker)";
        store.db.execute_many(fill, rows).await.unwrap();
        let db = store.builder().max_connections(1).open().await.unwrap();
        for _ in 0..3 {
            let mut stream = db.stream::<Scalar<i64>>("SELECT id FROM t ORDER BY id", params! {});
            assert_eq!(stream.next().await.unwrap().unwrap().0, 0);
            drop(stream);
            let Scalar(count): Scalar<i64> = db
                .fetch_one("SELECT count(*) FROM t", params! {})
                .await
                .unwrap();
            assert_eq!(count, 5_000);
        }
        db.close().await.unwrap();
    }
}

story! {
    #[tokio::test]
    async fn an_abandoned_statement_never_answers_the_next_on_a_borrowed_connection(store: Store) {
        let slow = athena_db::sql! {
            sqlite: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
            postgres: "SELECT 1, pg_sleep(600)",
            mysql: "SELECT 1, sleep(600)",
        };
        let db = store.builder().max_connections(1).open().await.unwrap();
        for round in 0..10_i64 {
            let conn = db.acquire().await.unwrap();
            let abandoned = conn.fetch_rows(slow.clone(), params! {}, 1);
            tokio::time::timeout(Duration::from_millis(20), abandoned).await.unwrap_err();
            let same = "SELECT 0 + :round";
            match conn.fetch_one::<Scalar<i64>>(same, params! { round: round }).await {
                Ok(Scalar(number)) => assert_eq!(number, round),
                Err(refused) => assert!(refused.is_connection(), "{refused:?}"),
            }
            drop(conn);
            let Scalar(next): Scalar<i64> =
                db.fetch_one(same, params! { round: round }).await.unwrap();
            assert_eq!(next, round);
        }
        db.close().await.unwrap();
    }
}
