//! Why a migration is not applied, in words that name the way out.

use super::ledger::Line;
use super::migration_error;
use super::set::MigrationFile;
use crate::dialect::Dialect;
use crate::error::{Error, MigrationError};
use crate::sql::SqlError;

/// A migration that is about to be refused.
pub(super) struct Refusal<'a> {
    pub(super) set: &'a str,
    pub(super) file: &'a MigrationFile<'a>,
    pub(super) dialect: Dialect,
}

impl Refusal<'_> {
    /// The text is outside the portable subset, or this database cannot do what it says.
    pub(super) fn invalid(&self, error: &SqlError) -> Error {
        let kind = MigrationError::Invalid {
            set: self.set.to_owned(),
            version: self.file.version,
        };
        let message = format!(
            "{}: line {}, column {}: {}",
            self.title(),
            error.line,
            error.column,
            self.file.advise(self.dialect, error)
        );
        migration_error(kind, message)
    }

    /// A statement, counted from 1, failed.
    pub(super) fn failed(&self, statement: usize, error: Error) -> Error {
        let kind = MigrationError::Failed {
            set: self.set.to_owned(),
            version: self.file.version,
            statement,
        };
        let outcome = if self.dialect == Dialect::MySql {
            "what comes before it stays, and the next run goes on there"
        } else {
            "the migration was undone"
        };
        let message = format!(
            "{} failed at its statement {statement}, {outcome}: {error}",
            self.title()
        );
        migration_error(kind, message).with_source(error)
    }

    pub(super) fn changed(&self) -> Error {
        let kind = MigrationError::Changed {
            set: self.set.to_owned(),
            version: self.file.version,
        };
        let message = format!(
            "{} was edited after it had been applied; restore its text and add a new migration, \
             or `repair` the ledger if the change means nothing",
            self.title()
        );
        migration_error(kind, message)
    }

    pub(super) fn edited_half_way(&self, done: usize) -> Error {
        let kind = MigrationError::HalfApplied {
            set: self.set.to_owned(),
            version: self.file.version,
            statement: done + 1,
        };
        let message = format!(
            "{} was edited after its first {done} statements had been applied; `repair` the ledger \
             if these are as they were, and the next run goes on at statement {}",
            self.title(),
            done + 1
        );
        migration_error(kind, message)
    }

    pub(super) fn out_of_order(&self, newest: u32) -> Error {
        let kind = MigrationError::OutOfOrder {
            set: self.set.to_owned(),
            version: self.file.version,
        };
        let message = format!(
            "{} comes too late, the store is at version {newest}; give it a higher version or allow gaps",
            self.title()
        );
        migration_error(kind, message)
    }

    fn title(&self) -> String {
        format!(
            "migration {} `{}` of `{}`",
            self.file.version, self.file.name, self.set
        )
    }
}

/// The store is the target of a copy that was interrupted.
pub(super) fn unfinished_copy(line: &Line) -> Error {
    let kind = MigrationError::UnfinishedCopy {
        source: line.name.clone(),
    };
    let message = format!(
        "the store is the unfinished copy of `{}`; start the copy again to finish it",
        line.name
    );
    migration_error(kind, message)
}

/// The store has a version beyond the newest one of the set.
pub(super) fn newer(set: &str, found: u32, known: u32) -> Error {
    let kind = MigrationError::NewerStore {
        set: set.to_owned(),
        found,
        known,
    };
    let message = format!(
        "the store is at version {found} of `{set}` and this programme knows version {known}; use a newer programme"
    );
    migration_error(kind, message)
}

/// The store has a version that the set skips.
pub(super) fn missing(set: &str, line: &Line) -> Error {
    let kind = MigrationError::Missing {
        set: set.to_owned(),
        version: line.version,
    };
    let message = format!(
        "the store has migration {} `{}` of `{set}` and this programme does not; restore it, \
         or `repair` the ledger if it was only given another number",
        line.version, line.name
    );
    migration_error(kind, message)
}

/// A version was named that the set does not have.
pub(super) fn unknown(set: &str, version: u32) -> Error {
    let kind = MigrationError::Unknown {
        set: set.to_owned(),
        version,
    };
    migration_error(kind, format!("`{set}` has no version {version}"))
}
