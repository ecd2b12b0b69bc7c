//! What only SQLite does: lookups on the task, one writer, a write-ahead log.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::ThreadId;
use std::time::Duration;

use athena_db::{
    Database, ErrorKind, Executor, FromRow, Position, Result, Row, Scalar, Stage, TxOptions, params,
};

use crate::backends::Store;

/// The thread that read a row.
struct Reader(ThreadId);

impl FromRow for Reader {
    fn from_row(_: &Row) -> Result<Self> {
        Ok(Self(std::thread::current().id()))
    }
}

/// Whether a statement is read on the very task that asks for it.
async fn is_read_inline(db: &Database, sql: &'static str) -> bool {
    let db = db.clone();
    let asked = tokio::spawn(async move {
        let here = std::thread::current().id();
        let readers: Vec<Reader> = db.fetch_all(sql, params! {}).await.unwrap();
        assert_eq!(readers.len(), 1);
        readers[0].0 == here
    });
    asked.await.unwrap()
}

async fn filled(rows: i64) -> Store {
    let store = Store::sqlite().await;
    store
        .create("t (id BIGINT PRIMARY KEY, name TEXT NOT NULL)")
        .await;
    let fill = "INSERT INTO t (id, name) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT :rows) SELECT i, 'name ' || i FROM n";
    store
        .db
        .execute(fill, params! { rows: rows })
        .await
        .unwrap();
    store
        .db
        .execute("CREATE UNIQUE INDEX by_name ON t (name)", params! {})
        .await
        .unwrap();
    store
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lookups_by_key_run_on_the_task_and_the_rest_elsewhere() {
    let store = filled(10).await;
    let by_key = "SELECT name FROM t WHERE id = 7";
    let by_name = "SELECT id FROM t WHERE name = 'name 7'";
    let scan = "SELECT id FROM t WHERE name LIKE '%7'";
    // SQLite is asked for the programme of a statement on its first run.
    for statement in [by_key, by_name, scan] {
        assert!(!is_read_inline(&store.db, statement).await, "{statement}");
    }
    assert!(is_read_inline(&store.db, by_key).await);
    assert!(is_read_inline(&store.db, by_name).await);
    assert!(!is_read_inline(&store.db, scan).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lookup_that_lost_its_index_leaves_the_task() {
    let store = filled(300_000).await;
    let by_name = "SELECT id FROM t WHERE name = 'name 299999'";
    assert!(!is_read_inline(&store.db, by_name).await);
    assert!(is_read_inline(&store.db, by_name).await);
    store
        .db
        .execute("DROP INDEX by_name", params! {})
        .await
        .unwrap();
    for _ in 0..3 {
        assert!(!is_read_inline(&store.db, by_name).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_of_the_callers_row_reaches_the_caller_alone() {
    struct Panics;
    impl FromRow for Panics {
        fn from_row(_: &Row) -> Result<Self> {
            panic!("the caller's own")
        }
    }
    let store = filled(10).await;
    for sql in [
        "SELECT id FROM t",
        "SELECT id FROM t WHERE id = 1",
        "DELETE FROM t WHERE id = 1 RETURNING id",
    ] {
        for _ in 0..2 {
            let db = store.db.clone();
            let asked = tokio::spawn(async move {
                db.fetch_all::<Panics>(sql, params! {})
                    .await
                    .map(|rows| rows.len())
            });
            match asked.await {
                Err(error) => assert!(error.is_panic()),
                Ok(rows) => assert_eq!(rows.unwrap(), 0, "{sql}"),
            }
        }
    }
    assert_eq!(store.count("t").await, 9);
}

#[tokio::test]
async fn the_writer_and_the_readers_are_named_by_what_holds_them() {
    let store = Store::sqlite().await;
    store.create("t (id BIGINT PRIMARY KEY)").await;
    let db = store
        .builder()
        .max_connections(1)
        .acquire_timeout(Duration::from_millis(50))
        .open()
        .await
        .unwrap();
    let holder = |error: athena_db::Error| match error.kind() {
        ErrorKind::PoolExhausted {
            holder: Some(holder),
            ..
        } => holder.sql.clone(),
        other => panic!("{other:?}"),
    };
    let writing = db.begin(TxOptions::default()).await.unwrap();
    writing
        .execute("INSERT INTO t (id) VALUES (12345)", params! {})
        .await
        .unwrap();
    let error = db
        .execute("INSERT INTO t (id) VALUES (2)", params! {})
        .await
        .unwrap_err();
    assert_eq!(holder(error), "INSERT INTO t (id) VALUES (?)");
    assert_eq!(
        db.ping().await.unwrap().oldest.unwrap().sql,
        "INSERT INTO t (id) VALUES (?)"
    );
    writing.rollback().await.unwrap();

    let reading = db.begin(TxOptions::read_only()).await.unwrap();
    reading
        .fetch_all::<Row>("SELECT id FROM t WHERE id > 12345", params! {})
        .await
        .unwrap();
    let error = db
        .fetch_all::<Row>("SELECT 1", params! {})
        .await
        .unwrap_err();
    assert_eq!(holder(error), "SELECT id FROM t WHERE id > ?");
}

#[tokio::test]
async fn a_snapshot_lets_the_log_grow_until_its_deadline_and_stops_nobody() {
    let store = filled(100).await;
    let deadline = Duration::from_millis(300);
    let snapshot = store
        .db
        .begin(TxOptions::read_only().with_deadline(deadline))
        .await
        .unwrap();
    let count = "SELECT count(*) FROM t";
    let Scalar(seen): Scalar<i64> = snapshot.fetch_one(count, params! {}).await.unwrap();
    assert_eq!(seen, 100);
    for id in 1_000..1_100 {
        let insert = "INSERT INTO t (id, name) VALUES (:id, 'late ' || :id)";
        store.db.execute(insert, params! { id: id }).await.unwrap();
    }
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    // The first may already be behind the deadline on a slow machine; then there is nothing to see.
    let first = store.db.execute_alone(checkpoint).await;
    if let Err(error) = &first {
        assert_eq!(*error.kind(), ErrorKind::Busy, "{error}");
        assert!(store.db.ping().await.unwrap().wal_bytes.unwrap() > 0);
    }
    while store.db.execute_alone(checkpoint).await.is_err() {}
    assert_eq!(store.db.ping().await.unwrap().wal_bytes, Some(0));
    let error = snapshot
        .fetch_one::<Scalar<i64>>(count, params! {})
        .await
        .unwrap_err();
    assert_eq!(
        *error.kind(),
        ErrorKind::Timeout(Stage::Transaction),
        "{error}"
    );
    assert_eq!(store.count("t").await, 200);
}

#[tokio::test]
async fn a_checkpoint_that_a_reader_stops_says_so() {
    let store = filled(100).await;
    let snapshot = store.db.begin(TxOptions::read_only()).await.unwrap();
    store
        .db
        .execute("DELETE FROM t WHERE id = 1", params! {})
        .await
        .unwrap();
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    let error = store.db.execute_alone(checkpoint).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Busy, "{error}");
    // Who asks for the row gets it.
    let (busy, _, _): (bool, i64, i64) = store.db.fetch_one(checkpoint, params! {}).await.unwrap();
    assert!(busy);
    drop(snapshot);
    store.db.execute_alone(checkpoint).await.unwrap();
    assert_eq!(store.db.ping().await.unwrap().wal_bytes, Some(0));
}

/// The closure waits for its neighbour, whose answer waits for the commit that both share.
#[tokio::test]
async fn a_closure_that_pauses_holds_back_nobodys_answer() {
    let store = Store::sqlite().await;
    store.create("t (id BIGINT PRIMARY KEY)").await;
    let gate = store.db.begin(TxOptions::default()).await.unwrap();
    let answered = tokio::sync::Notify::new();
    let neighbour = async {
        let sql = "INSERT INTO t (id) VALUES (1)";
        let result = store.db.execute(sql, params! {}).await;
        answered.notify_one();
        result
    };
    let runs = AtomicU32::new(0);
    let (runs_of, answered_to) = (&runs, &answered);
    let closure = store.db.transaction(TxOptions::default(), |tx| {
        Box::pin(async move {
            tx.execute("INSERT INTO t (id) VALUES (2)", params! {})
                .await?;
            if runs_of.fetch_add(1, Ordering::SeqCst) == 0 {
                answered_to.notified().await;
            }
            tx.execute("INSERT INTO t (id) VALUES (3)", params! {})
                .await
        })
    });
    // They queue up in this order, and meet in one group once the gate is open.
    let (first, second, opened) = tokio::join!(neighbour, closure, gate.rollback());
    opened.unwrap();
    assert_eq!((first.unwrap(), second.unwrap()), (1, 1));
    assert_eq!((runs.into_inner(), store.count("t").await), (2, 3));
}

/// Asking for no rows runs the statement all the same, as it does on the servers.
#[tokio::test]
async fn a_limit_of_no_rows_runs_the_statement() {
    let store = Store::sqlite().await;
    store.create("t (id BIGINT PRIMARY KEY)").await;
    let sql = "INSERT INTO t (id) VALUES (1), (2) RETURNING id";
    let rows = store.db.fetch_rows(sql, params! {}, 0).await.unwrap();
    assert!(rows.is_empty());
    assert_eq!(store.count("t").await, 2);
}

/// A statement that keeps a part of its work when it fails (`OR FAIL`) must not keep it here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_in_a_group_is_done_whole_or_not_at_all() {
    let store = Store::sqlite().await;
    store.create("t (id BIGINT PRIMARY KEY)").await;
    store
        .db
        .execute("INSERT INTO t (id) VALUES (0)", params! {})
        .await
        .unwrap();
    let gate = store.db.begin(TxOptions::default()).await.unwrap();
    let tasks: Vec<_> = (1..=30_i64)
        .map(|id| {
            let db = store.db.clone();
            tokio::spawn(async move {
                let sql = match id % 3 {
                    0 => "INSERT OR FAIL INTO t (id) VALUES (:id), (0)",
                    1 => "INSERT INTO t (id) VALUES (:id), (0)",
                    _ => "INSERT INTO t (id) VALUES (:id)",
                };
                db.execute(sql, params! { id: id }).await
            })
        })
        .collect();
    tokio::task::yield_now().await;
    gate.rollback().await.unwrap();
    for (id, task) in (1..).zip(tasks) {
        let result = task.await.unwrap();
        match id % 3 {
            0 | 1 => assert!(result.unwrap_err().is_unique_violation(), "{id}"),
            _ => assert_eq!(result.unwrap(), 1, "{id}"),
        }
    }
    assert_eq!(store.count("t").await, 11);
}

#[tokio::test]
async fn places_of_mistakes_are_those_of_the_callers_text() {
    let store = Store::sqlite().await;
    let ask = async |sql: &'static str| {
        let asked = store.db.fetch_all::<Row>(sql, params! { id: 1 });
        asked.await.unwrap_err().kind().clone()
    };
    let at = |line, column| ErrorKind::Syntax {
        at: Some(Position { line, column }),
    };
    assert_eq!(ask("SELECT :id, tpyo").await, at(1, 13));
    assert_eq!(ask("\n  SELECT :id,\n  tpyo").await, at(3, 3));
    assert_eq!(ask("CREATE TABL t (id INTEGER, :id)").await, at(1, 8));
}
