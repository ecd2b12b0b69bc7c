#![expect(clippy::cast_possible_truncation, reason = "a test has few rows")]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Columns of as many rows, three to an item.
struct Columns {
    item: Vec<u32>,
    len: Vec<u32>,
    item_len: Vec<u32>,
}

impl Columns {
    fn new(rows: u32) -> Self {
        let len = |row: u32| row * 37 % 101;
        Self {
            item: (0..rows).map(|row| row / 3).collect(),
            len: (0..rows).map(len).collect(),
            item_len: (0..rows.div_ceil(3))
                .map(|item| (3 * item..rows.min(3 * item + 3)).map(len).sum())
                .collect(),
        }
    }

    fn rows(&self) -> Rows<'_> {
        Rows {
            item: &self.item,
            len: &self.len,
            item_len: &self.item_len,
        }
    }
}

type Sorted = BTreeMap<String, Vec<(u32, u32)>>;

fn build(words: &Sorted, rows: Rows<'_>) -> Vec<u8> {
    let mut builder = DictionaryBuilder::new(rows);
    for (word, postings) in words {
        builder.push(word, postings).unwrap();
    }
    builder.finish().unwrap()
}

fn read(bytes: &[u8]) -> Sorted {
    let dictionary = Dictionary::open(bytes).unwrap();
    dictionary.check().unwrap();
    let mut words = dictionary.words();
    let mut read = Sorted::new();
    while words.advance() {
        let mut postings = Vec::new();
        words.entry().list.cursor().take_below(END, &mut postings);
        read.insert(words.word().to_owned(), postings);
    }
    read
}

/// Rows that are now close together, now far apart, with counts that are mostly 1.
fn postings() -> impl Strategy<Value = Vec<(u32, u32)>> {
    let step = prop_oneof![5 => 1_u32..4, 1 => 1_u32..2_000];
    let count = prop_oneof![5 => Just(1_u32), 2 => 1_u32..9, 1 => 1_u32..=u32::MAX];
    prop::collection::vec((step, count), 1..700).prop_map(|steps| {
        let mut next = 0;
        let rows = steps.into_iter().map(|(step, count)| {
            next += step;
            (next - 1, count)
        });
        rows.collect()
    })
}

fn columns_for(postings: &[(u32, u32)]) -> Columns {
    Columns::new(postings.last().map_or(1, |(row, _)| row + 3))
}

proptest! {
    #[test]
    fn lists_come_back(postings in postings(), seeks in prop::collection::vec(0_u32..9_000, 0..40)) {
        let columns = columns_for(&postings);
        let words = Sorted::from([("word".to_owned(), postings.clone())]);
        let bytes = build(&words, columns.rows());
        prop_assert_eq!(&read(&bytes), &words);
        let packed = Dictionary::open(&bytes).unwrap().get("word").unwrap().list;
        for list in [packed, List::Plain(&postings)] {
            prop_assert_eq!(list.len(), postings.len());
            let mut cursor = list.cursor();
            let mut last = 0;
            for &row in &seeks {
                last = last.max(row);
                let expected = postings.iter().find(|it| it.0 >= last);
                prop_assert_eq!(cursor.seek(row.min(last)), expected.map_or(END, |it| it.0));
                prop_assert_eq!(cursor.count(), expected.map_or(0, |it| it.1));
            }
            let mut cursor = list.cursor();
            for &(row, count) in &postings {
                prop_assert_eq!((cursor.row(), cursor.count()), (row, count));
                cursor.advance();
            }
            cursor.advance();
            prop_assert_eq!((cursor.row(), cursor.count()), (END, 0));
        }
    }

    #[test]
    fn every_item_with_a_row_in_a_block_is_within_its_bound(
        postings in postings(),
        average in 0.1_f64..300.0,
    ) {
        let columns = columns_for(&postings);
        let bytes = build(&Sorted::from([("word".to_owned(), postings.clone())]), columns.rows());
        let list = Dictionary::open(&bytes).unwrap().get("word").unwrap().list;
        let of = |tf, len| crate::bm25::saturation(tf, crate::bm25::length_norm(len, average));
        let of_one_item = |a: &(u32, u32), b: &(u32, u32)| a.0 / 3 == b.0 / 3;
        let mut cursor = list.cursor();
        for passages in postings.chunk_by(of_one_item) {
            let tf = passages.iter().fold(0_u32, |sum, (_, tf)| sum.saturating_add(*tf));
            let whole = of(tf, columns.item_len[passages[0].0 as usize / 3]);
            for &(row, _) in passages {
                cursor.seek(row);
                for bound in [cursor.block_bound(), list.bound()] {
                    for &(row, tf) in passages {
                        let reached = of(tf, columns.len[row as usize]);
                        let bound = bound.passage.saturation(average);
                        prop_assert!(reached <= bound * (1.0 + 1e-14));
                    }
                    prop_assert!(whole <= bound.whole.saturation(average) * (1.0 + 1e-14));
                }
            }
        }
    }

    #[test]
    fn words_are_found_and_no_others(
        words in prop::collection::btree_set("[ab]{0,6}|[a-zä日]{1,9}", 0..120),
        asked in prop::collection::vec("[ab]{0,6}|[a-zä日]{0,9}", 20),
    ) {
        let columns = Columns::new(50);
        let sorted: Sorted = words
            .iter()
            .enumerate()
            .map(|(number, word)| (word.clone(), vec![(number as u32 % 50, 1)]))
            .collect();
        let bytes = build(&sorted, columns.rows());
        prop_assert_eq!(&read(&bytes), &sorted);
        let dictionary = Dictionary::open(&bytes).unwrap();
        for word in asked.iter().chain(&words) {
            let found = dictionary.get(word).map(|entry| entry.list.cursor().row());
            prop_assert_eq!(found, sorted.get(word).map(|it| it[0].0), "{}", word);
            let mut from = dictionary.words_from(word);
            let next = from.advance().then(|| from.word().to_owned());
            prop_assert_eq!(next.as_ref(), words.range(word.clone()..).next());
        }
    }

    #[test]
    fn damaged_bytes_are_an_error_or_find_less(
        lists in prop::collection::vec(postings(), 1..4),
        damage in prop::collection::vec((0_usize..100_000, any::<u8>()), 1..4),
        cut in prop::option::of(0_usize..100_000),
    ) {
        let columns = columns_for(lists.iter().max_by_key(|list| list.last()).unwrap());
        let words = lists.into_iter().enumerate();
        let words: Sorted = words.map(|(n, list)| (format!("word{n}"), list)).collect();
        let mut bytes = build(&words, columns.rows());
        for (place, byte) in damage {
            let place = place % bytes.len();
            bytes[place] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut % bytes.len());
        }
        let Ok(dictionary) = Dictionary::open(&bytes) else { return Ok(()) };
        let checked = dictionary.check();
        let mut all = dictionary.words();
        let mut found = 0;
        while all.advance() {
            found += 1;
            let entry = all.entry();
            let mut postings = Vec::new();
            entry.list.cursor().take_below(END, &mut postings);
            prop_assert!(postings.is_sorted_by(|a, b| a.0 < b.0));
            prop_assert!(postings.iter().all(|(row, _)| *row < dictionary.rows()));
            if checked.is_ok() {
                prop_assert_eq!(postings.len(), entry.passages as usize);
                prop_assert!(dictionary.get(all.word()).is_some());
            }
            let mut cursor = entry.list.cursor();
            for row in (0..dictionary.rows().min(9_000)).step_by(97) {
                cursor.seek(row);
            }
        }
        if checked.is_ok() {
            prop_assert_eq!(found, dictionary.len());
        }
    }
}

#[test]
fn prefixes_find_the_most_frequent_words_wherever_they_lie() {
    let columns = Columns::new(6);
    let one_row = |word: &str| (word.to_owned(), vec![(0, 1)]);
    let first = ["run", "runner", "running", "rust"].map(one_row);
    let second = ["ru", "run", "runs", "sun"].map(one_row);
    let sealed = [first, second].map(|words| build(&Sorted::from(words), columns.rows()));
    let dictionaries = sealed
        .each_ref()
        .map(|bytes| Dictionary::open(bytes).unwrap());
    let check = |prefix: &str, limit: usize, expected: &[&str]| {
        let growing = ["rune", "runs", "apple"];
        let mut asked = Vec::new();
        let found = words_with_prefix(&dictionaries, growing, prefix, limit, |word| {
            asked.push(word.to_owned());
            match word {
                "runner" => 0,
                "running" | "apple" => 9,
                _ => 2,
            }
        });
        assert_eq!(found, expected);
        assert!(asked.is_sorted_by(|a, b| a < b), "{asked:?}");
    };
    check("run", 10, &["running", "run", "rune", "runs"]);
    check("run", 2, &["running", "run"]);
    check("run", 1, &["running"]);
    check("run", 0, &[]);
    check("runs", 10, &["runs"]);
    check("", 3, &["apple", "running", "ru"]);
    check("z", 3, &[]);
    assert!(words_with_prefix(&[], [], "", 3, |_| 1).is_empty());
}

#[test]
fn a_merge_keeps_what_stays_and_forgets_the_words_of_what_is_gone() {
    let columns = Columns::new(6);
    let first = Sorted::from([
        ("both".to_owned(), vec![(0, 1), (2, 5)]),
        ("first".to_owned(), vec![(1, 2)]),
        ("secret".to_owned(), vec![(2, 1)]),
    ]);
    let second = Sorted::from([
        ("both".to_owned(), vec![(1, 7)]),
        ("second".to_owned(), vec![(0, 3), (1, 1)]),
    ]);
    let (first, second) = (
        build(&first, columns.rows()),
        build(&second, columns.rows()),
    );
    let parts = [(&first, [0, 1, END]), (&second, [2, 3, END])];
    let parts = parts.each_ref().map(|(bytes, rows)| Part {
        dictionary: Dictionary::open(bytes).unwrap(),
        rows,
    });
    let merged = merge(&parts, columns.rows()).unwrap();
    let expected = Sorted::from([
        ("both".to_owned(), vec![(0, 1), (3, 7)]),
        ("first".to_owned(), vec![(1, 2)]),
        ("second".to_owned(), vec![(2, 3), (3, 1)]),
    ]);
    assert_eq!(read(&merged), expected);
    assert!(!merged.windows(6).any(|bytes| bytes == b"secret"));
    let both = Dictionary::open(&merged).unwrap().get("both").unwrap();
    assert_eq!((both.passages, both.items), (2, 2));
}

#[test]
fn what_is_out_of_order_is_refused() {
    let columns = Columns::new(6);
    let mut builder = DictionaryBuilder::new(columns.rows());
    assert!(builder.push("b", &[(0, 1), (0, 1)]).is_err());
    let mut builder = DictionaryBuilder::new(columns.rows());
    assert!(builder.push("b", &[(6, 1)]).is_err());
    let mut builder = DictionaryBuilder::new(columns.rows());
    assert!(builder.push("b", &[(3, 0)]).is_err());
    let mut builder = DictionaryBuilder::new(columns.rows());
    builder.push("b", &[(3, 1)]).unwrap();
    assert!(builder.push("b", &[(3, 1)]).is_err());
    assert!(builder.push("a", &[(3, 1)]).is_err());
}

#[test]
fn columns_that_do_not_fit_are_refused() {
    let check = |item: &[u32], len: &[u32], item_len: &[u32]| {
        let rows = Rows {
            item,
            len,
            item_len,
        };
        rows.check().is_ok()
    };
    assert!(check(&[], &[], &[]));
    assert!(check(&[0, 0, 2], &[1, 1, 1], &[2, 0, 1]));
    assert!(!check(&[0, 0, 2], &[1, 1], &[2, 0, 1]));
    assert!(!check(&[0, 2, 0], &[1, 1, 1], &[2, 0, 1]));
    assert!(!check(&[0, 0, 3], &[1, 1, 1], &[2, 0, 1]));
}

#[test]
fn another_format_is_named() {
    let mut bytes = build(&Sorted::new(), Columns::new(0).rows());
    assert!(Dictionary::open(&bytes).unwrap().is_empty());
    bytes[0] = 9;
    assert!(matches!(
        Dictionary::open(&bytes),
        Err(FormatError::Version { found: 9, .. })
    ));
}
