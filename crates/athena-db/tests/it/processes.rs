//! Processes that migrate one store at the same moment.
//!
//! The second process is this very test binary: it is started with the name of one test and, in
//! its environment, the store to migrate.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use athena_db::{
    Applied, Database, Dialect, Executor, MigrationFile, MigrationSet, Scalar, params,
};

use crate::backends::{Store, story};

const ROUNDS: usize = 50;

const FILES: &[MigrationFile] = &[
    MigrationFile::new(
        1,
        "create",
        "CREATE TABLE runs (id INTEGER PRIMARY KEY, version INTEGER NOT NULL)",
    ),
    MigrationFile::new(
        2,
        "two",
        "INSERT INTO runs (version) VALUES (2); ALTER TABLE runs ADD COLUMN two TEXT",
    ),
    MigrationFile::new(
        3,
        "three",
        "CREATE INDEX runs_two ON runs (version); INSERT INTO runs (version) VALUES (3)",
    ),
    MigrationFile::new(
        4,
        "four",
        "ALTER TABLE runs RENAME COLUMN two TO four; UPDATE runs SET four = 'x'",
    ),
];

const SET: MigrationSet = MigrationSet {
    name: "processes",
    files: FILES,
};

/// What one process does: to the store that it is told of, else to one of its own.
#[tokio::test]
async fn one_process_migrates() {
    let url = std::env::var("ATHENA_TEST_MIGRATE_URL");
    let is_told = url.is_ok();
    let mut builder = Database::builder(url.as_deref().unwrap_or("sqlite::memory:"));
    if let Ok(schema) = std::env::var("ATHENA_TEST_MIGRATE_SCHEMA") {
        builder = builder.schema(schema);
    }
    let db = builder.max_connections(2).open().await.unwrap();
    let Applied {
        versions, current, ..
    } = db.migrations(&SET).up().await.unwrap();
    assert_eq!(current, 4);
    assert!(is_told || versions == [1, 2, 3, 4], "{versions:?}");
    db.close().await.unwrap();
}

/// How another process reaches a store.
struct Address {
    url: String,
    schema: Option<String>,
}

impl Address {
    async fn of(store: &Store) -> Self {
        let (variable, schema) = match store.dialect() {
            Dialect::Sqlite => {
                let url = format!("sqlite:{}", store.path().unwrap().display());
                return Self { url, schema: None };
            }
            Dialect::Postgres => ("ATHENA_TEST_POSTGRES_URL", "SELECT current_schema()::text"),
            Dialect::MySql => ("ATHENA_TEST_MYSQL_URL", "SELECT DATABASE()"),
        };
        let Scalar(schema): Scalar<String> = store.db.fetch_one(schema, params! {}).await.unwrap();
        Self {
            url: std::env::var(variable).unwrap(),
            schema: Some(schema),
        }
    }

    fn start(&self) -> Child {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "processes::one_process_migrates"])
            .env("ATHENA_TEST_MIGRATE_URL", &self.url)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(schema) = &self.schema {
            command.env("ATHENA_TEST_MIGRATE_SCHEMA", schema);
        }
        command.spawn().unwrap()
    }
}

fn succeed(child: Child) {
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

story! {
    #[tokio::test]
    async fn two_processes_apply_each_migration_once_fifty_times(store: Store) {
        for round in 0..ROUNDS {
            let store = Store::on(store.dialect()).await.unwrap();
            let address = Address::of(&store).await;
            let (one, other) = (address.start(), address.start());
            succeed(one);
            succeed(other);
            let sql = "SELECT id, version, four FROM runs ORDER BY id";
            let runs: Vec<(i64, i64, String)> = store.db.fetch_all(sql, params! {}).await.unwrap();
            let expected = [(1, 2, "x".to_owned()), (2, 3, "x".to_owned())];
            assert_eq!(runs, expected, "round {round} on {}", store.dialect());
            store.finish().await;
        }
    }
}

story! {
    #[tokio::test]
    async fn a_process_that_is_killed_leaves_what_the_next_can_finish(store: Store) {
        let address = Address::of(store).await;
        for pause in [5, 10, 15, 20, 25, 30, 40, 60] {
            let mut child = address.start();
            // Whenever it comes: before, between or within migrations, or after the last.
            std::thread::sleep(Duration::from_millis(pause));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        store.db.migrations(&SET).up().await.unwrap();
        assert_eq!(store.count("runs").await, 2);
        assert_eq!(store.db.migrations(&SET).verify().await.unwrap(), []);
    }
}
