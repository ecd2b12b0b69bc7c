//! Whether what happens is what a trigger waits for.

use super::{Trigger, TriggerType};
use crate::glob::matches_path;
use jiff::Timestamp;

/// Something that happens in a project, as far as anybody said.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Happening<'a> {
    /// The type of event, such as `test_run`.
    pub(crate) event_type: Option<&'a str>,
    /// How it ended, such as `failure`.
    pub(crate) outcome: Option<&'a str>,
    /// What it says.
    pub(crate) content: Option<&'a str>,
    /// The files that were opened or changed.
    pub(crate) files: &'a [String],
    /// Where somebody is, such as a branch and a folder.
    pub(crate) locations: [Option<&'a str>; 2],
    /// What it is about.
    pub(crate) tags: &'a [String],
    /// The last moment at which it may have happened; now unless given.
    pub(crate) at: Option<Timestamp>,
}

impl Happening<'_> {
    /// Returns the types of triggers that it may fire.
    pub(super) fn types(&self) -> Vec<String> {
        let is_event =
            self.event_type.is_some() || self.outcome.is_some() || self.content.is_some();
        let is_somewhere = self.locations.iter().any(Option::is_some);
        let is_context = is_somewhere || !self.files.is_empty() || !self.tags.is_empty();
        let types = [
            (is_event, TriggerType::Event),
            (is_context, TriggerType::Context),
            (!self.files.is_empty(), TriggerType::File),
        ];
        let fired = types.iter().filter(|(may_fire, _)| *may_fire);
        fired.map(|(_, it)| it.as_str().to_owned()).collect()
    }
}

impl Trigger {
    /// Whether it names anything. One that names nothing would fire at everything.
    pub(super) fn is_empty(&self) -> bool {
        let texts = [
            &self.schedule,
            &self.event_type,
            &self.outcome,
            &self.content,
            &self.path,
            &self.location,
        ];
        texts.iter().all(|text| text.is_none())
            && self.due_at.is_none()
            && self.depends_on.is_none()
            && self.tags.is_empty()
    }

    /// Says why it fires at something, if it does: when all holds that it names. Of several tags,
    /// one is enough. What happened before it was made fires nothing.
    pub(super) fn answers(&self, happening: &Happening<'_>) -> Option<String> {
        if self.is_empty() || happening.at.is_some_and(|at| at < self.created_at) {
            return None;
        }
        let mut reasons = Vec::new();
        let same = |wanted: &str, is: Option<&str>| is == Some(wanted);
        if let Some(wanted) = &self.event_type {
            same(wanted, happening.event_type).then_some(())?;
            reasons.push(format!("an event `{wanted}` happened"));
        }
        if let Some(wanted) = &self.outcome {
            same(wanted, happening.outcome).then_some(())?;
            reasons.push(format!("the outcome was `{wanted}`"));
        }
        if let Some(wanted) = &self.content {
            let said = happening.content?.to_lowercase();
            said.contains(&wanted.to_lowercase()).then_some(())?;
            reasons.push(format!("it says `{wanted}`"));
        }
        if let Some(pattern) = &self.path {
            let mut files = happening.files.iter();
            let file = files.find(|file| matches_path(pattern, file))?;
            reasons.push(format!("the file `{file}` was opened or changed"));
        }
        if let Some(wanted) = &self.location {
            let mut locations = happening.locations.iter();
            locations.any(|is| same(wanted, *is)).then_some(())?;
            reasons.push(format!("you are at `{wanted}`"));
        }
        if !self.tags.is_empty() {
            let mut tags = self.tags.iter();
            let tag = tags.find(|tag| happening.tags.contains(tag))?;
            reasons.push(format!("it is about `{tag}`"));
        }
        Some(reasons.join(", "))
    }
}
