//! Finding personal data in one pass over a text.
//!
//! [`scan`] walks the bytes once and stops at those that may begin or join something: a word, a
//! digit, `@`, `://`, `=`, a slash. A module per kind then looks at the neighbourhood, which is
//! bounded, so that time is linear in the length of the text whatever it contains. What they report
//! is filtered by confidence, allow-list and existing tokens, and [`overlap`] lets one finding stand
//! where several claim the same bytes.
//!
//! Confidence is what the form alone is worth (a checksum, a prefix, a grouping of digits), raised
//! when a word nearby says what the value is (`phone`, `card`, `ssn`) and lowered when it says that
//! it is something else (`order`, `invoice`, `build`). [`context`] has the words and the distances.

mod allow;
mod card;
mod context;
mod custom;
mod digits;
mod email;
mod iban;
mod ip;
mod national;
mod overlap;
mod path;
mod phone;
mod scan;
mod secret;
mod ssn;
mod token;
mod url;

#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::kind::Finding;
use allow::AllowList;
use context::Field;
use custom::Pattern;
use scan::Scan;

pub use custom::PatternError;
pub use path::home_prefix;
pub use token::tokens;

/// The confidence from which a finding counts, unless [`Detector::with_threshold`] says otherwise.
const DEFAULT_THRESHOLD: f64 = 0.7;

/// Finds personal data in texts.
///
/// # Examples
///
/// ```
/// use athena_privacy::{Detector, Kind};
///
/// let findings = Detector::new().find("Write to ada@lovelace.org, please.");
/// assert_eq!(findings[0].kind, Kind::Email);
/// assert_eq!(findings[0].range, 9..25);
/// ```
#[derive(Debug)]
pub struct Detector {
    threshold: f64,
    allowed: AllowList,
    patterns: Vec<Pattern>,
}

impl Detector {
    /// Returns a detector of every built-in kind with a threshold of 0.7.
    #[must_use]
    pub fn new() -> Self {
        Self {
            threshold: DEFAULT_THRESHOLD,
            allowed: AllowList::default(),
            patterns: Vec::new(),
        }
    }

    /// Sets the confidence from which a finding counts, 0 to 1.
    #[must_use]
    pub fn with_threshold(mut self, threshold: f64) -> Self {
        self.threshold = threshold.clamp(0.0, 1.0);
        self
    }

    /// Adds values that are never findings, compared without regard to case after normalisation.
    ///
    /// An entry that begins with `@` allows a domain of e-mail addresses and URLs, one that begins
    /// with `*.` also the domains below it.
    #[must_use]
    pub fn allowing(mut self, values: impl IntoIterator<Item = String>) -> Self {
        self.allowed.extend(values);
        self
    }

    /// Adds a pattern of your own, whose matches have a confidence of 0.75.
    ///
    /// # Errors
    ///
    /// Returns an error if the name is not `[a-z][a-z0-9_]{0,31}` or is taken, or if the expression
    /// is malformed, too large, or matches the empty text.
    pub fn with_pattern(mut self, name: &str, regex: &str) -> Result<Self, PatternError> {
        if self.patterns.iter().any(|pattern| pattern.is_named(name)) {
            return Err(PatternError::Taken {
                name: name.to_owned(),
            });
        }
        self.patterns.push(Pattern::new(name, regex)?);
        Ok(self)
    }

    /// Returns what the text contains, ordered by position and without overlaps.
    #[must_use]
    pub fn find(&self, text: &str) -> Vec<Finding> {
        self.find_with(&Field::default(), text)
    }

    /// Returns what the value of a named field contains.
    ///
    /// The name is context, as if it stood in front of the value: a plausible value of `api_key` or
    /// `password` is a secret as a whole, and `mobile` or `ssn` make a number a telephone or social
    /// security number. Names may be in camel, kebab or snake case and dotted.
    #[must_use]
    pub fn find_in_field(&self, field: &str, text: &str) -> Vec<Finding> {
        self.find_with(&Field::named(field), text)
    }

    fn find_with(&self, field: &Field, text: &str) -> Vec<Finding> {
        let mut scan = Scan::new(text, field, self.threshold);
        scan.run();
        secret::whole_field(&mut scan);
        for pattern in &self.patterns {
            pattern.find(&mut scan);
        }
        let (mut findings, tokens) = scan.finish();
        if findings.is_empty() {
            return findings;
        }
        findings.retain(|finding| {
            !token::overlaps(&tokens, &finding.range)
                && !self.allowed.contains(finding, &text[finding.range.clone()])
        });
        overlap::resolve(findings)
    }
}

impl Default for Detector {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns the ranges of findings in characters instead of bytes, in one pass over the text.
///
/// The findings are ordered by position and do not overlap, as [`Detector::find`] returns them.
#[must_use]
pub fn character_ranges(text: &str, findings: &[Finding]) -> Vec<Range<usize>> {
    let mut bytes = 0;
    let mut characters = 0;
    let mut advance = |to: usize| {
        characters += text.get(bytes..to).map_or(0, |part| part.chars().count());
        bytes = to;
        characters
    };
    findings
        .iter()
        .map(|finding| advance(finding.range.start)..advance(finding.range.end))
        .collect()
}
