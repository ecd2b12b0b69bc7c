//! Questions and vectors that nobody means.

use athena_search::segment::Segment;
use athena_search::{Index, Mode, Query, Record, search};

use crate::builders::{apply, ids, index, item, memory, model, query};

fn words(of: impl Iterator<Item = u32>) -> String {
    let words: Vec<String> = of.map(|number| format!("word{number}")).collect();
    words.join(" ")
}

#[test]
fn a_question_of_a_million_words_is_answered() {
    let index = index(&[
        item(1, "word7 word8 word9").vector(&[1.0, 0.0]),
        item(2, "nothing of that").vector(&[0.9, 0.1]),
    ]);
    let all_different = words(0..1_000_000);
    let often_the_same = words((0..1_000_000).map(|at| at % 5 + 7));
    for (text, mode) in [
        (all_different, Mode::Keyword),
        (often_the_same, Mode::Hybrid),
    ] {
        let asked = Query {
            mode,
            vector: model(&[1.0, 0.0]),
            ..query(&text)
        };
        assert_eq!(ids(&search(&[&index], &asked))[0], 1);
    }
}

/// What all have is no reason to prefer any: all score alike, the ids that are the same everywhere
/// decide, and so it stays when some go.
#[test]
fn a_hundred_thousand_identical_vectors_are_ordered() {
    const ITEMS: i64 = 100_000;
    let same = |id| item(id, "").vector(&[0.5, -0.25, 1.0]).records();
    let mut index = Index::new();
    index.attach(Segment::build(1, ITEMS, (1..=ITEMS).flat_map(same)).unwrap());
    let asked = |exact| Query {
        mode: Mode::Semantic,
        vector: model(&[1.0, 1.0, 1.0]),
        exact,
        ..query("")
    };
    let first: Vec<i64> = (1..=10).collect();
    assert_eq!(ids(&search(&[&index], &asked(true))), first);
    let fast = search(&[&index], &asked(false));
    assert_eq!(fast.hits.len(), 10);
    assert!(fast.hits.iter().all(|hit| hit.score == fast.hits[0].score));
    for id in 1..=5 {
        apply(&mut index, vec![Record::Remove { item: memory(id) }]);
    }
    let rest: Vec<i64> = (6..=15).collect();
    assert_eq!(ids(&search(&[&index], &asked(true))), rest);
}
