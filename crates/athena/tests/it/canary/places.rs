//! Where a store and its processes leave bytes: files, logs, copies, and the rows as a reader sees
//! them.

use super::needles::Needles;
use athena_db::{Database, Executor, Row, Scalar, Value, params};
use athena_testserver::Postgres;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Where a store is.
pub(crate) enum Place {
    /// In the home.
    Sqlite,
    /// On a server of its own.
    Postgres(Postgres),
}

impl Place {
    /// Returns the URL of the database, where it is not in the home.
    pub(crate) fn url(&self) -> Option<String> {
        match self {
            Self::Sqlite => None,
            Self::Postgres(server) => Some(server.url()),
        }
    }

    /// Returns the folders that are its own, the server's log among them.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        match self {
            Self::Sqlite => Vec::new(),
            Self::Postgres(server) => vec![server.folder().to_owned()],
        }
    }

    /// Keeps values whole in the files, so that a search can find them.
    pub(crate) fn keep_values_whole(&self) {
        if let Self::Postgres(server) = self {
            block_on(async {
                let db = Database::open(&server.url()).await.unwrap();
                for (table, column) in texts(&db).await {
                    let sql =
                        format!("ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE EXTERNAL");
                    db.execute(sql, params! {}).await.unwrap();
                }
                db.close().await.unwrap();
            });
        }
    }

    /// Has everything that was written reach the files, statistics included.
    pub(crate) fn settle(&self) {
        self.administer(&["ANALYZE", "CHECKPOINT"]);
    }

    /// Does what a purge says is owed.
    pub(crate) fn do_what_is_owed(&self) {
        self.administer(&[
            "ANALYZE",
            "VACUUM FULL",
            "CHECKPOINT",
            "SELECT pg_switch_wal()",
            "CHECKPOINT",
        ]);
    }

    fn administer(&self, statements: &[&'static str]) {
        if let Self::Postgres(server) = self {
            block_on(async {
                let db = Database::open(&server.url()).await.unwrap();
                for statement in statements {
                    db.execute_alone(*statement).await.unwrap();
                }
                db.close().await.unwrap();
            });
        }
    }
}

/// Returns the columns of Athena's tables that may hold text.
async fn texts(db: &Database) -> Vec<(String, String)> {
    let sql = "SELECT table_name, column_name FROM information_schema.columns
               WHERE table_schema = current_schema() AND data_type IN ('text', 'bytea', 'jsonb', 'character varying')";
    db.fetch_all(sql, params! {}).await.unwrap()
}

/// What of some needles was found in which file.
pub(crate) type Found = BTreeMap<String, BTreeSet<String>>;

/// Searches all files of these folders.
pub(crate) fn search(needles: &Needles, folders: &[PathBuf]) -> Found {
    let mut found = Found::new();
    for folder in folders {
        for file in files(folder) {
            // A server may have removed it meanwhile.
            let bytes = fs::read(&file).unwrap_or_default();
            let here = needles.found_in(&bytes);
            if !here.is_empty() {
                let here = here.into_iter().map(str::to_owned).collect();
                found.insert(file.display().to_string(), here);
            }
        }
    }
    found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map_while(Result::ok) {
            let path = entry.path();
            match path.is_dir() {
                true => folders.push(path),
                // The key itself is no secret to its own folder.
                false if path.ends_with("pii.key") => {}
                false => files.push(path),
            }
        }
    }
    files
}

/// Returns all that the rows of a backup say, with what is packed unpacked.
pub(crate) fn rows(backup: &Path) -> Vec<u8> {
    block_on(async {
        let db = Database::open(&format!("sqlite:{}", backup.display()))
            .await
            .unwrap();
        let sql = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name";
        let tables: Vec<Scalar<String>> = db.fetch_all(sql, params! {}).await.unwrap();
        let mut said = Vec::new();
        for Scalar(table) in tables {
            let rows = db.fetch_rows(format!("SELECT * FROM {table}"), params! {}, usize::MAX);
            for row in rows.await.unwrap() {
                say(&row, &mut said);
            }
        }
        let records = athena_testkit::logged_records(&db).await;
        said.extend_from_slice(format!("{records:?}").as_bytes());
        db.close().await.unwrap();
        said
    })
}

fn say(row: &Row, said: &mut Vec<u8>) {
    for value in row.values() {
        match value {
            Value::Text(text) => said.extend_from_slice(text.as_bytes()),
            Value::Bytes(bytes) => said.extend_from_slice(bytes),
            _ => {}
        }
        said.push(b'\n');
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}
