//! Against a scorer that looks at every item, one word after the other.
#![expect(clippy::cast_possible_truncation, reason = "a test has few rows")]

use proptest::prelude::*;

use super::{Scored, Scoring, Scratch, SegmentView, Word, score_all, score_items, top_k};
use crate::bm25::{Gain, length_norm, saturation};
use crate::postings::{Dictionary, DictionaryBuilder, List, Rows};

/// A small generator: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// Small numbers far more often than large ones.
    fn skewed(&mut self, end: u64) -> u64 {
        let range = self.below(end) + 1;
        let range = self.below(range) + 1;
        self.below(range)
    }
}

/// A segment as columns and, for each word, its rows.
#[derive(Default)]
struct Segment {
    row_item: Vec<u32>,
    row_len: Vec<u32>,
    item_len: Vec<u32>,
    words: Vec<Vec<(u32, u32)>>,
    passes: Option<Vec<u64>>,
    bytes: Option<Vec<u8>>,
    lone: Option<Vec<u8>>,
}

impl Segment {
    fn random(random: &mut Random, items: u64, words: u64, passages: u64) -> Self {
        let mut segment = Self {
            words: vec![Vec::new(); words as usize],
            ..Self::default()
        };
        for _ in 0..items {
            let texts = (0..=random.skewed(passages)).map(|_| {
                let count = random.skewed(12);
                (0..count).map(|_| random.skewed(words)).collect()
            });
            let texts: Vec<Vec<u64>> = texts.collect();
            segment.push(&texts, random.below(3));
        }
        segment
    }

    /// Adds an item; some of its words have no length, as stop words do not.
    fn push(&mut self, passages: &[Vec<u64>], stop_words: u64) {
        let item = self.item_len.len() as u32;
        self.item_len.push(0);
        for passage in passages {
            let row = self.row_item.len() as u32;
            let len = (passage.len() as u64).saturating_sub(stop_words) as u32;
            self.row_item.push(item);
            self.row_len.push(len);
            self.item_len[item as usize] += len;
            let mut sorted = passage.clone();
            sorted.sort_unstable();
            for same in sorted.chunk_by(|a, b| a == b) {
                self.words[same[0] as usize].push((row, same.len() as u32));
            }
        }
    }

    fn rows(&self) -> Rows<'_> {
        Rows {
            item: &self.row_item,
            len: &self.row_len,
            item_len: &self.item_len,
        }
    }

    fn seal(&mut self) {
        let mut builder = DictionaryBuilder::new(self.rows());
        for (word, list) in self.words.iter().enumerate() {
            builder.push(&format!("{word:06}"), list).unwrap();
        }
        let bytes = builder.finish().unwrap();
        Dictionary::open(&bytes).unwrap().check().unwrap();
        self.bytes = Some(bytes);
        self.lone = Some(self.rows().lone_lengths());
    }

    fn filter(&mut self, random: &mut Random, percent: u64) {
        let mut passes = vec![0; self.item_len.len().div_ceil(64)];
        for item in 0..self.item_len.len() {
            passes[item / 64] |= u64::from(random.below(100) < percent) << (item % 64);
        }
        self.passes = Some(passes);
    }

    fn list(&self, word: usize) -> Option<List<'_>> {
        match &self.bytes {
            Some(bytes) => {
                let dictionary = Dictionary::open(bytes).unwrap();
                Some(dictionary.get(&format!("{word:06}"))?.list)
            }
            None => self.words.get(word).map(|list| List::Plain(list)),
        }
    }

    fn view(&self, words: &[usize]) -> SegmentView<'_> {
        SegmentView {
            rows: self.rows(),
            passes: self.passes.as_deref(),
            lists: words.iter().map(|word| self.list(*word)).collect(),
            lone: self.lone.as_deref(),
        }
    }
}

struct Corpus {
    segments: Vec<Segment>,
}

/// A query: words with their weights, and the averages.
struct Asked {
    words: Vec<usize>,
    weights: Vec<Word>,
    whole_average: f64,
    passage_average: f64,
}

impl Asked {
    fn random(random: &mut Random, count: u64, words: u64) -> Self {
        let mut asked: Vec<usize> = (0..count).map(|_| random.skewed(words) as usize).collect();
        asked.sort_by_key(|word| (word * 7919) % 1009);
        asked.dedup();
        let mut weight = || (random.below(1000) + 1) as f64 / 173.0;
        let weights = asked.iter().map(|_| Word {
            whole: weight(),
            passage: weight(),
            toward_match: weight(),
        });
        Self {
            weights: weights.collect(),
            words: asked,
            whole_average: (random.below(200) + 1) as f64 / 7.0,
            passage_average: (random.below(100) + 1) as f64 / 7.0,
        }
    }

    fn scoring(&self) -> Scoring {
        Scoring::new(
            self.weights.clone(),
            self.whole_average,
            self.passage_average,
        )
    }
}

impl Corpus {
    fn views(&self, asked: &Asked) -> Vec<SegmentView<'_>> {
        self.segments
            .iter()
            .map(|it| it.view(&asked.words))
            .collect()
    }

    /// Every item's score, in the order of segments and items.
    fn oracle(&self, asked: &Asked) -> Vec<Scored> {
        let mut all = Vec::new();
        for (number, segment) in self.segments.iter().enumerate() {
            for item in 0..segment.item_len.len() as u32 {
                let bit = |passes: &Vec<u64>| passes[item as usize / 64] >> (item % 64) & 1 == 1;
                if segment.passes.as_ref().is_none_or(bit) {
                    all.extend(segment.oracle(asked, number, item));
                }
            }
        }
        all
    }
}

impl Segment {
    fn oracle(&self, asked: &Asked, segment: usize, item: u32) -> Option<Scored> {
        let rows: Vec<u32> = (0..self.row_item.len() as u32)
            .skip(self.row_item.partition_point(|other| *other < item))
            .take_while(|row| self.row_item[*row as usize] == item)
            .collect();
        let count = |word: usize, row: u32| {
            let list = &self.words[word];
            let at = list.binary_search_by_key(&row, |(row, _)| *row);
            at.map_or(0, |at| list[at].1)
        };
        let gain = |weight: f64, word: &Word, saturation: f64| Gain {
            score: weight * saturation,
            toward_match: word.toward_match * saturation,
        };
        let mut whole = Gain::default();
        let mut passages = vec![Gain::default(); rows.len()];
        for (&word, weights) in asked.words.iter().zip(&asked.weights) {
            let mut sum = 0_u32;
            for (&row, passage) in rows.iter().zip(&mut passages) {
                let norm = length_norm(self.row_len[row as usize], asked.passage_average);
                let tf = count(word, row);
                *passage += gain(weights.passage, weights, saturation(tf, norm));
                sum = sum.saturating_add(tf);
            }
            let norm = length_norm(self.item_len[item as usize], asked.whole_average);
            whole += gain(weights.whole, weights, saturation(sum, norm));
        }
        let mut best = 0;
        for (place, passage) in passages.iter().enumerate() {
            if passage.score > passages[best].score {
                best = place;
            }
        }
        let total = whole.halves(passages[best]);
        (total.score > 0.0).then_some(Scored {
            segment,
            item,
            row: rows[best],
            score: total.score,
            toward_match: total.toward_match,
        })
    }
}

/// What `top_k` must give, from all.
fn best_of(mut all: Vec<Scored>, k: usize, margin: f64) -> Vec<Scored> {
    all.sort_by(|a, b| b.score.total_cmp(&a.score));
    if k == 0 {
        all.clear();
    } else if let Some(kth) = all.get(k - 1) {
        let least = kth.score - margin * all[0].score;
        all.retain(|it| it.score >= least);
    }
    all
}

fn check(corpus: &Corpus, asked: &Asked, scratch: &mut Scratch) {
    let (scoring, views) = (asked.scoring(), corpus.views(asked));
    let all = corpus.oracle(asked);
    let mut scored = Vec::new();
    score_all(&scoring, &views, scratch, |it| scored.push(it));
    assert_eq!(scored, all);
    for (k, margin) in [
        (0, 0.0),
        (1, 0.0),
        (10, 0.0),
        (10, 0.02),
        (300, 0.0),
        (usize::MAX, 0.0),
    ] {
        let best = best_of(all.clone(), k, margin);
        assert_eq!(top_k(&scoring, &views, k, margin, scratch), best, "k = {k}");
    }
    for (number, segment) in corpus.segments.iter().enumerate() {
        let items: Vec<u32> = (0..segment.item_len.len() as u32 + 9)
            .rev()
            .step_by(3)
            .collect();
        let of = |it: &&Scored| it.segment == number && items.contains(&it.item);
        let expected: Vec<Scored> = all.iter().filter(of).copied().collect();
        assert_eq!(
            score_items(&scoring, &views, number, &items, scratch),
            expected
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_best_are_those_of_an_exhaustive_search(
        seed in 1_u64..u64::MAX,
        sizes in prop::collection::vec(prop_oneof![0_u64..40, 100_u64..900], 1..4),
        passages in 1_u64..7,
        words in prop_oneof![1_u64..20, 100_u64..400],
        asked in 1_u64..9,
        filter in prop::option::of(0_u64..101),
    ) {
        let random = &mut Random(seed);
        let mut segments: Vec<Segment> = sizes
            .iter()
            .map(|items| Segment::random(random, *items, words, passages))
            .collect();
        let sealed = segments.len() - 1;
        segments[..sealed].iter_mut().for_each(Segment::seal);
        if let Some(percent) = filter {
            segments.iter_mut().for_each(|it| it.filter(random, percent));
        }
        let corpus = Corpus { segments };
        let scratch = &mut Scratch::default();
        for _ in 0..3 {
            check(&corpus, &Asked::random(random, asked, words), scratch);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Lists long enough that words are left out and looked up.
    #[test]
    fn the_best_of_many_are_those_of_an_exhaustive_search(
        seed in 1_u64..u64::MAX,
        sizes in prop::collection::vec(500_u64..5_000, 1..4),
        passages in prop_oneof![Just(1_u64), 1_u64..5],
        words in 30_u64..3_000,
        filter in prop::option::of(prop_oneof![Just(100_u64), 0_u64..101]),
    ) {
        let random = &mut Random(seed);
        let mut segments: Vec<Segment> = sizes
            .iter()
            .map(|items| Segment::random(random, *items, words, passages))
            .collect();
        segments[1..].iter_mut().for_each(Segment::seal);
        if let Some(percent) = filter {
            segments.iter_mut().for_each(|it| it.filter(random, percent));
        }
        let corpus = Corpus { segments };
        let scratch = &mut Scratch::default();
        for count in [1, 4, 12] {
            let mut asked = Asked::random(random, count, words);
            check(&corpus, &asked, scratch);
            for (word, weights) in asked.words.iter().zip(&mut asked.weights) {
                let rarity = (word + 1) as f64;
                (weights.whole, weights.passage) = (rarity, rarity);
            }
            check(&corpus, &asked, scratch);
        }
    }

    /// Damaged lists find too little or too much, but end.
    #[test]
    fn damaged_lists_are_no_reason_to_stop(
        seed in 1_u64..u64::MAX,
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
    ) {
        let random = &mut Random(seed);
        let mut segment = Segment::random(random, 3_000, 40, 2);
        segment.seal();
        let mut bytes = segment.bytes.take().unwrap();
        let start = bytes.len() / 8;
        for (place, byte) in damages {
            let place = start + place.index(bytes.len() - start);
            bytes[place] = byte;
        }
        segment.bytes = Some(bytes);
        let corpus = Corpus { segments: vec![segment] };
        let asked = Asked::random(random, 6, 40);
        let (scoring, views) = (asked.scoring(), corpus.views(&asked));
        let scratch = &mut Scratch::default();
        for k in [1, 10, 100, usize::MAX] {
            let best = top_k(&scoring, &views, k, 0.0, scratch);
            prop_assert!(best.iter().all(|it| it.score > 0.0));
        }
        score_all(&scoring, &views, scratch, |_| ());
        let named = score_items(&scoring, &views, 0, &[0, 7, 2_999], scratch);
        prop_assert!(named.len() <= 3);
    }
}

#[test]
fn huge_counts_and_lengths_are_exact() {
    let random = &mut Random(9);
    let mut segment = Segment::random(random, 4_000, 30, 2);
    let huge = [1, 2, 254, 255, 256, 65_535, 65_536, u32::MAX / 2, u32::MAX];
    for list in &mut segment.words {
        for (_, count) in list.iter_mut().filter(|(row, _)| row % 3 == 0) {
            *count = huge[random.below(huge.len() as u64) as usize];
        }
    }
    for row in 0..segment.row_len.len() {
        segment.row_len[row] = huge[random.below(huge.len() as u64) as usize];
        let whole = &mut segment.item_len[segment.row_item[row] as usize];
        *whole = whole.saturating_add(segment.row_len[row]);
    }
    let mut sealed = Segment {
        row_item: segment.row_item.clone(),
        row_len: segment.row_len.clone(),
        item_len: segment.item_len.clone(),
        words: segment.words.clone(),
        ..Segment::default()
    };
    sealed.seal();
    let corpus = Corpus {
        segments: vec![segment, sealed],
    };
    for count in [1, 6] {
        let asked = Asked::random(random, count, 30);
        check(&corpus, &asked, &mut Scratch::default());
    }
}

#[test]
fn lengths_of_other_rows_are_not_believed() {
    let random = &mut Random(13);
    let mut segment = Segment::random(random, 2_000, 40, 2);
    segment.lone = Some(vec![1; 7]);
    let corpus = Corpus {
        segments: vec![segment],
    };
    let asked = Asked::random(random, 6, 40);
    check(&corpus, &asked, &mut Scratch::default());
}

#[test]
fn segments_of_many_windows_are_exact() {
    let random = &mut Random(42);
    let mut segments = vec![
        Segment::random(random, 9_000, 700, 1),
        Segment::random(random, 6_000, 700, 6),
        Segment::random(random, 300, 700, 3),
    ];
    segments[..2].iter_mut().for_each(Segment::seal);
    segments[1].filter(random, 50);
    let corpus = Corpus { segments };
    let scratch = &mut Scratch::default();
    for count in [1, 3, 6, 40] {
        check(&corpus, &Asked::random(random, count, 700), scratch);
    }
}

#[test]
fn an_item_larger_than_a_window_is_one_item() {
    let mut segment = Segment {
        words: vec![Vec::new(); 3],
        ..Segment::default()
    };
    segment.push(&[vec![0, 1]], 0);
    segment.push(&vec![vec![0, 0, 1]; 9_000], 0);
    segment.push(&[vec![2], vec![0]], 0);
    segment.seal();
    let corpus = Corpus {
        segments: vec![segment],
    };
    check(
        &corpus,
        &Asked::random(&mut Random(7), 6, 3),
        &mut Scratch::default(),
    );
}

#[test]
fn a_word_in_every_row_and_all_texts_alike_lose_nobody() {
    let mut segment = Segment {
        words: vec![Vec::new(); 2],
        ..Segment::default()
    };
    for _ in 0..6_000 {
        segment.push(&[vec![0, 1]], 0);
    }
    segment.seal();
    let corpus = Corpus {
        segments: vec![segment],
    };
    let asked = Asked::random(&mut Random(7), 9, 2);
    let found = top_k(
        &asked.scoring(),
        &corpus.views(&asked),
        5,
        0.0,
        &mut Scratch::default(),
    );
    assert_eq!(found.len(), 6_000);
    check(&corpus, &asked, &mut Scratch::default());
}

#[test]
fn without_words_or_rows_there_is_nothing() {
    let mut empty = Segment::default();
    empty.seal();
    let corpus = Corpus {
        segments: vec![empty, Segment::default()],
    };
    check(
        &corpus,
        &Asked::random(&mut Random(7), 0, 1),
        &mut Scratch::default(),
    );
    let asked = Asked::random(&mut Random(7), 4, 50);
    let views = corpus.views(&asked);
    let found = top_k(&asked.scoring(), &views, 10, 0.0, &mut Scratch::default());
    assert_eq!(found, []);
    assert_eq!(
        top_k(&asked.scoring(), &[], 10, 0.0, &mut Scratch::default()),
        []
    );
}

#[test]
fn weights_that_are_no_numbers_count_for_nothing() {
    let random = &mut Random(3);
    let corpus = Corpus {
        segments: vec![Segment::random(random, 200, 20, 2)],
    };
    let mut asked = Asked::random(random, 6, 20);
    let sane = asked.weights[0];
    asked.weights[0].whole = f64::NAN;
    let (views, scratch) = (corpus.views(&asked), &mut Scratch::default());
    let found = top_k(&asked.scoring(), &views, 10, 0.0, scratch);
    asked.weights[0] = Word {
        whole: 0.0,
        passage: 0.0,
        toward_match: 0.0,
    };
    assert_eq!(found, best_of(corpus.oracle(&asked), 10, 0.0));
    asked.weights[0] = sane;
    assert_ne!(found, best_of(corpus.oracle(&asked), 10, 0.0));
}

#[test]
fn a_query_of_the_whole_vocabulary_is_answered() {
    let random = &mut Random(11);
    let mut segment = Segment::random(random, 5_000, 3_000, 3);
    segment.seal();
    let corpus = Corpus {
        segments: vec![segment],
    };
    check(
        &corpus,
        &Asked::random(random, 20_000, 3_000),
        &mut Scratch::default(),
    );
}

#[test]
fn a_word_said_a_million_times_is_one_word() {
    let words = crate::analyze::query_terms(&"alpha beta ".repeat(500_000));
    let words: Vec<(&str, u32)> = words.iter().map(|it| (&*it.text, it.count)).collect();
    assert_eq!(words, [("alpha", 500_000), ("beta", 500_000)]);
}

#[test]
fn ten_thousand_times_the_same_list_is_answered() {
    let random = &mut Random(5);
    let mut segment = Segment::random(random, 150, 10, 2);
    segment.seal();
    let corpus = Corpus {
        segments: vec![segment],
    };
    let mut asked = Asked::random(random, 3, 10);
    asked.words = [asked.words[0]].repeat(10_000);
    asked.weights = [asked.weights[0]].repeat(10_000);
    check(&corpus, &asked, &mut Scratch::default());
}
