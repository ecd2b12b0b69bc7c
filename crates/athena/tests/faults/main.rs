//! What happens to acknowledged memories when something breaks.
//!
//! Real processes of the real binary, killed at random, several of them on one file, on full and
//! read-only disks, before servers that are not there. One question judges all of it: is every
//! memory that was acknowledged found by recall afterwards? A seed that is printed decides what is
//! random; `ATHENA_TEST_SEED` repeats it.
//!
//! Power failures are not played: a killed process leaves what it wrote in the system's cache.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod acknowledged;
mod backups;
mod claims;
mod commands;
mod copies;
mod disk;
mod first_start;
mod http;
mod kill;
mod mcp;
mod migration;
mod newer_store;
mod place;
mod process;
mod random;
mod reembed;
mod sync;
mod three_processes;
mod unreachable;
