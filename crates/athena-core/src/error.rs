//! How operations fail: a stable code, a message that is safe to show, and the cause for the log.

use std::borrow::Cow;
use std::fmt;

/// The result of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed, in terms that a caller can act on.
///
/// The same codes appear in REST problems, MCP tool errors and as exit statuses of the command
/// line. They are never renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// An argument is missing, of the wrong type or outside what is allowed.
    InvalidInput,
    /// Text is longer than the limit.
    ContentTooLarge,
    /// What was named does not exist, or not for this caller.
    NotFound,
    /// Something with that name or key exists already.
    Conflict,
    /// The thing is not in a state that allows this.
    InvalidState,
    /// The version that the caller expected is not the current one.
    PreconditionFailed,
    /// The idempotency key was used before with another request.
    IdempotencyMismatch,
    /// A vector belongs to another model or has another width than the project's.
    EmbeddingMismatch,
    /// A rule forbids it.
    Denied,
    /// The store can be read but not written.
    ReadOnly,
    /// The store was written by a newer version of Athena.
    NewerStore,
    /// The disk or the database is full.
    StorageFull,
    /// Too much is going on; the same call may succeed in a moment.
    Busy,
    /// It took longer than allowed.
    Timeout,
    /// Something that Athena depends on does not answer.
    Unavailable,
    /// This backend or build cannot do it.
    Unsupported,
    /// A fault in Athena.
    Internal,
}

impl Code {
    /// Every code, in the order of the documentation.
    pub const ALL: [Self; 17] = [
        Self::InvalidInput,
        Self::ContentTooLarge,
        Self::NotFound,
        Self::Conflict,
        Self::InvalidState,
        Self::PreconditionFailed,
        Self::IdempotencyMismatch,
        Self::EmbeddingMismatch,
        Self::Denied,
        Self::ReadOnly,
        Self::NewerStore,
        Self::StorageFull,
        Self::Busy,
        Self::Timeout,
        Self::Unavailable,
        Self::Unsupported,
        Self::Internal,
    ];

    /// Returns the stable text form, such as `not_found`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::ContentTooLarge => "content_too_large",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::InvalidState => "invalid_state",
            Self::PreconditionFailed => "precondition_failed",
            Self::IdempotencyMismatch => "idempotency_mismatch",
            Self::EmbeddingMismatch => "embedding_mismatch",
            Self::Denied => "denied",
            Self::ReadOnly => "read_only",
            Self::NewerStore => "newer_store",
            Self::StorageFull => "storage_full",
            Self::Busy => "busy",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Unsupported => "unsupported",
            Self::Internal => "internal",
        }
    }

    /// Returns the title of the kind of problem, the same for every occurrence.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::InvalidInput => "Invalid input",
            Self::ContentTooLarge => "Content too large",
            Self::NotFound => "Not found",
            Self::Conflict => "Conflict",
            Self::InvalidState => "Not possible in this state",
            Self::PreconditionFailed => "Precondition failed",
            Self::IdempotencyMismatch => "Idempotency key used with another request",
            Self::EmbeddingMismatch => "Embedding does not fit",
            Self::Denied => "Denied by a rule",
            Self::ReadOnly => "Store is read-only",
            Self::NewerStore => "Store is of a newer version",
            Self::StorageFull => "Storage is full",
            Self::Busy => "Busy",
            Self::Timeout => "Timed out",
            Self::Unavailable => "Dependency unavailable",
            Self::Unsupported => "Not supported",
            Self::Internal => "Internal error",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an operation failed.
///
/// The message is for the caller: it names what was wrong and the way out, and holds neither
/// content nor secrets. The cause is for the log.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    code: Code,
    message: Cow<'static, str>,
    field: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// Makes an error with a message for the caller.
    #[must_use]
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            code,
            message: message.into(),
            field: None,
            source: None,
        }))
    }

    /// An argument `field` that is not allowed; `problem` continues the sentence "`field` …".
    #[must_use]
    pub fn invalid(field: &str, problem: impl fmt::Display) -> Self {
        Self::new(Code::InvalidInput, format!("`{field}` {problem}")).with_field(field)
    }

    /// Something that does not exist; `what` includes its name, as in "memory `42`".
    #[must_use]
    pub fn not_found(what: impl fmt::Display) -> Self {
        Self::new(Code::NotFound, format!("{what} does not exist"))
    }

    /// A fault in Athena that has no better name.
    #[must_use]
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(
            Code::Internal,
            "an internal error occurred; the log holds the cause",
        )
        .with_source(cause)
    }

    /// Names the argument that caused it, as a path such as `tags[2]`.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn with_source(
        mut self,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(cause.into());
        self
    }

    /// Passes what the caller will read through `redact`.
    #[must_use]
    pub fn redacted(mut self, redact: impl Fn(&str) -> Cow<'_, str>) -> Self {
        if let Cow::Owned(message) = redact(&self.0.message) {
            self.0.message = Cow::Owned(message);
        }
        if let Some(field) = &mut self.0.field
            && let Cow::Owned(redacted) = redact(field)
        {
            *field = redacted;
        }
        self
    }

    /// Returns what kind of failure it is.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Returns the message for the caller.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the argument that caused it, if one did.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        self.0.field.as_deref()
    }

    /// Whether something was not found.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.code() == Code::NotFound
    }

    /// Whether the same call may succeed when it is made again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.code(), Code::Busy | Code::Timeout | Code::Unavailable)
    }

    /// Returns the database error behind it, if there is one.
    #[must_use]
    pub fn database(&self) -> Option<&athena_db::Error> {
        self.0
            .source
            .as_deref()
            .and_then(|source| source.downcast_ref())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<athena_db::Error> for Error {
    fn from(error: athena_db::Error) -> Self {
        let (code, message): (Code, Cow<'static, str>) = database_code(&error);
        Self::new(code, message).with_source(error)
    }
}

/// Says what a database failure means to the caller of an operation.
fn database_code(error: &athena_db::Error) -> (Code, Cow<'static, str>) {
    use athena_db::ErrorKind as Kind;
    let said = || Cow::Owned(error.to_string());
    match error.kind() {
        Kind::Unique { .. } => (
            Code::Conflict,
            "something with the same name or key exists already".into(),
        ),
        Kind::ForeignKey => (
            Code::Conflict,
            "something that it refers to does not exist (any more)".into(),
        ),
        Kind::Serialization | Kind::Deadlock | Kind::Busy => (
            Code::Busy,
            "the database was busy with other writers; try again".into(),
        ),
        Kind::PoolExhausted { .. } => (
            Code::Busy,
            "no connection to the database became free in time; try again".into(),
        ),
        Kind::Connection | Kind::Auth | Kind::Timeout(athena_db::Stage::Connect) => {
            (Code::Unavailable, said())
        }
        Kind::Timeout(_) | Kind::CommitUnknown => (Code::Timeout, said()),
        Kind::ReadOnly => (
            Code::ReadOnly,
            "the store is read-only; open it where it can be written".into(),
        ),
        Kind::Full => (
            Code::StorageFull,
            "the disk or the database is full; free some space and try again".into(),
        ),
        Kind::Migration(athena_db::MigrationError::NewerStore { .. }) => (Code::NewerStore, said()),
        Kind::Migration(_) => (Code::InvalidState, said()),
        Kind::Copy(athena_db::CopyError::Differs { .. }) => (Code::Internal, said()),
        Kind::Copy(_) => (Code::Conflict, said()),
        Kind::Unsupported { .. } => (Code::Unsupported, said()),
        _ => (
            Code::Internal,
            "the database refused a statement; the log holds the cause".into(),
        ),
    }
}

impl athena_db::Retry for Error {
    fn retry_cause(&self) -> Option<&athena_db::Error> {
        self.database()
    }
}
