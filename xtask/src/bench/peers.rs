//! `cargo xtask bench peers`: searching beside the peers that PyPI offers, on the same data.
//!
//! Every contestant is a process of its own that waits while another one works: Athena's binary, and a
//! script of `bench/search` for each peer. Each stores everything; then, in each round, each is asked
//! each kind of question once, one right after the other. What counts is the CPU time of a question in
//! the cheapest round, servers included. A peer that cannot be had or fails is named with the reason.

mod chart;
mod contestant;
mod data;
mod render;
mod score;
mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use athena_corpus::Labels;
use serde_json::{Value, json};

use super::{page, python};
use crate::workspace;
use contestant::Contestant;
use data::Data;
use score::Score;
use server::Running;

/// What everybody else is compared with.
const ATHENA: &str = "athena";
/// The kinds of questions.
const KINDS: [&str; 3] = ["semantic", "keyword", "hybrid"];
/// The peers; the script of each is `bench/search/NAME_peer.py`.
const PEERS: [&str; 7] = [
    "faiss", "qdrant", "lancedb", "chroma", "sqlite", "tantivy", "pgvector",
];

/// What to measure and where to put it.
#[derive(Clone, clap::Args)]
pub(crate) struct Options {
    /// How many rows; 10000 say that everything runs.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(200..=1_000_000))]
    rows: u64,
    /// How often each kind of question is asked.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Measures only these peers, such as `qdrant`; may be repeated.
    #[arg(long, value_name = "PEER", value_parser = clap::builder::PossibleValuesParser::new(PEERS))]
    only: Vec<String>,
    /// Measures this binary of Athena's, and builds none.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    /// Puts the results into this page, between its marks, and a chart beside it.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

/// Measures everything and says so.
///
/// # Errors
///
/// Fails when Athena cannot be measured; a peer that cannot, and a missed target, is no failure.
pub(super) fn run(options: &Options) -> Result<()> {
    let bench = format!("peers --rows {}", options.rows);
    if let Some(path) = &options.write {
        page::check(path, &bench)?;
    }
    let surroundings = super::surroundings();
    let binary = super::released(options.binary.as_deref())?;
    let data = Data::prepare(options.rows)?;
    let folder = Folder::make()?;
    let mut arena = Arena::new(options, surroundings);
    arena.enter_athena(&binary, &folder.0)?;
    arena.enter_peers(&data, &folder.0);
    arena.fill()?;
    arena.ask(&data)?;
    arena.finish()?;
    let results = &arena.results;
    if let Some(path) = &options.write {
        let chart = path.with_file_name(format!("search-peers-{}.svg", options.rows));
        fs::write(&chart, chart::draw(results))?;
        let name = chart.file_name().unwrap_or_default().to_string_lossy();
        let text = render::page(results, Some(&name));
        page::write(path, &bench, &text)?;
    }
    match options.json {
        true => println!("{:#}", results.to_json()),
        false => println!("{}", render::page(results, None)),
    }
    Ok(())
}

/// Everything that was measured.
pub(super) struct Results {
    rows: u64,
    rounds: u32,
    surroundings: String,
    scores: Vec<Score>,
    storing: Vec<Storing>,
    /// What Athena measured by itself, as `athena bench search` reports it.
    own: Vec<Value>,
    /// Who could not take part, and why.
    absent: Vec<(String, String)>,
}

/// What it took a contestant to store everything.
struct Storing {
    name: &'static str,
    versions: String,
    filled: contestant::Filled,
    singles_per_s: Option<f64>,
}

impl Results {
    fn to_json(&self) -> Value {
        let storing = self.storing.iter().map(|it| {
            json!({
                "name": it.name,
                "versions": it.versions,
                "cpu_s": it.filled.cpu_s,
                "rows_per_s": it.filled.rows_per_s,
                "disk_mb": it.filled.disk_mb,
                "singles_per_s": it.singles_per_s,
            })
        });
        json!({
            "bench": "peers",
            "rows": self.rows,
            "rounds": self.rounds,
            "surroundings": self.surroundings,
            "scores": self.scores.iter().map(Score::to_json).collect::<Vec<_>>(),
            "storing": storing.collect::<Vec<_>>(),
            "own": self.own,
            "absent": self.absent,
        })
    }
}

/// Those who take part, Athena first, and what was measured of them.
struct Arena {
    contestants: Vec<Contestant>,
    results: Results,
    wanted: Vec<String>,
    /// Outlives the contestant that talks to it.
    server: Option<Running>,
}

impl Arena {
    fn new(options: &Options, surroundings: String) -> Arena {
        Arena {
            contestants: Vec::new(),
            wanted: options.only.clone(),
            server: None,
            results: Results {
                rows: options.rows,
                rounds: options.rounds,
                surroundings,
                scores: Vec::new(),
                storing: Vec::new(),
                own: Vec::new(),
                absent: Vec::new(),
            },
        }
    }

    fn enter_athena(&mut self, binary: &Path, folder: &Path) -> Result<()> {
        let mut command = Command::new(binary);
        command
            .args(["bench", "search", "--contest", "--rows"])
            .arg(self.results.rows.to_string())
            .arg("--folder")
            .arg(folder);
        self.contestants
            .push(Contestant::start(ATHENA, &mut command, folder)?);
        Ok(())
    }

    fn enter_peers(&mut self, data: &Data, folder: &Path) {
        let python = match python::with("bench/search/requirements.txt") {
            Ok((python, failures)) => {
                self.results.absent.extend(failures);
                python
            }
            Err(error) => return self.exclude("every peer", &error),
        };
        let wanted =
            |peer: &&str| self.wanted.is_empty() || self.wanted.iter().any(|it| it == peer);
        let peers: Vec<&str> = PEERS.into_iter().filter(wanted).collect();
        for peer in peers {
            eprintln!("starting {peer}");
            match self.start(peer, &python, data, folder) {
                Ok(contestant) => self.contestants.push(contestant),
                Err(error) => self.exclude(peer, &error),
            }
        }
    }

    fn start(
        &mut self,
        peer: &'static str,
        python: &Path,
        data: &Data,
        folder: &Path,
    ) -> Result<Contestant> {
        let script = workspace::root().join(format!("bench/search/{peer}_peer.py"));
        let mut command = Command::new(python);
        command.arg(script).arg(&data.folder).arg(folder.join(peer));
        if peer == "pgvector" {
            let server = self.server.insert(Running::start()?);
            command.env("PEER_URL", server.url());
        }
        Contestant::start(peer, &mut command, folder)
    }

    fn exclude(&mut self, who: &str, why: &anyhow::Error) {
        eprintln!("{who} is left out: {why:#}");
        self.results
            .absent
            .push((who.to_owned(), format!("{why:#}")));
    }

    /// Has everybody store everything; a peer that cannot leaves.
    fn fill(&mut self) -> Result<()> {
        let mut filled = Vec::new();
        for mut contestant in std::mem::take(&mut self.contestants) {
            eprintln!("storing: {}", contestant.name);
            match contestant.fill() {
                Ok(()) => filled.push(contestant),
                Err(error) if contestant.name == ATHENA => return Err(error),
                Err(error) => self.exclude(contestant.name, &error),
            }
        }
        self.contestants = filled;
        Ok(())
    }

    /// Asks everybody everything, round after round.
    fn ask(&mut self, data: &Data) -> Result<()> {
        let mut turns = self.turns();
        let count = turns.len();
        for round in 0..self.results.rounds as usize {
            for turn in 0..count {
                // Nobody is always the first to find a cold cache.
                let (contestant, score) = &mut turns[(turn + round * 7) % count];
                if score.failure.is_some() {
                    continue;
                }
                let contestant = &mut self.contestants[*contestant];
                eprint!(
                    "\r\x1b[Kround {}: {} {} {}",
                    round + 1,
                    score.offer.kind,
                    score.name,
                    score.offer.setting
                );
                match contestant.ask(&score.offer, score.label) {
                    Ok(asked) => {
                        let semantic = score.offer.kind == "semantic";
                        let recall = semantic.then(|| data.recall(&asked.found, score.label));
                        score.add(&asked, recall.transpose()?);
                    }
                    Err(error) if score.name == ATHENA => return Err(error),
                    Err(error) => score.failure = Some(format!("{error:#}")),
                }
            }
        }
        eprintln!("\r\x1b[K");
        self.results.scores = turns.into_iter().map(|(_, score)| score).collect();
        Ok(())
    }

    /// Returns what is asked of whom in a round: kind after kind, then filter after filter.
    fn turns(&self) -> Vec<(usize, Score)> {
        let mut turns = Vec::new();
        let labels = Labels::ALL.into_iter().map(|(label, _)| Some(label));
        let parts = KINDS.into_iter().map(|kind| (kind, None));
        let filtered = labels.map(|label| (KINDS[0], label));
        for (kind, label) in parts.chain(filtered) {
            for (number, contestant) in self.contestants.iter().enumerate() {
                let offers = contestant.offers.iter();
                let offers =
                    offers.filter(|offer| offer.kind == kind && (label.is_none() || offer.filters));
                turns.extend(offers.map(|offer| {
                    let score = Score {
                        name: contestant.name,
                        offer: offer.clone(),
                        label,
                        best: None,
                        failure: None,
                    };
                    (number, score)
                }));
            }
        }
        turns
    }

    /// Has Athena measure the rest, and everybody store some rows one by one.
    fn finish(&mut self) -> Result<()> {
        // First: it knows what should be found among the rows, and the others add some.
        eprintln!("measuring Athena by itself");
        let athena = self
            .contestants
            .first_mut()
            .context("Athena does not take part")?;
        self.results.own = athena.report()?;
        eprintln!("storing one by one");
        for contestant in &mut self.contestants {
            if let Err(error) = contestant.store_singles() {
                eprintln!("{}: {error:#}", contestant.name);
            }
            if let Some(filled) = contestant.filled {
                self.results.storing.push(Storing {
                    name: contestant.name,
                    versions: contestant.versions.clone(),
                    filled,
                    singles_per_s: contestant.singles_per_s,
                });
            }
        }
        self.contestants.clear();
        Ok(())
    }
}

/// Where the contestants keep what they store: below `target/`, because a temporary directory is often
/// kept in memory. Removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn make() -> Result<Folder> {
        let folder = workspace::target().join(format!("bench/search/run-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        Ok(Folder(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed now goes with `target/`.
        let _ = fs::remove_dir_all(&self.0);
    }
}
