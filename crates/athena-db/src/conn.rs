//! One borrowed connection.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::executor::Run;
#[cfg(feature = "mysql")]
use crate::mysql;
use crate::observe::Watch;
use crate::plan::{Outcome, PlanCache, Work};
use crate::serial::Serial;
use crate::{postgres, sqlite};

/// A connection out of the pool, for statements that belong together on one: temporary tables,
/// session settings, advisory locks. Dropping it gives it back.
///
/// It runs statements through [`Executor`](crate::Executor), one after the other; a
/// statement waits at most a minute for its turn, and while a stream is open, others are refused. Each is a transaction of its own; for
/// more, use [`Database::begin`](crate::Database::begin). Undo what you set before you give it
/// back: the next user gets the connection as you left it.
///
/// On a server, a statement whose future was dropped half-way, or a stream that was not read to its
/// end, ends its use: later statements are refused, and the connection is closed.
///
/// On SQLite it is a reader: a write through it is refused, because writes have one connection
/// that everybody shares.
#[derive(Debug)]
pub struct Conn {
    backend: BackendConn,
    plans: Arc<PlanCache>,
    serial: Serial,
}

#[derive(Debug)]
pub(crate) enum BackendConn {
    Sqlite(sqlite::Reader),
    Postgres(Box<postgres::Borrowed>),
    #[cfg(feature = "mysql")]
    MySql(Box<mysql::Borrowed>),
}

/// How long a statement waits for its turn.
const PATIENCE: Duration = Duration::from_secs(60);

fn occupied() -> Error {
    let message = format!("another statement on this connection was not done within {PATIENCE:?}");
    Error::new(ErrorKind::Timeout(Stage::Lock), message)
}

impl Conn {
    pub(crate) fn new(backend: BackendConn, plans: Arc<PlanCache>) -> Self {
        Self {
            backend,
            plans,
            serial: Serial::default(),
        }
    }

    /// Has the connection closed when it is dropped: MySQL sessions keep what a migration sets.
    pub(crate) fn retire(&self) {
        #[cfg(feature = "mysql")]
        if let BackendConn::MySql(borrowed) = &self.backend {
            borrowed.retire();
        }
    }

    /// Runs a statement whose turn it is.
    async fn run_next(&self, work: Work) -> Result<Outcome> {
        let watch = Watch::start(&self.plans, &work);
        let run = pin!(async {
            match &self.backend {
                BackendConn::Sqlite(reader) => reader.run(work).await,
                BackendConn::Postgres(borrowed) => borrowed.run_alone(work).await,
                #[cfg(feature = "mysql")]
                BackendConn::MySql(borrowed) => borrowed.run_alone(work).await,
            }
        });
        let result = watch.follow(run).await;
        watch.stop(&result);
        result
    }
}

impl Run for Conn {
    fn plans(&self) -> &PlanCache {
        &self.plans
    }

    async fn run(&self, work: Work) -> Result<Outcome> {
        let until = Instant::now() + PATIENCE;
        let _turn = self.serial.turn(until, occupied).await?;
        self.run_next(work).await
    }

    fn run_stream(&self, work: Work) -> BoxFuture<'_, Result<Outcome>> {
        Box::pin(async move {
            let until = Instant::now() + PATIENCE;
            let _turn = self.serial.turn_of_stream(until, occupied).await?;
            self.run_next(work).await
        })
    }
}
