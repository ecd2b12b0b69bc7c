//! PostgreSQL.

/// What PostgreSQL had to be told about the parameter types of a statement.
#[derive(Debug, Clone, Default)]
pub(crate) enum Hint {
    /// The statement was never prepared.
    #[default]
    Unknown,
}
