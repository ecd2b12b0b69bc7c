//! Gives each story a fresh store on every backend, and the few words all stories need.

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

/// Tells a story to every backend, as one test each: `name::sqlite`, `name::postgres` and
/// `name::mysql`. The attributes are those of each test.
macro_rules! story {
    ($(#[$meta:meta])* async fn $name:ident($store:ident: Store) $body:block) => {
        mod $name {
            #[allow(unused_imports, reason = "a story need not use everything around it")]
            use super::*;

            async fn story($store: &Store) $body

            $(#[$meta])*
            async fn sqlite() {
                $crate::backends::tell(athena_db::Dialect::Sqlite, story).await;
            }

            $(#[$meta])*
            async fn postgres() {
                $crate::backends::tell(athena_db::Dialect::Postgres, story).await;
            }

            $(#[$meta])*
            async fn mysql() {
                $crate::backends::tell(athena_db::Dialect::MySql, story).await;
            }
        }
    };
}
pub(crate) use story;

/// Tells a story to one backend; in the narrow run to none but SQLite.
pub(crate) async fn tell(dialect: Dialect, story: impl AsyncFnOnce(&Store)) {
    if let Some(store) = Store::on(dialect).await {
        story(&store).await;
        store.finish().await;
    }
}
