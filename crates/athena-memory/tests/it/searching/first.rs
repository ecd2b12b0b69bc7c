//! The first question of a process, which reads what it needs and no more.

use super::{Process, assert_same, count, workload};
use athena_core::ProjectId;
use athena_db::{Executor, params};
use athena_search::{Answer, Query};
use athena_store::{Prepared, Request};
use athena_testkit::{TestApp, json, story};
use std::collections::BTreeSet;

const MEMORIES: u64 = 400;
const SEGMENT_ROWS: u32 = 64;

story! {
    /// Whatever a process is asked first, it answers as one that has everything in memory.
    async fn every_question_may_be_the_first(app: TestApp) {
        let process = filled(app).await;
        let questions: Vec<_> = workload::questions().into_iter().take(24).collect();
        process.answers(&questions).await;
        let expected = process.answers(&questions).await;
        let asked_twice = Process::start(app, SEGMENT_ROWS).await;
        for (question, expected) in questions.iter().zip(&expected) {
            let fresh = Process::start(app, SEGMENT_ROWS).await;
            assert_eq!(&fresh.answer(question).await, expected, "{question}");
            fresh.end().await;
        }
        assert_same(&questions, &asked_twice.answers(&questions).await, &expected, "goes on");
        asked_twice.end().await;
        process.end().await;
    }

    /// What it has begun to read is taken away, replaced or damaged before it reads the rest.
    async fn what_it_reads_may_be_replaced_meanwhile(app: TestApp) {
        let process = filled(app).await;
        let ids = process.ids().await;
        let project = project_of(&process).await;
        for (number, change) in [
            (7, Change::Purge),
            (8, Change::Merge),
            (9, Change::Damage("DELETE FROM search_chunks WHERE kind = 5 AND part = 0")),
            (10, Change::Damage("DELETE FROM search_chunks")),
            (11, Change::Damage("UPDATE search_heads SET format = 1")),
        ] {
            // What was made anew is sealed again, by one that has seen it.
            assert!(process.finds(number).await);
            process.flush().await;
            let fresh = Process::start(app, SEGMENT_ROWS).await;
            let request = request(project, number);
            let mut prepared = athena_store::prepare(&fresh.ctx, request.clone()).await.unwrap();
            assert!(prepared.rank().is_none(), "something is lacking");
            match change {
                Change::Purge => drop(process.call("memory.purge", json!({"id": ids[&number]})).await),
                Change::Merge => {
                    let more = 1_000..1_000 + u64::from(SEGMENT_ROWS) * 8;
                    process.import(more.map(workload::memory).collect()).await;
                    process.flush().await;
                }
                Change::Damage(sql) => {
                    assert!(app.env.db().execute(sql, params! {}).await.unwrap() > 0, "{sql}");
                }
            }
            let found = answer(&fresh, &mut prepared).await;
            let other = Process::start(app, SEGMENT_ROWS).await;
            for _ in 0..2 {
                let expected = athena_store::search(&other.ctx, request.clone()).await.unwrap();
                assert_eq!(numbers(&found), numbers(&expected.answer), "{number}");
            }
            let has_it = numbers(&found).contains(&number);
            assert_eq!(has_it, change != Change::Purge, "{number}");
            other.end().await;
            fresh.end().await;
        }
        process.end().await;
    }

    /// What was not looked for before it was lost is missed when the rest is read, and the log made anew.
    async fn what_is_lost_later_is_missed(app: TestApp) {
        let process = filled(app).await;
        let everything = json!({"query": "the deploy billing", "limit": 500});
        let few = json!({"query": "the deploy billing", "mode": "semantic", "tags": ["rare5"]});
        let expected = process.answer(&everything).await;
        let fresh = Process::start(app, SEGMENT_ROWS).await;
        assert!(!fresh.answer(&few).await.is_empty());
        let lost = "DELETE FROM search_chunks WHERE kind = 5 AND part = 1";
        assert!(app.env.db().execute(lost, params! {}).await.unwrap() > 0);
        assert_eq!(fresh.answer(&everything).await, expected);
        assert_eq!(count(app.env.db(), "search_chunks").await, 0, "it was read again, and made anew");
        fresh.end().await;
        process.end().await;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Purge,
    Merge,
    Damage(&'static str),
}

/// A process with the workload in segments, and a few rows more.
async fn filled(app: &TestApp) -> Process {
    let process = Process::start(app, SEGMENT_ROWS).await;
    process.prepare().await;
    let memories = (0..MEMORIES).map(workload::memory).collect();
    process.import(memories).await;
    process.flush().await;
    process
}

async fn project_of(process: &Process) -> ProjectId {
    let project = process.call("project.get", json!({"name": "test"})).await;
    ProjectId(project["id"].as_i64().unwrap())
}

fn request(project: ProjectId, number: u64) -> Request {
    Request {
        projects: vec![project],
        query: Query {
            text: format!("the deploy of {}", workload::name(number)),
            // Everything: the question's vector is of before the change, and so are scores.
            limit: 5_000,
            ..Query::default()
        },
        own_vector: None,
    }
}

/// Ranks until nothing is lacking.
async fn answer(process: &Process, prepared: &mut Prepared) -> Answer {
    loop {
        prepared.bring(&process.ctx).await.unwrap();
        if let Some(answer) = prepared.rank() {
            return answer;
        }
    }
}

/// The numbers of the memories that were found.
fn numbers(answer: &Answer) -> BTreeSet<u64> {
    let last = |uid: &[u8; 16]| u64::from_be_bytes(*uid.last_chunk().unwrap());
    let uids = answer.hits.iter().map(|hit| &hit.uid);
    uids.map(|uid| last(uid) & 0xffff_ffff_ffff).collect()
}
