//! Words that must be there, that must not, and beginnings of words.

use athena_search::{Index, Mode, Query, search};

use crate::builders::{found, ids, index, item, lexical, memory, query};
use athena_search::Record;

fn team() -> Index {
    index(&[
        item(1, "deploy the billing service"),
        item(2, "deployment of search"),
        item(3, "billing is deployed by hand").vector(&[1.0, 0.0]),
        item(4, "configuration of billing"),
        item(5, "departures of the week").vector(&[0.9, 0.1]),
    ])
}

fn having(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn every_hit_has_what_it_must_have() {
    let asked = Query {
        having: having(&["bill", "deploy"]),
        ..query("billing")
    };
    let answer = search(&[&team()], &asked);
    let mut found = ids(&answer);
    found.sort_unstable();
    assert_eq!(found, [1, 3]);
    assert_eq!(answer.summary.in_scope, 2);
    assert!(
        answer
            .summary
            .filters
            .contains(&"words: all of bill, deploy".to_owned())
    );
}

#[test]
fn no_hit_has_what_it_must_not_have() {
    let asked = |mode| Query {
        lacking: having(&["bill"]),
        builtin: lexical(&[1.0, 0.0]),
        mode,
        ..query("billing deploy departures")
    };
    for mode in [Mode::Keyword, Mode::Semantic, Mode::Hybrid] {
        let found = ids(&search(&[&team()], &asked(mode)));
        assert!(found.contains(&5), "{mode:?}");
        assert!(!found.iter().any(|id| [1, 3, 4].contains(id)), "{mode:?}");
    }
}

#[test]
fn a_beginning_finds_every_word_that_has_it() {
    let beginning = |text: &str, index: &Index| {
        let asked = Query {
            beginnings: having(&[text]),
            ..query(text)
        };
        let mut found = ids(&search(&[index], &asked));
        found.sort_unstable();
        found
    };
    assert_eq!(beginning("depl", &team()), [1, 2, 3]);
    assert_eq!(beginning("dep", &team()), [1, 2, 3, 5]);
    assert_eq!(
        beginning("configurat", &team()),
        [4],
        "longer than the stem"
    );
    assert_eq!(beginning("zz", &team()), Vec::<i64>::new());
    assert_eq!(
        beginning("th", &team()),
        Vec::<i64>::new(),
        "`the` says nothing"
    );
    assert_eq!(found(&team(), "depl"), Vec::<i64>::new());

    let mut index = team();
    index.apply(index.applied() + 1, Record::Remove { item: memory(5) });
    assert_eq!(beginning("departu", &index), Vec::<i64>::new());
}

#[test]
fn a_beginning_is_asked_for_no_more_than_a_word_is() {
    let asked = |text: &str, beginnings: &[&str]| Query {
        beginnings: having(beginnings),
        ..query(text)
    };
    let matched = |query: &Query| search(&[&team()], query).hits[0].match_score;
    let by_word = matched(&asked("deployment", &[]));
    let by_beginning = matched(&asked("deploym", &["deploym"]));
    assert!(
        (by_word - by_beginning).abs() < 1e-12,
        "{by_word} {by_beginning}"
    );
}
