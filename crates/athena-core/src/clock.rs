//! Time as a dependency: operations ask the clock, so that tests can set it.

use jiff::Timestamp;

/// Tells the current time.
pub trait Clock: Send + Sync {
    /// Returns the current time in UTC, rounded down to whole microseconds.
    ///
    /// Microseconds are what every backend stores, so a time compares equal before and after it
    /// was written.
    fn now(&self) -> Timestamp;
}

/// The clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        whole_microseconds(Timestamp::now())
    }
}

/// Drops what is finer than a microsecond.
fn whole_microseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn now_has_no_nanoseconds() {
        assert_eq!(SystemClock.now().subsec_nanosecond() % 1_000, 0);
    }
}
