//! A copy of a SQLite file before a migration changes it.

use std::path::{Path, PathBuf};

use super::{Migrator, ledger};
use crate::dialect::Dialect;
use crate::error::{Error, ErrorKind, Result};
use crate::executor::Executor;
use crate::params::Params;
use crate::row::Scalar;

/// Where the copy goes.
#[derive(Debug, Clone, Default)]
pub(super) enum Backup {
    /// Beside the file, if it holds rows.
    #[default]
    Beside,
    To(PathBuf),
    None,
}

/// Copies beside a file that are kept.
const KEPT: usize = 3;

impl Migrator<'_> {
    /// Copies the store before a version is applied; returns where to, or `None` if there was
    /// nothing to copy.
    pub(super) async fn back_up(&self, version: u32) -> Result<Option<PathBuf>> {
        let Some(file) = self.db.file() else {
            return Ok(None);
        };
        let target = match &self.backup {
            Backup::None => return Ok(None),
            Backup::To(path) => path.clone(),
            Backup::Beside if !self.has_rows().await? => return Ok(None),
            Backup::Beside => self.place_beside(&file, version),
        };
        let made = self.copy(&file, &target, version).await;
        let made = made.map_err(|error| cannot_copy(&file, &target, &error))?;
        if !made {
            return Ok(None);
        }
        if matches!(self.backup, Backup::Beside) {
            remove_older(&file);
        }
        tracing::info!(target: "athena_db", path = %target.display(), "copied the store before migrating it");
        Ok(Some(target))
    }

    fn place_beside(&self, file: &Path, version: u32) -> PathBuf {
        with_suffix(
            file,
            &format!("{}{}-V{version:03}{SUFFIX}", MARK, self.set.name),
        )
    }

    /// Copies the store, and keeps the copy if the version was still missing afterwards: else it
    /// could show the store as another process has migrated it meanwhile.
    async fn copy(&self, file: &Path, target: &Path, version: u32) -> Result<bool> {
        if matches!(self.backup, Backup::To(_)) && target.exists() {
            return Err(Error::new(ErrorKind::Other, "it exists already"));
        }
        let part = with_suffix(target, &format!(".{}.part", std::process::id()));
        prepare(file, &part).map_err(|error| in_words(&error))?;
        let result = self.fill(&part, version).await;
        let keep = matches!(result, Ok(true));
        let moved = if keep {
            std::fs::rename(&part, target)
        } else {
            std::fs::remove_file(&part)
        };
        let result = result?;
        moved.map_err(|error| in_words(&error))?;
        Ok(result)
    }

    async fn fill(&self, part: &Path, version: u32) -> Result<bool> {
        let path = part.to_str().ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported {
                    feature: "a path that is no UTF-8".to_owned(),
                    dialect: Dialect::Sqlite,
                },
                "its path is no UTF-8",
            )
        })?;
        let sql = format!("VACUUM INTO '{}'", path.replace('\'', "''"));
        self.db.execute_alone(sql).await?;
        let synced = async { tokio::fs::File::open(part).await?.sync_all().await };
        synced
            .await
            .map_err(|error: std::io::Error| in_words(&error))?;
        let lines = ledger::read(self.db, self.set.name).await?;
        Ok(!lines.iter().any(|line| line.version == version))
    }

    async fn has_rows(&self) -> Result<bool> {
        for table in self.db.schema().table_names().await? {
            let sql = format!(
                "SELECT EXISTS (SELECT 1 FROM {})",
                Dialect::Sqlite.quote(&table)
            );
            let Scalar(found): Scalar<bool> = self.db.fetch_one(sql, Params::new()).await?;
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

const MARK: &str = ".before-";
const SUFFIX: &str = ".bak";

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes an empty file that nobody may read who may not read the store.
fn prepare(file: &Path, part: &Path) -> std::io::Result<()> {
    let created = std::fs::File::create(part)?;
    created.set_permissions(std::fs::metadata(file)?.permissions())
}

/// Removes all but the newest copies; one that cannot be removed may stay.
fn remove_older(file: &Path) {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else {
        return;
    };
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let mark = format!("{}{MARK}", name.to_string_lossy());
    let is_copy = |name: &str| name.starts_with(&mark) && name.ends_with(SUFFIX);
    let mut copies: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(is_copy))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    copies.sort();
    for (_, path) in copies.iter().rev().skip(KEPT) {
        if let Err(error) = std::fs::remove_file(path) {
            tracing::warn!(target: "athena_db", path = %path.display(), %error, "could not remove an old copy");
        }
    }
}

fn in_words(error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Other, error.to_string())
}

fn cannot_copy(file: &Path, target: &Path, error: &Error) -> Error {
    let message = format!(
        "`{}` could not be copied to `{}` before migrating it, and was not changed: {error}",
        file.display(),
        target.display()
    );
    Error::new(error.kind().clone(), message).with_code(error.code().unwrap_or_default())
}
