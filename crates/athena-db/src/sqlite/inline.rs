//! Statements on the task that asked for them.
//!
//! A lookup or a write by key takes some microseconds, less than waking another thread does. It
//! runs under a budget, and only while enough of the runtime's workers are left to others.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How long a statement may hold up a task.
pub(super) const BUDGET: Duration = Duration::from_micros(500);

/// Places for statements on tasks. They leave one worker of the runtime to others, should all of
/// them have to wait for the disk; of two workers both may run one, since one alone would have to
/// queue, and a statement that waited for the disk rests on threads for a while.
#[derive(Debug)]
pub(super) struct Inline {
    places: usize,
    taken: AtomicUsize,
}

/// A statement on a task.
pub(super) struct Place<'a>(&'a AtomicUsize);

impl Inline {
    pub(super) fn among(workers: usize) -> Self {
        Self {
            places: match workers {
                0 | 1 => 0,
                2 => 2,
                _ => workers - 1,
            },
            taken: AtomicUsize::new(0),
        }
    }

    pub(super) fn take(&self) -> Option<Place<'_>> {
        let place = Place(&self.taken);
        (self.taken.fetch_add(1, Ordering::Relaxed) < self.places).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
