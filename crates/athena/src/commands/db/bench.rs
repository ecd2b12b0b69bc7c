//! `db bench`: what the database of the store costs here, measured on rows that are removed again.

use super::table::{Cell, Table};
use super::{database, explain, url_argument, with_database};
use crate::commands::{Session, progress};
use crate::config::{DatabaseSettings, redact};
use crate::outcome::{Outcome, at_path};
use athena_core::Result;
use athena_db::{Database, Executor, Params, Value, params, sqlite_file, sqlite_url};
use clap::{Arg, ArgMatches, Command, value_parser};
use indicatif::ProgressBar;
use serde::Serialize;
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Rows in one call of the batch.
const BATCH: i64 = 100;

/// Calls that run at the same time, where several do.
const TASKS: i64 = 16;

/// Makes the command.
pub(super) fn command() -> Command {
    Command::new("bench")
        .about("Measure reads, writes and batches on this database")
        .long_about(
            "Measure reads, writes and batches on this database.\n\nOn a server, in a table of its own that is dropped \
             afterwards; with SQLite, in a file of its own beside the store, on the same disk and with the same \
             durability.",
        )
        .arg(
            Arg::new("count")
                .long("count")
                .short('n')
                .value_name("N")
                .value_parser(value_parser!(u32).range(10..=1_000_000))
                .default_value("1000")
                .help("Calls of each kind [10 to 1000000]"),
        )
        .arg(url_argument())
}

/// What was measured of one kind of call.
#[derive(Debug, Serialize)]
struct Measured {
    name: &'static str,
    calls: usize,
    /// Rows in each call.
    rows: i64,
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
}

/// Measures.
pub(super) fn run(session: &Session, matches: &ArgMatches) -> Outcome {
    let settings = database(session, matches)?;
    let (place, _folder) = place(&settings)?;
    let count = matches.get_one::<u32>("count").copied().unwrap_or_default();
    let table = format!("athena_bench_{}", std::process::id());
    let (version, measured) = session.block_on(with_database(&place, false, async |db| {
        let version = db.ping().await.map_err(explain)?.version;
        let bar = progress(session, 5, "measuring");
        let measured = measure(db, &table, i64::from(count), &bar).await;
        let dropped = db.execute(format!("DROP TABLE IF EXISTS {table}"), Params::new());
        let dropped = dropped.await.map_err(explain);
        bar.finish_and_clear();
        let measured = measured.map_err(explain)?;
        dropped?;
        Ok((version, measured))
    }))?;
    let answer = json!({
        "database": redact(&settings.url), "version": version,
        "durability": if settings.full_durability { "full" } else { "normal" }, "items": measured,
    });
    session.show(&answer, |_, style| {
        let mut shown = Table::new(["", "calls/s", "rows/s", "p50 µs", "p99 µs"]);
        shown.rows = measured.iter().map(row).collect();
        format!(
            "{version} at {}\n{}",
            redact(&settings.url),
            shown.text(style)
        )
    })
}

fn row(measured: &Measured) -> Vec<Cell> {
    let number = |number: f64| Cell::Number(format!("{number:.0}"));
    vec![
        Cell::text(measured.name),
        number(measured.per_second),
        number(measured.per_second * f64::from(i32::try_from(measured.rows).unwrap_or(i32::MAX))),
        number(measured.p50_us),
        number(measured.p99_us),
    ]
}

/// Picks where to measure: for an embedded store a file beside it, so that the store stays as it is.
fn place(settings: &DatabaseSettings) -> Result<(DatabaseSettings, Option<TempDir>)> {
    let Some(file) = sqlite_file(&settings.url) else {
        return Ok((settings.clone(), None));
    };
    let folder = folder_in(beside(&file))?;
    let url = sqlite_url(&folder.path().join("bench.db"));
    Ok((
        DatabaseSettings {
            url,
            ..settings.clone()
        },
        Some(folder),
    ))
}

/// Returns the directory of a file, or the nearest one above it that exists.
pub(in crate::commands) fn beside(file: &Path) -> &Path {
    let mut beside = file.parent();
    while beside.is_some_and(|folder| !folder.exists()) {
        beside = beside.and_then(Path::parent);
    }
    beside
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Makes a folder to measure in, which is removed with what is returned.
///
/// # Errors
///
/// When nothing can be written there.
pub(in crate::commands) fn folder_in(directory: &Path) -> Result<TempDir> {
    tempfile::Builder::new()
        .prefix(".athena-bench-")
        .tempdir_in(directory)
        .map_err(|error| at_path("write to", directory, error))
}

async fn measure(
    db: &Database,
    table: &str,
    count: i64,
    bar: &ProgressBar,
) -> athena_db::Result<Vec<Measured>> {
    let script = format!(
        "CREATE TABLE {table} (id BIGINT PRIMARY KEY, content TEXT NOT NULL, at TIMESTAMP);"
    );
    for statement in athena_db::translate(db.dialect(), &script)? {
        db.execute(statement, Params::new()).await?;
    }
    let insert = format!("INSERT INTO {table} (id, content) VALUES (:id, :content)");
    let select = format!("SELECT content FROM {table} WHERE id = :id");
    let row = |id: i64| params! { id: id, content: content(id) };
    let mut all = Vec::new();

    let one = async |id: i64| db.execute(insert.clone(), row(id)).await.map(drop);
    all.push(Measured::of(
        "insert, one by one",
        1,
        serially(0..count, one).await?,
    ));
    bar.inc(1);
    let from = count;
    all.push(Measured::of(
        "insert, 16 at once",
        1,
        at_once(from..from + count, one).await?,
    ));
    bar.inc(1);
    let batch = async |number: i64| {
        let first = 2 * count + number * BATCH;
        let rows = (first..first + BATCH).map(|id| vec![Value::Int(id), content(id).into()]);
        let rows = rows.collect();
        db.insert_rows(table, &["id", "content"], rows)
            .await
            .map(drop)
    };
    let batches = (count / 10).max(1);
    all.push(Measured::of(
        "insert, 100 rows",
        BATCH,
        serially(0..batches, batch).await?,
    ));
    bar.inc(1);
    let read = async |id: i64| {
        let id = params! { id: id };
        let read: athena_db::Scalar<String> = db.fetch_one(select.clone(), id).await?;
        drop(read);
        Ok(())
    };
    all.push(Measured::of(
        "read by key, one by one",
        1,
        serially(0..count, read).await?,
    ));
    bar.inc(1);
    all.push(Measured::of(
        "read by key, 16 at once",
        1,
        at_once(0..count, read).await?,
    ));
    bar.inc(1);
    Ok(all)
}

/// Some hundred bytes, as a memory has.
fn content(id: i64) -> String {
    format!("row {id}: ").repeat(20)
}

/// How long everything took, and each call.
struct Times {
    whole: Duration,
    calls: Vec<Duration>,
}

async fn serially(
    numbers: std::ops::Range<i64>,
    call: impl AsyncFn(i64) -> athena_db::Result<()>,
) -> athena_db::Result<Times> {
    let started = Instant::now();
    let mut calls = Vec::new();
    for number in numbers {
        let before = Instant::now();
        call(number).await?;
        calls.push(before.elapsed());
    }
    Ok(Times {
        whole: started.elapsed(),
        calls,
    })
}

/// Divides the calls among tasks.
async fn at_once(
    numbers: std::ops::Range<i64>,
    call: impl AsyncFn(i64) -> athena_db::Result<()>,
) -> athena_db::Result<Times> {
    let started = Instant::now();
    let share = (numbers.end - numbers.start).div_euclid(TASKS) + 1;
    let shares = (0..TASKS).map(|task| {
        let first = numbers.start + task * share;
        serially(
            first.min(numbers.end)..(first + share).min(numbers.end),
            &call,
        )
    });
    let done = futures_util::future::try_join_all(shares).await?;
    Ok(Times {
        whole: started.elapsed(),
        calls: done.into_iter().flat_map(|times| times.calls).collect(),
    })
}

impl Measured {
    fn of(name: &'static str, rows: i64, mut times: Times) -> Self {
        times.calls.sort_unstable();
        let calls = times.calls.len();
        let at = |percent: usize| {
            let place = (calls * percent / 100).min(calls.saturating_sub(1));
            times
                .calls
                .get(place)
                .map_or(0.0, |time| time.as_secs_f64() * 1e6)
        };
        let per_second = u32::try_from(calls).map_or(f64::INFINITY, f64::from)
            / times.whole.as_secs_f64().max(1e-9);
        Self {
            name,
            calls,
            rows,
            per_second,
            p50_us: at(50),
            p99_us: at(99),
        }
    }
}
