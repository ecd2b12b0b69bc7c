//! The search against a scorer that knows no index: it looks at every text for every word.

use std::collections::BTreeMap;

use athena_search::{
    Attributes, Index, Mode, PreparedQuery, Query, QueryVector, Record, StoredVector, VectorKind,
    WORDS_WEIGHT, Weights, ln, record, search, segment::Segment,
};
use proptest::prelude::*;

use crate::builders::{memory, uid, units};

#[derive(Debug, Clone)]
struct Passage {
    words: Vec<usize>,
    vector: Option<Vec<f32>>,
}

#[derive(Debug, Clone)]
enum Step {
    Put(i64, Vec<Passage>, bool),
    Label(i64, bool),
    Remove(i64),
}

type State = BTreeMap<i64, (Vec<Passage>, bool)>;

fn word(n: usize) -> String {
    format!("word{n}")
}

fn any_step() -> impl Strategy<Value = Step> {
    let vector = proptest::collection::vec((-4_i8..5).prop_map(f32::from), 5)
        .prop_filter("no direction", |it| it.iter().any(|value| *value != 0.0));
    let passage = (
        proptest::collection::vec(0_usize..7, 0..9),
        proptest::option::weighted(0.8, vector),
    )
        .prop_map(|(words, vector)| Passage { words, vector });
    let passages = proptest::collection::vec(passage, 1..4);
    let id = 0_i64..14;
    prop_oneof![
        6 => (id.clone(), passages, any::<bool>()).prop_map(|(id, p, l)| Step::Put(id, p, l)),
        1 => (id.clone(), any::<bool>()).prop_map(|(id, label)| Step::Label(id, label)),
        2 => id.prop_map(Step::Remove),
    ]
}

fn attributes(id: i64, labelled: bool) -> Attributes {
    Attributes {
        uid: uid(id),
        state: "active".to_owned(),
        labels: labels(id, labelled),
        time: id,
        ..Attributes::default()
    }
}

fn labels(id: i64, labelled: bool) -> Vec<String> {
    let role = if is_users(id) { "user" } else { "assistant" };
    let mut labels = Vec::new();
    if is_turn(id) {
        labels.push(format!("session:{}", id % 2));
        labels.push(format!("role:{role}"));
        if is_question(id) {
            labels.push("said:question".to_owned());
        }
    }
    if labelled {
        labels.push("tag:x".to_owned());
    }
    labels
}

fn records(step: &Step) -> Vec<Record> {
    match step {
        Step::Put(id, passages, labelled) => (0..)
            .zip(passages)
            .map(|(n, passage)| put(*id, n, passages.len(), passage, *labelled))
            .collect(),
        Step::Label(id, labelled) => vec![Record::Attributes {
            item: memory(*id),
            attributes: attributes(*id, *labelled),
        }],
        Step::Remove(id) => vec![Record::Remove { item: memory(*id) }],
    }
}

fn put(id: i64, n: u32, of: usize, passage: &Passage, labelled: bool) -> Record {
    let mut terms: BTreeMap<String, u32> = BTreeMap::new();
    for at in &passage.words {
        *terms.entry(word(*at)).or_default() += 1;
    }
    Record::Passage {
        item: memory(id),
        n,
        of: u32::try_from(of).unwrap(),
        attributes: (n == 0).then(|| attributes(id, labelled)),
        terms: terms.into_iter().collect(),
        len: u32::try_from(passage.words.len()).unwrap(),
        vector: passage
            .vector
            .as_ref()
            .map(|it| StoredVector::new(1, it).unwrap()),
    }
}

fn follow(state: &mut State, step: &Step) {
    match step {
        Step::Put(id, passages, labelled) => {
            state.insert(*id, (passages.clone(), *labelled));
        }
        Step::Label(id, labelled) => {
            if let Some(item) = state.get_mut(id) {
                item.1 = *labelled;
            }
        }
        Step::Remove(id) => {
            state.remove(id);
        }
    }
}

fn idf(texts: &[Vec<usize>], word: usize) -> f64 {
    let with = texts.iter().filter(|text| text.contains(&word)).count() as f64;
    ln(1.0 + (texts.len() as f64 - with + 0.5) / (with + 0.5))
}

fn bm25(texts: &[Vec<usize>], text: &[usize], asked: &[usize]) -> f64 {
    let total: usize = texts.iter().map(Vec::len).sum();
    let average = if total == 0 {
        1.0
    } else {
        total as f64 / texts.len() as f64
    };
    let mut score = 0.0;
    for word in asked {
        let tf = text.iter().filter(|other| *other == word).count() as f64;
        let norm = 1.2 * ((1.0 - 0.75) + 0.75 * text.len() as f64 / average);
        score += idf(texts, *word) * (tf * (1.2 + 1.0) / (tf + norm));
    }
    score
}

fn whole(passages: &[Passage]) -> Vec<usize> {
    passages.iter().flat_map(|it| it.words.clone()).collect()
}

/// How good this is as a cosine, the tests of the vectors say.
fn cosine(asked: &[f32], stored: &[f32]) -> f64 {
    let stored = StoredVector::new(1, stored).unwrap();
    let cosine = PreparedQuery::new(asked).unwrap().cosine_with(&stored);
    if cosine < 2e-3 { 0.0 } else { cosine }
}

/// Scores by id, best first, of the definition.
fn naive(state: &State, asked: &[usize], vector: &[f32], query: &Query) -> Vec<(i64, f64)> {
    let wholes: Vec<Vec<usize>> = state.values().map(|(it, _)| whole(it)).collect();
    let passages: Vec<Vec<usize>> = state
        .values()
        .flat_map(|(it, _)| it.iter().map(|passage| passage.words.clone()))
        .collect();
    let mut found = Vec::new();
    for (id, (texts, labelled)) in state {
        if !query.filter.labels.is_empty() && !labelled {
            continue;
        }
        let best = |score: &dyn Fn(&Passage) -> f64| texts.iter().map(score).fold(0.0, f64::max);
        let keyword = 0.5 * bm25(&wholes, &whole(texts), asked)
            + 0.5 * best(&|passage| bm25(&passages, &passage.words, asked));
        let semantic =
            best(&|passage| passage.vector.as_ref().map_or(0.0, |it| cosine(vector, it)));
        found.push((*id, keyword, semantic));
    }
    let top = |arm: &dyn Fn(&(i64, f64, f64)) -> f64| found.iter().map(arm).fold(0.0, f64::max);
    let (top_keyword, top_semantic) = (top(&|it| it.1), top(&|it| it.2));
    let share = share(query, top_keyword, top_semantic);
    let part = |weight: f64, value: f64, top: f64| {
        let relative = if top > 0.0 { value / top } else { 0.0 };
        (weight * relative * 1e7).round() / 1e7
    };
    let arms: BTreeMap<i64, i64> = found
        .iter()
        .map(|(id, keyword, semantic)| {
            let sum =
                part(share, *semantic, top_semantic) + part(1.0 - share, *keyword, top_keyword);
            (*id, units(sum.min(1.0)))
        })
        .collect();
    let turns = arms.keys().filter(|id| is_turn(**id)).count();
    let is_dialogue = query.mode != Mode::Semantic && turns > 0 && 10 * turns >= 9 * arms.len();
    let mut scored: Vec<(i64, i64)> = if is_dialogue {
        in_context(state, &arms)
    } else {
        arms.into_iter().collect()
    };
    scored.retain(|(_, score)| *score > 0);
    scored.sort_by(|a, b| b.1.cmp(&a.1).then(uid(a.0).cmp(&uid(b.0))));
    let best = scored.first().map_or(1.0, |(_, score)| *score as f64 / 1e7);
    scored.truncate(query.limit);
    let divided = |(id, score): (i64, i64)| (id, score as f64 / 1e7 / best.max(1.0));
    scored.into_iter().map(divided).collect()
}

/// All items but one are turns of two sessions, in the order of their ids.
fn is_turn(id: i64) -> bool {
    id > 0
}

fn is_users(id: i64) -> bool {
    id % 3 == 0
}

fn is_question(id: i64) -> bool {
    id % 4 == 0
}

/// What turns say for each other, of the definition: each session by itself, each step over all of
/// it. Turns that no arm and no neighbour found score 0.
fn in_context(state: &State, arms: &BTreeMap<i64, i64>) -> Vec<(i64, i64)> {
    let tenths = |tenths: i64, units: i64| (tenths * units + 5) / 10;
    let mut scored: Vec<(i64, i64)> = arms
        .iter()
        .filter(|(id, _)| !is_turn(**id))
        .map(|(id, score)| (*id, *score))
        .collect();
    for session in 0..2 {
        let turns: Vec<i64> = state.keys().copied().collect();
        let turns: Vec<i64> = turns
            .into_iter()
            .filter(|id| is_turn(*id) && id % 2 == session)
            .collect();
        let is_chat = turns.iter().any(|id| !is_users(*id));
        let arm = |at: i64| -> i64 {
            let id = usize::try_from(at).ok().and_then(|at| turns.get(at));
            id.and_then(|id| arms.get(id)).copied().unwrap_or(0)
        };
        let own = |at: i64| -> i64 {
            let id = usize::try_from(at).ok().and_then(|at| turns.get(at));
            let Some(id) = id.filter(|id| arms.contains_key(*id)) else {
                return 0;
            };
            let is_users = is_chat && is_users(*id);
            arms[id] + if is_users { 4_000_000 } else { 0 }
        };
        let mut sums: Vec<(i64, i64, bool)> = (0..)
            .zip(&turns)
            .filter(|(_, id)| arms.contains_key(*id))
            .map(|(at, id)| {
                let neighbours = tenths(3, own(at - 1))
                    + tenths(2, own(at + 1))
                    + tenths(1, own(at - 2))
                    + tenths(1, own(at + 2));
                let is_found = (at - 2..=at + 2).any(|near| arm(near) > 0);
                (*id, own(at) + neighbours, is_found)
            })
            .collect();
        let mut best: Vec<i64> = sums.iter().map(|it| it.1).collect();
        best.sort_unstable();
        let best: Vec<i64> = best.into_iter().rev().take(3).collect();
        for (_, sum, _) in &mut sums {
            // A fifth of the mean, rounded half up.
            let count = i64::try_from(best.len()).unwrap();
            *sum += (2 * best.iter().sum::<i64>() + 5 * count) / (10 * count);
        }
        let tells = |id: i64| match is_chat || is_question(id) {
            true => 0,
            false => 1_000_000,
        };
        scored.extend(sums.iter().map(|(id, sum, is_found)| {
            let score = if *is_found { sum + tells(*id) } else { 0 };
            (*id, score)
        }));
    }
    scored
}

fn share(query: &Query, top_keyword: f64, top_semantic: f64) -> f64 {
    match (query.mode, query.weights) {
        (Mode::Keyword, _) => 0.0,
        (Mode::Semantic, _) => 1.0,
        (Mode::Hybrid, Some(weights)) => weights.semantic / (weights.semantic + weights.keyword),
        (Mode::Hybrid, None) if top_semantic == 0.0 => 0.0,
        (Mode::Hybrid, None) if top_keyword == 0.0 => 1.0,
        (Mode::Hybrid, None) => WORDS_WEIGHT,
    }
}

prop_compose! {
    fn any_query()(
        words in proptest::sample::subsequence((0..8).collect::<Vec<usize>>(), 1..5),
        vector in proptest::collection::vec((-4_i8..5).prop_map(f32::from), 5)
            .prop_filter("no direction", |it| it.iter().any(|value| *value != 0.0)),
        mode in prop_oneof![Just(Mode::Hybrid), Just(Mode::Keyword), Just(Mode::Semantic)],
        weights in proptest::option::of((0.0_f64..2.0, 0.1_f64..2.0)),
        filtered: bool,
        limit in 1_usize..8,
    ) -> (Vec<usize>, Vec<f32>, Query) {
        let text: Vec<String> = words.iter().map(|at| word(*at)).collect();
        let mut query = Query {
            text: text.join(" "),
            builtin: Some(QueryVector { model: 1, values: vector.clone(), kind: VectorKind::Words }),
            mode,
            weights: weights.map(|(semantic, keyword)| Weights { semantic, keyword }),
            limit,
            ..Query::default()
        };
        if filtered {
            query.filter.labels = vec![vec!["tag:x".to_owned()]];
        }
        (words, vector, query)
    }
}

fn answers(index: &Index, query: &Query) -> Vec<(i64, f64)> {
    let hits = search(&[index], query).hits;
    hits.iter().map(|hit| (hit.item.id, hit.score)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_index_agrees_with_the_definition(
        steps in proptest::collection::vec(any_step(), 0..200),
        (asked, vector, query) in any_query(),
    ) {
        let mut index = Index::new();
        let mut state = State::new();
        for step in &steps {
            follow(&mut state, step);
            crate::builders::apply(&mut index, records(step));
        }
        let expected = naive(&state, &asked, &vector, &query);
        let found = answers(&index, &query);
        let ids = |pairs: &[(i64, f64)]| -> Vec<i64> { pairs.iter().map(|it| it.0).collect() };
        prop_assert_eq!(ids(&found), ids(&expected), "{:?} {:?}", found, expected);
        for (found, expected) in found.iter().zip(&expected) {
            prop_assert!((found.1 - expected.1).abs() < 1.5e-7);
        }
    }

    #[test]
    fn the_order_of_arrival_does_not_matter(
        steps in proptest::collection::vec(any_step(), 1..60),
        (_, _, mut query) in any_query(),
        turn: prop::sample::Index,
        is_lexical: bool,
    ) {
        if !is_lexical {
            query.vector = query.builtin.take();
            query.vector.as_mut().unwrap().kind = VectorKind::Model;
        }
        query.explain = true;
        let mut state = State::new();
        let mut index = Index::new();
        for step in &steps {
            follow(&mut state, step);
            crate::builders::apply(&mut index, records(step));
        }
        let mut fresh: Vec<Step> = state
            .into_iter()
            .map(|(id, (passages, labelled))| Step::Put(id, passages, labelled))
            .collect();
        fresh.reverse();
        if !fresh.is_empty() {
            let turn = turn.index(fresh.len());
            fresh.rotate_left(turn);
        }
        let mut other = Index::new();
        for step in &fresh {
            crate::builders::apply(&mut other, records(step));
        }
        prop_assert_eq!(search(&[&index], &query), search(&[&other], &query));
        prop_assert_eq!(index.statistics(), other.statistics());
    }

    #[test]
    fn stored_bytes_give_the_same_index(
        steps in proptest::collection::vec(any_step(), 1..60),
        (_, _, query) in any_query(),
    ) {
        let rows: Vec<(i64, Record)> = (1..).zip(steps.iter().flat_map(records)).collect();
        let mut direct = Index::new();
        let mut from_rows = Index::new();
        let mut from_segments = Index::new();
        for (seq, record) in &rows {
            direct.apply(*seq, record.clone());
            from_rows.apply(*seq, record::decode(&record::encode(record)).unwrap());
        }
        let records = rows.iter().map(|(_, record)| record.clone());
        let last = i64::try_from(rows.len()).unwrap();
        let chunks = Segment::build(1, last, records).unwrap().chunks();
        from_segments.attach(Segment::from_chunks(1, last, chunks).unwrap());
        let expected = search(&[&direct], &query);
        prop_assert_eq!(&search(&[&from_rows], &query), &expected);
        prop_assert_eq!(&search(&[&from_segments], &query), &expected);
        prop_assert_eq!(from_segments.applied(), direct.applied());
    }
}
