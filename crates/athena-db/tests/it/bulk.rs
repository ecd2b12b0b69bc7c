//! Many rows at once mean what the same rows mean one after the other.

use std::time::Duration;

use athena_db::{Decimal, Dialect, ErrorKind, Executor, Params, TxOptions, Value, params};

use crate::backends::{Store, story};

const INSERT: &str = "INSERT INTO t (id, name) VALUES (:id, :name)";

fn rows(ids: impl Iterator<Item = i64>) -> Vec<Params> {
    ids.map(|id| params! { id: id, name: (id % 3 != 0).then(|| format!("ä{id}\n\t\\")) })
        .collect()
}

story! {
    #[tokio::test]
    async fn batches_of_every_size_arrive_as_they_are(store: Store) {
        store.create("t (id BIGINT PRIMARY KEY, name TEXT)").await;
        let mut from = 0;
        for size in [0, 1, 2, 999, 1000, 1001, 3999, 4000, 9001] {
            let written = store.db.execute_many(INSERT, rows(from..from + size)).await;
            assert_eq!(written.unwrap(), u64::try_from(size).unwrap());
            from += size;
        }
        let all: Vec<(i64, Option<String>)> = store
            .db
            .fetch_all("SELECT id, name FROM t ORDER BY id", params! {})
            .await
            .unwrap();
        assert_eq!(all.len(), usize::try_from(from).unwrap());
        for (wanted, (id, name)) in (0..).zip(all) {
            assert_eq!(id, wanted);
            assert_eq!(name, (id % 3 != 0).then(|| format!("ä{id}\n\t\\")));
        }
    }
}

story! {
    #[tokio::test]
    async fn one_wrong_row_undoes_all(store: Store) {
        store
            .create("t (id BIGINT PRIMARY KEY, name TEXT NOT NULL)")
            .await;
        for size in [2, 1000, 1001, 5000] {
            let mut twice = rows((1..=size).map(|id| 3 * id + 1));
            twice.extend(rows(std::iter::once(4)));
            let error = store.db.execute_many(INSERT, twice).await.unwrap_err();
            assert!(error.is_unique_violation(), "{size}: {error:?}");
            let mut nameless = rows((1..=size).map(|id| 3 * id + 1));
            nameless.extend(rows(std::iter::once(3)));
            let error = store.db.execute_many(INSERT, nameless).await.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::NotNull { .. }),
                "{size}: {error:?}"
            );
            assert_eq!(store.count("t").await, 0);
        }
        // Inside a transaction only the batch is lost, if it stands in a savepoint.
        let tx = store.db.begin(TxOptions::default()).await.unwrap();
        let batch = tx
            .nested(|tx| {
                Box::pin(tx.execute_many(INSERT, rows([1, 2, 1].into_iter().cycle().take(5000))))
            })
            .await;
        assert!(batch.unwrap_err().is_unique_violation());
        tx.execute_many(INSERT, rows([1, 2].into_iter()))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.count("t").await, 2);
    }
}

story! {
    #[tokio::test]
    async fn rows_that_meet_each_other_are_taken_in_their_order(store: Store) {
        store.create("t (id BIGINT PRIMARY KEY, name TEXT)").await;
        let upsert = "INSERT INTO t (id, name) VALUES (:id, :name) \
                      ON CONFLICT (id) DO UPDATE SET name = excluded.name";
        for size in [3_i64, 1500, 5000] {
            let batch = (0..size).map(|n| params! { id: n % 2, name: n.to_string() });
            store
                .db
                .execute_many(upsert, batch.collect())
                .await
                .unwrap();
            let last: Vec<(i64, String)> = store
                .db
                .fetch_all("SELECT id, name FROM t ORDER BY id", params! {})
                .await
                .unwrap();
            let of = |id: i64| (id, ((size - 1) - (size - 1 - id) % 2).to_string());
            assert_eq!(last, [of(0), of(1)]);
        }
        let ignore = "INSERT INTO t (id, name) VALUES (:id, :name) ON CONFLICT (id) DO NOTHING";
        let written = store
            .db
            .execute_many(ignore, rows((0..10).chain(0..10)))
            .await;
        assert_eq!(written.unwrap(), 8);
    }
}

#[tokio::test]
async fn a_borrowed_connection_sends_a_batch_whole_or_not_at_all() {
    let Some(store) = Store::on(Dialect::Postgres).await else {
        return;
    };
    store.create("t (id BIGINT PRIMARY KEY, name TEXT)").await;
    let conn = store.db.acquire().await.unwrap();
    let twice = rows((0..5000).chain(0..1));
    conn.execute_many(INSERT, twice).await.unwrap_err();
    assert_eq!(store.count("t").await, 0);
    conn.execute_many(INSERT, rows(0..5000)).await.unwrap();
    let update = "UPDATE t SET name = :name WHERE id = :id";
    conn.execute_many(update, rows(0..5000)).await.unwrap();
    assert_eq!(store.count("t").await, 5000);
}

/// Arrays, `COPY` and single rows are three encodings of the same values.
#[tokio::test]
async fn every_type_survives_every_way_on_postgresql() {
    let Some(store) = Store::on(Dialect::Postgres).await else {
        return;
    };
    let types = "id BIGINT PRIMARY KEY, a SMALLINT, b INTEGER, c REAL, d DOUBLE PRECISION, e NUMERIC, \
                 f NUMERIC(20, 4), g BOOLEAN, h TEXT, i VARCHAR(20), j CHAR(5), k BYTEA, l UUID, m DATE, \
                 n TIMESTAMP, o TIMESTAMPTZ, p JSON, q JSONB";
    let columns: Vec<&str> = "id a b c d e f g h i j k l m n o p q".split(' ').collect();
    let row = |id: i64| {
        let number: Decimal = format!("-{id}.{id:05}0").parse().unwrap();
        let time: jiff::Timestamp = "2031-01-02T03:04:05.678901Z".parse().unwrap();
        let values: Vec<Value> = vec![
            id.into(),
            (id % 100).into(),
            (-id).into(),
            0.1_f32.into(),
            (1.0 / 3.0).into(),
            number.clone().into(),
            number.into(),
            (id % 2 == 0).into(),
            format!("text {id}").into(),
            "größe".into(),
            "ab".into(),
            Value::Bytes(vec![0, 255, 10]),
            uuid::Uuid::from_u128(u128::try_from(id).unwrap()).into(),
            jiff::civil::date(1999, 12, 31).into(),
            time.into(),
            time.into(),
            serde_json::json!({"a": [1, null]}).into(),
            serde_json::json!([id]).into(),
        ];
        // Every value is absent once.
        let absent = usize::try_from(id).unwrap() % (values.len() * 2);
        let blank = |(index, value)| match index {
            0 => value,
            _ if index == absent => Value::Null,
            _ => value,
        };
        values
            .into_iter()
            .enumerate()
            .map(blank)
            .collect::<Vec<Value>>()
    };
    for (table, step) in [("singles", 1), ("arrays", 500), ("copies", 5000)] {
        store.create(&format!("{table} ({types})")).await;
        let ids: Vec<i64> = (0..5000).collect();
        let options = TxOptions::default().with_deadline(Duration::from_secs(60));
        let tx = store.db.begin(options).await.unwrap();
        for chunk in ids.chunks(step) {
            let rows = chunk.iter().copied().map(row).collect();
            tx.insert_rows(table, &columns, rows).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
    for table in ["arrays", "copies"] {
        let text = columns
            .iter()
            .map(|name| format!("{name}::text"))
            .collect::<Vec<_>>();
        let text = text.join(", ");
        let differing = format!(
            "SELECT count(*) FROM (SELECT {text} FROM singles EXCEPT ALL SELECT {text} FROM {table}) x"
        );
        let (differing,): (i64,) = store.db.fetch_one(differing, params! {}).await.unwrap();
        assert_eq!((store.count(table).await, differing), (5000, 0), "{table}");
    }
    let misfits =
        (0..5000).map(|id| vec![id.into(), Value::from(if id == 4999 { 40_000 } else { 1 })]);
    let error = store
        .db
        .insert_rows("copies", &["id", "a"], misfits.collect())
        .await
        .unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Type { .. }), "{error:?}");
    assert!(!error.to_string().contains("40000"));
}

/// What `COPY` or arrays cannot do is done all the same.
#[tokio::test]
async fn tables_with_a_will_of_their_own_get_their_rows_on_postgresql() {
    let Some(store) = Store::on(Dialect::Postgres).await else {
        return;
    };
    for statement in [
        "CREATE TYPE mood AS ENUM ('happy', 'sad')",
        "CREATE TABLE moods (id BIGINT GENERATED ALWAYS AS IDENTITY, mood mood, tags TEXT[], twice INT, again BIGINT)",
        "CREATE VIEW happy AS SELECT mood, tags FROM moods",
        "CREATE VIEW numbers AS SELECT twice, again FROM moods",
        "CREATE RULE polite AS ON INSERT TO moods WHERE new.mood = 'sad' DO INSTEAD NOTHING",
    ] {
        store.db.execute(statement, params! {}).await.unwrap();
    }
    let rows = |count: i64| {
        (0..count).map(
            |n| params! { mood: if n % 2 == 0 { "happy" } else { "sad" }, tags: vec!["a", "b"] },
        )
    };
    let insert = "INSERT INTO happy (mood, tags) VALUES (:mood, :tags)";
    store
        .db
        .execute_many(insert, rows(10).collect())
        .await
        .unwrap();
    assert_eq!(store.count("happy").await, 5);
    store
        .db
        .execute("DROP RULE polite ON moods", params! {})
        .await
        .unwrap();
    store
        .db
        .execute_many(insert, rows(5000).collect())
        .await
        .unwrap();
    assert_eq!(store.count("happy").await, 5005);

    let numbers = |count: i64| (0..count).map(|n| params! { n: n });
    for insert in [
        "INSERT INTO numbers (twice, again) VALUES (:n, :n)",
        "INSERT INTO numbers (twice) VALUES (:n) RETURNING twice",
        "INSERT INTO moods (twice, again) VALUES (:n, 7)",
        "INSERT INTO moods (again, twice) VALUES (1, abs(:n))",
        "INSERT INTO numbers VALUES (:n)",
    ] {
        let written = store.db.execute_many(insert, numbers(5000).collect()).await;
        assert_eq!(written.unwrap(), 5000, "{insert}");
    }
    let error = store
        .db
        .execute_many(
            "INSERT INTO moods (id) VALUES (:n)",
            numbers(5000).collect(),
        )
        .await;
    assert_eq!(error.unwrap_err().code(), Some("428C9"));
}

#[tokio::test]
async fn a_batch_of_any_size_means_an_insert() {
    let Some(store) = Store::on(Dialect::Postgres).await else {
        return;
    };
    store
        .create("t (id BIGINT GENERATED ALWAYS AS IDENTITY, name TEXT)")
        .await;
    for size in [1, 10, 1500, 5000] {
        let refused = store.db.execute_many(INSERT, rows(0..size)).await;
        assert_eq!(refused.unwrap_err().code(), Some("428C9"), "{size} rows");
        assert_eq!(store.count("t").await, 0);
    }

    // Rules are for inserts.
    store.create("seen (id BIGINT)").await;
    store.create("elsewhere (id BIGINT, name TEXT)").await;
    let rule =
        "CREATE RULE instead AS ON INSERT TO elsewhere DO INSTEAD INSERT INTO seen VALUES (NEW.id)";
    store.db.execute(rule, params! {}).await.unwrap();
    let insert = "INSERT INTO elsewhere (id, name) VALUES (:id, :name)";
    store.db.execute_many(insert, rows(0..5000)).await.unwrap();
    assert_eq!(store.count("seen").await, 5000);
    assert_eq!(store.count("elsewhere").await, 0);
    store.finish().await;
}
