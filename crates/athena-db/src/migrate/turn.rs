//! Taking turns: while one process changes the ledger of a store, no other does.

use super::{batch, ledger};
use crate::conn::Conn;
use crate::database::Database;
use crate::dialect::Dialect;
use crate::error::{Error, ErrorKind, Result};
use crate::executor::{Executor, Run};
use crate::params::Params;
use crate::plan::{Outcome, PlanCache, Work};
use crate::row::Scalar;
use crate::transaction::{Tx, TxOptions};
use std::time::{Duration, Instant};

/// The right to change the ledger. Ended by [`Turn::end`].
#[derive(Debug)]
pub(crate) struct Turn {
    holder: Holder,
}

#[derive(Debug)]
enum Holder {
    /// A transaction with SQLite's write lock, or an advisory lock of PostgreSQL.
    Tx(Tx<'static>),
    /// A connection with a named lock of MySQL. It is closed afterwards, however that comes about:
    /// neither the lock nor what a migration has set reaches its next user.
    Conn { conn: Conn, in_transaction: bool },
}

/// Names the lock of a MySQL database; such names belong to the whole server and are short.
const LOCK: &str = "CONCAT('athena_migrations ', MD5(DATABASE()))";

/// How long to wait for the lock of a MySQL server.
const LOCK_PATIENCE: Duration = Duration::from_secs(3_600);
/// How long until it is asked for again.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

impl Turn {
    /// Waits for the turn, and begins a transaction that is committed when it ends.
    pub(crate) async fn begin(db: &Database) -> Result<Self> {
        if db.dialect() == Dialect::MySql {
            let mut turn = Self::begin_without_transaction(db).await?;
            if let Err(error) = turn.begin_transaction().await {
                return turn.end(Err(error)).await;
            }
            return Ok(turn);
        }
        Self::hold(db.begin(options()).await?).await
    }

    /// As [`Turn::begin`] on SQLite and PostgreSQL, for a text that may make tables anew: SQLite
    /// does not enforce foreign keys meanwhile.
    pub(super) async fn begin_unenforced(db: &Database) -> Result<Self> {
        Self::hold(db.begin_unenforced(options()).await?).await
    }

    async fn hold(tx: Tx<'static>) -> Result<Self> {
        // SQLite's write lock keeps others out already.
        if tx.dialect() == Dialect::Postgres {
            batch(&tx, "SET LOCAL statement_timeout = 0").await?;
            let lock = "SELECT pg_advisory_xact_lock(hashtextextended('athena_migrations ' || current_schema(), 0))";
            tx.fetch_rows(lock, Params::new(), 1).await?;
        }
        ledger::create(&tx).await?;
        Ok(Self {
            holder: Holder::Tx(tx),
        })
    }

    /// Waits for the turn on MySQL, where a definition would end any transaction.
    pub(super) async fn begin_without_transaction(db: &Database) -> Result<Self> {
        let conn = db.acquire().await?;
        conn.retire();
        lift_time_limit(&conn).await?;
        let locked = match lock(&conn).await {
            Ok(()) => ledger::create(&conn).await,
            Err(error) => Err(error),
        };
        let turn = Self {
            holder: Holder::Conn {
                conn,
                in_transaction: false,
            },
        };
        match locked {
            Ok(()) => Ok(turn),
            Err(error) => turn.end(Err(error)).await,
        }
    }

    async fn begin_transaction(&mut self) -> Result<()> {
        if let Holder::Conn {
            conn,
            in_transaction,
            ..
        } = &mut self.holder
        {
            batch(conn, "START TRANSACTION").await?;
            *in_transaction = true;
        }
        Ok(())
    }

    /// Ends the turn: keeps what was done if it went well, undoes it if not.
    pub(crate) async fn end<T>(self, result: Result<T>) -> Result<T> {
        let ended = match (self.holder, &result) {
            (Holder::Tx(tx), Ok(_)) => tx.commit().await,
            (Holder::Tx(tx), Err(_)) => tx.rollback().await,
            (
                Holder::Conn {
                    conn,
                    in_transaction,
                },
                result,
            ) => {
                let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
                let ended = match in_transaction {
                    true => batch(&conn, end).await,
                    false => Ok(()),
                };
                ended.and(release(&conn).await)
            }
        };
        let value = result?;
        ended.map(|()| value)
    }
}

impl Run for Turn {
    fn plans(&self) -> &PlanCache {
        match &self.holder {
            Holder::Tx(tx) => tx.plans(),
            Holder::Conn { conn, .. } => conn.plans(),
        }
    }

    async fn run(&self, work: Work) -> Result<Outcome> {
        match &self.holder {
            Holder::Tx(tx) => tx.run(work).await,
            Holder::Conn { conn, .. } => conn.run(work).await,
        }
    }
}

fn options() -> TxOptions {
    TxOptions::default().with_deadline(super::DEADLINE)
}

/// A migration may take its time, and so may waiting for it.
async fn lift_time_limit(conn: &Conn) -> Result<()> {
    let Scalar(version): Scalar<String> = conn.fetch_one("SELECT VERSION()", Params::new()).await?;
    // On MySQL the limit concerns queries only.
    if !version.contains("MariaDB") {
        return Ok(());
    }
    batch(conn, "SET SESSION max_statement_time = 0").await
}

/// Waits for the lock by asking again and again: a statement that waits would be reported as slow.
async fn lock(conn: &Conn) -> Result<()> {
    let sql = format!("SELECT GET_LOCK({LOCK}, 0)");
    let begun = Instant::now();
    while begun.elapsed() < LOCK_PATIENCE {
        let Scalar(got): Scalar<Option<i64>> = conn.fetch_one(sql.clone(), Params::new()).await?;
        if got == Some(1) {
            return Ok(());
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
    Err(Error::new(
        ErrorKind::Busy,
        "another process has been migrating this database for an hour",
    ))
}

async fn release(conn: &Conn) -> Result<()> {
    batch(conn, &format!("DO RELEASE_LOCK({LOCK})")).await
}
