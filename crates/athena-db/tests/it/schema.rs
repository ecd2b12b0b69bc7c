//! One portable migration, one description of its tables, on every backend.

use athena_db::schema::{Generated, IndexKey, Table};
use athena_db::{Executor, MigrationFile, MigrationSet, Schema, TxOptions, params};

use crate::backends::{Store, story};

const EVERYTHING: &str = "
    CREATE TABLE owners (id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL UNIQUE);
    CREATE TABLE parts (
        id BIGINT PRIMARY KEY,
        owner INTEGER NOT NULL REFERENCES owners (id) ON DELETE CASCADE,
        code VARCHAR(40) DEFAULT 'it''s' CONSTRAINT parts_code UNIQUE CHECK (code <> ''),
        flag BOOLEAN NOT NULL DEFAULT TRUE,
        count SMALLINT NOT NULL DEFAULT -5,
        ratio REAL DEFAULT 1.50,
        price DECIMAL(10, 2) DEFAULT 1.5,
        body TEXT NOT NULL DEFAULT 'a -- b',
        extra JSON DEFAULT '{}',
        bytes BLOB DEFAULT X'00FF',
        uid UUID,
        day DATE DEFAULT CURRENT_DATE,
        since DATE DEFAULT '2020-01-02',
        at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
        sum BIGINT DEFAULT (1 + 1),
        nothing BIGINT DEFAULT NULL,
        live_key INTEGER GENERATED ALWAYS AS (CASE WHEN since IS NULL THEN 1 END) STORED,
        parent BIGINT,
        CONSTRAINT parts_name UNIQUE (owner, code, live_key),
        CONSTRAINT parts_parent FOREIGN KEY (parent) REFERENCES parts (id) ON DELETE SET NULL
    );
    CREATE TABLE pairs (b BIGINT, a VARCHAR(10), c BIGINT, d BIGINT, PRIMARY KEY (a, b),
                        FOREIGN KEY (d) REFERENCES parts (id));
    CREATE INDEX parts_by_day ON parts (day DESC, at);
    CREATE UNIQUE INDEX pairs_c ON pairs (c);
    ALTER TABLE pairs ADD COLUMN added BOOLEAN NOT NULL DEFAULT FALSE;
    ALTER TABLE pairs RENAME COLUMN c TO third;";

const SET: MigrationSet = MigrationSet {
    name: "everything",
    files: &[MigrationFile::new(1, "everything", EVERYTHING)],
};

const DESCRIBED: &str = r#"owners
  id INTEGER not null key 1 numbered
  name TEXT(40) not null
  unique name
  checks 0
pairs
  b BIGINT not null key 2
  a TEXT(10) not null key 1
  third BIGINT
  d BIGINT
  added BOOLEAN not null Literal("FALSE")
  unique third
  d -> parts (id) Refuse
  checks 0
parts
  id BIGINT not null key 1
  owner INTEGER not null
  code TEXT(40) Literal("'it''s'")
  flag BOOLEAN not null Literal("TRUE")
  count INTEGER not null Literal("-5")
  ratio REAL Literal("1.5")
  price DECIMAL(10,2) Literal("1.5")
  body TEXT not null Literal("'a -- b'")
  extra JSON Literal("'{}'")
  bytes BLOB Literal("X'00ff'")
  uid UUID
  day DATE CurrentDate
  since DATE Literal("'2020-01-02'")
  at TIMESTAMP not null CurrentTimestamp
  sum BIGINT Expression
  nothing BIGINT
  live_key INTEGER computed
  parent BIGINT
  unique code
  unique owner, code, live_key
  owner -> owners (id) Cascade
  parent -> parts (id) SetNull
  checks 1
  index parts_by_day [Column { name: "day", descending: true }, Column { name: "at", descending: false }]
"#;

/// Writes down what all backends have in common.
fn describe(tables: &[Table]) -> String {
    let mut text = String::new();
    for table in tables {
        text.push_str(&format!("{}\n", table.name));
        for column in &table.columns {
            let mut parts = vec![format!("  {}", column.name)];
            parts.extend(column.kind.map(|kind| kind.to_string()));
            parts.extend((!column.nullable).then(|| "not null".to_owned()));
            parts.extend(column.primary_key.map(|place| format!("key {place}")));
            parts.extend(column.default.as_ref().map(|default| match default {
                athena_db::schema::DefaultValue::Expression(_) => "Expression".to_owned(),
                default => format!("{default:?}"),
            }));
            parts.extend(column.generated.as_ref().map(|generated| match generated {
                Generated::Identity => "numbered".to_owned(),
                Generated::Expression(_) => "computed".to_owned(),
            }));
            text.push_str(&(parts.join(" ") + "\n"));
        }
        for key in &table.unique {
            text.push_str(&format!("  unique {}\n", key.columns.join(", ")));
        }
        for key in &table.foreign_keys {
            text.push_str(&format!(
                "  {} -> {} ({}) {:?}\n",
                key.columns.join(", "),
                key.table,
                key.references.join(", "),
                key.on_delete
            ));
        }
        text.push_str(&format!("  checks {}\n", table.checks.len()));
        for index in &table.indexes {
            text.push_str(&format!("  index {} {:?}\n", index.name, index.keys));
        }
    }
    text
}

story! {
    #[tokio::test]
    async fn a_migration_is_described_alike_everywhere(store: Store) {
        store.db.migrations(&SET).up().await.unwrap();
        let tables = store.db.schema().tables().await.unwrap();
        assert_eq!(describe(&tables), DESCRIBED);
        let parts = store.db.schema().table("parts").await.unwrap().unwrap();
        assert_eq!(parts.primary_key(), ["id"]);
        let names: Vec<_> = parts.unique.iter().map(|key| key.name.as_deref()).collect();
        assert_eq!(names, [Some("parts_code"), Some("parts_name")]);
        assert!(
            parts
                .foreign_keys
                .iter()
                .any(|key| key.name.as_deref() == Some("parts_parent"))
        );
        assert!(parts.column("sum").unwrap().default.is_some());
        assert_eq!(parts.column("none"), None);
        let json = serde_json::to_value(&parts).unwrap();
        assert_eq!(json["columns"][0]["kind"], "BIGINT");
        assert_eq!(json["columns"][3]["default"]["literal"], "TRUE");
    }
}

story! {
    #[tokio::test]
    async fn tables_exist_here_and_views_are_none(store: Store) {
        store.db.migrations(&SET).up().await.unwrap();
        store
            .db
            .execute("CREATE VIEW seen AS SELECT id FROM owners", params! {})
            .await
            .unwrap();
        let schema = store.db.schema();
        for (name, expected) in [
            ("owners", true),
            ("athena_migrations", true),
            ("seen", false),
            ("Owners", false),
            ("pg_class", false),
            ("sqlite_schema", false),
            ("tables", false),
            ("", false),
        ] {
            assert_eq!(schema.table_exists(name).await.unwrap(), expected, "{name}");
        }
        assert_eq!(
            schema.table_names().await.unwrap(),
            ["owners", "pairs", "parts"]
        );
        assert_eq!(schema.tables().await.unwrap().len(), 3);

        let tx = store.db.begin(TxOptions::read_only()).await.unwrap();
        assert_eq!(Schema::of(&tx).table_names().await.unwrap().len(), 3);
        tx.rollback().await.unwrap();
    }
}

story! {
    #[tokio::test]
    async fn partial_and_expression_indexes_are_described(store: Store) {
        const PARTIAL: MigrationSet = MigrationSet {
            name: "partial",
            files: &[MigrationFile {
                mysql: Some("CREATE TABLE t (id BIGINT PRIMARY KEY, a VARCHAR(10), b BIGINT)"),
                ..MigrationFile::new(
                    1,
                    "partial",
                    "CREATE TABLE t (id BIGINT PRIMARY KEY, a VARCHAR(10), b BIGINT);
                     CREATE UNIQUE INDEX t_partial ON t (a) WHERE b IS NULL;
                     CREATE INDEX t_lower ON t ((lower(a)) DESC, b);",
                )
            }],
        };
        store.db.migrations(&PARTIAL).up().await.unwrap();
        let table = store.db.schema().table("t").await.unwrap().unwrap();
        assert!(table.unique.is_empty());
        if store.dialect() == athena_db::Dialect::MySql {
            assert!(table.indexes.is_empty());
            return;
        }
        let [lower, partial] = &table.indexes[..] else { panic!("{:?}", table.indexes) };
        assert!(partial.unique && partial.condition.as_ref().unwrap().contains("b IS NULL"), "{partial:?}");
        assert!(!lower.unique && lower.condition.is_none() && lower.method.is_none());
        assert!(matches!(&lower.keys[0], IndexKey::Expression { text, descending: true } if text.starts_with("lower(a")), "{lower:?}");
        assert_eq!(lower.keys[1], IndexKey::Column { name: "b".to_owned(), descending: false });
    }
}

story! {
    #[tokio::test]
    async fn numbers_continue_behind_rows_that_came_with_theirs(store: Store) {
        store.db.migrations(&SET).up().await.unwrap();
        let schema = store.db.schema();
        let last = async || schema.identity("owners").await.unwrap().unwrap().last;
        let insert = async |name: &'static str| -> i64 {
            store
                .db
                .execute(
                    "INSERT INTO owners (name) VALUES (:name)",
                    params! { name: name },
                )
                .await
                .unwrap();
            store
                .db
                .fetch_one::<athena_db::Scalar<i64>>(
                    "SELECT id FROM owners WHERE name = :name",
                    params! { name: name },
                )
                .await
                .unwrap()
                .0
        };
        assert_eq!(last().await, 0);
        assert!(schema.advance_identity("owners", 0).await.unwrap());
        assert_eq!(insert("a").await, 1);
        store
            .db
            .execute("INSERT INTO owners (id, name) VALUES (41, 'b')", params! {})
            .await
            .unwrap();
        assert!(schema.advance_identity("owners", 0).await.unwrap());
        assert_eq!((last().await, insert("c").await), (41, 42));
        assert!(schema.advance_identity("owners", 100).await.unwrap());
        assert!(
            schema.advance_identity("owners", 50).await.unwrap(),
            "never back"
        );
        assert_eq!(insert("d").await, 101);
        assert!(!schema.advance_identity("pairs", 5).await.unwrap());
        assert_eq!(schema.identity("absent").await.unwrap(), None);
    }
}
