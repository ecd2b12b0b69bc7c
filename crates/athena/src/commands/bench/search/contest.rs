//! Taking part in `cargo xtask bench peers`: a line of JSON on standard input asks for a measurement,
//! a line on standard output answers, and others measure while this process waits.
//!
//! `bench/search/contest.py` of the sources speaks the same for the peers.

use super::super::report::Report;
use super::answers::{Asker, Mode};
use super::fill::Filled;
use super::stages::Bench;
use super::writes;
use crate::commands::print;
use crate::outcome::Outcome;
use athena_core::{Error, Result};
use athena_corpus::Labels;
use serde_json::{Value, json};
use std::io::{BufRead, stdin};

/// The settings: the whole of `memory.recall`, and the index alone.
const WHOLE: &str = "recall";
const INDEX: &str = "the index alone";

/// Answers until there are no more requests. The first asks to store everything.
///
/// # Errors
///
/// What the operations fail with, and a request that is none.
pub(super) async fn run(bench: &Bench<'_>) -> Outcome {
    let offer = |mode: Mode, setting| {
        let filters = matches!(mode, Mode::Semantic) && setting == WHOLE;
        json!({"kind": mode.name(), "setting": setting, "filters": filters})
    };
    // Of both ways at once the whole counts, whatever the index takes of it.
    let offers = [
        offer(Mode::Semantic, INDEX),
        offer(Mode::Semantic, WHOLE),
        offer(Mode::Keyword, INDEX),
        offer(Mode::Keyword, WHOLE),
        offer(Mode::Hybrid, WHOLE),
    ];
    let version = env!("CARGO_PKG_VERSION");
    tell(&json!({"versions": format!("athena {version}"), "offers": offers}))?;
    if read()?.is_none() {
        return Ok(());
    }
    let mut report = Report::default();
    let (_, filled) = bench.store(&mut report).await?;
    let disk = report.value("disk.mb");
    tell(&json!({
        "seconds": filled.took.as_secs_f64(),
        "cpu_s": filled.cpu.as_secs_f64(),
        "rows_per_s": report.value("ingest.rows_per_s"),
        "disk_mb": disk,
    }))?;
    let store = bench.place.open().await?;
    let ctx = store.ctx("bench");
    let answered = answer_all(bench, &bench.asker(&ctx), &filled, &mut report).await;
    store.close().await?;
    answered
}

async fn answer_all(
    bench: &Bench<'_>,
    asker: &Asker<'_>,
    filled: &Filled,
    report: &mut Report,
) -> Outcome {
    while let Some(request) = read()? {
        let answer = match request["do"].as_str() {
            Some("ask") => ask(asker, &request).await?,
            Some("single") => json!({"per_s": writes::rate(asker, bench).await?}),
            Some("report") => {
                bench.ask(asker, filled, report).await?;
                json!({ "items": report.to_json() })
            }
            _ => return Err(Error::invalid("do", "is no request").into()),
        };
        tell(&answer)?;
    }
    Ok(())
}

async fn ask(asker: &Asker<'_>, request: &Value) -> Result<Value> {
    let mode = match request["kind"].as_str() {
        Some("semantic") => Mode::Semantic,
        Some("keyword") => Mode::Keyword,
        _ => Mode::Hybrid,
    };
    let label = request["label"].as_str();
    let label = label.and_then(|label| Labels::ALL.iter().position(|(name, _)| *name == label));
    let pass = match request["setting"].as_str() {
        Some(INDEX) => asker.index_pass(mode).await?,
        _ => asker.one_pass(mode, label).await?,
    };
    Ok(json!({
        "cpu_ms": pass.cpu_ms,
        "p50_ms": pass.wall_ms(0.5),
        "p99_ms": pass.wall_ms(0.99),
        "found": pass.rows(),
    }))
}

fn read() -> Outcome<Option<Value>> {
    let mut line = String::new();
    if stdin().lock().read_line(&mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(serde_json::from_str(&line).map_err(Error::internal)?))
}

fn tell(answer: &Value) -> Outcome {
    print(&format!("{answer}\n"))
}
