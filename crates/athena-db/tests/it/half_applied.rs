//! MySQL commits every definition by itself: a migration that stops half-way goes on where it
//! stopped, once what stopped it is gone.

use athena_db::{
    Dialect, Error, ErrorKind, Executor, MigrationError, MigrationFile, MigrationSet,
    MigrationState, Repair, params,
};

use crate::backends::Store;

const CREATE: MigrationFile = MigrationFile::new(
    1,
    "create",
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, title TEXT)",
);
const SCRIPT: &str = "
    CREATE TABLE extra (id BIGINT PRIMARY KEY);
    INSERT INTO notes (title) VALUES ('once');
    CREATE TABLE taken (id BIGINT PRIMARY KEY);
    INSERT INTO notes (title) VALUES ('twice');
    CREATE INDEX extra_id ON extra (id);";
const FILES: &[MigrationFile] = &[CREATE, MigrationFile::new(2, "half", SCRIPT)];

const fn set<'a>(files: &'a [MigrationFile<'a>]) -> MigrationSet<'a> {
    MigrationSet {
        name: "notes",
        files,
    }
}

fn kind(error: &Error) -> MigrationError {
    match error.kind() {
        ErrorKind::Migration(kind) => kind.clone(),
        other => panic!("{other:?}"),
    }
}

async fn run(store: &Store, sql: &str) {
    store.db.execute(sql.to_owned(), params! {}).await.unwrap();
}

/// Makes a store in which the second migration stopped before its third statement.
async fn stopped() -> Option<Store> {
    let store = Store::on(Dialect::MySql).await?;
    store.db.migrations(&set(&[CREATE])).up().await.unwrap();
    run(&store, "CREATE TABLE taken (id BIGINT)").await;
    let error = store.db.migrations(&set(FILES)).up().await.unwrap_err();
    assert_eq!(
        kind(&error),
        MigrationError::Failed {
            set: "notes".to_owned(),
            version: 2,
            statement: 3
        }
    );
    assert!(error.to_string().contains("goes on there"), "{error}");
    Some(store)
}

#[tokio::test]
async fn it_goes_on_at_the_statement_that_failed() {
    let Some(store) = stopped().await else { return };
    let set = set(FILES);
    let migrator = store.db.migrations(&set);
    assert_eq!(
        migrator.status().await.unwrap()[1].state,
        MigrationState::HalfApplied(2)
    );
    assert_eq!(migrator.plan().await.unwrap()[0].done, 2);
    let again = migrator.up().await.unwrap_err();
    assert_eq!(
        kind(&again),
        MigrationError::Failed {
            set: "notes".to_owned(),
            version: 2,
            statement: 3
        }
    );

    run(&store, "DROP TABLE taken").await;
    assert_eq!(migrator.up().await.unwrap().versions, [2]);
    assert_eq!(store.count("notes").await, 2, "nothing was done twice");
    assert_eq!(migrator.verify().await.unwrap(), []);
    assert!(migrator.up().await.unwrap().versions.is_empty());
}

#[tokio::test]
async fn a_definition_that_a_crash_left_in_doubt_may_have_happened() {
    let Some(store) = stopped().await else { return };
    let begun = "UPDATE athena_migrations SET statements_begun = 3 WHERE version = 2";
    run(&store, begun).await;
    assert_eq!(
        store
            .db
            .migrations(&set(FILES))
            .up()
            .await
            .unwrap()
            .versions,
        [2]
    );
    assert_eq!(store.count("notes").await, 2);
}

#[tokio::test]
async fn edited_half_way_it_waits_for_a_repair() {
    let Some(store) = stopped().await else { return };
    let edited = SCRIPT.replace("TABLE taken", "TABLE free");
    let files = [CREATE, MigrationFile::new(2, "half", &edited)];
    let set = set(&files);
    let migrator = store.db.migrations(&set);
    let error = migrator.up().await.unwrap_err();
    assert_eq!(
        kind(&error),
        MigrationError::HalfApplied {
            set: "notes".to_owned(),
            version: 2,
            statement: 3
        }
    );
    assert_eq!(
        migrator.repair().await.unwrap()[0].repair,
        Repair::Resumes(3)
    );
    assert_eq!(migrator.up().await.unwrap().versions, [2]);
    assert_eq!(store.count("free").await, 0);
    assert_eq!(store.count("notes").await, 2);
}

#[tokio::test]
async fn a_baseline_finishes_what_was_finished_by_hand() {
    let Some(store) = stopped().await else { return };
    let set = set(FILES);
    let migrator = store.db.migrations(&set);
    assert_eq!(migrator.baseline(2).await.unwrap(), [2]);
    assert!(migrator.up().await.unwrap().versions.is_empty());
    let drift = migrator.verify().await.unwrap();
    assert!(
        drift
            .iter()
            .any(|difference| difference.part.as_deref() == Some("index `extra_id`")),
        "{drift:?}"
    );
}

#[tokio::test]
async fn rows_and_their_count_are_changed_together() {
    const BROKEN: &[MigrationFile] = &[
        CREATE,
        MigrationFile::new(
            2,
            "rows",
            "INSERT INTO notes (title) VALUES ('a'); INSERT INTO notes (id, title) VALUES (1, 'b')",
        ),
    ];
    let Some(store) = Store::on(Dialect::MySql).await else {
        return;
    };
    let set = set(BROKEN);
    let migrator = store.db.migrations(&set);
    for _ in 0..2 {
        let error = migrator.up().await.unwrap_err();
        assert_eq!(
            kind(&error),
            MigrationError::Failed {
                set: "notes".to_owned(),
                version: 2,
                statement: 2
            }
        );
        assert_eq!(store.count("notes").await, 1);
    }
    run(&store, "UPDATE notes SET id = 2").await;
    assert_eq!(migrator.up().await.unwrap().versions, [2]);
    assert_eq!(store.count("notes").await, 2);
}
