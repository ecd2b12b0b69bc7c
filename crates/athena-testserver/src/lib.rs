//! Servers that a test may kill: private ones, on free loopback ports, gone with the test.
//!
//! `cargo xtask test` says in `ATHENA_TEST_POSTGRES_BIN` and `ATHENA_TEST_MYSQL_BIN` where the
//! programmes are and, for root, in `ATHENA_TEST_POSTGRES_USER` and `ATHENA_TEST_MYSQL_USER` who is
//! to run them. Without the former they are looked for on the search path. In the narrow run
//! (`ATHENA_TEST_BACKEND=sqlite`) there are none.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod certificates;
mod mariadb;
mod pgbouncer;
mod postgres;
mod process;
mod programs;
mod proxy;

pub use certificates::{Authority, Identity};
pub use mariadb::MariaDb;
pub use pgbouncer::PgBouncer;
pub use postgres::Postgres;
pub use proxy::Proxy;
