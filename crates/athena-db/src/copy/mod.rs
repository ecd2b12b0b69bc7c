//! Moving what migrations made from one database to another, whatever backends they are.
//!
//! The target gets the same migrations, then the rows table by table, referenced tables first,
//! with their ids and in the logical types of the migrations; then the numbers that the database
//! gives out go on where the source's do. In the end every table is read back and compared by
//! count and content. The source is read in one snapshot and never written.
//!
//! A copy that was interrupted goes on: rows are read in the order of their keys, and those that
//! are there already are compared instead of written. If the source has changed meanwhile, the
//! copy starts over, so that its end is one state of the source. Until then the target's ledger
//! says that it is unfinished, and [`Migrator::up`](crate::Migrator::up) refuses it.

mod digest;
mod json;
mod layout;
mod marker;

use std::time::Duration;

use serde::Serialize;

use crate::database::Database;
use crate::error::{CopyError, Error, ErrorKind, Result};
use crate::executor::Executor;
use crate::migrate::{MigrationSet, UNFINISHED_COPY};
use crate::params::Params;
use crate::row::{Row, Scalar};
use crate::schema::{LEDGER, Schema};
use crate::transaction::{Tx, TxOptions};
use crate::value::Value;
use digest::Digest;
use layout::{Layout, TypedRow, declared_tables};
use marker::Marker;

/// What a copy is to do besides moving the rows.
#[derive(Debug, Clone, Copy)]
pub struct CopyOptions<'a> {
    /// What names the source, without secrets: an unfinished copy goes on only from the same one.
    pub source: &'a str,
    /// The migrations whose tables are moved. The source must have all of them.
    pub sets: &'a [&'a MigrationSet<'a>],
    /// Leaves out what other sets of migrations made, instead of refusing a source that has some.
    pub leave_out_foreign: bool,
}

/// What a database holds besides what some sets of migrations made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Foreign {
    /// Other sets of migrations, in alphabetic order.
    pub sets: Vec<String>,
    /// Tables that none of the sets made, in alphabetic order.
    pub tables: Vec<String>,
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyProgress<'a> {
    /// What is being done.
    pub stage: CopyStage,
    /// The table.
    pub table: &'a str,
    /// Rows of all tables that are done, in this stage.
    pub done: u64,
    /// Rows of all tables.
    pub total: u64,
}

/// What a copy is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyStage {
    /// Rows are written, or found written by an earlier run.
    Copying,
    /// Rows are read back and compared.
    Verifying,
}

/// What a copy did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Copied {
    /// The tables in the order in which they were copied, as they are on both sides.
    pub tables: Vec<TableDigest>,
    /// Rows that an earlier, interrupted run had copied.
    pub resumed_rows: u64,
    /// Whether an interrupted run had to be undone first, because the source had changed.
    pub started_over: bool,
    /// Tables of the source that none of the migrations made; they were not copied.
    pub left_out: Vec<String>,
}

/// How many rows a table has, and what is in them: equal on every backend if and only if the rows
/// are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct TableDigest {
    /// The table.
    pub table: String,
    /// The number of rows.
    pub rows: u64,
    /// A sum of hashes over the typed values of each row, in hexadecimal.
    pub digest: String,
}

/// Rows that are written together.
const CHUNK_ROWS: usize = 1_000;

/// Bytes that are written together, nearly.
const CHUNK_BYTES: usize = 4 << 20;

/// The source's snapshot lasts as long as the copy.
const DEADLINE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Bounds the writing of one chunk.
const CHUNK_DEADLINE: Duration = Duration::from_secs(3600);

/// Is told how far a copy is.
pub type OnProgress<'a> = &'a mut (dyn FnMut(CopyProgress<'_>) + Send);

/// Copies everything that sets of migrations made into an empty database of any backend.
///
/// The target gets the same migrations, then the rows with their ids, and goes on counting where
/// the source does; in the end both are compared. The source is read in one snapshot and never
/// written. After an interruption the same call goes on, or starts over if the source has changed;
/// until it is done, [`Migrator::up`](crate::Migrator::up) refuses the target.
///
/// Open the source with [`Builder::read_only`](crate::Builder::read_only), and without a statement
/// timeout if it is large. On a busy server the snapshot holds back its cleaning of old rows.
///
/// # Errors
///
/// [`ErrorKind::Copy`] if the target holds rows or the unfinished copy of another source, if the
/// source lacks migrations, or if both differ in the end; else what the databases say. A copy that
/// failed half-way can be started again.
pub async fn copy_database(
    source: &Database,
    target: &Database,
    options: &CopyOptions<'_>,
    progress: OnProgress<'_>,
) -> Result<Copied> {
    check_copy_source(source, options).await?;
    if let Some(copied) = copy_snapshot(source, target, options, progress, false).await? {
        return Ok(copied);
    }
    let copied = copy_snapshot(source, target, options, progress, true).await?;
    copied.ok_or_else(changed_under_way)
}

/// Copies one state of the source; `None` if the target holds rows that are not of this state.
async fn copy_snapshot(
    source: &Database,
    target: &Database,
    options: &CopyOptions<'_>,
    progress: OnProgress<'_>,
    start_over: bool,
) -> Result<Option<Copied>> {
    let snapshot = source
        .begin(TxOptions::read_only().with_deadline(DEADLINE))
        .await?;
    let layouts = layout::of(&snapshot, options.sets).await?;
    let Claim { marker, resumed } = claim_target(target, options, &layouts).await?;
    if start_over {
        clear(target, &marker, layouts.iter()).await?;
    }
    let mut copy = Copy {
        snapshot: &snapshot,
        target,
        layouts: &layouts,
        total: count(&snapshot, &layouts).await?,
        done: 0,
        written: 0,
        resumed_rows: 0,
        marker,
        progress,
    };
    let Some(digests) = copy.transfer().await? else {
        if resumed && !start_over {
            return Ok(None);
        }
        // Whoever wrote meanwhile keeps the target, if nothing in it is from here.
        if copy.written == 0 {
            copy.marker.remove(target).await?;
        }
        return Err(changed_under_way());
    };
    copy.advance_numbers().await?;
    copy.verify(&digests).await?;
    let tables = layouts.iter().zip(&digests);
    let copied = Copied {
        tables: tables
            .map(|(layout, digest)| digest.of_table(&layout.name))
            .collect(),
        resumed_rows: copy.resumed_rows,
        started_over: start_over,
        left_out: foreign_parts(&snapshot, options.sets).await?.tables,
    };
    copy.marker.remove(target).await?;
    snapshot.rollback().await?;
    Ok(Some(copied))
}

/// Counts and sums up every table, in alphabetic order, in one snapshot.
///
/// # Errors
///
/// What reading the tables meets, and [`ErrorKind::Type`] for a value that is not of the type that
/// its migration declared.
pub async fn digest_database(db: &Database) -> Result<Vec<TableDigest>> {
    let snapshot = db
        .begin(TxOptions::read_only().with_deadline(DEADLINE))
        .await?;
    let mut digests = Vec::new();
    for table in Schema::of(&snapshot).tables().await? {
        let layout = Layout::new(&table);
        let digest = Digest::of(&snapshot, &layout, |_| {}).await?;
        digests.push(digest.of_table(&layout.name));
    }
    snapshot.rollback().await?;
    Ok(digests)
}

/// A copy in progress.
struct Copy<'a> {
    snapshot: &'a Tx<'static>,
    target: &'a Database,
    layouts: &'a [Layout],
    marker: Marker,
    progress: OnProgress<'a>,
    done: u64,
    written: usize,
    total: u64,
    resumed_rows: u64,
}

impl Copy<'_> {
    /// Brings all rows over that are missing; `None` if what is there is not of this source.
    async fn transfer(&mut self) -> Result<Option<Vec<Digest>>> {
        let mut digests = Vec::new();
        for layout in self.layouts {
            match self.transfer_table(layout).await? {
                Some(digest) => digests.push(digest),
                None => return Ok(None),
            }
        }
        Ok(Some(digests))
    }

    async fn transfer_table(&mut self, layout: &Layout) -> Result<Option<Digest>> {
        let present = Digest::of(self.target, layout, |_| {}).await?;
        let select = layout.select_in_order(self.snapshot.dialect());
        let mut rows = self.snapshot.stream::<Row>(select, Params::new());
        let mut digest = Digest::default();
        let mut chunk = Chunk::default();
        while let Some(row) = rows.next().await {
            let row = layout.typed(row?)?;
            digest.add(&row.encoded);
            if digest.rows > present.rows {
                layout.check_storable(self.target.dialect(), &row)?;
                chunk.push(row);
            } else if digest.rows == present.rows && digest != present {
                return Ok(None);
            }
            if chunk.is_full() {
                self.write(layout, std::mem::take(&mut chunk.rows)).await?;
                chunk = Chunk::default();
            }
            if digest.rows.is_multiple_of(256) {
                self.report(CopyStage::Copying, layout, self.done + digest.rows);
            }
        }
        if digest.rows < present.rows {
            return Ok(None);
        }
        drop(rows);
        // What is read in the order of references could leave some rows out.
        let expected = count_of(self.snapshot, layout).await?;
        if digest.rows != expected {
            return Err(Error::new(
                ErrorKind::Other,
                format!(
                    "{} of the {expected} rows of `{}` refer to each other in a circle, or to no row, and cannot be copied",
                    expected.abs_diff(digest.rows),
                    layout.name
                ),
            ));
        }
        self.write(layout, chunk.rows).await?;
        self.done += digest.rows;
        self.resumed_rows += present.rows;
        self.report(CopyStage::Copying, layout, self.done);
        Ok(Some(digest))
    }

    async fn write(&mut self, layout: &Layout, rows: Vec<Vec<Value>>) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        self.written += rows.len();
        let tx = own_turn(self.target, &self.marker).await?;
        tx.insert_rows(&layout.name, &layout.column_names(), rows)
            .await
            .map_err(|error| in_table(layout, error))?;
        tx.commit().await
    }

    async fn advance_numbers(&self) -> Result<()> {
        for layout in self.layouts {
            let identity = Schema::of(self.snapshot).identity(&layout.name).await?;
            if let Some(identity) = identity {
                let target = self.target.schema();
                target.advance_identity(&layout.name, identity.last).await?;
            }
        }
        Ok(())
    }

    async fn verify(&mut self, expected: &[Digest]) -> Result<()> {
        self.done = 0;
        for (layout, expected) in self.layouts.iter().zip(expected) {
            let before = self.done;
            let (progress, total) = (&mut self.progress, self.total);
            let found = Digest::of(self.target, layout, |rows| {
                progress(CopyProgress {
                    stage: CopyStage::Verifying,
                    table: &layout.name,
                    done: before + rows,
                    total,
                });
            })
            .await?;
            if found != *expected {
                return Err(differs(&layout.name, expected, &found));
            }
            self.done += found.rows;
        }
        Ok(())
    }

    fn report(&mut self, stage: CopyStage, layout: &Layout, done: u64) {
        (self.progress)(CopyProgress {
            stage,
            table: &layout.name,
            done,
            total: self.total,
        });
    }
}

/// Rows that wait to be written together.
#[derive(Default)]
struct Chunk {
    rows: Vec<Vec<Value>>,
    bytes: usize,
}

impl Chunk {
    fn push(&mut self, row: TypedRow) {
        self.bytes += row.encoded.len();
        self.rows.push(row.values);
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= CHUNK_ROWS || self.bytes >= CHUNK_BYTES
    }
}

/// Makes sure that a database can be the source of a copy; [`copy_database`] begins with it.
///
/// Worth a call before a target is opened, which may create it.
///
/// # Errors
///
/// [`ErrorKind::Copy`] if migrations are missing, or others are there and not to be left out;
/// [`ErrorKind::Migration`] if the source is an unfinished copy or of a newer version.
pub async fn check_copy_source(source: &Database, options: &CopyOptions<'_>) -> Result<()> {
    for set in options.sets {
        if let Some(pending) = source.migrations(set).plan().await?.first() {
            let message = format!(
                "the source lacks migration {} `{}` of `{}`; bring it up to date first",
                pending.version, pending.name, set.name
            );
            let set = set.name.to_owned();
            return Err(refused(CopyError::NotReady { set }, message));
        }
    }
    let foreign = foreign_parts(source, options.sets).await?;
    if foreign.sets.is_empty() || options.leave_out_foreign {
        return Ok(());
    }
    let message = format!(
        "the source also has the migrations of {}, which this programme does not know and cannot copy (the tables {})",
        quoted(&foreign.sets),
        quoted(&foreign.tables)
    );
    let sets = foreign.sets;
    Err(refused(CopyError::Foreign { sets }, message))
}

/// Lists what a database holds besides what sets of migrations made.
///
/// # Errors
///
/// What reading the ledger and the names of the tables meets.
pub async fn foreign_parts(db: &impl Executor, sets: &[&MigrationSet<'_>]) -> Result<Foreign> {
    let declared = declared_tables(sets)?;
    let mut tables = Schema::of(db).table_names().await?;
    tables.retain(|name| !declared.contains(name));
    let found = if Schema::of(db).table_exists(LEDGER).await? {
        let names = "SELECT DISTINCT set_name FROM athena_migrations ORDER BY set_name";
        db.fetch_all(names, Params::new()).await?
    } else {
        Vec::new()
    };
    let is_foreign =
        |name: &String| name != UNFINISHED_COPY && !sets.iter().any(|set| set.name == name);
    let names = found.into_iter().map(|Scalar(name): Scalar<String>| name);
    let sets = names.filter(is_foreign).collect();
    Ok(Foreign { sets, tables })
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// What a copy finds in its target.
struct Claim {
    marker: Marker,
    /// Whether rows of an earlier run may be there; else the target is empty.
    resumed: bool,
}

/// Marks the target as unfinished and gives it its tables, or finds an unfinished copy to go on
/// with.
async fn claim_target(
    target: &Database,
    options: &CopyOptions<'_>,
    layouts: &[Layout],
) -> Result<Claim> {
    let declared = declared_tables(options.sets)?;
    if !marker::is_marked(target, options.source).await? {
        // What is refused here was not touched at all.
        let found = marker::declared_in(target, &declared).await?;
        marker::check_empty(target, &found).await?;
    }
    let mut marker = Marker::claim(target, options.source).await?;
    let resumed = marker.is_confirmed();
    let found = if resumed {
        declared
    } else {
        marker.confirm(target, &declared).await?
    };
    for set in options.sets {
        let migrator = target.migrations(set).without_backup().within_copy();
        migrator.up().await?;
    }
    // Migrations may have written rows of their own, which come from the source as well.
    let made = layouts
        .iter()
        .filter(|layout| !found.contains(&layout.name));
    clear(target, &marker, made).await?;
    let tables = Schema::of(target).tables().await?;
    for layout in layouts {
        layout.check(&tables)?;
    }
    Ok(Claim { marker, resumed })
}

/// Removes the rows of tables, given with the referenced ones first.
async fn clear<'a>(
    target: &Database,
    marker: &Marker,
    layouts: impl DoubleEndedIterator<Item = &'a Layout>,
) -> Result<()> {
    let tx = own_turn(target, marker).await?;
    for layout in layouts.rev() {
        let delete = format!("DELETE FROM {}", tx.dialect().quote(&layout.name));
        tx.execute(delete, Params::new()).await?;
    }
    tx.commit().await
}

/// Begins a transaction that fails if another copy has taken over the target.
async fn own_turn(target: &Database, marker: &Marker) -> Result<Tx<'static>> {
    let options = TxOptions::default().with_deadline(CHUNK_DEADLINE);
    let tx = target.begin(options).await?;
    marker.hold(&tx).await?;
    Ok(tx)
}

async fn count(snapshot: &Tx<'_>, layouts: &[Layout]) -> Result<u64> {
    let mut total = 0;
    for layout in layouts {
        total += count_of(snapshot, layout).await?;
    }
    Ok(total)
}

async fn count_of(snapshot: &Tx<'_>, layout: &Layout) -> Result<u64> {
    let table = snapshot.dialect().quote(&layout.name);
    let sql = format!("SELECT count(*) FROM {table}");
    let Scalar(rows): Scalar<u64> = snapshot.fetch_one(sql, Params::new()).await?;
    Ok(rows)
}

fn refused(kind: CopyError, message: String) -> Error {
    Error::new(ErrorKind::Copy(kind), message)
}

fn in_table(layout: &Layout, error: Error) -> Error {
    let message = format!("writing rows of `{}`: {error}", layout.name);
    Error::new(error.kind().clone(), message).with_source(error)
}

fn differs(table: &str, expected: &Digest, found: &Digest) -> Error {
    let difference = if expected.rows == found.rows {
        format!("{} rows differ in content", found.rows)
    } else {
        format!("{} rows arrived of {}", found.rows, expected.rows)
    };
    let message = format!(
        "table `{table}` is not the same in the target: {difference}; nothing else may write into it during the copy"
    );
    let table = table.to_owned();
    refused(CopyError::Differs { table }, message)
}

fn changed_under_way() -> Error {
    let message =
        "rows appeared in the target during the copy; nothing else may write into it".to_owned();
    let table = String::new();
    refused(CopyError::Differs { table }, message)
}
