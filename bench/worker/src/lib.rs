//! What the contestants of `cargo xtask bench db` share: the rows, the clock and the protocol.
//!
//! A contestant is a process of its own. It says what it is in its first line, then answers a line
//! for a line: a [`Cell`] comes in as JSON and what was measured goes out. One process measures
//! while the others wait, so that they meet the same machine.

mod data;
mod measure;
mod protocol;

pub use data::{COLUMNS, Item, ROWS, content, item};
pub use measure::{Report, Run, measure, measure_threads, time};
pub use protocol::{Answer, Backend, Cell, Contestant, Operation, serve};
