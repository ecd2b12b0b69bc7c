//! An item that may answer, and what speaks for it.

use std::cmp::Reverse;

use crate::math::UNITS;
use crate::query::Ground;

use super::arms::Found;

/// The score 1 in units of 1e-7.
#[expect(clippy::cast_possible_truncation, reason = "1e7")]
pub(super) const ONE: i64 = UNITS as i64;

/// An item that may answer.
#[derive(Clone)]
pub(super) struct Candidate {
    /// The place of its index among those that are asked.
    pub(super) scope: usize,
    pub(super) uid: [u8; 16],
    pub(super) found: Found,
    /// Whether a neighbouring turn or a date found it.
    pub(super) by_dialogue: bool,
    pub(super) parts: Parts,
}

impl Candidate {
    pub(super) fn new(scope: usize, uid: [u8; 16], found: Found) -> Self {
        Self {
            scope,
            uid,
            found,
            by_dialogue: false,
            parts: Parts::default(),
        }
    }

    /// Equal scores are ordered by uid, then by place in the question (one item may be in two).
    pub(super) fn tie(&self) -> ([u8; 16], usize) {
        (self.uid, self.scope)
    }

    /// Best first.
    fn order(&self) -> (Reverse<i64>, ([u8; 16], usize)) {
        (Reverse(self.parts.sum()), self.tie())
    }
}

/// Puts the best in front, in order, and drops the rest.
pub(super) fn keep_best(candidates: &mut Vec<Candidate>, limit: usize) {
    if limit == 0 {
        candidates.clear();
        return;
    }
    if candidates.len() > limit {
        candidates.select_nth_unstable_by_key(limit - 1, Candidate::order);
        candidates.truncate(limit);
    }
    candidates.sort_unstable_by_key(Candidate::order);
}

/// What each ground adds to a score, in units of 1e-7.
#[derive(Clone, Copy, Default)]
pub(super) struct Parts([i64; GROUNDS.len()]);

/// Every ground, in the order in which they are added.
pub(super) const GROUNDS: [Ground; 13] = [
    Ground::Model,
    Ground::Builtin,
    Ground::Keyword,
    Ground::User,
    Ground::Previous,
    Ground::Next,
    Ground::Near,
    Ground::Session,
    Ground::Statement,
    Ground::Date,
    Ground::Speaker,
    Ground::Recency,
    Ground::Usefulness,
];

impl Parts {
    pub(super) fn add(&mut self, ground: Ground, units: i64) {
        self.0[ground as usize] += units;
    }

    pub(super) fn get(&self, ground: Ground) -> i64 {
        self.0[ground as usize]
    }

    pub(super) fn sum(&self) -> i64 {
        self.0.iter().sum()
    }

    /// The parts divided by `best / ONE`, such that they still are whole and add up to the divided
    /// sum, rounded: each is the step from one divided running sum to the next.
    pub(super) fn divided(&self, best: i64) -> Self {
        let mut parts = Self::default();
        let (mut sum, mut told) = (0, 0);
        for ground in GROUNDS {
            sum += self.get(ground);
            let so_far = divided(sum, best);
            parts.add(ground, so_far - told);
            told = so_far;
        }
        parts
    }
}

/// `units / (best / ONE)`, rounded half up. Both are sums of a few parts of at most a few units each.
fn divided(units: i64, best: i64) -> i64 {
    (units * ONE + best / 2) / best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grounds_are_in_their_order() {
        for (place, ground) in GROUNDS.into_iter().enumerate() {
            assert_eq!(ground as usize, place);
        }
    }

    #[test]
    fn divided_parts_add_up() {
        let mut parts = Parts::default();
        for (ground, units) in GROUNDS.into_iter().zip([1, 3_333_333, 0, 7, 9_999_999]) {
            parts.add(ground, units);
        }
        let third = parts.divided(3 * ONE);
        assert_eq!(parts.sum(), 13_333_340);
        assert_eq!(third.sum(), 4_444_447);
        assert_eq!(parts.divided(ONE).0, parts.0);
        assert_eq!(third.get(Ground::Builtin), 1_111_111);
    }
}
