//! `bench search`: how well and how fast memories are found.
//!
//! Made-up memories with vectors of their own (see [`athena_corpus`]) are stored in a store that is
//! removed again, and asked for, all by the operations that users call. What should be found is known
//! exactly: directions are compared with every row, words by a BM25 of this module's own.

mod answers;
mod bm25;
mod contest;
mod fill;
mod reopen;
mod stages;
mod writes;

use super::super::Session;
use super::gauge;
use super::place::{self, Place};
use super::report::Report;
use crate::outcome::Outcome;
use athena_core::Error;
use athena_corpus::{Corpus, QUESTIONS};
use clap::builder::Command;
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use serde_json::json;
use stages::Bench;
use std::path::PathBuf;

/// Makes the command.
pub(super) fn command() -> Command {
    Command::new("search")
        .about("Measure how well and how fast memories are found")
        .long_about(
            "Measure how well and how fast memories are found.\n\nMade-up memories with vectors of 768 components \
             are stored in a temporary store and asked for by words, by meaning, by both and with filters. Printed \
             are recall@10 against an exact comparison, CPU time, latency, queries per second, rates of storing, \
             and what it takes to open and to keep. 100000 rows take some minutes, 1000000 an hour and 10 GB.",
        )
        .arg(
            Arg::new("rows")
                .long("rows")
                .short('n')
                .value_name("N")
                .value_parser(value_parser!(u64).range(200..=1_000_000))
                .default_value("10000")
                .help("How many memories [200 to 1000000]"),
        )
        .arg(
            Arg::new("questions")
                .long("questions")
                .value_name("N")
                .value_parser(value_parser!(u64).range(10..=QUESTIONS))
                .default_value("200")
                .help("How many questions; fewer are quicker and say less [10 to 200]"),
        )
        .args(place::arguments())
        .arg(
            Arg::new("reopen")
                .long("reopen")
                .hide(true)
                .action(ArgAction::SetTrue)
                .help("Open the store of a measurement, ask one question and say what that took"),
        )
        .arg(
            Arg::new("contest")
                .long("contest")
                .hide(true)
                .action(ArgAction::SetTrue)
                .help("Answer on standard input and output what a comparison asks"),
        )
}

/// What is asked for.
struct Plan {
    rows: u64,
    questions: u64,
    folder: Option<PathBuf>,
    url: Option<String>,
}

/// Measures.
pub(super) fn run(session: &Session, matches: &ArgMatches) -> Outcome {
    if matches.get_flag("reopen") {
        return reopen::run(session);
    }
    let plan = Plan {
        rows: matches.get_one("rows").copied().unwrap_or_default(),
        questions: matches.get_one("questions").copied().unwrap_or(QUESTIONS),
        folder: matches.get_one("folder").cloned(),
        url: matches.get_one("url").cloned(),
    };
    let machine = gauge::machine();
    let place = Place::choose(
        session,
        plan.rows,
        plan.folder.as_deref(),
        plan.url.as_deref(),
    )?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Error::internal)?;
    let bench = Bench {
        session,
        plan: &plan,
        place: &place,
        corpus: Corpus::new(),
        questions: Corpus::new().questions(plan.questions),
    };
    if matches.get_flag("contest") {
        return Session::finish_long(runtime, "nothing was measured", contest::run(&bench));
    }
    let (database, report) =
        Session::finish_long(runtime, "nothing was measured", measure(&bench))?;
    let answer = json!({
        "bench": "search",
        "version": env!("CARGO_PKG_VERSION"),
        "rows": plan.rows,
        "questions": plan.questions,
        "database": database,
        "machine": machine,
        "optimised": !cfg!(debug_assertions),
        "items": report.to_json(),
    });
    session.show(&answer, |_, style| {
        let warning = match cfg!(debug_assertions) {
            true => "This is a debug build: its times say nothing.\n",
            false => "",
        };
        format!(
            "{} memories, {} questions, {database}\n{machine}\n{warning}{}",
            plan.rows,
            plan.questions,
            report.text(style)
        )
    })
}

async fn measure(bench: &Bench<'_>) -> Outcome<(String, Report)> {
    let mut report = Report::default();
    let (database, filled) = bench.store(&mut report).await?;
    let store = bench.place.open().await?;
    let ctx = store.ctx("bench");
    let asked = bench.ask(&bench.asker(&ctx), &filled, &mut report).await;
    store.close().await?;
    asked?;
    Ok((database, report))
}
