//! What can go wrong, in kinds that a caller can act on, equal on every backend.
//!
//! An error carries names (parameters, columns, constraints) and the backend's own code, never a
//! value: neither parameters nor the parts of a server's message that quote them.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::dialect::Dialect;
use crate::sql::{Refusal, SqlError};

/// The result of every operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the database or of the way it was asked.
///
/// [`Error::kind`] says what a programme can do about it, the text what a person should.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    code: Option<String>,
    constraint: Option<String>,
    source: Option<Error>,
}

/// The portable kind of an [`Error`].
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorKind {
    /// A row with the same unique key exists.
    Unique {
        /// The violated constraint or index, where the backend names it (PostgreSQL does, SQLite
        /// only for an index over expressions).
        constraint: Option<String>,
        /// The columns of the key, in its order.
        columns: Vec<String>,
    },
    /// A referenced row is missing, or a row is still referenced.
    ForeignKey,
    /// A column that needs a value got none.
    NotNull {
        /// The column, where the backend names it.
        column: Option<String>,
    },
    /// A check constraint refused a value.
    Check,
    /// The transaction met a concurrent one and can be run again.
    Serialization,
    /// The transaction was chosen to break a deadlock and can be run again.
    Deadlock,
    /// Somebody else held the database for longer than the generous wait.
    Busy,
    /// Something took longer than it may.
    Timeout(Stage),
    /// No connection became free in time.
    PoolExhausted {
        /// How long the caller waited.
        waited: Duration,
        /// Who has had a connection for longest.
        holder: Option<Holder>,
    },
    /// The database cannot be reached or opened, or the connection was lost.
    Connection,
    /// The server refused the credentials or the permission.
    Auth,
    /// The statement is wrong: its syntax, or a table or column that does not exist.
    Syntax {
        /// Where, in the text as the caller wrote it, if the backend says.
        at: Option<Position>,
    },
    /// The statement names a parameter that was not given.
    MissingParam {
        /// The parameter in the statement.
        name: String,
        /// The given parameter whose name is closest.
        nearest: Option<String>,
    },
    /// A parameter was given that the statement does not name, or was given twice.
    UnusedParam(String),
    /// A value does not fit where it should go.
    Type {
        /// The column, or the parameter with its colon.
        column: String,
        /// What would fit.
        want: String,
        /// What was there; a type, never a value.
        got: String,
    },
    /// One row was asked for and there is none.
    NotFound,
    /// One row was asked for and there are several.
    TooManyRows,
    /// A write met a database, file or transaction that only reads.
    ReadOnly,
    /// The disk, or the space the database may use, is full.
    Full,
    /// The migrations of the store and of this programme do not fit together.
    Migration(MigrationError),
    /// A database cannot be copied into another.
    Copy(CopyError),
    /// The backend cannot do this.
    Unsupported {
        /// What cannot be done.
        feature: String,
        /// Where it cannot be done.
        dialect: Dialect,
    },
    /// The connection was lost while a write was on its way: it may or may not have happened.
    CommitUnknown,
    /// An earlier statement of the transaction failed: it can only be rolled back.
    TxAborted,
    /// Anything else; [`Error::code`] has the backend's code.
    Other,
}

/// What was going on when the time was up.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// A new connection did not come about.
    Connect,
    /// One statement ran for longer than the statement timeout.
    Statement,
    /// A transaction was open for longer than its deadline.
    Transaction,
    /// A lock of somebody else's was not released.
    Lock,
}

/// A place in the text of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Position {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

/// A connection in use, and what for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// The statement that runs, or ran last, without the values in it; empty before the first.
    pub sql: String,
    /// How long the connection has been out.
    pub held: Duration,
}

/// Why the migrations of a store and of a programme do not fit together.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MigrationError {
    /// The store has a version that this programme does not know: it is older than the store.
    NewerStore {
        /// The name of the migration set.
        set: String,
        /// The version in the store.
        found: u32,
        /// The newest version that the programme knows.
        known: u32,
    },
    /// A migration was edited after it had been applied.
    Changed {
        /// The name of the migration set.
        set: String,
        /// The edited version.
        version: u32,
    },
    /// A version was applied that the programme's set skips.
    Missing {
        /// The name of the migration set.
        set: String,
        /// The skipped version.
        version: u32,
    },
    /// A version below the newest applied one was never applied.
    OutOfOrder {
        /// The name of the migration set.
        set: String,
        /// The late version.
        version: u32,
    },
    /// The set itself is wrong: versions that do not ascend, or text outside the safe subset.
    Invalid {
        /// The name of the migration set.
        set: String,
        /// The offending version.
        version: u32,
    },
    /// A migration that had stopped half-way was edited before it went on (MySQL).
    HalfApplied {
        /// The name of the migration set.
        set: String,
        /// The edited version.
        version: u32,
        /// The statement at which it would go on, counted from 1.
        statement: usize,
    },
    /// A version was named that the set does not have.
    Unknown {
        /// The name of the migration set.
        set: String,
        /// The version.
        version: u32,
    },
    /// The store is a copy that was not finished.
    UnfinishedCopy {
        /// What the copy was made from.
        source: String,
    },
    /// A statement failed. Nothing of its migration stays, except on MySQL what comes before it.
    /// The cause is the error's source.
    Failed {
        /// The name of the migration set.
        set: String,
        /// The failed version.
        version: u32,
        /// The failed statement, counted from 1.
        statement: usize,
    },
}

/// Why a database cannot be copied into another.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyError {
    /// The source lacks migrations of a set.
    NotReady {
        /// The name of the migration set.
        set: String,
    },
    /// The source has sets of migrations that are not among those to copy.
    Foreign {
        /// The names of the sets.
        sets: Vec<String>,
    },
    /// The target holds rows.
    NotEmpty {
        /// A table with rows.
        table: String,
    },
    /// The target holds the unfinished copy of another source, or of an older state of its tables.
    OtherSource {
        /// What named the other source; empty if it is the tables that changed.
        source: String,
    },
    /// Another copy into the same target was started meanwhile.
    TakenOver,
    /// A table is not the same in source and target.
    Differs {
        /// The table.
        table: String,
    },
}

impl Error {
    /// Makes an error of a kind with a message for a person.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            code: None,
            constraint: None,
            source: None,
        }))
    }

    /// Returns the portable kind.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// Returns the backend's own code: an SQLSTATE (`23505`) or SQLite's extended result code as a
    /// decimal number (`2067`).
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// Returns the name of the violated constraint, where the backend tells it.
    #[must_use]
    pub fn constraint(&self) -> Option<&str> {
        self.0.constraint.as_deref()
    }

    /// Whether running the whole transaction again may succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::Serialization | ErrorKind::Deadlock | ErrorKind::Busy
        )
    }

    /// Whether a row with the same unique key exists.
    #[must_use]
    pub fn is_unique_violation(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Unique { .. })
    }

    /// Whether a referenced row is missing or a row is still referenced.
    #[must_use]
    pub fn is_foreign_key_violation(&self) -> bool {
        matches!(self.0.kind, ErrorKind::ForeignKey)
    }

    /// Whether one row was asked for and there is none.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self.0.kind, ErrorKind::NotFound)
    }

    /// Whether the database cannot be reached.
    #[must_use]
    pub fn is_connection(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Connection)
    }

    pub(crate) fn with_code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    pub(crate) fn with_constraint(mut self, constraint: Option<String>) -> Self {
        self.0.constraint = constraint;
        self
    }

    pub(crate) fn with_source(mut self, source: Error) -> Self {
        self.0.source = Some(source);
        self
    }

    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Says where in the caller's text a statement is wrong, if that is what the error is about.
    pub(crate) fn located(mut self, position: Position) -> Self {
        if let ErrorKind::Syntax { at } = &mut self.0.kind {
            *at = Some(position);
            let Position { line, column } = position;
            self.0.message = format!("line {line}, column {column}: {}", self.0.message);
        }
        self
    }

    pub(crate) fn mismatch(
        column: impl Into<String>,
        want: impl Into<String>,
        got: impl Into<String>,
    ) -> Self {
        let (column, want, got) = (column.into(), want.into(), got.into());
        let message = format!("`{column}` wants {want} and got {got}");
        Self::new(ErrorKind::Type { column, want, got }, message)
    }

    pub(crate) fn unsupported(feature: impl Into<String>, dialect: Dialect, way_out: &str) -> Self {
        let feature = feature.into();
        let message = format!("{feature} is not supported on {dialect}; {way_out}");
        Self::new(ErrorKind::Unsupported { feature, dialect }, message)
    }

    pub(crate) fn closed() -> Self {
        Self::new(ErrorKind::Connection, "the database is closed")
    }

    /// A server behind a broken network may never be heard of again.
    pub(crate) fn silent(limit: Duration) -> Self {
        let message = format!("the server did not answer within {limit:?}");
        Self::new(ErrorKind::Connection, message)
    }

    pub(crate) fn expired(after: Duration) -> Self {
        let message = format!(
            "the transaction was rolled back because it was open longer than its deadline of {after:?}"
        );
        Self::new(ErrorKind::Timeout(Stage::Transaction), message)
    }

    pub(crate) fn syntax(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Syntax { at: None }, message)
    }

    /// The backend counts other parameters than the scanner saw.
    pub(crate) fn unnamed_parameters() -> Self {
        Self::syntax("the statement has parameters that are not of the form `:name`")
    }

    pub(crate) fn commit_unknown() -> Self {
        Self::new(
            ErrorKind::CommitUnknown,
            "the connection was lost while a write was on its way; it may or may not have happened",
        )
    }

    pub(crate) fn aborted() -> Self {
        Self::new(
            ErrorKind::TxAborted,
            "an earlier statement of this transaction failed, it can only be rolled back; \
             put a statement that may fail into `Tx::savepoint`",
        )
    }

    pub(crate) fn opened_to_read() -> Self {
        Self::new(ErrorKind::ReadOnly, "the database was opened to read only")
    }

    pub(crate) fn streaming() -> Self {
        Self::new(
            ErrorKind::Other,
            "a stream on this connection is still open; read it to its end before the next statement",
        )
    }

    pub(crate) fn interrupted() -> Self {
        Self::new(
            ErrorKind::TxAborted,
            "a statement of this transaction was abandoned half-way, it can only be rolled back",
        )
    }

    pub(crate) fn abandoned() -> Self {
        Self::new(
            ErrorKind::Connection,
            "a statement on this connection was abandoned half-way; borrow another connection",
        )
    }

    pub(crate) fn pool_exhausted(waited: Duration, holder: Option<Holder>) -> Self {
        let culprit = holder.as_ref().map_or_else(String::new, |holder| {
            format!(
                "; the oldest has been in use for {:?} by `{}`",
                holder.held, holder.sql
            )
        });
        let message = format!(
            "no connection became free within {waited:?}{culprit}; raise `max_connections` or shorten transactions"
        );
        Self::new(ErrorKind::PoolExhausted { waited, holder }, message)
    }

    /// Connections that did not come back before the database was closed.
    pub(crate) fn still_in_use(waited: Duration, count: usize, holder: Option<Holder>) -> Self {
        let culprit = holder.as_ref().map_or("", |holder| holder.sql.as_str());
        let message = format!(
            "{count} connections were still in use after {waited:?}, the oldest by `{culprit}`; \
             they are closed when they come back"
        );
        Self::new(ErrorKind::PoolExhausted { waited, holder }, message)
    }

    pub(crate) fn not_found() -> Self {
        Self::new(
            ErrorKind::NotFound,
            "the query returned no row where one was expected",
        )
    }

    pub(crate) fn too_many_rows() -> Self {
        Self::new(
            ErrorKind::TooManyRows,
            "the query returned several rows where one was expected",
        )
    }
}

/// Tells whether a caller's own error stands for a database error that a transaction may retry.
///
/// [`Database::transaction_with`](crate::Database::transaction_with) asks it after each failed run.
pub trait Retry {
    /// Returns the database error behind this error, if there is one.
    fn retry_cause(&self) -> Option<&Error>;
}

impl Retry for Error {
    fn retry_cause(&self) -> Option<&Error> {
        Some(self)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Text(error) => error.into(),
            Refusal::NoCounterpart(error) => {
                let way_out = format!(
                    "line {}, column {}: write a text of its own, `sql! {{ mysql: \"…\", … }}`",
                    error.line, error.column
                );
                Self::unsupported(error.message, Dialect::MySql, &way_out)
            }
        }
    }
}

impl From<SqlError> for Error {
    fn from(error: SqlError) -> Self {
        Self::syntax(error.message).located(Position {
            line: error.line,
            column: error.column,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("code", &self.0.code)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source as _)
    }
}
