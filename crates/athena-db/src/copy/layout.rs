//! What a table looks like to a copy: its columns with their types, its keys, its place in the order.

use std::collections::BTreeSet;

use super::digest::{encode, encode_json};
use super::{json, refused};
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
    columns: Vec<Column>,
    primary_key: Vec<String>,
    /// The tables that must be there first.
    needs: BTreeSet<String>,
    /// The references to rows of the same table.
    parents: Vec<ForeignKey>,
}

#[derive(Debug, Clone)]
struct Column {
    name: String,
    kind: Option<LogicalType>,
}

/// A row in the types that the migrations declared; JSON is its text.
#[derive(Debug)]
pub(super) struct TypedRow {
    pub(super) values: Vec<Value>,
    /// The values in the form that is hashed.
    pub(super) encoded: Vec<u8>,
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
            .map(|column| Column {
                name: column.name.clone(),
                kind: column.kind,
            });
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
        self.columns
            .iter()
            .map(|column| column.name.as_str())
            .collect()
    }

    /// Reads all rows, in any order.
    pub(super) fn select(&self, dialect: Dialect) -> String {
        let columns = self.selected(dialect, "");
        format!("SELECT {columns} FROM {}", dialect.quote(&self.name))
    }

    /// Lists what is read; a driver would round the numbers of a JSON document.
    fn selected(&self, dialect: Dialect, prefix: &str) -> String {
        let selected = self.columns.iter().map(|column| {
            let name = format!("{prefix}{}", dialect.quote(&column.name));
            match (dialect, column.kind) {
                (Dialect::Postgres, Some(LogicalType::Json)) => format!("CAST({name} AS text)"),
                (Dialect::MySql, Some(LogicalType::Json)) => format!("CAST({name} AS CHAR)"),
                _ => name,
            }
        });
        selected.collect::<Vec<_>>().join(", ")
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
            columns = self.selected(dialect, "t."),
            same = same.collect::<Vec<_>>().join(" AND "),
            key = list(dialect, key, "t."),
        )
    }

    /// Returns a row in the types that the migrations declared.
    pub(super) fn typed(&self, row: Row) -> Result<TypedRow> {
        let mut typed = TypedRow {
            values: Vec::with_capacity(self.columns.len()),
            encoded: Vec::new(),
        };
        for (value, column) in row.into_values().into_iter().zip(&self.columns) {
            let got = value.type_name();
            if typed.push(value, column.kind).is_none() {
                let want = column
                    .kind
                    .map_or_else(String::new, |kind| kind.to_string());
                let column = format!("{}.{}", self.name, column.name);
                return Err(Error::mismatch(column, want, got));
            }
        }
        Ok(typed)
    }

    /// Refuses what a backend cannot store, and says where it is.
    pub(super) fn check_storable(&self, dialect: Dialect, row: &TypedRow) -> Result<()> {
        if dialect != Dialect::Postgres {
            return Ok(());
        }
        let mut cells = self.columns.iter().zip(&row.values);
        let found = cells.find(|(column, value)| match value {
            Value::Text(text) if column.kind == Some(LogicalType::Json) => json::holds_nul(text),
            Value::Text(text) => text.contains('\0'),
            _ => false,
        });
        match found {
            None => Ok(()),
            Some((column, _)) => Err(Error::unsupported(
                format!(
                    "the character U+0000 in `{}.{}`, in {},",
                    self.name,
                    column.name,
                    self.place_of(row)
                ),
                dialect,
                "remove it from the source",
            )),
        }
    }

    /// Names a row by its numbers; what is written in it is nobody's business.
    fn place_of(&self, row: &TypedRow) -> String {
        let cells = self.columns.iter().zip(&row.values);
        let numbers = cells.filter_map(|(column, value)| match value {
            _ if !self.primary_key.contains(&column.name) => None,
            Value::Int(number) => Some(format!("`{}` {number}", column.name)),
            Value::Uuid(number) => Some(format!("`{}` {number}", column.name)),
            _ => None,
        });
        let numbers: Vec<String> = numbers.collect();
        if numbers.is_empty() {
            "one of the rows".to_owned()
        } else {
            format!("the row with {}", numbers.join(" and "))
        }
    }

    /// Makes sure that the target has the same columns.
    pub(super) fn check(&self, found: &[Table]) -> Result<()> {
        let mut missing = self.columns.iter().filter(|column| {
            let table = found.iter().find(|table| table.name == self.name);
            let other = table.and_then(|table| table.column(&column.name));
            other.is_none_or(|other| other.kind != column.kind)
        });
        match missing.next() {
            None => Ok(()),
            Some(column) => {
                let message = format!(
                    "the column `{}` of `{}` is not the same in source and target; compare both with their migrations",
                    column.name, self.name
                );
                let table = self.name.clone();
                Err(refused(CopyError::Differs { table }, message))
            }
        }
    }
}

impl TypedRow {
    /// Adds a value as its type has it; `None` if it does not fit.
    fn push(&mut self, value: Value, kind: Option<LogicalType>) -> Option<()> {
        let value = match (kind, value) {
            (Some(LogicalType::Json), Value::Text(text)) => {
                encode_json(&mut self.encoded, &json::canonical(&text)?);
                self.values.push(Value::Text(text));
                return Some(());
            }
            (Some(kind), value) => value.as_logical(kind)?,
            (None, value) => value,
        };
        encode(&mut self.encoded, &value);
        self.values.push(value);
        Some(())
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
