//! Transactions: committed, rolled back, dropped, nested, run again, too late.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use athena_db::{
    BoxFuture, Database, Error, ErrorKind, Executor, Result, Retry, Stage, Tx, TxOptions, params,
};

use futures_util::future::join_all;

use crate::backends::{Store, story};

async fn insert(db: &impl Executor, id: i64) -> Result<u64> {
    db.execute(
        "INSERT INTO t (id, note) VALUES (:id, 'x')",
        params! { id: id },
    )
    .await
}

async fn ids(db: &impl Executor) -> Vec<i64> {
    let rows: Vec<(i64,)> = db
        .fetch_all("SELECT id FROM t ORDER BY id", params! {})
        .await
        .unwrap();
    rows.into_iter().map(|(id,)| id).collect()
}

const TABLE: &str = "t (id BIGINT PRIMARY KEY, note TEXT NOT NULL)";

story! {
    #[tokio::test]
    async fn commit_keeps_and_rollback_and_drop_undo(store: Store) {
        store.create(TABLE).await;
        let db = &store.db;

        let tx = db.begin(TxOptions::default()).await.unwrap();
        insert(&tx, 1).await.unwrap();
        assert_eq!(ids(&tx).await, [1], "a transaction sees its own work");
        assert!(ids(db).await.is_empty(), "others do not");
        tx.commit().await.unwrap();
        assert_eq!(ids(db).await, [1]);

        let tx = db.begin(TxOptions::default()).await.unwrap();
        insert(&tx, 2).await.unwrap();
        tx.rollback().await.unwrap();
        assert_eq!(ids(db).await, [1]);

        let tx = db.begin(TxOptions::default()).await.unwrap();
        insert(&tx, 3).await.unwrap();
        drop(tx);
        insert(db, 4).await.unwrap();
        assert_eq!(
            ids(db).await,
            [1, 4],
            "a dropped transaction leaves neither rows nor locks"
        );
    }
}

story! {
    #[tokio::test]
    async fn a_failed_statement_dooms_all_but_its_savepoint(store: Store) {
        store.create(TABLE).await;
        insert(&store.db, 1).await.unwrap();

        let tx = store.db.begin(TxOptions::default()).await.unwrap();
        insert(&tx, 2).await.unwrap();
        let savepoint = tx.savepoint().await.unwrap();
        assert!(insert(&tx, 1).await.unwrap_err().is_unique_violation());
        assert_eq!(
            *insert(&tx, 3).await.unwrap_err().kind(),
            ErrorKind::TxAborted
        );
        savepoint.rollback().await.unwrap();
        insert(&tx, 4).await.unwrap();
        let kept = tx.savepoint().await.unwrap();
        insert(&tx, 5).await.unwrap();
        kept.release().await.unwrap();
        let dropped = tx.savepoint().await.unwrap();
        insert(&tx, 6).await.unwrap();
        drop(dropped);
        tx.commit().await.unwrap();
        assert_eq!(ids(&store.db).await, [1, 2, 4, 5]);

        let tx = store.db.begin(TxOptions::default()).await.unwrap();
        insert(&tx, 7).await.unwrap();
        insert(&tx, 1).await.unwrap_err();
        assert_eq!(
            *tx.commit().await.unwrap_err().kind(),
            ErrorKind::TxAborted,
            "a commit never pretends"
        );
        assert_eq!(ids(&store.db).await, [1, 2, 4, 5]);
    }
}

story! {
    #[tokio::test]
    async fn nested_closures_undo_their_own_part(store: Store) {
        store.create(TABLE).await;
        let note = store
            .db
            .transaction(TxOptions::default(), |tx| {
                Box::pin(async move {
                    insert(tx, 1).await?;
                    let failed = tx
                        .nested(|tx| {
                            Box::pin(async move {
                                insert(tx, 2).await?;
                                insert(tx, 1).await
                            })
                        })
                        .await;
                    assert!(failed.unwrap_err().is_unique_violation());
                    tx.nested(|tx| Box::pin(async move { insert(tx, 3).await }))
                        .await?;
                    Ok("done")
                })
            })
            .await
            .unwrap();
        assert_eq!(note, "done");
        assert_eq!(ids(&store.db).await, [1, 3]);
    }
}

story! {
    #[tokio::test]
    async fn closures_that_fail_leave_nothing(store: Store) {
        store.create(TABLE).await;
        let refused: Result<()> = store
            .db
            .transaction(TxOptions::default(), |tx| {
                Box::pin(async move {
                    insert(tx, 1).await?;
                    Err(Error::new(ErrorKind::Other, "changed my mind"))
                })
            })
            .await;
        assert_eq!(refused.unwrap_err().to_string(), "changed my mind");
        assert!(ids(&store.db).await.is_empty());
    }
}

/// What an upper layer would have.
#[derive(Debug)]
enum Upper {
    Database(Error),
    Full,
}

impl From<Error> for Upper {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl Retry for Upper {
    fn retry_cause(&self) -> Option<&Error> {
        match self {
            Self::Database(error) => Some(error),
            Self::Full => None,
        }
    }
}

story! {
    #[tokio::test]
    async fn closures_are_run_again_after_retryable_errors_only(store: Store) {
        store.create(TABLE).await;
        let runs = AtomicU32::new(0);
        let runs = &runs;
        store
            .db
            .transaction_with::<_, Upper, _>(TxOptions::default(), |tx| {
                Box::pin(async move {
                    insert(tx, 1).await?;
                    match runs.fetch_add(1, Ordering::SeqCst) {
                        0 | 1 => Err(Upper::Database(Error::new(
                            ErrorKind::Serialization,
                            "again",
                        ))),
                        _ => Ok(()),
                    }
                })
            })
            .await
            .unwrap();
        assert_eq!(runs.load(Ordering::SeqCst), 3);
        assert_eq!(ids(&store.db).await, [1]);

        runs.store(0, Ordering::SeqCst);
        let refused = store
            .db
            .transaction_with::<(), Upper, _>(TxOptions::default(), |_| {
                Box::pin(async move {
                    runs.fetch_add(1, Ordering::SeqCst);
                    Err(Upper::Full)
                })
            })
            .await;
        assert!(matches!(refused, Err(Upper::Full)));
        assert_eq!(runs.load(Ordering::SeqCst), 1);

        runs.store(0, Ordering::SeqCst);
        let refused: Result<()> = store
            .db
            .transaction(TxOptions::default(), |_| {
                Box::pin(async move {
                    runs.fetch_add(1, Ordering::SeqCst);
                    Err(Error::new(ErrorKind::Deadlock, "for ever"))
                })
            })
            .await;
        assert_eq!(*refused.unwrap_err().kind(), ErrorKind::Deadlock);
        assert!(
            runs.load(Ordering::SeqCst) > 3,
            "bounded, and not at once given up"
        );
    }
}

story! {
    /// Compiles if transactions can be used from spawned tasks with borrowed and with owned captures.
    #[tokio::test]
    async fn transactions_work_inside_spawned_tasks(store: Store) {
        async fn borrowing(db: &Database, names: &[String]) -> Result<u64> {
            db.transaction(TxOptions::default(), |tx| {
                Box::pin(async move {
                    let mut count = 0;
                    for (id, name) in (1..).zip(names) {
                        count += tx
                            .execute(
                                "INSERT INTO t (id, note) VALUES (:id, :name)",
                                params! { id: id, name: name },
                            )
                            .await?;
                    }
                    Ok(count)
                })
            })
            .await
        }

        fn boxed<'t>(tx: &'t Tx<'_>, id: i64) -> BoxFuture<'t, Result<u64>> {
            Box::pin(async move { insert(tx, id).await })
        }

        store.create(TABLE).await;
        let db = store.db.clone();
        let task = tokio::spawn(async move {
            let names = vec!["a".to_owned(), "b".to_owned()];
            let borrowed = borrowing(&db, &names).await?;
            let owned = "c".to_owned();
            let stored = db
                .transaction(TxOptions::default(), |tx| {
                    let owned = owned.clone();
                    Box::pin(async move {
                        tx.execute(
                            "INSERT INTO t (id, note) VALUES (10, :note)",
                            params! { note: owned },
                        )
                        .await
                    })
                })
                .await?;
            let moved = db
                .transaction(TxOptions::default(), move |tx| boxed(tx, 11))
                .await?;
            let tx = db.begin(TxOptions::default()).await?;
            let by_hand = insert(&tx, 12).await?;
            tx.commit().await?;
            Ok::<_, Error>(borrowed + stored + moved + by_hand)
        });
        assert_eq!(task.await.unwrap().unwrap(), 5);
        assert_eq!(ids(&store.db).await, [1, 2, 10, 11, 12]);
    }
}

story! {
    #[tokio::test]
    async fn a_transaction_past_its_deadline_says_so_and_holds_nothing(store: Store) {
        store.create(TABLE).await;
        insert(&store.db, 1).await.unwrap();
        let deadline = Duration::from_millis(100);
        let tx = store
            .db
            .begin(TxOptions::default().with_deadline(deadline))
            .await
            .unwrap();
        tx.execute("UPDATE t SET note = 'late' WHERE id = 1", params! {})
            .await
            .unwrap();
        // Waits for the lock of the first until its deadline ends it.
        let changed = store
            .db
            .execute("UPDATE t SET note = 'next' WHERE id = 1", params! {})
            .await
            .unwrap();
        assert_eq!(changed, 1);
        let error = tx
            .execute("UPDATE t SET note = 'later' WHERE id = 1", params! {})
            .await
            .unwrap_err();
        assert_eq!(
            *error.kind(),
            ErrorKind::Timeout(Stage::Transaction),
            "{error}"
        );
        assert_eq!(
            *tx.commit().await.unwrap_err().kind(),
            ErrorKind::Timeout(Stage::Transaction)
        );
        let (note,): (String,) = store
            .db
            .fetch_one("SELECT note FROM t", params! {})
            .await
            .unwrap();
        assert_eq!(note, "next");
    }
}

story! {
    #[tokio::test]
    async fn read_only_transactions_see_one_state_and_refuse_writes(store: Store) {
        store.create(TABLE).await;
        insert(&store.db, 1).await.unwrap();
        let snapshot = store.db.begin(TxOptions::read_only()).await.unwrap();
        insert(&store.db, 2).await.unwrap();
        assert_eq!(
            ids(&store.db).await,
            [1, 2],
            "a read after an acknowledged write sees it"
        );
        assert_eq!(ids(&snapshot).await, [1], "a snapshot does not change");
        assert_eq!(
            *insert(&snapshot, 3).await.unwrap_err().kind(),
            ErrorKind::ReadOnly
        );
        drop(snapshot);
        insert(&store.db, 3).await.unwrap();
        assert_eq!(
            ids(&store.db).await,
            [1, 2, 3],
            "the next user of the connection may read anew"
        );
    }
}

story! {
    #[tokio::test]
    async fn a_dropped_future_leaks_no_lock(store: Store) {
        store.create(TABLE).await;
        for _ in 0..20 {
            let db = store.db.clone();
            let task = tokio::spawn(async move {
                db.transaction(TxOptions::default(), |tx| {
                    Box::pin(async move {
                        insert(tx, 1).await?;
                        std::future::pending::<Result<()>>().await
                    })
                })
                .await
            });
            tokio::task::yield_now().await;
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
        }
        insert(&store.db, 1).await.unwrap();
        assert_eq!(ids(&store.db).await, [1]);
    }
}

story! {
    #[tokio::test]
    async fn statements_that_begin_or_end_transactions_are_refused(store: Store) {
        for sql in ["BEGIN", "COMMIT", "/* sly */ ROLLBACK", "SAVEPOINT s"] {
            let error = store.db.execute(sql, params! {}).await.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::Unsupported { .. }),
                "{sql}: {error}"
            );
        }
    }
}

story! {
    #[tokio::test]
    async fn statements_at_the_same_time_take_turns(store: Store) {
        store.create(TABLE).await;
        insert(&store.db, 1).await.unwrap();
        for round in 0..10 {
            let tx = store.db.begin(TxOptions::default()).await.unwrap();
            // New texts, so that each is prepared; and a batch beside them.
            let notes = (0..8).map(|number| {
                let sql = format!(
                    "INSERT INTO t (id, note) VALUES (:id, 'round {round}, {number}')"
                );
                tx.execute(sql, params! { id: 10 + number })
            });
            let rows = (100..120).map(|id| vec![id.into(), "batch".into()]).collect();
            let (notes, batch, names) = tokio::join!(
                join_all(notes),
                tx.insert_rows("t", &["id", "note"], rows),
                tx.savepoint()
            );
            assert_eq!(notes.into_iter().map(Result::unwrap).sum::<u64>(), 8);
            assert_eq!(batch.unwrap(), 20);
            names.unwrap().release().await.unwrap();
            assert_eq!(ids(&tx).await.len(), 29, "round {round}");
            tx.rollback().await.unwrap();
        }

        // One that fails dooms those that come after it, and no other.
        let tx = store.db.begin(TxOptions::default()).await.unwrap();
        let (before, failed, after) =
            tokio::join!(insert(&tx, 2), insert(&tx, 1), insert(&tx, 3));
        assert_eq!(before.unwrap(), 1);
        assert!(failed.unwrap_err().is_unique_violation());
        assert_eq!(*after.unwrap_err().kind(), ErrorKind::TxAborted);
        tx.rollback().await.unwrap();
        assert_eq!(ids(&store.db).await, [1]);
    }
}

story! {
    #[tokio::test]
    async fn a_turn_that_does_not_come_is_waited_for_until_the_deadline(store: Store) {
        store.create(TABLE).await;
        let rows = (0..200).map(|id: i64| vec![id.into(), "x".into()]).collect();
        store.db.insert_rows("t", &["id", "note"], rows).await.unwrap();
        let options = TxOptions::default().with_deadline(Duration::from_millis(500));
        let tx = store.db.begin(options).await.unwrap();
        insert(&tx, 1000).await.unwrap();
        // It has its turn and takes a while, and nobody polls it any more.
        let slow = "SELECT count(*) FROM t a, t b, t c WHERE a.id + b.id > c.id";
        let mut forgotten = tx.fetch_rows(slow, params! {}, 1);
        assert!(futures_util::poll!(forgotten.as_mut()).is_pending());
        let error = insert(&tx, 2000).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Timeout(Stage::Transaction), "{error:?}");
        drop(forgotten);
        tx.rollback().await.unwrap();
        assert_eq!(store.count("t").await, 200);
    }
}

story! {
    #[tokio::test]
    async fn nothing_waits_for_a_stream_that_waits_for_its_reader(store: Store) {
        store.create(TABLE).await;
        let rows = (0..2000).map(|id: i64| vec![id.into(), "x".into()]).collect();
        store.db.insert_rows("t", &["id", "note"], rows).await.unwrap();
        let tx = store.db.begin(TxOptions::default()).await.unwrap();
        let savepoint = tx.savepoint().await.unwrap();
        insert(&tx, 6000).await.unwrap();
        let mut stream = tx.stream::<(i64,)>("SELECT id FROM t WHERE id < 2000 ORDER BY id", params! {});
        assert_eq!(stream.next().await.unwrap().unwrap(), (0,));
        let refused = [
            savepoint.rollback().await.unwrap_err(),
            insert(&tx, 5000).await.unwrap_err(),
            tx.savepoint().await.unwrap_err(),
            tx.stream::<(i64,)>("SELECT 1", params! {}).next().await.unwrap().unwrap_err(),
        ];
        for error in refused {
            assert!(error.to_string().contains("stream"), "{error:?}");
        }
        let mut rest = 0;
        while let Some(row) = stream.next().await {
            row.unwrap();
            rest += 1;
        }
        assert_eq!(rest, 1999);
        drop(stream);
        // What was to be undone is not there, though nobody asked again.
        insert(&tx, 5000).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.count("t").await, 2001);

        let conn = store.db.acquire().await.unwrap();
        let mut stream = conn.stream::<(i64,)>("SELECT id FROM t ORDER BY id", params! {});
        assert_eq!(stream.next().await.unwrap().unwrap(), (0,));
        let refused = conn.fetch_rows("SELECT 1", params! {}, 1).await.unwrap_err();
        assert!(refused.to_string().contains("stream"), "{refused:?}");
    }
}
