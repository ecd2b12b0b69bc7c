//! What words add at most to scores, in whole numbers.

use std::cell::OnceCell;

use super::scoring::Scoring;
use crate::postings::Rows;

/// What a score comes to at most, before rounding up.
const SCALE: f64 = 60_000.0;

/// By how many units a sum may be too low: as much as rounding does, and far more.
const SLACK: f64 = 2.0;

/// How many lengths have bounds of their own: those of [`Rows::lone_lengths`].
const LENGTHS: usize = Rows::NOT_LONE as usize + 1;

/// Counts up to here have bounds of their own.
const COUNTS: usize = 2;

/// A whole number of units for each length, for each count.
pub(super) type Table = [[u16; LENGTHS]; COUNTS];

/// The unit that the bounds of a query are counted in, and what they are made of.
pub(super) struct Units<'a> {
    scoring: &'a Scoring,
    per_unit: f64,
    /// How much of its weight a word brings to whole texts, and to passages.
    whole: [[f64; LENGTHS]; COUNTS],
    passage: [[f64; LENGTHS]; COUNTS],
    tables: Vec<OnceCell<Table>>,
}

impl<'a> Units<'a> {
    /// Returns the units of a query; `None` if its weights are nothing to count by.
    pub(super) fn of(scoring: &'a Scoring) -> Option<Self> {
        let per_unit = SCALE / scoring.ceiling();
        let mut units = Self {
            scoring,
            per_unit,
            whole: [[0.0; LENGTHS]; COUNTS],
            passage: [[0.0; LENGTHS]; COUNTS],
            tables: vec![OnceCell::new(); scoring.len()],
        };
        for (tf, (whole, passage)) in (1..).zip(units.whole.iter_mut().zip(&mut units.passage)) {
            for (len, (whole, passage)) in (0..).zip(whole.iter_mut().zip(passage)) {
                *whole = scoring.whole_saturation(tf, len);
                *passage = scoring.passage_saturation(tf, len);
            }
        }
        (per_unit.is_normal() && per_unit.recip().is_normal()).then_some(units)
    }

    /// What a word adds at most to items of one passage; nothing for [`Rows::NOT_LONE`].
    pub(super) fn table(&self, word: usize) -> &Table {
        self.tables[word].get_or_init(|| self.make_table(word))
    }

    fn make_table(&self, word: usize) -> Table {
        let word = self.scoring.word(word);
        let whole_weight = 0.5 * word.whole * self.per_unit;
        let passage_weight = 0.5 * word.passage * self.per_unit;
        let mut table = [[0; LENGTHS]; COUNTS];
        for (units, (whole, passage)) in table.iter_mut().zip(self.whole.iter().zip(&self.passage))
        {
            for (units, (whole, passage)) in units.iter_mut().zip(whole.iter().zip(passage)) {
                *units = round_up(whole_weight * whole + passage_weight * passage);
            }
            units[usize::from(Rows::NOT_LONE)] = 0;
        }
        table
    }

    /// What a word adds at most to an item that brings so much of its weight.
    pub(super) fn at_most(&self, word: usize, whole: f64, passage: f64) -> u16 {
        let word = self.scoring.word(word);
        round_up((0.5 * word.whole * whole + 0.5 * word.passage * passage) * self.per_unit)
    }

    /// How much of its weight a word brings to a whole text.
    pub(super) fn in_whole(&self, tf: u32, len: u32) -> f64 {
        match entry(&self.whole, tf, len) {
            Some(saturation) => saturation,
            None => self.scoring.whole_saturation(tf, len),
        }
    }

    /// How much of its weight a word brings to a passage.
    pub(super) fn in_passage(&self, tf: u32, len: u32) -> f64 {
        match entry(&self.passage, tf, len) {
            Some(saturation) => saturation,
            None => self.scoring.passage_saturation(tf, len),
        }
    }

    /// What a word adds at most to an item of one passage that says it `tf` times.
    pub(super) fn of_lone(&self, word: usize, tf: u32, len: u8) -> u16 {
        let len = u32::from(len);
        let whole = self.scoring.whole_saturation(tf, len);
        let passage = self.scoring.passage_saturation(tf, len);
        self.at_most(word, whole, passage)
    }

    /// The score that a sum stands for: none of which it is the bound is larger.
    pub(super) fn score(&self, sum: u16) -> f64 {
        (f64::from(sum) + SLACK) / self.per_unit
    }

    /// The least sum of an item that may reach a score; 1 if all that have a word may.
    pub(super) fn least(&self, score: f64) -> u16 {
        let units = score * self.per_unit - SLACK;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a cast from a float stays within the type"
        )]
        let least = units as u16;
        least.max(1)
    }
}

/// Rounds a number from 0 to [`SCALE`] to a whole one that is larger.
#[inline]
fn round_up(units: f64) -> u16 {
    // Beyond 2^52 floats have no fraction: adding that leaves the nearest whole number in the
    // lowest bits.
    let bits = (units + 4_503_599_627_370_496.0).to_bits();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the number is in these bits"
    )]
    let nearest = bits as u16;
    nearest + 1
}

#[inline]
fn entry(table: &[[f64; LENGTHS]; COUNTS], tf: u32, len: u32) -> Option<f64> {
    let row = table.get((tf as usize).wrapping_sub(1))?;
    row.get(len as usize).copied()
}
