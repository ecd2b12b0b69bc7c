//! The same answers from every backend, sealed or not.

use super::{Process, assert_same, count, leftovers, undisturbed, workload};
use athena_testkit::{json, story};

/// More than are compared one by one.
const MEMORIES: u64 = 2_200;
const SEGMENT_ROWS: u32 = 128;

story! {
    /// Two hundred questions to a store in sealed and merged segments are answered as by an SQLite
    /// store of which nothing is sealed: the same hits, in the same order, with the same scores to
    /// the last bit.
    async fn two_hundred_answers_are_the_same_everywhere(app: TestApp) {
        let (reference_app, reference) = undisturbed(0..MEMORIES).await;
        change(&reference).await;
        let process = Process::start(app, SEGMENT_ROWS).await;
        process.prepare().await;
        let numbers: Vec<u64> = (0..MEMORIES).collect();
        for (at, some) in numbers.chunks(200).enumerate() {
            process.import(some.iter().copied().map(workload::memory).collect()).await;
            if at == 7 {
                process.flush().await;
            }
        }
        process.flush().await;
        let db = process.env.db();
        assert!(count(db, "search_segments WHERE passages >= 512").await >= 2, "merged");
        assert!(count(db, "search_segments WHERE passages < 512").await >= 2, "sealed");
        change(&process).await;
        assert!(count(db, "search_tail").await > 0);

        let questions = workload::questions();
        let expected = reference.answers(&questions).await;
        let answered = expected.iter().filter(|hits| !hits.is_empty()).count();
        assert!(answered >= 180, "{answered} questions have an answer");
        assert_same(&questions, &process.answers(&questions).await, &expected, "warm");
        let fresh = Process::start(app, SEGMENT_ROWS).await;
        let questions = &questions[..50];
        assert_same(questions, &fresh.answers(questions).await, &expected, "cold");
        assert_eq!(leftovers(db).await, [0; 3]);
        for process in [process, fresh, reference] {
            process.end().await;
        }
        reference_app.finish().await;
    }
}

/// Forgets, brings back, votes and purges.
async fn change(process: &Process) {
    for (number, id) in process.ids().await {
        if number % 17 == 3 {
            process.call("memory.forget", json!({"id": id})).await;
        }
        if number % 34 == 3 {
            process.call("memory.restore", json!({"id": id})).await;
        }
        if number % 19 == 4 {
            let useful = json!({"id": id, "useful": number % 2 == 0});
            process.call("memory.feedback", useful).await;
        }
        if number % 400 == 5 {
            process.call("memory.purge", json!({"id": id})).await;
        }
    }
}
