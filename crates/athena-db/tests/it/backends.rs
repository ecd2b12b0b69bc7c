//! Gives each story a fresh store on every backend, and the few words all stories need.

use std::future::Future;

use athena_db::{Builder, Database, Dialect, Executor, params};
use athena_testdb::TestStore;
pub(crate) use athena_testdb::{mysql_url, postgres_url};

/// A store of its own for one story, and a handle on it.
pub(crate) struct Store {
    pub(crate) db: Database,
    place: TestStore,
}

impl Store {
    /// Makes a fresh store of each backend.
    pub(crate) async fn all() -> Vec<Self> {
        let mut stores = Vec::new();
        for dialect in [Dialect::Sqlite, Dialect::Postgres, Dialect::MySql] {
            stores.extend(Self::on(dialect).await);
        }
        stores
    }

    /// Makes a fresh store of this backend, or `None` for a server in the narrow run.
    pub(crate) async fn on(dialect: Dialect) -> Option<Self> {
        match TestStore::on(dialect).await {
            Some(place) => Some(Self::at(place).await),
            None => None,
        }
    }

    pub(crate) async fn sqlite() -> Self {
        Self::at(TestStore::sqlite().await).await
    }

    async fn at(place: TestStore) -> Self {
        Self {
            db: place.open().await,
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
        self.place.folder().map(|folder| folder.join("athena.db"))
    }

    /// Runs DDL in the portable types of all backends: `BIGINT`, `TEXT`.
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

    pub(crate) async fn finish(self) {
        self.db.close().await.unwrap();
        self.place.finish().await;
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
