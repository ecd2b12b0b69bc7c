//! Exact numbers, days and vectors come back as they went in; rows become structs.

use athena_db::{Decimal, ErrorKind, Executor, FromRow, Params, params, translate};
use jiff::civil::{Date, date};
use serde::Deserialize;

use crate::backends::{Store, story};

/// A table in the types of migrations.
async fn table(store: &Store) {
    let script = "CREATE TABLE goods (
        id BIGINT PRIMARY KEY, price DECIMAL(38, 12), day DATE, embedding BLOB, labels JSON, body TEXT
    )";
    for statement in translate(store.dialect(), script).unwrap() {
        store.db.execute(statement, params! {}).await.unwrap();
    }
}

async fn insert(store: &Store, params: Params) {
    let names: Vec<&str> = params.names().collect();
    let slots: Vec<String> = names.iter().map(|name| format!(":{name}")).collect();
    let sql = format!(
        "INSERT INTO goods (id, {}) VALUES (1, {})",
        names.join(", "),
        slots.join(", ")
    );
    store
        .db
        .execute("DELETE FROM goods", params! {})
        .await
        .unwrap();
    store.db.execute(sql, params).await.unwrap();
}

story! {
    #[tokio::test]
    async fn decimals_are_exact(store: Store) {
        table(store).await;
        for text in [
            "0",
            "-0.000000000001",
            "12345678901234567890123456.123456789012",
            "0.1",
            "-99999999999999999999999999.999999999999",
        ] {
            let price: Decimal = text.parse().unwrap();
            insert(store, params! { price: price.clone() }).await;
            let (read,): (Decimal,) = store
                .db
                .fetch_one("SELECT price FROM goods", params! {})
                .await
                .unwrap();
            assert_eq!(read, price);
        }
        insert(store, params! { price: 7_i64 }).await;
        let (as_decimal, again): (Decimal, f64) = store
            .db
            .fetch_one("SELECT price, 1.0 FROM goods", params! {})
            .await
            .unwrap();
        assert_eq!((as_decimal, again), (7.into(), 1.0));
    }
}

story! {
    #[tokio::test]
    async fn days_have_no_hours(store: Store) {
        table(store).await;
        for day in [
            date(1970, 1, 1),
            date(2028, 2, 29),
            date(9999, 12, 31),
            date(1000, 1, 1),
        ] {
            insert(store, params! { day: day }).await;
            let (read,): (Date,) = store
                .db
                .fetch_one(
                    "SELECT day FROM goods WHERE day = :day",
                    params! { day: day },
                )
                .await
                .unwrap();
            assert_eq!(read, day);
        }
        let days = vec![date(1000, 1, 1), date(2000, 1, 1)];
        let found = store
            .db
            .fetch_all::<(i64,)>(
                "SELECT id FROM goods WHERE day IN :days",
                params! { days: days },
            )
            .await
            .unwrap();
        assert_eq!(found, [(1,)]);
    }
}

story! {
    #[tokio::test]
    async fn vectors_are_values_and_no_lists(store: Store) {
        table(store).await;
        for vector in [vec![], vec![0.0, -0.0, 1.5e-40, f32::MAX], vec![0.25; 4096]] {
            insert(store, params! { embedding: &vector }).await;
            let (read,): (Vec<f32>,) = store
                .db
                .fetch_one("SELECT embedding FROM goods", params! {})
                .await
                .unwrap();
            assert_eq!(read, vector);
        }
        let error = store
            .db
            .fetch_all::<(i64,)>(
                "SELECT id FROM goods WHERE id IN :ids",
                params! { ids: vec![1.0_f32] },
            )
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "`:ids` wants a list and got a vector");
    }
}

#[derive(Debug, PartialEq, Deserialize)]
struct Labels {
    colour: String,
    sizes: Vec<u8>,
}

#[derive(Debug, PartialEq, FromRow)]
struct Price {
    price: Option<Decimal>,
    day: Option<Date>,
}

#[derive(Debug, PartialEq, FromRow)]
struct Good {
    #[db(rename = "body")]
    text: String,
    id: i64,
    #[db(json)]
    labels: Labels,
    #[db(default)]
    embedding: Option<Vec<f32>>,
    #[db(flatten)]
    price: Price,
    #[db(skip)]
    seen: bool,
}

#[derive(Debug, PartialEq, FromRow)]
struct Pair(i64, Option<String>);

#[derive(Debug, FromRow)]
struct Generic<T: athena_db::FromValue> {
    body: T,
}

story! {
    #[tokio::test]
    async fn structs_are_read_by_name(store: Store) {
        table(store).await;
        let labels = serde_json::json!({"colour": "red", "sizes": [1, 2]});
        insert(
            store,
            params! { labels: labels, body: "text", day: date(2026, 3, 1) },
        )
        .await;
        let good: Good = store
            .db
            .fetch_one("SELECT id, body, day, price, labels FROM goods", params! {})
            .await
            .unwrap();
        let expected = Good {
            text: "text".to_owned(),
            id: 1,
            labels: Labels {
                colour: "red".to_owned(),
                sizes: vec![1, 2],
            },
            embedding: None,
            price: Price {
                price: None,
                day: Some(date(2026, 3, 1)),
            },
            seen: false,
        };
        assert_eq!(good, expected);
        let pair: Pair = store
            .db
            .fetch_one("SELECT id, NULL FROM goods", params! {})
            .await
            .unwrap();
        assert_eq!(pair, Pair(1, None));
        let generic: Generic<String> = store
            .db
            .fetch_one("SELECT * FROM goods", params! {})
            .await
            .unwrap();
        assert_eq!(generic.body, "text");
    }
}

story! {
    #[tokio::test]
    async fn structs_that_do_not_fit_name_the_column_and_no_value(store: Store) {
        table(store).await;
        insert(
            store,
            params! { body: "secret", labels: serde_json::json!({"colour": "secret"}) },
        )
        .await;
        for (sql, column) in [
            ("SELECT id, body FROM goods", "labels"),
            ("SELECT body, id, labels, price, day FROM goods", "labels"),
            ("SELECT id AS body, id, price, day FROM goods", "body"),
        ] {
            let error = store
                .db
                .fetch_one::<Good>(sql, params! {})
                .await
                .unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::Type { column: named, .. } if named == column),
                "{sql}: {error:?}"
            );
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
    }
}

story! {
    #[tokio::test]
    async fn rows_stream_in_order_and_end_with_an_error(store: Store) {
        store.create("numbers (id BIGINT PRIMARY KEY)").await;
        let rows = (0..1000).map(|id: i64| vec![id.into()]).collect();
        let written = store
            .db
            .insert_rows("numbers", &["id"], rows)
            .await
            .unwrap();
        assert_eq!(written, 1000);

        let mut stream = store
            .db
            .stream::<(i64,)>("SELECT id FROM numbers ORDER BY id", params! {});
        let mut expected = 0;
        while let Some(row) = stream.next().await {
            assert_eq!(row.unwrap(), (expected,));
            expected += 1;
        }
        assert_eq!(expected, 1000);
        assert!(stream.next().await.is_none());

        // One that is dropped half-way gives its connection back.
        for _ in 0..20 {
            let mut stream = store
                .db
                .stream::<(i64,)>("SELECT id FROM numbers", params! {});
            stream.next().await.unwrap().unwrap();
        }

        let mut wrong = store
            .db
            .stream::<(i64,)>("SELECT id FROM numbers WHERE id = :id", params! {});
        let error = wrong.next().await.unwrap().unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::MissingParam { .. }),
            "{error:?}"
        );
        assert!(wrong.next().await.is_none());

        let mut misfit = store
            .db
            .stream::<(bool,)>("SELECT id FROM numbers ORDER BY id DESC", params! {});
        let error = misfit.next().await.unwrap().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Type { .. }), "{error:?}");
        assert!(misfit.next().await.is_none());
    }
}

story! {
    #[tokio::test]
    async fn a_stream_outside_a_transaction_only_reads(store: Store) {
        store.create("numbers (id BIGINT PRIMARY KEY)").await;
        let mut stream = store.db.stream::<(i64,)>(
            "INSERT INTO numbers (id) VALUES (1) RETURNING id",
            params! {},
        );
        let error = stream.next().await.unwrap().unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::ReadOnly, "{error:?}");
        assert_eq!(store.count("numbers").await, 0);
    }
}

story! {
    #[tokio::test]
    async fn rows_of_the_wrong_width_are_refused(store: Store) {
        store.create("numbers (id BIGINT PRIMARY KEY)").await;
        let error = store
            .db
            .insert_rows("numbers", &["id"], vec![vec![1_i64.into()], vec![]])
            .await
            .unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Type { .. }), "{error:?}");
        assert_eq!(store.count("numbers").await, 0);
    }
}

story! {
    #[tokio::test]
    async fn statements_are_counted_without_their_values(store: Store) {
        store.create("numbers (id BIGINT PRIMARY KEY)").await;
        for id in [1_i64, 2, 2] {
            let _ = store
                .db
                .execute("INSERT INTO numbers (id) VALUES (:id)", params! { id: id })
                .await;
        }
        for literal in ["4711", "4712"] {
            let sql = format!("SELECT id FROM numbers WHERE id = {literal}");
            store.db.fetch_all::<(i64,)>(sql, params! {}).await.unwrap();
        }
        let all = store.db.statements();
        let insert = all
            .iter()
            .find(|stats| stats.sql.starts_with("INSERT"))
            .unwrap();
        assert_eq!((insert.runs, insert.errors, insert.rows), (3, 1, 2));
        assert!(insert.quantile(0.5) <= insert.max_us);
        let select = all
            .iter()
            .find(|stats| stats.sql.contains("WHERE id ="))
            .unwrap();
        assert_eq!((select.runs, select.sql.contains("471")), (2, false));
    }
}
