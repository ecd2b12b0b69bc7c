//! The parts of a run, in their order.

use super::super::place::{Place, unreadable};
use super::super::report::{Report, Target, Target::AtLeast, Target::AtMost};
use super::Plan;
use super::answers::{Asker, Mode, Pass};
use super::fill::{self, Filled};
use super::{gauge, reopen, writes};
use crate::commands::{Session, progress};
use crate::outcome::Outcome;
use athena_core::Ctx;
use athena_corpus::{Corpus, Labels, Question, recall};

/// Bytes of a row's code and its factors and number, of which a scan reads all.
const SCANNED_BYTES: f64 = 112.0;

/// What all parts need.
pub(super) struct Bench<'a> {
    pub(super) session: &'a Session,
    pub(super) plan: &'a Plan,
    pub(super) place: &'a Place,
    pub(super) corpus: Corpus,
    pub(super) questions: Vec<Question>,
}

impl Bench<'_> {
    /// Stores everything, closes the store, and reports what that took and what opening it takes.
    /// Returns what the database is.
    ///
    /// # Errors
    ///
    /// What the operations fail with.
    pub(super) async fn store(&self, report: &mut Report) -> Outcome<(String, Filled)> {
        let Self {
            session,
            plan,
            place,
            ..
        } = self;
        let store = place.open().await?;
        place.refuse_if_used(&session.registry, &store).await?;
        let database = place.describe(&store).await?;
        let bar = progress(session, plan.rows, "storing");
        let filled = fill::fill(self, &store, &bar).await;
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
        report_disk(plan, place, report)?;
        report_opening(plan, place, report)?;
        Ok((database, filled))
    }

    /// Returns who asks the questions.
    pub(super) fn asker<'a>(&'a self, ctx: &'a Ctx) -> Asker<'a> {
        Asker {
            registry: &self.session.registry,
            ctx,
            questions: &self.questions,
        }
    }

    /// Asks everything in every way, then stores one by one.
    ///
    /// # Errors
    ///
    /// What the operations fail with.
    pub(super) async fn ask(
        &self,
        asker: &Asker<'_>,
        filled: &Filled,
        report: &mut Report,
    ) -> Outcome {
        let bar = progress(self.session, 7, "asking");
        let semantic = semantic(self.plan, asker, filled, report).await?;
        bar.inc(1);
        keyword(asker, filled, report).await?;
        bar.inc(1);
        let hybrid = hybrid(self.plan, asker, report).await?;
        bar.inc(1);
        filters(asker, filled, &semantic, report).await?;
        bar.inc(3);
        writes::measure(asker, self, &hybrid, report).await?;
        bar.finish_and_clear();
        Ok(())
    }
}

fn report_disk(plan: &Plan, place: &Place, report: &mut Report) -> Outcome {
    let Some(folder) = place.folder() else {
        return Ok(());
    };
    let size = gauge::size_of_folder(folder).map_err(|error| unreadable(folder, error))?;
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
    report_pass(asker, Mode::Semantic, &pass, None, None, report)?;
    let index = asker.best_index_pass(Mode::Semantic).await?;
    report.push(
        "semantic.index_recall",
        "by meaning, the index alone: recall@10",
        recall(&index.rows(), &filled.truth.nearest(None)),
        "",
        Some(AtLeast(0.99)),
    );
    let target = AtMost(semantic_target(plan.rows));
    report_index(Mode::Semantic, &index, Some(target), report);
    if plan.rows >= 1_000_000 {
        let limit = SCANNED_BYTES * gauge::real(plan.rows) / gauge::read_bandwidth() * 1e3;
        let ratio = index.cpu_ms / limit;
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
    report_pass(asker, Mode::Keyword, &pass, None, None, report)?;
    let index = asker.best_index_pass(Mode::Keyword).await?;
    report_index(Mode::Keyword, &index, None, report);
    Ok(())
}

async fn hybrid(plan: &Plan, asker: &Asker<'_>, report: &mut Report) -> Outcome<Pass> {
    let pass = asker.best_pass(Mode::Hybrid, None).await?;
    let (cpu, rate) = match plan.rows {
        ..=100_000 => (Some(AtMost(1.0)), Some(AtLeast(1_500.0))),
        _ => (None, None),
    };
    report_pass(asker, Mode::Hybrid, &pass, cpu, rate, report)?;
    let index = asker.best_index_pass(Mode::Hybrid).await?;
    report_index(Mode::Hybrid, &index, None, report);
    Ok(pass)
}

/// Reports what the index takes of a way of looking.
fn report_index(mode: Mode, pass: &Pass, target: Option<Target>, report: &mut Report) {
    report.push(
        format!("{}.index_cpu_ms", mode.name()),
        format!("{}, the index alone: CPU", mode.title()),
        pass.cpu_ms,
        "ms",
        target,
    );
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
