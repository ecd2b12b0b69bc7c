//! Lists of names that are written in the programme and compared over and over.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The address of the list that was last found to be the same as another one: what is written in the
/// programme stays where it is and as it is, so a list that is met again need not be compared.
#[derive(Debug, Default)]
pub(crate) struct LastFound(AtomicUsize);

impl LastFound {
    /// Whether a list has the same names in the same order as `others`, which never change.
    #[inline]
    pub(crate) fn is_same<'a>(
        &self,
        list: &'static [&'static str],
        others: impl ExactSizeIterator<Item = &'a str>,
    ) -> bool {
        let is_known = self.0.load(Ordering::Relaxed) == list.as_ptr().addr();
        (is_known && list.len() == others.len()) || self.compare(list, others)
    }

    #[inline(never)]
    fn compare<'a>(
        &self,
        list: &'static [&'static str],
        others: impl Iterator<Item = &'a str>,
    ) -> bool {
        let found = others.eq(list.iter().copied());
        if found {
            self.0.store(list.as_ptr().addr(), Ordering::Relaxed);
        }
        found
    }
}

impl Clone for LastFound {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// It says nothing about what it belongs to.
impl PartialEq for LastFound {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for LastFound {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_names_in_the_same_order_are_found() {
        static LIST: [&str; 3] = ["id", "name", "id"];
        let last = LastFound::default();
        for _ in 0..2 {
            assert!(last.is_same(&LIST, LIST.into_iter()));
            assert!(last.is_same(&LIST[..2], ["id", "name"].into_iter()));
            assert!(!last.is_same(&LIST[..1], ["id", "name"].into_iter()));
            assert!(!last.is_same(&LIST[1..], ["id", "name"].into_iter()));
            assert!(last.is_same(&[], [].into_iter()));
        }
    }
}
