//! The vocabulary: what a table is made of, whatever backend holds it.

use serde::Serialize;

use crate::sql::LogicalType;

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Table {
    /// The name.
    pub name: String,
    /// The columns, in the order of the table.
    pub columns: Vec<Column>,
    /// What must be unique beside the primary key, by its columns; in alphabetic order of these.
    pub unique: Vec<UniqueKey>,
    /// The foreign keys, in alphabetic order of their columns.
    pub foreign_keys: Vec<ForeignKey>,
    /// The conditions on rows, in the backend's order.
    pub checks: Vec<Check>,
    /// The indexes that are no unique key, in alphabetic order.
    pub indexes: Vec<Index>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// The name.
    pub name: String,
    /// The type in the vocabulary of migrations: as the migration declared it, else as far as the
    /// backend's type tells. `None` for a type that migrations do not know.
    pub kind: Option<LogicalType>,
    /// The type as the backend writes it.
    pub raw_type: String,
    /// Whether it may be `NULL`; a column of the primary key may not.
    pub nullable: bool,
    /// What it gets when nothing is said; `None` if that is `NULL`.
    pub default: Option<DefaultValue>,
    /// The place in the primary key, from 1.
    pub primary_key: Option<u32>,
    /// Whether the database makes the value.
    pub generated: Option<Generated>,
}

/// What a column gets when nothing is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DefaultValue {
    /// A literal: `'text'`, `-5`, `TRUE`, `X'00ff'`.
    Literal(String),
    /// The time of the statement.
    CurrentTimestamp,
    /// The day of the statement in UTC.
    CurrentDate,
    /// Anything else, as the backend writes it.
    Expression(String),
}

/// How the database makes the value of a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Generated {
    /// It numbers the rows.
    Identity,
    /// It computes this expression, as the backend writes it.
    Expression(String),
}

/// Columns whose values together are unique.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UniqueKey {
    /// The name of the constraint or the index; `None` for a nameless one (SQLite).
    pub name: Option<String>,
    /// The columns, in order.
    pub columns: Vec<String>,
}

/// Columns that refer to another table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ForeignKey {
    /// The name of the constraint; `None` for a nameless one (SQLite).
    pub name: Option<String>,
    /// The columns, in order.
    pub columns: Vec<String>,
    /// The table that they refer to.
    pub table: String,
    /// The columns that they refer to.
    pub references: Vec<String>,
    /// What happens when the row that is referred to goes.
    pub on_delete: OnDelete,
}

/// What happens to a row when the row that it refers to goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDelete {
    /// The removal is refused, at once or when the transaction ends.
    Refuse,
    /// The row goes too.
    Cascade,
    /// The reference becomes `NULL`.
    SetNull,
    /// The reference becomes the column's default.
    SetDefault,
}

/// A condition on every row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The name of the constraint; `None` for a nameless one (SQLite).
    pub name: Option<String>,
    /// The condition as the backend writes it.
    pub expression: String,
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Index {
    /// The name.
    pub name: String,
    /// Whether it also refuses duplicates: a partial one, or one over expressions.
    pub unique: bool,
    /// What it is ordered by.
    pub keys: Vec<IndexKey>,
    /// Which rows it holds, as the backend writes it; `None` for all.
    pub condition: Option<String>,
    /// The backend's method, if it is no ordinary ordered index: `gin`, `fulltext`.
    pub method: Option<String>,
}

/// One of the things that an index is ordered by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexKey {
    /// A column.
    Column {
        /// The name.
        name: String,
        /// Whether the order is reversed.
        descending: bool,
    },
    /// An expression.
    Expression {
        /// The expression as the backend writes it.
        text: String,
        /// Whether the order is reversed.
        descending: bool,
    },
}

impl Table {
    /// Returns the column of that name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Returns the names of the primary key's columns, in its order; empty if there is none.
    #[must_use]
    pub fn primary_key(&self) -> Vec<&str> {
        let mut key: Vec<&Column> = self
            .columns
            .iter()
            .filter(|column| column.primary_key.is_some())
            .collect();
        key.sort_by_key(|column| column.primary_key);
        key.iter().map(|column| column.name.as_str()).collect()
    }
}

impl OnDelete {
    /// Reads the words of SQL (`SET NULL`), or PostgreSQL's letter.
    pub(super) fn parse(text: &str) -> Self {
        match text {
            "CASCADE" | "c" => Self::Cascade,
            "SET NULL" | "n" => Self::SetNull,
            "SET DEFAULT" | "d" => Self::SetDefault,
            _ => Self::Refuse,
        }
    }
}
