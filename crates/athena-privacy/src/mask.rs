//! Masking: tokens in place of what is personal in the arguments of a call.
//!
//! Two passes over the arguments in the same order. The first looks for what must change, without
//! knowing a key; most calls end there. The second, with the store's keys and the project at hand,
//! changes it.

mod walk;

use crate::key::Keys;
use crate::policy::{Policy, Strategy};
use crate::token::{self, NAME, TEXT};
use crate::{Detector, Finding, Kind, home_prefix, tokens};
use athena_core::schema::Components;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use walk::{Leaf, TextKind, Walk};

/// The project of tokens that are the same in every project: those in paths of projects.
pub const EVERYWHERE: &str = "";

/// What is personal, and what happens to it.
#[derive(Debug, Default)]
pub struct Masking {
    detector: Detector,
    policy: Policy,
}

/// What must change in the arguments of a call.
#[derive(Debug, Default)]
pub struct Plan {
    edits: Vec<Edit>,
}

/// A name of a project that holds personal data: names are shown everywhere and stay as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonalName {
    /// The field.
    pub field: String,
    /// What was found in it.
    pub kind: Kind,
}

/// What must change in one text, which is found by its place in the walk.
#[derive(Debug)]
struct Edit {
    number: usize,
    strategy: Strategy,
    findings: Vec<Finding>,
}

/// What was replaced in the arguments of a call, and by which tokens.
#[derive(Debug, Clone)]
pub struct Replaced {
    keys: Arc<Keys>,
    counts: BTreeMap<String, u64>,
    values: BTreeMap<(String, String), Original>,
}

/// A value that a token stands for.
#[derive(Debug, Clone)]
struct Original {
    kind: String,
    /// As it stood where it was met first.
    value: String,
    normalised: String,
}

/// A token with the value that it stands for.
#[derive(Clone, Copy)]
pub struct TokenValue<'a> {
    /// The project, or [`EVERYWHERE`].
    pub project: &'a str,
    /// The token with its brackets.
    pub token: &'a str,
    /// The kind in it.
    pub kind: &'a str,
    /// The value, as it stood where it was met first.
    pub value: &'a str,
}

impl Masking {
    /// Looks with this detector and changes by this policy.
    #[must_use]
    pub fn new(detector: Detector, policy: Policy) -> Self {
        Self { detector, policy }
    }

    /// Returns the policy.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// Returns the detector.
    #[must_use]
    pub fn detector(&self) -> &Detector {
        &self.detector
    }

    /// Looks for what must change in arguments that `schema` describes. They are left as they are.
    ///
    /// # Errors
    ///
    /// When the name of a project holds personal data.
    pub fn plan(
        &self,
        schema: &Value,
        components: &Components,
        arguments: &mut Value,
    ) -> Result<Plan, PersonalName> {
        let mut edits = Vec::new();
        let mut refused = None;
        let mut number = 0;
        Walk::new(components).over(schema, arguments, &mut |leaf| {
            match self.examine(leaf) {
                Some((_, findings)) if leaf.kind == TextKind::Project => {
                    refused = findings.first().map(|finding| PersonalName {
                        field: leaf.name.to_owned(),
                        kind: finding.kind.clone(),
                    });
                }
                Some((strategy, findings)) => edits.push(Edit {
                    number,
                    strategy,
                    findings,
                }),
                None => {}
            }
            number += 1;
        });
        match refused {
            Some(refused) => Err(refused),
            None => Ok(Plan { edits }),
        }
    }

    /// Returns what must happen to a text, if anything must.
    fn examine(&self, leaf: &Leaf<'_>) -> Option<(Strategy, Vec<Finding>)> {
        let strategy = match leaf.kind {
            TextKind::Path if self.policy != Policy::Debug => Strategy::Truncate,
            _ => self.policy.strategy(leaf.parent, leaf.name),
        };
        let text = &*leaf.text;
        if strategy == Strategy::PassThrough || text.trim().is_empty() {
            return None;
        }
        let findings = self.detector.find_in_field(leaf.name, text);
        let changes = match strategy {
            Strategy::Truncate => !findings.is_empty() || home_prefix(text).is_some(),
            Strategy::Redact | Strategy::Hash => true,
            _ => !findings.is_empty(),
        };
        changes.then_some((strategy, findings))
    }

    /// Looks for what must change in one text, such as the name of a project.
    #[must_use]
    pub fn plan_text(&self, text: &str) -> Vec<Finding> {
        match self.policy {
            Policy::Debug => Vec::new(),
            _ => self.detector.find(text),
        }
    }

    /// Replaces what is personal by its kind, and homes by `~`, in a text for people that is not
    /// stored.
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let parts = self.plan_text(text).into_iter().map(|finding| {
            let shown = match &finding.kind {
                Kind::Path => "~".to_owned(),
                kind => format!("[{kind}]"),
            };
            (finding.masked, shown)
        });
        token::replaced(text, parts)
    }
}

impl Plan {
    /// Whether nothing must change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// Makes the changes in the arguments that were looked at.
    ///
    /// `home` is the project of what names none.
    pub fn apply(
        self,
        replaced: &mut Replaced,
        schema: &Value,
        components: &Components,
        arguments: &mut Value,
        home: &str,
    ) {
        let mut edits = self.edits.into_iter().peekable();
        let mut number = 0;
        Walk::new(components).over(schema, arguments, &mut |leaf| {
            if let Some(edit) = edits.next_if(|edit| edit.number == number) {
                let project = match leaf.kind {
                    TextKind::Path => EVERYWHERE,
                    _ => leaf.project.unwrap_or(home),
                };
                let text = replaced.change(leaf, edit, project);
                *leaf.text = text;
            }
            number += 1;
        });
    }
}

impl Replaced {
    /// Begins with nothing replaced.
    #[must_use]
    pub fn with(keys: Arc<Keys>) -> Self {
        Self {
            keys,
            counts: BTreeMap::new(),
            values: BTreeMap::new(),
        }
    }

    /// Returns the keys that the tokens were made with.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Returns how many values of each kind were replaced.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }

    /// Returns every token with its value, each once.
    pub fn values(&self) -> impl Iterator<Item = TokenValue<'_>> {
        self.values
            .iter()
            .map(|((project, token), original)| TokenValue {
                project,
                token,
                kind: &original.kind,
                value: &original.value,
            })
    }

    /// Replaces the tokens of one project in a text by those of another, as far as this call has
    /// made them.
    #[must_use]
    pub fn respelt<'a>(&self, text: &'a str, from: &str, to: &str) -> Cow<'a, str> {
        if self.values.is_empty() || from == to {
            return Cow::Borrowed(text);
        }
        token::with_tokens_replaced(text, |token| {
            let place = (from.to_owned(), token.to_owned());
            let original = self.values.get(&place)?;
            Some(token::token(
                &self.keys,
                to,
                &original.kind,
                &original.normalised,
            ))
        })
    }

    /// Replaces findings in a text by tokens of a project.
    pub fn tokenise(&mut self, text: &str, findings: &[Finding], project: &str) -> String {
        let parts = findings.iter().map(|finding| {
            let value = &text[finding.masked.clone()];
            self.count(finding.kind.as_str());
            let tokens: String = token::parts(&finding.kind, value)
                .into_iter()
                .map(|(kind, value)| self.token(project, kind, value))
                .collect();
            (finding.masked.clone(), tokens)
        });
        token::replaced(text, parts).into_owned()
    }

    fn change(&mut self, leaf: &Leaf<'_>, edit: Edit, project: &str) -> String {
        let text = &*leaf.text;
        let changed = match edit.strategy {
            Strategy::PassThrough => return text.clone(),
            Strategy::Tokenise => self.tokenise(text, &edit.findings, project),
            Strategy::Truncate => self.truncate(text, &edit.findings, project),
            Strategy::Hash => self.hash(text, &edit.findings, project),
            Strategy::Redact => {
                self.count(leaf.name);
                return format!("[{} redacted]", leaf.name);
            }
        };
        match leaf.max_length {
            Some(most) if changed.chars().count() > most => self.token(project, TEXT, text),
            _ => changed,
        }
    }

    /// Puts `~` in place of a home at the start, and tokens in place of what else is found.
    fn truncate(&mut self, text: &str, findings: &[Finding], project: &str) -> String {
        let Some(home) = home_prefix(text) else {
            return self.tokenise(text, findings, project);
        };
        self.count("path");
        let tail: Vec<Finding> = findings
            .iter()
            .filter(|finding| finding.masked.start >= home.end)
            .map(|finding| Finding {
                range: finding.range.start.max(home.end) - home.end..finding.range.end - home.end,
                masked: finding.masked.start - home.end..finding.masked.end - home.end,
                ..finding.clone()
            })
            .collect();
        let tail = self.tokenise(&text[home.end..], &tail, project);
        format!("~{}", tail.replace('\\', "/"))
    }

    /// Puts tokens in place of everything: of what is found, and of the words between.
    fn hash(&mut self, text: &str, findings: &[Finding], project: &str) -> String {
        let mut hashed = String::new();
        let mut rest = 0;
        let tokens: Vec<_> = tokens(text).collect();
        let mut stays: Vec<_> = tokens.iter().map(|range| (range.clone(), None)).collect();
        stays.extend(
            findings
                .iter()
                .map(|finding| (finding.masked.clone(), Some(finding))),
        );
        stays.sort_by_key(|(range, _)| range.start);
        for (range, finding) in stays {
            self.hash_words(&mut hashed, &text[rest..range.start], project);
            match finding {
                None => hashed.push_str(&text[range.clone()]),
                Some(finding) => {
                    let alone = Finding {
                        range: 0..range.len(),
                        masked: 0..range.len(),
                        ..finding.clone()
                    };
                    hashed.push_str(&self.tokenise(&text[range.clone()], &[alone], project));
                }
            }
            rest = range.end;
        }
        self.hash_words(&mut hashed, &text[rest..], project);
        hashed
    }

    fn hash_words(&mut self, hashed: &mut String, text: &str, project: &str) {
        let Some(start) = text.find(char::is_alphanumeric) else {
            hashed.push_str(text);
            return;
        };
        let end = text.rfind(char::is_alphanumeric).unwrap_or(start);
        let end = text.ceil_char_boundary(end + 1);
        hashed.push_str(&text[..start]);
        self.count(NAME);
        let name = &text[start..end];
        hashed.push_str(&self.token(project, NAME, name));
        hashed.push_str(&text[end..]);
    }

    fn token(&mut self, project: &str, kind: &str, value: &str) -> String {
        let normalised = token::normalised(kind, value);
        let token = token::token(&self.keys, project, kind, &normalised);
        self.values
            .entry((project.to_owned(), token.clone()))
            .or_insert_with(|| Original {
                kind: kind.to_owned(),
                value: value.to_owned(),
                normalised,
            });
        token
    }

    fn count(&mut self, kind: &str) {
        *self.counts.entry(kind.to_owned()).or_default() += 1;
    }
}

#[cfg(test)]
mod tests;
