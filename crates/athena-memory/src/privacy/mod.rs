//! Privacy, as people and agents meet it: looking for personal data, and having it back.
//!
//! Masking itself needs no operation: every input is masked before an operation sees it.

mod ops;

pub use ops::{Found, Reveal, Revealed, Scan, Scanned, Status, StatusAnswer};
