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
mod half_applied;
mod ledger;
mod listen;
mod mariadb;
mod migrations;
mod networks;
mod outages;
mod parameters;
mod pooler;
mod portable;
mod processes;
mod rows;
mod schema;
mod sources;
mod sqlite;
mod streams;
mod tls;
mod transactions;
mod values;
