//! Personal data: found, and replaced before it is stored.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

mod kind;

pub use kind::{Finding, Kind};
