//! What applying the log does to an index.

use athena_search::{Attributes, Index, Record, TermStatistics, WHOLE, search, statistics};

use crate::builders::{apply, found, ids, index, item, lexical, memory, query, uid, vector};

#[test]
fn applying_again_changes_nothing() {
    let mut index = index(&[item(1, "red apple"), item(2, "green pear")]);
    let before = index.statistics();
    let applied = index.applied();
    index.apply(1, Record::Remove { item: memory(1) });
    index.apply(applied, Record::Remove { item: memory(2) });
    assert_eq!(index.statistics(), before);
    assert_eq!(index.applied(), applied);
    index.advance(applied + 5);
    assert_eq!(index.applied(), applied + 5);
}

#[test]
fn a_removed_item_leaves_results_and_statistics() {
    let mut index = index(&[item(1, "red apple"), item(2, "red pear")]);
    apply(&mut index, vec![Record::Remove { item: memory(1) }]);
    assert_eq!(found(&index, "red"), [2]);
    assert_eq!(found(&index, "apple"), Vec::<i64>::new());
    let statistics_now = index.statistics();
    assert_eq!((statistics_now.items, statistics_now.passages), (1, 1));
    assert_eq!((statistics_now.words, statistics_now.terms), (2, 2));
    let fresh = crate::builders::index(&[item(2, "red pear")]);
    for term in ["appl", "red"] {
        let idf = |index| statistics(&[index]).idf(term);
        assert_eq!(idf(&index), idf(&fresh));
    }
    assert!(!index.contains(memory(1)));
    apply(&mut index, vec![Record::Remove { item: memory(2) }]);
    assert_eq!(index.statistics(), Index::new().statistics());
    assert!(index.is_empty());
}

#[test]
fn passage_zero_begins_an_item_anew() {
    let mut index = index(&[item(1, "old words").label("tag:a").vector(&[1.0, 0.0])]);
    let mut records = item(1, "new words").records();
    if let Record::Passage { attributes, .. } = &mut records[0] {
        *attributes = None;
    }
    apply(&mut index, records);
    assert_eq!(found(&index, "old"), Vec::<i64>::new());
    assert_eq!(found(&index, "new"), [1]);
    assert_eq!(index.statistics().items, 1);
    assert_eq!(
        index.statistics().vectors,
        0,
        "the vector was that of the old text"
    );
    let mut labelled = query("new");
    labelled.filter.labels = vec![vec!["tag:a".to_owned()]];
    let answer = search(&[&index], &labelled);
    assert_eq!(ids(&answer), [1], "attributes stay where none come");
    assert_eq!(answer.hits[0].uid, uid(1));
}

#[test]
fn an_updated_index_equals_a_fresh_one() {
    let mut changed = index(&[item(1, "one thing"), item(2, "another thing")]);
    for round in 0..500 {
        apply(
            &mut changed,
            item(1, &format!("text of round {round}")).records(),
        );
    }
    apply(&mut changed, item(1, "one final thing").records());
    let fresh = index(&[item(2, "another thing"), item(1, "one final thing")]);
    assert_eq!(changed.statistics(), fresh.statistics());
    for text in ["thing", "final", "round", "another one"] {
        let (changed, fresh) = (
            search(&[&changed], &query(text)),
            search(&[&fresh], &query(text)),
        );
        assert_eq!(changed, fresh);
    }
}

#[test]
fn a_late_vector_is_found() {
    let mut index = index(&[item(1, "alpha"), item(2, "beta")]);
    let mut asked = query("gamma");
    asked.builtin = lexical(&[0.0, 1.0]);
    asked.explain = true;
    assert_eq!(search(&[&index], &asked).summary.without_vector, Some(2));
    apply(
        &mut index,
        vec![
            Record::Vector {
                item: memory(1),
                n: 0,
                vector: vector(&[1.0, 1.0]),
            },
            Record::Vector {
                item: memory(2),
                n: WHOLE,
                vector: vector(&[0.0, 2.0]),
            },
        ],
    );
    let answer = search(&[&index], &asked);
    assert_eq!(ids(&answer), [2, 1]);
    assert!(answer.hits[0].semantic.unwrap() > 0.9999);
    assert_eq!(answer.hits[0].passage, 0);
    assert_eq!(answer.summary.without_vector, Some(0));
    let replaced = Record::Vector {
        item: memory(2),
        n: WHOLE,
        vector: vector(&[1.0, 0.0]),
    };
    apply(&mut index, vec![replaced]);
    assert_eq!(ids(&search(&[&index], &asked)), [1]);
    assert_eq!(index.statistics().vectors, 2);
}

#[test]
fn what_comes_for_an_item_that_is_gone_is_skipped() {
    let mut index = Index::new();
    apply(
        &mut index,
        vec![
            Record::Vector {
                item: memory(1),
                n: 0,
                vector: vector(&[1.0]),
            },
            Record::Attributes {
                item: memory(1),
                attributes: Attributes::default(),
            },
            Record::Remove { item: memory(1) },
            Record::Passage {
                item: memory(1),
                n: 3,
                of: 4,
                attributes: None,
                terms: vec![("word".to_owned(), 1)],
                len: 1,
                vector: None,
            },
        ],
    );
    assert_eq!(index.statistics(), Index::new().statistics());
    assert_eq!(index.applied(), 4);
}

#[test]
fn attributes_change_alone() {
    let mut index = index(&[item(1, "red apple")]);
    let attributes = Attributes {
        uid: uid(1),
        state: "forgotten".to_owned(),
        time: 5,
        ..Attributes::default()
    };
    apply(
        &mut index,
        vec![Record::Attributes {
            item: memory(1),
            attributes,
        }],
    );
    let mut active = query("apple");
    active.filter.states = vec!["active".to_owned()];
    assert_eq!(ids(&search(&[&index], &active)), Vec::<i64>::new());
    active.filter.states = vec!["forgotten".to_owned()];
    assert_eq!(ids(&search(&[&index], &active)), [1]);
}
