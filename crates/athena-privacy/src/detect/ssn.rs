//! Social security numbers of the United States: three, two and four digits.

use std::ops::Range;

use super::context::{self, Cue};
use super::scan::Scan;
use crate::kind::Kind;

/// Words that make nine digits in a row a social security number.
const WORDS: [&str; 7] = [
    "ssn",
    "ssns",
    "social",
    "social security",
    "ss#",
    "socialsecurity",
    "taxpayer",
];

/// Numbers that were printed on sample cards.
const SAMPLES: [&[u8]; 3] = [b"078051120", b"219099999", b"123456789"];

/// Reports a number if the digits can be one.
pub(super) fn find(scan: &mut Scan<'_>, digits: &[u8], range: Range<usize>, grouped: bool) {
    if !is_issued(digits) {
        return;
    }
    let said = context::mentions(scan, &range, &WORDS);
    let confidence = match (said, grouped) {
        (true, true) => 0.95,
        (true, false) if context::cue(scan, &range) == Some(Cue::Identifier) => 0.3,
        (true, false) => 0.85,
        (false, true) if context::cue(scan, &range) == Some(Cue::Identifier) => 0.3,
        (false, true) => 0.8,
        (false, false) => return,
    };
    scan.report(Kind::UsSsn, "us_ssn", range, confidence);
}

/// Whether the numbers of area, group and serial exist.
fn is_issued(digits: &[u8]) -> bool {
    let [area @ .., g1, g2, s1, s2, s3, s4] = digits else {
        return false;
    };
    let area_exists = area.len() == 3 && area != b"000" && area != b"666" && area[0] != b'9';
    area_exists
        && [*g1, *g2] != *b"00"
        && [*s1, *s2, *s3, *s4] != *b"0000"
        && !SAMPLES.contains(&digits)
}
