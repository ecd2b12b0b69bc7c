//! Streams and time: each wait for rows is limited, and not the whole.

use std::time::Duration;

use athena_db::{
    Database, Dialect, ErrorKind, Executor, Row, RowStream, Scalar, Sql, Stage, TxOptions, params,
    sql,
};

use crate::backends::{Store, story};

/// A statement may run for much less time than the streams below take.
const LIMIT: Duration = Duration::from_millis(500);

async fn impatient(store: &Store) -> Database {
    let builder = store.builder().statement_timeout(LIMIT).max_connections(2);
    builder.open().await.unwrap()
}

/// Reads all rows, now and then with a pause; returns their number.
async fn read_slowly(mut stream: RowStream<'_, Row>) -> usize {
    let mut count = 0;
    while let Some(row) = stream.next().await {
        row.unwrap();
        count += 1;
        if count % 500 == 0 {
            tokio::time::sleep(LIMIT / 2).await;
        }
    }
    count
}

async fn limit_of(db: &impl Executor) -> Option<String> {
    let sql = match db.dialect() {
        Dialect::Sqlite => return None,
        Dialect::Postgres => "SELECT current_setting('statement_timeout')",
        Dialect::MySql => "SELECT CAST(@@SESSION.max_statement_time AS CHAR)",
    };
    let Scalar(limit): Scalar<String> = db.fetch_one(sql, params! {}).await.unwrap();
    Some(limit)
}

story! {
    #[tokio::test]
    async fn a_reader_may_take_its_time(store: Store) {
        store.create("t (id BIGINT PRIMARY KEY, note TEXT)").await;
        let note = "x".repeat(5000);
        let rows = (0..5000).map(|id: i64| vec![id.into(), note.as_str().into()]);
        let rows = rows.collect();
        store.db.insert_rows("t", &["id", "note"], rows).await.unwrap();
        let db = impatient(store).await;
        let all = "SELECT id, note FROM t ORDER BY id";

        assert_eq!(read_slowly(db.stream(all, params! {})).await, 5000);
        let options = TxOptions::read_only();
        let tx = db.begin(options).await.unwrap();
        let before = limit_of(&tx).await;
        assert_eq!(read_slowly(tx.stream(all, params! {})).await, 5000);
        assert_eq!(limit_of(&tx).await, before);
        tx.commit().await.unwrap();
        let conn = db.acquire().await.unwrap();
        assert_eq!(read_slowly(conn.stream(all, params! {})).await, 5000);
        assert_eq!(limit_of(&conn).await, before);
    }
}

/// Rows that come steadily and not soon.
fn steady(dialect: Dialect) -> Option<Sql> {
    Some(match dialect {
        Dialect::Sqlite => return None,
        Dialect::Postgres => {
            "SELECT n, pg_sleep(0.005), repeat('x', 4000) FROM generate_series(1, 300) n".into()
        }
        Dialect::MySql => "SELECT seq, sleep(0.005), repeat('x', 4000) FROM seq_1_to_300".into(),
    })
}

story! {
    #[tokio::test]
    async fn a_server_may_take_its_time_if_it_goes_on(store: Store) {
        let Some(steady) = steady(store.dialect()) else { return };
        let db = impatient(store).await;
        assert_eq!(read_slowly(db.stream(steady.clone(), params! {})).await, 300);
        let tx = db.begin(TxOptions::default()).await.unwrap();
        assert_eq!(read_slowly(tx.stream(steady, params! {})).await, 300);
        tx.commit().await.unwrap();
    }
}

story! {
    #[tokio::test]
    async fn rows_that_do_not_come_are_not_waited_for(store: Store) {
        let never = sql! {
            sqlite: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
            postgres: "SELECT pg_sleep(600)",
            mysql: "SELECT sleep(600)",
        };
        let db = impatient(store).await;
        for round in 0..3 {
            let mut stream = db.stream::<Row>(never.clone(), params! {});
            let late = stream.next().await.unwrap().unwrap_err();
            assert_eq!(*late.kind(), ErrorKind::Timeout(Stage::Statement), "{late:?}");
            assert!(stream.next().await.is_none());
            drop(stream);

            let tx = db.begin(TxOptions::read_only()).await.unwrap();
            let late = tx.stream::<Row>(never.clone(), params! {}).next().await;
            let late = late.unwrap().unwrap_err();
            assert_eq!(*late.kind(), ErrorKind::Timeout(Stage::Statement), "{late:?}");
            let failed = tx.fetch_rows("SELECT 1", params! {}, 1).await.unwrap_err();
            assert_eq!(*failed.kind(), ErrorKind::TxAborted, "{failed:?}");
            drop(tx);
            let Scalar(next): Scalar<i64> =
                db.fetch_one("SELECT 0 + :round", params! { round: round }).await.unwrap();
            assert_eq!(next, round);
        }
    }
}
