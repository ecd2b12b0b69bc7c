//! Named parameters: found, missing, unused, lists of every size.

use athena_db::{Dialect, ErrorKind, Executor, Row, Scalar, params, sql};

use crate::backends::everywhere;

const TABLE: &str = "t (id BIGINT PRIMARY KEY, name TEXT)";

#[tokio::test]
async fn names_that_are_missing_or_unused_are_errors_before_anything_is_sent() {
    everywhere(|store| async move {
        store.create(TABLE).await;
        let insert = "INSERT INTO t (id, name) VALUES (:id, :name)";
        let error = store
            .db
            .execute(insert, params! { id: 1, nmae: "x" })
            .await
            .unwrap_err();
        assert_eq!(
            *error.kind(),
            ErrorKind::MissingParam {
                name: "name".to_owned(),
                nearest: Some("nmae".to_owned())
            }
        );
        let error = store
            .db
            .execute(insert, params! { id: 1, name: "x", extra: 1 })
            .await
            .unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::UnusedParam("extra".to_owned()));
        let error = store
            .db
            .execute(insert, params! { id: 1, name: "x", name: "y" })
            .await
            .unwrap_err();
        assert_eq!(
            *error.kind(),
            ErrorKind::UnusedParam("name".to_owned()),
            "{error}"
        );
        assert_eq!(store.count("t").await, 0);

        // Inside a transaction such a mistake was never sent, so it does not doom the transaction.
        let tx = store
            .db
            .begin(athena_db::TxOptions::default())
            .await
            .unwrap();
        tx.execute(insert, params! {}).await.unwrap_err();
        tx.execute(insert, params! { id: 1, name: ":not_a_name" })
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.count("t").await, 1);
    })
    .await;
}

#[tokio::test]
async fn lists_of_every_size_are_one_statement() {
    everywhere(|store| async move {
        store.create(TABLE).await;
        let rows = (1..=5)
            .map(|id| params! { id: id, name: format!("n{id}") })
            .collect();
        store
            .db
            .execute_many("INSERT INTO t (id, name) VALUES (:id, :name)", rows)
            .await
            .unwrap();
        let within = async |ids: Vec<i64>| -> Vec<i64> {
            let rows: Vec<(i64,)> = store
                .db
                .fetch_all(
                    "SELECT id FROM t WHERE id IN :ids ORDER BY id",
                    params! { ids: ids },
                )
                .await
                .unwrap();
            rows.into_iter().map(|(id,)| id).collect()
        };
        assert_eq!(within(vec![]).await, [0_i64; 0]);
        assert_eq!(within(vec![2]).await, [2]);
        assert_eq!(within((3..50_000).collect()).await, [3, 4, 5]);
        let Scalar(outside): Scalar<i64> = store
            .db
            .fetch_one(
                "SELECT count(*) FROM t WHERE name NOT IN (:names)",
                params! { names: vec!["n1", "it's"] },
            )
            .await
            .unwrap();
        assert_eq!(outside, 4);
        let Scalar(all): Scalar<i64> = store
            .db
            .fetch_one(
                "SELECT count(*) FROM t WHERE name NOT IN :names",
                params! { names: Vec::<String>::new() },
            )
            .await
            .unwrap();
        assert_eq!(all, 5);

        let error = store
            .db
            .fetch_all::<Row>("SELECT id FROM t WHERE id IN :ids", params! { ids: 3 })
            .await
            .unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Type { column, .. } if column == ":ids"),
            "{error}"
        );
        let error = store
            .db
            .fetch_all::<Row>("SELECT id FROM t WHERE id = :ids", params! { ids: vec![3] })
            .await
            .unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Type { column, .. } if column == ":ids"),
            "{error}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_name_may_stand_in_several_places() {
    everywhere(|store| async move {
        store.create(TABLE).await;
        let find = "SELECT count(*) FROM t WHERE (:name IS NULL OR name = :name) AND (:id IS NULL OR id = :id)";
        store.db.execute("INSERT INTO t (id, name) VALUES (1, 'a'), (2, 'b')", params! {}).await.unwrap();
        let count = async |name: Option<&str>, id: Option<i64>| -> i64 {
            let Scalar(count): Scalar<i64> = store.db.fetch_one(find, params! { name: name, id: id }).await.unwrap();
            count
        };
        assert_eq!(count(None, None).await, 2);
        assert_eq!(count(Some("a"), None).await, 1);
        assert_eq!(count(None, Some(2)).await, 1);
        assert_eq!(count(Some("a"), Some(2)).await, 0);

        // The same in a transaction, where a failed guess must not doom it.
        let tx = store.db.begin(athena_db::TxOptions::default()).await.unwrap();
        let find = "SELECT count(*) FROM t WHERE (:id IS NULL OR id = :id) AND 1 = 1";
        let Scalar(found): Scalar<i64> = tx.fetch_one(find, params! { id: None::<i64> }).await.unwrap();
        assert_eq!(found, 2);
        let Scalar(found): Scalar<i64> = tx.fetch_one(find, params! { id: 2 }).await.unwrap();
        assert_eq!(found, 1);
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn bare_parameters_have_the_type_of_their_value() {
    everywhere(|store| async move {
        let row: Row = store
            .db
            .fetch_one(
                "SELECT :a AS a, :b AS b, :c AS c",
                params! { a: "text", b: "x", c: None::<i64> },
            )
            .await
            .unwrap();
        assert_eq!(row.get::<String>("a").unwrap(), "text");
        assert_eq!(row.get::<Option<String>>("c").unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn integers_beyond_the_column_compare_and_do_not_store() {
    everywhere(|store| async move {
        let create = sql! {
            sqlite: "CREATE TABLE n (id INTEGER, small INTEGER CHECK (small < 32768)) STRICT",
            postgres: "CREATE TABLE n (id INTEGER, small SMALLINT)",
        };
        store.db.execute(create, params! {}).await.unwrap();
        store
            .db
            .execute("INSERT INTO n (id, small) VALUES (1, 1)", params! {})
            .await
            .unwrap();
        let Scalar(found): Scalar<i64> = store
            .db
            .fetch_one(
                "SELECT count(*) FROM n WHERE id = :id",
                params! { id: 1_i64 << 40 },
            )
            .await
            .unwrap();
        assert_eq!(found, 0);
        let error = store
            .db
            .execute(
                "INSERT INTO n (small) VALUES (:small)",
                params! { small: 40_000 },
            )
            .await
            .unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Type { .. } | ErrorKind::Check),
            "{error}"
        );
    })
    .await;
}

#[tokio::test]
async fn nul_is_refused_everywhere() {
    everywhere(|store| async move {
        store.create(TABLE).await;
        let insert = "INSERT INTO t (id, name) VALUES (:id, :name)";
        for value in [
            athena_db::Value::from("se\0cret"),
            serde_json::json!({"k": ["se\0cret"]}).into(),
            serde_json::json!({"se\0cret": 1}).into(),
        ] {
            let error = store
                .db
                .execute(insert, params! { id: 1, name: value })
                .await
                .unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::Type { column, .. } if column == ":name"),
                "{error}"
            );
            assert!(!format!("{error:?}").contains("cret"), "{error:?}");
        }
        let error = store
            .db
            .fetch_all::<Row>(
                "SELECT id FROM t WHERE name IN :names",
                params! { names: vec!["a", "b\0"] },
            )
            .await
            .unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Type { column, .. } if column == ":names"),
            "{error}"
        );
        let error = store
            .db
            .fetch_all::<Row>("SELECT :x", params! { x: f64::NAN })
            .await
            .unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Type { .. }),
            "SQLite would read NaN as NULL: {error}"
        );
        assert_eq!(store.count("t").await, 0);
    })
    .await;
}

#[tokio::test]
async fn the_text_for_the_dialect_is_chosen() {
    everywhere(|store| async move {
        let Scalar(name): Scalar<String> = store
            .db
            .fetch_one(
                sql! { sqlite: "SELECT 'sqlite'", postgres: "SELECT 'postgres'" },
                params! {},
            )
            .await
            .unwrap();
        assert_eq!(name, store.dialect().to_string());
        let error = store
            .db
            .execute(sql! { mysql: "SELECT 1" }, params! {})
            .await
            .unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Unsupported { .. }),
            "{error}"
        );
    })
    .await;
}

#[tokio::test]
async fn columns_may_change_under_a_cached_statement() {
    everywhere(|store| async move {
        store.create(TABLE).await;
        store
            .db
            .execute("INSERT INTO t (id, name) VALUES (1, 'a')", params! {})
            .await
            .unwrap();
        let columns = async || {
            let row: Row = store
                .db
                .fetch_one("SELECT * FROM t", params! {})
                .await
                .unwrap();
            row.columns().iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(columns().await, ["id", "name"]);
        store
            .db
            .execute("ALTER TABLE t ADD COLUMN extra TEXT", params! {})
            .await
            .unwrap();
        assert_eq!(columns().await, ["id", "name", "extra"]);
        if store.dialect() == Dialect::Postgres {
            store
                .db
                .transaction(athena_db::TxOptions::default(), |tx| {
                    Box::pin(
                        async move { tx.fetch_one::<Row>("SELECT * FROM t", params! {}).await },
                    )
                })
                .await
                .unwrap();
        }
    })
    .await;
}
