//! Whether a store still looks as its migrations made it.

use athena_db::{Dialect, Executor, MigrationFile, MigrationSet, params};

use crate::backends::{Store, story};

const SCRIPT: &str = "
    CREATE TABLE owners (id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL UNIQUE);
    CREATE TABLE parts (
        id BIGINT PRIMARY KEY,
        owner INTEGER NOT NULL REFERENCES owners (id) ON DELETE CASCADE,
        code VARCHAR(40) DEFAULT 'x',
        flag BOOLEAN NOT NULL DEFAULT TRUE,
        price DECIMAL(10, 2) DEFAULT 1.50,
        extra JSON,
        uid UUID,
        day DATE DEFAULT CURRENT_DATE,
        at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
        live_key INTEGER GENERATED ALWAYS AS (CASE WHEN code IS NULL THEN 1 END) STORED,
        UNIQUE (owner, code),
        CHECK (id > 0)
    );
    CREATE INDEX parts_at ON parts (at DESC, code);
    INSERT INTO owners (name) VALUES ('a');";

const FILES: &[MigrationFile] = &[
    MigrationFile::new(1, "all", SCRIPT),
    MigrationFile::new(2, "more", "ALTER TABLE parts ADD COLUMN more TEXT"),
];

const SET: MigrationSet = MigrationSet {
    name: "drift",
    files: FILES,
};

story! {
    #[tokio::test]
    async fn a_migrated_store_has_not_drifted(store: Store) {
        assert!(
            store.db.migrations(&SET).verify().await.unwrap().is_empty(),
            "nothing applied, nothing expected"
        );
        let first = MigrationSet {
            files: &FILES[..1],
            ..SET
        };
        store.db.migrations(&first).up().await.unwrap();
        assert_eq!(
            store.db.migrations(&SET).verify().await.unwrap(),
            [],
            "what is pending is not missed"
        );
        store.db.migrations(&SET).up().await.unwrap();
        store
            .db
            .execute(
                "CREATE TABLE foreign_to_it (a BIGINT)".replace("BIGINT", "INT"),
                params! {},
            )
            .await
            .unwrap();
        assert_eq!(store.db.migrations(&SET).verify().await.unwrap(), []);
    }
}

story! {
    #[tokio::test]
    async fn every_change_by_hand_is_reported(store: Store) {
        store.db.migrations(&SET).up().await.unwrap();
        let at_parts = if store.dialect() == Dialect::MySql {
            " ON parts"
        } else {
            ""
        };
        let changes = [
            format!("DROP INDEX parts_at{at_parts}"),
            "CREATE INDEX own ON parts (code)".to_owned(),
            "ALTER TABLE parts ADD COLUMN mine BIGINT".replace("BIGINT", "INT"),
            "ALTER TABLE parts DROP COLUMN more".to_owned(),
            "ALTER TABLE parts RENAME COLUMN uid TO uuid".to_owned(),
            "CREATE UNIQUE INDEX once ON parts (price)".to_owned(),
        ];
        for change in changes {
            store.db.execute(change, params! {}).await.unwrap();
        }
        let mut drift: Vec<String> = store
            .db
            .migrations(&SET)
            .verify()
            .await
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        drift.sort();
        assert_eq!(
            drift,
            [
                "table `parts`: column `mine` is there and no migration made it",
                "table `parts`: column `more` is missing",
                "table `parts`: column `uid` is missing",
                "table `parts`: column `uuid` is there and no migration made it",
                "table `parts`: index `own` is there and no migration made it",
                "table `parts`: index `parts_at` is missing",
                "table `parts`: unique (price) is there and no migration made it",
            ]
        );
        store
            .db
            .execute("DROP TABLE parts", params! {})
            .await
            .unwrap();
        let drift = store.db.migrations(&SET).verify().await.unwrap();
        assert_eq!(
            drift.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["table `parts` is missing"]
        );
    }
}

story! {
    #[tokio::test]
    async fn a_changed_type_or_default_is_reported_with_both_sides(store: Store) {
        let changes: &[&str] = match store.dialect() {
            // SQLite changes neither; the table is made anew.
            Dialect::Sqlite => &[
                "DROP TABLE parts",
                "CREATE TABLE parts (id INT PRIMARY KEY, owner INTEGER NOT NULL REFERENCES owners (id), code TEXT DEFAULT 'y' CHECK (length(code) <= 40), UNIQUE (owner, code), CHECK (id > 0)) STRICT",
            ],
            Dialect::Postgres => &[
                "DROP TABLE parts",
                "CREATE TABLE parts (id BIGINT PRIMARY KEY, owner BIGINT NOT NULL REFERENCES owners (id), code VARCHAR(30) DEFAULT 'y', UNIQUE (owner, code), CHECK (id > 0))",
            ],
            Dialect::MySql => &[
                "DROP TABLE parts",
                "CREATE TABLE parts (id BIGINT PRIMARY KEY, owner BIGINT NOT NULL, code VARCHAR(30) DEFAULT 'y', UNIQUE (owner, code), CHECK (id > 0), FOREIGN KEY (owner) REFERENCES owners (id))",
            ],
        };
        store.db.migrations(&SET).up().await.unwrap();
        for &change in changes {
            store.db.execute(change, params! {}).await.unwrap();
        }
        let drift = store.db.migrations(&SET).verify().await.unwrap();
        let about = |part: &str| drift.iter().find(|difference| difference.part.as_deref() == Some(part)).map(ToString::to_string);
        let limit = if store.dialect() == Dialect::Sqlite { 40 } else { 30 };
        assert_eq!(
            about("column `code`").unwrap(),
            format!("table `parts`: column `code` should be TEXT(40) DEFAULT 'x' and is TEXT({limit}) DEFAULT 'y'")
        );
        assert_eq!(
            about("foreign key (owner)").unwrap(),
            "table `parts`: foreign key (owner) should be to `owners` (id), on delete cascade and is to `owners` (id), on delete refuse"
        );
        assert_eq!(about("column `owner`"), None);
        assert_eq!(about("the primary key"), None);
        assert_eq!(about("the checks"), None);
    }
}

story! {
    #[tokio::test]
    async fn what_an_override_adds_is_no_drift_and_what_it_lacks_is(store: Store) {
        const OVERRIDDEN: MigrationSet = MigrationSet {
            name: "overridden",
            files: &[MigrationFile {
                sqlite: Some(
                    "CREATE TABLE t (id INT PRIMARY KEY, a TEXT, own TEXT AS (a) STORED) STRICT",
                ),
                postgres: Some(
                    "CREATE TABLE t (id BIGINT PRIMARY KEY, a TEXT, own TSVECTOR); CREATE INDEX t_own ON t USING gin (own)",
                ),
                mysql: Some(
                    "CREATE TABLE t (id BIGINT PRIMARY KEY, a LONGTEXT, FULLTEXT KEY t_own (a)); CREATE TABLE u (id BIGINT)",
                ),
                ..MigrationFile::new(1, "t", "CREATE TABLE t (id BIGINT PRIMARY KEY, a TEXT)")
            }],
        };
        store.db.migrations(&OVERRIDDEN).up().await.unwrap();
        assert_eq!(store.db.migrations(&OVERRIDDEN).verify().await.unwrap(), []);
        let table = store.db.schema().table("t").await.unwrap().unwrap();
        let methods: Vec<_> = table
            .indexes
            .iter()
            .filter_map(|index| index.method.as_deref())
            .collect();
        match store.dialect() {
            Dialect::Sqlite => assert!(methods.is_empty()),
            Dialect::Postgres => assert_eq!(methods, ["gin"]),
            Dialect::MySql => assert_eq!(methods, ["fulltext"]),
        }
        let drop = if store.dialect() == Dialect::Sqlite {
            "ALTER TABLE t DROP COLUMN own"
        } else {
            "ALTER TABLE t DROP COLUMN a"
        };
        store.db.execute(drop, params! {}).await.unwrap();
        assert_eq!(
            store
                .db
                .migrations(&OVERRIDDEN)
                .verify()
                .await
                .unwrap()
                .len(),
            1
        );
    }
}
