//! What is found, in which order.

use athena_search::{
    DEFAULT_MIN_MATCH, Fusion, Ground, Ingredient, Kind, Mode, QueryVector, Recency, Recipe,
    VectorKind, Weights, search,
};

use crate::builders::{found, ids, index, item, lexical, query};

#[test]
fn rarer_words_and_shorter_texts_rank_higher() {
    let index = index(&[
        item(
            1,
            "the meeting about the budget and many more things nobody recalls",
        ),
        item(2, "budget meeting"),
        item(3, "meeting"),
        item(4, "meeting notes"),
        item(5, "nothing"),
    ]);
    assert_eq!(found(&index, "budget meeting"), [2, 1, 3, 4]);
}

#[test]
fn equal_scores_are_ordered_by_uid() {
    let mut items = vec![
        item(9, "same words"),
        item(3, "same words"),
        item(5, "same words"),
    ];
    assert_eq!(found(&index(&items), "same"), [3, 5, 9]);
    items.reverse();
    assert_eq!(found(&index(&items), "same"), [3, 5, 9]);
}

#[test]
fn a_long_text_is_found_by_its_best_passage() {
    let filler = "filler ".repeat(400);
    let index = index(&[
        item(
            1,
            &format!("{filler} the rotating secret handshake {filler}"),
        ),
        item(2, "something else"),
    ]);
    let answer = search(&[&index], &query("secret handshake"));
    assert_eq!(ids(&answer), [1]);
    assert!(answer.hits[0].passage > 0);
}

#[test]
fn filters_conjoin_groups_of_labels() {
    let index = index(&[
        item(1, "apple").label("type:fact").label("tag:a").time(10),
        item(2, "apple")
            .label("type:decision")
            .label("tag:a")
            .time(20),
        item(3, "apple")
            .label("type:fact")
            .label("tag:b")
            .state("labile")
            .time(30),
        item(4, "apple").time(40),
    ]);
    let check = |change: &dyn Fn(&mut athena_search::Filter), expected: &[i64]| {
        let mut query = query("apple");
        change(&mut query.filter);
        let answer = search(&[&index], &query);
        assert_eq!(ids(&answer), expected);
        assert_eq!(answer.summary.in_scope, expected.len());
        assert_eq!(answer.summary.items, 4);
    };
    let labels = |groups: &[&[&str]]| -> Vec<Vec<String>> {
        let owned = |group: &&[&str]| group.iter().map(|it| (*it).to_owned()).collect();
        groups.iter().map(owned).collect()
    };
    check(&|_| {}, &[1, 2, 3, 4]);
    check(&|filter| filter.labels = labels(&[&["type:fact"]]), &[1, 3]);
    check(
        &|filter| filter.labels = labels(&[&["type:fact", "type:decision"]]),
        &[1, 2, 3],
    );
    check(
        &|filter| filter.labels = labels(&[&["type:fact"], &["tag:b", "tag:c"]]),
        &[3],
    );
    check(&|filter| filter.labels = labels(&[&["tag:unknown"]]), &[]);
    check(&|filter| filter.labels = labels(&[&[]]), &[]);
    check(&|filter| filter.states = vec!["labile".to_owned()], &[3]);
    check(
        &|filter| filter.states = vec!["no such state".to_owned()],
        &[],
    );
    check(&|filter| filter.kinds = vec![Kind(2)], &[]);
    check(
        &|filter| filter.kinds = vec![Kind(2), Kind::MEMORY],
        &[1, 2, 3, 4],
    );
    check(&|filter| filter.after = Some(20), &[2, 3, 4]);
    check(&|filter| filter.before = Some(20), &[1]);
}

#[test]
fn filters_change_the_best_hit_but_not_the_statistics() {
    let index = index(&[
        item(1, "apple").label("tag:a"),
        item(2, "apple pie recipe").label("tag:b"),
        item(3, "pear").label("tag:b"),
    ]);
    let all = search(&[&index], &query("apple"));
    let mut filtered = query("apple");
    filtered.filter.labels = vec![vec!["tag:b".to_owned()]];
    let some = search(&[&index], &filtered);
    assert_eq!(some.hits[0].score, 1.0);
    assert!(all.hits[1].score < 1.0);
    assert_eq!(some.hits[0].keyword, all.hits[1].keyword);
    assert_eq!(some.hits[0].match_score, all.hits[1].match_score);
}

#[test]
fn several_indexes_share_statistics_and_the_best_hit() {
    let items = || {
        [
            item(1, "apple pie"),
            item(2, "apple"),
            item(3, "pear apple tart"),
            item(4, "plum"),
        ]
    };
    let [a, b, c, d] = items();
    let (left, right) = (index(&[a, c]), index(&[b, d]));
    let apart = search(&[&left, &right], &query("apple pie"));
    let together = search(&[&index(&items())], &query("apple pie"));
    assert_eq!(ids(&apart), ids(&together));
    let scores = |answer: &athena_search::Answer| -> Vec<f64> {
        answer.hits.iter().map(|hit| hit.score).collect()
    };
    assert_eq!(scores(&apart), scores(&together));
    let places: Vec<usize> = apart.hits.iter().map(|hit| hit.index).collect();
    assert_eq!(places, [0, 1, 0]);
    assert_eq!(search(&[], &query("apple")).hits, []);
}

#[test]
fn explicit_weights_are_divided_by_their_sum() {
    let index = index(&[
        item(1, "apple").vector(&[1.0, 0.0]),
        item(2, "pear").vector(&[0.6, 0.8]),
    ]);
    let mut query = query("apple");
    query.builtin = lexical(&[0.6, 0.8]);
    query.weights = Some(Weights {
        semantic: 7.0,
        keyword: 3.0,
    });
    let answer = search(&[&index], &query);
    assert_eq!(ids(&answer), [1, 2]);
    assert!((answer.hits[0].score - (0.7 * 0.6 + 0.3)).abs() < 1e-3);
    assert_eq!(answer.hits[1].score, 0.7);
    query.weights = Some(Weights {
        semantic: 0.0,
        keyword: f64::NAN,
    });
    let ruled = search(&[&index], &query);
    assert_eq!(
        ruled.summary.weights.unwrap().builtin,
        athena_search::WORDS_WEIGHT
    );
}

#[test]
fn an_arm_with_nothing_to_say_leaves_the_score_to_the_other() {
    let index = index(&[item(1, "apple").vector(&[1.0, 0.0]), item(2, "pear")]);
    let mut wordless = query("plum");
    wordless.builtin = lexical(&[1.0, 0.0]);
    assert_eq!(search(&[&index], &wordless).hits[0].score, 1.0);
    let mut away = query("apple");
    away.builtin = lexical(&[-1.0, 0.0]);
    assert_eq!(search(&[&index], &away).hits[0].score, 1.0);
    assert_eq!(search(&[&index], &query("apple")).hits[0].score, 1.0);
}

#[test]
fn modes_use_their_arm_alone() {
    let index = index(&[
        item(1, "apple").vector(&[0.0, 1.0]),
        item(2, "pear").vector(&[1.0, 0.0]),
    ]);
    let ask = |mode| {
        let mut query = query("apple");
        query.builtin = lexical(&[1.0, 0.0]);
        query.mode = mode;
        ids(&search(&[&index], &query))
    };
    assert_eq!(ask(Mode::Keyword), [1]);
    assert_eq!(ask(Mode::Semantic), [2]);
    assert_eq!(ask(Mode::Hybrid), [1, 2]);
}

#[test]
fn vectors_of_another_model_or_dimension_are_not_compared() {
    let index = index(&[item(1, "apple").vector(&[1.0, 0.0])]);
    for (model, values) in [(2, vec![1.0, 0.0]), (1, vec![1.0, 0.0, 0.0]), (1, vec![])] {
        let mut query = query("pear");
        query.vector = Some(QueryVector {
            model,
            values,
            kind: VectorKind::Model,
        });
        assert_eq!(search(&[&index], &query).hits, []);
    }
}

#[test]
fn rank_fusion_counts_places() {
    let index = index(&[
        item(1, "apple apple").vector(&[0.0, 1.0]),
        item(2, "apple and more words").vector(&[1.0, 0.0]),
        item(3, "none").vector(&[0.9, 0.1]),
    ]);
    let mut query = query("apple");
    query.builtin = lexical(&[1.0, 0.1]);
    query.fusion = Fusion::Rrf { k: 60 };
    let answer = search(&[&index], &query);
    let score = |id| {
        let hit = answer.hits.iter().find(|hit| hit.item.id == id);
        hit.map(|hit| hit.score)
    };
    let place = |n: f64| 0.5 * 61.0 / (60.0 + n);
    let near = |found: Option<f64>, expected: f64| (found.unwrap() - expected).abs() < 2e-7;
    assert!(near(score(1), place(1.0) + place(3.0)));
    assert!(near(score(2), place(2.0) + place(2.0)));
    assert!(near(score(3), place(1.0)));
    assert_eq!(answer.summary.weights, None);
}

#[test]
fn match_is_absolute_and_the_floor_cuts_it() {
    let index = index(&[
        item(1, "Caroline went to the support group on Sunday"),
        item(2, "Melanie painted a sunrise over the lake"),
        item(3, "Caroline likes pottery"),
    ]);
    let ask = |text: &str| {
        let mut query = query(text);
        query.min_score = Some(DEFAULT_MIN_MATCH);
        ids(&search(&[&index], &query))
    };
    assert_eq!(ask("When did Caroline go to the support group?")[0], 1);
    assert_eq!(ask("Which sunrise did she paint?"), [2]);
    assert_eq!(
        ask("What does the Kubernetes operator in Frankfurt do on Sunday?"),
        Vec::<i64>::new()
    );
    let loose = search(&[&index], &query("Kubernetes on Sunday"));
    assert_eq!(loose.hits[0].score, 1.0, "the score is relative");
    assert!(loose.hits[0].match_score < 0.4, "the match is not");
}

#[test]
fn a_store_of_one_memory_answers_a_question_about_it() {
    let index = index(&[item(1, "We decided to use PostgreSQL as the database")]);
    let mut query = query("which database did we choose?");
    query.min_score = Some(DEFAULT_MIN_MATCH);
    assert_eq!(ids(&search(&[&index], &query)), [1]);
}

#[test]
fn the_limit_counts_after_the_floor() {
    let index = index(&[
        item(1, "apple"),
        item(2, "apple tree"),
        item(3, "apple tree house"),
    ]);
    let mut query = query("apple");
    query.limit = 2;
    assert_eq!(ids(&search(&[&index], &query)), [1, 2]);
    query.limit = 0;
    let answer = search(&[&index], &query);
    assert_eq!((answer.hits.len(), answer.summary.candidates), (0, 3));
}

#[test]
fn empty_questions_and_empty_indexes_find_nothing() {
    let full = index(&[item(1, "apple")]);
    for text in ["", "   ", "?!", "🙂", "\u{0}"] {
        assert_eq!(found(&full, text), Vec::<i64>::new());
    }
    assert_eq!(found(&index(&[]), "apple"), Vec::<i64>::new());
    assert_eq!(
        found(&index(&[item(1, ""), item(2, "🙂")]), "apple"),
        Vec::<i64>::new()
    );
}

#[test]
fn stop_words_are_found_when_nothing_else_is_asked() {
    let index = index(&[item(1, "who are you"), item(2, "somebody")]);
    assert_eq!(found(&index, "who are you"), [1]);
}

/// A query with a model's vector.
fn model(text: &str, values: &[f32]) -> athena_search::Query {
    let mut query = query(text);
    query.vector = lexical(values);
    query.vector.as_mut().unwrap().kind = VectorKind::Model;
    query
}

#[test]
fn a_models_share_is_fixed_in_a_small_scope() {
    let index = index(&[
        item(1, "apple").vector(&[1.0, 0.0]),
        item(2, "pear").vector(&[0.0, 1.0]),
    ]);
    let answer = search(&[&index], &model("apple", &[0.5, 1.0]));
    assert_eq!(answer.summary.weights.unwrap().model, 0.6);
    assert_eq!(ids(&answer), [1, 2]);
}

#[test]
fn a_models_share_follows_how_far_each_arm_stands_out() {
    let share = |text: &str, items: &[(&str, [f32; 2])]| {
        let items: Vec<_> = (1..)
            .zip(items)
            .map(|(id, (text, vector))| item(id, text).vector(vector))
            .collect();
        let answer = search(&[&index(&items)], &model(text, &[1.0, 0.0]));
        answer.summary.weights.unwrap().model
    };
    let mut items = vec![("pear", [0.1_f32, 1.0]); 40];
    items[7] = ("apple", [1.0, 0.0]);
    // 39 equal cosines c and one of 1: z = √39 / √(2 ln 40); only one keyword hit: g = 1.
    let z = 39.0_f64.sqrt() / (2.0 * 40.0_f64.ln()).sqrt();
    let expected = (0.394 + 0.4 * z - 0.6_f64).clamp(0.0, 1.0);
    assert!((share("apple", &items) - expected).abs() < 1e-3);
    // Ten equal keyword hits: g = 0, the words stand out less.
    for place in &mut items[20..29] {
        place.0 = "apple";
    }
    assert!((share("apple", &items) - (0.394 + 0.4 * z).clamp(0.0, 1.0)).abs() < 1e-3);
    // Equal cosines: z = 0, and the keywords take all but what g leaves.
    let level = vec![("apple", [0.3_f32, 1.0]); 30];
    assert!((share("apple", &level) - 0.394).abs() < 1e-3);
}

#[test]
fn a_models_cosine_is_half_the_best_passage_and_half_the_whole() {
    let long = "word ".repeat(160);
    let mut two = item(1, &long).vector(&[1.0, 0.0]).records();
    if let athena_search::Record::Passage { vector, .. } = &mut two[1] {
        *vector = Some(crate::builders::vector(&[0.0, 1.0]));
    }
    let mut index = index(&[item(2, "other").vector(&[0.9, 0.435_89])]);
    crate::builders::apply(&mut index, two);
    let mut query = model("", &[1.0, 0.0]);
    query.mode = Mode::Semantic;
    let answer = search(&[&index], &query);
    // 0.5 · 1 + 0.5 · √½ is less than 0.9: an item of one mind beats one that only touches on it.
    assert_eq!(ids(&answer), [2, 1]);
    assert!(answer.hits[1].semantic.unwrap() > 0.9999);
    let ratio = (0.5 + 0.5 * 0.5_f64.sqrt()) / 0.9;
    assert!((answer.hits[1].score - ratio).abs() < 1e-3);
    query.builtin = lexical(&[1.0, 0.0]);
    query.vector = None;
    assert_eq!(ids(&search(&[&index], &query)), [1, 2]);
}

#[test]
fn new_and_useful_items_are_preferred_on_request() {
    let index = index(&[
        item(1, "apple").time(1_000),
        item(2, "apple").time(900).usefulness(1_000),
        item(3, "pear").time(1_000).usefulness(1_000),
    ]);
    let mut query = query("apple");
    assert_eq!(ids(&search(&[&index], &query)), [1, 2], "off by default");
    query.usefulness_weight = 0.5;
    query.explain = true;
    let answer = search(&[&index], &query);
    assert_eq!(ids(&answer), [2, 1], "and nothing is found by it alone");
    // 1 and 1 + 0.5 · 1, divided by 1.5
    assert_eq!(answer.summary.divided_by, 1.5);
    assert_eq!(answer.hits[1].score, 0.666_666_7);
    query.recency = Some(Recency {
        weight: 0.4,
        half_life: 50,
        now: 1_000,
    });
    query.usefulness_weight = f64::NAN;
    let answer = search(&[&index], &query);
    assert_eq!(ids(&answer), [1, 2]);
    let parts = &answer.hits[1].explain.as_ref().unwrap().parts;
    // Two half-lives: 0.4 · ¼.
    assert_eq!(parts[1].part, Ground::Recency);
    assert!((parts[1].value - 0.25).abs() < 1e-12);
    assert_eq!(answer.summary.divided_by, 1.4);
}

#[test]
fn a_models_vector_joins_the_words_and_the_built_in_one() {
    let mut index = index(&[
        item(1, "apple").vector(&[1.0, 0.0]),
        item(2, "pear").vector(&[0.6, 0.8]),
    ]);
    let models = |id, values: &[f32]| athena_search::Record::Vector {
        item: crate::builders::memory(id),
        n: 0,
        vector: athena_search::StoredVector::new(2, values).unwrap(),
    };
    crate::builders::apply(
        &mut index,
        vec![models(1, &[0.6, 0.8, 0.0]), models(2, &[0.8, 0.6, 0.0])],
    );
    let mut query = query("apple");
    query.builtin = Some(QueryVector {
        model: 1,
        values: vec![0.6, 0.8],
        kind: VectorKind::Table,
    });
    query.vector = Some(QueryVector {
        model: 2,
        values: vec![0.0, 1.0, 0.0],
        kind: VectorKind::Model,
    });
    let answer = search(&[&index], &query);
    // The table: 0.6 for the first, 1 for the second. H = 0.4 · 0.6 + 0.6 · 1 = 0.84 and 0.4.
    // The model: 0.8 and 0.6. F = 0.6 · 1 + 0.4 · 1 and 0.6 · 0.75 + 0.4 · 0.4 / 0.84.
    assert_eq!(ids(&answer), [1, 2]);
    assert!((answer.hits[0].score - 1.0).abs() < 1e-3);
    assert!((answer.hits[1].score - (0.45 + 0.16 / 0.84)).abs() < 5e-3);
    let shares = answer.summary.weights.unwrap();
    assert_eq!((shares.model, shares.builtin), (0.6, 0.4 * 0.4));
    query.weights = Some(Weights {
        semantic: 0.7,
        keyword: 0.3,
    });
    let shares = search(&[&index], &query).summary.weights.unwrap();
    assert_eq!(
        (shares.model, shares.builtin, shares.keyword),
        (0.7, 0.0, 1.0 - 0.7)
    );
    query.vector = None;
    let shares = search(&[&index], &query).summary.weights.unwrap();
    assert_eq!((shares.model, shares.builtin), (0.0, 0.7));
}

#[test]
fn parts_can_be_left_out_and_stages_timed() {
    let index = index(&[item(1, "apple").vector(&[1.0, 0.0])]);
    let mut query = query("pear");
    query.builtin = lexical(&[1.0, 0.0]);
    assert_eq!(search(&[&index], &query).hits.len(), 1);
    query.recipe = Recipe::default().without(Ingredient::Builtin);
    query.explain = true;
    let answer = search(&[&index], &query);
    assert_eq!(
        (answer.hits.len(), answer.summary.without_vector),
        (0, Some(0))
    );
    assert_eq!(answer.summary.micros, None);
    query.clock = Some(|| {
        use std::sync::atomic::{AtomicU64, Ordering};
        static TICKS: AtomicU64 = AtomicU64::new(0);
        std::time::Duration::from_micros(TICKS.fetch_add(5, Ordering::Relaxed))
    });
    let micros = search(&[&index], &query).summary.micros.unwrap();
    assert_eq!((micros.keywords, micros.vectors, micros.fusion), (5, 5, 5));
}
