//! The `native` search mode: PostgreSQL does the search, with pgvector, in one statement.
//!
//! For those who want the database to do it. The rows of memories stay what they are; three tables
//! beside them hold what is searched:
//!
//! | table | holds |
//! |---|---|
//! | `native_passages` | a passage's vector as `halfvec`, inline (`STORAGE PLAIN`), with an HNSW index a model |
//! | `native_words` | a memory's analysed words as `tsvector`, with a GIN index |
//! | `native_state` | one row: how far the memories from before have come |
//!
//! They are no part of the schema, because pgvector may be missing: [`setup`] makes them when the
//! mode is first used, [`keep`] brings what is written there in the transaction that writes it,
//! whichever mode the writing process is in, and [`FillNative`] brings what was there before.
//! Removed rows take theirs with them by foreign keys, and filters look at the memory's own row, so
//! forgetting, changes of state and purging need no further step. [`statement`] has the one statement.
//!
//! The log of the `memory` mode is written as ever. It answers until everything from before is
//! there, and takes over when the setting is taken back. The two modes find the same memories, and
//! do not rank them alike.

mod ask;
mod found;
mod keep;
mod setup;
mod statement;

pub use keep::{FillNative, KeepNative};
pub use setup::{NativeState, native_state};

use super::Memory;
use athena_core::{Code, Ctx, Error, Result};
use athena_db::{Database, Dialect};
use athena_search::{Hit, Summary};
use athena_store::Request;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The setting that chooses the mode, as messages name it.
const SETTING: &str = "search.mode";
/// The way out of everything that keeps PostgreSQL from searching.
const WAY_OUT: &str = "or set `search.mode` to `memory`, which needs nothing";

/// Who searches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SearchMode {
    /// Athena, by its own index, the same on every database.
    #[default]
    Memory,
    /// PostgreSQL, with pgvector.
    Native,
}

impl SearchMode {
    /// Returns the name that settings use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Native => "native",
        }
    }

    /// Refuses a database that cannot search.
    ///
    /// # Errors
    ///
    /// [`Code::Unsupported`] for `native` on another database than PostgreSQL.
    pub fn check(self, dialect: Dialect) -> Result<()> {
        let database = match (self, dialect) {
            (Self::Memory, _) | (_, Dialect::Postgres) => return Ok(()),
            (Self::Native, Dialect::Sqlite) => "SQLite",
            (Self::Native, Dialect::MySql) => "MySQL or MariaDB",
        };
        Err(refused(format!(
            "`{SETTING}` is `native`, which only PostgreSQL can do, and this store is on {database}; \
             set it to `memory`"
        )))
    }
}

impl FromStr for SearchMode {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        [Self::Memory, Self::Native]
            .into_iter()
            .find(|mode| mode.as_str() == name)
            .ok_or_else(|| {
                let problem = format_args!("is `{name}`; allowed: `memory`, `native`");
                Error::invalid(SETTING, problem)
            })
    }
}

/// The mode of a process, and what it knows of the tables. A part of the environment.
#[derive(Debug, Default)]
pub struct Searching {
    mode: SearchMode,
    /// Whether the tables were found to be complete.
    ready: AtomicBool,
    /// Whether the database was found unable to search, which is logged once.
    refused: AtomicBool,
}

impl Searching {
    /// Searches in a mode.
    #[must_use]
    pub fn by(mode: SearchMode) -> Self {
        Self {
            mode,
            ..Self::default()
        }
    }

    /// Makes the tables unless they are known to be complete, and says how complete they are.
    async fn prepare(&self, db: &Database) -> Result<NativeState> {
        if self.ready.load(Ordering::Acquire) {
            return Ok(NativeState::Complete);
        }
        let state = setup::ready(db).await?;
        self.refused.store(false, Ordering::Release);
        self.ready
            .store(state == NativeState::Complete, Ordering::Release);
        Ok(state)
    }
}

/// What the database found, with the rows.
#[derive(Debug)]
pub(super) struct NativeFound {
    pub(super) hits: Vec<(Hit, Memory)>,
    pub(super) summary: Summary,
    pub(super) notes: Vec<String>,
    /// How long the statement took.
    pub(super) took: Duration,
}

/// What comes of asking the database.
#[derive(Debug)]
pub(super) enum Native {
    /// It has answered.
    Found(Box<NativeFound>),
    /// It is not asked, or not yet for the reason that is noted: Athena's own index answers.
    Elsewhere(Option<String>),
}

/// Has the database answer a question, where that is the mode: with as many memories as wanted, of
/// those that `keeps` lets through.
///
/// # Errors
///
/// [`Code::Unsupported`] where the database cannot, and what it fails with.
pub(super) async fn recall(
    ctx: &Ctx,
    wanted: usize,
    request: impl Fn(usize) -> Request + Sync,
    keeps: impl Fn(&Hit, &Memory) -> bool + Sync,
) -> Result<Native> {
    let searching: &Searching = ctx.part();
    if searching.mode == SearchMode::Memory {
        return Ok(Native::Elsewhere(None));
    }
    if let NativeState::Filling { percent } = searching.prepare(ctx.db()).await? {
        return Ok(Native::Elsewhere(Some(format!(
            "`{SETTING}` is `native`, and PostgreSQL's index is {percent} % complete; \
             Athena's own answered"
        ))));
    }
    let mut limit = wanted;
    loop {
        let found = ask::ask(ctx, request(limit)).await;
        if found.is_err() {
            // Somebody may have removed the tables: the next question looks again.
            searching.ready.store(false, Ordering::Release);
        }
        let mut found = found?;
        let candidates = found.hits.len();
        found.hits.retain(|(hit, memory)| keeps(hit, memory));
        if found.hits.len() >= wanted || candidates < limit {
            found.hits.truncate(wanted);
            return Ok(Native::Found(Box::new(found)));
        }
        limit *= 4;
    }
}

fn refused(message: String) -> Error {
    Error::new(Code::Unsupported, message).with_field(SETTING)
}
