//! `eval`: how well recall finds what is known to be relevant, measured on a test collection.
//!
//! Every scope of the collection becomes a project of a temporary store, through `memory.import`
//! and with speakers, sessions and dates kept. Every question goes through `memory.recall`, as
//! users' questions do, in each mode. Rankings are read to a limited depth (100 unless given), so
//! a first relevant document beyond it counts as not found in the MRR.

mod data;
mod floors;
mod metrics;
mod report;

use super::Session;
use super::bench::gauge::cpu_time;
use crate::compose::{self, Store};
use crate::outcome::{Outcome, at_path};
use athena_core::{Code, Ctx, Error, Registry, Result};
use athena_db::Durability;
use athena_privacy::Policy;
use athena_search::{DEFAULT_MIN_MATCH, Ingredient, Kind, Recipe};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use data::{Collection, Query, Scope, Twins};
use indicatif::ProgressBar;
use metrics::Figures;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// The ways of looking that are compared.
const MODES: [&str; 3] = ["keyword", "semantic", "hybrid"];
/// Records in one call of `memory.import`.
const BATCH: usize = 500;
/// Most characters of a question, as `memory.recall` takes it.
const QUESTION_CHARS: usize = 10_000;

/// Makes the command.
pub(crate) fn command() -> Command {
    Command::new("eval")
        .about("Measure recall on a test collection")
        .long_about(
            "Measure recall on a test collection of JSON lines: documents \
             {\"kind\":\"doc\",\"scope\",\"id\",\"text\"} with optional speaker, caption, session, date and order, and \
             questions {\"kind\":\"query\",\"scope\",\"id\",\"text\",\"cat\",\"rel\":{document: grade}}.\n\nEvery scope is \
             indexed as a project of a temporary store. Printed are recall@1/5/10/20, MRR, nDCG@10 and CPU time per \
             question, by category; and how often a floor on `match` answers a scope's own questions and keeps \
             silent on those of others and on those without a relevant document.",
        )
        .arg(Arg::new("file").value_name("FILE").required(true).help("The collection"))
        .arg(
            Arg::new("modes")
                .long("mode")
                .value_name("MODE")
                .action(ArgAction::Append)
                .value_parser(PossibleValuesParser::new(MODES))
                .help("Only this way of looking; may be repeated"),
        )
        .arg(
            Arg::new("depth")
                .long("depth")
                .value_name("N")
                .value_parser(value_parser!(u32).range(20..=1_000))
                .default_value("100")
                .help("How many hits of each question are looked at [20 to 1000]"),
        )
        .arg(
            Arg::new("foreign")
                .long("foreign")
                .value_name("N")
                .value_parser(value_parser!(u32).range(0..=100_000))
                .default_value("100")
                .help("How many questions of other scopes each scope is asked"),
        )
        .arg(
            Arg::new("without")
                .long("without")
                .value_name("PART")
                .action(ArgAction::Append)
                .value_parser(PossibleValuesParser::new(Ingredient::ALL.map(Ingredient::as_str)))
                .help("Leave this part of the ranking out, to see what it adds; may be repeated"),
        )
        .arg(
            Arg::new("floor")
                .long("floor")
                .value_name("MATCH")
                .value_parser(value_parser!(f64))
                .help("The floor on `match` for own and foreign questions [default: the one that hooks use]"),
        )
        .arg(
            Arg::new("privacy")
                .long("privacy")
                .value_name("POLICY")
                .value_parser(PossibleValuesParser::new(Policy::ALL.map(Policy::as_str)))
                .default_value(Policy::Standard.as_str())
                .help("The privacy policy of the temporary store; `debug` lets everything through"),
        )
        .arg(Arg::new("save").long("save").value_name("FILE").help("Keep this run, question by question"))
        .arg(Arg::new("against").long("against").value_name("FILE").help("Compare with a run that was kept"))
        .arg(
            Arg::new("floors")
                .long("floors")
                .value_name("FILE")
                .help("Fail when a figure is below its floor, or hybrid more than a point below its better arm"),
        )
        .arg(
            Arg::new("save_floors")
                .long("save-floors")
                .value_name("FILE")
                .help("Write floors a little below what this run reaches"),
        )
}

/// What is asked for.
struct Plan {
    modes: Vec<&'static str>,
    depth: u32,
    foreign: usize,
    floor: f64,
    policy: Policy,
    without: Vec<Ingredient>,
}

/// What was measured.
#[derive(Debug, Default)]
struct Run {
    modes: Vec<ModeRun>,
    abstention: Abstention,
}

/// One way of looking.
#[derive(Debug)]
struct ModeRun {
    mode: &'static str,
    answers: Vec<Answered>,
}

/// One question, asked in one way.
#[derive(Debug, Clone)]
struct Answered {
    scope: String,
    id: String,
    category: String,
    figures: Figures,
    cpu: Duration,
    wall: Duration,
}

/// How often a floor on `match` answers.
#[derive(Debug, Default, Clone, Copy)]
struct Abstention {
    floor: f64,
    own: usize,
    own_answered: usize,
    foreign: usize,
    foreign_silent: usize,
    unanswerable: usize,
    unanswerable_silent: usize,
}

/// Measures.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Outcome {
    let file = matches
        .get_one::<String>("file")
        .map(String::as_str)
        .unwrap_or_default();
    let plan = Plan::of(matches)?;
    let against = matches
        .get_one::<String>("against")
        .map(|path| report::load(Path::new(path)))
        .transpose()?;
    let floors = matches
        .get_one::<String>("floors")
        .map(|path| floors::load(Path::new(path)))
        .transpose()?;
    let collection = data::read(Path::new(file))?;
    if collection
        .scopes
        .iter()
        .all(|scope| scope.queries.is_empty())
    {
        return Err(Error::new(
            Code::InvalidInput,
            format!("`{file}` has no judged question"),
        )
        .into());
    }
    let run = session.block_on(measure(session, &plan, &collection))?;
    let mut answer = report::answer(file, &plan, &collection, &run);
    if let Some(baseline) = &against {
        answer["against"] = report::compare(&run, baseline);
    }
    if let Some(path) = matches.get_one::<String>("save").map(Path::new) {
        let kept = report::kept(&answer, &run);
        std::fs::write(path, format!("{kept}\n")).map_err(|error| at_path("write", path, error))?;
    }
    if let Some(path) = matches.get_one::<String>("save_floors") {
        floors::save(&floors::of(&answer), Path::new(path))?;
    }
    let Some(floors) = floors else {
        return session.show(&answer, report::text);
    };
    answer["floors"] = floors::check(&answer, &floors);
    session.show(&answer, report::text)?;
    if floors::are_met(&answer["floors"]) {
        return Ok(());
    }
    super::told(floors::UNMET)
}

impl Plan {
    fn of(matches: &ArgMatches) -> Result<Self> {
        let wanted: Vec<&String> = matches.get_many("modes").into_iter().flatten().collect();
        let chosen =
            |mode: &&str| wanted.is_empty() || wanted.iter().any(|wanted| *wanted == *mode);
        let floor = matches
            .get_one::<f64>("floor")
            .copied()
            .unwrap_or(DEFAULT_MIN_MATCH);
        if !(0.0..=1.0).contains(&floor) {
            return Err(Error::invalid(
                "floor",
                format_args!("is {floor}; allowed: 0 to 1"),
            ));
        }
        let left_out: Vec<&String> = matches.get_many("without").into_iter().flatten().collect();
        let is_left_out = |part: &Ingredient| left_out.iter().any(|name| *name == part.as_str());
        let foreign = matches.get_one::<u32>("foreign").copied().unwrap_or(0);
        Ok(Self {
            modes: MODES.into_iter().filter(|mode| chosen(mode)).collect(),
            depth: matches.get_one::<u32>("depth").copied().unwrap_or(100),
            foreign: usize::try_from(foreign).unwrap_or(usize::MAX),
            floor,
            policy: matches
                .get_one::<String>("privacy")
                .and_then(|policy| policy.parse().ok())
                .unwrap_or_default(),
            without: Ingredient::ALL.into_iter().filter(is_left_out).collect(),
        })
    }

    /// Returns the parts of the ranking that take part.
    fn recipe(&self) -> Recipe {
        let parts = self.without.iter().copied();
        parts.fold(Recipe::default(), Recipe::without)
    }
}

/// Indexes the collection in a temporary store and asks every question.
async fn measure(session: &Session, plan: &Plan, collection: &Collection) -> Outcome<Run> {
    let folder = tempfile::Builder::new()
        .prefix("athena-eval-")
        .tempdir()
        .map_err(|error| at_path("create a folder in", &std::env::temp_dir(), error))?;
    let embedders = compose::embedders(&session.settings.embedder)?;
    let store = Store::open_file_with(
        &folder.path().join("eval.db"),
        Durability::Normal,
        embedders,
        compose::passing_privacy(plan.policy)?,
        "eval",
        plan.recipe(),
    )
    .await?;
    let result = fill_and_ask(session, plan, collection, &store).await;
    store.close().await?;
    result
}

async fn fill_and_ask(
    session: &Session,
    plan: &Plan,
    collection: &Collection,
    store: &Store,
) -> Outcome<Run> {
    let docs: usize = collection.scopes.iter().map(|scope| scope.docs.len()).sum();
    let progress = super::progress(session, docs as u64, "indexing");
    let mut twins = Vec::new();
    for scope in &collection.scopes {
        twins.push(index(&session.registry, store, scope, &progress).await?);
    }
    progress.finish_and_clear();
    embed_all(session, store).await?;

    let queries: usize = collection
        .scopes
        .iter()
        .map(|scope| scope.queries.len())
        .sum();
    let progress = super::progress(session, (queries * plan.modes.len()) as u64, "asking");
    let ctx = store.ctx("eval");
    let asker = Asker {
        registry: &session.registry,
        ctx: &ctx,
        plan,
        progress: &progress,
    };
    let mut run = Run::default();
    for mode in &plan.modes {
        let mut answers = Vec::with_capacity(queries);
        for (scope, twins) in collection
            .scopes
            .iter()
            .zip(&twins)
            .filter(|(_, twins)| !twins.is_empty())
        {
            for query in &scope.queries {
                answers.push(asker.ask(scope, twins, query, mode).await?);
            }
        }
        run.modes.push(ModeRun { mode, answers });
    }
    progress.finish_and_clear();
    run.abstention = asker.abstention(session, collection).await?;
    Ok(run)
}

/// Stores the documents of a scope as a project, and returns which documents each memory stands for.
async fn index(
    registry: &Registry,
    store: &Store,
    scope: &Scope,
    progress: &ProgressBar,
) -> Result<Twins> {
    let ctx = store.ctx("eval").with_project(scope.name.clone());
    let (records, twins) = data::records(scope);
    for batch in records.chunks(BATCH) {
        registry
            .call("memory.import", &ctx, json!({ "memories": batch }), None)
            .await?;
        progress.inc(batch.len() as u64);
    }
    Ok(twins)
}

/// Waits until the embedder has answered for every document; the built-in one has done so already.
async fn embed_all(session: &Session, store: &Store) -> Result<()> {
    let waiting = || async {
        let waiting = athena_store::pending(store.env().db(), Kind::MEMORY).await?;
        Ok::<u64, Error>(u64::try_from(waiting).unwrap_or(0))
    };
    let mut left = waiting().await?;
    let progress = super::progress(session, left, "embedding");
    loop {
        athena_store::flush(store.env()).await;
        let now = waiting().await?;
        if now > 0 && now == left {
            let message = format!(
                "the embedder did not answer for {now} documents; `athena doctor` says more"
            );
            return Err(Error::new(Code::Unavailable, message));
        }
        progress.inc(left.saturating_sub(now));
        left = now;
        if left == 0 {
            progress.finish_and_clear();
            return Ok(());
        }
    }
}

/// Asks questions.
struct Asker<'a> {
    registry: &'a Registry,
    ctx: &'a Ctx,
    plan: &'a Plan,
    progress: &'a ProgressBar,
}

impl Asker<'_> {
    async fn ask(
        &self,
        scope: &Scope,
        twins: &Twins,
        query: &Query,
        mode: &'static str,
    ) -> Result<Answered> {
        let input = json!({"project": scope.name, "query": question(query), "mode": mode, "limit": self.plan.depth});
        let (cpu, wall) = (cpu_time(), Instant::now());
        let answer = self
            .registry
            .call("memory.recall", self.ctx, input, None)
            .await?;
        let (cpu, wall) = (cpu_time().saturating_sub(cpu), wall.elapsed());
        self.progress.inc(1);
        Ok(Answered {
            scope: scope.name.clone(),
            id: query.id.clone(),
            category: query.category.clone(),
            figures: metrics::figures(&ranking(&answer, twins)?, &query.relevant),
            cpu,
            wall,
        })
    }

    /// Asks every scope its own questions, those that it cannot answer, and a fixed sample of
    /// others', with the floor.
    async fn abstention(&self, session: &Session, collection: &Collection) -> Result<Abstention> {
        let mut found = Abstention {
            floor: self.plan.floor,
            ..Abstention::default()
        };
        let scopes: Vec<&Scope> = collection
            .scopes
            .iter()
            .filter(|scope| !scope.docs.is_empty())
            .collect();
        let own: usize = scopes.iter().map(|scope| scope.queries.len()).sum();
        let progress = super::progress(
            session,
            (own + collection.unjudged() + self.plan.foreign * scopes.len()) as u64,
            "abstaining",
        );
        for scope in &scopes {
            for query in &scope.queries {
                found.own += 1;
                found.own_answered += usize::from(self.answers(scope, query).await?);
                progress.inc(1);
            }
            for query in &scope.unanswerable {
                found.unanswerable += 1;
                found.unanswerable_silent += usize::from(!self.answers(scope, query).await?);
                progress.inc(1);
            }
            let others: Vec<&Query> = collection
                .scopes
                .iter()
                .filter(|other| other.name != scope.name)
                .flat_map(|other| &other.queries)
                .collect();
            for query in spread(&others, self.plan.foreign) {
                found.foreign += 1;
                found.foreign_silent += usize::from(!self.answers(scope, query).await?);
                progress.inc(1);
            }
        }
        progress.finish_and_clear();
        Ok(found)
    }

    async fn answers(&self, scope: &Scope, query: &Query) -> Result<bool> {
        let input = json!({
            "project": scope.name, "query": question(query), "limit": 1, "min_score": self.plan.floor,
        });
        let answer = self
            .registry
            .call("memory.recall", self.ctx, input, None)
            .await?;
        Ok(answer["hits"]
            .as_array()
            .is_some_and(|hits| !hits.is_empty()))
    }
}

fn question(query: &Query) -> String {
    query.text.chars().take(QUESTION_CHARS).collect()
}

/// Returns the documents of a ranking; those that are one memory follow each other.
///
/// # Errors
///
/// A hit that stands for no document: then nothing that is measured would mean anything.
fn ranking<'a>(answer: &'a Value, twins: &'a Twins) -> Result<Vec<&'a str>> {
    let mut docs = Vec::new();
    for hit in answer["hits"].as_array().into_iter().flatten() {
        let known = hit["external_id"].as_str().and_then(|id| twins.get(id));
        let known = known
            .ok_or_else(|| Error::internal("a hit stands for no document of the collection"))?;
        docs.extend(known.iter().map(String::as_str));
    }
    Ok(docs)
}

/// Picks `count` items at equal distances: the same ones every time.
fn spread<'a, T>(items: &'a [&'a T], count: usize) -> impl Iterator<Item = &'a T> {
    let count = count.min(items.len());
    (0..count).map(move |index| items[index * items.len() / count])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_spread_and_fixed() {
        let items: Vec<u32> = (0..10).collect();
        let items: Vec<&u32> = items.iter().collect();
        let picked = |count| spread(&items, count).copied().collect::<Vec<u32>>();
        assert_eq!(picked(3), [0, 3, 6]);
        assert_eq!(picked(99).len(), 10);
        assert_eq!(picked(0), Vec::<u32>::new());
    }

    #[test]
    fn rankings_name_documents() {
        let answer = json!({"hits": [{"external_id": "b"}, {"external_id": "a"}]});
        let twins = Twins::from([
            ("a".into(), vec!["a".into()]),
            ("b".into(), vec!["b".into(), "c".into()]),
        ]);
        assert_eq!(ranking(&answer, &twins).unwrap(), ["b", "c", "a"]);
        assert!(ranking(&json!({"hits": [{"external_id": "z"}]}), &twins).is_err());
        assert!(ranking(&json!({"hits": [{}]}), &twins).is_err());
    }
}
