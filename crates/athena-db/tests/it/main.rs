//! The stories of the database layer, each told to every backend.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod backends;
mod backup;
mod bulk;
mod contention;
mod copies;
mod corpus;
mod drift;
mod errors;
mod faults;
mod ledger;
mod migrations;
mod parameters;
mod portable;
mod rows;
mod schema;
mod transactions;
mod values;
