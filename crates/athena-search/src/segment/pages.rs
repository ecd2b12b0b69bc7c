//! Which parts of a segment are in memory.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::bitmap::Bitmap;

/// The pages of a body that may be read one by one: which are there, and which of the others were
/// looked for.
///
/// A question that meets a page that is not there notes it and goes on without; its answer counts
/// for nothing. It is asked again once the pages it noted have been brought.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    absent: Bitmap,
    left: usize,
    wanted: Mutex<BTreeSet<u32>>,
}

impl Clone for Pages {
    fn clone(&self) -> Self {
        Self {
            absent: self.absent.clone(),
            left: self.left,
            wanted: Mutex::new(self.wanted()),
        }
    }
}

impl Pages {
    /// Returns so many pages, none of which is there.
    pub(crate) fn absent(count: usize) -> Self {
        Self {
            absent: Bitmap::new(count, true),
            left: count,
            wanted: Mutex::default(),
        }
    }

    /// Tells whether all are there.
    pub(crate) fn is_complete(&self) -> bool {
        self.left == 0
    }

    /// Returns how many are not there.
    pub(crate) fn absent_count(&self) -> usize {
        self.left
    }

    /// Tells whether a page is there; notes it if it is not.
    pub(crate) fn has(&self, page: usize) -> bool {
        let has = self.is_complete() || !self.absent.contains(page);
        if !has {
            let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
            wanted.insert(super::number(page));
        }
        has
    }

    /// Notes that a page is there now; false if it was before.
    pub(crate) fn arrive(&mut self, page: usize) -> bool {
        if self.is_complete() || !self.absent.contains(page) {
            return false;
        }
        self.absent.remove(page);
        self.left -= 1;
        let wanted = self.wanted.get_mut();
        let wanted = wanted.unwrap_or_else(PoisonError::into_inner);
        wanted.remove(&super::number(page));
        true
    }

    /// Returns the pages that were looked for and are not there.
    pub(crate) fn wanted(&self) -> BTreeSet<u32> {
        if self.is_complete() {
            return BTreeSet::new();
        }
        let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.clone()
    }

    /// Returns the pages that are not there.
    pub(crate) fn missing(&self) -> BTreeSet<u32> {
        self.absent.iter().map(super::number).collect()
    }
}
