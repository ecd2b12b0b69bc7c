//! Looking for drift: whether a store looks as its migrations would have made it.

use std::collections::{HashMap, HashSet};

use super::set::{MigrationFile, MigrationSet};
use super::{Migrator, ledger};
use crate::database::Database;
use crate::dialect::Dialect;
use crate::error::Result;
use crate::schema::{Difference, Scope, Table, differences};
use crate::sql::{ColumnChange, column_changes, translate};

impl Migrator<'_> {
    /// Compares the tables of the set with what its applied migrations make of an empty store, and
    /// lists the differences. Changes nothing.
    ///
    /// The other store is SQLite, in private. Where this one is not, expressions are not compared,
    /// and of a table that an override touched only what is missing counts. Tables that no
    /// migration of the set made are not looked at.
    ///
    /// # Errors
    ///
    /// What reading the store meets, and [`ErrorKind::Migration`](crate::ErrorKind::Migration)
    /// where [`Migrator::up`] would refuse.
    pub async fn verify(&self) -> Result<Vec<Difference>> {
        self.set.check_versions()?;
        let lines = ledger::read(self.db, self.set.name).await?;
        for line in &lines {
            self.judge(line, &lines)?;
        }
        let applied = |file: &&MigrationFile<'_>| {
            let line = lines.iter().find(|line| line.version == file.version);
            line.is_some_and(|line| line.finished_at.is_some())
        };
        let applied: Vec<&MigrationFile<'_>> = self.set.files.iter().filter(applied).collect();
        let expected = self.replay(&applied).await?;
        let found = self.db.schema().tables().await?;
        let loose = self.overridden_tables(&applied)?;
        Ok(compare(&expected, &found, |table| {
            match self.db.dialect() {
                Dialect::Sqlite => Scope::Exact,
                _ if loose.contains(table) => Scope::AtLeast,
                _ => Scope::Portable,
            }
        }))
    }

    /// Applies migrations to an empty store and describes its tables.
    async fn replay(&self, applied: &[&MigrationFile<'_>]) -> Result<Vec<Table>> {
        let db = Database::open("sqlite::memory:").await?;
        let is_sqlite = self.db.dialect() == Dialect::Sqlite;
        let files: Vec<MigrationFile<'_>> = applied
            .iter()
            .map(|file| MigrationFile {
                // What stands in for the script on SQLite alone says little about other stores.
                sqlite: file
                    .sqlite
                    .filter(|_| is_sqlite || translate(Dialect::Sqlite, file.sql).is_err()),
                ..**file
            })
            .collect();
        let set = MigrationSet {
            name: self.set.name,
            files: &files,
        };
        db.migrations(&set).up().await?;
        let tables = db.schema().tables().await?;
        db.close().await?;
        Ok(tables)
    }

    /// Lists the tables that an override of this database had a hand in.
    fn overridden_tables(&self, applied: &[&MigrationFile<'_>]) -> Result<HashSet<String>> {
        let mut tables = HashSet::new();
        for file in applied {
            if file.text_for(self.db.dialect()).is_some() {
                let changes = column_changes(file.sql);
                let changes = changes.map_err(|error| self.refusal(file).invalid(&error))?;
                tables.extend(changes.into_iter().map(table_of));
            }
        }
        Ok(tables)
    }
}

fn table_of(change: ColumnChange) -> String {
    match change {
        ColumnChange::Added(column) => column.table,
        ColumnChange::Dropped { table, .. }
        | ColumnChange::Renamed { table, .. }
        | ColumnChange::TableDropped { table }
        | ColumnChange::TableRenamed { to: table, .. } => table,
    }
}

fn compare(expected: &[Table], found: &[Table], scope: impl Fn(&str) -> Scope) -> Vec<Difference> {
    let found: HashMap<&str, &Table> = found
        .iter()
        .map(|table| (table.name.as_str(), table))
        .collect();
    let compare = |table: &Table| match found.get(table.name.as_str()) {
        Some(other) => differences(table, other, scope(&table.name)),
        None => vec![Difference {
            table: table.name.clone(),
            part: None,
            expected: Some("a table".to_owned()),
            found: None,
        }],
    };
    expected.iter().flat_map(compare).collect()
}
