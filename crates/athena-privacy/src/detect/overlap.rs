//! One finding where several claim the same bytes.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::kind::{Finding, Kind};

/// Returns the findings that stand, ordered by position.
///
/// A block with a private key and a URL with credentials beat what is inside them; otherwise the
/// longest wins, then the one with the highest confidence, then the first.
pub(super) fn resolve(mut findings: Vec<Finding>) -> Vec<Finding> {
    if findings.len() > 1 {
        findings.sort_by(|a, b| {
            rank(b)
                .cmp(&rank(a))
                .then(b.confidence.total_cmp(&a.confidence))
        });
        let mut taken = BTreeMap::new();
        findings.retain(|finding| stands(&mut taken, finding));
        findings.sort_by_key(|finding| finding.range.start);
    }
    findings
}

fn rank(finding: &Finding) -> (bool, usize, Reverse<usize>) {
    let encloses = finding.kind == Kind::Url || &*finding.rule == super::secret::PRIVATE_KEY;
    (encloses, finding.range.len(), Reverse(finding.range.start))
}

/// Takes the range of a finding unless part of it is taken.
fn stands(taken: &mut BTreeMap<usize, usize>, finding: &Finding) -> bool {
    let before = taken.range(..finding.range.end).next_back();
    if before.is_some_and(|(_, end)| *end > finding.range.start) {
        return false;
    }
    taken.insert(finding.range.start, finding.range.end);
    true
}
