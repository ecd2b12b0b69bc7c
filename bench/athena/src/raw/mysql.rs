//! mysql_async: a `Conn` for each task, because its pool forgets prepared statements.

use anyhow::{Context as _, Result, ensure};
use bench_worker::{Answer, Cell, Item, Operation, ROWS, Run, content, item, measure};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, Statement};

const COLUMNS: &str = "id, project, kind, content, score, created_at";
const INSERT: &str =
    "INSERT INTO bench_inserts (project, kind, content, score, created_at) VALUES (?, ?, ?, ?, ?)";

pub(super) async fn run(cell: &Cell) -> Result<Answer> {
    let mut conn = connect(&cell.database).await?;
    match cell.operation {
        Operation::Fill => fill(&mut conn).await.map(|()| Answer::Done),
        Operation::Empty => create(&mut conn, "bench_inserts")
            .await
            .map(|()| Answer::Done),
        Operation::Clear => clear(&mut conn).await.map(|()| Answer::Done),
        Operation::Point => {
            let text = format!("SELECT {COLUMNS} FROM bench_items WHERE id = ?");
            all(cell, &text, Point).await
        }
        Operation::Read => {
            let text =
                format!("SELECT {COLUMNS} FROM bench_items WHERE id > ? ORDER BY id LIMIT 1000");
            all(cell, &text, Read).await
        }
        Operation::Insert | Operation::InsertDurable => all(cell, INSERT, Insert).await,
        Operation::Batch | Operation::Bulk => all(cell, INSERT, Batch).await,
        _ => Ok(Answer::Unsupported),
    }
}

async fn connect(url: &str) -> Result<Conn> {
    Ok(Conn::new(Opts::from_url(url)?).await?)
}

async fn create(conn: &mut Conn, table: &str) -> Result<()> {
    conn.query_drop(format!("DROP TABLE IF EXISTS {table}"))
        .await?;
    conn.query_drop(format!(
        "CREATE TABLE {table} (
             id BIGINT AUTO_INCREMENT PRIMARY KEY,
             project BIGINT NOT NULL,
             kind VARCHAR(32) NOT NULL,
             content TEXT NOT NULL,
             score DOUBLE NOT NULL,
             created_at BIGINT NOT NULL
         ) ENGINE = InnoDB CHARACTER SET utf8mb4"
    ))
    .await?;
    Ok(())
}

async fn fill(conn: &mut Conn) -> Result<()> {
    create(conn, "bench_items").await?;
    conn.query_drop("BEGIN").await?;
    conn.exec_batch(
        "INSERT INTO bench_items VALUES (?, ?, ?, ?, ?, ?)",
        (1..=ROWS).map(item).map(|row| {
            (
                row.id,
                row.project,
                row.kind,
                row.content,
                row.score,
                row.created_at,
            )
        }),
    )
    .await?;
    Ok(conn.query_drop("COMMIT").await?)
}

async fn clear(conn: &mut Conn) -> Result<()> {
    Ok(conn
        .query_drop("DROP TABLE IF EXISTS bench_items, bench_inserts")
        .await?)
}

/// One of the tasks.
struct Task<S> {
    conn: Conn,
    statement: Statement,
    step: S,
}

trait Step: Copy + Send + 'static {
    fn run(
        self,
        conn: &mut Conn,
        statement: &Statement,
        random: u64,
    ) -> impl Future<Output = Result<()>> + Send;
}

impl<S: Step> Run for Task<S> {
    async fn run(&mut self, random: u64) -> Result<()> {
        self.step.run(&mut self.conn, &self.statement, random).await
    }
}

async fn all<S: Step>(cell: &Cell, text: &str, step: S) -> Result<Answer> {
    let mut tasks = Vec::new();
    for _ in 0..cell.tasks {
        let mut conn = connect(&cell.database).await?;
        let statement = conn.prep(text).await?;
        tasks.push(Task {
            conn,
            statement,
            step,
        });
    }
    measure(cell, tasks).await.map(Answer::Measured)
}

#[derive(Clone, Copy)]
struct Point;

impl Step for Point {
    async fn run(self, conn: &mut Conn, statement: &Statement, random: u64) -> Result<()> {
        let id = i64::try_from(random % ROWS)? + 1;
        let row = conn.exec_first(statement, (id,)).await?;
        let item = to_item(row.context("the row is missing")?);
        ensure!(item.id == id, "that is another row");
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Read;

impl Step for Read {
    async fn run(self, conn: &mut Conn, statement: &Statement, random: u64) -> Result<()> {
        let from = i64::try_from(random % (ROWS - 1_000))?;
        let items = conn.exec_map(statement, (from,), to_item).await?;
        ensure!(items.len() == 1_000, "rows are missing");
        Ok(())
    }
}

fn to_item(
    (id, project, kind, content, score, created_at): (i64, i64, String, String, f64, i64),
) -> Item {
    Item {
        id,
        project,
        kind,
        content,
        score,
        created_at,
    }
}

#[derive(Clone, Copy)]
struct Insert;

impl Step for Insert {
    async fn run(self, conn: &mut Conn, statement: &Statement, random: u64) -> Result<()> {
        let row = (
            random % 97,
            "fact",
            content(random),
            0.5,
            1_700_000_000_000_000_i64,
        );
        Ok(conn.exec_drop(statement, row).await?)
    }
}

/// One row after the other in a transaction, each awaited.
#[derive(Clone, Copy)]
struct Batch;

impl Step for Batch {
    async fn run(self, conn: &mut Conn, statement: &Statement, random: u64) -> Result<()> {
        conn.query_drop("BEGIN").await?;
        for number in 0..100 {
            Insert
                .run(conn, statement, random.wrapping_add(number))
                .await?;
        }
        Ok(conn.query_drop("COMMIT").await?)
    }
}
