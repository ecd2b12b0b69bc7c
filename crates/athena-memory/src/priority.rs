//! How urgent something is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The priority of what was given none, of 1 to 10.
pub const DEFAULT_PRIORITY: i64 = 5;

/// A name for how urgent something is, in place of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PriorityName {
    /// 3.
    Low,
    /// 5.
    Medium,
    /// 7.
    High,
    /// 10.
    Critical,
}

impl PriorityName {
    /// Returns the number that it stands for.
    #[must_use]
    pub const fn number(self) -> i64 {
        match self {
            Self::Low => 3,
            Self::Medium => 5,
            Self::High => 7,
            Self::Critical => 10,
        }
    }
}

/// Returns the priority that a call names, in one way or the other.
pub(crate) fn chosen(number: Option<i64>, name: Option<PriorityName>) -> Option<i64> {
    number.or(name.map(PriorityName::number))
}
