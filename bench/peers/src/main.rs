//! The contestant `sqlx` of `cargo xtask bench db`, used as its documentation shows: a pool,
//! positional parameters, rows decoded into a struct by column name.

use std::time::Duration;

use anyhow::{Result, ensure};
use bench_worker::{
    Answer, Backend, Cell, Contestant, Item, Operation, ROWS, Run, content, measure,
};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{FromRow, Row};

fn main() -> Result<()> {
    bench_worker::serve(&Sqlx)
}

struct Sqlx;

impl Contestant for Sqlx {
    fn versions(&self) -> String {
        "sqlx 0.9".to_owned()
    }

    async fn run(&self, cell: &Cell) -> Result<Answer> {
        match cell.backend {
            Backend::Sqlite => sqlite::run(cell, sqlite_pool(cell).await?).await,
            Backend::Postgres => {
                let pool = pool::<sqlx::Postgres>(cell.tasks);
                postgres::run(cell, pool.connect(&cell.database).await?).await
            }
            Backend::Mysql => {
                let pool = pool::<sqlx::MySql>(cell.tasks);
                mysql::run(cell, pool.connect(&cell.database).await?).await
            }
        }
    }
}

fn pool<DB: sqlx::Database>(connections: usize) -> sqlx::pool::PoolOptions<DB> {
    let connections = u32::try_from(connections).unwrap_or(u32::MAX);
    sqlx::pool::PoolOptions::new()
        .max_connections(connections)
        .min_connections(connections)
}

/// Four connections are what it does best with.
async fn sqlite_pool(cell: &Cell) -> Result<sqlx::SqlitePool> {
    let synchronous = match cell.operation {
        Operation::InsertDurable => SqliteSynchronous::Full,
        _ => SqliteSynchronous::Normal,
    };
    let options = SqliteConnectOptions::new()
        .filename(&cell.database)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .busy_timeout(Duration::from_secs(30));
    Ok(pool::<sqlx::Sqlite>(4).connect_with(options).await?)
}

/// The shared row type, which another crate defines.
struct Found(Item);

/// One of the tasks.
struct Task<P, S> {
    pool: P,
    /// What it does is in its type.
    _step: S,
}

/// The same code for each of its databases, whose types have nothing in common but their names.
macro_rules! backend {
    ($module:ident: $database:ty, $pool:ty, $row:ty, $point:literal, $read:literal, $insert:literal) => {
        mod $module {
            use super::*;

            pub(super) async fn run(cell: &Cell, pool: $pool) -> Result<Answer> {
                let answer = match cell.operation {
                    Operation::Point => all(cell, &pool, Point).await,
                    Operation::Read => all(cell, &pool, Read).await,
                    Operation::Insert | Operation::InsertDurable => all(cell, &pool, Insert).await,
                    Operation::Batch => all(cell, &pool, Batch).await,
                    Operation::Transaction => all(cell, &pool, Transaction).await,
                    _ => Ok(Answer::Unsupported),
                };
                pool.close().await;
                answer
            }

            async fn all<S>(cell: &Cell, pool: &$pool, step: S) -> Result<Answer>
            where
                S: Copy,
                Task<$pool, S>: Run,
            {
                let task = |_| Task {
                    pool: pool.clone(),
                    _step: step,
                };
                measure(cell, (0..cell.tasks).map(task).collect())
                    .await
                    .map(Answer::Measured)
            }

            #[derive(Clone, Copy)]
            struct Point;
            #[derive(Clone, Copy)]
            struct Read;
            #[derive(Clone, Copy)]
            struct Insert;
            #[derive(Clone, Copy)]
            struct Batch;
            #[derive(Clone, Copy)]
            struct Transaction;

            impl FromRow<'_, $row> for Found {
                fn from_row(row: &$row) -> sqlx::Result<Found> {
                    Ok(Found(Item {
                        id: row.try_get("id")?,
                        project: row.try_get("project")?,
                        kind: row.try_get("kind")?,
                        content: row.try_get("content")?,
                        score: row.try_get("score")?,
                        created_at: row.try_get("created_at")?,
                    }))
                }
            }

            impl Run for Task<$pool, Point> {
                async fn run(&mut self, random: u64) -> Result<()> {
                    let id = i64::try_from(random % ROWS)? + 1;
                    let Found(item) = sqlx::query_as($point)
                        .bind(id)
                        .fetch_one(&self.pool)
                        .await?;
                    ensure!(item.id == id, "that is another row");
                    Ok(())
                }
            }

            impl Run for Task<$pool, Read> {
                async fn run(&mut self, random: u64) -> Result<()> {
                    let from = i64::try_from(random % (ROWS - 1_000))?;
                    let items: Vec<Found> = sqlx::query_as($read)
                        .bind(from)
                        .fetch_all(&self.pool)
                        .await?;
                    ensure!(items.len() == 1_000, "rows are missing");
                    Ok(())
                }
            }

            fn insert<'q>(
                random: u64,
            ) -> sqlx::query::Query<'q, $database, <$database as sqlx::Database>::Arguments> {
                sqlx::query($insert)
                    .bind(i64::try_from(random % 97).unwrap_or(0))
                    .bind("fact")
                    .bind(content(random))
                    .bind(0.5)
                    .bind(1_700_000_000_000_000_i64)
            }

            impl Run for Task<$pool, Insert> {
                async fn run(&mut self, random: u64) -> Result<()> {
                    insert(random).execute(&self.pool).await?;
                    Ok(())
                }
            }

            impl Run for Task<$pool, Batch> {
                async fn run(&mut self, random: u64) -> Result<()> {
                    let mut tx = self.pool.begin().await?;
                    for number in 0..100 {
                        insert(random.wrapping_add(number))
                            .execute(&mut *tx)
                            .await?;
                    }
                    Ok(tx.commit().await?)
                }
            }

            impl Run for Task<$pool, Transaction> {
                async fn run(&mut self, _: u64) -> Result<()> {
                    Ok(self.pool.begin().await?.commit().await?)
                }
            }
        }
    };
}

backend! {
    sqlite: sqlx::Sqlite, sqlx::SqlitePool, sqlx::sqlite::SqliteRow,
    "SELECT id, project, kind, content, score, created_at FROM bench_items WHERE id = ?1",
    "SELECT id, project, kind, content, score, created_at FROM bench_items WHERE id > ?1 ORDER BY id LIMIT 1000",
    "INSERT INTO bench_inserts (project, kind, content, score, created_at) VALUES (?1, ?2, ?3, ?4, ?5)"
}

backend! {
    postgres: sqlx::Postgres, sqlx::PgPool, sqlx::postgres::PgRow,
    "SELECT id, project, kind, content, score, created_at FROM bench_items WHERE id = $1",
    "SELECT id, project, kind, content, score, created_at FROM bench_items WHERE id > $1 ORDER BY id LIMIT 1000",
    "INSERT INTO bench_inserts (project, kind, content, score, created_at) VALUES ($1, $2, $3, $4, $5)"
}

backend! {
    mysql: sqlx::MySql, sqlx::MySqlPool, sqlx::mysql::MySqlRow,
    "SELECT id, project, kind, content, score, created_at FROM bench_items WHERE id = ?",
    "SELECT id, project, kind, content, score, created_at FROM bench_items WHERE id > ? ORDER BY id LIMIT 1000",
    "INSERT INTO bench_inserts (project, kind, content, score, created_at) VALUES (?, ?, ?, ?, ?)"
}
