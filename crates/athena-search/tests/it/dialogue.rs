//! What turns of a conversation say for each other, with the arithmetic written out.
//!
//! The words are arranged such that one turn is the only one with the asked word: its score by the
//! arms is 1, everybody else's 0. All numbers are units of 1e-7.

use athena_search::{
    Answer, Arm, Fusion, Ground, Hit, Index, Ingredient, Mode, Query, Recipe, search,
};

use crate::builders::{Item, ids, index, item, lexical, query, units};

/// The first of May 2023, in microseconds.
const MAY: i64 = 1_682_899_200_000_000;
const DAY: i64 = 86_400_000_000;

fn turn(id: i64, speaker: &str, text: &str) -> Item {
    item(id, text)
        .label("session:s")
        .label(&format!("speaker:{speaker}"))
        .position(id)
        .time(MAY)
}

/// Seven turns, the fourth of which says "apple".
fn conversation() -> Vec<Item> {
    (1..8)
        .map(|id| turn(id, "Maya", if id == 4 { "apple" } else { "pear" }))
        .collect()
}

fn explained(text: &str) -> Query {
    Query {
        explain: true,
        ..query(text)
    }
}

/// What each ground adds to an item before scores are divided, in units.
fn added(answer: &Answer, id: i64) -> Vec<(Ground, i64)> {
    let parts = &explain(answer, id).parts;
    parts
        .iter()
        .map(|part| (part.part, units(part.weight * part.value)))
        .filter(|(_, units)| *units > 0)
        .collect()
}

fn hit(answer: &Answer, id: i64) -> &Hit {
    answer.hits.iter().find(|hit| hit.item.id == id).unwrap()
}

fn explain(answer: &Answer, id: i64) -> &athena_search::Explain {
    hit(answer, id).explain.as_ref().unwrap()
}

fn without(ingredients: &[Ingredient]) -> Recipe {
    let all = ingredients.iter().copied();
    all.fold(Recipe::default(), Recipe::without)
}

/// Only what one ground adds.
fn only(index: &Index, text: &str, wanted: Ingredient) -> Answer {
    let others = [
        Ingredient::Neighbours,
        Ingredient::Session,
        Ingredient::Statement,
        Ingredient::Date,
        Ingredient::Speaker,
        Ingredient::Role,
    ];
    let left_out: Vec<Ingredient> = others.into_iter().filter(|it| *it != wanted).collect();
    let query = Query {
        recipe: without(&left_out),
        ..explained(text)
    };
    search(&[index], &query)
}

#[test]
fn neighbours_get_a_part_of_a_turns_score() {
    let answer = only(&index(&conversation()), "apple", Ingredient::Neighbours);
    assert_eq!(ids(&answer), [4, 5, 3, 2, 6]);
    assert_eq!(added(&answer, 4), [(Ground::Keyword, 10_000_000)]);
    assert_eq!(added(&answer, 5), [(Ground::Previous, 3_000_000)]);
    assert_eq!(added(&answer, 3), [(Ground::Next, 2_000_000)]);
    assert_eq!(added(&answer, 2), [(Ground::Near, 1_000_000)]);
    assert_eq!(added(&answer, 6), [(Ground::Near, 1_000_000)]);
    assert_eq!(explain(&answer, 4).found_by, [Arm::Keyword]);
    assert_eq!(explain(&answer, 5).found_by, [Arm::Dialogue]);
    assert!(answer.summary.dialogue);
    assert_eq!(answer.summary.divided_by, 1.0);
}

#[test]
fn neighbours_do_not_pass_on_what_they_got() {
    let mut items = conversation();
    items[4] = turn(5, "Maya", "apple");
    let answer = only(&index(&items), "apple", Ingredient::Neighbours);
    // Two equal turns of 1: the fourth gets 0.2 of the fifth, the fifth 0.3 of the fourth.
    assert_eq!(hit(&answer, 5).score, 1.0);
    assert_eq!(answer.summary.divided_by, 1.3);
    assert_eq!(
        added(&answer, 4),
        [(Ground::Keyword, 10_000_000), (Ground::Next, 2_000_000)]
    );
    // 12 000 000 / 1.3
    assert_eq!(hit(&answer, 4).score, 0.923_076_9);
    // Of the fifth 0.3 · 1, of the fourth 0.1 · 1.
    assert_eq!(
        added(&answer, 6),
        [(Ground::Previous, 3_000_000), (Ground::Near, 1_000_000)]
    );
}

#[test]
fn a_long_turn_gets_less_of_its_neighbours() {
    let mut items = conversation();
    items[4] = turn(5, "Maya", &"pear ".repeat(100));
    let answer = only(&index(&items), "apple", Ingredient::Neighbours);
    // 40 words of 100: 0.4 · 0.3
    assert_eq!(added(&answer, 5), [(Ground::Previous, 1_200_000)]);
    assert_eq!(added(&answer, 6), [(Ground::Near, 1_000_000)]);
}

#[test]
fn a_turn_that_tells_weighs_more_than_one_that_asks() {
    let asked = turn(1, "Maya", "apple").label("said:question");
    let items = vec![asked, turn(2, "Tom", "apple"), turn(3, "Maya", "pear")];
    let answer = only(&index(&items), "apple", Ingredient::Statement);
    let keyword = (Ground::Keyword, 10_000_000);
    assert_eq!(added(&answer, 1), [keyword]);
    assert_eq!(added(&answer, 2), [keyword, (Ground::Statement, 1_000_000)]);
    assert_eq!(ids(&answer), [2, 1], "to tell is not to be found");
    let mut items = items;
    items.push(turn(4, "Ada", "plum").label("role:assistant"));
    let chat = only(&index(&items), "apple", Ingredient::Statement);
    assert_eq!(added(&chat, 2), [keyword], "with an assistant");
}

#[test]
fn every_turn_gets_a_part_of_its_sessions_three_best() {
    let mut items = conversation();
    let alone = item(9, "apple").label("session:t").label("speaker:Maya");
    items.push(alone);
    let answer = only(&index(&items), "apple", Ingredient::Session);
    let keyword = (Ground::Keyword, 10_000_000);
    // 0.2 · (1 + 0 + 0) / 3
    assert_eq!(added(&answer, 4), [keyword, (Ground::Session, 666_667)]);
    // A session of one turn: 0.2 · 1 / 1
    assert_eq!(added(&answer, 9), [keyword, (Ground::Session, 2_000_000)]);
    // A turn that nothing but the session speaks for is no hit.
    assert!(!ids(&answer).contains(&1));
}

#[test]
fn the_users_words_weigh_more_than_an_assistants() {
    let said = |id, role: &str, text| turn(id, role, text).label(&format!("role:{role}"));
    let mut items = vec![
        said(1, "user", "pear"),
        said(2, "assistant", "apple"),
        said(3, "user", "apple"),
    ];
    let answer = only(&index(&items), "the user's apple", Ingredient::Role);
    let keyword = (Ground::Keyword, 10_000_000);
    assert_eq!(added(&answer, 3), [keyword, (Ground::User, 4_000_000)]);
    assert_eq!(added(&answer, 2), [keyword]);
    assert_eq!(ids(&answer), [3, 2], "the first was not asked for");
    items.remove(1);
    let alone = only(&index(&items), "apple", Ingredient::Role);
    assert_eq!(added(&alone, 3), [keyword], "nobody assists");
    let speaker = only(&index(&items), "apple user", Ingredient::Speaker);
    assert_eq!(added(&speaker, 3), [keyword], "a role is no name");
}

#[test]
fn a_named_date_finds_the_turns_of_its_days() {
    let at = |id, day| turn(id, "Maya", "pear").time(MAY + day * DAY);
    let mut items = vec![
        at(1, 0),
        at(2, 6),
        at(3, 13),
        at(4, 14),
        at(5, 35),
        at(6, 70),
    ];
    items.push(turn(7, "Maya", "apple").time(MAY - 400 * DAY));
    let answer = only(&index(&items), "apple on 7 May 2023", Ingredient::Date);
    // 0.3 · 0.7 in May before the seventh, 0.3 · 1.5 in the week from it, 0.3 · 0.4 in June.
    assert_eq!(added(&answer, 1), [(Ground::Date, 2_100_000)]);
    assert_eq!(added(&answer, 2), [(Ground::Date, 4_500_000)]);
    assert_eq!(added(&answer, 3), [(Ground::Date, 4_500_000)]);
    assert_eq!(added(&answer, 4), [(Ground::Date, 2_100_000)]);
    assert_eq!(added(&answer, 5), [(Ground::Date, 1_200_000)]);
    assert_eq!(ids(&answer), [7, 2, 3, 1, 4, 5], "July is not asked for");
    assert_eq!(explain(&answer, 2).found_by, [Arm::Dialogue]);
    let month = only(&index(&items), "apple in May 2023", Ingredient::Date);
    assert_eq!(added(&month, 2), [(Ground::Date, 3_000_000)]);
    let year = only(&index(&items), "apple in 2023", Ingredient::Date);
    assert_eq!(added(&year, 6), [(Ground::Date, 900_000)]);
}

#[test]
fn a_named_speaker_weighs_more() {
    let items = vec![
        turn(1, "Maya Okafor", "apple"),
        turn(2, "Tom", "apple"),
        turn(3, "Maya Okafor", "pear"),
    ];
    let answer = only(
        &index(&items),
        "Which apple did maya eat?",
        Ingredient::Speaker,
    );
    assert_eq!(
        added(&answer, 1)[1..],
        [(Ground::Speaker, 2_000_000)],
        "one name is enough"
    );
    assert_eq!(added(&answer, 2).len(), 1);
    assert_eq!(ids(&answer), [1, 2], "to be named is not to be found");
}

#[test]
fn all_terms_come_in_their_order() {
    let said = |id, role: &str, text| turn(id, role, text).label(&format!("role:{role}"));
    let items = vec![
        said(1, "user", "apple in May"),
        said(2, "assistant", "pear"),
    ];
    let answer = search(&[&index(&items)], &explained("apple in May"));
    // The user's turn: 1 + 0.4 = 1.4; the answer to it 0.3 · 1.4 = 0.42.
    // The session: 0.2 · (1.4 + 0.42) / 2 = 0.182. Both are of May: 0.3 each.
    assert_eq!(
        added(&answer, 1),
        [
            (Ground::Keyword, 10_000_000),
            (Ground::User, 4_000_000),
            (Ground::Session, 1_820_000),
            (Ground::Date, 3_000_000),
        ]
    );
    assert_eq!(
        added(&answer, 2),
        [
            (Ground::Previous, 4_200_000),
            (Ground::Session, 1_820_000),
            (Ground::Date, 3_000_000),
        ]
    );
    assert_eq!(answer.summary.divided_by, 1.882);
    assert_eq!(hit(&answer, 1).score, 1.0);
    // 0.902 / 1.882
    assert_eq!(hit(&answer, 2).score, 0.479_277_4);
}

#[test]
fn turns_are_ordered_by_position_or_else_by_time() {
    let at = |id: i64, position, time| {
        let text = if id == 1 { "apple" } else { "pear" };
        let placed = turn(id, "Maya", text).time(time);
        match position {
            Some(position) => placed.position(position),
            None => placed.unplaced(),
        }
    };
    let after = |items: &[Item]| {
        let answer = only(&index(items), "apple", Ingredient::Neighbours);
        let follows = |hit: &&Hit| added(&answer, hit.item.id)[0].0 == Ground::Previous;
        answer.hits.iter().find(follows).map(|hit| hit.item.id)
    };
    let positions = [at(1, Some(5), 9), at(2, Some(6), 3), at(3, Some(7), 10)];
    assert_eq!(after(&positions), Some(2));
    let times = [at(1, Some(5), 9), at(2, None, 3), at(3, Some(7), 10)];
    assert_eq!(after(&times), Some(3), "one has no position");
    let neither = [at(1, None, 9), at(2, None, 9), at(3, None, 9)];
    assert_eq!(after(&neither), Some(2), "then by uid");
}

#[test]
fn sessions_are_apart() {
    let elsewhere = |id, text| item(id, text).label("session:t").label("speaker:Tom");
    let items = [
        turn(1, "Maya", "pear"),
        turn(2, "Maya", "apple"),
        elsewhere(3, "pear").position(3),
    ];
    let answer = only(&index(&items), "apple", Ingredient::Neighbours);
    assert_eq!(ids(&answer), [2, 1]);
}

#[test]
fn turns_outside_the_filters_keep_their_place_and_stay_silent() {
    let mut items = conversation();
    items[3] = turn(4, "Tom", "apple");
    items[4] = turn(5, "Maya", "apple pear");
    let mut query = explained("apple");
    query.filter.labels = vec![vec!["speaker:Maya".to_owned()]];
    query.recipe = without(&[Ingredient::Session, Ingredient::Statement]);
    let answer = search(&[&index(&items)], &query);
    assert_eq!(ids(&answer), [5, 6, 3, 7]);
    assert_eq!(added(&answer, 5), [(Ground::Keyword, 10_000_000)]);
    assert_eq!(added(&answer, 3), [(Ground::Near, 1_000_000)]);
}

#[test]
fn only_conversations_have_context() {
    let index = index(&conversation());
    let ask = |change: &dyn Fn(&mut Query)| {
        let mut query = query("apple");
        query.builtin = lexical(&[1.0, 0.0]);
        change(&mut query);
        search(&[&index], &query)
    };
    assert!(ask(&|_| ()).summary.dialogue);
    assert!(ask(&|query| query.mode = Mode::Keyword).summary.dialogue);
    assert!(!ask(&|query| query.mode = Mode::Semantic).summary.dialogue);
    assert!(
        !ask(&|query| query.fusion = Fusion::Rrf { k: 60 })
            .summary
            .dialogue
    );
    let left_out = ask(&|query| query.recipe = without(&[Ingredient::Dialogue]));
    assert_eq!(ids(&left_out), [4]);
}

#[test]
fn notes_of_a_session_are_no_turns_and_few_turns_make_no_conversation() {
    let note = |id, text| item(id, text).label("session:s").position(id);
    let notes = [note(1, "apple"), note(2, "pear")];
    assert_eq!(ids(&search(&[&index(&notes)], &query("apple"))), [1]);
    let mut mixed: Vec<_> = (1..10).map(|id| turn(id, "Maya", "apple")).collect();
    mixed.push(note(10, "plum"));
    assert!(search(&[&index(&mixed)], &query("apple")).summary.dialogue);
    mixed.push(note(11, "plum"));
    assert!(!search(&[&index(&mixed)], &query("apple")).summary.dialogue);
}

#[test]
fn a_change_is_seen_by_the_next_question() {
    let mut index = index(&conversation());
    let before = only(&index, "apple", Ingredient::Neighbours);
    crate::builders::apply(&mut index, turn(8, "Maya", "apple").position(0).records());
    let after = only(&index, "apple", Ingredient::Neighbours);
    assert_eq!((before.hits.len(), after.hits.len()), (5, 7));
    assert_eq!(added(&after, 1), [(Ground::Previous, 3_000_000)]);
}
