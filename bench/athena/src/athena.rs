//! Athena's layer: one `Database` for all tasks, the same code on every backend.

use std::hint::black_box;

use anyhow::{Result, ensure};
use athena_db::bench::{Plans, parse};
use athena_db::{
    Database, Dialect, Durability, Executor, FromRow, Params, TxOptions, Value, params,
};
use bench_worker::{
    Answer, Backend, COLUMNS, Cell, Contestant, Operation, ROWS, Run, content, measure, time,
};

pub(crate) struct Athena;

impl Contestant for Athena {
    fn versions(&self) -> String {
        format!("athena-db {}", env!("CARGO_PKG_VERSION"))
    }

    async fn run(&self, cell: &Cell) -> Result<Answer> {
        match cell.operation {
            Operation::PlanHit | Operation::Bind | Operation::FirstParse => plans(cell),
            _ => run(cell).await,
        }
    }
}

async fn run(cell: &Cell) -> Result<Answer> {
    let db = open(cell).await?;
    let answer = match cell.operation {
        Operation::Point => all(cell, &db, Point).await,
        Operation::Read => all(cell, &db, Read).await,
        Operation::Insert | Operation::InsertDurable => all(cell, &db, Insert).await,
        Operation::Batch => all(cell, &db, Batch).await,
        Operation::Bulk => all(cell, &db, Bulk).await,
        Operation::Transaction => all(cell, &db, Transaction).await,
        _ => Ok(Answer::Unsupported),
    };
    db.close().await?;
    answer
}

/// Measures what happens to a statement before a database hears of it.
fn plans(cell: &Cell) -> Result<Answer> {
    let plans = Plans::new(Dialect::Sqlite);
    ensure!(plans.bind(INSERT, row(0)).is_ok(), "the statement is wrong");
    // Others come before it, as in any programme.
    for text in OTHERS {
        ensure!(plans.find(text).is_ok(), "another statement is wrong");
    }
    ensure!(
        parse(Dialect::Sqlite, LONG).is_ok() && LONG.len() >= 1_000,
        "the long one is wrong"
    );
    Ok(Answer::Measured(match cell.operation {
        Operation::PlanHit => time(cell, || drop(black_box(plans.find(black_box(INSERT))))),
        Operation::Bind => time(cell, || {
            drop(black_box(plans.bind(INSERT, black_box(row(7)))))
        }),
        _ => time(cell, || {
            drop(black_box(parse(Dialect::Sqlite, black_box(LONG))))
        }),
    }))
}

/// Opens as many connections as the raw driver has; on SQLite four readers are plenty.
async fn open(cell: &Cell) -> Result<Database> {
    let (url, connections) = match cell.backend {
        Backend::Sqlite => (format!("sqlite:{}", cell.database), 4),
        Backend::Postgres | Backend::Mysql => (cell.database.clone(), cell.tasks),
    };
    let durability = match (cell.backend, cell.operation) {
        (Backend::Sqlite, Operation::InsertDurable) => Durability::Full,
        (Backend::Sqlite, _) => Durability::Normal,
        _ => Durability::Full,
    };
    let builder = Database::builder(&url)
        .max_connections(connections)
        .min_connections(connections)
        .durability(durability);
    Ok(builder.open().await?)
}

/// One of the tasks.
struct Task<S> {
    db: Database,
    step: S,
}

trait Step: Copy + Send + 'static {
    fn run(self, db: &Database, random: u64) -> impl Future<Output = Result<()>> + Send;
}

impl<S: Step> Run for Task<S> {
    async fn run(&mut self, random: u64) -> Result<()> {
        self.step.run(&self.db, random).await
    }
}

async fn all<S: Step>(cell: &Cell, db: &Database, step: S) -> Result<Answer> {
    let task = |_| Task {
        db: db.clone(),
        step,
    };
    measure(cell, (0..cell.tasks).map(task).collect())
        .await
        .map(Answer::Measured)
}

/// As `bench_worker::Item`: the derive wants a type of this crate.
#[derive(FromRow)]
#[expect(dead_code, reason = "what is read is thrown away")]
struct Item {
    id: i64,
    project: i64,
    kind: String,
    content: String,
    score: f64,
    created_at: i64,
}

#[derive(Clone, Copy)]
struct Point;

impl Step for Point {
    async fn run(self, db: &Database, random: u64) -> Result<()> {
        let id = i64::try_from(random % ROWS)? + 1;
        let item: Item = db
            .fetch_one(
                "SELECT id, project, kind, content, score, created_at FROM bench_items WHERE id = :id",
                params! { id: id },
            )
            .await?;
        ensure!(item.id == id, "that is another row");
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Read;

impl Step for Read {
    async fn run(self, db: &Database, random: u64) -> Result<()> {
        let from = i64::try_from(random % (ROWS - 1_000))?;
        let items: Vec<Item> = db
            .fetch_all(
                "SELECT id, project, kind, content, score, created_at FROM bench_items
                 WHERE id > :from ORDER BY id LIMIT 1000",
                params! { from: from },
            )
            .await?;
        ensure!(items.len() == 1_000, "rows are missing");
        Ok(())
    }
}

const OTHERS: [&str; 4] = [
    "SELECT 1",
    "SELECT :a",
    "SELECT :a, :b",
    "DELETE FROM bench_inserts WHERE id = :id",
];

/// A statement of 1 kB as programmes have them: a common table expression, comments, literals.
const LONG: &str = include_str!("long.sql");

const INSERT: &str = "INSERT INTO bench_inserts (project, kind, content, score, created_at)
     VALUES (:project, :kind, :content, :score, :created_at)";

fn row(random: u64) -> Params {
    params! {
        project: i64::try_from(random % 97).unwrap_or(0),
        kind: "fact",
        content: content(random),
        score: 0.5,
        created_at: 1_700_000_000_000_000_i64,
    }
}

#[derive(Clone, Copy)]
struct Insert;

impl Step for Insert {
    async fn run(self, db: &Database, random: u64) -> Result<()> {
        db.execute(INSERT, row(random)).await?;
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Batch;

impl Step for Batch {
    async fn run(self, db: &Database, random: u64) -> Result<()> {
        let rows = (0..100).map(|number| row(random.wrapping_add(number)));
        db.execute_many(INSERT, rows.collect()).await?;
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Bulk;

impl Step for Bulk {
    async fn run(self, db: &Database, random: u64) -> Result<()> {
        let row = |number: i64| -> Vec<Value> {
            vec![
                Value::from(number % 97),
                Value::from("fact"),
                Value::from(content(random)),
                Value::from(0.5),
                Value::from(1_700_000_000_000_000_i64),
            ]
        };
        db.insert_rows("bench_inserts", &COLUMNS[1..], (0..100).map(row).collect())
            .await?;
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Transaction;

impl Step for Transaction {
    async fn run(self, db: &Database, _: u64) -> Result<()> {
        Ok(db.begin(TxOptions::default()).await?.commit().await?)
    }
}
