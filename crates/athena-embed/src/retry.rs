//! How long to wait before asking again.
//!
//! Exponential backoff with "equal jitter" (Marc Brooker, "Exponential Backoff And Jitter", AWS
//! Architecture Blog, 2015): half of the delay is certain, the other half random, so that many
//! clients of a server that was down do not come back at the same moment.

use jiff::Timestamp;
use std::time::Duration;

/// The delays between attempts: the first, doubled each time up to the longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The delay before the second attempt.
    pub first: Duration,
    /// The longest delay.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(250),
            longest: Duration::from_secs(8),
        }
    }
}

impl Backoff {
    /// Returns how long to wait after failure number `failures` (0 is the first).
    ///
    /// What the server asked for comes on top, so nobody comes back early or all at once. `chance`
    /// is a random number in [0, 1].
    pub(crate) fn delay(&self, failures: u32, asked: Option<Duration>, chance: f64) -> Duration {
        let doubled = self.first.saturating_mul(2_u32.saturating_pow(failures));
        let half = doubled.min(self.longest) / 2;
        let delay = half + half.mul_f64(chance.clamp(0.0, 1.0));
        asked.unwrap_or_default().saturating_add(delay)
    }
}

/// Reads a `Retry-After` header: a number of seconds or a date (RFC 9110, section 10.2.3).
///
/// A date that has passed means now. Anything else is nothing.
pub(crate) fn retry_after(header: &str, now: Timestamp) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(header).ok()?.timestamp();
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        first: Duration::from_millis(100),
        longest: Duration::from_millis(1000),
    };

    #[test]
    fn delays_double_up_to_the_longest() {
        let at = |failures, chance| BACKOFF.delay(failures, None, chance).as_millis();
        assert_eq!(
            [at(0, 0.0), at(1, 0.0), at(2, 0.0), at(3, 0.0)],
            [50, 100, 200, 400]
        );
        assert_eq!(
            [at(0, 1.0), at(1, 1.0), at(2, 1.0), at(3, 1.0)],
            [100, 200, 400, 800]
        );
        assert_eq!(
            [at(4, 1.0), at(30, 1.0), at(u32::MAX, 1.0)],
            [1000, 1000, 1000]
        );
    }

    #[test]
    fn nobody_comes_back_before_the_server_asked() {
        let asked = Some(Duration::from_secs(7));
        assert_eq!(BACKOFF.delay(0, asked, 0.0), Duration::from_millis(7050));
        assert_eq!(BACKOFF.delay(9, asked, 1.0), Duration::from_secs(8));
        assert_eq!(BACKOFF.delay(0, Some(Duration::MAX), 1.0), Duration::MAX);
    }

    #[test]
    fn reads_seconds_and_dates() {
        let now: Timestamp = "1994-11-06T08:49:07Z".parse().unwrap();
        let check = |header, seconds: Option<u64>| {
            assert_eq!(
                retry_after(header, now),
                seconds.map(Duration::from_secs),
                "{header}"
            );
        };
        check("0", Some(0));
        check(" 120 ", Some(120));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(30));
        check("Sun, 06 Nov 1994 08:00:00 GMT", Some(0));
        check("soon", None);
        check("-5", None);
        check("", None);
    }
}
