//! The statements that a connection keeps prepared.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use postgres_types::Type;
use tokio_postgres::Statement;

use crate::plan::{Analysis, Plan};
use crate::row::Columns;

/// Prepared statements by the analysis of their text, those that were used last.
///
/// Built texts may be endless in number, so it is bounded; dropping a statement closes it on the
/// server.
#[derive(Default)]
pub(super) struct Statements(Mutex<Shelf>);

#[derive(Default)]
struct Shelf {
    /// By the address of the analysis, which is kept alive with it.
    entries: HashMap<usize, Entry, BuildHasherDefault<AddressHasher>>,
    clock: u64,
}

struct Entry {
    analysis: Arc<Analysis>,
    /// One for each way in which parameter types were declared.
    variants: Vec<(Vec<Type>, Arc<Prepared>)>,
    used: u64,
}

/// A statement that the server knows, with the columns of its result.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) statement: Statement,
    pub(super) columns: Arc<Columns>,
}

/// Plans that a connection keeps prepared.
const CAPACITY: usize = 512;

/// Variants of one plan; values that alternate between more types are prepared anew.
const MAX_VARIANTS: usize = 8;

impl Statements {
    pub(super) fn get(&self, plan: &Plan, types: &[Type]) -> Option<Arc<Prepared>> {
        let mut shelf = self.shelf();
        shelf.clock += 1;
        let clock = shelf.clock;
        let entry = shelf.entries.get_mut(&address(plan))?;
        entry.used = clock;
        let variant = entry.variants.iter().find(|(known, _)| known == types);
        variant.map(|(_, prepared)| Arc::clone(prepared))
    }

    pub(super) fn put(&self, plan: &Plan, types: &[Type], prepared: &Arc<Prepared>) {
        let mut shelf = self.shelf();
        if shelf.entries.len() >= CAPACITY && !shelf.entries.contains_key(&address(plan)) {
            shelf.drop_oldest();
        }
        let used = shelf.clock;
        let entry = shelf.entries.entry(address(plan)).or_insert_with(|| Entry {
            analysis: Arc::clone(plan.analysis()),
            variants: Vec::new(),
            used,
        });
        debug_assert!(
            Arc::ptr_eq(&entry.analysis, plan.analysis()),
            "an analysis lives with its entry"
        );
        if entry.variants.len() == MAX_VARIANTS {
            entry.variants.clear();
        }
        let variant = (types.to_vec(), Arc::clone(prepared));
        entry.variants.push(variant);
    }

    /// Forgets all, because the tables have changed.
    pub(super) fn clear(&self) {
        self.shelf().entries.clear();
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Prepared {
    pub(super) fn new(statement: Statement) -> Arc<Self> {
        let names = statement.columns().iter();
        let names = names.map(|column| column.name().to_owned()).collect();
        Arc::new(Self {
            statement,
            columns: Columns::new(names),
        })
    }
}

impl Shelf {
    fn drop_oldest(&mut self) {
        let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used);
        if let Some(address) = oldest.map(|(address, _)| *address) {
            self.entries.remove(&address);
        }
    }
}

/// Spreads addresses, which nobody chooses: Knuth's multiplicative hash.
#[derive(Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes
            .iter()
            .for_each(|byte| self.write_usize((*byte).into()));
    }

    fn write_usize(&mut self, address: usize) {
        self.0 = (self.0 ^ address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        // The table takes its places from the low bits, and the high ones are the good ones.
        self.0.rotate_left(u64::BITS / 2)
    }
}

fn address(plan: &Plan) -> usize {
    Arc::as_ptr(plan.analysis()).addr()
}

impl std::fmt::Debug for Statements {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Statements")
            .field("plans", &self.shelf().entries.len())
            .finish()
    }
}
