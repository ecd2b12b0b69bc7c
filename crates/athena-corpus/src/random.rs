//! Pseudo-random numbers that are the same everywhere.

/// A sequence of numbers: splitmix64 by Steele, Lea and Flood ("Fast splittable pseudorandom number
/// generators", 2014).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Starts the sequence of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Starts the sequence of the `number`th thing of a kind; different kinds share nothing.
    #[must_use]
    pub fn of(kind: u64, number: u64) -> Self {
        let mut kind = Self(kind);
        let offset = kind.draw();
        let mut random = Self(number.wrapping_mul(0xd134_2543_de82_ef95) ^ offset);
        Self(random.draw())
    }

    /// Returns 64 random bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number from 0 up to `bound`, without it; 0 for a bound of 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw().checked_rem(bound).unwrap_or(0)
    }

    /// Returns a number from 0 up to 1, without it.
    pub fn share(&mut self) -> f64 {
        f64::from(self.half()) / (f64::from(u32::MAX) + 1.0)
    }

    /// Returns a number of a normal distribution around 0 with deviation 1, nearly: the sum of twelve
    /// even ones, because that is exact on every machine and a logarithm is not.
    pub fn normal(&mut self) -> f64 {
        let mut sum = 0.0;
        for _ in 0..6 {
            let bits = self.draw();
            sum += f64::from(high(bits)) + f64::from(high(bits << 32));
        }
        sum / (f64::from(u32::MAX) + 1.0) - 6.0
    }

    /// Picks one of several.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        let count = u64::try_from(from.len()).unwrap_or(u64::MAX);
        from[usize::try_from(self.below(count)).unwrap_or(0)]
    }

    fn half(&mut self) -> u32 {
        high(self.draw())
    }
}

/// Returns the upper 32 bits.
fn high(bits: u64) -> u32 {
    u32::try_from(bits >> 32).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn normal_numbers_have_mean_0_and_deviation_1() {
        let mut random = Random::of(1, 2);
        let numbers: Vec<f64> = (0..20_000).map(|_| random.normal()).collect();
        let mean = numbers.iter().sum::<f64>() / 20_000.0;
        let variance = numbers.iter().map(|it| it * it).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.02, "{mean}");
        assert!((variance - 1.0).abs() < 0.03, "{variance}");
    }

    #[test]
    fn numbers_stay_below_their_bound() {
        let mut random = Random::new(7);
        assert!((0..1_000).all(|_| random.below(3) < 3));
        assert!((0..1_000).all(|_| (0.0..1.0).contains(&random.share())));
        assert_eq!(random.below(0), 0);
    }
}
