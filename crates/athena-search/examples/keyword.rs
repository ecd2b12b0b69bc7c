//! Measures ranking by words: processor time of a query, bytes of postings, time to open.
//!
//! `cargo run --release -p athena-search --example keyword -- 100000 [passages] [folder]`
//!
//! Texts of Zipf-distributed words from a vocabulary of 50,000, of log-normal length (median 33),
//! each with a quarter more words of its topic, of which there are 1,000. A query is three words
//! of a topic and three Zipf-distributed ones, any of which may match. With a number of passages,
//! that many neighbouring texts are one item. With a folder, texts and queries are written there,
//! for other engines to read.
#![expect(clippy::print_stdout, reason = "prints what it measures")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use athena_search::keyword::{
    Scored, Scoring, Scratch, SegmentView, Word, score_all, score_items, top_k,
};
use athena_search::ln;
use athena_search::postings::{Dictionary, DictionaryBuilder, List, Rows};
use rustix::time::{ClockId, clock_gettime};

const VOCABULARY: usize = 50_000;
const TOPICS: u64 = 1_000;
const QUERIES: usize = 200;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let rows: usize = arguments.next().map_or(Ok(100_000), |it| it.parse())?;
    let passages: u32 = arguments.next().map_or(Ok(1), |it| it.parse())?;
    let mut source = Source::new();
    let texts: Vec<Vec<u32>> = (0..rows).map(|_| source.text()).collect();
    let queries: Vec<Vec<u32>> = (0..QUERIES).map(|_| source.query()).collect();
    if let Some(folder) = arguments.next() {
        write_all(&format!("{folder}/texts"), &texts)?;
        write_all(&format!("{folder}/queries"), &queries)?;
    }
    measure(&Corpus::new(&texts, passages.max(1))?, &queries)
}

fn measure(corpus: &Corpus, queries: &[Vec<u32>]) -> Result<(), Box<dyn std::error::Error>> {
    let dictionary = Dictionary::open(&corpus.bytes)?;
    let rows = corpus.row_len.len();
    #[expect(clippy::cast_precision_loss, reason = "printed with one decimal")]
    let per_row = corpus.bytes.len() as f64 / rows as f64;
    println!(
        "{rows} rows, {} items, {} words, {per_row:.1} bytes a row",
        corpus.item_len.len(),
        dictionary.len()
    );
    let (check, checked) = cpu(|| dictionary.check());
    checked?;
    println!("check              {:>9.3} ms", milliseconds(check));
    let asked: Vec<_> = queries
        .iter()
        .map(|words| corpus.ask(dictionary, words))
        .collect();
    let lists = asked
        .iter()
        .flat_map(|(_, segment)| segment.lists.iter().flatten());
    let occurrences: usize = lists.map(List::len).sum();
    println!("{} occurrences a query", occurrences / asked.len());
    let scratch = &mut Scratch::default();
    let spelt: Vec<Vec<String>> = queries
        .iter()
        .map(|words| words.iter().map(|word| spell(*word)).collect())
        .collect();
    report("look up 6 words", queries.len(), |query| {
        let words = spelt[query].iter();
        words.filter_map(|word| dictionary.get(word)).count()
    });
    for k in [10, 100, 1_000] {
        report(&format!("top {k}"), asked.len(), |query| {
            let (scoring, segment) = &asked[query];
            top_k(scoring, std::slice::from_ref(segment), k, 0.0, scratch).len()
        });
    }
    report("every match", asked.len(), |query| {
        let (scoring, segment) = &asked[query];
        let mut count = 0;
        score_all(scoring, std::slice::from_ref(segment), scratch, |_| {
            count += 1
        });
        count
    });
    let items: Vec<u32> = (0..100).map(|it| it * (corpus.items() / 100)).collect();
    report("100 given items", asked.len(), |query| {
        let (scoring, segment) = &asked[query];
        score_items(scoring, std::slice::from_ref(segment), 0, &items, scratch).len()
    });
    for (scoring, segment) in &asked {
        let segments = std::slice::from_ref(segment);
        let mut all = Vec::new();
        score_all(scoring, segments, scratch, |scored| all.push(scored));
        all.sort_by(|a, b| b.score.total_cmp(&a.score));
        let best = top_k(scoring, segments, 10, 0.0, scratch);
        assert_eq!(
            best.iter().map(key).collect::<Vec<_>>(),
            all[..best.len()].iter().map(key).collect::<Vec<_>>()
        );
    }
    Ok(())
}

fn key(scored: &Scored) -> (u32, u64) {
    (scored.item, scored.score.to_bits())
}

/// Prints the processor time of a query: the mean and the median, after one round to warm up.
fn report(name: &str, queries: usize, mut run: impl FnMut(usize) -> usize) {
    let mut found = 0;
    let mut times = Vec::new();
    for round in 0..4 {
        for query in 0..queries {
            let (time, count) = cpu(|| run(query));
            if round > 0 {
                times.push(time);
                found += count;
            }
        }
    }
    times.sort_unstable();
    let sum: Duration = times.iter().sum();
    println!(
        "{name:<18} {:>9.4} ms mean, {:.4} median, {:.4} p99, {} found",
        milliseconds(sum) / f64::from(u32::try_from(times.len()).unwrap_or(u32::MAX)),
        milliseconds(times[times.len() / 2]),
        milliseconds(times[times.len() * 99 / 100]),
        found / times.len(),
    );
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Processor time of this thread.
fn cpu<T>(run: impl FnOnce() -> T) -> (Duration, T) {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default();
    let start = now();
    let result = run();
    (now().saturating_sub(start), result)
}

/// One sealed segment.
struct Corpus {
    row_item: Vec<u32>,
    row_len: Vec<u32>,
    item_len: Vec<u32>,
    lone: Vec<u8>,
    bytes: Vec<u8>,
}

impl Corpus {
    fn new(texts: &[Vec<u32>], passages: u32) -> Result<Self, Box<dyn std::error::Error>> {
        let mut words: BTreeMap<u32, Vec<(u32, u32)>> = BTreeMap::new();
        let mut corpus = Self {
            row_item: Vec::new(),
            row_len: Vec::new(),
            item_len: Vec::new(),
            lone: Vec::new(),
            bytes: Vec::new(),
        };
        for (row, text) in (0_u32..).zip(texts) {
            let item = row / passages;
            let len = u32::try_from(text.len())?;
            corpus.row_item.push(item);
            corpus.row_len.push(len);
            corpus.item_len.resize(item as usize + 1, 0);
            corpus.item_len[item as usize] += len;
            let mut sorted = text.clone();
            sorted.sort_unstable();
            for same in sorted.chunk_by(|a, b| a == b) {
                let count = u32::try_from(same.len())?;
                words.entry(same[0]).or_default().push((row, count));
            }
        }
        let words: BTreeMap<String, Vec<(u32, u32)>> = words
            .into_iter()
            .map(|(word, list)| (spell(word), list))
            .collect();
        let mut builder = DictionaryBuilder::new(corpus.rows());
        for (word, list) in &words {
            builder.push(word, list)?;
        }
        corpus.bytes = builder.finish()?;
        corpus.lone = corpus.rows().lone_lengths();
        Ok(corpus)
    }

    fn rows(&self) -> Rows<'_> {
        Rows {
            item: &self.row_item,
            len: &self.row_len,
            item_len: &self.item_len,
        }
    }

    fn items(&self) -> u32 {
        u32::try_from(self.item_len.len()).unwrap_or(u32::MAX)
    }

    fn ask<'a>(&'a self, dictionary: Dictionary<'a>, words: &[u32]) -> (Scoring, SegmentView<'a>) {
        let entries: Vec<_> = words
            .iter()
            .map(|word| dictionary.get(&spell(*word)))
            .collect();
        let weights = entries.iter().map(|entry| {
            let (items, passages) = entry.map_or((0, 0), |it| (it.items, it.passages));
            let passage = idf(dictionary.rows(), passages);
            Word {
                whole: idf(self.items(), items),
                passage,
                toward_match: 1.0 + passage,
            }
        });
        let length: f64 = self
            .item_len
            .iter()
            .take(1_000)
            .map(|len| f64::from(*len))
            .sum();
        let items = f64::from(self.items().min(1_000));
        let passages = self.row_item.partition_point(|item| *item < 1_000);
        let passages = f64::from(u32::try_from(passages).unwrap_or(u32::MAX));
        let view = SegmentView {
            rows: self.rows(),
            passes: None,
            lists: entries
                .iter()
                .map(|entry| entry.map(|it| it.list))
                .collect(),
            lone: Some(&self.lone),
        };
        (
            Scoring::new(weights.collect(), length / items, length / passages),
            view,
        )
    }
}

fn idf(count: u32, with_word: u32) -> f64 {
    let (count, with_word) = (f64::from(count), f64::from(with_word));
    ln(1.0 + (count - with_word + 0.5) / (with_word + 0.5))
}

/// A word as text: frequent ones are not the first in the dictionary.
fn spell(word: u32) -> String {
    let mut rest = word.wrapping_mul(0x9e37_79b1);
    let mut text = String::new();
    while rest > 0 {
        text.push(char::from(
            b'a' + u8::try_from(rest % 26).unwrap_or_default(),
        ));
        rest /= 26;
    }
    text
}

fn write_all(path: &str, texts: &[Vec<u32>]) -> Result<(), Box<dyn std::error::Error>> {
    let mut out = String::new();
    for text in texts {
        for word in text {
            write!(out, "{} ", spell(*word))?;
        }
        out.push('\n');
    }
    Ok(std::fs::write(path, out)?)
}

/// Where texts and queries come from; the same on every run.
struct Source {
    state: u64,
    /// How often a word or one before it occurs, as a share.
    cumulated: Vec<f64>,
    topics: Vec<Vec<u32>>,
}

impl Source {
    fn new() -> Self {
        let mut source = Self {
            state: 0x2545_f491_4f6c_dd1d,
            cumulated: Vec::with_capacity(VOCABULARY),
            topics: Vec::new(),
        };
        let mut sum = 0.0;
        for rank in 1..=u32::try_from(VOCABULARY).unwrap_or(u32::MAX) {
            sum += 1.0 / f64::from(rank);
            source.cumulated.push(sum);
        }
        source.topics = (0..TOPICS)
            .map(|_| {
                let mut words = BTreeSet::new();
                while words.len() < 20 {
                    words.insert(source.below(VOCABULARY as u64 - 1_000) + 1_000);
                }
                words.into_iter().collect()
            })
            .collect();
        source
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: u64) -> u32 {
        u32::try_from((self.next() >> 16) % end).unwrap_or(u32::MAX)
    }

    /// Evenly from [0, 1).
    fn share(&mut self) -> f64 {
        f64::from(self.below(1 << 31)) / f64::from(1_u32 << 31)
    }

    fn word(&mut self) -> u32 {
        let last = self.cumulated.last().copied().unwrap_or_default();
        let place = self.share() * last;
        let word = self.cumulated.partition_point(|sum| *sum <= place);
        u32::try_from(word).unwrap_or(u32::MAX)
    }

    /// Normally distributed, from twelve even ones.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.share()).sum::<f64>() - 6.0
    }

    fn text(&mut self) -> Vec<u32> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 3 and 400"
        )]
        let len = (33.0 * (0.5 * self.normal()).exp()).clamp(3.0, 400.0) as usize;
        let mut words: Vec<u32> = (0..len).map(|_| self.word()).collect();
        let topic = self.below(TOPICS) as usize;
        for _ in 0..len / 4 {
            words.push(self.topic_word(topic));
        }
        words
    }

    fn query(&mut self) -> Vec<u32> {
        let topic = self.below(TOPICS) as usize;
        let mut words = Vec::new();
        while words.len() < 6 {
            let word = if words.len() < 3 {
                self.topic_word(topic)
            } else {
                self.word()
            };
            if !words.contains(&word) {
                words.push(word);
            }
        }
        words
    }

    fn topic_word(&mut self, topic: usize) -> u32 {
        let place = self.below(self.topics[topic].len() as u64) as usize;
        self.topics[topic][place]
    }
}
