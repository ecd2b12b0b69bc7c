//! A transaction on PostgreSQL.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::connection::commit_unknown;
use super::error::translate;
use super::pool::Lease;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::{Outcome, Work};
use crate::transaction::{Access, Isolation, TxOptions};

/// An open transaction; the lease rolls it back when it is dropped.
#[derive(Debug)]
pub(crate) struct Transaction {
    lease: Lease,
    limit: Duration,
    deadline: Instant,
    expired: AtomicBool,
}

impl Transaction {
    pub(super) async fn begin(lease: Lease, options: TxOptions) -> Result<Self> {
        lease.begin(&begin_text(&options)).await?;
        let deadline = Instant::now() + options.deadline;
        Ok(Self {
            lease,
            limit: options.deadline,
            deadline,
            expired: AtomicBool::new(false),
        })
    }

    pub(crate) async fn run(&self, work: Work) -> Result<Outcome> {
        self.check_deadline()?;
        match tokio::time::timeout_at(self.deadline, self.lease.run(&work, true)).await {
            Ok(result) => result.map_err(|failure| self.explain(failure.error)),
            Err(_) => {
                self.lease.cancel();
                self.check_deadline().and(Err(Error::expired(self.limit)))
            }
        }
    }

    pub(crate) async fn commit(&self) -> Result<()> {
        self.check_deadline()?;
        self.lease.end("COMMIT").await.map_err(|error| {
            let known = translate(&error);
            if known.is_connection() {
                commit_unknown()
            } else {
                known
            }
        })
    }

    /// A server that cannot be reached rolls back by itself, and so does one whose connection is
    /// closed when this transaction is dropped.
    pub(crate) async fn rollback(&self) -> Result<()> {
        if self.lease.is_in_flight() {
            self.lease.cancel();
        } else if !self.expired.load(Ordering::SeqCst) {
            let _ = self.lease.end("ROLLBACK").await;
        }
        Ok(())
    }

    fn check_deadline(&self) -> Result<()> {
        if self.expired.load(Ordering::SeqCst) || Instant::now() >= self.deadline {
            self.expired.store(true, Ordering::SeqCst);
            return Err(Error::expired(self.limit));
        }
        Ok(())
    }

    /// The server ends a transaction that idles past its deadline by closing the connection.
    /// Within a transaction nothing is unknown before its commit: a lost connection undid it.
    fn explain(&self, error: Error) -> Error {
        let unknown = matches!(error.kind(), ErrorKind::CommitUnknown);
        if (error.is_connection() || unknown) && Instant::now() >= self.deadline {
            self.expired.store(true, Ordering::SeqCst);
            return Error::expired(self.limit);
        }
        if unknown || (error.is_connection() && self.lease.is_lost()) {
            return Error::new(
                ErrorKind::Connection,
                "the connection was lost and the transaction with it",
            );
        }
        error
    }
}

/// The server itself ends a transaction whose programme hangs.
pub(super) fn begin_text(options: &TxOptions) -> String {
    let isolation = match (options.isolation, options.access) {
        (Isolation::ReadCommitted, _) | (Isolation::Default, Access::ReadWrite) => "READ COMMITTED",
        (Isolation::RepeatableRead, _) | (Isolation::Default, Access::ReadOnly) => {
            "REPEATABLE READ"
        }
        (Isolation::Serializable, _) => "SERIALIZABLE",
    };
    let access = match options.access {
        Access::ReadWrite => "READ WRITE",
        Access::ReadOnly => "READ ONLY",
    };
    let limit = options.deadline.as_millis().clamp(1, 2_000_000_000);
    // The snapshot belongs to the beginning, as on SQLite; the server takes it with the first query.
    let snapshot = if isolation == "READ COMMITTED" {
        ""
    } else {
        "; SELECT 1"
    };
    format!(
        "BEGIN ISOLATION LEVEL {isolation} {access}; SET LOCAL idle_in_transaction_session_timeout = {limit}{snapshot}"
    )
}
