//! One finding where several claim the same bytes.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;

use crate::kind::{Finding, Kind};

/// Returns the findings that stand, ordered by position.
///
/// A block with a private key and a URL with credentials beat what is inside them; otherwise the
/// longest wins, then the one with the highest confidence, then the first. A path claims only the
/// home that is masked: it ends where a secret or an address in one of its names begins.
pub(super) fn resolve(mut findings: Vec<Finding>) -> Vec<Finding> {
    if findings.len() > 1 {
        findings.sort_by(|a, b| {
            rank(b)
                .cmp(&rank(a))
                .then(b.confidence.total_cmp(&a.confidence))
        });
        let mut taken = BTreeMap::new();
        findings.retain(|finding| stands(&mut taken, claim(finding)));
        findings.sort_by_key(|finding| finding.range.start);
        end_before_next(&mut findings);
    }
    findings
}

/// Returns the bytes that no other finding may have.
fn claim(finding: &Finding) -> Range<usize> {
    if finding.kind == Kind::Path {
        finding.range.start..finding.masked.end
    } else {
        finding.range.clone()
    }
}

fn rank(finding: &Finding) -> (bool, usize, Reverse<usize>) {
    let encloses = finding.kind == Kind::Url || &*finding.rule == super::secret::PRIVATE_KEY;
    (encloses, claim(finding).len(), Reverse(finding.range.start))
}

/// Takes a range unless part of it is taken.
fn stands(taken: &mut BTreeMap<usize, usize>, claim: Range<usize>) -> bool {
    let before = taken.range(..claim.end).next_back();
    if before.is_some_and(|(_, end)| *end > claim.start) {
        return false;
    }
    taken.insert(claim.start, claim.end);
    true
}

fn end_before_next(findings: &mut [Finding]) {
    let mut next = usize::MAX;
    for finding in findings.iter_mut().rev() {
        finding.range.end = finding.range.end.min(next);
        next = finding.range.start;
    }
}
