//! Sets of small numbers, one bit each.

use std::ops::Range;

/// A set of numbers below its length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bitmap {
    words: Vec<u64>,
}

impl Bitmap {
    /// Returns a set with room for numbers below `len`, empty or with all of them.
    pub(crate) fn new(len: usize, full: bool) -> Self {
        let mut words = vec![if full { u64::MAX } else { 0 }; len.div_ceil(64)];
        if let Some(last) = words.last_mut()
            && full
            && !len.is_multiple_of(64)
        {
            *last = (1 << (len % 64)) - 1;
        }
        Self { words }
    }

    /// Makes room for numbers below `len`.
    pub(crate) fn grow(&mut self, len: usize) {
        self.words.resize(len.div_ceil(64).max(self.words.len()), 0);
    }

    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    pub(crate) fn contains(&self, at: usize) -> bool {
        self.words
            .get(at / 64)
            .is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    pub(crate) fn insert(&mut self, at: usize) {
        self.words[at / 64] |= 1 << (at % 64);
    }

    pub(crate) fn remove(&mut self, at: usize) {
        self.words[at / 64] &= !(1 << (at % 64));
    }

    pub(crate) fn set(&mut self, at: usize, on: bool) {
        if on {
            self.insert(at);
        } else {
            self.remove(at);
        }
    }

    pub(crate) fn count(&self) -> usize {
        let ones = |word: &u64| word.count_ones() as usize;
        self.words.iter().map(ones).sum()
    }

    /// Keeps what both sets have.
    pub(crate) fn intersect(&mut self, other: &Self) {
        let others = other.words.iter().copied().chain(std::iter::repeat(0));
        for (word, other) in self.words.iter_mut().zip(others) {
            *word &= other;
        }
    }

    /// Keeps what the other set does not have.
    pub(crate) fn subtract(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= !other;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Keeps of a stretch, which begins at a multiple of 64, the numbers that pass a test; it gets
    /// them counted from there, and only those that are in the set or beside one that is.
    pub(crate) fn keep(&mut self, stretch: Range<usize>, test: impl Fn(usize) -> bool) {
        let len = stretch.len();
        let words = self.words.iter_mut().skip(stretch.start / 64);
        for (at, word) in words.take(len.div_ceil(64)).enumerate() {
            if *word == 0 {
                continue;
            }
            let first = at * 64;
            let mut passing = 0;
            for bit in 0..(len - first).min(64) {
                passing |= u64::from(test(first + bit)) << bit;
            }
            *word &= passing;
        }
    }

    /// Keeps of the `len` numbers from a multiple of 64 on those that another set has, counted from
    /// there.
    pub(crate) fn intersect_from(&mut self, from: usize, other: &Self, len: usize) {
        let words = self.words.iter_mut().skip(from / 64);
        let others = other.words.iter().copied().chain(std::iter::repeat(0));
        for (word, other) in words.take(len.div_ceil(64)).zip(others) {
            *word &= other;
        }
    }

    /// Returns the `len` numbers from a multiple of 64 on, counted from there.
    pub(crate) fn slice(&self, from: usize, len: usize) -> Self {
        let words = self.words.iter().skip(from / 64).take(len.div_ceil(64));
        let mut slice = Self {
            words: words.copied().collect(),
        };
        slice.grow(len);
        slice.intersect(&Self::new(len, true));
        slice
    }

    /// Returns those of the `len` numbers from a multiple of 64 on that are not in the set, counted
    /// from there, ascending.
    pub(crate) fn missing(&self, from: usize, len: usize) -> impl Iterator<Item = usize> + '_ {
        let words = self.words.iter().copied().skip(from / 64);
        let words = words.chain(std::iter::repeat(0)).take(len.div_ceil(64));
        let missing = words
            .enumerate()
            .flat_map(|(at, word)| ones(!word, at * 64));
        missing.take_while(move |number| *number < len)
    }

    /// Returns the numbers, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let words = self.words.iter().copied().enumerate();
        words.flat_map(|(at, word)| ones(word, at * 64))
    }
}

/// The places of the bits that are set, counted from a number on.
fn ones(mut word: u64, from: usize) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
        word &= word - 1;
        Some(from + bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in() {
        let mut set = Bitmap::new(130, false);
        for at in [0, 63, 64, 129] {
            set.insert(at);
        }
        set.remove(64);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 63, 129]);
        assert_eq!(set.count(), 3);
        assert!(set.contains(129) && !set.contains(64) && !set.contains(9_999));
    }

    #[test]
    fn a_slice_counts_from_its_start() {
        let mut set = Bitmap::new(200, false);
        for at in [3, 64, 70, 133, 199] {
            set.insert(at);
        }
        assert_eq!(set.slice(64, 69).iter().collect::<Vec<_>>(), [0, 6]);
        assert_eq!(set.slice(128, 500).iter().collect::<Vec<_>>(), [5, 71]);
        assert_eq!(set.slice(640, 10).count(), 0);
        assert_eq!(set.missing(64, 8).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 7]);
        assert_eq!(set.missing(640, 3).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn keeps_what_passes_from_a_place_on() {
        let mut set = Bitmap::new(200, true);
        set.keep(64..134, |at| at % 2 == 0 && at < 69);
        let kept: Vec<usize> = set.iter().filter(|at| (64..134).contains(at)).collect();
        assert_eq!(kept, (64..133).step_by(2).collect::<Vec<_>>());
        assert_eq!(set.iter().filter(|at| *at < 64).count(), 64);
        set.intersect_from(0, &Bitmap::new(10, true), 64);
        assert_eq!(set.iter().filter(|at| *at < 64).count(), 10);
        set.intersect_from(64, &Bitmap::default(), 70);
        assert_eq!(set.iter().filter(|at| (64..134).contains(at)).count(), 0);
    }

    #[test]
    fn a_full_set_ends_at_its_length() {
        for len in [0, 1, 63, 64, 65, 128] {
            assert_eq!(Bitmap::new(len, true).count(), len);
        }
        let mut set = Bitmap::new(70, true);
        set.intersect(&Bitmap::new(10, true));
        assert_eq!(set.count(), 10);
        set.subtract(&Bitmap::new(9, true));
        assert!(!set.is_empty() && set.contains(9));
        set.subtract(&Bitmap::new(100, true));
        assert!(set.is_empty());
    }
}
