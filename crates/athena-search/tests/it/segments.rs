//! Segments: the same answers whatever was sealed, merged, blanked or read back.

use std::collections::HashSet;

use athena_search::segment::{CHUNK_BYTES, Chunk, ChunkKind, Segment};
use athena_search::{
    Answer, Attributes, FormatError, Index, Query, Record, StoredVector, WHOLE, search,
};
use proptest::prelude::*;

use crate::builders::{index, item, memory, model, query, uid};

/// What happens to a log.
#[derive(Debug, Clone)]
enum Event {
    Put(i64, Vec<usize>, usize),
    Label(i64, bool),
    Vector(i64, bool, [i8; 3]),
    Remove(i64),
    /// Seals everything so far.
    Seal,
    /// Merges all segments into one.
    Merge,
    /// Takes an item out for good.
    Purge(i64),
    /// The second process reads what is new.
    CatchUp,
}

fn any_event() -> impl Strategy<Value = Event> {
    let id = 0_i64..12;
    let words = proptest::collection::vec(0_usize..9, 0..9);
    prop_oneof![
        8 => (id.clone(), words, 1_usize..4).prop_map(|(id, words, of)| Event::Put(id, words, of)),
        2 => (id.clone(), any::<bool>()).prop_map(|(id, on)| Event::Label(id, on)),
        3 => (id.clone(), any::<bool>(), [-3_i8..4, -3_i8..4, 1_i8..4])
            .prop_map(|(id, whole, values)| Event::Vector(id, whole, values)),
        2 => id.clone().prop_map(Event::Remove),
        2 => Just(Event::Seal),
        1 => Just(Event::Merge),
        1 => id.prop_map(Event::Purge),
        2 => Just(Event::CatchUp),
    ]
}

fn attributes(id: i64, labelled: bool) -> Attributes {
    Attributes {
        uid: uid(id),
        state: "active".to_owned(),
        labels: match labelled {
            true => vec!["tag:x".to_owned(), format!("session:{}", id % 3)],
            false => vec![format!("session:{}", id % 3)],
        },
        time: id * 1_000,
        position: (id % 2 == 0).then_some(id),
        ..Attributes::default()
    }
}

/// A log as a store keeps it: segments as chunks, then single records.
#[derive(Default)]
struct Log {
    segments: Vec<(i64, i64, Vec<Chunk>)>,
    tail: Vec<(i64, Record)>,
    seq: i64,
    /// How often segments gave place to others.
    replaced: usize,
}

impl Log {
    fn push(&mut self, record: Record) {
        self.seq += 1;
        self.tail.push((self.seq, record));
    }

    fn put(&mut self, id: i64, words: &[usize], of: usize) {
        for n in 0..of {
            let own = words.iter().enumerate().filter(|(at, _)| at % of == n);
            let mut terms: Vec<(String, u32)> = Vec::new();
            for (_, word) in own {
                let word = format!("word{word}");
                match terms.iter_mut().find(|(term, _)| *term == word) {
                    Some((_, count)) => *count += 1,
                    None => terms.push((word, 1)),
                }
            }
            let len = terms.iter().map(|(_, count)| count).sum();
            let values = [1.0, id as f32, n as f32 - 1.0];
            self.push(Record::Passage {
                item: memory(id),
                n: u32::try_from(n).unwrap(),
                of: u32::try_from(of).unwrap(),
                attributes: (n == 0).then(|| attributes(id, words.len().is_multiple_of(2))),
                terms,
                len,
                vector: (!words.len().is_multiple_of(3))
                    .then(|| StoredVector::new(1, &values).unwrap()),
            });
        }
    }

    fn seal(&mut self) {
        let (Some(first), Some(last)) = (self.tail.first(), self.tail.last()) else {
            return;
        };
        let (first, last) = (first.0, last.0);
        let records = self.tail.drain(..).map(|(_, record)| record);
        let segment = Segment::build(first, last, records).unwrap();
        self.segments.push((first, last, segment.chunks()));
    }

    fn read(&self) -> Vec<Segment> {
        let read = |(first, last, chunks): &(i64, i64, Vec<Chunk>)| {
            Segment::from_chunks(*first, *last, chunks.clone()).unwrap()
        };
        self.segments.iter().map(read).collect()
    }

    /// Reads of each segment what it needs to be asked.
    fn open(&self) -> Vec<Segment> {
        let open = |(first, last, chunks): &(i64, i64, Vec<Chunk>)| {
            let is_first = |chunk: &&Chunk| ChunkKind::FIRST.contains(&chunk.kind);
            let chunks = chunks.iter().filter(is_first).cloned().collect();
            Segment::open(*first, *last, chunks).unwrap()
        };
        self.segments.iter().map(open).collect()
    }

    /// Asks an index of opened segments, and brings what it lacks, until nothing is lacking.
    fn ask(&self, index: &mut Index, query: &Query) -> Answer {
        loop {
            let answer = search(&[&*index], query);
            let wanted = index.wanted();
            if wanted.is_empty() {
                return answer;
            }
            for absent in wanted {
                let mut segments = self.segments.iter();
                let (_, _, chunks) = segments.find(|it| it.0 == absent.first_seq).unwrap();
                let is_wanted =
                    |chunk: &&Chunk| (chunk.kind, chunk.part) == (absent.kind, absent.part);
                let chunk = chunks.iter().find(is_wanted).unwrap();
                index.bring(absent.first_seq, chunk).unwrap();
            }
        }
    }

    fn merge(&mut self) {
        let read = self.read();
        if read.len() < 2 {
            return;
        }
        let merged = Segment::merge(&read).unwrap();
        let chunks = merged.chunks();
        self.segments = vec![(merged.first_seq(), merged.last_seq(), chunks)];
        self.replaced += 1;
    }

    fn purge(&mut self, id: i64) {
        let gone = HashSet::from([memory(id)]);
        let mut read = self.read();
        for (segment, (_, _, chunks)) in read.iter_mut().zip(&mut self.segments) {
            if segment.blank(&gone).unwrap() > 0 {
                *chunks = segment.chunks();
            }
        }
        for (_, record) in &mut self.tail {
            if record.item() == memory(id) {
                *record = Record::Remove { item: memory(id) };
            }
        }
        self.push(Record::Remove { item: memory(id) });
    }

    fn follow(&mut self, event: &Event) {
        match event {
            Event::Put(id, words, of) => self.put(*id, words, *of),
            Event::Label(id, on) => self.push(Record::Attributes {
                item: memory(*id),
                attributes: attributes(*id, *on),
            }),
            Event::Vector(id, whole, values) => self.push(Record::Vector {
                item: memory(*id),
                n: if *whole { WHOLE } else { 0 },
                vector: StoredVector::new(1, &values.map(f32::from)).unwrap(),
            }),
            Event::Remove(id) => self.push(Record::Remove { item: memory(*id) }),
            Event::Seal => self.seal(),
            Event::Merge => self.merge(),
            Event::Purge(id) => self.purge(*id),
            Event::CatchUp => {}
        }
    }
}

/// A process: its index, and which segments it is made of.
#[derive(Default)]
struct Process {
    index: Index,
    replaced: usize,
}

impl Process {
    /// As a store does it: segments that are new, then the records behind them.
    fn catch_up(&mut self, log: &Log) {
        self.catch_up_with(log, log.read());
    }

    fn catch_up_with(&mut self, log: &Log, segments: Vec<Segment>) {
        if self.replaced != log.replaced {
            *self = Self {
                replaced: log.replaced,
                ..Self::default()
            };
        }
        for segment in segments {
            if segment.first_seq() > self.index.sealed() {
                self.index.attach(segment);
            }
        }
        for (seq, record) in &log.tail {
            self.index.apply(*seq, record.clone());
        }
        self.index.advance(log.seq);
    }
}

fn queries() -> Vec<Query> {
    let words = Query {
        text: "word1 word2 word5".to_owned(),
        limit: 20,
        explain: true,
        ..Query::default()
    };
    let mut filtered = words.clone();
    filtered.filter.labels = vec![vec!["tag:x".to_owned()]];
    let mut both = words.clone();
    both.vector = model(&[1.0, 4.0, 0.5]);
    vec![words, filtered, both]
}

/// Holds that one process that applies every record, another that follows seals, merges and purges
/// as it can, a third that opens what is stored at the end, and a fourth that reads of that what the
/// questions need answer alike.
fn answers_stay(events: &[Event]) {
    let mut log = Log::default();
    let mut direct = Index::new();
    let mut second = Process::default();
    for event in events {
        let before = log.seq;
        log.follow(event);
        let new: Vec<_> = log.tail.iter().filter(|(seq, _)| *seq > before).collect();
        for (seq, record) in new {
            direct.apply(*seq, record.clone());
        }
        if matches!(event, Event::CatchUp) {
            second.catch_up(&log);
        }
    }
    second.catch_up(&log);
    let mut opened = Process::default();
    opened.catch_up(&log);
    let mut asked = Process::default();
    asked.catch_up_with(&log, log.open());
    for query in queries() {
        let expected = search(&[&direct], &query);
        assert_eq!(&search(&[&second.index], &query), &expected);
        assert_eq!(&search(&[&opened.index], &query), &expected);
        assert_eq!(&log.ask(&mut asked.index, &query), &expected);
    }
    assert_eq!(second.index.statistics(), direct.statistics());
    assert_eq!(opened.index.statistics(), direct.statistics());
    assert_eq!(opened.index.applied(), direct.applied());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn sealing_merging_and_purging_change_no_answer(
        events in proptest::collection::vec(any_event(), 1..80),
    ) {
        answers_stay(&events);
    }

    #[test]
    fn a_damaged_chunk_is_an_error(
        events in proptest::collection::vec(any_event(), 1..20),
        which: prop::sample::Index,
        at: prop::sample::Index,
        flip in 1_u8..,
    ) {
        let mut log = Log::default();
        events.iter().for_each(|event| log.follow(event));
        log.put(1, &[1, 2, 3], 2);
        log.seal();
        let (first, last, chunks) = log.segments.pop().unwrap();
        let which = which.index(chunks.len());
        let mut flipped = chunks.clone();
        let at = at.index(flipped[which].bytes.len());
        flipped[which].bytes[at] ^= flip;
        prop_assert!(Segment::from_chunks(first, last, flipped).is_err());
        let mut missing = chunks.clone();
        missing.remove(which);
        prop_assert!(Segment::from_chunks(first, last, missing).is_err());
        let mut cut = chunks;
        cut[which].bytes.truncate(at);
        prop_assert!(Segment::from_chunks(first, last, cut).is_err());
    }

    #[test]
    fn a_chunk_that_is_brought_damaged_is_an_error(
        which: prop::sample::Index,
        at: prop::sample::Index,
        flip in 1_u8..,
    ) {
        let mut log = Log::default();
        log.put(1, &[1, 2, 3, 4], 2);
        log.seal();
        let mut index = Index::new();
        log.open().into_iter().for_each(|segment| index.attach(segment));
        let (first, _, chunks) = &log.segments[0];
        let later: Vec<&Chunk> = chunks.iter().filter(|it| ChunkKind::LATER.contains(&it.kind)).collect();
        let mut chunk = later[which.index(later.len())].clone();
        let elsewhere = index.bring(first + 1, &chunk);
        prop_assert!(elsewhere.is_err());
        let at = at.index(chunk.bytes.len());
        chunk.bytes[at] ^= flip;
        prop_assert!(index.bring(*first, &chunk).is_err());
        chunk.bytes[at] ^= flip;
        chunk.part += 1;
        prop_assert!(index.bring(*first, &chunk).is_err());
        chunk.part -= 1;
        prop_assert!(index.absent().iter().any(|it| it.kind == chunk.kind));
        index.bring(*first, &chunk).unwrap();
        prop_assert!(index.absent().iter().all(|it| it.kind != chunk.kind));
    }
}

#[test]
fn a_late_vector_of_nobody_stands_in_nobodys_place() {
    let vector = |id, whole| Event::Vector(id, whole, [0, 0, 1]);
    answers_stay(&[
        Event::Put(6, vec![], 1),
        Event::Put(0, vec![], 1),
        Event::Put(4, vec![0, 0, 0, 0], 1),
        Event::Seal,
        Event::Put(1, vec![], 1),
        Event::Seal,
        vector(5, true),
        vector(1, false),
        vector(4, true),
        Event::Seal,
    ]);
}

#[test]
fn what_is_blanked_is_in_no_byte() {
    let mut log = Log::default();
    let secret = item(1, "the hippopotamus").label("tag:zebrafish").records();
    let kept = item(2, "the elephant").records();
    secret
        .into_iter()
        .chain(kept)
        .for_each(|record| log.push(record));
    log.seal();
    let says = |log: &Log, text: &str| {
        let read = log.read();
        let said = format!("{:?}", read[0].records());
        let bytes: Vec<u8> = log.segments[0]
            .2
            .iter()
            .flat_map(|it| it.bytes.clone())
            .collect();
        said.contains(text) || bytes.windows(text.len()).any(|it| it == text.as_bytes())
    };
    assert!(says(&log, "hippopotamus") && says(&log, "zebrafish"));
    let before = log.segments[0].2.clone();
    log.purge(1);
    assert!(!says(&log, "hippopotamus") && !says(&log, "zebrafish"));
    assert!(says(&log, "eleph"));
    let kinds =
        |chunks: &[Chunk]| -> Vec<_> { chunks.iter().map(|it| (it.kind, it.part)).collect() };
    assert_eq!(kinds(&log.segments[0].2), kinds(&before));
}

#[test]
fn another_version_is_named() {
    let mut chunks = Segment::build(1, 1, item(1, "one").records())
        .unwrap()
        .chunks();
    chunks[0].bytes[0] = 99;
    let refused = Segment::from_chunks(1, 1, chunks).unwrap_err();
    assert!(matches!(refused, FormatError::Version { found: 99, .. }));
}

#[test]
fn chunks_stay_within_a_mebibyte() {
    let records = (0..6_000).flat_map(|id| {
        let values: Vec<f32> = (0..512_u16)
            .map(|n| f32::from(n) + (id % 7) as f32)
            .collect();
        item(id, &format!("memory number {id}"))
            .vector(&values)
            .records()
    });
    let segment = Segment::build(1, 6_000, records).unwrap();
    let chunks = segment.chunks();
    assert!(chunks.len() > 5);
    assert!(chunks.iter().all(|chunk| chunk.bytes.len() <= CHUNK_BYTES));
    let back = Segment::from_chunks(1, 6_000, chunks).unwrap();
    assert_eq!(back.records(), segment.records());
}

#[test]
fn a_models_vectors_can_be_dropped_and_the_others_stay() {
    let of = |model: u32, id: i64| {
        let values: Vec<f32> = (0_i8..4).map(|n| f32::from(n) - 1.5).collect();
        let turned = |value: f32| value * if id % 2 == 0 { 1.0 } else { -0.5 } + 0.25;
        StoredVector::new(model, &values.into_iter().map(turned).collect::<Vec<f32>>()).unwrap()
    };
    let late = |model: u32, id: i64| Record::Vector {
        item: memory(id),
        n: 0,
        vector: of(model, id),
    };
    // Item 0 is of an earlier segment; the others are of this one.
    let segment = |with_first_model: bool| {
        let mut records = vec![late(2, 0)];
        if with_first_model {
            records.push(late(1, 0));
        }
        for id in 1..4 {
            for mut record in item(id, &format!("word{id} of all")).records() {
                if let Record::Passage { vector, .. } = &mut record {
                    *vector = with_first_model.then(|| of(1, id));
                }
                records.push(record);
            }
            records.push(late(2, id));
        }
        Segment::build(2, 20, records).unwrap()
    };
    let index = |segment: &Segment| {
        let mut index = Index::new();
        let before = item(0, "word0 of all").records();
        index.attach(Segment::build(1, 1, before).unwrap());
        index.attach(Segment::from_chunks(2, 20, segment.chunks()).unwrap());
        index
    };

    let mut dropped = segment(true);
    assert_eq!(index(&dropped).statistics().vectors, 8);
    assert_eq!(dropped.drop_vectors(&HashSet::from([3])), 0);
    assert_eq!(dropped.drop_vectors(&HashSet::from([1])), 4);
    assert_eq!(dropped.drop_vectors(&HashSet::from([1])), 0);
    let (dropped, never) = (index(&dropped), index(&segment(false)));
    assert_eq!(dropped.statistics(), never.statistics());
    assert_eq!(dropped.statistics().vectors, 4);
    for query in queries() {
        assert_eq!(search(&[&dropped], &query), search(&[&never], &query));
    }
}

#[test]
fn words_of_what_is_gone_do_not_count() {
    let texts = |id: i64| match id % 5 {
        0 => format!("pear {}", "plum rain ".repeat(100)),
        _ => "pear".to_owned(),
    };
    for gone in [
        vec![0],
        vec![4, 5, 500, 997],
        (0..1_000).step_by(3).collect(),
    ] {
        let all = (0..1_000).flat_map(|id| item(id, &texts(id)).records());
        let mut sealed = Index::new();
        sealed.attach(Segment::build(1, 1_400, all).unwrap());
        let seq = sealed.applied();
        for (n, id) in (1..).zip(&gone) {
            sealed.apply(seq + n, Record::Remove { item: memory(*id) });
        }
        let left = (0..1_000).filter(|id| !gone.contains(id));
        let left: Vec<_> = left.map(|id| item(id, &texts(id))).collect();
        let never = index(&left);
        for query in ["pear", "plum", "pear rain"].map(query) {
            assert_eq!(search(&[&sealed], &query), search(&[&never], &query));
        }
    }
}
