//! The Athena binary.
fn main() {}
