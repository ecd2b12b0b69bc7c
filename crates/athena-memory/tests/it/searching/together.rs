//! Several processes at one store, at the same time.

use super::{Process, assert_same, count, leftovers, or_gone, undisturbed, workload};
use athena_testkit::{json, story};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const BATCHES: u64 = 16;
const BATCH: u64 = 12;

story! {
    /// Two processes write, seal, merge and purge at once while a third one searches. Everyone finds
    /// what was committed, and nothing else; nothing is lost or left over.
    async fn two_processes_seal_merge_and_purge_at_once(app: TestApp) {
        let one = Arc::new(Process::start(app, 16).await);
        let other = Arc::new(Process::start(app, 24).await);
        let reader = Arc::new(Process::start(app, 16).await);
        one.prepare().await;
        let done = Arc::new(AtomicBool::new(false));
        let working = [(&one, 0), (&other, 10_000)].map(|(process, first)| {
            tokio::spawn(work(Arc::clone(process), first))
        });
        let searching = tokio::spawn(search_until(Arc::clone(&reader), Arc::clone(&done)));
        let mut purged = BTreeSet::new();
        for task in working {
            purged.extend(task.await.unwrap());
        }
        done.store(true, Ordering::Relaxed);
        assert!(searching.await.unwrap() > 0);
        let db = app.env.db();
        assert!(count(db, "search_segments").await > 0);
        assert!(count(db, "search_heads WHERE replaced > 0").await > 0, "merged");
        assert_eq!(leftovers(db).await, [0; 3]);

        let kept: BTreeSet<u64> = one.ids().await.into_keys().collect();
        let all = [0, 10_000].into_iter().flat_map(|first| first..first + BATCHES * BATCH);
        let expected: BTreeSet<u64> = all.filter(|number| !purged.contains(number)).collect();
        assert_eq!(kept, expected);
        let (reference_app, reference) = undisturbed(kept.iter().copied()).await;
        let questions: Vec<_> = workload::questions().into_iter().take(60).collect();
        let expected = reference.answers(&questions).await;
        let fresh = Arc::new(Process::start(app, 16).await);
        for (process, whose) in [(&one, "one"), (&other, "the other"), (&reader, "the reader"), (&fresh, "a fresh one")] {
            assert_same(&questions, &process.answers(&questions).await, &expected, whose);
        }
        for process in [one, other, reader, fresh] {
            process.env.db().close().await.unwrap();
        }
        reference.end().await;
        reference_app.finish().await;
    }

    /// A process that was killed left a long tail, and nobody writes any more: whoever searches seals it.
    async fn a_reader_seals_what_was_left(app: TestApp) {
        let writer = Process::start(app, 1_000_000).await;
        writer.prepare().await;
        writer.import((0..40).map(workload::memory).collect()).await;
        writer.env.db().close().await.unwrap();
        let reader = Process::start(app, 16).await;
        reader.flush().await;
        assert_eq!(count(app.env.db(), "search_segments").await, 0, "nobody asked yet");
        let question = &workload::questions()[0];
        let before = reader.answer(question).await;
        reader.flush().await;
        assert!(count(app.env.db(), "search_segments").await > 0);
        assert_eq!(reader.answer(question).await, before);
        reader.env.db().close().await.unwrap();
    }

    /// A project that is deleted, and its memories purged, while it is searched: whoever searches
    /// gets what is there, or is told that the project is not.
    async fn a_project_goes_while_it_is_searched(app: TestApp) {
        let writer = Process::start(app, 16).await;
        let own = fill(&writer, "leaving", 0).await;
        fill(&writer, "staying", 1_000).await;
        let mut tasks = Vec::new();
        for at in 0..6 {
            let process = Process::start(app, 16).await;
            tasks.push(tokio::spawn(search_leaving(process, at % 2 == 0)));
        }
        for id in &own[..own.len() / 2] {
            writer.call("memory.purge", json!({"id": id})).await;
        }
        writer.flush().await;
        writer.call("project.delete", json!({"name": "leaving"})).await;
        for id in &own[own.len() / 2..] {
            or_gone(writer.try_call("memory.purge", json!({"id": id})).await);
        }
        for task in tasks {
            assert!(task.await.unwrap() > 0, "searched before it went");
        }
        let staying = json!({"query": "the deploy billing", "project": "staying"});
        assert!(!writer.answer(&staying).await.is_empty());
        writer.end().await;
    }
}

/// Writes batch after batch; every one is found at once, and what is purged of it is not. Returns the
/// numbers of what was purged.
async fn work(process: Arc<Process>, first: u64) -> BTreeSet<u64> {
    let mut purged = BTreeSet::new();
    for batch in 0..BATCHES {
        let start = first + batch * BATCH;
        process
            .import((start..start + BATCH).map(workload::memory).collect())
            .await;
        assert!(process.finds(start).await, "{start}");
        process.flush().await;
        assert!(process.finds(start).await, "{start}, sealed");
        if batch % 4 == 3 {
            // One of an earlier batch, which is sealed by now, and one of this batch.
            for number in [start - 2 * BATCH + 1, start + 1] {
                let ids = process.ids().await;
                process
                    .call("memory.purge", json!({"id": ids[&number]}))
                    .await;
                purged.insert(number);
                assert!(!process.finds(number).await, "{number}");
            }
        }
    }
    process.flush().await;
    purged
}

async fn search_until(process: Arc<Process>, done: Arc<AtomicBool>) -> usize {
    let questions = workload::questions();
    let mut found = 0;
    for question in questions.iter().cycle() {
        found += process.answer(question).await.len();
        if done.load(Ordering::Relaxed) {
            return found;
        }
    }
    found
}

/// Fills a project, and returns the ids of what it holds.
async fn fill(process: &Process, project: &str, first: u64) -> Vec<i64> {
    let new = json!({"name": project, "embedding_dim": workload::DIMENSION});
    process.call("project.create", new).await;
    let memories: Vec<_> = (first..first + 40).map(workload::memory).collect();
    process
        .call(
            "memory.import",
            json!({"memories": memories, "project": project}),
        )
        .await;
    process.flush().await;
    let page = process
        .call("memory.list", json!({"project": project, "limit": 1_000}))
        .await;
    let memories = page["items"].as_array().unwrap().iter();
    memories
        .map(|memory| memory["id"].as_i64().unwrap())
        .collect()
}

/// Searches until the project is gone; returns how often there was an answer.
async fn search_leaving(process: Process, alone: bool) -> usize {
    let mut answers = 0;
    for mut question in workload::questions().into_iter().cycle() {
        question["project"] = json!("leaving");
        if !alone {
            question["projects"] = json!(["staying"]);
        }
        let Some(found) = or_gone(process.try_call("memory.recall", question).await) else {
            break;
        };
        for hit in found["hits"].as_array().unwrap() {
            let number = workload::number(hit["uid"].as_str().unwrap());
            assert!(number < 40 || (!alone && number >= 1_000), "{hit}");
        }
        answers += 1;
    }
    process.end().await;
    answers
}
