//! Telephone numbers.
//!
//! What the digits alone are worth: a plan's length after `+` and a known country code .92, North
//! American grouping .8, a leading zero in groups .75, other groupings that some country uses .7, and
//! .4 for digits that are only a telephone number if a word near them says so.

use std::ops::Range;

use super::context::{self, Cue};
use super::digits::{Gap, Slice};
use super::scan::{Scan, is_word};
use crate::kind::Kind;

/// What is worth a look at the words around.
const WORTH_CONTEXT: f64 = 0.35;

/// From what confidence on the digits are no part of another number.
const LIKELY: f64 = 0.65;

/// Country codes with the shortest and longest number after them.
#[rustfmt::skip]
const PLANS: [(&str, usize, usize); 104] = [
    ("1", 10, 10), ("20", 8, 10), ("211", 9, 9), ("212", 9, 9), ("213", 8, 9), ("216", 8, 8),
    ("218", 8, 10), ("220", 7, 7), ("221", 9, 9), ("223", 8, 8), ("225", 8, 10), ("226", 8, 8),
    ("228", 8, 8), ("229", 8, 10), ("230", 7, 8), ("231", 7, 9), ("233", 9, 9), ("234", 7, 10),
    ("237", 8, 9), ("244", 9, 9), ("249", 9, 9), ("250", 9, 9), ("251", 9, 9), ("254", 9, 10),
    ("255", 9, 9), ("256", 9, 9), ("258", 8, 9), ("260", 9, 9), ("261", 9, 9), ("263", 8, 10),
    ("264", 8, 9), ("27", 9, 9), ("297", 7, 7), ("30", 10, 10), ("31", 9, 10), ("32", 8, 9),
    ("33", 9, 9), ("34", 9, 9), ("350", 8, 8), ("351", 9, 9), ("352", 6, 11), ("353", 7, 10),
    ("354", 7, 9), ("355", 8, 9), ("356", 8, 8), ("357", 8, 8), ("358", 6, 12), ("359", 7, 9),
    ("36", 8, 9), ("370", 8, 8), ("371", 8, 8), ("372", 7, 8), ("373", 8, 8), ("374", 8, 8),
    ("375", 9, 9), ("376", 6, 9), ("377", 8, 9), ("380", 9, 9), ("381", 8, 9), ("382", 8, 9),
    ("383", 8, 9), ("385", 8, 9), ("386", 8, 8), ("387", 8, 9), ("389", 8, 8), ("39", 8, 11),
    ("40", 9, 9), ("41", 9, 9), ("420", 9, 9), ("421", 9, 9), ("423", 7, 9), ("43", 7, 13),
    ("44", 9, 10), ("45", 8, 8), ("46", 7, 10), ("47", 8, 8), ("48", 9, 9), ("49", 6, 12),
    ("51", 8, 9), ("52", 10, 11), ("53", 8, 8), ("54", 10, 11), ("55", 10, 11), ("56", 9, 9),
    ("57", 8, 10), ("58", 10, 10), ("60", 7, 10), ("61", 9, 9), ("62", 7, 12), ("63", 8, 10),
    ("64", 8, 10), ("65", 8, 8), ("66", 8, 9), ("7", 10, 10), ("81", 9, 10), ("82", 8, 10),
    ("84", 9, 10), ("86", 9, 11), ("90", 10, 10), ("91", 10, 10), ("92", 9, 10), ("93", 9, 9),
    ("94", 9, 9), ("98", 10, 10),
];

/// More country codes, of which only the beginning is told from numbers that are none.
const OTHER_CODES: [&str; 34] = [
    "21", "22", "23", "24", "25", "26", "29", "35", "37", "38", "42", "50", "59", "67", "68", "69",
    "80", "850", "852", "853", "855", "856", "87", "880", "886", "95", "96", "97", "992", "993",
    "994", "995", "996", "998",
];

/// What a slice is with the signs before it.
struct Number<'s> {
    slice: &'s Slice<'s>,
    /// Where it begins with a plus sign and bracket.
    start: usize,
    plus: bool,
    bracket: bool,
}

/// Reports the likeliest of some slices that begin with the same group, and returns its end.
pub(super) fn find(scan: &mut Scan<'_>, slices: &[Slice<'_>]) -> Option<usize> {
    let mut best: Option<(f64, Number<'_>)> = None;
    for slice in slices {
        let number = Number::new(scan, slice);
        let worth = number.worth();
        if worth > best.as_ref().map_or(WORTH_CONTEXT, |(worth, _)| *worth) {
            best = Some((worth, number));
        }
    }
    let (worth, number) = best?;
    let end = extension(scan, number.slice.range.end);
    let extended = if end > number.slice.range.end {
        0.1
    } else {
        0.0
    };
    let range = number.range(scan, end);
    let confidence = in_context(scan, &range, number.plus, worth + extended);
    let bare = number.slice.counts.len() == 1 && !number.plus;
    if bare && is_after_letter(scan, range.start) || is_in_row(scan, &range) {
        return None;
    }
    let end = range.end;
    scan.report(Kind::Phone, "phone", range, confidence.min(0.98));
    (confidence >= LIKELY).then_some(end)
}

/// Returns the end of an extension such as ` ext. 12` that begins at `end`, or `end`.
pub(super) fn extension(scan: &Scan<'_>, end: usize) -> usize {
    let mut position = end;
    if scan.at(position) == b',' {
        position += 1;
    }
    if scan.at(position) == b' ' {
        position += 1;
    }
    let rest = scan.bytes.get(position..).unwrap_or_default();
    let marks: [&[u8]; 8] = [
        b"extension",
        b"Extension",
        b"ext.",
        b"Ext.",
        b"ext",
        b"Ext",
        b"x",
        "доб.".as_bytes(),
    ];
    let Some(mark) = marks.iter().find(|mark| rest.starts_with(mark)) else {
        return end;
    };
    position += mark.len();
    if scan.at(position) == b' ' && mark.len() > 1 {
        position += 1;
    }
    let digits = scan.end_of(position, 8, |b| b.is_ascii_digit());
    if (1..=6).contains(&(digits - position)) && !is_word(scan.at(digits)) {
        digits
    } else {
        end
    }
}

fn in_context(scan: &Scan<'_>, range: &Range<usize>, plus: bool, worth: f64) -> f64 {
    match context::cue(scan, range) {
        Some(Cue::Phone) => (worth + 0.2).max(0.85),
        None => worth,
        Some(_) if plus && worth > 0.9 => worth - 0.1,
        Some(_) => worth - 0.35,
    }
}

/// Whether short numbers stand right before and after: a row of them, or one long number.
fn is_in_row(scan: &Scan<'_>, range: &Range<usize>) -> bool {
    let (first, group) = (scan.at(range.start), 5);
    if !matches!(first, b'1'..=b'9') || scan.before(range.start) != b' ' {
        return false;
    }
    let before = scan.start_of(range.start - 1, group, |b| b.is_ascii_digit());
    let after = scan.end_of(range.end + 1, group, |b| b.is_ascii_digit());
    scan.at(range.end) == b' '
        && (1..group).contains(&(range.start - 1 - before))
        && (1..group).contains(&(after - range.end - 1))
}

/// Whether a number follows a byte that would make it the value of a query or part of a name.
fn is_after_letter(scan: &Scan<'_>, start: usize) -> bool {
    matches!(scan.before(start), b'/' | b'?' | b'&')
}

impl<'s> Number<'s> {
    fn new(scan: &Scan<'_>, slice: &'s Slice<'s>) -> Self {
        let mut start = slice.range.start;
        let mut plus = false;
        let mut bracket = false;
        for _ in 0..2 {
            match scan.before(start) {
                b'+' if !plus => plus = true,
                b'(' if !bracket => bracket = true,
                _ => break,
            }
            start -= 1;
        }
        if scan.text[..start].ends_with('＋') {
            plus = true;
            start -= '＋'.len_utf8();
        } else if scan.text[..start].ends_with('（') {
            bracket = true;
            start -= '（'.len_utf8();
        }
        if plus && is_word(scan.before(start)) {
            plus = false;
            start = slice.range.start;
        }
        let closed = slice.gaps.first() == Some(&Gap::Close)
            || (slice.gaps.len() > 1 && slice.gaps[1] == Gap::Close);
        bracket &= closed;
        Self {
            slice,
            start,
            plus,
            bracket,
        }
    }

    /// Returns where the number stands, without a bracket that it does not close.
    fn range(&self, scan: &Scan<'_>, end: usize) -> Range<usize> {
        let mut start = self.start;
        if !self.bracket && scan.at(start) == b'(' {
            start += 1;
        }
        if !self.bracket && scan.text[start..].starts_with('（') {
            start += '（'.len_utf8();
        }
        start.min(self.slice.range.start)..end
    }

    /// Returns what the form alone is worth.
    fn worth(&self) -> f64 {
        let digits = self.slice.digits;
        if !(7..=17).contains(&digits.len()) || self.slice.counts.len() > 8 {
            return 0.0;
        }
        if self.plus {
            return self.international(digits, 0.92);
        }
        if digits.starts_with(b"00") && self.slice.counts[0] != 2 + digits.len() {
            return self.international(&digits[2..], if self.is_bare() { 0.6 } else { 0.82 });
        }
        if self.is_bare() {
            return if digits.len() <= 15 { 0.4 } else { 0.0 };
        }
        if self.is_decimal() || self.is_range_of_years() || !self.is_grouped_for_reading() {
            return 0.0;
        }
        self.north_american()
            .max(self.trunk())
            .max(self.other_grouping())
    }

    fn is_bare(&self) -> bool {
        self.slice.counts.len() == 1
    }

    /// Returns the worth of a number with its country code.
    fn international(&self, digits: &[u8], best: f64) -> f64 {
        let plan = PLANS
            .iter()
            .find(|(code, ..)| digits.starts_with(code.as_bytes()));
        let trunk = usize::from(self.has_trunk_zero());
        let exact = plan.is_some_and(|(code, shortest, longest)| {
            (*shortest..=*longest).contains(&digits.len().saturating_sub(code.len() + trunk))
        });
        let known = plan.is_some()
            || OTHER_CODES
                .iter()
                .any(|code| digits.starts_with(code.as_bytes()));
        let american = digits[0] == b'1';
        match (exact, known && (8..=15).contains(&digits.len())) {
            (true, _) => best,
            (false, true) if !american => best - 0.14,
            (false, true) if !self.is_bare() => best - 0.3,
            (false, true) => best - 0.4,
            (false, false) => 0.4,
        }
    }

    /// Whether a zero in brackets, or after a code, is only dialled at home.
    fn has_trunk_zero(&self) -> bool {
        let mut first = 0;
        self.slice.counts.iter().enumerate().any(|(index, count)| {
            let digit = self.slice.digits[first];
            first += count;
            let opened = index > 0 && self.slice.gaps[index - 1] == Gap::Open;
            opened && digit == b'0'
        })
    }

    fn is_decimal(&self) -> bool {
        self.slice.counts.len() == 2 && self.slice.gaps[0] == Gap::Dot
    }

    fn is_range_of_years(&self) -> bool {
        let digits = self.slice.digits;
        let year = |at: usize| matches!(&digits[at..at + 2], b"19" | b"20");
        self.slice.counts == [4, 4] && year(0) && year(4)
    }

    /// Whether no group after the first two is a single digit, and none is long.
    fn is_grouped_for_reading(&self) -> bool {
        let counts = self.slice.counts;
        let lone = counts.iter().skip(1).filter(|count| **count == 1).count();
        let slashes = self
            .slice
            .gaps
            .iter()
            .filter(|gap| **gap == Gap::Slash)
            .count();
        lone <= 1
            && counts.iter().all(|count| *count <= 10)
            && counts[counts.len() - 1] >= 2
            && (slashes == 0
                || (slashes == 1
                    && (self.slice.digits[0] == b'0' || counts.len() > 2)
                    && self.slice.gaps.iter().take(2).any(|gap| *gap == Gap::Slash)))
    }

    /// Returns the worth of `(555) 123-4567` and its like.
    fn north_american(&self) -> f64 {
        let (counts, digits) = match (self.slice.counts, self.slice.digits) {
            ([1, counts @ ..], [b'1', digits @ ..]) => (counts, digits),
            whole => whole,
        };
        match counts {
            [3, 3, 4] => {}
            [3, 7] if self.bracket => {}
            _ => return 0.0,
        }
        let exists = matches!(digits[0], b'2'..=b'9') && matches!(digits[3], b'2'..=b'9');
        let spaces = self.slice.gaps.iter().all(|gap| *gap == Gap::Space);
        match (
            exists,
            self.bracket || self.slice.gaps.contains(&Gap::Close),
        ) {
            (true, true) => 0.85,
            (true, false) if spaces => 0.72,
            (true, false) => 0.8,
            (false, true) => 0.72,
            (false, false) if spaces => 0.55,
            (false, false) => 0.72,
        }
    }

    /// Returns the worth of a number that begins with the zero of a trunk.
    fn trunk(&self) -> f64 {
        let counts = self.slice.counts;
        let count = self.slice.digits.len();
        if self.slice.digits[0] != b'0' || counts[0] < 2 || counts[0] > 6 || counts.len() > 6 {
            return 0.0;
        }
        let spaced_pairs = count == 8 && counts.iter().all(|count| *count == 2);
        match count {
            _ if spaced_pairs || *counts == [3, 2, 4] => 0.5,
            9..=11 if self.bracket => 0.8,
            9..=11 => 0.75,
            8 | 12 => 0.6,
            _ => 0.4,
        }
    }

    /// Returns the worth of groupings that some country uses.
    fn other_grouping(&self) -> f64 {
        let (counts, digits) = (self.slice.counts, self.slice.digits);
        match counts {
            [2, 4..=5, 4] if self.bracket => 0.8,
            [2, 5, 4] if digits[2] == b'9' => 0.72,
            [2, 1, 4, 4] if self.bracket => 0.8,
            [5, 5] if matches!(digits[0], b'6'..=b'9') => 0.7,
            [4, 3, 3] if matches!(&digits[..4], b"1300" | b"1800" | b"0800" | b"0300") => 0.75,
            [1, 3, ..] if digits[0] == b'8' && digits.len() == 11 => 0.75,
            [3, 4, 4] if digits[0] == b'1' && matches!(digits[1], b'3'..=b'9') => 0.75,
            _ if self.bracket && counts[0] <= 5 && (8..=13).contains(&digits.len()) => 0.72,
            [3, 2, 2, 2] | [3, 3, 3] if matches!(digits[0], b'5'..=b'9') => 0.5,
            _ if digits.len() <= 15 => 0.4,
            _ => 0.0,
        }
    }
}
