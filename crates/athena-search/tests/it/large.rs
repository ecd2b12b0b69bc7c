//! Scopes too large to score every item: what is found is what an exhaustive search finds.

use std::collections::HashSet;

use athena_search::segment::{Chunk, ChunkKind, Segment};
use athena_search::{
    Index, Ingredient, Mode, Query, QueryVector, Recipe, Record, StoredVector, VectorKind, WHOLE,
    search,
};

use crate::builders::{apply, ids, item, lexical, memory};

const ITEMS: i64 = 24_000;
const DIMENSION: usize = 128;
const TOPICS: i64 = 300;

/// Numbers that look random, the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let bits = u16::try_from(self.0 >> 48).unwrap();
        f32::from(bits) / 32_768.0 - 1.0
    }
}

fn direction(seed: u64) -> Vec<f32> {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    for _ in 0..3 {
        dice.roll();
    }
    (0..DIMENSION).map(|_| dice.roll()).collect()
}

/// A vector near that of its topic, with what all have in common.
fn near(topic: i64, seed: u64) -> Vec<f32> {
    let topic = direction(topic.cast_unsigned() + 1);
    let own = direction(seed + 1_000_000);
    let pairs = topic.iter().zip(&own);
    pairs.map(|(topic, own)| 1.0 + topic + 0.5 * own).collect()
}

fn words(topic: i64, id: i64) -> String {
    format!(
        "note {} about topic{topic} and colour{} thing{}",
        id % 7,
        id % 50,
        id % 1_013
    )
}

fn records(id: i64) -> Vec<Record> {
    let topic = id % TOPICS;
    let (half, part) = (format!("half:{}", id % 2), format!("part:{}", id % 20));
    item(id, &words(topic, id))
        .label(&half)
        .label(&part)
        .vector(&near(topic, id.cast_unsigned()))
        .records()
}

/// Three sealed segments, some items gone, some told anew, and a tail.
fn index() -> Index {
    let mut index = Index::new();
    let mut seq = 0;
    for part in 0..3 {
        let from = part * (ITEMS / 3);
        let own = (from..from + ITEMS / 3).flat_map(records);
        let segment = Segment::build(seq + 1, seq + ITEMS, own).unwrap();
        seq += ITEMS;
        let chunks = segment.chunks();
        let read = Segment::from_chunks(segment.first_seq(), segment.last_seq(), chunks);
        index.attach(read.unwrap());
    }
    for id in (0..ITEMS).step_by(97) {
        index.apply(index.applied() + 1, Record::Remove { item: memory(id) });
    }
    for id in (0..ITEMS).step_by(61).chain(ITEMS..ITEMS + 400) {
        for record in records(id) {
            index.apply(index.applied() + 1, record);
        }
    }
    index
}

fn question(at: i64, mode: Mode) -> Query {
    let topic = at * 7 % TOPICS;
    Query {
        text: format!(
            "which topic{topic} has colour{} thing{}",
            at % 50,
            at % 1_013
        ),
        vector: Some(QueryVector {
            model: 1,
            values: near(topic, 5_000_000 + at.cast_unsigned()),
            kind: VectorKind::Model,
        }),
        mode,
        limit: 10,
        ..Query::default()
    }
}

#[test]
fn a_first_look_misses_next_to_nothing() {
    let index = index();
    assert!(index.len() > 2_000);
    for mode in [Mode::Keyword, Mode::Semantic, Mode::Hybrid] {
        let (mut found, mut wanted) = (0, 0);
        for at in 0..40 {
            let mut query = question(at, mode);
            let fast = search(&[&index], &query);
            query.exact = true;
            let exact = search(&[&index], &query);
            assert!(fast.summary.candidates < exact.summary.candidates || mode == Mode::Keyword);
            let fast_ids = ids(&fast);
            assert_eq!(fast_ids.len(), 10);
            wanted += exact.hits.len();
            found += ids(&exact)
                .iter()
                .filter(|id| fast_ids.contains(id))
                .count();
            if mode != Mode::Hybrid {
                // Items that both find have the same scores; the best one is the same.
                assert_eq!(fast.hits[0], exact.hits[0]);
            }
            if mode == Mode::Keyword {
                assert_eq!(fast.hits, exact.hits);
            }
        }
        assert!(found * 100 >= wanted * 99, "{mode:?}: {found} of {wanted}");
    }
}

#[test]
fn a_question_reads_little_of_a_segment() {
    let records = (0..ITEMS).flat_map(records);
    let segment = Segment::build(1, ITEMS, records).unwrap();
    let chunks = segment.chunks();
    let first = chunks
        .iter()
        .filter(|it| ChunkKind::FIRST.contains(&it.kind));
    let mut index = Index::new();
    index.attach(Segment::open(1, ITEMS, first.cloned().collect()).unwrap());
    let all = index.absent();
    let mut whole = Index::new();
    whole.attach(segment);
    for (mode, kind) in [
        (Mode::Keyword, ChunkKind::Words),
        (Mode::Semantic, ChunkKind::Components),
    ] {
        let query = question(3, mode);
        let mut brought = HashSet::new();
        let found = loop {
            let answer = search(&[&index], &query);
            let wanted = index.wanted();
            if wanted.is_empty() {
                break answer;
            }
            for absent in wanted {
                let is_wanted = |it: &&Chunk| (it.kind, it.part) == (absent.kind, absent.part);
                let chunk = chunks.iter().find(is_wanted).unwrap();
                index.bring(1, chunk).unwrap();
                assert!(brought.insert(absent), "nothing is asked for twice");
            }
        };
        assert_eq!(found, search(&[&whole], &query));
        assert!(brought.iter().all(|absent| absent.kind == kind));
        let all = all.iter().filter(|absent| absent.kind == kind).count();
        let brought = brought.len();
        assert!(
            brought > 0 && brought * 2 < all,
            "{brought} of {all} of {kind:?}"
        );
    }
}

#[test]
fn filters_lose_next_to_nothing() {
    let index = index();
    let (mut found, mut wanted) = (0, 0);
    for at in 0..20 {
        let mut query = question(at, Mode::Semantic);
        query.filter.labels = vec![vec![format!("half:{}", at % 2)]];
        let by_codes = ids(&search(&[&index], &query));
        query.exact = true;
        let exact = ids(&search(&[&index], &query));
        wanted += exact.len();
        found += exact.iter().filter(|id| by_codes.contains(id)).count();

        query.filter.labels = vec![vec![format!("part:{}", at % 20)]];
        let exact = search(&[&index], &query);
        query.exact = false;
        let of_few = search(&[&index], &query);
        assert_eq!(of_few.hits, exact.hits, "few items are all compared");
        query
            .filter
            .labels
            .push(vec!["nothing:has-this".to_owned()]);
        assert!(search(&[&index], &query).hits.is_empty());
    }
    assert!(found * 100 >= wanted * 99, "{found} of {wanted}");
}

#[test]
fn the_built_in_vector_finds_what_has_none_of_the_model() {
    let mut index = Index::new();
    for id in 0..3_000 {
        apply(&mut index, records(id));
        let record = Record::Vector {
            item: memory(id),
            n: WHOLE,
            vector: StoredVector::new(2, &near(id % TOPICS, id.cast_unsigned())).unwrap(),
        };
        apply(&mut index, vec![record]);
    }
    let told_just_now = item(9_000, "something else").vector(&direction(77));
    let query = Query {
        builtin: lexical(&direction(77)),
        vector: Some(QueryVector {
            model: 2,
            ..question(1, Mode::Hybrid).vector.unwrap()
        }),
        // The rule might leave everything to the model, which ranks it last.
        recipe: Recipe::default().without(Ingredient::Rule),
        limit: 4_000,
        ..question(1, Mode::Hybrid)
    };
    let finds_it = |index: &Index| ids(&search(&[index], &query)).contains(&9_000);
    assert!(!finds_it(&index));
    apply(&mut index, told_just_now.records());
    assert!(finds_it(&index));
}
