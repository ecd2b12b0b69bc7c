//! Made-up memories to measure with: texts, vectors, labels and questions, the same in every run
//! and on every machine.
//!
//! Each row and each question is a function of its number alone, so that any part of a million rows
//! can be made without the rest. What a search should find is known exactly: [`Truth`] compares
//! every question with every row.
//!
//! What it does not do: imitate real embeddings or real language. Clusters are gaussian and words are
//! syllables; what it offers is the shape that decides how hard a search is: near neighbours, words
//! of very different frequency, and filters of every width.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod corpus;
mod random;
mod truth;
mod vectors;
mod words;

pub use corpus::{Corpus, Labels, QUESTIONS, Question, Row};
pub use random::Random;
pub use truth::{DEPTH, Truth, percentile, recall};
pub use vectors::{DIMENSION, dot};
pub use words::{Vocabulary, made_up};
