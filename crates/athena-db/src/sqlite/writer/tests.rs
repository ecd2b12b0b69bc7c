//! Where writes run, and that they are whole wherever they do.

use std::path::Path;
use std::thread;

use tempfile::TempDir;

use super::super::Sqlite;
use super::*;
use crate::database::Settings;
use crate::dialect::Dialect;
use crate::params;
use crate::params::Params;
use crate::plan::PlanCache;
use crate::row::Scalar;
use crate::transaction::TxOptions;

/// A database, and on which threads its writer has ended transactions.
struct Store {
    sqlite: Sqlite,
    plans: PlanCache,
    ended: Arc<Ended>,
}

#[derive(Debug, Default)]
struct Ended {
    on_tasks: AtomicUsize,
    on_thread: AtomicUsize,
}

impl Ended {
    fn note(&self) {
        let count = if thread::current().name() == Some("athena-db-writer") {
            &self.on_thread
        } else {
            &self.on_tasks
        };
        count.fetch_add(1, Ordering::SeqCst);
    }

    fn on_tasks(&self) -> usize {
        self.on_tasks.load(Ordering::SeqCst)
    }

    fn on_thread(&self) -> usize {
        self.on_thread.load(Ordering::SeqCst)
    }
}

impl Store {
    async fn open(folder: &Path, durability: Durability) -> Self {
        let settings = Settings {
            durability,
            ..Settings::default()
        };
        let url = format!("sqlite:{}", folder.join("store.db").display());
        let sqlite = Sqlite::open(&url, settings).await.unwrap();
        let ended = Arc::<Ended>::default();
        let (commits, rollbacks) = (Arc::clone(&ended), Arc::clone(&ended));
        let writer = sqlite.writer().unwrap();
        if let Some(pen) = &mut *writer.tray.lock() {
            let commit = move || {
                commits.note();
                false
            };
            pen.conn.commit_hook(Some(commit)).unwrap();
            pen.conn
                .rollback_hook(Some(move || rollbacks.note()))
                .unwrap();
        }
        Self {
            sqlite,
            plans: PlanCache::new(Dialect::Sqlite, Duration::MAX),
            ended,
        }
    }

    async fn normal(folder: &Path) -> Self {
        Self::open(folder, Durability::Normal).await
    }

    async fn with_table() -> (TempDir, Self) {
        let folder = tempfile::tempdir().unwrap();
        let store = Self::normal(folder.path()).await;
        store.batch(TABLE).await;
        (folder, store)
    }

    /// With a row whose insert the database knows.
    async fn with_a_row() -> (TempDir, Self) {
        let (folder, store) = Self::with_table().await;
        store.known(store.insert(1)).await;
        (folder, store)
    }

    async fn batch(&self, text: &str) {
        self.sqlite.run(Work::Batch(text.to_owned())).await.unwrap();
    }

    fn writer(&self) -> &Writer {
        self.sqlite.writer().unwrap()
    }

    fn insert(&self, id: i64) -> Work {
        let sql = "INSERT INTO t (id, body) VALUES (:id, 'some words to store')";
        self.plans.execute(sql.into(), params! { id: id }).unwrap()
    }

    async fn run(&self, work: Work) -> Result<u64> {
        self.settled();
        self.sqlite.run(work).await.map(Outcome::count)
    }

    /// Waits until the thread has nothing to do.
    fn settled(&self) {
        while self.writer().tray.try_lock().is_none() {
            thread::yield_now();
        }
    }

    /// Waits until somebody has given work to the thread.
    async fn awaited(&self) {
        while self.writer().in_flight.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    }

    async fn count(&self, sql: &'static str) -> i64 {
        let work = self
            .plans
            .fetch_only::<Scalar<i64>>(sql.into(), Params::new());
        let outcome = self.sqlite.run(work.unwrap()).await.unwrap();
        let Scalar(count) = outcome.only().unwrap().unwrap();
        count
    }

    async fn rows(&self) -> i64 {
        self.count("SELECT count(*) FROM t").await
    }

    /// Runs work that leaves the statement known.
    async fn known(&self, work: Work) {
        let before = self.ended.on_thread();
        self.run(work).await.unwrap();
        assert_eq!(self.ended.on_thread(), before + 1);
        self.settled();
    }

    async fn close(&self) {
        self.sqlite.close(Duration::from_secs(30)).await.unwrap();
    }
}

const TABLE: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_write_runs_on_its_task_and_lasts() {
    let (folder, store) = Store::with_a_row().await;
    for id in 2..=10 {
        assert_eq!(store.run(store.insert(id)).await.unwrap(), 1);
    }
    assert!(store.ended.on_tasks() > 0);
    store.settled();
    assert!(store.writer().holder().is_none());
    store.close().await;

    let error = store.sqlite.run(store.insert(11)).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Connection, "{error}");
    let store = Store::normal(folder.path()).await;
    assert_eq!(store.rows().await, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_the_disk_or_may_be_long_is_for_the_thread() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Durability::Full).await;
    store.batch(TABLE).await;
    for id in 1..=5 {
        store.run(store.insert(id)).await.unwrap();
    }
    assert_eq!(store.ended.on_tasks(), 0);
    store.close().await;

    let store = Store::normal(folder.path()).await;
    store.known(store.insert(6)).await;
    let long = "word ".repeat(SHORT_BYTES / 5 + 1);
    let sql = "UPDATE t SET body = :body WHERE id = :id";
    let update = |body: &str| {
        let params = params! { body: body, id: 1 };
        store.plans.execute(sql.into(), params).unwrap()
    };
    store.known(update("short")).await;
    store.run(update(&long)).await.unwrap();
    let many = |from: i64, rows: i64| {
        let rows = (from..from + rows).map(|id| params! { id: id, body: "" });
        let sql = "INSERT INTO t (id, body) VALUES (:id, :body)";
        store
            .plans
            .execute_many(sql.into(), rows.collect())
            .unwrap()
    };
    store.known(many(100, 2)).await;
    store.run(many(200, 129)).await.unwrap();
    assert_eq!(store.ended.on_tasks(), 0);
    store.run(many(400, 128)).await.unwrap();
    assert_eq!(store.ended.on_tasks(), 1);
    store.run(update("short")).await.unwrap();
    assert_eq!(store.ended.on_tasks(), 2);
    assert_eq!(store.rows().await, 6 + 2 + 129 + 128);
}

/// What fails in the same way on a task and on the thread.
async fn failures(store: &Store) -> Vec<Error> {
    store.batch(TABLE).await;
    store
        .batch(
            "CREATE TABLE parent (id INTEGER PRIMARY KEY);
             CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)",
        )
        .await;
    let many = |ids: [i64; 4]| {
        let rows = ids.map(|id| params! { id: id });
        let sql = "INSERT OR FAIL INTO t (id, body) VALUES (:id, 'many')";
        store.plans.execute_many(sql.into(), rows.into()).unwrap()
    };
    let child = |parent: Option<i64>| {
        let sql = "INSERT INTO child (parent) VALUES (:parent)";
        let params = params! { parent: parent };
        store.plans.execute(sql.into(), params).unwrap()
    };
    let body = |body: Value| {
        let sql = "UPDATE t SET body = :body WHERE id = 1";
        let params = params! { body: body };
        store.plans.execute(sql.into(), params).unwrap()
    };
    let mut errors = Vec::new();
    store.known(store.insert(1)).await;
    errors.push(store.run(store.insert(1)).await.unwrap_err());
    store.known(many([2, 3, 4, 5])).await;
    errors.push(store.run(many([6, 7, 5, 8])).await.unwrap_err());
    store.known(child(None)).await;
    errors.push(store.run(child(Some(7))).await.unwrap_err());
    store.known(body("text".into())).await;
    errors.push(store.run(body(Value::Null)).await.unwrap_err());
    errors.push(store.run(body(Value::Bytes(vec![1]))).await.unwrap_err());
    assert_eq!(store.rows().await, 5);
    assert_eq!(store.count("SELECT count(*) FROM child").await, 1);
    errors
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_fails_on_a_task_leaves_nothing_and_fails_as_elsewhere() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let on_tasks = Store::normal(folders[0].path()).await;
    let on_thread = Store::open(folders[1].path(), Durability::Full).await;
    let here = failures(&on_tasks).await;
    let there = failures(&on_thread).await;
    assert_eq!(on_tasks.ended.on_tasks(), here.len());
    assert_eq!(on_thread.ended.on_tasks(), 0);
    for (here, there) in here.iter().zip(&there) {
        assert_eq!(here.kind(), there.kind());
        assert_eq!(here.to_string(), there.to_string());
        assert_eq!(here.code(), there.code());
        assert_eq!(here.constraint(), there.constraint());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_tasks_and_another_handle_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::normal(folder.path()).await);
    let other = Arc::new(Store::normal(folder.path()).await);
    store.batch(TABLE).await;
    let mut tasks = Vec::new();
    for task in 0..16 {
        let store = Arc::clone(&store);
        tasks.push(tokio::spawn(async move {
            for id in task * 500..(task + 1) * 500 {
                store.sqlite.run(store.insert(id)).await.unwrap();
            }
        }));
    }
    tasks.push(tokio::spawn({
        let other = Arc::clone(&other);
        async move {
            for id in 10_000..10_200 {
                other.sqlite.run(other.insert(id)).await.unwrap();
            }
        }
    }));
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(store.rows().await, 16 * 500 + 200);
    assert_eq!(store.writer().in_flight.load(Ordering::SeqCst), 0);
    store.close().await;
    other.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_behind_a_transaction_waits_in_the_queue() {
    let (_folder, store) = Store::with_a_row().await;
    let store = Arc::new(store);
    let tx = store
        .sqlite
        .begin(TxOptions::default(), false)
        .await
        .unwrap();
    tx.run(store.insert(2)).await.unwrap();

    let abandoned = store.sqlite.run(store.insert(3));
    let patience = Duration::from_millis(20);
    assert!(tokio::time::timeout(patience, abandoned).await.is_err());
    let waiting = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.sqlite.run(store.insert(4)).await }
    });
    store.awaited().await;
    tx.commit().await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().count(), 1);
    assert_eq!(store.ended.on_tasks(), 0);
    // Whoever gave up is not counted any more.
    store.run(store.insert(5)).await.unwrap();
    assert_eq!(store.ended.on_tasks(), 1);
    assert_eq!(store.rows().await, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_meets_another_process_waits_for_it_on_the_thread() {
    let (folder, store) = Store::with_a_row().await;
    let store = Arc::new(store);
    let other = rusqlite::Connection::open(folder.path().join("store.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.run(store.insert(2)).await }
    });
    store.awaited().await;
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), 1);
    assert_eq!(store.ended.on_tasks(), 0);
    assert_eq!(store.rows().await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lone_writes_keep_the_log_short_and_leave_checkpoints_to_the_thread() {
    let (_folder, store) = Store::with_table().await;
    let task = tokio::spawn(async move {
        let mut longest = 0;
        for id in 0..20_000 {
            store.sqlite.run(store.insert(id)).await.unwrap();
            if id % 100 == 0 {
                longest = longest.max(store.sqlite.file.log_bytes().unwrap_or_default());
            }
        }
        (store, longest)
    });
    let (store, longest) = task.await.unwrap();
    // Each commit writes a page of 4 KiB at least: 80 MB in all.
    assert!(longest < 10_000_000, "{longest}");
    assert!(store.ended.on_tasks() > 0);
    assert_eq!(store.rows().await, 20_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_a_reader_holds_is_checkpointed_now_and_then_and_begins_anew_after_it() {
    let (_folder, store) = Store::with_table().await;
    let options = TxOptions::read_only();
    let reader = store.sqlite.begin(options, false).await.unwrap();
    let log = || {
        let pen = store.writer().tray.lock();
        let log = &pen.as_ref().unwrap().log;
        (log.found, log.pages())
    };
    let mut found = Vec::new();
    for id in 0..1_500 {
        store.sqlite.run(store.insert(id)).await.unwrap();
        found.push(log().0);
    }
    found.dedup();
    assert_eq!(found.remove(0), 0);
    assert!(found.len() > 1, "{found:?}");
    assert!(found.iter().all(|pages| *pages >= 1_000), "{found:?}");
    let steps = found.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(steps.min() >= Some(100), "{found:?}");
    reader.rollback().await.unwrap();
    for id in 1_500..3_000 {
        store.sqlite.run(store.insert(id)).await.unwrap();
    }
    store.settled();
    assert!(log().1 < 1_100, "{:?}", log());
}

/// Many steps and no loop: each column is computed for each row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_takes_too_long_starts_over_on_the_thread() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::normal(folder.path()).await;
    let columns: Vec<String> = (0..400).map(|n| format!("c{n}")).collect();
    let columns = columns.join(", ");
    store.batch(&format!("CREATE TABLE t ({columns})")).await;
    let slow = "length(hex(zeroblob(:id + 10000)))";
    let values = vec![slow; 400].join(", ");
    let sql = format!("INSERT INTO t ({columns}) VALUES ({values})");
    let many = |rows: i64| {
        let rows = (0..rows).map(|id| params! { id: id }).collect();
        store.plans.execute_many(sql.clone().into(), rows).unwrap()
    };
    store.known(many(1)).await;
    assert_eq!(store.run(many(128)).await.unwrap(), 128);
    // Undone on the task, done on the thread, where no budget is left behind.
    assert_eq!(store.ended.on_tasks(), 1);
    assert_eq!(store.rows().await, 129);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_with_the_pen_in_hand_is_undone() {
    let (_folder, store) = Store::with_a_row().await;
    let tray = Arc::clone(&store.writer().tray);
    let panicked = thread::spawn(move || {
        let mut place = tray.lock();
        let pen = place.as_mut().unwrap();
        pen.begin().unwrap();
        pen.guard.start(Some(std::time::Instant::now()));
        pen.conn
            .execute("INSERT INTO t VALUES (2, 'lost')", [])
            .unwrap();
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());
    store.run(store.insert(3)).await.unwrap();
    store
        .batch("INSERT INTO t VALUES (4, 'on the thread')")
        .await;
    assert_eq!(store.rows().await, 3);
    store.close().await;
}
