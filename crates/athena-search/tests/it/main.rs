//! The search crate from outside: records in, answers out.
#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod builders;
mod dialogue;
mod explain;
mod faults;
mod large;
mod log;
mod oracle;
mod ranking;
mod records;
mod segments;
mod signs;
