//! The built-in embedder: vectors that know something of what words mean, with nothing to download.
//!
//! A table holds 256 numbers for each word piece, distilled from the sentence model
//! all-MiniLM-L6-v2 by `cargo xtask distill` (see `NOTICE`). A word is cut into the pieces that the
//! model knows, longest first ("WordPiece", Schuster and Nakajima, 2012), and its vector is the sum
//! of theirs. A text's vector is the weighted sum of its words': no network runs.
//!
//! A document's vector weighs a word by how rare its rarest piece is in English, which its place in
//! the model's vocabulary tells, so that it never goes stale; the query's weighs it by how rare its
//! stem is in what is searched. Words with other than ASCII letters and digits have no vector, once
//! accents are folded: the model was made for English. That also leaves out the tokens that stand
//! for something personal. The same text gives the same bits on every machine.

use crate::hash::{FNV_BASIS, fnv1a, fnv1a_step};
use athena_search::analyze::{Role, Term, WordMemo, terms};
use athena_search::{TermStatistics, ln};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The name under which these vectors are stored. Another way of making them needs another name.
pub const MODEL_NAME: &str = "athena-table-1";

/// The number of components.
pub const DIM: usize = 256;

/// How many pieces have a row.
const ROWS: usize = 27_558;

/// The piece with the most letters has so many.
const LONGEST_PIECE: usize = 18;

/// A word in more pieces is spelled out rather than understood: a hash, a key, an encoded file.
const MOST_PIECES: usize = 12;

/// The ids below belong to markers and unused places.
const FIRST_RANK: u16 = 1_000;

static FILE: &[u8] = include_bytes!("../data/table.bin");
static ROW_BYTES: &[[u8; DIM]] = parts().0;
static SCALES: &[[u8; 4]] = parts().1;
static VOCABULARY: &[u8] = parts().2;

/// Takes the file apart; one of another form does not compile.
const fn parts() -> (&'static [[u8; DIM]], &'static [[u8; 4]], &'static [u8]) {
    const HEADER: &[u8] = b"athena-table-1 all-MiniLM-L6-v2 27558 256\n";
    let (header, rest) = FILE.split_at(HEADER.len());
    let mut at = 0;
    while at < HEADER.len() {
        assert!(header[at] == HEADER[at], "the table has another form");
        at += 1;
    }
    let (rows, rest) = rest.split_at(ROWS * DIM);
    let (scales, vocabulary) = rest.split_at(ROWS * 4);
    (rows.as_chunks().0, scales.as_chunks().0, vocabulary)
}

/// Returns the vector of a document's text, of unit length, or all zeros if it has no word that the
/// table knows.
///
/// A word counts `(1 + ln occurrences) · ln(1 + rank / 100)`; stop words do not count.
#[must_use]
pub fn document_vector(text: &str) -> Vec<f32> {
    let terms: Vec<Term> = terms(text)
        .into_iter()
        .filter(|term| term.role == Role::Word)
        .collect();
    let mut sum = Sum::default();
    for (word, (_, count)) in counted(&terms) {
        if let Some(pieces) = Pieces::of(word) {
            sum.add(&pieces, count_weight(count) * pieces.rarity());
        }
    }
    sum.unit()
}

/// Returns the vector of a query, of unit length, or all zeros if it has no word that the table
/// knows.
///
/// A word counts `(1 + ln occurrences) · idf` by its stem, the most if nothing contains it. Stop
/// words do not count, unless there is nothing else.
#[must_use]
pub fn query_vector(text: &str, statistics: &dyn TermStatistics) -> Vec<f32> {
    let mut terms = terms(text);
    let role = match terms.iter().any(|term| term.role == Role::Word) {
        true => Role::Word,
        false => Role::Stop,
    };
    terms.retain(|term| term.role == role);
    let mut sum = Sum::default();
    for (word, (stem, count)) in counted(&terms) {
        if let Some(pieces) = Pieces::of(word) {
            sum.add(&pieces, count_weight(count) * statistics.idf(stem));
        }
    }
    sum.unit()
}

/// Counts words; with each its stem. In the order of the alphabet, because sums depend on theirs.
fn counted(terms: &[Term]) -> BTreeMap<&str, (&str, u32)> {
    let mut words = BTreeMap::new();
    for term in terms {
        words.entry(term.word()).or_insert((&*term.text, 0)).1 += 1;
    }
    words
}

fn count_weight(count: u32) -> f64 {
    1.0 + ln(f64::from(count))
}

/// A weighted sum of rows.
struct Sum([f32; DIM]);

impl Default for Sum {
    fn default() -> Self {
        Self([0.0; DIM])
    }
}

impl Sum {
    fn add(&mut self, pieces: &Pieces, weight: f64) {
        for &row in pieces.rows() {
            let scale = f32::from_le_bytes(SCALES[usize::from(row)]);
            #[expect(clippy::cast_possible_truncation, reason = "rounded to f32 on purpose")]
            let factor = (weight * f64::from(scale)) as f32;
            for (sum, value) in self.0.iter_mut().zip(&ROW_BYTES[usize::from(row)]) {
                *sum += factor * f32::from(value.cast_signed());
            }
        }
    }

    fn unit(self) -> Vec<f32> {
        let values = self.0.iter().map(|value| f64::from(*value));
        let norm = values.fold(0.0, |sum, value| sum + value * value).sqrt();
        if norm == 0.0 {
            return self.0.to_vec();
        }
        #[expect(clippy::cast_possible_truncation, reason = "rounded to f32 on purpose")]
        let unit = |value: &f32| (f64::from(*value) / norm) as f32;
        self.0.iter().map(unit).collect()
    }
}

/// The pieces of one word, by row.
#[derive(Clone, Copy)]
struct Pieces {
    rows: [u16; MOST_PIECES],
    count: usize,
    /// The greatest id.
    rarest: u16,
}

thread_local! {
    static PIECES: RefCell<WordMemo<Option<Pieces>>> = RefCell::default();
}

impl Pieces {
    /// Returns the pieces of a word; `None` if it has other letters than the table or too many pieces.
    fn of(word: &str) -> Option<Self> {
        PIECES.with_borrow_mut(|pieces| pieces.get(word, Self::cut))
    }

    /// Cuts a word into pieces.
    fn cut(word: &str) -> Option<Self> {
        let mut pieces = Self {
            rows: [0; MOST_PIECES],
            count: 0,
            rarest: 0,
        };
        let mut rest = word.as_bytes();
        while !rest.is_empty() {
            let (row, piece) = VOCABULARY_INDEX.longest(rest, pieces.count > 0)?;
            *pieces.rows.get_mut(pieces.count)? = row;
            pieces.count += 1;
            pieces.rarest = pieces.rarest.max(piece.id);
            rest = &rest[piece.text.len()..];
        }
        Some(pieces)
    }

    fn rows(&self) -> &[u16] {
        &self.rows[..self.count]
    }

    /// `ln(1 + rank / 100)`: the vocabulary is sorted by how often its pieces occur.
    fn rarity(&self) -> f64 {
        let rank = self.rarest.saturating_sub(FIRST_RANK).max(1);
        ln(1.0 + f64::from(rank) / 100.0)
    }
}

/// A piece that has a row.
struct Piece {
    text: &'static [u8],
    /// Whether it goes on with a word (`##ing`) or begins one.
    inner: bool,
    id: u16,
}

/// The pieces by their hash, with open addressing.
struct VocabularyIndex {
    pieces: Vec<Piece>,
    /// The row that begins its search here, plus 1; 0 is free.
    slots: Vec<u16>,
}

static VOCABULARY_INDEX: LazyLock<VocabularyIndex> = LazyLock::new(VocabularyIndex::new);

impl VocabularyIndex {
    const SLOTS: usize = 1 << 16;

    fn new() -> Self {
        let mut index = Self {
            pieces: Vec::with_capacity(ROWS),
            slots: vec![0; Self::SLOTS],
        };
        for (id, line) in (0..).zip(VOCABULARY.split(|byte| *byte == b'\n')) {
            if !line.is_empty() {
                index.insert(id, line);
            }
        }
        index
    }

    fn insert(&mut self, id: u16, line: &'static [u8]) {
        let inner = line.strip_prefix(b"##");
        let piece = Piece {
            text: inner.unwrap_or(line),
            inner: inner.is_some(),
            id,
        };
        let hash = piece.text.iter().fold(start(piece.inner), fnv1a_step);
        self.pieces.push(piece);
        let mut slot = Self::slot(hash);
        while self.slots[slot] != 0 {
            slot = (slot + 1) % Self::SLOTS;
        }
        #[expect(clippy::cast_possible_truncation, reason = "there are 27,558 rows")]
        let number = self.pieces.len() as u16;
        self.slots[slot] = number;
    }

    /// Finds the longest piece that a text begins with.
    fn longest(&self, text: &[u8], inner: bool) -> Option<(u16, &Piece)> {
        let mut hashes = [0; LONGEST_PIECE];
        let mut hash = start(inner);
        for (place, byte) in hashes.iter_mut().zip(text) {
            hash = fnv1a_step(hash, byte);
            *place = hash;
        }
        let longest = text.len().min(LONGEST_PIECE);
        (1..=longest)
            .rev()
            .find_map(|length| self.find(hashes[length - 1], &text[..length], inner))
    }

    fn find(&self, hash: u64, text: &[u8], inner: bool) -> Option<(u16, &Piece)> {
        let mut slot = Self::slot(hash);
        loop {
            let row = self.slots[slot].checked_sub(1)?;
            let piece = &self.pieces[usize::from(row)];
            if piece.inner == inner && piece.text == text {
                return Some((row, piece));
            }
            slot = (slot + 1) % Self::SLOTS;
        }
    }

    /// Folds a hash, whose low bits alone are not spread well.
    fn slot(hash: u64) -> usize {
        let folded = hash ^ (hash >> 32);
        ((folded ^ (folded >> 16)) & 0xffff) as usize
    }
}

/// The hash that a piece's letters go on from: two letters apart, whether they begin a word or not.
fn start(inner: bool) -> u64 {
    if inner { fnv1a(b"##") } else { FNV_BASIS }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(word: &str) -> Option<Vec<String>> {
        let found = Pieces::of(word)?;
        let text = |row: &u16| {
            let piece = &VOCABULARY_INDEX.pieces[usize::from(*row)];
            let mark = if piece.inner { "##" } else { "" };
            format!("{mark}{}", String::from_utf8_lossy(piece.text))
        };
        Some(found.rows().iter().map(text).collect())
    }

    #[test]
    fn the_file_is_whole() {
        let index = &VOCABULARY_INDEX;
        assert_eq!(index.pieces.len(), ROWS);
        let longest = index.pieces.iter().map(|piece| piece.text.len()).max();
        assert_eq!(longest, Some(LONGEST_PIECE));
        assert_eq!((ROW_BYTES.len(), SCALES.len()), (ROWS, ROWS));
        for (row, scale) in ROW_BYTES.iter().zip(SCALES) {
            assert!(f32::from_le_bytes(*scale) > 0.0);
            let greatest = row
                .iter()
                .map(|value| value.cast_signed().unsigned_abs())
                .max();
            assert_eq!(greatest, Some(127));
        }
    }

    #[test]
    fn words_are_cut_as_the_model_cuts_them() {
        let check = |word, expected: &[&str]| {
            let expected = expected.iter().map(|piece| (*piece).to_owned()).collect();
            assert_eq!(pieces(word), Some(expected), "{word}");
        };
        check("database", &["database"]);
        check("embeddings", &["em", "##bed", "##ding", "##s"]);
        check("postgresql", &["post", "##gre", "##s", "##q", "##l"]);
        check("2026", &["202", "##6"]);
        check("qz", &["q", "##z"]);
        assert_eq!(pieces("Upper"), None);
        assert_eq!(pieces("naïve"), None);
        assert_eq!(pieces(&"q".repeat(MOST_PIECES + 1)), None);
    }

    #[test]
    fn every_letter_and_digit_is_known_at_every_place() {
        for letter in ('a'..='z').chain('0'..='9') {
            assert!(pieces(&letter.to_string()).is_some(), "{letter}");
            assert!(pieces(&format!("q{letter}")).is_some(), "{letter}");
        }
    }

    #[test]
    fn rare_words_weigh_more() {
        let rarity = |word| Pieces::of(word).unwrap().rarity();
        assert!(rarity("is") < rarity("day"));
        assert!(rarity("day") < rarity("zinc"));
        assert!((rarity("a") - ln(1.37)).abs() < 1e-12);
    }

    /// Stored vectors must be comparable with those of every later version, on every machine.
    #[test]
    fn the_model_stays_what_it_is() {
        let vector = document_vector("Athena remembers what agents learnt: PostgreSQL, twice.");
        let bytes: Vec<u8> = vector.iter().flat_map(|it| it.to_le_bytes()).collect();
        assert_eq!(fnv1a(&bytes), 0x3e9b_a0dc_6176_75ee);
    }
}
