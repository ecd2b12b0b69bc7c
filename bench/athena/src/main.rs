//! The contestants `raw` and `athena` of `cargo xtask bench db`: the drivers, and Athena on them.

mod athena;
mod raw;

use anyhow::{Result, bail};

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("raw") => bench_worker::serve(&raw::Raw),
        Some("athena") => bench_worker::serve(&athena::Athena),
        _ => bail!("say which: raw or athena"),
    }
}
