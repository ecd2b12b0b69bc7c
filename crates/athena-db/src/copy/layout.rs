//! What a table looks like to a copy: its columns with their types, its keys, its place in the order.

use std::collections::BTreeSet;

use super::refused;
use crate::dialect::Dialect;
use crate::error::{CopyError, Error, Result};
use crate::executor::Executor;
use crate::migrate::MigrationSet;
use crate::row::Row;
use crate::schema::{ForeignKey, Generated, Schema, Table};
use crate::sql::{ColumnChange, LogicalType, column_changes};
use crate::value::Value;

/// A table that is copied.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) name: String,
    columns: Vec<(String, Option<LogicalType>)>,
    primary_key: Vec<String>,
    /// The tables that must be there first.
    needs: BTreeSet<String>,
    /// The references to rows of the same table.
    parents: Vec<ForeignKey>,
}

/// Describes the tables that the sets made, referenced ones first.
pub(super) async fn of(db: &impl Executor, sets: &[&MigrationSet<'_>]) -> Result<Vec<Layout>> {
    let declared = declared_tables(sets)?;
    let tables = Schema::of(db).tables().await?;
    let tables = tables.iter().filter(|table| declared.contains(&table.name));
    in_order(db.dialect(), tables.map(Layout::new).collect())
}

/// Lists the tables that the sets make.
pub(super) fn declared_tables(sets: &[&MigrationSet<'_>]) -> Result<BTreeSet<String>> {
    let mut tables = BTreeSet::new();
    for file in sets.iter().flat_map(|set| set.files) {
        for change in column_changes(file.sql)? {
            match change {
                ColumnChange::Added(column) => {
                    tables.insert(column.table);
                }
                ColumnChange::TableDropped { table } => {
                    tables.remove(&table);
                }
                ColumnChange::TableRenamed { from, to } => {
                    tables.remove(&from);
                    tables.insert(to);
                }
                ColumnChange::Dropped { .. } | ColumnChange::Renamed { .. } => {}
            }
        }
    }
    Ok(tables)
}

impl Layout {
    pub(super) fn new(table: &Table) -> Self {
        let computed =
            |generated: &Option<Generated>| matches!(generated, Some(Generated::Expression(_)));
        let columns = table
            .columns
            .iter()
            .filter(|column| !computed(&column.generated))
            .map(|column| (column.name.clone(), column.kind));
        let (to_itself, to_others): (Vec<&ForeignKey>, Vec<&ForeignKey>) = table
            .foreign_keys
            .iter()
            .partition(|key| key.table == table.name);
        let primary_key = table.primary_key().into_iter().map(str::to_owned);
        Self {
            name: table.name.clone(),
            columns: columns.collect(),
            primary_key: primary_key.collect(),
            needs: to_others.iter().map(|key| key.table.clone()).collect(),
            parents: to_itself.into_iter().cloned().collect(),
        }
    }

    pub(super) fn column_names(&self) -> Vec<&str> {
        self.columns.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Reads all rows, in any order.
    pub(super) fn select(&self, dialect: Dialect) -> String {
        let columns = list(dialect, self.column_names(), "");
        format!("SELECT {columns} FROM {}", dialect.quote(&self.name))
    }

    /// Reads all rows by the primary key, or, where rows refer to others of their table, parents
    /// first.
    pub(super) fn select_in_order(&self, dialect: Dialect) -> String {
        let key = self.primary_key.iter().map(String::as_str);
        match self.parents.as_slice() {
            [parent, ..] => self.select_parents_first(dialect, parent),
            [] if self.primary_key.is_empty() => self.select(dialect),
            [] => {
                let key = list(dialect, key, "");
                format!("{} ORDER BY {key}", self.select(dialect))
            }
        }
    }

    /// A row that refers to itself counts as one without a parent. Rows in a circle are not found,
    /// and are missing in the end.
    fn select_parents_first(&self, dialect: Dialect, parent: &ForeignKey) -> String {
        let pairs = || parent.columns.iter().zip(&parent.references);
        let equal = |left: &str, right: &str| {
            let equal = pairs().map(|(column, reference)| {
                let (column, reference) = (dialect.quote(column), dialect.quote(reference));
                format!("{left}{column} = {right}{reference}")
            });
            equal.collect::<Vec<_>>().join(" AND ")
        };
        let nothing = parent
            .columns
            .iter()
            .map(|column| format!("{} IS NULL", dialect.quote(column)));
        let same = parent.references.iter().map(|reference| {
            let reference = dialect.quote(reference);
            format!("t.{reference} = d.{reference}")
        });
        let references = || parent.references.iter().map(String::as_str);
        let key = self.primary_key.iter().map(String::as_str);
        format!(
            "WITH RECURSIVE athena_depths AS (
                SELECT {references}, 0 AS athena_depth FROM {table} WHERE {nothing} OR ({itself})
                UNION ALL
                SELECT {of_child}, d.athena_depth + 1 FROM {table} c JOIN athena_depths d ON {child} WHERE NOT ({own_child})
             )
             SELECT {columns} FROM {table} t JOIN athena_depths d ON {same} ORDER BY d.athena_depth, {key}",
            references = list(dialect, references(), ""),
            table = dialect.quote(&self.name),
            nothing = nothing.collect::<Vec<_>>().join(" OR "),
            itself = equal("", ""),
            of_child = list(dialect, references(), "c."),
            child = equal("c.", "d."),
            own_child = equal("c.", "c."),
            columns = list(dialect, self.column_names(), "t."),
            same = same.collect::<Vec<_>>().join(" AND "),
            key = list(dialect, key, "t."),
        )
    }

    /// Returns a row in the types that the migrations declared.
    pub(super) fn typed(&self, row: Row) -> Result<Vec<Value>> {
        let values = row.into_values().into_iter().zip(&self.columns);
        values
            .map(|(value, (column, logical))| {
                let Some(logical) = logical else {
                    return Ok(value);
                };
                value.as_logical(*logical).ok_or_else(|| {
                    let column = format!("{}.{column}", self.name);
                    Error::mismatch(column, logical.to_string(), value.type_name())
                })
            })
            .collect()
    }

    /// Makes sure that the target has the same columns.
    pub(super) fn check(&self, found: &[Table]) -> Result<()> {
        let mut missing = self.columns.iter().filter(|(name, logical)| {
            let table = found.iter().find(|table| table.name == self.name);
            let column = table.and_then(|table| table.column(name));
            column.is_none_or(|column| column.kind != *logical)
        });
        match missing.next() {
            None => Ok(()),
            Some((column, _)) => {
                let message = format!(
                    "the column `{column}` of `{}` is not the same in source and target; compare both with their migrations",
                    self.name
                );
                let table = self.name.clone();
                Err(refused(CopyError::Differs { table }, message))
            }
        }
    }
}

fn list<'a>(dialect: Dialect, names: impl IntoIterator<Item = &'a str>, prefix: &str) -> String {
    let names = names
        .into_iter()
        .map(|name| format!("{prefix}{}", dialect.quote(name)));
    names.collect::<Vec<_>>().join(", ")
}

/// Puts referenced tables first, and refuses what has no such order.
fn in_order(dialect: Dialect, mut left: Vec<Layout>) -> Result<Vec<Layout>> {
    if let Some(layout) = left.iter().find(|layout| layout.parents.len() > 1) {
        let feature = format!(
            "copying `{}`, whose rows refer to each other in several ways,",
            layout.name
        );
        return Err(unordered(dialect, feature));
    }
    let mut ordered: Vec<Layout> = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let names: BTreeSet<String> = left.iter().map(|layout| layout.name.clone()).collect();
        let (ready, waiting): (Vec<_>, Vec<_>) = left
            .into_iter()
            .partition(|layout| layout.needs.is_disjoint(&names));
        if ready.is_empty() {
            let names: Vec<String> = names.into_iter().collect();
            let names = names.join(", ");
            let feature = format!("copying tables that refer to each other in a circle ({names})");
            return Err(unordered(dialect, feature));
        }
        ordered.extend(ready);
        left = waiting;
    }
    Ok(ordered)
}

fn unordered(dialect: Dialect, feature: String) -> Error {
    Error::unsupported(feature, dialect, "give up one of the foreign keys")
}
