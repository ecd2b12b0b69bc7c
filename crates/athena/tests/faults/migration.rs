//! The database server dies in the middle of a migration.

use std::time::Duration;

use athena_db::{Database, Executor, MigrationFile, MigrationSet, MigrationState, Scalar, params};
use athena_testserver::Postgres;

const CREATE: MigrationFile =
    MigrationFile::new(1, "create", "CREATE TABLE kept (id BIGINT PRIMARY KEY)");
const CHANGE: &str = "CREATE TABLE half (id BIGINT PRIMARY KEY); INSERT INTO kept (id) VALUES (1)";

/// The same migration, in which PostgreSQL takes its time before the end.
const SLOW: MigrationFile = MigrationFile {
    postgres: Some(
        "CREATE TABLE half (id BIGINT PRIMARY KEY); INSERT INTO kept (id) VALUES (1); SELECT pg_sleep(600)",
    ),
    ..MigrationFile::new(2, "change", CHANGE)
};

const fn set<'a>(files: &'a [MigrationFile<'a>]) -> MigrationSet<'a> {
    MigrationSet {
        name: "killed",
        files,
    }
}

#[tokio::test]
async fn a_migration_that_the_server_did_not_survive_left_nothing() {
    let Some(mut server) = Postgres::start() else {
        return;
    };
    for round in 0..3 {
        let db = Database::open(&server.url()).await.unwrap();
        let migrating = tokio::spawn({
            let db = db.clone();
            async move { db.migrations(&set(&[CREATE, SLOW])).up().await }
        });
        until_it_sleeps(&server.url()).await;
        server.kill();
        let error = migrating.await.unwrap().unwrap_err();
        assert!(error.to_string().contains("migration 2"), "{error}");
        db.close().await.unwrap();

        server.restart();
        let db = Database::open(&server.url()).await.unwrap();
        let status = db.migrations(&set(&[CREATE, SLOW])).status().await.unwrap();
        assert!(
            matches!(status[0].state, MigrationState::Applied(_)),
            "round {round}: {status:?}"
        );
        assert_eq!(status[1].state, MigrationState::Pending);
        assert_eq!(db.schema().table_names().await.unwrap(), ["kept"]);
        db.close().await.unwrap();
    }
    let db = Database::open(&server.url()).await.unwrap();
    let whole = [CREATE, MigrationFile::new(2, "change", CHANGE)];
    assert_eq!(
        db.migrations(&set(&whole)).up().await.unwrap().versions,
        [2]
    );
    let Scalar(rows): Scalar<i64> = db
        .fetch_one("SELECT count(*) FROM kept", params! {})
        .await
        .unwrap();
    assert_eq!(rows, 1);
    db.close().await.unwrap();
}

/// Waits until the migration has come to its last statement.
async fn until_it_sleeps(url: &str) {
    let db = Database::open(url).await.unwrap();
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    let asleep = async {
        while db
            .fetch_one::<Scalar<i64>>(sql, params! {})
            .await
            .unwrap()
            .0
            == 0
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(crate::process::PATIENCE, asleep)
        .await
        .unwrap();
    db.close().await.unwrap();
}
