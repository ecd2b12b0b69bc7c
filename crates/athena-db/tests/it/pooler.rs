//! PostgreSQL behind a pooler of transactions: nothing may be left on a session, because the next
//! transaction may run on another.

use std::time::Duration;

use athena_db::{Database, Error, ErrorKind, Executor, Row, Scalar, TxOptions, params};
use athena_testserver::{PgBouncer, Postgres};
use futures_util::future::try_join_all;

/// Two sessions on the server for everybody.
const SETTINGS: &str = "pool_mode = transaction\ndefault_pool_size = 2\nmax_client_conn = 100\n";

#[tokio::test]
async fn everything_works_on_sessions_that_change() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let pooler = PgBouncer::start(&server, SETTINGS, &[]);
    let direct = Database::open(&server.url()).await.unwrap();
    for text in [
        "CREATE SCHEMA apart",
        "CREATE TYPE apart.mood AS ENUM ('happy', 'sad')",
        "CREATE TYPE apart.colour AS ENUM ('red', 'green')",
        "CREATE TABLE apart.t (id BIGINT PRIMARY KEY, name TEXT, mood apart.mood)",
    ] {
        direct.execute(text, params! {}).await.unwrap();
    }
    let url = format!("{}?pooler=transaction", pooler.url("127.0.0.1"));
    let builder = Database::builder(&url).schema("apart").max_connections(8);
    let db = builder.open().await.unwrap();

    // More of us than sessions, each with statements, transactions and settings.
    let visitors = (0..16).map(|visitor| {
        let db = db.clone();
        async move {
            for round in 0..10 {
                let id = visitor * 100 + round;
                let insert = "INSERT INTO t (id, name, mood) VALUES (:id, :name, :mood)";
                let row = params! { id: id, name: id.to_string(), mood: "happy" };
                db.execute(insert, row).await?;
                let name =
                    "SELECT name, mood FROM t WHERE id = :id AND (:name IS NULL OR name = :name)";
                let none: Option<String> = None;
                let (name, mood): (String, String) =
                    db.fetch_one(name, params! { id: id, name: none }).await?;
                assert_eq!((name, mood.as_str()), (id.to_string(), "happy"));
                db.transaction(TxOptions::default(), |tx| {
                    Box::pin(async move {
                        let update = "UPDATE t SET name = :name WHERE id = :id";
                        tx.execute(update, params! { id: id, name: "changed" })
                            .await?;
                        let schema: Scalar<String> = tx
                            .fetch_one("SELECT current_schema()::text", params! {})
                            .await?;
                        assert_eq!(schema.0, "apart");
                        Ok(())
                    })
                })
                .await?;
            }
            Ok::<_, Error>(())
        }
    });
    try_join_all(visitors).await.unwrap();

    // A type that is newer than the connections, wherever it is met.
    let size = "CREATE TYPE apart.size AS ENUM ('small', 'large')";
    direct.execute(size, params! {}).await.unwrap();
    let looks = (0..16).map(|_| db.fetch_one::<Scalar<String>>("SELECT 'large'::size", params! {}));
    for Scalar(size) in try_join_all(looks).await.unwrap() {
        assert_eq!(size, "large");
    }
    let looks = (0..16).map(|_| db.fetch_one::<Scalar<String>>("SELECT 'red'::colour", params! {}));
    for Scalar(colour) in try_join_all(looks).await.unwrap() {
        assert_eq!(colour, "red");
    }

    // Batches of each kind, a stream, a wrong statement and the next.
    for size in [3_i64, 1500, 5000] {
        db.execute("DELETE FROM t", params! {}).await.unwrap();
        let rows = (0..size).map(|id| params! { id: id, name: "x" }).collect();
        let insert = "INSERT INTO t (id, name) VALUES (:id, :name)";
        db.execute_many(insert, rows).await.unwrap();
        let mut stream = db.stream::<Row>("SELECT * FROM t", params! {});
        let mut count = 0;
        while let Some(row) = stream.next().await {
            row.unwrap();
            count += 1;
        }
        assert_eq!(count, size);
    }
    let wrong = db.fetch_rows("SELECT nothing FROM t", params! {}, 1).await;
    assert!(matches!(
        wrong.unwrap_err().kind(),
        ErrorKind::Syntax { at: Some(_) }
    ));
    db.execute("VACUUM apart.t", params! {}).await.unwrap();
    db.execute_alone("CREATE INDEX CONCURRENTLY names ON apart.t (name)")
        .await
        .unwrap();

    // What needs a session of one's own is refused with the way out.
    let refused = db.acquire().await.unwrap_err();
    assert!(
        matches!(refused.kind(), ErrorKind::Unsupported { .. }),
        "{refused:?}"
    );

    // An abandoned statement takes nobody else along.
    let slow = db.execute("SELECT pg_sleep(600)", params! {});
    tokio::time::timeout(Duration::from_millis(100), slow)
        .await
        .unwrap_err();
    let Scalar(count): Scalar<i64> = db
        .fetch_one("SELECT count(*) FROM t", params! {})
        .await
        .unwrap();
    assert_eq!(count, 5000);

    // Nothing was left on the sessions that all share.
    let plain = Database::open(&format!("{}?sslmode=disable", server.url()))
        .await
        .unwrap();
    let Scalar(sessions): Scalar<i64> = plain
        .fetch_one(
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'",
            params! {},
        )
        .await
        .unwrap();
    assert_eq!(sessions, 0);
    let other = format!("{}?pooler=transaction", pooler.url("127.0.0.1"));
    let other = Database::builder(&other)
        .max_connections(2)
        .open()
        .await
        .unwrap();
    let left = "SELECT (SELECT count(*) FROM pg_prepared_statements WHERE name <> '' AND statement NOT LIKE '%pg_prepared_statements%') \
                AS statements, current_schema()::text AS schema";
    let looks = (0..8).map(|_| other.fetch_one::<(i64, String)>(left, params! {}));
    for (statements, schema) in try_join_all(looks).await.unwrap() {
        assert_eq!((statements, schema.as_str()), (0, "public"));
    }
}
