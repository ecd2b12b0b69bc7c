//! Gives each story a fresh store on every backend.
//!
//! SQLite always; PostgreSQL where `ATHENA_TEST_POSTGRES_URL` says. So that nobody believes both
//! were tested when one was, a missing server fails the run unless `ATHENA_TEST_BACKEND=sqlite`
//! asks for the narrow one.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};

use athena_db::{Builder, Database, Dialect, Executor, params};

/// A store of its own for one story: a file, or a schema on the server.
pub(crate) struct Store {
    pub(crate) db: Database,
    place: Place,
}

enum Place {
    File(tempfile::TempDir),
    Schema { url: String, name: String },
}

impl Store {
    /// Makes a fresh store of each backend.
    pub(crate) async fn all() -> Vec<Self> {
        let mut stores = vec![Self::sqlite().await];
        if let Some(url) = postgres_url() {
            stores.push(Self::postgres(url).await);
        }
        stores
    }

    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::File(folder);
        Self {
            db: place.builder().open().await.unwrap(),
            place,
        }
    }

    pub(crate) async fn postgres(url: String) -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "story_{}_{}",
            std::process::id(),
            COUNTER.fetch_add(1, Ordering::Relaxed)
        );
        on_server(&url, format!("DROP SCHEMA IF EXISTS {name} CASCADE")).await;
        on_server(&url, format!("CREATE SCHEMA {name}")).await;
        let place = Place::Schema { url, name };
        Self {
            db: place.builder().open().await.unwrap(),
            place,
        }
    }

    /// A second handle on the same store, as another process would have it.
    pub(crate) async fn another(&self) -> Database {
        self.builder().open().await.unwrap()
    }

    pub(crate) fn builder(&self) -> Builder {
        self.place.builder()
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.db.dialect()
    }

    /// The SQLite file, if it is one.
    pub(crate) fn path(&self) -> Option<std::path::PathBuf> {
        match &self.place {
            Place::File(folder) => Some(folder.path().join("store.db")),
            Place::Schema { .. } => None,
        }
    }

    /// Runs DDL in the portable types of both backends: `BIGINT`, `TEXT`.
    pub(crate) async fn create(&self, table: &str) {
        let strict = if self.dialect() == Dialect::Sqlite {
            " STRICT"
        } else {
            ""
        };
        let table = if self.dialect() == Dialect::Sqlite {
            table.replace("BIGINT", "INTEGER")
        } else {
            table.to_owned()
        };
        self.db
            .execute(format!("CREATE TABLE {table}{strict}"), params! {})
            .await
            .unwrap();
    }

    pub(crate) async fn count(&self, table: &str) -> i64 {
        let (count,): (i64,) = self
            .db
            .fetch_one(format!("SELECT count(*) FROM {table}"), params! {})
            .await
            .unwrap();
        count
    }

    async fn finish(self) {
        self.db.close().await.unwrap();
        if let Place::Schema { url, name } = self.place {
            on_server(&url, format!("DROP SCHEMA {name} CASCADE")).await;
        }
    }
}

impl Place {
    fn builder(&self) -> Builder {
        match self {
            Self::File(folder) => Database::builder(&format!(
                "sqlite:{}",
                folder.path().join("store.db").display()
            )),
            Self::Schema { url, name } => Database::builder(url)
                .schema(name.as_str())
                .max_connections(8),
        }
    }
}

/// Tells a story to every backend, one after the other.
pub(crate) async fn everywhere<F, Fut>(story: F)
where
    F: Fn(std::sync::Arc<Store>) -> Fut,
    Fut: Future<Output = ()>,
{
    for store in Store::all().await {
        let store = std::sync::Arc::new(store);
        // Shown only for a story that fails: which backend it failed on.
        eprintln!("on {}", store.dialect());
        story(std::sync::Arc::clone(&store)).await;
        if let Ok(store) = std::sync::Arc::try_unwrap(store) {
            store.finish().await;
        }
    }
}

pub(crate) fn postgres_url() -> Option<String> {
    let narrow = std::env::var("ATHENA_TEST_BACKEND").is_ok_and(|backend| backend == "sqlite");
    match std::env::var("ATHENA_TEST_POSTGRES_URL") {
        Ok(url) if !narrow => Some(url),
        _ if narrow => None,
        _ => panic!(
            "no PostgreSQL to test on: run `cargo xtask test`, or set ATHENA_TEST_POSTGRES_URL, or ATHENA_TEST_BACKEND=sqlite for SQLite alone"
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
