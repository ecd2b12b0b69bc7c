//! The safe subset: what a migration says means the same everywhere, row by row of what databases
//! are known to read differently.

use athena_db::{
    Dialect, ErrorKind, Executor, MigrationFile, MigrationSet, Scalar, params, translate,
};

use crate::backends::{Store, story};

/// Migrates a fresh store with one script.
async fn migrate(store: &Store, script: &str) {
    let files = [MigrationFile::new(1, "script", script)];
    let set = MigrationSet {
        name: "portable",
        files: &files,
    };
    store.db.migrations(&set).up().await.unwrap();
    assert_eq!(store.db.migrations(&set).verify().await.unwrap(), []);
}

async fn run(store: &Store, sql: &'static str) -> Result<u64, ErrorKind> {
    let done = store.db.execute(sql, params! {}).await;
    done.map_err(|error| error.kind().clone())
}

async fn number(store: &Store, sql: &'static str) -> i64 {
    store
        .db
        .fetch_one::<Scalar<i64>>(sql, params! {})
        .await
        .unwrap()
        .0
}

story! {
    #[tokio::test]
    async fn ids_are_generated_or_assigned_as_the_type_says(store: Store) {
        migrate(store, "CREATE TABLE a (id INTEGER PRIMARY KEY, n INTEGER); CREATE TABLE b (id BIGINT PRIMARY KEY, n INTEGER)").await;
        run(store, "INSERT INTO a (n) VALUES (3000000000)").await.unwrap();
        assert_eq!(number(store, "SELECT id FROM a WHERE n = 3000000000").await, 1);
        assert!(run(store, "INSERT INTO b (n) VALUES (1)").await.is_err(), "nobody assigned one");
        run(store, "INSERT INTO b (id, n) VALUES (9223372036854775807, -9223372036854775807)").await.unwrap();
        assert_eq!(number(store, "SELECT id FROM b").await, i64::MAX);
        run(store, "DELETE FROM a").await.unwrap();
        run(store, "INSERT INTO a (n) VALUES (1)").await.unwrap();
        assert_eq!(number(store, "SELECT id FROM a").await, 2, "an id is given out once");
    }
}

story! {
    #[tokio::test]
    async fn what_looks_like_a_number_stays_text(store: Store) {
        migrate(store, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b VARCHAR(40), c JSON, d UUID)").await;
        let uuid = "00000000-0000-0000-0000-000000000123";
        for trap in ["0000000000000000000000000000000000000123", "12345678e1", "1e3", "007", "1.0", " 1", "0x10", "", "a ", "A", "a"] {
            let insert = "INSERT INTO t (a, b, c, d) VALUES (:a, :a, :c, :d)";
            let values = params! { a: trap, c: serde_json::json!([trap, "1e3", 1]), d: uuid.parse::<uuid::Uuid>().unwrap() };
            store.db.execute(insert, values).await.unwrap();
            let (a, b, c, d): (String, String, serde_json::Value, uuid::Uuid) = store
                .db
                .fetch_one("SELECT a, b, c, d FROM t WHERE a = :a AND b = :a AND d = :d", params! { a: trap, d: uuid.parse::<uuid::Uuid>().unwrap() })
                .await
                .unwrap();
            assert_eq!((a.as_str(), b.as_str(), d.to_string().as_str()), (trap, trap, uuid));
            assert_eq!(c, serde_json::json!([trap, "1e3", 1]));
        }
    }
}

story! {
    #[tokio::test]
    async fn keys_of_text_tell_case_and_trailing_spaces_apart(store: Store) {
        migrate(store, "CREATE TABLE t (name TEXT(255) PRIMARY KEY, \"key\" TEXT(10), \"Order\" TEXT(500) UNIQUE)").await;
        for name in ["abc", "ABC", "abc ", "\u{e4}bc", "a\u{308}bc"] {
            let insert = "INSERT INTO t (name, \"key\") VALUES (:name, 'k')";
            store.db.execute(insert, params! { name: name }).await.unwrap();
        }
        assert_eq!(number(store, "SELECT count(*) FROM t WHERE name = 'abc'").await, 1);
        assert!(matches!(run(store, "INSERT INTO t (name) VALUES ('abc')").await, Err(ErrorKind::Unique { .. })));
        let (joined,): (String,) = store.db.fetch_one("SELECT \"key\" || name || 'x' FROM t WHERE name = 'ABC'", params! {}).await.unwrap();
        assert_eq!(joined, "kABCx");
    }
}

story! {
    #[tokio::test]
    async fn times_days_and_booleans_have_defaults_everywhere(store: Store) {
        migrate(
            store,
            "CREATE TABLE t (id INTEGER PRIMARY KEY, at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, day DATE NOT NULL DEFAULT CURRENT_DATE,
                             yes BOOLEAN NOT NULL DEFAULT TRUE, no BOOLEAN NOT NULL DEFAULT FALSE, later TIMESTAMP);
             INSERT INTO t (later) VALUES (CURRENT_TIMESTAMP);",
        )
        .await;
        let (yes, no, at, later): (bool, bool, jiff::Timestamp, jiff::Timestamp) =
            store.db.fetch_one("SELECT yes, no, at, later FROM t WHERE yes AND NOT no", params! {}).await.unwrap();
        assert!(yes && !no);
        assert!(at.duration_since(later).abs() < jiff::SignedDuration::from_secs(60));
        let exact: jiff::Timestamp = "2040-01-02T03:04:05.678901Z".parse().unwrap();
        store.db.execute("UPDATE t SET later = :later", params! { later: exact }).await.unwrap();
        let Scalar(later): Scalar<jiff::Timestamp> = store.db.fetch_one("SELECT later FROM t", params! {}).await.unwrap();
        assert_eq!(later, exact);
    }
}

story! {
    #[tokio::test]
    async fn numbers_and_bytes_are_exact(store: Store) {
        migrate(
            store,
            "CREATE TABLE t (id INTEGER PRIMARY KEY, r REAL, b BLOB, p DECIMAL(20, 6))",
        )
        .await;
        let (third, bytes) = (1.0_f64 / 3.0, vec![0_u8, 255, 39, 92, 0]);
        let price: athena_db::Decimal = "12345678901234.123456".parse().unwrap();
        let insert = "INSERT INTO t (r, b, p) VALUES (:r, :b, :p)";
        store
            .db
            .execute(
                insert,
                params! { r: third, b: bytes.clone(), p: price.clone() },
            )
            .await
            .unwrap();
        let row: (f64, Vec<u8>, athena_db::Decimal) = store
            .db
            .fetch_one("SELECT r, b, p FROM t", params! {})
            .await
            .unwrap();
        assert_eq!(row, (third, bytes, price));
    }
}

story! {
    #[tokio::test]
    async fn references_checks_and_lengths_are_enforced(store: Store) {
        migrate(
            store,
            "CREATE TABLE o (id BIGINT PRIMARY KEY);
             CREATE TABLE t (id BIGINT PRIMARY KEY, o BIGINT REFERENCES o (id) ON DELETE CASCADE, s VARCHAR(3), n INTEGER CHECK (n > 0 AND length(s) < 3));
             INSERT INTO o (id) VALUES (1);
             INSERT INTO t (id, o, s, n) VALUES (1, 1, 'ä', 1);",
        )
        .await;
        assert!(matches!(run(store, "INSERT INTO t (id, o) VALUES (2, 9)").await, Err(ErrorKind::ForeignKey)));
        assert!(matches!(run(store, "UPDATE t SET n = 0").await, Err(ErrorKind::Check)));
        run(store, "UPDATE t SET s = 'äö'").await.unwrap();
        assert!(run(store, "UPDATE t SET s = 'äöüß', n = NULL").await.is_err(), "four characters");
        run(store, "DELETE FROM o").await.unwrap();
        assert_eq!(number(store, "SELECT count(*) FROM t").await, 0);
    }
}

story! {
    #[tokio::test]
    async fn generated_columns_let_go_of_the_names_of_the_dead(store: Store) {
        migrate(
            store,
            "CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL, gone BOOLEAN NOT NULL DEFAULT FALSE,
                             live_key INTEGER GENERATED ALWAYS AS (CASE WHEN gone THEN NULL ELSE 1 END) STORED,
                             UNIQUE (name, live_key))",
        )
        .await;
        for _ in 0..2 {
            run(store, "INSERT INTO t (name) VALUES ('a')").await.unwrap();
            assert!(matches!(run(store, "INSERT INTO t (name) VALUES ('a')").await, Err(ErrorKind::Unique { .. })));
            run(store, "UPDATE t SET gone = TRUE").await.unwrap();
        }
    }
}

story! {
    #[tokio::test]
    async fn tables_change_in_the_same_way(store: Store) {
        migrate(
            store,
            "CREATE TABLE o (id BIGINT PRIMARY KEY);
             CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT(20), b TEXT(20), c TEXT);
             CREATE INDEX t_a ON t (a, b DESC);
             INSERT INTO t (a) VALUES ('x');
             ALTER TABLE t ADD COLUMN flag BOOLEAN NOT NULL DEFAULT TRUE;
             ALTER TABLE t ADD COLUMN o BIGINT REFERENCES o (id) ON DELETE SET NULL;
             ALTER TABLE t RENAME COLUMN flag TO \"select\";
             DROP INDEX t_a ON t;
             ALTER TABLE t DROP COLUMN c;
             ALTER TABLE t RENAME TO u;
             CREATE UNIQUE INDEX u_a ON u (a);
             INSERT INTO u (a, \"select\") VALUES ('x', FALSE) ON CONFLICT (a) DO UPDATE SET \"select\" = excluded.\"select\";
             INSERT INTO u (a) VALUES ('x') ON CONFLICT (a) DO NOTHING;
             UPDATE u SET b = a || '!' WHERE a = 'x';
             DELETE FROM u WHERE a <> 'x';
             DROP TABLE IF EXISTS v;",
        )
        .await;
        let (flag, b): (bool, String) = store.db.fetch_one("SELECT \"select\", b FROM u", params! {}).await.unwrap();
        assert_eq!((flag, b.as_str()), (false, "x!"));
        let table = store.db.schema().table("u").await.unwrap().unwrap();
        let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["id", "a", "b", "select", "o"]);
        assert_eq!(table.unique[0].columns, ["a"]);
        assert_eq!(table.indexes, []);
    }
}

story! {
    #[tokio::test]
    async fn what_one_database_cannot_alter_is_overridden_there(store: Store) {
        const FILES: &[MigrationFile] = &[
            MigrationFile::new(1, "create", "CREATE TABLE t (id BIGINT PRIMARY KEY, a VARCHAR(10), b BIGINT); INSERT INTO t (id, a, b) VALUES (1, 'kept', 2)"),
            MigrationFile {
                sqlite: Some(
                    "CREATE TABLE t_new (\"id\" INT PRIMARY KEY, \"a\" TEXT NOT NULL CHECK (length(\"a\") <= 20), \"b\" INTEGER, CONSTRAINT \"t_b\" UNIQUE (\"b\")) STRICT;
                     INSERT INTO t_new SELECT id, a, b FROM t; DROP TABLE t; ALTER TABLE t_new RENAME TO t;",
                ),
                mysql: Some("ALTER TABLE t MODIFY a VARCHAR(20) NOT NULL; ALTER TABLE t ADD CONSTRAINT t_b UNIQUE (b);"),
                ..MigrationFile::new(
                    2,
                    "widen",
                    "ALTER TABLE t ALTER COLUMN a TYPE VARCHAR(20); ALTER TABLE t ALTER COLUMN a SET NOT NULL; ALTER TABLE t ADD CONSTRAINT t_b UNIQUE (b);",
                )
            },
        ];
        let set = MigrationSet {
            name: "altered",
            files: FILES,
        };
        let plain = [
            FILES[0],
            MigrationFile {
                sqlite: None,
                mysql: None,
                ..FILES[1]
            },
        ];
        if store.dialect() != Dialect::Postgres {
            let error = store
                .db
                .migrations(&MigrationSet {
                    files: &plain,
                    ..set
                })
                .up()
                .await
                .unwrap_err();
            let message = error.to_string();
            let pieces = [
                format!("line 1, column 15: {} ", store.dialect()),
                format!("`V002__widen.{}.sql`", store.dialect()),
            ];
            assert!(
                pieces.iter().all(|piece| message.contains(piece)),
                "{message}"
            );
        }
        assert_eq!(
            store.db.migrations(&set).up().await.unwrap().versions,
            [1, 2]
        );
        let table = store.db.schema().table("t").await.unwrap().unwrap();
        let a = table.column("a").unwrap();
        assert_eq!(
            (a.kind.unwrap().to_string().as_str(), a.nullable),
            ("TEXT(20)", false)
        );
        assert_eq!(
            (
                table.unique[0].name.as_deref(),
                table.unique[0].columns.as_slice()
            ),
            (Some("t_b"), &["b".to_owned()][..])
        );
        assert_eq!(store.count("t").await, 1);
        assert_eq!(store.db.migrations(&set).verify().await.unwrap(), []);
    }
}

#[test]
fn what_some_database_would_read_differently_is_refused() {
    let scripts = [
        "CREATE TABLE t (id SERIAL PRIMARY KEY)",
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT)",
        "CREATE TABLE t (id BIGINT GENERATED BY DEFAULT AS IDENTITY)",
        "CREATE TABLE t (a STRING)",
        "CREATE TABLE t (a JSONB)",
        "CREATE TABLE t (a TIMESTAMP DEFAULT now())",
        "CREATE TABLE t (a TIMESTAMP DEFAULT '2026-01-02T03:04:05Z')",
        "CREATE TABLE t (a BOOLEAN DEFAULT 1)",
        "CREATE TABLE t (a BYTEA)",
        "CREATE TABLE t (a DOUBLE)",
        "ALTER TABLE t ADD COLUMN IF NOT EXISTS a TEXT",
        "INSERT OR REPLACE INTO t VALUES (1)",
        "INSERT INTO t VALUES (1) RETURNING id",
        "INSERT INTO t VALUES (gen_random_uuid())",
        "UPDATE t SET a = b::text",
        "UPDATE t SET a = E'x'",
        "DELETE FROM t WHERE a ILIKE 'x'",
        "CREATE INDEX i ON t USING gin (a)",
        "CREATE TRIGGER t AFTER INSERT ON t BEGIN SELECT 1; END",
    ];
    for script in scripts {
        for dialect in [Dialect::Sqlite, Dialect::Postgres, Dialect::MySql] {
            assert!(translate(dialect, script).is_err(), "{dialect}: {script}");
        }
    }
}

story! {
    #[tokio::test]
    async fn names_of_columns_have_no_case(store: Store) {
        store.create("t (id BIGINT PRIMARY KEY, name TEXT)").await;
        for expected in [1, 0] {
            let insert = "INSERT INTO t (ID, Name) VALUES (1, 'a') ON CONFLICT (Id) DO NOTHING";
            assert_eq!(store.db.execute(insert, params! {}).await.unwrap(), expected);
        }
        let upsert = "INSERT INTO t (Id, NAME) VALUES (1, 'b') ON CONFLICT (ID) DO UPDATE SET NAME = Excluded.Name";
        assert_eq!(store.db.execute(upsert, params! {}).await.unwrap(), 1);
        let change = "UPDATE t SET NAME = 'c' WHERE ID = 1 RETURNING Name AS name";
        let (name,): (String,) = store.db.fetch_one(change, params! {}).await.unwrap();
        assert_eq!(name, "c");
        let moved = "UPDATE t SET ID = 2 WHERE id = 1 RETURNING id";
        let moved = store.db.fetch_one::<(i64,)>(moved, params! {}).await;
        match store.dialect() {
            Dialect::MySql => assert!(matches!(
                moved.unwrap_err().kind(),
                ErrorKind::Unsupported { .. }
            )),
            _ => assert_eq!(moved.unwrap(), (2,)),
        }
    }
}
