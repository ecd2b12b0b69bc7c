//! Ranking by words: BM25 of whole texts and their passages, exact, over several segments.
//!
//! An item's score is half the BM25 of its whole text and half that of its best passage, each with
//! the statistics of its own kind. [`score_all`] scores whatever has a word, [`score_items`] the
//! items that are named, [`top_k`] finds the best without looking at most of the others. All three
//! give an item the same score, to the bit: its sums grow in the order of the query's words,
//! however it was found.
//!
//! [`top_k`] never guesses. It first adds up for each item in whole numbers what its words bring at
//! most: from a table by count and length, rounded up, so that a word costs a few instructions. The
//! items with the largest sums are scored exactly and set a threshold; only those whose sums reach
//! it are scored too. Words that bring little and are in many rows are not even added where few
//! items could reach the threshold with them (MaxScore: Turtle and Flood, 1995): these items are
//! looked up in the lists, as long as the bounds of the blocks that they would be in say that it
//! may be worth it (block bounds: Ding and Suel, 2011).

mod best;
mod engine;
mod scoring;
mod segment;
mod sums;
#[cfg(test)]
mod tests;
mod units;
mod window;

pub use engine::{Scratch, score_all, score_items, top_k};
pub use scoring::{Scoring, Word};
pub use segment::SegmentView;

/// An item with its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Which of the segments has it.
    pub segment: usize,
    /// The item's number there.
    pub item: u32,
    /// The row of its best passage; of equal ones the first.
    pub row: u32,
    /// Half the whole text's BM25, half the best passage's; above 0.
    pub score: f64,
    /// The same with the weights that count for `match`.
    pub toward_match: f64,
}
