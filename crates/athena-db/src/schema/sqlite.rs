//! SQLite's catalogue: its pragmas, and for what they do not tell the text of the table.

use std::collections::HashMap;

use super::Facts;
use super::assemble::{CheckFact, ColumnFact, ForeignFact, IndexFact};
use crate::error::Result;
use crate::row::Scalar;
use crate::sql::{IndexText, TableText};
use crate::{Executor, Params, params};

const TEXTS: &str = "
    SELECT type, name, sql FROM sqlite_schema
    WHERE type IN ('table', 'index') AND sql IS NOT NULL";

const COLUMNS: &str = r#"
    SELECT t.name AS table_name,
           c.name AS name,
           c.type AS raw_type,
           c."notnull" AS not_null,
           c.dflt_value AS default_text,
           c.pk AS key_position,
           upper(c.type) = 'INTEGER' AND c.pk = 1 AND t.wr = 0
             AND (SELECT sum(k.pk > 0) FROM pragma_table_xinfo(t.name, 'main') AS k) = 1 AS is_identity,
           NULL AS expression
    FROM pragma_table_list AS t, pragma_table_xinfo(t.name, 'main') AS c
    WHERE t.schema = 'main' AND t.type IN ('table', 'virtual') AND c.hidden <> 1
      AND t.name NOT LIKE 'sqlite\_%' ESCAPE '\'
    ORDER BY t.name, c.cid"#;

const FOREIGN_KEYS: &str = r#"
    SELECT t.name AS table_name,
           CAST(k.id AS TEXT) AS key_group,
           NULL AS name,
           k."from" AS column_name,
           k."table" AS foreign_table,
           k."to" AS foreign_column,
           k.on_delete AS on_delete
    FROM pragma_table_list AS t, pragma_foreign_key_list(t.name, 'main') AS k
    WHERE t.schema = 'main' AND t.type = 'table'
    ORDER BY t.name, k.id, k.seq"#;

const INDEXES: &str = r#"
    SELECT t.name AS table_name,
           i.name AS index_name,
           CASE WHEN i.origin = 'c' THEN i.name END AS name,
           i."unique" AS is_unique,
           NULL AS method,
           CASE WHEN i.partial THEN '' END AS condition_text,
           k.name AS column_name,
           CASE WHEN k.name IS NULL THEN CAST(k.seqno AS TEXT) END AS expression,
           k."desc" AS descending
    FROM pragma_table_list AS t, pragma_index_list(t.name, 'main') AS i, pragma_index_xinfo(i.name, 'main') AS k
    WHERE t.schema = 'main' AND t.type = 'table' AND i.origin <> 'pk' AND k.key
    ORDER BY t.name, i.name, k.seqno"#;

pub(super) async fn facts(db: &impl Executor) -> Result<Facts> {
    let texts: Vec<(String, String, String)> = db.fetch_all(TEXTS, Params::new()).await?;
    let mut tables = HashMap::new();
    let mut indexes = HashMap::new();
    for (kind, name, sql) in texts {
        if kind == "table" {
            tables.insert(name, TableText::read(&sql));
        } else {
            indexes.insert(name, IndexText::read(&sql));
        }
    }
    let mut facts = Facts {
        columns: db.fetch_all(COLUMNS, Params::new()).await?,
        foreign: db.fetch_all(FOREIGN_KEYS, Params::new()).await?,
        checks: Vec::new(),
        indexes: db.fetch_all(INDEXES, Params::new()).await?,
    };
    facts.checks = checks(&facts.columns, &tables);
    for fact in &mut facts.columns {
        let text = tables.get(&fact.table);
        fact.expression = text.and_then(|text| text.generated(&fact.name));
    }
    name_foreign_keys(&mut facts.foreign, &tables);
    complete_indexes(&mut facts.indexes, &tables, &indexes);
    Ok(facts)
}

/// Lists the checks of all tables, in the order of the text.
fn checks(columns: &[ColumnFact], texts: &HashMap<String, TableText>) -> Vec<CheckFact> {
    let mut names: Vec<&String> = columns.iter().map(|column| &column.table).collect();
    names.dedup();
    let of_table = |table: &String| {
        let checks = texts.get(table).map(|text| text.checks.clone());
        let fact = |(name, expression)| CheckFact {
            table: table.clone(),
            name,
            expression,
        };
        checks
            .unwrap_or_default()
            .into_iter()
            .map(fact)
            .collect::<Vec<_>>()
    };
    names.into_iter().flat_map(of_table).collect()
}

fn name_foreign_keys(facts: &mut [ForeignFact], texts: &HashMap<String, TableText>) {
    for group in facts.chunk_by_mut(|a, b| a.table == b.table && a.group == b.group) {
        let columns: Vec<&str> = group.iter().map(|fact| fact.column.as_str()).collect();
        let text = texts.get(&group[0].table);
        group[0].name = text.and_then(|text| text.foreign_key_name(&columns));
    }
}

/// Adds the names of constraints, and the expressions and conditions.
fn complete_indexes(
    facts: &mut [IndexFact],
    tables: &HashMap<String, TableText>,
    indexes: &HashMap<String, IndexText>,
) {
    for group in facts.chunk_by_mut(|a, b| a.table == b.table && a.index == b.index) {
        let Some(text) = indexes.get(&group[0].index) else {
            let columns: Vec<&str> = group
                .iter()
                .filter_map(|fact| fact.column.as_deref())
                .collect();
            let table = tables.get(&group[0].table);
            group[0].name = table.and_then(|table| table.unique_name(&columns));
            continue;
        };
        for (place, fact) in group.iter_mut().enumerate() {
            if fact.column.is_none() {
                fact.expression = text.keys.get(place).cloned();
            }
            if fact.condition.is_some() {
                fact.condition.clone_from(&text.condition);
            }
        }
    }
}

pub(super) async fn identity(db: &impl Executor, table: &str) -> Result<Option<(String, i64)>> {
    let sql =
        format!("SELECT name FROM ({COLUMNS}) WHERE table_name = :table_name AND is_identity");
    let column: Option<Scalar<String>> = db.fetch_opt(sql, params! { table_name: table }).await?;
    let Some(Scalar(column)) = column else {
        return Ok(None);
    };
    let mut last = 0;
    if has_sequences(db).await? {
        let sql = "SELECT COALESCE(max(seq), 0) FROM sqlite_sequence WHERE name = :table_name";
        let found: Scalar<i64> = db.fetch_one(sql, params! { table_name: table }).await?;
        last = found.0;
    }
    Ok(Some((column, last)))
}

pub(super) async fn set_identity(db: &impl Executor, table: &str, last: i64) -> Result<()> {
    // Without AUTOINCREMENT the next number is always the one behind the highest row.
    if !has_sequences(db).await? {
        return Ok(());
    }
    let sql = "UPDATE sqlite_sequence SET seq = :last WHERE name = :table_name";
    let known = db
        .execute(sql, params! { last: last, table_name: table })
        .await?;
    if known == 0 {
        let sql = "INSERT INTO sqlite_sequence (name, seq) VALUES (:table_name, :last)";
        db.execute(sql, params! { table_name: table, last: last })
            .await?;
    }
    Ok(())
}

/// SQLite makes the table with the first `AUTOINCREMENT`.
async fn has_sequences(db: &impl Executor) -> Result<bool> {
    let sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_sequence'";
    let Scalar(count): Scalar<i64> = db.fetch_one(sql, Params::new()).await?;
    Ok(count > 0)
}
