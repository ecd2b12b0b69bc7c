//! One PostgreSQL connection: how a statement is prepared and run on it.

use std::collections::HashSet;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use postgres_types::{Kind, Type};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_postgres::{
    AsyncMessage, Client, Column, RowStream, SimpleQueryMessage, Socket, Statement,
};

use super::bulk;
use super::cancel::Ways;
use super::error::{STALE_PLAN, STALE_TYPE, ambiguous_parameter, translate, translate_plan};
use super::session::Session;
use super::statements::{Prepared, Statements};
use super::tls::Encrypted;
use super::types::{Misfit, Parameter, encode_all, type_of};
use crate::collect::Collected;
use crate::dialect::Dialect;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::{Class, Outcome, Plan, Work};
use crate::row::Columns;
use crate::server::{self, Failure, Session as _};
use crate::source::{Cursor, Source as _};
use crate::stream::{CHUNK, ResultColumn, RowSender, stalled, within};
use crate::transaction::TxOptions;
use crate::value::Value;

/// A connection to the server and the statements that are prepared on it. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Connection {
    client: Client,
    statements: Statements,
    /// The task that talks to the server.
    driver: JoinHandle<()>,
    /// For the second connection that stops a statement on the first.
    ways: Arc<Ways>,
    session: Arc<Session>,
    /// The types that the driver had to ask the server about, for which it keeps statements.
    types: Mutex<HashSet<u32>>,
    /// Whether it asked in this transaction.
    looked_up: AtomicBool,
    /// Whether rows that nobody wants are still on their way.
    behind: AtomicBool,
    /// How often types had changed when it was made.
    types_seen: u64,
}

/// What somebody said on a channel.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) channel: String,
    pub(super) payload: String,
}

/// What PostgreSQL had to be told about the parameter types of a statement.
#[derive(Debug)]
pub(crate) enum Hint {
    /// The server infers all types.
    Inferred,
    /// The server needs these, `UNKNOWN` stands for those that it infers.
    Declared(Vec<Type>),
}

/// Types to try for a parameter that is `NULL` and that the server knows nothing about.
const NULL_TYPES: [Type; 8] = [
    Type::TEXT,
    Type::INT8,
    Type::BOOL,
    Type::FLOAT8,
    Type::TIMESTAMPTZ,
    Type::UUID,
    Type::JSONB,
    Type::BYTEA,
];

/// Prepared attempts to find the types of nulls; a statement is asked about once.
const MAX_GUESSES: usize = 64;

/// A statement was stopped.
const STOPPED: &str = "57014";

/// A prepared statement does not exist.
const NO_STATEMENT: &str = "26000";

/// The types that a driver does not know by itself, and the rows of tables left out.
const OWN_TYPES: &str = "SELECT t.oid FROM pg_catalog.pg_type t \
    LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem \
    WHERE t.oid >= 16384 AND t.typtype IN ('b', 'd', 'e', 'r', 'm') AND coalesce(e.typtype, 'b') <> 'c' \
    ORDER BY t.oid LIMIT 500";

/// Rows beyond the wanted ones that are passed over, and for how long; the connection is closed
/// over more of them when it comes back.
const REST: usize = 1000;
const REST_TIME: Duration = Duration::from_millis(10);

/// The longest that PostgreSQL knows, in milliseconds.
const LONGEST_TIMEOUT: u128 = 2_147_483_647;

/// How long a statement has to end that was stopped.
const HANG_UP: Duration = Duration::from_secs(5);

impl Connection {
    pub(super) fn new(
        client: Client,
        driver: tokio_postgres::Connection<Socket, Encrypted<Socket>>,
        ways: Arc<Ways>,
        session: Arc<Session>,
        said: Option<mpsc::UnboundedSender<Said>>,
    ) -> Self {
        Self {
            client,
            statements: Statements::default(),
            driver: tokio::spawn(drive(driver, said)),
            ways,
            types_seen: session.types_changed(),
            session,
            types: Mutex::default(),
            looked_up: AtomicBool::new(false),
            behind: AtomicBool::new(false),
        }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Whether it can be lent again.
    pub(super) fn is_usable(&self) -> bool {
        !self.is_lost()
            && !self.behind.load(Ordering::SeqCst)
            && self.types_seen == self.session.types_changed()
    }

    /// Notes types that the driver had to ask the server about.
    fn note_types(&self, statement: &Statement) {
        let columns = statement.columns().iter().map(Column::type_);
        let types = statement.params().iter().chain(columns);
        let mut known = self.types.lock().unwrap_or_else(PoisonError::into_inner);
        for ty in types.filter(|ty| Type::from_oid(ty.oid()).is_none()) {
            if known.insert(ty.oid()) {
                self.looked_up.store(true, Ordering::SeqCst);
            }
        }
    }

    /// Lets the driver ask about all types at once, on a session that is shared: what it prepares
    /// for that must not be left there, and it would miss it later.
    pub(super) async fn meet_types(&self) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute("BEGIN").await?;
        let mut types = Vec::new();
        for message in self.client.simple_query(OWN_TYPES).await? {
            if let SimpleQueryMessage::Row(row) = message {
                let oid = row.get(0).and_then(|oid| oid.parse().ok());
                types.extend(oid.map(anonymous));
            }
        }
        if !types.is_empty() {
            let numbers = (1..=types.len()).map(|number| format!("${number}"));
            let text = format!("SELECT {}", numbers.collect::<Vec<_>>().join(", "));
            self.note_types(&self.client.prepare_typed(&text, &types).await?);
        }
        self.looked_up.store(false, Ordering::SeqCst);
        self.client.batch_execute("DEALLOCATE ALL; COMMIT").await
    }

    /// When the driver misses what it prepared to ask about types, there is a new type: this
    /// connection and all before it are replaced.
    fn note_missing(&self, failure: Failure) -> Failure {
        if failure.error.code() != Some(NO_STATEMENT) {
            return failure;
        }
        self.session.change_types(self.types_seen);
        Failure::before(failure.error.with_kind(ErrorKind::Serialization))
    }

    /// Stops the running statement and hangs up when the server has taken note, so that a pooler
    /// in between still knows whom the wish to stop came from.
    pub(super) fn cancel_and_close(self) {
        if self.is_lost() {
            return;
        }
        let Self {
            client,
            driver,
            ways,
            ..
        } = self;
        let token = client.cancel_token();
        drop(client);
        in_background(async move {
            ways.cancel(&token).await;
            let hang_up = driver.abort_handle();
            if tokio::time::timeout(HANG_UP, driver).await.is_err() {
                hang_up.abort();
            }
        });
    }
}

impl server::Session for Connection {
    async fn run(&self, work: &Work, in_transaction: bool) -> Result<Outcome, Failure> {
        if !self.session.is_pooled() {
            return run(self, work, in_transaction).await;
        }
        if in_transaction {
            let result = run(self, work, true).await;
            return result.map_err(|failure| self.note_missing(failure));
        }
        match work {
            Work::Execute { plan, values } if values.is_empty() => {
                Box::pin(batch(self, &plan.text)).await
            }
            Work::Batch(text) => Box::pin(batch(self, text)).await,
            _ => Err(Failure::before(Error::unsupported(
                "a statement with parameters or rows outside any transaction",
                Dialect::Postgres,
                "connect to the server itself and not to a pooler",
            ))),
        }
    }

    async fn run_at_once(&self, work: &Work) -> Result<Option<Outcome>, Failure> {
        let is_alone = work.plan().is_some_and(|plan| plan.class == Class::Alone);
        match work {
            _ if self.session.is_pooled() && !is_alone => Ok(None),
            Work::ExecuteMany { plan, rows } => {
                let count = Box::pin(bulk::execute_at_once(self, plan, rows)).await?;
                Ok(count.map(Outcome::Count))
            }
            _ => self.run(work, false).await.map(Some),
        }
    }

    async fn begin(&self, options: &TxOptions) -> Result<()> {
        let begun = self
            .client
            .batch_execute(&self.session.begin(options))
            .await;
        begun.map_err(|error| translate(&error))
    }

    async fn end(&self, text: &'static str) -> Result<()> {
        let ended = if self.session.is_pooled() && self.looked_up.swap(false, Ordering::SeqCst) {
            let clean = match text {
                "COMMIT" => "DEALLOCATE ALL; COMMIT",
                _ => "ROLLBACK; DEALLOCATE ALL",
            };
            self.client.batch_execute(clean).await
        } else {
            self.client.batch_execute(text).await
        };
        ended.map_err(|error| translate(&error))
    }

    fn cancel(&self) {
        let (token, ways) = (self.client.cancel_token(), Arc::clone(&self.ways));
        in_background(async move { ways.cancel(&token).await });
    }

    fn is_lost(&self) -> bool {
        self.client.is_closed()
    }
}

/// Runs statements as they are.
async fn batch(conn: &Connection, text: &str) -> Result<Outcome, Failure> {
    let result = conn.client.batch_execute(text).await;
    result
        .map(|()| Outcome::Count(0))
        .map_err(|error| lost_after(&error, true))
}

/// A type of which only the number is known.
fn anonymous(oid: u32) -> Type {
    Type::new(String::new(), oid, Kind::Simple, String::new())
}

/// Talks to the server until one side hangs up, and passes on what is said on channels.
async fn drive(
    mut driver: tokio_postgres::Connection<Socket, Encrypted<Socket>>,
    to: Option<mpsc::UnboundedSender<Said>>,
) {
    while let Some(Ok(message)) = poll_fn(|context| driver.poll_message(context)).await {
        if let (AsyncMessage::Notification(said), Some(to)) = (message, &to) {
            let (channel, payload) = (said.channel().to_owned(), said.payload().to_owned());
            // Whoever does not listen any more is about to hang up.
            let _ = to.send(Said { channel, payload });
        }
    }
}

/// Outside a runtime nothing is left to do: the sockets went with it.
fn in_background(task: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(task);
    }
}

/// Runs one piece of work.
async fn run(conn: &Connection, work: &Work, in_transaction: bool) -> Result<Outcome, Failure> {
    match run_once(conn, work, in_transaction).await {
        Err(failure) if is_stale(&failure.error) => {
            conn.statements.clear();
            if in_transaction {
                let error = failure.error.with_kind(ErrorKind::Serialization);
                return Err(Failure { error, sent: true });
            }
            Box::pin(run_once(conn, work, in_transaction)).await
        }
        result => result,
    }
}

/// Whether a statement was prepared for tables or types that are others by now.
fn is_stale(error: &Error) -> bool {
    let said = match error.code() {
        Some("0A000") => STALE_PLAN,
        Some("XX000") => STALE_TYPE,
        _ => return false,
    };
    error.to_string().contains(said)
}

/// Every statement waits for this future, and its size is that of the largest branch: what is large
/// and not common is boxed.
async fn run_once(
    conn: &Connection,
    work: &Work,
    in_transaction: bool,
) -> Result<Outcome, Failure> {
    match work {
        Work::Batch(text) => Box::pin(batch(conn, text)).await,
        Work::Execute { plan, values } => {
            let (prepared, parameters) = prepare(conn, plan, values, in_transaction).await?;
            let run = conn.client.execute_raw(&prepared.statement, &parameters);
            Box::pin(run)
                .await
                .map(Outcome::Count)
                .map_err(|error| lost_after(&error, plan.class != Class::Query))
        }
        Work::Stream { plan, values, rows } => {
            Box::pin(stream(conn, plan, values, rows, in_transaction))
                .await
                .map(Outcome::Count)
        }
        Work::ExecuteMany { plan, rows } => Box::pin(bulk::execute_many(conn, plan, rows))
            .await
            .map(Outcome::Count),
        Work::Fetch {
            plan,
            values,
            limit,
            collector,
        } => {
            let (prepared, parameters) = prepare(conn, plan, values, in_transaction).await?;
            let writes = plan.class != Class::Query;
            let stream = Box::pin(conn.client.query_raw(&prepared.statement, &parameters))
                .await
                .map_err(|error| lost_after(&error, writes))?;
            let rows = collector.start();
            read_rows(conn, stream, &prepared.columns, *limit, rows, writes)
                .await
                .map(Outcome::Collected)
        }
    }
}

async fn read_rows(
    conn: &Connection,
    stream: RowStream,
    columns: &Arc<Columns>,
    limit: usize,
    mut rows: Collected,
    writes: bool,
) -> Result<Collected, Failure> {
    let mut stream = pin!(stream);
    for _ in 0..limit {
        let Some(row) = stream
            .try_next()
            .await
            .map_err(|error| lost_after(&error, writes))?
        else {
            return Ok(rows);
        };
        // One that does not fit ends nothing: the statement may do more than read.
        rows.take_postgres(&mut Cursor::new(columns, &row))
            .map_err(Failure::after)?;
    }
    Box::pin(pass_over(conn, stream)).await;
    Ok(rows)
}

/// Waits for the end of rows that nobody wants.
async fn pass_over(conn: &Connection, rows: Pin<&mut RowStream>) {
    let rest = tokio::time::timeout(REST_TIME, rows.take(REST).count()).await;
    if rest.is_err() || rest == Ok(REST) {
        conn.behind.store(true, Ordering::SeqCst);
    }
}

/// Sends the rows away; the server's limit of time, which is for a whole statement, is that of the
/// transaction meanwhile, and each wait for rows is limited instead.
async fn stream(
    conn: &Connection,
    plan: &Arc<Plan>,
    values: &[Value],
    to: &RowSender,
    in_transaction: bool,
) -> Result<u64, Failure> {
    let (prepared, parameters) = prepare(conn, plan, values, in_transaction).await?;
    let limit = lift_time_limit(conn, to.time_left(), in_transaction)
        .await
        .map_err(|error| Failure::before(translate(&error)))?;
    let writes = plan.class != Class::Query;
    let sent = async {
        let rows = next(
            conn,
            limit,
            conn.client.query_raw(&prepared.statement, &parameters),
            writes,
        );
        let rows = rows.await?;
        send_rows(conn, limit, rows, &prepared.columns, to, writes).await
    };
    let result = sent.await;
    let failed = result.as_ref().err();
    // What the server did not end itself goes on there.
    if failed.is_some_and(|failure| failure.error.code().is_none()) {
        conn.behind.store(true, Ordering::SeqCst);
        conn.ways.cancel(&conn.client.cancel_token()).await;
    }
    // A transaction that failed takes its settings along.
    if failed.is_none() || !in_transaction {
        let restored = set_time_limit(conn, limit, in_transaction);
        if !matches!(tokio::time::timeout(HANG_UP, restored).await, Ok(Ok(()))) {
            conn.behind.store(true, Ordering::SeqCst);
        }
    }
    result
}

/// Sends the rows away in chunks, waiting for the reader; returns their number.
async fn send_rows(
    conn: &Connection,
    limit: Option<Duration>,
    rows: RowStream,
    columns: &Arc<Columns>,
    to: &RowSender,
    writes: bool,
) -> Result<u64, Failure> {
    to.describe(columns.iter().map(|name| ResultColumn {
        name: name.to_owned(),
        origin: None,
    }));
    let mut rows = pin!(rows);
    let mut chunk = Vec::with_capacity(CHUNK);
    let mut count = 0;
    while let Some(row) = next(conn, limit, rows.try_next(), writes).await? {
        let row = Cursor::new(columns, &row).to_row();
        chunk.push(row.map_err(Failure::after)?);
        count += 1;
        if chunk.len() == CHUNK {
            let full = std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK));
            if !to.send(full).await {
                return Ok(count);
            }
        }
    }
    if !chunk.is_empty() {
        to.send(chunk).await;
    }
    Ok(count)
}

/// Waits for what comes next on a stream, but not for ever.
async fn next<T>(
    conn: &Connection,
    limit: Option<Duration>,
    next: impl Future<Output = Result<T, tokio_postgres::Error>>,
    writes: bool,
) -> Result<T, Failure> {
    if let Some(next) = within(limit, next).await {
        return next.map_err(|error| lost_after(&error, writes));
    }
    conn.behind.store(true, Ordering::SeqCst);
    conn.ways.cancel(&conn.client.cancel_token()).await;
    Err(Failure::after(stalled(STOPPED)))
}

/// Puts the time that is left, if there is an end to it, in place of the limit for a statement, and
/// returns what that was.
async fn lift_time_limit(
    conn: &Connection,
    left: Option<Duration>,
    in_transaction: bool,
) -> Result<Option<Duration>, tokio_postgres::Error> {
    let left = left.map_or(0, |left| left.as_millis().clamp(1, LONGEST_TIMEOUT));
    let text = format!(
        "SELECT round(extract(epoch FROM current_setting('statement_timeout')::interval) * 1000), \
         set_config('statement_timeout', '{left}', {in_transaction})"
    );
    let messages = conn.client.simple_query(&text).await?;
    let limit = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    });
    Ok(limit.filter(|limit| *limit > 0).map(Duration::from_millis))
}

async fn set_time_limit(
    conn: &Connection,
    limit: Option<Duration>,
    in_transaction: bool,
) -> Result<(), tokio_postgres::Error> {
    let scope = if in_transaction { "LOCAL" } else { "SESSION" };
    let limit = limit.unwrap_or_default().as_millis();
    let text = format!("SET {scope} statement_timeout = {limit}");
    conn.client.batch_execute(&text).await
}

/// Prepares a statement and encodes its parameters for the types that the server reports.
pub(super) async fn prepare<'a>(
    conn: &Connection,
    plan: &Arc<Plan>,
    values: &'a [Value],
    in_transaction: bool,
) -> Result<(Arc<Prepared>, Vec<Parameter<'a>>), Failure> {
    let prepared = match at_hand(conn, plan) {
        Some(prepared) => prepared,
        None => Box::pin(prepare_statement(conn, plan, values, in_transaction)).await?,
    };
    match encode_all(plan, values, prepared.statement.params()) {
        Ok(parameters) => Ok((prepared, parameters)),
        Err(Misfit::Range(index)) => {
            let narrow = &prepared.statement;
            let wider = prepare_wider(conn, plan, values, index, narrow, in_transaction);
            Box::pin(wider).await
        }
        Err(Misfit::Type(error)) => Err(Failure::before(error)),
    }
}

/// Returns the statement if the connection has it and the server inferred all its types: the usual
/// case, in which there is nothing to wait for.
fn at_hand(conn: &Connection, plan: &Arc<Plan>) -> Option<Arc<Prepared>> {
    match plan.hint.get()? {
        Hint::Inferred => conn.statements.get(plan, &[]),
        Hint::Declared(_) => None,
    }
}

/// `i = :x AND b = :x` infers the narrower integer for `:x`: declare the wide one instead.
async fn prepare_wider<'a>(
    conn: &Connection,
    plan: &Arc<Plan>,
    values: &'a [Value],
    index: usize,
    narrow: &Statement,
    in_transaction: bool,
) -> Result<(Arc<Prepared>, Vec<Parameter<'a>>), Failure> {
    let mut types = vec![Type::UNKNOWN; values.len()];
    types[index] = Type::INT8;
    let prepared = guarded(conn, plan, &types, in_transaction)
        .await
        .map_err(|error| Failure::before(translate(&error)))?;
    match encode_all(plan, values, prepared.statement.params()) {
        Ok(parameters) => Ok((prepared, parameters)),
        Err(misfit) => Err(Failure::before(misfit.into_error(plan, narrow.params()))),
    }
}

async fn prepare_statement(
    conn: &Connection,
    plan: &Arc<Plan>,
    values: &[Value],
    in_transaction: bool,
) -> Result<Arc<Prepared>, Failure> {
    let prepared = match plan.hint.get() {
        Some(Hint::Inferred) => prepare_as(conn, plan, &[]).await,
        Some(Hint::Declared(types)) => prepare_as(conn, plan, &declared(types, values)).await,
        None => match guarded(conn, plan, &[], in_transaction).await {
            Err(error) if ambiguous_parameter(&error).is_some() => {
                return declare(conn, plan, values, in_transaction, error).await;
            }
            result => {
                if result.is_ok() {
                    let _ = plan.hint.set(Hint::Inferred);
                }
                result
            }
        },
    };
    prepared.map_err(|error| Failure::before(translate_plan(plan, &error)))
}

/// Tells the server the types of just those parameters that it asks about.
///
/// A null could be anything, so types are tried until the statement makes sense; the server reads
/// from left to right, hence the newest guess is the first to be doubted.
async fn declare(
    conn: &Connection,
    plan: &Arc<Plan>,
    values: &[Value],
    in_transaction: bool,
    first: tokio_postgres::Error,
) -> Result<Arc<Prepared>, Failure> {
    let mut types = vec![Type::UNKNOWN; values.len()];
    let mut guesses: Vec<(usize, usize)> = Vec::new();
    let mut error = first;
    for _ in 0..MAX_GUESSES {
        let asked = ambiguous_parameter(&error)
            .flatten()
            .filter(|index| types.get(*index) == Some(&Type::UNKNOWN));
        match asked {
            Some(index) if values[index] == Value::Null => {
                types[index] = NULL_TYPES[0].clone();
                guesses.push((index, 0));
            }
            Some(index) => types[index] = type_of(&values[index]),
            None if !guess_again(&mut types, &mut guesses) => break,
            None => {}
        }
        match guarded(conn, plan, &types, in_transaction).await {
            Ok(prepared) => {
                let _ = plan.hint.set(Hint::Declared(types));
                return Ok(prepared);
            }
            Err(next) => error = next,
        }
    }
    Err(Failure::before(translate_plan(plan, &error)))
}

/// Replaces the newest guess by the next one; one that has no next is taken back.
fn guess_again(types: &mut [Type], guesses: &mut Vec<(usize, usize)>) -> bool {
    while let Some((index, guess)) = guesses.pop() {
        if let Some(next) = NULL_TYPES.get(guess + 1) {
            types[index] = next.clone();
            guesses.push((index, guess + 1));
            return true;
        }
        types[index] = Type::UNKNOWN;
    }
    false
}

/// The declared types, for these values: a null keeps the type that served before.
fn declared(types: &[Type], values: &[Value]) -> Vec<Type> {
    let pairs = types.iter().zip(values);
    pairs
        .map(|(ty, value)| match value {
            _ if *ty == Type::UNKNOWN => Type::UNKNOWN,
            Value::Null => ty.clone(),
            value => type_of(value),
        })
        .collect()
}

/// Prepares so that a failure does not doom the transaction.
async fn guarded(
    conn: &Connection,
    plan: &Arc<Plan>,
    types: &[Type],
    in_transaction: bool,
) -> Result<Arc<Prepared>, tokio_postgres::Error> {
    if !in_transaction || plan.slots.is_empty() {
        return prepare_as(conn, plan, types).await;
    }
    conn.client
        .batch_execute("SAVEPOINT athena_prepare")
        .await?;
    let result = prepare_as(conn, plan, types).await;
    let end = match &result {
        Ok(_) => "RELEASE SAVEPOINT athena_prepare",
        Err(_) => "ROLLBACK TO SAVEPOINT athena_prepare; RELEASE SAVEPOINT athena_prepare",
    };
    conn.client.batch_execute(end).await?;
    result
}

pub(super) async fn prepare_as(
    conn: &Connection,
    plan: &Arc<Plan>,
    types: &[Type],
) -> Result<Arc<Prepared>, tokio_postgres::Error> {
    if conn.session.is_pooled() || !matches!(plan.class, Class::Query | Class::Change) {
        let statement = conn.client.prepare_typed(&plan.text, types).await?;
        conn.note_types(&statement);
        return Ok(Prepared::new(statement));
    }
    if let Some(prepared) = conn.statements.get(plan, types) {
        return Ok(prepared);
    }
    let prepared = Prepared::new(conn.client.prepare_typed(&plan.text, types).await?);
    conn.statements.put(plan, types, &prepared);
    Ok(prepared)
}

impl Misfit {
    pub(super) fn into_error(self, plan: &Plan, types: &[Type]) -> Error {
        match self {
            Self::Type(error) => error,
            Self::Range(index) => {
                let want = types.get(index).map_or("an integer", Type::name);
                Error::mismatch(plan.parameter(index), want, "an integer beyond its range")
            }
        }
    }
}

/// The failure of a statement that was sent.
pub(super) fn lost_after(error: &tokio_postgres::Error, writes: bool) -> Failure {
    Failure::on_the_way(translate(error), writes)
}
