//! `bench search`: how well and how fast memories are found.
//!
//! Made-up memories with vectors of their own (see [`athena_corpus`]) are stored in a store that is
//! removed again, and asked for, all by the operations that users call. What should be found is known
//! exactly: directions are compared with every row, words by a BM25 of this module's own.

mod answers;
mod bm25;
mod fill;
mod place;
mod reopen;
mod report;
mod writes;

use super::super::{Session, progress};
use super::gauge;
use crate::outcome::Outcome;
use answers::{Asker, Mode, Pass};
use athena_core::Error;
use athena_corpus::{Corpus, Labels, QUESTIONS, recall};
use clap::builder::Command;
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use fill::Filled;
use place::Place;
use report::{Report, Target, Target::AtLeast, Target::AtMost};
use serde_json::json;
use std::path::PathBuf;

/// Bytes of a row's code and its factors and number, of which a scan reads all.
const SCANNED_BYTES: f64 = 112.0;

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
        .arg(
            Arg::new("folder")
                .long("folder")
                .value_name("PATH")
                .value_parser(value_parser!(PathBuf))
                .help("Where the temporary store lies [default: beside the configured store]"),
        )
        .arg(
            Arg::new("url")
                .long("url")
                .value_name("URL")
                .conflicts_with("folder")
                .help("Use this database, which must hold no projects; what is stored there stays"),
        )
        .arg(Arg::new("reopen").long("reopen").hide(true).action(ArgAction::SetTrue))
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
    let place = Place::choose(session, &plan)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Error::internal)?;
    let measured = measure(session, &plan, &place);
    let (database, report) = Session::finish_long(runtime, "nothing was measured", measured)?;
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

async fn measure(session: &Session, plan: &Plan, place: &Place) -> Outcome<(String, Report)> {
    let corpus = Corpus::new();
    let questions = corpus.questions(plan.questions);
    let mut report = Report::default();

    let store = place.open().await?;
    place.refuse_if_used(&session.registry, &store).await?;
    let database = place.describe(&store).await?;
    let bar = progress(session, plan.rows, "storing");
    let filled = fill::fill(
        &session.registry,
        &store,
        &corpus,
        &questions,
        plan.rows,
        &bar,
    )
    .await;
    bar.finish_and_clear();
    let closed = store.close().await;
    let filled = filled?;
    closed?;
    let rate = gauge::real(plan.rows) / filled.took.as_secs_f64();
    report.push(
        "ingest.rows_per_s",
        "storing in batches",
        rate,
        "rows/s",
        Some(AtLeast(5_000.0)),
    );
    report_disk(plan, place, &mut report)?;
    report_opening(plan, place, &mut report)?;

    let store = place.open().await?;
    let ctx = store.ctx("bench");
    let asker = Asker {
        registry: &session.registry,
        ctx: &ctx,
        questions: &questions,
    };
    let bar = progress(session, 13, "asking");
    let asked = async {
        let semantic = semantic(plan, &asker, &filled, &mut report).await?;
        bar.inc(3);
        keyword(&asker, &filled, &mut report).await?;
        bar.inc(3);
        let hybrid = hybrid(plan, &asker, &mut report).await?;
        bar.inc(3);
        filters(&asker, &filled, &semantic, &mut report).await?;
        bar.inc(2);
        bar.set_message("storing one by one");
        writes::measure(&asker, &corpus, place, &hybrid, plan.rows, &mut report).await
    };
    let asked = asked.await;
    bar.finish_and_clear();
    store.close().await?;
    asked?;
    Ok((database, report))
}

fn report_disk(plan: &Plan, place: &Place, report: &mut Report) -> Outcome {
    let Some(folder) = place.folder() else {
        return Ok(());
    };
    let size = gauge::size_of_folder(folder).map_err(|error| place::unreadable(folder, error))?;
    report.push("disk.mb", "disk", size, "MB", None);
    let per_100k = size * 1e5 / gauge::real(plan.rows);
    report.push(
        "disk.mb_per_100k",
        "disk per 100,000 rows",
        per_100k,
        "MB",
        Some(AtMost(300.0)),
    );
    Ok(())
}

fn report_opening(plan: &Plan, place: &Place, report: &mut Report) -> Outcome {
    let opened = reopen::measure(place)?;
    let target = if plan.rows > 100_000 { 500.0 } else { 50.0 };
    report.push(
        "open.cpu_ms",
        "opening and a first search, CPU",
        opened.cpu_ms,
        "ms",
        Some(AtMost(target)),
    );
    report.push(
        "open.wall_ms",
        "opening and a first search",
        opened.wall_ms,
        "ms",
        None,
    );
    if let Some(grown) = opened.grown_mb {
        report.push("ram.mb", "memory after many searches", grown, "MB", None);
        // What does not grow with the rows would be most of it in a small store.
        let target = (plan.rows >= 100_000).then_some(AtMost(100.0));
        let per_100k = grown * 1e5 / gauge::real(plan.rows);
        report.push(
            "ram.mb_per_100k",
            "memory per 100,000 rows",
            per_100k,
            "MB",
            target,
        );
    }
    Ok(())
}

/// Most CPU time of a semantic question, in milliseconds.
fn semantic_target(rows: u64) -> f64 {
    match rows {
        0..=10_000 => 0.15,
        10_001..=100_000 => 0.5,
        _ => 10.0,
    }
}

async fn semantic(
    plan: &Plan,
    asker: &Asker<'_>,
    filled: &Filled,
    report: &mut Report,
) -> Outcome<Pass> {
    let pass = asker.best_pass(Mode::Semantic, None).await?;
    let found = recall(&pass.rows(), &filled.truth.nearest(None));
    report.push(
        "semantic.recall",
        "by meaning: recall@10",
        found,
        "",
        Some(AtLeast(0.99)),
    );
    report_pass(
        asker,
        Mode::Semantic,
        &pass,
        Some(AtMost(semantic_target(plan.rows))),
        None,
        report,
    )?;
    if plan.rows >= 1_000_000 {
        let limit = SCANNED_BYTES * gauge::real(plan.rows) / gauge::read_bandwidth() * 1e3;
        let ratio = pass.cpu_ms / limit;
        report.push(
            "semantic.of_bandwidth",
            "by meaning: CPU over reading all codes",
            ratio,
            "×",
            Some(AtMost(1.5)),
        );
    }
    Ok(pass)
}

async fn keyword(asker: &Asker<'_>, filled: &Filled, report: &mut Report) -> Outcome {
    let pass = asker.best_pass(Mode::Keyword, None).await?;
    let exact = filled.bm25.share_in_order(&pass.hits);
    report.push(
        "keyword.exact",
        "by words: in the exact order",
        exact,
        "",
        Some(AtLeast(1.0)),
    );
    report_pass(asker, Mode::Keyword, &pass, None, None, report)
}

async fn hybrid(plan: &Plan, asker: &Asker<'_>, report: &mut Report) -> Outcome<Pass> {
    let pass = asker.best_pass(Mode::Hybrid, None).await?;
    let (cpu, rate) = match plan.rows {
        ..=100_000 => (Some(AtMost(1.0)), Some(AtLeast(1_500.0))),
        _ => (None, None),
    };
    report_pass(asker, Mode::Hybrid, &pass, cpu, rate, report)?;
    Ok(pass)
}

/// Reports the times of a way of looking; `rate` is the target of two clients.
fn report_pass(
    asker: &Asker<'_>,
    mode: Mode,
    pass: &Pass,
    cpu: Option<Target>,
    rate: Option<Target>,
    report: &mut Report,
) -> Outcome {
    let (name, title) = (mode.name(), mode.title());
    let mut push = |id: &str, what: &str, value, unit, target| {
        report.push(
            format!("{name}.{id}"),
            format!("{title}: {what}"),
            value,
            unit,
            target,
        );
    };
    push("cpu_ms", "CPU", pass.cpu_ms, "ms", cpu);
    push("p50_ms", "p50", pass.wall_ms(0.5), "ms", None);
    push("p99_ms", "p99", pass.wall_ms(0.99), "ms", None);
    push(
        "qps_1",
        "one client",
        asker.rate(mode, 1)?,
        "queries/s",
        None,
    );
    push(
        "qps_2",
        "two clients",
        asker.rate(mode, 2)?,
        "queries/s",
        rate,
    );
    Ok(())
}

async fn filters(
    asker: &Asker<'_>,
    filled: &Filled,
    unfiltered: &Pass,
    report: &mut Report,
) -> Outcome {
    for (place, (name, share)) in Labels::ALL.into_iter().enumerate() {
        let pass = asker.best_pass(Mode::Semantic, Some(place)).await?;
        let expected = filled.truth.nearest(Some(place));
        let missing = expected
            .iter()
            .zip(&pass.hits)
            .map(|(expected, hits)| expected.len().saturating_sub(hits.len()));
        let missing = u64::try_from(missing.sum::<usize>()).unwrap_or(u64::MAX);
        let mut push = |id: &str, what: &str, value, unit, target| {
            let title = format!("filter of {} %: {what}", share * 100.0);
            report.push(format!("filter_{name}.{id}"), title, value, unit, target);
        };
        push(
            "recall",
            "recall@10",
            recall(&pass.rows(), &expected),
            "",
            Some(AtLeast(0.99)),
        );
        push(
            "missing_rows",
            "rows that were not returned",
            gauge::real(missing),
            "",
            Some(AtMost(0.0)),
        );
        push("cpu_ms", "CPU", pass.cpu_ms, "ms", None);
        push(
            "time_ratio",
            "CPU over that without a filter",
            pass.cpu_ms / unfiltered.cpu_ms,
            "×",
            Some(AtMost(1.5)),
        );
    }
    Ok(())
}
