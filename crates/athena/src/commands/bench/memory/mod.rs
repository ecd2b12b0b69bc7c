//! `bench memory`: what each operation costs in a store that somebody has used for a year.
//!
//! A temporary store is filled with memories, events, tasks and all the rest by the operations that
//! users call. Then every operation that reads is called with the inputs of [`inputs`], events are
//! recorded, hooks are run as processes of their own, and what founding document 004 promises is
//! measured as it says it.

mod events;
mod fill;
mod founding;
mod hooks;
mod inputs;
mod made;
mod own;
mod reads;

use super::super::{Session, progress};
use super::gauge;
use super::place::{self, Place};
use super::report::{Report, Target::AtMost};
use crate::commands::db::table::{Cell, Table};
use crate::compose;
use crate::outcome::Outcome;
use crate::terminal::Style;
use athena_core::{Ctx, Error, Registry, Result};
use athena_corpus::Corpus;
use clap::builder::Command;
use clap::{Arg, ArgAction, ArgMatches};
use fill::Stored;
use own::OwnDatabase;
use reads::Read;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Makes the command.
pub(super) fn command() -> Command {
    Command::new("memory")
        .about("Measure what every operation that reads costs, and how fast events are stored")
        .long_about(
            "Measure what every operation that reads costs, and how fast events are stored.\n\n100000 memories, 100000 \
             events, 5000 tasks and what goes with them are stored in a temporary store. Printed are the CPU time \
             and the time of each operation that reads, the slowest first, rates of storing, and what a hook takes \
             as a process of its own. It takes some minutes and 2 GB; `--quick` takes a hundredth.",
        )
        .arg(
            Arg::new("quick")
                .long("quick")
                .action(ArgAction::SetTrue)
                .help("A hundredth of everything: it says that all runs, and little about speed"),
        )
        .args(place::arguments())
        .arg(
            Arg::new("own-database")
                .long("own-database")
                .requires("url")
                .action(ArgAction::SetTrue)
                .help("Make a database on the server of the URL to measure in, and remove it at the end"),
        )
}

/// How much is stored.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    memories: u64,
    events: u64,
    goals: u64,
    tasks: u64,
    threads: u64,
    /// Messages of a thread.
    messages: u64,
    agents: u64,
    items: u64,
    leases: u64,
    snapshots: u64,
    /// Memories with vectors of the founding document, in a project of their own.
    vectors: u64,
}

impl Sizes {
    const FULL: Self = Self {
        memories: 100_000,
        events: 100_000,
        goals: 500,
        tasks: 5_000,
        threads: 1_000,
        messages: 20,
        agents: 50,
        items: 5_000,
        leases: 500,
        snapshots: 500,
        vectors: 10_000,
    };
    const QUICK: Self = Self {
        memories: 1_000,
        events: 1_000,
        goals: 5,
        tasks: 50,
        threads: 10,
        messages: 20,
        agents: 5,
        items: 50,
        leases: 5,
        snapshots: 5,
        vectors: 500,
    };

    fn all(&self) -> u64 {
        let told = self.threads * self.messages;
        self.memories + self.events + self.goals + self.tasks + told + self.items + self.vectors
    }
}

/// What all parts need.
struct Bench<'a> {
    session: &'a Session,
    place: &'a Place,
    corpus: Corpus,
    sizes: Sizes,
    is_quick: bool,
}

/// Calls operations as faces do.
#[derive(Clone, Copy)]
struct Caller<'a> {
    registry: &'a Registry,
    ctx: &'a Ctx,
}

impl Caller<'_> {
    /// Calls one.
    ///
    /// # Errors
    ///
    /// What it fails with.
    async fn call(&self, name: &str, input: Value) -> Result<Value> {
        self.registry.call(name, self.ctx, input, None).await
    }
}

/// Measures.
pub(super) fn run(session: &Session, matches: &ArgMatches) -> Outcome {
    let is_quick = matches.get_flag("quick");
    let sizes = if is_quick { Sizes::QUICK } else { Sizes::FULL };
    let folder = matches.get_one::<PathBuf>("folder").map(PathBuf::as_path);
    let url = matches.get_one::<String>("url");
    let own = url.filter(|_| matches.get_flag("own-database"));
    let own = own.map(|url| OwnDatabase::beside(url)).transpose()?;
    let url = own.as_ref().map(|own| &own.url).or(url);
    let machine = gauge::machine();
    let place = Place::choose(session, sizes.all(), folder, url.map(String::as_str))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Error::internal)?;
    let bench = Bench {
        session,
        place: &place,
        corpus: Corpus::new(),
        sizes,
        is_quick,
    };
    let measured = Session::finish_long(
        runtime,
        "nothing was measured",
        bench.measure_in(own.as_ref()),
    )?;
    let answer = json!({
        "bench": "memory",
        "version": env!("CARGO_PKG_VERSION"),
        "quick": is_quick,
        "memories": sizes.memories,
        "events": sizes.events,
        "tasks": sizes.tasks,
        "database": measured.database,
        "machine": machine,
        "optimised": !cfg!(debug_assertions),
        "items": measured.report.to_json(),
        "reads": measured.reads.iter().map(Read::to_json).collect::<Vec<_>>(),
        "founding": measured.founding.iter().map(founding::Line::to_json).collect::<Vec<_>>(),
    });
    session.show(&answer, |_, style| measured.text(&machine, style))
}

/// Everything that was measured.
struct Measured {
    database: String,
    report: Report,
    reads: Vec<Read>,
    founding: Vec<founding::Line>,
}

impl Bench<'_> {
    async fn measure_in(&self, own: Option<&OwnDatabase>) -> Outcome<Measured> {
        let Some(own) = own else {
            return self.measure().await;
        };
        own.make().await?;
        let measured = self.measure().await;
        own.remove().await?;
        measured
    }

    async fn measure(&self) -> Outcome<Measured> {
        let mut report = Report::default();
        report_start(&mut report);
        let store = self.place.open().await?;
        self.place
            .refuse_if_used(&self.session.registry, &store)
            .await?;
        let database = self.place.describe(&store).await?;
        let ctx = store.ctx("bench");
        let caller = Caller {
            registry: &self.session.registry,
            ctx: &ctx,
        };
        let stored = fill::all(self, caller, &mut report).await?;
        athena_store::flush(store.env()).await;
        let reads = self.reads(caller, &stored).await?;
        report_reads(&reads, &mut report);
        events::measure(self, caller, &mut report).await?;
        let founding = founding::measure(self, caller).await?;
        store.close().await?;
        hooks::measure(self, &mut report)?;
        Ok(Measured {
            database,
            report,
            reads,
            founding,
        })
    }

    async fn reads(&self, caller: Caller<'_>, stored: &Stored) -> Result<Vec<Read>> {
        let asked = inputs::all(stored);
        let bar = progress(self.session, made::count(asked.len()), "reading");
        let most_calls = match self.is_quick {
            true => reads::LEAST_CALLS,
            false => reads::MOST_CALLS,
        };
        let reads = reads::measure(caller, asked, most_calls, &bar).await;
        bar.finish_and_clear();
        reads
    }
}

/// Says what listing all operations costs: every process begins with it.
fn report_start(report: &mut Report) {
    let times = (0..9).map(|_| {
        let before = gauge::cpu_time();
        std::hint::black_box(compose::registry());
        gauge::milliseconds(gauge::cpu_time().saturating_sub(before))
    });
    let time = made::median(times.collect());
    report.push(
        "registry.cpu_ms",
        "listing all operations: CPU",
        time,
        "ms",
        None,
    );
}

fn report_reads(reads: &[Read], report: &mut Report) {
    let slow = reads.iter().filter(|read| !read.is_quick()).count();
    report.push(
        "reads.slow",
        format!(
            "of {} operations that read, above {} ms of CPU",
            reads.len(),
            reads::MOST_MS
        ),
        gauge::real(made::count(slow)),
        "",
        Some(AtMost(0.0)),
    );
    let Some(brief) = reads.iter().find(|read| read.name == "context.brief") else {
        return;
    };
    let what = "context.brief: CPU, its slowest input";
    report.push(
        "brief.cpu_ms",
        what,
        brief.cpu_ms(),
        "ms",
        Some(AtMost(30.0)),
    );
    report.push(
        "brief.wall_ms",
        "context.brief: time",
        brief.wall_ms(),
        "ms",
        Some(AtMost(30.0)),
    );
}

impl Measured {
    fn text(&self, machine: &str, style: Style) -> String {
        let warning = match cfg!(debug_assertions) {
            true => "This is a debug build: its times say nothing.\n",
            false => "",
        };
        let mut reads = Table::new(["operation", "CPU ms", "ms", "its slowest input", ""]);
        reads.rows = self.reads.iter().map(Read::cells).collect();
        let mut founding = Table::new(["founding document 004", "promised", "measured", ""]);
        founding.rows = self.founding.iter().map(founding::Line::cells).collect();
        [
            &format!("{}\n{machine}\n{warning}\n", self.database),
            &reads.text(style),
            "\n",
            &founding.text(style),
            "\n",
            &self.report.text(style),
        ]
        .concat()
    }
}

/// Returns a cell that says whether a target was met.
fn verdict(met: bool) -> Cell {
    Cell::text(if met { "met" } else { "missed" })
}
