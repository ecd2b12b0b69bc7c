//! A search log that cannot be read: of another form, or damaged.

use super::{Process, assert_same, count, leftovers, undisturbed, workload};
use athena_db::{Executor, Scalar, params};
use athena_testkit::{TestApp, json, logged_records, story};
use std::sync::Arc;

const MEMORIES: u64 = 300;
const SEGMENT_ROWS: u32 = 64;

/// What may have happened to a log while nobody looked.
const HARMS: [&str; 6] = [
    "UPDATE search_heads SET format = 1",
    "UPDATE search_heads SET format = format + 65536",
    "UPDATE search_chunks SET bytes = (SELECT record FROM search_tail ORDER BY seq LIMIT 1)
     WHERE kind = 1",
    "DELETE FROM search_chunks WHERE kind = 3",
    "DELETE FROM search_chunks",
    "UPDATE search_tail SET record = (SELECT bytes FROM search_chunks WHERE kind = 2 ORDER BY segment_id LIMIT 1)",
];

story! {
    /// Whoever searches next gets the right answer at once, and the log is in order again.
    async fn a_log_that_cannot_be_read_is_made_anew(app: TestApp) {
        let process = filled(app).await;
        let (reference_app, reference) = undisturbed(0..MEMORIES).await;
        let questions: Vec<_> = workload::questions().into_iter().take(16).collect();
        let mut expected = reference.answers(&questions).await;
        let db = app.env.db();
        let mut first = MEMORIES;
        for harm in HARMS {
            assert!(count(db, "search_segments").await > 0);
            assert!(count(db, "search_tail").await > 0);
            assert!(db.execute(harm, params! {}).await.unwrap() > 0, "{harm}");
            let fresh = Process::start(app, SEGMENT_ROWS).await;
            assert_same(&questions, &fresh.answers(&questions).await, &expected, harm);
            assert_eq!(format(app).await, athena_search::FORMAT, "{harm}");
            assert!(!logged_records(db).await.is_empty(), "{harm}");

            // A process that had read the log before goes on with it.
            assert_same(&questions, &process.answers(&questions).await, &expected, harm);
            for process in [&fresh, &reference] {
                write_and_purge(process, first).await;
            }
            first += 20;
            fresh.flush().await;
            expected = reference.answers(&questions).await;
            assert_same(&questions, &process.answers(&questions).await, &expected, harm);
            assert_eq!(leftovers(db).await, [0; 3], "{harm}");
            fresh.end().await;
        }
        process.end().await;
        reference.end().await;
        reference_app.finish().await;
    }

    /// Several processes that find the damage at once mend it once.
    async fn many_find_it_at_once(app: TestApp) {
        let process = filled(app).await;
        let question = json!({"query": "the deploy billing", "limit": 30});
        let expected = process.answer(&question).await;
        app.env.db().execute("DELETE FROM search_chunks", params! {}).await.unwrap();
        let before = replaced(app).await;
        let mut tasks = Vec::new();
        for _ in 0..4 {
            let fresh = Process::start(app, 16).await;
            let question = question.clone();
            tasks.push(tokio::spawn(async move {
                let found = fresh.answer(&question).await;
                fresh.end().await;
                found
            }));
        }
        for task in tasks {
            assert_eq!(task.await.unwrap(), expected);
        }
        assert_eq!(replaced(app).await, before + 1);
        process.end().await;
    }

    /// What is purged from a damaged log is gone, and the rest is found.
    async fn a_damaged_log_can_be_purged(app: TestApp) {
        let process = filled(app).await;
        let ids = process.ids().await;
        app.env.db().execute("DELETE FROM search_chunks WHERE kind = 2", params! {}).await.unwrap();
        process.call("memory.purge", json!({"id": ids[&7]})).await;
        let fresh = Process::start(app, 16).await;
        for process in [&process, &fresh] {
            assert!(!process.finds(7).await);
            assert!(process.finds(8).await);
            assert!(process.finds(MEMORIES - 1).await);
        }
        let logged = format!("{:?}", logged_records(app.env.db()).await);
        assert!(!logged.contains(&workload::name(7)));
        assert!(logged.contains(&workload::name(8)));
        fresh.end().await;
        process.end().await;
    }

    /// A writer that never searches mends the log when it would seal it.
    async fn a_writer_mends_it_too(app: TestApp) {
        let process = filled(app).await;
        let db = app.env.db();
        db.execute("DELETE FROM search_chunks WHERE kind = 2", params! {}).await.unwrap();
        let before = replaced(app).await;
        let writer = Process::start(app, 16).await;
        writer.import((1_000..1_200).map(workload::memory).collect()).await;
        writer.flush().await;
        assert!(replaced(app).await > before);
        assert!(!logged_records(db).await.is_empty());
        let fresh = Process::start(app, 16).await;
        assert!(fresh.finds(1).await && fresh.finds(1_100).await);
        for process in [process, writer, fresh] {
            process.end().await;
        }
    }
}

/// A process with the workload in segments and a tail, which it has read.
async fn filled(app: &TestApp) -> Process {
    let process = Process::start(app, SEGMENT_ROWS).await;
    process.prepare().await;
    process
        .import((0..MEMORIES - 20).map(workload::memory).collect())
        .await;
    process.flush().await;
    process
        .import((MEMORIES - 20..MEMORIES).map(workload::memory).collect())
        .await;
    assert!(process.finds(1).await);
    process
}

/// Adds memories until some are sealed, and takes some of them away again.
async fn write_and_purge(process: &Process, first: u64) {
    let added = first..first + 20;
    process
        .import(added.clone().map(workload::memory).collect())
        .await;
    process.flush().await;
    let ids = process.ids().await;
    for number in added.step_by(7) {
        process
            .call("memory.purge", json!({"id": ids[&number]}))
            .await;
    }
}

async fn format(app: &TestApp) -> i64 {
    head(app, "format").await
}

async fn replaced(app: &TestApp) -> i64 {
    head(app, "replaced").await
}

async fn head(app: &TestApp, column: &str) -> i64 {
    let sql = format!("SELECT {column} FROM search_heads");
    let Scalar(value) = Arc::clone(&app.env)
        .db()
        .fetch_one(sql, params! {})
        .await
        .unwrap();
    value
}
