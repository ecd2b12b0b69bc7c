//! The drivers as their makers would use them: a connection for each task, statements prepared
//! once, values bound by position, columns read by position.

mod mysql;
mod postgres;
mod sqlite;

use anyhow::Result;
use bench_worker::{Answer, Backend, Cell, Contestant};

pub(crate) struct Raw;

impl Contestant for Raw {
    fn versions(&self) -> String {
        format!(
            "rusqlite 0.41 (SQLite {}), tokio-postgres 0.7, mysql_async 0.37",
            rusqlite::version()
        )
    }

    async fn run(&self, cell: &Cell) -> Result<Answer> {
        match cell.backend {
            Backend::Sqlite => sqlite::run(cell),
            Backend::Postgres => postgres::run(cell).await,
            Backend::Mysql => mysql::run(cell).await,
        }
    }
}
