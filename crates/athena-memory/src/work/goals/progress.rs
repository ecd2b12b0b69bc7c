//! How far goals are, by what belongs to them.

use super::GoalStatus;
use std::collections::{HashMap, HashSet};

/// What is known of one goal.
#[derive(Debug, Clone, Copy)]
pub(in crate::work) struct Standing {
    pub(in crate::work) parent: Option<i64>,
    pub(in crate::work) status: GoalStatus,
    /// How far it is, where somebody said so.
    pub(in crate::work) by_hand: Option<f64>,
    /// How many tasks it has, those that were given up not counted.
    pub(in crate::work) tasks: i64,
    /// How far they are together, in hundredths of a task.
    pub(in crate::work) progress: f64,
}

/// The goals of a project, by id.
#[derive(Debug, Default)]
pub(in crate::work) struct Progress {
    standings: HashMap<i64, Standing>,
    children: HashMap<i64, Vec<i64>>,
}

impl Progress {
    pub(in crate::work) fn of(standings: impl IntoIterator<Item = (i64, Standing)>) -> Self {
        let mut progress = Self::default();
        for (id, standing) in standings {
            if let Some(parent) = standing.parent {
                progress.children.entry(parent).or_default().push(id);
            }
            progress.standings.insert(id, standing);
        }
        progress
    }

    /// Returns how far a goal is, 0 to 100.
    ///
    /// One that was reached is done. Else what was set by hand counts, else the mean over its tasks
    /// and its subgoals, each of which counts the same; what was given up does not count.
    pub(in crate::work) fn percentage(&self, id: i64) -> f64 {
        self.within(id, &mut HashSet::new())
    }

    fn within(&self, id: i64, seen: &mut HashSet<i64>) -> f64 {
        let Some(standing) = self.standings.get(&id).filter(|_| seen.insert(id)) else {
            return 0.0;
        };
        if standing.status == GoalStatus::Completed {
            return 100.0;
        }
        if let Some(by_hand) = standing.by_hand {
            return by_hand;
        }
        let (mut sum, mut count) = (standing.progress, count_of(standing.tasks));
        for child in self.children.get(&id).into_iter().flatten() {
            let given_up = |it: &Standing| it.status == GoalStatus::Cancelled;
            if !self.standings.get(child).is_none_or(given_up) {
                sum += self.within(*child, seen);
                count += 1.0;
            }
        }
        match count > 0.0 {
            true => (sum / count).clamp(0.0, 100.0),
            false => 0.0,
        }
    }

    /// Returns the way from a goal up to `sought`, ends included, if it leads there.
    pub(in crate::work) fn way_up(&self, from: i64, sought: i64) -> Option<Vec<i64>> {
        let mut way = vec![from];
        let mut seen = HashSet::from([from]);
        let mut at = from;
        while at != sought {
            at = self.standings.get(&at)?.parent?;
            if !seen.insert(at) {
                return None;
            }
            way.push(at);
        }
        Some(way)
    }
}

/// Returns some goals with all that serve them, however far below.
pub(super) fn with_those_below(
    parents: impl Iterator<Item = (i64, Option<i64>)>,
    top: Vec<i64>,
) -> HashSet<i64> {
    let mut children: HashMap<i64, Vec<i64>> = HashMap::new();
    for (id, parent) in parents {
        if let Some(parent) = parent {
            children.entry(parent).or_default().push(id);
        }
    }
    let mut found = HashSet::new();
    let mut waiting = top;
    while let Some(id) = waiting.pop() {
        if found.insert(id) {
            waiting.extend(children.get(&id).into_iter().flatten());
        }
    }
    found
}

/// Returns a count as a number to divide by.
fn count_of(count: i64) -> f64 {
    f64::from(i32::try_from(count).unwrap_or(i32::MAX))
}
