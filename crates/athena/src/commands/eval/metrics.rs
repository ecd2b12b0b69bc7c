//! What rankings are worth, and whether two runs differ.
//!
//! For a question with the relevant documents R and a ranking r1, r2, …:
//! - recall@k = |R ∩ {r1..rk}| / |R|;
//! - MRR = 1 / the rank of the first relevant document, 0 if none is in the ranking;
//! - nDCG@10 with binary gains = the sum of 1/log2(p+1) over relevant ranks p ≤ 10, divided by the
//!   same sum for the min(|R|, 10) best ranks.
//!
//! A set is worth the plain mean over its questions.

use std::collections::BTreeSet;

/// The names of the figures, in the order of [`Figures`].
pub(crate) const NAMES: [&str; 6] = [
    "recall@1",
    "recall@5",
    "recall@10",
    "recall@20",
    "mrr",
    "ndcg@10",
];

/// The figures of a question or their mean, in the order of [`NAMES`].
pub(crate) type Figures = [f64; 6];

/// Resamples of a bootstrap.
const RESAMPLES: usize = 2_000;
/// Its seed.
const SEED: u64 = 1;

/// Returns what a ranking is worth.
pub(crate) fn figures(ranking: &[&str], relevant: &BTreeSet<String>) -> Figures {
    let hits: Vec<usize> = ranking
        .iter()
        .enumerate()
        .filter(|(_, doc)| relevant.contains(**doc))
        .map(|(index, _)| index + 1)
        .collect();
    let recall = |k: usize| {
        ratio(
            hits.iter().filter(|rank| **rank <= k).count(),
            relevant.len(),
        )
    };
    let gain = |rank: usize| 1.0 / (real(rank) + 1.0).log2();
    let gained: f64 = hits
        .iter()
        .filter(|rank| **rank <= 10)
        .map(|rank| gain(*rank))
        .sum();
    let ideal: f64 = (1..=relevant.len().min(10)).map(gain).sum();
    [
        recall(1),
        recall(5),
        recall(10),
        recall(20),
        hits.first().map_or(0.0, |rank| 1.0 / real(*rank)),
        if ideal > 0.0 { gained / ideal } else { 0.0 },
    ]
}

/// Returns the mean of each figure.
pub(crate) fn mean<'a>(all: impl Iterator<Item = &'a Figures>) -> Figures {
    let mut sum = Figures::default();
    let mut count = 0;
    for figures in all {
        count += 1;
        sum.iter_mut()
            .zip(figures)
            .for_each(|(sum, figure)| *sum += figure);
    }
    sum.map(|sum| if count == 0 { 0.0 } else { sum / real(count) })
}

/// The mean of differences with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Interval {
    /// The mean.
    pub(crate) mean: f64,
    /// The 2.5th percentile of the resampled means.
    pub(crate) low: f64,
    /// The 97.5th percentile.
    pub(crate) high: f64,
}

/// Returns the paired bootstrap interval of differences (Efron 1979): 2,000 resamples, seed 1.
pub(crate) fn bootstrap(differences: &[f64]) -> Option<Interval> {
    if differences.is_empty() {
        return None;
    }
    let mut random = SplitMix(SEED);
    let mean_of = |sum: f64| sum / real(differences.len());
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            mean_of(
                (0..differences.len())
                    .map(|_| differences[random.below(differences.len())])
                    .sum(),
            )
        })
        .collect();
    means.sort_by(f64::total_cmp);
    Some(Interval {
        mean: mean_of(differences.iter().sum()),
        low: percentile(&means, 0.025),
        high: percentile(&means, 0.975),
    })
}

/// Returns a percentile of sorted values, between neighbours in proportion.
pub(crate) fn percentile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let place = real(last) * share;
    let below = whole(place.floor()).min(last);
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (place - real(below))
}

/// Returns a share, 0 of nothing.
pub(crate) fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        real(part) / real(whole)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of documents and questions are far below 2^52"
)]
fn real(count: usize) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index below the length of a slice"
)]
fn whole(place: f64) -> usize {
    place as usize
}

/// SplitMix64 (Steele, Lea and Flood 2014): the same numbers in every version of everything.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `bound`, by multiplication instead of division (Lemire 2019).
    fn below(&mut self, bound: usize) -> usize {
        let product = u128::from(self.next()) * bound as u128;
        usize::try_from(product >> 64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ranking: &[&str], relevant: &[&str], expected: Figures) {
        let relevant = relevant.iter().map(|doc| (*doc).to_owned()).collect();
        let found = figures(ranking, &relevant);
        for ((name, found), expected) in NAMES.iter().zip(found).zip(expected) {
            assert!(
                (found - expected).abs() < 1e-12,
                "{name}: {found} instead of {expected}"
            );
        }
    }

    #[test]
    fn figures_are_as_computed_by_hand() {
        check(&["a", "b"], &["a"], [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
        check(
            &["x", "a"],
            &["a"],
            [0.0, 1.0, 1.0, 1.0, 0.5, 1.0 / 3.0_f64.log2()],
        );
        check(&["x", "y"], &["a"], [0.0; 6]);
        check(&[], &["a"], [0.0; 6]);
        // Relevant at ranks 1 and 3 of three relevant ones.
        let ideal = 1.0 + 1.0 / 3.0_f64.log2() + 0.5;
        check(
            &["a", "x", "b"],
            &["a", "b", "c"],
            [1.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0, 1.0, 1.5 / ideal],
        );
    }

    #[test]
    fn cut_offs_are_inclusive() {
        let ranking: Vec<String> = (1..=30).map(|rank| format!("d{rank}")).collect();
        let ranking: Vec<&str> = ranking.iter().map(String::as_str).collect();
        check(
            &ranking,
            &["d5"],
            [0.0, 1.0, 1.0, 1.0, 0.2, 1.0 / 6.0_f64.log2()],
        );
        check(
            &ranking,
            &["d10"],
            [0.0, 0.0, 1.0, 1.0, 0.1, 1.0 / 11.0_f64.log2()],
        );
        check(&ranking, &["d11"], [0.0, 0.0, 0.0, 1.0, 1.0 / 11.0, 0.0]);
        check(&ranking, &["d21"], [0.0, 0.0, 0.0, 0.0, 1.0 / 21.0, 0.0]);
    }

    #[test]
    fn more_than_ten_relevant_ones_can_still_be_perfect() {
        let docs: Vec<String> = (1..=12).map(|rank| format!("d{rank}")).collect();
        let docs: Vec<&str> = docs.iter().map(String::as_str).collect();
        check(
            &docs,
            &docs,
            [1.0 / 12.0, 5.0 / 12.0, 10.0 / 12.0, 1.0, 1.0, 1.0],
        );
    }

    #[test]
    fn means_are_plain() {
        let all = [[0.0; 6], [1.0; 6], [1.0; 6], [0.0; 6]];
        assert_eq!(mean(all.iter()), [0.5; 6]);
        assert_eq!(mean([].iter()), [0.0; 6]);
    }

    #[test]
    fn intervals_hold_the_mean_and_repeat() {
        let differences: Vec<f64> = (0..200).map(|i| f64::from(i % 5) / 10.0 - 0.1).collect();
        let interval = bootstrap(&differences).unwrap();
        assert!((interval.mean - 0.1).abs() < 1e-12);
        assert!(interval.low < interval.mean && interval.mean < interval.high);
        // The standard error is 0.01, so the interval is about 0.04 wide.
        assert!(
            (0.03..0.05).contains(&(interval.high - interval.low)),
            "{interval:?}"
        );
        assert_eq!(bootstrap(&differences), Some(interval));
        assert_eq!(
            bootstrap(&[0.25; 9]).map(|i| (i.low, i.high)),
            Some((0.25, 0.25))
        );
        assert_eq!(bootstrap(&[]), None);
    }

    #[test]
    fn percentiles_lie_between_neighbours() {
        assert!((percentile(&[0.0, 1.0, 2.0], 0.25) - 0.5).abs() < 1e-12);
        assert!((percentile(&[3.0], 0.9) - 3.0).abs() < 1e-12);
    }
}
