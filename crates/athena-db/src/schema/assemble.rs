//! Puts the rows that a backend's catalogue returns together to tables.

use std::collections::BTreeMap;

use super::model::{
    Check, Column, ForeignKey, Generated, Index, IndexKey, OnDelete, Table, UniqueKey,
};
use super::{Recorded, default, is_ledger, storage};
use crate::FromRow;
use crate::dialect::Dialect;
use crate::sql::LogicalType;

/// What a backend's catalogue says, row by row. Rows of one index or foreign key are neighbours.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) columns: Vec<ColumnFact>,
    pub(super) foreign: Vec<ForeignFact>,
    pub(super) checks: Vec<CheckFact>,
    pub(super) indexes: Vec<IndexFact>,
}

/// A column.
#[derive(Debug, FromRow)]
pub(super) struct ColumnFact {
    #[db(rename = "table_name")]
    pub(super) table: String,
    pub(super) name: String,
    pub(super) raw_type: String,
    pub(super) not_null: bool,
    #[db(rename = "default_text")]
    pub(super) default: Option<String>,
    /// From 1; 0 for a column outside the primary key.
    pub(super) key_position: i64,
    #[db(rename = "is_identity")]
    pub(super) identity: bool,
    pub(super) expression: Option<String>,
}

/// A column of a foreign key.
#[derive(Debug, FromRow)]
pub(super) struct ForeignFact {
    #[db(rename = "table_name")]
    pub(super) table: String,
    /// What tells the table's foreign keys apart.
    #[db(rename = "key_group")]
    pub(super) group: String,
    pub(super) name: Option<String>,
    #[db(rename = "column_name")]
    pub(super) column: String,
    pub(super) foreign_table: String,
    /// `None` stands for the primary key of the other table.
    pub(super) foreign_column: Option<String>,
    pub(super) on_delete: String,
}

/// A check constraint.
#[derive(Debug, FromRow)]
pub(super) struct CheckFact {
    #[db(rename = "table_name")]
    pub(super) table: String,
    pub(super) name: Option<String>,
    pub(super) expression: String,
}

/// A key of an index, those behind constraints included, those behind primary keys not.
#[derive(Debug, FromRow)]
pub(super) struct IndexFact {
    #[db(rename = "table_name")]
    pub(super) table: String,
    #[db(rename = "index_name")]
    pub(super) index: String,
    /// The name to show; `None` if the backend made it up.
    pub(super) name: Option<String>,
    #[db(rename = "is_unique")]
    pub(super) unique: bool,
    pub(super) method: Option<String>,
    #[db(rename = "condition_text")]
    pub(super) condition: Option<String>,
    #[db(rename = "column_name")]
    pub(super) column: Option<String>,
    pub(super) expression: Option<String>,
    pub(super) descending: bool,
}

/// Puts the facts together, the ledger of migrations left out.
pub(super) fn tables(dialect: Dialect, facts: Facts, recorded: &Recorded) -> Vec<Table> {
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    let json = storage::json_columns(dialect, &facts.checks);
    for fact in facts.columns {
        if is_ledger(&fact.table) {
            continue;
        }
        let key = (fact.table.clone(), fact.name.clone());
        let inferred = storage::infer(dialect, &fact, json.contains(&key));
        let kind = storage::resolve(dialect, recorded.get(&key).copied(), inferred);
        let table = tables
            .entry(fact.table.clone())
            .or_insert_with(|| empty(&fact.table));
        table.columns.push(column(dialect, fact, kind));
    }
    add_foreign_keys(&mut tables, facts.foreign);
    for fact in facts.checks {
        if let Some(table) = tables.get_mut(&fact.table)
            && !storage::stands_in_for_a_type(dialect, &fact, table)
        {
            table.checks.push(Check {
                name: fact.name,
                expression: fact.expression,
            });
        }
    }
    add_indexes(&mut tables, facts.indexes);
    let mut tables: Vec<Table> = tables.into_values().collect();
    for table in &mut tables {
        table.unique.sort_by(|a, b| a.columns.cmp(&b.columns));
        table.foreign_keys.sort_by(|a, b| a.columns.cmp(&b.columns));
        table.indexes.sort_by(|a, b| a.name.cmp(&b.name));
    }
    tables
}

fn empty(name: &str) -> Table {
    Table {
        name: name.to_owned(),
        columns: Vec::new(),
        unique: Vec::new(),
        foreign_keys: Vec::new(),
        checks: Vec::new(),
        indexes: Vec::new(),
    }
}

fn column(dialect: Dialect, fact: ColumnFact, kind: Option<LogicalType>) -> Column {
    let generated = if fact.identity {
        Some(Generated::Identity)
    } else {
        fact.expression.map(Generated::Expression)
    };
    let default = fact
        .default
        .filter(|_| generated.is_none())
        .and_then(|text| default::read(dialect, kind, &text));
    Column {
        name: fact.name,
        kind,
        raw_type: fact.raw_type,
        nullable: !fact.not_null && fact.key_position == 0,
        default,
        primary_key: u32::try_from(fact.key_position)
            .ok()
            .filter(|&place| place > 0),
        generated,
    }
}

fn add_foreign_keys(tables: &mut BTreeMap<String, Table>, facts: Vec<ForeignFact>) {
    let mut last = None;
    for fact in facts {
        let group = (fact.table.clone(), fact.group.clone());
        let primary_key = tables.get(&fact.foreign_table).map(|table| {
            let key = table.primary_key();
            key.into_iter().map(str::to_owned).collect::<Vec<_>>()
        });
        let Some(table) = tables.get_mut(&fact.table) else {
            continue;
        };
        if last.as_ref() != Some(&group) {
            table.foreign_keys.push(ForeignKey {
                name: fact.name,
                columns: Vec::new(),
                table: fact.foreign_table,
                references: Vec::new(),
                on_delete: OnDelete::parse(&fact.on_delete),
            });
            last = Some(group);
        }
        if let Some(key) = table.foreign_keys.last_mut() {
            let implied = primary_key.and_then(|names| names.get(key.columns.len()).cloned());
            key.columns.push(fact.column);
            key.references.extend(fact.foreign_column.or(implied));
        }
    }
}

fn add_indexes(tables: &mut BTreeMap<String, Table>, facts: Vec<IndexFact>) {
    let mut rest = facts.into_iter().peekable();
    while let Some(first) = rest.next() {
        let mut keys = vec![key(&first)];
        while let Some(fact) =
            rest.next_if(|fact| fact.table == first.table && fact.index == first.index)
        {
            keys.push(key(&fact));
        }
        if let Some(table) = tables.get_mut(&first.table) {
            add_index(table, first, keys);
        }
    }
}

fn add_index(table: &mut Table, fact: IndexFact, keys: Vec<IndexKey>) {
    let plain: Option<Vec<String>> = keys.iter().map(plain_column).collect();
    match plain {
        Some(columns) if fact.unique && fact.condition.is_none() => {
            table.unique.push(UniqueKey {
                name: fact.name,
                columns,
            });
        }
        Some(columns) if serves_a_foreign_key(table, &fact, &columns) => {}
        _ => table.indexes.push(Index {
            name: fact.index,
            unique: fact.unique,
            keys,
            condition: fact.condition,
            method: fact.method,
        }),
    }
}

fn key(fact: &IndexFact) -> IndexKey {
    let descending = fact.descending;
    match &fact.column {
        Some(name) => IndexKey::Column {
            name: name.clone(),
            descending,
        },
        None => IndexKey::Expression {
            text: fact.expression.clone().unwrap_or_default(),
            descending,
        },
    }
}

fn plain_column(key: &IndexKey) -> Option<String> {
    match key {
        IndexKey::Column {
            name,
            descending: false,
        } => Some(name.clone()),
        _ => None,
    }
}

/// MySQL makes an index for every foreign key that has none, under the name of the constraint or
/// of its first column.
fn serves_a_foreign_key(table: &Table, fact: &IndexFact, columns: &[String]) -> bool {
    table.foreign_keys.iter().any(|key| {
        let made_up = key.name.as_deref() == Some(fact.index.as_str())
            || key.columns.first() == Some(&fact.index);
        !fact.unique && key.columns == columns && made_up
    })
}
