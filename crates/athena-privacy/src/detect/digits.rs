//! Digits in groups: read once, then shown to every kind that is made of digits.

use std::ops::Range;

use super::scan::{Scan, is_word};
use super::{card, ip, national, phone, secret, ssn};

/// The most groups that are read together.
const MOST_GROUPS: usize = 16;

/// The most digits that are read together.
const MOST_DIGITS: usize = 96;

/// The fewest digits of anything that is found, but for addresses.
const FEWEST_DIGITS: usize = 7;

/// Within how many bytes the digits of a number stand.
const LONGEST_SHORT: usize = 48;

/// How many groups after its first a number is looked for in.
const LOOK_AHEAD: usize = 8;

/// The most digits in a group that is looked at.
const LONGEST_GROUP: usize = 20;

/// What stands between two groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gap {
    Space,
    Dash,
    Dot,
    Slash,
    Open,
    Close,
    Invisible,
}

/// Some digits that stand together.
#[derive(Debug, Clone, Copy, Default)]
struct Group {
    start: usize,
    end: usize,
    /// Where its digits begin among those of the run.
    first: usize,
    count: usize,
}

/// Groups of digits with single separators between.
struct Run {
    digits: [u8; MOST_DIGITS],
    groups: [Group; MOST_GROUPS],
    counts: [usize; MOST_GROUPS],
    gaps: [Gap; MOST_GROUPS],
    /// How many groups there are.
    length: usize,
    /// Where the run ends, and with it the word that its last group begins.
    end: usize,
    /// Whether the last group was dropped because letters follow its digits.
    torn: bool,
}

/// Consecutive groups of a run.
pub(super) struct Slice<'r> {
    pub(super) digits: &'r [u8],
    pub(super) counts: &'r [usize],
    pub(super) gaps: &'r [Gap],
    pub(super) range: Range<usize>,
}

/// Reports the numbers that begin with the digit at `start`, in a word that ends at `word_end`, and
/// returns where to go on.
pub(super) fn find(scan: &mut Scan<'_>, start: usize, word_end: usize) -> usize {
    if word_end - start > 64 {
        return word_end;
    }
    let may_be_key = word_end - start >= 8 || scan.at(word_end) == b'/';
    if may_be_key && secret::number(scan, start, word_end) {
        return word_end;
    }
    if is_short(scan, start) {
        if word_end - start >= FEWEST_DIGITS {
            national::find_word(scan, start, word_end);
        }
        return word_end;
    }
    let mut run = Run::new(start);
    run.read(scan);
    if run.end == start {
        return word_end.max(start + 1);
    }
    national::find_word(scan, start, word_end);
    if run.length == 0 || is_attached(scan, start) {
        return run.end;
    }
    let mut first = 0;
    let mut end = run.end;
    while first < run.length {
        if first > 0 && run.is_cut_off() && first + LOOK_AHEAD > run.length {
            return run.groups[first].start;
        }
        let found;
        (first, found) = run.look_at(scan, first);
        end = end.max(found);
    }
    end
}

/// Whether too few digits stand together for anything that is found.
fn is_short(scan: &Scan<'_>, start: usize) -> bool {
    let (mut digits, mut dots) = (0, 0);
    for byte in scan.bytes[start..].iter().take(LONGEST_SHORT) {
        match byte {
            b'0'..=b'9' => digits += 1,
            b'.' => dots += 1,
            b' ' | b'-' | b'/' | b'(' | b')' => {}
            0x80.. => return false,
            _ => break,
        }
        if digits >= FEWEST_DIGITS || dots >= 3 {
            return false;
        }
    }
    true
}

/// Whether a byte sequence begins a digit that is not ASCII.
pub(super) fn is_foreign_digit(bytes: &[u8], position: usize) -> bool {
    digit_at(bytes, position).is_some_and(|(_, length)| length > 1)
}

/// Returns the digit at a position as ASCII, and its length in bytes.
#[inline]
fn digit_at(bytes: &[u8], position: usize) -> Option<(u8, usize)> {
    let rest = bytes.get(position..)?;
    match *rest.first()? {
        b @ b'0'..=b'9' => Some((b, 1)),
        0xD9 => rest
            .get(1)
            .filter(|b| (0xA0..=0xA9).contains(*b))
            .map(|b| (b - 0xA0 + b'0', 2)),
        0xDB => rest
            .get(1)
            .filter(|b| (0xB0..=0xB9).contains(*b))
            .map(|b| (b - 0xB0 + b'0', 2)),
        0xE0 if rest.get(1) == Some(&0xA5) => rest
            .get(2)
            .filter(|b| (0xA6..=0xAF).contains(*b))
            .map(|b| (b - 0xA6 + b'0', 3)),
        0xEF if rest.get(1) == Some(&0xBC) => rest
            .get(2)
            .filter(|b| (0x90..=0x99).contains(*b))
            .map(|b| (b - 0x90 + b'0', 3)),
        _ => None,
    }
}

impl Run {
    fn new(start: usize) -> Self {
        Self {
            digits: [0; MOST_DIGITS],
            groups: [Group::default(); MOST_GROUPS],
            counts: [0; MOST_GROUPS],
            gaps: [Gap::Space; MOST_GROUPS],
            length: 0,
            end: start,
            torn: false,
        }
    }

    /// Reads the groups from the end on.
    fn read(&mut self, scan: &Scan<'_>) {
        let mut position = self.end;
        while self.length < MOST_GROUPS {
            let Some(group) = self.read_group(scan, position) else {
                break;
            };
            self.groups[self.length] = group;
            self.counts[self.length] = group.count;
            self.end = group.end;
            self.length += 1;
            let Some((gap, next)) = gap(scan, group.end) else {
                break;
            };
            self.gaps[self.length - 1] = gap;
            position = next;
        }
        self.drop_torn(scan);
    }

    fn groups(&self) -> &[Group] {
        &self.groups[..self.length]
    }

    fn gaps(&self) -> &[Gap] {
        &self.gaps[..self.length.saturating_sub(1)]
    }

    fn read_group(&mut self, scan: &Scan<'_>, start: usize) -> Option<Group> {
        let first = self
            .length
            .checked_sub(1)
            .map_or(0, |last| self.groups[last].first + self.groups[last].count);
        let mut count = 0;
        let mut end = start;
        while let Some((digit, length)) = digit_at(scan.bytes, end) {
            *self.digits.get_mut(first + count)? = digit;
            count += 1;
            end += length;
            if count > LONGEST_GROUP {
                return None;
            }
        }
        (count > 0).then_some(Group {
            start,
            end,
            first,
            count,
        })
    }

    /// Drops a last group that is the beginning of a word with letters, unless of an extension.
    fn drop_torn(&mut self, scan: &Scan<'_>) {
        let Some(last) = self.groups().last().copied() else {
            return;
        };
        if !is_word(scan.at(last.end)) || phone::extension(scan, last.end) > last.end {
            return;
        }
        self.end = scan.end_of(last.end, usize::MAX, is_word);
        self.length -= 1;
        if let Some(earlier) = self.groups().last() {
            self.end = earlier.end;
            self.torn = self.gaps[self.length - 1] != Gap::Space;
        }
    }

    /// Whether more groups may follow than were read.
    fn is_cut_off(&self) -> bool {
        self.length == MOST_GROUPS
    }

    /// Looks at the numbers that begin with a group, and returns the group to go on with and the end
    /// of what was found.
    fn look_at(&self, scan: &mut Scan<'_>, first: usize) -> (usize, usize) {
        if first > 0 && !self.is_cut(first - 1) {
            return (first + 1, 0);
        }
        if let Some(groups) = self.date(first) {
            return (first + groups, 0);
        }
        let start = self.groups[first].start;
        if self.is_quad(first) {
            return ip::v4(scan, start).map_or((first + 1, 0), |end| (self.after(end), end));
        }
        if self.digits_from(first) < FEWEST_DIGITS {
            return (first + 1, 0);
        }
        if first > 0 {
            national::find_word(scan, start, self.groups[first].end);
        }
        let lasts = (first..self.length.min(first + LOOK_AHEAD))
            .rev()
            .filter(|last| self.is_end(scan, *last));
        let slices: Vec<Slice<'_>> = lasts.map(|last| self.slice(first, last)).collect();
        for slice in &slices {
            if find_fixed(scan, slice) {
                return (self.after(slice.range.end), slice.range.end);
            }
        }
        phone::find(scan, &slices).map_or((first + 1, 0), |end| (self.after(end), end))
    }

    fn slice(&self, first: usize, last: usize) -> Slice<'_> {
        let (from, to) = (&self.groups[first], &self.groups[last]);
        Slice {
            digits: &self.digits[from.first..to.first + to.count],
            counts: &self.counts[first..=last],
            gaps: &self.gaps[first..last],
            range: from.start..to.end,
        }
    }

    /// Returns how many digits there are from a group on.
    fn digits_from(&self, first: usize) -> usize {
        self.counts[first..self.length].iter().sum()
    }

    /// Returns the first group that begins at or after a position.
    fn after(&self, position: usize) -> usize {
        self.groups()
            .partition_point(|group| group.start < position)
    }

    /// Whether one number may end and another begin at a gap.
    fn is_cut(&self, gap: usize) -> bool {
        matches!(self.gaps[gap], Gap::Space | Gap::Open | Gap::Close)
    }

    fn is_end(&self, scan: &Scan<'_>, last: usize) -> bool {
        if last + 1 < self.length {
            return matches!(self.gaps[last], Gap::Space | Gap::Open | Gap::Close);
        }
        let end = self.groups[last].end;
        let (after, beyond) = (scan.at(end), scan.at(end + 1));
        let continues = match after {
            b'-' | b'/' | b':' => beyond.is_ascii_alphanumeric(),
            b'.' => beyond.is_ascii_digit(),
            // Decimals, unless the number is too long for an amount: then it is a list.
            b',' => beyond.is_ascii_digit() && self.groups[last].count < 8,
            b'%' => true,
            _ => false,
        };
        !self.torn && !continues
    }

    fn number(&self, group: usize) -> u32 {
        let Group { first, count, .. } = self.groups[group];
        self.digits[first..first + count.min(9)]
            .iter()
            .fold(0, |n, d| n * 10 + u32::from(d - b'0'))
    }

    /// Returns the number of groups of a date that begins with a group.
    fn date(&self, first: usize) -> Option<usize> {
        let groups = self.groups().get(first..first + 3)?;
        let gaps = &self.gaps()[first..first + 2];
        if gaps[0] != gaps[1] || matches!(gaps[0], Gap::Open | Gap::Close) {
            return None;
        }
        let [a, b, c] = [first, first + 1, first + 2].map(|group| self.number(group));
        let is_date = match [groups[0].count, groups[1].count, groups[2].count] {
            [4, 1..=2, 1..=2] => is_year(a) && is_month_and_day(b, c),
            [1..=2, 1..=2, 4] => is_year(c) && (is_month_and_day(a, b) || is_month_and_day(b, a)),
            _ => false,
        };
        let ends = self
            .gaps
            .get(first + 2)
            .is_none_or(|gap| *gap == Gap::Space || *gap == Gap::Dash);
        (is_date && ends).then_some(3)
    }

    /// Whether four groups have the form of an address of version 4.
    fn is_quad(&self, first: usize) -> bool {
        let dots = self.gaps().get(first..first + 3);
        dots.is_some_and(|gaps| gaps.iter().all(|gap| *gap == Gap::Dot))
            && self.groups[first..first + 4]
                .iter()
                .all(|group| group.count <= 3)
            && (first..first + 4).all(|group| self.number(group) < 256)
            && self.gaps().get(first + 3) != Some(&Gap::Dot)
    }
}

fn is_year(number: u32) -> bool {
    (1900..2100).contains(&number)
}

fn is_month_and_day(month: u32, day: u32) -> bool {
    (1..=12).contains(&month) && (1..=31).contains(&day)
}

/// Reports a card or social security number that takes the whole slice.
fn find_fixed(scan: &mut Scan<'_>, slice: &Slice<'_>) -> bool {
    let Slice {
        digits,
        counts,
        gaps,
        range,
    } = slice;
    let even = gaps.windows(2).all(|pair| pair[0] == pair[1])
        && gaps
            .iter()
            .all(|gap| matches!(gap, Gap::Space | Gap::Dash | Gap::Invisible));
    if !even {
        return false;
    }
    let found = scan.found();
    match (digits.len(), *counts) {
        (9, [3, 2, 4] | [9]) => ssn::find(scan, digits, range.clone(), counts.len() > 1),
        (12..=19, [_] | [4, 4, ..] | [4, 6, 4..=5] | [6, ..]) => {
            card::find(scan, digits, range.clone(), counts.len() > 1);
        }
        _ => {}
    }
    scan.found() > found && counts.len() > 1
}

/// Whether digits are the later part of something with letters, or an amount.
fn is_attached(scan: &Scan<'_>, start: usize) -> bool {
    let ahead = scan.before(start.saturating_sub(1));
    match scan.before(start) {
        b'-' => is_word(ahead) || ahead == b'-',
        b'.' => ahead.is_ascii_digit(),
        // Of addresses `ip` knows better.
        b'@' => {
            let end = scan.end_of(start, 16, |b| b.is_ascii_digit() || b == b'.');
            is_word(ahead) && memchr::memchr_iter(b'.', &scan.bytes[start..end]).count() < 3
        }
        b'/' => is_word(ahead) || ahead == b'/' && !scan.text[..start].ends_with("://"),
        b',' => {
            ahead.is_ascii_digit()
                && !is_word(scan.at(start + 4))
                && scan.at(start + 3) != b'-'
                && scan.at(start + 3) != b'.'
        }
        b'$' | b'_' | b'*' | b'^' => ahead != b'*',
        b'\\' => true,
        _ => scan.text[..start].ends_with(['€', '£', '¥', '₹']),
    }
}

/// Returns the separator at a position and where the digit after it stands.
fn gap(scan: &Scan<'_>, position: usize) -> Option<(Gap, usize)> {
    let mut gap = None;
    let mut end = position;
    for _ in 0..3 {
        let Some((part, length)) = separator(scan.bytes, end) else {
            break;
        };
        gap = Some(match (gap, part) {
            (None, part) => part,
            (Some(Gap::Space), Gap::Space) => return None,
            (Some(Gap::Dot), Gap::Space) => return None,
            (Some(Gap::Space | Gap::Invisible), part) => part,
            (Some(earlier), Gap::Space | Gap::Invisible) => earlier,
            (Some(Gap::Close), Gap::Dash | Gap::Dot | Gap::Slash) => Gap::Close,
            (Some(Gap::Dash | Gap::Dot), Gap::Open) => Gap::Open,
            (Some(Gap::Close), Gap::Open) => Gap::Open,
            _ => return None,
        });
        end += length;
    }
    digit_at(scan.bytes, end)?;
    gap.map(|gap| (gap, end))
}

fn separator(bytes: &[u8], position: usize) -> Option<(Gap, usize)> {
    let rest = bytes.get(position..)?;
    Some(match *rest {
        [b' ', ..] => (Gap::Space, 1),
        [b'-', ..] => (Gap::Dash, 1),
        [b'.', ..] => (Gap::Dot, 1),
        [b'/', ..] => (Gap::Slash, 1),
        [b'(', ..] => (Gap::Open, 1),
        [b')', ..] => (Gap::Close, 1),
        [0xC2, 0xA0, ..] => (Gap::Space, 2),
        [0xE2, 0x80, 0xAF | 0x82..=0x8A, ..] => (Gap::Space, 3),
        [0xE3, 0x80, 0x80, ..] => (Gap::Space, 3),
        [0xE2, 0x80, 0x90..=0x94, ..] => (Gap::Dash, 3),
        [0xEF, 0xBC, 0x8D, ..] => (Gap::Dash, 3),
        [0xEF, 0xBC, 0x88, ..] => (Gap::Open, 3),
        [0xEF, 0xBC, 0x89, ..] => (Gap::Close, 3),
        [0xE2, 0x80, 0x8B..=0x8D, ..] | [0xE2, 0x81, 0xA0, ..] | [0xEF, 0xBB, 0xBF, ..] => {
            (Gap::Invisible, 3)
        }
        _ => return None,
    })
}
