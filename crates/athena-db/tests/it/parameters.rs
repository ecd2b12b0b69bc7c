//! Named parameters: found, missing, unused, lists of every size.

use athena_db::{Dialect, ErrorKind, Executor, Params, Position, Row, Scalar, params, sql};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use crate::backends::{Store, story};

const TABLE: &str = "t (id BIGINT PRIMARY KEY, name TEXT)";

story! {
    #[tokio::test]
    async fn names_that_are_missing_or_unused_are_errors_before_anything_is_sent(store: Store) {
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
    }
}

story! {
    #[tokio::test]
    async fn lists_of_every_size_are_one_statement(store: Store) {
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
    }
}

story! {
    #[tokio::test]
    async fn nothing_is_in_an_empty_list_and_null_is_outside_it_too(store: Store) {
        store.create(TABLE).await;
        store
            .db
            .execute(
                "INSERT INTO t (id, name) VALUES (1, 'a'), (2, NULL)",
                params! {},
            )
            .await
            .unwrap();
        let none = || params! { names: Vec::<String>::new() };
        let update = "UPDATE t SET name = 'changed' WHERE name IN :names";
        let done = store.db.execute(update, none()).await.unwrap();
        assert_eq!(done, 0);
        let delete = "DELETE FROM t WHERE name NOT IN (:names)";
        let done = store.db.execute(delete, none()).await.unwrap();
        assert_eq!(done, 2);
    }
}

story! {
    #[tokio::test]
    async fn a_name_may_stand_in_several_places(store: Store) {
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
    }
}

story! {
    #[tokio::test]
    async fn bare_parameters_have_the_type_of_their_value(store: Store) {
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
    }
}

story! {
    #[tokio::test]
    async fn integers_beyond_the_column_compare_and_do_not_store(store: Store) {
        let create = sql! {
            sqlite: "CREATE TABLE n (id INTEGER, small INTEGER CHECK (small < 32768)) STRICT",
            postgres: "CREATE TABLE n (id INTEGER, small SMALLINT)",
            mysql: "CREATE TABLE n (id INTEGER, small SMALLINT)",
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
    }
}

story! {
    #[tokio::test]
    async fn nul_is_refused_everywhere(store: Store) {
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
    }
}

story! {
    #[tokio::test]
    async fn the_text_for_the_dialect_is_chosen(store: Store) {
        let Scalar(name): Scalar<String> = store
            .db
            .fetch_one(
                sql! { sqlite: "SELECT 'sqlite'", postgres: "SELECT 'postgres'", mysql: "SELECT 'mysql'" },
                params! {},
            )
            .await
            .unwrap();
        assert_eq!(name, store.dialect().to_string());
        let foreign = match store.dialect() {
            Dialect::MySql => sql! { sqlite: "SELECT 1", postgres: "SELECT 1" },
            Dialect::Sqlite | Dialect::Postgres => sql! { mysql: "SELECT 1" },
        };
        let error = store.db.execute(foreign, params! {}).await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Unsupported { .. }),
            "{error}"
        );
    }
}

story! {
    #[tokio::test]
    async fn columns_may_change_under_a_cached_statement(store: Store) {
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
    }
}

story! {
    #[tokio::test]
    async fn several_statements_are_refused_and_none_of_them_runs(store: Store) {
        store.create(TABLE).await;
        for text in [
            "INSERT INTO t (id) VALUES (1); INSERT INTO t (id) VALUES (2)",
            "INSERT INTO t (id) VALUES (1); COMMIT",
            "SELECT 1 /* ; */; DELETE FROM t",
        ] {
            let executed = store.db.execute(text, params! {}).await.map(drop);
            let fetched = store.db.fetch_all::<Row>(text, params! {}).await.map(drop);
            for result in [executed, fetched] {
                let error = result.unwrap_err();
                assert!(
                    matches!(error.kind(), ErrorKind::Syntax { .. }),
                    "{text}: {error:?}"
                );
            }
        }
        assert_eq!(store.count("t").await, 0);
        let one = "INSERT INTO t (id) VALUES (:id) ; -- and no more";
        store.db.execute(one, params! { id: 1 }).await.unwrap();
        assert_eq!(store.count("t").await, 1);
    }
}

story! {
    #[tokio::test]
    async fn transactions_are_begun_by_the_layer_alone(store: Store) {
        let tx = store
            .db
            .begin(athena_db::TxOptions::default())
            .await
            .unwrap();
        for text in [
            "/**/ begin",
            "START TRANSACTION",
            "COMMIT",
            "SET TRANSACTION READ ONLY",
        ] {
            let outside = store.db.execute(text, params! {}).await.unwrap_err();
            let inside = tx.execute(text, params! {}).await.unwrap_err();
            for error in [outside, inside] {
                assert!(
                    matches!(error.kind(), ErrorKind::Unsupported { .. }),
                    "{text}: {error}"
                );
                assert!(error.to_string().contains("Database::begin"), "{error}");
            }
        }
        tx.commit().await.unwrap();
    }
}

story! {
    #[tokio::test]
    async fn mistakes_are_shown_in_the_text_as_it_was_written(store: Store) {
        store.create(TABLE).await;
        let error = store
            .db
            .fetch_all::<Row>(
                "SELECT id FROM t\nWHERE id IN :größe AND name = :name AND nmae = 1",
                Params::new().with("größe", vec![1]).with("name", "x"),
            )
            .await
            .unwrap_err();
        let ErrorKind::Syntax { at } = error.kind() else {
            panic!("{error:?}");
        };
        assert!(error.to_string().contains("nmae"), "{error}");
        let at_name = Position {
            line: 2,
            column: 41,
        };
        assert_eq!(*at, Some(at_name), "{error}");
        assert!(
            error.to_string().starts_with("line 2, column 41: "),
            "{error}"
        );

        let error = store
            .db
            .execute("SELECT ':a' ||\n 'never ends, :b", params! {})
            .await
            .unwrap_err();
        let at = Some(Position { line: 2, column: 2 });
        assert_eq!(*error.kind(), ErrorKind::Syntax { at }, "{error}");
    }
}

story! {
    #[tokio::test]
    async fn numbered_parameters_are_never_bound(store: Store) {
        let texts: &[&str] = match store.dialect() {
            Dialect::Sqlite => &["SELECT ?", "SELECT ?1", "SELECT $a", "SELECT @a, :b"],
            Dialect::Postgres => &["SELECT $1::int", "SELECT $1::int, :b", "SELECT $a"],
            _ => &["SELECT ?", "SELECT ?, :b"],
        };
        for &text in texts {
            let params = if text.contains(":b") {
                params! { b: 1 }
            } else {
                params! {}
            };
            let error = store.db.fetch_all::<Row>(text, params).await.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::Syntax { .. }),
                "{text}: {error:?}"
            );
        }
    }
}

story! {
    /// Where nothing has a name PostgreSQL's own numbers are part of its language.
    #[tokio::test]
    async fn numbered_parameters_belong_to_the_statement_that_declares_them(store: Store) {
        if store.dialect() != Dialect::Postgres {
            return;
        }
        for text in [
            "PREPARE doubled (int8) AS SELECT $1 * 2",
            "CREATE FUNCTION doubled(int8) RETURNS int8 LANGUAGE SQL RETURN $1 * 2",
        ] {
            store.db.execute(text, params! {}).await.unwrap();
        }
        let Scalar(four): Scalar<i64> = store
            .db
            .fetch_one("SELECT doubled(:n)", params! { n: 2 })
            .await
            .unwrap();
        assert_eq!(four, 4);
    }
}

/// Expressions that mislead, each with its value; `P` is a parameter and `V` what is bound to it.
fn misleading(dialect: Dialect) -> Vec<(&'static str, &'static str)> {
    let mut expressions = vec![
        ("P", "V"),
        ("'at :noon ' || P", "at :noon V"),
        ("P || ' it''s :x'", "V it's :x"),
        (r"'\' || P || '\'", r"\V\"),
        ("P || ''':x'''", "V':x'"),
        ("P /* :x ' */ || '/* :y */'", "V/* :y */"),
        ("P -- :x '\n || '-- :y'", "V-- :y"),
        ("CASE WHEN P=P THEN P ELSE ':x' END", "V"),
        ("\":x\" || P", "qV"),
        ("P||\":x\"||P", "VqV"),
    ];
    expressions.extend_from_slice(match dialect {
        Dialect::Sqlite => &[
            ("`:y` || P", "qV"),
            ("[:z]||P||[:z]", "qVq"),
            ("P || X'3a61'", "V:a"),
            ("P || (1--:x\n+1)", "V2"),
            ("('{\"k\": \":x\"}' ->> '$.k') || P", ":xV"),
            ("P /* /* :x */ || 'y'", "Vy"),
        ],
        Dialect::Postgres => &[
            (r"E'\':x' || P", "':xV"),
            ("E'a'\n  '\\':x' || P", "a':xV"),
            ("$$:x'$$ || P", ":x'V"),
            ("$q$ $$:x$$ $q$||P", " $$:x$$ V"),
            ("$größe$:x$größe$ || P", ":xV"),
            (r"U&'\003Ax' || P", ":xV"),
            ("P /* /* ' */ :x */ || 'y'", "Vy"),
            ("array_to_string((ARRAY['a',P,'c'])[1:n], '')", "aV"),
            ("array_to_string((ARRAY['a',P])[:abs(n)], '')", "aV"),
            ("array_to_string((ARRAY['a',P,'c'])[2:2], '')", "V"),
            ("(jsonb_build_object(P,n) ?P)::text", "true"),
            ("(1::int4)::text||P", "1V"),
            ("make_interval(secs := n)::text || P", "00:00:02V"),
        ],
        Dialect::MySql => &[
            ("`:y` || P", "qV"),
            ("P # :x '\n || 'y'", "Vy"),
            ("P || (1--1)", "V2"),
            ("P /*! || ':x' */", "V:x"),
            ("P /* /* :x */ || 'y'", "Vy"),
            ("(@v := P)", "V"),
            ("N':x' || P", ":xV"),
            ("_utf8mb4':x' || P", ":xV"),
        ],
    });
    expressions
}

story! {
    /// The databases are the judges: where the scanner took text for a parameter or a parameter for text, another
    /// value comes back or none at all.
    #[tokio::test]
    async fn databases_read_statements_as_the_scanner_does(store: Store) {
        const VALUES: [(&str, &str); 5] = [
            ("a", "it's"),
            ("ab", ":a"),
            ("_1", "$1 ? --"),
            ("userId", r"\"),
            ("größe", "名前"),
        ];
        let dialect = store.dialect();
        let expressions = misleading(dialect);
        let names = match dialect {
            Dialect::Postgres => "SELECT 'q' AS \":x\", 2 AS n",
            _ => "SELECT 'q' AS \":x\", 'q' AS \":y\", 'q' AS \":z\"",
        };
        let mut random = StdRng::seed_from_u64(7);
        for _ in 0..100 {
            let mut columns = Vec::new();
            let mut expected = Vec::new();
            let mut params = Params::new();
            for index in 0..random.random_range(1..8) {
                let (expression, value) = *expressions.choose(&mut random).unwrap();
                let (name, bound) = *VALUES.choose(&mut random).unwrap();
                let parameter = match dialect {
                    Dialect::Postgres => format!(":{name}::text"),
                    _ => format!(":{name}"),
                };
                columns.push(format!(
                    "{} AS c{index}",
                    expression.replace('P', &parameter)
                ));
                expected.push(value.replace('V', bound));
                if params.names().all(|known| known != name) {
                    params.push(name, bound);
                }
            }
            let text = format!("SELECT {} FROM ({names}) AS names", columns.join(", "));
            let row: Row = store.db.fetch_one(text.clone(), params).await.unwrap();
            let found: Vec<String> = (0..expected.len())
                .map(|index| row.get(format!("c{index}").as_str()).unwrap())
                .collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
