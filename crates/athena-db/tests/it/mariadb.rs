//! A MariaDB that is killed, full of other people's locks, or asked for too much.

use std::sync::Arc;
use std::time::Duration;

use athena_db::{Database, Dialect, ErrorKind, Executor, Result, Scalar, TxOptions, params};
use athena_testserver::MariaDb;
use tokio::sync::Barrier;

use crate::backends::Store;

async fn insert(db: &impl Executor, id: i64) -> Result<u64> {
    let row = params! { id: id, note: "first" };
    db.execute("INSERT INTO t (id, note) VALUES (:id, :note)", row)
        .await
}

async fn note(db: &impl Executor, id: i64, note: &'static str) -> Result<u64> {
    let change = params! { id: id, note: note };
    db.execute("UPDATE t SET note = :note WHERE id = :id", change)
        .await
}

async fn ids(db: &impl Executor) -> Vec<i64> {
    let ids: Vec<Scalar<i64>> = db
        .fetch_all("SELECT id FROM t ORDER BY id", params! {})
        .await
        .unwrap();
    ids.into_iter().map(|Scalar(id)| id).collect()
}

async fn connection_id(db: &impl Executor) -> i64 {
    let Scalar(id): Scalar<i64> = db
        .fetch_one("SELECT connection_id()", params! {})
        .await
        .unwrap();
    id
}

const TABLE: &str = "CREATE TABLE t (id BIGINT PRIMARY KEY, note TEXT)";

#[tokio::test]
async fn an_abandoned_query_never_answers_the_next_one() {
    let Some(store) = Store::on(Dialect::MySql).await else {
        return;
    };
    let db = store.builder().max_connections(1).open().await.unwrap();
    for number in 0..40_i64 {
        let slow = db.fetch_one::<Scalar<i64>>(
            "SELECT :number + sleep(0.02)",
            params! { number: 1000 + number },
        );
        // Sometimes before it was sent, sometimes in the middle, sometimes behind its end.
        let _ = tokio::time::timeout(
            Duration::from_millis(u64::try_from(number % 4).unwrap() * 8),
            slow,
        )
        .await;
        let Scalar(next): Scalar<i64> = db
            .fetch_one("SELECT :number + 0", params! { number: number })
            .await
            .unwrap();
        assert_eq!(next, number);
    }
    db.close().await.unwrap();
    store.finish().await;
}

#[tokio::test]
async fn a_server_that_comes_back_is_used_again() {
    let Some(mut server) = MariaDb::start() else {
        return;
    };
    let db = Database::open(&server.url()).await.unwrap();
    db.execute(TABLE, params! {}).await.unwrap();
    insert(&db, 1).await.unwrap();
    for id in 2..5 {
        if id % 2 == 0 {
            server.stop();
        } else {
            server.kill();
        }
        // Sent before anybody noticed, or not sent at all.
        let first = insert(&db, 100).await.unwrap_err();
        let lost = matches!(first.kind(), ErrorKind::CommitUnknown);
        assert!(lost || first.is_connection(), "{first:?}");
        let second = insert(&db, 100).await.unwrap_err();
        assert!(second.is_connection(), "{second:?}");
        server.restart();
        insert(&db, id).await.unwrap();
    }
    assert_eq!(ids(&db).await, [1, 2, 3, 4]);
    // Unseen, if nobody asked while it was away.
    server.stop();
    server.restart();
    insert(&db, 5).await.unwrap();
    db.close().await.unwrap();
}

#[tokio::test]
async fn what_a_killed_server_left_open_is_undone() {
    let Some(mut server) = MariaDb::start() else {
        return;
    };
    let db = Database::open(&server.url()).await.unwrap();
    db.execute(TABLE, params! {}).await.unwrap();
    for id in 0..3 {
        let tx = db.begin(TxOptions::default()).await.unwrap();
        insert(&tx, id).await.unwrap();
        server.kill();
        let error = insert(&tx, 100).await.unwrap_err();
        assert!(error.is_connection(), "{error:?}");
        assert!(!matches!(error.kind(), ErrorKind::CommitUnknown));
        tx.commit().await.unwrap_err();
        server.restart();
        assert!(ids(&db).await.is_empty());
    }
    // A commit that meets a dead server may have happened, for all that anybody knows.
    let tx = db.begin(TxOptions::default()).await.unwrap();
    insert(&tx, 7).await.unwrap();
    server.kill();
    assert_eq!(
        *tx.commit().await.unwrap_err().kind(),
        ErrorKind::CommitUnknown
    );
    server.restart();
    assert!(ids(&db).await.is_empty());
    db.close().await.unwrap();
}

#[tokio::test]
async fn what_is_too_big_is_refused_before_it_is_sent() {
    let Some(store) = Store::on(Dialect::MySql).await else {
        return;
    };
    store
        .create("t (id BIGINT PRIMARY KEY, note LONGTEXT)")
        .await;
    let db = store.builder().max_connections(1).open().await.unwrap();
    let before = connection_id(&db).await;
    let big = "x".repeat(20 << 20);
    let insert = "INSERT INTO t (id, note) VALUES (:id, :note)";
    let error = db
        .execute(insert, params! { id: 1, note: &big })
        .await
        .unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Type { column, .. } if column == ":note"),
        "{error}"
    );
    assert!(error.to_string().contains("max_allowed_packet"), "{error}");
    let many: Vec<i64> = (0..70_000).collect();
    let error = db
        .fetch_all::<Scalar<i64>>("SELECT id FROM t WHERE id IN :ids", params! { ids: many })
        .await
        .unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Type { .. }), "{error}");
    assert_eq!(connection_id(&db).await, before, "the connection is kept");

    // What fits one by one goes together only as far as it fits.
    let rows = (0..6)
        .map(|id| params! { id: id, note: &big[..5 << 20] })
        .collect();
    assert_eq!(db.execute_many(insert, rows).await.unwrap(), 6);
    db.close().await.unwrap();
    store.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadlock_is_broken_and_both_come_through() {
    let Some(store) = Store::on(Dialect::MySql).await else {
        return;
    };
    store.create("t (id BIGINT PRIMARY KEY, note TEXT)").await;
    insert(&store.db, 1).await.unwrap();
    insert(&store.db, 2).await.unwrap();
    let meet = Arc::new(Barrier::new(2));
    let runs = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let cross = |first: i64, second: i64| {
        let (db, meet, runs) = (store.db.clone(), Arc::clone(&meet), Arc::clone(&runs));
        tokio::spawn(async move {
            let (meet, runs) = (&meet, &runs);
            db.transaction(TxOptions::default(), |tx| {
                Box::pin(async move {
                    note(tx, first, "crossed").await?;
                    let run = runs.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    if run < 2 {
                        meet.wait().await;
                    }
                    note(tx, second, "crossed").await
                })
            })
            .await
        })
    };
    let (one, other) = (cross(1, 2), cross(2, 1));
    assert_eq!(one.await.unwrap().unwrap(), 1);
    assert_eq!(other.await.unwrap().unwrap(), 1);
    assert_eq!(runs.load(std::sync::atomic::Ordering::SeqCst), 3);
    store.finish().await;
}

#[tokio::test]
async fn a_lock_that_is_not_released_undoes_who_waits() {
    let Some(store) = Store::on(Dialect::MySql).await else {
        return;
    };
    store.create("t (id BIGINT PRIMARY KEY, note TEXT)").await;
    insert(&store.db, 1).await.unwrap();
    let impatient = store
        .builder()
        .acquire_timeout(Duration::from_secs(1))
        .open()
        .await
        .unwrap();
    let holder = store.db.begin(TxOptions::default()).await.unwrap();
    note(&holder, 1, "held").await.unwrap();
    let waiter = impatient.begin(TxOptions::default()).await.unwrap();
    insert(&waiter, 2).await.unwrap();
    let error = note(&waiter, 1, "waited").await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Busy, "{error}");
    assert!(error.is_retryable());
    // The server undid the statement alone; the transaction can only be rolled back all the same.
    waiter.commit().await.unwrap_err();
    holder.commit().await.unwrap();
    assert_eq!(ids(&store.db).await, [1]);
    impatient.close().await.unwrap();
    store.finish().await;
}

#[tokio::test]
async fn a_narrow_handle_survives_its_connection() {
    let Some(store) = Store::on(Dialect::MySql).await else {
        return;
    };
    let db = store.builder().max_connections(1).open().await.unwrap();
    for _ in 0..3 {
        let id = connection_id(&db).await;
        store
            .db
            .execute(format!("KILL CONNECTION {id}"), params! {})
            .await
            .unwrap();
        // So soon after its last use a connection is not looked at before it is used.
        let look = "SELECT connection_id()";
        let met = db.fetch_one::<Scalar<i64>>(look, params! {}).await;
        assert!(met.is_ok() || met.is_err_and(|error| error.is_connection()));
        assert_ne!(connection_id(&db).await, id);
    }
    db.close().await.unwrap();
    store.finish().await;
}

#[tokio::test]
async fn a_definition_does_not_commit_a_transaction_unseen() {
    let Some(store) = Store::on(Dialect::MySql).await else {
        return;
    };
    store.create("t (id BIGINT PRIMARY KEY, note TEXT)").await;
    let tx = store.db.begin(TxOptions::default()).await.unwrap();
    insert(&tx, 1).await.unwrap();
    for (text, name) in [
        ("CREATE TABLE other (id BIGINT)", "`CREATE TABLE`"),
        ("ALTER TABLE t ADD COLUMN more TEXT", "`ALTER TABLE`"),
        ("DROP TABLE t", "`DROP TABLE`"),
        ("TRUNCATE TABLE t", "`TRUNCATE`"),
        ("RENAME TABLE t TO other", "`RENAME`"),
        ("OPTIMIZE TABLE t", "`OPTIMIZE`"),
    ] {
        let refused = tx.execute(text, params! {}).await.unwrap_err();
        assert!(
            matches!(refused.kind(), ErrorKind::Unsupported { feature, .. } if feature.contains(name)),
            "{text}: {refused:?}"
        );
        assert!(
            refused.to_string().contains("on the `Database`"),
            "{refused}"
        );
    }
    // What commits nothing is allowed, and the transaction goes on.
    for text in [
        "CREATE TEMPORARY TABLE scratch (id BIGINT)",
        "INSERT INTO scratch (id) SELECT id FROM t",
        "DROP TEMPORARY TABLE scratch",
    ] {
        tx.execute(text, params! {}).await.unwrap();
    }
    assert!(ids(&store.db).await.is_empty());
    tx.rollback().await.unwrap();
    assert!(ids(&store.db).await.is_empty(), "nothing was committed");
    assert_eq!(store.db.schema().table_names().await.unwrap(), ["t"]);
    store.finish().await;
}
