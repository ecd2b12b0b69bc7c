//! The plans of the texts in the programme, found by their addresses.
//!
//! Every statement of every task comes by here, so nobody locks anything: a place in the table is
//! written once and stays, and where a table is crowded a larger one follows.

use std::iter::successors;
use std::sync::{Arc, OnceLock};

use super::Plan;

/// Plans by the address and length of their text; none ever leaves.
#[derive(Debug)]
pub(super) struct Addresses {
    table: Box<[Place]>,
    /// For those that found all their places taken.
    next: OnceLock<Box<Addresses>>,
}

type Place = OnceLock<(&'static str, Arc<Plan>)>;

/// Places of the first table, a power of two: room for the statements of most programmes.
const PLACES: usize = 256;

/// How many times as large the next table is, a power of two.
const GROWTH: usize = 4;

/// Places of a table that a plan may stand in, one behind the other.
const PROBES: usize = 8;

impl Addresses {
    pub(super) fn new() -> Self {
        Self::with_places(PLACES)
    }

    fn with_places(places: usize) -> Self {
        Self {
            table: (0..places).map(|_| OnceLock::new()).collect(),
            next: OnceLock::new(),
        }
    }

    pub(super) fn get(&self, text: &'static str) -> Option<&Arc<Plan>> {
        for place in self.places(text) {
            // An empty place would have been taken before those behind it.
            let (known, plan) = place.get()?;
            if std::ptr::eq(*known, text) {
                return Some(plan);
            }
        }
        self.next.get()?.get(text)
    }

    /// Keeps a plan and returns it, or the one that somebody else has kept for the text meanwhile.
    pub(super) fn insert(&self, text: &'static str, plan: Arc<Plan>) -> &Arc<Plan> {
        for place in self.places(text) {
            let (known, kept) = place.get_or_init(|| (text, Arc::clone(&plan)));
            if std::ptr::eq(*known, text) {
                return kept;
            }
        }
        let places = self.table.len() * GROWTH;
        let next = self
            .next
            .get_or_init(|| Box::new(Self::with_places(places)));
        next.insert(text, plan)
    }

    /// Lists all plans.
    pub(super) fn plans(&self) -> impl Iterator<Item = &Arc<Plan>> {
        let tables = successors(Some(self), |table| table.next.get().map(Box::as_ref));
        tables
            .flat_map(|table| table.table.iter().filter_map(OnceLock::get))
            .map(|(_, plan)| plan)
    }

    fn places(&self, text: &'static str) -> impl Iterator<Item = &Place> {
        // Knuth's multiplicative hash: the high half of the product depends on all bits below.
        let address = text.as_ptr().addr().wrapping_add(text.len() << 12);
        let hash = address.wrapping_mul(0x9e37_79b9) >> (usize::BITS / 2);
        let mask = self.table.len() - 1;
        (hash..hash + PROBES).map(move |place| &self.table[place & mask])
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Addresses, GROWTH, PLACES, Plan};
    use crate::dialect::Dialect;
    use crate::plan::Origin;

    fn plan(text: &'static str) -> Arc<Plan> {
        Arc::new(Plan::new(Dialect::Sqlite, text.into(), Origin::Portable).unwrap())
    }

    #[test]
    fn every_text_finds_its_own_plan_however_many_there_are() {
        let addresses = Addresses::new();
        let text: &'static str = Box::leak(" ".repeat(PLACES * GROWTH).into_boxed_str());
        let beginnings = (0..text.len()).map(|end| &text[..end]);
        let texts: Vec<&str> = beginnings
            .chain((0..text.len()).map(|at| &text[at..]))
            .collect();
        let mut kept = Vec::new();
        for &text in &texts {
            assert!(addresses.get(text).is_none());
            kept.push(Arc::clone(addresses.insert(text, plan("SELECT 1"))));
        }
        for (&text, plan) in texts.iter().zip(&kept) {
            assert!(Arc::ptr_eq(addresses.get(text).unwrap(), plan));
        }
        assert_eq!(addresses.plans().count(), texts.len());
    }

    #[test]
    fn the_first_plan_of_a_text_stays() {
        let (addresses, text) = (Addresses::new(), "SELECT 1");
        let first = Arc::clone(addresses.insert(text, plan(text)));
        assert!(Arc::ptr_eq(addresses.insert(text, plan(text)), &first));
        assert_eq!(addresses.plans().count(), 1);
    }
}
