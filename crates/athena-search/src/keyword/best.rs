//! What a search keeps.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Scored;

/// The scored items that may still be among the best.
#[derive(Debug)]
pub(super) struct Best {
    kept: Vec<Scored>,
    /// The best `k` scores, as bits: those of positive numbers order as the numbers do.
    scores: BinaryHeap<Reverse<u64>>,
    k: usize,
    /// How far below the k-th best a score may lie, as a share of the best.
    margin: f64,
    /// No less than the margin times the best score.
    allowance: f64,
}

impl Best {
    /// The best `k` and all within the margin; no score exceeds `ceiling`.
    pub(super) fn of(k: usize, margin: f64, ceiling: f64) -> Self {
        let margin = if margin > 0.0 { margin } else { 0.0 };
        Self {
            kept: Vec::new(),
            scores: BinaryHeap::new(),
            k,
            margin,
            allowance: margin * ceiling,
        }
    }

    /// What an item must reach to be kept.
    pub(super) fn threshold(&self) -> f64 {
        self.kth() - self.allowance
    }

    pub(super) fn offer(&mut self, scored: Scored) {
        if !(scored.score > 0.0 && scored.score >= self.threshold()) {
            return;
        }
        self.kept.push(scored);
        self.count(scored.score);
        if self.kept.len() >= 1024 + 4 * self.k.min(1 << 20) && self.kept.len().is_power_of_two() {
            let least = self.threshold();
            self.kept.retain(|kept| kept.score >= least);
        }
    }

    fn count(&mut self, score: f64) {
        let bits = Reverse(score.to_bits());
        if self.scores.len() < self.k {
            self.scores.push(bits);
        } else if let Some(mut least) = self.scores.peek_mut()
            && bits < *least
        {
            *least = bits;
        }
    }

    /// Returns what was kept, best first; equal scores in the order of segments and items.
    pub(super) fn finish(mut self) -> Vec<Scored> {
        let best = self.kept.iter().map(|it| it.score).fold(0.0, f64::max);
        let least = self.kth() - self.margin * best;
        self.kept.retain(|kept| kept.score >= least);
        let order = |a: &Scored, b: &Scored| {
            let order = b.score.total_cmp(&a.score);
            order.then((a.segment, a.item).cmp(&(b.segment, b.item)))
        };
        self.kept.sort_unstable_by(order);
        self.kept
    }

    /// The k-th best score, 0 while there are fewer.
    fn kth(&self) -> f64 {
        match self.scores.peek() {
            Some(Reverse(bits)) if self.scores.len() >= self.k => f64::from_bits(*bits),
            _ => 0.0,
        }
    }
}
