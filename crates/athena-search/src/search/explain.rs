//! How a hit came by its score.

use crate::math::from_units;
use crate::query::{Arm, Explain, Ground, Mode, Part, VectorState};

use super::arms::{Likeness, Question, Scope};
use super::blend::Blend;
use super::candidate::{Candidate, GROUNDS, Parts};
use super::dialogue;

/// What a hit is explained from.
pub(super) struct Explained<'a> {
    pub(super) question: &'a Question<'a>,
    pub(super) scope: &'a Scope<'a>,
    pub(super) blend: &'a Blend,
    pub(super) candidate: &'a Candidate,
    /// The candidate's parts, divided like the score.
    pub(super) told: &'a Parts,
    pub(super) likeness: Option<Likeness>,
}

impl Explained<'_> {
    pub(super) fn explain(&self, passage: u32, match_score: f64, keyword_share: f64) -> Explain {
        Explain {
            score: from_units(self.told.sum()),
            parts: self.parts(),
            found_by: self.found_by(),
            passage,
            terms: self.scope.matches(self.question, self.candidate.found.slot),
            vector: match (self.question.direction(), self.likeness) {
                (None, _) => VectorState::NotAsked,
                (Some(_), Some(_)) => VectorState::Scored,
                (Some(_), None) => VectorState::Pending,
            },
            match_score,
            cosine: self.likeness.map(|likeness| likeness.best),
            keyword_share,
        }
    }

    fn found_by(&self) -> Vec<Arm> {
        let found = self.candidate.found;
        [
            (Arm::Keyword, found.keyword > 0.0),
            (Arm::Builtin, found.builtin > 0.0),
            (Arm::Model, found.model > 0.0),
            (Arm::Dialogue, self.candidate.by_dialogue),
        ]
        .into_iter()
        .filter_map(|(arm, has_found)| has_found.then_some(arm))
        .collect()
    }

    fn parts(&self) -> Vec<Part> {
        GROUNDS
            .into_iter()
            .filter(|ground| self.is_told(*ground))
            .map(|ground| self.part(ground))
            .collect()
    }

    /// The arms that were asked are told even if they have nothing to say.
    fn is_told(&self, ground: Ground) -> bool {
        match ground {
            Ground::Model => self.question.model.is_some(),
            Ground::Builtin => self.question.builtin.is_some(),
            Ground::Keyword => self.question.query.mode != Mode::Semantic,
            _ => self.candidate.parts.get(ground) > 0,
        }
    }

    fn part(&self, ground: Ground) -> Part {
        let weight = self.weight(ground);
        let added = from_units(self.candidate.parts.get(ground));
        Part {
            part: ground,
            weight,
            value: if weight > 0.0 { added / weight } else { 0.0 },
            contribution: from_units(self.told.get(ground)),
        }
    }

    fn weight(&self, ground: Ground) -> f64 {
        let query = self.question.query;
        match ground {
            Ground::Model | Ground::Builtin | Ground::Keyword => self.blend.weight(ground),
            Ground::Recency => query.recency.map_or(0.0, |recency| recency.weight),
            Ground::Usefulness => query.usefulness_weight,
            of_dialogue => dialogue::weight(of_dialogue),
        }
    }
}
