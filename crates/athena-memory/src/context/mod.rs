//! The brief: the few things that belong into a prompt now, within a budget of tokens.
//!
//! Rules and preferences are always in it, since no search finds them by the wording of a question;
//! then the tasks, what is aimed at, what is known about the prompt, and what happened last. Each
//! thing says why it is there, and what was left out is named.

mod brief;
mod gather;
mod ops;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use ops::Context;

/// The source of the events that hooks record: a prompt among them is the user's own words.
pub const HOOK_SOURCE: &str = "hook";

/// The part of a brief that a thing belongs to, in their order.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// What must be kept to.
    Rules,
    /// What the user likes.
    Preferences,
    /// Where the last session ended.
    Resume,
    /// What is due, and the open tasks that the prompt is about.
    Tasks,
    /// What is aimed at.
    Goals,
    /// What is known about it.
    Known,
    /// What happened last.
    Recent,
}

impl Section {
    /// Returns the line above the section.
    const fn heading(self) -> &'static str {
        match self {
            Self::Rules => "Rules to keep to:",
            Self::Preferences => "Preferences:",
            Self::Resume => "Last session:",
            Self::Tasks => "Tasks:",
            Self::Goals => "Goals:",
            Self::Known => "Known about this:",
            Self::Recent => "Happened last:",
        }
    }
}

/// A brief for a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Brief {
    /// The brief as it goes into a prompt; empty if there is nothing to say, or nothing new.
    pub text: String,
    /// What is in it, in the order of the text.
    pub items: Vec<BriefItem>,
    /// What would have been in it, with the reason why it is not.
    pub left_out: Vec<BriefItem>,
    /// How many tokens the text takes, at four bytes a token.
    pub tokens: u32,
    /// How many it may take.
    pub budget_tokens: u32,
    /// A number that changes when the text does.
    pub version: i64,
    /// Whether the text is the one of `known_version`, and therefore not repeated.
    pub unchanged: bool,
}

/// One thing in a brief.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BriefItem {
    /// The part that it belongs to.
    pub section: Section,
    /// What it is, such as `memory` or `task`.
    pub kind: String,
    /// Its id.
    pub id: i64,
    /// Why it is in the brief, or why not.
    pub reason: String,
    /// How many tokens it takes.
    pub tokens: u32,
    /// A number that changes when what it says does.
    pub version: i64,
}

/// Something that the reader knows from an earlier brief, as `kind:id@version`: `memory:6@2`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, with = "String", extend("pattern" = "^[a-z_]{1,50}:[0-9]{1,19}@-?[0-9]{1,19}$"))]
pub struct KnownItem {
    kind: String,
    id: String,
    version: String,
}

impl KnownItem {
    /// Whether it is an item in some version.
    fn is(&self, kind: &str, id: i64) -> bool {
        self.kind == kind && self.id == id.to_string()
    }

    /// Whether it is an item in one version.
    fn is_at(&self, kind: &str, id: i64, version: i64) -> bool {
        self.is(kind, id) && self.version == version.to_string()
    }
}

impl TryFrom<String> for KnownItem {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_number =
            |it: &str| (1..=19).contains(&it.len()) && it.bytes().all(|c| c.is_ascii_digit());
        let is_kind = |it: &str| {
            (1..=50).contains(&it.len()) && it.bytes().all(|c| c == b'_' || c.is_ascii_lowercase())
        };
        let parts = text.split_once(':').and_then(|(kind, rest)| {
            let (id, version) = rest.split_once('@')?;
            let digits = version.strip_prefix('-').unwrap_or(version);
            (is_kind(kind) && is_number(id) && is_number(digits)).then(|| Self {
                kind: kind.to_owned(),
                id: id.to_owned(),
                version: version.to_owned(),
            })
        });
        parts.ok_or_else(|| "an item is written `kind:id@version`, such as `memory:6@2`".to_owned())
    }
}
