//! What a row becomes on the way is what it becomes when it is kept and read later.

use std::fmt::Debug;
use std::sync::Arc;

use athena_db::{
    Decimal, Dialect, ErrorKind, Executor, FromRow, FromValue, Result, Row, Scalar, TxOptions,
    Value, params,
};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;
use uuid::Uuid;

use crate::backends::{Store, story};

/// A column of each kind that a backend has, and of each that cannot be read.
fn columns(dialect: Dialect) -> Vec<&'static str> {
    let mut all = vec![
        "NULL",
        "0",
        "1",
        "-1",
        "200",
        "70000",
        "9223372036854775807",
        "12.50",
        "'text'",
        "''",
        "'12.50'",
        "'2024-02-29'",
        "'2024-02-29T10:00:00Z'",
        "'6f3b1a52-7a7c-4d0e-9d7c-0a2f3c1b5e99'",
        r#"'{"a": [1, "ü"], "a": 2}'"#,
    ];
    all.extend(match dialect {
        Dialect::Sqlite => &[
            "1e300",
            "0.1",
            "1700000000000000",
            "x''",
            "x'00ff'",
            "x'0000803f'",
            "x'6f3b1a527a7c4d0e9d7c0a2f3c1b5e99'",
            "CAST(x'ff' AS TEXT)",
        ] as &[_],
        Dialect::Postgres => &[
            "true",
            "'t'::\"char\"",
            "'t'::bpchar",
            "'t'::name",
            "'t'::varchar",
            "'ok'::mood",
            "'sad'::domained",
            "7::int2",
            "7::int4",
            "7::int8",
            "7::oid",
            "7::information_schema.cardinal_number",
            "0.1::float4",
            "0.1::float8",
            "'NaN'::float8",
            "'NaN'::numeric",
            "-300000.0025",
            "1e30",
            r"'\x'::bytea",
            r"'\x0000803f'::bytea",
            r"'\x6f3b1a527a7c4d0e9d7c0a2f3c1b5e99'::bytea",
            "'6f3b1a52-7a7c-4d0e-9d7c-0a2f3c1b5e99'::uuid",
            r#"'{"a": 1, "a": 2}'::json"#,
            r#"'{"a": [1]}'::jsonb"#,
            "'null'::jsonb",
            "'2024-02-29 10:00:00.123456+01'::timestamptz",
            "'2024-02-29 10:00:00'::timestamp",
            "'infinity'::timestamptz",
            "'2024-02-29'::date",
            "'infinity'::date",
            "ARRAY[1, 2]",
            "ARRAY[1.5, 2]::real[]",
            "ARRAY['a', NULL]",
            "'{}'::text[]",
            "ARRAY[[1], [2]]",
            "pg_sleep(0)",
            "'1 day'::interval",
            "'127.0.0.1'::inet",
        ],
        Dialect::MySql => &[
            "flag",
            "tiny",
            "seven",
            "wide",
            "narrow",
            "choice",
            "day",
            "at",
            "clock",
            "document",
            "bits",
            "0.1e0",
            "x''",
            "x'00ff'",
            "x'0000803f'",
            "x'6f3b1a527a7c4d0e9d7c0a2f3c1b5e99'",
            "CAST(18446744073709551615 AS UNSIGNED)",
        ],
    });
    all
}

/// A column that cannot be read as anything.
fn unreadable(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "CAST(x'ff' AS TEXT)",
        Dialect::Postgres => "'1 day'::interval",
        Dialect::MySql => "CAST(18446744073709551615 AS UNSIGNED)",
    }
}

/// What the columns need: types, and a table `t` of one row.
async fn prepare(store: &Store) {
    let statements: &[&'static str] = match store.dialect() {
        Dialect::Sqlite => &["CREATE TABLE t (id INTEGER)"],
        Dialect::Postgres => &[
            "CREATE TYPE mood AS ENUM ('ok', 'sad')",
            "CREATE DOMAIN domained AS mood",
            "CREATE TABLE t (id BIGINT)",
        ],
        Dialect::MySql => &["CREATE TABLE t (id BIGINT, flag BOOLEAN DEFAULT 1, \
             tiny BOOLEAN DEFAULT 7, seven SMALLINT UNSIGNED DEFAULT 7, wide DOUBLE DEFAULT 0.1, \
             narrow FLOAT DEFAULT 0.1, choice ENUM('a', 'b') DEFAULT 'b', day DATE DEFAULT '2024-02-29', \
             at DATETIME(6) DEFAULT '2024-02-29 10:00:00.123456', clock TIME(6) DEFAULT '-30:11:12.5', \
             document JSON DEFAULT '{\"a\": [1]}', bits BIT(4) DEFAULT 5)"],
    };
    for statement in statements {
        store.db.execute(*statement, params! {}).await.unwrap();
    }
    let fill = "INSERT INTO t (id) VALUES (1)";
    store.db.execute(fill, params! {}).await.unwrap();
}

fn told<T: Debug>(result: Result<T>) -> Result<String, String> {
    result
        .map(|value| format!("{value:?}"))
        .map_err(|error| format!("{error} {:?}", error.kind()))
}

/// What a statement returns: rows that are kept.
async fn keep(store: &Store, sql: &str) -> Result<Vec<Row>, String> {
    let rows = store.db.fetch_rows(sql.to_owned(), params! {}, usize::MAX);
    rows.await
        .map_err(|error| told::<()>(Err(error)).unwrap_err())
}

/// Reads a row on the way, alone and among all, and compares with what is read from it later.
async fn both_ways<T: FromRow + Debug>(
    store: &Store,
    sql: &str,
    kept: &Result<Vec<Row>, String>,
) -> Result<String, String> {
    let expected = kept
        .as_ref()
        .map_err(Clone::clone)
        .and_then(|rows| told(T::from_row(&rows[0])));
    let all = store.db.fetch_all::<T>(sql.to_owned(), params! {}).await;
    let all = told(all.map(|rows| rows.into_iter().next().unwrap()));
    let only = told(store.db.fetch_one::<T>(sql.to_owned(), params! {}).await);
    let type_name = std::any::type_name::<T>();
    assert_eq!(all, expected, "{sql} as {type_name}");
    assert_eq!(only, expected, "{sql} as {type_name}, the only row");
    expected
}

/// The same for rows that travel in a stream as well.
async fn all_ways<T: FromRow + Debug>(store: &Store, sql: &str) -> Result<String, String> {
    let kept = keep(store, sql).await;
    let expected = both_ways::<T>(store, sql, &kept).await;
    let mut rows = store.db.stream::<T>(sql.to_owned(), params! {});
    let streamed = told(rows.next().await.unwrap());
    let type_name = std::any::type_name::<T>();
    assert_eq!(streamed, expected, "{sql} as {type_name}, streamed");
    expected
}

/// A type of the caller's, read from a [`Value`] by hand.
#[derive(Debug)]
struct Own(#[expect(dead_code, reason = "it is shown")] String);

impl FromValue for Own {
    const WANT: &'static str = "something of my own";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Int(number) => Some(Self(format!("number {number}"))),
            Value::Text(text) => Some(Self(format!("text {text}"))),
            _ => None,
        }
    }
}

#[derive(Debug, FromRow)]
struct Named<T: FromValue> {
    #[expect(dead_code, reason = "it is shown")]
    body: T,
}

#[derive(Debug, FromRow)]
struct Twice<T: FromValue> {
    #[db(flatten)]
    #[expect(dead_code, reason = "it is shown")]
    named: Named<T>,
    #[expect(dead_code, reason = "it is shown")]
    body: Option<T>,
}

#[derive(Debug, FromRow)]
#[expect(dead_code, reason = "it is shown")]
struct Document {
    #[db(json)]
    body: Body,
    #[db(default)]
    missing: i64,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
#[expect(dead_code, reason = "it is shown")]
enum Body {
    Object { a: Vec<i64> },
    Nothing,
}

/// Reads a column as each type; returns how often it fitted and how often not.
macro_rules! as_each {
    ($store:ident, $sql:expr, $kept:expr, $($type:ty),+ $(,)?) => {{
        let mut tally = (0, 0);
        $(
            match both_ways::<Scalar<$type>>($store, $sql, $kept).await {
                Ok(_) => tally.0 += 1,
                Err(_) => tally.1 += 1,
            }
        )+
        tally
    }};
}

story! {
    #[tokio::test]
    async fn every_kind_of_column_is_the_same_as_every_type(store: Store) {
        prepare(store).await;
        for column in columns(store.dialect()) {
            let sql = &format!("SELECT {column} AS body FROM t");
            let kept = &keep(store, sql).await;
            let (fits, misfits) = as_each!(
                store, sql, kept, bool, i64, i32, i16, i8, u64, u32, u16, u8, usize, f64, f32, String,
                Arc<str>, Vec<u8>, bytes::Bytes, serde_json::Value, Uuid, Timestamp, Decimal, Date,
                Vec<f32>, Vec<i64>, Vec<Option<String>>, Value, Option<Value>, Own,
            );
            assert!(misfits > 0, "{sql}");
            assert_eq!(fits > 0, kept.is_ok(), "{sql}: {kept:?}");
            let _ = all_ways::<Named<Value>>(store, sql).await;
            let _ = all_ways::<Twice<String>>(store, sql).await;
            let _ = both_ways::<Twice<Option<i64>>>(store, sql, kept).await;
            let _ = both_ways::<Document>(store, sql, kept).await;
            let _ = both_ways::<()>(store, sql, kept).await;
        }
    }
}

#[derive(Debug, FromRow)]
#[expect(dead_code, reason = "it is shown")]
struct Pair {
    first: i64,
    second: i64,
}

story! {
    #[tokio::test]
    async fn the_same_error_is_told_of_a_row_with_several(store: Store) {
        prepare(store).await;
        let bad = unreadable(store.dialect());
        let is_about = |result: Result<String, String>, column: &str| {
            let error = result.unwrap_err();
            assert!(error.starts_with(&format!("`{column}` wants")), "{error}");
        };
        // A column that cannot be read comes before one that does not fit, and nobody need ask for it.
        for (list, column) in [
            (format!("'x' AS first, {bad} AS second"), "second"),
            (format!("{bad} AS first, 'x' AS second"), "first"),
            (format!("{bad} AS second, 'x' AS first"), "second"),
            (format!("{bad} AS second, {bad} AS first"), "second"),
            (format!("1 AS first, 2 AS second, {bad} AS third"), "third"),
            (format!("{bad} AS zeroth, 1 AS first, 2 AS second"), "zeroth"),
            (format!("1 AS first, {bad} AS other"), "other"),
            ("1 AS first, 'x' AS second".to_owned(), "second"),
            ("'x' AS second, 'x' AS first".to_owned(), "first"),
            ("1 AS first, 2 AS other".to_owned(), "second"),
        ] {
            let sql = &format!("SELECT {list} FROM t");
            is_about(all_ways::<Pair>(store, sql).await, column);
            if list.contains(bad) {
                is_about(all_ways::<()>(store, sql).await, column);
                let _ = all_ways::<(i64,)>(store, sql).await.unwrap_err();
            }
        }
        let absent = all_ways::<(i64, i64)>(store, "SELECT 1 AS first FROM t").await;
        is_about(absent, "column 2");
        for swapped in ["2 AS second, 1 AS first", "0 AS zeroth, 1 AS first, 2 AS second"] {
            let pair = all_ways::<Pair>(store, &format!("SELECT {swapped} FROM t")).await;
            assert_eq!(pair.unwrap(), "Pair { first: 1, second: 2 }");
        }
    }
}

story! {
    #[tokio::test]
    async fn a_second_row_says_more_than_a_first_that_does_not_fit(store: Store) {
        prepare(store).await;
        let bad = unreadable(store.dialect());
        let only = async |rows: &str| {
            let sql = format!("SELECT id, name FROM ({rows}) AS r ORDER BY id");
            let one = store.db.fetch_one::<Scalar<bool>>(sql.clone(), params! {}).await;
            let optional = store.db.fetch_opt::<Scalar<bool>>(sql, params! {}).await;
            match one {
                Err(error) if *error.kind() == ErrorKind::NotFound => assert_eq!(optional.unwrap(), None),
                one => assert_eq!(told(one.map(Some)), told(optional)),
            }
            let sql = format!("SELECT id, name FROM ({rows}) AS r ORDER BY id");
            store.db.fetch_one::<Scalar<bool>>(sql, params! {}).await.map_err(|error| error.kind().clone())
        };
        let column = |result: Result<Scalar<bool>, ErrorKind>| match result {
            Err(ErrorKind::Type { column, .. }) => column,
            other => panic!("{other:?}"),
        };
        let none = only("SELECT 1 AS id, 'a' AS name FROM t WHERE 1 = 0").await;
        assert_eq!(none, Err(ErrorKind::NotFound));
        let right = only("SELECT 1 AS id, 'a' AS name FROM t").await;
        assert_eq!(right, Ok(Scalar(true)));
        assert_eq!(column(only("SELECT 5 AS id, 'a' AS name FROM t").await), "id");
        for first in [1, 5] {
            let two = format!("SELECT {first} AS id, 'a' AS name FROM t UNION ALL SELECT 7, 'b' FROM t");
            assert_eq!(only(&two).await, Err(ErrorKind::TooManyRows));
        }
        // On PostgreSQL a whole column cannot be read, not one row.
        let row = |id: i64, is_bad: bool| {
            let name = match store.dialect() {
                Dialect::Sqlite if !is_bad => "'a'",
                Dialect::MySql if !is_bad => "CAST(1 AS UNSIGNED)",
                _ => bad,
            };
            format!("SELECT {id} AS id, {name} AS name FROM t")
        };
        for rows in [
            row(5, true),
            format!("{} UNION ALL {}", row(5, true), row(7, false)),
            format!("{} UNION ALL {}", row(5, false), row(7, true)),
        ] {
            assert_eq!(column(only(&rows).await), "name", "{rows}");
        }
    }
}

/// Makes a table of numbers from 0 on.
async fn number(store: &Store, count: i64) {
    store.create("n (id BIGINT PRIMARY KEY)").await;
    let rows = (0..count).map(|id| vec![id.into()]).collect();
    store.db.insert_rows("n", &["id"], rows).await.unwrap();
}

story! {
    #[tokio::test]
    async fn no_more_rows_are_read_than_wanted(store: Store) {
        number(store, 10).await;
        for limit in [0, 1, 9, 10, 11] {
            let rows = store.db.fetch_rows("SELECT id FROM n ORDER BY id", params! {}, limit).await;
            let rows: Vec<i64> = rows.unwrap().iter().map(|row| row.get("id").unwrap()).collect();
            let expected: Vec<i64> = (0..10).take(limit).collect();
            assert_eq!(rows, expected);
        }
    }
}

story! {
    #[tokio::test]
    async fn a_statement_that_writes_is_done_whatever_its_rows_do_not_fit(store: Store) {
        number(store, 300).await;
        let sql = "DELETE FROM n WHERE id >= 100 RETURNING id";
        let error = store.db.fetch_all::<Scalar<bool>>(sql, params! {}).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Type { .. }), "{error:?}");
        assert_eq!(store.count("n").await, 100);
        let sql = "DELETE FROM n WHERE id >= 50 RETURNING id";
        let error = store.db.fetch_one::<Scalar<bool>>(sql, params! {}).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::TooManyRows);
    }
}

/// A row that nobody survives.
#[derive(Debug)]
struct Panics;

impl FromRow for Panics {
    fn from_row(_: &Row) -> Result<Self> {
        panic!("the caller's own")
    }
}

story! {
    #[tokio::test]
    async fn a_panic_over_a_row_harms_no_other_statement(store: Store) {
        number(store, 300).await;
        for _ in 0..20 {
            let db = store.db.clone();
            let all = async move { db.fetch_all::<Panics>("SELECT id FROM n", params! {}).await };
            assert!(tokio::spawn(all).await.unwrap_err().is_panic());
            let db = store.db.clone();
            let one = async move {
                let tx = db.begin(TxOptions::default()).await?;
                tx.fetch_one::<Panics>("SELECT id FROM n WHERE id = 7", params! {}).await
            };
            assert!(tokio::spawn(one).await.unwrap_err().is_panic());
        }
        assert_eq!(store.count("n").await, 300);
    }
}
