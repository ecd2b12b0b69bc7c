//! PostgreSQL's catalogue.

use super::Facts;
use crate::error::Result;
use crate::row::Scalar;
use crate::{Executor, Params, params};

const COLUMNS: &str = "
    SELECT t.relname::text AS table_name,
           a.attname::text AS name,
           format_type(a.atttypid, a.atttypmod) AS raw_type,
           a.attnotnull AS not_null,
           CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END AS default_text,
           COALESCE((SELECT k.place
                     FROM pg_constraint p, unnest(p.conkey) WITH ORDINALITY AS k (attnum, place)
                     WHERE p.conrelid = t.oid AND p.contype = 'p' AND k.attnum = a.attnum), 0) AS key_position,
           a.attidentity <> '' OR pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%' IS TRUE AS is_identity,
           CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END AS expression
    FROM pg_class t
    JOIN pg_namespace n ON n.oid = t.relnamespace
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
    WHERE n.nspname = current_schema() AND t.relkind IN ('r', 'p')
    ORDER BY t.relname, a.attnum";

const FOREIGN_KEYS: &str = "
    SELECT t.relname::text AS table_name,
           c.conname::text AS key_group,
           c.conname::text AS name,
           a.attname::text AS column_name,
           f.relname::text AS foreign_table,
           b.attname::text AS foreign_column,
           c.confdeltype::text AS on_delete
    FROM pg_constraint c
    JOIN pg_class t ON t.oid = c.conrelid
    JOIN pg_namespace n ON n.oid = t.relnamespace
    JOIN pg_class f ON f.oid = c.confrelid
    CROSS JOIN LATERAL unnest(c.conkey, c.confkey) WITH ORDINALITY AS k (own, other, place)
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.own
    JOIN pg_attribute b ON b.attrelid = f.oid AND b.attnum = k.other
    WHERE n.nspname = current_schema() AND c.contype = 'f' AND t.relkind IN ('r', 'p')
    ORDER BY t.relname, c.conname, k.place";

const CHECKS: &str = "
    SELECT t.relname::text AS table_name,
           c.conname::text AS name,
           pg_get_expr(c.conbin, c.conrelid) AS expression
    FROM pg_constraint c
    JOIN pg_class t ON t.oid = c.conrelid
    JOIN pg_namespace n ON n.oid = t.relnamespace
    WHERE n.nspname = current_schema() AND c.contype = 'c' AND t.relkind IN ('r', 'p')
    ORDER BY t.relname, c.conname";

const INDEXES: &str = "
    SELECT t.relname::text AS table_name,
           i.relname::text AS index_name,
           i.relname::text AS name,
           x.indisunique AS is_unique,
           NULLIF(m.amname, 'btree')::text AS method,
           pg_get_expr(x.indpred, x.indrelid) AS condition_text,
           a.attname::text AS column_name,
           CASE WHEN a.attnum IS NULL THEN pg_get_indexdef(x.indexrelid, k, true) END AS expression,
           x.indoption[k - 1] & 1 = 1 AS descending
    FROM pg_index x
    JOIN pg_class t ON t.oid = x.indrelid
    JOIN pg_namespace n ON n.oid = t.relnamespace
    JOIN pg_class i ON i.oid = x.indexrelid
    JOIN pg_am m ON m.oid = i.relam
    CROSS JOIN LATERAL generate_series(1, x.indnkeyatts::int) AS k
    LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.indkey[k - 1] AND a.attnum <> 0
    WHERE n.nspname = current_schema() AND NOT x.indisprimary AND t.relkind IN ('r', 'p')
    ORDER BY t.relname, i.relname, k";

/// What belongs to a table's numbers: the sequence behind an identity or a serial column.
const IDENTITY: &str = "
    SELECT a.attname::text,
           COALESCE(pg_sequence_last_value(pg_get_serial_sequence(quote_ident(t.relname), a.attname)::regclass), 0)
    FROM pg_class t
    JOIN pg_namespace n ON n.oid = t.relnamespace
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE n.nspname = current_schema() AND t.relname = :table_name AND t.relkind IN ('r', 'p')
      AND pg_get_serial_sequence(quote_ident(t.relname), a.attname) IS NOT NULL
    ORDER BY a.attnum";

pub(super) async fn facts(db: &impl Executor) -> Result<Facts> {
    Ok(Facts {
        columns: db.fetch_all(COLUMNS, Params::new()).await?,
        foreign: db.fetch_all(FOREIGN_KEYS, Params::new()).await?,
        checks: db.fetch_all(CHECKS, Params::new()).await?,
        indexes: db.fetch_all(INDEXES, Params::new()).await?,
    })
}

pub(super) async fn identity(db: &impl Executor, table: &str) -> Result<Option<(String, i64)>> {
    let found: Vec<(String, i64)> = db
        .fetch_all(IDENTITY, params! { table_name: table })
        .await?;
    Ok(found.into_iter().next())
}

pub(super) async fn set_identity(
    db: &impl Executor,
    table: &str,
    column: &str,
    last: i64,
) -> Result<()> {
    let sql = "SELECT setval(pg_get_serial_sequence(quote_ident(:table_name), :column_name)::regclass, :last)";
    let values = params! { table_name: table, column_name: column, last: last };
    db.fetch_one::<Scalar<i64>>(sql, values).await.map(|_| ())
}
