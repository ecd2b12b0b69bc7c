//! What the ledger of migrations says, and how it is corrected.

use athena_db::{
    Adopted, ErrorKind, Executor, MigrationError, MigrationFile, MigrationFolder, MigrationSet,
    MigrationState, Repair, Scalar, params,
};

use sha2::{Digest as _, Sha256};

use crate::backends::{Store, story};

const ONE: &str = "CREATE TABLE notes (id INTEGER PRIMARY KEY, title VARCHAR(40) NOT NULL)";
const TWO: &str = "ALTER TABLE notes ADD COLUMN done BOOLEAN NOT NULL DEFAULT FALSE";
const THREE: &str = "CREATE INDEX notes_by_title ON notes (title)";

const FILES: &[MigrationFile] = &[
    MigrationFile::new(1, "create", ONE),
    MigrationFile::new(2, "done", TWO),
    MigrationFile::new(3, "index", THREE),
];

const fn notes<'a>(files: &'a [MigrationFile<'a>]) -> MigrationSet<'a> {
    MigrationSet {
        name: "notes",
        files,
    }
}

fn kind(error: &athena_db::Error) -> MigrationError {
    match error.kind() {
        ErrorKind::Migration(kind) => kind.clone(),
        other => panic!("{other:?}"),
    }
}

story! {
    #[tokio::test]
    async fn a_plan_shows_the_translation_and_touches_nothing(store: Store) {
        let set = notes(FILES);
        let plan = store.db.migrations(&set).plan().await.unwrap();
        assert_eq!(
            plan.iter()
                .map(|planned| planned.version)
                .collect::<Vec<_>>(),
            [1, 2, 3]
        );
        assert_eq!(plan[1].file, "V002__done.sql");
        assert_eq!(
            plan[0].statements,
            FILES[0].statements(store.dialect()).unwrap()
        );
        assert!(
            !store
                .db
                .schema()
                .table_exists("athena_migrations")
                .await
                .unwrap()
        );

        store.db.migrations(&notes(&FILES[..2])).up().await.unwrap();
        let plan = store.db.migrations(&set).plan().await.unwrap();
        assert_eq!(plan.len(), 1);
        assert_eq!(
            (plan[0].version, plan[0].name.as_str(), plan[0].done),
            (3, "index", 0)
        );
    }
}

story! {
    #[tokio::test]
    async fn nothing_is_applied_before_everything_is_translated(store: Store) {
        let files = [
            FILES[0],
            MigrationFile::new(2, "type", "CREATE TABLE t (\n  a BIGINT,\n  b MONEY)"),
        ];
        let error = store.db.migrations(&notes(&files)).up().await.unwrap_err();
        assert_eq!(
            kind(&error),
            MigrationError::Invalid {
                set: "notes".to_owned(),
                version: 2
            }
        );
        let message = error.to_string();
        assert!(message.contains("line 3, column 5"), "{message}");
        let way_out = format!("V002__type.{}.sql", store.dialect());
        assert!(message.contains(&way_out), "{message}");
        assert!(store.db.schema().table_names().await.unwrap().is_empty());
    }
}

story! {
    #[tokio::test]
    async fn gaps_are_filled_when_they_are_allowed(store: Store) {
        let db = &store.db;
        let gap = [FILES[0], FILES[2]];
        let set = notes(FILES);
        db.migrations(&notes(&gap)).up().await.unwrap();
        let error = db.migrations(&set).up().await.unwrap_err();
        assert_eq!(
            kind(&error),
            MigrationError::OutOfOrder {
                set: "notes".to_owned(),
                version: 2
            }
        );
        let applied = db.migrations(&set).allow_gaps().up().await.unwrap();
        assert_eq!((applied.versions, applied.current), (vec![2], 3));
        assert!(db.migrations(&set).verify().await.unwrap().is_empty());
    }
}

story! {
    #[tokio::test]
    async fn repair_accepts_an_edited_text_and_says_so(store: Store) {
        let db = &store.db;
        db.migrations(&notes(FILES)).up().await.unwrap();
        let edited = [
            FILES[0],
            FILES[1],
            MigrationFile::new(
                3,
                "renamed",
                "CREATE INDEX notes_by_title ON notes (title, done)",
            ),
        ];
        let set = notes(&edited);
        let error = db.migrations(&set).up().await.unwrap_err();
        assert_eq!(
            kind(&error),
            MigrationError::Changed {
                set: "notes".to_owned(),
                version: 3
            }
        );
        let repaired = db.migrations(&set).repair().await.unwrap();
        assert_eq!(repaired.len(), 1);
        assert_eq!(
            (
                repaired[0].version,
                repaired[0].name.as_str(),
                repaired[0].repair
            ),
            (3, "renamed", Repair::Accepted)
        );
        assert!(db.migrations(&set).up().await.unwrap().versions.is_empty());
        assert!(
            db.migrations(&set).repair().await.unwrap().is_empty(),
            "nothing is left"
        );
        let drift = db.migrations(&set).verify().await.unwrap();
        assert_eq!(
            drift.len(),
            1,
            "and the store is seen to be as it was: {drift:?}"
        );
    }
}

story! {
    #[tokio::test]
    async fn repair_finds_a_migration_with_a_new_number_and_no_lost_one(store: Store) {
        let db = &store.db;
        db.migrations(&notes(FILES)).up().await.unwrap();
        let renumbered = [FILES[0], FILES[1], MigrationFile::new(4, "index", THREE)];
        let set = notes(&renumbered);
        let error = db.migrations(&set).up().await.unwrap_err();
        assert_eq!(
            kind(&error),
            MigrationError::Missing {
                set: "notes".to_owned(),
                version: 3
            }
        );
        let repaired = db.migrations(&set).repair().await.unwrap();
        assert_eq!(
            (repaired[0].version, repaired[0].repair),
            (4, Repair::Renumbered(3))
        );
        assert!(db.migrations(&set).up().await.unwrap().versions.is_empty());

        let deleted = [FILES[0], MigrationFile::new(4, "index", THREE)];
        let set = notes(&deleted);
        assert!(db.migrations(&set).repair().await.unwrap().is_empty());
        let error = db.migrations(&set).up().await.unwrap_err();
        assert_eq!(
            kind(&error),
            MigrationError::Missing {
                set: "notes".to_owned(),
                version: 2
            }
        );
    }
}

story! {
    #[tokio::test]
    async fn a_baseline_marks_without_running(store: Store) {
        let db = &store.db;
        let set = notes(FILES);
        for statement in [ONE, TWO].map(|script| {
            athena_db::translate(store.dialect(), script)
                .unwrap()
                .remove(0)
        }) {
            db.execute(statement, params! {}).await.unwrap();
        }
        let error = db.migrations(&set).baseline(9).await.unwrap_err();
        assert_eq!(
            kind(&error),
            MigrationError::Unknown {
                set: "notes".to_owned(),
                version: 9
            }
        );
        assert_eq!(db.migrations(&set).baseline(2).await.unwrap(), [1, 2]);
        assert!(db.migrations(&set).baseline(2).await.unwrap().is_empty());
        assert_eq!(db.migrations(&set).up().await.unwrap().versions, [3]);
        assert!(
            db.migrations(&set).verify().await.unwrap().is_empty(),
            "the logical types are known too"
        );
        let table = db.schema().table("notes").await.unwrap().unwrap();
        assert_eq!(
            table.column("done").unwrap().kind,
            Some(athena_db::LogicalType::Boolean)
        );
    }
}

story! {
    #[tokio::test]
    async fn the_ledger_of_ia_migrations_is_taken_over(store: Store) {
        let db = &store.db;
        let set = notes(FILES);
        assert!(db.migrations(&set).baseline_from_ia_migrations("app").await.unwrap().is_empty());

        let table = "CREATE TABLE ia_migrations (id BIGINT PRIMARY KEY, version VARCHAR(255) NOT NULL, migration_type VARCHAR(50) NOT NULL, applied_at VARCHAR(40), checksum VARCHAR(64))";
        let table = athena_db::translate(store.dialect(), table).unwrap().remove(0);
        db.execute(table, params! {}).await.unwrap();
        let insert = "INSERT INTO ia_migrations (id, version, migration_type, applied_at, checksum) VALUES (:id, :version, :kind, :at, :checksum)";
        let sum: String = Sha256::digest(ONE).iter().map(|byte| format!("{byte:02x}")).collect();
        for (id, version, kind, at) in [(1, "V001", "app", "2025-11-24 10:11:12.5"), (2, "002", "app", "2025-11-24T10:11:13Z"), (3, "7", "system", "")] {
            db.execute(insert, params! { id: id, version: version, kind: kind, at: at, checksum: sum.as_str() }).await.unwrap();
        }
        let adopted = db.migrations(&set).baseline_from_ia_migrations("app").await.unwrap();
        let expected = |version, name: &str, same_text| Adopted { version, name: name.to_owned(), same_text };
        assert_eq!(adopted, [expected(1, "create", true), expected(2, "done", false)]);
        let status = db.migrations(&set).status().await.unwrap();
        let MigrationState::Applied(at) = status[0].state else { panic!("{status:?}") };
        assert_eq!(at.to_string(), "2025-11-24T10:11:12.5Z");
        assert_eq!(status[2].state, MigrationState::Pending);

        let error = db.migrations(&set).baseline_from_ia_migrations("system").await.unwrap_err();
        assert_eq!(kind(&error), MigrationError::Unknown { set: "notes".to_owned(), version: 7 });
        assert_eq!(store.count("ia_migrations").await, 3, "the other ledger is left alone");
    }
}

story! {
    #[tokio::test]
    async fn a_folder_is_a_set(store: Store) {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("V9__create.sql", ONE);
        write(
            "V010__rows.sql",
            "INSERT INTO notes (title) VALUES ('portable')",
        );
        write(
            "V010__rows.postgres.sql",
            "INSERT INTO notes (title) VALUES ('postgres')",
        );
        write(
            "V010__rows.mysql.sql",
            "INSERT INTO notes (title) VALUES ('mysql');",
        );
        write("README.md", "not a migration");
        let read = MigrationFolder::read(folder.path()).unwrap();
        let files = read.files();
        assert_eq!(
            files.iter().map(|file| file.version).collect::<Vec<_>>(),
            [9, 10],
            "by number"
        );
        store.db.migrations(&notes(&files)).up().await.unwrap();
        let Scalar(title): Scalar<String> = store
            .db
            .fetch_one("SELECT title FROM notes", params! {})
            .await
            .unwrap();
        let expected = match store.dialect() {
            athena_db::Dialect::Sqlite => "portable".to_owned(),
            dialect => dialect.to_string(),
        };
        assert_eq!(title, expected);
    }
}

#[test]
fn wrong_file_names_are_refused() {
    let refused = |names: &[&str], piece: &str| {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let error = MigrationFolder::read(folder.path()).unwrap_err();
        assert!(error.to_string().contains(piece), "{names:?}: {error}");
    };
    refused(
        &["V1__a.sql", "V001__b.sql"],
        "version 1 belongs to both `b` and `a`",
    );
    refused(&["V1__a.sql", "V01__a.sql"], "version 1 has two files");
    for name in [
        "1__a.sql",
        "V__a.sql",
        "V1_a.sql",
        "V1__.sql",
        "V1__A.sql",
        "V0__a.sql",
        "V+1__a.sql",
        "V1__a.oracle.sql",
        "V1__a.down.sql",
        "V99999999999__a.sql",
    ] {
        refused(&[name], "no name of a migration");
    }
    let missing = MigrationFolder::read("/nowhere/at/all").unwrap_err();
    assert!(missing.to_string().contains("/nowhere/at/all"), "{missing}");
}

#[test]
fn a_set_is_checked_for_all_databases_without_one() {
    let files = [
        MigrationFile::new(1, "fine", ONE),
        MigrationFile::new(2, "key", "CREATE TABLE t (\n  a TEXT UNIQUE)"),
        MigrationFile {
            mysql: Some("CREATE TABLE u (a LONGTEXT, UNIQUE (a(100)))"),
            ..MigrationFile::new(3, "other", "CREATE TABLE u (a TEXT UNIQUE)")
        },
        MigrationFile {
            sqlite: Some("SELECT 1"),
            ..MigrationFile::new(4, "partly", "")
        },
    ];
    let problems: Vec<String> = notes(&files)
        .check()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(
        problems[0].starts_with("V002__key.sql, line 2, column 3, on mysql: "),
        "{problems:?}"
    );
    assert!(
        problems[0].contains("`V002__key.mysql.sql`"),
        "{problems:?}"
    );
    assert!(
        problems[1].contains("neither a portable text nor one for postgres"),
        "{problems:?}"
    );
}
