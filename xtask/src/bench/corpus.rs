//! Memories to measure with: made up, the same in every run.
//!
//! Words follow Zipf's law over a vocabulary of made-up words, as they do in real text: a few are
//! in nearly every memory, most are rare. A memory has 12 to 40 words; a question takes five words
//! out of one memory and adds one of its own.

/// Words that exist.
const VOCABULARY: u32 = 8_000;

/// Makes memories and questions, each a function of its number alone.
pub(super) struct Corpus {
    words: Vec<String>,
    /// For each word the share of text up to it.
    shares: Vec<f64>,
}

impl Corpus {
    pub(super) fn new() -> Corpus {
        let mut sum = 0.0;
        let mut shares: Vec<f64> = (1..=VOCABULARY)
            .map(|rank| {
                sum += 1.0 / f64::from(rank);
                sum
            })
            .collect();
        shares.iter_mut().for_each(|share| *share /= sum);
        Corpus {
            words: (0..VOCABULARY).map(made_up).collect(),
            shares,
        }
    }

    /// Returns the text of a memory.
    pub(super) fn memory(&self, number: u64) -> String {
        let mut random = Random::new(number);
        let length = 12 + random.below(29);
        let words: Vec<&str> = (0..length).map(|_| self.word(&mut random)).collect();
        words.join(" ")
    }

    /// Returns a question whose words come from one of the first `memories` memories.
    pub(super) fn question(&self, number: u64, memories: u64) -> String {
        let mut random = Random::new(!number);
        let memory = self.memory(random.below(memories));
        let known: Vec<&str> = memory.split(' ').collect();
        let mut words: Vec<&str> = (0..5).map(|_| random.choose(&known)).collect();
        words.push(self.word(&mut random));
        words.join(" ")
    }

    fn word(&self, random: &mut Random) -> &str {
        let at = random.share();
        let index = self.shares.partition_point(|share| *share < at);
        &self.words[index.min(self.words.len() - 1)]
    }
}

/// Returns the word of a rank: two to four syllables.
fn made_up(rank: u32) -> String {
    const ONSETS: [&str; 16] = [
        "b", "ch", "d", "f", "g", "k", "l", "m", "n", "p", "r", "st", "t", "tr", "v", "z",
    ];
    const RIMES: [&str; 8] = ["a", "el", "i", "on", "u", "ar", "en", "o"];
    let mut random = Random::new(u64::from(rank) << 32);
    let mut word = String::new();
    for _ in 0..2 + random.below(3) {
        word.push_str(random.choose(&ONSETS));
        word.push_str(random.choose(&RIMES));
    }
    word
}

/// Pseudo-random numbers: splitmix64 by Steele, Lea and Flood (2014).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Returns a number from 0 up to 1.
    pub(super) fn share(&mut self) -> f64 {
        let bits = u32::try_from(self.next() >> 32).unwrap_or(u32::MAX);
        f64::from(bits) / (f64::from(u32::MAX) + 1.0)
    }

    fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        let count = u64::try_from(from.len()).unwrap_or(u64::MAX);
        from[usize::try_from(self.below(count)).unwrap_or(0)]
    }
}

#[cfg(test)]
mod tests {
    use super::Corpus;

    #[test]
    fn texts_are_the_same_in_every_run() {
        let (one, other) = (Corpus::new(), Corpus::new());
        assert_eq!(one.memory(7), other.memory(7));
        assert_ne!(one.memory(7), one.memory(8));
        let length = one.memory(7).split(' ').count();
        assert!((12..=40).contains(&length), "{length}");
    }

    #[test]
    fn questions_are_about_memories() {
        let corpus = Corpus::new();
        let question = corpus.question(3, 1);
        let memory = corpus.memory(0);
        let shared = |word: &&str| memory.split(' ').any(|known| known == *word);
        assert!(question.split(' ').filter(shared).count() >= 5);
    }
}
