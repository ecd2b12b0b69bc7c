//! What was measured of each contestant in each way of asking, and what Athena should reach.

use serde_json::{Value, json};

use super::contestant::{Asked, Offer};

/// The recall that a setting must have to be compared with.
const ENOUGH: f64 = 0.99;

/// One contestant, asked in one way, the cheapest of all rounds.
pub(super) struct Score {
    pub(super) name: &'static str,
    pub(super) offer: Offer,
    pub(super) label: Option<&'static str>,
    /// Nothing until a round has succeeded.
    pub(super) best: Option<Figures>,
    pub(super) failure: Option<String>,
}

/// What counts of a round.
#[derive(Clone, Copy)]
pub(super) struct Figures {
    pub(super) cpu_ms: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    /// Of directions alone: what words should find is a matter of taste.
    pub(super) recall: Option<f64>,
    /// Rows of an answer, the mean.
    pub(super) rows: f64,
    pub(super) questions: usize,
}

impl Score {
    /// Keeps a round if it took less CPU time than those before.
    pub(super) fn add(&mut self, asked: &Asked, recall: Option<f64>) {
        if self.best.is_some_and(|best| best.cpu_ms <= asked.cpu_ms) {
            return;
        }
        let rows: usize = asked.found.iter().map(Vec::len).sum();
        let questions = asked.found.len();
        self.best = Some(Figures {
            cpu_ms: asked.cpu_ms,
            p50_ms: asked.p50_ms,
            p99_ms: asked.p99_ms,
            recall,
            rows: real(rows) / real(questions.max(1)),
            questions,
        });
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "kind": self.offer.kind,
            "setting": self.offer.setting,
            "role": self.offer.role,
            "label": self.label,
            "cpu_ms": self.best.map(|best| best.cpu_ms),
            "p50_ms": self.best.map(|best| best.p50_ms),
            "p99_ms": self.best.map(|best| best.p99_ms),
            "recall": self.best.and_then(|best| best.recall),
            "rows": self.best.map(|best| best.rows),
            "questions": self.best.map(|best| best.questions),
            "failure": self.failure,
        })
    }
}

/// How much cheaper than a peer Athena should be.
pub(super) struct Goal {
    pub(super) kind: &'static str,
    pub(super) peer: &'static str,
    /// The way of asking, where a peer is asked in several.
    role: Option<&'static str>,
    /// The least that the peer's CPU time should be in parts of Athena's.
    pub(super) ratio: f64,
    /// Compared at Athena's own recall instead of a sufficient one.
    equal_recall: bool,
}

const fn goal(kind: &'static str, peer: &'static str, ratio: f64) -> Goal {
    Goal {
        kind,
        peer,
        role: None,
        ratio,
        equal_recall: false,
    }
}

/// What is aimed at with 100,000 rows.
pub(super) const GOALS: &[Goal] = &[
    goal("semantic", "sqlite", 150.0),
    goal("semantic", "pgvector", 4.0),
    goal("semantic", "qdrant", 1.5),
    Goal {
        equal_recall: true,
        ..goal("semantic", "faiss", 1.0 / 1.3)
    },
    goal("keyword", "sqlite", 80.0),
    goal("keyword", "pgvector", 400.0),
    goal("keyword", "tantivy", 1.0),
    Goal {
        role: Some("natural"),
        ..goal("hybrid", "pgvector", 100.0)
    },
    Goal {
        role: Some("tuned"),
        ..goal("hybrid", "pgvector", 30.0)
    },
    goal("hybrid", "lancedb", 15.0),
    goal("hybrid", "qdrant", 2.0),
];

impl Goal {
    /// Returns how much more CPU time the peer takes, and with which setting.
    pub(super) fn reached<'a>(&self, scores: &'a [Score]) -> Option<(f64, &'a str)> {
        let athena = cheapest(scores, self.kind, super::ATHENA, None, ENOUGH)?;
        let own = athena.best?;
        let enough = match self.equal_recall {
            true => own.recall.unwrap_or(ENOUGH) - 0.0005,
            false => ENOUGH,
        };
        let peer = cheapest(scores, self.kind, self.peer, self.role, enough)?;
        Some((peer.best?.cpu_ms / own.cpu_ms, &peer.offer.setting))
    }

    /// Names it.
    pub(super) fn title(&self) -> String {
        let role = self
            .role
            .map_or_else(String::new, |role| format!(", {role}"));
        let equal = if self.equal_recall {
            " at equal recall"
        } else {
            ""
        };
        format!(
            "{}: CPU of {}{role}{equal} over Athena's",
            self.kind, self.peer
        )
    }
}

/// Returns the cheapest way of asking whose recall is enough; if there is none, the best.
pub(super) fn cheapest<'a>(
    scores: &'a [Score],
    kind: &str,
    name: &str,
    role: Option<&str>,
    enough: f64,
) -> Option<&'a Score> {
    let figures = |score: &&Score| {
        score
            .best
            .map(|best| (best.recall.unwrap_or(1.0), best.cpu_ms))
    };
    let candidates: Vec<&Score> = scores
        .iter()
        .filter(|score| score.name == name && score.offer.kind == kind && score.label.is_none())
        .filter(|score| role.is_none() || score.offer.role.as_deref() == role)
        .filter(|score| figures(score).is_some())
        .collect();
    let good = candidates
        .iter()
        .copied()
        .filter(|score| figures(score).is_some_and(|it| it.0 >= enough));
    let by_cpu = |a: &&Score, b: &&Score| {
        figures(a)
            .map(|it| it.1)
            .partial_cmp(&figures(b).map(|it| it.1))
    };
    let by_recall = |a: &&Score, b: &&Score| {
        figures(a)
            .map(|it| it.0)
            .partial_cmp(&figures(b).map(|it| it.0))
    };
    let equal = std::cmp::Ordering::Equal;
    good.min_by(|a, b| by_cpu(a, b).unwrap_or(equal))
        .or_else(|| {
            candidates
                .iter()
                .copied()
                .max_by(|a, b| by_recall(a, b).unwrap_or(equal))
        })
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn real(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Makes a score without rounds.
    pub(in crate::bench::peers) fn score(
        name: &'static str,
        kind: &str,
        setting: &str,
        cpu_ms: f64,
        recall: f64,
    ) -> Score {
        let offer = Offer {
            kind: kind.to_owned(),
            setting: setting.to_owned(),
            role: None,
            filters: false,
        };
        let recall = (kind == "semantic").then_some(recall);
        let mut score = Score {
            name,
            offer,
            label: None,
            best: None,
            failure: None,
        };
        let found = vec![vec![1, 2]; 4];
        let asked = |cpu_ms| Asked {
            cpu_ms,
            p50_ms: 1.0,
            p99_ms: 2.0,
            found: found.clone(),
        };
        score.add(&asked(cpu_ms + 1.0), recall);
        score.add(&asked(cpu_ms), recall);
        score.add(&asked(cpu_ms + 2.0), recall);
        score
    }

    #[test]
    fn the_cheapest_round_counts() {
        let best = score("a", "keyword", "", 3.0, 0.0)
            .best
            .expect("three rounds");
        assert_eq!((best.cpu_ms, best.rows, best.questions), (3.0, 2.0, 4));
    }

    #[test]
    fn peers_are_compared_where_their_recall_is_enough() {
        let scores = [
            score("athena", "semantic", "", 1.0, 1.0),
            score("faiss", "semantic", "ef 32", 2.0, 0.95),
            score("faiss", "semantic", "ef 64", 3.0, 0.992),
            score("faiss", "semantic", "ef 128", 5.0, 1.0),
            score("qdrant", "semantic", "ef 32", 7.0, 0.5),
            score("qdrant", "semantic", "ef 64", 6.0, 0.4),
        ];
        let reached = |peer: &str| {
            GOALS
                .iter()
                .find(|goal| goal.peer == peer)
                .expect("a goal")
                .reached(&scores)
        };
        assert_eq!(reached("faiss"), Some((5.0, "ef 128")));
        assert_eq!(reached("qdrant"), Some((7.0, "ef 32")));
        assert_eq!(reached("tantivy"), None);
        let enough = cheapest(&scores, "semantic", "faiss", None, ENOUGH).expect("a setting");
        assert_eq!(enough.offer.setting, "ef 64");
    }
}
