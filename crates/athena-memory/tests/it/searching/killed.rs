//! `kill -9` of a process that seals, merges and purges.
//!
//! The process is this very test binary: it is started with the name of one test and, in its
//! environment, the store to work at. What it says it has done is judged afterwards.

use super::{Process, assert_same, leftovers, undisturbed, workload};
use athena_db::{Executor, params};
use athena_testkit::{TestApp, TestStore, json, open_process, story};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

const URL: &str = "ATHENA_TEST_SEARCHING_URL";
const SCHEMA: &str = "ATHENA_TEST_SEARCHING_SCHEMA";
const FIRST: &str = "ATHENA_TEST_SEARCHING_FIRST";

const ROUNDS: u64 = 12;
const ROUND: u64 = 10_000;
const BATCH: u64 = 6;
/// A batch makes a segment, so that most of a process's time is spent on them.
const SEGMENT_ROWS: u32 = 6;

/// Works at the store that it is told of until it is killed; without one, at a store of its own for
/// a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_works() {
    let Ok(url) = std::env::var(URL) else {
        let app = TestApp::on(TestStore::sqlite().await).await;
        let process = Process::start(&app, SEGMENT_ROWS).await;
        process.prepare().await;
        work(&process, 0..10 * BATCH).await;
        assert!(process.finds(1).await && !process.finds(0).await);
        process.end().await;
        return app.finish().await;
    };
    let schema = std::env::var(SCHEMA).ok();
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let db = TestStore::builder_at(&url, schema.as_deref());
    let (env, ctx) = open_process(db.open().await.unwrap(), |store| {
        store.with_segment_rows(SEGMENT_ROWS)
    });
    let process = Process::of(env, ctx);
    work(&process, first..first + ROUND).await;
}

/// Imports, seals, merges and purges, and says so.
async fn work(process: &Process, numbers: std::ops::Range<u64>) {
    let mut start = numbers.start;
    while start < numbers.end {
        let batch = start..start + BATCH;
        process
            .import(batch.clone().map(workload::memory).collect())
            .await;
        for number in batch {
            say("put", number);
        }
        process.flush().await;
        let ids = process.ids().await;
        say("purging", start);
        process
            .call("memory.purge", json!({"id": ids[&start]}))
            .await;
        say("purged", start);
        start += BATCH;
    }
}

#[expect(clippy::print_stdout, reason = "the judge reads it")]
fn say(what: &str, number: u64) {
    // A line of its own, after what the test runner has begun.
    println!("\n{what} {number}");
}

story! {
    /// Killed at twelve moments, whatever it was doing: everything that was acknowledged is found,
    /// nothing that was purged is, and the next one to seal clears up. In the end the store answers
    /// as one that was never killed.
    async fn nothing_is_lost_or_left_over(app: TestApp) {
        let judge = Process::start(app, SEGMENT_ROWS).await;
        judge.prepare().await;
        let (mut put, mut purged, mut unknown) = <(BTreeSet<u64>, BTreeSet<u64>, BTreeSet<u64>)>::default();
        let mut interrupted = [0; 3];
        for round in 0..ROUNDS {
            let worker = Worker::start(app, round * ROUND);
            let batches = 1 + round % 4;
            let moment = Duration::from_millis(round * 37 % 200);
            let said = tokio::task::spawn_blocking(move || worker.kill_after(batches * BATCH, moment));
            let said = said.await.unwrap();
            for line in said {
                match line.split_once(' ').map(|(what, number)| (what, number.parse())) {
                    Some(("put", Ok(number))) => put.insert(number),
                    Some(("purging", Ok(number))) => unknown.insert(number),
                    Some(("purged", Ok(number))) => purged.insert(number),
                    _ => continue,
                };
            }
            let left = leftovers(app.env.db()).await;
            interrupted = std::array::from_fn(|at| interrupted[at] + i64::from(left[at] > 0));
            let fresh = Process::start(app, SEGMENT_ROWS).await;
            for number in put.range(round * ROUND..) {
                if purged.contains(number) {
                    assert!(!fresh.finds(*number).await, "round {round}: {number} was purged");
                } else if !unknown.contains(number) {
                    assert!(fresh.finds(*number).await, "round {round}: {number} was remembered");
                }
            }
            fresh.end().await;
        }
        eprintln!("left unfinished, orphaned, in the tail after {ROUNDS} kills: {interrupted:?}");
        assert!(put.len() >= 180 && purged.len() >= 18, "{} put, {} purged", put.len(), purged.len());

        let db = app.env.db();
        db.execute(
            "UPDATE search_segments SET created_at = :long_ago WHERE ready = FALSE",
            params! { long_ago: jiff::Timestamp::UNIX_EPOCH },
        )
        .await
        .unwrap();
        // No purge, which would clear up by itself.
        judge.import((ROUNDS * ROUND..ROUNDS * ROUND + 2 * BATCH).map(workload::memory).collect()).await;
        judge.flush().await;
        assert_eq!(leftovers(db).await, [0; 3]);

        let kept: BTreeSet<u64> = judge.ids().await.into_keys().collect();
        assert!(put.difference(&unknown).all(|number| kept.contains(number)));
        assert!(purged.iter().all(|number| !kept.contains(number)));
        let (reference_app, reference) = undisturbed(kept.iter().copied()).await;
        let questions: Vec<_> = workload::questions().into_iter().take(40).collect();
        let expected = reference.answers(&questions).await;
        assert_same(&questions, &judge.answers(&questions).await, &expected, "after all kills");
        judge.end().await;
        reference.end().await;
        reference_app.finish().await;
    }
}

/// A process that works until it is killed.
struct Worker {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Worker {
    fn start(app: &TestApp, first: u64) -> Self {
        let (url, schema) = app.store.address();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args([
                "--exact",
                "searching::killed::one_process_works",
                "--nocapture",
            ])
            .env(URL, url)
            .env(FIRST, first.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        if let Some(schema) = schema {
            command.env(SCHEMA, schema);
        }
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    /// Waits until it has put so many memories, and a moment; kills it, and returns all that it said.
    fn kill_after(mut self, puts: u64, moment: Duration) -> Vec<String> {
        let mut said = Vec::new();
        let mut rest = puts;
        for line in self.stdout.by_ref().lines().map_while(Result::ok) {
            rest -= u64::from(line.starts_with("put "));
            said.push(line);
            if rest == 0 {
                break;
            }
        }
        std::thread::sleep(moment);
        assert!(self.child.try_wait().unwrap().is_none(), "it still works");
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        said.extend(self.stdout.lines().map_while(Result::ok));
        said
    }
}
