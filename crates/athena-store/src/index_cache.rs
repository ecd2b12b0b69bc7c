//! The indexes of this process, one a project, and how they catch up with the log.
//!
//! Many processes ask once and end. Of each segment is therefore read what is small, and of the rest
//! what a question needs: the dictionaries that have its words, and the components of vectors that may
//! be among the nearest. Where questions have read half of that piece by piece, the rest follows at
//! once: who has asked so much will go on asking.

use crate::segments::sql::{self, Head, SegmentRow};
use crate::segments::{is_unreadable, rebuild};
use crate::store::Store;
use athena_core::{Ctx, Error, ProjectId, Result};
use athena_db::{Executor, TxOptions};
use athena_search::segment::{Chunk, ChunkKind, Segment};
use athena_search::{Absent, FormatError, Index, Record};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

/// An index that searches read and catching up writes.
type SharedIndex = Arc<RwLock<Index>>;

/// How often a log is made anew at most before a question is given up: others may replace what is
/// in it meanwhile, and leave what is damaged.
const REBUILDS: usize = 3;

/// Chunks that one statement asks for.
const AT_ONCE: usize = 256;

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
pub(crate) struct Cached {
    index: SharedIndex,
    /// Held while reading: two questions that come at once read the log once.
    origin: tokio::sync::Mutex<Origin>,
    /// About how much memory the index takes.
    bytes: AtomicUsize,
}

/// Where an index was read from.
#[derive(Debug, Default)]
struct Origin {
    /// How many chunks were not in memory when the last segment was attached.
    absent: usize,
    replaced: i64,
    purged: i64,
    /// The ids of the segments, by the first number that they cover.
    segments: HashMap<i64, i64>,
}

impl Origin {
    /// Whether chunks that are read now belong to what was read before.
    fn is_current(&self, head: &Head) -> bool {
        self.replaced == head.replaced
            && self.purged == head.purged
            && head.format == athena_search::FORMAT
    }
}

/// How much of segments is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// What is small, and what questions lack.
    First,
    /// Everything.
    All,
}

impl Depth {
    /// Reads the chunks of a segment.
    async fn read(self, db: &impl Executor, project: ProjectId, id: i64) -> Result<Vec<Chunk>> {
        match self {
            Self::First => sql::chunks_of_kinds(db, project, id, &ChunkKind::FIRST).await,
            Self::All => sql::chunks(db, project, id).await,
        }
    }

    /// Makes a segment of the chunks that were read.
    fn open(self, first: i64, last: i64, chunks: Vec<Chunk>) -> Result<Segment, FormatError> {
        match self {
            Self::First => Segment::open(first, last, chunks),
            Self::All => Segment::from_chunks(first, last, chunks),
        }
    }
}

/// What an index has not seen yet.
struct News {
    head: Head,
    rows: Vec<SegmentRow>,
    /// Whether everything is to be read again: segments gave place to others.
    afresh: bool,
    segments: Vec<Segment>,
    tail: Vec<(i64, Record)>,
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
    ) -> Result<(Vec<Arc<Cached>>, HashMap<ProjectId, Head>)> {
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
            indexes.push(cached);
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
    /// Returns the index, to be asked.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the index to a head, or beyond.
    async fn catch_up(&self, ctx: &Ctx, head: &Head) -> Result<()> {
        if self.applied() >= head.seq {
            return Ok(());
        }
        let mut origin = self.origin.lock().await;
        if self.applied() >= head.seq {
            return Ok(());
        }
        // Who has everything so far is to go on so.
        let depth = match self.applied() > 0 && self.read().is_complete() {
            true => Depth::All,
            false => Depth::First,
        };
        let news = self.readable_news(ctx, *head, Some(&origin), depth).await?;
        self.take(ctx, news, &mut origin);
        Ok(())
    }

    /// Reads what questions have looked for in vain, or all that is not in memory.
    ///
    /// What was replaced meanwhile, or is damaged, is read from its beginning.
    pub(crate) async fn bring(
        &self,
        ctx: &Ctx,
        project: ProjectId,
        mut depth: Depth,
    ) -> Result<()> {
        let mut origin = self.origin.lock().await;
        let mut absent = self.read().wanted();
        if absent.is_empty() {
            return Ok(());
        }
        let left = self.read().absent_count() - absent.len();
        if left * 2 <= origin.absent {
            depth = Depth::All;
        }
        tracing::debug!(
            project = project.0,
            wanted = absent.len(),
            left,
            "reading more of the index"
        );
        if depth == Depth::All {
            absent = self.read().absent();
        }
        let depth = match chunks(ctx, project, &origin, &absent, depth).await? {
            Some(chunks) if self.fill(&chunks, &absent).is_ok() => return Ok(()),
            // Only reading all of it shows what is damaged.
            Some(_) => Depth::All,
            None => depth,
        };
        let head = sql::head(ctx.db(), project).await?.ok_or_else(vanished)?;
        let news = self.readable_news(ctx, head, None, depth).await?;
        self.take(ctx, news, &mut origin);
        Ok(())
    }

    /// Puts chunks where they belong; fails if one is damaged, or not all are there that were absent.
    fn fill(&self, chunks: &[(i64, Chunk)], absent: &[Absent]) -> Result<(), FormatError> {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let left = index.absent_count() - absent.len();
        for (first_seq, chunk) in chunks {
            index.bring(*first_seq, chunk)?;
        }
        match index.absent_count() == left {
            true => Ok(()),
            false => Err(FormatError::Corrupt("a chunk is missing")),
        }
    }

    fn take(&self, ctx: &Ctx, news: News, origin: &mut Origin) {
        // A process that ended early left it so, and perhaps nobody writes here any more.
        let store = ctx.part::<Store>();
        if news.tail.len() as u64 >= store.seal_at.unsigned_abs() {
            store.want_sealed(news.head.project_id);
        }
        let mut fresh = Index::new();
        let mut guard = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let index = if news.afresh { &mut fresh } else { &mut *guard };
        for segment in news.segments {
            index.attach(segment);
        }
        for (seq, record) in news.tail {
            index.apply(seq, record);
        }
        index.advance(news.head.seq);
        index.settle();
        self.bytes.store(index.bytes(), Ordering::Relaxed);
        if news.afresh {
            *guard = fresh;
            origin.segments.clear();
        }
        let ids = news.rows.iter().map(|row| (row.first_seq, row.id));
        origin.segments.extend(ids);
        origin.absent = guard.absent_count();
        (origin.replaced, origin.purged) = (news.head.replaced, news.head.purged);
    }

    /// Reads what is new since an origin, everything without one; a log that cannot be read is made
    /// anew.
    async fn readable_news(
        &self,
        ctx: &Ctx,
        mut head: Head,
        origin: Option<&Origin>,
        depth: Depth,
    ) -> Result<News> {
        let project = head.project_id;
        for _ in 0..REBUILDS {
            if head.format == athena_search::FORMAT {
                match self.news(ctx, project, origin, depth).await {
                    Err(error) if is_unreadable(&error) => {
                        tracing::warn!(project = project.0, cause = ?error, "the search log is damaged");
                    }
                    news => return news,
                }
            }
            rebuild(ctx.env(), project, head.replaced).await?;
            head = sql::head(ctx.db(), project).await?.ok_or_else(vanished)?;
        }
        self.news(ctx, project, origin, depth).await
    }

    /// Reads what is new, in one snapshot.
    async fn news(
        &self,
        ctx: &Ctx,
        project: ProjectId,
        origin: Option<&Origin>,
        depth: Depth,
    ) -> Result<News> {
        let snapshot = ctx.db().begin(TxOptions::read_only()).await?;
        let head = sql::head(&snapshot, project).await?;
        let head = head.ok_or_else(vanished)?;
        let afresh = !origin.is_some_and(|origin| self.goes_on(origin, &head));
        let (applied, sealed) = match afresh {
            true => (0, 0),
            false => (self.applied(), self.sealed()),
        };
        let mut rows = Vec::new();
        let mut opening = Vec::new();
        if head.sealed_seq > sealed {
            rows = sql::segments(&snapshot, project, sealed).await?;
            for row in &rows {
                let chunks = depth.read(&snapshot, project, row.id).await?;
                // While the next one is read.
                opening.push(tokio::task::spawn_blocking({
                    let (first, last) = (row.first_seq, row.last_seq);
                    move || depth.open(first, last, chunks)
                }));
            }
        }
        // A segment takes the place of the whole tail; what follows it is read again.
        let from = rows.last().map_or(applied, |row| row.last_seq);
        let tail = sql::tail_records(&snapshot, project, from, i64::MAX).await?;
        let mut segments = Vec::with_capacity(opening.len());
        for opened in opening {
            let opened = opened.await.map_err(Error::internal)?;
            segments.push(opened.map_err(Error::internal)?);
        }
        snapshot.rollback().await?;
        Ok(News {
            head,
            afresh,
            rows,
            segments,
            tail,
        })
    }

    /// Whether what was read from an origin may stay. What a purge has changed in segments need not
    /// be read again but where chunks are still to come: they would not fit.
    fn goes_on(&self, origin: &Origin, head: &Head) -> bool {
        origin.replaced == head.replaced
            && (origin.purged == head.purged || self.read().is_complete())
    }

    fn applied(&self) -> i64 {
        self.read().applied()
    }

    fn sealed(&self) -> i64 {
        self.read().sealed()
    }
}

/// Reads chunks that are not in memory, in one snapshot; `None` if they are not of what the rest was
/// read from any more.
async fn chunks(
    ctx: &Ctx,
    project: ProjectId,
    origin: &Origin,
    absent: &[Absent],
    depth: Depth,
) -> Result<Option<Vec<(i64, Chunk)>>> {
    let snapshot = ctx.db().begin(TxOptions::read_only()).await?;
    let head = sql::head(&snapshot, project).await?;
    if !head.is_some_and(|head| origin.is_current(&head)) {
        return Ok(None);
    }
    let mut read = Vec::with_capacity(absent.len());
    for own in absent.chunk_by(|a, b| (a.first_seq, a.kind) == (b.first_seq, b.kind)) {
        let Absent {
            first_seq, kind, ..
        } = own[0];
        let Some(&segment) = origin.segments.get(&first_seq) else {
            return Ok(None);
        };
        if depth == Depth::All {
            let chunks = sql::chunks_of_kinds(&snapshot, project, segment, &[kind]).await?;
            read.extend(chunks.into_iter().map(|chunk| (first_seq, chunk)));
            continue;
        }
        for some in own.chunks(AT_ONCE) {
            let parts = some.iter().map(|it| i64::from(it.part)).collect();
            let chunks = sql::some_chunks(&snapshot, project, segment, kind, parts).await?;
            read.extend(chunks.into_iter().map(|chunk| (first_seq, chunk)));
        }
    }
    snapshot.rollback().await?;
    Ok(Some(read))
}
