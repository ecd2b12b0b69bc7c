//! What is measured, what was aimed at, and how far it is from that.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::median;
use super::Backend;
use super::contestant::{Measured, Sample};

/// A line of the table: a cell for each contestant.
pub(super) struct Row {
    pub(super) backend: Backend,
    pub(super) what: &'static str,
    pub(super) operation: &'static str,
    pub(super) tasks: u32,
    /// Rows in one operation, where a single one counts.
    pub(super) per: f64,
    pub(super) goal: Goal,
}

/// What was aimed at.
pub(super) enum Goal {
    /// Nothing: it is shown.
    None,
    /// At most so many times the processor time of the raw driver.
    Cpu(f64),
    /// At least so many times the operations a second of the raw driver and of sqlx.
    Rate { raw: f64, sqlx: f64 },
    /// At most so many microseconds of processor time.
    Micros(f64),
}

macro_rules! rows {
    ($($backend:ident $what:literal: $operation:literal * $tasks:literal / $per:literal => $goal:expr;)+) => {
        &[$(Row {
            backend: Backend::$backend,
            what: $what,
            operation: $operation,
            tasks: $tasks,
            per: $per,
            goal: $goal,
        }),+]
    };
}

pub(super) const ROWS: &[Row] = rows! {
    Sqlite "point read": "point" * 1 / 1.0 => Goal::Cpu(1.5);
    Sqlite "point read": "point" * 16 / 1.0 => Goal::Cpu(1.5);
    Sqlite "read of 1,000 rows, per row": "read" * 1 / 1e3 => Goal::Cpu(1.3);
    Sqlite "insert, NORMAL": "insert" * 1 / 1.0 => Goal::Cpu(2.2);
    Sqlite "insert, NORMAL": "insert" * 16 / 1.0 => Goal::Cpu(0.6);
    Sqlite "insert, FULL": "insert-durable" * 1 / 1.0 => Goal::None;
    Sqlite "insert, FULL": "insert-durable" * 16 / 1.0 => Goal::Rate { raw: 20.0, sqlx: 2.0 };
    Sqlite "batch of 100, per row": "batch" * 1 / 100.0 => Goal::Cpu(1.3);
    Sqlite "100 rows by insert_rows, per row": "bulk" * 1 / 100.0 => Goal::None;
    Sqlite "plan found by address": "plan-hit" * 1 / 1.0 => Goal::Micros(0.05);
    Sqlite "the same, and five parameters bound": "bind" * 1 / 1.0 => Goal::None;
    Sqlite "first parse of 1 kB": "first-parse" * 1 / 1.0 => Goal::Micros(3.0);
    Postgres "point read": "point" * 1 / 1.0 => Goal::Cpu(1.2);
    Postgres "point read": "point" * 4 / 1.0 => Goal::Cpu(1.2);
    Postgres "point read": "point" * 16 / 1.0 => Goal::Cpu(1.2);
    Postgres "read of 1,000 rows, per row": "read" * 1 / 1e3 => Goal::None;
    Postgres "insert": "insert" * 1 / 1.0 => Goal::None;
    Postgres "insert": "insert" * 16 / 1.0 => Goal::None;
    Postgres "batch of 100, per row": "batch" * 1 / 100.0 => Goal::Cpu(0.2);
    Postgres "100 rows by insert_rows, per row": "bulk" * 1 / 100.0 => Goal::Cpu(0.2);
    Postgres "empty transaction": "transaction" * 1 / 1.0 => Goal::None;
    Mysql "point read": "point" * 1 / 1.0 => Goal::None;
    Mysql "point read": "point" * 16 / 1.0 => Goal::None;
    Mysql "read of 1,000 rows, per row": "read" * 1 / 1e3 => Goal::None;
    Mysql "insert": "insert" * 1 / 1.0 => Goal::None;
    Mysql "insert": "insert" * 16 / 1.0 => Goal::None;
    Mysql "batch of 100, per row": "batch" * 1 / 100.0 => Goal::None;
    Mysql "100 rows by insert_rows, per row": "bulk" * 1 / 100.0 => Goal::None;
};

impl Row {
    /// Names it as `--only` knows it: `sqlite point 16`.
    pub(super) fn name(&self) -> String {
        format!("{} {} {}", self.backend.name(), self.operation, self.tasks)
    }

    /// Names it as the table does.
    pub(super) fn title(&self) -> String {
        match self.tasks {
            1 => self.what.to_owned(),
            tasks => format!("{}, {tasks} tasks", self.what),
        }
    }

    pub(super) fn writes(&self) -> bool {
        matches!(
            self.operation,
            "insert" | "insert-durable" | "batch" | "bulk"
        )
    }
}

/// What the contestants made of a row.
pub(super) struct Score {
    pub(super) row: &'static Row,
    /// For each contestant the rounds that it did.
    samples: BTreeMap<&'static str, BTreeMap<u32, Sample>>,
    /// For each contestant what it said when it could not.
    failures: BTreeMap<&'static str, String>,
}

impl Score {
    pub(super) fn new(row: &'static Row) -> Score {
        Score {
            row,
            samples: BTreeMap::new(),
            failures: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, contestant: &'static str, round: u32, measured: Measured) {
        match measured {
            Measured::Sample(sample) => {
                let rounds = self.samples.entry(contestant).or_default();
                rounds.insert(round, sample);
            }
            Measured::Unsupported => {}
            Measured::Failed(why) => {
                self.failures.insert(contestant, why);
            }
        }
    }

    /// Returns the microseconds of processor time in the best round, for a row where rows count.
    pub(super) fn cpu(&self, contestant: &str) -> Option<f64> {
        let best = self.all(contestant, |sample| sample.cpu_us)?;
        let best = best.into_iter().fold(f64::INFINITY, f64::min);
        Some(best / self.row.per)
    }

    /// Returns the middle of what the rounds say about something.
    pub(super) fn middle(&self, contestant: &str, of: fn(&Sample) -> f64) -> Option<f64> {
        self.all(contestant, of).map(|values| median(&values))
    }

    fn all(&self, contestant: &str, of: fn(&Sample) -> f64) -> Option<Vec<f64>> {
        Some(self.samples.get(contestant)?.values().map(of).collect())
    }

    /// Returns how many times the raw driver's processor time a contestant needs.
    pub(super) fn cpu_ratio(&self, contestant: &str) -> Option<f64> {
        Some(self.cpu(contestant)? / self.cpu("raw")?)
    }

    /// Returns how many times the operations a second of another contestant one does: the middle
    /// of the ratios within each round, because the disk is another one in the next.
    pub(super) fn rate_ratio(&self, contestant: &str, to: &str) -> Option<f64> {
        let (ours, theirs) = (self.samples.get(contestant)?, self.samples.get(to)?);
        let ratios: Vec<f64> = ours
            .iter()
            .filter_map(|(round, sample)| Some(sample.per_second / theirs.get(round)?.per_second))
            .collect();
        Some(median(&ratios))
    }

    /// Returns what was reached of the goal, in the goal's terms.
    pub(super) fn reached(&self) -> Option<String> {
        match self.row.goal {
            Goal::None | Goal::Cpu(_) => {
                self.cpu_ratio("athena").map(|ratio| format!("{ratio:.2}×"))
            }
            Goal::Rate { .. } => {
                let raw = self.rate_ratio("athena", "raw")?;
                let sqlx = self.rate_ratio("athena", "sqlx");
                let sqlx = sqlx.map_or(String::new(), |sqlx| format!(", {sqlx:.1}× sqlx"));
                Some(format!("{raw:.1}×{sqlx}"))
            }
            Goal::Micros(_) => self.cpu("athena").map(|micros| format!("{micros:.3} µs")),
        }
    }

    pub(super) fn goal(&self) -> String {
        match self.row.goal {
            Goal::None => String::new(),
            Goal::Cpu(bound) => format!("≤ {bound}×"),
            Goal::Rate { raw, sqlx } => format!("≥ {raw}×, ≥ {sqlx}× sqlx (ops/s)"),
            Goal::Micros(bound) => format!("≤ {bound} µs"),
        }
    }

    /// Whether the goal was reached, where there is one and it could be measured.
    pub(super) fn met(&self) -> Option<bool> {
        match self.row.goal {
            Goal::None => None,
            Goal::Cpu(bound) => Some(self.cpu_ratio("athena")? <= bound),
            Goal::Rate { raw, sqlx } => {
                let beats = |name, bound| Some(self.rate_ratio("athena", name)? >= bound);
                Some(beats("raw", raw)? && beats("sqlx", sqlx)?)
            }
            Goal::Micros(bound) => Some(self.cpu("athena")? <= bound),
        }
    }

    /// Lists the contestants that failed and what they said.
    pub(super) fn failures(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.failures
            .iter()
            .map(|(name, why)| (*name, why.as_str()))
    }

    pub(super) fn to_json(&self) -> Value {
        let sample = |sample: &Sample| {
            json!({
                "cpu_us": sample.cpu_us,
                "per_second": sample.per_second,
                "p50_us": sample.p50_us,
                "p95_us": sample.p95_us,
                "p99_us": sample.p99_us,
            })
        };
        let samples: serde_json::Map<String, Value> = self
            .samples
            .iter()
            .map(|(name, rounds)| ((*name).to_owned(), rounds.values().map(sample).collect()))
            .collect();
        json!({
            "cell": self.row.name(),
            "title": self.row.title(),
            "rows_per_operation": self.row.per,
            "goal": self.goal(),
            "reached": self.reached(),
            "met": self.met(),
            "rounds": samples,
            "failures": self.failures,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Goal, Measured, Row, Sample, Score};
    use crate::bench::db::Backend;

    const fn row(goal: Goal) -> Row {
        Row {
            backend: Backend::Sqlite,
            what: "",
            operation: "batch",
            tasks: 1,
            per: 100.0,
            goal,
        }
    }

    static CPU: Row = row(Goal::Cpu(1.5));
    static RATE: Row = row(Goal::Rate {
        raw: 20.0,
        sqlx: 2.0,
    });

    fn sample(cpu_us: f64, per_second: f64) -> Measured {
        Measured::Sample(Sample {
            cpu_us,
            per_second,
            p50_us: 0.0,
            p95_us: 0.0,
            p99_us: 0.0,
        })
    }

    #[test]
    fn processor_time_is_that_of_the_best_round() {
        let mut score = Score::new(&CPU);
        for (round, raw, athena) in [(1, 200.0, 900.0), (2, 500.0, 280.0)] {
            score.add("raw", round, sample(raw, 1.0));
            score.add("athena", round, sample(athena, 1.0));
        }
        assert_eq!(score.cpu("raw"), Some(2.0));
        assert_eq!(score.cpu_ratio("athena"), Some(1.4));
        assert_eq!(
            (score.met(), score.reached().as_deref()),
            (Some(true), Some("1.40×"))
        );
    }

    #[test]
    fn rates_are_compared_within_their_round() {
        let mut score = Score::new(&RATE);
        for (round, raw, athena) in [(1, 1.0, 30.0), (2, 100.0, 2_500.0), (3, 10.0, 10.0)] {
            score.add("raw", round, sample(1.0, raw));
            score.add("athena", round, sample(1.0, athena));
        }
        assert_eq!(score.rate_ratio("athena", "raw"), Some(25.0));
        assert_eq!(score.met(), None, "sqlx was not measured");
        score.add("sqlx", 3, sample(1.0, 20.0));
        assert_eq!(score.met(), Some(false));
    }

    #[test]
    fn a_contestant_that_failed_is_no_contestant() {
        let mut score = Score::new(&CPU);
        score.add("raw", 1, sample(1.0, 1.0));
        score.add("athena", 1, Measured::Failed("no server".to_owned()));
        score.add("sqlx", 1, Measured::Unsupported);
        assert_eq!((score.met(), score.reached()), (None, None));
        assert_eq!(
            score.failures().collect::<Vec<_>>(),
            [("athena", "no server")]
        );
    }
}
