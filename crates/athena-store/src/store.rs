//! The part of the environment that writing and searching share.

use crate::Write;
use crate::classes::{COLUMN_CLASSES, TableClasses};
use crate::index_cache::IndexCache;
use crate::models::Models;
use crate::privacy::Privacy;
use crate::schema_guard::SchemaGuard;
use crate::write::Written;
use athena_core::{Env, ProjectId, Result};
use athena_db::BoxFuture;
use athena_db::MigrationSet;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The memory that indexes take at most, unless said otherwise.
const DEFAULT_INDEX_BYTES: usize = 1 << 30;

/// Tail rows a project may have before they are sealed into segments, unless said otherwise.
pub(crate) const SEAL_AT: i64 = 8_192;

/// What writing and searching share in one process: the hooks and the indexes.
///
/// One per [`Env`], put there as a part.
pub struct Store {
    pub(crate) gates: Vec<Box<dyn Gate>>,
    pub(crate) links: Vec<Box<dyn Link>>,
    pub(crate) chores: Vec<Box<dyn Chore>>,
    pub(crate) derives: Vec<Box<dyn Derive>>,
    pub(crate) sources: Vec<Box<dyn Source>>,
    pub(crate) mirror: Option<Box<dyn Mirror>>,
    pub(crate) indexes: IndexCache,
    pub(crate) models: Models,
    pub(crate) schema: SchemaGuard,
    pub(crate) classes: Vec<TableClasses>,
    pub(crate) privacy: Arc<Privacy>,
    pub(crate) seal_at: i64,
    to_seal: Mutex<BTreeSet<ProjectId>>,
}

/// Looks at a change before it is stored, in its transaction.
pub trait Gate: Send + Sync {
    /// Allows the change, or refuses it with [`Code::Denied`](athena_core::Code::Denied).
    fn check<'w>(&'w self, write: &'w Write<'_>, intent: &'w Intent) -> BoxFuture<'w, Result<()>>;
}

/// Infers links from what was stored, in its transaction.
pub trait Link: Send + Sync {
    /// Stores what follows from the items that were written.
    fn infer<'w>(
        &'w self,
        write: &'w Write<'_>,
        written: &'w [Written],
    ) -> BoxFuture<'w, Result<()>>;
}

/// Makes anew what follows from the text of a table's rows: hashes, vectors, records of the search
/// log. For rows whose tokens were replaced by others of the same length.
pub trait Derive: Send + Sync {
    /// The table, whose key is one whole number.
    fn table(&self) -> &'static str;

    /// Makes anew what follows from the row `id`, whose `columns` were changed, in their
    /// transaction.
    fn derive<'w>(
        &'w self,
        write: &'w Write<'_>,
        id: i64,
        columns: &'w [&'static str],
    ) -> BoxFuture<'w, Result<()>>;
}

/// Knows the items of a kind that are searched.
pub trait Source: Send + Sync {
    /// Logs every item of a project, as part of a change that makes its search log anew.
    fn log<'w>(&'w self, write: &'w Write<'_>, project: ProjectId) -> BoxFuture<'w, Result<()>>;
}

/// A second index of the same items, which PostgreSQL itself searches.
///
/// Where it was made, every process keeps it in step, whichever way that process searches. What
/// makes it must wait for changes in flight: lock the tables of the items against writing first.
pub trait Mirror: Send + Sync {
    /// The table, and the column of it, that are there where the index was made.
    fn kept_in(&self) -> (&'static str, &'static str);

    /// Brings what the index has of the items that were written up to date, in their transaction.
    fn keep<'w>(
        &'w self,
        write: &'w Write<'_>,
        written: &'w [Written],
    ) -> BoxFuture<'w, Result<()>>;
}

/// Work that a process does by itself, now and then.
///
/// Each run is short, and may be cut between two transactions.
pub trait Chore: Send + Sync {
    /// Does what is due.
    fn run<'a>(&'a self, env: &'a Arc<Env>) -> BoxFuture<'a, Result<()>>;
}

/// What a caller is about to do.
#[derive(Debug, Clone, Copy)]
pub struct Intent {
    /// The operation's name, such as `memory.remember`.
    pub operation: &'static str,
    /// The project, where there is one already.
    pub project: Option<ProjectId>,
    /// How many items it is about: a larger change gets more time.
    pub items: usize,
}

impl Intent {
    /// A change to one item.
    #[must_use]
    pub const fn new(operation: &'static str) -> Self {
        Self {
            operation,
            project: None,
            items: 1,
        }
    }

    /// Names the project.
    #[must_use]
    pub const fn in_project(mut self, project: ProjectId) -> Self {
        self.project = Some(project);
        self
    }

    /// Says how many items it is about.
    #[must_use]
    pub const fn of_items(mut self, items: usize) -> Self {
        self.items = items;
        self
    }
}

impl Store {
    /// Makes a store without hooks, for a process that knows these migrations, whose columns have
    /// these classes beside those of this crate.
    #[must_use]
    pub fn new(
        known: &[&MigrationSet<'_>],
        classes: &[TableClasses],
        privacy: Arc<Privacy>,
    ) -> Self {
        Self {
            gates: Vec::new(),
            links: Vec::new(),
            chores: Vec::new(),
            derives: Vec::new(),
            sources: Vec::new(),
            mirror: None,
            indexes: IndexCache::new(DEFAULT_INDEX_BYTES),
            models: Models::default(),
            schema: SchemaGuard::knowing(known),
            classes: [COLUMN_CLASSES, classes].concat(),
            privacy,
            seal_at: SEAL_AT,
            to_seal: Mutex::default(),
        }
    }

    /// Returns the columns that hold text with tokens, with their tables.
    pub fn text_columns(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.classes
            .iter()
            .flat_map(|table| table.texts().map(|column| (table.table, column)))
    }

    /// Returns what the process knows of privacy.
    #[must_use]
    pub fn privacy(&self) -> &Arc<Privacy> {
        &self.privacy
    }

    /// Bounds the memory of the indexes of projects, in bytes; 1 GiB unless said.
    ///
    /// The projects that were asked longest ago are forgotten first and read again when asked. Those
    /// of one question stay, whatever they take.
    #[must_use]
    pub fn with_index_bytes(mut self, bytes: usize) -> Self {
        self.indexes = IndexCache::new(bytes);
        self
    }

    /// Seals the search log of a project whenever so many rows of it are not sealed; 8,192 unless
    /// said, at least 1.
    ///
    /// What is found does not depend on it. Fewer rows make more segments, which take longer to
    /// search and less time to make.
    #[must_use]
    pub fn with_segment_rows(mut self, rows: u32) -> Self {
        self.seal_at = i64::from(rows.max(1));
        self
    }

    /// Adds a gate; all of them must allow a change.
    #[must_use]
    pub fn with_gate(mut self, gate: impl Gate + 'static) -> Self {
        self.gates.push(Box::new(gate));
        self
    }

    /// Adds a link hook.
    #[must_use]
    pub fn with_link(mut self, link: impl Link + 'static) -> Self {
        self.links.push(Box::new(link));
        self
    }

    /// Adds a chore.
    #[must_use]
    pub fn with_chore(mut self, chore: impl Chore + 'static) -> Self {
        self.chores.push(Box::new(chore));
        self
    }

    /// Adds what follows from the rows of a table.
    #[must_use]
    pub fn with_derive(mut self, derive: impl Derive + 'static) -> Self {
        self.derives.push(Box::new(derive));
        self
    }

    /// Adds what knows the items of a kind.
    #[must_use]
    pub fn with_source(mut self, source: impl Source + 'static) -> Self {
        self.sources.push(Box::new(source));
        self
    }

    /// Adds the second index.
    #[must_use]
    pub fn with_mirror(mut self, mirror: impl Mirror + 'static) -> Self {
        self.mirror = Some(Box::new(mirror));
        self
    }

    /// Notes that a project's tail has grown long enough to be sealed.
    pub(crate) fn want_sealed(&self, project: ProjectId) {
        self.to_seal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(project);
    }

    /// Takes the projects whose tails are to be sealed.
    pub(crate) fn take_wanted(&self) -> BTreeSet<ProjectId> {
        std::mem::take(&mut *self.to_seal.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}
