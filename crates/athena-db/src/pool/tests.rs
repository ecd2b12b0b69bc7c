use std::sync::atomic::AtomicBool;

use futures_util::FutureExt as _;

use super::*;
use crate::dialect::Dialect;
use crate::error::ErrorKind;
use crate::plan::PlanCache;

/// A server in memory that can go away.
#[derive(Debug, Default)]
struct Imaginary {
    made: AtomicUsize,
    abandoned: AtomicUsize,
    pings: AtomicUsize,
    /// Connections up to this number are broken.
    broken: AtomicUsize,
    /// Whether a broken connection looks broken before it is asked.
    obvious: AtomicBool,
    away: AtomicBool,
}

impl Manage for Arc<Imaginary> {
    type Conn = usize;

    async fn connect(&self) -> Result<usize> {
        tokio::task::yield_now().await;
        if self.away.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Connection, "away"));
        }
        Ok(self.made.fetch_add(1, Ordering::SeqCst) + 1)
    }

    fn is_usable(&self, conn: &usize) -> bool {
        !self.obvious.load(Ordering::SeqCst) || *conn > self.broken.load(Ordering::SeqCst)
    }

    async fn ping(&self, conn: &mut usize) -> bool {
        self.pings.fetch_add(1, Ordering::SeqCst);
        *conn > self.broken.load(Ordering::SeqCst)
    }

    fn abandon(&self, _: usize) {
        self.abandoned.fetch_add(1, Ordering::SeqCst);
    }
}

fn limits(most: usize) -> Limits {
    Limits {
        least: 0,
        most,
        patience: Duration::from_secs(60),
        lifetime: None,
        idle: None,
        statement: None,
    }
}

async fn open(limits: Limits) -> (Arc<Imaginary>, Arc<Pool<Arc<Imaginary>>>) {
    let server = Arc::new(Imaginary::default());
    let pool = Pool::open(Arc::clone(&server), limits).await.unwrap();
    (server, Arc::new(pool))
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn counts<M: Manage>(pool: &Pool<M>) -> (usize, usize, usize) {
    let stats = pool.stats();
    (stats.size, stats.idle, stats.waiting)
}

#[tokio::test]
async fn connections_are_used_again_and_no_more_than_allowed() {
    let (server, pool) = open(limits(2)).await;
    assert_eq!(counts(&pool), (1, 1, 0));
    let (a, b) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    assert_eq!(counts(&pool), (2, 0, 0));
    drop((a, b));
    for _ in 0..10 {
        pool.acquire().await.unwrap();
    }
    assert_eq!(counts(&pool), (2, 2, 0));
    assert_eq!(server.made.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn first_come_first_served() {
    let (_, pool) = open(limits(1)).await;
    let held = pool.acquire().await.unwrap();
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for number in 0..200 {
        let (queue, served) = (Arc::clone(&pool), Arc::clone(&served));
        tasks.push(tokio::spawn(async move {
            let _lease = queue.acquire().await.unwrap();
            served.lock().unwrap().push(number);
        }));
        until(|| pool.stats().waiting == number + 1).await;
    }
    drop(held);
    for task in tasks {
        task.await.unwrap();
    }
    assert!(served.lock().unwrap().iter().copied().eq(0..200));
    assert_eq!(counts(&pool), (1, 1, 0));
}

#[tokio::test]
async fn whoever_gives_up_waiting_leaves_no_trace() {
    let (_, pool) = open(limits(1)).await;
    let held = pool.acquire().await.unwrap();
    let waiting = Arc::clone(&pool);
    let task = tokio::spawn(async move { waiting.acquire().await.map(drop) });
    until(|| pool.stats().waiting == 1).await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(counts(&pool), (1, 0, 0));

    // Served, and gone before it noticed: the next one gets the connection.
    let mut first = Box::pin(pool.acquire());
    let mut second = Box::pin(pool.acquire());
    assert!((&mut first).now_or_never().is_none());
    assert!((&mut second).now_or_never().is_none());
    drop(held);
    drop(first);
    drop(second.await.unwrap());
    assert_eq!(counts(&pool), (1, 1, 0));
}

#[tokio::test]
async fn an_exhausted_pool_names_who_holds_it() {
    let plans = PlanCache::new(Dialect::Postgres, Duration::from_secs(1));
    let (_, pool) = open(Limits {
        patience: Duration::from_millis(5),
        ..limits(1)
    })
    .await;
    let held = pool.acquire().await.unwrap();
    let work = plans
        .execute(
            "SELECT 'secret' FROM t".into(),
            crate::params::Params::new(),
        )
        .unwrap();
    held.take_off(work.plan()).land();
    let error = pool.acquire().await.unwrap_err();
    let ErrorKind::PoolExhausted { waited, holder } = error.kind() else {
        panic!("{error:?}");
    };
    assert!(*waited >= Duration::from_millis(5));
    assert_eq!(holder.as_ref().unwrap().sql, "SELECT ? FROM t");
    assert!(!error.to_string().contains("secret"));
    drop(held);
    assert!(pool.stats().oldest.is_none());
    assert_eq!(counts(&pool), (1, 1, 0));
}

#[tokio::test]
async fn an_abandoned_statement_costs_its_connection() {
    let (server, pool) = open(limits(1)).await;
    let lease = pool.acquire().await.unwrap();
    drop(lease.take_off(None));
    drop(lease);
    assert_eq!(counts(&pool), (0, 0, 0));
    assert_eq!(server.abandoned.load(Ordering::SeqCst), 1);
    assert_eq!(*pool.acquire().await.unwrap().conn(), 2);
}

#[tokio::test]
async fn broken_connections_are_replaced_unseen() {
    let (server, pool) = open(Limits {
        least: 3,
        ..limits(3)
    })
    .await;
    // All three break, and only one shows it.
    server.broken.store(3, Ordering::SeqCst);
    server.obvious.store(true, Ordering::SeqCst);
    drop(pool.acquire().await.unwrap());
    server.obvious.store(false, Ordering::SeqCst);
    let mut leases = Vec::new();
    for _ in 0..3 {
        leases.push(pool.acquire().await.unwrap());
    }
    let mut numbers: Vec<usize> = leases.iter().map(|lease| *lease.conn()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [4, 5, 6]);
}

#[tokio::test]
async fn whoever_waits_is_told_when_the_server_is_away() {
    let (server, pool) = open(limits(1)).await;
    let held = pool.acquire().await.unwrap();
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { pool.acquire().await.map(drop) })
        })
        .collect();
    until(|| pool.stats().waiting == 3).await;
    server.away.store(true, Ordering::SeqCst);
    drop(held.take_off(None));
    drop(held);
    for task in waiting {
        assert!(task.await.unwrap().unwrap_err().is_connection());
    }
    assert_eq!(counts(&pool), (0, 0, 0));
    server.away.store(false, Ordering::SeqCst);
    pool.acquire().await.unwrap();
}

#[tokio::test]
async fn the_idle_and_the_old_are_closed_and_the_least_number_kept() {
    let (server, pool) = open(Limits {
        least: 2,
        idle: Some(Duration::from_millis(20)),
        ..limits(5)
    })
    .await;
    let mut leases = Vec::new();
    for _ in 0..5 {
        leases.push(pool.acquire().await.unwrap());
    }
    drop(leases);
    assert_eq!(pool.stats().size, 5);
    until(|| counts(&pool) == (2, 2, 0)).await;
    assert_eq!(server.made.load(Ordering::SeqCst), 5);

    let (server, pool) = open(Limits {
        least: 2,
        lifetime: Some(Duration::from_millis(20)),
        ..limits(5)
    })
    .await;
    until(|| server.made.load(Ordering::SeqCst) >= 6).await;
    assert!(pool.stats().size <= 2);
}

#[tokio::test]
async fn closing_waits_for_those_who_hold_and_refuses_the_rest() {
    let (_, pool) = open(limits(1)).await;
    let held = pool.acquire().await.unwrap();
    let mut waiting = Box::pin(pool.acquire());
    assert!((&mut waiting).now_or_never().is_none());
    let error = pool.close(Duration::from_millis(5)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::PoolExhausted { .. }));
    assert!(waiting.await.unwrap_err().is_connection());
    assert!(pool.acquire().await.unwrap_err().is_connection());
    let mut closing = Box::pin(pool.close(Duration::from_secs(60)));
    assert!((&mut closing).now_or_never().is_none());
    drop(held);
    closing.await.unwrap();
    assert_eq!(counts(&pool), (0, 0, 0));
}

#[tokio::test]
async fn the_keeper_goes_with_the_pool() {
    let (server, pool) = open(Limits {
        idle: Some(Duration::from_millis(20)),
        ..limits(2)
    })
    .await;
    drop(pool);
    until(|| Arc::strong_count(&server) == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_is_forgotten_where_many_threads_come_and_go() {
    let (server, pool) = open(limits(3)).await;
    let in_use = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..32_u64)
        .map(|task| {
            let (pool, in_use) = (Arc::clone(&pool), Arc::clone(&in_use));
            tokio::spawn(async move {
                for round in 0..500 {
                    come_and_go(&pool, &in_use, task + round).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let (size, idle, waiting) = counts(&pool);
    assert_eq!((size, waiting), (idle, 0));
    assert!(size <= 3);
    assert!(server.abandoned.load(Ordering::SeqCst) > 100);
    pool.close(Duration::ZERO).await.unwrap();
    assert_eq!(counts(&pool), (0, 0, 0));
}

/// Takes a connection and gives it back, unless it is time to give up waiting for one.
async fn come_and_go(pool: &Pool<Arc<Imaginary>>, in_use: &AtomicUsize, kind: u64) {
    let acquire = pool.acquire();
    let lease = if kind.is_multiple_of(7) {
        match acquire.now_or_never() {
            Some(lease) => lease,
            None => return tokio::task::yield_now().await,
        }
    } else {
        acquire.await
    };
    let lease = lease.unwrap();
    assert!(in_use.fetch_add(1, Ordering::SeqCst) < 3);
    if kind.is_multiple_of(3) {
        tokio::task::yield_now().await;
    }
    in_use.fetch_sub(1, Ordering::SeqCst);
    if kind.is_multiple_of(11) {
        drop(lease.take_off(None));
    }
}
