//! The catalogue of MySQL and MariaDB.

use super::Facts;
use crate::dialect::Dialect;
use crate::error::Result;
use crate::row::Scalar;
use crate::{Executor, Params, params};

/// MySQL shows a literal default without its quotes, MariaDB as it was written.
const COLUMNS: &str = "
    SELECT c.table_name AS table_name,
           c.column_name AS name,
           c.column_type AS raw_type,
           c.is_nullable = 'NO' AS not_null,
           CASE WHEN c.generation_expression <> '' THEN NULL
                WHEN VERSION() LIKE '%MariaDB%' OR c.extra LIKE '%DEFAULT_GENERATED%' THEN c.column_default
                ELSE QUOTE(c.column_default) END AS default_text,
           CAST(COALESCE(k.seq_in_index, 0) AS SIGNED) AS key_position,
           c.extra LIKE '%auto_increment%' AS is_identity,
           NULLIF(c.generation_expression, '') AS expression
    FROM information_schema.columns c
    JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
    LEFT JOIN information_schema.statistics k
           ON k.table_schema = c.table_schema AND k.table_name = c.table_name
          AND k.column_name = c.column_name AND k.index_name = 'PRIMARY'
    WHERE c.table_schema = DATABASE() AND t.table_type = 'BASE TABLE'
    ORDER BY c.table_name, c.ordinal_position";

const FOREIGN_KEYS: &str = "
    SELECT k.table_name AS table_name,
           k.constraint_name AS key_group,
           k.constraint_name AS name,
           k.column_name AS column_name,
           k.referenced_table_name AS foreign_table,
           k.referenced_column_name AS foreign_column,
           r.delete_rule AS on_delete
    FROM information_schema.key_column_usage k
    JOIN information_schema.referential_constraints r
      ON r.constraint_schema = k.constraint_schema AND r.constraint_name = k.constraint_name
     AND r.table_name = k.table_name
    WHERE k.table_schema = DATABASE() AND k.referenced_table_name IS NOT NULL
    ORDER BY k.table_name, k.constraint_name, k.ordinal_position";

const CHECKS_OF_MARIADB: &str = "
    SELECT table_name AS table_name, constraint_name AS name, check_clause AS expression
    FROM information_schema.check_constraints
    WHERE constraint_schema = DATABASE()
    ORDER BY table_name, constraint_name";

const CHECKS_OF_MYSQL: &str = "
    SELECT t.table_name AS table_name, c.constraint_name AS name, c.check_clause AS expression
    FROM information_schema.check_constraints c
    JOIN information_schema.table_constraints t
      ON t.constraint_schema = c.constraint_schema AND t.constraint_name = c.constraint_name
    WHERE c.constraint_schema = DATABASE() AND t.constraint_type = 'CHECK'
    ORDER BY t.table_name, c.constraint_name";

const INDEXES: &str = "
    SELECT table_name AS table_name,
           index_name AS index_name,
           index_name AS name,
           non_unique = 0 AS is_unique,
           NULLIF(LOWER(index_type), 'btree') AS method,
           NULL AS condition_text,
           column_name AS column_name,
           NULL AS expression,
           COALESCE(collation, 'A') = 'D' AS descending
    FROM information_schema.statistics
    WHERE table_schema = DATABASE() AND index_name <> 'PRIMARY'
    ORDER BY table_name, index_name, seq_in_index";

const IDENTITY: &str = "
    SELECT c.column_name, CAST(COALESCE(t.auto_increment, 1) - 1 AS SIGNED)
    FROM information_schema.columns c
    JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
    WHERE c.table_schema = DATABASE() AND c.table_name = :table_name AND c.extra LIKE '%auto_increment%'";

pub(super) async fn facts(db: &impl Executor) -> Result<Facts> {
    let Scalar(version): Scalar<String> = db.fetch_one("SELECT VERSION()", Params::new()).await?;
    let checks = if version.contains("MariaDB") {
        CHECKS_OF_MARIADB
    } else {
        CHECKS_OF_MYSQL
    };
    Ok(Facts {
        columns: db.fetch_all(COLUMNS, Params::new()).await?,
        foreign: db.fetch_all(FOREIGN_KEYS, Params::new()).await?,
        checks: db.fetch_all(checks, Params::new()).await?,
        indexes: db.fetch_all(INDEXES, Params::new()).await?,
    })
}

pub(super) async fn identity(db: &impl Executor, table: &str) -> Result<Option<(String, i64)>> {
    db.fetch_opt(IDENTITY, params! { table_name: table }).await
}

pub(super) async fn set_identity(db: &impl Executor, table: &str, last: i64) -> Result<()> {
    let table = Dialect::MySql.quote(table);
    let next = last.saturating_add(1);
    let sql = format!("ALTER TABLE {table} AUTO_INCREMENT = {next}");
    db.execute(sql, Params::new()).await.map(|_| ())
}
