//! Migrations: numbered scripts that are applied once, in order, by one process at a time.
//!
//! A script is written in the portable subset of [`translate`](crate::translate); where that does
//! not do, a text for one dialect stands beside it and is run as it is. On SQLite and PostgreSQL
//! each migration is one transaction together with its line in the ledger `athena_migrations`, so
//! it is there or not. MySQL commits every definition by itself: there the ledger is advanced
//! after each statement, and a migration that stopped half-way goes on at the statement where it
//! stopped, in a fresh session: what an override has set is gone. Processes that start together
//! take turns.
//!
//! The checksum goes over tokens: white space, comments and line ends may change afterwards, the
//! meaning may not. The logical types of all columns are kept in `athena_columns`, because SQLite
//! would forget that an integer is a boolean or a time.
//!
//! There are no down scripts: expand first, contract in a later version. Before the first pending
//! migration touches a SQLite file that holds rows, a copy is put beside it.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::database::Database;
use crate::dialect::Dialect;
use crate::error::{Error, ErrorKind, MigrationError, Result};
use crate::executor::Executor;
use crate::params::Params;
use crate::plan::Work;

mod adopt;
mod backup;
mod ledger;
mod refusal;
mod set;
mod steps;
mod turn;
mod verify;

pub use self::adopt::{Adopted, Repair, Repaired};
pub(crate) use self::ledger::UNFINISHED_COPY;
pub use self::set::{MigrationFile, MigrationFolder, MigrationSet, SetProblem};
pub(crate) use self::turn::Turn;

use self::backup::Backup;
use self::ledger::Line;
use self::refusal::Refusal;

/// Applies a set of migrations to a database; [`Database::migrations`] makes it.
#[derive(Debug, Clone)]
pub struct Migrator<'a> {
    db: &'a Database,
    set: &'a MigrationSet<'a>,
    allow_gaps: bool,
    backup: Backup,
    within_copy: bool,
}

/// What [`Migrator::up`] did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// The versions applied by this call; empty if there was nothing to do.
    pub versions: Vec<u32>,
    /// The version of the store now; 0 if the set is empty.
    pub current: u32,
    /// Where the store as it was before was copied to, if it was.
    pub backup: Option<PathBuf>,
}

/// A migration that is to be applied, as [`Migrator::plan`] shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// The version.
    pub version: u32,
    /// The name.
    pub name: String,
    /// The file that is run: the script, or what overrides it on this database.
    pub file: String,
    /// The statements as the database gets them; on MySQL a change that is run in steps, as it was
    /// written.
    pub statements: Vec<String>,
    /// How many of them are done already, where an earlier run stopped half-way.
    pub done: usize,
}

/// One migration and how the store stands to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MigrationStatus {
    /// The version.
    pub version: u32,
    /// The name; of an unknown version the one in the ledger.
    pub name: String,
    /// How the store stands to it.
    pub state: MigrationState,
}

/// How a store stands to a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MigrationState {
    /// It was applied at this time.
    Applied(Timestamp),
    /// It was applied, and edited afterwards.
    Changed(Timestamp),
    /// It was not applied yet.
    Pending,
    /// It stopped after so many of its statements (MySQL).
    HalfApplied(usize),
    /// It was applied and this programme does not know it.
    Unknown(Timestamp),
}

/// A migration may rebuild a big table.
const DEADLINE: Duration = Duration::from_secs(3600);

impl<'a> Migrator<'a> {
    pub(crate) fn new(db: &'a Database, set: &'a MigrationSet<'a>) -> Self {
        Self {
            db,
            set,
            allow_gaps: false,
            backup: Backup::default(),
            within_copy: false,
        }
    }

    /// Also migrates the target of an unfinished copy: for the copy itself.
    pub(crate) fn within_copy(mut self) -> Self {
        self.within_copy = true;
        self
    }

    /// Also applies migrations below the newest applied one, as branches that were merged late
    /// bring them. Without it they are refused.
    #[must_use]
    pub fn allow_gaps(mut self) -> Self {
        self.allow_gaps = true;
        self
    }

    /// Puts the copy of a SQLite file here instead of beside it. Whatever the file holds: it must
    /// not exist yet.
    #[must_use]
    pub fn backup_to(mut self, path: impl Into<PathBuf>) -> Self {
        self.backup = Backup::To(path.into());
        self
    }

    /// Makes no copy of a SQLite file before it is changed.
    #[must_use]
    pub fn without_backup(mut self) -> Self {
        self.backup = Backup::None;
        self
    }

    /// Lists the migrations of the set and the store's unknown ones, by version.
    ///
    /// Changes nothing; a store without a ledger has everything pending.
    ///
    /// # Errors
    ///
    /// What reading the ledger meets.
    pub async fn status(&self) -> Result<Vec<MigrationStatus>> {
        let lines = self.lines(self.db).await?;
        let known = self
            .set
            .files
            .iter()
            .map(|file| self.status_of(file, &lines));
        let unknown = lines
            .iter()
            .filter(|line| self.set.file(line.version).is_none());
        let unknown = unknown.map(|line| MigrationStatus {
            version: line.version,
            name: line.name.clone(),
            state: MigrationState::Unknown(line.finished_at.unwrap_or_default()),
        });
        let mut all: Vec<MigrationStatus> = known.chain(unknown).collect();
        all.sort_by_key(|status| status.version);
        Ok(all)
    }

    /// Returns what [`Migrator::up`] would do, statement by statement. Touches nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Migration`] where `up` would refuse.
    pub async fn plan(&self) -> Result<Vec<Planned>> {
        self.set.check_versions()?;
        let lines = self.lines(self.db).await?;
        let pending = self.pending(&lines)?;
        pending
            .into_iter()
            .map(|file| self.planned(file, &lines))
            .collect()
    }

    /// Applies what is pending, in order. Safe to call from many processes at once and again.
    ///
    /// Nothing is touched before all pending migrations have been translated. A SQLite file that
    /// holds rows is copied first, and the newest three copies are kept.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Migration`] if the store is newer than the set, if an applied migration was
    /// edited or is missing, or if a statement fails. Nothing of the failed migration stays (on
    /// MySQL the statements before the failed one do), the migrations before it do.
    pub async fn up(&self) -> Result<Applied> {
        let mut applied = Applied {
            versions: Vec::new(),
            current: self.set.newest(),
            backup: None,
        };
        // The common case, a store that is up to date, takes no lock.
        let Some(first) = self.plan().await?.into_iter().next() else {
            return Ok(applied);
        };
        applied.backup = self.back_up(first.version).await?;
        if self.db.dialect() == Dialect::MySql {
            applied.versions = steps::up(self).await?;
            return Ok(applied);
        }
        while let Some(version) = self.apply_next().await? {
            applied.versions.push(version);
        }
        Ok(applied)
    }

    /// Applies the first pending migration, unless another process is faster with all of them.
    async fn apply_next(&self) -> Result<Option<u32>> {
        loop {
            let lines = self.lines(self.db).await?;
            let Some(file) = self.pending(&lines)?.into_iter().next() else {
                return Ok(None);
            };
            let turn = match file.text_for(self.db.dialect()) {
                Some(_) => Turn::begin_unenforced(self.db).await?,
                None => Turn::begin(self.db).await?,
            };
            let applied = self.apply_if_first(&turn, file).await;
            if turn.end(applied).await? {
                tracing::info!(target: "athena_db", set = self.set.name, version = file.version, name = file.name, "applied a migration");
                return Ok(Some(file.version));
            }
        }
    }

    /// Applies a migration if it still is the first pending one; returns whether it was.
    async fn apply_if_first(&self, turn: &Turn, file: &MigrationFile<'_>) -> Result<bool> {
        let lines = self.lines(turn).await?;
        let first = self.pending(&lines)?.into_iter().next();
        if first.is_none_or(|first| first.version != file.version) {
            return Ok(false);
        }
        self.apply(turn, file).await?;
        Ok(true)
    }

    async fn apply(&self, turn: &Turn, file: &MigrationFile<'_>) -> Result<()> {
        let started_at = Timestamp::now();
        let statements = self.statements(file)?;
        for (index, statement) in statements.iter().enumerate() {
            batch(turn, statement)
                .await
                .map_err(|error| self.refusal(file).failed(index + 1, error))?;
        }
        if turn.dialect() == Dialect::Sqlite && file.sqlite.is_some() {
            check_references(turn)
                .await
                .map_err(|error| self.refusal(file).failed(statements.len(), error))?;
        }
        self.record(turn, file).await?;
        let finished_at = Some(Timestamp::now());
        let done = statements.len();
        ledger::insert(turn, self.set.name, file, done, started_at, finished_at).await
    }

    /// Writes down the logical types of the columns.
    async fn record(&self, db: &impl Executor, file: &MigrationFile<'_>) -> Result<()> {
        if let Err(error) = crate::sql::column_changes(file.sql) {
            return Err(self.refusal(file).invalid(&error));
        }
        ledger::record_columns(db, file).await
    }

    /// Reads the set's lines of the ledger.
    async fn lines(&self, db: &impl Executor) -> Result<Vec<Line>> {
        if self.within_copy {
            return ledger::read_within_copy(db, self.set.name).await;
        }
        ledger::read(db, self.set.name).await
    }

    /// Lists the migrations to apply, or says why none may be.
    fn pending(&self, lines: &[Line]) -> Result<Vec<&'a MigrationFile<'a>>> {
        for line in lines {
            self.judge(line, lines)?;
        }
        let is_pending = |file: &&MigrationFile<'_>| {
            let line = lines.iter().find(|line| line.version == file.version);
            line.is_none_or(|line| line.finished_at.is_none())
        };
        let pending: Vec<&MigrationFile<'_>> = self.set.files.iter().filter(is_pending).collect();
        let newest = newest(lines);
        match pending.first() {
            Some(file) if file.version < newest && !self.allow_gaps => {
                Err(self.refusal(file).out_of_order(newest))
            }
            _ => Ok(pending),
        }
    }

    /// Refuses a line of the ledger that does not fit the set.
    fn judge(&self, line: &Line, lines: &[Line]) -> Result<()> {
        let known = self.set.newest();
        let Some(file) = self.set.file(line.version) else {
            return Err(if line.version > known {
                refusal::newer(self.set.name, newest(lines), known)
            } else {
                refusal::missing(self.set.name, line)
            });
        };
        if file.checksum(self.db.dialect()) == line.checksum {
            return Ok(());
        }
        Err(match line.unfinished() {
            Some(done) => self.refusal(file).edited_half_way(done),
            None => self.refusal(file).changed(),
        })
    }

    fn planned(&self, file: &MigrationFile<'_>, lines: &[Line]) -> Result<Planned> {
        let dialect = self.db.dialect();
        let overriding = file.text_for(dialect).map(|_| dialect);
        let mut statements = self.statements(file)?;
        if dialect == Dialect::MySql && overriding.is_none() {
            statements = statements.into_iter().map(steps::as_sent).collect();
        }
        let line = lines.iter().find(|line| line.version == file.version);
        Ok(Planned {
            version: file.version,
            name: file.name.to_owned(),
            file: file.file_name(overriding),
            statements,
            done: line.and_then(Line::unfinished).unwrap_or_default(),
        })
    }

    fn statements(&self, file: &MigrationFile<'_>) -> Result<Vec<String>> {
        let statements = file.statements(self.db.dialect());
        statements.map_err(|error| self.refusal(file).invalid(&error))
    }

    fn status_of(&self, file: &MigrationFile<'_>, lines: &[Line]) -> MigrationStatus {
        let line = lines.iter().find(|line| line.version == file.version);
        let state = line.map_or(MigrationState::Pending, |line| match line.finished_at {
            None => MigrationState::HalfApplied(line.unfinished().unwrap_or_default()),
            Some(at) if line.checksum == file.checksum(self.db.dialect()) => {
                MigrationState::Applied(at)
            }
            Some(at) => MigrationState::Changed(at),
        });
        MigrationStatus {
            version: file.version,
            name: file.name.to_owned(),
            state,
        }
    }

    fn refusal<'f>(&'f self, file: &'f MigrationFile<'f>) -> Refusal<'f> {
        Refusal {
            set: self.set.name,
            file,
            dialect: self.db.dialect(),
        }
    }
}

fn newest(lines: &[Line]) -> u32 {
    lines.iter().map(|line| line.version).max().unwrap_or(0)
}

/// Does for all rows what SQLite did not do for each while foreign keys were not enforced.
async fn check_references(turn: &Turn) -> Result<()> {
    let sql = "SELECT \"table\", parent FROM pragma_foreign_key_check LIMIT 1";
    let broken: Option<(String, String)> = turn.fetch_opt(sql, Params::new()).await?;
    broken.map_or(Ok(()), |(table, parent)| {
        let message = format!("rows of `{table}` refer to rows of `{parent}` that do not exist");
        Err(Error::new(ErrorKind::ForeignKey, message))
    })
}

/// Runs statements without parameters, several if need be, as they stand.
async fn batch(db: &impl Executor, text: &str) -> Result<()> {
    db.run(Work::Batch(text.to_owned())).await.map(|_| ())
}

fn migration_error(kind: MigrationError, message: String) -> Error {
    Error::new(ErrorKind::Migration(kind), message)
}
