//! Migrations: once, in order, by one at a time, and never over a surprise.

use athena_db::{
    Applied, Database, Dialect, ErrorKind, Executor, MigrationError, MigrationFile, MigrationSet,
    MigrationState, params,
};

use crate::backends::{Store, story};

const ONE: &str = "CREATE TABLE notes (
    id INTEGER PRIMARY KEY,
    title TEXT NOT NULL,
    done BOOLEAN NOT NULL DEFAULT FALSE,
    details JSON,
    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
);";
const TWO: &str =
    "ALTER TABLE notes ADD COLUMN colour TEXT; CREATE INDEX notes_by_title ON notes (title);";
const THREE: &str =
    "INSERT INTO notes (title) VALUES ('first'); CREATE TABLE extra (id BIGINT PRIMARY KEY);";

const fn set<'a>(files: &'a [MigrationFile<'a>]) -> MigrationSet<'a> {
    MigrationSet {
        name: "notes",
        files,
    }
}

const FILES: &[MigrationFile] = &[
    MigrationFile::new(1, "create_notes", ONE),
    MigrationFile::new(2, "colour", TWO),
    MigrationFile::new(3, "extra", THREE),
];

fn applied(versions: Vec<u32>, current: u32) -> Applied {
    Applied {
        versions,
        current,
        backup: None,
    }
}

async fn kind(db: &Database, set: &MigrationSet<'_>) -> MigrationError {
    match db.migrations(set).up().await.unwrap_err().kind() {
        ErrorKind::Migration(error) => error.clone(),
        other => panic!("{other:?}"),
    }
}

story! {
    #[tokio::test]
    async fn up_applies_what_is_pending_and_only_once(store: Store) {
        let db = &store.db;
        let states = async |set: &MigrationSet| -> Vec<bool> {
            let status = db.migrations(set).status().await.unwrap();
            status.iter().map(|migration| matches!(migration.state, MigrationState::Applied(_))).collect()
        };
        let (short, long) = (set(&FILES[..1]), set(FILES));
        assert_eq!(states(&long).await, [false, false, false]);
        assert_eq!(db.migrations(&short).up().await.unwrap(), applied(vec![1], 1));
        assert_eq!(states(&long).await, [true, false, false]);
        assert_eq!(db.migrations(&long).up().await.unwrap(), applied(vec![2, 3], 3));
        assert_eq!(db.migrations(&long).up().await.unwrap(), applied(vec![], 3));
        assert_eq!(states(&long).await, [true, true, true]);
        assert_eq!(db.schema().table_names().await.unwrap(), ["extra", "notes"]);
        assert_eq!(store.count("notes").await, 1);

        let types: Vec<(String, String)> = db
            .fetch_all("SELECT column_name, logical_type FROM athena_columns WHERE table_name = 'notes' ORDER BY column_name", params! {})
            .await
            .unwrap();
        let types: Vec<String> = types.into_iter().map(|(column, logical)| format!("{column} {logical}")).collect();
        assert_eq!(types, ["colour TEXT", "created_at TIMESTAMP", "details JSON", "done BOOLEAN", "id INTEGER", "title TEXT"]);

        // A second set in the same store has versions of its own.
        const OTHER: MigrationSet = MigrationSet { name: "other", files: &[MigrationFile::new(1, "t", "CREATE TABLE other (id BIGINT PRIMARY KEY)")] };
        assert_eq!(db.migrations(&OTHER).up().await.unwrap().versions, [1]);
    }
}

story! {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn eight_starters_apply_each_migration_once(store: Store) {
        let mut starters = Vec::new();
        for _ in 0..8 {
            let builder = store.builder().max_connections(2);
            starters.push(tokio::spawn(async move {
                let db = builder.open().await.unwrap();
                let applied = db.migrations(&set(FILES)).up().await.unwrap();
                db.close().await.unwrap();
                applied.versions
            }));
        }
        let mut all = Vec::new();
        for starter in starters {
            all.extend(starter.await.unwrap());
        }
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3]);
        assert_eq!(store.count("notes").await, 1);
    }
}

story! {
    #[tokio::test]
    async fn a_store_that_does_not_fit_is_refused(store: Store) {
        const REFORMATTED: &[MigrationFile] = &[
            MigrationFile::new(1, "create_notes", ONE),
            MigrationFile::new(2, "colour", "-- a comment\r\nALTER TABLE notes\r\n  ADD COLUMN colour TEXT;\r\nCREATE INDEX notes_by_title ON notes (title);\r\n"),
            MigrationFile::new(3, "extra", THREE),
        ];
        const EDITED: &[MigrationFile] = &[
            MigrationFile::new(1, "create_notes", ONE),
            MigrationFile::new(2, "colour", "ALTER TABLE notes ADD COLUMN color TEXT;"),
            MigrationFile::new(3, "extra", THREE),
        ];
        const SKIPPING: &[MigrationFile] = &[MigrationFile::new(1, "create_notes", ONE), MigrationFile::new(3, "extra", THREE)];
        const DISORDERED: &[MigrationFile] = &[MigrationFile::new(2, "b", TWO), MigrationFile::new(2, "a", ONE)];
        let name = || "notes".to_owned();

        assert_eq!(kind(&store.db, &set(DISORDERED)).await, MigrationError::Invalid { set: name(), version: 2 });
        store.db.migrations(&set(FILES)).up().await.unwrap();
        assert_eq!(kind(&store.db, &set(&FILES[..2])).await, MigrationError::NewerStore { set: name(), found: 3, known: 2 });
        assert_eq!(kind(&store.db, &set(EDITED)).await, MigrationError::Changed { set: name(), version: 2 });
        assert_eq!(kind(&store.db, &set(SKIPPING)).await, MigrationError::Missing { set: name(), version: 2 });
        assert!(store.db.migrations(&set(REFORMATTED)).up().await.unwrap().versions.is_empty(), "comments and line ends may change");
        let status = store.db.migrations(&set(EDITED)).status().await.unwrap();
        assert!(matches!(status[1].state, MigrationState::Changed(_)));
        let status = store.db.migrations(&set(&FILES[..2])).status().await.unwrap();
        assert!(matches!(status[2].state, MigrationState::Unknown(_)));
    }
}

story! {
    #[tokio::test]
    async fn late_comers_are_refused(store: Store) {
        const GAP: &[MigrationFile] = &[
            MigrationFile::new(1, "create_notes", ONE),
            MigrationFile::new(3, "extra", THREE),
        ];
        store.db.migrations(&set(GAP)).up().await.unwrap();
        assert_eq!(
            kind(&store.db, &set(FILES)).await,
            MigrationError::OutOfOrder {
                set: "notes".to_owned(),
                version: 2
            }
        );
    }
}

story! {
    #[tokio::test]
    async fn a_failed_migration_leaves_nothing_and_names_its_statement(store: Store) {
        const BROKEN: &[MigrationFile] = &[
            MigrationFile::new(1, "create_notes", ONE),
            MigrationFile::new(2, "broken", "CREATE TABLE half (id BIGINT PRIMARY KEY); INSERT INTO notes (title) VALUES (NULL);"),
        ];
        const FOREIGN: &[MigrationFile] = &[MigrationFile::new(1, "create_notes", ONE), MigrationFile::new(2, "f", "CREATE VIEW v AS SELECT 1")];
        let error = store.db.migrations(&set(BROKEN)).up().await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Migration(MigrationError::Failed { set: "notes".to_owned(), version: 2, statement: 2 }));
        let cause = std::error::Error::source(&error).unwrap();
        assert!(matches!(cause.downcast_ref::<athena_db::Error>().unwrap().kind(), ErrorKind::NotNull { .. }));
        if store.dialect() == Dialect::MySql {
            assert_eq!(store.db.schema().table_names().await.unwrap(), ["half", "notes"], "which commits definitions");
            return;
        }
        assert_eq!(store.db.schema().table_names().await.unwrap(), ["notes"]);
        assert_eq!(kind(&store.db, &set(FOREIGN)).await, MigrationError::Invalid { set: "notes".to_owned(), version: 2 });
        assert_eq!(store.db.migrations(&set(FILES)).up().await.unwrap().versions, [2, 3]);
    }
}

story! {
    #[tokio::test]
    async fn the_text_for_one_dialect_runs_as_it_is(store: Store) {
        const FILE: MigrationFile = MigrationFile {
            sqlite: Some(
                "CREATE TABLE log (id INTEGER PRIMARY KEY, line TEXT) STRICT;
                 CREATE TRIGGER log_upper AFTER INSERT ON log BEGIN UPDATE log SET line = upper(line) || ':x;' WHERE id = new.id; END;
                 INSERT INTO log (line) VALUES ('a');",
            ),
            postgres: Some(
                "CREATE TABLE log (id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, line TEXT);
                 CREATE FUNCTION log_upper() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.line := upper(new.line) || ':x;'; RETURN new; END $$;
                 CREATE TRIGGER log_upper BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION log_upper();
                 INSERT INTO log (line) VALUES ('a');",
            ),
            mysql: Some(
                "CREATE TABLE log (id BIGINT AUTO_INCREMENT PRIMARY KEY, line LONGTEXT);
                 CREATE TRIGGER log_upper BEFORE INSERT ON log FOR EACH ROW BEGIN SET new.line = CONCAT(UPPER(new.line), ':x;'); END;
                 INSERT INTO log (line) VALUES ('a');",
            ),
            ..MigrationFile::new(1, "log", "CREATE TABLE log (id INTEGER PRIMARY KEY, line TEXT)")
        };
        const SET: MigrationSet = MigrationSet { name: "log", files: &[FILE] };
        store.db.migrations(&SET).up().await.unwrap();
        let (line,): (String,) = store.db.fetch_one("SELECT line FROM log", params! {}).await.unwrap();
        assert_eq!(line, "A:x;");
    }
}

#[tokio::test]
async fn sqlite_makes_a_table_anew_under_the_rows_that_refer_to_it() {
    const CREATE: MigrationFile = MigrationFile::new(
        1,
        "create",
        "CREATE TABLE parents (id INTEGER PRIMARY KEY, name TEXT);
         CREATE TABLE children (id INTEGER PRIMARY KEY, parent BIGINT REFERENCES parents (id) ON DELETE CASCADE);
         INSERT INTO parents (name) VALUES ('a'), ('b');
         INSERT INTO children (parent) VALUES (1), (2);",
    );
    const REBUILD: &str = "CREATE TABLE parents_new (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL) STRICT;
         INSERT INTO parents_new SELECT id, name FROM parents WHERE id < :limit;
         DROP TABLE parents;
         ALTER TABLE parents_new RENAME TO parents;";
    fn change(sqlite: &str) -> MigrationFile<'_> {
        MigrationFile {
            sqlite: Some(sqlite),
            ..MigrationFile::new(
                2,
                "not_null",
                "ALTER TABLE parents ALTER COLUMN name SET NOT NULL",
            )
        }
    }
    let store = Store::sqlite().await;
    let losing = REBUILD.replace(":limit", "2");
    let error = store
        .db
        .migrations(&set(&[CREATE, change(&losing)]))
        .up()
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("rows of `children` refer to rows of `parents`"),
        "{error}"
    );
    assert_eq!(
        (store.count("parents").await, store.count("children").await),
        (2, 2),
        "undone"
    );

    let whole = REBUILD.replace(":limit", "3");
    let files = [CREATE, change(&whole)];
    store.db.migrations(&set(&files)).up().await.unwrap();
    assert_eq!(
        (store.count("parents").await, store.count("children").await),
        (2, 2)
    );
    let orphan = store
        .db
        .execute("INSERT INTO children (parent) VALUES (3)", params! {})
        .await;
    assert_eq!(
        *orphan.unwrap_err().kind(),
        ErrorKind::ForeignKey,
        "enforced again"
    );
    assert_eq!(
        store.db.migrations(&set(&files)).verify().await.unwrap(),
        []
    );
}
