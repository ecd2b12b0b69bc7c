//! Where a test keeps its memories: a home of its own, and perhaps a database on a server.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use athena_db::{Database, Executor, Scalar, TableDigest, digest_database, params};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{self, Server};

/// The key of all stores.
const KEY: &str = "84d1f60b37c2e95a0f6b8e2d71a4c3950be8d72f16ac4093e5b7d8210f9c6ea3";

/// A fresh store for real processes, removed with the test.
#[derive(Debug)]
pub(crate) struct Place {
    home: PathBuf,
    url: String,
    /// What is removed at the end.
    _folder: TempDir,
    database: Option<OnServer>,
}

/// A database of its own on a shared server; dropped with the test.
#[derive(Debug)]
struct OnServer {
    server: String,
    name: String,
}

impl Place {
    /// Makes an SQLite store.
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        Self::at(folder, home)
    }

    /// Makes an SQLite store in a directory of the caller's below `folder`.
    pub(crate) fn at(folder: TempDir, home: PathBuf) -> Self {
        let url = format!("sqlite:{}", home.join("athena.db").display());
        Self {
            home,
            url,
            _folder: folder,
            database: None,
        }
    }

    /// Makes a store on a server, in the database that the URL names.
    pub(crate) fn on(url: &str) -> Self {
        let place = Self::sqlite();
        Self {
            url: url.to_owned(),
            ..place
        }
    }

    /// Makes a store in a database of its own on the tests' PostgreSQL; none in the narrow run.
    pub(crate) fn postgres() -> Option<Self> {
        athena_testkit::postgres_url().map(Self::in_database_on)
    }

    /// Makes a store in a database of its own on the tests' MySQL; none in the narrow run.
    pub(crate) fn mysql() -> Option<Self> {
        athena_testkit::mysql_url().map(Self::in_database_on)
    }

    fn in_database_on(server: String) -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("faults_{}_{count}", std::process::id());
        execute(&server, &format!("DROP DATABASE IF EXISTS {name}"));
        execute(&server, &format!("CREATE DATABASE {name}"));
        let mut place = Self::on(&with_database(&server, &name));
        place.database = Some(OnServer { server, name });
        place
    }

    /// Makes a fresh store on every backend.
    pub(crate) fn everywhere() -> Vec<Self> {
        std::iter::once(Self::sqlite())
            .chain(Self::postgres())
            .chain(Self::mysql())
            .collect()
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Prepares an `athena` without arguments that knows this place and nothing of the test's own
    /// surroundings.
    pub(crate) fn athena(&self) -> Command {
        let mut command = bare_athena();
        command
            .env("ATHENA_HOME", &self.home)
            .env("ATHENA_DATABASE_URL", &self.url)
            // One installation: a store that is copied needs the key it came with.
            .env("ATHENA_PII_KEY", KEY);
        command
    }

    /// Prepares an `athena` of another user of the same database: it hands no call to the owner of
    /// this place, and owns nothing of it.
    pub(crate) fn athena_apart(&self, name: &str) -> Command {
        // The file of an SQLite store lies in the home of the place.
        std::fs::create_dir_all(&self.home).unwrap();
        let mut command = self.athena();
        command.env("ATHENA_HOME", self.home.join(name));
        command
    }

    /// Runs one command to its end, with `--json`.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        process::finish(self.athena().args(arguments).arg("--json"))
    }

    /// Runs one command that must succeed, and returns what it answered.
    pub(crate) fn answer(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            process::stderr(&output)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Starts a server; its log goes beside the home.
    pub(crate) fn serve(&self) -> Server {
        Server::start(self.athena(), self.log("serve"))
    }

    /// Returns where a process of that name is to write what it says.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self._folder.path().join(format!("{name}.log"))
    }

    /// Makes an empty directory for a client's notes.
    pub(crate) fn notes(&self) -> PathBuf {
        let notes = self._folder.path().join("acknowledged");
        std::fs::create_dir(&notes).unwrap();
        notes
    }

    /// Runs a statement behind Athena's back.
    pub(crate) fn execute(&self, statement: &str) {
        execute(&self.url, statement);
    }

    /// Counts and sums up the content of all tables.
    pub(crate) fn digests(&self) -> Vec<TableDigest> {
        with(&self.url, async |db| digest_database(db).await)
    }

    /// Counts the rows of a table that may not be there yet.
    pub(crate) fn rows(&self, table: &str) -> i64 {
        let file = self.url.strip_prefix("sqlite:");
        if file.is_some_and(|file| !Path::new(file).exists()) {
            return 0;
        }
        with(&self.url, async |db| {
            if !db.schema().table_exists(table).await? {
                return Ok(0);
            }
            count(db, table).await
        })
    }

    /// Counts the rows of a table that is there, under conditions that may follow its name.
    pub(crate) fn count(&self, table: &str) -> i64 {
        with(&self.url, async |db| count(db, table).await)
    }

    /// Asks SQLite whether the file is sound.
    pub(crate) fn check_integrity(&self) {
        let verdict: Vec<Scalar<String>> = with(&self.url, async |db| {
            db.fetch_all("PRAGMA integrity_check", params! {}).await
        });
        assert_eq!(verdict.len(), 1);
        assert_eq!(verdict[0].0, "ok");
    }
}

impl Drop for OnServer {
    fn drop(&mut self) {
        let force = if self.server.starts_with("postgres") {
            " WITH (FORCE)"
        } else {
            ""
        };
        let statement = format!("DROP DATABASE IF EXISTS {}{force}", self.name);
        if std::thread::panicking() {
            // A second panic would hide the first one.
            let server = self.server.clone();
            let _ = std::thread::spawn(move || execute(&server, &statement)).join();
        } else {
            execute(&self.server, &statement);
        }
    }
}

/// Prepares an `athena` that inherits nothing meant for the test.
pub(crate) fn bare_athena() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_athena"));
    let ours = |name: &OsString| name.to_string_lossy().starts_with("ATHENA_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| ours(name)) {
        command.env_remove(name);
    }
    command.env("ATHENA_PROJECT", "faults");
    command
}

/// Gives another command the environment of this one.
pub(crate) fn same(command: &Command, mut other: Command) -> Command {
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => other.env(name, value),
            None => other.env_remove(name),
        };
    }
    other
}

/// Returns the URL with another database in it.
fn with_database(url: &str, name: &str) -> String {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let (server, _) = base.rsplit_once('/').unwrap();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{server}/{name}{mark}{query}")
}

async fn count(db: &Database, table: &str) -> athena_db::Result<i64> {
    let sql = format!("SELECT count(*) FROM {table}");
    let Scalar(rows) = db.fetch_one(sql, params! {}).await?;
    Ok(rows)
}

fn execute(url: &str, statement: &str) {
    let statement = statement.to_owned();
    with(url, async |db| db.execute_alone(statement.clone()).await);
}

/// Opens the database, does one thing and closes it.
fn with<T>(url: &str, act: impl AsyncFnOnce(&Database) -> athena_db::Result<T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let db = Database::builder(url)
            .max_connections(1)
            .open()
            .await
            .unwrap();
        let result = act(&db).await.unwrap();
        db.close().await.unwrap();
        result
    })
}
