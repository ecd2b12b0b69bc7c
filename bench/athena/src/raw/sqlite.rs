//! rusqlite: a connection and a thread for each task.

use std::time::Duration;

use anyhow::{Result, ensure};
use bench_worker::{Answer, Cell, Item, Operation, ROWS, content, item, measure_threads};
use rusqlite::{Connection, params};

pub(super) fn run(cell: &Cell) -> Result<Answer> {
    match cell.operation {
        Operation::Fill => return fill(&cell.database).map(|()| Answer::Done),
        Operation::Empty => return empty(&cell.database).map(|()| Answer::Done),
        Operation::Clear => return Ok(Answer::Done),
        _ => {}
    }
    let durability = match cell.operation {
        Operation::InsertDurable => "FULL",
        _ => "NORMAL",
    };
    let connections = (0..cell.tasks).map(|_| connect(&cell.database, durability));
    let connections = connections.collect::<Result<Vec<_>>>()?;
    let step = match cell.operation {
        Operation::Point => point,
        Operation::Read => read,
        Operation::Insert | Operation::InsertDurable => insert,
        Operation::Batch | Operation::Bulk => batch,
        _ => return Ok(Answer::Unsupported),
    };
    let tasks = connections
        .into_iter()
        .map(|connection| move |random| step(&connection, random));
    measure_threads(cell, tasks.collect()).map(Answer::Measured)
}

fn connect(path: &str, durability: &str) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(30))?;
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = {durability};"
    ))?;
    Ok(connection)
}

fn create(connection: &Connection, table: &str) -> Result<()> {
    Ok(connection.execute_batch(&format!(
        "CREATE TABLE {table} (
             id INTEGER PRIMARY KEY,
             project INTEGER NOT NULL,
             kind TEXT NOT NULL,
             content TEXT NOT NULL,
             score REAL NOT NULL,
             created_at INTEGER NOT NULL
         ) STRICT"
    ))?)
}

fn fill(path: &str) -> Result<()> {
    let connection = connect(path, "NORMAL")?;
    create(&connection, "bench_items")?;
    connection.execute_batch("BEGIN")?;
    for row in (1..=ROWS).map(item) {
        connection
            .prepare_cached("INSERT INTO bench_items VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![
                row.id,
                row.project,
                row.kind,
                row.content,
                row.score,
                row.created_at
            ])?;
    }
    Ok(connection.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")?)
}

fn empty(path: &str) -> Result<()> {
    create(&connect(path, "NORMAL")?, "bench_inserts")
}

fn point(connection: &Connection, random: u64) -> Result<()> {
    let id = i64::try_from(random % ROWS)? + 1;
    let mut statement = connection.prepare_cached(
        "SELECT id, project, kind, content, score, created_at FROM bench_items WHERE id = ?1",
    )?;
    let item = statement.query_row([id], to_item)?;
    ensure!(item.id == id, "that is another row");
    Ok(())
}

fn read(connection: &Connection, random: u64) -> Result<()> {
    let from = i64::try_from(random % (ROWS - 1_000))?;
    let mut statement = connection.prepare_cached(
        "SELECT id, project, kind, content, score, created_at FROM bench_items
         WHERE id > ?1 ORDER BY id LIMIT 1000",
    )?;
    let items = statement
        .query_map([from], to_item)?
        .collect::<rusqlite::Result<Vec<Item>>>()?;
    ensure!(items.len() == 1_000, "rows are missing");
    Ok(())
}

fn to_item(row: &rusqlite::Row<'_>) -> rusqlite::Result<Item> {
    Ok(Item {
        id: row.get(0)?,
        project: row.get(1)?,
        kind: row.get(2)?,
        content: row.get(3)?,
        score: row.get(4)?,
        created_at: row.get(5)?,
    })
}

fn insert(connection: &Connection, random: u64) -> Result<()> {
    let project = i64::try_from(random % 97)?;
    connection
        .prepare_cached(
            "INSERT INTO bench_inserts (project, kind, content, score, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            project,
            "fact",
            content(random),
            0.5,
            1_700_000_000_000_000_i64
        ])?;
    Ok(())
}

fn batch(connection: &Connection, random: u64) -> Result<()> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    for number in 0..100 {
        insert(connection, random.wrapping_add(number))?;
    }
    connection.prepare_cached("COMMIT")?.execute([])?;
    Ok(())
}
