//! Rows that come while a statement goes on, no faster than they are taken.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::plan::Outcome;
use crate::row::{FromRow, Row};

/// Rows that travel together; one wake-up for each.
pub(crate) const CHUNK: usize = 128;

/// Chunks that may wait to be taken.
const WAITING_CHUNKS: usize = 2;

/// A column of a result, as the database describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultColumn {
    /// The name in the result.
    pub name: String,
    /// The table and the column whose values these are; `None` for what is computed, and where the
    /// database does not say (PostgreSQL).
    pub origin: Option<(String, String)>,
}

/// The rows of a statement, one after the other; see [`Executor::stream`](crate::Executor::stream).
///
/// It is a [`Stream`](futures_util::Stream), and [`RowStream::next`] spares the import of its
/// extensions.
#[must_use = "nothing is read before the stream is polled"]
pub struct RowStream<'a, T> {
    /// The statement; gone when it is done.
    work: Option<BoxFuture<'a, Result<Outcome>>>,
    rows: RowReceiver,
    chunk: std::vec::IntoIter<Row>,
    /// What the statement failed with; told after the rows that came before.
    error: Option<Error>,
    row: PhantomData<fn() -> T>,
}

/// The far end of a stream, where a backend puts rows.
#[derive(Debug, Clone)]
pub struct RowSender {
    to: mpsc::Sender<Vec<Row>>,
    columns: Arc<OnceLock<Vec<ResultColumn>>>,
    deadline: Option<Instant>,
    sent: Option<Sent>,
}

/// What to do when the reader has taken a chunk.
#[derive(Clone)]
struct Sent(Arc<dyn Fn() + Send + Sync>);

impl fmt::Debug for Sent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Sent")
    }
}

/// The near end of a stream.
#[derive(Debug)]
pub(crate) struct RowReceiver {
    rows: mpsc::Receiver<Vec<Row>>,
    columns: Arc<OnceLock<Vec<ResultColumn>>>,
}

/// How long a thread rests before it looks again whether a slow reader has taken something.
const REST: Duration = Duration::from_micros(500);

/// Makes both ends.
pub(crate) fn channel() -> (RowSender, RowReceiver) {
    let (to, rows) = mpsc::channel(WAITING_CHUNKS);
    let columns = Arc::default();
    let sender = RowSender {
        to,
        columns: Arc::clone(&columns),
        deadline: None,
        sent: None,
    };
    (sender, RowReceiver { rows, columns })
}

impl RowSender {
    /// Gives up at a time.
    pub(crate) fn until(self, deadline: Instant) -> Self {
        Self {
            deadline: Some(deadline),
            ..self
        }
    }

    /// How long rows can still be sent, if there is an end to it.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        self.deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Does something whenever a thread goes on after it has waited for the reader.
    pub(crate) fn after_each(&mut self, sent: impl Fn() + Send + Sync + 'static) {
        self.sent = Some(Sent(Arc::new(sent)));
    }

    /// Says what the columns are, before the first chunk; the first word counts.
    pub(crate) fn describe(&self, columns: impl Iterator<Item = ResultColumn>) {
        self.columns.get_or_init(|| columns.collect());
    }

    /// Sends a chunk; `false` says that nobody reads any more, or not in time.
    pub(crate) async fn send(&self, rows: Vec<Row>) -> bool {
        let sending = self.to.send(rows);
        match self.deadline {
            Some(deadline) => {
                let sent = tokio::time::timeout_at(deadline.into(), sending).await;
                sent.is_ok_and(|sent| sent.is_ok())
            }
            None => sending.await.is_ok(),
        }
    }

    /// Sends a chunk from a thread of its own, never from a task.
    pub(crate) fn send_blocking(&self, rows: Vec<Row>) -> bool {
        let is_taken = self.wait_to_send(rows);
        if let Some(Sent(sent)) = &self.sent {
            sent();
        }
        is_taken
    }

    fn wait_to_send(&self, mut rows: Vec<Row>) -> bool {
        let Some(deadline) = self.deadline else {
            return self.to.blocking_send(rows).is_ok();
        };
        loop {
            match self.to.try_send(rows) {
                Ok(()) => return true,
                Err(mpsc::error::TrySendError::Full(back)) if Instant::now() < deadline => {
                    rows = back;
                    std::thread::sleep(REST);
                }
                Err(_) => return false,
            }
        }
    }
}

/// Waits for what a server is to send next, but no longer than a statement may run.
pub(crate) async fn within<F: Future>(limit: Option<Duration>, next: F) -> Option<F::Output> {
    let mut next = std::pin::pin!(next);
    // Most rows are there already; for them no clock is asked.
    if let Poll::Ready(there) = futures_util::poll!(next.as_mut()) {
        return Some(there);
    }
    match limit {
        Some(limit) => tokio::time::timeout(limit, next).await.ok(),
        None => Some(next.await),
    }
}

/// The error of a stream whose next rows did not come, with the code that the server has for it.
pub(crate) fn stalled(code: &str) -> Error {
    let message = "the stream was interrupted because its next rows took too long";
    Error::new(ErrorKind::Timeout(Stage::Statement), message).with_code(code)
}

impl<'a, T: FromRow> RowStream<'a, T> {
    pub(crate) fn new(work: BoxFuture<'a, Result<Outcome>>, rows: RowReceiver) -> Self {
        Self {
            work: Some(work),
            rows,
            chunk: Vec::new().into_iter(),
            error: None,
            row: PhantomData,
        }
    }

    pub(crate) fn failed(error: Error) -> Self {
        Self {
            work: None,
            rows: channel().1,
            chunk: Vec::new().into_iter(),
            error: Some(error),
            row: PhantomData,
        }
    }

    /// Returns the next row, or `None` at the end.
    pub async fn next(&mut self) -> Option<Result<T>> {
        StreamExt::next(self).await
    }

    /// Returns the columns of the result, known at the latest with the first row, or with the end
    /// of a result that has none; `None` for a statement that has no result.
    #[must_use]
    pub fn columns(&self) -> Option<&[ResultColumn]> {
        self.rows.columns.get().map(Vec::as_slice)
    }

    /// Lets the statement go on as far as it can.
    fn advance(&mut self, context: &mut Context<'_>) {
        if let Some(work) = &mut self.work
            && let Poll::Ready(result) = work.as_mut().poll(context)
        {
            self.work = None;
            self.error = result.err();
        }
    }

    /// Nothing comes after an error.
    fn end(&mut self) {
        self.work = None;
        self.error = None;
        self.chunk = Vec::new().into_iter();
        self.rows.rows.close();
        while self.rows.rows.try_recv().is_ok() {}
    }
}

impl<T: FromRow> Stream for RowStream<'_, T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        loop {
            if let Some(mut row) = self.chunk.next() {
                let row = T::take_row(&mut row);
                if row.is_err() {
                    self.end();
                }
                return Poll::Ready(Some(row));
            }
            self.advance(context);
            match ready!(self.rows.rows.poll_recv(context)) {
                Some(rows) => self.chunk = rows.into_iter(),
                // All rows are there; how the statement ended is told when it has ended.
                None if self.work.is_some() => return Poll::Pending,
                None => return Poll::Ready(self.error.take().map(Err)),
            }
        }
    }
}

impl<T> fmt::Debug for RowStream<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RowStream")
            .field("done", &self.work.is_none())
            .finish_non_exhaustive()
    }
}
