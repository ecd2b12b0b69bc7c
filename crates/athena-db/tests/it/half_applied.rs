//! MySQL commits every definition by itself: a migration that stops half-way goes on where it
//! stopped, once what stopped it is gone.

use std::time::Duration;

use athena_db::{
    Database, Dialect, Error, ErrorKind, Executor, MigrationError, MigrationFile, MigrationSet,
    MigrationState, Repair, Scalar, TxOptions, params,
};
use athena_testserver::MariaDb;

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

#[tokio::test]
async fn what_an_override_sets_goes_with_its_session() {
    const SETS: &str =
        "SET @athena = 'left'; SET SESSION sql_mode = ''; CREATE TABLE a (id BIGINT)";
    const LOOKS: &str =
        "CREATE TABLE b (mark TEXT, mode TEXT); INSERT INTO b VALUES (@athena, @@sql_mode)";
    let file = |version, name, text, sql| MigrationFile {
        mysql: Some(text),
        ..MigrationFile::new(version, name, sql)
    };
    let sets = file(1, "sets", SETS, "CREATE TABLE a (id BIGINT)");
    let looks = file(2, "looks", LOOKS, "CREATE TABLE b (mark TEXT, mode TEXT)");
    let fails = file(
        3,
        "fails",
        "SET @athena = 'left'; nonsense",
        "CREATE TABLE c (id BIGINT)",
    );
    let Some(store) = Store::on(Dialect::MySql).await else {
        return;
    };
    let db = store.builder().max_connections(1).open().await.unwrap();
    let files = [sets, looks];
    assert_eq!(
        db.migrations(&set(&files)).up().await.unwrap().versions,
        [1, 2]
    );
    let seen = "SELECT mark, mode LIKE '%ANSI_QUOTES%' FROM b";
    let (mark, ours): (Option<String>, i64) = db.fetch_one(seen, params! {}).await.unwrap();
    assert_eq!((mark, ours), (None, 1), "of the migration before");
    let files = [sets, looks, fails];
    db.migrations(&set(&files)).up().await.unwrap_err();
    let left =
        "SELECT @athena, @@sql_mode LIKE '%ANSI_QUOTES%', CAST(@@max_statement_time AS SIGNED)";
    let left: (Option<String>, i64, i64) = db.fetch_one(left, params! {}).await.unwrap();
    assert_eq!(left, (None, 1, 60));
    db.close().await.unwrap();
    store.finish().await;
}

#[tokio::test]
async fn a_plan_shows_what_the_server_gets() {
    const UPSERT: &str = "INSERT INTO notes (id, title) VALUES (1, 'a') \
        ON CONFLICT (id) DO UPDATE SET title = excluded.title";
    let Some(store) = Store::on(Dialect::MySql).await else {
        return;
    };
    let files = [CREATE, MigrationFile::new(2, "upsert", UPSERT)];
    let set = set(&files);
    let plan = store.db.migrations(&set).plan().await.unwrap();
    assert!(
        plan[1].statements[0].contains("ON DUPLICATE KEY UPDATE"),
        "{plan:?}"
    );
    store.finish().await;
}

/// A table that the migration changes and two that it fills.
const KILLED: &[MigrationFile] = &[
    MigrationFile::new(
        1,
        "create",
        "CREATE TABLE kept (id BIGINT PRIMARY KEY); CREATE TABLE other (id BIGINT PRIMARY KEY)",
    ),
    MigrationFile::new(
        2,
        "change",
        "INSERT INTO kept (id) VALUES (1);
         ALTER TABLE other ADD COLUMN note TEXT;
         INSERT INTO kept (id) VALUES (2);
         CREATE TABLE final (id BIGINT PRIMARY KEY)",
    ),
];

/// Kills a server whose migration waits for a lock, and returns what the next finds.
async fn kill_while_it_waits(
    server: &mut MariaDb,
    holds: &'static str,
    waits: &'static str,
) -> MigrationState {
    const HOUR: Duration = Duration::from_secs(3600);
    let holder = Database::open(&server.url()).await.unwrap();
    let tx = holder
        .begin(TxOptions::default().with_deadline(HOUR))
        .await
        .unwrap();
    tx.execute(holds, params! {}).await.unwrap();
    let db = Database::open(&server.url()).await.unwrap();
    let migrating = tokio::spawn(async move { db.migrations(&set(KILLED)).up().await });
    while holder
        .fetch_one::<Scalar<i64>>(waits, params! {})
        .await
        .unwrap()
        .0
        == 0
    {
        assert!(!migrating.is_finished(), "it does not wait");
        // What it tells stays the same for as long as it is asked more often than this.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    server.kill();
    let lost = migrating.await.unwrap().unwrap_err();
    assert!(lost.to_string().contains("migration 2"), "{lost}");
    drop(tx);
    server.restart();
    let db = Database::open(&server.url()).await.unwrap();
    db.migrations(&set(KILLED)).status().await.unwrap()[1].state
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_the_server_did_not_survive_goes_on() {
    let Some(mut server) = MariaDb::start() else {
        return;
    };
    let db = Database::open(&server.url()).await.unwrap();
    let first = [KILLED[0]];
    assert_eq!(
        db.migrations(&set(&first)).up().await.unwrap().versions,
        [1]
    );
    // In a definition, then in a change of rows.
    let state = kill_while_it_waits(
        &mut server,
        "SELECT count(*) FROM other",
        "SELECT count(*) FROM information_schema.processlist WHERE state LIKE '%metadata lock%'",
    );
    assert_eq!(state.await, MigrationState::HalfApplied(1));
    let state = kill_while_it_waits(
        &mut server,
        "INSERT INTO kept (id) VALUES (2)",
        "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
    );
    assert_eq!(state.await, MigrationState::HalfApplied(2));

    let set = set(KILLED);
    let migrator = db.migrations(&set);
    assert_eq!(migrator.up().await.unwrap().versions, [2]);
    assert_eq!(migrator.verify().await.unwrap(), []);
    let Scalar(rows): Scalar<i64> = db
        .fetch_one("SELECT count(*) FROM kept", params! {})
        .await
        .unwrap();
    assert_eq!(rows, 2, "nothing was done twice");
}
