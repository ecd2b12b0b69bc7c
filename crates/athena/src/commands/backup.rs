//! `backup` and `restore`: a whole store in one file, and back into any backend.
//!
//! A backup is an SQLite file without a write-ahead log, whatever backend the store is on. It is
//! made from one snapshot while the store is in use. With it goes a manifest: how many rows each
//! table has and what is in them. The file appears under its name when it has been read back and
//! found to be what the manifest says, and a restore begins with the same check.

use super::db::copy::{
    INTERRUPTED, LEAVE_OUT_FOREIGN, copy, copy_into, leave_out_foreign_argument, open_source,
    options, rows, source_name, summary,
};
use super::db::named_database;
use super::{Session, busy};
use crate::compose::{self, MIGRATIONS};
use crate::config::{DatabaseSettings, redact};
use crate::outcome::{Outcome, at_path};
use crate::staging::Staging;
use athena_core::{Code, Error, Result};
use athena_db::{
    Copied, Database, Durability, Executor, MigrationState, MigrationStatus, Params, Scalar,
    TableDigest, digest_database, foreign_parts, params, sqlite_file, sqlite_url,
};
use clap::{Arg, ArgMatches, Command};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};

/// The table in which a backup says what is in it.
const MANIFEST: &str = "athena_backup";

/// What a backup says about itself.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    made_at: Timestamp,
    /// The version of Athena that made it.
    made_by: String,
    /// The backend that the store was on.
    backend: String,
    tables: Vec<TableDigest>,
}

/// Makes the command `backup`.
pub(crate) fn backup_command() -> Command {
    Command::new("backup")
        .about("Write the whole store to one file")
        .long_about(
            "Write the whole store to one file, while it is in use.\n\nThe file holds one state of the store, and \
             appears when it is complete and has been checked. `athena restore` brings it back into any backend.",
        )
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .help("The file, or a directory [default: one named after the time, in backups/ of the home]"),
        )
        .arg(leave_out_foreign_argument())
}

/// Makes the command `restore`.
pub(crate) fn restore_command() -> Command {
    Command::new("restore")
        .about("Bring a backup back, into any backend")
        .long_about(
            "Bring a backup back, into any backend.\n\nThe database must be empty: nothing is overwritten. The backup \
             is checked first; in the end all tables are compared with it. A restore that was interrupted goes on \
             when it is started again.",
        )
        .arg(Arg::new("file").value_name("FILE").required(true).help("A file that `athena backup` has made"))
        .arg(
            Arg::new("to")
                .long("to")
                .value_name("URL")
                .help("The empty database [default: the configured store]"),
        )
}

/// Makes a backup.
pub(crate) fn backup(session: &Session, matches: &ArgMatches) -> Outcome {
    let now = Timestamp::now();
    let path = place(session, matches.get_one::<String>("file"), now)?;
    let leave_out_foreign = matches.get_flag(LEAVE_OUT_FOREIGN);
    let made = session.block_on_long("nothing was left behind", async {
        Ok(make(session, &path, now, leave_out_foreign).await?)
    });
    let Made {
        bytes,
        manifest,
        left_out,
    } = made?;
    let answer = json!({
        "file": path.display().to_string(), "bytes": bytes, "made_at": now, "tables": manifest.tables,
        "left_out": left_out,
    });
    session.show(&answer, |_, _| {
        let rows: u64 = manifest.tables.iter().map(|table| table.rows).sum();
        let tables = manifest.tables.len();
        let mut text = format!(
            "backed up {rows} rows in {tables} tables to {}\n",
            path.display()
        );
        if !left_out.is_empty() {
            let _ = writeln!(
                text,
                "a restore does not bring back, because not Athena's: {}",
                left_out.join(", ")
            );
        }
        text
    })
}

/// Restores a backup.
pub(crate) fn restore(session: &Session, matches: &ArgMatches) -> Outcome {
    let file = matches.get_one::<String>("file").map_or("", String::as_str);
    let to = named_database(session, matches, "to")?;
    let (manifest, mut copied) = session.block_on_long(INTERRUPTED, async {
        let archive = open_archive(file).await?;
        let manifest = busy(session, "checking", check(&archive, Path::new(file))).await;
        let result = match manifest {
            Ok(manifest) => bring_back(session, &archive, file, manifest, &to).await,
            Err(error) => Err(error),
        };
        archive.close().await?;
        Ok(result?)
    })?;
    copied.left_out.retain(|table| table != MANIFEST);
    let answer = json!({
        "file": file, "made_at": manifest.made_at, "to": redact(&to.url), "rows": rows(&copied),
        "tables": copied.tables, "resumed_rows": copied.resumed_rows, "left_out": copied.left_out,
    });
    session.show(&answer, |_, _| {
        let what = format!(
            "restored the backup of {} to {}",
            manifest.made_at,
            redact(&to.url)
        );
        summary(&copied, &what)
    })
}

/// Picks the file, which must not exist yet, and makes the directory of backups.
fn place(session: &Session, given: Option<&String>, now: Timestamp) -> Result<PathBuf> {
    let name = format!("athena-{}.db", now.strftime("%Y%m%dT%H%M%SZ"));
    let path = match given {
        Some(given) if Path::new(given).is_dir() => Path::new(given).join(name),
        Some(given) => PathBuf::from(given),
        None => {
            let folder = session.settings.home.join("backups");
            std::fs::create_dir_all(&folder).map_err(|error| at_path("create", &folder, error))?;
            folder.join(name)
        }
    };
    refuse_existing(&path)?;
    Ok(path)
}

fn refuse_existing(path: &Path) -> Result<()> {
    if path.exists() {
        let message = format!("`{}` exists already; choose another name", path.display());
        return Err(Error::new(Code::Conflict, message));
    }
    Ok(())
}

/// A backup that was made.
struct Made {
    bytes: u64,
    manifest: Manifest,
    /// Tables of the store that a restore does not bring back.
    left_out: Vec<String>,
}

/// Makes the file.
async fn make(
    session: &Session,
    path: &Path,
    now: Timestamp,
    leave_out_foreign: bool,
) -> Result<Made> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let staging = Staging::new_in(folder, ".athena-backup-")
        .map_err(|error| at_path("write to", folder, error))?;
    let (stage, finished) = (
        staging.path().join("stage.db"),
        staging.path().join("backup.db"),
    );
    let (backend, left_out) = snapshot(session, &stage, leave_out_foreign).await?;
    let described = describe(&stage, &finished, backend, now);
    let manifest = busy(session, "summing up", described).await?;
    busy(session, "checking", check_file(&finished, &manifest)).await?;
    let bytes = publish(&finished, path, folder)?;
    Ok(Made {
        bytes,
        manifest,
        left_out,
    })
}

/// Brings one state of the store into a file of its own, and returns the backend's name and the
/// tables that a restore leaves out.
async fn snapshot(
    session: &Session,
    stage: &Path,
    leave_out_foreign: bool,
) -> Result<(String, Vec<String>)> {
    let settings = &session.settings.database;
    let (backend, left_out) = match open_writable_file(settings).await? {
        Some(db) => {
            let done = snapshot_file(session, &db, stage, leave_out_foreign).await;
            db.close().await?;
            (db.dialect(), done?)
        }
        None => {
            let source = open_source(settings).await?;
            let name = source_name(&settings.url);
            let target = open_stage(stage).await?;
            let copied = copy(
                session,
                &source,
                &options(&name, leave_out_foreign),
                &target,
            )
            .await;
            target.close().await?;
            source.close().await?;
            (source.dialect(), copied?.left_out)
        }
    };
    Ok((backend.name().to_owned(), left_out))
}

/// Copies the whole file of a store that could be restored.
async fn snapshot_file(
    session: &Session,
    db: &Database,
    stage: &Path,
    leave_out_foreign: bool,
) -> Result<Vec<String>> {
    check_restorable(db, leave_out_foreign).await?;
    busy(session, "copying the file", vacuum_into(db, stage)).await?;
    // What counts is the state that is in the copy.
    let copy = open_file(stage).await?;
    let left_out = check_restorable(&copy, leave_out_foreign).await;
    copy.close().await?;
    left_out
}

/// Makes sure that a restore would accept what an SQLite store holds, and returns the tables that
/// it would leave out. Migrations may be missing: a restore applies them.
async fn check_restorable(db: &Database, leave_out_foreign: bool) -> Result<Vec<String>> {
    let mut applied = 0;
    for set in MIGRATIONS {
        let migrator = db.migrations(set);
        for migration in migrator.status().await? {
            match migration.state {
                MigrationState::HalfApplied(_) => return Err(half_applied(set.name, &migration)),
                MigrationState::Pending => {}
                _ => applied += 1,
            }
        }
        migrator.plan().await?;
    }
    if applied == 0 {
        let message = "the database holds no store of Athena: none of its migrations was applied";
        return Err(Error::new(Code::InvalidState, message));
    }
    let foreign = foreign_parts(db, &MIGRATIONS).await?;
    if foreign.sets.is_empty() || leave_out_foreign {
        return Ok(foreign.tables);
    }
    let message = format!(
        "the store also has the migrations of `{}`, whose tables `athena restore` cannot bring back ({}); \
         add `--{LEAVE_OUT_FOREIGN}` to go on without them",
        foreign.sets.join("`, `"),
        foreign.tables.join(", ")
    );
    Err(Error::new(Code::Conflict, message))
}

fn half_applied(set: &str, migration: &MigrationStatus) -> Error {
    let message = format!(
        "migration {} `{}` of `{set}` stopped half-way; finish it with `athena db migrate up`, and back up then",
        migration.version, migration.name
    );
    Error::new(Code::InvalidState, message)
}

/// Opens an SQLite store that can be written, which SQLite wants for copying a whole file.
async fn open_writable_file(settings: &DatabaseSettings) -> Result<Option<Database>> {
    let Some(file) = sqlite_file(&settings.url) else {
        return Ok(None);
    };
    if !file.exists() {
        let message = format!("there is no store at `{}`", file.display());
        return Err(Error::new(Code::NotFound, message));
    }
    let opened = compose::patient(compose::builder(settings)).open().await;
    match opened.map_err(Error::from) {
        Err(error) if error.code() == Code::ReadOnly => Ok(None),
        opened => opened.map(Some),
    }
}

/// Writes down what the file holds, and puts it into its final form.
async fn describe(
    stage: &Path,
    finished: &Path,
    backend: String,
    made_at: Timestamp,
) -> Result<Manifest> {
    let db = open_stage(stage).await?;
    let manifest = Manifest {
        made_at,
        made_by: env!("CARGO_PKG_VERSION").to_owned(),
        backend,
        tables: digest_database(&db).await?,
    };
    let table = format!("CREATE TABLE {MANIFEST} (manifest TEXT NOT NULL) STRICT");
    db.execute(table, Params::new()).await?;
    let text = serde_json::to_string(&manifest).map_err(Error::internal)?;
    let insert = format!("INSERT INTO {MANIFEST} (manifest) VALUES (:manifest)");
    db.execute(insert, params! { manifest: text }).await?;
    vacuum_into(&db, finished).await?;
    db.close().await?;
    Ok(manifest)
}

/// Opens a file that nobody else knows; it need not survive a power cut.
async fn open_stage(path: &Path) -> Result<Database> {
    let builder = Database::builder(&sqlite_url(path)).durability(Durability::Normal);
    Ok(compose::patient(builder).open().await?)
}

async fn vacuum_into(db: &Database, path: &Path) -> Result<()> {
    let path = path.to_str().ok_or_else(|| {
        let message = format!("`{}` is no UTF-8; choose another directory", path.display());
        Error::new(Code::InvalidInput, message)
    })?;
    let sql = format!("VACUUM INTO '{}'", path.replace('\'', "''"));
    db.execute_alone(sql).await?;
    Ok(())
}

/// Makes the file safe on the disk and gives it its name, unless that was taken meanwhile.
fn publish(finished: &Path, path: &Path, folder: &Path) -> Result<u64> {
    let fail = |error: io::Error| at_path("write", path, error);
    let file = std::fs::File::open(finished).map_err(fail)?;
    file.sync_all().map_err(fail)?;
    let bytes = file.metadata().map_err(fail)?.len();
    refuse_existing(path)?;
    std::fs::rename(finished, path).map_err(fail)?;
    std::fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(fail)?;
    Ok(bytes)
}

async fn open_file(path: &Path) -> Result<Database> {
    let builder = Database::builder(&sqlite_url(path)).read_only(true);
    Ok(compose::patient(builder).open().await?)
}

async fn check_file(path: &Path, manifest: &Manifest) -> Result<()> {
    let db = open_file(path).await?;
    let checked = check_content(&db, path, manifest).await;
    db.close().await?;
    checked
}

async fn open_archive(file: &str) -> Result<Database> {
    let path = Path::new(file);
    if !path.is_file() {
        let hint = match file.parse::<u64>() {
            Ok(id) => format!("; a forgotten memory comes back with `athena unforget {id}`"),
            Err(_) => String::new(),
        };
        let message = format!("there is no backup at `{file}`{hint}");
        return Err(Error::new(Code::NotFound, message));
    }
    open_file(path).await
}

/// Reads the manifest and compares the file with it.
async fn check(archive: &Database, path: &Path) -> Result<Manifest> {
    let manifest = read_manifest(archive, path).await?;
    check_content(archive, path, &manifest).await?;
    Ok(manifest)
}

async fn read_manifest(archive: &Database, path: &Path) -> Result<Manifest> {
    if !archive.schema().table_exists(MANIFEST).await? {
        let message = format!(
            "`{}` is no backup of `athena backup`; a store is copied with `athena db copy --from sqlite:{}`",
            path.display(),
            path.display()
        );
        return Err(Error::new(Code::InvalidInput, message));
    }
    let select = format!("SELECT manifest FROM {MANIFEST}");
    let Scalar(text): Scalar<String> = archive.fetch_one(select, Params::new()).await?;
    serde_json::from_str(&text).map_err(|error| damaged(path, "its manifest").with_source(error))
}

async fn check_content(db: &Database, path: &Path, manifest: &Manifest) -> Result<()> {
    let verdict: Vec<Scalar<String>> = db
        .fetch_all("PRAGMA integrity_check", Params::new())
        .await?;
    if verdict.iter().any(|Scalar(line)| line != "ok") {
        return Err(damaged(path, "the file itself"));
    }
    let mut found = digest_database(db).await?;
    found.retain(|table| table.table != MANIFEST);
    match found.iter().find(|table| !manifest.tables.contains(table)) {
        Some(table) => Err(damaged(path, &format!("its table `{}`", table.table))),
        None if found.len() != manifest.tables.len() => {
            Err(damaged(path, "a table that is missing"))
        }
        None => Ok(()),
    }
}

fn damaged(path: &Path, what: &str) -> Error {
    let message = format!(
        "the backup `{}` is damaged or was changed after it had been made: {what} is not as its manifest says; \
         use another backup",
        path.display()
    );
    Error::new(Code::InvalidState, message)
}

/// Copies a backup into a database, after bringing an older one up to date beside it.
async fn bring_back(
    session: &Session,
    archive: &Database,
    file: &str,
    manifest: Manifest,
    to: &DatabaseSettings,
) -> Result<(Manifest, Copied)> {
    let name = format!(
        "{} of {}",
        source_name(&sqlite_url(Path::new(file))),
        manifest.made_at
    );
    // What others made was told about when the backup was made, and cannot be brought back.
    let options = options(&name, true);
    if is_current(archive).await? {
        let copied = copy_into(session, archive, &options, to).await?;
        return Ok((manifest, copied));
    }
    let (_folder, migrated) = migrated(Path::new(file)).await?;
    let copied = copy_into(session, &migrated, &options, to).await;
    migrated.close().await?;
    Ok((manifest, copied?))
}

async fn is_current(archive: &Database) -> Result<bool> {
    for set in MIGRATIONS {
        if !archive.migrations(set).plan().await?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Brings a copy of a backup up to date; it goes with its directory.
async fn migrated(file: &Path) -> Result<(Staging, Database)> {
    let place = std::env::temp_dir();
    let folder = Staging::new_in(&place, ".athena-restore-")
        .map_err(|error| at_path("write to", &place, error))?;
    let path = folder.path().join("backup.db");
    std::fs::copy(file, &path).map_err(|error| at_path("copy", file, error))?;
    let db = open_stage(&path).await?;
    for set in MIGRATIONS {
        db.migrations(set).without_backup().up().await?;
    }
    Ok((folder, db))
}
