//! A store of its own for one test: a file, or a schema on the server.

use athena_db::{Builder, Database, Executor, params};
use std::sync::atomic::{AtomicU32, Ordering};

/// A fresh store that goes with the test.
#[derive(Debug)]
pub struct TestStore {
    place: Place,
}

#[derive(Debug)]
enum Place {
    File(tempfile::TempDir),
    Schema { url: String, name: String },
}

impl TestStore {
    /// Makes an SQLite file.
    #[must_use]
    #[expect(clippy::unused_async, reason = "made like its sister")]
    pub async fn sqlite() -> Self {
        Self {
            place: Place::File(tempfile::tempdir().unwrap()),
        }
    }

    /// Makes a schema on the PostgreSQL server, or `None` in the narrow run.
    pub async fn postgres() -> Option<Self> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let url = postgres_url()?;
        let name = format!(
            "test_{}_{}",
            std::process::id(),
            COUNTER.fetch_add(1, Ordering::Relaxed)
        );
        on_server(&url, format!("DROP SCHEMA IF EXISTS {name} CASCADE")).await;
        on_server(&url, format!("CREATE SCHEMA {name}")).await;
        Some(Self {
            place: Place::Schema { url, name },
        })
    }

    /// Opens a handle on it; a second one is what another process would have.
    pub async fn open(&self) -> Database {
        self.builder().open().await.unwrap()
    }

    /// Returns a builder for it.
    pub fn builder(&self) -> Builder {
        match &self.place {
            Place::File(folder) => Database::builder(&format!(
                "sqlite:{}",
                folder.path().join("athena.db").display()
            )),
            Place::Schema { url, name } => Database::builder(url)
                .schema(name.as_str())
                .max_connections(8),
        }
    }

    /// Returns the folder of the SQLite file, if it is one.
    #[must_use]
    pub fn folder(&self) -> Option<&std::path::Path> {
        match &self.place {
            Place::File(folder) => Some(folder.path()),
            Place::Schema { .. } => None,
        }
    }

    /// Removes it.
    pub async fn finish(self) {
        if let Place::Schema { url, name } = self.place {
            on_server(&url, format!("DROP SCHEMA {name} CASCADE")).await;
        }
    }
}

/// Returns the server that tests use, or `None` in the narrow run.
///
/// # Panics
///
/// When neither a server nor the narrow run was asked for.
#[must_use]
pub fn postgres_url() -> Option<String> {
    let narrow = std::env::var("ATHENA_TEST_BACKEND").is_ok_and(|backend| backend == "sqlite");
    match std::env::var("ATHENA_TEST_POSTGRES_URL") {
        _ if narrow => None,
        Ok(url) => Some(url),
        Err(_) => panic!(
            "no PostgreSQL to test on: run `cargo xtask test`, or set ATHENA_TEST_POSTGRES_URL, \
             or ATHENA_TEST_BACKEND=sqlite for SQLite alone"
        ),
    }
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
