//! One connection: how it is made and how a statement is prepared and run on it.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use mysql_async::{
    BinaryProtocol, Conn, DriverError, Error as DriverFailure, IoError, Opts, Params, QueryResult,
    Value as Raw,
};
use tokio::sync::Mutex;

use super::error::{cannot_connect, translate, translate_plan, unique_violation};
use super::implicit::refuse_commit;
use super::keys::Keys;
use super::options::Options;
use super::types::{decode, encode, size_of};
use crate::collect::Collector;
use crate::database::Settings;
use crate::dialect::Dialect;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::plan::{Class, Outcome, Plan, Work};
use crate::pool::Manage;
use crate::row::{Columns, Row};
use crate::server::{Failure, Session};
use crate::sql::{Form, Keyed, Slot, expand_lists, rewrite};
use crate::stream::{CHUNK, ResultColumn, RowSender, stalled, within};
use crate::transaction::TxOptions;
use crate::value::Value;

/// Makes connections.
#[derive(Debug)]
pub(crate) struct Connector {
    options: Options,
    keys: Arc<Keys>,
}

/// A connection. The driver wants it exclusively, the layer above does not promise that.
#[derive(Debug)]
pub(crate) struct Connection {
    link: Mutex<Link>,
    /// The server's number of the connection.
    id: u32,
    /// How to reach the server once more, to end this connection.
    driver: Opts,
    lost: AtomicBool,
}

/// The connection itself and what is known about it.
#[derive(Debug)]
struct Link {
    conn: Conn,
    keys: Arc<Keys>,
    /// The longest packet that the server takes.
    max_packet: usize,
    is_mariadb: bool,
    /// After how many idle seconds the server ends a transaction.
    idle_limit: u64,
    /// Rows did not come in time, and may come yet.
    stalled: bool,
}

/// How long a connection may idle and be lent without asking for it. Short, because the driver
/// does not notice that one was closed before a statement on it was sent and may be lost.
const TRUSTED: Duration = Duration::from_millis(10);

/// A statement was stopped because it took too long.
const STOPPED: &str = "1969";

/// How long a server may take to answer a new connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a stream may wait for its reader where nothing else limits it.
const LONGEST_STREAM: Duration = Duration::from_secs(30 * 24 * 3600);

/// The most placeholders that a prepared statement can have.
const MAX_PLACEHOLDERS: usize = 65_535;

/// The most rows of a batch that travel in one statement.
const ROWS_AT_ONCE: usize = 512;

/// Keys in one statement that changes rows by them.
const KEYS_AT_ONCE: usize = 512;

/// What to do with the rows of a statement.
enum Rows<'a> {
    Count,
    /// So many, as what the caller wants.
    Take(usize, Collector),
    /// Each wait for rows may take so long.
    Send(&'a RowSender, Option<Duration>),
}

impl Rows<'_> {
    const fn limit(&self) -> Option<Duration> {
        match self {
            Self::Send(_, limit) => *limit,
            Self::Count | Self::Take(..) => None,
        }
    }
}

impl Connector {
    pub(super) fn new(url: &str, settings: &Settings) -> Result<Self> {
        Ok(Self {
            options: Options::new(url, settings)?,
            keys: Arc::default(),
        })
    }

    /// Connects with or without TLS; where both will do, the error is that of the first choice.
    async fn reach(&self) -> Result<(Conn, Opts), DriverFailure> {
        let options = &self.options;
        let first = Conn::new(options.driver.clone()).await;
        match (first, &options.second) {
            (Ok(conn), _) => Ok((conn, options.driver.clone())),
            (Err(error), Some(second)) if may_be_about_tls(&error) => {
                let conn = Conn::new(second.clone()).await.map_err(|_| error)?;
                Ok((conn, second.clone()))
            }
            (Err(error), _) => Err(error),
        }
    }

    async fn link(&self) -> Result<(Link, Opts), DriverFailure> {
        let (mut conn, driver) = self.reach().await?;
        let known: Option<(String, u64)> = conn
            .query_first("SELECT version(), @@max_allowed_packet")
            .await?;
        let (version, max_packet) = known.unwrap_or_default();
        let is_mariadb = version.contains("MariaDB");
        conn.query_drop(self.options.session(is_mariadb)).await?;
        if is_mariadb {
            // Versions before 10.6.18 do not know it; they let the later of two changes win.
            let snapshot = conn.query_drop("SET SESSION innodb_snapshot_isolation = ON");
            match snapshot.await {
                Err(DriverFailure::Server(_)) | Ok(()) => {}
                Err(error) => return Err(error),
            }
        }
        let link = Link {
            conn,
            keys: Arc::clone(&self.keys),
            max_packet: usize::try_from(max_packet).unwrap_or(usize::MAX),
            is_mariadb,
            idle_limit: 0,
            stalled: false,
        };
        Ok((link, driver))
    }
}

impl Manage for Connector {
    type Conn = Connection;

    async fn connect(&self) -> Result<Connection> {
        let place = &self.options.place;
        match tokio::time::timeout(CONNECT_TIMEOUT, self.link()).await {
            Ok(Ok((link, driver))) => Ok(Connection {
                id: link.conn.id(),
                link: Mutex::new(link),
                driver,
                lost: AtomicBool::new(false),
            }),
            Ok(Err(error)) => Err(cannot_connect(&error, place)),
            Err(_) => Err(Error::new(
                ErrorKind::Timeout(Stage::Connect),
                format!("cannot connect to MySQL at {place}: no answer within {CONNECT_TIMEOUT:?}"),
            )),
        }
    }

    fn is_usable(&self, conn: &Connection) -> bool {
        !conn.is_lost()
    }

    async fn ping(&self, conn: &mut Connection) -> bool {
        conn.link.get_mut().conn.ping().await.is_ok()
    }

    fn trust(&self) -> Duration {
        TRUSTED
    }

    fn abandon(&self, conn: Connection) {
        if !conn.is_lost() {
            conn.cancel();
        }
    }
}

impl Session for Connection {
    async fn run(&self, work: &Work, in_transaction: bool) -> Result<Outcome, Failure> {
        if let Some(plan) = work.plan()
            && in_transaction
            && plan.class == Class::Other
        {
            refuse_commit(&plan.text).map_err(Failure::before)?;
        }
        let mut link = self.link.lock().await;
        let result = link.run(work).await;
        if let Err(failure) = &result {
            self.note_loss(&failure.error);
        }
        if link.stalled && !self.lost.swap(true, Ordering::SeqCst) {
            self.cancel();
        }
        result
    }

    async fn begin(&self, options: &TxOptions) -> Result<()> {
        let result = self.link.lock().await.begin(options).await;
        self.translate(result)
    }

    async fn end(&self, text: &'static str) -> Result<()> {
        let result = self.link.lock().await.conn.query_drop(text).await;
        self.translate(result)
    }

    fn cancel(&self) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(kill(self.driver.clone(), self.id));
        }
    }

    fn is_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }
}

impl Connection {
    fn translate(&self, result: Result<(), DriverFailure>) -> Result<()> {
        result.map_err(|error| {
            let error = translate(&error);
            self.note_loss(&error);
            error
        })
    }

    fn note_loss(&self, error: &Error) {
        if error.is_connection() || matches!(error.kind(), ErrorKind::CommitUnknown) {
            self.lost.store(true, Ordering::SeqCst);
        }
    }
}

/// Whether the server lacks TLS, insists on it, or does it in a way that we do not like.
fn may_be_about_tls(error: &DriverFailure) -> bool {
    match error {
        DriverFailure::Driver(DriverError::NoClientSslFlagFromServer)
        | DriverFailure::Io(IoError::Tls(_)) => true,
        // Access denied, and that it wants TLS.
        DriverFailure::Server(error) => matches!(error.code, 1045 | 3159),
        _ => false,
    }
}

/// Ends a connection of ours from the outside, with whatever the server does on it.
async fn kill(driver: Opts, id: u32) {
    let killed = async {
        let mut conn = Conn::new(driver).await?;
        conn.query_drop(format!("KILL CONNECTION {id}")).await?;
        conn.disconnect().await
    };
    if let Ok(Err(error)) = tokio::time::timeout(CONNECT_TIMEOUT, killed).await {
        let error = translate(&error);
        tracing::debug!(target: "athena_db", %error, "an abandoned statement could not be stopped");
    }
}

fn begin_text(options: &TxOptions) -> String {
    let (isolation, access) = options.words();
    // The snapshot belongs to the beginning, as on SQLite; only this level takes one.
    let snapshot = if isolation == "REPEATABLE READ" {
        "WITH CONSISTENT SNAPSHOT, "
    } else {
        ""
    };
    format!("SET TRANSACTION ISOLATION LEVEL {isolation}; START TRANSACTION {snapshot}{access}")
}

impl Link {
    async fn begin(&mut self, options: &TxOptions) -> Result<(), DriverFailure> {
        let text = begin_text(options);
        let limit = options.deadline.as_secs().saturating_add(1);
        if !self.is_mariadb || self.idle_limit == limit {
            return self.conn.query_drop(text).await;
        }
        let text = format!("SET SESSION idle_transaction_timeout = {limit}; {text}");
        self.conn.query_drop(text).await?;
        self.idle_limit = limit;
        Ok(())
    }

    async fn run(&mut self, work: &Work) -> Result<Outcome, Failure> {
        let (plan, values, rows) = match work {
            Work::Batch(text) => {
                let done = self.conn.query_drop(text).await;
                return done
                    .map(|()| Outcome::Count(0))
                    .map_err(|error| Failure::on_the_way(translate(&error), true));
            }
            Work::ExecuteMany { plan, rows } => {
                return self.execute_many(plan, rows).await.map(Outcome::Count);
            }
            Work::Execute { plan, values } => (plan, values, Rows::Count),
            Work::Fetch {
                plan,
                values,
                limit,
                collector,
            } => (plan, values, Rows::Take(*limit, *collector)),
            Work::Stream { plan, values, rows } => {
                return Box::pin(self.stream(plan, values, rows)).await;
            }
        };
        self.run_one(plan, values, rows).await
    }

    /// Sends the rows away; the server's limit of time, which is for a whole statement, is that of
    /// the transaction meanwhile, and each wait for rows is limited instead. The server's patience
    /// with a slow reader grows likewise.
    async fn stream(
        &mut self,
        plan: &Plan,
        values: &[Value],
        rows: &RowSender,
    ) -> Result<Outcome, Failure> {
        // In steps, each is a statement of its own.
        if matches!(plan.form, Form::Keyed(_)) {
            return self.run_one(plan, values, Rows::Send(rows, None)).await;
        }
        let before = |error| Failure::before(translate(&error));
        let left = rows.time_left();
        let (known, patience) = self.lift_time_limit(left).await.map_err(before)?;
        let limit = self.time_limit(known);
        let result = self.run_one(plan, values, Rows::Send(rows, limit)).await;
        if !self.stalled && !result.as_ref().is_err_and(Failure::is_lost) {
            let text = format!(
                "SET SESSION {} = {known}, net_write_timeout = {patience}",
                self.time_variable()
            );
            let restored = self.conn.query_drop(text).await;
            restored.map_err(|error| Failure::on_the_way(translate(&error), false))?;
        }
        result
    }

    /// Puts the time that is left, if there is an end to it, in place of the limit for a statement,
    /// and returns what that was and for how long the server waited for a slow reader.
    async fn lift_time_limit(
        &mut self,
        left: Option<Duration>,
    ) -> Result<(f64, u64), DriverFailure> {
        let variable = self.time_variable();
        let left = left.map(|left| left.clamp(Duration::from_millis(1), LONGEST_STREAM));
        let limit = match left {
            None => 0.0,
            Some(left) if self.is_mariadb => left.as_secs_f64(),
            Some(left) => (left.as_secs_f64() * 1000.0).round(),
        };
        let patience = left.unwrap_or(LONGEST_STREAM).as_secs() + 1;
        let text = format!(
            "SELECT CAST(@@SESSION.{variable} AS DOUBLE), @@SESSION.net_write_timeout; \
             SET SESSION {variable} = {limit}, net_write_timeout = {patience}"
        );
        let known: Option<(f64, u64)> = self.conn.query_first(text).await?;
        Ok(known.unwrap_or((0.0, 60)))
    }

    const fn time_variable(&self) -> &'static str {
        if self.is_mariadb {
            "max_statement_time"
        } else {
            "max_execution_time"
        }
    }

    /// MariaDB counts in seconds, MySQL in milliseconds.
    fn time_limit(&self, number: f64) -> Option<Duration> {
        let seconds = if self.is_mariadb {
            number
        } else {
            number / 1000.0
        };
        let limit = Duration::try_from_secs_f64(seconds).ok();
        limit.filter(|limit| !limit.is_zero())
    }

    async fn run_one(
        &mut self,
        plan: &Plan,
        values: &[Value],
        rows: Rows<'_>,
    ) -> Result<Outcome, Failure> {
        if let Form::Keyed(keyed) = &plan.form {
            return self.run_by_keys(plan, keyed, values, rows).await;
        }
        if plan.class == Class::Other && plan.slots.is_empty() && matches!(rows, Rows::Count) {
            return self.run_definition(plan).await;
        }
        let (text, raws) = self.bind(plan, values).map_err(Failure::before)?;
        self.send(plan, &text, raws, rows).await
    }

    /// Not every such statement can be prepared. That it is only one was seen when it was planned.
    async fn run_definition(&mut self, plan: &Plan) -> Result<Outcome, Failure> {
        let done = self.conn.query_drop(plan.text.as_str()).await;
        done.map(|()| Outcome::Count(0))
            .map_err(|error| Failure::on_the_way(translate_plan(plan, &error), true))
    }

    /// Prepares and executes a text; a duplicate is looked up, and forgiven where that was asked.
    async fn send(
        &mut self,
        plan: &Plan,
        text: &str,
        raws: Vec<Raw>,
        rows: Rows<'_>,
    ) -> Result<Outcome, Failure> {
        self.check_size(plan, text, &raws)
            .map_err(Failure::before)?;
        let writes = plan.class != Class::Query;
        let skipped = match rows {
            Rows::Take(..) => Outcome::Rows(Vec::new()),
            Rows::Count | Rows::Send(..) => Outcome::Count(0),
        };
        let limit = rows.limit();
        let executed = execute(&mut self.conn, Some(plan), text, raws, writes);
        let result = match within(limit, executed).await {
            Some(Ok(result)) => read(result, plan, rows, writes).await,
            Some(Err(failed)) => Err(failed),
            None => Err(Failure::after(stalled(STOPPED))),
        };
        let failed = match result {
            Ok(outcome) => return Ok(outcome),
            Err(failed) => failed,
        };
        // Where we limit the time, the server does not.
        self.stalled = limit.is_some() && matches!(failed.error.kind(), ErrorKind::Timeout(_));
        let ErrorKind::Unique {
            constraint: Some(key),
            ..
        } = failed.error.kind()
        else {
            return Err(failed);
        };
        let key = key.clone();
        let columns = match &plan.table {
            Some(table) => self.keys.columns(&mut self.conn, table, &key).await,
            None => Arc::default(),
        };
        match &plan.form {
            Form::InsertOrSkip(target) if target.is_empty() || same(target, &columns) => {
                Ok(skipped)
            }
            _ => Err(Failure::after(unique_violation(
                failed.error,
                &key,
                columns.to_vec(),
            ))),
        }
    }

    async fn execute_many(&mut self, plan: &Plan, rows: &[Vec<Value>]) -> Result<u64, Failure> {
        let mut count = 0;
        let mut rest = rows;
        while let Some(first) = rest.first() {
            let at_once = self.rows_at_once(plan, rest);
            let (now, later) = rest.split_at(at_once);
            let outcome = if at_once == 1 {
                self.run_one(plan, first, Rows::Count).await?
            } else {
                let (text, raws) = self.bind_rows(plan, now).map_err(Failure::before)?;
                self.send(plan, &text, raws, Rows::Count).await?
            };
            count += outcome.len();
            rest = later;
        }
        Ok(count)
    }

    /// How many of these rows fit into one statement: a power of two, so that few texts are made.
    fn rows_at_once(&self, plan: &Plan, rows: &[Vec<Value>]) -> usize {
        // One row too many where the plan is forgiving would forgive the others as well.
        let repeatable = plan.insert_shape().is_some_and(|shape| !shape.returning)
            && !matches!(plan.form, Form::InsertOrSkip(_))
            && !plan.slots.is_empty();
        if !repeatable {
            return 1;
        }
        let by_number = (MAX_PLACEHOLDERS / plan.slots.len()).min(ROWS_AT_ONCE);
        let largest = rows.iter().take(by_number).map(|row| rough_size(row)).max();
        let by_size = self.max_packet / 2 / (largest.unwrap_or(0) + plan.text.len()).max(1);
        let most = by_number.min(by_size).min(rows.len()).max(1);
        1 << most.ilog2()
    }

    /// Repeats the row of an insert.
    fn bind_rows(&self, plan: &Plan, rows: &[Vec<Value>]) -> Result<(String, Vec<Raw>)> {
        let shape = plan.insert_shape();
        let (row, end) = shape.map_or((0..0, 0), |shape| (shape.row.clone(), shape.values.end));
        let mut text = plan.text[..end].to_owned();
        for _ in 1..rows.len() {
            text.push_str(", (");
            text.push_str(&plan.text[row.clone()]);
            text.push(')');
        }
        text.push_str(&plan.text[end..]);
        let mut raws = Vec::with_capacity(rows.len() * plan.slots.len());
        for values in rows {
            for (slot, value) in plan.slots.iter().zip(values) {
                raws.push(encode(&format!(":{}", slot.name), value)?);
            }
        }
        Ok((text, raws))
    }

    /// Encodes the values of a statement and makes room for lists.
    fn bind<'p>(&self, plan: &'p Plan, values: &[Value]) -> Result<(Cow<'p, str>, Vec<Raw>)> {
        bind(&plan.text, &plan.slots, values)
    }

    /// A packet that is too long would cost the connection.
    fn check_size(&self, plan: &Plan, text: &str, raws: &[Raw]) -> Result<()> {
        if raws.len() > MAX_PLACEHOLDERS {
            return Err(Error::mismatch(
                "the statement",
                format!("at most {MAX_PLACEHOLDERS} values"),
                raws.len().to_string(),
            ));
        }
        let size = raws.iter().map(size_of).sum::<usize>();
        if size.max(text.len()) + 1024 < self.max_packet {
            return Ok(());
        }
        let largest = raws.iter().enumerate().max_by_key(|(_, raw)| size_of(raw));
        let index = largest.map_or(0, |(index, _)| index);
        Err(Error::mismatch(
            plan.parameter(index.min(plan.slots.len().saturating_sub(1))),
            format!(
                "less than the server's `max_allowed_packet` of {} bytes in all",
                self.max_packet
            ),
            format!("{size} bytes"),
        ))
    }

    /// Finds and locks the rows, changes them by their primary key, and reads what was asked for.
    async fn run_by_keys(
        &mut self,
        plan: &Plan,
        keyed: &Keyed,
        values: &[Value],
        rows: Rows<'_>,
    ) -> Result<Outcome, Failure> {
        let table = plan.table.as_deref().unwrap_or_default();
        let key = self.keys.columns(&mut self.conn, table, "PRIMARY").await;
        check_key(keyed, &key).map_err(Failure::before)?;
        let bound = Bound { plan, values };
        let before = keyed.returning.as_deref().filter(|_| keyed.set.is_none());
        let found = self.find(keyed, &key, before, &bound).await?;
        for chunk in found.keys.chunks(KEYS_AT_ONCE) {
            self.change(keyed, &key, chunk, &bound).await?;
        }
        let count = found.keys.len() as u64;
        let Some(returning) = keyed.returning.as_deref() else {
            return Ok(Outcome::Count(count));
        };
        let mut result = found.rows;
        if keyed.set.is_some() {
            for chunk in found.keys.chunks(KEYS_AT_ONCE) {
                result.extend(self.reread(keyed, &key, returning, chunk, &bound).await?);
            }
        }
        match rows {
            Rows::Count => Ok(Outcome::Count(count)),
            Rows::Take(limit, _) => {
                result.truncate(limit);
                Ok(Outcome::Rows(result))
            }
            Rows::Send(to, _) => {
                while !result.is_empty() {
                    let rest = result.split_off(CHUNK.min(result.len()));
                    to.send(std::mem::replace(&mut result, rest)).await;
                }
                Ok(Outcome::Count(count))
            }
        }
    }

    async fn find(
        &mut self,
        keyed: &Keyed,
        key: &[String],
        returning: Option<&str>,
        bound: &Bound<'_>,
    ) -> Result<Found, Failure> {
        let mut columns = key_columns(keyed, key);
        if let Some(returning) = returning {
            columns.push_str(", ");
            columns.push_str(returning);
        }
        let text = format!(
            "{}SELECT {columns} FROM {} {} FOR UPDATE",
            keyed.with, keyed.table, keyed.filter
        );
        let (text, raws) = bound.bind(&text).map_err(Failure::before)?;
        self.check_size(bound.plan, &text, &raws)
            .map_err(Failure::before)?;
        let mut result = execute(&mut self.conn, None, &text, raws, false).await?;
        let names = names_of(&result).split_off(key.len().min(names_of(&result).len()));
        let names = Columns::new(names);
        let mut found = Found::default();
        while let Some(row) = next_row(&mut result, false).await? {
            let columns = row.columns();
            let mut raws = row.unwrap();
            let rest = raws.split_off(key.len());
            found.keys.push(raws);
            if returning.is_some() {
                let values = columns[key.len()..].iter().zip(rest);
                let values = values.map(|(column, raw)| decode(column, raw));
                let values = values.collect::<Result<_>>().map_err(Failure::after)?;
                found.rows.push(Row::new(Arc::clone(&names), values));
            }
        }
        Ok(found)
    }

    async fn change(
        &mut self,
        keyed: &Keyed,
        key: &[String],
        chunk: &[Vec<Raw>],
        bound: &Bound<'_>,
    ) -> Result<(), Failure> {
        let head = match &keyed.set {
            Some(set) => format!("{}UPDATE {} {set}", "", keyed.table),
            None => format!("DELETE {} FROM {}", keyed.name, keyed.table),
        };
        let (mut text, mut raws) = bound.bind(&head).map_err(Failure::before)?;
        push_keys(&mut text, &mut raws, keyed, key, chunk);
        let result = execute(&mut self.conn, None, &text, raws, true).await?;
        read(result, bound.plan, Rows::Count, true).await.map(drop)
    }

    async fn reread(
        &mut self,
        keyed: &Keyed,
        key: &[String],
        returning: &str,
        chunk: &[Vec<Raw>],
        bound: &Bound<'_>,
    ) -> Result<Vec<Row>, Failure> {
        let head = format!("SELECT {returning} FROM {}", keyed.table);
        let (mut text, mut raws) = bound.bind(&head).map_err(Failure::before)?;
        push_keys(&mut text, &mut raws, keyed, key, chunk);
        let result = execute(&mut self.conn, None, &text, raws, false).await?;
        let rows = Rows::Take(usize::MAX, Collector::all::<Row>());
        let read = read(result, bound.plan, rows, false).await?;
        read.all().map_err(Failure::after)
    }
}

/// The rows that a statement is about.
#[derive(Default)]
struct Found {
    keys: Vec<Vec<Raw>>,
    /// What a `DELETE` returns of them.
    rows: Vec<Row>,
}

/// The values of a whole statement, for texts that use some of them.
struct Bound<'a> {
    plan: &'a Plan,
    values: &'a [Value],
}

impl Bound<'_> {
    fn bind(&self, text: &str) -> Result<(String, Vec<Raw>)> {
        let rewritten = rewrite(Dialect::MySql, text)?;
        let value_of = |name: &str, list: bool| {
            let slots = self.plan.slots.iter().zip(self.values);
            let mut found = slots.filter(|(slot, _)| slot.name == name && slot.list == list);
            found.next().map_or(Value::Null, |(_, value)| value.clone())
        };
        let slots = rewritten.slots.iter();
        let values: Vec<Value> = slots.map(|slot| value_of(&slot.name, slot.list)).collect();
        let (text, raws) = bind(&rewritten.text, &rewritten.slots, &values)?;
        Ok((text.into_owned(), raws))
    }
}

fn bind<'t>(text: &'t str, slots: &[Slot], values: &[Value]) -> Result<(Cow<'t, str>, Vec<Raw>)> {
    if slots.iter().all(|slot| !slot.list) {
        let raws = slots.iter().zip(values);
        let raws = raws.map(|(slot, value)| encode(&format!(":{}", slot.name), value));
        return Ok((Cow::Borrowed(text), raws.collect::<Result<_>>()?));
    }
    let lengths: Vec<usize> = values
        .iter()
        .map(|value| match value {
            Value::List(items) => items.len(),
            _ => 1,
        })
        .collect();
    let expanded = expand_lists(text, slots, &lengths);
    let mut raws = Vec::with_capacity(expanded.counts.iter().sum());
    for ((slot, value), count) in slots.iter().zip(values).zip(&expanded.counts) {
        let name = format!(":{}", slot.name);
        match value {
            Value::List(items) => {
                let start = raws.len();
                for item in items {
                    raws.push(encode(&name, item)?);
                }
                let last = raws.last().filter(|_| *count > 0).cloned();
                raws.resize(start + count, last.unwrap_or(Raw::NULL));
            }
            value => raws.push(encode(&name, value)?),
        }
    }
    Ok((Cow::Owned(expanded.text), raws))
}

fn check_key(keyed: &Keyed, key: &[String]) -> Result<()> {
    let way_out = "write its steps one by one";
    if key.is_empty() {
        return Err(Error::unsupported(
            "`RETURNING` or `WITH` for a change of a table without a primary key",
            Dialect::MySql,
            way_out,
        ));
    }
    let is_key = |column: &String| key.iter().any(|part| same_name(part, column));
    if keyed.assigned.iter().any(is_key) {
        return Err(Error::unsupported(
            "`RETURNING` or `WITH` for a change of the primary key",
            Dialect::MySql,
            way_out,
        ));
    }
    Ok(())
}

fn key_columns(keyed: &Keyed, key: &[String]) -> String {
    let columns = key
        .iter()
        .map(|column| format!("{}.\"{}\"", keyed.name, column.replace('"', "\"\"")));
    columns.collect::<Vec<_>>().join(", ")
}

/// ` WHERE (a, b) IN ((?, ?), …)`.
fn push_keys(
    text: &mut String,
    raws: &mut Vec<Raw>,
    keyed: &Keyed,
    key: &[String],
    chunk: &[Vec<Raw>],
) {
    let place = format!("({})", vec!["?"; key.len()].join(", "));
    let places = vec![place; chunk.len()].join(", ");
    text.push_str(&format!(
        " WHERE ({}) IN ({places})",
        key_columns(keyed, key)
    ));
    raws.extend(chunk.iter().flatten().cloned());
}

fn same(target: &[String], columns: &[String]) -> bool {
    let is_there = |name: &String| columns.iter().any(|column| same_name(column, name));
    target.len() == columns.len() && target.iter().all(is_there)
}

/// Names of columns are the same in upper and in lower case.
fn same_name(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// What the values take in a packet, roughly.
fn rough_size(values: &[Value]) -> usize {
    let size = |value: &Value| match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Vector(vector) => vector.len() * 4,
        Value::Json(json) => json.to_string().len(),
        _ => 0,
    };
    values.iter().map(|value| size(value) + 32).sum()
}

async fn execute<'c>(
    conn: &'c mut Conn,
    plan: Option<&Plan>,
    text: &str,
    raws: Vec<Raw>,
    writes: bool,
) -> Result<QueryResult<'c, 'static, BinaryProtocol>, Failure> {
    let prepared = conn.prep(text).await;
    let statement = prepared.map_err(|error| {
        Failure::before(match plan {
            Some(plan) => translate_plan(plan, &error),
            None => translate(&error),
        })
    })?;
    if usize::from(statement.num_params()) != raws.len() {
        return Err(Failure::before(Error::mismatch(
            "the statement",
            format!("{} parameters", statement.num_params()),
            raws.len().to_string(),
        )));
    }
    let params = if raws.is_empty() {
        Params::Empty
    } else {
        Params::Positional(raws)
    };
    conn.exec_iter(statement, params)
        .await
        .map_err(|error| Failure::on_the_way(translate(&error), writes))
}

/// Reads all rows, also those that nobody wants: the connection is not free before.
async fn read(
    mut result: QueryResult<'_, 'static, BinaryProtocol>,
    plan: &Plan,
    rows: Rows<'_>,
    writes: bool,
) -> Result<Outcome, Failure> {
    let names = names_of(&result);
    if names.is_empty() {
        let count = count(plan, result.affected_rows(), &result.info());
        return match rows {
            Rows::Take(..) => Ok(Outcome::Rows(Vec::new())),
            Rows::Count | Rows::Send(..) => Ok(Outcome::Count(count)),
        };
    }
    let names = Columns::new(names);
    if let Rows::Send(to, _) = rows {
        to.describe(result.columns_ref().iter().map(described));
    }
    let mut collected = match rows {
        Rows::Take(_, collector) => Some(collector.start()),
        Rows::Count | Rows::Send(..) => None,
    };
    let mut chunk = Vec::new();
    let mut count = 0;
    let mut failed = None;
    let mut wanted = true;
    loop {
        let Some(next) = within(rows.limit(), next_row(&mut result, writes)).await else {
            return Err(Failure::after(stalled(STOPPED)));
        };
        let Some(row) = next? else { break };
        count += 1;
        let full =
            matches!(rows, Rows::Count) || matches!(rows, Rows::Take(limit, _) if count > limit);
        if full || failed.is_some() || !wanted {
            continue;
        }
        let taken = decode_row(row, &names).and_then(|mut row| match &mut collected {
            // The driver gives values away; what is taken out of them is moved.
            Some(rows) => rows.take(&mut row).map(drop),
            None => {
                chunk.push(row);
                Ok(())
            }
        });
        failed = taken.err();
        if let Rows::Send(to, _) = rows
            && chunk.len() == CHUNK
        {
            wanted = to.send(std::mem::take(&mut chunk)).await;
        }
    }
    if let Some(error) = failed {
        return Err(Failure::after(error));
    }
    if let Rows::Send(to, _) = rows
        && !chunk.is_empty()
    {
        to.send(chunk).await;
    }
    Ok(collected.map_or(Outcome::Count(count as u64), Outcome::Collected))
}

async fn next_row(
    result: &mut QueryResult<'_, 'static, BinaryProtocol>,
    writes: bool,
) -> Result<Option<mysql_async::Row>, Failure> {
    result
        .next()
        .await
        .map_err(|error| Failure::on_the_way(translate(&error), writes))
}

fn names_of(result: &QueryResult<'_, 'static, BinaryProtocol>) -> Vec<String> {
    let columns = result.columns_ref().iter();
    columns
        .map(|column| column.name_str().into_owned())
        .collect()
}

fn described(column: &mysql_async::Column) -> ResultColumn {
    let origin = (column.org_table_str(), column.org_name_str());
    ResultColumn {
        name: column.name_str().into_owned(),
        origin: (!origin.0.is_empty() && !origin.1.is_empty())
            .then(|| (origin.0.into_owned(), origin.1.into_owned())),
    }
}

fn decode_row(row: mysql_async::Row, names: &Arc<Columns>) -> Result<Row> {
    let columns = row.columns();
    let values = columns.iter().zip(row.unwrap());
    let values = values.map(|(column, raw)| decode(column, raw));
    Ok(Row::new(Arc::clone(names), values.collect::<Result<_>>()?))
}

/// The rows that a statement was about. The server counts those that it really changed; what it
/// matched (`Rows matched: 3 …`) or went through (`Records: 3 …`) is the first number it tells.
fn count(plan: &Plan, affected: u64, info: &str) -> u64 {
    let told = info
        .split(|c: char| !c.is_ascii_digit())
        .find(|digits| !digits.is_empty())
        .and_then(|digits| digits.parse().ok());
    match (&plan.form, plan.class) {
        (_, Class::Other | Class::Alone) => 0,
        (Form::Skip, _) => affected,
        (Form::Upsert, _) => told.unwrap_or(1),
        _ => told.unwrap_or(affected),
    }
}
