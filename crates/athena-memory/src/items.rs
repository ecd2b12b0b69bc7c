//! What is searched beside memories, and how it is: events, messages, tasks and goals.
//!
//! Such an item is put into the search log by one form, [`ItemText`], and looked for by another,
//! [`Find`]. Its vectors are the built-in ones and lie in the search log alone: they are made anew
//! from the text wherever they are needed.

use crate::memories::indexing::{IndexedText, label};
use athena_core::{Ctx, ProjectId, Result};
use athena_search::analyze::{DocumentTerms, QuerySyntax};
use athena_search::{
    Attributes, Filter, Fusion, Hit, Ingredient, ItemRef, Kind, Mode, Query, Recipe,
};
use athena_store::{Request, Write, search};
use jiff::Timestamp;
use std::collections::HashMap;

/// An event.
pub(crate) const EVENT: Kind = Kind(2);
/// A task.
pub(crate) const TASK: Kind = Kind(3);
/// A goal.
pub(crate) const GOAL: Kind = Kind(4);
/// A message of a thread.
pub(crate) const MESSAGE: Kind = Kind(5);
/// A thread of a conversation.
pub(crate) const THREAD: Kind = Kind(6);
/// An agent.
pub(crate) const AGENT: Kind = Kind(7);
/// A snapshot of a session.
pub(crate) const SNAPSHOT: Kind = Kind(8);
/// A trigger.
pub(crate) const TRIGGER: Kind = Kind(9);

/// The state of an item that is found.
pub(crate) const LIVE: &str = "live";
/// The state of an item that was removed and can be had back.
pub(crate) const REMOVED: &str = "removed";

/// Returns what people call items of a kind; none for a kind of a later version.
pub(crate) fn kind_name(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::MEMORY => "memory",
        EVENT => "event",
        TASK => "task",
        GOAL => "goal",
        MESSAGE => "message",
        THREAD => "thread",
        AGENT => "agent",
        SNAPSHOT => "snapshot",
        TRIGGER => "trigger",
        _ => return None,
    })
}

/// A text that is searched, with its words and vectors: what is made of it before the transaction.
#[derive(Debug, Clone)]
pub(crate) struct ItemText {
    text: IndexedText,
    /// The words of each passage.
    terms: Vec<DocumentTerms>,
    /// The built-in vector of each passage.
    vectors: Vec<Vec<f32>>,
}

impl ItemText {
    /// Splits a text and embeds its passages.
    pub(crate) fn prepare(ctx: &Ctx, text: impl Into<String>) -> Self {
        let text = IndexedText::new(text.into());
        Self {
            terms: text.terms(),
            vectors: text.embed_builtin(ctx),
            text,
        }
    }

    /// Puts an item of this text into the search log, in place of what was known of it.
    pub(crate) async fn log(
        &self,
        write: &Write<'_>,
        project: ProjectId,
        item: ItemRef,
        attributes: &Attributes,
    ) -> Result<()> {
        let vectors = self
            .text
            .vectors(write.builtin_id().await?, &self.vectors)?;
        for record in self
            .text
            .records(item, attributes, self.terms.clone(), &vectors)
        {
            write.log(project, record);
        }
        Ok(())
    }
}

/// What is looked for among the items of one kind in one project.
#[derive(Debug)]
pub(crate) struct Find<'a> {
    /// The kind.
    pub(crate) kind: Kind,
    /// The project, for which personal data in the question was replaced.
    pub(crate) project: ProjectId,
    /// The question; `"phrases"`, `-words` and `beginnings*` count as in `recall`, but that the words
    /// of a phrase need not be next to each other.
    pub(crate) text: &'a str,
    /// Labels that a hit must have, as names and values.
    pub(crate) labels: &'a [(&'a str, &'a str)],
    /// Only what happened at this time or later.
    pub(crate) after: Option<Timestamp>,
    /// Only what happened before this time.
    pub(crate) before: Option<Timestamp>,
    /// How many hits are wanted at most.
    pub(crate) limit: u32,
}

impl Find<'_> {
    /// Searches, and reads the rows of the hits: best first, as many as there are and are wanted.
    ///
    /// `read` returns those rows of the given ids that may still be shown, in any order; what is not
    /// among them gives its place to the next hit.
    pub(crate) async fn rows<T, F>(
        &self,
        ctx: &Ctx,
        read: impl Fn(Vec<i64>) -> F,
    ) -> Result<Vec<(Hit, T)>>
    where
        F: Future<Output = Result<Vec<(i64, T)>>>,
    {
        let wanted = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let mut ask = wanted;
        loop {
            let searched = search(ctx, self.request(ctx, ask)).await?;
            let hits = searched.answer.hits;
            let ids: Vec<i64> = hits.iter().map(|hit| hit.item.id).collect();
            let candidates = ids.len();
            let mut rows: HashMap<i64, T> = match ids.is_empty() {
                true => HashMap::new(),
                false => read(ids).await?.into_iter().collect(),
            };
            let found = hits.into_iter().filter_map(|hit| {
                let row = rows.remove(&hit.item.id)?;
                Some((hit, row))
            });
            let found: Vec<(Hit, T)> = found.take(wanted).collect();
            if found.len() == wanted || candidates < ask {
                return Ok(found);
            }
            ask *= 4;
        }
    }

    fn request(&self, ctx: &Ctx, limit: usize) -> Request {
        let syntax = QuerySyntax::parse(self.text);
        let labels = self.labels.iter();
        let labels = labels.map(|(name, value)| vec![label(name, value)]);
        let recipe = ctx.part::<Recipe>();
        Request {
            projects: vec![self.project],
            query: Query {
                spellings: Vec::new(),
                having: syntax.phrase_terms(),
                text: syntax.words,
                lacking: syntax.excluded,
                beginnings: syntax.beginnings,
                builtin: None,
                vector: None,
                mode: Mode::Hybrid,
                weights: None,
                fusion: Fusion::Weighted,
                filter: Filter {
                    kinds: vec![self.kind],
                    states: vec![LIVE.to_owned()],
                    labels: labels.collect(),
                    after: self.after.map(Timestamp::as_microsecond),
                    before: self.before.map(Timestamp::as_microsecond),
                },
                limit,
                min_score: None,
                recency: None,
                usefulness_weight: 0.0,
                explain: false,
                exact: false,
                recipe: recipe.without(Ingredient::Model),
                clock: None,
            },
            own_vector: None,
        }
    }
}
