//! Many rows at once: as arrays, by `COPY`, or one after the other without waiting.
//!
//! An `INSERT` of one row becomes `INSERT … SELECT … FROM unnest($1, $2)` with an array for each
//! parameter; thousands of rows go by `COPY`. What has no such form, or would mean something else
//! in it, is sent row by row, the next before the answer to the last.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::SinkExt as _;
use futures_util::future::try_join_all;
use postgres_types::Type;
use tokio_postgres::{CopyInSink, SimpleQueryMessage, Statement};

use super::connection::{Connection, lost_after, prepare, prepare_as};
use super::error::translate;
use super::types::{array_type, encode_all, encode_column, encode_field};
use crate::plan::Plan;
use crate::server::Failure;
use crate::sql::{Conflict, InsertShape};
use crate::value::Value;

/// Rows that travel as arrays in one statement.
const ARRAY_ROWS: usize = 1000;

/// From how many rows on `COPY` is worth its three messages.
const COPY_ROWS: usize = 4000;

/// Bytes of `COPY` that travel together.
const COPY_CHUNK: usize = 64 * 1024;

/// Rows of a batch that are on their way at the same time.
const IN_FLIGHT: usize = 128;

/// Two rows of one statement met in `ON CONFLICT DO UPDATE`; one after the other they may.
const MEETS_ITSELF: &str = "21000";

/// The start of `COPY`'s binary format: its name, no flags, no extension.
const COPY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// Runs a statement for each row; the caller has begun a transaction.
pub(super) async fn execute_many(
    conn: &Connection,
    plan: &Arc<Plan>,
    rows: &[Vec<Value>],
) -> Result<u64, Failure> {
    let Some(first) = rows.first() else {
        return Ok(0);
    };
    let (prepared, _) = prepare(conn, plan, first, true).await?;
    let statement = &prepared.statement;
    let Some(insert) = Insert::of(plan, statement) else {
        return row_by_row(conn, plan, statement, rows).await;
    };
    if rows.len() >= COPY_ROWS
        && let Some(copy) = insert.copy()
        && insert.is_plain(conn).await?
    {
        // Whatever `COPY` is refused for, an `INSERT` is allowed or has the better error.
        if let Some(count) = guarded(conn, insert.copy_in(conn, &copy, rows)).await? {
            return Ok(count);
        }
    }
    let mut count = 0;
    for chunk in rows.chunks(ARRAY_ROWS) {
        count += match insert.shape.conflict {
            Conflict::Update => match guarded(conn, insert.as_arrays(conn, chunk)).await? {
                Some(count) => count,
                None => row_by_row(conn, plan, statement, chunk).await?,
            },
            Conflict::Fail | Conflict::Ignore => insert.as_arrays(conn, chunk).await?,
        };
    }
    Ok(count)
}

/// Runs a statement for each row in one message, which needs no transaction; `None` if that is
/// not possible.
pub(super) async fn execute_at_once(
    conn: &Connection,
    plan: &Arc<Plan>,
    rows: &[Vec<Value>],
) -> Result<Option<u64>, Failure> {
    let Some(first) = rows.first() else {
        return Ok(Some(0));
    };
    if plan.insert_shape().is_none() || rows.len() > ARRAY_ROWS {
        return Ok(None);
    }
    let (prepared, _) = prepare(conn, plan, first, false).await?;
    let statement = &prepared.statement;
    let Some(insert) = Insert::of(plan, statement) else {
        return Ok(None);
    };
    match insert.as_arrays(conn, rows).await {
        Err(failure) if failure.error.code() == Some(MEETS_ITSELF) => Ok(None),
        result => result.map(Some),
    }
}

/// An insert that can travel in bulk.
struct Insert<'a> {
    plan: &'a Arc<Plan>,
    shape: &'a InsertShape,
    /// The types of the parameters.
    types: &'a [Type],
    arrays: Vec<Type>,
}

impl<'a> Insert<'a> {
    fn of(plan: &'a Arc<Plan>, statement: &'a Statement) -> Option<Self> {
        let types = statement.params();
        let arrays = types.iter().map(array_type).collect::<Option<Vec<_>>>()?;
        Some(Self {
            plan,
            shape: plan.insert_shape()?,
            types,
            arrays,
        })
    }

    async fn as_arrays(&self, conn: &Connection, rows: &[Vec<Value>]) -> Result<u64, Failure> {
        let bulk = self.plan.bulk(|| self.array_text());
        let prepared = prepare_as(conn, bulk, &self.arrays)
            .await
            .map_err(|error| Failure::before(translate(&error)))?;
        let columns = self.types.iter().enumerate().map(|(index, ty)| {
            let values = rows
                .iter()
                .map(|row| row.get(index).unwrap_or(&Value::Null));
            encode_column(self.plan, index, values, ty)
        });
        let columns = columns
            .collect::<Result<Vec<_>, _>>()
            .map_err(|misfit| Failure::before(misfit.into_error(self.plan, self.types)))?;
        conn.client()
            .execute_raw(&prepared.statement, &columns)
            .await
            .map_err(|error| lost_after(&error, true))
    }

    /// `INSERT INTO t (a, b) SELECT r.v1, r.v2 FROM unnest($1, $2) AS r (v1, v2) …`
    fn array_text(&self) -> String {
        let text = &self.plan.text;
        let mut row = String::new();
        let mut copied = self.shape.row.start;
        for placeholder in &self.shape.placeholders {
            row.push_str(&text[copied..placeholder.start]);
            // `$1` is the first parameter.
            let _ = write!(
                row,
                "athena_rows.v{}",
                &text[placeholder.start + 1..placeholder.end]
            );
            copied = placeholder.end;
        }
        row.push_str(&text[copied..self.shape.row.end]);
        let listed = |prefix: &str| {
            let names = (1..=self.types.len()).map(|number| format!("{prefix}{number}"));
            names.collect::<Vec<_>>().join(", ")
        };
        format!(
            "{}SELECT {row} FROM unnest({}) AS athena_rows ({}){}",
            &text[..self.shape.values.start],
            listed("$"),
            listed("v"),
            self.shape.tail(text)
        )
    }

    /// The `COPY` that does the same, and the parameter for each column.
    fn copy(&self) -> Option<Copy> {
        let (text, shape) = (&self.plan.text, self.shape);
        let columns = shape
            .columns
            .clone()
            .filter(|_| shape.plain && shape.conflict == Conflict::Fail && !shape.returning)?;
        let fields: Vec<usize> = shape
            .placeholders
            .iter()
            .filter_map(|placeholder| text[placeholder.start + 1..placeholder.end].parse().ok())
            .map(|number: usize| number - 1)
            .collect();
        // One that stands for two columns has the type of the first.
        let distinct = fields.len() == self.types.len();
        distinct.then(|| Copy {
            text: format!(
                "COPY {} ({}) FROM STDIN (FORMAT binary)",
                &text[shape.table.clone()],
                &text[columns]
            ),
            fields,
        })
    }

    /// Whether `COPY` does to the table what an `INSERT` does: it ignores rules and writes into
    /// columns that are `GENERATED ALWAYS AS IDENTITY`.
    async fn is_plain(&self, conn: &Connection) -> Result<bool, Failure> {
        let table = &self.plan.text[self.shape.table.clone()];
        let text = format!(
            "SELECT 1 FROM pg_catalog.pg_class t WHERE t.oid = to_regclass('{}') AND NOT t.relhasrules \
             AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = t.oid AND attidentity = 'a')",
            table.replace('\'', "''")
        );
        let messages = conn.client().simple_query(&text).await;
        let messages = messages.map_err(|error| lost_after(&error, true))?;
        let is_row = |message: &SimpleQueryMessage| matches!(message, SimpleQueryMessage::Row(_));
        Ok(messages.iter().any(is_row))
    }

    async fn copy_in(
        &self,
        conn: &Connection,
        copy: &Copy,
        rows: &[Vec<Value>],
    ) -> Result<u64, Failure> {
        let lost = |error: tokio_postgres::Error| lost_after(&error, true);
        let sink: CopyInSink<Bytes> = conn.client().copy_in(&*copy.text).await.map_err(lost)?;
        let mut sink = std::pin::pin!(sink);
        let mut buffer = BytesMut::with_capacity(COPY_CHUNK * 2);
        buffer.extend_from_slice(COPY_HEADER);
        for row in rows {
            self.put_row(copy, row, &mut buffer)?;
            if buffer.len() >= COPY_CHUNK {
                sink.send(buffer.split().freeze()).await.map_err(lost)?;
            }
        }
        buffer.put_i16(-1);
        sink.send(buffer.freeze()).await.map_err(lost)?;
        sink.finish().await.map_err(lost)
    }

    fn put_row(&self, copy: &Copy, row: &[Value], out: &mut BytesMut) -> Result<(), Failure> {
        out.put_u16(u16::try_from(copy.fields.len()).unwrap_or(u16::MAX));
        for index in &copy.fields {
            encode_field(self.plan, *index, &row[*index], &self.types[*index], out)
                .map_err(|misfit| Failure::before(misfit.into_error(self.plan, self.types)))?;
        }
        Ok(())
    }
}

/// A `COPY` and the parameters that its columns take.
struct Copy {
    text: String,
    fields: Vec<usize>,
}

async fn row_by_row(
    conn: &Connection,
    plan: &Plan,
    statement: &Statement,
    rows: &[Vec<Value>],
) -> Result<u64, Failure> {
    let mut count = 0;
    for chunk in rows.chunks(IN_FLIGHT) {
        let encoded = chunk
            .iter()
            .map(|values| encode_all(plan, values, statement.params()));
        let encoded = encoded
            .collect::<Result<Vec<_>, _>>()
            .map_err(|misfit| Failure::before(misfit.into_error(plan, statement.params())))?;
        let runs = encoded
            .iter()
            .map(|parameters| conn.client().execute_raw(statement, parameters));
        let counts = try_join_all(runs).await;
        count += counts
            .map_err(|error| lost_after(&error, true))?
            .iter()
            .sum::<u64>();
    }
    Ok(count)
}

/// Runs something that the server may refuse, which is `None`, without dooming the transaction.
async fn guarded(
    conn: &Connection,
    attempt: impl Future<Output = Result<u64, Failure>>,
) -> Result<Option<u64>, Failure> {
    let control = async |text| {
        let result = conn.client().batch_execute(text).await;
        result.map_err(|error| lost_after(&error, true))
    };
    control("SAVEPOINT athena_bulk").await?;
    match attempt.await {
        Ok(count) => {
            control("RELEASE SAVEPOINT athena_bulk").await?;
            Ok(Some(count))
        }
        Err(failure) if failure.is_lost() => Err(failure),
        Err(failure) => {
            control("ROLLBACK TO SAVEPOINT athena_bulk; RELEASE SAVEPOINT athena_bulk").await?;
            let refused = failure.error.code().is_some();
            if refused { Ok(None) } else { Err(failure) }
        }
    }
}
