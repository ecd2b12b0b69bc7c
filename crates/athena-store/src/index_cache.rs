//! The indexes of this process, one a project, and how they catch up with the log.

use crate::segments::sql::{self, Head};
use crate::segments::{is_unreadable, rebuild};
use crate::store::Store;
use athena_core::{Ctx, Error, ProjectId, Result};
use athena_db::TxOptions;
use athena_search::segment::Segment;
use athena_search::{Index, Record};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// An index that searches read and catching up writes.
pub(crate) type SharedIndex = Arc<RwLock<Index>>;

/// How often a log is made anew at most before a question is given up: others may replace what is
/// in it meanwhile, and leave what is damaged.
const REBUILDS: usize = 3;

/// The indexes of the projects that this process has searched, the last ones as far as memory goes.
#[derive(Debug)]
pub(crate) struct IndexCache {
    by_project: Mutex<HashMap<ProjectId, Entry>>,
    /// How many questions were asked: the time by which indexes are old.
    asked: AtomicU64,
    /// Bytes beyond which the projects that were asked longest ago are forgotten.
    limit: usize,
}

#[derive(Debug, Default)]
struct Entry {
    cached: Arc<Cached>,
    last_asked: u64,
}

/// An index, and which segments it was made of.
#[derive(Debug, Default)]
struct Cached {
    index: SharedIndex,
    /// Held while catching up: two questions that come at once read the log once.
    replaced: tokio::sync::Mutex<i64>,
    /// About how much memory the index takes.
    bytes: AtomicUsize,
}

/// What an index has not seen yet.
struct News {
    head: Head,
    /// Whether everything is to be read again: segments gave place to others.
    afresh: bool,
    segments: Vec<Segment>,
    rows: Vec<(i64, Record)>,
}

impl IndexCache {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            by_project: Mutex::default(),
            asked: AtomicU64::new(0),
            limit,
        }
    }

    /// Returns the indexes of the projects, each up to the last commit, and the heads that they were
    /// brought to.
    pub(crate) async fn caught_up(
        &self,
        ctx: &Ctx,
        projects: &[ProjectId],
    ) -> Result<(Vec<SharedIndex>, HashMap<ProjectId, Head>)> {
        let heads: HashMap<ProjectId, Head> = sql::heads(ctx.db(), projects)
            .await?
            .into_iter()
            .map(|head| (head.project_id, head))
            .collect();
        let now = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let mut indexes = Vec::with_capacity(projects.len());
        for project in projects {
            let cached = self.cached(*project, now);
            if let Some(head) = heads.get(project) {
                cached.catch_up(ctx, head).await?;
            }
            indexes.push(Arc::clone(&cached.index));
        }
        self.forget_oldest(now);
        Ok((indexes, heads))
    }

    fn cached(&self, project: ProjectId, now: u64) -> Arc<Cached> {
        let mut by_project = self.lock();
        let entry = by_project.entry(project).or_default();
        entry.last_asked = now;
        Arc::clone(&entry.cached)
    }

    /// Forgets projects, those asked longest ago first, until the rest keeps within the limit; never
    /// one that is being asked.
    fn forget_oldest(&self, now: u64) {
        let mut by_project = self.lock();
        let mut total: usize = by_project.values().map(Entry::bytes).sum();
        if total <= self.limit {
            return;
        }
        let mut by_age: Vec<(u64, ProjectId, usize)> = by_project
            .iter()
            .map(|(project, entry)| (entry.last_asked, *project, entry.bytes()))
            .collect();
        by_age.sort_unstable();
        for (last_asked, project, bytes) in by_age {
            if total <= self.limit || last_asked >= now {
                return;
            }
            by_project.remove(&project);
            total -= bytes;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ProjectId, Entry>> {
        self.by_project
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn vanished() -> Error {
    Error::internal("the head of a search log vanished")
}

impl Entry {
    fn bytes(&self) -> usize {
        self.cached.bytes.load(Ordering::Relaxed)
    }
}

impl Cached {
    /// Brings the index to a head, or beyond.
    async fn catch_up(&self, ctx: &Ctx, head: &Head) -> Result<()> {
        if self.applied() >= head.seq {
            return Ok(());
        }
        let mut replaced = self.replaced.lock().await;
        if self.applied() >= head.seq {
            return Ok(());
        }
        let news = self.readable_news(ctx, *head, *replaced).await?;
        *replaced = news.head.replaced;
        // A process that ended early left it so, and perhaps nobody writes here any more.
        let store = ctx.part::<Store>();
        if news.rows.len() as u64 >= store.seal_at.unsigned_abs() {
            store.want_sealed(head.project_id);
        }
        let mut fresh = Index::new();
        let mut guard = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let index = if news.afresh { &mut fresh } else { &mut *guard };
        for segment in news.segments {
            index.attach(segment);
        }
        for (seq, record) in news.rows {
            index.apply(seq, record);
        }
        index.advance(news.head.seq);
        index.settle();
        self.bytes.store(index.bytes(), Ordering::Relaxed);
        if news.afresh {
            *guard = fresh;
        }
        Ok(())
    }

    /// Reads what is new; a log that cannot be read is made anew.
    async fn readable_news(&self, ctx: &Ctx, mut head: Head, replaced: i64) -> Result<News> {
        let project = head.project_id;
        for _ in 0..REBUILDS {
            if head.format == athena_search::FORMAT {
                match self.news(ctx, project, replaced).await {
                    Err(error) if is_unreadable(&error) => {
                        tracing::warn!(project = project.0, cause = ?error, "the search log is damaged");
                    }
                    news => return news,
                }
            }
            rebuild(ctx.env(), project, head.replaced).await?;
            head = sql::head(ctx.db(), project).await?.ok_or_else(vanished)?;
        }
        self.news(ctx, project, replaced).await
    }

    /// Reads what is new, in one snapshot.
    async fn news(&self, ctx: &Ctx, project: ProjectId, replaced: i64) -> Result<News> {
        let snapshot = ctx.db().begin(TxOptions::read_only()).await?;
        let head = sql::head(&snapshot, project).await?;
        let head = head.ok_or_else(vanished)?;
        let afresh = replaced != head.replaced;
        let (applied, sealed) = match afresh {
            true => (0, 0),
            false => (self.applied(), self.sealed()),
        };
        let mut segments = Vec::new();
        if head.sealed_seq > sealed {
            for row in sql::segments(&snapshot, project, sealed).await? {
                segments.push(sql::segment(&snapshot, project, &row).await?);
            }
        }
        // A segment takes the place of the whole tail; what follows it is read again.
        let from = segments.last().map_or(applied, Segment::last_seq);
        let rows = sql::tail_records(&snapshot, project, from, i64::MAX).await?;
        snapshot.rollback().await?;
        Ok(News {
            head,
            afresh,
            segments,
            rows,
        })
    }

    fn applied(&self) -> i64 {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.applied()
    }

    fn sealed(&self) -> i64 {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.sealed()
    }
}
