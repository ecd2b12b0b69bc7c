//! Patterns of the configuration.

use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use super::scan::Scan;
use crate::kind::Kind;
use crate::token::FURTHER_KINDS;

/// How sure a pattern of the configuration is.
const CONFIDENCE: f64 = 0.75;

/// The most memory that a compiled pattern may take, in bytes.
const SIZE_LIMIT: usize = 1 << 20;

/// The longest name.
const LONGEST_NAME: usize = 32;

/// Why a pattern of the configuration cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// The name is not a lower-case letter followed by at most 31 of `a-z`, `0-9` and `_`.
    #[error("the pattern's name `{name}` is not of the form [a-z][a-z0-9_]{{0,31}}")]
    Name {
        /// The name.
        name: String,
    },
    /// A built-in kind of finding or token, or another pattern, has the name.
    #[error("the pattern's name `{name}` is taken")]
    Taken {
        /// The name.
        name: String,
    },
    /// The expression is malformed or too large.
    #[error("the pattern `{name}` is no regular expression that can be used")]
    Expression {
        /// The pattern's name.
        name: String,
        /// What is wrong with it.
        #[source]
        source: regex::Error,
    },
    /// The expression matches the empty text, and so would match everywhere.
    #[error("the pattern `{name}` matches the empty text")]
    Empty {
        /// The pattern's name.
        name: String,
    },
}

/// A named expression.
#[derive(Debug)]
pub(super) struct Pattern {
    name: Arc<str>,
    regex: Regex,
}

impl Pattern {
    pub(super) fn new(name: &str, regex: &str) -> Result<Self, PatternError> {
        let owned = || name.to_owned();
        if !is_name(name) {
            return Err(PatternError::Name { name: owned() });
        }
        let built_in = Kind::BUILT_IN.iter().any(|kind| kind.as_str() == name);
        if built_in || FURTHER_KINDS.contains(&name) {
            return Err(PatternError::Taken { name: owned() });
        }
        let regex = RegexBuilder::new(regex)
            .size_limit(SIZE_LIMIT)
            .dfa_size_limit(SIZE_LIMIT)
            .build()
            .map_err(|source| PatternError::Expression {
                name: owned(),
                source,
            })?;
        if regex.is_match("") {
            return Err(PatternError::Empty { name: owned() });
        }
        Ok(Self {
            name: Arc::from(name),
            regex,
        })
    }

    pub(super) fn is_named(&self, name: &str) -> bool {
        &*self.name == name
    }

    /// Reports every match that is not empty.
    pub(super) fn find(&self, scan: &mut Scan<'_>) {
        let text = scan.text;
        for found in self.regex.find_iter(text).filter(|found| !found.is_empty()) {
            let kind = Kind::Custom(Arc::clone(&self.name));
            scan.report(kind, &self.name, found.range(), CONFIDENCE);
        }
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= LONGEST_NAME
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}
