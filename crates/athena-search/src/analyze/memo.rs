//! What was made of words before.

/// Keeps what was made of words, for words that come again: in each of its places the last one.
///
/// Texts repeat few words over and over, so that a few thousand places spare most of the work.
#[derive(Debug, Clone)]
pub struct WordMemo<V> {
    places: Vec<Option<(Box<str>, V)>>,
}

/// How many words are kept at most; a power of two.
const PLACES: usize = 4_096;

/// Longer words seldom come again.
const LONGEST: usize = 32;

impl<V> Default for WordMemo<V> {
    fn default() -> Self {
        Self {
            places: std::iter::repeat_with(|| None).take(PLACES).collect(),
        }
    }
}

impl<V: Clone> WordMemo<V> {
    /// Returns what is made of a word, which must always be the same.
    pub fn get(&mut self, word: &str, make: impl FnOnce(&str) -> V) -> V {
        if word.len() > LONGEST {
            return make(word);
        }
        let place = &mut self.places[place(word)];
        match place {
            Some((known, made)) if **known == *word => made.clone(),
            _ => {
                let made = make(word);
                *place = Some((word.into(), made.clone()));
                made
            }
        }
    }
}

/// Where a word goes: FNV-1a, folded.
fn place(word: &str) -> usize {
    let step = |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let hash = word.bytes().fold(0x811c_9dc5, step);
    (hash ^ (hash >> 15)) as usize % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_looked_at_once_while_it_has_its_place() {
        let mut memo = WordMemo::default();
        let mut made = 0;
        for _ in 0..3 {
            for word in ["one", "two", "", "über"] {
                let length = memo.get(word, |word| {
                    made += 1;
                    word.len()
                });
                assert_eq!(length, word.len());
            }
        }
        assert_eq!(made, 4);
    }

    #[test]
    fn words_of_one_place_do_not_answer_for_each_other() {
        let mut memo = WordMemo::default();
        let long = "x".repeat(LONGEST + 1);
        for round in 0..2 {
            for number in 0..3 * PLACES {
                let word = format!("word{number}");
                assert_eq!(memo.get(&word, str::to_owned), word, "round {round}");
            }
            assert_eq!(memo.get(&long, str::to_owned), long);
        }
    }
}
