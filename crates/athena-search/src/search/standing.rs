//! What an item has whatever is asked: how new it is, how useful it proved. Both are off unless a
//! call asks for them.

use crate::math::{half_power, to_units};
use crate::query::{Ground, Query, Recency};
use crate::record::Attributes;

use super::arms::Scope;
use super::candidate::Candidate;

/// Adds what new and useful items get.
pub(super) fn add_standing(query: &Query, scopes: &[Scope<'_>], candidates: &mut [Candidate]) {
    for candidate in candidates {
        let scope = &scopes[candidate.scope];
        let slot = candidate.found.slot;
        if let Some(recency) = query.recency {
            let units = to_units(recency.weight * newness(recency, scope.time(slot)));
            candidate.parts.add(Ground::Recency, units);
        }
        let useful = f64::from(scope.usefulness(slot)) / f64::from(Attributes::FULL_USEFULNESS);
        let units = to_units(query.usefulness_weight * useful);
        candidate.parts.add(Ground::Usefulness, units);
    }
}

/// `½^(age / half_life)`.
fn newness(recency: Recency, time: i64) -> f64 {
    let age = recency.now.saturating_sub(time).max(0);
    #[expect(clippy::cast_precision_loss, reason = "rounded once, alike everywhere")]
    let halves = age as f64 / recency.half_life.max(1) as f64;
    half_power(halves)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newness_halves_with_every_half_life() {
        let recency = Recency {
            weight: 1.0,
            half_life: 90,
            now: 1_000,
        };
        assert_eq!(newness(recency, 1_000), 1.0);
        assert_eq!(newness(recency, 910), 0.5);
        assert_eq!(newness(recency, 820), 0.25);
        assert_eq!(newness(recency, 2_000), 1.0, "what is to come has no age");
        assert_eq!(newness(recency, i64::MIN), 0.0);
    }
}
