//! A PostgreSQL that goes away, comes back, refuses and dawdles.

use std::time::Duration;

use athena_db::{Database, ErrorKind, Executor, Isolation, Row, Scalar, Stage, TxOptions, params};
use athena_testserver::Postgres;

const INSERT: &str = "INSERT INTO t (id) VALUES (:id)";

async fn count(db: &Database) -> i64 {
    let Scalar(count): Scalar<i64> = db
        .fetch_one("SELECT count(*) FROM t", params! {})
        .await
        .unwrap();
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_may_be_restarted_at_any_time() {
    let Some(mut server) = Postgres::start() else {
        return;
    };
    let builder = Database::builder(&server.url())
        .min_connections(4)
        .max_connections(4);
    let db = builder.open().await.unwrap();
    db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY)", params! {})
        .await
        .unwrap();
    db.execute(INSERT, params! { id: 1 }).await.unwrap();

    // Between two statements: unnoticed, whether it was stopped or killed.
    server.stop();
    server.restart();
    assert_eq!(count(&db).await, 1);
    db.execute(INSERT, params! { id: 2 }).await.unwrap();
    server.kill();
    server.restart();
    db.execute(INSERT, params! { id: 3 }).await.unwrap();
    assert_eq!(count(&db).await, 3);

    // In a transaction: undone, which is known, and its connection is replaced.
    let tx = db
        .begin(TxOptions::default().with_deadline(Duration::from_secs(600)))
        .await
        .unwrap();
    tx.execute(INSERT, params! { id: 4 }).await.unwrap();
    let conn = db.acquire().await.unwrap();
    let Scalar(_): Scalar<i32> = conn
        .fetch_one("SELECT pg_backend_pid()", params! {})
        .await
        .unwrap();
    server.kill();
    let lost = tx.execute(INSERT, params! { id: 5 }).await.unwrap_err();
    assert!(lost.is_connection(), "{lost:?}");
    tx.commit().await.unwrap_err();
    let away = db.fetch_rows("SELECT 1", params! {}, 1).await.unwrap_err();
    assert!(away.is_connection(), "{away:?}");
    server.restart();
    let lost = conn.execute(INSERT, params! { id: 6 }).await;
    assert!(lost.is_err());
    drop(conn);
    assert_eq!(count(&db).await, 3);

    // At the commit: only there the outcome is unknown.
    let tx = db
        .begin(TxOptions::default().with_deadline(Duration::from_secs(600)))
        .await
        .unwrap();
    tx.execute(INSERT, params! { id: 7 }).await.unwrap();
    server.kill();
    let unknown = tx.commit().await.unwrap_err();
    assert_eq!(*unknown.kind(), ErrorKind::CommitUnknown, "{unknown:?}");
    server.restart();
    assert_eq!(count(&db).await, 3);
    assert_eq!(db.ping().await.unwrap().waiting, 0);
}

#[tokio::test]
async fn servers_that_refuse_are_told_apart() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let url = server.url();
    let (_, place) = url.split_once('@').unwrap();
    let refused = async |url: String| Database::open(&url).await.unwrap_err();

    let wrong = refused(format!("postgres://athena:hunter2@{place}")).await;
    assert_eq!(*wrong.kind(), ErrorKind::Auth, "{wrong:?}");
    assert!(!format!("{wrong:?}").contains("hunter2"));
    let nobody = refused(format!("postgres://nobody:hunter2@{place}")).await;
    assert_eq!(*nobody.kind(), ErrorKind::Auth, "{nobody:?}");
    let missing = refused(
        url.replace("/postgres", "/missing")
            .replace("missing:", "postgres:"),
    )
    .await;
    assert!(missing.is_connection(), "{missing:?}");
    let unreadable = refused("postgres://athena:hunter2@[/postgres".to_owned()).await;
    assert!(unreadable.is_connection() && !unreadable.to_string().contains("hunter2"));

    // A port that accepts and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let late = refused(format!(
        "postgres://athena:hunter2@127.0.0.1:{port}/x?connect_timeout=1"
    ))
    .await;
    assert_eq!(*late.kind(), ErrorKind::Timeout(Stage::Connect), "{late:?}");
    drop(silent);
    let nothing = refused(format!("postgres://athena:hunter2@127.0.0.1:{port}/x")).await;
    assert!(nothing.is_connection() && nothing.to_string().contains(&port.to_string()));

    // A server that only reads.
    let reading = format!("{url}?options=-cdefault_transaction_read_only%3Don");
    let db = Database::open(&reading).await.unwrap();
    let written = db.execute("CREATE TABLE t (id BIGINT)", params! {}).await;
    assert_eq!(*written.unwrap_err().kind(), ErrorKind::ReadOnly);
}

#[tokio::test]
async fn whoever_dawdles_is_shown_the_door() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let db = Database::builder(&server.url())
        .statement_timeout(Duration::from_millis(200))
        .max_connections(1)
        .open()
        .await
        .unwrap();
    let slow = db
        .fetch_rows("SELECT pg_sleep(600)", params! {}, 1)
        .await
        .unwrap_err();
    assert_eq!(
        *slow.kind(),
        ErrorKind::Timeout(Stage::Statement),
        "{slow:?}"
    );
    assert_eq!(slow.code(), Some("57014"));

    // A statement that was given up, then the next: the answer is its own.
    for _ in 0..5 {
        let given_up = db.fetch_rows("SELECT 1, pg_sleep(600)", params! {}, 1);
        tokio::time::timeout(Duration::from_millis(20), given_up)
            .await
            .unwrap_err();
        let Scalar(two): Scalar<i32> = db.fetch_one("SELECT 2", params! {}).await.unwrap();
        assert_eq!(two, 2);
    }

    // The server itself ends a transaction whose programme hangs.
    let watcher = Database::open(&server.url()).await.unwrap();
    let tx = db
        .begin(TxOptions::default().with_deadline(Duration::from_millis(100)))
        .await
        .unwrap();
    let Scalar(pid): Scalar<i32> = tx
        .fetch_one("SELECT pg_backend_pid()", params! {})
        .await
        .unwrap();
    loop {
        let there = "SELECT count(*) FROM pg_stat_activity WHERE pid = :pid";
        let Scalar(count): Scalar<i64> = watcher
            .fetch_one(there, params! { pid: pid })
            .await
            .unwrap();
        if count == 0 {
            break;
        }
    }
    let late = tx.commit().await.unwrap_err();
    assert_eq!(
        *late.kind(),
        ErrorKind::Timeout(Stage::Transaction),
        "{late:?}"
    );

    // Levels of isolation are those of the server.
    for (isolation, name) in [
        (Isolation::ReadCommitted, "read committed"),
        (Isolation::RepeatableRead, "repeatable read"),
        (Isolation::Serializable, "serializable"),
    ] {
        let tx = db
            .begin(TxOptions::default().with_isolation(isolation))
            .await
            .unwrap();
        let level: Scalar<String> = tx
            .fetch_one(
                "SELECT current_setting('transaction_isolation')",
                params! {},
            )
            .await
            .unwrap();
        assert_eq!(level.0, name);
    }
}

#[tokio::test]
async fn rows_that_nobody_wants_are_not_waited_for() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let db = Database::builder(&server.url())
        .max_connections(1)
        .open()
        .await
        .unwrap();
    let endless = "SELECT generate_series(1, 1000000000000) AS n, repeat('x', 1000)";
    let several = db.fetch_one::<Row>(endless, params! {}).await.unwrap_err();
    assert_eq!(*several.kind(), ErrorKind::TooManyRows);
    let rows = db.fetch_rows(endless, params! {}, 5).await.unwrap();
    assert_eq!(rows.len(), 5);

    // A stream that is dropped early gives its connection up for the next.
    let mut stream = db.stream::<Row>(endless, params! {});
    for _ in 0..1000 {
        stream.next().await.unwrap().unwrap();
    }
    drop(stream);
    let Scalar(one): Scalar<i32> = db.fetch_one("SELECT 1", params! {}).await.unwrap();
    assert_eq!(one, 1);

    // What is not taken is not read: the server is held up, and our memory does not grow.
    let mut stream = db.stream::<Row>(
        "SELECT generate_series(1, 1000000) AS n, repeat('x', 100000)",
        params! {},
    );
    stream.next().await.unwrap().unwrap();
    let watcher = Database::open(&server.url()).await.unwrap();
    let held_up = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite'";
    loop {
        let Scalar(count): Scalar<i64> = watcher.fetch_one(held_up, params! {}).await.unwrap();
        if count == 1 {
            break;
        }
    }
    drop(stream);
    let mut rows = 0;
    let mut stream =
        db.stream::<Scalar<i32>>("SELECT n FROM generate_series(1, 1000000) n", params! {});
    while let Some(row) = stream.next().await {
        rows += 1;
        assert_eq!(row.unwrap().0, rows);
    }
    assert_eq!(rows, 1_000_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_connections_serve_two_hundred_in_turn() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let db = Database::builder(&server.url())
        .max_connections(2)
        .open()
        .await
        .unwrap();
    db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY)", params! {})
        .await
        .unwrap();
    let clients: Vec<_> = (0..200)
        .map(|client| {
            let db = db.clone();
            tokio::spawn(async move {
                for round in 0..5 {
                    db.execute(INSERT, params! { id: client * 10 + round })
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(count(&db).await, 1000);
    let health = db.ping().await.unwrap();
    assert_eq!((health.size, health.waiting), (2, 0));

    let held = [
        db.begin(TxOptions::default()).await.unwrap(),
        db.begin(TxOptions::default()).await.unwrap(),
    ];
    held[0].execute(INSERT, params! { id: 5000 }).await.unwrap();
    let closing = db
        .close_within(Duration::from_millis(10))
        .await
        .unwrap_err();
    let ErrorKind::PoolExhausted {
        holder: Some(holder),
        ..
    } = closing.kind()
    else {
        panic!("{closing:?}");
    };
    assert!(
        holder.sql == "INSERT INTO t (id) VALUES ($1)" || holder.sql.is_empty(),
        "{holder:?}"
    );
    assert!(
        db.execute(INSERT, params! { id: 6000 })
            .await
            .unwrap_err()
            .is_connection()
    );
}
