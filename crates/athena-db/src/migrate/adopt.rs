//! Correcting the ledger by hand: repairing it, and taking over what something else has applied.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::ledger::{self, Line};
use super::set::MigrationFile;
use super::turn::Turn;
use super::{Migrator, refusal};
use crate::dialect::Dialect;
use crate::error::Result;
use crate::executor::Executor;
use crate::{FromRow, params};

/// Something that [`Migrator::repair`] changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// The version.
    pub version: u32,
    /// The name.
    pub name: String,
    /// What was changed.
    pub repair: Repair,
}

/// What [`Migrator::repair`] changed in a line of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Repair {
    /// The text as it is now counts as what was applied.
    Accepted,
    /// The migration had this number when it was applied.
    Renumbered(u32),
    /// The migration stopped half-way and was edited: the next run goes on at this statement.
    Resumes(usize),
}

/// A migration that [`Migrator::baseline_from_ia_migrations`] took over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Adopted {
    /// The version.
    pub version: u32,
    /// The name in the set.
    pub name: String,
    /// Whether the text is, byte for byte, what the other ledger says was applied.
    pub same_text: bool,
}

/// A line of the ledger that a store brings along.
#[derive(Debug, FromRow)]
struct Foreign {
    version: String,
    checksum: Option<String>,
    applied_at: Option<String>,
}

impl Migrator<'_> {
    /// Makes the ledger fit the set, and says what it changed: the text of an edited migration is
    /// accepted as it is, one with a new number is found by its content, and one that stopped
    /// half-way and was edited goes on where it stopped. Runs nothing else.
    ///
    /// A migration that is applied and gone for good stays refused: nobody could say any more what
    /// the store looks like. [`Migrator::verify`] tells whether an edited text is what is there.
    ///
    /// # Errors
    ///
    /// What reading and writing the ledger meets.
    pub async fn repair(&self) -> Result<Vec<Repaired>> {
        self.set.check_versions()?;
        let turn = Turn::begin(self.db).await?;
        let repaired = self.repair_lines(&turn).await;
        turn.end(repaired).await
    }

    /// Marks all versions up to this one as applied without running them, and returns those that
    /// were not. For a store that came to its tables in another way.
    ///
    /// # Errors
    ///
    /// [`MigrationError::Unknown`](crate::MigrationError::Unknown) if the set has no such version.
    pub async fn baseline(&self, version: u32) -> Result<Vec<u32>> {
        self.set.check_versions()?;
        if self.set.file(version).is_none() {
            return Err(refusal::unknown(self.set.name, version));
        }
        let turn = Turn::begin(self.db).await?;
        let marked = self.mark_up_to(&turn, version).await;
        turn.end(marked).await
    }

    /// Marks as applied what the table `ia_migrations` of the store says is: its rows of one type,
    /// `app` or `system`. The table itself is left alone. Without it, nothing is adopted.
    ///
    /// # Errors
    ///
    /// [`MigrationError::Unknown`](crate::MigrationError::Unknown) if a row has a version that the
    /// set lacks; then nothing is adopted.
    pub async fn baseline_from_ia_migrations(&self, migration_type: &str) -> Result<Vec<Adopted>> {
        self.set.check_versions()?;
        if !self.db.schema().table_exists("ia_migrations").await? {
            return Ok(Vec::new());
        }
        let turn = Turn::begin(self.db).await?;
        let adopted = self.adopt(&turn, migration_type).await;
        turn.end(adopted).await
    }

    async fn mark_up_to(&self, turn: &Turn, version: u32) -> Result<Vec<u32>> {
        let lines = ledger::read(turn, self.set.name).await?;
        let mut versions = Vec::new();
        for file in self.set.files.iter().filter(|file| file.version <= version) {
            if self.mark(turn, file, &lines, Timestamp::now()).await? {
                versions.push(file.version);
            }
        }
        Ok(versions)
    }

    async fn adopt(&self, turn: &Turn, migration_type: &str) -> Result<Vec<Adopted>> {
        let sql = crate::sql! {
            sqlite: "SELECT CAST(version AS TEXT) AS version, checksum, CAST(applied_at AS TEXT) AS applied_at
                     FROM ia_migrations WHERE migration_type = :migration_type ORDER BY id",
            postgres: "SELECT version::text AS version, checksum::text AS checksum, applied_at::text AS applied_at
                       FROM ia_migrations WHERE migration_type = :migration_type ORDER BY id",
            mysql: "SELECT CAST(version AS CHAR) AS version, checksum, CAST(applied_at AS CHAR) AS applied_at
                    FROM ia_migrations WHERE migration_type = :migration_type ORDER BY id",
        };
        let rows: Vec<Foreign> = turn
            .fetch_all(sql, params! { migration_type: migration_type })
            .await?;
        let lines = ledger::read(turn, self.set.name).await?;
        let mut all = Vec::new();
        for row in rows {
            let version = number(&row.version).unwrap_or_default();
            let file = self.set.file(version);
            let file = file.ok_or_else(|| refusal::unknown(self.set.name, version))?;
            let applied_at = row.applied_at.as_deref().and_then(time);
            self.mark(
                turn,
                file,
                &lines,
                applied_at.unwrap_or_else(Timestamp::now),
            )
            .await?;
            all.push(Adopted {
                version,
                name: file.name.to_owned(),
                same_text: row.checksum.as_deref() == Some(&*raw_checksum(file, turn.dialect())),
            });
        }
        Ok(all)
    }

    /// Marks one migration as applied; returns whether it was not.
    async fn mark(
        &self,
        turn: &Turn,
        file: &MigrationFile<'_>,
        lines: &[Line],
        applied_at: Timestamp,
    ) -> Result<bool> {
        let line = lines.iter().find(|line| line.version == file.version);
        match line {
            Some(line) if line.finished_at.is_some() => return Ok(false),
            Some(line) => ledger::finish(turn, self.set.name, line.version).await?,
            None => {
                ledger::insert(turn, self.set.name, file, 0, applied_at, Some(applied_at)).await?;
            }
        }
        self.record(turn, file).await?;
        Ok(true)
    }

    async fn repair_lines(&self, turn: &Turn) -> Result<Vec<Repaired>> {
        let lines = ledger::read(turn, self.set.name).await?;
        let mut all = Vec::new();
        for line in &lines {
            all.extend(self.repair_line(turn, line, &lines).await?);
        }
        Ok(all)
    }

    async fn repair_line(
        &self,
        turn: &Turn,
        line: &Line,
        lines: &[Line],
    ) -> Result<Option<Repaired>> {
        let dialect = turn.dialect();
        let (file, repair) = match self.set.file(line.version) {
            Some(file) if file.checksum(dialect) == line.checksum => return Ok(None),
            Some(file) => (
                file,
                line.unfinished()
                    .map_or(Repair::Accepted, |done| Repair::Resumes(done + 1)),
            ),
            None => {
                let unused = |file: &&MigrationFile<'_>| {
                    file.checksum(dialect) == line.checksum
                        && !lines.iter().any(|line| line.version == file.version)
                };
                let Some(file) = self.set.files.iter().find(unused) else {
                    return Ok(None);
                };
                (file, Repair::Renumbered(line.version))
            }
        };
        turn.execute(
            "UPDATE athena_migrations SET version = :new_version, name = :name, checksum = :checksum
             WHERE set_name = :set_name AND version = :version",
            params! {
                new_version: file.version,
                name: file.name,
                checksum: file.checksum(dialect),
                set_name: self.set.name,
                version: line.version,
            },
        )
        .await?;
        Ok(Some(Repaired {
            version: file.version,
            name: file.name.to_owned(),
            repair,
        }))
    }
}

/// Reads `V001`, `001` or `1`.
fn number(version: &str) -> Option<u32> {
    version.trim_start_matches(['V', 'v']).parse().ok()
}

/// Reads a time as any of the databases writes it; without an offset it is UTC.
fn time(text: &str) -> Option<Timestamp> {
    let civil = || DateTime::from_str(text).ok()?.to_zoned(TimeZone::UTC).ok();
    let parsed = Timestamp::from_str(text).ok();
    parsed.or_else(|| civil().map(|zoned| zoned.timestamp()))
}

/// The checksum of the other ledger: SHA-256 over the bytes of the text.
fn raw_checksum(file: &MigrationFile<'_>, dialect: Dialect) -> String {
    let digest = Sha256::digest(file.text_for(dialect).unwrap_or(file.sql));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
