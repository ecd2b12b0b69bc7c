//! Values come back as they went in, on every backend.

use athena_db::{Dialect, ErrorKind, Executor, Params, Row, Scalar, Value, params, sql};
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::backends::{Store, story};

/// A table with a column of each kind, as migrations would make it.
async fn table(store: &Store) {
    let create = sql! {
        sqlite: "CREATE TABLE v (id INTEGER PRIMARY KEY, flag INTEGER, whole INTEGER, fraction REAL, note TEXT, \
                 bytes BLOB, document TEXT, uid TEXT, at INTEGER) STRICT",
        postgres: "CREATE TABLE v (id BIGINT PRIMARY KEY, flag BOOLEAN, whole BIGINT, fraction DOUBLE PRECISION, note TEXT, \
                   bytes BYTEA, document JSONB, uid UUID, at TIMESTAMPTZ)",
        mysql: "CREATE TABLE v (id BIGINT PRIMARY KEY, flag BOOLEAN, whole BIGINT, fraction DOUBLE, note LONGTEXT, \
                bytes LONGBLOB, document JSON, uid UUID, at DATETIME(6))",
    };
    store.db.execute(create, params! {}).await.unwrap();
}

/// Stores a value in a column and reads it back as the given type.
macro_rules! round_trip {
    ($store:expr, $column:literal, $type:ty, $($value:expr),+ $(,)?) => {$(
        let value: $type = $value;
        let insert = concat!("INSERT INTO v (id, ", $column, ") VALUES (1, :value) ON CONFLICT (id) DO UPDATE SET ", $column, " = excluded.", $column);
        $store.db.execute(insert, params! { value: value.clone() }).await.unwrap();
        let row: Row = $store.db.fetch_one(concat!("SELECT ", $column, " FROM v WHERE ", $column, " = :value"), params! { value: value.clone() }).await
            .unwrap_or_else(|error| panic!("{} {value:?}: {error}", $column));
        assert_eq!(row.get::<$type>($column).unwrap(), value, "{}", $column);
    )+};
}

story! {
    #[tokio::test]
    async fn every_type_comes_back(store: Store) {
        table(store).await;
        round_trip!(store, "flag", bool, true, false);
        round_trip!(store, "whole", i64, 0, i64::MAX, i64::MIN, 3_000_000_000);
        round_trip!(store, "whole", i32, -7);
        round_trip!(
            store,
            "fraction",
            f64,
            0.0,
            1.0 / 3.0,
            f64::MAX,
            -f64::MIN_POSITIVE,
        );
        if store.dialect() == Dialect::MySql {
            let infinite = params! { value: f64::INFINITY };
            let error = store
                .db
                .execute("INSERT INTO v (id, fraction) VALUES (2, :value)", infinite)
                .await
                .unwrap_err();
            assert_eq!(
                error.to_string(),
                "`:value` wants a finite number and got infinity"
            );
        } else {
            round_trip!(store, "fraction", f64, f64::INFINITY);
        }
        round_trip!(
            store,
            "note",
            String,
            String::new(),
            "007".to_owned(),
            "12345678e1".to_owned(),
            "it's 'quoted' \\ :name $1 ?1".to_owned(),
            "日本語 👩‍👩‍👧 العربية \u{feff}\r\n\t".to_owned(),
            "x".repeat(1 << 20),
        );
        round_trip!(
            store,
            "bytes",
            Vec<u8>,
            vec![],
            vec![0, 255, 0, 39],
            vec![7; 100_000]
        );
        round_trip!(
            store,
            "document",
            serde_json::Value,
            json!(null),
            json!("text"),
            json!({"a": [1, 2.5, "x", null, {"b": "\u{1F600}"}], "": 1_000_000_000_000_i64}),
        );
        round_trip!(
            store,
            "uid",
            Uuid,
            "00000000-0000-0000-0000-000000000123".parse().unwrap(),
            Uuid::nil(),
            Uuid::max(),
            "12345678-e100-4000-8000-000000000000".parse().unwrap(),
        );
        round_trip!(
            store,
            "at",
            Timestamp,
            "2026-01-02T03:04:05.678901Z".parse().unwrap(),
            Timestamp::UNIX_EPOCH,
            "1969-12-31T23:59:59.999999Z".parse().unwrap(),
            "0001-01-01T00:00:00Z".parse().unwrap(),
            "9999-12-30T21:59:59.999999Z".parse().unwrap(),
        );
    }
}

story! {
    #[tokio::test]
    async fn times_are_cut_to_microseconds(store: Store) {
        table(store).await;
        let precise: Timestamp = "2026-01-02T03:04:05.123456789Z".parse().unwrap();
        store
            .db
            .execute(
                "INSERT INTO v (id, at) VALUES (1, :at)",
                params! { at: precise },
            )
            .await
            .unwrap();
        let Scalar(at): Scalar<Timestamp> = store
            .db
            .fetch_one("SELECT at FROM v", params! {})
            .await
            .unwrap();
        assert_eq!(at.to_string(), "2026-01-02T03:04:05.123456Z");
    }
}

story! {
    #[tokio::test]
    async fn null_is_an_option_and_nothing_else(store: Store) {
        table(store).await;
        let nothing: Params = params! {
            flag: None::<bool>, whole: None::<i64>, fraction: None::<f64>, note: None::<String>,
            bytes: None::<Vec<u8>>, document: None::<serde_json::Value>, uid: None::<Uuid>, at: None::<Timestamp>,
        };
        let insert = "INSERT INTO v (id, flag, whole, fraction, note, bytes, document, uid, at)
                      VALUES (1, :flag, :whole, :fraction, :note, :bytes, :document, :uid, :at)";
        store.db.execute(insert, nothing).await.unwrap();
        let row: Row = store.db.fetch_one("SELECT * FROM v", params! {}).await.unwrap();
        assert_eq!(row.columns().len(), 9);
        assert_eq!(row.get::<Option<Timestamp>>("at").unwrap(), None);
        assert_eq!(row.get::<Option<bool>>("flag").unwrap(), None);
        assert_eq!(row.get::<Value>("uid").unwrap(), Value::Null);
        let error = row.get::<String>("note").unwrap_err();
        assert_eq!(error.to_string(), "`note` wants text and got null");
    }
}

story! {
    #[tokio::test]
    async fn what_does_not_fit_is_named_without_the_value(store: Store) {
        table(store).await;
        store
            .db
            .execute("INSERT INTO v (id, note) VALUES (7, 'secret')", params! {})
            .await
            .unwrap();
        let row: Row = store
            .db
            .fetch_one("SELECT id, note FROM v", params! {})
            .await
            .unwrap();
        let check = |error: athena_db::Error, column: &str| {
            assert!(
                matches!(error.kind(), ErrorKind::Type { column: named, .. } if named == column),
                "{error}"
            );
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        };
        check(row.get::<i64>("note").unwrap_err(), "note");
        check(row.get::<Uuid>("note").unwrap_err(), "note");
        check(row.get::<serde_json::Value>("note").unwrap_err(), "note");
        check(row.get::<bool>("id").unwrap_err(), "id");
        check(row.get::<i64>("nome").unwrap_err(), "nome");
        check(row.get_at::<i64>(2).unwrap_err(), "column 3");

        // SQLite's STRICT tables and PostgreSQL's types refuse the same.
        let error = store
            .db
            .execute(
                "INSERT INTO v (id, whole) VALUES (8, :whole)",
                params! { whole: "secret" },
            )
            .await
            .unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Type { .. }), "{error:?}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}

story! {
    #[tokio::test]
    async fn one_row_means_one_row(store: Store) {
        table(store).await;
        let all = "SELECT id FROM v ORDER BY id";
        assert!(
            store
                .db
                .fetch_one::<(i64,)>(all, params! {})
                .await
                .unwrap_err()
                .is_not_found()
        );
        assert_eq!(
            store.db.fetch_opt::<(i64,)>(all, params! {}).await.unwrap(),
            None
        );
        let rows = vec![params! { id: 1 }, params! { id: 2 }, params! { id: 3 }];
        assert_eq!(
            store
                .db
                .execute_many("INSERT INTO v (id) VALUES (:id)", rows)
                .await
                .unwrap(),
            3
        );
        assert_eq!(
            *store
                .db
                .fetch_one::<(i64,)>(all, params! {})
                .await
                .unwrap_err()
                .kind(),
            ErrorKind::TooManyRows
        );
        assert_eq!(
            *store
                .db
                .fetch_opt::<(i64,)>(all, params! {})
                .await
                .unwrap_err()
                .kind(),
            ErrorKind::TooManyRows
        );
        assert_eq!(
            store.db.fetch_rows(all, params! {}, 2).await.unwrap().len(),
            2
        );
        assert_eq!(
            store
                .db
                .execute("UPDATE v SET whole = 1 WHERE id > 1", params! {})
                .await
                .unwrap(),
            2
        );
        assert_eq!(
            store
                .db
                .execute("UPDATE v SET whole = 1 WHERE id > 10", params! {})
                .await
                .unwrap(),
            0
        );
    }
}

story! {
    #[tokio::test]
    async fn batches_are_all_or_nothing(store: Store) {
        table(store).await;
        let rows = (1..=500).map(|id| params! { id: id % 400 }).collect();
        assert!(
            store
                .db
                .execute_many("INSERT INTO v (id) VALUES (:id)", rows)
                .await
                .unwrap_err()
                .is_unique_violation()
        );
        assert_eq!(store.count("v").await, 0);
        let rows = (1..=500)
            .map(|id| params! { id: id, note: (id % 2 == 0).then_some("even") })
            .collect();
        assert_eq!(
            store
                .db
                .execute_many("INSERT INTO v (id, note) VALUES (:id, :note)", rows)
                .await
                .unwrap(),
            500
        );
        assert_eq!(
            store
                .db
                .execute_many("DELETE FROM v WHERE id = :id", Vec::new())
                .await
                .unwrap(),
            0
        );
        assert_eq!(store.count("v").await, 500);
    }
}

story! {
    #[tokio::test]
    async fn writes_that_return_rows_go_to_the_writer(store: Store) {
        table(store).await;
        let (id,): (i64,) = store.db.fetch_one("INSERT INTO v (id) VALUES (41) RETURNING id + 1", params! {}).await.unwrap();
        assert_eq!(id, 42);
        let changed: Vec<(i64,)> = store.db.fetch_all("WITH big AS (SELECT 40 AS least) UPDATE v SET whole = 1 WHERE id > (SELECT least FROM big) RETURNING id", params! {}).await.unwrap();
        assert_eq!(changed, [(41,)]);
        let gone: Option<(i64,)> = store.db.fetch_opt("DELETE FROM v WHERE id = :id RETURNING id", params! { id: 41 }).await.unwrap();
        assert_eq!(gone, Some((41,)));
        assert_eq!(store.count("v").await, 0);
    }
}

story! {
    #[tokio::test]
    async fn sums_are_whole_numbers_and_arrays_are_read_on_postgresql(store: Store) {
        let sum = "SELECT sum(x) FROM (SELECT 1 AS x UNION ALL SELECT 2) AS t";
        let Scalar(sum): Scalar<i64> = store.db.fetch_one(sum, params! {}).await.unwrap();
        assert_eq!(sum, 3);
        if store.dialect() != Dialect::Postgres {
            return;
        }
        let row: Row = store
            .db
            .fetch_one(
                "SELECT ARRAY['a', NULL]::text[] AS words, ARRAY[]::bigint[] AS none, sum(x) AS sum, avg(x) AS avg, CAST(:words AS text[]) AS sent
                 FROM (VALUES (1::bigint), (2)) AS t (x)",
                params! { words: vec!["x", "y"] },
            )
            .await
            .unwrap();
        assert_eq!(row.get::<Value>("words").unwrap(), Value::List(vec![Value::Text("a".to_owned()), Value::Null]));
        assert_eq!(row.get::<Vec<i64>>("none").unwrap(), Vec::<i64>::new());
        assert_eq!(row.get::<i64>("sum").unwrap(), 3);
        assert!((row.get::<f64>("avg").unwrap() - 1.5).abs() < 1e-12);
        assert_eq!(row.get::<Vec<String>>("sent").unwrap(), ["x", "y"]);
    }
}
