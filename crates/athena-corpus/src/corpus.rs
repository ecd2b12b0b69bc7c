//! Rows and questions.

use crate::random::Random;
use crate::vectors::{CLUSTERS, Space, topic_of};
use crate::words::Vocabulary;

/// How many questions are asked, unless somebody is in a hurry.
pub const QUESTIONS: u64 = 200;

/// Words that exist.
const WORDS: u32 = 50_000;
/// Words that a topic and each cluster in it have for themselves.
const TOPICAL: usize = 12;
/// Their ranks: neither the words of every text nor those that occur once.
const TOPICAL_RANKS: std::ops::Range<u64> = 300..20_000;
/// The median number of words of a row, those of its topic not counted.
const MEDIAN_WORDS: f64 = 33.0;
/// The deviation of the logarithm of that number.
const SPREAD: f64 = 0.4;
/// The fewest and the most words of a row: one passage of any search, whatever cuts texts.
const LENGTHS: std::ops::Range<u32> = 8..110;
/// One word in five is of the row's topic: a fourth part on top of the others.
const TOPICAL_SHARE: f64 = 0.2;

const KIND_ROW: u64 = 0x72_6f_77;
const KIND_QUESTION: u64 = 0x61_73_6b;
const KIND_TOPIC_WORDS: u64 = 0x74_77;
const KIND_CLUSTER_WORDS: u64 = 0x63_77;

/// Makes rows and questions.
#[derive(Debug, Clone)]
pub struct Corpus {
    space: Space,
    vocabulary: Vocabulary,
    /// For each cluster the ranks of its words.
    topical: Vec<Vec<usize>>,
}

/// Something to store.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Some thirty to forty words.
    pub text: String,
    /// A vector of length 1.
    pub vector: Vec<f32>,
    /// What it can be filtered by.
    pub labels: Labels,
}

/// Which of the labels a row has; each is drawn by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Labels([bool; 4]);

impl Labels {
    /// The labels and the share of rows that have them, commonest first.
    pub const ALL: [(&'static str, f64); 4] = [
        ("half", 0.5),
        ("tenth", 0.1),
        ("hundredth", 0.01),
        ("thousandth", 0.001),
    ];

    /// Whether the label of that place in [`ALL`](Self::ALL) is there.
    #[must_use]
    pub fn has(self, place: usize) -> bool {
        self.0.get(place).copied().unwrap_or(false)
    }

    /// Returns the names of those that are there.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let named = Self::ALL.into_iter().zip(self.0);
        named.filter_map(|((name, _), has)| has.then_some(name))
    }
}

/// Something to ask.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Six words: three of a topic and three as texts use them. Some 28 % of all rows have one of
    /// them.
    pub text: String,
    /// A vector of length 1, drawn as rows are and of no row.
    pub vector: Vec<f32>,
}

impl Corpus {
    /// Makes the corpus; it is the same whenever it is made.
    #[must_use]
    pub fn new() -> Self {
        let words = |kind, number| {
            let mut random = Random::of(kind, number);
            let span = TOPICAL_RANKS.end - TOPICAL_RANKS.start;
            (0..TOPICAL)
                .map(|_| usize::try_from(TOPICAL_RANKS.start + random.below(span)).unwrap_or(0))
                .collect::<Vec<usize>>()
        };
        let topical = |cluster| {
            let topic = words(KIND_TOPIC_WORDS, topic_of(cluster));
            [topic, words(KIND_CLUSTER_WORDS, cluster)].concat()
        };
        Self {
            space: Space::new(),
            vocabulary: Vocabulary::new(WORDS),
            topical: (0..CLUSTERS).map(topical).collect(),
        }
    }

    /// Returns the row of a number.
    #[must_use]
    pub fn row(&self, number: u64) -> Row {
        let mut random = Random::of(KIND_ROW, number);
        let cluster = random.below(CLUSTERS);
        let labels = Labels::ALL.map(|(_, share)| random.share() < share);
        Row {
            vector: self.space.near(cluster, &mut random),
            text: self.text(cluster, &mut random),
            labels: Labels(labels),
        }
    }

    /// Returns the question of a number.
    #[must_use]
    pub fn question(&self, number: u64) -> Question {
        let mut random = Random::of(KIND_QUESTION, number);
        let cluster = random.below(CLUSTERS);
        let vector = self.space.near(cluster, &mut random);
        let mut words: Vec<&str> = (0..3).map(|_| self.topical(cluster, &mut random)).collect();
        words.extend((0..3).map(|_| self.vocabulary.draw(&mut random)));
        Question {
            text: words.join(" "),
            vector,
        }
    }

    /// Returns the first questions.
    #[must_use]
    pub fn questions(&self, count: u64) -> Vec<Question> {
        (0..count).map(|number| self.question(number)).collect()
    }

    /// Returns a number that is another one for another corpus: FNV-1a over what the first rows and
    /// questions are made of.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut feed = |bytes: &[u8]| {
            for byte in bytes {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        for number in 0..8 {
            let (row, question) = (self.row(number), self.question(number));
            feed(row.text.as_bytes());
            feed(question.text.as_bytes());
            for component in row.vector.iter().chain(&question.vector) {
                feed(&component.to_le_bytes());
            }
            row.labels.names().for_each(|name| feed(name.as_bytes()));
        }
        hash
    }

    fn text(&self, cluster: u64, random: &mut Random) -> String {
        let words = length(random);
        let words: Vec<&str> = (0..words)
            .map(|_| match random.share() < TOPICAL_SHARE {
                true => self.topical(cluster, random),
                false => self.vocabulary.draw(random),
            })
            .collect();
        words.join(" ")
    }

    fn topical(&self, cluster: u64, random: &mut Random) -> &str {
        let words = &self.topical[usize::try_from(cluster).unwrap_or(0)];
        self.vocabulary.word(random.choose(words))
    }
}

impl Default for Corpus {
    fn default() -> Self {
        Self::new()
    }
}

/// Draws how many words a row has: log-normal, kept within [`LENGTHS`].
fn length(random: &mut Random) -> u32 {
    let words = MEDIAN_WORDS / (1.0 - TOPICAL_SHARE) * (SPREAD * random.normal()).exp();
    // Counting up spares a cast from a float.
    LENGTHS
        .into_iter()
        .find(|count| f64::from(*count) >= words)
        .unwrap_or(LENGTHS.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Results of different days are compared: who changes this changes what they mean.
    #[test]
    fn rows_and_questions_are_the_same_in_every_run() {
        assert_eq!(Corpus::new().fingerprint(), 1_675_909_088_479_980_699);
    }

    #[test]
    fn labels_are_as_frequent_as_they_say() {
        let corpus = Corpus::new();
        let rows: Vec<Labels> = (0..4_000).map(|number| corpus.row(number).labels).collect();
        let share = |place| rows.iter().filter(|labels| labels.has(place)).count();
        assert!((1_850..2_150).contains(&share(0)), "{}", share(0));
        assert!((330..470).contains(&share(1)), "{}", share(1));
        assert!((20..65).contains(&share(2)), "{}", share(2));
        assert!((1..12).contains(&share(3)), "{}", share(3));
        assert!(!rows[0].has(Labels::ALL.len()));
    }

    #[test]
    fn texts_are_long_enough_to_differ() {
        let corpus = Corpus::new();
        let texts: HashSet<String> = (0..2_000).map(|number| corpus.row(number).text).collect();
        assert_eq!(texts.len(), 2_000);
        let mut lengths: Vec<usize> = texts.iter().map(|it| it.split(' ').count()).collect();
        lengths.sort_unstable();
        assert!((39..44).contains(&lengths[1_000]), "{}", lengths[1_000]);
        assert_eq!(corpus.question(3).text.split(' ').count(), 6);
    }
}
