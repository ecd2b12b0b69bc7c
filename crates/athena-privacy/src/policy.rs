//! Field policies: what happens to a field because of its name, whatever is found in it.
//!
//! | Field | standard | compliance | debug |
//! |---|---|---|---|
//! | `diff` | redact | redact | tokenise |
//! | `git_author` | hash | hash | tokenise |
//! | `stack_trace` | tokenise | redact | pass |
//! | `file_path` | truncate | truncate | pass |
//! | `cwd`, `context_cwd` | truncate | redact | pass |
//! | `context.files`, `context_files` | truncate | truncate | pass |
//! | all others | tokenise | tokenise | pass |

use std::str::FromStr;

/// A set of field policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// Hides what is personal and keeps what is useful.
    #[default]
    Standard,
    /// Hides more: whole fields that often hold what no rule finds.
    Compliance,
    /// Lets nearly everything through. Personal data reaches the store.
    Debug,
}

/// What happens to a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// Nothing.
    PassThrough,
    /// Tokens replace what is found.
    Tokenise,
    /// A marker that names the field replaces all of it.
    Redact,
    /// Somebody's home becomes `~`, and tokens replace what else is found.
    Truncate,
    /// Tokens replace all of it: what is found, and the words between.
    Hash,
}

impl Policy {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::Standard, Self::Compliance, Self::Debug];

    /// Returns the name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Compliance => "compliance",
            Self::Debug => "debug",
        }
    }

    /// Returns what happens to a field, by its name and that of the field that it is in.
    #[must_use]
    pub fn strategy(self, parent: Option<&str>, name: &str) -> Strategy {
        use Strategy::{Hash, PassThrough, Redact, Tokenise, Truncate};
        let row = match (parent, name) {
            (_, "diff") => [Redact, Redact, Tokenise],
            (_, "git_author") => [Hash, Hash, Tokenise],
            (_, "stack_trace") => [Tokenise, Redact, PassThrough],
            (_, "file_path" | "context_files") | (Some("context"), "files") => {
                [Truncate, Truncate, PassThrough]
            }
            (_, "cwd" | "context_cwd") => [Truncate, Redact, PassThrough],
            _ => [Tokenise, Tokenise, PassThrough],
        };
        match self {
            Self::Standard => row[0],
            Self::Compliance => row[1],
            Self::Debug => row[2],
        }
    }
}

impl FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(text: &str) -> Result<Self, UnknownPolicy> {
        Self::ALL
            .into_iter()
            .find(|policy| policy.as_str() == text)
            .ok_or(UnknownPolicy)
    }
}

/// A text that names no policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no policy; allowed: standard, compliance, debug")]
pub struct UnknownPolicy;
