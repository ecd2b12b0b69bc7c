//! The stories of the database layer, each told to every backend.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod backends;
mod contention;
mod corpus;
mod errors;
mod faults;
mod migrations;
mod parameters;
mod rows;
mod schema;
mod transactions;
mod values;
