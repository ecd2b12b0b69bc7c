//! Every hit can say how it came by its score.

use athena_search::{Arm, Fusion, Mode, Query, VectorKind, VectorState, Weights, search};
use proptest::prelude::*;

use crate::builders::{index, item, lexical, query};

fn explained(text: &str) -> Query {
    Query {
        explain: true,
        ..query(text)
    }
}

/// A score as the whole number of its seventh decimals, read from how JSON prints it.
fn printed(value: f64) -> i64 {
    let text = serde_json::to_string(&value).unwrap();
    let (whole, fraction) = text.split_once('.').unwrap();
    assert!(fraction.len() <= 7, "{text} has more than seven decimals");
    format!("{whole}{fraction:0<7}").parse().unwrap()
}

#[test]
fn parts_terms_and_arms_are_named() {
    let index = index(&[
        item(1, "apple pie with apple").vector(&[1.0, 0.0]),
        item(2, "pie").label("tag:a"),
    ]);
    let mut query = explained("Apple pies");
    query.builtin = lexical(&[1.0, 0.5]);
    let answer = search(&[&index], &query);
    let explain = answer.hits[0].explain.as_ref().unwrap();
    assert_eq!(answer.hits[0].item.id, 1);
    assert_eq!(explain.found_by, [Arm::Keyword, Arm::Builtin]);
    assert_eq!(explain.vector, VectorState::Scored);
    let terms: Vec<(&str, u32)> = explain
        .terms
        .iter()
        .map(|it| (it.term.as_str(), it.tf))
        .collect();
    assert_eq!(terms, [("appl", 2), ("pie", 1)]);
    let sum: f64 = explain.terms.iter().map(|term| term.contribution).sum();
    assert!((sum - answer.hits[0].keyword).abs() < 1e-12);
    let pending = answer.hits[1].explain.as_ref().unwrap();
    assert_eq!(pending.vector, VectorState::Pending);
    assert_eq!(pending.found_by, [Arm::Keyword]);
    assert_eq!(answer.summary.terms, ["appl", "pie"]);
    assert_eq!(answer.summary.candidates, 2);
    let json = serde_json::to_value(explain).unwrap();
    assert_eq!(json["parts"][0]["part"], "builtin");
    assert!(json["match"].is_number());
}

#[test]
fn filters_are_told() {
    let index = index(&[item(1, "apple").label("tag:a").state("active")]);
    let mut query = explained("apple");
    query.filter.labels = vec![vec!["tag:a".to_owned(), "tag:b".to_owned()]];
    query.filter.states = vec!["active".to_owned()];
    query.filter.after = Some(-5);
    let answer = search(&[&index], &query);
    let expected = ["state: active", "label: tag:a or tag:b", "time: from -5"];
    assert_eq!(answer.summary.filters, expected);
    let explain = answer.hits[0].explain.as_ref().unwrap();
    assert_eq!(explain.vector, VectorState::NotAsked);
}

#[test]
fn nothing_is_explained_unasked() {
    let index = index(&[item(1, "apple")]);
    assert_eq!(search(&[&index], &query("apple")).hits[0].explain, None);
}

proptest! {
    #[test]
    fn printed_parts_sum_to_the_printed_score(
        vectors in proptest::collection::vec(
            proptest::collection::vec(-1.0_f32..1.0, 3), 1..25),
        asked in proptest::collection::vec(0.1_f32..1.0, 3),
        weights in proptest::option::of((0.0_f64..1.0, 0.01_f64..1.0)),
        is_lexical: bool,
        mode in prop_oneof![
            Just(Mode::Hybrid), Just(Mode::Keyword), Just(Mode::Semantic)
        ],
        rrf in proptest::option::of(1_u32..100),
    ) {
        let words = ["apple", "apple pie", "pie crust", "apple apple crust", "plum"];
        let items: Vec<_> = (0_i64..).zip(&vectors)
            .filter(|(_, vector)| vector.iter().any(|value| value.abs() > 0.01))
            .map(|(id, vector)| {
                let text = words[usize::try_from(id).unwrap() % words.len()];
                item(id, &format!("{text} {}", "filler ".repeat(vector.len()))).vector(vector)
            })
            .collect();
        let mut query = explained("apple pie");
        query.builtin = lexical(&asked);
        if !is_lexical {
            query.vector = query.builtin.take();
            query.vector.as_mut().unwrap().kind = VectorKind::Model;
        }
        query.weights = weights.map(|(semantic, keyword)| Weights { semantic, keyword });
        query.mode = mode;
        if let Some(k) = rrf {
            query.fusion = Fusion::Rrf { k };
        }
        for hit in search(&[&index(&items)], &query).hits {
            let explain = hit.explain.unwrap();
            let sum: i64 = explain.parts.iter().map(|part| printed(part.contribution)).sum();
            prop_assert_eq!(sum, printed(hit.score));
            prop_assert_eq!(explain.score, hit.score);
            prop_assert!(hit.score > 0.0 && hit.score <= 1.0);
            for part in &explain.parts {
                prop_assert!((part.weight * part.value - part.contribution).abs() < 2e-7);
            }
        }
    }
}
