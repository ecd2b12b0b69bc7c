//! Memories to measure with: made up, the same in every run.
//!
//! Words follow Zipf's law over a vocabulary of made-up words, as they do in real text: a few are
//! in nearly every memory, most are rare. A memory has 12 to 40 words; a question takes five words
//! out of one memory and adds one of its own.

use athena_corpus::{Random, Vocabulary};

/// Words that exist.
const VOCABULARY: u32 = 8_000;

/// Makes memories and questions, each a function of its number alone.
pub(super) struct Corpus {
    words: Vocabulary,
}

impl Corpus {
    pub(super) fn new() -> Corpus {
        Corpus {
            words: Vocabulary::new(VOCABULARY),
        }
    }

    /// Returns the text of a memory.
    pub(super) fn memory(&self, number: u64) -> String {
        let mut random = Random::new(number);
        let length = 12 + random.below(29);
        let words: Vec<&str> = (0..length).map(|_| self.words.draw(&mut random)).collect();
        words.join(" ")
    }

    /// Returns a question whose words come from one of the first `memories` memories.
    pub(super) fn question(&self, number: u64, memories: u64) -> String {
        let mut random = Random::new(!number);
        let memory = self.memory(random.below(memories));
        let known: Vec<&str> = memory.split(' ').collect();
        let mut words: Vec<&str> = (0..5).map(|_| random.choose(&known)).collect();
        words.push(self.words.draw(&mut random));
        words.join(" ")
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
