//! How far the best of many cosines stands out.

use crate::math::ln;

/// The number, the sum and the best of some cosines.
///
/// Summed as integers, so that the order of the items has no say in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    count: usize,
    /// In units of 2⁻³⁰.
    sum: i128,
    /// In units of 2⁻⁶⁰.
    squares: i128,
    best: f64,
}

impl Default for Spread {
    fn default() -> Self {
        Self {
            count: 0,
            sum: 0,
            squares: 0,
            best: f64::MIN,
        }
    }
}

const SCALE: f64 = (1_u64 << 30) as f64;

fn scaled(value: f64) -> i128 {
    #[expect(clippy::cast_possible_truncation, reason = "a cosine times 2^30 fits")]
    let scaled = (value * SCALE).round() as i64;
    i128::from(scaled)
}

impl Spread {
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn add(&mut self, cosine: f64) {
        let scaled = scaled(cosine);
        self.count += 1;
        self.sum += scaled;
        self.squares += scaled * scaled;
        self.best = self.best.max(cosine);
    }

    /// Adds cosines of which only the mean and the standard deviation are known.
    pub(crate) fn add_all(&mut self, count: usize, mean: f64, deviation: f64) {
        let times = i128::try_from(count).unwrap_or(i128::MAX);
        let (mean, deviation) = (scaled(mean), scaled(deviation));
        self.count += count;
        self.sum += times * mean;
        self.squares += times * (mean * mean + deviation * deviation);
    }

    /// Takes note of a cosine that is counted already.
    pub(crate) fn note(&mut self, cosine: f64) {
        self.best = self.best.max(cosine);
    }

    pub(crate) fn join(mut self, other: Self) -> Self {
        self.count += other.count;
        self.sum += other.sum;
        self.squares += other.squares;
        self.best = self.best.max(other.best);
        self
    }

    /// Returns how many standard deviations the best cosine lies above the mean, divided by what
    /// the best of so many would reach by chance: `(max − mean) / sd / √(2 ln n)`.
    pub(crate) fn standing_out(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "rounded once, alike everywhere")]
        let (n, sum, squares) = (
            self.count as f64,
            self.sum as f64 / SCALE,
            self.squares as f64 / SCALE / SCALE,
        );
        let mean = sum / n;
        let deviation = (squares / n - mean * mean).max(0.0).sqrt();
        if deviation > 0.0 {
            (self.best - mean) / deviation / (2.0 * ln(n)).sqrt()
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_one_by_one_or_together_is_the_same() {
        let values = [0.1, 0.3, -0.2, 0.5, 0.3];
        let mut single = Spread::default();
        values.iter().for_each(|value| single.add(*value));
        let mean = values.iter().sum::<f64>() / 5.0;
        let square = values
            .iter()
            .map(|value| (value - mean).powi(2))
            .sum::<f64>()
            / 5.0;
        let mut together = Spread::default();
        together.add_all(5, mean, square.sqrt());
        together.note(0.5);
        assert_eq!(single.count(), together.count());
        assert!((single.standing_out() - together.standing_out()).abs() < 1e-6);
        let expected = (0.5 - mean) / square.sqrt() / (2.0 * 5.0_f64.ln()).sqrt();
        assert!((single.standing_out() - expected).abs() < 1e-6);
        let mut halves = Spread::default();
        halves.add(0.1);
        let mut rest = Spread::default();
        values[1..].iter().for_each(|value| rest.add(*value));
        assert_eq!(halves.join(rest).standing_out(), single.standing_out());
    }
}
