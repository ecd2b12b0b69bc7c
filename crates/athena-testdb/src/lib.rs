//! A fresh store for one test, on every backend.
//!
//! SQLite always; PostgreSQL and MySQL where `ATHENA_TEST_POSTGRES_URL` and `ATHENA_TEST_MYSQL_URL`
//! say. So that nobody believes all were tested when one was, a missing server fails the test
//! unless `ATHENA_TEST_BACKEND=sqlite` asks for the narrow run.

#![allow(clippy::missing_panics_doc, reason = "a test fails by panicking")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use athena_db::{Builder, Database, Dialect, Executor, params};

/// A fresh store that goes with the test.
#[derive(Debug)]
pub struct TestStore {
    place: Place,
}

#[derive(Debug)]
enum Place {
    File(tempfile::TempDir),
    /// A schema on PostgreSQL, a database on MySQL.
    Server {
        url: String,
        name: String,
    },
}

impl TestStore {
    /// Makes a store on this backend, or `None` for a server in the narrow run.
    pub async fn on(dialect: Dialect) -> Option<Self> {
        match dialect {
            Dialect::Sqlite => Some(Self::sqlite().await),
            Dialect::Postgres => Self::postgres().await,
            Dialect::MySql => Self::mysql().await,
        }
    }

    /// Makes an SQLite file.
    #[must_use]
    #[expect(clippy::unused_async, reason = "made like its sisters")]
    pub async fn sqlite() -> Self {
        Self {
            place: Place::File(tempfile::tempdir().unwrap()),
        }
    }

    /// Makes a schema on the PostgreSQL server, or `None` in the narrow run.
    pub async fn postgres() -> Option<Self> {
        let (url, name) = (postgres_url()?, unused_name());
        on_server(&url, format!("DROP SCHEMA IF EXISTS {name} CASCADE")).await;
        on_server(&url, format!("CREATE SCHEMA {name}")).await;
        let place = Place::Server { url, name };
        Some(Self { place })
    }

    /// Makes a database on the MySQL server, or `None` in the narrow run.
    pub async fn mysql() -> Option<Self> {
        let (url, name) = (mysql_url()?, unused_name());
        on_server(&url, format!("DROP DATABASE IF EXISTS {name}")).await;
        let create =
            format!("CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin");
        on_server(&url, create).await;
        let place = Place::Server { url, name };
        Some(Self { place })
    }

    /// Opens a handle on it; a second one is what another process would have.
    pub async fn open(&self) -> Database {
        self.builder().open().await.unwrap()
    }

    /// Returns a builder for it.
    pub fn builder(&self) -> Builder {
        let (url, schema) = self.address();
        Self::builder_at(&url, schema)
    }

    /// Returns a builder for the store of another process at its [`address`](Self::address).
    pub fn builder_at(url: &str, schema: Option<&str>) -> Builder {
        let builder = Database::builder(url);
        match schema {
            Some(schema) => builder.schema(schema).max_connections(8),
            None => builder,
        }
    }

    /// Returns how another process reaches it: the URL and, on a server, the schema.
    #[must_use]
    pub fn address(&self) -> (String, Option<&str>) {
        match &self.place {
            Place::File(folder) => {
                let file = folder.path().join("athena.db");
                (format!("sqlite:{}", file.display()), None)
            }
            Place::Server { url, name } => (url.clone(), Some(name)),
        }
    }

    /// Returns the folder of the SQLite file, if it is one.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match &self.place {
            Place::File(folder) => Some(folder.path()),
            Place::Server { .. } => None,
        }
    }

    /// Removes it.
    pub async fn finish(self) {
        let Place::Server { url, name } = self.place else {
            return;
        };
        let cascade = if url.starts_with("postgres") {
            " CASCADE"
        } else {
            ""
        };
        on_server(&url, format!("DROP SCHEMA {name}{cascade}")).await;
    }
}

/// Returns the PostgreSQL server that tests use, or `None` in the narrow run.
///
/// # Panics
///
/// When neither a server nor the narrow run was asked for.
#[must_use]
pub fn postgres_url() -> Option<String> {
    server_url("PostgreSQL", "ATHENA_TEST_POSTGRES_URL")
}

/// Returns the MySQL or MariaDB server that tests use, or `None` in the narrow run.
///
/// # Panics
///
/// When neither a server nor the narrow run was asked for.
#[must_use]
pub fn mysql_url() -> Option<String> {
    server_url("MariaDB", "ATHENA_TEST_MYSQL_URL")
}

fn server_url(what: &str, variable: &str) -> Option<String> {
    let narrow = std::env::var("ATHENA_TEST_BACKEND").is_ok_and(|backend| backend == "sqlite");
    match std::env::var(variable) {
        _ if narrow => None,
        Ok(url) => Some(url),
        Err(_) => panic!(
            "no {what} to test on: run `cargo xtask test`, or set {variable}, \
             or ATHENA_TEST_BACKEND=sqlite for SQLite alone"
        ),
    }
}

/// A name that no other test of this run has.
fn unused_name() -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("test_{}_{number}", std::process::id())
}

async fn on_server(url: &str, sql: String) {
    let server = Database::builder(url)
        .max_connections(1)
        .open()
        .await
        .unwrap();
    server.execute(sql, params! {}).await.unwrap();
    server.close().await.unwrap();
}
