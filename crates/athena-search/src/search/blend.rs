//! From what the arms say of an item to one score: weighted means, or places.
//!
//! With H the mean of words and built-in vector and C the model's cosine, each divided by the
//! query's best, the score is `w·C + (1 − w)·H / max H`; without a model's vector it is H.

use crate::math::to_units;
use crate::query::{Fusion, Ground, Mode, Query, Shares, VectorKind, Weights};
use crate::recipe::Ingredient;

use crate::spread::Spread;

use super::arms::{Found, Question, Scope};
use super::candidate::{Candidate, ONE};

/// The share of the built-in vector beside the words where it is made of hashed words.
///
/// Chosen on LoCoMo, BEAM, MetaTool and CoSQA: there the hybrid is within 0.2 points of the better
/// of its arms (recall@10 and nDCG@10) and up to 2 points above it.
pub const WORDS_WEIGHT: f64 = 0.3;

/// The share of the built-in vector beside the words where it comes from the table of tokens.
///
/// With it the hybrid was below the better of its arms on none of seven sets.
pub const TABLE_WEIGHT: f64 = 0.4;

/// Scopes with fewer of the model's vectors than this say nothing about how far a cosine stands
/// out.
const LEAST_FOR_RULE: usize = 20;
/// The model's share there, and without the rule.
const MODELS_WEIGHT: f64 = 0.6;
/// What is left of the model's share in a conversation, where turns also speak for each other.
const MODELS_PART_IN_DIALOGUE: f64 = 0.7;

/// How the arms become one score.
pub(super) struct Blend {
    /// The shares of the arms.
    pub(super) shares: Shares,
    best: Best,
    /// The best mean of words and built-in vector, by which it is divided beside a model's vector.
    reach: f64,
    rrf: Option<u32>,
}

/// Each arm's best hit.
struct Best {
    keyword: f64,
    builtin: f64,
    model: f64,
}

impl Blend {
    /// Chooses the shares.
    pub(super) fn new(
        question: &Question<'_>,
        scopes: &[Scope<'_>],
        candidates: &[Candidate],
        is_dialogue: bool,
    ) -> Self {
        let query = question.query;
        let best = |arm: fn(&Found) -> f64| {
            let values = candidates.iter().map(|candidate| arm(&candidate.found));
            values.fold(0.0, f64::max)
        };
        let mut blend = Self {
            shares: Shares::default(),
            best: Best {
                keyword: best(|found| found.keyword),
                builtin: best(|found| found.builtin),
                model: best(|found| found.model),
            },
            reach: 1.0,
            rrf: rank_fusion(query),
        };
        let explicit = query.weights.and_then(Weights::share);
        blend.shares = match (query.mode, explicit) {
            (Mode::Keyword, _) => keyword_alone(),
            (Mode::Semantic, _) => explicit_shares(question, 1.0),
            (Mode::Hybrid, Some(share)) => explicit_shares(question, share),
            (Mode::Hybrid, None) if blend.rrf.is_some() => equal_shares(question),
            (Mode::Hybrid, None) => {
                let beside_model = blend.shares_beside_model(question);
                let reach = |candidate| blend.mean(&beside_model, candidate);
                let reach = candidates.iter().map(reach).fold(0.0, f64::max);
                let model = blend.models_share(question, scopes, candidates, reach);
                let model = if is_dialogue && model < 1.0 {
                    MODELS_PART_IN_DIALOGUE * model
                } else {
                    model
                };
                if model > 0.0 && reach > 0.0 {
                    blend.reach = reach;
                }
                Shares {
                    keyword: (1.0 - model) * beside_model.keyword,
                    builtin: (1.0 - model) * beside_model.builtin,
                    model,
                }
            }
        };
        blend
    }

    /// The shares as they are told: ranks have none.
    pub(super) fn told(&self) -> Option<Shares> {
        self.rrf.is_none().then_some(self.shares)
    }

    /// The weight of an arm's value relative to its best hit.
    pub(super) fn weight(&self, arm: Ground) -> f64 {
        match arm {
            Ground::Model => self.shares.model,
            Ground::Builtin => self.shares.builtin / self.reach,
            _ => self.shares.keyword / self.reach,
        }
    }

    /// The shares of words and built-in vector without a model's. An arm that has nothing to say
    /// leaves the score to the other.
    fn shares_beside_model(&self, question: &Question<'_>) -> Shares {
        let builtin = match &question.builtin {
            _ if self.best.builtin <= 0.0 => 0.0,
            _ if self.best.keyword <= 0.0 => 1.0,
            Some(direction) if direction.vector.kind == VectorKind::Words => WORDS_WEIGHT,
            _ => TABLE_WEIGHT,
        };
        Shares {
            keyword: 1.0 - builtin,
            builtin,
            model: 0.0,
        }
    }

    fn mean(&self, shares: &Shares, candidate: &Candidate) -> f64 {
        shares.builtin * relative(candidate.found.builtin, self.best.builtin)
            + shares.keyword * relative(candidate.found.keyword, self.best.keyword)
    }

    /// The share of the model's vector where the caller names none.
    ///
    /// It grows with how far the model's best hit stands out from the scope's cosines (beyond what
    /// so many items give by chance), and shrinks with how far the words' best hit stands out from
    /// the next nine.
    fn models_share(
        &self,
        question: &Question<'_>,
        scopes: &[Scope<'_>],
        candidates: &[Candidate],
        reach: f64,
    ) -> f64 {
        if self.best.model <= 0.0 {
            return 0.0;
        }
        if reach <= 0.0 {
            return 1.0;
        }
        let spread = scopes
            .iter()
            .map(Scope::model_spread)
            .fold(Spread::default(), Spread::join);
        if spread.count() < LEAST_FOR_RULE || !question.query.recipe.has(Ingredient::Rule) {
            return MODELS_WEIGHT;
        }
        let z = spread.standing_out();
        let g = 1.0 - self.next_keywords(candidates);
        (0.394 + 0.4 * z - 0.6 * g).clamp(0.0, 1.0)
    }

    /// The mean of the words' places 2 to 10, relative to the first.
    fn next_keywords(&self, candidates: &[Candidate]) -> f64 {
        let mut keywords: Vec<f64> = candidates.iter().map(|it| it.found.keyword).collect();
        keywords.sort_unstable_by(|a, b| b.total_cmp(a));
        let next: f64 = keywords.iter().skip(1).take(9).sum();
        relative(next / 9.0, self.best.keyword)
    }

    /// Scores every candidate by its arms.
    pub(super) fn score(&self, candidates: &mut [Candidate]) {
        match self.rrf {
            Some(k) => self.score_by_places(candidates, k),
            None => self.score_by_values(candidates),
        }
    }

    fn score_by_values(&self, candidates: &mut [Candidate]) {
        let weights = [Ground::Model, Ground::Builtin, Ground::Keyword].map(|arm| self.weight(arm));
        for candidate in candidates {
            let Found {
                keyword,
                builtin,
                model,
                ..
            } = candidate.found;
            candidate.add_arms([
                weights[0] * relative(model, self.best.model),
                weights[1] * relative(builtin, self.best.builtin),
                weights[2] * relative(keyword, self.best.keyword),
            ]);
        }
    }

    fn score_by_places(&self, candidates: &mut [Candidate], k: u32) {
        let mut values = vec![[0.0; 3]; candidates.len()];
        let arms: [fn(&Found) -> f64; 3] = [|it| it.model, |it| it.builtin, |it| it.keyword];
        let shares = [self.shares.model, self.shares.builtin, self.shares.keyword];
        for (arm, value) in arms.into_iter().enumerate() {
            for (place, at) in ranked(candidates, value).into_iter().enumerate() {
                values[at][arm] = shares[arm] * reciprocal(k, place);
            }
        }
        for (candidate, values) in candidates.iter_mut().zip(values) {
            candidate.add_arms(values);
        }
    }
}

impl Candidate {
    /// Adds what the model, the built-in vector and the words say; together at most 1, although
    /// each is rounded.
    fn add_arms(&mut self, [model, builtin, keyword]: [f64; 3]) {
        let model = to_units(model);
        let builtin = to_units(builtin).min(ONE - model);
        let keyword = to_units(keyword).min(ONE - model - builtin);
        self.parts.add(Ground::Model, model);
        self.parts.add(Ground::Builtin, builtin);
        self.parts.add(Ground::Keyword, keyword);
    }
}

impl Weights {
    /// The share of the vectors, if the weights say anything.
    fn share(self) -> Option<f64> {
        let usable = |weight: f64| if weight > 0.0 { weight.min(1e9) } else { 0.0 };
        let (semantic, keyword) = (usable(self.semantic), usable(self.keyword));
        (semantic + keyword > 0.0).then(|| semantic / (semantic + keyword))
    }
}

/// The constant of rank fusion, if ranks are to be fused.
pub(super) fn rank_fusion(query: &Query) -> Option<u32> {
    match (query.mode, query.fusion) {
        (Mode::Hybrid, Fusion::Rrf { k }) => Some(k),
        _ => None,
    }
}

fn keyword_alone() -> Shares {
    Shares {
        keyword: 1.0,
        ..Shares::default()
    }
}

/// A share for the model's vector, or for the built-in one without it; the rest for the words.
fn explicit_shares(question: &Question<'_>, share: f64) -> Shares {
    let (builtin, model) = match question.model {
        Some(_) => (0.0, share),
        None => (share, 0.0),
    };
    Shares {
        keyword: 1.0 - share,
        builtin,
        model,
    }
}

fn equal_shares(question: &Question<'_>) -> Shares {
    let (builtin, model) = (
        f64::from(u8::from(question.builtin.is_some())),
        f64::from(u8::from(question.model.is_some())),
    );
    let arms = 1.0 + builtin + model;
    Shares {
        keyword: 1.0 / arms,
        builtin: builtin / arms,
        model: model / arms,
    }
}

/// The places in the list of those an arm found, in the arm's order; equal values by uid.
fn ranked(candidates: &[Candidate], value: fn(&Found) -> f64) -> Vec<usize> {
    let value = |at: &usize| value(&candidates[*at].found);
    let mut places: Vec<usize> = (0..candidates.len()).filter(|at| value(at) > 0.0).collect();
    places.sort_unstable_by(|a, b| {
        let tie = |at: &usize| candidates[*at].tie();
        value(b)
            .total_cmp(&value(a))
            .then_with(|| tie(a).cmp(&tie(b)))
    });
    places
}

/// 1 for the first place, falling as 1 / (k + place).
fn reciprocal(k: u32, place: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "places stay far below 2^53")]
    let place = place as f64 + 1.0;
    (f64::from(k) + 1.0) / (f64::from(k) + place)
}

fn relative(value: f64, best: f64) -> f64 {
    if best > 0.0 { value / best } else { 0.0 }
}
