//! Something for each few threads, where all of them would fight over one.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A thing for each shard of threads; a thread belongs to the same one for ever.
#[derive(Debug)]
pub(crate) struct Sharded<T>(Box<[Apart<T>]>);

/// Two processors that write to neighbours would wait for each other as well.
#[derive(Debug)]
#[repr(align(128))]
struct Apart<T>(T);

/// Shards, a power of two: more threads than work at the same time on most machines.
const SHARDS: usize = 8;

impl<T> Sharded<T> {
    pub(crate) fn new(make: impl Fn() -> T) -> Self {
        Self((0..SHARDS).map(|_| Apart(make())).collect())
    }

    /// Returns the thing of this thread's shard.
    pub(crate) fn here(&self) -> &T {
        &self.0[this_shard()].0
    }

    /// Lists the things of all shards, this thread's first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        let first = this_shard();
        (0..SHARDS).map(move |number| &self.0[(first + number) % SHARDS].0)
    }
}

/// Threads get their shards in turn, so that those that begin together do not share one.
fn this_shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static SHARD: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
    SHARD.with(|shard| *shard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_finds_its_own_first_and_all_the_others() {
        let sharded = Sharded::new(AtomicUsize::default);
        std::thread::scope(|scope| {
            for _ in 0..2 * SHARDS {
                scope.spawn(|| {
                    sharded.here().fetch_add(1, Ordering::Relaxed);
                    assert!(std::ptr::eq(sharded.here(), sharded.all().next().unwrap()));
                    assert_eq!(sharded.all().count(), SHARDS);
                });
            }
        });
        let sum = |sum, one: &AtomicUsize| sum + one.load(Ordering::Relaxed);
        assert_eq!(sharded.all().fold(0, sum), 2 * SHARDS);
    }
}
