//! The binary as its users meet it: real processes, real files.
